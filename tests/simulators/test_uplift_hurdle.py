"""The guess from whether people buy: by hand, beside statsmodels, and how far it is leaned on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import statsmodels.api
from hypothesis import given
from hypothesis import strategies as st

from pricing.arrays import Bools, Floats
from pricing.uplift import Basis, UpliftModel
from simulators.known_truth.coupon_exposures import exposures_of
from simulators.known_truth.coupon_shop import CouponSpec, draw_coupon_shop
from simulators.uplift.basis import basis_of
from simulators.uplift.exposures import Exposures
from simulators.uplift.fit import fit_model, fit_uplift, regressors
from simulators.uplift.hurdle import Trust, common_odds, hurdle_prior, trusted
from simulators.uplift.shrinkage import Kinds

sm: Any = statsmodels.api


@cache
def log() -> Exposures:
    return exposures_of(draw_coupon_shop(CouponSpec(3, customers=3000)))


def kinds(P: int) -> Kinds:
    return Kinds(np.minimum(np.arange(P), 1), np.zeros((P, P)))


def two_arms(bought: tuple[int, int], of: int = 400, off: float = 100.0) -> Exposures:
    """Return exposures without features: `of` customers an arm, of whom so many buy for a profit of 1000."""
    mine = log().take(np.arange(len(log())) < 2 * of)
    offer = np.repeat([0, 1], of)
    buys = np.concatenate([np.arange(of) < many for many in bought])
    used = buys & (offer == 1)
    phases = np.zeros((2 * of, 3))
    units, profit = phases.copy(), phases.copy()
    units[:, 1], profit[:, 1] = buys, 1000.0 * buys - off * used
    return replace(
        mine, customer=np.arange(2 * of), offers=("", "ten"), offer=offer,
        declared=np.zeros((2 * of, 2), dtype=np.bool_), propensity=np.full(2 * of, 0.5), features=(),
        X=np.zeros((2 * of, 0)), redeemed=used, discount=off * used, units=units, revenue=profit,
        profit=profit,
    )  # fmt: skip


def plain(exposures: Exposures) -> Basis:
    return basis_of(exposures.features, exposures.X, exposures.revenue[:, 1:].sum(axis=1))


def test_an_effect_by_hand() -> None:
    """A purchase earns 1000 and 100 comes off: .3 x 900 with the coupon, .2 x 1000 without, so 70."""
    mine = two_arms((80, 120))
    prior = hurdle_prior(mine, plain(mine), kinds(1), np.ones(1), np.arange(800) % 4)
    assert prior is not None
    assert prior.expected == pytest.approx(np.full((800, 1), 70.0), rel=0.12)
    at = prior.basis.guessed(np.ones((1, 1)), np.zeros((1, 0)))
    assert at[0] == pytest.approx(np.array([[70.0]]), abs=0.5)
    assert at[1] == pytest.approx(np.array([[900.0 * 0.3 * 0.7]]), rel=0.01)
    spread = float(np.sqrt(prior.covariance[0, 0]))
    assert spread == pytest.approx(900.0 * 0.21 * np.sqrt(1 / (400 * 0.16) + 1 / (400 * 0.21)), rel=0.01)


@pytest.mark.parametrize("bought", [(0, 0), (400, 400)])
def test_where_nobody_or_everybody_buys_there_is_no_guess_and_still_a_model(bought: tuple[int, int]) -> None:
    mine = two_arms(bought)
    assert hurdle_prior(mine, plain(mine), kinds(1), np.ones(1), np.arange(800) % 4) is None
    found = fit_model(mine)
    assert not len(found.basis.odds)
    assert np.isfinite(found.profit(mine.X)).all()


@pytest.mark.parametrize("bought", [(0, 40), (40, 0), (400, 200), (1, 1)])
def test_an_arm_in_which_all_do_the_same_ends_in_finite_effects(bought: tuple[int, int]) -> None:
    mine = two_arms(bought)
    found = fit_model(mine).predict(mine.X)
    assert np.isfinite(found.profit).all()
    assert np.isfinite(found.sd).all()
    truth = (900.0 * bought[1] - 1000.0 * bought[0]) / 400
    assert found.profit[0, 1] == pytest.approx(truth, abs=30.0)


def test_without_anybody_without_a_coupon_there_is_no_guess() -> None:
    mine = two_arms((80, 120)).take(np.arange(800) >= 400)
    assert hurdle_prior(mine, plain(mine), kinds(1), np.ones(1), np.arange(400) % 4) is None


def test_common_log_odds_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60_000, 2))
    mine = replace(plain(two_arms((1, 1))), features=("a", "b"), low=np.full(2, -9.0), high=np.full(2, 9.0),
                   centre=np.zeros(2), scale=np.ones(2), level=np.zeros(3))  # fmt: skip
    offer = rng.integers(0, 3, len(X))
    wide = np.c_[np.ones(len(X)), X, offer == 1, offer == 2]
    chance = 1.0 / (1.0 + np.exp(-wide @ np.array([-1.0, 0.5, -0.3, 0.2, 0.4])))
    buys = rng.random(len(X)) < chance
    found = common_odds(mine, X, buys, offer, 3)
    told = np.asarray(sm.Logit(buys, wide).fit(disp=False).params)
    assert found == pytest.approx(told, abs=1e-3)


def test_trust_is_the_factor_of_a_weighted_regression_and_its_error() -> None:
    rng = np.random.default_rng(5)
    N, customer = 4000, np.arange(4000) // 2
    scale = rng.uniform(0.5, 2.0, N)
    x = rng.normal(size=(N, 1))
    y = 0.5 * x + scale[:, None] + 0.6 * rng.normal(size=(N, 1))
    found = trusted(x, y, np.ones((N, 1), dtype=np.bool_), scale, customer)
    wls = sm.WLS(y[:, 0], np.c_[x, scale], weights=1.0 / scale).fit(
        cov_type="cluster", cov_kwds={"groups": customer, "use_correction": False}
    )
    assert found.mean == pytest.approx(float(wls.params[0]), abs=1e-3)
    assert np.sqrt(found.variance) == pytest.approx(float(wls.bse[0]), rel=0.03)


def test_a_guess_that_is_right_is_trusted_and_one_that_runs_against_the_scores_is_not() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 2))
    counted: Bools = np.asarray(np.isfinite(x))
    noise, scale, customer = 0.3 * rng.normal(size=(3000, 2)), np.ones(3000), np.arange(3000)
    assert trusted(x, x + noise, counted, scale, customer).mean > 0.98
    assert trusted(x, noise - x, counted, scale, customer).mean < 0.01
    assert trusted(np.zeros_like(x), noise, counted, scale, customer) == Trust(0.0, 0.0)
    unknown = trusted(0.001 * x, 50.0 * noise, counted, scale, customer)
    assert unknown.mean == pytest.approx(0.5, abs=0.05), "nothing told: all from 0 to 1 are alike"


@given(st.integers(0, 2**32 - 1), st.floats(-0.5, 1.5), st.floats(0.1, 5.0))
def test_leaning_is_never_worse_than_the_worse_of_all_and_nothing(
    seed: int, truth: float, noise: float
) -> None:
    """And where the scores tell, no worse than the better: in squared error on what neither was fitted to."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2000, 1)) * rng.uniform(0.2, 3.0)
    y = truth * x + noise * rng.normal(size=x.shape)
    x, y = x - x.mean(), y - y.mean()
    counted: Bools = np.asarray(np.isfinite(x))
    found = trusted(x, y, counted, np.ones(len(x)), np.arange(len(x)))

    def loss(factor: float) -> float:
        return float(np.square(y - factor * x).sum())

    assert loss(found.mean) <= max(loss(0.0), loss(1.0)) * (1.0 + 1e-12)
    slack = 4.0 * float(np.square(x).sum()) * noise**2 / float(np.square(x).sum())
    assert loss(found.mean) <= min(loss(0.0), loss(1.0)) + 4.0 * slack


