"""Thompson sampling on posterior draws: try each price as often as it is likely to be the best one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from policies.serve.stored import Parts, Stored, draws_arrays, policy_bytes, rows_of
from pricing.arrays import Bools, Floats, Ints, Words
from pricing.catalogue import Catalogue
from pricing.demand import Conditions, DemandParameters, log_units
from pricing.errors import UsageError
from pricing.policy import Choice
from pricing.scenario import Scenario
from pricing.situation import Situation

__all__ = ["DRAWS", "Thompson"]

DRAWS = 64
"""Stored posterior draws unless told otherwise; a propensity is a multiple of one over their number."""

_FIELDS = tuple(field.name for field in fields(DemandParameters))
_CELLS = 262_144
"""Draws times runs times series times rungs that are valued side by side."""


@dataclass(frozen=True)
class Thompson(Stored):
    """Uniform over D stored posterior draws, each choosing what would be best if it were true.

    (Thompson 1933; Ferreira, Simchi-Levi and Wang, Operations Research 2018, for limited stock.) A rung is
    worth what it brings if it is held: the coming period at today's state and planned promotions, then
    the periods left at the demand that the price itself settles to, without promotions, until the stock
    is sold; and in each of them what it brings to its rivals. The propensity of a price is exactly the share
    of draws that choose it.

    Attributes
    ----------
    keys
        uint64 [N]; :attr:`pricing.catalogue.Catalogue.keys`.
    draws
        Demand, float64 [D, N] each.
    """

    NAME: ClassVar[str] = "thompson"
    KIND: ClassVar[str] = "bandit"
    keys: Words
    draws: DemandParameters

    def __post_init__(self) -> None:
        shape = self.draws.level.shape
        if len(shape) != 2 or shape[0] < 1 or shape[1] != len(self.keys):
            raise UsageError(f"Thompson sampling needs draws [D, {len(self.keys)}], not {shape}.")

    @staticmethod
    def of(scenario: Scenario, draws: DemandParameters) -> Thompson:
        """Make the policy for a scenario; draws [D, N] in the order of its catalogue."""
        return Thompson(scenario.catalogue.keys, draws)

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return the rung of every draw and their shares; see :class:`pricing.policy.Policy`.

        Raises
        ------
        UnknownProduct
            If the draws do not cover a series.
        """
        rows = rows_of(self.keys, situation.catalogue.keys, self.name)
        runs, count, rungs = allowed.shape
        curves = len(self.draws.level)
        components = np.empty((runs, count, curves), dtype=np.int64)
        size = max(_CELLS // (curves * runs * rungs), 1)
        for start in range(0, count, size):
            part = np.arange(start, min(start + size, count), dtype=np.int64)
            draws = DemandParameters(*(getattr(self.draws, n)[:, None, rows[part], None] for n in _FIELDS))
            worth = np.where(allowed[:, part], _held(situation, draws, part), -np.inf)
            components[:, part] = np.moveaxis(np.argmax(worth, axis=-1), 0, -1)
        components[~allowed.any(axis=-1)] = -1
        shares = np.empty(allowed.shape)
        for rung in range(rungs):
            shares[..., rung] = np.equal(components, rung).sum(axis=-1) / curves
        return Choice(probabilities=shares, components=components)

    def to_bytes(self) -> bytes:
        """Serialise; see :mod:`policies.serve.artifact`."""
        return policy_bytes(self.name, {"keys": self.keys, **draws_arrays(self.draws)}, {})

    @staticmethod
    def from_parts(parts: Parts) -> Thompson:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        keys = parts.array("keys", "u", 1)
        return Thompson(keys, parts.draws(len(keys)))


def _held(situation: Situation, draws: DemandParameters, part: Ints) -> Floats:
    """Return what holding each rung brings under each draw, float64 [D, B, n, K], minor units."""
    logs, state = situation.menu.log_price[part], situation.state
    catalogue = situation.catalogue.take(part)
    stock = state.stock[:, part, None]
    told = situation.conditions
    today = Conditions(*(_by_rung(getattr(told, field.name), part) for field in fields(told)))
    first = np.exp(log_units(draws, logs, state.lag[:, part, None], state.reference[:, part, None], today))
    sold = np.minimum(first, stock)
    worth = sold * _unit_profit(catalogue, logs + today.depth)
    later = situation.periods_left - 1
    if later > 0:
        plain = replace(Conditions.plain(1), rivals=today.rivals)
        steady = np.exp(log_units(draws, logs, logs, logs, plain))
        worth += np.minimum(later * steady, stock - sold) * _unit_profit(catalogue, logs)
    spill = draws.spill * (logs - catalogue.log_price[:, None])
    return np.asarray(worth + (later + 1) * spill)


def _unit_profit(catalogue: Catalogue, logs: Floats) -> Floats:
    return np.swapaxes(catalogue.unit_profit(np.swapaxes(np.exp(logs), -1, -2)), -1, -2)


def _by_rung(array: Floats, part: Ints) -> Floats:
    values = np.asarray(array)
    return (values[..., part] if values.ndim and values.shape[-1] > 1 else values)[..., None]
