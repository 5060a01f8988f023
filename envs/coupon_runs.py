"""B customers, each in a world of its own: what the single and the batched environment share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints, Words
from pricing.coupon_decision import allowed_action
from pricing.coupon_rules import CouponSettings
from pricing.coupons import CouponMenu
from pricing.errors import UsageError
from pricing.randomness import philox
from simulators.coupons.farming import HONEST, Farming
from simulators.coupons.habits import Habits
from simulators.coupons.market import Visit
from simulators.coupons.shop_floor import SIMULATED, ShopFloor, choice_of, level_menu
from simulators.coupons.state import State
from simulators.coupons.toy import toy_habits
from simulators.coupons.worlds import Prior, Truths, crowd_of, draw_truths

__all__ = ["CouponProblem", "CouponRuns", "Given", "toy_problem"]

_LOW, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(32)
_EPISODES = (0x434F5550, 0x4F4E5321)
"""Philox key of worlds, customers and streams ("COUPONS!")."""


@dataclass(frozen=True)
class CouponProblem:
    """What episodes are drawn from.

    Attributes
    ----------
    habits
        Fitted habits of a shop.
    truths
        The pool of worlds; each episode of each copy draws one, and a customer.
    menu
        K offers, of :func:`simulators.coupons.shop_floor.level_menu`.
    horizon
        Periods of an episode.
    settings
        The corridor.
    farming
        Who farms coupons; what they hold back when an episode ends is in no reward.
    """

    habits: Habits
    truths: Truths
    menu: CouponMenu
    horizon: int = 20
    settings: CouponSettings = SIMULATED
    farming: Farming = HONEST

    def __post_init__(self) -> None:
        if len(self.truths) < 1:
            raise UsageError("The pool of worlds is empty.", todo="Draw at least one world.")


@dataclass(frozen=True)
class Given:
    """What a step brought to B customers.

    Attributes
    ----------
    offer
        int64 [B]; index of the offer made: the one asked for where it is allowed, else 0.
    visit
        What came of it, arrays [B, 1].
    reward
        float64 [B]; net profit over the mean profit of a basket without a coupon.
    """

    offer: Ints
    visit: Visit
    reward: Floats


class CouponRuns:
    """B episodes that start and end together.

    Parameters
    ----------
    problem
        What they are drawn from.
    copies
        B.
    """

    def __init__(self, problem: CouponProblem, copies: int) -> None:
        if copies < 1:
            raise UsageError(f"{copies} environments cannot be stepped.", todo="Ask for one or more.")
        self.problem = problem
        self.copies = copies
        self.period = problem.horizon

    def begin(self, seeds: Words, episode: int) -> None:
        """Start an episode; world, customer and chance follow from (seed, episode) of a copy alone."""
        counter = np.zeros((2, self.copies, 4), dtype=np.uint64)
        counter[..., 0], counter[..., 1], counter[..., 2] = seeds >> _HIGH, seeds & _LOW, episode
        counter[1, :, 3] = 1
        words = philox(counter, _EPISODES)
        pairs: Words = (words[..., 0::2] << _HIGH) | words[..., 1::2]
        made = self.problem
        world = (pairs[0, :, 0] % np.uint64(len(made.truths))).astype(np.int64)
        truths = made.truths.take(world)
        crowd = crowd_of(made.habits, truths, world, pairs[0, :, 1:], made.farming)
        self._streams: Words = pairs[1, :, 0]
        self.floor = ShopFloor.of(crowd, made.menu, made.horizon, made.settings)
        self._look(0, crowd.open())

    def advance(self, action: NDArray[np.generic]) -> Given:
        """Make offers, play a period and look at the next one; `action` holds B whole numbers below K."""
        if self.done:
            raise UsageError("The episode has ended.", todo="Call reset() before the next step().")
        if action.shape != (self.copies,) or action.dtype.kind not in "iu":
            raise UsageError(f"The action is {action.dtype} {action.shape}, not {self.copies} whole numbers.")
        asked = choice_of(action.astype(np.int64), len(self.problem.menu))
        offer = allowed_action(asked[:, None], self.allowed)
        visit = self.floor.market.step(
            self.state, offer, self.floor.market.chance(self._streams, self.period)
        )
        self._look(self.period + 1, visit.state)
        return Given(offer[:, 0], visit, visit.profit[:, 0] / self.floor.scale)

    @property
    def done(self) -> bool:
        """Whether no period is left."""
        return self.period >= self.problem.horizon

    def observe(self) -> NDArray[np.float32]:
        """Return what is known of each customer, float32 [B, F]."""
        return self.floor.context(self.state, self.period)[:, 0].astype(np.float32)

    def report(self, brought: Given | None) -> dict[str, Any]:
        """Return what is told besides the observation, arrays with the batch axis first."""
        info: dict[str, Any] = {"allowed": self.allowed[:, 0].copy()}
        if brought is not None:
            names, visit = ("bought", "used", "revenue", "profit"), brought.visit
            told = {name: getattr(visit, name)[:, 0].copy() for name in names}
            info |= {"offer": brought.offer.copy(), **told}
        return info

    def _look(self, period: int, state: State) -> None:
        self.period, self.state = period, state
        self.allowed: Bools = self.floor.allowed(self.floor.situation(state, period))


def toy_problem() -> CouponProblem:
    """Return a toy shop with three levels over twenty weeks."""
    habits = toy_habits()
    return CouponProblem(habits, draw_truths(habits, Prior(), 64, seed=0), level_menu((0.05, 0.1, 0.2)))
