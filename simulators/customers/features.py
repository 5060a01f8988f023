"""Compute the registered features of customers where their tables lie, each within its own retention.

Only rows of customers who agreed are aggregated, strictly before the day asked for, and never older than the
register allows; everybody else is listed and described as the unknown visitor.
"""

from __future__ import annotations

import numpy as np

from pricing.customers import CUSTOMER_FEATURES, PERSONAL_OFFERS, Customers, place_of, visible
from pricing.errors import DataError
from simulators.contract.engine import Engine, literal
from simulators.contract.order_lines import define_order_lines
from simulators.contract.tables import Source
from simulators.customers.carts import define_carts
from simulators.customers.consent import agreed
from simulators.customers.redemption import day_number

__all__ = ["CUSTOMER_TABLES", "build_customers"]

CUSTOMER_TABLES = (
    "orders", "products", "discounts", "returns", "coupons", "coupon_exposures", "redemptions", "customers",
    "consents", "events",
)  # fmt: skip
"""What :func:`build_customers` reads: `only` of :func:`simulators.contract.tables.open_source`."""


def build_customers(source: Source, as_of: str, purpose: str | None = PERSONAL_OFFERS) -> Customers:
    """Describe every customer as they were known before a day.

    Parameters
    ----------
    source
        The shop's tables, open; :data:`CUSTOMER_TABLES` are read.
    as_of
        ISO date, first day that is not read.
    purpose
        Purpose of the consents table: the last answer before `as_of` must be yes, and so must the last one of
        all, for whoever withdrew since is not to be read either. None: the caller has another ground to
        read every customer's history (a research panel that agreed to take part), and says so here.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If no customer is known before that day.
    UsageError
        If `as_of` is no date.
    """
    source.require_clean()
    engine, until, day = source.engine, day_number(as_of), f"DATE {literal(as_of)}"
    define_order_lines(source)
    _define_known(engine, day, purpose)
    if engine.count("SELECT count(*) FROM known_customers") == 0:
        raise DataError(
            f"No customer is known before {as_of}.",
            why="No row of orders, customers, events or coupon_exposures before that day has a customer_id.",
            todo="Fill customer_id in orders; see docs/data-contract.md.",
        )
    _define_spending(engine, day)
    oldest = f"{day} - {_kept('abandonment')}"
    allowed = "customer_id IN (SELECT customer_id FROM known_customers WHERE agreed)"
    define_carts(engine, oldest, day, allowed)
    parts = [_SHOPPING, _SPENDING, _RHYTHM, _ENGAGEMENT, _CART_HABITS, _OFFERED, _USED]
    columns = ", ".join(f"coalesce({f.name}, {f.unknown!r}) AS {f.name}" for f in CUSTOMER_FEATURES)
    joins = " ".join(
        f"LEFT JOIN ({_filled(sql, day)}) AS p{i} USING (customer_id)" for i, sql in enumerate(parts)
    )
    found = engine.arrays(
        f"SELECT customer_id, agreed, {columns} FROM known_customers {joins} ORDER BY customer_id"
    )
    values = np.stack([np.asarray(found[f.name], dtype=np.float64) for f in CUSTOMER_FEATURES], axis=1)
    consented = np.asarray(found["agreed"], dtype=np.bool_)
    names = tuple(map(str, found["customer_id"]))
    return Customers(names, visible(values, consented), consented, until, source.fingerprint)


def _define_known(engine: Engine, day: str, purpose: str | None) -> None:
    answer = agreed(purpose, "k.customer_id", f"({day} - INTERVAL 1 MICROSECOND)")
    engine.run(
        f"""
        CREATE OR REPLACE TABLE known_customers AS
        WITH k AS (
            SELECT customer_id FROM orders WHERE ordered_at < {day} AND status IN ('paid', 'cancelled')
            UNION SELECT customer_id FROM customers WHERE coalesce(first_seen < {day}, true)
            UNION SELECT customer_id FROM events WHERE "at" < {day}
            UNION SELECT customer_id FROM coupon_exposures WHERE "at" < {day}
        )
        SELECT customer_id, {answer} AS agreed FROM k WHERE customer_id IS NOT NULL
        """
    )


