"""The plan of a trial: what it holds when, and that a changed one is found out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import ArtifactError
from pricing.trial import OUTSIDE, Cluster, Design, Precision, Trial, Unit

UNITS = (
    Unit("a", "z1", "shoes", 0, 500, 990),
    Unit("b", "z1", "hats", 1, 400, 1490),
    Unit("c", "z2", "hats", OUTSIDE, 300, 490),
)
PLAN = Trial(
    design=Design.PARALLEL, made_on="2026-01-05", seed=3, data="f", currency="EUR", since="2025-07-07",
    start="2026-02-02", periods=4, period_days=7, block=4, washout=0, worth=0,
    precision=Precision(900, 500, 90, 2, 4), units=UNITS,
    clusters=(Cluster("shoes", (True,), (0,)), Cluster("hats", (False,), (0,))),
)  # fmt: skip
BACK = replace(
    PLAN,
    design=Design.SWITCHBACK,
    block=2,
    washout=1,
    clusters=(Cluster("shoes", (True, False), (0, 0)), Cluster("hats", (False, True), (1, 1))),
)


def test_a_standing_holdout_keeps_whatever_is_in_force() -> None:
    held = {("b", "z1"): 0, ("c", "z2"): 0}
    assert PLAN.held("2026-02-02") == held
    assert PLAN.held("2026-02-23") == held
    assert PLAN.held("2026-02-01") == {}
    assert PLAN.held(PLAN.end) == {}
    assert PLAN.end == "2026-03-02"


def test_an_off_block_goes_back_to_the_price_of_before() -> None:
    assert BACK.held("2026-02-09") == {("b", "z1"): 1490, ("c", "z2"): 0}
    assert BACK.held("2026-02-16") == {("a", "z1"): 990, ("c", "z2"): 0}


@pytest.mark.parametrize("plan", [PLAN, BACK], ids=["parallel", "switchback"])
def test_bytes_and_back(plan: Trial) -> None:
    again = Trial.from_bytes(plan.to_bytes(), "plan.json")
    assert again == plan
    assert again.to_bytes() == plan.to_bytes()
    assert again.digest == plan.digest
    assert plan.began("2026-02-02")
    assert not plan.began("2026-02-01")


@pytest.mark.parametrize(
    ("name", "value"), [("worth", -100), ("start", "2026-02-09"), ("seed", 4), ("made_on", "2026-01-01")]
)
def test_a_changed_plan_is_found_out(name: str, value: object) -> None:
    body = json.loads(PLAN.to_bytes())
    body[name] = value
    with pytest.raises(ArtifactError, match="changed after it was written"):
        Trial.from_bytes(json.dumps(body).encode(), "plan.json")


def test_who_is_held_cannot_be_swapped() -> None:
    body = json.loads(PLAN.to_bytes())
    body["clusters"][0][1], body["clusters"][1][1] = "0", "1"
    with pytest.raises(ArtifactError, match="changed after it was written"):
        Trial.from_bytes(json.dumps(body).encode(), "plan.json")
    other = replace(PLAN, seed=4)
    assert other.digest != PLAN.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"block": 3},
        {"washout": 4},
        {"units": (), "clusters": ()},
        {"clusters": PLAN.clusters[:1]},
        {"clusters": (*PLAN.clusters, Cluster("x", (True,), (0,)))},
        {"units": UNITS[::-1]},
        {"units": (UNITS[0], UNITS[0], UNITS[1])},
        {"since": "2026-02-02"},
        {"block": 2},
    ],
)
def test_what_contradicts_itself_is_no_plan(changes: dict[str, object]) -> None:
    with pytest.raises(ArtifactError, match="does not describe a trial"):
        replace(PLAN, **changes)  # type: ignore[arg-type] # by name


@given(st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b"null", b'{"digest": 1}', b"\xff\xfe"]))
def test_other_files_are_refused_not_read(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        Trial.from_bytes(content, "plan.json")


def test_a_newer_plan_is_not_guessed_at() -> None:
    import hashlib

    body = json.loads(PLAN.to_bytes())
    del body["digest"]
    body["schema"] = 99
    body["digest"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    with pytest.raises(ArtifactError, match="schema 99"):
        Trial.from_bytes(json.dumps(body).encode(), "plan.json")
