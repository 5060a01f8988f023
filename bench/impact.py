"""Roll-outs with a known effect: how often intervals of ``tarifa impact`` hold, and "it paid" is false.

    python -m bench.impact [--seeds 100-101] [--copies 25] [--designs parallel,finer] [--json FILE]

Every roll-out is planned by :func:`policies.impact.register.plan_trial` from its first 39 weeks, sold on with
new prices where the plan says so (12 weeks; :mod:`bench.impact_worlds`), and judged by
:func:`policies.impact.report.measure`. The truth is the same shop sold under the same chance with its old
prices; and, of the same shop with new prices everywhere, what is told as "had all got them". Designs: whole
categories held out; subcategories held out ("finer"); categories that alternate, three weeks at a time with
one washed out, or six with three ("slower"). Shops where effects cross the borders of subcategories or
outlast a washout show how often that is found, and how far the estimate is off. Beside it: statsmodels'
difference of means of clusters with unequal variances (Welch), and its regression on profit before with HC2
errors. Methods were chosen on seeds 1-9.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from bench.impact_worlds import CARRYING, CLOSED, EFFECTS, SPILLING, Outcomes, Shape, draw_outcomes
from policies.impact.measured import by_cluster, rows_of
from policies.impact.register import Wish, plan_trial
from policies.impact.report import Caveat, Impact, Verdict, measure
from pricing.arrays import Bools, Floats
from pricing.errors import RefusedError
from pricing.panel import Series
from pricing.trial import Design, Trial
from simulators.contract.realised import AMOUNTS, Realised

_PAST, _WEEKS, _DRAWS = 39, 12, 999
_FIRST = np.datetime64("2023-01-02")
_BLOCK = 3
_DESIGNS = {
    "parallel": Wish("2023-09-01", None, _WEEKS, by="category"),
    "finer": Wish("2023-09-01", None, _WEEKS, by="subcategory"),
    "switchback": Wish("2023-09-01", None, _WEEKS, design=Design.SWITCHBACK, block=_BLOCK, washout=1),
    "slower": Wish("2023-09-01", None, _WEEKS, design=Design.SWITCHBACK, block=2 * _BLOCK, washout=_BLOCK),
}


@dataclass(frozen=True)
class Row:
    """One line of the table: shares of the roll-outs of one kind."""

    design: str
    shape: str
    effect: str
    runs: int
    refused: int
    truth: float
    total: float
    bias: float
    covered: float
    total_covered: float
    paid_falsely: float
    paid: float
    did_not: float
    flagged: float
    placebo: float
    width: float
    detectable: float
    check_covered: float
    welch_covered: float
    welch_paid: float
    welch_width: float
    ols_covered: float
    ols_paid: float
    ols_width: float


@dataclass(frozen=True)
class _Judged:
    """One roll-out; intervals as shares of the treated clusters' profit before."""

    truth: float
    total: float
    found: Impact
    welch: tuple[float, float]
    ols: tuple[float, float]


def main() -> int:
    """Run the bench; 1 where a target is missed over all shapes together."""
    options = _options()
    low, _, high = options.seeds.partition("-")
    seeds, began = range(int(low), int(high or low) + 1), time.perf_counter()
    rows: list[Row] = []
    for design in options.designs.split(","):
        for shape, effects in _shops(design):
            for effect in effects:
                rows.append(_row(design, shape, effect, seeds, options.copies))
                _print(rows[-1], first=len(rows) == 1)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(f"{time.perf_counter() - began:.0f} s")
    return _summary(rows)


def _shops(design: str) -> list[tuple[Shape, tuple[str, ...]]]:
    if design == "slower":
        return [(shape, ("none", "gain", "loss")) for shape in (CLOSED[1], *CARRYING)]
    crossed = (*SPILLING, *(CARRYING if design == "switchback" else ()))
    return [(shape, EFFECTS) for shape in CLOSED] + [(shape, ("none", "gain", "loss")) for shape in crossed]


def _row(design: str, shape: Shape, effect: str, seeds: range, copies: int) -> Row:
    judged: list[_Judged] = []
    refused = 0
    for seed in seeds:
        outcomes = draw_outcomes(shape, effect, seed, copies, _PAST + _WEEKS)
        past = [_realised(outcomes, outcomes.old[:_PAST], copy) for copy in range(copies)]
        try:
            trials = [plan_trial(past[c], _wish(design, seed, c)) for c in range(copies)]
        except RefusedError:
            refused += copies
            continue
        everywhere = np.zeros((_PAST + _WEEKS, copies, len(outcomes.cluster)), dtype=np.bool_)
        everywhere[_PAST:] = True
        whole = outcomes.sold(everywhere)
        sold = outcomes.sold(np.stack([_treated(trial, outcomes) for trial in trials], axis=1))
        for copy, trial in enumerate(trials):
            found = measure(trial, _realised(outcomes, sold, copy), _DRAWS)
            judged.append(_judge(trial, found, outcomes, (sold, whole), copy))
    return _added_up(design, shape, effect, judged, refused)


