"""The database: one writer at a time, durable commits, and errors that say what to do.

SQLAlchemy Core on SQLite, in write-ahead mode and synced at every commit; what SQLite needs of its own stands
in :mod:`api.storage.sqlite`, and everything else is plain SQL, so that another database is another URL.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import URL, Connection, Engine, create_engine, update
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from api.storage.sqlite import StoreFile, emptied_log, prepare, require_place
from api.storage.tables import CHAIN, SCHEMA, create
from api.storage.upgrade import upgrade
from pricing.errors import ArtifactError, BusyError, UsageError

__all__ = ["Database", "Transaction", "engine_of", "failures"]

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Transaction:
    """One open write transaction, and the moment (ISO 8601) at which it was opened."""

    connection: Connection
    at: str


class Database:
    """A database with the tables of the store.

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
        self._engine = engine_of(url)
        self._file: StoreFile | None = None
        embedded = self._engine.dialect.name == "sqlite"
        if embedded:
            require_place(self._engine.url)
            prepare(self._engine, _PATIENCE)
        with failures(), self._engine.execution_options(writes=True).begin() as connection:
            recorded = create(connection)
            if recorded is not None and recorded < SCHEMA:
                upgrade(connection, recorded, self._now().isoformat())
            _touch(connection)
        if embedded:
            with failures(), self._engine.connect() as connection:
                self._file = StoreFile.of(connection)
            self._file.require_room()

    def now(self) -> datetime:
        """Return what the clock says."""
        return self._now()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def ping(self) -> None:
        """Raise unless it can be written now, and has room for what is to come."""
        if self._file is not None:
            self._file.require_room()
        with self.writing() as transaction:
            _touch(transaction.connection)

    @contextmanager
    def writing(self) -> Generator[Transaction]:
        """Hold the one place at the pen; everything inside is durable after it, or none of it happened."""
        if not self._one_writer.acquire(timeout=_PATIENCE):
            raise BusyError("The decision store has been busy for too long.", todo="Ask again in a moment.")
        try:
            with failures(), self._engine.execution_options(writes=True).begin() as connection:
                yield Transaction(connection, self._now().isoformat())
            self.require_file()
        finally:
            self._one_writer.release()

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Look at what is recorded, as it is at the first question."""
        with failures(), self._engine.connect() as connection:
            yield connection

    def write_through(self) -> bool:
        """Leave nothing that was deleted in a log beside the database; return False where that must wait."""
        if self._file is None:
            return True
        with failures():
            return emptied_log(self._engine)

    def require_file(self) -> None:
        """Raise :class:`ArtifactError` if the files were moved, deleted or replaced."""
        if self._file is not None:
            self._file.require()


def _touch(connection: Connection) -> None:
    """Write, so that a store that cannot take a write fails here."""
    connection.execute(update(CHAIN).values(id=CHAIN.c.id))


def engine_of(url: str | URL) -> Engine:
    """Return the engine of a database; raises :class:`UsageError` for one that cannot be used here."""
    try:
        return create_engine(url, poolclass=QueuePool, pool_size=8)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise UsageError(
            "--store names no database that can be used here.",
            why=f"{error}.",
            todo="Give a file, or install the driver of that database.",
        ) from error


@contextmanager
def failures() -> Generator[None]:
    """Turn what a database reports into errors that say what to do."""
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        raise BusyError(
            "The decision store cannot be used now.",
            why=f"{getattr(error, 'orig', error)}.",
            todo="Free disk space, allow writing, end whoever holds the store, or give another --store.",
        ) from error
    except PoolTimeoutError as error:
        raise BusyError(
            "Too many requests wait for the decision store.", todo="Ask again in a moment."
        ) from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise ArtifactError(
            "The decision store is damaged or is no decision store.",
            why=f"{getattr(error, 'orig', error)}.",
            todo="Restore it from a backup or give another --store.",
        ) from error
