"""Everything that only SQLite needs: durable commits, writers that queue, and a file that is still there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

from pricing.errors import ArtifactError, BusyError, UsageError

__all__ = ["ROOM", "StoreFile", "emptied_log", "prepare", "require_place", "url_of"]

ROOM = 32 << 20
"""Bytes on disk without which nothing is served: some pages of a thousand decisions, logged and copied."""

_MEMORY = ("", ":memory:")


def url_of(place: str) -> URL | str:
    """Return the database URL of what a user gave: a URL as it is, anything else as a file of SQLite."""
    return place if "://" in place else URL.create("sqlite", database=place)


def require_place(url: URL) -> None:
    """Refuse a place where SQLite would lose or never find what is recorded.

    Raises
    ------
    UsageError
        If it lies in memory only, in a folder that does not exist, or is a folder.
    """
    place = url.database or ""
    if place in _MEMORY or "mode=memory" in str(url) or ":memory:" in place:
        raise UsageError(
            "--store names a database in memory.",
            why="What is answered must outlive this process.",
            todo="Give a file.",
        )
    if place.startswith("file:"):
        return
    if Path(place).is_dir():
        raise UsageError(f"--store: {place} is a folder.", todo="Give a file in it.")
    if not Path(place).absolute().parent.is_dir():
        raise UsageError(
            f"--store: there is no folder {Path(place).parent}.", todo="Make it first, or give another file."
        )


def prepare(engine: Engine, patience: float) -> None:
    """Make commits durable, and writers wait for each other up to `patience` seconds instead of failing."""

    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy emits BEGIN itself, below
        for pragma in (
            f"busy_timeout={int(patience * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


def emptied_log(engine: Engine) -> bool:
    """Bring the write-ahead log into the database and empty it; return False where a reader kept it.

    What was deleted is overwritten in the database; the log holds it until then.
    """
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy: Any = cursor.fetchone()
        cursor.close()
        return bool(busy[0] == 0)
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class StoreFile:
    """The files that a store writes to, as they were when it was opened.

    SQLite goes on writing to a file that was deleted or replaced under it: every commit succeeds, and nothing
    is recorded. So each commit is followed by :meth:`require`, and so is what is answered from the record.

    Attributes
    ----------
    identities
        Path, device and inode of the database and its write-ahead log.
    """

    identities: tuple[tuple[str, tuple[int, int] | None], ...]

    @staticmethod
    def of(connection: Connection) -> StoreFile:
        """Return the files of an open connection that has written."""
        listed = connection.exec_driver_sql("PRAGMA database_list").all()
        place = next(str(path) for _, name, path in listed if name == "main")
        return StoreFile(tuple((name, _identity(name)) for name in (place, f"{place}-wal")))

    def require(self) -> None:
        """Raise :class:`ArtifactError` if a file is gone or another one has taken its place."""
        for name, identity in self.identities:
            if _identity(name) != identity:
                raise ArtifactError(
                    f"The decision store was moved, deleted or replaced while it was served "
                    f"({os.path.basename(name)}).",  # noqa: PTH119 - a request must not learn where it lies
                    why="What was recorded since then may be lost, so nothing is answered.",
                    todo="Put the store back and start the service again.",
                )

    def require_room(self, size: int = ROOM) -> None:
        """Raise :class:`BusyError` if the disk has less than `size` bytes left.

        A short write fits into the log on a disk that is full; the answer that fails is the one that counts.
        """
        disk = os.statvfs(self.identities[0][0])
        left = disk.f_bavail * disk.f_frsize
        if left < size:
            raise BusyError(
                f"The disk of the decision store is full: {left >> 20} MB are left, {size >> 20} are needed.",
                todo="Free disk space, or give another --store.",
            )


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - on every commit
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
