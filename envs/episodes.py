"""The Gymnasium faces of anything that is stepped in copies: one copy, or all of them as a batch of arrays.

What is stepped follows from (seed, episode) of a copy alone, so copy b of a batch reset with seed s does
exactly what a single environment reset with s + b does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.runs import Observation
from pricing.arrays import Bools, Floats, Words
from pricing.errors import UsageError

__all__ = ["BatchEnv", "Copies", "SingleEnv", "Stepped", "observed"]

_BOUND = 1e6
"""Finite bound of the observation space, beyond any feature of a real shop."""


class Stepped(Protocol):
    """What a step brought to B copies."""

    @property
    def reward(self) -> Floats:
        """float64 [B]."""
        ...


_Brought = TypeVar("_Brought", bound=Stepped)
_Act = TypeVar("_Act")
_Runs = TypeVar("_Runs", bound="Copies[Any]")


class Copies(Protocol[_Brought]):
    """B copies of a problem that start and end together."""

    def begin(self, seeds: Words, episode: int) -> None:
        """Start an episode; seeds uint64 [B]."""
        ...

    def advance(self, action: NDArray[np.generic]) -> _Brought:
        """Act in every copy, batch axis first."""
        ...

    @property
    def done(self) -> bool:
        """Whether no period is left."""
        ...

    def observe(self) -> Observation:
        """Return what is known now, float32, batch axis first."""
        ...

    def report(self, brought: _Brought | None) -> dict[str, Any]:
        """Return what is told besides the observation, arrays with the batch axis first."""
        ...


def observed(shape: tuple[int, ...]) -> spaces.Space[Observation]:
    """Return the space of observations of this shape, every number within a finite bound."""
    return cast("spaces.Space[Observation]", spaces.Box(-_BOUND, _BOUND, shape, np.float32))


class SingleEnv(gymnasium.Env[Observation, _Act], Generic[_Act, _Runs]):
    """One copy.

    Parameters
    ----------
    runs
        What is stepped, B = 1.
    seen, acted
        Spaces of observations and actions.
    terminal
        False: the horizon is where watching stops, and ends an episode as truncated. True: it is where the
        problem ends, and ends it as terminated, so that a learner puts no value on what follows.
    render_mode
        None; there is nothing to draw.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(
        self,
        runs: _Runs,
        seen: spaces.Space[Observation],
        acted: spaces.Space[Any],
        *,
        terminal: bool,
        render_mode: None,
    ) -> None:
        self._runs, self._terminal = runs, terminal
        self.render_mode = render_mode
        self.observation_space, self.action_space = seen, acted
        self._seed: Words | None = None
        self._episode = 0

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
            self._seed, self._episode = _words([drawn]), 0
        self._runs.begin(self._seed, self._episode)
        return self._runs.observe()[0], _first(self._runs.report(None))

    def step(self, action: _Act) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act, and play a period."""
        brought = self._runs.advance(np.asarray(action)[None])
        done, ends = self._runs.done, self._terminal
        info = _first(self._runs.report(brought))
        return self._runs.observe()[0], float(brought.reward[0]), done and ends, done and not ends, info


class BatchEnv(VectorEnv[Observation, _Act, NDArray[Any]], Generic[_Act, _Runs]):
    """B copies in one batch of arrays.

    All episodes end together, and the step that ends them returns the first observation of the next ones
    (autoreset in the same step); the last observation and info are in ``final_obs`` and ``final_info``.

    Parameters
    ----------
    runs, seen, acted, terminal, render_mode
        See :class:`SingleEnv`, spaces of one copy.
    num_envs
        B.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        runs: _Runs,
        seen: spaces.Space[Observation],
        acted: spaces.Space[Any],
        num_envs: int,
        *,
        terminal: bool,
        render_mode: None,
    ) -> None:
        self._runs, self._terminal = runs, terminal
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_spaces = seen, acted
        self.single_observation_space, self.single_action_space = seen, acted
        self.observation_space = batch_space(seen, num_envs)
        self.action_space = batch_space(acted, num_envs)
        self._seeds: Words | None = None
        self._episode = 0

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
            if len(drawn) != self.num_envs:
                raise UsageError(f"{len(drawn)} seeds were given for {self.num_envs} environments.")
            self._seeds, self._episode = _words(drawn), 0
        self._runs.begin(self._seeds, self._episode)
        return self._runs.observe(), self._tell(None)

    def step(self, actions: _Act) -> tuple[Observation, Floats, Bools, Bools, dict[str, Any]]:
        """Act in every copy, and play a period."""
        brought = self._runs.advance(np.asarray(actions))
        seen, info = self._runs.observe(), self._tell(brought)
        done = np.full(self.num_envs, self._runs.done)
        if self._runs.done and self._seeds is not None:
            self._episode += 1
            self._runs.begin(self._seeds, self._episode)
            final, seen = seen, self._runs.observe()
            info = {**self._tell(None), **self._mark({"final_obs": _rows(final), "final_info": info})}
        terminated, truncated = done & self._terminal, done & (not self._terminal)
        return seen, brought.reward, terminated, truncated, info

    def _tell(self, brought: Stepped | None) -> dict[str, Any]:
        return self._mark(self._runs.report(brought))

    def _mark(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add the mask that Gymnasium wants beside every entry: all copies have it."""
        return info | {f"_{name}": np.ones(self.num_envs, dtype=np.bool_) for name in info}


def _words(seeds: Sequence[int]) -> Words:
    for seed in seeds:
        if not 0 <= seed < 2**64:
            raise UsageError(f"The seed {seed} is not a number from 0 to 2**64 - 1.")
    return np.array(seeds, dtype=np.uint64)


def _first(info: dict[str, Any]) -> dict[str, Any]:
    """Return the only copy's: a number as Python's own, so that Gymnasium stacks it again as it was."""
    return {name: value[0].item() if value.ndim == 1 else value[0] for name, value in info.items()}


def _rows(batch: Observation) -> NDArray[np.object_]:
    """Return observations [B, ...] as B objects, the form in which Gymnasium hands over last ones."""
    rows = np.empty(len(batch), dtype=np.object_)
    for row, value in enumerate(batch):
        rows[row] = value
    return rows
