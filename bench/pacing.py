"""Decide as customers arrive, against the best that hindsight allows: ``python -m bench.pacing``.

Invented customers whose truth is known: a coupon of face value d lifts the logit of buying by s d^.7, and s
differs by customer. Redemption is drawn from the truth; what was really spent comes off the budget. Offline
is the optimum of :mod:`policies.allocation` on the *true* expected values of all who came, in hindsight.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from policies.allocation.allocate import allocate
from policies.allocation.arrivals import Arrivals
from policies.allocation.instance import Instance, Limit, Schedule
from policies.allocation.one_limit import one_price
from policies.allocation.oracle import NumpyOracle
from policies.allocation.pacing import Pacer, Pacing
from pricing.arrays import Floats, Ints

FACE = np.array([0, 100, 200, 300, 500, 800], dtype=np.int64)
K = len(FACE)
CALL = 50
"""Arrivals between two looks at the clock; the shadow price moves at most so often."""


@dataclass(frozen=True)
class World:
    """Who will come, in their order: what is predicted of them, and the truth."""

    predicted: Arrivals
    value: Floats
    cost: Floats
    redemption: Floats
    time: Floats
    budget: float


def share(logit: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def response(base: Floats, lift: Floats, margin: Floats) -> tuple[Floats, Floats, Floats]:
    """Return value, cost and redemption, [N, K]."""
    bought = share(base[:, None] + lift)
    cost = bought * FACE
    value = (bought - bought[:, :1]) * margin[:, None] - cost
    return value, cost, bought


def world(count: int, seed: int, error: float, order: str, kind: str) -> World:
    rng = np.random.default_rng([seed, 5])
    base = rng.normal(-2.0, 1.0, count)
    sensitivity = rng.lognormal(np.log(0.35), 0.7, count)
    margin = rng.lognormal(np.log(3500.0), 0.4, count)
    if order == "drifting":  # the more a purchase brings, the later
        rank = np.argsort(margin + rng.normal(0.0, 2.0 * margin.std(), count))
        base, sensitivity, margin = base[rank], sensitivity[rank], margin[rank]
    size = (FACE / 100.0) ** 0.7
    truth = response(base, sensitivity[:, None] * size, margin)
    if kind == "customer":
        noise = np.exp(error * rng.normal(size=(count, 1)))
    elif kind == "offer":
        noise = np.exp(error * rng.normal(size=(count, K)))
    else:  # the same for everybody: half of it showed
        noise = np.full((count, 1), np.exp(error))
    value, cost, bought = response(base, sensitivity[:, None] * noise * size, margin)
    liability = np.broadcast_to(FACE, (count, K)).copy()
    predicted = Arrivals(value, cost, bought, liability, np.ones((count, K), dtype=np.bool_))
    every = Limit("all", 1e12, np.ones(K, dtype=np.bool_))
    free = allocate(Instance(truth[0], truth[1], predicted.eligible, (every,)), "numpy")
    clock = np.sort(rng.beta(2.0, 1.6, count) if order == "rush" else rng.random(count))
    return World(predicted, *truth, clock, 0.3 * float(free.used[0]))


def rows(arrivals: Arrivals, here: slice | Ints) -> Arrivals:
    parts = (arrivals.value, arrivals.cost, arrivals.redemption, arrivals.liability, arrivals.eligible)
    return Arrivals(*(part[here] for part in parts))


@dataclass
class Plain:
    """Baselines: a shadow price on what is predicted, held (plan) or moved by dual descent."""

    prices: Floats
    rate: float
    target: float
    free: float
    spent: float = 0.0

    def decide(self, arrivals: Arrivals) -> Ints:
        left = arrivals.value - float(self.prices[0]) * arrivals.cost
        left[:, 0] = 0.0
        choice = left.argmax(axis=1)
        worst = np.cumsum(arrivals.liability[np.arange(len(choice)), choice])
        choice[worst > self.free] = 0
        return choice

    def learn(self, spent: Ints) -> None:
        """Multiplicative dual descent on realised spend (Balseiro, Lu, Mirrokni, Operations Research 2023)."""
        self.free -= float(spent.sum())
        over = float(spent.sum()) / len(spent) / self.target - 1.0
        self.prices = self.prices * np.exp(self.rate * np.sqrt(len(spent)) * np.clip(over, -3.0, 3.0))


def stream(made: World, method: str, seed: int, valid: float) -> tuple[float, float]:
    """Return true expected value of what was given, and realised spend."""
    rng = np.random.default_rng([seed, 9])
    luck = rng.random(len(made.time))
    sample = past(made, seed)
    limits = (Limit("all", made.budget, np.ones(K, dtype=np.bool_)),)
    pacer = Pacer(limits, K, Pacing(0.0, 1.0, outcomes=0 if method == "re-solve" else 20_000))
    plain = None
    if method in ("plan", "dual descent"):
        ratio = made.budget * len(sample) / len(made.time)
        price = one_price(Instance(sample.value, sample.cost, sample.eligible, ()).cells,
                          Schedule.of((replace(limits[0], most=ratio),), K), NumpyOracle()).high
        rate = 0.0 if method == "plan" else 0.01
        plain = Plain(np.array([price]), rate, made.budget / len(made.time), made.budget)
    else:
        pacer.foresee(sample)
        pacer.replan(0.0, ahead=float(len(made.time)))
    value, awaited = 0.0, np.zeros((0, 3))
    spent_all, next_plan = 0.0, 16
    for start in range(0, len(made.time), CALL):
        here = slice(start, min(start + CALL, len(made.time)))
        at = np.arange(here.start, here.stop)
        arrivals, now = rows(made.predicted, here), float(made.time[here.stop - 1])
        if plain is not None:
            choice = plain.decide(arrivals)
        else:
            due = awaited[:, 0] <= now
            pacer.settle(awaited[due, 1].astype(np.int64), awaited[due, 2].astype(np.int64))
            pacer.expire(now)
            awaited = awaited[~due]
            offered = pacer.decide(arrivals, now, valid)
            choice = offered.choice
        redeemed = (luck[here] < made.redemption[at, choice]) & (choice > 0)
        spent = np.where(redeemed, FACE[choice], 0)
        value += float(made.value[at, choice].sum())
        spent_all += float(spent.sum())
        if plain is not None:
            plain.learn(spent)
            continue
        if valid:
            when = now + valid * rng.random(int(redeemed.sum())) * 0.999
            awaited = np.concatenate(
                [awaited, np.column_stack([when, offered.reservation[redeemed], spent[redeemed]])]
            )
        else:
            pacer.settle(offered.reservation[redeemed], spent[redeemed].astype(np.int64))
            pacer.expire(now)
        if here.stop >= next_plan:
            pacer.replan(now)
            next_plan = max(min(2 * here.stop, here.stop + len(made.time) // 100), here.stop + 1)
    return value, spent_all


def past(made: World, seed: int) -> Arrivals:
    """Return other customers of the same shop, as predicted: what is known before the campaign."""
    return EARLIER[id(made)]


EARLIER: dict[int, Arrivals] = {}


def line(name: str, found: Iterable[tuple[float, float]]) -> str:
    value, spent = np.array(list(found)).T
    error = value.std(ddof=1) / np.sqrt(len(value)) if len(value) > 1 else float("nan")
    return f"| {name} | {100 * value.mean():.2f} +- {100 * error:.2f} | {100 * spent.mean():.2f} | {100 * spent.max():.3f} |"


CASES = (
    ("predictions right, steady", 0.0, "steady", "customer", 0.0),
    ("predictions right, rush", 0.0, "rush", "customer", 0.0),
    ("predictions right, drifting", 0.0, "drifting", "customer", 0.0),
    ("log sd .6 by customer", 0.6, "steady", "customer", 0.0),
    ("log sd .6 by customer and offer", 0.6, "steady", "offer", 0.0),
    ("log .6 too high for everybody", 0.6, "steady", "all", 0.0),
    ("log sd .6 by customer, redeemed within 0.5 % of the time", 0.6, "steady", "customer", 0.005),
)


def main(count: int, seeds: int) -> None:
    for name, error, order, kind, valid in CASES:
        began = time.perf_counter()
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(seeds):
            made = world(count, seed, error, order, kind)
            EARLIER[id(made)] = rows(world(4096, 1000 + seed, error, "steady", kind).predicted, slice(None))
            limit = Limit("all", made.budget, np.ones(K, dtype=np.bool_))
            best = allocate(Instance(made.value, made.cost, made.predicted.eligible, (limit,)), "numpy").value
            for method in ("plan", "dual descent", "re-solve", "Tarifa"):
                value, spent = stream(made, method, seed, valid)
                found.setdefault(method, []).append((value / best, spent / made.budget))
        print(f"\n{name}: {count} arrivals, {seeds} seeds, {time.perf_counter() - began:.0f} s")
        print("| method | value, % of offline | budget spent, % | most spent in a run, % |\n|---|---|---|---|")
        for method, rows_ in found.items():
            print(line(method, rows_))
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="arrivals")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    main(asked.count, asked.seeds)
