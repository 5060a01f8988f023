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
    several
        int64 [S]; series of groups of two or more, sorted by group: sums cost what these do, not all N.
    place, heads
        int64 [S], [H]; number of their group among those H, and where each of these starts in `several`.
    """

    group: Ints
    size: Ints
    order: Ints
    starts: Ints
    alone: bool
    several: Ints
    place: Ints
    heads: Ints

    @staticmethod
    def of(variant_of: Ints) -> Variants:
        """Read the groups from `Catalogue.variant_of`, int64 [N]."""
        _, group, counts = np.unique(variant_of, return_inverse=True, return_counts=True)
        size = np.asarray(counts[group], dtype=np.int64)
        order = np.argsort(group, kind="stable")
        several = order[size[order] > 1]
        fresh = np.diff(group[several], prepend=-1) != 0
        return Variants(
            group=np.asarray(group, dtype=np.int64),
            size=size,
            order=order,
            starts=np.cumsum(counts) - counts,
            alone=bool(size.max(initial=1) == 1),
            several=several,
            place=np.cumsum(fresh) - 1,
            heads=np.flatnonzero(fresh),
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

    def alike(self, values: Bools | Ints) -> Bools:
        """Return whether all series of the group have the same values: [..., N, X] gives bool [..., N]."""
        if self.alone:
            return np.ones(values.shape[:-1], dtype=np.bool_)
        part = values.take(self.several, axis=-2)
        apart = part != part.take(self.heads[self.place], axis=-2)
        differs = np.ascontiguousarray(apart.T).any(axis=0).T  # searched entry by entry, not row by short row
        out = np.ones(values.shape[:-1], dtype=np.bool_)
        out[..., self.several] = ~np.logical_or.reduceat(differs, self.heads, axis=-1)[..., self.place]
        return out

    def _sum(self, values: NDArray[_Number]) -> NDArray[_Number]:
        """Return sums over the group, added in the order of the series, [..., N, X]."""
        if self.alone or not len(self.group):
            return values
        sums = np.add.reduceat(values.take(self.several, axis=-2), self.heads, axis=-2)
        out = values.copy()
        out[..., self.several, :] = sums.take(self.place, axis=-2)
        return out
