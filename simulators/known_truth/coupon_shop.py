"""Invented shops that give coupons, and what each coupon truly adds (docs/worlds.md, "Coupons").

A customer who notices a coupon orders more while it is valid and uses it on the first order; part of the
additional orders would have come later anyway (pull-forward). A customer who was about to order pays less
for the same. Whether exposures were drawn by lot or aimed at likely buyers, the truth is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import UsageError

__all__ = [
    "AFTER_DAYS", "DEPTHS", "HISTORY_DAYS", "MARGIN", "WINDOW_DAYS", "Assignment", "CouponShop", "CouponSpec",
    "Shoppers", "draw_coupon_shop", "draw_shoppers", "true_cost", "true_effect",
]  # fmt: skip

DEPTHS = (0.0, 0.05, 0.10, 0.15, 0.20)
"""Share off the first order; the first is no coupon."""

WINDOW_DAYS, AFTER_DAYS = 14, 28
HISTORY_DAYS = 182
MARGIN = 0.4
"""Share of an undiscounted order that is left after costs."""

_SPEND_SD = 0.7
_SHARES = ((0.10, 0.30, 0.25, 0.20, 0.15), (0.10, 0.15, 0.20, 0.25, 0.30))
"""Propensities of the offers among customers who order seldom, and often: known, and not equal."""

_LEAST_KEPT = 0.1
_MOST_LIFT, _HALF = 3.0, 2.0
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)


class Assignment(StrEnum):
    """How offers were given."""

    RANDOMISED = "randomised"
    """By lot with recorded propensities, 10 % of customers held out."""
    TARGETED = "targeted"
    """At customers who were about to buy; nothing says with which probability."""
    CLAIMED = "claimed"
    """The same, written down as if it had been by lot."""


@dataclass(frozen=True, slots=True)
class CouponSpec:
    """One invented shop.

    Attributes
    ----------
    seed
        Any integer >= 0; shops that differ only in `assignment` have the same customers and tastes.
    assignment
        How offers were given.
    customers, campaigns
        How many; a customer is exposed once in each campaign. Campaigns are 42 days apart.
    """

    seed: int
    assignment: Assignment = Assignment.RANDOMISED
    customers: int = 20_000
    campaigns: int = 2

    def __post_init__(self) -> None:
        if self.seed < 0 or self.customers < 1 or self.campaigns < 1:
            raise UsageError(f"No shop has {self.customers} customers, {self.campaigns} campaigns.")


@dataclass(frozen=True, slots=True)
class Shoppers:
    """Tastes of N customers; float64 [N].

    Attributes
    ----------
    rate
        Log orders a week.
    basket
        Log mean value of an order, minor units.
    habit
        How attentive a customer is to the shop's mail; standard normal. The attentive use coupons.
    bargain
        How much a customer looks for bargains; standard normal. Bargain hunters are moved by coupons.
    tastes
        float64 [7]; of the whole shop: level of sensitivity, its slopes on rate, basket, habit and bargain,
        curvature in depth, level of pull-forward.
    """

    rate: Floats
    basket: Floats
    habit: Floats
    bargain: Floats
    tastes: Floats

    @property
    def traits(self) -> Floats:
        """float64 [N, 4]; rate, basket, habit and bargain, as a shop with a long memory could know them."""
        return np.stack([self.rate, self.basket, self.habit, self.bargain], axis=1)

    def often(self) -> Ints:
        """int64 [N]; 1 for those who order often: the stratum within which offers are drawn."""
        return np.asarray(self.rate > np.log(0.15), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class CouponShop:
    """What happened. M exposures, campaign after campaign; R orders.

    Attributes
    ----------
    spec, shoppers
        What was asked for, and who the customers are.
    customer, campaign, offer
        int64 [M]; places of customer and offer, number of the campaign.
    propensity
        float64 [M]; as the shop recorded it, NaN where it did not.
    buyer, day
        int64 [R]; who ordered and when, in days after the first day of history; times differ by order.
    value, discount
        int64 [R]; value of the order before the coupon and what the coupon took off, minor units.
    used
        int64 [R]; exposure whose coupon was used, -1 for none.
    """

    spec: CouponSpec
    shoppers: Shoppers
    customer: Ints
    campaign: Ints
    offer: Ints
    propensity: Floats
    buyer: Ints
    day: Floats
    value: Ints
    discount: Ints
    used: Ints

    def exposed_on(self) -> Floats:
        """float64 [M]; when each exposure was, days after the first day of history."""
        return np.asarray(HISTORY_DAYS + 42.0 * self.campaign, dtype=np.float64)


def draw_shoppers(seed: int, count: int, stream: int = 0) -> Shoppers:
    """Draw customers of the shop with this seed; another `stream` gives other customers, same tastes."""
    shop, rng = np.random.default_rng((seed, 71)), np.random.default_rng((seed, 72, stream))
    tastes = shop.normal(
        [np.log(1.5), -0.4, 0.0, -0.2, 0.6, 0.8, -1.2], [0.2, 0.1, 0.15, 0.1, 0.1, 0.08, 0.2]
    )
    rate = np.log(0.15) + 0.7 * rng.standard_normal(count)
    habit = 0.5 * (rate - np.log(0.15)) / 0.7 + np.sqrt(0.75) * rng.standard_normal(count)
    bargain = rng.standard_normal(count)
    basket = np.log(4500.0) + 0.4 * rng.standard_normal(count) - 0.1 * bargain
    return Shoppers(rate, basket, habit, bargain, tastes)


def _lift(shoppers: Shoppers, k: Ints | int, keen: Floats) -> Floats:
    """Return the share by which a noticed coupon raises the rate of orders: it saturates."""
    level, on_rate, on_basket, on_habit, on_bargain, bend, _ = shoppers.tastes
    z = (shoppers.rate - np.log(0.15)) / 0.8
    b = (shoppers.basket - np.log(4500.0)) / 0.5
    sensitivity = (
        level + on_rate * z + on_basket * b + on_habit * shoppers.habit + on_bargain * shoppers.bargain
    )
    sensitivity = sensitivity - 0.3 * keen - 0.045
    depth = np.asarray(DEPTHS)[k] / 0.1
    pull = np.exp(sensitivity) * depth**bend
    return np.asarray(_MOST_LIFT * pull / (pull + _HALF), dtype=np.float64)


def _noticed(shoppers: Shoppers, k: Ints | int) -> Floats:
    depth = np.maximum(np.asarray(DEPTHS)[k], 1e-9)
    out: Floats = 1.0 / (1.0 + np.exp(0.3 - shoppers.habit - 0.3 * np.log(depth / 0.1)))
    return np.where(np.asarray(DEPTHS)[k] > 0.0, out, 0.0)


def _expected(shoppers: Shoppers, k: Ints | int, keen: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return orders in the window without and with a noticed coupon, orders lost after it, P(noticed)."""
    z = (shoppers.rate - np.log(0.15)) / 0.8
    weekly = np.exp(shoppers.rate)
    without = weekly * (WINDOW_DAYS / 7.0) * np.exp(0.4 * keen - 0.08)
    with_ = without * (1.0 + _lift(shoppers, k, keen))
    pulled = 1.0 / (1.0 + np.exp(-shoppers.tastes[6] - 0.5 * z))
    later = weekly * (AFTER_DAYS / 7.0)
    lost = np.minimum(pulled * (with_ - without), (1.0 - _LEAST_KEPT) * later)
    return without, with_, lost, _noticed(shoppers, k)


