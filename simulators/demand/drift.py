"""A slowly drifting level: recent periods say more about the next ones than old ones do.

The drift of a series' log level is a stationary first-order autoregression: a share of it survives each
period, and its precision matrix is tridiagonal, so that a path of T periods costs T steps and no more (Rue
and Held, Gaussian Markov Random Fields, 2005, chapter 1). Estimated together with the price response, it
discounts old residuals exactly as such a process asks, and neighbouring periods, in which prices and shocks
both stand still, no longer pass for independent ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats

__all__ = ["Chain", "Drift", "chain", "drift_from", "first_drift"]

_MEMORY_DAYS = 70.0
_VARIANCE = 0.04
_HORIZON_DAYS = 56
_SURVIVAL = (0.3, 0.99)
_LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Drift:
    """The process.

    Attributes
    ----------
    survival
        Correlation of one period's drift with the next one's, 0-1.
    variance
        Of the drift of any one period.
    """

    survival: float
    variance: float

    def precision(self, periods: int) -> tuple[Floats, float]:
        """Return the diagonal [periods] of the precision matrix, and its only off-diagonal value."""
        scale = 1.0 / (self.variance * (1.0 - self.survival**2))
        diagonal = np.full(periods, scale * (1.0 + self.survival**2))
        diagonal[[0, -1]] = scale if periods > 1 else 1.0 / self.variance
        return diagonal, -scale * self.survival

    def precise(self, path: Floats) -> Floats:
        """Return the precision matrix times each row of `path` [n, T]."""
        diagonal, off = self.precision(path.shape[1])
        out: Floats = diagonal * path
        out[:, 1:] += off * path[:, :-1]
        out[:, :-1] += off * path[:, 1:]
        return out

    def ahead(self, period_days: int) -> tuple[float, float]:
        """Return what the mean drift of the coming eight weeks keeps of the last one's, and its own variance.

        The level that a model keeps is the expected mean level over that horizon.
        """
        h = np.arange(1, max(1, _HORIZON_DAYS // period_days) + 1)
        kept = float((self.survival**h).mean())
        joint = self.survival ** np.abs(h[:, None] - h[None, :]) - self.survival ** (h[:, None] + h[None, :])
        return kept, float(joint.mean()) * self.variance


def first_drift(period_days: int) -> Drift:
    """Return where the search starts: a memory of ten weeks."""
    return Drift(float(np.exp(-period_days / _MEMORY_DAYS)), _VARIANCE)


def drift_from(square: float, product: float) -> Drift:
    """Return the process whose mean square and mean product of neighbours are those given."""
    variance = max(square, _LEAST_VARIANCE)
    return Drift(float(np.clip(product / variance, *_SURVIVAL)), variance)


@dataclass(frozen=True, slots=True)
class Chain:
    """Factors of n tridiagonal matrices of T periods: a drift's precision plus weights on its diagonal.

    Attributes
    ----------
    pivot
        float64 [n, T]; of the elimination.
    off
        float; the off-diagonal value of all of them.
    """

    pivot: Floats
    off: float

    def solve(self, right: Floats) -> Floats:
        """Solve against right-hand sides [n, T, K] (Thomas' algorithm)."""
        out = np.moveaxis(right, 1, 0).copy()
        pivot = np.moveaxis(self.pivot, 1, 0)[..., None]
        for t in range(1, len(out)):
            out[t] -= self.off / pivot[t - 1] * out[t - 1]
        out[-1] /= pivot[-1]
        for t in range(len(out) - 2, -1, -1):
            out[t] = (out[t] - self.off * out[t + 1]) / pivot[t]
        return np.moveaxis(out, 0, 1)

    def inverse(self) -> tuple[Floats, Floats]:
        """Return diagonal [n, T] and first off-diagonal [n, T - 1] of the inverses."""
        own = np.empty_like(self.pivot)
        own[:, -1] = 1.0 / self.pivot[:, -1]
        ratio = self.off / self.pivot[:, :-1]
        for t in range(own.shape[1] - 2, -1, -1):
            own[:, t] = 1.0 / self.pivot[:, t] + ratio[:, t] ** 2 * own[:, t + 1]
        return own, -ratio * own[:, 1:]


def chain(weight: Floats, drift: Drift) -> Chain:
    """Factorise ``diag(weight) + precision of the drift``; `weight` is [n, T], not negative."""
    diagonal, off = drift.precision(weight.shape[1])
    pivot = weight + diagonal
    for t in range(1, pivot.shape[1]):
        pivot[:, t] -= off**2 / pivot[:, t - 1]
    return Chain(pivot, off)
