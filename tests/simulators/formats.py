"""One table of text cells, written as a shop might hand it over: CSV, Excel or Parquet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from simulators.contract.tables import open_source
from tests.simulators.shops import PRODUCTS, SHOP, TODAY

FORMATS = ("csv", "xlsx", "parquet")
Cells = Sequence[Sequence[object]]
Reasons = dict[tuple[str, str], tuple[int, ...]]


def lines(text: str) -> list[list[str]]:
    """Return the cells of a small CSV text without quotes."""
    return [line.split(",") for line in text.strip().split("\n")]


def write_table(path: Path, rows: Cells) -> Path:
    """Write rows (the first one is the header) in the format that the file's name asks for."""
    if path.suffix == ".csv":
        path.write_text("\n".join(",".join("" if c is None else str(c) for c in row) for row in rows) + "\n")
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        assert book.active is not None
        for row in rows:
            book.active.append(list(row))
        book.save(path)
    else:
        header, *body = rows
        pq.write_table(pa.table({str(n): [r[i] for r in body] for i, n in enumerate(header)}), path)
    return path


def write_folder_of(folder: Path, ending: str, shop: str = SHOP, **tables: Cells) -> Path:
    """Write a data folder whose tables all have one format; products are those of the small shop."""
    folder.mkdir(parents=True)
    (folder / "shop.toml").write_text(shop)
    for name, rows in {"products": lines(PRODUCTS), **tables}.items():
        write_table(folder / f"{name}.{ending}", rows)
    return folder


def reasons(folder: Path, today: dt.date = TODAY) -> Reasons:
    """Return the numbers of the bad rows by table and reason."""
    with open_source(folder, today=today) as source:
        return {(b.table, b.reason): b.rows for b in source.bad_rows()}
