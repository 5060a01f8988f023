from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from pricing.archive import pack
from pricing.coupon_book import CouponBook
from pricing.coupons import Scope
from pricing.errors import ArtifactError, DataError, UsageError
from simulators.contract.coupon_book import BOOK_TABLES, ReadBook, read_coupon_book
from simulators.contract.tables import open_source
from tests.simulators import shops

PRODUCTS = (
    "product_id,category,kind,fixed_price\nA,shoes,merchandise,\nB,hats,merchandise,\n"
    "C,books,merchandise,20.00\nG,cards,gift_card,\n"
)
COSTS = "product_id,valid_from,unit_cost\nA,2025-01-01,3.00\nA,2025-06-01,4.00\nA,2025-07-02,9.00\n"
CAMPAIGNS = "campaign_id,kind,starts_at,ends_at,budget\nspring,mail,2025-03-30,2025-10-01,100.00\n"
COUPONS = (
    "coupon_id,campaign_id,scope,amount,percent,max_discount,min_spend,stacking,limit_total,"
    "limit_per_customer,valid_from,valid_to\n"
    "off,spring,order,5.00,,,30.00,true,100,1,2025-03-01,2026-01-01\n"
    "ten,,line,,0.10,9.00,,,,,2025-03-01,2026-01-01\n"
    "old,,order,1.00,,,,,,,2025-03-01,2025-05-01\n"
    "empty,,order,,,,,,,,2025-03-01,2026-01-01\n"
)
COVERED = "campaign_id,coupon_id,product_id,category\nspring,ten,A,\nspring,ten,,hats\n"
LINES = (shops.GOOD_LINE, "o2,1,2025-03-04 10:00,paid,c1,B,1,12.50,12.50,12.50,gross")


def _read(folder: Path, **tables: str | None) -> ReadBook:
    given = {
        "orders": shops.orders(*LINES), "products": PRODUCTS, "costs": COSTS, "campaigns": CAMPAIGNS,
        "coupons": COUPONS, "coupon_products": COVERED, **tables,
    }  # fmt: skip
    shops.write_shop(folder, **{name: text for name, text in given.items() if text is not None})
    with open_source(folder, today=dt.date(2025, 7, 1), only=BOOK_TABLES) as source:
        return read_coupon_book(source, "2025-07-01")


def test_a_book_says_what_coupons_are_in_the_shop_s_time(tmp_path: Path) -> None:
    read = _read(tmp_path)
    off, ten = read.book.coupons
    assert read.left_out == (("empty", "no_value"), ("old", "over"))
    assert (off.amount, off.min_spend, off.stacking, off.limit_total, off.limit_per_customer) == (
        500,
        3000,
        True,
        100,
        1,
    )
    summer_begins = dt.datetime(2025, 3, 29, 23, tzinfo=dt.UTC)  # midnight in Madrid, before clocks change
    assert off.valid_from == summer_begins.timestamp()
    assert off.valid_to == dt.datetime(2025, 9, 30, 22, tzinfo=dt.UTC).timestamp()  # the campaign's end
    assert (ten.parts, ten.max_discount, ten.scope, ten.campaign_id) == (100_000, 900, Scope.LINE, "spring")
    assert (ten.products, ten.categories) == (frozenset({"A"}), frozenset({"hats"}))
    assert read.book.campaigns[0].budget == 10_000


def test_a_coupon_is_for_everybody_unless_its_column_says_otherwise(tmp_path: Path) -> None:
    assert not any(coupon.known_only for coupon in _read(tmp_path / "a").book.coupons)
    head, off, ten, *_ = COUPONS.splitlines()
    told = f"{head},known_only\n{off},true\n{ten},\n"
    read = _read(tmp_path / "b", coupons=told)
    assert [coupon.known_only for coupon in read.book.coupons] == [True, False]


def test_goods_know_their_newest_cost_and_say_where_it_is_assumed(tmp_path: Path) -> None:
    """25 % tax: A cost 4.00 of late; B has no cost: .6 of 12.50 / 1.25; C and G were never sold."""
    goods = _read(tmp_path).book.goods
    assert goods.product == ("A", "B", "C", "G")
    np.testing.assert_array_equal(goods.unit_cost, [400.0, 600.0, np.nan, np.nan])
    assert goods.cost_assumed.tolist() == [False, True, False, False]
    assert goods.reducible.tolist() == [True, True, False, False]


def test_floors_and_cover_of_a_cart(tmp_path: Path) -> None:
    book = _read(tmp_path).book
    assert book.floors(["A", "B", "Z"], np.array([2.0, 1.0, 1.0]), "es", 0.0).tolist() == [1000, 750, -1]
    assert book.covered(["A", "C", "Z"]).tolist() == [[False, True, True], [False] * 3, [False] * 3]
    with pytest.raises(UsageError, match="no zone 'fr'"):
        book.floors(["A"], np.array([1.0]), "fr", 0.0)


def test_bytes_come_back_whole_and_the_same(tmp_path: Path) -> None:
    book = _read(tmp_path).book
    content = book.to_bytes()
    back = CouponBook.from_bytes(content)
    assert back.to_bytes() == content
    assert (back.coupons, back.campaigns, back.zones) == (book.coupons, book.campaigns, book.zones)
    with pytest.raises(ArtifactError, match="does not hold"):
        CouponBook.from_bytes(pack("coupon-book", 1, {}, {"coupons": []}))


def test_a_coupon_of_two_campaigns_is_refused(tmp_path: Path) -> None:
    two = CAMPAIGNS + "b,mail,2025-03-30,2025-10-01,\n"
    with pytest.raises(DataError, match="2 campaigns"):
        _read(tmp_path, campaigns=two, coupon_products=COVERED + "b,ten,A,\n")


def test_a_campaign_nobody_told_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="spring, which is not known"):
        _read(tmp_path, campaigns=CAMPAIGNS.replace("spring", "autumn"))


def test_an_empty_shop_has_an_empty_book(tmp_path: Path) -> None:
    book = _read(tmp_path, coupons=None, coupon_products=None, campaigns=None).book
    assert len(book.menu) == 1
    assert CouponBook.from_bytes(book.to_bytes()).coupons == ()
