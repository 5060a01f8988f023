"""``tarifa update`` end to end: a run of a fit in, a run that everything else takes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.runs import open_shelf
from bench.days import DailyShop, write_daily_shop
from tests.api.conftest import UNTIL


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def _json(*words: object) -> dict[str, object]:
    result = _call(*words, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, object] = json.loads(result.stdout)
    return document


@pytest.fixture(scope="module")
def updated(shop_folder: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("updated") / "run2"
    document = _json("update", run_folder, shop_folder, "--out", out, "--until", "2024-09-23")
    lineage = document["lineage"]
    assert isinstance(lineage, dict)
    assert lineage == json.loads((out / "lineage.json").read_text())
    assert [(step["since"], step["until"]) for step in lineage["updates"]] == [(UNTIL, "2024-09-23")]
    parent = json.loads((run_folder / "run.json").read_text())["run_id"]
    assert lineage["fitted_run_id"] == lineage["updates"][0]["parent_run_id"] == parent
    assert document["run_id"] != parent
    assert document["holdout_periods"] == 2
    return out


def test_all_that_takes_a_run_takes_an_updated_one(updated: Path, shop_folder: Path, tmp_path: Path) -> None:
    assert _json("validate", updated, "--quick", "--out", tmp_path / "passport")["periods"] == 2
    _json("elasticities", updated, "--out", tmp_path / "e.parquet")
    _json("train", updated, "--policy", "static", "--out", tmp_path / "policy")
    _json("recommend", updated, "--policy", tmp_path / "policy", "--out", tmp_path / "r.parquet")
    words = ("--policies", "incumbent,static", "--seeds", 2, "--horizon", 2, "--workers", 1)
    _json("simulate", updated, *words, "--out", tmp_path / "sim")
    assert open_shelf(updated).model.until == "2024-09-23"
    again = _json("update", updated, shop_folder, "--out", tmp_path / "run3")
    lineage = again["lineage"]
    assert isinstance(lineage, dict)
    assert len(lineage["updates"]) == 2


def test_people_are_told_how_well_it_had_been_foretold(
    run_folder: Path, shop_folder: Path, tmp_path: Path
) -> None:
    english = _call("update", run_folder, shop_folder, "--out", tmp_path / "a", "--until", "2024-09-23")
    shown = " ".join(english.stdout.split())
    assert "updated: 3 new periods, 0 new series, 0 known ones without evidence" in shown
    assert "Before the update it had foretold them with WMAPE 0." in shown
    words = ("--until", "2024-09-23", "--language", "es")
    spanish = _call("update", run_folder, shop_folder, "--out", tmp_path / "b", *words)
    shown = " ".join(spanish.stdout.split())
    assert "actualizada: 3 periodos nuevos, 0 series nuevas" in shown
    assert "los había previsto con WMAPE 0," in shown
    assert (tmp_path / "a" / "model.npz").read_bytes() == (tmp_path / "b" / "model.npz").read_bytes()


def test_nothing_new_is_refused_in_the_readers_language_and_writes_nothing(
    updated: Path, shop_folder: Path, tmp_path: Path
) -> None:
    words = ("--out", tmp_path / "no", "--until", "2024-09-23", "--language", "es")
    refused = _call("update", updated, shop_folder, *words)
    assert refused.exit_code == 3
    assert "ningún periodo completo desde el 2024-09-23 antes del 2024-09-23" in " ".join(
        refused.stderr.split()
    )
    assert not (tmp_path / "no").exists()
    missing = _call("update", tmp_path / "none", shop_folder, "--out", tmp_path / "no")
    assert missing.exit_code != 0
    assert "Traceback" not in missing.stderr


def test_a_shop_by_days_goes_the_whole_way(tmp_path: Path) -> None:
    write_daily_shop(tmp_path / "data", DailyShop(1, products=8, days=90, sundays=False))
    _json("check", tmp_path / "data", "--quarantine", tmp_path / "bad")
    _json("fit", tmp_path / "data", "--out", tmp_path / "run", "--until", "2025-04-21")
    _json("validate", tmp_path / "run", "--quick", "--out", tmp_path / "passport")
    _json("elasticities", tmp_path / "run", "--out", tmp_path / "e.parquet")
    _json("recommend", tmp_path / "run", "--policy", "resolve", "--out", tmp_path / "r.parquet")
    words = ("--policies", "incumbent,static,thompson", "--seeds", 2, "--horizon", 7, "--workers", 1)
    _json("simulate", tmp_path / "run", *words, "--out", tmp_path / "sim")
    document = _json("update", tmp_path / "run", tmp_path / "data", "--out", tmp_path / "run2")
    assert document["holdout_periods"] == 0
