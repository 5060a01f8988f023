"""Steps of weekly cycles on disk: what is done, and what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from api.storage.chain import canonical
from api.storage.database import Transaction
from api.storage.tables import CYCLE_STEPS, ROUNDS

__all__ = ["StepRow", "cycles", "done", "put", "rounds"]


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of a cycle that is done, and what it found (JSON-able)."""

    cycle: str
    step: str
    content: Mapping[str, Any]
    done_at: str


def done(connection: Connection, cycle: str) -> dict[str, StepRow]:
    """Return the steps of a cycle that are done, by name."""
    rows = connection.execute(select(CYCLE_STEPS).where(CYCLE_STEPS.c.cycle == cycle)).mappings()
    return {
        row["step"]: StepRow(cycle, row["step"], json.loads(row["content"]), row["done_at"]) for row in rows
    }


def cycles(connection: Connection) -> tuple[str, ...]:
    """Return all cycles that were begun, the newest first."""
    names = connection.execute(select(CYCLE_STEPS.c.cycle).distinct()).scalars()
    return tuple(sorted(names, reverse=True))


def rounds(connection: Connection) -> Mapping[str, int]:
    """Return the newest round that prices each period, by its first day (which names the cycle)."""
    found = connection.execute(select(ROUNDS.c.number, ROUNDS.c.content).order_by(ROUNDS.c.number))
    return {str(json.loads(content).get("valid_from")): int(number) for number, content in found}


def put(transaction: Transaction, cycle: str, step: str, content: Mapping[str, Any]) -> None:
    """Record that a step is done; one that is repeated by its nature is recorded anew."""
    place = (CYCLE_STEPS.c.cycle == cycle) & (CYCLE_STEPS.c.step == step)
    transaction.connection.execute(delete(CYCLE_STEPS).where(place))
    row = {"cycle": cycle, "step": step, "content": canonical(content), "done_at": transaction.at}
    transaction.connection.execute(insert(CYCLE_STEPS).values(**row))
