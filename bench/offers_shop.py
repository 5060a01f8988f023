"""An invented shop that gives coupons, of a size that a real one has: its shelf, its prices, its carts."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from api.customer_key import CustomerKey
from api.storage import price_marks
from api.storage.store import Store
from bench.desk_shop import desk_shelf, write_desk_run
from bench.redemptions import now
from policies.serve.coupon_shelf import CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.coupon_book import CampaignTerms, CouponBook, Goods
from pricing.coupon_rules import CouponSettings
from pricing.coupons import Coupon, Scope
from pricing.customers import CUSTOMER_FEATURES, Customers, visible
from pricing.evidence import Identification
from pricing.uplift import Basis, UpliftModel

__all__ = ["OffersShop", "carts", "coupon_shelf", "write_shop"]

_DAY = 86_400
_DRAWS = 100
"""What `tarifa coupons shelf` takes by default."""

_MULTIPLIED, _CUBED = 21, 20
"""Products of features that a fit adds to the features (:mod:`simulators.uplift.basis`)."""


@dataclass(frozen=True, slots=True)
class OffersShop:
    """Sizes of the shop, and what its randomness follows from."""

    products: int = 10_000
    campaigns: int = 50
    customers: int = 100_000
    seed: int = 0


def coupon_shelf(shop: OffersShop, key: CustomerKey) -> CouponShelf:
    """Return what offers are decided by: a coupon a campaign, and a model as large as a fit makes it."""
    at, rng = int(time.time()), np.random.default_rng(shop.seed)
    terms = [
        CampaignTerms(f"m{i:03d}", "mail", at - _DAY, at + 28 * _DAY, 10**8) for i in range(shop.campaigns)
    ]
    return CouponShelf(
        book=CouponBook(
            coupons=tuple(_coupon(i, term) for i, term in enumerate(terms)),
            campaigns=tuple(terms),
            goods=_goods(shop, rng),
            zones=(("es", 0.21, True), ("us", 0.0, False)),
            fee_share=0.02,
            fee_unit=10,
            currency="EUR",
            as_of="2026-06-01",
            fingerprint="0" * 64,
        ),
        customers=_customers(shop, key, rng),
        policy=_policy(shop, rng),
        settings=CouponSettings(frequency_cap=1000),
        margin_floor=0.05,
        holdout_share=0.1,
        reservation_seconds=600,
        seed=shop.seed,
    )


def write_shop(folder: Path, shop: OffersShop) -> dict[str, Path]:
    """Write all that `tarifa serve --coupons` opens, prices as they are known from the shop included."""
    secret = hashlib.sha256(f"bench {shop.seed}".encode()).digest()
    files = {name: folder / name for name in ("run", "shelf.npz", "customers.key", "d.sqlite3")}
    write_desk_run(files["run"], desk_shelf(shop.products, shop.seed), past=False)
    files["shelf.npz"].write_bytes(coupon_shelf(shop, CustomerKey(secret)).to_bytes())
    files["customers.key"].write_bytes(secret)
    store = Store(f"sqlite:///{files['d.sqlite3']}", now)
    seen = price_marks.Mark(
        "", "es", "", int(time.time() - _DAY) * 10**6, 0, 0, "EUR", "gross", "Europe/Madrid",
        price_marks.Source.IMPORTED, "bench",
    )  # fmt: skip
    with store.database.writing() as transaction:
        price_marks.record(
            transaction.connection,
            transaction.at,
            (
                replace(seen, product_id=_name(i), price_group=_name(i), regular=_price(i), offered=_price(i))
                for i in range(shop.products)
            ),
        )
    store.close()
    return files


def carts(shop: OffersShop, count: int, seed: int) -> Sequence[dict[str, Any]]:
    """Return requests: one to six lines, nine in ten of a customer who is known, the rest of a session."""
    rng = np.random.default_rng([shop.seed, seed])
    out: list[dict[str, Any]] = []
    for i in range(count):
        bought = rng.choice(shop.products, size=int(rng.integers(1, 7)), replace=False).tolist()
        lines = [
            {
                "line_id": str(n),
                "product_id": _name(p),
                "quantity": int(rng.integers(1, 4)),
                "shelf_price": _price(p),
            }
            for n, p in enumerate(bought)
        ]
        known = rng.random() < 0.9
        whom = f"c{int(rng.integers(shop.customers))}" if known else f"{seed}-{i}"
        out.append({"customer_id" if known else "anonymous_id": whom, "zone": "es", "lines": lines})
    return out


def _coupon(i: int, term: CampaignTerms) -> Coupon:
    """Return one of three kinds: money off a large cart, a share off everything, a share off a category."""
    held = Coupon(f"k{i:03d}", term.campaign_id, valid_from=term.starts, valid_to=term.ends, amount=500)
    if i % 3 == 0:
        return replace(held, min_spend=3000)
    share = replace(held, amount=0, parts=100_000, max_discount=1500)
    return share if i % 3 == 1 else replace(share, scope=Scope.LINE, categories=frozenset({f"cat{i}"}))


def _goods(shop: OffersShop, rng: np.random.Generator) -> Goods:
    price = np.array([_price(i) for i in range(shop.products)])
    return Goods(
        product=tuple(_name(i) for i in range(shop.products)),
        category=tuple(f"cat{i % 60}" for i in range(shop.products)),
        reducible=rng.random(shop.products) < 0.98,
        unit_cost=price * rng.uniform(0.3, 0.7, shop.products),
        cost_assumed=np.zeros(shop.products, dtype=np.bool_),
    )


def _customers(shop: OffersShop, key: CustomerKey, rng: np.random.Generator) -> Customers:
    names = tuple(sorted(key.customer(f"c{i}") for i in range(shop.customers)))
    agreed = rng.random(shop.customers) < 0.8
    values = visible(rng.uniform(0.0, 3.0, (shop.customers, len(CUSTOMER_FEATURES))), agreed)
    return Customers(names, values, agreed, 20_605, "0" * 64)


def _policy(shop: OffersShop, rng: np.random.Generator) -> UpliftOffers:
    """Return a policy that chooses by draws of a model over all features and products of them."""
    F, K = len(CUSTOMER_FEATURES), 1 + shop.campaigns
    products = rng.integers(0, F, (_MULTIPLIED + _CUBED, 3))
    products[:_MULTIPLIED, 2] = -1
    basis = Basis(
        features=tuple(feature.name for feature in CUSTOMER_FEATURES),
        low=np.zeros(F),
        high=np.full(F, 8.0),
        centre=np.full(F, 1.5),
        scale=np.ones(F),
        products=products,
        offset=np.zeros(len(products)),
        level=np.zeros(1 + F),
    )
    P = len(basis)
    mean = rng.normal(0.0, 20.0, (K, P))
    mean[0] = 0.0
    root = rng.normal(0.0, 1.0, (K, P, 8))
    root[0] = 0.0
    drawn = mean + np.einsum("kpr,dr->dkp", root, rng.standard_normal((_DRAWS, 8)))
    shape = rng.normal(0.0, 0.1, (2, K, P))
    model = UpliftModel(
        offers=("", *(f"k{i:03d}" for i in range(shop.campaigns))),
        basis=basis,
        mean=mean,
        covariance=np.einsum("kpr,lqr->kplq", root, root),
        redemption=shape[0],
        discount=shape[1],
        most=np.array([0.0, *[1500.0] * shop.campaigns]),
        identified_by=(Identification.EXPERIMENT,) * K,
        window_days=28,
        after_days=28,
        currency="EUR",
        as_of="2026-06-01",
        fingerprint="0" * 64,
    )
    return UpliftOffers(model, np.zeros(K), drawn)


def _name(i: int) -> str:
    return f"p{i:06d}"


def _price(i: int) -> int:
    return 300 + 37 * (i * 7919 % 151)
