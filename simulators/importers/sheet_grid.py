"""The rows of a cost or stock sheet, and where among them the header stands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pricing.errors import DataError, UsageError
from simulators.contract.text_rows import DELIMITERS, encoding_of, text_rows
from simulators.contract.workbooks import Cell, sheet_names, workbook_rows
from simulators.importers.suggestions import normalised, suggest_columns

__all__ = [
    "COSTS", "STOCK", "Body", "Grid", "Header", "Meaning", "Words", "candidates", "cell_text", "texts_of",
    "with_header",
]  # fmt: skip

Body = Sequence[tuple[int, tuple[Cell, ...]]]
"""Rows with their numbers."""

_HEADER_WITHIN = 200
"""Rows among which a header is looked for."""

_TEXTS, _BOOKS = (".csv", ".tsv", ".txt"), (".xlsx", ".xlsm")
_SURE = 0.9
"""Least score of a name that is taken for a column: the same one or a known synonym, never a similar one."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of sheet holds.

    Attributes
    ----------
    name
        As a caller says it.
    table, value, time
        Table of the contract, and its columns of the number and of the day.
    past
        It happened: a row of the future is wrong.
    """

    name: str
    table: str
    value: str
    time: str
    past: bool


COSTS = Meaning("costs", "costs", "unit_cost", "valid_from", past=False)
STOCK = Meaning("stock", "inventory", "on_hand", "at", past=True)


@dataclass(frozen=True, slots=True)
class Words:
    """What the caller says of a sheet where it does not speak for itself.

    Attributes
    ----------
    columns
        The sheet's own column name by column of the contract.
    decimal
        "." or ","; empty: found out.
    dates
        ``day-first`` or ``month-first``; empty: found out.
    sheet
        Name of a workbook's sheet; empty: the first.
    day
        From when rows without a date hold.
    currency, zones
        What the shop file says.
    unseen
        First day that has not happened yet; None: it does not matter.
    """

    columns: Mapping[str, str]
    currency: str
    zones: tuple[str, ...]
    day: dt.date | None = None
    unseen: dt.date | None = None
    decimal: str = ""
    dates: str = ""
    sheet: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows of a file under one reading of the marks between its cells.

    Attributes
    ----------
    sheet
        Of a workbook; else empty.
    encoding, delimiter
        Of a text file; else empty.
    rows
        All that are not blank, with their numbers from 1.
    """

    sheet: str
    encoding: str
    delimiter: str
    rows: tuple[tuple[int, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header stands and what its cells are called.

    Attributes
    ----------
    number, place
        Row number from 1, and position among the rows that are not blank.
    names
        Text of each cell; empty where it has none.
    """

    number: int
    place: int
    names: tuple[str, ...]


def with_header(path: Path, meaning: Meaning, words: Words) -> tuple[Grid, Header]:
    """Return the file under that reading of its delimiters that shows the widest header.

    Raises
    ------
    UsageError
        If the workbook has no such sheet.
    DataError
        If no row looks like a header, or the file cannot be read.
    """
    found = [
        (grid, header) for grid in _grids(path, words.sheet) if (header := _header(grid, meaning, words))
    ]
    if found:
        return max(found, key=lambda pair: sum(1 for name in pair[1].names if name))
    names = sheet_names(path) if path.suffix.lower() in _BOOKS else ()
    others = f" The workbook has the sheets {', '.join(names)}: name one with --sheet." if names[1:] else ""
    said = ", ".join(f"{column} = {own}" for column, own in words.columns.items())
    raise DataError(
        f"{path.name} has no row with names of columns, one of them of {meaning.name}.",
        why=f"The first {_HEADER_WITHIN} rows were looked at{f', for {said}' if said else ''}.",
        todo=f"Name your columns with --column {meaning.value}=YOURS --column product_id=YOURS.{others}",
    )


def _grids(path: Path, sheet: str) -> list[Grid]:
    if path.suffix.lower() not in (*_TEXTS, *_BOOKS):
        raise DataError(f"{path} is no .csv or .xlsx file.", todo="Save it as one of these.")
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty (0 bytes).", todo="Save it again.")
    if path.suffix.lower() in _BOOKS:
        names = sheet_names(path)
        if sheet and sheet not in names:
            raise UsageError(f"{path.name} has no sheet {sheet}.", todo=f"It has: {', '.join(names)}.")
        return [Grid(sheet or names[0], "", "", _numbered(workbook_rows(path, sheet)))]
    encoding = encoding_of(path)
    grids: list[Grid] = []
    problem: DataError | None = None
    for delimiter in DELIMITERS:
        try:
            grids.append(Grid("", encoding, delimiter, _numbered(text_rows(path, encoding, delimiter))))
        except DataError as error:  # the quotes may match under another delimiter
            problem = error
    if problem is not None and not grids:
        raise problem
    return grids


def _numbered(rows: Iterable[Sequence[Cell]]) -> tuple[tuple[int, tuple[Cell, ...]], ...]:
    return tuple(
        (n, tuple(row)) for n, row in enumerate(rows, start=1) if any(cell_text(cell) for cell in row)
    )


def cell_text(cell: Cell) -> str:
    """Return a cell as text without blanks around it; a whole number as one (a SKU of 12 is not 12.0)."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell.strip()
    return str(int(cell)) if cell == int(cell) else repr(cell)


def texts_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the text of each cell, without blanks around it; empty where it is none."""
    return tuple(cell.strip() if isinstance(cell, str) else "" for cell in cells)


def _header(grid: Grid, meaning: Meaning, words: Words) -> Header | None:
    """Return the first row with two names or more, one of which is that of the wanted number."""
    for place, (number, cells) in enumerate(grid.rows[:_HEADER_WITHIN]):
        names = texts_of(cells)
        if sum(1 for name in names if name) > 1 and candidates(meaning, meaning.value, names, words):
            return Header(number, place, names)
    return None


def candidates(meaning: Meaning, column: str, names: Sequence[str], words: Words) -> list[int]:
    """Return the places of the columns that are named like one of the contract, as well as any is."""
    if column in words.columns:
        said = normalised(words.columns[column])
        return [place for place, name in enumerate(names) if name and normalised(name) == said]
    scores = [
        max((s.score for s in suggest_columns(meaning.table, [name]) if s.column == column), default=0.0)
        for name in names
    ]
    best = max(scores, default=0.0)
    return [place for place, score in enumerate(scores) if score == best >= _SURE]
