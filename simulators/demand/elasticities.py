"""The elasticities table: how far demand moves with price, how surely, and how it is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Codes, Floats, Ints
from pricing.evidence import Identification, PriceKind
from pricing.model import COEFFICIENTS, DISCOUNT, DemandModel
from pricing.panel import Panel, Series
from simulators.demand.design import known_prices, observed
from simulators.demand.forecast import Z90
from simulators.demand.predict import last_known

__all__ = ["CONFOUNDING", "Elasticities", "confounding_reach", "elasticities", "with_confounding"]

CONFOUNDING = 0.3
"""Correlation between a series' price movements and its unobserved demand that sensitivity intervals allow
for: price and demand share 9 % of their unexplained variance."""

_ASKED = np.stack([np.eye(len(COEFFICIENTS))[COEFFICIENTS.index("regular")], DISCOUNT])
"""float64 [2, C]; combination of coefficients that is each elasticity, by PriceKind."""
_LEAST_MOVEMENT = 0.01


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
        price it is the same over the support; to a discount it is the arc elasticity of 20 % off, not
        featured (:data:`pricing.model.DISCOUNT`).
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
    confounding too, so 1 / p is mixed with the population's in proportion of what the prior decides. It is
    a stated assumption drawn to scale, not a test: nothing in sales and prices alone could reveal it.
    """
    centre = model.mean @ _ASKED.T
    reach = Z90 * np.sqrt(_variance(model))
    bias = confounding_reach(model, panel)
    known = last_known(panel)
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
    before = np.einsum("kc,gcd,kd->gk", _ASKED, model.prior_covariance, _ASKED)[model.category]
    own = 1.0 - np.clip(_variance(model) / before, 0.0, 1.0)
    unobserved = np.sqrt(np.log1p(1.0 / model.dispersion))[:, None]
    return np.asarray(CONFOUNDING * unobserved * _inverse_movement(panel, own))


def with_confounding(model: DemandModel, panel: Panel) -> DemandModel:
    """Return the model with its :attr:`DemandModel.confounding`; `panel` is its training panel, lined up."""
    kind = int(PriceKind.REGULAR)
    free = model.identified_by[:, kind] <= Identification.INSTRUMENT
    return replace(model, confounding=np.where(free, 0.0, confounding_reach(model, panel)[:, kind]))


def _variance(model: DemandModel) -> Floats:
    covariance = model.factor @ np.swapaxes(model.factor, 1, 2)
    return np.asarray(np.einsum("kc,ncd,kd->nk", _ASKED, covariance, _ASKED))


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
