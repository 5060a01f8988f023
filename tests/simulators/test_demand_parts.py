"""The parts of the fit, each against something that can be checked by hand or drawn at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from pricing.arrays import Floats
from pricing.evidence import Identification, PriceKind
from pricing.model import COEFFICIENTS
from pricing.panel import Panel
from pricing.rivals import Rivals
from simulators.demand.design import design, known_prices, log_traffic, observed
from simulators.demand.dispersion import GRID, log_likelihood_by_size, shrink_sizes, size_population
from simulators.demand.drift import Drift
from simulators.demand.identification import believed, held_inside, identify, inside_support, support
from simulators.demand.population import first_population, update_level, update_population
from simulators.demand.shocks import (
    first_shocks,
    information,
    outlook,
    spectrum,
    split_traffic,
    update_shocks,
)  # fmt: skip
from tests.simulators.demand_truth import make

C = len(COEFFICIENTS)
NAN = float("nan")


def _panel(offered: list[float], regular: list[float] | None = None) -> Panel:
    """One series with these recorded prices."""
    T = len(offered)
    panel = make(1, 1).panel.between(0, T)
    return replace(panel, offered=np.array([offered]), regular=np.array([regular or offered]))


# Design.


def test_regressors_by_hand() -> None:
    panel = _panel([100.0, 80.0, NAN, 90.0], [100.0, 100.0, NAN, 120.0])
    panel = replace(panel, feature=np.array([[0.0, 1.0, 0.6, 0.5]]), display=np.array([[0.0, 0.0, 0.2, 0.0]]))
    made = design(panel, np.array([100.0]), np.array([0.0, 0.1, -0.1, 0.0]), 7, Rivals.none(1))
    log = np.log
    bend = log(1.2) ** 2 / (log(1.2) + 0.05)
    expected = [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 0.0, log(0.8), 1.0, 0.0, 0.0, 0.1, 1.0 - 0.8**50, log(0.8), 0.0, 0.0, 0.0],
        # The gap carries 80 off 100 forward, for it is featured still.
        [1.0, 0.0, log(0.8), 0.6, 0.2, log(0.8), -0.1, 1.0 - 0.8**50, 0.6 * log(0.8), 0.0, 0.0, 0.0],
        [1.0, log(1.2), log(0.75), 0.5, 0.0, log(0.8), 0.0, 1.0 - 0.75**50, 0.5 * log(0.75), 0.0, bend, bend],
    ]
    np.testing.assert_allclose(made.X[0], expected, atol=1e-12)
    np.testing.assert_array_equal(made.offset, 0.0)


def test_a_regular_price_below_the_shelf_price_is_read_as_equal() -> None:
    prices = known_prices(_panel([100.0, 110.0], [100.0, 100.0]))
    np.testing.assert_array_equal(prices.regular, [[100.0, 110.0]])


def test_exposure_is_days_times_stock() -> None:
    panel = _panel([100.0, 100.0, 100.0])
    panel = replace(panel, days=np.array([7, 3, 7]), in_stock=np.array([[1.0, 1.0, 0.5]]))
    made = design(panel, np.array([100.0]), np.zeros(3), 7, Rivals.none(1))
    np.testing.assert_allclose(np.exp(made.offset), [[1.0, 3.0 / 7.0, 0.5]])


def test_the_opening_sale_and_the_first_period_are_no_evidence() -> None:
    panel = _panel([100.0] * 5)
    panel = replace(
        panel,
        units=np.array([[0.0, 0.0, 3.0, 0.0, 1.0]]),
        on_sale=np.array([[False, False, True, True, True]]),
        in_stock=np.array([[1.0, 1.0, 1.0, 1.0, 1.0]]),
    )
    assert observed(panel).tolist() == [[False, False, False, True, True]]
    known_launch = replace(panel, on_sale=np.ones((1, 5), dtype=np.bool_))
    assert observed(known_launch).tolist() == [[False, True, True, True, True]]
    empty_shelf = replace(known_launch, in_stock=np.array([[1.0, 0.0, 1.0, 1.0, 1.0]]))
    assert observed(empty_shelf).tolist() == [[False, False, True, True, True]]


def test_traffic_is_daily_and_centred_and_zero_where_unknown() -> None:
    panel = replace(_panel([100.0] * 3), days=np.array([7, 1, 7]), traffic=np.array([700.0, 100.0, 0.0]))
    np.testing.assert_allclose(log_traffic(panel), 0.0, atol=1e-12)
    assert log_traffic(replace(panel, traffic=np.zeros(3))).tolist() == [0.0, 0.0, 0.0]


def test_orders_are_no_measure_of_visits_where_few_products_make_them() -> None:
    panel = replace(make(40, seed=1).panel, traffic_is_orders=True)
    even = replace(panel, units=np.ones_like(panel.units))
    assert log_traffic(even).std() > 0.05
    assert not log_traffic(even.take(np.arange(19))).any()
    # Forty products of which one sells as much as all the others together are as concentrated as four.
    top = np.where(np.arange(40)[:, None] == 0, 39.0, 1.0)
    assert not log_traffic(replace(panel, units=panel.units * 0.0 + top)).any()
    assert log_traffic(replace(even.take(np.arange(19)), traffic_is_orders=False)).any()


# Dispersion.


def test_size_likelihood_is_scipys() -> None:
    y, mu = np.array([[0.0, 3.0, 1.0, 7.0]]), np.array([[0.5, 2.0, 1.0, 4.0]])
    ours = log_likelihood_by_size(y, np.ones((1, 4), dtype=np.bool_), np.log(mu), np.zeros((1, 4)))[0]
    theirs = [nbinom.logpmf(y[0], r, r / (r + mu[0])).sum() for r in np.exp(GRID)]
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), atol=1e-8)


def test_sizes_are_recovered_and_shrunk() -> None:
    rng = np.random.default_rng(1)
    truth = np.exp(1.0 + 0.5 * rng.standard_normal(400))
    mu = np.full((400, 60), 5.0)
    y = rng.poisson(rng.gamma(truth[:, None], mu / truth[:, None])).astype(float)
    likelihood = log_likelihood_by_size(y, np.ones(y.shape, dtype=np.bool_), np.log(mu), np.zeros(y.shape))
    population = size_population(likelihood)
    assert population.mean == pytest.approx(1.0, abs=0.1)
    assert population.sd == pytest.approx(0.5, abs=0.15)
    found = np.log(shrink_sizes(likelihood, population))
    assert found.std() < np.log(truth).std() + 0.05
    assert np.corrcoef(found, np.log(truth))[0, 1] > 0.7


# Population.


def _converged(
    estimate: Floats, error: Floats, category: np.ndarray, rounds: int = 60
) -> tuple[Floats, Floats]:
    """Run the updates on independent normal estimates [n, C] with standard errors [n, C]."""
    population = first_population(estimate[:, 0], int(category.max()) + 1, estimate.shape[1], bent=True)
    for _ in range(rounds):
        P = np.linalg.inv(population.covariance)
        information = np.zeros((len(estimate), C, C))
        information[:, np.arange(C), np.arange(C)] = 1.0 / error**2
        V = np.linalg.inv(information + P)
        prior = population.category_mean[category]
        right = estimate / error**2 + prior @ P
        mode = np.matmul(V, right[..., None])[..., 0]
        population, _ = update_population(mode, V, category, population.taking_means_as_known())
    return population.mean, np.sqrt(np.diag(population.covariance) + population.between)


def test_population_of_noisy_estimates_is_recovered() -> None:
    rng = np.random.default_rng(4)
    n = 1500
    mean = np.array([0.5, -1.0, -2.0, 0.3, 0.4, 0.1, 0.7, 0.2, -0.4, 0.3, -0.5, 0.4])
    sd = np.array([1.0, 0.6, 0.8, 0.3, 0.3, 0.2, 0.3, 0.02, 0.02, 0.3, 0.02, 0.02])  # four taken to be shared
    error = np.full((n, C), 0.7)
    error[:, 0] = 0.2
    estimate = mean + sd * rng.standard_normal((n, C)) + error * rng.standard_normal((n, C))
    found_mean, found_sd = _converged(estimate, error, np.arange(n) % 5)
    np.testing.assert_allclose(found_mean, mean, atol=0.12)
    np.testing.assert_allclose(found_sd, sd, atol=0.15)


def test_one_round_moves_the_mean_where_plain_averages_would_crawl() -> None:
    # Estimates with little information: plain EM would move the mean by a few per cent of the way.
    n = 400
    error = np.full((n, C), 5.0)
    estimate = np.zeros((n, C))
    estimate[:, 1] = -4.0
    mean, _ = _converged(estimate, error, np.zeros(n, dtype=np.int64), rounds=1)
    assert mean[1] < -3.5


def test_levels_follow_thin_series_without_touching_price_responses() -> None:
    rng = np.random.default_rng(2)
    old = first_population(np.zeros(10), 2, C, bent=True)
    level = np.concatenate([rng.normal(-2.0, 0.5, 500), rng.normal(0.0, 0.5, 500)])
    category = np.repeat([0, 1], 500)
    new = old
    for _ in range(30):
        new = update_level(level, np.full(1000, 0.01), category, new)
    np.testing.assert_allclose(new.category_mean[:, 0], [-2.0, 0.0], atol=0.1)
    np.testing.assert_allclose(np.sqrt(new.covariance[0, 0]), 0.5, atol=0.05)
    np.testing.assert_array_equal(new.category_mean[:, 1:], old.category_mean[:, 1:])
    np.testing.assert_array_equal(new.covariance[1:, 1:], old.covariance[1:, 1:])


# Shocks.


def test_shared_shocks_are_found_and_how_much_of_them_lasts() -> None:
    rng = np.random.default_rng(5)
    shop, lasting = 0.2 * rng.standard_normal(50), np.zeros((3, 50))
    for t in range(1, 50):
        lasting[:, t] = 0.95 * lasting[:, t - 1] + 0.15 * rng.standard_normal(3)
    own = 0.1 * rng.standard_normal((3, 50))
    level, still = np.log(400.0), Drift(0.5, 1e-9)
    y = rng.poisson(np.exp(level + shop + lasting + own))
    found = first_shocks(3, 50, 7)
    for _ in range(80):
        mu = np.exp(level + found.log)
        level += np.log(y.mean() / mu.mean())
        told = information(mu, still, 4.0)
        found = update_shocks(y - mu, mu, told, found)
    truth = shop + lasting + own
    np.testing.assert_allclose(
        found.log - found.log.mean(axis=1, keepdims=True),
        truth - truth.mean(axis=1, keepdims=True),
        atol=0.2,
    )
    np.testing.assert_allclose(np.sqrt(found.categories.own), 0.1, atol=0.05)
    assert found.categories.lasting.survival >= 0.9
    assert found.categories.lasting.variance > 0.05
    ahead = outlook(found, 7)
    centred = lasting - lasting.mean(axis=1, keepdims=True)
    assert np.corrcoef(ahead.lift, centred[:, -1])[0, 1] > 0.9
    np.testing.assert_allclose(np.sqrt(ahead.period_variance), 0.2, atol=0.06)


def test_series_that_drift_tell_less_of_a_path_they_share() -> None:
    """One wave at a time: the series' own movement is integrated out, by hand 1 / (1 / w + own)."""
    weight = np.full((1, 8), 2.0)
    drift = Drift(0.9, 0.04)
    own = spectrum(drift, 8)
    np.testing.assert_allclose(own.sum(), 8 * 0.04)  # the waves share the variance out
    told = information(weight, drift, 0.5)
    np.testing.assert_allclose(told[0, 1:], 1.0 / (0.5 + own[1:]))
    np.testing.assert_allclose(told[0, 0], 1.0 / (0.5 + own[0] + 8 * 0.5))


