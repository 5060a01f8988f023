"""A writer and its declaration cannot differ: what deviates is refused, what is written is declared."""

from __future__ import annotations

import datetime as dt
import io

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pricing.errors import ArtifactError, UsageError
from pricing.outputs import OUTPUTS, ArrowType, OutputColumn, OutputTable
from simulators.output_schema import KIND, SCHEMA, UNIT, arrow_schema, declared_table, table_bytes

T = ArrowType
TABLE = OutputTable(
    "example",
    "An example.",
    "nothing",
    (
        OutputColumn("name", T.STRING, "A name.", choices=("a", "b")),
        OutputColumn("channel", T.STRING, "Null: all.", nullable=True),
        OutputColumn("day", T.DATE, "A day."),
        OutputColumn("money", T.INT64, "Null: none.", "minor units", nullable=True),
        OutputColumn("share", T.DOUBLE, "A share."),
        OutputColumn("flag", T.BOOL, "A flag."),
        OutputColumn("codes", T.STRINGS, "Codes.", choices=("x", "y")),
    ),
    ("name",),
    version=3,
)
GOOD: dict[str, object] = {
    "codes": [["x", "y"], []],
    "name": ["a", "b"],
    "channel": None,
    "day": np.array(["2025-01-06", "2025-01-13"], dtype="datetime64[D]"),
    "money": [100, None],
    "share": np.array([0.5, 1.0]),
    "flag": True,
}


def _made(**changes: object) -> pa.Table:
    table: pa.Table = declared_table(TABLE, 2, {**GOOD, **changes})
    return table


def test_a_table_is_what_is_declared_in_arrow_and_after_parquet() -> None:
    stored = pq.read_table(io.BytesIO(table_bytes(_made())))
    assert stored.schema.names == list(TABLE.names)
    assert stored.schema.types == [
        pa.string(), pa.string(), pa.date32(), pa.int64(), pa.float64(), pa.bool_(), pa.list_(pa.string()),
    ]  # fmt: skip
    assert [field.nullable for field in stored.schema] == [column.nullable for column in TABLE.columns]
    assert stored.schema.metadata[KIND] == b"example"
    assert stored.schema.metadata[SCHEMA] == b"3"
    assert stored.schema.field("money").metadata[UNIT] == b"minor units"
    assert stored.to_pylist()[1] == {
        "name": "b", "channel": None, "day": dt.date(2025, 1, 13), "money": None, "share": 1.0,
        "flag": True, "codes": [],
    }  # fmt: skip
    assert table_bytes(_made()) == table_bytes(_made())


def test_duckdb_reads_the_same(tmp_path: object) -> None:
    place = f"{tmp_path}/example.parquet"
    with open(place, "wb") as file:  # noqa: PTH123 - a path as DuckDB wants it
        file.write(table_bytes(_made()))
    connection = duckdb.connect()
    described = connection.execute(f"DESCRIBE FROM '{place}'").fetchall()
    assert [(row[0], row[1]) for row in described] == [
        ("name", "VARCHAR"), ("channel", "VARCHAR"), ("day", "DATE"), ("money", "BIGINT"),
        ("share", "DOUBLE"), ("flag", "BOOLEAN"), ("codes", "VARCHAR[]"),
    ]  # fmt: skip
    query = f"SELECT decode(key), decode(value) FROM parquet_kv_metadata('{place}')"
    said = dict(connection.execute(query).fetchall())
    assert (said["tarifa.kind"], said["tarifa.schema"]) == ("example", "3")
    assert connection.execute(f"SELECT sum(money), count(channel) FROM '{place}'").fetchone() == (100, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": ["a", "b"]},
        {"name": ["a"]},
        {"name": [1, 2]},
        {"day": ["2025-01-06", "2025-01-13"]},
        {"day": np.array(["2025-01-06", "2025-01-13"], dtype="datetime64[s]")},
        {"money": [1.0, 2.0]},
        {"money": [1.5, None]},
        {"money": np.array([1, 2], dtype=np.int32)},
        {"share": np.array([1, 2])},
        {"flag": "yes"},
        {"codes": ["x", "y"]},
        {"codes": [["x"], [1]]},
    ],
)
def test_a_writer_that_differs_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="The output example"):
        _made(**changes)


def test_a_writer_that_forgets_a_column_is_refused() -> None:
    for name in TABLE.names:
        with pytest.raises(UsageError, match=name):
            declared_table(TABLE, 2, {key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": [None, "a"]}, "name holds an empty cell"),
        ({"name": ["a", "c"]}, "name holds the word 'c'"),
        ({"share": np.array([0.5, np.nan])}, "share holds what is no finite number"),
        ({"share": np.array([0.5, np.inf])}, "share holds what is no finite number"),
        ({"codes": [["x"], None]}, "codes holds an empty cell"),
        ({"codes": [["x"], [None]]}, "codes holds an empty entry"),
        ({"codes": [["x"], ["z"]]}, "codes holds the word 'z'"),
    ],
)
def test_what_no_reader_may_meet_is_not_written(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        _made(**changes)


def test_an_empty_table_has_its_schema_too() -> None:
    none: list[object] = []
    empty = {name: none for name in TABLE.names} | {  # noqa: C420 - one shared empty list is the point
        "day": np.array([], dtype="datetime64[D]"), "share": np.array([])
    }  # fmt: skip
    assert declared_table(TABLE, 0, empty).schema.equals(arrow_schema(TABLE), check_metadata=True)


@pytest.mark.parametrize("table", OUTPUTS, ids=lambda table: table.name)
def test_every_declared_type_has_an_arrow_type(table: OutputTable) -> None:
    schema = arrow_schema(table)
    assert schema.names == list(table.names)
    plain = {
        ArrowType.STRING: "string", ArrowType.INT64: "int64", ArrowType.DOUBLE: "double",
        ArrowType.BOOL: "bool", ArrowType.DATE: "date32[day]",
    }  # fmt: skip
    for column in table.columns:
        said = column.type.value.replace("<", "<item: ")
        assert str(schema.field(column.name).type) == plain.get(column.type, said)
