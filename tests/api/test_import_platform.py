"""``tarifa import`` of a shop platform's export as a user calls it: recognised, confirmed, continued."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from simulators.contract.shop_file import read_shop_file, render_shop_file
from tests.api.test_import_command import SAID
from tests.simulators.platform_folders import EXPORTS, content, rows

CSV, FIRST, LATER = (EXPORTS / name for name in ("shopify_csv", "shopify_json", "shopify_json_later"))
LISTED = ("--listed-at", "2025-04-10T12:00+00:00")


def _call(*words: object) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--json")])
    assert "Traceback" not in result.output
    return result.exit_code, json.loads(result.stdout)


def _refused(exit_code: int, *words: object) -> dict[str, Any]:
    code, document = _call("import", *words)
    assert code == exit_code, document
    error: dict[str, Any] = document["error"]
    assert error["why"] or error["todo"]
    return error


def test_an_export_becomes_a_folder_that_passes_the_check(tmp_path: Path) -> None:
    out = tmp_path / "data"
    code, document = _call("import", CSV, "--out", out, *LISTED, *SAID)
    assert code == 0
    assert [(f["file"], f["holds"]) for f in document["files"]] == [
        ("orders_export_1.csv", "orders"), ("products_export_1.csv", "products"),
    ]  # fmt: skip
    assert document["platform"] == "shopify"
    assert document["listed_at"] == "2025-04-10T12:00:00+00:00"
    assert document["lines"] == {"listed": 13, "name": 4, "unknown": 1, "unlisted": 1}
    assert document["reconciliation"]["unexplained"] == 0
    orders = document["tables"][0]
    assert "Billing Name" in orders["not_stored"]
    assert "Total" not in orders["not_stored"]
    code, report = _call("check", out)
    assert code == 0
    assert report["bad_rows"] == []
    saved = json.loads((out / "reconciliation.json").read_text())
    assert saved == document["reconciliation"]


def test_nothing_is_imported_before_somebody_has_said_yes(tmp_path: Path) -> None:
    out = tmp_path / "data"
    error = _refused(2, CSV, "--out", out, *LISTED, *SAID[:-1])
    assert "--yes" in error["todo"]
    assert not list(tmp_path.iterdir())


def test_it_speaks_spanish(tmp_path: Path) -> None:
    words = ["import", str(CSV), "--out", str(tmp_path / "data"), *LISTED, *SAID, "--language", "es"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    for said in ("Exportaciones reconocidas", "tarjetas regalo 25,00", "un producto que ya no está listado"):
        assert said in result.output


def test_beside_one_file_of_orders_its_products_are_read_and_no_other_orders(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    shutil.copytree(CSV, folder)
    (folder / "orders_export_1.csv").rename(folder / "March.csv")
    text = (folder / "March.csv").read_text(encoding="utf-8")
    (folder / "April.csv").write_text(text.replace("#10", "#99"), encoding="utf-8")
    (folder / "costs.csv").write_text("product_id,valid_from,unit_cost\nTEE-S,2025-01-01,7\n")
    code, document = _call("import", folder / "March.csv", "--out", tmp_path / "data", *SAID)
    assert code == 0
    assert [f["file"] for f in document["files"]] == ["March.csv", "products_export_1.csv"]
    assert document["not_read"] == ["April.csv", "costs.csv"]
    assert document["tables"][0]["rows"] == 19
    code, document = _call("import", folder, "--out", tmp_path / "both", *SAID)
    assert (code, document["tables"][0]["rows"]) == (0, 38)


def test_no_file_beside_an_export_is_passed_over_in_silence(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    shutil.copytree(CSV, folder)
    (folder / "costes.xlsx").write_bytes(b"anything")
    (folder / "photo.jpg").write_bytes(b"no table")
    code, document = _call("import", folder, "--out", tmp_path / "data", *SAID)
    assert (code, document["not_read"]) == (0, ["costes.xlsx"])


def test_new_settings_hold_the_endings_of_the_shops_own_prices(tmp_path: Path) -> None:
    """They are written where nobody has settled them, and an edited shop.toml is left alone."""
    exports = tmp_path / "exports"
    shutil.copytree(CSV, exports)
    with (exports / "products_export_1.csv").open("a", encoding="utf-8", newline="") as file:
        names = (CSV / "products_export_1.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        rows = csv.DictWriter(file, names)
        for i in range(200):
            one = {"Handle": f"bowl-{i}", "Title": f"Bowl {i}", "Variant SKU": f"B{i}", "Status": "active"}
            rows.writerow({**one, "Option1 Name": "Title", "Variant Price": f"{5 + i}.99"})
    code, document = _call("import", exports, "--out", tmp_path / "data", *SAID)
    assert (code, document["price_endings"]) == (0, [".99"])
    own = read_shop_file(tmp_path / "data" / "shop.toml")
    assert own.price_endings == (".99",)
    edited = tmp_path / "shop.toml"
    edited.write_text(render_shop_file(replace(own, price_endings=())), encoding="utf-8")
    code, document = _call("import", exports, "--out", tmp_path / "other", "--shop", edited, "--yes")
    assert (code, document["price_endings"]) == (0, [])
    assert read_shop_file(tmp_path / "other" / "shop.toml").price_endings == ()


def test_a_week_later_it_is_continued_with_the_same_key_and_settings(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("one", "two", "three"))
    assert _call("import", FIRST, "--out", first, *LISTED, *SAID)[0] == 0
    kept = content(first)
    later = ("--listed-at", "2025-04-17T12:00+00:00", "--yes")
    code, document = _call("import", LATER, "--out", second, "--before", first, *later)
    assert (code, document["reconciliation"]["unexplained"]) == (0, 0)
    assert content(first) == kept
    assert (tmp_path / "one.key").read_bytes() == (tmp_path / "two.key").read_bytes()
    assert (tmp_path / "two.key").stat().st_mode & 0o777 == 0o600
    assert len(rows(second, "returns", "order_id")) == 2
    assert _call("import", LATER, "--out", third, "--before", second, *later)[0] == 0
    assert content(third) == content(second)
    assert _call("check", third)[0] == 0


def test_what_cannot_be_continued_is_refused(tmp_path: Path) -> None:
    first, out = tmp_path / "one", tmp_path / "two"
    assert _call("import", FIRST, "--out", first, *LISTED, *SAID)[0] == 0
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "orders.csv").write_text("a,b\n1,2\n")
    assert (
        "no export of a shop platform" in _refused(2, plain, "--out", out, "--before", first, *SAID)["what"]
    )
    assert "to be continued" in _refused(2, LATER, "--out", first, "--before", first, "--yes")["what"]
    (tmp_path / "one.key").rename(tmp_path / "elsewhere")
    assert "The key of" in _refused(2, LATER, "--out", out, "--before", first, "--yes")["what"]
    (tmp_path / "other").write_bytes(b"x" * 32)
    other = ("--key-file", tmp_path / "other")
    assert "another key" in _refused(4, LATER, "--out", out, "--before", first, *other, "--yes")["what"]
    right = ("--key-file", tmp_path / "elsewhere")
    assert _call("import", LATER, "--out", out, "--before", first, *right, "--yes")[0] == 0
    assert "There is no folder" in _refused(4, LATER, "--out", tmp_path / "x", "--before", tmp_path / "none",
                                            *right, *SAID)["what"]  # fmt: skip


def test_the_time_of_the_listings_is_the_files_own_unless_it_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    shutil.copytree(CSV, folder)
    os.utime(folder / "products_export_1.csv", (1744275600, 1744275600))
    document = _call("import", folder, "--out", tmp_path / "data", *SAID)[1]
    assert document["listed_at"] == "2025-04-10T09:00:00+00:00"
    assert "is no time" in _refused(2, folder, "--out", tmp_path / "b", "--listed-at", "soon", *SAID)["what"]


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("orders.json", '{"orders": []}', "holds no table"),
        ("orders.json", '{"orders": [{"financial_status": "paid"', "orders.json is not valid JSON"),
        (
            "orders.json",
            '{"orders": [{"financial_status": "paid", "name": "#1"}]}',
            "created_at",
        ),
        ("orders.json", '{"orders": [{"financial_status": NaN}]}', "is not valid JSON"),
        ("orders.json", '[{"financial_status": "paid", "id": 1}, 5]', "orders.json"),
    ],
)
def test_a_spoilt_page_is_named_and_nothing_is_left(tmp_path: Path, name: str, text: str, names: str) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / name).write_text(text, encoding="utf-8")
    error = _refused(3, folder, "--out", tmp_path / "data", *SAID)
    assert names in error["what"]
    assert not (tmp_path / "data").exists()


def test_products_without_orders_are_said_to_be_that(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    place = folder / "wc-product-export.csv"
    shutil.copy(EXPORTS / "woocommerce_products" / "wc-product-export-es.csv", place)
    for source in (folder, place):
        error = _refused(3, source, "--out", tmp_path / "data", *SAID)
        assert "an export of WooCommerce, and no orders" in error["what"]
    place.write_bytes(b"")
    assert "is empty" in _refused(3, folder, "--out", tmp_path / "data", *SAID)["what"]


def test_an_export_with_a_header_and_no_orders_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    header = (CSV / "orders_export_1.csv").read_text(encoding="utf-8").splitlines()[0]
    (folder / "orders.csv").write_text(header + "\n", encoding="utf-8")
    assert "There are no orders" in _refused(3, folder, "--out", tmp_path / "data", *SAID)["what"]
