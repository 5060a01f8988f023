"""Expected demand: the one place where a price becomes units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from pricing.arrays import Floats
from pricing.catalogue import Catalogue
from pricing.model import COEFFICIENTS, DemandModel, deal_signal
from pricing.response import arc_of_bends, bend_slopes, bends
from pricing.rivals import Rivals

__all__ = ["Conditions", "DemandParameters", "log_units", "priced_units", "spilled", "standing_units"]


@dataclass(frozen=True, slots=True)
class DemandParameters:
    """One demand curve for every series; every array is float64 [..., N] (leading axes: worlds or draws).

    Attributes
    ----------
    level
        Log units of a period at the reference price, without promotion.
    regular, depth, lag
        Elasticities to regular price, to discount depth and to the last shelf price.
    feature, display, traffic
        Effects on log units of promotion shares and of log traffic.
    deal, featured_depth
        Effects of there being a discount, and extra elasticity to its depth where it is featured.
    rivals
        Elasticity to the rival price.
    curve, threshold
        Bends of the response to the regular price (:func:`pricing.response.bends`).
    spill
        What one more unit of this series' log price brings to its rivals a period, minor units
        (:func:`spilled`); 0 in a market, where the rivals' own sales say it.
    gain, loss
        Extra elasticity to a shelf price below and above the reference (remembered) price; 0 where the
        data say nothing of it (Kalyanaram and Winer, Marketing Science 1995).
    dispersion
        Size r of the negative binomial: variance = mu + mu**2 / r, given presence.
    absence
        Chance that a period sells nothing for a reason that no table tells; expected units have it in.
    log_reference
        Log of the reference price R0, as a shelf price.
    """

    level: Floats
    regular: Floats
    depth: Floats
    lag: Floats
    feature: Floats
    display: Floats
    traffic: Floats
    deal: Floats
    featured_depth: Floats
    rivals: Floats
    curve: Floats
    threshold: Floats
    spill: Floats
    gain: Floats
    loss: Floats
    dispersion: Floats
    absence: Floats
    log_reference: Floats

    @staticmethod
    def of(coefficients: Floats, model: DemandModel, catalogue: Catalogue) -> DemandParameters:
        """Read coefficients [..., N, C] of `model` for the shelf prices of `catalogue` (same N series).

        `catalogue` and `model` hold the same series in the same order; see :meth:`DemandModel.rows`.
        """
        named = {name: coefficients[..., i] for i, name in enumerate(COEFFICIENTS)}
        nothing = np.zeros_like(named["level"])
        return DemandParameters(
            **named,
            spill=nothing,
            gain=nothing,
            loss=nothing,
            dispersion=np.broadcast_to(model.dispersion, nothing.shape),
            absence=np.broadcast_to(model.absence, nothing.shape),
            log_reference=np.broadcast_to(
                np.log(model.reference_price / catalogue.gross_share), nothing.shape
            ),
        )

    @property
    def bent(self) -> bool:
        """Whether any elasticity depends on the price; a bend of 0 changes no bit of anything."""
        return bool(self.curve.any() or self.threshold.any())

    @property
    def elasticity(self) -> Floats:
        """float64 [..., N]; to the regular price, from 10 % below to 10 % above the reference price."""
        if not self.bent:
            return self.regular
        curve, threshold = arc_of_bends(np.zeros(()))
        return np.asarray(self.regular + self.curve * curve + self.threshold * threshold)

    def slope(self, log_price: Floats) -> Floats:
        """Return d log units / d log regular price, memory apart, float64 [..., N], at that price."""
        if not self.bent:
            return self.regular
        curve, threshold = bend_slopes(log_price - self.log_reference)
        return np.asarray(self.regular + self.curve * curve + self.threshold * threshold)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the shop and the calendar add to a period; every array is float64, broadcast against [..., N].

    Attributes
    ----------
    depth
        Planned log(shelf / regular price), <= 0.
    feature, display
        Planned promotion shares, 0-1.
    traffic
        Log of expected shop traffic over its training mean.
    rivals
        Rival price: mean log shelf price over reference price of the substitutes
        (:meth:`pricing.rivals.Rivals.index`). In a plan: what planned discounts of rivals outside of the plan
        add to it.
    season
        Effect of month and year on log units.
    """

    depth: Floats
    feature: Floats
    display: Floats
    traffic: Floats
    rivals: Floats = field(default_factory=lambda: np.zeros(()))
    season: Floats = field(default_factory=lambda: np.zeros(()))

    @staticmethod
    def plain(series: int) -> Conditions:
        """Return a period without promotions, mean traffic and rivals at reference prices for N series."""
        nothing = np.zeros(series)
        return Conditions(nothing, nothing, nothing, nothing, nothing, nothing)


def log_units(
    parameters: DemandParameters,
    log_price: Floats,
    lag: Floats,
    reference: Floats,
    conditions: Conditions,
) -> Floats:
    """Return the log of expected units of a period.

    Parameters
    ----------
    parameters
        float64 [..., N] each.
    log_price
        float64 [..., N]; log regular shelf price of the period.
    lag
        float64 [..., N]; log shelf price of the period before.
    reference
        float64 [..., N]; log of the price that shoppers remember.
    conditions
        Promotions and traffic of the period.
    """
    return priced_units(
        parameters, standing_units(parameters, lag, conditions), log_price, reference, conditions
    )


def standing_units(parameters: DemandParameters, lag: Floats, conditions: Conditions) -> Floats:
    """Return the part of :func:`log_units` that the price of the period does not touch, float64 [..., N]."""
    d = parameters
    out: Floats = (
        d.level
        + d.lag * (lag - d.log_reference)
        + d.depth * conditions.depth
        + d.feature * conditions.feature
        + d.display * conditions.display
        + d.traffic * conditions.traffic
        + d.deal * deal_signal(conditions.depth)
        + d.featured_depth * conditions.feature * conditions.depth
        + d.rivals * conditions.rivals
        + conditions.season
    )
    return out


def priced_units(
    parameters: DemandParameters,
    standing: Floats,
    log_price: Floats,
    reference: Floats,
    conditions: Conditions,
) -> Floats:
    """Return :func:`log_units`, float64 [..., N], given `standing`, what :func:`standing_units` returned."""
    d = parameters
    gap = log_price + conditions.depth - reference
    away = log_price - d.log_reference
    out: Floats = standing + d.regular * away + d.loss * np.maximum(gap, 0.0) + d.gain * np.minimum(gap, 0.0)
    if d.bent:
        curve, threshold = bends(away)
        out = out + d.curve * curve + d.threshold * threshold
    return out


def spilled(parameters: DemandParameters, rivals: Rivals, catalogue: Catalogue) -> DemandParameters:
    """Return demand that knows what each series' price does to its rivals' profit.

    A dearer product sends shoppers to its substitutes, a cheaper one takes theirs (cannibalisation). To first
    order, at prices in force and without promotions, a rise of log price i by one brings
    ``sum_j profit_j * rivals_j * dP_j / dlog p_i`` to the others; their stock is taken to suffice.

    Parameters
    ----------
    parameters
        float64 [..., N] each.
    rivals, catalogue
        The same N series.
    """
    if not rivals.any:
        return parameters
    now, d = catalogue.log_price, parameters
    standing = replace(Conditions.plain(len(catalogue)), rivals=rivals.index(now - d.log_reference))
    profit = np.exp(log_units(d, now, now, now, standing)) * catalogue.unit_profit(np.exp(now))
    return replace(parameters, spill=rivals.spread(profit * d.rivals))
