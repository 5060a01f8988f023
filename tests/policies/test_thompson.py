from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.serve.thompson import Thompson
from pricing.decision import decide
from pricing.demand import DemandParameters
from pricing.errors import UsageError
from simulators.market import sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import a_scenario, expected_profit, opening, several

_LADDER = np.array([[150, 200, 240, 300]], dtype=np.int64)


def test_propensities_are_the_exact_shares_of_draws() -> None:
    # cost 1.00: elasticity -2 wants 2.00, -3 wants 1.50, -1.5 wants 3.00 (Lerner: e / (1 + e))
    scenario = a_scenario([200], [100], [np.inf], _LADDER, 1)
    draws = several(scenario.beliefs, np.array([0.0, -1.0, 0.5, 0.5]))
    situation, allowed = opening(scenario)
    choice = Thompson.of(scenario, draws).choose(situation, allowed)
    assert choice.components is not None
    assert choice.components[0, 0].tolist() == [1, 0, 3, 3]
    assert choice.over(4)[0, 0].tolist() == [0.25, 0.25, 0.0, 0.5]
    shut = allowed.copy()
    shut[..., 3] = False
    assert Thompson.of(scenario, draws).choose(situation, shut).over(4)[0, 0].tolist() == [0.25, 0.25, 0.5, 0]
    shut[:] = False
    assert not Thompson.of(scenario, draws).choose(situation, shut).over(4).any()


@settings(max_examples=25, deadline=None)
@given(
    elasticity=st.floats(-4.0, -1.2),
    stock=st.sampled_from([8.0, 25.0, np.inf]),
    effects=st.tuples(st.floats(0.0, 0.4), st.floats(-0.5, 0.0), st.floats(-1.0, 0.0)),
    horizon=st.integers(1, 3),
)
def test_a_draw_holds_the_best_rung(
    elasticity: float, stock: float, effects: tuple[float, float, float], horizon: int
) -> None:
    lag, gain, loss = effects
    # memory 0: from the second period on the remembered price is the price held, as the policy assumes
    scenario = a_scenario(
        [200],
        [100],
        [stock],
        _LADDER,
        horizon,
        elasticity=elasticity,
        lag=lag,
        gain=gain,
        loss=loss,
        memory=0.0,
    )
    situation, allowed = opening(scenario)
    choice = Thompson.of(scenario, several(scenario.beliefs, np.zeros(1))).choose(situation, allowed)
    held = [float(expected_profit(scenario, [np.array([r])] * horizon)[0]) for r in range(4)]
    assert held[int(choice.mode()[0, 0])] == pytest.approx(max(held), rel=1e-9)


def test_the_draw_that_was_used_is_logged_with_its_rung() -> None:
    scenario, model = toy_scenario(6, 2, horizon=3)
    worlds = sample_worlds(model, scenario.catalogue, 16)
    policy = Thompson.of(scenario, worlds.parameters)
    situation, allowed = opening(scenario, 5)
    decisions = decide(situation, scenario.guardrails, policy, seed=4, runs=np.arange(5), fingerprint="toy")
    choice = policy.choose(situation, allowed)
    assert choice.components is not None
    used = np.take_along_axis(choice.components, decisions.draw[..., None], axis=-1)[..., 0]
    moved = (decisions.admission.allowed != allowed).any(axis=-1)
    np.testing.assert_array_equal(used[~moved], decisions.index[~moved])
    assert (decisions.propensity * 16 == np.round(decisions.propensity * 16)).all()


def test_blocks_of_series_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, model = toy_scenario(7, 1, horizon=2, stock_periods=1.5)
    policy = Thompson.of(scenario, sample_worlds(model, scenario.catalogue, 8).parameters)
    situation, allowed = opening(scenario, 3)
    whole = policy.choose(situation, allowed).over(0)
    monkeypatch.setattr("policies.serve.thompson._CELLS", 1)
    np.testing.assert_array_equal(policy.choose(situation, allowed).over(0), whole)


def test_draws_of_the_wrong_shape_are_refused() -> None:
    scenario = a_scenario([200], [100], [np.inf], _LADDER, 1)
    with pytest.raises(UsageError, match="draws"):
        Thompson.of(scenario, scenario.beliefs)
    empty = DemandParameters(*(np.zeros((0, 1)) for _ in DemandParameters.__dataclass_fields__))
    with pytest.raises(UsageError, match="draws"):
        Thompson.of(scenario, empty)
