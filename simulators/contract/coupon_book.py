"""Read a shop's coupon book from its tables: coupons, campaigns, and what its goods cost."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np

from pricing.catalogue import NO_LIMIT
from pricing.coupon_book import CampaignTerms, CouponBook, Goods
from pricing.coupons import NO_COUPON, PARTS, Coupon, Scope
from pricing.errors import DataError
from simulators.contract.engine import Engine, literal, quoted
from simulators.contract.local_time import local_time
from simulators.contract.order_lines import define_order_lines
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source

__all__ = ["BOOK_TABLES", "ReadBook", "read_coupon_book"]

BOOK_TABLES = (
    "orders", "products", "prices", "costs", "campaigns", "coupons", "coupon_products", "customers",
)  # fmt: skip
"""What :func:`read_coupon_book` reads: `only` of :func:`simulators.contract.tables.open_source`."""

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class ReadBook:
    """A coupon book, and what could not be in it.

    Attributes
    ----------
    book
        The book.
    left_out
        Coupon and reason, ascending: `no_value` (it takes nothing off), `used_up`, `over`.
    """

    book: CouponBook
    left_out: tuple[tuple[str, str], ...]


def read_coupon_book(source: Source, as_of: str) -> ReadBook:
    """Read the coupons that hold on or after a day, and the goods as they were known before it.

    Parameters
    ----------
    source
        The shop's tables, open; :data:`BOOK_TABLES` are read.
    as_of
        ISO date in the shop's time: costs and prices from then on are not read.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If a coupon belongs to several campaigns, so that nobody knows whose budget it spends.
    """
    source.require_clean()
    engine, shop = source.engine, source.shop
    clock = local_time(shop.time_zone)

    def second(moment: dt.datetime) -> int:
        local = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)  # noqa: DTZ001 - shop's clock
        return int(clock.earliest(np.array([local], dtype=np.int64))[0]) // _SECOND

    campaigns = tuple(
        CampaignTerms(
            str(name), str(kind), second(starts), second(ends), None if budget is None else int(budget)
        )
        for name, kind, starts, ends, budget in engine.rows(
            "SELECT campaign_id, kind, starts_at, ends_at, budget FROM campaigns ORDER BY campaign_id"
        )
    )
    windows = {campaign.campaign_id: (campaign.starts, campaign.ends) for campaign in campaigns}
    coupons, left_out = list[Coupon](), list[tuple[str, str]]()
    opens = second(dt.datetime.fromisoformat(as_of))
    for row in engine.rows(_COUPONS):
        named: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
        first, last = (second(named[name]) for name in ("valid_from", "valid_to"))
        begins, ends = windows.get(str(named["campaign_id"] or ""), (0, int(NO_LIMIT)))
        window = (max(first, begins), min(last, ends))
        reason = _unusable(named, window, opens)
        if reason:
            left_out.append((str(named["coupon_id"]), reason))
        else:
            coupons.append(_coupon(named, window))
    goods = _goods(source, as_of)
    zones = tuple((zone.id, zone.tax_rate, zone.prices_include_tax) for zone in shop.zones)
    fees, currency = shop.fees, shop.currency
    book = CouponBook(
        tuple(coupons),
        campaigns,
        goods,
        zones,
        fees.share,
        fees.per_unit,
        currency,
        as_of,
        source.fingerprint,
    )
    return ReadBook(book, tuple(left_out))


_COLUMNS = (
    "coupon_id", "campaign_id", "campaigns", "scope", "amount", "percent", "max_discount", "min_spend",
    "stacking", "limit_total", "limit_per_customer", "valid_from", "valid_to", "products", "categories",
    "known_only",
)  # fmt: skip

_COUPONS = """
WITH covered AS (
    SELECT coupon_id,
        list(DISTINCT product_id ORDER BY product_id) FILTER (product_id IS NOT NULL) AS products,
        list(DISTINCT category ORDER BY category) FILTER (product_id IS NULL) AS categories,
        count(DISTINCT campaign_id) AS campaigns, min(campaign_id) AS one
    FROM coupon_products GROUP BY coupon_id
)
SELECT k.coupon_id, coalesce(k.campaign_id, c.one),
    CASE WHEN k.campaign_id IS NULL THEN coalesce(c.campaigns, 0) ELSE 1 END, k.scope, k.amount, k.percent,
    k.max_discount, k.min_spend, coalesce(k.stacking, false), k.limit_total, k.limit_per_customer,
    k.valid_from, k.valid_to, coalesce(c.products, []), coalesce(c.categories, []),
    coalesce(k.known_only, false)
