from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import SettingsError
from pricing.menu import Endings, candidates, nearest_allowed
from tests.pricing import random_shops
from tests.pricing.small_shop import catalogue, menu


@settings(deadline=None)
@given(
    st.integers(1, 300).flatmap(
        lambda m: st.tuples(st.just(m), st.sets(st.integers(0, m - 1), max_size=5), st.floats(0.5, 2000.0))
    )
)
def test_the_nearest_sellable_price_is_what_a_search_finds(case: tuple[int, set[int], float]) -> None:
    modulus, last, wanted = case
    endings = Endings(tuple(sorted(last)), modulus)
    sellable = [p for p in range(1, 3000) if not last or p % modulus in last]
    expected = min(sellable, key=lambda p: (abs(p - wanted), p))
    found = int(endings.nearest(np.array([wanted]))[0])
    assert found == expected
    assert endings.sellable(np.array([found, found + 1])).tolist() == [
        True,
        not last or (found + 1) % modulus in last,
    ]


@pytest.mark.parametrize(
    ("last", "modulus"), [((100,), 100), ((-1,), 100), ((9, 5), 10), ((5, 5), 10), ((), 0)]
)
def test_impossible_endings_are_refused(last: tuple[int, ...], modulus: int) -> None:
    with pytest.raises(SettingsError, match="Price endings"):
        Endings(last, modulus)


def test_a_ladder_by_hand() -> None:
    shop = catalogue((100,), support_low=95, support_high=105)
    assert candidates(shop, Endings((0,), 10), 5, 0.2).price.tolist() == [[80, 90, 100, 120, 120]]
    # evenly in log from 80 to 120 is 80, 91.6, 104.8, 120; rounded to tens; and the price in force


def test_duplicates_leave_a_shorter_ladder_that_repeats_its_last_price() -> None:
    ladder = candidates(catalogue((2,), support_low=2, support_high=3), Endings(), 12, 0.3)
    assert ladder.price.tolist() == [[1, 2, 3, *[3] * 9]]
    assert ladder.valid.tolist() == [[True] * 3 + [False] * 9]
    assert ladder.index_of(np.array([[3]])).tolist() == [[2]]
    assert ladder.index_of(np.array([[4]])).tolist() == [[-1]]


def test_a_price_of_one_minor_unit_has_a_ladder() -> None:
    ladder = candidates(catalogue((1,), support_low=1, support_high=1), Endings(), 3, 0.3)
    assert ladder.price[0, 0] == 1
    assert ladder.valid.sum() == 1


def test_the_price_in_force_and_a_price_fixed_by_law_are_rungs_whatever_their_ending() -> None:
    ladder = candidates(catalogue((101,), fixed_price=113, support_high=120), Endings((0,), 10), 6, 0.2)
    assert {101, 113} <= set(ladder.price[0].tolist())


@pytest.mark.parametrize("size", [2, 4])
def test_a_ladder_too_short_for_its_forced_prices_says_so(size: int) -> None:
    shop = catalogue((100, 110), variant_of=0, fixed_price=[0, 105])
    with pytest.raises(SettingsError, match="ladder"):
        candidates(shop, Endings(), size, 0.3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ladders_of_random_shops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shop = random_shops.catalogue(rng, int(rng.integers(1, 9)))
    endings = random_shops.settings(rng).endings
    ladder = candidates(shop, endings, 24, 0.3)
    for i in range(len(shop)):
        rungs = ladder.price[i][ladder.valid[i]]
        family = np.flatnonzero(shop.variant_of == shop.variant_of[i])
        forced = {int(shop.fixed_price[j] or shop.price[j]) for j in family} | {
            int(p) for p in shop.price[family]
        }
        assert (np.diff(rungs) > 0).all()
        assert forced <= set(rungs.tolist())
        assert all(endings.sellable(np.array([p]))[0] or int(p) in forced for p in rungs)
        alone = candidates(shop.take(family), endings, 24, 0.3)
        assert (alone.price == ladder.price[i]).all(), "other products shape this ladder"
        assert (alone.valid == ladder.valid[i]).all()


@given(
    st.lists(st.booleans(), min_size=7, max_size=7),
    st.one_of(st.floats(3.0, 6.0), st.sampled_from([math.inf, -math.inf])),
)
def test_nearest_allowed_is_what_a_search_finds(may: list[bool], target: float) -> None:
    ladder = menu(1)
    found = int(nearest_allowed(ladder, np.array([[may]]), np.array([[target]]))[0, 0])
    open_ = [i for i, yes in enumerate(may) if yes]
    inside = min(max(target, ladder.log_price[0, 0]), ladder.log_price[0, -1])
    assert found == min(open_, key=lambda i: abs(ladder.log_price[0, i] - inside), default=-1)


def test_no_number_is_no_price() -> None:
    assert nearest_allowed(menu(1), np.ones((1, 1, 7), dtype=np.bool_), np.array([[np.nan]])).tolist() == [
        [-1]
    ]
