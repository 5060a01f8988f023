"""SQL of the differences between what a platform printed and what the tables say, worked out order by order.

Every amount is in minor units, tax included unless it says otherwise, and every difference is made of
amounts of its own. What an order leaves over is rounding up to a minor unit a line and one for the order,
quarantined if the check set a row of it aside, and otherwise nothing: then it stays unexplained.
"""

from __future__ import annotations

from typing import Final

from simulators.contract.engine import file_literal, literal
from simulators.contract.tables import Source
from simulators.importers.platform_tables import LEDGER, REPAID

__all__ = ["DEMAND", "FINE", "PRINTED", "define_differences"]

FINE: Final = 10_000
"""Parts of a minor unit in which amounts are added, so that no order of rows changes a sum."""

_OURS = "status = 'paid' AND coalesce(apart, '') <> 'third_party'"
_MONTH = "strftime({}, '%Y-%m')"


def define_differences(source: Source) -> None:
    """Create the table ``differences`` (month, measure, kind, amount), and those that it is made of.

    Parameters
    ----------
    source
        With the views ``order_lines`` and ``order_discounts``.
    """
    engine, scale, zone = source.engine, source.shop.money.scale, literal(source.shop.time_zone)
    orders, refunds = (source.folder / f"{made.name}.parquet" for made in (LEDGER, REPAID))
    ordered, back = (_MONTH.format(f"timezone({zone}, {column})") for column in ("ordered_at", "refunded_at"))
    engine.run(
        f"CREATE TABLE platform_orders AS SELECT *, {ordered} AS month "
        f"FROM read_parquet({file_literal(orders)})"
    )
    cells = ", ".join(f"coalesce({name}, 0) * {scale} AS {name}" for name in _MONEY)
    engine.run(
        "CREATE TABLE printed AS SELECT order_id, month, status, price_basis = 'net' AS net, "
        f"shipping_tax * {scale} AS told_tax, {cells} FROM platform_orders "
        f"WHERE currency = {literal(source.shop.currency)}"
    )
    rows = f"SELECT * FROM read_parquet({file_literal(refunds)})" if refunds.is_file() else _NO_REFUNDS
    parts = ", ".join(f"r.{name} * {scale} AS {name}" for name in _REFUNDED)
    engine.run(
        "CREATE TABLE refunded AS SELECT order_id, status, net, "
        f"coalesce({back}, month) AS month, {parts} "
        f"FROM ({rows}) AS r JOIN printed USING (order_id)"
    )
    for sql in (_JUDGED, _EXPLAINED, _CAME_BACK):
        engine.run(sql)
    engine.run("CREATE TABLE differences (month VARCHAR, measure VARCHAR, kind VARCHAR, amount HUGEINT)")
    for measure, kind, amount, rest in _DIFFERENCES:
        engine.run(
            f"INSERT INTO differences SELECT * FROM (SELECT month, {literal(measure)}, {kind} AS kind, "
            f"round(({amount}) * {FINE})::HUGEINT AS amount FROM {rest}) "
            "WHERE kind IS NOT NULL AND amount <> 0"
        )


_MONEY = ("total", "tax", "shipping", "discounts", "shipping_discount", "tips", "fees")

_REFUNDED = ("amount", "lines", "lines_tax", "shipping", "adjusted")

_NO_REFUNDS = (
    "SELECT NULL::VARCHAR AS order_id, NULL::TIMESTAMPTZ AS refunded_at, 0.0 AS amount, 0.0 AS lines, "
    "0.0 AS lines_tax, 0.0 AS shipping, 0.0 AS adjusted WHERE false"
)

_JUDGED = f"""
CREATE TABLE judged AS
WITH sold AS (
    SELECT order_id, count(*) + 1 AS near, any_value(rate) AS rate,
        sum((paid - coalesce(d.amount, 0)) * gross) AS paid,
        sum((offered_price * quantity - paid + coalesce(d.amount, 0)) * gross) AS off,
        sum((offered_price * quantity - paid + coalesce(d.amount, 0)) * (gross - 1)) AS off_tax,
        sum((paid - coalesce(d.amount, 0)) * gross * rate / (1 + rate)) AS goods_tax
    FROM order_lines LEFT JOIN order_discounts AS d USING (_row) WHERE {_OURS} GROUP BY order_id
), bad AS (
    SELECT order_id FROM typed_orders WHERE _reason IS NOT NULL
    UNION SELECT order_id FROM typed_discounts WHERE _reason IS NOT NULL
    UNION SELECT order_id FROM typed_returns WHERE _reason IS NOT NULL
)
SELECT p.*, coalesce(near, 1) AS near, coalesce(rate, 0) AS rate, coalesce(s.paid, 0) AS paid,
    coalesce(off, 0) AS off, coalesce(off_tax, 0) AS off_tax, coalesce(goods_tax, 0) AS goods_tax,
    b.order_id IS NOT NULL AS bad
FROM printed AS p LEFT JOIN sold AS s USING (order_id) LEFT JOIN bad AS b USING (order_id)
"""

