"""``tarifa fit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out

if TYPE_CHECKING:
    from policies.serve.shelf import Shelf
    from simulators.run import Run

__all__ = ["fit_data", "fit_folder"]


def fit_data(
    data: Annotated[Path, typer.Argument(help="Data folder: tables and shop.toml.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    until: Annotated[
        str | None, typer.Option(help="First day that the fit must not see, like 2025-09-01; default: none.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Posterior draws follow from it.", min=0)] = 0,
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
        return fit_folder(session, data, out, until, seed)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def fit_folder(session: Session, data: Path, out: Path, until: str | None, seed: int) -> Outcome:
    """Fit a data folder and write the run, what it knows of the shelf included."""
    import datetime as dt

    from api.runs import RUN_KIND, RUN_VERSION
    from api.shelves import build_shelf
    from pricing.errors import MissingCost
    from simulators.contract.tables import open_source
    from simulators.folders import claim
    from simulators.run import fit_run, run_files

    with claim(out, RUN_KIND, version=RUN_VERSION) as draft, session.progress("fit") as told:
        told("reading tables", 0.0)
        tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
        with open_source(data, today=tomorrow) as source:
            run = fit_run(source, seed=seed, until=until, progress=told)
            told("catalogue", 0.99)
            shelf, lacking = None, ""
            try:
                shelf = build_shelf(source, run)
            except MissingCost as error:
                # Demand asks nothing of costs: the run still validates and predicts, it only prices nothing.
                lacking = f"{error.what} This run predicts; it recommends nothing. {error.todo}"
        for name, content in {**run_files(run), **(shelf.files() if shelf else {})}.items():
            (draft / name).write_bytes(content)
    note = (f"[yellow]{escape(lacking)}[/yellow]",) if lacking else ()
    return Outcome(_document(run, shelf, out), (_summary(run, shelf, out), *note))


def _document(run: Run, shelf: Shelf | None, out: Path) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "run": str(out),
        "run_id": run.identifier,
        "origin": asdict(run.origin),
        "report": asdict(run.report),
        "holdout_periods": run.holdout,
        "catalogue": len(shelf.catalogue) if shelf else 0,
        "costs_assumed": float(shelf.catalogue.cost_assumed.mean()) if shelf else None,
    }


def _summary(run: Run, shelf: Shelf | None, out: Path) -> Table:
    report = run.report
    title = (
        f"Run {run.identifier}: {report.series:,} series, {report.periods} periods until {run.origin.until}, "
        f"{run.holdout} held out; {len(shelf.catalogue) if shelf else 0:,} to be priced; written to {out}"
    )
    header = ("coefficient", "mean over the shop", "standard error", "spread over products")
    rows = [
        (row.name, f"{row.mean:+.3f}", f"{row.standard_error:.3f}", f"{row.spread:.3f}")
        for row in report.population
    ]
    known = [(f"{kind}: {how}", f"{count:,}", "", "") for kind, how, count in report.identified if count]
    return grid(title, header, rows + known, right=(1, 2, 3))