def _define_spending(engine: Engine, day: str) -> None:
    """Create ``shopped``: one row a customer, day and product, net money in thousandths of a minor unit.

    Whole numbers add up to the same in any order. An order's own discounts are taken off all its lines pro
    rata; goods sold by weight and bundles count, fees, services and gift cards do not.
    """
    engine.run(
        f"""
        CREATE OR REPLACE TABLE shopped AS
        WITH mine AS (
            SELECT o.* FROM order_lines AS o JOIN known_customers USING (customer_id)
            WHERE agreed AND status = 'paid' AND o.day < {day} AND o.day >= {day} - {_kept("recency")}
        ), whole AS (
            SELECT order_id, sum(amount) AS amount, bool_or(kind = 'coupon') AS coupon FROM discounts
            WHERE line_id IS NULL AND kind <> 'shipping' GROUP BY order_id
        ), own AS (
            SELECT order_id, line_id, bool_or(kind = 'coupon') AS coupon FROM discounts
            WHERE line_id IS NOT NULL AND kind <> 'shipping' GROUP BY order_id, line_id
        ), back AS (
            SELECT order_id, line_id, sum(refund) AS refund FROM returns WHERE returned_at < {day}
            GROUP BY order_id, line_id
        ), sums AS (SELECT order_id, sum(paid) AS paid FROM mine GROUP BY order_id)
        SELECT m.customer_id, m.day, m.product_id, m.category,
            round(1000 * m.gross / (1 + m.rate) * greatest(
                m.paid * (1 - least(coalesce(w.amount / nullif(s.paid, 0), 0), 1)) - coalesce(b.refund, 0), 0
            ))::BIGINT AS net,
            coalesce(m.offered_price < m.regular_price, false) OR w.order_id IS NOT NULL
                OR own.order_id IS NOT NULL AS reduced,
            coalesce(w.coupon, false) OR coalesce(own.coupon, false) AS coupon
        FROM mine AS m JOIN sums AS s USING (order_id) LEFT JOIN whole AS w USING (order_id)
            LEFT JOIN own USING (order_id, line_id) LEFT JOIN back AS b USING (order_id, line_id)
        WHERE m.apart IS NULL OR m.apart IN ('bundle', 'no_posted_price')
        """
    )


def _kept(name: str) -> str:
    """Return the retention of a feature as SQL."""
    return f"{CUSTOMER_FEATURES[place_of(name)].retention}"


def _filled(sql: str, day: str) -> str:
    """Put the day and every feature's retention into a query."""
    kept = {feature.name: f"({day} - {feature.retention})" for feature in CUSTOMER_FEATURES}
    return sql.format(day=day, **kept)


_SHOPPING = """
SELECT customer_id, ln(1 + {day} - max(day)) AS recency,
    ln(1 + {day} - min(day) FILTER (day >= {tenure})) AS tenure
FROM shopped WHERE day >= {recency} GROUP BY customer_id
"""

_SPENDING = """
SELECT customer_id, ln(1 + count(DISTINCT day)) AS frequency, ln(1 + sum(net) / 1000) AS monetary,
    ln(1 + sum(net) / 1000 / count(DISTINCT day)) AS basket_value,
    ln(1 + count(DISTINCT (day, product_id)) / count(DISTINCT day)) AS basket_size,
    ln(1 + count(DISTINCT category)) AS categories,
    (coalesce(sum(net) FILTER (reduced) / nullif(sum(net), 0), 0.2) * count(DISTINCT day) + 0.4)
        / (count(DISTINCT day) + 2) AS discount_share,
    (count(DISTINCT day) FILTER (coupon) + 0.3) / (count(DISTINCT day) + 8) AS coupon_share
FROM shopped WHERE day >= {frequency} GROUP BY customer_id
"""

