"""Shocks that many series share: of the whole shop, and of a category.

They are random effects with mean zero, each the sum of two: one that lasts, a first-order autoregression (a
season coming and going, a range losing its customers), and one of the period alone. The lasting part
carries over into the coming weeks; what it will be there is forecast with its uncertainty, as in a
structural time-series model (Harvey, Forecasting, Structural Time Series Models and the Kalman Filter,
1989, chapter 2). How much of either there is, the data say.

All is done in waves: the discrete cosine transform of a path of T periods. Its waves are nearly the principal
components of every such process (Ahmed, Natarajan and Rao, IEEE Transactions on Computers 1974), so that
covariances are spectra, and what thousands of series with drifting levels of their own tell of a shared
path is one number a wave (:func:`information`), the series' own movements integrated out. Were they held
where they are instead, they would keep what all of them share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import fft

from pricing.arrays import Floats
from simulators.demand.drift import Drift

__all__ = [
    "Outlook",
    "Shared",
    "Shocks",
    "first_shocks",
    "freedom",
    "information",
    "outlook",
    "spectrum",
    "split_traffic",
    "update_shocks",
    "visits_ahead",
]

_fft: Any = fft  # without types of its own
_LARGEST_STEP = 0.5
_VARIANCE_FLOOR = 1e-5
_CATEGORY_WEIGHT = 10.0
_LEAST_FREEDOM = 5.0
"""Fewest whole degrees of freedom with which a variance drawn from its posterior has a variance itself."""
_FIRST_LASTING = 0.005
_MEMORY_DAYS = 140.0
_SETTLING = 200
_EXACT = 1e9
"""Information on a path that is known: nothing is left open."""
_SURVIVALS = (0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.99)
"""Of the lasting part: what survives less than 70 % of a period is the period's own."""


@dataclass(frozen=True, slots=True)
class Shared:
    """How n shocks move.

    Attributes
    ----------
    lasting
        Process of the part that lasts, the same for all n.
    own
        float64 [n]; variance of the part that is a period's own.
    """

    lasting: Drift
    own: Floats

    @property
    def variance(self) -> Floats:
        """float64 [n]; of a period's shock, both parts together."""
        return self.lasting.variance + self.own

    def spectra(self, periods: int) -> tuple[Floats, Floats]:
        """Return variances a wave of the lasting part [T], and of both together [n, T].

        The first wave is the mean over all periods, which belongs to the levels of the series: it is 0.
        """
        slow = spectrum(self.lasting, periods)
        both = slow + self.own[:, None]
        both[:, 0] = slow[0] = 0.0
        return slow, both


@dataclass(frozen=True, slots=True)
class Shocks:
    """Log shocks of T periods and G categories.

    Attributes
    ----------
    period
        float64 [T]; posterior mode of the shop's shock.
    category
        float64 [G, T]; of each category's, on top of the shop's.
    shop, categories
        How they move (n = 1, n = G).
    shop_told, category_told
        float64 [T], [G, T]; information on each wave that the modes rest on.
    """

    period: Floats
    category: Floats
    shop: Shared
    categories: Shared
    shop_told: Floats
    category_told: Floats

    @property
    def log(self) -> Floats:
        """float64 [G, T]; shop and category together."""
        return self.period + self.category


@dataclass(frozen=True, slots=True)
class Outlook:
    """Shared shocks of the weeks to come.

    Attributes
    ----------
    lift
        float64 [G]; log of the expected multiplier of a category's units.
    category_variance
        float64 [G]; of a category's log shock.
    period_variance
        float; of the shop's.
    lasting
        float64 [1 + G]; variance of the part that lasts, the shop's first.
    survival
        float64 [1 + G]; correlation of that part with the next period's.
    """

    lift: Floats
    category_variance: Floats
    period_variance: float
    lasting: Floats
    survival: Floats


def first_shocks(categories: int, periods: int, period_days: int) -> Shocks:
    """Return no shocks, with variances wide enough to find some."""
    shape = (categories, periods)
    process = _first_process(period_days)
    return Shocks(
        period=np.zeros(periods),
        category=np.zeros(shape),
        shop=Shared(process, np.full(1, 0.02)),
        categories=Shared(process, np.full(categories, 0.01)),
        shop_told=np.zeros(periods),
        category_told=np.zeros(shape),
    )


def _first_process(period_days: int) -> Drift:
    return Drift(float(np.exp(-period_days / _MEMORY_DAYS)), _FIRST_LASTING)


def spectrum(process: Drift, periods: int) -> Floats:
    """Return the variance of each wave of a drift over T periods, float64 [T]."""
    return process.variance * _unit_spectrum(process.survival, periods)


