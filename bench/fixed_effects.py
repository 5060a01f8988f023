"""Poisson regression with product and week effects against warm pyfixest on the same rows.

    OPENBLAS_NUM_THREADS=1 python -m bench.fixed_effects [--data DIR] [--rounds N]

Complete Journey at 1,000 and 4,000 products (weeks 2-43 of the demand bench) and simulated rows with
separated observations and a regressor that is a mix of others. Both sides start from one data frame, check
separation (by effects and by regressors) and collinearity, and cluster errors by product. pyfixest is timed
twice: as it comes, which asks effects only about separation, and asked about regressors too, which ours
always does; the target is held against the first. Rounds are taken in turn, the first of each is thrown
away, and the best counts, because other work on the machine only ever slows a round down; the last column
divides median by median instead.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyfixest

from bench.demand import FIRST, UNTIL, selected
from pricing.arrays import Bools, Floats
from pricing.rivals import Rivals
from simulators.demand.design import design, known_prices, observed
from simulators.demand.fixed_effects import FixedEffectsPoisson, fixed_effects_poisson

RATIO, DIFFERENCE = 5.0, 1e-5
_SLOPES = {"regular": 1, "depth": 2, "feature": 3, "display": 4, "lag": 5}


@dataclass(frozen=True)
class Rows:
    """One set of rows: units [N, T], which cells count [N, T], regressors [N, T, K] and their names."""

    name: str
    y: Floats
    observed: Bools
    X: Floats
    columns: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Return the cells that count as a table."""
        i, t = np.nonzero(self.observed)
        columns = {name: self.X[i, t, k] for k, name in enumerate(self.columns)}
        return pd.DataFrame({"y": self.y[i, t], "product": i, "week": t, **columns})


def main() -> int:
    """Print the table; 1 where a row misses the target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds of each side")
    options = parser.parse_args()
    print(
        f"{'rows':34}{'cells':>9}{'separated':>11}{'left out':>10}{'ours ms':>9}"
        f"{'fepois ms':>11}{'times':>7}{'checked ms':>12}{'times':>7}{'coef. diff':>12}{'s.e. ratio':>12}"
        f"{'times (median)':>16}"
    )
    missed = [not _compare(rows, options.rounds) for rows in (*_journey(options.data), simulated(1))]
    return 1 if any(missed) else 0


def _journey(data: Path | None) -> tuple[Rows, ...]:
    panel = selected(data, fast=False).between(FIRST, UNTIL)
    every = np.random.default_rng(1).permutation(len(panel.series))
    out: list[Rows] = []
    for count in (1_000, len(every)):
        some = panel.take(np.sort(every[:count]))
        first = known_prices(some).regular[:, 0]
        X = design(some, first, np.zeros(len(some.periods)), 7, Rivals.none(count)).X[
            ..., list(_SLOPES.values())
        ]
        out.append(
            Rows(f"Complete Journey, {count:,} products", some.units, observed(some), X, tuple(_SLOPES))
        )
    return tuple(out)


def simulated(seed: int, N: int = 1_000, T: int = 53) -> Rows:
    """Return rows of which some are separated by a regressor, and whose last regressor is a mix of others."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0.0, 0.3, (N, T, 3))
    eta = rng.normal(0.0, 1.0, (N, 1)) + rng.normal(0.0, 0.2, T) + X @ np.array([-1.5, 0.5, 0.2])
    y = rng.poisson(np.exp(eta)).astype(np.float64)
    only_zeros = np.where((rng.random((N, T)) < 0.01) & (y == 0.0), 1.0, 0.0)
    mix = X[..., 0] - 2.0 * X[..., 1] + rng.normal(size=(N, 1))
    wide = np.concatenate([X, (X[..., 2] + only_zeros)[..., None], mix[..., None]], axis=2)
    return Rows("simulated, separated, collinear", y, rng.random((N, T)) < 0.99, wide, tuple("abcde"))


def _compare(rows: Rows, rounds: int) -> bool:
    frame = rows.frame()
    formula = f"y ~ {' + '.join(rows.columns)} | product + week"

    def fepois(checks: list[str]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says what it drops, which is counted below
            return pyfixest.fepois(formula, frame, vcov={"CRV1": "product"}, separation_check=checks)

    tasks = (lambda: _ours(frame, rows.columns), lambda: fepois(["fe"]), lambda: fepois(["fe", "ir"]))
    (found, _, their), seconds = _in_turn(tasks, rounds)
    best, usual = 1e3 * seconds.min(axis=1), np.median(seconds, axis=1)
    coefficients, errors = their.coef(), their.se()
    both = [k for k, name in enumerate(rows.columns) if name in coefficients.index and found.kept[k]]
    names = [rows.columns[k] for k in both]
    apart = float(np.abs(coefficients[names].to_numpy() - found.coefficient[both]).max())
    error = float((found.standard_error[both] / errors[names].to_numpy()).mean())
    cells = int(found.used.sum())
    agree = cells == their._N and len(both) == len(coefficients) == found.kept.sum()  # noqa: SLF001
    print(
        f"{rows.name:34}{cells:9,}{int(found.separated.sum()):11,}{int((~found.kept).sum()):10}"
        f"{best[0]:9.1f}{best[1]:11.1f}{best[1] / best[0]:7.1f}{best[2]:12.1f}{best[2] / best[0]:7.1f}"
        f"{apart:12.1e}{error:12.5f}{usual[1] / usual[0]:16.1f}"
    )
    if not agree:
        print(f"  pyfixest keeps {their._N:,} rows and {', '.join(coefficients.index)}")  # noqa: SLF001
    return bool(best[1] / best[0] >= RATIO and apart <= DIFFERENCE and agree)


def _ours(frame: pd.DataFrame, columns: tuple[str, ...]) -> FixedEffectsPoisson:
    """Lay a data frame out by product and week, and fit."""
    i, t = (np.unique(frame[name], return_inverse=True)[1] for name in ("product", "week"))
    shape = int(i.max()) + 1, int(t.max()) + 1
    here: Bools = np.zeros(shape, dtype=np.bool_)
    here[i, t] = True
    y, X = np.zeros(shape), np.zeros((*shape, len(columns)))
    y[i, t], X[i, t] = frame["y"], frame[list(columns)]
    return fixed_effects_poisson(y, here, X)


def _in_turn(tasks: Sequence[Callable[[], Any]], rounds: int) -> tuple[list[Any], Floats]:
    """Return the tasks' results and the seconds of each in each timed round [tasks, rounds]."""
    seconds, found = np.zeros((len(tasks), rounds + 1)), [None] * len(tasks)
    for k in range(rounds + 1):
        for j, task in enumerate(tasks):
            began = time.perf_counter()
            found[j] = task()
            seconds[j, k] = time.perf_counter() - began
    return found, seconds[:, 1:]


if __name__ == "__main__":
    sys.exit(main())
