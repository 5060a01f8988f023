"""Negative-binomial sizes, one a series, shrunk to the shop's own distribution of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

from pricing.arrays import Bools, Floats

__all__ = [
    "GRID",
    "SizePopulation",
    "log_likelihood_by_size",
    "log_size_sd",
    "shrink_sizes",
    "size_population",
]

GRID: Floats = np.linspace(np.log(0.05), np.log(500.0), 20, dtype=np.float64)
"""Log sizes that are tried; beyond 500 a negative binomial of retail counts is a Poisson."""

_SD_FLOOR = 0.25
_FINER = 16
"""Steps between two sizes of the grid where a spread is wanted: of .03 in the log, where 200 weeks of a fast
seller still leave an sd of .1."""


@dataclass(frozen=True, slots=True)
class SizePopulation:
    """Normal distribution of log sizes over series: `mean` and `sd` of log r."""

    mean: float
    sd: float


def log_likelihood_by_size(y: Floats, observed: Bools | Floats, eta: Floats, variance: Floats) -> Floats:
    """Return the expected log likelihood of each size of :data:`GRID`, float64 [n, len(GRID)].

    Parameters
    ----------
    y, eta
        float64 [n, T]; counts and posterior log means.
    observed
        [n, T]; whether, or with what weight, each count is evidence.
    variance
        float64 [n, T]; posterior variance of the log mean. A second-order term accounts for it; without
        it the fitted means would look better than they are and sizes come out too large.
    """
    mu = np.exp(eta)
    out = np.empty((len(y), len(GRID)))
    for g, log_r in enumerate(GRID):
        r = np.exp(log_r)
        value = gammaln(y + r) - gammaln(r) + r * log_r + y * eta - (y + r) * np.log(r + mu)
        value -= 0.5 * variance * (y + r) * r * mu / (r + mu) ** 2
        out[:, g] = (observed * value).sum(axis=1)
    return out


def size_population(likelihood: Floats, rounds: int = 30) -> SizePopulation:
    """Estimate the population of log sizes from [n, len(GRID)] by expectation-maximisation on the grid."""
    population = SizePopulation(1.0, 1.0)
    for _ in range(rounds):
        first, second = _moments(likelihood, population)
        mean = float(first.mean())
        spread = float((second - 2.0 * mean * first + mean**2).mean())
        population = SizePopulation(mean, max(float(np.sqrt(max(spread, 0.0))), _SD_FLOOR))
    return population


def shrink_sizes(likelihood: Floats, population: SizePopulation) -> Floats:
    """Return the size of each series, float64 [n]: exp of the posterior mean of its log."""
    out: Floats = np.exp(_moments(likelihood, population)[0])
    return out


def log_size_sd(likelihood: Floats, population: SizePopulation) -> Floats:
    """Return the posterior sd of each series' log size, float64 [n].

    Between the sizes of :data:`GRID` the log likelihood is a cubic spline: the posterior of a long history is
    narrower than their distance.
    """
    fine: Floats = np.linspace(GRID[0], GRID[-1], _FINER * (len(GRID) - 1) + 1, dtype=np.float64)
    spline: Any = CubicSpline(GRID, likelihood, axis=1)
    log_p: Floats = np.asarray(spline(fine), dtype=np.float64)
    log_p = log_p - 0.5 * ((fine - population.mean) / population.sd) ** 2
    p: Floats = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    mean: Floats = p @ fine
    out: Floats = np.sqrt((p * (fine - mean[:, None]) ** 2).sum(axis=1))
    return out


def _moments(likelihood: Floats, population: SizePopulation) -> tuple[Floats, Floats]:
    log_p = likelihood - 0.5 * ((GRID - population.mean) / population.sd) ** 2
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p @ GRID, p @ GRID**2
