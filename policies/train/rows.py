"""The environment as a shared policy sees it: every product of every copy is a row of its own.

A policy that shares its weights across products and reads each product's features is, for Stable-Baselines3,
a policy of single products. So each of the B x N products is presented as one environment with the reward
that it earned itself: a product's action is judged by its own profit and not by that of the whole shop,
whose noise grows with N. What products do to each other (the share of the catalogue that may move)
stays in the transition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from envs.runs import Observation, Runs
from pricing.arrays import Floats, Words
from pricing.errors import UsageError
from pricing.features import FEATURES
from pricing.scenario import Scenario
from pricing.transition import State

__all__ = ["ProductRows", "kept_profit", "reward_scale", "standards"]

_CLIP = 5.0
_LEAST_MARGIN = 0.05


class ProductRows(VecEnv):
    """B copies of N products as B x N environments of one product each; all episodes end together.

    Parameters
    ----------
    runs
        The copies, with latent actions.
    seeds
        uint64 [B]; with the number of the episode they give worlds and noise.
    episode
        Number of the first episode: a resumed training goes on where it stopped.
    centre, scale
        float64 [F]; observations are standardised by them and kept within plus and minus 5.
    """

    def __init__(self, runs: Runs, seeds: Words, episode: int, centre: Floats, scale: Floats) -> None:
        self.runs = runs
        self.seeds_of_copies = seeds
        self.episode = episode
        self.centre, self.scale = centre, scale
        self.shape = (runs.copies, len(runs.scenario.catalogue))
        self.earned = 0.0
        """Mean net profit of a copy in the steps since this was last set to 0, minor units."""
        self._reward_scale = reward_scale(runs.scenario) * runs.scenario.horizon
        self._actions: NDArray[Any] = np.zeros((0,))
        self.render_mode = None
        seen: spaces.Space[Any] = spaces.Box(-_CLIP, _CLIP, (len(FEATURES),), np.float32)
        acted: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (1,), np.float32)
        super().__init__(self.shape[0] * self.shape[1], seen, acted)  # pyright: ignore[reportUnknownMemberType] - SB3 leaves Space bare

    def reset(self) -> Observation:
        """Start the episode whose number has come."""
        self.runs.begin(self.seeds_of_copies, self.episode)
        return self._observe()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the latents [B x N, 1] of the coming step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:  # pyright: ignore[reportUnknownParameterType] - SB3's bare dict
        """Step; rewards are float32 [B x N], a product's profit over its scale and the horizon."""
        period = self.runs.advance(self._actions.reshape(self.shape))
        self.earned += float(period.sale.profit.sum()) / self.shape[0]
        reward = (period.sale.profit / self._reward_scale).reshape(-1).astype(np.float32)
        ended = self.runs.done
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if ended:
            self.episode += 1
            self.runs.begin(self.seeds_of_copies, self.episode)
        return self._observe(), reward, np.full(self.num_envs, ended), infos

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of this object, once for each row asked for."""
        value = getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:  # noqa: ARG002 - SB3's signature
        """Refuse: rows have no attributes of their own."""
        raise UsageError(f"{attr_name} cannot be set: products are rows of one batch.")

    def env_method(
        self,
        method_name: str,
        *method_args: Any,  # noqa: ARG002 - SB3's signature
        indices: VecEnvIndices = None,  # noqa: ARG002 - SB3's signature
        **method_kwargs: Any,  # noqa: ARG002 - SB3's signature
    ) -> list[Any]:
        """Refuse: rows have no methods of their own."""
        raise UsageError(f"{method_name} cannot be called: products are rows of one batch.")

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],  # noqa: ARG002 - SB3's signature
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Return False for each row asked for."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[None]:
        """Return nothing to look at, once for each row."""
        return [None] * self.num_envs

    def _observe(self) -> Observation:
        seen = self.runs.observe().reshape(self.num_envs, -1).astype(np.float64)
        return np.clip((seen - self.centre) / self.scale, -_CLIP, _CLIP).astype(np.float32)


def kept_profit(runs: Runs, seeds: Words, episode: int) -> float:
    """Return the mean net profit of a copy that keeps its prices through an episode, minor units."""
    runs.begin(seeds, episode)
    nothing, profit = np.zeros((runs.copies, len(runs.scenario.catalogue))), 0.0
    while not runs.done:
        profit += float(runs.advance(nothing).sale.profit.sum()) / runs.copies
    return profit


def reward_scale(scenario: Scenario) -> Floats:
    """Return the scale of each product's reward [N]: its expected profit of the first period, minor units.

    At least 5 % of its expected sales, so that a product sold near cost does not drown the others.
    """
    situation = scenario.situation(State.start(scenario.catalogue, 1), 0)
    keep = np.full((1, len(scenario.catalogue)), -1, dtype=np.int64)
    profit = np.abs(situation.profit_of(keep)[0])
    price = scenario.catalogue.price.astype(np.float64)
    units = np.minimum(np.exp(situation.log_units_now[0]), np.maximum(scenario.catalogue.stock, 1.0))
    return np.asarray(np.maximum(profit, _LEAST_MARGIN * units * price) + 1e-9)


def standards(runs: Runs, seeds: Words, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each feature [F] over an episode of random latents.

    A feature that never varies gets the deviation 1 and so says nothing.
    """
    runs.begin(seeds, 0)
    seen: list[Floats] = []
    shape = (runs.copies, len(runs.scenario.catalogue))
    while not runs.done:
        seen.append(runs.observe().reshape(-1, len(FEATURES)).astype(np.float64))
        runs.advance(rng.uniform(-1.0, 1.0, shape))
    rows = np.concatenate(seen)
    spread = rows.std(axis=0)
    return rows.mean(axis=0), np.where(spread > 1e-6, spread, 1.0)
