"""Outcomes joined to the decisions of the store: what people made of each, and what was sold.

A cycle states the outcomes of all cycles before it, each period anew from the newest data, in a table of its
own: what an earlier cycle stated stays where it is.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped

from api.cycle.loop import Home
from api.runs import read_shelf
from api.storage import cycles, publications, reviews
from api.storage.database import Database
from api.storage.publications import Kind, Outgoing
from api.storage.reviews import ProposalRow, Wanted
from pricing.approval import ReviewState
from pricing.arrays import Floats
from pricing.errors import ArtifactError
from pricing.outcomes import Ending
from pricing.outputs import OUTCOMES
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import open_source
from simulators.outcomes import Decided, Decider, outcomes_table, sold
from simulators.output_schema import arrow_schema
from simulators.run import load_run

__all__ = ["PAGE", "SNAPSHOTS_FILE", "TABLE", "decided_in", "outcomes_of", "past_decisions"]

pa: Any = pyarrow

_Found = TypeVar("_Found")

TABLE, PAGE, SNAPSHOTS_FILE = "outcomes.parquet", "outcomes.html", "snapshots.parquet"
"""Files of a cycle: its outcomes, for programs and for people, and what was known when it decided."""

_NO_PRICE = {
    ReviewState.BLOCKED.value: Ending.BLOCKED,
    ReviewState.REJECTED.value: Ending.REJECTED,
    ReviewState.PENDING.value: Ending.UNDECIDED,
    ReviewState.AWAITING_SECOND.value: Ending.UNDECIDED,
    ReviewState.UNCHANGED.value: Ending.KEPT,
}
"""What became of a proposal by its state, where it is not approved."""


def past_decisions(database: Database, cycle: str, shop: ShopFile) -> tuple[Decided, ...]:
    """Return the decisions of all cycles before one, the oldest first, each with what became of it."""
    zone = zoneinfo.ZoneInfo(shop.time_zone)
    with database.reading() as connection:
        out: dict[str, list[Outgoing]] = {}
        for row in publications.every(connection):
            out.setdefault(row.decision_id, []).append(row)
        found: list[Decided] = []
        rounds = cycles.rounds(connection)
        for name in sorted(cycles.cycles(connection)):
            number = rounds.get(name) if name < cycle else None
            if number is None:
                continue
            learned = cycles.done(connection, name).get("learn")
            run_id = "" if learned is None else str(learned.content.get("run_id", ""))
            rows = reviews.every(connection, number, Wanted())
            start = dt.date.fromisoformat(name)
            span = start, start + dt.timedelta(days=shop.period_days)
            found.append(decided_in(rows, out, run_id, span, zone))
    return tuple(found)


def decided_in(
    rows: Sequence[ProposalRow],
    out: dict[str, list[Outgoing]],
    run_id: str,
    span: tuple[dt.date, dt.date],
    zone: dt.tzinfo,
) -> Decided:
    """Return the decisions of one round.

    Parameters
    ----------
    rows
        Its proposals, as they stand in the end.
    out
        What went out by each decision, in its order.
    run_id
        Of the run that decided.
    span
        First day of the period, and the first day after it.
    zone
        The shop's time zone.
    """
    ends = [_Went.of(row, out.get(row.decision_id, ()), zone) for row in rows]
    return Decided(
        run_id=run_id,
        decision_id=tuple(row.decision_id for row in rows),
        group=tuple(row.price_group for row in rows),
        zone=tuple(row.zone for row in rows),
        start=span[0],
        end=span[1],
        current=_prices(row.current_price for row in rows),
        recommended=_prices(row.recommended_price for row in rows),
        approved=_prices(row.price for row in rows),
        published=_prices(end.price for end in ends),
        published_on=tuple(end.day for end in ends),
        ending=tuple(end.ending for end in ends),
    )


def _prices(values: Iterable[int | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Went:
    """How a decision ended: the price that went out, and on which local day."""

    ending: Ending
    price: int | None = None
    day: dt.date | None = None

    @staticmethod
    def of(row: ProposalRow, out: Sequence[Outgoing], zone: dt.tzinfo) -> _Went:
        """Follow what went out: of each product what left last counts; a try that failed changed nothing."""
        gone = publications.latest([one for one in out if one.state.out and one.settled_at])
        left = [one for one in gone if one.kind is Kind.PUBLISH]
        if not left:
            if gone:
                return _Went(Ending.BROUGHT_BACK)
            return _Went(_NO_PRICE.get(row.state, Ending.NOT_PUBLISHED))
        ending = Ending.PUBLISHED
        if len(left) < len(publications.latest(out)):
            ending = Ending.PARTLY_PUBLISHED
        elif left[0].change.regular_new != row.recommended_price:
            ending = Ending.OVERRIDDEN
        settled = min(dt.datetime.fromisoformat(str(one.settled_at)) for one in left)
        return _Went(ending, left[0].change.regular_new, settled.astimezone(zone).date())


def outcomes_of(home: Home, cycle: str, found: Sequence[Decided], now: dt.datetime) -> Any:
    """Return the outcomes of decisions, from the data of a cycle, as a pyarrow Table.

    Parameters
    ----------
    home
        Where the cycles live.
    cycle
        Whose data tell what was sold; they are whole up to its first day.
    found
        Decisions of earlier cycles, the oldest first.
    now
        The clock.
    """
    parts = [arrow_schema(OUTCOMES).empty_table()]
    if found:
        with open_source(home.data(cycle), today=now) as source:
            runs = {one.start: home.run(one.start.isoformat()) for one in found}
            known = {day: shelf.catalogue for day, run in runs.items() if (shelf := _read(read_shelf, run))}
            came = sold(source, whole_until=dt.date.fromisoformat(cycle), known=tuple(known.items()))
        for one in found:
            if one.start < came.until:
                run = _read(load_run, runs[one.start]) if one.start in known else None
                by = None if run is None else Decider(run, known[one.start])
                parts.append(outcomes_table(one, came, by))
    return pa.concat_tables(parts).combine_chunks()


def _read(reader: Callable[[Path], _Found], run: Path) -> _Found | None:
    """Read a run of the past; None where it is gone, changed, or of a program that this one cannot read.

    Such a run decides nothing any more. Its outcomes say so (`no_run`), and the shop goes on.
    """
    try:
        return reader(run)
    except ArtifactError:
        return None
