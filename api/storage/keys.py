"""Access keys on disk: who may do what. Of a key only its hash is kept."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from api.storage.database import Transaction
from api.storage.statements import Statement
from api.storage.tables import ACCESS_KEYS

__all__ = ["KeyRow", "add_key", "any_key", "find_key", "list_keys", "revoke_key"]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An access key: its name, its role, when it was made, and when it was revoked (None: it holds)."""

    name: str
    role: str
    made_at: str
    revoked_at: str | None


def add_key(transaction: Transaction, name: str, role: str, digest: str) -> bool:
    """Record a key; return False where the name is taken, revoked or not: reviews stand under it."""
    taken = select(ACCESS_KEYS.c.name).where(ACCESS_KEYS.c.name == name)
    if transaction.connection.execute(taken).first() is not None:
        return False
    row = {"name": name, "role": role, "digest": digest, "made_at": transaction.at}
    transaction.connection.execute(insert(ACCESS_KEYS).values(**row))
    return True


def revoke_key(transaction: Transaction, name: str) -> bool:
    """Revoke a key; return False where there is none of that name that still holds."""
    holds = (ACCESS_KEYS.c.name == name) & ACCESS_KEYS.c.revoked_at.is_(None)
    done = transaction.connection.execute(update(ACCESS_KEYS).where(holds).values(revoked_at=transaction.at))
    return done.rowcount > 0


def find_key(connection: Connection, digest: str) -> KeyRow | None:
    """Return the key with this hash, revoked or not; None where there is none."""
    row = connection.execute(_KEYS.where(ACCESS_KEYS.c.digest == digest)).mappings().first()
    return None if row is None else KeyRow(**row)


def any_key(connection: Connection) -> bool:
    """Return whether a key was ever made: from then on nobody is let in without one."""
    return bool(_MADE.rows(connection)[0][0])


def list_keys(connection: Connection) -> tuple[KeyRow, ...]:
    """Return all keys, by name."""
    rows = connection.execute(_KEYS.order_by(ACCESS_KEYS.c.name)).mappings()
    return tuple(KeyRow(**row) for row in rows)


_MADE = Statement(select(func.count()).select_from(ACCESS_KEYS))
_KEYS = select(ACCESS_KEYS.c.name, ACCESS_KEYS.c.role, ACCESS_KEYS.c.made_at, ACCESS_KEYS.c.revoked_at)
