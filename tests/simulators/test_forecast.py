from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, norm

from pricing.errors import DataError, OutsideSupport, RefusedError, UnknownProduct
from pricing.model import COEFFICIENTS, DemandModel
from pricing.panel import Series
from simulators.demand.forecast import expected_units, forecast, sales_quantiles
from simulators.demand.predict import LastKnown, predict
from simulators.demand.scenario import Scenario, periods_ahead
from simulators.output_tables import scenario_from_table

C = len(COEFFICIENTS)
NAN = float("nan")


def _model(sd: float = 0.1) -> DemandModel:
    """Two products in one zone and one in two, each with level log 10, elasticities -1 and -2."""
    series = Series(("a", "b", "c", "c"), ("x", "x", "x", "y"), ("g",) * 4, ("",) * 4, ("",) * 4)
    mean = np.tile([np.log(10.0), -1.0, -2.0, 0.5, 0.3, 0.1, 0.7, 0.0, 0.0, 0.0, 0.0, 0.0], (4, 1))
    return DemandModel(
        series=series,
        mean=mean,
        factor=np.tile(sd * np.eye(C), (4, 1, 1)),
        dispersion=np.full(4, 5.0),
        absence=np.zeros(4),
        reference_price=np.full(4, 100.0),
        support_low=np.full(4, 80, dtype=np.int64),
        support_high=np.full(4, 120, dtype=np.int64),
        depth_low=np.full(4, np.log(0.7)),
        identified_by=np.full((4, 2), 3, dtype=np.int8),
        category=np.zeros(4, dtype=np.int64),
        rival_group=np.full(4, -1, dtype=np.int64),
        rival_weight=np.ones(4),
        rival_outside_weight=np.zeros(4),
        category_shock_sd=np.array([0.1]),
        period_shock_sd=0.05,
        category_names=("category",),
        prior_mean=np.tile(mean[0], (2, 1)),
        prior_covariance=np.tile(np.eye(C), (2, 1, 1)),
        prior_log_size=1.0,
        prior_log_size_sd=0.5,
        prior_absence=0.0,
        period_days=7,
        until="2025-01-06",
        fingerprint="f",
        seed=1,
    )


@cache
def _known() -> LastKnown:
    hundred, nothing = np.full(4, 100.0), np.zeros(4)
    return LastKnown(_model().series, hundred, hundred, nothing, nothing, "EUR", 52)


def _scenario(
    product: Sequence[str],
    offered: Sequence[float],
    *,
    days: Sequence[str] | None = None,
    zone: Sequence[str] | None = None,
    regular: float = NAN,
) -> Scenario:
    n = len(product)
    nothing = np.full(n, NAN)
    return Scenario(
        tuple(product),
        tuple(zone or [""] * n),
        np.array(days or ["2025-01-06"] * n, dtype="datetime64[D]"),
        np.array(offered),
        np.full(n, regular),
        nothing,
        nothing,
    )


def test_expected_units_by_hand() -> None:
    x = np.zeros((1, C))
    x[0, 0], x[0, 1] = 1.0, np.log(1.1)
    expected, m, variance = expected_units(_model(), np.array([0]), x)
    assert m[0] == pytest.approx(np.log(10.0 / 1.1))
    assert variance[0] == pytest.approx(0.01 * (1.0 + np.log(1.1) ** 2))
    assert expected[0] == pytest.approx(10.0 / 1.1 * np.exp(0.5 * variance[0]))


def test_expected_units_are_the_mean_over_posterior_draws() -> None:
    model = _model(0.2)
    draws = model.draws(20000)[:, 0]
    x = np.array([[1.0, 0.1, -0.2, 1.0, 0.0, 0.0, 0.0, 1.0, -0.2, 0.1, 0.06, 0.06]])
    expected, _, _ = expected_units(model, np.array([0]), x)
    assert np.exp(draws @ x[0]).mean() == pytest.approx(expected[0], rel=0.01)


