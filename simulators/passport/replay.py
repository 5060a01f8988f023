"""Posterior predictive replay: the shop simulated at the prices that it posted, against what it sold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats
from pricing.model import DemandModel
from simulators.demand.validate import Backtest
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Table, check
from simulators.shared_shocks import lasting_of

__all__ = ["Replay", "replay", "replay_check", "simulated_units"]

_AT_ONCE = 8
_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Replay:
    """Totals of the held-out cells in W simulated worlds, and as they were.

    Attributes
    ----------
    units, revenue, discount
        float64 [W]; units, units at the shelf price, and what the discounts took off, in minor units.
    actual
        The same three of what sold.
    """

    units: Floats
    revenue: Floats
    discount: Floats
    actual: tuple[float, float, float]

    @property
    def discount_share(self) -> Floats:
        """Discounts over sales at the regular price, float64 [W]."""
        return self.discount / np.maximum(self.revenue + self.discount, 1e-12)

    @property
    def actual_discount_share(self) -> float:
        """The same share as it was."""
        _, revenue, discount = self.actual
        return discount / max(revenue + discount, 1e-12)


def replay(model: DemandModel, found: Backtest, worlds: int, seed: int) -> Replay:
    """Simulate held-out cells at their logged prices.

    Parameters
    ----------
    model, found
        The model, and its backtest inside support.
    worlds
        W; see :func:`simulated_units`.
    seed
        All draws follow from it.
    """
    price, off = found.offered, found.regular - found.offered
    rng = np.random.default_rng((seed, 3))
    drawn = simulated_units(model, found, worlds, rng)
    totals = np.array([(sold.sum(), sold @ price, sold @ off) for sold in drawn])
    y = found.units
    actual = float(y.sum()), float(y @ price), float(y @ off)
    return Replay(totals[:, 0], totals[:, 1], totals[:, 2], actual)


def simulated_units(
    model: DemandModel, found: Backtest, worlds: int, rng: np.random.Generator, *, first: int = 0
) -> Iterator[Floats]:
    """Yield the units of all held-out cells in one world after another, float64 [R].

    Each world draws coefficients from the posterior, one shock a period for the shop and one for each
    category, lasting as far as they do, absences, and then negative-binomial sales of every cell.

    Parameters
    ----------
    model, found
        The model, and its backtest inside support.
    worlds
        How many.
    rng
        Of shocks, absences and sales.
    first
        Number of the first posterior draw.
    """
    series, place = np.unique(found.rows, return_inverse=True)
    own = model.take(np.asarray(series, dtype=np.int64))
    category, size, absence = own.category[place], own.dispersion[place], own.absence[place]
    H = int(found.period.max()) + 1
    for start in range(0, worlds, _AT_ONCE):
        for b in own.draws(min(_AT_ONCE, worlds - start), first=first + start):
            shop, part = _shocks(model, H, rng)
            eta = np.einsum("rc,rc->r", found.at, b[place])
            mu = np.exp(eta + shop[found.period] + part[found.period, category]) * found.exposure
            there = rng.random(len(mu)) >= absence
            mu = np.where(there, mu / (1.0 - absence), 0.0)
            yield np.asarray(rng.poisson(rng.standard_gamma(size) * (mu / size)), dtype=np.float64)


def replay_check(made: Replay) -> Check:
    """Judge the simulated means of units, revenue and discount share against what happened."""
    units, revenue, _ = made.actual
    pairs = (
        ("units", made.units / units, 1.0),
        ("revenue", made.revenue / revenue, 1.0),
        ("discount_share", made.discount_share, made.actual_discount_share),
    )
    figures = tuple(held("replay", name, float(values.mean()) - of) for name, values, of in pairs)
    figures += (held("replay", "worlds", float(len(made.units))),)
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, of, float(values.mean()), *(float(v) for v in np.percentile(values, _PERCENT)))
        for name, values, of in pairs
    )
    return check("replay", figures, Table(("measure", "actual", "simulated", "lower", "upper"), rows))


def _shocks(model: DemandModel, periods: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return log shocks of the shop [H] and of categories [H, G], whose multipliers have mean one."""
    sd = np.append(model.period_shock_sd, model.category_shock_sd)
    unit = _unit(rng, len(sd), periods)
    lasting = lasting_of(model)
    if lasting is not None:
        unit = lasting.joined(unit, _unit(rng, len(sd), periods))
    out: Floats = unit * sd - 0.5 * sd**2
    return out[:, 0], out[:, 1:]


def _unit(rng: np.random.Generator, shocks: int, periods: int) -> Floats:
    return np.asarray(rng.standard_normal((shocks, periods)).T)
