"""The effect of new prices, its interval and its tests, from the randomisation itself.

The hypothesis tested is that new prices changed the profit of every treated cell by one share of what it
earned before; the interval holds every share that is not refused. Under the hypothesis what cells would have
earned untouched is known, so the test is exact whatever the distribution of profits: few clusters, heavy
tails, shared shocks, season and trend change its width, never its error. Where effects differ between cells
the same interval is about their mean in money, and the simulations of docs/benchmarks.md say how well it
holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from policies.impact.cells import Cells, contrasts, growth_removed
from pricing.arrays import Bools, Floats
from pricing.errors import RefusedError

__all__ = ["DRAWS", "LEAST_ASSIGNMENTS", "LEVEL", "Estimate", "estimate", "sandwich", "tail"]

LEVEL = 0.95
"""Of every interval here."""

DRAWS = 4999
"""Assignments drawn for a test or an interval."""

LEAST_ASSIGNMENTS = 500
"""Fewer equally likely assignments can hardly refuse anything at 2.5 % a side."""

_SMALL = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect with its interval.

    Attributes
    ----------
    value, lower, upper
        As a share of the profit before of what was treated.
    p
        Chance of a contrast at least as far from zero had new prices done nothing; NaN where not tested.
    """

    value: float
    lower: float
    upper: float
    p: float = float("nan")

    def times(self, amount: float) -> tuple[float, float, float]:
        """Return value, lower and upper end times an amount."""
        return self.value * amount, self.lower * amount, self.upper * amount


def estimate(outcome: Floats, cells: Cells, rng: np.random.Generator, draws: int = DRAWS) -> Estimate:
    """Estimate the effect on treated cells, with its randomisation interval.

    The contrast of an assignment z* under the hypothesis of a share s is linear in s, so each z* says from
    which s on its contrast is the larger one, and the ends of the interval are quantiles of those (what
    Garthwaite, Biometrics 1996, searches for step by step). The drawn assignment itself counts among them
    (Phipson and Smyth, 2010).

    Parameters
    ----------
    outcome
        float64 [J]; net profit a period in the trial.
    cells
        Who they are.
    rng, draws
        Assignments to compare with, and how many.

    Raises
    ------
    RefusedError
        If so few assignments were possible that no interval can be had.
    """
    if cells.assignments < LEAST_ASSIGNMENTS:
        raise RefusedError(
            f"Only {cells.assignments} assignments of {len(cells)} clusters and blocks were possible.",
            why=f"An interval by randomisation needs {LEAST_ASSIGNMENTS} or more.",
            todo="Plan a switchback with more blocks, or a trial over more price groups.",
        )
    left = growth_removed(outcome, cells)
    dose = growth_removed(cells.scale * cells.treated, cells)
    mine = contrasts(cells.treated[None], cells.stratum)[0]
    a, b = float(mine @ left), float(mine @ dose)
    if b <= _SMALL * max(cells.weight, 1.0):
        raise RefusedError(
            "Nothing treated earned anything before the trial.",
            why="Its effect is measured as a share of that.",
            todo="Plan a trial over products that sell.",
        )
    others = contrasts(cells.drawn(draws, rng), cells.stratum)
    at, doses = others @ left, others @ dose
    lower, upper = _ends(a - at, b - doses, b)
    far = np.abs(at) >= abs(a) * (1.0 - _SMALL)
    return Estimate(a / b, lower, upper, (1.0 + float(far.sum())) / (draws + 1.0))


def _ends(more: Floats, dose: Floats, whole: float) -> tuple[float, float]:
    """Return the least and the greatest share that is not refused; arrays [M] of z less those of z*."""
    apart = dose > _SMALL * whole
    where = more / np.where(apart, dose, 1.0)
    # An assignment with the same contrast never speaks against any share.
    low, high = np.sort(np.where(apart, where, -np.inf)), np.sort(np.where(apart, where, np.inf))
    place = max(int((1.0 - LEVEL) / 2.0 * (len(more) + 1) - 1.0 + _SMALL), 0)
    return float(low[place]), float(high[len(high) - 1 - place])


def tail(statistic: float, others: Floats) -> float:
    """Return the chance of a statistic at least as far from the mean of `others` [M] as this one."""
    centre = float(others.mean())
    far = np.abs(others - centre) >= abs(statistic - centre) - _SMALL * (1.0 + abs(statistic))
    return (1.0 + float(far.sum())) / (len(others) + 1.0)


def sandwich(outcome: Floats, cells: Cells) -> Estimate:
    """Return the same estimate with an interval from between-stratum residuals, a check on the other.

    Each stratum's contrast less its share of the effect is squared and divided by one minus its leverage
    (HC2, MacKinnon and White 1985); the t distribution has the degrees of freedom of Bell and McCaffrey
    (2002) under equal variance in proportion to size. It leans on large numbers of strata, which the
    randomisation interval does not.
    """
    left = growth_removed(outcome, cells)
    dose = growth_removed(cells.scale * cells.treated, cells)
    mine = contrasts(cells.treated[None], cells.stratum)[0]
    total = float(mine @ dose)
    value = float(mine @ left) / total
    gap = np.bincount(cells.stratum, mine * (left - value * dose))
    part = _shares(cells.treated, cells) / total
    error = float(np.sqrt((gap**2 / np.maximum(1.0 - part, 0.05)).sum())) / total
    size = part**2
    freedom = max(float(size.sum() ** 2 / (size**2).sum()), 1.0)
    wide = float(stdtrit(freedom, 0.5 + LEVEL / 2.0)) * error
    return Estimate(value, value - wide, value + wide)


def _shares(treated: Bools, cells: Cells) -> Floats:
    found: Floats = np.bincount(cells.stratum, cells.scale * treated).astype(np.float64)
    return found
