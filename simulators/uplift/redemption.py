"""What an offer costs: who uses it, those who would have bought anyway included, and how much comes off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats
from simulators.uplift.exposures import Exposures

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


def fit_usage(exposures: Exposures, X: Floats) -> Usage:
    """Fit redemption and discount of each offer on those who got it; regressors X [N, P].

    Both are shrunk towards all offers together, coefficient by coefficient, as far as a prior worth 4
    redemptions shrinks them. Redemption is a logit; the discount of a used coupon is linear and later kept
    between 0 and the largest seen.
    """
    K, P = len(exposures.offers), X.shape[1]
    given, used = exposures.offer > 0, exposures.redeemed
    y = used.astype(np.float64)
    shared = _logit(X[given], y[given], np.zeros((P,)))
    off = _ridge(X[used], exposures.discount[used], np.zeros((P,)))
    redemption, discount, most = np.zeros((K, P)), np.zeros((K, P)), np.zeros(K)
    for k in range(1, K):
        mine = exposures.offer == k
        redemption[k] = _logit(X[mine], y[mine], shared)
        discount[k] = _ridge(X[mine & used], exposures.discount[mine & used], off)
        most[k] = float(exposures.discount[mine & used].max(initial=0.0))
    return Usage(redemption, discount, most)


def _logit(X: Floats, y: Floats, towards: Floats) -> Floats:
    """Newton steps of a logit with a normal prior around `towards`; the constant is nearly free."""
    out: Floats = towards.copy()
    penalty = np.full(len(out), _PENALTY)
    penalty[0] = 0.1
    for _ in range(_STEPS):
        p = 0.5 * (1.0 + np.tanh(0.5 * (X @ out)))
        H = (X * (p * (1.0 - p))[:, None]).T @ X + np.diag(penalty)
        step = np.asarray(np.linalg.solve(H, X.T @ (y - p) - penalty * (out - towards)), dtype=np.float64)
        longest = float(np.abs(step).max())
        out = out + step * min(1.0, 2.0 / max(longest, 1e-12))
        if longest < _CLOSE:
            break
    return out


def _ridge(X: Floats, y: Floats, towards: Floats) -> Floats:
    penalty = np.full(X.shape[1], _PENALTY)
    penalty[0] = 0.1
    step = np.linalg.solve(X.T @ X + np.diag(penalty), X.T @ (y - X @ towards))
    return np.asarray(towards + step, dtype=np.float64)