def _over_keenness(shoppers: Shoppers, k: int, *, of_cost: bool) -> Floats:
    out = np.zeros(len(shoppers.rate))
    value = np.exp(shoppers.basket)
    for node, weight in zip(_NODES, _WEIGHTS / _WEIGHTS.sum(), strict=True):
        without, with_, lost, noticed = _expected(shoppers, k, np.full(len(value), node))
        cost = DEPTHS[k] * value * (1.0 - np.exp(-with_))
        gain = cost if of_cost else MARGIN * value * (with_ - without - lost) - cost
        out += weight * noticed * gain
    return out


def true_effect(shoppers: Shoppers) -> Floats:
    """Return what each offer adds to expected net profit given the traits, float64 [N, K], minor units.

    How keen a customer happens to be is averaged over: nobody can see it.
    """
    return np.stack([_over_keenness(shoppers, k, of_cost=False) for k in range(len(DEPTHS))], axis=1)


def true_cost(shoppers: Shoppers) -> Floats:
    """Return the expected discount of each offer given the traits, float64 [N, K], minor units."""
    return np.stack([_over_keenness(shoppers, k, of_cost=True) for k in range(len(DEPTHS))], axis=1)


def draw_coupon_shop(spec: CouponSpec) -> CouponShop:
    """Draw a shop: history, campaigns, who got what, and every order."""
    shoppers = draw_shoppers(spec.seed, spec.customers)
    rng = np.random.default_rng((spec.seed, 73))
    N, M = spec.customers, spec.customers * spec.campaigns
    customer, campaign = np.tile(np.arange(N), spec.campaigns), np.repeat(np.arange(spec.campaigns), N)
    own = np.tile(rng.standard_normal(N), spec.campaigns)
    keen = np.sqrt(0.5) * own + np.sqrt(0.5) * rng.standard_normal(M)
    each = _taken(shoppers, customer)
    offer, propensity = _assigned(spec, each, keen, np.random.default_rng((spec.seed, 74)))
    without, with_, lost, noticed = _expected(each, offer, keen)
    notices = rng.random(M) < noticed
    start: Floats = (HISTORY_DAYS + 42.0 * campaign).astype(np.float64)
    weekly = np.exp(shoppers.rate)
    parts = [
        _orders(rng, np.arange(N), weekly * HISTORY_DAYS / 7.0, np.zeros(N), HISTORY_DAYS),
        _orders(rng, customer, np.where(notices, with_, without), start, WINDOW_DAYS),
        _orders(
            rng, customer, weekly[customer] * AFTER_DAYS / 7.0 - notices * lost, start + WINDOW_DAYS,
            AFTER_DAYS
        ),
    ]  # fmt: skip
    exposure = np.concatenate([np.full(len(parts[0][0]), -1), parts[1][0], np.full(len(parts[2][0]), -1)])
    owners = np.concatenate([parts[0][0], customer[parts[1][0]], customer[parts[2][0]]])
    day = np.concatenate([part[1] for part in parts])
    noise = np.exp(_SPEND_SD * rng.standard_normal(len(day)) - _SPEND_SD**2 / 2.0)
    value = np.maximum(np.rint(np.exp(shoppers.basket[owners]) * noise), 1.0).astype(np.int64)
    used = _first(exposure, day, notices)
    depth = np.where(used >= 0, np.asarray(DEPTHS)[offer[used]], 0.0)
    discount = np.rint(depth * value).astype(np.int64)
    return CouponShop(
        spec, shoppers, customer, campaign, offer, propensity, owners, day, value, discount, used
    )


