"""Poisson regression with an effect for each series and each period: exact, without dummies or sweeps.

The estimator is pseudo-maximum likelihood: it needs the mean ``exp(a_i + b_t + x'beta)`` to be right, not the
distribution, and its errors are clustered (Gourieroux, Monfort and Trognon, Econometrica 1984; Correia,
Guimaraes and Zylkin, Stata Journal 2020). Given the rest, a series' effect only makes its expected total
equal its observed one (Hausman, Hall and Griliches, Econometrica 1984), so it is solved in closed form, and
what remains is a Newton step in T + K unknowns whose Hessian is a T + K square Schur complement. There are a
few dozen periods, so that costs less than one sweep of alternating projections.

Where an estimate does not exist, that is said: regressors that the effects or earlier regressors explain are
left out, and rows whose mean the likelihood drives to zero are set aside
(:mod:`simulators.demand.separation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError, NotIdentified
from simulators.demand.absorption import Normal, independent, normal_equations, planes, total_by_cluster
from simulators.demand.separation import separated_cells

__all__ = ["FixedEffectsPoisson", "fixed_effects_poisson"]

_STEPS = 50
_HALVINGS = 30
_SETTLED = 1e-5
"""Newton's steps square their error: after one below this the error is of the order of 1e-10."""


@dataclass(frozen=True, slots=True)
class FixedEffectsPoisson:
    """A Poisson regression of N series in T periods on K regressors.

    Attributes
    ----------
    coefficient, standard_error
        float64 [K]; NaN for regressors left out. Errors are clustered.
    covariance
        float64 [K, K]; clustered; NaN in rows and columns of regressors left out.
    kept
        bool [K]; False where effects and earlier regressors explain a regressor.
    used
        bool [N, T]; cells that the estimate rests on.
    separated
        bool [N, T]; observed cells set aside because their mean is driven to zero: nothing sold there, and
        no finite coefficient fits them best. A series or period without any sale is the simplest case.
    mu
        float64 [N, T]; fitted mean, 0 where not used.
    steps
        Newton steps taken.
    log_likelihood
        Of the used cells, less what depends on units alone.
    """

    coefficient: Floats
    standard_error: Floats
    covariance: Floats
    kept: Bools
    used: Bools
    separated: Bools
    mu: Floats
    steps: int
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class _Mode:
    theta: Floats
    mu: Floats
    normal: Normal
    steps: int
    log_likelihood: float


def fixed_effects_poisson(
    y: Floats, observed: Bools, X: Floats, offset: Floats | None = None, cluster: Ints | None = None
) -> FixedEffectsPoisson:
    """Fit ``E[y] = exp(offset + a_i + b_t + x'beta)`` by pseudo-maximum likelihood.

    Parameters
    ----------
    y
        float64 [N, T]; counts or other amounts, not negative.
    observed
        bool [N, T]; the cells that count.
    X
        float64 [N, T, K]; in order of preference: of two that explain each other the earlier is kept.
    offset
        float64 [N, T]; part of the log mean that is known. None: 0.
    cluster
        int64 [N]; rows of `y` with one number share shocks. None: each row is its own cluster.

    Raises
    ------
    DataError
        If an observed cell is negative or not finite.
    NotIdentified
        If nothing observed is above zero, or the climb does not settle.
    """
    _check(y, observed, X, offset)
    known = np.zeros_like(y) if offset is None else np.where(observed, offset, 0.0)
    units = np.where(observed, y, 0.0)
    columns = planes(X, observed)
    separated, active = separated_cells(units, observed, columns)
    used = observed & ~separated
    if active is None:
        active = independent(normal_equations(used.astype(np.float64), columns), columns)
    found = _climb(units, used, columns, known, active)
    kept = active[y.shape[1] :]
    covariance = _clustered(found, units, columns, active, used, cluster)
    beta = np.where(kept, found.theta[y.shape[1] :], np.nan)
    return FixedEffectsPoisson(
        beta,
        np.sqrt(np.diagonal(covariance)),
        covariance,
        kept,
        used,
        separated,
        found.mu,
        found.steps,
        found.log_likelihood,
    )


def _check(y: Floats, observed: Bools, X: Floats, offset: Floats | None) -> None:
    parts = [y[..., None], X] if offset is None else [y[..., None], X, offset[..., None]]
    bad = observed & ~(np.logical_and.reduce([np.isfinite(part).all(axis=2) for part in parts]) & (y >= 0.0))
    if bad.any():
        i, t = (int(v) for v in np.argwhere(bad)[0])
        raise DataError(
            f"Series {i}, period {t}: what is regressed is negative or not a finite number.",
            todo="Mark the cell as not observed, or correct it.",
        )
    if not (observed & (y > 0.0)).any():
        raise NotIdentified("Nothing was sold in any observed cell: there is no demand to explain.")


