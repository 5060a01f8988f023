"""Several budgets and caps: shadow prices by cutting planes in a box, on a sample set right by the whole.

The dual is convex, and each question to the oracle gives a plane below it. A small linear programme finds the
lowest point of all planes in a box around the best prices so far (the boxstep method: Marsten, Hogan and
Blankenship, Operations Research 1975). That takes a hundred questions, so they are put to a sample; the whole
is asked a few times, to correct what the sample's limits must be for the whole to draw what it may.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.optimize

from policies.allocation.instance import Cells, Schedule
from policies.allocation.one_limit import spread
from policies.allocation.oracle import Oracle
from pricing.arrays import Floats

__all__ = ["several_prices"]

optimize: Any = scipy.optimize
"""Untyped library, said to be so once."""

_SAMPLE = 32_768
_CORRECTIONS = 3
_LOOKED = 1024
_QUESTIONS = 400
_ENOUGH = 1e-6
"""Distance of the best bound from the planes below it, as a share of it, that ends the search."""


def several_prices(cells: Cells, schedule: Schedule, oracle: Oracle) -> Floats:
    """Return shadow prices of R limits, float64 [R], near the lowest dual bound.

    Parameters
    ----------
    cells
        N customers.
    schedule
        Their limits.
    oracle
        Answers what customers take at prices.
    """
    index = spread(len(cells), _SAMPLE)
    share = len(index) / max(len(cells), 1)
    planes = _Planes(cells.rows(index) if share < 1.0 else cells, schedule, oracle)
    most = schedule.most * share
    prices = planes.lowest(most)
    if share == 1.0:
        return prices
    best, lowest = prices, np.inf
    for _ in range(_CORRECTIONS):
        total, used = _asked(cells, schedule, oracle, prices)
        bound = total + float(prices @ schedule.most)
        if bound < lowest:
            best, lowest = prices, bound
        most = np.maximum(most + (schedule.most - used) * share, 0.0) * (prices > 0.0) + np.where(
            prices > 0.0, 0.0, schedule.most * share
        )
        prices = planes.lowest(most)
    return best


def _asked(cells: Cells, schedule: Schedule, oracle: Oracle, prices: Floats) -> tuple[float, Floats]:
    """Return the sum of reduced values, and what is drawn on each limit, float64 [R], at these prices."""
    per_cost, per_offer = schedule.priced(prices[None])
    found = oracle.best(cells, per_cost, per_offer, schedule.roof)
    return float(found.reduced[0].sum()), schedule.totals(found.cost[0], found.choice[0])


@dataclass(slots=True)
class _Planes:
    """Planes below the sample's dual; they hold whatever the limits are, which only tilt it."""

    cells: Cells
    schedule: Schedule
    oracle: Oracle
    prices: list[Floats] = field(default_factory=list[Floats])
    total: list[float] = field(default_factory=list[float])
    used: list[Floats] = field(default_factory=list[Floats])

    def ask(self, prices: Floats, most: Floats) -> float:
        """Add the plane at these prices; returns the dual there."""
        total, used = _asked(self.cells, self.schedule, self.oracle, prices)
        self.prices.append(prices)
        self.total.append(total)
        self.used.append(used)
        return total + float(prices @ most)

    def lowest(self, most: Floats) -> Floats:
        """Return the prices of the lowest dual found for these limits, float64 [R]."""
        if not self.prices:
            self.ask(np.zeros(len(most)), most)
        known = [total + float(p @ most) for total, p in zip(self.total, self.prices, strict=True)]
        here = int(np.argmin(known))
        best, centre = known[here], self.prices[here]
        whole = self._scale()
        box = whole if len(known) == 1 else np.maximum(0.1 * centre, 1e-3 * whole)
        for _ in range(0 if (self.used[0] <= most).all() else _QUESTIONS):
            tried, below = self._bottom(most, centre, box)
            edge = bool((np.abs(tried - centre) >= 0.999 * box).any())
            if best - below <= _ENOUGH * abs(best):
                if not edge or (box >= whole).all():
                    break
                box = box * 4.0  # nothing lower here: the dual is convex, so a look further away is the last
                continue
            found = self.ask(tried, most)
            if found < best:
                box = box * (2.0 if edge else 1.0)
                best, centre = found, tried
            else:
                box = box * (1.0 if edge else 0.7)
        return centre

    def _scale(self) -> Floats:
        """Return a high price of each limit, float64 [R]: few offers are worth more for their draw."""
        part = self.cells.rows(spread(len(self.cells), _LOOKED))
        found = np.ones(len(self.schedule.most))
        for r in range(len(found)):
            draw = self.schedule.budgets[r] * part.cost + self.schedule.caps[r]
            worth = part.value[part.eligible & (draw > 0.0) & (part.value > 0.0)]
            if len(worth):
                drawn = draw[part.eligible & (draw > 0.0) & (part.value > 0.0)]
                found[r] = np.quantile(worth / drawn, 0.9)
        return found

    def _bottom(self, most: Floats, centre: Floats, box: Floats) -> tuple[Floats, float]:
        """Return the lowest point of all planes in the box, and how low it is."""
        slope = most - np.array(self.used)
        rest = np.array(self.total) + np.einsum("ir,ir->i", np.array(self.used), np.array(self.prices))
        unit = np.maximum(box, 1e-300)
        size = max(abs(float(rest.max())), 1e-300)
        planes = np.column_stack([slope * unit / size, -np.ones(len(rest))])
        bounds = [(max(c - b, 0.0) / u, (c + b) / u) for c, b, u in zip(centre, box, unit, strict=True)]
        found = optimize.linprog(
            np.append(np.zeros(len(most)), 1.0),
            A_ub=planes,
            b_ub=-rest / size,
            bounds=[*bounds, (None, None)],
            method="highs",
        )
        if found.x is None:
            return centre, -np.inf
        return np.maximum(found.x[:-1] * unit, 0.0), float(found.x[-1]) * size
