"""Hold baskets to the aggregate model: expected units of households add up to its expected units.

The aggregate model is what prices answer to, so baskets have to sum to it, period by period. What cannot be
read one by one (customers without consent) is inside the aggregate and nowhere else: its share of each
category is taken off the target first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Floats
from simulators.customers.basket_lines import Baskets, Shelf
from simulators.customers.baskets import Appeal, BasketModel, Visits, simulate_baskets

__all__ = ["Totals", "individual_share", "reconcile", "unit_totals"]

_SIZE_STEP, _CATEGORY_STEP, _PRODUCT_STEP = 0.9, 0.6, 0.45
"""Histories repeat what a lift began, so totals answer by more than the lift; whole steps would swing."""
_BOLD = 10
"""Rounds of equal steps; later ones shrink, so that chance averages out (Robbins and Monro 1951)."""
_SHOP_UNITS = 25.0
_CELL_UNITS, _PRODUCT_UNITS, _CATEGORY_UNITS = 25.0, 4.0, 5.0
"""Units that a factor of one is worth, in a category's period, for a product, for a category."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Units of simulated baskets beside what the aggregate model expects.

    Attributes
    ----------
    made, expected
        float64 [J, T]; mean over worlds, and target.
    """

    made: Floats
    expected: Floats


def individual_share(shelf: Shelf, baskets: Baskets, remainder: Floats) -> Floats:
    """Return the share [C] of each category's units that was bought by households that may be read.

    Parameters
    ----------
    shelf, baskets
        Products and baskets of those households.
    remainder
        float64 [J]; units bought by everybody else.
    """
    start = shelf.category_start[:-1]
    own = np.add.reduceat(np.bincount(baskets.product, baskets.units, len(shelf)), start)
    other = np.add.reduceat(remainder, start)
    shop = own.sum() / max(float(own.sum() + other.sum()), 1e-12)
    out: Floats = (own + _CATEGORY_UNITS * shop) / (own + other + _CATEGORY_UNITS)
    return out


def unit_totals(shelf: Shelf, baskets: Baskets, appeal: Appeal) -> Floats:
    """Return the units of each product and period, float64 [J, T]."""
    T = len(appeal.first_day)
    cell = baskets.product * T + appeal.period(baskets.day)[baskets.visit]
    units = np.bincount(cell, baskets.units, len(shelf) * T).astype(np.float64)
    return units.reshape(len(shelf), T)


def reconcile(
    model: BasketModel,
    visits: Visits,
    appeal: Appeal,
    share: Floats,
    seed: int,
    *,
    rounds: int = 3,
    worlds: int = 1,
    bold: int = _BOLD,
    acquainted: bool = True,
) -> tuple[Appeal, Totals]:
    """Find the lifts under which simulated baskets sum to the aggregate model's expected units.

    Raking (Deming and Stephan, Annals of Mathematical Statistics 1940) on simulated totals: each round
    simulates all visits and moves basket sizes, categories and products towards their targets. Small
    cells keep close to no lift, so chance is not chased.

    Parameters
    ----------
    model, visits, appeal
        As in :func:`simulators.customers.baskets.simulate_baskets`; its expected units are the target.
    share
        float64 [C]; of each category's units that the households of `visits` buy.
    seed
        Every round has worlds of its own.
    rounds, worlds
        How often, and how many worlds a round.
    bold
        Rounds of equal steps, before they shrink.
    acquainted
        See :func:`simulators.customers.baskets.simulate_baskets`.

    Returns
    -------
    tuple
        The appeal with its lifts, and the totals of the last round, made before its own correction.
    """
    shelf, start = model.shelf, model.shelf.category_start[:-1]
    shopped = np.bincount(appeal.period(visits.day), minlength=len(appeal.first_day)) > 0
    target = appeal.units * share[shelf.category][:, None] * shopped
    made = target
    for number in range(rounds):
        step = 1.0 / max(1, number + 2 - bold)
        made = np.zeros_like(target)
        for world in range(worlds):
            drawn = simulate_baskets(
                model, visits, appeal, seed, draw=number * worlds + world, acquainted=acquainted
            )
            made += unit_totals(shelf, drawn, appeal) / worlds
        wanted, got = (np.add.reduceat(x, start, axis=0) for x in (target, made))
        whole = np.log((wanted.sum(axis=1) + _CATEGORY_UNITS) / (got.sum(axis=1) + _CATEGORY_UNITS))
        scaled = got * np.exp(whole)[:, None]
        cell = np.log((wanted + _CELL_UNITS) / (scaled + _CELL_UNITS))
        one = made.sum(axis=1) * np.exp(whole)[shelf.category]
        product = np.log((target.sum(axis=1) + _PRODUCT_UNITS) / (one + _PRODUCT_UNITS))
        shop = np.log((wanted.sum(axis=0) + _SHOP_UNITS) / (got.sum(axis=0) + _SHOP_UNITS))
        appeal = replace(
            appeal,
            size_lift=appeal.size_lift + step * _SIZE_STEP * shop,
            category_lift=appeal.category_lift + step * _CATEGORY_STEP * (whole[:, None] + cell),
            product_lift=appeal.product_lift + step * _PRODUCT_STEP * product,
        )
    return appeal, Totals(made, target)
