"""How often offers are really used against how often they were expected to be, customer by customer.

The log odds of use are predicted; what shows may be shifted, for all offers or for one, and may differ less
between customers, or between the offers of one customer, than was predicted (regression to the mean: whoever
looks likeliest is chosen, and partly is not). How far to believe either, the outcomes say themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.serve.realised_use import LogOdds, log_odds
from pricing.arrays import Floats, Ints

__all__ = ["learned_use"]

_COMMON = np.array([0.3, 0.25, 0.25])
_OWN = 0.1
"""Standard deviations, before any outcome, of the common shift and both slopes, and of one offer's own."""

_WIDTHS = (1.0, 3.0, 10.0)
"""Widths of the prior, in those, among which outcomes choose; wider ones are less likely beforehand."""

_STEPS = 30


def learned_use(predicted: Floats, offer: Ints, used: Floats) -> LogOdds:
    """Fit what shows to outcomes, shrunk to "predictions are right" (penalised logistic likelihood).

    Parameters
    ----------
    predicted
        float64 [J, K]; chances that were predicted for whom J offers were made to.
    offer
        int64 [J]; which was made, 1 to K - 1. Given what is predicted, outcomes are not selected.
    used
        float64 [J]; 1 or 0.

    Returns
    -------
    LogOdds
        The posterior mode, by Newton steps that are halved until they gain. How far it is shrunk, the
        outcomes say: of a few widths of the prior the likeliest counts (empirical Bayes, Laplace's evidence).
    """
    offers = int(predicted.shape[1])
    if not len(offer):
        return LogOdds(np.zeros(offers))
    every, mean = log_odds(predicted)
    own = every[np.arange(len(offer)), offer]
    centre = np.array([0.0, own.mean(), mean.mean()])
    design = np.column_stack([np.ones(len(own)), own, mean[:, 0]]) - centre
    fit = _Fit(design, own, offer, used, offers)
    tried = [(-np.inf, fit.nothing)]
    for width in _WIDTHS:
        scale = np.concatenate([width * _COMMON, np.full(offers, width * _OWN)])
        theta, evidence = fit.mode(scale, tried[-1][1])
        tried.append((evidence - 2.0 * float(np.log(width)), theta))
    theta = max(tried, key=lambda one: one[0])[1]
    level = theta[0] - float(theta[1:3] @ centre[1:]) + theta[3:]
    level[0] = 0.0
    return LogOdds(level, 1.0 + float(theta[1]), float(theta[2]))


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """A logistic likelihood with the prediction as its offset: three common terms, and one an offer.

    No outcome is of two offers, so the offers' part of the information is diagonal, and any number of them
    costs a system of three equations.
    """

    design: Floats
    offset: Floats
    offer: Ints
    used: Floats
    offers: int

    @property
    def nothing(self) -> Floats:
        """Return what changes no prediction."""
        return np.zeros(3 + self.offers)

    def mode(self, scale: Floats, start: Floats) -> tuple[Floats, float]:
        """Return the posterior mode under these prior standard deviations, and Laplace's log evidence."""
        theta, found = start, self.score(start, scale)
        for _ in range(_STEPS):
            step, _ = self.step(theta, scale)
            after = self.score(theta + step, scale)
            while after < found and np.abs(step).max() > 1e-9:
                step = 0.5 * step
                after = self.score(theta + step, scale)
            if after > found:
                theta = theta + step
            if after - found < 1e-6:
                break
            found = after
        return theta, found - 0.5 * self.step(theta, scale)[1] - float(np.log(scale).sum())

    def score(self, theta: Floats, scale: Floats) -> float:
        """Return the log posterior."""
        z, away = self._odds(theta), theta / scale
        return float((self.used * z - np.logaddexp(0.0, z)).sum()) - 0.5 * float(away @ away)

    def step(self, theta: Floats, scale: Floats) -> tuple[Floats, float]:
        """Return Newton's step, and the log determinant of the information, by its block of offers."""
        share = 0.5 * (1.0 + np.tanh(0.5 * self._odds(theta)))
        miss, weight = self.used - share, share * (1.0 - share)
        pull = theta / scale**2
        common = self.design.T @ miss - pull[:3]
        own = np.bincount(self.offer, miss, self.offers) - pull[3:]
        corner = (self.design * weight[:, None]).T @ self.design + np.diag(1.0 / scale[:3] ** 2)
        side = np.array([np.bincount(self.offer, weight * x, self.offers) for x in self.design.T])
        diagonal = np.bincount(self.offer, weight, self.offers) + 1.0 / scale[3:] ** 2
        left = corner - (side / diagonal) @ side.T
        first = np.linalg.solve(left, common - (side / diagonal) @ own)
        step = np.concatenate([first, (own - side.T @ first) / diagonal]).astype(np.float64)
        return step, float(np.linalg.slogdet(left)[1] + np.log(diagonal).sum())

    def _odds(self, theta: Floats) -> Floats:
        out: Floats = self.offset + self.design @ theta[:3] + theta[3:][self.offer]
        return out
