"""Customers who are here now, what is predicted of them, and how predictions are set right by outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policies.allocation.instance import Cells
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError

__all__ = ["Arrivals", "Calibration", "Outcomes", "learned"]

_LEAST_LIFT = 1e-6
_RARE = 1e-6
"""A probability closer to 0 or 1 than this is held there, so that its logit is finite."""

_PRIOR_LEVEL, _PRIOR_OFFER, _PRIOR_SLOPE = 0.3, 0.1, 0.25
"""Standard deviations, before any outcome, of the common level, of one offer's own, and of both slopes."""

_WIDTHS = (0.1, 0.3, 1.0, 3.0)
"""Widths of the prior, in those, among which outcomes choose."""

_PRIOR_SPENT = 20.0
"""Redemptions that the prediction of what a redemption costs is worth."""

_LARGEST_LOG = 5.0
"""Logarithm of the largest lift that is believed."""

_STEPS = 12


@dataclass(frozen=True, slots=True)
class Arrivals:
    """M customers and what is predicted for K offers, the first of which is none.

    Attributes
    ----------
    value, cost
        float64 [M, K]; expected incremental profit and cost, minor units; 0 in column 0.
    redemption
        float64 [M, K]; probability that the customer buys and redeems the offer; column 0: buys without one.
    liability
        int64 [M, K]; the most that the offer can cost, minor units.
    eligible
        bool [M, K]; what guardrails, holdouts and frequency caps leave open.
    """

    value: Floats
    cost: Floats
    redemption: Floats
    liability: Ints
    eligible: Bools

    def __post_init__(self) -> None:
        shape = self.value.shape
        parts = (self.cost, self.redemption, self.liability, self.eligible)
        if len(shape) != 2 or any(part.shape != shape for part in parts):
            raise DataError(f"What is predicted for arrivals is not all of one shape: value has {shape}.")
        numbers = np.isfinite(self.value).all() and ((self.cost >= 0.0) & (self.cost < np.inf)).all()
        shares = ((self.redemption >= 0.0) & (self.redemption <= 1.0)).all()
        if not (numbers and shares and (self.liability >= 0).all()):
            raise DataError(
                "What is predicted for an arrival is no number, a negative cost or no probability.",
                todo="Correct the scores; no offer is given on such a prediction.",
            )
        if self.value[:, 0].any() or self.cost[:, 0].any() or self.liability[:, 0].any():
            raise DataError("The first offer is not 'no coupon': it has a value, a cost or a liability.")
        if (self.cost > self.liability).any():
            raise DataError(
                "An offer is expected to cost more than its maximum liability.",
                why="A budget is kept by reserving the most that an offer can cost.",
            )

    def __len__(self) -> int:
        return len(self.value)

    @staticmethod
    def latest(parts: Sequence[Arrivals], count: int) -> Arrivals:
        """Return the last `count` customers of several arrivals together."""
        names = ("value", "cost", "redemption", "liability", "eligible")
        return Arrivals(*(np.concatenate([getattr(p, name) for p in parts])[-count:] for name in names))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far realised redemptions differ from predicted ones.

    An offer's *lift* is what it adds to the logit of buying. The lift that shows is ``exp(level + slope own
    + pooled mean)``: `own` is the logarithm of the lift predicted, `mean` its mean over all their offers.
    A slope below 1 is what errors in predicted sensitivity cause: those who look most sensitive are chosen,
    and partly are not (regression to the mean). Where the errors differ by offer, the customer's other offers
    tell more than the one that was chosen because it looked best.

    Attributes
    ----------
    level
        float64 [K]; 0 where predictions are right.
    slope, pooled
        1 and 0 where predictions are right.
    spent
        Realised over predicted cost of a redemption.
    """

    level: Floats
    slope: float = 1.0
    pooled: float = 0.0
    spent: float = 1.0

    def corrected(self, arrivals: Arrivals) -> Cells:
        """Return value and cost as outcomes so far say they are.

        Redemptions that an offer adds bring the margin that was predicted for them; what would have been
        bought anyway stays as predicted.
        """
        base, lift = _logit_lift(arrivals.redemption)
        own, mean = _logs(lift)
        told = np.exp(np.minimum(self.level + self.slope * own + self.pooled * mean, _LARGEST_LOG))
        shown = np.where(lift > _LEAST_LIFT, told, lift)
        share = 1.0 / (1.0 + np.exp(-(base + shown)))
        before, held = arrivals.redemption, _held(arrivals.redemption)
        added = held - held[:, :1]
        moved = np.abs(added) > _RARE
        margin = (arrivals.value + arrivals.cost) * np.where(
            moved, (share - held[:, :1]) / np.where(moved, added, 1.0), 1.0
        )
        cost = np.where(before > 0.0, arrivals.cost * share / held * self.spent, arrivals.cost)
        cost = np.minimum(cost, arrivals.liability)
        value = margin - cost
        value[:, 0] = cost[:, 0] = 0.0
        return Cells(value, cost, arrivals.eligible)


def _held(share: Floats) -> Floats:
    return np.clip(share, _RARE, 1.0 - _RARE)


def _logit_lift(redemption: Floats) -> tuple[Floats, Floats]:
    """Return the logit of buying without an offer, float64 [M, 1], and what each offer adds, [M, K]."""
    held = _held(redemption)
    logit = np.log(held / (1.0 - held))
    return logit[:, :1], logit - logit[:, :1]


def _logs(lift: Floats) -> tuple[Floats, Floats]:
    """Return the logarithm of lifts, float64 [M, K], and its mean over a customer's offers, [M, 1]."""
    real = lift > _LEAST_LIFT
    own = np.log(np.where(real, lift, 1.0))
    return own, own.sum(axis=1, keepdims=True) / np.maximum(real.sum(axis=1, keepdims=True), 1)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """J offers whose time is over.

    Attributes
    ----------
    offer
        int64 [J].
    base, lift, mean
        float64 [J]; predicted logit of buying without the offer, what it adds, and the mean of the logarithms
        of what all offers of the customer add.
    redeemed
        bool [J].
    predicted, spent
        float64 [J]; predicted and realised cost if redeemed, minor units; 0 where it was not.
    """

    offer: Ints
    base: Floats
    lift: Floats
    mean: Floats
    redeemed: Bools
    predicted: Floats
    spent: Floats

    @staticmethod
    def foretold(arrivals: Arrivals, choice: Ints) -> tuple[Floats, Floats, Floats, Floats]:
        """Return base, lift, mean and predicted cost of a redemption, float64 [M] each, of offers chosen."""
        at = np.arange(len(choice))
        base, lift = _logit_lift(arrivals.redemption)
        a_redemption = arrivals.cost[at, choice] / _held(arrivals.redemption[at, choice])
        worst = arrivals.liability[at, choice]
        return base[:, 0], lift[at, choice], _logs(lift)[1][:, 0], np.minimum(a_redemption, worst)


