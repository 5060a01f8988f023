"""Which products a customer might buy next, and what is known of each such pair before a day.

Candidates are the products that a customer bought most and most lately, and those that sell best in the shop.
Only customers who agreed are told apart; the rest are one unknown visitor, whose candidates are what sells.
Sums of decayed purchases are added up in whole millionths, so they do not depend on the order of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Ints
from pricing.customers import PERSONAL_OFFERS
from pricing.errors import DataError
from simulators.contract.engine import Engine, literal
from simulators.contract.order_lines import define_order_lines
from simulators.contract.tables import Source
from simulators.customers.consent import agreed
from simulators.customers.redemption import day_number

__all__ = ["HISTORY_DAYS", "PAIR_TABLES", "UNKNOWN", "Pairs", "bought_between", "build_pairs"]

HISTORY_DAYS = 365
"""Days of a customer's purchases that are read."""

PAIR_TABLES = ("orders", "products", "customers", "consents")
"""What is read here: `only` of :func:`simulators.contract.tables.open_source`."""

UNKNOWN = ""
"""Stands for every customer who has not agreed, and for whoever was never seen; first on that axis."""

_OWN, _SELLING = 80, 30
"""Candidates of each customer: those bought, and those that sell best and were not."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """n candidates, ascending by customer and product.

    Attributes
    ----------
    customer
        N pseudonyms, ascending; the first is :data:`UNKNOWN`.
    product
        M products that are anybody's candidate, ascending.
    row, column
        int64 [n]; places of customer and product.
    known
        What is known of each, by name, float64 [n]; see the queries below.
    day
        str; ISO date, first day not read.
    fingerprint
        str; of the data.
    """

    customer: tuple[str, ...]
    product: tuple[str, ...]
    row: Ints
    column: Ints
    known: NDArray[np.void]
    day: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.row)


def build_pairs(
    source: Source,
    day: str,
    purpose: str | None = PERSONAL_OFFERS,
    *,
    among: Sequence[str] | None = None,
    at_most: int | None = None,
) -> Pairs:
    """Read what customers bought before a day.

    Parameters
    ----------
    source
        The shop's tables, open; :data:`PAIR_TABLES` are read.
    day
        ISO date, first day not read.
    purpose
        As in :func:`simulators.customers.features.build_customers`.
    among
        Only these customers are told apart, for working in batches; None for all.
    at_most
        So many of them, chosen by a hash of their pseudonyms; None for all.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If nothing was sold in the year before that day.
    UsageError
        If `day` is no date.
    """
    source.require_clean()
    day_number(day)
    _define_bought(source, day, purpose)
    engine = source.engine
    _define_told(engine, among, at_most)
    for statement in (_PRODUCTS, _CANDIDATES):
        engine.run(statement.format(day=f"DATE {literal(day)}", own=_OWN, selling=_SELLING, unknown="''"))
    found = engine.arrays(f"{_DESCRIBED} ORDER BY customer_id, product_id")
    if len(found["product_id"]) == 0:
        raise DataError(
            f"Nothing was sold in the year before {day}.",
            why="What sells next is told from what sold before.",
            todo="Choose a later day, or hand over more of the past.",
        )
    customer, row = np.unique(found.pop("customer_id").astype(str), return_inverse=True)
    product, column = np.unique(found.pop("product_id").astype(str), return_inverse=True)
    known = np.empty(len(row), dtype=[(name, np.float64) for name in found])
    for name, values in found.items():
        known[name] = np.nan_to_num(np.asarray(values, dtype=np.float64))
    return Pairs(
        customer=tuple(map(str, customer)),
        product=tuple(map(str, product)),
        row=row.astype(np.int64),
        column=column.astype(np.int64),
        known=known,
        day=day,
        fingerprint=source.fingerprint,
    )


def bought_between(source: Source, pairs: Pairs, first: str, until: str) -> Bools:
    """Return which candidates [n] the same customer bought on a day from `first` on and before `until`."""
    engine = source.engine
    define_order_lines(source)
    engine.register("asked_customers", {"customer_id": pairs.customer, "row": [*range(len(pairs.customer))]})
    engine.register("asked_products", {"product_id": pairs.product, "col": [*range(len(pairs.product))]})
    found = engine.arrays(
        f"""
        SELECT DISTINCT "row" * {len(pairs.product)} + col AS code
        FROM order_lines JOIN asked_customers USING (customer_id) JOIN asked_products USING (product_id)
        WHERE status = 'paid' AND day >= DATE {literal(first)} AND day < DATE {literal(until)}
        """
    )
    code = pairs.row * len(pairs.product) + pairs.column
    return np.isin(code, found["code"].astype(np.int64))


def _define_bought(source: Source, day: str, purpose: str | None) -> None:
    """Create ``sold`` (all customers) and ``bought_days`` (those who agreed) before the day."""
    define_order_lines(source)
    engine, before = source.engine, f"DATE {literal(day)}"
    answer = agreed(purpose, "k.customer_id", f"({before} - INTERVAL 1 MICROSECOND)")
    engine.run(
        f"""
        CREATE OR REPLACE TABLE sold AS
        SELECT DISTINCT o.customer_id, o.order_id, o.product_id, day,
            coalesce(p.subcategory, p.category) AS kin
        FROM order_lines AS o JOIN products AS p USING (product_id)
        WHERE status = 'paid' AND (apart IS NULL OR apart IN ('bundle', 'no_posted_price'))
            AND day < {before} AND day >= {before} - {HISTORY_DAYS}
        """
    )
    engine.run(
        f"""
        CREATE OR REPLACE TABLE bought_days AS
        WITH k AS (SELECT DISTINCT customer_id FROM sold WHERE customer_id IS NOT NULL),
        may AS (SELECT customer_id FROM k WHERE {answer})
        SELECT DISTINCT customer_id, product_id, kin, day, {before} - day AS age
        FROM sold JOIN may USING (customer_id)
        """
    )


def _define_told(engine: Engine, among: Sequence[str] | None, at_most: int | None) -> None:
    """Create ``told_apart``: the customers whose candidates are asked for."""
    chosen = "true"
    if among is not None:
        engine.register("named_customers", {"customer_id": list(among)})
        chosen = "customer_id IN (SELECT customer_id FROM named_customers)"
    limit = "" if at_most is None else f"ORDER BY md5(customer_id), customer_id LIMIT {at_most}"
    engine.run(
        "CREATE OR REPLACE TABLE told_apart AS SELECT DISTINCT customer_id FROM bought_days "
        f"WHERE {chosen} {limit}"
    )


_PRODUCTS = """
CREATE OR REPLACE TABLE product_pace AS
WITH spans AS (
    SELECT customer_id, product_id, any_value(kin) AS kin, count(*) AS n, max(day) - min(day) AS span,
        min(age) <= 28 AS lately, max(age) > 28 AS earlier
    FROM bought_days GROUP BY customer_id, product_id
), kin AS (
    SELECT kin, (count(*) FILTER (lately AND earlier) + 2) / (count(*) FILTER (earlier) + 20) AS again
    FROM spans GROUP BY kin
), own AS (
    SELECT product_id, any_value(kin) AS kin, count(*) FILTER (lately AND earlier) AS again,
        count(*) FILTER (earlier) AS earlier, sum(span) AS span, sum(n - 1) AS gaps
    FROM spans GROUP BY product_id
), every AS (SELECT coalesce(sum(span) / nullif(sum(gaps), 0), 28) AS gap FROM own),
sales AS (
    SELECT product_id, any_value(kin) AS kin, count(*) FILTER (day >= {day} - 7) AS sold7,
        count(*) FILTER (day >= {day} - 28) AS sold28, count(*) FILTER (day >= {day} - 91) AS sold91,
        count(*) AS sold
    FROM sold GROUP BY product_id
)
SELECT s.*, (coalesce(o.again, 0) + 10 * coalesce(kin.again, 0.1)) / (coalesce(o.earlier, 0) + 10) AS again,
    (coalesce(o.span, 0) + 5 * every.gap) / (coalesce(o.gaps, 0) + 5) AS pace
