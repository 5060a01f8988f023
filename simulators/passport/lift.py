"""Whether demand answers to price as much as the model says: over all products, and by their elasticity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.demand.metrics import Lift, lift_slope, total_by
from simulators.demand.validate import Backtest
from simulators.demand.validation_plot import lift_bins
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Figure, Reason, Table, absent, check

__all__ = ["TERCILES", "elasticity_thirds", "lift_check"]

TERCILES = ("weak", "middle", "strong")
"""Thirds of the products by how strongly the model expects them to answer to price."""

_LARGEST_ERROR = 0.25
"""Standard error of a slope from which on it tells nothing: 1 would not differ from .5."""
_LEAST_MOVE = 1e-6
_BINS = 10
_LEAST_SERIES = 8
"""Fewer series leave their clustered error without meaning: of one it is 0."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """A slope and the number of series that tell it."""

    lift: Lift
    series: int

    @property
    def doubt(self) -> Reason | None:
        """Why it cannot be judged, None if it can."""
        sure = math.isfinite(self.lift.slope) and self.lift.standard_error <= _LARGEST_ERROR
        return None if sure and self.series >= _LEAST_SERIES else Reason.FEW_MOVES


def elasticity_thirds(found: Backtest) -> Ints:
    """Return the third of each row's series, int64 [R]: 0 weak to 2 strong, -1 where its price never moved.

    A series' elasticity is the regression of predicted log units on the log price moves that came, through
    the origin, so regular prices and discounts count as they occurred.
    """
    n = int(found.rows.max()) + 1
    size = total_by(found.rows, found.move**2, n)
    slope = total_by(found.rows, found.move * found.lift, n) / np.maximum(size, _LEAST_MOVE)
    moved = np.flatnonzero(size > _LEAST_MOVE)
    third: Ints = np.full(n, -1, dtype=np.int64)
    order = moved[np.argsort(-slope[moved], kind="stable")]
    third[order] = (np.arange(len(order)) * len(TERCILES)) // max(len(order), 1)
    return third[found.rows]


def lift_check(found: Backtest, steady: Bools) -> Check:
    """Judge price effects on held-out units (:func:`simulators.demand.metrics.lift_slope`).

    Parameters
    ----------
    found
        Held-out cells inside support.
    steady
        bool [N]; series that sold in nearly every training period, so that their prices are known: their
        slope is told beside that of all. Where sales are rare the price is the last one recorded, and a
        discount long over may still count.
    """
    whole = _measured(found)
    if not math.isfinite(whole.lift.slope):
        return absent("lift", Reason.NO_MOVES)
    third = elasticity_thirds(found)
    figures = [_slope("slope", whole)]
    for number, name in enumerate(TERCILES):
        part = found.take(np.asarray(third == number, dtype=np.bool_))
        slope = _measured(part)
        figures += [_slope(f"slope_{name}", slope), held("lift", f"elasticity_{name}", _elasticity(part))]
    known = found.take(steady[found.rows])
    figures.append(_slope("slope_steady", _measured(known)))
    figures.append(held("lift", "gain", whole.lift.gain, reason=whole.doubt))
    predicted, actual, units = lift_bins(found, _BINS)
    rows = tuple(_row(predicted, actual, units, i) for i in range(_BINS) if units[i] > 0.0)
    return check("lift", tuple(figures), Table(("predicted", "actual", "units"), rows))


def _measured(part: Backtest) -> _Measured:
    """Return the slope of some rows, and how many of their series tell it."""
    sold = total_by(part.rows, part.units, int(part.rows.max(initial=0)) + 1) > 0.0
    moved = np.unique(part.rows[(np.abs(part.lift) > _LEAST_MOVE) & sold[part.rows]])
    if not len(moved):
        return _Measured(Lift(math.nan, math.nan, math.nan), 0)
    return _Measured(lift_slope(part.units, part.base, part.lift, part.rows), len(moved))


def _slope(name: str, found: _Measured) -> Figure:
    return held("lift", name, found.lift.slope, error=found.lift.standard_error, reason=found.doubt)


def _elasticity(part: Backtest) -> float:
    """Return the elasticity over all moves of some rows; NaN where none moved."""
    size = float((part.move**2).sum())
    return float((part.move * part.lift).sum()) / size if size > _LEAST_MOVE else math.nan


def _row(predicted: Floats, actual: Floats, units: Floats, i: int) -> tuple[float, float, float]:
    return float(predicted[i]), float(actual[i]), float(units[i])