def learned(seen: Outcomes, offers: int) -> Calibration:
    """Fit the calibration to outcomes, shrunk to "predictions are right" (penalised logistic likelihood).

    Parameters
    ----------
    seen
        J outcomes of offers that were chosen on what is predicted; given that, outcomes are not selected.
    offers
        K, no coupon included.

    Returns
    -------
    The posterior mode, by Fisher scoring with halved steps. How far it is shrunk, the outcomes say: of a few
    widths of the prior the likeliest counts (empirical Bayes).
    """
    use = seen.lift > _LEAST_LIFT
    ratio = (seen.spent.sum() + _prior_money(seen)) / (seen.predicted.sum() + _prior_money(seen))
    spent = float(ratio) if np.isfinite(ratio) and ratio > 0.0 else 1.0
    if not use.any():
        return Calibration(np.zeros(offers), spent=spent)
    own, mean = np.log(seen.lift[use]), seen.mean[use]
    centres = np.array([own.mean(), mean.mean()])
    design = np.zeros((len(own), offers + 2))
    design[:, 0], design[:, 1], design[:, 2] = 1.0, own - centres[0], mean - centres[1]
    design[np.arange(len(own)), 2 + seen.offer[use]] = 1.0  # column 2 + k; offer 0 is never given
    scale = np.array([_PRIOR_LEVEL, _PRIOR_SLOPE, _PRIOR_SLOPE, *[_PRIOR_OFFER] * (offers - 1)])
    prior = np.array([centres[0], 1.0, 0.0, *[0.0] * (offers - 1)])
    fit = _Fit(design, seen.base[use], seen.redeemed[use].astype(np.float64), prior)
    theta, best = prior, -np.inf
    start = prior
    for width in _WIDTHS:
        start, evidence = fit.mode(width * scale, start)
        if evidence > best:
            theta, best = start, evidence
    level = theta[0] - float(theta[1:3] @ centres) + np.concatenate([[0.0], theta[3:]])
    return Calibration(level, float(theta[1]), float(theta[2]), spent)


def _prior_money(seen: Outcomes) -> float:
    """Return what the prior redemptions of the spending ratio are worth, minor units."""
    return _PRIOR_SPENT * float(seen.predicted[seen.redeemed].mean()) if seen.redeemed.any() else 1.0


@dataclass(frozen=True, slots=True)
class _Fit:
    """A penalised logistic likelihood: logit = base + exp(design theta), theta near the prior mean."""

    design: Floats
    base: Floats
    redeemed: Floats
    prior: Floats

    def mode(self, scale: Floats, start: Floats) -> tuple[Floats, float]:
        """Return the posterior mode under these prior standard deviations, and Laplace's log evidence."""
        theta, (best, gradient, fisher) = start, self.at(start, scale)
        for _ in range(_STEPS):
            step = np.linalg.solve(fisher, gradient)
            found = self.at(theta + step, scale)
            while found[0] < best and np.abs(step).max() > 1e-9:
                step = 0.5 * step
                found = self.at(theta + step, scale)
            gained = found[0] - best
            if gained > 0.0:
                theta, (best, gradient, fisher) = theta + step, found
            if gained < 1e-3:
                break
        evidence = best - 0.5 * float(np.linalg.slogdet(fisher)[1]) - float(np.log(scale).sum())
        return theta, evidence

    def at(self, theta: Floats, scale: Floats) -> tuple[float, Floats, Floats]:
        """Return log posterior, its gradient [P] and the Fisher information [P, P]."""
        lift = np.exp(np.minimum(self.design @ theta, _LARGEST_LOG))
        logit = self.base + lift
        away = (theta - self.prior) / scale
        score = float((self.redeemed * logit - np.logaddexp(0.0, logit)).sum()) - 0.5 * float(away @ away)
        share = 1.0 / (1.0 + np.exp(-logit))
        slope = self.design * lift[:, None]
        gradient: Floats = slope.T @ (self.redeemed - share) - away / scale
        fisher: Floats = (slope * (share * (1.0 - share))[:, None]).T @ slope + np.diag(1.0 / scale**2)
        return score, gradient, fisher
