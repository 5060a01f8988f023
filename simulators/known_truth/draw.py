"""Draw a world of docs/worlds.md: prices, demand, sales and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import UsageError
from simulators.known_truth.shoppers import Shoppers, log_response
from simulators.known_truth.specification import Form, Information, WorldSpec

__all__ = ["AHEAD", "CATEGORIES", "SCORED_WEEKS", "Truth", "World", "draw_world", "true_units"]

CATEGORIES = 8
_NESTS_PER_CATEGORY = 5
_XI_SD, _FADING = 0.19, 0.7
SCORED_WEEKS = 13
AHEAD = 4
"""Weeks after the data, for which expected units are asked."""
_STREAMS = (
    "usual", "level", "beta", "gamma", "promotion_effects", "lag", "size", "xi", "shocks", "cost", "moves",
    "promotions", "units", "days", "share", "drift", "tests", "stock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Truth:
    """What nobody who fits may see; float64 [N] unless said.

    Attributes
    ----------
    units, units_up, units_down
        Expected units of the last 13 weeks: as it was, and with the own regular price 10 % up and down.
    elasticity
        Arc elasticity between the two.
    units_ahead
        float64 [N, 4]; expected units of the weeks after the data, product shocks faded as they do in
        expectation, at usual prices without promotion.
    tested
        bool [N]; had a price test.
    """

    units: Floats
    units_up: Floats
    units_down: Floats
    elasticity: Floats
    units_ahead: Floats
    tested: Bools


@dataclass(frozen=True, slots=True)
class World:
    """What happened; arrays are [N, T].

    Attributes
    ----------
    spec
        What was asked for.
    category, nest
        int64 [N].
    usual
        int64 [N]; usual regular price, minor units.
    regular, offered
        int64; posted prices, minor units.
    cost
        float64; log unit cost over its usual value.
    feature, display, tested
        bool; tested cells carry a randomised price.
    daily
        int64 [N, T, 7]; units sold a day.
    on_hand
        int64 [N, T, 7]; units at the start of each day; -1 where stock is not counted.
    truth
        What to compare with.
    """

    spec: WorldSpec
    category: Ints
    nest: Ints
    usual: Ints
    regular: Ints
    offered: Ints
    cost: Floats
    feature: Bools
    display: Bools
    tested: Bools
    daily: Ints
    on_hand: Ints
    truth: Truth


@dataclass(frozen=True, slots=True)
class _Tastes:
    shoppers: Shoppers
    feature: Floats
    display: Floats
    lag: Floats
    size: Floats
    trend: Floats


@dataclass(frozen=True, slots=True)
class _Nature:
    """All that is drawn before anybody sells: tastes, prices and shocks, and the generators that are left."""

    rng: dict[str, np.random.Generator]
    category: Ints
    nest: Ints
    tastes: _Tastes
    prices: _Prices
    xi: Floats
    shared: Floats


@dataclass(frozen=True, slots=True)
class _Prices:
    usual: Ints
    regular: Ints
    offered: Ints
    cost: Floats
    feature: Bools
    display: Bools
    tested: Bools


def draw_world(spec: WorldSpec) -> World:
    """Return the world of a specification; the same specification gives the same world."""
    nature = _nature(spec)
    rng, tastes, prices = nature.rng, nature.tastes, nature.prices
    N, T = spec.products, spec.weeks
    mean = _expected(nature, prices)
    truth = _truth(tastes, prices, _standing(tastes, prices) + nature.xi + nature.shared, nature.xi)
    demand = rng["units"].poisson(
        mean * rng["units"].gamma(tastes.size[:, None], 1.0 / tastes.size[:, None], (N, T))
    )
    daily = rng["days"].multinomial(demand, np.full(7, 1.0 / 7.0)).astype(np.int64)
    on_hand = np.full((N, T, 7), -1, dtype=np.int64)
    if spec.information is Information.STOCKOUTS:
        stock = np.rint(mean * np.exp(rng["stock"].normal(0.55, 0.5, (N, T)))).astype(np.int64)
        daily, on_hand = _sold(daily, stock)
    return World(
        spec=spec,
        category=nature.category,
        nest=nature.nest,
        usual=prices.usual,
        regular=prices.regular,
        offered=prices.offered,
        cost=prices.cost,
        feature=prices.feature,
        display=prices.display,
        tested=prices.tested,
        daily=daily,
        on_hand=on_hand,
        truth=truth,
    )


def true_units(spec: WorldSpec, regular: Ints, offered: Ints) -> Floats:
    """Return expected units of a world had other prices been posted, float64 [N, T].

    Tastes, shocks, features and displays are as they were drawn. Here every price may differ at once, so
    last week's price and, for the nested logit, the neighbours' prices have their effect, which the truth
    about one product alone leaves out.

    Parameters
    ----------
    spec
        Which world.
    regular, offered
        int64 [N, T]; posted prices, minor units, ``0 < offered <= regular``.

    Raises
    ------
    UsageError
        If their shape is another, or such a price cannot be posted.
    """
    nature = _nature(spec)
    expected = nature.prices.regular.shape
    if regular.shape != expected or offered.shape != expected:
        raise UsageError(f"Prices have shapes {regular.shape} and {offered.shape}, not {expected}.")
    if (offered < 1).any() or (offered > regular).any():
        raise UsageError("A posted shelf price is at least 1 minor unit and at most the regular price.")
    return _expected(nature, replace(nature.prices, regular=regular, offered=offered))


def _nature(spec: WorldSpec) -> _Nature:
    rng = {name: np.random.default_rng([spec.seed, i]) for i, name in enumerate(_STREAMS)}
    N, T = spec.products, spec.weeks
    category = np.arange(N, dtype=np.int64) % CATEGORIES
    nest = category * _NESTS_PER_CATEGORY + np.arange(N, dtype=np.int64) // CATEGORIES % _NESTS_PER_CATEGORY
    tastes = _tastes(spec, rng, category, nest)
    xi = _ar1(rng["xi"], (N, T + AHEAD), _FADING, _XI_SD)[:, :T]
    prices = _prices(spec, rng, xi)
    shared = rng["shocks"].normal(0.0, 0.05, T) + rng["shocks"].normal(0.0, 0.1, (CATEGORIES, T))[category]
    return _Nature(rng, category, nest, tastes, prices, xi, shared)


def _expected(nature: _Nature, prices: _Prices) -> Floats:
    x, y = _logs(prices)
    standing = _standing(nature.tastes, prices) + nature.xi + nature.shared
    out: Floats = np.exp(standing + log_response(_over(nature.tastes.shoppers, x.shape[1]), x, y))
    return out


def _tastes(spec: WorldSpec, rng: dict[str, np.random.Generator], category: Ints, nest: Ints) -> _Tastes:
    N, T = spec.products, spec.weeks
    of_category = rng["beta"].normal(-2.2, 0.3, CATEGORIES)
    beta = np.minimum(of_category[category] + rng["beta"].normal(0.0, 0.5, N), -0.3)
    elasticity = np.repeat(beta[:, None], T + AHEAD, axis=1)
    trend = np.zeros((N, T + AHEAD))
    if spec.form is Form.DRIFTING:
        elasticity = elasticity + np.cumsum(rng["drift"].normal(0.0, 0.03, elasticity.shape), axis=1)
        trend = rng["drift"].normal(0.0, 0.3, N)[:, None] * np.arange(T + AHEAD) / 52.0
    level = np.log(20.0) + rng["level"].normal(0.0, 0.8, N)
    shoppers = Shoppers(
        form=spec.form,
        elasticity=elasticity,
        discount=np.minimum(rng["gamma"].normal(-2.6, 0.5, N), -0.5),
        level=level,
        share=rng["share"].uniform(0.05, 0.5, N),
        nest=nest,
    )
    return _Tastes(
        shoppers,
        feature=rng["promotion_effects"].normal(0.5, 0.15, N),
        display=rng["promotion_effects"].normal(0.3, 0.1, N),
        lag=rng["lag"].normal(0.15, 0.05, N),
        size=np.exp(rng["size"].normal(np.log(8.0), 0.4, N)),
        trend=trend,
    )


def _prices(spec: WorldSpec, rng: dict[str, np.random.Generator], xi: Floats) -> _Prices:
    N, T = spec.products, spec.weeks
    usual = np.rint(np.exp(rng["usual"].uniform(np.log(99.0), np.log(1999.0), N))).astype(np.int64)
    innovation = rng["cost"].normal(0.0, 0.015, (N, T))
    innovation[:, 0] = 0.0
    cost = _accumulated(innovation, 0.97)
    fresh = rng["moves"].random((N, T)) < 0.12
    fresh[:, 0] = True
    last = np.maximum.accumulate(np.where(fresh, np.arange(T), 0), axis=1)
    moves = np.take_along_axis(rng["moves"].normal(0.0, 0.097, (N, T)), last, axis=1)
    log_regular = np.log(usual)[:, None] + 0.5 * cost + moves + spec.kappa * xi
    promoted = rng["promotions"].random((N, T)) < 0.1
    off = rng["promotions"].choice([0.1, 0.2, 0.3], (N, T))
    feature = promoted & (rng["promotions"].random((N, T)) < 0.7)
    display = promoted & (rng["promotions"].random((N, T)) < 0.3)
    tested = np.zeros((N, T), dtype=np.bool_)
    if spec.information is Information.EXPERIMENT:
        chosen = rng["tests"].permutation(N)[: 3 * N // 10]
        tested[chosen, 26:38] = True
        factor = rng["tests"].choice([0.9, 0.95, 1.0, 1.05, 1.1], (N, T))
        log_regular = np.where(tested, np.log(usual[:, None] * factor), log_regular)
        promoted, feature, display = promoted & ~tested, feature & ~tested, display & ~tested
    regular = np.maximum(np.rint(np.exp(log_regular)), 1.0)
    offered = np.maximum(np.rint(regular * np.where(promoted, 1.0 - off, 1.0)), 1.0)
    whole = regular.astype(np.int64), offered.astype(np.int64)
    return _Prices(usual, *whole, cost, feature, display, tested)


def _logs(prices: _Prices) -> tuple[Floats, Floats]:
    regular = np.log(prices.regular)
    return regular - np.log(prices.usual)[:, None], np.log(prices.offered) - regular


def _standing(tastes: _Tastes, prices: _Prices) -> Floats:
    """Return what prices of the week itself do not touch, shocks left out, float64 [N, T]."""
    x, y = _logs(prices)
    shelf = x + y
    before = np.concatenate([shelf[:, :1], shelf[:, :-1]], axis=1)
    promoted = tastes.feature[:, None] * prices.feature + tastes.display[:, None] * prices.display
    level = tastes.shoppers.level[:, None] + tastes.trend[:, : x.shape[1]]
    out: Floats = level + promoted + tastes.lag[:, None] * before
    return out


def _truth(tastes: _Tastes, prices: _Prices, standing: Floats, xi: Floats) -> Truth:
    x, y = _logs(prices)
    T = x.shape[1]
    now = _over(tastes.shoppers, T)

    def units(factor: float) -> Floats:
        mean = np.exp(standing + log_response(now, x, y, np.full_like(x, np.log(factor))))
        return np.asarray(mean[:, -SCORED_WEEKS:].sum(axis=1), dtype=np.float64)

    up, down = units(1.1), units(0.9)
    steps = np.arange(1, AHEAD + 1)
    fading = xi[:, -1:] * _FADING**steps + 0.5 * _XI_SD**2 * (1.0 - _FADING ** (2 * steps))
    shared = 0.5 * (0.05**2 + 0.1**2)
    usual = tastes.shoppers.level[:, None] + tastes.trend[:, T:]
    return Truth(
        units=units(1.0),
        units_up=up,
        units_down=down,
        elasticity=np.log(up / down) / np.log(1.1 / 0.9),
        units_ahead=np.exp(usual + fading + shared),
        tested=np.asarray(prices.tested.any(axis=1), dtype=np.bool_),
    )


def _over(shoppers: Shoppers, weeks: int) -> Shoppers:
    return replace(shoppers, elasticity=shoppers.elasticity[:, :weeks])


def _sold(daily: Ints, stock: Ints) -> tuple[Ints, Ints]:
    """Return units sold a day and stock at the start of each day, int64 [N, T, 7]: no sale without stock."""
    wanted = np.cumsum(daily, axis=2)
    gone = np.minimum(wanted, stock[..., None])
    before = np.concatenate([np.zeros_like(gone[..., :1]), gone[..., :-1]], axis=2)
    return gone - before, stock[..., None] - before


def _ar1(rng: np.random.Generator, shape: tuple[int, int], rho: float, sd: float) -> Floats:
    innovation = rng.normal(0.0, sd * np.sqrt(1.0 - rho**2), shape)
    innovation[:, 0] = rng.normal(0.0, sd, shape[0])
    return _accumulated(innovation, rho)


def _accumulated(innovation: Floats, rho: float) -> Floats:
    out = innovation.copy()
    for t in range(1, out.shape[1]):
        out[:, t] += rho * out[:, t - 1]
    return out
