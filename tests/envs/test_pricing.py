from __future__ import annotations

import warnings
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.pricing import PricingEnv, PricingVectorEnv
from envs.registration import PRICING, register_envs
from envs.sb3 import BatchVecEnv
from pricing.errors import UsageError
from pricing.features import FEATURES
from pricing.guardrails import GuardrailSettings
from pricing.menu import Endings
from pricing.scenario import Scenario
from pricing.standing import Standing, Verdict
from simulators.market import Worlds, sample_worlds
from simulators.worlds import toy_scenario

ACTIONS = ("index", "latent")
Problem = tuple[Scenario, Worlds]


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Six products with scarce stock over five weeks; a third of them may move in a week."""
    corridor = GuardrailSettings(0.05, 0.1, 1, 0.34, Endings((5, 9), 10))
    scenario, model = toy_scenario(6, 4, horizon=5, ladder=9, settings=corridor, stock_periods=3.0)
    return scenario, sample_worlds(model, scenario.catalogue, 5, gain=-0.3, loss=-0.8)


def actions(space: gymnasium.Space[Any], count: int, seed: int = 0) -> list[Any]:
    space.seed(seed)
    return [space.sample() for _ in range(count)]


def same(one: Any, two: Any) -> None:
    """Equal in value, type and shape, all the way down."""
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            same(one[key], two[key])
    elif isinstance(one, tuple) or np.asarray(one).dtype == object:
        for a, b in zip(one, two, strict=True):
            same(a, b)
    else:
        np.testing.assert_array_equal(one, two)
        assert np.asarray(one).dtype == np.asarray(two).dtype


@pytest.mark.parametrize("action", ACTIONS)
def test_gymnasiums_checker_is_silent(action: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(PRICING, action=action).unwrapped)


def test_the_entry_point_registers() -> None:
    (found,) = entry_points(group="gymnasium.envs", name="__root__")
    assert found.load() is register_envs
    register_envs()
    assert gymnasium.spec(PRICING).vector_entry_point == "envs.pricing:PricingVectorEnv"
    batch = gymnasium.make_vec(PRICING, num_envs=3, vectorization_mode="vector_entry_point")
    assert isinstance(batch, PricingVectorEnv)
    assert batch.reset(seed=1)[0].shape == (3, 20, len(FEATURES))


@pytest.mark.parametrize("action", ACTIONS)
def test_one_seed_gives_one_history(problem: Problem, action: str) -> None:
    histories = []
    for _ in range(2):
        batch = PricingVectorEnv(4, *problem, action)
        history = [batch.reset(seed=3)[0].tobytes()]
        for taken in actions(batch.action_space, 12):
            seen, reward, *_ = batch.step(taken)
            history += [seen.tobytes(), reward.tobytes()]
        histories.append(b"".join(history))
    assert histories[0] == histories[1]
    rewards, alike = [], np.tile(actions(batch.single_action_space, 1)[0], (4, 1))
    for seed in (3, 4):
        batch.reset(seed=seed)
        rewards.append(batch.step(alike)[1])
    np.testing.assert_array_equal(rewards[0][1:] == rewards[1][:-1], [True] * 3)
    assert rewards[0][0] not in rewards[1]


@pytest.mark.parametrize("action", ACTIONS)
def test_the_batch_is_its_single_environments_step_by_step(problem: Problem, action: str) -> None:
    """Three episodes against Gymnasium's own loop over single environments, to the last bit of every info."""
    batch = PricingVectorEnv(5, *problem, action)
    loop = SyncVectorEnv([lambda: PricingEnv(*problem, action)] * 5, autoreset_mode=AutoresetMode.SAME_STEP)
    same(batch.reset(seed=20), loop.reset(seed=20))
    for taken in actions(batch.action_space, 13):
        for ours, theirs in zip(batch.step(taken), loop.step(taken), strict=True):
            same(ours, theirs)


@pytest.mark.parametrize("action", ACTIONS)
def test_any_action_is_valid_and_every_price_is_allowed(problem: Problem, action: str) -> None:
    scenario, _ = problem
    batch = PricingVectorEnv(8, *problem, action)
    _, info = batch.reset(seed=1)
    now = np.broadcast_to(scenario.catalogue.price, (8, 6))
    moves = []
    for taken in actions(batch.action_space, 4, seed=2):
        allowed = info["allowed"]
        seen, reward, _, _, info = batch.step(taken)
        rung = scenario.menu.index_of(info["price"])
        assert np.take_along_axis(allowed, rung[..., None], axis=-1).all()
        moves.append((info["price"] != now).sum(axis=1))
        assert moves[-1].max() <= 2, "a third of six"
        np.testing.assert_allclose(reward, info["profit"].sum(axis=1) / scenario.base_profit)
        assert batch.observation_space.contains(seen)
        assert np.isfinite(seen).all()
        now = info["price"]
    assert np.max(moves) == 2


