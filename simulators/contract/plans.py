"""Plans as of a day: promotions, reductions and deliveries of the coming periods that were decided by then.

A row about the time after a decision is a plan only if it was written before. Of promotions and reductions a
table does not say when they were, so they count only for a shop that declares its calendar set in advance of
demand; of a delivery it may (``ordered_at``).
"""

from __future__ import annotations

import datetime as dt

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.panel import Series
from pricing.plans import Plans
from simulators.contract.engine import Engine, literal
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source

__all__ = ["LONGEST", "build_plans"]

LONGEST = 104
"""Most periods ahead that plans are read for: two years of weeks."""

_DEEPEST = 0.99
"""A reduction by more than that counts as that: its logarithm must exist."""


def build_plans(source: Source, series: Series, *, as_of: dt.date) -> Plans:
    """Gather what is planned for every series from `as_of` on.

    A period's promotion share is the mean over the products of a price group and over its days, as in the
    panel. Its depth is the mean reduction ``1 - offered / regular`` of the posted prices over the same,
    where a time without a posted price is one without a reduction; a price without ``valid_to`` stands until
    the next one. Deliveries count in the period in which they are expected.

    Parameters
    ----------
    source
        A session in which :func:`simulators.contract.panel.build_panel` has made a panel.
    series
        That panel's series, or some of them (N).
    as_of
        First day of the first coming period; nothing decided later counts.
    """
    engine, shop = source.engine, source.shop
    _coming(engine, shop, as_of)
    where = _places(engine, series)
    shape = (LONGEST, len(series))
    declared = shop.promotion_calendar_set_in_advance
    nothing = np.zeros(shape)
    parts = {
        "depth": np.log1p(-_reduced(engine, shop, where, shape)) if declared else nothing,
        "feature": _promoted(engine, "feature", where, shape) if declared else nothing,
        "display": _promoted(engine, "display", where, shape) if declared else nothing,
        "receipts": _receipts(engine, as_of, where, shape),
    }
    planned = np.flatnonzero(np.any([values.any(axis=1) for values in parts.values()], axis=0))
    periods = int(planned[-1]) + 1 if planned.size else 0
    return Plans(
        **{name: np.ascontiguousarray(values[:periods]) for name, values in parts.items()},
        declared=declared,
        left_out=0 if declared else _left_out(engine, shop, where),
    )


def _coming(engine: Engine, shop: ShopFile, as_of: dt.date) -> None:
    """Create the table ``coming``: number, first moment and end of each period ahead."""
    step = shop.period_days
    engine.run(
        f"CREATE OR REPLACE TABLE coming AS SELECT t, "
        f"(DATE '{as_of}' + (t * {step})::INTEGER)::TIMESTAMP AS starts, "
        f"(DATE '{as_of}' + ((t + 1) * {step})::INTEGER)::TIMESTAMP AS ends "
        f"FROM range({LONGEST}) AS r (t)"
    )


def _places(engine: Engine, series: Series) -> Ints:
    """Return the column of each of the session's series, -1 where it is not asked for; int64."""
    column = {pair: i for i, pair in enumerate(zip(series.group, series.zone, strict=True))}
    rows = engine.rows("SELECT price_group, zone FROM series ORDER BY n")
    return np.array([column.get((str(group), str(zone)), -1) for group, zone in rows], dtype=np.int64)


def _spread(engine: Engine, sql: str, where: Ints, shape: tuple[int, int]) -> Floats:
    """Return the values of a query (n, t, value), float64 [H, N], 0 where it has none."""
    found = engine.arrays(sql)
    place = where[found["n"].astype(np.int64)]
    keep = place >= 0
    values = np.zeros(shape)
    values[found["t"].astype(np.int64)[keep], place[keep]] = found["value"][keep]
    return values


