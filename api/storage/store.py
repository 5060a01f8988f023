"""The store: decisions on disk, in one chain, before any answer leaves.

Decision rows hold no data about people. Those live in ``subjects``, under a pseudonym, so that erasing
somebody leaves the chain whole: every row's hash covers the row before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import URL, Connection, Select, insert, literal, select

from api.storage.chain import Chain, canonical, link
from api.storage.commit_queue import CommitQueue
from api.storage.database import Database, Transaction
from api.storage.tables import DECISION_CHAIN, DECISIONS, REQUESTS, RUNS, in_parts
from pricing.errors import ArtifactError

__all__ = ["Entry", "Filter", "Request", "Run", "Store", "Stored", "Writing"]


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
        object.__setattr__(self, "text", canonical(self.content))


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
    TarifaError
        As :class:`api.storage.database.Database`.
    """

    def __init__(self, url: str | URL, now: Callable[[], datetime]) -> None:
        self.database = Database(url, now)
        self.commits = CommitQueue(self.database)

    def close(self) -> None:
        """Let go of the database."""
        self.commits.close()
        self.database.close()

    def ping(self) -> None:
        """Raise unless the store can be written now, and has room for what is to come."""
        self.database.ping()

    @contextmanager
    def writing(self) -> Generator[Writing]:
        """Hold the one place at the pen; everything inside is durable after it, or none of it happened."""
        with self.database.writing() as transaction:
            yield Writing(transaction)

    def request(self, key: str) -> Request | None:
        """Return the request that came with this key before, None where none did."""
        with self.database.reading() as connection:
            return _request(connection, key)

    def holds(self, wanted: Filter) -> bool:
        """Return whether any decision that passes the filter is recorded."""
        with self.database.reading() as connection:
            return connection.execute(_filtered(select(literal(1)), wanted).limit(1)).first() is not None

    def zones(self) -> tuple[str, ...]:
        """Return the zones that decisions are recorded for, sorted."""
        with self.database.reading() as connection:
            return tuple(sorted(connection.execute(select(DECISIONS.c.zone).distinct()).scalars()))

    def read(self, decision_ids: Sequence[str]) -> tuple[Stored, ...]:
        """Return the recorded ones among `decision_ids`, in that order."""
        self.database.require_file()
        with self.database.reading() as connection:
            return _read(connection, decision_ids)

    def known(self, decision_ids: Sequence[str]) -> frozenset[str]:
        """Return which of `decision_ids` are recorded, without reading what they hold."""
        with self.database.reading() as connection:
            return _known(connection, decision_ids)

    def page(self, wanted: Filter, after: int, limit: int) -> tuple[Stored, ...]:
        """Return up to `limit` decisions that follow place `after` in the chain, in its order."""
        with self.database.reading() as connection:
            return _page(connection, wanted, after, limit)

    def run(self, number: str) -> Run | None:
        """Return a recorded run, None where there is none."""
        with self.database.reading() as connection:
            return _run(connection, number)

    def verify(self) -> int:
        """Return the length of the chain; raises :class:`ArtifactError` naming the first broken row."""
        with self.database.reading() as connection:
            chain = Chain(connection, DECISION_CHAIN)
            return chain.verify(DECISIONS, "decision chain", ("decision_id", "run", "recorded_at", "content"))


class Writing:
    """One open write transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self._connection = transaction.connection
        self._at = transaction.at

    def head(self) -> tuple[int, str]:
        """Return place and hash of the last row, holding the chain until the transaction ends."""
        return Chain(self._connection, DECISION_CHAIN).held()

    def request(self, key: str) -> Request | None:
        """As :meth:`Store.request`."""
        return _request(self._connection, key)

    def remember(self, request: Request) -> None:
        """Keep a request and its answer."""
        row = {"key": request.key, "fingerprint": request.fingerprint, "answer": canonical(request.answer)}
        self._connection.execute(insert(REQUESTS).values(**row, recorded_at=self._at))

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
            previous = link(before, entry.decision_id, run.number, self._at, entry.text)
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
            self._connection.execute(insert(DECISIONS), rows)
            Chain(self._connection, DECISION_CHAIN).extend(seq, previous)
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
                "content": canonical(run.content),
            }
            self._connection.execute(insert(RUNS).values(**row, recorded_at=self._at))
        elif known.provenance_digest != run.provenance_digest:
            raise ArtifactError(
                f"Two different runs have the number {run.number}.",
                why="Their decisions would share identifiers.",
                todo="Serve this run with another seed or another store.",
            )


def _known(connection: Connection, decision_ids: Sequence[str]) -> frozenset[str]:
    name, found = DECISIONS.c.decision_id, set[str]()
    for some in in_parts(decision_ids):
        found |= set(connection.execute(select(name).where(name.in_(some))).scalars())
    return frozenset(found)


def _read(connection: Connection, decision_ids: Sequence[str]) -> tuple[Stored, ...]:
    found: dict[str, Stored] = {}
    for some in in_parts(decision_ids):
        query = select(DECISIONS).where(DECISIONS.c.decision_id.in_(some))
        found |= {row["decision_id"]: _stored(row) for row in connection.execute(query).mappings()}
    return tuple(found[name] for name in decision_ids if name in found)


def _page(connection: Connection, wanted: Filter, after: int, limit: int) -> tuple[Stored, ...]:
    query = select(DECISIONS).where(DECISIONS.c.seq > after).order_by(DECISIONS.c.seq).limit(limit)
    return tuple(_stored(row) for row in connection.execute(_filtered(query, wanted)).mappings())


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    for column, value in (("price_group", wanted.price_group), ("zone", wanted.zone), ("run", wanted.run)):
        if value is not None:
            query = query.where(DECISIONS.c[column] == value)
    return query


def _request(connection: Connection, key: str) -> Request | None:
    row = connection.execute(select(REQUESTS).where(REQUESTS.c.key == key)).mappings().first()
    return None if row is None else Request(key, row["fingerprint"], json.loads(row["answer"]))


def _run(connection: Connection, number: str) -> Run | None:
    row = connection.execute(select(RUNS).where(RUNS.c.number == number)).mappings().first()
    return None if row is None else Run(number, row["provenance_digest"], json.loads(row["content"]))


def _stored(row: Mapping[Any, Any]) -> Stored:
    content = json.loads(row["content"])
    return Stored(row["seq"], row["decision_id"], row["run"], row["recorded_at"], content, row["hash"])
