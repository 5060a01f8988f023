"""Shopify's CSV files to contract rows, every one of them checked by hand.

Prices include 21 % VAT: 24.20 is 20.00 net. In ``exports/shopify_csv``: #1001 two lines, the mug without a
SKU; #1002 a code on the order; #1003 a gift card and a code of 5.00; #1004 a discount on the line; #1006
cancelled; #1007 a test; #1008 in dollars; #1009 a tip; #1005 refunded in part, in April in Madrid; #1010 a
custom line; #1011 unpaid; #1012 free shipping; #1013 a product that is no longer listed; #1014 a free
sample; #1015 untaxed export.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pricing.errors import DataError
from pricing.pseudonyms import pseudonym
from simulators.contract.checking import check
from simulators.contract.tables import open_source
from tests.simulators.platform_folders import EXPORTS, SHOP, TODAY, bring, custom, explained, rows

CSV = EXPORTS / "shopify_csv"
TEE = (24.2, 24.2)


def _engraving(data: Path) -> str:
    return custom(data.parent / "key", "Grabado a mano")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shopify") / "data"
    bring(CSV, out)
    return out


def test_every_order_line(data: Path) -> None:
    columns = (
        "order_id", "line_id", "ordered_at", "status", "channel", "product_id", "quantity", "regular_price",
        "offered_price", "paid",
    )  # fmt: skip
    assert rows(data, "orders", *columns) == [
        ("#1001", "1", "2025-03-03 09:15", "paid", "web", "TEE-S", 2.0, 30.25, 24.2, 48.4),
        ("#1001", "2", "2025-03-03 09:15", "paid", "web", "taza-azul", 1.0, None, 12.1, 12.1),
        ("#1002", "1", "2025-03-04 17:30", "paid", "web", "TEE-M", 1.0, 30.25, *TEE),
        ("#1002", "2", "2025-03-04 17:30", "paid", "web", "poster-luna:A2", 1.0, None, 24.2, 24.2),
        ("#1003", "1", "2025-03-10 08:00", "paid", "web", "GIFT-25", 1.0, None, 25.0, 25.0),
        ("#1003", "2", "2025-03-10 08:00", "paid", "web", "TEE-S", 1.0, 30.25, *TEE),
        ("#1004", "1", "2025-03-15 11:00", "paid", "pos", "TEE-M", 2.0, 30.25, 24.2, 43.56),
        ("#1006", "1", "2025-03-20 07:00", "cancelled", "web", "TEE-S", 1.0, 30.25, *TEE),
        ("#1007", "1", "2025-03-21 07:00", "test", "web", "TEE-M", 1.0, 30.25, *TEE),
        ("#1009", "1", "2025-03-31 21:30", "paid", "web", "TEE-S", 1.0, 30.25, *TEE),
        ("#1005", "1", "2025-03-31 22:30", "paid", "web", "taza-azul", 1.0, None, 12.1, 12.1),
        ("#1005", "2", "2025-03-31 22:30", "paid", "web", "TEE-S", 1.0, 30.25, *TEE),
        ("#1010", "1", "2025-04-02 08:00", "paid", "shopify_draft_order", "TEE-M", 1.0, None, *TEE),
        ("#1010", "2", "2025-04-02 08:00", "paid", "shopify_draft_order", _engraving(data), 1.0,
         None, 6.05, 6.05),
        ("#1011", "1", "2025-04-03 08:00", "draft", "web", "TEE-S", 1.0, None, *TEE),
        ("#1012", "1", "2025-04-04 08:00", "paid", "web", "TEE-M", 1.0, None, *TEE),
        ("#1013", "1", "2025-04-05 08:00", "paid", "web", "BUF-1", 1.0, None, 19.36, 19.36),
        ("#1014", "1", "2025-04-06 08:00", "paid", "web", "taza-azul", 3.0, None, 12.1, 36.3),
        ("#1015", "1", "2025-04-07 08:00", "paid", "web", "TEE-S", 1.0, None, *TEE),
    ]  # fmt: skip
    assert {basis for (basis,) in rows(data, "orders", "price_basis")} == {"gross"}


def test_every_discount_and_no_invented_return(data: Path) -> None:
    assert rows(data, "discounts", "order_id", "line_id", "kind", "coupon_id", "amount", "funded_by") == [
        ("#1002", None, "coupon", "PRIMAVERA10", 4.84, "shop"),
        ("#1003", None, "coupon", "CINCO", 5.0, "shop"),
        ("#1004", "1", "automatic", None, 4.84, "shop"),
        ("#1012", None, "shipping", "ENVIOGRATIS", 4.84, "shop"),
    ]
    assert not (data / "returns.parquet").exists()
    assert rows(data, "platform_refunds", "order_id", "refunded_at", "amount", "lines") == [
        ("#1005", None, 12.1, 0.0)
    ]


def test_every_product_price_cost_and_count(data: Path) -> None:
    columns = ("product_id", "parent_id", "name", "category", "brand", "kind", "exit_at")
    assert rows(data, "products", *columns) == [
        ("BUF-1", None, "Bufanda Gris", "uncategorised", "Norte", "merchandise", "2025-04-10 12:00"),
        ("GIFT-25", "tarjeta-regalo", "Tarjeta Regalo - 25,00 €", "uncategorised", "Mi Tienda", "gift_card",
         None),
        ("HAT", "gorro", "Gorro", "Gorros", "Norte", "merchandise", None),
        ("TEE-M", "camiseta-basica", "Camiseta Básica - M", "Camisetas", "Norte", "merchandise", None),
        ("TEE-S", "camiseta-basica", "Camiseta Básica - S", "Camisetas", "Norte", "merchandise", None),
        ("poster-luna:A2", "poster-luna", "Póster Luna - A2", "Láminas", "Norte", "merchandise", None),
        ("poster-luna:A3", "poster-luna", "Póster Luna - A3", "Láminas", "Norte", "merchandise", None),
        (_engraving(data), None, None, "uncategorised", "Mi Tienda", "service", None),
        ("taza-azul", "taza-azul", "Taza Azul", "Home & Garden > Kitchen & Dining > Mugs", "Barro",
         "merchandise", None),
    ]  # fmt: skip
    at = "2025-04-10 12:00"
    assert rows(data, "prices", "product_id", "valid_from", "regular_price", "offered_price",
                "price_basis", "announced_reduction") == [
        ("GIFT-25", at, 25.0, 25.0, "gross", False),
        ("TEE-M", at, 24.2, 24.2, "gross", False),
        ("TEE-S", at, 30.25, 24.2, "gross", True),
        ("poster-luna:A2", at, 24.2, 24.2, "gross", False),
        ("poster-luna:A3", at, 18.15, 18.15, "gross", False),
        ("taza-azul", at, 12.1, 12.1, "gross", False),
    ]  # fmt: skip
    assert rows(data, "costs", "product_id", "valid_from", "unit_cost") == [
        ("HAT", at, 5.0), ("TEE-M", at, 8.0), ("TEE-S", at, 8.0), ("taza-azul", at, 4.5),
    ]  # fmt: skip
    assert rows(data, "inventory", "product_id", "at", "on_hand", "stocked_out") == [
        ("HAT", at, 0.0, True),
        ("TEE-M", at, 0.0, True),  # -2: oversold
        ("TEE-S", at, 12.0, False),
        ("taza-azul", at, 5.0, False),
    ]


def test_identities_are_kept(data: Path) -> None:
    aliases = dict(rows(data, "product_aliases", "source_key", "product_id"))
    assert aliases["shopify:handle:camiseta-basica:S"] == "TEE-S"
    assert aliases["shopify:handle:poster-luna:A3"] == "poster-luna:A3"
    assert aliases["shopify:name:Taza Azul"] == "taza-azul"
    assert len(aliases) == 14


def test_the_platforms_totals_are_explained_to_the_cent(data: Path, tmp_path: Path) -> None:
    imported = bring(CSV, tmp_path / "again")
    assert imported.reconciliation.unexplained == 0
    assert explained(imported) == {
        ("2025-03", "total"): (
            28578, 21602, {"shipping": 1452, "tips": 200, "cancelled": 2904, "test": 2420}, 0
        ),
        ("2025-03", "discounts"): (1468, 1468, {}, 0),
        ("2025-03", "refunds"): (0, 0, {}, 0),
        ("2025-03", "tax"): (
            4491, 3749, {"shipping": 252, "cancelled": 504, "test": 420, "other_tax": -434}, 0
        ),
        ("2025-03", "demand"): (21602, 19102, {"gift_card": 2500}, 0),
        ("2025-04", "total"): (19481, 17061, {"draft": 2420}, 0),
        ("2025-04", "discounts"): (484, 0, {"shipping": 484}, 0),
        ("2025-04", "refunds"): (1210, 0, {"without_lines": 1210}, 0),
        ("2025-04", "tax"): (2961, 2961, {"draft": 420, "other_tax": -420}, 0),
        ("2025-04", "demand"): (17061, 16456, {"service": 605}, 0),
    }  # fmt: skip
    (other,) = imported.reconciliation.other_currencies
    assert (other.month, other.currency, other.orders, other.total) == ("2025-03", "USD", 1, "30")
    with open_source(data, today=TODAY, shop=SHOP) as source:
        report = check(source)
    assert not report.bad_rows
    assert [(m.month, m.gross - m.discounts) for m in report.months] == [
        ("2025-03", 21602),
        ("2025-04", 17061),
    ]


def test_what_has_no_listing_is_listed_and_what_is_free_counted(tmp_path: Path) -> None:
    imported = bring(CSV, tmp_path / "data")
    found = [(left.product_id, left.kind, left.how.value, left.lines) for left in imported.unknown]
    assert found == [
        ("BUF-1", "merchandise", "unlisted", 1),
        (_engraving(tmp_path / "data"), "service", "unknown", 1),
    ]
    assert imported.orders.empty_lines == 1
    assert dict(imported.orders.found) == {"listed": 13, "name": 4, "unknown": 1, "unlisted": 1}
    assert imported.repeated_skus == ("POSTER",)


def test_nothing_of_a_person_reaches_the_folder(data: Path) -> None:
    key = (data.parent / "key").read_bytes()
    customers = {customer for (customer,) in rows(data, "orders", "customer_id")}
    assert customers == {pseudonym(key, f"{who}@example.com") for who in ("ana", "bo", "cy")}
    for path in data.iterdir():
        content = path.read_bytes()
        for word in ("Ejemplo", "Inventada", "example.com", "600 000", "Llamar", "Bilbao", "28001"):
            assert word.encode() not in content, (path.name, word)


def _changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    for path in CSV.iterdir():
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("2025-03-03 10:15:00 +0100,2,", "03/03/2025 10:15,2,", "line 2, Created at: '03/03/2025 10:15'"),
        (",60.50,4.84,", ',"60,50",4.84,', "line 2, Subtotal: '60,50' is not a number"),
        (",60.50,4.84,", ",NaN,4.84,", "'NaN' is not a number"),
        (",paid,2025-03-04 18:30", ",,2025-03-04 18:30", "no totals of order #1002"),
        ("#1001,ana@example.com,paid", "#1001;ana", "cells for 79 columns"),
        ("Camiseta Básica - S", '"Camiseta', "is not a regular text table"),
    ],
)
def test_a_spoilt_file_is_refused_by_row_and_nothing_is_written(
    tmp_path: Path, old: str, new: str, names: str
) -> None:
    with pytest.raises(DataError, match=None) as error:
        bring(_changed(tmp_path, (old, new)), tmp_path / "data")
    assert names in str(error.value)
    assert not (tmp_path / "data").exists()


def test_a_shop_file_that_contradicts_the_totals_is_refused(tmp_path: Path) -> None:
    net = replace(SHOP, zones=(replace(SHOP.zones[0], prices_include_tax=False),))
    with pytest.raises(DataError, match="prices exclude tax, but the totals of 13 of 13 taxed orders"):
        bring(CSV, tmp_path / "data", shop=net)


def test_without_a_product_export_products_are_what_the_lines_name(tmp_path: Path) -> None:
    folder = _changed(tmp_path)
    (folder / "products_export_1.csv").unlink()
    imported = bring(folder, tmp_path / "data")
    assert dict(imported.orders.found) == {"unlisted": 19}
    columns = ("product_id", "kind", "category", "name")
    found = {row[0]: row[1:] for row in rows(tmp_path / "data", "products", *columns)}
    assert found["TEE-S"] == ("merchandise", "uncategorised", "Camiseta Básica - S")
    mug = custom(tmp_path / "key", "Taza Azul")
    assert found[mug] == ("merchandise", "uncategorised", None)
    assert found["GIFT-25"][0] == "gift_card"
    assert not (tmp_path / "data" / "prices.parquet").exists()
    # A product export that comes later says which product those lines were.
    (folder / "orders_export_1.csv").unlink()
    shutil.copy(CSV / "products_export_1.csv", folder)
    bring(folder, tmp_path / "later", before=tmp_path / "data")
    aliases = dict(rows(tmp_path / "later", "product_aliases", "source_key", "product_id"))
    assert aliases[mug] == "taza-azul"


def test_an_alias_of_the_shop_resolves_what_nothing_else_does(tmp_path: Path) -> None:
    folder = _changed(tmp_path)
    (folder / "product_aliases.csv").write_text(
        "source_key,product_id,valid_from\n"
        "shopify:name:Grabado a mano,HAT,2025-01-01\nBUF-1,HAT,2025-04-06\n",
        encoding="utf-8",
    )
    imported = bring(folder, tmp_path / "data")
    assert dict(imported.orders.found)["alias"] == 1  # #1013 is of the day before BUF-1 meant the hat
    lines = {
        f"{order}/{line}": product
        for order, line, product in rows(tmp_path / "data", "orders", "order_id", "line_id", "product_id")
    }
    assert (lines["#1010/2"], lines["#1013/1"]) == ("HAT", "BUF-1")


def test_what_somebody_typed_in_for_one_order_is_shown_and_never_stored(tmp_path: Path) -> None:
    for name in ("shopify_csv", "shopify_json"):
        out = tmp_path / name
        imported = bring(EXPORTS / name, out)
        assert "Grabado a mano" in {left.name for left in imported.unknown}
        with duckdb.connect() as connection:
            for path in out.glob("*.parquet"):
                cells = connection.execute(f"SELECT t::VARCHAR FROM '{path}' AS t").fetchall()
                assert not [cell for cell in cells if "Grabado" in str(cell)]
        assert not [path for path in out.iterdir() if b"Grabado" in path.read_bytes()]


def test_a_custom_item_is_named_by_its_key_or_by_its_name(tmp_path: Path) -> None:
    bring(CSV, tmp_path / "first")
    key = _engraving(tmp_path / "first")
    for number, source in enumerate((key, "shopify:name:Grabado a mano")):
        folder = tmp_path / f"in-{number}"
        folder.mkdir()
        shutil.copy(CSV / "products_export_1.csv", folder)
        told = f"source_key,product_id,valid_from\n{source},HAT,2025-01-01\n"
        (folder / "product_aliases.csv").write_text(told, encoding="utf-8")
        out = tmp_path / f"out-{number}"
        bring(folder, out, before=tmp_path / "first")
        assert dict(rows(out, "product_aliases", "source_key", "product_id"))[key] == "HAT"


def test_an_older_product_export_left_beside_the_newest_is_not_taken_for_it(tmp_path: Path) -> None:
    folder = _changed(tmp_path)
    older = (CSV / "products_export_1.csv").read_text(encoding="utf-8")
    (folder / "products_export_1 (1).csv").write_text(older, encoding="utf-8")
    bring(folder, tmp_path / "same")
    (folder / "products_export_1 (1).csv").write_text(older.replace("24.20", "23.10"), encoding="utf-8")
    with pytest.raises(DataError, match="Two product exports name different prices"):
        bring(folder, tmp_path / "data")


@pytest.mark.parametrize("name", ["orders_export_1.csv", "products_export_1.csv"])
def test_a_sku_that_a_spreadsheet_program_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    folder = _changed(tmp_path)
    text = (folder / name).read_text(encoding="utf-8")
    (folder / name).write_text(text.replace("TEE-S", "8.41E+12"), encoding="utf-8")
    with pytest.raises(DataError, match="cut short"):
        bring(folder, tmp_path / "data")
