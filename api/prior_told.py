"""The 30-day prior price in words: what reductions are counted from, and what the rule costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from api.texts import Texts
from policies.serve.shelf import Shelf
from pricing.money import Currency

__all__ = ["prior_cost_told", "prior_told"]


def prior_told(
    found: Mapping[str, Any], shelf: Shelf, place: int | None, money: Currency, texts: Texts
) -> tuple[str, ...]:
    """Return what there is to say of one product; nothing where the shop does not keep the rule.

    Parameters
    ----------
    found
        Its recommendation as it is recorded.
    shelf, place
        What the run that is served knows, and which of its series it is; None: none of them.
    money, texts
        Of the amounts, and of the reader.
    """
    if not shelf.corridor.settings.prior_price:
        return ()

    def say(code: str, **values: str) -> str:
        return texts.text("prior", code, **values)

    lines: list[str] = []
    if place is not None:
        lines.append(say("now", price=texts.money(int(shelf.catalogue.recent[place].min()), money)))
        depth = float(shelf.plans.depth[0, place]) if shelf.plans.periods else 0.0
        if depth < 0.0:
            lines.append(say("planned", share=texts.percent(-math.expm1(depth))))
            if found["recommended_price"] is not None:
                cost = int(found.get("prior_price_cost") or 0)
                lines.append(say("cost", cost=texts.money(cost, money)) if cost else say("free"))
    price, until = found.get("prior_price"), found.get("prior_price_until")
    if price is not None and until is not None:
        lines.append(say("after", price=texts.money(int(price), money), until=texts.day(until)))
    return tuple(lines)


def prior_cost_told(rows: Sequence[Mapping[str, Any]], money: Currency, texts: Texts) -> tuple[str, ...]:
    """Return what the rule costs over all recommendations; nothing where it costs nothing."""
    costs = [int(row["prior_price_cost"] or 0) for row in rows]
    total, count = sum(costs), sum(cost > 0 for cost in costs)
    if not total:
        return ()
    return (texts.text("prior", "all", cost=texts.money(total, money), count=texts.number(count)),)
