"""One offer of ten, or none, for a million customers: ``python -m bench.allocation``.

The same invented instances for everybody: expected value and cost of ten offers a customer (the first none),
a tenth of them not eligible, budgets that bind. Each row states its value as a share of the best known upper
bound of its instance. price-contour (AGPL) is compared where it happens to be installed, and never imported
by the product.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from policies.allocation.allocate import allocate
from policies.allocation.instance import Choices, Instance, Limit, Schedule

optimize: Any = scipy.optimize
sparse: Any = scipy.sparse


@dataclass(frozen=True)
class Clock:
    """Wall and processor time: on a busy machine only the second says anything."""

    wall: float
    processor: float


def clock() -> Clock:
    """Read both clocks."""
    return Clock(time.perf_counter(), time.process_time())


def seconds_since(began: Clock) -> Clock:
    """Return what has passed."""
    now = clock()
    return Clock(now.wall - began.wall, now.processor - began.processor)


@dataclass(frozen=True)
class Row:
    """What one method found, and in how many seconds."""

    name: str
    value: float
    bound: float
    kept: bool
    seconds: Clock


def instance(count: int, budgets: int, seed: int) -> Instance:
    """Draw customers: value concave in cost, tastes that differ; one budget, or one for all and more."""
    rng, offers = np.random.default_rng([seed, budgets]), 10
    cost = np.cumsum(rng.gamma(2.0, 20.0, (count, offers)), axis=1)
    value = np.sqrt(cost) * rng.lognormal(2.0, 0.5, (count, 1)) * rng.lognormal(0.0, 0.2, (count, offers))
    value -= rng.gamma(2.0, 5.0, (count, offers))
    value[:, 0] = cost[:, 0] = 0.0
    eligible = rng.random((count, offers)) < 0.9
    eligible[:, 0] = True
    every = np.ones(offers, dtype=np.bool_)
    limits = [Limit("all", (20.0 if budgets == 1 else 60.0) * count, every)]
    for r in range(1, budgets):
        on = (np.arange(offers) == r) | (np.arange(offers) == r % 4 + 6)
        limits.append(Limit(f"campaign {r}", 9.0 * count, on))
    return Instance(value, cost, eligible, tuple(limits))


def kept(made: Instance, choice: Choices) -> bool:
    """Return whether every limit is kept and every offer was eligible."""
    most = np.array([limit.most for limit in made.limits])
    return bool((made.used(choice) <= most).all() and made.eligible[np.arange(len(made)), choice].all())


def ours(made: Instance, engine: str) -> Row:
    """Time the product."""
    began = clock()
    found = allocate(made, engine)
    seconds = seconds_since(began)
    return Row(f"Tarifa, {engine}", found.value, found.bound, kept(made, found.choice), seconds)


def numpy_dual(made: Instance, target: float) -> Row:
    """Solve the dual as one writes it in NumPy: bisection, all customers each time.

    It ends when its gap is `target`, or when the price is known to eight digits.
    """
    began = clock()
    value = np.where(made.eligible, made.value, -np.inf)
    budget, low, high, at = made.limits[0].most, 0.0, 1.0, np.arange(len(made))
    best, lowest, given = -np.inf, np.inf, np.zeros(len(made), dtype=np.int16)
    work = np.empty_like(value)
    for _ in range(60):
        price = high if best == -np.inf else 0.5 * (low + high)
        np.multiply(made.cost, price, out=work)
        np.subtract(value, work, out=work)
        choice = work.argmax(axis=1)
        spent = made.cost[at, choice].sum()
        worth = made.value[at, choice].sum()
        lowest = min(lowest, worth - price * spent + price * budget)
        if spent <= budget:
            high = price
            if worth > best:
                best, given = worth, choice.astype(np.int16)
        else:
            low = price
            high = 4.0 * high if best == -np.inf else high
        if lowest - best <= target * lowest or high - low <= 1e-8 * high:
            break
    return Row("NumPy bisection", best, lowest, kept(made, given), seconds_since(began))


def highs(made: Instance, *, whole: bool, seconds: float) -> Row:
    """Scipy's HiGHS: the linear relaxation, or whole offers within a time limit."""
    began = clock()
    n, offers = made.value.shape
    schedule = Schedule.of(made.limits, offers)
    customer, offer = np.nonzero(made.eligible[:, 1:])
    offer = offer + 1
    value, cost = made.value[customer, offer], made.cost[customer, offer]
    one = sparse.csr_matrix(
        (np.ones(len(customer)), (customer, np.arange(len(customer)))), (n, len(customer))
    )
    draws = sparse.csr_matrix(schedule.budgets[:, offer] * cost + schedule.caps[:, offer])
    matrix, most = sparse.vstack([one, draws]), np.concatenate([np.ones(n), schedule.most])
    if whole:
        found = optimize.milp(
            -value, integrality=np.ones(len(value)), bounds=optimize.Bounds(0.0, 1.0),
            constraints=optimize.LinearConstraint(matrix, -np.inf, most),
            options={"time_limit": seconds, "mip_rel_gap": 1e-6},
        )  # fmt: skip
        bound = np.inf if found.mip_dual_bound is None else -float(found.mip_dual_bound)
        best = 0.0 if found.x is None else -float(found.fun)
        name = f"HiGHS, whole offers ({found.message.split('.')[0].lower()})"
        return Row(name, best, bound, found.x is not None, seconds_since(began))
    found = optimize.linprog(-value, A_ub=matrix, b_ub=most, bounds=(0.0, 1.0), method="highs")
    worth = -float(found.fun)
    return Row("HiGHS, linear relaxation", worth, worth, kept=True, seconds=seconds_since(began))


