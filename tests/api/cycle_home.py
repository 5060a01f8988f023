"""A home of cycles: the small shop's tables in its inbox, and its products as Shopify exports them."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping
from pathlib import Path

from tests.api.shop import FIRST, PRODUCTS, WEEKS, write_shop

TODAY = FIRST + dt.timedelta(weeks=WEEKS)
CYCLE = """
[cycle]
policy = "static"
accept_failed = ["sign", "pit", "level", "lift", "totals", "replay", "twins", "support", "coverage"]
quick_validation = true
publisher = "shopify_csv"
"""
_LISTED = """
Handle Title Body_(HTML) Vendor Type Option1_Name Option1_Value Variant_SKU Variant_Price
Variant_Compare_At_Price Status
"""
_HEADER = [name.replace("_", " ") for name in _LISTED.split()]


def write_home(folder: Path) -> Path:
    """Write a home whose inbox holds 40 weeks."""
    inbox = write_shop(folder / "inbox")
    shop = (inbox / "shop.toml").read_text()
    (inbox / "shop.toml").unlink()
    (folder / "shop.toml").write_text(shop + CYCLE)
    products = (inbox / "products.csv").read_text().splitlines()
    named = [f"{line},{f'Product {p - 1}' if p else 'name'}" for p, line in enumerate(products)]
    (inbox / "products.csv").write_text("\n".join(named) + "\n")
    write_listing(inbox / "products_export.csv", {})
    return folder


def sell(home: Path, week: int, prices: Mapping[str, float], units: Mapping[str, int]) -> None:
    """Add orders of a later week (0 begins at TODAY), one a product on its Monday and one on its Friday."""
    lines: list[str] = []
    for name, count in units.items():
        for day, quantity in ((0, count // 2), (4, count - count // 2)):
            at = TODAY + dt.timedelta(weeks=week, days=day)
            price = f"{prices[name]:.2f},{prices[name]:.2f},{prices[name] * quantity:.2f}"
            line = f"l{name}{week}{day},1,{at} 12:00:00,paid,{name},{quantity},{price},gross"
            lines += [line] * (quantity > 0)
    with (home / "inbox" / "orders.csv").open("a") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def listed_price(product: int) -> str:
    """Return the price that the shop's orders show last."""
    base = 2.0 + 0.5 * product
    return f"{round(base * (1.0 + 0.1 * (((WEEKS - 1) // 5 + product) % 3 - 1)), 1) - 0.01:.2f}"


def write_listing(place: Path, prices: Mapping[str, str]) -> None:
    """Write the product export, `prices` by SKU where they are others than :func:`listed_price`."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _HEADER, restval="", lineterminator="\r\n")
    writer.writeheader()
    for p in range(PRODUCTS):
        row = {"Handle": f"h{p}", "Title": f"Product {p}", "Body (HTML)": '<p>a\n"b", c</p>', "Vendor": "Own"}
        name = f"p{p:02d}"
        row |= {"Option1 Name": "Title", "Option1 Value": "Default Title", "Variant SKU": name}
        writer.writerow(row | {"Variant Price": prices.get(name, listed_price(p)), "Status": "active"})
    place.write_bytes(out.getvalue().encode())
