"""Excel workbooks: what is a number stays one, no row is lost, and damage is told."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import DataError
from simulators.contract.tables import open_source
from simulators.contract.workbooks import workbook_rows
from simulators.importers.spreadsheets import import_spreadsheets
from tests.simulators.formats import lines, reasons, write_folder_of, write_table
from tests.simulators.shops import ORDERS_HEADER, PRODUCTS, SHOP, TODAY

NOON = dt.datetime(2025, 3, 3, 12)  # noqa: DTZ001 - a cell of a workbook knows no time zone
HEADER = ORDERS_HEADER.split(",")
GOOD: list[object] = ["o1", 1, NOON, "paid", "c1", "A", 2, 10, 8, 16, "gross"]


def _line(**cells: object) -> list[object]:
    return [cells.get(name, value) for name, value in zip(HEADER, GOOD, strict=True)]


def _folder(folder: Path, *rows: list[object], shop: str = SHOP) -> Path:
    write_folder_of(folder, "csv", shop)
    write_table(folder / "orders.xlsx", [HEADER, *rows])
    return folder


def _read(folder: Path, *columns: str) -> list[tuple[object, ...]]:
    with open_source(folder, today=TODAY) as source:
        assert source.bad_rows() == ()
        return source.engine.rows(f"SELECT {', '.join(columns)} FROM orders ORDER BY _row")


@pytest.mark.parametrize("mark", ["auto", ",", "."])
def test_a_number_needs_no_decimal_mark(tmp_path: Path, mark: str) -> None:
    shop = SHOP.replace("quarantine_share", f'decimal_separator = "{mark}"\nquarantine_share')
    row = _line(quantity=1.234, regular_price=1000.5, offered_price=1000, paid=1234)
    assert _read(_folder(tmp_path / "d", row, shop=shop), "quantity", "regular_price", "paid") == [
        (1.234, 100050.0, 123400)
    ]


def test_numbers_beside_texts_with_decimal_commas_keep_their_value(tmp_path: Path) -> None:
    row = _line(quantity=1.234, regular_price="10,50", offered_price="10,00", paid="12,34")
    folder = _folder(tmp_path / "d", row)
    assert _read(folder, "quantity", "offered_price", "paid") == [(1.234, 1000.0, 1234)]
    with open_source(folder, today=TODAY) as source:
        import_spreadsheets(folder, tmp_path / "out", source.shop, tmp_path / "key")
    assert _read(tmp_path / "out", "quantity", "offered_price", "paid") == [(1.234, 1000.0, 1234)]


def test_one_column_of_both_is_never_guessed(tmp_path: Path) -> None:
    mixed = [_line(quantity="1,5", paid=12), _line(order_id="o2", quantity=1.234, paid=9)]
    with (
        pytest.raises(DataError, match=r"decimal commas .* and decimal points"),
        open_source(_folder(tmp_path / "d", *mixed), today=TODAY),
    ):
        pass


def test_what_no_number_or_date_is_says_so_by_row(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        GOOD,
        _line(order_id="o2", quantity=True),
        _line(order_id="o3", paid="#N/A"),
        _line(order_id="o4", paid="=G2*I2"),  # a formula that was never calculated has no value
        _line(order_id="o5", ordered_at=dt.time(10)),
        [None] * len(HEADER),
        _line(order_id="o6", ordered_at=45719),
        _line(order_id="o7", offered_price=0),
        _line(order_id="o8", offered_price="8 €"),
        _line(order_id="o9", ordered_at=dt.date(2025, 3, 4)),
    ]
    shop = SHOP.replace("quarantine_share = 0.5", "quarantine_share = 1.0")
    assert reasons(_folder(tmp_path / "d", *rows, shop=shop)) == {
        ("orders", "quantity: not a number"): (3,),
        ("orders", "paid: not a number"): (4,),
        ("orders", "paid: missing"): (5,),
        ("orders", "ordered_at: not a date"): (6, 8),
        ("orders", "offered_price: not positive"): (9,),
        ("orders", "offered_price: not a number"): (10,),
    }


def test_real_dates_stand_beside_a_declared_format(tmp_path: Path) -> None:
    shop = SHOP.replace("quarantine_share", 'date_format = "%d/%m/%Y"\nquarantine_share')
    rows = [
        _line(),
        _line(order_id="o2", ordered_at="04/05/2025"),
        _line(order_id="o3", ordered_at="04/05/25"),
    ]
    folder = _folder(tmp_path / "d", *rows, shop=shop)
    assert reasons(folder) == {("orders", "ordered_at: not a date"): (4,)}
    with open_source(folder, today=TODAY) as source:
        assert source.engine.rows("SELECT ordered_at::VARCHAR FROM orders ORDER BY _row") == [
            ("2025-03-03 12:00:00",),
            ("2025-05-04 00:00:00",),
        ]


def test_keys_that_are_numbers_mean_what_they_mean_elsewhere(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path / "d", _line(order_id=1, product_id=7), _line(order_id=2, product_id=123456789012345)
    )
    (folder / "products.csv").write_text(
        "product_id,category,kind\n7,c,merchandise\n123456789012345,c,merchandise\n"
    )
    assert _read(folder, "order_id", "product_id") == [("1", "7"), ("2", "123456789012345")]


def _rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as target:
        for name, content in parts.items():
            target.writestr(name, content)


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize("extent", ["A1", "A1:K2", "A1:B3", "A1:ZZ900"])
def test_no_row_is_lost_to_a_wrong_extent(tmp_path: Path, extent: str) -> None:
    folder = _folder(tmp_path / "d", GOOD, _line(order_id="o2"), _line(order_id="o3", quantity=0))

    def lie(parts: dict[str, bytes]) -> None:
        parts[SHEET] = re.sub(
            rb'<dimension ref="[^"]*"', b'<dimension ref="%s"' % extent.encode(), parts[SHEET]
        )

    _rewritten(folder / "orders.xlsx", lie)
    assert reasons(folder) == {("orders", "quantity: not positive"): (4,)}


def _without_sheet(parts: dict[str, bytes]) -> None:
    del parts[SHEET]


def _cut(parts: dict[str, bytes]) -> None:
    parts[SHEET] = parts[SHEET][: len(parts[SHEET]) // 2]


def _no_workbook(parts: dict[str, bytes]) -> None:
    parts["xl/workbook.xml"] = b"<workbook/>"


@pytest.mark.parametrize("harm", [_without_sheet, _cut, _no_workbook])
def test_a_damaged_part_is_told(tmp_path: Path, harm: Callable[[dict[str, bytes]], None]) -> None:
    path = write_table(tmp_path / "orders.xlsx", [HEADER, *[GOOD] * 20])
    _rewritten(path, harm)
    with pytest.raises(DataError, match=r"orders\.xlsx is not a readable Excel workbook"):
        list(workbook_rows(path))


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bytes_give_the_rows_or_an_error_that_names_the_file(tmp_path: Path, seed: int) -> None:
    path = write_table(tmp_path / "orders.xlsx", [HEADER, *[GOOD] * 200])
    content, chance = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for _ in range(1 + seed % 5):
        content[int(chance.integers(len(content)))] ^= 0xFF
    path.write_bytes(bytes(content))
    told = ""
    rows = 0
    try:
        rows = len(list(workbook_rows(path)))
    except DataError as error:
        told = error.what
    assert (rows, told) in ((201, ""), (0, "orders.xlsx is not a readable Excel workbook."))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"order_id,line_id\n1,2\n", "not a readable Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "not a readable Excel workbook"),
    ],
    ids=["empty", "csv", "encrypted or old .xls"],
)
def test_what_is_no_workbook_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    folder = write_folder_of(tmp_path / "d", "csv")
    (folder / "orders.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=message), open_source(folder, today=TODAY):
        pass


def test_workbooks_without_rows_cells_or_sheets(tmp_path: Path) -> None:
    for rows, message in (
        ([], "has no header"),
        ([HEADER], "has no rows"),
        ([HEADER, [""] * 11], "has no rows"),
    ):
        folder = write_folder_of(tmp_path / message.replace(" ", "") / str(len(rows)), "csv")
        write_table(folder / "orders.xlsx", rows)
        with pytest.raises(DataError, match=message), open_source(folder, today=TODAY):
            pass
    beyond = _folder(tmp_path / "beyond", GOOD, [*_line(order_id="o2"), "a note"])
    with (
        pytest.raises(DataError, match=r"orders\.xlsx, row 3 has 12 cells for 11 columns"),
        open_source(beyond, today=TODAY),
    ):
        pass
    book = openpyxl.Workbook()
    book.create_chartsheet()
    assert book.active is not None
    book.remove(book.active)
    book.save(tmp_path / "chart.xlsx")
    with pytest.raises(DataError, match="not a readable Excel workbook"):
        list(workbook_rows(tmp_path / "chart.xlsx"))


_CELLS = st.one_of(
    st.none(),
    st.integers(-(10**15), 10**15),
    st.integers(-(10**13), 10**13).map(lambda n: n / 10_000),
    st.text("abc 1,.-", min_size=1, max_size=5),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(_CELLS, min_size=1, max_size=30))
def test_cells_come_back_with_the_value_they_had(
    tmp_path_factory: pytest.TempPathFactory, cells: list[object]
) -> None:
    path = write_table(tmp_path_factory.mktemp("book") / "orders.xlsx", [["x", *cells, "end"]])
    (row,) = workbook_rows(path)
    assert row == ["x", *cells, "end"]


def test_products_in_a_workbook_and_orders_in_a_csv(tmp_path: Path) -> None:
    folder = write_folder_of(tmp_path / "d", "xlsx", orders=[HEADER, GOOD])
    assert sorted(p.name for p in folder.iterdir()) == ["orders.xlsx", "products.xlsx", "shop.toml"]
    assert reasons(folder) == {}
    assert lines(PRODUCTS)[1][0] == "A"
