from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pricing.arrays import Floats, Ints
from pricing.catalogue import Catalogue
from pricing.demand import Conditions
from pricing.errors import DataError
from pricing.rivals import Rivals
from pricing.transition import State, step
from simulators.market import Market, Noise, Worlds, sample_worlds
from simulators.worlds import toy_shop
from tests.pricing.small_shop import beliefs, catalogue


def market(shop: Catalogue, copies: int = 1, **changes: Any) -> Market:
    """One world: 10 units at the price in force, elasticity -2, no shocks unless told."""
    d = beliefs(shop)
    own = {name: np.asarray(getattr(d, name))[None] for name in d.__dataclass_fields__}
    for name in own.keys() & changes.keys():
        own[name] = np.broadcast_to(np.asarray(changes[name], dtype=np.float64), own[name].shape)
    shocks = changes.get("shocks", (0.0, 0.0, 0.0))
    worlds = Worlds(
        parameters=type(d)(**own),
        period_shock_sd=np.array([shocks[0]]),
        category_shock_sd=np.array([shocks[1:]]),
        category=np.arange(len(shop)) % 2,
        rivals=Rivals.none(len(shop)),
    )
    return Market(shop, worlds, np.zeros(copies, dtype=np.int64))


def sell(own: Market, price: Ints, noise: Noise | None = None, state: State | None = None) -> Any:
    return own.sell(state or own.open(), price, Conditions.plain(len(own.catalogue)), noise)


def chi_square(units: Floats, mean: float, size: float) -> float:
    """P-value of units against the negative binomial, in cells of about equal expected counts."""
    law = stats.nbinom(size, size / (size + mean))
    cuts = np.unique(law.ppf(np.linspace(0.0, 1.0, 22)[1:-1]))
    below = np.append(law.cdf(cuts), 1.0)
    expected = np.diff(below, prepend=0.0) * len(units)
    observed = np.bincount(np.searchsorted(cuts, units), minlength=len(expected))
    keep = expected > 5.0
    merged = (
        np.append(expected[keep], expected[~keep].sum()),
        np.append(observed[keep], observed[~keep].sum()),
    )
    cells = merged[0] > 0.0
    return float(stats.chisquare(merged[1][cells], merged[0][cells]).pvalue)


@pytest.mark.parametrize("size", [0.4, 8.0])
def test_units_are_negative_binomial_from_thousandths_to_hundred_thousands(size: float) -> None:
    means, each, periods = np.array([1e-3, 0.7, 4.0, 30.0, 1e5]), 80, 400
    own = market(catalogue([100] * 5 * each), level=np.repeat(np.log(means), each), dispersion=size)
    noise, price = own.noise(7, np.array([3]), periods), own.open().price
    units = np.stack([sell(own, price, noise.at(t)).demanded[0] for t in range(periods)])
    for place, mean in enumerate(means):
        drawn = units[:, place * each : (place + 1) * each].ravel()
        assert chi_square(drawn, mean, size) > 1e-3
        if mean > 1.0:
            assert chi_square(drawn, mean, size * 1.3) < 1e-6
    rare = units[:, :each]
    assert abs((rare > 0).sum() - 32.0) < 4.0 * np.sqrt(32.0)


def test_shocks_have_mean_one_and_are_shared() -> None:
    own = market(catalogue([100] * 4), dispersion=1e12, shocks=(0.3, 0.2, 0.5))
    factor = own.noise(5, np.array([1]), 40_000).factor[:, 0]
    np.testing.assert_allclose(factor[:, 0], factor[:, 2], rtol=1e-4)
    assert (
        abs(np.corrcoef(np.log(factor[:, 0]), np.log(factor[:, 1]))[0, 1] - 0.09 / np.sqrt(0.13 * 0.34))
        < 0.02
    )
    np.testing.assert_allclose(factor.mean(axis=0), 1.0, atol=4.0 * np.sqrt(np.expm1(0.34) / 40_000))
    np.testing.assert_allclose(np.log(factor).var(axis=0), [0.13, 0.34, 0.13, 0.34], rtol=0.05)


def test_noise_of_a_stream_depends_on_nothing_else() -> None:
    shop, model = toy_shop(6, 3)
    worlds = sample_worlds(model, shop, 2)
    many = Market(shop, worlds, np.array([0, 1, 1])).noise(9, np.array([4, 2**62, 5]), 12)
    alone = Market(shop, worlds, np.array([1])).noise(9, np.array([2**62]), 12)
    longer = Market(shop, worlds, np.array([1])).noise(9, np.array([5]), 30)
    np.testing.assert_array_equal(many.factor[:, 1], alone.factor[:, 0])
    np.testing.assert_array_equal(many.score[:, 1], alone.score[:, 0])
    np.testing.assert_array_equal(many.factor[:, 2], longer.factor[:12, 0])
    np.testing.assert_array_equal(many.score[:, 2], longer.score[:12, 0])
    other = Market(shop, worlds, np.array([1])).noise(10, np.array([5]), 12)
    assert not np.isclose(other.score, longer.score[:12]).any()
    assert not np.isclose(many.score[:, 1], many.score[:, 2]).any()


def test_streams_and_their_parts_are_uncorrelated() -> None:
    own = market(catalogue([100] * 50), copies=40)
    noise = own.noise(0, np.arange(40), 20)
    score = noise.score.swapaxes(0, 1).reshape(40, -1)
    gamma = noise.factor.swapaxes(0, 1).reshape(40, -1)
    off = np.corrcoef(np.concatenate([score, gamma]))[np.triu_indices(80, 1)]
    assert np.abs(off).max() < 5.0 / np.sqrt(1000)


