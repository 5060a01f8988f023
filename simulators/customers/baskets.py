"""Baskets: what households take home on their shopping days, at the prices of the day.

For each visit a size is drawn (distinct categories), then the categories, how many products of each, which
ones and how many units. Prices speak through the aggregate demand model alone: its expected units of the
period are the appeal of categories and products. Every draw follows from (seed, household, day, draw).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from pricing.arrays import Bools, Floats, Ints, Words
from pricing.errors import DataError, UsageError
from pricing.randomness import label_hash, normals, uniforms
from simulators.customers.basket_categories import SIZES, CategoryModel, choose, inclusion, size_class
from simulators.customers.basket_lines import Baskets, Shelf
from simulators.customers.basket_memory import MOST_LINES, Memory, Purchases
from simulators.customers.basket_products import (
    TASTES,
    TRIES,
    UNIFORMS,
    ProductModel,
    Shown,
    Tastes,
    draw_products,
    learn,
    posterior_tastes,
    tastes,
)
from simulators.customers.basket_size import SizeModel, size_design, size_score
from simulators.customers.basket_units import Urn

__all__ = ["Appeal", "BasketModel", "Visits", "simulate_baskets"]

_NEIGHBOURS, _NEIGHBOURHOODS = 60, 10
"""A household unseen is drawn like one of so many known ones that shop as often, a tenth of all at most."""
_LINES_SHARED, _UNITS_SHARED = 0.1, 0.3
"""Share of the variance behind numbers of products, and of units, that a basket shares. Chosen on an inner
split of households."""
_LEAST_PULL, _MOST_PULL = 0.05, 20.0
_LARGEST = 0.75
"""Largest share of the shop's categories in one basket."""
_SIZE, _MOOD, _WHIM, _LINES, _UNITS = 1, 2, 30, 40, 41
_CATEGORY, _LENGTH, _PRODUCT = 1 << 16, 2 << 16, 1 << 20
_DRAWS = 256
_EDGE = 1e-12


@dataclass(frozen=True, slots=True)
class Visits:
    """Who shops when.

    Attributes
    ----------
    customer
        H names.
    household, day
        int64 [V]; ascending by day, then household; a household at most once a day. Days count from
        1970-01-01.
    """

    customer: tuple[str, ...]
    household: Ints
    day: Ints

    @staticmethod
    def of(customer: tuple[str, ...], visited: Bools, first_day: int) -> Visits:
        """Return the visits in `visited` [H, D], whose first column is `first_day`."""
        column, household = np.nonzero(visited.T)
        return Visits(customer, household.astype(np.int64), (column + first_day).astype(np.int64))


@dataclass(frozen=True, slots=True)
class Appeal:
    """What the aggregate model expects of J products in T periods, and how baskets are held to it.

    Attributes
    ----------
    units
        float64 [J, T]; expected units, 0 where a product is not on sale. Only their proportions count.
    first_day
        int64 [T]; first days of the periods, ascending.
    period_days
        int; days of a period.
    deal
        bool [J, T]; the shelf price lies 5 % or more below the regular one.
    trait
        float64 [TASTES, J, T]; own brand, log depth of the deal, log price over the category's, log
        units over the category's, promoted.
    size_lift, category_lift, product_lift
        float64 [T], [C, T], [J]; what sizes are scored higher by, and log factors, found by
        :func:`simulators.customers.basket_totals.reconcile`.
    """

    units: Floats
    first_day: Ints
    period_days: int
    deal: Bools
    trait: Floats
    size_lift: Floats
    category_lift: Floats
    product_lift: Floats

    @staticmethod
    def of(
        shelf: Shelf, units: Floats, first_day: Ints, period_days: int, deal: Bools, trait: Floats
    ) -> Appeal:
        """Return expected units without lifts; arguments as the attributes."""
        T = len(first_day)
        lifts = np.zeros(T), np.zeros((len(shelf.categories), T)), np.zeros(len(shelf))
        return Appeal(units, first_day, period_days, deal, trait, *lifts)

    def period(self, day: Ints) -> Ints:
        """Return the period of each day.

        Raises
        ------
        DataError
            If a day lies outside all of them.
        """
        found = np.searchsorted(self.first_day, day, side="right").astype(np.int64) - 1
        late = day >= self.first_day[np.maximum(found, 0)] + self.period_days
        outside = np.flatnonzero((found < 0) | late)
        if outside.size:
            raise DataError(
                f"Day {int(day[outside[0]])} since 1970-01-01 lies in no period with expected units.",
                todo="Give expected units of every period in which households shop.",
            )
        return found

    def of_categories(self, shelf: Shelf) -> Floats:
        """Return log expected units of each category over their mean, lifts included, float64 [C, T]."""
        total = np.log(np.maximum(np.add.reduceat(self.units, shelf.category_start[:-1], axis=0), 1e-9))
        out: Floats = total - total.mean(axis=1, keepdims=True) + self.category_lift
        return out

    def pull(self) -> Floats:
        """Return expected units of each product over their mean while on sale, within 1/20 to 20, [J, T]."""
        there = self.units > 0.0
        mean = self.units.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        ratio = self.units / np.maximum(mean, 1e-12)[:, None]
        return np.where(there, np.clip(ratio, _LEAST_PULL, _MOST_PULL), 0.0)


