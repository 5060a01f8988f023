"""B copies of a pricing problem, stepped together: what the single and the batched environment share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints, Words
from pricing.decision import price_at, settle
from pricing.directed import Directed, index_target, latent_target, latent_width
from pricing.errors import UsageError
from pricing.features import FEATURES, write
from pricing.randomness import philox
from pricing.scenario import Scenario
from pricing.transition import State
from simulators.market import Market, Sale, Worlds

__all__ = ["ACTIONS", "Observation", "Period", "Runs"]

Observation = NDArray[np.float32]

ACTIONS = ("index", "latent")
"""What an action may be: a rung of the ladder, or a latent in -1 to 1."""

_LOW, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(32)
_EPISODES = (0x45504953, 0x4F444553)
"""Philox key of worlds and streams ("EPISODES"), apart from those of decisions and posterior draws."""


@dataclass(frozen=True)
class Period:
    """What a step brought to B copies.

    Attributes
    ----------
    price
        int64 [B, N]; regular shelf price of the period, minor units.
    sale
        Units and profit of it.
    reward
        float64 [B]; net profit over the scenario's base profit.
    """

    price: Ints
    sale: Sale
    reward: Floats


class Runs:
    """B copies of a scenario, each in a world of the pool; all of them start and end together.

    Parameters
    ----------
    scenario
        The pricing problem and what may be known of it.
    worlds
        The pool; each episode of each copy draws one.
    copies
        B.
    action
        One of :data:`ACTIONS`.
    """

    def __init__(self, scenario: Scenario, worlds: Worlds, copies: int, action: str) -> None:
        if action not in ACTIONS:
            raise UsageError(f"action = {action!r} is not one of {', '.join(ACTIONS)}.")
        if copies < 1:
            raise UsageError(f"{copies} environments cannot be stepped.", todo="Ask for one or more.")
        if len(worlds) < 1:
            raise UsageError("The pool of worlds is empty.", todo="Sample at least one world.")
        self.scenario = scenario
        self.worlds = worlds
        self.copies = copies
        self.action = action
        self.width = latent_width(scenario.guardrails.settings)
        self.period = scenario.horizon

    def begin(self, seeds: Words, episode: int) -> None:
        """Start an episode.

        Parameters
        ----------
        seeds
            uint64 [B]; seed of each copy. World and noise of an episode follow from it and the episode's
            number, so a copy does the same alone as in any batch.
        episode
            0, 1, 2, ...
        """
        counter = np.zeros((self.copies, 4), dtype=np.uint64)
        counter[:, 0], counter[:, 1], counter[:, 2] = seeds >> _HIGH, seeds & _LOW, episode
        words = philox(counter, _EPISODES)
        world = ((words[:, 0] << _HIGH | words[:, 1]) % np.uint64(len(self.worlds))).astype(np.int64)
        self._market = Market(self.scenario.catalogue, self.worlds, world)
        streams = (words[:, 2] << _HIGH | words[:, 3]) >> np.uint64(2)
        self._noise = self._market.noise(0, streams, self.scenario.horizon)
        self._look(0, self._market.open())

    def advance(self, action: NDArray[np.generic]) -> Period:
        """Set prices, sell a period and look at the next one.

        Parameters
        ----------
        action
            [B, N]: rungs (integers from 0 to K - 1) or latents (finite numbers).
        """
        if self.done:
            raise UsageError("The episode has ended.", todo="Call reset() before the next step().")
        scenario, situation = self.scenario, self.situation
        _, choice = settle(situation, scenario.guardrails, Directed(self._target(action)), self.opened)
        price = price_at(situation, choice.mode())
        sale = self._market.sell(
            situation.state,
            price,
            scenario.conditions[self.period],
            self._noise.at(self.period),
            scenario.receipts[self.period],
        )
        self._look(self.period + 1, sale.state)
        return Period(price, sale, sale.profit.sum(axis=1) / scenario.base_profit)

    @property
    def done(self) -> bool:
        """Whether no period is left."""
        return self.period >= self.scenario.horizon

    @property
    def allowed(self) -> Bools:
        """Rungs [B, N, K] that may be chosen next, before the share of the catalogue counts."""
        return self.opened.allowed

    def observe(self) -> Observation:
        """Return the registered features of what is known now, float32 [B, N, F]."""
        out = np.empty((self.copies, len(self.scenario.catalogue), len(FEATURES)), dtype=np.float32)
        write(self.situation, self.opened.allowed, out)
        return out

    def report(self, brought: Period | None) -> dict[str, Any]:
        """Return what is told besides the observation, arrays with the batch axis first."""
        info: dict[str, Any] = {"allowed": self.allowed.copy()}
        if brought is not None:
            info |= {"price": brought.price.copy(), "profit": brought.sale.profit, "units": brought.sale.sold}
        return info

    def _look(self, period: int, state: State) -> None:
        self.period = period
        self.situation = self.scenario.situation(state, period)
        self.opened = self.scenario.guardrails.admit(state, self.situation.conditions)

    def _target(self, action: NDArray[np.generic]) -> Floats:
        shape = (self.copies, len(self.scenario.catalogue))
        if action.shape != shape:
            raise UsageError(f"The action has shape {action.shape}, not {shape} (environments, products).")
        if action.dtype.kind not in ("iuf" if self.action == "latent" else "iu"):
            raise UsageError(
                f"The action holds {action.dtype}; {self.action} actions are "
                f"{'numbers' if self.action == 'latent' else 'whole numbers'}."
            )
        if self.action == "latent":
            latent = action.astype(np.float64)
            if not np.isfinite(latent).all():
                raise UsageError("The action holds a number that is not finite.")
            return latent_target(self.situation, latent, self.width)
        index = action.astype(np.int64)
        rungs = self.scenario.menu.price.shape[1]
        if ((index < 0) | (index >= rungs)).any():
            raise UsageError(f"The action names a rung outside 0 to {rungs - 1}.")
        return index_target(self.situation, index)
