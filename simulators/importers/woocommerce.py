"""WooCommerce: its product CSV, the JSON of its REST API v3, and the orders CSV of Advanced Order Export."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from simulators.importers.export_json import head_of, objects_of
from simulators.importers.export_rows import header_of
from simulators.importers.platform import Export, ExportFile, Listing, Platform, Reading, refuse_two_prices
from simulators.importers.woocommerce_orders_csv import EXPORT_COLUMNS, EXPORT_HEADER, csv_orders
from simulators.importers.woocommerce_orders_json import ORDER_FIELDS, json_orders, typed_in_with_tax
from simulators.importers.woocommerce_products import listings_of
from simulators.importers.woocommerce_products_csv import (
    csv_listings,
    is_products_header,
    read_columns,
    refuse_other_language,
)

__all__ = ["WOOCOMMERCE"]

_SHAPES: Final = (
    ("orders", "REST API v3 orders JSON", ('"prices_include_tax"', '"line_items"')),
    ("refunds", "REST API v3 refunds JSON", ('"refunded_by"', '"line_items"')),
    ("products", "REST API v3 products JSON", ('"catalog_visibility"', '"regular_price"')),
    ("variations", "REST API v3 variations JSON", ('"regular_price"', '"sale_price"', '"option"')),
)
"""What a file holds, its name for people, and the keys that it must show; the first that fits holds."""

_KEY = re.compile(r'"\w+"(?=\s*:)')
_QUANTITIES = ("Quantity", "Quantity (- Refund)")


def _recognise(path: Path) -> ExportFile | None:
    if path.suffix.lower() == ".csv":
        header = set(header_of(path))
        if header >= EXPORT_HEADER and header & set(_QUANTITIES):
            return ExportFile(path, "woocommerce", "orders", "Advanced Order Export CSV")
        if is_products_header(header):
            return ExportFile(path, "woocommerce", "products", "product CSV")
        refuse_other_language(path, header_of(path))
        return None
    keys = set(_KEY.findall(head_of(path)))
    return next(
        (
            ExportFile(path, "woocommerce", holds, shape)
            for holds, shape, wanted in _SHAPES
            if keys >= set(wanted)
        ),
        None,
    )


def _read(files: tuple[ExportFile, ...], reading: Reading) -> Export:
    texts = {holds: _places(files, holds, text=True) for holds in ("orders", "products")}
    pages = {holds: _places(files, holds, text=False) for holds, _, _ in _SHAPES}
    with_tax = typed_in_with_tax(pages["orders"])
    listings = _joined(
        csv_listings(texts["products"], reading, with_tax=with_tax),
        listings_of(pages["products"], pages["variations"], reading, with_tax=with_tax),
    )
    orders = itertools.chain(
        csv_orders(texts["orders"], reading), json_orders(pages["orders"], pages["refunds"], reading)
    )
    return Export("woocommerce", listings, orders, tuple(_behind(texts, pages["orders"])))


def _places(files: tuple[ExportFile, ...], holds: str, *, text: bool) -> list[Path]:
    found = (file.path for file in files if file.holds == holds)
    return [path for path in found if (path.suffix.lower() == ".csv") == text]


def _behind(texts: Mapping[str, list[Path]], pages: list[Path]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what of each file was not read."""
    for holds, paths in texts.items():
        for header in map(header_of, paths):
            read = EXPORT_COLUMNS if holds == "orders" else read_columns(header)
            yield holds, tuple(name for name in header if name and name not in read)
    for path in pages:
        for node in itertools.islice(objects_of(path), 1):
            yield "orders", tuple(name for name in node.fields if name not in ORDER_FIELDS)


def _joined(told: tuple[Listing, ...], nodes: tuple[Listing, ...]) -> tuple[Listing, ...]:
    """Return every product once; what the JSON leaves open the CSV may say.

    Raises
    ------
    DataError
        If they name different prices of one product: one of them is older, and nobody can tell which.
    """
    found: dict[str, Listing] = {}
    for listing in told:
        refuse_two_prices(found.setdefault(listing.keys[0], listing), listing)
    for listing in nodes:
        known = found.get(listing.keys[0], listing)
        refuse_two_prices(known, listing)
        found[listing.keys[0]] = replace(
            listing,
            subcategory=known.subcategory if known.category == listing.category else listing.subcategory,
            cost=known.cost if listing.cost is None else listing.cost,
            on_hand=known.on_hand if listing.on_hand is None else listing.on_hand,
        )
    return tuple(found.values())


WOOCOMMERCE: Final = Platform("woocommerce", _recognise, _read)
"""Recognised by its headers and keys, whatever the files are called."""
