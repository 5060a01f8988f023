"""The population that every series' coefficients are drawn from, learned from the series themselves.

Coefficients of series i in category g are normal around the category's mean, category means are normal
around the shop's mean, and the shop's mean has a wide prior of its own. The update below is the M step of
expectation-maximisation with Laplace posteriors (Laird and Ware, Biometrics 1982).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.model import BEND_COLUMNS, COEFFICIENTS
from pricing.response import BENDS

__all__ = [
    "ELASTICITY_SD", "HELD", "Freed", "Population", "by_category", "distance", "first_population", "freed",
    "means", "shifted", "update_level", "update_population",
]  # fmt: skip

_PRIOR_MEAN = np.array([0.0, -1.5, -2.0, 0.3, 0.3, 0.0, 0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
ELASTICITY_SD = 1.5
"""Standard deviation of what is known of a shop's mean own-price elasticity before any of its data."""

_PRIOR_SD = np.array([10.0, ELASTICITY_SD, 1.5, 1.0, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0, 1.0, 2.0, 1.0])
"""Own-price elasticities average -2.62 with a wide spread (Bijmolt, van Heerde and Pieters, Journal of
Marketing Research 2005, 1,851 estimates), less once promotion is held apart; the rest is vague. It decides
only where a shop's own data say nothing. A bend of the response is the difference between two slopes; those
of brands with a threshold differ by up to their size (Gupta and Cooper, Journal of Consumer Research 1992).
The last two are of the price control and of the one of the period
before, where there is one (:mod:`simulators.demand.instruments`); all arrays below are in this order."""

_FIRST_SD = np.array([1.0, 0.7, 0.7, 0.5, 0.5, 0.3, 0.5, 0.2, 0.2, 0.2, 0.02, 0.02, 0.3, 0.2])
_SD_FLOOR = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.02, 0.05, 0.05, 0.02, 0.02, 0.1, 0.1])
"""No series is ever taken to be exactly like the others, however few there are to compare."""

_BETWEEN_SD = 0.1
_BETWEEN_WEIGHT = 2.0
_TYPICAL_SD = np.array([1.0, 0.5, 0.5, 0.3, 0.3, 0.15, 0.3, 0.05, 0.1, 0.1, 0.02, 0.02, 0.2, 0.1])
_SPREAD_WEIGHT = 8.0
"""The spread over series starts from eight imaginary ones that differ this much: few products tell it badly,
and a spread taken too small makes every interval too narrow."""

_COMMON = tuple(COEFFICIENTS.index(name) for name in ("deal", "featured_depth", *BENDS))
_COMMON_SD = 0.02
"""What all series are taken to share, nearly: the signal of a discount and its feature, and the bends of the
response to the regular price, which no series alone can tell. With spreads of
their own, a year of grocery sales was predicted no better in held-out weeks (29-43), and a discount's
elasticity, of which they are parts, was told less surely."""

HELD = 1e-3
"""Sd of the prior of what is held at 0."""
_LEAST_TOLD = 0.1
_DAMPED = 0.5
"""Share of a Fisher step of variances that is taken. Whole ones went there and back for ever in all of 264
invented shops of 30 to 200 products; with .5 and with .3 all of 36 tried settle, in 23 to 30 rounds."""
_LONGEST_LOG = 0.5


@dataclass(frozen=True, slots=True)
class Population:
    """Hyperparameters of C coefficients over G categories.

    Attributes
    ----------
    mean
        float64 [C]; of the shop.
    mean_covariance
        float64 [C, C]; uncertainty of `mean`.
    between
        float64 [C]; variance of category means around it.
    category_mean, category_covariance
        float64 [G, C], [G, C, C]; posterior of the category means.
    covariance
        float64 [C, C]; of series around their category mean.
    vague
        float64 [C]; sd of the prior of `mean`.
    """

    mean: Floats
    mean_covariance: Floats
    between: Floats
    category_mean: Floats
    category_covariance: Floats
    covariance: Floats
    vague: Floats

    @property
    def prior_covariance(self) -> Floats:
        """float64 [G, C, C]; of a series' coefficients around the category mean, its error included."""
        return self.covariance + self.category_covariance

    def taking_means_as_known(self) -> Population:
        """Return the population for learning: there the error of category means is accounted for apart."""
        return replace(self, category_covariance=np.zeros_like(self.category_covariance))

    @property
    def newcomers(self) -> tuple[Floats, Floats]:
        """float64 [G + 1, C], [G + 1, C, C]; mean and covariance of a newcomer of each category.

        The last is of a category never seen: around the shop's mean, and wider by what categories differ.
        """
        shop = self.covariance + np.diag(self.between) + self.mean_covariance
        mean = np.concatenate([self.category_mean, self.mean[None]])
        return mean, np.concatenate([self.prior_covariance, shop[None]])


