"""Shocks that a shop or a category shares over time: in part a period's own, in part lasting.

A week in which snacks sell well is often followed by another: of the variance of a category's shock a share
lasts, as a stationary first-order autoregression, and the rest is new each period. Worlds in which every
period's shock is new have totals over weeks that differ too little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats
from pricing.model import DemandModel

__all__ = ["Lasting", "lasting_of"]


@dataclass(frozen=True, slots=True)
class Lasting:
    """Which part of S shocks outlasts a period.

    Attributes
    ----------
    share
        float64 [S]; of the variance, 0-1.
    survival
        float64 [S]; correlation of that part in one period with that of the next, 0-1.
    """

    share: Floats
    survival: Floats

    def joined(self, fresh: Floats, slow: Floats) -> Floats:
        """Return standard normal shocks that are correlated over T periods, float64 [..., T, S].

        Parameters
        ----------
        fresh, slow
            float64 [..., T, S]; independent standard normals.

        Returns
        -------
        The parts, weighed by ``sqrt(1 - share)`` and ``sqrt(share)``; the lasting part is ``slow[0]`` first,
        and then ``survival`` times the one before plus ``sqrt(1 - survival**2) * slow[t]``. The first periods
        are the same over a longer horizon.
        """
        path = slow.copy()
        step = np.sqrt(1.0 - self.survival**2)
        for t in range(1, slow.shape[-2]):
            path[..., t, :] = self.survival * path[..., t - 1, :] + step * slow[..., t, :]
        out: Floats = np.sqrt(1.0 - self.share) * fresh + np.sqrt(self.share) * path
        return out


def lasting_of(model: DemandModel) -> Lasting | None:
    """Return which part of the model's shared shocks, the shop's first, lasts; None where none does."""
    share, survival = model.shock_lasting, model.shock_survival
    return None if share is None or survival is None or not share.any() else Lasting(share, survival)
