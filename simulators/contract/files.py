"""The files of a data folder: which there are, how they are written, and a DuckDB expression to read each."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from pricing.errors import DataError, UsageError
from pricing.schema import TABLES
from simulators.contract.engine import Engine, file_literal, literal, quoted
from simulators.contract.text_rows import DELIMITERS, encoding_of, text_rows
from simulators.contract.workbooks import Cell, workbook_rows

__all__ = ["CANONICAL", "ROW", "TableFile", "find_export", "find_files", "open_table_file", "text_form"]

CANONICAL = "tarifa_contract"
"""Key in the metadata of a Parquet file that an importer wrote."""

ROW = "row number in the file"
"""Name of the column that every relation adds; not one that an export might have of its own."""

_ENDINGS = (".parquet", ".csv", ".xlsx")
_CHUNK = 1 << 20
_BLANK = (None, "")
_GROUP = 3
"""Digits between marks of thousands."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file and how it is read.

    Attributes
    ----------
    name
        Table of the contract.
    path
        The file.
    header
        Its column names, in order.
    types
        DuckDB type of each column; VARCHAR throughout for text files.
    relation
        SQL expression that yields its rows with :data:`ROW`, the row number a person would look for: a
        spreadsheet's own (its header is row 1; DuckDB does not count empty lines of a CSV file), or the
        position from 1 in a Parquet file.
    encoding, delimiter
        What was detected of a CSV file; empty for other formats.
    sha256
        Digest of the file's bytes.
    canonical
        An importer wrote it under the contract's own column names, so no column map applies any more.
    """

    name: str
    path: Path
    header: tuple[str, ...]
    types: tuple[str, ...]
    relation: str
    encoding: str
    delimiter: str
    sha256: str
    canonical: bool = False


def find_files(folder: Path) -> tuple[tuple[str, Path], ...]:
    """Return (table, file) for every table of the contract that a folder holds, in contract order.

    Raises
    ------
    DataError
        If there is no such folder, or it holds one table in two formats.
    """
    if not folder.is_dir():
        raise DataError(
            f"There is no data folder {folder}.", todo="Check the path, or import the data first."
        )
    return _found(folder)


def find_export(source: Path) -> tuple[tuple[str, Path], ...]:
    """Return (table, file) of what is to be imported, in contract order.

    Parameters
    ----------
    source
        A folder, as for :func:`find_files`, or one file: it is the table that it is named after, else
        orders, and the tables that lie beside it belong to it.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    DataError
        If it is of no format that is read, or one table lies beside it in two.
    """
    if source.is_dir():
        return _found(source)
    if not source.is_file():
        raise UsageError(f"There is no file or folder {source}.", todo="Check the path.")
    if source.suffix.lower() not in _ENDINGS:
        raise DataError(f"{source} is no .csv, .xlsx or .parquet file.", todo="Export it as one of these.")
    names = [table.name for table in TABLES]
    own = source.stem.lower() if source.stem.lower() in names else "orders"
    found = {**dict(_found(source.parent, but=own)), own: source}
    return tuple((name, found[name]) for name in names if name in found)


def _found(folder: Path, but: str = "") -> tuple[tuple[str, Path], ...]:
    lying: dict[str, list[Path]] = {}
    tables = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in _ENDINGS and path.is_file()]
    for path in sorted(tables, key=lambda path: _ENDINGS.index(path.suffix.lower())):
        lying.setdefault(path.stem.lower(), []).append(path)
    found: list[tuple[str, Path]] = []
    for table in TABLES:
        paths = [] if table.name == but else lying.get(table.name, [])
        if len(paths) > 1:
            raise DataError(
                f"{folder} holds {' and '.join(p.name for p in paths)}.",
                why="Nobody can tell which one is meant.",
                todo="Keep one of them.",
            )
        found += [(table.name, path) for path in paths]
    return tuple(found)


def open_table_file(engine: Engine, name: str, path: Path) -> TableFile:
    """Look at one file: format, encoding, delimiter, header.

    Raises
    ------
    DataError
        If it is empty, damaged, not a table, or names a column twice.
    """
    if not os.access(path, os.R_OK):
        raise DataError(f"{path.name} may not be read.", todo="Ask whoever owns it for permission.")
    if path.stat().st_size == 0:
        raise DataError(
            f"{path.name} is empty (0 bytes).", why="An export was probably cut off.", todo="Export it again."
        )
    if path.suffix.lower() == ".parquet":
        return _parquet(engine, name, path)
    if path.suffix.lower() == ".xlsx":
        return _from_rows(engine, name, path, workbook_rows(path), "", "")
    encoding, delimiter = text_form(path)
    if encoding in ("utf-8", "utf-8-sig"):
        return _delimited(engine, name, path, encoding, delimiter)
    return _from_rows(engine, name, path, text_rows(path, encoding, delimiter), encoding, delimiter)


def text_form(path: Path) -> tuple[str, str]:
    """Return encoding and delimiter of a text table, from its bytes and its header.

    Raises
    ------
    DataError
        If it is text in none of the encodings that are read.
    """
    encoding = encoding_of(path)
    return encoding, _delimiter(path, encoding)


def _parquet(engine: Engine, name: str, path: Path) -> TableFile:
    source = f"read_parquet({file_literal(path)})"
    try:
        columns = engine.columns(f"SELECT * FROM {source}")
    except duckdb.Error as error:
        raise DataError(
            f"{path.name} is not a readable Parquet file.",
            why=str(error).splitlines()[0],
            todo="Export it again.",
        ) from error
    numbered = f"read_parquet({file_literal(path)}, file_row_number = true)"
    relation = f"(SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS {quoted(ROW)} FROM {numbered})"
    if any(name.lower() == "file_row_number" for name, _ in columns):
        relation = f"(SELECT *, row_number() OVER () AS {quoted(ROW)} FROM {source})"
    header, types = zip(*columns, strict=True)
    marked = (
        f"SELECT count(*) FROM parquet_kv_metadata({file_literal(path)}) WHERE key = {literal(CANONICAL)}"
    )
    canonical = engine.count(marked) > 0
    return TableFile(name, path, header, types, relation, "", "", _sha256(path), canonical)


def _delimited(engine: Engine, name: str, path: Path, encoding: str, delimiter: str) -> TableFile:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = [cell.strip() for cell in next(csv.reader(stream, delimiter=delimiter), list[str]())]
    _check_header(path, header)
    columns = ", ".join(f"{literal(cell)}: 'VARCHAR'" for cell in header)
    source = (
        f"read_csv({file_literal(path)}, auto_detect = false, header = true, delim = {literal(delimiter)}, "
        f"quote = '\"', escape = '\"', columns = {{{columns}}}, max_line_size = 4194304)"
    )
    try:
        engine.rows(f"SELECT count(*) FROM {source}")
    except duckdb.Error as error:
        raise DataError(
            f"{path.name} is not a regular table.",
            why=str(error).splitlines()[0],  # the next one is the line itself, with whoever stands in it
            todo="Every line needs as many cells as the header.",
        ) from error
    relation = f"(SELECT *, row_number() OVER () + 1 AS {quoted(ROW)} FROM {source})"
    types = ("VARCHAR",) * len(header)
    return TableFile(name, path, tuple(header), types, relation, encoding, delimiter, _sha256(path))


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise DataError(f"{path.name} has no header.", todo="Give its columns names in the first row.")
    for cell in header:
        if not cell:
            raise DataError(f"{path.name} has a column without a name.", todo="Name it or remove it.")
        if [other.lower() for other in header].count(cell.lower()) > 1:
            raise DataError(f"{path.name} has the column {cell} twice.", todo="Keep one of them.")


def _from_rows(
    engine: Engine, name: str, path: Path, rows: Iterable[list[Cell]], encoding: str, delimiter: str
) -> TableFile:
    """Hold a file that DuckDB cannot read itself in memory, converted once.

    A column of nothing but numbers, as workbooks have them, stays numbers: no decimal mark needs guessing.
    """
    stream = iter(rows)
    header = [_text(cell).strip() for cell in next(stream, list[Cell]())]
    while header and not header[-1]:
        header.pop()
    _check_header(path, header)
    columns: list[list[Cell]] = [[] for _ in header]
    numbers: list[int] = []
    for number, row in enumerate(stream, start=2):
        if all(cell in _BLANK for cell in row):
            continue
        if any(cell not in _BLANK for cell in row[len(header) :]) or (delimiter and len(row) != len(header)):
            raise DataError(
                f"{path.name}, row {number} has {len(row)} cells for {len(header)} columns.",
                todo="Every line needs as many cells as the header.",
            )
        numbers.append(number)
        padded = row[: len(header)] + [None] * (len(header) - len(row))
        for column, cell in zip(columns, padded, strict=True):
            column.append(None if cell in _BLANK else cell)
    held = [_uniform(column) for column in columns]
    engine.register(f"file {name}", {**dict(zip(header, held, strict=True)), ROW: numbers})
    relation = f"(SELECT * FROM {quoted(f'file {name}')})"
    types = tuple(
        "DOUBLE" if any(isinstance(cell, float) for cell in column) else "VARCHAR" for column in held
    )
    return TableFile(name, path, tuple(header), types, relation, encoding, delimiter, _sha256(path))


def _uniform(column: list[Cell]) -> list[str | None] | list[float | None]:
    """Return a column as numbers if all of its cells are, as text otherwise."""
    if not any(isinstance(cell, str) for cell in column):
        return [None if cell is None else float(cell) for cell in column]
    return [None if cell is None else _text(cell) for cell in column]


def _text(cell: Cell) -> str:
    """Return a cell as text; no mark in a number can be taken for one of thousands."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    text = f"{Decimal(repr(float(cell))).normalize():f}"
    return f"{text}0" if len(text.partition(".")[2]) == _GROUP else text


def _delimiter(path: Path, encoding: str) -> str:
    try:
        with path.open(encoding=encoding) as stream:
            header = stream.readline()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is neither UTF-8, UTF-16 nor Windows-1252 text.", todo="Save it as UTF-8."
        ) from error
    outside = "".join(header.split('"')[::2])
    counts = [outside.count(mark) for mark in DELIMITERS]
    return DELIMITERS[counts.index(max(counts))]


def _sha256(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()
