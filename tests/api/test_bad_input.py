"""Bad input through the command line, as CSV, Excel and Parquet: named, counted, nothing lost."""

from __future__ import annotations

import datetime as dt
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from tests.simulators.formats import FORMATS, lines, write_folder_of, write_table
from tests.simulators.shops import GOOD_LINE, ORDERS_HEADER, PRODUCTS, SHOP, orders

FUTURE = str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3))
LOOSE = SHOP.replace("quarantine_share = 0.5", "quarantine_share = 1.0")
HEADER = [*ORDERS_HEADER.split(","), "currency"]
GOOD = [*GOOD_LINE.split(","), "EUR"]

# What is wrong with row 3, row 4, ...: a cell of a good line, and the reason.
WRONG: tuple[tuple[str, str, str], ...] = (
    ("order_id", "", "order_id: missing"),
    ("ordered_at", "soon", "ordered_at: not a date"),
    ("ordered_at", FUTURE, "ordered_at: in the future"),
    ("ordered_at", "1899-12-30", "ordered_at: before 1980"),
    ("status", "shipped", "status: not one of paid, cancelled, test, draft"),
    ("product_id", "nobody", "product_id: not in products"),
    ("quantity", "two", "quantity: not a number"),
    ("quantity", "NaN", "quantity: not finite"),
    ("quantity", "-inf", "quantity: not finite"),
    ("quantity", "0", "quantity: not positive"),
    ("quantity", "-2", "quantity: not positive"),
    ("quantity", "1e13", "quantity: above 1,000,000,000,000"),
    ("offered_price", "0", "offered_price: not positive"),
    ("offered_price", "-8", "offered_price: not positive"),
    ("offered_price", "Infinity", "offered_price: not finite"),
    ("regular_price", "7.98", "regular_price: below offered_price"),
    ("paid", "-16", "paid: negative"),
    ("paid", "16.001", "paid: more decimals than EUR has"),
    ("paid", "17", "paid: not offered_price x quantity less discounts"),
    ("price_basis", "", "price_basis: missing"),
    ("price_basis", "with tax", "price_basis: not one of gross, net"),
    ("currency", "USD", "currency: not the shop's (EUR)"),
)  # fmt: skip


def _line(number: int, column: str, cell: str) -> list[str]:
    changed = {"order_id": f"o{number}", column: cell}
    return [changed.get(name, good) for name, good in zip(HEADER, GOOD, strict=True)]


LINES = [_line(i, column, cell) for i, (column, cell, _) in enumerate(WRONG, start=3)]


def _call(*words: object) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--json")])
    assert "Traceback" not in result.output
    return result.exit_code, json.loads(result.stdout)


def _error(exit_code: int, code: str, *words: object) -> dict[str, Any]:
    found, document = _call(*words)
    error: dict[str, Any] = document["error"]
    assert (found, error["code"]) == (exit_code, code), error
    assert error["todo"] or error["why"], error
    return error


@pytest.mark.parametrize("ending", FORMATS)
def test_every_bad_row_is_named_by_number_and_reason(tmp_path: Path, ending: str) -> None:
    duplicate = list(GOOD)
    folder = write_folder_of(tmp_path / "d", ending, LOOSE, orders=[HEADER, GOOD, *LINES, duplicate])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    first = 1 if ending == "parquet" else 2  # a person counts a sheet's header, not a Parquet file's
    expected: dict[str, list[int]] = {"order_id, line_id: duplicate": [first + 1 + len(LINES)]}
    for i, (_, _, reason) in enumerate(WRONG, start=first + 1):
        expected.setdefault(reason, []).append(i)
    code, report = _call("check", folder)
    assert code == 0, report
    assert {bad["reason"]: bad["rows"] for bad in report["bad_rows"]} == expected
    (table,) = [t for t in report["tables"] if t["name"] == "orders"]
    assert (table["rows"], table["bad"]) == (len(LINES) + 2, len(LINES) + 1)
    kept = (tmp_path / "d.quarantine" / "orders.csv").read_text().splitlines()
    assert len(kept) == len(LINES) + 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("ending", FORMATS)
def test_what_came_through_an_import_is_judged_alike(tmp_path: Path, ending: str) -> None:
    folder = write_folder_of(tmp_path / "in", ending, LOOSE, orders=[HEADER, GOOD, *LINES])
    assert _call("import", folder, "--out", tmp_path / "d", "--key-file", tmp_path / "key")[0] == 0
    code, report = _call("check", tmp_path / "d")
    assert code == 0
    found = {number: bad["reason"] for bad in report["bad_rows"] for number in bad["rows"]}
    assert found == {i: reason for i, (_, _, reason) in enumerate(WRONG, start=2)}


@pytest.mark.parametrize("ending", FORMATS)
def test_above_the_share_of_bad_rows_nothing_is_fitted(tmp_path: Path, ending: str) -> None:
    folder = write_folder_of(tmp_path / "d", ending, SHOP, orders=[HEADER, GOOD, *LINES])
    code, report = _call("check", folder)
    assert (code, report["prices"], report["months"]) == (3, None, [])
    assert f"orders.{ending}: {len(LINES)} of {len(LINES) + 1} rows are bad" in report["too_many"]
    error = _error(3, "too_many_bad_rows", "fit", folder, "--out", tmp_path / "run")
    assert "quarantine_share" in error["why"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "d.quarantine"]


