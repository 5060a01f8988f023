"""Who gets nothing on purpose: what holdouts leave open, and caps on how often a customer is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.allocation.instance import Cells, Choices, Schedule
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError

__all__ = ["Holdout", "within_frequency"]


@dataclass(frozen=True, slots=True)
class Holdout:
    """Customers who get no offer of a campaign, so that what the campaign adds can be measured.

    Attributes
    ----------
    share
        Probability of being held out of a campaign, each drawn on its own.
    campaign
        int64 [K]; campaign of each offer, 0 to C-1; -1 for no coupon.
    held
        bool [N, C]; :func:`pricing.coupon_rules.held_out`.
    """

    share: float
    campaign: Ints
    held: Bools

    def left_open(self, eligible: Bools) -> Bools:
        """Return what the holdout leaves open, bool [N, K], of what was eligible; no coupon always is."""
        found = eligible & ~self.held[:, self.campaign]
        found[:, 0] = True
        return found

    def propensity(self, cells: Cells, schedule: Schedule, shadow: Floats, choice: Choices) -> Floats:
        """Return the probability of each choice over the holdout's draw, at these shadow prices.

        Parameters
        ----------
        cells
            N customers, eligible as if nobody were held out.
        schedule, shadow
            R limits and their prices, float64 [R].
        choice
            int16 [N]; what was given under the holdout.

        Returns
        -------
        float64 [N]. A customer takes the best offer of the campaigns that chance leaves open: its campaign
        must be open, those with something better held. Without a holdout all is certain.
        """
        found = np.where(choice > 0, 1.0 - self.share, 1.0)
        rows = np.flatnonzero(self.held.any(axis=1))  # nobody else was kept from anything
        part, held, given = cells.rows(rows), self.held[rows], choice[rows]
        per_cost, per_offer = schedule.priced(shadow)
        reduced = part.value - per_cost * part.cost - per_offer
        reduced = np.where(part.eligible & (part.cost <= schedule.roof), reduced, -np.inf)
        reduced[:, 0] = 0.0
        taken = reduced[np.arange(len(rows)), given]
        for c in range(held.shape[1]):
            best = reduced[:, self.campaign == c].max(axis=1, initial=-np.inf)
            found[rows[held[:, c] & (best > taken)]] *= self.share
        return found


def within_frequency(eligible: Bools, recent: Ints, most: int) -> Bools:
    """Close every offer to customers who had enough lately.

    Parameters
    ----------
    eligible
        bool [N, K].
    recent
        int64 [N] or [N, K]; offers, or offers of this coupon, that a customer had in the window that counts.
    most
        As many are allowed, this one included.

    Raises
    ------
    DataError
        If a count is negative.
    """
    if (recent < 0).any():
        raise DataError("A customer had fewer than no offers.", todo="Count them again.")
    enough = recent >= most
    found = eligible & ~(enough if enough.ndim == 2 else enough[:, None])
    found[:, 0] = True
    return found