@pytest.mark.parametrize("log_mean", [-3.0, 0.5, 3.0, 6.5])
def test_quantiles_without_uncertainty_are_scipys(log_mean: float) -> None:
    p = np.array([0.05, 0.5, 0.95])
    ours = sales_quantiles(np.array([log_mean]), np.array([1e-12]), np.array([2.5]), p)[0]
    theirs = nbinom.ppf(p, 2.5, 2.5 / (2.5 + np.exp(log_mean)))
    np.testing.assert_array_equal(ours, theirs)


def test_quantiles_hold_in_simulation() -> None:
    rng = np.random.default_rng(1)
    for log_mean, sd, r in ((0.3, 0.5, 2.0), (5.5, 0.4, 8.0)):
        low, high = sales_quantiles(
            np.array([log_mean]), np.array([sd]), np.array([r]), np.array([0.05, 0.95])
        )[0]
        mu = np.exp(log_mean + sd * rng.standard_normal(200_000))
        y = rng.poisson(rng.gamma(r, mu / r))
        assert (y <= high).mean() >= 0.948
        assert (y < high).mean() <= 0.952
        assert (y < low).mean() <= 0.052


def test_sales_spread_wider_than_their_mean() -> None:
    x = np.zeros((1, C))
    x[0, 0] = 1.0
    said = forecast(_model(), np.array([0]), x, np.ones(1))
    assert said.units_lower[0] < said.lower[0] < said.expected[0] < said.upper[0] < said.units_upper[0]
    half = forecast(_model(), np.array([0]), x, np.array([0.5]))
    assert half.expected[0] == pytest.approx(0.5 * said.expected[0])


def test_rows_keep_their_order_and_absent_columns_are_as_last_known() -> None:
    said = predict(_model(1e-9), _known(), _scenario(["b", "a"], [90.0, 100.0]))
    np.testing.assert_allclose(said.expected, [10.0 * 0.9**-2.0, 10.0], rtol=1e-6)
    dear = predict(_model(1e-9), _known(), _scenario(["a"], [110.0]))  # above the regular price: a new one
    assert dear.expected[0] == pytest.approx(10.0 / 1.1)


def test_a_plan_carries_its_own_prices_into_the_lag() -> None:
    days = ["2025-01-20", "2025-01-06", "2025-01-13"]
    said = predict(_model(1e-9), _known(), _scenario(["a"] * 3, [100.0, 80.0, 100.0], days=days))
    np.testing.assert_allclose(said.expected, [10.0, 10.0 * 0.8**-2.0, 10.0 * 0.8**0.1], rtol=1e-6)


def test_a_menu_of_prices_for_one_period_passes_none_on() -> None:
    days = ["2025-01-06", "2025-01-06", "2025-01-13"]
    said = predict(_model(1e-9), _known(), _scenario(["a"] * 3, [80.0, 90.0, 100.0], days=days))
    assert said.expected[2] == pytest.approx(10.0)


def _rivals(offered: float = 100.0) -> tuple[DemandModel, LastKnown]:
    """a, b and c of zone x as substitutes that sell 1, 2 and 3 a week, b last known at another price."""
    plain = _model(1e-9)
    mean = plain.mean.copy()
    mean[:, 9] = 0.8
    group, weight = np.array([0, 0, 0, -1]), np.array([1.0, 2.0, 3.0, 4.0])
    known = replace(_known(), offered=np.array([100.0, offered, 100.0, 100.0]))
    return replace(plain, mean=mean, rival_group=group, rival_weight=weight), known


def test_rival_prices_come_from_the_scenarios_own_plan() -> None:
    model, known = _rivals()
    said = predict(model, known, _scenario(["a", "b"], [100.0, 80.0]))
    # b is two of the five that a's rivals sell, and meets nobody at another price itself.
    np.testing.assert_allclose(said.expected, [10.0 * 0.8 ** (0.8 * 0.4), 10.0 * 0.8**-2.0], rtol=1e-6)
    both = predict(model, known, _scenario(["a", "b"], [90.0, 80.0]))
    assert both.expected[1] == pytest.approx(10.0 * 0.8**-2.0 * 0.9 ** (0.8 * 0.25))
    days = ["2025-01-06", "2025-01-13"]
    later = predict(model, known, _scenario(["a", "b"], [100.0, 80.0], days=days))
    assert later.expected[0] == pytest.approx(10.0)


