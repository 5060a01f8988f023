"""A toy shop for coupons with invented habits: for tests and examples, never for a shop's figures."""

from __future__ import annotations

import numpy as np

from pricing.errors import UsageError
from simulators.coupons.habits import CARTS, RECENCY, Habits
from simulators.coupons.purchases import Economics

__all__ = ["toy_habits"]


def toy_habits(households: int = 40, seed: int = 0, *, carts: bool = True, cost: float = 0.6) -> Habits:
    """Return invented habits: a weekly shop without tax or fees, baskets of about 40.00.

    Parameters
    ----------
    households
        H, at least 1.
    seed
        Any integer >= 0; the same one gives the same shop.
    carts
        Whether carts are left open, and bring customers back.
    cost
        Of the goods, as a share of the shelf price.
    """
    if households < 1:
        raise UsageError(f"A shop of {households} households sells nothing.", todo="Ask for one or more.")
    rng = np.random.default_rng(seed)
    visit, basket, use = (rng.normal(0.0, sd, households) for sd in (1.0, 0.5, 0.8))
    return Habits(
        level=-0.5,
        recency=np.linspace(0.4, -0.8, len(RECENCY)),
        cart=np.linspace(0.8, 0.2, CARTS) if carts else np.zeros(CARTS),
        cart_opens=0.1 if carts else 0.0,
        customer=tuple(f"toy{i:05d}" for i in range(households)),
        visit=visit,
        visit_sd=np.full(households, 0.3),
        basket=np.log(4000.0) + basket,
        basket_sd=np.full(households, 0.2),
        noise_sd=0.6,
        use_level=-1.0,
        use=use,
        use_sd=np.full(households, 0.5),
        visit_spread=1.0,
        use_spread=0.9,
        since=rng.integers(1, 8, households),
        rate=1.0 / (1.0 + np.exp(-visit)),
        offered=np.full(households, 4.0),
        used=np.full(households, 1.0),
        buying=0.4,
        economics=Economics(net=1.0, cost=cost, fee=0.0, cost_assumed=1.0),
        period_days=7,
        first_day=19_723,
        currency="EUR",
        fingerprint=f"toy-coupons-{households}-{seed}",
    )
