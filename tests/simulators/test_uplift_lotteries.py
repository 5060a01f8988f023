"""Campaigns that draw among their own coupons, for their own customers: each compared within its lottery."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluation.coupon_log import best_offers, judge
from pricing.arrays import Bools, Floats
from pricing.evidence import Identification
from simulators.known_truth.coupon_exposures import exposures_of
from simulators.known_truth.coupon_shop import Assignment, CouponSpec, draw_coupon_shop, true_effect
from simulators.uplift.assignment import Doubt, check_assignment, compared_rows
from simulators.uplift.exposures import Exposures
from simulators.uplift.fit import UpliftFit, fit_uplift
from simulators.uplift.lotteries import comparable_rows, open_offers
from simulators.uplift.projection import least_squares

SPEC = CouponSpec(11, customers=8000)
URNS = np.array([[True, True, True, False, False], [True, False, False, True, True]])
"""The shallow coupons for who buys seldom, the deep ones for who buys often."""


@cache
def whole() -> tuple[Exposures, Floats, Bools]:
    """Return a shop's exposures, true effects [N, K], and who buys often [N]."""
    shop = draw_coupon_shop(SPEC)
    effect = np.tile(true_effect(shop.shoppers), (SPEC.campaigns, 1))
    often = np.tile(shop.shoppers.often() == 1, SPEC.campaigns)
    return exposures_of(shop), effect, often


@cache
def two_campaigns() -> tuple[Exposures, Floats]:
    """Return what two campaigns leave of those: draws within their urn, with the chance within it."""
    log, effect, often = whole()
    urn = URNS[often.astype(np.int64)]
    inside = np.take_along_axis(urn, log.offer[:, None], axis=1)[:, 0]
    share = np.array([[log.propensity[(often == g) & (log.offer == k)][0] for k in range(5)] for g in (0, 1)])
    within = log.propensity / (share * URNS).sum(axis=1)[often.astype(np.int64)]
    made = replace(log, lottery=often.astype(np.int64), propensity=within)
    return made.take(inside), effect[inside]


@cache
def fitted() -> UpliftFit:
    return fit_uplift(two_campaigns()[0])


def test_each_campaign_has_its_own_urn() -> None:
    log, _ = two_campaigns()
    np.testing.assert_array_equal(open_offers(log), URNS[log.lottery])
    assert compared_rows(log).all()


def test_two_campaigns_are_two_lotteries_and_intervals_hold_the_truth() -> None:
    log, effect = two_campaigns()
    check = fitted().report.check
    assert check.identified_by == (Identification.EXPERIMENT,) * 5
    assert check.doubts == ()
    for k, told in enumerate(fitted().report.effects, 1):
        theirs = effect[URNS[log.lottery, k], k].mean()
        assert abs(told.total.value - theirs) < 3.5 * told.total.error, told.offer
        assert abs(told.before.value) < 3.5 * told.before.error, told.offer


def test_taken_for_one_lottery_they_would_be_refused() -> None:
    log, _ = two_campaigns()
    one = check_assignment(replace(log, lottery=np.zeros(len(log), dtype=np.int64)))
    assert one.doubts == (Doubt.NOT_AS_DECLARED,)


def test_a_campaign_aimed_at_customers_is_found_beside_an_honest_one() -> None:
    honest, _ = two_campaigns()
    aimed = exposures_of(draw_coupon_shop(replace(SPEC, assignment=Assignment.CLAIMED)))
    mixed = honest.take(honest.lottery == 0)
    both = _joined(mixed, replace(aimed, lottery=np.full(len(aimed), 9), customer=aimed.customer + 10**6))
    assert Doubt.NOT_AS_DECLARED in check_assignment(both).doubts


