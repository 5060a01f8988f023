"""Sales that stopped because nothing was left: demand was at least as much, and that is all they say.

Leaving such periods out would leave out demand where it was high; counting them as they stand would cap it.
Their likelihood is ``P(Y >= y)`` (Tobin, Econometrica 1958; for counts Terza, Economics Letters 1985).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special
from scipy.special import gammaln

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
    mu, k = np.exp(eta), np.maximum(np.ceil(y), 1.0)
    q = mu / (r + mu)
    beyond = _betainc(k, r, q)
    rare = beyond < _RARE
    # E = mu P(Y' >= k - 1) / P(Y >= k), Y' of size r + 1; incomplete beta functions differ by one term.
    term = gammaln(k + r) - gammaln(k) - gammaln(r + 1.0) + (k - 1.0) * np.log(q) - r * np.log1p(mu / r)
    hazard = np.where(rare | (y <= 0.0), 0.0, np.exp(term) / np.where(rare, 1.0, beyond))
    mean = mu * (1.0 + hazard)
    further = 1.0 + hazard * (1.0 + r / mu * (k - 1.0) / (r + 1.0))
    square = mu**2 * (r + 1.0) / r * further + mean
    # Far out, a negative binomial falls off like a geometric distribution.
    ratio = np.minimum(q * (k + r) / (k + 1.0), _LARGEST_RATIO)
    mean = np.where(rare, k + ratio / (1.0 - ratio), mean)
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
        beyond = np.where(least > 0.0, _betainc(np.maximum(np.ceil(least), 1.0), r, mu / (r + mu)), 1.0)
        out[:, g] = np.bincount(n, weights=np.log(np.maximum(beyond, _RARE)), minlength=len(y))
    return out
