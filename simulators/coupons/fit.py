"""Fit the habits of a shop's customers: when they buy, how much, and whether they use a coupon they hold.

What a coupon *adds* is not fitted: exposures of the past were targeted, and a targeted exposure says who
redeems and not what would have happened without it. That part is a prior (:mod:`simulators.coupons.worlds`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import NotIdentified
from simulators.contract.tables import Source
from simulators.coupons.habits import CARTS, RECENCY, Habits, recency_class
from simulators.coupons.purchases import Purchases, build_purchases
from simulators.coupons.state import MEMORY
from simulators.customers.logistic import Logit, fit_logistic
from simulators.customers.offers import NEVER, OFFER_TABLES, Offers, build_offers

__all__ = ["HABIT_TABLES", "fit_habits", "habits_of"]

HABIT_TABLES = tuple(sorted({*OFFER_TABLES, "costs", "events"}))
"""What :func:`habits_of` reads: the argument `only` of :func:`simulators.contract.tables.open_source`."""

_PRECISION = 1.0
_LEVEL_PRECISION = 1e-6
_LEAST_USED = 30
"""Redemptions below which the shop's own level of coupon use is not taken for known."""
_WEIGHT = 2.0
"""Purchases that the shop's mean variance of a log basket is worth beside a household's own."""


def habits_of(source: Source, purpose: str | None) -> Habits:
    """Read a shop's tables and fit: :func:`build_purchases`, :func:`build_offers`, :func:`fit_habits`."""
    purchases = build_purchases(source, purpose)
    tables = ("coupon_exposures", "redemptions", "campaigns")
    offers = build_offers(source, purpose) if all(source.has(name) for name in tables) else None
    return fit_habits(purchases, offers)


def fit_habits(purchases: Purchases, offers: Offers | None) -> Habits:
    """Fit on all whole periods; a household counts from the period after its first purchase.

    Parameters
    ----------
    purchases
        Of the households that may be read.
    offers
        Who was given which campaign, and what came of it; None where the shop does not record it.

    Raises
    ------
    NotIdentified
        If no household was seen to come back.
    """
    bought = purchases.value > 0.0
    chosen = np.flatnonzero(bought.any(axis=1))
    bought, value, cart = bought[chosen], purchases.value[chosen], purchases.cart[chosen]
    since = _since(bought)
    logit, ages = _visits(bought, since, cart, events=purchases.events)
    log_mean, log_sd, noise = _baskets(value)
    names = tuple(purchases.customer[int(i)] for i in chosen)
    use = _use(names, bought, offers, purchases)
    return Habits(
        level=float(logit.mean[0]),
        recency=logit.mean[1 : 1 + len(RECENCY)],
        cart=ages,
        cart_opens=_share(cart[~bought & (since > 0)]),
        customer=names,
        visit=_padded(logit.groups, len(names), 0.0),
        visit_sd=np.sqrt(_padded(logit.group_variance, len(names), logit.group_sd**2)),
        basket=log_mean,
        basket_sd=log_sd,
        noise_sd=noise,
        use_level=use.level,
        use=use.effect,
        use_sd=use.effect_sd,
        visit_spread=logit.group_sd,
        use_spread=use.spread,
        since=np.argmax(bought[:, ::-1], axis=1).astype(np.int64) + 1,
        rate=_rate(bought),
        offered=use.offered,
        used=use.used,
        buying=float(bought[since > 0].mean()),
        economics=purchases.economics,
        period_days=purchases.period_days,
        first_day=purchases.first_day + bought.shape[1] * purchases.period_days,
        currency=purchases.currency,
        fingerprint=purchases.fingerprint,
    )


def _visits(bought: Bools, since: Ints, cart: Bools, *, events: bool) -> tuple[Logit, Floats]:
    """Regress buying in a period on recency and open carts, households partially pooled."""
    household, column = np.nonzero(since > 0)
    came = bought[household, column]
    if not came.any():
        raise NotIdentified("No household came back.", todo="Hand over more of the past.")
    recency = np.eye(len(RECENCY))[recency_class(since[household, column])]
    blocks = [np.ones((len(came), 1)), recency]
    if events:
        age = _cart_age(cart & ~bought, bought)[household, column]
        blocks.append(np.eye(CARTS + 1)[age][:, 1:])
    X = np.concatenate(blocks, axis=1)
    precision = np.full(X.shape[1], _PRECISION)
    precision[0] = _LEVEL_PRECISION
    found = fit_logistic(X, came, np.ones(len(came)), precision, group=household)
    return found, found.mean[1 + len(RECENCY) :] if events else np.zeros(CARTS)


def _since(bought: Bools) -> Ints:
    """Return periods since the last earlier purchase [H, T]; 0 before the first."""
    column: Ints = np.arange(bought.shape[1], dtype=np.int64)
    upto = np.maximum.accumulate(np.where(bought, column, -1), axis=1)
    before = np.concatenate([np.full((len(bought), 1), -1), upto[:, :-1]], axis=1)
    return np.where(before >= 0, column - before, 0).astype(np.int64)


