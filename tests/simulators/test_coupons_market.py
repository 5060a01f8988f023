from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.coupon_rules import CouponRule, CouponSettings, admit
from pricing.errors import UsageError
from simulators.coupons.habits import CARTS
from simulators.coupons.market import CouponMarket, Expected
from simulators.coupons.shop_floor import ShopFloor, level_menu
from simulators.coupons.state import CONTEXT, MEMORY
from simulators.coupons.toy import toy_habits
from simulators.coupons.worlds import Prior, crowd_of, customer_keys, draw_truths
from tests.simulators.coupon_cases import X, chance, market, truths

ONE = np.ones((1, 1), dtype=np.int64)


def test_what_an_offer_is_expected_to_bring_by_hand() -> None:
    """Even odds become three to one; half use it; a user's basket of 10.00 becomes 15.00; goods cost 60 %."""
    found = market().expected(market().crowd.open())
    np.testing.assert_allclose(found.buys[0, 0], [0.5, 0.75])
    np.testing.assert_allclose(found.uses[0, 0], [0.0, 0.375])
    np.testing.assert_allclose(found.revenue[0, 0], [500.0, 0.75 * (0.5 * 1000 + 0.5 * 1350)])
    np.testing.assert_allclose(found.profit[0, 0], [200.0, 0.75 * (0.5 * 400 + 0.5 * 1500 * 0.3)])
    np.testing.assert_allclose(found.incremental[0, 0], [0.0, 118.75])
    added = (1 / 3) * (0.5 * 1.0 + 0.5 * 1.5) + (2 / 3) * 0.5 * 0.5
    np.testing.assert_allclose(found.forward[0, 0], [0.0, 750.0 * added * 0.4])


def test_a_purchase_that_the_coupon_caused_is_partly_made_good_later() -> None:
    floor = market()
    first = floor.step(floor.crowd.open(), ONE, chance(0.6, 0.3, 0.5, 0.9))
    assert (first.bought.item(), first.used.item(), first.caused.item()) == (True, True, True)
    np.testing.assert_allclose(
        [first.value, first.revenue, first.profit], [[[1500.0]], [[1350.0]], [[450.0]]]
    )
    np.testing.assert_allclose(first.state.debt, 0.4 * 1.5)
    np.testing.assert_allclose(first.state.habit, 0.2 * X)
    np.testing.assert_allclose(first.state.worn, 0.5)
    again = floor.step(first.state, 0 * ONE, chance(0.1, 0.3, 0.5, 0.9))
    np.testing.assert_allclose(again.value, 700.0)
    np.testing.assert_allclose(again.state.debt, 0.3)


def test_one_who_would_have_come_owes_only_what_was_added() -> None:
    floor = market()
    found = floor.step(floor.crowd.open(), ONE, chance(0.4, 0.3, 0.5, 0.9))
    assert not found.caused.item()
    np.testing.assert_allclose(found.state.debt, 0.4 * 0.5)
    unused = floor.step(floor.crowd.open(), ONE, chance(0.4, 0.7, 0.5, 0.9))
    np.testing.assert_allclose([unused.revenue, unused.state.debt], [[[1000.0]], [[0.0]]])
    away = floor.step(floor.crowd.open(), ONE, chance(0.8, 0.3, 0.5, 0.9))
    np.testing.assert_allclose([away.value, away.state.debt, away.state.habit], 0.0)
    assert away.state.since.item() == 2


def test_getting_used_to_coupons_makes_their_absence_a_loss() -> None:
    """With weight 1 and half attentive, a habit of 10 % without a coupon is the mirror of a coupon."""
    floor = market(against=1.0)
    used_to = replace(floor.crowd.open(), habit=np.full((1, 1), X))
    np.testing.assert_allclose(floor.expected(used_to).buys[0, 0], [0.25, 0.5])


