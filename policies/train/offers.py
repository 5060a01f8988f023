"""PPO and DQN of Stable-Baselines3 on the coupon environment's native batch, exported to plain NumPy.

(Schulman et al. 2017; Mnih et al. 2015; Raffin et al., JMLR 2021.) One whole episode a rollout, no
discounting within it, the horizon as the end of the problem, one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.logger import Logger

from envs.coupon import CouponVectorEnv
from envs.coupon_runs import CouponProblem
from envs.runs import Observation
from envs.sb3 import BatchVecEnv
from policies.bandits.experience import Shop
from policies.bandits.network import NetworkOffers
from policies.train.ppo import one_thread
from pricing.arrays import Bools, Floats
from pricing.errors import UsageError

__all__ = ["OfferTraining", "train_dqn_offers", "train_ppo_offers"]


@dataclass(frozen=True, slots=True)
class OfferTraining:
    """How to train.

    Attributes
    ----------
    interactions
        Customers decided for, once a period, rounded up to whole rollouts.
    copies
        B, customers stepped together.
    hidden
        Units of each hidden layer.
    batch_size, epochs
        Of PPO: rows of a gradient step; passes over a rollout.
    learning_rate
        Of both.
    """

    interactions: int = 200_000
    copies: int = 500
    hidden: tuple[int, ...] = (64, 64)
    batch_size: int = 1000
    epochs: int = 5
    learning_rate: float = 5e-4

    def __post_init__(self) -> None:
        if min(self.interactions, self.copies, self.batch_size, self.epochs, *self.hidden) < 1:
            raise UsageError("Interactions, copies, batch_size, epochs and hidden units must be 1 or more.")


class _Standard(BatchVecEnv):
    """The native batch with standardised observations."""

    def __init__(self, batch: CouponVectorEnv, shop: Shop) -> None:
        super().__init__(batch)
        self._shop = shop

    def reset(self) -> Observation:
        """Start an episode in every copy."""
        return self._standard(super().reset())

    def step_wait(self) -> tuple[Observation, NDArray[np.float32], Bools, list[dict[str, Any]]]:
        """Step; the last observation of an episode is standardised too."""
        seen, reward, done, infos = super().step_wait()
        for info in infos:
            if "terminal_observation" in info:
                info["terminal_observation"] = self._standard(info["terminal_observation"])
        return self._standard(seen), reward, done, infos

    def _standard(self, seen: Observation) -> Observation:
        return self._shop.standard(seen.astype(np.float64))[..., 1:].astype(np.float32)


def train_ppo_offers(
    problem: CouponProblem, shop: Shop, *, seed: int, how: OfferTraining | None = None
) -> NetworkOffers:
    """Train a stochastic policy; the same arguments give the same network on one machine type.

    Parameters
    ----------
    problem
        Shop, pool of worlds, menu and horizon.
    shop
        What standardises features.
    seed
        Any integer >= 0.
    how
        See :class:`OfferTraining`.
    """
    how = how or OfferTraining()
    with one_thread():
        model = PPO(
            "MlpPolicy",
            _rows(problem, shop, how, seed),
            n_steps=problem.horizon,
            batch_size=how.batch_size,
            n_epochs=how.epochs,
            learning_rate=how.learning_rate,
            gamma=1.0,
            gae_lambda=0.95,
            target_kl=0.03,
            policy_kwargs={"net_arch": list(how.hidden), "activation_fn": torch.nn.Tanh},
            seed=seed & 0x7FFFFFFF,
            device="cpu",
        )
        _learn(model, how.interactions)
    layers = [*_linear(model.policy.mlp_extractor.policy_net), *_linear(model.policy.action_net)]
    return _exported("ppo", shop, layers, rectified=False, greedy=False)


def train_dqn_offers(
    problem: CouponProblem, shop: Shop, *, seed: int, how: OfferTraining | None = None
) -> NetworkOffers:
    """Train action values; the arguments are those of :func:`train_ppo_offers`."""
    how = how or OfferTraining()
    with one_thread():
        model = DQN(
            "MlpPolicy",
            _rows(problem, shop, how, seed),
            learning_rate=how.learning_rate,
            buffer_size=max(how.interactions, how.copies),
            learning_starts=10 * how.copies,
            batch_size=256,
            train_freq=1,
            gradient_steps=32,
            target_update_interval=10 * how.copies,
            gamma=1.0,
            exploration_fraction=0.5,
            exploration_final_eps=0.05,
            policy_kwargs={"net_arch": list(how.hidden)},
            seed=seed & 0x7FFFFFFF,
            device="cpu",
        )
        _learn(model, how.interactions)
    return _exported("dqn", shop, _linear(model.q_net.q_net), rectified=True, greedy=True)


def _rows(problem: CouponProblem, shop: Shop, how: OfferTraining, seed: int) -> _Standard:
    rows = _Standard(CouponVectorEnv(how.copies, problem, terminal=True), shop)
    rows.seed(seed)
    return rows


def _learn(model: PPO | DQN, interactions: int) -> None:
    model.set_logger(Logger(folder=None, output_formats=[]))
    model.learn(interactions)  # pyright: ignore[reportUnknownMemberType] - SB3 leaves the callback bare


def _linear(net: Any) -> list[tuple[Floats, Floats]]:
    """Return weights [in, out] and biases of the linear layers of a torch module, in order."""
    layers = [part for part in net.modules() if isinstance(part, torch.nn.Linear)]
    return [
        (layer.weight.detach().numpy().astype(np.float64).T, layer.bias.detach().numpy().astype(np.float64))
        for layer in layers
    ]


def _exported(
    name: str, shop: Shop, layers: list[tuple[Floats, Floats]], *, rectified: bool, greedy: bool
) -> NetworkOffers:
    weights, biases = zip(*layers, strict=True)
    return NetworkOffers(name, shop.centre, shop.scale, tuple(weights), tuple(biases), rectified, greedy)
