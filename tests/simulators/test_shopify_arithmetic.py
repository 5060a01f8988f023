"""What a Shopify CSV leaves unsaid follows from its own totals: tax, shipping, whose discount it was."""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pricing.errors import DataError
from simulators.contract.shop_file import ShopFile, Zone
from simulators.importers.export_rows import amount_of, moment_of, zone_of
from simulators.importers.platform_import import Imported
from tests.simulators.platform_folders import SHOP, bring, explained, rows

NET = replace(SHOP, zones=(replace(SHOP.zones[0], prices_include_tax=False),))
PESOS = replace(
    SHOP, currency="CLP", zones=(replace(SHOP.zones[0], tax_rate=0.19, prices_include_tax=False),)
)
ORDER = {
    "Name": "#1", "Financial Status": "paid", "Currency": "EUR", "Created at": "2025-03-03 10:00:00 +0000",
    "Subtotal": "100.00", "Shipping": "0.00", "Taxes": "0.00", "Total": "100.00", "Discount Code": "",
    "Discount Amount": "0.00", "Lineitem quantity": "1", "Lineitem name": "Mug", "Lineitem price": "100.00",
    "Lineitem discount": "0.00", "Lineitem sku": "MUG", "Lineitem taxable": "true",
    "Lineitem requires shipping": "true",
}  # fmt: skip
TEN = {"Subtotal": "90.00", "Total": "90.00", "Discount Amount": "10.00"}


def _import(tmp_path: Path, shop: ShopFile, *orders: dict[str, str]) -> tuple[Imported, Path]:
    folder = tmp_path / "export"
    folder.mkdir()
    with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(ORDER))
        writer.writeheader()
        for number, said in enumerate(orders, 1):
            writer.writerow({**ORDER, "Name": f"#{number}", **said})
    return bring(folder, tmp_path / "data", shop=shop), tmp_path / "data"


def test_tax_on_top_makes_net_prices(tmp_path: Path) -> None:
    said = {"Taxes": "22.05", "Shipping": "10.00", "Total": "127.05", "Subtotal": "95.00",
            "Discount Code": "FIVE", "Discount Amount": "5.00"}  # fmt: skip
    imported, data = _import(tmp_path, NET, said)
    assert rows(data, "orders", "paid", "price_basis") == [(100.0, "net")]
    assert explained(imported) == {
        ("2025-03", "total"): (12705, 11495, {"shipping": 1210}, 0),  # 95 and 10, with 21 %
        ("2025-03", "discounts"): (500, 605, {"tax_on_top": -105}, 0),
        ("2025-03", "refunds"): (0, 0, {}, 0),
        ("2025-03", "tax"): (2205, 1995, {"shipping": 210}, 0),
        ("2025-03", "demand"): (11495, 11495, {}, 0),
    }


def test_an_order_that_adds_up_the_other_way_is_read_as_it_adds_up(tmp_path: Path) -> None:
    taxed = {"Taxes": "17.36"}
    abroad = {"Taxes": "21.00", "Total": "121.00"}
    imported, data = _import(tmp_path, SHOP, taxed, taxed, abroad)
    assert rows(data, "orders", "order_id", "price_basis") == [
        ("#1", "gross"),
        ("#2", "gross"),
        ("#3", "net"),
    ]
    assert imported.reconciliation.unexplained == 0


def test_a_currency_without_decimals(tmp_path: Path) -> None:
    said = {"Currency": "CLP", "Lineitem price": "84028", "Lineitem quantity": "2", "Subtotal": "163056",
            "Shipping": "1", "Taxes": "30981", "Total": "194038", "Discount Code": "CINCO",
            "Discount Amount": "5000"}  # fmt: skip
    imported, data = _import(tmp_path, PESOS, said)
    assert rows(data, "discounts", "line_id", "amount") == [(None, 5000.0)]
    assert explained(imported)[("2025-03", "total")][::3] == (194038, 0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({**TEN, "Discount Code": "A, B"}, [(None, "coupon", None, 10.0)]),
        ({**TEN, "Discount Code": "Custom discount"}, [(None, "order", None, 10.0)]),
        (TEN, [(None, "automatic", None, 10.0)]),
        ({"Subtotal": "85.00", "Total": "85.00", "Discount Amount": "15.00", "Lineitem discount": "10.00"},
         [("1", "automatic", None, 10.0), (None, "automatic", None, 5.0)]),
        # The amount is of the whole order only: it and the line's add up to what came off.
        ({"Subtotal": "85.00", "Total": "85.00", "Discount Amount": "5.00", "Lineitem discount": "10.00"},
         [("1", "automatic", None, 10.0), (None, "automatic", None, 5.0)]),
        # Shipping printed before its discount.
        ({"Shipping": "5.00", "Discount Amount": "5.00", "Discount Code": "FREE"},
         [(None, "shipping", "FREE", 5.0)]),
    ],
)  # fmt: skip
def test_whose_discount_it_was(tmp_path: Path, said: dict[str, str], expected: list[object]) -> None:
    imported, data = _import(tmp_path, SHOP, said)
    assert rows(data, "discounts", "line_id", "kind", "coupon_id", "amount") == expected
    assert imported.reconciliation.unexplained == 0


def test_lines_below_their_subtotal_stay_unexplained(tmp_path: Path) -> None:
    imported, data = _import(tmp_path, SHOP, {"Subtotal": "130.00", "Total": "130.00"})
    assert not (data / "discounts.parquet").exists()
    assert explained(imported)[("2025-03", "total")] == (13000, 10000, {}, 3000)


def test_the_delivery_country_decides_the_zone_where_there_are_several() -> None:
    both = replace(SHOP, zones=(*SHOP.zones, Zone("france", "FR", 0.2, prices_include_tax=True)))
    assert [zone_of(SHOP, country) for country in ("ES", "FR", "")] == ["", "", ""]
    assert [zone_of(both, country) for country in ("es", "FR", "", "us")] == ["es", "france", "", "US"]


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-03 10:15:00 +0100",
        "2025-03-03T10:15:00+01:00",
        "2025-03-03 09:15:00 UTC",
        "2025-03-03T09:15:00Z",
    ],
)
def test_a_moment_is_the_same_however_it_is_written(text: str) -> None:
    assert moment_of(text, "here") == dt.datetime(2025, 3, 3, 9, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["2025-03-03", "2025-03-03 10:15:00", "03/03/2025 10:15", "1e9", "soon"])
def test_a_moment_without_a_zone_is_none(text: str) -> None:
    with pytest.raises(DataError, match="is not a time like"):
        moment_of(text, "here")


@pytest.mark.parametrize("text", ["1,5", "1.234,5", "1e3", "inf", "0x1", "1.123456789", "9999999999999", "١"])
def test_an_amount_is_written_with_a_decimal_point_or_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not a number with a decimal point"):
        amount_of(text, "here")


def test_amounts_are_exact() -> None:
    assert [amount_of(text, "here") for text in ("", "12.10", "-3", "+0.5")] == [
        Decimal(0), Decimal("12.10"), Decimal(-3), Decimal("0.5")
    ]  # fmt: skip
