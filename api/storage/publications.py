"""Price changes on their way out, on disk: intended before anything leaves, settled when the result is known.

Changes go out in batches. A batch that was intended and not settled is what a killed process leaves behind;
it is published again under its own key, and nothing changes twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from api.publishers.changes import Identity, LineState, PriceChange, Publication, Reading, Refusal, Tag, read
from api.storage import price_marks
from api.storage.chain import canonical
from api.storage.database import Transaction
from api.storage.price_marks import Mark, Source
from api.storage.tables import DECISIONS, PUBLICATIONS, in_parts

__all__ = [
    "Kind",
    "Outgoing",
    "State",
    "arrived",
    "batches",
    "confirm",
    "every",
    "imported",
    "intend",
    "latest",
    "of_batch",
    "of_cycle",
    "of_decisions",
    "outside",
    "see",
    "settle",
    "standing",
    "unsettled",
]

_UNASKED = (Refusal.CANNOT_READ, Refusal.UNREACHABLE, Refusal.UNTOLD)
"""Readings that say nothing of the price."""

_ORDER = (PUBLICATIONS.c.intended_at, PUBLICATIONS.c.batch, PUBLICATIONS.c.place)


class Kind(Enum):
    """Why a price goes out."""

    PUBLISH = "publish"
    UNDO = "undo"


class State(Enum):
    """What became of one price change."""

    INTENDED = "intended"
    PUBLISHED = "published"
    FAILED = "failed"
    CONFIRMED = "confirmed"
    DIFFERS = "differs"

    @property
    def out(self) -> bool:
        """Whether it left, or may have left."""
        return self is not State.FAILED


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One price change of a batch.

    Attributes
    ----------
    batch, place
        Key of the batch, and the place in it.
    cycle, kind, decision_id
        Of which cycle, why, and by which decision.
    change
        The price change.
    state, detail
        What became of it; why, where it failed or differs.
    intended_at, settled_at, confirmed_at
        ISO 8601; None: not yet.
    """

    batch: str
    place: int
    cycle: str
    kind: Kind
    decision_id: str
    change: PriceChange
    state: State = State.INTENDED
    detail: str = ""
    intended_at: str = ""
    settled_at: str | None = None
    confirmed_at: str | None = None

    @property
    def blind(self) -> bool:
        """Whether it left by a way that cannot be read back, and no data have shown it since."""
        return self.state is State.PUBLISHED and self.detail == Refusal.CANNOT_READ.value

    @property
    def what(self) -> tuple[str, str]:
        """Product and zone."""
        return self.change.product_id, self.change.zone


def intend(transaction: Transaction, rows: Sequence[Outgoing]) -> None:
    """Record a batch before anything of it leaves."""
    values = [
        {
            "batch": row.batch,
            "product_id": row.change.product_id,
            "zone": row.change.zone,
            "place": row.place,
            "cycle": row.cycle,
            "kind": row.kind.value,
            "decision_id": row.decision_id,
            "content": canonical(asdict(row.change)),
            "state": row.state.value,
            "detail": row.detail,
            "intended_at": transaction.at,
        }
        for row in rows
    ]
    if values:
        transaction.connection.execute(insert(PUBLICATIONS), values)


def settle(
    transaction: Transaction, rows: Sequence[Outgoing], published: Publication, time_zone: str
) -> None:
    """Record what became of a batch, and every price that left in the history of prices.

    What the platform says already has left: tried before, or by hand. `time_zone` is the shop's (IANA).
    """
    left = [
        (row, line.after or row.change.tag)
        for row, line in zip(rows, published.lines, strict=True)
        if line.state is not LineState.FAILED
    ]
    _mark(transaction, left, Source.PUBLISHED, time_zone)
    for row, line in zip(rows, published.lines, strict=True):
        failed = line.state is LineState.FAILED
        why = f"{line.why.value}: {line.detail}".rstrip(": ") if line.why is not None else ""
        values = {"state": (State.FAILED if failed else State.PUBLISHED).value, "detail": why}
        transaction.connection.execute(
            update(PUBLICATIONS).where(_one(row)).values(**values, settled_at=transaction.at)
        )


def see(transaction: Transaction, rows: Sequence[Outgoing], found: Sequence[Reading], time_zone: str) -> None:
    """Record every price that the platform said in the history of prices; `time_zone` as in settling."""
    seen = [(row, one.found) for row, one in zip(rows, found, strict=True) if one.found is not None]
    _mark(transaction, seen, Source.READ_BACK, time_zone)


def imported(connection: Connection, rows: Sequence[Outgoing]) -> tuple[Reading | None, ...]:
    """Return what the shop's own data have shown since each price left; None where they showed nothing of it.

    Only an announced reduction is held to its reduced price: others may run in the shop beside ours.
    """
    last = price_marks.last(connection, [row.change.product_id for row in rows])
    return tuple(_imported(row, last.get(row.what)) for row in rows)


def _imported(row: Outgoing, last: Mark | None) -> Reading | None:
    change = row.change
    left = price_marks.instant(row.settled_at or row.intended_at)
    if last is None or last.source is not Source.IMPORTED or last.at <= left or not last.regular:
        return None
    return read(change, Tag(last.regular, last.regular if change.offered_new is None else last.offered))


def confirm(transaction: Transaction, rows: Sequence[Outgoing], found: Sequence[Reading]) -> None:
    """Record what became of prices that left.

    What still says the former price has not arrived yet, and what could not be asked is not known: both wait,
    the latter with the reason.
    """
    for row, reading in zip(rows, found, strict=True):
        tag = reading.found
        said = reading.why.value if reading.why else ("" if tag is None else f"{tag.regular}/{tag.offered}")
        values: dict[str, Any] = {"detail": "" if reading.equal else said}
        if arrived(row, reading):
            values["state"] = (State.CONFIRMED if reading.equal else State.DIFFERS).value
        elif tag is not None:
            continue
        if reading.equal:
            values["confirmed_at"] = transaction.at
        transaction.connection.execute(update(PUBLICATIONS).where(_one(row)).values(**values))


