"""Ways out: which publisher a shop has chosen, and under which names a platform knows its products."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from api.publishers.changes import Identity, Market, Publisher
from api.publishers.shopify_csv import shopify_csv
from api.publishers.woocommerce_csv import woocommerce_csv
from pricing.errors import DataError, UsageError
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import open_source

__all__ = ["Address", "addresses", "market_of", "open_publisher"]

_SHOPIFY_HANDLE = "shopify:handle:"
_WOO_NUMBERS = ("woocommerce:product:", "woocommerce:variation:")
_FILES = ("shopify_csv", "woocommerce_csv")


@dataclass(frozen=True, slots=True)
class Address:
    """A product that carries the price of its group, and what the platform may know it by."""

    product_id: str
    known_as: Identity


def addresses(data: Path, today: dt.datetime) -> Mapping[str, tuple[Address, ...]]:
    """Return the products of every price group, in ascending order, from a data folder."""
    with open_source(data, today=today, only=("products", "product_aliases")) as source:
        rows = source.engine.rows(_PRODUCTS)
        known: dict[str, list[str]] = {}
        if source.has("product_aliases"):
            for product, key in source.engine.rows(_ALIASES):
                known.setdefault(str(product), []).append(str(key))
    found: dict[str, list[Address]] = {}
    for group, product in rows:
        found.setdefault(str(group), []).append(
            Address(str(product), _identity(str(product), known.get(str(product), [])))
        )
    return {group: tuple(each) for group, each in found.items()}


_PRODUCTS = """
    SELECT coalesce(price_group, product_id), product_id FROM products
    WHERE kind = 'merchandise' ORDER BY 1, 2
"""
_ALIASES = "SELECT product_id, source_key FROM product_aliases ORDER BY product_id, valid_from, source_key"


def _identity(product: str, keys: list[str]) -> Identity:
    handle, number = "", ""
    options: tuple[str, ...] = ()
    for key in keys:
        if key.startswith(_SHOPIFY_HANDLE):
            handle, _, rest = key.removeprefix(_SHOPIFY_HANDLE).partition(":")
            options = tuple(rest.split("/")) if rest else ()
        elif key.startswith(_WOO_NUMBERS):
            number = key.rpartition(":")[2]
    return Identity(product, handle, options, number)


def market_of(shop: ShopFile) -> Market:
    """Return which prices the platform holds; raises :class:`UsageError` for a shop of several zones."""
    zone, *others = shop.zones
    if others:
        raise UsageError(
            f"The shop has {1 + len(others)} zones.",
            why="A platform's product export holds the prices of one.",
            todo="Publish zone by zone from the recommendations file; a cycle does it for one zone.",
        )
    return Market(zone.id, shop.currency, "gross" if zone.prices_include_tax else "net")


def open_publisher(shop: ShopFile, exports: tuple[Path, ...], target: Path | None) -> Publisher:
    """Open the way out that the shop file names.

    Parameters
    ----------
    shop
        Settings.
    exports
        Product exports of the platform; the CSV among them is edited.
    target
        File to write; None: it is only read.

    Raises
    ------
    UsageError
        If no way out is named.
    DataError
        If there is not exactly one product export to edit.
    """
    if shop.cycle.publisher not in _FILES:
        raise UsageError(
            "cycle.publisher is not said.",
            why="Nobody knows where prices go.",
            todo=f"Set it in shop.toml to one of {', '.join(_FILES)}.",
        )
    files = [path for path in exports if path.suffix.lower() == ".csv"]
    if len(files) != 1:
        raise DataError(
            f"There are {len(files)} product CSV files in the inbox; one is needed to write prices into.",
            todo="Put the newest product export there (Products > Export), and nothing older.",
        )
    content, market = files[0].read_bytes(), market_of(shop)
    if shop.cycle.publisher == "shopify_csv":
        return shopify_csv(content, market, target)
    sign = shop.decimal_separator
    return woocommerce_csv(content, market, target, decimal=None if sign == "auto" else sign)
