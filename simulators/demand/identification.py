"""What the prices of a shop let us know: the range they covered, and what identifies their effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Codes, Floats, Ints
from pricing.evidence import Identification, PriceKind
from pricing.model import COEFFICIENTS, REGULAR
from pricing.panel import Panel
from simulators.demand.design import KnownPrices, priced
from simulators.demand.instruments import Control

__all__ = [
    "INFORMED",
    "Support",
    "believed",
    "held_inside",
    "identify",
    "informed",
    "inside_support",
    "support",
]

_COMPANY = 0.10
"""Two prices within 10 % of each other vouch for each other."""
_LEVEL_GAP = 0.02
"""Prices less than 2 % apart are one price level (weekly means of one price differ by roundings)."""
INFORMED = 0.9
"""A series' own data inform a coefficient if its posterior sd is at most this share of the prior's."""
_INFORMING_SERIES = 3
_DEPTH = np.eye(len(COEFFICIENTS))[COEFFICIENTS.index("depth")]
_RESPONSE = {PriceKind.REGULAR: REGULAR, PriceKind.DISCOUNT: _DEPTH}
"""Combination of coefficients whose evidence is judged."""

_DEEPER = 0.35
"""How much deeper than any before a discount is taken at its word. With .15 the sales beyond it (2 to 3 % of
the cells, 3 to 5 % of the units) were predicted 17 to 20 % too low in each of three held-out stretches of a
year of grocery sales (weeks 25-33, 29-37 and 35-43), with .35 within 2 %; deviance of all cells was 2.064,
1.989 and 2.015 with .15, 2.048, 1.972 and 2.009 with .35, and 2.053, 1.971 and 2.014 without any limit."""


@dataclass(frozen=True, slots=True)
class Support:
    """Prices seen, one-off outliers set aside.

    A recorded price counts if another period of the same series recorded one within 10 % of it; where a
    series has fewer than three records, or none has company, all count. So a typing error or one clearance
    week widens nothing.

    Attributes
    ----------
    low, high
        int64 [N]; lowest and highest regular price, gross minor units, rounded to the nearest.
    depth_low
        float64 [N]; deepest log(offered / regular), <= 0.
    levels
        int64 [N, 2]; distinct price levels at least 2 % apart, each seen in two periods, by
        :class:`pricing.evidence.PriceKind` (for the discount: of its depth, none included).
    """

    low: Ints
    high: Ints
    depth_low: Floats
    levels: Ints


def support(panel: Panel) -> Support:
    """Return the support of every series of a training panel, from recorded prices only."""
    seen = np.isfinite(panel.offered)
    regular = np.where(seen, np.fmax(panel.regular, panel.offered), np.nan)
    log_regular = np.log(regular)
    depth = np.where(seen, np.log(panel.offered) - log_regular, np.nan)
    vouched = _vouched(log_regular)
    low = np.where(vouched, regular, np.inf).min(axis=1)
    high = np.where(vouched, regular, -np.inf).max(axis=1)
    deepest = np.where(_vouched(depth), depth, 0.0).min(axis=1)
    return Support(
        np.rint(low).astype(np.int64),
        np.rint(high).astype(np.int64),
        np.minimum(deepest, 0.0),
        np.stack([_levels(log_regular), _levels(depth)], axis=1),
    )


def inside_support(prices: KnownPrices, low: Ints, high: Ints, depth_low: Floats) -> Bools:
    """Return where prices [N, T] lie in the support, to the nearest minor unit, bool [N, T].

    `low`, `high` and `depth_low` are [N], as in :class:`Support`.
    """
    cheapest = prices.regular * np.exp(depth_low)[:, None] - 0.5
    regular = (prices.regular >= low[:, None] - 0.5) & (prices.regular <= high[:, None] + 0.5)
    return regular & (prices.offered >= cheapest)


def believed(prices: KnownPrices, seen: Support) -> Bools:
    """Return where prices [N, T] are evidence of demand, bool [N, T].

    They lie in the support, or their discount is up to :data:`_DEEPER` deeper: a promotion that came once
    tells what such promotions do, though it widens no support. A regular price that nothing vouches for, or a
    deeper discount, is more often a slip of a record.
    """
    return inside_support(prices, seen.low, seen.high, seen.depth_low + np.log1p(-_DEEPER))


def held_inside(X: Floats, reference: Floats, low: Ints, high: Ints, depth_low: Floats) -> Floats:
    """Return regressors [N, T, C] with prices outside the support read as its nearest edge.

    A price far from anything seen is more often a slip of a record than a price, and a log-linear curve
    would take it at its word. A discount may be up to :data:`_DEEPER` deeper than any before: promotions do
    break records. `reference`, `low`, `high` and `depth_low` are [N].
    """
    floor, ceiling = np.log(low / reference)[:, None], np.log(high / reference)[:, None]
    regular, depth, lag = (COEFFICIENTS.index(name) for name in ("regular", "depth", "lag"))
    inside = np.maximum(X[..., depth], depth_low[:, None] + np.log1p(-_DEEPER))
    out = priced(X, np.clip(X[..., regular], floor, ceiling), inside)
    out[..., lag] = np.clip(X[..., lag], floor + depth_low[:, None], ceiling)
    return out


def identify(
    covariance: Floats,
    prior_covariance: Floats,
    levels: Ints,
    *,
    calendar_in_advance: bool,
    population_informed: Bools,
    control: Control | None = None,
) -> Codes:
    """Say what identifies each price effect, int8 [N, 2].

    A discount is as exogenous as the promotion calendar; tests and instruments speak of the regular price.

    Parameters
    ----------
    covariance, prior_covariance
        float64 [N, C, C]; posterior, and the prior that the posterior started from.
    levels
        int64 [N, 2]; see :class:`Support`.
    calendar_in_advance
        A promotions table was given and the shop declares that the promotion calendar is set in advance
        of demand: then, given promotions, price is taken to move for reasons other than demand.
    population_informed
        bool [2]; some series' data do inform the effect, so that pooling has something to lend.
    control
        Price tests and instruments; None without any. Without them, and without a calendar set in advance,
        the shop's mean response is no better known than any series', and pooling has nothing to lend.
    """
    out = np.full(levels.shape, int(Identification.NOT_IDENTIFIED), dtype=np.int8)
    for kind, response in _RESPONSE.items():
        moved = levels[:, kind] >= 2
        posterior, before = (response @ spread @ response for spread in (covariance, prior_covariance))
        informed = posterior <= INFORMED**2 * before
        ruled = control is not None and control.used and kind is PriceKind.REGULAR
        if population_informed[kind] and (calendar_in_advance or ruled):
            out[moved, kind] = int(Identification.PRIOR)
        if calendar_in_advance:
            out[moved & informed, kind] = int(Identification.PROMO_CONTROLLED)
        if control is not None and ruled:
            out[moved & informed & control.instrumented, kind] = int(Identification.INSTRUMENT)
            out[control.tested, kind] = int(Identification.EXPERIMENT)
    return out


def informed(seen: Support) -> Bools:
    """Return which kinds of price moved in so many series that pooling has something to lend, bool [2]."""
    out: Bools = (seen.levels >= 2).sum(axis=0) >= _INFORMING_SERIES
    return out


def _vouched(log_price: Floats) -> Bools:
    """Return which recorded values have company within 10 %, bool [N, T]."""
    known = np.isfinite(log_price)
    order = np.argsort(np.where(known, log_price, np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(np.where(known, log_price, np.inf), order, axis=1)
    with np.errstate(invalid="ignore"):
        gap = np.diff(ranked, axis=1)
    near = np.isfinite(gap) & (gap <= np.log1p(_COMPANY))
    edge = np.zeros((len(near), 1), dtype=np.bool_)
    company = np.concatenate([near, edge], axis=1) | np.concatenate([edge, near], axis=1)
    out = np.zeros_like(known)
    np.put_along_axis(out, order, company, axis=1)
    alone = (known.sum(axis=1) < 3) | ~out.any(axis=1)
    return np.where(alone[:, None], known, out)


def _levels(log_price: Floats) -> Ints:
    """Count levels at least 2 % apart that hold two records each, int64 [N]."""
    ranked = np.sort(np.where(np.isfinite(log_price), log_price, np.inf), axis=1)
    count = np.zeros(len(ranked), dtype=np.int64)
    start = np.full(len(ranked), -np.inf)
    inside = np.zeros(len(ranked), dtype=np.int64)
    for column in ranked.T:
        real = np.isfinite(column)
        fresh = real & (column > start + _LEVEL_GAP)
        start = np.where(fresh, column, start)
        inside = np.where(fresh, 1, inside + real)
        count += real & (inside == 2)
    return count
