"""Which product of a category: one bought before, another of its subcategory, or any, at the period's appeal.

An urn with the household's past purchases in it beside what the shop sells to anybody, the period's expected
demand its base measure: the predictive form of a Dirichlet mixture of multinomial choices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.customers.basket_lines import Shelf
from simulators.customers.basket_memory import RING, Memory, Purchases, Singles

__all__ = [
    "AGE_CLASSES", "PAST_CLASSES", "TASTES", "TRIES", "UNIFORMS", "Loyalty", "Luck", "ProductModel", "Shown",
    "Tastes", "draw_products", "learn", "loyalty", "past_class",
    "posterior_tastes", "price_level", "records", "tastes",
]  # fmt: skip

TASTES = 5
"""Own brand, log depth of the deal, log price and log units over the category's, promoted."""
TRIES, UNIFORMS = 8, 5
"""Attempts to find a product that is not in the basket yet, and uniforms that an attempt may use."""

_AGES = np.array([0, 1, 4, 12], dtype=np.int64)
_TIMES = np.array([1, 2, 3, 6], dtype=np.int64)
AGE_CLASSES = len(_AGES)
PAST_CLASSES = len(_AGES) * len(_TIMES)
"""Classes of past purchases: lines of the category since (from 0, 1, 4, 12) x times bought (1, 2, 3, 6)."""
_AGE_CLASS = np.searchsorted(_AGES, np.arange(RING), side="right") - 1
_TIMES_CLASS = np.maximum(np.searchsorted(_TIMES, np.arange(RING + 1), side="right") - 1, 0)

_USUAL_NOVELTY = 3.0
_TASTE_PRIOR, _HABIT_PRIOR = 6.0, 12.0
"""Precisions of a household's traits and of its habit, before its record is read."""
_CANDIDATES = 16
"""Products that a taste chooses between when one is tried: evenly spaced quantiles of the trial weights.
Tastes that accepted or refused one product at a time ran out of tries: own brands of a household then went
together by .003, in the data by .012 (covariance over categories)."""
_LEAN = 2.0
_PRICE = 2
_PER_CENT = 100.0
"""Place of the price among the traits; prices within a per cent are alike."""


Luck = Callable[[Ints, int, int], Floats]
"""Uniforms [n, UNIFORMS] for n pairs, the place of the product in the basket's category, and the attempt."""


@dataclass(frozen=True, slots=True)
class Tastes:
    """Traits of products in one period, and what trials of a category show of them.

    Attributes
    ----------
    trait
        float64 [TASTES, J].
    mean, variance
        float64 [TASTES, C]; over trials.
    """

    trait: Floats
    mean: Floats
    variance: Floats


def tastes(shelf: Shelf, trait: Floats, weight: Floats) -> Tastes:
    """Return the traits [TASTES, J] of a period with mean and variance under trial weights [J]."""
    total = np.maximum(np.add.reduceat(weight, shelf.category_start[:-1]), 1e-12)
    mean, square = (
        np.stack([np.add.reduceat(weight * x**power, shelf.category_start[:-1]) / total for x in trait])
        for power in (1, 2)
    )
    return Tastes(trait, mean, np.maximum(square - mean**2, 0.0))


@dataclass(frozen=True, slots=True)
class ProductModel:
    """Weights of the urn.

    Attributes
    ----------
    past
        float64 [PAST_CLASSES]; log weight of a past purchase, 0 for the class of the last one.
    keep
        float64 [J]; how much likelier a product is bought again than others of its category.
    novelty
        float64 [C]; weight of any product of the category, in past purchases.
    likeness
        float64 [C]; weight of another product of a past purchase's subcategory, for each.
    together
        float64 [C]; probability beyond chance that a further product shares the first one's subcategory.
    base
        float64 [J]; how often a product is tried, over its expected units.
    habit
        float; how far a household's record of repeats is believed.
    taste
        float64 [TASTES]; how far its record of traits is believed.
    whim
        float64 [TASTES]; sd of what a visit adds to tastes.
    alike
        float; log of how much likelier a further product of a category in a basket is one at the first one's
        price: another variety of the same line.
    """

    past: Floats
    keep: Floats
    novelty: Floats
    likeness: Floats
    together: Floats
    base: Floats
    habit: float
    taste: Floats
    whim: Floats
    alike: float = 0.0


@dataclass(frozen=True, slots=True)
class Loyalty:
    """What past purchases say of L lines, by class of past purchase.

    Attributes
    ----------
    own, like, all
        float32 [L, PAST_CLASSES]; weight of past purchases of the very product, of its subcategory, and of
        the category.
    habit, taste
        float32 [L], [L, TASTES]; the household's records.
    """

    own: Singles
    like: Singles
    all: Singles
    habit: Singles
    taste: Singles


def price_level(trait: Floats) -> Floats:
    """Return prices over the category's in whole per cents of traits [TASTES, ...]: equal ones are alike."""
    out: Floats = np.rint(_PER_CENT * trait[_PRICE])
    return out


