"""How sheets of costs and stock were read when somebody confirmed it, kept for the next ones of their kind.

A later sheet is read the same way or not at all: another header, or a number or day that only another reading
explains, is refused. Nobody looks at a sheet that a timer imports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pricing.errors import ArtifactError, DataError
from simulators.contract.workbooks import Cell, sheet_names
from simulators.importers.sheet_cells import DAY_FIRST, MONTH_FIRST, amount, moment
from simulators.importers.sheet_grid import Meaning, Words, with_header
from simulators.importers.sheets import Sheet, read_sheet

__all__ = [
    "READINGS_FILE", "SheetReading", "confirmed_reading", "read_again", "readings_of", "readings_with",
]  # fmt: skip

READINGS_FILE = "sheets.json"
"""Where a data folder, and a home of cycles, keeps them."""

_SCHEMA = 1
_CONFIRM = (
    "Look at it with `tarifa import SHEET --as KIND --before DATA --out NEW`, confirm it there, and copy "
    "NEW/sheets.json into the home."
)


@dataclass(frozen=True, slots=True)
class SheetReading:
    """How one kind of sheet was read.

    Attributes
    ----------
    header
        Names of all columns, ascending.
    columns
        The sheet's own column name by column of the contract.
    decimal, dates
        Decimal mark, and order of days; empty where nothing in the sheet depended on it.
    sheet
        Name of the workbook's sheet; empty: its first, or no workbook.
    """

    header: tuple[str, ...]
    columns: Mapping[str, str]
    decimal: str
    dates: str
    sheet: str

    @staticmethod
    def of(found: Sheet) -> SheetReading:
        """Return how a sheet was read."""
        first = not found.sheet or sheet_names(found.path)[0] == found.sheet
        return SheetReading(
            tuple(sorted((*found.columns.values(), *found.not_read))),
            dict(found.columns),
            found.decimal.choice,
            found.dates.choice,
            "" if first else found.sheet,
        )


def readings_of(folder: Path) -> Mapping[str, SheetReading]:
    """Return the readings that a folder keeps, by kind of sheet; empty where it keeps none.

    Raises
    ------
    ArtifactError
        If the file is not readable, or of a newer schema.
    """
    place = folder / READINGS_FILE
    try:
        body: dict[str, Any] = json.loads(place.read_bytes())
        if int(body["schema"]) > _SCHEMA:
            raise ArtifactError(f"{place} has schema {body['schema']}.", todo="Update Tarifa.")
        return {
            str(kind): SheetReading(
                tuple(map(str, found["header"])),
                {str(column): str(own) for column, own in found["columns"].items()},
                *(str(found[name]) for name in ("decimal", "dates", "sheet")),
            )
            for kind, found in body["sheets"].items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{place} is not readable.", why=f"{type(error).__name__}: {error}.", todo=_CONFIRM
        ) from error


def confirmed_reading(folder: Path, kind: str, path: Path) -> SheetReading:
    """Return how a sheet is read; raises :class:`DataError` where the folder keeps no reading of its kind."""
    found = readings_of(folder).get(kind)
    if found is None:
        raise DataError(
            f"Nobody has confirmed how {path.name} is read as {kind}.",
            why="A wrong column of costs makes every price wrong.",
            todo=_CONFIRM,
        )
    return found


def readings_with(folder: Path, sheets: Sequence[tuple[Meaning, Sheet]]) -> bytes:
    """Return the readings of a folder as bytes, those of `sheets` added or put in their place."""
    known = {**readings_of(folder), **{meaning.name: SheetReading.of(sheet) for meaning, sheet in sheets}}
    body = {"schema": _SCHEMA, "sheets": {kind: asdict(found) for kind, found in known.items()}}
    return (json.dumps(body, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()


def read_again(
    path: Path,
    meaning: Meaning,
    words: Words,
    product_of: Callable[[str], str | None],
    confirmed: SheetReading,
) -> Sheet:
    """Read a sheet as one of its kind was confirmed; arguments and errors as :func:`read_sheet`.

    Raises
    ------
    DataError
        Also if its header is another one, or a cell needs another reading.
    """
    said = replace(
        words,
        columns=confirmed.columns,
        decimal=confirmed.decimal,
        dates=confirmed.dates,
        sheet=confirmed.sheet,
    )
    _require_header(path, meaning, said, confirmed)
    return read_sheet(path, meaning, said, product_of)


def _require_header(path: Path, meaning: Meaning, words: Words, confirmed: SheetReading) -> None:
    try:
        grid, header = with_header(path, meaning, words)
    except DataError as error:
        raise _changed(path, confirmed, error.what) from error
    names = tuple(sorted(name for name in header.names if name))
    if names != confirmed.header:
        raise _changed(path, confirmed, f"It is: {', '.join(names)}.")
    place = {name: i for i, name in enumerate(header.names)}
    body = [row for _, row in grid.rows[header.place + 1 :]]
    for column, choice, others, read in (
        (meaning.value, confirmed.decimal, (",", "."), amount),
        (meaning.time, confirmed.dates, (DAY_FIRST, MONTH_FIRST), moment),
    ):
        own = confirmed.columns.get(column)
        if own in place and choice:
            cells = [row[place[own]] for row in body if place[own] < len(row)]
            _require_read(path, own, cells, choice, others, read)


def _require_read(
    path: Path,
    own: str,
    cells: Sequence[Cell],
    choice: str,
    choices: Sequence[str],
    read: Callable[[Cell, str], object],
) -> None:
    """Refuse a column in which a cell makes sense in another reading than the confirmed one only."""
    for cell in cells:
        if not isinstance(cell, str):
            continue
        if read(cell, choice) is None and any(read(cell, other) is not None for other in choices):
            raise DataError(
                f"{path.name}: {cell.strip()} in the column {own} is written another way than was confirmed.",
                why=f"It was read with {choice!r}; so read it is nothing, and other cells may be wrong.",
                todo=f"Write it as before. {_CONFIRM}",
            )


def _changed(path: Path, confirmed: SheetReading, why: str) -> DataError:
    return DataError(
        f"The header of {path.name} is not the one that was confirmed.",
        why=f"That was: {', '.join(confirmed.header)}. {why}",
        todo=f"Put the header back. {_CONFIRM}",
    )
