"""The elasticities table: how far demand moves with price, how surely, and how it is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Codes, Floats, Ints
from pricing.evidence import Identification, PriceKind
from pricing.model import DISCOUNT, DemandModel, regular_arc
from pricing.panel import Panel, Series
from simulators.demand.design import known_prices, observed
from simulators.demand.forecast import Z90
from simulators.demand.predict import LastKnown, last_known

__all__ = ["CONFOUNDING", "Elasticities", "confounding_reach", "elasticities", "with_confounding"]

CONFOUNDING = 0.3
"""Correlation between a series' price movements and its unobserved demand that sensitivity intervals allow
for: price and demand share 9 % of their unexplained variance."""

_LEAST_MOVEMENT = 0.01
_LEAST_BIAS = 1.75
"""Least that a sensitivity interval adds on either side, in half widths of the sampling interval. In invented
shops whose counts are almost free of noise ``rho * s / p`` is next to nothing, for the shocks that prices
followed have gone into the drifting level, which widens the sampling interval: with .3 of each shock in the
price .68 of the sensitivity intervals held the truth, with this least all; with 1.5 .99, and fewer in
docs/worlds.md's (.86 and .94 instead of .88 and .98, seeds 1 and 2)."""


@dataclass(frozen=True, slots=True)
class Elasticities:
    """Own-price elasticities of N series, for both kinds of price; arrays are [N, 2] by PriceKind.

    Attributes
    ----------
    series
        Who the N rows are.
    at_price
        int64; price at which it holds, gross minor units: the last known regular price for the regular
        kind, the last known shelf price for the discount kind.
    elasticity
        float64; posterior mean, per cent of units per per cent of price in the same period. To the regular
        price it is the arc elasticity from 10 % below to 10 % above `at_price`
        (:func:`pricing.model.regular_arc`); to a discount that of 20 % off, not featured
        (:data:`pricing.model.DISCOUNT`).
    lower, upper
        float64; 90 % interval from sampling and pooling, *if* price moved for reasons other than demand.
    identified_by
        int8; :class:`pricing.evidence.Identification`.
    sensitivity_lower, sensitivity_upper
        float64; the interval if it did not quite; see :func:`elasticities`.
    support_low, support_high
        int64; range of the price itself that was observed, gross minor units.
    """

    series: Series
    at_price: Ints
    elasticity: Floats
    lower: Floats
    upper: Floats
    identified_by: Codes
    sensitivity_lower: Floats
    sensitivity_upper: Floats
    support_low: Ints
    support_high: Ints


def elasticities(model: DemandModel, panel: Panel) -> Elasticities:
    """Return the elasticities of a model.

    Parameters
    ----------
    model
        Fitted demand of N series.
    panel
        The training panel of the same N series in the same order.

    Notes
    -----
    A sensitivity interval widens the sampling interval on both sides by the omitted-variable bias
    ``rho * s / p`` (Cinelli and Hazlett, JRSS B 2020): s is the standard deviation of unobserved log demand,
    taken to be all the overdispersion there is, ``sqrt(log(1 + 1 / r))``; p that of the log price about its
    mean; rho the correlation :data:`CONFOUNDING`. A series that leans on the population leans on its
    confounding too, so 1 / p is mixed with the population's in proportion of what the prior decides. At least
    1.75 half widths of the sampling interval are added. It is a stated assumption drawn to scale, not a test:
    nothing in sales and prices alone could reveal it, and where demand moved the price more than all else did
    it is too little.
    """
    known = last_known(panel)
    asked = _asked(model, known)
    variance = _variance(model, asked)
    centre = np.einsum("nkc,nc->nk", asked, model.mean)
    reach = Z90 * np.sqrt(variance)
    bias = _confounding_reach(model, panel, asked, variance)
    deepest = model.support_low * np.exp(model.depth_low)
    return Elasticities(
        series=model.series,
        at_price=np.rint(np.stack([known.regular, known.offered], axis=1)).astype(np.int64),
        elasticity=centre,
        lower=centre - reach,
        upper=centre + reach,
        identified_by=model.identified_by,
        sensitivity_lower=centre - reach - bias,
        sensitivity_upper=centre + reach + bias,
        support_low=np.stack([model.support_low, np.rint(deepest).astype(np.int64)], axis=1),
        support_high=np.stack([model.support_high, model.support_high], axis=1),
    )


def confounding_reach(model: DemandModel, panel: Panel) -> Floats:
    """Return how far confounding may move each elasticity, float64 [N, 2]; see :func:`elasticities`."""
    asked = _asked(model, last_known(panel))
    return _confounding_reach(model, panel, asked, _variance(model, asked))


def _confounding_reach(model: DemandModel, panel: Panel, asked: Floats, variance: Floats) -> Floats:
    before = np.einsum("nkc,ncd,nkd->nk", asked, model.prior_covariance[model.category], asked)
    own = 1.0 - np.clip(variance / before, 0.0, 1.0)
    unobserved = np.sqrt(np.log1p(1.0 / model.dispersion))[:, None]
    bias = CONFOUNDING * unobserved * _inverse_movement(panel, own)
    # As far as the shop's prices tell anything: an interval that is the prior's own is wide enough.
    least = _LEAST_BIAS * own.max(axis=0, initial=0.0) * Z90 * np.sqrt(variance)
    return np.asarray(np.maximum(bias, least))


def with_confounding(model: DemandModel, panel: Panel) -> DemandModel:
    """Return the model with its :attr:`DemandModel.confounding`; `panel` is its training panel, lined up."""
    kind = int(PriceKind.REGULAR)
    free = model.identified_by[:, kind] <= Identification.INSTRUMENT
    return replace(model, confounding=np.where(free, 0.0, confounding_reach(model, panel)[:, kind]))


def _asked(model: DemandModel, known: LastKnown) -> Floats:
    """Return the combination of coefficients that is each elasticity, float64 [N, 2, C], by PriceKind."""
    regular = regular_arc(np.log(known.regular / model.reference_price))
    return np.stack([regular, np.broadcast_to(DISCOUNT, regular.shape)], axis=1)


def _variance(model: DemandModel, asked: Floats) -> Floats:
    covariance = model.factor @ np.swapaxes(model.factor, 1, 2)
    return np.asarray(np.einsum("nkc,ncd,nkd->nk", asked, covariance, asked))


def _inverse_movement(panel: Panel, own: Floats) -> Floats:
    """Return 1 / p, float64 [N, 2], mixed with the population's by the share `own` that data decide."""
    prices = known_prices(panel)
    watched = observed(panel)
    moved = np.stack(
        [_sd(np.log(prices.regular), watched), _sd(np.log(prices.offered / prices.regular), watched)], axis=1
    )
    enough = moved > _LEAST_MOVEMENT
    pooled = np.array(
        [float(np.sqrt((moved[enough[:, k], k] ** 2).mean())) if enough[:, k].any() else 1.0 for k in (0, 1)]
    )
    inverse = 1.0 / np.where(enough, moved, pooled)
    out: Floats = own * inverse + (1.0 - own) / pooled
    return out


def _sd(values: Floats, watched: Bools) -> Floats:
    count = np.maximum(watched.sum(axis=1), 1)
    mean = np.where(watched, values, 0.0).sum(axis=1) / count
    square = np.where(watched, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / count
    out: Floats = np.sqrt(square)
    return out
