"""Roll-outs whose effect is known: invented shops sold twice under the same chance, old prices and new.

Each shop is a toy of :mod:`simulators.worlds` sold by :class:`simulators.market.Market`: shared shocks of
shop and category that last, negative binomial counts, substitutes inside a subcategory. On top come a trend
and a season, and levels that wander product by product, which the toys lack and shops have. A unit sold
with old prices throughout and with new ones from the start of the window gives both potential outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.demand import Conditions
from pricing.model import COEFFICIENTS, DemandModel
from pricing.rivals import Rivals
from simulators.market import Market, Worlds, sample_worlds
from simulators.shared_shocks import Lasting
from simulators.worlds import toy_shop

__all__ = [
    "CARRYING",
    "CLOSED",
    "EFFECTS",
    "PANTRY",
    "SPILLING",
    "Outcomes",
    "Shape",
    "draw_outcomes",
]

EFFECTS = ("none", "mixed", "gain", "loss")
"""New prices: the old ones; random moves either way; towards the optimum; away from it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of shop.

    Attributes
    ----------
    name
        Word in the table.
    groups, zones
        Price groups in each zone, and zones.
    together
        Price groups of a subcategory.
    tail
        Sd of log mean units between products.
    wander
        Sd of the weekly step of a product's log level.
    shock
        Sd of the lasting log shocks of the shop and of each category.
    season, trend
        Half the swing of log demand over a year; log growth a year, different by category.
    rivalry
        Elasticity to the rivals' price.
    leaks
        Rivals are those of a whole category, so effects cross the borders of subcategories.
    pantry
        Elasticity of demand to the prices of past weeks, :data:`PANTRY` as strong with each week that they
        lie back: who bought more while it was cheap needs less for a while.
    categories
        How many in a zone.
    """

    name: str
    groups: int
    zones: int = 1
    together: int = 3
    tail: float = 0.8
    wander: float = 0.04
    shock: float = 0.1
    season: float = 0.0
    trend: float = 0.0
    rivalry: float = 0.4
    leaks: bool = False
    pantry: float = 0.0
    categories: int = 6


CLOSED = (
    Shape("few groups", 60),
    Shape("many groups", 600, categories=60),
    Shape("two zones", 150, zones=2, categories=15),
    Shape("heavy tails", 240, tail=1.5, categories=24),
    Shape("trend and season", 240, season=0.4, trend=0.5, categories=24),
    Shape("lasting shocks", 240, shock=0.3, wander=0.08, categories=24),
)
"""Shops in which nothing crosses from one cluster to another, or from one block to the next but one."""

SPILLING = (
    Shape("spillover, weak", 600, rivalry=0.8, leaks=True, categories=66),
    Shape("spillover, middle", 600, rivalry=1.5, leaks=True, categories=66),
    Shape("spillover, strong", 600, rivalry=2.5, leaks=True, categories=66),
    Shape("spillover, strong, wide", 240, rivalry=2.5, leaks=True),
)
CARRYING = (
    Shape("pantry, weak", 600, pantry=0.2, categories=60),
    Shape("pantry, middle", 600, pantry=0.5, categories=60),
    Shape("pantry, strong", 600, pantry=1.0, categories=60),
)
_SHAPES = (*CLOSED, *SPILLING, *CARRYING)
PANTRY = 0.6
"""Share of a stock at home that is left after a week."""
_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Net profit of B roll-outs over N units and T weeks, and who the units are.

    Attributes
    ----------
    shape
        Of the shop.
    old
        float64 [T, B, N]; profit in minor units with the old prices throughout.
    cluster, category, zone
        int64 [N].
    sold
        Sells the same weeks under the same chance, with new prices where bool [T, B, N] says so.
    """

    shape: Shape
    old: Floats
    cluster: Ints
    category: Ints
    zone: Ints
    sold: Callable[[Bools], Floats]


@dataclass(frozen=True)
class _Shop:
    catalogue: Catalogue
    market: Market
    traffic: Floats
    new: Ints
    seed: int
    pantry: float

    def sell(self, treated: Bools) -> Floats:
        weeks = len(self.traffic)
        streams = np.arange(len(self.market.world), dtype=np.int64)
        noise = self.market.noise(self.seed, streams, weeks)
        state, profit = self.market.open(), np.empty(noise.factor.shape)
        old = np.broadcast_to(self.catalogue.price, self.new.shape)
        zero, kept = np.zeros(len(self.catalogue)), np.zeros(self.new.shape)
        for t in range(weeks):
            price = np.where(treated[t], self.new, old)
            week = Conditions(zero, zero, zero, self.traffic[t] + self.pantry * kept, zero, zero)
            kept = PANTRY * (kept + np.log(price / old))
            sale = self.market.sell(state, price, week, noise.at(t))
            profit[t], state = sale.profit, sale.state
        return profit


