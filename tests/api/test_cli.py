from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.cli.session import INTERNAL, INTERRUPTED
from pricing.evidence import Identification
from tests.api.coupon_counter import customers
from tests.api.coupon_counter import shelf as coupon_shelf
from tests.api.shop import PRODUCTS, write_shop

COMMANDS = (
    "import", "check", "fit", "validate", "elasticities",
    "predict", "simulate", "train", "recommend", "serve",
)  # fmt: skip
RECOMMENDED = {
    "decision_id", "price_group", "current_price", "recommended_price", "price_basis", "valid_from",
    "expected_units", "expected_profit", "profit_change", "profit_change_lower", "profit_change_upper",
    "probability_of_loss", "identified_by", "binding_guardrail", "reason_codes", "status", "release",
    "provenance_digest", "passport",
    "run_id", "zone", "channel", "currency", "period_start", "period_end",
}  # fmt: skip


TOO_MANY = ("simulate", "{run}", "--policies", "static", "--seeds", "999", "--horizon", "99", "--decisions")


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def _ok(*words: object) -> dict[str, Any]:
    result = _call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _refused(exit_code: int, code: str, *words: object) -> dict[str, Any]:
    result = _call(*words, "--json")
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    assert error["code"] == code
    assert error["what"] in result.stderr.replace("\n", " ") or len(error["what"]) > 70
    return error


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = _call(command, "--help")
    assert result.exit_code == 0
    assert f"Example: tarifa {command}" in result.stdout
    assert "--json" in result.stdout


def test_check_reports_and_quarantines(tmp_path: Path) -> None:
    data = write_shop(tmp_path / "shop")
    with (data / "orders.csv").open("a") as orders:
        orders.write("o9,1,2024-03-01 12:00:00,paid,p99,1,2.00,2.00,2.00,gross\n")
        orders.write("o8,1,2024-03-01 12:00:00,paid,p01,-1,2.00,2.00,2.00,gross\n")
    found = _ok("check", data)
    assert {bad["reason"] for bad in found["bad_rows"]} == {
        bad["reason"] for bad in found["bad_rows"] if bad["count"] == 1
    }
    assert len(found["bad_rows"]) == 2
    kept = (Path(found["quarantine"]) / "orders.csv").read_text().splitlines()
    assert len(kept) == 3
    assert "reason" in kept[0]


