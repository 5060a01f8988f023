from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import DummyVecEnv

from envs.pricing import PricingEnv, PricingVectorEnv
from envs.sb3 import BatchVecEnv
from pricing.errors import UsageError
from pricing.scenario import Scenario
from simulators.market import Worlds, sample_worlds
from simulators.worlds import toy_scenario

Problem = tuple[Scenario, Worlds]


@pytest.fixture(scope="module")
def problem() -> Problem:
    scenario, model = toy_scenario(4, 2, horizon=3)
    return scenario, sample_worlds(model, scenario.catalogue, 3)


@pytest.mark.parametrize("action", ["index", "latent"])
def test_sb3s_checker_only_notes_that_products_have_rows(problem: Problem, action: str) -> None:
    with pytest.warns(UserWarning, match="unconventional shape") as noted:
        check_env(PricingEnv(*problem, action))
    assert len(noted) == 1


def test_the_face_steps_like_sb3s_own_loop(problem: Problem) -> None:
    face = BatchVecEnv(PricingVectorEnv(3, *problem, "latent"))
    loop = DummyVecEnv([lambda: PricingEnv(*problem, "latent")] * 3)
    face.seed(5)
    loop.seed(5)
    np.testing.assert_array_equal(face.reset(), loop.reset())
    rng = np.random.default_rng(0)
    for _ in range(7):
        taken = rng.uniform(-1.0, 1.0, (3, 4)).astype(np.float32)
        ours, theirs = face.step(taken), loop.step(taken)
        for a, b in zip(ours[:3], theirs[:3], strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.asarray(a).dtype == np.asarray(b).dtype
        for a_info, b_info in zip(ours[3], theirs[3], strict=True):
            assert a_info["profit"] == pytest.approx(b_info["profit"].sum())
            assert a_info.get("TimeLimit.truncated", False) == b_info["TimeLimit.truncated"]
            assert ("terminal_observation" in a_info) == ("terminal_observation" in b_info)
            if "terminal_observation" in a_info:
                np.testing.assert_array_equal(a_info["terminal_observation"], b_info["terminal_observation"])


def test_a_terminal_horizon_is_no_time_limit(problem: Problem) -> None:
    face = BatchVecEnv(PricingVectorEnv(2, *problem, "latent", terminal=True))
    face.reset()
    keep = np.zeros((2, 4), dtype=np.float32)
    dones = [face.step(keep)[2].all() for _ in range(2)]
    _, _, done, infos = face.step(keep)
    assert [*dones, done.all()] == [False, False, True]
    assert not any(info["TimeLimit.truncated"] for info in infos)


def test_ppo_learns_on_it_and_twice_the_same(problem: Problem) -> None:
    weights = []
    for _ in range(2):
        face = BatchVecEnv(PricingVectorEnv(4, *problem, "latent", terminal=True))
        learner = PPO(
            "MlpPolicy", face, n_steps=3, batch_size=12, gamma=1.0, n_epochs=1, seed=1, device="cpu"
        )
        learner.learn(24)
        weights.append(learner.policy.state_dict()["action_net.weight"].numpy().copy())
    np.testing.assert_array_equal(weights[0], weights[1])


def test_copies_have_nothing_of_their_own(problem: Problem) -> None:
    face = BatchVecEnv(PricingVectorEnv(2, *problem))
    assert face.get_attr("num_envs", [1]) == [2]
    assert face.env_is_wrapped(type("Wrapper", (), {})) == [False, False]
    with pytest.raises(UsageError, match="rows of one batch"):
        face.set_attr("num_envs", 3)
    with pytest.raises(UsageError, match="rows of one batch"):
        face.env_method("reset")
    assert face.get_images() == [None, None]
    face.close()
