"""Forms of the response to the regular price, at the terminal and in the report, in both languages."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from api.cli.fit import run_summary
from api.forms_told import forms_told
from api.report import Findings, render_report
from api.texts import texts
from simulators.demand.forms import FormRow
from simulators.run import load_run

ROWS = (
    FormRow("constant", 0.0, 0.0, 0.1, 0.0, 0.0),
    FormRow("curve", 1204.56, 16.13, 0.675, -1.9, 0.0),
    FormRow("threshold", -0.22, None, 0.225, 0.0, 0.35),
)


def _documents(rows: tuple[FormRow, ...]) -> list[dict[str, object]]:
    return [
        {name: getattr(row, name) for name in ("name", "gain", "standard_error", "weight")} for row in rows
    ]


def test_a_row_says_name_gain_and_weight() -> None:
    assert forms_told(_documents(ROWS), texts("en")) == [
        ("constant elasticity", "–", texts("en").percent(0.1)),
        (
            "more or less elastic at high prices than at low ones",
            "+1,204.6 ± 16.1",
            texts("en").percent(0.675),
        ),
        ("small moves count less or more than large ones", "-0.2", texts("en").percent(0.225)),
    ]
    spanish = forms_told(_documents(ROWS), texts("es"))
    assert spanish[0][0] == "elasticidad constante"
    assert spanish[1][1] == texts("es").number(1204.56, 1, signed=True) + " ± 16,1"


def test_one_form_alone_was_compared_with_nothing() -> None:
    assert forms_told(_documents(ROWS[:1]), texts("en")) == []


def test_a_fit_shows_the_comparison(run_folder: Path) -> None:
    run = load_run(run_folder)
    for language, word in (("en", "held-out log likelihood gained"), ("es", "log-verosimilitud ganada")):
        for rows, tables in ((ROWS, 2), (ROWS[:1], 1)):
            told = replace(run, report=replace(run.report, forms=rows))
            shown = run_summary(told, None, run_folder, texts(language))
            assert len(shown) == tables
            console = Console(width=200, file=io.StringIO(), record=True)
            console.print(*shown)
            assert (word in console.export_text()) == (tables == 2)


def test_the_report_shows_the_comparison_of_its_run(findings: Findings) -> None:
    forms = json.loads((findings.run / "report.json").read_text())["forms"]
    for language in ("en", "es"):
        page, words = render_report(findings, texts(language)), texts(language)
        rows = forms_told(forms, words)
        assert (words.text("report", "forms") in page) == bool(rows)
        assert all(cell in page for row in rows for cell in row)
