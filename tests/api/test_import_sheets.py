"""``tarifa import --as``: costs and stock as shops keep them, found out, shown, confirmed and added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from simulators.contract.engine import file_literal, open_engine
from simulators.contract.tables import open_source
from tests.simulators.shops import GOOD_LINE, SHOP, TODAY, orders, write_shop

PRODUCTS = "product_id,category,kind\nA1,shoes,merchandise\nB2,hats,merchandise\n00123,hats,merchandise\n"
ALIASES = (
    "source_key,product_id,valid_from\n8412345678905,B2,2020-01-01\nold,A1,2020-01-01\nold,B2,2024-01-01\n"
)
SHEET = (
    "Tarifa de proveedores;;;;\n"
    "Actualizada en noviembre;;;;\n"
    ";;;;\n"
    "Descripción;Margen %;Código;Precio de compra (€);Fecha\n"
    "Zapato de piel;45 %;A1;1.234,56 €;03/11/2025\n"
    "\n"
    "Sombrero;30,5 %;8412345678905; 12,5;13/11/2025\n"
    "Sin [b] ficha;30 %;[/ZZ9];3,10;13/11/2025\n"
    "Total;;;1.250,16;\n"
)
SAID = ("--yes", "--json")


def _run(*words: object) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["import", *map(str, words), "--json"])
    assert "Traceback" not in result.output
    return result.exit_code, json.loads(result.stdout)


def _refused(exit_code: int, *words: object) -> str:
    code, document = _run(*words, "--yes")
    assert code == exit_code, document
    error = document["error"]
    assert error["todo"]
    return f"{error['what']} {error['why']} {error['todo']}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    source = write_shop(
        tmp_path / "exports", orders=orders(GOOD_LINE.replace(",A,", ",A1,")), products=PRODUCTS,
        product_aliases=ALIASES,
    )  # fmt: skip
    code, _ = _run(source, "--out", tmp_path / "data", "--yes")
    assert code == 0
    return tmp_path / "data"


def _costs(folder: Path) -> list[tuple[str, str, float]]:
    with open_source(folder, today=TODAY) as source:
        assert [bad for bad in source.bad_rows() if bad.table != "orders"] == []
        rows = source.engine.rows(
            "SELECT product_id, valid_from::DATE::VARCHAR, unit_cost FROM costs ORDER BY ALL"
        )
        return [(str(product), str(day), float(cost)) for product, day, cost in rows]


BOTH = [("A1", "2025-11-03", 123456.0), ("B2", "2025-11-13", 1250.0)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_sheet_as_it_is_kept_becomes_costs(
    tmp_path: Path, data: Path, encoding: str, delimiter: str
) -> None:
    sheet = tmp_path / "costes.csv"
    sheet.write_bytes(SHEET.replace(";", delimiter).encode(encoding))
    code, document = _run(sheet, "--as", "costs", "--before", data, "--out", tmp_path / "new", "--yes")
    assert code == 0
    (read,) = document["sheets"]
    assert (read["encoding"], read["delimiter"], read["header"]) == (encoding, delimiter, 4)
    assert read["columns"] == {
        "product_id": "Código", "unit_cost": "Precio de compra (€)", "valid_from": "Fecha",
    }  # fmt: skip
    assert read["not_read"] == ["Descripción", "Margen %"]
    assert (read["decimal"], read["dates"]) == (",", "day-first")
    assert read["left"] == [
        {"row": 8, "key": "[/ZZ9]", "why": "not_in_products"},
        {"row": 9, "key": "", "why": "total"},
    ]
    assert _costs(tmp_path / "new") == BOTH
    assert not (data / "costs.parquet").exists()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "new").iterdir())
    assert b"Zapato" not in stored


def test_a_workbook_holds_numbers_and_days_of_its_own(tmp_path: Path, data: Path) -> None:
    import datetime as dt

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = "Portada"
    book.active.append(["Costes y existencias"])
    page = book.create_sheet("Datos")
    page.append(["Listado", None])
    page.append(["SKU", "Coste", "Stock", "Desde"])
    page.append(["A1", 12.345, 7, dt.date(2025, 11, 3)])
    page.append([123, 1.234, -2, None])
    page.append(["B2", "#N/A", 0, None])
    book.save(tmp_path / "libro.xlsx")
    one, two = tmp_path / "one", tmp_path / "two"
    call = (tmp_path / "libro.xlsx", "--before", data, "--out", one)
    assert "sheets Portada, Datos: name one with --sheet" in _refused(3, *call, "--as", "costs")
    assert "--day" in _refused(2, *call, "--as", "stock", "--sheet", "Datos")
    words = ("--sheet", "Datos", "--as", "costs,stock", "--day", "2025-05-01", "--yes")
    code, document = _run(*call, *words)
    assert code == 0
    assert [
        (s["table"], s["rows"], [(e["row"], e["why"]) for e in s["left"]]) for s in document["sheets"]
    ] == [
        ("costs", 1, [(4, "not_in_products"), (5, "not_a_number")]),
        ("inventory", 2, [(4, "not_in_products")]),
    ]
    with open_source(one, today=TODAY) as source:
        stock = 'SELECT product_id, "at"::DATE::VARCHAR, on_hand FROM typed_inventory ORDER BY 1'
        assert source.engine.rows(stock) == [("A1", "2025-05-01", 7.0), ("B2", "2025-05-01", 0.0)]
    assert _costs(one) == [("A1", "2025-11-03", 1234.5)]
    # 123 of a number cell is not the SKU 00123: nothing is padded; the shop writes it as text.
    page["A4"] = "00123"
    book.save(tmp_path / "libro.xlsx")
    _, document = _run(call[0], "--before", one, "--out", two, *words)
    assert [(s["rows"], s["known"], s["total"]) for s in document["sheets"]] == [(1, 1, 2), (0, 2, 2)]
    assert document["sheets"][1]["left"] == [{"row": 4, "key": "00123", "why": "negative"}]
    assert _costs(two) == [("00123", "2025-05-01", 123.4), ("A1", "2025-11-03", 1234.5)]


@pytest.mark.parametrize(
    ("cells", "words", "said"),
    [
        (["A1;1.234;13/11/2025"], (), "--decimal comma or --decimal point"),
        (["A1;1,234;13/11/2025"], (), "1,234 may be either"),
        (["A1;1,50;13/11/2025", "B2;1.50;13/11/2025"], (), "It holds 1,50 and 1.50"),
        (["A1;1,50;03/04/2025"], (), "--dates day-first or --dates month-first"),
        (["A1;1,50;13/04/2025", "B2;1,5;04/13/2025"], (), "It holds 13/04/2025 and 04/13/2025"),
        (["A1;1,50;"], (), "no day was said"),
        (["A1;1,50;13/04/2025"], ("--day", "13/04/2025"), "like 2026-11-01"),
        (["A1;1,50;13/04/2025"], ("--decimal", ","), "comma or point"),
        (["A1;1,50;13/04/2025"], ("--dates", "d"), "day-first or month-first"),
        (["A1;1,50;13/04/2025"], ("--column", "cost=Coste"), "unit_cost=Coste"),
        (["A1;1,50;13/04/2025"], ("--column", "unit_cost=PVP"), "PVP"),
        (["A1;1,50;13/04/2025"], ("--column", "product_id=EAN"), "has no column EAN"),
    ],
)
def test_what_has_two_readings_is_asked_for(
    tmp_path: Path, data: Path, cells: list[str], words: tuple[str, ...], said: str
) -> None:
    sheet = tmp_path / "c.csv"
    sheet.write_text("\n".join(["SKU;Coste;Fecha", *cells]))
    code = 3 if words[:2] == ("--column", "unit_cost=PVP") else 2
    assert said in _refused(code, sheet, "--as", "costs", "--before", data, "--out", tmp_path / "n", *words)
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize(
    ("cell", "decimal", "cost"),
    [
        ("1.234", "comma", 123400),
        ("1.234", "point", 123.4),
        ("1,234", "comma", 123.4),
        ("1,234", "point", 123400),
    ],
)
def test_what_is_said_settles_it(tmp_path: Path, data: Path, cell: str, decimal: str, cost: float) -> None:
    sheet, out = tmp_path / "c.csv", tmp_path / "n"
    sheet.write_text(f"SKU;Coste;Fecha\nA1;{cell};03/04/2025\n")
    words = ("--before", data, "--out", out, "--decimal", decimal, "--dates", "month-first", "--yes")
    assert _run(sheet, "--as", "costs", *words)[0] == 0
    assert _costs(out) == [("A1", "2025-03-04", cost)]


def test_nothing_that_was_there_is_lost_or_overwritten(tmp_path: Path, data: Path) -> None:
    sheet, one, two, three = (tmp_path / name for name in ("c.csv", "one", "two", "three"))
    call = (sheet, "--as", "costs", "--before")
    sheet.write_text("SKU;Coste\nA1;10,50\nB2;5,00\nA1;10,50\n00123;1,00\n00123;2,00\n")
    code, document = _run(*call, data, "--out", one, "--day", "2025-01-01", "--yes")
    assert code == 0
    assert [(e["row"], e["why"]) for e in document["sheets"][0]["left"]] == [
        (4, "repeated"), (5, "contradicts"), (6, "contradicts"),
    ]  # fmt: skip
    kept = [("A1", "2025-01-01", 1050.0), ("B2", "2025-01-01", 500.0)]
    _, again = _run(*call, one, "--out", two, "--day", "2025-01-01", "--yes")
    assert [(s["rows"], s["known"]) for s in again["sheets"]] == [(0, 2)]
    assert _files(one) == _files(two)
    sheet.write_text("SKU;Coste\nA1;11,50\n")
    error = _refused(3, *call, one, "--out", three, "--day", "2025-01-01")
    assert "row 2: costs holds another unit_cost of A1 for 2025-01-01" in error
    for place in (one, one / "inside"):
        assert "is to be continued" in _refused(2, *call, one, "--out", place, "--day", "2025-02-01")
    assert _run(*call, one, "--out", three, "--day", "2025-02-01", "--yes")[0] == 0
    assert _costs(one) == kept
    assert _costs(three) == [kept[0], ("A1", "2025-02-01", 1150.0), kept[1]]
    assert _files(three)["orders.parquet"] == _files(data)["orders.parquet"]
    (one / "costs.parquet").write_bytes(b"x")
    assert "costs.parquet" in _refused(4, *call, one, "--out", tmp_path / "4", "--day", "2025-03-01")


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_table_that_is_text_stays_readable(tmp_path: Path) -> None:
    source = write_shop(
        tmp_path / "in",
        SHOP,
        orders=orders(GOOD_LINE),
        costs="product_id;valid_from;unit_cost\nA;01/02/2025;1,50\n",
    )
    (source / "shop.toml").write_text(SHOP.replace("[[zones]]", 'date_format = "%d/%m/%Y"\n[[zones]]', 1))
    assert _run(source, "--out", tmp_path / "data", "--yes")[0] == 0
    (tmp_path / "c.csv").write_text("SKU;Coste\nB;1.234,567\n")
    out = tmp_path / "out"
    call = (tmp_path / "c.csv", "--as", "costs", "--before", tmp_path / "data", "--out", out)
    assert _run(*call, "--day", "2025-03-01", "--yes")[0] == 0
    assert _costs(out) == [("A", "2025-02-01", 150.0), ("B", "2025-03-01", 123456.7)]
    with open_engine() as engine:
        path = file_literal(out / "costs.parquet")
        found = engine.rows(f"SELECT unit_cost FROM read_parquet({path})")
    assert found == [("1,50",), ("1234,56700000",)]


def test_what_is_no_sheet_of_this_shop_is_said(tmp_path: Path, data: Path) -> None:
    sheet, out = tmp_path / "c.csv", tmp_path / "n"
    call = (sheet, "--as", "costs", "--before", data, "--out", out, "--day", "2025-01-01")
    for text, code, said in (
        ("", 3, "is empty"),
        ("a;b\n1;2\n", 3, "no row with names of columns"),
        ("SKU;Coste\n", 3, "names a product"),
        ("SKU;Coste\nQ;1\nR;2\n", 3, "No column of c.csv names a product"),
        ("SKU;Coste\nA1;\nB2;nada\nB2;-1\nA1;5 $\nA1;1" + "0" * 13, 3, "5 rows: negative, no_number"),
        ("SKU;Coste;Cost price\nA1;1;2\n", 2, "Coste and Cost price may both be unit_cost"),
        ("EAN;SKU;Coste\nA1;B2;1\n", 2, "EAN and SKU name as many products"),
    ):  # fmt: skip
        sheet.write_text(text)
        assert said in _refused(code, *call)
    assert "no .csv or .xlsx" in _refused(3, data / "shop.toml", *call[1:])
    assert "not a readable Excel" in _refused(3, _written(tmp_path / "x.xlsx", b"PK"), *call[1:])
    assert "none was named" in _refused(2, sheet, "--as", "costs", "--out", out)
    into = ("--out", out, "--before")
    assert "costs, stock or costs,stock" in _refused(2, sheet, "--as", "prices", *into, data)
    assert "There is no folder" in _refused(4, sheet, "--as", "costs", *into, tmp_path / "no")
    assert "not written by Tarifa" in _refused(4, sheet, "--as", "costs", *into, tmp_path / "exports")
    assert not out.exists()


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_stock_of_tomorrow_and_of_unknown_zones_is_left(tmp_path: Path, data: Path) -> None:
    sheet = tmp_path / "s.csv"
    rows = ("A1;3;2025-05-01 08:30;es", "B2;3;2099-01-01;es", "B2;3;2025-05-01;fr")
    sheet.write_text("\n".join(["Referencia;Existencias;Fecha;Tienda", *rows]))
    code, document = _run(sheet, "--as", "stock", "--before", data, "--out", tmp_path / "n", "--yes")
    assert code == 0
    assert [e["why"] for e in document["sheets"][0]["left"]] == ["in_future", "unknown_zone"]
    with open_source(tmp_path / "n", today=TODAY) as source:
        found = source.engine.rows('SELECT product_id, zone, "at"::VARCHAR, on_hand FROM inventory')
    assert found == [("A1", "es", "2025-05-01 08:30:00", 3.0)]


def test_it_is_shown_and_nothing_happens_unconfirmed(tmp_path: Path, data: Path) -> None:
    sheet = tmp_path / "costes.csv"
    sheet.write_bytes(SHEET.encode("windows-1252"))
    words = ["import", str(sheet), "--as", "costs", "--before", str(data), "--out", str(tmp_path / "n")]
    result = CliRunner().invoke(app, [*words, "--language", "es"])
    assert result.exit_code == 2
    for shown in (
        "Así se ha leído costes.csv",
        "fila 4",
        "windows-1252",
        "coma (1.234,56 €)",
        "primero el día",
    ):
        assert shown in result.stderr
    assert not (tmp_path / "n").exists()
    result = CliRunner().invoke(app, [*words, "--yes"])
    assert "2 rows added to costs" in result.stdout
    assert "not in products" in result.stdout
    assert "[/ZZ9]" in result.stdout
