"""The exposures of an invented coupon shop, as its tables would give them, without the detour."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Floats, Ints
from simulators.known_truth.coupon_shop import (
    AFTER_DAYS,
    DEPTHS,
    MARGIN,
    WINDOW_DAYS,
    Assignment,
    CouponShop,
    Shoppers,
)
from simulators.uplift.exposures import Exposures

__all__ = ["TRAITS", "exposures_of", "offer_names", "seen_traits"]

TRAITS = ("rate", "basket", "habit", "bargain", "noise_1", "noise_2")


def offer_names() -> tuple[str, ...]:
    """Return the K names of offers, the first empty."""
    return ("", *(f"off{round(100 * depth):02d}" for depth in DEPTHS[1:]))


def seen_traits(shoppers: Shoppers, seed: int) -> Floats:
    """Return what a shop with a long memory knows, float64 [N, 6]: the traits, and two that say nothing."""
    noise = np.random.default_rng((seed, 75)).standard_normal((len(shoppers.rate), 2))
    return np.concatenate([shoppers.traits, noise], axis=1)


def exposures_of(shop: CouponShop) -> Exposures:
    """Return a shop's exposures with exact traits as features."""
    M = len(shop.customer)
    start = shop.exposed_on()
    edges = (start - WINDOW_DAYS, start, start + WINDOW_DAYS, start + WINDOW_DAYS + AFTER_DAYS)
    cuts = [_before(shop, edge) for edge in edges]
    units, revenue, profit = (np.zeros((M, 3)) for _ in range(3))
    sums = _running(shop)
    for p in range(3):
        count, value, off = (total[cuts[p + 1]] - total[cuts[p]] for total in sums)
        units[:, p], revenue[:, p], profit[:, p] = count, value - off, MARGIN * value - off
    discount = np.bincount(shop.used[shop.used >= 0], shop.discount[shop.used >= 0], M).astype(np.float64)
    return Exposures(
        customer=shop.customer,
        day=np.floor(start).astype(np.int64) + 19_000,
        offers=offer_names(),
        offer=shop.offer,
        lottery=np.arange(M) // shop.spec.customers,
        declared=np.zeros((M, len(DEPTHS)), dtype=np.bool_),
        propensity=shop.propensity,
        drawn=np.full(M, shop.spec.assignment is not Assignment.TARGETED),
        features=TRAITS,
        X=np.tile(seen_traits(shop.shoppers, shop.spec.seed), (shop.spec.campaigns, 1)),
        redeemed=np.bincount(shop.used[shop.used >= 0], minlength=M) > 0,
        discount=discount,
        units=units,
        revenue=revenue,
        profit=profit,
        window_days=WINDOW_DAYS,
        before_days=WINDOW_DAYS,
        after_days=AFTER_DAYS,
        currency="EUR",
        fingerprint=f"coupon shop {shop.spec}",
        as_of="2023-01-02",
    )


def _running(shop: CouponShop) -> tuple[Floats, Floats, Floats]:
    """Return running totals, over orders by customer and time, of orders, value and discount; [R + 1]."""
    order = np.lexsort((shop.day, shop.buyer))
    parts = (np.ones(len(order)), shop.value[order], shop.discount[order])
    first, second, third = (np.concatenate([[0.0], np.cumsum(part)]) for part in parts)
    return first, second, third


def _before(shop: CouponShop, edge: Floats) -> Ints:
    """Return how many orders, sorted by customer and time, come before each exposure's moment."""
    span = 1e6
    keys = np.sort(shop.buyer * span + shop.day)
    return np.searchsorted(keys, shop.customer * span + edge).astype(np.int64)