def first_population(level: Floats, categories: int, coefficients: int, *, bent: bool) -> Population:
    """Return where the search starts.

    Parameters
    ----------
    level
        float64 [N]; rough log levels of the series.
    categories, coefficients
        G and C.
    bent
        Whether the response to the regular price may bend; else its bends are held at 0.
    """
    mean = _PRIOR_MEAN[:coefficients].copy()
    mean[0] = level.mean()
    C, prior_sd = coefficients, _PRIOR_SD[:coefficients].copy()
    if not bent:
        prior_sd[BEND_COLUMNS] = HELD
    covariance = np.diag(_FIRST_SD[:C] ** 2)
    covariance[0, 0] = max(float(level.var()), 0.5)
    covariance, between = _in_common(covariance, np.full(C, _BETWEEN_SD**2))
    return Population(
        mean=mean,
        mean_covariance=np.diag(prior_sd**2),
        between=between,
        category_mean=np.tile(mean, (categories, 1)),
        category_covariance=np.tile(np.diag(prior_sd**2), (categories, 1, 1)),
        covariance=covariance,
        vague=prior_sd,
    )


def update_population(
    mode: Floats, covariance: Floats, category: Ints, old: Population
) -> tuple[Population, Floats]:
    """Re-estimate the population.

    Means are maximised exactly given the variances (ECME; Liu and Rubin, Biometrika 1994): the plain M step
    averages estimates that have already been pulled to the old mean, and hardly moves where data are thin.
    Series i, freed of its prior, weighs ``W = P - P V P`` with P the prior precision and V its posterior
    covariance, and says ``W b = P (m - V P mu)``.

    Parameters
    ----------
    mode, covariance
        float64 [n, C], [n, C, C]; posteriors of the series.
    category
        int64 [n]; of each series.
    old
        The population under which those posteriors were found.

    Returns
    -------
    The new population, and the modes [n, C] as they are around its means.
    """
    G, C = old.category_mean.shape
    told = freed(mode, covariance, category, old)
    A, a = by_category(told.precision, told.weighed, category, G)
    mean, mean_covariance, group_mean, group_covariance = means(A, a, old.between, old.vague)
    prior = old.category_mean[category]
    moved = mode + np.matmul(told.pulled, (group_mean[category] - prior)[..., None])[..., 0]
    around = ((group_mean - mean) ** 2 + np.einsum("gcc->gc", group_covariance)).sum(axis=0)
    between = (around + _BETWEEN_WEIGHT * _BETWEEN_SD**2) / (G + _BETWEEN_WEIGHT)
    known = 1.0 - np.einsum("gcc->gc", group_covariance) / old.between
    between = old.between * _hurried(between / old.between, known, _BETWEEN_WEIGHT)
    gap = moved - group_mean[category]
    own = np.eye(C) - told.pulled
    unsure = np.matmul(np.matmul(own, group_covariance[category]), np.swapaxes(own, 1, 2))
    spread = gap.T @ gap + (covariance + unsure).sum(axis=0) + _SPREAD_WEIGHT * np.diag(_TYPICAL_SD[:C] ** 2)
    spread /= len(mode) + _SPREAD_WEIGHT
    here = np.diag(old.covariance)
    known = 1.0 - np.einsum("ncc->nc", covariance) / here
    hurried = _hurried(np.diag(spread) / here, known, _SPREAD_WEIGHT)
    scale = np.sqrt(hurried * here / np.diag(spread))
    spread, between = _in_common(_floored(spread * np.outer(scale, scale)), between)
    return replace(
        old,
        mean=mean,
        mean_covariance=mean_covariance,
        between=between,
        category_mean=group_mean,
        category_covariance=group_covariance,
        covariance=spread,
    ), moved


def _hurried(ratio: Floats, told: Floats, imaginary: float) -> Floats:
    """Lengthen an EM step of variances, given as `ratio` [C] new over old, where EM crawls.

    For one variance the EM map contracts by ``1 - mean(k**2)``, k [n, C] being the share that each unit's
    own data tell (`told`), 1 for the `imaginary` units of the prior; dividing the step in the log by
    ``mean(k**2)`` makes it Fisher scoring. Several variances trade with each other, and a full step of each
    by itself then goes too far, there and back for ever: half of it does not.
    """
    square = (np.clip(told, 0.0, 1.0) ** 2).sum(axis=0)
    share = np.maximum((square + imaginary) / (len(told) + imaginary), _LEAST_TOLD)
    step = np.log(ratio) / np.minimum(share / _DAMPED, 1.0)
    out: Floats = np.exp(np.clip(step, -_LONGEST_LOG, _LONGEST_LOG))
    return out


@dataclass(frozen=True, slots=True)
class Freed:
    """What each of n series says of its category's mean, freed of its prior.

    Attributes
    ----------
    precision, weighed
        float64 [n, C, C], [n, C]; W, and W times what it says of its coefficients.
    pulled
        float64 [n, C, C]; share of the prior in its posterior, V P.
    """

    precision: Floats
    weighed: Floats
    pulled: Floats


