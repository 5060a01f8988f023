"""Costs and stock from sheets, added to a data folder: what was there stays, what contradicts it is refused.

The addition writes a whole folder beside the old one (:func:`simulators.folders.claim`), its tables grown
longer: either there is the whole result or nothing.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pricing.columns import Table
from pricing.errors import DataError, UsageError
from pricing.schema import CONTRACT_VERSION, table
from simulators.contract.engine import Engine, file_literal, literal, quoted
from simulators.contract.files import CANONICAL
from simulators.contract.shop_file import SHOP_FILE, ShopFile
from simulators.contract.tables import Source, open_source
from simulators.folders import Folder, claim, read_folder
from simulators.importers.sheet_grid import Meaning
from simulators.importers.sheet_readings import READINGS_FILE, readings_with
from simulators.importers.sheets import Sheet, SheetRow

__all__ = ["Added", "Names", "add_sheets", "names_in"]

_NUMBER, _TIME = "DECIMAL(26, 8)", "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class Names:
    """What products are called in a data folder.

    Attributes
    ----------
    shop
        Its settings.
    products
        Every product_id.
    aliases
        Products by former or foreign key.
    unseen
        First day that has not happened yet in the shop's calendar.
    """

    shop: ShopFile
    products: frozenset[str]
    aliases: Mapping[str, frozenset[str]]
    unseen: dt.date

    def product_of(self, key: str) -> str | None:
        """Return the product that a key means; None if there is none, or the key has meant several."""
        if key in self.products:
            return key
        meant = self.aliases.get(key, frozenset())
        return next(iter(meant)) if len(meant) == 1 else None


@dataclass(frozen=True, slots=True)
class Added:
    """What one sheet added to one table.

    Attributes
    ----------
    table
        Of the contract.
    rows
        Added.
    known
        Rows of the sheet that the table held already.
    total
        Rows of the table now.
    """

    table: str
    rows: int
    known: int
    total: int


def names_in(before: Path, today: dt.date | dt.datetime) -> Names:
    """Return what products are called in a data folder that Tarifa wrote.

    Raises
    ------
    ArtifactError
        If it is no such folder.
    DataError
        If its products break the contract.
    """
    read_folder(before, "data")
    with open_source(before, today=today, only=("products", "product_aliases")) as source:
        aliases: dict[str, set[str]] = {}
        for key, product in source.engine.rows("SELECT source_key, product_id FROM product_aliases"):
            aliases.setdefault(str(key), set()).add(str(product))
        products = frozenset(str(row[0]) for row in source.engine.rows("SELECT product_id FROM products"))
        kept = {key: frozenset(meant & products) for key, meant in aliases.items()}
        return Names(source.shop, products, kept, source.today)


def add_sheets(
    before: Path, out: Path, sheets: Sequence[tuple[Meaning, Sheet]], today: dt.date | dt.datetime
) -> tuple[Added, ...]:
    """Write a data folder with the rows of sheets added to its tables, and how they were read.

    Parameters
    ----------
    before
        A data folder that Tarifa wrote; it stays as it is.
    out
        The folder to write; another one.
    sheets
        What each sheet means, and what it says; at most one of each meaning.
    today
        As in :func:`simulators.contract.tables.open_source`.

    Raises
    ------
    DataError
        If a row contradicts one that is there: another value of the same product and day.
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
    touched = {meaning.table for meaning, _ in sheets}
    with claim(out, "data", editable=(SHOP_FILE,)) as draft:
        folder = read_folder(before, "data")
        for name, _ in folder.digests:
            if name not in {READINGS_FILE, *(f"{table_name}.parquet" for table_name in touched)}:
                shutil.copyfile(folder.file(name), draft / name)
        (draft / READINGS_FILE).write_bytes(readings_with(folder.path, sheets))
        shutil.copyfile(folder.path / SHOP_FILE, draft / SHOP_FILE)
        with open_source(folder.path, today=today, only=("products", "product_aliases", *touched)) as source:
            return tuple(_add(source, folder, meaning, sheet, draft) for meaning, sheet in sheets)


