"""Score customers: what each coupon would add and cost, as the table that `tarifa coupons allocate` reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped

from policies.serve.coupon_shelf import CouponShelf
from pricing.errors import NotIdentified

__all__ = ["offers_table"]

pa: Any = pyarrow
"""An untyped library, said to be so once."""


def offers_table(shelf: CouponShelf) -> Any:
    """Return scored offers as a pyarrow Table, one row a customer who agreed and coupon that may be offered.

    Columns as :func:`policies.allocation.scored.read_offers` reads them. A coupon may be offered before
    anybody buys if something limits what it takes off, and if a randomised comparison told what it adds or
    the shop lets a prior speak.

    Raises
    ------
    NotIdentified
        If no coupon may be offered so, or nobody agreed to personal offers.
    """
    model, menu = shelf.policy.model, shelf.book.coupons
    known = {name: k for k, name in enumerate(model.offers)}
    may = shelf.identified[1:] | shelf.settings.act_on_prior
    chosen = [
        coupon
        for coupon, open_ in zip(menu, may.tolist(), strict=True)
        if open_ and coupon.liability is not None and coupon.coupon_id in known
    ]
    agreed = np.flatnonzero(shelf.customers.consented)
    if not chosen or not len(agreed):
        raise NotIdentified(
            "No coupon can be offered ahead." if len(agreed) else "No customer agreed to personal offers.",
            why="It needs a randomised comparison, and an amount or a max_discount." if len(agreed) else "",
            todo="See `tarifa coupons fit` and docs/coupon-guardrails.md.",
        )
    columns = [shelf.customers.column(name)[agreed] for name in model.basis.features]
    effects = model.predict(np.stack(columns, axis=1))
    k = np.array([known[coupon.coupon_id] for coupon in chosen])
    most = np.array([float(coupon.liability or 0) for coupon in chosen])
    count, names = len(agreed), np.array([shelf.customers.customer[int(row)] for row in agreed])
    return pa.table(
        {
            "customer_id": pa.array(np.repeat(names, len(chosen))),
            "coupon_id": pa.array(np.tile([coupon.coupon_id for coupon in chosen], count)),
            "campaign_id": pa.array(np.tile([coupon.campaign_id for coupon in chosen], count)),
            "expected_incremental_profit": pa.array(effects.profit[:, k].ravel()),
            "expected_cost": pa.array(np.minimum(effects.cost[:, k], most).ravel()),
            "max_liability": pa.array(np.tile(most, count)),
            "currency": pa.array([model.currency] * count * len(chosen)),
        }
    )
