"""What coupons add as one picture: does each pay, are those found whom it moves, how far to go."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulators.uplift.fit import UpliftReport
from simulators.uplift.scores import Mean

__all__ = ["PlotWords", "uplift_plot"]

_INK, _BLUE, _BAND, _WARM, _GREY = "#222222", "#1f5fa8", "#c9dcf2", "#b4602d", "#8a8a8a"
_APART, _OFFER_HEIGHT, _LEAST_HEIGHT = 0.22, 0.5, 4.6
_TICKS = 4


@dataclass(frozen=True, slots=True)
class PlotWords:
    """What is written on the picture, in the reader's language.

    Attributes
    ----------
    effects, total, during, after
        Title of the first part, and its three marks.
    deciles, predicted, found
        Title and axes of the second.
    reach, share, gain, chance
        Title and axes of the third, and the line of a ranking by chance.
    money, percent
        Minor units, and a share, as text.
    """

    effects: str
    total: str
    during: str
    after: str
    deciles: str
    predicted: str
    found: str
    reach: str
    share: str
    gain: str
    chance: str
    money: Callable[[float], str]
    percent: Callable[[float], str]


def uplift_plot(report: UpliftReport, words: PlotWords) -> bytes:
    """Draw effects by offer, predictions beside what was found, and the uplift curve; PNG bytes.

    Parameters
    ----------
    report
        Of a fit in which something is identified. Intervals are of 95 %.
    words
        What is written beside.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = max(_LEAST_HEIGHT, 1.6 + _OFFER_HEIGHT * len(report.effects))
    figure: Any = Figure(figsize=(14.0, height), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    _draw_effects(left, report, words)
    _draw_deciles(middle, report, words)
    _draw_reach(right, report, words)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(11)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _draw_effects(axes: Any, report: UpliftReport, words: PlotWords) -> None:
    names = [effect.offer for effect in report.effects]
    rows = range(len(names))
    marks = (
        (words.total, _BLUE, -_APART, [effect.total for effect in report.effects]),
        (words.during, _GREY, 0.0, [effect.during for effect in report.effects]),
        (words.after, _WARM, _APART, [effect.after for effect in report.effects]),
    )
    axes.axvline(0.0, color=_INK, linewidth=1.0)
    for label, colour, shift, means in marks:
        axes.errorbar(
            [mean.value for mean in means], [row + shift for row in rows], xerr=_bars(means),
            fmt="o", color=colour, markersize=5, linewidth=1.6, label=label,
        )  # fmt: skip
    axes.set_yticks(list(rows), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    _write_ticks(axes.xaxis, words.money)
    axes.set_title(words.effects, loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False, fontsize=9)


def _draw_deciles(axes: Any, report: UpliftReport, words: PlotWords) -> None:
    predicted, found = (
        [part.predicted for part in report.deciles],
        [part.found for part in report.deciles],
    )
    ends = (min(predicted), max(predicted))
    axes.axhline(0.0, color=_INK, linewidth=1.0)
    axes.plot(ends, ends, color=_GREY, linewidth=1.2, linestyle="--")
    axes.errorbar(
        predicted, [mean.value for mean in found], yerr=_bars(found), fmt="o", color=_BLUE,
        markersize=5, linewidth=1.6,
    )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        _write_ticks(axis, words.money)
    axes.set_xlabel(words.predicted)
    axes.set_ylabel(words.found)
    axes.set_title(words.deciles, loc="left")


def _draw_reach(axes: Any, report: UpliftReport, words: PlotWords) -> None:
    share = [0.0, *(one.share for one in report.reach)]
    gains = [one.gain for one in report.reach]
    low, high = ([0.0, *(mean.interval()[end] for mean in gains)] for end in (0, 1))
    value = [0.0, *(mean.value for mean in gains)]
    axes.fill_between(share, low, high, color=_BAND)
    axes.plot(share, value, color=_BLUE, marker="o", markersize=5, linewidth=1.8)
    axes.plot((0.0, 1.0), (0.0, value[-1]), color=_GREY, linewidth=1.2, linestyle="--", label=words.chance)
    axes.axhline(0.0, color=_INK, linewidth=1.0)
    _write_ticks(axes.xaxis, words.percent)
    _write_ticks(axes.yaxis, words.money)
    axes.set_xlabel(words.share)
    axes.set_ylabel(words.gain)
    axes.set_title(words.reach, loc="left")
    axes.legend(loc="best", frameon=False, fontsize=9)


def _bars(means: Sequence[Mean]) -> tuple[list[float], list[float]]:
    """Return how far intervals reach below and above."""
    ends = [(mean.value, *mean.interval()) for mean in means]
    return [value - low for value, low, _ in ends], [high - value for value, _, high in ends]


def _write_ticks(axis: Any, told: Callable[[float], str]) -> None:
    """Write few enough ticks that they stay apart."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(_TICKS, steps=[1, 2, 2.5, 5, 10]))

    def written(value: float, _place: int) -> str:
        return told(value)

    axis.set_major_formatter(written)
