"""From tables to the panel, aggregated where they lie: no order is ever loaded into Python."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.errors import DataError
from pricing.panel import SILENCE_DAYS, Panel, Series
from simulators.contract.engine import Engine, literal
from simulators.contract.gaps import forward
from simulators.contract.order_lines import day_window, define_order_lines, gross_factor, period_start
from simulators.contract.other_zones import OTHER_ZONES, other_zone_prices
from simulators.contract.price_index import TO_LEVEL, define_price_index, price_index
from simulators.contract.shop_file import ShopFile
from simulators.contract.stock import stock
from simulators.contract.tables import Source

__all__ = ["build_panel"]


def build_panel(source: Source, until: str | None = None) -> Panel:
    """Aggregate a shop's tables to price group x zone x period.

    Units and prices are those of paid retail lines of merchandise with a posted unit price. Prices are
    gross, and an index where several products or channels sell
    (:mod:`simulators.contract.price_index`); where a period has no sale they come from the prices table if
    there is one (mean over the time that each stood), and are NaN otherwise. A series is on sale from the
    launch to the exit of its products, or from its first to its last sale where those are unknown. A product
    whose first posted price is of the last eight weeks is a series before it sells.
    Promotion shares are means over the group's products and the days that the data cover. Stock is as
    :func:`simulators.contract.stock.stock` reads it from the counts.

    Parameters
    ----------
    source
        The shop's tables, open.
    until
        ISO date, exclusive, the end of training: how the prices of stores and channels relate to each other
        is learned before it. None: from everything.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If there is no demand at all, or a traffic table misses a period.
    """
    source.require_clean()
    define_order_lines(source)
    engine, shop = source.engine, source.shop
    if engine.count("SELECT count(*) FROM (SELECT 1 FROM order_lines WHERE apart IS NULL LIMIT 1)") == 0:
        raise DataError(
            "No order line is paid retail demand for merchandise with a posted price.",
            todo="See `tarifa check`: it counts what was set apart and why.",
        )
    periods, days = _calendar(engine, shop)
    series = _series(engine, shop)
    define_price_index(engine, until)
    shape = (len(series), len(periods))
    units, offered, regular = _sales(engine, shape)
    if source.has("prices"):
        _define_posted(engine, shop)
        posted_offered, posted_regular = _posted(engine, shape)
        offered = np.where(np.isnan(offered), posted_offered, offered)
        regular = np.where(np.isnan(regular), posted_regular, regular)
    instruments, names = _instruments(engine, shop, shape)
    if shop.demand_shocks_are_local:
        instruments, names = _with_other_zones(instruments, names, series, regular)
    counted = stock(engine, shop, shape) if source.has("inventory") else None
    return Panel(
        series=series,
        periods=periods,
        days=days,
        units=units,
        on_sale=_on_sale(engine, units, periods, shop.period_days),
        offered=offered,
        regular=regular,
        feature=_promoted(engine, "feature", shape),
        display=_promoted(engine, "display", shape),
        in_stock=np.ones(shape) if counted is None else counted.share,
        traffic=_traffic(source, periods),
        currency=shop.currency,
        traffic_is_orders=not source.has("traffic"),
        cost=_cost(engine, shape) if source.has("costs") else None,
        tested=_tested(engine, shape) if source.has("prices") else None,
        instruments=instruments,
        instrument_names=names,
        short=None if counted is None else counted.short,
    )


def _calendar(engine: Engine, shop: ShopFile) -> tuple[Dates, Ints]:
    """Lay the periods from the first to the last day with a paid order; create ``periods`` and ``window``."""
    first, end = day_window(engine)
    step, start = shop.period_days, period_start(f"DATE '{first}'", shop)
    engine.run(
        f"CREATE OR REPLACE TABLE periods AS SELECT row_number() OVER (ORDER BY start) - 1 AS t, start, "
        f"start + {step} AS ends, greatest(start, DATE '{first}') AS covered_from, "
        f"least(ends, DATE '{end}') AS covered_to "
        f"FROM (SELECT unnest(generate_series({start}::TIMESTAMP, "
        f"DATE '{end}'::TIMESTAMP - INTERVAL 1 DAY, INTERVAL {step} DAY))::DATE AS start)"
    )
    rows = engine.rows("SELECT start::VARCHAR, covered_to - covered_from FROM periods ORDER BY t")
    starts = np.array([row[0] for row in rows], dtype="datetime64[D]")
    return starts, np.array([row[1] for row in rows], dtype=np.int64)


def _series(engine: Engine, shop: ShopFile) -> Series:
    """Create the tables ``series``, numbered in ascending (group, zone) order, and ``members``.

    Besides what sold there are newcomers: merchandise that got its first posted price within eight weeks
    before the data end, is not sold by weight nor gone by then, and of which nobody ordered any yet.
    """
    lists = ", ".join(literal(name) for name in (" ", *shop.business_price_lists))
    engine.run(
        f"""
        CREATE OR REPLACE TABLE series AS SELECT row_number() OVER (ORDER BY price_group, zone) - 1 AS n, *
        FROM (
            SELECT DISTINCT price_group, zone FROM order_lines WHERE apart IS NULL
            UNION
            SELECT coalesce(p.price_group, p.product_id) AS price_group, zone
            FROM prices JOIN products AS p USING (product_id)
                JOIN (SELECT max(covered_to)::TIMESTAMP AS finish FROM periods) ON valid_from < finish
            WHERE p.kind = 'merchandise' AND NOT coalesce(p.sold_by_weight, false)
                AND coalesce(p.exit_at > finish, true) AND coalesce(price_list, '') NOT IN ({lists})
            GROUP BY ALL HAVING min(valid_from) >= any_value(finish) - INTERVAL {SILENCE_DAYS} DAY
                AND bool_or(coalesce(valid_to >= finish, true))
                AND (price_group, zone) NOT IN (SELECT price_group, zone FROM order_lines)
        )
        """
    )
    engine.run(
        "CREATE OR REPLACE TABLE members AS SELECT n, zone, p.*, count(*) OVER (PARTITION BY n) AS size "
        "FROM series JOIN products AS p ON coalesce(p.price_group, p.product_id) = series.price_group "
        "WHERE p.kind = 'merchandise'"
    )
    rows = engine.rows(
        "SELECT s.price_group, s.zone, min_by(m.category, m.product_id), "
        "coalesce(min_by(m.subcategory, m.product_id), ''), coalesce(min_by(m.brand, m.product_id), '') "
        "FROM series AS s JOIN members AS m USING (n) GROUP BY s.n, s.price_group, s.zone ORDER BY s.n"
    )
    return Series(*(tuple(str(row[i]) for row in rows) for i in range(5)))


def _sales(engine: Engine, shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    sold = engine.arrays("SELECT n, t, sum(quantity) / 1e12 AS units FROM priced_cells GROUP BY n, t")
    units = np.zeros(shape)
    units[sold["n"].astype(np.int64), sold["t"].astype(np.int64)] = sold["units"]
    priced = engine.arrays(f"SELECT * FROM {price_index()}")
    cell = priced["n"].astype(np.int64), priced["t"].astype(np.int64)
    offered, regular = np.full(shape, np.nan), np.full(shape, np.nan)
    offered[cell], regular[cell] = priced["offered"], priced["regular"]
    return units, offered, regular


def _define_posted(engine: Engine, shop: ShopFile) -> None:
    """Create the view ``standing``: (n, t, offered, regular, stood, drawn), a row a posted price and period.

    Prices are gross, at the level of the price index; `stood` is in seconds; `drawn` says that a test chose
    the price at random, which it did not if it was certain to (propensity 1).
    """
    lists = ", ".join(literal(name) for name in (" ", *shop.business_price_lists))
    engine.run(
        f"""
        CREATE OR REPLACE VIEW standing AS
        WITH posted AS (
            SELECT product_id, zone, channel, valid_from, regular_price, offered_price,
                coalesce(source = 'experiment' AND propensity < 1, false) AS drawn,
                CASE price_basis WHEN 'net' THEN 1 + rate ELSE 1 END AS gross,
                least(coalesce(valid_to, TIMESTAMP '9999-01-01'), coalesce(lead(valid_from) OVER (
                    PARTITION BY product_id, zone, channel, price_list ORDER BY valid_from
                ), TIMESTAMP '9999-01-01')) AS until
            FROM prices JOIN {gross_factor(shop)} AS z USING (zone)
            WHERE coalesce(price_list, '') NOT IN ({lists})
        )
        SELECT m.n, t, drawn, offered_price * gross * {TO_LEVEL} AS offered,
            regular_price * gross * {TO_LEVEL} AS regular, epoch(
            least(until, covered_to::TIMESTAMP) - greatest(valid_from, covered_from::TIMESTAMP)) AS stood
        FROM posted JOIN members AS m USING (product_id, zone) LEFT JOIN levels USING (n)
            LEFT JOIN shelves AS s ON (s.n, s.product_id, s.channel)
                = (m.n, m.product_id, coalesce(posted.channel, ''))
            JOIN periods ON valid_from < covered_to::TIMESTAMP AND until > covered_from::TIMESTAMP
        """
    )


def _posted(engine: Engine, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    found = engine.arrays(
        "SELECT n, t, sum(offered * stood ORDER BY offered, stood) / sum(stood) AS offered, "
        "sum(regular * stood ORDER BY regular, stood) / sum(stood) AS regular FROM standing GROUP BY n, t"
    )
    cell = found["n"].astype(np.int64), found["t"].astype(np.int64)
    offered, regular = np.full(shape, np.nan), np.full(shape, np.nan)
    offered[cell], regular[cell] = found["offered"], found["regular"]
    return offered, regular


def _cost(engine: Engine, shape: tuple[int, int]) -> Floats:
    """Return the mean cost of a group's products as each period begins; NaN where one of them has none."""
    found = engine.arrays(
        """
        WITH known AS (
            SELECT n, t, m.product_id, any_value(size) AS size, arg_max(unit_cost, valid_from) AS cost
            FROM costs JOIN members AS m USING (product_id)
                JOIN periods ON valid_from <= covered_from::TIMESTAMP
            GROUP BY n, t, m.product_id
        )
        SELECT n, t, sum(cost ORDER BY product_id) / count(*) AS cost FROM known
        GROUP BY n, t HAVING count(*) = any_value(size)
        """
    )
    cost = np.full(shape, np.nan)
    cost[found["n"].astype(np.int64), found["t"].astype(np.int64)] = found["cost"]
    return cost


