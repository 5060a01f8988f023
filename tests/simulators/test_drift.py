"""The drifting level: tridiagonal algebra against dense matrices, its posterior against plain Newton."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats
from simulators.demand.drift import Drift, chain, drift_from, first_drift
from simulators.demand.irls import derivatives, laplace_mean, newton


def covariance(drift: Drift, periods: int) -> Floats:
    at = np.arange(periods)
    out: Floats = drift.variance * drift.survival ** np.abs(at[:, None] - at)
    return out


@given(
    st.integers(1, 12),
    st.floats(0.05, 0.98),
    st.floats(0.01, 2.0),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_the_chain_is_the_inverse_covariance_plus_weights(
    periods: int, survival: float, variance: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    drift = Drift(survival, variance)
    weight = rng.uniform(0.0, 5.0, (3, periods)) * (rng.random((3, periods)) < 0.7)
    right = rng.normal(size=(3, periods, 2))
    dense = np.linalg.inv(covariance(drift, periods)) + np.stack([np.diag(w) for w in weight])
    found = chain(weight, drift)
    np.testing.assert_allclose(found.solve(right), np.linalg.solve(dense, right), rtol=1e-6, atol=1e-9)
    own, beside = found.inverse()
    inverse = np.linalg.inv(dense)
    np.testing.assert_allclose(own, np.einsum("ntt->nt", inverse), rtol=1e-6)
    if periods > 1:
        np.testing.assert_allclose(beside, np.einsum("ntt->nt", inverse[:, :-1, 1:]), rtol=1e-5, atol=1e-9)


def test_what_is_kept_over_eight_weeks_by_hand() -> None:
    kept, unknown = Drift(0.5, 2.0).ahead(28)  # two periods of four weeks
    assert kept == pytest.approx((0.5 + 0.25) / 2)
    # Given the last one, u1 has variance 1 - .25, u2 1 - .0625, and their covariance is .5 - .125 (times 2).
    assert unknown == pytest.approx(2.0 * (0.75 + 0.9375 + 2 * 0.375) / 4)
    assert first_drift(7).survival ** 10 == pytest.approx(np.exp(-1.0))
    assert first_drift(1).survival ** 70 == pytest.approx(np.exp(-1.0))


def test_a_process_is_what_its_moments_say_within_bounds() -> None:
    assert drift_from(0.2, 0.1) == Drift(0.5, 0.2)
    assert drift_from(0.0, 0.0).variance > 0.0
    assert drift_from(0.2, 0.5).survival < 1.0
    assert drift_from(0.2, -0.1).survival > 0.0


def joint(
    y: Floats, X: Floats, r: float, prior: Floats, drift: Drift, watched: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return mode, covariance and next-order mean of coefficients and drift by dense Newton steps."""
    T, K = X.shape
    wide = np.concatenate([X, np.eye(T)], axis=1)
    precision = np.zeros((K + T, K + T))
    precision[:K, :K], precision[K:, K:] = prior, np.linalg.inv(covariance(drift, T))
    mode = np.zeros(K + T)
    for _ in range(60):
        first, minus_second, third = derivatives(y[None], (wide @ mode)[None], np.array([r]))
        hessian = wide.T @ (wide * (minus_second[0] * watched)[:, None]) + precision
        mode = mode + np.linalg.solve(hessian, wide.T @ (first[0] * watched) - precision @ mode)
    inverse = np.linalg.inv(hessian)
    h = np.einsum("tk,kl,tl->t", wide, inverse, wide)
    return mode, inverse, mode + 0.5 * inverse @ wide.T @ (watched * third[0] * h)


def test_the_posterior_is_that_of_one_dense_regression() -> None:
    rng = np.random.default_rng(5)
    T, drift, r = 30, Drift(0.8, 0.15), 4.0
    X = np.column_stack([np.ones(T), rng.normal(0.0, 0.3, T)])
    path = np.linalg.cholesky(covariance(drift, T)) @ rng.normal(size=T)
    y = rng.poisson(np.exp(1.0 - 1.5 * X[:, 1] + path)).astype(float)
    watched = np.ones(T)
    watched[[0, 7, 8]] = 0.0
    prior = np.diag([0.1, 0.5])
    mode, inverse, mean = joint(y, X, r, prior, drift, watched)
    found = newton(
        y[None], watched[None] > 0.0, X[None], np.zeros((1, T)), np.array([r]), np.zeros((1, 2)),
        prior[None], np.zeros((1, 2)), steps=60, drift=drift,
    )  # fmt: skip
    np.testing.assert_allclose(found.mode[0], mode[:2], atol=1e-8)
    np.testing.assert_allclose(found.level[0], mode[2:], atol=1e-8)
    np.testing.assert_allclose(found.covariance[0], inverse[:2, :2], rtol=1e-6)
    with_drift = -(found.pull @ found.covariance)[0]
    np.testing.assert_allclose(with_drift, inverse[2:, :2], atol=1e-9)
    eta = np.concatenate([X, np.eye(T)], axis=1)
    np.testing.assert_allclose(
        found.eta_variance(X[None])[0], np.einsum("tk,kl,tl->t", eta, inverse, eta), rtol=1e-6
    )
    coefficients, level = laplace_mean(found, y[None], watched[None] > 0.0, X[None], np.array([r]), drift)
    np.testing.assert_allclose(coefficients[0], mean[:2], atol=1e-8)
    np.testing.assert_allclose(level[0], mean[2:], atol=1e-8)


def test_recent_periods_weigh_most_in_the_level_to_come() -> None:
    drift, T = Drift(0.9, 0.04), 40
    weight = np.full((1, T), 0.5 / drift.variance)
    # Posterior mean of the last drift, in equally noisy residuals of 40 periods.
    shares = chain(weight, drift).solve(np.eye(T)[None])[0, -1]
    assert (np.diff(shares) > 0.0).all()
    assert shares[-4:].mean() > 10.0 * shares[:20].mean()
