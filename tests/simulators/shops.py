"""Small shops written by hand, as CSV text."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

TODAY = dt.date(2025, 7, 1)

SHOP = """
contract = 1
currency = "EUR"
time_zone = "Europe/Madrid"
quarantine_share = 0.5
[[zones]]
id = "es"
country = "ES"
tax_rate = 0.25
prices_include_tax = true
[cost_assumption]
default = 0.6
"""

ORDERS_HEADER = (
    "order_id,line_id,ordered_at,status,customer_id,product_id,quantity,"
    "regular_price,offered_price,paid,price_basis"
)
GOOD_LINE = "o1,1,2025-03-03 10:00,paid,c1,A,2,10.00,8.00,16.00,gross"
PRODUCTS = "product_id,category,kind\nA,shoes,merchandise\nB,hats,merchandise\n"


def orders(*lines: str) -> str:
    return "\n".join([ORDERS_HEADER, *lines]) + "\n"


def write_shop(folder: Path, shop: str = SHOP, **tables: str | bytes) -> Path:
    """Write a data folder; orders and products are those above unless given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.toml").write_text(shop, encoding="utf-8")
    for name, text in {"orders": orders(GOOD_LINE), "products": PRODUCTS, **tables}.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / f"{name}.csv").write_bytes(content)
    return folder
