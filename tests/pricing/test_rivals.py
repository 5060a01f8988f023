"""Rivals: indices by hand, the transpose by its definition, and what a price does to the others' profit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats, Ints
from pricing.demand import Conditions, spilled
from pricing.model import COEFFICIENTS, DISCOUNT, deal_signal
from pricing.rivals import Rivals
from simulators.market import Market, Worlds
from tests.pricing.small_shop import beliefs, catalogue
from tests.pricing.test_archive import model

_SEEDS = st.integers(0, 10**6)


def _random(seed: int) -> tuple[np.random.Generator, Rivals]:
    """Up to nine series in up to four groups, some without any, some with rivals that are not listed."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 10))
    group = rng.integers(-1, 4, count)
    whole = Rivals.of(group, rng.uniform(0.1, 20.0, count)).at(rng.normal(0.0, 0.2, count))
    if rng.random() < 0.5:
        return rng, whole
    return rng, whole.take(rng.permutation(count)[: int(rng.integers(1, count + 1))])


def test_the_index_is_the_weighted_mean_of_the_others() -> None:
    rivals = Rivals.of(np.array([0, 0, 0]), np.array([1.0, 2.0, 3.0]))
    found = rivals.index(np.array([0.1, 0.2, -0.3]))
    np.testing.assert_allclose(found, [(0.4 - 0.9) / 5.0, (0.1 - 0.9) / 4.0, (0.1 + 0.4) / 3.0])
    batch = np.array([[0.1, 0.2, -0.3], [0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
    last = np.array([0.0, 0.3 / 4.0, 0.3 / 3.0])
    np.testing.assert_allclose(rivals.index(batch), np.stack([found, np.zeros(3), last]))


def test_whoever_is_alone_has_no_rival_price_and_groups_do_not_mix() -> None:
    """Two pairs, one series alone in its group and two without a group, which are no rivals of each other."""
    rivals = Rivals.of(np.array([7, -1, 2, 7, -1, 2, 5]), np.array([1.0, 4.0, 3.0, 2.0, 4.0, 0.5, 9.0]))
    log_price = np.array([0.1, 0.5, -0.2, 0.4, 0.6, 0.3, 0.7])
    np.testing.assert_allclose(rivals.index(log_price), [0.4, 0.0, 0.3, 0.1, 0.0, -0.2, 0.0], atol=1e-15)
    for nobody in (Rivals.none(3), Rivals.of(np.array([0, 1, -1]), np.array([0.1, 0.3, 1e9]))):
        assert not nobody.any
        assert nobody.index(np.ones((2, 3))).tolist() == [[0.0] * 3] * 2
        assert nobody.spread(np.ones(3)).tolist() == [0.0] * 3


def test_rivals_that_sold_nothing_weigh_nothing() -> None:
    rivals = Rivals.of(np.array([0, 0, 0]), np.array([2.0, 0.0, 3.0]))
    np.testing.assert_allclose(rivals.index(np.array([0.1, 0.9, 0.2])), [0.2, 0.8 / 5.0, 0.1])
    only = Rivals.of(np.array([0, 0]), np.array([2.0, 0.0]))
    np.testing.assert_allclose(only.index(np.array([0.1, 0.9])), [0.0, 0.1])


@settings(max_examples=150, deadline=None)
@given(_SEEDS)
def test_spread_is_the_transpose_of_index(seed: int) -> None:
    rng, rivals = _random(seed)
    slope, x = rng.normal(size=(2, 3, len(rivals)))
    moved = rivals.index(x) - rivals.index(np.zeros(len(rivals)))
    assert (rivals.spread(slope) * x).sum() == pytest.approx((slope * moved).sum(), rel=1e-10, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(_SEEDS)
def test_those_who_are_taken_meet_the_same_rivals(seed: int) -> None:
    """The others stay at the prices in force, whether they are listed or not; a second taking adds to it."""
    rng, rivals = _random(seed)
    count = len(rivals)
    some = rng.permutation(count)[: int(rng.integers(1, count + 1))]
    x = np.tile(rivals.standing, (2, 1))
    x[:, some] = rng.normal(0.0, 0.3, (2, len(some)))
    part = rivals.take(some)
    np.testing.assert_allclose(part.index(x[:, some]), rivals.index(x)[:, some], atol=1e-12)
    fewer = np.arange(len(some))[: int(rng.integers(1, len(some) + 1))]
    x[:, some] = rivals.standing[some]
    x[:, some[fewer]] = rng.normal(0.0, 0.3, (2, len(fewer)))
    twice = part.take(fewer)
    np.testing.assert_allclose(twice.index(x[:, some[fewer]]), rivals.index(x)[:, some[fewer]], atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(_SEEDS)
def test_order_and_names_of_groups_do_not_matter(seed: int) -> None:
    rng, rivals = _random(seed)
    x, slope = rng.normal(size=(2, len(rivals)))
    order = rng.permutation(len(rivals))
    turned = rivals.take(order)
    np.testing.assert_allclose(turned.index(x[order]), rivals.index(x)[order], atol=1e-13)
    np.testing.assert_allclose(turned.spread(slope[order]), rivals.spread(slope)[order], atol=1e-12)
    renamed = replace(rivals, group=np.where(rivals.group >= 0, 40 - 3 * rivals.group, -1))
    np.testing.assert_allclose(renamed.index(x), rivals.index(x), atol=1e-13)


def test_a_part_of_a_model_knows_who_else_there_was() -> None:
    """Rivals that are left out of a model stand at their reference prices, and weigh what they weighed."""
    whole = replace(
        model(4), rival_group=np.array([3, 3, -1, 3]), rival_weight=np.array([1.0, 2.0, 9.0, 3.0])
    )
    part = whole.take(np.array([3, 0]))
    np.testing.assert_allclose(part.rivals.index(np.array([0.2, -0.4])), [-0.4 / 3.0, 3.0 * 0.2 / 5.0])
    assert part.take(np.array([0])).rival_outside_weight.tolist() == [3.0]
    np.testing.assert_array_equal(type(part).from_bytes(part.to_bytes()).rival_outside_weight, [2.0, 2.0])


def test_the_signal_of_a_discount_by_hand() -> None:
    found = deal_signal(np.log([1.0, 0.99, 0.95, 0.5]))
    # 0.99 ** 50 = 0.605006, 0.95 ** 50 = 0.076945
    np.testing.assert_allclose(found, [0.0, 0.394994, 0.923055, 1.0], atol=1e-6)
    assert (np.diff(deal_signal(np.linspace(0.0, -1.0, 50))) >= 0.0).all()


def test_the_elasticity_to_a_discount_takes_the_signal_in() -> None:
    """Log units gained by 20 % off, over its log."""
    effects = np.zeros((2, len(COEFFICIENTS)))
    effects[:, COEFFICIENTS.index("depth")], effects[:, COEFFICIENTS.index("deal")] = -2.0, [0.0, 0.3]
    gained = [-2.0 * np.log(0.8), -2.0 * np.log(0.8) + 0.3 * (1.0 - 0.8**50)]
    np.testing.assert_allclose(effects @ DISCOUNT, np.array(gained) / np.log(0.8))


def _shelf(seed: int) -> tuple[Market, Rivals]:
    """Five series at prices that are not their reference prices, in a market without chance."""
    rng = np.random.default_rng(seed)
    price = rng.integers(800_000, 1_200_000, 5)
    shop = catalogue(
        price.tolist(), unit_cost=rng.integers(400_000, 700_000, 5), net_share=0.9, fee_share=0.02,
        return_rate=0.05,
    )  # fmt: skip
    d = replace(
        beliefs(shop),
        level=rng.normal(2.0, 0.5, 5),
        lag=rng.uniform(-0.2, 0.2, 5),
        rivals=rng.uniform(-0.3, 1.2, 5),
        log_reference=np.log(price) + rng.normal(0.0, 0.1, 5),
    )
    rivals = Rivals.of(np.array([0, 1, 0, 0, -1]), rng.uniform(1.0, 20.0, 5))
    rivals = rivals.at(shop.log_price - d.log_reference)
    only = {name: getattr(d, name)[None] for name in d.__dataclass_fields__}
    worlds = Worlds(type(d)(**only), np.zeros(1), np.zeros((1, 1)), np.zeros(5, dtype=np.int64), rivals)
    return Market(shop, worlds, np.zeros(1, dtype=np.int64)), rivals


def _profits(market: Market, price: Ints) -> Floats:
    state = market.open()
    return np.asarray(market.sell(state, price[None], Conditions.plain(5)).profit[0])


@pytest.mark.parametrize("seed", range(6))
def test_what_spills_over_is_the_derivative_of_the_rivals_profit(seed: int) -> None:
    """Each price is moved by a ten-thousandth both ways and the others' profit added up."""
    market, rivals = _shelf(seed)
    shop, own = market.catalogue, market.worlds.parameters
    d = type(own)(*(getattr(own, name)[0] for name in own.__dataclass_fields__))
    spill = spilled(d, rivals, shop).spill
    for i in range(5):
        step = round(1e-4 * int(shop.price[i]))
        up, down = shop.price.copy(), shop.price.copy()
        up[i], down[i] = up[i] + step, down[i] - step
        change = _profits(market, up) - _profits(market, down)
        slope = np.delete(change, i).sum() / np.log(up[i] / down[i])
        assert spill[i] == pytest.approx(slope, rel=1e-6, abs=1e-3)
    assert spill[[1, 4]].tolist() == [0.0, 0.0]
    assert (np.abs(spill[[0, 2, 3]]) > 1e4).any()


def test_without_rivals_nothing_spills_over() -> None:
    shop = catalogue((100, 200))
    d = replace(beliefs(shop), rivals=np.ones(2))
    assert spilled(d, Rivals.none(2), shop) is d


@settings(max_examples=40, deadline=None)
@given(_SEEDS)
def test_a_dearer_rival_sells_exactly_what_its_elasticity_says(seed: int) -> None:
    """In a market the price of one moves the units of another by exp(elasticity x weight x log change)."""
    rng = np.random.default_rng(seed)
    market, rivals = _shelf(seed)
    state = market.open()
    i = int(rng.integers(5))
    price = state.price.copy()
    price[0, i] = int(price[0, i] * rng.uniform(0.7, 1.4))
    before, after = (market.sell(state, p, Conditions.plain(5)).sold[0] for p in (state.price, price))
    gain = np.log(price[0, i] / state.price[0, i])
    for j in range(5):
        if j == i:
            continue
        there = (rivals.group == rivals.group[j]) & (np.arange(5) != j)
        share = rivals.weight[i] / rivals.weight[there].sum() if there[i] and rivals.group[j] >= 0 else 0.0
        ratio = np.exp(market.parameters.rivals[0, j] * share * gain)
        assert after[j] / before[j] == pytest.approx(ratio, rel=1e-12)


def test_a_shop_of_no_product_has_no_rivals() -> None:
    nobody = Rivals.none(0)
    assert not nobody.any
    assert nobody.index(np.zeros((3, 0))).shape == (3, 0)
    assert len(Rivals.of(np.zeros(2, dtype=np.int64), np.ones(2)).take(np.zeros(0, dtype=np.int64))) == 0
