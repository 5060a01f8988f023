"""The named choices of docs/worlds.md: confounding, form of the response, information given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pricing.errors import UsageError

__all__ = ["SPECIFICATION_VERSION", "Form", "Information", "WorldSpec"]

SPECIFICATION_VERSION = 1


class Form(StrEnum):
    """How shoppers answer prices."""

    LOGLINEAR = "loglinear"
    KINKED = "kinked"
    PROBIT = "probit"
    NESTED_LOGIT = "nested_logit"
    DRIFTING = "drifting"


class Information(StrEnum):
    """What the analyst is given beside orders, products, prices and promotions."""

    NONE = "none"
    INSTRUMENT = "instrument"
    EXPERIMENT = "experiment"
    STOCKOUTS = "stockouts"


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """One world of docs/worlds.md.

    Attributes
    ----------
    seed
        Any integer >= 0. Worlds that differ only in the fields below share every draw they have in common.
    kappa
        d log regular price / d log demand shock.
    form, information
        See the page.
    products, weeks
        N, a multiple of 40, and T >= 40; the page's figures are for 400 and 52.
    """

    seed: int
    kappa: float = 0.0
    form: Form = Form.LOGLINEAR
    information: Information = Information.NONE
    products: int = 400
    weeks: int = 52

    def __post_init__(self) -> None:
        if self.products < 40 or self.products % 40 or self.weeks < 40 or self.seed < 0:
            raise UsageError(
                f"No world has {self.products} products, {self.weeks} weeks and seed {self.seed}.",
                todo="Ask for a multiple of 40 products, at least 40 weeks and a seed that is not negative.",
            )
