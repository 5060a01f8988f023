"""Guardrails for offers: every rule filters the menu, before the choice and never after it.

A rejection is a bit and the order of the rules is their precedence, as with prices
(:mod:`pricing.guardrails`).
No rule is ever relaxed: offer 0, no coupon, breaks none of them and is what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bits, Bools, Floats, Ints, Words
from pricing.coupons import CouponMenu
from pricing.errors import SettingsError, UsageError
from pricing.guardrails import RuleClass
from pricing.randomness import label_hashes, uniforms
from pricing.ranked_rule import RankedRule, bits_of

__all__ = ["CouponRule", "CouponSettings", "OfferSituation", "admit", "held_out"]


class CouponRule(RankedRule):
    """Rules in falling precedence; the value is the bit. See `docs/coupon-guardrails.md`."""

    COUPON_KILL_SWITCH = 0
    NOT_IN_FORCE = 1
    NOTHING_TO_REDUCE = 2
    BELOW_COST = 3
    COST_UNKNOWN = 4
    BUDGET = 5
    LIMIT_TOTAL = 6
    LIMIT_PER_CUSTOMER = 7
    NOT_IDENTIFIED = 8
    HOLDOUT = 9
    FREQUENCY_CAP = 10
    STACKING = 11
    MIN_SPEND = 12
    UNKNOWN_VISITOR = 13

    @property
    def kind(self) -> RuleClass:
        """The class that decides precedence."""
        return _CLASS[self]


_CLASS = {
    CouponRule.COUPON_KILL_SWITCH: RuleClass.LEGAL,
    CouponRule.NOT_IN_FORCE: RuleClass.LEGAL,
    CouponRule.NOTHING_TO_REDUCE: RuleClass.LEGAL,
    CouponRule.BELOW_COST: RuleClass.NEVER_LOSE_MONEY,
    CouponRule.COST_UNKNOWN: RuleClass.NEVER_LOSE_MONEY,
    CouponRule.BUDGET: RuleClass.NEVER_LOSE_MONEY,
    CouponRule.LIMIT_TOTAL: RuleClass.NEVER_LOSE_MONEY,
    CouponRule.LIMIT_PER_CUSTOMER: RuleClass.NEVER_LOSE_MONEY,
    CouponRule.NOT_IDENTIFIED: RuleClass.NEVER_LOSE_MONEY,
    CouponRule.HOLDOUT: RuleClass.STABILITY,
    CouponRule.FREQUENCY_CAP: RuleClass.STABILITY,
    CouponRule.STACKING: RuleClass.COMMERCIAL,
    CouponRule.MIN_SPEND: RuleClass.COMMERCIAL,
    CouponRule.UNKNOWN_VISITOR: RuleClass.COMMERCIAL,
}


@dataclass(frozen=True, slots=True)
class CouponSettings:
    """The shop's corridor for offers; every field is documented in `docs/coupon-guardrails.md`.

    Attributes
    ----------
    kill_switch
        Nobody gets a coupon.
    frequency_cap
        Most offers to one customer within the last `frequency_days`.
    frequency_days
        Days that the cap counts over.
    act_on_prior
        Give coupons also where no experiment has told what they add.
    """

    kill_switch: bool = False
    frequency_cap: int = 4
    frequency_days: int = 30
    act_on_prior: bool = False

    def __post_init__(self) -> None:
        if self.frequency_cap < 0 or self.frequency_days < 1:
            raise SettingsError(
                f"coupons.frequency_cap = {self.frequency_cap} over {self.frequency_days} days is no limit.",
                todo="Give 0 or more offers over 1 or more days.",
            )


@dataclass(frozen=True, slots=True)
class OfferSituation:
    """All that is known before offers are decided: B runs, N customers, K offers; money in minor units.

    What it holds of a customer is what may be seen of them: for one who did not agree, exactly what is known
    of an unknown visitor (:func:`pricing.customers.visible`).

    Attributes
    ----------
    menu
        The K offers.
    keys
        uint64 [N]; what the draw follows from beside time and run; no two customers share one.
    at
        int; second of the decision since 1970-01-01 UTC.
    discount, spend
        int64 [B, N, K]; what each offer takes off, or may take off at most where no cart is there yet; what
        the lines that it covers cost (:func:`pricing.coupons.reduce`).
    below_floor, floor_unknown
        bool [B, N, K]; see :class:`pricing.coupons.Reductions`.
    applied
        bool [B, N]; another coupon is applied already.
    held_out
        bool [B, N, K]; the customer was drawn into the holdout of the offer's campaign: :func:`held_out`.
    recent
        int64 [B, N]; offers within the days that the frequency cap counts over.
    used
        int64 [B, N, K]; redemptions, and reservations in force, of the customer.
    budget_left, limit_left
        int64 [B, K]; money and redemptions that are left; :data:`pricing.catalogue.NO_LIMIT` for no limit.
    identified
        bool [K]; a randomised comparison has told what the offer adds.
    features
        float64 [B, N, F]; in the order of `feature_names`.
    feature_names, personal
        F names, and those of them that are personal data.
    consented
        bool [N]; the customer agreed to personal offers.
    holdout_share
        Chance with which `held_out` was drawn, campaign by campaign; 0 where nobody is held out.
    """

    menu: CouponMenu
    keys: Words
    at: int
    discount: Ints
    spend: Ints
    below_floor: Bools
    floor_unknown: Bools
    applied: Bools
    held_out: Bools
    recent: Ints
    used: Ints
    budget_left: Ints
    limit_left: Ints
    identified: Bools
    features: Floats
    feature_names: tuple[str, ...]
    personal: frozenset[str]
    consented: Bools
    holdout_share: float = 0.0

    def __post_init__(self) -> None:
        runs, count, offers = self.shape
        wanted = {
            (runs, count, offers): ("spend", "below_floor", "floor_unknown", "held_out", "used"),
            (runs, count): ("applied", "recent"),
            (runs, offers): ("budget_left", "limit_left"),
            (count,): ("keys", "consented"),
            (offers,): ("identified",),
            (runs, count, len(self.feature_names)): ("features",),
        }
        for shape, names in wanted.items():
            for name in names:
                if getattr(self, name).shape != shape:
                    raise UsageError(f"{name} has shape {getattr(self, name).shape}, not {shape}.")
        if offers != len(self.menu):
            raise UsageError(f"discount knows {offers} offers, the menu {len(self.menu)}.")
        if (self.discount < 0).any() or self.discount[..., 0].any():
            raise UsageError(
                "An offer would raise what is paid, or no coupon would take something off.",
                why="A personal offer may only lower what is paid.",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """B, N and K."""
        runs, count, offers = self.discount.shape
        return runs, count, offers


def admit(situation: OfferSituation, settings: CouponSettings) -> Bits:
    """Return the rules that each offer breaks, uint32 [B, N, K]; all 0 in column 0, and allowed where 0."""
    s, menu, shape = situation, situation.menu, situation.discount.shape
    force = (menu.valid_from <= s.at) & (s.at < menu.valid_to)
    known = s.identified | settings.act_on_prior
    broken = {
        CouponRule.COUPON_KILL_SWITCH: np.bool_(settings.kill_switch),
        CouponRule.NOT_IN_FORCE: ~force,
        CouponRule.NOTHING_TO_REDUCE: s.discount == 0,
        CouponRule.BELOW_COST: s.below_floor,
        CouponRule.COST_UNKNOWN: s.floor_unknown,
        CouponRule.BUDGET: s.discount > s.budget_left[:, None],
        CouponRule.LIMIT_TOTAL: (s.limit_left < 1)[:, None],
        CouponRule.LIMIT_PER_CUSTOMER: s.used >= menu.limit_per_customer,
        CouponRule.NOT_IDENTIFIED: ~known,
        CouponRule.HOLDOUT: s.held_out,
        CouponRule.FREQUENCY_CAP: (s.recent >= settings.frequency_cap)[..., None],
        CouponRule.STACKING: s.applied[..., None] & ~menu.stacking,
        CouponRule.MIN_SPEND: s.spend < menu.min_spend,
        CouponRule.UNKNOWN_VISITOR: ~s.consented[:, None] & menu.known_only,
    }
    bits = bits_of(broken.items(), shape)
    bits[..., 0] = 0
    return bits


_BLOCK = 8192
"""Customers drawn at a time, so that what is computed on the way stays in the cache."""


def held_out(customers: Sequence[str], campaigns: Sequence[str], share: float, seed: int) -> Bools:
    """Draw who is held out, bool [N, C]; it follows from pseudonym, campaign and seed alone.

    So a customer stays in or out whatever file, batch or order they come in, and whoever else does.

    Parameters
    ----------
    customers, campaigns
        N pseudonyms and C names.
    share
        Probability of being held out, 0-1.
    seed
        Of the draw (:mod:`pricing.randomness`).

    Raises
    ------
    UsageError
        If the share is none.
    """
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"A holdout of {share} is not a share from 0 to 1.", todo="Give one like 0.1.")
    if share == 0.0:
        return np.zeros((len(customers), len(campaigns)), dtype=np.bool_)
    whom, what = label_hashes("customer", customers), label_hashes("campaign", campaigns)
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    found = np.empty((len(whom), len(what)), dtype=np.bool_)
    for start in range(0, len(whom), _BLOCK):
        here = whom[start : start + _BLOCK, None]
        keys = np.empty((len(here), len(what), 4), dtype=np.uint64)
        keys[..., 0], keys[..., 1] = here >> high, here & low
        keys[..., 2], keys[..., 3] = what >> high, what & low
        found[start : start + _BLOCK] = uniforms(keys, seed) < share
    return found
