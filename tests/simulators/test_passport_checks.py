"""Each check of a passport by hand or against an outside reference."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pricing.arrays import Floats, Ints
from pricing.evidence import Identification
from pricing.model import COEFFICIENTS, DemandModel
from simulators.demand.elasticities import Elasticities
from simulators.demand.forecast import sales_quantiles
from simulators.demand.instruments import FirstStage
from simulators.demand.validate import Backtest
from simulators.passport.distribution import (
    LogMean,
    decile_shares,
    log_mean,
    pit_check,
    randomised_pit,
    sales_cdf,
)
from simulators.passport.events import events_check, price_events, steady_sellers
from simulators.passport.evidence import instrument_check, sensitivity_check
from simulators.passport.lift import elasticity_thirds, lift_check
from simulators.passport.replay import replay, replay_check
from simulators.passport.thresholds import THRESHOLDS, held
from simulators.passport.totals import category_bands, totals_check
from simulators.passport.verdict import Figure, Reason, Verdict, absent, check
from simulators.worlds import toy_shop
from tests.simulators.demand_truth import make

C = len(COEFFICIENTS)
DAYS = np.datetime64("2025-01-06") + 7 * np.arange(4)


def _cells(rows: Ints, units: Floats, expected: Floats, **more: Any) -> Backtest:
    """Return held-out cells of which only what a check reads is given."""
    n = len(rows)
    zero, yes = np.zeros(n), np.ones(n, dtype=np.bool_)
    plain = Backtest(
        rows=rows, period=np.arange(n) % len(DAYS), units=units, expected=expected, lower=zero, upper=zero,
        base=np.log(expected), lift=zero, move=zero, variance=zero, naive=zero, inside=yes,
        at=np.zeros((n, C)), exposure=zero + 1.0, offered=zero + 100.0, regular=zero + 100.0, step=zero,
        stayed=expected, recorded=yes,
    )  # fmt: skip
    return replace(plain, **more)


def _model(series: int, *, shock: float = 0.0) -> DemandModel:
    return toy_shop(series, 3, elasticity_sd=0.0, shock_sd=shock)[1]


def test_a_figure_is_held_to_its_limits_which_are_included() -> None:
    assert held("level", "bias", 0.02).verdict is Verdict.PASSED
    assert held("level", "bias", 0.020001).verdict is Verdict.FAILED
    assert held("level", "bias", -0.03).verdict is Verdict.FAILED
    assert held("level", "wmape", 9.0).verdict is Verdict.NOT_APPLICABLE, "only told"
    doubtful = held("lift", "slope", 5.0, reason=Reason.FEW_MOVES)
    assert (doubtful.verdict, doubtful.low, doubtful.high) == (Verdict.NOT_APPLICABLE, 0.95, 1.05)
    near, far = (held("lift", "slope", value, error=0.1) for value in (0.75, 0.7499))
    assert (near.verdict, near.reason) == (Verdict.NOT_APPLICABLE, Reason.CHANCE)
    assert far.verdict is Verdict.FAILED
    assert held("lift", "slope", 0.95, error=0.1).verdict is Verdict.PASSED
    with pytest.raises(ValueError, match=r"lift\.slope is nan and no reason"):
        held("lift", "slope", math.nan)


def test_one_failure_fails_a_check_and_what_cannot_be_judged_is_no_pass() -> None:
    passed, failed, told = (Figure("x", 1.0, verdict=verdict) for verdict in Verdict)
    passed, failed = (replace(figure, low=0.0) for figure in (passed, failed))
    doubtful = replace(told, low=0.0, reason=Reason.FEW_MOVES)
    assert check("c", (passed, failed, doubtful, told)).verdict is Verdict.FAILED
    assert check("c", (told, passed)).verdict is Verdict.PASSED
    unsure = check("c", (told, passed, doubtful))
    assert (unsure.verdict, unsure.reason) == (Verdict.NOT_APPLICABLE, Reason.FEW_MOVES)
    assert check("c", (told,)).verdict is Verdict.NOT_APPLICABLE
    assert check("c", (Figure("x", 0.12345678),)).figure("x").value == 0.123457
    assert absent("pit", Reason.FEW_CELLS).verdict is Verdict.NOT_APPLICABLE


def test_thresholds_are_stated_once_and_make_sense() -> None:
    names = [(t.check, t.figure) for t in THRESHOLDS]
    assert len(set(names)) == len(names)
    assert all(t.low < t.high for t in THRESHOLDS)


def test_the_distribution_of_sales_is_scipys_negative_binomial() -> None:
    rng = np.random.default_rng(1)
    mu, r = rng.lognormal(0.5, 1.0, 50), rng.lognormal(0.7, 0.5, 50)
    at, k = LogMean(np.log(mu), np.zeros(50), r, np.zeros(50)), rng.poisson(mu).astype(float)
    reference = stats.nbinom.cdf(k, r, r / (r + mu))
    np.testing.assert_allclose(sales_cdf(at, k), reference, rtol=1e-10)
    assert (sales_cdf(at, np.full(50, -1.0)) == 0.0).all()
    u = rng.random(50)
    below = stats.nbinom.cdf(k - 1.0, r, r / (r + mu))
    np.testing.assert_allclose(
        randomised_pit(at, k, u), below + u * stats.nbinom.pmf(k, r, r / (r + mu)), rtol=1e-9
    )


def test_an_uncertain_mean_is_integrated_over() -> None:
    nodes = np.linspace(-6.0, 6.0, 4001)
    weight = stats.norm.pdf(nodes) / stats.norm.pdf(nodes).sum()
    mu = np.exp(1.0 + 0.4 * nodes)
    reference = float(stats.nbinom.cdf(3, 2.0, 2.0 / (2.0 + mu)) @ weight)
    at = LogMean(np.array([1.0]), np.array([0.4]), np.array([2.0]), np.zeros(1))
    assert sales_cdf(at, np.array([3.0]))[0] == pytest.approx(reference, abs=1e-5)


@given(st.floats(-2.0, 4.0), st.floats(0.0, 0.8), st.floats(0.3, 20.0), st.floats(0.02, 0.98))
def test_it_is_what_the_intervals_invert(centre: float, sd: float, size: float, p: float) -> None:
    mean, spread, r = np.array([centre]), np.array([sd]), np.array([size])
    k = sales_quantiles(mean, spread, r, np.array([p]))[:, 0]
    at = LogMean(mean, spread, r, np.zeros(1))
    assert sales_cdf(at, k)[0] >= p - 1e-9
    assert sales_cdf(at, k - 1.0)[0] < p + 1e-9


def test_honest_chances_are_uniform_and_stay_so_given_a_sale() -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    at = LogMean(rng.normal(0.0, 1.0, n), np.full(n, 0.3), np.full(n, 1.5), np.zeros(n))
    mu = np.exp(at.mean + at.sd * rng.standard_normal(n))
    y = rng.poisson(rng.standard_gamma(at.size) * mu / at.size).astype(float)
    u = rng.random(n)
    assert stats.kstest(randomised_pit(at, y, u), "uniform").pvalue > 0.01
    some = y > 0.0
    sold = LogMean(at.mean[some], at.sd[some], at.size[some], at.absence[some])
    assert stats.kstest(randomised_pit(sold, y[some], u[some], sold=True), "uniform").pvalue > 0.01
    assert stats.kstest(randomised_pit(sold, y[some], u[some]), "uniform").pvalue < 1e-6, "it must matter"
    np.testing.assert_allclose(decile_shares(np.array([0.05, 0.05, 0.95, 1.0])), [0.5, *[0.0] * 8, 0.5])


def test_chances_that_are_too_narrow_fail() -> None:
    rng = np.random.default_rng(2)
    model = _model(40)
    rows = np.repeat(np.arange(40), 100)
    mu = np.exp(model.mean[rows, 0])
    size = model.dispersion[rows]
    honest = rng.poisson(rng.standard_gamma(size) * mu / size).astype(float)
    wild = rng.poisson(rng.standard_gamma(size / 6.0) * mu / (size / 6.0)).astype(float)
    assert pit_check(model, _cells(rows, honest, mu), 0).verdict is Verdict.PASSED
    found = pit_check(model, _cells(rows, wild, mu), 0)
    assert found.verdict is Verdict.FAILED
    assert sum(float(v) for v in found.table.column("share")) == pytest.approx(1.0, abs=1e-5)
    assert pit_check(model, _cells(rows[:999], honest[:999], mu[:999]), 0).reason is Reason.FEW_CELLS


def test_the_log_mean_takes_shared_shocks_with_mean_one() -> None:
    model = _model(2, shock=0.3)
    cells = _cells(np.array([0, 1]), np.ones(2), np.array([4.0, 9.0]), variance=np.array([0.0, 0.04]))
    at = log_mean(model, cells)
    np.testing.assert_allclose(at.sd**2, [0.18, 0.22])
    np.testing.assert_allclose(np.exp(at.mean + 0.5 * at.sd**2), [4.0, 9.0])


def test_thirds_follow_the_predicted_response_and_leave_out_what_stood_still() -> None:
    rows = np.repeat(np.arange(7), 2)
    elasticity = np.array([-3.0, -1.0, -2.0, -0.5, -2.5, -1.5, -9.0])[rows]
    move = np.where(rows == 6, 0.0, np.tile([0.1, -0.2], 7))
    cells = _cells(rows, np.ones(14), np.ones(14), move=move, lift=elasticity * move)
    assert elasticity_thirds(cells)[::2].tolist() == [2, 0, 1, 0, 2, 1, -1]


def test_slopes_are_poisson_regressions_with_product_effects() -> None:
    rng = np.random.default_rng(8)
    rows = np.repeat(np.arange(30), 40)
    move = rng.choice([-0.3, -0.1, 0.0, 0.1], len(rows))
    lift = np.linspace(-3.0, -0.5, 30)[rows] * move
    y = rng.poisson(np.exp(2.0 + 0.9 * lift)).astype(float)
    cells = _cells(rows, y, np.full(len(rows), 7.0), lift=lift, move=move)
    found = lift_check(cells, np.arange(30) < 10)
    third = elasticity_thirds(cells)
    parts = {"slope": third >= 0, "slope_strong": third == 2, "slope_weak": third == 0}
    for name, kept in {**parts, "slope_steady": rows < 10}.items():
        dummies = (rows[kept, None] == np.unique(rows[kept])).astype(float)
        X = np.column_stack([lift[kept], dummies])
        reference = sm.GLM(y[kept], X, family=sm.families.Poisson()).fit(tol=1e-12)
        assert found.figure(name).value == pytest.approx(reference.params[0], rel=1e-5)
    assert found.figure("slope_steady").verdict is Verdict.NOT_APPLICABLE, "told beside the others"
    assert found.figure("elasticity_strong").value < found.figure("elasticity_weak").value < 0.0


def test_no_price_moves_or_too_few_cannot_be_judged() -> None:
    rows = np.repeat(np.arange(3), 4)
    still = _cells(rows, np.ones(12), np.ones(12))
    assert lift_check(still, np.ones(3, dtype=np.bool_)).reason is Reason.NO_MOVES
    y = np.array([1.0, 2.0, 0.0, 1.0] * 3)
    hair = np.tile([0.01, 0.0, 0.0, -0.01], 3)
    few = lift_check(_cells(rows, y, np.ones(12), move=hair, lift=-hair), np.ones(3, dtype=np.bool_))
    assert (few.verdict, few.reason) == (Verdict.NOT_APPLICABLE, Reason.FEW_MOVES)


def test_a_band_is_the_negative_binomial_of_the_totals_mean_and_variance() -> None:
    model = replace(
        _model(3),
        category=np.array([0, 0, 1]),
        category_shock_sd=np.array([0.2, 0.5]),
        period_shock_sd=0.1,
        dispersion=np.full(3, 4.0),
    )
    mu = np.array([10.0, 20.0, 30.0])
    zero = np.zeros(3, dtype=np.int64)
    cells = _cells(np.arange(3), mu, mu, period=zero, variance=np.full(3, np.log(1.04)))
    groups, shop = category_bands(model, cells, 1)
    cell = mu + mu**2 * (1.25 * 1.04 - 1.0)
    first = cell[:2].sum() + 900.0 * (np.expm1(0.01) + np.expm1(0.04))
    whole = cell.sum() + 900.0 * np.expm1(0.04) + 900.0 * np.expm1(0.25) + 3600.0 * np.expm1(0.01)
    for band, mean, variance in ((groups, 30.0, first), (shop, 60.0, whole)):
        size = mean**2 / (variance - mean)
        ends = stats.nbinom.ppf([0.025, 0.975], size, size / (size + mean))
        assert (band.lower[0, 0], band.upper[0, 0]) == tuple(ends)
        assert band.expected[0, 0] == mean


def test_totals_of_independent_cells_keep_their_bands_and_a_lost_shock_breaks_them() -> None:
    rng = np.random.default_rng(4)
    model = _model(40)
    rows, period = np.repeat(np.arange(40), 30), np.tile(np.arange(30), 40)
    mu, size = np.exp(model.mean[rows, 0]), model.dispersion[rows]
    gamma = rng.standard_gamma(size) / size
    days = np.datetime64("2025-01-06") + 7 * np.arange(30)
    honest = _cells(rows, rng.poisson(mu * gamma).astype(float), mu, period=period)
    assert totals_check(model, honest, days).verdict is Verdict.PASSED
    shock = np.exp(0.4 * rng.standard_normal(30))[period]
    shaken = _cells(rows, rng.poisson(mu * gamma * shock).astype(float), mu, period=period)
    assert totals_check(model, shaken, days).verdict is Verdict.FAILED
    few = _cells(rows[:4], mu[:4], mu[:4])
    assert totals_check(model, few, DAYS).reason is Reason.FEW_TOTALS


def _events(seed: int, true_effect: float, cells: int = 600) -> tuple[DemandModel, Backtest]:
    """Price cuts and rises by a fifth whose effect the model takes to be 2 a log point."""
    rng = np.random.default_rng(seed)
    model = replace(_model(20), dispersion=np.full(20, 5.0))
    rows = rng.integers(0, 20, cells)
    step = rng.choice([np.log(0.8), 0.0, np.log(1.2)], cells)
    stayed = np.full(cells, 3.0)
    mu = stayed * np.exp(-true_effect * step)
    y = rng.poisson(rng.standard_gamma(5.0, cells) * mu / 5.0).astype(float)
    recorded = (y > 0.0) | (step == 0.0)
    return model, _cells(rows, y, stayed * np.exp(-2.0 * step), step=step, stayed=stayed, recorded=recorded)


def test_price_changes_seen_only_where_something_sold_are_judged_without_bias() -> None:
    model, cells = _events(1, 2.0, 6000)
    everyone = np.ones(20, dtype=np.bool_)
    found = events_check(price_events(model, cells, everyone, 0))
    assert found.verdict is Verdict.PASSED, found
    assert found.figure("coverage").value == pytest.approx(0.9, abs=0.02)
    sold = (cells.units > 0.0) & (cells.step != 0.0)
    naive = cells.expected[sold].sum() / cells.units[sold].sum() - 1.0
    assert naive < -0.05, "unconditional expectations would fail an honest model"
    moved = price_events(model, cells, everyone, 0)
    assert len(moved.units) == sold.sum()
    none = (5.0 / (5.0 + cells.expected[sold])) ** 5.0
    np.testing.assert_allclose(moved.expected, cells.expected[sold] / (1.0 - none))


def test_steady_sellers_sold_in_nine_of_ten_periods_that_count() -> None:
    panel = make(3, 2).panel
    units = np.ones_like(panel.units)
    units[1, :6] = 0.0  # nothing before its launch in the seventh period, which is left out
    units[2, 10:17] = 0.0  # 7 of 59 periods without a sale
    on_sale = np.ones_like(panel.on_sale)
    on_sale[1, :6] = False
    steady = steady_sellers(replace(panel, units=units, on_sale=on_sale))
    assert steady.tolist() == [True, True, False]


def test_an_effect_half_as_large_as_promised_fails_and_few_events_are_no_verdict() -> None:
    model, cells = _events(2, 1.0, 6000)
    found = events_check(price_events(model, cells, np.ones(20, dtype=np.bool_), 0))
    assert found.figure("bias_cuts").verdict is Verdict.FAILED
    assert found.figure("bias_cuts").value > 0.05
    assert found.figure("bias_rises").value < -0.05
    steady = np.arange(20) < 10
    part = price_events(model, cells, steady, 0)
    assert len(part.units) == ((cells.units > 0.0) & (cells.step != 0.0) & steady[cells.rows]).sum()
    few = events_check(price_events(model, cells, np.zeros(20, dtype=np.bool_), 0))
    assert few.reason is Reason.FEW_EVENTS
    rows = found.table.rows
    assert [row[:2] for row in rows] == [(-0.3, -0.15), (0.15, 0.3)]
    assert sum(float(row[2]) for row in rows) == len(price_events(model, cells, steady, 0).units) + sum(
        (cells.units > 0.0) & (cells.step != 0.0) & ~steady[cells.rows]
    )


def test_a_replay_has_the_models_mean_and_its_money_by_hand() -> None:
    model = _model(10, shock=0.1)
    rows = np.repeat(np.arange(10), 4)
    at = np.zeros((40, C))
    at[:, 0] = 1.0
    mu = np.exp(model.mean[rows, 0] + 0.5 * (model.factor[rows, 0, 0] ** 2))
    units = np.rint(mu)
    regular = np.where(rows < 5, 200.0, 400.0)
    cells = _cells(rows, units, mu, at=at, offered=0.75 * regular, regular=regular)
    made = replay(model, cells, 400, 7)
    error = made.units.std() / np.sqrt(400)
    assert abs(made.units.mean() - mu.sum()) < 4.0 * error
    np.testing.assert_allclose(made.discount_share, 0.25)
    assert made.actual_discount_share == 0.25
    assert made.actual == (units.sum(), float(units @ (0.75 * regular)), float(units @ (0.25 * regular)))
    assert replay_check(made).figure("discount_share").value == pytest.approx(0.0, abs=1e-12)
    again = replay(model, cells, 8, 7)
    np.testing.assert_array_equal(again.units, made.units[:8])
    half = replace(cells, exposure=np.full(40, 0.5))
    assert replay(model, half, 400, 7).units.mean() == pytest.approx(0.5 * mu.sum(), rel=0.05)
    wrong = replay_check(replay(model, replace(cells, units=0.8 * units), 64, 7))
    assert wrong.figure("units").verdict is Verdict.FAILED


def test_room_for_hidden_demand_is_judged_where_no_test_moved_the_price() -> None:
    series = _model(4).series
    flat, codes = np.zeros((4, 2)), np.full((4, 2), int(Identification.PROMO_CONTROLLED), dtype=np.int8)
    codes[3] = int(Identification.EXPERIMENT)
    wide = np.array([2.0, 4.0, 3.0, 50.0])[:, None] * np.ones(2)
    prices = np.zeros((4, 2), dtype=np.int64)
    table = Elasticities(
        series, prices, flat - 2.0, flat - 3.0, flat - 1.0, codes, -2.0 - wide, -2.0 + wide, prices, prices
    )
    found = sensitivity_check(table, np.arange(4))
    assert found.figure("ratio").value == 3.0, "the median of 2, 4 and 3 times as wide"
    assert found.verdict is Verdict.PASSED
    assert sensitivity_check(table, np.array([1])).verdict is Verdict.FAILED
    assert found.figure("negative_regular").value == 0.0
    assert sensitivity_check(table, np.array([3])).reason is Reason.TESTED


def test_a_refused_instrument_is_told_and_judges_nothing() -> None:
    strong = FirstStage(("cost",), (0.8,), (0.1,), 64.0, 30, refused=False)
    assert instrument_check(strong).verdict is Verdict.PASSED
    weak = instrument_check(FirstStage(("cost",), (0.2,), (0.1,), 4.0, 30, refused=True))
    assert (weak.verdict, weak.reason) == (Verdict.NOT_APPLICABLE, Reason.WEAK_INSTRUMENT)
    assert weak.figure("strength").value == 4.0
    assert instrument_check(None).reason is Reason.NO_COSTS