def _guesses(model: UpliftModel, values: Floats) -> Floats:
    return model.profit(values)[:, 1:]


def test_rows_in_another_order_and_the_same_seed_give_the_same_effects() -> None:
    mine = log()
    order = np.random.default_rng(1).permutation(len(mine))
    one, other = fit_model(mine), fit_model(mine.take(order))  # type: ignore[arg-type]
    told, again = _guesses(one, mine.X), _guesses(other, mine.X)
    assert np.abs(told - again).max() < 0.02 * told.std()
    assert fit_model(mine).to_bytes() == one.to_bytes()


def test_the_account_tells_how_far_the_guess_is_trusted_and_the_model_comes_back_whole() -> None:
    found = fit_uplift(log())
    model = found.model
    K = len(model.offers)
    assert 0.0 <= found.report.trust <= 1.0
    assert model.basis.odds.shape == (K, model.basis.plain)
    assert model.mean[1:, -K + 1 :] == pytest.approx(found.report.trust * np.eye(K - 1))
    scored = regressors(model.basis, log().X)
    assert scored.tobytes() == regressors(model.basis.unguessed, log().X).tobytes(), "scores need no guess"
    again = UpliftModel.from_bytes(model.to_bytes())
    assert again.to_bytes() == model.to_bytes()
    np.testing.assert_array_equal(again.predict(log().X).sd, model.predict(log().X).sd)
