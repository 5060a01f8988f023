"""Model-predictive control: at each step plan the rest of the horizon, then do its first step.

Re-solving a fluid problem as information arrives is the standard heuristic of revenue management with a
regret bound (Jasin and Kumar, Mathematics of Operations Research 2012). Here the plan is relaxed, the
first price is not: every near rung is tried with a plan of its own behind it, and the best one is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from policies.serve.outlook import Outlook
from policies.serve.planner import Plan, Problem, climb, hold, value, walk
from policies.serve.stored import Parts, Stored, draws_arrays, policy_bytes, rows_of
from pricing.arrays import Bools, Floats, Ints
from pricing.demand import DemandParameters
from pricing.policy import Choice
from pricing.scenario import Scenario
from pricing.situation import Situation

__all__ = ["Resolve"]

_FIELDS = tuple(field.name for field in fields(DemandParameters))
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
    draws
        Posterior draws of demand, float64 [D, N] each, whose mean profit is maximised; None plans with
        the mean coefficients of the situation's beliefs, D times faster.
    """

    NAME: ClassVar[str] = "resolve"
    outlook: Outlook
    draws: DemandParameters | None = None

    @staticmethod
    def of(scenario: Scenario, draws: DemandParameters | None = None) -> Resolve:
        """Make the policy for a scenario; `draws` as the attribute, in the order of its catalogue."""
        return Resolve(Outlook.of(scenario), draws)

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
        beliefs = situation.beliefs if self.draws is None else _pick(self.draws, rows)
        runs, count = situation.state.price.shape
        curves = 1 if beliefs.level.ndim == 1 else len(beliefs.level)
        size = max(_CELLS // (curves * runs), 1)
        index = np.empty((runs, count), dtype=np.int64)
        for start in range(0, count, size):
            part = np.arange(start, min(start + size, count), dtype=np.int64)
            problem = Problem.of(situation, allowed, outlook, beliefs, part)
            index[:, part] = _first_rung(problem, situation.menu.log_price[part], allowed[:, part])
        return Choice(index=index)

    def to_bytes(self) -> bytes:
        """Serialise; see :mod:`policies.serve.artifact`."""
        arrays: dict[str, Any] = dict(self.outlook.arrays())
        if self.draws is not None:
            arrays |= draws_arrays(self.draws)
        return policy_bytes(
            self.name, arrays, {**self.outlook.numbers(), "with_draws": self.draws is not None}
        )

    @staticmethod
    def from_parts(parts: Parts) -> Resolve:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        outlook = Outlook.from_parts(parts)
        return Resolve(outlook, parts.draws(len(outlook.keys)) if parts.meta.get("with_draws") else None)


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


def _pick(parameters: DemandParameters, rows: Ints) -> DemandParameters:
    return DemandParameters(*(getattr(parameters, name)[..., rows] for name in _FIELDS))
