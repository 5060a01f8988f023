"""Shadow prices of what is served, from what a ledger says: a function of it, and no state of its own.

As :class:`policies.allocation.pacing.Pacer` finds them (re-solving on the customers seen lately, with what is
really left, over those still to come), for the offers of :class:`policies.serve.uplift_offers.UpliftOffers`.
Whoever reads the same ledger finds the same prices: another process, and a service that starts again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policies.allocation.instance import Cells, Schedule
from policies.allocation.one_limit import one_price
from policies.allocation.oracle import NumpyOracle
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Bools, Floats, Ints

__all__ = ["Ended", "Remaining", "Seen", "corrected", "repriced"]

_ORACLE = NumpyOracle()
_PRIOR = 20.0
"""Uses that the predictions are worth against what is realised."""


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


def corrected(policy: UpliftOffers, ended: Ended) -> Floats:
    """Return realised over predicted draw by offer, float64 [K], shrunk to all offers' and that to 1."""
    offers = len(policy.model.offers)
    chance = policy.model.used(ended.features)[np.arange(len(ended.offer)), ended.offer]
    money = chance * ended.liability
    predicted = np.bincount(ended.offer, money, offers)
    spent = np.bincount(ended.offer, ended.spent, offers)
    uses = float(chance.sum())
    worth = _PRIOR * float(money.sum()) / uses if uses > 0.0 else 0.0
    if not worth > 0.0:
        return np.ones(offers)
    common = (spent.sum() + worth) / (predicted.sum() + worth)
    out: Floats = (spent + worth * common) / (predicted + worth)
    out[0] = 1.0
    return out


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
    base = policy.priced(none, none)
    if not limits or not len(seen):
        return base
    factor = corrected(base, ended)
    chance = np.minimum(base.model.used(seen.features) * factor, 1.0)
    cost: Floats = chance * seen.discount.astype(np.float64)
    cells = Cells(base.sampled(seen.features), cost, seen.open)
    rate = _rates(base, factor, chance, ended)
    budgets = np.array([limit.offers for limit in limits], dtype=np.float64)
    most = np.array([_money(limit, rate, chance, seen) for limit in limits])
    schedule = Schedule(most, budgets, np.zeros_like(budgets), np.full(len(none), np.inf))
    if len(limits) == 1:
        prices = np.array([one_price(cells, schedule, _ORACLE).high])
    else:
        from policies.allocation.several_limits import several_prices  # SciPy: only where it is needed

        prices = several_prices(cells, schedule, _ORACLE)
    return base.priced(prices @ budgets, factor)


def _rates(policy: UpliftOffers, factor: Floats, chance: Floats, ended: Ended) -> Floats:
    """Return how likely an offer that was made is used, float64 [K]: of those it was made to, if any."""
    offers = len(factor)
    given = np.minimum(policy.model.used(ended.features) * factor, 1.0)
    count = np.bincount(ended.offer, minlength=offers)
    total = np.bincount(ended.offer, given[np.arange(len(ended.offer)), ended.offer], offers)
    out: Floats = np.where(count > 0, total / np.maximum(count, 1), chance.mean(axis=0))
    return out


def _money(limit: Remaining, rate: Floats, chance: Floats, seen: Seen) -> float:
    """Return what customers like those seen may draw on a limit, minor units."""
    left = max(limit.left - float(limit.held @ (rate * limit.offers)), 0.0) * limit.share
    if not limit.counts:
        return left
    uses = chance * (seen.open & limit.offers)
    return left * float((uses * seen.discount).sum()) / max(float(uses.sum()), 1e-12)
