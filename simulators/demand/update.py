"""Update: periods that came after a fit change its posterior without another fit.

The posterior of every series, its drift carried on, is the prior of the new periods. Their negative-binomial
likelihood is added at its mode (Laplace), and the shocks that the new periods share, of the shop and of each
category, are integrated out as the random effects that they are: with them all series are one problem, but
eliminating each series leaves as many equations as there are new periods (a Schur complement). The population
of coefficients, sizes, the drift's process and the shocks' variances are kept as the fit learned them.

How high the shop and a category stand on the whole is known from T periods no better than their shocks allow,
variance s**2 / T; that error is part of the new periods' shocks, and what they say of it moves all levels, as
it does in a fit, where the mean multiplier over the periods is one. What series then know together, through
shocks that no evidence pins down, is kept for each series by itself: updating week by week is close to, and
not the same as, updating at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.demand.drift import Drift
from simulators.demand.irls import Laplace, laplace_mean, newton

__all__ = ["Fresh", "Posterior", "Prior", "ahead", "updated"]

_ROUNDS = 40
_STEPS = 8
_SETTLED = 1e-5
_DAMPED = 40
_LARGEST_STEP = 0.5
_CELLS = 2_000_000
"""Most numbers of one array of second derivatives at a time."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of N series before the new periods.

    Attributes
    ----------
    mean, covariance
        float64 [N, K + 1], [N, K + 1, K + 1]; of K coefficients and the drift of the last period seen.
    size
        float64 [N]; negative-binomial size.
    drift
        Process of the drifting level.
    period_variance, category_variance
        float, float64 [G]; of the shared log shocks, whose mean multiplier is one.
    periods
        int; periods from which the mean multiplier is known.
    """

    mean: Floats
    covariance: Floats
    size: Floats
    drift: Drift
    period_variance: float
    category_variance: Floats
    periods: int

    def take(self, rows: Ints) -> Prior:
        """Return some series."""
        return replace(self, mean=self.mean[rows], covariance=self.covariance[rows], size=self.size[rows])


@dataclass(frozen=True, slots=True)
class Fresh:
    """What the new periods show: N series, H periods.

    Attributes
    ----------
    units, observed, offset
        float64, bool, float64 [N, H]; see :class:`simulators.demand.posterior.Evidence`.
    X
        float64 [N, H, K].
    category
        int64 [N].
    """

    units: Floats
    observed: Bools
    X: Floats
    offset: Floats
    category: Ints

    def take(self, rows: slice | Ints) -> Fresh:
        """Return some series."""
        return Fresh(
            self.units[rows], self.observed[rows], self.X[rows], self.offset[rows], self.category[rows]
        )


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known after the new periods.

    Attributes
    ----------
    mean, covariance
        As in :class:`Prior`, of the drift in the last of the new periods.
    shocks
        float64 [G, H]; log shocks of shop and category together.
    eta, eta_variance
        float64 [N, H]; posterior log means, and their variances with the shocks known.
    lift
        float64 [G]; how much higher shop and category stand than the earlier periods showed.
    rounds
        int; rounds until shocks and series agreed.
    """

    mean: Floats
    covariance: Floats
    shocks: Floats
    eta: Floats
    eta_variance: Floats
    lift: Floats
    rounds: int


@dataclass(frozen=True, slots=True)
class _Shared:
    """Log shocks of the shop [H] and, on top, of the categories [G, H], with what is known of their sum."""

    shop: Floats
    category: Floats
    covariance: Floats

    @property
    def log(self) -> Floats:
        return self.shop + self.category


def updated(prior: Prior, fresh: Fresh) -> Posterior:
    """Return the posterior after the new periods.

    Parameters
    ----------
    prior
        Of the same series; an update of an update starts from the earlier one's posterior.
    fresh
        The new periods, all of them after those of the prior.
    """
    H = fresh.units.shape[1]
    told = np.flatnonzero(fresh.observed.any(axis=1))
    some, evidence = prior.take(told), fresh.take(told)
    precision = np.asarray(np.linalg.inv(some.covariance), dtype=np.float64)
    centre, within = _shock_prior(prior, H)
    shared, mode, rounds = _agreed(some, evidence, precision, centre, within)
    found = _told(some, evidence, precision, shared, mode, centre)
    mean, covariance = _carried(prior, H)
    mean[told], covariance[told] = found.mean, found.covariance
    lift = found.lift
    silent = np.setdiff1d(np.arange(len(mean), dtype=np.int64), told)
    mean[silent, 0] += lift[fresh.category[silent]]
    eta, variance = np.zeros(fresh.units.shape), np.zeros(fresh.units.shape)
    eta[told], variance[told] = found.eta, found.eta_variance
    return replace(found, mean=mean, covariance=covariance, eta=eta, eta_variance=variance, rounds=rounds)