@lru_cache(maxsize=64)
def _unit_spectrum(survival: float, periods: int) -> Floats:
    """Return :func:`spectrum` at variance 1, read-only: by days a fit asks for it thousands of times."""
    lag = np.arange(periods)
    correlation = survival ** np.abs(lag[:, None] - lag)
    out: Floats = np.diagonal(_waves(_waves(correlation).T)).copy()
    out.setflags(write=False)
    return out


def information(weight: Floats, drift: Drift, level_variance: float) -> Floats:
    """Return what n series tell of each wave of a path that they share, float64 [n, T].

    Parameters
    ----------
    weight
        float64 [n, T]; minus second derivative of the log likelihood by the log mean. Its mean over the
        periods stands for all of them.
    drift, level_variance
        Of the series' own log levels, which are integrated out.
    """
    T = weight.shape[1]
    own = spectrum(drift, T)
    own[0] += T * level_variance
    mean = weight.mean(axis=1, keepdims=True)
    out: Floats = mean / (1.0 + mean * own)
    return out


def update_shocks(score: Floats, weight: Floats, told: Floats, old: Shocks) -> Shocks:
    """Take one Newton step in the shocks and re-estimate their variances.

    Parameters
    ----------
    score, weight, told
        float64 [G, T]; sums over the series of a category of the first and minus second derivative of the
        log likelihood by period, and of :func:`information` by wave. A shop of one category has no category
        shocks apart from its own.
    old
        Shocks at which they were taken.
    """
    said = _waves(score) + told * _waves(old.log)
    several = len(score) > 1
    both = old.categories.spectra(score.shape[1])[1] if several else np.zeros_like(told)
    apart = 1.0 / (1.0 + told * both)  # categories integrated out
    shop_told = (told * apart).sum(axis=0)
    shop = _posterior((said * apart).sum(axis=0)[None], shop_told[None], old.shop)
    period = _stepped(old.period[None], shop.mean, weight.sum(axis=0)[None])[0]
    moved = replace(old, period=period, shop=shop.shared, shop_told=shop_told)
    if not several:
        return moved
    own = _posterior(said - told * _waves(period), told, old.categories)
    category = _stepped(old.category, own.mean, weight)
    return replace(moved, category=category, categories=own.shared, category_told=told)


def _stepped(path: Floats, waves: Floats, weight: Floats) -> Floats:
    """Return `path` [n, T] moved to where its waves are `waves`, no step being too long.

    Waves know the mean weight only: where a period weighs more than that, the step is as much shorter.
    """
    mean = weight.mean(axis=1, keepdims=True)
    step = (_periods(waves) - path) * np.minimum(mean / np.maximum(weight, 1e-300), 1.0)
    out: Floats = path + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    return out


@dataclass(frozen=True, slots=True)
class _Posterior:
    """Of n paths in waves [n, T]: their mode, mean and variance of the lasting part, how they then move."""

    mean: Floats
    lasting: Floats
    lasting_variance: Floats
    shared: Shared


def _posterior(said: Floats, told: Floats, shared: Shared) -> _Posterior:
    """Return posteriors given information `told` [n, T] and what it says, ``told * mode``, by wave."""
    T = told.shape[1]
    slow, both = shared.spectra(T)
    unknown = 1.0 / (1.0 + told * both)
    lasting, lasting_variance = slow * unknown * said, slow - slow**2 * told * unknown
    quick = both - slow
    own, own_variance = quick * unknown * said, quick - quick**2 * told * unknown
    power = lasting**2 + lasting_variance
    size = (own**2 + own_variance)[:, 1:]
    variance = (size.sum(axis=1) + _CATEGORY_WEIGHT * size.mean()) / (T - 1 + _CATEGORY_WEIGHT)
    process = _process(power.mean(axis=0))
    return _Posterior(
        lasting + own, lasting, lasting_variance, Shared(process, np.maximum(variance, _VARIANCE_FLOOR))
    )


def _process(power: Floats) -> Drift:
    """Return the process that gives waves of this mean power [T] the greatest likelihood."""
    T = len(power)
    shape = np.stack([_unit_spectrum(survival, T) for survival in _SURVIVALS])[:, 1:]
    variance = (power[1:] / shape).mean(axis=1)
    best = int(np.argmin((T - 1) * np.log(variance) + np.log(shape).sum(axis=1)))
    return Drift(_SURVIVALS[best], max(float(variance[best]), _VARIANCE_FLOOR))


def split_traffic(shocks: Shocks, traffic: Floats) -> tuple[Shocks, float]:
    """Move what traffic [T] explains of the shop's shocks out of them; return the rest and the slope."""
    size = float(traffic @ traffic)
    if size < 1e-9:
        return shocks, 0.0
    slope = float(shocks.period @ traffic) / size
    return replace(shocks, period=shocks.period - slope * traffic), slope


