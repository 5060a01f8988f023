"""Real against simulated: whether a classifier tells held-out sales from sales that the model made up.

The other checks ask questions that somebody thought of. This one lets gradient boosting look for whatever
gives a simulation away, at two levels: products in a period (their units, lags, zeros, restlessness, answers
to price moves) and categories in a period (what their products share). Twins have the same prices, promotions
and calendar, and the market's own noise: posterior, shared shocks, dispersion and absences. Two simulations
told apart in the same way are the floor beside it: what a perfect model would get.

*Over expected* means over what the model expects times what the whole shop sold over expected in that
period. What the shop shares is one number a period, too few for a classifier to judge (totals and replay
do): with it in, two simulations of a small shop were told apart as .4 to .8 and not as .5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.model import DemandModel
from simulators.demand.forecast import cell_variance
from simulators.demand.metrics import total_by
from simulators.demand.validate import Backtest
from simulators.passport.classifier import Sample, Told, told_apart
from simulators.passport.distribution import log_mean, sales_cdf
from simulators.passport.replay import simulated_units
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Figure, Reason, Table, absent, check

__all__ = ["CATEGORY_FEATURES", "PRODUCT_FEATURES", "Setting", "Twins", "twins", "twins_check"]

PRODUCT_FEATURES = (
    "expected", "units", "surprise", "standardised", "before", "zeros", "restless", "level", "step", "move",
    "answer_step", "answer_move",
)  # fmt: skip
"""Of a product in a period: expected units (log), units, log(1 + units) over expected, the same in standard
deviations, surprise of the period before, share of periods without a sale over expected, mean squared
standardised surprise, total over expected; log price moves against the period before and the training mean,
and each times the surprise."""

CATEGORY_FEATURES = (
    "expected", "total", "standardised", "before", "turn", "restless", "level", "zeros", "step", "answer",
)  # fmt: skip
"""Of a category in a period: expected units (log), total over expected (log), the same in standard
deviations, the period before and change since, mean squared standardised total, mean of it, share of
products without a sale over expected, mean price move weighted by expected units, and that by the total."""

_WORLDS = 8
_FIRST_DRAW = 128
"""Posterior draws of the twins: none that the replay takes."""
_LEAST_CELLS = 1000
"""Fewer cells of either kind leave the AUC an error of .013 and more, before groups are counted."""
_LEAST_GROUPS = 12
"""Fewer categories leave four or less in a fold."""
_BEST = 2
"""One part in so many of the series that are looked at are those that sold most."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same in every world: R held-out cells of n series, G categories, H periods.

    Attributes
    ----------
    series, period, group
        int64 [R]; place of the series 0 .. n-1, period 0 .. H-1, and category.
    expected, variance, nothing
        float64 [R]; expected units, variance of sales with the category's shock, and chance of no sale.
    step, move
        float64 [R]; log price over that of the period before, and over the training mean.
    shape
        (n, G, H).
    total, total_variance
        float64 [G, H]; expected units of each category, and variance of their sum.
    """

    series: Ints
    period: Ints
    group: Ints
    expected: Floats
    variance: Floats
    nothing: Floats
    step: Floats
    move: Floats
    shape: tuple[int, int, int]
    total: Floats
    total_variance: Floats

    @staticmethod
    def of(model: DemandModel, found: Backtest) -> Setting:
        """Return the setting of a backtest inside support."""
        names, series = np.unique(found.rows, return_inverse=True)
        group = model.category[found.rows]
        n, G, H = len(names), len(model.category_shock_sd), int(found.period.max()) + 1
        cell = cell_variance(model, found.rows, found.expected, found.variance)
        part = np.expm1(model.category_shock_sd**2)
        own, mu = (_totals(group, found.period, x, G, H) for x in (cell, found.expected))
        return Setting(
            series=series.astype(np.int64),
            period=found.period,
            group=group,
            expected=found.expected,
            variance=cell + found.expected**2 * part[group],
            nothing=sales_cdf(log_mean(model, found), np.zeros(len(group))),
            step=found.step,
            move=found.move,
            shape=(n, G, H),
            total=mu,
            total_variance=own + mu**2 * part[:, None],
        )

    def products(self, units: Floats) -> Floats:
        """Return :data:`PRODUCT_FEATURES` of every cell, float64 [R, F]."""
        n, _, H = self.shape
        i, shop = self.series, self._shop(units)[self.period]
        mu = self.expected * shop
        surprise = np.log1p(units) - np.log1p(mu)
        away = (units - mu) / np.sqrt(_scaled(self.variance, self.expected, shop))
        before = _before(surprise, i, self.period, n, H)
        count = total_by(i, np.ones(len(i)), n)
        zeros = total_by(i, (units == 0.0) - self.nothing, n) / count
        level = np.log1p(total_by(i, units, n)) - np.log1p(total_by(i, mu, n))
        columns = (
            np.log(self.expected), units, surprise, away, before, zeros[i],
            (total_by(i, away**2, n) / count)[i], level[i], self.step, self.move, surprise * self.step,
            surprise * self.move,
        )  # fmt: skip
        return np.stack(columns, axis=1)

    def categories(self, units: Floats, kept: Bools) -> Floats:
        """Return :data:`CATEGORY_FEATURES` of the categories and periods `kept` [G, H], float64 [K, F]."""
        _, G, H = self.shape
        total, zeros, count, moved = (
            _totals(self.group, self.period, x, G, H)
            for x in (units, (units == 0.0) - self.nothing, np.ones(len(units)), self.expected * self.step)
        )
        shop = self._shop(units)
        mu, variance = self.total * shop, _scaled(self.total_variance, self.total, shop)
        ratio = np.log1p(total) - np.log1p(mu)
        away = np.where(kept, (total - mu) / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
        before = np.concatenate([np.full((G, 1), np.nan), away[:, :-1]], axis=1)
        there = np.maximum(kept.sum(axis=1), 1)[:, None]
        step = moved / np.maximum(self.total, 1e-12)
        columns = (
            np.log(np.maximum(self.total, 1e-12)), ratio, away, before, away - before,
            np.repeat((away**2).sum(axis=1, keepdims=True) / there, H, axis=1),
            np.repeat(away.sum(axis=1, keepdims=True) / there, H, axis=1),
            zeros / np.maximum(count, 1.0), step, step * ratio,
        )  # fmt: skip
        return np.stack([column[kept] for column in columns], axis=1)

    def _shop(self, units: Floats) -> Floats:
        """Return what the whole shop sold over expected in each period, float64 [H]."""
        H = self.shape[2]
        sold, expected = (total_by(self.period, x, H) for x in (units, self.expected))
        return np.asarray(sold / np.maximum(expected, 1e-12))


@dataclass(frozen=True, slots=True)
class Twins:
    """How well held-out sales are told from simulated ones, and two simulations from each other.

    Attributes
    ----------
    products, products_floor
        Of products in a period.
    categories, categories_floor
        Of categories in a period; None where there are too few.
    cells, series
        Number of cells of either kind, and of their series.
    """

    products: Told
    products_floor: Told
    categories: Told | None
    categories_floor: Told | None
    cells: int
    series: int


def twins(model: DemandModel, found: Backtest, most: int, seed: int) -> Twins:
    """Simulate the held-out cells and try to tell them from the real ones.

    Parameters
    ----------
    model, found
        The model, and its backtest inside support.
    most
        Series that the trees look at, at most: half of them those that sold most in the last eight training
        periods, the others at random. Totals of categories count all series.
    seed
        All draws follow from it.
    """
    setting = Setting.of(model, found)
    drawn = simulated_units(
        model, found, _WORLDS + 1, np.random.default_rng((seed, 5)), first=_FIRST_DRAW
    )  # fmt: skip
    other, *made = drawn
    groups = len(np.unique(setting.group))
    seen = _sampled(setting.series, found.naive, most, seed)
    group = (setting.group if groups >= _LEAST_GROUPS else setting.series)[seen]

    def cells(units: Floats) -> Sample:
        return Sample(setting.products(units)[seen], group, setting.period[seen])

    twin = cells(made[0])
    products, floor = (told_apart(cells(units), twin, seed) for units in (found.units, other))
    pair: tuple[Told | None, Told | None] = (None, None)
    if groups >= _LEAST_GROUPS:
        pair = _categories(setting, found.units, other, made, seed)
    return Twins(products, floor, *pair, int(seen.sum()), len(np.unique(setting.series[seen])))


def twins_check(model: DemandModel, found: Backtest, most: int, seed: int) -> Check:
    """Judge whether held-out sales are told from simulated ones; arguments as :func:`twins`."""
    if len(found.units) < _LEAST_CELLS:
        return absent("twins", Reason.FEW_CELLS)
    made = twins(model, found, most, seed)
    levels = (
        ("products", PRODUCT_FEATURES, made.products, made.products_floor),
        ("categories", CATEGORY_FEATURES, made.categories, made.categories_floor),
    )
    figures: list[Figure] = []
    rows: list[tuple[str | float, ...]] = []
    for name, features, told, floor in levels:
        if told is None or floor is None:
            figures.append(held("twins", name, math.nan, reason=Reason.FEW_CATEGORIES))
            continue
        figures.append(held("twins", name, told.auc, error=told.error))
        figures.append(held("twins", f"{name}_floor", floor.auc, error=floor.error))
        order = np.argsort(-told.gain, kind="stable")
        rows += [(name, features[int(k)], float(told.gain[k])) for k in order]
    figures.append(held("twins", "cells", float(made.cells)))
    figures.append(held("twins", "series", float(made.series)))
    return check("twins", tuple(figures), Table(("level", "feature", "gain"), tuple(rows)))


def _categories(
    setting: Setting, real: Floats, other: Floats, made: list[Floats], seed: int
) -> tuple[Told, Told]:
    """Tell totals of categories apart; there are few, so several worlds teach what a simulation is like."""
    _, G, H = setting.shape
    kept: Bools = _totals(setting.group, setting.period, np.ones(len(real)), G, H) > 0.0
    group, period = (part.astype(np.int64) for part in np.nonzero(kept))
    X = np.concatenate([setting.categories(units, kept) for units in made])
    twin = Sample(X, np.tile(group, len(made)), np.tile(period, len(made)))
    first, second = (
        told_apart(Sample(setting.categories(units, kept), group, period), twin, seed)
        for units in (real, other)
    )
    return first, second


def _scaled(variance: Floats, expected: Floats, factor: Floats) -> Floats:
    """Return the variance of sales whose expectation is `factor` times as high."""
    return factor * expected + factor**2 * (variance - expected)


def _sampled(series: Ints, sold: Floats, most: int, seed: int) -> Bools:
    """Return which cells belong to the series that are looked at, bool [R]."""
    n = int(series.max()) + 1
    if n <= most:
        return np.ones(len(series), dtype=np.bool_)
    mean = total_by(series, sold, n) / total_by(series, np.ones(len(series)), n)
    order = np.argsort(-mean, kind="stable")
    best, rest = order[: most // _BEST], order[most // _BEST :]
    some = np.random.default_rng((seed, 7)).choice(rest, most - len(best), replace=False)
    return np.isin(series, np.concatenate([best, some]))


def _before(values: Floats, series: Ints, period: Ints, n: int, H: int) -> Floats:
    """Return each series' value of the period before, NaN where there is none, float64 [R]."""
    grid = np.full((n, H + 1), np.nan)
    grid[series, period + 1] = values
    return np.asarray(grid[series, period], dtype=np.float64)


def _totals(group: Ints, period: Ints, values: Floats, G: int, H: int) -> Floats:
    return total_by(group * H + period, values, G * H).reshape(G, H)
