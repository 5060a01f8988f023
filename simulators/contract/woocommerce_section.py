"""The section ``[woocommerce]`` of ``shop.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pricing.errors import SettingsError
from simulators.contract.settings import Says

__all__ = ["WOOCOMMERCE", "WooCommerce"]


@dataclass(frozen=True, slots=True)
class WooCommerce:
    """What only the shop knows of its WooCommerce."""

    paid_statuses: Annotated[
        tuple[str, ...],
        Says(
            "Order statuses that count as sales, a plugin's own too, as the import lists them; refunded "
            "orders always do."
        ),
    ] = ("processing", "completed")

    def __post_init__(self) -> None:
        never = [word for word in self.paid_statuses if word in ("cancelled", "failed", "trash")]
        if never or not self.paid_statuses:
            raise SettingsError(
                f"woocommerce.paid_statuses names {never[0] if never else 'no status'}.",
                why="Such an order was not paid." if never else "There would be no sale at all.",
                todo="Correct shop.toml.",
            )


WOOCOMMERCE: Final = WooCommerce()
"""Where the shop file says nothing."""
