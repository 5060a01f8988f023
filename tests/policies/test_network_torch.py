"""Exported networks against torch and Stable-Baselines3: random weights, depths and observations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import PPO

from envs.pricing import PricingEnv
from envs.runs import Runs
from policies.serve.artifact import from_bytes
from policies.serve.network import NetworkPolicy
from policies.train.export import export
from policies.train.rows import ProductRows, reward_scale
from pricing.directed import latent_width
from pricing.features import FEATURES, observe
from pricing.guardrails import Guardrails
from pricing.transition import State
from simulators.market import sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import opening
from tests.policies.test_network import a_network

SCENARIO, MODEL = toy_scenario(5, 2, horizon=3, stock_periods=2.5)
WORLDS = sample_worlds(MODEL, SCENARIO.catalogue, 4)
WIDE = len(FEATURES)


def _learner(hidden: tuple[int, ...], seed: int) -> PPO:
    """Return an untrained learner with weights ten times as wild as SB3's own."""
    rng = np.random.default_rng(seed)
    runs = Runs(SCENARIO, WORLDS, 2, "latent")
    rows = ProductRows(runs, np.arange(2, dtype=np.uint64), 0, np.zeros(WIDE), np.ones(WIDE))
    net = {"pi": list(hidden), "vf": [4]}
    keywords = {"net_arch": net, "activation_fn": torch.nn.Tanh}
    model = PPO("MlpPolicy", rows, n_steps=3, batch_size=30, seed=seed, device="cpu", policy_kwargs=keywords)
    with torch.no_grad():
        for tensor in model.policy.parameters():
            tensor.copy_(torch.as_tensor(rng.normal(0.0, 0.7, tuple(tensor.shape)).astype(np.float32)))
    return model


@pytest.mark.parametrize("hidden", [(), (3,), (16, 16), (5, 1, 7)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_export_is_the_network_whatever_its_shape(hidden: tuple[int, ...], seed: int) -> None:
    model, rng = _learner(hidden, seed), np.random.default_rng(seed)
    policy = export(model, np.zeros(WIDE), np.ones(WIDE), 0.1, "untrained")
    assert [w.shape for w in policy.weights] == list(zip((WIDE, *hidden), (*hidden, 1), strict=True))
    seen = rng.normal(0.0, 3.0, (400, WIDE)).clip(-5.0, 5.0).astype(np.float32)
    theirs, _ = model.predict(seen, deterministic=True)
    ours = np.clip(policy.latent(seen.astype(np.float64)), -1.0, 1.0)
    np.testing.assert_allclose(ours, theirs[:, 0], atol=3e-6)
    log_std = model.policy.state_dict()["log_std"]
    assert policy.deviation == pytest.approx(float(log_std.exp()[0]), rel=1e-6)
    back = from_bytes(policy.to_bytes())
    assert isinstance(back, NetworkPolicy)
    np.testing.assert_array_equal(
        back.latent(seen.astype(np.float64)), policy.latent(seen.astype(np.float64))
    )


def test_in_the_environment_the_export_sets_the_prices_that_sb3_would() -> None:
    """Whole episodes side by side: SB3's action steps, the exported policy's rung stands beside it."""
    model = _learner((6,), 7)
    rng = np.random.default_rng(7)
    centre, scale = rng.normal(0.0, 0.3, WIDE), rng.uniform(0.5, 1.5, WIDE)
    width = latent_width(SCENARIO.guardrails.settings)
    policy = export(model, centre, scale, width, "untrained")
    env = PricingEnv(SCENARIO, WORLDS, "latent")
    for seed in range(4):
        seen, _ = env.reset(seed=seed)
        for _ in range(3):
            standard = np.clip((seen.astype(np.float64) - centre) / scale, -5.0, 5.0).astype(np.float32)
            latent, _ = model.predict(standard, deterministic=True)
            situation, allowed = env._runs.situation, env._runs.opened.allowed
            rung = policy.choose(situation, allowed).mode()
            wanted = SCENARIO.menu.price[np.arange(5), rung[0]]
            now = situation.state.price[0]
            seen, _, _, _, info = env.step(latent[:, 0])
            moved = info["price"] != now
            np.testing.assert_array_equal(info["price"][moved], wanted[moved])
            assert moved.sum() == min((wanted != now).sum(), 2), "half of five may move"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 1.5))
def test_served_with_chance_a_rung_has_the_share_of_latents_that_reach_it(
    seed: int, deviation: float
) -> None:
    """Quantiles of the latent, each put through the deterministic map of the environment."""
    policy = a_network(seed, deviation=deviation, stochastic=True)
    situation, allowed = opening(SCENARIO)
    may = allowed & (np.random.default_rng(seed).random(allowed.shape) < 0.7)
    chances = policy.choose(situation, may).over(12)[0]
    mean = policy.latent(observe(situation, may).astype(np.float32).astype(np.float64))[0]
    z = scipy.stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    logs, now = SCENARIO.menu.log_price, np.log(SCENARIO.catalogue.price.astype(float))
    for series in range(5):
        latent = np.clip(mean[series] + deviation * z, -1.0, 1.0)
        target = now[series] + policy.width * latent
        open_ = np.flatnonzero(may[0, series])
        shares = np.zeros(12)
        if open_.size:
            nearest = open_[np.abs(logs[series, open_] - target[:, None]).argmin(axis=1)]
            shares = np.bincount(nearest, minlength=12) / 2000
        np.testing.assert_allclose(chances[series], shares, atol=2e-3)


def test_a_far_feature_counts_as_five_deviations_and_no_more() -> None:
    policy = a_network(1)
    near = policy.centre + 5.0 * policy.scale
    for factor in (1.0, 10.0, 1e6):
        far = policy.centre + 5.0 * factor * policy.scale
        assert policy.latent(far) == pytest.approx(float(policy.latent(near)))
    assert policy.latent(policy.centre + 4.0 * policy.scale) != policy.latent(near)


def test_a_product_is_priced_from_its_own_features_alone() -> None:
    """Another product's cost, stock or promotion changes nothing of this one's wish."""
    policy = replace(a_network(4), width=0.2)
    situation, allowed = opening(SCENARIO)
    before = policy.latent(observe(situation, allowed))
    shop = situation.catalogue
    cost = shop.unit_cost.copy()
    cost[3] = 1
    after = policy.latent(observe(replace(situation, catalogue=replace(shop, unit_cost=cost)), allowed))
    assert (before != after)[0].tolist() == [False, False, False, True, False]


def test_a_product_near_cost_does_not_drown_the_others() -> None:
    """Its reward counts in a twentieth of its turnover; any other's in the profit of keeping its price."""
    shop = SCENARIO.catalogue
    cost = shop.unit_cost.copy()
    cost[1] = shop.price[1]
    plain = replace(shop, unit_cost=cost, stock=np.full(5, np.inf))
    rules = Guardrails(plain, SCENARIO.menu, SCENARIO.guardrails.settings)
    scenario = replace(SCENARIO, guardrails=rules)
    units = np.exp(scenario.situation(State.start(plain, 1), 0).log_units_now[0])
    expected = units * (plain.price - cost)
    expected[1] = 0.05 * units[1] * plain.price[1]
    np.testing.assert_allclose(reward_scale(scenario), expected)