def _cart_age(left: Bools, bought: Bools) -> Ints:
    """Return the age of the cart that is open when each period begins [H, T]; 0 for none."""
    age = np.zeros(left.shape, dtype=np.int64)
    for t in range(1, left.shape[1]):
        grown = np.where(age[:, t - 1] > 0, age[:, t - 1] + 1, 0)
        grown = np.where(left[:, t - 1], 1, grown)
        age[:, t] = np.where(bought[:, t - 1] | (grown > CARTS), 0, grown)
    return age


def _baskets(value: Floats) -> tuple[Floats, Floats, float]:
    """Return mean and sd of each household's log expected basket, and the sd of the log of one basket.

    A one-way model with random household means by the method of moments (Searle, Casella, McCulloch,
    Variance Components, 1992, section 3.6), logs within four sds of the mean, and the log-normal's mean.
    """
    there = value > 0.0
    logs = np.log(np.where(there, value, 1.0))
    centre, spread = float(logs[there].mean()), float(logs[there].std())
    logs = np.clip(logs, centre - 4.0 * spread, centre + 4.0 * spread)
    n = there.sum(axis=1).astype(np.float64)
    own = np.where(there, logs, 0.0).sum(axis=1) / n
    within = (np.where(there, logs - own[:, None], 0.0) ** 2).sum()
    variance = float(within / max(n.sum() - len(n), 1.0)) + 1e-6
    between = max(
        float(np.average((own - centre) ** 2, weights=n)) - variance * len(n) / float(n.sum()), 1e-6
    )
    weight = between / (between + variance / n)
    mean = centre + weight * (own - centre) + 0.5 * variance
    return mean, np.sqrt(between * (1.0 - weight)), float(np.sqrt(variance))


@dataclass(frozen=True, slots=True)
class _Use:
    """How the H households use coupons that they hold; see :class:`Habits`."""

    level: float
    effect: Floats
    effect_sd: Floats
    spread: float
    offered: Floats
    used: Floats


def _use(names: tuple[str, ...], bought: Bools, offers: Offers | None, purchases: Purchases) -> _Use:
    """Regress using on nothing but the household: one row a purchase with a campaign's coupons in hand."""
    count = len(names)
    rows, used = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
    if offers is not None:
        rows, used = _at_risk(names, bought, offers, purchases)
    offered, times = np.bincount(rows, minlength=count), np.bincount(rows[used], minlength=count)
    tried = (offered.astype(np.float64), times.astype(np.float64))
    if int(used.sum()) < _LEAST_USED:
        return _Use(np.nan, np.zeros(count), np.ones(count), 1.0, *tried)
    found = fit_logistic(
        np.ones((len(rows), 1)), used, np.ones(len(rows)), np.array([_LEVEL_PRECISION]), group=rows
    )
    variance = _padded(found.group_variance, count, found.group_sd**2)
    effect = _padded(found.groups, count, 0.0)
    return _Use(float(found.mean[0]), effect, np.sqrt(variance), found.group_sd, *tried)


def _at_risk(
    names: tuple[str, ...], bought: Bools, offers: Offers, purchases: Purchases
) -> tuple[Ints, Bools]:
    """Return the household of each purchase with a coupon in hand, and whether it was used then."""
    place = {name: i for i, name in enumerate(names)}
    days, periods = purchases.period_days, bought.shape[1]
    rows: list[int] = []
    used: list[bool] = []
    for i, name in enumerate(offers.customer):
        row = place.get(name)
        if row is None:
            continue
        when = int(offers.redeemed[i])
        first = max((int(offers.day[i]) - purchases.first_day) // days, 0)
        last = min((int(offers.ends[i]) - 1 - purchases.first_day) // days, periods - 1)
        done = periods if when == NEVER else (when - purchases.first_day) // days
        for t in range(first, min(last, done) + 1):
            if bought[row, t]:
                rows.append(row)
                used.append(t == done)
    return np.array(rows, dtype=np.int64), np.array(used, dtype=np.bool_)


def _rate(bought: Bools) -> Floats:
    """Return the share of periods with a purchase, older ones fading by :data:`MEMORY`."""
    rate = np.full(len(bought), float(bought.mean()))
    for t in range(bought.shape[1]):
        rate = MEMORY * rate + (1.0 - MEMORY) * bought[:, t]
    return rate


def _share(flags: Bools) -> float:
    return float(flags.mean()) if flags.size else 0.0


def _padded(values: Floats, count: int, other: float) -> Floats:
    """Return `values` for `count` households; those at the end that had no row get `other`."""
    out = np.full(count, other)
    out[: len(values)] = values
    return out
