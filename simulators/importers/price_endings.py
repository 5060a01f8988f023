"""Which last digits a shop's prices have, as far as its own prices give it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["price_endings"]

_MOST = 0.9
"""Share of the prices that the endings have to cover."""
_LEAST_PRICES = 20
"""Fewer prices than this give nothing away."""
_AT_MOST = {2: 3, 1: 2}
"""Number of endings that are a habit, by their number of digits; more are chance."""


def price_endings(prices: Sequence[int], exponent: int) -> tuple[str, ...]:
    """Return the fewest endings that nine of ten prices have, as `price_endings` of shop.toml writes them.

    Parameters
    ----------
    prices
        Regular prices, one a product, minor units.
    exponent
        Decimals of the currency's minor unit.

    Returns
    -------
    tuple[str, ...]
        Like ``(".99",)``, ``(".49", ".99")`` or ``("9",)``, ascending; empty where no few endings are most.
    """
    if len(prices) < _LEAST_PRICES:
        return ()
    for digits, most in _AT_MOST.items():
        size = 10 ** max(digits, exponent) if digits > 1 else 10
        count = Counter(price % size for price in prices)
        ranked = sorted(count, key=lambda ending: (-count[ending], ending))[:most]
        for number in range(1, len(ranked) + 1):
            some = ranked[:number]
            if sum(count[ending] for ending in some) >= _MOST * len(prices):
                return tuple(_written(ending, size, exponent) for ending in sorted(some))
    return ()


def _written(ending: int, size: int, exponent: int) -> str:
    digits = f"{ending:0{len(str(size)) - 1}d}"
    return f".{digits}" if exponent > 0 and len(digits) == exponent else digits