def _climb(y: Floats, used: Bools, columns: Floats, offset: Floats, active: Bools) -> _Mode:
    """Take Newton steps in period effects and coefficients, series effects solved at each."""
    T, total = y.shape[1], y.sum(axis=1)
    mask = used.astype(np.float64)
    theta = np.zeros(len(active))
    theta[:T] = np.where(active[:T], np.log(np.maximum(y.sum(axis=0), 1e-300) / total.mean()), 0.0)
    mu, value = _means(theta, y, total, offset, mask, columns)
    for step in range(_STEPS):
        normal = normal_equations(mu, columns)
        move = _newton_step(normal, _gradient(y - mu, columns), active)
        mu, value, move = _improved(theta, move, value, y, total, offset, mask, columns)
        theta = theta + move
        if np.abs(move).max(initial=0.0) < _SETTLED:
            return _Mode(theta, mu, normal, step + 1, value)
    raise NotIdentified(
        f"The regression did not settle in {_STEPS} steps.",
        why="Some regressor nearly separates sold from unsold cells, or is nearly a mix of others.",
        todo="Leave out the regressor with the wildest values.",
    )


def _means(
    theta: Floats, y: Floats, total: Floats, offset: Floats, mask: Floats, columns: Floats
) -> tuple[Floats, float]:
    """Return means [N, T] that add up to each series' total, and the profiled log likelihood."""
    N, T = y.shape
    eta: Floats = (theta[T:] @ columns.reshape(len(columns), N * T)).reshape(N, T)
    eta += offset
    eta += theta[:T]
    eta -= eta.max(axis=1)[:, None]
    value = float(np.einsum("nt,nt->", y, eta))
    np.exp(eta, out=eta)
    eta *= mask
    whole = np.maximum(eta @ np.ones(T), 1e-300)  # nothing counts in a series without sales
    eta *= (total / whole)[:, None]
    return eta, value - float(total @ np.log(whole))


def _gradient(rest: Floats, columns: Floats) -> Floats:
    flat = columns.reshape(len(columns), rest.size) @ rest.ravel()
    out: Floats = np.concatenate([np.ones(len(rest)) @ rest, flat])
    return out


def _newton_step(normal: Normal, gradient: Floats, active: Bools) -> Floats:
    place = np.flatnonzero(active)
    out: Floats = np.zeros(len(active))
    out[place] = np.linalg.solve(normal.matrix[np.ix_(place, place)], gradient[place])
    return out


def _improved(
    theta: Floats,
    move: Floats,
    value: float,
    y: Floats,
    total: Floats,
    offset: Floats,
    mask: Floats,
    columns: Floats,
) -> tuple[Floats, float, Floats]:
    """Halve a step until the likelihood does not fall; as it is concave, a short one never lowers it."""
    slack = 1e-10 * (1.0 + abs(value))
    mu, after = _means(theta + move, y, total, offset, mask, columns)
    for _ in range(_HALVINGS):
        if after >= value - slack:
            break
        move = move / 2.0
        mu, after = _means(theta + move, y, total, offset, mask, columns)
    return mu, after, move


def _clustered(
    found: _Mode, y: Floats, columns: Floats, active: Bools, used: Bools, cluster: Ints | None
) -> Floats:
    """Return the sandwich [K, K] of scores summed by cluster, effects partialled out.

    Small samples are corrected by G / (G - 1) * (n - 1) / (n - k); series effects do not count in k, because
    they nest in the clusters.
    """
    T, K = y.shape[1], len(columns)
    out: Floats = np.full((K, K), np.nan)
    periods, kept = np.flatnonzero(active[:T]), np.flatnonzero(active[T:])
    sold = np.flatnonzero(y.sum(axis=1) > 0.0)
    names = np.arange(len(y)) if cluster is None else cluster
    count = len(np.unique(names[sold]))
    if not len(kept) or count < 2:
        return out
    matrix = found.normal.matrix
    lean = np.linalg.solve(matrix[np.ix_(periods, periods)], matrix[np.ix_(periods, T + kept)])
    bread = np.linalg.inv(matrix[np.ix_(T + kept, T + kept)] - matrix[np.ix_(T + kept, periods)] @ lean)
    rest = y - found.mu
    scores = np.matmul(columns[kept].transpose(1, 0, 2), rest[:, :, None])[:, :, 0] - rest[:, periods] @ lean
    summed = total_by_cluster(scores, names)
    n, k = int(used.sum()), len(kept) + len(periods) + 1
    factor = count / (count - 1) * (n - 1) / max(n - k, 1)
    out[np.ix_(kept, kept)] = factor * bread @ (summed.T @ summed) @ bread
    return out
