"""Orders of WooCommerce's REST API v3: ``/orders`` pages, with ``/refunds`` or ``/orders/ID/refunds``.

- A line's `subtotal` and `total` are net of tax whatever the shop types in, `subtotal_tax` and `total_tax`
  stand beside them. Where `prices_include_tax` says that prices were typed in with tax, the shelf price is
  their sum; else it is net. An order without any tax in a shop that types in gross prices (an exempt
  customer, a delivery abroad) was charged the net price, so it is net too, unless all of its lines are of a
  class without tax.
- `subtotal` less `total` is what coupons took off a line; WooCommerce has spread whole-order ones already.
  The code is named where the order has one coupon only.
- A fee below zero is a reduction of the whole order; other fees are fees.
- An order's own `refunds` hold totals only. What came back stands in the refunds, joined by their number; a
  line paid back without units is booked to no line, because nothing came back.
- Times are read from the `_gmt` fields, which are UTC.

Source: WooCommerce REST API documentation, v3, "Orders" and "Order refunds".
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from pricing.errors import DataError
from simulators.importers.export_json import Node, objects_of
from simulators.importers.export_rows import moment_of, zone_of
from simulators.importers.platform import (
    Discount,
    Line,
    Order,
    Reading,
    Refund,
    ReturnedLine,
    Totals,
)
from simulators.importers.woocommerce_status import status_of, status_word

__all__ = ["ORDER_FIELDS", "json_orders", "time_of", "typed_in_with_tax"]

ORDER_FIELDS: Final = frozenset(
    {
        "billing", "coupon_lines", "currency", "customer_id", "date_created", "date_created_gmt",
        "date_modified", "date_modified_gmt", "discount_tax", "discount_total", "fee_lines", "gift_cards",
        "id", "line_items", "meta_data", "number", "prices_include_tax", "refunds", "shipping",
        "shipping_tax", "shipping_total", "status", "total", "total_tax",
    }
)  # fmt: skip
"""Fields of an order that are looked at; of addresses only the country, and the e-mail for its pseudonym."""

_NOTHING = Decimal(0)
_EIGHT = Decimal(1).scaleb(-8)
_WITHOUT_TAX = ("zero-rate",)
"""WooCommerce's own tax class of goods that bear no tax."""


def json_orders(orders: Iterable[Path], refunds: Iterable[Path], reading: Reading) -> Iterator[Order]:
    """Yield the orders of one or more files, in their order.

    Parameters
    ----------
    orders, refunds
        Files of either.
    reading
        Settings and pseudonyms.

    Raises
    ------
    DataError
        For a field that cannot be read.
    """
    booked = {node.text("id"): node for path in refunds for node in objects_of(path)}
    for path in orders:
        for node in objects_of(path):
            yield _order(node, booked, reading)


def typed_in_with_tax(orders: Iterable[Path]) -> bool | None:
    """Return whether the newest order's prices were typed in with tax; None where no order says so."""
    newest: tuple[str, bool] | None = None
    for path in orders:
        for node in objects_of(path):
            if "prices_include_tax" in node.fields:
                found = (node.text("date_created_gmt"), node.flag("prices_include_tax"))
                newest = found if newest is None or found[0] > newest[0] else newest
    return None if newest is None else newest[1]


def time_of(node: Node, name: str, time_zone: str) -> dt.datetime | None:
    """Return a time: the field ending in `_gmt` is UTC, the other the shop's; None without either."""
    utc, local = node.text(f"{name}_gmt"), node.text(name)
    place = f"{node.place}, {name}"
    if utc:
        return moment_of(utc if utc.endswith("Z") or "+" in utc else f"{utc}Z", place)
    if not local:
        return None
    try:
        found = dt.datetime.fromisoformat(local)
    except ValueError as error:
        raise DataError(f"{place}: {local[:40]!r} is no time.", todo="Export it again.") from error
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=zoneinfo.ZoneInfo(time_zone))


def _order(node: Node, booked: Mapping[str, Node], reading: Reading) -> Order:
    zone = reading.shop.time_zone
    ordered_at, changed_at = time_of(node, "date_created", zone), time_of(node, "date_modified", zone)
    if ordered_at is None:
        raise DataError(f"{node.place} has no date_created_gmt.", todo="Export it again.")
    gross = _is_gross(node)
    coupons = tuple(entry.text("code") for entry in node.nodes("coupon_lines") if entry.amount("discount"))
    items = node.nodes("line_items")
    discounts = [off for item in items if (off := _off(item, coupons, gross=gross)).amount > 0]
    fees = [_amount(entry, "total", gross=gross) for entry in node.nodes("fee_lines")]
    reductions = sum((-fee for fee in fees if fee < 0), _NOTHING)
    discounts += [Discount("order", reductions)] if reductions else []
    address = node.node("shipping").text("country") or node.node("billing").text("country")
    return Order(
        order_id=node.text("number") or node.text("id"),
        ordered_at=ordered_at,
        status=status_of(node.text("status"), reading.shop),
        status_word=status_word(node.text("status")),
        currency=node.text("currency").upper() or reading.shop.currency,
        price_basis="gross" if gross else "net",
        lines=tuple(_line(item, gross=gross) for item in items),
        totals=_totals(node, fees, reductions, gross=gross),
        discounts=tuple(discounts),
        refunds=tuple(_refund(entry, booked, zone, gross=gross) for entry in node.nodes("refunds")),
        customer=_customer(node, reading),
        zone=zone_of(reading.shop, address),
        version="" if changed_at is None else changed_at.isoformat(),
    )


