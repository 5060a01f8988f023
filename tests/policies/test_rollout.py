from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from policies.compare import compare, paired_interval, ratio_interval
from policies.decision_table import decision_table
from policies.rollout import BlockResult, Outcome, Plan, blocks_of, roll_out, run_block
from policies.serve.incumbent import Incumbent
from policies.serve.static import Static
from policies.serve.thompson import Thompson
from pricing.arrays import Floats, Ints
from pricing.errors import UsageError
from simulators.market import sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import InProcess

SCENARIO, MODEL = toy_scenario(6, 1, horizon=4)
WORLDS = sample_worlds(MODEL, SCENARIO.catalogue, 5, first=100)
PLAN = Plan(SCENARIO, WORLDS, seeds=2, seed=7, fingerprint="toy", block=2)
POLICIES = (Incumbent(), Static.of(SCENARIO), Thompson.of(SCENARIO, WORLDS.parameters))


def _same(one: Outcome, other: Outcome) -> bool:
    names = ("world", "seed", "profit", "by_series", "units", "moved")
    return all(np.array_equal(getattr(one.result, n), getattr(other.result, n)) for n in names)


def test_the_size_of_blocks_changes_nothing() -> None:
    small = roll_out(PLAN, POLICIES, InProcess())
    large = roll_out(replace(PLAN, block=50), POLICIES, InProcess())
    assert all(_same(a, b) for a, b in zip(small, large, strict=True))
    assert [o.policy for o in small] == ["incumbent", "static", "thompson"]
    assert small[0].result.world.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    np.testing.assert_allclose(small[0].result.by_series.sum(axis=1), small[0].total)


def test_a_rollout_resumes_from_what_is_done_and_blocks_travel() -> None:
    whole, blocks = roll_out(PLAN, POLICIES, InProcess()), blocks_of(PLAN, POLICIES)
    done = {place: run_block(pickle.loads(pickle.dumps(blocks[place]))) for place in (0, 2, 5)}  # noqa: S301 - our own block
    executor, told = InProcess(), list[tuple[int, int]]()
    resumed = roll_out(PLAN, POLICIES, executor, done=done, progress=lambda k, n: told.append((k, n)))
    assert executor.ran == len(blocks) - 3 == len(told)
    assert all(_same(a, b) for a, b in zip(whole, resumed, strict=True))


def test_all_policies_meet_the_same_shocks() -> None:
    twice = roll_out(PLAN, (Incumbent(), Incumbent()), InProcess())
    assert _same(*twice)
    other = roll_out(replace(PLAN, seed=8), (Incumbent(),), InProcess())
    assert not _same(twice[0], other[0])


def test_whole_decisions_are_kept_and_laid_out_in_columns() -> None:
    (outcome,) = roll_out(replace(PLAN, keep_decisions=True), POLICIES[2:], InProcess())
    batches = outcome.result.decisions
    assert len(batches) == 3 * SCENARIO.horizon
    table = decision_table(batches[5])
    record = batches[5].record(3, 4)
    row = 3 * 6 + 4
    valid = SCENARIO.menu.valid[4]
    assert len(table) == 24
    assert table.decision_id[row] == record.decision_id
    assert (table.group[row], table.zone[row]) == (record.group, record.zone)
    assert (table.period_start[row], table.run[row]) == (record.period, record.run)
    assert (table.current_price[row], table.price[row]) == (record.current_price, record.price)
    assert table.low_30_days[row] == batches[5].situation.state.recent[3, 4].min()
    assert tuple(table.menu[row][valid]) == record.menu
    assert tuple(table.allowed[row][valid]) == record.allowed
    assert tuple(table.rejections[row][valid]) == record.rejections
    assert tuple(table.probabilities[row][valid]) == record.probabilities
    assert tuple(table.features[row]) == record.features
    assert (table.propensity[row], table.draw[row]) == (record.propensity, record.draw)
    assert (table.status[row], table.relaxed[row]) == (record.status, record.relaxed)
    assert (table.policy_version, table.schema) == (record.policy_version, record.schema)
    assert len(set(table.decision_id)) == 24
    assert {"decision_id", "rejections", "propensity", "draw"} < set(table.columns)


def test_a_rollout_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no policy"):
        roll_out(PLAN, (), InProcess())
    for seeds, block in ((0, 2), (2, 0), (10**6, 2)):
        with pytest.raises(UsageError, match="no rollout"):
            replace(PLAN, seeds=seeds, block=block)


def _outcome(name: str, by_series: Floats, seeds: int = 1) -> Outcome:
    runs = len(by_series)
    world: Ints = np.repeat(np.arange(runs // seeds), seeds)
    seed: Ints = np.tile(np.arange(seeds), runs // seeds)
    one = np.zeros((runs, 1))
    result = BlockResult(world, seed, by_series.sum(axis=1)[:, None], by_series, one, one)
    return Outcome(name, "1", result)


def test_a_comparison_by_hand() -> None:
    # two runs a world; world means of the reference 10, 20, 30, of ours 11, 23, 32
    base = _outcome("base", np.array([[9.0], [11.0], [18.0], [22.0], [30.0], [30.0]]), seeds=2)
    ours = _outcome("ours", np.array([[10.0], [12.0], [23.0], [23.0], [30.0], [34.0]]), seeds=2)
    same, better = compare((base, ours), "base")
    assert (same.money.lower_95, same.money.upper_95, same.percent.estimate, same.wins) == (0, 0, 100, 0)
    assert better.money.estimate == pytest.approx(2.0)
    # sd of (1, 3, 2) is 1; t(2, .975) = 4.3027, t(2, .95) = 2.9200
    assert better.money.upper_95 == pytest.approx(2.0 + 4.302653 / np.sqrt(3))
    assert better.money.lower_90 == pytest.approx(2.0 - 2.919986 / np.sqrt(3))
    assert better.percent.estimate == pytest.approx(110.0)
    assert (better.wins, better.worlds, better.runs, better.profit) == (1.0, 3, 6, 22.0)


def test_intervals_match_scipy() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.gamma(20.0, 5.0, 12)
    ours = theirs * 1.03 + rng.normal(0, 2.0, 12)
    found = scipy.stats.ttest_rel(ours, theirs).confidence_interval(0.9)
    money = paired_interval(ours - theirs)
    assert (money.lower_90, money.upper_90) == pytest.approx((found.low, found.high))
    ratio = ratio_interval(ours, theirs)
    draws = rng.integers(0, 12, (20_000, 12))
    resampled = ours[draws].mean(axis=1) / theirs[draws].mean(axis=1)
    assert (ratio.upper_90 - ratio.lower_90) / 2 / 1.795885 == pytest.approx(resampled.std(), rel=0.1)


def test_some_products_are_compared_alone_and_bad_comparisons_are_refused() -> None:
    base = _outcome("base", np.array([[1.0, 9.0], [2.0, 8.0]]))
    ours = _outcome("ours", np.array([[2.0, 0.0], [4.0, 0.0]]))
    assert compare((base, ours), "base", np.array([0]))[1].percent.estimate == pytest.approx(200.0)
    with pytest.raises(UsageError, match="no outcome of oracle"):
        compare((base, ours), "oracle")
    with pytest.raises(UsageError, match="One world"):
        compare((_outcome("base", np.ones((1, 1))),), "base")
    with pytest.raises(UsageError, match="same runs"):
        compare((base, _outcome("ours", np.ones((4, 2)), seeds=2)), "base")
    with pytest.raises(UsageError, match="no profit"):
        compare((_outcome("base", -np.ones((2, 1))),), "base")
