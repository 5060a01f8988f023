"""A small shop whose shoppers follow known rules, drawn without the model under test."""

from __future__ import annotations

import numpy as np

from pricing.panel import Series
from simulators.customers.basket_lines import Baskets, Shelf
from simulators.customers.basket_products import TASTES
from simulators.customers.baskets import Appeal

FIRST_DAY = 20_089
"""2025-01-01, a Wednesday; periods begin here."""
CATEGORIES, EACH = 6, 4


def shelf() -> Shelf:
    """Six categories of four products, two subcategories each."""
    names = [(f"c{c}", f"s{c}{p // 2}", f"p{c}{p}") for c in range(CATEGORIES) for p in range(EACH)]
    category, subcategory, group = zip(*names, strict=True)
    n = len(names)
    return Shelf.of(Series(tuple(group), ("z",) * n, tuple(category), tuple(subcategory), ("",) * n))[0]


def appeal(weeks: int, units: float = 10.0) -> Appeal:
    """Expected units alike for all products and weeks; nothing on offer."""
    goods = shelf()
    J = len(goods)
    return Appeal.of(
        goods,
        np.full((J, weeks), units),
        FIRST_DAY + 7 * np.arange(weeks, dtype=np.int64),
        7,
        np.zeros((J, weeks), dtype=np.bool_),
        np.zeros((TASTES, J, weeks)),
    )


def shoppers(households: int, weeks: int, *, loyal: float = 0.7, fan: float = 0.95, seed: int = 1) -> Baskets:
    """Draw baskets: every household shops every third day and takes its favourite product with `loyal`.

    Half of the households take category 0 with probability `fan`, the others with 1 - `fan`; everybody takes
    each other category with probability .4, and category 1 if nothing else.
    """
    draw = np.random.default_rng(seed)
    favourite = draw.integers(0, EACH, (households, CATEGORIES))
    household: list[int] = []
    day: list[int] = []
    visit: list[int] = []
    product: list[int] = []
    units: list[int] = []
    for today in range(weeks * 7):
        for h in range(households):
            if (today + h) % 3:
                continue
            p = np.full(CATEGORIES, 0.4)
            p[0] = fan if h % 2 else 1.0 - fan
            taken = np.flatnonzero(draw.random(CATEGORIES) < p)
            for c in taken if len(taken) else [1]:
                own = draw.random() < loyal
                visit.append(len(day))
                product.append(EACH * int(c) + int(favourite[h, c] if own else draw.integers(0, EACH)))
                units.append(1 + int(draw.random() < 0.25))
            household.append(h)
            day.append(FIRST_DAY + today)
    names = tuple(f"h{h:03}" for h in range(households))
    return Baskets(names, *(np.array(x, dtype=np.int64) for x in (household, day, visit, product, units)))
