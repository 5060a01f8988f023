"""The directed policy: go to the allowed price nearest to a target; what an action of an agent means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.guardrails import GuardrailSettings
from pricing.menu import nearest_allowed
from pricing.policy import Choice
from pricing.situation import Situation

__all__ = ["Directed", "index_target", "latent_target", "latent_width"]

_WIDEST = 0.5


@dataclass(frozen=True)
class Directed:
    """A policy that wants one price for every series and takes the nearest allowed one.

    Environments turn the agent's action into one of these and settle it like any other policy: whatever
    the action, the price is allowed, and nothing is clipped after the choice.

    Attributes
    ----------
    target
        float64 [B, N]; log shelf price wanted.
    """

    target: Floats
    name: str = "directed"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return the allowed rung nearest to the target, int64 [B, N]; -1 where nothing is allowed."""
        return Choice(index=nearest_allowed(situation.menu, allowed, self.target))


def index_target(situation: Situation, index: Ints) -> Floats:
    """Return the log price of rung `index` [B, N], float64 [B, N]."""
    return situation.menu.log_price_at(index)


def latent_target(situation: Situation, latent: Floats, width: float) -> Floats:
    """Return the log price that a latent in -1 to 1 [B, N] asks for: price in force plus latent widths."""
    return np.log(situation.state.price.astype(np.float64)) + latent * width


def latent_width(settings: GuardrailSettings) -> float:
    """Return the log price distance of a latent of 1: the largest move that one step allows.

    It is measured downwards, where it is longer, so that both ends of the corridor can be reached; a
    corridor wider than one half counts as one half.
    """
    return float(-np.log1p(-min(settings.max_change, _WIDEST)))
