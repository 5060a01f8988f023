"""``tarifa update``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from api.cli.fit import DecidedOn, known_until, run_document, run_summary, shelf_of
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from api.texts import Texts

if TYPE_CHECKING:
    from simulators.demand.continuation import UpdateReport

__all__ = ["update_folder", "update_run_folder"]


def update_run_folder(
    run: Annotated[Path, typer.Argument(help="Run folder, of a fit or of an earlier update.")],
    data: Annotated[Path, typer.Argument(help="Data folder: the run's own data, grown longer.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    until: Annotated[
        str | None,
        typer.Option(help="First day that the run must not see; default: after the last whole period."),
    ] = None,
    decided_on: DecidedOn = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Add the periods that came after a run to what it knows, without fitting again.

    The data must hold what the run has seen, unchanged. How well the run had foretold the new periods is
    shown: they are a holdout that costs nothing.

    Example: tarifa update run data --out run2
    """

    def work(session: Session) -> Outcome:
        return update_folder(session, run, data, out, until, decided_on)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def update_folder(
    session: Session,
    run: Path,
    data: Path,
    out: Path,
    until: str | None,
    decided_on: str | None = None,
    check: Mapping[str, Any] | None = None,
) -> Outcome:
    """Update the run of a folder and write the new one, what it knows of the shelf included.

    `check` as in :func:`api.cli.fit.fit_folder`.
    """
    import datetime as dt
    from dataclasses import asdict

    from api.runs import RUN_KIND, RUN_VERSION
    from simulators.contract.tables import open_source
    from simulators.folders import claim
    from simulators.run import load_run, run_files
    from simulators.updating import update_run

    with claim(out, RUN_KIND, version=RUN_VERSION) as draft, session.progress("update") as told:
        told("reading the run", 0.0)
        before = load_run(run)
        told("reading tables", 0.1)
        with open_source(data, today=dt.datetime.now(dt.UTC)) as source:
            made = update_run(before, source, until=until, progress=told)
            told("catalogue", 0.95)
            shelf, kept, note = shelf_of(session, source, made, known_until(source, until, decided_on), check)
        for name, content in {**run_files(made), **kept}.items():
            (draft / name).write_bytes(content)
    lineage = made.lineage
    document = run_document(made, shelf, out)
    if lineage is None:
        return Outcome(document)
    document["lineage"] = asdict(lineage)
    last = lineage.updates[-1]
    lines = _lines(last.parent_run_id, last.report, session.texts)
    return Outcome(document, (*run_summary(made, shelf, out, session.texts), *lines, *note))


def _lines(parent: str, found: UpdateReport, texts: Texts) -> tuple[str, ...]:
    counts = {name: texts.number(getattr(found, name)) for name in ("periods", "new_series", "silent_series")}
    lines = [texts.text("update", "seen", parent=parent, **counts)]
    if found.wmape is None or found.bias is None or found.coverage is None:
        lines.append(texts.text("update", "unsold"))
    else:
        figures = {
            "wmape": texts.number(found.wmape, 3),
            "bias": texts.percent(found.bias, 1, signed=True),
            "coverage": texts.percent(found.coverage, 1),
            "level": texts.percent(0.9),
        }
        lines.append(texts.text("update", "foretold", **figures))
    return tuple(escape(line) for line in lines)
