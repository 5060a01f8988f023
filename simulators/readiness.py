"""Readiness: what a shop's data will be able to say of its prices, and what to switch on next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.panel import Panel
from simulators.contract.checking import Looked
from simulators.contract.price_moves import PriceMoves
from simulators.contract.tables import Source
from simulators.demand.forecast import Z90
from simulators.demand.foretold import Foretold, foretell
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
        Median half width of the 90 % interval that a fit is expected to leave of the elasticity to the
        regular price; see :mod:`simulators.demand.foretold`. None where there are no products.
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
        Which: ``calendar``, ``promotions``, ``price_test``, ``similar`` (let similar products speak for those
        whose own history says too little), ``costs``, ``prices``, ``inventory``.
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
        Anything lets the effect of a price be told from demand's own moves: a price test, an instrument that
        is strong enough, or a promotion calendar that is declared set in advance. Without it every price is
        kept.
    movable
        Products whose price a fit is expected to let move on that.
    similar
        Whether the shop lets similar products speak for the others, and there is something for them to say.
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
    movable: int
    similar: bool
    classes: tuple[EvidenceClass, ...]
    products: tuple[ProductEvidence, ...]
    switches: tuple[Switch, ...]
    test_step: float = _STEP
    wanted_half_width: float = _WANTED
    widest_half_width: float = Z90 * ELASTICITY_SD


def readiness(source: Source, looked: Looked) -> Readiness:
    """Return what a checked source will be able to say of its prices.

    Parameters
    ----------
    source
        An open source.
    looked
        What :func:`simulators.contract.checking.check_and_look` built of it.
    """
    panel, moves = looked.panel, looked.moves
    own = own_evidence(panel)
    declared = source.has("promotions") and source.shop.promotion_calendar_set_in_advance
    expected = foretell(panel, own, calendar_in_advance=declared)
    name = np.where(moves.enough, "enough", np.where(moves.never, "none", "too_few"))
    share = own.revenue / max(float(own.revenue.sum()), 1.0)
    classes = tuple(_class(one, name == one, own, expected, share) for one in ("enough", "too_few", "none"))
    order: Ints = np.argsort(-own.revenue, kind="stable")
    products = tuple(_product(int(i), panel, str(name[i]), moves, own, expected) for i in order)
    may = declared or expected.ruled
    everything = np.ones(len(share), dtype=np.bool_)
    gains = {"test": name != "enough" if may else everything, "kept": ~expected.movable, "all": everything}
    switches = tuple(
        Switch(code, int(gains[who].sum()), float(share[gains[who]].sum()))
        for code, who in _wanted(source, may_move=may)
        if bool(gains[who].any())
    )
    return Readiness(
        periods=len(panel.periods),
        period_days=source.shop.period_days,
        may_move=may,
        movable=int(expected.movable.sum()),
        similar=may and source.shop.guardrails.act_on_prior,
        classes=classes,
        products=products,
        switches=switches,
    )


def _product(
    i: int, panel: Panel, name: str, moves: PriceMoves, own: OwnEvidence, expected: Foretold
) -> ProductEvidence:
    return ProductEvidence(
        panel.series.group[i],
        panel.series.zone[i],
        name,
        round(float(own.revenue[i])),
        float(own.units[i]),
        int(moves.levels[i]),
        float(expected.half_width[i]),
    )


def _class(name: str, at: Bools, own: OwnEvidence, expected: Foretold, share: Floats) -> EvidenceClass:
    some = own.take(at)
    width = float(np.median(expected.half_width[at])) if at.any() else None
    test = periods_of_test(some, step=_STEP, half_width=_WANTED)
    periods = int(np.ceil(test)) if np.isfinite(test) else None
    return EvidenceClass(name, int(at.sum()), float(share[at].sum()), width, periods)


def _wanted(source: Source, *, may_move: bool) -> list[tuple[str, str]]:
    """Return what is missing, the most urgent first: what lets prices move, then what makes it exact."""
    found: list[tuple[str, str]] = []
    if not may_move:
        found.append(("calendar" if source.has("promotions") else "promotions", "all"))
    found.append(("price_test", "test"))
    if may_move and not source.shop.guardrails.act_on_prior:
        found.append(("similar", "kept"))
    if not source.has("costs"):
        found.append(("costs", "all"))
    if not source.has("prices"):
        found.append(("prices", "all"))
    if not source.has("inventory"):
        found.append(("inventory", "all"))
    return found
