"""Orders and products of Shopify's Admin API, and an import continued by a later export.

In ``exports/shopify_json`` (VAT 21 % included): #2001 a code over both lines; #2002 an automatic discount,
free shipping by code, 3.00 paid back for nothing that came back; #2003 a custom item, a gift card and a
tip, at the till; #2004 a test; #2005 later cancelled; #2006 seen in dollars, without tax; #2007 sold in
dollars; #2008 a line without SKU and one whose product was deleted; #D1 a draft. ``shopify_json_later``
restates #2001 (a tee and the shipping were paid back on 2 April), cancels #2005, adds #2009, and has
another price and count.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pricing.errors import ArtifactError, DataError, UsageError
from simulators.contract.checking import check
from simulators.contract.tables import open_source
from tests.simulators.platform_folders import (
    EXPORTS,
    LISTED,
    SHOP,
    TODAY,
    bring,
    content,
    custom,
    explained,
    rows,
)

FIRST, LATER = EXPORTS / "shopify_json", EXPORTS / "shopify_json_later"
WEEK_LATER = LISTED + dt.timedelta(days=7)
LINE = ("order_id", "line_id", "status", "product_id", "quantity", "offered_price", "paid", "price_basis")
BACK = ("order_id", "line_id", "returned_at", "quantity", "refund", "restocked")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shopify") / "data"
    bring(FIRST, out)
    return out


def test_every_order_line_and_discount(data: Path) -> None:
    assert rows(data, "orders", *LINE) == [
        ("#2001", "301", "paid", "TEE-S", 2.0, 24.2, 43.56, "gross"),
        ("#2001", "302", "paid", "taza-azul", 1.0, 12.1, 10.89, "gross"),
        ("#2002", "303", "paid", "TEE-M", 2.0, 24.2, 43.4, "gross"),
        ("#2003", "304", "paid", custom(data.parent / "key", "Grabado a mano"), 1.0, 6.05, 6.05, "gross"),
        ("#2003", "305", "paid", "GIFT-25", 1.0, 25.0, 25.0, "gross"),
        ("#2004", "306", "test", "TEE-M", 1.0, 24.2, 24.2, "gross"),
        ("#2005", "308", "paid", "TEE-M", 1.0, 24.2, 24.2, "gross"),
        ("#2006", "309", "paid", "TEE-S", 1.0, 20.0, 20.0, "net"),
        ("#D1", "320", "draft", "TEE-S", 1.0, 24.2, 24.2, "gross"),
        ("#2008", "311", "paid", "taza-azul", 1.0, 12.1, 12.1, "gross"),
        ("#2008", "312", "paid", "BUF-1", 1.0, 19.36, 19.36, "gross"),
    ]
    lists = {order: (channel, said) for order, channel, said in
             rows(data, "orders", "order_id", "channel", "price_list")}  # fmt: skip
    assert lists["#2003"] == ("pos", None)
    assert lists["#2006"] == ("web", "presentment USD")
    assert rows(data, "discounts", "order_id", "line_id", "kind", "coupon_id", "amount") == [
        ("#2001", "301", "coupon", "PRIMAVERA10", 4.84),
        ("#2001", "302", "coupon", "PRIMAVERA10", 1.21),
        ("#2002", "303", "automatic", None, 5.0),
        ("#2002", None, "shipping", "ENVIOGRATIS", 4.84),
    ]
    assert not (data / "returns.parquet").exists()


def test_listings_carry_the_variant_that_prices_are_published_to(data: Path) -> None:
    aliases = dict(rows(data, "product_aliases", "source_key", "product_id"))
    assert {key: product for key, product in aliases.items() if ":variant:" in key} == {
        "shopify:variant:4001": "TEE-S", "shopify:variant:4002": "TEE-M", "shopify:variant:4003": "taza-azul",
        "shopify:variant:4005": "GIFT-25",
    }  # fmt: skip
    products = {
        row[0]: row[1:] for row in rows(data, "products", "product_id", "kind", "launch_at", "exit_at")
    }
    assert products["TEE-S"] == ("merchandise", "2024-11-02 09:00", None)
    assert products["GIFT-25"][0] == "gift_card"
    assert products["BUF-1"] == ("merchandise", None, "2025-04-10 12:00")
    assert rows(data, "inventory", "product_id", "on_hand") == [
        ("TEE-M", 7.0), ("TEE-S", 12.0), ("taza-azul", 5.0)
    ]  # fmt: skip


def test_totals_are_explained(tmp_path: Path) -> None:
    imported = bring(FIRST, tmp_path / "data")
    assert explained(imported) == {
        ("2025-03", "total"): (
            25980, 20876, {"shipping": 484, "tips": 200, "test": 2420, "draft": 2420, "other_tax": -420}, 0
        ),
        ("2025-03", "discounts"): (1589, 1105, {"shipping": 484}, 0),
        ("2025-03", "refunds"): (300, 0, {"without_lines": 300}, 0),
        ("2025-03", "tax"): (3693, 3623, {"shipping": 84, "test": 420, "draft": 420, "other_tax": -854}, 0),
        ("2025-03", "demand"): (20876, 17771, {"gift_card": 2500, "service": 605}, 0),
    }  # fmt: skip
    assert [(o.currency, o.orders, o.total) for o in imported.reconciliation.other_currencies] == [
        ("USD", 1, "30")
    ]
    with open_source(tmp_path / "data", today=TODAY, shop=SHOP) as source:
        assert not check(source).bad_rows


def test_a_late_refund_a_cancellation_and_new_prices_come_in(data: Path, tmp_path: Path) -> None:
    shutil.copy(data.parent / "key", tmp_path / "key")
    kept = content(data)
    imported = bring(LATER, tmp_path / "next", before=data, listed_at=WEEK_LATER)
    assert content(data) == kept
    found = rows(tmp_path / "next", "orders", *LINE)
    assert found[:6] == rows(data, "orders", *LINE)[:6]
    assert found[6] == ("#2005", "308", "cancelled", "TEE-M", 1.0, 24.2, 24.2, "gross")
    assert found[7:11] == rows(data, "orders", *LINE)[7:]
    assert found[11:] == [("#2009", "313", "paid", "TEE-M", 1.0, 26.62, 26.62, "gross")]
    assert rows(tmp_path / "next", "returns", *BACK) == [
        ("#2001", "301", "2025-04-02 07:00", 1.0, 21.78, True),
        ("#2005", "308", "2025-04-03 06:00", 1.0, 24.2, True),
    ]
    assert rows(tmp_path / "next", "discounts", "order_id", "amount") == rows(
        data, "discounts", "order_id", "amount"
    )
    assert rows(
        tmp_path / "next", "prices", "product_id", "valid_from", "regular_price", "offered_price"
    ) == [
        *rows(data, "prices", "product_id", "valid_from", "regular_price", "offered_price"),
        ("TEE-M", "2025-04-17 12:00", 30.25, 26.62),
    ]
    assert rows(tmp_path / "next", "inventory", "product_id", "at", "on_hand") == [
        *rows(data, "inventory", "product_id", "at", "on_hand"),
        ("TEE-S", "2025-04-17 12:00", 10.0),
    ]
    assert explained(imported)[("2025-04", "refunds")] == (
        5082, 2178, {"shipping": 484, "cancelled": 2420}, 0
    )  # fmt: skip
    assert explained(imported)[("2025-04", "tax")] == (462, 84, {"returned": 378}, 0)
    assert explained(imported)[("2025-03", "total")][2]["cancelled"] == 2420
    assert imported.reconciliation.unexplained == 0
    with open_source(tmp_path / "next", today=TODAY, shop=SHOP) as source:
        assert not check(source).bad_rows


def test_importing_the_same_export_again_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    shutil.copy(data.parent / "key", tmp_path / "key")
    bring(FIRST, tmp_path / "twin")
    assert content(tmp_path / "twin") == content(data)
    bring(FIRST, tmp_path / "same", before=data, listed_at=WEEK_LATER)
    assert content(tmp_path / "same") == content(data)
    bring(LATER, tmp_path / "next", before=data, listed_at=WEEK_LATER)
    bring(LATER, tmp_path / "again", before=tmp_path / "next", listed_at=WEEK_LATER + dt.timedelta(days=1))
    assert content(tmp_path / "again") == content(tmp_path / "next")


def test_an_older_statement_of_an_order_never_replaces_a_later_one(data: Path, tmp_path: Path) -> None:
    shutil.copy(data.parent / "key", tmp_path / "key")
    bring(LATER, tmp_path / "next", before=data, listed_at=WEEK_LATER)
    bring(FIRST, tmp_path / "back", before=tmp_path / "next", listed_at=LISTED)
    assert content(tmp_path / "back") == content(tmp_path / "next")


def test_a_repayment_without_lines_never_wipes_out_known_returns(data: Path, tmp_path: Path) -> None:
    shutil.copy(data.parent / "key", tmp_path / "key")
    bring(LATER, tmp_path / "next", before=data, listed_at=WEEK_LATER)
    folder = tmp_path / "csv"
    folder.mkdir()
    text = (EXPORTS / "shopify_csv" / "orders_export_1.csv").read_text(encoding="utf-8")
    text = text.replace("#1001", "#2001").replace("5000000001001", "5100000002001")
    (folder / "orders.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="Of 1 orders, for example #2001, an earlier import knew which lines"):
        bring(folder, tmp_path / "lost", before=tmp_path / "next")


def test_what_cannot_be_continued_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="another key"):
        bring(LATER, tmp_path / "next", before=data)
    with pytest.raises(UsageError, match="is the folder that is to be continued"):
        bring(LATER, data, before=data)
    shutil.copytree(data, tmp_path / "touched")
    (tmp_path / "touched" / "orders.parquet").write_bytes(b"")
    shutil.copy(data.parent / "key", tmp_path / "key")
    with pytest.raises(ArtifactError):
        bring(LATER, tmp_path / "other", before=tmp_path / "touched")


def test_products_alone_add_a_snapshot(data: Path, tmp_path: Path) -> None:
    shutil.copy(data.parent / "key", tmp_path / "key")
    imported = bring(LATER / "products.json", tmp_path / "next", before=data, listed_at=WEEK_LATER)
    assert {t.name: t.rows for t in imported.tables}["prices"] == 5
    assert (tmp_path / "next" / "orders.parquet").read_bytes() == (data / "orders.parquet").read_bytes()
    with pytest.raises(DataError, match="no orders"):
        bring(LATER / "products.json", tmp_path / "alone")


def _with(tmp_path: Path, change: Any) -> Path:
    folder = tmp_path / "export"
    shutil.copytree(FIRST, folder)
    document = json.loads((folder / "orders.json").read_text(encoding="utf-8"))
    change(document["orders"])
    (folder / "orders.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_a_renamed_sku_stays_the_same_product(data: Path, tmp_path: Path) -> None:
    shutil.copy(data.parent / "key", tmp_path / "key")
    folder = tmp_path / "export"
    shutil.copytree(LATER, folder)
    text = (folder / "products.json").read_text(encoding="utf-8")
    (folder / "products.json").write_text(text.replace('"TEE-S"', '"CAM-S"'), encoding="utf-8")
    bring(folder, tmp_path / "next", before=data, listed_at=WEEK_LATER)
    aliases = dict(rows(tmp_path / "next", "product_aliases", "source_key", "product_id"))
    assert aliases["CAM-S"] == aliases["shopify:variant:4001"] == "TEE-S"
    assert "CAM-S" not in {product for (product,) in rows(tmp_path / "next", "products", "product_id")}


def test_an_alias_told_later_joins_what_was_set_apart(data: Path, tmp_path: Path) -> None:
    shutil.copy(data.parent / "key", tmp_path / "key")
    folder = tmp_path / "export"
    shutil.copytree(LATER, folder)
    (folder / "product_aliases.csv").write_text(
        "source_key,product_id,valid_from\nBUF-1,TEE-M,2025-01-01\n", encoding="utf-8"
    )
    bring(folder, tmp_path / "next", before=data, listed_at=WEEK_LATER)
    with open_source(tmp_path / "next", today=TODAY, shop=SHOP) as source:
        sold = source.engine.rows(
            "SELECT product_id FROM orders WHERE order_id = '#2008' AND line_id = '312'"
        )
        assert sold == [("TEE-M",)]
        assert not source.bad_rows()


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("processed_at", "yesterday", "orders.json, entry 1, processed_at: 'yesterday' is not a time"),
        ("total_price_set", {"shop_money": {"amount": "12,50"}}, "'12,50' is not a number"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(tmp_path: Path, field: str, value: Any, names: str) -> None:
    def spoil(orders: list[dict[str, Any]]) -> None:
        orders[0][field] = value

    with pytest.raises(DataError, match=names):
        bring(_with(tmp_path, spoil), tmp_path / "data")


def test_a_total_that_does_not_add_up_stays_unexplained(tmp_path: Path) -> None:
    def spoil(orders: list[dict[str, Any]]) -> None:
        orders[0]["total_price_set"]["shop_money"]["amount"] = "159.29"

    imported = bring(_with(tmp_path, spoil), tmp_path / "data")
    assert explained(imported)[("2025-03", "total")][3] == 10000
    assert imported.reconciliation.unexplained == 10000


def test_a_word_that_nobody_knows_is_listed_and_set_apart(tmp_path: Path) -> None:
    def rename(orders: list[dict[str, Any]]) -> None:
        orders[0]["financial_status"] = "on_the_house"

    imported = bring(_with(tmp_path, rename), tmp_path / "data")
    assert imported.unknown_statuses == ("on_the_house",)
    assert rows(tmp_path / "data", "orders", "order_id", "status")[0] == ("#2001", "draft")
