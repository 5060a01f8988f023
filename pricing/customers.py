"""Customers: the register of what may be known of one, and the noun that carries it.

A feature is here with its purpose, its legal basis and its retention, or nothing reads it: the register is
an allow-list, and :mod:`pricing.protected` says what can never join it. Who has not agreed is described by
:func:`unknown`, the same row for everybody, so an offer cannot tell a refusal from a first visit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.archive import content_digest, pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import ArtifactError, UsageError
from pricing.protected import refuse_protected

__all__ = [
    "CUSTOMER_FEATURES", "PERSONAL_OFFERS", "REPORTED", "CustomerFeature", "Customers", "place_of", "unknown",
    "visible",
]  # fmt: skip

PERSONAL_OFFERS = "personal_offers"
"""The purpose in the consents table without which nothing here is read."""

_BASIS = "consent, GDPR art. 6(1)(a)"
_TRACED = "consent, GDPR art. 6(1)(a) and ePrivacy art. 5(3)"
"""Of what is learned from a device, cookies and opened e-mails included."""

_KIND, _VERSION = "customers", 1


@dataclass(frozen=True, slots=True)
class CustomerFeature:
    """One registered feature of a customer.

    Attributes
    ----------
    name
        Stable name; models store the names that they read.
    meaning
        One line.
    unit
        Of the value.
    purpose
        Purpose of the consents table; without that consent the value is `unknown`.
    legal_basis
        What the processing rests on, with its article.
    retention
        Days: nothing that is older than this is read for it.
    sources
        Tables of the data contract that it is computed from.
    unknown
        Its value where nothing is known: that of a customer without a single row in `sources`.
    personal
        Whether it derives from data about a person. A shelf price reads none that does.
    """

    name: str
    meaning: str
    unit: str
    purpose: str
    legal_basis: str
    retention: int
    sources: tuple[str, ...]
    unknown: float
    personal: bool = True


_ORDERS, _EVENTS = ("orders",), ("events",)
_BOUGHT, _REDUCED = ("orders", "products"), ("orders", "discounts")
_SPENT = ("orders", "discounts", "returns")
_OFFERED = ("coupon_exposures", "redemptions")


def _feature(
    name: str, meaning: str, unit: str, retention: int, sources: tuple[str, ...], *, unknown: float = 0.0
) -> CustomerFeature:
    basis = _TRACED if sources == _EVENTS else _BASIS
    return CustomerFeature(name, meaning, unit, PERSONAL_OFFERS, basis, retention, sources, unknown)


CUSTOMER_FEATURES = (
    _feature("recency", "days since the last order, 730 at most", "log(1 + days)", 730, _ORDERS,
             unknown=float(np.log1p(730.0))),
    _feature("tenure", "days since the first order of the time kept", "log(1 + days)", 730, _ORDERS),
    _feature("frequency", "days with an order", "log(1 + days)", 365, _ORDERS),
    _feature("monetary", "spent net of tax, discounts and refunds", "log(1 + minor units)", 365, _SPENT),
    _feature("basket_value", "the same a day with an order", "log(1 + minor units)", 365, _SPENT),
    _feature("basket_size", "different products a day with an order", "log(1 + products)", 365, _ORDERS),
    _feature("categories", "different categories bought", "log(1 + categories)", 365, _BOUGHT),
    _feature("interval", "mean days between days with an order, shrunk to 28 by one", "log(days)", 365,
             _ORDERS, unknown=float(np.log(28.0))),
    _feature("regularity", "1 over 1 + the coefficient of variation of those intervals, that shrunk to 1 by "
             "three of them", "0 to 1", 365, _ORDERS, unknown=0.5),
    _feature("discount_share", "share of the spend on reduced goods, shrunk to 0.2 by two days with "
             "an order", "0 to 1", 365, _REDUCED, unknown=0.2),
    _feature("coupon_share", "share of the days with an order on which a coupon was used, shrunk to 0.0375 "
             "by eight days", "0 to 1", 365, _REDUCED, unknown=0.0375),
    _feature("views", "product views and searches", "log(1 + events)", 90, _EVENTS),
    _feature("cart_adds", "products put into a cart", "log(1 + events)", 90, _EVENTS),
    _feature("email_opens", "e-mails opened", "log(1 + events)", 180, _EVENTS),
    _feature("email_clicks", "links in e-mails followed", "log(1 + events)", 180, _EVENTS),
    _feature("abandonment", "share of carts untouched for a day and not bought, shrunk to 0.7 by two carts",
             "0 to 1", 180, _EVENTS, unknown=0.7),
    _feature("cart_waiting", "1 over 1 + days since the last open cart was touched, 0 without one", "0 to 1",
             30, _EVENTS),
    _feature("offers", "coupons or campaigns received", "log(1 + offers)", 56, ("coupon_exposures",)),
    _feature("redeemed_share", "share of the offers received that were used, shrunk to 0.05 by four",
             "0 to 1", 365, _OFFERED, unknown=0.05),
)  # fmt: skip
"""What a personal offer may read, in the order of the F axis. A share is shrunk towards a constant, never
towards other customers: what a row says of one customer follows from that customer's rows alone."""

REPORTED = (
    _feature("profit", "revenue of the time kept less unit costs and fees", "minor units", 365,
             ("orders", "discounts", "returns", "costs")),
    _feature("order_days", "each day with an order: who returns, how often and when", "days", 730, _ORDERS),
    _feature("purchases", "each day on which a product was bought: what comes next", "days", 365, _BOUGHT),
    _feature("carts", "each touch of a cart: how long it waits, what comes of it", "events", 180, _EVENTS),
)  # fmt: skip
"""What `tarifa customers report` and the relevance of coupons read beside, on the same terms."""

