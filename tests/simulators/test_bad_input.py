from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pricing.errors import BusyError, DataError, SettingsError, TooManyBadRows
from simulators.contract.checking import check, write_quarantine
from simulators.contract.engine import open_engine
from simulators.contract.panel import build_panel
from simulators.contract.shop_file import read_shop_file
from simulators.contract.tables import open_source
from tests.simulators.shops import GOOD_LINE, ORDERS_HEADER, PRODUCTS, SHOP, TODAY, orders, write_shop


def _reasons(folder: Path) -> dict[tuple[str, str], tuple[int, tuple[int, ...]]]:
    with open_source(folder, today=TODAY) as source:
        return {(b.table, b.reason): (b.count, b.rows) for b in source.bad_rows()}


def _refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught, open_source(folder, today=TODAY):
        pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",1,2025-03-03,paid,c1,A,2,10,8,16,gross", "order_id: missing"),
        ("o2,1,yesterday,paid,c1,A,2,10,8,16,gross", "ordered_at: not a date"),
        ("o2,1,2025-03-03,payed,c1,A,2,10,8,16,gross", "status: not one of paid, cancelled, test, draft"),
        ("o2,1,2025-03-03,paid,c1,A,two,10,8,16,gross", "quantity: not a number"),
        ("o2,1,2025-03-03,paid,c1,A,NaN,10,8,16,gross", "quantity: not finite"),
        ("o2,1,2025-03-03,paid,c1,A,-inf,10,8,16,gross", "quantity: not finite"),
        ("o2,1,2025-03-03,paid,c1,A,0,10,8,16,gross", "quantity: not positive"),
        ("o2,1,2025-03-03,paid,c1,A,-2,10,8,16,gross", "quantity: not positive"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,0,16,gross", "offered_price: not positive"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,-8,16,gross", "offered_price: not positive"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,nan,16,gross", "offered_price: not finite"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,,16,gross", "offered_price: missing"),
        ("o2,1,2025-03-03,paid,c1,A,2,7,8,16,gross", "regular_price: below offered_price"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,8,-16,gross", "paid: negative"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,8,16.001,gross", "paid: more decimals than EUR has"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,8,16.03,gross", "paid: not offered_price x quantity less discounts"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,8,16,", "price_basis: missing"),
        ("o2,1,2025-03-03,paid,c1,A,2,10,8,16,brutto", "price_basis: not one of gross, net"),
        ("o2,1,2025-03-03,paid,c1,X,2,10,8,16,gross", "product_id: not in products"),
        ("o2,1,2025-07-01,paid,c1,A,2,10,8,16,gross", "ordered_at: in the future"),
        ("o1,1,2025-03-04,paid,c1,A,1,10,8,8,gross", "order_id, line_id: duplicate"),
    ],
)
def test_a_bad_line_is_named_with_row_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    assert _reasons(write_shop(tmp_path / "d", orders=orders(GOOD_LINE, line))) == {
        ("orders", reason): (1, (3,))
    }


@pytest.mark.parametrize(
    "line",
    [
        "o2,1,2025-06-30 23:59,paid,c1,A,2,10,8,16,gross",
        "o2,1,2025-03-03T10:00:00Z,paid,c1,A,3,1.67,1.666667,5.00,gross",
        "o2,1,2025-03-03T10:00:00+01:00,PAID,,A,2,,8,16.02,GROSS",
        "o2,1,2025-03-03,paid,c1,A,2,10,8,16.00000,gross",
    ],
)
def test_what_is_right_or_within_tolerance_is_not_bad(tmp_path: Path, line: str) -> None:
    assert _reasons(write_shop(tmp_path / "d", orders=orders(GOOD_LINE, line))) == {}


def test_rows_of_other_tables_are_checked_too(tmp_path: Path) -> None:
    folder = write_shop(
        tmp_path / "d",
        discounts="order_id,line_id,kind,amount,funded_by\no9,1,coupon,1,shop\no1,7,coupon,1,shop\no1,,order,99,shop\n",
        promotions="product_id,starts_at,ends_at,kind,share\nA,2025-03-03,2025-03-03,feature,1\n"
        "B,2025-03-03,2025-03-10,feature,1.5\n",
        costs="product_id,valid_from,unit_cost,currency\nA,2025-01-01,3,USD\nB,2025-01-01,,EUR\n",
        coupon_products="coupon_id,product_id,category\nk,,\nk,A,\n",
        prices="product_id,zone,valid_from,regular_price,offered_price,price_basis\nA,fr,2025-01-01,3,3,gross\n"
        "A,es,2025-01-01,3,3,gross\n",
    )
    assert _reasons(folder) == {
        ("discounts", "order_id: not in orders"): (1, (2,)),
        ("discounts", "line_id: not in its order"): (1, (3,)),
        ("discounts", "amount: more than its order"): (1, (4,)),
        ("promotions", "ends_at: not after starts_at"): (1, (2,)),
        ("promotions", "share: above 1"): (1, (3,)),
        ("costs", "currency: not the shop's (EUR)"): (1, (2,)),
        ("costs", "unit_cost: missing"): (1, (3,)),
        ("coupon_products", "product_id and category: both missing"): (1, (2,)),
        ("prices", "zone: not in the shop file"): (1, (2,)),
    }


