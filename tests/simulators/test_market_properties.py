"""What holds of any market: units come from somewhere, profit adds up, copies do not see each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats, Ints
from pricing.catalogue import Catalogue
from pricing.demand import Conditions
from simulators.market import Market, Sale, Worlds, sample_worlds
from simulators.worlds import toy_shop

SERIES, PERIODS = 4, 5


def _problem(seed: int, *, tracked: bool) -> tuple[Catalogue, Worlds]:
    """A toy shop with scarce or unlimited stock, where a tenth of the units comes back."""
    plain, model = toy_shop(SERIES, seed, stock_periods=2.0 if tracked else None)
    shop = replace(
        plain, return_rate=np.full(SERIES, 0.1), fee_unit=np.full(SERIES, 3), fee_share=np.full(SERIES, 0.05)
    )
    return shop, sample_worlds(model, shop, 3, gain=-0.2, loss=-0.6)


def _history(own: Market, prices: Ints, arrivals: Floats, streams: Ints) -> list[Sale]:
    """Sell every period: prices [T, B, N], arrivals [T, N], the plan of the second period at 20 % off."""
    noise, state, sales = own.noise(3, streams, len(prices)), own.open(), list[Sale]()
    for t, price in enumerate(prices):
        plain = Conditions.plain(SERIES)
        plan = replace(plain, depth=np.full(SERIES, np.log(0.8))) if t == 1 else plain
        sales.append(own.sell(state, price, plan, noise.at(t), arrivals[t]))
        state = sales[-1].state
    return sales


def _prices(rng: np.random.Generator, shop: Catalogue, copies: int) -> Ints:
    now = shop.price.astype(np.float64)
    out: Ints = np.rint(now * rng.uniform(0.7, 1.4, (PERIODS, copies, SERIES))).astype(np.int64)
    return out


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=20, deadline=None)
def test_units_and_profits_add_up(seed: int, tracked: bool) -> None:
    shop, worlds = _problem(seed % 7, tracked=tracked)
    rng = np.random.default_rng(seed)
    own = Market(shop, worlds, np.array([0, 1, 2, 1]))
    prices, arrivals = _prices(rng, shop, 4), rng.integers(0, 9, (PERIODS, SERIES)).astype(np.float64)
    sales = _history(own, prices, arrivals, np.array([1, 2, 3, 2]))
    before = own.open()
    for t, sale in enumerate(sales):
        assert (sale.sold <= sale.demanded).all()
        assert (sale.sold >= 0.0).all()
        assert (sale.sold == np.floor(sale.sold)).all()
        assert (sale.state.stock >= 0.0).all()
        np.testing.assert_array_equal(sale.shelf, np.rint(prices[t] * (0.8 if t == 1 else 1.0)))
        # Net profit of a unit by the shop's own figures, at the unrounded shelf price.
        shelf = prices[t] * (0.8 if t == 1 else 1.0)
        unit = 0.9 * (shelf * (shop.net_share - shop.fee_share * shop.gross_share) - shop.unit_cost - 3)
        np.testing.assert_allclose(sale.profit, sale.sold * unit, rtol=1e-9, atol=1e-6)
        np.testing.assert_array_equal(sale.state.price, prices[t])
        np.testing.assert_array_equal(sale.state.recent[..., 1:], before.recent[..., :-1])
        before = sale.state
    if tracked:
        sold = sum(sale.sold for sale in sales)
        np.testing.assert_allclose(sales[-1].state.stock, shop.stock + arrivals.sum(axis=0) - sold)
    else:
        assert np.isinf(sales[-1].state.stock).all()
        assert all((sale.sold == sale.demanded).all() for sale in sales)
    # Copies 1 and 3 share world and stream: they differ by their prices alone.
    cheaper = prices[0, 1] <= prices[0, 3]
    assert (sales[0].demanded[1] >= sales[0].demanded[3])[cheaper].all()


@given(st.integers(0, 10**6), st.permutations(range(5)))
@settings(max_examples=15, deadline=None)
def test_a_copy_does_the_same_at_any_place_in_any_batch(seed: int, order: list[int]) -> None:
    shop, worlds = _problem(seed % 5, tracked=True)
    rng = np.random.default_rng(seed)
    world, streams, prices = np.array([0, 1, 2, 0, 1]), np.arange(5) + seed, _prices(rng, shop, 5)
    none = np.zeros((PERIODS, SERIES))
    whole = _history(Market(shop, worlds, world), prices, none, streams)
    place = np.array(order)
    mixed = _history(Market(shop, worlds, world[place]), prices[:, place], none, streams[place])
    alone = _history(Market(shop, worlds, world[2:3]), prices[:, 2:3], none, streams[2:3])
    for one, other, single in zip(whole, mixed, alone, strict=True):
        for name in ("demanded", "sold", "profit", "shelf"):
            np.testing.assert_array_equal(getattr(one, name)[place], getattr(other, name))
            np.testing.assert_array_equal(getattr(one, name)[2:3], getattr(single, name))
        np.testing.assert_array_equal(one.state.reference[place], other.state.reference)


def test_a_worlds_mean_units_are_those_of_its_own_parameters() -> None:
    """Over many streams sales average to the world's own expectation, which differs between worlds."""
    shop, worlds = _problem(1, tracked=False)
    copies = 4000
    own = Market(shop, worlds, np.repeat([0, 2], copies))
    state, plan = own.open(), Conditions.plain(SERIES)
    drawn = own.sell(state, state.price, plan, own.noise(0, np.arange(2 * copies), 1).at(0)).sold
    expected = own.sell(state, state.price, plan).sold[[0, copies]]
    found = drawn.reshape(2, copies, SERIES)
    error = found.std(axis=1) / np.sqrt(copies)
    assert (np.abs(found.mean(axis=1) - expected) < 4.5 * error).all()
    assert (np.abs(expected[0] - expected[1]) > 4.5 * error.max(axis=0)).any()
