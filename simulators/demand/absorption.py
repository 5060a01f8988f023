"""Effects of series and periods taken out of a weighted regression in one step.

For N series and T periods the normal equations of ``a_i + b_t + x'beta`` have N + T + K unknowns, but their
series block is diagonal: eliminating it leaves T + K equations whatever N is. Where T is far below N, as for
weeks and products, that is exact and cheaper than projecting in turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints

__all__ = [
    "EXPLAINED",
    "Normal",
    "independent",
    "normal_equations",
    "planes",
    "total_by_cluster",
    "unexplained",
    "without_periods",
]

EXPLAINED = 1e-10
"""A regressor is explained where what others leave of its sum of squares is a smaller share than this."""
_ROUNDING = 1e-12
_BLOCK = 512
"""Series taken at once, so that what is multiplied stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Normal:
    """Weighted normal equations of period effects and K regressors, series effects eliminated.

    Attributes
    ----------
    matrix
        float64 [T + K, T + K]; periods first. Of rank T + K - 1 at most: the periods' mean level is a series
        effect.
    """

    matrix: Floats


def planes(X: Floats, observed: Bools) -> Floats:
    """Return regressors as float64 [K, N, T], each less its series' mean over observed cells, 0 elsewhere.

    A regressor that is constant within every series becomes exactly 0.

    Parameters
    ----------
    X
        float64 [N, T, K].
    observed
        bool [N, T].
    """
    K, (N, T) = X.shape[2], observed.shape
    count = np.maximum(observed.sum(axis=1), 1)
    out: Floats = np.ascontiguousarray(np.where(observed, np.moveaxis(X, 2, 0), 0.0))
    size = np.sqrt(np.einsum("knt,knt->k", out, out))
    out -= ((out.reshape(K * N, T) @ np.ones(T)).reshape(K, N) / count)[..., None]
    out *= observed
    # What rounding leaves of a constant is no variation.
    out[np.sqrt(np.einsum("knt,knt->k", out, out)) <= _ROUNDING * size] = 0.0
    return out


def normal_equations(w: Floats, columns: Floats) -> Normal:
    """Return the normal equations under weights.

    Parameters
    ----------
    w
        float64 [N, T]; not negative, 0 where a cell does not count.
    columns
        float64 [K, N, T].
    """
    K, T = len(columns), w.shape[1]
    matrix: Floats = np.zeros((T + K, T + K))
    for start in range(0, len(w), _BLOCK):
        _add_block(matrix, w[start : start + _BLOCK], columns[:, start : start + _BLOCK])
    matrix[:T, T:] = matrix[T:, :T].T
    return Normal(matrix)


def _add_block(matrix: Floats, w: Floats, columns: Floats) -> None:
    """Add the products of some series to the normal equations, but for the upper right part."""
    K, (N, T) = len(columns), w.shape
    total = np.maximum(w @ np.ones(T), 1e-300)
    root = w * (1.0 / np.sqrt(total))[:, None]
    ones = np.ones(N)
    matrix[:T, :T] -= root.T @ root
    matrix[np.arange(T), np.arange(T)] += ones @ w
    weighted = columns * w
    by_series = (weighted.reshape(K * N, T) @ np.ones(T)).reshape(K, N) / np.sqrt(total)
    matrix[T:, :T] += ones @ weighted - by_series @ root
    flat = weighted.reshape(K, N * T) @ columns.reshape(K, N * T).T
    matrix[T:, T:] += flat - by_series @ by_series.T


def independent(normal: Normal, columns: Floats) -> Bools:
    """Return which of T periods and K regressors earlier ones do not explain, bool [T + K].

    The Cholesky factorisation is taken in order; a pivot that vanishes against the regressor's own sum of
    squares marks it. One period of each connected set of series and periods is always left out.

    Parameters
    ----------
    normal
        Normal equations of 0-1 weights.
    columns
        float64 [K, N, T]; the regressors they were made of.
    """
    T = len(normal.matrix) - len(columns)
    squares = np.einsum("knt,knt->k", columns, columns)
    least = EXPLAINED * np.concatenate([np.diagonal(normal.matrix)[:T], squares])
    least[:T] = np.maximum(least[:T], 1e-9)
    usual: Bools = np.ones(len(least), dtype=np.bool_)
    usual[T - 1] = False
    if _all_pivots(normal.matrix[np.ix_(usual, usual)], least[usual]):
        return usual
    return unexplained(normal.matrix, least)


def unexplained(matrix: Floats, least: Floats) -> Bools:
    """Return which of K columns earlier ones do not explain, bool [K], by Cholesky's pivots in order.

    Parameters
    ----------
    matrix
        float64 [K, K]; their products.
    least
        float64 [K]; a pivot must exceed it.
    """
    rest = matrix.copy()
    keep = np.zeros(len(rest), dtype=np.bool_)
    for j in range(len(rest)):
        if rest[j, j] > least[j]:
            keep[j] = True
            line = rest[j, j:] / np.sqrt(rest[j, j])
            rest[j:, j:] -= line[:, None] * line
    return keep


def without_periods(columns: Floats, observed: Bools) -> Floats:
    """Return what series and period effects leave of K regressors, float64 [K, N, T], 0 where not observed.

    Parameters
    ----------
    columns
        float64 [K, N, T]; of :func:`planes`.
    observed
        bool [N, T].
    """
    normal, T = normal_equations(observed.astype(np.float64), columns), observed.shape[1]
    place = np.flatnonzero(independent(normal, columns)[:T])
    effect = np.zeros((len(columns), T))
    effect[:, place] = np.linalg.solve(normal.matrix[np.ix_(place, place)], normal.matrix[place, T:]).T
    return planes(np.moveaxis(columns - effect[:, None, :], 0, 2), observed)


def _all_pivots(matrix: Floats, least: Floats) -> bool:
    """Return whether every pivot of a Cholesky factorisation exceeds its least value."""
    try:
        pivots = np.diagonal(np.linalg.cholesky(matrix)) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool((pivots > least).all())


def total_by_cluster(values: Floats, cluster: Ints) -> Floats:
    """Return values [N, K] summed over rows with one number, float64 [G, K]."""
    _, place = np.unique(cluster, return_inverse=True)
    out: Floats = np.zeros((int(place.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(out, place, values)
    return out
