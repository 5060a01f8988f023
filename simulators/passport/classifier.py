"""A classifier that tries to tell real rows from simulated ones, on groups and periods it has not seen.

Two samples come from one distribution if and only if no classifier tells them apart (Lopez-Paz and Oquab,
Revisiting classifier two-sample tests, ICLR 2017). Gradient boosting finds differences that nobody thought to
test for; what it finds is measured by the AUC, the chance that it puts a simulated row above a real one: .5
where it finds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pricing.arrays import Bools, Floats, Ints

__all__ = ["Sample", "Told", "auc", "told_apart"]

_FOLDS = 3
_TREES, _RATE, _LEAVES = 80, 0.1, 8
_LEAST_SHARE, _LEAST_LEAF = 0.02, 20
"""Rows of a leaf. What a category or a product has in common fills fewer rows than a fiftieth: with smaller
leaves trees learn groups by heart, and two simulations are told apart as .35 or .6 instead of .5."""
_RESAMPLED = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """R rows of one kind.

    Attributes
    ----------
    X
        float64 [R, F]; features, NaN where there is none.
    group, period
        int64 [R]; rows of a group, and rows of a period, are never on both sides of a fold.
    """

    X: Floats
    group: Ints
    period: Ints


@dataclass(frozen=True, slots=True)
class Told:
    """How well two kinds are told apart.

    Attributes
    ----------
    auc, error
        Out of fold, and its standard error by a bootstrap over groups.
    gain
        float64 [F]; share of what each feature contributed, adding up to one (0 if no tree was grown).
    """

    auc: float
    error: float
    gain: Floats


def told_apart(real: Sample, other: Sample, seed: int) -> Told:
    """Train on some groups and periods, score other groups in other periods, and resample groups.

    Groups are dealt into three folds at random, periods in turn. What chance did to a whole category or a
    whole week, in one kind and not in the other, is so of no use: it is not there where the trees are
    judged. Both kinds weigh the same, however many rows they have.

    Parameters
    ----------
    real, other
        Rows of either kind; groups and periods mean the same in both.
    seed
        Of the folds, the trees and the bootstrap.
    """
    X = np.concatenate([real.X, other.X])
    simulated = np.repeat([False, True], [len(real.X), len(other.X)])
    weight = np.repeat([1.0, len(real.X) / len(other.X)], [len(real.X), len(other.X)])
    _, group = np.unique(np.concatenate([real.group, other.group]), return_inverse=True)
    _, period = np.unique(np.concatenate([real.period, other.period]), return_inverse=True)
    rng = np.random.default_rng((seed, 6))
    G = int(group.max()) + 1
    fold = (rng.permutation(G) % _FOLDS)[group]
    turns = min(_FOLDS, int(period.max()) + 1)
    score, gain = np.zeros(len(X)), np.zeros(X.shape[1])
    for k in range(_FOLDS):
        for turn in range(turns):
            judged = (fold == k) & (period % turns == turn)
            seen = (fold != k) & ((period % turns != turn) | (turns == 1))
            if judged.any() and seen.any():
                trees = _grown(X[seen], simulated[seen], weight[seen], seed)
                score[judged] = np.asarray(trees.predict(X[judged]), dtype=np.float64)
                gain += np.asarray(trees.feature_importance("gain"), dtype=np.float64)
    again = [
        auc(simulated, score, weight * rng.multinomial(G, np.full(G, 1.0 / G))[group].astype(np.float64))
        for _ in range(_RESAMPLED)
    ]
    return Told(auc(simulated, score, weight), float(np.nanstd(again)), gain / max(float(gain.sum()), 1e-12))


def auc(positive: Bools, score: Floats, weight: Floats) -> float:
    """Return the weighted share of pairs in the right order, ties counting half; NaN without a pair.

    Parameters
    ----------
    positive
        bool [R]; which should score higher.
    score, weight
        float64 [R].
    """
    _, rank = np.unique(score, return_inverse=True)
    low, high = (np.bincount(rank, np.where(which, weight, 0.0)) for which in (~positive, positive))
    below = np.cumsum(low) - low
    pairs = float(low.sum() * high.sum())
    return float((high * (below + 0.5 * low)).sum() / pairs) if pairs > 0.0 else float("nan")


def _grown(X: Floats, simulated: Bools, weight: Floats, seed: int) -> Any:
    """Return boosted trees; the same rows and seed give the same trees."""
    import lightgbm

    lgb: Any = lightgbm
    settings = {
        "objective": "binary",
        "learning_rate": _RATE,
        "num_leaves": _LEAVES,
        "min_data_in_leaf": max(_LEAST_LEAF, round(_LEAST_SHARE * len(X))),
        "min_sum_hessian_in_leaf": 0.0,
        "feature_fraction": 0.7,
        "max_bin": 63,
        "seed": seed % 2**31,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    return lgb.train(settings, lgb.Dataset(X, simulated.astype(np.float64), weight=weight), _TREES)
