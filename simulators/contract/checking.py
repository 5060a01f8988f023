"""`tarifa check`: what was found, what is wrong with it, and what it can and cannot answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pricing.errors import TooManyBadRows
from pricing.panel import Panel
from simulators.contract.announced import AnnouncedReductions, announced_reductions
from simulators.contract.engine import literal, quoted
from simulators.contract.order_lines import APART, day_window, define_order_lines
from simulators.contract.panel import build_panel
from simulators.contract.price_moves import (
    MIN_LEVELS,
    MIN_LOG_RANGE,
    MIN_SELLING_WEEKS,
    PriceMoves,
    price_moves,
)
from simulators.contract.reconciliation import MonthReconciled, reconcile
from simulators.contract.tables import BadRows, Source
from simulators.contract.unlocks import Unlock, unlocks
from simulators.folders import Content, Folder, write_folder

__all__ = [
    "Answer",
    "CheckReport",
    "Gap",
    "Looked",
    "PriceEvidence",
    "SetApart",
    "TableFound",
    "check",
    "check_and_look",
    "write_quarantine",
]


@dataclass(frozen=True, slots=True)
class TableFound:
    """One table as it was read.

    Attributes
    ----------
    name, file
        Table of the contract and file name.
    rows, bad
        Rows in all, and those in quarantine.
    encoding, delimiter, decimal, date_format
        What was detected of a text file; empty where nothing needed detecting.
    not_stored
        Columns that the contract does not know: listed, never read.
    """

    name: str
    file: str
    rows: int
    bad: int
    encoding: str
    delimiter: str
    decimal: str
    date_format: str
    not_stored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetApart:
    """Good order lines that are not retail demand; see :data:`simulators.contract.order_lines.APART`.

    Attributes
    ----------
    reason
        Why.
    lines
        How many.
    paid
        What was paid for them, minor units.
    """

    reason: str
    lines: int
    paid: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of days without a single paid order.

    Attributes
    ----------
    first
        ISO date of the first one.
    days
        How many.
    """

    first: str
    days: int


@dataclass(frozen=True, slots=True)
class PriceEvidence:
    """How many series have moved in price.

    Attributes
    ----------
    series
        Series (price group x zone) with demand.
    enough, too_few, none
        Of these, with enough movement to tell their own response; with some; with one price throughout.
    least_weeks, least_levels, least_rise
        What enough means: weeks with a sale, distinct prices, and how far the highest lies above the lowest,
        as a share of it.
    """

    series: int
    enough: int
    too_few: int
    none: int
    least_weeks: int
    least_levels: int
    least_rise: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A question and whether this data can answer it; in codes, their texts live at the edge.

    Attributes
    ----------
    question
        Code of what a shop wants to know.
    answerable
        Whether the data can tell.
    because
        Codes of why, or of what is missing.
    """

    question: str
    answerable: bool
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Everything that a check found; money in minor units.

    Attributes
    ----------
    fingerprint
        Of the data and settings.
    currency, exponent
        ISO 4217.
    first_day, until
        ISO dates; first day with a paid order, and the day after the last one. Empty without a paid order.
    tables, bad_rows
        What was read, and what of it is in quarantine and why.
    too_many, too_many_why
        What is wrong, and why, if a table has more bad rows than the shop file allows; empty otherwise. Then
        nothing below is computed, because it would rest on what is left.
    set_apart
        Lines that are not retail demand.
    months
        Reconciliation.
    gap_days, gaps
        Days without a paid order between the first and the last, and the ten longest runs of them.
    prices
        Evidence on prices; None where there is no demand to look at.
    costs_assumed
        Share of the series whose cost rests on the shop file's assumption; None where nothing gives a cost.
    announced
        Announced reductions against their prior price; they are told, not set aside.
    unlocks, answers
        What the tables unlock, and what they can answer.
    """

    fingerprint: str
    currency: str
    exponent: int
    first_day: str
    until: str
    tables: tuple[TableFound, ...]
    bad_rows: tuple[BadRows, ...]
    too_many: str
    too_many_why: str
    set_apart: tuple[SetApart, ...]
    months: tuple[MonthReconciled, ...]
    gap_days: int
    gaps: tuple[Gap, ...]
    prices: PriceEvidence | None
    costs_assumed: float | None
    announced: AnnouncedReductions
    unlocks: tuple[Unlock, ...]
    answers: tuple[Answer, ...]

    def require(self) -> None:
        """Raise :class:`TooManyBadRows` if a table has more bad rows than the shop file allows."""
        if self.too_many:
            raise TooManyBadRows(
                self.too_many,
                why=self.too_many_why,
                todo="Correct the export, or raise quarantine_share if losing these rows is fine.",
            )

    def to_json(self) -> Mapping[str, Any]:
        """Return plain values for `json.dumps`, field by field."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a check built to look at prices; whoever goes on from there need not build it again.

    Attributes
    ----------
    panel
        The whole history.
    moves
        How far the price of each of its series moved.
    """

    panel: Panel
    moves: PriceMoves


def check(source: Source) -> CheckReport:
    """Check an open source.

    Parameters
    ----------
    source
        From :func:`simulators.contract.tables.open_source`, which has already named every bad row.

    Raises
    ------
    DataError
        If no order line is retail demand, or a traffic table misses a period.
    """
    return check_and_look(source)[0]


def check_and_look(source: Source) -> tuple[CheckReport, Looked | None]:
    """Check an open source, and return what was looked at with the report: None if prices were not.

    Parameters and errors are those of :func:`check`.
    """
    too_many, why = _too_many(source)
    define_order_lines(source)
    looked = None if too_many else _look(source)
    return _report(source, too_many, why, looked), looked


