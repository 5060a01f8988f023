"""What inventory counts say of a period: how much of it a product was there for, or that it ran out in it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from simulators.contract.engine import Engine
from simulators.contract.gaps import forward
from simulators.contract.order_lines import period_start
from simulators.contract.shop_file import ShopFile

__all__ = ["Stock", "stock"]

_REFILLED = 0.05
"""Most counts, of those of something, that may be outsold before the next one."""


@dataclass(frozen=True, slots=True)
class Stock:
    """Stock of N series in T periods.

    Attributes
    ----------
    share
        float64 [N, T]; share of the group's products, and of the period, in stock, 0-1.
    short
        bool [N, T]; a product of the group ran out at a time that no count tells.
    """

    share: Floats
    short: Bools


def stock(engine: Engine, shop: ShopFile, shape: tuple[int, int]) -> Stock:
    """Read the inventory table; a product never counted is taken to be in stock.

    A product ran out between two counts of a period if it was gone at the second, or if as many were sold in
    between as there had been: half-way, for want of knowing better; one that was gone and is there again came
    back with the later count. (Where more is often sold than was counted, or `stocked_out` is stated, that as
    many were sold means nothing.) Before the first count of a period it is taken to have been as that says,
    half of the time if it was gone then but sold in the period. With several counts that is near enough.

    Where a period has one count only, it may have run out at any time: then the units sold are the least that
    demand was. So it is, too, where that count found nothing and something sold all the same: the count was
    taken, or is dated, on another day. A period without a count is as the last count before it.

    Parameters
    ----------
    engine
        A session with ``members``, ``periods`` and ``order_lines``.
    shop
        Its grain and first day of the week.
    shape
        N and T.
    """
    _define_counts(engine, shop)
    found = engine.arrays(_SHARES)
    there, short = np.ones(shape), np.zeros(shape, dtype=np.bool_)
    n, t, size, share, final, ran_out = (found[k] for k in ("n", "t", "size", "share", "final", "short"))
    keys = list(zip(n, found["product_id"], strict=True))
    starts = [i for i in range(len(keys)) if i == 0 or keys[i] != keys[i - 1]]
    for start, stop in itertools.pairwise([*starts, len(keys)]):
        place = t[start:stop].astype(np.int64)
        row = np.full((1, shape[1]), np.nan)
        row[0, place] = final[start:stop]
        carried = forward(row)[0]
        carried[: place[0]] = share[start]
        carried[place] = share[start:stop]
        open_ended = place[ran_out[start:stop].astype(np.bool_)]
        # What was sold there is the least of a whole period.
        carried[open_ended] = 1.0
        short[int(n[start]), open_ended] = True
        there[int(n[start])] -= (1.0 - carried) / int(size[start])
    return Stock(np.clip(there, 0.0, 1.0), short)


def _define_counts(engine: Engine, shop: ShopFile) -> None:
    """Create the view ``stock_counts``: the inventory, with what was sold and counted after each count.

    It adds ``gone``, ``period``, ``sells`` (something was sold in the period), ``emptied`` (as many were sold
    before the next count as there had been), ``counted`` (counts in the period), ``gone_next`` and ``until``
    (of the next one in it) and ``first``.
    """
    engine.run(
        f"""
        CREATE OR REPLACE VIEW stock_counts AS
        WITH counts AS (
            SELECT product_id, zone, "at", _row, on_hand, stocked_out,
                coalesce(stocked_out, on_hand <= 0) AS gone,
                {period_start('"at"::DATE', shop)} AS period
            FROM inventory
        ), drawn AS (
            SELECT c._row, sum(o.quantity) AS sold
            FROM (SELECT product_id, zone, ordered_at, period, quantity FROM order_lines
                WHERE status = 'paid') AS o
                ASOF JOIN counts AS c ON o.product_id = c.product_id AND o.zone = c.zone
                    AND o.ordered_at >= c."at"
            WHERE o.period = c.period GROUP BY c._row
        ), lasting AS (
            SELECT coalesce(avg(CASE WHEN sold > on_hand THEN 1 ELSE 0 END) <= {_REFILLED}, true) AS told
            FROM counts JOIN drawn USING (_row) WHERE NOT gone
        ), whole AS (
            SELECT DISTINCT product_id, zone, period FROM order_lines WHERE status = 'paid'
        ), seen AS (
            SELECT c.*, w.period IS NOT NULL AS sells,
                coalesce(told AND NOT gone AND stocked_out IS NULL AND sold = on_hand, false) AS emptied,
                count(*) OVER cell AS counted,
                lead(gone) OVER (cell ORDER BY "at", c._row) AS gone_next,
                row_number() OVER (cell ORDER BY "at", c._row) = 1 AS first,
                lead("at") OVER (cell ORDER BY "at", c._row) AS until
            FROM counts AS c LEFT JOIN drawn USING (_row)
                LEFT JOIN whole AS w USING (product_id, zone, period), lasting
            WINDOW cell AS (PARTITION BY product_id, zone, period)
        )
        SELECT * FROM seen
        """
    )


_SHARES = """
        WITH lasted AS (
            SELECT seen.*, t, CASE WHEN first THEN epoch("at" - start::TIMESTAMP) ELSE 0 END AS before,
                epoch(coalesce(until, ends::TIMESTAMP) - "at") AS after,
                CASE WHEN NOT gone THEN 1 WHEN sells THEN 0.5 ELSE 0 END AS there_before,
                CASE WHEN gone THEN 0 WHEN emptied OR gone_next THEN 0.5 ELSE 1 END AS there_after
            FROM stock_counts AS seen JOIN periods ON period = start
        )
        SELECT m.n, m.product_id, any_value(size)::BIGINT AS size, t,
            sum(before * there_before + after * there_after ORDER BY "at") / sum(before + after ORDER BY "at")
                AS share,
            arg_max(CASE WHEN gone THEN 0.0 ELSE 1.0 END, "at") AS final,
            bool_or(counted = 1 AND (emptied OR gone AND sells)) AS short
        FROM lasted JOIN members AS m USING (product_id, zone)
        GROUP BY m.n, m.product_id, t ORDER BY m.n, m.product_id, t
        """
"""SQL of a table (n, product_id, size, t, share, final, short), a row a product and period with a count."""
