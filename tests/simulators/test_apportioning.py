"""Discounts of whole orders: which lines take them, how much each, and that no cent is lost."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pricing.money import apportion
from simulators.contract.apportioning import TURNS, define_order_discounts
from simulators.contract.engine import open_engine
from simulators.contract.order_lines import define_order_lines
from simulators.contract.reconciliation import MonthReconciled, reconcile
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, write_shop

HEADER = "order_id,line_id,ordered_at,status,product_id,quantity,offered_price,paid,price_basis,seller_id\n"
PRODUCTS = (
    "product_id,category,kind\nA,shoes,merchandise\nB,hats,merchandise\nS,fitting,service\n"
    "G,cards,gift_card\nF,bags,fee\n"
)
OFF = "order_id,line_id,kind,amount,funded_by\n"


def _line(order: str, line: int, product: str, paid: str, status: str = "paid", seller: str = "") -> str:
    return f"{order},{line},2025-03-03,{status},{product},1,{paid},{paid},gross,{seller}\n"


def _parts(
    folder: Path, lines: list[str], discounts: str, returns: str = ""
) -> tuple[dict[str, int], tuple[MonthReconciled, ...]]:
    """Return each line's part, and the months."""
    tables = {"orders": HEADER + "".join(lines), "discounts": OFF + discounts, "products": PRODUCTS}
    if returns:
        tables["returns"] = "order_id,line_id,returned_at,quantity,refund\n" + returns
    with open_source(write_shop(folder, SHOP, **tables), today=TODAY) as source:
        assert source.bad_rows() == ()
        define_order_lines(source)
        months = reconcile(source)
        rows = source.engine.rows(
            "SELECT order_id || '/' || line_id, d.amount FROM order_discounts AS d JOIN orders USING (_row)"
        )
    return {str(line): int(amount) for line, amount in rows}, months


def test_it_goes_to_lines_by_what_was_paid_for_them(tmp_path: Path) -> None:
    lines = [_line("o1", i, "A", "10") for i in (1, 2, 3)] + [_line("o2", 1, "A", "10")]
    # 0.60 + 0.40 over three equal lines; the earlier line takes the odd cent. Shipping touches none.
    off = "o1,,order,0.60,shop\no1,,loyalty,0.40,maker\no2,,shipping,4,shop\n"
    found, _ = _parts(tmp_path / "d", lines, off)
    assert found == {"o1/1": 34, "o1/2": 33, "o1/3": 33}


def test_the_earlier_line_is_the_same_one_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    lines = [_line("o1", i, "A", "10") for i in (10, 2, 1)]
    for place, rows in enumerate((lines, lines[::-1])):
        found, _ = _parts(tmp_path / str(place), rows, "o1,,order,1.01,shop\n")
        assert found == {"o1/1": 34, "o1/2": 34, "o1/10": 33}


def test_a_line_paid_with_nothing_takes_nothing(tmp_path: Path) -> None:
    lines = [_line("o1", 1, "A", "10").replace("10,gross", "0,gross"), _line("o1", 2, "B", "10")]
    found, _ = _parts(tmp_path / "d", lines, "o1,1,coupon,10,shop\no1,,order,3.33,shop\n")
    assert found == {"o1/1": 0, "o1/2": 333}


def test_a_discount_of_a_line_stays_with_the_line(tmp_path: Path) -> None:
    lines = [
        "o1,1,2025-03-03,paid,A,1,10,8,gross,\n",
        "o1,2,2025-03-03,paid,B,1,12,12,gross,\n",
    ]
    found, _ = _parts(tmp_path / "d", lines, "o1,1,coupon,2.00,shop\n")
    assert found == {}
    # 2.00 more for the order: 8 and 12 paid, so 0.80 and 1.20.
    found, _ = _parts(tmp_path / "e", lines, "o1,1,coupon,2.00,shop\no1,,order,2.00,shop\n")
    assert found == {"o1/1": 80, "o1/2": 120}


