"""A data folder with more rows: a whole folder beside the old one, its tables grown longer, or nothing."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pricing.columns import Column, ColumnType, Table
from pricing.errors import UsageError
from pricing.schema import CONTRACT_VERSION
from simulators.contract.engine import file_literal, literal, quoted
from simulators.contract.files import CANONICAL
from simulators.contract.shop_file import SHOP_FILE
from simulators.contract.tables import Source, open_source
from simulators.folders import Folder, claim, read_folder

__all__ = ["NEW_TYPES", "Added", "Continued", "continued"]

NEW_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.TIME: "TIMESTAMP WITH TIME ZONE",
    ColumnType.BOOLEAN: "BOOLEAN",
    **dict.fromkeys(
        (ColumnType.NUMBER, ColumnType.UNIT_PRICE, ColumnType.MONEY, ColumnType.SHARE), "DECIMAL(26, 8)"
    ),
}
"""DuckDB type of a cell of the table ``added``, by what it holds."""


@dataclass(frozen=True, slots=True)
class Added:
    """What was added to one table.

    Attributes
    ----------
    table
        Of the contract.
    rows
        Added.
    known
        Rows that the table held already.
    total
        Rows of the table now.
    """

    table: str
    rows: int
    known: int
    total: int


@dataclass(frozen=True, slots=True)
class Continued:
    """A folder on its way: what was there, open, and the draft of what will be.

    Attributes
    ----------
    source
        The tables that are read or grow, open.
    folder
        The old folder.
    draft
        Where the new one is written.
    """

    source: Source
    folder: Folder
    draft: Path

    def lengthen(self, own: Table) -> int:
        """Write a table with the rows of ``added`` behind its own; return how many rows it has now.

        ``added`` is a table of the engine: columns of the contract of :data:`NEW_TYPES`, and `place`, the
        order of the new rows.
        """
        engine, name = self.source.engine, f"{own.name}.parquet"
        rows = "SELECT * EXCLUDE (place) FROM added ORDER BY place"
        if name in dict(self.folder.digests):
            path = file_literal(self.folder.file(name))
            self._recast(own, dict(engine.columns(f"SELECT * FROM read_parquet({path})")))
            old = (
                f"SELECT * EXCLUDE (file_row_number), file_row_number AS place "
                f"FROM read_parquet({path}, file_row_number = true)"
            )
            rows = (
                f"SELECT * EXCLUDE (origin, place) FROM (SELECT *, 0 AS origin FROM ({old}) "
                "UNION ALL BY NAME SELECT *, 1 AS origin FROM added) ORDER BY origin, place"
            )
        engine.run(
            f"COPY ({rows}) TO {literal(str(self.draft / name))} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{CANONICAL}: '{CONTRACT_VERSION}'}})"
        )
        return engine.count(f"SELECT count(*) FROM read_parquet({file_literal(self.draft / name)})")

    def _recast(self, own: Table, kinds: dict[str, str]) -> None:
        """Write ``added`` as the table that is there writes its cells, where a new one would differ."""
        engine, zone = self.source.engine, self.source.shop.time_zone
        decimal = next(found.notation.decimal for found in self.source.tables if found.table.name == own.name)
        new = [name for name, _ in engine.columns("SELECT * EXCLUDE (place) FROM added")]
        cells = {n: _cell(own.column(n), kinds[n], decimal, zone) for n in new if n in kinds}
        changed = ", ".join(f"{cell} AS {quoted(name)}" for name, cell in cells.items() if cell)
        if changed:
            engine.run(f"CREATE OR REPLACE TEMP TABLE added AS SELECT * REPLACE ({changed}) FROM added")


@contextmanager
def continued(
    before: Path,
    out: Path,
    touched: Collection[str],
    today: dt.date | dt.datetime,
    *,
    read: Collection[str] = (),
    rewritten: Collection[str] = (),
) -> Generator[Continued]:
    """Begin a data folder that goes on from another one; everything that is not touched is copied.

    Parameters
    ----------
    before
        A data folder that Tarifa wrote; it stays as it is.
    out
        The folder to write; another one.
    touched
        Tables that grow; :meth:`Continued.lengthen` writes them. One that has nothing to add must be
        lengthened by no rows.
    today
        As in :func:`simulators.contract.tables.open_source`.
    read
        Further tables to read.
    rewritten
        Further files that the caller writes anew.

    Raises
    ------
    ArtifactError
        If `before` is no data folder that Tarifa wrote, or was changed by hand.
    UsageError
        If `out` holds something else, or lies in `before`.
    """
    if out.resolve().is_relative_to(before.resolve()):
        raise UsageError(
            f"{out} is the folder that is to be continued.",
            why="An earlier folder stays as it is, so that every run made of it can be made again.",
            todo="Give another place with --out.",
        )
    with claim(out, "data", editable=(SHOP_FILE,)) as draft:
        folder = read_folder(before, "data")
        for name, _ in folder.digests:
            if name not in {*rewritten, *(f"{table}.parquet" for table in touched)}:
                shutil.copyfile(folder.file(name), draft / name)
        shutil.copyfile(folder.path / SHOP_FILE, draft / SHOP_FILE)
        with open_source(folder.path, today=today, only=(*read, *touched)) as source:
            yield Continued(source, folder, draft)


def _cell(column: Column, kind: str, decimal: str, time_zone: str) -> str:
    """Return the SQL of a new cell in the type of the old ones; empty where it is that already."""
    name = quoted(column.name)
    if column.type is ColumnType.TIME:
        local = f"timezone({literal(time_zone)}, {name})"
        if kind == "VARCHAR":
            return f"strftime({local}, '%Y-%m-%d %H:%M:%S')"
        return "" if kind == NEW_TYPES[ColumnType.TIME] else local
    if column.type is ColumnType.TEXT:
        return ""
    if column.type is ColumnType.BOOLEAN:
        return f"{name}::{kind}"
    # Eight decimals always: three would read like thousands.
    return f"replace({name}::VARCHAR, '.', {literal(decimal)})" if kind == "VARCHAR" else ""