@dataclass(frozen=True, slots=True)
class BasketModel:
    """Everything that :func:`simulators.customers.basket_fit.fit_baskets` learned.

    Attributes
    ----------
    shelf, customer
        Products, and the H households that it was fitted on.
    rate
        float64 [H]; baskets a day.
    size, category, product
        Parts of the model.
    lines, units
        Numbers of products by category and class of size; numbers of units by product and deal.
    memory
        Of the households, as of `as_of`: the first day that the fit did not see.
    """

    shelf: Shelf
    customer: tuple[str, ...]
    rate: Floats
    size: SizeModel
    category: CategoryModel
    product: ProductModel
    lines: Urn
    units: Urn
    memory: Memory
    as_of: int


@dataclass(frozen=True, slots=True)
class _Luck:
    """Uniforms that follow from (seed, draw, household, day, slot) alone."""

    hashes: Words
    seed: int
    draw: int

    def at(self, household: Ints, day: int, slot: Ints | int) -> Floats:
        """Return uniforms of the broadcast shape of `household` and `slot`, in the open unit interval."""
        shape = np.broadcast_shapes(household.shape, np.shape(slot))
        keys = np.empty((*shape, 4), dtype=np.uint64)
        name = np.broadcast_to(self.hashes[household], shape)
        keys[..., 0], keys[..., 1] = name >> np.uint64(32), name & np.uint64(0xFFFFFFFF)
        keys[..., 2] = np.uint64(day) | np.uint64(self.draw << 24)
        keys[..., 3] = np.broadcast_to(np.asarray(slot), shape).astype(np.uint64)
        return np.clip(uniforms(keys, self.seed), _EDGE, 1.0 - _EDGE)

    def normal(self, household: Ints, day: int, slot: Ints | int) -> Floats:
        """Return standard normals of the same shape."""
        return np.asarray(ndtri(self.at(household, day, slot)), dtype=np.float64)


