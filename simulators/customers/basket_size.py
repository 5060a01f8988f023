"""How many categories a household needs on a day: its level and spread, the gap, the last basket, weekday.

Sizes are scored by the normal quantile of their share of all baskets, so any distribution of sizes fits; the
score is linear with a partially pooled level for each household and a spread of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from pricing.arrays import Floats, Ints
from simulators.customers.basket_memory import Memory

__all__ = ["GAPS", "SizeModel", "fit_size", "size_bounds", "size_design", "size_score"]

GAPS = np.array([1, 2, 3, 4, 5, 6, 8, 11, 15, 22, 36], dtype=np.int64)
"""First days since the last basket of each class of gaps from 1 on; class 0 is the first basket."""

_THURSDAY = 3
_RIDGE, _LEVEL_RIDGE = 20.0, 1e-6
_ROUNDS = 25
_QUANTILES = 513
_SPREAD_WEIGHT = 8.0
"""Baskets that the common spread is worth."""
_USUAL_GAP = 4.0


@dataclass(frozen=True, slots=True)
class SizeModel:
    """Scores of sizes: ``score = x b + level of the household + its spread * noise``.

    Attributes
    ----------
    bounds
        float64 [M]; share of baskets with at most 1 .. M categories.
    coefficient
        float64 [K]; of :func:`size_design`.
    level, level_sd, spread
        float64 [H]; posterior mean and sd of each household's level, and its spread.
    population_sd
        float; of the levels.
    noise
        float64 [Q]; quantiles of the standardised residual, evenly spaced.
    """

    bounds: Floats
    coefficient: Floats
    level: Floats
    level_sd: Floats
    spread: Floats
    population_sd: float
    noise: Floats

    def drawn(self, mean: Floats, spread: Floats, u: Floats) -> Ints:
        """Return sizes, int64 [B]: around scores `mean` [B], the noise at quantiles `u` [B]."""
        grid = (np.arange(len(self.noise)) + 0.5) / len(self.noise)
        score = mean + spread * np.interp(u, grid, self.noise)
        share = np.asarray(ndtr(score), dtype=np.float64)
        found = np.searchsorted(self.bounds, share, side="left").astype(np.int64)
        return np.minimum(found, len(self.bounds) - 1) + 1


def size_bounds(size: Ints) -> Floats:
    """Return the share of baskets with at most 1 .. M categories, float64 [M]."""
    count = np.bincount(size)[1:].astype(np.float64)
    out: Floats = np.cumsum(count) / count.sum()
    return out


def size_score(bounds: Floats, size: Ints) -> Floats:
    """Return the normal quantile of the middle of each size's share, float64 [B]."""
    k = np.minimum(size, len(bounds))
    lower = np.where(k > 1, bounds[np.maximum(k - 2, 0)], 0.0)
    middle = np.clip(0.5 * (lower + bounds[k - 1]), 1e-9, 1.0 - 1e-9)
    return np.asarray(ndtri(middle), dtype=np.float64)


def size_design(memory: Memory, household: Ints, day: int) -> Floats:
    """Return regressors [B, K] of one day's baskets: weekday, days since the last one, how large that was."""
    n = memory.visits[household]
    first = n == 0
    since = np.where(first, 0, day - memory.last_visit[household])
    span = memory.last_visit[household] - memory.first_visit[household]
    gap = np.maximum(np.where(n > 1, span / np.maximum(n - 1, 1), since), 1.0)
    usual = np.where(first, 0.0, np.log(gap / _USUAL_GAP))
    surprise = np.where(first, 0.0, np.log(np.maximum(since, 1) / gap))
    last = np.where(first, 0.0, memory.score[household])
    kind = np.where(first, 0, np.searchsorted(GAPS, since, side="right"))
    weekday = np.tile(np.eye(7)[(day + _THURSDAY) % 7], (len(household), 1))
    some = np.stack([usual, surprise, last, last * usual], axis=1)
    ones = np.ones((len(household), 1))
    return np.concatenate([ones, weekday, np.eye(len(GAPS) + 1)[kind], some], axis=1)


def fit_size(size: Ints, X: Floats, household: Ints, households: int) -> SizeModel:
    """Fit by alternating weighted ridge regression, shrunken levels and shrunken spreads.

    Parameters
    ----------
    size
        int64 [V]; distinct categories of each basket, at least 1.
    X
        float64 [V, K].
    household, households
        int64 [V]; whose, 0 .. households - 1.
    """
    bounds = size_bounds(size)
    y = size_score(bounds, size)
    n = np.bincount(household, minlength=households).astype(np.float64)
    ridge = np.diag(np.concatenate([[_LEVEL_RIDGE], np.full(X.shape[1] - 1, _RIDGE)]))
    level: Floats = np.zeros(households)
    level_variance: Floats = np.zeros(households)
    scale: Floats = np.ones(households)
    width: int = X.shape[1]
    b: Floats = np.zeros(width)
    variance, noise = 0.5, 0.5
    for _ in range(_ROUNDS):
        w = 1.0 / (noise * scale[household] ** 2)
        right = X.T @ (w * (y - level[household]))
        b = np.asarray(np.linalg.solve((X * w[:, None]).T @ X + ridge, right), dtype=np.float64)
        r = y - X @ b
        information = np.bincount(household, w, households) + 1.0 / variance
        level_variance = np.asarray(1.0 / information, dtype=np.float64)
        level = np.asarray(level_variance * np.bincount(household, w * r, households), dtype=np.float64)
        variance = float((level**2 + level_variance)[n > 0.0].mean())
        e = r - level[household]
        noise = float((e**2 / scale[household] ** 2).mean())
        own = np.bincount(household, e**2, households) / noise
        scale = np.asarray(np.sqrt((own + _SPREAD_WEIGHT) / (n + _SPREAD_WEIGHT)), dtype=np.float64)
    z = (y - X @ b - level[household]) / (np.sqrt(noise) * scale[household])
    grid = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return SizeModel(
        bounds=bounds,
        coefficient=b,
        level=level,
        level_sd=np.sqrt(level_variance),
        spread=np.sqrt(noise) * scale,
        population_sd=float(np.sqrt(variance)),
        noise=np.asarray(np.quantile(z, grid), dtype=np.float64),
    )
