"""Fit the urn of products: expectation-maximisation over where each line came from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Floats, Ints
from simulators.customers.basket_lines import Baskets, Shelf
from simulators.customers.basket_products import PAST_CLASSES, TASTES, Loyalty, ProductModel, tastes

__all__ = ["Lines", "fit_products", "repeat_rates"]

_ROUNDS, _STEPS = 10, 4
_GROUP_WEIGHT = 2.0
_TRIED_PRIOR, _KEPT_PRIOR = 0.05, 3.0
_LAGS, _KEPT_ROUNDS = 16, 4
_NOVELTY, _LIKENESS = 3.0, 0.3
_TOGETHER_PRIOR = 10.0
_CAP = 3.0


@dataclass(frozen=True, slots=True)
class Lines:
    """L lines as the fit sees them, ascending by basket.

    Attributes
    ----------
    visit, product, period
        int64 [L].
    found
        What the households had bought before.
    warm
        int; the first line with a history long enough to teach what histories are worth.
    """

    visit: Ints
    product: Ints
    period: Ints
    found: Loyalty
    warm: int


def fit_products(shelf: Shelf, lines: Lines, keep: Floats, units: Floats, trait: Floats) -> ProductModel:
    """Fit every weight but `keep`.

    Parameters
    ----------
    shelf, lines
        Products and lines.
    keep
        float64 [J]; of :func:`repeat_rates`; the weights in `lines.found` have it in.
    units
        float64 [J, T]; expected units of the aggregate model.
    trait
        float64 [TASTES, J, T].
    """
    C = len(shelf.categories)
    c = shelf.category[lines.product]
    model = ProductModel(
        past=np.zeros(PAST_CLASSES),
        keep=keep,
        novelty=np.full(C, _NOVELTY),
        likeness=np.full(C, _LIKENESS),
        together=np.zeros(C),
        base=np.ones(len(shelf)),
        habit=0.0,
        taste=np.zeros(TASTES),
        whim=np.zeros(TASTES),
    )
    x = trait[:, lines.product, lines.period]
    for _ in range(_ROUNDS):
        model = _round(model, shelf, lines, units, trait, x)
    mean, variance = _moments(shelf, model.base, units, trait, c, lines.period)
    shares = _base_shares(shelf, model.base, units, lines)
    came = _came_from(model, lines, c, shares, x - mean, variance)
    model = replace(model, together=_together(model, shelf, lines, c, shares))
    return replace(model, whim=_whim(model, lines, came.fresh, x - mean, variance))


def _round(
    model: ProductModel, shelf: Shelf, lines: Lines, units: Floats, trait: Floats, x: Floats
) -> ProductModel:
    """Improve the weights for given trials, then the trials for given weights."""
    c = shelf.category[lines.product]
    mean, variance = _moments(shelf, model.base, units, trait, c, lines.period)
    shares = _base_shares(shelf, model.base, units, lines)
    for _ in range(_STEPS):
        came = _came_from(model, lines, c, shares, x - mean, variance)
        model = _stepped(model, lines, c, came, x - mean, variance)
    came = _came_from(model, lines, c, shares, x - mean, variance)
    return replace(model, base=_tried(shelf, model.base, units, lines, came))


@dataclass(frozen=True, slots=True)
class _Came:
    """Probabilities [L] that a line is a repeat, a like product or a fresh one, and what was expected."""

    own: Floats
    like: Floats
    fresh: Floats
    like_expected: Floats
    fresh_expected: Floats
    share: Floats
    habit: Floats
    mass: Floats
    total: Floats


def _came_from(
    model: ProductModel, lines: Lines, c: Ints, shares: tuple[Floats, Floats], away: Floats, variance: Floats
) -> _Came:
    found, (in_category, in_subcategory) = lines.found, shares
    n, l, weight = model.novelty[c], model.likeness[c], np.exp(model.past)
    habit = np.exp(model.habit * found.habit)
    own, like, every = (habit * (part @ weight) for part in (found.own, found.like, found.all))
    tilt = model.taste[:, None] * found.taste.T
    lift = np.exp(np.clip((tilt * away - 0.5 * tilt**2 * variance).sum(axis=0), -_CAP, _CAP))
    liked, fresh = l * like * in_subcategory, n * in_category * lift
    mass, total = own + liked + fresh, every * (1.0 + l) + n
    return _Came(
        own / mass,
        liked / mass,
        fresh / mass,
        l * every / total,
        n / total,
        in_subcategory,
        habit,
        mass,
        total,
    )


def _stepped(
    model: ProductModel, lines: Lines, c: Ints, came: _Came, away: Floats, variance: Floats
) -> ProductModel:
    """Take one damped Newton step in every weight; short histories teach only what is tried."""
    warm = (np.arange(len(c)) >= lines.warm).astype(np.float64)
    found, C = lines.found, len(model.novelty)

    def grouped(log_weight: Floats, got: Floats, expected: Floats) -> Floats:
        gradient = np.bincount(c, warm * (got - expected), C)
        gradient = gradient - _GROUP_WEIGHT * (log_weight - log_weight.mean())
        information = np.bincount(c, warm * expected * (1.0 - expected), C) + _GROUP_WEIGHT
        out: Floats = np.exp(log_weight + np.clip(gradient / information, -0.7, 0.7))
        return out

    past = model.past.copy()
    for k in range(PAST_CLASSES):
        weight, l = came.habit * np.exp(model.past[k]), model.likeness[c]
        got = weight * (found.own[:, k] + l * found.like[:, k] * came.share) / came.mass
        expected = weight * found.all[:, k] * (1.0 + l) / came.total
        step = (warm * (got - expected)).sum() / ((warm * expected * (1.0 - expected)).sum() + 1.0)
        past[k] += 0.7 * np.clip(step, -0.5, 0.5)
    repeats, spread = came.fresh_expected - came.fresh, came.fresh_expected * (1.0 - came.fresh_expected)
    habit = (warm * repeats * found.habit).sum() / ((warm * spread * found.habit**2).sum() + 1.0)
    tilt = model.taste[:, None] * found.taste.T
    taste = (came.fresh * found.taste.T * (away - tilt * variance)).sum(axis=1)
    taste = taste / ((came.fresh * found.taste.T**2 * variance).sum(axis=1) + 1.0)
    return replace(
        model,
        past=past - past[0],
        novelty=grouped(np.log(model.novelty), came.fresh, came.fresh_expected),
        likeness=grouped(np.log(model.likeness), came.like, came.like_expected),
        habit=float(model.habit + np.clip(habit, -0.5, 0.5)),
        taste=model.taste + np.clip(taste, -0.5, 0.5),
    )


def _moments(
    shelf: Shelf, base: Floats, units: Floats, trait: Floats, c: Ints, period: Ints
) -> tuple[Floats, Floats]:
    """Return mean and variance of the traits of what might be tried, [TASTES, L] each."""
    known = [tastes(shelf, trait[:, :, t], base * units[:, t]) for t in range(units.shape[1])]
    mean, variance = (np.stack([getattr(k, name) for k in known], axis=2) for name in ("mean", "variance"))
    return mean[:, c, period], variance[:, c, period]


def _base_shares(shelf: Shelf, base: Floats, units: Floats, lines: Lines) -> tuple[Floats, Floats]:
    """Return the share of each line's product in trials of its category, and of its subcategory, [L] each."""
    weight = base[:, None] * units
    own = np.maximum(weight[lines.product, lines.period], 1e-12)
    shares: list[Floats] = []
    for label, start in (
        (shelf.category, shelf.category_start),
        (shelf.subcategory, shelf.subcategory_start),
    ):
        inside = np.add.reduceat(weight, start[:-1], axis=0)
        shares.append(own / np.maximum(inside[label[lines.product], lines.period], 1e-12))
    return shares[0], shares[1]


