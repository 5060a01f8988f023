"""What a shop's own history says of how its customers buy and use coupons: everything here is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats, Ints
from simulators.coupons.purchases import Economics

__all__ = ["CARTS", "RECENCY", "Habits", "recency_class"]

RECENCY = np.array([1, 2, 3, 4, 6, 9, 13, 26], dtype=np.int64)
"""First periods since the last purchase of each class of recency; the last class never ends."""

CARTS = 3
"""Periods that a cart stays open."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Fitted habits of H households; a period is the step of the simulator.

    Attributes
    ----------
    level
        float; log odds of buying in a period, of the average household one period after a purchase's class.
    recency
        float64 [R]; added by the classes of :data:`RECENCY`.
    cart
        float64 [CARTS]; added while a cart is open, by its age; zeros without events.
    cart_opens
        float; chance that a period without a purchase leaves a cart open; 0 without events.
    customer
        H pseudonyms, ascending.
    visit, visit_sd
        float64 [H]; posterior mean and sd of the households' own log odds of buying.
    basket, basket_sd
        float64 [H]; posterior mean and sd of the log of the expected basket of a period with a purchase,
        minor units at shelf prices.
    noise_sd
        float; sd of the log of one basket around it.
    use_level
        float; log odds that the average household uses a coupon it holds when it buys; NaN where the
        shop records no exposures and redemptions.
    use, use_sd
        float64 [H]; the households' own part of it.
    visit_spread, use_spread
        float; sds of `visit` and `use` over households.
    since
        int64 [H]; periods since the last purchase, at least 1.
    rate
        float64 [H]; share of periods with a purchase of late, as :mod:`simulators.coupons.state` counts it.
    offered, used
        float64 [H]; purchases with a coupon in hand that were seen, and those with which one was used.
    buying
        float; share of household-periods with a purchase.
    economics
        Of a basket.
    period_days, first_day
        Days of a period; first day after the fit, from 1970-01-01.
    currency, fingerprint
        ISO 4217 code; of the data.
    """

    level: float
    recency: Floats
    cart: Floats
    cart_opens: float
    customer: tuple[str, ...]
    visit: Floats
    visit_sd: Floats
    basket: Floats
    basket_sd: Floats
    noise_sd: float
    use_level: float
    use: Floats
    use_sd: Floats
    visit_spread: float
    use_spread: float
    since: Ints
    rate: Floats
    offered: Floats
    used: Floats
    buying: float
    economics: Economics
    period_days: int
    first_day: int
    currency: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.customer)


def recency_class(since: Ints) -> Ints:
    """Return the class of :data:`RECENCY` of periods since the last purchase, at least 1."""
    return np.searchsorted(RECENCY, since, side="right").astype(np.int64) - 1