def outlook(shocks: Shocks, period_days: int) -> Outlook:
    """Return what is to be expected of the shared shocks over the coming eight weeks.

    `period_days` is 7 for weeks, 1 for days.
    """
    shop = _settled(shocks.period[None], shocks.shop_told[None], shocks.shop)
    period, period_variance = _ahead(*shop, period_days)
    category, category_variance = np.zeros(1), np.full(1, _VARIANCE_FLOOR)
    own = category_variance
    if len(shocks.category) > 1:
        own = shocks.categories.own
        found = _of(shocks.category, shocks.category_told, shocks.categories)
        category, category_variance = _ahead(found, shocks.categories, period_days)
    lift = category + period + 0.5 * (category_variance + period_variance)
    lasting = np.concatenate([period_variance - shop[1].own, category_variance - own])
    survival = np.full(len(lasting), shocks.categories.lasting.survival)
    survival[0] = shop[1].lasting.survival
    return Outlook(lift, category_variance, float(period_variance[0]), lasting, survival)


def freedom(shocks: Shocks, own: float, crowd: float) -> Floats:
    """Return the degrees of freedom from which the variances are known, float64 [1 + G], the shop's first.

    A wave whose posterior has kept 1 - k of its prior variance tells ``k**2 / 2`` of the log variance in
    Fisher information, as one degree of freedom does where it is seen without noise (k = 1). Categories,
    shrunk to their mean, lean on :data:`_CATEGORY_WEIGHT` more at most, as far as the others have them. What
    traffic will add to the shop's variance is known from all its periods; the sum of both has the degrees of
    freedom of Satterthwaite (Biometrics 1946).

    Parameters
    ----------
    shocks
        As the fit found them.
    own, crowd
        Variances of the shop's shock to come: its own, and what traffic adds (:func:`visits_ahead`).
    """
    shop = _told_squared(shocks.shop, shocks.shop_told[None])
    each = _told_squared(shocks.categories, shocks.category_told)
    lent = np.minimum(each.sum() - each, _CATEGORY_WEIGHT)
    parts = own**2 / np.maximum(shop, _LEAST_FREEDOM) + crowd**2 / max(len(shocks.period) - 1.0, 1.0)
    out: Floats = np.concatenate([(own + crowd) ** 2 / parts, each + lent])
    return np.maximum(out, _LEAST_FREEDOM)


def _told_squared(shared: Shared, told: Floats) -> Floats:
    both = shared.spectra(told.shape[1])[1]
    kept = told * both / (1.0 + told * both)
    return np.asarray((kept**2).sum(axis=1))


def visits_ahead(visits: Floats, period_days: int) -> tuple[float, float]:
    """Return the log of the expected multiplier of coming traffic, and its variance.

    Traffic to come is not known; what it moves belongs to the shock that all share. What of the last weeks'
    lasts is expected to.

    Parameters
    ----------
    visits
        float64 [T]; effect of traffic on log units, 0 where there is none.
    period_days
        7 for weeks, 1 for days.
    """
    if not visits.any():
        return 0.0, 0.0
    path = (visits - visits.mean())[None]
    known = np.full_like(path, _EXACT)
    first = Shared(_first_process(period_days), path.var(axis=1))
    mean, variance = _ahead(*_settled(path, known, first), period_days)
    return float(mean[0] + 0.5 * variance[0]), float(variance[0])


def _settled(path: Floats, told: Floats, shared: Shared) -> tuple[_Posterior, Shared]:
    """Return the posterior of paths [n, T] and how they move, learned from them alone."""
    for _ in range(_SETTLING):
        shared = _of(path, told, shared).shared
    return _of(path, told, shared), shared


def _of(path: Floats, told: Floats, shared: Shared) -> _Posterior:
    """Return the posterior whose mode is `path`."""
    both = shared.spectra(path.shape[1])[1]
    said = told * _waves(path)
    said[:, 1:] += _waves(path)[:, 1:] / both[:, 1:]
    return _posterior(said, told, shared)


def _ahead(found: _Posterior, shared: Shared, period_days: int) -> tuple[Floats, Floats]:
    """Return mean and variance [n] of a period's shock in the coming weeks."""
    T = found.lasting.shape[1]
    kept, unknown = shared.lasting.ahead(period_days)
    end = _periods(np.eye(T))[:, -1]
    last, error = found.lasting @ end, found.lasting_variance @ end**2
    return kept * last, shared.own + unknown + kept**2 * error


def _waves(path: Floats) -> Floats:
    return np.asarray(_fft.dct(path, axis=-1, norm="ortho"), dtype=np.float64)


def _periods(waves: Floats) -> Floats:
    return np.asarray(_fft.idct(waves, axis=-1, norm="ortho"), dtype=np.float64)
