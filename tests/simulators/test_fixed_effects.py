"""Poisson regression with series and period effects: by hand, against dummies, and where nothing exists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Bools, Floats
from pricing.errors import DataError, NotIdentified
from simulators.demand.fixed_effects import FixedEffectsPoisson, fixed_effects_poisson
from simulators.demand.separation import rectified


def shop(seed: int, N: int = 12, T: int = 9, K: int = 2) -> tuple[Floats, Bools, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(0.0, 0.5, (N, T, K))
    slopes = np.linspace(-1.0, 0.5, K)
    eta = rng.normal(1.0, 0.7, (N, 1)) + rng.normal(0.0, 0.3, T) + X @ slopes
    observed = rng.random((N, T)) < 0.9
    return rng.poisson(np.exp(eta)).astype(np.float64), observed, X


def dummies(
    y: Floats, observed: Bools, X: Floats, offset: Floats, groups: Any, left_out: tuple[int, ...] = (0,)
) -> tuple[Floats, Floats]:
    """Coefficients and clustered errors by statsmodels, every effect a column."""
    import statsmodels.api as sm

    i, t = np.nonzero(observed)
    effects = [i[:, None] == np.arange(len(y)), t[:, None] == np.delete(np.arange(y.shape[1]), left_out)]
    full = np.concatenate([X[i, t], *effects], axis=1).astype(np.float64)
    model: Any = sm.GLM(y[i, t], full, family=sm.families.Poisson(), offset=offset[i, t])
    found = model.fit(cov_type="cluster", cov_kwds={"groups": groups[i], "use_correction": False}, tol=1e-12)
    return np.asarray(found.params[: X.shape[2]]), np.asarray(found.bse[: X.shape[2]])


def test_two_series_two_periods_by_hand() -> None:
    """Without a regressor the odds of a series' periods are common: 2 : 4 and 3 : 6 fit."""
    y = np.array([[2.0, 4.0], [3.0, 6.0]])
    found = fixed_effects_poisson(y, np.ones((2, 2), bool), np.zeros((2, 2, 0)))
    np.testing.assert_allclose(found.mu, y, rtol=1e-9)
    # 2 : 4 and 4 : 2: half of everything in each period, so 3 everywhere.
    y = np.array([[2.0, 4.0], [4.0, 2.0]])
    found = fixed_effects_poisson(y, np.ones((2, 2), bool), np.zeros((2, 2, 0)))
    np.testing.assert_allclose(found.mu, np.full((2, 2), 3.0), rtol=1e-9)