def test_too_many_bad_rows_end_with_the_report_and_exit_3(tmp_path: Path) -> None:
    data = write_shop(tmp_path / "shop")
    text = (data / "orders.csv").read_text().replace(",paid,p0", ",paid,x0")
    (data / "orders.csv").write_text(text)
    result = _call("check", data, "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["too_many"]
    assert "orders.csv" in result.stderr


def test_validate_elasticities_and_recommend_agree_with_the_contract(
    run_folder: Path, tmp_path: Path
) -> None:
    validated = _ok("validate", run_folder, "--out", tmp_path / "passport")
    assert validated["periods"] == 5
    assert not validated["own_holdout"]
    assert validated["wmape"] < validated["naive_wmape"]
    _ok("elasticities", run_folder, "--out", tmp_path / "e.parquet")
    table: Any = pq.read_table(tmp_path / "e.parquet")
    assert table.num_rows == 2 * PRODUCTS
    found = _ok("recommend", run_folder, "--policy", "resolve", "--out", tmp_path / "r.parquet")
    rows = pq.read_table(tmp_path / "r.parquet").to_pylist()
    assert set(rows[0]) >= RECOMMENDED
    assert len(rows) == found["series"] == PRODUCTS
    assert found["moved"] == sum(row["recommended_price"] != row["current_price"] for row in rows)
    assert all(
        row["recommended_price"] % 10 in (5, 9)
        for row in rows
        if row["recommended_price"] != row["current_price"]
    )
    assert {row["identified_by"] for row in rows} <= {how.label for how in Identification}
    assert all(
        row["profit_change_lower"] <= row["profit_change"] <= row["profit_change_upper"] for row in rows
    )


def test_the_same_call_gives_the_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        _ok("recommend", run_folder, "--policy", "thompson", "--out", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_people_get_a_table_in_their_language(run_folder: Path, tmp_path: Path) -> None:
    words = ("recommend", run_folder, "--policy", "static", "--out", tmp_path / "r.parquet")
    assert "prices move." in _call(*words).stdout
    spanish = _call(*words, "--language", "es")
    assert "precios." in spanish.stdout
    assert _call(*words, "--language", "fr").exit_code == 2


def _scenario(path: Path, **changes: object) -> Path:
    row: dict[str, object] = {"product_id": "p03", "period_start": "2024-09-02", "offered_price": 3.49}
    pq.write_table(pa.table({k: [v] for k, v in {**row, **changes}.items()}), path)
    return path


def test_predict_answers_row_by_row(run_folder: Path, tmp_path: Path) -> None:
    asked = _scenario(tmp_path / "s.parquet")
    found = _ok("predict", run_folder, "--scenario", asked, "--out", tmp_path / "p.parquet")
    row = pq.read_table(tmp_path / "p.parquet").to_pylist()[0]
    assert found["rows"] == 1
    assert row["product_id"] == "p03"
    assert row["lower"] < row["expected_units"] < row["upper"]


@pytest.mark.parametrize(
    ("changes", "exit_code", "code", "names"),
    [
        ({"product_id": "p77"}, 5, "unknown_product", "p77"),
        ({"zone": "moon"}, 5, "unknown_product", "'moon'"),
        ({"offered_price": 9.99, "regular_price": 9.99}, 5, "outside_support", "9.99 EUR for 'p03'"),
        ({"offered_price": float("nan")}, 3, "data", "offered_price is empty"),
        ({"period_start": "2024-08-26"}, 5, "refused", "2024-08-26 lies before 2024-09-02"),
        ({"period_start": "2024-09-04"}, 3, "data", "2024-09-04 is not the first day"),
        ({"period_start": "2034-09-04"}, 5, "refused", "2034-09-04 lies 523 periods ahead"),
        # Stated before any price is judged: an amount of another currency is no price of this shop.
        ({"currency": "USD", "offered_price": 99.0}, 3, "data", "currency is 'USD'"),
    ],
)
def test_predict_refuses_to_invent(
    run_folder: Path, tmp_path: Path, changes: dict[str, object], exit_code: int, code: str, names: str
) -> None:
    asked = _scenario(tmp_path / "s.parquet", **changes)
    out = tmp_path / "p.parquet"
    error = _refused(exit_code, code, "predict", run_folder, "--scenario", asked, "--out", out)
    assert error["what"].startswith("Row 1: ")
    assert names in error["what"]
    assert not out.exists()


def test_train_and_simulate(run_folder: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    trained = _ok("train", run_folder, "--policy", "ppo", "--products", 4, "--rollouts", 2, "--out", policy)
    assert trained["products"] == 4
    names = f"incumbent,static,resolve,{policy}"
    out = tmp_path / "simulation"
    found = _ok(
        "simulate",
        run_folder,
        "--policies",
        names,
        "--seeds",
        3,
        "--horizon",
        3,
        "--workers",
        1,
        "--decisions",
        "--out",
        out,
    )
    every, unseen = found["comparisons"]
    assert (every["which"], every["products"]) == ("all", 12)
    assert (unseen["which"], unseen["products"]) == ("unseen", 8)
    for compared in (every["policies"], unseen["policies"]):
        assert [entry["policy"] for entry in compared] == ["incumbent", "static", "resolve", "ppo"]
        assert compared[2]["percent"]["estimate"] == pytest.approx(100.0)
    rows: Any = pq.read_table(out / "rollouts.parquet")
    assert rows.num_rows == 4 * 3 * 3
    assert set(rows.column("run_id").to_pylist()) == {found["run_id"]}
    made: Any = pq.read_table(out / "decisions.parquet")
    assert made.num_rows == 12 * rows.num_rows
    _ok("recommend", run_folder, "--policy", policy, "--out", tmp_path / "r.parquet")


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("check", "{tmp}/nowhere"), 3, "data"),
        (("fit", "{tmp}/nowhere", "--out", "{tmp}/run"), 3, "data"),
        (("validate", "{tmp}/nowhere"), 4, "artifact"),
        (("validate", "{data}"), 4, "artifact"),
        (("recommend", "{data}", "--policy", "resolve", "--out", "{tmp}/x"), 4, "artifact"),
        (("recommend", "{run}", "--policy", "oracle", "--out", "{tmp}/x"), 2, "usage"),
        (("recommend", "{run}", "--policy", "ppo", "--out", "{tmp}/x"), 2, "usage"),
        (("recommend", "{run}", "--policy", "{run}", "--out", "{tmp}/x"), 4, "artifact"),
        (("recommend", "{run}", "--policy", "static", "--out", "{tmp}"), 2, "usage"),
        (("fit", "{data}", "--out", "{data}"), 2, "usage"),
        (("fit", "{data}", "--out", "{tmp}/run", "--until", "2019-01-01"), 3, "data"),
        (("fit", "{data}", "--out", "{tmp}/run", "--until", "soon"), 3, "data"),
        (("predict", "{run}", "--scenario", "{tmp}/none", "--out", "{tmp}/x"), 3, "data"),
        (("simulate", "{run}", "--policies", ",", "--out", "{tmp}/x"), 2, "usage"),
        ((*TOO_MANY, "--out", "{tmp}/x"), 2, "usage"),
        (("train", "{run}", "--policy", "sarsa", "--out", "{tmp}/x"), 2, "usage"),
        (("import", "{tmp}/none.csv", "--out", "{tmp}/x"), 2, "usage"),
        (("serve", "{data}"), 4, "artifact"),
    ],
)
def test_bad_input_is_an_error_that_says_what_to_do(
    shop_folder: Path, run_folder: Path, tmp_path: Path, words: tuple[str, ...], exit_code: int, code: str
) -> None:
    before = sorted(p.name for p in shop_folder.iterdir())
    said = [word.format(tmp=tmp_path, data=shop_folder, run=run_folder) for word in words]
    error = _refused(exit_code, code, *said)
    assert error["todo"] or error["why"]
    assert not any((tmp_path / name).exists() for name in ("run", "x"))
    assert sorted(p.name for p in shop_folder.iterdir()) == before


