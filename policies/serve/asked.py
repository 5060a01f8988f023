"""What is told of a price that a person asks about."""

from __future__ import annotations

from dataclasses import dataclass

from pricing.guardrails import Rule

__all__ = ["PriceAsked"]


@dataclass(frozen=True, slots=True)
class PriceAsked:
    """What a person's own price would bring, and which rules it breaks. Money is in minor units.

    Attributes
    ----------
    price
        Regular shelf price.
    broken
        Rules that it breaks, in falling precedence. How much of the catalogue may move is a question about
        the whole run, and not asked here.
    expected_units, expected_profit
        Of the period.
    profit_change, profit_change_lower, profit_change_upper, probability_of_loss
        Against keeping the price in force, 90 % interval.
    """

    price: int
    broken: tuple[Rule, ...]
    expected_units: float
    expected_profit: int
    profit_change: int
    profit_change_lower: int
    profit_change_upper: int
    probability_of_loss: float
