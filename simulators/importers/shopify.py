"""Shopify: its orders and product CSV files, and the JSON of its Admin API, bulk operations too."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from simulators.importers.export_json import Node, head_of
from simulators.importers.export_rows import header_of
from simulators.importers.platform import Export, ExportFile, Platform, Reading
from simulators.importers.shopify_bulk import bulk_kind, nodes_of
from simulators.importers.shopify_orders_csv import ORDER_COLUMNS, ORDER_HEADER, csv_orders
from simulators.importers.shopify_orders_json import json_orders
from simulators.importers.shopify_products import PRODUCT_COLUMNS, is_products_header, listings_of

__all__ = ["SHOPIFY"]

_ORDERS, _DRAFTS = (
    re.compile(r'"(financial_status|displayFinancialStatus)"\s*:'),
    re.compile(r'^\s*\{\s*"draft_orders?"\s*:'),
)
_PRODUCTS = re.compile(r'"variants"\s*:')
_HANDLE = re.compile(r'"handle"\s*:')


def _recognise(path: Path) -> ExportFile | None:
    if path.suffix.lower() == ".csv":
        header = header_of(path)
        if set(header) >= ORDER_HEADER:
            return ExportFile(path, "shopify", "orders", "orders CSV")
        return ExportFile(path, "shopify", "products", "product CSV") if is_products_header(header) else None
    head = head_of(path)
    if _ORDERS.search(head) or _DRAFTS.search(head):
        return ExportFile(path, "shopify", "orders", "Admin API orders JSON")
    if (_PRODUCTS.search(head) or bulk_kind(path) == "Product") and _HANDLE.search(head):
        return ExportFile(path, "shopify", "products", "Admin API products JSON")
    return None


def _read(files: tuple[ExportFile, ...], reading: Reading) -> Export:
    tables = [file for file in files if _is_csv(file)]
    pages = [file for file in files if not _is_csv(file)]
    listings = listings_of(_places(tables, "products"), _nodes(_places(pages, "products")))
    orders = itertools.chain(
        csv_orders(_places(tables, "orders"), reading), json_orders(_places(pages, "orders"), reading)
    )
    behind = tuple(
        (f.holds, tuple(name for name in header_of(f.path) if name and name not in _READ[f.holds]))
        for f in tables
    )
    return Export("shopify", listings, orders, behind)


_READ: Final = {"orders": ORDER_COLUMNS, "products": PRODUCT_COLUMNS}


def _is_csv(file: ExportFile) -> bool:
    return file.path.suffix.lower() == ".csv"


def _places(files: list[ExportFile], holds: str) -> list[Path]:
    return [file.path for file in files if file.holds == holds]


def _nodes(paths: list[Path]) -> Iterator[Node]:
    for path in paths:
        yield from nodes_of(path, "products", "product")


SHOPIFY: Final = Platform("shopify", _recognise, _read)
"""Recognised by its headers and keys, whatever the files are called."""
