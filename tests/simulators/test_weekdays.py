"""Demand by days: the week that a shop has, the days on which it is shut, and prices that nobody recorded."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.days import FIRST, WEEK, DailyShop, Truth, write_daily_shop
from pricing.errors import RefusedError
from pricing.model import COEFFICIENTS, DemandModel
from simulators.contract.tables import open_source
from simulators.demand.design import observed
from simulators.demand.drift import Drift
from simulators.demand.metrics import wmape
from simulators.demand.predict import last_known, predict
from simulators.demand.scenario import Scenario
from simulators.demand.shocks import Shared, first_shocks
from simulators.demand.validate import backtest
from simulators.demand.weekdays import Week, by_days, closed, first_week, split_week, weekday
from simulators.run import Run, fit_run, load_run, save_run, validate_run
from simulators.updating import update_run
from tests.simulators.demand_truth import make

LATER = dt.date(2100, 1, 1)
UNTIL = FIRST + dt.timedelta(days=154)


@cache
def _fitted(folder: Path, shop: DailyShop, until: str | None = str(UNTIL)) -> tuple[Truth, Run]:
    truth = write_daily_shop(folder, shop)
    with open_source(folder, today=LATER) as source:
        return truth, fit_run(source, seed=1, until=until)


@pytest.fixture(scope="module")
def open_daily(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Run]:
    return _fitted(tmp_path_factory.mktemp("open") / "data", DailyShop(1))


@pytest.fixture(scope="module")
def shut_sundays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Run]:
    days = (dt.date(2025, 4, 18), dt.date(2025, 5, 1))
    return _fitted(tmp_path_factory.mktemp("shut") / "data", DailyShop(2, sundays=False, shut=days))


def _week(model: DemandModel) -> np.ndarray:
    assert model.weekday is not None
    return np.exp(model.weekday)


def _column(name: str) -> int:
    return COEFFICIENTS.index(name)


def test_weekdays_are_those_of_the_calendar() -> None:
    days = np.arange(np.datetime64("1969-12-25"), np.datetime64("1970-02-01"))
    asked = [dt.date.fromisoformat(str(day)).weekday() for day in days]
    assert weekday(days).tolist() == asked


def test_each_category_gets_its_own_week(open_daily: tuple[Truth, Run]) -> None:
    _, run = open_daily
    assert np.abs(_week(run.model) / WEEK - 1.0).max() < 0.1
    assert np.allclose(_week(run.model).mean(axis=1), 1.0, atol=1e-12)  # an average week is a mean day
    assert run.model.period_shock_sd < 0.1  # with the week left in them .4
    assert run.report.anchor is not None
    assert 0 < run.report.anchor.rows <= 40 * 84  # the outside regression sees twelve weeks of days


def test_days_are_foretold_nearly_as_well_as_their_truth_allows(open_daily: tuple[Truth, Run]) -> None:
    truth, run = open_daily
    cells = backtest(run.model, run.panel)
    best = truth.mean[cells.rows, cells.period + 154]
    assert wmape(cells.units, cells.expected) < 1.03 * wmape(cells.units, best)
    inside = (cells.units >= cells.lower) & (cells.units <= cells.upper)
    assert 0.89 < inside.mean() < 0.95
    blind = replace(run.model, weekday=None)
    assert wmape(cells.units, backtest(blind, run.panel).expected) > 1.1 * wmape(cells.units, best)


@pytest.mark.parametrize("dear", [False, True])
def test_elasticities_are_covered_though_prices_move_with_the_weekend(dear: bool, tmp_path: Path) -> None:
    truth, run = _fitted(tmp_path / "data", DailyShop(3, dear_weekends=dear))
    c = _column("regular")
    sd = np.linalg.norm(run.model.factor[:, c], axis=1)
    miss = run.model.mean[:, c] - truth.elasticity
    assert (np.abs(miss) <= 1.645 * sd).mean() >= 0.8
    assert abs(miss.mean()) < 0.35


def test_products_that_do_not_sell_daily_keep_their_elasticity(tmp_path: Path) -> None:
    """The last price carried forward sets days without a sale at a new price against the old one.

    Counted as evidence they give elasticities of -0.9 on average where the truth is -2, with 43 % coverage.
    """
    truth, run = _fitted(tmp_path / "data", DailyShop(1, level=0.4), None)
    c = _column("regular")
    own = np.array([int(group[1:]) for group in run.model.series.group])
    miss = run.model.mean[:, c] - truth.elasticity[own]
    sd = np.linalg.norm(run.model.factor[:, c], axis=1)
    assert abs(miss.mean()) < 0.5
    assert (np.abs(miss) <= 1.645 * sd).mean() > 0.85


def test_what_lies_between_two_prices_is_no_evidence_and_nor_are_both_sales() -> None:
    """By hand: 10 10 . . 12 . 12 12 sold on days 0 1 4 6 7; days 1 to 4 say nothing."""
    panel = make(1, 1).panel.between(0, 8)
    sold = np.array([[1, 1, 0, 0, 1, 0, 1, 1]], dtype=np.bool_)
    price = np.where(sold, np.array([10.0, 10.0, 0, 0, 12.0, 0, 12.0, 12.0]), np.nan)
    daily = replace(
        panel,
        units=sold.astype(np.float64),
        offered=price,
        regular=price,
        periods=np.datetime64("2025-02-03") + np.arange(8),
        days=np.ones(8, dtype=np.int64),
    )
    assert observed(daily)[0].tolist() == [False, False, False, False, False, True, True, True]
    weeks = replace(daily, periods=np.datetime64("2025-02-03") + 7 * np.arange(8))
    assert observed(weeks)[0].tolist() == [False, *[True] * 7]  # by weeks all count, but for the first sale
    recorded = np.array([[10.0, 10.0, 10.0, 12.0, 12.0, 12.0, 12.0, 12.0]])
    told = replace(daily, offered=recorded, regular=recorded)
    assert observed(told)[0].tolist() == [False, *[True] * 7]  # a price table tells every day's price


def test_days_on_which_the_shop_was_shut_are_no_evidence(shut_sundays: tuple[Truth, Run]) -> None:
    _, run = shut_sundays
    off = closed(run.panel)
    sundays = weekday(run.panel.periods) == 6
    holidays = np.isin(run.panel.periods, np.array(["2025-04-18", "2025-05-01"], dtype="datetime64[D]"))
    assert np.array_equal(off, sundays | holidays)
    assert not observed(run.panel)[:, off].any()
    assert np.isnan(_week(run.model)[:, 6]).all()
    assert (
        np.abs(_week(run.model)[:, :6] / (WEEK[:, :6] / WEEK[:, :6].mean(axis=1, keepdims=True)) - 1).max()
        < 0.12
    )
    cells = backtest(run.model, run.panel)
    assert not (weekday(run.panel.periods[154:])[cells.period] == 6).any()
    assert abs(cells.expected.sum() / cells.units.sum() - 1.0) < 0.05


def test_a_small_shops_day_without_a_sale_is_a_day() -> None:
    panel = make(1, 1).panel.between(0, 28)
    units = np.zeros((1, 28))
    units[0, ::2] = 1.0
    daily = replace(
        panel,
        units=units,
        periods=np.datetime64("2025-02-03") + np.arange(28),
        days=np.ones(28, dtype=np.int64),
    )
    assert not closed(daily).any()
    assert not closed(panel).any()
    assert by_days(daily)
    assert not by_days(panel)


def test_a_weekday_that_was_never_open_is_not_predicted(shut_sundays: tuple[Truth, Run]) -> None:
    _, run = shut_sundays

    def asked(day: str) -> Scenario:
        at = np.array([day], dtype="datetime64[D]")
        price = np.array([float(run.model.support_low[0])])
        nothing = np.full(1, np.nan)
        return Scenario(("p00",), ("shop",), at, price, price, nothing, nothing)

    known = last_known(run.training)
    expected = [
        float(predict(run.model, known, asked(day)).expected[0]) for day in ("2025-07-07", "2025-07-12")
    ]
    assert expected[1] / expected[0] == pytest.approx(WEEK[0, 5] / WEEK[0, 0], rel=0.15)
    with pytest.raises(RefusedError, match="never sold on the weekday of 2025-07-13"):
        predict(run.model, known, asked("2025-07-13"))


def test_a_run_by_days_is_saved_validated_and_updated(open_daily: tuple[Truth, Run], tmp_path: Path) -> None:
    _, run = open_daily
    save_run(tmp_path / "run", run)
    back = load_run(tmp_path / "run")
    assert back.model.to_bytes() == run.model.to_bytes()
    assert validate_run(back).periods == 26
    data = tmp_path / "data"
    write_daily_shop(data, DailyShop(1))
    with open_source(data, today=LATER) as source:
        made = update_run(back, source, until=str(UNTIL + dt.timedelta(days=14)))
    assert made.model.weekday is not None
    assert np.array_equal(made.model.weekday, _known(run.model))
    cells = backtest(made.model, made.panel)
    assert cells.period.max() == 11
    assert abs(cells.expected.sum() / cells.units.sum() - 1.0) < 0.06
    sd = np.linalg.norm(run.model.factor[:, 1], axis=1)
    assert np.abs((made.model.mean - run.model.mean)[:, 1] / sd).max() < 1.5


def _known(model: DemandModel) -> np.ndarray:
    assert model.weekday is not None
    return model.weekday


@pytest.mark.parametrize("days", [7, 10, 21])
def test_few_days_are_fitted_without_a_week_or_with_a_rough_one(days: int, tmp_path: Path) -> None:
    _, run = _fitted(tmp_path / "data", DailyShop(4, days=days), None)
    assert (run.model.weekday is None) == (days < 14)
    assert np.isfinite(run.model.mean).all()
    assert (run.model.mean[:, _column("regular")] < 0.0).all()


def test_a_week_without_any_order_is_a_closure_of_a_busy_shop(tmp_path: Path) -> None:
    shut = tuple(FIRST + dt.timedelta(days=60 + i) for i in range(7))
    _, run = _fitted(tmp_path / "data", DailyShop(5, shut=shut))
    assert closed(run.panel).sum() == 7
    assert np.abs(_week(run.model) / WEEK - 1.0).max() < 0.12
    assert run.model.period_shock_sd < 0.1


def test_weeks_have_no_week() -> None:
    panel = make(3, 1).panel
    traffic = np.linspace(-1.0, 1.0, len(panel.periods))
    week, rest = first_week(panel, 2, traffic)
    assert week is None
    assert rest is traffic


def test_orders_about_the_clock_change_fall_on_their_own_day(tmp_path: Path) -> None:
    """Madrid sprang forward on 30 March 2025: 22:30 UTC of the 29th and 21:30 of the 30th are both 23:30."""
    write_daily_shop(tmp_path / "data", DailyShop(6, products=2, days=70))
    orders = tmp_path / "data" / "orders.csv"
    lines = orders.read_text().splitlines()
    kept = [line for line in lines if "2025-03-29" not in line and "2025-03-30" not in line]
    for i, when in enumerate(("2025-03-29T22:30:00Z", "2025-03-29T23:30:00Z", "2025-03-30T21:30:00Z")):
        kept.append(f"x{i},1,{when},paid,p00,{10 + i},5.00,5.00,{5 * (10 + i)}.00,gross")
    orders.write_text("\n".join(kept) + "\n")
    with open_source(tmp_path / "data", today=LATER) as source:
        panel = fit_run(source, seed=1).panel
    at = panel.position(np.datetime64("2025-03-29"))
    assert panel.units[0, at : at + 2].tolist() == [10.0, 11.0 + 12.0]
    assert (np.diff(panel.periods) == np.timedelta64(1, "D")).all()


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7),
    st.lists(st.floats(-0.5, 0.5), min_size=14, max_size=14),
    st.integers(3, 20),
)
@settings(max_examples=50, deadline=None)
def test_moving_the_week_out_of_the_shocks_changes_no_expectation(
    shop: list[float], own: list[float], weeks: int
) -> None:
    """Shocks plus traffic stay what they were, but for the lift of the levels; the mean multiplier is 1."""
    T = 7 * weeks
    day = np.arange(T) % 7
    rng = np.random.default_rng(weeks)
    period = np.array(shop)[day] + 0.01 * rng.standard_normal(T)
    category = np.array(own).reshape(2, 7)[:, day] + 0.01 * rng.standard_normal((2, T))
    still = Drift(0.5, 1e-9)
    shocks = replace(
        first_shocks(2, T, 1), period=period, category=category,
        shop=Shared(still, np.full(1, 0.01)), categories=Shared(still, np.full(2, 0.01)),
    )  # fmt: skip
    week = Week(np.zeros(7), np.zeros((2, 7)), 1.0, 0.04, day, np.ones(T, dtype=np.bool_))
    left, moved, lift = split_week(shocks, week)
    columns = moved.columns(np.arange(2), np.zeros(T))
    assert np.allclose(left.log + columns + lift[:, None], shocks.log, atol=1e-12)
    assert np.allclose(np.exp(moved.profile).mean(axis=1), 1.0, atol=1e-12)
    assert np.abs(left.log).mean() <= np.abs(shocks.log).mean() + 1e-12
