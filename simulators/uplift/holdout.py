"""The holdout that would identify the effect: how many customers without a coupon, by the data's noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from pricing.arrays import Floats
from simulators.uplift.exposures import Exposures

__all__ = ["Holdout", "propose_holdout"]

_Z = float(ndtri(0.975))
_LARGEST, _SMALLEST = 0.2, 0.05


@dataclass(frozen=True, slots=True)
class Holdout:
    """A proposal for the next campaign.

    Attributes
    ----------
    customers
        Customers of the largest campaign day in the data: as many are taken to be exposed again.
    noise
        Sd of net profit in window and aftermath that features do not explain, minor units a customer.
    half_width
        Half the width of the 95 % interval of the mean effect that was asked for, minor units a customer: by
        default half of what a coupon costs on average.
    share
        Share of customers to hold out in each campaign.
    campaigns
        Campaigns until that width is reached.
    reached
        Half width after these campaigns.
    """

    customers: int
    noise: float
    half_width: float
    share: float
    campaigns: int
    reached: float


def propose_holdout(exposures: Exposures, X: Floats, half_width: float | None = None) -> Holdout | None:
    """Propose the smallest holdout, 5 to 20 %, that reaches a half width in the fewest campaigns.

    With n customers a campaign, a share s held out and residual variance v the variance of the mean effect
    after c campaigns is ``v / (c n s (1 - s))``.

    Parameters
    ----------
    exposures, X
        The log; its regressors, float64 [N, P].
    half_width
        Minor units a customer; None for half the mean cost of an offer.

    Returns
    -------
    Holdout
        None where no half width was given and no coupon was ever used: then there is no cost to compare with.
    """
    if not len(exposures):
        return None
    given = exposures.offer > 0
    cost = float(exposures.discount[given].mean()) if given.any() else 0.0
    wanted = 0.5 * cost if half_width is None else half_width
    customers = int(np.bincount(np.unique(exposures.day, return_inverse=True)[1]).max())
    y = exposures.total
    ridge = X.T @ X + 1e-6 * len(X) * np.eye(X.shape[1])
    left = y - X @ np.linalg.solve(ridge, X.T @ y)
    noise = float(left.std())
    if wanted <= 0.0 or noise <= 0.0:
        return None
    needed = (_Z * noise / wanted) ** 2 / customers
    campaigns = max(1, math.ceil(needed / (_LARGEST * (1.0 - _LARGEST)) - 1e-9))
    within = 1.0 - 4.0 * needed / campaigns
    share = max(0.5 * (1.0 - math.sqrt(max(within, 0.0))), _SMALLEST)
    share = math.ceil(share * 200.0 - 1e-9) / 200.0
    reached = _Z * noise / math.sqrt(customers * campaigns * share * (1.0 - share))
    return Holdout(customers, noise, wanted, share, campaigns, reached)
