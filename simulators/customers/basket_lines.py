"""Baskets as they were: what each household took home on each shopping day, of products with a demand model.

A basket is everything that a household bought on one day; a line is one product in it, however often it was
scanned. Households that did not agree are read as one sum, the remainder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError
from pricing.panel import Series
from simulators.contract.order_lines import define_order_lines
from simulators.contract.tables import Source
from simulators.customers.consent import agreed

__all__ = ["Baskets", "Shelf", "build_baskets"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """J products in the order of their category and subcategory, so that each of these is one stretch.

    Attributes
    ----------
    product
        J price groups.
    categories
        C names, ascending.
    category, subcategory
        int64 [J]; ascending numbers.
    category_start, subcategory_start
        int64 [C + 1], [S + 1]; first product of each stretch, and J.
    """

    product: tuple[str, ...]
    categories: tuple[str, ...]
    category: Ints
    subcategory: Ints
    category_start: Ints
    subcategory_start: Ints

    def __len__(self) -> int:
        return len(self.product)

    @staticmethod
    def of(series: Series) -> tuple[Shelf, Ints]:
        """Return the shelf of some series, and the row of each product in `series`, int64 [J].

        Raises
        ------
        DataError
            If a product stands in several zones: a basket is bought in one.
        """
        if len(set(series.zone)) != 1:
            raise DataError(
                f"The products stand in {len(set(series.zone))} zones.",
                why="Households shop in one zone, and the baskets of a zone answer to its prices.",
                todo="Hand over the series of one zone.",
            )
        labels = list(zip(series.category, series.subcategory, series.group, strict=True))
        order = sorted(range(len(labels)), key=labels.__getitem__)
        names = sorted(set(series.category))
        place = {name: i for i, name in enumerate(names)}
        pairs = sorted({label[:2] for label in labels})
        finer = {pair: i for i, pair in enumerate(pairs)}
        category = np.array([place[labels[i][0]] for i in order], dtype=np.int64)
        subcategory = np.array([finer[labels[i][:2]] for i in order], dtype=np.int64)
        shelf = Shelf(
            tuple(labels[i][2] for i in order),
            tuple(names),
            category,
            subcategory,
            np.searchsorted(category, np.arange(len(names) + 1)).astype(np.int64),
            np.searchsorted(subcategory, np.arange(len(pairs) + 1)).astype(np.int64),
        )
        return shelf, np.array(order, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Baskets:
    """V baskets with L lines. Days count from 1970-01-01.

    Attributes
    ----------
    customer
        H pseudonyms, ascending.
    household, day
        int64 [V]; whose basket, and when; ascending by day, then household; one a household and day.
    visit, product, units
        int64 [L]; basket, product of the shelf, and how often; ascending by basket, then product.
    """

    customer: tuple[str, ...]
    household: Ints
    day: Ints
    visit: Ints
    product: Ints
    units: Ints

    def of(self, chosen: Bools) -> Baskets:
        """Return the baskets of the households where `chosen` [H] holds."""
        number = np.cumsum(chosen) - 1
        kept = chosen[self.household]
        place = np.cumsum(kept) - 1
        lines = kept[self.visit]
        return replace(
            self,
            customer=tuple(self.customer[int(i)] for i in np.flatnonzero(chosen)),
            household=number[self.household[kept]],
            day=self.day[kept],
            visit=place[self.visit[lines]],
            product=self.product[lines],
            units=self.units[lines],
        )

    @property
    def lines(self) -> int:
        """Number of lines."""
        return len(self.visit)

    def before(self, day: int) -> Baskets:
        """Return the baskets before a day; households stay."""
        kept = int(np.searchsorted(self.day, day, side="left"))
        lines = int(np.searchsorted(self.visit, kept, side="left"))
        return replace(
            self,
            household=self.household[:kept],
            day=self.day[:kept],
            visit=self.visit[:lines],
            product=self.product[:lines],
            units=self.units[:lines],
        )


def build_baskets(source: Source, shelf: Shelf, purpose: str | None) -> tuple[Baskets, Floats]:
    """Read the baskets of the households that agreed, and what all others bought as one sum.

    Lines that are no retail demand, of products that the shelf does not hold, or sold by weight are left
    out, and so are baskets that hold nothing else. A fractional quantity is rounded, to one at least.

    Parameters
    ----------
    source
        The shop's tables, open; orders, products, customers and consents are read.
    shelf
        The products that have a demand model.
    purpose
        See :func:`simulators.customers.consent.agreed`.

    Returns
    -------
    tuple
        Baskets, and the units of each product that nobody who agreed has bought, float64 [J].

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If no basket may be read.
    """
    source.require_clean()
    define_order_lines(source)
    engine = source.engine
    engine.register("shelf_products", {"price_group": shelf.product, "j": range(len(shelf))})
    engine.run(
        f"""
        CREATE OR REPLACE TABLE basket_lines AS
        WITH known AS (
            SELECT DISTINCT customer_id FROM orders WHERE status = 'paid' AND customer_id IS NOT NULL
        ), willing AS (
            SELECT customer_id FROM known WHERE {agreed(purpose, "known.customer_id")}
        )
        SELECT w.customer_id, l.day - DATE '1970-01-01' AS day, s.j,
            greatest(1, round(sum(l.quantity)))::BIGINT AS units
        FROM order_lines AS l JOIN shelf_products AS s USING (price_group)
            LEFT JOIN willing AS w USING (customer_id)
        WHERE l.apart IS NULL AND l.unit IS NULL
        GROUP BY ALL
        """
    )
    found = engine.arrays(
        "SELECT customer_id, day, j, units FROM basket_lines WHERE customer_id IS NOT NULL "
        "ORDER BY day, customer_id, j"
    )
    if len(found["day"]) == 0:
        raise DataError(
            "No basket belongs to a household that may be read.",
            why=f"Nobody has consented to {purpose}." if purpose else "No order names a customer.",
            todo="Fill customer_id in orders, and the consents table.",
        )
    rest = engine.arrays(
        "SELECT j, sum(units)::DOUBLE AS units FROM basket_lines WHERE customer_id IS NULL GROUP BY j"
    )
    remainder = np.zeros(len(shelf))
    remainder[rest["j"].astype(np.int64)] = rest["units"]
    columns = (found[name].astype(np.int64) for name in ("day", "j", "units"))
    return _baskets(found["customer_id"].astype(str), *columns), remainder


def _baskets(customer: NDArray[np.str_], day: Ints, product: Ints, units: Ints) -> Baskets:
    names, household = np.unique(customer, return_inverse=True)
    new = np.ones(len(day), dtype=np.bool_)
    new[1:] = (day[1:] != day[:-1]) | (household[1:] != household[:-1])
    return Baskets(
        tuple(map(str, names)),
        household[new].astype(np.int64),
        day[new],
        np.cumsum(new) - 1,
        product,
        units,
    )
