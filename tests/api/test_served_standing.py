"""Every answer of the service says under which passport it was decided; older records are still read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from api.prices.service import Desk
from api.storage.store import Entry, Run, Stored, Writing
from pricing.standing import Standing, Verdict
from tests.api.client import URL, Client, serving
from tests.api.runs import open_desk, toy_shelf, write_run


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return open_desk(write_run(tmp_path / "run", toy_shelf()), tmp_path / "d.sqlite3")


@pytest.fixture
def client(desk: Desk, portal: BlockingPortal) -> Client:
    return serving(desk, portal)


ACCEPTED = Standing("a" * 64, Verdict.FAILED, ("lift", "totals"))


@pytest.fixture
def trusting(desk: Desk) -> Desk:
    """A desk whose model failed two checks, and one of whose policies was trained on a model that passed."""
    shelf = replace(desk.shelf, standing=ACCEPTED)
    trained = {"incumbent": Standing("b" * 64, Verdict.PASSED)}
    return Desk(shelf, desk.policies, desk.default, desk.store, trained)


def test_every_answer_says_under_which_passport_it_was_decided(
    trusting: Desk, portal: BlockingPortal
) -> None:
    client, under = serving(trusting, portal), {"passport": "a" * 64, "model_verdict": "failed"}
    under_all = {**under, "accepted_checks": ["lift", "totals"]}
    answer = client.post({"price_groups": ["toy00003"]}).json()
    ready = client.get("/health/ready").json()
    policies = {entry["name"]: entry["run"] for entry in client.get("/v1/policies").json()["items"]}
    for told in (answer["items"][0], answer["run"], ready, *policies.values()):
        assert {name: told[name] for name in under_all} == under_all
    assert policies["resolve"]["trained_under"] is None
    assert policies["incumbent"]["trained_under"] == {
        "passport": "b" * 64, "model_verdict": "passed", "accepted_checks": [],
    }  # fmt: skip
    assert "model_check_failed_accepted" in answer["items"][0]["reason_codes"]
    (listed,) = client.get(URL).json()["items"]
    assert listed == answer["items"][0]


def test_one_recommendation_names_what_failed_in_the_readers_language(
    trusting: Desk, portal: BlockingPortal
) -> None:
    client = serving(trusting, portal)
    items = client.post({"price_groups": ["toy00003"], "policy": "incumbent"}).json()["items"]
    one = {
        name: client.get(f"{URL}/{items[0]['decision_id']}", headers={"Accept-Language": name}).json()
        for name in ("en", "es")
    }
    names = {language: [check["name"] for check in found["failed_checks"]] for language, found in one.items()}
    assert names["en"] == ["Size of price effects", "Category totals"]
    assert set(names["en"]).isdisjoint(names["es"])
    for language, found in one.items():
        said = found["reasons"][found["reason_codes"].index("model_check_failed_accepted")]
        assert all(name in said for name in names[language])
        trained = found["reasons"][found["reason_codes"].index("policy_of_other_passport")]
        assert "b" * 12 in trained
        assert found["trained_under"]["passport"] == "b" * 64


def test_a_run_that_nobody_validated_says_so_in_every_answer(client: Client) -> None:
    item = client.post({"price_groups": ["toy00003"]}).json()["items"][0]
    assert (item["passport"], item["model_verdict"], item["accepted_checks"]) == (None, "not_validated", [])
    said = item["reasons"][item["reason_codes"].index("model_not_validated")]
    assert said.startswith("The demand model was not validated")
    assert client.get("/health/ready").json()["model_verdict"] == "not_validated"
    assert client.get(f"{URL}/{item['decision_id']}").json()["failed_checks"] == []


def test_what_was_recorded_before_passports_were_kept_is_still_read(
    desk: Desk, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It called the digest of what it follows from its passport."""

    def older(values: dict[str, Any]) -> dict[str, Any]:
        written = {name: value for name, value in values.items() if name not in ("standing", "trained_under")}
        digest = written.pop("provenance_digest", None)
        return written | ({} if digest is None else {"passport": digest})

    recorded = Writing.record

    def record(self: Writing, run: Run, entries: Iterable[Entry]) -> tuple[Stored, ...]:
        was = [
            Entry(e.decision_id, e.price_group, e.zone,
                  {**e.content, "recommendation": older(e.content["recommendation"])})
            for e in entries
        ]  # fmt: skip
        return recorded(self, Run(run.number, run.provenance_digest, older(dict(run.content))), was)

    monkeypatch.setattr(Writing, "record", record)
    answer = client.post({"price_groups": ["toy00003"]}).json()
    item = client.get(f"{URL}/{answer['items'][0]['decision_id']}").json()
    digest = desk.joint().provenance_digest
    for told in (answer["items"][0], item, item["run"]):
        assert (told["provenance_digest"], told["passport"]) == (digest, None)
        assert (told["model_verdict"], told["accepted_checks"]) == ("not_recorded", [])
    assert (item["failed_checks"], item["trained_under"]) == ([], None)
