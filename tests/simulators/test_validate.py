from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import xlogy

from pricing.errors import DataError
from pricing.model import COEFFICIENTS
from simulators.demand.elasticities import CONFOUNDING, elasticities
from simulators.demand.fit import Fit, fit
from simulators.demand.metrics import bias, lift_slope, poisson_deviance, wmape
from simulators.demand.validate import Backtest, _totals, backtest, validate
from simulators.demand.validation_plot import lift_bins, validation_plot
from simulators.run import training_panel
from tests.simulators.demand_truth import Truth, make

HELD = 50


@cache
def _world() -> tuple[Truth, Fit]:
    truth = make(150, 21, level=2.0)
    until = str(truth.panel.periods[HELD])
    early = training_panel(truth.panel, HELD)
    return truth, fit(early, until=until, fingerprint="f", seed=1, calendar_in_advance=True)


def test_metrics_by_hand() -> None:
    y, mu = np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
    assert wmape(y, mu) == pytest.approx(2.0 / 6.0)
    assert bias(y, mu) == pytest.approx(0.0)
    assert poisson_deviance(y, mu) == pytest.approx(2.0 * (1.0 + (4.0 * np.log(4 / 3) - 1.0)) / 3.0)
    assert poisson_deviance(y, mu) == pytest.approx(2.0 * (xlogy(y, y / mu) - y + mu).mean())


def test_lift_slope_is_the_poisson_regression_with_series_effects() -> None:
    rng = np.random.default_rng(3)
    series = np.repeat(np.arange(12), 9)
    base, lift = rng.normal(0, 0.3, 108), rng.normal(0, 0.4, 108)
    y = rng.poisson(np.exp(1.0 + 0.1 * series + base + 0.7 * lift)).astype(float)
    X = np.column_stack([lift, (series[:, None] == np.arange(12)).astype(float)])
    reference = sm.GLM(y, X, family=sm.families.Poisson(), offset=base).fit(tol=1e-12)
    assert lift_slope(y, base, lift, series).slope == pytest.approx(reference.params[0], abs=1e-7)


def test_a_model_of_the_truth_is_calibrated() -> None:
    truth, found = _world()
    shown = validate(found.model, truth.panel)
    assert shown.periods == 10
    assert 100 < shown.series <= 150  # the others stand at a price never seen in training
    assert abs(shown.lift.slope - 1.0) < 0.2
    assert abs(shown.bias) < 0.08
    assert 0.87 <= shown.coverage <= 0.96
    assert shown.covered_totals >= 0.7
    assert shown.wmape < shown.naive_wmape
    assert shown.negative_depth > 0.97
    assert shown.outside_support < 0.25
    ideal = poisson_deviance(truth.panel.units[:, HELD:], np.exp(truth.log_mean[:, HELD:]))
    assert shown.deviance < 1.15 * ideal


def test_prediction_ignores_what_was_sold_later() -> None:
    truth, found = _world()
    changed = truth.panel.units.copy()
    changed[:, HELD:] = changed[::-1, HELD:]
    other = replace(truth.panel, units=changed)
    a, b = backtest(found.model, truth.panel), backtest(found.model, other)
    np.testing.assert_array_equal(a.expected, b.expected)


def test_a_later_price_never_fills_an_earlier_gap() -> None:
    truth, found = _world()
    offered, regular = truth.panel.offered.copy(), truth.panel.regular.copy()
    offered[:, HELD + 2], regular[:, HELD + 2] = np.nan, np.nan
    one = replace(truth.panel, offered=offered, regular=regular)
    later = offered.copy()
    later[:, HELD + 3 :] *= 0.9
    two = replace(truth.panel, offered=later, regular=regular)
    a, b = backtest(found.model, one), backtest(found.model, two)
    np.testing.assert_array_equal(a.expected[a.period == 2], b.expected[b.period == 2])
    assert (a.expected[a.period == 3] != b.expected[b.period == 3]).any()


def test_no_holdout_is_said() -> None:
    truth, found = _world()
    with pytest.raises(DataError, match="no period after"):
        validate(found.model, truth.panel.between(0, HELD))


def test_training_ends_with_what_was_known_then() -> None:
    truth = make(3, 2)
    units = np.zeros_like(truth.panel.units)
    units[0, [2, 5, 45]] = 1.0  # longest silence 39 periods: still on sale at 50
    units[1, [2, 5, 8]] = 1.0  # silent for longer than eight weeks and than ever before: gone after 16
    units[2, [2, 55]] = 1.0  # its return in 55 was not known
    panel = replace(truth.panel, units=units)
    on_sale = training_panel(panel, HELD).on_sale
    assert on_sale[0, 2:].all()
    assert on_sale[1, 2:17].all()
    assert not on_sale[1, 17:].any()
    assert not on_sale[2, 11:].any()


def test_sensitivity_widens_and_support_is_in_minor_units() -> None:
    truth, found = _world()
    early = training_panel(truth.panel, HELD)
    table = elasticities(found.model, early)
    assert (table.sensitivity_lower < table.lower).all()
    assert (table.sensitivity_upper > table.upper).all()
    assert (table.lower < table.elasticity).all()
    assert table.at_price.dtype == np.int64
    assert (table.support_low[:, 1] <= table.support_low[:, 0]).all()
    widening = (table.sensitivity_upper - table.upper)[:, 1]
    assert np.corrcoef(widening, 1.0 / np.sqrt(found.model.dispersion))[0, 1] > 0.0
    assert CONFOUNDING == 0.3


