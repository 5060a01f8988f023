"""What a shop file declares about tables: its own column names, constants, further columns, dates in text."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Mapping, Sequence

from pricing.errors import SettingsError
from pricing.schema import TABLES

__all__ = ["check_attributes", "check_columns", "check_date_format"]

_OWN = {
    "_reason", "_row", "apart", "back", "base", "cost", "covered_from", "covered_to", "day", "first", "gross",
    "last", "level", "n", "offered", "period", "rate", "regular", "size", "start", "stock", "stood", "t",
    "units", "until",
}  # fmt: skip
"""Column names that tables and queries get beside those of the contract."""


def check_columns(
    section: str, by_table: Mapping[str, Mapping[str, str]], attributes: Mapping[str, tuple[str, ...]]
) -> None:
    """Refuse a column map (or constants) that names what is not there, or one own column for two meanings.

    Parameters
    ----------
    section
        ``columns`` or ``constants``.
    by_table
        Own name, or value, by column of the contract, by table.
    attributes
        Further columns by table.

    Raises
    ------
    SettingsError
        Naming the entry.
    """
    known = {table.name: table for table in TABLES}
    for name, entries in by_table.items():
        if name not in known:
            what = f"{section}.{name} is not a table of the data contract."
            raise SettingsError(what, todo=_near(name, [*known]))
        columns = (*known[name].names, *attributes.get(name, ()))
        for column, own in entries.items():
            if column not in columns:
                what = f"{section}.{name}.{column} is not a column of {name}."
                raise SettingsError(what, todo=_near(column, columns))
            if section == "columns" and not own.strip():
                raise SettingsError(
                    f"columns.{name}.{column} is empty.", todo="Name your column, or leave it out."
                )
        if section == "columns":
            _refuse_shared(name, entries)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."


def _refuse_shared(table: str, entries: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for column, own in entries.items():
        other = taken.setdefault(own.lower(), column)
        if other != column:
            raise SettingsError(
                f"columns.{table}: {own} is to be both {other} and {column}.",
                why="A column has one meaning; one about customers would also lie in the data unprotected.",
                todo="Leave one of them out.",
            )


def check_attributes(attributes: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse further columns that a table does not take, or whose names are taken.

    Raises
    ------
    SettingsError
        Naming the table and column.
    """
    taken = {name.lower() for table in TABLES for name in table.names} | _OWN
    open_to = {table.name for table in TABLES if table.declared}
    for name, declared in attributes.items():
        if name not in open_to:
            raise SettingsError(
                f"attributes.{name}: that table takes no further columns.",
                todo=f"Further columns are read of: {', '.join(sorted(open_to))}.",
            )
        lower = [column.lower() for column in declared]
        for place, column in enumerate(declared):
            if lower.index(column.lower()) != place:
                raise SettingsError(f"attributes.{name}: {column} is there twice, whatever the capitals.")
            if not column.strip():
                raise SettingsError(f"attributes.{name}: a column without a name.")
            if column.lower() in taken:
                raise SettingsError(
                    f"attributes.{name}: {column} repeats a column of the contract.",
                    todo=f"Call it otherwise here, and say under [columns.{name}] how your file calls it.",
                )


def check_date_format(text: str) -> None:
    """Refuse a format of dates that no date can be written in and read back.

    Raises
    ------
    SettingsError
        If it is not empty and not such a format.
    """
    if not text:
        return
    day = dt.datetime(2031, 12, 25, tzinfo=dt.UTC)
    plain = text.replace("%-", "%")
    try:
        same = dt.datetime.strptime(day.strftime(plain), plain).date() == day.date()  # noqa: DTZ007 - a day only
    except ValueError:
        same = False
    if not same:
        raise SettingsError(
            f"date_format = {text!r} is no format of a day.", todo='Write it like "%d/%m/%Y" or "%m/%d/%Y".'
        )
