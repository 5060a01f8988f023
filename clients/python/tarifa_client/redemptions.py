"""Places kept for coupons, and what they were used for. Money is in minor units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tarifa_client.reading import flag, integer, listed, maybe, number, read_object, text

__all__ = ["Line", "Redemption", "Reservation"]


@dataclass(frozen=True, slots=True)
class Line:
    """What a coupon took off one line of an order.

    Attributes
    ----------
    line_id
        Which one.
    amount
        Minor units.
    quantity
        Of goods on it.
    taken_back, returned
        Of the amount and of the quantity, since.
    """

    line_id: str
    amount: int
    quantity: float = 1.0
    taken_back: int = 0
    returned: float = 0.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place that is kept for one use of a coupon.

    Attributes
    ----------
    reservation_id, coupon_id, currency
        Which one, of what, in which money.
    code
        Of its own, where the coupon has a pool of codes.
    liability
        The most that it may cost.
    expires_at
        ISO 8601; from then on it is not kept.
    standing
        ``held``, ``redeemed``, ``expired``, ``released`` or ``undone``.
    """

    reservation_id: str
    coupon_id: str
    currency: str
    code: str | None
    liability: int
    expires_at: str
    standing: str

    @staticmethod
    def read(value: Any) -> Reservation:
        """Read an answer; raises :class:`Malformed` if it is none."""
        found = read_object(value)
        return Reservation(
            text(found, "reservation_id"),
            text(found, "coupon_id"),
            text(found, "currency"),
            maybe(found, "code"),
            integer(found, "liability"),
            text(found, "expires_at"),
            text(found, "standing"),
        )


@dataclass(frozen=True, slots=True)
class Redemption:
    """A reservation that was used on an order.

    Attributes
    ----------
    reservation_id, coupon_id, order_id, currency
        Which, of what, on what, in which money.
    amount, taken_back
        What it took off, and how much of that was rolled back or returned since.
    within_budget
        False where a platform granted it after its place was gone.
    standing
        ``redeemed``, or ``undone`` once all of it was rolled back.
    lines
        By line.
    """

    reservation_id: str
    coupon_id: str
    order_id: str
    currency: str
    amount: int
    taken_back: int
    within_budget: bool
    standing: str
    lines: tuple[Line, ...]

    @staticmethod
    def read(value: Any) -> Redemption:
        """Read an answer; raises :class:`Malformed` if it is none."""
        found = read_object(value)
        return Redemption(
            text(found, "reservation_id"),
            text(found, "coupon_id"),
            text(found, "order_id"),
            text(found, "currency"),
            integer(found, "amount"),
            integer(found, "taken_back"),
            flag(found, "within_budget"),
            text(found, "standing"),
            tuple(_line(entry) for entry in listed(found, "lines")),
        )


def _line(entry: Mapping[str, Any]) -> Line:
    return Line(
        text(entry, "line_id"),
        integer(entry, "amount"),
        number(entry, "quantity"),
        integer(entry, "taken_back"),
        number(entry, "returned"),
    )
