"""Expected units and sales with their intervals: the one prediction that every metric and table uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from pricing.arrays import Floats, Ints
from pricing.model import DemandModel

__all__ = ["Z90", "Forecast", "cell_variance", "expected_units", "forecast", "sales_quantiles"]

Z90 = 1.6448536269514722
"""Normal quantile of .95: half the width of a 90 % interval in standard deviations."""

_NODES = 9
_CHUNK = 8192
_SMALL = 100.0
"""Largest mean whose probability of no sale is safely above the smallest float."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts of R series-periods; every array is float64 [R].

    Attributes
    ----------
    expected
        Posterior mean of units.
    lower, upper
        90 % interval of the mean, from the posterior of the coefficients.
    units_lower, units_upper
        90 % interval of sales: the mean's uncertainty, shared shocks and the negative binomial together.
        Whole units, so it covers at least 90 %.
    """

    expected: Floats
    lower: Floats
    upper: Floats
    units_lower: Floats
    units_upper: Floats


def expected_units(model: DemandModel, rows: Ints, X: Floats) -> tuple[Floats, Floats, Floats]:
    """Return posterior mean units, and mean and variance of their log, float64 [R] each.

    Parameters
    ----------
    rows
        int64 [R]; rows of the model.
    X
        float64 [R, C]; regressors in the order of :data:`pricing.model.COEFFICIENTS`.

    Notes
    -----
    Expected units are ``exp(x'm + x'Vx / 2)``, the mean of the log-normal that the normal posterior
    implies. Shared shocks have mean multiplier one and so leave it alone.
    """
    m = np.einsum("rc,rc->r", X, model.mean[rows])
    half = np.matmul(X[:, None, :], model.factor[rows])[:, 0]
    variance = (half**2).sum(axis=1)
    expected: Floats = np.exp(m + 0.5 * variance)
    return expected, m, variance


def forecast(model: DemandModel, rows: Ints, X: Floats, exposure: Floats) -> Forecast:
    """Forecast series-periods.

    Parameters
    ----------
    rows, X
        As in :func:`expected_units`.
    exposure
        float64 [R]; share of a whole period that each row covers (1 for a whole one).
    """
    expected, m, variance = expected_units(model, rows, X)
    reach = Z90 * np.sqrt(variance)
    shock = model.period_shock_sd**2 + model.category_shock_sd[model.category[rows]] ** 2
    absence = model.absence[rows]
    log_mean = m + np.log(exposure) - 0.5 * shock - np.log1p(-absence)
    # Nothing sells with the chance of absence; the rest of the probability is the negative binomial's.
    asked = (np.array([0.05, 0.95]) - absence[:, None]) / (1.0 - absence[:, None])
    units = sales_quantiles(log_mean, np.sqrt(variance + shock), model.dispersion[rows], asked)
    return Forecast(
        expected * exposure,
        np.exp(m - reach) * exposure,
        np.exp(m + reach) * exposure,
        units[:, 0],
        units[:, 1],
    )


def cell_variance(model: DemandModel, rows: Ints, expected: Floats, variance: Floats) -> Floats:
    """Return the variance of sales, shared shocks apart, float64 [R].

    Parameters
    ----------
    rows
        int64 [R]; rows of the model.
    expected, variance
        float64 [R]; expected units, and posterior variance of their log.
    """
    wide = (1.0 + 1.0 / model.dispersion[rows]) * np.exp(variance) / (1.0 - model.absence[rows])
    return np.asarray(expected + expected**2 * (wide - 1.0))


def sales_quantiles(log_mean: Floats, sd: Floats, r: Floats, probability: Floats) -> Floats:
    """Return quantiles [R, Q] of negative-binomial sales whose log mean is itself normal.

    The mixture's distribution function is a Gauss-Hermite sum over the log mean: no draws, no seed. Small
    counts are summed term by term, large ones found by bisection on whole units.

    Parameters
    ----------
    log_mean, sd
        float64 [R]; of the log mean.
    r
        float64 [R]; negative-binomial size.
    probability
        float64 [Q] or [R, Q]; at most 1; where it is not positive the quantile is 0.
    """
    asked = np.broadcast_to(probability, (len(log_mean), probability.shape[-1]))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    out = np.empty(asked.shape)
    largest = log_mean + sd * nodes.max()
    order = np.argsort(largest, kind="stable")
    for start in range(0, len(order), _CHUNK):
        part = order[start : start + _CHUNK]
        mu = np.exp(np.clip(log_mean[part, None] + sd[part, None] * nodes, -30.0, 25.0))
        size = r[part, None]
        if mu.max() <= _SMALL:
            out[part] = _summed(mu, size, weights, asked[part])
            continue
        for q in range(asked.shape[1]):
            out[part, q] = _inverted(mu, size, weights, asked[part, q])
    return out


def _summed(mu: Floats, r: Floats, weights: Floats, probability: Floats) -> Floats:
    """Return least whole k with P(units <= k) >= p, float64 [R, Q], adding up probabilities from 0."""
    fail = mu / (r + mu)
    term = np.exp(-r * np.log1p(mu / r))
    cdf = term @ weights
    out = np.zeros(probability.shape)
    k = 0
    active = np.arange(len(mu))
    while len(active):
        short = cdf[:, None] < probability[active]
        out[active] += short
        going = short.any(axis=1)
        active, term, fail, r, cdf = active[going], term[going], fail[going], r[going], cdf[going]
        term = term * ((k + r) / (k + 1.0)) * fail
        cdf = cdf + term @ weights
        k += 1
    return out


def _inverted(mu: Floats, r: Floats, weights: Floats, p: Floats) -> Floats:
    """Return the least whole k with P(units <= k) >= p, float64 [R]; mu is [R, J], r is [R, 1], p [R]."""
    success = r / (r + mu)
    widest = (mu + 20.0 * np.sqrt(mu + mu**2 / r)).max(axis=1)
    high: Floats = np.ceil(widest) + 20.0
    low: Floats = np.full(len(mu), -1.0)
    for _ in range(int(np.ceil(np.log2(high.max(initial=1.0) + 2.0))) + 1):
        middle: Floats = np.floor(0.5 * (low + high))
        inside = np.maximum(middle, 0.0)[:, None]
        cdf = np.asarray(betainc(r, inside + 1.0, success), dtype=np.float64) @ weights
        enough = (cdf >= p) & (middle >= 0.0)
        high = np.where(enough, middle, high)
        low = np.where(enough, low, middle)
    return high
