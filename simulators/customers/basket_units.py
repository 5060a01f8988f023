"""How many: products of a category in a basket, and units of a product. Urns over small whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats, Ints
from simulators.customers.basket_memory import Singles

__all__ = ["Urn", "fit_urn"]

_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_AGAIN = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
_CELL = 20.0
"""Occasions that the shares of the group above are worth."""
_POOLED, _POOLED_FROM = 0.02, 200
"""Log likelihood an occasion by which a group keeps the common weights, up to so many occasions."""


@dataclass(frozen=True, slots=True)
class Urn:
    """Numbers 1 .. M: what the household did before, beside what anybody does.

    Attributes
    ----------
    share
        float64 [G, M]; of each number in each group of occasions.
    parent
        int64 [G]; the larger group, 0 .. P-1.
    weight, again
        float64 [P]; of those shares, and of the number of the last like occasion, in occasions of the
        household.
    """

    share: Floats
    parent: Ints
    weight: Floats
    again: Floats

    def probability(self, group: Ints, before: Singles, last: Ints) -> Floats:
        """Return probabilities, float64 [n, M].

        Parameters
        ----------
        group
            int64 [n].
        before
            float32 [n, M]; the household's own occasions by number.
        last
            int64 [n]; number of the last like occasion, 0 for none.
        """
        of = self.parent[group]
        out = before + self.weight[of][:, None] * self.share[group]
        there = np.flatnonzero(last > 0)
        out[there, np.minimum(last[there], out.shape[1]) - 1] += self.again[of][there]
        return np.asarray(out / out.sum(axis=1, keepdims=True), dtype=np.float64)

    def drawn(self, group: Ints, before: Singles, last: Ints, u: Floats) -> Ints:
        """Return the numbers at quantiles `u` [n], int64 [n]."""
        upto = np.cumsum(self.probability(group, before, last), axis=1)
        found = (upto < (u * upto[:, -1])[:, None]).sum(axis=1)
        out: Ints = np.minimum(found, upto.shape[1] - 1).astype(np.int64) + 1
        return out


def fit_urn(number: Ints, group: Ints, parent: Ints, before: Singles, last: Ints) -> Urn:
    """Fit shares, shrunk towards those of the parent, and by likelihood the weights of each parent.

    Parameters
    ----------
    number, group
        int64 [n]; numbers above M count as M.
    parent
        int64 [G].
    before, last
        See :meth:`Urn.probability`.
    """
    most = before.shape[1]
    value = np.minimum(number, most) - 1
    P = int(parent.max()) + 1
    share = _shares(value, group, parent, most)
    of, n = parent[group], before.sum(axis=1)
    own, q = before[np.arange(len(value)), value], share[group, value]
    there = last > 0
    same = there & (np.minimum(last, most) - 1 == value)
    gains = {
        (w, a): np.bincount(of, np.log((own + w * q + a * same) / (n + w + a * there)), P)
        for w in _WEIGHTS
        for a in (_AGAIN if there.any() else _AGAIN[:1])
    }
    common = max(gains, key=lambda pair: float(gains[pair].sum()))
    bonus = _POOLED * np.minimum(np.bincount(of, minlength=P), _POOLED_FROM)
    best, weight, again = gains[common] + bonus, np.full(P, common[0]), np.full(P, common[1])
    for (w, a), gain in gains.items():
        better = gain > best
        best, weight, again = (
            np.where(better, gain, best),
            np.where(better, w, weight),
            np.where(better, a, again),
        )
    return Urn(share, parent, weight, again)


def _shares(value: Ints, group: Ints, parent: Ints, most: int) -> Floats:
    G, P = len(parent), int(parent.max()) + 1
    counts = np.bincount(group * most + value, minlength=G * most).reshape(G, most).astype(np.float64)
    above = np.zeros((P, most))
    np.add.at(above, parent, counts)
    overall = above.sum(axis=0) + 0.5
    above += _CELL * overall / overall.sum()
    above /= above.sum(axis=1, keepdims=True)
    share = counts + _CELL * above[parent]
    out: Floats = share / share.sum(axis=1, keepdims=True)
    return out
