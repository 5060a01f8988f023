"""Doubly robust scores, clustered errors and uplift curves: numbers by hand, and outside."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from pricing.errors import UsageError
from simulators.uplift.projection import least_squares
from simulators.uplift.ranking import calibration, reaches, score_curve, uplift_curve
from simulators.uplift.scores import aipw, clustered_mean, crossfit_outcome, folds_of


def test_aipw_by_hand() -> None:
    """Rows: (y, offer, e) = (10, 1, .5), (4, 0, .25); mu as given."""
    expected = np.array([[2.0, 6.0], [3.0, 5.0]])
    found = aipw(np.array([10.0, 4.0]), np.array([1, 0]), np.array([0.5, 0.25]), expected)
    assert found.tolist() == [[2.0, 6.0 + 4.0 / 0.5], [3.0 + 1.0 / 0.25, 5.0]]


@pytest.mark.parametrize("chance", [0.0, -0.1, 1.1, np.nan])
def test_aipw_needs_a_chance(chance: float) -> None:
    with pytest.raises(UsageError, match="chance of every offer"):
        aipw(np.ones(1), np.zeros(1, dtype=np.int64), np.array([chance]), np.zeros((1, 2)))


def test_scores_are_unbiased_whatever_the_outcome_model_says() -> None:
    """Averaged exactly over both draws of the lottery, a wrong model leaves the mean effect as it is."""
    y, e = np.array([1.0, 7.0]), np.array([0.2, 0.8])
    wrong = np.array([[-50.0, 90.0]])
    mean = sum(e[k] * aipw(y[[k]], np.array([k]), e[[k]], wrong)[0] for k in (0, 1))
    assert mean == pytest.approx(y)


def test_clustered_errors_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    customer = rng.integers(0, 40, 300)
    y = rng.gamma(1.0, 5.0, 300) + rng.normal(size=40)[customer]
    found = clustered_mean(y, customer)
    ols = sm.OLS(y, np.ones(300)).fit(
        cov_type="cluster", cov_kwds={"groups": customer, "use_correction": False}
    )
    G = found.clusters
    assert found.value == pytest.approx(y.mean())
    assert found.error == pytest.approx(float(ols.bse[0]) * np.sqrt(G / (G - 1)))


def test_the_interval_is_students() -> None:
    """Deviations -2, -1, 0, 3: kurtosis 4 (16 + 1 + 81) / 14^2 = 2, so 4 / (2 - 1) degrees, held to 3."""
    low, high = clustered_mean(np.array([1.0, 2.0, 3.0, 6.0]), np.arange(4)).interval()
    assert (low, high) == pytest.approx((3.0 - 3.182446 * 1.080123, 3.0 + 3.182446 * 1.080123), abs=1e-5)


def test_one_huge_basket_is_worth_few_degrees_of_freedom() -> None:
    """99 zeros and a hundred: deviations -1 and 99, kurtosis (99 + 99^4) / 100 / 99^2 = 98.0102."""
    found = clustered_mean(np.append(np.zeros(99), 100.0), np.arange(100))
    assert found.error == pytest.approx(1.0)
    assert found.freedom == pytest.approx(3.0), "100 / 97.01, and 3 at least"
    assert clustered_mean(np.tile([0.0, 1.0], 500), np.arange(1000)).freedom == 999.0


def test_the_projection_is_weighted_least_squares_with_clustered_errors() -> None:
    rng = np.random.default_rng(1)
    customer, X = rng.integers(0, 60, 400), np.c_[np.ones(400), rng.normal(size=(400, 2))]
    y, w = rng.normal(size=(400, 2)) * 9.0 + X[:, [1]], rng.uniform(0.5, 2.0, 400)
    found = least_squares(y, X, customer, w, np.ones((len(X), y.shape[1]), dtype=np.bool_))
    for j in range(2):
        wls = sm.WLS(y[:, j], X, weights=w).fit(
            cov_type="cluster", cov_kwds={"groups": customer, "use_correction": False}
        )
        own = found.covariance[3 * j : 3 * j + 3, 3 * j : 3 * j + 3] * 59 / 60
        assert found.mean[j] == pytest.approx(np.asarray(wls.params), rel=1e-4, abs=1e-4)
        assert own == pytest.approx(np.asarray(wls.cov_params()), rel=1e-3, abs=1e-6)


def test_other_customers_predict_and_one_customer_is_in_one_fold() -> None:
    customer = np.repeat(np.arange(50), 3)
    fold = folds_of(customer, 0)
    assert all(len(set(fold[customer == c])) == 1 for c in range(50))
    y = np.where(fold == 0, 1e6, 0.0)
    offer = np.arange(150) % 2
    told = crossfit_outcome(y, offer, np.ones((150, 1)), 2, fold)
    assert told[fold == 0] == pytest.approx(np.zeros((int((fold == 0).sum()), 2)), abs=1e-3)


BALANCED = (np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]), np.array([True, False, True, False, False, True]))
RANKED = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])


def test_the_curve_of_a_balanced_binary_outcome_by_hand() -> None:
    """As scikit-uplift's uplift_curve over N; times the treated share it is its qini_curve over N.

    Prefixes: t 1/1, c -; t 1/1, c 0/1; t 2/2, c 0/1; t 2/2, c 0/2; t 2/2, c 1/3; t 2/3, c 1/3.
    """
    y, t = BALANCED
    curve = uplift_curve(RANKED, y, t, np.full(6, 0.5))
    uplift = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5 * (1 - 1 / 3), 6 * (2 / 3 - 1 / 3)])
    assert 6 * curve.gain == pytest.approx(uplift)
    treated = np.array([0, 1, 1, 2, 2, 2, 3])
    control = np.array([0, 0, 1, 1, 2, 3, 3])
    of_t, of_c = np.array([0, 1, 1, 2, 2, 2, 2]), np.array([0, 0, 0, 0, 0, 1, 1])
    radcliffe = of_t - of_c * np.divide(treated, control, out=np.zeros(7), where=control > 0)
    share = np.divide(treated, treated + control, out=np.zeros(7), where=treated + control > 0)
    assert 6 * curve.gain * share == pytest.approx(radcliffe)


def test_equal_predictions_enter_together_whatever_their_order() -> None:
    y, t = BALANCED
    ranked = np.array([2.0, 2.0, 2.0, 1.0, 1.0, 1.0])
    curve = uplift_curve(ranked, y, t, np.full(6, 0.5))
    mixed = [2, 0, 1, 5, 3, 4]
    again = uplift_curve(ranked[mixed], y[mixed], t[mixed], np.full(6, 0.5))
    assert curve.share.tolist() == again.share.tolist() == [0.0, 0.5, 1.0]
    assert curve.gain == pytest.approx(again.gain)


def test_unequal_chances_do_not_tilt_the_curve() -> None:
    """The rich were treated nine times of ten and the poor once: no effect, and none is found."""
    rng = np.random.default_rng(3)
    rich = rng.random(200_000) < 0.5
    chance = np.where(rich, 0.9, 0.1)
    t = rng.random(200_000) < chance
    y = np.where(rich, 100.0, 0.0)
    honest = uplift_curve(rng.random(200_000), y, t, np.where(t, chance, 1.0 - chance))
    naive = uplift_curve(rng.random(200_000), y, t, np.full(200_000, 0.5))
    assert abs(honest.gain[-1]) < 1.5
    assert naive.gain[-1] > 70.0


def test_qini_is_the_area_above_the_straight_line() -> None:
    """Scores 3, 1, 0, 0 in their order: gains .75, 1, 1, 1; area by trapezes .8125, less 1 / 2."""
    curve = score_curve(np.array([4.0, 3.0, 2.0, 1.0]), np.array([3.0, 1.0, 0.0, 0.0]))
    assert curve.auuc == pytest.approx((0.375 + 0.875 + 1.0 + 1.0) / 4)
    assert curve.qini == pytest.approx(0.8125 - 0.5)


def test_points_of_the_curve_have_the_errors_of_their_sums() -> None:
    predicted, effect = np.array([1.0, 4.0, 2.0, 3.0, 4.0]), np.array([-5.0, 3.0, 1.0, 2.0, 1.0])
    found = reaches(predicted, effect, np.arange(5), groups=2)
    assert [one.share for one in found] == [0.6, 1.0]
    assert [one.gain.value for one in found] == pytest.approx([6.0 / 5.0, 2.0 / 5.0])
    kept = np.array([0.0, 3.0, 0.0, 2.0, 1.0])
    assert found[0].gain.error == pytest.approx(kept.std(ddof=1) / np.sqrt(5.0))
    curve = score_curve(predicted, effect)
    for one in found:
        assert one.gain.value == pytest.approx(float(np.interp(one.share, curve.share, curve.gain)))
    assert reaches(np.zeros(4), np.ones(4), np.arange(4))[0].share == 1.0, "all alike: all or nobody"
    assert reaches(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)) == ()


def test_deciles_hold_equal_predictions_together() -> None:
    parts = calibration(np.repeat([1.0, 2.0], 50), np.repeat([0.5, 2.5], 50), np.arange(100))
    assert [(part.count, part.predicted, part.found.value) for part in parts] == [
        (50, 1.0, 0.5),
        (50, 2.0, 2.5),
    ]
