"""Statements of the money path: written in SQLAlchemy Core, compiled once, run on the driver itself.

Nine tenths of the time of a small statement on SQLite goes into what SQLAlchemy does around it (measured: 80
of 90 microseconds). One writer carries out every redemption, so that is what decides how many there can be.
Another database takes the ordinary way.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.elements import ClauseElement

__all__ = ["Statement", "savepoint"]

_DIALECT = SQLiteDialect_pysqlite(paramstyle="named")


class Statement:
    """One statement whose values are named when it is run.

    Parameters
    ----------
    clause
        A select, an insert that gives every column, an update or a text, of Core.
    """

    def __init__(self, clause: Any) -> None:
        self._clause = clause

    @cached_property
    def _compiled(self) -> tuple[str, Mapping[str, object]]:
        """SQL, and the values that stand in it; made when first run, so that importing stays quick."""
        element: ClauseElement = self._clause
        compiled = element.compile(dialect=_DIALECT)
        fixed: Mapping[str, object] = compiled.params or {}
        return str(compiled), {name: value for name, value in fixed.items() if value is not None}

    def rows(self, connection: Connection, **values: object) -> Sequence[Sequence[Any]]:
        """Run it; return its rows, columns in the order of the select (booleans may be 0 and 1)."""
        if (driver := _driver(connection)) is None:
            return connection.execute(self._clause, values).all()
        sql, fixed = self._compiled
        found: list[tuple[Any, ...]] = driver.execute(sql, {**fixed, **values}).fetchall()
        return found

    def count(self, connection: Connection, **values: object) -> int:
        """Run it; return how many rows it changed."""
        if (driver := _driver(connection)) is None:
            return int(connection.execute(self._clause, values).rowcount)
        sql, fixed = self._compiled
        return int(driver.execute(sql, {**fixed, **values}).rowcount)

    def many(self, connection: Connection, values: Sequence[Mapping[str, object]]) -> None:
        """Run it for each of several values."""
        if (driver := _driver(connection)) is None:
            connection.execute(self._clause, list(values))
        else:
            sql, fixed = self._compiled
            driver.executemany(sql, [{**fixed, **row} for row in values])


_BEGIN, _KEEP, _UNDO = (
    Statement(text(f"{word} SAVEPOINT effect".strip())) for word in ("", "RELEASE", "ROLLBACK TO")
)


@contextmanager
def savepoint(connection: Connection) -> Generator[None]:
    """Undo what is written inside if it raises, and nothing else."""
    _BEGIN.count(connection)
    try:
        yield
    except BaseException:
        _UNDO.count(connection)
        _KEEP.count(connection)
        raise
    _KEEP.count(connection)


def _driver(connection: Connection) -> Any:
    """Return the driver's own connection where it is SQLite, None elsewhere."""
    return connection.connection.driver_connection if connection.dialect.name == "sqlite" else None
