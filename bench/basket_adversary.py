"""The classifier that tries to tell two kinds of baskets apart, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.passport.classifier import auc

__all__ = ["Told", "told_apart"]

_FOLDS, _ROUNDS, _RESAMPLED = 4, 200, 200


@dataclass(frozen=True)
class Told:
    """How well two kinds are told apart: AUC by household-wise cross-validation, 95 % bootstrap interval."""

    auc: float
    lower: float
    upper: float
    by: tuple[str, ...]


def told_apart(real: Floats, other: Floats, who_real: Ints, who_other: Ints, names: list[str]) -> Told:
    """Train LightGBM on some households' rows, score the others', and resample households.

    Rows of one household are never on both sides of a fold, whichever kind they are.
    """
    import lightgbm as lgb

    settings = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 50,
        "feature_fraction": 0.6, "bagging_fraction": 0.8, "bagging_freq": 1, "max_bin": 127, "seed": 1,
        "deterministic": True, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    X = np.concatenate([real, other])
    y = np.concatenate([np.zeros(len(real)), np.ones(len(other))])
    who = np.concatenate([who_real, who_other])
    fold = np.random.default_rng(1).permutation(int(who.max()) + 1)[who] % _FOLDS
    score, gain = np.zeros(len(y)), np.zeros(X.shape[1])
    for k in range(_FOLDS):
        held = fold == k
        trees = lgb.train(settings, lgb.Dataset(X[~held], y[~held]), _ROUNDS)
        score[held] = np.asarray(trees.predict(X[held]))
        gain += trees.feature_importance("gain")
    low, high = _interval(y == 1.0, score, who)
    top = tuple(names[int(i)] for i in np.argsort(-gain)[:4])
    return Told(auc(y == 1.0, score, np.ones(len(y))), low, high, top)


def _interval(y: Bools, score: Floats, who: Ints) -> tuple[float, float]:
    draw, H = np.random.default_rng(2), int(who.max()) + 1
    found = [
        auc(y, score, np.bincount(draw.integers(0, H, H), minlength=H)[who].astype(np.float64))
        for _ in range(_RESAMPLED)
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
