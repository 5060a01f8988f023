"""The workbook for people: what stands in it, and what a price table that comes back says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from api.publishers.changes import Identity, LineState, PriceChange, Refusal, Tag, undone
from api.publishers.workbook import PriceTable, PriceWorkbook
from api.texts import texts
from pricing.errors import DataError, UsageError

EN = texts("en")


def change(product: str, now: int, new: int, **more: Any) -> PriceChange:
    return PriceChange(product, "es", "EUR", "gross", now, new, **more)


ASKED = [
    change("A", 2904, 3000, reason="more profit expected there"),
    change("=HYPERLINK(1)", 1000, 900, reason="=1+1", known_as=Identity(sku="+B")),
    change("C", 500, 500),
    change("D", 500, 400, offered_new=300),
    change("E", 5000, 4500, offered_new=4000, prior_price=4500),
]


def _rows(path: Path) -> list[list[Any]]:
    sheet: Any = openpyxl.load_workbook(path).active
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


def test_what_stands_in_the_workbook(tmp_path: Path) -> None:
    book = PriceWorkbook(tmp_path / "prices.xlsx", EN)
    done = book.publish(ASKED, key="week-1")
    states = ["published", "published", "unchanged", "failed", "published"]
    assert [line.state.value for line in done.lines] == states
    head, *rows = _rows(tmp_path / "prices.xlsx")
    assert head[:6] == ["Product", "SKU", "Zone", "Current price", "New price", "Reduced to"]
    assert rows[0] == [
        "A",
        None,
        "es",
        29.04,
        30,
        None,
        0.96,
        0.0331,
        "EUR",
        "with tax",
        "more profit expected there",
    ]
    assert rows[1][:2] == ["=HYPERLINK(1)", "+B"]
    assert rows[2][4] is None
    assert rows[3][10] == EN.text("publish_why", "prior_price_unknown")
    assert rows[4][3:7] == [50, 45, 40, -5]
    sheet: Any = openpyxl.load_workbook(tmp_path / "prices.xlsx").active
    assert {cell.data_type for cell in sheet[3]} == {"s", "n"}
    assert sheet["D2"].number_format == "0.00"


def test_the_same_changes_give_the_same_bytes_and_others_are_not_overwritten(tmp_path: Path) -> None:
    one, two = tmp_path / "1.xlsx", tmp_path / "2.xlsx"
    PriceWorkbook(one, EN).publish(ASKED, key="k")
    PriceWorkbook(two, EN).publish(ASKED, key="k")
    assert one.read_bytes() == two.read_bytes()
    PriceWorkbook(one, EN).publish(ASKED, key="k")
    with pytest.raises(UsageError, match="exists already"):
        PriceWorkbook(one, EN).publish(ASKED[:2], key="k")


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_workbook_reads_back_as_itself(tmp_path: Path, language: str) -> None:
    path = tmp_path / "prices.xlsx"
    done = PriceWorkbook(path, texts(language)).publish(ASKED, key="k")
    table = PriceTable.of(path)
    readings = PriceWorkbook(path, texts(language), table).read_back(ASKED)
    assert [reading.equal for reading in readings] == [
        line.state is LineState.PUBLISHED for line in done.lines
    ]
    assert readings[2].why is readings[3].why is Refusal.NO_PRICE
    assert {r.why for r in PriceWorkbook(path, texts(language)).read_back(ASKED)} == {Refusal.CANNOT_READ}
    assert [c.regular_new for c in undone(ASKED, done)] == [2904, 1000, 5000]


def test_a_price_table_of_the_shop_is_read_in_its_own_notation(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(
        "\ufeffProduct_id;Zona;Precio;Sale price\r\nA;es;30,00;\r\nA;fr;31,00;\r\nB;;1.299,00;999,5\r\n"
        "C;es;x;\r\nD;;5,00;\r\nD;;6,00;\r\n".replace("Precio;", "price;").encode()
    )
    asked = [
        change("A", 1, 3000),
        change("B", 1, 129900),
        change("C", 1, 2),
        change("D", 1, 2),
        change("E", 1, 2),
    ]
    found = PriceTable.of(path).readings(asked)
    assert [reading.found for reading in found] == [Tag(3000, 3000), Tag(129900, 99950), None, None, None]
    assert [reading.why for reading in found[2:]] == [Refusal.UNREADABLE, Refusal.DUPLICATE, Refusal.MISSING]
    assert [reading.equal for reading in found[:2]] == [True, False]


def test_numbers_of_a_sheet_are_read_without_binary_dust(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for row in (["sku", "price"], ["A", 0.1 + 0.2], ["B", 30], ["C", 12.345], [7, "1.50"]):
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    asked = [change("A", 1, 30), change("B", 1, 3000), change("C", 1, 1234), change("7", 1, 150)]
    found = PriceTable.of(tmp_path / "t.xlsx").readings(asked)
    assert [reading.equal for reading in found] == [True, True, False, True]
    assert found[2].why is Refusal.UNREADABLE


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"a,b\n1,2\n", b"product_id\nA\n"])
@pytest.mark.parametrize("name", ["t.xlsx", "t.csv"])
def test_what_is_no_price_table_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        PriceTable.of(tmp_path / name)
    with pytest.raises(DataError):
        PriceTable.of(tmp_path / "none.csv")