def simulate_baskets(
    model: BasketModel, visits: Visits, appeal: Appeal, seed: int, *, draw: int = 0, acquainted: bool = True
) -> Baskets:
    """Draw what lies in the basket of every visit.

    A household of the fit goes on from what is remembered of it, its level drawn from its posterior. Any
    other is a draw from the population: it begins like a known household that shops as often, and from then
    on has a history of its own. What a household buys does not depend on who else is simulated.

    Parameters
    ----------
    model
        Fitted.
    visits
        Who shops when.
    appeal
        Expected units of every period with a visit.
    seed, draw
        The number of the world, 0-255: each has its own levels and its own luck.
    acquainted
        False: nobody is known, whatever the names; for replays of what the fit has seen.

    Raises
    ------
    UsageError
        If a known household shops before the fit ended, or `draw` is out of range.
    DataError
        If a visit lies in no period of `appeal`.
    """
    if not 0 <= draw < _DRAWS:
        raise UsageError(f"draw is {draw}.", why=f"A seed has {_DRAWS} worlds.", todo="Take another seed.")
    place = {name: i for i, name in enumerate(model.customer)} if acquainted else {}
    known = np.array([place.get(name, -1) for name in visits.customer], dtype=np.int64)
    if (visits.day[known[visits.household] >= 0] < model.as_of).any():
        raise UsageError(
            "A known household shops before the fit ended.",
            why="What it bought on that day is part of what the model knows.",
            todo="Simulate later days, or with acquainted=False.",
        )
    period = appeal.period(visits.day)
    hashes = np.array([label_hash(name, "baskets") for name in visits.customer], dtype=np.uint64)
    luck = _Luck(hashes, seed, draw)
    like = _like(model, visits, known, luck)
    moved = np.where(known >= 0, 0, int(visits.day[0]) - model.as_of if len(visits.day) else 0)
    memory = model.memory.like(like, moved)
    z = normals(hashes, np.array([draw], dtype=np.int64), 1 + TASTES, seed)[0]
    level = model.size.level[like] + model.size.level_sd[like] * z[:, 0]
    mean, sd = posterior_tastes(memory, np.arange(len(like), dtype=np.int64))
    taste = model.product.taste * (mean + sd * z[:, 1:])
    shop = _Shop(model, appeal, luck, memory, level, model.size.spread[like], taste)
    days, start = np.unique(visits.day, return_index=True)
    bought: list[Purchases] = []
    for day, first, stop in zip(days.tolist(), start, np.append(start[1:], len(visits.day)), strict=True):
        found = shop.day(day, int(period[first]), visits.household[first:stop])
        bought.append(replace(found, row=found.row + first))
    columns = ([getattr(b, name) for b in bought] for name in ("row", "product", "units"))
    nothing = np.zeros(0, dtype=np.int64)
    return Baskets(
        visits.customer, visits.household, visits.day, *(np.concatenate([nothing, *c]) for c in columns)
    )


