from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats
from simulators.demand.irls import derivatives, laplace_mean, newton


def _one_product(seed: int, rows: int = 80) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(rows), rng.normal(0, 0.3, rows), rng.random(rows) < 0.3]).astype(float)
    mu = np.exp(X @ np.array([1.2, -1.5, 0.4]))
    y = rng.poisson(rng.gamma(3.0, mu / 3.0)).astype(float)
    return y, X


@pytest.mark.parametrize("r", [3.0, 1e10])
def test_without_a_prior_one_product_is_a_statsmodels_glm(r: float) -> None:
    y, X = _one_product(5)
    family: Any = sm.families.NegativeBinomial(alpha=1.0 / r) if r < 1e9 else sm.families.Poisson()
    reference: Any = sm.GLM(y, X, family=family).fit(tol=1e-12, maxiter=200)
    found = newton(
        y[None],
        np.ones((1, len(y)), dtype=np.bool_),
        X[None],
        np.zeros((1, len(y))),
        np.array([r]),
        np.zeros((1, 3)),
        np.zeros((1, 3, 3)),
        np.zeros((1, 3)),
        steps=60,
    )
    information: Any = -reference.model.hessian(reference.params, observed=True)
    expected_error = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(found.mode[0], reference.params, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance[0])), expected_error, rtol=1e-6)
    if r > 1e9:  # the canonical link: statsmodels' own standard errors are the same
        np.testing.assert_allclose(np.sqrt(np.diag(found.covariance[0])), reference.bse, rtol=1e-5)


@given(
    y=st.integers(0, 40),
    eta=st.floats(-4.0, 4.0),
    log_r=st.floats(-2.0, 5.0),
)
@settings(max_examples=80, deadline=None)
def test_derivatives_match_finite_differences(y: int, eta: float, log_r: float) -> None:
    r, h = np.exp(log_r), 1e-4
    at = np.array([[eta - h, eta, eta + h]])
    counts = np.full((1, 3), float(y))
    value = counts * at - (counts + r) * np.log(r + np.exp(at))
    first, minus_second, third = derivatives(counts, at, np.array([r]))
    scale = 1.0 + abs(float(value[0, 1]))
    np.testing.assert_allclose(first[0, 1], (value[0, 2] - value[0, 0]) / (2 * h), atol=1e-5 * scale)
    np.testing.assert_allclose(-minus_second[0, 1], (first[0, 2] - first[0, 0]) / (2 * h), atol=1e-5 * scale)
    np.testing.assert_allclose(
        third[0, 1], -(minus_second[0, 2] - minus_second[0, 0]) / (2 * h), atol=1e-5 * scale
    )


def _integrated(y: Floats, X: Floats, r: float, prior_sd: Floats) -> tuple[Floats, Floats]:
    """Posterior mean and sd of two coefficients by a fine grid."""
    axes = [np.linspace(-5.0 * s, 5.0 * s, 801) for s in prior_sd]
    a, b = np.meshgrid(*axes, indexing="ij")
    log_p = -0.5 * ((a / prior_sd[0]) ** 2 + (b / prior_sd[1]) ** 2)
    for count, (x0, x1) in zip(y, X, strict=True):
        eta = a * x0 + b * x1
        log_p += count * eta - (count + r) * np.log(r + np.exp(eta))
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = np.array([(p * a).sum(), (p * b).sum()])
    sd = np.sqrt([(p * (a - mean[0]) ** 2).sum(), (p * (b - mean[1]) ** 2).sum()])
    return mean, sd


def test_posterior_agrees_with_numeric_integration() -> None:
    rng = np.random.default_rng(2)
    X = np.column_stack([np.ones(30), rng.normal(0, 0.4, 30)])
    y = rng.poisson(np.exp(X @ np.array([0.5, -1.0]))).astype(float)
    prior_sd = np.array([1.5, 1.0])
    observed = np.ones((1, 30), dtype=np.bool_)
    r = np.array([5.0])
    found = newton(
        y[None], observed, X[None], np.zeros((1, 30)), r, np.zeros((1, 2)),
        np.diag(1.0 / prior_sd**2)[None], np.zeros((1, 2)), steps=40,
    )  # fmt: skip
    mean, sd = _integrated(y, X, 5.0, prior_sd)
    ours = laplace_mean(found, y[None], observed, X[None], r)[0][0]
    np.testing.assert_allclose(ours, mean, atol=0.02)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance[0])), sd, rtol=0.04)
    # The correction brings the level's mean below its mode; without it the gap is several times wider.
    assert abs(found.mode[0, 0] - mean[0]) > 3.0 * abs(ours[0] - mean[0])


def test_expected_units_of_a_flat_poisson_level_are_the_observed_mean() -> None:
    # Flat prior on a log rate with n units in T periods: the posterior is Gamma(n, T), its mean n / T.
    y = np.array([[0.0, 1.0, 0.0, 3.0, 2.0, 0.0]])
    observed = np.ones(y.shape, dtype=np.bool_)
    X, r = np.ones((1, 6, 1)), np.array([1e10])
    found = newton(
        y, observed, X, np.zeros((1, 6)), r, np.zeros((1, 1)), np.zeros((1, 1, 1)), np.zeros((1, 1)), steps=40
    )
    mean = laplace_mean(found, y, observed, X, r)[0][0, 0]
    np.testing.assert_allclose(np.exp(mean + 0.5 * found.covariance[0, 0, 0]), 1.0, rtol=1e-6)


def test_unobserved_cells_change_nothing() -> None:
    y, X = _one_product(7)
    r = np.array([2.0])
    prior = np.eye(3)[None]
    zero = np.zeros((1, 3))
    some = newton(
        y[None, :50],
        np.ones((1, 50), dtype=np.bool_),
        X[None, :50],
        np.zeros((1, 50)),
        r,
        zero,
        prior,
        zero,
        steps=30,
    )
    watched = (np.arange(80) < 50)[None]
    all_rows = newton(y[None], watched, X[None], np.zeros((1, 80)), r, zero, prior, zero, steps=30)
    np.testing.assert_allclose(some.mode, all_rows.mode, atol=1e-9)
    np.testing.assert_allclose(some.covariance, all_rows.covariance, atol=1e-12)
