"""A young shop whose truth is known: 3,000 products, half a year, most prices hardly ever moved.

The demand of docs/worlds.md, but fewer units, more slow sellers and prices as shops keep them: two products
in five never moved theirs, one in four moved it once, the others now and then; half are promoted now and
then; stock runs out. Costs wander, and the prices that move follow them in part.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.known_truth.draw import Truth, World
from simulators.known_truth.specification import Information, WorldSpec
from simulators.known_truth.tables import write_world

__all__ = ["Young", "draw_young", "write_young"]


@dataclass(frozen=True, slots=True)
class Young:
    """A shop of N products.

    Attributes
    ----------
    world
        What happened, as worlds are kept; its truth is that of `elasticity` alone.
    elasticity
        float64 [N]; to the regular price.
    """

    world: World
    elasticity: Floats


def draw_young(seed: int, products: int = 3000, weeks: int = 26) -> Young:
    """Draw a shop; `products` is a multiple of 100."""
    rng = np.random.default_rng([seed, products, weeks])
    spec = WorldSpec(seed, products=products, information=Information.STOCKOUTS)
    nest = np.arange(products, dtype=np.int64) // 10
    category, size = nest // 10, (products, weeks)
    usual = np.rint(np.exp(rng.uniform(np.log(199.0), np.log(9999.0), products))).astype(np.int64)
    cost = np.cumsum(rng.normal(0.0, 0.015, size), axis=1)
    regular, offered, promoted = _prices(rng, usual, cost)
    beta = rng.normal(-2.2, 0.3, category.max() + 1)[category] + rng.normal(0.0, 0.5, products)
    beta = np.minimum(beta, -0.3)
    gamma = np.minimum(rng.normal(-2.6, 0.5, products), -0.5)
    x, y = np.log(regular / usual[:, None]), np.log(offered / regular)
    last = np.log(np.concatenate([usual[:, None], offered[:, :-1]], axis=1) / usual[:, None])
    feature = rng.normal(0.5, 0.15, products)[:, None] * promoted
    level = rng.normal(np.log(3.0), 1.2, products)[:, None]
    shared = rng.normal(0.0, 0.05, weeks) + rng.normal(0.0, 0.1, (category.max() + 1, weeks))[category]
    own = beta[:, None] * x + gamma[:, None] * y + rng.normal(0.15, 0.05, products)[:, None] * last
    rate = np.exp(level + own + feature + shared + _lasting(rng, size))
    shape = np.exp(rng.normal(np.log(8.0), 0.4, products))[:, None]
    wanted = rng.poisson(rng.gamma(shape, rate / shape))
    daily, on_hand = _sold(rng, wanted, rate)
    nothing = np.zeros(size, dtype=np.bool_)
    none = np.zeros(products)
    truth = Truth(none, none, none, beta, np.zeros((products, 4)), np.zeros(products, dtype=np.bool_))
    world = World(
        spec, category, nest, usual, regular, offered, cost, promoted, nothing, nothing, daily, on_hand, truth
    )
    return Young(world, beta)


def _prices(rng: np.random.Generator, usual: Ints, cost: Floats) -> tuple[Ints, Ints, Bools]:
    products, weeks = cost.shape
    kind = rng.choice(3, products, p=[0.40, 0.25, 0.35])
    moves = rng.random(cost.shape) < 0.12
    once = np.arange(weeks) == rng.integers(4, weeks - 4, products)[:, None]
    moved = np.where((kind == 2)[:, None], moves, (kind == 1)[:, None] & once)
    target = 0.5 * cost + rng.normal(0.0, 0.097, cost.shape)
    log = np.zeros(cost.shape)
    for t in range(1, weeks):
        log[:, t] = np.where(moved[:, t], target[:, t], log[:, t - 1])
    regular = np.rint(usual[:, None] * np.exp(log)).astype(np.int64)
    promoted = (rng.random(products) < 0.5)[:, None] & (rng.random(cost.shape) < 0.06)
    off = np.where(promoted, rng.choice([0.1, 0.2, 0.3], cost.shape), 0.0)
    return regular, np.rint(regular * (1.0 - off)).astype(np.int64), np.asarray(promoted, dtype=np.bool_)


def _lasting(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    out = rng.normal(0.0, 0.19, size)
    for t in range(1, size[1]):
        out[:, t] = 0.7 * out[:, t - 1] + np.sqrt(1.0 - 0.49) * out[:, t]
    return out


def _sold(rng: np.random.Generator, wanted: Ints, rate: Floats) -> tuple[Ints, Ints]:
    """Return sales and stock a day, int64 [N, T, 7]: a week's stock comes on its first day."""
    days = rng.multinomial(wanted, np.full(7, 1.0 / 7.0))
    stock = np.ceil(rate * np.exp(rng.normal(1.0, 0.5, rate.shape)) + 1.0).astype(np.int64)
    asked = np.cumsum(days, axis=2)
    got = np.minimum(asked, stock[..., None])
    sold = np.diff(got, axis=2, prepend=0)
    return sold, np.concatenate([stock[..., None], stock[..., None] - got[..., :-1]], axis=2)


def write_young(shop: Young, folder: Path) -> Path:
    """Write its tables, costs and stock among them, below `folder`, and return theirs."""
    data, other = folder / "data", folder / "costs"
    write_world(shop.world, data)
    spec = replace(shop.world.spec, information=Information.INSTRUMENT)
    write_world(replace(shop.world, spec=spec), other)
    shutil.copyfile(other / "costs.parquet", data / "costs.parquet")
    return data
