"""Static optimum and re-solve against trying every path of rungs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.serve.outlook import Outlook
from policies.serve.planner import Drawn, Problem, climb, hold
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from pricing.arrays import Ints
from pricing.demand import Conditions, DemandParameters
from pricing.errors import UnknownProduct
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings
from pricing.policy import Policy
from pricing.scenario import Scenario
from pricing.transition import State
from simulators.market import Market
from tests.policies.support import a_scenario, certain_world, expected_profit, opening, several

_LADDER = np.array([[160, 200, 240, 283, 330]], dtype=np.int64)


def _first(policy: Policy, scenario: Scenario) -> Ints:
    situation, allowed = opening(scenario)
    return np.asarray(policy.choose(situation, allowed).mode()[0], dtype=np.int64)


def _brute_force(scenario: Scenario) -> tuple[tuple[int, ...], float]:
    paths = itertools.product(range(scenario.menu.price.shape[1]), repeat=scenario.horizon)
    worth = {p: float(expected_profit(scenario, [np.array([r]) for r in p])[0]) for p in paths}
    best = max(worth, key=lambda p: worth[p])
    return best, worth[best]


def _controlled(scenario: Scenario, policy: Policy) -> float:
    """Return the profit of a policy in the world that it believes in, without noise."""
    market, total = Market(scenario.catalogue, certain_world(scenario), np.zeros(1, dtype=np.int64)), 0.0
    state = market.open()
    for t in range(scenario.horizon):
        allowed = scenario.guardrails.admit(state).allowed
        index = policy.choose(scenario.situation(state, t), allowed).index
        assert index is not None
        price = scenario.menu.price[np.arange(len(scenario.catalogue)), index[0]][None]
        sale = market.sell(state, price, scenario.conditions[t])
        total, state = total + float(sale.profit.sum()), sale.state
    return total


def test_anticipating_scarce_stock_changes_the_first_price() -> None:
    # Demand 10 (p / 2)^-2, cost 1.00, ten in stock, two periods. Myopic: 2.00, sells all ten at once for
    # 10 x 1.00 and then nothing. Five now and five later sell at 2.83 for 10 x 1.83.
    scenario = a_scenario([200], [100], [10.0], _LADDER, 2)
    situation, allowed = opening(scenario)
    myopic = np.argmax(np.where(allowed, situation.expected_profit(scenario.beliefs), -np.inf), axis=-1)
    assert scenario.menu.price[0, myopic[0, 0]] == 200
    assert scenario.menu.price[0, _first(Resolve.of(scenario), scenario)[0]] == 283
    assert _brute_force(scenario)[0] == (3, 3)
    without = a_scenario([200], [100], [np.inf], _LADDER, 2)
    assert without.menu.price[0, _first(Resolve.of(without), without)[0]] == 200
    assert _controlled(scenario, Resolve.of(scenario)) == pytest.approx(9.99 * 183, rel=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    elasticity=st.floats(-4.0, -1.2),
    stock=st.sampled_from([6.0, 15.0, 25.0, np.inf]),
    effects=st.tuples(st.floats(0.0, 0.5), st.floats(-0.8, 0.0), st.floats(-1.5, 0.0)),
    cost=st.integers(60, 180),
)
def test_in_the_last_period_resolve_is_the_best_rung(
    elasticity: float, stock: float, effects: tuple[float, float, float], cost: int
) -> None:
    lag, gain, loss = effects
    scenario = a_scenario(
        [200], [cost], [stock], _LADDER, 1, elasticity=elasticity, lag=lag, gain=gain, loss=loss,
        settings=GuardrailSettings(margin_floor=-1.0, max_change=1.0),
    )  # fmt: skip
    situation, allowed = opening(scenario)
    worth = np.where(allowed, situation.expected_profit(scenario.beliefs), -np.inf)[0, 0]
    rung = _first(Resolve.of(scenario), scenario)[0]
    assert worth[rung] == pytest.approx(worth.max(), rel=1e-12)


def test_resolve_nearly_reaches_the_best_path_of_rungs() -> None:
    # rungs ten percent apart, three periods: what the relaxed plan behind the first rung may cost
    ladder = np.array([[170, 190, 200, 220, 245, 270]], dtype=np.int64)
    shares = list[float]()
    for elasticity, stock, loss in itertools.product((-4.0, -2.5, -1.6), (12.0, 28.0, np.inf), (-1.1, -0.5)):
        scenario = a_scenario(
            [200], [100], [stock], ladder, 3, elasticity=elasticity, lag=0.1, gain=-0.3, loss=loss
        )
        shares.append(_controlled(scenario, Resolve.of(scenario)) / _brute_force(scenario)[1])
    assert max(shares) <= 1.0 + 1e-12
    assert min(shares) >= 0.98
    assert np.mean(shares) >= 0.997


def test_resolve_is_within_a_third_of_a_percent_of_the_fluid_bound() -> None:
    # twenty products, half a year, asymmetric reference price, fixed stock
    rng = np.random.default_rng(3)
    price = rng.integers(300, 2000, 20)
    units = rng.uniform(5.0, 60.0, 20)
    stock = units * 26 * rng.uniform(0.3, 1.0, 20)
    cost = (price * 0.55).astype(np.int64)
    ladder = np.rint(price[:, None] * np.exp(np.linspace(-0.35, 0.5, 24))).astype(np.int64)
    ladder = np.sort(np.concatenate([ladder, price[:, None]], axis=1))
    scenario = a_scenario(
        price.tolist(), cost.tolist(), stock.tolist(), ladder, 26,
        units=units, elasticity=rng.uniform(-3.5, -1.6, 20), lag=0.1, gain=-0.3, loss=-0.9,
        settings=GuardrailSettings(max_change=0.15),
    )  # fmt: skip
    situation, allowed = opening(scenario)
    everything = np.arange(20, dtype=np.int64)
    problem = Problem.of(situation, allowed, Outlook.of(scenario), scenario.beliefs, everything)
    bound = hold(problem, 60)
    for rate in (0.1, 0.03, 0.01):
        bound = climb(problem, bound, 300, rate)
    reached = _controlled(scenario, Resolve.of(scenario))
    assert reached <= float(bound.value.sum()) * 1.001
    assert reached >= float(bound.value.sum()) * 0.997
    assert _controlled(scenario, Static.of(scenario)) < reached


@settings(max_examples=30, deadline=None)
@given(
    elasticity=st.floats(-4.0, -1.2), stock=st.sampled_from([10.0, 30.0, np.inf]), loss=st.floats(-1.0, 0.0)
)
def test_the_static_target_is_the_best_rung_to_hold(elasticity: float, stock: float, loss: float) -> None:
    scenario = a_scenario([200], [100], [stock], _LADDER, 3, elasticity=elasticity, loss=loss)
    held = [float(expected_profit(scenario, [np.array([r])] * 3)[0]) for r in range(5)]
    target = np.exp(Static.of(scenario).target[0])
    chosen = int(np.argmin(np.abs(_LADDER[0] - target)))
    assert held[chosen] == pytest.approx(max(held), rel=1e-9)


def test_the_static_optimum_maximises_the_mean_profit_over_draws() -> None:
    scenario = a_scenario([200], [100], [np.inf], _LADDER, 1, elasticity=-2.2)
    draws = several(scenario.beliefs, np.array([-1.2, 1.2]))
    worth = np.zeros(5)
    for d in range(2):
        curve = DemandParameters(*(getattr(draws, n)[d] for n in DemandParameters.__dataclass_fields__))
        believed = replace(scenario, beliefs=curve)
        worth += [float(expected_profit(believed, [np.array([r])])[0]) / 2 for r in range(5)]
    target = Static.of(scenario, Drawn(scenario.catalogue.keys, draws)).target[0]
    assert np.exp(target) == pytest.approx(_LADDER[0, int(np.argmax(worth))])
    assert np.exp(Static.of(scenario).target[0]) == pytest.approx(200)
    assert int(np.argmax(worth)) == 0


def test_a_price_in_force_may_stay_where_its_ending_could_not_be_chosen() -> None:
    ladder = np.array([[149, 175, 199, 203, 229]], dtype=np.int64)
    how = GuardrailSettings(max_change=1.0, endings=Endings((9,), 10))
    scenario = a_scenario([203], [101], [np.inf], ladder, 3, elasticity=-1.98, settings=how)
    capped = scenario.guardrails.catalogue.take(np.array([0]))
    capped = replace(capped, support_high=np.array([203]))
    scenario = replace(scenario, guardrails=Guardrails(capped, scenario.menu, how))
    assert scenario.guardrails.standing[0].tolist() == [True, False, True, False, False]
    assert np.exp(Static.of(scenario).target[0]) == pytest.approx(203)
    assert _first(Resolve.of(scenario), scenario)[0] == 3


def test_the_static_policy_walks_to_its_target_in_allowed_steps() -> None:
    ladder = np.arange(200, 320, 10, dtype=np.int64)[None]
    how = GuardrailSettings(max_change=0.1)
    scenario = a_scenario([200], [100], [np.inf], ladder, 6, elasticity=-1.5, settings=how)
    policy, state, seen = Static.of(scenario), State.start(scenario.catalogue, 1), list[int]()
    market = Market(scenario.catalogue, certain_world(scenario), np.zeros(1, dtype=np.int64))
    for t in range(6):
        index = policy.choose(scenario.situation(state, t), scenario.guardrails.admit(state).allowed).index
        assert index is not None
        seen.append(int(ladder[0, index[0, 0]]))
        state = market.sell(state, ladder[0, index], scenario.conditions[t]).state
    assert seen == [220, 240, 260, 280, 300, 300]


def test_resolve_plans_with_its_draws_and_waits_for_a_promotion() -> None:
    scenario = a_scenario([200], [100], [np.inf], _LADDER, 1, elasticity=-2.2)
    draws = several(scenario.beliefs, np.array([-1.2, 1.2]))
    assert _first(Resolve.of(scenario, Drawn(scenario.catalogue.keys, draws)), scenario)[0] == 0
    scarce = a_scenario([200], [100], [15.0], _LADDER, 2)
    busy = Conditions(*(np.array([x]) for x in (0.0,) * 5))
    crowd = replace(busy, traffic=np.array([1.0]))
    eager = replace(scarce.beliefs, traffic=np.array([1.0]))
    later = replace(scarce, conditions=(busy, crowd), beliefs=eager)
    assert _first(Resolve.of(later), later)[0] > _first(Resolve.of(scarce), scarce)[0]


def test_policies_refuse_series_that_they_were_not_made_for() -> None:
    scenario = a_scenario([200], [100], [np.inf], _LADDER, 1)
    two = a_scenario([200, 300], [100, 100], [np.inf] * 2, np.repeat(_LADDER, 2, axis=0), 1)
    for policy in (Static.of(scenario), Resolve.of(scenario)):
        with pytest.raises(UnknownProduct, match=f"{policy.name} policy"):
            _first(policy, two)
