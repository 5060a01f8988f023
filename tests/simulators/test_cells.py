"""Cells: numbers against `decimal`, times against `zoneinfo`, Parquet types against what they stand for."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.columns import Column, ColumnType
from pricing.errors import SettingsError
from simulators.contract.cells import LARGEST, Notation, as_text, typed_cell
from simulators.contract.engine import literal, open_engine, quoted
from simulators.contract.shop_file import ShopFile, parse_shop_file
from simulators.contract.tables import open_source
from tests.simulators.formats import reasons
from tests.simulators.shops import GOOD_LINE, SHOP, TODAY, orders, write_shop

Found = list[tuple[object, str | None]]


def _shop(currency: str = "EUR", zone: str = "Europe/Madrid") -> ShopFile:
    return parse_shop_file(SHOP.replace("EUR", currency).replace("Europe/Madrid", zone))


def _cells(
    kind: ColumnType, cells: Sequence[str], shop: ShopFile | None = None, notation: Notation | None = None
) -> Found:
    """Return value and reason of each text, read as a column of one type."""
    column = Column("x", kind, "A cell.")
    cell = typed_cell(column, quoted("own"), "VARCHAR", notation or Notation(), shop or _shop())
    values = ", ".join(f"({i}, {literal(text)})" for i, text in enumerate(cells))
    with open_engine(on_disk=False) as engine:
        raw = f'SELECT n, {cell.raw} AS "raw x" FROM (VALUES {values}) AS v (n, own)'
        rows = engine.rows(
            f"SELECT x, {cell.reason} FROM (SELECT *, {cell.typed} AS x FROM ({raw})) ORDER BY n"
        )
    return [(value, reason) for value, reason in rows]


def _values(kind: ColumnType, cells: Sequence[str], shop: ShopFile | None = None) -> list[object]:
    found = _cells(kind, cells, shop)
    assert [reason for _, reason in found] == [None] * len(cells)
    return [value for value, _ in found]


_AMOUNT = st.decimals(min_value=-(10**9), max_value=10**9, places=2)


@settings(max_examples=8, deadline=None)
@given(st.lists(_AMOUNT, min_size=1, max_size=90), st.booleans())
def test_amounts_are_exact_in_both_notations(amounts: list[Decimal], grouped: bool) -> None:
    point = [f"{amount:,.2f}" if grouped else f"{amount:f}" for amount in amounts]
    comma = [text.translate(str.maketrans(",.", ".,")) for text in point]
    cents = [int(amount * 100) for amount in amounts]
    assert _values(ColumnType.MONEY, point) == cents
    assert _cells(ColumnType.MONEY, comma, notation=Notation(",")) == [(cent, None) for cent in cents]
    assert _values(ColumnType.UNIT_PRICE, point) == [float(cent) for cent in cents]


@pytest.mark.parametrize(("currency", "digits"), [("JPY", 0), ("EUR", 2), ("KWD", 3), ("CLF", 4)])
def test_a_currency_has_its_own_decimals(currency: str, digits: int) -> None:
    finest = Decimal(1).scaleb(-digits)
    cells = ["7", f"{7 + finest:f}", f"{7 + finest / 10:f}", f"{finest:f}", "1e3", "12.50000000"]
    found = _cells(ColumnType.MONEY, cells, _shop(currency))
    scale = 10**digits
    assert found[:2] == [(7 * scale, None), (7 * scale + 1, None)]
    assert found[2][1] == f"x: more decimals than {currency} has"
    assert found[3:5] == [(1, None), (1000 * scale, None)]
    assert found[5] == ((1250 * scale // 100, None) if digits else (13, "x: more decimals than JPY has"))
    fine = _values(ColumnType.UNIT_PRICE, ["0.0005", "1.666667"], _shop(currency))
    assert fine == pytest.approx([0.0005 * scale, 1.666667 * scale])


NO_NUMBERS = [
    "",
    ".",
    "-",
    "e5",
    "1_6",
    "1 000",
    "1\u00a0000",
    "0x10",
    "٣",
    "１",
    "1.2.3",
    "--1",
    "1,23",
    "12,34,567",
]


def test_what_is_no_number_never_becomes_one() -> None:
    for kind, what in (
        (ColumnType.NUMBER, "x: not a number"),
        (ColumnType.MONEY, "x: not a number"),
        (ColumnType.UNIT_PRICE, "x: not a number"),
        (ColumnType.INTEGER, "x: not a whole number"),
    ):
        found = _cells(kind, NO_NUMBERS)
        assert found[0] == (None, None)  # an empty cell is missing, not wrong
        assert found[1:] == [(None, what)] * (len(NO_NUMBERS) - 1), kind
        finite = _cells(kind, ["nan", "NaN", "inf", "-Infinity", "+INF"])
        assert finite == [(None, "x: not finite")] * 5


def test_numbers_end_where_sums_would_lose_cents() -> None:
    cells = [f"{LARGEST}", f"{LARGEST + 1}", "1e300", "1e400", f"-{LARGEST + 1}", "9" * 40, "1e-400"]
    above = (None, "x: above 1,000,000,000,000")
    for kind in (ColumnType.MONEY, ColumnType.UNIT_PRICE, ColumnType.NUMBER, ColumnType.INTEGER):
        found = _cells(kind, cells)
        scale = 100 if kind in (ColumnType.MONEY, ColumnType.UNIT_PRICE) else 1
        assert found[0] == (LARGEST * scale, None)
        assert found[1:6] == [above] * 5, kind
        assert found[6] == (0, None)


def test_a_huge_quantity_and_its_fraction_are_kept(tmp_path: Path) -> None:
    lines = (
        "o2,1,2025-03-03,paid,,A,1000000000,0.01,0.01,10000000.00,gross",
        "o3,1,2025-03-03,paid,,A,0.001,10,10,0.01,gross",
        "o4,1,2025-03-03,paid,,A,1000000000000,1000000000000,1000000000000,1,gross",
    )
    folder = write_shop(tmp_path / "d", orders=orders(GOOD_LINE, *lines))
    with open_source(folder, today=TODAY) as source:
        kept = source.engine.rows("SELECT quantity, paid FROM orders ORDER BY _row")
    assert kept == [(2.0, 1600), (1e9, 1_000_000_000), (0.001, 1)]
    assert reasons(folder) == {("orders", "offered_price x quantity: too large"): (5,)}


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["2025-03-04", "2025/3/4", "2025-03-04T00:00", "2025-03-04 00:00:00.000000"], "2025-03-04 00:00:00"),
        (["2025-03-04T09:05:06", "2025-03-04  09:05:06", "2025-03-04 08:05:06Z"], "2025-03-04 09:05:06"),
        (["2025-03-04 08:05:06 UTC", "2025-03-04 08:05:06 GMT"], "2025-03-04 09:05:06"),
        (["2025-03-04 09:05:06+01", "2025-03-04T08:05:06.000000Z"], "2025-03-04 09:05:06"),
        (["2025-03-04T13:35:06+0530", "2025-03-04T13:50:06+05:45"], "2025-03-04 09:05:06"),
        (["2025-03-04T04:35:06-03:30", "2025-03-04T03:05:06.000-0500"], "2025-03-04 09:05:06"),
        (["0001-01-01", "9999-12-31"], None),
    ],
)  # fmt: skip
def test_moments_that_are_one(cells: list[str], values: str | None) -> None:
    found = _values(ColumnType.TIME, cells)
    expected = [dt.datetime.fromisoformat(values or cell) for cell in cells]
    assert found == expected


NO_DAYS = [
    "03/04/2025", "03/03/25", "3-4-25", "20250303", "45719", "12:00", "yesterday", "now", "today", "epoch",
    "infinity", "-infinity", "2025-02-29", "2025-13-01", "2025-03-32", "2025-03-04 25:00", "2025-03-04 (BC)",
    "2025-03-04 11:30 PM", "2025-03-04 11:30 EST", "2025-03-04 11:30 Europe/Paris", "2025-03-04 hello",
    "290000-01-01", "2025-03-04T10:00:00,5", "0000-00-00", "0000-00-00 00:00:00", "2025-W10-1", "25-03-04",
]  # fmt: skip


def test_what_only_looks_like_a_day_is_none() -> None:
    assert _cells(ColumnType.TIME, NO_DAYS) == [(None, "x: not a date")] * len(NO_DAYS)


@pytest.mark.parametrize(
    ("day", "good", "bad"),
    [
        ("%d/%m/%Y", ["04/03/2025", "4.3.2025", "2025-03-04", "4/3/2025 00:00"], ["4/3/25", "13/13/2025"]),
        ("%m/%d/%Y", ["03/04/2025", "3/4/2025", "2025-03-04T00:00:00"], ["13/04/2025", "3/4/2025 1:00 PM"]),
        ("%d.%m.%y", ["04.03.25", "4.3.25", "2025-03-04"], ["4/3/25", "32.03.25"]),
        ("%Y%m%d", ["20250304", "2025-03-04"], ["250304", "03/04/2025"]),
        ("%Y-%d-%m", ["2025-04-03"], ["2025-40-03"]),
    ],
)  # fmt: skip
def test_a_declared_format_and_iso_beside_it(day: str, good: list[str], bad: list[str]) -> None:
    found = _cells(ColumnType.TIME, [*good, *bad], notation=Notation(".", day))
    assert [value for value, _ in found] == [dt.datetime(2025, 3, 4)] * len(good) + [None] * len(bad)  # noqa: DTZ001
    assert [reason for _, reason in found[len(good) :]] == ["x: not a date"] * len(bad)


ZONES = (
    "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham",
    "Pacific/Kiritimati", "America/Sao_Paulo", "Africa/Casablanca", "Europe/London", "UTC",
)  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
def test_a_moment_falls_on_the_day_that_the_shops_clocks_show(zone: str) -> None:
    start = dt.datetime(2024, 1, 1, 0, 15, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(hours=7, minutes=30) * i for i in range(1200)]
    local = [moment.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    assert _values(ColumnType.TIME, [moment.isoformat() for moment in moments], _shop(zone=zone)) == local


def test_every_zone_that_a_shop_file_may_name_is_one_for_the_engine() -> None:
    names = sorted(zoneinfo.available_timezones() - {"localtime"})
    listed = ", ".join(f"(timezone({literal(name)}, TIMESTAMPTZ '2025-03-03 10:00:00Z'))" for name in names)
    with open_engine(on_disk=False) as engine:
        found = engine.count(f"SELECT count(*) FROM (VALUES {listed}) AS v (found) WHERE found IS NOT NULL")
    assert found == len(names)
    for other in ("localtime", "Madrid", "europe/madrid", "CEST", "", "../UTC", "Europe/Madrid "):
        with pytest.raises(SettingsError, match="not a known time zone"):
            _shop(zone=other)


@pytest.mark.parametrize(
    ("now", "zone", "last"),
    [
        # The last second of a day that may have been sold in by then, and one more.
        ("2025-03-04T12:00:00+00:00", "Pacific/Kiritimati", "2025-03-05"),  # already 02:00 of the 5th
        ("2025-03-04T09:59:59+00:00", "Pacific/Kiritimati", "2025-03-04"),
        ("2025-03-04T02:00:00+00:00", "America/Los_Angeles", "2025-03-03"),
        ("2025-03-04T18:29:59+00:00", "Asia/Kolkata", "2025-03-04"),
        ("2025-03-04T18:30:00+00:00", "Asia/Kolkata", "2025-03-05"),
        ("2025-03-29T23:30:00+00:00", "Europe/Madrid", "2025-03-30"),
    ],
)
def test_today_is_the_shops_own_day(tmp_path: Path, now: str, zone: str, last: str) -> None:
    after = dt.date.fromisoformat(last) + dt.timedelta(days=1)
    text = orders(f"o1,1,{last} 23:59:59,paid,,A,1,10,8,8,gross", f"o2,1,{after},paid,,A,1,10,8,8,gross")
    folder = write_shop(tmp_path / "d", SHOP.replace("Europe/Madrid", zone), orders=text)
    assert reasons(folder, dt.datetime.fromisoformat(now)) == {("orders", "ordered_at: in the future"): (3,)}


# Types of Parquet columns

BASE: dict[str, object] = {
    "order_id": ["1", "2"], "line_id": ["1", "1"], "ordered_at": ["2025-03-03", "2025-03-04"],
    "status": ["paid"] * 2, "product_id": ["A"] * 2, "quantity": [1.0, 2.0], "offered_price": [8.0] * 2,
    "paid": [8.0, 16.0], "price_basis": ["gross"] * 2,
}  # fmt: skip
DAY = dt.date(2025, 3, 3)
MOMENT = dt.datetime(2025, 3, 3, 10, tzinfo=dt.UTC)


def _parquet(folder: Path, **columns: object) -> Path:
    write_shop(folder, SHOP.replace("quarantine_share = 0.5", "quarantine_share = 1.0"))
    (folder / "orders.csv").unlink()
    pq.write_table(pa.table({**BASE, **columns}), folder / "orders.parquet")
    return folder


def test_parquet_columns_of_wrong_types_are_named_in_every_row(tmp_path: Path) -> None:
    wrong: list[tuple[str, object, str]] = [
        ("quantity", [DAY] * 2, "not a number"),
        ("quantity", [MOMENT] * 2, "not a number"),
        ("quantity", [True, False], "not a number"),
        ("quantity", [[1.0], [2.0]], "not a number"),
        ("quantity", [{"a": 1}] * 2, "not a number"),
        ("quantity", [b"1", b"2"], "not a number"),
        ("paid", [True, True], "not a number"),
        ("paid", pa.array([2**62, 2**63], pa.uint64()), "above 1,000,000,000,000"),
        ("paid", [1e17, -1e300], "above 1,000,000,000,000"),
        ("offered_price", [float("nan"), float("-inf")], "not finite"),
        ("offered_price", pa.nulls(2), "missing"),
        ("ordered_at", [1741000000, 1741000001], "not a date"),
        ("ordered_at", [45719.5, 45720.0], "not a date"),
        ("ordered_at", [True, False], "not a date"),
        ("ordered_at", [dt.time(1)] * 2, "not a date"),
        ("ordered_at", [[DAY], [DAY]], "not a date"),
        ("status", [["paid"]] * 2, "not one of paid, cancelled, test, draft"),
        ("product_id", [float("nan")] * 2, "missing"),
        ("quantity", pa.array([float("nan")] * 2, pa.float32()), "not finite"),
    ]
    for number, (name, column, what) in enumerate(wrong):
        found = reasons(_parquet(tmp_path / str(number), **{name: column}))
        assert found == {("orders", f"{name}: {what}"): (1, 2)}, (name, column)


def test_parquet_columns_of_right_types_mean_the_same(tmp_path: Path) -> None:
    right: list[dict[str, object]] = [
        {"ordered_at": [DAY, DAY]},
        {"ordered_at": pa.array([MOMENT] * 2, pa.timestamp("ns", tz="America/New_York"))},
        {"ordered_at": pa.array([MOMENT.replace(tzinfo=None)] * 2, pa.timestamp("s"))},
        {"ordered_at": pa.array(["2025-03-03"] * 2).dictionary_encode()},
        {"paid": pa.array([Decimal("8.0000"), Decimal("16.00")], pa.decimal128(38, 10))},
        {"paid": [8, 16], "quantity": pa.array([1, 2], pa.uint8())},
        {"status": [b"paid"] * 2},
    ]
    for number, columns in enumerate(right):
        folder = _parquet(tmp_path / str(number), **columns)
        with open_source(folder, today=TODAY) as source:
            assert source.bad_rows() == ()
            rows = source.engine.rows(
                "SELECT ordered_at::DATE::VARCHAR, paid, quantity FROM orders ORDER BY 2"
            )
        assert [row[1:] for row in rows] == [(800, 1.0), (1600, 2.0)]
        assert rows[0][0] == "2025-03-03"


def test_keys_that_turned_into_fractions_are_the_keys_they_were(tmp_path: Path) -> None:
    cells: list[object] = [12.0, float("nan"), 0.0, -3.0, 1.5, 9007199254740992.0, 1e300]
    pq.write_table(pa.table({"x": pa.array(cells, pa.float64())}), tmp_path / "x.parquet")
    with open_engine(on_disk=False) as engine:
        sql = f"SELECT {as_text('x', 'DOUBLE')} FROM read_parquet({literal(str(tmp_path / 'x.parquet'))})"
        found = [row[0] for row in engine.rows(sql)]
    assert found == ["12", None, "0", "-3", "1.5", "9007199254740992", "1e+300"]
    assert as_text("x", "VARCHAR") == "x::VARCHAR"


def test_booleans_are_read_in_words_numbers_and_types(tmp_path: Path) -> None:
    words = ["true", "YES", "Sí", "1", "false", "No", "0", "falso", "", "maybe", "2"]
    found = _cells(ColumnType.BOOLEAN, words)
    assert [value for value, _ in found] == [True] * 4 + [False] * 4 + [None] * 3
    assert [reason for _, reason in found[8:]] == [None, "x: not yes or no", "x: not yes or no"]


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=8, deadline=None)
@given(st.lists(_TEXTS, min_size=30, max_size=90))
def test_no_text_breaks_a_column_and_each_is_a_value_or_a_reason(cells: list[str]) -> None:
    for kind in (ColumnType.NUMBER, ColumnType.TIME, ColumnType.BOOLEAN):
        for text, (value, reason) in zip(cells, _cells(kind, cells), strict=True):
            assert value is None or reason is None, (kind, text)
            assert value is not None or reason is not None or not text.strip(), (kind, text)
