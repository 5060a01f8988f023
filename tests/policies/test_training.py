from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from envs.runs import Runs
from policies.checker import check_policy
from policies.rollout import Plan, roll_out
from policies.serve.incumbent import Incumbent
from policies.serve.network import NetworkPolicy
from policies.subset import worlds_of
from policies.train.export import export
from policies.train.ppo import PPOSettings, _words, train_ppo
from policies.train.rows import ProductRows, kept_profit, reward_scale, standards
from pricing.archive import pack
from pricing.arrays import Floats
from pricing.errors import ArtifactError, UsageError
from simulators.market import sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import InProcess, opening

SCENARIO, MODEL = toy_scenario(8, 6, horizon=6, stock_periods=4.0)
WORLDS = sample_worlds(MODEL, SCENARIO.catalogue, 16)
SMALL = PPOSettings(copies=3, rollouts=3, hidden=(8,), batch_size=48, epochs=2)
SEEDS = np.arange(3, dtype=np.uint64)


def test_the_same_seed_gives_the_same_bytes_and_leaves_global_state_alone() -> None:
    before = torch.get_num_threads(), torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002 - SB3 uses it
    one = train_ppo(SCENARIO, WORLDS, seed=1, settings=SMALL)
    after = torch.get_num_threads(), torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002 - SB3 uses it
    assert before[0] == after[0]
    assert torch.equal(before[1], after[1])
    assert before[2] == after[2]
    assert train_ppo(SCENARIO, WORLDS, seed=1, settings=SMALL).to_bytes() == one.to_bytes()
    assert train_ppo(SCENARIO, WORLDS, seed=2, settings=SMALL).to_bytes() != one.to_bytes()


def test_a_stopped_training_resumes_to_the_same_bytes() -> None:
    states, told, curves = list[bytes](), list[tuple[int, int]](), list[Floats]()
    train = partial(train_ppo, SCENARIO, WORLDS, seed=3, settings=SMALL, learnt=curves.append)
    whole = train(checkpoint=states.append, progress=lambda *k: told.append(k))
    assert told == [(1, 3), (2, 3), (3, 3)]
    for state in states:
        assert train(resume=state).to_bytes() == whole.to_bytes()
    assert curves[0].shape == (3, 2)
    assert all(curve.tobytes() == curves[0].tobytes() for curve in curves)
    cut = train_ppo(SCENARIO, WORLDS, seed=3, settings=SMALL, stop=lambda: True)
    assert cut.trained_on.startswith("1 rollouts of 3 x 8 products")
    with pytest.raises(ArtifactError, match="another training"):
        train_ppo(SCENARIO, WORLDS, seed=4, settings=SMALL, resume=states[0])
    with pytest.raises(ArtifactError, match="not a readable"):
        train_ppo(SCENARIO, WORLDS, seed=3, settings=SMALL, resume=states[0][:-40])
    bare = pack("ppo-checkpoint", 1, {}, {"training": repr((3, SMALL, (3, 8)))})
    with pytest.raises(ArtifactError, match="does not fit"):
        train_ppo(SCENARIO, WORLDS, seed=3, settings=SMALL, resume=bare)


def test_the_curve_is_what_a_rollout_brought_beside_keeping_prices() -> None:
    """What is kept is an episode of the incumbent in the same worlds; a policy that never moves earns it."""
    runs, curves = Runs(SCENARIO, WORLDS, 3, "latent"), list[Floats]()
    how = replace(SMALL, rollouts=1, log_std=-20.0)
    train_ppo(SCENARIO, WORLDS, seed=3, settings=how, learnt=curves.append)
    seeds = _words(3, 0, 3)
    runs.begin(seeds, 1)
    profit = 0.0
    while not runs.done:
        period = runs.advance(np.zeros((3, 8)))
        assert (period.price == SCENARIO.catalogue.price).all()
        profit += period.sale.profit.sum() / 3
    assert curves[0][0, 1] == pytest.approx(profit, rel=1e-12)
    assert curves[0][0, 0] == pytest.approx(profit, rel=0.2), "a network at its start hardly moves prices"
    assert kept_profit(runs, seeds, 1) == curves[0][0, 1]


