"""What an order's status means in WooCommerce: its own words, in the site's language, and those of plugins.

Source: WooCommerce documentation, "Order statuses"; plugins add statuses of their own (*Shipped*, *Ready for
pickup*), of which only the shop knows whether the money is there.
"""

from __future__ import annotations

from typing import Final

from simulators.contract.shop_file import ShopFile
from simulators.importers.platform import contract_status

__all__ = ["status_of", "status_word"]

_WORDS: Final = {
    "pending payment": "pending", "on hold": "on-hold", "draft": "checkout-draft",
    "pendiente de pago": "pending", "procesando": "processing", "en espera": "on-hold",
    "completado": "completed", "cancelado": "cancelled", "reembolsado": "refunded", "fallido": "failed",
    "borrador": "checkout-draft",
}  # fmt: skip
_SALES: Final = ("processing", "completed")


def status_word(text: str) -> str:
    """Return WooCommerce's own word for a status as an export, a person or the API writes it."""
    word = text.strip().lower().removeprefix("wc-")
    return _WORDS.get(word, word)


def status_of(text: str, shop: ShopFile) -> str:
    """Return the contract's status of an order.

    Parameters
    ----------
    text
        The status as the export writes it.
    shop
        Says which statuses count as sales (``woocommerce.paid_statuses``).
    """
    word = status_word(text)
    known = contract_status(word)
    if known != "cancelled" and word in {status_word(said) for said in shop.woocommerce.paid_statuses}:
        return "paid"
    return "draft" if word in _SALES else known