def test_shocks_of_nobody_stay_nothing() -> None:
    found = update_shocks(np.zeros((2, 6)), np.zeros((2, 6)), np.zeros((2, 6)), first_shocks(2, 6, 7))
    np.testing.assert_array_equal(found.log, 0.0)
    ahead = outlook(found, 7)
    assert np.isfinite(ahead.lift).all()


def test_traffic_takes_its_part_of_the_shocks() -> None:
    traffic = np.array([0.1, -0.2, 0.1, 0.0])
    shocks = replace(first_shocks(1, 4, 7), period=0.5 * traffic)
    rest, slope = split_traffic(shocks, traffic)
    assert slope == pytest.approx(0.5)
    np.testing.assert_allclose(rest.period, 0.0, atol=1e-15)
    assert split_traffic(shocks, np.zeros(4))[1] == 0.0


# Identification.


def test_support_sets_one_off_prices_aside() -> None:
    seen = support(
        _panel([100.0, 100.0, 104.0, 999.0, 80.0, 79.0], [100.0, 100.0, 104.0, 999.0, 100.0, 100.0])
    )
    assert (seen.low[0], seen.high[0]) == (100, 104)  # 999 once: a typing error or a single week
    assert seen.depth_low[0] == pytest.approx(np.log(0.79))
    assert seen.levels[0].tolist() == [1, 2]


