"""Cost and stock sheets as shops keep them: header anywhere, titles above, totals below, odd columns.

What was found out (encoding, mark between cells, header, columns, decimal mark, order of dates) is handed
back beside the rows, so that a person can confirm it before anything is written. Only the columns that are
needed are kept; everything else is listed by name.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pricing.errors import DataError, UsageError
from simulators.contract.cells import LARGEST
from simulators.contract.workbooks import Cell
from simulators.importers.sheet_cells import (
    DAY_FIRST,
    Amount,
    Reading,
    amount,
    date_order,
    decimal_mark,
    moment,
)
from simulators.importers.sheet_grid import (
    Body,
    Header,
    Meaning,
    Words,
    candidates,
    cell_text,
    texts_of,
    with_header,
)
from simulators.importers.suggestions import normalised

__all__ = ["Left", "Sheet", "SheetRow", "WhyLeft", "read_sheet"]

_KEYS = (
    "sku", "ref", "referencia", "reference", "codigo", "cod", "code", "ean", "ean13", "gtin", "upc",
    "barcode", "codigo_de_barras", "codigo_barras", "id", "id_producto", "id_articulo",
    "codigo_articulo", "cod_articulo", "codigo_producto", "articulo", "product_code", "item",
    "item_number", "item_no", "variant_sku", "product_sku", "sku_variante", "numero_de_articulo", "mpn",
    "cod_producto",
)  # fmt: skip
"""Names under which a column may hold what a product is called, beside those of the data contract."""

_TOTALS = ("total", "totales", "totals", "suma", "sum", "subtotal", "total_general", "grand_total")


class WhyLeft(enum.StrEnum):
    """Why a row of a sheet was left behind."""

    TOTAL = "total"
    NO_PRODUCT = "no_product"
    NOT_IN_PRODUCTS = "not_in_products"
    NO_NUMBER = "no_number"
    NOT_A_NUMBER = "not_a_number"
    OTHER_CURRENCY = "other_currency"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"
    UNKNOWN_ZONE = "unknown_zone"
    NOT_A_DATE = "not_a_date"
    IN_FUTURE = "in_future"
    REPEATED = "repeated"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row that says something of one product.

    Attributes
    ----------
    number
        As a spreadsheet program counts it, from 1.
    product_id
        The product that it was matched to.
    value
        Cost net of tax, or units on hand.
    at
        When, in the shop's own time.
    zone
        Empty where the sheet does not say.
    """

    number: int
    product_id: str
    value: Decimal
    at: dt.datetime
    zone: str


