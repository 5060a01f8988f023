"""The pages over HTTP: the same services as the API, nothing offered that is refused, nothing let in."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from hypothesis import given
from hypothesis import strategies as st

import api
from api.access import COOKIE, Role, make_key
from api.desk.assets import assets
from api.desk.forms import PAGE, Asked, price_of
from api.prices.service import Desk
from api.storage.reviews import Wanted
from api.texts import LANGUAGES, texts
from pricing.approval import ApprovalSettings
from pricing.errors import ArtifactError
from pricing.money import Currency
from tests.api.client import Client, serving
from tests.api.desk import desk_of, rows, send

EN = texts("en").sections["desk"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_of(tmp_path)


@pytest.fixture
def client(desk: Desk, portal: BlockingPortal) -> Client:
    return serving(desk, portal)


def _offered(client: Client) -> str:
    assert EN["empty"] in client.get("/desk").text
    assert send(client, "/desk/rounds").headers["HX-Redirect"] == "/desk"
    return client.get("/desk").text


def _said(answer: str) -> str:
    return html.unescape(answer)


def test_a_page_allows_nothing_inline_and_nothing_from_elsewhere(client: Client) -> None:
    _offered(client)
    pages = ["/desk", "/desk/readiness", f"/desk/products/{rows(client.get('/desk').text)[0][0]}"]
    for place in pages:
        response = client.get(place)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert response.headers["cache-control"] == "no-store"
        assert not re.search(r"\sstyle=|\son\w+=|<script(?![^>]*src=)|<style|https?://", response.text), place
    files = re.findall(r'(?:src|href)="(/desk/static/[^"]+)"', client.get("/desk").text)
    assert len(files) == 6
    for file in files:
        found = client.get(file)
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]
        assert client.get(re.sub(r"/[0-9a-f]{16}/", f"/{'0' * 16}/", file)).status_code == 404


def test_what_waits_comes_first_and_says_what_it_is_worth(client: Client) -> None:
    page = _offered(client)
    listed: Any = client.get("/v1/approvals", params={"limit": 1000}).json()
    waiting = [item for item in listed["items"] if item["state"] == "pending"]
    assert f"<b>{len(waiting)}</b>" in page
    assert f"+{sum(item['profit_change'] for item in waiting) / 100:.2f}\u00a0EUR expected" in page
    assert [name for name, _ in rows(page)] == [item["decision_id"] for item in waiting[:PAGE]]
    every = client.get("/desk?state=all").text
    assert every.count("<tbody") == PAGE
    assert "51 to 60 of 60" in client.get("/desk?state=all&start=50").text


def test_one_is_approved_in_place_and_the_api_knows_it(client: Client) -> None:
    decision, etag = rows(_offered(client))[0]
    answer = send(client, f"/desk/proposals/{decision}", action="approve", etag=etag, scale="0:99", query="")
    assert answer.status_code == 200
    assert answer.text.startswith(f'<tbody id="p-{decision}" class="item approved"')
    assert 'id="tabs"' in answer.text
    found: Any = client.get(f"/v1/approvals/{decision}").json()
    assert (found["proposal"]["state"], found["proposal"]["approved_by"]) == ("approved", "local")


def test_a_stale_row_says_so_kindly_and_shows_what_is_there_now(client: Client) -> None:
    decision, etag = rows(_offered(client))[0]
    send(client, f"/desk/proposals/{decision}", action="approve", etag=etag)
    answer = send(client, f"/desk/proposals/{decision}", action="reject", reason="no", etag=etag)
    assert answer.status_code == 412
    assert EN["stale"] in answer.text
    assert 'class="item approved stale"' in answer.text
    assert len(client.get(f"/v1/approvals/{decision}").json()["reviews"]) == 1


def test_a_round_that_something_newer_replaced_offers_nothing(
    client: Client, tmp_path: Path, portal: BlockingPortal
) -> None:
    decision, etag = rows(_offered(client))[0]
    page = serving(desk_of(tmp_path, default="incumbent"), portal)
    assert EN["superseded"] not in page.get("/desk").text
    newer = desk_of(tmp_path)
    newer.policies = {"incumbent": newer.policies["incumbent"]}
    newer.default = "incumbent"
    page = serving(newer, portal)
    text = page.get("/desk").text
    assert EN["superseded"] in text
    assert EN["offer_newest"] in text
    assert 'value="approve"><input' not in text
    answer = send(page, f"/desk/proposals/{decision}", action="approve", etag=etag)
    assert answer.status_code == 412
    assert EN["gone"] in answer.text


def test_reject_needs_a_reason_and_withdraw_opens_again(client: Client) -> None:
    decision, etag = rows(_offered(client))[0]
    place = f"/desk/proposals/{decision}"
    answer = send(client, place, action="reject", reason=" ", etag=etag)
    assert answer.status_code == 422
    assert answer.headers["HX-Retarget"] == "#said"
    assert "needs a reason" in answer.text
    long = send(client, place, action="reject", reason="x" * 1001, etag=etag)
    assert (long.status_code, "fewer words" in long.text) == (422, True)
    assert 'class="item rejected"' in send(client, place, action="reject", reason="sale", etag=etag).text
    now = client.get(f"/v1/approvals/{decision}").headers["etag"].strip('"')
    assert 'class="item pending"' in send(client, place, action="withdraw", etag=now).text
    assert "sale" in client.get(f"/desk/products/{decision}").text


def test_an_own_price_is_judged_before_and_hard_rules_are_named(client: Client) -> None:
    decision, etag = rows(_offered(client))[0]
    judged = client.get(f"/desk/proposals/{decision}/price?price=0,50", headers={"HX-Request": "true"}).text
    assert EN["own_hard"] in judged
    rules = re.findall(r'name="accept" value="(\w+)"', judged)
    api: Any = client.get(f"/v1/approvals/{decision}/price", params={"price": 50}).json()
    assert rules == api["hard_rules"] != []
    place, wish = (
        f"/desk/proposals/{decision}",
        {"action": "override", "price": "0.50", "reason": "clearance"},
    )
    assert "breaks" in _said(send(client, place, etag=etag, **wish).text)
    done = send(client, place, etag=etag, accept=rules, **wish)
    assert 'class="item approved"' in done.text
    assert "own price 0.50" in done.text
    assert client.get(f"/v1/approvals/{decision}").json()["proposal"]["price"] == 50


@pytest.mark.parametrize("price", ["", "x", "-1", "0", "1,299", "NaN", "1e3", "9" * 40, "<b>"])
def test_what_is_no_price_is_no_answer(client: Client, price: str) -> None:
    decision, etag = rows(_offered(client))[0]
    asked = client.get(f"/desk/proposals/{decision}/price", params={"price": price})
    assert asked.status_code == (200 if not price else 422)
    assert "data-own" not in asked.text
    wish = {"action": "override", "price": price, "reason": "x"}
    answer = send(client, f"/desk/proposals/{decision}", etag=etag, **wish)
    assert answer.status_code == 422
    assert answer.text.count("<b>") == 1  # that of the heading; what was typed is written out


def test_bulk_is_previewed_then_done_as_previewed_or_not_at_all(client: Client) -> None:
    found = rows(_offered(client))
    ids = [name for name, _ in found[:3]]
    ticked: dict[str, str | list[str]] = {"scope": "ticked", "id": ids, "query": "state=pending"}
    preview = send(client, "/desk/bulk/preview", action="approve", **ticked)
    assert "Approve 3 proposals?" in preview.text
    etag = re.findall(r'name="etag" value="(\w+)"', preview.text)[0]
    done = send(client, "/desk/bulk", action="approve", etag=etag, **ticked)
    assert "3 approved." in done.text
    assert send(client, "/desk/bulk", action="approve", etag=etag, **ticked).status_code == 412
    every = {"scope": "all", "query": "state=all"}
    preview = send(client, "/desk/bulk/preview", action="approve", **every)
    waiting: Any = client.get("/v1/approvals", params={"state": "pending"}).json()
    assert f"Approve {waiting['whole']} proposals?" in preview.text
    assert "3: To approve is not possible: it is approved." in preview.text
    refused = send(client, "/desk/bulk/preview", action="reject", **every)
    assert refused.status_code == 422
    spanish = client.call(
        "POST", "/desk/bulk/preview", data={"action": "approve", **every}, headers={"Accept-Language": "es"}
    )
    assert "No se puede aprobar: está aprobado." in spanish.text


def test_roles_see_and_may_do_what_is_theirs(desk: Desk, portal: BlockingPortal) -> None:
    open_to_all = serving(desk, portal)
    decision, etag = rows(_offered(open_to_all))[0]
    keys = {role: make_key(desk.store.database, role.value, role) for role in Role}
    for role in (Role.VIEWER, Role.ANALYST):
        looking = open_to_all.keyed(keys[role])
        page = looking.get("/desk").text
        assert "Frying pan" in page
        assert "hx-post" not in page
        assert not re.search(r'class="act"|id="bulk"|type="checkbox"|name="action"', page)
        panel = looking.get(f"/desk/proposals/{decision}/panel").text
        assert EN["look_only"].replace("'", "&#39;") in panel
        for place in (f"/desk/proposals/{decision}", "/desk/bulk/preview", "/desk/bulk", "/desk/rounds"):
            answer = send(looking, place, action="approve", etag=etag)
            assert answer.status_code == 403, place
            assert "may not do this" in answer.text
    manager = open_to_all.keyed(keys[Role.MANAGER])
    assert send(manager, f"/desk/proposals/{decision}", action="approve", etag=etag).status_code == 200


def test_signing_in_keeps_the_key_where_no_script_reads_it(desk: Desk, portal: BlockingPortal) -> None:
    client = serving(desk, portal)
    assert client.get("/desk/sign-in").headers["location"] == "/desk"
    key = make_key(desk.store.database, "ana", Role.MANAGER)
    away = client.get("/desk?state=all")
    assert away.headers["location"] == "/desk/sign-in?next=%2Fdesk%3Fstate%3Dall"
    wrong = client.call("POST", "/desk/sign-in", data={"key": "tarifa_wrong", "next": "/desk"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    assert client.call("POST", "/desk/sign-in", data={"key": ""}).status_code == 401
    done = client.call("POST", "/desk/sign-in", data={"key": key, "next": "/desk?state=all"})
    assert done.headers["location"] == "/desk?state=all"
    cookie = done.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}={key};")
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    over = client.call("POST", "https://tarifa/desk/sign-in", data={"key": key})
    assert "Secure" in over.headers["set-cookie"].split("; ")
    inside = client.get("/desk", headers={"Cookie": f"{COOKIE}={key}"})
    assert "ana" in inside.text
    assert EN["sign_out"] in inside.text
    out = client.call("POST", "/desk/sign-out")
    assert 'tarifa_key=""' in out.headers["set-cookie"]


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/deskevil", "/desk/\\evil", "/desk/\r\nX: y", ""]
)
def test_an_address_sends_nobody_elsewhere(client: Client, place: str) -> None:
    answer = client.call("POST", "/desk/language", data={"language": "es", "next": place})
    assert answer.headers["location"] == "/desk"


def test_a_page_of_another_site_changes_nothing_even_without_keys(client: Client) -> None:
    decision, etag = rows(_offered(client))[0]
    for origin in ("https://evil.example", "null"):
        for place in (f"/desk/proposals/{decision}", "/desk/bulk", "/desk/rounds", "/desk/sign-out"):
            fields = {"action": "approve", "etag": etag}
            answer = client.call("POST", place, data=fields, headers={"Origin": origin})
            assert answer.status_code == 403, place
    for site in ("cross-site", "same-site"):
        fields = {"action": "approve", "etag": etag}
        place, told = f"/desk/proposals/{decision}", {"Sec-Fetch-Site": site}
        assert client.call("POST", place, data=fields, headers=told).status_code == 403
    own = {"Origin": "http://tarifa", "Sec-Fetch-Site": "same-origin"}
    fields = {"action": "approve", "etag": etag}
    answer = client.call("POST", f"/desk/proposals/{decision}", data=fields, headers=own)
    assert answer.headers["location"] == f"/desk/products/{decision}"  # without htmx, the product's page


def test_the_language_follows_the_browser_and_then_the_switch(client: Client) -> None:
    _offered(client)
    spanish = client.get("/desk", headers={"Accept-Language": "es-MX"})
    assert spanish.headers["content-language"] == "es"
    assert "pendiente de aprobación" in spanish.text
    assert "\u00a0EUR esperados" in spanish.text
    chosen = client.call("POST", "/desk/language", data={"language": "en", "next": "/desk"})
    cookie = chosen.headers["set-cookie"].split(";")[0]
    both = client.get("/desk", headers={"Accept-Language": "es", "Cookie": cookie})
    assert both.headers["content-language"] == "en"
    assert "set-cookie" not in client.call("POST", "/desk/language", data={"language": "xx"}).headers


def test_the_product_page_shows_what_the_run_remembers(client: Client) -> None:
    decision, _ = rows(_offered(client))[0]
    text = client.get(f"/desk/products/{decision}").text
    charts: list[Any] = [json.loads(_said(one)) for one in re.findall(r'data-chart="([^"]+)"', text)]
    by_kind = {chart["kind"]: chart for chart in charts}
    assert set(by_kind) == {"profit", "units", "history"}
    assert len(by_kind["history"]["x"]) == len(by_kind["units"]["points"]) == 78
    detail: Any = client.get(f"/v1/recommendations/{decision}").json()
    assert by_kind["units"]["y"] == [round(point["units"], 4) for point in detail["curve"]]
    assert by_kind["units"]["x"] == [point["price"]["minor"] / 100 for point in detail["curve"]]
    assert all(reason in _said(text) for reason in detail["reasons"])
    refused = [rung for rung in detail["menu"] if not rung["allowed"]]
    assert text.count('class="off"') == len(refused)
    assert client.get(f"/desk/products/{'0' * 32}").status_code == 404
    assert client.get("/desk/products/nonsense").status_code == 422


def test_a_run_without_a_past_says_so(tmp_path: Path, portal: BlockingPortal) -> None:
    client = serving(desk_of(tmp_path, past=False), portal)
    decision, _ = rows(_offered(client))[0]
    text = client.get(f"/desk/products/{decision}").text
    assert EN["no_history"] in text
    assert "toy000" in text
    assert EN["no_history"] in client.get("/desk/readiness").text


def test_a_hostile_name_is_only_a_name(desk: Desk, portal: BlockingPortal) -> None:
    name = """<img src=x onerror=alert(1)>"'</script>{{ 7 * 7 }}"""
    desk.past = replace(desk.past, names=(name,) * len(desk.past.names))
    client = serving(desk, portal)
    page = _offered(client)
    decision, etag = rows(page)[0]
    answers = [page, client.get(f"/desk/products/{decision}").text]
    answers.append(send(client, f"/desk/proposals/{decision}", action="approve", etag=etag).text)
    answers.append(send(client, "/desk/bulk/preview", action="approve", scope="all", query="state=all").text)
    for text in answers:
        assert "<img" not in text
        assert "&lt;img" in text
        assert "{{ 7 * 7 }}" in text


