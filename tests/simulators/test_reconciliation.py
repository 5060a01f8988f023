"""Months beside the shop's books and what each table unlocks, with numbers by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pricing.schema import TABLES
from simulators.contract.order_lines import define_order_lines
from simulators.contract.reconciliation import MonthReconciled, reconcile
from simulators.contract.tables import open_source
from simulators.contract.unlocks import unlocks
from tests.simulators.shops import PRODUCTS, SHOP, TODAY, orders, write_shop

SALE = "o1,1,2025-03-03,paid,,A,1,10,10,10,gross"
RETURN_HEADER = "order_id,line_id,returned_at,quantity,refund\n"


def _months(folder: Path, shop: str = SHOP, **tables: str) -> tuple[MonthReconciled, ...]:
    with open_source(write_shop(folder, shop, **tables), today=TODAY) as source:
        define_order_lines(source)
        return reconcile(source)


def _numbers(month: MonthReconciled) -> tuple[str, int, int, int, int, int]:
    return month.month, month.gross, month.discounts, month.returns, month.tax, month.net


def test_a_month_ends_at_local_midnight(tmp_path: Path) -> None:
    # 31 March 22:00Z is 1 April in Madrid (summer time); 28 February 23:00Z is 1 March (winter time).
    text = orders(
        "o1,1,2025-02-28T22:59:59Z,paid,,A,1,1,1,1,gross",
        "o2,1,2025-02-28T23:00:00Z,paid,,A,1,2,2,2,gross",
        "o3,1,2025-03-31T21:59:59Z,paid,,A,1,4,4,4,gross",
        "o4,1,2025-03-31T22:00:00Z,paid,,A,1,8,8,8,gross",
    )
    found = [(month.month, month.gross) for month in _months(tmp_path / "d", orders=text)]
    assert found == [("2025-02", 100), ("2025-03", 600), ("2025-04", 800)]


def test_money_paid_back_counts_in_the_month_of_the_return(tmp_path: Path) -> None:
    back = RETURN_HEADER + "o1,1,2025-05-02,1,7.50\n"
    march, may = _months(tmp_path / "d", orders=orders(SALE), returns=back)
    assert _numbers(march) == ("2025-03", 1000, 0, 0, 200, 800)
    # A month of nothing but a return: 7.50 holds 1.50 of tax, which comes back too.
    assert _numbers(may) == ("2025-05", 0, 0, 750, -150, -600)


def test_net_rows_are_counted_with_the_tax_of_their_zone(tmp_path: Path) -> None:
    shop = SHOP.replace(
        "[cost_assumption]",
        '[[zones]]\nid = "pt"\ncountry = "PT"\ntax_rate = 0.5\nprices_include_tax = true\n[cost_assumption]',
    )
    text = (
        "order_id,line_id,ordered_at,status,product_id,quantity,offered_price,paid,price_basis,zone\n"
        "o1,1,2025-03-03,paid,A,1,8,6,net,es\no2,1,2025-03-03,paid,A,2,8,16,net,pt\n"
    )
    (march,) = _months(tmp_path / "d", shop, orders=text)
    # es: 10.00 shelf, 7.50 paid, tax 1.50; pt: 24.00 shelf and paid, tax 8.00.
    assert _numbers(march) == ("2025-03", 3400, 250, 0, 950, 2200)


def test_sales_of_third_parties_are_not_the_shops_and_business_sales_are(tmp_path: Path) -> None:
    shop = SHOP.replace("[[zones]]", 'business_price_lists = ["b2b"]\nown_seller_ids = ["us"]\n[[zones]]', 1)
    text = (
        "order_id,line_id,ordered_at,status,product_id,quantity,offered_price,paid,price_basis,price_list,"
        "seller_id\no1,1,2025-03-03,paid,A,1,10,10,gross,,us\no2,1,2025-03-03,paid,A,1,20,20,gross,b2b,\n"
        "o3,1,2025-03-03,paid,A,1,40,40,gross,,them\n"
    )
    back = RETURN_HEADER + "o3,1,2025-03-05,1,40\no2,1,2025-03-05,1,5\n"
    (march,) = _months(tmp_path / "d", shop, orders=text, returns=back)
    assert _numbers(march) == ("2025-03", 3000, 0, 500, 500, 2000)


@pytest.mark.parametrize(
    ("said", "differs"),
    [
        ("gross = 10.00", ()),
        ("gross = 10.05", ()),
        ("gross = 10.20", ("gross",)),
        ("gross = 9.80", ("gross",)),
    ],
)
def test_the_tolerance_is_a_share_of_what_the_books_say(
    tmp_path: Path, said: str, differs: tuple[str, ...]
) -> None:
    shop = SHOP.replace("[[zones]]", "reconciliation_tolerance = 0.01\n[[zones]]", 1)
    shop += f'[[totals]]\nmonth = "2025-03"\n{said}\n'
    (march,) = _months(tmp_path / "d", shop, orders=orders(SALE))
    assert march.differing == differs


def test_every_amount_of_the_books_is_compared(tmp_path: Path) -> None:
    shop = SHOP + (
        '[[totals]]\nmonth = "2025-03"\ngross = 10.00\ndiscounts = 1.00\nreturns = 1.00\ntax = 1.00\n'
        "net = 1.00\n"
    )
    (march,) = _months(tmp_path / "d", shop, orders=orders(SALE))
    assert march.differing == ("discounts", "returns", "tax", "net")


def test_what_is_left_of_the_shelf_price_is_what_was_paid(tmp_path: Path) -> None:
    """Gross less discounts is what customers paid, in any order of the rows."""
    rng = np.random.default_rng(3)
    lines: list[str] = []
    paid_quarters = dict.fromkeys(range(1, 7), 0)
    for i in range(240):
        month, quantity, price = 1 + i % 6, int(rng.integers(1, 9)), int(rng.integers(1, 5000))
        paid = quantity * price * int(rng.integers(10, 101)) // 100
        net = bool(rng.random() < 0.5)
        paid_quarters[month] += paid * (5 if net else 4)  # 25 % tax: net times 5/4
        lines.append(
            f"o{i},1,2025-0{month}-{1 + i % 28:02d},paid,,A,{quantity},{price / 100:.2f},{price / 100:.2f},"
            f"{paid / 100:.2f},{'net' if net else 'gross'}"
        )
    months = _months(tmp_path / "d", orders=orders(*lines))
    assert [one.month for one in months] == [f"2025-0{number}" for number in paid_quarters]
    for one, quarters in zip(months, paid_quarters.values(), strict=True):
        assert one.gross - one.discounts == pytest.approx(quarters / 4, abs=1)
        assert one.tax == pytest.approx(quarters / 20, abs=1)
        assert one.net == one.gross - one.discounts - one.returns - one.tax
    again = _months(tmp_path / "e", orders=orders(*lines[::-1]))
    assert list(map(_numbers, again)) == list(map(_numbers, months))


def test_a_table_that_is_there_is_unlocked_and_no_other(tmp_path: Path) -> None:
    costs = "product_id,valid_from,unit_cost\nA,2025-01-01,4\n"
    with open_source(write_shop(tmp_path / "d", costs=costs, products=PRODUCTS), today=TODAY) as source:
        found = unlocks(source)
    assert [one.table for one in found] == [table.name for table in TABLES]
    assert {one.table for one in found if one.present} == {"orders", "products", "costs"}
    assert [one.unlocks for one in found] == [table.unlocks for table in TABLES]