def test_above_the_configured_share_the_run_stops_and_the_report_still_says_why(tmp_path: Path) -> None:
    bad = [f"o{i},1,2025-03-03,paid,c1,A,0,10,8,16,gross" for i in range(2, 5)]
    with open_source(write_shop(tmp_path / "d", orders=orders(GOOD_LINE, *bad)), today=TODAY) as source:
        report = check(source)
        assert report.prices is None
        with pytest.raises(TooManyBadRows, match=r"3 of 4 rows.*row 3 \(quantity: not positive; 3 such"):
            report.require()
        with pytest.raises(TooManyBadRows, match="quarantine_share"):
            build_panel(source)


def test_quarantine_keeps_row_and_reason_and_nothing_about_people(tmp_path: Path) -> None:
    bad = "o2,1,2025-03-03,paid,secret-person,A,0,10,8,16,gross"
    with open_source(write_shop(tmp_path / "d", orders=orders(GOOD_LINE, bad)), today=TODAY) as source:
        assert write_quarantine(source, tmp_path / "q") is not None
    text = (tmp_path / "q" / "orders.csv").read_text()
    assert text.splitlines()[1].startswith("3,quantity: not positive,o2,1,")
    assert "secret-person" not in text
    with open_source(write_shop(tmp_path / "clean"), today=TODAY) as source:
        assert write_quarantine(source, tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


def test_renamed_products_are_found_by_their_old_key_from_its_day_on(tmp_path: Path) -> None:
    folder = write_shop(
        tmp_path / "d",
        orders=orders(
            "o1,1,2025-03-03,paid,,old,1,8,8,8,gross",
            "o2,1,2025-03-09,paid,,old,1,8,8,8,gross",
            "o3,1,2025-02-01,paid,,old,1,8,8,8,gross",
            "o4,1,2025-03-03,paid,,other,1,8,8,8,gross",
        ),
        product_aliases="source_key,product_id,valid_from\nold,A,2025-03-01\nold,B,2025-03-08\n",
    )
    with open_source(folder, today=TODAY) as source:
        assert source.engine.rows("SELECT order_id, product_id FROM orders ORDER BY 1") == [
            ("o1", "A"),
            ("o2", "B"),
        ]
        (bad,) = source.bad_rows()
        assert (bad.reason, bad.rows) == ("product_id: not in products", (4, 5))


def test_missing_tables_and_columns_are_named(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "d")
    (folder / "products.csv").unlink()
    assert "has no table products" in _refusal(folder)
    assert "orders.csv has no column price_basis" in _refusal(
        write_shop(tmp_path / "e", orders="\n".join(r.rpartition(",")[0] for r in (ORDERS_HEADER, GOOD_LINE)))
    )
    assert "There is no data folder" in _refusal_without_folder(tmp_path / "nowhere")


def _refusal_without_folder(folder: Path) -> str:
    shop = write_shop(folder.with_name("other"))
    (shop / "shop.toml").rename(folder.with_name("shop.toml"))
    with (
        pytest.raises(DataError) as caught,
        open_source(folder, today=TODAY, shop=read_shop_file(folder.with_name("shop.toml"))),
    ):
        pass
    return str(caught.value)


def test_a_folder_without_settings_says_what_is_missing(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "d")
    (folder / "shop.toml").unlink()
    with pytest.raises(SettingsError, match="currency, time zone and tax"), open_source(folder, today=TODAY):
        pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (ORDERS_HEADER.encode() + b"\n", "has no rows"),
        (b"\n\n", "has no header"),
        (ORDERS_HEADER.encode() + b",,\n" + GOOD_LINE.encode() + b",1,2\n", "column without a name"),
        (ORDERS_HEADER.encode() + b",Status\n" + GOOD_LINE.encode() + b",x\n", "the column status twice"),
        (ORDERS_HEADER.encode() + b"\no1,1,2025\n", "is not a regular table"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in _refusal(write_shop(tmp_path / "d", orders=content))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a parquet file at all, only text"])
def test_empty_and_damaged_parquet(tmp_path: Path, content: bytes) -> None:
    folder = write_shop(tmp_path / "d")
    (folder / "orders.csv").unlink()
    (folder / "orders.parquet").write_bytes(content)
    message = _refusal(folder)
    assert "orders.parquet" in message
    assert "Export it again" in message


def test_parquet_types_are_read_as_they_are(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "d")
    (folder / "orders.csv").unlink()
    utc = dt.datetime(2025, 3, 9, 23, 30, tzinfo=dt.UTC)
    table = pa.table(
        {
            "order_id": [1, 2, 3],
            "line_id": [1, 1, 1],
            "ordered_at": pa.array([utc] * 3, pa.timestamp("us", tz="UTC")),
            "status": ["paid"] * 3,
            "product_id": ["A"] * 3,
            "quantity": [3, 1, 1],
            "offered_price": [1.1, float("nan"), float("inf")],
            "paid": pa.array([Decimal("3.30")] * 3),
            "price_basis": ["gross"] * 3,
            "shoe_size_of_customer": [42] * 3,
        }
    )
    pq.write_table(table, folder / "orders.parquet")
    with open_source(folder, today=TODAY) as source:
        (row,) = source.engine.rows("SELECT order_id, ordered_at::VARCHAR, offered_price, paid FROM orders")
        assert row == ("1", "2025-03-10 00:30:00", 110.0, 330)
        (bad,) = source.bad_rows()
        assert (bad.reason, bad.rows) == ("offered_price: not finite", (2, 3))
        assert source.tables[0].ignored == ("shoe_size_of_customer",)


def test_dates_with_the_month_first_are_recognised(tmp_path: Path) -> None:
    text = orders(
        GOOD_LINE.replace("2025-03-03 10:00", "3/4/2025 9:05"), "o2,1,3/28/2025,paid,,A,1,8,8,8,gross"
    )
    with open_source(write_shop(tmp_path / "d", orders=text), today=TODAY) as source:
        assert source.engine.rows("SELECT ordered_at::VARCHAR FROM orders ORDER BY 1") == [
            ("2025-03-04 09:05:00",),
            ("2025-03-28 00:00:00",),
        ]


def test_ragged_and_undecodable_text_is_refused(tmp_path: Path) -> None:
    ragged = _SPANISH.replace("p2;1;", "p2;").encode("windows-1252")
    assert "orders.csv, row 3 has 8 cells for 9 columns" in _refusal(
        write_shop(tmp_path / "d", _SPANISH_SHOP, orders=ragged)
    )
    assert "Save it as UTF-8" in _refusal(write_shop(tmp_path / "e", orders=b"order_id\n\xe1\x81\n"))
    assert "Save it as UTF-8" in _refusal(write_shop(tmp_path / "f", orders=b"\xe1\x81,x\n1,2\n"))


def test_too_little_memory_says_what_to_do() -> None:
    with open_engine(memory="4MB", on_disk=False) as engine, pytest.raises(BusyError, match="set TMPDIR"):
        engine.run("CREATE TABLE big AS SELECT range AS a, random()::VARCHAR AS b FROM range(3000000)")


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    # Every write to /dev/full fails as on a full disk.
    with open_engine() as engine, pytest.raises(BusyError, match="no room left") as caught:
        engine.run("COPY (SELECT * FROM range(1000000)) TO '/dev/full' (FORMAT csv, USE_TMP_FILE false)")
    assert "/dev/full" in caught.value.why


def test_a_place_that_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "none"):
        with (
            pytest.raises(DataError, match="There is no data folder"),
            open_source(place, today=TODAY),
        ):
            pass


def test_nothing_of_a_session_stays_on_the_disk(tmp_path: Path) -> None:
    with open_source(write_shop(tmp_path / "d"), today=TODAY) as source:
        place = source.engine.folder
        assert place.exists()
    assert not place.exists()


def test_what_a_killed_session_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = (
        "import os, signal, sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from simulators.contract.engine import open_engine\n"
        "with open_engine() as e: e.run('CREATE TABLE t AS SELECT 1'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with open_engine() as alive:
        subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
        assert len(list(tmp_path.iterdir())) == 2
        with open_engine() as third:
            assert sorted(tmp_path.iterdir()) == sorted([alive.folder, third.folder])
            alive.run("CREATE TABLE t AS SELECT 1")


def test_a_session_killed_before_it_had_its_lock_goes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "tarifa-session-killed").mkdir()
    with open_engine() as engine:
        assert list(tmp_path.iterdir()) == [engine.folder]


def test_sessions_made_at_once_never_take_each_others_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def live(_: int) -> int:
        with open_engine() as engine:
            engine.run("CREATE TABLE t AS SELECT range AS i FROM range(1000)")
            return engine.count("SELECT sum(i) FROM t")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(live, range(60))) == {499_500}
    assert list(tmp_path.iterdir()) == []


