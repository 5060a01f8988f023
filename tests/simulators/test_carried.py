"""Prices between their records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pricing.arrays import Floats
from pricing.panel import Panel, Series
from simulators.contract.carried import carried
from simulators.demand.fit import fit
from tests.simulators.demand_truth import make


def _with_prices(price: Floats) -> Panel:
    n, t = price.shape
    names = tuple(str(i) for i in range(n))
    zeros = np.zeros((n, t))
    return Panel(
        series=Series(names, names, names, names, names),
        periods=np.arange(t).astype("datetime64[D]"),
        days=np.ones(t, dtype=np.int64),
        units=zeros,
        on_sale=zeros == 0,
        offered=price,
        regular=price,
        feature=zeros,
        display=zeros,
        in_stock=zeros,
        traffic=np.ones(t),
        currency="EUR",
    )


_PRICES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.one_of(st.just(np.nan), st.floats(1, 9)),
)


@given(_PRICES)
def test_carried_prices_are_the_last_record_and_never_a_later_one(price: Floats) -> None:
    offered, regular = carried(_with_prices(price))
    np.testing.assert_array_equal(regular, offered)
    for row, filled in zip(price, offered, strict=True):
        known = np.flatnonzero(~np.isnan(row))
        for t, value in enumerate(filled):
            before = known[known <= t]
            source = before[-1] if before.size else (known[0] if known.size else None)
            assert np.isnan(value) if source is None else value == row[source]


@given(_PRICES, st.integers(0, 11), st.sampled_from([1.0, 2.0]))
def test_a_later_record_changes_no_earlier_carried_price(price: Floats, cut: int, times: float) -> None:
    cut = min(cut, price.shape[1] - 1)
    later = price.copy()
    later[:, cut + 1 :] = 99.0
    seen = ~np.isnan(price[:, : cut + 1]).all(axis=1)
    panel = replace(_with_prices(price), regular=times * price)
    whole, _ = carried(panel)
    changed, _ = carried(replace(panel, offered=later))
    np.testing.assert_array_equal(whole[seen, : cut + 1], changed[seen, : cut + 1])


_X = np.nan


@pytest.mark.parametrize(
    ("offered", "share", "filled"),
    [
        ([8, _X, 9, _X], [1.0, 0.0, 0.0, 0.0], [8, 10, 9, 9]),  # the promotion that it was part of is over
        ([8, _X, _X, _X], [0.6, 0.6, 0.3, 0.29], [8, 8, 8, 10]),  # it goes on, and then covers less than half
        ([8, _X, _X, _X], [0.0, 0.0, 0.0, 0.0], [8, 8, 10, 10]),  # seen once, carried once
        ([8, _X, 8, _X, _X, _X, _X], [0.0] * 7, [8, 8, 8, 8, 8, 8, 10]),  # seen for three periods
        ([8, 10, 9, _X, _X], [0.0] * 5, [8, 10, 9, 9, 10]),  # a spell of one after a full price
        ([8, 10, _X, _X], [0.0] * 4, [8, 10, 10, 10]),
        ([_X, _X, 8, _X], [0.0, 0.0, 1.0, 1.0], [8, 8, 8, 8]),
    ],
)
def test_a_discount_is_not_carried_past_its_end(
    offered: list[float], share: list[float], filled: list[float]
) -> None:
    price = np.array([offered], dtype=np.float64)
    full = np.where(np.isnan(price), np.nan, 10.0)
    panel = replace(_with_prices(price), regular=full, display=np.array([share]))
    shelf, regular = carried(panel)
    np.testing.assert_array_equal(shelf, np.array([filled], dtype=np.float64))
    np.testing.assert_array_equal(regular, np.full_like(price, 10.0))


@pytest.mark.parametrize(
    ("first", "second", "filled"),
    [
        # Featured again, unrecorded: its own last discount under a feature, 10 % off.
        ([9, 10, _X, _X], [8, 10, 8, 8], [9, 10, 9, 9]),
        # It was never featured and recorded: the mean of the shop's, here the neighbour's 20 % off.
        ([10, 10, _X, _X], [8, 10, 8, _X], [10, 10, 8, 8]),
        # The neighbour's features were at the full price twice of three times: so is this one.
        ([10, 10, _X, _X], [8, 10, 10, 10], [10, 10, 10, 10]),
    ],
)
def test_a_promotion_without_a_record_brings_its_discount(
    first: list[float], second: list[float], filled: list[float]
) -> None:
    price = np.array([first, second], dtype=np.float64)
    full = np.where(np.isnan(price), np.nan, 10.0)
    own = [float(first[0] < 10.0), 0.0, 1.0, 1.0]
    panel = replace(_with_prices(price), regular=full, feature=np.array([own, [1.0, 0.0, 1.0, 1.0]]))
    np.testing.assert_allclose(carried(panel)[0][0], filled)


def test_a_shop_that_features_all_its_discounts_shows_its_response_to_them() -> None:
    """Prices known from sales alone give what prices known throughout give; the truth is -1.8 and .4."""
    hidden, known = (
        make(200, 3, level=0.8, record_always=always, featured=1.0).panel for always in (False, True)
    )
    found = []
    for panel in (hidden, known):
        rows = fit(panel, until="x", fingerprint="x", seed=0, calendar_in_advance=True).report.population
        found.append({row.name: row.mean for row in rows})
    for name in ("depth", "featured_depth"):
        assert found[0][name] == pytest.approx(found[1][name], abs=0.15)
    lift = [each["feature"] + each["deal"] for each in found]
    assert lift[0] == pytest.approx(lift[1], abs=0.1)
    assert lift[1] == pytest.approx(0.4, abs=0.1)
    assert found[0]["depth"] == pytest.approx(-1.8, abs=0.2)
