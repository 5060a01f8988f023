"""The store: decisions on disk, in one chain, before any answer leaves.

SQLAlchemy Core on SQLite, in write-ahead mode and synced at every commit; what SQLite needs of its own stands
in :mod:`api.sqlite`, and everything else is plain SQL, so that another database is another URL.

Decision rows hold no data about people. Those live in ``subjects``, under a pseudonym, so that erasing
somebody leaves the chain whole: every row's hash covers the row before it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    create_engine,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from api.sqlite import StoreFile, prepare, require_place
from pricing.errors import ArtifactError, BusyError, UsageError

__all__ = ["SCHEMA", "Entry", "Filter", "Request", "Run", "Store", "Stored", "Writing"]

SCHEMA = 2
"""Version of the tables; a newer program reads every older one.

Version 1 called the digest of a joint decision its passport, in the table of runs and in what rows hold.
"""

_GENESIS = "0" * 64
_PATIENCE = 10.0
_AT_ONCE = 500

_TABLES = MetaData()
_VERSION = Table("schema_version", _TABLES, Column("version", Integer, primary_key=True))
_CHAIN = Table(
    "chain",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
_RUNS = Table(
    "runs",
    _TABLES,
    Column("number", String(8), primary_key=True),
    Column("provenance_digest", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)
_DECISIONS = Table(
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
_REQUESTS = Table(
    "requests",
    _TABLES,
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)
_SUBJECTS = Table(
    "subjects",
    _TABLES,
    Column("pseudonym", String(64), primary_key=True),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One joint decision. `number` is the first eight digits of its digest; `content` is JSON-able."""

    number: str
    provenance_digest: str
    content: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision to record.

    Attributes
    ----------
    decision_id, price_group, zone
        Which decision, about what.
    content
        JSON-able; holds no data about people.
    text
        The same as it is written; worked out here, so that nobody waits for it at the pen.
    """

    decision_id: str
    price_group: str
    zone: str
    content: Mapping[str, Any]
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _canonical(self.content))


@dataclass(frozen=True, slots=True)
class Stored:
    """One decision as it was recorded.

    Attributes
    ----------
    seq
        Place in the chain, from 1.
    decision_id, run, recorded_at
        Which decision, of which run, when.
    content
        As it was given.
    digest
        Hash of the row, which covers the row before it.
    """

    seq: int
    decision_id: str
    run: str
    recorded_at: str
    content: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came with an idempotency key, what it asked and what it was answered with."""

    key: str
    fingerprint: str
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which decisions a list holds; an absent condition filters nothing."""

    price_group: str | None = None
    zone: str | None = None
    run: str | None = None


class Store:
    """Decisions in a database.

    Parameters
    ----------
    url
        SQLAlchemy URL, for example ``sqlite:///decisions.sqlite3``.
    now
        The clock, a time with its zone.

    Raises
    ------
    UsageError
        If the URL names no database that can be used here, or one that would not outlive the process.
    ArtifactError
        If what is there is no such database, or of a newer schema.
    BusyError
        If it cannot be written now: held by somebody, read-only, or on a full disk.
    """

    def __init__(self, url: str | URL, now: Callable[[], datetime]) -> None:
        self._now = now
        self._one_writer = threading.Lock()
        self._engine = _engine(url)
        self._file: StoreFile | None = None
        embedded = self._engine.dialect.name == "sqlite"
        if embedded:
            require_place(self._engine.url)
            prepare(self._engine, _PATIENCE)
        with _failures(), self._engine.execution_options(writes=True).begin() as connection:
            _create(connection)
            Writing(connection, "").head()  # a write, so that a store that cannot take one fails here
        if embedded:
            with _failures(), self._engine.connect() as connection:
                self._file = StoreFile.of(connection)
            self._file.require_room()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def ping(self) -> None:
        """Raise unless the store can be written now, and has room for what is to come."""
        if self._file is not None:
            self._file.require_room()
        with self.writing() as transaction:
            transaction.head()

    @contextmanager
    def writing(self) -> Generator[Writing]:
        """Hold the one place at the pen; everything inside is durable after it, or none of it happened."""
        if not self._one_writer.acquire(timeout=_PATIENCE):
            raise BusyError("The decision store has been busy for too long.", todo="Ask again in a moment.")
        try:
            with _failures(), self._engine.execution_options(writes=True).begin() as connection:
                yield Writing(connection, self._now().isoformat())
            self._require_file()
        finally:
            self._one_writer.release()

    def _require_file(self) -> None:
        if self._file is not None:
            self._file.require()

    def request(self, key: str) -> Request | None:
        """Return the request that came with this key before, None where none did."""
        with _failures(), self._engine.connect() as connection:
            return _request(connection, key)

    def holds(self, wanted: Filter) -> bool:
        """Return whether any decision that passes the filter is recorded."""
        with _failures(), self._engine.connect() as connection:
            return connection.execute(_filtered(select(literal(1)), wanted).limit(1)).first() is not None

    def zones(self) -> tuple[str, ...]:
        """Return the zones that decisions are recorded for, sorted."""
        with _failures(), self._engine.connect() as connection:
            return tuple(sorted(connection.execute(select(_DECISIONS.c.zone).distinct()).scalars()))

    def read(self, decision_ids: Sequence[str]) -> tuple[Stored, ...]:
        """Return the recorded ones among `decision_ids`, in that order."""
        self._require_file()
        with _failures(), self._engine.connect() as connection:
            return _read(connection, decision_ids)

    def known(self, decision_ids: Sequence[str]) -> frozenset[str]:
        """Return which of `decision_ids` are recorded, without reading what they hold."""
        with _failures(), self._engine.connect() as connection:
            return _known(connection, decision_ids)

    def page(self, wanted: Filter, after: int, limit: int) -> tuple[Stored, ...]:
        """Return up to `limit` decisions that follow place `after` in the chain, in its order."""
        with _failures(), self._engine.connect() as connection:
            return _page(connection, wanted, after, limit)

    def run(self, number: str) -> Run | None:
        """Return a recorded run, None where there is none."""
        with _failures(), self._engine.connect() as connection:
            return _run(connection, number)

    def verify(self) -> int:
        """Return the length of the chain; raises :class:`ArtifactError` naming the first broken row."""
        previous, seq = _GENESIS, 0
        query = select(_DECISIONS).order_by(_DECISIONS.c.seq).execution_options(yield_per=_AT_ONCE)
        with _failures(), self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                seq += 1
                expected = _link(previous, row["decision_id"], row["run"], row["recorded_at"], row["content"])
                if row["seq"] != seq or row["previous"] != previous or row["hash"] != expected:
                    raise _broken(f"Row {row['seq']} of the decision chain ({row['decision_id']})")
                previous = expected
            head = connection.execute(select(_CHAIN.c.seq, _CHAIN.c.hash)).one()
        if tuple(head) != (seq, previous):
            raise _broken(f"The end of the decision chain (row {head[0]}, found {seq})")
        return seq


class Writing:
    """One open write transaction."""

    def __init__(self, connection: Connection, at: str) -> None:
        self._connection = connection
        self._at = at

    def head(self) -> tuple[int, str]:
        """Return place and hash of the last row, holding the chain until the transaction ends."""
        self._connection.execute(update(_CHAIN).values(id=1))
        seq, digest = self._connection.execute(select(_CHAIN.c.seq, _CHAIN.c.hash)).one()
        return int(seq), str(digest)

    def request(self, key: str) -> Request | None:
        """As :meth:`Store.request`."""
        return _request(self._connection, key)

    def remember(self, request: Request) -> None:
        """Keep a request and its answer."""
        row = {"key": request.key, "fingerprint": request.fingerprint, "answer": _canonical(request.answer)}
        self._connection.execute(insert(_REQUESTS).values(**row, recorded_at=self._at))

    def record(self, run: Run, entries: Iterable[Entry]) -> tuple[Stored, ...]:
        """Append the entries that are not recorded yet, and the run where it is new.

        Returns
        -------
        tuple[Stored, ...]
            What is new.

        Raises
        ------
        ArtifactError
            If another run has the same number.
        """
        self._keep_run(run)
        seq, previous = self.head()
        found = list(entries)
        known = _known(self._connection, [entry.decision_id for entry in found])
        rows: list[dict[str, object]] = []
        new: list[Stored] = []
        for entry in found:
            if entry.decision_id in known:
                continue
            seq, before = seq + 1, previous
            previous = _link(before, entry.decision_id, run.number, self._at, entry.text)
            new.append(Stored(seq, entry.decision_id, run.number, self._at, entry.content, previous))
            rows.append(
                {
                    "seq": seq,
                    "decision_id": entry.decision_id,
                    "run": run.number,
                    "price_group": entry.price_group,
                    "zone": entry.zone,
                    "content": entry.text,
                    "recorded_at": self._at,
                    "previous": before,
                    "hash": previous,
                }
            )
        if rows:
            self._connection.execute(insert(_DECISIONS), rows)
            self._connection.execute(update(_CHAIN).values(seq=seq, hash=previous))
        return tuple(new)

    def read(self, decision_ids: Sequence[str]) -> tuple[Stored, ...]:
        """Return the recorded ones among `decision_ids`, in that order."""
        return _read(self._connection, decision_ids)

    def _keep_run(self, run: Run) -> None:
        known = _run(self._connection, run.number)
        if known is None:
            row = {
                "number": run.number,
                "provenance_digest": run.provenance_digest,
                "content": _canonical(run.content),
            }
            self._connection.execute(insert(_RUNS).values(**row, recorded_at=self._at))
        elif known.provenance_digest != run.provenance_digest:
            raise ArtifactError(
                f"Two different runs have the number {run.number}.",
                why="Their decisions would share identifiers.",
                todo="Serve this run with another seed or another store.",
            )


def _engine(url: str | URL) -> Engine:
    try:
        return create_engine(url, poolclass=QueuePool, pool_size=8)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise UsageError(
            "--store names no database that can be used here.",
            why=f"{error}.",
            todo="Give a file, or install the driver of that database.",
        ) from error


def _create(connection: Connection) -> None:
    _TABLES.create_all(connection)
    version = connection.execute(select(_VERSION.c.version)).scalar_one_or_none()
    if version is None:
        connection.execute(insert(_VERSION).values(version=SCHEMA))
        connection.execute(insert(_CHAIN).values(id=1, seq=0, hash=_GENESIS))
    elif version > SCHEMA:
        raise ArtifactError(
            f"The decision store has schema {version}; this Tarifa reads up to {SCHEMA}.",
            todo="Update Tarifa.",
        )
    elif version < SCHEMA:
        connection.execute(text("ALTER TABLE runs RENAME COLUMN passport TO provenance_digest"))
        connection.execute(update(_VERSION).values(version=SCHEMA))


def _known(connection: Connection, decision_ids: Sequence[str]) -> frozenset[str]:
    name, found = _DECISIONS.c.decision_id, set[str]()
    for start in range(0, len(decision_ids), _AT_ONCE):
        some = list(decision_ids[start : start + _AT_ONCE])
        found |= set(connection.execute(select(name).where(name.in_(some))).scalars())
    return frozenset(found)


def _read(connection: Connection, decision_ids: Sequence[str]) -> tuple[Stored, ...]:
    found: dict[str, Stored] = {}
    for start in range(0, len(decision_ids), _AT_ONCE):
        some = list(decision_ids[start : start + _AT_ONCE])
        query = select(_DECISIONS).where(_DECISIONS.c.decision_id.in_(some))
        found |= {row["decision_id"]: _stored(row) for row in connection.execute(query).mappings()}
    return tuple(found[name] for name in decision_ids if name in found)


def _page(connection: Connection, wanted: Filter, after: int, limit: int) -> tuple[Stored, ...]:
    query = select(_DECISIONS).where(_DECISIONS.c.seq > after).order_by(_DECISIONS.c.seq).limit(limit)
    return tuple(_stored(row) for row in connection.execute(_filtered(query, wanted)).mappings())


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    for column, value in (("price_group", wanted.price_group), ("zone", wanted.zone), ("run", wanted.run)):
        if value is not None:
            query = query.where(_DECISIONS.c[column] == value)
    return query


def _request(connection: Connection, key: str) -> Request | None:
    row = connection.execute(select(_REQUESTS).where(_REQUESTS.c.key == key)).mappings().first()
    return None if row is None else Request(key, row["fingerprint"], json.loads(row["answer"]))


def _run(connection: Connection, number: str) -> Run | None:
    row = connection.execute(select(_RUNS).where(_RUNS.c.number == number)).mappings().first()
    return None if row is None else Run(number, row["provenance_digest"], json.loads(row["content"]))


def _stored(row: Mapping[Any, Any]) -> Stored:
    content = json.loads(row["content"])
    return Stored(row["seq"], row["decision_id"], row["run"], row["recorded_at"], content, row["hash"])


def _canonical(content: Mapping[str, object]) -> str:
    return json.dumps(dict(content), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _link(previous: str, *parts: str) -> str:
    return hashlib.sha256("\n".join((previous, *parts)).encode()).hexdigest()


def _broken(what: str) -> ArtifactError:
    return ArtifactError(
        f"{what} is not what was recorded.",
        why="Its hash does not follow from the rows before it: the store was changed from outside.",
        todo="Restore the store from a backup.",
    )


@contextmanager
def _failures() -> Generator[None]:
    """Turn what a database reports into errors that say what to do."""
    try:
        yield
    except OperationalError as error:
        raise BusyError(
            "The decision store cannot be used now.",
            why=f"{error.orig}.",
            todo="Free disk space, allow writing, end whoever holds the store, or give another --store.",
        ) from error
    except PoolTimeoutError as error:
        raise BusyError(
            "Too many requests wait for the decision store.", todo="Ask again in a moment."
        ) from error
    except DatabaseError as error:
        raise ArtifactError(
            "The decision store is damaged or is no decision store.",
            why=f"{error.orig}.",
            todo="Restore it from a backup or give another --store.",
        ) from error
