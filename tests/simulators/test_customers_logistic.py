from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from pricing.arrays import Bools, Floats, Ints
from simulators.customers.logistic import expected_outcome, fit_logistic


def sample(n: int, seed: int) -> tuple[Floats, Bools]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    return X, rng.random(n) < expit(X @ np.array([-1.5, 0.8, -0.4]))


def test_without_priors_it_is_statsmodels_logit() -> None:
    X, y = sample(1500, 1)
    found = fit_logistic(X, y, np.ones(len(y)), np.zeros(3))
    reference = sm.Logit(y.astype(float), X).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(found.mean, reference.params, atol=1e-7)
    np.testing.assert_allclose(found.covariance, reference.cov_params(), rtol=1e-5)
    assert found.group_sd == 0.0


def test_an_offset_is_statsmodels_binomial_offset() -> None:
    X, y = sample(800, 2)
    offset = 0.5 * X[:, 1]
    found = fit_logistic(X, y, np.ones(len(y)), np.zeros(3), offset=offset)
    reference = sm.GLM(y.astype(float), X, family=sm.families.Binomial(), offset=offset).fit(tol=1e-12)
    np.testing.assert_allclose(found.mean, reference.params, atol=1e-7)


def test_an_open_window_is_the_maximum_of_its_own_likelihood() -> None:
    X, y = sample(3000, 3)
    rng = np.random.default_rng(4)
    F = rng.choice([0.3, 0.7, 1.0], len(y))
    seen = y & (rng.random(len(y)) < F)

    def loss(b: Floats) -> float:
        p = F * np.clip(expit(X @ b), 1e-12, 1.0 - 1e-12)
        return -float(np.where(seen, np.log(p), np.log1p(-p)).sum())

    reference = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-6})
    found = fit_logistic(X, seen, F, np.zeros(3))
    np.testing.assert_allclose(found.mean, reference.x, atol=1e-5)
    naive = fit_logistic(X, seen, np.ones(len(y)), np.zeros(3))
    assert naive.mean[0] < found.mean[0] - 0.2  # taking open windows for refusals understates


def test_an_expected_outcome_by_hand() -> None:
    # seen: 1. Not seen half way: .4 * .5 / (1 - .4 * .5) = .25. Over: 0. Not begun: p.
    found = expected_outcome(
        np.array([True, False, False, False]), np.full(4, 0.4), np.array([0.5, 0.5, 1.0, 0.0])
    )
    assert found == pytest.approx([1.0, 0.25, 0.0, 0.4])


def grouped(sd: float, seed: int) -> tuple[Floats, Bools, Ints, Floats]:
    rng = np.random.default_rng(seed)
    effect = rng.normal(0.0, sd, 40)
    group = np.repeat(np.arange(40), 120)
    X = np.column_stack([np.ones(len(group)), rng.normal(size=len(group))])
    return X, rng.random(len(group)) < expit(X @ np.array([-1.0, 0.5]) + effect[group]), group, effect


def test_group_effects_are_a_ridge_at_their_fitted_variance() -> None:
    X, y, group, effect = grouped(0.8, 5)
    found = fit_logistic(X, y, np.ones(len(y)), np.zeros(2), group=group)
    assert found.group_sd == pytest.approx(0.8, abs=0.25)
    assert np.corrcoef(found.groups, effect)[0, 1] > 0.9
    dense = np.concatenate([X, np.eye(40)[group]], axis=1)
    ridge = np.concatenate([np.zeros(2), np.full(40, found.group_sd**-2)])
    same = fit_logistic(dense, y, np.ones(len(y)), ridge)
    np.testing.assert_allclose(np.concatenate([found.mean, found.groups]), same.mean, atol=1e-6)
    np.testing.assert_allclose(found.covariance, same.covariance[:2, :2], rtol=1e-4)


def test_groups_that_do_not_differ_are_pooled() -> None:
    X, y, group, _ = grouped(0.0, 6)
    found = fit_logistic(X, y, np.ones(len(y)), np.zeros(2), group=group)
    assert found.group_sd < 0.2
    assert np.abs(found.groups).max() < 0.25


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100.0))
def test_a_prior_pulls_towards_zero_and_separation_stays_finite(seed: int, precision: float) -> None:
    X, _ = sample(60, seed)
    y = X[:, 1] > 0.0
    found = fit_logistic(X, y, np.ones(len(y)), np.full(3, precision))
    tighter = fit_logistic(X, y, np.ones(len(y)), np.full(3, 2.0 * precision))
    assert np.linalg.norm(tighter.mean) < np.linalg.norm(found.mean)
    assert found.last_step < 1e-6
