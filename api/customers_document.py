"""What `tarifa customers report` found, for programs: sums and evidence, and no single customer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from simulators.customers.churn import Reliability
from simulators.customers.portrait import Portrait
from simulators.customers.portrait_sums import (
    cluster_slices,
    contrasts,
    coupon_tops,
    group_slices,
    likely_less_slice,
    top_share,
    total,
)
from simulators.customers.worth import FEW

__all__ = ["customers_document"]


def customers_document(portrait: Portrait, purpose: str | None, run_id: str) -> dict[str, Any]:
    """Return the JSON-able document; `purpose` None where all customers agreed to be read."""
    customers, worth = portrait.customers, portrait.worth
    top = top_share(portrait)
    return {
        "run_id": run_id,
        "data": portrait.fingerprint,
        "as_of": portrait.as_of,
        "first_day": portrait.first_day,
        "horizon_days": portrait.days,
        "seed": portrait.seed,
        "currency": portrait.currency,
        "consent": {
            "purpose": purpose,
            "known": len(customers),
            "agreed": int(customers.consented.sum()),
            "shopped": int(portrait.shopped.sum()),
        },
        "worth": {
            "sales_share": worth.orders_share,
            "profit_known": worth.profit_share if worth.has_profit else 0.0,
            "cost_assumed": worth.cost_assumed,
            "top_fifth_revenue": None if top is None else top[0],
            "top_fifth_profit": None if top is None else top[1],
        },
        "total": asdict(total(portrait)),
        "segments": [asdict(part) for part in group_slices(portrait)],
        "clusters": _clusters(portrait),
        "outlook": _outlook(portrait),
        "carts": _carts(portrait),
        "relevance": _relevance(portrait),
        "untold": {
            part: {"code": error.code, "what": error.what, "why": error.why, "todo": error.todo}
            for part, error in portrait.untold.items()
        },
    }


def _clusters(portrait: Portrait) -> dict[str, Any] | None:
    found = portrait.clusters
    if found is None:
        return None
    apart = contrasts(portrait) or ((),) * len(found.count)
    return {
        "silhouette": found.silhouette,
        "stability": found.stability,
        "clusters": [
            {
                **asdict(part),
                "traits": [trait.value for trait in traits],
                "apart": [asdict(contrast) for contrast in found_apart],
            }
            for part, traits, found_apart in zip(cluster_slices(portrait), found.traits, apart, strict=True)
        ],
    }


def _outlook(portrait: Portrait) -> dict[str, Any] | None:
    outlook, check = portrait.outlook, portrait.outlook_check
    likely_less = likely_less_slice(portrait)
    if outlook is None or likely_less is None:
        return None
    return {
        "customers": len(outlook),
        "expected_back": float(outlook.back.sum()),
        "expected_order_days": float(outlook.visits.sum()),
        "likely_less": asdict(likely_less),
        "check": None if check is None else {**asdict(check), "tenths": _tenths(check.tenths)},
    }


def _carts(portrait: Portrait) -> dict[str, Any] | None:
    carts = portrait.carts
    if carts is None:
        return None
    return {
        "open": len(carts.open),
        "value": float(np.asarray(carts.open.value).sum()) if len(carts.open) >= FEW else None,
        "expected_bought": carts.open.expected,
        "of_nobody": carts.open.others,
        "value_of_nobody": carts.open.others_value,
        "check": None
        if carts.check is None
        else {**asdict(carts.check), "tenths": _tenths(carts.check.tenths)},
    }


def _relevance(portrait: Portrait) -> dict[str, Any] | None:
    found = portrait.relevance
    if found is None:
        return None
    return {
        "customers": len(found.customer),
        "coupons": len(found.coupons.name),
        "coupons_for_everything": list(found.for_all),
        "leading": [asdict(top) for top in coupon_tops(found)],
        "check": None if found.check is None else asdict(found.check),
    }


def _tenths(found: Reliability) -> dict[str, Any]:
    return {
        "predicted": found.predicted.tolist(),
        "observed": found.observed.tolist(),
        "count": found.count.tolist(),
        "auc": found.auc,
        "brier": found.brier,
        "log_loss": found.log_loss,
        "error": found.error,
    }
