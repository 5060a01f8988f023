"""Coupon policies that learn nothing: no coupon, one level for all, chance, and the shop's old rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.bandits.experience import Named, column
from pricing.arrays import Bools, Floats
from pricing.coupon_decision import allowed_action
from pricing.coupon_rules import OfferSituation
from pricing.errors import UsageError
from pricing.policy import Choice

__all__ = ["ConstantLevel", "RandomLevel", "RecencyRule"]


@dataclass(frozen=True)
class ConstantLevel(Named):
    """The same offer to everybody, none where it is not allowed; level 0 is no coupon at all.

    Attributes
    ----------
    level
        Index of the offer.
    """

    level: int = 0
    READS: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """Short name."""
        return f"level-{self.level}" if self.level else "none"

    @property
    def version(self) -> str:
        """It follows from the name."""
        return self.name

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:  # noqa: ARG002 - the protocol's
        """Return the level where it is allowed."""
        if not 0 <= self.level < allowed.shape[-1]:
            raise UsageError(f"Level {self.level} is not on a menu of {allowed.shape[-1]} offers.")
        return Choice(index=allowed_action(np.full(allowed.shape[:2], self.level), allowed))


@dataclass(frozen=True)
class RandomLevel(Named):
    """Every allowed offer, none included, with the same chance."""

    NAME: ClassVar[str] = "random"
    READS: ClassVar[tuple[str, ...]] = ()

    @property
    def version(self) -> str:
        """It follows from the name."""
        return self.name

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:  # noqa: ARG002 - the protocol's
        """Return equal probabilities."""
        chances: Floats = allowed / allowed.sum(axis=-1, keepdims=True)
        return Choice(probabilities=chances)


@dataclass(frozen=True)
class RecencyRule(Named):
    """What many shops do by hand: the longer a customer has stayed away, the deeper the coupon.

    Attributes
    ----------
    periods
        Ascending numbers of periods since the last purchase; from the i-th on offer i is made.
    """

    periods: tuple[int, ...]
    READS: ClassVar[tuple[str, ...]] = ("recency",)
    NAME: ClassVar[str] = "incumbent"

    @property
    def version(self) -> str:
        """It follows from the rule."""
        return f"incumbent-{'-'.join(map(str, self.periods))}"

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the offer of each customer's recency."""
        away = np.exp(column(situation.features, "recency"))
        level = np.searchsorted(np.array(self.periods), away + 1e-9, side="right").astype(np.int64)
        return Choice(index=allowed_action(np.minimum(level, allowed.shape[-1] - 1), allowed))
