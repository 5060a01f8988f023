"""Tables of the store, their version, and how an older store becomes a newer one."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    text,
    update,
)

from api.storage.chain import GENESIS
from pricing.errors import ArtifactError

__all__ = ["CHAIN", "DECISIONS", "REQUESTS", "RUNS", "SCHEMA", "SUBJECTS", "create"]

SCHEMA = 2
"""Version of the tables; a newer program reads every older one.

Version 1 called the digest of a joint decision its passport, in the table of runs and in what rows hold.
"""

_TABLES = MetaData()
_VERSION = Table("schema_version", _TABLES, Column("version", Integer, primary_key=True))
CHAIN = Table(
    "chain",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
RUNS = Table(
    "runs",
    _TABLES,
    Column("number", String(8), primary_key=True),
    Column("provenance_digest", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)
DECISIONS = Table(
    "decisions",
    _TABLES,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("decision_id", String(32), nullable=False, unique=True),
    Column("run", String(8), ForeignKey("runs.number"), nullable=False),
    Column("price_group", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("decisions_by_group", "price_group", "zone", "seq"),
    Index("decisions_by_run", "run", "seq"),
)
REQUESTS = Table(
    "requests",
    _TABLES,
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)
SUBJECTS = Table(
    "subjects",
    _TABLES,
    Column("pseudonym", String(64), primary_key=True),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)


def create(connection: Connection) -> None:
    """Make what is missing; raises :class:`ArtifactError` for tables of a newer schema."""
    _TABLES.create_all(connection)
    version = connection.execute(select(_VERSION.c.version)).scalar_one_or_none()
    if version is None:
        connection.execute(insert(_VERSION).values(version=SCHEMA))
        connection.execute(insert(CHAIN).values(id=1, seq=0, hash=GENESIS))
    elif version > SCHEMA:
        raise ArtifactError(
            f"The decision store has schema {version}; this Tarifa reads up to {SCHEMA}.",
            todo="Update Tarifa.",
        )
    elif version < SCHEMA:
        connection.execute(text("ALTER TABLE runs RENAME COLUMN passport TO provenance_digest"))
        connection.execute(update(_VERSION).values(version=SCHEMA))