def test_the_picture_is_a_png_and_the_same_twice() -> None:
    truth, found = _world()
    shown, cells = validate(found.model, truth.panel), backtest(found.model, truth.panel)
    picture = validation_plot(shown, cells)
    assert picture.startswith(b"\x89PNG")
    assert picture == validation_plot(shown, cells)
    predicted, actual, units = lift_bins(cells)
    assert (np.diff(predicted) > 0.0).all()
    assert np.corrcoef(np.log(predicted), np.log(actual))[0, 1] > 0.9
    assert units.sum() <= cells.units.sum()


def test_a_slope_without_any_price_effect_is_no_number() -> None:
    y, series = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1])
    flat = lift_slope(y, np.zeros(4), np.array([0.2, 0.2, -0.1, -0.1]), series)
    assert np.isnan([flat.slope, flat.standard_error, flat.gain]).all()


def test_a_slope_by_hand() -> None:
    # One series, effects 0 and log 2: shares of 1 : 4 are exactly twice the promised log effect.
    found = lift_slope(np.array([10.0, 40.0]), np.zeros(2), np.array([0.0, np.log(2.0)]), np.array([0, 0]))
    assert found.slope == pytest.approx(2.0)
    promised = 10.0 * np.log(1 / 3) + 40.0 * np.log(2 / 3)
    assert found.gain == pytest.approx((promised - 50.0 * np.log(0.5)) / 50.0)


def test_a_holdout_in_which_nothing_sold_is_said() -> None:
    truth, found = _world()
    units = truth.panel.units.copy()
    units[:, HELD:] = 0.0
    with pytest.raises(DataError, match="Nothing sold in the held-out periods"):
        validate(found.model, replace(truth.panel, units=units))


def test_totals_and_bias_are_sums_over_the_cells_inside_support() -> None:
    truth, found = _world()
    shown, cells = validate(found.model, truth.panel), backtest(found.model, truth.panel)
    kept = cells.take(cells.inside)
    for t in range(shown.periods):
        here = kept.period == t
        assert shown.totals.actual[t] == kept.units[here].sum()
        assert shown.totals.expected[t] == pytest.approx(kept.expected[here].sum())
    assert shown.bias == pytest.approx(shown.totals.expected.sum() / shown.totals.actual.sum() - 1.0)
    covered = (kept.units >= kept.lower) & (kept.units <= kept.upper)
    assert shown.coverage == covered.mean()
    assert shown.outside_support == pytest.approx(1.0 - len(kept.units) / len(cells.units))
    np.testing.assert_array_equal(shown.totals.periods, truth.panel.periods[HELD:])
    # The naive forecast is the mean of the last eight weeks, known before the first one held out.
    last = truth.panel.units[kept.rows[0], HELD - 8 : HELD].mean()
    assert kept.naive[0] == pytest.approx(max(last, 0.02))


def test_the_band_of_a_total_by_hand() -> None:
    _, found = _world()
    model = replace(
        found.model,
        dispersion=np.full(len(found.model.series), 4.0),
        absence=np.zeros(len(found.model.series)),
        category=np.repeat([0, 1], [2, len(found.model.series) - 2]),
        category_shock_sd=np.array([0.2, 0.5]),
        period_shock_sd=0.1,
    )
    mu, zero = np.array([10.0, 20.0, 30.0]), np.zeros(3)
    cells = Backtest(
        rows=np.array([0, 1, 2]), period=np.zeros(3, dtype=np.int64), units=mu + 1.0, expected=mu, lower=zero,
        upper=zero, base=zero, lift=zero, move=zero, variance=np.log(1.04) + zero, naive=zero,
        inside=zero == 0.0, at=np.zeros((3, len(COEFFICIENTS))), exposure=zero + 1.0, offered=mu, regular=mu,
        step=zero, stayed=mu, recorded=zero == 0.0,
    )  # fmt: skip
    total = _totals(model, cells, np.array(["2025-01-06"], dtype="datetime64[D]"))
    # Each cell: mu + mu**2 (1.25 * 1.04 - 1); a category's cells rise and fall together, so does the shop.
    own = 60.0 + 1400.0 * 0.3
    shared = 30.0**2 * np.expm1(0.04) + 30.0**2 * np.expm1(0.25) + 60.0**2 * np.expm1(0.01)
    reach = 1.6448536 * np.sqrt(own + shared)
    assert (total.actual[0], total.expected[0]) == (63.0, 60.0)
    assert (total.lower[0], total.upper[0]) == pytest.approx((60.0 - reach, 60.0 + reach))


def test_a_period_covered_in_part_is_predicted_in_part() -> None:
    truth, found = _world()
    days = truth.panel.days.copy()
    days[-1] = 3
    whole = backtest(found.model, truth.panel)
    part = backtest(found.model, replace(truth.panel, days=days))
    last = part.period == 9
    for name in ("expected", "naive"):
        np.testing.assert_allclose(getattr(part, name)[last], 3.0 / 7.0 * getattr(whole, name)[last])
        np.testing.assert_array_equal(getattr(part, name)[~last], getattr(whole, name)[~last])
    np.testing.assert_allclose(np.exp(part.base + part.lift), part.expected)
    np.testing.assert_allclose(part.lift, whole.lift, atol=1e-12)
    # A shelf price halved in the holdout has moved by log 2 downward.
    halved = replace(truth.panel, offered=truth.panel.offered * np.where(np.arange(60) < HELD, 1.0, 0.5))
    moved = backtest(found.model, halved)
    np.testing.assert_allclose(moved.move, whole.move - np.log(2.0))
