"""CSV files as shops export them: quotes, odd headers, odd folders, line ends, and lines that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from pricing.errors import DataError, TarifaError
from simulators.contract.checking import write_quarantine
from simulators.contract.engine import file_literal, open_engine
from simulators.contract.tables import open_source
from simulators.importers.spreadsheets import import_spreadsheets
from tests.simulators.formats import reasons
from tests.simulators.shops import GOOD_LINE, ORDERS_HEADER, PRODUCTS, SHOP, TODAY, orders, write_shop

BAD = "o2,1,2025-03-04,paid,c2,A,0,10,8,16,gross"
ZERO = {("orders", "quantity: not positive"): (3,)}


def _refusal(folder: Path) -> TarifaError:
    with pytest.raises(DataError) as caught, open_source(folder, today=TODAY):
        pass
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        orders(GOOD_LINE, BAD).replace(",", ";"),
        orders(GOOD_LINE, BAD).replace(",", "\t"),
        orders(GOOD_LINE, BAD).replace(",", "|"),
        orders(GOOD_LINE, BAD).replace("\n", "\r\n"),
        orders(GOOD_LINE, BAD).replace("\n", "\r"),
        orders(GOOD_LINE, BAD).rstrip("\n"),
        orders(GOOD_LINE, BAD) + "\n\n",
        "\ufeff" + orders(GOOD_LINE, BAD),
        orders(GOOD_LINE.replace("o1", '"o\n1"'), BAD),
        orders(GOOD_LINE.replace("o1", '"o,""1"""'), BAD),
        orders(GOOD_LINE, BAD).replace("paid", " PAID ").replace(" PAID ,price", "paid,price"),
        orders(GOOD_LINE, BAD).replace("order_id", " Order_ID ", 1),
    ],
    ids=[
        "semicolons", "tabs", "pipes", "crlf", "cr", "unended", "blank end", "bom", "line end in a cell",
        "quotes in a cell", "blanks and capitals", "capitals in the header",
    ],
)  # fmt: skip
def test_however_it_is_written_the_same_row_is_bad(tmp_path: Path, text: str) -> None:
    assert reasons(write_shop(tmp_path / "d", orders=text)) == ZERO


OWN = ("_row", "_reason", "raw quantity", "file_row_number", "a'b", 'a"b', "a\nb", "select", "rowid")


def test_columns_of_any_name_may_stand_beside_the_contracts(tmp_path: Path) -> None:
    header = ",".join([ORDERS_HEADER, *('"' + name.replace('"', '""') + '"' for name in OWN)])
    text = f"{header}\n{GOOD_LINE}{',77' * len(OWN)}\n{BAD}{',x' * len(OWN)}\n"
    folder = write_shop(tmp_path / "d", orders=text)
    assert reasons(folder) == ZERO
    with open_source(folder, today=TODAY) as source:
        assert source.tables[0].ignored == OWN


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (orders(GOOD_LINE) + '"o2,1,2025', "orders.csv is not a regular table."),
        (orders(GOOD_LINE, BAD + ",1"), "orders.csv is not a regular table."),
        (orders(GOOD_LINE, "o2,1"), "orders.csv is not a regular table."),
        (orders(GOOD_LINE).replace("\n", "\r\n", 1) + BAD + "\n", "orders.csv is not a regular table."),
        ("   \n \n", "orders.csv has no header."),
        (ORDERS_HEADER, "orders.csv has no rows."),
        (ORDERS_HEADER + "\n,,,,,,,,,,\n", "orders.csv has no rows."),
        (orders(GOOD_LINE).encode("utf-16-le"), "orders.csv is not a regular table."),
        (orders(GOOD_LINE.replace("o1", "o" * 5_000_000)), "orders.csv is not a regular table."),
        (b"PK\x03\x04" + bytes(range(256)), "orders.csv is neither UTF-8, UTF-16 nor Windows-1252 text."),
    ],
)
def test_what_is_no_table_is_told_in_one_short_sentence(tmp_path: Path, text: str | bytes, what: str) -> None:
    error = _refusal(write_shop(tmp_path / "d", orders=text))
    assert error.what == what
    assert error.todo
    assert len(error.why) < 300


def test_an_error_never_repeats_the_line_it_is_about(tmp_path: Path) -> None:
    line = "o2,1,2025-03-04,paid,ana@example.com,A,1,10,8,16,gross,one too many"
    error = _refusal(write_shop(tmp_path / "d", orders=orders(GOOD_LINE, line)))
    assert "Line: 3" in error.why
    assert "ana@example.com" not in str(error)


NAMES = (
    "d[1]",
    "d*x",
    "d?x",
    "[d",
    "d]",
    "two words",
    "ñandú",
    "quo'te",
    "per%cent",
    "{a,b}",
    "a\\b",
    "$HOME",
)


