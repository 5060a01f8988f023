"""What platforms tell of orders, read by allow-list: codes, amounts, lines; names and addresses never.

Shapes as the platforms document them: Shopify's `orders/paid`, `orders/cancelled` and `refunds/create` (REST
Admin API, resources Order and Refund), WooCommerce's `order.created` and `order.updated` (REST API v3,
resource Order), and for a shop's own systems Standard Webhooks of the types `order.paid`, `order.refunded`
and `order.cancelled`. Customers are known by the identity that imports know them by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from api.customer_key import CustomerKey
from api.redemptions.signatures import Message, Source
from api.storage.ledger import Line
from pricing.errors import UsageError
from pricing.money import Currency, apportion

__all__ = ["Delivery", "Paid", "Refunded", "Use", "read_deliveries"]

_PAID = frozenset({"processing", "completed"})
_OVER = frozenset({"cancelled", "failed"})
_WHOLE_ORDER = "order"
"""Line of what was taken off no line in particular."""


@dataclass(frozen=True, slots=True)
class Use:
    """A code, and what it took off which lines."""

    code: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Paid:
    """An order that was paid, with the pseudonym of its customer (None: not told).

    `at` is when the platform says that the order came to be so, as text that sorts; "" where it does not.
    """

    order_id: str
    currency: str
    customer: str | None
    uses: tuple[Use, ...]
    at: str = ""


@dataclass(frozen=True, slots=True)
class Refunded:
    """Goods that came back, or an order that was cancelled.

    Attributes
    ----------
    event_id
        The platform's own, the same whenever it tells of it again.
    order_id
        Of what.
    units
        Thousandths by line; empty where the platform tells no lines.
    share
        Of all that the order cost: part and whole, minor units; (1, 1) is all of it.
    cancelled
        It never happened: its place is given back too.
    at
        As of :class:`Paid`; who pays after a first attempt failed has paid.
    """

    event_id: str
    order_id: str
    units: Mapping[str, int]
    share: tuple[int, int]
    cancelled: bool = False
    at: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON, for one that has to wait for its order."""
        told = {"units": dict(self.units), "share": list(self.share), "cancelled": self.cancelled}
        return {**told, "at": self.at} if self.at else told

    @staticmethod
    def read(event_id: str, order_id: str, document: Mapping[str, Any]) -> Refunded:
        """Read what :meth:`document` wrote."""
        part, whole = document["share"]
        at = document.get("at", "")
        return Refunded(event_id, order_id, document["units"], (part, whole), document["cancelled"], at)


Delivery = Paid | Refunded

_ALL = (1, 1)


def read_deliveries(source: Source, message: Message, key: CustomerKey) -> tuple[Delivery, ...]:
    """Return what a message tells, nothing where it is about something else.

    Raises
    ------
    UsageError
        If what it should tell is missing or cannot be read.
    """
    if source is Source.SHOPIFY:
        return _shopify(message, key)
    if source is Source.WOOCOMMERCE:
        return _woocommerce(message, key)
    return _standard(message, key)


def _shopify(message: Message, key: CustomerKey) -> tuple[Delivery, ...]:
    found = message.content
    if message.topic == "orders/paid":
        return (_shopify_order(found, key),)
    if message.topic == "orders/cancelled":
        order = _needed(found, "id")
        return (Refunded(f"cancelled {order}", order, {}, _ALL, cancelled=True),)
    if message.topic == "refunds/create":
        units: dict[str, int] = defaultdict(int)
        for entry in _objects(found, "refund_line_items"):
            units[_needed(entry, "line_item_id")] += _thousandths(entry, "quantity")
        event, order = _needed(found, "id"), _needed(found, "order_id")
        return (Refunded(event, order, dict(units), (0, 1)),) if units else ()
    return ()


def _shopify_order(found: Mapping[str, Any], key: CustomerKey) -> Paid:
    currency = Currency.of(_needed(found, "currency"))
    codes = [
        _text(entry, "code") if _text(entry, "type") == "discount_code" else ""
        for entry in _objects(found, "discount_applications")
    ]
    by_code: dict[str, list[Line]] = defaultdict(list)
    for kind in ("line_items", "shipping_lines"):
        for entry in _objects(found, kind):
            for part in _objects(entry, "discount_allocations"):
                place = part.get("discount_application_index")
                if not isinstance(place, int) or not 0 <= place < len(codes) or not codes[place]:
                    continue
                units = _thousandths(entry, "quantity") if kind == "line_items" else 1000
                line = Line(_needed(entry, "id"), _shop_money(part, currency), units)
                by_code[codes[place]].append(line)
    customer = _object(found, "customer")
    who = _text(found, "email") or _text(customer, "email")
    if not who and _text(customer, "id"):
        who = f"shopify:customer:{_text(customer, 'id')}"
    uses = tuple(Use(code, tuple(lines)) for code, lines in by_code.items())
    return Paid(_needed(found, "id"), currency.code, key.customer(who) if who else None, uses)


