"""Publishing by a shop's own product export: the same file comes back, only the changed prices are altered.

The export holds what the shop sells today, so it is at once the address book, the check that nobody changed a
price in between, and the former prices for an undo. The file that comes back is imported by hand in the
shop's admin pages, and the next export says whether it arrived.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from api.publishers.cells import Cells
from api.publishers.changes import (
    Cell,
    Line,
    LineState,
    Market,
    Preview,
    PriceChange,
    Publication,
    Reading,
    Refusal,
    Tag,
    asked_twice,
    checked_key,
    judged,
    read,
    refused,
)
from pricing.errors import DataError, UsageError
from simulators.folders import write_file

__all__ = ["ProductFile", "Shape", "columns"]


class Shape(Protocol):
    """What one platform's product export looks like, opened."""

    @property
    def name(self) -> str:
        """What the publisher is called in records."""
        ...

    @property
    def cells(self) -> Cells:
        """The file."""
        ...

    def rows(self, change: PriceChange) -> Sequence[int]:
        """Return the rows that a change may mean."""
        ...

    def tag(self, row: int) -> Tag | Refusal:
        """Return what the tag of a row says, or why that cannot be told."""
        ...

    def edits(self, row: int, tag: Tag) -> Mapping[int, str] | Refusal:
        """Return the cells that make a row's tag say another thing, by column, or why none can."""
        ...


def columns(cells: Cells, names: Mapping[str, Sequence[str]], needed: Sequence[str]) -> Mapping[str, int]:
    """Return the place of each known column by the name we call it.

    Parameters
    ----------
    cells
        The file.
    names
        What the platform calls it, in every language that it exports.
    needed
        Without which the file is not what it should be.

    Raises
    ------
    DataError
        If one of these is missing, or a column occurs twice.
    """
    header = cells.header
    found = {
        name: [i for i, title in enumerate(header) if title in spelled] for name, spelled in names.items()
    }
    missing = [names[name][0] for name in needed if not found[name]]
    if missing:
        raise DataError(
            f"The file has no column {', '.join(missing)}.",
            why=f"Its columns are {', '.join(header[:12])}{' ...' if len(header) > 12 else ''}.",
            todo="Give the product export as the shop wrote it, with all columns.",
        )
    twice = [header[places[0]] for places in found.values() if len(places) > 1]
    if twice:
        raise DataError(f"The file has the column {twice[0]} twice.", todo="Export the products again.")
    return {name: places[0] for name, places in found.items() if places}


@dataclass(frozen=True, slots=True)
class ProductFile:
    """A publisher that edits a product export.

    Attributes
    ----------
    shape
        The export, opened as what its platform writes.
    market
        Which prices it holds.
    target
        Where the edited file is written; it must not exist, or be what is written there. None: it can be
        previewed and read only.
    """

    shape: Shape
    market: Market
    target: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in records."""
        return self.shape.name

    def preview(self, changes: Sequence[PriceChange]) -> Preview:
        """Say exactly which cells would change, and which lines cannot be published and why."""
        return Preview(tuple(line for line, _ in self._planned(changes)))

    def edited(self, changes: Sequence[PriceChange]) -> bytes:
        """Return the file with all changes that can be made; every other byte is as it was."""
        return self._edited(self._planned(changes))

    def publish(self, changes: Sequence[PriceChange], *, key: str) -> Publication:
        """Write the edited file; what cannot be changed is a failed line and stands in it as before.

        Raises
        ------
        UsageError
            If no target was given, it is there already and holds something else, or it cannot be written.
        BusyError
            If another process writes it, or the disk is full.
        """
        key, planned = checked_key(key), self._planned(changes)
        if self.target is None:
            raise UsageError("No file was named to write the prices to.")
        _write(self.target, self._edited(planned))
        return Publication(key, self.name, tuple(_published(line) for line, _ in planned))

    def read_back(self, changes: Sequence[PriceChange]) -> tuple[Reading, ...]:
        """Say what this export says of each change; for a check, open one made after the import."""
        return tuple(read(change, self._found(change)[1]) for change in changes)

    def _found(self, change: PriceChange) -> tuple[int, Tag | Refusal]:
        rows = self.shape.rows(change)
        if len(rows) != 1:
            return -1, Refusal.DUPLICATE if rows else Refusal.MISSING
        whole = self.shape.cells.whole(rows[0])
        return rows[0], self.shape.tag(rows[0]) if whole else Refusal.UNREADABLE

    def _planned(self, changes: Sequence[PriceChange]) -> list[tuple[Line, Mapping[tuple[int, int], str]]]:
        twice = asked_twice(changes)
        found = [self._found(change) for change in changes]
        shared = {row for row, count in Counter(row for row, _ in found).items() if row >= 0 and count > 1}
        planned: list[tuple[Line, Mapping[tuple[int, int], str]]] = []
        for change, (row, tag) in zip(changes, found, strict=True):
            if row in shared or (change.product_id, change.zone) in twice:
                planned.append((refused(change, Refusal.ASKED_TWICE, _place(row)), {}))
            elif isinstance(tag, Refusal):
                planned.append((refused(change, tag, _place(row)), {}))
            else:
                planned.append(self._line(change, row, tag))
        return planned

    def _line(self, change: PriceChange, row: int, tag: Tag) -> tuple[Line, Mapping[tuple[int, int], str]]:
        line = judged(change, self.market, tag, _place(row))
        if line.state is not LineState.CHANGE:
            return line, {}
        edits = self.shape.edits(row, change.tag)
        if isinstance(edits, Refusal):
            return refused(change, edits, _place(row)), {}
        cells, header = self.shape.cells, self.shape.cells.header
        edits = {column: text for column, text in sorted(edits.items()) if text != cells.text(row, column)}
        said = tuple(Cell(header[column], cells.text(row, column), text) for column, text in edits.items())
        return replace(line, cells=said), {(row, column): text for column, text in edits.items()}

    def _edited(self, planned: Sequence[tuple[Line, Mapping[tuple[int, int], str]]]) -> bytes:
        every = {place: text for _, edits in planned for place, text in edits.items()}
        return self.shape.cells.replaced(every)


def _place(row: int) -> str:
    return "" if row < 0 else f"row {row + 1}"


def _published(line: Line) -> Line:
    return replace(line, state=LineState.PUBLISHED) if line.state is LineState.CHANGE else line


def _write(target: Path, content: bytes) -> None:
    """Put a file in its place whole or not at all; one with the same bytes may stand there already."""
    if target.is_file() and target.read_bytes() != content:
        raise UsageError(
            f"{target} exists already and holds something else.", todo="Name another file, or remove it."
        )
    write_file(target, content)