@dataclass(frozen=True, slots=True)
class Left:
    """One row that was left behind, and why.

    Attributes
    ----------
    number, key
        Row of the sheet, and what it calls its product.
    why
        The reason.
    """

    number: int
    key: str
    why: WhyLeft


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet, read.

    Attributes
    ----------
    path, sheet
        The file; the workbook's sheet, or empty.
    encoding, delimiter
        Of a text file; else empty.
    header
        Row number of the header.
    columns
        The sheet's own column name by column of the contract.
    not_read
        Names of all other columns.
    decimal, dates
        How numbers and days had to be read.
    rows, left
        What it says, and the rows that say nothing usable; blank ones and titles above are in neither.
    """

    path: Path
    sheet: str
    encoding: str
    delimiter: str
    header: int
    columns: Mapping[str, str]
    not_read: tuple[str, ...]
    decimal: Reading
    dates: Reading
    rows: tuple[SheetRow, ...]
    left: tuple[Left, ...]


def read_sheet(path: Path, meaning: Meaning, words: Words, product_of: Callable[[str], str | None]) -> Sheet:
    """Read a sheet of costs or of stock.

    Parameters
    ----------
    path
        CSV (any delimiter; UTF-8, UTF-16 or Windows-1252) or XLSX.
    meaning
        :data:`simulators.importers.sheet_grid.COSTS` or ``STOCK``.
    words
        What the caller says of it.
    product_of
        Returns the product that a key means, or None.

    Raises
    ------
    UsageError
        If something in it has two readings and nobody has said which holds.
    DataError
        If no header or no product is found in it, or it cannot be read.
    """
    grid, header = with_header(path, meaning, words)
    body = [(n, cells) for n, cells in grid.rows[header.place + 1 :] if texts_of(cells) != header.names]
    places = _places(path, meaning, header, words)
    places["product_id"] = _key_place(path, header, body, words, places, product_of)
    at, value = places.get(meaning.time), places[meaning.value]
    decimal = decimal_mark(_column(body, value), words.decimal, header.names[value], path.name)
    dates = Reading()
    if at is not None:
        dates = date_order(_column(body, at), words.dates, header.names[at], path.name)
    reader = _Reader(meaning, places, words, decimal.choice or ".", dates.choice, product_of)
    rows, left = _once(*_read_rows(path, body, reader))
    names = {column: header.names[place] for column, place in places.items()}
    others = tuple(n for place, n in enumerate(header.names) if n and place not in places.values())
    return Sheet(
        path,
        grid.sheet,
        grid.encoding,
        grid.delimiter,
        header.number,
        names,
        others,
        decimal,
        dates,
        rows,
        left,
    )


def _places(path: Path, meaning: Meaning, header: Header, words: Words) -> dict[str, int]:
    places: dict[str, int] = {}
    for column in (meaning.value, meaning.time, "zone", "currency"):
        found = candidates(meaning, column, header.names, words)
        if len(found) > 1:
            raise UsageError(
                f"{path.name}: {' and '.join(header.names[place] for place in found)} may both be {column}.",
                todo=f"Say which one with --column {column}=YOURS; rename columns of one name first.",
            )
        if column in words.columns and not found:
            raise _absent(path, header, words.columns[column])
        places |= dict.fromkeys([column] if found else [], found[0] if found else 0)
    return places


def _absent(path: Path, header: Header, own: str) -> UsageError:
    names = ", ".join(name for name in header.names if name)
    return UsageError(f"{path.name} has no column {own}.", todo=f"Row {header.number} has: {names}.")


def _key_place(
    path: Path,
    header: Header,
    body: Body,
    words: Words,
    places: Mapping[str, int],
    product_of: Callable[[str], str | None],
) -> int:
    """Return the column whose cells mean the most products; its name only says where to look first."""
    if "product_id" in words.columns:
        said = normalised(words.columns["product_id"])
        for place, name in enumerate(header.names):
            if name and normalised(name) == said:
                return place
        raise _absent(path, header, words.columns["product_id"])
    free = [place for place, name in enumerate(header.names) if name and place not in places.values()]
    named = [place for place in free if normalised(header.names[place]) in (*_KEYS, "product_id", "product")]
    for looked_at in (named, free):
        meant = {place: [product_of(cell_text(cell)) for cell in _column(body, place)] for place in looked_at}
        counts = {place: len(keys) - keys.count(None) for place, keys in meant.items()}
        best = [place for place, count in counts.items() if count == max(counts.values()) > 0]
        if len({tuple(meant[place]) for place in best}) > 1:
            raise UsageError(
                f"{path.name}: {' and '.join(header.names[place] for place in best)} name as many products.",
                why="They name different ones.",
                todo="Say which one counts with --column product_id=YOURS.",
            )
        if best:
            return best[0]
    raise DataError(
        f"No column of {path.name} names a product of the data folder.",
        why=f"Row {header.number} is its header; {len(body)} rows below it were compared.",
        todo="Check that the data folder is that of this shop, or add product_aliases.",
    )


def _column(body: Body, place: int) -> list[Cell]:
    return [cells[place] if place < len(cells) else None for _, cells in body]


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one row is read."""

    meaning: Meaning
    places: Mapping[str, int]
    words: Words
    decimal: str
    dates: str
    product_of: Callable[[str], str | None]

    def cell(self, cells: Sequence[Cell], column: str) -> Cell:
        place = self.places.get(column)
        return cells[place] if place is not None and place < len(cells) else None

    def read(self, number: int, cells: Sequence[Cell]) -> SheetRow | Left:
        """Return what a row says, or why it says nothing."""
        key = cell_text(self.cell(cells, "product_id"))
        product = self.product_of(key) if key else None
        if product is None:
            if any(normalised(text) in _TOTALS for text in texts_of(cells) if text):
                return Left(number, key, WhyLeft.TOTAL)
            return Left(number, key, WhyLeft.NOT_IN_PRODUCTS if key else WhyLeft.NO_PRODUCT)
        written = self.cell(cells, self.meaning.value)
        found = amount(written, self.decimal)
        if found is None:
            return Left(number, key, WhyLeft.NOT_A_NUMBER if cell_text(written) else WhyLeft.NO_NUMBER)
        zone = cell_text(self.cell(cells, "zone"))
        why = self._wrong(found, zone, cell_text(self.cell(cells, "currency")))
        at = self._at(cells)
        if at is None:
            return Left(number, key, why or WhyLeft.NOT_A_DATE)
        if self.words.unseen is not None and self.meaning.past and at.date() >= self.words.unseen:
            why = why or WhyLeft.IN_FUTURE
        return Left(number, key, why) if why else SheetRow(number, product, found.value, at, zone)

    def _wrong(self, found: Amount, zone: str, currency: str) -> WhyLeft | None:
        said = (currency.upper(),) if currency else found.currencies
        if said and self.words.currency not in said:
            return WhyLeft.OTHER_CURRENCY
        if found.value < 0:
            return WhyLeft.NEGATIVE
        if found.value > LARGEST:
            return WhyLeft.TOO_LARGE
        return WhyLeft.UNKNOWN_ZONE if zone and zone not in self.words.zones else None

    def _at(self, cells: Sequence[Cell]) -> dt.datetime | None:
        written = self.cell(cells, self.meaning.time)
        if cell_text(written):
            return moment(written, self.dates or DAY_FIRST)
        day = self.words.day
        if day is None:
            raise UsageError(
                "Rows of the sheet have no date, and no day was said for them.",
                why=f"{self.meaning.value} holds from a day on, which nobody can tell from the sheet.",
                todo="Say it with --day, like --day 2026-11-01.",
            )
        return dt.datetime.combine(day, dt.time())


