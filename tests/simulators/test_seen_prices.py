"""Prices that orders and posted prices show, by hand; the shop is in Madrid, tax 25 %."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pricing.errors import SettingsError
from simulators.contract.seen_prices import SHOWN_BY, seen_prices
from simulators.contract.tables import open_source
from tests.simulators.shops import PRODUCTS, SHOP, TODAY, orders, write_shop

_NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
_MADRID = ZoneInfo("Europe/Madrid")
_POSTED = "product_id,channel,price_list,valid_from,valid_to,regular_price,offered_price,price_basis\n"


def _line(number: int, at: str, product: str, regular: str, offered: str, **other: str) -> str:
    said = {"status": "paid", "basis": "gross"} | other
    return (
        f"o{number},1,{at},{said['status']},,{product},1,{regular},{offered},{offered or 1},{said['basis']}"
    )


def _found(folder: Path, shop: str = SHOP, **tables: str) -> list[tuple[str, str, int, int, bool]]:
    with open_source(write_shop(folder / "d", shop, **tables), today=TODAY, only=SHOWN_BY) as source:
        found = seen_prices(source, _NOW)
    start = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(microseconds=one.at) for one in found]
    return [
        (one.product_id, f"{at.astimezone(_MADRID):%m-%d %H:%M}", one.regular, one.offered, one.again)
        for one, at in zip(found, moments, strict=True)
    ]


def test_a_price_is_told_when_it_changes_and_where_it_was_seen_last(tmp_path: Path) -> None:
    told = orders(
        _line(1, "2025-03-03 10:00", "A", "10.00", "8.00"),
        _line(2, "2025-03-04 10:00", "A", "10.00", "8.00"),
        _line(3, "2025-03-05 10:00", "A", "10.00", "10.00"),
        _line(4, "2025-03-05 10:00", "A", "10.00", "9.00"),  # the same instant: the lowest
        _line(5, "2025-04-01 10:00", "A", "10.00", "9.00"),
        _line(6, "2025-04-02 10:00", "B", "", "4.00", basis="net"),
        _line(7, "2025-04-03 10:00", "B", "1.00", "1.00", status="cancelled"),
        _line(8, "2025-04-04 10:00", "B", "5.00", ""),
    )
    assert _found(tmp_path, orders=told) == [
        ("A", "03-03 10:00", 1000, 800, False),
        ("A", "03-05 10:00", 1000, 900, False),
        ("A", "04-01 10:00", 1000, 900, True),
        ("B", "04-02 10:00", 500, 500, False),
    ]


def test_posted_prices_and_orders_are_one_stream(tmp_path: Path) -> None:
    shop = SHOP.replace('currency = "EUR"', 'currency = "EUR"\nbusiness_price_lists = ["trade"]')
    posted = _POSTED + "".join(
        f"{row}\n"
        for row in (
            "A,,,2025-03-01,,10.00,10.00,gross",
            "A,,,2025-05-01,2025-05-10,10.00,7.00,gross",
            "A,,trade,2025-03-02,,1.00,1.00,gross",
            "A,,,2025-08-01,,1.00,1.00,gross",
        )
    )
    told = orders(_line(1, "2025-04-01 10:00", "A", "9.00", "9.00"))
    assert _found(tmp_path, shop, orders=told, prices=posted) == [
        ("A", "03-01 00:00", 1000, 1000, False),
        ("A", "04-01 10:00", 900, 900, False),
        ("A", "05-01 00:00", 1000, 700, False),
        ("A", "05-10 00:00", 0, 0, False),
    ]


def test_shelves_without_tax_and_what_is_no_merchandise(tmp_path: Path) -> None:
    shop = SHOP.replace("prices_include_tax = true", "prices_include_tax = false")
    told = orders(
        _line(1, "2025-03-03 10:00", "A", "10.00", "10.00"),
        _line(2, "2025-03-03 10:00", "V", "50.00", "50.00"),
    )
    products = PRODUCTS + "V,cards,gift_card\n"
    assert _found(tmp_path, shop, orders=told, products=products) == [("A", "03-03 10:00", 800, 800, False)]


def test_zones_of_two_bases_have_no_one_history(tmp_path: Path) -> None:
    other = '[[zones]]\nid = "us"\ncountry = "US"\ntax_rate = 0.0\nprices_include_tax = false\n'
    with pytest.raises(SettingsError, match="include tax"):
        _found(tmp_path, SHOP.replace("[cost_assumption]", other + "[cost_assumption]"))
