"""Words for what came of a decision: what people did with it, what stood on the shelf, what it can check."""

from __future__ import annotations

from enum import Enum

__all__ = ["Ending", "LeftOut", "Shelf"]


class Ending(Enum):
    """What became of a recommendation in its period."""

    KEPT = "kept"
    """It was to keep the price, and nobody wanted another one."""
    PUBLISHED = "published"
    """It went out as recommended."""
    OVERRIDDEN = "overridden"
    """Somebody set another price, and that went out."""
    PARTLY_PUBLISHED = "partly_published"
    """It went out for some products of the group."""
    BROUGHT_BACK = "brought_back"
    """It went out, and the former price was brought back."""
    NOT_PUBLISHED = "not_published"
    """It was approved, and never went out."""
    REJECTED = "rejected"
    """Somebody refused it, so the price stayed."""
    UNDECIDED = "undecided"
    """Nobody, or only the first of two people, had decided in time."""
    BLOCKED = "blocked"
    """No price was allowed."""


class Shelf(Enum):
    """Which price stood on the shelf."""

    DECIDED = "decided"
    """The price that went out or was approved; without one the price in force."""
    FORMER = "former"
    """Still the price in force before, although another was decided."""
    BETWEEN = "between"
    """Between those two: the price moved within the period."""
    OTHER = "other"
    """Some other price."""


class LeftOut(Enum):
    """Why an outcome is no check of the forecast, in the order in which it is decided."""

    NO_RUN = "no_run"
    """The run that decided is no longer there, or no longer readable."""
    OTHER_PERIODS = "other_periods"
    """Periods are cut another way by now."""
    NOT_ON_SALE = "not_on_sale"
    """It was not in the assortment."""
    NOT_MODELLED = "not_modelled"
    """The run that decided knew no demand of it."""
    PART_OF_PERIOD = "part_of_period"
    """The period is not over, or the data do not cover it whole."""
    NO_PRICE = "no_price"
    """Nothing tells which price stood, in the period or before."""
    OUTSIDE_SUPPORT = "outside_support"
    """The price lay outside all that the run had seen: nothing is foretold there."""
    RAN_OUT = "ran_out"
    """It ran out of stock: what was sold is less than what was asked for."""
