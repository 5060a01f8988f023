"""The endings that a shop's own prices give away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.importers.price_endings import price_endings


@pytest.mark.parametrize(
    ("prices", "exponent", "endings"),
    [
        ([99 + 100 * i for i in range(30)], 2, (".99",)),
        ([99 + 100 * i for i in range(27)] + [1234, 550, 777], 2, (".99",)),  # nine of ten
        ([99 + 100 * i for i in range(15)] + [49 + 100 * i for i in range(15)], 2, (".49", ".99")),
        ([100 * i for i in range(1, 31)], 2, (".00",)),
        ([9 + 10 * i for i in range(100)], 2, ("9",)),
        ([9 + 10 * i for i in range(50)] + [5 + 10 * i for i in range(50)], 2, ("5", "9")),
        ([7 * i for i in range(1, 101)], 2, ()),  # any price
        ([980 + 1000 * i for i in range(30)], 0, ("80",)),  # yen
        ([990 + 1000 * i for i in range(30)], 3, (".990",)),  # dinars
        ([199] * 19, 2, ()),  # too few to tell
    ],
)
def test_endings_by_hand(prices: list[int], exponent: int, endings: tuple[str, ...]) -> None:
    assert price_endings(prices, exponent) == endings


@given(st.lists(st.integers(1, 10**7), min_size=20, max_size=200))
def test_what_is_found_is_what_most_prices_end_in(prices: list[int]) -> None:
    found = price_endings(prices, 2)
    if found:
        digits = tuple(ending.replace(".", "") for ending in found)
        fitting = sum(f"{price:07d}".endswith(digits) for price in prices)
        assert fitting >= 0.9 * len(prices)
        assert list(found) == sorted(found)