def _promoted(engine: Engine, kind: str, where: Ints, shape: tuple[int, int]) -> Floats:
    return _spread(
        engine,
        f"""
        SELECT n, t, least(sum(share ORDER BY product_id) / any_value(size), 1) AS value FROM (
            SELECT n, t, m.product_id, any_value(size) AS size,
                least(sum(coalesce(share, 1) * epoch(least(ends_at, ends) - greatest(starts_at, starts))
                    / epoch(ends - starts) ORDER BY starts_at, ends_at), 1) AS share
            FROM promotions JOIN members AS m USING (product_id, zone)
                JOIN coming ON starts_at < ends AND ends_at > starts
            WHERE promotions.kind = {literal(kind)} GROUP BY n, t, m.product_id
        ) GROUP BY n, t
        """,
        where,
        shape,
    )


def _reduced(engine: Engine, shop: ShopFile, where: Ints, shape: tuple[int, int]) -> Floats:
    """Return mean planned reductions as a share of the regular price: over time, lists, then products."""
    reduced = _spread(
        engine,
        f"""
        SELECT n, t, sum(reduced ORDER BY product_id) / any_value(size) AS value FROM (
            SELECT n, t, product_id, any_value(size) AS size, avg(reduced ORDER BY list) AS reduced FROM (
                SELECT n, t, m.product_id, list, any_value(size) AS size, sum(
                    greatest(1 - offered_price / regular_price, 0)
                    * epoch(least(until, ends) - greatest(valid_from, starts)) / epoch(ends - starts)
                    ORDER BY valid_from, offered_price) AS reduced
                FROM ({_posted(shop)}) AS posted JOIN members AS m USING (product_id, zone)
                    JOIN coming ON valid_from < ends AND until > starts
                GROUP BY n, t, m.product_id, list
            ) GROUP BY n, t, product_id
        ) GROUP BY n, t
        """,
        where,
        shape,
    )
    return np.minimum(reduced, _DEEPEST)


def _posted(shop: ShopFile) -> str:
    """Return SQL of every retail price with the end of the time that it stands."""
    lists = ", ".join(literal(name) for name in (" ", *shop.business_price_lists))
    return f"""
        SELECT product_id, zone, concat_ws(' ', channel, price_list) AS list, valid_from, regular_price,
            offered_price, least(coalesce(valid_to, TIMESTAMP '9999-01-01'), coalesce(lead(valid_from) OVER (
                PARTITION BY product_id, zone, channel, price_list ORDER BY valid_from
            ), TIMESTAMP '9999-01-01')) AS until
        FROM prices WHERE coalesce(price_list, '') NOT IN ({lists})
        """


def _receipts(engine: Engine, as_of: dt.date, where: Ints, shape: tuple[int, int]) -> Floats:
    return _spread(
        engine,
        f"""
        SELECT n, t, sum(quantity ORDER BY m.product_id, expected_at, quantity) AS value
        FROM receipts JOIN members AS m USING (product_id, zone)
            JOIN coming ON expected_at >= starts AND expected_at < ends
        WHERE coalesce(ordered_at < DATE '{as_of}', true) GROUP BY n, t
        """,
        where,
        shape,
    )


def _left_out(engine: Engine, shop: ShopFile, where: Ints) -> int:
    """Return the number of rows about coming promotions and reductions of the series asked for."""
    found = engine.rows(
        f"""
        SELECT n, count(*) FROM (
            SELECT n FROM promotions JOIN members USING (product_id, zone)
            WHERE promotions.kind IN ('feature', 'display') AND starts_at < (SELECT max(ends) FROM coming)
                AND ends_at > (SELECT min(starts) FROM coming)
            UNION ALL
            SELECT n FROM ({_posted(shop)}) AS posted JOIN members USING (product_id, zone)
            WHERE offered_price < regular_price AND valid_from < (SELECT max(ends) FROM coming)
                AND until > (SELECT min(starts) FROM coming)
        ) GROUP BY n ORDER BY n
        """
    )
    return sum(int(count) for n, count in found if where[int(n)] >= 0)
