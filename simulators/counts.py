"""Poisson counts by inversion: the same normal score gives a larger count where the mean is larger."""

from __future__ import annotations

import numpy as np
from scipy import special

from pricing.arrays import Floats
from pricing.errors import UsageError

__all__ = ["poisson_quantile"]

_SMALL = 4.0
"""Below this mean the count is found by summing probabilities, which takes a few terms."""

_TAIL = 4.0
"""Scores beyond it are not trusted to the bound, which holds to four, and to 1.3 times itself at eight."""


def poisson_quantile(mean: Floats, score: Floats) -> Floats:
    """Return the Poisson quantile at probability Phi(score): whole numbers as float64.

    Exact, without a special function for most cells: the expansion of Cornish and Fisher (1938) around
    the normal gives a real number within a known distance of the point where the distribution function
    equals Phi(score); where that distance leaves no doubt about the integer below, it is the answer, and
    elsewhere the distribution function is evaluated.

    Parameters
    ----------
    mean
        float64 [...], >= 0 and finite.
    score
        float64 [...]; standard normal. Two policies that are compared share it.
    """
    if not np.isfinite(mean).all():
        raise UsageError(
            "Demand is not finite in a sampled world.",
            why="Its elasticity, carried to this price, gives more units than a number can hold.",
            todo="Keep the ladder inside the support, or look at the posterior of this product.",
        )
    small = mean < _SMALL
    lam = np.where(small, _SMALL, mean)
    at, doubt = _expansion(lam, score)
    count = np.floor(at)
    unsure = np.floor(at + doubt) != np.floor(at - doubt)
    unsure |= np.abs(score) > _TAIL
    np.logical_and(unsure, ~small, out=unsure)
    if unsure.any():
        lowest = np.floor(at[unsure] - 1.5 * doubt[unsure])
        count[unsure] = _search(lam[unsure], special.ndtr(score[unsure]), lowest)
    if small.any():
        count[small] = _sum_up(mean[small], special.ndtr(score[small]))
    return count


def _expansion(lam: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return the real solution x of Gamma(x, lam) / Gamma(x) = Phi(w), and a bound on its error."""
    root = np.sqrt(lam)
    square = w * w
    at = lam + w * root + (2.0 + square) / 6.0 - w * (2.0 + square) / (72.0 * root)
    return at, (0.05 + square * (0.025 + 0.0125 * square)) / lam


def _search(lam: Floats, u: Floats, lowest: Floats) -> Floats:
    """Walk up from `lowest`, which is not above the answer, to the smallest k with P(count <= k) >= u."""
    k = np.maximum(lowest, 0.0)
    short = np.flatnonzero(special.pdtr(k, lam) < u)
    while short.size:
        k[short] += 1.0
        short = short[special.pdtr(k[short], lam[short]) < u[short]]
    return k


def _sum_up(lam: Floats, u: Floats) -> Floats:
    """Return the smallest k with P(count <= k) >= u by adding up probabilities from 0."""
    count = np.zeros(lam.shape)
    term = np.exp(-lam)
    below = term.copy()
    where = np.flatnonzero(below < u)
    k = 0.0
    while where.size:
        k += 1.0
        term[where] *= lam[where] / k
        grown = below[where] + term[where]
        stuck = grown == below[where]
        below[where] = grown
        count[where] = k
        where = where[(grown < u[where]) & ~(stuck & (k > _SMALL))]
    return count
