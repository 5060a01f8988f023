"""Text files as rows of cells: the encoding found from all of their bytes, the marks between cells known."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable
from pathlib import Path

from pricing.errors import DataError
from simulators.contract.workbooks import Cell

__all__ = ["DELIMITERS", "encoding_of", "text_rows"]

DELIMITERS = (",", ";", "\t", "|")
"""Marks that stand between the cells of a line."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHUNK = 1 << 20


def encoding_of(path: Path) -> str:
    """Return a text file's encoding: by its byte order mark, else UTF-8 if valid, else Windows-1252."""
    with path.open("rb") as stream:
        head = stream.read(4)
        for bom, encoding in _BOMS:
            if head.startswith(bom):
                return encoding
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "windows-1252"
    return "utf-8"


def text_rows(path: Path, encoding: str, delimiter: str) -> Iterable[list[Cell]]:
    """Yield the rows of a text file, empty ones included.

    Raises
    ------
    DataError
        If it is not text of that encoding, or its quotes do not match.
    """
    try:
        with path.open(encoding=encoding, newline="") as stream:
            for row in csv.reader(stream, delimiter=delimiter, strict=True):
                yield [*row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path.name} is not a regular text table.", why=f"{error}.", todo="Save it as UTF-8 CSV."
        ) from error
