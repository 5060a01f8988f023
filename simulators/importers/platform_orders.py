"""From a platform's orders to rows of the contract: lines resolved to products, discounts, returns, totals.

Every order is taken whole. Lines without a price or a quantity (a free gift that is a line of its own, a line
that was edited away) are no sale at any price: they are counted and left out, with whatever came back of
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from pricing.money import Currency
from pricing.schema import table
from simulators.contract.engine import Engine
from simulators.importers.platform import Line, Order, Refund, masked
from simulators.importers.platform_identity import Catalogue, Resolution
from simulators.importers.platform_tables import LEDGER, REPAID, Writer

__all__ = ["Left", "Taken", "take_orders"]


@dataclass(frozen=True, slots=True)
class Left:
    """A product that order lines name and no listing holds.

    Attributes
    ----------
    product_id
        Under which it is kept; a row of ``product_aliases`` with it as `source_key` says which product it is.
    name, brand, kind
        As the lines have it; `kind` is of the contract.
    how
        UNLISTED (a product all the same) or UNKNOWN (set apart).
    lines, units
        How many.
    nameless
        The name may be free text: it is shown to whoever imports, and never stored.
    """

    product_id: str
    name: str
    brand: str
    kind: str
    how: Resolution
    lines: int
    units: Decimal
    nameless: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What the orders of an export were.

    Attributes
    ----------
    left
        Products without a listing, those of most lines first.
    found
        (how, lines) for every :class:`Resolution` that occurred.
    empty_lines
        Lines without a price or a quantity.
    """

    left: tuple[Left, ...]
    found: tuple[tuple[str, int], ...]
    empty_lines: int


