"""The market behind the kernel's decision: what is known of customers, and which offers are allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import NO_LIMIT
from pricing.coupon_rules import CouponSettings, OfferSituation, admit
from pricing.coupons import PARTS, Coupon, CouponMenu
from pricing.errors import UsageError
from simulators.coupons.market import CouponMarket
from simulators.coupons.state import CONTEXT, State
from simulators.coupons.worlds import Crowd

__all__ = ["SIMULATED", "ShopFloor", "choice_of", "level_menu"]

SIMULATED = CouponSettings(frequency_cap=31, frequency_days=30, act_on_prior=True)
"""Corridor of a simulation unless told otherwise: no cap that a step of a day could meet, and offers are made
though no experiment has told what they add, which inside a simulation harms nobody."""

_DAY = 86_400
_PERSONAL = frozenset(CONTEXT) - {"steps_left"}


def level_menu(levels: Sequence[float]) -> CouponMenu:
    """Return the menu of none and one coupon a level, each a share (0-1) off the whole order."""
    parts = [round(level * PARTS) if np.isfinite(level) else -1 for level in levels]
    if parts != sorted(set(parts)) or not parts or parts[0] < 1 or parts[-1] >= PARTS:
        raise UsageError(
            f"The levels {list(levels)} are not ascending shares between 0 and 1.",
            todo="Give for example 0.05,0.1,0.15; no coupon is always there and needs no level.",
        )
    return CouponMenu.of([Coupon(f"off-{part / PARTS:.4g}", parts=part) for part in parts])


@dataclass(frozen=True)
class ShopFloor:
    """B x N customers of a market, the menu they may be offered, and the rules it must pass.

    Attributes
    ----------
    market
        Who they are and how they answer.
    menu
        K offers.
    settings
        The corridor.
    horizon
        Periods.
    """

    market: CouponMarket
    menu: CouponMenu
    settings: CouponSettings
    horizon: int

    @staticmethod
    def of(crowd: Crowd, menu: CouponMenu, horizon: int, settings: CouponSettings = SIMULATED) -> ShopFloor:
        """Open a floor for customers; a menu of :func:`level_menu`."""
        if horizon < 1:
            raise UsageError(
                f"A horizon of {horizon} periods simulates nothing.", todo="Ask for one or more."
            )
        return ShopFloor(CouponMarket(crowd, menu.parts / PARTS), menu, settings, horizon)

    def situation(self, state: State, period: int) -> OfferSituation:
        """Return all that is known before offers of a period are decided.

        There is no cart yet: what an offer takes off is its share of the basket that the shop expects of the
        customer. An offer whose discount leaves less than the goods cost is below the floor.
        """
        market, habits = self.market, self.market.crowd.habits
        shape = (*state.since.shape, len(self.menu))
        basket = np.exp(np.clip(state.seen.basket, 0.0, 25.0))
        discount = np.where(
            market.depth > 0.0, np.maximum(np.rint(basket[..., None] * market.depth), 1.0), 0.0
        )
        zero = np.zeros(shape, dtype=np.int64)
        loses = habits.economics.margin(market.depth) < 0.0
        periods = -(-self.settings.frequency_days // habits.period_days)
        return OfferSituation(
            menu=self.menu,
            keys=market.crowd.key[0],
            at=(habits.first_day + period * habits.period_days) * _DAY,
            discount=discount.astype(np.int64),
            spend=np.broadcast_to(np.rint(basket).astype(np.int64)[..., None], shape),
            below_floor=np.broadcast_to(loses, shape),
            floor_unknown=np.zeros(shape, dtype=np.bool_),
            applied=np.zeros(shape[:2], dtype=np.bool_),
            held_out=np.zeros(shape, dtype=np.bool_),
            recent=state.recent(periods),
            used=zero,
            budget_left=np.full((shape[0], shape[2]), NO_LIMIT),
            limit_left=np.full((shape[0], shape[2]), NO_LIMIT),
            identified=np.zeros(shape[2], dtype=np.bool_),
            features=self.context(state, period),
            feature_names=CONTEXT,
            personal=_PERSONAL,
            consented=np.ones(shape[1], dtype=np.bool_),
        )

    def context(self, state: State, period: int) -> Floats:
        """Return what a policy may read, float64 [B, N, F]; see :data:`simulators.coupons.state.CONTEXT`."""
        mean = float(self.market.crowd.habits.basket.mean())
        return state.context(self.market.plain_odds(state), mean, (self.horizon - period) / self.horizon)

    def allowed(self, situation: OfferSituation) -> Bools:
        """Return which offers the guardrails leave, bool [B, N, K]."""
        return np.equal(admit(situation, self.settings), 0)

    @property
    def scale(self) -> float:
        """Mean profit of a basket without a coupon, minor units: what rewards are counted in."""
        habits = self.market.crowd.habits
        value = float(np.exp(habits.basket).mean() * habits.economics.margin(np.zeros(1))[0])
        if value <= 0.0:
            raise UsageError("Baskets earn nothing without a coupon.", todo="Look at the shop's costs.")
        return value


def choice_of(index: Ints, offers: int) -> Ints:
    """Check offers that were asked for, int64 [...] from 0 to K - 1, and return them."""
    if ((index < 0) | (index >= offers)).any():
        raise UsageError(f"An offer outside 0 to {offers - 1} was asked for.")
    return index
