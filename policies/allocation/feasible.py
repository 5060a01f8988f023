"""From what customers would take to what may be given: repair what breaks a limit, fill what is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.allocation.instance import Cells, Choices, Schedule
from pricing.arrays import Bools, Floats, Ints

__all__ = ["Given", "filled", "repaired"]

_ROUNDS = 64


@dataclass(frozen=True, slots=True)
class _Moves:
    """One change for each of M customers, best first: to which offer, and what that draws, float64 [*, M]."""

    rows: Ints
    offer: Choices
    draws: Floats


@dataclass(frozen=True, slots=True)
class Given:
    """Who gets what.

    Attributes
    ----------
    choice
        int16 [N].
    cost
        float64 [N]; of the choice, minor units.
    """

    choice: Choices
    cost: Floats

    def moved(self, cells: Cells, rows: Ints, offer: Choices) -> Given:
        """Return the same with other offers, int16 [M], for customers int64 [M]."""
        choice, cost = self.choice.copy(), self.cost.copy()
        choice[rows], cost[rows] = offer, cells.cost[rows, offer]
        return Given(choice, cost)


def repaired(cells: Cells, schedule: Schedule, given: Given, shadow: Floats) -> Given:
    """Take offers back, or down, until every limit is kept.

    For each broken limit the customers who lose least reduced value for what they free come first. They only
    move to offers that draw no more on any limit; no coupon is always one, so every limit is kept in the end.

    Parameters
    ----------
    cells, schedule
        N customers and R limits.
    given
        What is to be repaired.
    shadow
        float64 [R]; shadow prices at which it was chosen.
    """
    while True:
        over = schedule.totals(given.cost, given.choice) - schedule.most
        if not (over > 0.0).any():
            return given
        share: Floats = over / np.maximum(schedule.most, 1.0)
        r = int(share.argmax())
        moves = _downward(cells, schedule, given, shadow, r)
        freed: Floats = np.cumsum(-moves.draws[0])
        needed = min(int((freed < over[r]).sum()) + 1, len(freed))
        given = given.moved(cells, moves.rows[:needed], moves.offer[:needed])


def _downward(cells: Cells, schedule: Schedule, given: Given, shadow: Floats, r: int) -> _Moves:
    """Return the cheapest way to free limit `r` for each customer who draws on it, the cheapest first."""
    on = schedule.budgets + schedule.caps
    rows = np.flatnonzero(schedule.budgets[r, given.choice] * given.cost + schedule.caps[r, given.choice])
    part, now, paid = cells.rows(rows), given.choice[rows], given.cost[rows]
    here = np.arange(len(rows))
    beside: Bools = on[:, :, None] >= on[:, None, :]
    covered: Bools = np.logical_and.reduce(beside, axis=0)
    draw = schedule.budgets[r] * part.cost + schedule.caps[r]
    freed = draw[here, now][:, None] - draw
    loss = _regret(part, schedule, now, shadow)
    open_ = part.eligible & (part.cost <= paid[:, None]) & covered[now] & (freed > 0.0)
    score = np.where(open_, loss / np.where(freed > 0.0, freed, 1.0), np.inf)
    offer = score.argmin(axis=1)
    order = np.argsort(score[here, offer], kind="stable")
    return _Moves(rows[order], offer[order].astype(np.int16), -freed[here, offer][None, order])


def _regret(cells: Cells, schedule: Schedule, choice: Choices, shadow: Floats) -> Floats:
    """Return the reduced value lost by moving to each offer, float64 [N, K]."""
    per_cost, per_offer = schedule.priced(shadow)
    reduced = cells.value - per_cost * cells.cost - per_offer
    return np.asarray(reduced[np.arange(len(choice)), choice][:, None] - reduced, dtype=np.float64)


def filled(cells: Cells, schedule: Schedule, given: Given, shadow: Floats, rows: Ints) -> Given:
    """Give better offers while they fit, those first that lose least reduced value for what they draw.

    Parameters
    ----------
    cells, schedule, shadow
        As for :func:`repaired`.
    given
        Keeps every limit.
    rows
        int64 [M]; customers to look at.
    """
    for _ in range(_ROUNDS):
        left = schedule.most - schedule.totals(given.cost, given.choice)
        moves = _upward(cells.rows(rows), schedule, given.choice[rows], shadow, left)
        taken = _fitting(moves.draws, left)
        if not len(taken):
            break
        given = given.moved(cells, rows[moves.rows[taken]], moves.offer[taken])
        rows = rows[np.sort(moves.rows)]
    return repaired(cells, schedule, given, shadow)  # sums round: the last digit may have broken a limit


def _upward(cells: Cells, schedule: Schedule, choice: Choices, shadow: Floats, left: Floats) -> _Moves:
    """Return the best step up of each customer who has one that fits alone, best first."""
    at = np.arange(len(choice))
    loss = _regret(cells, schedule, choice, shadow)
    gain = cells.value - cells.value[at, choice][:, None]
    open_: Bools = cells.eligible & (cells.cost <= schedule.roof) & (gain > 0.0)
    steps = np.empty((len(left), *gain.shape))
    for r, room in enumerate(left):
        draw = schedule.budgets[r] * cells.cost + schedule.caps[r]
        steps[r] = draw - draw[at, choice][:, None]
        open_ &= steps[r] <= room
    priced = np.maximum(gain + loss, 1e-12)
    score = np.where(open_, loss / priced, np.inf)
    offer = score.argmin(axis=1)
    best = score[at, offer]
    order = np.argsort(best, kind="stable")[: int(np.isfinite(best).sum())]
    return _Moves(order, offer[order].astype(np.int16), steps[:, order, offer[order]])


def _fitting(draws: Floats, left: Floats) -> Ints:
    """Return which of M moves, best first, fit one after the other into what is left, float64 [R]."""
    taken: list[Ints] = []
    index: Ints = np.arange(draws.shape[1], dtype=np.int64)
    for _ in range(_ROUNDS):
        index = index[(draws[:, index] <= left[:, None]).all(axis=0)]
        if not len(index):
            break
        after = np.cumsum(draws[:, index], axis=1)
        over = (after > left[:, None]).any(axis=0)
        first = int(over.argmax()) if over.any() else len(index)
        taken.append(index[:first])
        left = left - draws[:, index[:first]].sum(axis=1)
        index = index[first:]
    return np.concatenate(taken) if taken else np.zeros(0, dtype=np.int64)
