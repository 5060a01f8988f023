"""What is to be allocated: N customers, K offers of which the first is none, budgets and caps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError, UsageError

__all__ = ["LARGEST", "Cells", "Choices", "Instance", "Limit", "Schedule"]

Choices = NDArray[np.int16]
"""int16 [N]: the offer of each customer, 0 for none."""

_MOST_OFFERS = int(np.iinfo(np.int16).max)
LARGEST = 1e15
"""Minor units beyond which a cell is no money, and sums would lose whole units."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One budget or cap that offers draw on.

    Attributes
    ----------
    name
        What people call it: a campaign, a coupon, "all".
    most
        What may be drawn in all: minor units of expected cost, or a number of offers.
    offers
        bool [K]; which offers draw on it. The first, no coupon, draws nothing whatever it says.
    counts
        An offer draws 1 (a cap), not its cost (a budget).
    """

    name: str
    most: float
    offers: Bools
    counts: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.most) and self.most >= 0.0):
            raise UsageError(
                f"The limit {self.name} is {self.most}.",
                why="A budget is an amount and a cap a number, neither below 0.",
                todo="Correct it; leave it out where nothing is limited.",
            )


@dataclass(frozen=True, slots=True)
class Cells:
    """Some customers' offers, unchecked: what the inner loops read.

    Attributes
    ----------
    value, cost
        float64 [N, K]; minor units.
    eligible
        bool [N, K].
    """

    value: Floats
    cost: Floats
    eligible: Bools

    def __len__(self) -> int:
        return len(self.value)

    def rows(self, index: Ints) -> Cells:
        """Return the customers at int64 [M]."""
        return Cells(self.value[index], self.cost[index], self.eligible[index])

    def chosen(self, choice: Choices) -> tuple[Floats, Floats]:
        """Return value and cost, float64 [N] each, of the offers chosen."""
        at = np.arange(len(choice))
        return self.value[at, choice], self.cost[at, choice]


@dataclass(frozen=True, slots=True)
class Instance:
    """An allocation to solve.

    Attributes
    ----------
    value
        float64 [N, K]; expected incremental profit against no coupon, minor units; column 0 is 0.
    cost
        float64 [N, K]; expected cost, minor units, not negative; column 0 is 0.
    eligible
        bool [N, K]; what guardrails, holdouts and frequency caps leave open. Column 0, no coupon, is always
        open.
    limits
        R budgets and caps.

    Raises
    ------
    DataError
        If shapes differ, a number is not finite or is larger than any money, a cost is negative, or the first
        column is not "no coupon": nothing is repaired, because a wrong cell spends somebody's budget.
    """

    value: Floats
    cost: Floats
    eligible: Bools
    limits: tuple[Limit, ...]

    def __post_init__(self) -> None:
        shape = self.value.shape
        if len(shape) != 2 or not 1 <= shape[1] <= _MOST_OFFERS or self.cost.shape != shape:
            raise DataError(f"Offers of value {shape} and cost {self.cost.shape} are no table [N, K].")
        if self.eligible.shape != shape or self.eligible.dtype != np.bool_:
            raise DataError(f"Eligibility is {self.eligible.dtype} {self.eligible.shape}, not bool {shape}.")
        for limit in self.limits:
            if limit.offers.shape != shape[1:] or limit.offers.dtype != np.bool_:
                raise DataError(f"The limit {limit.name} is not about the {shape[1]} offers, bool [K].")
        if len({limit.name for limit in self.limits}) < len(self.limits):
            raise UsageError("Two limits have one name.", todo="Give each its own.")
        _check_cells("expected incremental profit", self.value, -LARGEST)
        _check_cells("expected cost", self.cost, 0.0)
        if self.value[:, 0].any() or self.cost[:, 0].any() or not self.eligible[:, 0].all():
            raise DataError(
                "The first offer is not 'no coupon'.",
                why="Its value and cost are 0, and every customer may always get it.",
            )

    def __len__(self) -> int:
        return len(self.value)

    @property
    def cells(self) -> Cells:
        """The same customers for the inner loops."""
        return Cells(self.value, self.cost, self.eligible)

    def used(self, choice: Choices) -> Floats:
        """Return what a choice draws on every limit, float64 [R]."""
        schedule = Schedule.of(self.limits, self.value.shape[1])
        return schedule.totals(self.cells.chosen(choice)[1], choice)


def _check_cells(what: str, cells: Floats, least: float) -> None:
    """Refuse what is no money; a NaN makes both bounds NaN, so two reductions see everything."""
    if cells.dtype != np.float64:
        raise DataError(f"The {what} is held as {cells.dtype}, not float64.")
    if not cells.size or (cells.min() >= least and cells.max() <= LARGEST):
        return
    wrong = ~((cells >= least) & (cells <= LARGEST))
    n, k = (int(place[0]) for place in np.nonzero(wrong))
    raise DataError(
        f"The {what} of customer {n}, offer {k} is {cells[n, k]}.",
        why="It must be a finite number" + (", not negative." if least == 0.0 else "."),
        todo="Correct the score, or leave the offer out for this customer.",
    )


@dataclass(frozen=True, slots=True)
class Schedule:
    """The limits as arrays: how shadow prices become prices of offers.

    Attributes
    ----------
    most
        float64 [R].
    budgets, caps
        float64 [R, K]; 1 where an offer draws its cost, or one, on the limit.
    roof
        float64 [K]; an offer that costs more can never be given: it alone breaks a limit.
    """

    most: Floats
    budgets: Floats
    caps: Floats
    roof: Floats

    @staticmethod
    def of(limits: tuple[Limit, ...], offers: int) -> Schedule:
        """Lay out the limits over K offers."""
        on = np.array([limit.offers for limit in limits], dtype=np.bool_).reshape(len(limits), offers)
        on[:, 0] = False
        counts = np.array([limit.counts for limit in limits], dtype=np.bool_)[:, None]
        most = np.array([limit.most for limit in limits], dtype=np.float64)
        closed = np.where(counts & (most[:, None] < 1.0), -1.0, np.where(counts, np.inf, most[:, None]))
        roof = np.where(on, closed, np.inf).min(axis=0, initial=np.inf)
        return Schedule(most, (on & ~counts).astype(np.float64), (on & counts).astype(np.float64), roof)

    def priced(self, shadow: Floats) -> tuple[Floats, Floats]:
        """Return what a unit of cost, and one offer, are charged: float64 [L, K] each, of prices [L, R]."""
        return shadow @ self.budgets, shadow @ self.caps

    def drawn(self, cost: Floats, choice: Choices) -> Floats:
        """Return what each customer draws on each limit, float64 [R, N], given the cost [N] of the choice."""
        return self.budgets[:, choice] * cost + self.caps[:, choice]

    def totals(self, cost: Floats, choice: Choices) -> Floats:
        """Return what all customers together draw on each limit, float64 [R]."""
        offers = len(self.roof)
        return self.budgets @ np.bincount(choice, cost, offers) + self.caps @ np.bincount(
            choice, minlength=offers
        )
