from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pricing.errors import DataError
from pricing.panel import Panel, Series
from simulators.contract.panel import build_panel
from simulators.contract.price_moves import price_moves
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

NO = np.nan

# Three weeks from Monday 3 March 2025; the last one is covered for two days. A and A2 share the group G.
ORDERS = orders(
    "o1,1,2025-03-03 10:00,paid,,A,2,10,8,16,gross",
    "o2,1,2025-03-09T23:30:00Z,paid,,A,1,10,10,10,gross",
    "o3,1,2025-03-05,paid,,A2,1,8,7.2,7.2,net",
    "o4,1,2025-03-05,cancelled,,B,9,5,5,45,gross",
    "o5,1,2025-03-18,paid,,B,3,1.666667,1.666667,5,gross",
    "o6,1,2025-03-18,paid,,W,1,4.17,4.17,4.17,gross",
    "o7,1,2025-03-18,paid,,K,1,20,20,20,gross",
)
PRODUCTS = (
    "product_id,price_group,category,subcategory,kind,sold_by_weight\n"
    "A,G,shoes,boots,merchandise,\nA2,G,shoes,boots,merchandise,\nB,,hats,,merchandise,no\n"
    "W,,fruit,,merchandise,yes\nK,,cards,,gift_card,\nZ,,hats,,merchandise,\n"
)
PROMOTIONS = (
    "product_id,starts_at,ends_at,kind,share\nA,2025-03-03,2025-03-10,feature,0.5\n"
    "B,2025-03-18,2025-03-30,display,\n"
)
INVENTORY = "product_id,at,on_hand\nA,2025-03-04,0\nA,2025-03-11,5\n"


def _panel(folder: Path, shop: str = SHOP, **tables: str) -> Panel:
    everything = {"orders": ORDERS, "products": PRODUCTS, **tables}
    with open_source(write_shop(folder, shop, **everything), today=TODAY) as source:
        return build_panel(source)