def _wish(design: str, seed: int, copy: int) -> Wish:
    return replace(_DESIGNS[design], seed=1000 * seed + copy)


def _realised(outcomes: Outcomes, profit: Floats, copy: int) -> Realised:
    """Return one copy's weeks, float64 [T, B, N], as if they had been read from a shop's tables."""
    weeks, _, count = profit.shape
    n, t = (a.reshape(-1) for a in np.indices((count, weeks)))
    amounts = np.zeros((count * weeks, len(AMOUNTS)))
    amounts[:, 0] = profit[:, copy].T.reshape(-1)
    names = tuple(f"p{i:05d}" for i in range(count))
    series = Series(
        names,
        tuple(f"z{z}" for z in outcomes.zone),
        tuple(f"c{c}" for c in outcomes.category),
        tuple(f"s{c}" for c in outcomes.cluster),
        ("",) * count,
    )
    return Realised(
        series=series, parent=("",) * count, periods=_FIRST + 7 * np.arange(weeks), days=np.full(weeks, 7),
        on_sale=np.ones((count, weeks), dtype=np.bool_), regular=np.full((count, weeks), 100.0),
        assumed=np.zeros(count, dtype=np.bool_), months=("2023-01",), unit=n, period=t,
        month=np.zeros(len(n), dtype=np.int64), amounts=amounts, currency="EUR", fingerprint="",
        until=str(_FIRST + 7 * weeks),
    )  # fmt: skip


def _treated(trial: Trial, outcomes: Outcomes) -> Bools:
    """Return where and when a plan gives new prices, bool [T, N]."""
    out = np.zeros((_PAST + _WEEKS, len(outcomes.cluster)), dtype=np.bool_)
    block = np.arange(_WEEKS) // trial.block
    out[_PAST:] = trial.treated[trial.cluster_of][:, block].T
    return out


def _judge(
    trial: Trial, found: Impact, outcomes: Outcomes, profits: tuple[Floats, Floats], copy: int
) -> _Judged:
    sold, whole = profits
    within = np.arange(_PAST + _WEEKS) - _PAST
    counted = (within >= 0) & (within % trial.block >= trial.washout)
    treated = _treated(trial, outcomes) & counted[:, None]
    gained = float((sold[:, copy] - outcomes.old[:, copy])[treated].sum())
    unit = np.array([u.before for u in trial.units], dtype=np.float64)
    before = float((treated * np.abs(unit)).sum())
    welch, ols = _peers(trial, outcomes, sold, copy) if trial.design is Design.PARALLEL else (_NONE, _NONE)
    total = float((whole - outcomes.old)[_PAST:, copy].mean(axis=0).sum()) / float(np.abs(unit).sum())
    return _Judged(gained / before, total, found, welch, ols)


_COLUMNS = (
    "design", "shop", "new prices", "runs (refused)", "true effect", "had all got them", "estimate less that",
    "95 % interval holds", "holds for all", '"it paid"', '"it did not"', "paid falsely", "flagged", "placebo",
    "width", "detectable", "t check", "Welch holds, paid, width", "OLS HC2",
)  # fmt: skip
_NONE = (float("nan"), float("nan"))


