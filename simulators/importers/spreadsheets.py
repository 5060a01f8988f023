"""A shop's own CSV, Excel or Parquet exports to a data folder, by allow-list.

Only columns of the contract and those that the shop file declares are read; every other one is listed by
name and left behind. Cells are kept as they were written, so that the check can name what is wrong with
them; customers become keyed pseudonyms on the way. Rows are streamed and nothing is spilled, so what is
left behind never reaches the disk, not even for a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pricing.columns import Column
from pricing.errors import DataError
from pricing.pseudonyms import pseudonyms
from pricing.schema import CONTRACT_VERSION, table
from simulators.contract.cells import as_text
from simulators.contract.engine import Engine, file_literal, literal, open_engine, quoted
from simulators.contract.files import CANONICAL, ROW, TableFile, find_export, open_table_file
from simulators.contract.shop_file import SHOP_FILE, ShopFile, render_shop_file
from simulators.contract.tables import columns_of, places_of, require_columns, require_tables
from simulators.folders import claim
from simulators.importers.complete_journey import ImportedTable
from simulators.importers.pseudonyms import read_key

__all__ = ["import_spreadsheets", "write_table"]

_ADDRESS = r"[^\s@]+@[^\s@]+\.[a-zA-Z]{2,}"


def import_spreadsheets(source: Path, out: Path, shop: ShopFile, key_file: Path) -> tuple[ImportedTable, ...]:
    """Write a folder of exports as a data folder; the same input and key give the same bytes.

    Parameters
    ----------
    source
        Folder with one file for each table, named like the table of the contract, or one file with the
        other tables beside it.
    out
        The data folder; a shop.toml that already lies there stays as it is.
    shop
        Settings with the column map (`columns`, `constants`, `attributes`).
    key_file
        Key of the customers' pseudonyms; made if it does not exist, never inside `out`.

    Raises
    ------
    DataError
        If a required table or column is missing, a file cannot be read, or a column that is not about a
        person holds e-mail addresses.
    UsageError
        If `out` holds something else, or the key would lie inside it.
    """
    files = find_export(source)
    if not files:
        raise DataError(
            f"{source} holds no table of the data contract.",
            todo="Name the files like the tables: orders.csv, products.csv, ...",
        )
    require_tables(source, [name for name, _ in files])
    with claim(out, "data", editable=(SHOP_FILE,)) as draft, open_engine(on_disk=False) as engine:
        key = read_key(key_file, out)
        opened = [open_table_file(engine, name, path) for name, path in files]
        written = tuple(write_table(engine, file, shop, key, draft) for file in opened)
        (draft / SHOP_FILE).write_text(render_shop_file(shop), encoding="utf-8")
    return written


def write_table(engine: Engine, file: TableFile, shop: ShopFile, key: bytes, folder: Path) -> ImportedTable:
    """Write one table of the contract by allow-list; arguments and errors as :func:`import_spreadsheets`.

    The engine must be one that spills nothing (``on_disk=False``).
    """
    columns = columns_of(table(file.name), shop)
    places = places_of(columns, file, shop)
    constants = shop.constants.get(file.name, {})
    used = [column for column in columns if column.name in places]
    _refuse_addresses(engine, file, used, places)
    kinds = dict(zip(file.header, file.types, strict=True))
    cells = [_cell(engine, file, column, places[column.name], kinds, key) for column in used]
    cells += [
        f"{literal(constants[column.name])} AS {quoted(column.name)}"
        for column in columns
        if column.name in constants and column.name not in places
    ]
    if not cells:
        raise DataError(
            f"{file.path.name} has none of the columns of {file.name}.",
            why=f"It has: {', '.join(file.header)}.",
            todo=f"Say which is which under [columns.{file.name}] in shop.toml.",
        )
    require_columns(file, columns, {*places, *constants})
    place = folder / f"{file.name}.parquet"
    engine.run(
        f"COPY (SELECT {', '.join(cells)} FROM {file.relation}) TO {literal(str(place))} "
        f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{CANONICAL}: '{CONTRACT_VERSION}'}})"
    )
    rows = engine.count(f"SELECT count(*) FROM read_parquet({file_literal(place)})")
    if not rows:
        raise DataError(
            f"{file.path.name} has no rows.", why="An export was probably cut off.", todo="Export it again."
        )
    taken = set(places.values())
    return ImportedTable(file.name, rows, tuple(name for name in file.header if name not in taken))


def _cell(
    engine: Engine, file: TableFile, column: Column, place: str, kinds: Mapping[str, str], key: bytes
) -> str:
    if not column.personal:
        return f"{quoted(place)} AS {quoted(column.name)}"
    own = f"trim({as_text(quoted(place), kinds[place])})"
    rows = engine.rows(f"SELECT DISTINCT {own} AS own FROM {file.relation} WHERE {own} <> '' ORDER BY own")
    pairs = pseudonyms(key, (str(row[0]) for row in rows))
    name = f"pseudonyms {file.name} {column.name}"
    engine.register(name, {"own": [pair[0] for pair in pairs], "pseudonym": [pair[1] for pair in pairs]})
    return f"(SELECT pseudonym FROM {quoted(name)} AS p WHERE p.own = {own}) AS {quoted(column.name)}"


def _refuse_addresses(engine: Engine, file: TableFile, used: list[Column], places: dict[str, str]) -> None:
    kinds = dict(zip(file.header, file.types, strict=True))
    for column in used:
        place = places[column.name]
        if column.personal or kinds[place] != "VARCHAR":
            continue
        matches = f"regexp_matches({quoted(place)}, {literal(_ADDRESS)})"
        row = engine.row(f"SELECT min({quoted(ROW)}) FROM {file.relation} WHERE {matches}")[0]
        if row is not None:
            raise DataError(
                f"{file.path.name}, row {row}: the column {place} holds an e-mail address.",
                why=f"{column.name} is not about a person, and addresses never reach the disk.",
                todo="Remove it from the export, or map another column.",
            )
