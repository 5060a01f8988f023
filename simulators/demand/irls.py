"""Batched penalised Newton steps for negative-binomial regressions, and what Laplace makes of the mode.

All arrays are padded to a common number of periods T; `observed` marks the cells that count. With size r
the log likelihood of a count y with log mean eta is, up to a constant,

    l(eta) = y eta - (y + r) log(r + exp(eta)),

which is concave in eta, so each series has one mode (Lawless, Canadian Journal of Statistics 1987). For
r -> inf it is the Poisson likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats

__all__ = ["Laplace", "derivatives", "laplace_mean", "newton"]

_ETA = (-30.0, 25.0)
_LONGEST_STEP = 3.0


@dataclass(frozen=True, slots=True)
class Laplace:
    """Posterior modes of n regressions with K coefficients.

    Attributes
    ----------
    mode
        float64 [n, K].
    covariance
        float64 [n, K, K]; inverse of the observed information plus the prior precision, at the mode.
    score, weight
        float64 [n, T]; first and minus second derivative of the log likelihood by eta, 0 where unobserved.
    eta
        float64 [n, T]; log mean.
    last_step
        float64 [n]; length of the last Newton step (largest coefficient), 0 at convergence.
    """

    mode: Floats
    covariance: Floats
    score: Floats
    weight: Floats
    eta: Floats
    last_step: Floats


def derivatives(y: Floats, eta: Floats, r: Floats) -> tuple[Floats, Floats, Floats]:
    """Return first, minus second and third derivative of the log likelihood by eta, float64 [n, T] each.

    Parameters
    ----------
    y, eta
        float64 [n, T]; counts and log means.
    r
        float64 [n]; sizes.
    """
    mu = np.exp(eta)
    size = r[:, None]
    share = size / (size + mu)
    first = (y - mu) * share
    minus_second = (y + size) * share * (mu / (size + mu))
    third = -minus_second * (size - mu) / (size + mu)
    return first, minus_second, third


def newton(
    y: Floats,
    observed: Bools,
    X: Floats,
    offset: Floats,
    r: Floats,
    prior_mean: Floats,
    prior_precision: Floats,
    start: Floats,
    *,
    steps: int,
    tolerance: float = 1e-8,
) -> Laplace:
    """Climb to the posterior mode of n regressions at once.

    Parameters
    ----------
    y, offset
        float64 [n, T]; counts, and what is added to the log mean.
    observed
        bool [n, T].
    X
        float64 [n, T, K].
    r
        float64 [n]; negative-binomial sizes.
    prior_mean, prior_precision
        float64 [n, K], [n, K, K] (or broadcastable); zeros mean no prior.
    start
        float64 [n, K].
    steps
        Most Newton steps to take; a step longer than 3 is shortened to 3.
    tolerance
        Stop when no coefficient of any series moves further.
    """
    mask = observed.astype(np.float64)
    mode: Floats = start
    last: Floats = np.full(len(y), np.inf)
    for _ in range(steps):
        score, _, hessian, _ = _at(mode, y, mask, X, offset, r, prior_precision)
        pull = np.matmul(prior_precision, (mode - prior_mean)[..., None])[..., 0]
        gradient = np.matmul(score[:, None, :], X)[:, 0] - pull
        step: Floats = np.asarray(np.linalg.solve(hessian, gradient[..., None])[..., 0], dtype=np.float64)
        longest: Floats = np.abs(step).max(axis=1)
        mode = mode + step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-12))[:, None]
        last = longest
        if last.max(initial=0.0) < tolerance:
            break
    score, weight, hessian, eta = _at(mode, y, mask, X, offset, r, prior_precision)
    inverse = np.asarray(np.linalg.inv(hessian), dtype=np.float64)
    covariance = 0.5 * (inverse + np.swapaxes(inverse, 1, 2))
    return Laplace(mode, covariance, score, weight, eta, last)


def laplace_mean(found: Laplace, y: Floats, observed: Bools, X: Floats, r: Floats) -> Floats:
    """Return the posterior mean [n, K] to the next order after the mode.

    The likelihood of a count is skewed in the log mean, so its mode lies above its mean; without this,
    ``exp(x'm + x'Vx / 2)`` would overstate the units of thin series (Tierney and Kadane, JASA 1986;
    Lindley, Trabajos de Estadistica 1980): mean = mode + V X' (l''' h) / 2 with h = x'Vx.
    """
    _, _, third = derivatives(y, found.eta, r)
    h = np.einsum("ntk,ntk->nt", np.matmul(X, found.covariance), X)
    pull = np.matmul((observed * third * h)[:, None, :], X)[:, 0]
    out: Floats = found.mode + 0.5 * np.matmul(found.covariance, pull[..., None])[..., 0]
    return out


def _at(
    mode: Floats, y: Floats, mask: Floats, X: Floats, offset: Floats, r: Floats, prior_precision: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    eta = np.clip(np.matmul(X, mode[..., None])[..., 0] + offset, *_ETA)
    score, weight, _ = derivatives(y, eta, r)
    score, weight = score * mask, weight * mask
    hessian = np.matmul(np.swapaxes(X * weight[..., None], 1, 2), X) + prior_precision
    return score, weight, hessian, eta
