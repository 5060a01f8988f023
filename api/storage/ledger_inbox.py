"""Refunds that platforms tell of: each counts once, and one that comes before its order waits for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select, update

from api.storage.chain import canonical
from api.storage.ledger_audit import Work
from api.storage.tables import RETURNS

__all__ = ["cancelled", "settle", "wait", "waiting"]


def settle(work: Work, source: str, event_id: str, order_id: str, content: Mapping[str, Any]) -> bool:
    """Mark a refund as counted; return False where it was counted before."""
    this = (RETURNS.c.source == source) & (RETURNS.c.event_id == event_id)
    known = work.connection.execute(select(RETURNS.c.applied).where(this)).scalar()
    if known is None:
        _add(work, source, event_id, order_id, content, applied=True)
    elif not known:
        work.connection.execute(update(RETURNS).where(this).values(applied=True))
    return not known


def wait(work: Work, source: str, event_id: str, order_id: str, content: Mapping[str, Any]) -> None:
    """Keep a refund until its order is told; again changes nothing."""
    this = (RETURNS.c.source == source) & (RETURNS.c.event_id == event_id)
    if work.connection.execute(select(RETURNS.c.applied).where(this)).first() is None:
        _add(work, source, event_id, order_id, content, applied=False)


def waiting(work: Work, source: str, order_id: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Return identifier and content of the refunds that wait for an order."""
    table = RETURNS.c
    query = select(table.event_id, table.content).where(table.source == source, table.order_id == order_id)
    query = query.where(table.applied.is_(False)).order_by(table.event_id)
    return tuple((name, json.loads(text)) for name, text in work.connection.execute(query))


def cancelled(work: Work, source: str, order_id: str) -> str:
    """Return when a platform last said that an order was cancelled; "" where it never did, or not when."""
    query = select(RETURNS.c.content).where(RETURNS.c.source == source, RETURNS.c.order_id == order_id)
    told = [json.loads(text) for text in work.connection.execute(query).scalars()]
    return max((str(one.get("at", "")) for one in told if one["cancelled"]), default="")


def _add(
    work: Work, source: str, event_id: str, order_id: str, content: Mapping[str, Any], *, applied: bool
) -> None:
    row = {"source": source, "event_id": event_id, "order_id": order_id, "content": canonical(content)}
    work.connection.execute(insert(RETURNS).values(**row, applied=applied, recorded_at=work.transaction.at))