def test_a_cancelled_line_takes_nothing_of_what_was_taken_off_the_sold_ones(tmp_path: Path) -> None:
    lines = [
        _line("o1", 1, "A", "10"),
        _line("o1", 2, "B", "20", "cancelled"),
        _line("o1", 3, "B", "30"),
    ]
    found, (march,) = _parts(tmp_path / "d", lines, "o1,,order,4,shop\n")
    # 10 and 30 were sold: a quarter and three quarters of 4.00. Tax is a fifth of 36.00.
    assert found == {"o1/1": 100, "o1/2": 0, "o1/3": 300}
    amounts = (march.gross, march.discounts, march.tax, march.net, march.discounts_apart)
    assert amounts == (4000, 400, 720, 2880, 0)


def test_gift_cards_and_fees_take_only_what_goods_and_services_cannot(tmp_path: Path) -> None:
    lines = [
        _line("o1", 1, "A", "6"),
        _line("o1", 2, "S", "2"),
        _line("o1", 3, "G", "50"),
        _line("o1", 4, "F", "10"),
    ]
    found, (march,) = _parts(tmp_path / "d", lines, "o1,,coupon,4,shop\n")
    assert found == {"o1/1": 300, "o1/2": 100, "o1/3": 0, "o1/4": 0}
    # 20.00 off: 8.00 makes the goods free; of the other 12.00 five sixths are the card's.
    found, (march,) = _parts(tmp_path / "e", lines, "o1,,coupon,20,shop\n")
    assert found == {"o1/1": 600, "o1/2": 200, "o1/3": 1000, "o1/4": 200}
    assert (march.gross, march.discounts, march.tax, march.net) == (6800, 2000, 960, 3840)


def test_what_falls_on_lines_that_the_shop_did_not_sell_is_counted_apart(tmp_path: Path) -> None:
    lines = [
        _line("gone", 1, "A", "10", "cancelled"),
        _line("gone", 2, "B", "20", "draft"),
        _line("theirs", 1, "A", "40", seller="them"),
        _line("both", 1, "A", "5"),
        _line("both", 2, "B", "15", seller="them"),
        _line("most", 1, "A", "5"),
        _line("most", 2, "B", "15", "cancelled"),
    ]
    off = "gone,,order,3,shop\ntheirs,,order,4,shop\nboth,,order,2,shop\nmost,,order,8,shop\n"
    found, (march,) = _parts(tmp_path / "d", lines, off)
    assert found == {
        "gone/1": 100, "gone/2": 200,  # nothing was sold: no money moved, yet no amount is lost
        "theirs/1": 400,
        "both/1": 200, "both/2": 0,  # the shop's discount is on the shop's own line
        "most/1": 500, "most/2": 300,  # more than what was sold cost: the rest was the cancelled line's
    }  # fmt: skip
    # Sold by the shop: 5 and 5, less 2 and 5. Apart: 3 + 4 + 3. Together the 17.00 of the discounts table.
    assert (march.gross, march.discounts, march.net, march.discounts_apart) == (1000, 700, 240, 1000)


def test_a_month_of_nothing_but_cancelled_orders_still_shows_their_discounts(tmp_path: Path) -> None:
    lines = [
        _line("o1", 1, "A", "10"),
        _line("o2", 1, "A", "10", "cancelled").replace("2025-03", "2025-05"),
    ]
    _, (march, may) = _parts(tmp_path / "d", lines, "o2,,order,1.50,shop\n")
    assert (march.month, march.discounts_apart) == ("2025-03", 0)
    assert (may.month, may.gross, may.discounts, may.net, may.discounts_apart) == ("2025-05", 0, 0, 0, 150)


def test_a_return_that_comes_later_changes_no_part(tmp_path: Path) -> None:
    lines = [_line("o1", 1, "A", "10"), _line("o1", 2, "B", "30")]
    before, _ = _parts(tmp_path / "d", lines, "o1,,order,4,shop\n")
    after, (march, april) = _parts(tmp_path / "e", lines, "o1,,order,4,shop\n", "o1,2,2025-04-01,1,27\n")
    assert before == after == {"o1/1": 100, "o1/2": 300}
    assert (march.discounts, march.returns, april.discounts, april.returns) == (400, 0, 0, 2700)


