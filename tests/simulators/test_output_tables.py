"""Tables that other programs read: their names and types, and scenario files that are no such thing."""

from __future__ import annotations

import datetime as dt
import io
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pricing.errors import DataError
from pricing.evidence import Identification
from pricing.model import DISCOUNT
from pricing.outputs import ELASTICITIES, PREDICTIONS, OutputTable
from simulators.demand.elasticities import elasticities
from simulators.demand.fit import fit
from simulators.demand.forecast import Forecast
from simulators.demand.predict import last_known, predict
from simulators.output_schema import KIND, SCHEMA, arrow_schema
from simulators.output_tables import (
    elasticities_table,
    predictions_table,
    read_scenario,
    refuse_contradictions,
    scenario_from_table,
    table_bytes,
)
from simulators.run import Origin, Run
from tests.simulators.demand_truth import make


@cache
def _run() -> Run:
    panel = make(6, 2).panel
    found = fit(panel, until="2025-02-24", fingerprint="f", seed=3, calendar_in_advance=False)
    origin = Origin("data", "f", "2025-02-24", 3, "EUR", 2, calendar_in_advance=False, versions=())
    return Run(found.model, panel, found.report, origin)


def _stored(table: object) -> pa.Table:
    return pq.read_table(io.BytesIO(table_bytes(table)))


def _is_declared(table: pa.Table, declared: OutputTable) -> None:
    """Names, order, types, nullability and metadata are those of the declaration."""
    own = table.select(list(declared.names))
    assert own.schema.equals(arrow_schema(declared), check_metadata=False)
    assert [field.nullable for field in own.schema] == [column.nullable for column in declared.columns]
    assert table.schema.metadata[KIND] == declared.name.encode()
    assert table.schema.metadata[SCHEMA] == str(declared.version).encode()


def test_elasticities_are_as_declared() -> None:
    run = _run()
    stored = _stored(elasticities_table(elasticities(run.model, run.training), run))
    _is_declared(stored, ELASTICITIES)
    assert stored.schema.names == list(ELASTICITIES.names)
    assert stored.num_rows == 2 * len(run.model.series)
    nulls = {name: stored.column(name).null_count for name in ELASTICITIES.names}
    assert nulls == {**dict.fromkeys(ELASTICITIES.names, 0), "channel": stored.num_rows}
    assert set(stored.column("kind").to_pylist()) == {"regular", "discount"}
    assert set(stored.column("identified_by").to_pylist()) <= {kind.label for kind in Identification}
    assert set(stored.column("run_id").to_pylist()) == {run.identifier}
    rows = stored.to_pylist()
    assert [row["product_id"] for row in rows[::2]] == list(run.model.series.group)
    for i, row in enumerate(rows):
        n, c = divmod(i, 2)
        expected = run.model.mean[n] @ DISCOUNT if c else run.model.mean[n, 1]
        assert row["elasticity"] == pytest.approx(float(expected), rel=1e-12)
        assert row["support_high"] == run.model.support_high[n]
        assert row["lower"] < row["elasticity"] < row["upper"]
        assert str(row["period_start"]) == str(run.panel.periods[0])
        assert str(row["period_end"]) == "2025-02-24"


def _asked(**columns: object) -> pa.Table:
    """Return a scenario of two known prices, in another order than the model's."""
    price = _run().training.regular[:, -1] / 100
    plain = {
        "note": pa.array([1, 2], pa.int8()),
        "period_start": ["2025-03-03"] * 2,
        "product_id": ["p0003", "p0001"],
        "offered_price": [price[3], price[1]],
    }
    return pa.table({**plain, **columns})


def _predicted(asked: pa.Table) -> tuple[pa.Table, Forecast]:
    run = _run()
    scenario = scenario_from_table(asked, 2)
    said = predict(run.model, last_known(run.training), scenario)
    return _stored(predictions_table(asked, scenario, said, run)), said