def _tried(shelf: Shelf, base: Floats, units: Floats, lines: Lines, came: _Came) -> Floats:
    """Return trials of each product over those expected at its expected units alone, [J]."""
    T, weight = units.shape[1], base[:, None] * units
    exposure = np.zeros(len(shelf))
    for label, start, tried in (
        (shelf.category, shelf.category_start, came.fresh),
        (shelf.subcategory, shelf.subcategory_start, came.like),
    ):
        inside, G = np.add.reduceat(weight, start[:-1], axis=0), len(start) - 1
        cell = label[lines.product] * T + lines.period
        number = np.bincount(cell, tried, G * T).reshape(G, T)
        exposure += (units * (number / np.maximum(inside, 1e-12))[label]).sum(axis=1)
    got = np.bincount(lines.product, came.like + came.fresh, len(shelf))
    out: Floats = (got + _TRIED_PRIOR) / (exposure + _TRIED_PRIOR)
    return out


def _together(
    model: ProductModel, shelf: Shelf, lines: Lines, c: Ints, shares: tuple[Floats, Floats]
) -> Floats:
    """Compare how often two products of one basket and category share a subcategory with chance, [C]."""
    n, l, weight = model.novelty[c], model.likeness[c], np.exp(model.past)
    habit, C = np.exp(model.habit * lines.found.habit), len(model.novelty)
    like, every = habit * (lines.found.like @ weight), habit * (lines.found.all @ weight)
    chance = (like * (1.0 + l) + n * shares[0] / shares[1]) / (every * (1.0 + l) + n)
    cells, g, counts = np.unique(lines.visit * C + c, return_inverse=True, return_counts=True)
    S = len(shelf.subcategory_start)
    of, sizes = np.unique(g * S + shelf.subcategory[lines.product], return_counts=True)
    pairs = np.bincount(of // S, sizes * (sizes - 1.0), len(cells))
    many = counts > 1
    same = pairs[many] / (counts[many] * (counts[many] - 1.0))
    by_chance = (np.bincount(g, chance, len(cells)) / counts)[many]
    where = cells[many] % C
    got, base, number = (np.bincount(where, x, C) for x in (same, by_chance, np.ones(len(same))))
    overall = (got - base).sum() / max(float((number - base).sum()), 1e-9)
    out = (got - base + _TOGETHER_PRIOR * overall) / (number - base + _TOGETHER_PRIOR)
    bounded: Floats = np.clip(out, 0.0, 0.95)
    return bounded


def _whim(model: ProductModel, lines: Lines, fresh: Floats, away: Floats, variance: Floats) -> Floats:
    """Return the sd [TASTES] of what tastes of a basket share beyond the household's, by moments."""
    out = np.zeros(TASTES)
    for k in range(TASTES):
        information = fresh * variance[k]
        beyond = fresh * away[k] - information * model.taste[k] * lines.found.taste[:, k]
        (s, s2), (i, i2) = (
            (np.bincount(lines.visit, x), np.bincount(lines.visit, x**2)) for x in (beyond, information)
        )
        out[k] = np.sqrt(max(float((s**2 - s2).sum()) / max(float((i**2 - i2).sum()), 1e-9), 0.0))
    return out


def repeat_rates(shelf: Shelf, baskets: Baskets, period: Ints, pull: Floats) -> Floats:
    """Return how much likelier each product is bought again than others of its category, float64 [J].

    Repeats over those expected if each product of the last sixteen lines of the category pulled at its
    period's appeal `pull` [J, T] alone; three expected repeats are the prior.
    """
    category = shelf.category[baskets.product]
    order = np.lexsort((baskets.visit, category, baskets.household[baskets.visit]))
    h, c = baskets.household[baskets.visit][order], category[order]
    j, visit = baskets.product[order], baskets.visit[order]
    t, J = period[visit], len(shelf)
    keep = np.ones(J)
    for _ in range(_KEPT_ROUNDS):
        total, own = np.full(len(j), _NOVELTY), np.zeros(len(j))
        weights: list[Floats] = []
        for lag in range(1, min(_LAGS + 1, len(j))):
            other = (h[lag:] == h[:-lag]) & (c[lag:] == c[:-lag]) & (visit[lag:] != visit[:-lag])
            weights.append(np.where(other, pull[j[:-lag], t[lag:]], 0.0))
            total[lag:] += keep[j[:-lag]] * weights[-1]
            own[lag:] += keep[j[:-lag]] * weights[-1] * (j[lag:] == j[:-lag])
        exposure = np.zeros(J)
        for lag, weight in enumerate(weights, start=1):
            exposure += np.bincount(j[:-lag], weight / total[lag:], J)
        hits = np.bincount(j[own > 0.0], minlength=J)
        got, expected = (np.add.reduceat(v, shelf.category_start[:-1]) for v in (hits, exposure))
        level = got / np.maximum(expected, 1e-9)
        usual = np.where(level > 0.0, level, 1.0)[shelf.category]
        keep = (hits / usual + _KEPT_PRIOR) / (exposure + _KEPT_PRIOR)
    return keep
