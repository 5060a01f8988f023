from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pricing.schema import TABLES
from simulators.contract.checking import CheckReport, Gap, check, check_and_look
from simulators.contract.panel import build_panel
from simulators.contract.price_moves import price_moves
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

# Prices hold 25 % tax. March: 2 x 8.00 shelf, 16.00 paid, of which an order discount takes 1.00, and a hat
# at 10.00 of which a coupon takes 2.00. April: one shoe for 10.00 comes back for 8.00.
ORDERS = orders(
    "o1,1,2025-03-03,paid,,A,2,10,8,16,gross",
    "o1,2,2025-03-03,paid,,B,1,10,10,8,gross",
    "o2,1,2025-04-01,paid,,A,1,8,8,8,net",
    "o3,1,2025-04-01,cancelled,,A,1,10,10,10,gross",
    "o4,1,2025-04-10,test,,A,1,10,10,10,gross",
    "o5,1,2025-04-01,paid,,G,1,50,50,50,gross",
)
PRODUCTS = "product_id,category,kind\nA,shoes,merchandise\nB,hats,merchandise\nG,cards,gift_card\n"
DISCOUNTS = """order_id,line_id,kind,amount,funded_by
o1,2,coupon,2.00,maker
o1,,order,1.00,shop
o1,,shipping,4.95,shop
"""
RETURNS = "order_id,line_id,returned_at,quantity,refund\no2,1,2025-04-20,1,6.40\n"


def _report(folder: Path, shop: str = SHOP, **more: str) -> CheckReport:
    tables = {"orders": ORDERS, "products": PRODUCTS, "discounts": DISCOUNTS, "returns": RETURNS, **more}
    with open_source(write_shop(folder, shop, **tables), today=TODAY) as source:
        return check(source)


def test_months_are_reconciled_by_hand(tmp_path: Path) -> None:
    shop = (
        SHOP
        + """
[[totals]]
month = "2025-03"
gross = 26.00
discounts = 3.10
[[totals]]
month = "2025-05"
net = 1.00
"""
    )
    march, april, may = _report(tmp_path / "d", shop).months
    # March: 16 + 10 = 26.00; discounts 2.00 + 1.00; tax is a fifth of 23.00.
    assert (march.gross, march.discounts, march.returns, march.tax, march.net) == (2600, 300, 0, 460, 1840)
    assert march.differing == ("discounts",)
    # April: 8.00 net is 10.00, the gift card 50.00; 6.40 net comes back, which is 8.00; tax a fifth of 52.00.
    assert (april.gross, april.discounts, april.returns, april.tax, april.net) == (6000, 0, 800, 1040, 4160)
    assert april.typed is None
    assert (may.month, may.net, may.differing) == ("2025-05", 0, ("net",))


def test_what_a_check_looked_at_is_what_the_panel_says_afterwards(tmp_path: Path) -> None:
    tables = {"orders": ORDERS, "products": PRODUCTS}
    with open_source(write_shop(tmp_path / "d", SHOP, **tables), today=TODAY) as source:
        report, looked = check_and_look(source)
        assert looked is not None
        assert report == check(source)
        panel = build_panel(source)
        assert looked.panel.series == panel.series
        for name in ("units", "offered", "regular", "traffic"):
            np.testing.assert_array_equal(getattr(looked.panel, name), getattr(panel, name))
        moves = price_moves(source, len(looked.panel.series))
        assert (looked.moves.levels == moves.levels).all()
        assert (looked.moves.log_range == moves.log_range).all()


def test_the_report_counts_what_is_set_apart_and_what_is_missing(tmp_path: Path) -> None:
    report = _report(tmp_path / "d")
    assert [(apart.reason, apart.lines, apart.paid) for apart in report.set_apart] == [
        ("cancelled", 1, 1000),
        ("test", 1, 1000),
        ("gift_card", 1, 5000),
    ]
    assert (report.first_day, report.until) == ("2025-03-03", "2025-04-02")
    assert report.gaps == (Gap("2025-03-04", 28),)
    assert report.gap_days == 28
    assert report.prices is not None
    # A was sold at 8.00 and at 8.00 net, which is 10.00: two prices; B at one.
    assert (report.prices.series, report.prices.enough, report.prices.too_few, report.prices.none) == (
        2,
        0,
        1,
        1,
    )
    assert report.costs_assumed == 1.0
    assert report.too_many == ""
    report.require()
    locked = {unlock.table for unlock in report.unlocks if not unlock.present}
    assert locked == {table.name for table in TABLES} - {"orders", "products", "discounts", "returns"}
    assert json.loads(json.dumps(report.to_json()))["currency"] == "EUR"


def test_recorded_costs_are_no_assumption(tmp_path: Path) -> None:
    costs = "product_id,valid_from,unit_cost\nA,2025-01-01,4\n"
    assert _report(tmp_path / "d", costs=costs).costs_assumed == 0.5
    without = SHOP[: SHOP.index("[cost_assumption]")]
    assert _report(tmp_path / "e", without, costs=costs).costs_assumed is None
