"""``Tarifa/Coupon-v0``: which coupon, if any, for this customer now? Single or natively batched.

An episode is one customer of a shop, drawn with the world it lives in; a step is one period in which that
customer may come, open carts included, and is given none or one of K - 1 discounts. The observation is what
the shop knows of the customer (:data:`simulators.coupons.state.CONTEXT`), the reward the period's net profit
over that of a mean basket, summed without discounting; what a coupon does later arrives as later rewards.
An offer that the guardrails refuse becomes no coupon, exactly as in the kernel.
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

from envs.coupon_runs import CouponProblem, CouponRuns, Given, toy_problem
from envs.runs import Observation
from pricing.arrays import Bools, Floats, Words
from pricing.errors import UsageError
from simulators.coupons.state import CONTEXT

__all__ = ["CouponEnv", "CouponVectorEnv"]

_BOUND = 1e6
"""Finite bound of the observation space, beyond any feature of a real shop."""


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**64:
        raise UsageError(f"The seed {seed} is not a number from 0 to 2**64 - 1.")


def _spaces(runs: CouponRuns) -> tuple[spaces.Space[Observation], spaces.Space[Any]]:
    seen = spaces.Box(-_BOUND, _BOUND, (len(CONTEXT),), np.float32)
    return cast("spaces.Space[Observation]", seen), spaces.Discrete(len(runs.problem.menu))


def _report(runs: CouponRuns, given: Given | None) -> dict[str, Any]:
    """Return what is told besides the observation, arrays with the batch axis first."""
    info: dict[str, Any] = {"allowed": runs.allowed[:, 0].copy()}
    if given is not None:
        visit = given.visit
        told = {name: getattr(visit, name)[:, 0].copy() for name in ("bought", "used", "revenue", "profit")}
        info |= {"offer": given.offer.copy(), **told}
    return info


class CouponEnv(gymnasium.Env[Observation, int]):
    """One customer at a time.

    Info: ``allowed`` bool [K], offers open for the next action; after a step also ``offer`` int64, the offer
    made, ``bought`` and ``used`` bool, ``revenue`` and ``profit`` float64 in minor units.

    Parameters
    ----------
    problem
        Shop, worlds, menu and horizon; None is a toy shop with three levels over twenty weeks.
    terminal
        False: the horizon is where watching stops, and ends an episode as truncated. True: it is where the
        problem ends, and ends it as terminated, so that a learner puts no value on what follows.
    render_mode
        None; there is nothing to draw.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(
        self, problem: CouponProblem | None = None, *, terminal: bool = False, render_mode: None = None
    ) -> None:
        self._runs = CouponRuns(problem or toy_problem(), 1)
        self._terminal = terminal
        self.render_mode = render_mode
        self.observation_space, self.action_space = _spaces(self._runs)
        self._seed: Words | None = None
        self._episode = 0

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - Gymnasium's signature; none are read
    ) -> tuple[Observation, dict[str, Any]]:
        """Start with a new customer in a new world; with a seed, the first one of that seed."""
        super().reset(seed=seed)
        if seed is None and self._seed is not None:
            self._episode += 1
        else:
            drawn = int(self.np_random.integers(2**63)) if seed is None else seed
            _check_seed(drawn)
            self._seed, self._episode = np.array([drawn], dtype=np.uint64), 0
        self._runs.begin(self._seed, self._episode)
        return self._runs.observe()[0], _first(_report(self._runs, None))

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Make an offer, or none, and play the period."""
        given = self._runs.advance(np.asarray(action)[None])
        done, ends = self._runs.done, self._terminal
        info = _first(_report(self._runs, given))
        return self._runs.observe()[0], float(given.reward[0]), done and ends, done and not ends, info


def _first(info: dict[str, Any]) -> dict[str, Any]:
    """Return the only copy's: a number as Python's own, so that Gymnasium stacks it again as it was."""
    return {name: value[0].item() if value.ndim == 1 else value[0] for name, value in info.items()}


class CouponVectorEnv(VectorEnv[Observation, NDArray[np.generic], NDArray[Any]]):
    """B customers in one batch of arrays.

    Copy b of a batch reset with seed s does exactly what a :class:`CouponEnv` reset with s + b does. All
    episodes end together, and the step that ends them returns the first observation of the next ones
    (autoreset in the same step); the last observation and info are in ``final_obs`` and ``final_info``.

    Parameters
    ----------
    num_envs
        B.
    problem, terminal, render_mode
        See :class:`CouponEnv`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        problem: CouponProblem | None = None,
        *,
        terminal: bool = False,
        render_mode: None = None,
    ) -> None:
        self._runs = CouponRuns(problem or toy_problem(), num_envs)
        self._terminal = terminal
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_spaces = seen, acted = _spaces(self._runs)
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
            self._seeds, self._episode = self._checked(drawn), 0
        self._runs.begin(self._seeds, self._episode)
        return self._runs.observe(), self._mark(_report(self._runs, None))

    def step(self, actions: NDArray[np.generic]) -> tuple[Observation, Floats, Bools, Bools, dict[str, Any]]:
        """Make B offers and play the period."""
        given = self._runs.advance(np.asarray(actions))
        seen, info = self._runs.observe(), self._mark(_report(self._runs, given))
        done = np.full(self.num_envs, self._runs.done)
        if self._runs.done and self._seeds is not None:
            self._episode += 1
            self._runs.begin(self._seeds, self._episode)
            final, seen = seen, self._runs.observe()
            last = self._mark({"final_obs": _rows(final), "final_info": info})
            info = {**self._mark(_report(self._runs, None)), **last}
        terminated, truncated = done & self._terminal, done & (not self._terminal)
        return seen, given.reward, terminated, truncated, info

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
    """Return observations [B, F] as B objects, the form in which Gymnasium hands over last ones."""
    rows = np.empty(len(batch), dtype=np.object_)
    for row, value in enumerate(batch):
        rows[row] = value
    return rows
