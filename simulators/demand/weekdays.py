"""Days of the week: how a shop's demand by days is shared out over its week, and on which days it is shut.

By days, demand has a week of its own: a grocer's Saturday may be twice its Tuesday, and an office canteen's
nothing. Left alone it ends up in the shocks, where it makes every interval too wide, no day's forecast right,
and a price that moves on Saturdays suspect. The calendar knows it, so it belongs into the expected traffic:
each category's, its part of the shop's with what is its own on top, both pooled as far as their days are few.
By weeks there is nothing to tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.panel import Panel
from simulators.demand.shocks import Shocks

__all__ = ["Week", "by_days", "closed", "first_week", "split_week", "weekday", "weekday_means"]

DAYS = 7
_LEAST_WEEKS = 2
_SHOP_VARIANCE = 0.25
"""Prior variance of a weekday's log effect on the shop: a factor of 1.6 up or down is ordinary."""
_FIRST_SPREAD = 0.04
_SPREAD_FLOOR = 1e-4
_CERTAIN_UNITS = 10.0
"""Where ten units are usual, a day without any has a chance below one in ten thousand: the shop was shut."""
_CERTAIN_WEEKDAY = 50.0
_FIRST_SCALE = 0.7
_LARGEST_STEP = 0.5


@dataclass(frozen=True, slots=True)
class Week:
    """Expected log traffic by weekday, Monday first, in units in which demand follows it one for one.

    Attributes
    ----------
    shop
        float64 [7].
    category
        float64 [G, 7]; on top of it.
    scale
        float; of the log traffic beyond the weekday, in the same units.
    spread
        float; variance of the categories' own log effects.
    day
        int64 [T]; weekday of each period.
    open
        bool [T]; the shop sold on that day.
    """

    shop: Floats
    category: Floats
    scale: float
    spread: float
    day: Ints
    open: Bools

    @property
    def profile(self) -> Floats:
        """float64 [G, 7]; NaN on a weekday on which the shop never sold."""
        seen = np.bincount(self.day[self.open], minlength=DAYS) > 0
        return np.where(seen, self.shop + self.category, np.nan)

    def columns(self, category: Ints, rest: Floats) -> Floats:
        """Return the traffic of N series in T periods, float64 [N, T].

        Parameters
        ----------
        category
            int64 [N].
        rest
            float64 [T]; what is known of the log traffic beyond the weekday.
        """
        out: Floats = (self.shop + self.category)[category][:, self.day] + self.scale * rest
        return out


def weekday(periods: Dates) -> Ints:
    """Return the weekday of dates [T], Monday 0, int64 [T]."""
    return np.asarray((periods.astype("datetime64[D]").astype(np.int64) + 3) % DAYS, dtype=np.int64)


def by_days(panel: Panel) -> bool:
    """Return whether the periods of a panel are days."""
    return len(panel.periods) > 1 and bool(panel.periods[1] - panel.periods[0] == np.timedelta64(1, "D"))


def closed(panel: Panel) -> Bools:
    """Return on which days the shop was shut, bool [T]; by weeks on none.

    No table says so. A day without a single sale was one if the shop otherwise sells at least ten units on
    that weekday, or never sells on it though other days of as many weeks bring fifty.
    """
    total = np.where(panel.on_sale, panel.units, 0.0).sum(axis=0)
    none = total <= 0.0
    if not by_days(panel):
        return np.zeros(len(none), dtype=np.bool_)
    day = weekday(panel.periods)
    selling = np.bincount(day[~none], minlength=DAYS)
    usual = np.bincount(day, weights=total, minlength=DAYS) / np.maximum(selling, 1)
    mean = float(total.sum()) / max(int((~none).sum()), 1)
    never = (selling == 0) & (mean * np.bincount(day, minlength=DAYS) >= _CERTAIN_WEEKDAY)
    shut = never | (usual >= _CERTAIN_UNITS)
    return np.asarray(none & shut[day], dtype=np.bool_)


def first_week(panel: Panel, categories: int, traffic: Floats) -> tuple[Week | None, Floats]:
    """Return where the search starts, and what its weekdays leave of the log traffic, float64 [T].

    By weeks, and with less than two weeks of days, there is no week to find: None, and all the traffic.
    """
    if not by_days(panel) or len(panel.periods) < _LEAST_WEEKS * DAYS:
        return None, traffic
    day, selling = weekday(panel.periods), ~closed(panel)
    shop = weekday_means(panel, traffic)
    rest = np.where(selling, traffic - shop[day], 0.0)
    own = np.zeros((categories, DAYS))
    return Week(_FIRST_SCALE * shop, own, _FIRST_SCALE, _FIRST_SPREAD, day, selling), rest


def weekday_means(panel: Panel, traffic: Floats) -> Floats:
    """Return means of log traffic [T] by weekday over the days on which the shop was open, float64 [7]."""
    day, selling = weekday(panel.periods), ~closed(panel)
    count = np.maximum(np.bincount(day[selling], minlength=DAYS), 1)
    out: Floats = np.bincount(day[selling], weights=traffic[selling], minlength=DAYS) / count
    return out


def split_week(shocks: Shocks, week: Week) -> tuple[Shocks, Week, Floats]:
    """Move what the weekday explains of the shocks into the expected traffic, as far as days are many.

    Given the sum of a weekday's effect and its days' shocks, the most likely effect of n days is n / (n +
    v / s) of its mean, with v the variance of shocks and s that of effects.

    Parameters
    ----------
    shocks
        Of T periods and G categories.
    week
        As it was.

    Returns
    -------
    The shocks that are left, the new week with a mean multiplier of one, and how far each category's traffic
    was lowered to that end, float64 [G]; the levels take it up.
    """
    count = np.bincount(week.day[week.open], minlength=DAYS).astype(np.float64)
    mean = _weekday_mean(shocks.period[None], week)[0]
    share = count / (count + shocks.shop.variance[0] / _SHOP_VARIANCE)
    shop = _stepped(week.shop, share * (week.shop + mean))
    period = shocks.period - np.where(week.open, (shop - week.shop)[week.day], 0.0)
    category, own, spread = shocks.category, week.category, week.spread
    if len(own) > 1:
        share = count / (count + shocks.categories.variance[:, None] / spread)
        own = _stepped(own, share * (own + _weekday_mean(category, week)))
        category = category - np.where(week.open, (own - week.category)[:, week.day], 0.0)
        spread = max(float((own**2 + spread * (1.0 - share)).mean()), _SPREAD_FLOOR)
    lift = np.log(np.exp((shop + own)[:, count > 0.0]).mean(axis=1))
    moved = replace(week, shop=shop, category=own - lift[:, None], spread=spread)
    return replace(shocks, period=period, category=category), moved, lift


def _weekday_mean(values: Floats, week: Week) -> Floats:
    """Return means of values [G, T] over the open days of each weekday, float64 [G, 7]."""
    count = np.maximum(np.bincount(week.day[week.open], minlength=DAYS), 1)
    kept = np.where(week.open, values, 0.0)
    out: Floats = np.stack([np.bincount(week.day, weights=row, minlength=DAYS) for row in kept]) / count
    return out


def _stepped(old: Floats, new: Floats) -> Floats:
    out: Floats = old + np.clip(new - old, -_LARGEST_STEP, _LARGEST_STEP)
    return out
