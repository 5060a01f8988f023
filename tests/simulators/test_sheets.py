"""How cells of cost and stock sheets are read: never wrongly, and asked for where two readings exist."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import DataError, UsageError
from simulators.importers.sheet_cells import (
    DAY_FIRST,
    MONTH_FIRST,
    Reading,
    amount,
    date_order,
    decimal_mark,
    moment,
)
from simulators.importers.sheet_grid import COSTS, STOCK, Words
from simulators.importers.sheets import Sheet, read_sheet
from simulators.importers.suggestions import suggest_columns

WORDS = Words({}, "EUR", ("es",), dt.date(2025, 1, 1))
PRODUCTS = ("A1", "B2", "12", "ES-9")


def _read(path: Path, words: Words = WORDS) -> Sheet:
    return read_sheet(path, COSTS, words, lambda key: key if key in PRODUCTS else None)


def _csv(folder: Path, text: str) -> Path:
    path = folder / "s.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("cell", "mark", "value"),
    [
        ("1.234,56", ",", "1234.56"),
        ("1,234.56", ".", "1234.56"),
        ("1.234.567", ",", "1234567"),
        ("€ 1.234,5", ",", "1234.5"),
        ("12,5\u00a0€", ",", "12.5"),
        ("EUR 7", ".", "7"),
        ("7 eur", ",", "7"),
        ("1 234,5", ",", "1234.5"),
        ("1'234.50", ".", "1234.50"),
        ("-3,5", ",", "-3.5"),
        (",5", ",", "0.5"),
        (12.5, ",", "12.5"),
        (0.1, ".", "0.1"),
    ],
)
def test_a_number_is_read_exactly(cell: str | float, mark: str, value: str) -> None:
    found = amount(cell, mark)
    assert found is not None
    assert found.value == Decimal(value)


@pytest.mark.parametrize(
    "cell",
    ["", " ", "-", ".", ",", "€", "1.2.3,4", "1,2,3", "12,34,567", "1.23.456", "#N/A", "nan", "inf", "1e5",
     "12 %", "€5€", "٣", "0.123.456,0", "a12", None, float("nan"), float("inf")],
)  # fmt: skip
@pytest.mark.parametrize("mark", [",", "."])
def test_what_is_no_number_is_none(cell: str | float | None, mark: str) -> None:
    assert amount(cell, mark) is None


def _written(value: Decimal, mark: str, *, grouped: bool) -> str:
    text = f"{value:,f}" if grouped else f"{value:f}"
    return text if mark == "." else text.translate(str.maketrans(",.", ".,"))


def _told(find: Callable[[list[str], str, str, str], Reading], cells: list[str]) -> Reading | UsageError:
    try:
        return find(cells, "", "column", "s.csv")
    except UsageError as error:
        return error


AMOUNTS = st.lists(st.decimals(0, 10**7, places=None, allow_nan=False).map(lambda d: round(d, 3)), min_size=1)


@given(AMOUNTS, st.sampled_from([",", "."]), st.booleans())
def test_amounts_are_read_as_they_were_meant_or_asked_for(
    values: list[Decimal], mark: str, grouped: bool
) -> None:
    cells = [_written(value, mark, grouped=grouped) for value in values]
    found = _told(decimal_mark, cells)
    if isinstance(found, UsageError):
        assert "--decimal" in found.todo
        return
    for cell, value in zip(cells, values, strict=True):
        read = amount(cell, found.choice or ".")
        assert read is not None
        assert read.value == value


@given(st.lists(st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)), min_size=1), st.booleans())
def test_days_are_read_as_they_were_meant_or_asked_for(days: list[dt.date], day_first: bool) -> None:
    form = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    cells = [day.strftime(form) for day in days]
    found = _told(date_order, cells)
    if isinstance(found, UsageError):
        assert "--dates" in found.todo
        assert all(day.day <= 12 for day in days)
        return
    read = [moment(cell, found.choice or DAY_FIRST) for cell in cells]
    assert [day and day.date() for day in read] == days


@pytest.mark.parametrize(
    ("cell", "order", "day"),
    [
        ("03/11/2026", DAY_FIRST, "2026-11-03 00:00"),
        ("03/11/2026", MONTH_FIRST, "2026-03-11 00:00"),
        ("3.11.26", DAY_FIRST, "2026-11-03 00:00"),
        ("2026-11-03", MONTH_FIRST, "2026-11-03 00:00"),
        ("2026/1/3 8:05", DAY_FIRST, "2026-01-03 08:05"),
        ("2026-11-03T08:05:59.5", DAY_FIRST, "2026-11-03 08:05"),
    ],
)
def test_a_day_is_read(cell: str, order: str, day: str) -> None:
    found = moment(cell, order)
    assert found is not None
    assert f"{found:%Y-%m-%d %H:%M}" == day


@pytest.mark.parametrize(
    "cell", ["31/02/2026", "2026-13-01", "3 nov 2026", "45719", 45719.0, None, "0001-01-01"]
)
def test_what_is_no_day_is_none(cell: str | float | None) -> None:
    assert moment(cell, DAY_FIRST) is None


def _places(sheet: Sheet) -> tuple[str, str, int]:
    return sheet.columns["product_id"], sheet.columns["unit_cost"], sheet.header


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SKU,Coste\nA1,1.50\n", ("SKU", "Coste", 1)),
        ("Cost per item\tVariant SKU\n1.50\tA1\n", ("Variant SKU", "Cost per item", 1)),
        ("sep=;\nCódigo;P. compra\nA1;1,50\n", ("Código", "P. compra", 2)),
        ("\n\nPRECIO DE COMPRA;Loquesea\n1,50;A1\n", ("Loquesea", "PRECIO DE COMPRA", 3)),
        ("Costes 2025;revisados\nRef;Coste\nA1;1,50\n", ("Ref", "Coste", 2)),
        ("EAN;Ref;Coste\n841;A1;1,50\n842;B2;2,50\n", ("Ref", "Coste", 1)),
        ('"Nota; con marca";;\n"Ref";"Coste";"Otro"\n"A1";"1,50";"x;y"\n', ("Ref", "Coste", 2)),
        ("Ref|Coste|Margen\nA1|1,50|30 %\nRef|Coste|Margen\nB2|2,50|30 %\n", ("Ref", "Coste", 1)),
        ("1,50;2,50;3,50\nRef;Coste;PVP\nA1;1,50;3,50\n", ("Ref", "Coste", 2)),
    ],
)
def test_header_columns_and_marks_are_found(tmp_path: Path, text: str, found: tuple[str, str, int]) -> None:
    sheet = _read(_csv(tmp_path, text))
    assert _places(sheet) == found
    assert (sheet.rows[0].product_id, sheet.rows[0].value) == ("A1", Decimal("1.50"))
    assert sheet.left == ()


@pytest.mark.parametrize(
    ("rows", "problem", "what"),
    [
        (["Coste;Coste;SKU", "1;2;A1"], UsageError, "may both be unit_cost"),
        (["Coste con IVA;SKU", "1;A1"], DataError, "no row with names"),
        (["Coste total;SKU", "1;A1"], DataError, "no row with names"),
        (["Coste;SKU", "1;"], DataError, "names a product"),
        (["Coste;SKU;Fecha", "1;A1;mañana"], DataError, "No row of s.csv can be used"),
        (['"Coste;SKU', "1;A1"], DataError, "not a regular text table|no row with names"),
    ],
)
def test_what_is_not_clear_is_not_guessed(
    tmp_path: Path, rows: Sequence[str], problem: type[Exception], what: str
) -> None:
    with pytest.raises(problem, match=what):
        _read(_csv(tmp_path, "\n".join(rows)))


def test_a_workbook_of_formulas_flags_and_wide_rows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (
        ["Costes", None, None, dt.datetime(2025, 1, 1)],  # noqa: DTZ001 - a cell of a workbook knows no zone
        ["SKU", "Coste", "Moneda", None, None, "Nota"],
        ["A1", "=1+1", "EUR"],  # never calculated: it has no value
        ["B2", True, "EUR"],
        [12, 3.25, "eur", None, None, "x", "y", "z"],
        ["ES-9", 4, "USD"],
    ):
        book.active.append(row)
    book.save(tmp_path / "s.xlsx")
    sheet = _read(tmp_path / "s.xlsx")
    assert [(row.number, row.product_id, row.value) for row in sheet.rows] == [(5, "12", Decimal("3.25"))]
    assert [(left.number, left.why) for left in sheet.left] == [
        (3, "no_number"), (4, "not_a_number"), (6, "other_currency"),
    ]  # fmt: skip
    assert sheet.not_read == ("Nota",)


def test_stock_is_counted_in_units(tmp_path: Path) -> None:
    path = _csv(tmp_path, "SKU;Stock actual\nA1;1.234\nB2;0\n12;-3\n")
    words = Words({}, "EUR", ("es",), dt.date(2025, 1, 1), dt.date(2025, 6, 1), decimal=",")
    sheet = read_sheet(path, STOCK, words, lambda key: key if key in PRODUCTS else None)
    assert [(row.product_id, row.value) for row in sheet.rows] == [("A1", Decimal(1234)), ("B2", Decimal(0))]
    assert [(left.key, left.why) for left in sheet.left] == [("12", "negative")]


def test_names_of_costs_and_stock_are_known_in_two_languages() -> None:
    for table, column, names in (
        ("costs", "unit_cost", ("Precio de compra (€)", "COSTE UNITARIO", "Cost per item", "Purchase price")),
        ("inventory", "on_hand", ("Existencias", "Stock", "Available", "Unidades en stock")),
    ):
        for name in names:
            found = {s.column: s.score for s in suggest_columns(table, [name])}
            assert found.get(column, 0) >= 0.9, name
