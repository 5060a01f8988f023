"""Two substitutes on one shelf: what one price does to the other reaches the plan."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from policies.serve.resolve import Resolve
from policies.serve.static import Static
from policies.serve.thompson import Thompson
from policies.subset import worlds_of
from pricing.arrays import Floats, Ints
from pricing.decision import decide
from pricing.demand import DemandParameters, spilled
from pricing.guardrails import Guardrails
from pricing.model import COEFFICIENTS, DemandModel
from pricing.policy import Policy
from pricing.rivals import Rivals
from pricing.scenario import Scenario
from pricing.transition import State
from simulators.market import Market, sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import a_scenario, certain_world, opening

# Rungs 3 % apart. Alone, an elasticity of -3 asks for 1.5 times the cost; together, with a cross elasticity
# of a half, about for 2.5 / 1.5 times the cost, and for more of the one that sells less.
_LADDER = np.rint(100.0 * 1.03 ** np.arange(10, 30)).astype(np.int64)


def _pair(price: tuple[int, ...]) -> Scenario:
    """Two products that cost 100; the second sells a fifth more."""
    scenario = a_scenario(
        list(price), [100, 100], [np.inf] * 2, np.stack([_LADDER] * 2), 1,
        elasticity=-3.0,
    )  # fmt: skip
    # Demand is stated at a price of 200 wherever prices stand.
    d = replace(
        scenario.beliefs, rivals=np.full(2, 0.5), log_reference=np.full(2, np.log(200.0)),
        level=np.log([10.0, 12.0]),
    )  # fmt: skip
    rivals = Rivals.of(np.zeros(2, dtype=np.int64), np.array([10.0, 12.0]))
    rivals = rivals.at(scenario.catalogue.log_price - d.log_reference)
    return replace(scenario, beliefs=spilled(d, rivals, scenario.catalogue), rivals=rivals)


def _profit(scenario: Scenario, price: Ints) -> float:
    """Profit of both in a market without chance, at these prices for one period."""
    market = Market(scenario.catalogue, certain_world(scenario), np.zeros(1, dtype=np.int64))
    return float(market.sell(market.open(), price[None], scenario.conditions[0]).profit.sum())


def _best(scenario: Scenario) -> Ints:
    """Best pair of rungs of all 400."""
    every = itertools.product(range(len(_LADDER)), repeat=2)
    return np.array(max(every, key=lambda pair: _profit(scenario, _LADDER[list(pair)])))


def _chosen(scenario: Scenario, policy: Policy) -> Ints:
    situation, allowed = opening(scenario)
    return np.asarray(policy.choose(situation, allowed).mode()[0])


@pytest.mark.parametrize("price", [(170, 170), (160, 165), (150, 150), (185, 170), (200, 200)])
@pytest.mark.parametrize("kind", ["static", "resolve", "thompson"])
def test_the_joint_optimum_is_planned_where_each_alone_would_undercut_the_other(
    price: tuple[int, int], kind: str
) -> None:
    scenario = _pair(price)

    def policy(here: Scenario) -> Policy:
        known = here.beliefs
        one = DemandParameters(*(getattr(known, name)[None] for name in known.__dataclass_fields__))
        made: dict[str, Policy] = {
            "static": Static.of(here), "resolve": Resolve.of(here), "thompson": Thompson.of(here, one),
        }  # fmt: skip
        return made[kind]

    best = _best(scenario)
    assert _LADDER[best].tolist() == [175, 160]
    found = _chosen(scenario, policy(scenario))
    assert np.abs(found - best).max() <= 1
    blind = replace(scenario, beliefs=replace(scenario.beliefs, spill=np.zeros(2)))
    alone = _chosen(blind, policy(blind))
    assert _LADDER[alone].tolist() == [151, 151]  # 1.5 times the cost
    worth = _profit(scenario, _LADDER[found])
    assert worth >= 0.999 * _profit(scenario, _LADDER[best])
    assert _profit(scenario, _LADDER[alone]) < 0.98 * worth


def test_planning_again_from_where_it_led_comes_to_rest_at_the_joint_optimum() -> None:
    """From far away too: what spills over is measured anew at the prices in force."""
    for start in ((134, 228), (228, 228), (134, 134)):
        price: tuple[int, ...] = start
        for _ in range(6):
            here = _pair(price)
            price = tuple(_LADDER[_chosen(here, Static.of(here))].tolist())
        assert price == (175, 160)


def _substitutes(count: int) -> tuple[Scenario, DemandModel]:
    """A toy shop in threes of substitutes, prices off their reference prices, some promoted today."""
    scenario, model = toy_scenario(count, 4, horizon=5)
    mean = model.mean.copy()
    mean[:, COEFFICIENTS.index("rivals")] = 0.7
    model = replace(
        model, mean=mean, rival_group=np.arange(count) % (count // 3),
        reference_price=model.reference_price * np.linspace(0.9, 1.1, count),
    )  # fmt: skip
    made = Scenario.of(model, scenario.guardrails, horizon=5, first_day=scenario.first_day)
    return made, model


def _facts(scenario: Scenario) -> tuple[Floats, Floats]:
    situation, _ = opening(scenario)
    return situation.log_units_at(scenario.beliefs)[0], situation.expected_profit(scenario.beliefs)[0]


@pytest.mark.parametrize("reduced", [[], [1, 6]])
@pytest.mark.parametrize("some", [[0], [3, 1], [8, 2, 5], list(range(9))])
def test_some_products_are_decided_as_in_the_whole_shop(some: list[int], reduced: list[int]) -> None:
    """Rivals that are left out stay where they are, less what is planned for them."""
    whole, model = _substitutes(9)
    depth = np.zeros(9)
    depth[reduced] = np.log(0.7)
    whole = replace(whole, conditions=tuple(replace(c, depth=depth) for c in whole.conditions))
    part = whole.take(np.array(some))
    for ours, theirs in zip(_facts(part), _facts(whole), strict=True):
        np.testing.assert_allclose(ours, theirs[some], rtol=1e-12)
    assert np.abs(whole.beliefs.spill[some]).min() > 0.0
    for few_know, all_know in ((Static.of(part), Static.of(whole)), (Resolve.of(part), Resolve.of(whole))):
        np.testing.assert_array_equal(_free(part, few_know), _free(whole, all_know)[some])
    worlds = sample_worlds(model, whole.catalogue, 2)
    few = worlds_of(worlds, np.array(some))
    prices = whole.catalogue.price[None]
    for w in range(2):
        sold = Market(whole.catalogue, worlds, np.array([w]))
        alone = Market(part.catalogue, few, np.array([w]))
        np.testing.assert_allclose(
            alone.sell(alone.open(), prices[:, some], part.conditions[0]).sold,
            sold.sell(sold.open(), prices, whole.conditions[0]).sold[:, some],
            rtol=1e-12,
        )


def _free(scenario: Scenario, policy: Policy) -> Ints:
    """Rungs chosen where no rule ties one product to another: how many move a week binds the whole shop."""
    rules = replace(scenario.guardrails.settings, max_share_moved=1.0)
    state = State.start(scenario.catalogue, 1)
    guardrails = Guardrails(scenario.catalogue, scenario.menu, rules)
    made = decide(
        scenario.situation(state, 0), guardrails, policy, seed=1, runs=np.zeros(1, dtype=np.int64),
        fingerprint="f",
    )  # fmt: skip
    return np.asarray(made.index[0])


def test_a_discount_of_a_rival_is_seen_by_the_others() -> None:
    """The rival price is of shelf prices: a third off one of three, by its weight among the rivals."""
    whole, _ = _substitutes(9)
    plan = replace(whole.conditions[0], depth=np.where(np.arange(9) == 0, np.log(2.0 / 3.0), 0.0))
    promoted = replace(whole, conditions=(plan,) * 5)
    now = whole.catalogue.log_price
    moved = promoted.planned(0, now).rivals - whole.planned(0, now).rivals
    weight = whole.rivals.weight
    expected = np.zeros(9)
    for i, other in ((3, 6), (6, 3)):
        expected[i] = np.log(2.0 / 3.0) * weight[0] / (weight[0] + weight[other])
    np.testing.assert_allclose(moved, expected, atol=1e-14)