class _Lines:
    """Counts while orders pass by."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.left: dict[str, Left] = {}
        self.found: dict[Resolution, int] = {}
        self.empty = 0

    def product(self, line: Line, order: Order) -> str:
        """Return the product of a line, counted."""
        resolved = self.catalogue.resolve(line, order.ordered_at)
        self.found[resolved.how] = self.found.get(resolved.how, 0) + 1
        if resolved.how in (Resolution.UNLISTED, Resolution.UNKNOWN):
            unknown = resolved.how is Resolution.UNKNOWN
            kind = line.kind or ("service" if unknown else "merchandise")
            key, name = masked(resolved.product_id), masked(line.name)
            first = Left(key, name, line.brand, kind, resolved.how, 0, Decimal(0), bool(line.custom))
            known = self.left.get(resolved.product_id, first)
            self.left[resolved.product_id] = replace(
                known, lines=known.lines + 1, units=known.units + line.quantity
            )
        return resolved.product_id

    def taken(self) -> Taken:
        """Return the counts."""
        left = sorted(self.left.values(), key=lambda entry: (-entry.lines, entry.product_id))
        found = sorted((how.value, count) for how, count in self.found.items())
        return Taken(tuple(left), tuple(found), self.empty)


def take_orders(
    engine: Engine, orders: Iterable[Order], catalogue: Catalogue, money: Currency, platform: str
) -> Taken:
    """Stream orders into ``new_orders``, ``new_discounts``, ``new_returns`` and the two tables of the ledger.

    Orders of another currency than the shop's go to the ledger only. Line totals, discounts and refunds are
    money that changed hands, so what is finer (a weight times a price) is rounded to a minor unit.
    """
    names = ("orders", "discounts", "returns")
    made = {name: Writer(engine, table(name)) for name in names}
    ledger, repaid = Writer(engine, LEDGER), Writer(engine, REPAID)
    lines, unit = _Lines(catalogue), Decimal(1).scaleb(-money.exponent)
    for place, order in enumerate(orders):
        _ledger(ledger, order, platform, place)
        for refund in order.refunds:
            _repaid(repaid, order, refund, place)
        if order.currency == money.code:
            whole = _in_minor_units(order, unit)
            sold = _sold(made["orders"], whole, lines, place)
            _discounts(made["discounts"], whole, sold, place)
            _returns(made["returns"], whole, sold, place)
    for writer in (*made.values(), ledger, repaid):
        writer.flush()
    return lines.taken()


def _in_minor_units(order: Order, unit: Decimal) -> Order:
    paid = [line.paid for line in order.lines]
    amounts = [*paid, *(off.amount for off in order.discounts)]
    amounts += [back.refund for refund in order.refunds for back in refund.lines]
    if all(amount.quantize(unit) == amount for amount in amounts):
        return order
    return replace(
        order,
        lines=tuple(replace(line, paid=line.paid.quantize(unit)) for line in order.lines),
        discounts=tuple(replace(entry, amount=entry.amount.quantize(unit)) for entry in order.discounts),
        refunds=tuple(
            replace(
                refund,
                lines=tuple(replace(back, refund=back.refund.quantize(unit)) for back in refund.lines),
            )
            for refund in order.refunds
        ),
    )


def _sold(writer: Writer, order: Order, lines: _Lines, place: int) -> frozenset[str]:
    sold: set[str] = set()
    for line in order.lines:
        if line.price <= 0 or line.quantity <= 0:
            lines.empty += 1
            continue
        regular = line.compare_at if line.compare_at is not None and line.compare_at > line.price else None
        sold.add(line.line_id)
        writer.add(
            {
                "order_id": order.order_id,
                "line_id": line.line_id,
                "ordered_at": order.ordered_at,
                "status": order.status,
                "customer_id": order.customer,
                "product_id": lines.product(line, order),
                "zone": order.zone,
                "channel": order.channel,
                "price_list": order.price_list,
                "quantity": line.quantity,
                "unit": line.unit,
                "regular_price": regular,
                "offered_price": line.price,
                "paid": line.paid,
                "price_basis": order.price_basis,
            },
            order.version,
            place,
        )
    return frozenset(sold)


def _discounts(writer: Writer, order: Order, sold: frozenset[str], place: int) -> None:
    for entry in order.discounts:
        if entry.amount and (not entry.line_id or entry.line_id in sold):
            writer.add(
                {
                    "order_id": order.order_id,
                    "line_id": entry.line_id,
                    "kind": entry.kind,
                    "coupon_id": entry.coupon_id,
                    "amount": entry.amount,
                    "funded_by": "shop",
                },
                order.version,
                place,
            )


def _returns(writer: Writer, order: Order, sold: frozenset[str], place: int) -> None:
    for refund in order.refunds:
        for back in refund.lines if refund.at is not None else ():  # no day, no row: none is invented
            if back.line_id in sold and back.quantity > 0:
                writer.add(
                    {
                        "order_id": order.order_id,
                        "line_id": back.line_id,
                        "returned_at": refund.at,
                        "quantity": back.quantity,
                        "refund": back.refund,
                        "restocked": back.restocked,
                    },
                    order.version,
                    place,
                )


def _ledger(writer: Writer, order: Order, platform: str, place: int) -> None:
    totals = order.totals
    writer.add(
        {
            "order_id": order.order_id,
            "platform": platform,
            "ordered_at": order.ordered_at,
            "status": order.status,
            "status_word": order.status_word,
            "currency": order.currency,
            "price_basis": order.price_basis,
            "total": totals.total,
            "tax": totals.tax,
            "shipping": totals.shipping,
            "shipping_tax": totals.shipping_tax,
            "discounts": totals.discounts,
            "shipping_discount": totals.shipping_discount,
            "tips": totals.tips,
            "fees": totals.fees,
            "gift_card_payment": totals.gift_card_payment,
            "refund_lines_known": any(refund.lines and refund.at for refund in order.refunds),
            "version": order.version,
            "source_id": order.source_id,
        },
        order.version,
        place,
    )


def _repaid(writer: Writer, order: Order, refund: Refund, place: int) -> None:
    lines = sum((line.refund for line in refund.lines), refund.lines_tax) if refund.at else Decimal(0)
    writer.add(
        {
            "order_id": order.order_id,
            "refunded_at": refund.at,
            "amount": refund.amount,
            "lines": lines,
            "lines_tax": refund.lines_tax if refund.at else Decimal(0),
            "shipping": refund.shipping,
            "adjusted": refund.adjusted,
        },
        order.version,
        place,
    )
