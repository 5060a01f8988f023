"""What would make an estimate worthless: a difference before anything happened, effects across borders."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from policies.impact.cells import Cells, contrasts, growth_removed, membership
from policies.impact.detect import placebo_blocks
from policies.impact.measured import Window, by_cluster, cells_of
from policies.impact.randomised import DRAWS, LEAST_ASSIGNMENTS, Estimate, estimate, tail
from pricing.arrays import Bools, Floats, Ints
from pricing.trial import OUTSIDE, Design, Trial
from simulators.contract.realised import Realised

__all__ = [
    "Contamination",
    "Crossing",
    "carryover",
    "contamination",
    "exposure",
    "past_of",
    "placebo",
    "spillover",
]

_MOVED = 0.01
"""Relative change of a regular price that counts as one."""


_FAR = 3.7
"""Median deviations from the median beyond which growth is clipped: 2.5 standard deviations if normal."""

_KEPT = 0.7
"""Share of what a price leaves behind that is still there a period later: half of it after two."""

_MOST_DRAWS = 999


@dataclass(frozen=True, slots=True)
class Crossing:
    """Whether effects cross a border that the estimate takes for closed.

    Attributes
    ----------
    slope
        Spillover: change of profit, as a share of what it was, of a cluster whose neighbours are all treated
        against one whose neighbours are all held. Carryover: the same of a cluster that has had new prices
        for long against one that never had, beyond the effect of those that stand.
    p
        Chance of one at least as large without any.
    """

    slope: float
    p: float


@dataclass(frozen=True, slots=True)
class Contamination:
    """Whether prices followed the plan; shares are of profit before.

    Attributes
    ----------
    held_moved, held_share
        Units that were held and whose regular price moved by 1 % or more, and their share.
    treated_still, treated_share
        Units that were to get new prices and whose regular price never did, and their share.
    gone
        Units of the plan that left the range: not on sale in the later half of what was measured.
    moved
        bool [N]; of the trial's units, whether the regular price moved while it was held.
    stirred
        bool [N]; whether it moved while it was treated.
    """

    held_moved: int
    held_share: float
    treated_still: int
    treated_share: float
    gone: int
    moved: Bools
    stirred: Bools


def placebo(trial: Trial, past: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Estimate | None:
    """Estimate the effect of the same draw on periods before it, where there can be none.

    Parameters
    ----------
    trial
        The plan.
    past
        float64 [C, P]; profit of each cluster in the periods before.
    rng, draws
        Assignments to compare with.

    Returns
    -------
    None where the past is too short for it.
    """
    if trial.design is Design.PARALLEL:
        length = min(trial.periods, past.shape[1] // 2)
        if not length:
            return None
        earlier = past[:, : past.shape[1] - length].mean(axis=1)
        cells = replace(cells_of(trial, np.zeros(1, dtype=np.int64)), before=earlier)
        outcome = past[:, past.shape[1] - length :].mean(axis=1)
    else:
        cut, blocks = placebo_blocks(past, trial.block, trial.washout, trial.blocks)
        if not len(blocks):
            return None
        cells, outcome = cells_of(trial, blocks), cut.reshape(-1)
    if cells.assignments < LEAST_ASSIGNMENTS or cells.weight <= 0.0:
        return None
    return estimate(outcome, cells, rng, draws)


def exposure(near: Ints, scale: Floats, treated: Bools) -> Floats:
    """Return the share of each cluster's neighbours that is treated, by size, itself left out.

    Parameters
    ----------
    near
        int64 [C]; equal for neighbours: clusters of one category and zone.
    scale
        float64 [C]; their sizes.
    treated
        bool [M, C]; assignments.

    Returns
    -------
    float64 [M, C]; NaN for a cluster without neighbours.
    """
    member = membership(near)
    on, all_ = (treated * scale) @ member, scale @ member
    rest = all_[near] - scale
    fine = rest > 1e-9 * np.maximum(all_[near], 1.0)
    out = (on[:, near] - treated * scale) / np.where(fine, rest, 1.0)
    return np.asarray(np.where(fine, out, np.nan), dtype=np.float64)


def spillover(
    outcome: Floats, cells: Cells, effect: float, rng: np.random.Generator, draws: int = DRAWS
) -> Crossing | None:
    """Ask whether clusters grew more, or less, the more of their neighbours are treated.

    What each would have earned untouched is known under the estimated effect; how it goes with the share of
    treated neighbours is compared with drawn assignments (Athey, Eckles and Imbens, JASA 2018, test
    interference so). Growth is clipped where it is far out, and clusters weigh by the fourth root of their
    size: a border is looked for, not money counted, and both keep the test exact.

    Parameters
    ----------
    outcome
        float64 [C]; profit a period in the trial, one cell a cluster.
    cells
        Of a parallel trial; their kinds are the neighbourhoods.
    effect
        Share that was estimated.
    rng, draws
        Assignments to compare with.

    Returns
    -------
    None where no cluster has neighbours, or all assignments expose them alike.
    """
    drawn = np.concatenate([cells.treated[None], cells.drawn(draws, rng)])
    exposed = exposure(cells.kind, cells.scale, drawn)
    some = np.isfinite(exposed[0]) & (cells.scale > 0.0)
    if some.sum() < 4:
        return None
    size = cells.scale[some]
    alike = replace(cells, kind=np.zeros(len(cells), dtype=np.int64))
    left = growth_removed(outcome - effect * cells.scale * cells.treated, alike)[some] / size
    middle = np.median(left)
    far = _FAR * np.median(np.abs(left - middle))
    left, weight = np.clip(left, middle - far, middle + far), size**0.25
    apart = _residual(exposed[:, some], drawn[:, some], weight)
    spread = (weight * apart**2).sum(axis=1)
    if spread[0] <= 1e-9 * weight.sum():
        return None
    slopes = (weight * apart) @ left / np.maximum(spread, 1e-12)
    return Crossing(float(slopes[0]), tail(float(slopes[0]), slopes[1:]))


def _residual(exposed: Floats, treated: Bools, weight: Floats) -> Floats:
    """Return exposures [M, C] less their weighted mean among treated, and among held, clusters."""
    out = exposed.copy()
    for side in (treated, ~treated):
        part = weight * side
        total = np.maximum(part.sum(axis=1, keepdims=True), 1e-12)
        mean = (part * exposed).sum(axis=1, keepdims=True) / total
        out -= np.where(side, mean, 0.0)
    return out


def carryover(
    trial: Trial,
    profit: Floats,
    window: Window,
    effect: float,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Crossing | None:
    """Ask whether a switchback's clusters earned more, or less, the longer they had had new prices.

    Prices leave something behind (a pantry that is full, a price that is remembered), of which
    :data:`_KEPT` is taken to be left a period later. What each cluster would have earned untouched in each
    measured period is known under the estimated effect; less the means of its cluster and of its period, how
    it goes with what is left behind is compared with drawn assignments, as in :func:`spillover`. So is the
    effect late in a block with that early in it; the farther out of the two decides. A washout that is long
    enough leaves nothing to find.

    Parameters
    ----------
    trial, window
        A switchback, and its periods in the data.
    profit
        float64 [C, T]; of each cluster in each period of the data.
    effect
        Share that was estimated.
    rng, draws
        Assignments to compare with; at most 999 are.

    Returns
    -------
    None where too little was measured, or all assignments leave the same behind.
    """
    blocks = np.flatnonzero(window.counted.any(axis=0)).astype(np.int64)
    seen = np.flatnonzero(window.counted.any(axis=1))
    cells = cells_of(trial, blocks)
    size = cells.scale.reshape(len(trial.clusters), len(blocks))[:, 0]
    some = size > 0.0
    if some.sum() < 2 or len(seen) < 3:
        return None
    drawn = np.concatenate([cells.treated[None], cells.drawn(min(draws, _MOST_DRAWS), rng)])
    on = np.repeat(trial.treated[None].astype(np.float64), len(drawn), axis=0)
    on[:, :, blocks] = drawn.reshape(len(drawn), len(size), len(blocks))
    on = on[:, some]
    weight = size[some] ** 0.25 / (size[some] ** 0.25).sum()
    within = seen - window.first
    block = within // trial.block
    growing = contrasts(drawn, cells.stratum) @ growth_removed(_later(profit, window, blocks), cells)
    left = _apart(profit[some][:, seen] / size[some, None] - effect * on[0][:, block], weight)
    far = _FAR * np.median(np.abs(left))
    left = np.clip(left, -far, far)
    slopes = np.array([_slope(left, now, _behind(now, trial.block)[:, within], weight, block) for now in on])
    if not np.isfinite(slopes[0]):
        return None
    slopes = np.where(np.isfinite(slopes), slopes, np.nanmean(slopes))  # a draw that sets nobody apart
    out = np.maximum(_far(slopes), _far(growing))
    return Crossing(float(slopes[0]), (1.0 + float((out[1:] >= out[0] - 1e-9).sum())) / len(out))


def _far(statistic: Floats) -> Floats:
    """Return how far each of [M] lies from their mean, in their standard deviations."""
    spread = float(statistic.std())
    return np.asarray(np.abs(statistic - statistic.mean()) / (spread if spread > 0.0 else 1.0))


def _later(profit: Floats, window: Window, blocks: Ints) -> Floats:
    """Return profit in the later half of each block's measured periods less the earlier, [C k]."""
    halves: list[Floats] = []
    for block in blocks.tolist():
        counted = np.flatnonzero(window.counted[:, block])
        middle = len(counted) // 2
        early, late = profit[:, counted[:middle]], profit[:, counted[len(counted) - middle :]]
        halves.append(late.mean(axis=1) - early.mean(axis=1) if middle else np.zeros(len(profit)))
    return np.stack(halves, axis=1).reshape(-1)


