"""A workbook for people who type prices by hand, and the price table that says what they typed.

One sheet, a row a change: what the price is, what it shall be, by how much that is, and why; what cannot be
published stands there too, without a new price and with its reason. Amounts are numbers in the sheet, so that
they can be sorted and copied; text is text even where it begins like a formula. The same changes give the
same bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import openpyxl
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from api.publishers.cells import Cells
from api.publishers.changes import (
    Line,
    LineState,
    Preview,
    PriceChange,
    Publication,
    Reading,
    Refusal,
    Tag,
    checked_key,
    read,
    unasked,
)
from api.publishers.numerals import Numerals
from api.texts import LANGUAGES, Texts, texts
from pricing.errors import DataError, UsageError
from pricing.money import Currency
from simulators.contract.workbooks import workbook_rows
from simulators.folders import write_file

__all__ = ["PriceTable", "PriceWorkbook"]

_COLUMNS = (
    "product", "sku", "zone", "current", "new", "reduced_to", "change", "change_percent", "currency", "basis",
    "reason",
)  # fmt: skip
_WIDTHS = {"product": 22, "sku": 18, "reason": 70}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_READ: Mapping[str, tuple[str, ...]] = {
    "product": ("product_id", "sku", "variant sku"),
    "zone": (),
    "new": ("price", "regular_price", "regular price", "variant price"),
    "reduced_to": ("offered_price", "sale_price", "sale price"),
}
"""Headings that are read beside our own, in small letters."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices as a table says them: of a workbook or CSV that a shop or a person made.

    Attributes
    ----------
    rows
        Product, zone (empty: any), regular price and reduced price as they stand there.
    """

    rows: tuple[tuple[str, str, str, str], ...]

    @staticmethod
    def of(path: Path) -> PriceTable:
        """Read a workbook's first sheet or a CSV file.

        Its first row names the columns: product_id or SKU, price, and where they are needed zone and sale
        price; headings of our own workbook are known in every language.

        Raises
        ------
        DataError
            If it cannot be read, or has no column for product or price.
        """
        spelled = {name: _spelled(name) for name in _READ}
        try:
            grid = _sheet(path) if path.suffix.lower() == ".xlsx" else _csv(path, spelled)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        header = [cell.strip().lower() for cell in grid[0]] if grid else []
        place = {
            name: next((i for i, title in enumerate(header) if title in names), None)
            for name, names in spelled.items()
        }
        if place["product"] is None or place["new"] is None:
            raise DataError(
                f"{path.name} has no column for the product or for its price.",
                why=f"Its first row says {', '.join(header[:12]) or 'nothing'}.",
                todo="Call them product_id and price.",
            )
        order = [place[name] for name in ("product", "zone", "new", "reduced_to")]
        body = (tuple(_at(row, column) for column in order) for row in grid[1:] if any(row))
        return PriceTable(tuple((product, zone, price, sale) for product, zone, price, sale in body))

    def readings(self, changes: Sequence[PriceChange]) -> tuple[Reading, ...]:
        """Say what the table says of each change; by product, SKU and zone."""
        by_product: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
        for row in self.rows:
            by_product[row[0]].append(row)
        prices = [price for row in self.rows for price in row[2:]]
        sign = "." if _pointed(prices) else None
        codes = {change.currency for change in changes}
        numerals = {code: Numerals.of(prices, Currency.of(code), sign) for code in codes}
        return tuple(read(change, _tag(change, by_product, numerals[change.currency])) for change in changes)


@dataclass(frozen=True, slots=True)
class PriceWorkbook:
    """A publisher that writes a workbook.

    Attributes
    ----------
    target
        Where it is written; it must not exist, or be what is written there. None: nothing is written.
    words
        In the language of whoever types the prices.
    table
        Prices as the shop says them afterwards; None: nothing can be read back.
    """

    target: Path | None
    words: Texts
    table: PriceTable | None = None

    @property
    def name(self) -> str:
        """What it is called in records."""
        return "workbook"

    def preview(self, changes: Sequence[PriceChange]) -> Preview:
        """Say which prices would be asked for; the price decided on is taken to be the one in force."""
        return unasked(changes)

    def publish(self, changes: Sequence[PriceChange], *, key: str) -> Publication:
        """Write the workbook; a line is published when it stands there, and done when somebody has typed it.

        Raises
        ------
        UsageError
            If there is no target, or the file is there already and holds something else.
        """
        if self.target is None:
            raise UsageError("This workbook was opened to be read only.")
        key, lines = checked_key(key), self.preview(changes).lines
        content = _book(changes, lines, self.words)
        if self.target.is_file() and self.target.read_bytes() != content:
            raise UsageError(
                f"{self.target} exists already and holds something else.",
                todo="Name another file, or remove it.",
            )
        write_file(self.target, content)
        done = (_typed(line, row) for row, line in enumerate(lines, 2))
        return Publication(key, self.name, tuple(done))

    def read_back(self, changes: Sequence[PriceChange]) -> tuple[Reading, ...]:
        """Say what the price table says; without one, that nothing can be read."""
        if self.table is None:
            return tuple(read(change, Refusal.CANNOT_READ) for change in changes)
        return self.table.readings(changes)


def _typed(line: Line, row: int) -> Line:
    if line.state is not LineState.CHANGE:
        return line
    return replace(line, state=LineState.PUBLISHED, where=f"row {row}")


def _book(changes: Sequence[PriceChange], lines: Sequence[Line], words: Texts) -> bytes:
    book = openpyxl.Workbook()
    sheet = cast("Any", book.active)
    sheet.title = words.text("publish", "sheet")
    sheet.freeze_panes = "B2"
    for column, name in enumerate(_COLUMNS, 1):
        cell = sheet.cell(1, column, words.text("publish", name))
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="top")
        sheet.column_dimensions[get_column_letter(column)].width = _WIDTHS.get(name, 12)
    for row, (change, line) in enumerate(zip(changes, lines, strict=True), 2):
        for column, (value, form) in enumerate(_row(change, line, words), 1):
            cell = sheet.cell(row, column)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"  # also where it begins with "="
            cell.number_format = form
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(_COLUMNS))}{len(lines) + 1}"
    return _bytes(book)


def _row(change: PriceChange, line: Line, words: Texts) -> list[tuple[str | Decimal | None, str]]:
    money = Currency.of(change.currency)
    form = "0." + "0" * money.exponent if money.exponent else "0"

    def amount(minor: int | None) -> tuple[Decimal | None, str]:
        return None if minor is None else Decimal(money.decimal(minor)), form

    asked = line.state is LineState.CHANGE
    rise = change.regular_new - change.regular_now
    share = Decimal(rise) / change.regular_now if asked and change.regular_now > 0 else None
    why = change.reason if line.why is None else words.text("publish_why", line.why.value)
    text = "@"
    return [
        (change.product_id, text),
        (change.known_as.sku or None, text),
        (change.zone, text),
        amount(change.regular_now),
        amount(change.regular_new if asked else None),
        amount(change.offered_new if asked and change.tag.reduced else None),
        amount(rise if asked else None),
        (None if share is None else share.quantize(Decimal("0.0001")), "0.0%"),
        (change.currency, text),
        (words.text("publish", change.basis), text),
        (why or None, text),
    ]


def _bytes(book: Any) -> bytes:
    """Return a workbook without the moment in which it was made."""
    draft, out = io.BytesIO(), io.BytesIO()
    book.properties.creator = "Tarifa"
    book.save(draft)
    with zipfile.ZipFile(draft) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = _CORE
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return out.getvalue()


_CORE = (
    b'<?xml version="1.0" encoding="UTF-8"?><cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/'
    b'package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>Tarifa'
    b"</dc:creator></cp:coreProperties>"
)


def _spelled(name: str) -> set[str]:
    own = {texts(language).text("publish", name).lower() for language in LANGUAGES}
    return own | set(_READ[name])


def _sheet(path: Path) -> list[list[str]]:
    return [["" if cell is None else _written(cell) for cell in row] for row in workbook_rows(path)]


def _written(cell: str | float) -> str:
    """Return a number as the shortest text that means it, without the dust of binary fractions."""
    if isinstance(cell, str):
        return cell.strip()
    return f"{round(cell, 9):.9f}".rstrip("0").rstrip(".")


def _csv(path: Path, spelled: Mapping[str, set[str]]) -> list[list[str]]:
    wanted = {name for names in spelled.values() for name in names}
    content = path.read_bytes()
    cells = Cells.of(content, [*wanted, *(name.capitalize() for name in wanted)])
    widths = [range(len(spans)) for spans in cells.spans]
    return [[cells.text(row, column).strip() for column in width] for row, width in enumerate(widths)]


def _pointed(prices: Sequence[str]) -> bool:
    """Return whether prices have no comma: then a point is decimal, as a workbook's numbers have it."""
    return not any("," in price for price in prices)


def _at(row: Sequence[str], column: int | None) -> str:
    return "" if column is None or column >= len(row) else row[column]


def _tag(
    change: PriceChange, by_product: Mapping[str, Sequence[tuple[str, str, str, str]]], numerals: Numerals
) -> Tag | Refusal:
    known = by_product.get(change.product_id) or by_product.get(change.sku) or ()
    rows = [row for row in known if row[1] in ("", change.zone)]
    if len(rows) != 1:
        return Refusal.DUPLICATE if rows else Refusal.MISSING
    _, _, price, sale = rows[0]
    if not price:
        return Refusal.NO_PRICE
    try:
        regular = numerals.read(price)
        return Tag(regular, min(regular, numerals.read(sale)) if sale else regular)
    except DataError:
        return Refusal.UNREADABLE
