"""``tarifa fit``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from api.forms_told import forms_told
from api.planned import plans_told
from api.texts import Texts
from pricing.errors import UsageError

if TYPE_CHECKING:
    from policies.serve.shelf import Shelf
    from simulators.contract.tables import Source
    from simulators.demand.instruments import FirstStage
    from simulators.run import Run

__all__ = ["DecidedOn", "fit_data", "fit_folder", "known_until", "run_document", "run_summary", "shelf_of"]

DecidedOn = Annotated[
    str | None,
    typer.Option(
        help="Day on which prices are decided: posted prices, costs and stock known by its end count; "
        "default: today without --until, else nothing from --until on."
    ),
]


def fit_data(
    data: Annotated[Path, typer.Argument(help="Data folder: tables and shop.toml.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    until: Annotated[
        str | None, typer.Option(help="First day that the fit must not see, like 2025-09-01; default: none.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Posterior draws follow from it.", min=0)] = 0,
    decided_on: DecidedOn = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Fit demand to the tables and write a run folder.

    Periods after --until are kept as holdout for `tarifa validate`.

    Example: tarifa fit data --out run --until 2025-09-01
    """

    def work(session: Session) -> Outcome:
        return fit_folder(session, data, out, until, seed, decided_on)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def fit_folder(
    session: Session,
    data: Path,
    out: Path,
    until: str | None,
    seed: int,
    decided_on: str | None = None,
    check: Mapping[str, Any] | None = None,
) -> Outcome:
    """Fit a data folder and write the run, what it knows of the shelf included.

    `check` is what `tarifa check` found in the same data, where it has just looked; None: it looks again.
    """
    from api.runs import RUN_KIND, RUN_VERSION
    from simulators.contract.tables import open_source
    from simulators.folders import claim
    from simulators.run import fit_run, run_files

    with claim(out, RUN_KIND, version=RUN_VERSION) as draft, session.progress("fit") as told:
        told("reading tables", 0.0)
        with open_source(data, today=dt.datetime.now(dt.UTC)) as source:
            run = fit_run(source, seed=seed, until=until, progress=told)
            told("catalogue", 0.99)
            shelf, kept, note = shelf_of(session, source, run, known_until(source, until, decided_on), check)
        for name, content in {**run_files(run), **kept}.items():
            (draft / name).write_bytes(content)
    return Outcome(run_document(run, shelf, out), (*run_summary(run, shelf, out, session.texts), *note))


def known_until(source: Source, until: str | None, decided_on: str | None) -> dt.date | None:
    """Return the first day on which posted prices, costs and stock are not known yet; None: as the sales.

    They are known up to the day on which prices are decided: the one that is said, else today where a run is
    to see all there is. A run that must not see everything knows none of it from later.

    Raises
    ------
    UsageError
        If what is said is no day, or lies before `until`.
    """
    if decided_on is None:
        return source.today if until is None else None
    try:
        day = dt.date.fromisoformat(decided_on)
    except ValueError as error:
        raise UsageError(
            f"--decided-on: {decided_on!r} is no day.", todo="Write it like 2025-09-01."
        ) from error
    if until is not None and day < dt.date.fromisoformat(until):
        raise UsageError(f"--decided-on {decided_on} lies before --until {until}.", todo="Give a later day.")
    return day + dt.timedelta(days=1)


def shelf_of(
    session: Session, source: Source, run: Run, known: dt.date | None, check: Mapping[str, Any] | None = None
) -> tuple[Shelf | None, Mapping[str, bytes], tuple[str, ...]]:
    """Return what a run knows of the shelf, None without costs, its files, and what there is to say of it."""
    from api.shelves import build_shelf, past_files
    from pricing.errors import MissingCost

    try:
        shelf = build_shelf(source, run, known_until=known)
    except MissingCost as error:
        # Demand asks nothing of costs: the run still validates and predicts, it only prices nothing.
        said = session.texts.reworded
        lacking = session.texts.text("fit", "lacking", what=said(error.what), todo=said(error.todo))
        return None, {}, (f"[yellow]{escape(lacking)}[/yellow]",)
    files = {**shelf.files(), **past_files(source, shelf, check)}
    told = plans_told(int(shelf.plans.promoted().sum()), shelf.plans.left_out, session.texts)
    return shelf, files, tuple(told)


def run_document(run: Run, shelf: Shelf | None, out: Path) -> dict[str, object]:
    """Return what ``--json`` prints of a run."""
    from dataclasses import asdict

    return {
        "run": str(out),
        "run_id": run.identifier,
        "origin": asdict(run.origin),
        "report": asdict(run.report),
        "holdout_periods": run.holdout,
        "catalogue": len(shelf.catalogue) if shelf else 0,
        "costs_assumed": float(shelf.catalogue.cost_assumed.mean()) if shelf else None,
        "promoted": int(shelf.plans.promoted().sum()) if shelf else 0,
        "plans_left_out": shelf.plans.left_out if shelf else 0,
    }


def run_summary(run: Run, shelf: Shelf | None, out: Path, texts: Texts) -> tuple[Table, ...]:
    """Return what people are shown of a run: its coefficients, and the forms of the response if compared."""
    forms = _forms(run, texts)
    return (_coefficients(run, shelf, out, texts), *forms)


def _coefficients(run: Run, shelf: Shelf | None, out: Path, texts: Texts) -> Table:
    report = run.report
    title = texts.text(
        "fit",
        "title",
        run=run.identifier,
        series=texts.number(report.series),
        periods=texts.number(report.periods),
        until=texts.day(run.origin.until),
        holdout=texts.number(run.holdout),
        priced=texts.number(len(shelf.catalogue) if shelf else 0),
        place=str(out),
    )
    rows = [
        (
            row.name,
            texts.number(row.mean, 3, signed=True),
            texts.number(row.standard_error, 3),
            texts.number(row.spread, 3),
        )
        for row in report.population
    ]
    known = [
        (f"{texts.text('price_kind', kind)}: {texts.text('identified_by', how)}", texts.number(count), "", "")
        for kind, how, count in report.identified
        if count
    ]
    known += _first_stage(report.first_stage, texts)
    header = [texts.text("fit", code) for code in ("coefficient", "mean", "error", "spread")]
    return grid(title, header, rows + known, right=(1, 2, 3))


def _forms(run: Run, texts: Texts) -> tuple[Table, ...]:
    """Return how the forms of the response to the regular price compare; nothing where there is one."""
    from dataclasses import asdict

    rows = forms_told((asdict(form) for form in run.report.forms), texts)
    header = [texts.text("fit", code) for code in ("form", "form_gain", "form_weight")]
    return (grid(texts.text("fit", "forms"), header, rows, right=(1, 2)),) if rows else ()


def _first_stage(stage: FirstStage | None, texts: Texts) -> list[tuple[str, str, str, str]]:
    """Return how instruments move prices, and whether they do so strongly enough to be used."""
    if stage is None:
        return []
    verdict = "instruments_refused" if stage.refused else "instruments_used"
    moved = zip(stage.names, stage.slopes, stage.standard_errors, strict=True)
    rows = [
        (
            texts.text("fit", "instrument", name=name),
            texts.number(slope, 3, signed=True),
            texts.number(error, 3),
            "",
        )
        for name, slope, error in moved
    ]
    return [*rows, (texts.text("fit", verdict), texts.number(stage.strength, 1), "", "")]
