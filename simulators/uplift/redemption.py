"""What an offer costs: who uses it, those who would have bought anyway included, and how much comes off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats
from simulators.uplift.exposures import Exposures
from simulators.uplift.projection import Coefficients
from simulators.uplift.shrinkage import Kinds, pool

__all__ = ["Usage", "fit_usage"]

_PENALTY = 4.0
_STEPS, _CLOSE = 30, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """Coefficients as in :class:`pricing.uplift.UpliftModel`.

    Attributes
    ----------
    redemption, discount
        float64 [K, P].
    most
        float64 [K]; minor units.
    """

    redemption: Floats
    discount: Floats
    most: Floats


def fit_usage(exposures: Exposures, X: Floats, kinds: Kinds, depth: Floats) -> Usage:
    """Fit redemption and discount of each offer on those who got it; regressors X [N, P].

    Each offer's coefficients, one step from its level and what all share, are shrunk as effects are
    (:func:`simulators.uplift.shrinkage.pool`): what offers share, a line in their depth, the rest. Redemption
    is a logit; the discount of a used coupon is linear, as a share of its offer's mean, which it keeps, and
    later kept between 0 and the largest seen.

    Parameters
    ----------
    exposures, X
        The log; float64 [N, P].
    kinds
        Of the regressors.
    depth
        float64 [K - 1]; how deep offers are.
    """
    K, used = len(exposures.offers), exposures.redeemed
    discount = _discounts(exposures, X, kinds, depth)
    most = np.zeros(K)
    for k in range(1, K):
        rows = (exposures.offer == k) & used
        most[k] = float(exposures.discount[rows].max(initial=0.0))
        told = float(np.clip(X[rows] @ discount[k], 0.0, most[k]).sum())
        discount[k] *= float(exposures.discount[rows].sum()) / told if told > 0.0 else 1.0
    return Usage(_odds(exposures, X, kinds, depth), discount, most)


def _odds(exposures: Exposures, X: Floats, kinds: Kinds, depth: Floats) -> Floats:
    given, y = exposures.offer > 0, exposures.redeemed.astype(np.float64)
    shared = _logit(X[given], y[given], np.zeros(int(given.sum())))
    found = _Each.of(len(depth), X.shape[1])
    for j in range(len(depth)):
        mine = exposures.offer == j + 1
        start = shared.copy()
        start[0] += _logit(np.ones((int(mine.sum()), 1)), y[mine], X[mine] @ shared)[0]
        p = 0.5 * (1.0 + np.tanh(0.5 * (X[mine] @ start)))
        found.add(j, start, X[mine], p * (1.0 - p), y[mine] - p)
    return np.concatenate([np.zeros((1, X.shape[1])), pool(found.all(), depth, kinds).mean])


def _discounts(exposures: Exposures, X: Floats, kinds: Kinds, depth: Floats) -> Floats:
    """Return coefficients of the discount of a used coupon, shrunk as shares of each offer's mean, [K, P]."""
    used = exposures.redeemed
    unit = np.append(1.0, np.where(depth > 0.0, depth, 1.0))
    taken = exposures.discount / unit[exposures.offer]
    gram = X[used].T @ X[used] + np.diag(_weak(X.shape[1]))
    shared = np.asarray(np.linalg.solve(gram, X[used].T @ taken[used]), dtype=np.float64)
    found = _Each.of(len(depth), X.shape[1])
    for j in range(len(depth)):
        rows = (exposures.offer == j + 1) & used
        left = taken[rows] - X[rows] @ shared
        found.add(j, shared, X[rows], np.ones(len(left)), left, noisy=True)
    own = pool(found.all(), depth, kinds).mean * unit[1:, None]
    return np.concatenate([np.zeros((1, X.shape[1])), own])


@dataclass(frozen=True, slots=True, eq=False)
class _Each:
    """Coefficients [J, P] of every offer, and their covariances [J, P, J, P]: customers of two are others."""

    mean: Floats
    covariance: Floats

    @staticmethod
    def of(J: int, P: int) -> _Each:
        return _Each(np.zeros((J, P)), np.zeros((J, P, J, P)))

    def add(
        self, j: int, start: Floats, X: Floats, weight: Floats, left: Floats, *, noisy: bool = False
    ) -> None:
        """Take one weighted least squares step of offer j from a start; `noisy`: errors of no known size."""
        inverse = np.linalg.inv((X * weight[:, None]).T @ X + np.diag(_weak(len(start))))
        self.mean[j] = start + inverse @ (X.T @ left)
        slopes = X * left[:, None]
        self.covariance[j, :, j, :] = inverse @ (slopes.T @ slopes) @ inverse if noisy else inverse
        if noisy:
            spread = float(np.square(left).mean()) if len(left) else 1.0
            self.covariance[j, :, j, :] += 1e-3 * spread * inverse

    def all(self) -> Coefficients:
        """Return those of all offers."""
        J, P = self.mean.shape
        return Coefficients(self.mean, self.covariance.reshape(J * P, J * P))


def _weak(P: int) -> Floats:
    out = np.full(P, _PENALTY)
    out[0] = 0.1
    return out


def _logit(X: Floats, y: Floats, beside: Floats) -> Floats:
    """Newton steps of a logit with a weak normal prior around 0; the constant is nearly free.

    `beside`, float64 [N], is added to the log odds.
    """
    out, penalty = np.zeros(X.shape[1]), _weak(X.shape[1])
    for _ in range(_STEPS):
        p = 0.5 * (1.0 + np.tanh(0.5 * (X @ out + beside)))
        H = (X * (p * (1.0 - p))[:, None]).T @ X + np.diag(penalty)
        step = np.asarray(np.linalg.solve(H, X.T @ (y - p) - penalty * out), dtype=np.float64)
        longest = float(np.abs(step).max())
        out = out + step * min(1.0, 2.0 / max(longest, 1e-12))
        if longest < _CLOSE:
            break
    return out
