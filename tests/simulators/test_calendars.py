"""Local calendars: moments on both sides of a change of the clocks, week starts, zones, and yen."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from pricing.panel import Panel
from simulators.contract.engine import open_engine
from simulators.contract.order_lines import period_start
from simulators.contract.panel import build_panel
from simulators.contract.shop_file import parse_shop_file
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

MADRID, NEW_YORK = "Europe/Madrid", "America/New_York"


def _shop(zone: str = MADRID, *settings: str) -> str:
    """The small shop in a time zone, with settings of the top level."""
    moved = SHOP.replace(MADRID, zone)
    return moved.replace("[[zones]]", "\n".join([*settings, "[[zones]]"]), 1)


def _sales(*moments: str) -> str:
    """One order a moment; the i-th sells 2**i units, so a sum tells which moments it holds."""
    return orders(
        *(f"o{i},1,{moment},paid,,A,{2**i},10,10,{10 * 2**i},gross" for i, moment in enumerate(moments))
    )


def _panel(folder: Path, shop: str, **tables: str) -> Panel:
    with open_source(write_shop(folder, shop, **tables), today=TODAY) as source:
        return build_panel(source)


@pytest.mark.parametrize(
    ("zone", "moments"),
    [
        # In Madrid clocks go back on Sunday 27 October 2024 (25 hours, from 22:00Z to 23:00Z) and forward on
        # Sunday 30 March 2025 (23 hours, from 23:00Z to 22:00Z).
        (
            MADRID,
            {
                "2024-10-26": ("2024-10-26T21:59:59Z",),
                "2024-10-27": ("2024-10-26T22:00:00Z", "2024-10-27T22:59:59Z"),
                "2024-10-28": ("2024-10-27T23:00:00Z",),
                "2025-03-29": ("2025-03-29T22:59:59Z",),
                "2025-03-30": ("2025-03-29T23:00:00Z", "2025-03-30T21:59:59Z"),
                "2025-03-31": ("2025-03-30T22:00:00Z",),
            },
        ),
        # In New York back on 3 November 2024 (04:00Z to 05:00Z), forward on 9 March 2025 (05:00Z to 04:00Z).
        (
            NEW_YORK,
            {
                "2024-11-02": ("2024-11-03T03:59:59Z",),
                "2024-11-03": ("2024-11-03T04:00:00Z", "2024-11-04T04:59:59Z"),
                "2024-11-04": ("2024-11-04T05:00:00Z",),
                "2025-03-08": ("2025-03-09T04:59:59Z",),
                "2025-03-09": ("2025-03-09T05:00:00Z", "2025-03-10T03:59:59Z"),
                "2025-03-10": ("2025-03-10T04:00:00Z",),
            },
        ),
    ],
)
def test_days_of_23_and_25_hours_hold_their_own_sales(
    tmp_path: Path, zone: str, moments: dict[str, tuple[str, ...]]
) -> None:
    text = _sales(*(moment for day in moments.values() for moment in day))
    panel = _panel(tmp_path / "d", _shop(zone, 'grain = "day"'), orders=text)
    sold = {str(day): units for day, units in zip(panel.periods, panel.units[0], strict=True) if units}
    assert sold == dict(zip(moments, [1, 2 + 4, 8, 16, 32 + 64, 128], strict=True))
    assert set(panel.days.tolist()) == {1}
    assert set(np.diff(panel.periods).astype(int).tolist()) == {1}


@pytest.mark.parametrize("zone", [MADRID, NEW_YORK])
def test_weeks_around_a_change_of_the_clocks_have_seven_days(tmp_path: Path, zone: str) -> None:
    days = [dt.date(2025, 2, 24) + dt.timedelta(days=i) for i in range(49)]
    text = orders(*(f"o{i},1,{day} 12:00,paid,,A,1,10,10,10,gross" for i, day in enumerate(days)))
    panel = _panel(tmp_path / "d", _shop(zone), orders=text)
    np.testing.assert_array_equal(panel.days, np.full(7, 7))
    np.testing.assert_array_equal(panel.units, np.full((1, 7), 7))
    assert set(np.diff(panel.periods).astype(int)) == {7}


def test_an_offset_beside_the_shops_own_is_a_moment_and_a_naive_time_is_local(tmp_path: Path) -> None:
    # 9 March 23:30 in Madrid is 10 March 07:30 in Tokyo and 9 March 17:30 in New York (already summer time
    # there: -04:00 gives 18:30, -05:00 gives 17:30).
    text = _sales(
        "2025-03-10T07:30:00+09:00",
        "2025-03-09T17:30:00-05:00",
        "2025-03-09T18:30:00-04:00",
        "2025-03-09T23:30:00",
        "2025-03-10T00:00:00",
    )
    panel = _panel(tmp_path / "d", _shop(), orders=text)
    np.testing.assert_array_equal(panel.units, [[15, 16]])


@pytest.mark.parametrize("place", range(7))
def test_a_week_begins_on_the_last_such_weekday(place: int) -> None:
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    shop = parse_shop_file(_shop(MADRID, f'week_start = "{names[place]}"'))
    days = [dt.date(2024, 12, 20) + dt.timedelta(days=i) for i in range(80)]
    listed = ", ".join(f"(DATE '{day}')" for day in days)
    with open_engine() as engine:
        found = engine.rows(f"SELECT {period_start('d', shop)} FROM (VALUES {listed}) AS v (d) ORDER BY d")
    for day, (start,) in zip(days, found, strict=True):
        assert start.weekday() == place
        assert 0 <= (day - start).days < 7


TWO_ZONES = (
    SHOP.replace("[cost_assumption]", '[[zones]]\nid = "pt"\ncountry = "PT"\ntax_rate = 0.5\n'
                 "prices_include_tax = true\n[cost_assumption]")
)  # fmt: skip
ZONED = (
    "order_id,line_id,ordered_at,status,product_id,quantity,offered_price,paid,price_basis,zone\n"
    "o1,1,2025-03-03,paid,A,2,8,16,net,es\no2,1,2025-03-03,paid,A,4,8,32,net,pt\n"
    "o3,1,2025-03-10,paid,A,8,10,80,gross,\no4,1,2025-03-10,paid,B,1,5,5,gross,pt\n"
)


def test_each_zone_has_series_taxes_and_promotions_of_its_own(tmp_path: Path) -> None:
    promotions = "product_id,zone,starts_at,ends_at,kind\nA,pt,2025-03-03,2025-03-10,feature\n"
    prices = (
        "product_id,zone,valid_from,regular_price,offered_price,price_basis\n"
        "A,es,2025-03-01,7,7,net\nA,pt,2025-03-01,6,6,net\n"
    )
    panel = _panel(tmp_path / "d", TWO_ZONES, orders=ZONED, promotions=promotions, prices=prices)
    assert list(zip(panel.series.group, panel.series.zone, strict=True)) == [
        ("A", "es"), ("A", "pt"), ("B", "pt"),
    ]  # fmt: skip
    np.testing.assert_array_equal(panel.units, [[2, 8], [4, 0], [0, 1]])
    # 8.00 net is 10.00 with 25 % tax and 12.00 with 50 %; without a sale the posted 6.00 net is 9.00.
    np.testing.assert_allclose(panel.offered, np.array([[1000, 1000], [1200, 900], [np.nan, 500]]))
    np.testing.assert_array_equal(panel.feature, [[0, 0], [1, 0], [0, 0]])


def test_a_zone_that_the_shop_file_does_not_name_is_a_bad_row(tmp_path: Path) -> None:
    text = ZONED.replace("gross,pt", "gross,fr")
    with open_source(write_shop(tmp_path / "d", TWO_ZONES, orders=text), today=TODAY) as source:
        (bad,) = source.bad_rows()
    assert (bad.table, bad.reason, bad.rows) == ("orders", "zone: not in the shop file", (5,))


def test_a_yen_is_its_own_minor_unit(tmp_path: Path) -> None:
    shop = SHOP.replace("EUR", "JPY").replace("0.25", "0.1")
    text = orders(
        "o1,1,2025-03-03,paid,,A,3,1200,1000,3000,gross",
        "o2,1,2025-03-03,paid,,A,3,333.33,333.33,1000,gross",
        "o3,1,2025-03-03,paid,,A,1,1000,1000,1000.5,gross",
    )
    with open_source(write_shop(tmp_path / "d", shop, orders=text), today=TODAY) as source:
        assert source.engine.rows("SELECT paid FROM orders ORDER BY _row") == [(3000,), (1000,)]
        (bad,) = source.bad_rows()
        panel = build_panel(source)
    assert bad.reason == "paid: more decimals than JPY has"
    assert panel.currency == "JPY"
    np.testing.assert_allclose(panel.offered, [[np.sqrt(1000 * 333.33)]])
    np.testing.assert_allclose(panel.regular, [[np.sqrt(1200 * 333.33)]])
