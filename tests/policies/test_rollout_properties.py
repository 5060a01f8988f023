"""Rollouts do not depend on the company that a policy or a world keeps, and add up to their parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.compare import compare
from policies.decision_table import decision_table
from policies.rollout import BlockResult, Outcome, Plan, roll_out
from policies.serve.artifact import from_bytes
from policies.serve.incumbent import Incumbent
from policies.serve.static import Static
from policies.serve.thompson import Thompson
from pricing.demand import Conditions
from simulators.market import Market, sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import InProcess

PLAIN, MODEL = toy_scenario(5, 2, horizon=3, stock_periods=2.0)
NOTHING, OFF = Conditions.plain(5), np.array([0.0, -0.2, 0.0, -0.3, 0.0])
SCENARIO = replace(
    PLAIN,
    conditions=(NOTHING, replace(NOTHING, depth=OFF), replace(NOTHING, feature=0.0 - OFF)),
    receipts=np.array([[0.0] * 5, [3.0, 9.0, 0.0, 9.0, 1.0], [0.0] * 5]),
)
WORLDS = sample_worlds(MODEL, SCENARIO.catalogue, 4, first=50)
PLAN = Plan(SCENARIO, WORLDS, seeds=2, seed=11, fingerprint="toy", block=3, keep_decisions=True)
POLICIES = (Incumbent(), Static.of(SCENARIO), Thompson.of(SCENARIO, WORLDS.parameters))
NUMBERS = ("world", "seed", "profit", "by_series", "units", "moved")
WHOLE = {outcome.policy: outcome.result for outcome in roll_out(PLAN, POLICIES, InProcess())}


def _equal(one: BlockResult, other: BlockResult) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NUMBERS)


@given(st.permutations(POLICIES), st.integers(1, 3), st.integers(1, 5))
@settings(max_examples=8, deadline=None)
def test_the_order_the_company_and_the_blocks_of_policies_change_nothing(
    order: list[Incumbent | Static | Thompson], kept: int, block: int
) -> None:
    some = order[:kept]
    found = roll_out(replace(PLAN, block=block, keep_decisions=False), some, InProcess())
    assert [outcome.policy for outcome in found] == [policy.name for policy in some]
    assert all(_equal(outcome.result, WHOLE[outcome.policy]) for outcome in found)


def test_a_world_brings_the_same_whatever_worlds_follow_it() -> None:
    few = replace(PLAN, worlds=WORLDS.take(np.array([0, 1])), keep_decisions=False)
    for outcome in roll_out(few, POLICIES, InProcess()):
        first = WHOLE[outcome.policy]
        for name in NUMBERS:
            np.testing.assert_array_equal(getattr(outcome.result, name), getattr(first, name)[:4])
    one = replace(PLAN, seeds=1, keep_decisions=False)
    for outcome in roll_out(one, POLICIES, InProcess()):
        np.testing.assert_array_equal(outcome.result.profit, WHOLE[outcome.policy].profit[::2])


def test_a_policy_read_back_from_its_bytes_rolls_out_the_same() -> None:
    copies = [from_bytes(policy.to_bytes()) for policy in POLICIES]
    plan = replace(PLAN, keep_decisions=False)
    assert all(_equal(o.result, WHOLE[o.policy]) for o in roll_out(plan, copies, InProcess()))


def test_profit_is_the_sum_over_series_and_over_the_decisions_that_were_taken() -> None:
    """Sell the recorded prices again, by hand: the rollout adds nothing to them."""
    for result in WHOLE.values():
        np.testing.assert_allclose(result.by_series.sum(axis=1), result.profit.sum(axis=1))
        assert len(result.decisions) == 2 * SCENARIO.horizon  # two blocks: worlds 0 to 2, and 3
        for block, worlds in ((0, [0, 0, 1, 1, 2, 2]), (1, [3, 3])):
            batches = result.decisions[block * SCENARIO.horizon : (block + 1) * SCENARIO.horizon]
            rows = np.isin(result.world, worlds)
            market = Market(SCENARIO.catalogue, WORLDS, np.array(worlds))
            streams = result.world[rows] * 4096 + result.seed[rows]
            noise, state = market.noise(PLAN.seed, streams, SCENARIO.horizon), market.open()
            for t, batch in enumerate(batches):
                table = decision_table(batch)
                price = table.price.reshape(len(worlds), -1)
                np.testing.assert_array_equal(table.current_price.reshape(price.shape), state.price)
                moved = (price != state.price).mean(axis=1)
                np.testing.assert_allclose(result.moved[rows, t], moved)
                sale = market.sell(state, price, SCENARIO.conditions[t], noise.at(t), SCENARIO.receipts[t])
                np.testing.assert_allclose(result.profit[rows, t], sale.profit.sum(axis=1))
                np.testing.assert_allclose(result.units[rows, t], sale.sold.sum(axis=1))
                state = sale.state


def test_every_decision_has_an_identifier_of_its_own() -> None:
    """Runs, periods and series are told apart; policies share the identifiers of the same situation."""
    for result in WHOLE.values():
        names = [name for batch in result.decisions for name in decision_table(batch).decision_id]
        assert len(set(names)) == len(names) == 8 * SCENARIO.horizon * 5


@given(
    st.lists(st.tuples(st.floats(1.0, 9.0), st.floats(-3.0, 3.0)), min_size=2, max_size=8),
    st.floats(0.1, 50.0),
)
@settings(max_examples=40, deadline=None)
def test_comparisons_scale_with_money_and_swap_their_sign(
    runs: list[tuple[float, float]], scale: float
) -> None:
    def outcome(name: str, profit: list[float]) -> Outcome:
        by_series = np.array(profit)[:, None]
        zero = np.zeros_like(by_series)
        world = np.arange(len(profit))
        return Outcome(name, "1", BlockResult(world, 0 * world, by_series, by_series, zero, zero))

    theirs = [base + 5.0 for base, _ in runs]
    ours = [base + 5.0 + more for base, more in runs]
    here = compare((outcome("a", theirs), outcome("b", ours)), "a")[1]
    back = compare((outcome("a", theirs), outcome("b", ours)), "b")[0]
    much = compare((outcome("a", [scale * p for p in theirs]), outcome("b", [scale * p for p in ours])), "a")[
        1
    ]
    near = {"rel": 1e-9, "abs": 1e-9}
    np.testing.assert_allclose(back.money.estimate, -here.money.estimate, rtol=near["rel"], atol=near["abs"])
    np.testing.assert_allclose(back.money.lower_90, -here.money.upper_90, rtol=near["rel"], atol=near["abs"])
    np.testing.assert_allclose(much.money.upper_95, scale * here.money.upper_95, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(much.percent.lower_95, here.percent.lower_95, rtol=1e-7)
    assert here.money.lower_95 <= here.money.lower_90 <= here.money.estimate + 1e-12
    assert here.wins + back.wins <= 1.0