def _behind(on: Floats, block: int) -> Floats:
    """Return what past periods left behind in each period of the trial, 1 where they were new for ever.

    `on` is float64 [C, K].
    """
    periods = np.repeat(on, block, axis=1)
    out = np.zeros_like(periods)
    for t in range(1, periods.shape[1]):
        out[:, t] = _KEPT * out[:, t - 1] + (1.0 - _KEPT) * periods[:, t - 1]
    return out


def _slope(left: Floats, on: Floats, behind: Floats, weight: Floats, block: Ints) -> float:
    """Return how `left` [C, P] goes with what was left behind, beyond what it goes with prices of now."""
    now, late = _apart(on[:, block], weight), _apart(behind, weight)
    spread = float(weight @ (now**2).sum(axis=1))
    late = late - float(weight @ (late * now).sum(axis=1)) / max(spread, 1e-12) * now
    apart = float(weight @ (late**2).sum(axis=1))
    return float(weight @ (late * left).sum(axis=1)) / apart if apart > 1e-9 else float("nan")


def _apart(values: Floats, weight: Floats) -> Floats:
    """Return values [C, P] less the weighted mean of their period and the mean of their cluster."""
    out = values - weight @ values
    return np.asarray(out - out.mean(axis=1, keepdims=True), dtype=np.float64)


