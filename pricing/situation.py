"""The situation: everything that is known before a decision, and nothing that is known only later."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.catalogue import Catalogue
from pricing.demand import Conditions, DemandParameters, log_units, priced_units, standing_units
from pricing.menu import Menu
from pricing.transition import State

__all__ = ["Situation", "myopic_log_price"]


@dataclass(frozen=True)
class Situation:
    """A batch of B runs, each about to price the same N series for one period.

    Attributes
    ----------
    catalogue, menu
        N series and their ladders [N, K].
    state
        Arrays [B, N].
    conditions
        Promotions and traffic of the coming period.
    beliefs
        Posterior mean demand, float64 [N] each; what policies and features read.
    elasticity_sd
        float64 [N]; posterior sd of the regular-price elasticity.
    myopic
        float64 [N]; see :func:`myopic_log_price`.
    period
        First day of the coming period, days since 1970-01-01.
    periods_left, horizon
        Periods until the end of the horizon, this one included, and its length.
    """

    catalogue: Catalogue
    menu: Menu
    state: State
    conditions: Conditions
    beliefs: DemandParameters
    elasticity_sd: Floats
    myopic: Floats
    period: int
    periods_left: int
    horizon: int

    @property
    def time_left(self) -> float:
        """Share of the horizon that is left, 1 at its start."""
        return self.periods_left / max(self.horizon, 1)

    @cached_property
    def log_price_now(self) -> Floats:
        """float64 [B, N]; log regular shelf price in force."""
        return np.log(self.state.price.astype(np.float64))

    @cached_property
    def log_units_now(self) -> Floats:
        """float64 [B, N]; log expected units if the price in force stays."""
        return self._log_units_of(self.log_price_now)

    def profit_of(self, index: Ints) -> Floats:
        """Return expected net profit of one rung each, float64 [B, N], minor units, at mean beliefs.

        `index` is int64 [B, N]; -1 (no rung) counts as the price in force.
        """
        price = np.where(index >= 0, self.menu.log_price_at(np.maximum(index, 0)), self.log_price_now)
        return self._profit(price, self._log_units_of(price))

    @cached_property
    def profit_now(self) -> Floats:
        """float64 [B, N]; expected net profit if the price in force stays, minor units, at mean beliefs."""
        return self._profit(self.log_price_now, self.log_units_now)

    @cached_property
    def _standing(self) -> Floats:
        """float64 [B, N]; what of log expected units the coming price does not touch."""
        return standing_units(self.beliefs, self.state.lag, self.conditions)

    def _log_units_of(self, log_price: Floats) -> Floats:
        d, state = self.beliefs, self.state
        return priced_units(d, self._standing, log_price, state.reference, self.conditions)

    def _profit(self, log_price: Floats, log_demand: Floats) -> Floats:
        sold = np.minimum(np.exp(log_demand), self.state.stock)
        own = sold * self.catalogue.unit_profit(np.exp(log_price + self.conditions.depth))
        return np.asarray(own + self.beliefs.spill * (log_price - self.catalogue.log_price))

    def log_units_at(self, parameters: DemandParameters) -> Floats:
        """Return log expected units at every rung, float64 [..., B, N, K].

        `parameters` has arrays [..., N]; leading axes (draws, worlds) come before the batch.
        """
        d = DemandParameters(*(getattr(parameters, name)[..., None, :, None] for name in _FIELDS))
        c = Conditions(*(_rungs(getattr(self.conditions, name)) for name in _CONDITIONS))
        state = self.state
        return log_units(d, self.menu.log_price, state.lag[..., None], state.reference[..., None], c)

    def unit_profit(self) -> Floats:
        """Return net profit of a unit at every rung, float64 [..., N, K] (batch axis if depth has one)."""
        shelf = np.exp(self.menu.log_price + _rungs(self.conditions.depth))
        return np.swapaxes(self.catalogue.unit_profit(np.swapaxes(shelf, -1, -2)), -1, -2)

    def expected_profit(self, parameters: DemandParameters) -> Floats:
        """Return expected net profit of this period at every rung, float64 [..., B, N, K], minor units.

        Sales stop at the stock. What a rung brings to rivals beside the price in force is part of it.
        """
        units = np.exp(self.log_units_at(parameters))
        sold = np.minimum(units, self.state.stock[..., None])
        return np.asarray(sold * self.unit_profit() + self.spilled(parameters))

    def spilled(self, parameters: DemandParameters) -> Floats:
        """Return what every rung brings to rivals beside the price in force, float64 [..., 1, N, K]."""
        moved = self.menu.log_price - self.catalogue.log_price[:, None]
        return np.asarray(parameters.spill[..., None, :, None] * moved)


_FIELDS = tuple(DemandParameters.__dataclass_fields__)
_CONDITIONS = tuple(Conditions.__dataclass_fields__)


def _rungs(array: Floats) -> Floats:
    return np.asarray(array)[..., None]


def myopic_log_price(beliefs: DemandParameters, catalogue: Catalogue) -> Floats:
    """Return the log of the constant-elasticity markup price (Lerner 1934), float64 [N].

    The elasticity is that around the reference price.

    With net profit a unit ``k p - c`` and elasticity ``e < -1`` the best price is ``(c / k) e / (1 + e)``.
    Where demand is not elastic there is no such price: inf, that is "as far up as allowed".
    """
    kept = catalogue.net_share - catalogue.fee_share * catalogue.gross_share
    cost = np.maximum(catalogue.unit_cost + catalogue.fee_unit, 1.0) / kept
    e = beliefs.elasticity
    markup = np.where(e < -1.0, e / np.minimum(1.0 + e, -1e-9), np.inf)
    return np.asarray(np.log(cost * markup))