def test_names_are_found_filtered_and_sorted_by(client: Client) -> None:
    _offered(client)
    tea = client.get("/desk/list?state=all&search=TEA,&sort=name&falling=0", headers={"HX-Request": "true"})
    names = re.findall(r'href="/desk/products/\w+">([^<]+)<', tea.text)
    assert names == sorted(names)
    assert len(names) == len([i for i in range(60) if i % 7 == 4])
    assert all(name.startswith("Tea, 20 bags") for name in names)
    assert tea.headers["Desk-Address"] == "/desk?state=all&search=TEA%2C&sort=name&falling=0"
    assert EN["nothing_found"] in client.get("/desk?search=%25nothing").text
    odd = client.get("/desk?state=none&sort=evil&start=-1&zone=%00&falling=x&search=%ff")
    assert odd.status_code == 200


def test_four_eyes_and_the_corridor_are_told(tmp_path: Path, portal: BlockingPortal) -> None:
    desk = desk_of(tmp_path, ApprovalSettings(automatic_change=0.02, four_eyes=True))
    client = serving(desk, portal)
    page = _offered(client)
    assert EN["four_eyes"] in page
    assert "up to 2.0%" in page
    ana, eva = (client.keyed(make_key(desk.store.database, name, Role.MANAGER)) for name in ("ana", "eva"))
    decision, etag = rows(page)[0]
    first = send(ana, f"/desk/proposals/{decision}", action="approve", etag=etag, query="").text
    assert 'class="item awaiting_second"' in first
    assert 'value="approve"' not in first  # one pair of eyes is not two
    assert 'value="approve"' in eva.get("/desk?state=awaiting_second").text


