"""Demand on Complete Journey, side by side under one leak rule.

    python -m bench.demand [--data DIR] [--fast] [--json FILE]

Weeks 2-43 to fit, 44-52 held out. Products: fixed-weight merchandise with at least 26 selling weeks,
3 rounded levels and a log range of 0.1 of weekly median price in weeks 2-43, first sale by week 10, last
after week 36.

The leak rule. A price is recorded only where something sold, so a model that can tell recorded from
unrecorded prices knows the answer. Held-out prices are therefore the last recorded ones carried forward,
for every model; the whole table is then repeated with the *next* recorded price carried backward, and the
bench fails (exit 1) if any model's WMAPE moves by more than .005 more than the naive one's: its score would
come from where prices were recorded. A model told nothing but that shows what such a leak is worth.

Every metric reads the same prediction, the posterior mean of units. Model choices were made on weeks 35-43.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bench.demand_calibration import print_calibration
from bench.demand_references import Prediction, boosted, missingness_only, per_product_poisson
from pricing.arrays import Bools, Floats
from pricing.panel import Panel
from simulators.contract.order_lines import define_order_lines
from simulators.contract.panel import build_panel
from simulators.contract.tables import open_source
from simulators.demand.fit import Fit, fit
from simulators.demand.metrics import bias, lift_slope, poisson_deviance, wmape
from simulators.demand.validate import backtest
from simulators.importers.complete_journey import import_complete_journey
from simulators.run import training_panel

FIRST, UNTIL, END = 1, 43, 52
"""Positions of week 2, of week 44 and one past week 52."""
_TRAINED_UNTIL = dt.date(2017, 10, 23)
"""First day of week 44."""
_LEAK = 0.005

FIELD_NOTES = (
    ("mean of last 8 weeks", ".676", "3.40", ""),
    ("statsmodels Poisson per product", ".700", "3.58", ".59"),
    ("LightGBM Poisson with lags (leaky prices)", ".537", "2.27", "1.02"),
    ("partially pooled, recent-level update (leaky prices)", ".529", "2.24", ".945"),
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    wmape: float
    deviance: float
    bias: float
    lift: float
    lift_error: float
    negative_regular: float
    negative_discount: float
    fit_seconds: float
    wmape_backward: float


Forecaster = Callable[[Panel], Prediction]
"""A fitted model: the panel with held-out prices and promotions in, predictions out."""


def main() -> int:
    """Run the bench; 1 where a model lives off the leak."""
    options = _options()
    panel = selected(options.data, fast=options.fast)
    truth = panel.units[:, UNTIL:END]
    forward, backward = _carried(panel, back=False), _carried(panel, back=True)
    rows = [
        _row(name, make, panel, truth, forward, backward)
        for name, make in (
            ("mean of last 8 weeks", _naive),
            ("statsmodels Poisson per product", per_product_poisson),
            ("tarifa", _ours),
            ("LightGBM Poisson", boosted),
        )
    ]
    leak = missingness_only(panel, FIRST, UNTIL, END)
    _print(rows, len(panel.series), leak, truth)
    found, training = _fitted(_unseen(panel))
    _print_own_filling(found, panel, truth)
    print_calibration(found, forward.between(FIRST, END), training)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    shift = {row.model: abs(row.wmape_backward - row.wmape) for row in rows}
    leaking = [name for name, by in shift.items() if by > shift[rows[0].model] + _LEAK]
    if leaking:
        print(f"FAILED: WMAPE depends on where prices were recorded: {', '.join(leaking)}")
    return 1 if leaking else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    parser.add_argument("--fast", action="store_true", help="every 10th product, for a smoke test")
    parser.add_argument("--json", type=Path, help="also write the table here")
    return parser.parse_args()


def selected(data: Path | None, *, fast: bool, until: int = UNTIL) -> Panel:
    """Return all weeks of the products that qualify by those before position `until`."""
    if data is None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "data"
            import_complete_journey(made, Path(folder) / "pseudonyms.key")
            return selected(made, fast=fast, until=until)
    with open_source(data, today=dt.date(2100, 1, 1)) as source:
        panel = build_panel(source, str(_TRAINED_UNTIL - dt.timedelta(weeks=UNTIL - until)))
        define_order_lines(source)
        # Half-up to whole cents, as the field notes count levels.
        found = source.engine.arrays(
            "SELECT price_group, (period - (SELECT min(period) FROM order_lines))::BIGINT // 7 AS week, "
            "median(offered_price) * 100 AS price FROM order_lines WHERE apart IS NULL GROUP BY ALL"
        )
    place = {group: i for i, group in enumerate(panel.series.group)}
    median = np.full(panel.units.shape, np.nan)
    at = np.array([place[str(group)] for group in found["price_group"]])
    median[at, found["week"].astype(np.int64)] = found["price"]
    chosen = np.flatnonzero(_eligible(panel.units, median, until))
    return panel.take(chosen[::10] if fast else chosen)


def _eligible(units: Floats, median: Floats, until: int) -> Bools:
    sold = units[:, :until] > 0.0
    price = np.where(sold, median[:, :until], np.nan)[:, FIRST:]
    levels = np.array([len(np.unique(np.round(row[np.isfinite(row)]))) for row in price])
    high = np.where(np.isfinite(price), price, -np.inf).max(axis=1)
    low = np.where(np.isfinite(price), price, np.inf).min(axis=1)
    first = sold.argmax(axis=1) + 1
    last = until - sold[:, ::-1].argmax(axis=1)
    selling = sold[:, FIRST:].sum(axis=1)
    wide = high >= low * np.exp(0.1)
    return (selling >= 26) & (levels >= 3) & wide & (first <= 10) & (last > until - 7)


def _carried(panel: Panel, *, back: bool) -> Panel:
    """Return the panel with held-out prices filled from the last record, or from the next one."""
    return replace(
        panel, offered=_filled(panel.offered, back=back), regular=_filled(panel.regular, back=back)
    )


def _filled(price: Floats, *, back: bool) -> Floats:
    out = price.copy()
    for t in range(FIRST + 1, END):
        out[:, t] = np.where(np.isfinite(out[:, t]), out[:, t], out[:, t - 1])
    if back:
        later = price.copy()
        for t in range(END - 2, UNTIL - 1, -1):
            later[:, t] = np.where(np.isfinite(later[:, t]), later[:, t], later[:, t + 1])
        held = later[:, UNTIL:END]
        out[:, UNTIL:END] = np.where(np.isfinite(held), held, out[:, UNTIL:END])
    return out


def _print_own_filling(found: Fit, panel: Panel, truth: Floats) -> None:
    """Print our figures where gaps of held-out prices are filled as training fills its own."""
    cells = backtest(found.model, _blind(panel).between(FIRST, END), everything=True)
    expected = cells.expected.reshape(truth.shape)
    series = np.repeat(np.arange(len(truth)), truth.shape[1])
    lift = lift_slope(truth.ravel(), cells.base, cells.lift, series)
    print(
        f"{'tarifa, gaps filled as in training':34}{wmape(truth, expected):8.4f}"
        f"{poisson_deviance(truth, expected):7.3f}{bias(truth, expected):+8.3f}"
        f"{lift.slope:7.3f}{1.645 * lift.standard_error:6.3f}"
    )


def _naive(panel: Panel) -> Forecaster:
    mean = np.maximum(panel.units[:, UNTIL - 8 : UNTIL].mean(axis=1, keepdims=True), 0.02)
    flat = np.repeat(mean, END - UNTIL, axis=1)
    nothing = np.zeros_like(flat)
    return lambda _: Prediction(flat, np.log(flat), nothing, float("nan"), float("nan"))


def _ours(panel: Panel) -> Forecaster:
    found, _ = _fitted(panel)

    def predict(held: Panel) -> Prediction:
        cells = backtest(found.model, held.between(FIRST, END), everything=True)
        shape = (len(panel.series), END - UNTIL)
        report = found.report
        return Prediction(
            cells.expected.reshape(shape),
            cells.base.reshape(shape),
            cells.lift.reshape(shape),
            report.negative_regular,
            report.negative_depth,
        )

    return predict


def _fitted(panel: Panel) -> tuple[Fit, Panel]:
    training = training_panel(panel.between(FIRST, UNTIL), UNTIL - FIRST)
    until = str(panel.periods[UNTIL])
    return fit(training, until=until, fingerprint="bench", seed=1, calendar_in_advance=True), training


def _row(
    name: str,
    make: Callable[[Panel], Forecaster],
    panel: Panel,
    truth: Floats,
    forward: Panel,
    backward: Panel,
) -> Row:
    began = time.perf_counter()
    forecaster = make(_unseen(panel))
    seconds = time.perf_counter() - began
    said = forecaster(_blind(forward))
    other = forecaster(_blind(backward))
    series = np.repeat(np.arange(len(truth)), truth.shape[1])
    lift = lift_slope(truth.ravel(), said.log_base.ravel(), said.log_lift.ravel(), series)
    return Row(
        name,
        wmape(truth, said.expected),
        poisson_deviance(truth, said.expected),
        bias(truth, said.expected),
        lift.slope,
        lift.standard_error,
        said.negative_regular,
        said.negative_discount,
        seconds,
        wmape(truth, other.expected),
    )


def _unseen(panel: Panel) -> Panel:
    """Return the panel with everything held out destroyed: no fit can read what it must not."""
    return _without(panel, units=0.0, price=np.nan)


def _blind(panel: Panel) -> Panel:
    """Return the panel with held-out units destroyed; prices and promotions stay."""
    return _without(panel, units=0.0, price=None)


def _without(panel: Panel, *, units: float, price: float | None) -> Panel:
    gone = {"units": panel.units.copy(), "on_sale": panel.on_sale.copy(), "traffic": panel.traffic.copy()}
    gone["units"][:, UNTIL:] = units
    gone["on_sale"][:, UNTIL:] = True
    gone["traffic"][UNTIL:] = 1.0
    if price is not None:
        for name in ("offered", "regular", "feature", "display"):
            gone[name] = getattr(panel, name).copy()
            gone[name][:, UNTIL:] = price
    return replace(panel, **gone)


def _print(rows: list[Row], products: int, leak: Floats, truth: Floats) -> None:
    print(f"{products} products, {truth.size} held-out cells, {truth.sum():.0f} units")
    print(
        f"{'model':34}{'WMAPE':>8}{'dev.':>7}{'bias':>8}{'lift':>7}{'+-':>6}"
        f"{'neg.reg':>9}{'neg.disc':>9}{'fit s':>7}{'WMAPE back':>12}"
    )
    for r in rows:
        print(
            f"{r.model:34}{r.wmape:8.4f}{r.deviance:7.3f}{r.bias:+8.3f}"
            f"{r.lift:7.3f}{1.645 * r.lift_error:6.3f}"
            f"{r.negative_regular:9.3f}{r.negative_discount:9.3f}{r.fit_seconds:7.1f}{r.wmape_backward:12.4f}"
        )
    told = f"{wmape(truth, leak):8.4f}{poisson_deviance(truth, leak):7.3f}"
    print(f"{'leak detector (recorded or not)':34}{told}")
    print("field notes, before the leak rule:")
    for name, error, deviance, lift in FIELD_NOTES:
        print(f"{name:54}{error:>6}{deviance:>7}{lift:>7}")


if __name__ == "__main__":
    sys.exit(main())