def _without(name: str) -> list[list[str]]:
    place = HEADER.index(name)
    return [[cell for i, cell in enumerate(row) if i != place] for row in (HEADER, GOOD)]


@pytest.mark.parametrize("ending", FORMATS)
def test_tables_and_columns_that_are_not_there(tmp_path: Path, ending: str) -> None:
    folder = write_folder_of(tmp_path / "d", ending, orders=[HEADER, GOOD])
    commands = (
        ("check", folder),
        ("fit", folder, "--out", tmp_path / "run"),
        ("import", folder, "--out", tmp_path / "o"),
    )

    def told(what: str) -> None:
        for command in commands:
            error = _error(3, "data", *command)
            assert what in error["what"], error
        assert sorted(path.name for path in tmp_path.iterdir()) in (["d"], ["d", "o.key"])

    for name in ("order_id", "price_basis", "offered_price"):
        write_table(folder / f"orders.{ending}", _without(name))
        told(f"orders.{ending} has no column {name}.")
    write_table(folder / f"orders.{ending}", [HEADER])
    told(f"orders.{ending} has no rows.")
    (folder / f"orders.{ending}").write_bytes(b"")
    told(f"orders.{ending} is empty (0 bytes).")
    (folder / f"orders.{ending}").unlink()
    told("has no table orders.")
    write_table(folder / f"orders.{ending}", [HEADER, GOOD])
    (folder / f"products.{ending}").unlink()
    told("has no table products.")
    shutil.rmtree(folder)
    for command in commands[:2]:
        assert "There is no data folder" in _error(3, "data", *command)["what"]


def test_one_table_twice_is_nobodys_guess(tmp_path: Path) -> None:
    folder = write_folder_of(tmp_path / "d", "csv", orders=[HEADER, GOOD])
    for ending in ("parquet", "xlsx"):
        write_table(folder / f"products.{ending}", lines(PRODUCTS))
        what = _error(3, "data", "check", folder)["what"]
        assert "products.csv" in what
        assert f"products.{ending}" in what
        (folder / f"products.{ending}").unlink()


