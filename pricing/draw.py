"""The draw: what is chosen of a choice, and a last look that it was allowed. Prices and offers share it."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import ArtifactError
from pricing.menu import at_rung
from pricing.policy import Choice

__all__ = ["check_choice", "draw_rung", "of_rung"]


def draw_rung(choice: Choice, u: Floats, rungs: int) -> tuple[Ints, Ints]:
    """Return the rung drawn and the stored draw used (-1 without), int64 [B, N] each.

    Parameters
    ----------
    choice
        Of the policy.
    u
        float64 [B, N]; uniform numbers in [0, 1), see :func:`pricing.randomness.uniforms`.
    rungs
        K.
    """
    none = np.full(u.shape, -1, dtype=np.int64)
    if choice.index is not None:
        return choice.index, none
    chances = choice.over(rungs)
    open_ = chances.any(axis=-1)
    if choice.components is not None:
        count = choice.components.shape[-1]
        used = np.minimum((u * count).astype(np.int64), count - 1)
        rung = np.take_along_axis(choice.components, used[..., None], axis=-1)[..., 0]
        return np.where(open_, rung, -1), np.where(open_, used, -1)
    below = np.cumsum(chances, axis=-1)
    rung = (below <= u[..., None] * below[..., -1:]).sum(axis=-1)
    last = rungs - 1 - np.argmax((chances > 0.0)[..., ::-1], axis=-1)
    return np.where(open_, np.minimum(rung, last), -1), none


def check_choice(probabilities: Floats, index: Ints, allowed: Bools, policy: str) -> None:
    """Refuse a policy that chooses what is not allowed, or chooses nothing: no rule is checked after this.

    Its probabilities [B, N, K] are looked at and the rung drawn [B, N] is too: a rung or draws that say
    another thing than the probabilities beside them would publish what the record gives no chance.

    Raises
    ------
    ArtifactError
        With the row of the batch and the place in it where the choice is not valid.
    """
    total, open_ = probabilities.sum(axis=-1), allowed.any(axis=-1)
    rung = np.clip(index, 0, allowed.shape[-1] - 1)
    drawn = (at_rung(probabilities, rung) > 0.0) & (rung == index)
    outside = ((probabilities != 0.0) & ~allowed).any(axis=-1)
    wrong = (
        outside
        | ~np.isclose(total, open_, rtol=0.0, atol=1e-9)
        | (probabilities < 0.0).any(axis=-1)
        | np.where(open_, ~drawn, index >= 0)
    )
    if wrong.any():
        run, place = (int(i) for i in np.argwhere(wrong)[0])
        raise ArtifactError(
            f"The policy {policy} gives number {place} in row {run} of the batch no valid probabilities.",
            why="They must be zero outside what is allowed and add up to one.",
            todo="Use another policy; this one breaks the protocol of pricing.policy.",
        )


def of_rung(values: Floats, index: Ints) -> Floats:
    """Return values float64 [B, N, K] at rung `index` [B, N], NaN at -1."""
    picked = np.take_along_axis(values, np.maximum(index, 0)[..., None], axis=-1)[..., 0]
    return np.where(index < 0, np.nan, picked)
