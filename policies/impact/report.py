"""Did it pay? The registered rule applied to what was realised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from policies.impact.cells import Cells
from policies.impact.checks import (
    Contamination,
    Crossing,
    carryover,
    contamination,
    past_of,
    placebo,
    spillover,
)
from policies.impact.measured import Window, by_cluster, cells_of, rows_of, window_of
from policies.impact.randomised import DRAWS, LEAST_ASSIGNMENTS, Estimate, estimate, sandwich
from policies.impact.register import MONTH_DAYS
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import FingerprintError
from pricing.trial import OUTSIDE, Design, Trial
from simulators.contract.realised import AMOUNTS, Realised

__all__ = [
    "CROSSED",
    "MIXED",
    "PLACEBO",
    "RESTATED",
    "CategoryImpact",
    "Caveat",
    "Impact",
    "MonthImpact",
    "Verdict",
    "measure",
]  # fmt: skip

PLACEBO, CROSSED = 0.01, 0.05
"""Chance below which a difference before the trial, or an effect that crosses borders, is taken for real."""

MIXED, SPOILT = 0.1, 0.5
"""Share of the held whose price moved, or of the treated whose price did not, that is worth a word; and share
of the held from which on there is no holdout left."""

_TO_COME = 0.0005

RESTATED = 0.02
"""Relative change of profit before the trial since the plan that is worth a word."""


class Verdict(Enum):
    """What the registered rule says."""

    PAID = "paid"
    DID_NOT = "did_not"
    CANNOT_TELL = "cannot_tell"


class Caveat(Enum):
    """What a reader has to know; the first five and `NO_HOLDOUT` leave nothing but "cannot tell"."""

    TOO_EARLY = "too_early"
    NOTHING_MEASURED = "nothing_measured"
    FALSE_BEFORE = "false_before"
    SPILLS_OVER = "spills_over"
    CARRIES_OVER = "carries_over"
    PLANNED_LATE = "planned_late"
    HELD_MOVED = "held_moved"
    TREATED_STILL = "treated_still"
    RESTATED = "restated"
    RETURNS_TO_COME = "returns_to_come"
    COSTS_ASSUMED = "costs_assumed"
    DIVIDED = "divided"
    NO_HOLDOUT = "no_holdout"
    EMPTY_PERIODS = "empty_periods"
    RANGE_CHANGED = "range_changed"


_SILENCE = {
    Caveat.TOO_EARLY, Caveat.NOTHING_MEASURED, Caveat.FALSE_BEFORE, Caveat.SPILLS_OVER, Caveat.CARRIES_OVER,
    Caveat.NO_HOLDOUT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MonthImpact:
    """One month of the trial's measured periods; money in minor units.

    Attributes
    ----------
    month
        Like ``2026-03``.
    amounts_treated, amounts_held
        :data:`simulators.contract.realised.AMOUNTS` of treated and of held clusters.
    days
        Days of the month that were measured.
    effect, lower, upper
        What new prices brought; NaN where the month alone cannot tell (switchbacks).
    """

    month: str
    amounts_treated: tuple[float, ...]
    amounts_held: tuple[float, ...]
    days: int
    effect: float
    lower: float
    upper: float

    @property
    def profit(self) -> tuple[float, float]:
        """Net profit of treated and of held clusters."""
        (sales, *less), (other, *others) = self.amounts_treated, self.amounts_held
        return sales - sum(less), other - sum(others)


@dataclass(frozen=True, slots=True)
class CategoryImpact:
    """One category in the measured periods: what was, nothing that follows from it. Minor units a month.

    Attributes
    ----------
    category
        Its name.
    treated, held
        Units that got new prices (in any block), and that did not.
    before_treated, after_treated, before_held, after_held
        Net profit a month before the trial and in it.
    """

    category: str
    treated: int
    held: int
    before_treated: float
    after_treated: float
    before_held: float
    after_held: float


@dataclass(frozen=True)
class Impact:
    """What a trial has shown so far.

    Attributes
    ----------
    trial
        The plan.
    until, data
        ISO date, the day after the data's last; their fingerprint.
    whole, measured
        Periods of the trial that are over; of them, those that were measured in some block.
    verdict, caveats
        By the rule, and what else to know.
    effect
        As a share of the treated clusters' profit before; None where nothing could be estimated.
    check
        The same with an interval that rests on large numbers instead.
    month, total
        What that is a month, and in all measured periods: value, lower, upper in minor units; NaN without.
    treated_before
        Net profit a month before the trial of what is treated at a time, minor units.
    everywhere
        What new prices would bring a month had every cluster of the trial got them: value, lower, upper in
        minor units; NaN without. It takes for granted that no effect leaves its cluster.
    placebo, crossing
        Checks; None where there is nothing to check by.
    prices
        Whether they followed the plan.
    outside
        Growth of units in zones without roll-out and of held units in zones with it: profit a period in the
        trial over that before; None without such zones.
    restated
        Relative change of profit before the trial since the plan.
    to_come
        Profit of returns still expected, as a share of the measured profit.
    newcomers, empty
        Units of the data that the plan does not know; periods in which nothing at all was sold.
    months, categories
        In ascending order.
    """

    trial: Trial
    until: str
    data: str
    whole: int
    measured: int
    verdict: Verdict
    caveats: tuple[Caveat, ...]
    effect: Estimate | None
    check: Estimate | None
    month: tuple[float, float, float]
    total: tuple[float, float, float]
    treated_before: float
    everywhere: tuple[float, float, float]
    placebo: Estimate | None
    crossing: Crossing | None
    prices: Contamination
    outside: tuple[float, float] | None
    restated: float
    to_come: float
    newcomers: int
    empty: int
    months: tuple[MonthImpact, ...]
    categories: tuple[CategoryImpact, ...]


@dataclass(frozen=True)
class _Seen:
    """A trial in the data, its blocks that can be compared, and what clusters earned."""

    trial: Trial
    realised: Realised
    rows: Ints
    window: Window
    blocks: Ints
    profit: Floats
    cells: Cells
    draws: int

    @property
    def outcome(self) -> Floats:
        """float64 [J]; profit a period of each cell."""
        counted = self.window.counted[:, self.blocks].astype(np.float64)
        return np.asarray((self.profit @ (counted / counted.sum(axis=0))).reshape(-1), dtype=np.float64)

    def rng(self, stream: int) -> np.random.Generator:
        """Return chance for one use, from the trial's seed."""
        return np.random.default_rng([self.trial.seed, 2, stream])