def test_support_of_few_or_scattered_records_is_all_of_them() -> None:
    assert support(_panel([100.0, 300.0])).high[0] == 300
    scattered = support(_panel([100.0, 300.0, 900.0]))
    assert (scattered.low[0], scattered.high[0]) == (100, 900)


def test_prices_inside_support_to_the_nearest_minor_unit() -> None:
    prices = known_prices(_panel([79.6, 79.4, 120.4, 120.6], [100.0, 100.0, 120.4, 120.6]))
    inside = inside_support(prices, np.array([100]), np.array([120]), np.array([np.log(0.8)]))
    assert inside.tolist() == [[True, False, True, False]]


def test_a_promotion_that_came_once_is_evidence_and_a_slip_is_not() -> None:
    # 20 % off twice, then 40 %, 48 %, 49 % and 90 %, once each; the limit is 35 % deeper: 0.8 x 0.65 = 0.52.
    offered = [100.0, 80.0, 80.0, 60.0, 52.0, 51.0, 10.0, 100.0, 150.0]
    panel = _panel(offered, [100.0] * 8 + [150.0])
    seen = replace(support(panel), depth_low=np.array([np.log(0.8)]))
    told = believed(known_prices(panel), seen)[0]
    assert told.tolist() == [True, True, True, True, True, False, False, True, False]


