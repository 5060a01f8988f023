"""The passport at the edge: two files beside the run, one page that answers first what it was asked."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from api.charts import Axis, Pair, pair_chart, scatter_chart, share_chart
from api.cli.main import app
from api.passport_page import passport_told, render_passport
from api.texts import LANGUAGES, texts
from simulators.passport.passport import Passport
from simulators.passport.thresholds import THRESHOLDS, Source
from simulators.passport.verdict import Reason, Verdict, absent
from tests.api.test_language import _among, _english, _shown

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).parents[2]


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def place(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("passport") / "p"
    result = _call("validate", run_folder, "--out", out, "--quick", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)["passport"]
    content = (out / "passport.json").read_bytes()
    assert document["digest"] == hashlib.sha256(content).hexdigest()
    assert document["verdict"] == Passport.from_bytes(content).verdict.value
    assert document["place"] == str(out)
    assert document["failed"] == [name for name, found in document["checks"].items() if found == "failed"]
    return out


@pytest.fixture(scope="module")
def passport(place: Path) -> Passport:
    return Passport.from_bytes((place / "passport.json").read_bytes())


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(
    place: Path, run_folder: Path, tmp_path: Path
) -> None:
    assert _call("validate", run_folder, "--out", tmp_path / "q", "--quick").exit_code == 0
    for name in ("passport.json", "passport.html"):
        assert (tmp_path / "q" / name).read_bytes() == (place / name).read_bytes()
    text = (place / "passport.json").read_text() + (place / "passport.html").read_text()
    assert str(run_folder) not in text
    assert str(place) not in text


def test_it_lies_beside_the_run_unless_told_and_takes_no_foreign_folder(
    run_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    result = _call("validate", run, "--quick", "--language", "es")
    assert result.exit_code == 0
    assert "run.passport" in result.stdout.replace("\n", "")
    assert sorted(path.name for path in (tmp_path / "run.passport").iterdir()) == [
        "passport.html", "passport.json", "tarifa.json",
    ]  # fmt: skip
    assert (run / "tarifa.json").read_bytes() == (run_folder / "tarifa.json").read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    refused = _call("validate", run_folder, "--out", tmp_path / "mine", "--quick")
    assert refused.exit_code == 2
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    assert "RUN.passport" in re.sub(r"[^\w.]+", " ", _call("validate", "--help").stdout)


def test_the_page_stands_alone_and_answers_first(passport: Passport, place: Path) -> None:
    page = (place / "passport.html").read_text()
    assert page == render_passport(passport, "shop", texts("en"))
    assert not re.search(r"<script|<link|src=|href=|url\(|@import", page)
    body = page[page.index("<body>") :]
    title, headline, first = (body.index(words) for words in ("How far may you", "checks failed", "<svg"))
    assert title < headline < first
    assert passport.digest in page
    assert texts("en").text("passport", "quick") in page


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_of_every_check_can_be_said(passport: Passport, verdict: Verdict) -> None:
    checks = tuple(replace(c, verdict=verdict if c.figures else c.verdict) for c in passport.checks)
    for language in LANGUAGES:
        made = replace(passport, checks=checks)
        page = render_passport(made, "shop", texts(language))
        for found in checks:
            assert texts(language).text("passport_check", found.code) in page
        assert texts(language).text("passport_verdict", verdict.value) in page
        verdicts = {c.code: c.verdict.value for c in made.checks}
        told = passport_told(verdicts, made.verdict.value, texts(language))
        assert all(f"({code})" in told for code in made.failed)


def test_what_could_not_be_checked_is_said_with_its_reason(passport: Passport) -> None:
    bare = replace(
        passport,
        checks=tuple(c if c.code == "replay" else absent(c.code, Reason.FEW_CELLS) for c in passport.checks),
    )
    page = render_passport(bare, "shop", texts("en"))
    assert page.count(texts("en").text("passport_reason", "few_cells")) >= len(bare.checks) - 1
    assert page.count("<svg") == 0


def test_a_spanish_page_is_spanish(passport: Passport) -> None:
    spanish, english = (_shown(render_passport(passport, "shop", texts(name))) for name in ("es", "en"))
    sections = [name for name in texts("en").sections if name.startswith("passport")]
    assert _among(spanish, _english(*sections, "chart")) == set()
    assert len(_among(english, _english(*sections))) > 30


def test_texts_and_codes_agree(passport: Passport) -> None:
    sections = texts("en").sections
    codes = {c.code for c in passport.checks}
    for section in ("passport_check", "passport_trust", "passport_doubt"):
        assert set(sections[section]) == codes
    assert set(sections["passport_reason"]) == {reason.value for reason in Reason}
    assert set(sections["passport_source"]) == {source.value for source in Source}
    assert set(sections["passport_verdict"]) == {verdict.value for verdict in Verdict}
    assert set(sections["passport_figure"]) == {f"{t.check}_{t.figure}" for t in THRESHOLDS}
    template = (ROOT / "api" / "templates" / "passport.html").read_text()
    code = "".join((ROOT / "api" / name).read_text() for name in ("passport_page.py", "cli/validate.py"))
    used = set(re.findall(r"""\bt\(["'](\w+)["'][,)]""", template))
    said = set(sections["passport"])
    assert used <= said
    loose = {
        name for name in said - used if name not in code and not re.match(r"answer_|verdict_|shown_", name)
    }
    assert {
        name for name in loose if not re.match(r"slope_(weak|middle|strong)$|(cut|rise)_over$", name)
    } == set()


def _svg(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own chart


def _numbers(picture: ET.Element, kind: str, attribute: str) -> list[float]:
    found: list[Any] = [e for e in picture.iter() if e.attrib.get("class") == kind]
    return [float(e.attrib[attribute]) for e in found]


def test_charts_put_numbers_where_they_belong() -> None:
    plain = Axis("what & where", "{:g}".format)
    rows = [Pair("a < b", "1", 0.5, 0.2), Pair("b", "2", -0.5, -0.4)]
    pairs = _svg(pair_chart(rows, 0.0, plain))
    said, came = (_numbers(pairs, kind, "cx") for kind in ("said", "actual"))
    assert said[0] > came[0] > came[1] > said[1]
    assert "a < b" in [text.text for text in pairs.iter(f"{SVG}text")]
    x, y = np.array([0.5, 1.0, 2.0]), np.array([0.5, 1.0, 2.0])
    dots = _svg(scatter_chart(x, y, np.array([1.0, 4.0, 0.0]), (plain, plain)))
    across, up = (_numbers(dots, "dot soft", name) for name in ("cx", "cy"))
    np.testing.assert_allclose(np.diff(across), np.diff(across)[0], atol=0.2)
    assert up == sorted(up, reverse=True)
    assert _numbers(dots, "dot soft", "r") == [6.0, 9.0, 3.0]
    bars = _svg(share_chart(np.array([0.1, 0.2]), (0.08, 0.12), (plain, plain)))
    low, high = _numbers(bars, "bar", "height")
    assert high == pytest.approx(2.0 * low, abs=0.2)
    assert _numbers(bars, "goal", "height")[0] == pytest.approx(0.4 * low, abs=0.2)
