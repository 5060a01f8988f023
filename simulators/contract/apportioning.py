"""Discounts of whole orders, apportioned to lines where the orders lie."""

from __future__ import annotations

from simulators.contract.engine import Engine

__all__ = ["define_order_discounts"]


def define_order_discounts(engine: Engine) -> None:
    """Create the table ``order_discounts`` (_row, amount): a line's part of its order's discount.

    Pro rata to what was paid for the line, by largest remainder, exactly as
    :func:`pricing.money.apportion` does it: the parts add up to the amount, and of two equal remainders
    the earlier row gets the minor unit. Shipping discounts touch no line.
    """
    engine.run(
        """
        CREATE OR REPLACE TABLE order_discounts AS
        WITH whole AS (
            SELECT order_id, sum(amount)::HUGEINT AS amount FROM discounts
            WHERE line_id IS NULL AND kind <> 'shipping' GROUP BY order_id
        ), lines AS (
            SELECT _row, order_id, amount, paid::HUGEINT AS weight,
                sum(paid::HUGEINT) OVER (PARTITION BY order_id) AS total
            FROM orders JOIN whole USING (order_id)
        ), parts AS (
            SELECT _row, order_id, amount, (amount * weight) // total AS part,
                (amount * weight) % total AS rest
            FROM lines WHERE total > 0
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY order_id ORDER BY rest DESC, _row) AS place,
                amount - sum(part) OVER (PARTITION BY order_id) AS remaining
            FROM parts
        )
        SELECT _row, (part + CASE WHEN place <= remaining THEN 1 ELSE 0 END)::BIGINT AS amount FROM ranked
        """
    )
