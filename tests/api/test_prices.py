from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from anyio.from_thread import BlockingPortal

from api.app import LOGGED, create_app
from api.prices.service import Desk
from policies.serve.journey import recommend
from pricing.errors import ArtifactError, TarifaError
from pricing.guardrails import Rule
from tests.api.client import URL, Client, problem, serving
from tests.api.runs import SERIES, open_desk, toy_shelf, write_run


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return open_desk(write_run(tmp_path / "run", toy_shelf()), tmp_path / "d.sqlite3")


@pytest.fixture
def client(desk: Desk, portal: BlockingPortal) -> Client:
    return serving(desk, portal)


def test_a_recommendation_is_what_the_kernel_decided(client: Client, desk: Desk) -> None:
    made = recommend(desk.shelf, desk.policies["resolve"])
    groups = ["toy00007", "toy00002"]
    body = client.post({"price_groups": groups}).json()
    assert [item["price_group"] for item in body["items"]] == groups
    for item, series in zip(body["items"], (7, 2), strict=True):
        row, record = made.row(series), made.decisions.record(0, series)
        assert item["decision_id"] == record.decision_id == row.decision_id
        assert item["recommended_price"]["minor"] == record.price
        assert item["current_price"]["minor"] == record.current_price
        assert item["profit_change"]["minor"] == row.profit_change
        assert item["reason_codes"] == [reason.value for reason in row.reasons]
        assert item["valid_from"] == "2024-01-01"
        assert item["valid_to"] == "2024-01-08"
    assert body["run"]["provenance_digest"] == made.provenance_digest
    assert body["run"]["moved"] == made.moved <= SERIES // 2


def test_money_is_minor_units_currency_and_a_decimal(client: Client) -> None:
    money = client.post({"price_groups": ["toy00001"]}).json()["items"][0]["current_price"]
    assert money["amount"] == f"{money['minor'] // 100}.{money['minor'] % 100:02d}"
    assert money["currency"] == "EUR"


def test_recorded_before_answered_and_the_same_when_asked_again(client: Client, desk: Desk) -> None:
    first = client.post({"price_groups": ["toy00003"]}).json()
    assert desk.store.read([first["items"][0]["decision_id"]])
    assert client.post({"price_groups": ["toy00003"]}).json() == first
    assert desk.store.verify() == 1


def test_all_are_answered_in_pages_and_each_is_recorded_before_it_leaves(client: Client, desk: Desk) -> None:
    found: list[str] = []
    request: dict[str, Any] = {"limit": 8}
    while True:
        body = client.post(request).json()
        found += [item["price_group"] for item in body["items"]]
        assert desk.store.verify() == len(found)
        if body["next"] is None:
            break
        request["cursor"] = body["next"]
    assert found == list(desk.shelf.catalogue.series.group)


