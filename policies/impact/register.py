"""Plan a trial: from what price groups earned so far to a registered draw."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from policies.impact.cells import Cells
from policies.impact.detect import Noise, estimates_of_nothing, noise, placebo_blocks
from policies.impact.draw import Drawn, draw_parallel, draw_switchback, gathered
from policies.impact.measured import cells_of
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError, RefusedError, UsageError
from pricing.trial import OUTSIDE, Cluster, Design, Precision, Trial, Unit
from simulators.contract.realised import Realised

__all__ = ["AUTO", "LEAST_PAST", "MONTH_DAYS", "PAST_DAYS", "Wish", "plan_trial"]

MONTH_DAYS = 365.25 / 12.0
"""Days of a mean month."""

PAST_DAYS, LEAST_PAST = 182, 8
"""Days before the trial whose profit it is compared with: half a year; and the fewest periods of it."""


_LONGEST_DAYS = 2 * 366

AUTO = "auto"
"""Clusters as large as the trial can bear."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a trial.

    Attributes
    ----------
    made_on, start
        ISO dates: of today, and the first on which it may begin; it does on the first day of a period. None
        for the first period that is not in the data.
    periods
        Length.
    held
        Share of clusters to hold out (parallel).
    design
        Parallel or switchback.
    block, washout
        Periods of a switchback's block, and those of them that are not measured.
    by
        What is treated or held together: a ``category`` (in a zone), a ``subcategory`` or a whole ``zone``.
        :data:`AUTO` takes categories, whose borders what a price takes from its neighbours hardly crosses,
        unless they are too few for a standing holdout: then subcategories.
    zones
        Zones of the roll-out; empty for all. Units of others are never treated.
    worth
        Least effect, minor units a month, that counts as having paid.
    seed
        The draw follows from it.
    """

    made_on: str
    start: str | None = None
    periods: int = 12
    held: float = 0.2
    design: Design = Design.PARALLEL
    block: int = 6
    washout: int = 3
    by: str = AUTO
    zones: tuple[str, ...] = ()
    worth: int = 0
    seed: int = 0


def plan_trial(realised: Realised, wish: Wish, movable: Collection[tuple[str, str]] | None = None) -> Trial:
    """Draw a trial and say what it can be expected to see.

    Parameters
    ----------
    realised
        Profit until now; what begins on the trial's first day or later is not looked at.
    wish
        What is asked for.
    movable
        Units (group, zone) whose price may move at all; a cluster without any is left out. None for all.

    Raises
    ------
    UsageError
        If the wish contradicts itself.
    DataError
        If the past is too short, or a unit has no price.
    RefusedError
        If chance could draw too few assignments, or nothing earns anything.
    """
    _refuse(wish, realised)
    if wish.by != AUTO:
        return _planned(realised, wish, movable)
    try:
        return _planned(realised, replace(wish, by="category"), movable)
    except RefusedError:
        if wish.design is Design.SWITCHBACK:
            raise
        return _planned(realised, replace(wish, by="subcategory"), movable)


def _planned(realised: Realised, wish: Wish, movable: Collection[tuple[str, str]] | None) -> Trial:
    """Return the trial of a wish that says by what clusters are cut."""
    step = _step(realised)
    first, start = _start(realised, wish, step)
    past = min(first, max(PAST_DAYS // step, LEAST_PAST))
    # The first period of the data may be cut short, and so may the last.
    whole = np.flatnonzero(realised.days[:first] == step)
    past = min(past, first - int(whole[0]) if whole.size else 0)
    if past < LEAST_PAST:
        raise DataError(
            f"The data hold {past} whole periods before {start}; a trial needs {LEAST_PAST}.",
            why="Its effect is measured against what price groups earned before.",
            todo="Begin later, or import a longer history.",
        )
    profit = realised.profit[:, first - past : first]
    index = _units(realised, first, movable, wish.by)
    cluster = _clusters(realised, index, wish)
    drawn, cluster = _draw(cluster, profit[index], wish)
    units = _described(realised, index, cluster, profit.mean(axis=1), first)
    named = _named(units, drawn, wish)
    trial = Trial(
        design=wish.design,
        made_on=wish.made_on,
        seed=wish.seed,
        data=realised.fingerprint,
        currency=realised.currency,
        since=str(realised.periods[first - past]),
        start=start,
        periods=wish.periods,
        period_days=step,
        block=_block(wish),
        washout=_washout(wish),
        worth=wish.worth,
        precision=Precision(0, 0, 0, 0, 0),
        units=units,
        clusters=named,
    )
    return _with_precision(trial, profit[index])


def _block(wish: Wish) -> int:
    return wish.periods if wish.design is Design.PARALLEL else wish.block


def _washout(wish: Wish) -> int:
    return 0 if wish.design is Design.PARALLEL else wish.washout


def _refuse(wish: Wish, realised: Realised) -> None:
    known = set(realised.series.zone)
    unknown = [zone for zone in wish.zones if zone not in known]
    if unknown:
        raise UsageError(
            f"Nothing was sold in the zone {unknown[0]}.", todo=f"Name some of {', '.join(sorted(known))}."
        )
    if wish.periods < 1 or (wish.design is Design.SWITCHBACK and wish.periods % max(2 * wish.block, 1)):
        pair = 2 * max(wish.block, 1)
        raise UsageError(
            f"{wish.periods} periods are not an even number of blocks of {wish.block}.",
            todo=f"Give --periods {max(wish.periods // pair, 1) * pair}.",
        )
    if wish.periods * _step(realised) > _LONGEST_DAYS:
        raise UsageError(
            f"{wish.periods} periods are more than two years.",
            why="Nothing is decided before a trial is over.",
            todo="Give fewer --periods.",
        )
    if wish.design is Design.SWITCHBACK and not 0 <= wish.washout < wish.block:
        raise UsageError(
            f"A washout of {wish.washout} periods leaves nothing of a block of {wish.block} to measure.",
            todo="Give longer blocks.",
        )


def _step(realised: Realised) -> int:
    return int(np.diff(realised.periods[:2]).astype(np.int64)[0]) if len(realised.periods) > 1 else 7


def _start(realised: Realised, wish: Wish, step: int) -> tuple[int, str]:
    """Return how many periods of the data come before the trial, and its first day."""
    periods, days = realised.periods, realised.days
    end = periods[-1] + np.timedelta64(step, "D")
    last = len(periods) if days[-1] == step else len(periods) - 1
    if wish.start is None:
        return last, str(end)
    try:
        asked = np.datetime64(wish.start, "D")
    except ValueError as error:
        raise UsageError(f"{wish.start!r} is no day.", todo="Write it like 2026-02-02.") from error
    wait = int(np.ceil((asked - periods[0]).astype(np.int64) / step))
    start = periods[0] + np.timedelta64(wait * step, "D")
    return max(min(wait, last), 0), str(start)


def _units(realised: Realised, first: int, movable: Collection[tuple[str, str]] | None, by: str) -> Ints:
    """Return the units on sale as the trial begins whose clusters may move, int64 [n]."""
    index = np.flatnonzero(realised.on_sale[:, first - 1]).astype(np.int64)
    if movable is not None:
        groups = gathered(realised.series, realised.parent, by)
        pairs = zip(realised.series.group, realised.series.zone, strict=True)
        may = np.array([pair in movable for pair in pairs], dtype=np.bool_)
        index = index[np.isin(groups[index], groups[may])]
    lacking = index[~np.isfinite(realised.regular[index, first - 1])]
    if lacking.size:
        raise DataError(
            f"{realised.series.group[int(lacking[0])]} has no price before the trial.",
            todo="Add its posted price to the prices table.",
        )
    if not index.size:
        raise RefusedError(
            "No price may move, so nothing can be tried.",
            why="The evidence lets no product of the run move.",
            todo="Plan from the data folder, or test prices first.",
        )
    return index


def _clusters(realised: Realised, index: Ints, wish: Wish) -> Ints:
    """Return the cluster of each unit, int64 [n]; :data:`OUTSIDE` in zones that are not rolled out."""
    series = realised.series.take(index)
    found = gathered(series, tuple(realised.parent[int(i)] for i in index), wish.by)
    outside = np.array([bool(wish.zones) and zone not in wish.zones for zone in series.zone], dtype=np.bool_)
    found = np.where(outside, OUTSIDE, found)
    kept = np.unique(found[~outside])
    return np.asarray(np.where(outside, OUTSIDE, np.searchsorted(kept, found)), dtype=np.int64)


def _draw(cluster: Ints, profit: Floats, wish: Wish) -> tuple[Drawn, Ints]:
    rng = np.random.default_rng(wish.seed)
    count = int(cluster.max(initial=OUTSIDE)) + 1
    if wish.design is Design.SWITCHBACK:
        return draw_switchback(count, wish.periods // wish.block, rng), cluster
    inside = cluster != OUTSIDE
    before = np.bincount(cluster[inside], profit[inside].mean(axis=1), count).astype(np.float64)
    return draw_parallel(before, wish.held, rng), cluster


def _described(realised: Realised, index: Ints, cluster: Ints, mean: Floats, first: int) -> tuple[Unit, ...]:
    series, out = realised.series, list[Unit]()
    for n, c in zip(map(int, index), map(int, cluster), strict=True):
        price = max(round(float(realised.regular[n, first - 1])), 1)
        who = series.group[n], series.zone[n], series.category[n]
        out.append(Unit(*who, c, round(float(mean[n])), price))
    return tuple(out)


def _named(units: tuple[Unit, ...], drawn: Drawn, wish: Wish) -> tuple[Cluster, ...]:
    names: dict[int, str] = {}
    for unit in units:
        parts = {"zone": (unit.zone,), "category": (unit.zone, unit.category)}
        names.setdefault(unit.cluster, " / ".join(parts.get(wish.by, (unit.zone, unit.category, unit.group))))
    return tuple(
        Cluster(names[c], tuple(map(bool, drawn.treated[c])), tuple(map(int, drawn.stratum[c])))
        for c in range(len(drawn.treated))
    )


def _with_precision(trial: Trial, profit: Floats) -> Trial:
    rng = np.random.default_rng([trial.seed, 1])
    cells = cells_of(trial, np.arange(trial.blocks, dtype=np.int64))
    if cells.weight <= 0.0:
        raise RefusedError(
            "Nothing that would get new prices earned anything.",
            why="An effect is measured as a share of that.",
            todo="Plan a trial over products that sell.",
        )
    past = np.zeros((len(trial.clusters), profit.shape[1]))
    inside: Bools = trial.cluster_of != OUTSIDE
    np.add.at(past, trial.cluster_of[inside], profit[inside])
    found = _noise(trial, cells, past, rng)
    if not np.isfinite(found.sd):
        raise DataError(
            "The past is too short to say what the trial could see.",
            todo="Begin later, or plan shorter blocks.",
        )
    month = MONTH_DAYS / trial.period_days
    treated = cells.weight / trial.blocks * month
    precision = Precision(
        baseline=round(float(past.mean(axis=1).sum()) * month),
        treated=round(treated),
        detectable=round(found.detectable * treated),
        windows=found.windows,
        periods=found.periods,
    )
    return replace(trial, precision=precision)


def _noise(trial: Trial, cells: Cells, past: Floats, rng: np.random.Generator) -> Noise:
    if trial.design is Design.PARALLEL:
        return noise(past, cells, trial.periods, rng)
    cut, blocks = placebo_blocks(past, trial.block, trial.washout, trial.blocks)
    if not len(blocks):
        return Noise(float("nan"), 0, 0)
    here = cells_of(trial, blocks)
    found = float(np.sqrt(np.mean(estimates_of_nothing(cut.reshape(-1), here, rng) ** 2)))
    # Pairs are drawn independently, so twice as many halve the variance.
    return Noise(found * float(np.sqrt(len(blocks) / trial.blocks)), 1, trial.block * len(blocks))
