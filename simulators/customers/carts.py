"""Carts: what visitors put together, when they last touched it, and whether they bought it.

A cart is what one `cart_id` (or, where the shop has none, one session) held between two purchases. It ends
with a checkout or a purchase of the same cart or session, or with a paid order of the same customer. One that
was emptied is no cart any more.
"""

from __future__ import annotations

from simulators.contract.engine import Engine

__all__ = ["define_cart_spells", "define_carts"]


def define_carts(engine: Engine, first: str, until: str, allowed: str) -> None:
    """Create ``carts`` (customer_id, cart, life, began, touched, pieces, ended), of what held something.

    Parameters
    ----------
    engine
        A session with the tables events and orders.
    first, until
        SQL of the first moment to read and of the first one not to.
    allowed
        SQL of a condition on ``customer_id``: whose events may be read.
    """
    engine.run(_TOUCHES.format(first=first, until=until, allowed=allowed))
    engine.run(_CARTS)


def define_cart_spells(engine: Engine, first: str, until: str, allowed: str) -> None:
    """Create ``cart_spells`` (known, hours, bought, value, open), one row for each touch of a full cart.

    A spell lasts to the next touch, to the purchase (then `bought`) or to `until` (then `open`). `value` is
    what lay in the cart, at the products' median shelf prices, in minor units; 0 where the events name no
    product that sold. Arguments as in :func:`define_carts`.
    """
    engine.run(_TOUCHES.format(first=first, until=until, allowed=allowed))
    engine.run(_SPELLS.format(first=first, until=until))


_TOUCHES = """
CREATE OR REPLACE TABLE cart_touches AS
WITH seen AS (
    SELECT customer_id, session_id, cart_id, "at", event, product_id FROM events
    WHERE "at" >= {first} AND "at" < {until} AND ({allowed})
), of_session AS (
    SELECT session_id, min(cart_id) AS cart_id FROM seen
    WHERE cart_id IS NOT NULL GROUP BY session_id HAVING count(DISTINCT cart_id) = 1
), keyed AS (
    SELECT s.customer_id, s."at", s.event, s.product_id,
        CASE WHEN coalesce(s.cart_id, o.cart_id) IS NULL THEN 's ' || s.session_id
            ELSE 'c ' || coalesce(s.cart_id, o.cart_id) END AS cart
    FROM seen AS s LEFT JOIN of_session AS o USING (session_id)
), held AS (
    SELECT cart, min("at") AS began, max(customer_id) AS customer_id FROM keyed
    WHERE event IN ('cart_add', 'cart_remove') GROUP BY cart
)
SELECT h.cart, h.customer_id, k."at", k.product_id,
    CASE k.event WHEN 'cart_add' THEN 1 ELSE -1 END AS pieces, false AS ends
FROM keyed AS k JOIN held AS h USING (cart) WHERE k.event IN ('cart_add', 'cart_remove')
UNION ALL
SELECT h.cart, h.customer_id, k."at", NULL, 0, true FROM keyed AS k JOIN held AS h USING (cart)
WHERE k.event IN ('checkout', 'purchase') AND k."at" >= h.began
UNION ALL
SELECT h.cart, h.customer_id, o.ordered_at, NULL, 0, true
FROM held AS h JOIN (SELECT DISTINCT customer_id, ordered_at FROM orders WHERE status = 'paid') AS o
    ON o.customer_id = h.customer_id AND o.ordered_at >= h.began AND o.ordered_at < {until}
"""
"""An event without a cart counts for the only cart of its session."""

_CARTS = """
CREATE OR REPLACE TABLE carts AS
WITH told AS (
    SELECT *, count(*) FILTER (ends) OVER (
        PARTITION BY cart ORDER BY "at", ends ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS life
    FROM cart_touches
)
SELECT cart, any_value(customer_id) AS customer_id, life, min("at") FILTER (NOT ends) AS began,
    max("at") FILTER (NOT ends) AS touched, sum(pieces) AS pieces, min("at") FILTER (ends) AS ended
FROM told GROUP BY cart, life
HAVING count(*) FILTER (NOT ends) > 0 AND sum(pieces) > 0
"""

_SPELLS = """
CREATE OR REPLACE TABLE cart_spells AS
WITH prices AS (
    SELECT product_id, median(offered_price) AS price FROM orders
    WHERE status = 'paid' AND ordered_at >= {first} AND ordered_at < {until} GROUP BY product_id
), told AS (
    SELECT t.*, t.pieces * coalesce(p.price, 0) AS worth, count(*) FILTER (ends) OVER (
        PARTITION BY cart ORDER BY "at", ends ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS life
    FROM cart_touches AS t LEFT JOIN prices AS p USING (product_id)
), held AS (
    SELECT *, sum(pieces) OVER life AS held, sum(round(worth)::BIGINT) OVER life AS value
    FROM told WINDOW life AS (PARTITION BY cart, life ORDER BY "at" RANGE UNBOUNDED PRECEDING)
), spells AS (
    SELECT *, lead("at") OVER (PARTITION BY cart ORDER BY "at", ends) AS after,
        lead(ends) OVER (PARTITION BY cart ORDER BY "at", ends) AS bought
    FROM held
)
SELECT cart, "at", customer_id IS NOT NULL AS known,
    epoch(coalesce(after, {until}) - "at") / 3600 AS hours, coalesce(bought, false) AS bought,
    after IS NULL AS open, greatest(value, 0)::DOUBLE AS value
FROM spells WHERE NOT ends AND held > 0
"""