def freed(mode: Floats, covariance: Floats, category: Ints, old: Population) -> Freed:
    """Return what each series says of its category's mean; arguments as in :func:`update_population`."""
    P = np.linalg.inv(old.prior_covariance)[category]
    pulled = np.matmul(covariance, P)
    prior = old.category_mean[category]
    said = np.matmul(P, (mode - np.matmul(pulled, prior[..., None])[..., 0])[..., None])[..., 0]
    return Freed(P - np.matmul(P, pulled), said, pulled)


def by_category(precision: Floats, weighed: Floats, category: Ints, categories: int) -> tuple[Floats, Floats]:
    """Return the sums over the series of each category, float64 [G, C, C], [G, C]; see :class:`Freed`."""
    A, a = np.zeros((categories, *precision.shape[1:])), np.zeros((categories, weighed.shape[1]))
    np.add.at(A, category, precision)
    np.add.at(a, category, weighed)
    return A, a


def means(A: Floats, a: Floats, between: Floats, vague: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return shop mean [C], its covariance [C, C], category means [G, C] and their covariances [G, C, C].

    Parameters
    ----------
    A, a
        float64 [G, C, C], [G, C]; precision and precision-weighted mean of each category's own data.
    between, vague
        float64 [C]; variance of category means around the shop's, and sd of the prior of the shop's.
    """
    pull = np.diag(1.0 / between)
    inside = np.asarray(np.linalg.inv(A + pull), dtype=np.float64)
    weight = pull - pull @ inside @ pull
    prior_mean, prior_variance = _PRIOR_MEAN[: len(between)], vague**2
    precision = weight.sum(axis=0) + np.diag(1.0 / prior_variance)
    right = np.matmul(pull @ inside, a[..., None])[..., 0].sum(axis=0) + prior_mean / prior_variance
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    mean: Floats = covariance @ right
    group_mean: Floats = np.matmul(inside, (a + mean @ pull)[..., None])[..., 0]
    # The error of the shop's mean reaches every category that the data leave open.
    share = inside @ pull
    group_covariance: Floats = inside + share @ covariance @ np.swapaxes(share, 1, 2)
    return mean, covariance, group_mean, group_covariance


def update_level(level: Floats, variance: Floats, category: Ints, old: Population) -> Population:
    """Re-estimate the level's population alone, from all series, thin ones included.

    Price responses are learned where there is evidence; levels must fit everybody, or a thin series would
    be pulled up to the sales of the rich ones.

    Parameters
    ----------
    level, variance
        float64 [n]; posterior mode and variance of each level.
    category
        int64 [n].
    old
        Population of all coefficients.
    """
    G = len(old.category_mean)
    count = np.bincount(category, minlength=G).astype(np.float64)
    inside = float(old.covariance[0, 0])
    precision = count / inside + 1.0 / old.between[0]
    total = np.bincount(category, weights=level, minlength=G)
    group = (total / inside + old.mean[0] / old.between[0]) / precision
    mean = old.mean.copy()
    mean[0] = group.mean()
    between = old.between.copy()
    around = float(((group - mean[0]) ** 2 + 1.0 / precision).sum())
    between[0] = (around + _BETWEEN_WEIGHT * _BETWEEN_SD**2) / (G + _BETWEEN_WEIGHT)
    spread = float(((level - group[category]) ** 2 + variance + 1.0 / precision[category]).mean())
    scale = np.ones(len(mean))
    scale[0] = np.sqrt(max(spread, _SD_FLOOR[0] ** 2) / inside)
    category_mean = old.category_mean.copy()
    category_mean[:, 0] = group
    category_covariance = old.category_covariance.copy()
    category_covariance[:, 0, :] = category_covariance[:, :, 0] = 0.0
    category_covariance[:, 0, 0] = 1.0 / precision
    return replace(
        old,
        mean=mean,
        between=between,
        category_mean=category_mean,
        category_covariance=category_covariance,
        covariance=old.covariance * np.outer(scale, scale),
    )


def _floored(covariance: Floats) -> Floats:
    short = np.maximum(_SD_FLOOR[: len(covariance)] ** 2 - np.diag(covariance), 0.0)
    return covariance + np.diag(short + 1e-6)


def _in_common(covariance: Floats, between: Floats) -> tuple[Floats, Floats]:
    """Return covariance [C, C] and between-category variances [C], next to no spread in :data:`_COMMON`."""
    out, apart = covariance.copy(), between.copy()
    common = list(_COMMON)
    out[common, :], out[:, common] = 0.0, 0.0
    out[common, common], apart[common] = _COMMON_SD**2, _COMMON_SD**2
    return out, apart


def shifted(population: Population, column: int, by: float) -> Population:
    """Return the population with every mean of one coefficient moved."""
    mean, category_mean = population.mean.copy(), population.category_mean.copy()
    mean[column] += by
    category_mean[:, column] += by
    return replace(population, mean=mean, category_mean=category_mean)


def distance(before: Population, after: Population) -> float:
    """Return the furthest that a mean or a spread moved."""
    mean = np.abs(after.mean - before.mean).max()
    spread = np.abs(np.sqrt(np.diag(after.covariance)) - np.sqrt(np.diag(before.covariance))).max()
    return float(max(mean, spread))
