"""What a shop platform's export says, in nouns that all platforms share.

A reader (one module a platform) turns files into these; :mod:`simulators.importers.platform_import` makes the
tables of the data contract of them, and knows no platform. Nothing here may hold a name, an e-mail, an
address or a note: a reader takes only what has a field, and gives customers as pseudonyms.

Amounts are exact decimals of the order's own currency, as the export writes them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from pricing.errors import DataError
from simulators.contract.shop_file import ShopFile

__all__ = [
    "STATUSES",
    "Discount",
    "Export",
    "ExportFile",
    "Line",
    "Listing",
    "Order",
    "Platform",
    "Reading",
    "Refund",
    "ReturnedLine",
    "Totals",
    "contract_status",
    "custom_name",
    "masked",
    "refuse_two_prices",
]

_NOTHING = Decimal(0)
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[a-zA-Z]{2,}")

STATUSES: Final[Mapping[str, str]] = {
    "authorized": "paid",
    "cancelled": "cancelled",
    "checkout-draft": "draft",
    "completed": "paid",
    "expired": "cancelled",
    "failed": "cancelled",
    "invoice_sent": "draft",
    "on-hold": "draft",
    "open": "draft",
    "paid": "paid",
    "partially_paid": "paid",
    "partially_refunded": "paid",
    "pending": "draft",
    "processing": "paid",
    "refunded": "paid",
    "trash": "cancelled",
    "voided": "cancelled",
}
"""Status of the contract by a platform's own word. A refund undoes no demand: what came back stands in
``returns``. An order that waits for its money (``pending``, ``on-hold``) is a draft until a later export says
that it was paid, and so is one whose word nobody knows; such words are listed."""


def contract_status(word: str, *, test: bool = False, cancelled: bool = False) -> str:
    """Return the contract's status of an order.

    Parameters
    ----------
    word
        The platform's own word, lower case.
    test, cancelled
        What the platform says of the order apart from its word; a test is a test before all else.
    """
    if test:
        return "test"
    return "cancelled" if cancelled else STATUSES.get(word, "draft")


def custom_name(name: str, hide: Callable[[str], str]) -> str:
    """Return what stands for a name that may be free text (:attr:`Line.custom`)."""
    return hide(f"custom item {name}")


def masked(text: str) -> str:
    """Return a text without the e-mail addresses that somebody wrote into a name, a code or a SKU."""
    return _ADDRESS.sub("[e-mail]", text) if "@" in text else text


@dataclass(frozen=True, slots=True)
class Listing:
    """One sellable variant as a product export lists it.

    Attributes
    ----------
    keys
        Its identities on the platform, like ``shopify:variant:123``, the most trusted first; kept as
        ``product_aliases``, because prices are published to them.
    own_id
        What it is called where its SKU is blank or not its own; readable, unique on the platform.
    sku
        As the shop wrote it; may be empty.
    names
        How an order line may call it, the most specific first.
    name, parent, category, subcategory, brand
        For the products table; empty where the export says nothing.
    kind
        Of the contract: merchandise, bundle, gift_card, service, fee.
    on_sale
        A customer can buy it now, so its price is a posted price.
    price, compare_at, cost, on_hand
        Shelf price, crossed-out price, unit cost net of tax, units in stock; None where nothing is said. A
        negative count (sold more than there was) is nothing on hand.
    sells_when_empty
        It can be bought with nothing in stock.
    launched_at
        When it first could be bought.
    price_basis
        gross or net, of both prices; empty: as the shop file says of the shelf.
    price_since, price_until
        Since and until when the price stands, as far as the platform says; None: since the export.
    """

    keys: tuple[str, ...]
    own_id: str
    sku: str
    names: tuple[str, ...]
    name: str
    parent: str = ""
    category: str = ""
    subcategory: str = ""
    brand: str = ""
    kind: str = "merchandise"
    on_sale: bool = True
    price: Decimal | None = None
    compare_at: Decimal | None = None
    cost: Decimal | None = None
    on_hand: Decimal | None = None
    sells_when_empty: bool = False
    launched_at: dt.datetime | None = None
    price_basis: str = ""
    price_since: dt.datetime | None = None
    price_until: dt.datetime | None = None


def refuse_two_prices(one: Listing, other: Listing) -> None:
    """Raise :class:`pricing.errors.DataError` for two listings of one product at different prices.

    An older export that was left beside the newest would otherwise hold or not by the name of its file.
    """
    told = [(said.price, said.compare_at or said.price) for said in (one, other) if said.price is not None]
    if len(set(told)) > 1:
        raise DataError(
            f"Two product exports name different prices of {one.name}: {one.price} and {other.price}.",
            why="One of them is older.",
            todo="Keep the newer one.",
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order.

    Attributes
    ----------
    line_id
        Within the order.
    keys, sku, name
        What it says of its product, as in :class:`Listing`; the one name that it goes by.
    quantity
        Ordered, whatever came back later.
    price
        Shelf price of a unit, before any discount.
    paid
        Line total after the discounts that name this line, before those of the whole order.
    compare_at
        Crossed-out unit price, if any.
    kind
        What the platform says that it is (gift_card, service, fee); empty: what the listing says.
    brand, unit
        If the line says so.
    custom
        Pseudonym of the name, where that may be free text that somebody typed in for one order: if no product
        is found for the line, its name stays behind and this stands for it. Empty: the catalogue's name.
    """

    line_id: str
    keys: tuple[str, ...]
    sku: str
    name: str
    quantity: Decimal
    price: Decimal
    paid: Decimal
    compare_at: Decimal | None = None
    kind: str = ""
    brand: str = ""
    unit: str = ""
    custom: str = ""


