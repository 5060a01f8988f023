"""Shopify's product exports: the CSV (Admin > Products > Export) and the Admin REST API's JSON.

A row of the CSV is a variant or one more picture; the product's own cells stand on the first row of its
handle. Both headers that Shopify uses are read, the older (`Variant Price`) and the newer (`Price`).

Sources: Shopify Help Center, "Using CSV files to import and export products"; shopify.dev, Admin REST API,
resource Product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from pricing.errors import DataError
from simulators.importers.export_json import Node
from simulators.importers.export_rows import Row, rows_of
from simulators.importers.platform import Listing, refuse_two_prices
from simulators.importers.shopify_graphql import rest_product

__all__ = ["PRODUCT_COLUMNS", "is_products_header", "listings_of"]

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "handle": ("Handle", "URL handle"),
    "title": ("Title",),
    "vendor": ("Vendor",),
    "type": ("Type",),
    "category": ("Product Category", "Product category"),
    "published": ("Published", "Published on online store"),
    "status": ("Status",),
    "option1": ("Option1 Value", "Option1 value"),
    "option2": ("Option2 Value", "Option2 value"),
    "option3": ("Option3 Value", "Option3 value"),
    "sku": ("Variant SKU", "SKU"),
    "price": ("Variant Price", "Price"),
    "compare_at": ("Variant Compare At Price", "Compare-at price"),
    "cost": ("Cost per item",),
    "tracker": ("Variant Inventory Tracker", "Inventory tracker"),
    "quantity": ("Variant Inventory Qty", "Inventory quantity"),
    "policy": ("Variant Inventory Policy", "Continue selling when out of stock"),
    "gift_card": ("Gift Card", "Gift card"),
}
PRODUCT_COLUMNS: Final = frozenset(name for names in _COLUMNS.values() for name in names)
"""Columns that are read."""

_ONLY_VARIANT = "Default Title"
_YES = ("true", "yes", "continue")


def is_products_header(header: Iterable[str]) -> bool:
    """Return whether a header is that of Shopify's product CSV."""
    names = set(header)
    return all(names & set(_COLUMNS[column]) for column in ("handle", "title", "price", "sku"))


def listings_of(csv_paths: Iterable[Path], products: Iterable[Node]) -> tuple[Listing, ...]:
    """Return every variant once; what one export leaves open (JSON has no cost), the other may say.

    Raises
    ------
    DataError
        If two exports name different prices of one variant.
    """
    found: dict[str, Listing] = {}
    for listing in (*_from_csv(csv_paths), *_from_json(products)):
        handle = listing.keys[-1]
        known = found.get(handle)
        found[handle] = listing if known is None else _joined(known, listing)
    return tuple(found.values())


def _joined(one: Listing, other: Listing) -> Listing:
    refuse_two_prices(one, other)
    return replace(
        other,
        keys=tuple(dict.fromkeys((*other.keys[:-1], *one.keys))),
        cost=one.cost if other.cost is None else other.cost,
        on_hand=one.on_hand if other.on_hand is None else other.on_hand,
        launched_at=other.launched_at or one.launched_at,
    )


def _from_csv(paths: Iterable[Path]) -> Iterator[Listing]:
    for path in paths:
        product: dict[str, str] = {}
        for row in rows_of(path, PRODUCT_COLUMNS):
            cells = {name: _cell(row, columns) for name, columns in _COLUMNS.items()}
            cells["sku"] = next((sku for sku in map(row.key, _COLUMNS["sku"]) if sku), "")
            if not cells["handle"]:
                raise DataError(f"{row.place} has no handle.", todo="Export the products again.")
            if cells["handle"] != product.get("handle"):
                product = cells
            if not cells["title"] and not (cells["price"] or cells["option1"] or cells["sku"]):
                continue  # one more picture
            yield _variant(row, product, cells)


def _cell(row: Row, columns: tuple[str, ...]) -> str:
    return next((text for text in map(row.text, columns) if text), "")


def _variant(row: Row, product: Mapping[str, str], cells: Mapping[str, str]) -> Listing:
    amounts = {
        name: next((row.amount_or_none(own) for own in _COLUMNS[name] if row.text(own)), None)
        for name in ("price", "compare_at", "cost", "quantity")
    }
    options = _options(cells[f"option{i}"] for i in (1, 2, 3))
    shown = product["published"].lower() != "false" and product["status"].lower() in ("", "active")
    return Listing(
        keys=(_handle_key(product["handle"], options),),
        own_id=_own_id(product["handle"], options),
        sku=cells["sku"].lstrip("'"),
        names=(_line_name(product["title"], options),),
        name=_line_name(product["title"], options),
        parent=product["handle"],
        category=product["type"] or product["category"],
        brand=product["vendor"],
        kind="gift_card" if product["gift_card"].lower() in _YES else "merchandise",
        on_sale=shown,
        price=amounts["price"],
        compare_at=amounts["compare_at"],
        cost=amounts["cost"],
        on_hand=amounts["quantity"] if cells["tracker"] else None,
        sells_when_empty=cells["policy"].lower() in _YES,
    )


def _from_json(products: Iterable[Node]) -> Iterator[Listing]:
    for found in products:
        product = rest_product(found)
        for variant in product.nodes("variants"):
            options = _options(variant.text(f"option{i}") for i in (1, 2, 3))
            handle, title = product.text("handle"), product.text("title")
            gift = variant.text("fulfillment_service") == "gift_card" or product.flag("is_gift_card")
            since = product.moment_or_none("published_at")
            yield Listing(
                keys=(f"shopify:variant:{variant.text('id')}", _handle_key(handle, options)),
                own_id=_own_id(handle, options),
                sku=variant.text("sku"),
                names=(_line_name(title, options),),
                name=_line_name(title, options),
                parent=handle,
                category=product.text("product_type"),
                brand=product.text("vendor"),
                kind="gift_card" if gift else "merchandise",
                on_sale=product.text("status").lower() in ("", "active") and since is not None,
                price=variant.amount_or_none("price"),
                compare_at=variant.amount_or_none("compare_at_price"),
                cost=variant.amount_or_none("cost"),
                on_hand=_counted(variant),
                sells_when_empty=variant.text("inventory_policy").lower() == "continue",
                launched_at=since,
            )


def _counted(variant: Node) -> Decimal | None:
    return variant.amount_or_none("inventory_quantity") if variant.text("inventory_management") else None


def _options(values: Iterable[str]) -> tuple[str, ...]:
    found = tuple(value for value in values if value)
    return () if found == (_ONLY_VARIANT,) else found


def _handle_key(handle: str, options: tuple[str, ...]) -> str:
    return f"shopify:handle:{_own_id(handle, options)}"


def _own_id(handle: str, options: tuple[str, ...]) -> str:
    return f"{handle}:{'/'.join(options)}" if options else handle


def _line_name(title: str, options: tuple[str, ...]) -> str:
    """Return how an order line calls a variant: its title, and its options after a dash."""
    return f"{title} - {' / '.join(options)}" if options else title