def test_policies_are_compared_under_the_same_chance() -> None:
    own = market(catalogue([100] * 30), copies=2, shocks=(0.2, 0.1, 0.1))
    noise = own.noise(1, np.array([8, 8]), 1).at(0)
    price = np.array([[100] * 30, [90] * 30])
    sale = sell(own, price, noise)
    assert (sale.demanded[1] >= sale.demanded[0]).all()
    assert (sale.demanded[1] > sale.demanded[0]).any()
    same = sell(own, np.full((2, 30), 95), noise)
    np.testing.assert_array_equal(same.demanded[0], same.demanded[1])
    lift = (sale.demanded[1] - sale.demanded[0]).std() / sale.demanded[0].std()
    assert lift < 0.7, "paired differences vary less than the units themselves"


@given(st.integers(0, 2**32), st.lists(st.floats(0.0, 30.0), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_sales_stop_at_the_stock_and_stock_is_never_negative(seed: int, stock: list[float]) -> None:
    own = market(catalogue([100] * 3, stock=stock))
    state, noise = own.open(), own.noise(seed, np.array([0]), 6)
    rng = np.random.default_rng(seed)
    for t in range(6):
        sale = sell(own, rng.integers(80, 121, (1, 3)), noise.at(t), state)
        assert (sale.sold <= np.minimum(state.stock, sale.demanded)).all()
        assert (sale.sold == np.floor(sale.sold)).all()
        np.testing.assert_array_equal(sale.state.stock, state.stock - sale.sold)
        state = sale.state
    assert (state.stock >= 0.0).all()


def test_profit_by_hand() -> None:
    shop = catalogue(
        [200], unit_cost=100, net_share=0.8, fee_share=0.05, fee_unit=2, return_rate=0.1, stock=7.0
    )
    own = market(shop, level=np.log(10.0))
    expected = sell(own, np.array([[250]]))
    assert expected.demanded[0, 0] == pytest.approx(10.0 * (250 / 200) ** -2.0)
    assert expected.sold[0, 0] == pytest.approx(6.4)
    assert expected.profit[0, 0] == pytest.approx(6.4 * 0.9 * (250 * (0.8 - 0.05) - 102))
    assert expected.state.stock[0, 0] == pytest.approx(0.6)
    scarce = sell(own, np.array([[200]]), Noise(np.array([[1.0]]), np.array([[0.0]])))
    assert scarce.demanded[0, 0] == 10.0
    assert scarce.sold[0, 0] == 7.0
    assert scarce.profit[0, 0] == pytest.approx(7 * 0.9 * (200 * 0.75 - 102))


def test_without_noise_a_sale_is_the_kernels_step() -> None:
    shop, model = toy_shop(5, 1, stock_periods=2.0)
    own = Market(shop, sample_worlds(model, shop, 3, gain=-0.4, loss=-0.9), np.array([2, 0, 1]))
    state = own.open()
    price = state.price + np.array([-10, 0, 10, 20, -20])
    plan = replace(Conditions.plain(5), depth=np.array([0.0, -0.1, 0.0, -0.2, 0.0]))
    sale = own.sell(state, price, plan, received=3.0)
    moved = step(
        own.parameters, shop, np.log(price), state.stock, state.reference, state.lag, plan, own.worlds.memory
    )
    np.testing.assert_array_equal(sale.sold, moved.sold)
    np.testing.assert_array_equal(sale.profit, moved.profit)
    np.testing.assert_array_equal(sale.state.reference, moved.reference)
    np.testing.assert_array_equal(sale.state.lag, moved.lag)
    np.testing.assert_array_equal(sale.state.stock, state.stock - moved.sold + 3.0)
    np.testing.assert_array_equal(sale.shelf, np.rint(price * np.exp(plan.depth)).astype(np.int64))
    np.testing.assert_array_equal(sale.state.recent[..., 0], sale.shelf)
    assert (sale.state.since_change[:, [0, 2, 3, 4]] == 0).all()
    assert (sale.state.since_change[:, 1] == state.since_change[:, 1] + 1).all()


def test_chance_averages_to_the_expectation() -> None:
    own = market(catalogue([100] * 200), shocks=(0.1, 0.1, 0.1))
    noise, price = own.noise(2, np.array([0]), 200), own.open().price
    drawn = np.array([sell(own, price, noise.at(t)).profit.sum() for t in range(200)])
    assert abs(drawn.mean() - sell(own, price).profit.sum()) < 4.0 * drawn.std() / np.sqrt(200)


def test_held_out_worlds_are_other_draws() -> None:
    shop, model = toy_shop(4, 2)
    worlds = sample_worlds(model, shop, 6)
    later = sample_worlds(model, shop, 2, first=4)
    np.testing.assert_array_equal(worlds.take(np.array([4, 5])).parameters.regular, later.parameters.regular)
    assert len(later) == 2
    assert not np.isclose(worlds.parameters.regular[0], later.parameters.regular[0]).any()
    few = shop.take(np.array([3, 1]))
    np.testing.assert_array_equal(
        sample_worlds(model, few, 6).parameters.level, worlds.parameters.level[:, [3, 1]]
    )
    assert (worlds.parameters.gain == 0.0).all()


def test_a_world_without_dispersion_is_refused() -> None:
    with pytest.raises(DataError, match="dispersion"):
        market(catalogue([100]), dispersion=0.0)
