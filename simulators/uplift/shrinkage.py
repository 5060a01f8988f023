"""How much of what was found is more than noise: coefficients of all offers, shrunk together.

Offers are turned into what they have in common, a line in their depth, and the rest. Along each of these a
coefficient is normal around 0 with a variance of its own, and the logarithms of those variances are normal
around one level for every kind of regressor: where all is noise the level falls and everything with it;
where three features of fifty tell, theirs rise and the others stay. Levels and deviations maximise the
penalised marginal likelihood: empirical Bayes in the manner of Morris (1983), with the local and global
scales of Carvalho, Polson and Scott (2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize

from pricing.arrays import Bools, Floats, Ints
from simulators.uplift.projection import Coefficients

__all__ = ["Kinds", "pool"]

_linalg: Any = scipy.linalg
_optimize: Any = scipy.optimize

_FLAT = 1e4
"""Prior variance over sampling variance of what is hardly to be shrunk at all."""

_JITTER = 1e-6
_SPREAD = 0.7
"""Sd of the log variances around their level."""

_FIRST, _MOST, _ENOUGH = -1.0, 100, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """What the P regressors are.

    Attributes
    ----------
    group
        int64 [P]; 0 for the constant, then 1, 2, ...: regressors of one group share a level.
    made_of
        float64 [P, P]; how far the log variance of one (row) follows that of another (column): a product
        matters rather where its features do. 0 on the diagonal.
    """

    group: Ints
    made_of: Floats


def pool(raw: Coefficients, depth: Floats, kinds: Kinds, *, free: bool = True) -> Coefficients:
    """Shrink coefficients; return their posterior mean and covariance.

    Parameters
    ----------
    raw
        Of :func:`simulators.uplift.projection.least_squares`, J offers and P regressors.
    depth
        float64 [J]; how deep each offer is, for example its mean discount.
    kinds
        Of the regressors.
    free
        Whether mean effects are hardly shrunk, rather than as all else.
    """
    J, P = raw.mean.shape
    if not raw.covariance.any():  # nothing was ever earned, so nothing varies
        return raw
    turn, lines = _directions(depth)
    wide = np.asarray(np.kron(turn.T, np.eye(P)), dtype=np.float64)
    covariance: Floats = wide @ raw.covariance @ wide.T
    error = np.asarray(np.sqrt(np.diag(covariance)), dtype=np.float64)
    scale = np.asarray(np.maximum(error, _JITTER * float(error.max())), dtype=np.float64)
    units: Floats = np.multiply.outer(scale, scale)
    noise, z = _positive(covariance / units), (turn.T @ raw.mean).reshape(-1) / scale
    T = _prior(noise, z, scale, _Layout.of(kinds, np.clip(np.arange(J, dtype=np.int64), 0, lines), free=free))
    gain: Floats = _linalg.cho_solve(_linalg.cho_factor(noise + np.diag(T), lower=True), np.diag(T)).T
    left: Floats = (np.diag(T) - gain * T) * units
    mean = turn @ ((gain @ z) * scale).reshape(J, P)
    left = wide.T @ left @ wide
    return Coefficients(mean, 0.5 * (left + left.T))


def _directions(depth: Floats) -> tuple[Floats, int]:
    """Return orthonormal columns [J, J], what offers share, the line, the rest; and how many lead."""
    J = len(depth)
    d = depth - depth.mean()
    lead = [np.ones(J), d] if J > 1 and d.any() else [np.ones(J)]
    turn, _ = np.linalg.qr(np.stack([*lead, *np.eye(J)], axis=1))
    return np.asarray(turn[:, :J]), len(lead)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Which hyperparameters stand behind each of J P coefficients.

    Attributes
    ----------
    cell
        int64 [J P]; which level, -1 where nothing is shrunk.
    map
        float64 [J P, H]; log variances are this times the hyperparameters: levels, then deviations.
    levels
        How many levels.
    blocks
        J; the coefficients along one direction.
    """

    cell: Ints
    map: Floats
    levels: int
    blocks: list[slice]

    @staticmethod
    def of(kinds: Kinds, direction: Ints, *, free: bool) -> _Layout:
        P, J = len(kinds.group), len(direction)
        shrunk = np.tile(kinds.group > 0, J) | (not free)
        key = np.tile(kinds.group, J) * (J + 1) + np.repeat(direction, P)
        names, cell = np.unique(np.where(shrunk, key, -1), return_inverse=True)
        cell = cell - int(names[0] == -1)
        levels = int(cell.max()) + 1
        follows = np.eye(P) + kinds.made_of
        follows[kinds.group == 0] = 0.0
        map_ = np.concatenate([np.equal.outer(cell, np.arange(levels)), np.tile(follows, (J, 1))], axis=1)
        return _Layout(cell, map_ * shrunk[:, None], levels, [slice(j * P, j * P + P) for j in range(J)])


def _prior(noise: Floats, z: Floats, scale: Floats, layout: _Layout) -> Floats:
    """Return prior over sampling variances, float64 [J P], that maximise the penalised likelihood.

    Directions count as if they were estimated apart; only the posterior knows how they hang together.
    """
    told: Bools = layout.cell >= 0
    unit = np.ones(len(z))
    for level in range(layout.levels):
        own = layout.cell == level
        unit[own] = np.square(np.median(scale[own]) / scale[own])
    penalty = np.full(layout.map.shape[1], 1.0 / _SPREAD**2)
    penalty[: layout.levels] = 0.0

    def variance(logs: Floats) -> Floats:
        return np.where(told, unit * np.exp(np.clip(layout.map @ logs, -30.0, 30.0)), _FLAT)

    def deviance(logs: Floats) -> tuple[float, Floats]:
        v, total, slope = variance(logs), 0.0, np.zeros(len(z))
        for block in layout.blocks:
            root = np.linalg.cholesky(noise[block, block] + np.diag(v[block]))
            inverse: Floats = _linalg.solve_triangular(root, np.eye(len(root)), lower=True)
            a = inverse.T @ (inverse @ z[block])
            total += 2.0 * float(np.log(np.diag(root)).sum()) + float(z[block] @ a)
            slope[block] = v[block] * (np.square(inverse).sum(axis=0) - np.square(a))
        slope = layout.map.T @ np.where(told, slope, 0.0)
        return total + float(penalty @ np.square(logs)), slope + 2.0 * penalty * logs

    logs = np.zeros(len(penalty))
    logs[: layout.levels] = _FIRST
    found = _optimize.minimize(
        deviance, logs, jac=True, method="L-BFGS-B",
        bounds=[(-9.0, 9.0)] * len(logs), options={"maxiter": _MOST, "ftol": _ENOUGH},
    )  # fmt: skip
    return variance(np.asarray(found.x, dtype=np.float64))


def _positive(correlation: Floats) -> Floats:
    """Return a correlation matrix with eigenvalues of at least the jitter: rounding leaves some below 0."""
    values, vectors = np.linalg.eigh(correlation)
    out: Floats = (vectors * np.maximum(values, _JITTER)) @ vectors.T
    return out
