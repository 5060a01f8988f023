"""The incumbent: keep the price in force. What every other policy has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.serve.stored import Parts, Stored, policy_bytes
from pricing.arrays import Bools
from pricing.menu import nearest_allowed
from pricing.policy import Choice
from pricing.situation import Situation

__all__ = ["Incumbent"]


@dataclass(frozen=True)
class Incumbent(Stored):
    """Keep the price in force; where the rules forbid it, take the allowed rung nearest to it."""

    NAME: ClassVar[str] = "incumbent"
    KIND: ClassVar[str] = "rule"

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return the allowed rung nearest in log price; see :class:`pricing.policy.Policy`."""
        now = np.log(situation.state.price.astype(np.float64))
        return Choice(index=nearest_allowed(situation.menu, allowed, now))

    def to_bytes(self) -> bytes:
        """Serialise; there is nothing but the name."""
        return policy_bytes(self.name, {}, {})

    @staticmethod
    def from_parts(parts: Parts) -> Incumbent:  # noqa: ARG004 - the registry's signature
        """Read what :meth:`to_bytes` wrote."""
        return Incumbent()