def test_a_folder_of_any_name_is_read_and_no_other(tmp_path: Path) -> None:
    for neighbour in ("d1", "dxx", "dyx", "d", "a", "b"):
        write_shop(tmp_path / neighbour, orders=orders(GOOD_LINE.replace("o1", "foreign")))
    for name in NAMES:
        folder = write_shop(tmp_path / name, orders=orders(GOOD_LINE, BAD))
        with open_source(folder, today=TODAY, only=("orders",)) as source:
            assert source.engine.rows("SELECT order_id FROM orders") == [("o1",)], name
            assert source.tables[0].rows == 2
            assert write_quarantine(source, tmp_path / f"{name}.bad") is not None
        assert (tmp_path / f"{name}.bad" / "orders.csv").read_text().count("\n") == 2


def test_a_data_folder_of_any_name_is_written_and_read_back(tmp_path: Path) -> None:
    source = write_shop(tmp_path / "in [2024]*")
    out = tmp_path / "out [2024]?"
    with open_source(source, today=TODAY) as opened:
        shop = opened.shop
    written = import_spreadsheets(source, out, shop, tmp_path / "k [1]")
    assert [(table.name, table.rows) for table in written] == [("orders", 1), ("products", 2)]
    with open_source(out, today=TODAY) as opened:
        assert opened.bad_rows() == ()


def test_a_path_stands_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "a'[b]*?.csv"
    path.write_text("x\n1\n")
    (tmp_path / "a'bzz.csv").write_text("x\n2\n")
    with open_engine() as engine:
        assert engine.rows(f"SELECT x FROM read_csv({file_literal(path)})") == [(1,)]


IDS = [
    "007",
    "7",
    "7.0",
    "+7",
    "' OR 1=1; --",
    "a b",
    "á",
    "\u00e1".encode().decode(),
    "😀",
    "x" * 500,
    "NULL",
    "nan",
]


def test_identifiers_are_texts_whatever_they_look_like(tmp_path: Path) -> None:
    distinct = list(dict.fromkeys(IDS))
    products = "product_id,category,kind\n" + "".join(f'"{i}",c,merchandise\n' for i in distinct)
    text = orders(*(f'o{n},1,2025-03-03,paid,,"{i}",1,10,8,8,gross' for n, i in enumerate(distinct)))
    with open_source(write_shop(tmp_path / "d", orders=text, products=products), today=TODAY) as source:
        assert source.bad_rows() == ()
        found = [row[0] for row in source.engine.rows("SELECT product_id FROM orders ORDER BY _row")]
    assert found == distinct


def test_identifiers_differ_by_case_and_accents_and_not_by_blanks_around_them(tmp_path: Path) -> None:
    spelled = {"A": None, " A ": None, "a": "bad", "Á": "bad", "A\t": "bad", "A A": "bad"}
    text = orders(*(f'o{n},1,2025-03-03,paid,,"{i}",1,10,8,8,gross' for n, i in enumerate(spelled)))
    expected = tuple(n + 2 for n, how in enumerate(spelled.values()) if how)
    assert reasons(write_shop(tmp_path / "d", orders=text)) == {
        ("orders", "product_id: not in products"): expected
    }


ZONED = SHOP + '[[zones]]\nid = "Norte"\ncountry = "ES"\ntax_rate = 0.1\nprices_include_tax = true\n'


def test_zones_differ_by_case_and_not_by_blanks_around_them(tmp_path: Path) -> None:
    cells = {"es": 0, "": 0, "  es ": 0, "ES": 1, "norte": 1, "Norte": 0, "Nor te": 1}
    shop = ZONED.replace("[cost_assumption]\ndefault = 0.6\n", "") + "[cost_assumption]\ndefault = 0.6\n"
    head = ORDERS_HEADER + ",zone"
    text = "\n".join([head, *(f"o{n},1,2025-03-03,paid,,A,1,10,8,8,gross,{z}" for n, z in enumerate(cells))])
    with open_source(write_shop(tmp_path / "d", shop, orders=text), today=TODAY) as source:
        (bad,) = source.bad_rows()
        zones = source.engine.rows("SELECT zone, count(*) FROM orders GROUP BY zone ORDER BY zone")
    assert (bad.reason, bad.rows) == ("zone: not in the shop file", (5, 6, 8))
    assert zones == [("Norte", 1), ("es", 3)]


def test_products_beside_orders_are_read_by_the_same_rules(tmp_path: Path) -> None:
    broken = PRODUCTS.replace("B,hats,merchandise", "B,hats,hat").encode("utf-16")
    found = reasons(write_shop(tmp_path / "d", products=broken))
    assert found == {("products", "kind: not one of merchandise, bundle, gift_card, service, fee"): (3,)}
