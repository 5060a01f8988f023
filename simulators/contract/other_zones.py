"""Prices of the same product in other zones, as an instrument (Hausman, in Bresnahan and Gordon 1997).

What moves the prices of several zones together is what they share. If unforeseen demand is local, that is
cost, and the price elsewhere moves the price here for reasons that have nothing to do with demand here. If
demand of the zones moves together the instrument is none, and nothing in the data shows it (Bresnahan's
comment, same volume): so the shop has to declare it.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from pricing.arrays import Floats
from pricing.panel import Series

__all__ = ["OTHER_ZONES", "other_zone_prices"]

OTHER_ZONES = "other_zone_prices"
"""Name of the instrument."""


def other_zone_prices(series: Series, regular: Floats) -> Floats:
    """Return the mean log regular price of the same product in other zones, float64 [N, T].

    Parameters
    ----------
    series
        N series.
    regular
        float64 [N, T]; regular prices, minor units, the last one carried forward; NaN before the first.

    Returns
    -------
    NaN where no other zone has had a price yet, as for a product of one zone.
    """
    out = np.full(regular.shape, np.nan)
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(series.group):
        members[group].append(row)
    logs = np.log(regular)
    for rows in members.values():
        here = logs[rows]
        known = np.isfinite(here)
        total, count = np.where(known, here, 0.0).sum(axis=0), known.sum(axis=0)
        others = count - known
        rest = total - np.where(known, here, 0.0)
        out[rows] = np.where(others > 0, rest / np.maximum(others, 1), np.nan)
    return out
