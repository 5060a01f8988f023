"""Sums over a portrait's customers: groups, clusters, and what sets a cluster apart.

Of fewer than ten customers only the number is told: a sum or a median over so few is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from simulators.customers.portrait import Portrait
from simulators.customers.relevance import Relevance
from simulators.customers.segments import CLUSTERED, Group
from simulators.customers.worth import FEW

__all__ = [
    "Contrast",
    "Slice",
    "Top",
    "cluster_slices",
    "contrasts",
    "coupon_tops",
    "group_slices",
    "likely_less_slice",
    "top_share",
    "total",
]  # fmt: skip

_TOLD_APART = ("interval", "basket_value", "basket_size", "discount_share", "coupon_share", "categories")
_MOST = 3
_TOP = 5


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the customers who agreed.

    Attributes
    ----------
    name
        Of the group, number of the cluster from 1 on, or empty for all.
    customers, share
        How many, and their share of those who agreed and shopped in the last 365 days.
    revenue, revenue_share
        Minor units of the last 365 days and their share of all theirs; None of fewer than ten customers.
    profit, profit_share
        The same; None also where costs are not known, the share also where the sum is not above 0.
    days_since, order_days
        Medians: days since the last order, days with an order in the last 365; NaN of fewer than ten.
    returns
        Mean probability of an order within the horizon; NaN of fewer than ten, or without an outlook.
    likely_less
        Customers said to come less.
    """

    name: str
    customers: int
    share: float
    revenue: int | None
    revenue_share: float | None
    profit: int | None
    profit_share: float | None
    days_since: float
    order_days: float
    returns: float
    likely_less: int


@dataclass(frozen=True, slots=True)
class Contrast:
    """A feature by which a cluster differs from everybody else, each in the feature's natural unit."""

    feature: str
    own: float
    others: float


@dataclass(frozen=True, slots=True)
class Top:
    """A coupon that leads the lists of at least ten customers.

    Attributes
    ----------
    coupon, customers
        Which, and how many lists it leads.
    probability
        Mean over those customers that they buy something it is good for.
    """

    coupon: str
    customers: int
    probability: float


def total(portrait: Portrait) -> Slice:
    """Return all customers who agreed and shopped."""
    return _slice(portrait, "", portrait.shopped)


def group_slices(portrait: Portrait) -> tuple[Slice, ...]:
    """Return the groups in the order of :class:`simulators.customers.segments.Group`, empty ones left out."""
    group = np.array([word.value for word in portrait.group])
    found = (
        _slice(portrait, word.value, np.asarray(group == word.value, dtype=np.bool_))
        for word in Group
        if word is not Group.NOT_KNOWN
    )
    return tuple(part for part in found if part.customers)


def cluster_slices(portrait: Portrait) -> tuple[Slice, ...]:
    """Return the clusters by number; none where there are none."""
    if portrait.clusters is None:
        return ()
    label = portrait.clusters.label
    return tuple(
        _slice(portrait, str(j + 1), np.asarray(label == j, dtype=np.bool_))
        for j in range(len(portrait.clusters.count))
    )


def likely_less_slice(portrait: Portrait) -> Slice | None:
    """Return the customers said to come less; None where there is no outlook."""
    if portrait.outlook is None:
        return None
    return _slice(portrait, "likely_less", _less(portrait))


def top_share(portrait: Portrait) -> tuple[float, float | None] | None:
    """Return the shares of revenue and profit that the fifth of customers with the most revenue brings.

    None with fewer than fifty customers, or where nothing was earned; the second None without profit.
    """
    shopped = portrait.shopped
    revenue = portrait.worth.revenue[shopped]
    count = len(revenue) // _TOP
    if count < FEW or revenue.sum() <= 0:
        return None
    best = np.argsort(-revenue, kind="stable")[:count]
    share = float(revenue[best].sum()) / float(revenue.sum())
    if not portrait.worth.has_profit or portrait.worth.profit[shopped].sum() <= 0:
        return share, None
    profit = portrait.worth.profit[shopped]
    return share, float(profit[best].sum()) / float(profit.sum())


def contrasts(portrait: Portrait) -> tuple[tuple[Contrast, ...], ...]:
    """Return for each cluster the three features in which it lies farthest from the others; none of a few.

    In standard deviations over all customers; means of logs are said as the number that they stand for.
    """
    clusters = portrait.clusters
    if clusters is None or len(clusters.count) < 2:
        return ()
    known = clusters.label >= 0
    label = clusters.label[known]
    out: list[tuple[Contrast, ...]] = []
    for j in range(len(clusters.count)):
        far: list[tuple[float, Contrast]] = []
        for name in _TOLD_APART if clusters.count[j] >= FEW else ():
            value = portrait.customers.column(name)[known]
            own, others = float(value[label == j].mean()), float(value[label != j].mean())
            spread = max(float(value.std()), 1e-9)
            far.append(
                (abs(own - others) / spread, Contrast(name, _natural(name, own), _natural(name, others)))
            )
        far.sort(key=lambda found: (-found[0], CLUSTERED.index(found[1].feature)))
        out.append(tuple(contrast for _, contrast in far[:_MOST]))
    return tuple(out)


def coupon_tops(relevance: Relevance) -> tuple[Top, ...]:
    """Return the coupons that lead lists, those of most customers first."""
    coupons = relevance.coupons
    first = coupons.best[:, 0]
    found: list[Top] = []
    for place in np.unique(first[first >= 0]):
        rows = first == place
        count = int(rows.sum())
        if count >= FEW:
            found.append(Top(coupons.name[int(place)], count, float(coupons.probability[rows, 0].mean())))
    return tuple(sorted(found, key=lambda top: (-top.customers, top.coupon)))


def _natural(name: str, value: float) -> float:
    if name == "interval":
        return float(np.exp(value))
    return value if name.endswith("_share") else float(np.expm1(value))


def _less(portrait: Portrait) -> Bools:
    out: Bools = np.zeros(len(portrait.customers), dtype=np.bool_)
    if portrait.outlook is not None:
        place = {name: i for i, name in enumerate(portrait.customers.customer)}
        out[[place[name] for name in portrait.outlook.customer]] = portrait.outlook.likely_less
    return out


def _slice(portrait: Portrait, name: str, rows: Bools) -> Slice:
    customers, worth = portrait.customers, portrait.worth
    count, everybody = int(rows.sum()), int(portrait.shopped.sum())
    told = count >= FEW
    revenue, share = _part(worth.revenue.astype(np.float64), rows, portrait.shopped)
    profit, profit_share = (None, None)
    if worth.has_profit:
        profit, profit_share = _part(worth.profit.astype(np.float64), rows, portrait.shopped)
    returns = portrait.returning()[rows]
    seen = returns[np.isfinite(returns)]
    return Slice(
        name=name,
        customers=count,
        share=count / everybody if everybody else 0.0,
        revenue=revenue if told else None,
        revenue_share=share if told else None,
        profit=profit if told else None,
        profit_share=profit_share if told else None,
        days_since=_median(np.expm1(customers.column("recency")[rows])),
        order_days=_median(np.expm1(customers.column("frequency")[rows])),
        returns=float(seen.mean()) if len(seen) >= FEW else float("nan"),
        likely_less=int((_less(portrait) & rows).sum()),
    )


def _part(amount: Floats, rows: Bools, everybody: Bools) -> tuple[int, float | None]:
    whole = float(amount[everybody].sum())
    own = float(amount[rows].sum())
    return round(own), own / whole if whole > 0.0 else None


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) >= FEW else float("nan")