def test_the_export_agrees_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = list[PPO]()

    def keeping(model: PPO, *rest: Any) -> NetworkPolicy:
        kept.append(model)
        return export(model, *rest)

    monkeypatch.setattr("policies.train.ppo.export", keeping)
    policy = train_ppo(SCENARIO, WORLDS, seed=1, settings=SMALL)
    features = np.random.default_rng(0).normal(policy.centre, 3 * policy.scale, (50, 8, len(policy.centre)))
    seen = np.clip((features - policy.centre) / policy.scale, -5, 5).astype(np.float32)
    action, _ = kept[0].predict(seen.reshape(400, -1), deterministic=True)
    ours = np.clip(policy.latent(features), -1.0, 1.0).reshape(-1)
    np.testing.assert_allclose(ours, action[:, 0], atol=1e-5)


def test_rows_are_products_with_their_own_profit() -> None:
    runs, twin = (Runs(SCENARIO, WORLDS, 3, "latent") for _ in range(2))
    centre, scale = standards(twin, SEEDS, np.random.default_rng(0))
    rows = ProductRows(runs, SEEDS, 1, centre, scale)
    seen = rows.reset()
    twin.begin(SEEDS, 1)
    assert seen.shape == (24, len(centre))
    latent = np.random.default_rng(1).uniform(-1, 1, (24, 1)).astype(np.float32)
    for t in range(6):
        _, reward, done, _ = rows.step(latent)
        period = twin.advance(latent.reshape(3, 8))
        expected = period.sale.profit / (reward_scale(SCENARIO) * 6)
        np.testing.assert_allclose(reward, expected.reshape(-1), rtol=1e-6)
        assert done.all() == (t == 5)
    assert rows.episode == 2
    assert (np.abs(seen) <= 5).all()
    for call in (lambda: rows.set_attr("x", 1), lambda: rows.env_method("x")):
        with pytest.raises(UsageError, match="rows of one batch"):
            call()
    assert rows.get_attr("episode", [0, 1]) == [2, 2]


def test_it_learns_and_decides_for_products_that_it_never_saw() -> None:
    scenario, model = toy_scenario(24, 6, horizon=8, stock_periods=6.0)
    worlds = sample_worlds(model, scenario.catalogue, 32)
    known, new = np.arange(12), np.arange(12, 24)
    how = PPOSettings(copies=16, rollouts=25, hidden=(32,), batch_size=768, learning_rate=3e-3)
    policy = train_ppo(scenario.take(known), worlds_of(worlds, known), seed=0, settings=how)
    held_out = worlds_of(sample_worlds(model, scenario.catalogue, 6, first=1000), new)
    rest = scenario.take(new)
    check_policy(policy, *opening(rest, 2))
    plan = Plan(rest, held_out, seeds=1, seed=0, fingerprint="toy")
    keep, learned = roll_out(plan, (Incumbent(), policy), InProcess())
    assert learned.total.mean() > 1.05 * keep.total.mean()


def test_settings_that_make_no_training_are_refused() -> None:
    with pytest.raises(UsageError, match="1 or more"):
        PPOSettings(copies=0)
    scenario, model = toy_scenario(1, 0, horizon=1)
    worlds = sample_worlds(model, scenario.catalogue, 1)
    with pytest.raises(UsageError, match="one row"):
        train_ppo(scenario, worlds, seed=0, settings=PPOSettings(copies=1))


def test_a_diverged_network_is_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "policies.train.ppo._rollout",
        lambda model, *_: (model.policy.action_net.bias.data.fill_(np.nan).isnan().sum().item(), 0.0),
    )
    with pytest.raises(ArtifactError, match="diverged"):
        train_ppo(SCENARIO, WORLDS, seed=1, settings=SMALL)