def _instruments(
    engine: Engine, shop: ShopFile, shape: tuple[int, int]
) -> tuple[Floats | None, tuple[str, ...]]:
    """Return the shop's own instruments [N, T, J], the last value carried forward, and their J names."""
    names = tuple(str(row[0]) for row in engine.rows("SELECT DISTINCT name FROM instruments ORDER BY name"))
    if not names:
        return None, ()
    engine.register("instrument_names", {"name": names, "j": range(len(names))})
    found = engine.arrays(
        f"""
        SELECT n, t, j, sum(value ORDER BY i._row, m.product_id) / count(*) AS value
        FROM instruments AS i JOIN instrument_names USING (name)
            JOIN members AS m ON m.zone = i.zone AND m.product_id = coalesce(i.product_id, m.product_id)
            JOIN periods ON {period_start('i."at"::DATE', shop)} = start
        GROUP BY n, t, j
        """
    )
    values = np.full((len(names), *shape), np.nan)
    values[tuple(found[k].astype(np.int64) for k in ("j", "n", "t"))] = found["value"]
    filled = _since_first(values.reshape(-1, shape[1])).reshape(values.shape)
    return np.moveaxis(filled, 0, 2), names


def _with_other_zones(
    instruments: Floats | None, names: tuple[str, ...], series: Series, regular: Floats
) -> tuple[Floats, tuple[str, ...]]:
    """Return instruments [N, T, J + 1] and their names, with the prices of other zones at the end."""
    if OTHER_ZONES in names:
        raise DataError(
            f"The instruments table has a quantity called {OTHER_ZONES}.",
            why="demand_shocks_are_local makes an instrument of that name from the prices themselves.",
            todo="Rename the quantity, or take the declaration out of shop.toml.",
        )
    elsewhere = other_zone_prices(series, _since_first(regular))[..., None]
    made = elsewhere if instruments is None else np.concatenate([instruments, elsewhere], axis=2)
    return made, (*names, OTHER_ZONES)


