"""Orders of Shopify's Admin API: pages of the REST API, and answers of the GraphQL API in the same shape.

All amounts are those in the shop's currency (`shop_money`); an order that the customer saw in another one
gets the price list ``presentment XXX``, so that it can be told apart. Shopify's own allocation of every
discount to lines is kept, of order-level codes too. Refunded lines come back as Shopify books them; what it
books to no line (`order_adjustments`) stays out of ``returns`` and is counted in the reconciliation. Draft
orders are drafts.

Sources: shopify.dev, Admin REST API, resources Order, Refund, DraftOrder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

from pricing.errors import DataError
from simulators.importers.export_json import Node
from simulators.importers.export_rows import zone_of
from simulators.importers.platform import (
    Discount,
    Line,
    Order,
    Reading,
    Refund,
    ReturnedLine,
    Totals,
    contract_status,
    custom_name,
)
from simulators.importers.shopify_bulk import nodes_of
from simulators.importers.shopify_graphql import rest_order

__all__ = ["json_orders"]

_KINDS: Final = {
    "discount_code": "coupon",
    "automatic": "automatic",
    "script": "automatic",
    "manual": "order",
}
_NOTHING = Decimal(0)
_BACK_IN_STOCK = ("return", "cancel", "legacy_restock")


def json_orders(paths: Iterable[Path], reading: Reading) -> Iterator[Order]:
    """Yield the orders of one or more files, in their order.

    Raises
    ------
    DataError
        For a field that cannot be read.
    """
    for path in paths:
        for node in nodes_of(path, "orders", "order", "draft_orders", "draft_order"):
            if not (_is_draft(node) and node.text("status") == "completed"):  # that one is an order by now
                yield _order(rest_order(node), reading)


def _order(node: Node, reading: Reading) -> Order:
    gross = node.flag("taxes_included")
    listed = [_named(entry) for entry in node.nodes("line_items") if not entry.node("tip").fields]
    applied = node.nodes("discount_applications")
    discounts = tuple(_discounts(listed, node.nodes("shipping_lines"), applied))
    currency = node.text("currency").upper() or reading.shop.currency
    word = (node.text("financial_status") or node.text("status")).lower()
    status = contract_status(word, test=node.flag("test"), cancelled=bool(node.text("cancelled_at")))
    address = node.node("shipping_address").fields or node.node("billing_address").fields
    name = node.text("name") or node.text("id")
    if not name:
        raise DataError(f"{node.place}: the order has no name.", todo="Export it again.")
    return Order(
        order_id=name,
        ordered_at=node.moment("processed_at" if node.text("processed_at") else "created_at"),
        status="draft" if _is_draft(node) else status,
        status_word=word,
        currency=currency,
        price_basis="gross" if gross else "net",
        lines=tuple(_line(entry, discounts, reading) for entry in listed),
        totals=_totals(node, discounts),
        discounts=discounts,
        refunds=tuple(_refund(entry, currency, gross=gross) for entry in node.nodes("refunds")),
        customer=_customer(node, reading),
        channel=node.text("source_name"),
        price_list=_presented(node, currency),
        zone=zone_of(reading.shop, str(address.get("country_code") or "")),
        source_id=node.text("id").rpartition("/")[2],
        version=node.moment("updated_at").isoformat() if node.text("updated_at") else "",
    )


def _named(entry: Node) -> Node:
    """Return a line by its own id; without one nothing could be said of it."""
    if not entry.text("id"):
        raise DataError(f"{entry.place}: the line has no id.", todo="Export it again.")
    return entry


def _is_draft(node: Node) -> bool:
    return not {"financial_status", "displayFinancialStatus"} & node.fields.keys()


def _customer(node: Node, reading: Reading) -> str:
    who = node.text("email").lower() or node.node("customer").text("email").lower()
    if not who and node.node("customer").text("id"):
        who = f"shopify:customer:{node.node('customer').text('id')}"
    return reading.hide(who) if who else ""


def _presented(node: Node, currency: str) -> str:
    seen = node.text("presentment_currency").upper()
    return f"presentment {seen}" if seen and seen != currency else ""


def _shop(node: Node, name: str) -> Decimal:
    """Return an amount in the shop's currency: that of the set where there is one."""
    inside = node.node(f"{name}_set").node("shop_money")
    return inside.amount("amount") if inside.text("amount") else node.amount(name)


