"""True against estimated elasticities, a small picture a world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from bench.worlds_cases import OURS, Result

__all__ = ["draw_worlds"]

_INK, _BLUE, _MISS, _SOFT = "#222222", "#1f5fa8", "#d9622b", "#c9dcf2"
_COLUMNS = 5
_LIMITS = (-4.9, 0.6)
_FORMS = {
    "loglinear": "log-linear",
    "kinked": "kinked",
    "probit": "probit",
    "nested_logit": "nested logit",
    "drifting": "drifting tastes",
}

_KNOWN = {
    "nothing": "nothing known; pale: sensitivity interval",
    "instrument": "costs known",
    "experiment": "three products of ten tested",
}


def draw_worlds(results: Sequence[Result], out: Path) -> None:
    """Draw the exogenous worlds above, and below one form under every kind of information; PNG."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = _chosen(results)
    lines = -(-len(shown) // _COLUMNS)
    figure, grid = plt.subplots(
        lines, _COLUMNS, figsize=(14.5, 3.25 * lines + 0.9), sharex=True, sharey=True, layout="constrained"
    )
    for axes, result in zip(np.ravel(grid), shown, strict=False):
        _draw(axes, result)
    for axes in np.ravel(grid)[len(shown) :]:
        axes.set_visible(False)
    for axes in np.atleast_2d(grid)[:, 0]:
        axes.set_ylabel("estimated, with 90 % interval")
    for axes in np.atleast_2d(grid)[-1]:
        axes.set_xlabel("true elasticity")
    figure.suptitle(
        "Own-price elasticities in invented shops: each line is one product. "
        "Blue intervals hold the truth, orange ones miss it.",
        x=0.01, ha="left", fontsize=12, color=_INK,
    )  # fmt: skip
    figure.savefig(out, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _chosen(results: Sequence[Result]) -> list[Result]:
    first = [r for r in results if r.case.table == "exogenous"]
    own = [r for r in results if r.case.spec.form == "loglinear" and r.case.spec.kappa > 0.0]
    strongest = max((r.case.spec.kappa for r in own), default=0.0)
    order = ("nothing", "instrument", "experiment")
    second = [r for name in order for r in own if r.case.table == name and r.case.spec.kappa == strongest]
    stock = [r for r in results if r.case.table.startswith("stock-outs")]
    return first[:_COLUMNS] + (second + stock)[:_COLUMNS]


def _title(result: Result) -> tuple[str, str]:
    spec, table = result.case.spec, result.case.table
    if table == "exogenous":
        return _FORMS[spec.form], "prices move for reasons of their own"
    if table in _KNOWN:
        return "prices chase demand", _KNOWN[table]
    return "a fifth of the weeks sold out", "inventory ignored" if result.case.unseen else "inventory known"


def _draw(axes: Any, result: Result) -> None:
    dots, own = result.dots, result.scores[OURS]
    held = (dots.lower <= dots.truth) & (dots.truth <= dots.upper)
    axes.plot(_LIMITS, _LIMITS, color=_INK, linewidth=0.8, zorder=1)
    if result.case.table == "nothing":
        axes.vlines(
            dots.truth, dots.sensitivity_lower, dots.sensitivity_upper, color=_SOFT, linewidth=0.7, zorder=0
        )
    for chosen, colour in ((held, _BLUE), (~held, _MISS)):
        axes.vlines(
            dots.truth[chosen],
            dots.lower[chosen],
            dots.upper[chosen],
            color=colour,
            linewidth=0.6,
            alpha=0.3,
        )
        axes.plot(dots.truth[chosen], dots.elasticity[chosen], ".", color=colour, markersize=2.6, zorder=3)
    axes.set_xlim(*_LIMITS)
    axes.set_ylim(*_LIMITS)
    axes.set_aspect("equal")
    title, known = _title(result)
    axes.set_title(f"{title}\n", fontsize=11, color=_INK, loc="left")
    axes.annotate(known, (0.0, 1.03), xycoords="axes fraction", fontsize=8.5, color="#666666")
    axes.annotate(
        f"{own.coverage:.0%} covered\nbias {own.bias:+.2f}\nunits at ±10 %: {own.counterfactual:.1%} off",
        (0.97, 0.03), xycoords="axes fraction", ha="right", fontsize=8.5, color=_INK,
    )  # fmt: skip
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(visible=True, color="#eeeeee")
    axes.set_axisbelow(True)
