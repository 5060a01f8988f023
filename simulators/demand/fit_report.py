"""The report of a fit: what was found out about the shop, for people and for updates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.evidence import Identification, PriceKind
from pricing.model import COEFFICIENTS, DISCOUNT, REGULAR, DemandModel
from simulators.demand.anchor import Anchor
from simulators.demand.forms import FormRow
from simulators.demand.instruments import CONTROLS, FirstStage
from simulators.demand.population import Population

__all__ = ["FitReport", "PopulationRow", "identified", "negative", "population_rows"]


@dataclass(frozen=True, slots=True)
class PopulationRow:
    """One coefficient over the shop: its mean, that mean's standard error, and its spread over series."""

    name: str
    mean: float
    standard_error: float
    spread: float


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit found.

    Attributes
    ----------
    series, periods
        Size of what was fitted.
    without_sales
        Series set aside because nothing sold in training, nor are they new; the model does not know them.
    rich_series
        Series whose evidence taught the population.
    rounds
        Rounds of expectation-maximisation; `settled` says whether they converged.
    population
        One row a coefficient.
    size_mean, size_sd
        Of log negative-binomial size over series.
    drift_sd, drift_survival
        Standard deviation of the drifting log level, and the share of it that survives a period.
    period_shock_sd
        Standard deviation of the shop's shared log shock.
    negative_regular, negative_depth
        Share of series whose posterior mean response is below zero; nothing constrains its sign.
    identified
        (kind, what identifies it, number of series).
    anchor
        Pooled statsmodels regression of a sample, for comparison; None where it cannot be estimated.
    first_stage
        Of costs as an instrument; None without costs that move.
    forms
        Forms of the response to the regular price, compared; the constant elasticity alone where prices may
        have followed demand.
    """

    series: int
    periods: int
    without_sales: int
    rich_series: int
    rounds: int
    settled: bool
    population: tuple[PopulationRow, ...]
    size_mean: float
    size_sd: float
    drift_sd: float
    drift_survival: float
    period_shock_sd: float
    negative_regular: float
    negative_depth: float
    identified: tuple[tuple[str, str, int], ...]
    anchor: Anchor | None
    first_stage: FirstStage | None = None
    forms: tuple[FormRow, ...] = ()


def population_rows(population: Population) -> tuple[PopulationRow, ...]:
    """Return a row a coefficient of the population, those of a price control last."""
    spread = np.sqrt(np.diag(population.covariance) + population.between)
    error = np.sqrt(np.diag(population.mean_covariance))
    return tuple(
        PopulationRow(name, float(population.mean[i]), float(error[i]), float(spread[i]))
        for i, name in enumerate((*COEFFICIENTS, *CONTROLS)[: len(error)])
    )


def identified(model: DemandModel) -> tuple[tuple[str, str, int], ...]:
    """Return how many series have each kind of price effect identified by what: (kind, what, number)."""
    return tuple(
        (kind.label, how.label, int((model.identified_by[:, kind] == how).sum()))
        for kind in PriceKind
        for how in Identification
    )


def negative(model: DemandModel) -> tuple[float, float]:
    """Return the shares of series with mean response below 0, to the regular price and to a discount."""
    responses = model.mean @ np.stack([REGULAR, DISCOUNT], axis=1)
    regular, depth = (responses < 0.0).mean(axis=0).tolist()
    return regular, depth
