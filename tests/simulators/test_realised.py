"""Realised net profit by hand: tax, discounts and who paid them, costs by day, fees, returns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from pricing.errors import MissingCost
from simulators.contract.realised import AMOUNTS, Realised, build_realised
from simulators.contract.tables import open_source
from tests.simulators.shops import ORDERS_HEADER, PRODUCTS, SHOP, TODAY, orders, write_shop

FEES = SHOP + "[fees]\nshare = 0.02\nper_unit = 0.10\n[returns]\nexpected_share = 0.2\nwindow_days = 10\n"
COSTS = "product_id,valid_from,unit_cost\nA,2025-03-01,4.00\nA,2025-03-10,5.00\nB,2025-03-20,2.00\n"
LINES = (
    "o1,1,2025-03-03 10:00,paid,c1,A,2,10,10,20,gross",
    "o2,1,2025-03-12 10:00,paid,c1,A,1,10,10,8,gross",
    "o3,1,2025-03-12 11:00,paid,c1,A,2,10,10,20,gross",
    "o4,1,2025-03-31 11:00,paid,c1,B,1,5,5,5,gross",
    "o5,1,2025-03-12 11:00,cancelled,c1,A,9,10,10,90,gross",
)
DISCOUNTS = (
    "order_id,line_id,kind,amount,funded_by\no2,1,coupon,2,maker\no3,,coupon,5,shop\no1,,shipping,3,shop\n"
)
RETURNS = "order_id,line_id,returned_at,quantity,refund,restocked\no3,1,2025-03-14,1,7.50,{back}\n"


def _read(folder: Path, frozen: str = "2025-04-01", shop: str = FEES, **tables: str) -> Realised:
    with open_source(write_shop(folder, shop, **tables), today=TODAY) as source:
        return build_realised(source, dt.date.fromisoformat(frozen))


def _whole(folder: Path, back: str) -> Realised:
    tables = {"orders": orders(*LINES), "costs": COSTS, "discounts": DISCOUNTS}
    return _read(folder, **tables, returns=RETURNS.format(back=back))


def _by_week(found: Realised, group: str) -> dict[str, list[float]]:
    n = found.series.group.index(group)
    return {
        str(found.periods[t]): (amounts / 100.0).tolist()
        for unit, t, amounts in zip(found.unit, found.period, found.amounts, strict=True)
        if unit == n
    }


def test_every_amount_by_hand(tmp_path: Path) -> None:
    """Sales, refunds, costs, fees, returns to come; in o2 the maker paid 2 of 10, in o3 the shop 5 of 20."""
    found = _whole(tmp_path / "d", "true")
    shoes = _by_week(found, "A")
    np.testing.assert_allclose(shoes["2025-03-03"], [16.0, 0.0, 8.0, 0.6, 0.0])
    # o2: 10 / 1.25 = 8, cost 5, fees 0.2 + 0.1. o3: 15 / 1.25 = 12, 7.5 / 1.25 back, one cost, half the fees.
    np.testing.assert_allclose(shoes["2025-03-10"], [20.0, 6.0, 10.0, 0.3 + 0.25, 0.0])
    # One day old; of hats nothing is known, so a fifth is expected back: 0.2 x (4 - 2 - 0.2).
    np.testing.assert_allclose(_by_week(found, "B")["2025-03-31"], [4.0, 0.0, 2.0, 0.2, 0.36])
    assert found.until == "2025-04-01"
    assert found.months == ("2025-03",)
    assert found.profit.sum() == pytest.approx(found.net.sum()) == pytest.approx(100 * (7.4 + 3.45 + 1.44))


def test_goods_that_cannot_be_sold_again_cost_what_they_cost(tmp_path: Path) -> None:
    shoes = _by_week(_whole(tmp_path / "d", "false"), "A")
    np.testing.assert_allclose(shoes["2025-03-10"], [20.0, 6.0, 15.0, 0.55, 0.0])


def test_returns_to_come_fade_with_age(tmp_path: Path) -> None:
    """Half of 20 old units came back, 5 after two days and 5 after six."""
    lines = [f"o{i},1,2025-03-03,paid,,A,1,10,10,10,gross" for i in range(20)]
    back = [f"o{i},1,2025-03-{5 if i < 5 else '09'},1,10" for i in range(10)]
    young = "y,1,2025-03-28,paid,,A,1,10,10,10,gross"
    last = "z,1,2025-03-31,paid,,A,1,10,10,10,gross"
    found = _read(
        tmp_path / "d",
        orders=orders(*lines, young, last),
        returns="order_id,line_id,returned_at,quantity,refund\n" + "\n".join(back) + "\n",
        costs="product_id,valid_from,unit_cost\nA,2025-03-01,4\nB,2025-03-01,4\n",
        shop=SHOP + "[returns]\nwindow_days = 10\n",
    )
    weeks = _by_week(found, "A")
    left = 0.5 * 0.5 / (1.0 - 0.5 * 0.5)
    assert weeks["2025-03-24"][4] == pytest.approx(left * 4.0)  # 4 days: half of the returns have come
    assert weeks["2025-03-31"][4] == pytest.approx(0.5 * 4.0)  # 1 day: none has
    assert weeks["2025-03-03"] == pytest.approx([160.0, 80.0, 40.0, 0.0, 0.0])


def test_an_assumed_cost_does_not_follow_the_price_of_the_trial(tmp_path: Path) -> None:
    """60 % of 8 net, before and after the price rises: else half of the gain would be called cost."""
    lines = orders(
        "o1,1,2025-03-03,paid,,A,1,10,10,10,gross",
        "o2,1,2025-03-10,paid,,A,1,10,9,9,gross",
        "o3,1,2025-03-17,paid,,A,1,20,20,20,gross",
    )
    found = _read(tmp_path / "d", "2025-03-17", SHOP, orders=lines)
    assert found.assumed.tolist() == [True]
    assert [week[2] for week in _by_week(found, "A").values()] == pytest.approx([4.8, 4.8, 4.8])


def test_without_any_cost_nothing_is_invented(tmp_path: Path) -> None:
    shop = SHOP.replace("[cost_assumption]\ndefault = 0.6\n", "")
    with pytest.raises(MissingCost, match="A has no cost"):
        _read(tmp_path / "d", "2025-03-17", shop)


def test_net_bases_groups_zones_and_what_is_set_apart(tmp_path: Path) -> None:
    """A group of two variants; a net price of 8 is a gross one of 10; fees are shares of gross prices."""
    two = '[[zones]]\nid = "fr"\ncountry = "FR"\ntax_rate = 0.5\nprices_include_tax = true\n'
    shop = FEES.replace("[cost_assumption]", two + "[cost_assumption]")
    header = ORDERS_HEADER + ",zone\n"
    lines = "o1,1,2025-03-03,paid,,A,1,8,8,8,net,es\no2,1,2025-03-03,paid,,B,1,12,12,12,gross,fr\n"
    lines += "o3,1,2025-03-03,paid,,C,1,10,10,10,gross,es\no4,1,2025-03-03,paid,,G,1,10,10,10,gross,es\n"
    products = "product_id,category,kind,price_group,parent_id\nA,shoes,merchandise,S,P\n"
    products += "B,hats,merchandise,,\nC,shoes,merchandise,S,P\nG,gift,gift_card,,\n"
    costs = "product_id,valid_from,unit_cost\nA,2025-01-01,4\nB,2025-01-01,2\nC,2025-01-01,6\n"
    found = _read(tmp_path / "d", shop=shop, orders=header + lines, products=products, costs=costs)
    assert list(zip(found.series.group, found.series.zone, strict=True)) == [("B", "fr"), ("S", "es")]
    assert found.parent == ("", "P")
    hats, style = _by_week(found, "B")["2025-03-03"], _by_week(found, "S")["2025-03-03"]
    np.testing.assert_allclose(hats[:4], [8.0, 0.0, 2.0, 0.34])
    np.testing.assert_allclose(style[:4], [16.0, 0.0, 10.0, 0.6])
    assert len(AMOUNTS) == found.amounts.shape[1]


def test_the_order_of_rows_changes_no_bit(tmp_path: Path) -> None:
    tables = {
        "costs": COSTS,
        "discounts": DISCOUNTS,
        "returns": RETURNS.format(back="true"),
        "products": PRODUCTS,
    }
    one = _read(tmp_path / "a", orders=orders(*LINES), **tables)
    other = _read(tmp_path / "b", orders=orders(*reversed(LINES)), **tables)
    assert one.amounts.tobytes() == other.amounts.tobytes()