def _line(entry: Node, discounts: tuple[Discount, ...], reading: Reading) -> Line:
    line_id, variant = entry.text("id"), entry.text("variant_id")
    quantity, price, sku = entry.amount("quantity"), _shop(entry, "price"), entry.text("sku")
    off = sum((discount.amount for discount in discounts if discount.line_id == line_id), _NOTHING)
    custom = not variant and not entry.text("product_id")
    name = entry.text("name") or entry.text("title")
    return Line(
        line_id=line_id,
        keys=(f"shopify:variant:{variant}",) if variant else (),
        sku=sku,
        name=name,
        quantity=quantity,
        price=price,
        paid=price * quantity - off,
        kind="gift_card" if entry.flag("gift_card") else "service" if custom and not sku else "",
        brand=entry.text("vendor"),
        custom=custom_name(name, reading.hide) if custom else "",
    )


def _discounts(
    listed: Iterable[Node], shipping: Iterable[Node], applied: tuple[Node, ...]
) -> Iterator[Discount]:
    for entry in listed:
        for part in entry.nodes("discount_allocations"):
            kind, code = _application(part, applied)
            yield Discount(kind, _shop(part, "amount"), entry.text("id"), code)
    for entry in shipping:
        for part in entry.nodes("discount_allocations"):
            yield Discount("shipping", _shop(part, "amount"), coupon_id=_application(part, applied)[1])


def _application(part: Node, applied: tuple[Node, ...]) -> tuple[str, str]:
    """Return kind and code of the discount of which an allocation is a part."""
    place = int(part.amount("discount_application_index"))
    if not 0 <= place < len(applied):
        return "automatic", ""
    kind = _KINDS.get(applied[place].text("type"), "automatic")
    return kind, applied[place].text("code") if kind == "coupon" else ""


def _totals(node: Node, discounts: tuple[Discount, ...]) -> Totals:
    shipped = [(_shop(line, "price"), line) for line in node.nodes("shipping_lines")]
    off = sum((discount.amount for discount in discounts if discount.kind == "shipping"), _NOTHING)
    taxes = [_shop(tax, "price") for _, line in shipped for tax in line.nodes("tax_lines")]
    return Totals(
        total=_shop(node, "total_price"),
        tax=_shop(node, "total_tax"),
        shipping=sum((price for price, _ in shipped), _NOTHING) - off,
        shipping_tax=sum(taxes, _NOTHING),
        discounts=_shop(node, "total_discounts"),
        shipping_discount=off,
        tips=_shop(node, "total_tip_received"),
        fees=node.node("original_total_duties_set").node("shop_money").amount("amount"),
        gift_card_payment="gift_card" in node.texts("payment_gateway_names"),
    )


def _refund(node: Node, currency: str, *, gross: bool) -> Refund:
    """Return a refund; Shopify's adjustments are negative where money went back."""
    lines = tuple(_returned(entry) for entry in node.nodes("refund_line_items"))
    tax = sum((_shop(entry, "total_tax") for entry in node.nodes("refund_line_items")), _NOTHING)
    on_top = _NOTHING if gross else tax
    shipping = adjusted = _NOTHING
    for entry in node.nodes("order_adjustments"):
        amount = -_shop(entry, "amount") - _shop(entry, "tax_amount")
        if entry.text("kind") == "shipping_refund":
            shipping += amount
        else:
            adjusted += amount
    booked = sum((line.refund for line in lines), on_top) + shipping + adjusted
    paid = [entry for entry in node.nodes("transactions") if _went_back(entry)]
    amount = sum((_shop(entry, "amount") for entry in paid), _NOTHING)
    if any(entry.text("currency").upper() not in ("", currency) and not _in_shop(entry) for entry in paid):
        amount = booked  # only the customer's currency is told; what Shopify booked is in the shop's
    elif node.node("total_refunded_set").fields:
        amount = _shop(node, "total_refunded")  # all that a bulk operation can tell
    elif not paid:
        adjusted -= booked  # taken off an order that was not paid: no money moved
    return Refund(
        amount=amount,
        at=node.moment("processed_at" if node.text("processed_at") else "created_at"),
        lines=lines,
        lines_tax=on_top,
        shipping=shipping,
        adjusted=adjusted,
    )


def _went_back(entry: Node) -> bool:
    return entry.text("kind") == "refund" and entry.text("status") in ("", "success")


def _in_shop(entry: Node) -> bool:
    return bool(entry.node("amount_set").node("shop_money").text("amount"))


def _returned(entry: Node) -> ReturnedLine:
    word = entry.text("restock_type")
    return ReturnedLine(
        line_id=entry.text("line_item_id"),
        quantity=entry.amount("quantity"),
        refund=_shop(entry, "subtotal"),
        restocked=None if not word else word in _BACK_IN_STOCK,
    )
