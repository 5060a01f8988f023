"""What every customer would take at given shadow prices: the inner loop of the dual, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.allocation.instance import Cells
from pricing.arrays import Floats

__all__ = ["Best", "NumpyOracle", "Oracle"]

_BLOCK = 8192
"""Customers at a time, so that what is computed on the way stays in the cache."""


@dataclass(frozen=True, slots=True)
class Best:
    """What N customers take at L sets of shadow prices.

    Attributes
    ----------
    choice
        int16 [L, N].
    reduced
        float64 [L, N]; value - per_cost cost - per_offer of the choice, minor units; no coupon has 0.
    cost
        float64 [L, N]; of the choice, minor units.
    """

    choice: NDArray[np.int16]
    reduced: Floats
    cost: Floats

    @staticmethod
    def empty(levels: int, customers: int) -> Best:
        """Return room for answers."""
        shape = (levels, customers)
        return Best(np.zeros(shape, dtype=np.int16), np.zeros(shape), np.zeros(shape))


class Oracle(Protocol):
    """Answers for all customers at once. Engines agree to the last bit: same operations, same order."""

    @property
    def name(self) -> str:
        """Which engine it is."""
        ...

    def best(self, cells: Cells, per_cost: Floats, per_offer: Floats, roof: Floats) -> Best:
        """Return the best offer at L sets of prices: the first of the highest reduced value.

        Parameters
        ----------
        cells
            N customers, K offers.
        per_cost, per_offer
            float64 [L, K]; charged for a unit of an offer's cost, and for the offer itself.
        roof
            float64 [K]; offers that cost more are closed.
        """
        ...


class NumpyOracle:
    """The reference."""

    @property
    def name(self) -> str:
        """Which engine it is."""
        return "numpy"

    def best(self, cells: Cells, per_cost: Floats, per_offer: Floats, roof: Floats) -> Best:
        """See :meth:`Oracle.best`."""
        levels, n = len(per_cost), len(cells)
        found = Best.empty(levels, n)
        for start in range(0, n, _BLOCK):
            here = slice(start, start + _BLOCK)
            value, cost = cells.value[here], cells.cost[here]
            closed = ~(cells.eligible[here] & (cost <= roof))
            for level in range(levels):
                left = value - per_cost[level] * cost
                left -= per_offer[level]
                left[closed] = -np.inf
                left[:, 0] = 0.0
                best = left.argmax(axis=1)
                at = np.arange(len(left))
                found.choice[level, here] = best
                found.reduced[level, here] = left[at, best]
                found.cost[level, here] = cost[at, best]
        return found
