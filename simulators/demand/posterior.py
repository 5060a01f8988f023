"""One sweep over all series: posteriors given the population and the shocks, in chunks of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.demand.dispersion import log_likelihood_by_size
from simulators.demand.drift import Drift
from simulators.demand.irls import Laplace, laplace_mean, newton
from simulators.demand.metrics import total_by
from simulators.demand.population import Population
from simulators.demand.shocks import Shocks

__all__ = ["Evidence", "Parameters", "Sweep", "sized", "summarise", "sweep"]

_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a fit sees: N series, T periods.

    Attributes
    ----------
    units
        float64 [N, T].
    observed
        bool [N, T].
    X, offset
        float64 [N, T, C], [N, T]; see :class:`simulators.demand.design.Design`.
    category
        int64 [N].
    drift
        Basis of the drifting level, shared by all series.
    """

    units: Floats
    observed: Bools
    X: Floats
    offset: Floats
    category: Ints
    drift: Drift

    def take(self, index: Ints) -> Evidence:
        """Return the evidence of some series."""
        return Evidence(
            self.units[index],
            self.observed[index],
            self.X[index],
            self.offset[index],
            self.category[index],
            self.drift,
        )


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything that is estimated.

    Attributes
    ----------
    mode
        float64 [N, C + k]; coefficients, then weights of the drift basis.
    size
        float64 [N]; negative-binomial size.
    population, shocks
        Shared by all series.
    drift_variance
        float; variance tau**2 of the drifting level.
    """

    mode: Floats
    size: Floats
    population: Population
    shocks: Shocks
    drift_variance: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """Posteriors of all series, and the sums that shared parameters are learned from.

    Attributes
    ----------
    mode
        float64 [N, C + k].
    covariance
        float64 [N, C, C]; of the coefficients.
    drift_moment
        float; mean squared weight of the drift, its posterior variance included.
    score, weight
        float64 [G, T]; sums over each category.
    last_step
        float; longest last Newton step of any series.
    """

    mode: Floats
    covariance: Floats
    drift_moment: float
    score: Floats
    weight: Floats
    last_step: float


def sweep(evidence: Evidence, parameters: Parameters, *, steps: int, tolerance: float = 1e-8) -> Sweep:
    """Find the posterior of every series.

    Parameters
    ----------
    evidence, parameters
        What is seen, and from where the search starts.
    steps
        Most Newton steps.
    tolerance
        Stop a chunk when none of its coefficients moves further.
    """
    n, C = len(evidence.units), evidence.X.shape[2]
    shape = parameters.shocks.category.shape
    mode = np.empty_like(parameters.mode)
    covariance = np.empty((n, C, C))
    score, weight = np.zeros(shape), np.zeros(shape)
    moment, last = 0.0, 0.0
    for rows in _chunks(n):
        found, _ = _laplace(evidence, parameters, rows, steps, tolerance)
        mode[rows] = found.mode
        covariance[rows] = found.covariance[:, :C, :C]
        cell = (evidence.category[rows, None] * shape[1] + np.arange(shape[1], dtype=np.int64)).ravel()
        score += total_by(cell, found.score.ravel(), score.size).reshape(shape)
        weight += total_by(cell, found.weight.ravel(), weight.size).reshape(shape)
        moment += float((found.mode[:, C:] ** 2).sum())
        moment += float(np.einsum("nkk->", found.covariance[:, C:, C:]))
        last = max(last, float(found.last_step.max(initial=0.0)))
    terms = mode.shape[1] - C
    return Sweep(mode, covariance, moment / (n * terms), score, weight, last)


def sized(evidence: Evidence, parameters: Parameters) -> Floats:
    """Return the log likelihood of every size on the grid, float64 [N, len(GRID)], at the given modes."""
    parts: list[Floats] = []
    for rows in _chunks(len(evidence.units)):
        found, X = _laplace(evidence, parameters, rows)
        variance = np.einsum("ntk,ntk->nt", np.matmul(X, found.covariance), X)
        parts.append(
            log_likelihood_by_size(evidence.units[rows], evidence.observed[rows], found.eta, variance)
        )
    return np.concatenate(parts)


def summarise(evidence: Evidence, parameters: Parameters) -> tuple[Floats, Floats]:
    """Return posterior mean [N, C] and covariance [N, C, C] of the coefficients for the time to come.

    The drift that recent periods reveal enters the level, and so does what remains unknown of it.
    """
    C = evidence.X.shape[2]
    ahead = evidence.drift.ahead
    A = np.concatenate([np.eye(C), np.zeros((C, len(ahead)))], axis=1)
    A[0, C:] = ahead
    means: list[Floats] = []
    covariances: list[Floats] = []
    for rows in _chunks(len(evidence.units)):
        found, X = _laplace(evidence, parameters, rows)
        mean = laplace_mean(found, evidence.units[rows], evidence.observed[rows], X, parameters.size[rows])
        means.append(mean @ A.T)
        covariance = A @ found.covariance @ A.T
        covariance[:, 0, 0] += evidence.drift.unexplained * parameters.drift_variance
        covariances.append(covariance)
    return np.concatenate(means), np.concatenate(covariances)


def _laplace(
    evidence: Evidence, parameters: Parameters, rows: slice, steps: int = 0, tolerance: float = 0.0
) -> tuple[Laplace, Floats]:
    category = evidence.category[rows]
    population, basis = parameters.population, evidence.drift.basis
    n, C, k = len(category), evidence.X.shape[2], basis.shape[1]
    X = np.concatenate([evidence.X[rows], np.broadcast_to(basis, (n, *basis.shape))], axis=2)
    prior_mean = np.zeros((n, C + k))
    prior_mean[:, :C] = population.category_mean[category]
    precision = np.zeros((len(population.category_mean), C + k, C + k))
    precision[:, :C, :C] = np.linalg.inv(population.prior_covariance)
    drifting = np.arange(C, C + k, dtype=np.int64)
    precision[:, drifting, drifting] = 1.0 / parameters.drift_variance
    found = newton(
        evidence.units[rows],
        evidence.observed[rows],
        X,
        evidence.offset[rows] + parameters.shocks.log[category],
        parameters.size[rows],
        prior_mean,
        precision[category],
        parameters.mode[rows],
        steps=steps,
        tolerance=tolerance,
    )
    return found, X


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
