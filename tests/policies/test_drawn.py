"""Plans on curves that stand for the posterior: how exact they are, and who is planned on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from api.policies import make_policy
from policies.serve.artifact import from_bytes
from policies.serve.planner import Drawn, parts_of
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from pricing.demand import DemandParameters
from pricing.errors import DataError
from pricing.model import COEFFICIENTS, DemandModel
from pricing.transition import State
from simulators.worlds import toy_scenario
from tests.api.runs import toy_shelf
from tests.policies.support import a_scenario, several

_LADDER = np.array([[160, 200, 240, 283, 330]], dtype=np.int64)


def _correlated(series: int, seed: int) -> DemandModel:
    """A posterior whose coefficients hang together."""
    rng = np.random.default_rng(seed)
    _, model = toy_scenario(series, seed)
    count = len(COEFFICIENTS)
    return replace(model, factor=np.tril(rng.normal(0.0, 0.15, (series, count, count))) + model.factor)


@pytest.mark.parametrize("seed", range(3))
def test_sigma_points_have_the_posteriors_mean_and_covariance(seed: int) -> None:
    model = _correlated(4, seed)
    points = model.sigma_points()
    assert points.shape == (24, 4, 12)
    away = points - model.mean
    np.testing.assert_allclose(away.mean(axis=0), 0.0, atol=1e-14)
    covariance = np.einsum("dni,dnj->nij", away, away) / len(points)
    np.testing.assert_allclose(covariance, model.factor @ np.swapaxes(model.factor, 1, 2), atol=1e-13)
    # Every coefficient takes many values, so that a kink is not straddled by two.
    assert all(len(np.unique(away[:, 0, c].round(12))) >= 8 for c in range(12))


@pytest.mark.parametrize("seed", range(3))
def test_expected_units_over_sigma_points_are_those_of_the_posterior(seed: int) -> None:
    """Where log units are normal their exponential has the expectation exp(mean + variance / 2)."""
    model = _correlated(5, seed)
    x = np.array([1.0, 0.2, -0.3, 1.0, 0.0, 0.1, 0.0, 0.3, -0.3, 0.1, 0.16, 0.16])
    exact = np.exp(model.mean @ x + 0.5 * ((x @ model.factor) ** 2).sum(axis=-1))
    points = np.exp(model.sigma_points() @ x).mean(axis=0)
    drawn = np.exp(model.draws(20) @ x).mean(axis=0)
    assert np.abs(points / exact - 1.0).max() < 0.015  # log units have an sd of up to .7 here
    assert np.abs(points / exact - 1.0).mean() < 0.1 * np.abs(drawn / exact - 1.0).mean()


def test_plans_on_sigma_points_earn_what_plans_on_a_thousand_draws_earn() -> None:
    scenario, model = toy_scenario(40, 2, horizon=4, ladder=20)
    own = DemandParameters.of(model.draws(2000, first=5000), model, scenario.catalogue)
    many = DemandParameters.of(model.draws(1000), model, scenario.catalogue)
    keys, every = scenario.catalogue.keys, np.arange(40)
    situation = scenario.situation(State.start(scenario.catalogue, 1), 0)
    worth = situation.expected_profit(own).mean(axis=0)[0]

    def earned(drawn: Drawn) -> float:
        index = scenario.menu.index_of(np.rint(np.exp(Static.of(scenario, drawn).target)).astype(np.int64))
        return float(worth[every, index].sum())

    reference = earned(Drawn(keys, many))
    assert earned(Drawn.of(model, scenario, every)) >= 0.9995 * reference
    few = DemandParameters.of(model.draws(20), model, scenario.catalogue)
    assert earned(Drawn(keys, few)) < earned(Drawn.of(model, scenario, every))


def test_only_series_with_curves_are_planned_with_them() -> None:
    scenario = a_scenario(
        [200, 200], [100, 100], [np.inf] * 2, np.repeat(_LADDER, 2, axis=0), 1, elasticity=-2.2
    )
    draws = several(scenario.beliefs, np.array([-1.2, 1.2]))
    second = DemandParameters(*(getattr(draws, n)[:, 1:] for n in DemandParameters.__dataclass_fields__))
    drawn = Drawn(scenario.catalogue.keys[1:], second)
    start = State.start(scenario.catalogue, 1)
    situation, allowed = scenario.situation(start, 0), scenario.guardrails.admit(start).allowed
    # The mean curve is best near 200, the mean over the two curves at the bottom of the ladder.
    np.testing.assert_allclose(np.exp(Static.of(scenario, drawn).target), [200, 160])
    policy = Resolve.of(scenario, drawn)
    index = policy.choose(situation, allowed).index
    assert index is not None
    assert scenario.menu.price_at(index).tolist() == [[200, 160]]
    again = from_bytes(policy.to_bytes())
    assert again.version == policy.version
    np.testing.assert_array_equal(
        again.choose(situation, allowed).over(5), policy.choose(situation, allowed).over(5)
    )


def test_a_series_without_a_choice_gets_the_rung_that_is_left() -> None:
    scenario = a_scenario([200, 200, 200], [100] * 3, [np.inf] * 3, np.repeat(_LADDER, 3, axis=0), 2)
    situation = scenario.situation(State.start(scenario.catalogue, 2), 0)
    allowed = np.zeros((2, 3, 5), dtype=np.bool_)
    allowed[0, 0, 3] = allowed[1, 0, 4] = allowed[0, 1, :] = allowed[1, 1, 0] = True
    index = Resolve.of(scenario).choose(situation, allowed).index
    assert index is not None
    assert index.tolist() == [[3, 1, -1], [4, 0, -1]]


def test_parts_hold_every_series_once_with_its_own_curves() -> None:
    scenario, model = toy_scenario(11, 0, horizon=2)
    keys = scenario.catalogue.keys
    some = np.array([7, 2, 9, 10])
    drawn = Drawn.of(model, scenario, some)
    asked = np.array([10, 0, 2, 3, 9, 5])
    seen: list[int] = []
    for part, curves in parts_of(drawn, keys, asked, 28):
        assert len(part) <= (28 if curves is None else 2)
        seen += part.tolist()
        assert (curves is None) == (not set(part.tolist()) <= set(some.tolist()))
        if curves is not None:
            own = model.take(model.rows(scenario.catalogue.take(part).series))
            np.testing.assert_array_equal(curves.regular, own.sigma_points()[..., 1])
    assert sorted(seen) == sorted(asked.tolist())
    assert [part.tolist() for part, _ in parts_of(None, keys, asked, 4)] == [[10, 0, 2, 3], [9, 5]]
    with pytest.raises(DataError, match="demand curves"):
        Drawn(keys[:3], drawn.curves)


@pytest.mark.parametrize("name", ["static", "resolve"])
def test_served_policies_plan_on_the_curves_of_what_may_move(name: str) -> None:
    shelf = toy_shelf(6)
    kept = shelf.catalogue.identified_by.copy()
    kept[[1, 4]] = 4
    shelf = replace(shelf, catalogue=replace(shelf.catalogue, identified_by=kept))
    drawn = Drawn.of(shelf.model, shelf.scenario, np.array([0, 2, 3, 5]))
    made = Static.of(shelf.scenario, drawn) if name == "static" else Resolve.of(shelf.scenario, drawn)
    assert make_policy(name, shelf).to_bytes() == made.to_bytes()
    nothing = replace(shelf, catalogue=replace(shelf.catalogue, identified_by=np.full_like(kept, 4)))
    assert make_policy(name, nothing).version
