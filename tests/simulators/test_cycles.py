"""The calendar's cycles: waves by hand, what so many days tell, and cycles found in shocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricing.calendar import MONTH_DAYS, YEAR_DAYS, cycle_waves, middle_days
from pricing.model import DemandModel
from simulators.demand.cycles import first_cycle, lengths_told, split_cycle
from simulators.demand.drift import Drift
from simulators.demand.shocks import Shared, first_shocks
from simulators.worlds import toy_shop

WEEKS = np.datetime64("2023-01-02") + 7 * np.arange(60)


def test_waves_turn_once_in_a_cycle() -> None:
    found = cycle_waves(np.array([0.0, 7.5, 15.0, 30.0]), np.array([30.0, 60.0]))
    np.testing.assert_allclose(found[:, :2], [[1, 0], [0, 1], [-1, 0], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(found[1, 2:], [np.sqrt(0.5), np.sqrt(0.5)])


def test_a_period_stands_for_its_middle() -> None:
    np.testing.assert_array_equal(middle_days(np.array([10, 17]), 7), [13.0, 20.0])
    np.testing.assert_array_equal(middle_days(np.array([10]), 1), [10.0])


@pytest.mark.parametrize(
    ("weeks", "cycles"),
    [(26, []), (27, [MONTH_DAYS]), (104, [MONTH_DAYS]), (105, [MONTH_DAYS, YEAR_DAYS, YEAR_DAYS / 2.0])],
)
def test_a_cycle_is_told_once_it_came_often_enough(weeks: int, cycles: list[float]) -> None:
    periods = np.datetime64("2020-01-06") + 7 * np.arange(weeks)
    np.testing.assert_array_equal(lengths_told(periods, 7), cycles)


def test_what_traffic_follows_of_the_month_is_measured_from_it() -> None:
    rng = np.random.default_rng(3)
    waves = cycle_waves(middle_days(WEEKS.astype(np.int64), 7), np.array([MONTH_DAYS]))
    traffic = waves @ [0.1, -0.05] + 0.01 * rng.standard_normal(60)
    cycle, rest = first_cycle(WEEKS, 7, 2, traffic)
    assert cycle is not None
    np.testing.assert_allclose(cycle.traffic, [0.1, -0.05], atol=0.01)
    assert rest.std() < 0.02
    none, same = first_cycle(WEEKS[:20], 7, 2, traffic[:20])
    assert none is None
    np.testing.assert_array_equal(same, traffic[:20])


def test_cycles_are_found_in_the_shocks_and_shrunk_where_there_are_none() -> None:
    rng = np.random.default_rng(4)
    cycle, _ = first_cycle(WEEKS, 7, 30, np.zeros(60))
    assert cycle is not None
    truth = np.array([0.08, -0.03])
    own = 0.03 * rng.standard_normal((30, 2))
    shared = Shared(Drift(0.9, 1e-5), np.full(1, 0.05**2))
    shocks = replace(
        first_shocks(30, 60, 7),
        period=cycle.waves @ truth + 0.05 * rng.standard_normal(60),
        category=own @ cycle.waves.T + 0.05 * rng.standard_normal((30, 60)),
        shop=shared,
        categories=Shared(shared.lasting, np.full(30, 0.05**2)),
    )
    total = shocks.log
    for _ in range(30):
        before = shocks.log + cycle.columns
        shocks, cycle = split_cycle(shocks, cycle)
        np.testing.assert_allclose(shocks.log + cycle.columns, before)  # moved, not lost
    np.testing.assert_allclose(cycle.profile.mean(axis=0), truth + own.mean(axis=0), atol=0.02)
    assert np.corrcoef(cycle.category.ravel(), own.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(np.sqrt(cycle.category_variance), 0.03, atol=0.01)
    np.testing.assert_allclose(shocks.log + cycle.columns, total)
    quiet, still = first_cycle(WEEKS, 7, 30, np.zeros(60))[0], first_shocks(30, 60, 7)
    assert quiet is not None
    noisy = replace(still, period=0.05 * rng.standard_normal(60), shop=shared)
    for _ in range(200):
        noisy, quiet = split_cycle(noisy, quiet)
    assert np.abs(quiet.profile).max() < 0.03


def test_a_model_without_cycles_knows_no_season() -> None:
    toy_model = toy_shop(2, 1)[1]
    rows, day = np.arange(2, dtype=np.int64), np.array([[19_000], [19_007]])
    np.testing.assert_array_equal(toy_model.season_on(rows, day), np.zeros((2, 2)))
    G = len(toy_model.category_shock_sd)
    seasonal = replace(toy_model, cycle_days=np.array([MONTH_DAYS]), cycle=np.tile([0.1, 0.0], (G, 1)))
    expected = 0.1 * np.cos(2.0 * np.pi * (day + 3.0) / MONTH_DAYS)  # a week's middle is its fourth day
    np.testing.assert_allclose(seasonal.season_on(rows, day), np.tile(expected, (1, 2)))
    again = DemandModel.from_bytes(seasonal.to_bytes())
    np.testing.assert_array_equal(again.cycle, seasonal.cycle)
    assert DemandModel.from_bytes(toy_model.to_bytes()).cycle is None
