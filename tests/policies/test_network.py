from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.serve.network import NetworkPolicy, cell_mass
from pricing.arrays import Floats
from pricing.directed import Directed, latent_target
from pricing.errors import ArtifactError
from pricing.features import FEATURES, observe
from pricing.transition import State
from simulators.worlds import toy_scenario
from tests.policies.support import opening


def a_network(seed: int = 0, **how: Any) -> NetworkPolicy:
    rng, wide = np.random.default_rng(seed), len(FEATURES)
    plain = NetworkPolicy(
        features=tuple(feature.name for feature in FEATURES),
        centre=rng.normal(size=wide), scale=rng.uniform(0.5, 2.0, wide),
        weights=(rng.normal(size=(wide, 6)), rng.normal(size=(6, 1))),
        biases=(rng.normal(size=6), np.zeros(1)),
        width=0.1, deviation=0.4,
    )  # fmt: skip
    return replace(plain, **how)


def test_cell_masses_by_hand() -> None:
    # rungs at latents -0.5, 0, 0.5 of which the middle one is shut: the cells meet at 0
    places, mean = np.array([[[-0.5, 0.0, 0.5]]]), np.array([[0.2]])
    mass = cell_mass(places, np.array([[[True, False, True]]]), mean, 0.4)
    low = scipy.stats.norm.cdf(0.0, 0.2, 0.4)
    np.testing.assert_allclose(mass[0, 0], [low, 0.0, 1.0 - low], rtol=1e-12)
    assert not cell_mass(places, np.zeros((1, 1, 3), dtype=np.bool_), mean, 0.4).any()


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.floats(0.05, 1.0), min_size=5, max_size=5),
    start=st.floats(-3.0, 1.0),
    open_=st.lists(st.booleans(), min_size=5, max_size=5),
    mean=st.floats(-2.0, 2.0),
    deviation=st.floats(0.1, 1.5),
)
def test_cell_masses_are_those_of_clipped_latents(
    gaps: list[float], start: float, open_: list[bool], mean: float, deviation: float
) -> None:
    places = (start + np.cumsum(gaps))[None, None]
    allowed = np.array(open_)[None, None]
    mass = cell_mass(places, allowed, np.array([[mean]]), deviation)[0, 0]
    z = scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    latents = np.clip(mean + deviation * z, -1.0, 1.0)
    if not allowed.any():
        assert not mass.any()
        return
    distance = np.where(allowed[0, 0], np.abs(places[0, 0] - latents[:, None]), np.inf)
    shares = np.bincount(np.argmin(distance, axis=1), minlength=5) / 4000
    np.testing.assert_allclose(mass, shares, atol=2e-3)
    assert mass.sum() == pytest.approx(1.0)
    assert (mass >= 0.0).all()


def test_the_order_and_the_number_of_products_do_not_matter() -> None:
    scenario, _ = toy_scenario(9, 3, horizon=4, stock_periods=3.0)
    turned = np.array([4, 0, 8, 2])
    for policy in (a_network(), a_network(stochastic=True)):
        chosen = policy.choose(*opening(scenario, 2)).over(12)
        again = policy.choose(*opening(scenario.take(turned), 2)).over(12)
        np.testing.assert_array_equal(again, chosen[:, turned])


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7, 27, 63, 64, 65, 130, 1000])
def test_a_row_is_worth_the_same_alone_and_among_any_number(rows: int) -> None:
    policy = a_network()
    features = np.random.default_rng(rows).normal(size=(1, rows, len(policy.features)))
    together = policy.latent(features)
    apart = np.array([policy.latent(features[:, [row]])[0, 0] for row in range(rows)])
    np.testing.assert_array_equal(together[0], apart)
    np.testing.assert_array_equal(policy.latent(features[:, ::-1])[0, ::-1], apart)
    np.testing.assert_array_equal(policy.latent(features.reshape(rows, 1, -1))[:, 0], apart)


def test_the_price_is_the_one_that_the_environment_would_set() -> None:
    scenario, _ = toy_scenario(9, 3, horizon=4)
    policy = a_network(1)
    situation, allowed = opening(scenario)
    seen = observe(situation, allowed).astype(np.float32).astype(np.float64)
    latent: Floats = np.clip(policy.latent(seen), -1.0, 1.0)
    asked = Directed(latent_target(situation, latent, policy.width)).choose(situation, allowed)
    np.testing.assert_array_equal(policy.choose(situation, allowed).mode(), asked.mode())


def test_a_narrow_normal_is_the_deterministic_choice() -> None:
    scenario, _ = toy_scenario(9, 5, horizon=4)
    situation, allowed = opening(scenario)
    sure = a_network(2).choose(situation, allowed).mode()
    narrow = a_network(2, stochastic=True, deviation=1e-9).choose(situation, allowed)
    np.testing.assert_array_equal(narrow.mode(), sure)
    assert narrow.over(0).max(axis=-1).min() == pytest.approx(1.0)


def test_layers_and_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArtifactError, match="layers"):
        a_network(biases=(np.zeros(5), np.zeros(1)))
    with pytest.raises(ArtifactError, match="layers"):
        a_network(deviation=0.0)
    names = tuple(feature.name for feature in FEATURES)
    with pytest.raises(ArtifactError, match="other features"):
        a_network(features=(*names[:-1], "age"))


def test_a_blocked_product_gets_no_price() -> None:
    scenario, _ = toy_scenario(4, 5, horizon=4)
    situation = scenario.situation(State.start(scenario.catalogue, 1), 0)
    shut = np.zeros((1, 4, 12), dtype=np.bool_)
    assert (a_network().choose(situation, shut).mode() == -1).all()
    assert not a_network(stochastic=True).choose(situation, shut).over(12).any()
