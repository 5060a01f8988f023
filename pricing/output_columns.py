"""What an output table is made of: its columns, their types and their meanings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pricing.errors import UsageError

__all__ = ["ArrowType", "OutputColumn", "OutputTable"]


class ArrowType(Enum):
    """Type of an output column, as Arrow calls it. Every date is a date32, every whole number an int64."""

    STRING = "string"
    INT64 = "int64"
    DOUBLE = "double"
    BOOL = "bool"
    DATE = "date32"
    STRINGS = "list<string>"
    INT64S = "list<int64>"
    DOUBLES = "list<double>"
    BOOLS = "list<bool>"
    STRING_LISTS = "list<list<string>>"


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One column of an output table.

    Attributes
    ----------
    name, type, meaning
        What it is called, what it holds and what it says.
    unit
        Of a number; empty for everything else.
    nullable
        A cell may be null; `meaning` says what that means. Cells of other columns are never null, and no
        number is ever NaN or infinite.
    choices
        The only words that occur; empty where any text may.
    """

    name: str
    type: ArrowType
    meaning: str
    unit: str = ""
    nullable: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputTable:
    """One table that other programs read.

    Attributes
    ----------
    name
        What the Parquet metadata call it (`tarifa.kind`).
    meaning, written_by
        What a row is, and the command that writes the table.
    columns
        In the order in which they are written.
    key
        Columns that identify a row; empty where rows may repeat.
    version
        Of this schema (`tarifa.schema` in the Parquet metadata).
    """

    name: str
    meaning: str
    written_by: str
    columns: tuple[OutputColumn, ...]
    key: tuple[str, ...]
    version: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in their order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> OutputColumn:
        """Return a column by name; raises :class:`UsageError` for one that is not declared."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UsageError(f"The output {self.name} has no column {name}.")