def test_rivals_that_a_scenario_does_not_name_are_as_last_known() -> None:
    model, known = _rivals(90.0)
    found = predict(model, known, _scenario(["a"], [100.0])).expected[0]
    assert found == pytest.approx(10.0 * 0.9 ** (0.8 * 0.4))
    elsewhere = predict(model, known, _scenario(["c"], [100.0], zone=["y"])).expected[0]
    assert elsewhere == pytest.approx(10.0)


def test_a_menu_of_alternatives_is_no_rival_price() -> None:
    model, known = _rivals(90.0)
    said = predict(model, known, _scenario(["b", "a", "b"], [80.0, 100.0, 70.0]))
    assert said.expected[1] == pytest.approx(10.0 * 0.9 ** (0.8 * 0.4))
    one = predict(model, known, _scenario(["b", "a", "b"], [80.0, 100.0, 80.0]))
    assert one.expected[1] == pytest.approx(10.0 * 0.8 ** (0.8 * 0.4))


def test_rows_of_one_price_are_one_plan() -> None:
    days = ["2025-01-06", "2025-01-06", "2025-01-13"]
    said = predict(_model(1e-9), _known(), _scenario(["a"] * 3, [80.0, 80.0, 100.0], days=days))
    assert said.expected[2] == pytest.approx(10.0 * 0.8**0.1)