FROM coupons AS k LEFT JOIN covered AS c USING (coupon_id) ORDER BY k.coupon_id
"""


def _unusable(row: dict[str, Any], window: tuple[int, int], opens: int) -> str:
    """Return why a coupon cannot be offered any more, "" where it can."""
    if row["campaigns"] > 1:
        raise DataError(
            f"Coupon {row['coupon_id']} belongs to {row['campaigns']} campaigns and names none of its own.",
            why="Nobody knows whose budget it spends.",
            todo="Fill campaign_id in the coupons table.",
        )
    if not row["amount"] and not row["percent"]:
        return "no_value"
    if row["limit_total"] == 0 or row["limit_per_customer"] == 0:
        return "used_up"
    return "over" if window[1] <= max(opens, window[0]) else ""


def _coupon(row: dict[str, Any], window: tuple[int, int]) -> Coupon:
    share, amount = float(row["percent"] or 0.0), int(row["amount"] or 0)
    return Coupon(
        coupon_id=str(row["coupon_id"]),
        campaign_id=str(row["campaign_id"] or NO_COUPON),
        scope=Scope[str(row["scope"]).upper()],
        amount=amount,
        parts=round(share * PARTS),
        max_discount=_whole(row["max_discount"]),
        min_spend=int(row["min_spend"] or 0),
        stacking=bool(row["stacking"]),
        limit_total=_whole(row["limit_total"]),
        limit_per_customer=_whole(row["limit_per_customer"]),
        valid_from=window[0],
        valid_to=window[1],
        products=frozenset(map(str, row["products"])),
        categories=frozenset(map(str, row["categories"])),
        known_only=bool(row["known_only"]),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _goods(source: Source, as_of: str) -> Goods:
    """Return every product with its newest cost before `as_of`, else what the shop file assumes."""
    define_order_lines(source)
    engine, day = source.engine, f"DATE {literal(as_of)}"
    found = engine.rows(
        f"""
        WITH known AS (
            SELECT product_id, arg_max(unit_cost, valid_from) AS cost FROM costs
            WHERE valid_from < {day} GROUP BY product_id
        ), seen AS (
            SELECT product_id, zone, arg_max(coalesce(regular_price, offered_price) * gross / (1 + rate),
                (ordered_at, _row)) AS net
            FROM order_lines WHERE day < {day} AND apart IS NULL GROUP BY product_id, zone
        )
        SELECT p.product_id, p.category, p.kind = 'merchandise' AND coalesce(p.fixed_price, 0) = 0,
            any_value(k.cost), any_value({_share(engine, source.shop)}) * max(s.net)
        FROM products AS p LEFT JOIN known AS k USING (product_id) LEFT JOIN seen AS s USING (product_id)
        GROUP BY p.product_id, p.category, p.kind, p.fixed_price ORDER BY p.product_id
        """
    )
    cost = np.array([np.nan if row[3] is None else float(row[3]) for row in found], dtype=np.float64)
    share = np.array([np.nan if row[4] is None else float(row[4]) for row in found], dtype=np.float64)
    return Goods(
        product=tuple(str(row[0]) for row in found),
        category=tuple(str(row[1]) for row in found),
        reducible=np.array([bool(row[2]) for row in found], dtype=np.bool_),
        unit_cost=np.where(np.isnan(cost), share, cost),
        cost_assumed=np.isnan(cost) & ~np.isnan(share),
    )


def _share(engine: Engine, shop: ShopFile) -> str:
    """Return SQL of the share of the net regular price that a unit is assumed to cost; NULL without one."""
    assumption = shop.cost_assumption
    if assumption is None:
        return "NULL::DOUBLE"
    columns = {name for name, _ in engine.columns("SELECT * FROM products")}
    if assumption.by not in columns:
        raise DataError(f"cost_assumption.by = {assumption.by!r} is not a column of products.")
    cases = "".join(
        f" WHEN {literal(name)} THEN {share!r}" for name, share in sorted(assumption.shares.items())
    )
    column = f"p.{quoted(assumption.by)}"
    return (
        f"CASE {column}{cases} ELSE {assumption.default!r} END"
        if cases
        else f"{assumption.default!r}::DOUBLE"
    )
