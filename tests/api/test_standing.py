"""The passport is carried: what decides by a run refuses a failed one, and says under which it decided."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import api.cli.simulate
import api.cli.train
import api.runs
from api.cli.demo import _accepted
from api.cli.main import app
from api.cli.session import Session
from api.report import Findings, render_report
from api.runs import judgement_of, open_shelf, standing_of
from api.standing_texts import standing_lines
from api.texts import LANGUAGES, texts
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend
from pricing.errors import ArtifactError, BusyError
from pricing.standing import UNVALIDATED, Judgement, Standing, Verdict
from simulators.folders import write_folder
from simulators.passport.passport import Passport
from tests.api.passports import passport_of, write_passport
from tests.api.runs import toy_shelf
from tests.api.server import served

FLAG = "--accept-failed"


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def _ok(*words: object) -> dict[str, Any]:
    result = _call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _refused(exit_code: int, code: str, *words: object) -> dict[str, Any]:
    result = _call(*words, "--json")
    assert result.exit_code == exit_code, result.output
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    assert error["code"] == code
    return error


def _shown(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    return " ".join(result.stdout.split())


@pytest.fixture
def run(run_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small run, with no passport yet."""
    return Path(shutil.copytree(run_folder, tmp_path / "run"))


def _recommend(run: Path, *more: object) -> tuple[object, ...]:
    return ("recommend", run, "--policy", "resolve", "--out", run.with_name("r.parquet"), *more)


def _rows(run: Path) -> list[dict[str, Any]]:
    table: Any = pq.read_table(run.with_name("r.parquet"))
    return list(table.to_pylist())


def _simulate(run: Path, policies: object = "static", *more: object) -> tuple[object, ...]:
    size = ("--seeds", 2, "--horizon", 1, "--workers", 1)
    return ("simulate", run, "--policies", policies, *size, "--out", run.with_name("sim"), *more)


COMMANDS: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "train": lambda run: ("train", run, "--policy", "static", "--out", run.with_name("policy")),
    "simulate": _simulate,
    "recommend": _recommend,
    "serve": lambda run: ("serve", run, "--store", run.with_name("d.sqlite3")),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_failed_passport_is_refused_with_its_figures_and_the_flag(command: str, run: Path) -> None:
    write_passport(run, "lift", "totals")
    before = sorted(p.name for p in run.parent.iterdir())
    error = _refused(5, "failed_checks", *COMMANDS[command](run))
    assert error["what"] == (
        f"2 of 4 checks failed in the passport of {run}: "
        "lift (slope 0.7 [0.95 .. 1.05]), totals (inside 0.8 [>= 0.9])."
    )
    assert error["todo"].endswith(f"{FLAG} lift,totals")
    for some in ("lift", "totals"):
        assert _refused(5, "failed_checks", *COMMANDS[command](run), FLAG, some) == error
    for wrong in ("lift,totals,sign", "all", "lift,totals,drift", "lift totals"):
        assert "what did not fail" in _refused(2, "usage", *COMMANDS[command](run), FLAG, wrong)["what"]
    assert sorted(p.name for p in run.parent.iterdir()) == before, "nothing is made of what is refused"


def test_what_is_refused_is_refused_in_spanish_too(run: Path) -> None:
    write_passport(run, "lift")
    told = [_refused(5, "failed_checks", *_recommend(run, "--language", name)) for name in LANGUAGES]
    assert all(told[0][part] != told[1][part] for part in ("title", "what", "why", "todo"))
    assert told[1]["todo"].endswith(f"{FLAG} lift")
    for words in ((FLAG, "sign"), (FLAG, "lift,sign")):
        told = [_refused(2, "usage", *_recommend(run, *words, "--language", name)) for name in LANGUAGES]
        assert all(told[0][part] != told[1][part] for part in ("what", "why", "todo"))


