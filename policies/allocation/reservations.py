"""Offers that are out: what each may still cost, until it is redeemed or its time is over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from policies.allocation.arrivals import Outcomes
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError, UsageError

__all__ = ["Reservations"]

_COLUMNS = ("offer", "liability", "until", "expected", "base", "lift", "mean", "predicted", "spent")
_OPEN, _SPENT, _OVER = 0.0, 1.0, 2.0


@dataclass(slots=True)
class Reservations:
    """Every offer that was given, by number, in the order given.

    Attributes
    ----------
    count
        How many there are.
    first_open
        All before it are settled.
    """

    count: int = 0
    first_open: int = 0
    _kept: Floats = field(default_factory=lambda: np.zeros((len(_COLUMNS) + 1, 1024)))

    def column(self, name: str) -> Floats:
        """Return one column, float64 [count]."""
        return self._kept[_COLUMNS.index(name), : self.count]

    @property
    def _state(self) -> Floats:
        return self._kept[-1, : self.count]

    def add(self, offer: Ints, **columns: Floats | Ints | float) -> Ints:
        """Reserve J offers; returns their numbers, int64 [J]. `columns` are those of the table, [J] each."""
        while self.count + len(offer) > self._kept.shape[1]:
            self._kept = np.concatenate([self._kept, np.zeros_like(self._kept)], axis=1)
        numbers = np.arange(self.count, self.count + len(offer))
        for name, values in {"offer": offer, "spent": 0.0, **columns}.items():
            self._kept[_COLUMNS.index(name), numbers] = values
        self._kept[-1, numbers] = _OPEN
        self.count += len(offer)
        return numbers

    def settle(self, numbers: Ints, spent: Ints) -> None:
        """Note what redemptions cost.

        Parameters
        ----------
        numbers
            int64 [J]; of reservations that are open.
        spent
            int64 [J]; minor units.

        Raises
        ------
        UsageError
            If a number is unknown, there twice, or no longer open.
        DataError
            If a redemption cost less than nothing or more than was reserved: the ledger must never let it.
        """
        known = (numbers >= 0) & (numbers < self.count)
        if not known.all() or len(np.unique(numbers)) < len(numbers) or self._state[numbers].any():
            raise UsageError(
                "A reservation that is settled is not there, or not open.",
                todo="Settle each reservation once, before it is over.",
            )
        if ((spent < 0) | (spent > self.column("liability")[numbers])).any():
            raise DataError(
                "A redemption cost more than was reserved for it, or less than nothing.",
                why="Reservations are made at maximum liability, so that no budget can be overspent.",
                todo="Correct the offer's maximum liability.",
            )
        self.column("spent")[numbers] = spent
        self._state[numbers] = _SPENT

    def expire(self, now: float) -> Ints:
        """Release reservations whose time is over at `now`; returns their numbers, int64 [J]."""
        here = slice(self.first_open, self.count)
        over = (self._state[here] == _OPEN) & (self.column("until")[here] <= now)
        numbers = self.first_open + np.flatnonzero(over)
        self._state[numbers] = _OVER
        still = np.flatnonzero(self._state[here] == _OPEN)
        self.first_open = self.first_open + int(still[0]) if len(still) else self.count
        return numbers

    @property
    def open(self) -> Ints:
        """Numbers of what is out, int64 [J]."""
        return self.first_open + np.flatnonzero(self._state[self.first_open :] == _OPEN)

    def outcomes(self, now: float, most: int) -> Outcomes:
        """Return the latest `most` offers whose time is over.

        An offer redeemed early counts only when its time is over: those not redeemed are known no sooner, and
        early outcomes alone would be all redemptions.
        """
        over: Bools = (self._state != _OPEN) & (self.column("until") <= now)
        rows = np.flatnonzero(over)[-most:]
        redeemed = self._state[rows] == _SPENT
        return Outcomes(
            self.column("offer")[rows].astype(np.int64),
            self.column("base")[rows],
            self.column("lift")[rows],
            self.column("mean")[rows],
            redeemed,
            np.where(redeemed, self.column("predicted")[rows], 0.0),
            self.column("spent")[rows],
        )
