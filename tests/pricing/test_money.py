from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import DataError
from pricing.money import Currency, apportion

USD, JPY, KWD = Currency.of("USD"), Currency.of("JPY"), Currency.of("KWD")


def test_exponents_follow_iso_4217() -> None:
    assert (USD.exponent, JPY.exponent, KWD.exponent, Currency.of("CLF").exponent) == (2, 0, 3, 4)
    with pytest.raises(DataError, match="'US' is not a currency"):
        Currency.of("US")


@pytest.mark.parametrize(
    ("text", "minor"),
    [("12.5", 1250), ("0.29", 29), ("1.10", 110), ("-3", -300), (".5", 50), ("7.", 700), (" 1.500 ", 150)],
)
def test_amounts_are_read_exactly(text: str, minor: int) -> None:
    assert USD.parse(text) == minor


@pytest.mark.parametrize("text", ["", ".", "1,50", "1.005", "nan", "inf", "1e3", "$4", "1 000", "٣"])
def test_what_is_no_exact_amount_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        USD.parse(text)


@given(st.integers(-(10**15), 10**15), st.sampled_from([USD, JPY, KWD]))
def test_text_and_minor_units_are_inverse(minor: int, currency: Currency) -> None:
    assert currency.parse(currency.decimal(minor)) == minor
    assert Decimal(currency.decimal(minor)) * currency.scale == minor
    assert currency.text(minor) == f"{currency.decimal(minor)} {currency.code}"


@pytest.mark.parametrize(
    ("code", "minor", "shown"),
    [
        ("EUR", 349.0, "3.49 EUR"),
        ("EUR", 348.99999999999994, "3.49 EUR"),  # 3.49 x 100 in binary
        ("EUR", 500.0 / 3.0, "1.6667 EUR"),  # three for 5.00
        ("EUR", -5.0, "-0.05 EUR"),
        ("JPY", 349.0, "349 JPY"),
        ("JPY", 349.5, "349.50 JPY"),
        ("KWD", 1250.0, "1.250 KWD"),
    ],
)
def test_unit_prices_are_shown_in_the_currency(code: str, minor: float, shown: str) -> None:
    assert Currency.of(code).unit_price(minor) == shown


def test_an_order_discount_by_hand() -> None:
    # 100 over 333, 333, 334: exact shares 33.3, 33.3, 33.4; the largest remainder gets the last cent.
    np.testing.assert_array_equal(apportion(100, np.array([333, 333, 334])), [33, 33, 34])
    # Equal remainders: the earlier line gets the cent.
    np.testing.assert_array_equal(apportion(1, np.array([5, 5])), [1, 0])
    np.testing.assert_array_equal(apportion(-1, np.array([5, 5])), [-1, 0])
    np.testing.assert_array_equal(apportion(0, np.array([0, 0])), [0, 0])


@given(
    st.integers(-(10**12), 10**12),
    st.lists(st.integers(0, 10**12), min_size=1, max_size=30).filter(lambda w: sum(w) > 0),
)
def test_parts_add_up_and_are_the_share_rounded_down_or_up(amount: int, weights: list[int]) -> None:
    parts = apportion(amount, np.array(weights))
    assert int(parts.sum()) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(int(part)) - Fraction(amount * weight, sum(weights))) < 1


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], []])
def test_nothing_to_split_over_is_an_error(weights: list[int]) -> None:
    with pytest.raises(DataError, match="cannot be split"):
        apportion(5, np.array(weights, dtype=np.int64))
