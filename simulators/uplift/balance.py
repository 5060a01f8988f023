"""Were those who got an offer like those who could have? One test an offer, and what they say together.

Hotelling (1931) for each offer apart, with as many degrees of freedom as its rarer side has customers: a
joint chi-square over hundreds of moments and an arm of a hundred customers refuses honest lotteries. Each
offer is tested twice, on everything known and on the little that tells most of profit, because three
hundred directions in which nothing differs hide the one that counts; and all offers together on that
little. The smallest chance times the number of tests (Bonferroni) is the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from pricing.arrays import Bools, Floats, Ints

__all__ = ["Balance", "balance", "moments_of"]

_RANK = 1e-8
_A_MOMENT = 4
"""Customers of the rarer side for every moment tested."""

_SKEWED = 0.1
"""Fourth moment over the rarer side above which a large number of customers is not large."""

_PRODUCTS, _DAYS = 5, 6


@dataclass(frozen=True, slots=True)
class Balance:
    """The verdict.

    Attributes
    ----------
    p
        Smallest chance of any test times their number; NaN without a test.
    statistic, freedom
        Of that test: Hotelling's T squared and the number of moments.
    """

    p: float
    statistic: float
    freedom: int


def moments_of(known: Floats, outcome: Floats, day: Ints, urn: Ints) -> tuple[Floats, int]:
    """Return what was known before the draw in the order in which it is tested, and how much tells most.

    Parameters
    ----------
    known
        float64 [N, 1 + Q]; a constant and standardised values, the last two units and profit before.
    outcome
        float64 [N]; what came of it: only says which direction of `known` counts.
    day, urn
        int64 [N]; when, and from which urn was drawn.

    Returns
    -------
    moments
        float64 [N, M]; constant, expected outcome, the two before, days, urns, the rest of `known`, squares,
        products.
    first
        How many of these tell most.
    """
    gram = known.T @ known + 1e-3 * len(known) * np.eye(known.shape[1])
    told = np.linalg.solve(gram, known.T @ outcome)
    score = known[:, 1:] @ told[1:]
    matters = 1 + np.argsort(-np.abs(told[1:]), kind="stable")[:_PRODUCTS]
    pairs = [known[:, i] * known[:, j] for a, i in enumerate(matters) for j in matters[a + 1 :]]
    edges = np.unique(np.quantile(day, np.arange(1, _DAYS) / _DAYS)) if len(day) else day
    late = np.equal.outer(np.searchsorted(edges, day, side="right"), np.arange(1, len(edges) + 1))
    apart = np.equal.outer(urn, np.arange(1, int(urn.max(initial=0)) + 1))
    lead = np.stack([known[:, 0], score, *known[:, 1:].T[-2:]], axis=1)
    rest = known[:, 1:-2]
    parts = [lead, late, apart, rest, np.square(rest), *(pair[:, None] for pair in pairs)]
    return np.concatenate(parts, axis=1).astype(np.float64), lead.shape[1]


def balance(surplus: Floats, moments: Floats, first: int, open_to: Bools, customer: Ints) -> Balance:
    """Test that every surplus has mean 0 times every moment, over those who could have got the offer.

    Parameters
    ----------
    surplus
        float64 [N, A]; 1(given) / propensity - 1(could be given) of A offers.
    moments, first
        Of :func:`moments_of`.
    open_to
        bool [N, A].
    customer
        int64 [N]; clusters.
    """
    count = range(surplus.shape[1])
    tests = [_hotelling(surplus[:, [a]], moments, open_to[:, a], customer) for a in count]
    tests += [_hotelling(surplus[:, [a]], moments[:, :first], open_to[:, a], customer) for a in count]
    tests.append(_hotelling(surplus, moments[:, :first], np.asarray(open_to.any(axis=1)), customer))
    told = [test for test in tests if np.isfinite(test.p)]
    if not told:
        return Balance(float("nan"), float("nan"), 0)
    least = min(told, key=lambda test: test.p)
    return Balance(min(1.0, least.p * len(told)), least.statistic, least.freedom)


def _hotelling(surplus: Floats, moments: Floats, rows: Bools, customer: Ints) -> Balance:
    """Return the test of these offers together; NaN where the rarest side has too few customers.

    Several together see chances that are too high, or too low, for all: what one has too little another has
    too, while by chance it would have it.
    """
    surplus, moments, A = surplus[rows], moments[rows], surplus.shape[1]
    _, place = np.unique(customer[rows], return_inverse=True)
    G = int(place.max(initial=-1)) + 1
    sides = [np.unique(place[side]) for s in surplus.T for side in (s > 0.0, s <= 0.0)]
    rarer = min(len(side) for side in sides)
    kept = _well_behaved(moments, rarer)[: max(rarer // (_A_MOMENT * A), 1)]
    if rarer <= 2 * A * len(kept):
        return Balance(float("nan"), float("nan"), 0)
    sums = np.stack([np.bincount(place, s * z, G) for s in surplus.T for z in moments[:, kept].T], axis=1)
    mean = sums.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(sums, rowvar=False).reshape(len(mean), len(mean)))
    real = values > _RANK * values.max()
    r = int(real.sum())
    statistic = G * float((np.square(vectors.T @ mean)[real] / values[real]).sum())
    if not real.any():
        return Balance(float("nan"), float("nan"), 0)
    p = float(fdtrc(r, rarer - r, statistic * (rarer - r) / (r * (rarer - 1.0))))
    return Balance(p, statistic, r)


def _well_behaved(moments: Floats, rarer: int) -> Ints:
    """Return the moments whose mean over the rarer side is nearly normal; the constant always."""
    centred = moments - moments.mean(axis=0)
    spread = np.square(centred).mean(axis=0)
    fine = np.square(np.square(centred)).mean(axis=0) <= _SKEWED * rarer * np.square(spread)
    fine &= spread > _RANK
    fine[0] = True
    return np.flatnonzero(fine)
