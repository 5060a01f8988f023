"""A household's history of redemption: how far it went beyond what its features let expect."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.redemption import RedemptionModel
from simulators.customers.logistic import expected_outcome
from simulators.customers.offers import Offers

__all__ = ["past_excess"]

_HOUSEHOLD_SD = 1.0
"""Assumed sd of the log odds by which households differ beyond their features. It sets how fast a history is
believed; what a history is worth is fitted."""


def past_excess(model: RedemptionModel, offers: Offers) -> Floats:
    """Return the log odds [N] by which each household redeemed its earlier offers beyond `model.screened`.

    One Newton step of a random intercept with sd 1 from 0, over the offers that the same household had
    received before the day of this one, each with what had come of it by that day:
    ``sum (E[y] - p) / (1 + sum F p (1 - p))``. 0 for the first offer.

    Parameters
    ----------
    model
        What is expected without history, and the pace of redemption.
    offers
        All offers of the households, those long ended included.
    """
    p = model.screened(offers.features, offers.kind)
    _, household = np.unique(np.array(offers.customer), return_inverse=True)
    order = np.lexsort((offers.day, household))
    gradient, information = np.zeros(len(offers)), np.full(len(offers), _HOUSEHOLD_SD**-2)
    for lag in range(1, int(np.bincount(household).max())):
        later, earlier = _pairs(order, household, offers.day, lag)
        today = offers.day[later]
        elapsed = np.clip(
            (today - offers.day[earlier]) / (offers.ends[earlier] - offers.day[earlier]), 0.0, 1.0
        )
        seen = model.seen_share(elapsed)
        expected = p[earlier]
        outcome = expected_outcome(offers.redeemed[earlier] < today, expected, seen)
        gradient[later] += outcome - expected
        information[later] += seen * expected * (1.0 - expected)
    out: Floats = gradient / information
    return out


def _pairs(order: Ints, household: Ints, day: Ints, lag: int) -> tuple[Ints, Ints]:
    """Return offers and those `lag` places before them, of the same household and an earlier day."""
    later, earlier = order[lag:], order[:-lag]
    real = (household[later] == household[earlier]) & (day[earlier] < day[later])
    return later[real], earlier[real]
