"""Fit baskets: walk through what was bought day by day, then fit each part on what was known before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Floats, Ints
from pricing.errors import NotIdentified
from simulators.customers.basket_categories import (
    SIZES,
    expected_of_anybody,
    frailty,
    population_share,
    size_class,
)
from simulators.customers.basket_category_fit import Occasions, fit_categories
from simulators.customers.basket_lines import Baskets, Shelf
from simulators.customers.basket_memory import Memory, Purchases, Singles
from simulators.customers.basket_product_fit import Lines, fit_products, repeat_rates
from simulators.customers.basket_products import (
    AGE_CLASSES,
    PAST_CLASSES,
    Loyalty,
    ProductModel,
    learn,
    loyalty,
    tastes,
)
from simulators.customers.basket_running import settled
from simulators.customers.basket_size import fit_size, size_bounds, size_design, size_score
from simulators.customers.basket_units import Urn, fit_urn
from simulators.customers.baskets import Appeal, BasketModel

__all__ = ["fit_baskets"]

_WARM = 0.5
"""Baskets after this share of the time teach what a history is worth: a memory that is still filling up would
understate it."""
_LEAST_BASKETS = 50
_RUNNING_LATEST = np.array([0.8, 0.5, 0.0, 0.0])
"""What the log weight of past purchases needs, by age, when the model runs on its own purchases. Chosen by
how soon products come back on an inner split of households."""


def fit_baskets(shelf: Shelf, baskets: Baskets, appeal: Appeal) -> BasketModel:
    """Fit on baskets of households that may be read one by one.

    Parameters
    ----------
    shelf
        J products.
    baskets
        What the households bought.
    appeal
        Expected units of the same products, for every period with a basket.

    Raises
    ------
    NotIdentified
        If there are fewer than 50 baskets, or no household came twice.
    DataError
        If a basket lies in no period of `appeal`.
    """
    C, H = len(shelf.categories), len(baskets.customer)
    if len(baskets.day) < _LEAST_BASKETS or np.bincount(baskets.household).max() < 2:
        raise NotIdentified(
            f"{len(baskets.day)} baskets say too little of how households shop.",
            why=f"A basket model needs {_LEAST_BASKETS}, and households that came back.",
            todo="Hand over more of the past, or leave customers out.",
        )
    category = shelf.category[baskets.product]
    pair, length = np.unique(baskets.visit * C + category, return_counts=True)
    held = _Held(pair // C, pair % C, length, np.bincount(pair // C, minlength=len(baskets.day)))
    share = population_share(held.size, held.row, held.category, C)
    anybody = expected_of_anybody(share, held.size)
    shape = _shape(baskets, held, anybody, H)
    period = appeal.period(baskets.day)
    keep = repeat_rates(shelf, baskets, period, appeal.pull())
    memory = Memory.empty(H, C)
    seen = _walk(memory, shelf, baskets, appeal, held, anybody, shape, keep, period)
    middle = int(baskets.day[0] + _WARM * (baskets.day[-1] - baskets.day[0]))
    warm = int(np.searchsorted(baskets.day, middle))
    first_line, first_pair = np.searchsorted(baskets.visit, warm), np.searchsorted(held.row, warm)
    occasions = Occasions(
        held.size, period, seen.affinity, seen.late, seen.recency, held.row, held.category, warm
    )
    lines = Lines(baskets.visit, baskets.product, period[baskets.visit], seen.found, int(first_line))
    product = fit_products(shelf, lines, keep, appeal.units, appeal.trait)
    since_first = baskets.day[-1] + 1 - np.maximum(memory.first_visit, 0)
    group = held.category * len(SIZES) + size_class(held.size)[held.row]
    pairs, parent = slice(int(first_pair), None), np.repeat(np.arange(C), len(SIZES))
    none = np.zeros_like(length[pairs])
    model = BasketModel(
        shelf=shelf,
        customer=baskets.customer,
        rate=memory.visits / np.maximum(since_first, 1),
        size=fit_size(held.size, seen.X, baskets.household, H),
        category=fit_categories(occasions, appeal.of_categories(shelf), share, shape),
        product=_running(product),
        lines=fit_urn(length[pairs], group[pairs], parent, seen.before_lines[pairs], none),
        units=_units(shelf, baskets, appeal, lines, seen),
        memory=memory,
        as_of=int(baskets.day[-1]) + 1,
    )
    return settled(model, baskets, appeal)


def _units(shelf: Shelf, baskets: Baskets, appeal: Appeal, lines: Lines, seen: _Seen) -> Urn:
    """Fit numbers of units by product and deal, of lines whose household has a history."""
    deals = baskets.product * 2 + appeal.deal[baskets.product, lines.period]
    parent: Ints = (shelf.category[:, None] * 2 + np.arange(2)).ravel()
    kept = slice(lines.warm, None)
    return fit_urn(baskets.units[kept], deals[kept], parent, seen.before_units[kept], seen.last_units[kept])


@dataclass(frozen=True, slots=True)
class _Held:
    """Pairs of a basket and a category in it, their number of products, and each basket's number of pairs."""

    row: Ints
    category: Ints
    length: Ints
    size: Ints


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was known before each basket, pair and line."""

    X: Floats
    affinity: Singles
    late: Singles
    recency: NDArray[np.uint8]
    before_lines: Singles
    before_units: Singles
    last_units: Ints
    found: Loyalty


def _running(product: ProductModel) -> ProductModel:
    times = PAST_CLASSES // AGE_CLASSES
    return replace(product, past=product.past + np.repeat(_RUNNING_LATEST, times))


def _shape(baskets: Baskets, held: _Held, anybody: Singles, households: int) -> Floats:
    C = anybody.shape[1]
    exposure, count = np.zeros((households, C)), np.zeros((households, C))
    np.add.at(exposure, baskets.household, anybody)
    np.add.at(count, (baskets.household[held.row], held.category), 1.0)
    return frailty(count, exposure)


def _walk(
    memory: Memory,
    shelf: Shelf,
    baskets: Baskets,
    appeal: Appeal,
    held: _Held,
    anybody: Singles,
    shape: Floats,
    keep: Floats,
    period: Ints,
) -> _Seen:
    """Remember day after day what was bought, noting before each day what was known."""
    pull, score = appeal.pull() * keep[:, None], size_score(size_bounds(held.size), held.size)
    days, start = np.unique(baskets.day, return_index=True)
    stop = np.append(start[1:], len(baskets.day))
    line, pair = (np.searchsorted(v, np.append(start, len(baskets.day))) for v in (baskets.visit, held.row))
    noted: list[_Seen] = []
    for i, day in enumerate(days.tolist()):
        v, l, p = slice(start[i], stop[i]), slice(line[i], line[i + 1]), slice(pair[i], pair[i + 1])
        h, t, j = baskets.household[v], int(period[start[i]]), baskets.product[l]
        bought = Purchases(baskets.visit[l] - start[i], shelf.category[j], j, baskets.units[l])
        who = h[bought.row]
        found = loyalty(memory, shelf, pull[:, t], h, bought)
        noted.append(
            _Seen(
                X=size_design(memory, h, day),
                affinity=memory.affinity(h, shape),
                late=memory.late_affinity(h, day, shape),
                recency=memory.recency(h, day),
                before_lines=memory.lines[h[held.row[p] - start[i]], held.category[p]],
                before_units=memory.units[who, bought.category],
                last_units=memory.last_units(who, bought.category, j),
                found=found,
            )
        )
        plain = tastes(shelf, appeal.trait[:, :, t], appeal.units[:, t])
        learn(memory, h, bought, found.own.sum(axis=1) > 0.0, pull[:, t], plain)
        memory.remember(day, h, score[v], anybody[v], bought)
    return _joined(noted)


def _joined(noted: list[_Seen]) -> _Seen:
    return _Seen(
        X=np.concatenate([day.X for day in noted]),
        affinity=np.concatenate([day.affinity for day in noted]),
        late=np.concatenate([day.late for day in noted]),
        recency=np.concatenate([day.recency for day in noted]),
        before_lines=np.concatenate([day.before_lines for day in noted]),
        before_units=np.concatenate([day.before_units for day in noted]),
        last_units=np.concatenate([day.last_units for day in noted]),
        found=Loyalty(
            own=np.concatenate([day.found.own for day in noted]),
            like=np.concatenate([day.found.like for day in noted]),
            all=np.concatenate([day.found.all for day in noted]),
            habit=np.concatenate([day.found.habit for day in noted]),
            taste=np.concatenate([day.found.taste for day in noted]),
        ),
    )
