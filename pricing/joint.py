"""Rules over several products: one constraint step that yields the allowed sets before the draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.guardrails import HARD, Admission, Rule, Status

__all__ = ["agree", "allowance", "limit_moves"]


def allowance(series: int, share: float) -> int:
    """Return how many of `series` may move: the share, rounded down."""
    return int(np.floor(series * share + 1e-9))


def limit_moves(admission: Admission, gain: Floats, wants: Bools, most: int, variant_of: Ints) -> Admission:
    """Let the `most` most profitable moves of each run happen and keep every other price.

    A series whose price in force breaks a hard rule has to move; such moves come first and are never
    refused. The rest follow in falling expected gain, ties in series order. The share of the catalogue
    outranks commercial rules, so a refused series keeps its price even where that breaks one of those.

    Parameters
    ----------
    admission
        Allowed sets of B runs over N series.
    gain
        float64 [B, N]; expected profit of the wanted choice over keeping the price, minor units.
    wants
        bool [B, N]; the policy may move this series.
    most
        Moves a run may make; see :func:`allowance`.
    variant_of
        int64 [N]; series of one number move together or not at all, and each counts as a move.
    """
    if most >= gain.shape[-1]:
        return admission
    gain, wants = _together(gain, variant_of), _together(wants, variant_of) > 0
    keepable = _may_keep(admission)
    asking = wants & keepable
    room = np.maximum(most - (wants & ~keepable).sum(axis=1), 0)
    if bool((asking.sum(axis=1) <= room).all()):
        return admission
    order = np.argsort(np.where(asking, -gain, np.inf), axis=1, kind="stable")
    places: Ints = np.arange(gain.shape[-1], dtype=np.int64)
    rank: Ints = np.empty(gain.shape, dtype=np.int64)
    np.put_along_axis(rank, order, np.broadcast_to(places, gain.shape), axis=1)
    refused = asking & np.greater_equal(rank, room[:, None])
    refused = asking & (_together(refused, variant_of) > 0)
    first_out = asking & np.equal(rank, room[:, None])
    rungs: Ints = np.arange(admission.allowed.shape[-1], dtype=np.int64)
    here = np.equal(rungs, admission.current[..., None])
    barred = refused[..., None] & ~here & admission.allowed
    own_broken = refused & ~(here & admission.allowed).any(axis=-1)
    return replace(
        admission,
        allowed=np.where(refused[..., None], here, admission.allowed),
        rejections=admission.rejections | np.where(barred, Rule.SHARE_MOVED.bit, np.uint32(0)),
        status=np.where(own_broken, np.int8(Status.NO_CHANGE), admission.status),
        shadow_price=np.where(first_out, np.maximum(gain, 0.0), 0.0).sum(axis=1),
    )


def agree(probabilities: Floats, variant_of: Ints) -> Floats:
    """Give series of one `variant_of` the same probabilities [B, N, K]: the mean of theirs."""
    _, group, counts = np.unique(variant_of, return_inverse=True, return_counts=True)
    if counts.max(initial=1) == 1:
        return probabilities
    members = np.equal(np.arange(len(counts))[:, None], group).astype(np.float64)
    mean = np.einsum("gn,bnk->bgk", members / counts[:, None], probabilities)
    return np.asarray(mean[:, group], dtype=np.float64)


def _together(values: Floats | Bools, variant_of: Ints) -> Floats:
    """Return [B, N] values averaged over the series that move together."""
    return agree(values[..., None].astype(np.float64), variant_of)[..., 0]


def _may_keep(admission: Admission) -> Bools:
    index = np.maximum(admission.current, 0)
    own = np.take_along_axis(admission.rejections, index[..., None], axis=-1)[..., 0]
    return np.asarray(np.equal(own & HARD, 0) & np.greater_equal(admission.current, 0), dtype=np.bool_)