def _look(source: Source) -> Looked:
    panel = build_panel(source)
    return Looked(panel, price_moves(source, len(panel.series)))


def _report(source: Source, too_many: str, why: str, looked: Looked | None) -> CheckReport:
    prices = None if looked is None else _prices(looked.moves)
    first, until = day_window(source.engine)
    gap_days, gaps = _gaps(source)
    return CheckReport(
        fingerprint=source.fingerprint,
        currency=source.shop.currency,
        exponent=source.shop.money.exponent,
        first_day=first,
        until=until,
        tables=_tables(source),
        bad_rows=source.bad_rows(),
        too_many=too_many,
        too_many_why=why,
        set_apart=() if too_many else _set_apart(source),
        months=() if too_many else reconcile(source),
        gap_days=gap_days,
        gaps=gaps,
        prices=prices,
        costs_assumed=None if too_many else _costs_assumed(source),
        announced=AnnouncedReductions(0, 0, ()) if too_many else announced_reductions(source),
        unlocks=unlocks(source),
        answers=() if prices is None else _answers(source, prices, first, until),
    )


def write_quarantine(source: Source, target: Path) -> Folder | None:
    """Write the bad rows of each table as NAME.csv: row number, reason, and columns that are about nobody.

    Returns None, and writes nothing, where there are none. Errors are those of
    :func:`simulators.folders.write_folder`.
    """
    files: dict[str, Content] = {}
    for loaded in source.tables:
        if loaded.bad:
            open_columns = [quoted(c.name) for c in loaded.table.columns if not c.personal]
            sql = (
                f'SELECT _row AS "row", _reason AS reason, {", ".join(open_columns)} '
                f"FROM typed_{loaded.table.name} WHERE _reason IS NOT NULL ORDER BY _row"
            )
            files[f"{loaded.table.name}.csv"] = partial(_copy, source, sql)
    return write_folder(target, "quarantine", files) if files else None


def _copy(source: Source, sql: str, path: Path) -> None:
    source.engine.run(f"COPY ({sql}) TO {literal(str(path))} (FORMAT csv, HEADER)")


def _too_many(source: Source) -> tuple[str, str]:
    try:
        source.require_clean()
    except TooManyBadRows as error:
        return error.what, error.why
    return "", ""


def _tables(source: Source) -> tuple[TableFound, ...]:
    return tuple(
        TableFound(
            name=loaded.table.name,
            file=loaded.file.path.name,
            rows=loaded.rows,
            bad=loaded.bad,
            encoding=loaded.file.encoding,
            delimiter=loaded.file.delimiter,
            decimal=loaded.notation.decimal if loaded.file.delimiter else "",
            date_format=loaded.notation.date_format,
            not_stored=loaded.ignored,
        )
        for loaded in source.tables
    )


def _set_apart(source: Source) -> tuple[SetApart, ...]:
    rows = source.engine.rows(
        "SELECT apart, count(*), sum(paid)::BIGINT FROM order_lines WHERE apart IS NOT NULL GROUP BY apart"
    )
    found = {str(reason): (int(lines), int(paid)) for reason, lines, paid in rows}
    return tuple(SetApart(reason, *found[reason]) for reason in APART if reason in found)


def _gaps(source: Source) -> tuple[int, tuple[Gap, ...]]:
    rows = source.engine.rows(
        "SELECT (day + 1)::DATE::VARCHAR, (next - day - 1)::BIGINT FROM (SELECT day, lead(day) OVER "
        "(ORDER BY day) AS next FROM (SELECT DISTINCT day FROM order_lines WHERE status = 'paid')) "
        "WHERE next > day + 1 ORDER BY next - day DESC, day"
    )
    gaps = tuple(Gap(str(first), int(days)) for first, days in rows)
    return sum(gap.days for gap in gaps), gaps[:10]


def _prices(moves: PriceMoves) -> PriceEvidence:
    count = len(moves.levels)
    enough, none = int(moves.enough.sum()), int(np.sum(moves.never))
    rise = float(np.expm1(MIN_LOG_RANGE))
    return PriceEvidence(count, enough, count - enough - none, none, MIN_SELLING_WEEKS, MIN_LEVELS, rise)


def _costs_assumed(source: Source) -> float | None:
    known, total = source.engine.row(
        "SELECT count(*) FILTER (WHERE product_id IN (SELECT product_id FROM costs)), count(*) FROM members"
    )
    if source.shop.cost_assumption is None:
        return 0.0 if known == total else None
    return float(1.0 - known / total)


def _answers(source: Source, prices: PriceEvidence, first: str, until: str) -> tuple[Answer, ...]:
    days = int((np.datetime64(until) - np.datetime64(first)).astype(np.int64))
    promotions, declared = source.has("promotions"), source.shop.promotion_calendar_set_in_advance
    costs, stock = source.has("costs"), source.has("inventory")
    exposed = source.engine.count("SELECT count(*) FROM coupon_exposures WHERE propensity IS NOT NULL") > 0
    known = (
        "price_moves",
        "promotions_recorded" if promotions else "promotions_missing",
        "calendar_declared" if declared else "calendar_undeclared",
    )
    return (
        Answer("price_response", promotions and declared and prices.enough > 0, known),
        Answer("season", days >= 2 * 365, ("days_covered",)),
        Answer("profit", costs, ("costs_recorded" if costs else "costs_assumed",)),
        Answer("stock", stock, ("stock_recorded" if stock else "stock_missing",)),
        Answer("coupons", exposed, ("exposures_recorded" if exposed else "exposures_missing",)),
    )
