from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.serve.outlook import Outlook
from policies.serve.planner import Plan, Problem, climb, hold, value, walk
from pricing.arrays import Floats, Ints
from pricing.errors import DataError, UnknownProduct
from pricing.guardrails import GuardrailSettings
from pricing.scenario import Scenario
from tests.policies.support import a_scenario, opening

_LADDER = np.array([[140, 160, 180, 200, 220, 250, 280, 320]], dtype=np.int64)


def _problem(scenario: Scenario, batch: int = 1) -> Problem:
    situation, allowed = opening(scenario, batch)
    everything = np.arange(len(scenario.catalogue), dtype=np.int64)
    return Problem.of(situation, allowed, Outlook.of(scenario), scenario.beliefs, everything)


def _shop(horizon: int, **how: Any) -> Scenario:
    stock = how.pop("stock", [np.inf])
    return a_scenario([200], [100], stock, _LADDER, horizon, **how)


def test_without_memory_or_stock_the_plan_is_the_markup_price_in_every_period() -> None:
    # elasticity -2, cost 1.00: the best price is 2.00 (Lerner), profit 10 units x 1.00 a period
    problem = _problem(_shop(4, elasticity=-2.0))
    plan = climb(problem, hold(problem, 7), 200, 0.05)
    np.testing.assert_allclose(np.exp(plan.log_price), 200.0, rtol=2e-3)
    np.testing.assert_allclose(plan.value, 4 * 10 * 100.0, rtol=1e-6)


def test_scarce_stock_is_spread_over_the_periods_at_the_run_out_price() -> None:
    # 10 (p / 2)^-2 units a period, 10 in stock, two periods: 5 each at 2 sqrt 2, profit 10 x (2.83 - 1.00)
    problem = _problem(_shop(2, stock=[10.0]))
    plan = climb(problem, hold(problem, 25), 300, 0.05)
    np.testing.assert_allclose(plan.value, 10 * (200 * np.sqrt(2) - 100), rtol=1e-3)


@pytest.mark.parametrize("change", [1.0, 0.05])
def test_the_plan_matches_scipy_on_a_smooth_problem(change: float) -> None:
    how = GuardrailSettings(max_change=change)
    scenario = _shop(3, elasticity=-3.1, lag=0.6, gain=-0.8, loss=-0.8, settings=how)
    problem = _problem(scenario)

    def loss(x: Floats) -> float:
        return -float(value(problem, x[:, None, None])[0, 0])

    low = [float(problem.first_low[0, 0]), *[float(problem.low[0, 0])] * 2]
    high = [float(problem.first_high[0, 0]), *[float(problem.high[0, 0])] * 2]
    steps = scipy.optimize.LinearConstraint(np.array([[-1, 1, 0], [0, -1, 1]]), problem.down, problem.up)
    found = scipy.optimize.minimize(
        loss, np.full(3, np.log(190.0)), method="trust-constr", constraints=[steps],
        bounds=scipy.optimize.Bounds(low, high), options={"gtol": 1e-9, "xtol": 1e-12, "maxiter": 3000},
    )  # fmt: skip
    ours = climb(problem, hold(problem, 9), 400, 0.03)
    assert float(ours.value[0, 0]) == pytest.approx(-found.fun, rel=1e-5)
    np.testing.assert_allclose(ours.log_price[:, 0, 0], found.x, atol=4e-3)


@settings(max_examples=60, deadline=None)
@given(
    wish=st.lists(st.floats(3.0, 8.0), min_size=4, max_size=4),
    change=st.floats(0.0, 1.0),
)
def test_a_walk_never_steps_further_than_the_rule_and_ends_inside_the_corridor(
    wish: list[float], change: float
) -> None:
    problem = _problem(_shop(4, settings=GuardrailSettings(max_change=change)))
    path = walk(problem, np.array(wish)[:, None, None])
    moves = np.diff(path[:, 0, 0])
    assert (moves <= problem.up + 1e-12).all()
    assert (moves >= problem.down - 1e-12).all()
    assert (path >= problem.low - 1e-12).all()
    assert (path <= problem.high + 1e-12).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), iterations=st.integers(1, 6), rate=st.floats(0.001, 1.0))
def test_climbing_never_makes_a_plan_worse(seed: int, iterations: int, rate: float) -> None:
    problem = _problem(_shop(5, stock=[30.0], gain=-0.3, loss=-0.9))
    wish = np.random.default_rng(seed).uniform(4.5, 6.0, (5, 1, 1))
    path = walk(problem, wish)
    start = Plan(path, value(problem, path))
    better = climb(problem, start, iterations, rate)
    assert (better.value >= start.value).all()
    np.testing.assert_allclose(value(problem, better.log_price), better.value)


def test_copies_of_a_problem_are_the_problem() -> None:
    scenario = _shop(3, stock=[12.0])
    problem = _problem(scenario, batch=2)
    first = np.log(np.array([[[150.0], [160.0]], [[180.0], [190.0]], [[210.0], [220.0]]]))
    tried = problem.starting(first)
    path = np.broadcast_to(first.reshape(1, -1, 1), (3, 6, 1))
    together = value(tried, walk(tried, path)).reshape(3, 2)
    for copy in range(3):
        alone = problem.starting(first[copy : copy + 1])
        each = value(alone, walk(alone, np.broadcast_to(first[copy][None], (3, 2, 1))))
        np.testing.assert_allclose(together[copy], each[:, 0])


def test_the_mean_over_draws_is_what_is_maximised() -> None:
    scenario = _shop(2)
    situation, allowed = opening(scenario)
    d = scenario.beliefs
    stacked = {n: np.stack([getattr(d, n)] * 2) for n in type(d).__dataclass_fields__}
    stacked["regular"] = np.array([[-1.6], [-3.0]])
    draws = type(d)(**stacked)
    part: Ints = np.arange(1)
    problem = Problem.of(situation, allowed, Outlook.of(scenario), draws, part)
    price = np.log(np.array([230.0, 180.0]))[:, None, None]
    each = [value(Problem.of(situation, allowed, Outlook.of(scenario), type(d)(
        **{n: v[i] for n, v in stacked.items()}), part), price) for i in range(2)]  # fmt: skip
    np.testing.assert_allclose(value(problem, price), (each[0] + each[1]) / 2)


def test_an_outlook_is_cut_and_reordered_by_series() -> None:
    ladder = np.repeat(_LADDER, 3, axis=0)
    scenario = a_scenario([200, 200, 200], [100, 110, 120], [np.inf] * 3, ladder, 4)
    outlook = Outlook.of(scenario)
    turned = outlook.for_series(outlook.keys[::-1].copy(), "test")
    np.testing.assert_array_equal(turned.low, outlook.low[::-1])
    assert [len(outlook.last(k)) for k in (0, 1, 3, 9)] == [1, 1, 3, 4]
    with pytest.raises(UnknownProduct, match="1 of 1 are new"):
        outlook.for_series(np.array([5], dtype=np.uint64), "test")
    with pytest.raises(DataError, match="received"):
        type(outlook)(**{n: getattr(outlook, n) for n in type(outlook).__slots__ if n != "received"},
                      received=np.zeros((1, 3)))  # fmt: skip