def _like(model: BasketModel, visits: Visits, known: Ints, luck: _Luck) -> Ints:
    """Return the known household [H] that each one is, or that it is like."""
    H = len(visits.customer)
    span = int(visits.day[-1] - visits.day[0]) + 1 if len(visits.day) else 1
    came = np.bincount(visits.household, minlength=H) / span
    ranked = np.argsort(model.rate, kind="stable")
    u = luck.at(np.arange(H, dtype=np.int64), 0, 0)
    window = min(_NEIGHBOURS, -(-len(ranked) // _NEIGHBOURHOODS))
    first = np.searchsorted(model.rate[ranked], came) - window // 2
    near = np.clip(first, 0, len(ranked) - window) + np.floor(u * window).astype(np.int64)
    return np.where(known >= 0, known, ranked[near])


class _Shop:
    """One world while its days go by.

    Parameters
    ----------
    model, appeal, luck, memory
        What holds.
    level, spread
        float64 [H]; of basket sizes.
    taste
        float64 [H, TASTES].
    """

    def __init__(
        self,
        model: BasketModel,
        appeal: Appeal,
        luck: _Luck,
        memory: Memory,
        level: Floats,
        spread: Floats,
        taste: Floats,
    ) -> None:
        self._model, self._appeal, self._luck, self._memory = model, appeal, luck, memory
        self._level, self._spread = level, spread
        self._week = appeal.of_categories(model.shelf)
        fitted = min(self._week.shape[1], model.category.week.shape[1])
        self._week[:, :fitted] += model.category.week[:, :fitted]
        lift = np.exp(appeal.product_lift)
        self._pull = appeal.pull() * (model.product.keep * lift)[:, None]
        self._tried = model.product.base * lift
        self._taste = taste

    def day(self, day: int, t: int, household: Ints) -> Purchases:
        """Fill the baskets of `household` [B] on a day of period `t`, and remember them."""
        model, memory = self._model, self._memory
        mean = size_design(memory, household, day) @ model.size.coefficient + self._level[household]
        mean = mean + self._appeal.size_lift[t]
        size = model.size.drawn(mean, self._spread[household], self._luck.at(household, day, _SIZE))
        size = np.minimum(size, max(1, int(len(model.shelf.categories) * _LARGEST)))
        row, category = self._categories(day, t, household, size)
        found = self._lines(day, t, household, size, row, category)
        score = size_score(model.size.bounds, size)
        memory.remember(day, household, score, model.category.of_anybody(size), found)
        return found

    def _categories(self, day: int, t: int, household: Ints, size: Ints) -> tuple[Ints, Ints]:
        choice = self._model.category
        rate = choice.log_rate(self._memory, household, day, size, self._week[:, t])
        M: int = choice.mood.shape[1]
        C = len(choice.slope)
        moods = self._luck.normal(household[:, None], day, _MOOD + np.arange(M, dtype=np.int64))
        p = inclusion(rate + moods @ choice.mood.T, size)
        return choose(p, size, self._luck.at(household[:, None], day, _CATEGORY + np.arange(C)))

    def _lines(self, day: int, t: int, household: Ints, size: Ints, row: Ints, category: Ints) -> Purchases:
        model, memory, luck = self._model, self._memory, self._luck
        who, shelf = household[row], model.shelf
        u = _shared(luck.normal(who, day, _LENGTH + category), luck.normal(who, day, _LINES), _LINES_SHARED)
        group = category * len(SIZES) + size_class(size)[row]
        length = model.lines.drawn(group, memory.lines[who, category], np.zeros_like(row), u)
        shown, plain = self._shown(t)
        whim = luck.normal(who[:, None], day, _WHIM + np.arange(TASTES)) * model.product.whim
        slot = _PRODUCT + category * (MOST_LINES * TRIES * UNIFORMS)

        def tries(todo: Ints, place: int, attempt: int) -> Floats:
            first = slot[todo] + (place * TRIES + attempt) * UNIFORMS
            return luck.at(who[todo][:, None], day, first[:, None] + np.arange(UNIFORMS))

        pair, product = draw_products(
            model.product, shelf, memory, shown, self._taste[who], whim, who, category, length, tries
        )
        order = np.lexsort((product, row[pair]))
        line = Purchases(row[pair][order], category[pair][order], product[order], product[order])
        line = replace(line, units=self._units(day, t, household, line))
        own = (memory.ring[household[line.row], line.category] == line.product[:, None]).any(axis=1)
        learn(memory, household, line, own, shown.pull, plain)
        return line

    def _shown(self, t: int) -> tuple[Shown, Tastes]:
        """Return the period's shelf, and its traits under expected units alone."""
        shelf, units, trait = self._model.shelf, self._appeal.units[:, t], self._appeal.trait[:, :, t]
        tried = self._tried * units
        upto = np.concatenate([[0.0], np.cumsum(tried)])
        return Shown(self._pull[:, t], upto, tastes(shelf, trait, tried)), tastes(shelf, trait, units)

    def _units(self, day: int, t: int, household: Ints, line: Purchases) -> Ints:
        model, memory, luck = self._model, self._memory, self._luck
        who = household[line.row]
        own = luck.normal(who, day, (_PRODUCT << 1) + line.product)
        u = _shared(own, luck.normal(who, day, _UNITS), _UNITS_SHARED)
        group = line.product * 2 + self._appeal.deal[line.product, t]
        last = memory.last_units(who, line.category, line.product)
        return model.units.drawn(group, memory.units[who, line.category], last, u)


def _shared(own: Floats, common: Floats, share: float) -> Floats:
    """Return uniforms whose normal scores share a part of their variance with the rest of the basket."""
    return np.asarray(ndtr(np.sqrt(1.0 - share) * own + np.sqrt(share) * common), dtype=np.float64)
