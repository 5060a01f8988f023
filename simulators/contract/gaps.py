"""Cells of a panel between those that are known."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Bools, Floats, Ints

__all__ = ["at_place", "forward", "last_place", "next_place"]


def last_place(where: Bools) -> Ints:
    """Return the place of the last true cell up to each of [N, T], int64; -1 before the first."""
    place = np.arange(where.shape[1], dtype=np.int64)
    return np.maximum.accumulate(np.where(where, place, -1), axis=1)


def next_place(where: Bools) -> Ints:
    """Return the place of the first true cell from each of [N, T] on, int64; T after the last."""
    place = np.arange(where.shape[1], dtype=np.int64)
    return np.minimum.accumulate(np.where(where, place, len(place))[:, ::-1], axis=1)[:, ::-1]


def at_place(values: Floats, place: Ints) -> Floats:
    """Return `values` [N, T] at each `place`, int64 [N, T]; beyond either end the first or the last cell."""
    return np.take_along_axis(values, np.clip(place, 0, values.shape[1] - 1), axis=1)


def forward(values: Floats) -> Floats:
    """Return `values` [N, T] with gaps filled by the last value before them, the first by the first one."""
    known = np.isfinite(values)
    last, first = last_place(known), np.argmax(known, axis=1)[:, None]
    return np.take_along_axis(values, np.where(last < 0, first, last), axis=1)
