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

__all__ = ["Cell", "sheet_names", "workbook_rows"]

Cell = str | float | None
"""Text, a number, or nothing."""

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, ParseError, AttributeError, EOFError, IndexError, KeyError,
    NotImplementedError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged, encrypted or foreign workbook raises."""

_EXACT = 2**53


def workbook_rows(path: Path, sheet_name: str = "") -> Iterator[list[Cell]]:
    """Yield the rows of one sheet of a workbook, from its first row on, empty ones included.

    Parameters
    ----------
    path
        The workbook.
    sheet_name
        One of :func:`sheet_names`; empty: the first sheet.

    Raises
    ------
    DataError
        If it is no readable workbook, or has no such sheet.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = cast("Any", book[sheet_name] if sheet_name else book.worksheets[0])
            # Some programs write a wrong extent, and openpyxl would leave out what lies beyond it.
            sheet.reset_dimensions()
            for row in sheet.iter_rows(values_only=True):
                yield [_cell(value) for value in row]
        finally:
            book.close()
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def sheet_names(path: Path) -> tuple[str, ...]:
    """Return the names of a workbook's sheets, in order; errors are those of :func:`workbook_rows`."""
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            return tuple(str(sheet.title) for sheet in book.worksheets)
        finally:
            book.close()
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path.name} is not a readable Excel workbook.",
        why=f"{type(error).__name__}: {error}.",
        todo="Save it again.",
    )


def _cell(value: Any) -> Cell:
    if value is None:
        return None
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return float(value) if abs(value) <= _EXACT else str(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)
