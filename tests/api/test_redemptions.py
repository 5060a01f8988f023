"""Redemptions over HTTP: who may do what, what is refused and why, and the same answer to the same key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from api.access import Role, make_key
from api.customer_key import CustomerKey
from api.storage.ledger import Campaign, erase, put_campaign
from api.storage.ledger_audit import require_balance, verify
from api.storage.store import Store
from pricing.errors import UsageError
from pricing.pseudonyms import pseudonym
from tests.api.client import Client, problem
from tests.api.ledger_app import CAMPAIGN, KEY, campaign, ledger_app, wanted
from tests.api.test_ledger import Clock

Told = dict[str, Any]


class Shop:
    """A caller that makes up a new key for each request, unless it is told one."""

    def __init__(self, client: Client, store: Store, clock: Clock) -> None:
        self.client, self.store, self.clock, self.count = client, store, clock, 0

    def post(self, url: str, body: object, key: str | None = None) -> httpx.Response:
        self.count += 1
        return self.client.post(body, url, **{"Idempotency-Key": key or f"key {self.count}"})

    def done(self, url: str, body: object, key: str | None = None) -> Told:
        response = self.post(url, body, key)
        assert response.status_code == 200, response.text
        found: Told = response.json()
        return found

    def put(self, budget: int | None = 1000, **limits: Any) -> None:
        response = self.client.call("PUT", CAMPAIGN, json=campaign(budget, **limits))
        assert response.status_code == 200, response.text

    def money(self) -> tuple[int, int]:
        found = self.client.get(CAMPAIGN).json()
        return found["held"], found["spent"]

    def reserved(self, **other: Any) -> str:
        name: str = self.done("/v1/reservations", wanted(**other))["reservation_id"]
        return name

    def redeemed(self, name: str, *amounts: int, quantity: float = 1) -> Told:
        lines = [{"line_id": f"l{i}", "amount": a, "quantity": quantity} for i, a in enumerate(amounts)]
        return self.done("/v1/redemptions", {"reservation_id": name, "order_id": "o1", "lines": lines})


@pytest.fixture
def shop(tmp_path: Path, portal: BlockingPortal) -> Iterator[Shop]:
    clock = Clock()
    store = Store(f"sqlite:///{tmp_path / 'd.sqlite3'}", clock)
    shop = Shop(Client(ledger_app(store), portal), store, clock)
    yield shop
    with store.database.reading() as connection:
        verify(connection)
        require_balance(connection)
    store.close()


def test_from_a_place_kept_to_goods_returned(shop: Shop) -> None:
    shop.put(1000)
    name = shop.reserved(liability=600)
    assert shop.money() == (600, 0)
    used = shop.redeemed(name, 300, 100, quantity=3)
    assert (used["amount"], used["standing"], used["currency"]) == (400, "redeemed", "EUR")
    assert shop.money() == (0, 400), "what it costs less than was kept is free again"
    url = f"/v1/redemptions/{name}"
    shop.done(f"{url}/roll-back", {"lines": [{"line_id": "l1", "amount": 40}]})
    back = shop.done(f"{url}/return", {"lines": [{"line_id": "l0", "quantity": 1}]})
    assert back["taken_back"] == 40 + 100, "a third of 300"
    assert shop.money() == (0, 260)
    problem(shop.post(f"{url}/roll-back", {"lines": [{"line_id": "l1", "amount": 61}]}), 409, "conflict")
    shop.done(f"{url}/return", {})
    assert shop.money() == (0, 0)
    told = shop.client.get(f"/v1/reservations/{name}").json()
    kinds = [event["kind"] for event in told["history"]]
    assert kinds == ["reserved", "redeemed", "rolled_back", "returned", "returned"]
    assert told["reservation"]["standing"] == "redeemed", "goods came back; the coupon stays used"


def test_what_was_rolled_back_wholly_gives_its_place_back(shop: Shop) -> None:
    shop.put(1000, limit_total=1)
    name = shop.reserved()
    shop.redeemed(name, 60)
    problem(shop.post("/v1/reservations", wanted("bea")), 409, "limit_reached")
    undone = shop.done(f"/v1/redemptions/{name}/roll-back", {})
    assert undone["standing"] == "undone"
    shop.reserved(customer="bea")


@pytest.mark.parametrize(
    ("budget", "limits", "first", "says"),
    [
        (100, {}, {}, "budget"),
        (None, {"limit_total": 1}, {}, "limit_total"),
        (None, {"limit_per_customer": 1}, {"customer": " ANA@example.com "}, "limit_per_customer"),
    ],
)
def test_a_refusal_names_the_limit_and_time_lifts_it(
    shop: Shop, budget: int | None, limits: Told, first: Told, says: str
) -> None:
    shop.put(budget, **limits)
    shop.reserved(seconds=60, **first)
    refused = problem(shop.post("/v1/reservations", wanted()), 409, "limit_reached")
    assert says in refused["detail"]
    shop.clock.now += dt.timedelta(seconds=60)
    shop.reserved()


def test_validity_expiry_and_release(shop: Shop) -> None:
    shop.put(1000, valid_to="2026-01-01T12:00:00Z")
    assert "validity" in problem(shop.post("/v1/reservations", wanted()), 409, "limit_reached")["detail"]
    shop.put(1000)
    late, freed = shop.reserved(seconds=5), shop.reserved()
    shop.done(f"/v1/reservations/{freed}/release", None)
    shop.clock.now += dt.timedelta(seconds=5)
    for name in (late, freed):
        refused = shop.post("/v1/redemptions", _order(name))
        problem(refused, 409, "conflict")
    assert shop.money() == (0, 0)
    problem(shop.post(f"/v1/reservations/{freed}/release", None), 409, "conflict")


def _order(name: str, amount: int = 10) -> Told:
    return {"reservation_id": name, "order_id": "o", "lines": [{"line_id": "1", "amount": amount}]}


def test_the_same_key_gives_the_same_answer_and_another_request_is_refused(shop: Shop) -> None:
    shop.put(1000)
    first = shop.post("/v1/reservations", wanted(), "a")
    again = shop.post("/v1/reservations", wanted(), "a")
    assert first.content == again.content
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert shop.money() == (100, 0)
    problem(shop.post("/v1/reservations", wanted(liability=101), "a"), 422, "usage")
    name = first.json()["reservation_id"]
    used = shop.post("/v1/redemptions", _order(name), "b")
    shop.clock.now += dt.timedelta(days=1)
    assert shop.post("/v1/redemptions", _order(name), "b").content == used.content
    problem(shop.post("/v1/redemptions", _order(name), "c"), 409, "conflict")
    assert shop.money() == (0, 10)


def test_a_refusal_is_not_remembered(shop: Shop) -> None:
    shop.put(50)
    problem(shop.post("/v1/reservations", wanted(), "a"), 409, "limit_reached")
    shop.put(100)
    assert shop.post("/v1/reservations", wanted(), "a").status_code == 200


def test_more_than_was_kept_cannot_be_taken(shop: Shop) -> None:
    shop.put(1000)
    name = shop.reserved(liability=100)
    problem(shop.post("/v1/redemptions", _order(name, 101)), 409, "conflict")
    assert shop.money() == (100, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"liability": 0},
        {"liability": -1},
        {"liability": 1.5},
        {"liability": float("nan")},
        {"liability": 10**13},
        {"seconds": 0},
        {"customer_id": None},
        {"customer_id": " "},
        {"anonymous_id": "also"},
        {"decision_id": "x"},
        {"more": 1},
    ],
)
def test_a_wrong_request_changes_nothing(shop: Shop, change: Told) -> None:
    shop.put(1000)
    body = {**wanted(), **change}
    content = httpx.Request("POST", "http://x", content=str(body)).content
    response = shop.client.call(
        "POST",
        "/v1/reservations",
        content=content.replace(b"'", b'"').replace(b"None", b"null").replace(b"nan", b"NaN"),
        headers={"content-type": "application/json", "Idempotency-Key": "k"},
    )
    assert response.status_code == 422, response.text
    assert shop.money() == (0, 0)


def test_unknown_names_are_said_so(shop: Shop) -> None:
    shop.put(1000)
    nobody = "0" * 32
    problem(shop.client.get("/v1/campaigns/other"), 404, "unknown_coupon")
    problem(shop.client.get(f"/v1/reservations/{nobody}"), 404, "unknown_coupon")
    problem(shop.post("/v1/reservations", {**wanted(), "coupon_id": "other"}), 404, "unknown_coupon")
    problem(shop.post("/v1/redemptions", _order(nobody)), 404, "unknown_coupon")
    problem(shop.post(f"/v1/redemptions/{nobody}/return", {}), 404, "unknown_coupon")
    code = {"code": "NONE", "order_id": "o", "lines": [{"line_id": "1", "amount": 1}]}
    problem(shop.post("/v1/redemptions", code), 404, "unknown_coupon")
    problem(shop.client.get("/v1/codes/other"), 404, "unknown_coupon")
    problem(shop.client.post(wanted(), "/v1/reservations"), 422, "validation")


def test_roles(shop: Shop) -> None:
    keys = {role: make_key(shop.store.database, role.value, role) for role in Role}
    by = {role: shop.client.keyed(key) for role, key in keys.items()}
    for role, may in (
        (Role.BACKEND, False),
        (Role.VIEWER, False),
        (Role.ANALYST, False),
        (Role.MANAGER, True),
    ):
        made = by[role].call("PUT", CAMPAIGN, json=campaign())
        assert made.status_code == (200 if may else 403)
    for role, status in ((Role.VIEWER, 403), (Role.ANALYST, 403), (Role.BACKEND, 200), (Role.MANAGER, 200)):
        asked = by[role].post(wanted(), "/v1/reservations", **{"Idempotency-Key": role.value})
        assert asked.status_code == status
    problem(shop.client.post(wanted(), "/v1/reservations", **{"Idempotency-Key": "k"}), 401, "access")


def test_a_pool_is_paid_for_as_it_is_minted(shop: Shop) -> None:
    shop.put(1000, limit_per_customer=1)
    pool = {"count": 8, "liability": 100, "expires_at": "2026-02-01T00:00:00Z"}
    codes = shop.done("/v1/codes/ten", pool)["codes"]
    assert len(set(codes)) == 8
    assert shop.money() == (800, 0)
    problem(shop.post("/v1/codes/ten", {**pool, "count": 3}), 409, "limit_reached")
    given = shop.done("/v1/reservations", {"coupon_id": "ten", "customer_id": "ana"})
    assert given["code"] in codes
    problem(shop.post("/v1/reservations", {"coupon_id": "ten", "customer_id": "ana"}), 409, "limit_reached")
    problem(shop.post(f"/v1/reservations/{given['reservation_id']}/release", None), 409, "conflict")
    line = {"line_id": "1", "amount": 70}
    used = shop.done("/v1/redemptions", {"code": codes[0], "order_id": "o", "lines": [line]})
    assert (used["amount"], shop.money()) == (70, (700, 70))
    rows = shop.client.get("/v1/codes/ten").text.split("\r\n")
    assert rows[0] == "code,standing,given,reservation_id"
    assert sorted(row.split(",")[1] for row in rows[1:-1]) == ["held"] * 7 + ["redeemed"]
    told = {"currency": "EUR", "codes": [
        {"code": codes[1], "order_id": "p", "amount": 100}, {"code": "NONE", "order_id": "q", "amount": 1},
    ]}  # fmt: skip
    assert shop.done("/v1/codes/used", told) == {"recorded": 1, "unknown": ["NONE"]}
    assert shop.done("/v1/codes/used", told) == {"recorded": 1, "unknown": ["NONE"]}
    assert shop.money() == (600, 170)
    shop.clock.now = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    assert shop.money() == (0, 170)


def test_a_pool_that_is_used_up_says_so(shop: Shop) -> None:
    shop.put(1000)
    shop.done("/v1/codes/ten", {"count": 1, "liability": 100, "expires_at": "2026-02-01T00:00:00Z"})
    shop.done("/v1/reservations", {"coupon_id": "ten", "anonymous_id": "cart 1"})
    refused = shop.post("/v1/reservations", {"coupon_id": "ten", "anonymous_id": "cart 2"})
    assert "codes" in problem(refused, 409, "limit_reached")["detail"]


def test_a_campaign_keeps_its_currency_and_its_coupons(shop: Shop) -> None:
    shop.put(1000, code="SAVE")
    other = {**campaign(), "currency": "USD"}
    problem(shop.client.call("PUT", CAMPAIGN, json=other), 422, "usage")
    problem(shop.client.call("PUT", "/v1/campaigns/two", json=campaign()), 422, "usage")
    stolen = {**campaign(code="SAVE")}
    stolen["coupons"][0]["coupon_id"] = "eleven"
    problem(shop.client.call("PUT", CAMPAIGN, json=stolen), 422, "usage")
    for wrong in ({"budget": -1}, {"currency": "XXA"}, {"currency": "eur"}):
        assert shop.client.call("PUT", CAMPAIGN, json={**campaign(), **wrong}).status_code == 422


def test_customers_are_known_by_the_pseudonyms_of_imported_data_and_can_be_forgotten(
    shop: Shop, tmp_path: Path
) -> None:
    who = " Ana@Example.com"
    assert KEY.secret is not None
    assert KEY.customer(who) == pseudonym(KEY.secret, who)
    assert KEY.anonymous("ana@example.com") != KEY.customer(who)
    shop.put(1000, limit_per_customer=1)
    shop.reserved(customer=who)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"xample" not in kept
    assert KEY.customer(who).encode() in kept
    with shop.store.database.reading() as connection:
        before = verify(connection)
        rows = connection.exec_driver_sql("SELECT content FROM ledger").scalars().all()
    assert not any(KEY.customer(who) in row for row in rows)
    assert shop.store.commits.submit(lambda work: erase(work, [KEY.customer(who), "nobody"])) == 1
    with shop.store.database.reading() as connection:
        assert verify(connection) == before + 1, "the chain is whole, and longer by the erasure"
    with pytest.raises(UsageError, match="no key"):
        CustomerKey().customer("ana")
    with pytest.raises(UsageError, match="line break"):
        KEY.customer("anonymous\nana")  # would be the session "ana"
    assert KEY.anonymous("ana") != KEY.customer("ana\n") == KEY.customer("ana")


def test_a_store_of_schema_4_gets_a_ledger(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path / 'd.sqlite3'}"
    store = Store(place, Clock())
    with store.database.writing() as transaction:
        for table in ("campaigns", "coupon_limits", "holders", "coupon_uses", "redemption_lines",
                      "redemptions", "reservations", "returns", "ledger"):  # fmt: skip
            transaction.connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            transaction.connection.exec_driver_sql(f"DROP TABLE {table}")
        transaction.connection.exec_driver_sql("DELETE FROM chain WHERE id = 4")
        transaction.connection.exec_driver_sql("UPDATE schema_version SET version = 4")
    store.close()
    newer = Store(place, Clock())
    newer.commits.submit(lambda work: put_campaign(work, Campaign("c", "EUR", 1), ()))
    with newer.database.reading() as connection:
        assert verify(connection) == 1
    newer.close()