def past_class(past: Ints, age: Ints) -> Ints:
    """Return the class of each past purchase [L, RING]: how long ago, and how often it was bought."""
    times = np.zeros(past.shape, dtype=np.int8)
    for place in range(RING):
        times += past == past[:, place : place + 1]
    return np.asarray(_AGE_CLASS[age] * len(_TIMES) + _TIMES_CLASS[times], dtype=np.int64)


def loyalty(memory: Memory, shelf: Shelf, pull: Floats, household: Ints, bought: Purchases) -> Loyalty:
    """Weigh what households had bought before each line; `pull` [J] is the appeal of what one knows."""
    who, c, j = household[bought.row], bought.category, bought.product
    past = memory.ring[who, c].astype(np.int64)
    there = past >= 0
    weight = np.where(there, pull[past], 0.0)
    same = (past == j[:, None]) & there
    like = (shelf.subcategory[past] == shelf.subcategory[j][:, None]) & there
    kind = past_class(past, memory.ages(who, c))
    sums = np.zeros((3, len(j), PAST_CLASSES), np.float32)
    for k in range(PAST_CLASSES):
        inside = np.where(kind == k, weight, 0.0)
        for which, mask in enumerate((same, like, there)):
            sums[which, :, k] = (mask * inside).sum(axis=1)
    habit, taste = records(memory, who)
    return Loyalty(sums[0], sums[1], sums[2], habit.astype(np.float32), taste.astype(np.float32))


def records(memory: Memory, household: Ints) -> tuple[Floats, Floats]:
    """Return households' effects after one Newton step from 0: of repeats [B], of traits [B, TASTES]."""
    score, information = memory.record[household], memory.information[household]
    habit: Floats = score[:, TASTES] / (information[:, TASTES] + _HABIT_PRIOR)
    taste: Floats = score[:, :TASTES] / (information[:, :TASTES] + _TASTE_PRIOR)
    return habit, taste


def posterior_tastes(memory: Memory, household: Ints) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of households' effects of traits, float64 [B, TASTES] each."""
    information = memory.information[household, :TASTES] + _TASTE_PRIOR
    return records(memory, household)[1], 1.0 / np.sqrt(information)


def learn(
    memory: Memory, household: Ints, bought: Purchases, own: Bools, pull: Floats, known: Tastes
) -> None:
    """Write to households' records what one day's lines show, before the lines themselves are remembered.

    Parameters
    ----------
    memory, household, bought
        Households of the day's baskets, int64 [B], and their lines.
    own
        bool [L]; bought before. Traits count where it is not: what one returns to says it already.
    pull, known
        Appeal [J] of what one knows, and traits under the aggregate's expected units.
    """
    who, c, j = household[bought.row], bought.category, bought.product
    ring = memory.ring[who, c]
    every = np.where(ring >= 0, pull[ring], 0.0).sum(axis=1)
    p = every / (every + _USUAL_NOVELTY)
    np.add.at(memory.record[:, TASTES], who, own - p)
    np.add.at(memory.information[:, TASTES], who, p * (1.0 - p))
    new = ~own
    for k in range(TASTES):
        np.add.at(memory.record[:, k], who[new], (known.trait[k, j] - known.mean[k, c])[new])
        np.add.at(memory.information[:, k], who[new], known.variance[k, c][new])


@dataclass(frozen=True, slots=True)
class Shown:
    """What a period's shelf shows.

    Attributes
    ----------
    pull
        float64 [J]; appeal of products that one knows.
    upto
        float64 [J + 1]; cumulative trial weights.
    known
        Traits, with mean and variance under trial weights.
    """

    pull: Floats
    upto: Floats
    known: Tastes


@dataclass(frozen=True, slots=True)
class _Wishes:
    """G pairs of a basket and a category, and what the household knows of each."""

    category: Ints
    past: Ints
    weight: Floats
    subcategory: Ints
    tilt: Floats


def draw_products(
    model: ProductModel,
    shelf: Shelf,
    memory: Memory,
    shown: Shown,
    tilt: Floats,
    whim: Floats,
    household: Ints,
    category: Ints,
    length: Ints,
    luck: Luck,
) -> tuple[Ints, Ints]:
    """Draw `length` different products for each of G pairs of a basket and a category.

    Parameters
    ----------
    model, shelf, memory, shown
        What is known.
    tilt, whim
        float64 [G, TASTES]; tastes of the household, and what the visit adds to them.
    household, category, length
        int64 [G].
    luck
        See :data:`Luck`.

    Returns
    -------
    tuple
        Pair of each line and its product. A pair whose category has too few products stays short.
    """
    wishes = _wishes(model, shelf, memory, shown, tilt, whim, household, category)
    out = np.full((len(category), int(length.max(initial=0))), -1, dtype=np.int64)
    for place in range(out.shape[1]):
        todo = np.flatnonzero(length > place)
        anchor = np.full(len(category), -1, dtype=np.int64)
        for attempt in range(TRIES):
            if not len(todo):
                break
            u = luck(todo, place, attempt)
            if place > 0 and attempt == 0:
                stick = (u[:, 4] < model.together[category[todo]]) & (out[todo, 0] >= 0)
                anchor[todo] = np.where(stick, shelf.subcategory[out[todo, 0]], -1)
            pick = _attempt(model, shelf, shown, wishes, todo, anchor[todo], out[:, :place], u)
            good = (pick >= 0) & ~(pick[:, None] == out[todo, :place]).any(axis=1)
            out[todo[good], place] = pick[good]
            todo = todo[~good]
    pair, at = np.nonzero(out >= 0)
    return pair.astype(np.int64), out[pair, at]


