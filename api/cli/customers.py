"""``tarifa customers``: who they are, who is worth what, who will come less; and what is read of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from api.cli.erase import erase_customers
from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out, written

if TYPE_CHECKING:
    from api.texts import Texts
    from simulators.customers.portrait import Portrait, Wish

__all__ = ["CUSTOMERS_KIND", "customers", "features", "register_of", "report", "report_folder"]

CUSTOMERS_KIND = "customers"
"""Kind of the folder that a report lies in."""

_ON_TERMINAL = (1, 3, 4, 5, 8, 9)
"""Columns of the groups that a terminal is wide enough for, beside their names."""

_PAGE, _FACTS = "customers.html", "customers.json"

customers = typer.Typer(
    help="Who the customers are, who is worth what, who will come less, what they would care for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


customers.command("erase")(erase_customers)


@customers.command("report")
def report(
    data: Annotated[Path, typer.Argument(help="Data folder; orders with customer_id.")],
    out: Annotated[Path, typer.Option(help="Folder of the report to write.")],
    as_of: Annotated[
        str, typer.Option(help="First day that is not read; default: the day after the last paid order.")
    ] = "",
    horizon: Annotated[
        int,
        typer.Option(
            help="Days to look ahead; default 0: by the shop's own rhythm, 28 to 182.", min=0, max=366
        ),
    ] = 0,
    top: Annotated[
        int, typer.Option(help="Products and coupons kept of each customer.", min=1, max=100)
    ] = 10,
    seed: Annotated[int, typer.Option(help="Of clusters and simulated days.", min=0)] = 0,
    *,
    csv: Annotated[bool, typer.Option("--csv", help="Write the tables as CSV too.")] = False,
    panel: Annotated[bool, typer.Option("--panel", help="All customers agreed to be read.")] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Say who the customers are, who is worth what, who will come less and what they would care for.

    A page with sums, and tables of single customers. Only customers who agreed to the purpose of shop.toml
    are read. Each forecast is tried on the shop's own last days.

    Example: tarifa customers report data --out customers
    """

    def work(session: Session) -> Outcome:
        from simulators.customers.portrait import Wish

        return report_folder(session, data, out, Wish(as_of, horizon, top, seed), csv=csv, panel=panel)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def report_folder(
    session: Session, data: Path, out: Path, wish: Wish, *, csv: bool = False, panel: bool = False
) -> Outcome:
    """Draw the portrait of a shop's customers and write its page, its facts and its tables."""
    import datetime as dt

    from api.customers_document import customers_document
    from api.customers_page import render_customers
    from simulators.contract.tables import open_source
    from simulators.customers.portrait import PORTRAIT_TABLES, draw_portrait
    from simulators.customers.portrait_tables import csv_bytes, portrait_id, portrait_tables
    from simulators.folders import claim
    from simulators.output_schema import table_bytes

    with claim(out, CUSTOMERS_KIND) as draft, session.progress("customers report") as told:
        told("reading tables", 0.02)
        with open_source(data, today=dt.datetime.now(dt.UTC), only=PORTRAIT_TABLES) as opened:
            purpose = None if panel else opened.shop.coupons.consent_purpose
            portrait = draw_portrait(opened, purpose, wish, told)
        told("writing", 0.97)
        run_id = portrait_id(portrait, wish, purpose)
        facts = customers_document(portrait, purpose, run_id)
        page = render_customers(portrait, purpose, run_id, session.texts)
        (draft / _PAGE).write_text(page, encoding="utf-8")
        (draft / _FACTS).write_text(written(facts), encoding="utf-8")
        for name, table in portrait_tables(portrait, run_id).items():
            (draft / f"{name}.parquet").write_bytes(table_bytes(table))
            if csv:
                (draft / f"{name}.csv").write_bytes(csv_bytes(table))
        files = sorted(path.name for path in draft.iterdir())
    document = {"report": str(out), "files": files, **facts}
    return Outcome(document, _shown(session, portrait, purpose, f"{out}", files))


def _shown(
    session: Session, portrait: Portrait, purpose: str | None, place: str, files: list[str]
) -> tuple[Any, ...]:
    from api.customers_told import ground_told, headlines

    texts = session.texts
    before = [*ground_told(portrait, purpose, texts), *headlines(portrait, texts)]
    after = [*_parts(portrait, texts)]
    after.append(texts.text("customers", "written", place=place, files=", ".join(files)))
    return (*map(escape, before), *_segments(portrait, texts), *map(escape, after))


def _segments(portrait: Portrait, texts: Texts) -> tuple[Any, ...]:
    from api.customers_told import SEGMENT_COLUMNS, segment_rows

    rows = [
        (escape(row[0].partition(":")[0]), *(row[place] for place in _ON_TERMINAL))
        for row in segment_rows(portrait, texts)
    ]
    days = texts.number(portrait.days)
    shown = (SEGMENT_COLUMNS[0], *(SEGMENT_COLUMNS[place] for place in _ON_TERMINAL))
    header = [texts.text("customers", name, days=days) for name in shown]
    title = texts.text("customers", "segments")
    return (grid(title, header, rows, right=tuple(range(1, len(header)))),) if rows else ()


def _parts(portrait: Portrait, texts: Texts) -> Iterator[str]:
    from api.customers_told import (
        cart_lines,
        cluster_tells,
        cluster_why,
        outlook_lines,
        relevance_lines,
        untold_lines,
    )

    if portrait.clusters is not None:
        yield cluster_why(portrait, texts)
        yield from ("; ".join((one.line, *one.apart)) for one in cluster_tells(portrait, texts))
    yield from outlook_lines(portrait, texts)
    if portrait.carts is not None:
        yield from cart_lines(portrait.carts, portrait, texts)
    if portrait.relevance is not None:
        yield from relevance_lines(portrait.relevance, texts)
    yield from (" ".join(untold_lines(error, texts)) for error in portrait.untold.values())


@customers.command("features")
def features(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Features, or columns that somebody would like to make one; default: all."),
    ] = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Show what is read of a customer: purpose, legal basis, days, tables.

    Asked for age or the like, it refuses and says why.

    Example: tarifa customers features recency
    """

    def work(session: Session) -> Outcome:
        return register_of(session, tuple(names or ()))

    carry_out(work, as_json=as_json, language=language, debug=debug)


def register_of(session: Session, names: tuple[str, ...]) -> Outcome:
    """Show the register, or the entries of these names."""
    from api.customers_page import register_rows
    from pricing.customers import CUSTOMER_FEATURES, REPORTED, place_of

    entries = {one.name: one for one in (*CUSTOMER_FEATURES, *REPORTED)}
    for name in names:
        if name not in entries:
            place_of(name)
    wanted = set(names or entries)
    texts = session.texts
    rows = [
        (escape(row[0]), row[1], entries[row[0]].purpose, row[3], row[2], row[4], row[5])
        for row in register_rows(texts)
        if row[0] in wanted
    ]
    header = [
        texts.text("customers", name)
        for name in ("feature", "meaning", "purpose", "basis", "retention", "sources", "read_for")
    ]
    table = grid(texts.text("customers", "features_title"), header, rows, right=(4,))
    document = {
        "features": [
            {**asdict(one), "read_for": "offers" if one in CUSTOMER_FEATURES else "report"}
            for one in entries.values()
            if one.name in wanted
        ]
    }
    return Outcome(document, (table,))
