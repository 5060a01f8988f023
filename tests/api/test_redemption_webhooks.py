"""Signed messages of platforms: told twice, late or in the wrong order, they count once."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
import hmac
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from standardwebhooks import Webhook

from api.redemptions.signatures import InboundSecrets
from api.storage.ledger_audit import require_balance, verify
from api.storage.store import Store
from pricing.errors import SettingsError
from tests.api.client import Client, problem
from tests.api.ledger_app import ledger_app, wanted
from tests.api.test_ledger import Clock
from tests.api.test_redemptions import Shop

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
INBOUND = InboundSecrets.of(
    {
        "TARIFA_INBOUND_WEBHOOK_SECRET": SECRET,
        "TARIFA_SHOPIFY_WEBHOOK_SECRET": "shopify's",
        "TARIFA_WOOCOMMERCE_WEBHOOK_SECRET": "woo's",
    }
)

# In the shape of Shopify's resource Order (REST Admin API), the fields that matter; content invented.
SHOPIFY: dict[str, Any] = {
    "id": 450789469,
    "email": "ana@example.com",
    "currency": "EUR",
    "discount_applications": [
        {"type": "automatic", "title": "Three for two", "value": "1.0", "target_type": "line_item"},
        {"type": "discount_code", "code": "SAVE", "value": "10.0", "target_type": "line_item"},
    ],
    "line_items": [
        {"id": 1, "quantity": 3, "price": "20.00", "discount_allocations": [
            {"amount": "6.00", "discount_application_index": 1,
             "amount_set": {"shop_money": {"amount": "6.00", "currency_code": "EUR"}}},
            {"amount": "1.00", "discount_application_index": 0}]},
        {"id": 2, "quantity": 1, "price": "10.00", "discount_allocations": [
            {"amount": "1.00", "discount_application_index": 1}]},
    ],
    "shipping_lines": [{"id": 7, "price": "5.00", "discount_allocations": []}],
    "customer": {"id": 207119551, "email": "ana@example.com"},
}  # fmt: skip
REFUND = {
    "id": 509562969,
    "order_id": 450789469,
    "refund_line_items": [{"line_item_id": 1, "quantity": 1, "subtotal": 20.0}],
}
# In the shape of WooCommerce's resource Order (REST API v3).
WOO: dict[str, Any] = {
    "id": 727,
    "status": "processing",
    "currency": "EUR",
    "prices_include_tax": True,
    "total": "96.80",
    "customer_id": 26,
    "billing": {"email": "ana@example.com"},
    "line_items": [
        {"id": 315, "quantity": 2, "subtotal": "50.00", "subtotal_tax": "10.50", "total": "45.00",
         "total_tax": "9.45"},
        {"id": 316, "quantity": 1, "subtotal": "50.00", "subtotal_tax": "10.50", "total": "35.00",
         "total_tax": "7.35"},
    ],
    "coupon_lines": [{"id": 57, "code": "SAVE", "discount": "20.00", "discount_tax": "4.20"}],
    "refunds": [],
}  # fmt: skip


def shopify(topic: str, body: object) -> tuple[str, bytes, dict[str, str]]:
    said = json.dumps(body).encode()
    digest = base64.b64encode(hmac.new(b"shopify's", said, hashlib.sha256).digest()).decode()
    return "shopify", said, {"X-Shopify-Hmac-Sha256": digest, "X-Shopify-Topic": topic}


def woo(body: object, topic: str = "order.updated") -> tuple[str, bytes, dict[str, str]]:
    said = json.dumps(body).encode()
    digest = base64.b64encode(hmac.new(b"woo's", said, hashlib.sha256).digest()).decode()
    return "woocommerce", said, {"X-WC-Webhook-Signature": digest, "X-WC-Webhook-Topic": topic}


def standard(kind: str, data: object, at: dt.datetime | None = None) -> tuple[str, bytes, dict[str, str]]:
    said = json.dumps({"type": kind, "timestamp": "2026-01-01T00:00:00Z", "data": data})
    now = at or dt.datetime.now(dt.UTC)
    signed = Webhook(SECRET).sign("msg_1", now, said)
    stamp = str(int(now.timestamp()))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signed}
    return "standard", said.encode(), headers


class Platform(Shop):
    def tell(self, source: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        json_said = {"content-type": "application/json"}
        return self.client.call("POST", f"/v1/webhooks/{source}", content=body, headers=headers | json_said)

    def told(self, message: tuple[str, bytes, dict[str, str]]) -> int:
        response = self.tell(*message)
        assert response.status_code == 200, response.text
        count: int = response.json()["redemptions"]
        return count


@pytest.fixture
def shop(tmp_path: Path, portal: BlockingPortal) -> Iterator[Platform]:
    clock = Clock()
    store = Store(f"sqlite:///{tmp_path / 'd.sqlite3'}", clock)
    shop = Platform(Client(ledger_app(store, INBOUND), portal), store, clock)
    shop.put(5000, code="SAVE", limit_per_customer=1)
    yield shop
    with store.database.reading() as connection:
        verify(connection)
        require_balance(connection)
    store.close()


def test_a_paid_order_uses_the_customers_place_and_refunds_give_back(shop: Platform) -> None:
    name = shop.reserved(customer="Ana@example.com", liability=900)
    for _ in range(2):
        assert shop.told(shopify("orders/paid", SHOPIFY)) == 1
        assert shop.money() == (0, 700), "6.00 and 1.00 of the code; the automatic discount is another's"
    for _ in range(2):
        shop.told(shopify("refunds/create", REFUND))
        assert shop.money() == (0, 500), "one of three units: 2.00"
    used = shop.client.get(f"/v1/reservations/{name}").json()["redemption"]
    assert (used["within_budget"], used["order_id"]) == (True, "450789469")
    for _ in range(2):
        shop.told(shopify("orders/cancelled", SHOPIFY))
        assert shop.money() == (0, 0)


def test_messages_in_any_order_and_number_end_the_same(shop: Platform) -> None:
    second = {**REFUND, "id": 509562970, "refund_line_items": [{"line_item_id": 2, "quantity": 1}]}
    told = {
        "paid": ("orders/paid", SHOPIFY),
        "one": ("refunds/create", REFUND),
        "two": ("refunds/create", second),
    }
    for number, order in enumerate(itertools.permutations(told)):
        for name in (*order, *order):
            topic, body = copy.deepcopy(told[name])
            moved = {**body, "id": number if name == "paid" else f"{number} {name}", "order_id": number}
            shop.told(shopify(topic, {**moved, "email": f"{number}@example.com"}))
        assert shop.money() == (0, 400 * (number + 1)), order


def test_woocommerce_tells_totals_and_refunds_count_in_proportion(shop: Platform) -> None:
    shop.told(woo(WOO))
    assert shop.money() == (0, 2420), "with its tax, because prices include it"
    half = {**WOO, "refunds": [{"id": 1, "reason": "", "total": "-48.40"}]}
    for _ in range(2):
        shop.told(woo(half))
        assert shop.money() == (0, 1211), "a half of 605 and of 1815, each rounded down"
    shop.told(woo({**half, "status": "refunded"}))
    assert shop.money() == (0, 0)
    assert shop.tell("woocommerce", b"webhook_id=12", {}).json() == {"redemptions": 0, "heard": True}


def _at(status: str, minute: int) -> dict[str, Any]:
    return {**WOO, "status": status, "date_modified_gmt": f"2026-01-01T10:{minute:02}:00"}


def test_who_pays_at_the_second_attempt_has_paid(shop: Platform) -> None:
    """WooCommerce calls an order failed whose payment did not go through, until it does."""
    failed, paid = _at("failed", 1), _at("processing", 2)
    shop.told(woo(_at("pending", 0), "order.created"))
    shop.told(woo(failed))
    for _ in range(2):
        shop.told(woo(paid))
        assert shop.money() == (0, 2420)
    again = woo({**failed, "date_modified_gmt": "2026-01-01T10:01:01"})
    shop.told(again)
    assert shop.money() == (0, 2420), "told late: it was paid since"


def test_the_last_state_of_a_woocommerce_order_counts(shop: Platform) -> None:
    paid, over, again, end = (_at(*told) for told in (
        ("processing", 2), ("cancelled", 3), ("processing", 4), ("cancelled", 5)))  # fmt: skip
    for _ in range(2):
        shop.told(woo(paid))
    for _ in range(2):
        shop.told(woo(over))
        assert shop.money() == (0, 0)
    shop.told(woo(paid))
    assert shop.money() == (0, 0), "told again, and older than its end"
    for _ in range(2):
        shop.told(woo(again))
        assert shop.money() == (0, 2420)
    shop.told(woo(end))
    assert shop.money() == (0, 0)


def test_woocommerce_tells_codes_in_small_letters(shop: Platform) -> None:
    """``wc_strtolower`` is a filter of every code there; ours have capitals."""
    pool = {"count": 1, "liability": 2500, "expires_at": "2026-01-02T00:00:00Z"}
    code = shop.done("/v1/codes/ten", pool)["codes"][0]
    for number, name in enumerate(("save", code.lower())):
        lines = [{"id": 57, "code": name, "discount": "20.00", "discount_tax": "4.20"}]
        assert shop.told(woo({**WOO, "id": number, "coupon_lines": lines})) == 1
    assert shop.money() == (0, 4840)
    used = shop.done("/v1/codes/used", {"currency": "EUR", "codes": [
        {"code": code.lower(), "order_id": "1", "amount": 2420}]})  # fmt: skip
    assert used == {"recorded": 1, "unknown": []}
    assert shop.money() == (0, 4840), "the same order"


def test_lines_of_a_woocommerce_order_share_each_code_exactly(shop: Platform) -> None:
    body = {**WOO, "prices_include_tax": False}
    body["coupon_lines"] = [
        {"id": 1, "code": "SAVE", "discount": "0.01"}, {"id": 2, "code": "OTHER", "discount": "19.99"},
    ]  # fmt: skip
    assert shop.told(woo(body, "order.created")) == 1, "the other code is none of ours"
    assert shop.money() == (0, 1)


def test_a_shops_own_systems_speak_standard_webhooks(shop: Platform) -> None:
    line = {"line_id": "a", "quantity": 4, "code": "SAVE", "amount": 400}
    paid = {"order_id": "o", "currency": "EUR", "customer_id": "ana", "lines": [line]}
    assert shop.told(standard("order.paid", paid)) == 1
    back = {"order_id": "o", "refund_id": "r", "lines": [{"line_id": "a", "quantity": 1}]}
    assert shop.told(standard("order.refunded", back)) == 1
    assert shop.money() == (0, 300)
    assert shop.told(standard("order.cancelled", {"order_id": "o"})) == 1
    assert shop.money() == (0, 0)
    assert shop.told(standard("customer.created", {})) == 0


def test_a_fact_beyond_a_limit_is_recorded_and_says_so(shop: Platform) -> None:
    shop.put(500, code="SAVE", limit_per_customer=1)
    shop.told(shopify("orders/paid", SHOPIFY))
    assert shop.money() == (0, 700)
    problem(shop.post("/v1/reservations", wanted("bea", 1)), 409, "limit_reached")
    with shop.store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT within_budget FROM redemptions").scalars().all() == [0]


def test_a_code_whose_place_ran_out_is_taken_up_again(shop: Platform) -> None:
    pool = {"count": 1, "liability": 900, "expires_at": "2026-01-02T00:00:00Z"}
    code = shop.done("/v1/codes/ten", pool)["codes"][0]
    shop.clock.now += dt.timedelta(days=30)
    assert shop.money() == (0, 0)
    body = json.loads(json.dumps(SHOPIFY).replace("SAVE", code))
    shop.told(shopify("orders/paid", body))
    assert shop.money() == (0, 700)
    assert shop.told(shopify("orders/paid", {**body, "id": 2})) == 1, "the platform took a code twice: a fact"
    assert shop.money() == (0, 1400)


def test_what_is_not_signed_as_agreed_is_refused(shop: Platform, portal: BlockingPortal) -> None:
    source, said, headers = shopify("orders/paid", SHOPIFY)
    assert shop.tell(source, said + b" ", headers).status_code == 401
    for unsigned in ({}, {"X-Shopify-Topic": "orders/paid"}, {**headers, "X-Shopify-Hmac-Sha256": "?"}):
        problem(shop.tell(source, said, unsigned), 401, "access")
    _, own, good = standard("order.cancelled", {"order_id": "o"})
    old = standard("order.cancelled", {"order_id": "o"}, dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    assert shop.tell(*old).status_code == 401
    for name, value in (
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,?"),
        ("webhook-timestamp", "x"),
    ):
        assert shop.tell("standard", own, {**good, name: value}).status_code == 401
    assert shop.tell("elsewhere", said, headers).status_code == 422
    nobody = Client(ledger_app(shop.store), portal)
    refused = nobody.call("POST", "/v1/webhooks/shopify", content=said, headers=headers)
    problem(refused, 403, "forbidden")
    assert shop.money() == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        [], {}, {"id": 1}, {**SHOPIFY, "currency": "XXA"}, {**SHOPIFY, "currency": "USD"},
        {**SHOPIFY, "line_items": [{"id": 1, "quantity": -1, "discount_allocations": [
            {"amount": "1", "discount_application_index": 1}]}]},
        {**SHOPIFY, "line_items": [{"id": 1, "quantity": 1, "discount_allocations": [
            {"amount": "-1.00", "discount_application_index": 1}]}]},
        {**SHOPIFY, "line_items": [{"id": 1, "quantity": 1, "discount_allocations": [
            {"amount": "NaN", "discount_application_index": 1}]}]},
    ],
)  # fmt: skip
def test_a_signed_message_that_says_nothing_is_a_problem_and_leaves_nothing(
    shop: Platform, body: object
) -> None:
    response = shop.tell(*shopify("orders/paid", body))
    assert response.status_code == 422, response.text
    assert shop.money() == (0, 0)


def test_a_secret_that_is_none_is_refused_at_the_start() -> None:
    for secret in ("whsec_", "whsec_c2hvcnQ=", "not base64 at all, and yet rather long"):
        with pytest.raises(SettingsError, match="TARIFA_INBOUND_WEBHOOK_SECRET"):
            InboundSecrets.of({"TARIFA_INBOUND_WEBHOOK_SECRET": secret})
    assert "shopify's" not in repr(INBOUND)
