"""Sales that stopped because nothing was left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from pricing.arrays import Floats
from pricing.model import COEFFICIENTS
from pricing.panel import Panel
from simulators.demand.censoring import censored_by_size, working
from simulators.demand.dispersion import GRID
from simulators.demand.fit import Fit, fit
from simulators.demand.irls import derivatives
from tests.simulators.demand_truth import Truth, make

STEP = 1e-4


def _one(value: float) -> Floats:
    return np.array([value])


@given(st.integers(0, 400), st.floats(-2.0, 5.0), st.floats(1.0, 60.0))
def test_score_and_information_are_those_of_the_tail(y: int, eta: float, r: float) -> None:
    def tail(at: float) -> float:
        return float(nbinom.logsf(y - 1, r, r / (r + np.exp(at))))

    count, weight = working(_one(float(y)), _one(eta), _one(r))
    first, minus_second, _ = derivatives(count[None], _one(eta)[None], _one(r))
    below, here, above = (tail(eta + step) for step in (-STEP, 0.0, STEP))
    if here < -300.0:
        return  # rarer than SciPy's own tail can tell
    assert weight * first[0] == pytest.approx((above - below) / (2 * STEP), rel=1e-4, abs=1e-6)
    bend = -(above - 2 * here + below) / STEP**2
    # What tells next to nothing weighs a thousandth.
    held = max(bend, 1e-3 * float(minus_second[0, 0]))
    assert weight * minus_second[0] == pytest.approx(held, rel=2e-2, abs=1e-4 + 1e-3 * abs(here))


def test_what_cannot_be_less_says_nothing_and_what_can_hardly_be_is_finite() -> None:
    mu = np.array([5.0, 5.0, 0.01])
    count, weight = working(np.array([0.0, 1e6, 3000.0]), np.log(mu), np.array([4.0, 4.0, 500.0]))
    score = weight * (count - mu)
    assert score[0] == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(score).all()
    assert (score[1:] >= np.array([1e6, 3000.0]) - 5.0).all()


def test_likelihood_by_size_is_scipys() -> None:
    y, eta = np.array([[3.0, 9.0], [1.0, 0.0]]), np.log(np.array([[2.0, 4.0], [5.0, 1.0]]))
    found = censored_by_size(y, np.array([[True, False], [True, True]]), eta)
    for g, r in enumerate(np.exp(GRID)):
        rest = nbinom.logsf(y - 1, r, r / (r + np.exp(eta)))
        np.testing.assert_allclose(found[:, g], [rest[0, 0], rest[1].sum()], rtol=1e-8, atol=1e-12)


def _limited(truth: Truth, seed: int) -> tuple[Panel, Panel]:
    """Sell no more than a stock that about a quarter of the periods exhaust; told, and not told, which."""
    rng = np.random.default_rng(seed)
    stock = np.rint(np.exp(truth.log_mean + rng.normal(0.4, 0.6, truth.log_mean.shape)))
    units, short = np.minimum(truth.panel.units, stock), (truth.panel.units >= stock) & (stock > 0.0)
    sold = replace(truth.panel, units=units, in_stock=(stock > 0.0).astype(np.float64))
    return replace(sold, short=short), sold


def _fit(panel: Panel) -> Fit:
    return fit(panel, until="2025-02-24", fingerprint="f", seed=3, calendar_in_advance=True)


def test_demand_is_found_where_a_quarter_of_the_periods_ran_out() -> None:
    truth = make(120, 21, level=2.5)
    told, untold = _limited(truth, 5)
    assert told.short is not None
    assert 0.2 < told.short.mean() < 0.4
    left_out = replace(untold, in_stock=np.where(told.short, 0.0, untold.in_stock))
    level, regular = COEFFICIENTS.index("level"), COEFFICIENTS.index("regular")

    def off(panel: Panel, coefficient: int) -> float:
        error = _fit(panel).model.mean - _fit(truth.panel).model.mean
        return float(error[:, coefficient].mean())

    assert abs(off(told, level)) < 0.03
    assert abs(off(told, regular)) < 0.05
    for naive in (untold, left_out):
        assert off(naive, level) < -0.08
