"""Environment steps a second: single, Gymnasium's loop over single ones, native batches; one run.

``python -m bench.environment`` prints a table. One environment step is one period of one environment: 20
products with 12 candidate prices each, every rule of the guardrails active, random actions, noise, features
and infos included. Each row is the best of several rounds, rounds of all rows taken in turn, because other
work on the machine only ever slows a round down; the CPU column divides by processor time instead. Every
environment steps on one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

import envs  # registers the environment
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings, candidates
from pricing.scenario import Scenario
from simulators.market import Worlds, sample_worlds
from simulators.worlds import toy_shop

PRODUCTS, RUNGS, HORIZON = 20, 12, 26
TARGET = 100_000
CORRIDOR = GuardrailSettings(
    margin_floor=0.05, max_change=0.1, cool_down=1, max_share_moved=0.5, endings=Endings((5, 9), 10)
)


@dataclass
class Row:
    """One line of the table: `step` takes a random action and returns how many environments it moved."""

    name: str
    step: Callable[[int], int]
    wall: float = 0.0
    cpu: float = 0.0


def problem(*, variants: bool) -> tuple[Scenario, Worlds]:
    """Return a toy shop under legal limits, bounds and the corridor; `variants` pairs four products up."""
    shop, model = toy_shop(PRODUCTS, 0, stock_periods=HORIZON * 1.2)
    first = np.arange(PRODUCTS)
    if variants:
        first[[1, 3]] = [0, 2]
        alike = ("price", "unit_cost", "support_low", "support_high", "recent", "variant_of")
        shop = replace(shop, **{name: getattr(shop, name)[first] for name in alike})
    price = shop.price
    shop = replace(
        shop,
        map_price=np.where(first % 4 == 0, price * 92 // 100, 0),
        max_price=np.where(first % 4 == 2, price * 108 // 100, shop.max_price),
        floor_price=price * 80 // 100,
        ceiling_price=price * 120 // 100,
    )
    rules = Guardrails(shop, candidates(shop, CORRIDOR.endings, RUNGS, 0.3), CORRIDOR)
    scenario = Scenario.of(model, rules, horizon=HORIZON, first_day=19_723)
    return scenario, sample_worlds(model, shop, 64)


def single(env: gymnasium.Env[Any, Any], actions: NDArray[Any]) -> Callable[[int], int]:
    """Step one environment; reset it when it ends."""
    env.reset(seed=0)

    def step(turn: int) -> int:
        _, _, terminated, truncated, _ = env.step(actions[turn % len(actions), 0])
        if terminated or truncated:
            env.reset()
        return 1

    return step


def batch(env: gymnasium.vector.VectorEnv[Any, Any, Any], actions: NDArray[Any]) -> Callable[[int], int]:
    """Step a batch, which resets itself."""
    env.reset(seed=0)

    def step(turn: int) -> int:
        env.step(actions[turn % len(actions), : env.num_envs])
        return env.num_envs

    return step


def rows() -> list[Row]:
    """Every environment of the table, ready to step."""
    scenario, worlds = problem(variants=False)
    paired = problem(variants=True)
    actions = np.random.default_rng(0).integers(0, RUNGS, (2 * HORIZON, 1024, PRODUCTS))
    latents = np.random.default_rng(1).uniform(-1.0, 1.0, (2 * HORIZON, 1024, PRODUCTS)).astype(np.float32)
    name = envs.registration.PRICING

    def native(count: int, **kwargs: Any) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
        own = {"scenario": scenario, "worlds": worlds, **kwargs}
        return gymnasium.make_vec(name, count, vectorization_mode="vector_entry_point", **own)

    loop = gymnasium.make_vec(name, 256, vectorization_mode="sync", scenario=scenario, worlds=worlds)
    one = gymnasium.make(name, scenario=scenario, worlds=worlds)
    of_pairs = {"scenario": paired[0], "worlds": paired[1]}
    return [
        Row("single", single(one, actions)),
        Row("SyncVectorEnv, 256 of it", batch(loop, actions)),
        Row("native, 1", batch(native(1), actions)),
        Row("native, 256", batch(native(256), actions)),
        Row("native, 1024", batch(native(1024), actions)),
        Row("native, 256, latent actions", batch(native(256, action="latent"), latents)),
        Row("native, 256, with variants", batch(native(256, **of_pairs), actions)),
    ]


def measure(table: list[Row], rounds: int, seconds: float) -> None:
    """Fill in steps a second: the best round of each row, after one for warming up."""
    for turn in range(rounds + 1):
        for row in table:
            steps, count = 0, 0
            wall, cpu = time.perf_counter(), time.process_time()
            while time.perf_counter() - wall < seconds or count % HORIZON:
                steps += row.step(count)
                count += 1
            if turn:
                row.wall = max(row.wall, steps / (time.perf_counter() - wall))
                row.cpu = max(row.cpu, steps / (time.process_time() - cpu))


def main(rounds: int, seconds: float) -> int:
    """Print the table; returns 1 where the native batch of 256 misses its target."""
    table = rows()
    measure(table, rounds, seconds)
    loop = next(row for row in table if row.name.startswith("SyncVectorEnv"))
    print(f"{PRODUCTS} products, {RUNGS} prices, {HORIZON} periods; best of {rounds} rounds of {seconds:g} s")
    print(f"{'environment':<30}{'steps/s':>12}{'per CPU s':>12}{'x single':>10}{'x loop':>8}")
    for row in table:
        ratios = f"{row.wall / table[0].wall:>10.1f}{row.wall / loop.wall:>8.1f}"
        print(f"{row.name:<30}{row.wall:>12,.0f}{row.cpu:>12,.0f}{ratios}")
    native = next(row for row in table if row.name == "native, 256")
    met = native.wall >= TARGET
    print(f"target: native, 256 at {TARGET:,} steps/s or more: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of every row")
    parser.add_argument("--seconds", type=float, default=1.0, help="least length of a round")
    asked = parser.parse_args()
    sys.exit(main(asked.rounds, asked.seconds))
