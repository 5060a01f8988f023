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
from simulators.demand.drift import Drift, chain

__all__ = ["Laplace", "derivatives", "laplace_mean", "newton"]

_ETA = (-30.0, 25.0)
_LONGEST_STEP = 3.0


@dataclass(frozen=True, slots=True)
class Laplace:
    """Posterior modes of n regressions with K coefficients and, where asked for, a drifting level.

    Attributes
    ----------
    mode
        float64 [n, K].
    level
        float64 [n, T]; mode of the drift, 0 without one.
    covariance
        float64 [n, K, K]; of the coefficients, the drift integrated out: inverse of the observed information
        plus the prior precision, at the mode.
    own, beside
        float64 [n, T], [n, T - 1]; variance of the drift given the coefficients, and its covariance with the
        next period's; 0 without one.
    pull
        float64 [n, T, K]; how far the drift gives way as coefficients move: its covariance with them is
        ``-pull @ covariance``; 0 without one.
    score, weight
        float64 [n, T]; first and minus second derivative of the log likelihood by eta, 0 where unobserved.
    eta
        float64 [n, T]; log mean.
    last_step
        float64 [n]; length of the last Newton step (largest coefficient), 0 at convergence.
    """

    mode: Floats
    level: Floats
    covariance: Floats
    own: Floats
    beside: Floats
    pull: Floats
    score: Floats
    weight: Floats
    eta: Floats
    last_step: Floats

    def eta_variance(self, X: Floats) -> Floats:
        """Return posterior variances of the log means, float64 [n, T], for the regressors [n, T, K]."""
        rest = X - self.pull
        out: Floats = self.own + np.einsum("ntk,ntk->nt", np.matmul(rest, self.covariance), rest)
        return out


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
    observed: Bools | Floats,
    X: Floats,
    offset: Floats,
    r: Floats,
    prior_mean: Floats,
    prior_precision: Floats,
    start: Floats,
    *,
    steps: int,
    tolerance: float = 1e-8,
    drift: Drift | None = None,
    level: Floats | None = None,
) -> Laplace:
    """Climb to the posterior mode of n regressions at once.

    Parameters
    ----------
    y, offset
        float64 [n, T]; counts, and what is added to the log mean.
    observed
        [n, T]; whether, or with what weight, each count is evidence.
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
    drift
        Process of the level's drift; None for a level that stands still.
    level
        float64 [n, T]; where the drift's search starts; None for 0.
    """
    mask = observed.astype(np.float64)
    mode: Floats = start
    path: Floats = np.zeros(y.shape) if level is None else level
    last: Floats = np.full(len(y), np.inf)
    for _ in range(steps):
        score, weight, _ = _at(mode, path, y, mask, X, offset, r)
        pull = np.matmul(prior_precision, (mode - prior_mean)[..., None])[..., 0]
        gradient = np.matmul(score[:, None, :], X)[:, 0] - pull
        step, bend = _step(X, weight, prior_precision, gradient, score, path, drift)
        longest: Floats = np.abs(step).max(axis=1)
        share = np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-12))[:, None]
        mode, path = mode + step * share, path + bend * share
        last = longest
        if last.max(initial=0.0) < tolerance:
            break
    score, weight, eta = _at(mode, path, y, mask, X, offset, r)
    pull, own, beside = _given(X, weight, drift)
    hessian = np.matmul(np.swapaxes((X - pull) * weight[..., None], 1, 2), X) + prior_precision
    inverse = np.asarray(np.linalg.inv(0.5 * (hessian + np.swapaxes(hessian, 1, 2))), dtype=np.float64)
    covariance = 0.5 * (inverse + np.swapaxes(inverse, 1, 2))
    return Laplace(mode, path, covariance, own, beside, pull, score, weight, eta, last)


def _step(
    X: Floats,
    weight: Floats,
    prior_precision: Floats,
    gradient: Floats,
    score: Floats,
    path: Floats,
    drift: Drift | None,
) -> tuple[Floats, Floats]:
    """Return Newton steps of coefficients [n, K] and drift [n, T]: the drift is eliminated first."""
    if drift is None:
        hessian = np.matmul(np.swapaxes(X * weight[..., None], 1, 2), X) + prior_precision
        still: Floats = np.asarray(np.linalg.solve(hessian, gradient[..., None])[..., 0], dtype=np.float64)
        return still, np.zeros_like(path)
    K = X.shape[2]
    uphill = score - drift.precise(path)
    solved = chain(weight, drift).solve(np.concatenate([X * weight[..., None], uphill[..., None]], axis=2))
    pull, ahead = solved[..., :K], solved[..., K]
    hessian = np.matmul(np.swapaxes((X - pull) * weight[..., None], 1, 2), X) + prior_precision
    left = gradient - np.einsum("ntk,nt->nk", pull, uphill)
    step = np.asarray(np.linalg.solve(hessian, left[..., None])[..., 0], dtype=np.float64)
    return step, ahead - np.einsum("ntk,nk->nt", pull, step)


def _given(X: Floats, weight: Floats, drift: Drift | None) -> tuple[Floats, Floats, Floats]:
    """Return `pull`, `own` and `beside` of :class:`Laplace`."""
    if drift is None:
        return np.zeros_like(X), np.zeros_like(weight), np.zeros_like(weight[:, 1:])
    factors = chain(weight, drift)
    return factors.solve(X * weight[..., None]), *factors.inverse()


def laplace_mean(
    found: Laplace, y: Floats, observed: Bools | Floats, X: Floats, r: Floats, drift: Drift | None = None
) -> tuple[Floats, Floats]:
    """Return posterior means of coefficients [n, K] and drift [n, T], to the next order after the mode.

    The likelihood of a count is skewed in the log mean, so its mode lies above its mean; without this,
    ``exp(x'm + x'Vx / 2)`` would overstate the units of thin series (Tierney and Kadane, JASA 1986;
    Lindley, Trabajos de Estadistica 1980): mean = mode + V X' (l''' h) / 2 with h = x'Vx, V that of
    coefficients and drift together.
    """
    _, _, third = derivatives(y, found.eta, r)
    force = 0.5 * observed * third * found.eta_variance(X)
    shift = np.matmul(found.covariance, np.einsum("ntk,nt->nk", X - found.pull, force)[..., None])[..., 0]
    if drift is None:
        return found.mode + shift, found.level
    bend = chain(found.weight, drift).solve(force[..., None])[..., 0]
    return found.mode + shift, found.level + bend - np.einsum("ntk,nk->nt", found.pull, shift)


def _at(
    mode: Floats, path: Floats, y: Floats, mask: Floats, X: Floats, offset: Floats, r: Floats
) -> tuple[Floats, Floats, Floats]:
    eta = np.clip(np.matmul(X, mode[..., None])[..., 0] + path + offset, *_ETA)
    score, weight, _ = derivatives(y, eta, r)
    return score * mask, weight * mask, eta
