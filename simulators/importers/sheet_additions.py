"""Costs and stock from sheets, added to a data folder: what was there stays, what contradicts it is refused.

The addition is a folder of its own (:mod:`simulators.importers.folder_additions`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pricing.columns import ColumnType, Table
from pricing.errors import DataError
from pricing.schema import table
from simulators.contract.engine import Engine, literal, quoted
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source, open_source
from simulators.folders import read_folder
from simulators.importers.folder_additions import NEW_TYPES, Added, Continued, continued
from simulators.importers.sheet_grid import Meaning
from simulators.importers.sheet_readings import READINGS_FILE, readings_with
from simulators.importers.sheets import Sheet, SheetRow

__all__ = ["Names", "add_sheets", "names_in"]

_NUMBER, _TIME = NEW_TYPES[ColumnType.NUMBER], NEW_TYPES[ColumnType.TIME]


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
    touched = {meaning.table for meaning, _ in sheets}
    names = ("products", "product_aliases")
    with continued(before, out, touched, today, read=names, rewritten=(READINGS_FILE,)) as made:
        (made.draft / READINGS_FILE).write_bytes(readings_with(made.folder.path, sheets))
        return tuple(_add(made, meaning, sheet) for meaning, sheet in sheets)


def _add(made: Continued, meaning: Meaning, sheet: Sheet) -> Added:
    new, own = _unknown(made.source, meaning, sheet), table(meaning.table)
    _register(made.source.engine, own, meaning, new, made.source.shop.time_zone)
    return Added(own.name, len(new), len(sheet.rows) - len(new), made.lengthen(own))


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