def _read_rows(path: Path, body: Body, reader: _Reader) -> tuple[list[SheetRow], list[Left]]:
    rows: list[SheetRow] = []
    left: list[Left] = []
    for number, cells in body:
        found = reader.read(number, cells)
        if isinstance(found, Left):
            left.append(found)
        else:
            rows.append(found)
    if not rows:
        reasons = ", ".join(sorted({entry.why for entry in left}))
        raise DataError(
            f"No row of {path.name} can be used.",
            why=f"{len(left)} rows: {reasons}." if left else "There is nothing below its header.",
            todo="Check the columns; --column names them.",
        )
    return rows, left


def _once(rows: list[SheetRow], left: list[Left]) -> tuple[tuple[SheetRow, ...], tuple[Left, ...]]:
    """Keep one of the rows that say the same; of rows that contradict each other none is taken."""
    by_key: dict[tuple[str, dt.datetime, str], list[SheetRow]] = {}
    for row in rows:
        by_key.setdefault((row.product_id, row.at, row.zone), []).append(row)
    kept: list[SheetRow] = []
    for same in by_key.values():
        first, *others = same
        agree = len({row.value for row in same}) == 1
        kept += [first] if agree else []
        why = WhyLeft.REPEATED if agree else WhyLeft.CONTRADICTS
        left += [Left(row.number, row.product_id, why) for row in (others if agree else same)]
    left.sort(key=lambda entry: entry.number)
    return tuple(kept), tuple(left)
