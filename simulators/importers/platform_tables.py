"""Tables of the contract being made from a platform's orders and listings, in a session that spills to disk.

What gets here is allow-listed and pseudonymous, so it may be spilled. Each table is the contract's, typed,
with ``_version`` and ``_place`` beside: an order that is stated twice keeps its last statement whole.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from pricing.columns import Column, ColumnType, Table
from pricing.schema import CONTRACT_VERSION, table
from simulators.contract.engine import Engine, file_literal, literal, quoted
from simulators.contract.files import CANONICAL
from simulators.importers.platform import masked

__all__ = ["LEDGER", "LEDGER_FILES", "REPAID", "STATED", "Value", "Writer", "copy_table", "read_old"]

Value = str | Decimal | bool | dt.datetime | None

_AMOUNT, _NUMBERS = "DECIMAL(26, 8)", ("NUMBER", "UNIT_PRICE", "MONEY", "SHARE")
_TYPES = {
    ColumnType.TEXT: "VARCHAR", ColumnType.INTEGER: "BIGINT", ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TIME: "TIMESTAMPTZ", **{ColumnType[name]: _AMOUNT for name in _NUMBERS},
}  # fmt: skip
_BATCH = 20_000

LEDGER: Final = Table(
    "platform_orders",
    "Totals of one order as the platform printed them: what the reconciliation compares with.",
    "",
    (
        Column("order_id", ColumnType.TEXT, "Order.", required=True),
        Column("platform", ColumnType.TEXT, "Who says so.", required=True),
        Column("ordered_at", ColumnType.TIME, "When.", required=True),
        Column("status", ColumnType.TEXT, "Of the contract.", required=True),
        Column("status_word", ColumnType.TEXT, "The platform's own word."),
        Column("currency", ColumnType.TEXT, "Of all its amounts.", required=True),
        Column("price_basis", ColumnType.TEXT, "gross or net.", required=True),
        Column("total", ColumnType.MONEY, "What the customer owed.", required=True),
        Column("tax", ColumnType.MONEY, "All tax in it."),
        Column("shipping", ColumnType.MONEY, "After its discount."),
        Column("shipping_tax", ColumnType.MONEY, "Empty: not told apart."),
        Column("discounts", ColumnType.MONEY, "All of them."),
        Column("shipping_discount", ColumnType.MONEY, "Part that came off shipping."),
        Column("tips", ColumnType.MONEY, "Tips."),
        Column("fees", ColumnType.MONEY, "Duties and other fees."),
        Column("gift_card_payment", ColumnType.BOOLEAN, "A gift card paid a part."),
        Column("refund_lines_known", ColumnType.BOOLEAN, "Whether the export tells what came back."),
        Column("version", ColumnType.TEXT, "When it was last changed, if the export says."),
        Column("source_id", ColumnType.TEXT, "The platform's own number of it."),
    ),
    key=("order_id",),
)
"""One row an order, those in another currency included."""

REPAID: Final = Table(
    "platform_refunds",
    "One repayment as the platform booked it.",
    "",
    (
        Column("order_id", ColumnType.TEXT, "Order.", required=True),
        Column("refunded_at", ColumnType.TIME, "Empty: not told."),
        Column("amount", ColumnType.MONEY, "Money that left the shop, tax included.", required=True),
        Column("lines", ColumnType.MONEY, "Of it for lines that came back, as booked, tax included."),
        Column("lines_tax", ColumnType.MONEY, "Of that tax on top; 0 where prices include it."),
        Column("shipping", ColumnType.MONEY, "Of it shipping, tax included."),
        Column("adjusted", ColumnType.MONEY, "Of it booked to no line."),
    ),
)

STATED: Final = Table(
    "platform_listings",
    "What the platform last said of one product; only what it says anew is added to the tables.",
    "",
    (
        Column("product_id", ColumnType.TEXT, "Product.", required=True),
        Column("listed_at", ColumnType.TIME, "When it said so first.", required=True),
        Column("regular_price", ColumnType.UNIT_PRICE, "Empty: not on sale."),
        Column("offered_price", ColumnType.UNIT_PRICE, "Empty: not on sale."),
        Column("price_basis", ColumnType.TEXT, "gross or net."),
        Column("announced_reduction", ColumnType.BOOLEAN, "A price is crossed out."),
        Column("unit_cost", ColumnType.UNIT_PRICE, "Net of tax."),
        Column("on_hand", ColumnType.NUMBER, "Units in stock."),
        Column("stocked_out", ColumnType.BOOLEAN, "It cannot be bought."),
    ),
    key=("product_id",),
)
"""So a cost or a count that a sheet corrected stays corrected until the platform says something new."""

LEDGER_FILES: Final = (LEDGER, REPAID, STATED)


class Writer:
    """Rows of one table on their way into a session, in batches.

    Parameters
    ----------
    engine
        The session.
    made
        The table; it becomes ``new_NAME``, its columns followed by ``_version`` and ``_place``.
    """

    def __init__(self, engine: Engine, made: Table) -> None:
        self._engine, self._table = engine, made
        self._rows: list[tuple[str | None, ...]] = []
        columns = ", ".join(f"{quoted(c.name)} {_TYPES[c.type]}" for c in made.columns)
        engine.run(f"CREATE TABLE new_{made.name} ({columns}, _version VARCHAR, _place BIGINT)")

    def add(self, row: dict[str, Value], version: str, place: int) -> None:
        """Take one row; columns that it does not name are empty."""
        cells = tuple(_cell(row.get(column.name)) for column in self._table.columns)
        self._rows.append((*cells, version, str(place)))
        if len(self._rows) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Put what was taken into the session."""
        if not self._rows:
            return
        columns = list(zip(*self._rows, strict=True))
        self._engine.register("batch", {f"c{i}": cells for i, cells in enumerate(columns)})
        types = [*(_TYPES[c.type] for c in self._table.columns), "VARCHAR", "BIGINT"]
        cells = ", ".join(f"c{i}::{kind}" for i, kind in enumerate(types))
        self._engine.run(f"INSERT INTO new_{self._table.name} SELECT {cells} FROM batch")
        self._rows = []


