"""What each table of the contract would unlock, and what is uncertain without it."""

from __future__ import annotations

from dataclasses import dataclass

from pricing.schema import TABLES
from simulators.contract.tables import Source

__all__ = ["Unlock", "unlocks"]


@dataclass(frozen=True, slots=True)
class Unlock:
    """One table and what depends on it.

    Attributes
    ----------
    table
        Its name.
    present
        The shop has it.
    unlocks
        What it makes possible.
    cost
        What is uncertain or impossible without it; empty where it is present.
    """

    table: str
    present: bool
    unlocks: str
    cost: str


_COSTS = {
    "discounts": "What was paid is known, not why less than the shelf price, nor whose money the rest was.",
    "returns": "Profit counts every sale as kept, or takes the share of returns that the shop file expects.",
    "prices": "A price is known only where there was a sale; the last one is carried forward in between, and "
    "the 30-day prior price rests on sales.",
    "promotions": "Promotion and price cannot be told apart, which makes demand look more sensitive to price "
    "than it is (-2.2 instead of -1.4 in grocery data). No elasticity is promo_controlled.",
    "costs": "Profit rests on the cost assumption of the shop file, and says so everywhere.",
    "inventory": "A day without stock looks like a day without demand: demand is underestimated and no "
    "recommendation knows what is left to sell.",
    "receipts": "Stock to come is unknown: scarcity is planned with what is on hand.",
    "traffic": "Orders stand in for visits, so a change of price moves the measure of traffic itself; in a "
    "shop of few products they are not used at all.",
    "covariates": "Weather, holidays and the like are part of the noise.",
    "instruments": "If prices were set in answer to demand, elasticities are biased and nothing shows it.",
    "competitor_prices": "No corridor around competitors' prices.",
    "campaigns": "No coupon can be tied to a campaign and its budget.",
    "coupons": "No coupon offers.",
    "coupon_products": "Which products a coupon serves is unknown.",
    "coupon_exposures": "Who was given a coupon and did not use it is unknown: no incremental effect, no "
    "off-policy evaluation.",
    "redemptions": "No redemption model.",
    "customers": "No segments, no fairness report; business customers are not set apart.",
    "consents": "No personal offer: without consent nobody gets one.",
    "events": "No cart abandonment, no engagement.",
    "bundle_components": "Bundles are set apart, their components' demand is not seen.",
    "product_aliases": "A product whose key was renamed looks like two.",
}


def unlocks(source: Source) -> tuple[Unlock, ...]:
    """Return what is unlocked and what is locked, in contract order."""
    found: list[Unlock] = []
    for table in TABLES:
        present = source.has(table.name)
        found.append(Unlock(table.name, present, table.unlocks, "" if present else _COSTS[table.name]))
    return tuple(found)
