"""Objects of Shopify's GraphQL Admin API, put into the shape of its REST API, which the readers know.

The query decides what an answer holds; `docs/imports.md` gives one that asks for all that is read. Answers
are pages (``data.orders.nodes`` or ``edges``), or what :mod:`simulators.importers.shopify_bulk` puts back
together.

Source: shopify.dev, GraphQL Admin API, objects Order, LineItem, Refund, Product, ProductVariant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, cast

from simulators.importers.export_json import Node

__all__ = ["rest_order", "rest_product"]

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_APPLIED: Final = {
    "AutomaticDiscountApplication": "automatic",
    "DiscountCodeApplication": "discount_code",
    "ManualDiscountApplication": "manual",
    "ScriptDiscountApplication": "script",
}
_Fields = dict[str, object]


def rest_order(node: Node) -> Node:
    """Return an order as the REST API has it; one that is so already stays as it is."""
    if "displayFinancialStatus" not in node.fields:
        return node
    order = _fields(_plain(node.fields))
    applied: list[_Fields] = []
    order["financial_status"] = _word(order, "display_financial_status")
    order["currency"] = order.get("currency_code")
    order["presentment_currency"] = order.get("presentment_currency_code")
    customer = _fields(order.get("customer"))
    order["customer"] = {**customer, "id": _tail(customer.get("id"))}
    for name in ("shipping_address", "billing_address"):
        address = _fields(order.get(name))
        order[name] = {"country_code": address.get("country_code_v2")} if address else None
    order["line_items"] = [_line(entry, applied) for entry in _entries(order, "line_items")]
    order["shipping_lines"] = [
        {**_allocated(entry, applied), "price_set": entry.get("original_price_set")}
        for entry in _entries(order, "shipping_lines")
    ]
    order["refunds"] = [_refund(entry) for entry in _entries(order, "refunds")]
    order["discount_applications"] = applied
    return Node(node.place, order)


def rest_product(node: Node) -> Node:
    """Return a product as the REST API has it; one that is so already stays as it is."""
    if "productType" not in node.fields:
        return node
    product = _fields(_plain(node.fields))
    product["variants"] = [_variant(entry) for entry in _entries(product, "variants")]
    return Node(node.place, product)


def _line(entry: _Fields, applied: list[_Fields]) -> _Fields:
    return {
        **_allocated(entry, applied),
        "id": _tail(entry.get("id")),
        "price_set": entry.get("original_unit_price_set"),
        "variant_id": _tail(_fields(entry.get("variant")).get("id")),
        "product_id": _tail(_fields(entry.get("product")).get("id")),
        "gift_card": entry.get("is_gift_card"),
    }


def _allocated(entry: _Fields, applied: list[_Fields]) -> _Fields:
    parts: list[_Fields] = []
    for part in _entries(entry, "discount_allocations"):
        cause = _fields(part.get("discount_application"))
        kind = "discount_code" if cause.get("code") else _APPLIED.get(f"{cause.get('__typename')}")
        applied.append({"type": kind, "code": cause.get("code")})
        amount = part.get("allocated_amount_set")
        parts.append({"amount_set": amount, "discount_application_index": len(applied) - 1})
    return {**entry, "discount_allocations": parts}


def _refund(entry: _Fields) -> _Fields:
    return {
        **entry,
        "total_refunded_set": None if "transactions" in entry else entry.get("total_refunded_set"),
        "transactions": [
            {**paid, "kind": _word(paid, "kind"), "status": _word(paid, "status")}
            for paid in _entries(entry, "transactions")
        ],
        "order_adjustments": [
            {**adjusted, "kind": _word(adjusted, "kind")} for adjusted in _entries(entry, "order_adjustments")
        ],
        "refund_line_items": [
            {
                **back,
                "line_item_id": _tail(_fields(back.get("line_item")).get("id")),
                "restock_type": _word(back, "restock_type"),
            }
            for back in _entries(entry, "refund_line_items")
        ],
    }


def _variant(entry: _Fields) -> _Fields:
    item = _fields(entry.get("inventory_item"))
    options = [option.get("value") for option in _entries(entry, "selected_options")]
    return {
        **entry,
        "id": _tail(entry.get("id")),
        "cost": _fields(item.get("unit_cost")).get("amount"),
        "inventory_management": "shopify" if item.get("tracked") else None,
        **{f"option{place}": value for place, value in enumerate(options, 1)},
    }


def _plain(value: object) -> object:
    """Return a value with keys in snake case and connections as lists."""
    if isinstance(value, list):
        return [_plain(entry) for entry in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("Mapping[str, object]", value)
    if "nodes" in fields:
        return _plain(fields["nodes"])
    if "edges" in fields:
        edges = cast("list[object]", fields["edges"] if isinstance(fields["edges"], list) else [])
        return [_plain(_fields(edge).get("node")) for edge in edges]
    return {_snake(key): _plain(v) for key, v in fields.items()}


@lru_cache(maxsize=1024)
def _snake(key: str) -> str:
    return key if key.startswith("__") else _HUMP.sub("_", key).lower()


def _entries(fields: _Fields, name: str) -> list[_Fields]:
    found = fields.get(name)
    return [_fields(entry) for entry in cast("list[object]", found)] if isinstance(found, list) else []


def _fields(value: object) -> _Fields:
    return cast("_Fields", value) if isinstance(value, dict) else {}


def _word(fields: _Fields, name: str) -> str:
    return f"{fields.get(name) or ''}".lower()


def _tail(identity: object) -> str | None:
    """Return the number at the end of a global identity: gid://shopify/ProductVariant/4001."""
    return f"{identity}".rpartition("/")[2] if identity else None
