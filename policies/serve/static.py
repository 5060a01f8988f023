"""The static optimum: the one price that is best if it is held for the whole horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.serve.outlook import Outlook
from policies.serve.planner import Drawn, Problem, parts_of, value, walk
from policies.serve.stored import Parts, Stored, policy_bytes, rows_of
from pricing.arrays import Bools, Floats, Words
from pricing.menu import nearest_allowed
from pricing.policy import Choice
from pricing.scenario import Scenario
from pricing.situation import Situation
from pricing.transition import State

__all__ = ["Static"]

_CELLS = 65536
"""Demand curves times series that are valued side by side."""


@dataclass(frozen=True)
class Static(Stored):
    """Go to one price and stay there.

    At every step it takes the allowed rung nearest to its target, so it walks there as fast as the rules
    let it. Taking the allowed rung with the best profit of the coming week instead would not be static:
    with scarce stock it chases the myopic price.

    Attributes
    ----------
    keys
        uint64 [N]; :attr:`pricing.catalogue.Catalogue.keys`.
    target
        float64 [N]; log shelf price.
    """

    NAME: ClassVar[str] = "static"
    KIND: ClassVar[str] = "planner"
    keys: Words
    target: Floats

    @staticmethod
    def of(scenario: Scenario, drawn: Drawn | None = None) -> Static:
        """Choose the target of every series.

        A rung is worth the fluid profit of the horizon if the price walks to it and stays: stock,
        remembered price and planned promotions included. Only rungs that no standing rule forbids are
        tried, and those that are open today: the price in force may stay whatever its ending.

        Parameters
        ----------
        scenario
            What is known.
        drawn
            Demand curves of some or all series; the mean of their profits is maximised, which is what
            uncertainty asks for. Other series use the beliefs, that is the profit at mean coefficients.
        """
        start = State.start(scenario.catalogue, 1)
        situation = scenario.situation(start, 0)
        allowed = scenario.guardrails.admit(start, situation.conditions).allowed
        outlook, keys = Outlook.of(scenario), scenario.catalogue.keys
        open_ = scenario.guardrails.standing | allowed[0]
        target, every = np.empty(len(keys)), np.arange(len(keys), dtype=np.int64)
        for part, curves in parts_of(drawn, keys, every, _CELLS):
            problem = Problem.of(situation, allowed, outlook, scenario.beliefs, part).under(curves)
            target[part] = _best_held(problem, scenario.menu.log_price[part], open_[part])
        return Static(keys, target)

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return the allowed rung nearest to the target; see :class:`pricing.policy.Policy`.

        Raises
        ------
        UnknownProduct
            If a series has no target.
        """
        rows = rows_of(self.keys, situation.catalogue.keys, self.name)
        wanted = np.broadcast_to(self.target[rows], situation.state.price.shape)
        return Choice(index=nearest_allowed(situation.menu, allowed, wanted))

    def to_bytes(self) -> bytes:
        """Serialise; see :mod:`policies.serve.artifact`."""
        return policy_bytes(self.name, {"keys": self.keys, "target": self.target}, {})

    @staticmethod
    def from_parts(parts: Parts) -> Static:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        keys, target = parts.array("keys", "u", 1), parts.array("target", "f", 1)
        parts.same_length("keys", "target")
        return Static(keys, target)


def _best_held(problem: Problem, logs: Floats, open_: Bools) -> Floats:
    """Return the log price [N] of the open rung that is worth most if held; the price in force if none is."""
    periods = len(problem.conditions)
    worth = np.full(logs.shape, -np.inf)
    for rung in range(logs.shape[1]):
        wish = np.broadcast_to(logs[:, rung], (periods, 1, len(logs)))
        worth[:, rung] = value(problem, walk(problem, wish))[0]
    best = np.argmax(np.where(open_, worth, -np.inf), axis=1)
    chosen = np.where(open_.any(axis=1), logs[np.arange(len(logs)), best], problem.low[0])
    return np.asarray(chosen, dtype=np.float64)