@dataclass(frozen=True)
class Line:
    """One generated line; `turn` is the place in TURNS that its status, seller and kind must give it."""

    line: int
    paid: int
    turn: int

    def sql(self, row: int, order: str) -> str:
        status = "'cancelled'" if self.turn == 3 else "'paid'"
        apart = {1: "'gift_card'", 2: "'third_party'", 3: "'cancelled'"}.get(self.turn, "NULL")
        product = "'G'" if self.turn == 1 else "'A'"
        return f"({row}, '{order}', '{self.line}', {product}, {self.paid}, {status}, {apart})"


@st.composite
def an_order(draw: st.DrawFn) -> tuple[list[Line], int]:
    """Return lines and a discount of at most what they cost."""
    numbers = draw(st.lists(st.integers(1, 30), min_size=1, max_size=7, unique=True))
    paid, turn = st.integers(0, 10_000), st.integers(0, len(TURNS) - 1)
    lines = [Line(number, draw(paid), draw(turn)) for number in numbers]
    return lines, draw(st.integers(0, sum(line.paid for line in lines)))


def _in_sql(orders: list[tuple[list[Line], int]], shuffle: list[int]) -> dict[tuple[int, int], int]:
    flat = [(o, line) for o, (lines, _) in enumerate(orders) for line in lines]
    values = ", ".join(flat[i][1].sql(row, f"o{flat[i][0]}") for row, i in enumerate(shuffle))
    off = ", ".join(f"('o{o}', NULL, 'order', {amount})" for o, (_, amount) in enumerate(orders))
    names = "_row, order_id, line_id, product_id, paid, status, apart"
    with open_engine() as engine:
        engine.run(f"CREATE TABLE order_lines AS SELECT * FROM (VALUES {values}) AS v ({names})")
        engine.run("CREATE TABLE products AS SELECT * FROM (VALUES ('A', 'merchandise'), ('G', 'gift_card')) "
                   "AS v (product_id, kind)")  # fmt: skip
        engine.run(f"CREATE TABLE discounts AS SELECT a AS order_id, b::VARCHAR AS line_id, c AS kind, "
                   f"d::BIGINT AS amount FROM (VALUES {off}) AS v (a, b, c, d)")  # fmt: skip
        define_order_discounts(engine)
        rows = engine.rows("SELECT order_id, line_id, d.amount FROM order_discounts AS d "
                           "JOIN order_lines USING (_row)")  # fmt: skip
    return {(int(order[1:]), int(line)): int(amount) for order, line, amount in rows}


def _by_hand(lines: list[Line], amount: int) -> dict[int, int]:
    parts: dict[int, int] = {}
    for turn in range(len(TURNS)):
        mine = sorted((line for line in lines if line.turn == turn), key=lambda line: line.line)
        total = sum(line.paid for line in mine)
        share = min(amount, total)
        if total:
            split = apportion(share, np.array([line.paid for line in mine], dtype=np.int64))
            parts |= dict(zip((line.line for line in mine), split.tolist(), strict=True))
        amount -= share
    return parts


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(an_order(), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_parts_add_up_whatever_the_order_of_the_rows(
    orders: list[tuple[list[Line], int]], chance: random.Random
) -> None:
    count = sum(len(lines) for lines, _ in orders)
    shuffle = list(range(count))
    straight = _in_sql(orders, shuffle)
    chance.shuffle(shuffle)
    assert _in_sql(orders, shuffle) == straight
    for o, (lines, amount) in enumerate(orders):
        found = {line: part for (order, line), part in straight.items() if order == o}
        assert sum(found.values()) == amount
        assert found == _by_hand(lines, amount)
        assert all(0 <= found.get(line.line, 0) <= line.paid for line in lines)
