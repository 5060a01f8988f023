"""A chance of absence that no table tells: Bayes' rule by hand, recovered by a fit, carried everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pricing.arrays import Floats
from pricing.demand import Conditions
from pricing.model import DemandModel
from simulators.demand.fit import fit
from simulators.demand.forecast import cell_variance, forecast, sales_quantiles
from simulators.market import Market, sample_worlds
from simulators.passport.distribution import LogMean, sales_cdf
from simulators.worlds import toy_shop
from tests.simulators.demand_truth import make


def test_a_zero_where_much_was_expected_is_an_absence() -> None:
    """Planted: one period in ten sells nothing, whatever the price; the fit finds the share and the level."""
    truth = make(150, 60, level=3.0)
    rng = np.random.default_rng(8)
    gone = rng.random(truth.panel.units.shape) < 0.1
    panel = replace(truth.panel, units=np.where(gone, 0.0, truth.panel.units))
    plain = fit(truth.panel, until="2024-01-01", fingerprint="f", seed=1, calendar_in_advance=True).model
    found = fit(panel, until="2024-01-01", fingerprint="f", seed=1, calendar_in_advance=True).model
    assert plain.absence.mean() < 0.01
    assert found.absence.mean() == pytest.approx(0.1, abs=0.015)
    lost = float(np.mean(found.mean[:, 0] - plain.mean[:, 0]))
    assert lost == pytest.approx(np.log(0.9), abs=0.03)  # expected units have the absence in
    # Sizes are those of demand, not of demand with holes: 10 % of zeros would make them about 3.
    assert np.median(found.dispersion / plain.dispersion) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
def test_quantiles_of_a_mixture_with_absence(p: float) -> None:
    absence, mean, size = 0.2, 6.0, 4.0
    asked = np.array([[(p - absence) / (1.0 - absence)]])
    found = float(sales_quantiles(np.log([mean]), np.zeros(1), np.array([size]), asked)[0, 0])
    law = stats.nbinom(size, size / (size + mean))
    cdf = absence + (1.0 - absence) * law.cdf(np.arange(200))
    assert found == float(np.searchsorted(cdf, p))
    at = LogMean(np.log([mean]), np.zeros(1), np.array([size]), np.array([absence]))
    assert sales_cdf(at, np.array([5.0]))[0] == pytest.approx(cdf[5])


def _absent(model: DemandModel, absence: float) -> DemandModel:
    return replace(model, absence=np.full(len(model.series), absence))


def test_a_forecast_has_the_mean_and_the_variance_of_the_mixture() -> None:
    _, toy = toy_shop(1, 3)
    sure = replace(
        _absent(toy, 0.15), factor=np.zeros_like(toy.factor), period_shock_sd=0.0,
        category_shock_sd=np.zeros_like(toy.category_shock_sd),
    )  # fmt: skip
    X = np.zeros((1, toy.mean.shape[1]))
    X[0, 0] = 1.0
    rows = np.zeros(1, dtype=np.int64)
    found = forecast(sure, rows, X, np.ones(1))
    mu, r = float(found.expected[0]), float(toy.dispersion[0])
    rng = np.random.default_rng(1)
    there = rng.random(400_000) >= 0.15
    drawn = np.where(there, rng.negative_binomial(r, r / (r + mu / 0.85), there.size), 0)
    assert drawn.mean() == pytest.approx(mu, rel=0.01)
    assert drawn.var() == pytest.approx(
        float(cell_variance(sure, rows, found.expected, np.zeros(1))[0]), rel=0.02
    )
    lower, upper = np.quantile(drawn, [0.05, 0.95])
    assert (found.units_lower[0], found.units_upper[0]) == (lower, upper)


def test_a_market_leaves_shelves_empty_as_often_and_sells_as_much() -> None:
    shop, toy = toy_shop(4, 5, units=30.0)
    model = replace(_absent(toy, 0.2), factor=np.zeros_like(toy.factor))
    worlds = sample_worlds(model, shop, 1)
    copies = 4000
    market = Market(shop, worlds, np.zeros(copies, dtype=np.int64))
    price = np.repeat(shop.price[None], copies, axis=0)
    plain = Conditions.plain(len(shop))
    noise = market.noise(1, np.arange(copies), 1).at(0)
    sold: Floats = market.sell(market.open(), price, plain, noise).demanded
    expected = market.sell(market.open(), price, plain).demanded[0]
    np.testing.assert_allclose(sold.mean(axis=0), expected, rtol=0.05)
    np.testing.assert_allclose((sold == 0.0).mean(axis=0), 0.2, atol=0.03)
    same = Market(shop, replace(worlds, parameters=replace(worlds.parameters, absence=np.zeros((1, 4)))),
                  np.zeros(copies, dtype=np.int64))  # fmt: skip
    assert (
        same.sell(same.open(), price, plain, same.noise(1, np.arange(copies), 1).at(0)).demanded > 0
    ).mean() > 0.97
