"""How far Tarifa's held-out predictions can be trusted as distributions, by the checks of the passport."""

from __future__ import annotations

import numpy as np

from pricing.panel import Panel
from simulators.demand.fit import Fit
from simulators.demand.validate import backtest
from simulators.passport.distribution import decile_shares, log_mean, randomised_pit
from simulators.passport.events import steady_sellers
from simulators.passport.lift import lift_check
from simulators.passport.totals import category_bands

__all__ = ["print_calibration"]

_MOVED = 0.1


def print_calibration(found: Fit, held: Panel, training: Panel) -> None:
    """Print price effects by terciles, bias where prices moved, PIT deciles and category totals.

    Parameters
    ----------
    found
        The fit.
    held
        Training and held-out periods of the same series, held-out prices carried forward.
    training
        The periods that the fit has seen.
    """
    model = found.model
    cells = backtest(model, held, everything=True)
    moved = np.abs(cells.move) > _MOVED
    bias = float(cells.expected[moved].sum() / cells.units[moved].sum() - 1.0)
    uniform = np.random.default_rng(0).random(len(cells.units))
    shares = decile_shares(randomised_pit(log_mean(model, cells), cells.units, uniform))
    groups, _ = category_bands(model, cells, int(cells.period.max()) + 1)
    print(f"bias where the price is over 10 % off its training mean: {bias:+.3f}")
    print("randomised PIT deciles:", " ".join(f"{share:.3f}" for share in shares))
    print(f"category-week totals inside the 95 % band: {groups.inside[groups.sold].mean():.3f}")
    for figure in lift_check(cells, steady_sellers(training)).figures:
        error = f" +- {1.645 * figure.error:.3f}" if np.isfinite(figure.error) else ""
        print(f"price effects, {figure.name}: {figure.value:.4f}{error}")
