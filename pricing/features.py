"""Features: the one place where money becomes a float, and the register of what a policy may read.

Every feature is scale-free, so that a policy trained on some products can decide for others. None is
personal: shelf prices cannot see who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats
from pricing.menu import first_rung, last_rung, rungs_first
from pricing.situation import Situation

__all__ = ["FEATURES", "Feature", "observe", "write"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One registered feature.

    Attributes
    ----------
    name
        Stable name; policies store the names that they read.
    meaning
        One line, with its unit.
    personal
        Whether it derives from data about a person. True for none of the shelf-price features.
    """

    name: str
    meaning: str
    personal: bool = False


FEATURES = (
    Feature("elasticity", "posterior mean elasticity to regular price"),
    Feature("elasticity_sd", "posterior sd of that elasticity"),
    Feature("margin", "net profit a unit at the price in force, as a share of the shelf price"),
    Feature("rung", "position of the price in force on the ladder, 0 to 1 in log price"),
    Feature("room_down", "log of the lowest allowed price over the price in force"),
    Feature("room_up", "log of the highest allowed price over the price in force"),
    Feature("myopic_gap", "log of the constant-elasticity markup price over the price in force, within 1"),
    Feature("lag_gap", "log of the last shelf price over the price in force"),
    Feature("reference_gap", "log of the remembered price over the price in force"),
    Feature("low_gap", "log of the 30-day low over the price in force"),
    Feature("stock_cover", "stock over expected demand of the periods left, at most 4; 4 if not tracked"),
    Feature("stock_tracked", "1 where stock is tracked, else 0"),
    Feature("waiting", "1 / (1 + periods since the regular price moved)"),
    Feature("time_left", "share of the horizon that is left, 1 at its start"),
    Feature("promoted", "largest of the planned feature and display shares"),
    Feature("depth", "planned log of the reduced over the regular price, 0 where nothing is reduced"),
)
"""What shelf-price policies read, in the order of the F axis."""

_MOST_COVER = 4.0


def observe(situation: Situation, allowed: Bools) -> Floats:
    """Return features float64 [B, N, F] in the order of :data:`FEATURES`; see :func:`write`."""
    out = np.empty((*situation.state.price.shape, len(FEATURES)))
    write(situation, allowed, out)
    return out


def write(situation: Situation, allowed: Bools, out: NDArray[Any]) -> None:
    """Write features into `out` [B, N, F], rounded to its type, in the order of :data:`FEATURES`.

    Parameters
    ----------
    situation
        Everything known before the decision, batch B.
    allowed
        bool [B, N, K]; the allowed set before the joint step.
    out
        float64, or float32 where a learner wants it.
    """
    catalogue, state, menu = situation.catalogue, situation.state, situation.menu
    price = situation.log_price_now
    low, high = _room(situation, allowed)
    bottom, top = menu.log_price[:, 0], menu.log_price[:, -1]
    shelf = np.exp(price)
    margin = catalogue.unit_profit(shelf) / shelf
    conditions = situation.conditions
    columns = (
        situation.beliefs.elasticity,
        situation.elasticity_sd,
        margin,
        (price - bottom) / np.maximum(top - bottom, 1e-9),
        low - price,
        high - price,
        np.clip(situation.myopic - price, -1.0, 1.0),
        state.lag - price,
        state.reference - price,
        np.log(state.low.astype(np.float64)) - price,
        _cover(situation),
        np.isfinite(state.stock),
        1.0 / (1.0 + state.since_change),
        situation.time_left,
        np.maximum(conditions.feature, conditions.display),
        conditions.depth,
    )
    for place, column in enumerate(columns):
        out[..., place] = column


def _room(situation: Situation, allowed: Bools) -> tuple[Floats, Floats]:
    """Return log prices of the lowest and highest allowed rung (ladders ascend), or of the price in force."""
    menu, price, open_ = situation.menu, situation.log_price_now, rungs_first(allowed)
    lowest, highest = first_rung(open_), last_rung(open_)
    low, high = menu.log_price_at(np.maximum(lowest, 0)), menu.log_price_at(np.maximum(highest, 0))
    return np.where(lowest < 0, price, low), np.where(highest < 0, price, high)


def _cover(situation: Situation) -> Floats:
    """Return stock over the demand expected at the price in force for the periods left."""
    left = np.maximum(situation.periods_left, 1)
    demand = np.exp(situation.log_units_now) * left
    return np.asarray(np.minimum(situation.state.stock / np.maximum(demand, 1e-9), _MOST_COVER))
