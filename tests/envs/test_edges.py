"""Environments at their edges: odd actions and seeds, one of everything, nothing allowed, rules replayed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envs.pricing import PricingEnv, PricingVectorEnv
from envs.registration import PRICING
from envs.runs import Runs
from pricing.demand import Conditions
from pricing.errors import UsageError
from pricing.features import FEATURES
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings, Menu
from pricing.scenario import Scenario
from simulators.market import Worlds, sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import FREE, a_scenario, certain_world
from tests.pricing import brute_force, random_shops

Problem = tuple[Scenario, Worlds]
_PLACE = {feature.name: place for place, feature in enumerate(FEATURES)}


def _toy(series: int = 3, horizon: int = 4, **how: Any) -> Problem:
    scenario, model = toy_scenario(series, 7, horizon=horizon, **how)
    return scenario, sample_worlds(model, scenario.catalogue, 4)


TOY = _toy()


@pytest.mark.parametrize(
    ("action", "taken", "message"),
    [
        ("index", np.array([1.0, 2.0, 3.0]), "whole numbers"),
        ("index", np.array([1.5, 2.0, 3.0]), "whole numbers"),
        ("index", np.array([np.nan, 2.0, 3.0]), "whole numbers"),
        ("index", np.array([True, False, True]), "whole numbers"),
        ("index", np.array(["1", "2", "3"]), "whole numbers"),
        ("index", np.array([None, 1, 2]), "whole numbers"),
        ("index", np.array([1 + 0j, 2, 3]), "whole numbers"),
        ("index", np.array([2**64 - 1, 0, 0], dtype=np.uint64), "outside 0 to 11"),
        ("index", np.array([-(2**63), 0, 0]), "outside 0 to 11"),
        ("index", np.array([0, 0, 12]), "outside 0 to 11"),
        ("index", np.zeros((1, 3), dtype=np.int64), "shape"),
        ("index", np.int64(3), "shape"),
        ("index", np.zeros(0, dtype=np.int64), "shape"),
        ("latent", np.array([np.inf, 0.0, 0.0]), "not finite"),
        ("latent", np.array([0.0, -np.inf, 0.0]), "not finite"),
        ("latent", np.array(["0", "0", "0"]), "numbers"),
        ("latent", np.array([None, 0.0, 0.0]), "numbers"),
        ("latent", np.array([1j, 0, 0]), "numbers"),
        ("latent", np.zeros((3, 1)), "shape"),
    ],
)
def test_an_action_that_is_none_is_refused_and_changes_nothing(action: str, taken: Any, message: str) -> None:
    env, twin = (PricingEnv(*TOY, action) for _ in range(2))
    env.reset(seed=1)
    twin.reset(seed=1)
    with pytest.raises(UsageError, match=message):
        env.step(taken)
    keep = np.zeros(3, dtype=np.float32 if action == "latent" else np.int64)
    ours, theirs = env.step(keep), twin.step(keep)
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[1] == theirs[1]


@pytest.mark.parametrize("kind", ["i1", "u1", "i4", "u8"])
def test_whole_numbers_of_any_width_are_rungs(kind: str) -> None:
    env, twin = (PricingEnv(*TOY) for _ in range(2))
    env.reset(seed=2)
    twin.reset(seed=2)
    taken = np.array([3, 11, 0])
    assert env.step(taken.astype(kind))[1] == twin.step(taken)[1]


def test_a_latent_beyond_its_box_asks_for_the_end_of_the_corridor() -> None:
    far, end = (PricingEnv(*_toy(settings=FREE), "latent") for _ in range(2))
    for value in (1.0, -1.0):
        far.reset(seed=0)
        end.reset(seed=0)
        beyond = far.step(np.full(3, value * 1e30))[4]["price"]
        menu = TOY[0].menu
        assert beyond.shape == menu.price[:, 0].shape
        assert (np.sign(beyond - end.step(np.full(3, value))[4]["price"]) != -value).all()


@pytest.mark.parametrize("seed", [-1, 2**64, 2**70])
def test_seeds_that_no_counter_holds_are_refused(seed: int) -> None:
    batch = PricingVectorEnv(2, *TOY)
    with pytest.raises(UsageError, match="not a number from 0"):
        batch.reset(seed=[0, seed])
    refused: tuple[type[Exception], ...] = (UsageError, gymnasium.error.Error)
    for env in (PricingEnv(*TOY), batch):
        with pytest.raises(refused):
            env.reset(seed=seed)
    with pytest.raises(UsageError, match="from 0"):
        batch.reset(seed=2**64 - 1)  # the second copy would have 2**64


def test_the_largest_seed_is_one() -> None:
    """Copy b of a batch has seed s + b also where 63 bits end."""
    last = 2**64 - 2
    batch = PricingVectorEnv(2, *TOY)
    batch.reset(seed=last)
    rungs = np.array([5, 6, 7])
    rewards = batch.step(np.tile(rungs, (2, 1)))[1]
    for copy in range(2):
        alone = PricingEnv(*TOY)
        alone.reset(seed=last + copy)
        assert alone.step(rungs)[1] == rewards[copy]


def test_without_a_seed_episodes_differ_and_options_are_read_by_nobody() -> None:
    one, two = PricingEnv(*TOY), PricingEnv(*TOY)
    one.reset(seed=5)
    two.reset(seed=5, options={"world": 3, "reset_mask": np.array([True])})
    rung = TOY[0].menu.index_of(TOY[0].catalogue.price)
    first = [env.step(rung)[1] for env in (one, two)]
    assert first[0] == first[1]
    one.reset()
    two.reset()
    again = [env.step(rung)[1] for env in (one, two)]
    assert again[0] == again[1] != first[0]
    one.reset(seed=5)
    assert one.step(rung)[1] == first[0]
    fresh = [PricingEnv(*TOY) for _ in range(2)]
    for env in fresh:
        env.reset()
    assert fresh[0].step(rung)[1] != fresh[1].step(rung)[1]


@pytest.mark.parametrize("env", [PricingEnv(*TOY), PricingVectorEnv(2, *TOY)])
def test_a_step_before_any_reset_says_so(env: Any) -> None:
    with pytest.raises(UsageError, match="reset"):
        env.step(np.zeros(env.action_space.shape or (), dtype=np.int64))


@pytest.mark.parametrize("action", ["index", "latent"])
@pytest.mark.parametrize(("series", "horizon"), [(1, 1), (1, 3), (5, 1)])
def test_one_of_everything_passes_gymnasiums_checker(series: int, horizon: int, action: str) -> None:
    if horizon > 1:  # it wants to see a step after which an episode goes on
        check_env(PricingEnv(*_toy(series, horizon), action), skip_render_check=True)
    batch = PricingVectorEnv(3, *_toy(series, horizon), action)
    batch.reset(seed=1)
    for period in range(2 * horizon):
        seen, reward, terminated, truncated, info = batch.step(np.zeros((3, series), dtype=np.int64))
        assert batch.observation_space.contains(seen)
        assert reward.shape == (3,)
        assert not terminated.any()
        assert truncated.all() == (period % horizon == horizon - 1) == ("final_obs" in info)


def _one_price(*, blocked: bool) -> Problem:
    scenario, worlds = _toy()
    shop = replace(scenario.catalogue, unit_cost=scenario.catalogue.price * (3 if blocked else 0))
    rungs = shop.price[:, None]
    menu = scenario.menu if blocked else Menu.of(rungs, np.ones(rungs.shape, dtype=np.bool_))
    return replace(scenario, guardrails=Guardrails(shop, menu, FREE)), worlds


@pytest.mark.parametrize("blocked", [True, False])
@pytest.mark.parametrize("action", ["index", "latent"])
def test_where_nothing_or_one_price_is_allowed_the_price_stays(action: str, *, blocked: bool) -> None:
    scenario, worlds = _one_price(blocked=blocked)
    env = PricingEnv(scenario, worlds, action)
    seen, info = env.reset(seed=3)
    assert info["allowed"].any() == (not blocked)
    for place in ("room_down", "room_up"):
        assert (seen[:, _PLACE[place]] == 0.0).all()
    env.action_space.seed(0)
    for _ in range(4):
        seen, reward, _, _, info = env.step(env.action_space.sample())
        np.testing.assert_array_equal(info["price"], scenario.catalogue.price)
        assert np.isfinite(seen).all()
        assert (reward < 0.0) == blocked, "below cost every sale loses"


def test_a_price_of_one_minor_unit_and_a_deep_deal_stay_a_price() -> None:
    """One cent less 60 % rounds to nothing; a shelf price of nothing has no logarithm and no 30-day low."""
    scenario = a_scenario([1, 2], [0, 0], [np.inf, 9.0], np.array([[1, 2, 3], [1, 2, 4]]), 6)
    deal = replace(Conditions.plain(2), depth=np.log([0.4, 0.2]))
    scenario = replace(scenario, conditions=(deal,) * 6)
    env = PricingEnv(scenario, certain_world(scenario))
    env.reset(seed=0)
    for _ in range(6):
        seen, _, _, _, info = env.step(np.array([0, 0]))
        assert np.isfinite(seen).all()
        np.testing.assert_allclose(seen[:, _PLACE["low_gap"]], -np.log(info["price"]), atol=1e-6)
    assert (info["price"] == 1).all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.05, 0.1, 0.3]),
    st.integers(0, 2),
    st.sampled_from([1.0, 0.5, 0.0]),
    st.sampled_from([(), (5, 9)]),
)
def test_what_is_open_at_every_step_is_what_the_oracle_says(
    seed: int, change: float, wait: int, share: float, ends: tuple[int, ...]
) -> None:
    """Prices and weeks since a move are kept by this test; the guardrails are those of the brute force."""
    rules = GuardrailSettings(0.05, change, wait, share, Endings(ends, 10))
    scenario, worlds = _toy(4, 5, settings=rules)
    env = PricingEnv(scenario, worlds)
    _, info = env.reset(seed=seed)
    here = env._runs.situation
    wide = Conditions(*(getattr(here.conditions, f.name)[None] for f in fields(Conditions)))
    start = random_shops.items(replace(here, conditions=wide), 0)
    corridor = random_shops.corridor(rules)
    price, since = [item.price for item in start], [item.since_change for item in start]
    env.action_space.seed(seed)
    for _ in range(5):
        items = [
            replace(item, price=p, since_change=s) for item, p, s in zip(start, price, since, strict=True)
        ]
        for row, item, verdict in zip(
            info["allowed"], items, brute_force.admit(items, corridor), strict=True
        ):
            may = row[scenario.menu.valid[items.index(item)]]
            assert {p for p, yes in zip(item.ladder, may, strict=True) if yes} == verdict.allowed
        info = env.step(env.action_space.sample())[4]
        now = info["price"].tolist()
        since = [0 if a != b else s + 1 for a, b, s in zip(now, price, since, strict=True)]
        assert sum(a != b for a, b in zip(now, price, strict=True)) <= int(share * 4)
        price = now


def test_money_and_stock_add_up_in_plain_arithmetic() -> None:
    """Tax, fees and returns by hand; what is sold leaves the stock, what arrives comes after the sale."""
    scenario = a_scenario([1000, 2000], [300, 700], [12.0, np.inf], np.array([[900, 1000], [1800, 2000]]), 5)
    shop = replace(
        scenario.catalogue,
        net_share=np.array([1 / 1.21, 1.0]), fee_share=np.array([0.03, 0.0]),
        fee_unit=np.array([7, 0]), return_rate=np.array([0.25, 0.1]),
    )  # fmt: skip
    arriving = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 0.0], [30.0, 0.0], [0.0, 0.0]])
    rules = Guardrails(shop, scenario.menu, FREE)
    scenario = replace(scenario, guardrails=rules, receipts=arriving)
    env = PricingEnv(scenario, certain_world(scenario))
    env.reset(seed=11)
    stock, total, rewards = 12.0, 0.0, 0.0
    for t, rungs in enumerate(([1, 1], [0, 1], [0, 0], [1, 0], [0, 1])):
        _, reward, _, _, info = env.step(np.array(rungs))
        price, units, profit = info["price"], info["units"], info["profit"]
        assert units[0] <= stock
        kept = 0.75 * (price[0] / 1.21 - 300 - 7 - 0.03 * price[0])
        assert profit[0] == pytest.approx(units[0] * kept)
        assert profit[1] == pytest.approx(units[1] * 0.9 * (price[1] - 700))
        assert (units == np.floor(units)).all()
        stock += arriving[t, 0] - units[0]
        total, rewards = total + profit.sum(), rewards + reward
        assert env._runs.situation.state.stock[0, 0] == stock
    expected = 10 * 0.75 * (1000 / 1.21 - 307 - 30) + 10 * 0.9 * 1300
    assert rewards == pytest.approx(total / expected)


def test_worlds_are_drawn_evenly_and_apart_from_the_noise() -> None:
    scenario, model = toy_scenario(1, 3, horizon=1)
    runs = Runs(scenario, sample_worlds(model, scenario.catalogue, 7), 7000, "index")
    found = []
    for episode in range(2):
        runs.begin(np.arange(7000, dtype=np.uint64), episode)
        found.append(runs._market.world)
        assert stats.chisquare(np.bincount(found[-1], minlength=7)).pvalue > 1e-4
        low = runs._noise.score[0, :, 0]
        assert stats.kruskal(*(low[found[-1] == world] for world in range(7))).pvalue > 1e-4
    table = np.zeros((7, 7))
    np.add.at(table, (found[0], found[1]), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_gymnasiums_own_wrappers_fit() -> None:
    counted = RecordEpisodeStatistics(PricingVectorEnv(3, *TOY))
    counted.reset(seed=4)
    keep = np.tile(TOY[0].menu.index_of(TOY[0].catalogue.price), (3, 1))
    rewards = np.zeros(3)
    for _ in range(4):
        _, reward, _, _, info = counted.step(keep)
        rewards += reward
    np.testing.assert_allclose(info["episode"]["r"], rewards)
    assert info["episode"]["l"].tolist() == [4, 4, 4]
    flat = FlattenObservation(gymnasium.make(PRICING, scenario=TOY[0], worlds=TOY[1]))
    seen, _ = flat.reset(seed=4)
    assert seen.shape == (3 * len(FEATURES),)
    np.testing.assert_array_equal(seen, PricingEnv(*TOY).reset(seed=4)[0].reshape(-1))


def test_the_last_observation_of_an_episode_is_kept_apart_from_the_first_of_the_next() -> None:
    batch, single = PricingVectorEnv(1, *TOY), PricingEnv(*TOY)
    batch.reset(seed=8)
    single.reset(seed=8)
    keep = TOY[0].menu.index_of(TOY[0].catalogue.price)
    for period in range(8):
        seen, reward, _, truncated, info = batch.step(keep[None])
        alone, alone_reward, _, alone_truncated, alone_info = single.step(keep)
        assert (reward[0], truncated[0]) == (alone_reward, alone_truncated)
        if period % 4 < 3:
            np.testing.assert_array_equal(seen[0], alone)
            continue
        np.testing.assert_array_equal(info["final_obs"][0], alone)
        np.testing.assert_array_equal(info["final_info"]["units"][0], alone_info["units"])
        assert "units" not in info
        np.testing.assert_array_equal(seen[0], single.reset()[0])
