"""Where customers stand: what the market remembers of them, and what the shop could have seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints, Words
from pricing.errors import UsageError
from simulators.coupons.farming import Waiting

__all__ = ["CONTEXT", "MEMORY", "Seen", "State", "remembered"]

MEMORY = 0.9
"""Share of what was seen of a customer that still counts a period later."""

CONTEXT = (
    "odds", "recency", "rate", "visit", "basket", "cart", "use", "evidence", "felt", "given", "last_depth",
    "steps_left",
)  # fmt: skip
"""Order of the F axis of :meth:`State.context`; all of it can be known by the shop when it decides:

- ``odds``: log odds of buying without a coupon, by the fitted habits and the customer's own history;
- ``visit``: the part of it that is the customer's own;
- ``recency``: log of periods since the last purchase;
- ``rate``: share of late periods with a purchase, older ones fading;
- ``basket``: log of the expected basket over the shop's mean, shrunk towards it;
- ``cart``: 1 / age of the open cart, 0 for none;
- ``use``: log odds of using a coupon beyond the average household's, shrunk towards 0;
- ``evidence``: log of 1 + purchases with a coupon in hand that were seen;
- ``felt``: mean discount (log) of late purchases, older ones fading;
- ``given``: share of late periods with an offer, older ones fading;
- ``last_depth``: discount of the last offer, as a share;
- ``steps_left``: share of the horizon that is left."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the shop saw of B x N customers, older things fading by :data:`MEMORY`; float64 [B, N] each.

    Attributes
    ----------
    rate
        Share of periods with a purchase.
    basket
        Log of the expected basket, minor units, learned from `baskets` purchases.
    baskets
        Purchases that `basket` rests on, in units of information: variance of one over that of the mean.
    visit, visit_information
        Own log odds of buying, learned as `use` is, and the precision of that.
    use
        Log odds of using a coupon beyond the average household's, one Newton step from each to the next.
    use_information
        Precision of that.
    offered
        Purchases with a coupon in hand.
    felt
        Mean log discount of purchases.
    given
        Share of periods with an offer.
    depth
        Discount of the last offer, as a share.
    """

    rate: Floats
    basket: Floats
    baskets: Floats
    visit: Floats
    visit_information: Floats
    use: Floats
    use_information: Floats
    offered: Floats
    felt: Floats
    given: Floats
    depth: Floats


@dataclass(frozen=True, slots=True)
class State:
    """Where B x N customers stand before a period.

    Attributes
    ----------
    since
        int64 [B, N]; periods since the last purchase, at least 1.
    cart
        int64 [B, N]; age of the open cart in periods, 0 for none.
    debt
        float64 [B, N]; purchases brought forward and not yet made good, in usual baskets; hidden.
    habit
        float64 [B, N]; log discount that the customer has come to expect; hidden.
    worn
        float64 [B, N]; share of late periods with an offer, as the customer remembers them; hidden.
    offers
        uint64 [B, N]; one bit a past period, the last one lowest: 1 where an offer was made.
    seen
        What the shop can know.
    waiting
        What farmers hold back (:mod:`simulators.coupons.farming`), hidden; None where nobody farms.
    """

    since: Ints
    cart: Ints
    debt: Floats
    habit: Floats
    worn: Floats
    offers: Words
    seen: Seen
    waiting: Waiting | None = None

    def recent(self, periods: int) -> Ints:
        """Return offers made in the last `periods`, int64 [B, N]; 64 are remembered, more are refused."""
        if not 0 <= periods <= 64:
            raise UsageError(
                f"A frequency cap over {periods} periods cannot be simulated.",
                why="The last 64 periods are remembered.",
                todo="Count the cap over fewer days.",
            )
        mask = np.uint64(2**periods - 1)
        count: Ints = np.bitwise_count(self.offers & mask).astype(np.int64)
        return count

    def context(self, odds: Floats, mean_basket: float, left: float) -> Floats:
        """Return :data:`CONTEXT`, float64 [B, N, F].

        Parameters
        ----------
        odds
            float64 [B, N]; log odds of buying without the customer's own part.
        mean_basket
            Log of the shop's mean basket, minor units.
        left
            Share of the horizon that is left.
        """
        seen = self.seen
        cart = np.where(self.cart > 0, 1.0 / np.maximum(self.cart, 1), 0.0)
        columns = (
            odds + seen.visit, np.log(self.since.astype(np.float64)), seen.rate, seen.visit,
            seen.basket - mean_basket, cart, seen.use,
            np.log1p(seen.offered), seen.felt, seen.given, seen.depth,
            np.full(cart.shape, left),
        )  # fmt: skip
        return np.stack(columns, axis=-1)


def remembered(old: Floats, new: Floats | Bools) -> Floats:
    """Return what is remembered after something new: an exponentially fading mean."""
    out: Floats = MEMORY * old + (1.0 - MEMORY) * new
    return out