def _wishes(
    model: ProductModel,
    shelf: Shelf,
    memory: Memory,
    shown: Shown,
    tilt: Floats,
    whim: Floats,
    household: Ints,
    category: Ints,
) -> _Wishes:
    past = memory.ring[household, category].astype(np.int64)
    there = past >= 0
    kind = past_class(past, memory.ages(household, category))
    habit, _ = records(memory, household)
    x, known = shown.known.trait, shown.known
    lean = np.einsum("gk,kgr->gr", whim, x[:, past] - known.mean[:, category][:, :, None])
    weight = np.where(there, shown.pull[past], 0.0) * np.exp(model.past[kind] + np.clip(lean, -_LEAN, _LEAN))
    return _Wishes(
        category,
        past,
        weight * np.exp(model.habit * habit)[:, None],
        np.where(there, shelf.subcategory[past], -1),
        tilt + whim,
    )


def _attempt(
    model: ProductModel,
    shelf: Shelf,
    shown: Shown,
    wishes: _Wishes,
    g: Ints,
    anchor: Ints,
    taken: Ints,
    u: Floats,
) -> Ints:
    """Draw one product for each pair `g`, -1 for none."""
    upto, past, c = shown.upto, wishes.past[g], wishes.category[g]
    free = (wishes.subcategory[g] == anchor[:, None]) | (anchor < 0)[:, None]
    for place in range(taken.shape[1]):
        free &= past != taken[g, place][:, None]
    level = price_level(shown.known.trait)
    first = _first_level(level, taken[g])
    weight = _varied(np.where(free, wishes.weight[g], 0.0), level[past] == first[:, None], model.alike)
    own = np.cumsum(weight, axis=1)
    every = own[:, -1]
    c0, c1 = shelf.category_start[c], shelf.category_start[c + 1]
    a0 = np.where(anchor >= 0, shelf.subcategory_start[anchor], c0)
    a1 = np.where(anchor >= 0, shelf.subcategory_start[anchor + 1], c1)
    share = (upto[a1] - upto[a0]) / np.maximum(upto[c1] - upto[c0], 1e-12)
    l = model.likeness[c]
    which = u[:, 0] * (every * (1.0 + l) + model.novelty[c] * share)
    entry = np.minimum((own < (u[:, 1] * every)[:, None]).sum(axis=1), RING - 1)
    known = past[np.arange(len(g)), entry]
    again, like = which < every, which < every * (1.0 + l)
    s = np.maximum(shelf.subcategory[known], 0)
    low = np.where(like, upto[shelf.subcategory_start[s]], upto[a0])
    high = np.where(like, upto[shelf.subcategory_start[s + 1]], upto[a1])
    fresh = _preferred(shown, wishes.tilt[g], low, high, u, model.alike, first)
    return np.where(again, known, np.where(high > low, fresh, -1))


def _first_level(level: Floats, taken: Ints) -> Floats:
    """Return the price level of the first product taken of each pair [n, place], NaN before there is one."""
    if not taken.shape[1]:
        return np.full(len(taken), np.nan)
    out: Floats = np.where(taken[:, 0] >= 0, level[taken[:, 0]], np.nan)
    return out


def _varied(weight: Floats, same: Bools, alike: float) -> Floats:
    """Return weights [n, RING] of past purchases that favour those at the `same` price, their sum kept."""
    favoured: Floats = weight * np.exp(alike * same)
    favoured *= (weight.sum(axis=1) / np.maximum(favoured.sum(axis=1), 1e-12))[:, None]
    return favoured


def _preferred(
    shown: Shown, tilt: Floats, low: Floats, high: Floats, u: Floats, alike: float, first: Floats
) -> Ints:
    """Return what tastes choose among products tried between two cumulative weights, int64 [n]."""
    place = (u[:, 2:3] + np.arange(_CANDIDATES)) / _CANDIDATES
    at = low[:, None] + place * (high - low)[:, None]
    found = np.clip(np.searchsorted(shown.upto, at, side="right") - 1, 0, len(shown.upto) - 2)
    wished: Floats = np.zeros(found.shape)
    for k, trait in enumerate(shown.known.trait):
        wished += tilt[:, k, None] * trait[found]
    wished += alike * (price_level(shown.known.trait)[found] == first[:, None])
    upto = np.cumsum(np.exp(wished - wished.max(axis=1, keepdims=True)), axis=1)
    chosen = (upto < u[:, 3:4] * upto[:, -1:]).sum(axis=1)
    out: Ints = found[np.arange(len(found)), np.minimum(chosen, _CANDIDATES - 1)]
    return out