FROM sales AS s CROSS JOIN every LEFT JOIN own AS o USING (product_id) LEFT JOIN kin ON kin.kin = s.kin
"""
"""How often a product comes back: the share of earlier buyers who bought it in the last 28 days, partially
pooled over its subcategory, and the days between purchases, partially pooled over the shop."""

_CANDIDATES = """
CREATE OR REPLACE TABLE candidates AS
WITH own AS (
    SELECT customer_id, product_id, count(*) AS n, min(age) AS since, max(age) AS tenure,
        sum(round(1e6 * 0.5 ** (age / 28))::BIGINT) / 1e6 AS lately,
        sum(round(1e6 * 0.5 ** (age / 91))::BIGINT) / 1e6 AS season,
        sum(round(1e6 * 0.5 ** (age / 182))::BIGINT) / 1e6 AS half_year
    FROM bought_days JOIN told_apart USING (customer_id) GROUP BY customer_id, product_id
), selling AS (
    SELECT product_id FROM product_pace ORDER BY sold28 DESC, sold DESC, product_id LIMIT {selling}
), everybody AS (SELECT customer_id FROM told_apart UNION ALL SELECT {unknown})
SELECT * FROM own QUALIFY row_number() OVER (
    PARTITION BY customer_id ORDER BY season + 0.3 * half_year DESC, product_id) <= {own}
UNION ALL
SELECT e.customer_id, s.product_id, 0, 0, 0, 0, 0, 0 FROM everybody AS e CROSS JOIN selling AS s
    ANTI JOIN own ON own.customer_id = e.customer_id AND own.product_id = s.product_id
"""

_DESCRIBED = """
WITH days AS (
    SELECT customer_id, age, count(*) AS lines FROM bought_days JOIN told_apart USING (customer_id)
    GROUP BY customer_id, age
), customers_pace AS (
    SELECT customer_id, count(*) AS visits, count(*) FILTER (age <= 28) AS visits28,
        sum(round(1e6 * 0.5 ** (age / 28))::BIGINT) / 1e6 AS visits_lately,
        sum(round(1e6 * 0.5 ** (age / 91))::BIGINT) / 1e6 AS visits_season, sum(lines) AS lines
    FROM days GROUP BY customer_id
), affinity AS (
    SELECT customer_id, kin, min(age) AS kin_since,
        sum(round(1e6 * 0.5 ** (age / 28))::BIGINT) / 1e6 AS kin_lately,
        sum(round(1e6 * 0.5 ** (age / 91))::BIGINT) / 1e6 AS kin_season
    FROM bought_days JOIN told_apart USING (customer_id) GROUP BY customer_id, kin
)
SELECT c.*, p.sold7, p.sold28, p.sold91, p.again, p.pace, v.visits, v.visits28, v.visits_lately,
    v.visits_season, v.lines, a.kin_since, a.kin_lately, a.kin_season
FROM candidates AS c JOIN product_pace AS p USING (product_id)
    LEFT JOIN customers_pace AS v USING (customer_id)
    LEFT JOIN affinity AS a ON a.customer_id = c.customer_id AND a.kin = p.kin
"""