def draw_outcomes(shape: Shape, effect: str, seed: int, copies: int, weeks: int) -> Outcomes:
    """Return `copies` roll-outs in one shop of a shape, `weeks` long."""
    rng = np.random.default_rng([seed, _SHAPES.index(shape), EFFECTS.index(effect)])
    count = shape.groups * shape.zones
    catalogue, model = toy_shop(count, seed, shock_sd=shape.shock, elasticity_sd=0.05)
    group, zone = np.arange(count) % shape.groups, np.arange(count) // shape.groups
    cluster = group // shape.together + zone * (shape.groups // shape.together + 1)
    category = (group // shape.together) % shape.categories
    model = _reshaped(model, shape, category, rng)
    crowd = category + shape.categories * zone if shape.leaks else cluster
    worlds = _lasting(sample_worlds(model, catalogue, 1), crowd, shape, category)
    market = Market(catalogue, worlds, np.zeros(copies, dtype=np.int64))
    new = np.broadcast_to(_moved(catalogue, model, effect, rng), (copies, count))
    traffic = _traffic(shape, category, rng, (weeks, copies, count))
    shop = _Shop(catalogue, market, traffic, new, seed, shape.pantry)
    nobody = np.zeros((weeks, copies, count), dtype=np.bool_)
    return Outcomes(shape, shop.sell(nobody), cluster, category, zone, shop.sell)


def _reshaped(model: DemandModel, shape: Shape, category: Ints, rng: np.random.Generator) -> DemandModel:
    mean = model.mean.copy()
    mean[:, 0] = np.log(20.0) + rng.normal(0.0, shape.tail, len(mean))
    mean[:, COEFFICIENTS.index("rivals")] = shape.rivalry
    names = tuple(f"category{g}" for g in range(shape.categories))
    return replace(
        model, mean=mean, category=category, category_names=names, rival_weight=np.exp(mean[:, 0]),
        category_shock_sd=np.full(shape.categories, shape.shock),
        prior_mean=np.tile(mean.mean(axis=0), (shape.categories + 1, 1)),
        prior_covariance=np.tile(np.eye(mean.shape[1]), (shape.categories + 1, 1, 1)),
    )  # fmt: skip


def _lasting(worlds: Worlds, crowd: Ints, shape: Shape, category: Ints) -> Worlds:
    weight = np.exp(worlds.parameters.level[0])
    return replace(
        worlds,
        rivals=Rivals.of(crowd.astype(np.int64), weight),
        category=category,
        lasting=Lasting(np.full(1 + shape.categories, 0.7), np.full(1 + shape.categories, 0.9)),
    )


def _moved(catalogue: Catalogue, model: DemandModel, effect: str, rng: np.random.Generator) -> Ints:
    """Return new prices, at most a tenth away; those towards the optimum do not overshoot it."""
    price = catalogue.price.astype(np.float64)
    answer = model.mean[:, COEFFICIENTS.index("regular")]
    best = catalogue.unit_cost * answer / (answer + 1.0)
    step = np.clip(np.log(best / price), -_STEP, _STEP)
    if effect == "mixed":
        step = rng.choice([-0.05, 0.05], len(price))
    if effect == "loss":
        step = np.where(step > 0.0, -_STEP, _STEP)
    if effect == "none":
        step = np.zeros(len(price))
    return np.asarray(np.rint(price * np.exp(step)), dtype=np.int64)


def _traffic(shape: Shape, category: Ints, rng: np.random.Generator, size: tuple[int, int, int]) -> Floats:
    """Return log traffic [T, B, N]: wandering levels, season and trend by category."""
    weeks, copies, count = size
    time = np.arange(weeks)[:, None] / 52.0
    phase, growth = rng.uniform(0.0, 1.0, shape.categories), rng.normal(0.0, 1.0, shape.categories)
    calendar = shape.season * np.sin(2.0 * np.pi * (time + 0.15 * phase)) + shape.trend * growth * time
    wander = np.cumsum(rng.normal(0.0, shape.wander, (weeks, copies, count)), axis=0)
    return np.asarray(calendar[:, category][:, None, :] + wander)