def test_a_difference_in_differences_by_hand() -> None:
    """One series is treated in the second period: the log of the ratio of ratios, (6 / 2) / (5 / 10)."""
    y = np.array([[2.0, 6.0], [10.0, 5.0]])
    X = np.array([[[0.0], [1.0]], [[0.0], [0.0]]])
    found = fixed_effects_poisson(y, np.ones((2, 2), bool), X)
    np.testing.assert_allclose(found.coefficient, [np.log(6.0)], rtol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dummies_give_the_same_coefficients_and_errors(seed: int) -> None:
    y, observed, X = shop(seed)
    offset = np.random.default_rng(seed).normal(0.0, 0.2, y.shape)
    groups = np.arange(len(y)) // 2
    found = fixed_effects_poisson(y, observed, X, offset, groups)
    theirs, error = dummies(y, observed, X, offset, groups)
    np.testing.assert_allclose(found.coefficient, theirs, atol=1e-8)
    n, k, G = int(found.used.sum()), X.shape[2] + y.shape[1], 6
    np.testing.assert_allclose(
        found.standard_error, error * np.sqrt(G / (G - 1) * (n - 1) / (n - k)), rtol=1e-6
    )
    np.testing.assert_allclose(found.mu.sum(axis=1), (y * observed).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.mu.sum(axis=0), (y * observed).sum(axis=0), rtol=1e-8)


def test_what_effects_and_earlier_regressors_explain_is_left_out() -> None:
    y, observed, X = shop(4, K=2)
    by_series = np.broadcast_to(np.arange(len(y))[:, None], y.shape)
    by_period = np.broadcast_to(np.sin(np.arange(y.shape[1])), y.shape)
    mixed = X[..., 0] - 2.0 * X[..., 1] + by_period
    wide = np.stack([X[..., 0], by_series, X[..., 1], by_period, mixed], axis=2)
    found = fixed_effects_poisson(y, observed, wide)
    assert found.kept.tolist() == [True, False, True, False, False]
    lean = fixed_effects_poisson(y, observed, X)
    np.testing.assert_allclose(found.coefficient[[0, 2]], lean.coefficient, rtol=1e-9)
    np.testing.assert_allclose(found.standard_error[[0, 2]], lean.standard_error, rtol=1e-9)
    assert np.isnan(found.coefficient[[1, 3, 4]]).all()
    assert np.isnan(found.standard_error[[1, 3, 4]]).all()


def test_a_series_and_a_period_without_sales_are_set_aside() -> None:
    y, observed, X = shop(5)
    y[3], y[:, 2] = 0.0, 0.0
    found = fixed_effects_poisson(y, observed, X)
    expected = np.zeros_like(observed)
    expected[3], expected[:, 2] = True, True
    assert (found.separated == (expected & observed)).all()
    rows, columns = np.delete(np.arange(len(y)), 3), np.delete(np.arange(y.shape[1]), 2)
    lean = fixed_effects_poisson(y[rows][:, columns], observed[rows][:, columns], X[rows][:, columns])
    np.testing.assert_allclose(found.coefficient, lean.coefficient, rtol=1e-9)


def test_a_regressor_that_only_zeros_know_is_separated() -> None:
    """Nothing sold where z is 1: its coefficient falls for ever and those cells say nothing of the rest."""
    y, observed, X = shop(6)
    z = np.zeros_like(y)
    z[np.arange(8), np.arange(8)] = 1.0
    y[z > 0.0] = 0.0
    found = fixed_effects_poisson(y, observed, np.concatenate([X, z[..., None]], axis=2))
    assert (found.separated == (observed & (z > 0.0))).all()
    assert found.kept.tolist() == [True, True, False]
    lean = fixed_effects_poisson(y, observed & (z == 0.0), X)
    np.testing.assert_allclose(found.coefficient[:2], lean.coefficient, rtol=1e-9)


def test_a_hidden_mix_that_separates_is_found() -> None:
    """Neither column separates alone; their difference is 0 where anything sold and 1 in three cells."""
    y, observed, X = shop(7)
    hidden = np.zeros_like(y)
    hidden[[0, 4, 7], [1, 5, 3]] = 1.0
    y[hidden > 0.0] = 0.0
    both = np.stack([X[..., 0], X[..., 0] + hidden], axis=2)
    found = fixed_effects_poisson(y, observed, both)
    assert (found.separated == (observed & (hidden > 0.0))).all()
    assert found.kept.tolist() == [True, False]


def test_a_regressor_on_zeros_of_both_signs_separates_nothing() -> None:
    y, observed, X = shop(8)
    z = np.zeros_like(y)
    z[[0, 1], [1, 1]], z[[2, 3], [4, 4]] = 1.0, -1.0
    y[z != 0.0] = 0.0
    found = fixed_effects_poisson(y, observed | (z != 0.0), np.concatenate([X, z[..., None]], axis=2))
    assert not found.separated.any()
    assert found.kept.all()
    theirs, _ = dummies(
        y, observed | (z != 0.0), np.concatenate([X, z[..., None]], axis=2), y * 0.0, np.arange(len(y))
    )
    np.testing.assert_allclose(found.coefficient, theirs, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_the_rectifier_agrees_with_a_linear_programme(seed: int) -> None:
    """Most rows that a mix can raise, each to at most 1, with none below 0."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    M, d = int(rng.integers(2, 9)), int(rng.integers(1, 4))
    z = rng.integers(-1, 3, (M, d)).astype(np.float64)
    best = linprog(
        -np.concatenate([np.zeros(d), np.ones(M)]),
        A_ub=np.concatenate([-z, np.eye(M)], axis=1),
        b_ub=np.zeros(M),
        bounds=[(None, None)] * d + [(0.0, 1.0)] * M,
    )
    assert rectified(z).tolist() == (best.x[d:] > 0.5).tolist()


def test_parts_that_share_no_period_are_estimated_together() -> None:
    """Two halves without a common period: one more period effect is left out, the slope is common."""
    y, observed, X = shop(9, N=10, T=8)
    observed[:5, 4:], observed[5:, :4] = False, False
    found = fixed_effects_poisson(y, observed, X)
    theirs, _ = dummies(y, observed, X, y * 0.0, np.arange(len(y)), (0, 4))
    np.testing.assert_allclose(found.coefficient, theirs, atol=1e-7)


def test_unobserved_cells_are_never_read() -> None:
    y, observed, X = shop(10)
    there = fixed_effects_poisson(y, observed, X)
    gone = fixed_effects_poisson(
        np.where(observed, y, np.nan), observed, np.where(observed[..., None], X, np.nan)
    )
    np.testing.assert_array_equal(there.coefficient, gone.coefficient)


def test_one_cluster_has_no_error() -> None:
    y, observed, X = shop(11)
    found = fixed_effects_poisson(y, observed, X, cluster=np.zeros(len(y), np.int64))
    assert np.isnan(found.standard_error).all()
    assert np.isfinite(found.coefficient).all()


def test_impossible_input_is_named() -> None:
    y, observed, X = shop(12)
    observed[2, 3] = True
    for bad in (-1.0, np.nan, np.inf):
        wrong = y.copy()
        wrong[2, 3] = bad
        with pytest.raises(DataError, match="Series 2, period 3"):
            fixed_effects_poisson(wrong, observed, X)
    with pytest.raises(NotIdentified, match="Nothing was sold"):
        fixed_effects_poisson(y * 0.0, observed, X)


def test_wild_scales_change_nothing() -> None:
    y, observed, X = shop(13)
    scale, shift = np.array([1e-6, 1e5]), np.array([3.0, -1e3])
    plain: FixedEffectsPoisson = fixed_effects_poisson(y, observed, X)
    wild = fixed_effects_poisson(y, observed, X * scale + shift * scale)
    assert wild.kept.all()
    np.testing.assert_allclose(wild.coefficient * scale, plain.coefficient, rtol=1e-6)
