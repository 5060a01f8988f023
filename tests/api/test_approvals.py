"""Approvals over HTTP: what a reviewer sees is what he decides on, and nothing else."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from api.access import Role, make_key
from api.prices.service import Desk
from api.storage import reviews
from policies.serve.shelf import Shelf
from pricing.approval import ApprovalSettings
from pricing.errors import ArtifactError, UsageError
from pricing.guardrails import Rule
from tests.api.client import Client, problem, serving
from tests.api.runs import SERIES, open_desk, toy_shelf, write_run

LIST = "/v1/approvals"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return open_desk(write_run(tmp_path / "run", toy_shelf()), tmp_path / "d.sqlite3")


@pytest.fixture
def client(desk: Desk, portal: BlockingPortal) -> Client:
    return serving(desk, portal)


def _ruled(tmp_path: Path, portal: BlockingPortal, settings: ApprovalSettings) -> tuple[Client, Desk]:
    shelf = toy_shelf()
    shelf = replace(shelf, corridor=replace(shelf.corridor, approvals=settings))
    desk = open_desk(write_run(tmp_path / "ruled", shelf), tmp_path / "ruled.sqlite3")
    return serving(desk, portal), desk


def _offered(client: Client) -> list[dict[str, Any]]:
    assert client.post({}, "/v1/rounds").status_code == 200
    items: list[dict[str, Any]] = client.get(LIST, params={"limit": 1000}).json()["items"]
    return items


def _moving(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [item for item in items if item["state"] == "pending"]
    assert len(found) >= 3
    return found


def _review(client: Client, item: dict[str, Any], action: str, **more: Any) -> Any:
    return client.post(
        {"action": action, **more}, f"{LIST}/{item['decision_id']}", **{"If-Match": item["etag"]}
    )


def test_a_round_holds_every_decision_and_the_same_decision_is_put_up_once(
    client: Client, desk: Desk
) -> None:
    items = _offered(client)
    assert len(items) == SERIES == desk.store.verify()
    made = desk.joint()
    for item in items:
        row = made.row(made.place[item["decision_id"]])
        assert (item["price_group"], item["recommended_price"]) == (row.price_group, row.recommended_price)
        assert item["profit_change"] == row.profit_change
        assert item["state"] == ("unchanged" if row.recommended_price == row.current_price else "pending")
        assert item["price"] is None
    again = client.post({}, "/v1/rounds").json()
    assert (again["round"], again["run"]) == (1, made.provenance_digest[:8])
    assert client.post({"policy": "incumbent"}, "/v1/rounds").json()["round"] == 2


def test_nothing_is_listed_before_a_round(client: Client) -> None:
    problem(client.get(LIST), 404, "unknown_product")
    problem(client.get(f"{LIST}/{'0' * 32}"), 404, "unknown_product")


def test_approve_withdraw_reject_override_and_what_is_recorded(client: Client, desk: Desk) -> None:
    one, two, three = _moving(_offered(client))[:3]
    found = _review(client, one, "approve", starts_at="2024-01-02T06:00:00+01:00").json()
    assert found["proposal"]["state"] == "approved"
    assert found["proposal"]["price"] == one["recommended_price"]
    assert found["proposal"]["starts_at"] == "2024-01-02T06:00:00+01:00"
    withdrawn = _review(client, found["proposal"], "withdraw").json()
    assert withdrawn["proposal"]["state"] == "pending"
    assert withdrawn["proposal"]["price"] is None
    rejected = _review(client, two, "reject", reason="a rival is cheaper").json()
    assert rejected["proposal"]["state"] == "rejected"
    price = three["recommended_price"] + 1
    overridden = _review(client, three, "override", price=price, reason="a round number").json()
    assert (overridden["proposal"]["price"], overridden["proposal"]["overridden"]) == (price, True)
    assert [review["action"] for review in withdrawn["reviews"]] == ["approve", "withdraw"]
    assert rejected["reviews"][0]["reason"] == "a rival is cheaper"
    with desk.store.database.reading() as connection:
        assert reviews.verify(connection) == 4
    states = client.get(LIST).json()["states"]
    assert (states["approved"], states["rejected"]) == (1, 1)


def test_what_was_not_seen_is_not_approved(client: Client) -> None:
    one = _moving(_offered(client))[0]
    place = f"{LIST}/{one['decision_id']}"
    problem(client.post({"action": "approve"}, place), 428, "condition_missing")
    problem(client.post({"action": "approve"}, place, **{"If-Match": '"other"'}), 412, "stale")
    assert client.get(place).headers["etag"] == f'"{one["etag"]}"'
    assert _review(client, one, "approve").status_code == 200
    problem(_review(client, one, "reject", reason="too late"), 412, "stale")


def test_of_two_reviewers_at_once_one_is_refused(client: Client) -> None:
    for item in _moving(_offered(client))[:3]:
        answers: list[int] = []

        def review(action: str, item: dict[str, Any] = item, answers: list[int] = answers) -> None:
            answers.append(_review(client, item, action, reason="mine").status_code)

        both = [threading.Thread(target=review, args=(action,)) for action in ("approve", "reject")]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert sorted(answers) == [200, 412]


def test_a_row_that_was_decided_again_since_is_refused(
    client: Client, desk: Desk, portal: BlockingPortal, tmp_path: Path
) -> None:
    one = _moving(_offered(client))[0]
    newer = open_desk(write_run(tmp_path / "newer", toy_shelf(seed=1)), tmp_path / "d.sqlite3")
    later = serving(newer, portal)
    problem(_review(later, one, "approve"), 412, "stale")
    assert later.get(f"{LIST}/{one['decision_id']}").json()["stale"] is True
    problem(later.get(f"{LIST}/{one['decision_id']}/price", params={"price": 1}), 412, "stale")
    assert _moving(_offered(later))
    problem(_review(client, one, "approve"), 412, "stale")


def test_bulk_does_what_the_preview_said_and_all_of_it_or_nothing(client: Client) -> None:
    waiting = _moving(_offered(client))
    asked = {"selection": {"states": ["pending"]}, "action": "approve"}
    shown = client.post(asked, f"{LIST}/preview").json()
    assert shown["count"] == len(waiting)
    assert shown["profit_change"] == sum(item["profit_change"] for item in waiting)
    assert _review(client, waiting[0], "reject", reason="no").status_code == 200
    problem(client.post({**asked, "etag": shown["etag"]}, f"{LIST}/bulk"), 412, "stale")
    assert client.get(LIST).json()["states"].get("approved", 0) == 0
    shown = client.post(asked, f"{LIST}/preview").json()
    done = client.post({**asked, "etag": shown["etag"]}, f"{LIST}/bulk").json()
    assert done == {
        "round": 1,
        "count": len(waiting) - 1,
        "states": {"approved": len(waiting) - 1},
        "refused_count": 0,
    }
    everything = client.post({"selection": {}, "action": "approve"}, f"{LIST}/preview").json()
    assert (everything["count"], everything["refused_count"]) == (0, SERIES)
    assert "rejected" in " ".join(row["why"] for row in everything["refused"])


def test_a_price_of_ones_own_is_judged_and_breaks_hard_rules_only_by_name(client: Client, desk: Desk) -> None:
    one = _moving(_offered(client))[0]
    place = f"{LIST}/{one['decision_id']}"
    far = 3 * one["current_price"]
    judged = client.get(f"{place}/price", params={"price": far}).json()
    assert judged["hard_rules"] == ["outside_support"]
    assert "max_change" in judged["broken_rules"]
    own = client.get(f"{place}/price", params={"price": one["recommended_price"]}).json()
    assert own["profit_change"] == one["profit_change"]
    assert own["broken_rules"] == []
    refused = problem(_review(client, one, "override", price=far, reason="try"), 422, "refused")
    assert "outside_support" in refused["detail"]
    problem(_review(client, one, "override", price=far, reason="x", accepted_rules=["nosuch"]), 422, "usage")
    named = _review(client, one, "override", price=far, reason="try", accepted_rules=["outside_support"])
    assert named.json()["reviews"][-1]["accepted_rules"] == [Rule.OUTSIDE_SUPPORT.label]


def test_four_eyes_over_http(tmp_path: Path, portal: BlockingPortal) -> None:
    client, desk = _ruled(tmp_path, portal, ApprovalSettings(four_eyes=True))
    ana, ben = (client.keyed(make_key(desk.store.database, name, Role.MANAGER)) for name in ("ana", "ben"))
    one = _moving(_offered(ana))[0]
    once = _review(ana, one, "approve").json()["proposal"]
    assert (once["state"], once["price"]) == ("awaiting_second", one["recommended_price"])
    problem(_review(ana, once, "approve"), 422, "refused")
    assert _review(ben, once, "approve").json()["proposal"]["state"] == "approved"


def test_lists_filter_sort_and_page(client: Client) -> None:
    items = _offered(client)
    rising = client.get(LIST, params={"sort": "price_group", "falling": False, "limit": 7, "start": 7}).json()
    assert [row["price_group"] for row in rising["items"]] == [f"toy{i:05d}" for i in range(7, 14)]
    assert rising["whole"] == SERIES
    some = client.get(LIST, params={"search": "TOY0001", "state": ["pending", "unchanged"]}).json()
    assert some["whole"] == 10
    assert client.get(LIST, params={"search": "%"}).json()["whole"] == 0
    ranked = [row["profit_change"] for row in items]
    assert ranked == sorted(ranked, reverse=True)
    problem(client.get(LIST, params={"sort": "nosuch"}), 422, "usage")


ROUTES: list[tuple[str, str, object]] = [
    ("POST", "/v1/rounds", {}),
    ("POST", f"{LIST}/preview", {"selection": {}, "action": "approve"}),
    ("POST", f"{LIST}/bulk", {"selection": {}, "action": "approve", "etag": "x"}),
    ("POST", f"{LIST}/{'0' * 32}", {"action": "approve"}),
    ("POST", "/v1/recommendations", {}),
    ("GET", "/v1/rounds/current", None),
    ("GET", LIST, None),
    ("GET", f"{LIST}/{'0' * 32}", None),
    ("GET", f"{LIST}/{'0' * 32}/price?price=1", None),
    ("GET", "/v1/recommendations", None),
    ("GET", f"/v1/recommendations/{'0' * 32}", None),
    ("GET", "/v1/policies", None),
]
DECIDES = {Role.ANALYST, Role.BACKEND, Role.MANAGER}


def test_from_the_first_key_on_every_route_asks_who_it_is(client: Client, desk: Desk) -> None:
    _offered(client)
    keys = {role: make_key(desk.store.database, role.value, role) for role in Role}
    for method, url, body in ROUTES:
        sent: dict[str, Any] = {} if body is None else {"json": body}
        problem(client.call(method, url, **sent), 401, "access")
        problem(client.keyed("tarifa_wrong").call(method, url, **sent), 401, "access")
        for role, key in keys.items():
            status = client.keyed(key).call(method, url, **sent).status_code
            reviews_it = method == "POST" and "recommendations" not in url
            may = role is Role.MANAGER if reviews_it else method == "GET" or role in DECIDES
            assert (status == 403) is not may, (role, method, url, status)
            assert status != 401


def test_a_cookie_counts_unless_a_page_of_another_site_sends_it(client: Client, desk: Desk) -> None:
    key = make_key(desk.store.database, "ana", Role.MANAGER)
    cookie = {"Cookie": f"tarifa_key={key}"}
    assert client.post({}, "/v1/rounds", **cookie, Origin="http://tarifa").status_code == 200
    problem(client.post({}, "/v1/rounds", **cookie, Origin="http://evil.example"), 403, "forbidden")
    problem(client.post({}, "/v1/rounds", **cookie, Origin="null"), 403, "forbidden")


def test_keys_are_kept_as_hashes_and_a_revoked_name_stays_taken(desk: Desk, tmp_path: Path) -> None:
    key = make_key(desk.store.database, "ana", Role.VIEWER)
    desk.store.close()
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.glob("d.sqlite3*"))
    for name in ("ana", "local", "", "a b", "x" * 101):
        with pytest.raises(UsageError):
            make_key(desk.store.database, name, Role.VIEWER)


def test_tampering_with_a_review_shows(client: Client, desk: Desk, tmp_path: Path) -> None:
    one, two = _moving(_offered(client))[:2]
    _review(client, one, "approve")
    _review(client, two, "reject", reason="no")
    with sqlite3.connect(tmp_path / "d.sqlite3") as direct:
        direct.execute("UPDATE reviews SET content = replace(content, 'local', 'boss') WHERE seq = 1")
    direct.close()
    with desk.store.database.reading() as connection, pytest.raises(ArtifactError, match="Row 1"):
        reviews.verify(connection)


def test_a_corridor_written_before_approvals_needs_a_person_for_everything(tmp_path: Path) -> None:
    shelf = toy_shelf()
    files = dict(shelf.files())
    content = files["corridor.json"].decode()
    start = content.index('"approvals"')
    old = content[:start] + content[content.index("}", start) + 2 :].lstrip()
    again = Shelf.from_files(
        shelf.model.to_bytes(), files["catalogue.npz"], old.encode(), files["plans.npz"], "0" * 64
    )
    assert again.corridor.approvals == ApprovalSettings()
