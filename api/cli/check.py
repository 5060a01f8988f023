"""``tarifa check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import TarifaError
from pricing.money import Currency

if TYPE_CHECKING:
    from simulators.contract.checking import CheckReport

__all__ = ["check_data", "check_folder"]


def check_data(
    data: Annotated[Path, typer.Argument(help="Data folder: tables and shop.toml.")],
    quarantine: Annotated[
        Path | None, typer.Option(help="Folder for bad rows; default: DATA.quarantine beside the data.")
    ] = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Check tables against the contract; say what this data can and cannot answer.

    Bad rows are set aside with row and reason; nothing is changed. Exit code 3 if there are too many.

    Example: tarifa check data
    """

    def work(session: Session) -> Outcome:
        return check_folder(session, data, quarantine)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def check_folder(session: Session, data: Path, quarantine: Path | None) -> Outcome:
    """Check a data folder and write its bad rows beside it."""
    import datetime as dt

    from simulators.contract.checking import check, write_quarantine
    from simulators.contract.tables import open_source

    with session.progress("check") as told:
        told("reading tables", 0.05)
        tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
        with open_source(data, today=tomorrow) as source:
            told("checking", 0.5)
            report = check(source)
            place = quarantine or data.resolve().with_name(f"{data.resolve().name}.quarantine")
            written = write_quarantine(source, place)
    error: TarifaError | None = None
    try:
        report.require()
    except TarifaError as found:
        error = found
    document = {**report.to_json(), "quarantine": None if written is None else str(place)}
    return Outcome(document, _shown(report, None if written is None else place), error)


def _shown(report: CheckReport, quarantine: Path | None) -> tuple[RenderableType, ...]:
    parts: list[RenderableType] = [_tables(report)]
    if report.bad_rows:
        parts.append(_bad(report))
        parts.append(f"Bad rows were written to {quarantine}.")
    if report.set_apart:
        money = Currency(report.currency, report.exponent)
        rows = [(a.reason, f"{a.lines:,}", money.text(a.paid)) for a in report.set_apart]
        parts.append(grid("Set apart from retail demand", ("reason", "lines", "paid"), rows, right=(1, 2)))
    if report.months:
        parts.append(_months(report))
    if report.prices is not None:
        p = report.prices
        parts.append(
            f"Of {p.series:,} products {p.enough:,} moved enough in price to tell their own response "
            f"({p.rule}), {p.too_few:,} moved little, {p.none:,} never."
        )
    answers = [("yes" if a.answerable else "no", a.question, a.because) for a in report.answers]
    if answers:
        parts.append(grid("What this data can answer", ("", "question", "because"), answers))
    locked = [(u.table, u.cost) for u in report.unlocks if not u.present]
    parts.append(grid("What is missing, and what that costs", ("table", "without it"), locked))
    return tuple(parts)


def _tables(report: CheckReport) -> Table:
    rows = [(t.name, t.file, f"{t.rows:,}", f"{t.bad:,}", ", ".join(t.not_stored)) for t in report.tables]
    title = f"Tables, {report.first_day} to {report.until} (fingerprint {report.fingerprint[:12]})"
    return grid(title, ("table", "file", "rows", "bad", "columns not read"), rows, right=(2, 3))


def _bad(report: CheckReport) -> Table:
    rows = [(b.table, b.reason, f"{b.count:,}", ", ".join(map(str, b.rows[:5]))) for b in report.bad_rows]
    return grid("Bad rows", ("table", "reason", "count", "first rows"), rows, right=(2,))


def _months(report: CheckReport) -> Table:
    money = Currency(report.currency, report.exponent)
    names = ("gross", "discounts", "returns", "tax", "net")
    rows = [
        (m.month, *(money.decimal(getattr(m, name)) for name in names), ", ".join(m.differing))
        for m in report.months
    ]
    return grid(
        f"Months, in {report.currency}", ("month", *names, "differs from the books"), rows, right=range(1, 6)
    )
