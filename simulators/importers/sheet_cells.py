"""Amounts and days as people write them into spreadsheets, and how to read them where two readings exist.

Every cell of a column is tried under both readings. What only one of them can read decides; where nothing
decides and the readings differ (``1.234`` alone, or ``03/04/2026`` throughout), nothing is guessed: the call
is refused, and the option that settles it is named.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from pricing.errors import UsageError
from simulators.contract.workbooks import Cell

__all__ = ["DAY_FIRST", "MONTH_FIRST", "Amount", "Reading", "amount", "date_order", "decimal_mark", "moment"]

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"

_SIGNS = {
    "€": ("EUR",),
    "£": ("GBP",),
    "¥": ("JPY", "CNY"),
    "$": ("USD", "MXN", "ARS", "CLP", "COP", "CAD", "AUD", "NZD", "UYU", "DOP"),
}
"""Currencies that a sign is written for."""

_BLANKS = re.compile(r"[\s\u00a0\u2007\u202f'\u2019]+")
"""What may part groups of digits without being a mark: blanks of all widths, and apostrophes."""

_MONEY = re.compile(
    r"(?P<sign>[+-]?)(?P<before>[€$£¥]|[A-Za-z]{3})?(?P<body>[\d.,]+)(?P<after>[€$£¥]|[A-Za-z]{3})?"
)
_SHAPES = {
    ".": re.compile(r"(\d+|[1-9]\d{0,2}(,\d{3})+)?(\.\d*)?", re.ASCII),
    ",": re.compile(r"(\d+|[1-9]\d{0,2}(\.\d{3})+)?(,\d*)?", re.ASCII),
}
_CLOCK = r"(?:[ T]+(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK, re.ASCII)
_SHORT = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d\d)" + _CLOCK, re.ASCII)
_CENTURY = 2000
_BEGINNING, _END = 1980, 2199
"""Years of a shop's records; what lies outside is a slip of the pen, or an empty date written as a number."""


@dataclass(frozen=True, slots=True)
class Amount:
    """One number of a cell.

    Attributes
    ----------
    value
        Exactly as it was written.
    currencies
        Currencies that the sign or letters beside it may mean; empty where none stands there.
    """

    value: Decimal
    currencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How one kind of cell is to be read.

    Attributes
    ----------
    choice
        Decimal mark or order of a date; empty where all readings agree.
    example
        A cell that decided, as it was written; empty where none had to, or the caller said it.
    """

    choice: str = ""
    example: str = ""


def amount(cell: Cell, decimal: str) -> Amount | None:
    """Read a number, with or without a currency and marks of thousands; None if it is none.

    Parameters
    ----------
    cell
        A number, or text like ``1.234,56 €``, ``$12.50``, ``EUR 7`` or ``1 234,5``.
    decimal
        "." or ",".
    """
    if cell is None:
        return None
    if not isinstance(cell, str):
        return Amount(Decimal(repr(float(cell)))) if math.isfinite(cell) else None
    found = _MONEY.fullmatch(_BLANKS.sub("", cell))
    if found is None or (found["before"] and found["after"]):
        return None
    body, thousands = found["body"], "," if decimal == "." else "."
    if not _SHAPES[decimal].fullmatch(body) or not any(letter.isdigit() for letter in body):
        return None
    plain = body.replace(thousands, "").replace(decimal, ".")
    word = (found["before"] or found["after"] or "").upper()
    return Amount(Decimal(f"{found['sign']}{plain}"), _SIGNS.get(word, (word,)) if word else ())


def moment(cell: Cell, order: str) -> dt.datetime | None:
    """Read a day, with or without a time: ISO 8601, or two or four digits of a year at the end; None if none.

    Parameters
    ----------
    cell
        Text; workbooks give their days as ISO 8601.
    order
        :data:`DAY_FIRST` or :data:`MONTH_FIRST`; it matters for the second shape only. ``26`` is 2026.
    """
    if not isinstance(cell, str):
        return None
    text = cell.strip()
    iso = _ISO.fullmatch(text)
    found = iso or _SHORT.fullmatch(text)
    if found is None:
        return None
    parts = [int(found[part]) for part in (1, 2, 3)]
    if iso is not None:
        year, month, day = parts
    else:
        day, month, year = parts if order == DAY_FIRST else (parts[1], parts[0], parts[2])
        year += _CENTURY if len(found[3]) == 2 else 0
    try:
        hour, minute, second = (int(part or 0) for part in found.groups()[3:])
        if not _BEGINNING <= year <= _END:
            return None
        return dt.datetime.combine(dt.date(year, month, day), dt.time(hour, minute, second))
    except ValueError:
        return None


def decimal_mark(cells: Iterable[Cell], said: str, column: str, file: str) -> Reading:
    """Find out which mark stands before the decimals of a column.

    Parameters
    ----------
    cells
        Its cells.
    said
        "." or "," if somebody has said it, else empty.
    column, file
        What an error names.

    Raises
    ------
    UsageError
        If the cells allow both readings and these differ, or some allow only one and others only the other.
    """
    what = f"{file}: nobody can tell whether the mark in the column {column} groups thousands."
    return _settled(cells, amount, (",", "."), said, what, "Say it with --decimal comma or --decimal point.")


def date_order(cells: Iterable[Cell], said: str, column: str, file: str) -> Reading:
    """Find out whether day or month stands first; parameters and errors are those of :func:`decimal_mark`."""
    what = f"{file}: nobody can tell day from month in the column {column}."
    todo = "Say it with --dates day-first or --dates month-first."
    return _settled(cells, moment, (DAY_FIRST, MONTH_FIRST), said, what, todo)


def _settled(
    cells: Iterable[Cell],
    read: Callable[[Cell, str], object],
    choices: tuple[str, str],
    said: str,
    what: str,
    todo: str,
) -> Reading:
    if said:
        return Reading(said)
    decided: dict[str, str] = {}
    unclear = ""
    for cell in cells:
        if not isinstance(cell, str):
            continue
        values = {choice: value for choice in choices if (value := read(cell, choice)) is not None}
        if len(values) == 1:
            decided.setdefault(next(iter(values)), cell.strip())
        elif len(set(values.values())) > 1:
            unclear = unclear or cell.strip()
    if len(decided) > 1:
        first, second = decided.values()
        raise UsageError(what, why=f"It holds {first} and {second}.", todo=todo)
    if unclear and not decided:
        raise UsageError(what, why=f"{unclear} may be either.", todo=todo)
    return Reading(*next(iter(decided.items()))) if decided else Reading()
