"""Discounts of whole orders, apportioned to lines where the orders lie."""

from __future__ import annotations

from simulators.contract.engine import Engine

__all__ = ["TURNS", "define_order_discounts"]

TURNS = ("goods", "money", "third_party", "not_sold")
"""Whose turn it is to take a discount of the whole order; a later turn takes only what exceeds the paid
totals of the earlier ones. ``goods``: merchandise and services that the shop sold. ``money``: gift cards and
fees, which shops leave out of discounts because they stand for money. ``third_party``: lines that another
seller sold. ``not_sold``: cancelled, test and draft lines."""


def define_order_discounts(engine: Engine) -> None:
    """Create the table ``order_discounts`` (_row, turn, amount): a line's part of its order's discount.

    What was taken off an order was taken off what was sold in it, so a line that was cancelled takes nothing
    as long as another was not; the turns of :data:`TURNS` say who takes what is left. Within a turn the
    amount is split pro rata to what was paid for the lines, by largest remainder, exactly as
    :func:`pricing.money.apportion` does it: the parts add up to the amount, no part exceeds what was paid,
    and of two equal remainders the line with the earlier `line_id` gets the minor unit (shorter ones first,
    so 2 is before 10), whatever the order of the rows. A return comes later and changes nothing here: what
    was paid back stands in its own row. Shipping discounts touch no line.

    Parameters
    ----------
    engine
        Session with the tables of the contract and the view ``order_lines``
        (:func:`simulators.contract.order_lines.define_order_lines`).
    """
    engine.run(
        f"""
        CREATE OR REPLACE TABLE order_discounts AS
        WITH whole AS (
            SELECT order_id, sum(amount)::HUGEINT AS off FROM discounts
            WHERE line_id IS NULL AND kind <> 'shipping' GROUP BY order_id
        ), lines AS (
            SELECT _row, order_id, line_id, off, paid::HUGEINT AS weight, {_TURN} AS turn
            FROM order_lines JOIN whole USING (order_id)
                JOIN (SELECT product_id, kind FROM products) USING (product_id)
        ), turns AS (
            SELECT order_id, turn, total, greatest(least(total, off - coalesce(sum(total) OVER before, 0)), 0)
                AS amount
            FROM (SELECT order_id, turn, off, sum(weight) AS total FROM lines GROUP BY ALL)
            WINDOW before AS (PARTITION BY order_id ORDER BY turn
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ), parts AS (
            SELECT _row, order_id, line_id, turn, amount, (amount * weight) // total AS part,
                (amount * weight) % total AS rest
            FROM lines JOIN turns USING (order_id, turn) WHERE total > 0
        ), ranked AS (
            SELECT *, amount - sum(part) OVER (PARTITION BY order_id, turn) AS remaining, row_number() OVER
                (PARTITION BY order_id, turn ORDER BY rest DESC, length(line_id), line_id) AS place
            FROM parts
        )
        SELECT _row, turn, (part + CASE WHEN place <= remaining THEN 1 ELSE 0 END)::BIGINT AS amount
        FROM ranked
        """
    )


_TURN = f"""CASE WHEN status <> 'paid' THEN {TURNS.index("not_sold")}
    WHEN apart = 'third_party' THEN {TURNS.index("third_party")}
    WHEN kind IN ('gift_card', 'fee') THEN {TURNS.index("money")} ELSE {TURNS.index("goods")} END"""