def _agreed(
    prior: Prior, fresh: Fresh, precision: Floats, centre: Floats, within: Floats
) -> tuple[_Shared, Floats, int]:
    """Return shocks and series' modes [N, K + 1 + H] that are each other's, and the rounds that took."""
    G, H = len(prior.category_variance), fresh.units.shape[1]
    shared = _Shared(centre[0], centre[1:], np.zeros((G, H, H)))
    mode = np.concatenate([prior.mean, np.zeros((len(prior.mean), H))], axis=1)
    done, step = 0, np.inf
    while done < _ROUNDS and step > _SETTLED:
        gradient, curvature = np.zeros((G, H)), np.zeros((G, H, H))
        for rows in _chunks(prior, H):
            found, Z = _climbed(prior, fresh, precision, rows, shared, mode[rows])
            mode[rows] = found.mode
            np.add.at(gradient, fresh.category[rows], found.score)
            np.add.at(curvature, fresh.category[rows], _left(found, Z))
        shared, step = _step(shared, gradient, curvature, centre, within)
        done += 1
    return shared, mode, done


def ahead(mean: Floats, covariance: Floats, drift: Drift, period_days: int) -> tuple[Floats, Floats]:
    """Return mean [N, K] and covariance [N, K, K] of the coefficients for the time to come.

    The level is the one expected over the coming weeks, as a fit states it
    (:meth:`simulators.demand.drift.Drift.ahead`).

    Parameters
    ----------
    mean, covariance
        float64 [N, K + 1], [N, K + 1, K + 1]; of coefficients and last drift.
    drift, period_days
        The drift's process, and 7 for weeks, 1 for days.
    """
    kept, unknown = drift.ahead(period_days)
    A = np.eye(mean.shape[1])[:-1]
    A[0, -1] = kept
    out = A @ covariance @ A.T
    out[:, 0, 0] += unknown
    return mean @ A.T, out