def _since_first(values: Floats) -> Floats:
    """Return values [M, T], the last known one carried forward; NaN before the first."""
    begun = np.logical_or.accumulate(np.isfinite(values), axis=1)
    return np.where(begun, forward(values), np.nan)


def _tested(engine: Engine, shape: tuple[int, int]) -> Bools:
    """Return where prices drawn at random stood for most of the posted time of a period, bool [N, T]."""
    found = engine.arrays(
        "SELECT n, t FROM standing GROUP BY n, t "
        "HAVING 2 * sum(CASE WHEN drawn THEN stood ELSE 0 END) > sum(stood)"
    )
    tested = np.zeros(shape, dtype=np.bool_)
    tested[found["n"].astype(np.int64), found["t"].astype(np.int64)] = True
    return tested


def _on_sale(engine: Engine, units: Floats, periods: Dates, step: int) -> Bools:
    sold = units > 0
    first = periods[np.argmax(sold, axis=1)]
    end = periods[units.shape[1] - 1 - np.argmax(sold[:, ::-1], axis=1)] + np.timedelta64(step, "D")
    rows = engine.rows(
        "SELECT n, CASE WHEN bool_and(launch_at IS NOT NULL) THEN min(launch_at)::DATE::VARCHAR END, "
        "CASE WHEN bool_and(exit_at IS NOT NULL) THEN max(exit_at)::DATE::VARCHAR END FROM members "
        "WHERE launch_at IS NOT NULL OR exit_at IS NOT NULL GROUP BY n ORDER BY n"
    )
    known = np.asarray(sold.any(axis=1), dtype=np.bool_)  # what never sold: a launch that is told
    for n, launch, leave in rows:
        known[n] |= launch is not None
        first[n] = np.datetime64(launch) if launch else first[n]
        end[n] = np.datetime64(leave) if leave else end[n]
    inside: Bools = (periods + np.timedelta64(step, "D") > first[:, None]) & (periods < end[:, None])
    return (inside & known[:, None]) | sold