_EXPLAINED = """
CREATE TABLE explained AS
WITH usual AS (
    SELECT *, shipping * rate / CASE WHEN net THEN 1 ELSE 1 + rate END AS usual FROM judged
), taxed AS (
    SELECT *, coalesce(told_tax, CASE WHEN abs(tax - goods_tax - usual) <= near THEN usual
        WHEN abs(tax - goods_tax) <= near OR tax = 0 THEN 0 ELSE usual END) AS shipping_tax FROM usual
), parts AS (
    SELECT *, CASE WHEN net THEN shipping + shipping_tax ELSE shipping END AS shipped,
        tax - shipping_tax - goods_tax AS tax_left FROM taxed
)
SELECT *, total - paid - shipped - tips - fees - CASE WHEN net THEN tax_left ELSE 0 END AS total_left,
    discounts - shipping_discount - (off - off_tax) AS off_left FROM parts
"""
"""Where the export does not tell the tax on shipping, it is what the zone's rate makes it if the order's
tax then fits, and none if it fits without."""

_CAME_BACK = f"""
CREATE TABLE came_back AS
WITH ours AS (
    SELECT order_id, {_MONTH.format("returned_at")} AS month, sum(refund) AS refund, count(*) + 1 AS near,
        sum(refund * (gross - 1)) AS on_top, sum(refund * gross * rate / (1 + rate)) AS tax
    FROM returns JOIN order_lines USING (order_id, line_id) WHERE {_OURS} GROUP BY ALL
), theirs AS (
    SELECT order_id, month, sum(lines - lines_tax) AS lines, sum(lines_tax) AS lines_tax FROM refunded
    WHERE status = 'paid' GROUP BY ALL
)
SELECT order_id, month, coalesce(near, 1) AS near, coalesce(ours.tax, 0) AS tax,
    coalesce(lines, 0) - coalesce(refund, 0) AS left_over,
    coalesce(lines_tax, 0) - coalesce(on_top, 0) AS tax_over, coalesce(j.bad, false) AS bad
FROM ours FULL JOIN theirs USING (order_id, month)
    LEFT JOIN (SELECT order_id, bad FROM judged) AS j USING (order_id)
"""


def _kind(left: str, otherwise: str = "NULL") -> str:
    """Return SQL of the kind of what an order leaves over; NULL is unexplained."""
    small = f"abs({left}) <= near THEN 'rounding'"
    return f"CASE WHEN bad THEN 'quarantined' WHEN {small} ELSE {otherwise} END"


_PAID, _OTHERS = "explained WHERE status = 'paid'", "explained WHERE status <> 'paid'"
_BACK, _BACK_OTHERS = "refunded WHERE status = 'paid'", "refunded WHERE status <> 'paid'"
_LINES = (
    f"(SELECT *, {_MONTH.format('day')} AS month FROM order_lines) "
    "LEFT JOIN order_discounts AS d USING (_row) "
    f"WHERE {_OURS} AND apart IS NOT NULL"
)
_DIFFERENCES: Final = (
    ("total", "'shipping'", "shipped", _PAID),
    ("total", "'tips'", "tips", _PAID),
    ("total", "'fees'", "fees", _PAID),
    ("total", _kind("tax_left", "'other_tax'"), "tax_left", f"{_PAID} AND net"),
    ("total", _kind("total_left"), "total_left", _PAID),
    ("total", "status", "total", _OTHERS),
    ("discounts", "'shipping'", "shipping_discount", _PAID),
    ("discounts", "'tax_on_top'", "-off_tax", _PAID),
    ("discounts", _kind("off_left"), "off_left", _PAID),
    ("discounts", "status", "discounts", _OTHERS),
    ("refunds", "'shipping'", "shipping", _BACK),
    ("refunds", "'adjusted'", "adjusted", f"{_BACK} AND lines <> 0"),
    ("refunds", "'without_lines'", "amount - shipping", f"{_BACK} AND lines = 0"),
    ("refunds", _kind("left_over"), "left_over", "came_back"),
    ("refunds", _kind("tax_over", "'other_tax'"), "tax_over", "came_back"),
    ("refunds", "status", "amount", _BACK_OTHERS),
    ("tax", "'shipping'", "shipping_tax", _PAID),
    ("tax", _kind("tax_left", "'other_tax'"), "tax_left", _PAID),
    ("tax", "'returned'", "tax", "came_back"),
    ("tax", "status", "tax", _OTHERS),
    ("demand", "apart", "(paid - coalesce(d.amount, 0)) * gross", _LINES),
)
"""(measure, SQL of the kind, SQL of the amount, SQL of the rows)."""

PRINTED: Final = " UNION ALL ".join(
    f"SELECT month, '{measure}', round(sum({column}))::BIGINT FROM {rows} GROUP BY month"
    for measure, column, rows in (
        ("total", "total", "printed"),
        ("discounts", "discounts", "printed"),
        ("tax", "tax", "printed"),
        ("refunds", "amount", "refunded"),
    )
)
"""SQL of what the platform says: (month, measure, minor units)."""

DEMAND: Final = f"""
SELECT {_MONTH.format("day")} AS month,
    round(sum(round((paid - coalesce(d.amount, 0)) * gross * {FINE})::HUGEINT) / {FINE})::BIGINT
FROM order_lines LEFT JOIN order_discounts AS d USING (_row) WHERE apart IS NULL GROUP BY month
"""
"""SQL of what of it is retail demand: (month, minor units)."""
