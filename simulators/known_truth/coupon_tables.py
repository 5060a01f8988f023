"""An invented coupon shop as the tables of the data contract: what its owner would hand over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pricing.arrays import Floats, Ints
from pricing.customers import PERSONAL_OFFERS
from pricing.schema import CONTRACT_VERSION
from simulators.contract.shop_file import SHOP_FILE, CostAssumption, ShopFile, Zone, render_shop_file
from simulators.folders import claim
from simulators.known_truth.coupon_exposures import offer_names
from simulators.known_truth.coupon_shop import (
    DEPTHS,
    HISTORY_DAYS,
    MARGIN,
    WINDOW_DAYS,
    Assignment,
    CouponShop,
)
from simulators.known_truth.tables import FIRST_DAY

__all__ = ["customer_names", "write_coupon_shop"]

_PRODUCTS = 8
_PREFACE = "An invented shop whose truth is known: docs/worlds.md, Coupons."


def customer_names(count: int) -> NDArray[np.str_]:
    """Return the pseudonyms of N customers, in order."""
    return np.array([f"c{i:06d}" for i in range(count)])


def write_coupon_shop(shop: CouponShop, out: Path) -> None:
    """Write the data folder of a shop; nothing of the truth is in it.

    Raises
    ------
    UsageError
        If `out` holds something else.
    """
    names = customer_names(shop.spec.customers)
    tables = {
        "orders": _orders(shop, names),
        "products": _products(),
        "discounts": _discounts(shop),
        "campaigns": _campaigns(shop),
        "coupons": _coupons(shop),
        "coupon_exposures": _exposures(shop, names),
        "redemptions": _redemptions(shop, names),
        "consents": _consents(names),
        "events": _events(shop, names),
    }
    with claim(out, "data", editable=(SHOP_FILE,)) as draft:
        for name, table in tables.items():
            cast("Any", pq).write_table(cast("Any", pa).table(dict(table)), draft / f"{name}.parquet")
        (draft / SHOP_FILE).write_text(render_shop_file(_shop(), _PREFACE), encoding="utf-8")


def _shop() -> ShopFile:
    return ShopFile(
        contract=CONTRACT_VERSION,
        currency="EUR",
        time_zone="Europe/Madrid",
        week_start="monday",
        zones=(Zone("shop", "ES", 0.0, prices_include_tax=True),),
        cost_assumption=CostAssumption(default=1.0 - MARGIN, by="category", shares={}),
    )


Columns = Mapping[str, Any]


def _moment(days: Floats | Ints) -> NDArray[np.datetime64]:
    since = np.rint(np.asarray(days) * 86_400_000).astype("timedelta64[ms]")
    return np.asarray(FIRST_DAY.astype("datetime64[ms]") + since)


def _orders(shop: CouponShop, names: NDArray[np.str_]) -> Columns:
    count = len(shop.day)
    price = shop.value / 100.0
    reduced = _reduced(shop)
    product = np.random.default_rng((shop.spec.seed, 76)).integers(_PRODUCTS, size=count)
    return {
        "order_id": [f"o{i}" for i in range(count)],
        "line_id": ["1"] * count,
        "ordered_at": _moment(shop.day),
        "status": ["paid"] * count,
        "customer_id": names[shop.buyer],
        "product_id": np.array([f"P{p}" for p in range(_PRODUCTS)])[product],
        "quantity": [1] * count,
        "regular_price": np.where(reduced, np.round(1.25 * price, 2), price),
        "offered_price": price,
        "paid": (shop.value - shop.discount) / 100.0,
        "price_basis": ["gross"] * count,
    }


def _reduced(shop: CouponShop) -> NDArray[np.bool_]:
    """Return which orders of the history were of reduced goods: bargain hunters tell themselves by them."""
    rng = np.random.default_rng((shop.spec.seed, 77))
    chance = 1.0 / (1.0 + np.exp(1.0 - 1.2 * shop.shoppers.bargain[shop.buyer]))
    early = shop.day < HISTORY_DAYS - WINDOW_DAYS
    return np.asarray(early & (rng.random(len(shop.day)) < chance))


def _events(shop: CouponShop, names: NDArray[np.str_]) -> Columns:
    """Return opened e-mails of the history: the attentive open more."""
    rng = np.random.default_rng((shop.spec.seed, 78))
    who = np.repeat(np.arange(len(names)), rng.poisson(4.0 * np.exp(0.6 * shop.shoppers.habit)))
    count = len(who)
    return {
        "customer_id": names[who],
        "session_id": [f"s{i}" for i in range(count)],
        "at": _moment(HISTORY_DAYS * (0.1 + 0.9 * rng.random(count))),
        "event": ["email_open"] * count,
    }


def _products() -> Columns:
    return {
        "product_id": [f"P{p}" for p in range(_PRODUCTS)],
        "category": [f"category {p % 3}" for p in range(_PRODUCTS)],
        "kind": ["merchandise"] * _PRODUCTS,
    }


def _discounts(shop: CouponShop) -> Columns:
    r = np.flatnonzero(shop.discount > 0)
    coupon, campaign = _named(shop, shop.used[r])
    return {
        "order_id": [f"o{i}" for i in r],
        "line_id": ["1"] * len(r),
        "kind": ["coupon"] * len(r),
        "coupon_id": coupon,
        "campaign_id": campaign,
        "amount": shop.discount[r] / 100.0,
        "funded_by": ["shop"] * len(r),
    }


def _named(shop: CouponShop, exposure: Ints) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    campaign = np.array([f"campaign {c}" for c in range(shop.spec.campaigns)])
    return np.array(offer_names())[shop.offer[exposure]], campaign[shop.campaign[exposure]]


def _campaigns(shop: CouponShop) -> Columns:
    count = shop.spec.campaigns
    starts = shop.exposed_on()[:: shop.spec.customers]
    return {
        "campaign_id": [f"campaign {c}" for c in range(count)],
        "kind": ["mail"] * count,
        "starts_at": _moment(starts),
        "ends_at": _moment(starts + WINDOW_DAYS),
    }


def _coupons(shop: CouponShop) -> Columns:
    count, starts = len(DEPTHS) - 1, shop.exposed_on()
    return {
        "coupon_id": list(offer_names()[1:]),
        "scope": ["order"] * count,
        "percent": list(DEPTHS[1:]),
        "valid_from": _moment(np.full(count, starts.min())),
        "valid_to": _moment(np.full(count, starts.max() + WINDOW_DAYS)),
    }


def _exposures(shop: CouponShop, names: NDArray[np.str_]) -> Columns:
    count = len(shop.customer)
    coupon, campaign = _named(shop, np.arange(count))
    aimed = shop.spec.assignment is Assignment.TARGETED
    known = cast("Any", pa).array(np.nan_to_num(shop.propensity), mask=np.isnan(shop.propensity))
    held = shop.offer == 0
    return {
        "customer_id": names[shop.customer],
        "coupon_id": cast("Any", pa).array(coupon, mask=held),
        "campaign_id": campaign,
        "at": _moment(shop.exposed_on()),
        "assigned_by": ["targeting" if aimed else "experiment"] * count,
        "propensity": known,
        "holdout": held,
    }


def _redemptions(shop: CouponShop, names: NDArray[np.str_]) -> Columns:
    r = np.flatnonzero(shop.used >= 0)
    coupon, campaign = _named(shop, shop.used[r])
    return {
        "customer_id": names[shop.buyer[r]],
        "coupon_id": coupon,
        "campaign_id": campaign,
        "at": _moment(shop.day[r]),
        "order_id": [f"o{i}" for i in r],
        "line_id": ["1"] * len(r),
        "discount": shop.discount[r] / 100.0,
        "status": ["redeemed"] * len(r),
    }


def _consents(names: NDArray[np.str_]) -> Columns:
    count = len(names)
    return {
        "customer_id": names,
        "purpose": [PERSONAL_OFFERS] * count,
        "granted": [True] * count,
        "at": _moment(np.zeros(count)),
        "text_version": ["1"] * count,
        "source": ["account"] * count,
    }
