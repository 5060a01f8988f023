"""Coupon policies as one picture: what each brought beyond a reference as the weeks go by."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from policies.compare import paired_interval
from pricing.arrays import Floats, Ints

__all__ = ["offers_plot"]

_COLOURS = ("#1f5fa8", "#b4602d", "#3f7f4c", "#7a4f9a", "#8a8a2b", "#b23a48", "#3d8f8f", "#666666")


def offers_plot(profit: Mapping[str, Floats], reference: str) -> bytes:
    """Draw cumulative profit over the reference's, with its 90 % interval at the end; PNG bytes.

    Parameters
    ----------
    profit
        float64 [W, T] by policy; the same worlds for all, at least two.
    reference
        One of them, which made a profit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(8.6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    base = profit[reference]
    others = [name for name in profit if name != reference]
    periods: Ints = np.arange(1, base.shape[1] + 1, dtype=np.int64)
    for place, name in enumerate(others):
        gain = 100.0 * np.cumsum(profit[name] - base, axis=1) / base.sum(axis=1, keepdims=True)
        colour = _COLOURS[place % len(_COLOURS)]
        end = paired_interval(np.asarray(gain[:, -1], dtype=np.float64))
        axes.plot(periods, gain.mean(axis=0), color=colour, linewidth=1.8, label=name)
        at = len(periods) + 0.15 * (place + 1)
        axes.plot([at, at], [end.lower_90, end.upper_90], color=colour, linewidth=1.4)
    axes.axhline(0.0, color="#222222", linewidth=1.0)
    axes.set_xlabel("Period")
    axes.set_ylabel(f"Net profit beyond {reference}, % of its whole")
    axes.set_title(f"{len(base)} worlds; bars: 90 % intervals over worlds at the end", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="best", frameon=False, fontsize=9)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
