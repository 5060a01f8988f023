"""``tarifa import --as``: sheets of costs and of stock, shown as they were read, and added once confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from api.cli.grid import grid
from api.cli.session import Outcome, Session, named
from api.texts import Texts
from pricing.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt

    from simulators.importers.folder_additions import Added
    from simulators.importers.sheet_additions import Names
    from simulators.importers.sheet_grid import Meaning, Words
    from simulators.importers.sheets import Sheet

__all__ = [
    "Columns", "Dates", "Day", "Decimal", "Kinds", "SheetName", "SheetOptions", "add_sheet",
]  # fmt: skip

Kinds = Annotated[
    str | None, typer.Option("--as", help="SOURCE is a sheet of these: costs, stock, or costs,stock.")
]
Day = Annotated[
    str | None, typer.Option(help="With --as: from when rows without a date hold, like 2026-11-01.")
]
Decimal = Annotated[str | None, typer.Option(help="With --as: comma or point; default: found out.")]
Dates = Annotated[str | None, typer.Option(help="With --as: day-first or month-first; default: found out.")]
SheetName = Annotated[str | None, typer.Option(help="With --as: a workbook's sheet; default: the first.")]
Columns = Annotated[
    list[str] | None, typer.Option(help="With --as: a column by your own name, like unit_cost=Coste.")
]

_SHOWN = 20
"""Rows left behind that are shown; the document of --json has all of them."""

_MARKS = {"": "", "comma": ",", "point": "."}
_DATES = ("", "day-first", "month-first")


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """What the caller says of a sheet.

    Attributes
    ----------
    kinds
        ``costs``, ``stock`` or both, separated by a comma.
    before
        The data folder that it belongs to.
    day
        ISO date from which rows without a date hold.
    decimal, dates, sheet
        ``comma`` or ``point``; ``day-first`` or ``month-first``; the workbook's sheet. None: found out.
    columns
        ``column=own name`` of those that are not found by their names.
    yes
        How it was read is right.
    """

    kinds: str
    before: Path | None
    day: str | None
    decimal: str | None
    dates: str | None
    sheet: str | None
    columns: tuple[str, ...]
    yes: bool


def add_sheet(session: Session, source: Path, out: Path, options: SheetOptions) -> Outcome:
    """Read a sheet, show how, and add it to a data folder once somebody has agreed."""
    import datetime as dt

    from simulators.importers.sheet_additions import add_sheets, names_in
    from simulators.importers.sheets import read_sheet

    before = options.before
    if before is None:
        raise UsageError(
            "Costs and stock are added to a data folder, and none was named.",
            todo="Name it with --before; --out is where the new one shall lie.",
        )
    if not source.is_file():
        raise UsageError(f"There is no file {source}.", todo="Check the path.")
    now = dt.datetime.now(dt.UTC)
    with session.progress("import") as told:
        told("reading", 0.1)
        names = names_in(before, now)
        read = [
            (meaning, read_sheet(source, meaning, words, names.product_of))
            for meaning, words in _asked(options, names)
        ]
    shown = tuple(part for meaning, sheet in read for part in _shown(meaning, sheet, session.texts))
    _confirm(session, shown, options.yes)
    with session.progress("import") as told:
        told("writing", 0.5)
        added = add_sheets(before, out, read, now)
    _copy_key(before, out)
    return _outcome(session.texts, out, read, added, _left(read, session.texts))


def _copy_key(before: Path, out: Path) -> None:
    """Lay the key of the pseudonyms beside the new folder too, where a later import looks for it."""
    from simulators.folders import write_file

    theirs, own = (Path(f"{folder.resolve()}.key") for folder in (before, out))
    if theirs.is_file() and not own.exists():
        write_file(own, theirs.read_bytes(), secret=True)


def _asked(options: SheetOptions, names: Names) -> list[tuple[Meaning, Words]]:
    from simulators.importers.sheet_grid import COSTS, STOCK, Words

    known = {meaning.name: meaning for meaning in (COSTS, STOCK)}
    kinds = named(options.kinds)
    if not kinds or not set(kinds) <= set(known):
        raise UsageError(f"--as {options.kinds} is not known.", todo="Give costs, stock or costs,stock.")
    if (options.decimal or "") not in _MARKS:
        raise UsageError(f"--decimal {options.decimal} is not known.", todo="Give comma or point.")
    if (options.dates or "") not in _DATES:
        raise UsageError(f"--dates {options.dates} is not known.", todo="Give day-first or month-first.")
    columns = _columns(options.columns, [known[kind] for kind in kinds])
    shop = names.shop
    decimal = _MARKS[options.decimal or ""] or shop.decimal_separator.replace("auto", "")
    dates = options.dates or _order(shop.date_format)
    zones = tuple(zone.id for zone in shop.zones)
    words = Words(
        columns, shop.currency, zones, _day(options.day), names.unseen, decimal, dates, options.sheet or ""
    )
    return [(known[kind], words) for kind in kinds]


def _columns(said: Sequence[str], meanings: Sequence[Meaning]) -> dict[str, str]:
    known = ["product_id", "currency", "zone"]
    known += [column for meaning in meanings for column in (meaning.value, meaning.time)]
    found: dict[str, str] = {}
    for entry in said:
        column, mark, own = entry.partition("=")
        if not mark or column.strip() not in known or not own.strip():
            raise UsageError(
                f"--column {entry} is not understood.",
                todo=f"Write it like --column {known[3]}=Coste; known: {', '.join(known)}.",
            )
        found[column.strip()] = own.strip()
    return found


def _order(date_format: str) -> str:
    """Return the order of dates that the shop file states."""
    day, month = date_format.find("%d"), date_format.find("%m")
    if min(day, month) < 0 or date_format.startswith("%Y"):
        return ""
    return "day-first" if day < month else "month-first"


def _day(said: str | None) -> dt.date | None:
    import datetime as dt

    if said is None:
        return None
    try:
        return dt.date.fromisoformat(said)
    except ValueError as error:
        raise UsageError(f"--day {said} is not a date.", todo="Write it like 2026-11-01.") from error


def _confirm(session: Session, shown: Sequence[RenderableType], yes: bool) -> None:  # noqa: FBT001 - a flag
    for part in shown:
        session.err.print(part)
    question = session.texts.text("sheet", "right")
    if not yes and not (session.talks and typer.confirm(question, err=True)):
        raise UsageError(
            "How the sheet was read was not confirmed; nothing was imported.",
            todo="Say yes with --yes, or correct it with --column, --decimal, --dates or --sheet.",
        )


def _shown(meaning: Meaning, sheet: Sheet, texts: Texts) -> tuple[RenderableType, ...]:
    def word(code: str, **values: str) -> str:
        return texts.text("sheet", code, **values)

    marks = {",": "comma", ".": "point", "day-first": "day_first", "month-first": "month_first", "": "plain"}
    facts = [(word("header"), word("in_row", row=texts.number(sheet.header)))]
    if sheet.sheet:
        facts.append((word("sheet"), escape(sheet.sheet)))
    else:
        delimiter = {"\t": word("tab")}.get(sheet.delimiter, sheet.delimiter)
        facts += [(word("encoding"), sheet.encoding), (word("delimiter"), delimiter)]
    facts += [(column, escape(own)) for column, own in sheet.columns.items()]
    for code, reading in (("decimal", sheet.decimal), ("dates", sheet.dates)):
        if code == "decimal" or meaning.time in sheet.columns:
            because = f" ({escape(reading.example)})" if reading.example else ""
            facts.append((word(code), word(marks[reading.choice]) + because))
    facts.append((word("not_read"), escape(", ".join(sheet.not_read))))
    title = word("how", file=escape(sheet.path.name), kind=meaning.name)
    mark = texts.sections["notation"]["decimal"]
    rows = [
        (
            texts.number(row.number),
            escape(row.product_id),
            f"{row.value:f}".replace(".", mark),
            f"{row.at:%Y-%m-%d}",
        )
        for row in sheet.rows[:3]
    ]
    header = (word("row"), "product_id", meaning.value, meaning.time)
    return grid(title, (word("what"), word("found")), facts), grid(
        word("first_rows"), header, rows, right=(0,)
    )


def _left(read: Sequence[tuple[Meaning, Sheet]], texts: Texts) -> tuple[RenderableType, ...]:
    parts: list[RenderableType] = []
    for meaning, sheet in read:
        if sheet.left:
            rows = [
                (texts.number(entry.number), escape(entry.key), texts.text("sheet", entry.why))
                for entry in sheet.left[:_SHOWN]
            ]
            count = texts.number(len(sheet.left))
            title = texts.text("sheet", "left", kind=meaning.name, count=count)
            header = (texts.text("sheet", "row"), texts.text("sheet", "called"), texts.text("sheet", "why"))
            parts.append(grid(title, header, rows, right=(0,)))
    return tuple(parts)


def _outcome(
    texts: Texts,
    out: Path,
    read: Sequence[tuple[Meaning, Sheet]],
    added: Sequence[Added],
    left: Sequence[RenderableType],
) -> Outcome:
    lines = [
        texts.text(
            "sheet",
            "added",
            rows=texts.number(entry.rows),
            known=texts.number(entry.known),
            table=entry.table,
            total=texts.number(entry.total),
            place=escape(str(out)),
        )
        for entry in added
    ]
    document = {
        "data": str(out),
        "sheets": [
            {
                "kind": meaning.name,
                "file": sheet.path.name,
                "sheet": sheet.sheet,
                "encoding": sheet.encoding,
                "delimiter": sheet.delimiter,
                "header": sheet.header,
                "columns": dict(sheet.columns),
                "not_read": list(sheet.not_read),
                "decimal": sheet.decimal.choice,
                "dates": sheet.dates.choice,
                "table": entry.table,
                "rows": entry.rows,
                "known": entry.known,
                "total": entry.total,
                "left": [{"row": e.number, "key": e.key, "why": e.why.value} for e in sheet.left],
            }
            for (meaning, sheet), entry in zip(read, added, strict=True)
        ],
    }
    return Outcome(document, (*left, *lines))
