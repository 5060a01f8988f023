from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pricing.errors import DataError, MissingCost, NotIdentified
from simulators.contract.tables import open_source
from simulators.coupons.fit import HABIT_TABLES, fit_habits, habits_of
from simulators.coupons.habits import RECENCY, recency_class
from simulators.coupons.purchases import Economics, Purchases, build_purchases
from simulators.coupons.toy import toy_habits
from simulators.coupons.worlds import Prior, crowd_of, customer_keys, draw_truths, response_of
from simulators.customers.offers import NEVER, Offers
from simulators.worlds import toy_shop
from tests.simulators.coupon_cases import purchases_of, truths
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

MONDAYS = [str(np.datetime64("2025-01-06") + 7 * w) for w in range(7)]

# Ten weeks from Monday 2025-01-06; c1 every week, c2 in weeks 1 and 5; the last week is not over.
LINES = [
    *(f"a{w},1,{MONDAYS[w]} 10:00,paid,c1,A,2,10.00,8.00,16.00,gross" for w in range(7)),
    "b1,1,2025-01-07 09:00,paid,c2,B,1,5.00,5.00,5.00,gross",
    "b1,2,2025-01-07 09:00,paid,c2,A,1,10.00,8.00,8.00,gross",
    "b2,1,2025-02-05 09:00,cancelled,c2,B,1,5.00,5.00,5.00,gross",
    "b3,1,2025-02-06 09:00,paid,c2,B,3,5.00,5.00,15.00,gross",
    "b4,1,2025-03-10 09:00,paid,c3,B,1,5.00,5.00,5.00,gross",
]  # fmt: skip


def read(folder: Path, purpose: str | None = None) -> Purchases:
    with open_source(folder, today=TODAY, only=HABIT_TABLES) as source:
        return build_purchases(source, purpose)


def test_purchases_are_added_up_by_household_and_whole_week(tmp_path: Path) -> None:
    found = read(write_shop(tmp_path / "d", orders=orders(*LINES)))
    assert found.customer == ("c1", "c2", "c3")
    assert found.value.shape == (3, 9), "2025-03-10 begins a week that is not over"
    np.testing.assert_array_equal(found.value[0], [1600.0] * 7 + [0.0] * 2)
    np.testing.assert_array_equal(np.flatnonzero(found.value[1]), [0, 4])
    np.testing.assert_array_equal(found.value[1][[0, 4]], [1300.0, 1500.0])
    assert not found.value[2].any()
    assert (found.period_days, found.events, found.anonymous) == (7, False, 0)


def test_what_is_left_of_a_basket_by_hand(tmp_path: Path) -> None:
    """One line: 2 at 8.00, regularly 10.00, 25 % tax: net 12.80, cost 60 % of 16.00 net regular is 9.60."""
    lines = [LINES[0], *(line.replace(",2,10.00", ",2,10.00") for line in LINES[1:7]), LINES[-1]]
    lines[-1] = lines[-1].replace("c3,B,1,5.00,5.00,5.00", "c3,A,2,10.00,8.00,16.00")
    folder = write_shop(tmp_path / "d", orders=orders(*lines))
    money = read(folder).economics
    assert money.net == pytest.approx(0.8)
    assert money.cost == pytest.approx(9.6 / 16.0)
    assert money.cost_assumed == pytest.approx(1.0)
    np.testing.assert_allclose(money.margin(np.array([0.0, 0.1])), [0.2, 0.12])
    costs = "product_id,valid_from,unit_cost\nA,2025-02-01,4.00\nA,2025-02-10,2.00\n"
    known = read(write_shop(tmp_path / "k", orders=orders(*lines), costs=costs)).economics
    assert known.cost_assumed == pytest.approx(0.0)
    assert known.cost == pytest.approx((5 * 8.0 + 3 * 4.0) / (8 * 16.0)), (
        "the first known cost holds before it"
    )


