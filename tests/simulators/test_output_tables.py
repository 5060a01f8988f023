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
from simulators.demand.elasticities import elasticities
from simulators.demand.fit import fit
from simulators.demand.predict import last_known, predict
from simulators.output_tables import (
    elasticities_table,
    predictions_table,
    read_scenario,
    scenario_from_table,
    table_bytes,
)
from simulators.run import Origin, Run
from tests.simulators.demand_truth import make

ELASTICITIES = {
    "run_id": pa.string(), "product_id": pa.string(), "zone": pa.string(), "currency": pa.string(),
    "period_start": pa.date32(), "period_end": pa.date32(), "price_basis": pa.string(), "kind": pa.string(),
    "at_price": pa.int64(), "elasticity": pa.float64(), "lower": pa.float64(), "upper": pa.float64(),
    "identified_by": pa.string(), "sensitivity_lower": pa.float64(), "sensitivity_upper": pa.float64(),
    "support_low": pa.int64(), "support_high": pa.int64(),
}  # fmt: skip
"""The contract's outputs: names, order and types are what other programs rely on."""

PREDICTED = {
    "run_id": pa.string(), "zone": pa.string(), "currency": pa.string(), "price_basis": pa.string(),
    "period_end": pa.date32(), "expected_units": pa.float64(), "lower": pa.float64(), "upper": pa.float64(),
    "units_lower": pa.float64(), "units_upper": pa.float64(),
}  # fmt: skip


@cache
def _run() -> Run:
    panel = make(6, 2).panel
    found = fit(panel, until="2025-02-24", fingerprint="f", seed=3, calendar_in_advance=False)
    origin = Origin("data", "f", "2025-02-24", 3, "EUR", 2, calendar_in_advance=False, versions=())
    return Run(found.model, panel, found.report, origin)


def _stored(table: object) -> pa.Table:
    return pq.read_table(io.BytesIO(table_bytes(table)))


def _names_and_types(table: pa.Table) -> dict[str, object]:
    return dict(zip(table.schema.names, table.schema.types, strict=True))


def test_elasticities_have_the_columns_of_the_contract() -> None:
    run = _run()
    stored = _stored(elasticities_table(elasticities(run.model, run.training), run))
    assert list(_names_and_types(stored).items()) == list(ELASTICITIES.items())
    assert stored.num_rows == 2 * len(run.model.series)
    assert {column: stored.column(column).null_count for column in ELASTICITIES} == dict.fromkeys(
        ELASTICITIES, 0
    )
    assert set(stored.column("kind").to_pylist()) == {"regular", "discount"}
    assert set(stored.column("identified_by").to_pylist()) <= {kind.label for kind in Identification}
    assert set(stored.column("run_id").to_pylist()) == {run.identifier}
    rows = stored.to_pylist()
    assert [row["product_id"] for row in rows[::2]] == list(run.model.series.group)
    for i, row in enumerate(rows):
        n, c = divmod(i, 2)
        assert row["elasticity"] == run.model.mean[n, 1 + c]
        assert row["support_high"] == run.model.support_high[n]
        assert row["lower"] < row["elasticity"] < row["upper"]
        assert str(row["period_start"]) == str(run.panel.periods[0])
        assert str(row["period_end"]) == "2025-02-24"


def test_predictions_keep_the_scenarios_columns_and_add_their_own() -> None:
    run = _run()
    price = run.training.regular[:, -1] / 100
    asked = pa.table(
        {
            "note": pa.array([1, 2], pa.int8()),
            "period_start": pa.array([dt.date(2025, 3, 3)] * 2),
            "currency": ["XXX", "XXX"],
            "product_id": ["p0003", "p0001"],
            "offered_price": [price[3], price[1]],
        }
    )
    scenario = scenario_from_table(asked, 2)
    said = predict(run.model, last_known(run.training), scenario)
    stored = _stored(predictions_table(asked, scenario, said, run))
    found = _names_and_types(stored)
    assert list(found)[:4] == ["note", "period_start", "product_id", "offered_price"]
    assert list(found.items())[4:] == list(PREDICTED.items())
    assert found["note"] == pa.int8()
    assert stored.column("product_id").to_pylist() == ["p0003", "p0001"]
    assert stored.column("currency").to_pylist() == ["EUR", "EUR"]
    assert stored.column("zone").to_pylist() == ["all", "all"]
    assert [str(day) for day in stored.column("period_end").to_pylist()] == ["2025-03-10"] * 2
    np.testing.assert_array_equal(stored.column("expected_units").to_numpy(), said.expected)
    np.testing.assert_array_equal(stored.column("units_upper").to_numpy(), said.units_upper)


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
    (tmp_path / "text.parquet").write_text("product_id,period_start\n")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_scenario(tmp_path / "text.parquet", 2)
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
