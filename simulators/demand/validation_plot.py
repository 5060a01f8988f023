"""The validation as one picture that a manager can read."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pricing.arrays import Floats
from simulators.demand.metrics import total_by
from simulators.demand.validate import Backtest, Validation

__all__ = ["lift_bins", "validation_plot"]

_BINS = 10
_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_INK, _BLUE, _BAND = "#222222", "#1f5fa8", "#c9dcf2"


def lift_bins(found: Backtest, bins: int = _BINS) -> tuple[Floats, Floats, Floats]:
    """Return predicted and actual price effects by decile of the predicted one, and units, [bins] each.

    Effects are factors on units, relative to the mean training price; actual ones are units over what the
    model expects at that price, each series scaled to its own total, so levels do not enter.
    """
    n = int(found.rows.max()) + 1
    total = total_by(found.rows, found.units, n)
    expected = total_by(found.rows, np.exp(found.base + found.lift), n)
    scale = total / np.maximum(expected, 1e-12)
    base = np.exp(found.base) * scale[found.rows]
    moved = np.abs(found.lift) > 1e-3
    inner: Floats = np.linspace(0.0, 1.0, bins + 1, dtype=np.float64)[1:-1]
    edges: Floats = np.quantile(found.lift[moved], inner) if moved.any() else np.zeros(bins - 1)
    which = np.searchsorted(edges, found.lift[moved], side="right").astype(np.int64)
    weight = np.maximum(total_by(which, base[moved], bins), 1e-12)
    predicted = total_by(which, (base * np.exp(found.lift))[moved], bins) / weight
    units = total_by(which, found.units[moved], bins)
    return predicted, units / weight, units


def validation_plot(validation: Validation, found: Backtest) -> bytes:
    """Draw totals against their band, and actual against predicted price effects; PNG bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(11.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_totals(left, validation)
    _draw_lift(right, validation, found)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _draw_totals(axes: Any, validation: Validation) -> None:
    totals = validation.totals
    days = totals.periods.astype("datetime64[D]").astype(object)
    axes.fill_between(days, totals.lower, totals.upper, color=_BAND, label="90 % band")
    axes.plot(days, totals.expected, color=_BLUE, label="predicted")
    axes.plot(days, totals.actual, color=_INK, marker="o", markersize=4, linestyle="none", label="sold")
    axes.set_ylim(bottom=0.0)
    axes.set_title(f"Units of {validation.series} series, error {validation.wmape:.1%} a cell")
    axes.legend(frameon=False, loc="lower left")
    axes.set_xticks(days, [f"{day:%d %b}" for day in days], rotation=30)
    _plain(axes)


def _draw_lift(axes: Any, validation: Validation, found: Backtest) -> None:
    predicted, actual, units = lift_bins(found)
    kept = units > 0.0
    ends = np.array([predicted[kept].min(initial=1.0), predicted[kept].max(initial=1.0)])
    axes.plot(ends, ends, color=_BAND, linewidth=3, label="calibrated")
    size = 20.0 + 180.0 * units[kept] / units.max(initial=1.0)
    axes.scatter(predicted[kept], actual[kept], s=size, color=_BLUE, label="tenth of the moved cells")
    low, high = (
        0.9 * min(ends[0], actual[kept].min(initial=1.0)),
        1.1 * max(ends[1], actual[kept].max(initial=1.0)),
    )
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    for axis, scale, limit in (
        (axes.xaxis, axes.set_xscale, axes.set_xlim),
        (axes.yaxis, axes.set_yscale, axes.set_ylim),
    ):
        scale("log")
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
        limit(low, high)
    axes.set_xlabel("predicted effect of price on units (factor)")
    axes.set_ylabel("actual")
    axes.set_title(f"What prices did: slope {validation.lift.slope:.2f} (1 is calibrated)")
    axes.legend(frameon=False)
    _plain(axes)


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(visible=True, axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
