"""Demand by days, in invented shops whose truth is known.

    python -m bench.days [--seeds N] [--json FILE]

Forty products in two categories with opposite weeks (one busy on Saturdays, one on Mondays), prices that move
on Mondays or with the weekend, shops shut on Sundays, products that sell less than once a day. 154 days to
fit, 26 held out. Beside the model: the mean of the same weekday four to seven weeks before, and the truth
itself, the least error that anybody can reach.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pricing.arrays import Floats
from pricing.model import COEFFICIENTS, REGULAR
from simulators.contract.tables import open_source
from simulators.demand.metrics import wmape
from simulators.demand.validate import backtest
from simulators.run import fit_run

__all__ = ["FIRST", "WEEK", "DailyShop", "Truth", "main", "write_daily_shop"]

FIRST = dt.date(2025, 2, 3)
"""A Monday."""
_WEEK = np.array([[1.0, 1.0, 1.0, 1.1, 1.5, 2.2, 1.8], [1.2, 1.2, 1.1, 1.0, 0.9, 0.6, 0.5]])
WEEK: Floats = np.asarray(_WEEK / _WEEK.mean(axis=1, keepdims=True), dtype=np.float64)
"""Share of a mean day by category and weekday."""
_HELD_OUT = 26
_LATER = dt.date(2100, 1, 1)
_Z90 = 1.6448536269514722
_SETTINGS = """contract = 1
currency = "EUR"
time_zone = "Europe/Madrid"
grain = "day"
promotion_calendar_set_in_advance = true
[[zones]]
id = "shop"
country = "ES"
tax_rate = 0.21
prices_include_tax = true
[cost_assumption]
default = 0.6
"""


@dataclass(frozen=True)
class DailyShop:
    """What to invent: `level` is the median product's units a day, `shut` the days without any order."""

    seed: int
    products: int = 40
    days: int = 180
    level: float = 8.0
    dear_weekends: bool = False
    sundays: bool = True
    shut: Collection[dt.date] = ()


@dataclass(frozen=True)
class Truth:
    """Elasticities [N] and expected units [N, T] of an invented shop."""

    elasticity: Floats
    mean: Floats


def write_daily_shop(folder: Path, shop: DailyShop) -> Truth:
    """Write a data folder and return its truth."""
    rng = np.random.default_rng(shop.seed)
    N, T = shop.products, shop.days
    elasticity = -2.0 + 0.4 * rng.standard_normal(N)
    base = np.round(rng.uniform(2.0, 9.0, N), 1) - 0.01
    level = np.log(shop.level) + 0.4 * rng.standard_normal(N)
    steps = np.repeat(rng.choice([0.9, 1.0, 1.1], (N, T // 7 + 1)), 7, axis=1)[:, :T]
    day = np.arange(T) % 7
    steps = steps * np.where(shop.dear_weekends & (day >= 5), 1.1, 1.0)
    price = np.round(base[:, None] * steps, 2)
    log_mean = level[:, None] + elasticity[:, None] * np.log(price / base[:, None])
    mean = np.exp(log_mean + 0.05 * rng.standard_normal(T)) * WEEK[np.arange(N) % 2][:, day]
    mean[:, [(at - FIRST).days for at in shop.shut]] = 0.0
    if not shop.sundays:
        mean[:, day == WEEK.shape[1] - 1] = 0.0
    units = rng.poisson(mean * rng.gamma(8.0, 1.0 / 8.0, mean.shape))
    lines = [
        "order_id,line_id,ordered_at,status,product_id,quantity,regular_price,offered_price,paid,price_basis"
    ]
    for p, t in zip(*np.nonzero(units), strict=True):
        u, at = int(units[p, t]), f"{price[p, t]:.2f}"
        when = f"{FIRST + dt.timedelta(days=int(t))} 12:00:00"
        lines.append(f"o{p}x{t},1,{when},paid,p{p:02d},{u},{at},{at},{u * price[p, t]:.2f},gross")
    products = ["product_id,category,kind", *(f"p{p:02d},c{p % 2},merchandise" for p in range(N))]
    folder.mkdir(parents=True)
    promotion = (
        f"product_id,starts_at,ends_at,kind,share\np00,{FIRST},{FIRST + dt.timedelta(days=1)},feature,1\n"
    )
    for name, text in (
        ("shop.toml", _SETTINGS),
        ("orders.csv", "\n".join(lines) + "\n"),
        ("products.csv", "\n".join(products) + "\n"),
        ("promotions.csv", promotion),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    return Truth(elasticity, mean)


@dataclass(frozen=True)
class Row:
    """One kind of shop, means over seeds."""

    shop: str
    wmape: float
    wmape_weekday_mean: float
    wmape_truth: float
    inside: float
    coverage: float
    error: float
    week_error: float


SHOPS = {
    "prices move on Mondays": DailyShop(0),
    "dear on weekends": DailyShop(0, dear_weekends=True),
    "shut on Sundays": DailyShop(0, sundays=False),
    "one unit a day": DailyShop(0, level=1.0),
    "two units in five days": DailyShop(0, level=0.4),
    "six products": DailyShop(0, products=6),
}


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the table here")
    options = parser.parse_args()
    rows: list[Row] = []
    print(f"{'':24}  WMAPE: model  weekday mean   truth  inside  coverage    rmse    week")
    for name, shop in SHOPS.items():
        figures = [_examined(replace(shop, seed=seed)) for seed in range(1, options.seeds + 1)]
        row = Row(name, *(float(v) for v in np.mean(figures, axis=0)))
        rows.append(row)
        print(
            f"{name:24}{row.wmape:14.3f}{row.wmape_weekday_mean:14.3f}{row.wmape_truth:8.3f}"
            f"{row.inside:8.3f}{row.coverage:10.3f}{row.error:8.3f}{row.week_error:8.3f}"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    return 0


def _examined(shop: DailyShop) -> tuple[float, ...]:
    with tempfile.TemporaryDirectory() as folder:
        truth = write_daily_shop(Path(folder) / "data", shop)
        until = FIRST + dt.timedelta(days=shop.days - _HELD_OUT)
        with open_source(Path(folder) / "data", today=_LATER) as source:
            run = fit_run(source, seed=1, until=str(until))
    model, units, start = run.model, run.panel.units, len(run.panel.periods) - run.holdout
    own = np.array([int(group[1:]) for group in model.series.group])
    cells = backtest(model, run.panel, everything=True)
    at = cells.period + start
    same = np.stack([units[cells.rows, at - 7 * week] for week in (4, 5, 6, 7)]).mean(axis=0)
    traffic = COEFFICIENTS.index("traffic")
    sd = np.linalg.norm(REGULAR @ model.factor, axis=1)
    miss = model.mean @ REGULAR - truth.elasticity[own]
    week = np.zeros(0) if model.weekday is None else model.weekday[model.category]
    found = model.mean[:, traffic, None] * week - np.log(WEEK[own % 2])
    open_days = np.isfinite(found)
    found = found - np.where(open_days, found, 0.0).sum(axis=1, keepdims=True) / open_days.sum(
        axis=1, keepdims=True
    )
    return (
        wmape(cells.units, cells.expected),
        wmape(cells.units, same),
        wmape(cells.units, truth.mean[own[cells.rows], at]),
        float(((cells.units >= cells.lower) & (cells.units <= cells.upper)).mean()),
        float((np.abs(miss) <= _Z90 * sd).mean()),
        float(np.sqrt((miss**2).mean())),
        float(np.sqrt(np.nanmean(found**2))),
    )


if __name__ == "__main__":
    raise SystemExit(main())