def test_prices_outside_the_support_are_read_as_its_edge() -> None:
    panel = _panel([45.0, 200.0, 100.0], [100.0, 200.0, 100.0])
    panel = replace(panel, feature=np.array([[0.5, 0.0, 1.0]]))
    X = design(panel, np.array([100.0]), np.zeros(3), 7, Rivals.none(1)).X
    held = held_inside(X, np.array([100.0]), np.array([90]), np.array([110]), np.array([np.log(0.8)]))[0]
    np.testing.assert_allclose(held[:, 1], [0.0, np.log(1.1), 0.0])
    np.testing.assert_allclose(held[:, 2], [np.log(0.52), 0.0, 0.0])  # 35 % deeper than 0.8: 0.8 x 0.65
    np.testing.assert_allclose(held[:, 7], [1.0 - 0.52**50, 0.0, 0.0])
    np.testing.assert_allclose(held[:, 8], [0.5 * np.log(0.52), 0.0, 0.0])
    np.testing.assert_allclose(held[:, 5], [np.log(0.72), np.log(0.72), np.log(1.1)])
    bend = np.log(1.1) ** 2 / (np.log(1.1) + 0.05)
    np.testing.assert_allclose(held[:, 10:], [[0.0, 0.0], [bend, bend], [0.0, 0.0]])
    np.testing.assert_array_equal(held[:, [0, 3, 4, 6, 9]], X[0][:, [0, 3, 4, 6, 9]])


@given(
    levels=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    shrink=st.floats(0.01, 1.0),
    declared=st.booleans(),
    informed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_identification_never_claims_more_than_it_may(
    levels: tuple[int, int], shrink: float, declared: bool, informed: bool
) -> None:
    prior = np.eye(C)[None]
    found = identify(
        prior * shrink,
        prior,
        np.array([levels]),
        calendar_in_advance=declared,
        population_informed=np.array([informed, informed]),
    )[0]
    for kind in PriceKind:
        how = Identification(int(found[kind]))
        if levels[kind] < 2:
            assert how == Identification.NOT_IDENTIFIED
        if how == Identification.PROMO_CONTROLLED:
            assert declared
            assert shrink <= 0.81
        if how == Identification.PRIOR:
            assert informed
        assert how not in {Identification.EXPERIMENT, Identification.INSTRUMENT}
