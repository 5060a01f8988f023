"""``tarifa impact``: plan a trial, and report what it brought."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out, named, written
from api.runs import open_trial
from pricing.errors import ArtifactError, DataError, UsageError
from pricing.money import Currency
from pricing.trial import Design, Precision, Trial

if TYPE_CHECKING:
    import datetime as dt

    from policies.impact.register import Wish
    from simulators.contract.realised import Realised

__all__ = ["IMPACT_KIND", "impact", "plan", "plan_file", "report", "report_folder"]

IMPACT_KIND = "impact"
"""Kind of the folder that a report lies in."""

impact = typer.Typer(
    help="Did it pay? Plan a trial of new prices with a holdout, and report what it brought.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@impact.command("plan")
def plan(
    source: Annotated[
        Path, typer.Argument(help="Data folder, or a run: then only what it may move is tried.")
    ],
    out: Annotated[Path, typer.Option(help="Plan file to write.")],
    start: Annotated[
        str | None,
        typer.Option(help="First day, like 2026-02-02; default: the first period not in the data."),
    ] = None,
    periods: Annotated[int, typer.Option(help="How many periods it lasts.", min=1)] = 12,
    holdout: Annotated[float, typer.Option(help="Share of clusters that is held out.")] = 0.2,
    design: Annotated[
        Design, typer.Option(help="A standing holdout, or on and off in turn.")
    ] = Design.PARALLEL,
    block: Annotated[int, typer.Option(help="Periods of a switchback's block.", min=1)] = 6,
    washout: Annotated[int, typer.Option(help="First periods of a block that are not measured.", min=0)] = 3,
    by: Annotated[
        str,
        typer.Option(
            help="What is treated or held together: category (in a zone), subcategory, zone; "
            "auto: categories, or subcategories where those are too few for a holdout."
        ),
    ] = "auto",
    zones: Annotated[
        str, typer.Option(help="Zones of the roll-out, separated by commas; default: all.")
    ] = "",
    worth: Annotated[
        str, typer.Option(help="Least effect a month, in the shop's currency, that counts as having paid.")
    ] = "0",
    seed: Annotated[int, typer.Option(help="The draw follows from it.", min=0)] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Data folder of a run; default: the one beside it.")
    ] = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Draw who is held out of new prices, and register what will be measured, how, and by which rule.

    A plan whose trial has begun is not written over.

    Example: tarifa impact plan run --out plan.json --start 2026-02-02 --periods 12
    """

    def work(session: Session) -> Outcome:
        from policies.impact.register import Wish

        wish = Wish("", start, periods, holdout, design, block, washout, by, named(zones), seed=seed)
        return plan_file(session, source, out, wish, worth, data)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def plan_file(
    session: Session, source: Path, out: Path, wish: Wish, worth: str, data: Path | None
) -> Outcome:
    """Plan a trial from a data folder or a run, and write it."""
    import datetime as dt

    from api.impact_told import plan_document, plan_told
    from policies.impact.register import plan_trial
    from simulators.contract.realised import build_realised
    from simulators.contract.tables import open_source
    from simulators.folders import write_file

    today = dt.datetime.now(dt.UTC).date()
    folder, movable = _source(source, data)
    with session.progress("impact plan") as told:
        told("reading tables", 0.05)
        with open_source(folder, today=dt.datetime.now(dt.UTC)) as opened:
            told("adding up profit", 0.3)
            frozen = dt.date.max if wish.start is None else _day(wish.start)
            realised = build_realised(opened, frozen)
            asked = replace(wish, made_on=today.isoformat(), worth=_worth(worth, opened.shop.currency))
        told("drawing", 0.8)
        trial = plan_trial(realised, asked, movable)
        finer = _finer(trial, realised, asked, movable)
    _refuse_begun(out, trial, today.isoformat())
    write_file(out, trial.to_bytes())
    return Outcome(
        plan_document(trial, str(out), finer),
        tuple(map(escape, plan_told(trial, str(out), finer, session.texts))),
    )


def _finer(
    trial: Trial, realised: Realised, wish: Wish, movable: frozenset[tuple[str, str]] | None
) -> Precision | None:
    """Return what the same trial by subcategory could see: the price of closed borders. None if none."""
    from policies.impact.register import plan_trial

    if trial.divided or trial.design is Design.SWITCHBACK:
        return None
    other = plan_trial(realised, replace(wish, by="subcategory"), movable)
    return other.precision if other.divided else None


