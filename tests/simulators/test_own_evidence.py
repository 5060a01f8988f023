"""What a product's own weeks tell, against statsmodels, and what a price test would take, by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from pricing.arrays import Floats, Ints
from pricing.panel import Panel
from simulators.demand.design import known_prices, observed
from simulators.demand.own_evidence import OwnEvidence, own_evidence, periods_of_test
from tests.simulators.demand_truth import make

Z90 = 1.6448536269514722


def _panel() -> Panel:
    return make(30, 3).panel


def test_half_widths_are_those_of_a_quasi_poisson_regression() -> None:
    panel = _panel()
    found, watched, price = own_evidence(panel), observed(panel), np.log(known_prices(panel).offered)
    time = np.linspace(-1.0, 1.0, len(panel.periods))
    compared = 0
    for i in range(len(panel.series)):
        rows = watched[i] & np.isfinite(price[i])
        if panel.units[i, rows].sum() < 40:
            continue
        X = sm.add_constant(np.column_stack([time[rows], price[i, rows]]), has_constant="add")
        fitted = sm.GLM(panel.units[i, rows], X, family=sm.families.Poisson()).fit(scale="X2")
        scale = max(float(fitted.scale), 1.0)
        error = float(fitted.bse[2]) * np.sqrt(scale / float(fitted.scale))
        assert found.dispersion[i] == pytest.approx(scale, rel=1e-6)
        assert found.half_width[i] == pytest.approx(Z90 * error, rel=1e-6)
        compared += 1
    assert compared >= 20


def test_a_price_that_never_moved_tells_nothing() -> None:
    panel = _panel()
    still = np.full_like(panel.offered, 500.0)
    found = own_evidence(replace(panel, offered=still, regular=still))
    assert np.isinf(found.half_width).all()
    assert (found.dispersion >= 1.0).all()


def test_a_product_without_a_sale_tells_nothing() -> None:
    panel = _panel()
    found = own_evidence(replace(panel, units=np.zeros_like(panel.units)))
    assert np.isinf(found.half_width).all()
    assert periods_of_test(found, step=0.05, half_width=0.5) == np.inf


def test_a_test_of_as_many_periods_tells_as_well_as_was_asked() -> None:
    rng = np.random.default_rng(0)
    one = OwnEvidence(*(np.array([value]) for value in (np.inf, 1.0, 40.0, 0.0)))
    periods = int(np.ceil(periods_of_test(one, step=0.1, half_width=0.5)))
    assert 2.0 * periods_of_test(one.take(np.array([True])), step=0.1, half_width=0.5) == pytest.approx(
        periods_of_test(replace(one, units=np.array([20.0])), step=0.1, half_width=0.5)
    )
    x = np.log1p(0.1) * rng.choice([-1.0, 1.0], (4000, periods))
    y = rng.poisson(40.0 * np.exp(-2.0 * x))
    slope = np.array([_slope(a, b) for a, b in zip(x[:400], y[:400], strict=True)])
    assert Z90 * slope.std() == pytest.approx(0.5, rel=0.12)


def _slope(x: Floats, y: Ints) -> float:
    X = sm.add_constant(x, has_constant="add")
    return float(sm.GLM(y, X, family=sm.families.Poisson()).fit().params[1])
