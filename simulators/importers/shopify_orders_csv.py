"""Shopify's orders CSV (Admin > Orders > Export): a row a line, an order's own cells on its first row.

What the file does not say is worked out by its own arithmetic, or left unsaid:

- Discounts of the goods are what the lines cost less the printed subtotal; less `Lineitem discount` that
  leaves the part of the whole order. What `Discount Amount` has beyond came off shipping. Several codes are
  one amount: no code is named then.
- Whether prices include tax follows from how the totals add up, order by order; where an order has no tax,
  the shop file decides. If most orders contradict the shop file the import is refused.
- `Refunded Amount` names neither lines nor a day: it becomes no return, and is counted in the
  reconciliation as paid back without lines.
- A tip is a line called Tip without SKU that is neither taxed nor shipped.
- A line without a SKU may be a custom item, whose name somebody typed in: where no product is found for it,
  its name stays behind.
- An order paid through the bogus gateway is a test; there is no other sign of one.

Source: Shopify Help Center, "Exporting orders" (columns of the orders CSV).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
    Totals,
    contract_status,
    custom_name,
)

__all__ = ["ORDER_COLUMNS", "ORDER_HEADER", "csv_orders"]

ORDER_HEADER: Final = frozenset(
    (
        "Name",
        "Financial Status",
        "Created at",
        "Lineitem quantity",
        "Lineitem name",
        "Lineitem price",
        "Total",
    )
)
"""Columns by which the file is recognised."""

ORDER_COLUMNS: Final = ORDER_HEADER | {
    "Billing Country", "Cancelled at", "Currency", "Discount Amount", "Discount Code", "Duties", "Email",
    "Id", "Lineitem compare at price", "Lineitem discount", "Lineitem requires shipping", "Lineitem sku",
    "Lineitem taxable", "Payment Method", "Refunded Amount", "Shipping", "Shipping Country", "Source",
    "Subtotal", "Taxes", "Vendor",
}  # fmt: skip
"""Columns that are read; e-mails become pseudonyms, countries zones, and nothing else of a person is here."""

_TIPS = ("tip", "propina")
_GIFT = re.compile(r"gift card|tarjeta (de )?regalo", re.IGNORECASE)
_DRAFT = re.compile(r"#?D\d+")
_BY_HAND = "custom discount"


@dataclass
class _Basis:
    """How many taxed orders add up as the shop file says, and how many the other way."""

    fits: int = 0
    contradicts: int = 0
    example: str = ""


def csv_orders(paths: Iterable[Path], reading: Reading) -> Iterator[Order]:
    """Yield the orders of one or more files, in their order.

    Raises
    ------
    DataError
        For a cell that cannot be read, an order whose rows are torn apart, or totals of which most contradict
        the shop file on whether prices include tax.
    """
    basis = _Basis()
    for path in paths:
        for name, rows in itertools.groupby(rows_of(path, ORDER_COLUMNS), lambda row: row.text("Name")):
            yield _order(name, list(rows), reading, basis)
    if basis.contradicts > basis.fits:
        said = reading.shop.zones[0].prices_include_tax
        raise DataError(
            f"shop.toml says that prices {'include' if said else 'exclude'} tax, but the totals of "
            f"{basis.contradicts} of {basis.contradicts + basis.fits} taxed orders say the opposite, for "
            f"example {basis.example}.",
            why="Their Total is Subtotal + Shipping " + ("+ Taxes." if said else "without Taxes."),
            todo="Correct prices_include_tax in shop.toml, or the option of that name.",
        )


def _order(name: str, rows: list[Row], reading: Reading, basis: _Basis) -> Order:
    first = rows[0]
    if not name or not all(first.text(column) for column in ("Financial Status", "Subtotal", "Total")):
        raise DataError(
            f"{first.place}: no totals of order {name or 'without a name'}.",
            why="They stand on an order's first row; the rows of this order were torn apart or cut off.",
            todo="Export it again and import the file as it comes.",
        )
    lines = [
        _line(row, f"{place}", reading) for place, row in enumerate(rows, 1) if row.text("Lineitem name")
    ]
    tips = sum((line.paid for line in lines if line.kind == "tip"), Decimal(0))
    kept = tuple(line for line in lines if line.kind != "tip")
    totals, order_part = _totals(first, kept, tips)
    word = first.text("Financial Status").lower()
    test = "bogus" in first.text("Payment Method").lower()
    status = contract_status(word, test=test, cancelled=bool(first.text("Cancelled at")))
    if _DRAFT.fullmatch(name) and status == "paid":
        status = "draft"
    zone = zone_of(reading.shop, first.text("Shipping Country") or first.text("Billing Country"))
    gross, totals = _gross(first, totals, _with_tax(reading, zone), basis)
    refunded = first.amount("Refunded Amount")
    email = first.text("Email").lower()
    return Order(
        order_id=name,
        ordered_at=first.moment("Created at"),
        status=status,
        status_word=word,
        currency=first.text("Currency").upper() or reading.shop.currency,
        price_basis="gross" if gross else "net",
        lines=kept,
        totals=totals,
        discounts=_discounts(first, kept, order_part, totals.shipping_discount),
        refunds=(Refund(refunded),) if refunded else (),
        customer=reading.hide(email) if email else "",
        channel=first.text("Source"),
        source_id=first.key("Id"),
        zone=zone,
    )


def _line(row: Row, line_id: str, reading: Reading) -> Line:
    quantity, price = row.amount("Lineitem quantity"), row.amount("Lineitem price")
    name, sku = row.text("Lineitem name"), row.key("Lineitem sku")
    bare = row.text("Lineitem taxable") == "false" and row.text("Lineitem requires shipping") == "false"
    kind = "gift_card" if bare and _GIFT.search(name) else ""
    if bare and not sku and name.lower() in _TIPS:
        kind = "tip"
    return Line(
        line_id=line_id,
        keys=(),
        sku=sku,
        name=name,
        quantity=quantity,
        price=price,
        paid=price * quantity - row.amount("Lineitem discount"),
        compare_at=row.amount_or_none("Lineitem compare at price"),
        kind=kind,
        brand=row.text("Vendor"),
        custom="" if sku else custom_name(name, reading.hide),
    )


def _totals(first: Row, lines: tuple[Line, ...], tips: Decimal) -> tuple[Totals, Decimal]:
    """Return the totals, and the part of the discounts that belongs to the whole order."""
    worth = sum((line.price * line.quantity for line in lines), Decimal(0))
    paid = sum((line.paid for line in lines), Decimal(0))
    subtotal, said = first.amount("Subtotal"), first.amount("Discount Amount")
    off_goods, off_lines = worth - subtotal, worth - paid
    every = said + off_lines if said < off_goods == said + off_lines else said
    totals = Totals(
        total=first.amount("Total"),
        tax=first.amount("Taxes"),
        shipping=first.amount("Shipping"),
        discounts=every,
        shipping_discount=max(every - max(off_goods, Decimal(0)), Decimal(0)),
        tips=tips,
        fees=first.amount("Duties"),
        gift_card_payment="gift" in first.text("Payment Method").lower(),
    )
    return totals, max(paid - subtotal, Decimal(0))


def _with_tax(reading: Reading, zone: str) -> bool:
    zones = reading.shop.zones
    return next((z.prices_include_tax for z in zones if z.id == zone), zones[0].prices_include_tax)


def _gross(first: Row, totals: Totals, said: bool, basis: _Basis) -> tuple[bool, Totals]:  # noqa: FBT001 - what the shop file says
    """Return whether prices include tax, and the totals with shipping as it was charged.

    Some exports print shipping before its discount, others after: it is the one with which the totals add up.
    """
    goods = first.amount("Subtotal") + totals.tips + totals.fees
    for shipping in dict.fromkeys((totals.shipping, totals.shipping - totals.shipping_discount)):
        charged = replace(totals, shipping=shipping)
        without = totals.total == goods + shipping
        added = totals.total == goods + shipping + totals.tax
        if without and added:
            return said, charged
        if without or added:
            basis.fits += without == said
            basis.contradicts += without != said
            basis.example = basis.example if without == said else basis.example or first.text("Name")
            return without, charged
    return said, totals


def _discounts(
    first: Row, lines: tuple[Line, ...], whole: Decimal, shipping: Decimal
) -> tuple[Discount, ...]:
    code = first.text("Discount Code")
    kind = "automatic" if not code else "order" if code.lower() == _BY_HAND else "coupon"
    coupon = code if kind == "coupon" and "," not in code else ""
    found = [
        Discount(kind, line.price * line.quantity - line.paid, line.line_id, coupon)
        for line in lines
        if line.paid != line.price * line.quantity
    ]
    found += [Discount(kind, whole, coupon_id=coupon)] if whole else []
    found += [Discount("shipping", shipping, coupon_id=coupon)] if shipping else []
    return tuple(found)
