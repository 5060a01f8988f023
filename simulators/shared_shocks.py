"""Shocks that a shop or a category shares over time: in part a period's own, in part lasting.

A week in which snacks sell well is often followed by another: of the variance of a category's shock a share
lasts, as a stationary first-order autoregression, and the rest is new each period. Worlds in which every
period's shock is new have totals over weeks that differ too little.
"""

from __future__ import annotations

import numpy as np

from pricing.arrays import Floats
from pricing.model import DemandModel

__all__ = ["joined", "lasts"]


def lasts(model: DemandModel) -> bool:
    """Return whether any part of the model's shared shocks lasts from one period to the next."""
    return model.shock_lasting is not None and bool(model.shock_lasting.any())


def joined(fresh: Floats, slow: Floats, lasting: Floats, survival: Floats) -> Floats:
    """Return standard normal shocks [..., T, S] that are correlated over T periods.

    Parameters
    ----------
    fresh, slow
        float64 [..., T, S]; independent standard normals.
    lasting
        float64 [S]; share of the variance that lasts, 0-1.
    survival
        float64 [S]; correlation of the lasting part of one period with that of the next, 0-1.

    Returns
    -------
    The parts, weighed by ``sqrt(1 - lasting)`` and ``sqrt(lasting)``; the lasting part is ``slow[0]`` first,
    and then ``survival`` times the one before plus ``sqrt(1 - survival**2) * slow[t]``. The first periods are
    the same over a longer horizon.
    """
    path = slow.copy()
    step = np.sqrt(1.0 - survival**2)
    for t in range(1, slow.shape[-2]):
        path[..., t, :] = survival * path[..., t - 1, :] + step * slow[..., t, :]
    out: Floats = np.sqrt(1.0 - lasting) * fresh + np.sqrt(lasting) * path
    return out
