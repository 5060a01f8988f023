"""Farmers: what they hold back, when they pay, and that nothing else of anybody changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import UsageError
from simulators.coupons.farming import HONEST, Farmers, Farming
from simulators.coupons.market import CouponMarket, Visit
from simulators.coupons.state import State
from simulators.coupons.toy import toy_habits
from simulators.coupons.worlds import Prior, crowd_of, customer_keys, draw_truths
from tests.simulators.coupon_cases import chance, market, plain_habits, truths

WANTS, NOT = chance(0.4, 0.9, 0.5, 0.9), chance(0.9, 0.9, 0.5, 0.9)
"""One who would buy without a coupon and not use one; one who would not buy."""
OFFERED, NONE = np.ones((1, 1), dtype=np.int64), np.zeros((1, 1), dtype=np.int64)


def farmer(dropped: float = 0.0) -> CouponMarket:
    """One customer who farms, with a patience of 2 and a memory of 4; nothing is brought forward."""
    made = market(forward=0.0)
    whole = np.full((1, 1), 2)
    who = Farmers(np.ones((1, 1), dtype=np.bool_), whole, 2 * whole, np.full((1, 1), dropped))
    return CouponMarket(replace(made.crowd, farmers=who), made.depth)


def offered_once(floor: CouponMarket) -> State:
    return floor.step(floor.crowd.open(), OFFERED, NOT).state


def told(visit: Visit) -> tuple[bool, bool, float, float]:
    one = (visit.bought, visit.used, visit.value, visit.profit)
    return tuple(v.item() for v in one)  # type: ignore[return-value] # four items


def test_a_wish_waits_in_the_cart_until_the_coupon_comes() -> None:
    """Two wishes of 10.00 are held back and paid together at 10 % off: 18.00 less 12.00 of costs."""
    floor = farmer()
    first = floor.step(offered_once(floor), NONE, WANTS)
    assert told(first) == (False, False, 0.0, 0.0)
    second = floor.step(first.state, NONE, WANTS)
    assert not second.bought.item()
    assert second.state.since.item() == 4, "the shop saw no purchase"
    third = floor.step(second.state, OFFERED, NOT)
    assert told(third) == pytest.approx((True, True, 2000.0, 600.0))
    assert third.state.since.item() == 1
    assert floor.put_off(third.state).item() == 0.0


def test_after_their_patience_they_pay_the_full_price_or_drop_it() -> None:
    for dropped, paid in ((0.0, (True, False, 1000.0, 400.0)), (0.95, (False, False, 0.0, 0.0))):
        floor = farmer(dropped)
        held = floor.step(floor.step(offered_once(floor), NONE, WANTS).state, NONE, NOT).state
        assert floor.put_off(held).item() == pytest.approx(1000.0 * (1.0 - dropped))
        assert told(floor.step(held, NONE, NOT)) == pytest.approx(paid)


def test_who_was_not_offered_anything_of_late_expects_nothing() -> None:
    floor = farmer()
    assert floor.step(floor.crowd.open(), NONE, WANTS).bought.item()
    state = offered_once(floor)
    for _ in range(4):
        state = floor.step(state, NONE, NOT).state
    assert floor.step(state, NONE, WANTS).bought.item(), "four periods on, the offer is forgotten"


def test_with_a_coupon_in_hand_they_use_it_and_buy_no_more() -> None:
    floor = farmer()
    found = floor.step(floor.crowd.open(), OFFERED, WANTS)
    assert told(found) == pytest.approx((True, True, 1000.0, 300.0))
    assert not found.caused.item()
    tempted = floor.step(floor.crowd.open(), OFFERED, chance(0.6, 0.3, 0.5, 0.9))
    assert told(tempted) == pytest.approx((True, True, 1500.0, 450.0)), "as an honest user of 10 %"
    assert tempted.caused.item()


def test_the_shop_sees_an_open_cart_where_it_records_carts() -> None:
    for records, age in ((True, 1), (False, 0)):
        made = farmer()
        habits = replace(plain_habits(), cart_opens=0.1 if records else 0.0)
        floor = replace(made, crowd=replace(made.crowd, habits=habits))
        state = floor.step(offered_once(floor), NONE, WANTS).state
        assert state.cart.item() == age
        assert floor.log_odds(state).item() == pytest.approx(0.0), "their own wishes know of no cart"


SURE = Farming(1.0, dropped=(0.0, 0.0))


def shops(seed: int, farming: Farming) -> tuple[CouponMarket, CouponMarket]:
    """Return the same 30 customers of two worlds, honest and farming."""
    habits = toy_habits(seed=seed)
    made = draw_truths(habits, Prior(), 2, seed=seed)
    return tuple(  # type: ignore[return-value] # two of them
        CouponMarket(crowd_of(habits, made, np.arange(2), customer_keys(30), f), np.array([0.0, 0.1, 0.2]))
        for f in (HONEST, farming)
    )


def played(floor: CouponMarket, offers: np.ndarray) -> list[Visit]:
    state, out, streams = floor.crowd.open(), list[Visit](), np.array([1, 2], dtype=np.uint64)
    for t, offer in enumerate(offers):
        out.append(floor.step(state, offer, floor.chance(streams, t)))
        state = out[-1].state
    return out


@given(st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_nothing_but_the_time_and_the_discount_changes(seed: int) -> None:
    """Same offers: farmers wish for the same goods to the cent, pay less for them, and never before."""
    offers = np.random.default_rng(seed).integers(0, 3, (8, 2, 30))
    honest, farmed = (played(floor, offers) for floor in shops(seed, SURE))
    goods = [np.cumsum([v.value for v in visits], axis=0) for visits in (honest, farmed)]
    left = farmed[-1].state.waiting
    assert left is not None
    np.testing.assert_allclose(goods[0][-1], goods[1][-1] + left.goods, rtol=1e-12)
    assert (goods[1] <= goods[0] + 1e-6).all()
    for one, two in zip(honest, farmed, strict=True):
        assert not (two.bought & ~two.used & (two.state.offers & np.uint64(1) > 0)).any()
        np.testing.assert_array_equal(one.state.debt, two.state.debt)
        np.testing.assert_array_equal(one.state.habit, two.state.habit)


@given(st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_without_offers_and_without_farming_they_are_honest_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nothing, something = np.zeros((5, 2, 30), dtype=np.int64), rng.integers(0, 3, (5, 2, 30))
    for farming, offers in ((SURE, nothing), (replace(SURE, share=0.4), something)):
        one, two = shops(seed, farming)
        farmers = two.crowd.farmers
        assert farmers is not None
        same = np.full((2, 30), offers.max() == 0) | ~farmers.who
        for v, w in zip(played(one, offers), played(two, offers), strict=True):
            for name in ("bought", "used", "caused", "value", "revenue", "profit"):
                np.testing.assert_array_equal(getattr(v, name)[same], getattr(w, name)[same])
            for name in ("since", "cart", "debt", "worn"):
                np.testing.assert_array_equal(getattr(v.state, name)[same], getattr(w.state, name)[same])


def test_the_same_customers_farm_at_every_larger_share() -> None:
    habits, made = toy_habits(), truths()
    drawn = [
        crowd_of(habits, made, np.array([3]), customer_keys(4000), Farming(share)).farmers
        for share in (0.05, 0.3)
    ]
    few, many = drawn
    assert few is not None
    assert many is not None
    assert abs(few.who.mean() - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / 4000)
    assert not (few.who & ~many.who).any()
    assert (few.patience.min(), few.patience.max()) == (1, 4)
    assert (few.memory.min(), few.memory.max()) == (4, 16)
    np.testing.assert_allclose([few.dropped.min(), few.dropped.max()], [0.0, 0.3], atol=0.01)
    assert crowd_of(habits, made, np.array([3]), customer_keys(4)).farmers is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 1.1}, {"share": float("nan")}, {"patience": (0, 2)}, {"patience": (3, 2)},
        {"memory": (4, 65)}, {"dropped": (0.0, 1.5)},
    ],
)  # fmt: skip
def test_impossible_farmers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="Nobody can farm"):
        Farming(**wrong)  # type: ignore[arg-type] # wrong on purpose
