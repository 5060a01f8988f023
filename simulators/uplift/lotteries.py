"""Which offers were in the urn: a campaign draws among its own coupons, not among those of every campaign."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.uplift.exposures import Exposures

__all__ = ["comparable_rows", "open_offers"]

_BY_CHANCE = 7.0
"""Expected draws below which it may be chance that an offer never came up: exp(-7) is a thousandth."""


def open_offers(exposures: Exposures) -> Bools:
    """Return which offers each exposure could have been given, bool [N, K].

    Those that are declared. Where nothing is: those that its lottery drew for anybody. Lotteries that drew
    among the same offers are one; a small one that may have missed some of a larger one's offers by chance
    alone is part of that too, because to leave it out for what chance did to it would bend what chance is
    compared with.

    Parameters
    ----------
    exposures
        Drawn by lot (:func:`simulators.uplift.assignment.compared_rows`).
    """
    out = exposures.declared.copy()
    silent = np.asarray(~out.any(axis=1), dtype=np.bool_)
    if silent.any():
        out[silent] = _drawn_for_anybody(exposures.take(silent))
    return out


def comparable_rows(open_to: Bools) -> Bools:
    """Return the exposures that compare an offer with none, bool [N], of `open_to` bool [N, K]."""
    return open_to[:, 0] & open_to[:, 1:].any(axis=1)


def _drawn_for_anybody(exposures: Exposures) -> Bools:
    K = len(exposures.offers)
    numbers, place = np.unique(exposures.lottery, return_inverse=True)
    given = np.zeros((len(numbers), K))
    np.add.at(given, (place, exposures.offer), 1.0)
    urns, kind = np.unique(given > 0.0, axis=0, return_inverse=True)
    drawn, largest = np.zeros((len(urns), K)), np.zeros(len(urns))
    np.add.at(drawn, kind.reshape(-1), given)
    np.maximum.at(largest, kind.reshape(-1), given.sum(axis=1))
    return np.asarray(urns[_joined(drawn, largest)[kind.reshape(-1)[place]]], dtype=np.bool_)


def _joined(drawn: Floats, largest: Floats) -> Ints:
    """Return of each urn the one it is part of, int64 [U].

    Parameters
    ----------
    drawn
        float64 [U, K]; exposures by offer.
    largest
        float64 [U]; exposures of its largest lottery: if that one missed an offer by chance, all did.
    """
    sizes = drawn.sum(axis=1)
    part, sums = np.arange(len(drawn), dtype=np.int64), drawn.copy()
    order = np.argsort(sizes, kind="stable")
    for u in order:
        missing = sums[u] == 0.0
        share = np.where(missing, sums, 0.0).max(axis=1) / sums.sum(axis=1)
        into = (missing | (drawn > 0.0)).all(axis=1) & (missing & (drawn > 0.0)).any(axis=1)
        into &= share * largest[u] < _BY_CHANCE
        if into.any():
            part[u] = int(np.argmax(np.where(into, sums.sum(axis=1), -1.0)))
            sums[part[u]] += sums[u]
    for u in np.argsort(-(drawn > 0.0).sum(axis=1), kind="stable"):
        part[u] = part[part[u]]
    return part
