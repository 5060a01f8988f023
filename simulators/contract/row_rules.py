"""Checks of rows against other rows: zones, currency, products, order lines, duplicates, totals, dates.

Each rule writes its reason into rows that have none yet, so a row is counted once, under the first thing
that is wrong with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pricing.columns import ColumnType, Table
from simulators.contract.engine import Engine, literal, quoted
from simulators.contract.shop_file import ShopFile

__all__ = ["BEGINNING", "DUPLICATE", "apply_row_rules"]

_PAST = {
    "orders": "ordered_at",
    "returns": "returned_at",
    "inventory": "at",
    "traffic": "at",
    "competitor_prices": "at",
    "redemptions": "at",
    "coupon_exposures": "at",
    "consents": "at",
    "events": "at",
}
"""Columns that say when something happened; it cannot have happened in the future."""

BEGINNING = dt.date(1980, 1, 1)
"""No shop's records are older. An empty date that was written as a number is: day 0 is 30 December 1899 in
spreadsheets, 1 January 1904 in some of them, and 1 January 1970 elsewhere."""

DUPLICATE = ": duplicate"
"""How the reason ends of a row whose key another one has."""

_LARGEST_LINE = 10**15
"""Largest shelf price times quantity of a line, in minor units: sums of such lines still keep every cent."""

_SPANS = {
    "prices": ("valid_from", "valid_to"),
    "promotions": ("starts_at", "ends_at"),
    "campaigns": ("starts_at", "ends_at"),
    "coupons": ("valid_from", "valid_to"),
    "products": ("launch_at", "exit_at"),
}
_LINES = ("discounts", "returns", "redemptions")


def apply_row_rules(engine: Engine, tables: Sequence[Table], shop: ShopFile, today: dt.date) -> None:
    """Mark every row of the loaded tables that contradicts another row or the shop file.

    Parameters
    ----------
    engine
        Session with a table ``typed_NAME`` for every table of the contract.
    tables
        Those that the shop has.
    shop
        Zones and currency.
    today
        First day that has not happened yet.
    """
    for table in tables:
        _zone(engine, table, shop)
        _currency(engine, table, shop)
        _future(engine, table, today)
        _span(engine, table)
        if "regular_price" in table.names:
            below = "regular_price < offered_price - 1"
            _mark(engine, table.name, below, "regular_price: below offered_price")
        for group in table.one_of:
            empty = " AND ".join(f"{quoted(name)} IS NULL" for name in group)
            _mark(engine, table.name, empty, f"{' and '.join(group)}: both missing")
        _duplicates(engine, table)
    loaded = [table.name for table in tables]
    if "product_aliases" in loaded:
        for table in tables:
            _rename(engine, table)
    if "products" in loaded:
        for table in tables:
            if "product_id" in table.names and table.name != "products":
                _unknown_products(engine, table.name)
    if "orders" in loaded:
        for name in _LINES:
            if name in loaded:
                _unknown_lines(engine, name)
        _returned(engine)
        _totals(engine)
        _order_discounts(engine)


def _mark(engine: Engine, name: str, condition: str, reason: str) -> None:
    engine.run(f"UPDATE typed_{name} SET _reason = {literal(reason)} WHERE _reason IS NULL AND ({condition})")


def _zone(engine: Engine, table: Table, shop: ShopFile) -> None:
    if "zone" in table.names:
        zones = ", ".join(literal(zone.id) for zone in shop.zones)
        engine.run(f"UPDATE typed_{table.name} SET zone = {literal(shop.zones[0].id)} WHERE zone IS NULL")
        _mark(engine, table.name, f"zone NOT IN ({zones})", "zone: not in the shop file")


def _currency(engine: Engine, table: Table, shop: ShopFile) -> None:
    if "currency" in table.names:
        other = f"upper(currency) <> {literal(shop.currency)}"
        _mark(engine, table.name, other, f"currency: not the shop's ({shop.currency})")


def _future(engine: Engine, table: Table, today: dt.date) -> None:
    if table.name in _PAST:
        column = _PAST[table.name]
        late = f"{quoted(column)} >= TIMESTAMP {literal(str(today))}"
        _mark(engine, table.name, late, f"{column}: in the future")
        early = f"{quoted(column)} < TIMESTAMP {literal(str(BEGINNING))}"
        _mark(engine, table.name, early, f"{column}: before {BEGINNING.year}")


def _span(engine: Engine, table: Table) -> None:
    if table.name in _SPANS:
        start, end = _SPANS[table.name]
        _mark(engine, table.name, f"{end} <= {start}", f"{end}: not after {start}")


def _duplicates(engine: Engine, table: Table) -> None:
    """Keep the first of the rows with one key; which one is right, nobody can tell.

    Of a yes and a no to one question at one moment the no is kept: what is doubtful was not agreed to.
    """
    if not table.key:
        return
    keys = ", ".join(quoted(name) for name in table.key)
    same = " AND ".join(f"t.{quoted(name)} IS NOT DISTINCT FROM k.{quoted(name)}" for name in table.key)
    reason = literal(", ".join(table.key) + DUPLICATE)
    first = "min(_row)"
    if table.name == "consents":
        first = f"coalesce(min(_row) FILTER (WHERE NOT granted), {first})"
    engine.run(
        f"UPDATE typed_{table.name} AS t SET _reason = {reason} FROM "
        f"(SELECT {keys}, {first} AS first FROM typed_{table.name} WHERE _reason IS NULL "
        f"GROUP BY {keys} HAVING count(*) > 1) AS k WHERE t._reason IS NULL AND {same} AND t._row <> k.first"
    )


def _rename(engine: Engine, table: Table) -> None:
    """Give renamed products their present key, where the old one had the meaning at the time of the row."""
    if "product_id" not in table.names or table.name in ("products", "product_aliases"):
        return
    times = [column.name for column in table.columns if column.type is ColumnType.TIME and column.required]
    when = f"coalesce(r.{quoted(times[0])} >= a.valid_from, true)" if times else "true"
    engine.run(
        f"UPDATE typed_{table.name} AS t SET product_id = k.meant FROM ("
        f"SELECT r._row AS place, arg_max(a.product_id, a.valid_from) AS meant FROM typed_{table.name} AS r "
        "JOIN (SELECT source_key, product_id, valid_from FROM typed_product_aliases "
        "WHERE _reason IS NULL) AS a "
        f"ON r.product_id = a.source_key AND {when} "
        "WHERE r.product_id NOT IN (SELECT product_id FROM typed_products WHERE _reason IS NULL) "
        "GROUP BY r._row) AS k WHERE t._row = k.place"
    )


def _unknown_products(engine: Engine, name: str) -> None:
    known = "SELECT product_id FROM typed_products WHERE _reason IS NULL"
    _mark(
        engine,
        name,
        f"product_id IS NOT NULL AND product_id NOT IN ({known})",
        "product_id: not in products",
    )


def _unknown_lines(engine: Engine, name: str) -> None:
    known = "SELECT order_id FROM typed_orders"
    _mark(engine, name, f"order_id IS NOT NULL AND order_id NOT IN ({known})", "order_id: not in orders")
    missing = (
        f"order_id IS NOT NULL AND line_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM typed_orders AS o "
        f"WHERE o.order_id = typed_{name}.order_id AND o.line_id = typed_{name}.line_id)"
    )
    _mark(engine, name, missing, "line_id: not in its order")


def _returned(engine: Engine) -> None:
    """Mark what came back of a line after all of it had; of a bad line nobody knows how much was sold."""
    engine.run(
        "UPDATE typed_returns SET _reason = 'quantity: more than was sold' FROM ("
        "SELECT r._row FROM (SELECT *, sum(quantity) OVER (PARTITION BY order_id, line_id "
        "ORDER BY returned_at, _row) AS back FROM typed_returns WHERE _reason IS NULL) AS r "
        "JOIN typed_orders AS o USING (order_id, line_id) "
        "WHERE o._reason IS NULL AND back > o.quantity * (1 + 1e-9)) AS bad "
        "WHERE typed_returns._row = bad._row"
    )


def _totals(engine: Engine) -> None:
    """Shelf price times quantity, less line discounts, is what was paid, within max(1, quantity) minor units.

    Without a discounts table nothing says how much was taken off, so only more than the shelf price is wrong.
    """
    large = f"offered_price * quantity > {_LARGEST_LINE}"
    _mark(engine, "orders", large, "offered_price x quantity: too large")
    difference = "(o.offered_price * o.quantity - coalesce(d.amount, 0) - o.paid)"
    wrong = f"abs({difference})" if _has_rows(engine, "discounts") else f"-{difference}"
    engine.run(
        "UPDATE typed_orders SET _reason = 'paid: not offered_price x quantity less discounts' FROM "
        "(SELECT o._row FROM typed_orders AS o LEFT JOIN (SELECT order_id, line_id, sum(amount) AS amount "
        "FROM typed_discounts WHERE line_id IS NOT NULL AND kind <> 'shipping' AND _reason IS NULL "
        "GROUP BY ALL) AS d USING (order_id, line_id) "
        f"WHERE o._reason IS NULL AND {wrong} > greatest(1, o.quantity) + 1e-6) AS bad "
        "WHERE typed_orders._row = bad._row"
    )


def _order_discounts(engine: Engine) -> None:
    """Mark discounts of whole orders that take off more than was paid for the order's lines."""
    engine.run(
        "UPDATE typed_discounts SET _reason = 'amount: more than its order' FROM ("
        "SELECT order_id FROM typed_discounts AS d LEFT JOIN (SELECT order_id, sum(paid) AS paid "
        "FROM typed_orders WHERE _reason IS NULL GROUP BY order_id) AS o USING (order_id) "
        "WHERE d._reason IS NULL AND line_id IS NULL AND kind <> 'shipping' "
        "GROUP BY order_id HAVING sum(amount) > coalesce(any_value(o.paid), 0)) AS bad "
        "WHERE typed_discounts.order_id = bad.order_id AND line_id IS NULL AND kind <> 'shipping' "
        "AND _reason IS NULL"
    )


def _has_rows(engine: Engine, name: str) -> bool:
    return engine.count(f"SELECT count(*) FROM (SELECT 1 FROM typed_{name} LIMIT 1)") > 0
