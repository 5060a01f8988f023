"""WooCommerce's product CSV: the export of *Products > Export*, edited and imported with "update existing".

A row is a simple product or a variation; a variable product has no price of its own. The regular price is
what is crossed out where a sale price is set: an announced reduction and its "was" price. Amounts are written
as the shop shows them, with its own decimal sign. Columns are called in the language of the admin pages;
English and Spanish are read. Source: WooCommerce documentation, "Product CSV Importer and Exporter".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.publishers.cells import Cells
from api.publishers.changes import Market, PriceChange, Refusal, Tag
from api.publishers.numerals import Numerals
from api.publishers.product_files import ProductFile, columns
from pricing.errors import DataError
from pricing.money import Currency

__all__ = ["WooCommerceShape", "woocommerce_csv"]

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("ID",),
    "sku": ("SKU",),
    "sale": ("Sale price", "Precio rebajado"),
    "regular": ("Regular price", "Precio normal"),
    "sale_from": (
        "Date sale price starts",
        "Fecha en la que empieza el precio rebajado",
        "Día en que empieza el precio rebajado",
    ),
    "sale_to": (
        "Date sale price ends",
        "Fecha en la que termina el precio rebajado",
        "Día en que termina el precio rebajado",
    ),
}
_NEEDED = ("id", "sku", "sale", "regular")


@dataclass(frozen=True, slots=True)
class WooCommerceShape:
    """A WooCommerce export, opened.

    Attributes
    ----------
    cells, numerals
        The file, and how it writes amounts.
    place
        Column by our name.
    by_sku, by_id
        Rows by SKU and by number.
    """

    cells: Cells
    numerals: Numerals
    place: Mapping[str, int]
    by_sku: Mapping[str, Sequence[int]]
    by_id: Mapping[str, Sequence[int]]

    @property
    def name(self) -> str:
        """What the publisher is called in records."""
        return "woocommerce_csv"

    def rows(self, change: PriceChange) -> Sequence[int]:
        """Return the rows with the change's SKU; without any, those with its number."""
        known = change.known_as.platform_id.rpartition("/")[2]
        return self.by_sku.get(change.sku, ()) or (self.by_id.get(known, ()) if known else ())

    def tag(self, row: int) -> Tag | Refusal:
        """Return what shoppers see, as if every sale price ran: dates may begin or end it at any moment."""
        regular, sale = (self.cells.text(row, self.place[name]).strip() for name in ("regular", "sale"))
        if not regular:
            return Refusal.NO_PRICE
        try:
            price = self.numerals.read(regular)
            offered = self.numerals.read(sale) if sale else price
        except DataError:
            return Refusal.UNREADABLE
        return Tag(price, min(offered, price)) if price > 0 and offered > 0 else Refusal.NO_PRICE

    def edits(self, row: int, tag: Tag) -> Mapping[int, str] | Refusal:
        """Return regular and sale price; one that the new price would turn into a reduction is emptied."""
        regular, sale = (self.cells.text(row, self.place[name]) for name in ("regular", "sale"))
        dates = (
            self.cells.text(row, self.place[name]) for name in ("sale_from", "sale_to") if name in self.place
        )
        edits = {self.place["regular"]: self.numerals.write(tag.regular, regular)}
        if tag.reduced:
            if any(date.strip() for date in dates):
                return Refusal.SALE_DATES
            edits[self.place["sale"]] = self.numerals.write(tag.offered, sale if sale.strip() else regular)
        elif sale.strip() and self.numerals.read(sale) < tag.regular:
            edits[self.place["sale"]] = ""
        return edits


def woocommerce_csv(
    export: bytes, market: Market, target: Path | None = None, *, decimal: str | None = None
) -> ProductFile:
    """Open a WooCommerce product export.

    Parameters
    ----------
    export
        Its bytes.
    market
        Whose prices it holds: the shop's currency, and the basis in which prices are entered there.
    target
        Where the edited file goes.
    decimal
        The shop's decimal sign; None: as the file's prices tell.

    Raises
    ------
    DataError
        If it is no WooCommerce product export, is damaged, or does not tell its decimal sign.
    """
    cells = Cells.of(export, [name for names in _NAMES.values() for name in names])
    place = columns(cells, _NAMES, _NEEDED)
    body = range(1, len(cells))
    prices = [cells.text(row, place[name]) for row in body for name in ("regular", "sale")]
    numerals = Numerals.of(prices, Currency.of(market.currency), decimal)
    by_sku: dict[str, list[int]] = defaultdict(list)
    by_id: dict[str, list[int]] = defaultdict(list)
    for row in body:
        for name, rows in (("sku", by_sku), ("id", by_id)):
            said = cells.text(row, place[name]).strip()
            if said:
                rows[said].append(row)
    return ProductFile(WooCommerceShape(cells, numerals, place, by_sku, by_id), market, target)
