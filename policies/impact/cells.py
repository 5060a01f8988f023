"""Cells: what was randomised, and how it could have been.

A cell is a cluster in a block. Within each stratum the same number of cells is treated in every assignment
that could have been drawn; all of these are equally likely. Inference here rests on that and on nothing else
(Fisher 1935; Imbens and Rubin, "Causal Inference", 2015, chapters 5 and 9).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import comb

import numpy as np

from pricing.arrays import Bools, Floats, Ints

__all__ = ["Cells", "contrasts", "growth_removed", "membership"]

_HALF = 3.0
"""Cells of a class at which half of its own growth is believed, half that of all."""


@dataclass(frozen=True)
class Cells:
    """J randomised cells.

    Attributes
    ----------
    before
        float64 [J]; net profit a period before the trial.
    stratum
        int64 [J]; numbered from 0.
    kind
        int64 [J]; numbered from 0: cells that share a fate of their own, as a category or a stretch of time.
    treated
        bool [J]; which were drawn.
    """

    before: Floats
    stratum: Ints
    kind: Ints
    treated: Bools

    def __len__(self) -> int:
        return len(self.before)

    @cached_property
    def scale(self) -> Floats:
        """float64 [J]; size of a cell, to which effects are taken to be in proportion: its profit before."""
        return np.abs(self.before)

    @property
    def weight(self) -> float:
        """Size of all treated cells."""
        return float(self.scale[self.treated].sum())

    @cached_property
    def assignments(self) -> int:
        """How many assignments were equally likely; at most ten to the thirty."""
        found = 1
        for stratum in np.unique(self.stratum).tolist():
            here = self.treated[self.stratum == stratum]
            found = min(found * comb(len(here), int(here.sum())), 10**30)
        return found

    def drawn(self, count: int, rng: np.random.Generator) -> Bools:
        """Return assignments drawn at random, bool [M, J], each stratum with its own number treated."""
        out = np.zeros((count, len(self)), dtype=np.bool_)
        for stratum in np.unique(self.stratum).tolist():
            here = np.flatnonzero(self.stratum == stratum)
            keys = rng.random((count, len(here))).argsort(axis=1)
            out[:, here] = keys < int(self.treated[here].sum())
        return out

    def one(self, rng: np.random.Generator) -> Cells:
        """Return the same cells under one assignment drawn at random."""
        return replace(self, treated=self.drawn(1, rng)[0])


def membership(numbers: Ints) -> Floats:
    """Return who is of which number, float64 [J, highest + 1] of 0 and 1, from int64 [J]."""
    every: Ints = np.arange(int(numbers.max(initial=0)) + 1, dtype=np.int64)
    return np.equal(numbers[:, None], every).astype(np.float64)


def contrasts(treated: Bools, stratum: Ints) -> Floats:
    """Return the weights of cells in each contrast of treated with held cells.

    Parameters
    ----------
    treated
        bool [M, J]; assignments.
    stratum
        int64 [J].

    Returns
    -------
    float64 [M, J]; 1 where treated; where held, minus the treated cells of its stratum over its held ones.
    So the weighted sum is what treated cells have more than held ones of their stratum would have in their
    place. A stratum without both kinds has weight 0.
    """
    where: Ints = np.asarray(np.unique(stratum, return_inverse=True)[1], dtype=np.int64)
    member = membership(where)
    on = treated.astype(np.float64) @ member
    off = member.sum(axis=0) - on
    both = (on > 0) & (off > 0)
    held = np.where(both, on / np.where(off > 0, off, 1.0), 0.0)
    return np.asarray(np.where(treated, both[:, where], -held[:, where]), dtype=np.float64)


def growth_removed(values: Floats, cells: Cells) -> Floats:
    """Return values [..., J] less what their past makes expect: growth times their profit before.

    Growth is that of all cells, plus what those of one kind share, shrunken by how few they are. It takes no
    notice of the assignment, so contrasts under the null hypothesis keep their distribution whatever it
    is; what it does is make them smaller (covariate adjustment: Deng, Xu, Kohavi, Walker, WSDM 2013; within
    randomisation tests: Rosenbaum, Statistical Science 2002).
    """
    before, kind = cells.before, cells.kind
    total = before.sum()
    if total <= 0.0:
        return values
    left = values - values.sum(axis=-1, keepdims=True) / total * before
    member = membership(kind)
    size, past = member.sum(axis=0), before @ member
    fine = past > 0.0
    share = np.where(fine, size / (size + _HALF) / np.where(fine, past, 1.0), 0.0)
    own = (left @ member) * share
    out: Floats = left - own[..., kind] * before
    return out
