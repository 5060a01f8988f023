"""Rules in an order of precedence, as the bits of a rejection: what those of prices and of offers share."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np

from pricing.arrays import Bits, Bools

__all__ = ["RankedRule", "bits_of"]


class RankedRule(IntEnum):
    """A rule; its value is its place in falling precedence, and its bit."""

    @property
    def bit(self) -> np.uint32:
        """The rule as a bit of a rejection."""
        return np.uint32(1 << self.value)

    @property
    def label(self) -> str:
        """The code written to output tables."""
        return self.name.lower()


def bits_of(broken: Iterable[tuple[RankedRule, Bools | np.bool_]], shape: tuple[int, ...]) -> Bits:
    """Return the rules that are broken, uint32 of this shape, from where each is (bool, to be broadcast)."""
    bits = np.zeros(shape, dtype=np.uint32)
    for rule, hit in broken:
        bits |= np.where(hit, rule.bit, np.uint32(0))
    return bits