def test_shares_that_are_wrong_in_opposite_ways_do_not_cancel() -> None:
    log, _ = two_campaigns()
    wrong = np.where(log.lottery == 0, 0.9, 1.1) * log.propensity
    of_none = np.where(log.offer == 0, wrong, log.propensity)
    assert check_assignment(replace(log, propensity=of_none)).doubts == (Doubt.NOT_AS_DECLARED,)


def test_a_campaign_without_a_holdout_compares_nothing_and_spoils_nothing() -> None:
    log, _ = two_campaigns()
    bare = (log.lottery == 1) & (log.offer > 0)
    found = check_assignment(log.take((log.lottery == 0) | bare))
    assert found.drawn == int((log.lottery == 0).sum())
    assert found.identified_by[1:3] == (Identification.EXPERIMENT,) * 2
    assert found.identified_by[3:] == (Identification.NOT_IDENTIFIED,) * 2
    assert check_assignment(log.take(bare)).doubts == (Doubt.NO_HOLDOUT,)


def test_many_small_campaigns_with_the_same_coupons_are_one_lottery() -> None:
    log, _, _ = whole()
    daily = replace(log, lottery=np.arange(len(log)) // 12)
    assert open_offers(daily).all(), "of twelve customers it is chance who is not held out"
    assert check_assignment(daily).doubts == ()


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_an_offer_that_was_given_was_open(seed: int, campaigns: int) -> None:
    log, _, _ = whole()
    rng = np.random.default_rng(seed)
    some = log.take(rng.random(len(log)) < 0.003)
    made = replace(some, lottery=rng.integers(0, campaigns, len(some)))
    found = open_offers(made)
    assert np.take_along_axis(found, made.offer[:, None], axis=1).all()
    order = rng.permutation(len(made))
    again = open_offers(made.take(order))  # type: ignore[arg-type]
    np.testing.assert_array_equal(again, found[order])
    assert not comparable_rows(found)[~found[:, 0]].any()


def test_a_projection_reads_the_rows_that_count_for_each_offer() -> None:
    rng = np.random.default_rng(2)
    X, y = np.c_[np.ones(300), rng.normal(size=300)], rng.normal(size=(300, 2))
    counted = np.stack([np.arange(300) < 180, np.arange(300) >= 120], axis=1)
    both = least_squares(y, X, np.arange(300), np.ones(300), counted)
    for j in range(2):
        rows = counted[:, j]
        many = int(rows.sum())
        mine = (y[rows][:, [j]], X[rows], np.arange(many), np.ones(many), np.ones((many, 1), dtype=np.bool_))
        alone = least_squares(*mine)
        np.testing.assert_allclose(both.mean[j], alone.mean[0])
        own = both.covariance[2 * j : 2 * j + 2, 2 * j : 2 * j + 2]
        np.testing.assert_allclose(own * 299 / 300, alone.covariance * (many - 1) / many)


def test_a_policy_is_judged_by_what_was_open() -> None:
    log, effect = two_campaigns()
    model = fitted().model
    open_to = open_offers(log)
    best = best_offers(model, log.X, log.offers, open_to)
    assert np.take_along_axis(open_to, best[:, None], axis=1).all()
    told = judge(replace(model, fingerprint="of another log"), log)
    ours = told.policies[0]
    assert ours.gain is not None
    rows = np.arange(len(log))
    assert abs(ours.gain.value - effect[rows, best].mean()) < 3.5 * ours.gain.error
    given = {entry.offer: entry.gives for entry in told.policies if entry.name == "everybody"}
    assert list(given.values()) == pytest.approx([float(open_to[:, k].mean()) for k in range(1, 5)])


def _joined(one: Exposures, other: Exposures) -> Exposures:
    names = (
        "customer",
        "day",
        "offer",
        "lottery",
        "declared",
        "propensity",
        "drawn",
        "redeemed",
        "discount",
        "X",
        "units",
        "revenue",
        "profit",
    )
    parts: dict[str, Any] = {n: np.concatenate([getattr(one, n), getattr(other, n)]) for n in names}
    return replace(one, **parts)
