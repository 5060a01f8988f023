"""Trials small enough to follow: clusters of two products that earn about the same every week."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from policies.impact.register import Wish, plan_trial
from pricing.arrays import Floats
from pricing.panel import Series
from pricing.trial import Trial
from simulators.contract.realised import AMOUNTS, Realised

FIRST = np.datetime64("2025-01-06")
PAST, WEEKS = 20, 8


def realised(
    profit: Floats, *, zones: int = 1, categories: int = 5, first: np.datetime64 = FIRST
) -> Realised:
    """A shop of N products by T whole weeks, two of a subcategory, profit in minor units [N, T]."""
    count, weeks = profit.shape
    n, t = (a.reshape(-1) for a in np.indices(profit.shape))
    months, month = np.unique((first + 7 * np.arange(weeks)).astype("datetime64[M]"), return_inverse=True)
    amounts = np.zeros((count * weeks, len(AMOUNTS)))
    amounts[:, 0] = profit.reshape(-1)
    who = range(count)
    series = Series(
        tuple(f"p{i:03d}" for i in who), tuple(f"z{i % zones}" for i in who),
        tuple(f"c{i // 2 // zones % categories}" for i in who), tuple(f"s{i // 2 // zones}" for i in who),
        ("",) * count,
    )  # fmt: skip
    return Realised(
        series=series, parent=("",) * count, periods=first + 7 * np.arange(weeks), days=np.full(weeks, 7),
        on_sale=np.ones(profit.shape, dtype=np.bool_), regular=np.full(profit.shape, 1000.0),
        assumed=np.zeros(count, dtype=np.bool_), months=tuple(map(str, months)), unit=n, period=t,
        month=np.asarray(month)[t], amounts=amounts, currency="EUR", fingerprint="f",
        until=str(first + 7 * weeks),
    )  # fmt: skip


def weeks_of(seed: int, products: int = 80, weeks: int = PAST + WEEKS, noise: float = 0.1) -> Floats:
    """Profit [N, T]: sizes far apart, weeks that differ by `noise`."""
    rng = np.random.default_rng(seed)
    size = 10_000 * np.exp(rng.normal(0.0, 1.0, (products, 1)))
    found: Floats = np.rint(size * np.exp(rng.normal(0.0, noise, (products, weeks))))
    return found


def planned(profit: Floats, **wish: object) -> Trial:
    """A trial of the last weeks, planned from the first `PAST` ones."""
    asked = replace(Wish("2025-05-01", None, WEEKS), **wish)  # type: ignore[arg-type] # by name
    return plan_trial(realised(profit[:, :PAST]), asked)


def raised(profit: Floats, trial: Trial, share: float) -> Floats:
    """The same weeks where every treated cluster earns `share` of its mean before more."""
    out = profit.copy()
    for unit, row in zip(trial.units, range(len(profit)), strict=True):
        for week in range(WEEKS):
            if trial.clusters[unit.cluster].treated[week // trial.block]:
                out[row, PAST + week] += share * unit.before
    return out