_PLACES = {feature.name: place for place, feature in enumerate(CUSTOMER_FEATURES)}


@dataclass(frozen=True, slots=True, eq=False)
class Customers:
    """N customers as they were known before a day.

    Attributes
    ----------
    customer
        N pseudonyms, ascending, none twice.
    values
        float64 [N, F] in the order of :data:`CUSTOMER_FEATURES`, finite; exactly :func:`unknown` in the rows
        of those who have not agreed, or the noun cannot be made.
    consented
        bool [N]; the last answer about :data:`PERSONAL_OFFERS` before `as_of` was yes.
    as_of
        int; first day that was not seen, counted from 1970-01-01.
    fingerprint
        str; of the data.

    Raises
    ------
    UsageError
        If shapes, order or values are not as stated.
    """

    customer: tuple[str, ...]
    values: Floats
    consented: Bools
    as_of: int
    fingerprint: str

    def __post_init__(self) -> None:
        """Refuse what would describe somebody wrongly, or somebody who did not agree."""
        N = len(self.customer)
        if self.values.shape != (N, len(_PLACES)) or self.consented.shape != (N,):
            raise UsageError(
                f"{N} customers need values [{N}, {len(_PLACES)}] and consents [{N}].",
                why=f"They have {self.values.shape} and {self.consented.shape}.",
            )
        if self.consented.dtype != np.bool_:
            raise UsageError(
                f"Consents are yes or no, not {self.consented.dtype}.",
                why="What is neither would be read as a yes.",
            )
        if any(a >= b for a, b in zip(self.customer, self.customer[1:], strict=False)):
            raise UsageError("Customers must be in ascending order, none twice.")
        if not np.isfinite(self.values).all():
            raise UsageError("A value of a customer is not a finite number.")
        if not np.array_equal(self.values, visible(self.values, self.consented)):
            raise UsageError(
                "A customer who has not agreed has values of their own.",
                why="Without consent a customer is described as an unknown visitor is.",
                todo="Pass the values through pricing.customers.visible.",
            )

    def __len__(self) -> int:
        return len(self.customer)

    def column(self, name: str) -> Floats:
        """Return the values [N] of a registered feature; raises :class:`pricing.errors.UsageError`."""
        out: Floats = self.values[:, place_of(name)]
        return out

    def find(self, customer: Sequence[str]) -> Floats:
        """Return the values [n, F] of these customers; a name never seen gets the unknown visitor's."""
        place = {name: i for i, name in enumerate(self.customer)}
        rows = np.array([place.get(name, len(place)) for name in customer], dtype=np.int64)
        out: Floats = np.concatenate([self.values, unknown()[None]])[rows]
        return out

    def row(self, customer: str) -> int:
        """Return the row of one customer, -1 for a name never seen."""
        place = bisect_left(self.customer, customer)
        return place if self.customer[place : place + 1] == (customer,) else -1

    def take(self, index: Ints) -> Customers:
        """Return the customers at `index` (int64, ascending)."""
        return replace(
            self,
            customer=tuple(self.customer[int(i)] for i in index),
            values=self.values[index],
            consented=self.consented[index],
        )

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same customers give the same bytes."""
        return pack(_KIND, _VERSION, *self._parts())

    def digest(self) -> str:
        """Return the SHA-256 of everything that is said of them here."""
        return content_digest(_KIND, _VERSION, *self._parts())

    def _parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
        arrays: dict[str, NDArray[Any]] = {"values": self.values, "consented": self.consented}
        names = {"customer": list(self.customer), "features": list(_PLACES)}
        return arrays, {**names, "as_of": self.as_of, "fingerprint": self.fingerprint}

    @staticmethod
    def from_bytes(content: bytes) -> Customers:
        """Read what :meth:`to_bytes` wrote.

        Raises
        ------
        ArtifactError
            If the bytes are damaged or foreign, or written with another register of features.
        """
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            if tuple(meta["features"]) != tuple(_PLACES):
                raise ArtifactError(
                    "These customers were described by other features than this Tarifa's.",
                    todo="Compute them again.",
                )
            names, as_of = tuple(map(str, meta["customer"])), int(meta["as_of"])
            return Customers(names, arrays["values"], arrays["consented"], as_of, str(meta["fingerprint"]))
        except (LookupError, TypeError, AttributeError, UsageError) as error:
            raise ArtifactError(
                "This customers archive does not hold what customers are made of.",
                why=f"{type(error).__name__}: {error}.",
                todo="Compute them again.",
            ) from error


def unknown() -> Floats:
    """Return the row float64 [F] of a visitor of whom nothing is known."""
    return np.array([feature.unknown for feature in CUSTOMER_FEATURES])


def visible(values: Floats, consented: Bools) -> Floats:
    """Return values [..., F] with :func:`unknown` wherever `consented` [...] does not hold.

    Whoever refused, withdrew or opted out (Global Privacy Control included) is then exactly what a first
    visitor is, in every model that reads them.
    """
    out: Floats = np.where(consented[..., None], values, unknown())
    return out


def place_of(name: str) -> int:
    """Return the place on the F axis of a registered feature.

    Raises
    ------
    RefusedError
        If the name is that of a protected attribute or a near proxy: see :mod:`pricing.protected`.
    UsageError
        If it is any other name that is not registered.
    """
    if name not in _PLACES:
        refuse_protected(name)
        raise UsageError(
            f"{name} is no registered feature of a customer.",
            why="Only what is registered with a purpose, a legal basis and a retention is read.",
            todo=f"These are: {', '.join(_PLACES)}.",
        )
    return _PLACES[name]
