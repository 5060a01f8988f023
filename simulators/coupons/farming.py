"""Customers who farm coupons: they have learned that a purchase held back brings one.

Whoever expects a coupon puts a purchase off (Goenuel and Srinivasan, Marketing Science 1996), as buyers who
expect a lower price do (Besanko and Winston, Management Science 1990). Of air travellers 5 to 19 % do so
(Li, Granados, Netessine, Management Science 2014, quartiles over markets). What is assumed here:

- A farmer wishes to buy when, and as much as, their honest self would: only when and what they pay differs.
- Without a coupon in hand they hold the purchase back, cart left open, while an offer of the last `memory`
  periods lets them expect another, for `patience` periods at most. What they wish for meanwhile joins it.
- Given a coupon they buy all of it and use it for certain, but buy no more than their honest self.
- Who has waited in vain buys at the full price, or drops the purchase for good.

They learn from their own offers alone, so where nobody is ever offered anything they are honest customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints, Words
from pricing.errors import UsageError

__all__ = ["HONEST", "Farmers", "Farming", "Till", "Waiting", "at_the_till"]


@dataclass(frozen=True, slots=True)
class Farming:
    """What is assumed of farmers; pairs are the ends of a uniform distribution over farmers, both included.

    Attributes
    ----------
    share
        Of the customers who farm, 0 to 1.
    patience
        Periods that a purchase is held back at most, at least 1.
    memory
        Periods after an offer in which another is expected, 1 to 64.
    dropped
        Chance that a purchase held back in vain is not made at all.
    """

    share: float = 0.0
    patience: tuple[int, int] = (1, 4)
    memory: tuple[int, int] = (4, 16)
    dropped: tuple[float, float] = (0.0, 0.3)

    def __post_init__(self) -> None:
        ranges = (
            ((0.0, self.share), 0.0, 1.0), (self.patience, 1, 10_000), (self.memory, 1, 64),
            (self.dropped, 0.0, 1.0),
        )  # fmt: skip
        if not all(least <= low <= high <= most for (low, high), least, most in ranges):
            raise UsageError(
                f"Nobody can farm as {self} says.",
                todo="Give a share from 0 to 1, patience from 1, memory from 1 to 64, chances from 0 to 1.",
            )


HONEST = Farming()
"""Nobody farms."""


@dataclass(frozen=True, slots=True)
class Farmers:
    """Which of B x N customers farm, and how.

    Attributes
    ----------
    who
        bool [B, N].
    patience, memory
        int64 [B, N]; periods.
    dropped
        float64 [B, N]; chance.
    """

    who: Bools
    patience: Ints
    memory: Ints
    dropped: Floats

    @staticmethod
    def of(farming: Farming, u: Floats) -> Farmers:
        """Draw them from uniforms [B, N, 4]; whoever farms at a share farms at every larger one."""

        def whole(ends: tuple[int, int], place: int) -> Ints:
            return ends[0] + (u[..., place] * (ends[1] - ends[0] + 1)).astype(np.int64)

        low, high = farming.dropped
        return Farmers(
            u[..., 0] < farming.share, whole(farming.patience, 1), whole(farming.memory, 2),
            low + (high - low) * u[..., 3],
        )  # fmt: skip

    def expect(self, offers: Words) -> Bools:
        """Return who was offered something within their memory, bool [B, N]; `offers` as a state has them."""
        kept = np.uint64(0xFFFFFFFFFFFFFFFF) >> (64 - self.memory).astype(np.uint64)
        return np.asarray(self.who & ((offers & kept) > 0))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What farmers have in mind before a period, arrays [B, N]; nobody else can see it.

    Attributes
    ----------
    goods
        float64; held back, minor units at shelf prices; 0 for whoever holds nothing back.
    periods
        int64; how long it has been.
    since, cart
        int64; periods since the last wish to buy, and age of the cart, of the honest self.
    """

    goods: Floats
    periods: Ints
    since: Ints
    cart: Ints

    @staticmethod
    def for_nothing(since: Ints) -> Waiting:
        """Return the start: nothing is held back."""
        zero = np.zeros(since.shape, dtype=np.int64)
        return Waiting(np.zeros(since.shape), zero, since, zero)


@dataclass(frozen=True, slots=True)
class Till:
    """What was paid in a period and what was put off, arrays [B, N].

    Attributes
    ----------
    bought, used
        bool; a purchase, and one with the coupon used.
    value
        float64; goods bought, minor units at shelf prices.
    opened
        bool; wishes that went into an open cart instead.
    goods, periods
        Held back after the period, as in :class:`Waiting`.
    """

    bought: Bools
    used: Bools
    value: Floats
    opened: Bools
    goods: Floats
    periods: Ints


def at_the_till(
    farmers: Farmers,
    waiting: Waiting,
    *,
    expect: Bools,
    given: Bools,
    wished: Bools,
    used: Bools,
    value: Floats,
    u: Floats,
) -> Till:
    """Return what customers do about their wishes; whoever does not farm fulfils them.

    Parameters
    ----------
    farmers, waiting
        Who farms, and what they hold back.
    expect, given
        bool [B, N]; who expects a coupon, and who has one in hand.
    wished, used, value
        [B, N]; what the honest selves buy, and whether with the coupon.
    u
        float64 [B, N]; chance of dropping what was held back in vain.
    """
    goods = waiting.goods + value
    ready = wished | (waiting.goods > 0.0)
    holds = expect & ~given & ready & (waiting.periods < farmers.patience)
    drops = ~given & ~holds & (waiting.periods > 0) & (u < farmers.dropped)
    bought = ready & ~holds & ~drops
    return Till(
        bought=bought,
        used=np.where(farmers.who, bought & given, used),
        value=np.where(bought, goods, 0.0),
        opened=holds & wished,
        goods=np.where(holds, goods, 0.0),
        periods=np.where(holds, waiting.periods + 1, 0),
    )
