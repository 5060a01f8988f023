"""Policies side by side in worlds that none of them has seen: ``python -m bench.policies RUN --out DIR``.

On the products of a run whose price may move (``--toy``: on an invented shop) it plans the rivals of the
incumbent, trains PPO on every other product, and rolls all of them out in the same held-out posterior worlds
with the same noise. A second part does the same on a toy with scarce stock, a remembered price and a season,
where anticipation pays. It prints paired intervals in money and in percent of re-solve, for all products, for
those that PPO was trained on and for those that it never saw, and draws them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from api.cli.session import named
from api.jobs import ProcessPool
from api.runs import open_shelf
from policies.compare import Difference, compare
from policies.rollout import Outcome, Plan, roll_out
from policies.serve.incumbent import Incumbent
from policies.serve.planner import Drawn
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from policies.serve.thompson import DRAWS, Thompson
from policies.subset import worlds_of
from policies.train.ppo import PPOSettings, train_ppo
from pricing.arrays import Bools, Ints
from pricing.demand import Conditions, DemandParameters
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings, candidates
from pricing.model import DemandModel
from pricing.policy import Choice, Policy
from pricing.scenario import Scenario
from pricing.situation import Situation
from simulators.market import Worlds, sample_worlds
from simulators.worlds import toy_scenario, toy_shop

TRAINING_WORLDS, HELD_OUT = 256, 10_000
"""Draws 0 to 255 train, 0 to 63 are Thompson's; worlds from 10,000 on are nobody's but the comparison's."""

FIRST_DAY = 20458
"""A Monday, days since 1970-01-01."""

GAIN, LOSS = -0.3, -0.9
"""Asymmetric reference effects of the toy with scarce stock: dearer hurts more than cheaper helps."""