def _add(source: Source, folder: Folder, meaning: Meaning, sheet: Sheet, draft: Path) -> Added:
    new = _unknown(source, meaning, sheet)
    own, engine = table(meaning.table), source.engine
    _register(engine, own, meaning, new, source.shop.time_zone)
    name = f"{own.name}.parquet"
    rows = "SELECT * EXCLUDE (place) FROM added ORDER BY place"
    if name in dict(folder.digests):
        path = file_literal(folder.file(name))
        kinds = dict(engine.columns(f"SELECT * FROM read_parquet({path})"))
        decimal = next(found.notation.decimal for found in source.tables if found.table.name == own.name)
        _recast(engine, meaning, kinds, decimal, source.shop.time_zone)
        old = (
            f"SELECT * EXCLUDE (file_row_number), file_row_number AS place "
            f"FROM read_parquet({path}, file_row_number = true)"
        )
        rows = (
            f"SELECT * EXCLUDE (origin, place) FROM (SELECT *, 0 AS origin FROM ({old}) "
            "UNION ALL BY NAME SELECT *, 1 AS origin FROM added) ORDER BY origin, place"
        )
    engine.run(
        f"COPY ({rows}) TO {literal(str(draft / name))} "
        f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{CANONICAL}: '{CONTRACT_VERSION}'}})"
    )
    total = engine.count(f"SELECT count(*) FROM read_parquet({file_literal(draft / name)})")
    return Added(own.name, len(new), len(sheet.rows) - len(new), total)


def _unknown(source: Source, meaning: Meaning, sheet: Sheet) -> list[SheetRow]:
    """Return the rows that the table does not hold yet; what contradicts it is an error."""
    zoned = "zone" in table(meaning.table).names
    columns = f"product_id, {quoted(meaning.time)}, {quoted(meaning.value)}, {'zone' if zoned else 'NULL'}"
    known = {
        (str(product), at, zone): float(value)
        for product, at, value, zone in source.engine.rows(f"SELECT {columns} FROM {meaning.table}")
    }
    scale = source.shop.money.scale if meaning.table == "costs" else 1
    new: list[SheetRow] = []
    other: list[SheetRow] = []
    for row in sheet.rows:
        zone = (row.zone or source.shop.zones[0].id) if zoned else None
        said = known.get((row.product_id, row.at, zone))
        if said is None:
            new.append(row)
        elif abs(said - float(row.value) * scale) > 1e-6 * max(1.0, abs(said)):
            other.append(row)
    if other:
        first = other[0]
        raise DataError(
            f"{sheet.path.name}, row {first.number}: {meaning.table} holds another {meaning.value} of "
            f"{first.product_id} for {first.at:%Y-%m-%d}; {len(other)} such rows in all.",
            why="One product has one of it at one time, and what was imported is never overwritten.",
            todo="Give the day from which the new one holds with --day, or leave those rows out.",
        )
    return new


def _register(engine: Engine, own: Table, meaning: Meaning, rows: Sequence[SheetRow], time_zone: str) -> None:
    """Make the table ``added``, typed as a new table of the contract is."""
    text: dict[str, Sequence[str | float | None]] = {
        "product_id": [row.product_id for row in rows],
        "value": [f"{row.value:f}" for row in rows],
        "at": [row.at.isoformat(sep=" ") for row in rows],
        "zone": [row.zone or None for row in rows],
        "place": [f"{row.number}" for row in rows],
    }
    engine.register("said", text)
    zone = ", zone::VARCHAR AS zone" if "zone" in own.names and any(row.zone for row in rows) else ""
    engine.run(
        f"CREATE OR REPLACE TEMP TABLE added AS SELECT product_id::VARCHAR AS product_id, "
        f'timezone({literal(time_zone)}, "at"::TIMESTAMP)::{_TIME} AS {quoted(meaning.time)}, '
        f"value::{_NUMBER} AS {quoted(meaning.value)}{zone}, place::BIGINT AS place FROM said"
    )


def _recast(engine: Engine, meaning: Meaning, kinds: Mapping[str, str], decimal: str, time_zone: str) -> None:
    """Write ``added`` as the table that is there writes its cells, where that is text or local time."""
    value, at = quoted(meaning.value), quoted(meaning.time)
    cells: dict[str, str] = {}
    if kinds[meaning.value] == "VARCHAR":
        # Eight decimals always: three would read like thousands.
        cells[value] = f"replace({value}::VARCHAR, '.', {literal(decimal)})"
    local = f"timezone({literal(time_zone)}, {at})"
    if kinds[meaning.time] == "VARCHAR":
        cells[at] = f"strftime({local}, '%Y-%m-%d %H:%M:%S')"
    elif kinds[meaning.time] != _TIME:
        cells[at] = local
    changed = ", ".join(f"{cell} AS {name}" for name, cell in cells.items())
    if changed:
        engine.run(f"CREATE OR REPLACE TEMP TABLE added AS SELECT * REPLACE ({changed}) FROM added")
