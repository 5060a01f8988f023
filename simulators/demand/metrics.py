"""How good a prediction is: of levels, and of what a price does. Plain functions of arrays.

Every one takes the same prediction, the posterior mean of units, so no metric is won with a forecast of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats, Ints

__all__ = ["Lift", "bias", "lift_slope", "poisson_deviance", "total_by", "wmape"]

_STEPS = 50


@dataclass(frozen=True, slots=True)
class Lift:
    """Calibration of predicted price effects on held-out units.

    Attributes
    ----------
    slope
        1 is calibrated; below 1 the model promises more than prices do.
    standard_error
        Of the slope, robust to overdispersion and clustered by series.
    gain
        Poisson log likelihood of the predicted effects (slope 1) over none (slope 0), a unit sold.
    """

    slope: float
    standard_error: float
    gain: float


def wmape(units: Floats, expected: Floats) -> float:
    """Return total absolute error over total units; arrays of one shape."""
    return float(np.abs(units - expected).sum() / units.sum())


def poisson_deviance(units: Floats, expected: Floats) -> float:
    """Return mean Poisson deviance a cell, ``2 (y log(y / mu) - y + mu)``; arrays of one shape."""
    ratio = np.where(units > 0.0, units, 1.0) / expected
    return float(2.0 * (units * np.log(ratio) - units + expected).mean())


def bias(units: Floats, expected: Floats) -> float:
    """Return total expected over total units, less one."""
    return float(expected.sum() / units.sum() - 1.0)


def total_by(index: Ints, values: Floats, groups: int) -> Floats:
    """Return the sum of `values` [R] over the rows of each group 0 .. groups-1, float64 [groups]."""
    return np.bincount(index, weights=values, minlength=groups).astype(np.float64)


def lift_slope(units: Floats, base: Floats, lift: Floats, series: Ints) -> Lift:
    """Regress held-out units on predicted price effects, with an effect for each series.

    The model is ``log E y = a_series + base + s * lift``. Series effects are profiled out, which leaves a
    concave likelihood in s alone (conditional multinomial; Hausman, Hall, Griliches, Econometrica 1984).

    Parameters
    ----------
    units
        float64 [R]; held-out units.
    base
        float64 [R]; predicted log units at the series' mean training price, all else as in the row.
    lift
        float64 [R]; predicted log units at the actual price, less `base`.
    series
        int64 [R]; which series a row belongs to.
    """
    n = int(series.max()) + 1
    total = total_by(series, units, n)
    slope = 1.0
    for _ in range(_STEPS):
        mean, variance = _profiled(total, base, lift, series, slope)
        score = float((units * (lift - mean[series])).sum())
        information = float((total * variance).sum())
        if information <= 0.0:
            return Lift(float("nan"), float("nan"), float("nan"))
        step = float(np.clip(score / information, -1.0, 1.0))
        slope += step
        if abs(step) < 1e-10:
            break
    mean, variance = _profiled(total, base, lift, series, slope)
    by_series = total_by(series, units * (lift - mean[series]), n)
    error = float(np.sqrt((by_series**2).sum())) / float((total * variance).sum())
    gain = _likelihood(units, total, base, lift, series, 1.0)
    gain -= _likelihood(units, total, base, lift, series, 0.0)
    return Lift(slope, error, gain / float(units.sum()))


def _profiled(total: Floats, base: Floats, lift: Floats, series: Ints, slope: float) -> tuple[Floats, Floats]:
    """Return mean and variance of `lift` within each series under the fitted shares, float64 [n] each."""
    weight = np.exp(base + slope * lift)
    n = len(total)
    whole = np.maximum(total_by(series, weight, n), 1e-300)
    mean = total_by(series, weight * lift, n) / whole
    square = total_by(series, weight * (lift - mean[series]) ** 2, n) / whole
    return mean, square


def _likelihood(
    units: Floats, total: Floats, base: Floats, lift: Floats, series: Ints, slope: float
) -> float:
    eta = base + slope * lift
    whole = total_by(series, np.exp(eta), len(total))
    return float((units * eta).sum() - (total * np.log(np.maximum(whole, 1e-300))).sum())
