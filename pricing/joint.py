"""Rules over several products: one constraint step that yields the allowed sets before the draw."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints
from pricing.guardrails import HARD, Admission, Rule, Status
from pricing.menu import at_rung
from pricing.variants import Variants

_Value = TypeVar("_Value", bound=np.generic)

__all__ = ["allowance", "limit_moves"]


def allowance(series: int, share: float) -> int:
    """Return how many of `series` may move: the share, rounded down."""
    return int(np.floor(series * share + 1e-9))


def limit_moves(admission: Admission, gain: Floats, wants: Bools, most: int, variants: Variants) -> Admission:
    """Let the `most` most profitable moves of each run happen and keep every other price.

    A series whose price in force breaks a hard rule has to move, and so do variants whose prices in force
    differ; such moves come first and are never refused. The rest follow in falling expected gain, ties in
    series order; variants move together or not at all, and each of them counts. The share of the catalogue
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
    variants
        Which series move together: those whose equality was not given up.
    """
    if most >= gain.shape[-1]:
        return admission
    keepable, linked = _may_keep(admission), None
    if not variants.alone:
        linked = variants.alike(admission.allowed)
        gain = np.where(linked, variants.mean(gain[..., None])[..., 0], gain)
        keepable = np.where(linked, _all_may_keep(admission, keepable, variants), keepable)
    asking = wants & keepable
    room = np.maximum(most - (wants & ~keepable).sum(axis=1), 0)
    tight = np.flatnonzero(asking.sum(axis=1) > room)
    if not tight.size:
        return admission
    asked, left = asking[tight], room[tight]
    order = np.argsort(np.where(asked, -gain[tight], np.inf), axis=1, kind="stable")
    refused = np.zeros(asking.shape, dtype=np.bool_)
    if linked is None:
        refused[tight] = _over(order, asked, left)
    else:
        refused[tight] = _unfit(order, asked, linked[tight], left, variants)
    return _refuse(admission, refused, np.where(refused, gain, 0.0).max(axis=1, initial=0.0))


def _over(order: Ints, asking: Bools, room: Ints) -> Bools:
    """Return which series come after the first `room` [B] of those asking, in `order` [B, N]."""
    places: Ints = np.arange(order.shape[-1], dtype=np.int64)
    late: Bools = np.greater_equal(places, room[:, None])
    return asking & _unsorted(_flat(order), late)


def _flat(order: Ints) -> Ints:
    """Return where in flat arrays [B N] the series named by `order` [B, N] stand."""
    starts: Ints = np.arange(0, order.size, order.shape[-1], dtype=np.int64)
    return order + starts[:, None]


def _unsorted(at: Ints, values: NDArray[_Value]) -> NDArray[_Value]:
    """Return values [B, N], given in an order, by series; `at` is :func:`_flat` of the order."""
    out = np.empty(values.size, dtype=values.dtype)
    out[at.reshape(-1)] = values.reshape(-1)
    return out.reshape(values.shape)


def _unfit(order: Ints, asking: Bools, linked: Bools, room: Ints, variants: Variants) -> Bools:
    """Return which series are left when, in `order`, every group takes its places while they last.

    A series alone finds no place only where none is left, and then nothing after it does: those that fit
    are the first so many in order. So one only has to walk from group to group.
    """
    several, at, count = variants.several, _flat(order), order.shape[-1]
    tied = asking[:, several] & linked[:, several]
    alone = asking.copy()
    alone[:, several] &= ~tied
    sorted_: Bools = alone.reshape(-1).take(at)
    places: Ints = np.arange(count, dtype=np.int64)
    until = np.zeros((len(order), count + 1), dtype=np.int64)
    np.cumsum(sorted_, axis=1, out=until[:, 1:])
    rank = _unsorted(at, np.broadcast_to(places, order.shape))[:, several]
    turn = np.minimum.reduceat(np.where(tied, rank, count), variants.heads, axis=1)
    fits, taken = _groups_that_fit(turn, until, room, variants.size[several[variants.heads]])
    out = _unsorted(at, sorted_ & np.greater(until[:, 1:], (room - taken)[:, None]))
    out[:, several] |= tied & ~fits[:, variants.place]
    return out


def _groups_that_fit(turn: Ints, until: Ints, room: Ints, size: Ints) -> tuple[Bools, Ints]:
    """Return which groups [B, H] find room when their turn comes, and how many series they are, int64 [B].

    `turn` [B, H] is the place of a group in order, N where it asks for nothing; `until` [B, N + 1] counts
    the series alone before each place.
    """
    runs, nobody = np.arange(len(turn)), until.shape[1] - 1
    fits: Bools = np.zeros(turn.shape, dtype=np.bool_)
    taken: Ints = np.zeros(len(turn), dtype=np.int64)
    for group in np.argsort(turn, axis=1, kind="stable").T:
        here = turn[runs, group]
        now = (here < nobody) & (size[group] <= room - taken - until[runs, here])
        fits[runs, group] = now
        taken = taken + now * size[group]
    return fits, taken


def _refuse(admission: Admission, refused: Bools, shadow: Floats) -> Admission:
    """Return the admission with `refused` [B, N] kept at their prices in force, each of them a rung."""
    at, shape = np.flatnonzero(refused), admission.allowed.shape
    allowed = admission.allowed.reshape(-1, shape[-1]).copy()
    rejections = admission.rejections.reshape(-1, shape[-1]).copy()
    status, relaxed = admission.status.copy(), admission.relaxed.copy()
    current = admission.current.take(at)
    was, why = allowed.take(at, axis=0), rejections.take(at, axis=0)
    here = np.eye(shape[-1], dtype=np.bool_).take(current, axis=0)
    barred = ~here & (was | np.not_equal(why, 0))
    own_broken = ~at_rung(was, current)
    own = at_rung(why, current) & ~Rule.VARIANT_EQUALITY.bit
    allowed[at] = here
    rejections[at] = why | barred * Rule.SHARE_MOVED.bit
    status.reshape(-1)[at[own_broken]] = Status.NO_CHANGE
    relaxed.reshape(-1)[at] |= np.where(own_broken, own, np.uint32(0))
    return replace(
        admission,
        allowed=allowed.reshape(shape),
        rejections=rejections.reshape(shape),
        status=status,
        relaxed=relaxed,
        shadow_price=shadow,
    )


def _may_keep(admission: Admission) -> Bools:
    own = at_rung(admission.rejections, np.maximum(admission.current, 0))
    return np.asarray(np.equal(own & HARD, 0) & np.greater_equal(admission.current, 0), dtype=np.bool_)


def _all_may_keep(admission: Admission, keepable: Bools, variants: Variants) -> Bools:
    """Return bool [B, N]: every variant may keep its price in force, and it is one price."""
    one_price = variants.alike(admission.current[..., None])
    return one_price & variants.every(keepable[..., None])[..., 0]