@dataclass(frozen=True)
class Myopic:
    """The best allowed rung of the coming period alone: what ignores everything that follows."""

    name: str = "myopic"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return it, int64 [B, N]."""
        worth = np.where(allowed, situation.expected_profit(situation.beliefs), -np.inf)
        return Choice(index=np.where(allowed.any(axis=-1), np.argmax(worth, axis=-1), -1))


@dataclass(frozen=True)
class Problem:
    """A pricing problem with its posterior; `gain` and `loss` hold in every world."""

    title: str
    scenario: Scenario
    model: DemandModel
    gain: float = 0.0
    loss: float = 0.0

    def worlds(self, count: int, first: int = 0) -> DemandParameters:
        """Return posterior draws [D, N]."""
        return self.truths(count, first).parameters

    def truths(self, count: int, first: int = 0) -> Worlds:
        """Return posterior draws as worlds."""
        return sample_worlds(
            self.model, self.scenario.catalogue, count, first=first, gain=self.gain, loss=self.loss
        )


def of_run(path: Path, products: int, horizon: int, accepted: Sequence[str]) -> Problem:
    """Return the problem of at most `products` of the series of a run that may move, evenly spread."""
    shelf = open_shelf(path, accepted)
    movable = shelf.movable()
    places = np.unique(np.linspace(0, movable.size - 1, min(products, movable.size)).round().astype(np.int64))
    shelf = shelf.take(movable[places])
    title = f"{path.name}: {len(shelf.catalogue)} of {movable.size} products that may move, {horizon} weeks"
    return Problem(title, shelf.ahead(horizon), shelf.model)


def of_toy(products: int, horizon: int) -> Problem:
    """Return an invented shop with stock that is not tracked."""
    scenario, model = toy_scenario(products, 0, horizon=horizon)
    return Problem(f"toy: {products} products, {horizon} weeks, all guardrails", scenario, model)


def of_scarcity(products: int) -> Problem:
    """Return a toy with 20 weeks of stock for 26, a season that doubles traffic, and a remembered price.

    Prices from 40 % below to 80 % above today's are taken as seen, so that stock and not support binds.
    """
    settings = GuardrailSettings(max_change=0.2, endings=Endings((5, 9), 10))
    catalogue, model = toy_shop(products, 1, stock_periods=20.0)
    low, high = np.floor(catalogue.price * 0.6), np.ceil(catalogue.price * 1.8)
    wide = replace(catalogue, support_low=low.astype(np.int64), support_high=high.astype(np.int64))
    guardrails = Guardrails(wide, candidates(wide, settings.endings, 24, 0.8), settings)
    plain = Conditions.plain(products)
    rise = [np.log(2.0) * float(week >= 16) for week in range(26)]
    seasons = tuple(replace(plain, traffic=np.full(products, x)) for x in rise)
    scenario = Scenario.of(model, guardrails, horizon=26, first_day=FIRST_DAY, conditions=seasons)
    d = scenario.beliefs
    believed = replace(d, gain=np.full_like(d.gain, GAIN), loss=np.full_like(d.loss, LOSS))
    title = f"toy: {products} products, 26 weeks, scarce stock, season, asymmetric reference price"
    return Problem(title, replace(scenario, beliefs=believed), model, GAIN, LOSS)


def learned(problem: Problem, known: Ints, rollouts: int, seed: int) -> Policy:
    """Train PPO on the products `known` and print how long it took."""
    began = time.perf_counter()
    policy = train_ppo(
        problem.scenario.take(known),
        worlds_of(problem.truths(TRAINING_WORLDS), known),
        seed=seed,
        settings=PPOSettings(rollouts=rollouts),
    )
    print(f"PPO: {policy.trained_on}; {time.perf_counter() - began:.0f} s")
    return policy


def planned(problem: Problem, *, mean: bool) -> tuple[Policy, ...]:
    """Return the rivals that need no training, static and re-solve made as they are served.

    That is on the curves that stand for the posterior, or with mean coefficients.
    """
    scenario = problem.scenario
    every = np.arange(len(scenario.catalogue), dtype=np.int64)
    drawn = None if mean else Drawn.of(problem.model, scenario, every)
    return (
        Incumbent(),
        Myopic(),
        Static.of(scenario, drawn),
        Resolve.of(scenario, drawn),
        Thompson.of(scenario, problem.worlds(DRAWS)),
    )


def rolled(problem: Problem, policies: Sequence[Policy], asked: argparse.Namespace) -> tuple[Outcome, ...]:
    """Roll all policies out in the held-out worlds."""
    plan = Plan(
        problem.scenario,
        problem.truths(asked.worlds, HELD_OUT),
        seeds=asked.seeds,
        seed=asked.seed,
        fingerprint=problem.model.fingerprint,
        block=4,
    )
    outcomes: list[Outcome] = []
    with ProcessPool(asked.workers) as pool:
        for policy in policies:
            began = time.perf_counter()
            outcomes += roll_out(plan, [policy], pool)
            print(f"  {policy.name:<10} rolled out in {time.perf_counter() - began:6.1f} s")
    return tuple(outcomes)


def shown(title: str, found: Sequence[Difference], money: float) -> None:
    """Print one comparison as a table."""
    first = found[0]
    print(f"\n{title}: {first.worlds} worlds, {first.runs} runs; profit of a run, in units of the currency")
    print(
        f"{'policy':<11}{'profit':>12}{'% of resolve':>14}{'95 % interval':>18}"
        f"{'more than resolve':>20}{'95 %':>25}"
    )
    for d in found:
        share, gain = d.percent, d.money
        print(
            f"{d.policy:<11}{d.profit / money:>12,.2f}{share.estimate:>14.2f}"
            f"{f'{share.lower_95:.2f} to {share.upper_95:.2f}':>18}"
            f"{gain.estimate / money:>20,.2f}"
            f"{f'{gain.lower_95 / money:,.2f} to {gain.upper_95 / money:,.2f}':>25}"
        )


def drawn(parts: Mapping[str, Sequence[Difference]], title: str, path: Path) -> None:
    """Save percent of re-solve with 95 % intervals, one row of marks for each part."""
    mpl.use("Agg")
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for shift, (name, found) in zip((-0.2, 0.0, 0.2), parts.items(), strict=False):
        share = [d.percent for d in found]
        estimate = np.array([s.estimate for s in share])
        ends = np.array([[s.estimate - s.lower_95, s.upper_95 - s.estimate] for s in share]).T
        axis.errorbar(np.arange(len(found)) + shift, estimate, yerr=ends, fmt="o", capsize=3, label=name)
    axis.axhline(100.0, color="grey", linewidth=0.8)
    axis.set_xticks(range(len(found)), [d.policy for d in found])
    axis.set_ylabel("net profit, % of re-solve (95 % interval over worlds)")
    axis.set_title(title, fontsize=9)
    axis.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def measured(
    problem: Problem, name: str, rollouts: int, asked: argparse.Namespace, *, mean: bool
) -> dict[str, object]:
    """Train, roll out, compare, print and draw one problem; return the figures."""
    print(f"\n== {problem.title}")
    everything = np.arange(len(problem.scenario.catalogue), dtype=np.int64)
    known, new = everything[::2], everything[1::2]
    policy = learned(problem, known, rollouts, asked.seed)
    outcomes = rolled(problem, (*planned(problem, mean=mean), policy), asked)
    parts = {
        "all products": compare(outcomes, "resolve"),
        "PPO trained on": compare(outcomes, "resolve", known),
        "PPO never saw": compare(outcomes, "resolve", new),
    }
    for part, found in parts.items():
        shown(part, found, 10.0**problem.scenario.catalogue.exponent)
    drawn(parts, problem.title, asked.out / f"{name}.png")
    return {"title": problem.title} | {part: [asdict(d) for d in found] for part, found in parts.items()}


def main(asked: argparse.Namespace) -> None:
    """Measure the run (or the toy) and the scarce toy."""
    asked.out.mkdir(parents=True, exist_ok=True)
    first = (
        of_toy(asked.products, 26)
        if asked.run is None
        else of_run(asked.run, asked.products, asked.horizon, named(asked.accept_failed))
    )
    figures = {
        "shop": measured(first, "shop", asked.rollouts, asked, mean=asked.mean),
        "scarce": measured(of_scarcity(40), "scarce", 2 * asked.rollouts, asked, mean=True),
    }
    (asked.out / "policies.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    print(f"\nplots and figures in {asked.out}")


def arguments() -> argparse.ArgumentParser:
    """Return what the command takes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", type=Path, nargs="?", help="run folder; without it, or with --toy, a toy shop")
    parser.add_argument("--toy", action="store_true", help="ignore the run and measure the toy shop")
    parser.add_argument("--accept-failed", default="", help="failed checks of the run's passport, by name")
    parser.add_argument("--out", type=Path, required=True, help="folder for plots and figures")
    parser.add_argument("--products", type=int, default=200, help="most products, half of them trained on")
    parser.add_argument("--horizon", type=int, default=13, help="weeks of the run's problem")
    parser.add_argument("--worlds", type=int, default=24, help="held-out worlds")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each world")
    parser.add_argument("--seed", type=int, default=0, help="of noise, draws and training")
    parser.add_argument("--rollouts", type=int, default=60, help="training episodes of PPO")
    parser.add_argument(
        "--mean", action="store_true", help="static and re-solve plan the first with mean coefficients too"
    )
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    return parser


if __name__ == "__main__":
    given = arguments().parse_args()
    if given.toy:
        given.run = None
    main(given)