def test_a_semicolon_file_with_decimal_commas_and_a_bom_is_read(tmp_path: Path) -> None:
    folder = write_folder_of(tmp_path / "d", "csv")
    text = (
        orders(GOOD_LINE, "o2,1,2025-03-04,paid,,A,1,9.50,9.50,9.50,gross")
        .replace(",", ";")
        .replace(".", ",")
    )
    (folder / "orders.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    code, report = _call("check", folder)
    assert (code, report["bad_rows"]) == (0, [])
    (table,) = [t for t in report["tables"] if t["name"] == "orders"]
    assert (table["encoding"], table["delimiter"], table["decimal"]) == ("utf-8-sig", ";", ",")
    assert report["months"][0]["gross"] == 1600 + 950


def test_a_setting_that_is_wrong_names_itself_and_its_file(tmp_path: Path) -> None:
    folder = write_folder_of(tmp_path / "d", "csv", orders=[HEADER, GOOD])
    for old, new, what in (
        ("time_zone", "timezone", "timezone is not a setting of shop.toml."),
        ('"EUR"', '"euro"', "currency: 'euro' is not a currency code"),
        ("tax_rate = 0.25", "tax_rate = 25", "tax_rate = 25.0 is outside 0.0 to 1.0."),
        ("tax_rate = 0.25\n", "", "does not say zones[0].tax_rate."),
        ("[[zones]]", "[zones]", "zones = "),
        ("contract = 1", "contract = 2", "contract = 2"),
        ("[cost_assumption]", "[cost_assumption", "is not valid TOML"),
    ):
        assert old in SHOP
        (folder / "shop.toml").write_text(SHOP.replace(old, new, 1))
        for command in (("check", folder), ("fit", folder, "--out", tmp_path / "run")):
            error = _error(3, "settings", *command)
            assert what in error["what"]
            assert str(folder / "shop.toml") in error["what"]
    (folder / "shop.toml").unlink()
    assert "There is no" in _error(3, "settings", "check", folder)["what"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


@pytest.mark.parametrize(
    "until", ["today", "now", "NaT", "", "2025", "2025-02-30", "3/3/2025", "2025-03-03T10:00"]
)
def test_a_holdout_begins_on_a_day_or_is_refused(shop_folder: Path, tmp_path: Path, until: str) -> None:
    error = _error(3, "data", "fit", shop_folder, "--out", tmp_path / "run", "--until", until)
    assert error["what"] == f"{until!r} is no date."
    assert list(tmp_path.iterdir()) == []


# Predictions


def _scenario(path: Path, **columns: list[object]) -> Path:
    rows = {"product_id": ["p03"], "period_start": ["2024-09-02"], "offered_price": [3.49], **columns}
    pq.write_table(pa.table({name: cells for name, cells in rows.items() if cells}), path)
    return path


@pytest.mark.parametrize(
    ("columns", "exit_code", "names"),
    [
        ({"product_id": ["p99"]}, 5, "'p99'"),
        ({"product_id": ["P03"]}, 5, "'P03'"),
        ({"product_id": [None]}, 3, "product_id"),
        ({"product_id": [3.0]}, 3, "product_id"),
        ({"product_id": []}, 3, "product_id"),
        ({"zone": ["Shop"]}, 5, "'Shop'"),
        ({"period_start": ["soon"]}, 3, "period_start"),
        ({"period_start": [None]}, 3, "period_start"),
        ({"offered_price": [0.0]}, 3, "offered_price"),
        ({"offered_price": [-3.49]}, 3, "offered_price"),
        ({"offered_price": [math.nan]}, 3, "offered_price"),
        ({"offered_price": [math.inf]}, 3, "offered_price"),
        ({"offered_price": ["3.49"]}, 3, "offered_price"),
        ({"offered_price": [None]}, 3, "offered_price"),
        ({"regular_price": [-1.0]}, 3, "regular_price"),
        ({"regular_price": [3.0]}, 3, "regular_price"),
        ({"feature": [1.5]}, 3, "feature"),
        ({"display": [-0.1]}, 3, "display"),
        ({"offered_price": [99.0], "regular_price": [99.0]}, 5, "p03"),
        ({"offered_price": [0.01]}, 5, "p03"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_a_question_that_has_no_answer_is_refused_by_row(
    run_folder: Path, tmp_path: Path, columns: dict[str, list[object]], exit_code: int, names: str
) -> None:
    asked = _scenario(tmp_path / "s.parquet", **columns)
    found, document = _call("predict", run_folder, "--scenario", asked, "--out", tmp_path / "p.parquet")
    assert found == exit_code, document
    assert names in document["error"]["what"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.parquet"]


def test_scenarios_that_are_no_tables(run_folder: Path, tmp_path: Path) -> None:
    place, out = tmp_path / "s.parquet", tmp_path / "p.parquet"
    for content in (b"", b"PAR1", b"product_id,period_start\np03,2024-09-02\n"):
        place.write_bytes(content)
        error = _error(3, "data", "predict", run_folder, "--scenario", place, "--out", out)
        assert "s.parquet" in error["what"]
    empty = pa.table({"product_id": pa.array([], pa.string()), "period_start": [], "offered_price": []})
    pq.write_table(empty, place)
    assert "no rows" in _error(3, "data", "predict", run_folder, "--scenario", place, "--out", out)["what"]
    assert not out.exists()


# Runs that are not what they should be


def test_damage_to_any_file_of_a_run_is_found_by_every_command(run_folder: Path, tmp_path: Path) -> None:
    asked, out = _scenario(tmp_path / "s.parquet"), tmp_path / "x"
    names = sorted(path.name for path in run_folder.iterdir())
    assert {"model.npz", "panel.npz", "report.json", "run.json", "tarifa.json"} <= set(names)
    for name in names:
        run = tmp_path / "run"
        shutil.copytree(run_folder, run)
        content = bytearray((run / name).read_bytes())
        content[len(content) // 2] ^= 0x20
        for harmed in (bytes(content), bytes(content[: len(content) // 2]), b"", None):
            (run / name).unlink(missing_ok=True)
            if harmed is not None:
                (run / name).write_bytes(harmed)
            for words in (
                ("validate", run), ("predict", run, "--scenario", asked, "--out", out),
                ("recommend", run, "--policy", "static", "--out", out),
            ):  # fmt: skip
                error = _error(4, "artifact", *words)
                assert name in error["what"] or name == "tarifa.json", error
        shutil.rmtree(run)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.parquet"]


def test_a_marker_of_any_shape_is_refused_or_right(run_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    good = json.loads((run / "tarifa.json").read_text())
    changes: tuple[dict[str, object], ...] = (
        {"kind": "policy"}, {"kind": None}, {"kind": 1}, {"version": 99}, {"version": "new"},
        {"version": None}, {"files": []}, {"files": {}}, {"files": {"../../etc/passwd": "0" * 64}},
        {"files": {"model.npz": 1}}, {"editable": None}, {"editable": 1},
    )  # fmt: skip
    for change in changes:
        (run / "tarifa.json").write_text(json.dumps({**good, **change}))
        _error(4, "artifact", "validate", run)
    for text in (
        "",
        "null",
        "[]",
        "1",
        "{}",
        '{"kind": "run"',
        "\ud800".encode("utf-8", "surrogatepass").hex(),
    ):
        (run / "tarifa.json").write_text(text)
        _error(4, "artifact", "validate", run)
    (run / "tarifa.json").write_bytes(b"\xff\xfe")
    _error(4, "artifact", "validate", run)
    shutil.rmtree(run)
    for name in ("file", "empty"):
        place = tmp_path / name
        place.write_bytes(b"") if name == "file" else place.mkdir()
        _error(4, "artifact", "validate", place)
