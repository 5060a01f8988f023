"""Carts that wait at this moment, how likely each is bought after all, and whether such figures came true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlog1py, xlogy

from pricing.arrays import Bools, Floats
from pricing.errors import NotIdentified
from simulators.contract.tables import Source
from simulators.customers.abandonment import (
    EDGES,
    AbandonmentModel,
    CartSpells,
    at_risk,
    build_spells,
    fit_abandonment,
)
from simulators.customers.churn import Reliability, reliability
from simulators.customers.outlook_check import Gain, beyond_chance, gain
from simulators.customers.redemption import day_number

__all__ = ["CartCheck", "OpenCarts", "check_carts", "find_open_carts", "usual_cart"]

_SURE = 0.9
_FEW = 30


@dataclass(frozen=True, slots=True)
class OpenCarts:
    """Carts that hold something, touched in the last 14 days and not bought.

    Attributes
    ----------
    customer, cart
        Pseudonym and ``cart_id`` of each of n carts of customers who agreed; the cart is empty where the
        shop records none.
    hours, value
        float64 [n]; since it was last touched; minor units at the goods' median shelf prices, 0 for unknown.
    bought, call_after
        float64 [n]; probability that it is bought within 14 days of that touch if nobody touches it again;
        hours of silence after which it may be called abandoned with 90 % certainty.
    others, others_value
        Carts of sessions that belong to nobody: how many, and what lies in them, minor units.
    """

    customer: tuple[str, ...]
    cart: tuple[str, ...]
    hours: Floats
    value: Floats
    bought: Floats
    call_after: Floats
    others: int
    others_value: float

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def expected(self) -> float:
        """How many of the n are expected to be bought."""
        return float(self.bought.sum())


@dataclass(frozen=True, slots=True)
class CartCheck:
    """Purchases of carts in days that the fit did not see.

    Attributes
    ----------
    since
        First of those days, counted from 1970-01-01.
    touches, bought, expected, off
        Times that a cart was left waiting since then; how many ended with a purchase; how many were expected
        to, given how long each was seen to wait; by how many standard deviations of what chance alone makes
        `bought` lies above that.
    tenths
        Probabilities of a purchase within an interval of :data:`EDGES`, and what came, by tenths.
    gain
        Of the log loss an interval, over one chance that knows only how long a cart has waited.
    """

    since: int
    touches: int
    bought: int
    expected: float
    off: float
    tenths: Reliability
    gain: Gain


def find_open_carts(source: Source, model: AbandonmentModel) -> OpenCarts:
    """Return the carts that wait on the day of the spells that were last built from `source`."""
    found = source.engine.arrays(
        f"""
        WITH owner AS (SELECT cart, max(customer_id) AS customer_id FROM cart_touches GROUP BY cart)
        SELECT coalesce(o.customer_id, '') AS customer_id,
            CASE WHEN cart[:2] = 'c ' THEN cart[3:] ELSE '' END AS cart_id, hours, value
        FROM cart_spells JOIN owner AS o USING (cart)
        WHERE open AND hours < {float(EDGES[-1])!r} ORDER BY customer_id, hours, cart
        """
    )
    customer = found["customer_id"].astype(str)
    known: Bools = customer != ""
    hours, value = (np.asarray(found[name], dtype=np.float64)[known] for name in ("hours", "value"))
    yes = np.ones(len(hours), dtype=np.bool_)
    return OpenCarts(
        customer=tuple(map(str, customer[known])),
        cart=tuple(map(str, found["cart_id"].astype(str)[known])),
        hours=hours,
        value=value,
        bought=model.still_bought(hours, yes, value),
        call_after=model.call_after(yes, value, _SURE),
        others=int((~known).sum()),
        others_value=float(np.asarray(found["value"], dtype=np.float64)[~known].sum()),
    )


def check_carts(source: Source, spells: CartSpells, since: str, purpose: str | None) -> CartCheck | None:
    """Fit on what was known on the day `since` and compare with the touches from then on.

    `spells` are those that were last built from `source`; afterwards those of the earlier day are.

    Returns
    -------
    None where nothing can be told: too few carts before or after.
    """
    moment = source.engine.arrays(
        'SELECT epoch("at") / 86400 AS day FROM cart_spells ORDER BY "at", cart, hours, bought, known, value'
    )["day"]
    later: Bools = np.asarray(moment, dtype=np.float64) >= day_number(since)
    try:
        early = build_spells(source, since, purpose)
        model = fit_abandonment(early)
    except NotIdentified:
        return None
    row, interval, came = at_risk(spells)
    seen = later[row]
    row, interval, came = row[seen], interval[seen], came[seen]
    if came.sum() < _FEW or came.all():
        return None
    p = model.hazard(spells.known, spells.value)[row, interval]
    plain = _by_elapsed(early)[interval]
    return CartCheck(
        since=day_number(since),
        touches=int(later.sum()),
        bought=int(came.sum()),
        expected=float(p.sum()),
        off=beyond_chance(p, came),
        tenths=reliability(p, came),
        gain=gain("elapsed", _loss(plain, came) - _loss(p, came)),
    )


def usual_cart(model: AbandonmentModel, hours: Floats) -> tuple[Floats, float]:
    """Return the probability [n] that a usual cart is bought that has waited `hours` [n] without a touch.

    A known customer's, of usual value. Beside it the hours after which one may be called abandoned with 90 %
    certainty.
    """
    yes, value = np.ones(len(hours), dtype=np.bool_), np.full(len(hours), np.expm1(model.centre))
    return model.still_bought(hours, yes, value), float(model.call_after(yes[:1], value[:1], _SURE)[0])


def _by_elapsed(spells: CartSpells) -> Floats:
    """Return the share [A] of carts bought in each interval, of those that waited through it."""
    _, interval, came = at_risk(spells)
    waited, bought = (np.bincount(interval, weight, len(EDGES) - 1) for weight in (None, came))
    out: Floats = (bought + 0.5) / (waited + 1.0)
    return out


def _loss(p: Floats, came: Bools) -> Floats:
    out: Floats = -np.asarray(xlogy(came, p) + xlog1py(~came, -p), dtype=np.float64)
    return out
