"""What sampled worlds differ in beside coefficients: sizes, shocks, absence, and what confounding may hide.

Every number of world w follows from (seed, w) and the name of what it belongs to, so worlds do not depend on
how many are drawn, nor on which other series are. Each law is the posterior that the model states, drawn by
the inverse of its distribution function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtr

from pricing.arrays import Floats, Ints
from pricing.model import DemandModel
from pricing.randomness import label_hash, normals

__all__ = ["Ingredients", "absences", "elasticity_offsets", "shock_sds", "sizes"]


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Which of them worlds differ in; what is switched off is the same in all, as the model's mean says.

    Attributes
    ----------
    dispersion
        Negative-binomial sizes.
    shocks
        Standard deviations of the shocks that shop and categories share.
    absence
        Chances of absence.
    confounding
        How far prices of the past followed demand that nobody recorded.
    """

    dispersion: bool = True
    shocks: bool = True
    absence: bool = True
    confounding: bool = True


def sizes(model: DemandModel, worlds: Ints) -> Floats:
    """Return negative-binomial sizes, float64 [W, N]: log-normal around the model's, by its `log_size_sd`.

    `worlds` int64 [W] holds the numbers of the worlds, here and below.
    """
    if model.log_size_sd is None:
        return np.broadcast_to(model.dispersion, (len(worlds), len(model.series)))
    return np.asarray(model.dispersion * np.exp(_by_series(model, worlds, "size") * model.log_size_sd))


def shock_sds(model: DemandModel, worlds: Ints) -> tuple[Floats, Floats]:
    """Return the sds of the shop's shock [W] and of the categories' [W, G].

    Variances are scaled inverse chi-square: n s / chi-square(n), s the model's and n its `shock_freedom`
    (Gelman et al., Bayesian Data Analysis, 2013, section 2.6).
    """
    sd = np.concatenate([[model.period_shock_sd], model.category_shock_sd])
    out: Floats = np.tile(sd, (len(worlds), 1))
    if model.shock_freedom is not None:
        names = ("", *model.category_names)
        keys = np.array([label_hash("shock", name) for name in names], dtype=np.uint64)
        chance = ndtr(normals(keys, worlds, 1, model.seed)[..., 0])
        half = 0.5 * model.shock_freedom
        out *= np.sqrt(half / np.asarray(gammaincinv(half, chance), dtype=np.float64))
    return out[:, 0], out[:, 1:]


def absences(model: DemandModel, worlds: Ints) -> Floats:
    """Return chances of absence, float64 [W, N]: beta around the model's, by its `absence_weight`."""
    shape = (len(worlds), len(model.series))
    out = np.array(np.broadcast_to(model.absence, shape), dtype=np.float64)
    some = np.flatnonzero(model.absence > 0.0)
    if model.absence_weight is not None and len(some):
        own = model.take(some.astype(np.int64))
        chance = ndtr(_by_series(own, worlds, "absence"))
        a, b = own.absence * model.absence_weight[some], (1.0 - own.absence) * model.absence_weight[some]
        out[:, some] = betaincinv(a, b, chance)
    return out


def elasticity_offsets(model: DemandModel, worlds: Ints) -> Floats:
    """Return what confounding adds to regular-price elasticities, float64 [W, N].

    In a world prices of the past followed unobserved demand of all products alike, anywhere between the two
    ends that sensitivity intervals allow for: one number a world, uniform, times the model's `confounding`.
    """
    if model.confounding is None:
        return np.zeros((len(worlds), len(model.series)))
    key = np.array([label_hash("confounding")], dtype=np.uint64)
    alike = 2.0 * ndtr(normals(key, worlds, 1, model.seed)[:, :, 0]) - 1.0
    return np.asarray(alike * model.confounding)


def _by_series(model: DemandModel, worlds: Ints, what: str) -> Floats:
    """Return standard normals, float64 [W, N], each following from the series, the world and `what`."""
    pairs = zip(model.series.group, model.series.zone, strict=True)
    keys = np.array([label_hash(what, group, zone) for group, zone in pairs], dtype=np.uint64)
    return normals(keys, worlds, 1, model.seed)[..., 0]