def arrived(row: Outgoing, reading: Reading) -> bool:
    """Return whether a reading settles what was published: that it is there, or that something else is."""
    if reading.found is None:
        return reading.why not in _UNASKED
    return reading.equal or reading.found.regular != row.change.regular_now


def _mark(
    transaction: Transaction, rows: Sequence[tuple[Outgoing, Tag]], source: Source, time_zone: str
) -> None:
    """Add prices to the history, but none that was seen before and has not changed since."""
    connection = transaction.connection
    groups = _groups(connection, [row.decision_id for row, _ in rows])
    last = price_marks.last(connection, [row.change.product_id for row, _ in rows])
    marks: list[Mark] = []
    for row, tag in rows:
        change, before = row.change, last.get(row.what)
        if source is Source.READ_BACK and before is not None and before.shows(tag.regular, tag.offered):
            continue
        marks.append(
            Mark(
                product_id=change.product_id,
                zone=change.zone,
                price_group=groups[row.decision_id],
                at=price_marks.instant(transaction.at),
                regular=tag.regular,
                offered=tag.offered,
                currency=change.currency,
                basis=change.basis,
                time_zone=time_zone,
                source=source,
                reference=row.batch,
            )
        )
    price_marks.record(connection, transaction.at, marks)


def _groups(connection: Connection, decision_ids: Sequence[str]) -> dict[str, str]:
    table, found = DECISIONS.c, dict[str, str]()
    for some in in_parts(decision_ids):
        query = select(table.decision_id, table.price_group).where(table.decision_id.in_(some))
        found |= {str(decision): str(group) for decision, group in connection.execute(query)}
    return found


def unsettled(connection: Connection) -> tuple[Outgoing, ...]:
    """Return the batch that was intended and never settled; nothing where there is none."""
    waiting = select(PUBLICATIONS).where(PUBLICATIONS.c.state == State.INTENDED.value)
    rows = _rows(connection, waiting)
    return () if not rows else of_batch(connection, rows[0].batch)


def of_batch(connection: Connection, batch: str) -> tuple[Outgoing, ...]:
    """Return a batch in its order."""
    return _rows(connection, select(PUBLICATIONS).where(PUBLICATIONS.c.batch == batch))


def of_cycle(connection: Connection, cycle: str) -> tuple[Outgoing, ...]:
    """Return everything that went out in a cycle, batch by batch."""
    return _rows(connection, select(PUBLICATIONS).where(PUBLICATIONS.c.cycle == cycle))


def every(connection: Connection) -> tuple[Outgoing, ...]:
    """Return everything that ever went out, batch by batch."""
    return _rows(connection, select(PUBLICATIONS))


def of_decisions(connection: Connection, decision_ids: Sequence[str]) -> Mapping[str, tuple[Outgoing, ...]]:
    """Return everything that went out by each of these decisions; none where nothing did."""
    found: dict[str, list[Outgoing]] = {}
    for some in in_parts(decision_ids):
        for row in _rows(connection, select(PUBLICATIONS).where(PUBLICATIONS.c.decision_id.in_(some))):
            found.setdefault(row.decision_id, []).append(row)
    return {decision: tuple(rows) for decision, rows in found.items()}


def outside(connection: Connection, decision_ids: Sequence[str]) -> frozenset[str]:
    """Return the decisions of which a price is, or may be, out: intended or published, not brought back."""
    table = PUBLICATIONS.c
    columns = (table.decision_id, table.product_id, table.zone, table.kind)
    last: dict[tuple[str, ...], str] = {}
    for some in in_parts(decision_ids):
        left = select(*columns).where(table.decision_id.in_(some), table.state != State.FAILED.value)
        for *what, kind in connection.execute(left.order_by(*_ORDER)):
            last[tuple(what)] = kind
    return frozenset(decision for (decision, *_), kind in last.items() if kind == Kind.PUBLISH.value)


def latest(rows: Sequence[Outgoing]) -> tuple[Outgoing, ...]:
    """Return what happened last to each product in each zone, of rows in their order."""
    return tuple({row.what: row for row in rows}.values())


def standing(rows: Sequence[Outgoing]) -> tuple[Outgoing, ...]:
    """Return what left last of each product in each zone: a later try that failed has changed nothing."""
    return latest([row for row in rows if row.state.out])


def batches(connection: Connection, cycle: str) -> tuple[str, ...]:
    """Return the batches of a cycle in the order in which they were intended."""
    return tuple(dict.fromkeys(row.batch for row in of_cycle(connection, cycle)))


def _one(row: Outgoing) -> Any:
    table, change = PUBLICATIONS.c, row.change
    same = (table.product_id == change.product_id) & (table.zone == change.zone)
    return (table.batch == row.batch) & same


def _rows(connection: Connection, query: Select[Any]) -> tuple[Outgoing, ...]:
    return tuple(_outgoing(row) for row in connection.execute(query.order_by(*_ORDER)).mappings())


def _outgoing(row: Mapping[Any, Any]) -> Outgoing:
    content = json.loads(row["content"])
    known = content.pop("known_as")
    identity = replace(Identity(**known), options=tuple(known["options"]))
    return Outgoing(
        row["batch"],
        row["place"],
        row["cycle"],
        Kind(row["kind"]),
        row["decision_id"],
        PriceChange(**content, known_as=identity),
        State(row["state"]),
        row["detail"],
        row["intended_at"],
        row["settled_at"],
        row["confirmed_at"],
    )