def test_what_is_accepted_by_name_is_in_every_recommendation(run: Path) -> None:
    digest = write_passport(run, "lift", "totals")
    found = _ok(*_recommend(run, FLAG, " totals,lift , totals"))
    assert found["standing"] == Standing(digest, Verdict.FAILED, ("lift", "totals")).document()
    assert found["trained_under"] is None
    rows = _rows(run)
    assert len(rows) == 12
    for row in rows:
        assert (row["passport"], row["model_verdict"]) == (digest, "failed")
        assert row["accepted_checks"] == ["lift", "totals"]
        assert "model_check_failed_accepted" in row["reason_codes"]
        assert (row["policy_passport"], row["policy_verdict"]) == (None, None)
        assert row["provenance_digest"] == found["provenance_digest"] != digest
    shown = _shown(_call(*_recommend(run, FLAG, "lift,totals")))
    assert "Size of price effects (lift), Category totals (totals)" in shown
    assert digest[:12] in shown


def test_a_passed_passport_is_carried_and_there_is_nothing_to_accept(run: Path) -> None:
    digest = write_passport(run)
    assert _ok(*_recommend(run))["standing"]["verdict"] == "passed"
    for row in _rows(run):
        assert (row["passport"], row["model_verdict"], row["accepted_checks"]) == (digest, "passed", [])
        assert not [code for code in row["reason_codes"] if code.startswith(("model_", "policy_"))]
    assert "did not fail" in _refused(2, "usage", *_recommend(run, FLAG, "lift"))["what"]


def test_a_passport_made_in_a_hurry_is_carried_with_a_word_of_warning(run: Path) -> None:
    write_passport(run, quick=True)
    assert _ok(*_recommend(run))["standing"]["quick"]
    assert "made in a hurry (--quick)" in _shown(_call(*_recommend(run)))
    write_passport(run)
    assert "hurry" not in _shown(_call(*_recommend(run)))


def test_a_run_that_nobody_validated_is_used_and_never_silently(run: Path) -> None:
    assert _ok(*_recommend(run))["standing"] == UNVALIDATED.document()
    for row in _rows(run):
        assert (row["passport"], row["model_verdict"], row["accepted_checks"]) == (None, "not_validated", [])
        assert "model_not_validated" in row["reason_codes"]
    for command in ("train", "simulate", "recommend"):
        assert "NOT VALIDATED" in _shown(_call(*COMMANDS[command](run)))
    assert "SIN VALIDAR" in _shown(_call(*_recommend(run, "--language", "es")))
    assert "`tarifa validate RUN`" in _shown(_call(*_recommend(run)))
    error = _refused(2, "usage", *_recommend(run, FLAG, "lift"))
    assert "it has no passport" in error["what"]


def test_the_passport_that_validate_issues_is_the_one_that_is_carried(run: Path) -> None:
    issued = _ok("validate", run, "--quick")["passport"]
    assert issued["verdict"] == "failed", "the small shop's model fails some check; else choose another shop"
    error = _refused(5, "failed_checks", *_recommend(run))
    flag = error["todo"].split(FLAG)[1].strip()
    assert flag == ",".join(issued["failed"])
    assert _ok(*_recommend(run, FLAG, flag))["standing"]["passport"] == issued["digest"]
    content = (Path(issued["place"]) / "passport.json").read_bytes()
    whole, read = Passport.from_bytes(content), Judgement.from_bytes(content, "here")
    assert tuple(check.code for check in read.failed) == whole.failed
    assert (read.passport, read.verdict) == (whole.digest, whole.verdict)