def test_predictions_keep_the_scenarios_columns_and_add_their_own() -> None:
    stored, said = _predicted(_asked(currency=["EUR", None]))
    _is_declared(stored, PREDICTIONS)
    assert stored.schema.names == [
        "note", "period_start", "product_id", "offered_price", "currency",
        "run_id", "zone", "channel", "period_end", "price_basis", "periods_ahead",
        "expected_units", "lower", "upper", "units_lower", "units_upper",
    ]  # fmt: skip
    assert stored.schema.field("note").type == pa.int8()
    assert stored.column("product_id").to_pylist() == ["p0003", "p0001"]
    assert stored.column("currency").to_pylist() == ["EUR", "EUR"]
    assert stored.column("zone").to_pylist() == ["all", "all"]
    assert stored.column("channel").null_count == 2
    assert [str(day) for day in stored.column("period_end").to_pylist()] == ["2025-03-10"] * 2
    assert stored.column("periods_ahead").to_pylist() == [2, 2]
    np.testing.assert_array_equal(stored.column("expected_units").to_numpy(), said.expected)
    np.testing.assert_array_equal(stored.column("units_upper").to_numpy(), said.units_upper)


def test_predictions_are_a_scenario_and_predict_themselves() -> None:
    once, _ = _predicted(_asked())
    again, _ = _predicted(once)
    assert table_bytes(again) == table_bytes(once)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_texts_of_any_kind_are_read(kind: pa.DataType) -> None:
    asked = _asked()
    names = asked.column("product_id").combine_chunks()
    cast = names.dictionary_encode() if pa.types.is_dictionary(kind) else names.cast(kind)
    stored, _ = _predicted(asked.set_column(asked.schema.get_field_index("product_id"), "product_id", cast))
    assert stored.schema.field("product_id").type == pa.string()
    assert stored.column("product_id").to_pylist() == ["p0003", "p0001"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"currency": ["EUR", "USD"]}, "Row 2: currency is 'USD'.*in EUR"),
        ({"price_basis": ["net", "gross"]}, "Row 1: price_basis is 'net'"),
        ({"channel": [None, "web"]}, "Row 2: channel is 'web'.*all channels together"),
        ({"period_end": ["2025-03-10", "2025-03-17"]}, "Row 2: period_end is 2025-03-17.*before 2025-03-10"),
    ],
)
def test_what_the_run_contradicts_is_refused(columns: dict[str, object], says: str) -> None:
    asked = _asked(**columns)
    with pytest.raises(DataError, match=says):
        refuse_contradictions(asked, scenario_from_table(asked, 2), _run())
    with pytest.raises(DataError, match=says):
        _predicted(asked)


def test_what_the_run_agrees_with_is_accepted() -> None:
    agreeing = _asked(
        currency=["EUR", ""], price_basis=["gross", None], channel=[None, ""], period_end=[None, "2025-03-10"]
    )
    assert _predicted(agreeing)[0].column("period_end").null_count == 0


def _scenario(**columns: object) -> pa.Table:
    plain = {"product_id": ["a"], "period_start": ["2025-03-03"], "offered_price": [1.0]}
    return pa.table({**plain, **columns})


def test_a_scenario_file_comes_back_in_minor_units(tmp_path: Path) -> None:
    table = _scenario(
        offered_price=pa.array(["1.15"]).cast(pa.decimal128(6, 2)),
        regular_price=[2],
        feature=[True],
        display=pa.array([None], pa.float32()),
        zone=pa.array([None], pa.string()),
        period_start=pa.array([dt.datetime(2025, 3, 3, tzinfo=dt.UTC)]),
    )
    pq.write_table(table, tmp_path / "s.parquet")
    kept, read = read_scenario(tmp_path / "s.parquet", 2)
    assert kept.schema.names == table.schema.names
    assert read.offered[0] == pytest.approx(115.0, abs=1e-9)
    assert read.regular[0] == 200.0
    assert (read.feature[0], np.isnan(read.display[0])) == (1.0, True)
    assert (read.zone, str(read.period_start[0])) == (("",), "2025-03-03")
    assert scenario_from_table(_scenario(offered_price=[1200]), 0).offered[0] == 1200.0


