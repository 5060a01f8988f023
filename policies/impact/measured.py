"""Realised profit as a trial's cells: which periods count, and what clusters earned in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.impact.cells import Cells
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError
from pricing.trial import OUTSIDE, Design, Trial
from simulators.contract.realised import Realised

__all__ = ["Window", "by_cluster", "cells_of", "rows_of", "window_of"]


@dataclass(frozen=True, slots=True)
class Window:
    """Which periods of the data count.

    Attributes
    ----------
    first
        Period of the data in which the trial begins.
    past
        How many periods before that belong to what came before it.
    whole
        Periods of the trial that are over, whole, and in the data.
    empty
        Periods of the trial in which the whole shop sold nothing: closed, or never imported. None counts.
    counted
        bool [T, K]; whether a period of the data counts in a block: not in its washout.
    """

    first: int
    past: int
    whole: int
    empty: int
    counted: Bools


def window_of(trial: Trial, realised: Realised) -> Window:
    """Find a trial's periods in the data.

    Raises
    ------
    DataError
        If the data do not hold the trial's past, or are cut into other periods.
    """
    first, since = (
        int(np.searchsorted(realised.periods, np.datetime64(day))) for day in (trial.start, trial.since)
    )
    lengths = np.diff(realised.periods).astype(np.int64)
    begins = np.datetime64(trial.start, "D") - np.datetime64(trial.since, "D")
    same = (lengths == trial.period_days).all() and first - since == begins.astype(
        np.int64
    ) // trial.period_days
    if not same or realised.periods[0] > np.datetime64(trial.since):
        raise DataError(
            f"The data do not hold the periods from {trial.since} on as the plan counts them.",
            why=f"They begin on {realised.periods[0]}; the plan counts periods of {trial.period_days} days.",
            todo="Give the data folder that the plan was made from, grown longer.",
        )
    t = np.arange(len(realised.periods)) - first
    over = realised.days == trial.period_days
    block, within = t // trial.block, t % trial.block
    inside = (t >= 0) & (t < trial.periods) & over
    sold = np.bincount(realised.period, minlength=len(t)) > 0
    counted = inside & sold & (within >= trial.washout)
    table = counted[:, None] & np.equal(block[:, None], np.arange(trial.blocks))
    return Window(first, first - since, int(inside.sum()), int((inside & ~sold).sum()), table)


def rows_of(trial: Trial, realised: Realised) -> Ints:
    """Return the place in the data of each of the trial's units, int64 [N]; -1 for one that is gone."""
    place = {pair: n for n, pair in enumerate(zip(realised.series.group, realised.series.zone, strict=True))}
    return np.array([place.get((unit.group, unit.zone), -1) for unit in trial.units], dtype=np.int64)


def by_cluster(trial: Trial, values: Floats, rows: Ints) -> Floats:
    """Return values of the data's units [M, T] added up by cluster, float64 [C, T]."""
    out = np.zeros((len(trial.clusters), values.shape[1]))
    mine = (rows >= 0) & (trial.cluster_of != OUTSIDE)
    np.add.at(out, trial.cluster_of[mine], values[rows[mine]])
    return out


def cells_of(trial: Trial, blocks: Ints) -> Cells:
    """Return the cells of some blocks, int64 [k], cluster by cluster: J = C k."""
    before = np.zeros(len(trial.clusters))
    inside = trial.cluster_of != OUTSIDE
    np.add.at(before, trial.cluster_of[inside], np.array([unit.before for unit in trial.units])[inside])
    kinds = np.broadcast_to(np.arange(len(blocks)), (len(before), len(blocks)))
    if trial.design is Design.PARALLEL:
        kinds = np.broadcast_to(_categories(trial)[:, None], kinds.shape)
    stratum = np.unique(trial.stratum[:, blocks], return_inverse=True)[1]
    return Cells(
        before=np.repeat(before, len(blocks)),
        stratum=np.asarray(stratum, dtype=np.int64).reshape(-1),
        kind=np.ascontiguousarray(kinds, dtype=np.int64).reshape(-1),
        treated=trial.treated[:, blocks].reshape(-1),
    )


def _categories(trial: Trial) -> Ints:
    """Return the category and zone of each cluster, that of its first unit, as numbers int64 [C]."""
    found: list[str] = [""] * len(trial.clusters)
    for unit in reversed(trial.units):
        if unit.cluster != OUTSIDE:
            found[unit.cluster] = f"{unit.category}\x1f{unit.zone}"
    return np.asarray(np.unique(found, return_inverse=True)[1], dtype=np.int64)
