"""Variants: series that must carry one price, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints

__all__ = ["Variants"]

_Number = TypeVar("_Number", np.float64, np.int64)


@dataclass(frozen=True, slots=True)
class Variants:
    """The groups of N series that must carry one price; a series alone is a group of one.

    Attributes
    ----------
    group
        int64 [N]; number of the group, 0 .. G - 1.
    size
        int64 [N]; series in that group.
    order, starts
        int64 [N], [G]; series sorted by group, and where each group starts.
    alone
        No group holds two series.
    """

    group: Ints
    size: Ints
    order: Ints
    starts: Ints
    alone: bool

    @staticmethod
    def of(variant_of: Ints) -> Variants:
        """Read the groups from `Catalogue.variant_of`, int64 [N]."""
        _, group, counts = np.unique(variant_of, return_inverse=True, return_counts=True)
        size = np.asarray(counts[group], dtype=np.int64)
        return Variants(
            group=np.asarray(group, dtype=np.int64),
            size=size,
            order=np.argsort(group, kind="stable"),
            starts=np.cumsum(counts) - counts,
            alone=bool(size.max(initial=1) == 1),
        )

    def count(self, values: Bools) -> Ints:
        """Return for how many series of its group a flag holds: bool [..., N, X] gives int64 [..., N, X]."""
        return self._sum(values.astype(np.int64))

    def every(self, values: Bools) -> Bools:
        """Return whether a flag [..., N, X] holds for every series of the group."""
        if self.alone:
            return values
        return np.asarray(np.equal(self.count(values), self.size[:, None]), dtype=np.bool_)

    def mean(self, values: Floats) -> Floats:
        """Return the mean over the group, float64 [..., N, X]; the same bits whatever else is asked for."""
        if self.alone:
            return values
        return np.asarray(self._sum(values) / self.size[:, None], dtype=np.float64)

    def alike(self, values: Bools) -> Bools:
        """Return whether all series of the group have the same flags: bool [..., N, X] gives [..., N]."""
        if self.alone:
            return np.ones(values.shape[:-1], dtype=np.bool_)
        held = self.count(values)
        return np.asarray(
            (np.equal(held, 0) | np.equal(held, self.size[:, None])).all(axis=-1), dtype=np.bool_
        )

    def _sum(self, values: NDArray[_Number]) -> NDArray[_Number]:
        """Return sums over the group, added in the order of the series, [..., N, X]."""
        if self.alone or not len(self.group):
            return values
        sums = np.add.reduceat(values[..., self.order, :], self.starts, axis=-2)
        return np.asarray(sums[..., self.group, :], dtype=values.dtype)
