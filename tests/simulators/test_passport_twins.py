"""Real against simulated: a classifier has to find what is wrong, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pricing.arrays import Floats, Ints
from pricing.model import COEFFICIENTS, DemandModel
from simulators.demand.validate import Backtest
from simulators.passport.classifier import Sample, auc, told_apart
from simulators.passport.replay import simulated_units
from simulators.passport.twins import CATEGORY_FEATURES, PRODUCT_FEATURES, Setting, twins_check
from simulators.passport.verdict import Reason, Verdict
from simulators.worlds import toy_shop

SERIES, PERIODS, CATEGORIES = 240, 20, 24


def _held(model: DemandModel, units: Floats, move: Floats | None = None) -> Backtest:
    """Return held-out cells of every series of a model in turn, at an intercept and nothing else."""
    n = len(model.series)
    rows = np.repeat(np.arange(n), len(units) // n)
    R, at = len(rows), np.zeros((len(rows), len(COEFFICIENTS)))
    at[:, 0] = 1.0
    variance = model.factor[rows, 0, 0] ** 2
    mu = np.exp(model.mean[rows, 0] + 0.5 * variance)
    zero, yes = np.zeros(R), np.ones(R, dtype=np.bool_)
    moved = zero if move is None else move
    return Backtest(
        rows=rows, period=np.arange(R) % (R // n), units=units, expected=mu, lower=zero, upper=zero,
        base=np.log(mu), lift=zero, move=moved, variance=variance, naive=mu, inside=yes, at=at,
        exposure=zero + 1.0, offered=zero + 100.0, regular=zero + 100.0, step=moved, stayed=mu, recorded=yes,
    )  # fmt: skip


@cache
def _world() -> tuple[DemandModel, Backtest]:
    """Return a model, and sales that were drawn from it."""
    model = replace(
        toy_shop(SERIES, 3, elasticity_sd=0.0, shock_sd=0.2)[1],
        category=np.arange(SERIES) % CATEGORIES,
        category_shock_sd=np.full(CATEGORIES, 0.2),
        absence=np.full(SERIES, 0.03),
    )
    cells = _held(model, np.zeros(SERIES * PERIODS))
    return model, replace(
        cells, units=next(simulated_units(model, cells, 1, np.random.default_rng(8), first=500))
    )


@given(st.integers(0, 10_000))
def test_the_auc_is_that_of_mann_and_whitney_and_weights_are_copies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 4, 30).astype(float)
    positive = np.arange(30) % 3 == 0
    u = stats.mannwhitneyu(score[positive], score[~positive]).statistic
    assert auc(positive, score, np.ones(30)) == pytest.approx(u / (10 * 20))
    times = rng.integers(0, 3, 30) + (np.arange(30) < 2)
    again = auc(np.repeat(positive, times), np.repeat(score, times), np.ones(int(times.sum())))
    assert auc(positive, score, times.astype(float)) == pytest.approx(again)


def test_the_auc_without_a_pair_is_no_number() -> None:
    assert np.isnan(auc(np.ones(3, dtype=np.bool_), np.arange(3.0), np.ones(3)))


def _sample(X: Floats, group: Ints, period: Ints) -> Sample:
    return Sample(X[:, None], group, period)


def test_a_difference_is_found_on_groups_and_periods_not_seen_and_luck_of_a_group_is_not() -> None:
    rng = np.random.default_rng(1)
    group, period = np.repeat(np.arange(60), 50), np.tile(np.repeat(np.arange(5), 10), 60)
    noise = rng.standard_normal((2, 3000))
    far = told_apart(_sample(noise[0], group, period), _sample(noise[1] + 1.0, group, period), 0)
    assert far.auc == pytest.approx(stats.norm.cdf(1.0 / np.sqrt(2.0)), abs=0.03), "two normals, one sd apart"
    same = told_apart(_sample(noise[0], group, period), _sample(noise[1], group, period), 0)
    assert same.auc == pytest.approx(0.5, abs=0.03)
    luck, week = rng.standard_normal((2, 60)), rng.standard_normal((2, 5))
    for lucky in (luck[:, group], week[:, period]):
        one, two = (_sample(lucky[k] + 1e-3 * noise[k], group, period) for k in range(2))
        assert told_apart(one, two, 0).auc < 0.62, "what one group or one week had, the others do not have"
    heavy = told_apart(
        _sample(noise[0], group, period),
        Sample(np.tile(noise[1] + 1.0, 4)[:, None], np.tile(group, 4), np.tile(period, 4)),
        0,
    )
    assert heavy.auc == pytest.approx(far.auc, abs=0.03), "four times as many rows count no more"


def test_features_by_hand() -> None:
    model, _ = _world()
    two = replace(
        model.take(np.array([0, CATEGORIES])),
        mean=np.zeros((2, len(COEFFICIENTS))) + np.log([[4.0], [1.0]]) * (np.arange(len(COEFFICIENTS)) == 0),
        factor=np.zeros((2, len(COEFFICIENTS), len(COEFFICIENTS))),
        dispersion=np.array([2.0, 1.0]),
        absence=np.zeros(2),
        category_shock_sd=np.full(CATEGORIES, 0.3),
        period_shock_sd=0.4,
    )
    units = np.array([7.0, 0.0, 3.0, 2.0])
    setting = Setting.of(two, _held(two, units, np.array([0.0, -0.2, 0.0, 0.1])))
    found = dict(zip(PRODUCT_FEATURES, setting.products(units).T, strict=True))
    shop = np.array([2.0, 0.4, 2.0, 0.4])  # 10 and 2 units where 5 were expected
    mu = shop * [4.0, 4.0, 1.0, 1.0]
    surprise = np.log1p(units) - np.log1p(mu)
    np.testing.assert_allclose(found["expected"], np.log([4.0, 4.0, 1.0, 1.0]), atol=1e-12)
    np.testing.assert_allclose(found["surprise"], surprise)
    np.testing.assert_allclose(found["before"], [np.nan, surprise[0], np.nan, surprise[2]])
    wide = np.array([0.5, 0.5, 1.0, 1.0]) + np.expm1(0.09)
    away = (units - mu) / np.sqrt(mu + mu**2 * wide)
    np.testing.assert_allclose(found["standardised"], away)
    np.testing.assert_allclose(found["restless"][0], (away[0] ** 2 + away[1] ** 2) / 2)
    np.testing.assert_allclose(found["level"][[0, 2]], np.log([8 / 10.6, 6 / 3.4]))
    np.testing.assert_allclose(found["zeros"][:2], 0.5 - setting.nothing[0])
    np.testing.assert_allclose(found["answer_step"], surprise * [0.0, -0.2, 0.0, 0.1])
    kept = np.zeros((CATEGORIES, 2), dtype=np.bool_)
    kept[0] = True
    total = dict(zip(CATEGORY_FEATURES, setting.categories(units, kept).T, strict=True))
    np.testing.assert_allclose(total["expected"], np.log([5.0, 5.0]))
    np.testing.assert_allclose(total["total"], [0.0, 0.0], atol=1e-12, err_msg="the shop is this category")
    np.testing.assert_allclose(total["step"], [0.0, (4 * -0.2 + 0.1) / 5], atol=1e-12)
    np.testing.assert_allclose(setting.total_variance[0], 4 + 8 + 1 + 1 + 25 * np.expm1(0.09))


def test_a_model_of_the_truth_passes_and_the_floor_is_a_half() -> None:
    model, cells = _world()
    found = twins_check(model, cells, SERIES, 0)
    assert found.verdict is Verdict.PASSED, found
    for name in ("products", "products_floor", "categories", "categories_floor"):
        figure = found.figure(name)
        assert abs(figure.value - 0.5) < 4.0 * figure.error, figure
    assert repr(twins_check(model, cells, SERIES, 0)) == repr(found)
    assert repr(twins_check(model, cells, SERIES, 1)) != repr(found)


def test_twins_without_shared_shocks_are_told_by_their_categories_alone() -> None:
    model, cells = _world()
    calm = replace(model, period_shock_sd=0.0, category_shock_sd=np.zeros(CATEGORIES))
    found = twins_check(calm, cells, SERIES, 0)
    assert found.figure("categories").verdict is Verdict.FAILED, found
    assert found.figure("products").value < found.figure("categories").value


@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_twins_of_another_dispersion_are_told(factor: float) -> None:
    model, cells = _world()
    found = twins_check(replace(model, dispersion=factor * model.dispersion), cells, SERIES, 0)
    assert found.verdict is Verdict.FAILED, found
    level = [row for row in found.table.rows if row[0] == "products"]
    assert level[0][1] == "restless", "and the table says by what"
    assert sum(float(row[2]) for row in level) == pytest.approx(1.0, abs=1e-4)


def test_too_few_categories_leave_it_untold_and_too_few_cells_unasked() -> None:
    model, cells = _world()
    few = replace(model, category=np.arange(SERIES) % 4)
    found = twins_check(few, cells, 120, 0)
    assert found.figure("categories").reason is Reason.FEW_CATEGORIES
    assert (found.verdict, found.reason) == (Verdict.NOT_APPLICABLE, Reason.FEW_CATEGORIES)
    assert found.figure("series").value == 120.0
    assert found.figure("cells").value == 120.0 * PERIODS
    small = cells.take(np.arange(len(cells.rows)) < 999)
    assert twins_check(model, small, SERIES, 0).reason is Reason.FEW_CELLS