_RHYTHM = """
SELECT customer_id, ln((total + 28) / (n + 1)) AS interval,
    1 / (1 + (n * sqrt(greatest(squares * n / total ** 2 - 1, 0)) + 3) / (n + 3)) AS regularity
FROM (
    SELECT customer_id, count(gap) AS n, sum(gap)::DOUBLE AS total, sum(gap * gap)::DOUBLE AS squares
    FROM (
        SELECT customer_id, day - lag(day) OVER (PARTITION BY customer_id ORDER BY day) AS gap
        FROM (SELECT DISTINCT customer_id, day FROM shopped WHERE day >= {interval})
    ) GROUP BY customer_id HAVING count(gap) > 0
)
"""

_ENGAGEMENT = """
SELECT customer_id,
    ln(1 + count(*) FILTER (event IN ('view', 'search') AND "at" >= {views})) AS views,
    ln(1 + count(*) FILTER (event = 'cart_add' AND "at" >= {cart_adds})) AS cart_adds,
    ln(1 + count(*) FILTER (event = 'email_open' AND "at" >= {email_opens})) AS email_opens,
    ln(1 + count(*) FILTER (event = 'email_click' AND "at" >= {email_clicks})) AS email_clicks
FROM events JOIN known_customers USING (customer_id)
WHERE agreed AND "at" < {day} AND "at" >= least({views}, {cart_adds}, {email_opens}, {email_clicks})
GROUP BY customer_id
"""

_CART_HABITS = """
SELECT customer_id,
    (count(*) FILTER (touched < {day} - INTERVAL 1 DAY AND ended IS NULL) + 1.4)
        / (count(*) FILTER (touched < {day} - INTERVAL 1 DAY OR ended IS NOT NULL) + 2) AS abandonment,
    coalesce(1 / (1 + epoch({day}::TIMESTAMP - max(touched)
        FILTER (ended IS NULL AND touched >= {cart_waiting})) / 86400), 0) AS cart_waiting
FROM carts WHERE customer_id IS NOT NULL GROUP BY customer_id
"""

_OFFERED = """
SELECT customer_id, ln(1 + count(DISTINCT (coalesce(coupon_id, ''), coalesce(campaign_id, ''), "at"::DATE)))
    AS offers
FROM coupon_exposures JOIN known_customers USING (customer_id)
WHERE agreed AND "at" < {day} AND "at" >= {offers} AND NOT coalesce(holdout, false) GROUP BY customer_id
"""

_USED = """
SELECT customer_id, (count(*) FILTER (used) + 0.2) / (count(*) + 4) AS redeemed_share
FROM (
    SELECT e.customer_id, e.coupon_id, e.campaign_id, bool_or(r.coupon_id IS NOT NULL) AS used
    FROM (
        SELECT customer_id, coupon_id, campaign_id, min("at") AS "at"
        FROM coupon_exposures JOIN known_customers USING (customer_id)
        WHERE agreed AND "at" < {day} AND "at" >= {redeemed_share} AND NOT coalesce(holdout, false)
        GROUP BY customer_id, coupon_id, campaign_id
    ) AS e LEFT JOIN (
        SELECT r.customer_id, r.coupon_id, r."at", coalesce(r.campaign_id, k.campaign_id) AS campaign_id
        FROM redemptions AS r LEFT JOIN coupons AS k USING (coupon_id)
        WHERE coalesce(r.status, 'redeemed') = 'redeemed' AND r."at" < {day}
    ) AS r ON r.customer_id = e.customer_id AND r."at" >= e."at"
        AND coalesce(r.coupon_id = e.coupon_id, true) AND coalesce(r.campaign_id = e.campaign_id, true)
    GROUP BY e.customer_id, e.coupon_id, e.campaign_id
) GROUP BY customer_id
"""
