"""Order lines as demand sees them: gross prices, the period each falls in, and what is set apart and why."""

from __future__ import annotations

from simulators.contract.engine import Engine, literal
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source

__all__ = ["APART", "day_window", "define_order_lines", "gross_factor", "period_start"]

APART = (
    "cancelled", "test", "draft", "third_party", "business", "gift_card", "service", "fee", "bundle",
    "no_posted_price",
)  # fmt: skip
"""Why a good order line is not retail demand for one product, in the order in which it is decided.
``no_posted_price``: weighed, and the orders do not say in which unit. ``bundle``: its components are sold."""


def define_order_lines(source: Source) -> None:
    """Create the view ``order_lines`` over every good order line.

    It adds ``price_group``, ``category``, ``day`` (local date), ``period`` (its first day), ``gross`` (factor
    from the row's price basis to a gross price), ``rate`` (tax rate of its zone) and ``apart`` (one of
    :data:`APART`, NULL for retail demand).
    """
    shop = source.shop
    lists = _among("o.price_list", shop.business_price_lists)
    own = _among("o.seller_id", shop.own_seller_ids)
    source.engine.run(
        f"""
        CREATE OR REPLACE VIEW order_lines AS
        SELECT o.*, coalesce(p.price_group, p.product_id) AS price_group, p.category,
            o.ordered_at::DATE AS day, {period_start("o.ordered_at::DATE", shop)} AS period,
            z.rate, CASE o.price_basis WHEN 'net' THEN 1 + z.rate ELSE 1 END AS gross,
            CASE
                WHEN o.status <> 'paid' THEN o.status
                WHEN o.seller_id IS NOT NULL AND NOT ({own}) THEN 'third_party'
                WHEN ({lists}) OR coalesce(c."group" = 'business', false) THEN 'business'
                WHEN p.kind <> 'merchandise' THEN p.kind
                WHEN coalesce(p.sold_by_weight, false) AND o.unit IS NULL THEN 'no_posted_price'
            END AS apart
        FROM orders AS o JOIN products AS p USING (product_id) LEFT JOIN customers AS c USING (customer_id)
            JOIN {gross_factor(shop)} AS z USING (zone)
        """
    )


def gross_factor(shop: ShopFile) -> str:
    """Return SQL of a table (zone, rate) with the tax rate of each zone."""
    rows = ", ".join(f"({literal(zone.id)}, {zone.tax_rate!r}::DOUBLE)" for zone in shop.zones)
    return f"(SELECT * FROM (VALUES {rows}) AS v (zone, rate))"


def period_start(day: str, shop: ShopFile) -> str:
    """Return SQL of the first day of the period in which a local date falls."""
    if shop.grain == "day":
        return f"({day})"
    return f"({day} - ((isodow({day}) - {shop.week_begins + 1} + 7) % 7)::INTEGER)"


def day_window(engine: Engine) -> tuple[str, str]:
    """Return the first day with a paid order and the day after the last, as ISO dates; empty without any."""
    first, last = engine.row(
        "SELECT min(day)::VARCHAR, (max(day) + 1)::DATE::VARCHAR FROM order_lines WHERE status = 'paid'"
    )
    return ("", "") if first is None else (str(first), str(last))


def _among(column: str, words: tuple[str, ...]) -> str:
    return f"coalesce({column} IN ({', '.join(map(literal, words))}), false)" if words else "false"
