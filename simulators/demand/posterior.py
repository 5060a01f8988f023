"""One sweep over all series: posteriors given the population and the shocks, in chunks of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.demand.censoring import censored_by_size, working
from simulators.demand.dispersion import log_likelihood_by_size
from simulators.demand.drift import Drift, drift_from
from simulators.demand.irls import Laplace, newton
from simulators.demand.metrics import total_by
from simulators.demand.population import Population
from simulators.demand.shocks import Shocks, information

__all__ = ["Evidence", "Parameters", "Sweep", "chunks", "counted", "laplace", "presence", "sized", "sweep"]

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
    period_days
        int; 7 for weeks, 1 for days.
    short
        bool [N, T]; ran out at a time that nobody knows: demand was at least the units. None without any.
    """

    units: Floats
    observed: Bools
    X: Floats
    offset: Floats
    category: Ints
    period_days: int
    short: Bools | None = None

    def least(self, rows: slice) -> Bools:
        """Return where the units of some series are no more than the least that demand was, bool [n, T]."""
        seen = self.observed[rows]
        return np.zeros_like(seen) if self.short is None else self.short[rows] & seen

    def take(self, index: Ints) -> Evidence:
        """Return the evidence of some series."""
        return Evidence(
            self.units[index],
            self.observed[index],
            self.X[index],
            self.offset[index],
            self.category[index],
            self.period_days,
            None if self.short is None else self.short[index],
        )


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything that is estimated.

    Attributes
    ----------
    mode
        float64 [N, C]; coefficients.
    level
        float64 [N, T]; drift of the level.
    size
        float64 [N]; negative-binomial size.
    absence
        float64 [N]; chance that a period sells nothing for a reason that no table tells.
    population, shocks
        Shared by all series.
    drift
        Process of the drifting level, shared by all series.
    """

    mode: Floats
    level: Floats
    size: Floats
    absence: Floats
    population: Population
    shocks: Shocks
    drift: Drift


@dataclass(frozen=True, slots=True)
class Sweep:
    """Posteriors of all series, and the sums that shared parameters are learned from.

    Attributes
    ----------
    mode
        float64 [N, C].
    level
        float64 [N, T].
    covariance
        float64 [N, C, C]; of the coefficients.
    drift
        The process that these drifts, with what is unknown of them, show.
    score, weight, told
        float64 [G, T]; sums over each category, of derivatives by period and of information by wave
        (:func:`simulators.demand.shocks.information`).
    last_step
        float; longest last Newton step of any series.
    """

    mode: Floats
    level: Floats
    covariance: Floats
    absent: Floats
    drift: Drift
    score: Floats
    weight: Floats
    told: Floats
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
    mode, level = np.empty_like(parameters.mode), np.empty_like(parameters.level)
    covariance, absent = np.empty((n, C, C)), np.empty(n)
    score, weight, told = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    level_variance = float(parameters.population.covariance[0, 0])
    square, product, last = 0.0, 0.0, 0.0
    for rows in chunks(n):
        found = laplace(evidence, parameters, rows, steps, tolerance)
        seen = evidence.observed[rows]
        absent[rows] = (seen - presence(evidence, parameters, rows)).sum(axis=1)
        mode[rows], level[rows], covariance[rows] = found.mode, found.level, found.covariance
        cell = (evidence.category[rows, None] * shape[1] + np.arange(shape[1], dtype=np.int64)).ravel()
        score += total_by(cell, found.score.ravel(), score.size).reshape(shape)
        weight += total_by(cell, found.weight.ravel(), weight.size).reshape(shape)
        heard = information(found.weight, parameters.drift, level_variance)
        told += total_by(cell, heard.ravel(), told.size).reshape(shape)
        here = _moments(found)
        square, product = square + here[0], product + here[1]
        last = max(last, float(found.last_step.max(initial=0.0)))
    T = shape[1]
    moved = drift_from(square / (n * T), product / (n * max(T - 1, 1)))
    return Sweep(mode, level, covariance, absent, moved, score, weight, told, last)


def _moments(found: Laplace) -> tuple[float, float]:
    """Return sums over series and periods of expected squares of the drift, and products of neighbours."""
    reach = np.matmul(found.pull, found.covariance)
    square = found.level**2 + found.own + np.einsum("ntk,ntk->nt", reach, found.pull)
    beside = np.einsum("ntk,ntk->nt", reach[:, :-1], found.pull[:, 1:])
    product = found.level[:, :-1] * found.level[:, 1:] + found.beside + beside
    return float(square.sum()), float(product.sum())


def sized(evidence: Evidence, parameters: Parameters) -> Floats:
    """Return the log likelihood of every size on the grid, float64 [N, len(GRID)], at the given modes."""
    parts: list[Floats] = []
    for rows in chunks(len(evidence.units)):
        found = laplace(evidence, parameters, rows)
        variance = found.eta_variance(evidence.X[rows])
        units, short = evidence.units[rows], evidence.least(rows)
        whole = np.where(short, 0.0, presence(evidence, parameters, rows))
        likelihood = log_likelihood_by_size(units, whole, found.eta, variance)
        parts.append(likelihood + censored_by_size(units, short, found.eta))
    return np.concatenate(parts)


def laplace(
    evidence: Evidence, parameters: Parameters, rows: slice, steps: int = 0, tolerance: float = 0.0
) -> Laplace:
    """Climb `steps` Newton steps from where `parameters` stand, for the series of `rows`."""
    category, population = evidence.category[rows], parameters.population
    return newton(
        *counted(evidence, parameters, rows),
        evidence.X[rows],
        evidence.offset[rows] + parameters.shocks.log[category],
        parameters.size[rows],
        population.category_mean[category],
        np.asarray(np.linalg.inv(population.prior_covariance), dtype=np.float64)[category],
        parameters.mode[rows],
        steps=steps,
        tolerance=tolerance,
        drift=parameters.drift,
        level=parameters.level[rows],
    )


def counted(evidence: Evidence, parameters: Parameters, rows: slice) -> tuple[Floats, Floats]:
    """Return counts and the weight that each has as evidence, float64 [n, T] each; 0 where unobserved.

    A count is the units and its weight :func:`presence`, but where a product ran out
    (:func:`simulators.demand.censoring.working`).
    """
    units, weight = evidence.units[rows].copy(), presence(evidence, parameters, rows)
    i, t = np.nonzero(evidence.least(rows))
    if len(i):
        eta = np.clip(_log_mean(evidence, parameters, rows)[i, t], -30.0, 25.0)
        units[i, t], weight[i, t] = working(units[i, t], eta, parameters.size[rows][i])
    return units, weight


def presence(evidence: Evidence, parameters: Parameters, rows: slice) -> Floats:
    """Return the probability that each period counts as one of demand, float64 [n, T]; 0 where unobserved.

    A period without a sale is one of demand that happened to be none, or one in which the product was not
    there and no table says so: a shelf not filled, a label missing. Bayes' rule weighs the two (Lambert,
    Technometrics 1992, zero-inflated counts); what sold was there.
    """
    seen = evidence.observed[rows].astype(np.float64)
    eta = _log_mean(evidence, parameters, rows)
    size, absence = parameters.size[rows][:, None], parameters.absence[rows][:, None]
    none = np.exp(-size * np.log1p(np.exp(np.clip(eta, -30.0, 25.0)) / size))
    there = (1.0 - absence) * none
    share = there / np.maximum(absence + there, 1e-300)
    return np.where(evidence.units[rows] > 0.0, seen, seen * share)


def _log_mean(evidence: Evidence, parameters: Parameters, rows: slice) -> Floats:
    """Return log means of demand, float64 [n, T]."""
    eta = np.matmul(evidence.X[rows], parameters.mode[rows][..., None])[..., 0]
    shocks = parameters.shocks.log[evidence.category[rows]]
    out: Floats = eta + parameters.level[rows] + evidence.offset[rows] + shocks
    return out


def chunks(n: int) -> list[slice]:
    """Return slices that cover n series, each of bounded memory."""
    return [slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
