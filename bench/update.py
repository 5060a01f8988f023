"""Updates beside full refits: the same forecasts, the same coverage, a fraction of the time.

    python -m bench.update [--data DIR] [--fast] [--json FILE]

Complete Journey, the products of bench.demand. A model fitted up to week 31 is updated with weeks 32-39, at
once and week by week, and compared on weeks 40-43 with a refit up to week 39 and with the model of week 31
left as it was. Products are chosen by weeks 2-39; weeks 44-52, on which bench.demand reports, are not used.

Known truth, docs/worlds.md: log-linear worlds without confounding, and worlds of drifting tastes; 400
products. A model of the first 40 weeks is updated with 1, 4 and 12 weeks, week by week; beside it a refit
that has seen the same weeks. Coverage is of 90 % intervals of the regular-price elasticity, scored against
the truth of docs/worlds.md (the last 13 weeks of 52).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.demand import selected
from bench.worlds_cases import LATER
from pricing.model import REGULAR
from pricing.panel import Panel
from simulators.contract.tables import open_source
from simulators.demand.continuation import Continued, continued
from simulators.demand.fit import Fit, fit
from simulators.demand.metrics import bias, poisson_deviance, wmape
from simulators.demand.validate import backtest
from simulators.known_truth.draw import draw_world
from simulators.known_truth.specification import Form, WorldSpec
from simulators.known_truth.tables import write_world
from simulators.run import fit_run, training_panel

__all__ = ["main"]

FIRST, BEGIN, UNTIL, END = 1, 31, 39, 43
"""Positions of week 2, of weeks 32 and 40, and one past week 43."""
START, UPDATES, SEEDS = 40, (1, 4, 12), (1, 2, 3, 4, 5)
_Z90 = 1.6448536269514722
State = Fit | Continued
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Forecast:
    """One line of the first table."""

    model: str
    wmape: float
    deviance: float
    bias: float
    coverage: float
    seconds: float


@dataclass(frozen=True)
class Known:
    """One line of the second table, over worlds: `updates` weeks after the first fit."""

    form: str
    updates: int
    coverage_updated: float
    coverage_refitted: float
    width_ratio: float
    error_updated: float
    error_refitted: float
    seconds_updated: float
    seconds_refitted: float


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    parser.add_argument("--fast", action="store_true", help="every 10th product and one world, a smoke test")
    parser.add_argument("--json", type=Path, help="also write the tables here")
    options = parser.parse_args()
    forecasts = journey(options.data, fast=options.fast)
    print(f"{'':42}{'WMAPE':>8}{'deviance':>10}{'bias':>8}{'inside':>8}{'s':>8}")
    for row in forecasts:
        print(
            f"{row.model:42}{row.wmape:8.4f}{row.deviance:10.3f}{row.bias:8.3f}{row.coverage:8.3f}"
            f"{row.seconds:8.2f}"
        )
    seeds = SEEDS[:1] if options.fast else SEEDS
    known = [row for form in (Form.LOGLINEAR, Form.DRIFTING) for row in worlds(form, seeds)]
    print(
        f"\n{'world':12}{'weeks':>6}  coverage: updated refitted  width  "
        "rmse: updated refitted  s: updated ratio"
    )
    for k in known:
        print(
            f"{k.form:12}{k.updates:6}{k.coverage_updated:19.3f}{k.coverage_refitted:9.3f}{k.width_ratio:7.3f}"
            f"{k.error_updated:15.4f}{k.error_refitted:9.4f}{k.seconds_updated:12.2f}"
            f"{k.seconds_updated / k.seconds_refitted:6.2f}"
        )
    if options.json:
        tables = {"journey": [asdict(r) for r in forecasts], "worlds": [asdict(k) for k in known]}
        options.json.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")
    return 0


def journey(data: Path | None, *, fast: bool) -> list[Forecast]:
    """Return the first table."""
    panel = selected(data, fast=fast, until=UNTIL).between(FIRST, END)
    seen, stop = BEGIN - FIRST, UNTIL - FIRST
    fitted, first = _timed(lambda: _fit(panel, seen))
    once, at_once = _timed(lambda: _continue(fitted, panel, stop))
    state: State = fitted
    weekly = 0.0
    for week in range(seen + 1, stop + 1):
        before = state
        state, seconds = _timed(lambda before=before, week=week: _continue(before, panel, week))
        weekly += seconds
    full, refit = _timed(lambda: _fit(panel, stop))
    until = str(panel.periods[stop])
    rows: list[tuple[str, State, float]] = [
        ("model of week 31, left as it was", fitted, first),
        ("updated at once with weeks 32-39", once, at_once),
        ("updated week by week, eight times", state, weekly),
        ("refitted up to week 39", full, refit),
    ]
    return [_scored(name, made, panel, until, seconds) for name, made, seconds in rows]


def _scored(name: str, made: State, panel: Panel, until: str, seconds: float) -> Forecast:
    cells = backtest(replace(made.model, until=until), panel, everything=True)
    inside = (cells.units >= cells.lower) & (cells.units <= cells.upper)
    y, mu = cells.units, cells.expected
    return Forecast(name, wmape(y, mu), poisson_deviance(y, mu), bias(y, mu), float(inside.mean()), seconds)


def worlds(form: Form, seeds: tuple[int, ...]) -> list[Known]:
    """Return the second table's lines for one kind of world."""
    found = [_world(WorldSpec(seed=seed, form=form)) for seed in seeds]
    return [
        Known(str(form), weeks, *(float(v) for v in np.mean([world[i] for world in found], axis=0)))
        for i, weeks in enumerate(UPDATES)
    ]


