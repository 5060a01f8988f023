"""What a table of the data contract is made of: columns, their types, ranges and keys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pricing.errors import UsageError

__all__ = ["Column", "ColumnType", "Table"]


class ColumnType(StrEnum):
    """What a cell may hold."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    UNIT_PRICE = "unit price"
    """Money for one unit, a decimal amount that may be finer than a minor unit (3 for 5.00)."""
    MONEY = "money"
    """Exact money, a decimal amount in whole minor units."""
    SHARE = "share"
    """A number from 0 to 1."""
    BOOLEAN = "yes or no"
    TIME = "time"
    """A timestamp (naive: in the shop's time zone) or a date (its midnight there)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, type, meaning
        What it is called, what it holds and what it says.
    required
        The table is useless without it; an empty cell is a bad row.
    low, high
        Inclusive bounds of a number, in the unit of the cell; None where there is none.
    above
        Exclusive lower bound; None where there is none.
    choices
        The only words allowed; empty where any text is.
    personal
        It is about a person: kept out of quarantine files and reports.
    """

    name: str
    type: ColumnType
    meaning: str
    required: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    personal: bool = False

    @property
    def allowed(self) -> str:
        """The range or the words allowed, as text; empty where anything of the type is."""
        if self.choices:
            return ", ".join(self.choices)
        if self.type is ColumnType.SHARE:
            return "0 to 1"
        if self.above is not None:
            return f"> {self.above:g}"
        if self.low is not None:
            return f">= {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"
        return ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the contract.

    Attributes
    ----------
    name
        File name without its ending.
    meaning, unlocks
        What a row is, and what Tarifa can do with the table that it cannot do without it.
    columns
        In the order in which they are documented and written.
    key
        Columns that identify a row; two rows with the same key are duplicates. Empty: rows repeat freely.
    required
        Nothing runs without the table.
    one_of
        Groups of columns of which each row fills at least one.
    declared
        The shop file may declare further columns (``[attributes]``) that are read as text.
    """

    name: str
    meaning: str
    unlocks: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    required: bool = False
    one_of: tuple[tuple[str, ...], ...] = ()
    declared: bool = False

    def column(self, name: str) -> Column:
        """Return a column by name; raises :class:`UsageError` for one that the contract does not have."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UsageError(f"The table {self.name} has no column {name} in the data contract.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)
