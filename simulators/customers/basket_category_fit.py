"""Fit which categories lie in a basket, given its size and what the household had bought before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Floats, Ints
from simulators.customers.basket_categories import CLASSES, SIZES, CategoryModel, inclusion, size_class
from simulators.customers.basket_memory import Singles

__all__ = ["Occasions", "fit_categories"]

_ROUNDS = 14
_STEP, _SLOPE_STEP = 0.8, 0.5
_NEWTON = 5
_MOODS, _MOOD_RIDGE, _MOOD_ROUNDS = 6, 60.0, 60
_LEAST_PAIRS, _SATURATION = 30.0, 0.02
_BASE_WEIGHT, _CELL_WEIGHT, _WEEK_WEIGHT, _SLOPE_WEIGHT = 3.0, 25.0, 30.0, 40.0
"""Expected baskets that the population's value is worth; chosen on an inner split of households."""


@dataclass(frozen=True, slots=True)
class Occasions:
    """V baskets as the fit sees them, ascending by day.

    Attributes
    ----------
    size, period
        int64 [V]; distinct categories, and the period.
    affinity, late
        float32 [V, C]; see :class:`simulators.customers.basket_memory.Memory`.
    recency
        uint8 [V, C].
    row, category
        int64 [n]; what lay in them.
    warm
        int; the first basket with a history long enough to teach what histories are worth.
    """

    size: Ints
    period: Ints
    affinity: Singles
    late: Singles
    recency: NDArray[np.uint8]
    row: Ints
    category: Ints
    warm: int


def fit_categories(seen: Occasions, appeal: Floats, share: Floats, shape: Floats) -> CategoryModel:
    """Fit by damped Newton steps, each on the difference between what was bought and what was expected.

    Parameters
    ----------
    seen
        Baskets.
    appeal
        float64 [C, T]; log of each period's expected sales over their mean.
    share, shape
        See :class:`simulators.customers.basket_categories.CategoryModel`.
    """
    V: int = len(seen.size)
    C: int = len(share)
    T: int = appeal.shape[1]
    bought = np.zeros((V, C), np.float32)
    bought[seen.row, seen.category] = 1.0
    model = CategoryModel(
        base=np.log(share / share.sum(axis=0)),
        slope=np.full(C, 0.7),
        late=np.full(C, 0.2),
        recency=np.zeros((C, CLASSES)),
        week=np.zeros((C, T)),
        mood=np.zeros((C, 0)),
        share=share,
        shape=shape,
    )
    cell = np.arange(C, dtype=np.int32) * CLASSES + seen.recency
    for _ in range(_ROUNDS):
        p = _expected(model, seen, appeal, cell)
        model = _stepped(model, seen, cell, bought - p, p)
    p = _expected(model, seen, appeal, cell)
    return replace(model, mood=_moods((bought - p)[seen.warm :], p[seen.warm :], min(_MOODS, C)))


def _expected(model: CategoryModel, seen: Occasions, appeal: Floats, cell: NDArray[np.int32]) -> Singles:
    rate = model.base[:, size_class(seen.size)].T.astype(np.float32)
    rate += model.slope.astype(np.float32) * seen.affinity
    rate += model.late.astype(np.float32) * seen.late
    rate += model.recency.astype(np.float32).ravel()[cell]
    rate += (appeal + model.week).T.astype(np.float32)[seen.period]
    out: Singles = inclusion(rate, seen.size, _NEWTON).astype(np.float32)
    return out


def _stepped(
    model: CategoryModel, seen: Occasions, cell: NDArray[np.int32], r: Singles, p: Singles
) -> CategoryModel:
    """Move every coefficient towards where expected equals bought; r is what was bought beyond p."""
    C, T = model.week.shape
    warm_r, warm_p = r[seen.warm :], p[seen.warm :]
    kind = size_class(seen.size[seen.warm :])
    order = np.argsort(kind, kind="stable")
    base_r, base_p = (_sums(x[order], kind[order], len(SIZES)) for x in (warm_r, warm_p))
    flat = cell[seen.warm :].ravel()
    cell_r, cell_p = (np.bincount(flat, x.ravel(), C * CLASSES).reshape(C, CLASSES) for x in (warm_r, warm_p))
    usual = (model.recency * cell_p).sum(axis=0) / np.maximum(cell_p.sum(axis=0), 1e-9)
    recency = model.recency + _STEP * _bounded(
        (cell_r - _CELL_WEIGHT * (model.recency - usual)) / (cell_p + _CELL_WEIGHT), 1.0
    )
    recency = recency - ((recency * cell_p).sum(axis=1) / np.maximum(cell_p.sum(axis=1), 1e-9))[:, None]
    week_r, week_p = _sums(r, seen.period, T), _sums(p, seen.period, T)
    return replace(
        model,
        base=model.base + _STEP * _bounded(base_r / (base_p + _BASE_WEIGHT), 1.0),
        recency=recency,
        slope=_sloped(model.slope, seen.affinity[seen.warm :], warm_r, warm_p),
        late=_sloped(model.late, seen.late[seen.warm :], warm_r, warm_p),
        week=model.week + _STEP * (week_r - _WEEK_WEIGHT * model.week) / (week_p + _WEEK_WEIGHT),
    )


def _sloped(slope: Floats, x: Singles, r: Singles, p: Singles) -> Floats:
    gradient = (x * r).sum(axis=0, dtype=np.float64) - _SLOPE_WEIGHT * (slope - slope.mean())
    step = gradient / ((x**2 * p).sum(axis=0, dtype=np.float64) + _SLOPE_WEIGHT)
    out: Floats = slope + _SLOPE_STEP * _bounded(step, 0.3)
    return out


def _bounded(step: Floats, most: float) -> Floats:
    return np.clip(step, -most, most)


def _sums(values: Singles, group: Ints, groups: int) -> Floats:
    """Return sums over rows in ascending groups, float64 [C, groups]."""
    start = np.searchsorted(group, np.arange(groups))
    there = np.flatnonzero(np.diff(np.append(start, len(group))) > 0)
    out = np.zeros((groups, values.shape[1]))
    out[there] = np.add.reduceat(values, start[there], axis=0, dtype=np.float64)
    return out.T


def _moods(r: Singles, p: Singles, moods: int) -> Floats:
    """Return loadings [C, M] whose products are the log excess with which pairs of categories meet.

    Independent log-normal factors with mean one, shared by a basket, multiply the expected number of baskets
    with both of a pair by the exponential of the loadings' product. Alternating least squares weighs each
    pair by how often it is expected.
    """
    both = (p.T @ p).astype(np.float64)
    excess = (r.T @ r).astype(np.float64) / np.maximum(both, 1e-9)
    G = np.log(np.clip(1.0 + excess, 0.2, 8.0))
    np.fill_diagonal(both, 0.0)
    np.fill_diagonal(G, 0.0)
    W = both / (1.0 + _SATURATION * both)
    values, vectors = (np.asarray(a) for a in np.linalg.eigh(np.where(both > _LEAST_PAIRS, G, 0.0)))
    found: Floats = vectors[:, -moods:] * np.sqrt(np.maximum(values[-moods:], 1e-3))
    ridge = _MOOD_RIDGE * np.eye(moods)
    for _ in range(_MOOD_ROUNDS):
        pairs = np.stack([np.outer(l, l).ravel() for l in found])
        A = (W @ pairs).reshape(-1, moods, moods) + ridge
        right = (W * G) @ found
        solved = np.asarray(np.linalg.solve(A, right[..., None]), dtype=np.float64)[..., 0]
        found = 0.5 * found + 0.5 * solved
    return found
