"""Rows and cells of a platform's text export, streamed, every mistake named by file and row."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pricing.errors import DataError
from simulators.contract.files import text_form
from simulators.contract.shop_file import ShopFile

__all__ = ["Row", "amount_of", "header_of", "moment_of", "rows_of", "zone_of"]

_LARGEST = Decimal(10) ** 12
_NUMBER = re.compile(r"[+-]?\d+(\.\d{1,8})?", re.ASCII)
_SPACE_BEFORE_OFFSET = re.compile(r" ?(UTC|GMT|Z)$| (?=[+-]\d\d:?\d\d$)")
_CUT_SHORT = re.compile(r"\d([.,]\d+)?E\+\d+", re.ASCII)
_LONGEST = 1 << 24
"""Longest cell: a product's description may be a whole page; the csv module gives up at 131,072 letters."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, its cells by column.

    Attributes
    ----------
    place
        File and row, for messages; the header is row 1.
    cells
        Trimmed text; only of the columns that were asked for.
    """

    place: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return a cell; empty where the file has no such column."""
        return self.cells.get(column, "")

    def key(self, column: str) -> str:
        """Return what identifies something.

        Raises :class:`DataError` for a number that a spreadsheet program has cut short: 8.41E+12 may have
        been any of ten milliards.
        """
        text = self.text(column)
        if _CUT_SHORT.fullmatch(text):
            raise DataError(
                f"{self.place}, {column}: {text!r} is a number that a spreadsheet program has cut short.",
                why="Its last digits are gone, so nobody can tell which product or order it was.",
                todo="Export it again and import the file as it comes.",
            )
        return text

    def amount(self, column: str) -> Decimal:
        """Return a decimal amount; 0 for an empty cell. Raises :class:`DataError` for anything else."""
        return amount_of(self.text(column), f"{self.place}, {column}")

    def amount_or_none(self, column: str) -> Decimal | None:
        """Return a decimal amount, None for an empty cell."""
        return self.amount(column) if self.text(column) else None

    def moment(self, column: str) -> dt.datetime:
        """Return a time; raises :class:`DataError` where it is none or has no zone."""
        return moment_of(self.text(column), f"{self.place}, {column}")


def amount_of(text: str, place: str) -> Decimal:
    """Return a number as it is written with a decimal point; 0 for an empty text."""
    if not text:
        return Decimal(0)
    found = Decimal(text) if _NUMBER.fullmatch(text) else None
    if found is None or abs(found) > _LARGEST:
        raise DataError(
            f"{place}: {text[:40]!r} is not a number with a decimal point.",
            why="A platform writes 1234.50; a spreadsheet program may have changed it on saving.",
            todo="Export it again and import the file as it comes.",
        )
    return found


def moment_of(text: str, place: str) -> dt.datetime:
    """Return a time with its zone, as UTC."""
    try:
        plain = _SPACE_BEFORE_OFFSET.sub(lambda found: "+00:00" if found[1] else "", text)
        found = dt.datetime.fromisoformat(plain)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise DataError(
            f"{place}: {text[:40]!r} is not a time like 2025-03-03 10:15:00 +0100.",
            why="A platform writes the zone too; a spreadsheet program may have changed it on saving.",
            todo="Export it again and import the file as it comes.",
        )
    return found.astimezone(dt.UTC)


def header_of(path: Path) -> tuple[str, ...]:
    """Return the header of a text table, empty where it is not one."""
    csv.field_size_limit(_LONGEST)
    try:
        encoding, delimiter = text_form(path)
        with path.open(encoding=encoding, newline="") as stream:
            return tuple(cell.strip() for cell in next(csv.reader(stream, delimiter=delimiter), list[str]()))
    except (DataError, UnicodeError, csv.Error):
        return ()


def rows_of(path: Path, columns: frozenset[str]) -> Iterator[Row]:
    """Yield the rows of a CSV file, of the named columns only; empty lines are passed over.

    Raises
    ------
    DataError
        If it is not a regular table, or a row has more or fewer cells than the header.
    """
    csv.field_size_limit(_LONGEST)
    encoding, delimiter = text_form(path)
    try:
        with path.open(encoding=encoding, newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            header = [cell.strip() for cell in next(reader)]
            kept = [(i, name) for i, name in enumerate(header) if name in columns]
            for cells in reader:
                if not any(cells):
                    continue
                place = f"{path.name}, line {reader.line_num}"
                if len(cells) != len(header):
                    raise DataError(
                        f"{place} has {len(cells)} cells for {len(header)} columns.",
                        todo="Every line needs as many cells as the header. Export it again.",
                    )
                yield Row(place, {name: cells[i].strip() for i, name in kept})
    except (csv.Error, UnicodeDecodeError, StopIteration) as error:
        raise DataError(
            f"{path.name} is not a regular text table.", why=f"{error}.", todo="Export it again."
        ) from error


def zone_of(shop: ShopFile, country: str) -> str:
    """Return the zone of the shop file for a delivery country; empty means its first zone.

    With one zone everything is sold in it. With several the country decides; a country of none is passed on
    as it is, so that the check names the rows: nobody can tell their tax rate.
    """
    if len(shop.zones) == 1 or not country:
        return ""
    return next((zone.id for zone in shop.zones if zone.country == country.upper()), country.upper())
