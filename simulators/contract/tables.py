"""Open a shop's tables: typed, in minor units and local time, with every bad row named and set aside.

After :func:`open_source` each table of the contract exists in the session twice: ``typed_NAME`` with every
row, its number and the reason why it is bad, and the view ``NAME`` with the good rows only. A table that
the shop does not have is there too, empty, so that no query asks which tables exist.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import zoneinfo
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pricing.columns import Column, ColumnType, Table
from pricing.errors import DataError, TooManyBadRows
from pricing.schema import CONTRACT_VERSION, TABLES
from simulators.contract.cells import SQL_TYPES, Cell, Notation, detect_notation, typed_cell
from simulators.contract.engine import Engine, literal, open_engine, quoted
from simulators.contract.files import ROW, TableFile, find_files, open_table_file
from simulators.contract.row_rules import apply_row_rules
from simulators.contract.shop_file import SHOP_FILE, ShopFile, read_shop_file, render_shop_file

__all__ = [
    "BadRows",
    "LoadedTable",
    "Source",
    "columns_of",
    "open_source",
    "places_of",
    "require_columns",
    "require_tables",
]


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """One table of the shop as it was found.

    Attributes
    ----------
    table
        Its contract.
    file
        Its file.
    notation
        How its text writes numbers and days.
    rows, bad
        Rows in all, and those set aside.
    ignored
        Columns of the file that the contract does not know; nothing of them was read.
    """

    table: Table
    file: TableFile
    notation: Notation
    rows: int
    bad: int
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadRows:
    """Rows of one table that share a reason.

    Attributes
    ----------
    table, reason
        Where and why.
    count
        How many.
    rows
        Numbers of the first ten, ascending.
    """

    table: str
    reason: str
    count: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A shop's tables, open in a session.

    Attributes
    ----------
    folder
        Where they lie.
    shop
        Its settings.
    engine
        The session in which every table of the contract is a view of its good rows.
    tables
        Those that the shop has, in contract order.
    today
        First day that has not happened yet, for the check of future dates.
    fingerprint
        SHA-256 of the files' bytes and the settings; the same input always gives the same one.
    """

    folder: Path
    shop: ShopFile
    engine: Engine
    tables: tuple[LoadedTable, ...]
    today: dt.date
    fingerprint: str

    def has(self, name: str) -> bool:
        """Return whether the shop has a table."""
        return any(loaded.table.name == name for loaded in self.tables)

    def bad_rows(self) -> tuple[BadRows, ...]:
        """Return what is wrong with which rows, by table and reason."""
        found: list[BadRows] = []
        for loaded in self.tables:
            name = loaded.table.name
            found += [
                BadRows(name, str(reason), int(count), tuple(int(row) for row in rows))
                for reason, count, rows in self.engine.rows(
                    f"SELECT _reason, count(*), list_sort(min(_row, 10)) FROM typed_{name} "
                    "WHERE _reason IS NOT NULL GROUP BY _reason ORDER BY _reason"
                )
            ]
        return tuple(found)

    def require_clean(self) -> None:
        """Raise :class:`TooManyBadRows` if a table has more bad rows than the shop file allows."""
        for loaded in self.tables:
            if loaded.bad > self.shop.quarantine_share * loaded.rows:
                worst = max(
                    (b for b in self.bad_rows() if b.table == loaded.table.name), key=lambda b: b.count
                )
                raise TooManyBadRows(
                    f"{loaded.file.path.name}: {loaded.bad} of {loaded.rows} rows are bad, for example "
                    f"row {worst.rows[0]} ({worst.reason}; {worst.count} such rows).",
                    why=f"shop.toml allows a share of {self.shop.quarantine_share:g} (quarantine_share).",
                    todo="Correct the export, or raise quarantine_share if losing these rows is fine.",
                )