def _is_gross(node: Node) -> bool:
    if not node.flag("prices_include_tax"):
        return False
    classes = {entry.text("tax_class") for entry in node.nodes("line_items")}
    taxed = bool(node.amount("total_tax")) or classes <= set(_WITHOUT_TAX)
    return taxed and _meta(node, "is_vat_exempt") != "yes"


def _customer(node: Node, reading: Reading) -> str:
    who = node.node("billing").text("email").lower()
    if not who and node.text("customer_id") not in ("", "0"):
        who = f"woocommerce:customer:{node.text('customer_id')}"
    return reading.hide(who) if who else ""


def _amount(entry: Node, name: str, *, gross: bool) -> Decimal:
    """Return an amount in the order's price basis; WooCommerce's own is net, its tax beside it."""
    return entry.amount(name) + (entry.amount(f"{name}_tax") if gross else _NOTHING)


def _line(entry: Node, *, gross: bool) -> Line:
    product, variation = entry.text("product_id"), entry.text("variation_id")
    quantity, paid = entry.amount("quantity"), _amount(entry, "total", gross=gross)
    shelf = max(_amount(entry, "subtotal", gross=gross), paid)
    named = product not in ("", "0")
    keys = (f"woocommerce:variation:{variation}",) if variation not in ("", "0") else ()
    return Line(
        line_id=entry.text("id"),
        keys=keys or ((f"woocommerce:product:{product}",) if named else ()),
        sku=entry.text("sku"),
        name=entry.text("name"),
        quantity=quantity,
        price=(shelf / quantity).quantize(_EIGHT) if quantity > 0 else _NOTHING,
        paid=paid,
    )


def _off(entry: Node, coupons: tuple[str, ...], *, gross: bool) -> Discount:
    """Return what was taken off a line; a code that holds somebody's address is not kept."""
    amount = _amount(entry, "subtotal", gross=gross) - _amount(entry, "total", gross=gross)
    code = coupons[0] if len(coupons) == 1 and "@" not in coupons[0] else ""
    return Discount("coupon" if coupons else "automatic", amount, entry.text("id"), code)


def _totals(node: Node, fees: Iterable[Decimal], reductions: Decimal, *, gross: bool) -> Totals:
    """Return the printed totals; a gift card that paid a part was taken off `total`, and is put back."""
    cards = sum((entry.amount("amount") for entry in node.nodes("gift_cards")), _NOTHING)
    shipping_tax, discount_tax = node.amount("shipping_tax"), node.amount("discount_tax")
    return Totals(
        total=node.amount("total") + cards,
        tax=node.amount("total_tax"),
        shipping=node.amount("shipping_total") + (shipping_tax if gross else _NOTHING),
        shipping_tax=shipping_tax,
        discounts=node.amount("discount_total") + (discount_tax if gross else _NOTHING) + reductions,
        fees=sum((fee for fee in fees if fee > 0), _NOTHING),
        gift_card_payment=bool(cards),
    )


def _refund(entry: Node, booked: Mapping[str, Node], time_zone: str, *, gross: bool) -> Refund:
    """Return a refund: with its lines where the refund itself was saved, with its total only otherwise."""
    found = booked.get(entry.text("id"))
    if found is None:
        return Refund(amount=abs(entry.amount("total")))
    lines = tuple(
        ReturnedLine(line_id, abs(item.amount("quantity")), abs(_amount(item, "total", gross=gross)))
        for item in found.nodes("line_items")
        if item.amount("quantity") and (line_id := _meta(item, "_refunded_item_id"))
    )
    of_units = [item for item in found.nodes("line_items") if item.amount("quantity")]
    on_top = _NOTHING if gross else sum((abs(item.amount("total_tax")) for item in of_units), _NOTHING)
    shipped = found.nodes("shipping_lines")
    shipping = sum((abs(_amount(item, "total", gross=True)) for item in shipped), _NOTHING)
    amount = abs(found.amount("amount"))
    booked_lines = sum((line.refund for line in lines), on_top)
    return Refund(
        amount=amount,
        at=time_of(found, "date_created", time_zone),
        lines=lines,
        lines_tax=on_top,
        shipping=shipping,
        adjusted=amount - booked_lines - shipping if lines else _NOTHING,
    )


def _meta(node: Node, key: str) -> str:
    return next((entry.text("value") for entry in node.nodes("meta_data") if entry.text("key") == key), "")
