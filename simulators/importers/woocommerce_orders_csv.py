"""Orders CSV of the plugin Advanced Order Export For WooCommerce: a row a line, an order's cells on each row.

The plugin's default columns are enough for orders without coupons and refunds. What they leave out is asked
for, never worked out: each is a tick in the plugin.

- `Item Cost` is a unit's price after coupons and before tax. The shelf price needs `Order Line Subtotal`.
- `Quantity (- Refund)` is what stayed. What was ordered is `Quantity`; what came back is their difference,
  and what was paid back for it `Order Line Total Refunded`; without these a repayment is one without lines.
- Amounts are net of tax. With `Order Line Subtotal Tax` and `Order Line Tax` gross prices are exact, and are
  taken where the shop file says that the shelf shows them.
- Dates are `Y-m-d H:i`, the plugin's default, in the shop's time zone. The plugin can write other forms;
  these are refused, because day and month could not be told apart.
- Fees are one sum (`Order Total Fee`); below zero it is a reduction of the whole order.
- An order without any tax was charged net prices, as in :mod:`simulators.importers.woocommerce_orders_json`.
- The status is written in the site's language: English and Spanish are known.

Source: the plugin's field list (order, product and coupon fields) and its default export settings.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from pricing.errors import DataError
from simulators.importers.export_rows import Row, rows_of, zone_of
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

__all__ = ["EXPORT_COLUMNS", "EXPORT_HEADER", "csv_orders"]

EXPORT_HEADER: Final = frozenset({"Order Number", "Order Status", "Order Date", "Item Cost"})
"""Columns by which the file is recognised, beside one of the two quantities."""

EXPORT_COLUMNS: Final = EXPORT_HEADER | {
    "Cart Discount Amount", "Cart Discount Amount Tax", "Country Code (Billing)", "Country Code (Shipping)",
    "Coupon Code", "Currency", "Customer User ID", "Date of first refund", "Email (Billing)", "Item #",
    "Item ID", "Item Name", "Modification Date", "Order Line (w/o tax)", "Order Line Subtotal",
    "Order Line Subtotal Tax", "Order Line Tax", "Order Line Tax Refunded", "Order Line Total",
    "Order Line Total Refunded",
    "Order Refund Amount", "Order Shipping Amount", "Order Shipping Tax Amount", "Order Total Amount",
    "Order Total Fee", "Order Total Tax Amount", "Product Id", "Quantity", "Quantity (- Refund)", "SKU",
    "Variation Id",
}  # fmt: skip
"""Columns that are read; e-mails become pseudonyms, countries zones, and nothing else of a person is here."""

_NOTHING = Decimal(0)
_EIGHT = Decimal(1).scaleb(-8)
_TIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", re.ASCII)


def csv_orders(paths: Iterable[Path], reading: Reading) -> Iterator[Order]:
    """Yield the orders of one or more files, in their order.

    Raises
    ------
    DataError
        For a cell that cannot be read, or an order of which the columns tell too little.
    """
    for path in paths:
        rows: list[Row] = []
        for row in rows_of(path, EXPORT_COLUMNS):
            number = row.text("Order Number")
            if rows and number and number != rows[0].text("Order Number"):
                yield _order(rows, reading)
                rows = []
            if rows or number:
                rows.append(row)
        if rows:
            yield _order(rows, reading)


def _order(rows: Sequence[Row], reading: Reading) -> Order:
    first, zone = rows[0], reading.shop.time_zone
    items = [row for row in rows if row.text("Item Cost") or row.text("Item Name")]
    taxed = all(row.text("Order Line Tax") and row.text("Order Line Subtotal Tax") for row in items)
    gross = (
        taxed and reading.shop.zones[0].prices_include_tax and bool(first.amount("Order Total Tax Amount"))
    )
    _require_enough(first, items)
    coupons = tuple(dict.fromkeys(code for row in rows if (code := row.text("Coupon Code"))))
    lines = [_line(row, place, gross=gross) for place, row in enumerate(items, 1)]
    offs = [_off(row, line, coupons, gross=gross) for row, line in zip(items, lines, strict=True)]
    fees = _fees(first, items, gross=gross)
    offs += [Discount("order", -fees)] if fees < 0 else []
    changed = _time(first, "Modification Date", zone)
    ordered = _time(first, "Order Date", zone)
    if ordered is None:
        raise DataError(f"{first.place} has no Order Date.", todo="Export the orders again.")
    country = first.text("Country Code (Shipping)") or first.text("Country Code (Billing)")
    return Order(
        order_id=first.key("Order Number"),
        ordered_at=ordered,
        status=status_of(first.text("Order Status"), reading.shop),
        status_word=status_word(first.text("Order Status")),
        currency=first.text("Currency").upper() or reading.shop.currency,
        price_basis="gross" if gross else "net",
        lines=tuple(lines),
        totals=_totals(first, fees, gross=gross),
        discounts=tuple(off for off in offs if off.amount > 0),
        refunds=_refunds(first, items, lines, zone, gross=gross),
        customer=_customer(first, reading),
        zone=zone_of(reading.shop, country),
        version="" if changed is None else changed.astimezone(dt.UTC).isoformat(),
    )


def _require_enough(first: Row, items: Sequence[Row]) -> None:
    number = first.text("Order Number")
    if first.amount("Order Refund Amount") and any(not row.text("Quantity") for row in items):
        raise DataError(
            f"{first.place}: order {number} was refunded, and the export has no column Quantity.",
            why="Quantity (- Refund) is what stayed; how much was ordered nobody can tell from it.",
            todo="Tick Quantity among the product fields of the plugin (and Order Line Total Refunded).",
        )
    if first.amount("Cart Discount Amount") and any(not row.text("Order Line Subtotal") for row in items):
        raise DataError(
            f"{first.place}: order {number} has a coupon, and the export has no column Order Line Subtotal.",
            why="Item Cost is the price after the coupon; what the shelf said nobody can tell from it.",
            todo="Tick Order Line Subtotal among the product fields of the plugin (and both line taxes).",
        )


def _customer(first: Row, reading: Reading) -> str:
    who = first.text("Email (Billing)").lower()
    if not who and first.text("Customer User ID") not in ("", "0"):
        who = f"woocommerce:customer:{first.text('Customer User ID')}"
    return reading.hide(who) if who else ""


def _time(row: Row, column: str, time_zone: str) -> dt.datetime | None:
    text = row.text(column)
    if not text:
        return None
    try:
        if _TIME.fullmatch(text):
            return dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(time_zone))
    except ValueError:
        pass
    raise DataError(
        f"{row.place}, {column}: {text[:40]!r} is not a time like 2025-03-03 10:15.",
        why="Day and month could not be told apart.",
        todo="Set the plugin's date format to Y-m-d and its time format to H:i, and export again.",
    )


def _quantity(row: Row) -> Decimal:
    return row.amount("Quantity" if row.text("Quantity") else "Quantity (- Refund)")


def _paid(row: Row, *, gross: bool) -> Decimal:
    """Return a line's total: as it is told, else the unit's price (to the minor unit) times the quantity."""
    told = next((c for c in ("Order Line Total", "Order Line (w/o tax)") if row.text(c)), "")
    net = row.amount(told) if told else row.amount("Item Cost") * _quantity(row)
    return net + (row.amount("Order Line Tax") if gross else _NOTHING)


def _shelf(row: Row, *, gross: bool) -> Decimal:
    if not row.text("Order Line Subtotal"):
        return _paid(row, gross=gross)
    told = row.amount("Order Line Subtotal") + (row.amount("Order Line Subtotal Tax") if gross else _NOTHING)
    return max(told, _paid(row, gross=gross))


def _line(row: Row, place: int, *, gross: bool) -> Line:
    quantity = _quantity(row)
    product, variation = row.key("Product Id"), row.key("Variation Id")
    own = variation not in ("", "0", product)
    number = variation if own else product
    named = number not in ("", "0")
    return Line(
        line_id=row.text("Item ID") or row.text("Item #") or f"{place}",
        keys=(f"woocommerce:{'variation' if own else 'product'}:{number}",) if named else (),
        sku=row.key("SKU"),
        name=row.text("Item Name"),
        quantity=quantity,
        price=(_shelf(row, gross=gross) / quantity).quantize(_EIGHT) if quantity > 0 else _NOTHING,
        paid=_paid(row, gross=gross),
    )


def _off(row: Row, line: Line, coupons: tuple[str, ...], *, gross: bool) -> Discount:
    code = coupons[0] if len(coupons) == 1 and "@" not in coupons[0] else ""
    amount = _shelf(row, gross=gross) - _paid(row, gross=gross)
    return Discount("coupon" if coupons else "automatic", amount, line.line_id, code)


def _fees(first: Row, items: Sequence[Row], *, gross: bool) -> Decimal:
    """Return the sum of the order's fees; the tax on them is what neither lines nor shipping explain."""
    fees = first.amount("Order Total Fee")
    if not gross or not fees or not first.text("Order Shipping Tax Amount"):
        return fees
    taxes = sum((row.amount("Order Line Tax") for row in items), first.amount("Order Shipping Tax Amount"))
    return fees + first.amount("Order Total Tax Amount") - taxes