@contextmanager
def open_source(
    folder: Path,
    *,
    today: dt.date | dt.datetime,
    shop: ShopFile | None = None,
    only: Collection[str] = (),
    memory: str = "1GB",
) -> Generator[Source, None, None]:
    """Open a data folder.

    Parameters
    ----------
    folder
        Tables as NAME.parquet, NAME.csv or NAME.xlsx, and shop.toml.
    today
        First day that has not happened yet: a later order is a bad row. A moment with a time zone stands
        for now: then it is the day after the one that the shop's own calendar shows.
    shop
        Settings to use instead of the folder's shop.toml.
    only
        Tables to read; empty for all. The fingerprint covers all of them either way.
    memory
        Most memory of the session.

    Raises
    ------
    DataError
        If a required table or column is missing, or a file is empty, damaged or ambiguous.
    """
    files = find_files(folder)
    settings = shop or read_shop_file(folder / SHOP_FILE)
    names = [name for name, _ in files]
    require_tables(folder, names)
    first_unseen = _first_unseen(today, settings)
    with open_engine(memory=memory) as engine:
        opened = [open_table_file(engine, name, path) for name, path in files]
        wanted = {file.name: file for file in opened if not only or file.name in only}
        found = [_load(engine, t, wanted[t.name], settings) for t in TABLES if t.name in wanted]
        for table in TABLES:
            if table.name not in wanted:
                _create_empty(engine, table, settings)
        apply_row_rules(engine, [loaded[0] for loaded in found], settings, first_unseen)
        for table in TABLES:
            engine.run(
                f"CREATE VIEW {table.name} AS SELECT * EXCLUDE (_reason) FROM typed_{table.name} "
                "WHERE _reason IS NULL"
            )
        tables = tuple(_loaded(engine, *entry) for entry in found)
        yield Source(folder, settings, engine, tables, first_unseen, _fingerprint(opened, settings))


def _first_unseen(today: dt.date, shop: ShopFile) -> dt.date:
    if not isinstance(today, dt.datetime):
        return today
    return today.astimezone(zoneinfo.ZoneInfo(shop.time_zone)).date() + dt.timedelta(days=1)


def require_tables(folder: Path, names: Collection[str]) -> None:
    """Raise :class:`DataError` if a table that nothing runs without is not among `names`."""
    for table in TABLES:
        if table.required and table.name not in names:
            raise DataError(
                f"{folder} has no table {table.name}.",
                why=f"Nothing runs without it: {table.meaning[0].lower()}{table.meaning[1:]}",
                todo=f"Add {table.name}.parquet, {table.name}.csv or {table.name}.xlsx.",
            )


def require_columns(file: TableFile, columns: tuple[Column, ...], found: Collection[str]) -> None:
    """Raise :class:`DataError` if a required column is neither in the file nor given a constant value."""
    for column in columns:
        if column.required and column.name not in found:
            raise DataError(
                f"{file.path.name} has no column {column.name}.",
                why=f"Every row of {file.name} needs it: {column.meaning[0].lower()}{column.meaning[1:]}",
                todo=f"Add it, name yours under [columns.{file.name}] in shop.toml, or give one value for "
                f"all rows under [constants.{file.name}]. The file has: {', '.join(file.header)}.",
            )


def columns_of(table: Table, shop: ShopFile) -> tuple[Column, ...]:
    """Return the columns of a table, those that the shop file declares included."""
    declared = shop.attributes.get(table.name, ())
    extra = tuple(Column(name, ColumnType.TEXT, "Declared in the shop file.") for name in declared)
    return table.columns + extra


def _load(
    engine: Engine, table: Table, file: TableFile, shop: ShopFile
) -> tuple[Table, TableFile, Notation, tuple[str, ...]]:
    columns = columns_of(table, shop)
    places = places_of(columns, file, shop)
    constants = shop.constants.get(table.name, {})
    require_columns(file, columns, {*places, *constants})
    kinds = dict(zip(file.header, file.types, strict=True))
    notation = detect_notation(engine, file, {places[c.name]: c for c in columns if c.name in places}, shop)
    _refuse_addresses(engine, file, [places[c.name] for c in columns if c.personal and c.name in places])
    cells = [_cell(column, places, kinds, constants, notation, shop) for column in columns]
    _create(engine, table, file, cells)
    used = set(places.values())
    return table, file, notation, tuple(name for name in file.header if name not in used)


