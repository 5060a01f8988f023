"""Roll policies out in the market: the same worlds, the same shocks and the same decision code for all.

Work splits by policy and block of worlds. A block is a plain value, so it runs in any
:class:`pricing.executor.Executor`, in any order and on any number of workers, with the same result; what is
done can be passed in again, so a stopped rollout resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pricing.archive import pack, unpack
from pricing.arrays import Floats, Ints
from pricing.decision import Decisions, decide
from pricing.errors import ArtifactError, UsageError
from pricing.executor import Executor, Progress
from pricing.policy import Policy
from pricing.scenario import Scenario
from simulators.market import Market, Worlds

__all__ = ["Block", "BlockResult", "Outcome", "Plan", "blocks_of", "roll_out", "run_block"]

_SEEDS_AT_MOST = 2**12
_KIND, _VERSION = "rollout-block", 1
_ARRAYS = ("world", "seed", "profit", "by_series", "units", "moved")


@dataclass(frozen=True)
class Plan:
    """What is rolled out.

    Attributes
    ----------
    scenario
        The pricing problem.
    worlds
        W truths over its series.
    seeds
        Runs of each world, with different noise.
    seed
        Of noise and draws.
    fingerprint
        Digest of the demand model that the beliefs come from.
    block
        Worlds that run together in one batch.
    keep_decisions
        Also return the whole Decisions of every period; they are large.
    """

    scenario: Scenario
    worlds: Worlds
    seeds: int
    seed: int
    fingerprint: str
    block: int = 8
    keep_decisions: bool = False

    def __post_init__(self) -> None:
        if len(self.worlds) < 1 or self.block < 1 or not 1 <= self.seeds <= _SEEDS_AT_MOST:
            raise UsageError(
                f"{len(self.worlds)} worlds, {self.seeds} seeds and blocks of {self.block} make no rollout.",
                todo=f"Give at least one of each, and at most {_SEEDS_AT_MOST} seeds.",
            )


@dataclass(frozen=True)
class Block:
    """One policy in some worlds: a unit of work.

    Attributes
    ----------
    plan
        With only the worlds of this block.
    policy
        What decides.
    first
        Number of the block's first world in the whole rollout: noise follows from it.
    """

    plan: Plan
    policy: Policy
    first: int


@dataclass(frozen=True)
class BlockResult:
    """What a block brought; R runs in the order (world, seed).

    Attributes
    ----------
    world, seed
        int64 [R]; number of the world in the whole rollout, and of the run in it.
    profit
        float64 [R, T]; net profit of each period, minor units.
    by_series
        float64 [R, N]; net profit of each series over the horizon, minor units.
    units
        float64 [R, T]; units sold.
    moved
        float64 [R, T]; share of the series whose price moved.
    decisions
        T whole batches of decisions where the plan keeps them, else empty.
    """

    world: Ints
    seed: Ints
    profit: Floats
    by_series: Floats
    units: Floats
    moved: Floats
    decisions: tuple[Decisions, ...] = ()

    def to_bytes(self) -> bytes:
        """Serialise all but the decisions, without pickle; the same result gives the same bytes."""
        return pack(_KIND, _VERSION, {name: getattr(self, name) for name in _ARRAYS}, {})

    @staticmethod
    def from_bytes(content: bytes) -> BlockResult:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, _ = unpack(_KIND, _VERSION, content)
        if set(arrays) != set(_ARRAYS):
            raise ArtifactError(f"This {_KIND} archive holds {', '.join(sorted(arrays)) or 'nothing'}.")
        world, seed, profit, by_series, units, moved = (arrays[name] for name in _ARRAYS)
        return BlockResult(world, seed, profit, by_series, units, moved)

    @property
    def run(self) -> Ints:
        """int64 [R]; number of each run, which its noise and its decision ids follow from."""
        return _run_number(self.world, self.seed)


@dataclass(frozen=True)
class Outcome:
    """What a policy brought in all worlds.

    Attributes
    ----------
    policy, version
        Which policy.
    result
        All its blocks, one below the other.
    """

    policy: str
    version: str
    result: BlockResult

    @property
    def total(self) -> Floats:
        """float64 [R]; net profit of each run, minor units."""
        return np.asarray(self.result.profit.sum(axis=1))


def blocks_of(plan: Plan, policies: Sequence[Policy]) -> tuple[Block, ...]:
    """Split a rollout into blocks, policy by policy, in the order of the worlds."""
    return tuple(
        Block(_with_worlds(plan, first), policy, first)
        for policy in policies
        for first in range(0, len(plan.worlds), plan.block)
    )


def run_block(block: Block) -> BlockResult:
    """Run one block: decide, sell, step, period by period."""
    plan, scenario = block.plan, block.plan.scenario
    world = np.repeat(np.arange(len(plan.worlds), dtype=np.int64), plan.seeds)
    number = np.tile(np.arange(plan.seeds, dtype=np.int64), len(plan.worlds))
    streams = _run_number(block.first + world, number)
    market = Market(scenario.catalogue, plan.worlds, world)
    noise, state = market.noise(plan.seed, streams, scenario.horizon), market.open()
    shape = (len(world), scenario.horizon)
    profit, units, moved = np.empty(shape), np.empty(shape), np.empty(shape)
    by_series, kept = np.zeros((len(world), len(scenario.catalogue))), list[Decisions]()
    for t in range(scenario.horizon):
        decisions = decide(
            scenario.situation(state, t), scenario.guardrails, block.policy,
            seed=plan.seed, runs=streams, fingerprint=plan.fingerprint,
        )  # fmt: skip
        sale = market.sell(state, decisions.price, scenario.conditions[t], noise.at(t), scenario.receipts[t])
        profit[:, t], units[:, t] = sale.profit.sum(axis=1), sale.sold.sum(axis=1)
        moved[:, t] = (decisions.price != state.price).mean(axis=1)
        by_series += sale.profit
        state = sale.state
        if plan.keep_decisions:
            kept.append(decisions)
    return BlockResult(block.first + world, number, profit, by_series, units, moved, tuple(kept))


def roll_out(
    plan: Plan,
    policies: Sequence[Policy],
    executor: Executor,
    *,
    progress: Progress | None = None,
    done: Mapping[int, BlockResult] | None = None,
    keep: Callable[[int, BlockResult], None] | None = None,
) -> tuple[Outcome, ...]:
    """Roll policies out in the same worlds with the same noise.

    Parameters
    ----------
    plan
        What is rolled out.
    policies
        At least one.
    executor
        Runs the blocks of :func:`blocks_of`.
    progress
        Told (blocks done, all).
    done
        Results known already, by position among the blocks.
    keep
        Given the position and the result of every other block as soon as it and all before it are there.

    Returns
    -------
    One outcome for each policy, in their order.
    """
    if not policies:
        raise UsageError("There is no policy to roll out.", todo="Name one or more.")
    blocks = blocks_of(plan, policies)
    results: list[BlockResult] = []
    for place, result in enumerate(executor.submit(run_block, blocks, progress=progress, done=done)):
        if keep is not None and place not in (done or {}):
            keep(place, result)
        results.append(result)
    each = len(blocks) // len(policies)
    return tuple(
        Outcome(policy.name, policy.version, _joined(results[place * each : (place + 1) * each]))
        for place, policy in enumerate(policies)
    )


def _run_number(world: Ints, seed: Ints) -> Ints:
    return world * _SEEDS_AT_MOST + seed


def _with_worlds(plan: Plan, first: int) -> Plan:
    index = np.arange(first, min(first + plan.block, len(plan.worlds)), dtype=np.int64)
    return replace(plan, worlds=plan.worlds.take(index))


def _joined(results: Sequence[BlockResult]) -> BlockResult:
    stacked: dict[str, Any] = {
        name: np.concatenate([getattr(result, name) for result in results]) for name in _ARRAYS
    }
    return replace(results[0], decisions=tuple(d for r in results for d in r.decisions), **stacked)