def _world(spec: WorldSpec) -> list[tuple[float, ...]]:
    world = draw_world(spec)
    with tempfile.TemporaryDirectory() as folder:
        write_world(world, Path(folder) / "data")
        with open_source(Path(folder) / "data", today=LATER) as source:
            panel = fit_run(source, seed=1).panel
    truth, state, spent = world.truth.elasticity, _fit(panel, START), 0.0
    lines: list[tuple[float, ...]] = []
    made: State = state
    for weeks in range(1, UPDATES[-1] + 1):
        before = made
        made, seconds = _timed(lambda before=before, weeks=weeks: _continue(before, panel, START + weeks))
        spent += seconds
        if weeks in UPDATES:
            full, refit = _timed(lambda weeks=weeks: _fit(panel, START + weeks))
            ours, theirs = _judged(made, truth), _judged(full, truth)
            width = ours[1] / theirs[1]
            lines.append((ours[0], theirs[0], width, ours[2], theirs[2], spent / weeks, refit))
    return lines


def _judged(made: State, truth: np.ndarray) -> tuple[float, float, float]:
    """Return coverage, mean width and root mean squared error of the regular-price elasticity."""
    sd = np.linalg.norm(REGULAR @ made.model.factor, axis=1)
    miss = made.model.mean @ REGULAR - truth
    return float((np.abs(miss) <= _Z90 * sd).mean()), float(sd.mean()), float(np.sqrt((miss**2).mean()))


def _fit(panel: Panel, stop: int) -> Fit:
    training = training_panel(panel.between(0, stop), stop)
    until = _until(panel, stop)
    return fit(training, until=until, fingerprint="bench", seed=1, calendar_in_advance=True)


def _continue(before: State, panel: Panel, stop: int) -> Continued:
    return continued(
        before.model,
        before.standing,
        before.report,
        training_panel(panel.between(0, stop), stop),
        until=_until(panel, stop),
        fingerprint="bench",
        calendar_in_advance=True,
    )


def _until(panel: Panel, stop: int) -> str:
    return str(panel.periods[0] + 7 * stop)


def _timed(work: Callable[[], _Made]) -> tuple[_Made, float]:
    start = time.perf_counter()
    made = work()
    return made, time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())
