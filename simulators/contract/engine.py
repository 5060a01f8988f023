"""One DuckDB session behind typed functions: bounded memory, two threads, its own folder to spill into."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pricing.errors import BusyError, UsageError

__all__ = ["Engine", "file_literal", "literal", "open_engine", "quoted"]

Scalar = str | int | float | bool | None

_ESCAPED = {"*": "[*]", "?": "[?]", "[": "[[]"}
"""How a letter that a pattern gives a meaning is written to mean itself."""

_PREFIX, _LOCK = "tarifa-session-", "lock"

_FULL = ("No space left", "Disk quota exceeded", "File too large")
"""What the system says of a full disk, a used-up quota and a file that may not grow; DuckDB passes it on."""


class Engine:
    """A session whose tables live in a temporary file, compressed, so that no table need fit in memory.

    Parameters
    ----------
    connection
        An open DuckDB connection.
    folder
        Where temporary files may go; gone after the session.
    """

    def __init__(self, connection: Any, folder: Path) -> None:
        self._connection = connection
        self.folder = folder

    def run(self, sql: str, parameters: Sequence[Scalar] = ()) -> None:
        """Execute one statement."""
        self._execute(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Scalar] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query; for small results."""
        return cast("list[tuple[Any, ...]]", self._execute(sql, parameters).fetchall())

    def row(self, sql: str, parameters: Sequence[Scalar] = ()) -> tuple[Any, ...]:
        """Return the only row of a query."""
        (found,) = self.rows(sql, parameters)
        return found

    def count(self, sql: str, parameters: Sequence[Scalar] = ()) -> int:
        """Return the only number of a query as an integer, 0 for NULL."""
        return int(self.row(sql, parameters)[0] or 0)

    def columns(self, sql: str) -> list[tuple[str, str]]:
        """Return (name, type) of each column of a query without running it."""
        return [(str(row[0]), str(row[1])) for row in self.rows(f"DESCRIBE {sql}")]

    def register(self, name: str, columns: Mapping[str, Sequence[str | float | None]]) -> None:
        """Make columns of equal length a view, held in memory and never written to disk."""
        arrow = cast("Any", pa)
        self._connection.register(name, arrow.table({key: list(cells) for key, cells in columns.items()}))

    def arrays(self, sql: str) -> dict[str, NDArray[Any]]:
        """Return a query's columns as arrays; NULL becomes NaN in numbers and None in text."""
        found = cast("dict[str, Any]", self._execute(sql).fetchnumpy())
        return {name: _filled(values) for name, values in found.items()}

    def _execute(self, sql: str, parameters: Sequence[Scalar] = ()) -> Any:
        with _room(self.folder.parent):
            return self._connection.execute(sql, list(parameters))


@contextmanager
def _room(place: Path) -> Generator[None, None, None]:
    """Say what to do where memory or the disk is used up; `place` is where temporary files go."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise BusyError(
            "There is not enough memory or disk to work on these tables.",
            why=str(error).splitlines()[0],
            todo="Free some, or set TMPDIR to a larger disk, and run the command again.",
        ) from error
    except duckdb.Error as error:
        # A commit that finds the disk full is a TransactionException, a spill an IOException.
        if not any(words in str(error) for words in _FULL):
            raise
        raise BusyError(
            "There is no room left on the disk.",
            why=str(error).splitlines()[0],
            todo=f"Free some space where that file lies (TMPDIR moves what is in {place}), "
            "and run the command again.",
        ) from error


@contextmanager
def _own_folder() -> Generator[Path, None, None]:
    """Make the session's folder, gone afterwards."""
    try:
        place = Path(tempfile.gettempdir())
        _sweep(place)
        folder, handle = _made(place)
    except OSError as error:
        raise BusyError(
            "There is no room left for temporary files.",
            why=f"{error.strerror}.",
            todo="Free some space, or set TMPDIR to a folder that you may write to.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextmanager
def open_engine(
    *, memory: str = "1GB", threads: int = 2, on_disk: bool = True
) -> Generator[Engine, None, None]:
    """Open a session and remove everything it wrote at the end.

    Parameters
    ----------
    memory
        Most memory that tables and queries may take; beyond it DuckDB writes to the session's folder.
    threads
        Number of threads. Queries whose order matters say so, so results do not depend on it.
    on_disk
        Keep tables in a temporary file and spill what does not fit. False while rows may still hold what
        must not reach the disk: then everything is streamed or held in memory.
    """
    with _own_folder() as folder:
        config = {
            "memory_limit": memory,
            "threads": str(threads),
            "temp_directory": str(folder / "spill") if on_disk else "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        place = str(folder / "session.duckdb") if on_disk else ":memory:"
        with _room(folder.parent):
            connection = duckdb.connect(place, config=cast("Any", config))
        try:
            connection.execute("SET TimeZone = 'UTC'")
            # DuckDB draws its own bar on standard output once a query takes seconds, into what --json prints.
            with suppress(duckdb.InvalidInputException):  # a notebook without the widgets that draw one
                connection.execute("SET enable_progress_bar = false")
            yield Engine(connection, folder)
        finally:
            connection.close()


def _made(place: Path) -> tuple[Path, int]:
    """Make a session's folder and hold it by a lock, which dies with its process."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        handle = _held(folder)
        if handle is not None:
            return folder, handle


def _held(folder: Path) -> int | None:
    """Lock a new folder; None if a sweep was faster and took it for a dead session's."""
    lock = folder / _LOCK
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    fcntl.flock(handle, fcntl.LOCK_EX)
    with suppress(FileNotFoundError):
        if os.path.samestat(lock.stat(), os.fstat(handle)):
            return handle
    os.close(handle)
    return None


def _sweep(place: Path) -> None:
    """Remove the folders of sessions that were killed: they hold a shop's orders, and nobody else will.

    One that was killed before it had a lock is given one here, so that whoever is just making it (see
    `_held`) either waits and makes another or was first.
    """
    for folder in sorted(place.glob(f"{_PREFIX}*")):
        try:
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # another user's, or just gone
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:  # at work
            continue
        finally:
            os.close(handle)


def quoted(name: str) -> str:
    """Return an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text literal for SQL.

    Raises
    ------
    UsageError
        If it is no text: names of files are bytes, and those of some are none that UTF-8 knows.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{value!r} is no UTF-8 text.", todo="Rename that file or folder.") from error
    return "'" + value.replace("'", "''") + "'"


def file_literal(path: Path) -> str:
    """Return the path of one file for DuckDB's readers, which take ``*``, ``?`` and ``[`` for patterns.

    Unescaped, a folder named ``data[1]`` would be read from the folder ``data1`` beside it.
    """
    return literal("".join(_ESCAPED.get(letter, letter) for letter in str(path)))


def _filled(values: Any) -> NDArray[Any]:
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    array = cast("Any", values)
    if array.dtype.kind in "iufb":
        return np.asarray(array.astype(np.float64).filled(np.nan))
    return np.asarray(array.filled(None))