def test_what_is_no_scenario_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_scenario(tmp_path / "absent.parquet", 2)
    (tmp_path / "plan.csv").write_text("product_id,period_start\n")
    with pytest.raises(DataError, match=r"not a readable Parquet file.*COPY \(FROM 'plan\.csv'\) TO 'plan"):
        read_scenario(tmp_path / "plan.csv", 2)
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_scenario(tmp_path, 2)
    pq.write_table(_scenario().slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(DataError, match=r"empty\.parquet has no rows"):
        read_scenario(tmp_path / "empty.parquet", 2)


def test_an_empty_period_is_named_by_its_row() -> None:
    run = _run()
    asked = _scenario(
        product_id=["p0001"] * 2,
        period_start=["2025-03-03", None],
        offered_price=[float(run.training.offered[1, -1]) / 100] * 2,
    )
    with pytest.raises(DataError, match="Row 2: period_start"):
        predict(run.model, last_known(run.training), scenario_from_table(asked, 2))


@pytest.mark.parametrize(
    "day", ["today", "2025-03", "20250303", "2025-02-30", "2025-03-03T12:00", "3/3/2025"]
)
def test_what_is_no_day_is_named_by_its_row(day: str) -> None:
    with pytest.raises(DataError, match=f"Row 1: period_start '{day}' is no day"):
        scenario_from_table(_scenario(period_start=[day]), 2)


def test_a_moment_within_a_day_is_no_day() -> None:
    noon = pa.array([dt.datetime(2025, 3, 3, 12)], pa.timestamp("us"))  # noqa: DTZ001 - a naive column
    with pytest.raises(DataError, match="Row 1: period_start '2025-03-03 12:00:00' is no day"):
        scenario_from_table(_scenario(period_start=noon), 2)
    with pytest.raises(DataError, match="period_start holds int64, not dates"):
        scenario_from_table(_scenario(period_start=[20250303]), 2)


@pytest.mark.parametrize(
    "days",
    [
        pa.array([dt.date(2025, 3, 3)], pa.date32()),
        pa.array([dt.date(2025, 3, 3)], pa.date64()),
        pa.array([dt.datetime(2025, 3, 3)], pa.timestamp("ms")),  # noqa: DTZ001 - a naive column
        pa.array([dt.datetime(2025, 3, 3)], pa.timestamp("ns")),  # noqa: DTZ001 - a naive column
        # Midnight of the shop is the evening before in UTC; a column of a zone says which day it means.
        pa.array([dt.datetime(2025, 3, 2, 23, tzinfo=dt.UTC)], pa.timestamp("us", "Europe/Madrid")),
        pa.array(["2025-03-03"]),
        pa.array(["2025-03-03 00:00:00"]),
        pa.array([" 2025-03-03T00:00 "]).dictionary_encode(),
    ],
)
def test_days_of_any_kind_are_read(days: pa.Array) -> None:
    assert scenario_from_table(_scenario(period_start=days), 2).period_start[0] == np.datetime64("2025-03-03")


def test_columns_that_could_be_misread_are_refused() -> None:
    with pytest.raises(DataError, match="'Zone' would be read as no zone"):
        scenario_from_table(_scenario(Zone=["all"]), 2)
    twice = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array(["b"]), pa.array(["2025-03-03"]), pa.array([1.0])],
        names=["product_id", "product_id", "period_start", "offered_price"],
    )
    with pytest.raises(DataError, match="'product_id' is there twice"):
        scenario_from_table(twice, 2)
    with pytest.raises(DataError, match="offered_price holds bool, not numbers"):
        scenario_from_table(_scenario(offered_price=[True]), 2)
