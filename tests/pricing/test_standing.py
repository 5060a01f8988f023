"""What a passport says, read from its bytes alone, and what may be accepted of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.archive import digest
from pricing.errors import ArtifactError, FailedChecks, FingerprintError, UsageError
from pricing.recommendation import Reason, model_reasons
from pricing.standing import UNVALIDATED, FailedFigure, Judgement, Standing, Verdict, refuse_acceptance

PASSED, FAILED, UNTOLD = (verdict.value for verdict in Verdict)


def _figure(value: float | None, low: float | None, high: float | None, verdict: str) -> dict[str, Any]:
    limits = {"name": "slope", "value": value, "low": low, "high": high}
    return {**limits, "error": None, "source": "lift", "verdict": verdict, "reason": None}


def _check(code: str, verdict: str, *figures: dict[str, Any]) -> dict[str, Any]:
    table: dict[str, list[str]] = {"columns": [], "rows": []}
    return {"code": code, "verdict": verdict, "reason": None, "figures": list(figures), "table": table}


def _document() -> dict[str, Any]:
    """Two of three judged checks failed: lift by one of its two figures, totals by its only one."""
    return {
        "version": 1,
        "run_id": "0123456789ab",
        "fingerprint": "f" * 64,
        "until": "2025-01-06",
        "quick": False,
        "verdict": FAILED,
        "failed": ["lift", "totals"],
        "checks": [
            _check("lift", FAILED, _figure(0.859, 0.95, 1.05, FAILED), _figure(0.3, 0.0, None, PASSED)),
            _check("events", UNTOLD, _figure(None, 0.87, 0.93, UNTOLD), _figure(1.0, None, None, UNTOLD)),
            _check("totals", FAILED, _figure(0.853, 0.9, None, FAILED)),
            _check("sign", PASSED, _figure(0.99, 0.99, None, PASSED)),
        ],
    }


def _bytes(values: object) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _read(values: object) -> Judgement:
    return Judgement.from_bytes(_bytes(values), "RUN.passport/passport.json")


def test_a_passport_is_read_with_what_failed_and_why() -> None:
    found = _read(_document())
    assert found.passport == digest(_bytes(_document()))
    assert (found.verdict, found.judged) == (Verdict.FAILED, 3)
    assert [str(check) for check in found.failed] == [
        "lift (slope 0.859 [0.95 .. 1.05])",
        "totals (slope 0.853 [>= 0.9])",
    ]
    assert str(FailedFigure("highest", 0.12, -math.inf, 0.115)) == "highest 0.12 [<= 0.115]"


def test_a_failed_passport_is_refused_until_each_failed_check_is_named() -> None:
    found = _read(_document())
    for some in ((), ("lift",), ("totals",)):
        with pytest.raises(FailedChecks) as refused:
            found.accept(some, "RUN")
        assert refused.value.what == (
            "2 of 3 checks failed in the passport of RUN: "
            "lift (slope 0.859 [0.95 .. 1.05]), totals (slope 0.853 [>= 0.9])."
        )
        assert refused.value.todo.endswith("--accept-failed lift,totals")
        assert (refused.value.exit_code, refused.value.code) == (5, "failed_checks")
    accepted = found.accept(("totals", "lift"), "RUN")
    assert accepted == Standing(found.passport, Verdict.FAILED, ("lift", "totals"))


@pytest.mark.parametrize("name", ["sign", "events", "all", "*", "LIFT", "lift ", "drift"])
def test_what_did_not_fail_cannot_be_accepted(name: str) -> None:
    with pytest.raises(UsageError, match="--accept-failed names what did not fail") as refused:
        _read(_document()).accept(("lift", "totals", name), "RUN")
    assert refused.value.what.endswith(f": {name}.")
    assert refused.value.todo == "Failed are: lift, totals."


def test_where_nothing_failed_nothing_is_to_be_accepted() -> None:
    values = _document()
    values |= {"checks": values["checks"][3:], "failed": [], "verdict": PASSED}
    found = _read(values)
    assert found.accept((), "RUN") == Standing(found.passport, Verdict.PASSED)
    with pytest.raises(UsageError, match="did not fail"):
        found.accept(("sign",), "RUN")
    refuse_acceptance((), "RUN")
    with pytest.raises(UsageError, match="nobody has checked RUN"):
        refuse_acceptance(("lift",), "RUN")


def test_a_passport_that_tells_nothing_is_neither_passed_nor_missing() -> None:
    values = _document()
    values |= {"checks": values["checks"][1:2], "failed": [], "verdict": UNTOLD}
    standing = _read(values).accept((), "RUN")
    assert (standing.word, standing.accepted) == ("not_applicable", ())
    assert model_reasons(standing, None) == (Reason.MODEL_CHECKS_UNTOLD,)


def test_a_passport_of_another_run_or_of_other_data_is_refused() -> None:
    found = _read(_document())
    found.require_of("0123456789ab", "f" * 64, "RUN")
    for run_id, fingerprint in (("ba9876543210", "f" * 64), ("0123456789ab", "e" * 64)):
        with pytest.raises(FingerprintError, match="of another run"):
            found.require_of(run_id, fingerprint, "RUN")


def _lift(**change: object) -> Callable[[dict[str, Any]], object]:
    return lambda values: values["checks"][0]["figures"][0].update(change)


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "the whole": lambda v: v.update(verdict=PASSED),
    "the list": lambda v: v.update(failed=["lift"]),
    "whole and list": lambda v: v.update(verdict=PASSED, failed=[]),
    "a check": lambda v: (v["checks"][0].update(verdict=PASSED), v.update(failed=["totals"])),
    "a figure": _lift(verdict=PASSED),
    "a value": _lift(value=1.0),
    "a limit": _lift(low=0.5),
    "a check and its figure": lambda v: (
        _lift(verdict=PASSED)(v), v["checks"][0].update(verdict=PASSED), v.update(failed=["totals"]),
    ),
    "no longer judged": lambda v: (
        v["checks"][2].update(verdict=UNTOLD), v.update(failed=["lift"]),
    ),
    "a judged figure left open": lambda v: (
        v["checks"][3]["figures"].append(_figure(0.5, 0.99, None, UNTOLD)),
    ),
    "the same code twice": lambda v: v["checks"][3].update(code="events"),
    "a code that is no name": lambda v: (
        v["checks"][0].update(code="lift,totals"), v.update(failed=["lift,totals", "totals"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_passport_that_contradicts_itself_is_refused(what: str) -> None:
    values = _document()
    FORGED[what](values)
    with pytest.raises(ArtifactError, match="changed by hand"):
        _read(values)


def test_bytes_that_are_not_as_they_are_written_are_refused() -> None:
    values = _document()
    for content in (json.dumps(values).encode(), _bytes(values) + b"\n"):
        with pytest.raises(ArtifactError, match="changed by hand"):
            Judgement.from_bytes(content, "passport.json")
    with pytest.raises(ArtifactError, match="schema 2"):
        _read({**values, "version": 2})


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"7", b'"passed"', b"\xff\xfe", b"[" * 100_000,
        _bytes({**_document(), "checks": None}),
        _bytes({**_document(), "checks": [7]}),
        _bytes({**_document(), "verdict": "perfect"}),
        _bytes({k: v for k, v in _document().items() if k != "run_id"}),
        _bytes(_document()).replace(b"0.859", b"NaN"),
    ],
)  # fmt: skip
def test_what_is_no_passport_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        Judgement.from_bytes(content, "passport.json")


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_an_error(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        Judgement.from_bytes(content, "passport.json")


def test_a_passport_made_in_a_hurry_says_so() -> None:
    assert not _read(_document()).accept(("lift", "totals"), "RUN").quick
    assert _read({**_document(), "quick": True}).accept(("lift", "totals"), "RUN").quick


@given(
    st.sampled_from(Verdict),
    st.from_regex("[0-9a-f]{64}", fullmatch=True),
    st.lists(st.text(), max_size=3),
    st.booleans(),
)
def test_a_standing_is_read_as_it_was_written(
    verdict: Verdict, passport: str, accepted: list[str], quick: bool
) -> None:
    standing = Standing(passport, verdict, tuple(accepted), quick)
    assert Standing.of(json.loads(json.dumps(standing.document())), "here") == standing


def test_a_standing_that_is_missing_is_said_and_one_that_is_broken_refused() -> None:
    nothing: dict[str, object] = {
        "passport": None,
        "verdict": "not_validated",
        "accepted": [],
        "quick": False,
    }
    assert UNVALIDATED.document() == nothing
    assert Standing.of(UNVALIDATED.document(), "here") == UNVALIDATED
    fine: dict[str, Any] = {"passport": None, "verdict": "fine", "accepted": []}
    for broken in (fine, {"verdict": "passed"}, dict[str, Any]()):
        with pytest.raises(ArtifactError, match="here does not say under which passport"):
            Standing.of(broken, "here")


def test_every_decision_says_what_is_less_than_passed() -> None:
    passed = Standing("a" * 64, Verdict.PASSED)
    failed = Standing("b" * 64, Verdict.FAILED, ("lift",))
    assert model_reasons(passed, None) == ()
    assert model_reasons(passed, passed) == ()
    assert model_reasons(failed, failed) == (Reason.MODEL_CHECK_FAILED_ACCEPTED,)
    assert model_reasons(UNVALIDATED, None) == (Reason.MODEL_NOT_VALIDATED,)
    assert model_reasons(passed, failed) == (Reason.POLICY_OF_OTHER_PASSPORT,)
    assert model_reasons(passed, UNVALIDATED) == (Reason.POLICY_OF_OTHER_PASSPORT,)
    assert model_reasons(UNVALIDATED, passed) == (
        Reason.MODEL_NOT_VALIDATED, Reason.POLICY_OF_OTHER_PASSPORT,
    )  # fmt: skip
