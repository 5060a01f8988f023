"""Shopify's product CSV: the export of *Products > Export*, edited and imported again with "overwrite".

A variant's row holds its SKU, its price (what is paid) and a compare-at price; where that is higher, shoppers
see it crossed out: an announced reduction, whose "was" price it is. A row without a price is a further
picture of the product. Columns have been called two ways (``Variant Price`` and ``Price``); both are read.
Shopify writes amounts with a point, and puts an apostrophe in front of some SKUs. Source: Shopify Help
Center, "Using CSV files to import and export products".
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

__all__ = ["ShopifyShape", "shopify_csv"]

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "handle": ("Handle", "URL handle"),
    "option1": ("Option1 Value", "Option1 value"),
    "option2": ("Option2 Value", "Option2 value"),
    "option3": ("Option3 Value", "Option3 value"),
    "sku": ("Variant SKU", "SKU"),
    "price": ("Variant Price", "Price"),
    "compare": ("Variant Compare At Price", "Compare-at price"),
}
_NEEDED = ("handle", "sku", "price", "compare")


@dataclass(frozen=True, slots=True)
class ShopifyShape:
    """A Shopify export, opened.

    Attributes
    ----------
    cells, numerals
        The file, and how it writes amounts.
    place
        Column by our name.
    by_sku, by_options
        Rows by SKU, and by handle and option values.
    """

    cells: Cells
    numerals: Numerals
    place: Mapping[str, int]
    by_sku: Mapping[str, Sequence[int]]
    by_options: Mapping[tuple[str, ...], Sequence[int]]

    @property
    def name(self) -> str:
        """What the publisher is called in records."""
        return "shopify_csv"

    def rows(self, change: PriceChange) -> Sequence[int]:
        """Return the rows with the change's SKU; without any, those with its handle and options."""
        known = change.known_as
        options = (known.handle, *known.options)
        return self.by_sku.get(change.sku, ()) or (self.by_options.get(options, ()) if known.handle else ())

    def tag(self, row: int) -> Tag | Refusal:
        """Return what shoppers see: a compare-at price that is higher than the price is its "was" price."""
        price, compare = (self.cells.text(row, self.place[name]).strip() for name in ("price", "compare"))
        if not price:
            return Refusal.NO_PRICE
        try:
            offered = self.numerals.read(price)
            was = self.numerals.read(compare) if compare else 0
        except DataError:
            return Refusal.UNREADABLE
        return Tag(max(offered, was), offered) if offered > 0 else Refusal.NO_PRICE

    def edits(self, row: int, tag: Tag) -> Mapping[int, str] | Refusal:
        """Return price and compare-at price; one that would turn the price into a reduction is emptied."""
        price, compare = (self.cells.text(row, self.place[name]) for name in ("price", "compare"))
        edits = {self.place["price"]: self.numerals.write(tag.offered, price)}
        was = self.numerals.read(compare) if compare.strip() else 0
        if tag.reduced:
            like = compare if compare.strip() else price
            edits[self.place["compare"]] = self.numerals.write(tag.regular, like)
        elif was > min(tag.offered, self.numerals.read(price)):
            edits[self.place["compare"]] = ""
        return edits


def shopify_csv(export: bytes, market: Market, target: Path | None = None) -> ProductFile:
    """Open a Shopify product export.

    Parameters
    ----------
    export
        Its bytes.
    market
        Whose prices it holds: the shop's main currency, and the basis in which prices are entered there.
    target
        Where the edited file goes.

    Raises
    ------
    DataError
        If it is no Shopify product export, is damaged, or writes amounts other than with a point.
    """
    cells = Cells.of(export, [name for names in _NAMES.values() for name in names])
    place = columns(cells, _NAMES, _NEEDED)
    body = range(1, len(cells))
    prices = [cells.text(row, place[name]) for row in body for name in ("price", "compare")]
    numerals = Numerals.of(prices, Currency.of(market.currency), ".")
    by_sku: dict[str, list[int]] = defaultdict(list)
    by_options: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in body:
        if not cells.text(row, place["price"]).strip():
            continue
        sku = cells.text(row, place["sku"]).strip().removeprefix("'")
        if sku:
            by_sku[sku].append(row)
        options = [
            cells.text(row, place[name]).strip()
            for name in ("option1", "option2", "option3")
            if name in place
        ]
        while options and not options[-1]:
            options.pop()
        by_options[(cells.text(row, place["handle"]).strip(), *options)].append(row)
    return ProductFile(ShopifyShape(cells, numerals, place, by_sku, by_options), market, target)