def test_a_panel_by_hand(tmp_path: Path) -> None:
    panel = _panel(tmp_path / "d", promotions=PROMOTIONS, inventory=INVENTORY)
    assert panel.series == Series(
        group=("B", "G"),
        zone=("es", "es"),
        category=("hats", "shoes"),
        subcategory=("", "boots"),
        brand=("", ""),
    )
    assert [str(day) for day in panel.periods] == ["2025-03-03", "2025-03-10", "2025-03-17"]
    np.testing.assert_array_equal(panel.days, [7, 7, 2])
    np.testing.assert_array_equal(panel.units, [[0, 0, 3], [3, 1, 0]])
    # Two lines of G in week one, at 8.00 and 9.00 gross, on shelves whose regular price is 10.00.
    np.testing.assert_allclose(
        panel.offered, [[np.nan, np.nan, 500 / 3], [np.sqrt(800 * 900), 1000, np.nan]], rtol=1e-6
    )
    np.testing.assert_allclose(panel.regular, np.array([[NO, NO, 500 / 3], [1000, 1000, NO]]), rtol=1e-6)
    assert panel.on_sale.tolist() == [[False, False, True], [True, True, False]]
    np.testing.assert_allclose(panel.feature, [[0.0, 0.0, 0.0], [0.25, 0.0, 0.0]])
    np.testing.assert_allclose(panel.display, [[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    # A was gone at the only count of week one, and sold in it all the same.
    np.testing.assert_allclose(panel.in_stock, [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert panel.short is not None
    assert panel.short.tolist() == [[False] * 3, [True, False, False]]
    np.testing.assert_array_equal(panel.traffic, [2, 1, 3])
    assert panel.traffic_is_orders
    assert panel.currency == "EUR"


def test_days_and_other_week_starts(tmp_path: Path) -> None:
    days = _panel(tmp_path / "d", SHOP.replace("[[zones]]", 'grain = "day"\n[[zones]]', 1))
    assert (str(days.periods[0]), len(days.periods), set(days.days.tolist())) == ("2025-03-03", 16, {1})
    sunday = _panel(tmp_path / "e", SHOP.replace("[[zones]]", 'week_start = "sunday"\n[[zones]]', 1))
    assert [str(day) for day in sunday.periods] == ["2025-03-02", "2025-03-09", "2025-03-16"]
    np.testing.assert_array_equal(sunday.days, [6, 7, 3])


def test_posted_prices_fill_periods_without_a_sale(tmp_path: Path) -> None:
    posted = (
        "product_id,valid_from,regular_price,offered_price,price_basis\n"
        "B,2025-03-01,8,8,gross\nB,2025-03-12,8,6,gross\nA,2025-03-17,4,4,net\n"
    )
    panel = _panel(tmp_path / "d", prices=posted)
    # B: 8.00 in week one; in week two 8.00 for two days and 6.00 for five; week three has a sale.
    np.testing.assert_allclose(panel.offered[0], [800, (2 * 800 + 5 * 600) / 7, 500 / 3], rtol=1e-6)
    np.testing.assert_allclose(panel.regular[0], [800, 800, 500 / 3], rtol=1e-6)
    # A stands for its group in week three: 4.00 net is 5.00 gross.
    np.testing.assert_allclose(panel.offered[1], [np.sqrt(800 * 900), 1000, 500], rtol=1e-6)


def test_launch_and_exit_bound_the_sale(tmp_path: Path) -> None:
    products = "product_id,category,kind,launch_at,exit_at\n" + "".join(
        f"{name},x,merchandise,{span}\n"
        for name, span in (
            ("A", "2025-03-10,2025-03-18"),
            ("A2", ","),
            ("B", "2025-03-12,"),
            ("W", ","),
            ("K", ","),
        )
    )
    panel = _panel(tmp_path / "d", products=products)
    on_sale = dict(zip(panel.series.group, panel.on_sale.tolist(), strict=True))
    assert on_sale["A"] == [True, True, True]  # sold in week one, before its launch: the sale is believed
    assert on_sale["B"] == [False, True, True]
    assert on_sale["A2"] == [True, False, False]


def test_visits_replace_orders_and_must_be_complete(tmp_path: Path) -> None:
    visits = "at,value\n2025-03-03,10\n2025-03-04,5\n2025-03-10,7\n"
    with pytest.raises(DataError, match="no visits for the period from 2025-03-17"):
        _panel(tmp_path / "d", traffic=visits)
    panel = _panel(tmp_path / "e", traffic=visits + "2025-03-17,4\n")
    np.testing.assert_array_equal(panel.traffic, [15, 7, 4])
    assert not panel.traffic_is_orders


def test_business_and_third_party_sales_are_not_demand(tmp_path: Path) -> None:
    shop = SHOP.replace("[[zones]]", 'business_price_lists = ["b2b"]\nown_seller_ids = ["us"]\n[[zones]]', 1)
    lines = (
        "order_id,line_id,ordered_at,status,customer_id,product_id,quantity,offered_price,paid,price_basis,"
        "price_list,seller_id\n"
        "o1,1,2025-03-03,paid,c,A,1,8,8,gross,,us\no2,1,2025-03-03,paid,firm,A,2,8,16,gross,,\n"
        "o3,1,2025-03-03,paid,c,A,4,8,32,gross,b2b,\no4,1,2025-03-03,paid,c,A,8,8,64,gross,,them\n"
    )
    customers = "customer_id,group\nc,retail\nfirm,business\n"
    panel = _panel(tmp_path / "d", shop, orders=lines, customers=customers)
    np.testing.assert_array_equal(panel.units, [[1]])


def test_a_weighed_product_with_a_posted_unit_price_is_modelled_in_its_unit(tmp_path: Path) -> None:
    lines = (
        "order_id,line_id,ordered_at,status,product_id,quantity,unit,offered_price,paid,price_basis\n"
        "o1,1,2025-03-03,paid,W,0.435,kg,12.90,5.61,gross\no2,1,2025-03-03,paid,W,1.2,kg,12.90,15.48,gross\n"
        "o3,1,2025-03-03,paid,W,1,,7.77,7.77,gross\n"
    )
    panel = _panel(tmp_path / "d", orders=lines)
    np.testing.assert_allclose(panel.units, [[1.635]])
    np.testing.assert_allclose(panel.offered, [[1290.0]])


def test_without_demand_there_is_no_panel(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No order line is paid retail demand"):
        _panel(tmp_path / "d", orders=orders("o6,1,2025-03-18,paid,,W,1,4.17,4.17,4.17,gross"))


def test_price_moves_by_hand(tmp_path: Path) -> None:
    everything = {"orders": ORDERS, "products": PRODUCTS}
    with open_source(write_shop(tmp_path / "d", **everything), today=TODAY) as source:
        panel = build_panel(source)
        moves = price_moves(source, len(panel.series))
        first = price_moves(source, len(panel.series), start=0, stop=1)
    np.testing.assert_array_equal(moves.selling_periods, [1, 2])
    np.testing.assert_array_equal(moves.levels, [1, 2])
    # Week one: prices 8.00 and 9.00, median 8.50; week two 10.00.
    np.testing.assert_allclose(moves.log_range, [0, np.log(1000 / 850)])
    np.testing.assert_array_equal([moves.first, moves.last], [[2, 0], [2, 1]])
    np.testing.assert_array_equal(first.selling_periods, [0, 1])
    np.testing.assert_array_equal(first.first, [-1, 0])
    assert moves.never.tolist() == [True, False]
    assert not moves.enough.any()
