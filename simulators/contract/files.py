"""The files of a data folder: which there are, how they are written, and a DuckDB expression to read each."""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import hashlib
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import duckdb
import openpyxl

from pricing.errors import DataError
from pricing.schema import TABLES
from simulators.contract.engine import Engine, literal, quoted

__all__ = ["CANONICAL", "TableFile", "find_files", "open_table_file"]

CANONICAL = "tarifa_contract"
"""Key in the metadata of a Parquet file that an importer wrote."""

_ENDINGS = (".parquet", ".csv", ".xlsx")
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHUNK = 1 << 20


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
        SQL expression that yields its rows with ``_row``, the row number a person would look for: a
        spreadsheet's own (its header is row 1), or the position from 1 in a Parquet file.
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
    found: list[tuple[str, Path]] = []
    for table in TABLES:
        paths = [p for ending in _ENDINGS if (p := folder / f"{table.name}{ending}").is_file()]
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
    if path.suffix == ".parquet":
        return _parquet(engine, name, path)
    if path.suffix == ".xlsx":
        return _from_rows(engine, name, path, _workbook_rows(path), "", "")
    encoding = _encoding(path)
    delimiter = _delimiter(path, encoding)
    if encoding in ("utf-8", "utf-8-sig"):
        return _delimited(engine, name, path, encoding, delimiter)
    return _from_rows(engine, name, path, _text_rows(path, encoding, delimiter), encoding, delimiter)


def _parquet(engine: Engine, name: str, path: Path) -> TableFile:
    source = f"read_parquet({literal(str(path))}, file_row_number = true)"
    try:
        columns = engine.columns(f"SELECT * EXCLUDE (file_row_number) FROM {source}")
    except duckdb.Error as error:
        raise DataError(
            f"{path.name} is not a readable Parquet file.",
            why=str(error).splitlines()[0],
            todo="Export it again.",
        ) from error
    relation = f"(SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS _row FROM {source})"
    header, types = zip(*columns, strict=True)
    marked = (
        f"SELECT count(*) FROM parquet_kv_metadata({literal(str(path))}) WHERE key = {literal(CANONICAL)}"
    )
    canonical = engine.count(marked) > 0
    return TableFile(name, path, header, types, relation, "", "", _sha256(path), canonical)


def _delimited(engine: Engine, name: str, path: Path, encoding: str, delimiter: str) -> TableFile:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = [cell.strip() for cell in next(csv.reader(stream, delimiter=delimiter), list[str]())]
    _check_header(path, header)
    columns = ", ".join(f"{literal(cell)}: 'VARCHAR'" for cell in header)
    source = (
        f"read_csv({literal(str(path))}, auto_detect = false, header = true, delim = {literal(delimiter)}, "
        f"quote = '\"', escape = '\"', columns = {{{columns}}}, max_line_size = 4194304)"
    )
    try:
        engine.rows(f"SELECT count(*) FROM {source}")
    except duckdb.Error as error:
        raise DataError(
            f"{path.name} is not a regular table.",
            why=" ".join(str(error).replace(str(path), path.name).split("\n")[:2]),
            todo="Every line needs as many cells as the header.",
        ) from error
    relation = f"(SELECT *, row_number() OVER () + 1 AS _row FROM {source})"
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


def _encoding(path: Path) -> str:
    """Return a text file's encoding: by its byte order mark, else UTF-8 if valid, else Windows-1252."""
    with path.open("rb") as stream:
        head = stream.read(4)
        for bom, encoding in _BOMS:
            if head.startswith(bom):
                return encoding
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "windows-1252"
    return "utf-8"


def _from_rows(
    engine: Engine, name: str, path: Path, rows: Iterable[list[str]], encoding: str, delimiter: str
) -> TableFile:
    """Hold a file that DuckDB cannot read itself in memory, converted once."""
    stream = iter(rows)
    header = [cell.strip() for cell in next(stream, list[str]())]
    while header and not header[-1]:
        header.pop()
    _check_header(path, header)
    columns: list[list[str | int | None]] = [[] for _ in header]
    numbers: list[str | int | None] = []
    for number, row in enumerate(stream, start=2):
        if not any(row):
            continue
        if any(row[len(header) :]) or (delimiter and len(row) != len(header)):
            raise DataError(
                f"{path.name}, row {number} has {len(row)} cells for {len(header)} columns.",
                todo="Every line needs as many cells as the header.",
            )
        numbers.append(number)
        padded = row[: len(header)] + [""] * (len(header) - len(row))
        for column, cell in zip(columns, padded, strict=True):
            column.append(cell or None)
    engine.register(f"file {name}", {**dict(zip(header, columns, strict=True)), "_row": numbers})
    relation = f"(SELECT * FROM {quoted(f'file {name}')})"
    types = ("VARCHAR",) * len(header)
    return TableFile(name, path, tuple(header), types, relation, encoding, delimiter, _sha256(path))


def _text_rows(path: Path, encoding: str, delimiter: str) -> Iterable[list[str]]:
    try:
        with path.open(encoding=encoding, newline="") as stream:
            yield from csv.reader(stream, delimiter=delimiter, strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path.name} is not a regular text table.", why=f"{error}.", todo="Save it as UTF-8 CSV."
        ) from error


def _delimiter(path: Path, encoding: str) -> str:
    try:
        with path.open(encoding=encoding) as stream:
            header = stream.readline()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is neither UTF-8, UTF-16 nor Windows-1252 text.", todo="Save it as UTF-8."
        ) from error
    outside = "".join(header.split('"')[::2])
    counts = [outside.count(mark) for mark in _DELIMITERS]
    return _DELIMITERS[counts.index(max(counts))]


def _workbook_rows(path: Path) -> Iterable[list[str]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise DataError(f"{path.name} is not a readable Excel workbook.", todo="Save it again.") from error
    try:
        for row in cast("Iterable[tuple[Any, ...]]", book.worksheets[0].iter_rows(values_only=True)):
            yield [_cell(value) for value in row]
    finally:
        book.close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)


def _sha256(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()
