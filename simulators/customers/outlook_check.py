"""Whether an outlook would have been right: the shop's own last days, hidden from the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from simulators.customers.churn import Reliability, reliability
from simulators.customers.outlook import Outlook
from simulators.customers.visits import ShoppingDays

__all__ = ["Gain", "OutlookCheck", "beyond_chance", "check_outlook", "gain"]

_Z = 1.959963984540054
_FEW = 30


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much something was better than something simpler, with its 95 % interval; above 0 is better.

    Attributes
    ----------
    over
        What it is compared with.
    value, lower, upper
        float; mean over the same customers.
    """

    over: str
    value: float
    lower: float
    upper: float

    @property
    def better(self) -> bool:
        """Whether even the lower end is above 0."""
        return self.lower > 0.0


@dataclass(frozen=True, slots=True)
class OutlookCheck:
    """What came of an outlook.

    Attributes
    ----------
    since, days
        First hidden day, counted from 1970-01-01, and how many.
    customers, came, expected, off
        Customers known then; who came within the days; how many were expected to; by how many standard
        deviations of what chance alone makes `came` lies above that.
    tenths
        How far the probabilities were right.
    gains
        Of the Brier score over everybody alike and over the customer's own rate.
    inside
        Share of customers whose days with an order fell into their 90 % interval.
    likely_less, likely_less_right
        Customers who would have been said to come less, and the share of them who did come less than half as
        often as at their own pace.
    likely_less_found
        Of all who did, the share that would have been called so; NaN where nobody did.
    came_less, comes_less, less_off
        Customers who did, of all with a pace of their own; how many were expected to; how far off that is, as
        `off`.
    """

    since: int
    days: int
    customers: int
    came: int
    expected: float
    off: float
    tenths: Reliability
    gains: tuple[Gain, ...]
    inside: float
    likely_less: int
    likely_less_right: float
    likely_less_found: float
    came_less: int
    comes_less: float
    less_off: float


def gain(over: str, difference: Floats) -> Gain:
    """Return the mean of paired differences [n] with a normal 95 % interval."""
    mean = float(difference.mean())
    half = _Z * float(difference.std(ddof=1)) / float(np.sqrt(len(difference)))
    return Gain(over, mean, mean - half, mean + half)


def beyond_chance(p: Floats, came: Bools) -> float:
    """Return by how many standard deviations of chance more came true [n] than the sum of p [n]."""
    return float((came - p).sum()) / max(float(np.sqrt((p * (1.0 - p)).sum())), 1e-9)


def check_outlook(outlook: Outlook, shopping: ShoppingDays) -> OutlookCheck | None:
    """Compare an outlook with the days that it looked at.

    Everybody alike: the share of earlier customers who came within as many days before. Own rate: days with
    an order since the first one, half a day more of each kind, as if every day had the same chance.

    Returns
    -------
    None where nothing can be told: the days are not all there, fewer than 30 customers were known, or all or
    none of them came.
    """
    first = outlook.as_of - shopping.first_day
    end = first + outlook.days
    if first < outlook.days or end > shopping.visited.shape[1] or len(outlook) < _FEW:
        return None
    place = {name: i for i, name in enumerate(shopping.customer)}
    visited = shopping.visited[[place[name] for name in outlook.customer]]
    count = visited[:, first:end].sum(axis=1)
    came: Bools = count > 0
    if came.all() or not came.any():
        return None
    inside = (count >= outlook.visits_lower) & (count <= outlook.visits_upper)
    paced: Bools = np.isfinite(outlook.comes_less)
    halved: Bools = paced & (count < 0.5 * np.nan_to_num(outlook.usual))
    return OutlookCheck(
        since=outlook.as_of,
        days=outlook.days,
        customers=len(outlook),
        came=int(came.sum()),
        expected=float(outlook.back.sum()),
        off=beyond_chance(outlook.back, came),
        tenths=reliability(outlook.back, came),
        gains=tuple(
            gain(name, (p - came) ** 2 - (outlook.back - came) ** 2)
            for name, p in _simpler(visited[:, :first], outlook.days)
        ),
        inside=float(inside.mean()),
        likely_less=int(outlook.likely_less.sum()),
        likely_less_right=_share(halved, outlook.likely_less),
        likely_less_found=_share(outlook.likely_less, halved),
        came_less=int(halved.sum()),
        comes_less=float(np.nansum(outlook.comes_less)),
        less_off=beyond_chance(outlook.comes_less[paced], halved[paced]),
    )


def _simpler(before: Bools, days: int) -> tuple[tuple[str, Floats], ...]:
    earlier = before[:, : before.shape[1] - days].any(axis=1)
    came = before[earlier, before.shape[1] - days :].any(axis=1)
    alike = (float(came.sum()) + 0.5) / (float(earlier.sum()) + 1.0)
    age = before.shape[1] - np.argmax(before, axis=1)
    rate = (before.sum(axis=1) - 0.5) / (age + 0.5)
    own = 1.0 - (1.0 - np.clip(rate, 0.0, 1.0)) ** days
    return ("alike", np.full(len(before), alike)), ("own_rate", own)


def _share(what: Bools, among: Bools) -> float:
    return float(what[among].mean()) if among.any() else float("nan")
