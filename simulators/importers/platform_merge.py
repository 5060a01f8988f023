"""An export joined to what earlier imports wrote: orders restated whole, prices, costs and stock as history.

An order of the new export replaces everything that was known of it: lines, discounts, returns, totals; so a
late refund, an edit and a cancellation come in, and importing the same export twice changes nothing. Orders
that it does not hold stay. Of prices, costs and stock a row is added where it differs from the last one; no
row is ever changed or removed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pricing.errors import DataError
from pricing.schema import table
from simulators.contract.engine import Engine, quoted
from simulators.contract.shop_file import ShopFile
from simulators.importers.platform import Listing
from simulators.importers.platform_identity import Catalogue, Resolution
from simulators.importers.platform_orders import Left
from simulators.importers.platform_tables import LEDGER_FILES, STATED, Value, Writer, copy_table, read_old

__all__ = ["ALWAYS", "UNCATEGORISED", "WRITTEN", "join", "put_listings"]

ALWAYS: Final = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
"""From when the first meaning of a platform's key holds; a later meaning holds from its export on."""

UNCATEGORISED = "uncategorised"
"""Category of a product of which no listing tells one."""

_LISTED = "1"
"""Version of what a listing or the shop itself says; what is made of order lines has none, and gives way."""

_RESTATED = ("orders", "discounts", "returns", "platform_orders", "platform_refunds")
_HISTORY: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "prices": ("valid_from", ("regular_price", "offered_price", "price_basis", "announced_reduction")),
    "costs": ("valid_from", ("unit_cost",)),
    "inventory": ('"at"', ("on_hand", "stocked_out")),
    "product_aliases": ("valid_from", ("product_id",)),
}
"""Column of time and columns that make a difference, of tables that only grow."""

_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "orders": ("ordered_at", "order_id", "length(line_id)", "line_id"),
    "discounts": ("order_id", "length(line_id)", "line_id", "kind", "coupon_id", "amount"),
    "returns": ("returned_at", "order_id", "length(line_id)", "line_id", "quantity", "refund"),
    "products": ("product_id",),
    "prices": ("valid_from", "product_id"),
    "costs": ("valid_from", "product_id"),
    "inventory": ('"at"', "product_id"),
    "product_aliases": ("source_key", "valid_from"),
    "platform_orders": ("ordered_at", "order_id"),
    "platform_refunds": ("order_id", "refunded_at", "amount"),
    "platform_listings": ("product_id",),
}

WRITTEN: Final = tuple(_ORDER)
"""Tables that a platform's import writes; others of an earlier folder are carried over as they are."""


def put_listings(
    engine: Engine,
    catalogue: Catalogue,
    left: Iterable[Left],
    shop: ShopFile,
    listed_at: dt.datetime,
    told: Iterable[tuple[str, str, dt.datetime]],
) -> None:
    """Put products, prices, costs, stock and aliases of a product export into ``new_NAME``.

    Parameters
    ----------
    engine
        The session.
    catalogue, left
        Listings with their products, and the products that only order lines name. These are gone since
        `listed_at` if there are listings: what is not listed cannot be bought.
    shop
        Its first zone says whether posted prices include tax.
    listed_at
        When the export was made.
    told
        (source_key, product_id, valid_from) of the shop's own ``product_aliases``.
    """
    made = {name: Writer(engine, table(name)) for name in ("products", *_HISTORY)}
    stated = Writer(engine, STATED)
    for place, (product, listing) in enumerate(catalogue.listed.items()):
        _put_product(made["products"], product, listing, place)
        said: dict[str, Value] = {"listed_at": listed_at}
        for name, row in _facts(product, listing, shop, listed_at):
            made[name].add(row, _LISTED, place)
            said |= row
        stated.add({**said, "product_id": product}, _LISTED, place)
    gone = listed_at if catalogue.listed else None
    for place, entry in enumerate(left):
        _put_unlisted(made["products"], entry, gone, place)
    for place, (key, product) in enumerate(sorted(catalogue.aliases.items())):
        since = listed_at if key in catalogue.known.aliases else ALWAYS
        alias: dict[str, Value] = {"source_key": key, "product_id": product, "valid_from": since}
        made["product_aliases"].add(alias, "", place)
    for place, (key, product, since) in enumerate(told):
        alias = {"source_key": key, "product_id": product, "valid_from": since}
        made["product_aliases"].add(alias, _LISTED, place)
    for writer in (*made.values(), stated):
        writer.flush()


