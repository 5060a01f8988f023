"""State and its transition (stock, remembered price, last price, 30-day low), with a hand-written adjoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.demand import Conditions, DemandParameters, log_units

_Number = TypeVar("_Number", np.float64, np.int64)

__all__ = ["Cotangent", "State", "Step", "pullback", "reward", "step"]


@dataclass(frozen=True, slots=True)
class State:
    """Where B copies of N series stand before a period's price is set.

    Attributes
    ----------
    stock
        float64 [B, N]; units on hand, inf where not tracked.
    price
        int64 [B, N]; regular shelf price in force.
    lag
        float64 [B, N]; log shelf price offered in the period before.
    reference
        float64 [B, N]; log of the price that shoppers remember.
    recent
        int64 [B, N, L]; shelf prices of the last 30 days, newest first.
    since_change
        int64 [B, N]; whole periods since the regular price last moved.
    """

    stock: Floats
    price: Ints
    lag: Floats
    reference: Floats
    recent: Ints
    since_change: Ints

    @staticmethod
    def start(catalogue: Catalogue, batch: int, lowest: Ints | None = None) -> State:
        """Return `batch` copies of where the catalogue stands today.

        Parameters
        ----------
        catalogue
            N series.
        batch
            B.
        lowest
            int64 [N]; lowest price of the 30 days before that is on record elsewhere, 0 where none is. It
            joins the catalogue's recent prices, so that no reduction is counted from more; None for none.
        """
        recent, shown = np.log(catalogue.recent.astype(np.float64)), catalogue.recent
        if lowest is not None:
            least = shown.min(axis=1)
            least = np.where((lowest > 0) & (lowest < least), lowest, least)
            shown = np.insert(shown, 1, least, axis=1)
        return State(
            stock=_copies(catalogue.stock, batch),
            price=_copies(catalogue.price, batch),
            lag=_copies(recent[:, 0], batch),
            reference=_copies(recent.mean(axis=1), batch),
            recent=_copies(shown, batch),
            since_change=_copies(catalogue.periods_since_change, batch),
        )

    @property
    def low(self) -> Ints:
        """int64 [B, N]; lowest shelf price of the last 30 days (Directive 98/6/EC, Art. 6a)."""
        lowest = self.recent[..., 0]
        for place in range(1, self.recent.shape[-1]):
            lowest = np.minimum(lowest, self.recent[..., place])
        return lowest

    def next(self, moved: Step, price: Ints, offered: Ints, sold: Floats, received: Floats) -> State:
        """Return the state after a period.

        Parameters
        ----------
        moved
            The relaxed step, for its reference price.
        price, offered
            int64 [B, N]; regular and shelf price of the period.
        sold, received
            float64 [B, N]; units that left and units that arrived.
        """
        kept: Bools = price == self.price
        return State(
            stock=self.stock - sold + received,
            price=price,
            lag=moved.lag,
            reference=moved.reference,
            recent=np.concatenate([offered[..., None], self.recent[..., :-1]], axis=-1),
            since_change=np.where(kept, self.since_change + 1, 0),
        )


def _copies(row: NDArray[_Number], batch: int) -> NDArray[_Number]:
    return np.repeat(row[None], batch, axis=0)


@dataclass(frozen=True, slots=True)
class Step:
    """A relaxed step and what its adjoint needs; every array is float64 [..., N].

    Attributes
    ----------
    units
        Expected demand.
    sold
        Expected sales: demand up to the stock (the fluid approximation).
    profit
        Expected net profit, minor units, with what the price brings to rivals beside keeping it.
    stock, reference, lag
        The next state, before receipts.
    margin
        Net profit a unit.
    shelf
        Shelf price, minor units.
    log_price
        log regular price.
    gap
        log shelf price over remembered price.
    short
        bool [..., N]; stock bounds the sales.
    """

    units: Floats
    sold: Floats
    profit: Floats
    stock: Floats
    reference: Floats
    lag: Floats
    margin: Floats
    shelf: Floats
    log_price: Floats
    gap: Floats
    short: Bools


@dataclass(frozen=True, slots=True)
class Cotangent:
    """Derivatives of a scalar with respect to what a step received; float64 [..., N] each."""

    log_price: Floats
    stock: Floats
    reference: Floats
    lag: Floats


def reward(catalogue: Catalogue, shelf: Floats, sold: Floats) -> Floats:
    """Return net profit in minor units of selling `sold` [..., N] at shelf prices `shelf` [..., N]."""
    return sold * catalogue.unit_profit(shelf)


def step(
    parameters: DemandParameters,
    catalogue: Catalogue,
    log_price: Floats,
    stock: Floats,
    reference: Floats,
    lag: Floats,
    conditions: Conditions,
    memory: float,
) -> Step:
    """Take one expected step.

    Parameters
    ----------
    parameters
        Demand, float64 [..., N].
    catalogue
        Costs and taxes of the N series.
    log_price
        float64 [..., N]; log regular shelf price (any real number: planners relax the ladder).
    stock, reference, lag
        float64 [..., N]; see :class:`State`.
    conditions
        Promotions and traffic of the period.
    memory
        Share of the remembered price that survives a period, 0-1.
    """
    offered = log_price + conditions.depth
    units = np.exp(log_units(parameters, log_price, lag, reference, conditions))
    short = units > stock
    sold = np.where(short, stock, units)
    shelf = np.exp(offered)
    margin = catalogue.unit_profit(shelf)
    profit = sold * margin
    if parameters.spill.any():
        profit = profit + parameters.spill * (log_price - catalogue.log_price)
    return Step(
        units=units,
        sold=sold,
        profit=profit,
        stock=stock - sold,
        reference=memory * reference + (1.0 - memory) * offered,
        lag=offered,
        margin=margin,
        shelf=shelf,
        log_price=log_price,
        gap=offered - reference,
        short=short,
    )


def pullback(
    taken: Step,
    parameters: DemandParameters,
    catalogue: Catalogue,
    memory: float,
    profit: Floats | float,
    after: Cotangent,
) -> Cotangent:
    """Carry derivatives back through :func:`step` (reverse mode, written by hand).

    At the kinks (stock just met, shelf price equal to the remembered one) it gives the derivative of
    the branch that was taken.

    Parameters
    ----------
    taken
        What `step` returned.
    parameters, catalogue, memory
        What `step` was given.
    profit
        Derivative with respect to this step's profit, [..., N] or a number.
    after
        Derivatives with respect to the next stock, reference and lag (`log_price` is not read).
    """
    d = parameters
    kept = (1.0 - catalogue.return_rate) * (catalogue.net_share - catalogue.fee_share * catalogue.gross_share)
    d_sold = profit * taken.margin - after.stock
    d_log_units = np.where(taken.short, 0.0, d_sold * taken.units)
    d_stock = np.where(taken.short, d_sold, 0.0) + after.stock
    side = np.where(taken.gap > 0.0, d.loss, d.gain)
    d_offered = (
        profit * (taken.sold * kept * taken.shelf + d.spill) + (1.0 - memory) * after.reference + after.lag
    )
    return Cotangent(
        log_price=d_offered + d_log_units * (d.slope(taken.log_price) + side),
        stock=d_stock,
        reference=memory * after.reference - d_log_units * side,
        lag=d_log_units * d.lag,
    )