def _reseal(place: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the passport and have the marker say that it is as it was written."""
    content = change((place / "passport.json").read_bytes())
    marker = json.loads((place / "tarifa.json").read_bytes())
    (place / "passport.json").write_bytes(content)
    marker["files"]["passport.json"] = hashlib.sha256(content).hexdigest()
    (place / "tarifa.json").write_text(json.dumps(marker))


def _editable(place: Path) -> None:
    marker = json.loads((place / "tarifa.json").read_bytes()) | {"editable": ["passport.json"]}
    (place / "tarifa.json").write_text(json.dumps(marker))
    path = place / "passport.json"
    path.write_bytes(path.read_bytes().replace(b"0.7", b"1.0"))


def _instead(place: Path, what: Callable[[Path], object]) -> None:
    shutil.rmtree(place)
    what(place)


SPOILT: dict[str, Callable[[Path], object]] = {
    "a byte": lambda place: (place / "passport.json").write_bytes(b" "),
    "a verdict": lambda place: (place / "passport.json").write_text(
        (place / "passport.json").read_text().replace('"failed"', '"passed"')
    ),
    "a verdict, resealed": lambda place: _reseal(
        place, lambda content: content.replace(b'"verdict":"failed"', b'"verdict":"passed"')
    ),
    "a figure, resealed": lambda place: _reseal(place, lambda content: content.replace(b"0.7", b"1.0")),
    "said to be editable": _editable,
    "the page alone": lambda place: (place / "passport.html").write_bytes(b"all is well"),
    "no passport in it": lambda place: (place / "passport.json").unlink(),
    "no marker": lambda place: (place / "tarifa.json").unlink(),
    "half a marker": lambda place: (place / "tarifa.json").write_text('{"kind": "pass'),
    "an empty folder": lambda place: _instead(place, lambda path: path.mkdir()),
    "a file": lambda place: _instead(place, lambda path: path.write_bytes(b"")),
    "a link to nowhere": lambda place: _instead(place, lambda path: path.symlink_to("nowhere")),
    "another kind of folder": lambda place: _instead(
        place, lambda path: shutil.copytree(path.with_name("run"), path)
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_passport_that_cannot_be_trusted_is_refused_and_never_taken_for_none(what: str, run: Path) -> None:
    write_passport(run, "lift")
    SPOILT[what](run.with_name("run.passport"))
    for words in ((), (FLAG, "lift")):
        _refused(4, "artifact", *_recommend(run, *words))
    assert not run.with_name("r.parquet").exists()


def test_a_passport_of_another_run_is_refused(run: Path) -> None:
    write_passport(run, run_id="ba9876543210")
    error = _refused(4, "fingerprint", *_recommend(run))
    assert error["todo"] == f"Judge this one: `tarifa validate {run}`."
    assert _refused(4, "fingerprint", "serve", run)["what"] == error["what"]
    spanish = _refused(4, "fingerprint", *_recommend(run, "--language", "es"))
    assert all(spanish[part] != error[part] for part in ("title", "what", "why", "todo"))


def test_a_policy_says_under_which_passport_it_was_trained_and_both_are_recorded(run: Path) -> None:
    first = write_passport(run, "lift")
    policy = run.with_name("policy")
    trained = _ok("train", run, "--policy", "static", "--out", policy, FLAG, "lift")
    manifest = json.loads((policy / "training.json").read_bytes())
    then = Standing(first, Verdict.FAILED, ("lift",)).document()
    assert manifest["standing"] == trained["standing"] == then
    second = write_passport(run)
    found = _ok("recommend", run, "--policy", policy, "--out", run.with_name("r.parquet"))
    assert found["standing"]["passport"] == second
    assert found["trained_under"] == then
    for row in _rows(run):
        assert (row["passport"], row["policy_passport"]) == (second, first)
        assert (row["model_verdict"], row["policy_verdict"]) == ("passed", "failed")
        assert "policy_of_other_passport" in row["reason_codes"]
    made = _ok(*_simulate(run, f"incumbent,{policy}", "--decisions"))
    release = f"static@{trained['version'][:12]}"
    assert made["trained_under"] == {release: then}
    written = json.loads((run.with_name("sim") / "simulation.json").read_bytes())
    assert (written["standing"], written["trained_under"]) == (found["standing"], {release: then})
    assert made["worlds_differ"] == written["worlds_differ"]
    assert min(written["worlds_differ"][name] for name in ("elasticity", "elasticity_shared", "level")) > 0.0
    decisions: Any = pq.read_table(run.with_name("sim") / "decisions.parquet")
    for row in decisions.to_pylist():
        assert (row["passport"], row["model_verdict"], row["accepted_checks"]) == (second, "passed", [])
        assert row["policy_passport"] == (first if row["policy"] == "static" else None)
    shown = _shown(_call("recommend", run, "--policy", policy, "--out", run.with_name("r.parquet")))
    assert f"Policy {release}: trained on a demand model of another standing" in shown


@pytest.mark.parametrize("facts", ["[7]", "{", '{"standing": {"verdict": "passed"}}'])
def test_a_policy_folder_that_says_it_wrongly_is_refused(facts: str, run: Path) -> None:
    policy = run.with_name("policy")
    _ok("train", run, "--policy", "static", "--out", policy)
    written = {"policy.npz": (policy / "policy.npz").read_bytes(), "training.json": facts.encode()}
    write_folder(policy, "policy", written)
    _refused(4, "artifact", "recommend", run, "--policy", policy, "--out", run.with_name("r.parquet"))
    _refused(4, "artifact", "serve", run, "--policy", policy)


def test_a_policy_folder_that_says_nothing_counts_as_not_validated(run: Path) -> None:
    policy = run.with_name("policy")
    _ok("train", run, "--policy", "static", "--out", policy)
    facts = json.loads((policy / "training.json").read_bytes())
    del facts["standing"]
    older = policy.with_name("older")
    written = {
        "policy.npz": (policy / "policy.npz").read_bytes(),
        "training.json": json.dumps(facts).encode(),
    }
    write_folder(older, "policy", written)
    write_passport(run)
    found = _ok("recommend", run, "--policy", older, "--out", run.with_name("r.parquet"))
    assert found["trained_under"] == UNVALIDATED.document()
    assert {row["policy_verdict"] for row in _rows(run)} == {"not_validated"}


@pytest.mark.parametrize(
    ("module", "stops", "words"),
    [
        (
            api.cli.train, "_picture",
            ("train", "{run}", "--policy", "ppo", "--products", "3", "--rollouts", "1", "--out", "{out}"),
        ),
        (
            api.cli.simulate, "_comparisons",
            ("simulate", "{run}", "--policies", "incumbent,static", "--seeds", "2", "--horizon", "1",
             "--workers", "1", "--out", "{out}"),
        ),
    ],
)  # fmt: skip
def test_unfinished_work_under_another_passport_is_other_work(
    module: Any, stops: str, words: tuple[str, ...], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    call = [word.format(run=run, out=run.with_name("out")) for word in words]
    digest = write_passport(run, "lift")
    with monkeypatch.context() as stopped:
        stopped.setattr(module, stops, interrupted)
        assert _call(*call, FLAG, "lift").exit_code == 130
    second = write_passport(run)
    error = _refused(2, "usage", *call)
    assert error["why"] == f"It differs in passport: {digest[:12]}... then, {second[:12]}... now."
    shutil.rmtree(run.with_name("run.passport"))
    assert "passport: " in _refused(2, "usage", *call)["why"]
    assert write_passport(run, "lift") == digest
    assert _ok(*call, FLAG, "lift")["standing"]["passport"] == digest


def test_the_same_prices_under_another_passport_are_other_decisions() -> None:
    """Else what was recorded under one passport would be answered under another."""
    shelf = toy_shelf()
    passed = replace(shelf, standing=Standing("a" * 64, Verdict.PASSED))
    failed = replace(shelf, standing=Standing("b" * 64, Verdict.FAILED, ("lift",)))
    made = [recommend(some, Incumbent()) for some in (shelf, passed, failed)]
    made.append(recommend(passed, Incumbent(), trained_under=failed.standing))
    assert len({one.provenance_digest for one in made}) == 4
    assert len({one.ids[0] for one in made}) == 4


def test_the_report_says_it_above_everything_else(
    shop_folder: Path, run_folder: Path, run: Path, tmp_path: Path
) -> None:
    validation = _ok("validate", run_folder, "--quick", "--out", tmp_path / "elsewhere")
    check = _ok("check", shop_folder, "--quarantine", tmp_path / "bad")
    elasticities = tmp_path / "e.parquet"
    _ok("elasticities", run, "--out", elasticities)
    _ok(*_simulate(run, "incumbent,static"))
    found = Findings(run, check, validation, tmp_path / "sim", elasticities, tmp_path / "r.parquet")

    def pages() -> list[str]:
        return [" ".join(render_report(found, texts(name)).split()) for name in LANGUAGES]

    _ok(*_recommend(run))
    english, spanish = pages()
    assert '<div class="warn"><strong>Demand model: NOT VALIDATED' in english
    assert "Modelo de demanda: SIN VALIDAR" in spanish
    digest = write_passport(run, "lift")
    _ok(*_recommend(run, FLAG, "lift"))
    for page, name in zip(
        pages(), ("Size of price effects (lift)", "Tamaño de los efectos de precio (lift)"), strict=True
    ):
        told = page[page.index('<div class="warn"><strong>') :]
        assert name in told.split("</div>")[0]
        assert digest in page[page.index("<footer>") :]
    write_passport(run)
    _ok(*_recommend(run))
    assert '<div class="warn"><strong>Demand model' not in pages()[0]
    assert "it passed every check that its data allow" in pages()[0]


def test_a_service_says_it_as_it_starts_and_in_what_it_answers(run: Path, tmp_path: Path) -> None:
    digest = write_passport(run, "lift")
    with served(run, tmp_path / "d.sqlite3", FLAG, "lift") as server:
        assert b"failed and were accepted by name: Size of price effects (lift)" in b" ".join(
            bytes(server.said).split()
        )
        item = server.ask("p03").json()["items"][0]
        with server.client() as client:
            ready = client.get("/health/ready").json()
            shutil.rmtree(run.with_name("run.passport"))
            again = server.ask("p03").json()["items"][0]
    assert (item["passport"], item["model_verdict"], item["accepted_checks"]) == (digest, "failed", ["lift"])
    assert (ready["passport"], ready["accepted_checks"]) == (digest, ["lift"])
    assert again == item, "the passport counts that was read as it started"
    with served(run, tmp_path / "other.sqlite3") as server:
        assert b"NOT VALIDATED" in server.said
        assert server.ask("p03").json()["items"][0]["model_verdict"] == "not_validated"


def test_a_passport_that_is_being_replaced_is_never_missed_or_read_in_halves(run: Path) -> None:
    known = {write_passport(run), write_passport(run, "lift")}
    seen, failures, done = set[str](), list[Exception](), threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                found = judgement_of(run)
                seen.add("none" if found is None else found.passport)
            except (ArtifactError, OSError) as error:
                failures.append(error)

    watching = [threading.Thread(target=look) for _ in range(3)]
    for thread in watching:
        thread.start()
    for i in range(120):
        write_passport(run, *(("lift",) if i % 2 else ()))
    done.set()
    for thread in watching:
        thread.join()
    assert failures == []
    assert seen == known


def test_a_validation_killed_between_two_renames_is_not_taken_for_none(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = write_passport(run, "lift")
    place = run.with_name("run.passport")
    place.rename(place.with_name(".run.passport.tarifa-old"))
    monkeypatch.setattr(api.runs, "_PAUSE", 0.0)
    with pytest.raises(BusyError, match="is being replaced"):
        standing_of(run, ("lift",))
    assert write_passport(run, "lift") == digest
    assert standing_of(run, ("lift",)).accepted == ("lift",)


def test_a_first_validation_that_still_runs_has_judged_nothing(run: Path) -> None:
    """Its draft is hidden until it is whole."""
    draft = run.with_name(".run.passport.tarifa-new")
    draft.mkdir()
    (draft / "passport.json").write_bytes(passport_of(run).to_bytes()[:100])
    assert standing_of(run) == UNVALIDATED


def test_a_run_is_judged_wherever_it_is_called_from(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = write_passport(run)
    link = run.parent / "elsewhere" / "mine"
    link.parent.mkdir()
    link.symlink_to(run)
    monkeypatch.chdir(run)
    for way in (link, Path(), Path("../run"), Path(f"{run}{os.sep}")):
        assert open_shelf(way).standing == Standing(digest, Verdict.PASSED), way


def test_the_demo_says_what_it_accepts_and_accepts_not_everything(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(texts("en"), as_json=False)
    assert _accepted(session, ()) == ()
    assert _accepted(session, ("sign",)) == ()
    assert capsys.readouterr().out == ""
    assert _accepted(session, ("lift", "sign", "totals")) == (FLAG, "lift,totals")
    said = " ".join(capsys.readouterr().out.split())
    assert "Size of price effects (lift), Category totals (totals)" in said
    assert f"{FLAG} lift,totals, because it only shows the way" in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_standing_can_be_said(language: str) -> None:
    told = texts(language)
    standings = [UNVALIDATED, *(Standing("a" * 64, verdict, ("lift", "new")) for verdict in Verdict)]
    lines = [standing_lines(one, told, {"ppo@1": two}) for one in standings for two in standings]
    assert {len(line) for line in lines} == {1, 2}
    assert len({line[0] for line in lines}) == 4
    assert any("(lift), new (new)" in line[0] for line in lines), "a check of a newer Tarifa keeps its code"
