from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricing.directed import Directed, index_target, latent_target, latent_width
from pricing.errors import DataError, UsageError
from pricing.guardrails import GuardrailSettings
from pricing.model import DemandModel
from pricing.rivals import Rivals
from pricing.scenario import Scenario
from pricing.transition import State
from simulators.worlds import toy_scenario
from tests.pricing.small_shop import beliefs, catalogue, guardrails

PLAIN = toy_scenario(4, 1, horizon=3)


def test_a_situation_knows_its_day_and_what_is_left() -> None:
    scenario, model = PLAIN
    state = State.start(scenario.catalogue, 2)
    first, end = scenario.situation(state, 0), scenario.situation(state, 3)
    assert (first.period, first.periods_left, first.horizon, first.time_left) == (
        scenario.first_day,
        3,
        3,
        1.0,
    )
    assert (end.period, end.periods_left, end.time_left) == (scenario.first_day + 21, 0, 0.0)
    np.testing.assert_allclose(scenario.beliefs.regular, model.mean[:, 1])
    np.testing.assert_allclose(scenario.elasticity_sd, 0.3)


def test_base_profit_by_hand() -> None:
    shop = catalogue([100, 60])
    rules = guardrails(shop)
    plan = PLAIN[0].conditions[0]
    two = type(plan)(*(np.zeros(2) for _ in range(4)))
    scenario = Scenario(rules, beliefs(shop), np.zeros(2), Rivals.none(2), (two,), np.zeros((1, 2)), 0)
    assert scenario.base_profit == pytest.approx(10 * 50 + 10 * 10)
    losing = catalogue([100, 60], unit_cost=[101, 60])
    poor = Scenario(
        guardrails(losing), beliefs(losing), np.zeros(2), Rivals.none(2), (two,), np.zeros((1, 2)), 0
    )
    assert poor.base_profit == pytest.approx(10.0)


def test_impossible_scenarios_are_refused() -> None:
    scenario, model = PLAIN
    rules = scenario.guardrails
    with pytest.raises(UsageError, match="without periods"):
        Scenario.of(model, rules, horizon=0, first_day=0)
    with pytest.raises(UsageError, match="2 plans"):
        Scenario.of(model, rules, horizon=3, first_day=0, conditions=scenario.conditions[:2])
    with pytest.raises(DataError, match="receipts"):
        Scenario.of(model, rules, horizon=3, first_day=0, receipts=np.zeros((3, 5)))
    with pytest.raises(UsageError, match="memory"):
        Scenario.of(model, rules, horizon=3, first_day=0, memory=1.2)


def test_a_directed_policy_takes_the_nearest_allowed_rung() -> None:
    scenario, _ = PLAIN
    situation = scenario.situation(State.start(scenario.catalogue, 1), 0)
    logs = scenario.menu.log_price
    allowed = np.zeros((1, *logs.shape), dtype=np.bool_)
    allowed[0, :3, [2, 5]] = True
    wanted = index_target(situation, np.array([[0, 9, 3, 1]]))
    chosen = Directed(wanted).choose(situation, allowed).index
    nearer = 2 if logs[2, 3] - logs[2, 2] <= logs[2, 5] - logs[2, 3] else 5
    np.testing.assert_array_equal(chosen, [[2, 5, nearer, -1]])


def test_a_latent_of_one_is_the_largest_move() -> None:
    scenario, _ = PLAIN
    situation = scenario.situation(State.start(scenario.catalogue, 1), 0)
    width = latent_width(GuardrailSettings(max_change=0.2))
    target = latent_target(situation, np.array([[-1.0, 0.0, 0.0, 0.0]]), width)
    np.testing.assert_allclose(np.exp(target[0, 0]), 0.8 * scenario.catalogue.price[0])
    np.testing.assert_allclose(np.exp(target[0, 1:]), scenario.catalogue.price[1:])
    assert latent_width(GuardrailSettings(max_change=1.0)) == latent_width(GuardrailSettings(max_change=0.5))


def test_by_days_each_weekday_brings_the_traffic_expected_of_it() -> None:
    """1970-01-01 was a Thursday: of days 3 to 6, Monday is busy and on Tuesday the shop was never open."""
    scenario, model = PLAIN
    week = np.zeros((int(model.category.max()) + 1, 7))
    week[:, 0], week[:, 1] = 0.7, np.nan
    daily = replace(model, weekday=week, period_days=1)
    made = Scenario.of(
        daily, scenario.guardrails, horizon=4, first_day=3, conditions=(scenario.conditions[0],) * 4
    )
    assert [set(c.traffic.tolist()) for c in made.conditions] == [{0.0}, {0.7}, {-4.0}, {0.0}]
    rows = np.arange(len(model.series))
    assert np.isnan(daily.traffic_on(rows, np.array(5))).all()
    assert model.traffic_on(rows[:, None], np.arange(3)).tolist() == [[0.0] * 3] * len(rows)
    back = DemandModel.from_bytes(daily.to_bytes())
    assert back.weekday is not None
    np.testing.assert_array_equal(back.weekday, week)
    assert DemandModel.from_bytes(model.to_bytes()).weekday is None
