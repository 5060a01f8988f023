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
    known_effect = [c for c, open_ in zip(menu, may.tolist(), strict=True) if open_ and c.coupon_id in known]
    chosen = [coupon for coupon in known_effect if coupon.liability is not None]
    agreed = np.flatnonzero(shelf.customers.consented)
    if not len(agreed):
        raise NotIdentified("No customer agreed to personal offers.", todo="Fill the consents table.")
    if not known_effect:
        raise NotIdentified(
            "No randomised comparison has told what a coupon adds.",
            why="Giving one could pay people who would have bought anyway.",
            todo="See what `tarifa coupons fit` proposes; or set coupons.act_on_prior.",
        )
    if not chosen:
        raise NotIdentified(
            f"Nothing limits what coupon {known_effect[0].coupon_id} may cost, nor any other.",
            why="A share of whatever is bought cannot be kept within a budget before anybody buys.",
            todo="Give it a max_discount in the coupons table, or decide at checkout (serve --coupons).",
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
