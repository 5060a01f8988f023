"""What each order line earned, customer by customer: the definition of `simulators.contract.realised`."""

from __future__ import annotations

from pricing.errors import MissingCost, SettingsError
from simulators.contract.engine import literal, quoted
from simulators.contract.order_lines import define_order_lines
from simulators.contract.realised import define_funded
from simulators.contract.tables import Source

__all__ = ["define_line_profits"]


def define_line_profits(source: Source) -> bool:
    """Create the table ``line_profits`` (customer_id, order_id, at, units, revenue, profit); tell of costs.

    One row a retail line of a known customer: units that stayed sold; net sales after every discount that the
    shop funded, less refunds; and of that net profit: less unit costs and fees. Minor units. Returns that are
    still to come are not taken off. Where a product has no cost, the shop file's share of the net regular
    price stands for it.

    Returns
    -------
    bool
        Whether any cost was assumed.

    Raises
    ------
    MissingCost
        If a product has no cost and the shop file assumes none.
    SettingsError
        If the shop file assumes by a column that products do not have.
    """
    engine, fees = source.engine, source.shop.fees
    define_order_lines(source)
    define_funded(engine)
    assumed = _require_costs(source)
    engine.run(
        f"""
        CREATE OR REPLACE TABLE line_profits AS
        WITH dated AS (
            SELECT product_id, valid_from::DATE AS since, max_by(unit_cost, _row) AS unit_cost
            FROM costs GROUP BY ALL
        ), earliest AS (SELECT product_id, arg_min(unit_cost, since) AS unit_cost FROM dated GROUP BY ALL),
        back AS (
            SELECT order_id, line_id, sum(quantity) AS back, sum(refund) AS refund,
                sum(CASE WHEN coalesce(restocked, true) THEN 0 ELSE quantity END) AS lost
            FROM returns GROUP BY ALL
        ), lines AS (
            SELECT o.customer_id, o.order_id, o.ordered_at, quantity, day, o.product_id,
                least(coalesce(back, 0), quantity) AS back, least(coalesce(lost, 0), quantity) AS lost,
                coalesce(refund, 0) * gross / (1 + rate) AS refund,
                (paid + coalesce(f.amount, 0)) * gross AS taken, rate,
                {_assumption(source)} * coalesce(regular_price, offered_price) * gross / (1 + rate) AS assumed
            FROM order_lines AS o JOIN products AS p USING (product_id) LEFT JOIN funded AS f ON f._row =
            o._row
                LEFT JOIN back USING (order_id, line_id)
            WHERE apart IS NULL AND o.customer_id IS NOT NULL
        )
        SELECT l.customer_id, l.order_id, l.ordered_at AS "at", quantity - back AS units,
            taken / (1 + rate) - refund AS revenue,
            taken / (1 + rate) - refund
                - coalesce(d.unit_cost, e.unit_cost, assumed) * (quantity - back + lost)
                - ({float(fees.share)!r} * taken + {float(fees.per_unit)!r} * quantity) * (1 - back /
                quantity) AS profit
        FROM lines AS l LEFT JOIN earliest AS e USING (product_id)
            ASOF LEFT JOIN dated AS d ON l.product_id = d.product_id AND l.day >= d.since
        """
    )
    return assumed


def _require_costs(source: Source) -> bool:
    lacking = source.engine.rows(
        "SELECT DISTINCT product_id FROM order_lines ANTI JOIN costs USING (product_id) "
        "WHERE apart IS NULL ORDER BY product_id LIMIT 1"
    )
    if lacking and source.shop.cost_assumption is None:
        raise MissingCost(
            f"{lacking[0][0]} has no cost.",
            why="What a coupon adds is profit, and profit needs one.",
            todo="Add it to the costs table, or state [cost_assumption] in shop.toml.",
        )
    return bool(lacking)


def _assumption(source: Source) -> str:
    """Return SQL of the assumed cost's share of the net price of a product `p`."""
    assumption = source.shop.cost_assumption
    if assumption is None:
        return "NULL"
    declared = {name for name, _ in source.engine.columns("SELECT * FROM products")}
    if assumption.by not in declared:
        raise SettingsError(
            f"cost_assumption.by = {assumption.by!r} is not a column of products.",
            todo="Name category, subcategory, brand or a declared attribute.",
        )
    cases = " ".join(
        f"WHEN {literal(name)} THEN {float(share)!r}" for name, share in assumption.shares.items()
    )
    default = f"{float(assumption.default)!r}"
    return f"CASE p.{quoted(assumption.by)} {cases} ELSE {default} END" if cases else default
