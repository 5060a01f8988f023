"""Carts, offers, and what to offer when nobody answers. Money is in minor units."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from tarifa_client.errors import Malformed
from tarifa_client.reading import flag, integer, listed, maybe, read_object, text
from tarifa_client.redemptions import Line

__all__ = ["Cart", "CartLine", "LastOffers", "Offer", "OfferSource"]


_SHIPPING = "shipping"
_MOST_TAX = 0.3
"""Share of the net price; the highest general rate anywhere is 27 %."""


class OfferSource(Enum):
    """Where an offer comes from."""

    DECIDED = "decided"
    """Tarifa decided it now."""

    REMEMBERED = "remembered"
    """Nobody answered; it is the last offer for the same cart, and still holds."""

    NONE = "none"
    """Nobody answered, and there is none to remember: no coupon."""


@dataclass(frozen=True, slots=True)
class CartLine:
    """One line of a cart as the customer sees it.

    Attributes
    ----------
    line_id, product_id
        Which line, of what.
    shelf_price
        Of one unit, as shown.
    quantity
        Of units.
    discount
        Taken off the line already, in all.
    """

    line_id: str
    product_id: str
    shelf_price: int
    quantity: float = 1.0
    discount: int = 0


@dataclass(frozen=True, slots=True)
class Cart:
    """A cart, and whose it is: a customer, or a session or cart of nobody known.

    Attributes
    ----------
    zone
        Where it is bought.
    lines
        At least one.
    customer_id, anonymous_id
        One of them.
    shipping, shipping_cost
        What shipping costs the customer, and the least that it may cost.
    coupon_applied
        A coupon is applied already.
    opted_out
        The customer wants no personal offers.
    """

    zone: str
    lines: tuple[CartLine, ...]
    customer_id: str | None = None
    anonymous_id: str | None = None
    shipping: int = 0
    shipping_cost: int = 0
    coupon_applied: bool = False
    opted_out: bool = False

    def document(self) -> dict[str, Any]:
        """Return it as the API takes it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a cart gets; no coupon is an offer too.

    Attributes
    ----------
    decision_id
        Under which it is recorded; None where nobody answered.
    coupon_id
        None for no coupon.
    discount
        What the customer pays less; never negative.
    taken
        The same by line, to be redeemed with; what comes off shipping is a line of its own, ``shipping``.
    reservation_id, expires_at
        What is redeemed, and until when it is kept.
    reason
        Code of why it is this one; ``unavailable`` where nobody answered.
    personalised
        Personal data were read: say so where the law asks for it.
    source
        Where it comes from.
    """

    decision_id: str | None
    coupon_id: str | None
    discount: int
    taken: tuple[Line, ...]
    reservation_id: str | None
    expires_at: dt.datetime | None
    reason: str
    personalised: bool
    source: OfferSource

    @staticmethod
    def none() -> Offer:
        """Return no coupon: the price stays as it is."""
        return Offer(
            None, None, 0, (), None, None, "unavailable", personalised=False, source=OfferSource.NONE
        )

    @staticmethod
    def read(value: Any, cart: Cart) -> Offer:
        """Read an answer about a cart.

        Raises
        ------
        Malformed
            If it is none, would raise a price, takes off more than there is to pay, or no money is kept
            for it.
        """
        found = read_object(value)
        discount, expires = integer(found, "discount"), maybe(found, "expires_at")
        bought = {line.line_id: line.quantity for line in cart.lines}
        off = [(text(entry, "line_id"), integer(entry, "discount")) for entry in listed(found, "lines")]
        taken = tuple(Line(name, amount, bought.get(name, 1.0)) for name, amount in off)
        coupon, reservation = maybe(found, "coupon_id"), maybe(found, "reservation_id")
        _require_lower(cart, discount, taken, coupon)
        if coupon is not None and (reservation is None or expires is None):
            raise Malformed(f"Coupon {coupon} comes without a reservation: nobody granted it.")
        rest = discount - sum(line.amount for line in taken)
        if rest:
            taken += (Line(_free_name(bought), rest),)
        return Offer(
            text(found, "decision_id"),
            coupon,
            discount,
            tuple(line for line in taken if line.amount),
            reservation,
            None if expires is None else _moment(expires),
            text(found, "reason"),
            personalised=flag(found, "personalised"),
            source=OfferSource.DECIDED,
        )


def _free_name(bought: Mapping[str, float]) -> str:
    """Return ``shipping``, or what no line of the cart is called."""
    name = _SHIPPING
    while name in bought:
        name += "-"
    return name


def _require_lower(cart: Cart, discount: int, taken: tuple[Line, ...], coupon: str | None) -> None:
    """Refuse an offer that would raise a price, or lower one below nothing.

    Discounts are gross, and prices may be shown without their tax.
    """
    gross = 1.0 + _MOST_TAX
    left = {x.line_id: gross * (x.shelf_price * x.quantity - x.discount) for x in cart.lines}
    whole = sum(left.values()) + cart.shipping
    if discount < 0 or discount > whole + 1 or (coupon is None and discount):
        raise Malformed(f"A discount of {discount} on a cart of {whole:.0f} is no offer.")
    for line in taken:
        if line.amount < 0 or line.amount > left.get(line.line_id, 0) + 1:
            raise Malformed(f"A discount of {line.amount} on line {line.line_id} is no offer.")
    if sum(line.amount for line in taken) > discount:
        raise Malformed("The discounts of the lines are more than the whole.")
    if discount - sum(line.amount for line in taken) > cart.shipping:
        raise Malformed(f"More than the lines say is taken off than shipping costs ({cart.shipping}).")


def _moment(said: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(said)
    except ValueError as error:
        raise Malformed(f"{said!r} is no moment.") from error
    if found.tzinfo is None:
        raise Malformed(f"{said!r} has no time zone.")
    return found


class LastOffers:
    """The last offers by cart, the most recent ones: what is promised still when nobody answers.

    Parameters
    ----------
    most
        How many are remembered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._offers = OrderedDict[str, Offer]()
        self._lock = threading.Lock()

    def keep(self, cart: Cart, offer: Offer) -> None:
        """Remember what was offered; nobody can be told from what is kept of the cart."""
        with self._lock:
            self._offers[_digest(cart)] = offer
            self._offers.move_to_end(_digest(cart))
            while len(self._offers) > self._most:
                self._offers.popitem(last=False)

    def find(self, cart: Cart, now: dt.datetime) -> Offer:
        """Return the last offer for the same cart while its money is kept, else no coupon."""
        with self._lock:
            found = self._offers.get(_digest(cart))
        if found is None or found.expires_at is None or found.expires_at <= now:
            return Offer.none()
        return replace(found, source=OfferSource.REMEMBERED)

    def forget(self, reservation_id: str) -> None:
        """Forget an offer that was used or given up: it would be promised twice."""
        with self._lock:
            for name, offer in tuple(self._offers.items()):
                if offer.reservation_id == reservation_id:
                    del self._offers[name]


def _digest(cart: Cart) -> str:
    return hashlib.sha256(json.dumps(cart.document(), sort_keys=True).encode()).hexdigest()