def places_of(columns: tuple[Column, ...], file: TableFile, shop: ShopFile) -> dict[str, str]:
    """Return the file's own column name of each contract column that it has.

    What the map gives to one column is not read as another, whatever its name.
    """
    mapped: Mapping[str, str] = {}
    if not file.canonical:
        mapped = shop.columns.get(file.name, mapped)
    own = {name.lower(): name for name in reversed(file.header)}
    for meant, theirs in sorted(mapped.items()):
        if theirs.lower() not in own:
            raise DataError(
                f"{file.path.name} has no column {theirs}.",
                why=f"shop.toml says under [columns.{file.name}] that it is {meant}.",
                todo=f"Correct the map. The file has: {', '.join(file.header)}.",
            )
    taken = {theirs.lower() for theirs in mapped.values()}
    places: dict[str, str] = {}
    for column in columns:
        name = mapped.get(column.name, column.name)
        if name.lower() in own and (column.name in mapped or name.lower() not in taken):
            places[column.name] = name if name in file.header else own[name.lower()]
    return places


def _refuse_addresses(engine: Engine, file: TableFile, personal: list[str]) -> None:
    for name in personal:
        if engine.count(f"SELECT count(*) FROM {file.relation} WHERE contains({quoted(name)}::VARCHAR, '@')"):
            raise DataError(
                f"{file.path.name}: the column {name} holds e-mail addresses.",
                why="Only keyed pseudonyms of customers may lie in a data folder.",
                todo="Run `tarifa import` on the original files: it replaces them.",
            )


def _cell(
    column: Column,
    places: Mapping[str, str],
    kinds: Mapping[str, str],
    constants: Mapping[str, str],
    notation: Notation,
    shop: ShopFile,
) -> Cell:
    if column.name in places:
        place = places[column.name]
        return typed_cell(column, quoted(place), kinds[place], notation, shop)
    if column.name in constants:
        return typed_cell(column, literal(constants[column.name]), "VARCHAR", Notation(), shop)
    return typed_cell(column, "NULL::VARCHAR", "VARCHAR", Notation(), shop)


def _create(engine: Engine, table: Table, file: TableFile, cells: list[Cell]) -> None:
    raw = ", ".join(f"{cell.raw} AS {quoted(f'raw {cell.column.name}')}" for cell in cells)
    typed = ", ".join(f"{cell.typed} AS {quoted(cell.column.name)}" for cell in cells)
    names = ", ".join(quoted(cell.column.name) for cell in cells)
    rows = f"SELECT {quoted(ROW)} AS _row, {raw} FROM {file.relation}"
    reasons = ", ".join(cell.reason for cell in cells)
    filled = " OR ".join(f"{quoted(f'raw {cell.column.name}')} IS NOT NULL" for cell in cells)
    engine.run(
        f"CREATE TABLE typed_{table.name} AS SELECT _row, {names}, coalesce({reasons}, NULL) AS _reason "
        f"FROM (SELECT *, {typed} FROM ({rows}) WHERE {filled})"
    )
    if engine.count(f"SELECT count(*) FROM typed_{table.name}") == 0:
        raise DataError(
            f"{file.path.name} has no rows.", why="An export was probably cut off.", todo="Export it again."
        )


def _create_empty(engine: Engine, table: Table, shop: ShopFile) -> None:
    columns = ", ".join(f"{quoted(c.name)} {SQL_TYPES[c.type]}" for c in columns_of(table, shop))
    engine.run(f"CREATE TABLE typed_{table.name} (_row BIGINT, {columns}, _reason VARCHAR)")


def _loaded(
    engine: Engine, table: Table, file: TableFile, notation: Notation, ignored: tuple[str, ...]
) -> LoadedTable:
    rows, bad = engine.row(f"SELECT count(*), count(_reason) FROM typed_{table.name}")
    return LoadedTable(table, file, notation, int(rows), int(bad), ignored)


def _fingerprint(files: list[TableFile], shop: ShopFile) -> str:
    facts = {
        "contract": CONTRACT_VERSION,
        "shop": render_shop_file(shop),
        "tables": [[file.name, file.path.suffix, file.sha256] for file in files],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
