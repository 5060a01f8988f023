"""Exposures as arrays: who got which offer, with what chance, and what came before, during and after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import UsageError

__all__ = ["PHASES", "Exposures"]

PHASES = ("before", "during", "after")
"""Of the coupon's window; the total effect is that on `during` and `after` together; `before` has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Exposures:
    """N exposures of customers to one of K offers; offer 0 is no coupon.

    Attributes
    ----------
    customer
        int64 [N]; number of the customer, the cluster of every interval.
    day
        int64 [N]; day of the exposure, counted from 1970-01-01.
    offers
        K names; the first is empty.
    offer
        int64 [N]; which one was given.
    lottery
        int64 [N]; number of the campaign that gave or withheld it: what could have been given goes by it
        (:func:`simulators.uplift.lotteries.open_offers`).
    declared
        bool [N, K]; which offers are said to have been possible; none where nothing is said.
    propensity
        float64 [N]; chance with which it was chosen, as recorded; NaN where it was not.
    drawn
        bool [N]; the table says that it was drawn by lot: a propensity below 1, and not assigned by a rule.
    features
        F names.
    X
        float64 [N, F]; the customer before the exposure; NaN where nothing is known.
    redeemed
        bool [N]; the coupon was used.
    discount
        float64 [N]; what the shop paid for that, minor units, net of tax.
    units, revenue, profit
        float64 [N, 3]; in each of :data:`PHASES`: units, net sales and net profit, minor units.
    window_days, before_days, after_days
        int; length of the phases, the same for all offers.
    currency, fingerprint, as_of
        ISO 4217; of the data; ISO date of the first day not seen.
    """

    customer: Ints
    day: Ints
    offers: tuple[str, ...]
    offer: Ints
    lottery: Ints
    declared: Bools
    propensity: Floats
    drawn: Bools
    features: tuple[str, ...]
    X: Floats
    redeemed: Bools
    discount: Floats
    units: Floats
    revenue: Floats
    profit: Floats
    window_days: int
    before_days: int
    after_days: int
    currency: str
    fingerprint: str
    as_of: str

    def __post_init__(self) -> None:
        N = len(self.customer)
        shapes = dict.fromkeys(_FLAT, (N,)) | {name: (N, len(PHASES)) for name in _PHASED}
        shapes |= {"X": (N, len(self.features)), "declared": (N, len(self.offers))}
        wrong = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        if self.offers[:1] != ("",) or (
            N and not 0 <= self.offer.min() <= self.offer.max() < len(self.offers)
        ):
            wrong.append("offers")
        if wrong:
            raise UsageError(f"These are no exposures: {', '.join(wrong)} do not have the shape declared.")

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def total(self) -> Floats:
        """float64 [N]; net profit during and after the window, minor units."""
        return np.asarray(self.profit[:, 1] + self.profit[:, 2])

    def take(self, chosen: Bools) -> Exposures:
        """Return the exposures where `chosen` [N] holds."""
        names = ("X", "declared", *_FLAT, *_PHASED)
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def reading(self, features: tuple[str, ...]) -> Exposures:
        """Return the same with only these features, in this order."""
        place = {name: f for f, name in enumerate(self.features)}
        missing = [name for name in features if name not in place]
        if missing:
            raise UsageError(f"These exposures do not tell {missing[0]}.", why="The model reads it.")
        return replace(self, features=features, X=self.X[:, [place[name] for name in features]])


_FLAT = ("customer", "day", "offer", "lottery", "propensity", "drawn", "redeemed", "discount")
_PHASED = ("units", "revenue", "profit")