def test_what_is_recorded_is_listed_in_pages(client: Client) -> None:
    groups = [f"toy{i:05d}" for i in (9, 3, 12, 0, 7)]
    number = client.post({"price_groups": groups}).json()["run"]["run"]
    found: list[str] = []
    query: dict[str, Any] = {"run": number, "limit": 2}
    while True:
        page = client.get(URL, params=query).json()
        found += [item["price_group"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == groups


def test_a_cursor_belongs_to_its_list_and_its_run(client: Client, desk: Desk) -> None:
    cursor = client.post({"limit": 8}).json()["next"]
    problem(client.get(URL, params={"cursor": cursor}), 422, "usage")
    problem(client.post({"limit": 8, "cursor": cursor, "policy": "incumbent"}), 422, "usage")
    problem(client.post({"price_groups": ["toy00001"], "cursor": cursor}), 422, "usage")
    assert client.post({"limit": 8, "cursor": cursor, "policy": "resolve"}).status_code == 200
    assert desk.store.verify() == 16


def test_one_recommendation_with_all_behind_it(client: Client, desk: Desk) -> None:
    item = client.post({"price_groups": ["toy00004"]}).json()["items"][0]
    body = client.get(f"{URL}/{item['decision_id']}").json()
    assert {name: body[name] for name in item} == item
    record = desk.joint().decisions.record(0, 4)
    assert [rung["price"]["minor"] for rung in body["menu"]] == list(record.menu)
    assert [rung["allowed"] for rung in body["menu"]] == list(record.allowed)
    for rung, bits in zip(body["menu"], record.rejections, strict=True):
        assert rung["rules"] == [rule.label for rule in Rule if bits & int(rule.bit)]
    assert body["context_hash"] == record.context_hash
    units = [point["units"] for point in body["curve"]]
    assert len(units) == int(desk.shelf.guardrails.menu.valid[4].sum())
    assert np.all(np.diff(units) < 0), "toy demand falls with price"
    assert all(p["units_lower"] < p["units"] < p["units_upper"] for p in body["curve"])


def test_a_decision_of_another_run_has_no_curve(tmp_path: Path, portal: BlockingPortal) -> None:
    old = open_desk(write_run(tmp_path / "old", toy_shelf(seed=1)), tmp_path / "d.sqlite3")
    new = open_desk(write_run(tmp_path / "new", toy_shelf()), tmp_path / "d.sqlite3")
    made = serving(old, portal).post({"price_groups": ["toy00001"]}).json()["items"][0]
    body = serving(new, portal).get(f"{URL}/{made['decision_id']}").json()
    assert body["curve"] is None
    assert body["recommended_price"] == made["recommended_price"]


def test_the_reader_chooses_the_language(client: Client) -> None:
    answers = {
        language: client.post({"price_groups": ["toy00001"]}, **{"Accept-Language": language})
        for language in ("en", "es-ES,fr;q=0.5")
    }
    english, spanish = answers.values()
    assert spanish.headers["content-language"] == "es"
    assert english.json()["items"][0]["reasons"] != spanish.json()["items"][0]["reasons"]
    assert english.json()["items"][0]["reason_codes"] == spanish.json()["items"][0]["reason_codes"]
    missing = client.post({"price_groups": ["x"]}, **{"Accept-Language": "es"})
    assert problem(missing, 404, "unknown_product")["title"] == "Producto desconocido"


def test_an_idempotency_key_stands_for_one_request(client: Client, desk: Desk) -> None:
    key = {"Idempotency-Key": "k1"}
    first = client.post({"price_groups": ["toy00001"]}, **key)
    again = client.post({"price_groups": ["toy00001"]}, **key)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    problem(client.post({"price_groups": ["toy00002"]}, **key), 422, "usage")
    assert desk.store.verify() == 1


@pytest.mark.parametrize(
    ("body", "status", "code", "names"),
    [
        ({"price_groups": ["toy00001", "nope"]}, 404, "unknown_product", "nope"),
        ({"zone": "moon"}, 404, "unknown_product", "moon"),
        ({"price_groups": ["toy00001"], "zone": "moon"}, 404, "unknown_product", "moon"),
        ({"as_of": "2024-02-01"}, 422, "refused", "2024-02-01"),
        ({"policy": "oracle"}, 422, "usage", "oracle"),
        ({"price_groups": []}, 422, "validation", "/body/price_groups"),
        ({"price_groups": [1]}, 422, "validation", "/body/price_groups/0"),
        ({"price_group": "toy00001"}, 422, "validation", "/body/price_group"),
        ({"limit": 0}, 422, "validation", "/body/limit"),
        ({"as_of": "yesterday"}, 422, "validation", "/body/as_of"),
    ],
)
def test_bad_requests_are_problems_that_name_the_field(
    client: Client, desk: Desk, body: object, status: int, code: str, names: str
) -> None:
    found = problem(client.post(body), status, code)
    assert names in json.dumps(found)
    assert desk.store.verify() == 0, "a refused request records nothing"


def test_a_key_means_the_request_not_how_it_was_written(client: Client, desk: Desk) -> None:
    key, day = {"Idempotency-Key": "k1"}, desk.shelf.catalogue.as_of
    first = client.post({"price_groups": ["toy00001"]}, **key)
    for same in (
        {"price_groups": ["toy00001"], "policy": "resolve"},
        {"price_groups": ["toy00001", "toy00001"], "as_of": day, "zone": desk.shelf.catalogue.series.zone[0]},
        {"price_groups": ["toy00001"], "limit": 7},
    ):
        again = client.post(same, **key)
        assert again.json() == first.json()
        assert again.headers["idempotent-replayed"] == "true"
    for other in ({"price_groups": ["toy00001"], "policy": "incumbent"}, {"limit": 1}):
        problem(client.post(other, **key), 422, "usage")


def test_a_key_is_replayed_whatever_is_served_by_then(tmp_path: Path, portal: BlockingPortal) -> None:
    asked, key = {"limit": 3}, {"Idempotency-Key": "k1"}
    old = open_desk(write_run(tmp_path / "old", toy_shelf(seed=1)), tmp_path / "d.sqlite3")
    first = serving(old, portal).post(asked, **key)
    new = open_desk(write_run(tmp_path / "new", toy_shelf()), tmp_path / "d.sqlite3")
    new.default = "incumbent"
    again = serving(new, portal).post(asked, **key)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_a_key_whose_answer_was_removed_is_not_answered_anew(client: Client, desk: Desk) -> None:
    client.post({"price_groups": ["toy00001"]}, **{"Idempotency-Key": "k1"})
    with desk.store.database.reading() as connection:
        connection.exec_driver_sql("DELETE FROM decisions")
        connection.exec_driver_sql("COMMIT")
    problem(client.post({"price_groups": ["toy00001"]}, **{"Idempotency-Key": "k1"}), 503, "artifact")


def test_policies_are_listed_and_what_is_listed_can_be_named(client: Client, desk: Desk) -> None:
    found = client.get("/v1/policies").json()["items"]
    assert [(p["name"], p["default"], p["kind"]) for p in found] == [
        ("incumbent", False, "rule"),
        ("resolve", True, "planner"),
    ]
    for policy in found:
        assert policy["version"] == desk.policies[policy["name"]].version
        answer = client.post({"price_groups": ["toy00001"], "policy": policy["name"]}).json()
        assert answer["run"] == policy["run"]
        assert answer["items"][0]["release"] == policy["release"]
        assert (answer["items"][0]["valid_from"], answer["items"][0]["valid_to"]) == (
            policy["valid_from"],
            policy["valid_to"],
        )


def test_a_list_of_what_nobody_has_is_a_problem_that_says_what_there_is(client: Client, desk: Desk) -> None:
    zone = desk.shelf.catalogue.series.zone[0]
    assert zone in problem(client.get(URL, params={"zone": "moon"}), 404, "unknown_product")["todo"]
    assert zone in problem(client.post({"zone": "moon"}), 404, "unknown_product")["todo"]
    found = problem(client.get(URL, params={"price_group": "nope"}), 404, "unknown_product")
    assert "nope" in found["detail"]
    problem(client.get(URL, params={"run": "00000000"}), 404, "unknown_product")
    known = {"zone": zone, "price_group": "toy00001", "run": desk.served()[0].run.number}
    assert client.get(URL, params=known).json() == {"items": [], "next": None}


def test_what_another_run_recorded_can_still_be_listed(tmp_path: Path, portal: BlockingPortal) -> None:
    both = toy_shelf()
    old = open_desk(write_run(tmp_path / "old", both), tmp_path / "d.sqlite3")
    made = serving(old, portal).post({"price_groups": ["toy00019"]}).json()
    part = both.take(np.arange(10, dtype=np.int64))
    new = serving(open_desk(write_run(tmp_path / "new", part), tmp_path / "d.sqlite3"), portal)
    for query in ({"price_group": "toy00019"}, {"run": made["run"]["run"]}):
        assert new.get(URL, params=query).json()["items"] == made["items"]
    problem(new.post({"price_groups": ["toy00019"]}), 404, "unknown_product")


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "application/json"),
        ({"Content-Type": "text/plain"}, "text/plain"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "urlencoded"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "gzip"),
    ],
)
def test_only_json_is_read(client: Client, headers: dict[str, str], says: str) -> None:
    body = json.dumps({"price_groups": ["toy00001"]}).encode()
    found = problem(client.call("POST", URL, content=body, headers=headers), 415, "unsupported_media_type")
    assert says in found["detail"]
    named = {"Content-Type": "application/vnd.shop+json; charset=utf-8"}
    assert client.call("POST", URL, content=body, headers=named).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "line 1, column 2 (character 2)"),
        (b'{"limit": 5,\n "zone": x}', "line 2, column 10"),
        (b'{"zone": "\xff"}', "byte 11"),
        (b"[" * 100_000, "nested"),
        (b'{"limit":' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_json_is_a_problem_that_says_where(client: Client, body: bytes, says: str) -> None:
    answer = client.call("POST", URL, content=body, headers={"Content-Type": "application/json"})
    assert says in problem(answer, 400, "malformed")["detail"]


@pytest.mark.parametrize(
    "name", ["\ud800", "a\x00b", "\u202e\u0000", "'; DROP TABLE decisions --", "\U0001f9c0" * 200]
)
def test_names_of_any_letters_are_answered(client: Client, desk: Desk, name: str) -> None:
    for asked in ({"price_groups": [name]}, {"zone": name}, {name: 1}, {"policy": name}):
        answer = client.call(
            "POST", URL, content=json.dumps(asked).encode(), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in {404, 422}
        assert answer.json()["code"] in {"unknown_product", "validation", "usage"}
    for query in ("price_group", "zone"):
        assert client.get(URL, params={query: name.replace("\ud800", "\ufffd")}).status_code == 404
    assert desk.store.verify() == 0


def test_other_failures_are_problems_too(client: Client) -> None:
    assert "/openapi.json" in problem(client.get("/nowhere"), 404, "not_found")["todo"]
    problem(client.get(f"{URL}/"), 404, "not_found")
    refused = client.call("DELETE", URL)
    assert problem(refused, 405, "method_not_allowed")["todo"] == "Use GET, POST."
    assert refused.headers["allow"] == "GET, POST"
    assert client.call("PUT", "/v1/policies").headers["allow"] == "GET"
    for limit in ("-1", "0", "1001", "x", "9" * 30):
        found = problem(client.get(URL, params={"limit": limit}), 422, "validation")
        assert found["errors"][0]["pointer"] == "/query/limit"
    many = problem(client.post({"price_groups": [f"g{i}" for i in range(10_000)]}), 422, "validation")
    assert "1000" in many["errors"][0]["detail"]
    problem(client.get(f"{URL}/{'0' * 32}"), 404, "unknown_product")
    problem(client.get(f"{URL}/short"), 422, "validation")
    problem(client.get(URL, params={"cursor": "nonsense"}), 422, "usage")
    long, json_type = b" " * (2 << 20), {"Content-Type": "application/json"}
    problem(client.call("POST", URL, content=long, headers=json_type), 413, "too_large")


def test_fields_of_any_name_are_pointed_at_and_not_too_many(client: Client) -> None:
    found = problem(client.post({"a/b~c": 1}), 422, "validation")["errors"]
    assert [field["pointer"] for field in found] == ["/body/a~1b~0c"]
    many = client.post({f"field{i}": i for i in range(5000)})
    assert len(problem(many, 422, "validation")["errors"]) == 100


class _Slow:
    """A policy that decides only when it is told to."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.begun, self.told = inner, threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def choose(self, *given: Any) -> Any:
        self.begun.set()
        assert self.told.wait(30)
        return self.inner.choose(*given)


def test_a_policy_that_is_still_deciding_holds_up_no_other(desk: Desk) -> None:
    decided, slow = desk.joint("resolve"), _Slow(desk.policies["incumbent"])
    desk.policies = {**desk.policies, "incumbent": slow}
    other = threading.Thread(target=desk.joint, args=("incumbent",))
    other.start()
    try:
        assert slow.begun.wait(30)
        asked = threading.Thread(target=desk.joint, daemon=True)
        asked.start()
        asked.join(10)
        assert not asked.is_alive(), "what is decided is answered at once"
    finally:
        slow.told.set()
        other.join(30)
    assert desk.joint("resolve") is decided
    assert desk.joint("incumbent").moved == 0


def test_only_what_is_new_is_written_out_again(client: Client, desk: Desk) -> None:
    client.post({"price_groups": ["toy00003"]})
    body = client.post({"price_groups": ["toy00005", "toy00003", "toy00005"]}).json()
    assert [item["price_group"] for item in body["items"]] == ["toy00005", "toy00003"]
    ids = [item["decision_id"] for item in body["items"]]
    assert desk.store.known([*ids, "0" * 32]) == set(ids)
    assert desk.store.verify() == 2


def test_a_loopback_service_answers_to_its_own_names_only(desk: Desk, portal: BlockingPortal) -> None:
    app = create_app(lambda: desk, hosts=("127.0.0.1", "::1", "localhost"))
    app.state.readiness.start()
    app.state.readiness.wait(30)
    client = Client(app, portal)
    for own in ("localhost", "127.0.0.1:8000", "[::1]:8000"):
        assert client.post({"price_groups": ["toy00001"]}, Host=own).status_code == 200
    problem(client.post({"price_groups": ["toy00001"]}, Host="evil.example"), 421, "misdirected")
    problem(client.get("/health/ready", headers={"Host": "evil.example"}), 421, "misdirected")


class _Broken(_Slow):
    """A policy that fails in a way that nobody foresaw."""

    def choose(self, *_given: Any) -> Any:
        raise ZeroDivisionError("secret")


def test_an_unforeseen_error_stays_inside(client: Client, desk: Desk) -> None:
    desk.policies = {"resolve": _Broken(desk.policies["resolve"])}
    found = problem(client.post({"price_groups": ["toy00001"]}), 500, "internal")
    assert "secret" not in json.dumps(found)


def test_live_is_not_ready(portal: BlockingPortal, desk: Desk, tmp_path: Path) -> None:
    def corrupt() -> Desk:
        raise ArtifactError("model.npz has changed.")

    app = create_app(corrupt)
    client = Client(app, portal)
    assert client.get("/health/live").json() == {"status": "live"}
    problem(client.get("/health/ready"), 503, "busy")
    app.state.readiness.start()
    app.state.readiness.wait(30)
    assert client.get("/health/live").status_code == 200
    problem(client.get("/health/ready"), 503, "artifact")
    problem(client.post({"price_groups": ["toy00001"]}), 503, "artifact")


def test_not_ready_while_the_store_cannot_be_written(client: Client, desk: Desk) -> None:
    assert client.get("/health/ready").json()["run"] == desk.shelf.digest
    with desk.store.database.reading() as connection:
        connection.exec_driver_sql("DROP TABLE chain")
        connection.commit()
    problem(client.get("/health/ready"), 503, "busy")
    problem(client.post({"price_groups": ["toy00001"]}), 503, "busy")


def test_requests_have_identifiers_and_logs_hold_only_what_is_allowed(client: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        own = client.post({"price_groups": ["toy00001"]}, **{"X-Request-Id": "shop-42"})
        bad = client.post({"price_groups": ["toy00001"]}, **{"X-Request-Id": "a b\tc"})
    assert own.headers["x-request-id"] == "shop-42"
    assert len(bad.headers["x-request-id"]) == 32
    assert len(logs) == 2
    for line in logs:
        assert set(line) == {*LOGGED, "event", "log_level"}
    assert logs[0]["route"] == URL


def test_the_description_is_openapi_3_1_with_problems(client: Client) -> None:
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in described["components"]["schemas"]
    for path in described["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]


def test_every_error_of_the_tree_has_a_status_that_http_knows() -> None:
    def statuses(kind: type[TarifaError]) -> set[int]:
        return {kind.status}.union(*(statuses(child) for child in kind.__subclasses__()))

    assert statuses(TarifaError) == {401, 403, 404, 409, 412, 422, 428, 500, 503}