def _chunks(prior: Prior, periods: int) -> list[slice]:
    n, width = len(prior.mean), prior.mean.shape[1] + periods
    size = max(1, _CELLS // width**2)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _shock_prior(prior: Prior, H: int) -> tuple[Floats, Floats]:
    """Return prior means [1 + G, H] and covariances [1 + G, H, H] of the shocks, the shop's first.

    A log shock of variance v has mean -v / 2, and all of a row share the error of the mean multiplier.
    """
    variance = np.concatenate([[prior.period_variance], prior.category_variance])
    centre = np.tile(-0.5 * variance[:, None], (1, H))
    shape = np.eye(H) + 1.0 / prior.periods
    return centre, variance[:, None, None] * shape


def _regressors(X: Floats, drift: Drift) -> Floats:
    """Return Z [n, H, K + 1 + H]: coefficients, what survives of the last drift, and the drift since."""
    n, H, K = X.shape
    out = np.zeros((n, H, K + 1 + H))
    out[..., :K] = X
    out[..., K] = drift.survival ** np.arange(1, H + 1, dtype=np.float64)
    out[..., K + 1 :] = np.eye(H)
    return out


def _since(H: int, drift: Drift) -> Floats:
    """Return the precision [H, H] of the drift since a period whose drift is known to be 0."""
    scale = 1.0 / (drift.variance * (1.0 - drift.survival**2))
    out = np.diag(np.full(H, scale * (1.0 + drift.survival**2)))
    out[-1, -1] = scale
    beside = np.arange(H - 1, dtype=np.int64)
    out[beside, beside + 1] = out[beside + 1, beside] = -scale * drift.survival
    return out


def _climbed(
    prior: Prior, fresh: Fresh, precision: Floats, rows: slice, shared: _Shared, start: Floats
) -> tuple[Laplace, Floats]:
    """Climb to the modes of some series under the shocks as they stand; return them with Z.

    Newton steps of a count far below its mean can go to and fro for ever. Such series walk in half steps
    before they try whole ones again.
    """
    part = fresh.take(rows)
    Z, (n, H) = _regressors(part.X, prior.drift), part.units.shape
    known = prior.mean.shape[1]
    P = np.zeros((n, known + H, known + H))
    P[:, :known, :known] = precision[rows]
    P[:, known:, known:] = _since(H, prior.drift)
    mean = np.concatenate([prior.mean[rows], np.zeros((n, H))], axis=1)
    offset = part.offset + shared.log[part.category]
    size = prior.size[rows]

    def climb(at: Floats, i: Ints, steps: int) -> Laplace:
        return newton(
            part.units[i], part.observed[i], Z[i], offset[i], size[i], mean[i], P[i], at, steps=steps
        )

    everybody = np.arange(n, dtype=np.int64)
    found = climb(start, everybody, _STEPS)
    restless = np.flatnonzero(found.last_step > _SETTLED)
    if not len(restless):
        return found, Z
    at = found.mode.copy()
    for _ in range(_DAMPED):
        at[restless] += 0.5 * (climb(at[restless], restless, 1).mode - at[restless])
    return climb(at, everybody, _STEPS), Z


def _left(found: Laplace, Z: Floats) -> Floats:
    """Return what each series says of the shocks, itself unknown: ``W - W Z V Z' W``, float64 [n, H, H]."""
    WZ = found.weight[..., None] * Z
    out: Floats = -np.matmul(np.matmul(WZ, found.covariance), np.swapaxes(WZ, 1, 2))
    place = np.arange(Z.shape[1], dtype=np.int64)
    out[:, place, place] += found.weight
    return out


def _step(
    shared: _Shared, gradient: Floats, M: Floats, centre: Floats, within: Floats
) -> tuple[_Shared, float]:
    """Take one Newton step in all shocks at once, the series moving along; return its length too.

    `gradient` [G, H] and `M` [G, H, H] are the categories' sums of scores and of :func:`_left`.
    """
    P = np.asarray(np.linalg.inv(within), dtype=np.float64)
    pull_shop = P[0] @ (shared.shop - centre[0])
    g = gradient - np.matmul(P[1:], (shared.category - centre[1:])[..., None])[..., 0]
    inside = np.asarray(np.linalg.inv(M + P[1:]), dtype=np.float64)
    # Categories are eliminated first; S = I - inside M is how little of the shop's shock they answer to.
    S = np.matmul(inside, P[1:])
    B = np.asarray(np.linalg.inv(P[0] + np.matmul(M, S).sum(axis=0)), dtype=np.float64)
    right = gradient.sum(axis=0) - pull_shop - np.einsum("gij,gj->i", np.matmul(M, inside), g)
    shop = B @ right
    category = np.matmul(inside, (g - np.matmul(M, shop))[..., None])[..., 0]
    covariance = inside + np.matmul(np.matmul(S, B), np.swapaxes(S, 1, 2))
    longest = max(float(np.abs(shop).max()), float(np.abs(category).max()))
    share = min(1.0, _LARGEST_STEP / max(longest, 1e-12))
    moved = _Shared(shared.shop + share * shop, shared.category + share * category, covariance)
    return moved, longest


def _lift(prior: Prior, shared: _Shared, centre: Floats) -> Floats:
    """Return how much higher shop and category stand than their earlier periods showed, float64 [G]."""
    rest = (shared.shop - centre[0]).sum() + (shared.category - centre[1:]).sum(axis=1)
    out: Floats = rest / (prior.periods + len(shared.shop))
    return out


def _onward(prior: Prior, H: int) -> Floats:
    """Return the matrix [K + 1, K + 1 + H] from :func:`_regressors`' coefficients to the new state."""
    known = prior.mean.shape[1]
    out = np.eye(known, known + H)
    out[-1, known - 1], out[-1, -1] = prior.drift.survival**H, 1.0
    return out


def _carried(prior: Prior, H: int) -> tuple[Floats, Floats]:
    """Return mean and covariance after H periods that say nothing: the drift fades and is renewed."""
    onward = _onward(prior, H)[:, : prior.mean.shape[1]]
    covariance = onward @ prior.covariance @ onward.T
    covariance[:, -1, -1] += prior.drift.variance * (1.0 - prior.drift.survival ** (2 * H))
    return prior.mean @ onward.T, covariance


def _told(
    prior: Prior, fresh: Fresh, precision: Floats, shared: _Shared, mode: Floats, centre: Floats
) -> Posterior:
    """Gather mean and covariance of every series, shocks integrated out and the shop's level moved."""
    H = fresh.units.shape[1]
    lift, onward = _lift(prior, shared, centre), _onward(prior, H)
    mean, covariance = np.empty_like(prior.mean), np.empty_like(prior.covariance)
    eta, variance = np.empty(fresh.units.shape), np.empty(fresh.units.shape)
    for rows in _chunks(prior, H):
        found, Z = _climbed(prior, fresh, precision, rows, shared, mode[rows])
        units, observed, category = fresh.units[rows], fresh.observed[rows], fresh.category[rows]
        middle, _ = laplace_mean(found, units, observed, Z, prior.size[rows])
        reach = np.matmul(found.covariance, np.swapaxes(Z * found.weight[..., None], 1, 2))
        reach[:, 0] -= 1.0 / (prior.periods + H)
        unsure = np.matmul(np.matmul(reach, shared.covariance[category]), np.swapaxes(reach, 1, 2))
        mean[rows] = middle @ onward.T
        mean[rows, 0] += lift[category]
        covariance[rows] = onward @ (found.covariance + unsure) @ onward.T
        eta[rows], variance[rows] = found.eta, found.eta_variance(Z)
    covariance = 0.5 * (covariance + np.swapaxes(covariance, 1, 2))
    return Posterior(mean, covariance, shared.log, eta, variance, lift, 0)
