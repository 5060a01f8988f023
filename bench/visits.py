"""When households shop: Complete Journey, fitted before 2017-09-15, replayed to the end of the year.

    python -m bench.visits [--data DIR] [--seed N]

Each household seen before the split is forecast and simulated from what was known on the day before it;
all 108 later days are predicted at once. References: each household's own rate since its first visit, and its
rate over the last 56 days.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
from pathlib import Path

import numpy as np

from pricing.arrays import Bools, Floats
from simulators.contract.tables import open_source
from simulators.customers.redemption import day_number
from simulators.customers.visits import ShoppingDays, build_shopping_days, fit_visits, simulate_visits
from simulators.demand.metrics import poisson_deviance
from simulators.importers.complete_journey import import_complete_journey

_SPLIT = "2017-09-15"
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_WITHIN = 0.01
_WORLDS = 5


def main() -> int:
    """Run the bench; 1 where the visit rate of any replay is more than a point away from the actual one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shopping = _shopping(options.data)
    split = day_number(_SPLIT)
    model = fit_visits(shopping, split)
    place = {name: i for i, name in enumerate(shopping.customer)}
    visited = shopping.visited[[place[name] for name in model.customer]]
    before, actual = visited[:, : split - shopping.first_day], visited[:, split - shopping.first_day :]
    days = actual.shape[1]
    worlds = [simulate_visits(model, days, options.seed, draw=draw) for draw in range(_WORLDS)]
    since_first = before.shape[1] - np.argmax(before, axis=1)
    print(f"{len(actual)} households, {days} days")
    print("forecast of each household's shopping days: rate, mean Poisson deviance, mean absolute error")
    for name, expected in (
        ("own rate since first visit", before.sum(axis=1) / since_first * days),
        ("own rate of the last 56 days", before[:, -56:].mean(axis=1) * days),
        ("tarifa", model.expected(days).sum(axis=1)),
    ):
        _print_forecast(name, actual, np.maximum(expected.astype(np.float64), 0.5))
    print(f"{'replay':24}{'rate':>8}{'silent 28 days':>16}   shopping days, quantiles {_QUANTILES}")
    for name, drawn in (
        ("actual", actual),
        *((f"tarifa, world {i}", drawn) for i, drawn in enumerate(worlds)),
    ):
        _print_replay(name, drawn)
    away = max(abs(float(drawn.mean() - actual.mean())) for drawn in worlds)
    print(f"visit rate off by at most {100 * away:.2f} points (to reach: 1)")
    return int(away > _WITHIN)


def _shopping(data: Path | None) -> ShoppingDays:
    if data is None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "data"
            import_complete_journey(made, Path(folder) / "pseudonyms.key")
            return _shopping(made)
    only = ("orders", "products", "consents")
    with open_source(data, today=dt.date(2100, 1, 1), only=only) as source:
        return build_shopping_days(source, purpose=None)


def _print_forecast(name: str, actual: Bools, expected: Floats) -> None:
    came = actual.sum(axis=1).astype(np.float64)
    rate = float(expected.sum()) / actual.size
    error = float(np.abs(came - expected).mean())
    print(f"{name:32}{rate:8.4f}{poisson_deviance(came, expected):8.3f}{error:8.3f}")


def _print_replay(name: str, drawn: Bools) -> None:
    silent = float((~drawn[:, -28:].any(axis=1)).mean())
    counts = " ".join(f"{q:5.0f}" for q in np.quantile(drawn.sum(axis=1), _QUANTILES))
    print(f"{name:24}{drawn.mean():8.4f}{silent:16.3f}   {counts}")


if __name__ == "__main__":
    sys.exit(main())
