"""How much each product's price has moved: without movement no history tells how demand answers it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.contract.tables import Source

__all__ = ["MIN_LEVELS", "MIN_LOG_RANGE", "MIN_SELLING_WEEKS", "PriceMoves", "price_moves"]

MIN_SELLING_WEEKS, MIN_LEVELS, MIN_LOG_RANGE = 26, 3, 0.1
"""Least history from which a product's own price response can be told: half a year of selling weeks, three
distinct prices, and ten percent between the highest and the lowest."""


@dataclass(frozen=True, slots=True)
class PriceMoves:
    """Price movement of N series, in the order of the panel's.

    Attributes
    ----------
    selling_periods
        int64 [N]; periods of the window with a sale.
    levels
        int64 [N]; distinct period medians of the shelf price, rounded to the minor unit.
    log_range
        float64 [N]; log of the highest over the lowest period median; 0 without a sale.
    first, last
        int64 [N]; first and last period of the panel with a sale in the window; -1 without one.
    period_days
        Days of a period.
    """

    selling_periods: Ints
    levels: Ints
    log_range: Floats
    first: Ints
    last: Ints
    period_days: int

    @property
    def enough(self) -> Bools:
        """Whether each series [N] was sold long enough, at enough prices, far enough apart."""
        least = MIN_SELLING_WEEKS * 7 // self.period_days
        moved = (self.levels >= MIN_LEVELS) & (self.log_range >= MIN_LOG_RANGE)
        return np.asarray((self.selling_periods >= least) & moved, dtype=np.bool_)

    @property
    def never(self) -> Bools:
        """Whether each series [N] had one price throughout, or none."""
        return np.asarray(self.levels <= 1, dtype=np.bool_)


def price_moves(source: Source, count: int, *, start: int = 0, stop: int | None = None) -> PriceMoves:
    """Measure price movement within the periods ``start <= t < stop``.

    Parameters
    ----------
    source
        A source from which :func:`simulators.contract.panel.build_panel` has made a panel.
    count
        N, the number of that panel's series.
    start, stop
        Window of periods; to the end where `stop` is None.
    """
    upper = "" if stop is None else f"AND t < {stop}"
    found = source.engine.arrays(
        f"""
        SELECT n, count(*) AS selling_periods, count(DISTINCT round(price)) AS levels,
            ln(max(price) / min(price)) AS log_range, min(t) AS first, max(t) AS last
        FROM (
            SELECT n, t, median(offered_price * gross) AS price FROM order_lines
                JOIN series USING (price_group, zone) JOIN periods ON period = periods.start
            WHERE apart IS NULL AND t >= {start} {upper} GROUP BY n, t
        ) GROUP BY n ORDER BY n
        """
    )
    n = found["n"].astype(np.int64)
    counts = {name: np.zeros(count, dtype=np.int64) for name in ("selling_periods", "levels")}
    ends = {name: np.full(count, -1, dtype=np.int64) for name in ("first", "last")}
    for name, values in (counts | ends).items():
        values[n] = found[name]
    log_range = np.zeros(count)
    log_range[n] = found["log_range"]
    return PriceMoves(**counts, **ends, log_range=log_range, period_days=source.shop.period_days)
