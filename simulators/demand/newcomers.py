"""Who a fit is about: series that sold, and newcomers, which have a price and no sale yet.

A newcomer borrows all it has from its category: price responses, level, size and absence, as wide as the
category's series differ. What it has shown since its launch, if only that nothing sold, is evidence like any.
"""

from __future__ import annotations

import numpy as np

from pricing.arrays import Bools, Ints
from pricing.errors import DataError
from pricing.panel import SILENCE_DAYS, Panel

__all__ = ["newcomers", "usable"]


def newcomers(panel: Panel) -> Bools:
    """Return which series of a training panel are new: a price, for eight weeks at most, and no sale; [N]."""
    priced = np.isfinite(panel.offered)
    since = panel.periods[-1] - panel.periods[priced.argmax(axis=1)]
    fresh = priced.any(axis=1) & (since < np.timedelta64(SILENCE_DAYS, "D"))
    return np.asarray(fresh & ~(panel.units > 0.0).any(axis=1), dtype=np.bool_)


def usable(panel: Panel) -> Ints:
    """Return the series that sold at a known price, and newcomers.

    Raises
    ------
    DataError
        If numbers are impossible, or nothing at all sold at a known price.
    """
    watched = panel.on_sale & (panel.in_stock > 0.0) & (panel.days > 0)
    bad = watched & ~(np.isfinite(panel.units) & (panel.units >= 0.0))
    bad |= np.isfinite(panel.offered) & (panel.offered <= 0.0)
    if bad.any():
        i, t = (int(v[0]) for v in np.nonzero(bad))
        raise DataError(
            f"{panel.series.group[i]} in {panel.periods[t]}: "
            f"units {panel.units[i, t]}, price {panel.offered[i, t]}.",
            why="Units must be numbers that are not negative, prices positive.",
            todo="Run the checks on the data; such rows belong in quarantine.",
        )
    sold = np.where(watched, panel.units, 0.0).sum(axis=1) > 0.0
    sold &= np.isfinite(panel.offered).any(axis=1)
    if not sold.any():
        raise DataError(
            "No product has a sale with a price before the end of training.",
            todo="Check the dates of the orders and --until.",
        )
    return np.flatnonzero(sold | newcomers(panel)).astype(np.int64)
