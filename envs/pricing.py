"""``Tarifa/Pricing-v0``: set the shelf prices of N products for T periods, single or natively batched.

One step is one period. The observation holds the registered features of every product, the reward is the
period's net profit over the scenario's base profit (what keeping every price is expected to bring in the
first period), rewards are summed without discounting, and the horizon is fixed. Ladder, features,
guardrails, reward and transition are those of :mod:`pricing`, noise and worlds those of
:mod:`simulators`; the environment adds nothing but the interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.runs import Observation, Period, Runs
from pricing.arrays import Bools, Floats, Words
from pricing.errors import UsageError
from pricing.features import FEATURES
from pricing.scenario import Scenario
from pricing.standing import Standing
from simulators.market import Worlds, sample_worlds
from simulators.worlds import toy_scenario

__all__ = ["PricingEnv", "PricingVectorEnv"]

Action = NDArray[np.generic]

_TOY_WORLDS = 64
_BOUND = 1e6
"""Finite bound of the observation space, beyond any feature of a real shop."""


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


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**64:
        raise UsageError(f"The seed {seed} is not a number from 0 to 2**64 - 1.")


def _spaces(runs: Runs) -> tuple[spaces.Space[Observation], spaces.Space[Any]]:
    """Return the observation and the action space of one copy."""
    count, rungs = len(runs.scenario.catalogue), runs.scenario.menu.price.shape[1]
    seen = cast("spaces.Space[Observation]", spaces.Box(-_BOUND, _BOUND, (count, len(FEATURES)), np.float32))
    if runs.action == "latent":
        return seen, spaces.Box(-1.0, 1.0, (count,), np.float32)
    return seen, spaces.MultiDiscrete(np.full(count, rungs, dtype=np.int64))


def _told_of(runs: Runs, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata that also say under which passport the problem was made."""
    return {**metadata, "standing": runs.scenario.standing.document()}


def _report(runs: Runs, period: Period | None) -> dict[str, Any]:
    """Return what is told besides the observation, arrays with the batch axis first."""
    info: dict[str, Any] = {"allowed": runs.allowed.copy()}
    if period is not None:
        info |= {"price": period.price.copy(), "profit": period.sale.profit, "units": period.sale.sold}
    return info


class PricingEnv(gymnasium.Env[Observation, Action]):
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

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(
        self,
        scenario: Scenario | None = None,
        worlds: Worlds | None = None,
        action: str = "index",
        *,
        terminal: bool = False,
        render_mode: None = None,
    ) -> None:
        self._runs = _runs(scenario, worlds, 1, action)
        self.metadata = _told_of(self._runs, self.metadata)
        self._terminal = terminal
        self.render_mode = render_mode
        self.observation_space, self.action_space = _spaces(self._runs)
        self._seed: Words | None = None
        self._episode = 0

    @property
    def standing(self) -> Standing:
        """Under which passport of its demand model the pricing problem was made."""
        return self._runs.scenario.standing

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - Gymnasium's signature; none are read
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode in a new world; with a seed, the first one of that seed."""
        super().reset(seed=seed)
        if seed is None and self._seed is not None:
            self._episode += 1
        else:
            drawn = int(self.np_random.integers(2**63)) if seed is None else seed
            _check_seed(drawn)
            self._seed, self._episode = np.array([drawn], dtype=np.uint64), 0
        self._runs.begin(self._seed, self._episode)
        return self._runs.observe()[0], _first(_report(self._runs, None))

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Set the prices of a period and sell it."""
        period = self._runs.advance(np.asarray(action)[None])
        done, ends = self._runs.done, self._terminal
        info = _first(_report(self._runs, period))
        return self._runs.observe()[0], float(period.reward[0]), done and ends, done and not ends, info


def _first(info: dict[str, Any]) -> dict[str, Any]:
    return {name: value[0] for name, value in info.items()}


class PricingVectorEnv(VectorEnv[Observation, Action, NDArray[Any]]):
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

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

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
        self._runs = _runs(scenario, worlds, num_envs, action)
        self.metadata = _told_of(self._runs, self.metadata)
        self._terminal = terminal
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_spaces = seen, acted = _spaces(self._runs)
        self.single_observation_space, self.single_action_space = seen, acted
        self.observation_space = batch_space(seen, num_envs)
        self.action_space = batch_space(acted, num_envs)
        self._seeds: Words | None = None
        self._episode = 0

    @property
    def standing(self) -> Standing:
        """Under which passport of its demand model the pricing problem was made."""
        return self._runs.scenario.standing

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - Gymnasium's signature; none are read
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode in every copy; an integer seed s gives copy b the seed s + b."""
        if isinstance(seed, int):
            super().reset(seed=seed)
            seed = range(seed, seed + self.num_envs)
        if seed is None and self._seeds is not None:
            self._episode += 1
        else:
            drawn = self.np_random.integers(2**63, size=self.num_envs).tolist() if seed is None else seed
            self._seeds, self._episode = self._checked(drawn), 0
        self._runs.begin(self._seeds, self._episode)
        return self._runs.observe(), self._tell(None)

    def step(self, actions: Action) -> tuple[Observation, Floats, Bools, Bools, dict[str, Any]]:
        """Set the prices of a period in every copy and sell it."""
        period = self._runs.advance(np.asarray(actions))
        seen, info = self._runs.observe(), self._tell(period)
        done = np.full(self.num_envs, self._runs.done)
        if self._runs.done and self._seeds is not None:
            self._episode += 1
            self._runs.begin(self._seeds, self._episode)
            final, seen = seen, self._runs.observe()
            info = {**self._tell(None), **self._mark({"final_obs": _rows(final), "final_info": info})}
        terminated, truncated = done & self._terminal, done & (not self._terminal)
        return seen, period.reward, terminated, truncated, info

    def _tell(self, period: Period | None) -> dict[str, Any]:
        return self._mark(_report(self._runs, period))

    def _mark(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add the mask that Gymnasium wants beside every entry: all copies have it."""
        return info | {f"_{name}": np.ones(self.num_envs, dtype=np.bool_) for name in info}

    def _checked(self, seeds: Sequence[int]) -> Words:
        if len(seeds) != self.num_envs:
            raise UsageError(f"{len(seeds)} seeds were given for {self.num_envs} environments.")
        for seed in seeds:
            _check_seed(seed)
        return np.array(seeds, dtype=np.uint64)


def _rows(batch: Observation) -> NDArray[np.object_]:
    """Return observations [B, ...] as B objects, the form in which Gymnasium hands over last ones."""
    rows = np.empty(len(batch), dtype=np.object_)
    for row, value in enumerate(batch):
        rows[row] = value
    return rows
