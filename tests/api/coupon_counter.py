"""A coupon shelf written by hand: two coupons, two products, a customer who agreed and one who did not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from policies.serve.coupon_shelf import CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Floats
from pricing.coupon_book import CampaignTerms, CouponBook, Goods
from pricing.coupon_rules import CouponSettings
from pricing.coupons import Coupon, Scope
from pricing.customers import CUSTOMER_FEATURES, Customers, unknown
from pricing.evidence import Identification
from pricing.uplift import Basis, UpliftModel
from tests.api.ledger_app import KEY

ANA, BEN = KEY.customer("ana"), KEY.customer("ben")
FROM, TO = 1_767_225_600, 2_082_758_400  # 2026 to 2036


def book(budget: int | None = 10_000, **limits: int | None) -> CouponBook:
    five = Coupon("five", "spring", amount=500, min_spend=2000, valid_from=FROM, valid_to=TO)
    ten = Coupon(
        "ten",
        "spring",
        scope=Scope.LINE,
        parts=100_000,
        products=frozenset({"A"}),
        valid_from=FROM,
        valid_to=TO,
    )
    return CouponBook(
        coupons=(replace(five, **limits), ten),  # type: ignore[arg-type]  # limits, by their names
        campaigns=(CampaignTerms("spring", "mail", FROM, TO, budget),),
        goods=Goods(
            product=("A", "B", "book"),
            category=("tea", "tea", "books"),
            reducible=np.array([True, True, False]),
            unit_cost=np.array([600.0, np.nan, 500.0]),
            cost_assumed=np.zeros(3, dtype=np.bool_),
        ),
        zones=(("es", 0.25, True), ("us", 0.0, False)),
        fee_share=0.0,
        fee_unit=0,
        currency="EUR",
        as_of="2026-06-01",
        fingerprint="data",
    )


def model(worth: Floats, known: Identification = Identification.EXPERIMENT) -> UpliftModel:
    """A model by which offers add `worth` [K, 2]: a constant, and so much a unit of recency below 3."""
    K = len(worth)
    one = np.ones(1)
    return UpliftModel(
        offers=("", "five", "ten"),
        basis=Basis(
            features=("recency",),
            low=0.0 * one,
            high=7.0 * one,
            centre=3.0 * one,
            scale=-one,
            products=np.zeros((0, 3), dtype=np.int64),
            offset=one[:0],
            level=np.zeros(2),
        ),
        mean=worth,
        covariance=np.zeros((K, 2, K, 2)),
        redemption=np.zeros((K, 2)),
        discount=np.zeros((K, 2)),
        most=np.array([0.0, 500.0, 500.0]),
        identified_by=(known,) * K,
        window_days=28,
        after_days=28,
        currency="EUR",
        as_of="2026-06-01",
        fingerprint="data",
    )


def customers() -> Customers:
    names = tuple(sorted((ANA, BEN)))
    values = np.tile(unknown(), (2, 1))
    agreed = np.array([name == ANA for name in names])
    values[agreed, [feature.name for feature in CUSTOMER_FEATURES].index("recency")] = 1.0
    return Customers(names, values, agreed, 20_605, "data")


def shelf(
    worth: Floats | None = None,
    draws: int = 0,
    settings: CouponSettings | None = None,
    known: Identification = Identification.EXPERIMENT,
    holdout: float = 0.0,
    **limits: int | None,
) -> CouponShelf:
    """Unless told otherwise: five adds 100 to Ana and costs 300 with a stranger; ten adds nothing."""
    told = np.array([[0.0, 0.0], [0.0, 50.0], [-10.0, 0.0]]) if worth is None else worth
    return CouponShelf(
        book=book(**limits),
        customers=customers(),
        policy=UpliftOffers.of(model(told, known), draws, 1),
        settings=settings or CouponSettings(),
        margin_floor=0.0,
        holdout_share=holdout,
        reservation_seconds=600,
        seed=7,
    )
