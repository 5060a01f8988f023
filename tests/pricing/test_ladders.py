"""Ladders against a plain-Python ladder written from the documentation, one price at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.catalogue import Catalogue
from pricing.directed import Directed, index_target, latent_target, latent_width
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings, Menu, at_rung, candidates, nearest_allowed
from tests.pricing import random_shops
from tests.pricing.small_shop import catalogue, menu, situation, standing_at


def _sellable(price: int, endings: Endings) -> bool:
    return not endings.last or price % endings.modulus in endings.last


def _nearest(wanted: float, endings: Endings) -> int:
    """Walk away from a price in both directions until one may be on a tag; the lower of equals."""
    start = math.floor(wanted)
    for away in range(3 * endings.modulus + 3):
        found = [p for p in (start - away, start + 1 + away) if p > 0 and _sellable(p, endings)]
        further = [p for p in (start - away - 1, start + 2 + away) if p > 0 and _sellable(p, endings)]
        if found:
            return min([*found, *further], key=lambda p: (abs(p - wanted), p))
    raise AssertionError(wanted)


def _check(
    rungs: list[int], shop: Catalogue, members: Sequence[int], endings: Endings, size: int, reach: float
) -> None:
    """Geometric from the least to the greatest in reach or ever seen, and the prices that must be on it.

    A step in the middle of two tags may round to either: its logarithm is rounded before it is.
    """
    low = min(min(int(shop.support_low[i]), int(shop.price[i]) * (1.0 - reach)) for i in members)
    high = max(max(int(shop.support_high[i]), int(shop.price[i]) * (1.0 + reach)) for i in members)
    low = max(low, 1.0)
    forced = {int(shop.price[i]) for i in members} | {
        int(shop.fixed_price[i] or shop.price[i]) for i in members
    }
    free = size - len(forced)
    steps = [low ** (1 - k / (free - 1)) * high ** (k / (free - 1)) for k in range(free)]
    near = [{_nearest(step * (1.0 + nudge), endings) for nudge in (-1e-12, 0.0, 1e-12)} for step in steps]
    assert rungs == sorted(set(rungs))
    assert forced <= set(rungs)
    assert all(set(rungs) & tags for tags in near), "every step has its tag"
    assert set(rungs) <= forced.union(*near), "and nothing else is on the ladder"


_ENDINGS = st.sampled_from(
    [
        Endings(),
        Endings((5, 9), 10),
        Endings((0,), 10),
        Endings((49, 99), 100),
        Endings((0, 50), 100),
        Endings((3,), 7),
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 3000),
    st.floats(0.0, 1.2),
    st.floats(1.0, 3.0),
    st.integers(3, 20),
    st.floats(0.05, 0.95),
    _ENDINGS,
)
def test_one_product(
    price: int, seen_low: float, seen_high: float, size: int, reach: float, endings: Endings
) -> None:
    low, high = min(int(price * seen_low), price), int(price * seen_high)
    shop = catalogue((price,), support_low=low, support_high=high)
    found = candidates(shop, endings, size, reach)
    rungs = found.price[0][found.valid[0]].tolist()
    _check(rungs, shop, [0], endings, size, reach)
    assert found.log_price[0].tolist() == pytest.approx([math.log(p) for p in found.price[0].tolist()])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.5))
def test_variants_share_the_widest_ladder_of_all_of_them(seed: int, reach: float) -> None:
    rng = np.random.default_rng(seed)
    shop = random_shops.catalogue(rng, int(rng.integers(2, 8)))
    endings = random_shops.settings(rng).endings
    size = 2 * int(shop.variants.size.max()) + int(rng.integers(2, 10))
    found = candidates(shop, endings, size, reach)
    for i in range(len(shop)):
        members = [int(j) for j in np.flatnonzero(shop.variant_of == shop.variant_of[i])]
        rungs = found.price[i][found.valid[i]].tolist()
        _check(rungs, shop, members, endings, size, reach)
        assert rungs[0] <= min(shop.price[j] for j in members)
        assert len(rungs) <= size


def test_what_was_seen_is_on_the_ladder_beyond_its_reach() -> None:
    """Sold at 40 and at 300 before: reach of a tenth alone would never look there."""
    found = candidates(catalogue((100,), support_low=40, support_high=300), Endings(), 8, 0.1).price[0]
    assert (found[0], found[-1]) == (40, 300)
    narrow = candidates(catalogue((100,), support_low=99, support_high=101), Endings(), 8, 0.1).price[0]
    assert (narrow[0], narrow[-1]) == (90, 110)
    cheap = candidates(catalogue((2,), support_low=0, support_high=16), Endings(), 6, 0.1)
    assert cheap.price[0].tolist() == [1, 2, 4, 8, 16, 16]  # 1, 2, 4, 8, 16: from one unit, never from none


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4))
def test_reading_rungs_is_reading_them_one_by_one(seed: int, batch: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(batch, count, 5))
    index = rng.integers(0, 5, (batch, count))
    found = at_rung(values, index)
    rungs = Menu.of(
        np.sort(rng.choice(1000, (count, 5), replace=False) + 1, axis=1), np.ones((count, 5), dtype=np.bool_)
    )
    prices = rungs.price[np.arange(count), index]
    assert (rungs.index_of(prices) == index).all()
    assert (rungs.index_of(prices + 2000) == -1).all()
    for b in range(batch):
        for n in range(count):
            assert found[b, n] == values[b, n, index[b, n]]
            assert prices[b, n] == rungs.price[n, index[b, n]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 1.0), st.sampled_from([1, 2, 30]))
def test_the_nearest_of_many_is_the_nearest_of_each(seed: int, share: float, batch: int) -> None:
    """Large batches are searched in another way than small ones: the same rungs, ties to the lower one."""
    rng = np.random.default_rng(seed)
    rungs = np.sort(rng.choice(np.arange(50, 200), (3, 6), replace=False), axis=1)
    ladders = Menu.of(rungs, np.ones(rungs.shape, dtype=np.bool_))
    allowed = rng.random((batch, 3, 6)) < share
    target = rng.uniform(3.5, 5.6, (batch, 3))
    middle = (ladders.log_price[:, 2] + ladders.log_price[:, 3]) / 2
    target = np.where(rng.random((batch, 3)) < 0.2, middle, target)
    target[rng.random((batch, 3)) < 0.1] = np.nan
    found = nearest_allowed(ladders, allowed, target)
    for b in range(batch):
        for n in range(3):
            open_ = np.flatnonzero(allowed[b, n])
            if not open_.size or math.isnan(target[b, n]):
                assert found[b, n] == -1
                continue
            logs = ladders.log_price[n]
            wanted = min(max(float(target[b, n]), float(logs[0])), float(logs[-1]))
            assert found[b, n] == min(open_.tolist(), key=lambda k: (abs(logs[k] - wanted), k))


def test_ladders_of_repeated_last_prices_are_never_overrun() -> None:
    """A short ladder repeats its last price; asking for more than it has gives its last real rung."""
    shop = catalogue((2, 100), support_low=[2, 80], support_high=[3, 120])
    ladders = candidates(shop, Endings(), 9, 0.3)
    count = ladders.valid.sum(axis=1)
    assert count[0] == 3 < count[1]
    allowed = np.broadcast_to(ladders.valid, (40, 2, 9))
    top = nearest_allowed(ladders, allowed, np.full((40, 2), np.inf))
    assert (top == count - 1).all()
    assert (ladders.price[np.arange(2), top[0]] == [3, 130]).all()


@pytest.mark.parametrize(
    ("change", "width"), [(0.1, 0.1053605), (0.5, 0.6931472), (0.9, 0.6931472), (0.0, 0.0)]
)
def test_a_latent_of_one_is_the_largest_fall(change: float, width: float) -> None:
    found = latent_width(GuardrailSettings(max_change=change))
    assert found == pytest.approx(width, abs=1e-7)
    here = standing_at(situation(catalogue((100, 100)), menu(2), batch=2), (100, 110))
    asked = np.exp(latent_target(here, np.array([[-1.0, 1.0], [0.0, 0.5]]), found))
    step = 1.0 / (1.0 - min(change, 0.5))
    np.testing.assert_allclose(asked, [[100 / step, 110 * step], [100.0, 110 * step**0.5]])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_asking_for_a_rung_gets_it_where_it_is_open_and_its_nearest_neighbour_where_not(seed: int) -> None:
    here, rules, _ = random_shops.shop(seed)
    rng = np.random.default_rng(seed)
    allowed = rules.admit(here.state, here.conditions).allowed
    wanted = rng.integers(0, here.menu.price.shape[1], here.state.price.shape)
    got = Directed(index_target(here, wanted)).choose(here, allowed).index
    assert got is not None
    open_ = np.take_along_axis(allowed, wanted[..., None], axis=-1)[..., 0]
    np.testing.assert_array_equal(got[open_], wanted[open_])
    closed = np.argwhere(~open_ & allowed.any(axis=-1))
    for run, series in closed:
        logs = here.menu.log_price[series]
        gap = np.abs(logs - logs[wanted[run, series]])
        assert allowed[run, series, got[run, series]]
        assert gap[got[run, series]] == gap[allowed[run, series]].min()
    assert (got[~allowed.any(axis=-1)] == -1).all()


def test_a_wider_corridor_never_brings_a_wish_further_away() -> None:
    """Metamorphic: with more rungs open the nearest one is at most as far as before."""
    shop = catalogue((100,))
    here = situation(shop, menu(1, tuple(range(60, 141, 4))))
    rng = np.random.default_rng(0)
    for wish in rng.uniform(np.log(50), np.log(160), 40):
        last = math.inf
        for change in (0.0, 0.05, 0.1, 0.2, 0.4):
            rules = Guardrails(replace(shop), here.menu, GuardrailSettings(max_change=change))
            allowed = rules.admit(here.state).allowed
            rung = int(nearest_allowed(here.menu, allowed, np.array([[wish]]))[0, 0])
            reached = min(max(wish, float(here.menu.log_price[0, 0])), float(here.menu.log_price[0, -1]))
            gap = abs(float(here.menu.log_price[0, rung]) - reached)
            assert gap <= last
            last = gap
