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

from api.publishers.changes import Identity, LineState, PriceChange, Publication, Reading
from api.storage.chain import canonical
from api.storage.database import Transaction
from api.storage.tables import PUBLICATIONS

__all__ = [
    "Kind",
    "Outgoing",
    "State",
    "batches",
    "confirm",
    "every",
    "intend",
    "latest",
    "of_batch",
    "of_cycle",
    "of_decision",
    "outside",
    "settle",
    "unsettled",
]


_AT_ONCE = 500


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


def settle(transaction: Transaction, rows: Sequence[Outgoing], published: Publication) -> None:
    """Record what became of a batch. What the platform says already has left: tried before, or by hand."""
    for row, line in zip(rows, published.lines, strict=True):
        failed = line.state is LineState.FAILED
        why = f"{line.why.value}: {line.detail}".rstrip(": ") if line.why is not None else ""
        values = {"state": (State.FAILED if failed else State.PUBLISHED).value, "detail": why}
        transaction.connection.execute(
            update(PUBLICATIONS).where(_one(row)).values(**values, settled_at=transaction.at)
        )


def confirm(transaction: Transaction, rows: Sequence[Outgoing], found: Sequence[Reading]) -> None:
    """Record what the platform said when it was read back."""
    for row, reading in zip(rows, found, strict=True):
        tag = reading.found
        said = reading.why.value if reading.why else ("" if tag is None else f"{tag.regular}/{tag.offered}")
        state = State.CONFIRMED if reading.equal else State.DIFFERS
        values: dict[str, Any] = {"state": state.value, "detail": "" if reading.equal else said}
        if reading.equal:
            values["confirmed_at"] = transaction.at
        transaction.connection.execute(update(PUBLICATIONS).where(_one(row)).values(**values))


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


def of_decision(connection: Connection, decision_id: str) -> tuple[Outgoing, ...]:
    """Return everything that went out by a decision."""
    return _rows(connection, select(PUBLICATIONS).where(PUBLICATIONS.c.decision_id == decision_id))


def outside(connection: Connection, decision_ids: Sequence[str]) -> frozenset[str]:
    """Return by which decisions a price is, or may be, out: intended or published, not brought back."""
    table, last = PUBLICATIONS.c, dict[tuple[str, str, str], bool]()
    columns = (table.decision_id, table.product_id, table.zone, table.kind, table.state)
    for start in range(0, len(decision_ids), _AT_ONCE):
        some = list(decision_ids[start : start + _AT_ONCE])
        found = select(*columns).where(table.decision_id.in_(some))
        ordered = found.order_by(table.intended_at, table.batch, table.place)
        for decision, product, zone, kind, state in connection.execute(ordered):
            last[decision, product, zone] = Kind(kind) is Kind.PUBLISH and State(state).out
    return frozenset(decision for (decision, _, _), out in last.items() if out)


def latest(rows: Sequence[Outgoing]) -> tuple[Outgoing, ...]:
    """Return what happened last to each product in each zone, of rows in their order."""
    return tuple({(row.change.product_id, row.change.zone): row for row in rows}.values())


def batches(connection: Connection, cycle: str) -> tuple[str, ...]:
    """Return the batches of a cycle in the order in which they were intended."""
    return tuple(dict.fromkeys(row.batch for row in of_cycle(connection, cycle)))


def _one(row: Outgoing) -> Any:
    table, change = PUBLICATIONS.c, row.change
    same = (table.product_id == change.product_id) & (table.zone == change.zone)
    return (table.batch == row.batch) & same


def _rows(connection: Connection, query: Select[Any]) -> tuple[Outgoing, ...]:
    ordered = query.order_by(PUBLICATIONS.c.intended_at, PUBLICATIONS.c.batch, PUBLICATIONS.c.place)
    return tuple(_outgoing(row) for row in connection.execute(ordered).mappings())


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
