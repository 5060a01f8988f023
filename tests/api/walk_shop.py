"""An invented shop as Shopify exports it, with the promotions that its owner keeps in a sheet of his own."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PRODUCTS, WEEKS = 12, 40
FIRST = dt.date(2025, 2, 17)
TODAY = FIRST + dt.timedelta(weeks=WEEKS)
_ORDERS = """
Name Email Financial_Status Paid_at Currency Subtotal Shipping Taxes Total Discount_Code Discount_Amount
Created_at Lineitem_quantity Lineitem_name Lineitem_price Lineitem_compare_at_price Lineitem_sku Cancelled_at
Payment_Method Refunded_Amount Id Lineitem_discount Billing_Name
"""
_LISTED = """
Handle Title Body_(HTML) Vendor Type Tags Published Option1_Name Option1_Value Option2_Name Option2_Value
Option3_Name Option3_Value Variant_SKU Variant_Inventory_Tracker Variant_Inventory_Qty Variant_Price
Variant_Compare_At_Price Gift_Card Cost_per_item Status
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a shop is: products, weeks of history, units of each a week at its base price."""

    products: int = PRODUCTS
    weeks: int = WEEKS
    rate: float = 24.0


SMALL = Size()


def base_of(product: int) -> float:
    """Return the price about which a product's prices move."""
    return 8.0 + 1.5 * (product % 60)


def price_in(product: int, week: int) -> float:
    """Return the price of a product in a week: three levels about its base, each in every category."""
    return round(base_of(product) * (1.0 + 0.1 * ((week // 5 + product // 3) % 3 - 1)), 1) - 0.01


def write_walk(folder: Path, size: Size = SMALL) -> Path:
    """Write orders_export.csv, products_export.csv and promotions.csv."""
    folder.mkdir(parents=True)
    (folder / "orders_export.csv").write_text(table_of(_ORDERS, _orders(size)), encoding="utf-8")
    (folder / "products_export.csv").write_bytes(table_of(_LISTED, _listed(size), end="\r\n").encode())
    write_promotions(folder, [f"P{p:02d}" for p in range(size.products)], size.weeks)
    return folder


def write_promotions(folder: Path, products: Sequence[str], weeks: int = WEEKS) -> None:
    """Write promotions.csv: each product every seventh week, as its owner planned."""
    planned = ((p, week) for p in range(len(products)) for week in _weeks(weeks) if (week + p) % 7 == 0)
    rows = [f"{products[p]},{day_of(week)},{day_of(week + 1)},feature,1" for p, week in planned]
    (folder / "promotions.csv").write_text(
        "\n".join(["product_id,starts_at,ends_at,kind,share", *rows]) + "\n"
    )


def day_of(week: int) -> dt.date:
    """Return the first day of a week."""
    return FIRST + dt.timedelta(weeks=week)


def _weeks(number: int) -> range:
    """Return the weeks of a history: they end where the longest one does."""
    return range(WEEKS - number, WEEKS)


def sales(size: Size = SMALL) -> Iterator[tuple[int, int, int, int]]:
    """Yield (week, day, product, units) of every order, of one line each."""
    rng = np.random.default_rng(11)
    for week in _weeks(size.weeks):
        for p in range(size.products):
            level = price_in(p, week) / base_of(p)
            units = int(rng.poisson(size.rate * math.pow(level, -2.2)))
            for day in range(7):
                quantity = units // 7 + (day < units % 7)
                if quantity:
                    yield week, day, p, quantity


def _orders(size: Size) -> list[Mapping[str, object]]:
    return [_order(f"{week:02d}{p:02d}{day}", week, day, p, units) for week, day, p, units in sales(size)]


def _order(number: str, week: int, day: int, product: int, quantity: int) -> Mapping[str, object]:
    price = price_in(product, week)
    total = round(price * quantity, 2)
    at = f"{day_of(week) + dt.timedelta(days=day)} 12:00:00 +0100"
    return {
        "Name": f"#{number}", "Email": "somebody@example.com", "Financial Status": "paid", "Paid at": at,
        "Currency": "EUR", "Subtotal": f"{total:.2f}", "Shipping": "0.00",
        "Taxes": f"{total - total / 1.21:.2f}", "Total": f"{total:.2f}", "Discount Amount": "0.00",
        "Created at": at, "Lineitem quantity": quantity, "Lineitem name": f"Product {product}",
        "Lineitem price": f"{price:.2f}", "Lineitem sku": f"P{product:02d}",
        "Payment Method": "Shopify Payments", "Refunded Amount": "0.00", "Id": f"5{number}",
        "Lineitem discount": "0.00", "Billing Name": "Some Body",
    }  # fmt: skip


def _listed(size: Size) -> list[Mapping[str, object]]:
    return [
        {
            "Handle": f"product-{p}", "Title": f"Product {p}", "Body (HTML)": '<p>two\nlines, "quoted"</p>',
            "Vendor": "Own", "Type": f"kind {p % 3}", "Published": "true", "Option1 Name": "Title",
            "Option1 Value": "Default Title", "Variant SKU": f"P{p:02d}",
            "Variant Inventory Tracker": "shopify", "Variant Inventory Qty": 500,
            "Variant Price": f"{price_in(p, WEEKS - 1):.2f}", "Gift Card": "false",
            "Cost per item": f"{4.0 + 0.7 * (p % 60):.2f}", "Status": "active",
        }
        for p in range(size.products)
    ]  # fmt: skip


def table_of(header: str, rows: Sequence[Mapping[str, object]], end: str = "\n") -> str:
    """Return CSV; names of the header are parted by blanks, and blanks within them are underscores."""
    out = io.StringIO()
    names = [name.replace("_", " ") for name in header.split()]
    writer = csv.DictWriter(out, names, restval="", lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
