"""The allocation: shadow prices, what is given at them, and how far that can be from the best."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from policies.allocation.compiled import oracle_of
from policies.allocation.feasible import Given, filled, repaired
from policies.allocation.instance import Cells, Choices, Instance, Limit, Schedule
from policies.allocation.one_limit import one_price
from policies.allocation.oracle import Oracle
from policies.allocation.several_limits import several_prices
from pricing.arrays import Floats, Ints

__all__ = ["Allocation", "allocate"]

_ENOUGH = 1e-7
"""A certified gap at which nobody else is looked at to fill what is left."""

_CHEAPER = (0.01, 0.1)
"""Cuts of all shadow prices; who would take something else then is the first to be given what is left."""

_ALL = 50_000
"""Customers of whom every one may be looked at."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who gets what, and its certificate.

    Attributes
    ----------
    choice
        int16 [N]; the offer of each customer, 0 for none.
    limits
        R budgets and caps.
    shadow
        float64 [R]; value that one more minor unit, or one more offer, of each limit would bring.
    used
        float64 [R]; what is drawn; never above the limit.
    value
        Expected incremental profit of it all, minor units.
    bound
        No allocation that keeps the limits is worth more: the Lagrangian dual at the shadow prices, up to
        rounding of sums.
    engine
        What computed it, "numba" or "numpy"; the answer is the same.
    """

    choice: Choices
    limits: tuple[Limit, ...]
    shadow: Floats
    used: Floats
    value: float
    bound: float
    engine: str

    @property
    def gap(self) -> float:
        """(bound - value) / bound: the largest share of the best value that can be missing."""
        return max(self.bound - self.value, 0.0) / self.bound if self.bound > 0.0 else 0.0


def allocate(instance: Instance, engine: str = "") -> Allocation:
    """Choose one offer or none for every customer, feasible by construction.

    Lagrangian relaxation of the multiple-choice knapsack: at given shadow prices every customer chooses
    alone, and the sum of what they would gain bounds every allocation. See
    :mod:`policies.allocation.one_limit`, :mod:`policies.allocation.several_limits` and
    :mod:`policies.allocation.feasible`.

    Parameters
    ----------
    instance
        N customers, K offers, R limits.
    engine
        "numba", "numpy", or empty for the fastest that is installed.

    Raises
    ------
    UsageError
        If the engine is not there.
    """
    oracle, cells = oracle_of(engine), instance.cells
    schedule = Schedule.of(instance.limits, cells.value.shape[1])
    shadow, near = _prices(cells, schedule, oracle)
    found = oracle.best(cells, *schedule.priced(shadow[None]), schedule.roof)
    bound = float(found.reduced[0].sum()) + float(shadow @ schedule.most)
    given = repaired(cells, schedule, Given(found.choice[0], found.cost[0]), shadow)
    value = -np.inf
    for rows in _candidates(cells, schedule, oracle, found.choice[0], shadow, near):
        given = filled(cells, schedule, given, shadow, rows)
        value = float(cells.chosen(given.choice)[0].sum())
        if bound - value <= _ENOUGH * bound:
            break
    used = schedule.totals(given.cost, given.choice)
    return Allocation(given.choice, instance.limits, shadow, used, value, bound, oracle.name)


def _candidates(
    cells: Cells, schedule: Schedule, oracle: Oracle, choice: Choices, shadow: Floats, near: Ints
) -> Generator[Ints]:
    """Yield ever more customers, int64 [M], who may be given something better; the likeliest first."""
    yield near
    for cut in _CHEAPER if shadow.any() else ():
        cheaper = oracle.best(cells, *schedule.priced((1.0 - cut) * shadow[None]), schedule.roof)
        yield np.flatnonzero(cheaper.choice[0] != choice)
    if len(cells) <= _ALL:
        yield np.arange(len(cells), dtype=np.int64)


def _prices(cells: Cells, schedule: Schedule, oracle: Oracle) -> tuple[Floats, Ints]:
    """Return shadow prices, float64 [R], and customers near whom they lie, int64 [M], where that is known."""
    if len(schedule.most) == 1:
        bracket = one_price(cells, schedule, oracle)
        return np.array([bracket.high]), bracket.near
    nobody = np.zeros(0, dtype=np.int64)
    if not len(schedule.most):
        return np.zeros(0), nobody
    return several_prices(cells, schedule, oracle), nobody