def _totals(first: Row, fees: Decimal, *, gross: bool) -> Totals:
    told = bool(first.text("Order Shipping Tax Amount"))
    tax = first.amount("Order Shipping Tax Amount")
    off_tax = first.amount("Cart Discount Amount Tax") if gross else _NOTHING
    return Totals(
        total=first.amount("Order Total Amount"),
        tax=first.amount("Order Total Tax Amount"),
        shipping=first.amount("Order Shipping Amount") + (tax if gross else _NOTHING),
        shipping_tax=tax if told else None,
        discounts=first.amount("Cart Discount Amount") + off_tax + max(-fees, _NOTHING),
        fees=max(fees, _NOTHING),
    )


def _refunds(
    first: Row, items: Sequence[Row], lines: Sequence[Line], time_zone: str, *, gross: bool
) -> tuple[Refund, ...]:
    amount = first.amount("Order Refund Amount")
    if not amount:
        return ()
    back: list[ReturnedLine] = []
    on_top = _NOTHING
    for row, line in zip(items, lines, strict=True):
        stayed = row.amount_or_none("Quantity (- Refund)")
        if stayed is None or not row.text("Order Line Total Refunded") or stayed >= line.quantity:
            continue
        tax = row.amount("Order Line Tax Refunded")
        on_top += _NOTHING if gross else tax
        refund = row.amount("Order Line Total Refunded") + (tax if gross else _NOTHING)
        back.append(ReturnedLine(line.line_id, line.quantity - stayed, refund))
    booked = sum((line.refund for line in back), on_top)
    at = _time(first, "Date of first refund", time_zone)
    return (Refund(amount, at, tuple(back), on_top, adjusted=amount - booked if back else _NOTHING),)
