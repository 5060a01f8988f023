"""The section ``[coupons]`` of ``shop.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pricing.coupon_rules import CouponSettings
from pricing.errors import SettingsError
from simulators.contract.settings import Says, within

__all__ = ["COUPONS", "CouponSection"]


@dataclass(frozen=True, slots=True)
class CouponSection:
    """The corridor within which personal coupons may be given."""

    consent_purpose: Annotated[
        str,
        Says(
            "Purpose in the consents table without which a customer gets what an unknown visitor gets: "
            "nothing personal is read of them."
        ),
    ] = "personal_offers"
    holdout_share: Annotated[
        float,
        Says(
            "Share of customers, drawn by lot for each campaign, who get none of its coupons: without them "
            "nobody can tell what the others would have bought anyway."
        ),
    ] = 0.1
    margin_floor: Annotated[
        float, Says("Least net profit on a line after the coupon, as a share of its net price.")
    ] = 0.0
    frequency_cap: Annotated[int, Says("Most offers to one customer within `frequency_days`.")] = 4
    frequency_days: Annotated[int, Says("Days that `frequency_cap` counts over.")] = 30
    reservation_minutes: Annotated[
        int, Says("How long an offer holds its share of the budget before it lapses unused.")
    ] = 30
    replan_decisions: Annotated[
        int, Says("Offers decided after which budgets are paced anew: what one more unit of each is worth.")
    ] = 200
    replan_minutes: Annotated[int, Says("Minutes after which they are, where fewer came.")] = 5
    act_on_prior: Annotated[
        bool, Says("Give coupons also where no randomised comparison has told what they add.")
    ] = False
    kill_switch: Annotated[bool, Says("Nobody gets a coupon.")] = False

    def __post_init__(self) -> None:
        within("coupons.holdout_share", self.holdout_share, 0.0, 1.0)
        within("coupons.margin_floor", self.margin_floor, -1.0, 1.0)
        within("coupons.frequency_cap", self.frequency_cap, 0, 10_000)
        within("coupons.frequency_days", self.frequency_days, 1, 3650)
        within("coupons.reservation_minutes", self.reservation_minutes, 1, 60 * 24 * 365)
        within("coupons.replan_decisions", self.replan_decisions, 1, 1_000_000)
        within("coupons.replan_minutes", self.replan_minutes, 1, 60 * 24)
        if not self.consent_purpose:
            raise SettingsError(
                "coupons.consent_purpose is empty.",
                why="A coupon may be personal only with the customer's consent to a purpose.",
                todo="Name the purpose as the consents table does.",
            )

    def corridor(self) -> CouponSettings:
        """Return what the kernel's rules read."""
        return CouponSettings(
            kill_switch=self.kill_switch,
            frequency_cap=self.frequency_cap,
            frequency_days=self.frequency_days,
            act_on_prior=self.act_on_prior,
        )


COUPONS: Final = CouponSection()
"""Where the shop file says nothing."""
