"""``tarifa check``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from api.check_texts import answers, missing_tables, rule_told
from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from api.texts import Texts
from pricing.errors import TarifaError
from pricing.money import Currency

if TYPE_CHECKING:
    from simulators.contract.checking import CheckReport, PriceEvidence
    from simulators.readiness import Readiness

__all__ = ["check_data", "check_folder"]


def check_data(
    data: Annotated[Path, typer.Argument(help="Data folder: tables and shop.toml.")],
    quarantine: Annotated[
        Path | None, typer.Option(help="Folder for bad rows; default: DATA.quarantine beside the data.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="HTML file to write: readiness, for a manager to read.")
    ] = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Check tables against the contract; say what this data can answer, and what to switch on next.

    Bad rows are set aside with row and reason; nothing is changed. Exit code 3 if there are too many.

    Example: tarifa check data
    """

    def work(session: Session) -> Outcome:
        return check_folder(session, data, quarantine, page)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def check_folder(session: Session, data: Path, quarantine: Path | None, page: Path | None = None) -> Outcome:
    """Check a data folder, write its bad rows beside it, and the page of its readiness."""
    import datetime as dt

    from api.check_document import check_document
    from simulators.contract.checking import check_and_look, write_quarantine
    from simulators.contract.tables import open_source
    from simulators.readiness import readiness

    with session.progress("check") as told:
        told("reading tables", 0.05)
        with open_source(data, today=dt.datetime.now(dt.UTC)) as source:
            told("checking", 0.5)
            report, looked = check_and_look(source)
            place = quarantine or data.resolve().with_name(f"{data.resolve().name}.quarantine")
            written = write_quarantine(source, place)
            told("readiness", 0.8)
            ready = None if looked is None else readiness(source, looked)
    error: TarifaError | None = None
    try:
        report.require()
    except TarifaError as found:
        error = found
    document = {**check_document(report, ready), "quarantine": None if written is None else str(place)}
    shown = _shown(report, document, session.texts)
    if ready is not None:
        shown += _ready(ready, session.texts)
    if page is not None:
        shown += _written(page, document, data, session.texts)
    return Outcome(document, shown, error)


def _ready(found: Readiness, texts: Texts) -> tuple[RenderableType, ...]:
    from api.readiness_page import classes_told, moving_told

    word = partial(texts.text, "readiness")
    header = ("", *(word(code) for code in ("products", "revenue", "width", "test")))
    told = asdict(found)
    table = grid(word("classes"), header, classes_told(told, texts), right=(1, 2, 3, 4))
    lines = [moving_told(told, texts), f"{word('switches')}:"]
    for place, switch in enumerate(found.switches, start=1):
        lines.append(f"  {place}. {word(switch.code)}: {word(f'{switch.code}_why')}")
    return (table, *lines)


def _written(
    page: Path, document: Mapping[str, object], data: Path, texts: Texts
) -> tuple[RenderableType, ...]:
    """Write the page of readiness; without a look at prices there is nothing to write."""
    from api.readiness_page import render_readiness
    from simulators.folders import write_file

    content = render_readiness(document, data.resolve().name, texts)
    if not content:
        return ()
    write_file(page, content.encode())
    return (escape(str(page)),)


def _shown(report: CheckReport, document: Mapping[str, object], texts: Texts) -> tuple[RenderableType, ...]:
    parts: list[RenderableType] = [_tables(report, texts)]
    if report.bad_rows:
        parts.append(_bad(report, texts))
        parts.append(texts.text("check", "quarantine", place=escape(str(document["quarantine"]))))
    if report.set_apart:
        money = Currency(report.currency, report.exponent)
        rows = [
            (texts.text("apart", a.reason), texts.number(a.lines), texts.money(a.paid, money))
            for a in report.set_apart
        ]
        header = _words(texts, "reason", "lines", "paid")
        parts.append(grid(texts.text("check", "set_apart"), header, rows, right=(1, 2)))
    if report.months:
        parts.append(_months(report, texts))
    if report.prices is not None:
        parts.append(_prices(report.prices, texts))
    parts += _announced(report, texts)
    told = [
        (texts.text("check", "yes" if a.answerable else "no"), a.question, a.because)
        for a in answers(document, texts)
    ]
    if told:
        parts.append(grid(texts.text("check", "answers"), ("", *_words(texts, "question", "because")), told))
    locked = missing_tables(document, texts)
    parts.append(grid(texts.text("check", "locked"), _words(texts, "table", "without"), locked))
    return tuple(parts)


def _words(texts: Texts, *codes: str) -> tuple[str, ...]:
    return tuple(texts.text("check", code) for code in codes)


def _tables(report: CheckReport, texts: Texts) -> Table:
    rows = [
        (t.name, t.file, texts.number(t.rows), texts.number(t.bad), ", ".join(t.not_stored))
        for t in report.tables
    ]
    title = texts.text(
        "check",
        "tables",
        span=texts.span(report.first_day, report.until) if report.first_day else "-",
        fingerprint=report.fingerprint[:12],
    )
    return grid(title, _words(texts, "table", "file", "rows", "bad", "not_read"), rows, right=(2, 3))


def _bad(report: CheckReport, texts: Texts) -> Table:
    rows = [
        (b.table, texts.reworded(b.reason), texts.number(b.count), ", ".join(map(str, b.rows[:5])))
        for b in report.bad_rows
    ]
    header = _words(texts, "table", "reason", "count", "first_rows")
    return grid(texts.text("check", "bad_rows"), header, rows, right=(2,))


_CLAIMS = 20
"""Most announced reductions that are shown; --json has all of them."""


def _announced(report: CheckReport, texts: Texts) -> list[RenderableType]:
    found, money = report.announced, Currency(report.currency, report.exponent)
    if not found.rows:
        return []
    counts = {"rows": found.rows, "wrong": len(found.claims), "untold": found.untold}
    told: list[RenderableType] = [
        texts.text("check", "announced", **{name: texts.number(count) for name, count in counts.items()})
    ]
    rows = [
        (
            texts.number(claim.row),
            escape(claim.product_id),
            escape(claim.zone),
            claim.announced_at.replace("T", " "),
            *(texts.amount(price, money) for price in (claim.claimed, claim.offered, claim.prior_price)),
            "" if claim.reduced else texts.text("check", "no_reduction"),
        )
        for claim in found.claims[:_CLAIMS]
    ]
    header = ("row", "product", "zone", "announced_at", "claimed", "reduced_to", "prior_price")
    title = texts.text("check", "claims", shown=texts.number(len(rows)), all=texts.number(len(found.claims)))
    return told + ([grid(title, (*_words(texts, *header), ""), rows, right=(0, 4, 5, 6))] if rows else [])


def _prices(found: PriceEvidence, texts: Texts) -> str:
    rule = rule_told(asdict(found), texts)
    counts = {name: texts.number(getattr(found, name)) for name in ("series", "enough", "too_few", "none")}
    return texts.text("check", "prices", rule=rule, **counts)


def _months(report: CheckReport, texts: Texts) -> Table:
    money = Currency(report.currency, report.exponent)
    names = ["gross", "discounts", "returns", "tax", "net"]
    if any(m.discounts_apart for m in report.months):
        names.append("discounts_apart")
    rows = [
        (
            texts.day(m.month, "month"),
            *(texts.amount(getattr(m, name), money) for name in names),
            ", ".join(_words(texts, *m.differing)),
        )
        for m in report.months
    ]
    title = texts.text("check", "months", currency=report.currency)
    header = _words(texts, "month", *names, "differing")
    return grid(title, header, rows, right=range(1, len(names) + 1))