def _put_product(writer: Writer, product: str, listing: Listing, place: int) -> None:
    writer.add(
        {
            "product_id": product,
            "parent_id": listing.parent,
            "name": listing.name,
            "category": listing.category or UNCATEGORISED,
            "subcategory": listing.subcategory,
            "brand": listing.brand,
            "kind": listing.kind,
            "launch_at": listing.launched_at,
        },
        _LISTED,
        place,
    )


def _put_unlisted(writer: Writer, entry: Left, gone: dt.datetime | None, place: int) -> None:
    writer.add(
        {
            "product_id": entry.product_id,
            "name": "" if entry.nameless else entry.name,
            "category": UNCATEGORISED,
            "brand": entry.brand,
            "kind": entry.kind,
            "exit_at": gone if entry.how is Resolution.UNLISTED else None,
        },
        "",
        place,
    )


def _facts(
    product: str, listing: Listing, shop: ShopFile, at: dt.datetime
) -> Iterable[tuple[str, dict[str, Value]]]:
    if listing.price is not None and listing.price < 0:
        raise DataError(
            f"The product export says that {product} costs {listing.price}.",
            why="No shop sells below nothing; somebody has changed the file, or a plugin the price.",
            todo="Correct it in the shop, and export the products again.",
        )
    if listing.on_sale and listing.price is not None and listing.price > 0:
        reduced = listing.compare_at is not None and listing.compare_at > listing.price
        shelf = "gross" if shop.zones[0].prices_include_tax else "net"
        yield (
            "prices",
            {
                "product_id": product,
                "valid_from": listing.price_since or at,
                "valid_to": listing.price_until,
                "regular_price": listing.compare_at if reduced else listing.price,
                "offered_price": listing.price,
                "price_basis": listing.price_basis or shelf,
                "announced_reduction": reduced,
            },
        )
    if listing.cost is not None and listing.cost >= 0:
        yield "costs", {"product_id": product, "valid_from": at, "unit_cost": listing.cost}
    if listing.on_hand is not None:
        empty = listing.on_hand <= 0
        yield (
            "inventory",
            {
                "product_id": product,
                "at": at,
                "on_hand": max(listing.on_hand, listing.on_hand * 0),
                "stocked_out": empty and not listing.sells_when_empty,
            },
        )


def join(engine: Engine, before: Path | None, out: Path) -> tuple[tuple[str, int], ...]:
    """Write every table of :data:`WRITTEN` from what is new and what was before.

    Returns
    -------
    tuple of (str, int)
        Table and rows of those that have any.

    Raises
    ------
    DataError
        If an order whose returned lines are known is restated by an export that knows repayments only.
    """
    for made in (*(table(name) for name in WRITTEN if not name.startswith("platform")), *LEDGER_FILES):
        read_old(engine, made, before)
    _choose_orders(engine)
    sql = {name: _restated(name) for name in _RESTATED} | {name: _grown(name) for name in _HISTORY}
    sql |= {"products": _PRODUCTS, "platform_listings": _stated()}
    counts = [(name, copy_table(engine, name, sql[name], out, _ORDER[name])) for name in WRITTEN]
    return tuple((name, rows) for name, rows in counts if rows)


def _choose_orders(engine: Engine) -> None:
    """Create ``chosen`` (order_id, _version, _place): the new statement of each order that holds.

    The latest, of several of one time one that tells what came back, and of those the last.
    """
    engine.run(
        """
        CREATE TABLE chosen AS
        SELECT order_id, v.version AS _version, v.place AS _place FROM (
            SELECT order_id, max(
                {version: coalesce(_version, ''), known: refund_lines_known, place: _place}
            ) AS v FROM new_platform_orders GROUP BY order_id
        ) AS found LEFT JOIN old_platform_orders AS o USING (order_id)
        WHERE coalesce(o.version, '') = '' OR v.version = '' OR v.version >= o.version
        """
    )
    _refuse_namesakes(engine)
    lost = engine.rows(
        "SELECT order_id FROM new_platform_orders JOIN chosen USING (order_id, _place) "
        "JOIN old_platform_orders AS o USING (order_id) "
        "WHERE o.refund_lines_known AND NOT new_platform_orders.refund_lines_known ORDER BY order_id"
    )
    if lost:
        raise DataError(
            f"Of {len(lost)} orders, for example {lost[0][0]}, an earlier import knew which lines came back, "
            "and this export does not.",
            why="Restating them would lose that.",
            todo="Import the same kind of export as before (JSON of the Admin API), or leave --before out.",
        )


