"""Meta-learners of a well-kept library (EconML), condensed to a model that serving can read.

They are measured beside the pooled projection (`tarifa coupons fit`, `bench.uplift`) and chosen where they
are better by more than noise. The library is imported where it is called and never in the request path.
"""

from __future__ import annotations

import warnings
from enum import StrEnum
from typing import Any

import numpy as np

from pricing.arrays import Floats
from pricing.uplift import Basis
from simulators.uplift.exposures import Exposures
from simulators.uplift.fit import Learned, Learner, UpliftFit, fit_uplift, pooled
from simulators.uplift.projection import Coefficients, least_squares
from simulators.uplift.scores import Mean, Scores

__all__ = ["Compared", "Meta", "best_of", "library_effects", "library_learner"]

Compared = tuple[tuple[str, Mean], ...]
"""Name of a learner and its gain per customer, out of fold."""

_TREES, _RATE, _LEAVES, _LEAF = 100, 0.05, 8, 200


class Meta(StrEnum):
    """Which meta-learner, all with boosted trees."""

    T = "t_learner"
    """Kuenzel et al. (2019): one model an offer, and their differences."""
    X = "x_learner"
    """Kuenzel et al. (2019): differences imputed for either group, then weighted."""
    DR = "dr_learner"
    """Kennedy (2023), Foster and Syrgkanis (2023): doubly robust scores on features by least squares."""


def library_learner(meta: Meta, seed: int = 0) -> Learner:
    """Return a learner for :func:`simulators.uplift.fit.fit_uplift`.

    Its predictions are projected on the basis; its covariance is that of the unshrunk projection of doubly
    robust scores, since the library's own speaks of other coefficients.
    """

    def learn(exposures: Exposures, scores: Scores, basis: Basis) -> Learned:
        found = pooled(exposures, scores, basis).basis
        z = found.standardised(exposures.X)
        scale = found.scale_of(z)
        X = found.expand(z) * scale[:, None]
        weighted = X / scale[:, None]
        gram = weighted.T @ X + 1e-9 * len(X) * np.eye(X.shape[1])
        mean = np.linalg.solve(gram, weighted.T @ library_effects(meta, exposures, z, z, seed)).T
        raw = least_squares(scores.effect[:, 1:], X, exposures.customer, 1.0 / scale, scores.open_to[:, 1:])
        return Learned(found, Coefficients(np.asarray(mean, dtype=np.float64), raw.covariance))

    return learn


def library_effects(meta: Meta, exposures: Exposures, z: Floats, at: Floats, seed: int) -> Floats:
    """Return the library's own effects of offers, float64 [M, K - 1]; of one that nobody got, 0.

    Parameters
    ----------
    meta, seed
        Which learner, and the seed of its trees.
    exposures, z
        What it learns from, and its features, standardised, float64 [N, F].
    at
        float64 [M, F]; features of those whom it is asked about.
    """
    import econml.dr as econml_dr
    import econml.metalearners as econml_metalearners
    import lightgbm
    from sklearn import linear_model

    robust: Any = econml_dr
    metalearners: Any = econml_metalearners
    lgb: Any = lightgbm
    sk: Any = linear_model
    given = np.unique(exposures.offer)
    trees: Any = lgb.LGBMRegressor(
        n_estimators=_TREES, learning_rate=_RATE, num_leaves=_LEAVES, min_child_samples=_LEAF,
        random_state=seed, n_jobs=1, deterministic=True, force_col_wise=True, verbosity=-1,
    )  # fmt: skip
    chance: Any = sk.LogisticRegression(max_iter=200)
    model: Any
    if meta is Meta.T:
        model = metalearners.TLearner(models=trees)
    elif meta is Meta.X:
        model = metalearners.XLearner(models=trees, propensity_model=chance)
    else:
        model = robust.LinearDRLearner(
            model_regression=trees, model_propensity=chance, cv=2, random_state=seed
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)  # names of columns, which arrays have none of
        warnings.simplefilter("ignore", category=FutureWarning)
        model.fit(
            exposures.total,
            exposures.offer,
            X=z,
            **({"groups": exposures.customer} if meta is Meta.DR else {}),
        )
        found = np.asarray(model.const_marginal_effect(at), dtype=np.float64).reshape(len(at), -1)
    out = np.zeros((len(at), len(exposures.offers) - 1))
    out[:, given[given > 0] - 1] = found
    return out


def best_of(exposures: Exposures, fitted: UpliftFit, seed: int = 0) -> tuple[UpliftFit, Compared]:
    """Return the fit that earns most out of fold, and what each earned.

    A library learner replaces the pooled projection only where it earns more by a standard error of its own:
    of many noisy candidates the best looks better than it is.

    Parameters
    ----------
    exposures
        The log.
    fitted
        The pooled projection's fit, with an identified effect.
    seed
        Of folds and trees.
    """
    best, found = fitted, list[tuple[str, Mean]]()
    for meta in Meta:
        other = fit_uplift(exposures, seed, library_learner(meta, seed))
        if other.report.value is None or best.report.value is None:
            continue
        found.append((meta.value, other.report.value))
        if other.report.value.value > best.report.value.value + other.report.value.error:
            best = other
    return best, tuple(found)
