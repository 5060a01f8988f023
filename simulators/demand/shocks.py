"""Shocks that many series share in one period: of the whole shop, and of a category.

They are random effects: normal, with standard deviations learned from the data, and identified against
the level because their mean multiplier over the training periods is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Floats

__all__ = ["Shocks", "centred", "first_shocks", "split_traffic", "update_shocks"]

_LARGEST_STEP = 0.5
_VARIANCE_FLOOR = 1e-5
_CATEGORY_WEIGHT = 10.0


@dataclass(frozen=True, slots=True)
class Shocks:
    """Log shocks of T periods and G categories, with their posterior variances.

    Attributes
    ----------
    period, period_error
        float64 [T]; posterior mode and variance of the shop's shock.
    category, category_error
        float64 [G, T]; the same of each category, on top of the shop's.
    period_variance
        float; population variance of the shop's shocks.
    category_variance
        float64 [G]; of each category's, shrunk to their mean.
    """

    period: Floats
    period_error: Floats
    category: Floats
    category_error: Floats
    period_variance: float
    category_variance: Floats

    @property
    def log(self) -> Floats:
        """float64 [G, T]; shop and category together."""
        return self.period + self.category


def first_shocks(categories: int, periods: int) -> Shocks:
    """Return no shocks, with variances wide enough to find some."""
    shape = (categories, periods)
    return Shocks(
        np.zeros(periods),
        np.zeros(periods),
        np.zeros(shape),
        np.zeros(shape),
        0.02,
        np.full(categories, 0.01),
    )


def update_shocks(score: Floats, weight: Floats, old: Shocks) -> Shocks:
    """Take one Newton step in the shocks and re-estimate their variances.

    Parameters
    ----------
    score, weight
        float64 [G, T]; sums over the series of a category of the first and minus second derivative of the
        log likelihood. A shop of one category has no category shocks apart from its own.
    old
        Shocks at which they were taken.
    """
    precision = weight.sum(axis=0) + 1.0 / old.period_variance
    step = (score.sum(axis=0) - old.period / old.period_variance) / precision
    period = old.period + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    seen = weight.sum(axis=0) > 0.0
    size = (period**2 + 1.0 / precision)[seen]
    period_variance = max(float(size.mean()) if seen.any() else old.period_variance, _VARIANCE_FLOOR)
    moved = replace(old, period=period, period_error=1.0 / precision, period_variance=period_variance)
    if len(score) < 2:
        return replace(moved, category_variance=np.full(len(score), _VARIANCE_FLOOR))
    prior = old.category_variance[:, None]
    precision = weight + 1.0 / prior
    rest = score - weight * (period - old.period)
    category = old.category + np.clip(
        (rest - old.category / prior) / precision, -_LARGEST_STEP, _LARGEST_STEP
    )
    size = category**2 + 1.0 / precision
    pooled = size.mean()
    variance = (size.sum(axis=1) + _CATEGORY_WEIGHT * pooled) / (size.shape[1] + _CATEGORY_WEIGHT)
    return replace(
        moved,
        category=category,
        category_error=1.0 / precision,
        category_variance=np.maximum(variance, _VARIANCE_FLOOR),
    )


def split_traffic(shocks: Shocks, traffic: Floats) -> tuple[Shocks, float]:
    """Move what traffic [T] explains of the shop's shocks out of them; return the rest and the slope."""
    size = float(traffic @ traffic)
    if size < 1e-9:
        return shocks, 0.0
    slope = float(shocks.period @ traffic) / size
    return replace(shocks, period=shocks.period - slope * traffic), slope


def centred(shocks: Shocks) -> tuple[Shocks, Floats]:
    """Make mean multipliers over the training periods one.

    Returns
    -------
    The centred shocks, and the float64 [G] log factors to add to the levels of each category.
    """
    shop = float(np.log(np.exp(shocks.period + 0.5 * shocks.period_error).mean()))
    category = np.log(np.exp(shocks.category + 0.5 * shocks.category_error).mean(axis=1))
    moved = replace(shocks, period=shocks.period - shop, category=shocks.category - category[:, None])
    return moved, shop + category