def test_consent_carts_and_missing_costs(tmp_path: Path) -> None:
    consents = "customer_id,purpose,granted,at,text_version,source\nc1,offers,true,2025-01-01 00:00,1,form\n"
    events = (
        "customer_id,session_id,at,event,product_id\n"
        "c1,s1,2025-02-25 10:00,cart_add,A\nc1,s2,2025-02-25 11:00,view,A\n"
        "c9,s3,2025-02-25 11:00,cart_add,A\n"
    )
    folder = write_shop(tmp_path / "d", orders=orders(*LINES), consents=consents, events=events)
    found = read(folder, "offers")
    assert (found.customer, found.anonymous, found.events) == (("c1",), 2, True)
    np.testing.assert_array_equal(np.argwhere(found.cart), [[0, 7]])
    with pytest.raises(DataError, match="No purchase"):
        read(folder, "newsletter")
    bare = SHOP.split("[cost_assumption]")[0]
    with pytest.raises(MissingCost, match="have no cost"):
        read(write_shop(tmp_path / "c", shop=bare, orders=orders(*LINES)))
    with pytest.raises(DataError, match="whole periods"):
        read(write_shop(tmp_path / "s", orders=orders(*LINES[:4])))


def test_a_shop_without_exposures_has_no_level_of_use(tmp_path: Path) -> None:
    with open_source(
        write_shop(tmp_path / "d", orders=orders(*LINES)), today=TODAY, only=HABIT_TABLES
    ) as source:
        found = habits_of(source, None)
    assert np.isnan(found.use_level)
    assert found.since.tolist() == [3, 5]
    prior = Prior(use_level=(-2.0, 0.5))
    level = draw_truths(found, prior, 4000, seed=1).use_level
    assert level.mean() == pytest.approx(-2.0, abs=0.05)
    assert level.std() == pytest.approx(0.5, abs=0.03)


def test_habits_come_back_from_what_they_made() -> None:
    """500 customers of a toy shop over 100 weeks: rates, baskets, recency and carts are found again."""
    truth = toy_habits(200, 1)
    crowd = crowd_of(truth, truths(), np.array([0]), customer_keys(500))
    found = fit_habits(purchases_of(crowd, 100), None)
    rows = [int(name[1:]) for name in found.customer]
    assert np.asarray(np.corrcoef(found.visit, crowd.visit[0][rows]))[0, 1] > 0.9
    assert np.asarray(np.corrcoef(found.basket, crowd.basket[0][rows]))[0, 1] > 0.9
    assert abs(float((found.basket - crowd.basket[0][rows]).mean())) < 0.03
    assert found.noise_sd == pytest.approx(truth.noise_sd, abs=0.02)
    assert found.visit_spread == pytest.approx(float(crowd.visit.std()), rel=0.1)
    assert found.cart_opens == pytest.approx(truth.cart_opens, abs=0.01)
    np.testing.assert_allclose(found.cart, truth.cart, atol=0.25)
    fitted, made = (h.level + h.recency for h in (found, truth))
    shift = float(np.median(crowd.visit) - np.median(found.visit))
    np.testing.assert_allclose(fitted[:6], made[:6] + shift, atol=0.25)
    score = (found.visit - crowd.visit[0][rows] + shift) / found.visit_sd
    assert score.std() == pytest.approx(1.0, abs=0.25), "stated sds are what they are off by"


def offers(*rows: tuple[str, int, int, int]) -> Offers:
    customer, day, ends, redeemed = zip(*rows, strict=True)
    first, last, done = (np.array(v, dtype=np.int64) for v in (day, ends, redeemed))
    n = len(rows)
    return Offers(customer, ("k",) * n, ("t",) * n, first, last, done, np.zeros((n, 5)), 0, 700, "f")


def shopping(value: np.ndarray) -> Purchases:
    names = tuple(f"c{i:03d}" for i in range(len(value)))
    none = np.zeros(value.shape, dtype=np.bool_)
    return Purchases(names, value, none, False, 0, 7, 0, Economics(1.0, 0.6, 0.0, 1.0), "EUR", "f")