def _refuse_namesakes(engine: Engine) -> None:
    """Refuse two orders of one name: one of them would be taken for a restatement of the other."""
    named = engine.rows(
        "SELECT order_id FROM (SELECT order_id, source_id FROM new_platform_orders UNION ALL "
        "SELECT order_id, source_id FROM old_platform_orders) WHERE source_id IS NOT NULL "
        "GROUP BY order_id HAVING count(DISTINCT source_id) > 1 ORDER BY order_id LIMIT 1"
    )
    if named:
        raise DataError(
            f"Two orders are called {named[0][0]}.",
            why="One of them would be taken for a later statement of the other.",
            todo="Give one of them another name in the export.",
        )


def _stated() -> str:
    """Return SQL of what the platform last said of each product, with the time when it said so first."""
    said = [name for name in STATED.names if name not in ("product_id", "listed_at")]
    same = " AND ".join(f"n.{column} IS NOT DISTINCT FROM o.{column}" for column in said)
    columns = ", ".join(STATED.names)
    fresh = (
        f"(SELECT {columns} FROM new_platform_listings AS n WHERE NOT EXISTS (SELECT 1 FROM "
        "old_platform_listings AS o WHERE o.product_id = n.product_id "
        f"AND (n.listed_at <= o.listed_at OR ({same}))))"
    )
    return (
        f"FROM {fresh} UNION ALL SELECT {columns} FROM old_platform_listings "
        f"WHERE product_id NOT IN (SELECT product_id FROM {fresh})"
    )


def _restated(name: str) -> str:
    columns = ", ".join(quoted(f"{column}") for column in _columns(name))
    return (
        f"SELECT {columns} FROM new_{name} JOIN chosen USING (order_id, _place) UNION ALL "
        f"SELECT {columns} FROM old_{name} WHERE order_id NOT IN (SELECT order_id FROM chosen)"
    )


def _columns(name: str) -> tuple[str, ...]:
    made = next((entry for entry in LEDGER_FILES if entry.name == name), None) or table(name)
    return made.names


def _grown(name: str) -> str:
    """Return SQL of a table that only grows: the old rows, and new ones that say something else.

    Something else than the last row, and than the platform said the time before.
    """
    when, said = _HISTORY[name]
    key = "source_key" if name == "product_aliases" else "product_id"
    columns = ", ".join(quoted(column) for column in _columns(name))
    same = " AND ".join(f"n.{column} IS NOT DISTINCT FROM l.{column}" for column in said)
    again = "false"
    if name != "product_aliases":
        heard = " AND ".join(f"n.{column} IS NOT DISTINCT FROM s.{column}" for column in said)
        again = f"EXISTS (SELECT 1 FROM old_platform_listings AS s WHERE s.{key} = n.{key} AND {heard})"
    return f"""
        SELECT {columns} FROM old_{name} UNION ALL SELECT {columns} FROM (
            SELECT n.* FROM (
                SELECT * FROM new_{name}
                QUALIFY row_number() OVER (PARTITION BY {key}, {when} ORDER BY _version DESC, _place DESC) = 1
            ) AS n LEFT JOIN (
                SELECT * FROM old_{name}
                QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {when} DESC) = 1
            ) AS l USING ({key})
            WHERE l.{when} IS NULL OR (n.{when} > l.{when} AND NOT ({same}) AND NOT {again})
        )
    """


_PRODUCTS = """
WITH fresh AS (
    SELECT * FROM new_products
    QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY _version DESC, _place) = 1
)
SELECT * EXCLUDE (_version, _place) FROM fresh
WHERE _version = '1' OR product_id NOT IN (SELECT product_id FROM old_products)
UNION ALL BY NAME
SELECT * FROM old_products WHERE product_id NOT IN (SELECT product_id FROM fresh WHERE _version = '1')
    AND product_id NOT IN (SELECT source_key FROM new_product_aliases)
"""
"""A listing holds over what was known; what only order lines name, over nothing, and it goes once an alias
says which product it is: the contract then reads the earlier orders as that product's."""
