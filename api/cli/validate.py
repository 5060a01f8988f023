"""``tarifa validate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.markup import escape

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from api.runs import PASSPORT_FILE, PASSPORT_KIND, passport_place
from api.texts import Texts

if TYPE_CHECKING:
    from simulators.demand.validate import Validation
    from simulators.passport.passport import Passport

__all__ = ["measures", "passport_lines", "validate_folder", "validate_run", "validation_document"]

PASSPORT_PAGE = "passport.html"
"""The page that lies beside the passport's JSON."""


def validate_run(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the passport to write; default: RUN.passport.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Samples and simulations follow from it.", min=0)] = 0,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer refits, products and worlds.")] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Check how far the run may be trusted with prices, and issue its passport.

    What it predicts is compared with the periods that its fit did not see. A run that was fitted on
    everything says so and makes a holdout of its own: its last fifth. The passport, a page and a JSON file
    with every check, threshold and verdict, lies in RUN.passport, where whatever decides by the run looks for
    it.

    Example: tarifa validate run
    """

    def work(session: Session) -> Outcome:
        return validate_folder(session, run, out, seed, quick=quick)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def validate_folder(session: Session, run: Path, out: Path | None, seed: int, *, quick: bool) -> Outcome:
    """Validate the run of a folder and write its passport."""
    import simulators.run
    from api.passport_page import render_passport
    from simulators.folders import claim
    from simulators.passport.issue import Effort, issue

    place = out or passport_place(run)
    effort = Effort.hasty() if quick else Effort()
    with session.progress("validate") as told:
        told("reading the run", 0.0)
        held = simulators.run.load_run(run)
        with claim(place, PASSPORT_KIND) as draft:
            made = issue(held, effort=effort, seed=seed, progress=told)
            page = render_passport(made.passport, held.origin.data_name, session.texts)
            (draft / PASSPORT_FILE).write_bytes(made.passport.to_bytes())
            (draft / PASSPORT_PAGE).write_text(page, encoding="utf-8")
    told_of = _passport_document(made.passport, place)
    document = {**validation_document(made.validation), "passport": told_of}
    return Outcome(
        document, (*_shown(made.validation, session.texts), *passport_lines(document, session.texts))
    )


def passport_lines(document: Mapping[str, Any], texts: Texts) -> tuple[str, str]:
    """Return the passport's verdict and place, from what ``--json`` prints of a validation."""
    from api.passport_page import passport_told

    found = document["passport"]
    page = str(Path(found["place"]) / PASSPORT_PAGE)
    told = passport_told(found["checks"], found["verdict"], texts)
    return escape(told), escape(texts.text("passport", "place", place=page))


def _passport_document(made: Passport, place: Path) -> dict[str, object]:
    return {
        "place": str(place),
        "digest": made.digest,
        "verdict": made.verdict.value,
        "failed": list(made.failed),
        "checks": {found.code: found.verdict.value for found in made.checks},
    }


def validation_document(found: Validation) -> dict[str, object]:
    """Return a validation as JSON-able values."""
    from dataclasses import asdict

    document = asdict(found)
    document["totals"] = {
        "periods": [str(day) for day in found.totals.periods],
        **{
            name: [float(value) for value in getattr(found.totals, name)]
            for name in ("actual", "expected", "lower", "upper")
        },
    }
    return document


def measures(
    found: Mapping[str, Any], texts: Texts, *, leave_out: tuple[str, ...] = ()
) -> tuple[tuple[str, str, str], ...]:
    """Return what a validation measured: measure, model, and the mean of the last 8 where that has one.

    Parameters
    ----------
    found
        Document of `tarifa validate`, as its --json prints it.
    texts
        In the reader's language.
    leave_out
        Codes of measures that are not wanted.
    """
    lift, level = found["lift"], texts.percent(0.9)

    def known(value: float | None, shown: str) -> str:
        """Return a figure, or that there is none: where no price moved its effect cannot be measured."""
        return texts.text("measure", "unmeasured") if value is None or value != value else shown  # noqa: PLR0124

    slope, error = lift["slope"] or 0.0, lift["standard_error"] or 0.0
    figures = (
        ("wmape", texts.number(found["wmape"], 3), texts.number(found["naive_wmape"], 3)),
        ("deviance", texts.number(found["deviance"], 2), texts.number(found["naive_deviance"], 2)),
        ("bias", texts.percent(found["bias"], 1, signed=True), ""),
        (
            "bias_moved",
            known(found["bias_moved"], texts.percent(found["bias_moved"] or 0.0, 1, signed=True)),
            "",
        ),
        ("coverage", texts.percent(found["coverage"], 1), ""),
        ("covered_totals", texts.percent(found["covered_totals"]), ""),
        ("negative_regular", texts.percent(found["negative_regular"], 1), ""),
        ("negative_depth", texts.percent(found["negative_depth"], 1), ""),
        ("slope", known(lift["slope"], f"{texts.number(slope, 2)} ± {texts.number(error, 2)}"), ""),
        ("gain", known(lift["gain"], texts.number(lift["gain"] or 0.0, 4)), ""),
    )
    names = {"level": level, "share": texts.percent(0.1)}
    return tuple(
        (texts.text("measure", code, **names), model, naive)
        for code, model, naive in figures
        if code not in leave_out
    )


def _shown(found: Validation, texts: Texts) -> tuple[RenderableType, ...]:
    title = texts.text(
        "validate",
        "title",
        series=texts.number(found.series),
        periods=texts.number(found.periods),
        day=texts.day(found.until),
    )
    header = [texts.text("validate", code) for code in ("measure", "model", "naive")]
    table = grid(title, header, measures(validation_document(found), texts), right=(1, 2))
    return (texts.text("validate", "own_holdout"), table) if found.own_holdout else (table,)