@pytest.mark.parametrize(
    ("day", "error", "says"),
    [
        ("2024-12-30", RefusedError, "Row 2: the period from 2024-12-30 lies before 2025-01-06"),
        ("2025-01-08", DataError, "Row 2: .* the nearest begin on 2025-01-06 and 2025-01-13"),
        ("2025-01-05", DataError, "Row 2: .* the nearest begin on 2024-12-30 and 2025-01-06"),
        ("2026-01-05", RefusedError, r"Row 2: .* lies 53 periods ahead.* at or before 2025-12-29"),
        ("9999-12-27", RefusedError, "Row 2: .* periods ahead"),
    ],
)
def test_periods_are_those_of_the_run(day: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        predict(_model(), _known(), _scenario(["a", "a"], [100.0] * 2, days=["2025-01-06", day]))


def test_periods_ahead_count_from_the_first_that_was_not_seen() -> None:
    scenario = _scenario(["a", "a"], [100.0] * 2, days=["2025-12-29", "2025-01-06"])
    assert periods_ahead(_model(), scenario).tolist() == [52, 1]
    assert np.isfinite(predict(_model(), _known(), scenario).expected).all()


def test_an_absurd_price_is_refused_even_when_widened() -> None:
    with pytest.raises(OutsideSupport, match=r"Row 2: .* no finite number"):
        predict(_model(), _known(), _scenario(["a", "a"], [100.0, 1e-300]), widen=True)


def test_unknown_products_and_zones_are_refused_by_row() -> None:
    with pytest.raises(UnknownProduct, match="Row 2: product 'zz'"):
        predict(_model(), _known(), _scenario(["a", "zz"], [100.0, 100.0]))
    with pytest.raises(DataError, match="Row 1: product 'c' is sold in 2 zones"):
        predict(_model(), _known(), _scenario(["c"], [100.0]))
    with pytest.raises(UnknownProduct, match="no sales in zone 'q'"):
        predict(_model(), _known(), _scenario(["c"], [100.0], zone=["q"]))
    assert predict(_model(), _known(), _scenario(["c"], [100.0], zone=["y"])).expected[0] > 0.0


@pytest.mark.parametrize("price", [NAN, -1.0, 0.0, float("inf")])
def test_impossible_prices_name_their_row(price: float) -> None:
    with pytest.raises(DataError, match="Row 2: offered_price"):
        predict(_model(), _known(), _scenario(["a", "a"], [100.0, price]))
    if not np.isnan(price):
        with pytest.raises(DataError, match="regular_price"):
            predict(_model(), _known(), _scenario(["a"], [100.0], regular=price))


def test_other_impossible_rows() -> None:
    good = _scenario(["a"], [100.0])
    with pytest.raises(DataError, match="no share between 0 and 1"):
        predict(_model(), _known(), replace(good, feature=np.array([1.5])))
    with pytest.raises(DataError, match="period_start"):
        predict(_model(), _known(), replace(good, period_start=np.array(["NaT"], dtype="datetime64[D]")))
    with pytest.raises(DataError, match=r"above regular_price \(1\.00 EUR > 0\.90 EUR\)"):
        predict(_model(), _known(), _scenario(["a"], [100.0], regular=90.0))


def test_prices_never_seen_are_refused_unless_asked_to_widen() -> None:
    for scenario, says in (
        (_scenario(["a"], [130.0]), r"outside the 0\.80 to 1\.20 EUR"),
        (
            _scenario(["a"], [60.0]),
            r"0\.60 EUR against a regular price of 1\.00 EUR .* \(cheapest 0\.70 EUR\)",
        ),
        (_scenario(["a"], [70.0], regular=70.0), r"outside the 0\.80 to 1\.20 EUR"),
    ):
        with pytest.raises(OutsideSupport, match=says):
            predict(_model(), _known(), scenario)
        assert np.isfinite(predict(_model(), _known(), scenario, widen=True).expected).all()


def test_scenario_tables_are_read_in_decimal_amounts() -> None:
    table = pa.table({"product_id": [7], "period_start": ["2025-01-06"], "offered_price": [1.25]})
    read = scenario_from_table(table, 2)
    assert read.product == ("7",)
    assert read.offered[0] == 125.0
    assert np.isnan(read.regular[0])
    assert read.period_start[0] == np.datetime64("2025-01-06")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"product_id": ["a"], "period_start": ["2025-01-06"]}, "no column offered_price"),
        ({"product_id": ["a"], "period_start": ["6/1/25"], "offered_price": [1.0]}, "Row 1: .* is no day"),
        ({"product_id": ["a"], "period_start": ["2025-01-06"], "offered_price": ["1,0"]}, "not numbers"),
        (
            {"product_id": [None, "a"], "period_start": ["2025-01-06"] * 2, "offered_price": [1.0] * 2},
            "Row 1",
        ),
        ({"product_id": [1.5], "period_start": ["2025-01-06"], "offered_price": [1.0]}, "not identifiers"),
    ],
)
def test_bad_scenario_tables_say_what_is_wrong(columns: dict[str, list[object]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        scenario_from_table(pa.table(columns), 2)


def _lagged(scenario: Scenario) -> list[float]:
    """Return the price of the period before each row that the forecast of a certain model betrays."""
    said = predict(_model(1e-9), _known(), scenario)
    own = 10.0 * (scenario.offered / 100.0) ** -2.0  # all below the regular price of 100: depth -2
    return [float(price) for price in 100.0 * (said.expected / own) ** (1.0 / 0.1)]


def test_the_lag_is_carried_period_by_period_series_by_series() -> None:
    # a: 90, 80, 95 in three weeks; b: 85 then, after a week without a row, 90; all rows out of order.
    days = ["2025-01-20", "2025-01-06", "2025-01-20", "2025-01-13", "2025-01-06"]
    prices = [95.0, 90.0, 90.0, 80.0, 85.0]
    found = _lagged(_scenario(["a", "a", "b", "a", "b"], prices, days=days))
    assert found == pytest.approx([80.0, 100.0, 85.0, 90.0, 100.0], rel=1e-5)


def test_a_zone_passes_no_price_on_to_another() -> None:
    days = ["2025-01-06", "2025-01-13", "2025-01-13"]
    found = _lagged(_scenario(["c"] * 3, [80.0, 90.0, 90.0], days=days, zone=["x", "x", "y"]))
    assert found == pytest.approx([100.0, 80.0, 100.0], rel=1e-5)


def test_after_a_menu_the_last_single_price_still_counts() -> None:
    # One price, then a menu of two, then one: the last row looks past the menu to the first.
    days = ["2025-01-06", "2025-01-13", "2025-01-13", "2025-01-20"]
    found = _lagged(_scenario(["a"] * 4, [80.0, 90.0, 95.0, 90.0], days=days))
    assert found == pytest.approx([100.0, 80.0, 80.0, 80.0], rel=1e-5)


@given(st.permutations(range(8)))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_changes_no_row(order: list[int]) -> None:
    product = ["a", "a", "a", "b", "b", "c", "c", "a"]
    zone = ["", "", "", "", "", "x", "y", ""]
    days = [f"2025-01-{6 + 7 * t:02d}" for t in (0, 1, 2, 0, 2, 0, 1, 1)]
    prices = [90.0, 80.0, 95.0, 85.0, 90.0, 75.0, 99.0, 82.0]
    straight = predict(_model(), _known(), _scenario(product, prices, days=days, zone=zone))
    mixed = predict(
        _model(),
        _known(),
        _scenario(
            [product[i] for i in order], [prices[i] for i in order],
            days=[days[i] for i in order], zone=[zone[i] for i in order],
        ),
    )  # fmt: skip
    np.testing.assert_allclose(mixed.expected, straight.expected[list(order)], rtol=1e-12)
    np.testing.assert_array_equal(mixed.units_upper, straight.units_upper[list(order)])


def test_intervals_of_the_mean_and_of_sales_hold_what_they_promise() -> None:
    """Draw truth from the posterior, then sales with both shared shocks around it."""
    model, rng, draws = _model(0.3), np.random.default_rng(6), 40_000
    x = np.zeros((1, C))
    x[0, 0], x[0, 1], x[0, 3] = 1.0, np.log(0.9), 0.5
    said = forecast(model, np.array([0]), x, np.array([0.5]))
    log_mean = (model.mean[0] + rng.standard_normal((draws, C)) @ model.factor[0].T) @ x[0] + np.log(0.5)
    mean = np.exp(log_mean)
    assert ((mean >= said.lower[0]) & (mean <= said.upper[0])).mean() == pytest.approx(0.9, abs=0.006)
    assert mean.mean() == pytest.approx(said.expected[0], rel=0.01)
    shock = np.sqrt(0.05**2 + 0.1**2)
    mu = mean * np.exp(shock * rng.standard_normal(draws) - 0.5 * shock**2)
    sales = rng.poisson(rng.gamma(5.0, mu / 5.0))
    assert (sales < said.units_lower[0]).mean() <= 0.053
    assert (sales > said.units_upper[0]).mean() <= 0.053
    assert (sales <= said.units_lower[0]).mean() >= 0.047, "lower than it need be"
    assert (sales >= said.units_upper[0]).mean() >= 0.047, "higher than it need be"


@given(st.floats(-4.0, 7.0), st.floats(0.0, 1.0), st.floats(0.3, 50.0))
@settings(max_examples=40, deadline=None)
def test_quantiles_rise_with_probability_and_mean(log_mean: float, sd: float, r: float) -> None:
    p = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    found = sales_quantiles(np.array([log_mean, log_mean + 0.5]), np.full(2, sd), np.full(2, r), p)
    assert (np.diff(found, axis=1) >= 0.0).all()
    assert (found[1] >= found[0]).all()
    assert (found == np.floor(found)).all()
    assert (found >= 0.0).all()
    together = sales_quantiles(np.array([log_mean, 8.0]), np.full(2, sd), np.full(2, r), p)
    np.testing.assert_array_equal(together[0], found[0], "the other row changes the way it is summed only")


def test_shared_shocks_spread_sales_around_an_unchanged_mean() -> None:
    # A mean of 10,000 without any doubt: sales are negative binomial around a log-normal of that mean.
    plain = _model(1e-9)
    mean = plain.mean.copy()
    mean[:, 0] = np.log(10_000.0)
    model = replace(plain, mean=mean, period_shock_sd=0.3, category_shock_sd=np.array([0.4]))
    x = np.zeros((1, C))
    x[0, 0] = 1.0
    said = forecast(model, np.array([0]), x, np.ones(1))
    assert said.expected[0] == pytest.approx(10_000.0)
    even = norm.ppf((np.arange(2000) + 0.5) / 2000)
    mu = 10_000.0 * np.exp(0.5 * even - 0.5 * 0.25)
    assert nbinom.cdf(said.units_lower[0], 5.0, 5.0 / (5.0 + mu)).mean() == pytest.approx(0.05, abs=2e-3)
    assert nbinom.cdf(said.units_upper[0], 5.0, 5.0 / (5.0 + mu)).mean() == pytest.approx(0.95, abs=2e-3)
