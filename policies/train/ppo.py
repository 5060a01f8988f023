"""Proximal policy optimisation of a shared pricing network, with Stable-Baselines3.

(Schulman et al. 2017; Raffin et al., JMLR 2021.) The recipe was measured on simulated shops: native batches,
one whole episode a rollout, no discounting, the horizon as the end of the problem, one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from envs.runs import Runs
from policies.serve.network import NetworkPolicy
from policies.train.checkpoint import read_checkpoint, write_checkpoint
from policies.train.export import export
from policies.train.rows import ProductRows, kept_profit, standards
from pricing.arrays import Floats, Words
from pricing.errors import UsageError
from pricing.executor import Progress
from pricing.randomness import philox
from pricing.scenario import Scenario
from simulators.market import Worlds

__all__ = ["PPOSettings", "one_thread", "train_ppo"]

_KEY = 0x50504F21
"""Second Philox key word of training ("PPO!")."""

_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class PPOSettings:
    """How to train.

    Attributes
    ----------
    copies
        B, copies of the shop stepped together; B x N rows of experience a period.
    rollouts
        Whole episodes played and learned from.
    hidden
        Units of each hidden layer, of the policy and of the value network.
    batch_size, epochs
        Rows of a gradient step; passes over a rollout.
    learning_rate, last_learning_rate
        Of the first and of the last rollout; straight in between.
    log_std
        Log standard deviation of the latent at the start.
    gae_lambda
        Of generalised advantage estimation (Schulman et al. 2016).
    clip_range, target_kl
        Limits of a policy step.
    """

    copies: int = 16
    rollouts: int = 60
    hidden: tuple[int, ...] = (64, 64)
    batch_size: int = 1664
    epochs: int = 5
    learning_rate: float = 1e-3
    last_learning_rate: float = 1e-4
    log_std: float = -1.0
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    target_kl: float = 0.03

    def __post_init__(self) -> None:
        if min(self.copies, self.rollouts, self.batch_size, self.epochs, *self.hidden) < 1:
            raise UsageError("Copies, rollouts, batch_size, epochs and hidden units must be 1 or more.")


def train_ppo(
    scenario: Scenario,
    worlds: Worlds,
    *,
    seed: int,
    settings: PPOSettings | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    checkpoint: Callable[[bytes], None] | None = None,
    resume: bytes | None = None,
    learnt: Callable[[Floats], None] | None = None,
) -> NetworkPolicy:
    """Train a network on the products of a scenario; it decides for any others too.

    The same arguments give the same bytes on one machine type, also when training was stopped and
    resumed in between. Randomness of a rollout follows from the seed and its number.

    Parameters
    ----------
    scenario
        The pricing problem; :meth:`pricing.scenario.Scenario.take` picks some products.
    worlds
        The pool of truths over the same products; each episode of each copy draws one.
    seed
        Any integer >= 0.
    settings
        See :class:`PPOSettings`.
    progress
        Told (rollouts done, all) after each.
    stop
        Asked after each rollout; True ends training, and what was learned so far is returned.
    checkpoint
        Given the state of training after each rollout, as bytes.
    resume
        Such a state; it must come from the same seed, settings and number of products.
    learnt
        Told the learning curve at the end, float64 [R, 2], minor units: for each rollout the mean net profit
        of a copy, exploration included, and what keeping every price brings in the same worlds with the same
        noise.

    Raises
    ------
    ArtifactError
        If `resume` is corrupt or from another training.
    """
    how = settings or PPOSettings()
    runs, twin = (Runs(scenario, worlds, how.copies, "latent") for _ in range(2))
    seeds = _words(seed, 0, how.copies)
    centre, scale = standards(runs, seeds, np.random.default_rng(seed))
    with one_thread():
        rows = ProductRows(runs, seeds, 1, centre, scale)
        model = _learner(rows, how, seed)
        curve: Floats = np.zeros((0, 2))
        if resume is not None:
            curve = read_checkpoint(resume, model, (seed, how, rows.shape))
            rows.episode = 1 + len(curve)
        for number in range(len(curve), how.rollouts):
            curve = np.vstack([curve, _rollout(model, rows, how, seed, number, twin)])
            if checkpoint is not None:
                checkpoint(write_checkpoint(model, curve, (seed, how, rows.shape)))
            if progress is not None:
                progress(len(curve), how.rollouts)
            if stop is not None and stop():
                break
    if learnt is not None:
        learnt(curve)
    done = len(curve)
    said = (
        f"{done} rollouts of {how.copies} x {rows.shape[1]} products, horizon {scenario.horizon}, seed {seed}"
    )
    return export(model, centre, scale, runs.width, said)


def _learner(rows: ProductRows, how: PPOSettings, seed: int) -> PPO:
    net = {"pi": list(how.hidden), "vf": list(how.hidden)}
    model = PPO(
        "MlpPolicy",
        rows,
        n_steps=rows.runs.scenario.horizon,
        batch_size=_even_batch(rows.num_envs * rows.runs.scenario.horizon, how.batch_size),
        n_epochs=how.epochs,
        learning_rate=how.learning_rate,
        gamma=1.0,
        gae_lambda=how.gae_lambda,
        clip_range=how.clip_range,
        target_kl=how.target_kl,
        policy_kwargs={"net_arch": net, "log_std_init": how.log_std, "activation_fn": torch.nn.Tanh},
        seed=seed & 0x7FFFFFFF,
        device="cpu",
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def _rollout(
    model: PPO, rows: ProductRows, how: PPOSettings, seed: int, number: int, twin: Runs
) -> tuple[float, float]:
    """Play one episode and learn from it; its randomness follows from (seed, number).

    Returns what it brought and what keeping prices, in `twin`, brings in the same episode.
    """
    kept = kept_profit(twin, rows.seeds_of_copies, 1 + number)
    rows.earned = 0.0
    drawn = int(_words(seed, 1 + number, 1)[0] & np.uint64(0x7FFFFFFF))
    torch.manual_seed(drawn)  # pyright: ignore[reportUnknownMemberType] - torch leaves it untyped
    np.random.seed(drawn)  # noqa: NPY002 - SB3 shuffles its batches by the global generator
    share = number / max(how.rollouts - 1, 1)
    rate = (1.0 - share) * how.learning_rate + share * how.last_learning_rate
    model.lr_schedule = lambda _: rate
    model.learn(  # pyright: ignore[reportUnknownMemberType] - SB3 leaves the callback bare
        model.n_envs * model.n_steps, reset_num_timesteps=False
    )
    return rows.earned, kept


def _even_batch(rows: int, wanted: int) -> int:
    """Return the largest batch of at most `wanted` rows, and at least 2, that divides a rollout evenly."""
    if rows < 2:
        raise UsageError("A rollout of one row teaches nothing.", todo="Raise copies or the horizon.")
    return max((size for size in range(2, min(rows, wanted) + 1) if rows % size == 0), default=rows)


@contextmanager
def one_thread() -> Generator[None]:
    """Run torch on one thread (two stall under load) and leave global random state as it was."""
    threads, state, numbers = torch.get_num_threads(), torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 - see _rollout
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
        np.random.set_state(numbers)  # noqa: NPY002 - see _rollout


def _words(seed: int, place: int, count: int) -> Words:
    counter = np.zeros((count, 4), dtype=np.uint64)
    counter[:, 0], counter[:, 1] = np.arange(count), place
    words = philox(counter, (seed & 0xFFFFFFFF, _KEY))
    seeds: Any = (words[:, 0] << np.uint64(32)) | (words[:, 1] & _LOW)
    return np.asarray(seeds, dtype=np.uint64)
