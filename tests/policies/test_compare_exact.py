"""Paired comparisons against SciPy and against their own promise: how often an interval holds the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from policies.compare import compare, paired_interval, ratio_interval
from policies.decision_table import decision_table
from policies.rollout import BlockResult, Outcome, Plan, blocks_of, roll_out
from policies.serve.incumbent import Incumbent
from policies.serve.static import Static
from pricing.arrays import Floats, Ints
from pricing.errors import UsageError
from pricing.guardrails import Guardrails
from simulators.market import sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import InProcess


def _outcome(name: str, by_series: Floats, world: Ints, seed: Ints) -> Outcome:
    one = np.zeros((len(world), 1))
    return Outcome(name, "1", BlockResult(world, seed, by_series.sum(axis=1)[:, None], by_series, one, one))


_MONEY = st.floats(1.0, 1e6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_MONEY, _MONEY), min_size=2, max_size=12))
def test_money_is_the_paired_t_interval_of_scipy(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = (np.array(each) for each in zip(*pairs, strict=True))
    found = paired_interval(ours - theirs)
    if np.ptp(ours - theirs) < 1e-6:
        assert found.lower_95 == pytest.approx(found.upper_95, abs=1e-4)
        return
    test = stats.ttest_rel(ours, theirs)
    for level, low, high in ((0.9, found.lower_90, found.upper_90), (0.95, found.lower_95, found.upper_95)):
        told = test.confidence_interval(level)
        assert (low, high) == pytest.approx((told.low, told.high), rel=1e-9, abs=1e-6)
    sure = test.pvalue < 0.05
    assert sure == (not found.lower_95 <= 0.0 <= found.upper_95) or abs(test.pvalue - 0.05) < 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(50.0, 150.0), st.floats(50.0, 150.0)), min_size=3, max_size=30))
def test_a_ratio_is_the_slope_through_the_origin_of_cochran(pairs: list[tuple[float, float]]) -> None:
    """Var R = sum (y - R x)^2 / ((n - 1) n xbar^2), written out in plain Python."""
    n = len(pairs)
    mean = sum(x for _, x in pairs) / n
    ratio = sum(y for y, _ in pairs) / sum(x for _, x in pairs)
    error = (sum((y - ratio * x) ** 2 for y, x in pairs) / (n - 1) / n) ** 0.5 / mean
    ours, theirs = (np.array(each) for each in zip(*pairs, strict=True))
    found = ratio_interval(ours, theirs)
    assert found.estimate == pytest.approx(ratio)
    assert found.upper_95 - found.estimate == pytest.approx(stats.t.ppf(0.975, n - 1) * error, abs=1e-9)
    assert found.estimate - found.lower_90 == pytest.approx(stats.t.ppf(0.95, n - 1) * error, abs=1e-9)


@pytest.mark.parametrize("worlds", [8, 30])
def test_intervals_hold_the_truth_as_often_as_they_say(worlds: int) -> None:
    """4,000 comparisons of policies that differ by 4 % in worlds that differ by 40 %."""
    rng, hits = np.random.default_rng(worlds), np.zeros((2, 2))
    for _ in range(2000):
        theirs = 1000 * np.exp(rng.normal(0.0, 0.4, worlds))
        ours = 1.04 * theirs + rng.normal(0.0, 60.0, worlds)
        share, money = ratio_interval(ours, theirs), paired_interval(ours - 1.04 * theirs)
        hits[0] += [share.lower_90 <= 1.04 <= share.upper_90, share.lower_95 <= 1.04 <= share.upper_95]
        hits[1] += [money.lower_90 <= 0.0 <= money.upper_90, money.lower_95 <= 0.0 <= money.upper_95]
    for (at_90, at_95), slack in zip(hits / 2000, (0.025, 0.015), strict=True):
        assert at_90 == pytest.approx(0.90, abs=slack + 0.01)
        assert at_95 == pytest.approx(0.95, abs=slack + 0.005)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 4), st.integers(1, 3))
def test_runs_of_a_world_are_averaged_in_whatever_order_they_come(
    seed: int, worlds: int, seeds: int, series: int
) -> None:
    rng = np.random.default_rng(seed)
    world, number = np.repeat(np.arange(worlds), seeds) * 3 + 5, np.tile(np.arange(seeds), worlds)
    ours, theirs = (rng.uniform(50.0, 100.0, (worlds * seeds, series)) for _ in range(2))
    pair = (_outcome("ours", ours, world, number), _outcome("theirs", theirs, world, number))
    found = compare(pair, "theirs")[0]
    means = [
        [each[world == w].sum(axis=1).mean() for w in dict.fromkeys(world.tolist())]
        for each in (ours, theirs)
    ]
    gap = np.array(means[0]) - np.array(means[1])
    assert found.money.estimate == pytest.approx(gap.mean())
    assert found.money.upper_95 == pytest.approx(paired_interval(gap).upper_95)
    assert found.percent.estimate == pytest.approx(100 * np.mean(means[0]) / np.mean(means[1]))
    assert found.wins == (gap > 0.0).mean()
    assert (found.worlds, found.runs) == (worlds, worlds * seeds)
    order = rng.permutation(worlds * seeds)
    turned = tuple(_outcome(o.policy, o.result.by_series[order], world[order], number[order]) for o in pair)
    again = compare(turned, "theirs")[0]
    assert again.money.lower_90 == pytest.approx(found.money.lower_90)
    parts = [compare(pair, "theirs", np.array([s]))[0].money.estimate for s in range(series)]
    assert sum(parts) == pytest.approx(found.money.estimate), "products add up to the shop"


def test_more_seeds_of_the_same_worlds_are_not_more_worlds() -> None:
    """Ten copies of every run narrow nothing: worlds are what was sampled."""
    rng = np.random.default_rng(2)
    ours, theirs = (rng.uniform(50.0, 100.0, (5, 1)) for _ in range(2))
    found = []
    for copies in (1, 10):
        world, number = np.repeat(np.arange(5), copies), np.tile(np.arange(copies), 5)
        pair = [
            _outcome(n, np.repeat(p, copies, axis=0), world, number) for n, p in (("a", ours), ("b", theirs))
        ]
        found.append(compare(pair, "b")[0])
    assert found[0].money.lower_95 == pytest.approx(found[1].money.lower_95)
    assert found[0].percent.upper_90 == pytest.approx(found[1].percent.upper_90)


def test_runs_that_only_look_alike_are_refused() -> None:
    world, seed, one = np.arange(3), np.zeros(3, dtype=np.int64), np.ones((3, 1))
    base = _outcome("base", one, world, seed)
    for other in (_outcome("o", one, world[::-1], seed), _outcome("o", one, world, seed + 1)):
        with pytest.raises(UsageError, match="same runs"):
            compare((base, other), "base")


SCENARIO, MODEL = toy_scenario(4, 5, horizon=3)
WORLDS = sample_worlds(MODEL, SCENARIO.catalogue, 6)


def test_pairing_is_worth_its_name() -> None:
    """In the same worlds with the same noise a difference is known far better than from separate runs."""
    plan = Plan(SCENARIO, WORLDS, seeds=3, seed=4, fingerprint="toy")
    keep, held = roll_out(plan, (Incumbent(), Static.of(SCENARIO)), InProcess())
    gap = np.var(held.total - keep.total, ddof=1)
    apart = np.var(held.total, ddof=1) + np.var(keep.total, ddof=1)
    assert gap < 0.5 * apart
    found = compare((keep, held), "incumbent")[1]
    width = found.money.upper_95 - found.money.lower_95
    by_world = [o.total.reshape(6, 3).mean(axis=1) for o in (held, keep)]
    unpaired = stats.ttest_ind(*by_world).confidence_interval(0.95)
    assert width < unpaired.high - unpaired.low


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 8), st.lists(st.integers(0, 3), max_size=4, unique=True), st.randoms(use_true_random=False)
)
def test_any_part_that_is_done_is_taken_as_it_is(block: int, known: list[int], chance: Any) -> None:
    """Marked results come back in their place; everything else is what a fresh rollout brings."""
    plan = Plan(SCENARIO, WORLDS, seeds=1, seed=4, fingerprint="toy", block=block)
    policies = (Incumbent(), Static.of(SCENARIO))
    blocks, fresh = blocks_of(plan, policies), roll_out(plan, policies, InProcess())
    assert [len(b.plan.worlds) for b in blocks] == [min(block, 6 - f) for f in range(0, 6, block)] * 2
    assert [b.first for b in blocks] == list(range(0, 6, block)) * 2
    done, rows = {}, {}
    for place in (k for k in known if k < len(blocks)):
        size = len(blocks[place].plan.worlds)
        mark = float(chance.randint(1, 10**6))
        first = blocks[place].first
        some = fresh[place // (len(blocks) // 2)].result
        part = {
            n: getattr(some, n)[first : first + size]
            for n in ("world", "seed", "by_series", "units", "moved")
        }
        done[place] = BlockResult(profit=np.full((size, 3), mark), **part)
        rows[place] = (place // (len(blocks) // 2), slice(first, first + size), mark)
    resumed = roll_out(plan, policies, InProcess(), done=done)
    for which in range(2):
        expected = fresh[which].result.profit.copy()
        for owner, span, mark in rows.values():
            if owner == which:
                expected[span] = mark
        np.testing.assert_array_equal(resumed[which].result.profit, expected)
        np.testing.assert_array_equal(resumed[which].result.world, np.arange(6))


def test_a_plan_carries_what_it_was_given() -> None:
    plan = Plan(SCENARIO, WORLDS, seeds=2, seed=1, fingerprint="x")
    assert all(b.plan == replace(plan, worlds=b.plan.worlds) for b in blocks_of(plan, (Incumbent(),)))


@pytest.mark.parametrize("profit", [0.0, -1.0])
def test_nothing_is_a_percentage_of_no_profit(profit: float) -> None:
    world, seed = np.arange(3), np.zeros(3, dtype=np.int64)
    base = _outcome("base", np.full((3, 1), profit), world, seed)
    with pytest.raises(UsageError, match="no profit"):
        compare((base, _outcome("ours", np.ones((3, 1)), world, seed)), "base")


def test_a_blocked_product_has_no_price_in_the_table() -> None:
    shop = SCENARIO.catalogue
    cost = shop.unit_cost.copy()
    cost[2] = 10 * shop.price[2]
    rules = Guardrails(replace(shop, unit_cost=cost), SCENARIO.menu, SCENARIO.guardrails.settings)
    plan = Plan(replace(SCENARIO, guardrails=rules), WORLDS, 1, 4, "toy", keep_decisions=True)
    (outcome,) = roll_out(plan, (Incumbent(),), InProcess())
    table = decision_table(outcome.result.decisions[0])
    blocked = np.arange(len(table)) % 4 == 2
    assert (table.price[blocked] == -1).all()
    assert (table.price[~blocked] == table.current_price[~blocked]).all()
    assert np.isnan(table.propensity[blocked]).all()
    assert not table.allowed[blocked].any()
