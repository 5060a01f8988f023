"""Rows against other rows, each table of the contract by hand, and order lines against a second opinion."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pricing.columns import ColumnType, Table
from pricing.schema import TABLES
from simulators.contract.checking import check, write_quarantine
from simulators.contract.tables import open_source
from tests.simulators.formats import reasons
from tests.simulators.shops import GOOD_LINE, ORDERS_HEADER, PRODUCTS, SHOP, TODAY, orders, write_shop

RETURNS = "order_id,line_id,returned_at,quantity,refund\n"
LOOSE = SHOP.replace("quarantine_share = 0.5", "quarantine_share = 1.0")


def _returns(*rows: str) -> str:
    return RETURNS + "".join(f"{row}\n" for row in rows)


def test_no_more_comes_back_than_was_sold(tmp_path: Path) -> None:
    text = orders(
        GOOD_LINE,  # o1/1: two units
        "o1,2,2025-03-03,paid,,B,0.3,10,10,3,gross",
        "o2,1,2025-03-03,paid,,A,5,10,8,40,gross",
        "o3,1,2025-03-03,paid,,A,0,10,8,16,gross",  # itself a bad row
    )
    back = _returns(
        "o1,1,2025-03-09,1,8",
        "o1,1,2025-03-05,1,8",
        "o1,1,2025-03-20,1,8",  # the third of two
        "o1,2,2025-03-05,0.1,1",
        "o1,2,2025-03-06,0.1,1",
        "o1,2,2025-03-07,0.1,1",  # 0.1 + 0.1 + 0.1 is 0.3, whatever floating point says
        "o2,1,2025-03-05,6,40",
        "o2,1,2025-03-04,5,40",  # all of it had come back the day before
        "o3,1,2025-03-05,9,40",  # nobody knows what was sold
        "o2,9,2025-03-05,1,8",
        "o9,1,2025-03-05,1,8",
        "o2,1,2025-03-05,-1,8",
        "o2,1,2025-03-05,1,-8",
    )
    assert reasons(write_shop(tmp_path / "d", LOOSE, orders=text, returns=back)) == {
        ("orders", "quantity: not positive"): (5,),
        ("returns", "quantity: more than was sold"): (4, 8),
        ("returns", "line_id: not in its order"): (11,),
        ("returns", "order_id: not in orders"): (12,),
        ("returns", "quantity: not positive"): (13,),
        ("returns", "refund: negative"): (14,),
    }


def test_what_happened_happened_between_the_first_shop_and_today(tmp_path: Path) -> None:
    events = {
        "returns": _returns("o1,1,{},1,8"),
        "inventory": "product_id,at,on_hand\nA,{},3\n",
        "traffic": "at,value\n{},3\n",
        "competitor_prices": "product_id,competitor,at,price,source\nA,them,{},3,web\n",
        "redemptions": "customer_id,coupon_id,at\nc,k,{}\n",
        "coupon_exposures": "customer_id,coupon_id,at\nc,k,{}\n",
        "consents": "customer_id,purpose,granted,at,text_version,source\nc,p,yes,{},1,web\n",
        "events": "customer_id,session_id,at,event\nc,s,{},view\n",
    }
    for day, what in (
        ("1899-12-30", "before 1980"),
        ("1970-01-01", "before 1980"),
        (str(TODAY), "in the future"),
    ):
        tables = {name: text.format(day) for name, text in events.items()}
        tables["orders"] = orders(GOOD_LINE, f"o2,1,{day},paid,,A,1,10,8,8,gross")
        found = reasons(write_shop(tmp_path / day, LOOSE, **tables))
        assert found == {
            **{(name, f"{'returned_at' if name == 'returns' else 'at'}: {what}"): (2,) for name in events},
            ("orders", f"ordered_at: {what}"): (3,),
        }
    fine = {name: text.format("1980-01-01") for name, text in events.items()}
    assert reasons(write_shop(tmp_path / "fine", **fine)) == {}
    last = TODAY - dt.timedelta(days=1)
    assert reasons(write_shop(tmp_path / "last", **{n: t.format(last) for n, t in events.items()})) == {}


def test_spans_end_after_they_begin(tmp_path: Path) -> None:
    tables = {
        "prices": "product_id,valid_from,valid_to,regular_price,offered_price,price_basis\n"
        "A,2025-03-05,2025-03-01,9,9,gross\nA,2025-03-06,2025-03-06,9,9,gross\n"
        "A,2025-03-07,,9,9,gross\nA,2025-03-08,2025-03-08 00:01,9,9,gross\nA,2025-03-09,,8,9,gross\n",
        "promotions": "product_id,starts_at,ends_at,kind\nA,2025-03-05,2025-03-03,feature\n"
        "A,2025-03-01,2025-03-09,feature\nA,2025-03-05,2025-03-12,feature\nZ,2025-03-05,2025-03-12,feature\n",
        "campaigns": "campaign_id,kind,starts_at,ends_at\nk,mail,2025-03-05,2025-03-05\n",
        "coupons": "coupon_id,scope,valid_from,valid_to\nk,line,2025-03-05,2025-03-04\n",
        "products": "product_id,category,kind,launch_at,exit_at\nA,c,merchandise,,\n"
        "B,c,merchandise,2025-03-05,2025-03-05\nC,c,merchandise,2025-03-05,\nD,c,merchandise,0001-01-01,9999-12-31\n",
    }
    assert reasons(write_shop(tmp_path / "d", LOOSE, **tables)) == {
        ("prices", "valid_to: not after valid_from"): (2, 3),
        ("prices", "regular_price: below offered_price"): (6,),
        ("promotions", "ends_at: not after starts_at"): (2,),
        ("promotions", "product_id: not in products"): (5,),
        ("campaigns", "ends_at: not after starts_at"): (2,),
        ("coupons", "valid_to: not after valid_from"): (2,),
        ("products", "exit_at: not after launch_at"): (3,),
    }


@pytest.mark.parametrize("table", [t for t in TABLES if t.key], ids=lambda t: t.name)
def test_of_two_rows_with_one_key_the_first_is_kept(tmp_path: Path, table: Table) -> None:
    cells = {
        ColumnType.TEXT: "A", ColumnType.TIME: "2025-03-05", ColumnType.NUMBER: "1",
        ColumnType.UNIT_PRICE: "5", ColumnType.MONEY: "5", ColumnType.SHARE: "0.5",
        ColumnType.BOOLEAN: "yes", ColumnType.INTEGER: "1",
    }  # fmt: skip
    own = {
        "zone": "es",
        "currency": "EUR",
        "ends_at": "2025-03-09",
        "valid_to": "2025-03-09",
        "exit_at": "",
        "product_id": "A",
    }
    columns = [
        c
        for c in table.columns
        if c.required or c.name in table.key or c.name in {n for g in table.one_of for n in g}
    ]
    row = ",".join(c.choices[0] if c.choices else own.get(c.name, cells[c.type]) for c in columns)
    text = "\n".join([",".join(c.name for c in columns), row, row, row]) + "\n"
    given_tables = {table.name: text}
    if table.name != "products":
        given_tables["products"] = PRODUCTS
    if table.name == "products":
        given_tables["orders"] = orders(GOOD_LINE)
    found = reasons(write_shop(tmp_path / "d", LOOSE, **given_tables))
    assert found == {(table.name, f"{', '.join(table.key)}: duplicate"): (3, 4)}


def test_a_row_is_bad_for_one_reason_the_first(tmp_path: Path) -> None:
    worst = "o1,1,tomorrow,PAYED,c,nobody,-1,1,2,-3.333,brutto"
    folder = write_shop(tmp_path / "d", orders=orders(GOOD_LINE, worst))
    assert reasons(folder) == {("orders", "ordered_at: not a date"): (3,)}
    with open_source(folder, today=TODAY) as source:
        report = check(source)
    assert [(t.name, t.rows, t.bad) for t in report.tables] == [("orders", 2, 1), ("products", 2, 0)]


def test_quarantine_holds_every_bad_row_once_and_good_plus_bad_is_all(tmp_path: Path) -> None:
    bad = [
        f"x{i},1,2025-03-03,paid,secret{i},A,{q},10,8,8,gross" for i, q in enumerate(["0", "x", "nan", "-1"])
    ]
    back = _returns("o1,1,2025-03-05,9,8", "o9,1,2025-03-05,1,8")
    folder = write_shop(tmp_path / "d", LOOSE, orders=orders(GOOD_LINE, *bad), returns=back)
    with open_source(folder, today=TODAY) as source:
        assert write_quarantine(source, tmp_path / "q") is not None
        assert source.engine.count("SELECT count(*) FROM orders") == 1
    rows = (tmp_path / "q" / "orders.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["3", "4", "5", "6"]
    assert "secret" not in "".join(rows)
    assert "customer_id" not in rows[0]
    assert sorted(p.name for p in (tmp_path / "q").iterdir()) == ["orders.csv", "returns.csv", "tarifa.json"]


def test_mixed_currencies_and_bases(tmp_path: Path) -> None:
    rows = ["EUR,gross", "eur,NET", ",gross", "USD,gross", "€,gross", "EUR,", "EUR,incl"]
    text = ORDERS_HEADER.replace("price_basis", "currency,price_basis") + "\n"
    text += "".join(f"o{i},1,2025-03-03,paid,,A,1,10,8,8,{row}\n" for i, row in enumerate(rows))
    assert reasons(write_shop(tmp_path / "d", LOOSE, orders=text)) == {
        ("orders", "currency: not the shop's (EUR)"): (5, 6),
        ("orders", "price_basis: missing"): (7,),
        ("orders", "price_basis: not one of gross, net"): (8,),
    }


@dataclass(frozen=True)
class Line:
    """One order line as text cells, and a second opinion on it."""

    order: str
    status: str
    product: str
    quantity: str
    price: str
    paid: str
    day: str

    def text(self) -> str:
        head = f"{self.order},1,{self.day},{self.status},,{self.product}"
        return f"{head},{self.quantity},,{self.price},{self.paid},gross"

    def good(self) -> bool:
        """Judge the line alone: without a discounts table only more than the shelf price is wrong."""
        try:
            quantity, price, paid = float(self.quantity), float(self.price), float(self.paid)
        except ValueError:
            return False
        if not (
            self.order and np.isfinite([quantity, price, paid]).all() and quantity > 0 < price and paid >= 0
        ):
            return False
        if self.status not in ("paid", "cancelled", "test", "draft") or self.product not in ("A", "B"):
            return False
        try:
            day = dt.date.fromisoformat(self.day)
        except ValueError:
            return False
        too_much = 100 * paid - 100 * price * quantity > max(1.0, quantity) + 1e-6
        return dt.date(1980, 1, 1) <= day < TODAY and not too_much


_WORDS = st.builds(
    Line,
    st.sampled_from(["o1", "o2", "o3", "o4", "o5", "", "o6"]),
    st.sampled_from(["paid", "paid", "paid", "cancelled", "refunded"]),
    st.sampled_from(["A", "A", "B", "X"]),
    st.sampled_from(["1", "2", "2.5", "0", "-1", "two", "NaN", "1e3", "inf"]),
    st.sampled_from(["10", "8.00", "0.01", "0", "-8", "x", "1e-2"]),
    st.sampled_from(["10.00", "8", "16.00", "0", "-1", "x", "0.01"]),
    st.sampled_from(["2025-03-03", "2025-06-30", "2025-07-01", "1970-01-01", "03/03/25", "2025-02-30"]),
)


@settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.lists(_WORDS, min_size=20, max_size=80))
def test_lines_are_judged_as_a_second_opinion_judges_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line]
) -> None:
    seen: Counter[str] = Counter()
    good: list[int] = []
    for number, line in enumerate(lines, start=3):
        # A line whose key was already used is a duplicate. Products and totals are judged after that, so a
        # line that fails only there has used its key: which of the two was meant, nobody can tell.
        alone = line.good()
        takes_key = replace(line, paid="0", product="A").good() and line.paid not in ("x", "-1")
        if alone and not seen[line.order]:
            good.append(number)
        seen[line.order] += takes_key
    folder = tmp_path_factory.mktemp("shop") / "d"
    write_shop(
        folder, LOOSE, orders=orders("keep,1,2025-03-03,paid,,A,1,,8,8,gross", *(n.text() for n in lines))
    )
    with open_source(folder, today=TODAY) as source:
        found = [row[0] for row in source.engine.rows("SELECT _row FROM orders ORDER BY _row")]
        bad = sum(b.count for b in source.bad_rows())
    assert found == [2, *good]
    assert len(found) + bad == 1 + len(lines)