def test_an_offer_reminds_and_wears_out() -> None:
    floor = market(reminder=np.log(3.0), visit_response=0.0)
    fresh = floor.crowd.open()
    np.testing.assert_allclose(floor.expected(fresh).buys[0, 0], [0.5, 0.75])
    np.testing.assert_allclose(floor.expected(replace(fresh, worn=np.ones((1, 1)))).buys[0, 0], [0.5, 0.5])


def test_carts_open_grow_old_and_close() -> None:
    made = toy_habits(1)
    crowd = crowd_of(made, truths(), np.array([0]), customer_keys(1))
    floor, state = CouponMarket(crowd, np.array([0.0, 0.1])), crowd.open()
    ages = []
    for u in (0.05, 0.9, 0.9, 0.9, 0.05):
        state = floor.step(state, 0 * ONE, chance(0.9999, 0.5, 0.5, u)).state
        ages.append(state.cart.item())
    assert ages == [1, 2, CARTS, 0, 1]
    odds = [floor.log_odds(replace(state, cart=np.full((1, 1), age))).item() for age in range(CARTS + 1)]
    np.testing.assert_allclose(np.array(odds[1:]) - odds[0], made.cart)
    assert floor.step(state, 0 * ONE, chance(0.0, 0.5, 0.5, 0.0)).state.cart.item() == 0


def test_expectations_are_means_over_chance() -> None:
    """40,000 customers alike, by a state with debt and habit, within four standard errors."""
    floor = market(40_000, reminder=0.3, against=0.5)
    opened = floor.crowd.open()
    state = replace(opened, debt=np.full((1, 40_000), 0.4), habit=np.full((1, 40_000), 0.05))
    expected = floor.expected(state)
    for offer in (0, 1):
        found = floor.step(
            state, np.full((1, 40_000), offer), floor.chance(np.array([9], dtype=np.uint64), 0)
        )
        owed = found.state.debt - state.debt
        repaid = np.where(found.bought, 0.5 * 0.4, 0.0)
        for name, drawn in (
            ("buys", found.bought), ("uses", found.used), ("revenue", found.revenue),
            ("profit", found.profit), ("forward", (owed + repaid) * 1000.0),
        ):  # fmt: skip
            mean = float(getattr(expected, name)[0, 0, offer])
            error = float(drawn.std()) / np.sqrt(40_000)
            assert abs(float(drawn.mean()) - mean) <= 4.0 * error + 1e-9, (offer, name)


def shop(customers: int, worlds: int, seed: int) -> CouponMarket:
    habits = toy_habits(seed=seed)
    world = np.arange(worlds)
    crowd = crowd_of(habits, draw_truths(habits, Prior(), worlds, seed=seed), world, customer_keys(customers))
    return CouponMarket(crowd, np.array([0.0, 0.05, 0.1, 0.2]))


