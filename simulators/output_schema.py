"""The Arrow side of the declared outputs: their schemas, and tables that cannot differ from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pyarrow.compute
import pyarrow.parquet

from pricing.errors import ArtifactError, UsageError
from pricing.outputs import ArrowType, OutputColumn, OutputTable

__all__ = ["KIND", "SCHEMA", "UNIT", "arrow_schema", "declared_table", "table_bytes"]

pa: Any = pyarrow
pc: Any = pyarrow.compute
pq: Any = pyarrow.parquet
"""Untyped libraries, said to be so once."""

KIND, SCHEMA = b"tarifa.kind", b"tarifa.schema"
"""Keys of the Parquet metadata that name a table and the version of its schema."""

UNIT = b"unit"
"""Key of a column's metadata that states the unit of its numbers."""

_TYPES: Mapping[ArrowType, Any] = {
    ArrowType.STRING: pa.string(),
    ArrowType.INT64: pa.int64(),
    ArrowType.DOUBLE: pa.float64(),
    ArrowType.BOOL: pa.bool_(),
    ArrowType.DATE: pa.date32(),
    ArrowType.STRINGS: pa.list_(pa.string()),
    ArrowType.INT64S: pa.list_(pa.int64()),
    ArrowType.DOUBLES: pa.list_(pa.float64()),
    ArrowType.BOOLS: pa.list_(pa.bool_()),
    ArrowType.STRING_LISTS: pa.list_(pa.list_(pa.string())),
}


def arrow_schema(table: OutputTable, facts: Mapping[bytes, bytes] | None = None) -> Any:
    """Return the Arrow schema of a declared output.

    Parameters
    ----------
    table
        The declaration.
    facts
        Metadata beside the table's kind and the version of its schema.
    """
    fields = [
        pa.field(
            column.name,
            _TYPES[column.type],
            nullable=column.nullable,
            metadata={UNIT: column.unit.encode()} if column.unit else None,
        )
        for column in table.columns
    ]
    return pa.schema(
        fields, metadata={KIND: table.name.encode(), SCHEMA: str(table.version).encode(), **(facts or {})}
    )


def declared_table(
    table: OutputTable,
    rows: int,
    columns: Mapping[str, Any],
    facts: Mapping[bytes, bytes] | None = None,
) -> Any:
    """Return a pyarrow Table that is exactly what is declared, or fail.

    Parameters
    ----------
    table
        The declaration.
    rows
        Number of rows.
    columns
        Values by column: a NumPy array or an Arrow one of the declared type, a list, or one text, truth value
        or None that holds for every row. Their order is that of the declaration, whatever it is here.
    facts
        As for :func:`arrow_schema`.

    Raises
    ------
    UsageError
        If a column is missing, not declared, of another type or of another length: a bug in the writer.
    ArtifactError
        If a cell is null, not finite or a word that its declaration does not allow: what is written comes
        from something corrupt.
    """
    if set(columns) != set(table.names):
        odd = sorted(set(columns) ^ set(table.names))
        raise UsageError(f"The output {table.name} is written with other columns than declared: {odd}.")
    arrays = [_array(table, column, columns[column.name], rows) for column in table.columns]
    for column, array in zip(table.columns, arrays, strict=True):
        _check(table, column, array)
    return pa.Table.from_arrays(arrays, schema=arrow_schema(table, facts))


def table_bytes(table: Any) -> bytes:
    """Return a pyarrow Table as Parquet; the same table gives the same bytes."""
    out: Any = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    return bytes(out.getvalue().to_pybytes())


def _array(table: OutputTable, column: OutputColumn, values: Any, rows: int) -> Any:
    kind = _TYPES[column.type]
    one = values is None or _is(values, str | bool)
    try:
        array: Any = values if _is(values, pa.Array) else pa.array([values] * rows if one else values)
        if "null" in str(array.type):  # nothing to infer a type from: no text, no entry
            array = array.cast(kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"The output {table.name} cannot hold what its column {column.name} is given.", why=f"{error}."
        ) from error
    if array.type != kind or len(array) != rows:
        raise UsageError(
            f"The output {table.name} declares {rows} x {kind} for {column.name}; "
            f"it is given {len(array)} x {array.type}."
        )
    return array


def _check(table: OutputTable, column: OutputColumn, array: Any) -> None:
    if array.null_count and not column.nullable:
        _refuse(table, column, "an empty cell")
    cells: Any = array
    while pa.types.is_list(cells.type):
        cells = cells.flatten()
        if cells.null_count:
            _refuse(table, column, "an empty entry")
    if pa.types.is_floating(cells.type) and pc.any(pc.invert(pc.is_finite(cells))).as_py():
        _refuse(table, column, "what is no finite number")
    words = set(pc.unique(cells.drop_null()).to_pylist()) if column.choices else set[str]()
    odd = sorted(words - set(column.choices))
    if odd:
        _refuse(table, column, f"the word {odd[0]!r}")


def _refuse(table: OutputTable, column: OutputColumn, says: str) -> None:
    raise ArtifactError(
        f"The {table.name} cannot be written: {column.name} holds {says}.",
        why="Other programs rely on the schema in docs/data-contract.md.",
        todo="Fit again with `tarifa fit`; if it stays so, report it.",
    )


def _is(value: Any, kind: Any) -> bool:
    """Look without narrowing: what is laid out stays Any."""
    return isinstance(value, kind)
