"""WooCommerce: the JSON of its REST API v3, and the orders CSV of Advanced Order Export For WooCommerce."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Final

from simulators.importers.export_json import head_of, objects_of
from simulators.importers.export_rows import header_of
from simulators.importers.platform import Export, ExportFile, Platform, Reading
from simulators.importers.woocommerce_orders_csv import EXPORT_COLUMNS, EXPORT_HEADER, csv_orders
from simulators.importers.woocommerce_orders_json import ORDER_FIELDS, json_orders, typed_in_with_tax
from simulators.importers.woocommerce_products import listings_of

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
    texts = [file.path for file in files if file.path.suffix.lower() == ".csv"]
    pages = {
        holds: [file.path for file in files if file.holds == holds and file.path not in texts]
        for holds, _, _ in _SHAPES
    }
    with_tax = typed_in_with_tax(pages["orders"])
    listings = listings_of(pages["products"], pages["variations"], reading, with_tax=with_tax)
    orders = itertools.chain(
        csv_orders(texts, reading), json_orders(pages["orders"], pages["refunds"], reading)
    )
    headers = (header_of(path) for path in texts)
    behind = [tuple(name for name in names if name and name not in EXPORT_COLUMNS) for names in headers]
    behind += [
        tuple(name for name in node.fields if name not in ORDER_FIELDS)
        for path in pages["orders"]
        for node in itertools.islice(objects_of(path), 1)
    ]
    return Export("woocommerce", listings, orders, tuple(("orders", names) for names in behind))


WOOCOMMERCE: Final = Platform("woocommerce", _recognise, _read)
"""Recognised by its headers and keys, whatever the files are called."""
