"""What a coupon policy learns from, what it may know of a shop, and the protocol of one that learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from scipy.special import expit

from pricing.arrays import Bools, Floats, Ints
from pricing.coupon_decision import OfferPolicy
from pricing.errors import UsageError
from simulators.coupons.habits import Habits
from simulators.coupons.shop_floor import ShopFloor
from simulators.coupons.state import CONTEXT

__all__ = ["Experience", "Learner", "Named", "Shop", "column"]


@dataclass(frozen=True, slots=True)
class Experience:
    """What came of the offers of a period to N customers.

    Attributes
    ----------
    features
        float64 [N, F]; what was known when it was decided, by :data:`simulators.coupons.state.CONTEXT`.
    offer
        int64 [N]; the offer made, 0 for none.
    bought, used
        bool [N]; a purchase in the period, and one with the coupon used.
    value
        float64 [N]; goods bought in it, minor units at shelf prices.
    profit
        float64 [N]; net profit, minor units, of that period and of those that followed until this was told:
        what an offer does later is learned late, or not at all.
    """

    features: Floats
    offer: Ints
    bought: Bools
    used: Bools
    value: Floats
    profit: Floats


class Named:
    """What coupon policies share: a name, and the features that they read."""

    NAME: ClassVar[str]
    READS: ClassVar[tuple[str, ...]] = CONTEXT

    @property
    def name(self) -> str:
        """Short name, as the command line takes it."""
        return self.NAME

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the features that it reads."""
        return self.READS


@runtime_checkable
class Learner(OfferPolicy, Protocol):
    """An offer policy that learns: a pure function again, from what it knew and saw to what it knows."""

    def learn(self, experience: Experience) -> Learner:
        """Return the policy that has also seen this."""
        ...


@dataclass(frozen=True, slots=True)
class Shop:
    """What any coupon policy may know of the shop before it has made one offer.

    Attributes
    ----------
    habits
        Fitted on its history.
    depth
        float64 [K]; discounts of the menu as shares, 0 first.
    centre, scale
        float64 [F]; mean and sd of the features over customers when offers begin; a scale of 1 where they
        do not differ.
    """

    habits: Habits
    depth: Floats
    centre: Floats
    scale: Floats

    @staticmethod
    def of(floor: ShopFloor) -> Shop:
        """Look at the customers of a floor as its history leaves them; nothing of their truth is read."""
        seen = floor.context(floor.market.crowd.open(), 0).reshape(-1, len(CONTEXT))
        sd = seen.std(axis=0)
        return Shop(
            floor.market.crowd.habits, floor.market.depth, seen.mean(axis=0), np.where(sd > 1e-9, sd, 1.0)
        )

    @property
    def margin(self) -> Floats:
        """float64 [K]; net profit over shelf value when the coupon is used."""
        return self.habits.economics.margin(self.depth)

    @property
    def unit(self) -> float:
        """Mean profit of a basket without a coupon, minor units."""
        return float(np.exp(self.habits.basket).mean() * self.margin[0])

    def standard(self, features: Floats) -> Floats:
        """Return a constant and the standardised features [..., 1 + F], kept within plus and minus 4."""
        z = np.clip((features - self.centre) / self.scale, -4.0, 4.0)
        return np.concatenate([np.ones((*z.shape[:-1], 1)), z], axis=-1)

    def basket(self, features: Floats) -> Floats:
        """Return the basket expected of each customer [...], minor units at shelf prices."""
        return np.exp(column(features, "basket") + float(self.habits.basket.mean()))

    def without(self, features: Floats) -> Floats:
        """Return the profit expected of each customer [...] in a period without a coupon, minor units."""
        out: Floats = expit(column(features, "odds")) * self.basket(features) * self.margin[0]
        return out


def column(features: Floats, name: str) -> Floats:
    """Return one feature of :data:`simulators.coupons.state.CONTEXT` from [..., F]."""
    if features.shape[-1] != len(CONTEXT):
        raise UsageError(
            f"{features.shape[-1]} features were given where {len(CONTEXT)} are known.",
            todo="Bandits read the features of simulators.coupons.state.CONTEXT, in that order.",
        )
    out: Floats = features[..., CONTEXT.index(name)]
    return out
