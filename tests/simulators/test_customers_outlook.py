"""What is expected of customers, checked by hand and on shops whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.customers.outlook import Outlook, choose_horizon, count_visits, look_ahead
from simulators.customers.outlook_check import beyond_chance, check_outlook, gain
from simulators.customers.visit_effects import fit_large, read_effects
from simulators.customers.visits import ShoppingDays, fit_visits, simulate_visits
from tests.simulators.test_customers_churn import DAY, model

BEFORE = 100


def shopping(visited: np.ndarray, first_day: int = DAY - BEFORE) -> ShoppingDays:
    names = tuple(f"h{i:04d}" for i in range(len(visited)))
    return ShoppingDays(names, visited.astype(np.bool_), first_day, 0, "data")


def on_days(*rows: list[int], width: int = BEFORE) -> ShoppingDays:
    visited = np.zeros((len(rows), width), dtype=np.bool_)
    for row, days in enumerate(rows):
        visited[row, days] = True
    return shopping(visited)


@pytest.mark.parametrize(
    ("every", "width", "days"), [(3, 365, 28), (20, 365, 56), (40, 365, 84), (40, 200, 56), (90, 60, 28)]
)
def test_the_horizon_is_twice_the_usual_gap_and_leaves_a_stretch_to_hide(
    every: int, width: int, days: int
) -> None:
    assert choose_horizon(on_days(list(range(0, width, every)), width=width)) == days


def test_nobody_who_came_twice_means_the_shortest_horizon() -> None:
    assert choose_horizon(on_days([3], [5], width=400)) == 28


def test_an_outlook_by_hand() -> None:
    """A tenth each day: geometric until the next order, binomial in number."""
    past = on_days([0, 10, 20, 30], [90, 99])
    found = look_ahead(model(2, level=-np.log(9.0)), past, 30, seed=1)
    assert found.back == pytest.approx([1 - 0.9**30] * 2)
    assert found.visits == pytest.approx([3.0, 3.0])
    assert found.next_day.tolist() == [7, 7]  # 1 - .9^6 = .469, 1 - .9^7 = .522
    assert (found.next_lower.tolist(), found.next_upper.tolist()) == ([1, 1], [29, 29])
    assert set(found.visits_lower.tolist()) <= {0, 1}  # P(0) = .042, P(<= 1) = .184
    assert set(found.visits_upper.tolist()) <= {5, 6}  # P(<= 5) = .927, P(<= 6) = .974
    # Three gaps in thirty days: three days with an order in thirty. Two orders tell no pace.
    assert found.usual[0] == pytest.approx(3.0)
    assert np.isnan(found.usual[1])
    assert found.comes_less[0] == pytest.approx(0.184, abs=0.08)  # none or one, in 200 draws
    assert np.isnan(found.comes_less[1])
    assert found.likely_less.tolist() == [False, False]


def test_what_is_farther_away_than_can_be_told_has_no_day() -> None:
    found = look_ahead(model(1, level=-9.0), on_days([0, 10, 20, 30]), 28, seed=1)
    assert (found.next_day.tolist(), found.next_upper.tolist()) == ([0], [0])
    assert found.likely_less.tolist() == [True]  # usual: 2.8; a day in 300 of a chance


def test_ends_of_a_probability_are_those_of_the_effect() -> None:
    found = look_ahead(model(1, sd=0.5), on_days([0]), 1, seed=1)
    low, high = (1 / (1 + np.exp(-z * 0.5)) for z in (-1.6448536, 1.6448536))
    assert (found.back_lower[0], found.back_upper[0]) == pytest.approx((low, high))
    assert found.back[0] == pytest.approx(0.5)


def test_counts_are_those_of_the_simulated_days() -> None:
    households = model(30, level=-1.5, sd=0.7)
    one_by_one = [simulate_visits(households, 20, 9, draw=d).sum(axis=1) for d in range(6)]
    assert count_visits(households, 20, 9, 6).tolist() == np.stack(one_by_one).tolist()


def test_the_same_seed_gives_the_same_outlook_and_another_another() -> None:
    past, households = on_days(*[[0, 9, 18, 27]] * 50), model(50, level=-2.0, sd=0.5)
    one, again, other = (look_ahead(households, past, 14, seed) for seed in (1, 1, 2))
    assert one.comes_less.tobytes() == again.comes_less.tobytes()
    assert one.comes_less.tobytes() != other.comes_less.tobytes()
    assert one.back.tobytes() == other.back.tobytes()


def drawn(households: int, days: int, seed: int) -> ShoppingDays:
    visited = simulate_visits(model(households, level=-2.0, sd=0.8), days, seed)
    visited[:, 0] = True
    return shopping(visited, DAY)


def test_an_outlook_comes_true_on_days_it_did_not_see() -> None:
    days = drawn(400, 120, seed=4)
    found = look_ahead(fit_visits(days, DAY + 92), days, 28, seed=1)
    check = check_outlook(found, days)
    assert check is not None
    assert abs(check.off) < 3.0
    assert check.expected == pytest.approx(check.came, rel=0.05)
    assert check.inside > 0.86  # a count: its interval holds at least 90 % where all is known
    assert check.comes_less == pytest.approx(check.came_less, rel=0.25)
    alike, own = check.gains
    assert alike.over == "alike"
    assert alike.better
    assert own.lower <= own.value <= own.upper


def test_a_check_by_hand() -> None:
    past = np.zeros((40, BEFORE + 10), dtype=np.bool_)
    past[:, :BEFORE:10] = True  # ten orders each, the last ten days before the end
    past[:30, BEFORE + 4] = True  # thirty of forty come in the ten hidden days
    days = shopping(past)
    n = 40
    found = Outlook(
        customer=days.customer, as_of=DAY, days=10, back=np.full(n, 0.5), back_lower=np.full(n, 0.4),
        back_upper=np.full(n, 0.6), visits=np.ones(n), visits_lower=np.ones(n, dtype=np.int64),
        visits_upper=np.full(n, 2), next_day=np.ones(n, dtype=np.int64),
        next_lower=np.ones(n, dtype=np.int64), next_upper=np.ones(n, dtype=np.int64),
        last_visit=np.full(n, DAY - 10), usual=np.full(n, 1.0),
        comes_less=np.where(np.arange(n) < 25, 0.2, 0.9),
    )  # fmt: skip
    check = check_outlook(found, days)
    assert check is not None
    assert (check.customers, check.came, check.expected) == (40, 30, 20.0)
    assert check.off == pytest.approx(10 / np.sqrt(40 * 0.25))
    assert check.inside == 0.75
    assert check.tenths.brier == 0.25
    # Fifteen named, ten of whom did not come; all ten who did not are among them.
    assert (check.likely_less, check.came_less) == (15, 10)
    assert (check.likely_less_right, check.likely_less_found) == pytest.approx((10 / 15, 1.0))
    assert check.comes_less == pytest.approx(25 * 0.2 + 15 * 0.9)
    assert check.less_off == pytest.approx((10 - 18.5) / np.sqrt(25 * 0.16 + 15 * 0.09))
    alike = 40.5 / 41  # all forty came within the ten days before
    assert check.gains[0].value == pytest.approx((30 * (alike - 1) ** 2 + 10 * alike**2) / 40 - 0.25)
    rate = 9.5 / 100.5
    own = 1 - (1 - rate) ** 10
    assert check.gains[1].value == pytest.approx((30 * (own - 1) ** 2 + 10 * own**2) / 40 - 0.25)


def test_what_cannot_be_told_is_not() -> None:
    few, short = drawn(20, 100, seed=1), drawn(40, 50, seed=1)
    assert check_outlook(look_ahead(fit_visits(few, DAY + 72), few, 28, 1), few) is None
    assert check_outlook(look_ahead(fit_visits(short, DAY + 50), short, 28, 1), short) is None
    always = shopping(np.ones((40, 140), dtype=np.bool_))
    assert check_outlook(look_ahead(model(40), always, 20, 1), always) is None


def test_a_gain_by_hand() -> None:
    found = gain("nothing", np.array([1.0, 2.0, 3.0]))
    assert (found.value, found.lower, found.upper) == pytest.approx(
        (2.0, 2 - 1.959964 / 3**0.5, 2 + 1.959964 / 3**0.5)
    )
    assert found.better
    assert beyond_chance(np.array([0.5, 0.5]), np.array([True, True])) == pytest.approx(2**0.5)


def test_a_small_shop_is_fitted_as_ever() -> None:
    days = drawn(60, 120, seed=2)
    assert fit_large(days, DAY + 120).to_bytes() == fit_visits(days, DAY + 120).to_bytes()


def test_a_large_shop_is_fitted_on_some_and_everybody_is_read() -> None:
    days = drawn(400, 150, seed=3)
    whole, some = fit_visits(days, DAY + 150), fit_large(days, DAY + 150, at_most=200)
    assert some.customer == whole.customer
    assert some.last_visit.tolist() == whole.last_visit.tolist()
    # The level differs as half of the households may; who shops more than whom does not.
    assert np.corrcoef(some.effect, whole.effect)[0, 1] > 0.99
    assert np.abs((some.level + some.effect) - (whole.level + whole.effect)).mean() < 0.1


def test_effects_read_at_the_fitted_hazards_are_the_fitted_ones() -> None:
    days = drawn(80, 150, seed=5)
    whole = fit_visits(days, DAY + 150)
    read = read_effects(whole, days)
    np.testing.assert_allclose(read.effect, whole.effect, atol=1e-6)
    assert (read.effect_sd <= whole.effect_sd + 1e-9).all()  # what the hazards are uncertain of is left out
