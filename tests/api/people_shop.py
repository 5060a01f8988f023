"""A shop with customers of two kinds, carts, coupons and consents, drawn from a seed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

from tests.simulators.shops import ORDERS_HEADER, SHOP

DAYS, FIRST = 224, dt.datetime(2024, 1, 1, 9)  # noqa: DTZ001 - a shop's own clock, as its export writes it
GOODS = tuple("ABCDEFGHIJKL")
PRODUCTS = "product_id,category,kind\n" + "".join(
    f"{name},{'shoes' if place < 6 else 'hats'},merchandise\n" for place, name in enumerate(GOODS)
)
COUPONS = (
    "coupon_id,campaign_id,scope,percent,valid_from,valid_to\n"
    "shoes10,,line,0.10,2024-01-01,2026-01-01\nhats10,,line,0.10,2024-01-01,2026-01-01\n"
    "all5,,order,0.05,2024-01-01,2026-01-01\nold,,line,0.10,2023-01-01,2023-02-01\n"
)
COVERS = "coupon_id,product_id,category\nshoes10,,shoes\nhats10,G,\nhats10,H,\nold,A,\n"
CONSENTS = "customer_id,purpose,granted,at,text_version,source\n"
EVENTS = "customer_id,session_id,at,event,product_id,cart_id\n"


def people_tables(customers: int = 120, seed: int = 1, refused: int = 12) -> dict[str, str]:
    """Return the shop's tables as CSV text.

    Even customers come every five days and buy shoes, odd ones every twenty and buy hats; the first two stay
    away from the last two months on. The last `refused` customers said no.
    """
    rng = np.random.default_rng(seed)
    lines, events, consents = [ORDERS_HEADER], [EVENTS.strip()], [CONSENTS.strip()]
    for c in range(customers):
        name, often = f"u{c:03d}", c % 2 == 0
        yes = "false" if c >= customers - refused else "true"
        consents.append(f"{name},personal_offers,{yes},2023-12-01,1,web")
        for day in np.flatnonzero(rng.random(DAYS) < (0.2 if often else 0.05)):
            if c < 2 and day > DAYS - 60:
                continue
            when = FIRST + dt.timedelta(days=int(day), minutes=int(rng.integers(600)))
            mine = rng.choice(6, 3 if often else 1, replace=False, p=_TASTES) + (0 if often else 6)
            lines += [_line(f"o{c}-{day}", i, when, name, GOODS[int(g)]) for i, g in enumerate(mine)]
        events += _carts(rng, c, name, customers)
    return {
        "orders": "\n".join(lines) + "\n",
        "products": PRODUCTS,
        "coupons": COUPONS,
        "coupon_products": COVERS,
        "consents": "\n".join(consents) + "\n",
        "events": "\n".join(events) + "\n",
    }


_TASTES = np.array([8, 4, 2, 1, 1, 1]) / 17


def _line(order: str, place: int, when: dt.datetime, name: str, product: str) -> str:
    price = 10 + GOODS.index(product)
    at = f"{when:%Y-%m-%d %H:%M}"
    return f"{order},{place},{at},paid,{name},{product},1,{price}.00,{price}.00,{price}.00,gross"


def _carts(rng: np.random.Generator, c: int, name: str, customers: int) -> list[str]:
    """Return twenty carts of a customer, every other one bought within the hour; the last one just begun."""
    found: list[str] = []
    for n in range(20):
        day = DAYS - 1 if n == 19 else int(rng.integers(DAYS - 2))
        when = FIRST + dt.timedelta(days=day, hours=14, minutes=50)
        who = "" if c == customers // 2 else name
        cart = f"k{c}-{n}"
        found.append(f"{who},s{cart},{when:%Y-%m-%d %H:%M},cart_add,{GOODS[(c + n) % 12]},{cart}")
        if n < 19 and rng.random() < 0.5:
            later = when + dt.timedelta(minutes=int(rng.integers(1, 9)))
            found.append(f"{who},s{cart},{later:%Y-%m-%d %H:%M},purchase,,{cart}")
    return found


def write_people_shop(folder: Path, **changed: str) -> Path:
    """Write the shop's folder; tables in `changed` replace its own, an empty text leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.toml").write_text(SHOP, encoding="utf-8")
    for name, text in {**people_tables(), **changed}.items():
        if text:
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder
