"""The learning curve as one picture: has it learnt, has it settled, is it worth more than a plan."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from pricing.arrays import Floats

__all__ = ["learning_plot", "smoothed"]

_INK, _BLUE, _PALE = "#222222", "#1f5fa8", "#9dbde0"
_LINES = ("#b4602d", "#3f7f4c", "#7a4f9a", "#8a8a2b")
_WINDOW = 5
_APART = 0.035
"""Least distance of two labels, as a share of the height."""


def smoothed(values: Floats, window: int = _WINDOW) -> Floats:
    """Return the mean of each value [R] and those before it, at most `window` together; float64 [R]."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    return np.asarray((total[last] - total[first]) / (last - first), dtype=np.float64)


def learning_plot(curve: Floats, references: Mapping[str, float], learnt: float) -> bytes:
    """Draw a learning curve beside policies that need no learning; PNG bytes, the same for the same input.

    Parameters
    ----------
    curve
        float64 [R, 2]; net profit of each rollout and what keeping every price brings in it.
    references
        Net profit of policies by name, as a multiple of what keeping every price brings.
    learnt
        The same of the policy as it is exported, without exploration.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure: Any = Figure(figsize=(8.6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    gain = 100.0 * (curve[:, 0] / curve[:, 1] - 1.0)
    place = np.arange(1, len(gain) + 1)
    axes.plot(place, gain, color=_PALE, linewidth=1.0, label="one episode, exploring")
    axes.plot(place, smoothed(gain), color=_BLUE, linewidth=2.2, label=f"mean of {_WINDOW} episodes")
    axes.plot(place[-1:], [100.0 * (learnt - 1.0)], "o", color=_BLUE, label="as exported, not exploring")
    marks = {"keep every price": 0.0} | {name: 100.0 * (ratio - 1.0) for name, ratio in references.items()}
    _draw_marks(axes, marks)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Episode")
    axes.set_ylabel("Net profit over keeping every price, %")
    axes.set_title("Learning, and what needs no learning, in the training worlds", loc="left", color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _draw_marks(axes: Any, marks: Mapping[str, float]) -> None:
    """Draw horizontal lines, their names at the right end and never on top of each other."""
    colours = dict(zip(marks, ("#666666", *_LINES), strict=False))
    for name, value in marks.items():
        axes.axhline(value, color=colours[name], linewidth=1.2, linestyle="--", zorder=1)
    low, high = axes.get_ylim()
    apart, below = _APART * (high - low), -np.inf
    for name, value in sorted(marks.items(), key=lambda mark: mark[1]):
        below = max(value, below + apart)
        axes.annotate(
            name if value == 0.0 else f"{name} {value:+.1f} %",
            (1.01, below), xycoords=("axes fraction", "data"),
            va="center", color=colours[name], annotation_clip=False,
        )  # fmt: skip