@dataclass(frozen=True, slots=True)
class Discount:
    """One reduction, in the price basis of the order.

    Attributes
    ----------
    kind
        Of the contract: coupon, automatic, multibuy, loyalty, staff, order, shipping.
    amount
        Money off.
    line_id
        The line; empty for the whole order.
    coupon_id
        The code, where one and only one is meant.
    """

    kind: str
    amount: Decimal
    line_id: str = ""
    coupon_id: str = ""


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """Units of one line that came back, as the platform says; never inferred.

    Attributes
    ----------
    line_id, quantity
        What came back.
    refund
        What the platform books for it, in the price basis of the order.
    restocked
        Whether it can be sold again; None if it does not say.
    """

    line_id: str
    quantity: Decimal
    refund: Decimal
    restocked: bool | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """One repayment.

    Attributes
    ----------
    amount
        Money that left the shop, tax included.
    at
        When; None if the export does not say (then the order's own month counts for the reconciliation).
    lines
        What came back for it; empty if the export does not say.
    lines_tax
        Tax on top of the lines' refunds; 0 where prices include it.
    shipping
        Part of the amount that was shipping, tax included.
    adjusted
        Part of the amount that the platform books to no line: paid back beyond the lines, or, negative, kept
        back from them.
    """

    amount: Decimal
    at: dt.datetime | None = None
    lines: tuple[ReturnedLine, ...] = ()
    lines_tax: Decimal = _NOTHING
    shipping: Decimal = _NOTHING
    adjusted: Decimal = _NOTHING


@dataclass(frozen=True, slots=True)
class Totals:
    """An order's totals as the platform printed them, before any refund; the reconciliation's other side.

    Attributes
    ----------
    total
        What the customer owed: goods, shipping, tax, tips, fees, after discounts.
    tax
        All tax in it, shipping's included.
    shipping
        Shipping after its discount; with its tax only where the order's prices include tax.
    shipping_tax
        Tax on shipping; None if the export does not split the tax.
    discounts
        All discounts, shipping's included, in the price basis of the order.
    shipping_discount
        Part of them that came off shipping.
    tips, fees
        Tips; duties and other fees on top. Neither is demand.
    gift_card_payment
        A gift card paid a part of it: a way to pay, which changes no amount.
    """

    total: Decimal
    tax: Decimal = _NOTHING
    shipping: Decimal = _NOTHING
    shipping_tax: Decimal | None = None
    discounts: Decimal = _NOTHING
    shipping_discount: Decimal = _NOTHING
    tips: Decimal = _NOTHING
    fees: Decimal = _NOTHING
    gift_card_payment: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One order as an export states it, whole: importing it again replaces all that was known of it.

    Attributes
    ----------
    order_id, ordered_at
        Which and when; the time has a zone.
    status
        Of the contract (:func:`contract_status`).
    status_word
        The platform's own word.
    currency
        Of all its amounts. Orders in another currency than the shop's are counted and set apart.
    price_basis
        gross or net: whether line prices include tax.
    lines, totals, discounts, refunds
        What was bought, for how much, and what went back.
    customer
        Pseudonym (:attr:`Reading.hide`); empty if nobody is named.
    channel, price_list, zone
        Of the contract; empty where there is one only.
    version
        Of two statements of one order the one with the greater version holds (ISO time of the last change);
        of two equal ones, the later in the order of the files.
    source_id
        The platform's own number of the order, if it has one beside its name: two orders of one name are
        refused.
    """

    order_id: str
    ordered_at: dt.datetime
    status: str
    status_word: str
    currency: str
    price_basis: str
    lines: tuple[Line, ...]
    totals: Totals
    discounts: tuple[Discount, ...] = ()
    refunds: tuple[Refund, ...] = ()
    customer: str = ""
    channel: str = ""
    price_list: str = ""
    zone: str = ""
    version: str = ""
    source_id: str = ""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One recognised file.

    Attributes
    ----------
    path
        Where it lies.
    platform
        Name of the :class:`Platform`.
    holds
        What the file holds: orders, products, or what a platform keeps apart from them (refunds, variations).
    shape
        How, for people: "orders CSV", "Admin API JSON", ...
    """

    path: Path
    platform: str
    holds: str
    shape: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader is told.

    Attributes
    ----------
    shop
        Settings: currency, zones, whether prices include tax.
    hide
        Pseudonym of a customer key.
    listed_at
        When the product export was made.
    """

    shop: ShopFile
    hide: Callable[[str], str]
    listed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Export:
    """What a reader found.

    Attributes
    ----------
    platform
        Prefix of the source keys: ``shopify``.
    listings
        Of the product export; empty without one.
    orders
        Streamed: read once, in the order of the files.
    left_behind
        Names of columns and fields that were not read, by what the file holds (orders, products).
    """

    platform: str
    listings: tuple[Listing, ...]
    orders: Iterable[Order]
    left_behind: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Platform:
    """One shop platform.

    Attributes
    ----------
    name
        As in source keys: ``shopify``.
    recognise
        The file as this platform's export, or None; looks at the header or the first keys only.
    read
        Its reader. Raises :class:`pricing.errors.DataError` naming file and row for what cannot be read.
    """

    name: str
    recognise: Callable[[Path], ExportFile | None]
    read: Callable[[tuple[ExportFile, ...], Reading], Export]
