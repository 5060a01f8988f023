"""The protocol that every policy follows, and the choice that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import ArtifactError
from pricing.situation import Situation

__all__ = ["Choice", "Policy", "one_hot"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy would do: one rung for certain, or probabilities over the allowed rungs.

    Attributes
    ----------
    index
        int64 [B, N]; the rung of a deterministic policy (-1 where nothing is allowed), else None.
    probabilities
        float64 [B, N, K]; 0 outside the allowed set, summing to 1 where it is not empty, else all 0;
        None where `index` says it all.
    components
        int64 [B, N, D] or None; for a policy that is uniform over D stored draws, the rung that each
        draw chooses. The draw that was used is logged with the decision.
    """

    index: Ints | None = None
    probabilities: Floats | None = None
    components: Ints | None = None

    def over(self, rungs: int) -> Floats:
        """Return probabilities float64 [B, N, K] whatever the form of the choice."""
        if self.probabilities is not None:
            return self.probabilities
        if self.index is None:
            raise ArtifactError("A policy returned a choice with neither a rung nor probabilities.")
        return one_hot(self.index, rungs)

    def mode(self) -> Ints:
        """Return the likeliest rung, int64 [B, N] (the lowest of equals); -1 where nothing is allowed."""
        if self.index is not None:
            return self.index
        chances = self.over(0)
        return np.where(chances.any(axis=-1), np.argmax(chances, axis=-1), -1)


@runtime_checkable
class Policy(Protocol):
    """Prices from a situation.

    A policy is a pure function: no clock, no state of its own, no global randomness. What it stores is
    fixed when it is made, and `version` is a digest of that.
    """

    @property
    def name(self) -> str:
        """Short name, as the command line takes it."""
        ...

    @property
    def version(self) -> str:
        """Digest of everything that the choice depends on besides the situation."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the registered features that it reads; empty where it reads the model alone."""
        ...

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return the choice for a batch.

        Parameters
        ----------
        situation
            B runs over N series.
        allowed
            bool [B, N, K]; an empty row means that the series is blocked.
        """
        ...


def one_hot(index: Ints, rungs: int) -> Floats:
    """Return certain probabilities [B, N, K] of the rung `index` [B, N]; -1 gives a row of zeros."""
    places: Ints = np.arange(rungs, dtype=np.int64)
    return np.equal(places, index[..., None]).astype(np.float64)
