"""The ledger's record: what happened to coupons, in one chain, written with the effect itself.

An effect, the idempotency key that it came with and its row in the chain are one transaction: after a crash
there are all three, or none. Rows name reservations and coupons and nobody who holds them, so that erasing
somebody leaves the chain whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from api.storage.chain import Chain, canonical, link
from api.storage.database import Transaction
from api.storage.price_marks import instant
from api.storage.statements import Statement
from api.storage.tables import (
    CAMPAIGNS,
    COUPON_LIMITS,
    COUPON_USES,
    LEDGER,
    LEDGER_CHAIN,
    REDEMPTIONS,
    REQUESTS,
    RESERVATIONS,
)
from pricing.errors import ArtifactError, UsageError

__all__ = [
    "AuditRow", "Once", "Work", "append", "fingerprint", "history", "once", "require_balance", "verify",
]  # fmt: skip

_PARTS = ("kind", "about", "recorded_at", "content")
_REQUEST = Statement(
    select(REQUESTS.c.fingerprint, REQUESTS.c.answer).where(REQUESTS.c.key == bindparam("key"))
)
_REMEMBER = Statement(insert(REQUESTS))
_APPEND = Statement(insert(LEDGER))


@dataclass(slots=True)
class Work:
    """What one effect works with: the transaction, and what it adds to the record.

    Attributes
    ----------
    transaction
        Open for writing. Rows of the record are written as it ends, so one that fails leaves none.
    now
        Its moment, UTC microseconds.
    rows
        Kind, subject and content of what is added.
    """

    transaction: Transaction
    now: int = field(init=False)
    rows: list[tuple[str, str, str]] = field(init=False, default_factory=list[tuple[str, str, str]])

    def __post_init__(self) -> None:
        self.now = instant(self.transaction.at)

    @property
    def connection(self) -> Connection:
        """Where it is written."""
        return self.transaction.connection

    def add(self, kind: str, about: str, **content: object) -> None:
        """Add a row to the record; `content` is JSON-able and names nobody."""
        self.rows.append((kind, about, canonical(content)))


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the record."""

    seq: int
    kind: str
    about: str
    content: Mapping[str, Any]
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Once:
    """The answer to a request, and whether it was given before under the same key."""

    answer: Mapping[str, Any]
    replayed: bool


def fingerprint(asked: Mapping[str, object]) -> str:
    """Return the SHA-256 of what a request asks (JSON-able)."""
    return hashlib.sha256(canonical(asked).encode()).hexdigest()


def once(work: Work, key: str, fingerprint: str, effect: Callable[[Work], Mapping[str, object]]) -> Once:
    """Carry out an effect once for its key: asked again, it is answered as before and nothing happens.

    Parameters
    ----------
    work
        The transaction; effect, key and record are durable together.
    key, fingerprint
        The caller's own key, and the SHA-256 of what it asks.
    effect
        Returns the answer (JSON-able). What it refuses by raising is not remembered: nothing happened.

    Raises
    ------
    UsageError
        If the key came with another request before.
    """
    found = _REQUEST.rows(work.connection, key=key)
    if found:
        if found[0][0] != fingerprint:
            raise UsageError(
                "Idempotency-Key: another request came with this key before.",
                todo="Use a new key for a new request.",
            )
        return Once(json.loads(found[0][1]), replayed=True)
    answer = effect(work)
    told = {"answer": canonical(answer), "recorded_at": work.transaction.at}
    _REMEMBER.count(work.connection, key=key, fingerprint=fingerprint, **told)
    return Once(answer, replayed=False)


def append(transaction: Transaction, rows: Sequence[tuple[str, str, str]]) -> None:
    """Add rows (kind, subject, content) to the chain, in their order."""
    if not rows:
        return
    chain = Chain(transaction.connection, LEDGER_CHAIN)
    seq, previous = chain.held()
    added: list[dict[str, object]] = []
    for kind, about, content in rows:
        seq, before = seq + 1, previous
        previous = link(before, kind, about, transaction.at, content)
        named = {"kind": kind, "about": about, "content": content, "recorded_at": transaction.at}
        added.append({"seq": seq, **named, "previous": before, "hash": previous})
    _APPEND.many(transaction.connection, added)
    chain.extend(seq, previous)


def history(connection: Connection, about: str) -> tuple[AuditRow, ...]:
    """Return what happened to a reservation, a coupon or a campaign, in its order."""
    rows = connection.execute(select(LEDGER).where(LEDGER.c.about == about).order_by(LEDGER.c.seq)).mappings()
    return tuple(
        AuditRow(row["seq"], row["kind"], row["about"], json.loads(row["content"]), row["recorded_at"])
        for row in rows
    )


def verify(connection: Connection) -> int:
    """Return the length of the chain; raises :class:`ArtifactError` naming the first broken row."""
    return Chain(connection, LEDGER_CHAIN).verify(LEDGER, "ledger", _PARTS, about="about")


def require_balance(connection: Connection) -> None:
    """Count everything again.

    Raises
    ------
    ArtifactError
        If a counter (money held or spent by campaign, uses by coupon and by customer) is not what its
        reservations and redemptions add up to.
    """
    held, spent = RESERVATIONS.c.state == "held", REDEMPTIONS.c.amount - REDEMPTIONS.c.taken_back
    stands = RESERVATIONS.c.state.in_(("held", "redeemed"))
    amount = func.coalesce(func.sum(RESERVATIONS.c.liability), 0)
    of = RESERVATIONS.c.campaign_id == CAMPAIGNS.c.campaign_id
    joined = REDEMPTIONS.join(RESERVATIONS, RESERVATIONS.c.reservation_id == REDEMPTIONS.c.reservation_id)
    paid = select(func.coalesce(func.sum(spent), 0)).select_from(joined).where(of)
    counted = func.count()
    coupon = RESERVATIONS.c.coupon_id == COUPON_LIMITS.c.coupon_id
    use = RESERVATIONS.c.coupon_id == COUPON_USES.c.coupon_id
    use &= RESERVATIONS.c.holder == COUPON_USES.c.holder
    uses, own = select(counted).where(coupon, stands), select(counted).where(use, stands)
    wanted = (
        (CAMPAIGNS.c.campaign_id, CAMPAIGNS.c.held, select(amount).where(of, held).scalar_subquery()),
        (CAMPAIGNS.c.campaign_id, CAMPAIGNS.c.spent, paid.scalar_subquery()),
        (COUPON_LIMITS.c.coupon_id, COUPON_LIMITS.c.taken, uses.scalar_subquery()),
        (COUPON_USES.c.coupon_id, COUPON_USES.c.taken, own.scalar_subquery()),
    )
    for name, kept, added in wanted:
        wrong = connection.execute(select(name, kept, added).where(kept != added).limit(1)).first()
        if wrong is not None:
            raise ArtifactError(
                f"{kept} of {wrong[0]} is {wrong[1]}, and its rows add up to {wrong[2]}.",
                why="The store was changed from outside.",
                todo="Restore the store from a backup.",
            )