def price_contour(made: Instance) -> Row | None:
    """Ask the public optimiser of that name, with more iterations than its default; None: not installed."""
    if importlib.util.find_spec("price_contour") is None:
        return None
    pc, pl = (__import__(name) for name in ("price_contour", "polars"))
    n, offers = made.value.shape
    closed = ~made.eligible
    columns: dict[str, Any] = {
        "quote_id": np.repeat(np.arange(n), offers).astype(str),
        "scenario_index": np.tile(np.arange(offers, dtype=np.int32), n),
        "scenario_value": np.tile(np.arange(offers, dtype=np.float32), n),
        "value": np.where(closed, -1e6, made.value).astype(np.float32).ravel(),
    }
    schedule = Schedule.of(made.limits, offers)
    for r, limit in enumerate(made.limits):
        columns[limit.name] = (schedule.budgets[r] * made.cost).astype(np.float32).ravel()
    frame = pl.DataFrame(columns)
    constraints = {limit.name: {"max": limit.most} for limit in made.limits}
    began = clock()
    result = pc.OnlineOptimiser("value", constraints, max_iter=500).solve(frame)
    seconds = seconds_since(began)
    met = all(result.total_constraints[limit.name] <= limit.most for limit in made.limits)
    return Row("price-contour, 500 iterations", float(result.total_objective), np.inf, met, seconds)


def show(title: str, rows: list[Row], without: tuple[str, ...]) -> None:
    """Print a table; gaps are against each method's own bound, shares against the lowest of all."""
    lowest = min(row.bound for row in rows)
    print(f"\n{title}")
    print("| method | wall s | processor s | own certified gap | % of the lowest bound | every budget kept |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        gap = f"{(row.bound - row.value) / row.bound:.1e}" if np.isfinite(row.bound) else "none"
        share = 100.0 * row.value / lowest
        times = f"{row.seconds.wall:.2f} | {row.seconds.processor:.2f}"
        print(f"| {row.name} | {times} | {gap} | {share:.5f} | {'yes' if row.kept else 'no'} |")
    for name in without:
        print(f"| {name} | not installed | | | | |")


def best_of(times: int, work: Callable[[], Row]) -> Row:
    """Return the run that took least processor time."""
    return min((work() for _ in range(times)), key=lambda row: row.seconds.processor)


def main(count: int, small: int, seed: int, seconds: float) -> None:
    """Print the tables."""
    allocate(
        instance(1000, 1, seed), "numba"
    )  # compiled, or read from numba's cache, before anything is timed
    for budgets, target in ((1, 1e-6), (9, 1e-3)):
        made = instance(count, budgets, seed)
        rows = [best_of(3, partial(ours, made, engine)) for engine in ("numba", "numpy")]
        if budgets == 1:
            rows.append(best_of(2, partial(numpy_dual, made, target)))
            times = rows[2].seconds.processor / rows[0].seconds.processor
            print(f"\nNumPy bisection takes {times:.1f} times the processor time of Tarifa on numba")
        other = price_contour(made)
        rows += [other] if other else []
        missing = () if other else ("price-contour",)
        show(f"{count:,} customers x 10 offers, {budgets} budget(s)", rows, missing)
        part = instance(small, budgets, seed)
        rows = [ours(part, "numba"), highs(part, whole=False, seconds=seconds)]
        rows.append(highs(part, whole=True, seconds=seconds))
        show(f"{small:,} customers x 10 offers, {budgets} budget(s)", rows, ())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=10_000, help="customers of the instances for HiGHS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of HiGHS for whole offers")
    asked = parser.parse_args()
    main(asked.count, asked.small, asked.seed, asked.seconds)
