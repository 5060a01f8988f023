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
from dataclasses import dataclass

import numpy as np

from policies.allocation.allocate import allocate
from policies.allocation.arrivals import Arrivals
from policies.allocation.instance import Instance, Limit
from policies.allocation.pacing import Pacer, Pacing
from pricing.arrays import Floats, Ints

FACE = np.array([0, 100, 200, 300, 500, 800], dtype=np.int64)
K = len(FACE)
CALL = 50
"""Arrivals between two looks at the clock; the shadow price moves at most so often."""


@dataclass(frozen=True)
class World:
    """Who will come, in their order: what is predicted of them, the truth, and who came before."""

    predicted: Arrivals
    value: Floats
    cost: Floats
    redemption: Floats
    time: Floats
    budget: float
    past: Arrivals
    profile: tuple[float, ...]


@dataclass(frozen=True)
class Case:
    """What goes wrong in the predictions, and how customers come."""

    name: str
    error: float
    order: str = "steady"
    kind: str = "customer"
    valid: float = 0.0


CASES = (
    Case("predictions right, customers come evenly", 0.0),
    Case("predictions right, a rush as in the past", 0.0, "rush"),
    Case("predictions right, a rush that nobody foresaw", 0.0, "rush unforeseen"),
    Case("predictions right, who buys more comes later", 0.0, "drifting"),
    Case("sensitivity wrong by log sd .6, each customer's", 0.6),
    Case("sensitivity wrong by log sd .6, each customer's for each offer", 0.6, kind="offer"),
    Case("sensitivity predicted exp(.6) too high for everybody", 0.6, kind="all"),
    Case("log sd .6 by customer, an offer holds for .5 % of the campaign", 0.6, valid=0.005),
)