def test_without_their_libraries_pages_are_refused_and_the_api_serves(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.desk.page.web_folder", lambda: tmp_path / "nowhere")
    response = client.get("/desk")
    assert response.status_code == 503
    assert "make setup" in response.text
    assert client.get("/v1/policies").status_code == 200
    with pytest.raises(ArtifactError, match=r"htmx\.min\.js"):
        assets(tmp_path / "nowhere")


@given(st.integers(1, 10**12), st.sampled_from(["EUR", "JPY", "KWD"]), st.sampled_from(LANGUAGES))
def test_a_price_that_is_shown_is_read_back(minor: int, code: str, language: str) -> None:
    money = Currency.of(code)
    shown = texts(language).amount(minor, money)
    plain = shown if money.exponent else shown.replace(".", "").replace(",", "")
    assert price_of(plain, money) == minor
    assert price_of(f" {plain}\u00a0{code}", money) == minor


@given(
    st.lists(st.sampled_from(["pending", "approved", "blocked"]), unique=True),
    st.none() | st.text(min_size=1, max_size=30).map(str.strip).filter(bool),
    st.sampled_from(["price_group", "change", "profit_change"]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_an_address_says_what_is_shown(
    states: list[str], search: str | None, sort: str, falling: bool, start: int
) -> None:
    asked = Asked(Wanted(tuple(states), search=search), sort, falling, start)
    assert Asked.of(asked.query(start=start)) == asked


def test_every_text_of_the_pages_is_used() -> None:
    folder = Path(api.__file__).parent
    said = "".join(path.read_text() for path in [*folder.rglob("desk/*.html"), *folder.rglob("desk/*.py")])
    built = ("did_", "mark_", "filter_", "preview_", "carry_out_", "done_", "role_", "do_", "busy_")
    for code in EN:
        used = f'"{code}"' in said or f"'{code}'" in said
        assert used or code.startswith(built) or code.endswith("_label"), code
