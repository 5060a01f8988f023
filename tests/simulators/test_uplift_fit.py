"""Effects on shops whose truth is known: found where drawn by lot, flagged where not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pricing.arrays import Bools
from pricing.errors import DataError, MissingCost, UsageError
from pricing.evidence import Identification
from simulators.contract.tables import open_source
from simulators.known_truth.coupon_exposures import exposures_of
from simulators.known_truth.coupon_shop import (
    Assignment,
    CouponSpec,
    draw_coupon_shop,
    true_cost,
    true_effect,
)
from simulators.known_truth.coupon_tables import write_coupon_shop
from simulators.uplift.assignment import Doubt, check_assignment
from simulators.uplift.exposure_tables import EXPOSURE_TABLES, Read, Windows, build_exposures
from simulators.uplift.exposures import Exposures
from simulators.uplift.fit import UpliftFit, fit_model, fit_uplift
from simulators.uplift.library import Meta, library_learner

SPEC = CouponSpec(3, customers=6000)


@cache
def exposures(assignment: Assignment = Assignment.RANDOMISED, seed: int = 3) -> Exposures:
    return exposures_of(draw_coupon_shop(CouponSpec(seed, assignment, 6000)))


@cache
def fitted() -> UpliftFit:
    return fit_uplift(exposures())


def test_a_lottery_is_taken_for_one_and_its_intervals_hold_the_truth() -> None:
    check = fitted().report.check
    assert check.identified_by == (Identification.EXPERIMENT,) * 5
    assert check.doubts == ()
    assert [abs(arm.share.value - 1.0) < 4 * arm.share.error for arm in check.arms] == [True] * 5
    truth = true_effect(draw_coupon_shop(SPEC).shoppers).mean(axis=0)
    for k, effect in enumerate(fitted().report.effects, 1):
        assert abs(effect.total.value - truth[k]) < 3.5 * effect.total.error
        assert abs(effect.before.value) < 3.5 * effect.before.error
        assert effect.total.value == pytest.approx(effect.during.value + effect.after.value)


def test_costs_are_those_of_everybody_who_redeems() -> None:
    shop = draw_coupon_shop(SPEC)
    told = fitted().model.predict(exposures().X[:6000]).cost.mean(axis=0)
    assert told[1:] == pytest.approx(true_cost(shop.shoppers).mean(axis=0)[1:], rel=0.1)


@pytest.mark.parametrize("assignment", [Assignment.TARGETED, Assignment.CLAIMED])
@pytest.mark.parametrize("seed", [3, 4])
def test_coupons_aimed_at_likely_buyers_are_never_called_identified(
    assignment: Assignment, seed: int
) -> None:
    found = fit_uplift(exposures(assignment, seed))
    doubt = Doubt.NO_PROPENSITY if assignment is Assignment.TARGETED else Doubt.NOT_AS_DECLARED
    assert found.report.check.doubts == (doubt,)
    assert found.model.may_act == (True, False, False, False, False)
    assert found.report.effects == ()
    assert found.report.value is None
    assert found.report.holdout is not None
    effects = found.model.predict(exposures(assignment, seed).X)
    assert (effects.sd[:, 1:].mean(axis=0) > effects.cost[:, 1:].mean(axis=0)).all(), "a prior is wide"


def test_without_a_holdout_nothing_is_identified() -> None:
    given = exposures().take(exposures().offer > 0)
    assert fit_uplift(given).report.check.doubts == (Doubt.NO_HOLDOUT,)


def test_wrong_shares_are_found_even_where_customers_are_alike() -> None:
    log = exposures()
    halved = np.where(log.offer == 1, log.propensity / 2, log.propensity)
    assert Doubt.NOT_AS_DECLARED in check_assignment(replace(log, propensity=halved)).doubts


def test_a_rare_offer_is_told_nothing_about_and_the_others_all_the_same() -> None:
    log = exposures()
    rare = (log.offer == 4) & (np.cumsum(log.offer == 4) > 50)
    found = check_assignment(replace(log, drawn=log.drawn & ~rare))
    assert found.arms[4].customers == 50
    assert found.identified_by[4] is Identification.NOT_IDENTIFIED


@pytest.mark.parametrize(("kept", "small"), [(249, True), (250, False)])
def test_an_offer_of_few_customers_is_told_with_a_warning(kept: int, *, small: bool) -> None:
    log = exposures()
    _, first = np.unique(np.where(log.offer == 4, log.customer, -1), return_index=True)
    counted: Bools = np.isin(np.arange(len(log)), first[1 : kept + 1]) | (log.offer != 4)
    found = check_assignment(replace(log, drawn=log.drawn & counted))
    assert (found.arms[4].customers, found.arms[4].small) == (kept, small)
    assert (Doubt.SMALL_ARM in found.doubts) == small


def test_the_same_seed_and_data_give_the_same_bytes() -> None:
    assert fit_model(exposures()).to_bytes() == fitted().model.to_bytes()


def test_a_library_learner_condenses_to_the_same_noun() -> None:
    small = exposures().take(np.arange(len(exposures())) % 3 == 0)
    found = fit_model(small, learner=library_learner(Meta.DR))
    assert found.mean.shape == (5, len(found.basis))
    assert found.mean[1:].any()


def test_nobody_with_a_coupon_is_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="No exposure tells of a coupon"):
        fit_uplift(exposures().take(exposures().offer == 0))
    with pytest.raises(UsageError, match="do not have the shape"):
        replace(exposures(), offer=np.zeros(3, dtype=np.int64))


def _read(folder: Path, windows: Windows = Windows()) -> Read:  # noqa: B008 - frozen
    with open_source(folder, today=dt.date(2030, 1, 1), only=EXPOSURE_TABLES) as source:
        return build_exposures(source, "personal_offers", windows)


def test_tables_say_what_the_world_did(tmp_path: Path) -> None:
    shop = draw_coupon_shop(CouponSpec(5, customers=400))
    write_coupon_shop(shop, tmp_path / "data")
    read, told = _read(tmp_path / "data"), exposures_of(shop)
    found = read.exposures
    assert (found.window_days, found.after_days, found.offers) == (14, 28, told.offers)
    for name in ("offer", "lottery", "redeemed", "propensity", "units", "discount", "revenue", "profit"):
        assert np.allclose(getattr(found, name), getattr(told, name), rtol=0.0, atol=1e-6), name
    assert read.cost_assumed
    assert found.drawn.all()


SHOP = """
contract = 1
currency = "EUR"
time_zone = "Europe/Madrid"
[[zones]]
id = "shop"
country = "ES"
tax_rate = 0.21
prices_include_tax = true
"""
TABLES = {
    "products": "product_id,category,kind\np,c,merchandise\n",
    "costs": "product_id,valid_from,unit_cost\np,2025-01-01,40.00\n",
    "orders": "order_id,line_id,ordered_at,status,customer_id,product_id,quantity,regular_price,"
    "offered_price,paid,price_basis\n"
    + "".join(
        f"{order},1,{day} 12:00:00,paid,{who},p,{units},121.00,121.00,{paid},gross\n"
        for order, day, who, units, paid in (
            ("o0", "2026-01-02", "ben", 1, "121.00"),
            ("o1", "2026-02-03", "ana", 1, "108.90"),
            ("o2", "2026-02-15", "ana", 2, "242.00"),
            ("o3", "2026-02-20", "ben", 1, "121.00"),
            ("o4", "2026-06-01", "cleo", 1, "121.00"),
        )
    ),
    "discounts": "order_id,line_id,kind,coupon_id,amount,funded_by\no1,1,coupon,ten,12.10,shop\n",
    "coupons": "coupon_id,scope,percent,valid_from,valid_to\nten,order,0.1,2026-02-01,2026-02-11\n",
    "coupon_exposures": "customer_id,coupon_id,at,assigned_by,propensity,holdout\n"
    "ana,ten,2026-02-01,policy,0.8,false\nben,ten,2026-02-01,policy,0.2,true\ncleo,ten,2026-02-01,policy,0.8,false\n",
    "redemptions": "customer_id,coupon_id,at,order_id,status\nana,ten,2026-02-03,o1,redeemed\n",
    "consents": "customer_id,purpose,granted,at,text_version,source\n"
    "ana,personal_offers,true,2025-12-01,1,shop\nben,personal_offers,true,2025-12-01,1,shop\n",
}  # fmt: skip


def _write(folder: Path, **changed: str) -> Path:
    folder.mkdir()
    (folder / "shop.toml").write_text(SHOP)
    for name, text in (TABLES | changed).items():
        if text:
            (folder / f"{name}.csv").write_text(text)
    return folder


def test_a_small_shop_by_hand(tmp_path: Path) -> None:
    """Ana: window of 10 days, net 90 - 40; after it two at 100 - 40. Cleo never agreed. Ben was held out."""
    read = _read(_write(tmp_path / "data"))
    found = read.exposures
    assert read.left.no_consent == 1
    assert (found.offers, found.offer.tolist(), found.window_days) == (("", "ten"), [1, 0], 10)
    assert found.profit[0].tolist() == pytest.approx([0.0, 5000.0, 12000.0])
    assert found.revenue[0].tolist() == pytest.approx([0.0, 9000.0, 20000.0])
    assert found.profit[1].tolist() == pytest.approx([0.0, 0.0, 6000.0])
    assert found.discount.tolist() == pytest.approx([1000.0, 0.0])
    assert found.propensity.tolist() == [0.8, 0.2]


def test_contradictions_and_missing_costs_are_refused(tmp_path: Path) -> None:
    both = TABLES["coupon_exposures"].replace(
        "cleo,ten,2026-02-01,policy,0.8,false", "ana,other,2026-02-01,policy,0.8,true"
    )
    campaign = both.replace("coupon_id,at", "coupon_id,campaign_id,at").replace(",2026", ",spring,2026")
    with pytest.raises(DataError, match="held out of campaign spring and given"):
        _read(_write(tmp_path / "a", coupon_exposures=campaign))
    with pytest.raises(MissingCost):
        _read(_write(tmp_path / "b", costs=""))
    with pytest.raises(DataError, match="1 without consent"):
        _read(_write(tmp_path / "c"), Windows(200, 200))


def test_assigned_by_a_rule_is_no_lottery_whatever_the_propensity(tmp_path: Path) -> None:
    rule = TABLES["coupon_exposures"].replace("policy", "rule")
    assert not _read(_write(tmp_path / "data", coupon_exposures=rule)).exposures.drawn.any()


@pytest.mark.parametrize("kind", ["none", "constant", "unknown", "no profit", "an offer nobody got", "few"])
def test_poor_logs_end_in_a_model_or_in_words(kind: str) -> None:
    log = exposures().take(np.arange(12_000) % 6 == 0)
    N, F = log.X.shape
    poor = {
        "none": replace(log, features=(), X=np.zeros((N, 0))),
        "constant": replace(log, X=np.ones((N, F))),
        "unknown": replace(log, X=np.full((N, F), np.nan)),
        "no profit": replace(log, profit=np.zeros((N, 3)), revenue=np.zeros((N, 3))),
        "an offer nobody got": replace(
            log, offers=(*log.offers, "never"), declared=np.zeros((N, 6), dtype=np.bool_)
        ),
        "few": log.take(np.arange(N) < 40),
    }[kind]
    found = fit_uplift(poor)
    assert np.isfinite(found.model.mean).all()
    assert ("never" not in poor.offers) or not found.model.may_act[-1]
    assert found.report.check.usable == (kind != "few")