def share(logit: Floats) -> Floats:
    """Return probabilities of logits."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def response(base: Floats, lift: Floats, margin: Floats) -> tuple[Floats, Floats, Floats]:
    """Return value, cost and redemption, [N, K]."""
    bought = share(base[:, None] + lift)
    cost = bought * FACE
    value = (bought - bought[:, :1]) * margin[:, None] - cost
    return value, cost, bought


PAST = 4096
RUSH = (2.0, 1.6)
"""Beta distribution of arrival times in a rush: few at first, most after the middle, fewer at the end."""


def world(count: int, seed: int, case: Case) -> World:
    """Draw a world; the first `PAST` customers are those who came before."""
    rng = np.random.default_rng([seed, 5])
    n = count + PAST
    base = rng.normal(-2.0, 1.0, n)
    sensitivity = rng.lognormal(np.log(0.35), 0.7, n)
    margin = rng.lognormal(np.log(3500.0), 0.4, n)
    if case.order == "drifting":  # the more a purchase brings, the later
        rank = PAST + np.argsort(margin[PAST:] + rng.normal(0.0, 2.0 * margin.std(), count))
        rank = np.concatenate([np.arange(PAST), rank])
        base, sensitivity, margin = base[rank], sensitivity[rank], margin[rank]
    size = (FACE / 100.0) ** 0.7
    noise = {
        "customer": rng.normal(size=(n, 1)), "offer": rng.normal(size=(n, K)), "all": np.ones((n, 1)),
    }[case.kind]  # fmt: skip
    value, cost, bought = response(base, sensitivity[:, None] * np.exp(case.error * noise) * size, margin)
    liability = np.broadcast_to(FACE, (n, K)).copy()
    predicted = Arrivals(value, cost, bought, liability, np.ones((n, K), dtype=np.bool_))
    truth = [part[PAST:] for part in response(base, sensitivity[:, None] * size, margin)]
    every = Limit("all", 1e12, np.ones(K, dtype=np.bool_))
    free = allocate(Instance(truth[0], truth[1], predicted.eligible[PAST:], (every,)))
    rush = case.order.startswith("rush")
    clock = np.sort(rng.beta(*RUSH, count) if rush else rng.random(count))
    before = np.sort(rng.beta(*RUSH, PAST)) if case.order == "rush" else np.linspace(0.0, 1.0, PAST)
    shares = np.searchsorted(before, np.linspace(0.0, 1.0, 25)[1:-1]) / PAST
    return World(
        rows(predicted, slice(PAST, None)), truth[0], truth[1], truth[2], clock, 0.3 * float(free.used[0]),
        rows(predicted, slice(PAST)), (0.0, *map(float, shares), 1.0),
    )  # fmt: skip


def rows(arrivals: Arrivals, here: slice | Ints) -> Arrivals:
    """Return some of the arrivals."""
    value, cost, redemption = arrivals.value[here], arrivals.cost[here], arrivals.redemption[here]
    return Arrivals(value, cost, redemption, arrivals.liability[here], arrivals.eligible[here])


@dataclass
class Plain:
    """Baselines: a shadow price on what is predicted, held (plan) or moved by dual descent."""

    price: float
    rate: float
    free: float

    def decide(self, arrivals: Arrivals) -> Ints:
        """Choose at the price; nothing that could overspend."""
        left = arrivals.value - self.price * arrivals.cost
        left[:, 0] = 0.0
        choice = np.asarray(left.argmax(axis=1), dtype=np.int64)
        worst = np.cumsum(arrivals.liability[np.arange(len(choice)), choice])
        choice[worst > self.free] = 0
        return choice

    def learn(self, spent: Ints, ahead: float) -> None:
        """Dual mirror descent on realised spend (Balseiro, Lu, Mirrokni, Operations Research 2023)."""
        target = max(self.free, 1.0) / max(ahead, 1.0)
        self.free -= float(spent.sum())
        over = np.clip(float(spent.sum()) / len(spent) / target - 1.0, -3.0, 3.0)
        self.price *= float(np.exp(self.rate * np.sqrt(len(spent)) * over))


@dataclass
class Mailbox:
    """Redemptions on their way: when, which reservation, how much."""

    waiting: Floats

    def post(self, when: Floats, reservation: Ints, spent: Ints) -> None:
        """Send redemptions."""
        self.waiting = np.concatenate([self.waiting, np.column_stack([when, reservation, spent])])

    def deliver(self, pacer: Pacer, now: float) -> None:
        """Hand over what has arrived, then release what is over."""
        due = self.waiting[:, 0] <= now
        arrived, self.waiting = self.waiting[due], self.waiting[~due]
        pacer.settle(arrived[:, 1].astype(np.int64), arrived[:, 2].astype(np.int64))
        pacer.expire(now)


def stream(made: World, method: str, seed: int, valid: float) -> tuple[float, float]:
    """Return true expected value of what was given, and realised spend, in minor units."""
    rng = np.random.default_rng([seed, 9])
    luck, count = rng.random(len(made.time)), len(made.time)
    guess = count * float(np.exp(0.3 * rng.normal()))
    limits = (Limit("all", made.budget, np.ones(K, dtype=np.bool_)),)
    learns = 20_000 if method == "Tarifa" else 0
    pacer = Pacer(limits, K, Pacing(0.0, 1.0, outcomes=learns, expected=guess, profile=made.profile))
    pacer.foresee(made.past)
    pacer.replan(0.0)
    plain = Plain(float(pacer.shadow[0]), 0.0 if method == "plan" else 0.01, made.budget)
    mail, value, total, next_plan = Mailbox(np.zeros((0, 3))), 0.0, 0.0, 16
    for start in range(0, count, CALL):
        here = slice(start, min(start + CALL, count))
        at, arrivals, now = (
            np.arange(here.start, here.stop),
            rows(made.predicted, here),
            made.time[here.stop - 1],
        )
        mail.deliver(pacer, now)
        own = method in ("re-solve", "Tarifa")
        offered = pacer.decide(arrivals, now, valid) if own else None
        choice = plain.decide(arrivals) if offered is None else offered.choice
        redeemed = (luck[here] < made.redemption[at, choice]) & (choice > 0)
        spent = np.where(redeemed, FACE[choice], 0)
        value += float(made.value[at, choice].sum())
        total += float(spent.sum())
        if offered is None:
            pacer.arrived += len(arrivals)  # the same clock for everybody
            plain.learn(spent, pacer.ahead(now))
            continue
        when = now + valid * 0.999 * rng.random(int(redeemed.sum()))
        mail.post(when, offered.reservation[redeemed], spent[redeemed])
        if not valid:
            mail.deliver(pacer, now)
        if here.stop >= next_plan:
            pacer.replan(now)
            next_plan = min(2 * here.stop, here.stop + count // 100)
    return value, total


def line(name: str, found: Iterable[tuple[float, float]]) -> str:
    """Return a row of the table: means over seeds, standard error, the most that any run spent."""
    value, spent = np.array(list(found)).T
    error = value.std(ddof=1) / np.sqrt(len(value)) if len(value) > 1 else float("nan")
    return (
        f"| {name} | {100 * value.mean():.2f} +- {100 * error:.2f} | {100 * spent.mean():.2f} "
        f"| {100 * spent.max():.3f} |"
    )


def main(count: int, seeds: int) -> None:
    """Print one table a case."""
    for case in CASES:
        began = time.perf_counter()
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(seeds):
            made = world(count, seed, case)
            limit = Limit("all", made.budget, np.ones(K, dtype=np.bool_))
            best = allocate(Instance(made.value, made.cost, made.predicted.eligible, (limit,))).value
            for method in ("plan", "dual descent", "re-solve", "Tarifa"):
                value, spent = stream(made, method, seed, case.valid)
                found.setdefault(method, []).append((value / best, spent / made.budget))
        print(f"\n{case.name}: {count} arrivals, {seeds} seeds, {time.perf_counter() - began:.0f} s")
        print(
            "| method | value, % of offline | budget spent, % | most spent in a run, % |\n|---|---|---|---|"
        )
        for method, runs in found.items():
            print(line(method, runs))
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="arrivals")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    main(asked.count, asked.seeds)