def test_one_table_in_two_formats_is_ambiguous(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "d")
    pq.write_table(pa.table({"order_id": ["o1"]}), folder / "orders.parquet")
    assert "orders.parquet and orders.csv" in _refusal(folder)


_SPANISH = (
    "Pedido;Línea;Fecha;Estado;Correo electrónico;Artículo;Cantidad;Precio;Total\n"
    "p1;1;03/03/2025;paid;ana@example.com;Ñ1;1.000,5;1,60;1.600,80\n"
    "p2;1;28/03/2025;paid;;Ñ1;2;1,60;3,20\n"
)
_SPANISH_SHOP = (
    SHOP
    + """
[columns.orders]
order_id = "Pedido"
line_id = "Línea"
ordered_at = "Fecha"
status = "Estado"
product_id = "Artículo"
quantity = "Cantidad"
offered_price = "Precio"
paid = "Total"
[constants.orders]
price_basis = "gross"
"""
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16"])
def test_semicolons_decimal_commas_and_encodings_are_recognised_and_shown(
    tmp_path: Path, encoding: str
) -> None:
    folder = write_shop(
        tmp_path / "d",
        _SPANISH_SHOP,
        orders=_SPANISH.encode(encoding),
        products="product_id,category,kind\nÑ1,a,merchandise\n",
    )
    with open_source(folder, today=TODAY) as source:
        assert source.bad_rows() == ()
        assert source.engine.rows(
            "SELECT quantity, offered_price, paid, ordered_at::VARCHAR FROM orders"
        ) == [
            (1000.5, 160.0, 160080, "2025-03-03 00:00:00"),
            (2.0, 160.0, 320, "2025-03-28 00:00:00"),
        ]
        report = check(source)
    (found,) = [t for t in report.tables if t.name == "orders"]
    assert (found.delimiter, found.decimal, found.date_format) == (";", ",", "%d/%m/%Y")
    assert found.encoding == encoding
    assert found.not_stored == ("Correo electrónico",)
    assert "ana@example.com" not in json.dumps(report.to_json())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("28/03/2025", "02/03/2025", "day from month"),
        ("1,60;3,20", "1.60;3.20", "decimal commas (column Cantidad) and decimal points (Precio)"),
    ],
)
def test_two_readings_are_never_guessed(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = _SPANISH.replace(old, new)
    assert message in _refusal(write_shop(tmp_path / "d", _SPANISH_SHOP, orders=text))


def test_thousands_or_decimals_must_be_said(tmp_path: Path) -> None:
    text = orders('o1,1,2025-03-03,paid,,A,"1,234",10,8,"9,872",gross')
    assert "groups thousands" in _refusal(write_shop(tmp_path / "d", orders=text))
    said = SHOP.replace("quarantine_share", 'decimal_separator = "."\nquarantine_share')
    with open_source(write_shop(tmp_path / "e", said, orders=text), today=TODAY) as source:
        assert source.engine.rows("SELECT quantity, paid FROM orders") == [(1234.0, 987200)]


def test_a_workbook_is_read(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "d")
    (folder / "products.csv").unlink()
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["product_id", "category", "kind", "e-mail"], ["A", "shoes", "merchandise", "x"], [None] * 4):
        book.active.append(row)
    book.save(folder / "products.xlsx")
    with open_source(folder, today=TODAY) as source:
        assert source.engine.rows("SELECT product_id, category FROM products") == [("A", "shoes")]
        assert source.tables[1].ignored == ("e-mail",)
    (folder / "products.xlsx").write_bytes(b"not a workbook")
    assert "not a readable Excel workbook" in _refusal(folder)


def test_addresses_in_a_data_folder_are_refused(tmp_path: Path) -> None:
    text = orders(GOOD_LINE.replace("c1", "ana@example.com"))
    assert "customer_id holds e-mail addresses" in _refusal(write_shop(tmp_path / "d", orders=text))


def test_the_fingerprint_follows_from_content_alone(tmp_path: Path) -> None:
    def fingerprint(folder: Path) -> str:
        with open_source(folder, today=TODAY) as source:
            return source.fingerprint

    first = fingerprint(write_shop(tmp_path / "a"))
    assert fingerprint(write_shop(tmp_path / "b", "# a comment\n" + SHOP)) == first
    assert fingerprint(write_shop(tmp_path / "c", SHOP.replace("0.25", "0.21"))) != first
    assert fingerprint(write_shop(tmp_path / "e", products=PRODUCTS + "C,hats,merchandise\n")) != first
