"""Prices that a shop's own data show, as instants from which on each product had them.

Two tables tell of prices. ``prices`` holds what was posted; paid order lines hold what a shopper saw at that
moment. They are read as one stream by product and zone, in the order of their instants: a posted price stands
until an order, or the next posted one, shows another. Where several are shown at one instant (channels, lines
of one order) the lowest counts, as the law on price reductions would have it (:mod:`pricing.prior_price`).
Price lists of business customers, other sellers, and what is not sold by itself are left out.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass

from pricing.errors import SettingsError
from simulators.contract.engine import literal
from simulators.contract.order_lines import define_order_lines, gross_factor
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source

__all__ = ["SHOWN_BY", "SeenPrice", "seen_prices"]

SHOWN_BY = ("orders", "products", "prices", "customers")
"""Tables that are read."""


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """A price that the data show; minor units on the basis of the shop's shelves.

    Attributes
    ----------
    product_id, price_group, zone
        Of what, where.
    at
        From when on, UTC microseconds since 1970-01-01.
    regular, offered
        Before any reduction, and really asked; both 0 from where the product is no longer posted.
    again
        It is no change: only the newest sight of the price that stands.
    """

    product_id: str
    price_group: str
    zone: str
    at: int
    regular: int
    offered: int
    again: bool


def seen_prices(source: Source, now: dt.datetime) -> tuple[SeenPrice, ...]:
    """Return every change of price that the data show before `now`, and the newest sight of each price.

    Parameters
    ----------
    source
        An open source with at least the tables :data:`SHOWN_BY` that the shop has.
    now
        A time with its zone; prices posted for later are not seen yet.

    Raises
    ------
    SettingsError
        If zones disagree on whether shelf prices include tax.
    """
    define_order_lines(source)
    rows = source.engine.rows(_changes(source.shop, now))
    return tuple(
        SeenPrice(str(product), str(group), str(zone), int(at), int(regular), int(offered), bool(again))
        for product, group, zone, at, regular, offered, again in rows
    )


def _changes(shop: ShopFile, now: dt.datetime) -> str:
    zone, lists = literal(shop.time_zone), ", ".join(map(literal, (" ", *shop.business_price_lists)))
    local = now.astimezone(zoneinfo.ZoneInfo(shop.time_zone)).replace(tzinfo=None)
    until = f"TIMESTAMP {literal(local.isoformat(sep=' '))}"
    row_basis = _basis(shop)
    return f"""
        WITH posted AS (
            SELECT product_id, zone, valid_from, valid_to, regular_price, offered_price, {row_basis} AS basis,
                lead(valid_from) OVER (
                    PARTITION BY product_id, zone, channel, price_list ORDER BY valid_from) AS next
            FROM prices JOIN {gross_factor(shop)} AS z USING (zone)
            WHERE coalesce(price_list, '') NOT IN ({lists})
        ), told AS (
            SELECT product_id, zone, ordered_at AS since,
                coalesce(regular_price, offered_price) * basis AS regular, offered_price * basis AS offered
            FROM (SELECT *, {row_basis} AS basis FROM order_lines)
            WHERE apart IS NULL AND offered_price > 0 AND quantity > 0
            UNION ALL
            SELECT product_id, zone, valid_from, regular_price * basis, offered_price * basis FROM posted
            UNION ALL
            SELECT product_id, zone, valid_to, 0, 0 FROM posted
            WHERE valid_to < coalesce(next, TIMESTAMP '9999-01-01')
        ), once AS (
            SELECT product_id, zone, epoch_us(timezone({zone}, since)) AS instant,
                greatest(round(regular), sign(offered))::BIGINT AS regular,
                greatest(round(offered), sign(offered))::BIGINT AS offered
            FROM told WHERE since < {until}
            QUALIFY row_number() OVER (
                PARTITION BY product_id, zone, instant
                ORDER BY offered = 0, offered, regular) = 1
        ), changes AS (
            SELECT *, lag(regular) OVER line IS DISTINCT FROM regular
                    OR lag(offered) OVER line IS DISTINCT FROM offered AS new,
                lead(instant) OVER line IS NULL AS newest
            FROM once WINDOW line AS (PARTITION BY product_id, zone ORDER BY instant)
        )
        SELECT product_id, coalesce(price_group, product_id), zone, instant,
            greatest(regular, offered), offered, NOT new
        FROM changes JOIN products USING (product_id)
        WHERE (new OR newest) AND kind = 'merchandise' ORDER BY product_id, zone, instant
        """


def _basis(shop: ShopFile) -> str:
    """Return SQL of the factor from a row's price basis to that of the shelves."""
    bases = {zone.prices_include_tax for zone in shop.zones}
    if len(bases) > 1:
        raise SettingsError(
            "zones: some shelf prices include tax and some do not.",
            why="One history of prices needs one basis.",
            todo="Run the zones of each basis apart.",
        )
    if bases == {True}:
        return "CASE price_basis WHEN 'net' THEN 1 + rate ELSE 1 END"
    return "CASE price_basis WHEN 'net' THEN 1 ELSE 1 / (1 + rate) END"