@given(st.integers(0, 50), st.integers(1, 12), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_a_customer_does_the_same_in_any_batch(seed: int, customers: int, worlds: int) -> None:
    many, streams = shop(12, 4, seed), np.arange(4, dtype=np.uint64) + np.uint64(seed)
    few = shop(customers, worlds, seed)
    whole, part = many.crowd.open(), few.crowd.open()
    offers = np.random.default_rng(seed).integers(0, 4, (3, 4, 12))
    for t in range(3):
        one = many.step(whole, offers[t], many.chance(streams, t))
        two = few.step(part, offers[t, :worlds, :customers], few.chance(streams[:worlds], t))
        for name in ("bought", "used", "caused", "value", "revenue", "profit"):
            np.testing.assert_array_equal(getattr(one, name)[:worlds, :customers], getattr(two, name))
        whole, part = one.state, two.state


@given(st.integers(0, 50), st.data())
@settings(max_examples=15, deadline=None)
def test_what_must_hold_whatever_the_policy(seed: int, data: st.DataObject) -> None:
    floor = shop(20, 2, seed)
    state, streams = floor.crowd.open(), np.array([1, 2], dtype=np.uint64)
    for t in range(4):
        offers = np.array(data.draw(st.lists(st.integers(0, 3), min_size=40, max_size=40))).reshape(2, 20)
        expected = floor.expected(state)
        check(expected)
        found = floor.step(state, offers, floor.chance(streams, t))
        assert not (found.used & (offers == 0)).any()
        assert not (found.used & ~found.bought).any()
        assert not (found.caused & (~found.bought | (offers == 0))).any()
        np.testing.assert_allclose(
            found.value - found.revenue, found.value * floor.depth[offers] * found.used
        )
        assert (found.value[found.bought] > 0.0).all()
        assert not found.value[~found.bought].any()
        state = found.state
        assert (state.debt >= -1e-12).all()
        assert (state.habit >= 0.0).all()
        assert ((state.worn >= 0.0) & (state.worn <= 1.0)).all()
        assert (state.since >= 1).all()


def check(expected: Expected) -> None:
    assert not expected.incremental[..., 0].any()
    assert not expected.uses[..., 0].any()
    assert not expected.forward[..., 0].any()
    assert (np.diff(expected.buys[..., 1:], axis=-1) >= -1e-12).all(), "deeper is never less attractive"
    for field in fields(expected):
        assert np.isfinite(getattr(expected, field.name)).all()


def test_policies_meet_the_same_chance() -> None:
    """Whoever gets no coupon is not touched by what the others get."""
    floor, streams = shop(50, 1, 4), np.array([5], dtype=np.uint64)
    state, same = floor.crowd.open(), floor.crowd.open()
    half = np.where(np.arange(50) % 2, 3, 0)[None]
    for t in range(5):
        state = floor.step(state, half, floor.chance(streams, t)).state
        visit = floor.step(same, 0 * half, floor.chance(streams, t))
        same = visit.state
    np.testing.assert_array_equal(state.seen.basket[half == 0], same.seen.basket[half == 0])
    assert (state.since[half > 0] != same.since[half > 0]).any()


def test_what_the_shop_sees_fades_and_adds_up() -> None:
    floor = market()
    found = floor.step(floor.crowd.open(), ONE, chance(0.4, 0.3, 0.5, 0.9))
    before, after = floor.crowd.open().seen, found.state.seen
    np.testing.assert_allclose(after.rate, MEMORY * before.rate + 0.1)
    np.testing.assert_allclose(after.felt, 0.1 * X)
    np.testing.assert_allclose(after.given, 0.1)
    np.testing.assert_allclose(after.offered, before.offered + 1.0)
    assert found.state.recent(1).item() == 1
    later = floor.step(found.state, 0 * ONE, chance(0.4, 0.3, 0.5, 0.9)).state
    assert (later.recent(1).item(), later.recent(2).item(), later.recent(64).item()) == (0, 1, 1)
    with pytest.raises(UsageError, match="over 65 periods"):
        later.recent(65)


def test_the_floor_hands_the_kernel_what_it_decides_from() -> None:
    crowd = market().crowd
    floor = ShopFloor.of(crowd, level_menu((0.1, 0.5)), 4, CouponSettings(act_on_prior=True))
    situation = floor.situation(crowd.open(), 1)
    np.testing.assert_array_equal(situation.discount[0, 0], [0, 100, 500])
    rejections = admit(situation, floor.settings)[0, 0]
    assert rejections.tolist() == [0, 0, int(CouponRule.BELOW_COST.bit)]
    told = dict(zip(CONTEXT, situation.features[0, 0], strict=True))
    assert told["steps_left"] == pytest.approx(0.75)
    assert told["odds"] == pytest.approx(0.0)
    assert situation.personal == set(CONTEXT) - {"steps_left"}
    strict = ShopFloor.of(crowd, level_menu((0.1,)), 4, CouponSettings())
    assert admit(strict.situation(crowd.open(), 0), strict.settings)[0, 0, 1] == CouponRule.NOT_IDENTIFIED.bit
    assert floor.scale == pytest.approx(400.0)


@pytest.mark.parametrize("depth", [(0.1, 0.2), (0.0,), (0.0, 0.2, 0.1), (0.0, 1.0)])
def test_impossible_levels_are_refused(depth: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="not 0 and then ascending"):
        market(depth=depth)
