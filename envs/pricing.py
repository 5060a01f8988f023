"""``Tarifa/Pricing-v0``: set the shelf prices of N products for T periods, single or natively batched.

One step is one period. The observation holds the registered features of every product, the reward is the
period's net profit over the scenario's base profit (what keeping every price is expected to bring in the
first period), rewards are summed without discounting, and the horizon is fixed. Ladder, features,
guardrails, reward and transition are those of :mod:`pricing`, noise and worlds those of
:mod:`simulators`; the environment adds nothing but the interface.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.episodes import BatchEnv, SingleEnv, observed
from envs.runs import Observation, Runs
from pricing.errors import UsageError
from pricing.features import FEATURES
from pricing.scenario import Scenario
from simulators.market import Worlds, sample_worlds
from simulators.worlds import toy_scenario

__all__ = ["PricingEnv", "PricingVectorEnv"]

Action = NDArray[np.generic]

_TOY_WORLDS = 64


def _runs(scenario: Scenario | None, worlds: Worlds | None, copies: int, action: str) -> Runs:
    if (scenario is None) != (worlds is None):
        raise UsageError(
            "scenario and worlds come together.",
            why="Worlds are truths about the products of one scenario.",
            todo="Give both, or neither for the toy shop.",
        )
    if scenario is None or worlds is None:
        scenario, model = toy_scenario()
        worlds = sample_worlds(model, scenario.catalogue, _TOY_WORLDS)
    return Runs(scenario, worlds, copies, action)


def _spaces(runs: Runs) -> tuple[spaces.Space[Observation], spaces.Space[Any]]:
    """Return the observation and the action space of one copy."""
    count, rungs = len(runs.scenario.catalogue), runs.scenario.menu.price.shape[1]
    seen = observed((count, len(FEATURES)))
    if runs.action == "latent":
        return seen, spaces.Box(-1.0, 1.0, (count,), np.float32)
    return seen, spaces.MultiDiscrete(np.full(count, rungs, dtype=np.int64))


def _told_of(runs: Runs, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata that also say under which passport the problem was made."""
    return {**metadata, "standing": runs.scenario.standing.document()}


class PricingEnv(SingleEnv[Action, Runs]):
    """One copy of a pricing problem.

    Observation: float32 [N, F], :data:`pricing.features.FEATURES`. Info: ``allowed`` bool [N, K], the
    rungs open for the next action before the share of the catalogue is counted; after a step also
    ``price`` int64 [N] and ``profit`` float64 [N] in minor units, and ``units`` float64 [N] sold.

    Any action of the space is valid: the price set is the allowed one nearest to what it asks for, and
    where the guardrails let only a share of the catalogue move, the most profitable moves happen.

    ``standing``, and the same as JSON-able values in ``metadata``, says under which passport of its demand
    model the problem was made, and which failed checks were accepted.

    Parameters
    ----------
    scenario, worlds
        The pricing problem and the pool from which each episode draws its world; both or neither, which
        is a toy shop of 20 products over 26 weeks.
    action
        "index": MultiDiscrete, a rung of the ladder for each product. "latent": Box(-1, 1, N), the target
        is the log price in force plus the latent times :func:`pricing.directed.latent_width`.
    terminal
        False: the horizon is where watching stops, and ends an episode as truncated. True: the horizon is
        where the problem ends, and ends it as terminated, so that a learner puts no value on what follows.
    render_mode
        None; there is nothing to draw.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        worlds: Worlds | None = None,
        action: str = "index",
        *,
        terminal: bool = False,
        render_mode: None = None,
    ) -> None:
        runs = _runs(scenario, worlds, 1, action)
        super().__init__(runs, *_spaces(runs), terminal=terminal, render_mode=render_mode)
        self.metadata, self.standing = _told_of(runs, self.metadata), runs.scenario.standing


class PricingVectorEnv(BatchEnv[Action, Runs]):
    """B copies of a pricing problem in one batch of arrays.

    Copy b of a batch reset with seed s does exactly what a :class:`PricingEnv` reset with s + b does. All
    episodes end together, and the step that ends them returns the first observation of the next ones
    (autoreset in the same step); the last observation and info are in ``final_obs`` and ``final_info``.

    Parameters
    ----------
    num_envs
        B.
    scenario, worlds, action, terminal, render_mode
        See :class:`PricingEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Scenario | None = None,
        worlds: Worlds | None = None,
        action: str = "index",
        *,
        terminal: bool = False,
        render_mode: None = None,
    ) -> None:
        runs = _runs(scenario, worlds, num_envs, action)
        super().__init__(runs, *_spaces(runs), num_envs, terminal=terminal, render_mode=render_mode)
        self.metadata, self.standing = _told_of(runs, self.metadata), runs.scenario.standing
