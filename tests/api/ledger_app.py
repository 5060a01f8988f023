"""The service with a ledger and nothing else to serve: what tests of redemptions call, kill and crowd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI

from api.app import create_app
from api.customer_key import CustomerKey
from api.prices.service import Desk
from api.redemptions.signatures import InboundSecrets
from api.storage.store import Store

KEY = CustomerKey(b"k" * 32)
CAMPAIGN = "/v1/campaigns/spring"
DATES = {"valid_from": "2026-01-01T00:00:00Z", "valid_to": "2036-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Bare:
    """What is served is the store alone: routes of the ledger need no more."""

    store: Store


def ledger_app(store: Store, inbound: InboundSecrets | None = None) -> FastAPI:
    desk = cast("Desk", Bare(store))
    app = create_app(lambda: desk, key=KEY, secrets=inbound or InboundSecrets())
    app.state.readiness.start()
    app.state.readiness.wait(30)
    return app


def campaign(budget: int | None = 1000, **limits: Any) -> dict[str, Any]:
    coupon = {"coupon_id": "ten", **DATES, **limits}
    return {"currency": "EUR", "budget": budget, "coupons": [coupon]}


def wanted(customer: str = "ana@example.com", liability: int = 100, seconds: int = 600) -> dict[str, Any]:
    return {"coupon_id": "ten", "customer_id": customer, "liability": liability, "seconds": seconds}
