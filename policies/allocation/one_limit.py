"""One budget or cap: the shadow price to the last digit, by bisection over ever fewer customers.

What a customer draws falls as the price rises (Everett, Operations Research 1963), so one who draws the same
at both ends of a bracket draws that everywhere between. Only the others are asked again, and a sample of the
customers says where to look first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from policies.allocation.instance import Cells, Schedule
from policies.allocation.oracle import Oracle
from pricing.arrays import Bools, Floats, Ints

__all__ = ["Bracket", "one_price", "spread"]

_SAMPLE = 16_384
_MARGIN = 4.0
"""Standard errors of what a sample draws between which the shadow price is looked for first."""

_HIGHEST = 2.0**80
_NEAR = 4096
_HALVINGS = 200


@dataclass(frozen=True, slots=True)
class Bracket:
    """Where the shadow price lies.

    Attributes
    ----------
    low, high
        At `high` the limit is kept; at `low` it is broken, unless both are 0.
    rows
        int64 [M]; customers who draw different amounts at the two ends, the others being settled.
    below, above
        float64 [M]; what they draw at `low` and at `high`.
    settled
        What all others draw.
    near
        int64; customers who were still open when they first were few enough to fill what is left with.
    """

    low: float
    high: float
    rows: Ints
    below: Floats
    above: Floats
    settled: float
    near: Ints

    def kept(self, still: Bools) -> Bracket:
        """Settle customers of this bracket, bool [M], that are not `still` open."""
        done = self.settled + float(self.above[~still].sum())
        rows = self.rows[still]
        near = rows if len(self.near) > _NEAR else self.near
        return replace(
            self, rows=rows, below=self.below[still], above=self.above[still], settled=done, near=near
        )


def spread(count: int, size: int) -> Ints:
    """Return `size` evenly spread customers of `count`, or all, int64 [M]: the same ones every time."""
    size = min(count, size)
    return np.arange(size, dtype=np.int64) * count // max(size, 1)


def one_price(cells: Cells, schedule: Schedule, oracle: Oracle) -> Bracket:
    """Find the shadow price of one limit.

    Parameters
    ----------
    cells
        N customers.
    schedule
        One limit.
    oracle
        Answers what customers take at a price.

    Returns
    -------
    A bracket as narrow as float64 goes, or with nobody left in it.
    """
    index = spread(len(cells), _SAMPLE)
    whole = _Search(schedule, oracle, float(schedule.most[0]))
    low, high = 0.0, 1.0
    if len(index) < len(cells):
        share, error = len(index) / len(cells), _MARGIN / np.sqrt(len(index))
        part = cells.rows(index)
        low, high = (
            _Search(schedule, oracle, whole.most * share * (1.0 + sign * error)).solve(part, 0.0, 1.0).high
            for sign in (1, -1)
        )
    return whole.solve(cells, low, high)


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for the price at which no more than `most` is drawn."""

    schedule: Schedule
    oracle: Oracle
    most: float

    def solve(self, cells: Cells, low: float, high: float) -> Bracket:
        return self.narrow(cells, self.widen(cells, low, max(high, low)))

    def draws(self, cells: Cells, *prices: float) -> Floats:
        """Return what each customer draws at each price, float64 [L, N]."""
        per_cost, per_offer = self.schedule.priced(np.array(prices)[:, None])
        found = self.oracle.best(cells, per_cost, per_offer, self.schedule.roof)
        return np.stack([self.schedule.drawn(c, k)[0] for c, k in zip(found.cost, found.choice, strict=True)])

    def widen(self, cells: Cells, low: float, high: float) -> Bracket:
        """Move the ends apart until they hold the price between them."""
        while True:
            below, above = self.draws(cells, low, high)
            if below.sum() <= self.most and low > 0.0:
                low, high = (low / 2.0 if low > 1e-12 else 0.0), low
            elif above.sum() > self.most and high < _HIGHEST:
                low, high = high, max(high * 4.0, 1e-12)
            else:
                high = high if below.sum() > self.most else 0.0
                every = np.arange(len(cells), dtype=np.int64)
                return Bracket(low, high, every, below, above, 0.0, every).kept(below != above)

    def narrow(self, cells: Cells, found: Bracket) -> Bracket:
        """Halve the bracket while it has customers in it, and float64 numbers."""
        part = cells.rows(found.rows)
        for _ in range(_HALVINGS):
            middle = 0.5 * (found.low + found.high)
            if not len(part) or not found.low < middle < found.high:
                break
            now = self.draws(part, middle)[0]
            if found.settled + now.sum() > self.most:
                found = replace(found, low=middle, below=now)
            else:
                found = replace(found, high=middle, above=now)
            still = found.below != found.above
            part, found = part.rows(np.flatnonzero(still)), found.kept(still)
        return found
