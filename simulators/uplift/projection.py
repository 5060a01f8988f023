"""How effects differ between customers: the best linear projection of doubly robust scores.

Semenova and Chernozhukov (2021) regress scores on features, and the sandwich covariance is honest; on noisy
profit that alone chases noise. So the coefficients of all offers, with their joint covariance (they share the
customers without a coupon), are then shrunk together (:mod:`simulators.uplift.shrinkage`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints

__all__ = ["Coefficients", "least_squares"]

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
