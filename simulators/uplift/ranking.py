"""Does the ranking find those whom a coupon moves? Uplift curves, AUUC, Qini; unequal chances, money.

A curve says what giving the coupon to the share q of customers ranked first would add, per customer of the
whole. Customers of either group are weighted by one over the chance with which they got what they got, and
each group's weights are made to add up, so that groups of different sizes, chances that differ between
customers and outcomes in money are all right. With one constant chance it is the curve of Gutierrez and
Gerardy (2017), and scaled by the treated share that of Radcliffe (2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.uplift.scores import Mean, clustered_mean

__all__ = ["Curve", "Decile", "Reach", "calibration", "reaches", "score_curve", "uplift_curve"]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """An uplift curve; customers with equal predictions enter together.

    Attributes
    ----------
    share
        float64 [Q]; ascending from 0 to 1.
    gain
        float64 [Q]; added outcome per customer of the whole, in the unit of the outcome; 0 at 0.
    """

    share: Floats
    gain: Floats

    @property
    def auuc(self) -> float:
        """Area under the curve: the mean gain over all shares."""
        return float(np.trapezoid(self.gain, self.share))

    @property
    def qini(self) -> float:
        """The area less that under the straight line of a ranking by chance."""
        return self.auuc - 0.5 * float(self.gain[-1])


@dataclass(frozen=True, slots=True)
class Decile:
    """Customers of similar predicted effect.

    Attributes
    ----------
    count
        Exposures.
    predicted
        Mean prediction.
    found
        Mean doubly robust score with its error.
    """

    count: int
    predicted: float
    found: Mean


@dataclass(frozen=True, slots=True)
class Reach:
    """What giving an offer to those ranked first would add.

    Attributes
    ----------
    share
        Of all customers, above 0 and at most 1.
    gain
        Added outcome per customer of the whole, with its error.
    """

    share: float
    gain: Mean


def uplift_curve(predicted: Floats, outcome: Floats, treated: Bools, propensity: Floats) -> Curve:
    """Return the self-normalised inverse-propensity uplift curve.

    ``q (sum_t y / e / sum_t 1 / e - sum_c y / e / sum_c 1 / e)``, sums over the share q ranked first. Where
    only one group is in it yet, the other's mean counts as 0, as in the libraries; a share with nobody of
    one group says little anyway.

    Parameters
    ----------
    predicted
        float64 [N]; ranked from high to low.
    outcome, treated
        float64, bool [N].
    propensity
        float64 [N]; chance of what this customer got, treated or not.
    """
    order = np.argsort(-predicted, kind="stable")
    weight = 1.0 / propensity[order]
    t, y = treated[order], outcome[order]
    sums = [np.cumsum(np.where(group, part, 0.0)) for group in (t, ~t) for part in (weight * y, weight)]
    mean_t, mean_c = (
        np.divide(sums[i], sums[i + 1], out=np.zeros(len(y)), where=sums[i + 1] > 0.0) for i in (0, 2)
    )
    return _at_steps(predicted[order], (mean_t - mean_c) * (np.arange(len(y)) + 1.0) / len(y))


def score_curve(predicted: Floats, effect: Floats) -> Curve:
    """Return the curve of doubly robust scores: running sums of effects [N] over N; less noisy."""
    order = np.argsort(-predicted, kind="stable")
    return _at_steps(predicted[order], np.cumsum(effect[order]) / len(effect))


def _at_steps(ranked: Floats, gain: Floats) -> Curve:
    """Keep the ends of runs of equal predictions, and begin at 0."""
    last: Ints = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    share = (last + 1.0) / len(ranked)
    return Curve(np.append(0.0, share), np.append(0.0, gain[last]))


def calibration(predicted: Floats, effect: Floats, customer: Ints, groups: int = 10) -> tuple[Decile, ...]:
    """Compare predictions with what was found, by deciles of the prediction from low to high.

    Parameters
    ----------
    predicted, effect
        float64 [N]; out of fold, and doubly robust scores of the same effect.
    customer
        int64 [N].
    groups
        How many; equal predictions stay together, so fewer where many are equal.
    """
    if not len(predicted):
        return ()
    edges = np.unique(np.quantile(predicted, np.arange(1, groups) / groups))
    place = np.searchsorted(edges, predicted, side="right")
    return tuple(
        Decile(
            int(mine.sum()), float(predicted[mine].mean()), clustered_mean(effect[mine], customer[mine])
        )
        for mine in (place == g for g in np.unique(place))
    )  # fmt: skip


def reaches(predicted: Floats, effect: Floats, customer: Ints, groups: int = 10) -> tuple[Reach, ...]:
    """Return some points of :func:`score_curve` with their errors, from the smallest share to all.

    Parameters
    ----------
    predicted, effect
        float64 [N]; out of fold, and doubly robust scores of the same effect.
    customer
        int64 [N].
    groups
        How many; equal predictions stay together, so fewer where many are equal.
    """
    if not len(predicted):
        return ()
    least = np.append(np.unique(np.quantile(predicted, np.arange(1, groups) / groups))[::-1], -np.inf)
    given = [predicted >= edge for edge in least]
    return tuple(
        Reach(float(some.mean()), clustered_mean(np.where(some, effect, 0.0), customer)) for some in given
    )
