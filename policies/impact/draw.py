"""Who is treated and who is held: clusters that share a fate, strata of like size, and the draw."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from policies.impact.randomised import LEAST_ASSIGNMENTS
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import RefusedError, UsageError
from pricing.panel import Series

__all__ = ["BORDERS", "Drawn", "draw_parallel", "draw_switchback", "gathered"]

BORDERS = ("category", "subcategory", "zone")
"""Where one cluster ends and the next begins."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An assignment of C clusters in K blocks.

    Attributes
    ----------
    treated
        bool [C, K].
    stratum
        int64 [C, K]; within which that was drawn.
    """

    treated: Bools
    stratum: Ints


def gathered(series: Series, parent: tuple[str, ...], by: str) -> Ints:
    """Return the cluster of each of N units, int64 [N], numbered in the order of their first unit.

    Units of one zone share a cluster if they are of one `by`, where substitutes are, or have one
    parent product, whose variants may have to carry one price; and so do those linked through others.

    Parameters
    ----------
    series, parent
        Who the units are, and the parent product of each, empty for none.
    by
        One of :data:`BORDERS`. By zone all units of a zone share a cluster; a unit without a subcategory
        has none in common with others.

    Raises
    ------
    UsageError
        If `by` is something else.
    """
    if by not in BORDERS:
        raise UsageError(f"No cluster is cut by {by}.", todo=f"Give --by {', '.join(BORDERS)}.")
    what = {"category": series.category, "subcategory": series.subcategory, "zone": series.zone}[by]
    root = list(range(len(series)))
    first: dict[tuple[str, ...], int] = {}

    def find(unit: int) -> int:
        while root[unit] != unit:
            root[unit] = root[root[unit]]
            unit = root[unit]
        return unit

    for unit, zone in enumerate(series.zone):
        links = [("what", what[unit], zone)] if what[unit] else []
        if parent[unit]:
            links.append(("parent", parent[unit], zone))
        for link in links:
            one, other = sorted((find(unit), find(first.setdefault(link, unit))))
            root[other] = one
    found = np.array([find(unit) for unit in range(len(series))], dtype=np.int64)
    return np.asarray(np.unique(found, return_inverse=True)[1], dtype=np.int64)


def draw_parallel(before: Floats, held: float, rng: np.random.Generator) -> Drawn:
    """Draw which clusters are held out for the whole time.

    Strata are of clusters that earned about the same, as many as it takes to hold one out of each; where that
    leaves too few assignments to tell anything, strata are joined.

    Parameters
    ----------
    before
        float64 [C]; net profit of each cluster before.
    held
        Share of clusters to hold out, above 0 and at most a half.
    rng
        Where chance comes from.

    Raises
    ------
    UsageError
        If `held` is no such share.
    RefusedError
        If there are too few clusters.
    """
    if not 0.0 < held <= 0.5:
        raise UsageError(f"A holdout of {held} is not a share above 0 and up to 0.5.")
    count, size = len(before), round(1.0 / held)
    out = 1
    while _assignments(count, size, out) < LEAST_ASSIGNMENTS and 2 * size <= count:
        size, out = 2 * size, 2 * out
    if _assignments(count, size, out) < LEAST_ASSIGNMENTS:
        size, out = count, max(round(held * count), 1)
    if count < 2 or _assignments(count, size, out) < LEAST_ASSIGNMENTS:
        raise RefusedError(
            f"{count} clusters of price groups are too few for a holdout of {held:g}.",
            why=f"Chance could draw fewer than {LEAST_ASSIGNMENTS} holdouts, so it would explain anything.",
            todo="Hold out a larger share, plan with --design switchback, or cut clusters finer with --by.",
        )
    order = np.argsort(-before, kind="stable")
    stratum = np.empty(count, dtype=np.int64)
    stratum[order] = np.minimum(np.arange(count) // size, max(count // size, 1) - 1)
    treated = np.ones(count, dtype=np.bool_)
    for s in range(int(stratum.max()) + 1):
        here = np.flatnonzero(stratum == s)
        treated[rng.permutation(here)[: max(round(out * len(here) / size), 1)]] = False
    return Drawn(treated[:, None], stratum[:, None])


def _assignments(count: int, size: int, out: int) -> int:
    if count < size or size <= out:
        return 1
    last = count % size + size
    rest = max(round(out * last / size), 1)
    found: int = comb(size, out) ** min(count // size - 1, 64) * comb(last, rest)
    return min(found, 10**30)


def draw_switchback(count: int, blocks: int, rng: np.random.Generator) -> Drawn:
    """Draw when each of `count` clusters gets new prices: one block of each two in a row.

    Both halves of a pair see nearly the same season, so a trend does not look like an effect (Bojinov,
    Simchi-Levi and Zhao, Management Science 2023, on switchbacks whose effects last for a while).

    Raises
    ------
    UsageError
        If there are not two blocks or more, or an odd number.
    RefusedError
        If there are too few pairs.
    """
    if blocks < 2 or blocks % 2:
        raise UsageError(
            f"{blocks} blocks are no pairs.", todo="Give --periods as an even number of --block."
        )
    pairs = blocks // 2
    if 2 ** (count * pairs) < LEAST_ASSIGNMENTS:
        raise RefusedError(
            f"{count} clusters in {pairs} pairs of blocks are too few.",
            why=f"Chance could draw fewer than {LEAST_ASSIGNMENTS} schedules, so it would explain anything.",
            todo="Plan for longer, shorten --block, or alternate by category.",
        )
    first = rng.random((count, pairs)) < 0.5
    treated = np.stack([first, ~first], axis=2).reshape(count, blocks)
    stratum = np.arange(count * pairs, dtype=np.int64).reshape(count, pairs).repeat(2, axis=1)
    return Drawn(treated, stratum)
