"""Which categories lie in a basket of a given size: affinity, recency, size, and moods they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Floats, Ints
from simulators.customers.basket_memory import RECENCIES, Memory, Singles

__all__ = [
    "CLASSES", "SIZES", "CategoryModel", "choose", "expected_of_anybody", "frailty", "inclusion",
    "population_share", "size_class",
]  # fmt: skip

SIZES = np.array([1, 2, 3, 4, 6, 8, 11, 15, 21, 30], dtype=np.int64)
"""First sizes of each class of baskets."""

CLASSES = len(RECENCIES) + 1
"""Classes of recency."""
_MOST_LIKELY = 0.95
_CELL_BASKETS = 10.0
_LEAST_SHAPE, _LARGEST_SHAPE = 0.05, 20.0
_NEWTON = 12
_EXACT = 1e-4


@dataclass(frozen=True, slots=True)
class CategoryModel:
    """How fast each of C categories enters a basket.

    Attributes
    ----------
    base
        float64 [C, S]; log rate by class of size.
    slope, late
        float64 [C]; on the household's affinity, and on that of late.
    recency
        float64 [C, R]; by class of recency.
    week
        float64 [C, T]; what a period of the fit adds to its expected sales.
    mood
        float64 [C, M]; loadings of a basket's moods, standard normal each.
    share
        float64 [C, S]; share of all baskets of a class of size with the category.
    shape
        float64 [C]; of the gamma effects of households.
    """

    base: Floats
    slope: Floats
    late: Floats
    recency: Floats
    week: Floats
    mood: Floats
    share: Floats
    shape: Floats

    def log_rate(self, memory: Memory, household: Ints, day: int, size: Ints, period: Floats) -> Floats:
        """Return log rates [B, C] of one day's baskets, moods aside; `period` [C] is the period's appeal."""
        own = self.slope * memory.affinity(household, self.shape)
        own = own + self.late * memory.late_affinity(household, day, self.shape)
        since = self.recency[np.arange(len(self.slope)), memory.recency(household, day)]
        out: Floats = self.base[:, size_class(size)].T + own + since + period
        return out

    def of_anybody(self, size: Ints) -> Singles:
        """Return the probability of each category in anybody's basket of that size, float32 [B, C]."""
        return expected_of_anybody(self.share, size)


def size_class(size: Ints) -> Ints:
    """Return the class of each size."""
    return np.searchsorted(SIZES, size, side="right").astype(np.int64) - 1


def expected_of_anybody(share: Floats, size: Ints) -> Singles:
    """Return probabilities [B, C] from the shares [C, S] of all baskets of the class, summing to `size`."""
    p = share[:, size_class(size)].T
    out: Singles = np.minimum(p * (size / p.sum(axis=1))[:, None], _MOST_LIKELY).astype(np.float32)
    return out


def inclusion(log_rate: Floats | Singles, size: Ints, rounds: int = _NEWTON) -> Floats:
    """Return probabilities [B, C] that add up to `size`: ``1 - exp(-tau rate)``.

    They are those of races: a category enters at an exponential time with its rate, and the basket closes at
    the time tau by which `size` of them are expected (Rosen, Journal of Statistical Planning and Inference
    1997).
    """
    rate = np.exp(log_rate - log_rate.max(axis=1, keepdims=True))
    target = size.astype(rate.dtype)
    log_tau = np.log(target / rate.sum(axis=1))
    for _ in range(rounds):
        hazard = np.exp(log_tau)[:, None] * rate
        stay = np.exp(-hazard)
        gap = target - (1.0 - stay).sum(axis=1)
        log_tau = log_tau + np.clip(gap / np.maximum((hazard * stay).sum(axis=1), 1e-9), -1.0, 1.0)
        if np.abs(gap).max() < _EXACT * float(target.max()):
            break
    out: Floats = -np.expm1(-np.exp(log_tau)[:, None] * rate)
    return out


def choose(p: Floats, size: Ints, u: Floats) -> tuple[Ints, Ints]:
    """Draw `size` categories of each basket with inclusion probabilities `p` (Pareto sampling, Rosen 1997).

    Inclusion is right to within a few hundredths in a shop of five categories, and better in larger ones.

    Parameters
    ----------
    p
        float64 [B, C]; adding up to `size` in each row.
    size
        int64 [B].
    u
        float64 [B, C]; a uniform for each, so that a category's luck does not depend on the others' prices.

    Returns
    -------
    tuple
        Basket and category, int64 [sum of sizes], ascending.
    """
    luck = np.log(np.maximum(u, 1e-300)) - np.log1p(-u)
    key = luck - np.log(np.maximum(p, 1e-300)) + np.log(np.maximum(1.0 - p, 1e-12))
    last = np.sort(key, axis=1)[np.arange(len(size)), size - 1]
    row, category = np.nonzero(key <= last[:, None])
    return row.astype(np.int64), category.astype(np.int64)


def population_share(size: Ints, row: Ints, category: Ints, categories: int) -> Floats:
    """Return the share of baskets of each class of size with each category, float64 [C, S].

    Shrunk to the category's share of all that is bought, by ten baskets.
    """
    S = len(SIZES)
    kind = size_class(size)
    n, slots = np.bincount(kind, minlength=S), np.bincount(kind, size, S)
    cell = np.bincount(category * S + kind[row], minlength=categories * S).reshape(categories, S)
    overall = cell.sum(axis=1) / slots.sum()
    usual = np.where(n > 0, slots / np.maximum(n, 1), SIZES)
    out: Floats = (cell + _CELL_BASKETS * overall[:, None] * usual) / (n + _CELL_BASKETS)
    return out


def frailty(count: NDArray[np.floating], exposure: NDArray[np.floating]) -> Floats:
    """Return shapes [C] of the gamma effects by which households differ, from counts and exposures [H, C].

    By moments: the variance of a count beyond Poisson is its squared exposure over the shape.
    """
    n, E = count.astype(np.float64), exposure.astype(np.float64)
    excess = ((n - E) ** 2 - E).sum(axis=0) / np.maximum((E**2).sum(axis=0), 1e-9)
    out: Floats = np.clip(1.0 / np.maximum(excess, 1e-3), _LEAST_SHAPE, _LARGEST_SHAPE)
    return out
