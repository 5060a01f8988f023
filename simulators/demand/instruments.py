"""What moved the regular price for reasons other than demand: price tests, and costs as an instrument.

A shop that sees demand rise may raise its price, and then price and demand move together whatever shoppers
answer. The part of the price that a test or the cost does not explain, v, may follow demand; it enters the
demand regression beside the price, and the price coefficient is left with what it does explain (the control
function; Petrin and Train, Journal of Marketing Research 2010; Wooldridge, Journal of Human Resources 2015).
How strongly shocks go with v is pooled over series like any other coefficient, so that the instrument speaks
for the shop's mean and each series' own movements for how it differs. The price of the period before is in
the demand regression too, and its own part that may follow demand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.panel import Panel
from simulators.demand.design import known_prices, observed

__all__ = ["CONTROLS", "LEAST_STRENGTH", "Control", "FirstStage", "price_control"]

CONTROLS = ("price_control", "price_control_before")
"""Names of the columns of a control, after :data:`pricing.model.COEFFICIENTS`."""
LEAST_STRENGTH = 10.0
"""Least F statistic of an instrument (Staiger and Stock, Econometrica 1997); a weaker one is refused."""
_LEAST_SERIES = 8
_LEAST_TESTS = 30
"""Least tested cells from which a test tells how much of the other movements follows demand."""
_SWEEPS = 30
_SETTLED = 1e-10


@dataclass(frozen=True, slots=True)
class FirstStage:
    """How costs move regular prices, in logs, within series and periods.

    Attributes
    ----------
    slope, standard_error
        Pass-through elasticity and its error, clustered by series.
    strength
        F statistic of the instrument, ``(slope / standard_error) ** 2``.
    series
        Series with a cost in every cell that counts, and some movement of it.
    refused
        Weaker than :data:`LEAST_STRENGTH`, or fewer than eight series: not used.
    """

    slope: float
    standard_error: float
    strength: float
    series: int
    refused: bool


@dataclass(frozen=True, slots=True)
class Control:
    """The part of the log regular price that may follow demand.

    Attributes
    ----------
    columns
        float64 [N, T, 2]; v of the period, 0 in cells whose price a test drew, and v of the period before.
    instrumented, tested
        bool [N]; whose price movements the instrument explains in part; who had a test at two prices or more.
    first_stage
        Of the cost instrument; None without one.
    """

    columns: Floats
    instrumented: Bools
    tested: Bools
    first_stage: FirstStage | None

    @property
    def used(self) -> bool:
        """Whether anything tells v from the rest of the price; else there is a first stage to report only."""
        return bool(self.instrumented.any() or self.tested.any())


def price_control(panel: Panel) -> Control | None:
    """Return the control function of a training panel, or None where nothing tells v from the rest.

    Parameters
    ----------
    panel
        N series, T periods; its costs and tests are what is used.
    """
    watched = observed(panel)
    drawn = np.zeros_like(watched) if panel.tested is None else panel.tested & watched
    x = np.log(known_prices(panel).regular)
    tested = _levels_tested(x, drawn)
    stage, z = _cost_stage(panel, x, watched & ~drawn)
    strong = stage is not None and not stage.refused
    if not strong and drawn[tested].sum() < _LEAST_TESTS:
        return None if stage is None else Control(np.zeros((*x.shape, 2)), *_nobody(len(x)), stage)
    free = watched & ~drawn
    rest = x if stage is None or not strong else x - stage.slope * np.where(np.isfinite(z), z, 0.0)
    v = np.where(drawn, 0.0, _within(rest, free))
    explained = np.isfinite(z).any(axis=1) & strong
    before = np.concatenate([v[:, :1], v[:, :-1]], axis=1)
    return Control(np.stack([v, before], axis=2), np.asarray(explained, dtype=np.bool_), tested, stage)


def _nobody(count: int) -> tuple[Bools, Bools]:
    nobody = np.zeros(count, dtype=np.bool_)
    return nobody, nobody


def _levels_tested(x: Floats, drawn: Bools) -> Bools:
    low = np.where(drawn, x, np.inf).min(axis=1)
    high = np.where(drawn, x, -np.inf).max(axis=1)
    return np.asarray(high > low + 1e-9, dtype=np.bool_)


def _cost_stage(panel: Panel, x: Floats, free: Bools) -> tuple[FirstStage | None, Floats]:
    """Return the first stage and log costs [N, T], NaN for series whose cost is not known throughout."""
    z = np.full(x.shape, np.nan)
    if panel.cost is None:
        return None, z
    known = np.isfinite(panel.cost) & (panel.cost > 0.0)
    whole = (known | ~free).all(axis=1) & free.any(axis=1)
    log_cost = np.log(np.where(known, panel.cost, 1.0))
    low = np.where(free, log_cost, np.inf).min(axis=1)
    high = np.where(free, log_cost, -np.inf).max(axis=1)
    rows = np.flatnonzero(whole & (high > low + 1e-9))
    if not rows.size:
        return None, z
    z[rows] = np.where(known[rows], log_cost[rows], np.nan)
    here = free[rows]
    cost, price = _within(log_cost[rows], here), _within(x[rows], here)
    size = float((cost**2).sum())
    if size < 1e-12:
        return None, z
    slope = float((cost * price).sum()) / size
    scores = (cost * (price - slope * cost)).sum(axis=1)
    error = float(np.sqrt((scores**2).sum())) / size * float(np.sqrt(len(rows) / max(len(rows) - 1, 1)))
    strength = (slope / error) ** 2 if error > 0.0 else 0.0
    refused = len(rows) < _LEAST_SERIES or strength < LEAST_STRENGTH
    return FirstStage(slope, error, strength, len(rows), refused), z


def _within(values: Floats, watched: Bools) -> Floats:
    """Return values less series and period means over the watched cells, float64 [N, T]; 0 elsewhere.

    Means are taken in turns until they settle (Gaure, Computational Statistics and Data Analysis 2013).
    """
    mask = watched.astype(np.float64)
    by_series, by_period = np.maximum(mask.sum(axis=1), 1.0), np.maximum(mask.sum(axis=0), 1.0)
    out = np.where(watched, values, 0.0)
    for _ in range(_SWEEPS):
        out = (out - (out.sum(axis=1) / by_series)[:, None]) * mask
        shift = out.sum(axis=0) / by_period
        out = (out - shift) * mask
        if np.abs(shift).max(initial=0.0) < _SETTLED:
            break
    return out