def measure(trial: Trial, realised: Realised, draws: int = DRAWS) -> Impact:
    """Measure a trial in later data; the same plan and data give the same figures.

    Parameters
    ----------
    trial
        The plan.
    realised
        Profit until now, assumed costs frozen at the trial's first day.
    draws
        Assignments that each test compares with.

    Raises
    ------
    DataError
        If the data do not continue those of the plan.
    FingerprintError
        If they are of another shop: another currency, or none of the plan's units.
    """
    rows, window = rows_of(trial, realised), window_of(trial, realised)
    if realised.currency != trial.currency or (rows < 0).all():
        raise FingerprintError(
            "These data are not of the shop that the plan is about.",
            why="Currency or price groups differ.",
            todo="Give the data folder that the plan was made from, grown longer.",
        )
    seen = _seen(trial, realised, rows, window, draws)
    past = past_of(trial, realised, rows, window)
    effect, check = _effects(seen)
    crossing = _crossing(seen, effect)
    found = placebo(trial, past, seen.rng(1), draws)
    prices = contamination(trial, realised, rows, window)
    measured = _measured(window)
    blocks = max(len(seen.blocks), 1)
    before, every = seen.cells.weight / blocks, float(seen.cells.scale.sum()) / blocks
    month = MONTH_DAYS / trial.period_days
    nan = float("nan")
    nothing = nan, nan, nan
    facts = _Facts(
        _restated(trial, past),
        _to_come(seen),
        bool(realised.assumed[rows[rows >= 0]].any()),
        _newcomers(seen),
    )
    caveats = _caveats(trial, window, effect, found, crossing, prices, facts)
    return Impact(
        trial=trial,
        until=realised.until,
        data=realised.fingerprint,
        whole=window.whole,
        measured=int(measured.sum()),
        verdict=_verdict(trial, caveats, effect, before * month),
        caveats=caveats,
        effect=effect,
        check=check,
        month=effect.times(before * month) if effect else nothing,
        total=effect.times(_treated_periods(seen)) if effect else nothing,
        treated_before=before * month,
        everywhere=effect.times(every * month) if effect else nothing,
        placebo=found,
        crossing=crossing,
        prices=prices,
        outside=_outside(seen),
        restated=facts.restated,
        to_come=facts.to_come,
        newcomers=facts.newcomers,
        empty=window.empty,
        months=_months(seen, effect),
        categories=_categories(seen),
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    restated: float
    to_come: float
    assumed: bool
    newcomers: int


def _seen(trial: Trial, realised: Realised, rows: Ints, window: Window, draws: int) -> _Seen:
    counted: Bools = np.asarray(window.counted.any(axis=0), dtype=np.bool_)
    if trial.design is Design.SWITCHBACK:  # a block counts with the other one of its pair, or not at all
        counted = np.repeat(counted[0::2] & counted[1::2], 2)
        counted &= np.repeat(
            window.counted.sum(axis=0).reshape(-1, 2).min(axis=1) == trial.block - trial.washout, 2
        )
    blocks = np.flatnonzero(counted).astype(np.int64)
    profit = by_cluster(trial, realised.profit, rows)
    return _Seen(trial, realised, rows, window, blocks, profit, cells_of(trial, blocks), draws)


def _effects(seen: _Seen) -> tuple[Estimate | None, Estimate | None]:
    if not len(seen.blocks) or seen.cells.assignments < LEAST_ASSIGNMENTS or seen.cells.weight <= 0.0:
        return None, None
    return estimate(seen.outcome, seen.cells, seen.rng(0), seen.draws), sandwich(seen.outcome, seen.cells)


def _crossing(seen: _Seen, effect: Estimate | None) -> Crossing | None:
    if effect is None:
        return None
    if seen.trial.design is Design.PARALLEL:
        return spillover(seen.outcome, seen.cells, effect.value, seen.rng(3), seen.draws)
    return carryover(seen.trial, seen.profit, seen.window, effect.value, seen.rng(3), seen.draws)


def _caveats(
    trial: Trial,
    window: Window,
    effect: Estimate | None,
    before: Estimate | None,
    crossing: Crossing | None,
    prices: Contamination,
    facts: _Facts,
) -> tuple[Caveat, ...]:
    crossed = crossing is not None and crossing.p < CROSSED
    parallel = trial.design is Design.PARALLEL
    found = (
        (Caveat.TOO_EARLY, window.whole < trial.periods),
        (Caveat.NOTHING_MEASURED, effect is None),
        (Caveat.FALSE_BEFORE, before is not None and before.p < PLACEBO),
        (Caveat.SPILLS_OVER, crossed and parallel),
        (Caveat.CARRIES_OVER, crossed and not parallel),
        (Caveat.PLANNED_LATE, trial.made_on > trial.start),
        (Caveat.HELD_MOVED, prices.held_share >= MIXED),
        (Caveat.TREATED_STILL, prices.treated_share >= MIXED),
        (Caveat.RESTATED, abs(facts.restated) >= RESTATED),
        (Caveat.RETURNS_TO_COME, abs(facts.to_come) >= _TO_COME),
        (Caveat.COSTS_ASSUMED, facts.assumed),
        (Caveat.DIVIDED, trial.divided),
        (Caveat.NO_HOLDOUT, prices.held_share >= SPOILT),
        (Caveat.EMPTY_PERIODS, window.empty > 0),
        (Caveat.RANGE_CHANGED, prices.gone + facts.newcomers > 0),
    )
    return tuple(caveat for caveat, holds in found if holds)


def _verdict(trial: Trial, caveats: tuple[Caveat, ...], effect: Estimate | None, month: float) -> Verdict:
    if effect is None or _SILENCE & set(caveats):
        return Verdict.CANNOT_TELL
    _, lower, upper = effect.times(month)
    if lower > trial.worth:
        return Verdict.PAID
    return Verdict.DID_NOT if upper < trial.worth else Verdict.CANNOT_TELL


def _treated_periods(seen: _Seen) -> float:
    """Return the profit before of treated clusters times the periods measured of each."""
    counted = seen.window.counted[:, seen.blocks].sum(axis=0)
    cells = seen.cells
    lasting = np.tile(counted, len(seen.trial.clusters))
    return float((cells.scale * cells.treated * lasting).sum())


def _restated(trial: Trial, past: Floats) -> float:
    planned = sum(unit.before for unit in trial.units if unit.cluster != OUTSIDE)
    return float(past.mean(axis=1).sum() / planned - 1.0) if planned else 0.0


def _to_come(seen: _Seen) -> float:
    inside = _measured(seen.window)[seen.realised.period]
    whole = float(seen.realised.net[inside].sum())
    later = float(seen.realised.amounts[inside, AMOUNTS.index("to_come")].sum())
    return later / abs(whole) if whole else 0.0


def _newcomers(seen: _Seen) -> int:
    """Return how many units were on sale in the measured periods that the plan does not know."""
    sold = np.asarray(seen.realised.on_sale[:, _measured(seen.window)].any(axis=1), dtype=np.bool_)
    sold[seen.rows[seen.rows >= 0]] = False
    return int(sold.sum())


def _measured(window: Window) -> Bools:
    """Return which periods of the data count, bool [T]."""
    return np.asarray(window.counted.any(axis=1), dtype=np.bool_)


def _outside(seen: _Seen) -> tuple[float, float] | None:
    trial, rows = seen.trial, seen.rows
    far = trial.cluster_of == OUTSIDE
    counted = _measured(seen.window)
    if not far.any() or not counted.any() or trial.design is Design.SWITCHBACK:
        return None
    near = ~far & ~trial.treated[np.maximum(trial.cluster_of, 0), 0]
    before = np.array([unit.before for unit in trial.units], dtype=np.float64)
    now = seen.realised.profit[:, counted].mean(axis=1)
    grown = [
        float(now[rows[side & (rows >= 0)]].sum() / max(float(before[side].sum()), 1.0))
        for side in (far, near)
    ]
    return grown[0], grown[1]


def _months(seen: _Seen, effect: Estimate | None) -> tuple[MonthImpact, ...]:
    trial, realised = seen.trial, seen.realised
    cluster, block = _placed(seen)
    known = (cluster >= 0) & (block >= 0)
    on = np.zeros(len(cluster), dtype=np.bool_)
    on[known] = trial.treated[cluster[known], block[known]]
    out: list[MonthImpact] = []
    for m, month in enumerate(realised.months):
        here = known & (realised.month == m)
        days = _days(seen, month)
        if not days:
            continue
        sums = [realised.amounts[here & side].sum(axis=0) for side in (on, ~on)]
        money = float("nan"), float("nan"), float("nan")
        if effect is not None and trial.design is Design.PARALLEL:
            earned = np.bincount(cluster[here], realised.net[here], len(trial.clusters))
            share = days / trial.period_days
            found = estimate(earned / share, seen.cells, seen.rng(0), seen.draws)
            money = found.times(seen.cells.weight * share)
        treated, held = (tuple(float(v) for v in amounts) for amounts in sums)
        out.append(MonthImpact(month, treated, held, days, *money))
    return tuple(out)


def _placed(seen: _Seen) -> tuple[Ints, Ints]:
    """Return cluster and block of every cell of the data that was measured, int64 [R]; -1 for others."""
    unit = np.full(len(seen.realised.series), OUTSIDE, dtype=np.int64)
    known = seen.rows >= 0
    unit[seen.rows[known]] = seen.trial.cluster_of[known]
    some = np.isin(np.arange(seen.trial.blocks), seen.blocks)
    counted = seen.window.counted & some
    block = np.where(counted.any(axis=1), counted.argmax(axis=1), -1)
    return unit[seen.realised.unit], np.asarray(block[seen.realised.period], dtype=np.int64)


def _days(seen: _Seen, month: str) -> int:
    """Return how many days of a month were measured."""
    first = np.datetime64(month, "M")
    some = np.isin(np.arange(seen.trial.blocks), seen.blocks)
    starts = seen.realised.periods[(seen.window.counted & some).any(axis=1)]
    days = starts[:, None] + np.arange(seen.trial.period_days)
    return int((days.astype("datetime64[M]") == first).sum())


def _categories(seen: _Seen) -> tuple[CategoryImpact, ...]:
    trial, rows, month = seen.trial, seen.rows, MONTH_DAYS / seen.trial.period_days
    counted = _measured(seen.window)
    ever = np.asarray(trial.treated.any(axis=1), dtype=np.bool_)
    now = (
        seen.realised.profit[:, counted].mean(axis=1)
        if counted.any()
        else np.zeros(len(seen.realised.series))
    )
    before = np.array([unit.before for unit in trial.units], dtype=np.float64)
    out: list[CategoryImpact] = []
    for category in sorted({unit.category for unit in trial.units}):
        here = np.array(
            [u.category == category and u.cluster != OUTSIDE for u in trial.units], dtype=np.bool_
        )
        on: Bools = here & ever[np.maximum(trial.cluster_of, 0)]
        off: Bools = here & ~on
        figures: list[float] = []
        for side in (on, off):
            figures += [
                float(before[side].sum()) * month,
                float(now[rows[side & (rows >= 0)]].sum()) * month,
            ]
        out.append(CategoryImpact(category, int(on.sum()), int(off.sum()), *figures))
    return tuple(out)