def test_only_purchases_with_a_coupon_in_hand_tell_of_its_use() -> None:
    """Forty households buy in all ten weeks; all hold a coupon from week 2 to 5, thirty use it in week 4."""
    used = [(f"c{i:03d}", 15, 42, 30 if i < 30 else NEVER) for i in range(40)]
    found = fit_habits(shopping(np.full((40, 10), 100.0)), offers(*used))
    np.testing.assert_array_equal(found.offered, [3.0] * 30 + [4.0] * 10)
    np.testing.assert_array_equal(found.used, [1.0] * 30 + [0.0] * 10)
    assert found.use_level == pytest.approx(np.log(30 / (130 - 30)), abs=0.1)
    assert (found.use[:30].min() > found.use[30:].max()) or found.use_spread < 0.3
    few = fit_habits(shopping(np.full((40, 10), 100.0)), offers(*used[:29]))
    assert np.isnan(few.use_level), "29 redemptions are too few to tell"


def test_nobody_who_comes_back_is_refused() -> None:
    value = np.zeros((3, 9))
    value[:, 2] = 500.0
    with pytest.raises(NotIdentified, match="came back"):
        fit_habits(shopping(value), None)


def test_worlds_follow_from_their_number_and_the_prior() -> None:
    habits, prior = toy_habits(), Prior()
    many, some = draw_truths(habits, prior, 3000, seed=4), draw_truths(habits, prior, 5, seed=4, first=100)
    for name in ("use_level", "visit_response", "forward", "reminder"):
        np.testing.assert_array_equal(getattr(many, name)[100:105], getattr(some, name))
    assert prior.forward[0] <= many.forward.min()
    assert many.forward.max() <= prior.forward[1]
    assert many.forward.mean() == pytest.approx(np.mean(prior.forward), abs=0.01)
    together = many.basket_response + many.visit_response * (1.0 - habits.buying)
    assert together.mean() == pytest.approx(2.62 * 0.7, rel=0.03), "visits and basket share the response"
    assert many.use_level.mean() == pytest.approx(habits.use_level + prior.use_shift[0], abs=0.04)
    assert not np.array_equal(draw_truths(habits, prior, 5, seed=5).forward, some.forward)


def test_customers_are_drawn_from_the_posterior_of_households() -> None:
    habits = replace(toy_habits(1), visit=np.array([0.7]), visit_sd=np.array([0.2]))
    crowd = crowd_of(habits, truths(2, keen_sd=0.5), np.array([0, 1]), customer_keys(20_000))
    assert crowd.visit.mean() == pytest.approx(0.7, abs=0.01)
    assert crowd.visit.std() == pytest.approx(0.2, abs=0.01)
    assert crowd.keen.mean() == pytest.approx(1.0, abs=0.02)
    assert np.log(crowd.keen).std() == pytest.approx(0.5, abs=0.02)
    assert abs(np.asarray(np.corrcoef(crowd.visit))[0, 1]) < 0.03, "worlds are drawn apart"
    linked = crowd_of(
        toy_habits(500), truths(keen_sd=0.5, keen_use=0.6), np.array([0]), customer_keys(20_000)
    )
    assert np.corrcoef(np.log(linked.keen[0]), linked.use[0])[0, 1] == pytest.approx(0.6, abs=0.05)


def test_the_response_comes_from_the_demand_model() -> None:
    _, model = toy_shop(30, 2)
    mean, sd = response_of(model)
    assert mean == pytest.approx(2.6, abs=0.05)
    assert sd == pytest.approx(0.0, abs=0.05)
    with pytest.raises(DataError, match="lowers what is sold"):
        response_of(replace(model, mean=-model.mean))


def test_classes_of_recency_begin_where_they_say() -> None:
    np.testing.assert_array_equal(recency_class(RECENCY), np.arange(len(RECENCY)))
    assert recency_class(np.array([5, 1000])).tolist() == [3, len(RECENCY) - 1]
