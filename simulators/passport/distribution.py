"""Predictive distribution of held-out sales, and where the sales that came lie in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from pricing.arrays import Floats
from pricing.model import DemandModel
from simulators.demand.validate import Backtest
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Reason, Table, absent, check

__all__ = ["LogMean", "decile_shares", "log_mean", "pit_check", "randomised_pit", "sales_cdf"]

_NODES = 9
_LEAST_CELLS = 1000
"""Fewer cells leave a decile's share an error of .01, two thirds of what it may be off."""


@dataclass(frozen=True, slots=True)
class LogMean:
    """Normal log mean of R cells, their negative-binomial sizes, and chances of absence, float64 [R] each."""

    mean: Floats
    sd: Floats
    size: Floats
    absence: Floats


def log_mean(model: DemandModel, found: Backtest) -> LogMean:
    """Return the predictive log mean of held-out cells: posterior and shared shocks together.

    Shocks have mean multiplier one, so their log mean is minus half their variance.
    """
    rows = found.rows
    shock = model.period_shock_sd**2 + model.category_shock_sd[model.category[rows]] ** 2
    absence = model.absence[rows]
    centre = np.log(found.expected) - 0.5 * found.variance - 0.5 * shock - np.log1p(-absence)
    return LogMean(centre, np.sqrt(found.variance + shock), model.dispersion[rows], absence)


def sales_cdf(at: LogMean, units: Floats) -> Floats:
    """Return P(sales <= units), float64 [R]; 0 for units below 0.

    A Gauss-Hermite sum over the log mean of negative-binomial distribution functions, the mixture that
    :func:`simulators.demand.forecast.sales_quantiles` inverts.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    out: Floats = np.zeros(len(units))
    some = units >= 0.0
    size, k = at.size[some], units[some] + 1.0
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        mu = np.exp(at.mean[some] + at.sd[some] * node)
        out[some] += weight * np.asarray(betainc(size, k, size / (size + mu)), dtype=np.float64)
    absence = at.absence[some]
    out[some] = absence + (1.0 - absence) * out[some]
    return out


def randomised_pit(at: LogMean, units: Floats, uniform: Floats, *, sold: bool = False) -> Floats:
    """Return probability transforms of sales, float64 [R], uniform on 0-1 if the prediction is honest.

    Counts leave gaps in the distribution function; a uniform number fills them (Czado, Gneiting, Held,
    Biometrics 2009).

    Parameters
    ----------
    at
        Prediction of R cells.
    units, uniform
        float64 [R]; what sold, and independent uniform numbers.
    sold
        The cells were chosen because something sold there: condition on that.
    """
    below, upto = sales_cdf(at, units - 1.0), sales_cdf(at, units)
    out: Floats = below + uniform * (upto - below)
    if sold:
        none = sales_cdf(at, np.zeros_like(units))
        out = (out - none) / np.maximum(1.0 - none, 1e-12)
    return out


def decile_shares(transforms: Floats) -> Floats:
    """Return the share of transforms [R] in each tenth of 0-1, float64 [10]; .1 each is perfect."""
    counts, _ = np.histogram(transforms, bins=10, range=(0.0, 1.0))
    return np.asarray(counts / max(len(transforms), 1), dtype=np.float64)


def pit_check(model: DemandModel, found: Backtest, seed: int) -> Check:
    """Judge whether sales fall where the predictive distributions say, over all held-out cells."""
    if len(found.units) < _LEAST_CELLS:
        return absent("pit", Reason.FEW_CELLS)
    uniform = np.random.default_rng((seed, 1)).random(len(found.units))
    shares = decile_shares(randomised_pit(log_mean(model, found), found.units, uniform))
    rows = tuple((str(i + 1), float(share)) for i, share in enumerate(shares))
    error = math.sqrt(0.1 * 0.9 / len(found.units))
    figures = (
        held("pit", "lowest", float(shares.min()), error=error),
        held("pit", "highest", float(shares.max()), error=error),
        held("pit", "cells", float(len(found.units))),
    )
    return check("pit", figures, Table(("decile", "share"), rows))