def test_a_corrupt_run_is_refused_by_every_reader(run_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    with (run / "model.npz").open("ab") as model:
        model.write(b"x")
    out = tmp_path / "x"
    for words in (
        ("validate", run),
        ("elasticities", run, "--out", out),
        ("recommend", run, "--policy", "resolve", "--out", out),
        ("train", run, "--policy", "ppo", "--out", out),
        ("simulate", run, "--policies", "static", "--out", out),
        ("serve", run),
    ):
        assert "model.npz has changed" in _refused(4, "artifact", *words)["what"]
    assert not out.exists()


def test_policies_that_no_request_could_tell_apart_are_not_served(run_folder: Path, tmp_path: Path) -> None:
    error = _refused(
        2, "usage", "serve", run_folder, "--policy", "static,static", "--store", tmp_path / "d.sqlite3"
    )
    assert "static" in error["what"]
    assert not (tmp_path / "d.sqlite3").exists()


def test_a_run_is_not_served_with_other_data(run_folder: Path, tmp_path: Path) -> None:
    other = write_shop(tmp_path / "shop")
    (other / "products.csv").write_text((other / "products.csv").read_text().replace("c0", "c9"))
    error = _refused(4, "fingerprint", "serve", run_folder, "--data", other)
    assert str(other) in error["what"]
    shutil.copytree(run_folder, tmp_path / "run")
    _refused(4, "fingerprint", "serve", tmp_path / "run")


def test_coupons_whose_consents_cannot_be_read_are_not_served(run_folder: Path, tmp_path: Path) -> None:
    """Damaged, cut off, or neither yes nor no: refused before anything listens."""
    place, made, people = tmp_path / "coupons.npz", coupon_shelf(), customers()
    object.__setattr__(people, "consented", np.array([1.0, np.nan]))
    for content in (b"", made.to_bytes()[:-100], replace(made, customers=people).to_bytes()):
        place.write_bytes(content)
        store = tmp_path / "d.sqlite3"
        _refused(
            4, "artifact", "serve", run_folder, "--policy", "static", "--store", store, "--coupons", place
        )


def test_a_shop_of_orders_and_products_alone_predicts_and_prices_nothing(tmp_path: Path) -> None:
    data, run = write_shop(tmp_path / "data"), tmp_path / "run"
    (data / "promotions.csv").unlink()
    settings = (data / "shop.toml").read_text().replace("[cost_assumption]\ndefault = 0.6\n", "")
    (data / "shop.toml").write_text(settings)
    fitted = _ok("fit", data, "--out", run, "--until", "2024-09-02")
    assert (fitted["catalogue"], fitted["costs_assumed"]) == (0, None)
    assert "nan" not in _call("validate", run).stdout
    error = _refused(4, "artifact", "recommend", run, "--policy", "resolve", "--out", tmp_path / "r.parquet")
    assert "cost_assumption" in error["todo"]


def test_where_no_price_may_move_it_is_said_why(tmp_path: Path) -> None:
    data, run = write_shop(tmp_path / "data"), tmp_path / "run"
    (data / "promotions.csv").unlink()
    text = (data / "shop.toml").read_text().replace("tax_rate = 0.21", "tax_rate = 0.10")
    zone = '\n[[zones]]\nid = "far"\ncountry = "FR"\ntax_rate = 0.2\nprices_include_tax = true\n\n[cost_as'
    (data / "shop.toml").write_text(text.replace("\n[cost_as", zone))
    _ok("fit", data, "--out", run)
    shown = _call("recommend", run, "--policy", "resolve", "--out", tmp_path / "r.parquet").stdout
    assert "for 12 products because the data do not tell" in shown.replace("\n", " ")
    _refused(5, "not_identified", "simulate", run, "--policies", "resolve,static", "--out", tmp_path / "s")


def test_import_suggests_columns_and_waits_for_a_yes(tmp_path: Path) -> None:
    own = tmp_path / "ventas.csv"
    own.write_text(
        "pedido;linea;fecha;estado;referencia;cantidad;precio;total;price_basis;notas\n"
        "1;1;2024-01-02;paid;A1;2;1,50;3,00;gross;hola\n"
    )
    assert "products" in _refused(3, "data", "import", own, "--out", tmp_path / "data")["what"]
    (tmp_path / "products.csv").write_text("product_id,category,kind\nA1,c,merchandise\n")
    words = (
        "import", own, "--out", tmp_path / "data", "--currency", "EUR", "--time-zone", "Europe/Madrid",
        "--country", "ES", "--tax-rate", "0.21", "--prices-include-tax",
    )  # fmt: skip
    error = _refused(2, "usage", *words)
    assert 'quantity = "cantidad"' in error["todo"]
    assert not (tmp_path / "data").exists()
    found = _ok(*words, "--yes")
    assert found["columns"]["orders"]["paid"] == "total"
    assert ["notas"] in [table["not_stored"] for table in found["tables"]]
    written = sorted(p.name for p in (tmp_path / "data").iterdir())
    assert written == ["orders.parquet", "products.parquet", "shop.toml", "tarifa.json"]
    error = _refused(2, "usage", "import", own, "--out", tmp_path / "other", "--currency", "EUR")
    assert "--time-zone" in error["what"]


def test_an_unforeseen_error_is_a_sentence_and_exit_70(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("simulators.run.load_run", broken)
    result = _call("validate", run_folder)
    assert result.exit_code == INTERNAL
    assert "ZeroDivisionError: a bug" in result.stderr
    assert "Traceback" not in result.output
    assert isinstance(_call("validate", run_folder, "--debug").exception, ZeroDivisionError)


def _interrupted(shop_folder: Path, place: Path) -> tuple[int, bytes]:
    """Return exit code and standard error of a fit that was interrupted once its draft was there."""
    command = [sys.executable, "-m", "api.cli.main", "fit", str(shop_folder), "--out", str(place / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        draft = place / ".run.tarifa-new"
        deadline = time.monotonic() + 60
        while not draft.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
    return process.returncode, error


def test_ctrl_c_ends_with_130_and_nothing_half_written(shop_folder: Path, tmp_path: Path) -> None:
    # On a busy machine a fit may be over before it is interrupted; that says nothing, and is tried again.
    for attempt in range(5):
        place = tmp_path / str(attempt)
        place.mkdir()
        code, error = _interrupted(shop_folder, place)
        if code != 0:
            break
    assert code == INTERRUPTED
    assert b"Traceback" not in error
    assert list(place.iterdir()) == []
