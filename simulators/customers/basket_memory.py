"""What is remembered of households while time goes on: what they bought, how often, and when last.

The same memory is kept while a model is fitted on real baskets and while it runs on its own. Effects of
households are posterior means given it: they start at the population's and follow the household's record,
which is how an exchangeable random effect is sampled (Blackwell and MacQueen, Annals of Statistics 1973).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Floats, Ints

__all__ = ["MOST_LINES", "MOST_UNITS", "RECENCIES", "RING", "TRAITS", "Memory", "Purchases", "Singles"]

RING = 24
"""Products remembered of each household and category."""
MOST_LINES, MOST_UNITS = 12, 24
"""More products of a category in a basket, or more units of one, count as so many."""
TRAITS = 6
"""Records of a household: own brand, depth of deals, price level, popularity, promotion, repeats."""
RECENCIES = np.array([1, 3, 5, 8, 11, 15, 22, 36, 64], dtype=np.int64)
"""First days since the last purchase of each class of recency from 1 on; class 0 is never."""

_FADING_DAYS = 35.0
_NOBODY = -1

Small = NDArray[np.int32]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Purchases:
    """L lines of one day's B baskets, ascending by basket and product.

    Attributes
    ----------
    row, category, product, units
        int64 [L]; basket (0 .. B-1), category, product, units.
    """

    row: Ints
    category: Ints
    product: Ints
    units: Ints


@dataclass(frozen=True, slots=True)
class Memory:
    """Histories of H households in C categories; the arrays are written to as time goes on.

    Attributes
    ----------
    count, exposure
        float32 [H, C]; baskets with the category, and how many would be expected of anybody.
    recent, recent_exposure
        float32 [H, C]; the same, older baskets fading with the days, as of the last basket.
    last
        int32 [H, C]; day of the last basket with the category, -1 for none.
    ring, ring_units
        int32 [H, C, RING]; the last products bought, -1 for none, and their units; a new one overwrites
        the oldest.
    pushed
        int32 [H, C]; products ever written to the ring.
    lines, units
        float32 [H, C, MOST_LINES], [H, C, MOST_UNITS]; baskets by number of products, lines by units.
    visits, last_visit, first_visit
        int32 [H]; baskets, and days of the last and the first, -1 for none.
    score
        float64 [H]; how large the last basket was: :class:`simulators.customers.basket_size.SizeModel`.
    record, information
        float64 [H, TRAITS]; sum of what traits of purchases went beyond expectation, and of its variance.
    """

    count: Singles
    exposure: Singles
    recent: Singles
    recent_exposure: Singles
    last: Small
    ring: Small
    ring_units: Small
    pushed: Small
    lines: Singles
    units: Singles
    visits: Small
    last_visit: Small
    first_visit: Small
    score: Floats
    record: Floats
    information: Floats

    @staticmethod
    def empty(households: int, categories: int) -> Memory:
        """Return the memory of households of whom nothing is known."""
        shape = (households, categories)
        return Memory(
            count=np.zeros(shape, np.float32),
            exposure=np.zeros(shape, np.float32),
            recent=np.zeros(shape, np.float32),
            recent_exposure=np.zeros(shape, np.float32),
            last=np.full(shape, _NOBODY, np.int32),
            ring=np.full((*shape, RING), _NOBODY, np.int32),
            ring_units=np.zeros((*shape, RING), np.int32),
            pushed=np.zeros(shape, np.int32),
            lines=np.zeros((*shape, MOST_LINES), np.float32),
            units=np.zeros((*shape, MOST_UNITS), np.float32),
            visits=np.zeros(households, np.int32),
            last_visit=np.full(households, _NOBODY, np.int32),
            first_visit=np.full(households, _NOBODY, np.int32),
            score=np.zeros(households),
            record=np.zeros((households, TRAITS)),
            information=np.zeros((households, TRAITS)),
        )

    def like(self, household: Ints, later: Ints) -> Memory:
        """Return a copy of the memory of `household` [H'], its days moved on by `later` [H']."""
        taken: dict[str, Any] = {f.name: getattr(self, f.name)[household] for f in fields(self)}
        for name in ("last", "last_visit", "first_visit"):
            moved = later[:, None] if taken[name].ndim == 2 else later
            taken[name] = np.where(taken[name] >= 0, taken[name] + moved, _NOBODY).astype(np.int32)
        return Memory(**taken)

    def recency(self, household: Ints, day: int) -> NDArray[np.uint8]:
        """Return the class of recency of every category, uint8 [B, C]."""
        last = self.last[household]
        since: NDArray[np.uint8] = np.searchsorted(RECENCIES, day - last, side="right").astype(np.uint8)
        since[last < 0] = 0
        return since

    def affinity(self, household: Ints, weight: Floats) -> Singles:
        """Return the log of how much more often than anybody each category was bought, float32 [B, C].

        Log posterior mean of a gamma effect with mean one and shape `weight` [C] on a Poisson rate.
        """
        return _log_ratio(self.count[household], self.exposure[household], weight)

    def late_affinity(self, household: Ints, day: int, weight: Floats) -> Singles:
        """Return the same of late, float32 [B, C]: older baskets fade."""
        kept = self._kept(household, day)
        return _log_ratio(self.recent[household] * kept, self.recent_exposure[household] * kept, weight)

    def last_units(self, household: Ints, category: Ints, product: Ints) -> Ints:
        """Return how many units of each product the household took last time, 0 for never, int64 [L]."""
        hit = self.ring[household, category] == product[:, None]
        age = np.where(hit, self.ages(household, category), RING)
        units = self.ring_units[household, category, age.argmin(axis=1)]
        return np.where(hit.any(axis=1), units, 0).astype(np.int64)

    def ages(self, household: Ints, category: Ints) -> Ints:
        """Return how many purchases ago each place of the ring was written, int64 [L, RING]."""
        newest = self.pushed[household, category].astype(np.int64)[:, None] - 1
        place: Ints = np.arange(RING, dtype=np.int64)
        return (newest - place) % RING

    def remember(self, day: int, household: Ints, score: Floats, anybody: Singles, bought: Purchases) -> None:
        """Add the baskets of one day.

        Parameters
        ----------
        day
            Counted from 1970-01-01.
        household, score
            int64 [B], each at most once; float64 [B], sizes.
        anybody
            float32 [B, C]; what was to be expected of anybody in baskets of these sizes.
        bought
            Their lines.
        """
        kept = self._kept(household, day)
        self.recent[household] *= kept
        self.recent_exposure[household] = self.recent_exposure[household] * kept + anybody
        self.exposure[household] += anybody
        self.score[household] = score
        self.first_visit[household] = np.where(self.visits[household] == 0, day, self.first_visit[household])
        self.visits[household] += 1
        self.last_visit[household] = day
        self._remember_lines(day, household[bought.row], bought)

    def _remember_lines(self, day: int, who: Ints, bought: Purchases) -> None:
        row, category = bought.row, bought.category
        new = np.ones(len(row), dtype=np.bool_)
        new[1:] = (row[1:] != row[:-1]) | (category[1:] != category[:-1])
        start = np.flatnonzero(new)
        length = np.diff(np.append(start, len(row)))
        pair = who[start], category[start]
        self.count[pair] += 1.0
        self.recent[pair] += 1.0
        self.last[pair] = day
        self.lines[(*pair, np.minimum(length, MOST_LINES) - 1)] += 1.0
        np.add.at(self.units, (who, category, np.minimum(bought.units, MOST_UNITS) - 1), 1.0)
        place = np.arange(len(row)) - np.repeat(start, length)
        at = (self.pushed[who, category] + place) % RING
        self.ring[who, category, at] = bought.product
        self.ring_units[who, category, at] = bought.units
        self.pushed[pair] += length

    def _kept(self, household: Ints, day: int) -> Singles:
        out: Singles = np.exp(-(day - self.last_visit[household]) / _FADING_DAYS).astype(np.float32)
        return out[:, None]


def _log_ratio(count: Singles, exposure: Singles, weight: Floats) -> Singles:
    out: Singles = np.log((count + weight) / (exposure + weight)).astype(np.float32)
    return out
