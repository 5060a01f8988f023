"""A whole passport, on a shop whose demand is known: an honest model passes, a spoilt one fails."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from pricing.errors import ArtifactError
from pricing.model import COEFFICIENTS, DemandModel
from simulators.demand.fit import fit
from simulators.passport.issue import Effort, issue
from simulators.passport.origins import origin_starts, origins_check, roll, sampled
from simulators.passport.passport import Passport
from simulators.passport.thresholds import THRESHOLDS
from simulators.passport.verdict import Reason, Verdict
from simulators.run import Origin, Run, training_panel
from tests.simulators.demand_truth import make

HELD = 45
SMALL = Effort(1, 150, 16)


@cache
def _run() -> Run:
    truth = make(150, 21, level=2.0)
    day = str(truth.panel.periods[HELD])
    found = fit(
        training_panel(truth.panel, HELD), until=day, fingerprint="f", seed=1, calendar_in_advance=True
    )
    origin = Origin("shop", "f", day, 1, "EUR", 2, calendar_in_advance=True, versions=(("numpy", "2"),))
    return Run(found.model, truth.panel, found.report, origin)


@cache
def _passport() -> Passport:
    return issue(_run(), effort=SMALL).passport


def _spoilt(**more: Any) -> Passport:
    run = _run()
    model: DemandModel = replace(run.model, **more)
    return issue(replace(run, model=model), effort=SMALL).passport


def test_a_model_of_the_truth_passes_what_its_form_can_pass() -> None:
    found = _passport()
    for code in ("lift", "events", "pit", "totals"):
        assert found.check(code).verdict is not Verdict.FAILED, found.check(code)
    assert found.check("events").verdict is Verdict.PASSED, found.check("events")
    lift = found.check("lift")
    assert abs(lift.figure("slope").value - 1.0) < 2.0 * lift.figure("slope").error
    assert found.check("instrument").reason is Reason.NO_COSTS
    assert found.series == 150
    assert found.periods == 15
    assert not found.own_holdout


def test_every_threshold_is_used_and_every_figure_is_judged_by_one_or_told() -> None:
    shown = {(c.code, f.name) for c in _passport().checks for f in c.figures}
    assert {(t.check, t.figure) for t in THRESHOLDS if t.check != "instrument"} <= shown
    for c in _passport().checks:
        for figure in c.figures:
            assert figure.limited or figure.verdict is Verdict.NOT_APPLICABLE


def test_effects_promised_twice_as_large_fail_the_size_and_not_the_direction() -> None:
    mean = _run().model.mean.copy()
    mean[:, [COEFFICIENTS.index("regular"), COEFFICIENTS.index("depth")]] *= 2.0
    found = _spoilt(mean=mean)
    assert found.check("lift").figure("slope").value == pytest.approx(
        0.5 * _passport().check("lift").figure("slope").value, rel=0.1
    )
    assert {"lift", "events"} <= set(found.failed)
    assert found.check("sign").verdict is _passport().check("sign").verdict


def test_a_level_a_tenth_too_high_fails_levels_and_the_simulated_shop_and_no_effect() -> None:
    mean = _run().model.mean.copy()
    mean[:, 0] += np.log(1.15)
    found = _spoilt(mean=mean)
    assert {"level", "replay"} <= set(found.failed)
    assert found.check("lift").figure("slope").value == pytest.approx(
        _passport().check("lift").figure("slope").value, rel=1e-3
    )


def test_chances_that_are_too_narrow_fail_the_chances() -> None:
    assert "pit" in _spoilt(dispersion=20.0 * _run().model.dispersion).failed


def test_a_response_of_the_wrong_sign_fails_the_direction() -> None:
    mean = _run().model.mean.copy()
    mean[:3, COEFFICIENTS.index("regular")] = 0.1
    assert _spoilt(mean=mean).check("sign").verdict is Verdict.FAILED


def test_the_digest_follows_from_the_run_alone() -> None:
    found = _passport()
    again = issue(_run(), effort=SMALL).passport
    assert again.to_bytes() == found.to_bytes()
    assert found.digest == hashlib.sha256(found.to_bytes()).hexdigest()
    text = found.to_bytes().decode()
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text
    assert "NaN" not in text
    assert issue(_run(), effort=SMALL, seed=1).passport.digest != found.digest


def test_a_passport_is_read_as_it_was_written_and_a_forged_one_is_not() -> None:
    content = _passport().to_bytes()
    assert Passport.from_bytes(content).to_bytes() == content
    values = json.loads(content)
    values["failed"], values["verdict"] = [], "passed"
    for forged in (b"{}", b"", b"[1]", content[:-1], json.dumps(values).encode()):
        with pytest.raises(ArtifactError):
            Passport.from_bytes(forged)
    values["version"] = 99
    with pytest.raises(ArtifactError, match="schema 99"):
        Passport.from_bytes(json.dumps(values).encode())


def test_the_verdict_names_what_failed() -> None:
    some = tuple(c for c in _passport().checks if c.verdict is not Verdict.FAILED)
    assert replace(_passport(), checks=some).verdict is Verdict.PASSED
    spoilt = replace(some[0], verdict=Verdict.FAILED)
    assert replace(_passport(), checks=(spoilt, *some[1:])).failed == (spoilt.code,)
    assert replace(_passport(), checks=()).verdict is Verdict.NOT_APPLICABLE


def test_origins_follow_each_other_and_end_with_the_training() -> None:
    assert origin_starts(43, 3) == ((31, 35), (35, 39), (39, 43))
    assert origin_starts(300, 2) == ((274, 287), (287, 300))
    assert origin_starts(14, 3) == ((12, 13), (13, 14))
    assert origin_starts(11, 3) == ()


def test_a_sample_holds_the_best_sellers_of_before_and_others_at_random() -> None:
    run = _run()
    assert sampled(run, 150, 40, 0).tolist() == list(range(150))
    some = sampled(run, 20, 40, 0)
    best = np.argsort(-run.panel.units[:, :40].sum(axis=1), kind="stable")[:10]
    assert set(best) <= set(some.tolist())
    assert len(np.unique(some)) == 20
    units = run.panel.units.copy()
    units[:, 40:] = units[::-1, 40:]
    later = replace(run, panel=replace(run.panel, units=units))
    np.testing.assert_array_equal(sampled(later, 20, 40, 0), some)
    assert set(sampled(run, 20, 40, 1).tolist()) != set(some.tolist())


def test_an_origin_knows_nothing_later_and_the_holdout_is_not_looked_at() -> None:
    run, starts = _run(), ((40, 42),)
    index = np.arange(60, dtype=np.int64)
    units = run.panel.units.copy()
    units[:, 42:] = units[::-1, 42:]
    other = replace(run, panel=replace(run.panel, units=units))
    (a,), (b,) = (roll(r, index, starts, lambda _what, _share: None) for r in (run, other))
    assert (a.wmape, a.bias, a.until) == (b.wmape, b.bias, str(run.panel.periods[40]))
    assert a.periods == 2
    short = replace(run, panel=run.panel.between(0, 11), origin=replace(run.origin, until="2024-03-18"))
    assert origins_check(short, 3, 60, 0, lambda _what, _share: None).reason is Reason.SHORT_HISTORY


def test_a_run_without_a_holdout_says_that_another_model_was_judged() -> None:
    run = _run()
    early = run.panel.between(0, HELD)
    found = issue(replace(run, panel=early), effort=SMALL)
    assert found.passport.own_holdout
    assert found.validation.own_holdout
    assert found.passport.until == str(early.periods[36])
    assert found.passport.run_id == run.identifier
