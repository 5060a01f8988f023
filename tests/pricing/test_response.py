"""Bends of the response to the regular price, their mixture, and draws that share a world's bends."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.demand import Conditions, log_units
from pricing.model import COEFFICIENTS, REGULAR, DemandModel, regular_arc
from pricing.response import FORMS, ResponseForms, arc_of_bends, bend_slopes, bends
from tests.pricing.small_shop import beliefs, catalogue
from tests.pricing.test_archive import model

C = len(COEFFICIENTS)
CURVE, THRESHOLD = COEFFICIENTS.index("curve"), COEFFICIENTS.index("threshold")
FOUR = ResponseForms(
    weight=np.array([0.1, 0.4, 0.3, 0.2]),
    mean=np.array([[0.0, 0.0], [-0.8, 0.0], [0.0, -0.5], [-0.6, 0.3]]),
    covariance=np.array(
        [
            [[1e-8, 0.0], [0.0, 1e-8]],
            [[0.04, 0.0], [0.0, 1e-8]],
            [[1e-8, 0.0], [0.0, 0.09]],
            [[0.04, -0.03], [-0.03, 0.09]],
        ]
    ),
)
_WORLDS = 40_000


def shared(count: int = 3) -> DemandModel:
    """A posterior of `count` series whose bends have the moments of the mixture FOUR."""
    own = model(count)
    rng = np.random.default_rng(7)
    factor = np.tril(0.1 * rng.normal(size=(count, C, C)))
    # The bends stand last: their block of the covariance is set by what is left for it.
    pull = 0.3 * rng.normal(size=(count, CURVE, 2))
    rest = factor[:, :CURVE, :CURVE]
    cross = pull @ FOUR.spread
    covariance = np.empty((count, C, C))
    covariance[:, :CURVE, :CURVE] = rest @ np.swapaxes(rest, 1, 2) + cross @ np.swapaxes(pull, 1, 2)
    covariance[:, :CURVE, CURVE:], covariance[:, CURVE:, :CURVE] = cross, np.swapaxes(cross, 1, 2)
    covariance[:, CURVE:, CURVE:] = FOUR.spread
    mean = own.mean.copy()
    mean[:, CURVE:] = FOUR.centre
    return replace(
        own,
        mean=mean,
        factor=np.asarray(np.linalg.cholesky(covariance), dtype=np.float64),
        form_weight=FOUR.weight,
        form_mean=FOUR.mean,
        form_covariance=FOUR.covariance,
    )


def test_bends_by_hand() -> None:
    curve, threshold = bends(np.array([-0.1, 0.0, 0.05, 0.15]))
    # x^2 / (|x| + .05): .01 / .15, 0, .0025 / .1, .0225 / .2.
    np.testing.assert_allclose(curve, [1.0 / 15.0, 0.0, 0.025, 0.1125])
    np.testing.assert_allclose(threshold, [-1.0 / 15.0, 0.0, 0.025, 0.1125])


def test_slopes_by_hand() -> None:
    """At s from the reference price the threshold has three quarters of its slope; far away all of it."""
    curve, threshold = bend_slopes(np.array([-0.05, 0.0, 0.05, 50.0]))
    np.testing.assert_allclose(threshold, [0.75, 0.0, 0.75, 1.0], atol=1e-5)
    np.testing.assert_allclose(curve, [-0.75, 0.0, 0.75, 1.0], atol=1e-5)


@given(st.floats(-2.0, 2.0))
@settings(max_examples=80, deadline=None)
def test_slopes_are_the_derivatives(x: float) -> None:
    width = 1e-6
    up, down = bends(np.array(x + width)), bends(np.array(x - width))
    for slope, high, low in zip(bend_slopes(np.array(x)), up, down, strict=True):
        # Beside 0 the slope itself bends by 2 / s = 40 a unit.
        assert slope == pytest.approx((high - low) / (2.0 * width), abs=40.0 * width + 1e-8)


@pytest.mark.parametrize("at", [0.0, 0.3, -0.25])
def test_an_arc_is_what_prices_ten_per_cent_up_and_down_say(at: float) -> None:
    shop = catalogue([100])
    known = replace(beliefs(shop, -1.7), curve=np.array([-0.6]), threshold=np.array([0.4]))
    prices = np.log(100.0 * np.exp(at) * np.array([0.9, 1.1]))
    logs = np.log(shop.price.astype(np.float64))
    down, up = (log_units(known, price[None], logs, logs, Conditions.plain(1))[0] for price in prices)
    arc = (up - down) / np.log(1.1 / 0.9)
    coefficients = np.zeros(C)
    coefficients[COEFFICIENTS.index("regular")] = -1.7
    coefficients[[CURVE, THRESHOLD]] = -0.6, 0.4
    assert coefficients @ regular_arc(np.array(at)) == pytest.approx(arc)
    if at == 0.0:
        assert coefficients @ REGULAR == pytest.approx(arc)
        assert known.elasticity[0] == pytest.approx(arc)
        # By hand: log .9 = -.10536, log 1.1 = .09531; bends .07146 and .06252 there.
        curve, threshold = arc_of_bends(np.array(0.0))
        assert curve == pytest.approx((0.062516 - 0.071455) / 0.200671, abs=1e-4)
        assert threshold == pytest.approx((0.062516 + 0.071455) / 0.200671, abs=1e-4)


def test_the_slope_at_a_price_is_the_derivative_of_log_units() -> None:
    shop = catalogue([100, 100, 100])
    known = replace(beliefs(shop, -1.7), curve=np.full(3, -0.6), threshold=np.full(3, 0.4))
    at, logs = np.log([80.0, 103.0, 120.0]), np.log(shop.price.astype(np.float64))
    up, down = (log_units(known, at + h, logs, logs, Conditions.plain(3)) for h in (1e-6, -1e-6))
    np.testing.assert_allclose(known.slope(at), (up - down) / 2e-6, rtol=1e-6)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_bend_of_nothing_changes_no_bit(seed: int) -> None:
    """Also beside a series that bends: a row of a batch is the row alone."""
    rng = np.random.default_rng(seed)
    shop = catalogue([100, 250])
    straight = beliefs(shop, float(rng.uniform(-3.0, -0.5)))
    bent = replace(straight, curve=np.array([0.0, -0.7]), threshold=np.array([0.0, 0.3]))
    logs = np.log(shop.price.astype(np.float64))
    at = logs + rng.normal(0.0, 0.2, (5, 2))
    plain, beside = (log_units(d, at, logs, logs, Conditions.plain(2)) for d in (straight, bent))
    assert np.array_equal(plain[:, 0], beside[:, 0])
    assert not np.array_equal(plain[:, 1], beside[:, 1])
    slopes = [np.broadcast_to(d.slope(at), at.shape) for d in (straight, bent)]
    assert np.array_equal(slopes[0][:, 0], slopes[1][:, 0])
    assert not straight.bent
    assert bent.bent


def test_moments_of_a_mixture_by_hand() -> None:
    two = ResponseForms(
        np.array([0.25, 0.75]),
        np.array([[0.0, 0.0], [-0.4, 0.8]]),
        np.array([[[0.01, 0.0], [0.0, 0.01]], [[0.09, 0.02], [0.02, 0.05]]]),
    )
    np.testing.assert_allclose(two.centre, [-0.3, 0.6])
    # Within: .25 x .01 + .75 x .09 and so on; between: .25 x .75 x the difference squared.
    within = np.array([[0.07, 0.015], [0.015, 0.04]])
    between = 0.1875 * np.array([[0.16, -0.32], [-0.32, 0.64]])
    np.testing.assert_allclose(two.spread, within + between)


def test_draws_of_the_bends_have_the_forms_weights_and_moments() -> None:
    drawn = FOUR.draws(np.arange(_WORLDS), 5)
    np.testing.assert_allclose(drawn.mean(axis=0), FOUR.centre, atol=4.0 * np.sqrt(0.25 / _WORLDS))
    np.testing.assert_allclose(np.cov(drawn.T), FOUR.spread, atol=0.01)
    still = np.abs(drawn) < 1e-3  # sd .0001 where a bend is held at 0
    for (name, free), weight in zip(FORMS, FOUR.weight, strict=True):
        share = (still == ~np.array(free)).all(axis=1).mean()
        assert share == pytest.approx(weight, abs=0.012), name


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_worlds_bends_follow_from_seed_and_number_alone(numbers: list[int], seed: int) -> None:
    together = FOUR.draws(np.array(numbers), seed)
    for place, number in enumerate(numbers):
        assert np.array_equal(FOUR.draws(np.array([number]), seed)[0], together[place])
    assert not np.array_equal(together, FOUR.draws(np.array(numbers), seed + 1))


def test_a_worlds_bends_are_those_of_all_its_series() -> None:
    own = shared(4)
    drawn = own.draws(30, first=7)[..., CURVE:]
    np.testing.assert_allclose(drawn, np.broadcast_to(drawn[:, :1], drawn.shape), atol=1e-12)
    np.testing.assert_allclose(drawn[:, 0], FOUR.draws(np.arange(7, 37), own.seed), atol=1e-12)


@given(st.permutations(range(4)), st.integers(1, 4), st.integers(0, 50), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_draw_is_the_same_bits_in_any_company(order: list[int], kept: int, first: int, count: int) -> None:
    own, index = shared(4), np.array(order[:kept])
    whole = own.draws(60)
    part = own.take(index).draws(count, first=first)
    assert np.array_equal(part, whole[first : first + count][:, index])


def test_draws_have_the_posteriors_moments() -> None:
    own = shared(2)
    drawn = own.draws(_WORLDS)
    for i in range(2):
        covariance = own.factor[i] @ own.factor[i].T
        sd = np.sqrt(np.diag(covariance))
        error = 4.5 / np.sqrt(_WORLDS)
        assert (np.abs(drawn[:, i].mean(axis=0) - own.mean[i]) <= error * sd).all()
        far = np.cov(drawn[:, i].T) - covariance
        # The error of a product of two sd 1 variables is at most sqrt(2 / D) where they are normal.
        assert (np.abs(far) <= 2.0 * error * np.outer(sd, sd)).all()


def test_other_coefficients_of_two_series_move_together_by_their_bends_alone() -> None:
    """Given a world's bends, series differ independently: their covariance is pull var(bends) pull'."""
    own = shared(2)
    drawn = own.draws(_WORLDS)
    covariance = own.factor @ np.swapaxes(own.factor, 1, 2)
    pull = [np.linalg.solve(c[CURVE:, CURVE:], c[CURVE:, :CURVE]).T for c in covariance]
    said = pull[0] @ FOUR.spread @ pull[1].T
    away = drawn - drawn.mean(axis=0)
    found = np.einsum("dc,de->ce", away[:, 0, :CURVE], away[:, 1, :CURVE]) / _WORLDS
    sd = [np.sqrt(np.diag(c)[:CURVE]) for c in covariance]
    assert (np.abs(found - said) <= 9.0 / np.sqrt(_WORLDS) * np.outer(*sd)).all()
    assert np.abs(said).max() > 0.05


def test_a_model_keeps_its_forms_in_an_archive_and_in_a_part() -> None:
    own = shared(3)
    back = DemandModel.from_bytes(own.to_bytes())
    for one in (back, own.take(np.array([2, 0]))):
        assert one.forms is not None
        for name, kept in itertools.product(("weight", "mean", "covariance"), (one.forms,)):
            assert np.array_equal(getattr(kept, name), getattr(FOUR, name))
    assert model(3).forms is None