def _peers(
    trial: Trial, outcomes: Outcomes, sold: Floats, copy: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the intervals of statsmodels: difference of means, and regression on the profit before (HC2)."""
    rows = rows_of(trial, _realised(outcomes, outcomes.old[:_PAST], copy))
    y = by_cluster(trial, sold[_PAST:, copy].T, rows).mean(axis=1)
    x = by_cluster(trial, np.array([[u.before] for u in trial.units], dtype=np.float64), rows)[:, 0]
    on = trial.treated[:, 0]
    share = float(np.abs(x[on]).sum()) / int(on.sum())
    means = CompareMeans(DescrStatsW(y[on]), DescrStatsW(y[~on])).tconfint_diff(usevar="unequal")
    design = sm.add_constant(np.column_stack([on.astype(np.float64), x]))
    fitted = sm.OLS(y, design).fit(cov_type="HC2", use_t=True).conf_int()[1]
    return (means[0] / share, means[1] / share), (fitted[0] / share, fitted[1] / share)


def _added_up(design: str, shape: Shape, effect: str, judged: list[_Judged], refused: int) -> Row:
    effects = [one.found.effect for one in judged if one.found.effect is not None]
    pairs = [(one, one.found.effect) for one in judged if one.found.effect is not None]
    checks = [(one, one.found.check) for one in judged if one.found.check is not None]
    flags = {Caveat.SPILLS_OVER, Caveat.CARRIES_OVER}
    welch, ols = [(one, one.welch) for one in judged], [(one, one.ols) for one in judged]
    return Row(
        design=design, shape=shape.name, effect=effect, runs=len(judged), refused=refused,
        truth=_mean([one.truth for one in judged]),
        total=_mean([one.total for one in judged]),
        bias=_mean([e.value - one.total for one, e in pairs]),
        covered=_held([(one, (e.lower, e.upper)) for one, e in pairs]),
        total_covered=_mean([e.lower <= one.total <= e.upper for one, e in pairs]),
        paid_falsely=_mean([one.found.verdict is Verdict.PAID and one.total <= 0.0 for one in judged]),
        paid=_mean([one.found.verdict is Verdict.PAID for one in judged]),
        did_not=_mean([one.found.verdict is Verdict.DID_NOT for one in judged]),
        flagged=_mean([bool(flags & set(one.found.caveats)) for one in judged]),
        placebo=_mean([Caveat.FALSE_BEFORE in one.found.caveats for one in judged]),
        width=float(np.median([e.upper - e.lower for e in effects])) if effects else float("nan"),
        detectable=_mean([p.detectable / p.treated for p in (one.found.trial.precision for one in judged)]),
        check_covered=_held([(one, (e.lower, e.upper)) for one, e in checks]),
        welch_covered=_held(welch), welch_paid=_mean([low > 0.0 for _, (low, _) in welch]),
        welch_width=_mean([high - low for _, (low, high) in welch]),
        ols_covered=_held(ols), ols_paid=_mean([low > 0.0 for _, (low, _) in ols]),
        ols_width=_mean([high - low for _, (low, high) in ols]),
    )  # fmt: skip


def _mean(values: list[float] | list[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _held(some: list[tuple[_Judged, tuple[float, float]]]) -> float:
    """Return how often the truth lies in an interval; NaN where there are none."""
    told = [(one, ends) for one, ends in some if ends[0] == ends[0]]
    return _mean([low <= one.truth <= high for one, (low, high) in told])


def _print(row: Row, *, first: bool) -> None:
    if first:
        print("| " + " | ".join(_COLUMNS) + " |")
        print("|" + "---|" * len(_COLUMNS))
    figures = (
        f"{row.truth:+.3f}", f"{row.total:+.3f}", f"{row.bias:+.3f}", f"{row.covered:.3f}",
        f"{row.total_covered:.3f}", f"{row.paid:.3f}", f"{row.did_not:.3f}", f"{row.paid_falsely:.3f}",
        f"{row.flagged:.3f}", f"{row.placebo:.3f}", f"{row.width:.3f}", f"{row.detectable:.3f}",
        f"{row.check_covered:.3f}", f"{row.welch_covered:.3f}, {row.welch_paid:.3f}, {row.welch_width:.2f}",
        f"{row.ols_covered:.3f}, {row.ols_paid:.3f}, {row.ols_width:.2f}",
    )  # fmt: skip
    runs = f"{row.runs} ({row.refused})"
    print("| " + " | ".join((row.design, row.shape, row.effect, runs, *figures)) + " |", flush=True)


def _summary(rows: list[Row]) -> int:
    names = {shape.name for shape in CLOSED}
    failed = 0
    for design in dict.fromkeys(row.design for row in rows):
        mine = [row for row in rows if row.design == design and row.shape in names and row.runs]
        runs = sum(row.runs for row in mine)
        held = sum(row.covered * row.runs for row in mine) / runs
        flagged = sum(row.flagged * row.runs for row in mine) / runs
        nothing = [row for row in mine if row.effect == "none"]
        paid = sum(row.paid * row.runs for row in nothing) / sum(row.runs for row in nothing)
        print(
            f'{design}: {runs} roll-outs, interval holds {held:.3f}, false "it paid" {paid:.3f}, '
            f"flagged {flagged:.3f}"
        )
        failed += not (0.92 <= held <= 0.98) or paid > 0.05
    return int(failed > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="100-101")
    parser.add_argument("--copies", type=int, default=25)
    parser.add_argument("--designs", default=",".join(_DESIGNS))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
