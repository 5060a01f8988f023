"""Model-predictive control: at each step plan the rest of the horizon, then do its first step.

Re-solving a fluid problem as information arrives is the standard heuristic of revenue management with a
regret bound (Jasin and Kumar, Mathematics of Operations Research 2012). Here the plan is relaxed, the
first price is not: every near rung is tried with a plan of its own behind it, and the best one is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from policies.serve.outlook import Outlook
from policies.serve.planner import Drawn, Plan, Problem, climb, hold, parts_of, value, walk
from policies.serve.stored import Parts, Stored, draws_arrays, policy_bytes, rows_of
from pricing.arrays import Bools, Floats, Ints
from pricing.policy import Choice
from pricing.scenario import Scenario
from pricing.situation import Situation

__all__ = ["Resolve"]

_LEVELS, _STEPS, _RATE = 25, 60, 0.03
"""Held prices tried as a start; gradient steps of the plan and their first size in log price."""

_NEAR, _TAIL_STEPS, _TAIL_RATE = 4, 10, 0.01
"""Rungs tried for the first price; gradient steps of the plan behind each."""

_CELLS = 8192
"""Demand curves times runs times series that are planned side by side: what a core's cache holds."""


@dataclass(frozen=True)
class Resolve(Stored):
    """Re-solve the fluid problem at every step.

    Attributes
    ----------
    outlook
        What is planned and allowed over the horizon.
    drawn
        Demand curves of some or all series, whose mean profit is maximised; the others are planned with
        the mean coefficients of the situation's beliefs, D times faster.
    """

    NAME: ClassVar[str] = "resolve"
    KIND: ClassVar[str] = "planner"
    outlook: Outlook
    drawn: Drawn | None = None

    @staticmethod
    def of(scenario: Scenario, drawn: Drawn | None = None) -> Resolve:
        """Make the policy for a scenario; `drawn` as the attribute."""
        return Resolve(Outlook.of(scenario), drawn)

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return the first rung of the best plan; see :class:`pricing.policy.Policy`.

        Raises
        ------
        UnknownProduct
            If the outlook does not know a series.
        """
        keys = situation.catalogue.keys
        rows = rows_of(self.outlook.keys, keys, self.name)
        outlook = self.outlook.take(rows).last(situation.periods_left)
        index = np.where(allowed.any(axis=-1), np.argmax(allowed, axis=-1), -1)
        choice = np.flatnonzero((allowed.sum(axis=-1) > 1).any(axis=0))  # where there is one
        for part, curves in parts_of(self.drawn, keys, choice, _CELLS // len(index)):
            problem = Problem.of(situation, allowed, outlook, situation.beliefs, part).under(curves)
            index[:, part] = _first_rung(problem, situation.menu.log_price[part], allowed[:, part])
        return Choice(index=index)

    def to_bytes(self) -> bytes:
        """Serialise; see :mod:`policies.serve.artifact`."""
        arrays: dict[str, Any] = dict(self.outlook.arrays())
        if self.drawn is not None:
            arrays |= {"drawn": self.drawn.keys, **draws_arrays(self.drawn.curves)}
        return policy_bytes(
            self.name, arrays, {**self.outlook.numbers(), "with_draws": self.drawn is not None}
        )

    @staticmethod
    def from_parts(parts: Parts) -> Resolve:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        outlook = Outlook.from_parts(parts)
        if not parts.meta.get("with_draws"):
            return Resolve(outlook)
        keys = parts.array("drawn", "u", 1)
        return Resolve(outlook, Drawn(keys, parts.draws(len(keys))))


def _first_rung(problem: Problem, logs: Floats, allowed: Bools) -> Ints:
    """Return the allowed rung [B, N] with the best first period and plan behind it, -1 where none is."""
    plan = climb(problem, hold(problem, _LEVELS), _STEPS, _RATE)
    distance = np.where(allowed, np.abs(logs - plan.log_price[0][..., None]), np.inf)
    near = np.moveaxis(np.argsort(distance, axis=-1, kind="stable")[..., :_NEAR], -1, 0)
    runs, count = allowed.shape[:2]
    tried = problem.starting(logs[np.arange(count), near])
    wish = np.tile(plan.log_price, (1, len(near), 1))
    path = walk(tried, wish)
    start = Plan(path, value(tried, path))
    best = climb(tried, start, _TAIL_STEPS, _TAIL_RATE) if len(path) > 1 else start
    worth = best.value.reshape(len(near), runs, count)
    far = ~np.isfinite(np.take_along_axis(np.moveaxis(distance, -1, 0), near, axis=0))
    pick = np.argmax(np.where(far, -np.inf, worth), axis=0)
    rung = np.take_along_axis(near, pick[None], axis=0)[0]
    return np.where(allowed.any(axis=-1), rung, -1).astype(np.int64)
