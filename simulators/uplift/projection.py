"""How effects differ between customers: the best linear projection of doubly robust scores, partially pooled.

Semenova and Chernozhukov (2021) regress scores on features, and the sandwich covariance is honest; on noisy
profit that alone chases noise. So the coefficients of all offers together, with their joint covariance (they
share the customers without a coupon), are shrunk towards a line in the depth of the offer by a normal prior
whose variances maximise the marginal likelihood: empirical Bayes in the manner of Morris (1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize

from pricing.arrays import Bools, Floats, Ints

__all__ = ["Coefficients", "least_squares", "pool"]

_linalg: Any = scipy.linalg
_optimize: Any = scipy.optimize

_FLAT = 1e4
"""Prior variance of mean effects over their sampling variance: they are hardly shrunk at all."""

_JITTER = 1e-6
"""Share by which every regressor's sum of squares is raised, so that two that are nearly one stay apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """Coefficients of the effects of J = K - 1 offers on P regressors.

    Attributes
    ----------
    mean
        float64 [J, P].
    covariance
        float64 [J P, J P].
    """

    mean: Floats
    covariance: Floats


def least_squares(effect: Floats, X: Floats, customer: Ints, weight: Floats, counted: Bools) -> Coefficients:
    """Project scores on regressors by weighted least squares, errors clustered by customer.

    Parameters
    ----------
    effect
        float64 [N, J]; scores of effects.
    X
        float64 [N, P]; the first column is 1.
    customer
        int64 [N].
    weight
        float64 [N]; positive, and a function of the regressors alone.
    counted
        bool [N, J]; which scores count. An offer of which none does has all of them counted: they are what
        a model guesses, and say so nowhere but here.
    """
    N, J = effect.shape
    P = X.shape[1]
    counted = counted | ~counted.any(axis=0)
    mean, wide = np.zeros((J, P)), np.zeros((J, P, J, P))
    kinds, kind = np.unique(counted, axis=1, return_inverse=True)
    for number, rows in enumerate(kinds.T):
        mine, own = np.flatnonzero(kind.reshape(-1) == number), slice(None) if rows.all() else rows
        weighted = (X * weight[:, None])[own]
        gram = weighted.T @ X[own]
        bread = np.linalg.inv(gram + _JITTER * np.diag(np.diag(gram)))
        mean[mine] = (bread @ weighted.T @ effect[own][:, mine]).T
        wide[mine, :, mine, :] = bread
    left = np.where(counted, (effect - X @ mean.T) * weight[:, None], 0.0)
    _, place = np.unique(customer, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    meat = np.zeros((J * P, J * P))
    step = max(1, 4_000_000 // (J * P))
    for first in range(0, len(starts), step):
        begin = starts[first]
        end = starts[first + step] if first + step < len(starts) else N
        rows = order[begin:end]
        scores = (left[rows][:, :, None] * X[rows][:, None, :]).reshape(len(rows), J * P)
        sums = np.add.reduceat(scores, starts[first : first + step] - begin, axis=0)
        meat += sums.T @ sums
    G, breads = len(starts), wide.reshape(J * P, J * P)
    covariance = breads @ meat @ breads * (G / max(G - 1.0, 1.0))
    return Coefficients(mean, 0.5 * (covariance + covariance.T))


def pool(raw: Coefficients, depth: Floats, group: Ints) -> Coefficients:
    """Shrink coefficients towards a line in the depth of the offer.

    Coefficient p of offer j is ``a_p + b_p d_j + e_jp`` with independent normal a, b and e of mean 0; d is
    the standardised depth. Each of the three has one variance in every group of regressors, and these
    maximise the marginal likelihood. Group 0, the mean effects, has a prior so wide that nothing is shrunk.

    Parameters
    ----------
    raw
        Of :func:`least_squares`.
    depth
        float64 [J]; how deep each offer is, for example its mean discount.
    group
        int64 [P]; 0 for the constant, then 1, 2, ...

    Returns
    -------
    Coefficients
        Posterior mean and covariance.
    """
    J, P = raw.mean.shape
    b = raw.mean.reshape(-1)
    if not raw.covariance.any():  # nothing was ever earned, so nothing varies
        return raw
    scale = np.sqrt(np.diag(raw.covariance))
    scale = np.maximum(scale, _JITTER * scale.max())
    noisy = _positive(raw.covariance / np.outer(scale, scale))
    blocks = _blocks(depth, group, scale)
    wide = np.diag(np.where(np.tile(group == 0, J), _FLAT, 0.0))
    z = b / scale

    def prior(logs: Floats) -> Floats:
        out = wide.copy()
        for size, block in zip(np.exp(logs), blocks, strict=True):
            out[block.place] += size * block.value
        return out

    def deviance(logs: Floats) -> tuple[float, Floats]:
        factor: Any = _linalg.cho_factor(noisy + prior(logs), lower=True)
        inverse: Floats = _linalg.cho_solve(factor, np.eye(len(z)))
        a = inverse @ z
        slope = [
            size * float(((inverse - np.outer(a, a))[block.place] * block.value).sum())
            for size, block in zip(np.exp(logs), blocks, strict=True)
        ]
        return float(2.0 * np.log(np.diag(factor[0])).sum() + z @ a), np.array(slope)

    logs = np.zeros(len(blocks))
    if blocks:
        found = _optimize.minimize(
            deviance, logs, jac=True, method="L-BFGS-B", bounds=[(-9.0, 9.0)] * len(blocks)
        )
        logs = np.asarray(found.x, dtype=np.float64)
    T = prior(logs)
    gain: Floats = _linalg.cho_solve(_linalg.cho_factor(noisy + T, lower=True), T).T
    covariance = (T - gain @ T) * np.outer(scale, scale)
    return Coefficients(((gain @ z) * scale).reshape(J, P), 0.5 * (covariance + covariance.T))


def _positive(correlation: Floats) -> Floats:
    """Return a correlation matrix with eigenvalues of at least the jitter: rounding leaves some below 0."""
    values, vectors = np.linalg.eigh(correlation)
    out: Floats = (vectors * np.maximum(values, _JITTER)) @ vectors.T
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Where a prior variance enters, and with which weights: `value` belongs to matrix[`place`]."""

    place: tuple[Ints, Ints]
    value: Floats


def _blocks(depth: Floats, group: Ints, scale: Floats) -> list[_Block]:
    """Return what each prior variance multiplies, in units of the usual sampling error in its group."""
    J, P = len(depth), len(group)
    spread = float(depth.std())
    d = (depth - depth.mean()) / spread if spread > 0.0 else np.zeros(J)
    shapes = [np.ones((J, J)), np.outer(d, d), np.eye(J)] if J > 1 else [np.ones((J, J))]
    out: list[_Block] = []
    for g in range(1, int(group.max()) + 1):
        own = np.flatnonzero(group == g)
        at = np.arange(J)[:, None] * P + own
        unit = float(np.median(scale[at]))
        for shape in shapes:
            j, k = np.nonzero(shape)
            rows, columns = at[j].ravel(), at[k].ravel()
            value = np.repeat(shape[j, k], len(own)) * unit**2 / (scale[rows] * scale[columns])
            out.append(_Block((rows, columns), value))
    return out
