"""Doubly robust scores: one unbiased guess of every offer's outcome for every exposure.

Robins, Rotnitzky and Zhao (1994); cross-fitted as Chernozhukov et al. (2018): what a score leans on was
learned from other customers. With the recorded propensity a score is unbiased however bad the outcome model
is; a good one only makes it less noisy. Only the propensity of the offer that was given enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import UsageError

__all__ = [
    "FOLDS",
    "Mean",
    "Scores",
    "aipw",
    "clustered_mean",
    "crossfit_outcome",
    "folds_of",
    "score_outcome",
]

FOLDS = 5

_LEAST_FREEDOM = 3.0

_RIDGE = 10.0
"""Prior rows of the outcome model: a coefficient of a standardised regressor shrinks as if it had been seen
0 in that many exposures."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of N exposures.

    Attributes
    ----------
    value
        float64 [N, K]; AIPW scores of the outcome under each offer.
    expected
        float64 [N, K]; the outcome model's prediction, from other customers.
    fold
        int64 [N]; fold of the customer.
    open_to
        bool [N, K]; which offers could have been given: of the others a score is the model's guess alone.
    """

    value: Floats
    expected: Floats
    fold: Ints
    open_to: Bools

    @property
    def effect(self) -> Floats:
        """float64 [N, K]; scores of the difference to no coupon; column 0 is 0."""
        return np.asarray(self.value - self.value[:, :1])

    def take(self, chosen: Bools) -> Scores:
        """Return the scores where `chosen` [N] holds."""
        return Scores(self.value[chosen], self.expected[chosen], self.fold[chosen], self.open_to[chosen])


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its standard error, clustered by customer.

    Attributes
    ----------
    value, error
        In the unit of what was averaged.
    clusters
        How many customers.
    freedom
        Degrees of freedom that the error is worth; NaN for one less than customers.
    """

    value: float
    error: float
    clusters: int
    freedom: float = float("nan")

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the ends of the interval: Student's t."""
        from scipy.special import stdtrit

        freedom = self.freedom if np.isfinite(self.freedom) else max(self.clusters - 1.0, 1.0)
        wide = float(stdtrit(freedom, 0.5 + level / 2.0))
        return self.value - wide * self.error, self.value + wide * self.error


def folds_of(customer: Ints, seed: int, folds: int = FOLDS) -> Ints:
    """Deal customers into folds, int64 [N]: all exposures of one are in the same."""
    _, place = np.unique(customer, return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    return np.asarray((np.random.default_rng((seed, 81)).permutation(count) % folds)[place], dtype=np.int64)


def aipw(outcome: Floats, offer: Ints, propensity: Floats, expected: Floats) -> Floats:
    """Return ``mu_k(x) + 1(offer = k) (y - mu_k(x)) / e``, float64 [N, K].

    Parameters
    ----------
    outcome, offer, propensity
        float64, int64, float64 [N]; y, the offer given and the chance with which it was chosen.
    expected
        float64 [N, K]; mu, learned from other customers.

    Raises
    ------
    UsageError
        If a propensity is not in (0, 1].
    """
    if not ((propensity > 0.0) & (propensity <= 1.0)).all():
        raise UsageError(
            "Doubly robust scores need the chance of every offer that was given.",
            why="A propensity is missing, 0 or above 1.",
        )
    out = expected.copy()
    rows = np.arange(len(outcome))
    out[rows, offer] += (outcome - expected[rows, offer]) / propensity
    return out


def crossfit_outcome(outcome: Floats, offer: Ints, X: Floats, offers: int, fold: Ints) -> Floats:
    """Predict the outcome under each offer from other customers, float64 [N, K].

    A ridge regression on the P regressors over all offers, and one an offer on what that leaves: offers with
    few exposures lean on the common part.

    Parameters
    ----------
    outcome, offer
        float64 [N]; int64 [N].
    X
        float64 [N, P]; the first column is 1.
    offers
        K.
    fold
        int64 [N].
    """
    folds = int(fold.max()) + 1 if len(fold) else 0
    cell = fold * offers + offer
    order = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[order], np.arange(folds * offers + 1))
    P = X.shape[1]
    gram, moment = np.zeros((folds, offers, P, P)), np.zeros((folds, offers, P))
    for c in range(folds * offers):
        rows = order[ends[c] : ends[c + 1]]
        part = X[rows]
        gram[c // offers, c % offers], moment[c // offers, c % offers] = part.T @ part, part.T @ outcome[rows]
    out = np.zeros((len(outcome), offers))
    for f in range(folds):
        G, m = gram.sum(axis=0) - gram[f], moment.sum(axis=0) - moment[f]
        shared = _ridge(G.sum(axis=0), m.sum(axis=0))
        own = [_ridge(G[k], m[k] - G[k] @ shared) for k in range(offers)]
        told = fold == f
        out[told] = X[told] @ (shared + np.array(own)).T
    return out


def _ridge(gram: Floats, moment: Floats) -> Floats:
    penalty = np.full(len(moment), _RIDGE)
    penalty[0] = 1e-3
    return np.asarray(np.linalg.solve(gram + np.diag(penalty), moment), dtype=np.float64)


def score_outcome(
    outcome: Floats, offer: Ints, propensity: Floats, X: Floats, fold: Ints, open_to: Bools
) -> Scores:
    """Return cross-fitted AIPW scores of one outcome; see :func:`aipw` and :func:`crossfit_outcome`."""
    expected = crossfit_outcome(outcome, offer, X, open_to.shape[1], fold)
    return Scores(aipw(outcome, offer, propensity, expected), expected, fold, open_to)


def clustered_mean(values: Floats, customer: Ints) -> Mean:
    """Return the mean of values [N] and its standard error, sums by customer being independent.

    With G customers the error is ``sqrt(G / (G - 1) sum_g (sum_i (v_i - mean))^2) / N``, what a regression
    on a constant with clustered errors gives. That is itself an estimate: with sums of kurtosis k its
    variance is worth ``2 G / (k - 1)`` degrees of freedom (Satterthwaite 1946). Half of that counts, since a
    log that lacks the largest baskets of a long tail understates k; with sums that have no tail it is still
    as good as all.
    """
    if not len(values):
        return Mean(float("nan"), float("nan"), 0)
    mean = float(values.mean())
    _, place = np.unique(customer, return_inverse=True)
    sums = np.bincount(place, values - mean).astype(np.float64)
    G = len(sums)
    if G < 2:
        return Mean(mean, float("nan"), G)
    squares = np.square(sums)
    error = float(np.sqrt(G / (G - 1.0) * squares.sum())) / len(values)
    kurtosis = float(np.square(squares).mean() / max(float(squares.mean()) ** 2, 1e-300))
    freedom = min(max(G / max(kurtosis - 1.0, 1e-9), _LEAST_FREEDOM), G - 1.0)
    return Mean(mean, error, G, freedom)
