"""``Tarifa/Coupon-v0``: which coupon, if any, for this customer now? Single or natively batched.

An episode is one customer of a shop, drawn with the world it lives in; a step is one period in which that
customer may come, open carts included, and is given none or one of K - 1 discounts. The observation is what
the shop knows of the customer (:data:`simulators.coupons.state.CONTEXT`), the reward the period's net profit
over that of a mean basket, summed without discounting; what a coupon does later arrives as later rewards.
An offer that the guardrails refuse becomes no coupon, exactly as in the kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.coupon_runs import CouponProblem, CouponRuns, toy_problem
from envs.episodes import BatchEnv, SingleEnv, observed
from envs.runs import Observation
from simulators.coupons.state import CONTEXT

__all__ = ["CouponEnv", "CouponVectorEnv"]


def _spaces(runs: CouponRuns) -> tuple[spaces.Space[Observation], spaces.Space[Any]]:
    return observed((len(CONTEXT),)), spaces.Discrete(len(runs.problem.menu))


class CouponEnv(SingleEnv[int, CouponRuns]):
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

    def __init__(
        self, problem: CouponProblem | None = None, *, terminal: bool = False, render_mode: None = None
    ) -> None:
        runs = CouponRuns(problem or toy_problem(), 1)
        super().__init__(runs, *_spaces(runs), terminal=terminal, render_mode=render_mode)


class CouponVectorEnv(BatchEnv[NDArray[np.generic], CouponRuns]):
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

    def __init__(
        self,
        num_envs: int = 1,
        problem: CouponProblem | None = None,
        *,
        terminal: bool = False,
        render_mode: None = None,
    ) -> None:
        runs = CouponRuns(problem or toy_problem(), num_envs)
        super().__init__(runs, *_spaces(runs), num_envs, terminal=terminal, render_mode=render_mode)
