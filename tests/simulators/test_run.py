from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pricing.errors import ArtifactError, DataError, FingerprintError
from pricing.panel import Panel
from simulators.contract.tables import open_source
from simulators.demand.elasticities import elasticities
from simulators.demand.predict import last_known, predict
from simulators.output_tables import elasticities_table, predictions_table, scenario_from_table, table_bytes
from simulators.run import (
    Run,
    fit_run,
    load_run,
    save_run,
    split,
    validate_run,
)
from tests.simulators.demand_truth import make
from tests.simulators.shops import TODAY, orders, write_shop


def _shop(folder: Path) -> Path:
    """Two products over 30 weeks of one order a week each; A is on offer every fourth week."""
    lines: list[str] = []
    for week in range(30):
        day = str(np.datetime64("2024-09-02") + 7 * week)
        price, quantity = (8.0, 4) if week % 4 == 0 else (10.0, 2)
        lines.append(
            f"a{week},1,{day} 10:00,paid,c1,A,{quantity},10.00,{price:.2f},{price * quantity:.2f},gross"
        )
        lines.append(f"b{week},1,{day} 11:00,paid,c1,B,1,5.00,5.00,5.00,gross")
    return write_shop(folder, orders=orders(*lines))


def _run(folder: Path, until: str | None = None) -> Run:
    with open_source(folder, today=TODAY) as source:
        return fit_run(source, seed=5, until=until)


def test_a_run_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    run = _run(_shop(tmp_path / "data"), "2025-02-03")
    save_run(tmp_path / "run", run, {"note.txt": b"kept"})
    back = load_run(tmp_path / "run", fingerprint=run.origin.fingerprint)
    assert back.origin == run.origin
    assert back.report == run.report
    assert back.model.to_bytes() == run.model.to_bytes()
    assert back.identifier == run.identifier
    assert back.origin.data_name == "data"
    assert str(tmp_path) not in (tmp_path / "run" / "run.json").read_text()
    assert back.holdout == len(back.panel.periods) - 22
    assert (tmp_path / "run" / "note.txt").read_bytes() == b"kept"


def test_the_same_data_give_the_same_run_bytes(tmp_path: Path) -> None:
    folder = _shop(tmp_path / "data")
    for name in ("one", "two"):
        save_run(tmp_path / name, _run(folder))
    for file in ("model.npz", "panel.npz", "report.json", "run.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_other_data_or_changed_bytes_are_refused(tmp_path: Path) -> None:
    save_run(tmp_path / "run", _run(_shop(tmp_path / "data")))
    with pytest.raises(FingerprintError, match="other data"):
        load_run(tmp_path / "run", fingerprint="0" * 64)
    (tmp_path / "run" / "model.npz").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="has changed"):
        load_run(tmp_path / "run")
    with pytest.raises(ArtifactError):
        load_run(tmp_path / "data")


def test_validation_makes_a_holdout_of_its_own_and_says_so(tmp_path: Path) -> None:
    run = _run(_shop(tmp_path / "data"))
    assert run.holdout == 0
    shown = validate_run(run)
    assert shown.own_holdout
    assert shown.periods == 6
    held = validate_run(_run(tmp_path / "data", "2025-02-03"))
    assert not held.own_holdout
    assert held.until == "2025-02-03"


def test_until_is_exclusive_and_whole_periods_only() -> None:
    panel = make(2, 1).panel
    assert split(panel, None) == len(panel.periods)
    assert split(panel, str(panel.periods[5])) == 5
    assert split(panel, str(panel.periods[5] + 3)) == 5
    with pytest.raises(DataError, match="No period ends before"):
        split(panel, str(panel.periods[0]))
    with pytest.raises(DataError, match="is no date"):
        split(panel, "soon")


def test_a_panel_comes_back() -> None:
    panel = make(4, 3).panel
    assert Panel.from_bytes(panel.to_bytes()).to_bytes() == panel.to_bytes()


def test_output_tables_follow_the_contract(tmp_path: Path) -> None:
    run = _run(_shop(tmp_path / "data"))
    known = last_known(run.training)
    asked = pa.table(
        {
            "product_id": ["B", "A"],
            "period_start": ["2025-04-07"] * 2,
            "offered_price": [5.0, 8.0],
            "note": ["x", "y"],
        }
    )
    scenario = scenario_from_table(asked, run.origin.exponent)
    out = predictions_table(asked, scenario, predict(run.model, known, scenario), run).to_pylist()
    assert [row["product_id"] for row in out] == ["B", "A"]
    assert [row["note"] for row in out] == ["x", "y"]
    assert {row["zone"] for row in out} == set(run.model.series.zone)
    assert all(row["units_lower"] <= row["lower"] < row["expected_units"] < row["upper"] for row in out)
    assert out[1]["expected_units"] > 2.5  # on offer A sells four, otherwise two
    table = elasticities_table(elasticities(run.model, run.training), run)
    rows = table.to_pylist()
    assert [(row["product_id"], row["kind"]) for row in rows] == [
        ("A", "regular"), ("A", "discount"), ("B", "regular"), ("B", "discount"),
    ]  # fmt: skip
    assert rows[0]["at_price"] == 1000
    assert {row["price_basis"] for row in out + rows} == {"gross"}
    assert {row["identified_by"] for row in rows[2:]} == {"not_identified"}
    assert table_bytes(table) == table_bytes(table)


def test_a_run_of_an_unreadable_report_is_refused(tmp_path: Path) -> None:
    run = _run(_shop(tmp_path / "data"))
    save_run(tmp_path / "run", run, {"report.json": b'{"series": 1}'})
    with pytest.raises(ArtifactError, match="not a readable run"):
        load_run(tmp_path / "run")
    foreign = replace(run, model=replace(run.model, fingerprint="other"))
    save_run(tmp_path / "foreign", foreign)
    with pytest.raises(FingerprintError):
        load_run(tmp_path / "foreign")
