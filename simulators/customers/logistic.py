"""Logistic regression with partial pooling, of outcomes whose window may still be open.

Numeric functions in the letters of the literature: y outcomes, p probabilities, F the share of the window's
redemptions that has come in by the day on which we look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pricing.arrays import Bools, Floats, Ints

__all__ = ["Logit", "expected_outcome", "fit_logistic"]

_STEPS = 500
_TOLERANCE = 1e-9
_PRIOR_SD, _PRIOR_WEIGHT = 0.3, 2.0
"""What is believed of the sd of group effects before any is seen, and how many groups that is worth."""


@dataclass(frozen=True, slots=True)
class Logit:
    """Posterior mode and Laplace covariance.

    Attributes
    ----------
    mean, covariance
        float64 [K], [K, K]; coefficients, group effects integrated out of the covariance.
    groups
        float64 [J]; effects of the groups.
    group_variance
        float64 [J]; Laplace variances of those effects.
    group_sd
        float; fitted sd of the population of effects, 0 where there are no groups.
    last_step
        float; largest move of the last step, for a check of convergence.
    """

    mean: Floats
    covariance: Floats
    groups: Floats
    group_variance: Floats
    group_sd: float
    last_step: float


def expected_outcome(redeemed: Bools, p: Floats, F: Floats) -> Floats:
    """Return the probability [n] that an outcome ends as 1, given what was seen.

    1 where it was seen; else Bayes: ``p (1 - F) / (1 - p F)`` (the mixture cure model: Farewell, Biometrics
    1982).

    Parameters
    ----------
    redeemed
        bool [n]; seen.
    p
        float64 [n]; probability before anything was seen.
    F
        float64 [n]; probability that a redemption would have been seen by now.
    """
    out: Floats = np.where(redeemed, 1.0, p * (1.0 - F) / np.maximum(1.0 - p * F, 1e-300))
    return out


def fit_logistic(
    X: Floats,
    redeemed: Bools,
    F: Floats,
    precision: Floats,
    *,
    group: Ints | None = None,
    offset: Floats | None = None,
) -> Logit:
    """Climb to the posterior mode of ``P(seen) = F expit(X b + u_group + offset)``.

    Each step takes the expected outcome of open windows (the E step of Dempster, Laird, Rubin, JRSS B 1977)
    and one Newton step, which with every F at 1 is plain IRLS; the variance of the group effects follows as
    in penalised quasi-likelihood (Breslow and Clayton, JASA 1993).

    Parameters
    ----------
    X
        float64 [n, K].
    redeemed, F
        bool [n], float64 [n]; see :func:`expected_outcome`.
    precision
        float64 [K]; of independent normal priors around 0. 0 means no prior.
    group
        int64 [n]; group of each row, 0 .. J-1; None for none.
    offset
        float64 [n]; added to the log odds.
    """
    g = np.zeros(len(X), dtype=np.int64) if group is None else group
    J = 0 if group is None else int(g.max()) + 1
    b, u = np.zeros(X.shape[1]), np.zeros(max(J, 1))
    base = np.zeros(len(X)) if offset is None else offset
    variance, moved = _PRIOR_SD**2 if J else 0.0, np.inf
    for _ in range(_STEPS):
        p = expit(X @ b + u[g] + base)
        residual = expected_outcome(redeemed, p, F) - p
        solved = _solve(X, g, p * (1.0 - p), precision, variance, len(u))
        step_b, step_u = _step(solved, X.T @ residual - precision * b, residual, g, u, variance)
        b, u = b + step_b, u + step_u
        before = variance
        if J:
            square = float((u**2 + _group_variance(solved)).sum())
            variance = (square + _PRIOR_WEIGHT * _PRIOR_SD**2) / (J + _PRIOR_WEIGHT)
        moved = max(float(np.abs(step_b).max()), float(np.abs(step_u).max()), abs(variance - before))
        if moved < _TOLERANCE:
            break
    p = expit(X @ b + u[g] + base)
    information = F * p * (1.0 - p) ** 2 / np.maximum(1.0 - p * F, 1e-300)
    solved = _solve(X, g, information, precision, variance, len(u))
    spread = _group_variance(solved)[:J]
    return Logit(b, solved.covariance, u[:J], spread, float(np.sqrt(variance)), moved)


@dataclass(frozen=True, slots=True)
class _Solved:
    """Inverse of the bordered Hessian: covariance [K, K] of b, cross [J, K] = Z'WX / D, inverse [J] = 1/D."""

    covariance: Floats
    cross: Floats
    inverse: Floats


def _solve(X: Floats, g: Ints, w: Floats, precision: Floats, variance: float, J: int) -> _Solved:
    """Eliminate the group effects, whose block of the Hessian is diagonal."""
    A = (X * w[:, None]).T @ X + np.diag(precision)
    if variance == 0.0:
        return _Solved(_inverse(A), np.zeros((J, X.shape[1])), np.zeros(J))
    D: Floats = np.bincount(g, w, J).astype(np.float64) + 1.0 / variance
    B: Floats = np.stack([np.bincount(g, w * column, J) for column in X.T], axis=1).astype(np.float64)
    return _Solved(_inverse(A - B.T @ (B / D[:, None])), B / D[:, None], 1.0 / D)


def _inverse(A: Floats) -> Floats:
    return np.asarray(np.linalg.inv(A), dtype=np.float64)


def _step(
    solved: _Solved, gradient: Floats, residual: Floats, g: Ints, u: Floats, variance: float
) -> tuple[Floats, Floats]:
    if variance == 0.0:
        return solved.covariance @ gradient, np.zeros_like(u)
    of_groups = np.bincount(g, residual, len(u)) - u / variance
    step_b: Floats = solved.covariance @ (gradient - solved.cross.T @ of_groups)
    return step_b, solved.inverse * of_groups - solved.cross @ step_b


def _group_variance(solved: _Solved) -> Floats:
    spread: Floats = np.einsum("jk,kl,jl->j", solved.cross, solved.covariance, solved.cross)
    return solved.inverse + spread
