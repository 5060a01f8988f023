"""Totals of categories in periods, against their bands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Dates, Floats
from pricing.model import DemandModel
from simulators.demand.forecast import cell_variance, sales_quantiles
from simulators.demand.metrics import total_by
from simulators.demand.validate import Backtest
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Reason, Table, absent, check

__all__ = ["Bands", "category_bands", "totals_check"]

_PROBABILITIES = np.array([0.025, 0.975])
_LEAST_TOTALS = 20
"""Fewer totals leave their share an error of .05, as much as the band may miss."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Totals of G groups in H periods with their 95 % bands, float64 [G, H] each."""

    actual: Floats
    expected: Floats
    lower: Floats
    upper: Floats

    @property
    def sold(self) -> Bools:
        """Whether each group is expected to sell anything, bool [G]; else it says nothing."""
        return np.asarray(self.expected.sum(axis=1) > 0.0, dtype=np.bool_)

    @property
    def inside(self) -> Bools:
        """Whether each total lies in its band, bool [G, H]."""
        return np.asarray((self.actual >= self.lower) & (self.actual <= self.upper), dtype=np.bool_)


def category_bands(model: DemandModel, found: Backtest, periods: int) -> tuple[Bands, Bands]:
    """Return bands of every category [G, H], and of the whole shop [1, H].

    A total's variance is that of its cells (mean, dispersion and posterior, independent of each other) and
    of the shocks that they share. Its quantiles are those of a negative binomial with that mean and variance,
    so small totals have whole and lopsided bands.
    """
    G = len(model.category_shock_sd)
    group = model.category[found.rows] * periods + found.period
    mu = found.expected
    cell = cell_variance(model, found.rows, mu, found.variance)
    actual, expected, own = (
        total_by(group, values, G * periods).reshape(G, periods) for values in (found.units, mu, cell)
    )
    shop, part = np.expm1(model.period_shock_sd**2), np.expm1(model.category_shock_sd**2)[:, None]
    each = own + expected**2 * (shop + part)
    whole = expected.sum(axis=0)
    together = own.sum(axis=0) + (expected**2 * part).sum(axis=0) + whole**2 * shop
    return (
        _bands(actual, expected, each),
        _bands(actual.sum(axis=0)[None], whole[None], together[None]),
    )


def totals_check(model: DemandModel, found: Backtest, days: Dates) -> Check:
    """Judge the category totals of the held-out periods `days` [H]; the shop's are told beside them."""
    groups, shop = category_bands(model, found, len(days))
    kept = np.flatnonzero(groups.sold)
    if len(kept) * len(days) < _LEAST_TOTALS:
        return absent("totals", Reason.FEW_TOTALS)
    share = float(groups.inside[kept].mean())
    error = math.sqrt(share * (1.0 - share) / (len(kept) * len(days)))
    figures = (
        held("totals", "inside", share, error=error),
        held("totals", "shop_inside", float(shop.inside.mean())),
        held("totals", "totals", float(len(kept) * len(days))),
    )
    arrays = (shop.actual[0], shop.expected[0], shop.lower[0], shop.upper[0])
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (str(days[h]), *(float(a[h]) for a in arrays)) for h in range(len(days))
    )
    return check("totals", figures, Table(("period", "actual", "expected", "lower", "upper"), rows))


def _bands(actual: Floats, expected: Floats, variance: Floats) -> Bands:
    mu = np.maximum(expected, 1e-9).reshape(-1)
    size = np.minimum(mu**2 / np.maximum(variance.reshape(-1) - mu, 1e-9 * mu), 1e9)
    found = sales_quantiles(np.log(mu), np.zeros_like(mu), size, _PROBABILITIES)
    lower, upper = (found[:, i].reshape(actual.shape) for i in (0, 1))
    return Bands(actual, expected, lower, upper)