def _taken(shoppers: Shoppers, place: Ints) -> Shoppers:
    rate, basket, habit, bargain = shoppers.traits[place].T
    return Shoppers(rate, basket, habit, bargain, shoppers.tastes)


def _assigned(
    spec: CouponSpec, each: Shoppers, keen: Floats, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Draw offers, and return what the shop recorded as their propensities."""
    shares = np.asarray(_SHARES)[each.often()]
    if spec.assignment is Assignment.RANDOMISED:
        chance = shares
    else:
        pull = 0.8 * keen + 0.6 * (each.rate - np.log(0.15)) / 0.8 + 0.4 * each.habit
        weight = np.exp(np.outer(pull, [0.0, 0.3, 0.6, 0.9, 1.2]))
        chance = weight / weight.sum(axis=1, keepdims=True)
    drawn = (rng.random(len(keen))[:, None] > np.cumsum(chance, axis=1)[:, :-1]).sum(axis=1)
    if spec.assignment is Assignment.TARGETED:
        return drawn.astype(np.int64), np.full(len(keen), np.nan)
    return drawn.astype(np.int64), shares[np.arange(len(keen)), drawn]


def _orders(
    rng: np.random.Generator, who: Ints, expected: Floats, start: Floats, days: float
) -> tuple[Ints, Floats]:
    """Return (place, time) of Poisson orders; place is the customer in history, else the exposure."""
    counts = rng.poisson(np.maximum(expected, 0.0))
    place = np.repeat(np.arange(len(who)), counts)
    return place.astype(np.int64), start[place] + days * rng.random(len(place))


def _first(exposure: Ints, day: Floats, notices: Bools) -> Ints:
    """Return for each order the exposure whose coupon it uses: the first order of who noticed it, else -1."""
    inside = np.flatnonzero((exposure >= 0) & notices[exposure])
    order = inside[np.lexsort((day[inside], exposure[inside]))]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = exposure[order][1:] != exposure[order][:-1]
    used = np.full(len(exposure), -1, dtype=np.int64)
    used[order[first]] = exposure[order[first]]
    return used
