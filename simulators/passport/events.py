"""Held-out price changes: what was said of each, and what happened.

A price is recorded only where something sold, unless the shop keeps a price list, so a change is seen only
where at least one unit sold. Events are therefore cells with a sale, of products that sold in nearly every
period, and both what is expected of them and their coverage are conditional on a sale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.model import DemandModel
from pricing.panel import Panel
from simulators.demand.design import observed
from simulators.demand.validate import Backtest
from simulators.passport.distribution import LogMean, log_mean, randomised_pit, sales_cdf
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Figure, Reason, Table, absent, check

__all__ = ["SIZES", "Events", "events_check", "price_events", "steady_sellers"]

SIZES = (-np.inf, -0.30, -0.15, -0.05, 0.05, 0.15, 0.30, np.inf)
"""Edges of price changes as shares of the price before; those between -5 and 5 % are no events."""
_STEADY = 0.9
"""A product sold in this share of its training periods: seldom is a price not recorded."""
_LEAST_EVENTS = 100
"""Fewer events leave coverage an error of .03, as much as it may be off, and the total one of about 5 %."""
_TAIL = 0.05


@dataclass(frozen=True, slots=True)
class Events:
    """E price changes; every array is [E].

    Attributes
    ----------
    change
        float64; shelf price over that of the period before, less one.
    units, expected
        float64; sold, and expected given that something sold.
    stayed
        float64; expected, given that something sold, had the price stayed.
    transform
        float64; probability transform of the units, uniform if the prediction is honest.
    """

    change: Floats
    units: Floats
    expected: Floats
    stayed: Floats
    transform: Floats


def steady_sellers(panel: Panel) -> Bools:
    """Return which series of a training panel sold in nine of ten of their periods, bool [N]."""
    watched = observed(panel)
    sold = ((panel.units > 0.0) & watched).sum(axis=1)
    return np.asarray(sold >= _STEADY * np.maximum(watched.sum(axis=1), 1), dtype=np.bool_)


def price_events(model: DemandModel, found: Backtest, steady: Bools, seed: int) -> Events:
    """Return the price changes of at least 5 % among held-out cells.

    Parameters
    ----------
    model, found
        The model, and its backtest inside support.
    steady
        bool [N]; see :func:`steady_sellers`.
    seed
        Of the uniform numbers that fill the gaps between counts.
    """
    change = np.expm1(found.step)
    seen = found.recorded & (found.units > 0.0) & steady[found.rows]
    cells = found.take(np.asarray(seen & ((change <= SIZES[3]) | (change >= SIZES[4])), dtype=np.bool_))
    at = log_mean(model, cells)
    uniform = np.random.default_rng((seed, 2)).random(len(cells.units))
    before = LogMean(at.mean + np.log(cells.stayed / cells.expected), at.sd, at.size, at.absence)
    return Events(
        np.expm1(cells.step),
        cells.units,
        cells.expected / _chance(at),
        cells.stayed / _chance(before),
        randomised_pit(at, cells.units, uniform, sold=True),
    )


def events_check(events: Events) -> Check:
    """Judge what was expected of price cuts and of rises, and the coverage of their 90 % intervals."""
    cuts = np.asarray(events.change < 0.0, dtype=np.bool_)
    if len(events.units) < _LEAST_EVENTS:
        return absent("events", Reason.FEW_EVENTS)
    covered = (events.transform >= _TAIL) & (events.transform <= 1.0 - _TAIL)
    share = float(covered.mean())
    error = math.sqrt(share * (1.0 - share) / len(events.units))
    figures = (
        _bias("bias_cuts", events, cuts),
        _bias("bias_rises", events, ~cuts),
        held("events", "coverage", share, error=error),
        held("events", "cuts", float(cuts.sum())),
        held("events", "rises", float((~cuts).sum())),
    )
    columns = ("low", "high", "events", "stayed", "expected", "actual")
    return check("events", figures, Table(columns, tuple(_by_size(events))))


def _chance(at: LogMean) -> Floats:
    """Return the probability of a sale, float64 [R]."""
    return np.maximum(1.0 - sales_cdf(at, np.zeros(len(at.mean))), 1e-9)


def _bias(name: str, events: Events, which: Bools) -> Figure:
    reason = Reason.FEW_EVENTS if which.sum() < _LEAST_EVENTS else None
    if not which.any():
        return held("events", name, math.nan, reason=reason)
    units, expected = events.units[which], events.expected[which]
    off = units - expected * units.sum() / expected.sum()
    error = float(np.sqrt((off**2).sum())) / float(units.sum())
    return held("events", name, float(expected.sum() / units.sum()) - 1.0, error=error, reason=reason)


def _by_size(events: Events) -> list[tuple[str | float, ...]]:
    rows: list[tuple[str | float, ...]] = []
    for low, high in pairwise(SIZES):
        cut = (events.change > low) & (events.change <= high)
        rise = (events.change >= low) & (events.change < high)
        which = cut if high < 0.0 else rise
        if low * high >= 0.0 and which.any():
            totals = [float(a[which].sum()) for a in (events.stayed, events.expected, events.units)]
            rows.append((max(low, -1.0), min(high, 1.0), float(which.sum()), *totals))
    return rows
