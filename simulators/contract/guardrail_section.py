"""The section ``[guardrails]`` of ``shop.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pricing.errors import SettingsError
from pricing.guardrails import GuardrailSettings
from simulators.contract.settings import Says, within

__all__ = ["GUARDRAILS", "GuardrailSection", "PriceBounds"]


@dataclass(frozen=True, slots=True)
class PriceBounds:
    """The shop's own lowest and highest shelf price in one category."""

    category: Annotated[str, Says("Category.")]
    min_price: Annotated[int, Says("Lowest shelf price.", money=True)] = 0
    max_price: Annotated[int | None, Says("Highest shelf price.", money=True)] = None

    def __post_init__(self) -> None:
        name = f"guardrails.bounds ({self.category})"
        within(f"{name}: min_price", self.min_price, 0, 2**53)
        within(f"{name}: max_price", self.max_price or 0, 0, 2**53)
        if self.max_price is not None and self.max_price < self.min_price:
            raise SettingsError(f"{name}: max_price lies below min_price.")


@dataclass(frozen=True, slots=True)
class GuardrailSection:
    """The corridor within which prices may move."""

    margin_floor: Annotated[float, Says("Least net profit on a unit as a share of the net price.")] = 0.0
    max_change: Annotated[float, Says("Largest relative move of the regular price in one step.")] = 0.1
    cool_down_periods: Annotated[int, Says("Least number of whole periods between two moves.")] = 0
    max_share_moved: Annotated[float, Says("Largest share of the catalogue that one run may move.")] = 1.0
    kill_switch: Annotated[bool, Says("Nothing moves.")] = False
    act_on_prior: Annotated[
        bool,
        Says(
            "Move prices also where only similar products, not the product's own history, tell the response."
        ),
    ] = False
    prior_price: Annotated[
        bool | None,
        Says(
            "Planned reductions have to be below the lowest price of the 30 days before; absent: where a "
            "zone lies in the European Union or the European Economic Area."
        ),
    ] = None
    variant_equality: Annotated[bool, Says("Variants of one parent product carry one price.")] = True
    ladder_size: Annotated[int, Says("Most candidate prices of one product (at least 3).")] = 15
    ladder_reach: Annotated[float, Says("Relative half-width of the ladder around the price in force.")] = 0.3
    bounds: Annotated[tuple[PriceBounds, ...], Says("Lowest and highest shelf price by category.")] = ()

    def __post_init__(self) -> None:
        within("guardrails.ladder_size", self.ladder_size, 3, 200)
        within("guardrails.ladder_reach", self.ladder_reach, 0.01, 0.95)
        GuardrailSettings(self.margin_floor, self.max_change, self.cool_down_periods, self.max_share_moved)


GUARDRAILS: Final = GuardrailSection()
"""Where the shop file says nothing."""