def _shop_money(part: Mapping[str, Any], currency: Currency) -> int:
    """Return an amount in the shop's currency: that of the set where there is one."""
    inside = _object(_object(part, "amount_set"), "shop_money")
    return currency.parse(_needed(inside or part, "amount"))


def _woocommerce(message: Message, key: CustomerKey) -> tuple[Delivery, ...]:
    if message.topic not in ("order.created", "order.updated"):
        return ()
    found = message.content
    order, status = _needed(found, "id"), _text(found, "status")
    if status in _OVER:
        at = _text(found, "date_modified_gmt")
        return (Refunded(f"cancelled {order} {at}".strip(), order, {}, _ALL, cancelled=True, at=at),)
    if status == "refunded":
        return (Refunded(f"refunded {order}", order, {}, _ALL),)
    if status not in _PAID:
        return ()
    currency = Currency.of(_needed(found, "currency"))
    total = _minor(found, "total", currency)
    refunds = [
        Refunded(_needed(entry, "id"), order, {}, (abs(_minor(entry, "total", currency)), max(total, 1)))
        for entry in _objects(found, "refunds")
    ]
    return (_woocommerce_order(found, order, currency, key), *refunds)


def _woocommerce_order(found: Mapping[str, Any], order: str, currency: Currency, key: CustomerKey) -> Paid:
    gross = found.get("prices_include_tax") is True
    items = _objects(found, "line_items")
    off = [_off(item, currency, gross=gross) for item in items]
    uses: list[Use] = []
    for entry in _objects(found, "coupon_lines"):
        amount = _minor(entry, "discount", currency)
        amount += _minor(entry, "discount_tax", currency) if gross else 0
        lines: tuple[Line, ...] = (Line(_WHOLE_ORDER, amount),)
        if amount and sum(off):
            parts = apportion(amount, np.array(off, dtype=np.int64))
            lines = tuple(
                Line(_needed(item, "id"), int(part), _thousandths(item, "quantity"))
                for item, part in zip(items, parts, strict=True)
                if part
            )
        uses.append(Use(_needed(entry, "code"), lines))
    who = _text(_object(found, "billing"), "email")
    if not who and _text(found, "customer_id") not in ("", "0"):
        who = f"woocommerce:customer:{_text(found, 'customer_id')}"
    at = _text(found, "date_modified_gmt")
    return Paid(order, currency.code, key.customer(who) if who else None, tuple(uses), at)


def _off(item: Mapping[str, Any], currency: Currency, *, gross: bool) -> int:
    """Return what was taken off a line; WooCommerce's amounts are net, their tax beside them."""
    net = _minor(item, "subtotal", currency) - _minor(item, "total", currency)
    tax = _minor(item, "subtotal_tax", currency) - _minor(item, "total_tax", currency)
    return max(net + (tax if gross else 0), 0)


def _minor(found: Mapping[str, Any], name: str, currency: Currency) -> int:
    return currency.parse(_text(found, name) or "0")


def _standard(message: Message, key: CustomerKey) -> tuple[Delivery, ...]:
    data = _object(message.content, "data")
    if message.topic == "order.paid":
        by_code: dict[str, list[Line]] = defaultdict(list)
        for entry in _objects(data, "lines"):
            amount = entry.get("amount")
            if not isinstance(amount, int) or isinstance(amount, bool):
                raise _unreadable("amount")
            line = Line(_needed(entry, "line_id"), amount, _thousandths(entry, "quantity"))
            by_code[_needed(entry, "code")].append(line)
        who = _text(data, "customer_id")
        uses = tuple(Use(code, tuple(lines)) for code, lines in by_code.items())
        currency = Currency.of(_needed(data, "currency")).code
        return (Paid(_needed(data, "order_id"), currency, key.customer(who) if who else None, uses),)
    if message.topic in ("order.refunded", "order.cancelled"):
        order, over = _needed(data, "order_id"), message.topic == "order.cancelled"
        units = {_needed(one, "line_id"): _thousandths(one, "quantity") for one in _objects(data, "lines")}
        event = f"cancelled {order}" if over else _needed(data, "refund_id")
        return (Refunded(event, order, {} if over else units, (0, 1) if units and not over else _ALL, over),)
    return ()


def _text(found: Mapping[str, Any], name: str) -> str:
    """Return a field as text; numbers are identifiers or amounts, anything else is none."""
    value = found.get(name)
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _needed(found: Mapping[str, Any], name: str) -> str:
    text = _text(found, name)
    if not text:
        raise _unreadable(name)
    return text


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON


def _objects(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value: list[Any] = found[name] if isinstance(found.get(name), list) else []
    return [entry for entry in value if isinstance(entry, dict)]


def _thousandths(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise _unreadable(name)
    return max(round(value * 1000), 1)


def _unreadable(name: str) -> UsageError:
    return UsageError(f"The message tells no {name} that can be read.", todo="Send it as it is documented.")
