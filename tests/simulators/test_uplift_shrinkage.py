"""What is more than noise stays, what is not goes; a quieter outcome of the same mean."""

from __future__ import annotations

import numpy as np
import pytest

from pricing.arrays import Floats
from simulators.uplift.projection import Coefficients, least_squares
from simulators.uplift.shrinkage import Kinds, pool
from simulators.uplift.tempering import tempered

DEPTH = np.array([1.0, 2.0, 3.0])


def kinds(P: int) -> Kinds:
    return Kinds(np.minimum(np.arange(P), 1), np.zeros((P, P)))


def apart(mean: Floats, error: float = 1.0) -> Coefficients:
    """Coefficients [J, P] whose errors are independent and the same."""
    return Coefficients(mean, error**2 * np.eye(mean.size))


def test_pooling_leaves_means_alone_and_shrinks_noise_to_nothing() -> None:
    rng = np.random.default_rng(2)
    N, P = 4000, 12
    X = np.c_[np.ones(N), rng.normal(size=(N, P - 1))]
    effect = np.array([2.0, 3.0, 4.0]) + 40.0 * rng.normal(size=(N, 3))
    raw = least_squares(effect, X, np.arange(N), np.ones(N), np.ones(effect.shape, dtype=np.bool_))
    found = pool(raw, DEPTH, kinds(P))
    assert found.mean[:, 0] == pytest.approx(raw.mean[:, 0], abs=0.05)
    assert np.square(found.mean[:, 1:]).sum() < 0.1 * np.square(raw.mean[:, 1:]).sum()
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-9


def test_two_features_of_forty_that_tell_are_kept_and_the_others_go() -> None:
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(3, 41))
    mean[:, 5], mean[:, 9] = 12.0, np.array([-9.0, -10.0, -11.0])
    found = pool(apart(mean), DEPTH, kinds(41)).mean
    assert found[:, [5, 9]] == pytest.approx(mean[:, [5, 9]], rel=0.2)
    noise = np.delete(np.arange(1, 41), [4, 8])
    assert np.square(found[:, noise]).sum() < 0.25 * np.square(mean[:, noise]).sum()


def test_a_product_is_rather_believed_where_its_features_tell() -> None:
    mean = np.zeros((1, 21))
    mean[0, 1], mean[0, 11], mean[0, 12] = 15.0, 2.2, 2.2
    made_of = np.zeros((21, 21))
    made_of[np.arange(11, 21), np.arange(1, 11)] = 0.5
    group = np.concatenate([[0], np.ones(10), np.full(10, 2)]).astype(np.int64)
    found = pool(apart(mean), np.ones(1), Kinds(group, made_of)).mean[0]
    assert found[11] > 1.3 * found[12]


def test_what_is_not_free_is_shrunk_to_its_mean_too() -> None:
    found = pool(apart(np.full((2, 3), 0.3)), DEPTH[:2], kinds(3), free=False)
    assert np.abs(found.mean).max() < 0.15


def test_nothing_earned_is_nothing_pooled() -> None:
    none = Coefficients(np.zeros((2, 3)), np.zeros((6, 6)))
    assert pool(none, DEPTH[:2], kinds(3)) is none


def test_a_tempered_outcome_keeps_its_mean_and_loses_its_tail() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(100_000, 2))
    units = rng.poisson(np.exp(-1.0 + 0.5 * z[:, 0])).astype(np.float64)
    y = units * np.exp(3.0 + 0.4 * z[:, 1] + 1.2 * rng.normal(size=100_000))
    quiet = tempered(y, units, z)
    assert quiet.mean() == pytest.approx(y.mean(), rel=0.03)
    assert quiet.std() < 0.6 * y.std()
    for rows in (z[:, 0] > 0.8, z[:, 1] > 0.8, z[:, 1] < -0.8):
        assert quiet[rows].mean() == pytest.approx(y[rows].mean(), rel=0.06)


def test_nothing_is_capped_where_all_units_are_worth_the_same_or_nobody_stays_away() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(size=(5000, 1))
    bought = (rng.random(5000) < 0.2).astype(np.float64)
    assert tempered(7.0 * bought, bought, z) == pytest.approx(7.0 * bought, rel=1e-3)
    steady = np.exp(rng.normal(size=5000))
    assert tempered(steady, np.ones(5000), z) is steady
    assert tempered(-bought, bought, z).min() == -1.0
