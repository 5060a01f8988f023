"""Rules over several products: one constraint step that yields the allowed sets before the draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.guardrails import HARD, Admission, Rule, Status
from pricing.menu import at_rung
from pricing.variants import Variants

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
    rank: Ints = np.empty(order.shape, dtype=np.int64)
    np.put_along_axis(rank, order, np.broadcast_to(places, order.shape), axis=1)
    return np.asarray(asking & np.greater_equal(rank, room[:, None]), dtype=np.bool_)


def _unfit(order: Ints, asking: Bools, linked: Bools, room: Ints, variants: Variants) -> Bools:
    """Return which series are left when, in `order`, every group takes its places while they last."""
    runs: Ints = np.arange(len(order), dtype=np.int64)
    group = np.where(linked, variants.group, np.arange(len(variants.group)) + len(variants.starts))
    accepted = np.zeros((len(order), 2 * len(variants.group)), dtype=np.bool_)
    seen = np.zeros_like(accepted)
    for place in range(order.shape[1]):
        series = order[:, place]
        unit = group[runs, series]
        needs = np.where(linked[runs, series], variants.size[series], 1)
        takes = asking[runs, series] & ~seen[runs, unit] & (needs <= room)
        seen[runs, unit] = True
        accepted[runs, unit] |= takes
        room = room - np.where(takes, needs, 0)
    return np.asarray(asking & ~accepted[runs[:, None], group], dtype=np.bool_)


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
    rungs: Ints = np.arange(admission.allowed.shape[-1], dtype=np.int64)
    one_price = variants.alike(np.equal(rungs, admission.current[..., None]))
    return one_price & variants.every(keepable[..., None])[..., 0]
