"""Excel workbooks as rows of cells: numbers stay numbers, days become ISO text, no row is left out."""

from __future__ import annotations

import datetime as dt
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from xml.etree.ElementTree import ParseError

import openpyxl

from pricing.errors import DataError

__all__ = ["Cell", "workbook_rows"]

Cell = str | float | None
"""Text, a number, or nothing."""

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, ParseError, AttributeError, EOFError, IndexError, KeyError,
    NotImplementedError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged, encrypted or foreign workbook raises."""

_EXACT = 2**53


def workbook_rows(path: Path) -> Iterator[list[Cell]]:
    """Yield the rows of a workbook's first sheet, from its first row on, empty ones included.

    Raises
    ------
    DataError
        If it is no readable workbook, or has no sheet.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = cast("Any", book.worksheets[0])
            # Some programs write a wrong extent, and openpyxl would leave out what lies beyond it.
            sheet.reset_dimensions()
            for row in sheet.iter_rows(values_only=True):
                yield [_cell(value) for value in row]
        finally:
            book.close()
    except _DAMAGE as error:
        raise DataError(
            f"{path.name} is not a readable Excel workbook.",
            why=f"{type(error).__name__}: {error}.",
            todo="Save it again.",
        ) from error


def _cell(value: Any) -> Cell:
    if value is None:
        return None
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return float(value) if abs(value) <= _EXACT else str(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)
