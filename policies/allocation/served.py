"""Shadow prices of what is served, from what a ledger says: a function of it, and no state of its own.

As :class:`policies.allocation.pacing.Pacer` finds them (re-solving on the customers seen lately, with what is
really left, over those still to come), for the offers of :class:`policies.serve.uplift_offers.UpliftOffers`.
Whoever reads the same ledger finds the same prices: another process, and a service that starts again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from policies.allocation.instance import Cells, Schedule
from policies.allocation.one_limit import one_price
from policies.allocation.oracle import NumpyOracle
from policies.allocation.uses import learned_use
from policies.serve.realised_use import Correction
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Bools, Floats, Ints

__all__ = ["Ended", "Remaining", "Seen", "corrected", "repriced"]

_ORACLE = NumpyOracle()
_PRIOR = 20.0
"""Uses that are worth as much as the prediction that a use draws the most that it may."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """M customers who were decided for lately.

    Attributes
    ----------
    features
        float64 [M, F]; as the policy reads them.
    discount
        int64 [M, K]; what each of the model's offers took off their carts, minor units.
    open
        bool [M, K]; what every rule but those on budgets and on uses in all left open; true in column 0.
    """

    features: Floats
    discount: Ints
    open: Bools

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """J offers that were made and whose time is over, used or not.

    One that was used early counts only then: those not used are known no sooner.

    Attributes
    ----------
    features
        float64 [J, F]; of whom they were made to.
    offer
        int64 [J]; place among the model's offers.
    liability, spent
        int64 [J]; the most that each could cost, and what it did, minor units.
    """

    features: Floats
    offer: Ints
    liability: Ints
    spent: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Remaining:
    """What a budget, or a cap on uses, has left.

    Attributes
    ----------
    left
        Neither spent nor kept for anything that no offer predicted; minor units, or uses.
    offers
        bool [K]; which of the model's offers draw on it.
    held
        float64 [K]; the most that offers which are out may still draw on it.
    share
        Customers seen over customers still to come.
    counts
        It is a cap: a use draws 1 and not its money.
    """

    left: float
    offers: Bools
    held: Floats
    share: float
    counts: bool = False


def corrected(policy: UpliftOffers, ended: Ended) -> Correction:
    """Return what uses so far say: how likely offers are used, and what a use draws of its most."""
    used = ended.spent > 0
    odds = learned_use(policy.model.used(ended.features), ended.offer, used.astype(np.float64))
    most = float(ended.liability[used].sum())
    worth = _PRIOR * most / max(int(used.sum()), 1)
    return Correction(odds, (float(ended.spent.sum()) + worth) / (most + worth) if most else 1.0)


def repriced(policy: UpliftOffers, seen: Seen, ended: Ended, limits: Sequence[Remaining]) -> UpliftOffers:
    """Return the policy at the shadow prices at which what is left lasts, and no longer, until the end.

    Parameters
    ----------
    policy
        What is served; prices and correction that it has already change nothing.
    seen, ended
        What the ledger knows; the order of customers counts only where draws take turns.
    limits
        R budgets and caps that are to last. A cap is counted in the money that its uses take off on average.

    Returns
    -------
    UpliftOffers
        As it was fitted where nothing binds.
    """
    none = np.zeros(len(policy.model.offers))
    base = policy.priced(none, Correction.none(len(none)))
    if not limits or not len(seen):
        return base
    learned = corrected(base, ended)
    told = replace(base, correction=learned)
    chance, more = told.chance(seen.features)
    cost: Floats = chance * seen.discount * learned.money
    cells = Cells(base.sampled(seen.features) * more, cost, seen.open)
    rate = _rates(told, chance, ended)
    every = [(limit, rate if limit.counts else rate * learned.money) for limit in limits]
    budgets = np.array([limit.offers for limit in limits], dtype=np.float64)
    most = np.array([_money(limit, drawn, chance, cost, seen.open) for limit, drawn in every])
    schedule = Schedule(most, budgets, np.zeros_like(budgets), np.full(len(none), np.inf))
    if len(limits) == 1:
        prices = np.array([one_price(cells, schedule, _ORACLE).high])
    else:
        from policies.allocation.several_limits import several_prices  # SciPy: only where it is needed

        prices = several_prices(cells, schedule, _ORACLE)
    return base.priced(prices @ budgets, learned)


def _rates(told: UpliftOffers, chance: Floats, ended: Ended) -> Floats:
    """Return how likely an offer that was made is used, float64 [K]: of those it was made to, if any."""
    offers = chance.shape[1]
    given, _ = told.chance(ended.features)
    count = np.bincount(ended.offer, minlength=offers)
    total = np.bincount(ended.offer, given[np.arange(len(ended.offer)), ended.offer], offers)
    out: Floats = np.where(count > 0, total / np.maximum(count, 1), chance.mean(axis=0))
    return out


def _money(limit: Remaining, rate: Floats, chance: Floats, cost: Floats, open_: Bools) -> float:
    """Return what customers like those seen may draw on a limit, minor units."""
    left = max(limit.left - float(limit.held @ (rate * limit.offers)), 0.0) * limit.share
    if not limit.counts:
        return left
    on = open_ & limit.offers
    return left * float((cost * on).sum()) / max(float((chance * on).sum()), 1e-12)
