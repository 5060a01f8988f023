"""Segments: quintile scores of recency, frequency and money, and clusters of behaviour in words.

Both look at customers who agreed and have shopped. Nobody else is in a segment: of them nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import numpy as np
from scipy.cluster import vq
from scipy.spatial.distance import cdist

from pricing.arrays import Bools, Floats, Ints
from pricing.customers import Customers
from pricing.errors import NotIdentified

__all__ = ["CLUSTERED", "Clusters", "Group", "Trait", "cluster", "groups", "rfm_scores"]

CLUSTERED = (
    "recency", "frequency", "basket_size", "basket_value", "interval", "regularity", "discount_share",
    "coupon_share", "categories",
)  # fmt: skip
"""Features that clusters look at, standardised: how one shops, not how long the shop has known it."""

_SCORES = 5
_FEW = 30
_MOST, _SAMPLE, _STARTS, _ROUNDS = 8, 1500, 8, 100
_LEAST_STABLE = 0.8


class Group(StrEnum):
    """What a customer is by recency (R), frequency (F) and money (M), each scored 1 (least) to 5 (most)."""

    BEST = "best"
    """R, F and M all 4 or 5."""
    LOYAL = "loyal"
    """F 4 or 5 and R 3 or more, not best."""
    NEW = "new"
    """R 4 or 5 and F 1 or 2."""
    SLIPPING = "slipping"
    """R 1 or 2 and F 3 or more: used to come."""
    ASLEEP = "asleep"
    """R 1 or 2 and F 1 or 2."""
    REGULAR = "regular"
    """All others."""
    NOT_KNOWN = "not_known"
    """No consent, or no order in the time kept."""


class Trait(StrEnum):
    """What can be said of a cluster; the edge has the words."""

    SEVERAL_A_WEEK = "several_a_week"
    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"
    SELDOM = "seldom"
    AWAY = "away"
    MOSTLY_REDUCED = "mostly_reduced"
    PARTLY_REDUCED = "partly_reduced"
    SELDOM_REDUCED = "seldom_reduced"
    COUPONS = "coupons"
    LARGE_BASKETS = "large_baskets"
    SMALL_BASKETS = "small_baskets"


@dataclass(frozen=True, slots=True)
class Clusters:
    """J clusters of behaviour, those who shop most often first.

    Attributes
    ----------
    label
        int64 [N]; cluster of each customer, -1 of whom nothing is known.
    centre
        float64 [J, C]; mean of each of :data:`CLUSTERED`, in its own unit.
    count
        int64 [J].
    traits
        J tuples of :class:`Trait`, what describes the mean customer of the cluster.
    silhouette
        float; mean silhouette (Rousseeuw 1987) of the chosen number, 0 for one cluster.
    stability
        float; adjusted Rand index between what either half of the customers says of all, 1 for one cluster.
    """

    label: Ints
    centre: Floats
    count: Ints
    traits: tuple[tuple[Trait, ...], ...]
    silhouette: float
    stability: float


def _shopped(customers: Customers) -> Bools:
    out: Bools = customers.consented & (customers.column("frequency") > 0.0)
    return out


def rfm_scores(customers: Customers) -> Ints:
    """Return scores int64 [N, 3] of recency, frequency and money, 1 to 5; 0 of whom nothing is known.

    The score is 1 + the fifths of the customers who do strictly worse, at most 5: equals share a score, so a
    fifth may be larger than another, and nobody's score depends on the order of rows.
    """
    known = _shopped(customers)
    out: Ints = np.zeros((len(customers), 3), dtype=np.int64)
    for place, (name, sign) in enumerate((("recency", -1.0), ("frequency", 1.0), ("monetary", 1.0))):
        value = sign * customers.column(name)[known]
        worse = np.searchsorted(np.sort(value), value, side="left")
        out[known, place] = np.minimum(1 + _SCORES * worse // max(len(value), 1), _SCORES)
    return out


def groups(scores: Ints) -> tuple[Group, ...]:
    """Return the group of each customer, from scores [N, 3]; see :class:`Group`."""
    R, F, M = scores.T
    rules = (
        (R == 0, Group.NOT_KNOWN),
        ((R >= 4) & (F >= 4) & (M >= 4), Group.BEST),
        ((R >= 3) & (F >= 4), Group.LOYAL),
        ((R >= 4) & (F <= 2), Group.NEW),
        ((R <= 2) & (F >= 3), Group.SLIPPING),
        (R <= 2, Group.ASLEEP),
    )
    first = np.argmax(np.stack([*(rule for rule, _ in rules), np.ones(len(R), dtype=np.bool_)]), axis=0)
    named = (*(group for _, group in rules), Group.REGULAR)
    return tuple(named[int(i)] for i in first)


def cluster(customers: Customers, seed: int) -> Clusters:
    """Cluster customers by k-means, into as many groups as are both distinct and stable.

    Each number from 2 to 8 is tried: either half of the customers is clustered alone and labels everybody.
    Of the numbers for which the two agree (adjusted Rand index of .8 or more; Hubert and Arabie 1985) the one
    with the largest silhouette is taken. Where none does there is one cluster: customers differ by degrees.
    Rows are sorted by value first, so their order does not matter.

    Raises
    ------
    NotIdentified
        If fewer than 30 customers agreed and have shopped.
    """
    known = _shopped(customers)
    if known.sum() < _FEW:
        raise NotIdentified(
            f"{int(known.sum())} customers agreed and have shopped.",
            why=f"Clusters of behaviour are told from at least {_FEW}.",
            todo="Ask for consent, or wait for more orders.",
        )
    raw = np.stack([customers.column(name) for name in CLUSTERED], axis=1)[known]
    spread = raw.std(axis=0)
    z = (raw - raw.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    order = np.lexsort(z.T[::-1])
    best, silhouette, stability = np.zeros((1, z.shape[1])), 0.0, 1.0
    for J in range(2, _MOST + 1):
        agreed = _rand(*(_nearest(z, _means(z[order[half::2]], J, seed)) for half in (0, 1)))
        if agreed < _LEAST_STABLE:
            continue
        centres = _means(z[order], J, seed)
        distinct = _silhouette(z[order], centres)
        if distinct > silhouette:
            best, silhouette, stability = centres, distinct, agreed
    return _described(customers, known, raw, _nearest(z, best), silhouette, stability)


def _described(
    customers: Customers, known: Bools, raw: Floats, place: Ints, silhouette: float, stability: float
) -> Clusters:
    _, place = np.unique(place, return_inverse=True)
    count = np.bincount(place)
    often = CLUSTERED.index("frequency")
    ranked = np.argsort(-np.bincount(place, raw[:, often]) / count, kind="stable")
    place = np.argsort(ranked)[place]
    centre = np.stack([np.bincount(place, column) / count[ranked] for column in raw.T], axis=1)
    usual = float(np.median(np.expm1(raw[:, CLUSTERED.index("basket_size")])))
    label: Ints = np.full(len(customers), -1, dtype=np.int64)
    label[known] = place
    return Clusters(
        label=label,
        centre=centre,
        count=count[ranked].astype(np.int64),
        traits=tuple(_traits(dict(zip(CLUSTERED, row.tolist(), strict=True)), usual) for row in centre),
        silhouette=silhouette,
        stability=stability,
    )


def _traits(mean: dict[str, float], usual: float) -> tuple[Trait, ...]:
    """Put a mean customer in words: rhythm, whether it stays away, reductions, coupons, baskets."""
    days, since = float(np.exp(mean["interval"])), float(np.expm1(mean["recency"]))
    rhythms = (
        (4.5, Trait.SEVERAL_A_WEEK),
        (10.0, Trait.WEEKLY),
        (20.0, Trait.FORTNIGHTLY),
        (45.0, Trait.MONTHLY),
        (np.inf, Trait.SELDOM),
    )
    out = [next(trait for most, trait in rhythms if days < most)]
    out += [Trait.AWAY] * (since > 3.0 * days)
    reduced, coupons = mean["discount_share"], mean["coupon_share"]
    halves = (Trait.SELDOM_REDUCED, Trait.PARTLY_REDUCED, Trait.MOSTLY_REDUCED)
    out.append(halves[int(reduced >= 0.2) + int(reduced >= 0.5)])
    out += [Trait.COUPONS] * (coupons >= 0.1)
    size = float(np.expm1(mean["basket_size"])) / usual
    out += [Trait.LARGE_BASKETS] * (size >= 1.4) + [Trait.SMALL_BASKETS] * (size <= 0.7)
    return tuple(out)


def _means(z: Floats, J: int, seed: int) -> Floats:
    """Return the best of several k-means [J, C], each begun as in k-means++ (Arthur, Vassilvitskii 2007)."""
    best, least = z[:J], np.inf
    for start in range(_STARTS):
        rng = np.random.default_rng([seed, J, start])
        try:
            found, _ = cast("Any", vq).kmeans2(z, J, iter=_ROUNDS, minit="++", missing="raise", rng=rng)
        except vq.ClusterError:  # a cluster ran empty: another start is as good
            continue
        inertia = float(cdist(z, found, "sqeuclidean").min(axis=1).sum())
        if inertia < least:
            best, least = np.asarray(found, dtype=np.float64), inertia
    return best


def _nearest(z: Floats, centres: Floats) -> Ints:
    return np.asarray(cdist(z, centres, "sqeuclidean").argmin(axis=1), dtype=np.int64)


def _silhouette(z: Floats, centres: Floats) -> float:
    """Return the mean silhouette of at most 1,500 rows, evenly taken."""
    some = z[np.linspace(0, len(z) - 1, min(_SAMPLE, len(z))).astype(np.int64)]
    _, place = np.unique(_nearest(some, centres), return_inverse=True)
    member = np.eye(int(place.max()) + 1)[place]
    count = member.sum(axis=0)
    if len(count) == 1:
        return 0.0
    total = cdist(some, some) @ member
    own = total[np.arange(len(some)), place] / np.maximum(count[place] - 1, 1)
    others = np.where(member > 0, np.inf, total / count).min(axis=1)
    score = np.where(count[place] > 1, (others - own) / np.maximum(np.maximum(own, others), 1e-12), 0.0)
    return float(score.mean())


def _rand(one: Ints, other: Ints) -> float:
    """Return the adjusted Rand index of two labellings."""
    table = np.zeros((int(one.max()) + 1, int(other.max()) + 1))
    np.add.at(table, (one, other), 1.0)

    def pairs(n: Floats) -> float:
        return float((n * (n - 1.0)).sum() / 2.0)

    both, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / (len(one) * (len(one) - 1.0) / 2.0)
    most = (rows + columns) / 2.0
    return 1.0 if most == expected else (both - expected) / (most - expected)
