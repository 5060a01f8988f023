"""Cycles of the calendar: the month's, which follows wages and benefits, and the year's.

A cycle is modelled once the data hold it often enough: six months for the month's wave, two whole years for
the year's two. Within one year nothing tells a season from whatever else happened once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Dates, Floats
from pricing.calendar import MONTH_DAYS, YEAR_DAYS, cycle_waves, middle_days
from simulators.demand.shocks import Shared, Shocks

__all__ = ["Cycle", "first_cycle", "lengths_told", "split_cycle"]

_LEAST_MONTHS = 6.0
_LEAST_YEARS = 2.0
_FIRST_VARIANCE = 0.01
_VARIANCE_FLOOR = 1e-6
_LARGEST_STEP = 0.3


@dataclass(frozen=True, slots=True)
class Cycle:
    """Effects on log units along J cycles.

    Attributes
    ----------
    lengths
        float64 [J]; days.
    waves
        float64 [T, 2 J]; :func:`pricing.calendar.cycle_waves` at the middle of each period.
    shop
        float64 [2 J]; coefficients of the waves.
    category
        float64 [G, 2 J]; on top of them.
    shop_variance, category_variance
        float; of either, learned.
    traffic
        float64 [2 J]; coefficients of the waves in the log traffic, which is measured from them.
    """

    lengths: Floats
    waves: Floats
    shop: Floats
    category: Floats
    shop_variance: float
    category_variance: float
    traffic: Floats

    @property
    def profile(self) -> Floats:
        """float64 [G, 2 J]; of shop and category together."""
        return self.shop + self.category

    @property
    def columns(self) -> Floats:
        """float64 [G, T]; effect on log units."""
        return np.asarray(self.profile @ self.waves.T)


def lengths_told(periods: Dates, period_days: int) -> Floats:
    """Return the cycles that so many periods tell from other things, days, float64 [J]."""
    days = len(periods) * period_days
    out: list[float] = []
    if days >= _LEAST_MONTHS * MONTH_DAYS:
        out.append(MONTH_DAYS)
    if days >= _LEAST_YEARS * YEAR_DAYS:
        out += [YEAR_DAYS, YEAR_DAYS / 2.0]
    return np.array(out)


def first_cycle(
    periods: Dates, period_days: int, categories: int, traffic: Floats
) -> tuple[Cycle | None, Floats]:
    """Return where the search starts, and what its cycles leave of the log traffic, float64 [T].

    Parameters
    ----------
    periods
        datetime64[D] [T].
    period_days
        7 for weeks, 1 for days.
    categories
        G.
    traffic
        float64 [T]; log traffic, 0 where it is not known.
    """
    lengths = lengths_told(periods, period_days)
    if not len(lengths):
        return None, traffic
    first = periods.astype("datetime64[D]").astype(np.int64)
    waves = cycle_waves(middle_days(first, period_days), lengths)
    known = traffic != 0.0
    own = np.zeros(waves.shape[1])
    if known.sum() > 2 * waves.shape[1]:
        B = waves[known]
        ridge = _ridge(traffic[known]) * np.eye(B.shape[1])
        own = np.asarray(np.linalg.solve(B.T @ B + ridge, B.T @ traffic[known]), dtype=np.float64)
    rest = np.where(known, traffic - waves @ own, 0.0)
    nothing = np.zeros((categories, waves.shape[1]))
    cycle = Cycle(lengths, waves, nothing[0], nothing, _FIRST_VARIANCE, _FIRST_VARIANCE, own)
    return cycle, rest


def _ridge(traffic: Floats) -> float:
    """Return noise over prior variance for the traffic's own cycles."""
    return max(float(traffic.var()), _VARIANCE_FLOOR) / _FIRST_VARIANCE


def split_cycle(shocks: Shocks, cycle: Cycle) -> tuple[Shocks, Cycle]:
    """Move what the cycles explain out of the shocks.

    Each coefficient is normal around 0 with a variance learned from all of them: the posterior mean is a
    ridge regression (Lindley and Smith, JRSS B 1972).

    Parameters
    ----------
    shocks
        Of T periods and G categories.
    cycle
        As it was.
    """
    B = cycle.waves
    shop, shop_variance = _ridged(shocks.period[None], B, cycle.shop[None], shocks.shop, cycle.shop_variance)
    period = shocks.period - B @ (shop[0] - cycle.shop)
    moved = replace(cycle, shop=shop[0], shop_variance=shop_variance)
    if len(shocks.category) < 2:
        return replace(shocks, period=period), moved
    own, variance = _ridged(shocks.category, B, cycle.category, shocks.categories, cycle.category_variance)
    category = shocks.category - (own - cycle.category) @ B.T
    moved = replace(moved, category=own, category_variance=variance)
    return replace(shocks, period=period, category=category), moved


def _ridged(path: Floats, B: Floats, now: Floats, shared: Shared, variance: float) -> tuple[Floats, float]:
    """Return coefficients [n, S] of the waves B [T, S] in paths [n, T] + now B', and their variance."""
    noise = shared.variance[:, None, None]
    precision = B.T @ B / noise + np.eye(B.shape[1]) / variance
    said = (path + now @ B.T) @ B / noise[:, 0]
    found = np.linalg.solve(precision, said[..., None])[..., 0]
    unsure = np.einsum("nss->ns", np.linalg.inv(precision))
    step = np.clip(found - now, -_LARGEST_STEP, _LARGEST_STEP)
    return now + step, max(float((found**2 + unsure).mean()), _VARIANCE_FLOOR)
