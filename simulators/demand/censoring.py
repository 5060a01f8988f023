"""Sales that stopped because nothing was left: demand was at least as much, and that is all they say.

Leaving such periods out would leave out demand where it was high; counting them as they stand would cap it.
Their likelihood is ``P(Y >= y)`` (Tobin, Econometrica 1958; for counts Terza, Economics Letters 1985).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from pricing.arrays import Bools, Floats
from simulators.demand.dispersion import GRID

__all__ = ["censored_by_size", "working"]

_betainc: Any = special.betainc  # without types of its own
_LEAST_WEIGHT = 1e-3
_RARE = 1e-200
_LARGEST_RATIO = 0.999


def working(y: Floats, eta: Floats, r: Floats) -> tuple[Floats, Floats]:
    """Return counts and weights that stand for counts known to be at least `y`, float64 [n] each.

    A negative binomial's log likelihood of the count returned, times the weight, has the same first and
    second derivative by the log mean, at `eta`, as ``log P(Y >= y)``. With E and V the mean and variance of Y
    given ``Y >= y`` the score is ``(E - mu) r / (r + mu)``, and the share that it lacks of the information of
    a count is V over the variance of Y (Louis, JRSS B 1982).

    Parameters
    ----------
    y, eta, r
        float64 [n]; least counts, log means, negative-binomial sizes.
    """
    mu = np.exp(eta)
    q = mu / (r + mu)
    beyond = _at_least(y, r, q)
    rare = beyond < _RARE
    safe = np.where(rare, 1.0, beyond)
    mean = mu * _at_least(y - 1.0, r + 1.0, q) / safe
    square = mu**2 * (r + 1.0) / r * _at_least(y - 2.0, r + 2.0, q) / safe + mean
    # Far out, a negative binomial falls off like a geometric distribution.
    ratio = np.minimum(q * (y + r) / (y + 1.0), _LARGEST_RATIO)
    mean = np.where(rare, y + ratio / (1.0 - ratio), mean)
    variance = np.where(rare, ratio / (1.0 - ratio) ** 2, square - mean**2)
    weight = np.clip(1.0 - variance * r / (mu * (mu + r)), _LEAST_WEIGHT, 1.0)
    return mu + np.maximum(mean - mu, 0.0) / weight, weight


def censored_by_size(y: Floats, short: Bools, eta: Floats) -> Floats:
    """Return the log probability of at least `y` by each size of the grid, float64 [n, len(GRID)].

    Parameters
    ----------
    y, eta
        float64 [n, T]; counts and log means.
    short
        bool [n, T]; the cells whose counts are least counts; the others add nothing.
    """
    n, t = np.nonzero(short)
    out = np.zeros((len(y), len(GRID)))
    mu, least = np.exp(eta[n, t]), y[n, t]
    for g, r in enumerate(np.exp(GRID)):
        beyond = _at_least(least, np.full_like(mu, r), mu / (r + mu))
        out[:, g] = np.bincount(n, weights=np.log(np.maximum(beyond, _RARE)), minlength=len(y))
    return out


def _at_least(k: Floats, r: Floats, q: Floats) -> Floats:
    """Return P(Y >= k) of negative binomials with mean ``r q / (1 - q)``, float64 [n]."""
    out: Floats = np.where(k > 0.0, _betainc(np.maximum(k, 1.0), r, q), 1.0)
    return out
