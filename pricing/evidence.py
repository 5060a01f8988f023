"""How the effect of a price is known, and which effect is meant."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Identification", "PriceKind"]


class PriceKind(IntEnum):
    """Which price moved. Two coefficients, not one: shoppers answer a new shelf tag less than a deal."""

    REGULAR = 0
    DISCOUNT = 1

    @property
    def label(self) -> str:
        """The word written to output tables."""
        return self.name.lower()


class Identification(IntEnum):
    """What identifies an elasticity, strongest first."""

    EXPERIMENT = 0
    INSTRUMENT = 1
    PROMO_CONTROLLED = 2
    PRIOR = 3
    NOT_IDENTIFIED = 4

    @property
    def label(self) -> str:
        """The word written to output tables."""
        return self.name.lower()

    @property
    def may_act(self) -> bool:
        """Whether a price may be moved on this evidence without an explicit opt-in."""
        return self <= Identification.PROMO_CONTROLLED
