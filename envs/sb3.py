"""The batched environment as Stable-Baselines3 wants it; importing this module imports SB3 and torch."""
# ruff: noqa: ARG002 - the signatures are those of SB3's VecEnv

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices

from envs.coupon import CouponVectorEnv
from envs.pricing import PricingVectorEnv
from envs.runs import Observation
from pricing.arrays import Bools
from pricing.errors import UsageError

__all__ = ["BatchVecEnv"]


class BatchVecEnv(VecEnv):
    """A face of :class:`envs.pricing.PricingVectorEnv` or :class:`envs.coupon.CouponVectorEnv`.

    It copies no numbers and steps nothing itself.

    Each info holds ``profit``, the period's net profit in minor units. The infos of an episode's last step
    also hold ``terminal_observation`` and ``TimeLimit.truncated``, from which SB3 values what would follow;
    with ``terminal=True`` in the environment nothing follows.

    Parameters
    ----------
    batch
        The batched environment.
    """

    def __init__(self, batch: PricingVectorEnv | CouponVectorEnv) -> None:
        self.batch = batch
        seen, acted = batch.single_spaces
        super().__init__(batch.num_envs, seen, acted)  # pyright: ignore[reportUnknownMemberType] - SB3 does not type it
        self._actions: NDArray[Any] = np.zeros((0,))

    def reset(self) -> Observation:
        """Start an episode in every copy, with the seeds of :meth:`seed` where it was called before."""
        seeds = [seed for seed in self._seeds if seed is not None]
        observation, _ = self.batch.reset(seed=seeds or None)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions [B, N], or [B], of the coming step."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, NDArray[np.float32], Bools, list[dict[str, Any]]]:
        """Step; return observations, rewards float32 [B], dones bool [B] and one info a copy."""
        seen, reward, terminated, truncated, told = self.batch.step(self._actions)
        done = terminated | truncated
        ended = bool(done.any())
        profit = (
            (told["final_info"] if ended else told)["profit"].reshape(self.num_envs, -1).sum(axis=1).tolist()
        )
        infos: list[dict[str, Any]] = [{"profit": value} for value in profit]
        if ended:
            for copy, info in enumerate(infos):
                info["terminal_observation"] = told["final_obs"][copy]
                info["TimeLimit.truncated"] = bool(truncated[copy])
        return seen, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the batched environment."""
        self.batch.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the batched environment, once for each copy asked for."""
        value = getattr(self.batch, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: the copies are rows of one batch and have no attributes of their own."""
        raise UsageError(f"{attr_name} cannot be set: the copies are rows of one batch.")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse: the copies are rows of one batch and have no methods of their own."""
        raise UsageError(f"{method_name} cannot be called: the copies are rows of one batch.")

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each copy asked for."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[None]:
        """Return nothing to look at, once for each copy."""
        return [None] * self.num_envs