def _source(source: Path, data: Path | None) -> tuple[Path, frozenset[tuple[str, str]] | None]:
    """Return the data folder, and what a run may move: None where a data folder was given."""
    from api.runs import RUN_KIND, data_name, read_shelf
    from pricing.marker import MARKER, Marker

    place = source / MARKER
    if not place.is_file() or Marker.parse(place.read_bytes(), str(source)).kind != RUN_KIND:
        if data is not None:
            raise UsageError(f"{source} is no run, so --data has nothing to say.", todo="Leave --data out.")
        return source, None
    shelf = read_shelf(source)
    series, movable = shelf.catalogue.series, shelf.movable()
    folder = data or source.resolve().parent / data_name(source)
    return folder, frozenset((series.group[n], series.zone[n]) for n in map(int, movable))


def _day(text: str) -> dt.date:
    import datetime as dt

    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no day.", todo="Write it like 2026-02-02.") from error


def _worth(text: str, currency: str) -> int:
    try:
        return Currency.of(currency).parse(text)
    except DataError as error:
        raise UsageError(f"--worth {text}: {error.what}", todo=error.todo) from error


def _refuse_begun(out: Path, trial: Trial, today: str) -> None:
    """Refuse to write over a plan whose trial has begun: that is what makes it a registration."""
    if not out.is_file():
        return
    try:
        there = open_trial(out)
    except ArtifactError as error:
        raise UsageError(
            f"{out} is there, and no plan that could be replaced.", why=error.what, todo="Give another --out."
        ) from error
    if there.digest != trial.digest and there.began(today):
        raise UsageError(
            f"{out} holds a plan whose trial began on {there.start}.",
            why="A plan that is changed after its trial began is none.",
            todo="Write the new plan elsewhere, for a time that has not begun.",
        )


@impact.command("report")
def report(
    plan: Annotated[Path, typer.Argument(help="Plan that `tarifa impact plan` wrote.")],
    data: Annotated[Path, typer.Argument(help="Data folder, grown by the weeks of the trial.")],
    out: Annotated[Path, typer.Option(help="Folder of the report to write.")],
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Say whether it paid, by the rule that the plan registered: a page, a workbook for finance, a JSON file.

    Before the trial is over it shows where things stand and applies no rule.

    Example: tarifa impact report plan.json data --out report
    """

    def work(session: Session) -> Outcome:
        return report_folder(session, plan, data, out)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def report_folder(session: Session, plan: Path, data: Path, out: Path) -> Outcome:
    """Measure a trial in later data and write its report."""
    import datetime as dt

    from api.impact_page import render_impact
    from api.impact_told import caveats_told, headline, impact_document, told_effect
    from api.impact_workbook import workbook_bytes
    from policies.impact.report import measure
    from simulators.contract.realised import build_realised
    from simulators.contract.tables import open_source
    from simulators.folders import claim

    trial = open_trial(plan)
    with claim(out, IMPACT_KIND) as draft, session.progress("impact report") as told:
        told("reading tables", 0.05)
        with open_source(data, today=dt.datetime.now(dt.UTC)) as opened:
            told("adding up profit", 0.3)
            realised = build_realised(opened, dt.date.fromisoformat(trial.start))
        told("comparing with other draws", 0.7)
        found = measure(trial, realised)
        document = impact_document(found, str(out))
        (draft / _PAGE).write_text(render_impact(found, session.texts), encoding="utf-8")
        (draft / _WORKBOOK).write_bytes(workbook_bytes(found, session.texts))
        facts = {name: value for name, value in document.items() if name != "report"}
        (draft / _FACTS).write_text(written(facts), encoding="utf-8")
    texts = session.texts
    shown = [
        headline(found, texts),
        *told_effect(found, texts),
        *(line for _, line in caveats_told(found, texts)),
    ]
    shown.append(texts.text("impact", "written", place=str(out), files=f"{_PAGE}, {_WORKBOOK}, {_FACTS}"))
    return Outcome(document, tuple(map(escape, shown)))


_PAGE, _WORKBOOK, _FACTS = "impact.html", "impact.xlsx", "impact.json"
