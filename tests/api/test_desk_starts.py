"""When an approved price may be published: chosen in the shop's own time, shown in it, refused in words."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from hypothesis import given
from hypothesis import strategies as st

from api.desk.starts import starts_of, starts_told
from api.texts import texts
from pricing.errors import UsageError
from tests.api.client import Client, serving
from tests.api.desk import desk_of, rows, send

MADRID = "Europe/Madrid"
WEEK = {"valid_from": "2024-01-01", "valid_to": "2024-01-08"}


@pytest.fixture
def client(tmp_path: Path, portal: BlockingPortal) -> Client:
    found = serving(desk_of(tmp_path), portal)
    send(found, "/desk/rounds")
    return found


def _api(client: Client, decision: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/approvals/{decision}").json()["proposal"]
    return found


def test_one_is_approved_for_later_and_the_list_and_the_page_say_when(client: Client) -> None:
    decision, etag = rows(client.get("/desk").text)[0]
    page = client.get(f"/desk/products/{decision}").text
    assert 'min="2024-01-01T00:00" max="2024-01-07T23:59"' in page
    assert "time in Europe/Madrid" in page
    fields = {"action": "approve", "etag": etag, "starts_at": "2024-01-03T09:30", "query": "state=all"}
    answer = send(client, f"/desk/proposals/{decision}", **fields)
    assert "not before 3 January 2024, 09:30" in answer.text
    assert _api(client, decision)["starts_at"] == "2024-01-03T09:30+01:00"
    said = client.get(f"/desk/products/{decision}").text
    assert said.count("not before 3 January 2024, 09:30") == 2  # where it stands, and in what was decided
    spanish = client.get(f"/desk/products/{decision}", headers={"Accept-Language": "es"}).text
    assert "no antes del 3 de enero de 2024, 09:30" in spanish


def test_a_start_that_the_api_was_given_elsewhere_is_shown_in_the_shops_time(client: Client) -> None:
    decision, etag = rows(client.get("/desk").text)[0]
    body = {"action": "approve", "starts_at": "2024-01-02T23:30:00Z"}
    assert client.post(body, f"/v1/approvals/{decision}", **{"If-Match": etag}).status_code == 200
    assert "not before 3 January 2024, 00:30" in client.get(f"/desk/products/{decision}").text


def test_many_are_approved_for_later_as_previewed(client: Client) -> None:
    ids = [name for name, _ in rows(client.get("/desk").text)[:2]]
    ticked: dict[str, str | list[str]] = {"scope": "ticked", "id": ids, "starts_at": "2024-01-05T06:00"}
    preview = send(client, "/desk/bulk/preview", action="approve", **ticked).text
    assert "Published not before 5 January 2024, 06:00." in preview
    assert 'name="starts_at" value="2024-01-05T06:00"' in preview
    etag = re.findall(r'name="etag" value="(\w+)"', preview)[0]
    assert "2 approved." in send(client, "/desk/bulk", action="approve", etag=etag, **ticked).text
    assert {_api(client, name)["starts_at"] for name in ids} == {"2024-01-05T06:00+01:00"}


def test_a_rejection_has_no_start(client: Client) -> None:
    decision, etag = rows(client.get("/desk").text)[0]
    fields = {"action": "reject", "reason": "no", "etag": etag, "starts_at": "2024-01-03T09:30"}
    assert send(client, f"/desk/proposals/{decision}", **fields).status_code == 200
    assert client.get(f"/v1/approvals/{decision}").json()["reviews"][0]["starts_at"] is None


@pytest.mark.parametrize(
    "text", ["tomorrow", "2024-13-01T00:00", "<b>", "2024-01-03", "2024-01-03T09:30x", "9" * 400]
)
def test_what_is_no_time_is_refused_in_words_and_nothing_is_done(client: Client, text: str) -> None:
    decision, etag = rows(client.get("/desk").text)[0]
    fields = {"action": "approve", "etag": etag, "starts_at": text}
    answer = send(client, f"/desk/proposals/{decision}", **fields)
    assert answer.status_code == 422
    assert "is no date and time" in answer.text
    assert answer.text.count("<b>") == 1  # that of the heading; what was typed is written out
    spanish = client.call(
        "POST", f"/desk/proposals/{decision}", data=fields, headers={"Accept-Language": "es"}
    )
    assert "no es una fecha y hora" in spanish.text
    assert _api(client, decision)["state"] == "pending"


@pytest.mark.parametrize("text", ["2023-12-31T23:59", "2024-01-08T00:00", "2031-01-01T00:00"])
def test_a_start_outside_of_the_period_is_refused(client: Client, text: str) -> None:
    decision, etag = rows(client.get("/desk").text)[0]
    for place in (f"/desk/proposals/{decision}", "/desk/bulk/preview"):
        answer = send(client, place, action="approve", etag=etag, starts_at=text, scope="all", query="")
        assert answer.status_code == 422
        assert "outside of the period of this round" in answer.text


def test_clocks_that_are_put_forward_and_back() -> None:
    spring = {"valid_from": "2024-03-25", "valid_to": "2024-04-01"}
    with pytest.raises(UsageError, match=r"no 2024-03-31T02:30 in Europe/Madrid"):
        starts_of("2024-03-31T02:30", spring, MADRID)
    assert starts_of("2024-03-31T03:30", spring, MADRID) == "2024-03-31T03:30+02:00"
    autumn = {"valid_from": "2024-10-21", "valid_to": "2024-10-28"}
    assert starts_of("2024-10-27T02:30", autumn, MADRID) == "2024-10-27T02:30+02:00"  # the first of two
    assert starts_of("2024-03-31T02:30", spring, "UTC") == "2024-03-31T02:30+00:00"
    assert starts_of("", WEEK, MADRID) is None
    with pytest.raises(UsageError, match="no period"):
        starts_of("2024-01-03T09:30", {"valid_from": None, "valid_to": None}, MADRID)


@given(
    st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2024, 12, 30)),  # noqa: DTZ001 - on the shop's clocks
    st.sampled_from([MADRID, "UTC", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_what_was_chosen_is_what_is_shown(wall: dt.datetime, zone: str) -> None:
    facts = {"valid_from": "2024-01-01", "valid_to": "2025-01-01"}
    text = wall.strftime("%Y-%m-%dT%H:%M")
    local = wall.replace(second=0, microsecond=0, tzinfo=zoneinfo.ZoneInfo(zone))
    back = local.astimezone(dt.UTC).astimezone(local.tzinfo)
    if back.replace(tzinfo=None) != local.replace(tzinfo=None):  # clocks skip it
        with pytest.raises(UsageError):
            starts_of(text, facts, zone)
        return
    moment = starts_of(text, facts, zone)
    assert moment is not None
    assert starts_told(moment, zone, texts("en")).endswith(text[11:])
    assert dt.datetime.fromisoformat(moment) == local
