"""A small shop as files: what a test of the command line imports, checks and fits."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

PRODUCTS, WEEKS = 12, 40
FIRST = dt.date(2024, 1, 1)
SHOP = """
contract = 1
currency = "EUR"
time_zone = "Europe/Madrid"
price_endings = ["5", "9"]
promotion_calendar_set_in_advance = true

[[zones]]
id = "shop"
country = "ES"
tax_rate = 0.21
prices_include_tax = true

[cost_assumption]
default = 0.6

[guardrails]
margin_floor = 0.05
"""


def write_shop(folder: Path) -> Path:
    """Write orders.csv, products.csv, promotions.csv and shop.toml; demand has elasticity -2.5."""
    folder.mkdir(parents=True)
    (folder / "shop.toml").write_text(SHOP)
    rng = np.random.default_rng(7)
    orders = [
        "order_id,line_id,ordered_at,status,product_id,quantity,regular_price,offered_price,paid,price_basis"
    ]
    promotions = ["product_id,starts_at,ends_at,kind,share"]
    for p in range(PRODUCTS):
        base = 2.0 + 0.5 * p
        for week in range(WEEKS):
            monday = FIRST + dt.timedelta(weeks=week)
            price = round(base * (1.0 + 0.1 * ((week // 5 + p) % 3 - 1)), 1) - 0.01
            if (week + p) % 7 == 0:
                promotions.append(f"p{p:02d},{monday},{monday + dt.timedelta(weeks=1)},feature,1")
            units = rng.poisson(30.0 * (price / base) ** -2.5)
            for i in range(5):
                quantity = units // 5 + (i < units % 5)
                if quantity:
                    day = f"{monday + dt.timedelta(days=i)} 12:00:00"
                    head = f"o{p:02d}{week:02d}{i},1,{day},paid,p{p:02d},{quantity}"
                    orders.append(f"{head},{price:.2f},{price:.2f},{price * quantity:.2f},gross")
    (folder / "orders.csv").write_text("\n".join(orders) + "\n")
    (folder / "promotions.csv").write_text("\n".join(promotions) + "\n")
    products = ["product_id,category,kind", *(f"p{p:02d},c{p % 3},merchandise" for p in range(PRODUCTS))]
    (folder / "products.csv").write_text("\n".join(products) + "\n")
    return folder
