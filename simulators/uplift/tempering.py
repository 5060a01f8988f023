"""A quieter outcome: what a few huge baskets say is said by everybody's mean instead.

Profit is mostly zeros and a long tail. Whether a coupon moves somebody shows in whether and how much they
buy; what a unit of that is worth shows in the mean of such customers. So the profit of a unit is capped, in
proportion to what is expected of such a customer, and what the cap takes is given back as a factor of
the features alone. That is exact where a coupon leaves the value of a unit, before the discount, as it was.
Where it does not, the difference to the profit itself tells, and is added as far as it is more than noise.
"""

from __future__ import annotations

import numpy as np

from pricing.arrays import Floats
from simulators.uplift.basis import log_mean

__all__ = ["tempered"]

_VARIES = 0.3
"""Sd over mean of the number of units below which it says nothing of who is moved, and nothing is capped."""

_LOW, _AS_FAR = 0.05, 1.5
"""The cap lies 1.5 times as far above the median of what is not zero as the 5 % quantile lies below it, so
that nothing is capped that is as short above as below."""


def tempered(outcome: Floats, units: Floats, z: Floats) -> Floats:
    """Return an outcome of nearly the same mean given the features, and less noise, float64 [N].

    Parameters
    ----------
    outcome, units
        float64 [N]; money, and how many units that is for; below 1 counts as 1.
    z
        float64 [N, F]; standardised features.
    """
    many = np.where(outcome != 0.0, np.maximum(units, 1.0), 0.0)
    bought = many > 0.0
    if not (outcome > 0.0).any() or many.std() < _VARIES * many.mean():
        return outcome
    each = outcome[bought] / many[bought]
    expected = _expected(z[bought], each)
    low, middle = np.quantile(np.abs(each / expected), [_LOW, 0.5])
    cap = expected * float(middle + _AS_FAR * (middle - low))
    held = np.clip(each, -cap, cap)
    out = np.zeros_like(outcome)
    out[bought] = many[bought] * held * (expected / _expected(z[bought], held))
    return out


def _expected(z: Floats, each: Floats) -> Floats:
    """Return the mean of what is above 0, log-linear in features, float64 [N]."""
    above = np.maximum(each, 0.0)
    level = log_mean(z, above)
    return np.asarray(above.mean() * np.exp(level[0] + z @ level[1:]))