def test_a_rung_that_is_allowed_is_the_price() -> None:
    scenario, model = toy_scenario(3, 1, settings=GuardrailSettings(max_change=0.3))
    env = PricingEnv(scenario, sample_worlds(model, scenario.catalogue, 1))
    _, info = env.reset(seed=0)
    rung = np.array([np.flatnonzero(row)[0] for row in info["allowed"]])
    told = env.step(rung)[4]
    np.testing.assert_array_equal(told["price"], scenario.menu.price[np.arange(3), rung])
    assert info.keys() == {"allowed"}
    assert told.keys() == {"allowed", "price", "profit", "units"}


def test_the_horizon_ends_the_episode_and_the_next_one_has_another_world(problem: Problem) -> None:
    batch = PricingVectorEnv(16, *problem)
    batch.reset(seed=0)
    keep = problem[0].menu.index_of(problem[0].catalogue.price)
    first = np.zeros((3, 16))
    for episode in range(3):
        for period in range(5):
            seen, reward, terminated, truncated, info = batch.step(np.tile(keep, (16, 1)))
            if period == 0:
                first[episode] = reward
            assert not terminated.any()
            assert truncated.all() == (period == 4)
        left = [feature.name for feature in FEATURES].index("time_left")
        assert (np.stack(list(info["final_obs"]))[..., left] == 0.0).all()
        assert (seen[..., left] == 1.0).all()
        assert (info["final_info"]["profit"] >= 0.0).all()
    assert len(np.unique(first)) == first.size


def test_the_end_of_the_problem_may_be_an_end(problem: Problem) -> None:
    env = PricingEnv(*problem, terminal=True)
    env.reset(seed=0)
    ends = [env.step(a)[2:4] for a in actions(env.action_space, 5)]
    assert ends == [(False, False)] * 4 + [(True, False)]
    with pytest.raises(UsageError, match="episode has ended"):
        env.step(actions(env.action_space, 1)[0])
    env.reset()
    env.step(actions(env.action_space, 1)[0])


@pytest.mark.parametrize(
    ("action", "taken", "message"),
    [
        ("index", np.zeros(5, dtype=np.int64), "shape"),
        ("index", np.full(6, 9), "outside 0 to 8"),
        ("index", np.full(6, -1), "outside 0 to 8"),
        ("latent", np.full(6, np.nan), "not finite"),
    ],
)
def test_an_action_outside_the_space_is_refused(
    problem: Problem, action: str, taken: Any, message: str
) -> None:
    env = PricingEnv(*problem, action)
    env.reset(seed=0)
    with pytest.raises(UsageError, match=message):
        env.step(taken)


def test_impossible_environments_are_refused(problem: Problem) -> None:
    scenario, worlds = problem
    with pytest.raises(UsageError, match="come together"):
        PricingEnv(scenario)
    with pytest.raises(UsageError, match="not one of index, latent"):
        PricingEnv(scenario, worlds, "prices")
    with pytest.raises(UsageError, match="0 environments"):
        PricingVectorEnv(0, scenario, worlds)
    with pytest.raises(UsageError, match="pool of worlds is empty"):
        PricingEnv(scenario, worlds.take(np.zeros(0, dtype=np.int64)))
    with pytest.raises(UsageError, match="2 seeds"):
        PricingVectorEnv(3, scenario, worlds).reset(seed=[1, 2])


def test_an_environment_says_under_which_passport_its_problem_was_made(problem: Problem) -> None:
    standing = Standing("a" * 64, Verdict.FAILED, ("lift",))
    scenario, worlds = replace(problem[0], standing=standing), problem[1]
    made = gymnasium.make(PRICING, scenario=scenario, worlds=worlds)
    single, batch = made.unwrapped, PricingVectorEnv(2, scenario, worlds)
    assert isinstance(single, PricingEnv)
    assert single.standing == batch.standing == standing
    assert made.metadata["standing"] == batch.metadata["standing"] == standing.document()
    assert BatchVecEnv(batch).get_attr("standing") == [standing, standing]
    toy = gymnasium.make(PRICING)
    assert toy.metadata["standing"]["verdict"] == "not_validated"
    assert "standing" not in PricingEnv.metadata, "one problem's standing is no other's"
    assert scenario.take(np.array([1, 3])).standing == standing
