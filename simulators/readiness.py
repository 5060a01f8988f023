"""Readiness: what a shop's data will be able to say of its prices, and what to switch on next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.panel import Panel
from simulators.contract.panel import build_panel
from simulators.contract.price_moves import PriceMoves, price_moves
from simulators.contract.tables import Source
from simulators.demand.forecast import Z90
from simulators.demand.own_evidence import OwnEvidence, own_evidence, periods_of_test
from simulators.demand.population import ELASTICITY_SD

__all__ = ["EvidenceClass", "ProductEvidence", "Readiness", "Switch", "readiness"]

_STEP, _WANTED = 0.05, 0.25
"""The price test that is proposed: 5 % up or down, drawn anew each period, until half of the interval of the
products' mean elasticity is a quarter."""


@dataclass(frozen=True, slots=True)
class EvidenceClass:
    """Products that are alike in how much their price has moved.

    Attributes
    ----------
    name
        ``enough``, ``too_few`` or ``none``; see :class:`simulators.contract.price_moves.PriceMoves`.
    products, revenue_share
        How many series, and their share of the revenue.
    half_width
        Median half width of the 90 % interval of an elasticity that is to be expected: from each one's own
        periods and what is known of elasticities in general, without what similar products will tell. None
        where there are no products.
    test_periods
        Periods of a price test of all of them until it tells their mean elasticity as well as wanted; None
        where none of them sold.
    """

    name: str
    products: int
    revenue_share: float
    half_width: float | None
    test_periods: int | None


@dataclass(frozen=True, slots=True)
class ProductEvidence:
    """One series.

    Attributes
    ----------
    price_group, zone, evidence
        Which, and its class.
    revenue
        Gross, minor units, of the whole history.
    units
        Mean units of a period.
    levels
        Prices that it was sold at.
    half_width
        As in :class:`EvidenceClass`.
    """

    price_group: str
    zone: str
    evidence: str
    revenue: int
    units: float
    levels: int
    half_width: float


@dataclass(frozen=True, slots=True)
class Switch:
    """Something to switch on.

    Attributes
    ----------
    code
        Which: ``calendar``, ``promotions``, ``price_test``, ``costs``, ``prices``, ``inventory``.
    products, revenue_share
        Series that gain by it, and their share of the revenue.
    """

    code: str
    products: int
    revenue_share: float


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the data will be able to say.

    Attributes
    ----------
    periods, period_days
        Length of the history.
    may_move
        Anything lets the effect of a price be told from demand's own moves: a price test, an instrument, or a
        promotion calendar that is declared set in advance. Without it every price is kept.
    classes
        All products by evidence.
    products
        All products, the largest revenue first.
    switches
        What to switch on next, the most urgent first.
    test_step, wanted_half_width
        Of the price test that is proposed.
    widest_half_width
        Half of the 90 % interval of an elasticity of which this shop tells nothing.
    """

    periods: int
    period_days: int
    may_move: bool
    classes: tuple[EvidenceClass, ...]
    products: tuple[ProductEvidence, ...]
    switches: tuple[Switch, ...]
    test_step: float = _STEP
    wanted_half_width: float = _WANTED
    widest_half_width: float = Z90 * ELASTICITY_SD


def readiness(source: Source) -> Readiness:
    """Return what a checked source will be able to say of its prices.

    Raises
    ------
    DataError
        If no order line is retail demand.
    """
    panel = build_panel(source)
    moves, own = price_moves(source, len(panel.series)), own_evidence(panel)
    name = np.where(moves.enough, "enough", np.where(moves.never, "none", "too_few"))
    share = own.revenue / max(float(own.revenue.sum()), 1.0)
    classes = tuple(_class(one, name == one, own, share) for one in ("enough", "too_few", "none"))
    order: Ints = np.argsort(-own.revenue, kind="stable")
    products = tuple(_product(int(i), panel, str(name[i]), moves, own) for i in order)
    may = _may_move(source, panel)
    everything = np.ones(len(share), dtype=np.bool_)
    gains = {"test": name != "enough" if may else everything, "all": everything}
    switches = tuple(
        Switch(code, int(gains[who].sum()), float(share[gains[who]].sum()))
        for code, who in _wanted(source, may_move=may)
        if bool(gains[who].any())
    )
    return Readiness(len(panel.periods), source.shop.period_days, may, classes, products, switches)


def _product(i: int, panel: Panel, name: str, moves: PriceMoves, own: OwnEvidence) -> ProductEvidence:
    return ProductEvidence(
        panel.series.group[i],
        panel.series.zone[i],
        name,
        round(float(own.revenue[i])),
        float(own.units[i]),
        int(moves.levels[i]),
        float(own.expected_width[i]),
    )


def _class(name: str, at: Bools, own: OwnEvidence, share: Floats) -> EvidenceClass:
    some = own.take(at)
    width = float(np.median(some.expected_width)) if at.any() else None
    test = periods_of_test(some, step=_STEP, half_width=_WANTED)
    periods = int(np.ceil(test)) if np.isfinite(test) else None
    return EvidenceClass(name, int(at.sum()), float(share[at].sum()), width, periods)


def _may_move(source: Source, panel: Panel) -> bool:
    declared = source.has("promotions") and source.shop.promotion_calendar_set_in_advance
    tested = panel.tested is not None and bool(panel.tested.any())
    return declared or tested or bool(panel.instrument_names) or _costs_move(panel)


def _costs_move(panel: Panel) -> bool:
    if panel.cost is None:
        return False
    known = np.isfinite(panel.cost)
    low = np.where(known, panel.cost, np.inf).min(axis=1)
    high = np.where(known, panel.cost, -np.inf).max(axis=1)
    return bool(np.any(np.greater(high, low)))


def _wanted(source: Source, *, may_move: bool) -> list[tuple[str, str]]:
    """Return what is missing, the most urgent first: what lets prices move, then what makes it exact."""
    found: list[tuple[str, str]] = []
    if not may_move:
        found.append(("calendar" if source.has("promotions") else "promotions", "all"))
    found.append(("price_test", "test"))
    if not source.has("costs"):
        found.append(("costs", "all"))
    if not source.has("prices"):
        found.append(("prices", "all"))
    if not source.has("inventory"):
        found.append(("inventory", "all"))
    return found