def contamination(trial: Trial, realised: Realised, rows: Ints, window: Window) -> Contamination:
    """Compare the prices that stood with the plan."""
    known = rows >= 0
    regular = np.full((len(trial.units), realised.regular.shape[1]), np.nan)
    regular[known] = realised.regular[rows[known]]
    base = regular[:, max(window.first - 1, 0)]
    away = np.abs(np.log(regular) - np.log(base[:, None])) >= np.log1p(_MOVED)
    held = np.array([_held(trial, unit.cluster) for unit in trial.units], dtype=np.bool_)
    moved = (away[:, None, :] & window.counted.T[None]).any(axis=2)
    bad, stirred = (moved & held).any(axis=1), (moved & ~held).any(axis=1)
    size = np.abs(np.array([unit.before for unit in trial.units], dtype=np.float64))
    ever_held: Bools = np.asarray(held.any(axis=1))
    ever_treated: Bools = np.asarray((~held).any(axis=1))
    still = ever_treated & ~stirred & known
    return Contamination(
        held_moved=int(bad.sum()),
        held_share=_share(size, bad, ever_held),
        treated_still=int(still.sum()),
        treated_share=_share(size, still, ever_treated),
        gone=int((~_lasted(realised, rows, window)).sum()),
        moved=bad,
        stirred=stirred,
    )


def _lasted(realised: Realised, rows: Ints, window: Window) -> Bools:
    """Return which units were still on sale in the later half of the measured periods, bool [N]."""
    measured = np.flatnonzero(window.counted.any(axis=1))
    later = measured[len(measured) // 2 :]
    if not later.size:
        return rows >= 0
    on_sale: Bools = np.asarray(realised.on_sale[:, later].any(axis=1), dtype=np.bool_)
    return np.asarray((rows >= 0) & on_sale[rows], dtype=np.bool_)


def _held(trial: Trial, cluster: int) -> list[bool]:
    return [True] * trial.blocks if cluster == OUTSIDE else [not on for on in trial.clusters[cluster].treated]


def _share(size: Floats, some: Bools, among: Bools) -> float:
    total = float(size[among].sum())
    return float(size[some & among].sum()) / total if total > 0.0 else 0.0


def past_of(trial: Trial, realised: Realised, rows: Ints, window: Window) -> Floats:
    """Return the profit of each cluster in the periods before the trial, float64 [C, P]."""
    return by_cluster(trial, realised.profit[:, window.first - window.past : window.first], rows)
