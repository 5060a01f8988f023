from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.coupon import CouponEnv, CouponVectorEnv
from envs.coupon_runs import CouponProblem, toy_problem
from envs.registration import COUPON, register_envs
from envs.sb3 import BatchVecEnv
from pricing.coupon_rules import CouponSettings
from pricing.errors import UsageError
from simulators.coupons.farming import Farming
from simulators.coupons.shop_floor import level_menu
from simulators.coupons.state import CONTEXT
from simulators.coupons.toy import toy_habits
from tests.envs.test_pricing import actions, same


@pytest.fixture(scope="module")
def problem() -> CouponProblem:
    """Five weeks; costs of 85 % make 20 % off a loss; at most two offers in four weeks."""
    made = toy_problem()
    corridor = CouponSettings(frequency_cap=2, frequency_days=28, act_on_prior=True)
    habits = toy_habits(cost=0.85)
    return replace(made, habits=habits, horizon=5, settings=corridor)


def test_gymnasiums_checker_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(COUPON).unwrapped)


def test_sb3s_checker_is_silent() -> None:
    sb3_check = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check.check_env(CouponEnv())


def test_it_is_registered_once() -> None:
    register_envs()
    batch = gymnasium.make_vec(COUPON, num_envs=3, vectorization_mode="vector_entry_point")
    assert isinstance(batch, CouponVectorEnv)
    assert batch.reset(seed=1)[0].shape == (3, len(CONTEXT))


def test_the_batch_is_its_single_environments_step_by_step(problem: CouponProblem) -> None:
    """Three episodes against Gymnasium's own loop over single environments, to the last bit of every info."""
    batch = CouponVectorEnv(5, problem)
    loop = SyncVectorEnv([lambda: CouponEnv(problem)] * 5, autoreset_mode=AutoresetMode.SAME_STEP)
    same(batch.reset(seed=20), loop.reset(seed=20))
    for taken in actions(batch.action_space, 13):
        for ours, theirs in zip(batch.step(taken), loop.step(taken), strict=True):
            same(ours, theirs)


def test_what_the_guardrails_refuse_becomes_no_coupon(problem: CouponProblem) -> None:
    batch = CouponVectorEnv(6, problem)
    _, info = batch.reset(seed=1)
    offers = []
    for step in range(4):
        assert info["allowed"][:, 0].all()
        assert not info["allowed"][:, 3].any(), "20 % off goods that cost 85 % loses money"
        allowed = info["allowed"]
        *_, info = batch.step(np.full(6, 2 if step else 3))
        offers.append(info["offer"])
        np.testing.assert_array_equal(offers[-1], np.where(allowed[:, 2], 2, 0) if step else np.zeros(6))
    assert [int(o.max()) for o in offers] == [0, 2, 2, 0], "two in four weeks at most"


def test_rewards_add_up_to_profit_over_that_of_a_basket(problem: CouponProblem) -> None:
    batch = CouponVectorEnv(4, problem, terminal=True)
    batch.reset(seed=3)
    scale = float(np.exp(problem.habits.basket).mean() * 0.15)
    for _ in range(4):
        _, reward, terminated, truncated, info = batch.step(np.zeros(4, dtype=np.int64))
        np.testing.assert_allclose(reward, info["profit"] / scale)
        assert not (terminated | truncated).any()
    *_, terminated, truncated, info = batch.step(np.zeros(4, dtype=np.int64))
    assert terminated.all()
    assert not truncated.any()
    assert set(info["final_info"]) >= {"profit", "offer"}


@pytest.mark.parametrize("action", [4, -1, 1.5])
def test_an_impossible_offer_is_refused(action: Any) -> None:
    env = CouponEnv()
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"outside|whole numbers"):
        env.step(action)


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(UsageError, match="0 environments"):
        CouponVectorEnv(0)
    with pytest.raises(UsageError, match="2 seeds"):
        CouponVectorEnv(3).reset(seed=[1, 2])
    with pytest.raises(UsageError, match="has ended"):
        CouponEnv().step(0)
    with pytest.raises(UsageError, match="ascending"):
        level_menu((0.1, 0.05))


def test_sb3_learns_from_the_native_batch(problem: CouponProblem) -> None:
    ppo = pytest.importorskip("stable_baselines3").PPO
    rows = BatchVecEnv(CouponVectorEnv(8, problem, terminal=True))
    rows.seed(5)
    first = rows.reset()
    model = ppo("MlpPolicy", rows, n_steps=5, batch_size=20, n_epochs=1, seed=1, device="cpu")
    model.learn(80)
    chosen, _ = model.predict(first, deterministic=True)
    assert chosen.shape == (8,)


def test_farmers_learn_from_offers_and_from_nothing_else(problem: CouponProblem) -> None:
    """Never offered anything, 60 farmers bring what honest customers bring; offered once, they wait."""
    farmed = replace(problem, farming=Farming(1.0))
    for first in (0, 1):
        bought = list[int]()
        for made in (problem, farmed):
            env = CouponVectorEnv(60, made)
            env.reset(seed=3)
            steps = [env.step(np.full(60, first if t == 0 else 0))[4] for t in range(4)]
            bought.append(sum(int(info["bought"].sum()) for info in steps[1:]))
        assert (bought[0] == bought[1]) == (first == 0)
        assert bought[1] <= bought[0]
