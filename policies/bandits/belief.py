"""A normal belief about coefficients, and what one batch of outcomes makes of it.

Numeric functions in the letters of the literature: X regressors, y outcomes, m and P mean and precision.
Batches are folded in one after the other, each with the belief before it as the prior (Laplace's
approximation kept up online: Chapelle and Li, NIPS 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pricing.arrays import Bools, Floats, Ints
from pricing.randomness import label_hash, normals

__all__ = ["Belief", "Evidence", "fold"]

_STEPS = 4
_WIDEST = 3.0
"""Newton never moves a coefficient by more than this many prior sds in a step."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Normal: mean float64 [P], precision float64 [P, P]."""

    mean: Floats
    precision: Floats

    @staticmethod
    def of(mean: Floats, sd: Floats) -> Belief:
        """Return independent coefficients, float64 [P] each."""
        return Belief(mean, np.diag(sd**-2.0))

    def draws(self, count: int, seed: int, moment: int, name: str) -> Floats:
        """Return draws float64 [D, P]; each follows from (seed, name, moment, its number)."""
        key = np.array([label_hash(name, str(moment))], dtype=np.uint64)
        numbers: Ints = np.arange(count, dtype=np.int64)
        z = normals(key, numbers, len(self.mean), seed)[:, 0]
        factor = np.linalg.cholesky(self.precision)
        out: Floats = self.mean + np.linalg.solve(factor.T, z.T).T
        return out


@dataclass(frozen=True, slots=True)
class Evidence:
    """One batch of a regression on the P coefficients of a belief.

    Attributes
    ----------
    X
        float64 [n, P].
    y
        float64 [n]; 0 or 1 where `variance` is None.
    offset
        float64 [n]; known part of the linear predictor.
    variance
        Of a normal outcome; None for a logistic one.
    """

    X: Floats
    y: Floats | Bools
    offset: Floats
    variance: float | None = None


def fold(belief: Belief, *evidence: Evidence) -> Belief:
    """Return the belief after evidence about the same coefficients: Newton to the mode, then Laplace."""
    m, h = belief.mean.copy(), belief.precision
    sd = np.sqrt(np.diag(np.linalg.inv(belief.precision)))
    for _ in range(_STEPS):
        gradient, h = -belief.precision @ (m - belief.mean), belief.precision.copy()
        for part in evidence:
            eta = part.X @ m + part.offset
            p = expit(eta) if part.variance is None else eta
            w = p * (1.0 - p) if part.variance is None else np.full(len(eta), 1.0 / part.variance)
            residual = (part.y - p) * (1.0 if part.variance is None else 1.0 / part.variance)
            gradient += part.X.T @ residual
            h = h + (part.X * w[:, None]).T @ part.X
        step = np.linalg.solve(h, gradient)
        m = m + np.clip(step, -_WIDEST * sd, _WIDEST * sd)
    return Belief(m, 0.5 * (h + h.T))