def _cell(value: Value) -> str | None:
    if isinstance(value, str):
        return masked(value) or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, dt.datetime) else f"{value}"


def read_old(engine: Engine, made: Table, folder: Path | None) -> None:
    """Make the view ``old_NAME`` of what an earlier import wrote; empty without one."""
    path = None if folder is None else folder / f"{made.name}.parquet"
    kinds = {column.name: _TYPES[column.type] for column in made.columns}
    if path is None or not path.is_file():
        nulls = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in kinds.items())
        engine.run(f"CREATE VIEW old_{made.name} AS SELECT {nulls} WHERE false")
        return
    source = f"read_parquet({file_literal(path)})"
    there = {name for name, _ in engine.columns(f"SELECT * FROM {source}")}
    cells = ", ".join(
        f"{quoted(name) if name in there else 'NULL'}::{kind} AS {quoted(name)}"
        for name, kind in kinds.items()
    )
    engine.run(f"CREATE VIEW old_{made.name} AS SELECT {cells} FROM {source}")


def copy_table(engine: Engine, name: str, sql: str, folder: Path, order: Sequence[str]) -> int:
    """Write a query as one table of the data folder and return its rows; no file where there is none.

    Of a table of the contract, columns that are empty throughout and not required are left out: it then
    says by its header what the export knew.
    """
    ledger = next((own for own in LEDGER_FILES if own.name == name), None)
    made = ledger or table(name)
    engine.run(f"CREATE OR REPLACE TEMP TABLE written AS {sql}")
    rows = engine.count("SELECT count(*) FROM written")
    if not rows:
        return 0
    counts = engine.row(f"SELECT {', '.join(f'count({quoted(c.name)})' for c in made.columns)} FROM written")
    kept = [c.name for c, count in zip(made.columns, counts, strict=True) if ledger or c.required or count]
    columns = ", ".join(quoted(column) for column in kept)
    engine.run(
        f"COPY (SELECT {columns} FROM written ORDER BY {', '.join(order)}) "
        f"TO {literal(str(folder / f'{name}.parquet'))} "
        f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{CANONICAL}: '{CONTRACT_VERSION}'}})"
    )
    return rows
