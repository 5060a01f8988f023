"""Rivals: which series stand in for which, and what their prices are together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pricing.arrays import Floats, Ints

__all__ = ["Rivals"]


@dataclass(frozen=True)
class Rivals:
    """Substitutes of N series: those of the same group (a subcategory in a zone).

    A series' rival price is the mean of its rivals' log shelf prices over their reference prices, weighted
    by what they sell: the index that an almost ideal demand system calls Stone's (Deaton and Muellbauer,
    American Economic Review 1980).

    Attributes
    ----------
    group
        int64 [N]; equal where series are rivals of each other, -1 for a series that has none.
    weight
        float64 [N]; mean units a period in training.
    standing
        float64 [N]; log shelf price over reference price in force.
    outside
        float64 [N]; sum over rivals that are not among these N of their weight times standing.
    outside_weight
        float64 [N]; sum of their weights.
    """

    group: Ints
    weight: Floats
    standing: Floats
    outside: Floats
    outside_weight: Floats

    def __len__(self) -> int:
        """Return N."""
        return len(self.group)

    @staticmethod
    def of(group: Ints, weight: Floats) -> Rivals:
        """Return the rivals of a whole shop, at reference prices: nobody is outside."""
        nothing = np.zeros(len(group))
        return Rivals(group, weight, nothing, nothing, nothing)

    @staticmethod
    def none(count: int) -> Rivals:
        """Return that none of `count` series has a rival."""
        return Rivals.of(np.full(count, -1, dtype=np.int64), np.zeros(count))

    def at(self, standing: Floats) -> Rivals:
        """Return the same rivals at other prices in force, float64 [N]."""
        return replace(self, standing=standing)

    def index(self, log_price: Floats) -> Floats:
        """Return the rival price of each series, float64 [..., N]; 0 without rivals.

        `log_price` is float64 [..., N]: log shelf price over reference price.
        """
        if not self.any:
            return np.zeros_like(log_price)
        own = self.weight * log_price
        return np.asarray((self._others(own) + self.outside) * self._share)

    def spread(self, slope: Floats) -> Floats:
        """Return the transpose of :meth:`index` times `slope`, float64 [..., N].

        Where `slope` holds what one more unit of each series' rival price is worth, the result is what one
        more unit of each series' own log price is worth to its rivals.
        """
        if not self.any:
            return np.zeros_like(slope)
        return np.asarray(self.weight * self._others(slope * self._share))

    def take(self, index: Ints) -> Rivals:
        """Return the rivals of the series at `index`; the others stay at the prices in force."""
        kept = np.zeros(len(self), dtype=np.bool_)
        kept[index] = True
        gone = np.where(kept, 0.0, self.weight)
        outside = self.outside + self._totals(gone * self.standing)
        weight = self.outside_weight + self._totals(gone)
        return Rivals(
            self.group[index], self.weight[index], self.standing[index], outside[index], weight[index]
        )

    @cached_property
    def any(self) -> bool:
        """Whether any series has a rival."""
        return bool((self._share > 0.0).any())

    @cached_property
    def _share(self) -> Floats:
        """float64 [N]; one over the weight of all rivals, 0 without any."""
        total = self._others(self.weight) + self.outside_weight
        # Sums leave rounding errors behind where a series is alone.
        alone = (self.group < 0) | (total <= 1e-12 * np.maximum(self.weight, 1.0))
        return np.where(alone, 0.0, 1.0 / np.where(alone, 1.0, total))

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints, Ints]:
        """Order by group, where each group starts in it, and the place of each series' group."""
        order = np.argsort(self.group, kind="stable").astype(np.int64)
        ranked = self.group[order]
        new = np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)]
        place = np.empty(len(ranked), dtype=np.int64)
        place[order] = np.cumsum(new) - 1
        return order, np.flatnonzero(new).astype(np.int64), place

    def _totals(self, values: Floats) -> Floats:
        """Return the sum over each series' whole group, float64 [..., N]."""
        order, starts, place = self._sorted
        sums = np.add.reduceat(values[..., order], starts, axis=-1)
        return np.asarray(sums[..., place])

    def _others(self, values: Floats) -> Floats:
        return np.asarray(self._totals(values) - values)