def _promoted(engine: Engine, kind: str, shape: tuple[int, int]) -> Floats:
    found = engine.arrays(
        f"""
        SELECT n, t, least(sum(share ORDER BY product_id) / any_value(size), 1) AS share FROM (
            SELECT n, t, m.product_id, any_value(size) AS size,
                least(sum(coalesce(share, 1) * epoch(least(ends_at, covered_to::TIMESTAMP)
                    - greatest(starts_at, covered_from::TIMESTAMP)) / (86400 * (covered_to - covered_from))
                    ORDER BY starts_at, ends_at), 1) AS share
            FROM promotions JOIN members AS m USING (product_id, zone)
                JOIN periods ON starts_at < covered_to::TIMESTAMP AND ends_at > covered_from::TIMESTAMP
            WHERE promotions.kind = '{kind}' GROUP BY n, t, m.product_id
        ) GROUP BY n, t
        """
    )
    share = np.zeros(shape)
    share[found["n"].astype(np.int64), found["t"].astype(np.int64)] = found["share"]
    return share


def _traffic(source: Source, periods: Dates) -> Floats:
    if not source.has("traffic"):
        found = source.engine.arrays(
            "SELECT t, count(DISTINCT order_id) AS value FROM order_lines JOIN periods ON period = start "
            "WHERE status = 'paid' GROUP BY t"
        )
    else:
        start = period_start('"at"::DATE', source.shop)
        found = source.engine.arrays(
            f"SELECT t, sum(value ORDER BY _row) AS value FROM traffic "
            f"JOIN periods ON {start} = periods.start "
            "WHERE product_id IS NULL AND coalesce(name, 'visits') = 'visits' GROUP BY t"
        )
    traffic = np.zeros(len(periods))
    traffic[found["t"].astype(np.int64)] = found["value"]
    missing = np.flatnonzero(traffic <= 0)
    if missing.size and source.has("traffic"):
        raise DataError(
            f"traffic has no visits for the period from {periods[int(missing[0])]}.",
            why="Every period with orders had visits.",
            todo="Complete the table, or leave it out: orders are counted then.",
        )
    return traffic
