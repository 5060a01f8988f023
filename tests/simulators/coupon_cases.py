"""A market of one customer whose numbers are round, and a shop whose purchases come from its own market."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricing.arrays import Floats
from simulators.coupons.habits import Habits
from simulators.coupons.market import CouponMarket
from simulators.coupons.purchases import Purchases
from simulators.coupons.toy import toy_habits
from simulators.coupons.worlds import Crowd, Truths, crowd_of, customer_keys

X = -np.log(0.9)
"""Log depth of 10 %."""


def truths(copies: int = 1, /, **changed: float) -> Truths:
    """Half use a coupon of 10 %; it makes three to one of even odds, and a basket half larger."""
    plain = {
        "use_level": 0.0, "use_slope": 0.0, "visit_response": np.log(3.0) / (0.5 * X),
        "basket_response": np.log(1.5) / X, "keen_sd": 0.0, "keen_use": 0.0, "keen_visit": 0.0,
        "reminder": 0.0, "wear": 1.0, "wear_memory": 0.5, "forward": 0.4, "repay": 0.5, "against": 0.0,
        "memory": 0.8,
    }  # fmt: skip
    return Truths(**{name: np.full(copies, value) for name, value in (plain | changed).items()})


def plain_habits(households: int = 1) -> Habits:
    """Even odds, baskets of exactly 10.00, 40 % margin."""
    made, zero = toy_habits(households, carts=False, cost=0.6), np.zeros(households)
    return replace(
        made, level=0.0, recency=np.zeros_like(made.recency), visit=zero, visit_sd=zero, use=zero,
        use_sd=zero,
        basket=np.full(households, np.log(1000.0)), basket_sd=zero, noise_sd=0.0, use_level=0.0,
        since=np.ones(households, dtype=np.int64),
    )  # fmt: skip


def market(customers: int = 1, depth: tuple[float, ...] = (0.0, 0.1), **changed: float) -> CouponMarket:
    crowd = crowd_of(plain_habits(), truths(**changed), np.array([0]), customer_keys(customers))
    return CouponMarket(crowd, np.array(depth))


def chance(*u: float) -> Floats:
    return np.array(u).reshape(1, 1, 4)


def purchases_of(crowd: Crowd, periods: int, seed: int = 3) -> Purchases:
    """Let a crowd of one row shop without coupons, and note it as a shop would."""
    floor = CouponMarket(crowd, np.array([0.0, 0.1]))
    state, value, opened = crowd.open(), [], []
    none = np.zeros(crowd.visit.shape, dtype=np.int64)
    for t in range(periods):
        visit = floor.step(state, none, floor.chance(np.array([seed], dtype=np.uint64), t))
        state = visit.state
        value.append(visit.value[0])
        opened.append(state.cart[0] == 1)
    names = tuple(f"c{i:05d}" for i in range(len(value[0])))
    habits = crowd.habits
    return Purchases(
        names, np.stack(value, axis=1), np.stack(opened, axis=1), habits.cart_opens > 0.0,
        19_723 - 7 * periods, 7, 0, habits.economics, "EUR", "made",
    )  # fmt: skip
