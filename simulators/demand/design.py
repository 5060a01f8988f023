"""The design matrix: what the demand model sees of prices, promotions and traffic.

A price is recorded only where something sold, so every gap is filled with the last price known before it,
never with a later one. Only the gap before a series' very first record has nothing to carry and takes
that first record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.model import COEFFICIENTS, deal_signal
from pricing.panel import Panel, Series
from pricing.response import bends
from pricing.rivals import Rivals
from simulators.contract.carried import ONE_PRICE, carried
from simulators.contract.gaps import at_place, last_place, next_place
from simulators.demand.weekdays import by_days, closed

__all__ = [
    "Design", "KnownPrices", "design", "known_prices", "log_traffic", "observed", "posted", "priced",
    "rivals_among", "rivals_of",
]  # fmt: skip

(
    _LEVEL,
    _REGULAR,
    _DEPTH,
    _FEATURE,
    _DISPLAY,
    _LAG,
    _TRAFFIC,
    _DEAL,
    _FEATURED,
    _RIVALS,
    _CURVE,
    _THRESHOLD,
) = range(len(COEFFICIENTS))

_ENOUGH_SERIES = 20.0
"""Least effective number of series from which orders are a measure of visits: at most about 5 % of a price
effect is then lost to the control."""


_POSTED = 0.9
"""From this share of on-sale periods without a sale that have a price, prices are those that were posted."""
_DAILY = 0.95
"""From this share of days with a record on, a change of price is known to the day."""


@dataclass(frozen=True, slots=True)
class KnownPrices:
    """Prices of every period without gaps.

    Attributes
    ----------
    offered, regular
        float64 [N, T]; gross minor units, ``offered <= regular``; NaN only where a series has none at all.
    before
        float64 [N, T]; shelf price of the period before; in the first period the price itself.
    """

    offered: Floats
    regular: Floats
    before: Floats


@dataclass(frozen=True, slots=True)
class Design:
    """Regressors and exposure.

    Attributes
    ----------
    X
        float64 [N, T, C]; columns in the order of :data:`pricing.model.COEFFICIENTS`.
    offset
        float64 [N, T]; log of the share of the period that the data cover times the share in stock.
    """

    X: Floats
    offset: Floats


def known_prices(panel: Panel) -> KnownPrices:
    """Return the prices of `panel` [N, T] without gaps.

    A regular price below the shelf price is read as equal to it: nobody is offered a negative discount.
    """
    offered, posted = carried(panel)
    regular = np.fmax(posted, offered)
    before = np.concatenate([offered[:, :1], offered[:, :-1]], axis=1)
    return KnownPrices(offered, regular, before)


def observed(panel: Panel, *, short: bool = False) -> Bools:
    """Return where units count as evidence, bool [N, T]: on sale, some stock, a day covered, the shop open.

    Periods in which a product ran out at a time that nobody knows count only where they are asked for
    (`short`): their units are no more than the least that demand was.

    Where its launch is unknown, a series is on sale from its first sale on, so that period sold by
    construction and says nothing of demand; it is left out, and so is the first period of the panel, in
    which only those that sold count as on sale. Counting them overstated a year of grocery units by 1 %,
    and the first week by 25 %. One period is no loss to a series whose launch is known.
    """
    watched = panel.on_sale & (panel.in_stock > 0.0) & (panel.days > 0)
    sold = watched & (panel.units > 0.0)
    first = sold.argmax(axis=1)
    opens = np.flatnonzero(sold.any(axis=1) & (first == panel.on_sale.argmax(axis=1)))
    out = watched.copy()
    out[opens, first[opens]] = False
    out[:, 0] = False
    out[:, closed(panel)] = False
    if by_days(panel):
        out[_in_doubt(panel)] = False
    return out if short or panel.short is None else out & ~panel.short


def _in_doubt(panel: Panel) -> Bools:
    """Return the days around a change of price whose own price is not known, bool [N, T].

    A price that is recorded only where something sold changed at some time between the last sale at the old
    price and the first at the new one. Carried forward, it sets days without a sale at the new price against
    the old, and price responses of products that do not sell daily shrink towards zero (measured: by a
    quarter at one unit a day, by half at .4). What lies between says nothing, and nor do the two sales: each
    was waited for, so that the rest counts as many sales as it has days. A product that sells on nearly all
    days keeps the days of its changes; so does one whose prices a table records.
    """
    recorded = np.isfinite(panel.offered) & panel.on_sale
    last, coming = last_place(recorded), next_place(recorded)
    before = np.concatenate([np.full((len(last), 1), -1, dtype=np.int64), last[:, :-1]], axis=1)
    price = np.where(recorded, panel.offered, np.nan)
    then, now = at_place(price, before), at_place(price, coming)
    known = (before >= 0) & (coming < recorded.shape[1])
    moved = np.asarray(known & (np.abs(now - then) > ONE_PRICE * then), dtype=np.bool_)
    selling = (panel.on_sale & ~closed(panel)).sum(axis=1)
    daily: Bools = np.asarray(recorded.sum(axis=1) >= _DAILY * np.maximum(selling, 1), dtype=np.bool_)
    # The last sale at the old price is the cell before the first that waits.
    waits = moved & ~daily[:, None]
    out = waits.copy()
    n, t = np.nonzero(waits)
    out[n, before[n, t]] = True
    return out


def posted(panel: Panel) -> bool:
    """Return whether prices are known from what was posted, not only from what sold.

    Then periods without a sale have a price as well, but for the few before the first one.
    """
    waiting = panel.on_sale & (panel.units == 0.0) & (panel.days > 0)
    known = int((np.isfinite(panel.offered) & waiting).sum())
    return known >= _POSTED * int(waiting.sum())


def log_traffic(panel: Panel) -> Floats:
    """Return log daily traffic [T] less its mean over covered periods; 0 where traffic is unknown.

    Orders stand in for visits only where no product makes much of them. A price moves the orders of its own
    product, so controlling for them takes away part of the very effect that is looked for: with one product
    nearly all of it, with N equal ones about 1 / N of the traffic coefficient.
    """
    covered = (panel.days > 0) & (panel.traffic > 0.0)
    if not covered.any() or (panel.traffic_is_orders and _effective_series(panel) < _ENOUGH_SERIES):
        return np.zeros(len(panel.days))
    daily = np.log(panel.traffic[covered] / panel.days[covered])
    out = np.zeros(len(panel.days))
    out[covered] = daily - daily.mean()
    return out


def _effective_series(panel: Panel) -> float:
    """Return how many series of equal sales would be as concentrated as these: 1 / sum of squared shares."""
    units = np.where(panel.on_sale, panel.units, 0.0).sum(axis=1)
    total = float(units.sum())
    return total**2 / float((units**2).sum()) if total > 0.0 else 0.0


def rivals_of(panel: Panel) -> Rivals:
    """Return who stands in for whom in a training panel, weighted by units a period on sale."""
    watched = observed(panel)
    units = np.where(watched, panel.units, 0.0).sum(axis=1)
    return rivals_among(panel.series, np.asarray(units / np.maximum(watched.sum(axis=1), 1)))


def rivals_among(series: Series, weight: Floats) -> Rivals:
    """Return who stands in for whom: series of one subcategory in one zone.

    `weight` is float64 [N], units a period. A series without a subcategory, or alone in it, has no rivals.
    """
    pairs = list(zip(series.zone, series.subcategory, strict=True))
    names = {pair: i for i, pair in enumerate(sorted(set(pairs)))}
    group = np.array([names[pair] if pair[1] else -1 for pair in pairs], dtype=np.int64)
    alone = np.bincount(group[group >= 0], minlength=len(names)) < 2
    group[(group >= 0) & alone[group]] = -1
    return Rivals.of(group, weight)


def priced(X: Floats, log_regular: Floats, depth: Floats) -> Floats:
    """Return regressors [..., C] at other prices of their own.

    Parameters
    ----------
    X
        float64 [..., C].
    log_regular, depth
        float64 [...]; log(R / R0) and log(O / R).
    """
    out = X.copy()
    out[..., _REGULAR], out[..., _DEPTH] = log_regular, depth
    out[..., _DEAL] = deal_signal(depth)
    out[..., _CURVE], out[..., _THRESHOLD] = bends(log_regular)
    out[..., _FEATURED] = X[..., _FEATURE] * depth
    return out


def design(
    panel: Panel, reference_price: Floats, traffic: Floats, period_days: int, rivals: Rivals
) -> Design:
    """Build the regressors of the model stated at :data:`pricing.model.COEFFICIENTS`.

    Parameters
    ----------
    panel
        N series, T periods.
    reference_price
        float64 [N]; R0, gross minor units.
    traffic
        float64 [T] or [N, T]; log traffic over its training mean, 0 where it is not known.
    period_days
        Days of a whole period.
    rivals
        Of the same N series.
    """
    prices = known_prices(panel)
    log_reference = np.log(reference_price)[:, None]
    X = np.empty((*panel.units.shape, len(COEFFICIENTS)))
    X[..., _LEVEL] = 1.0
    X[..., _FEATURE] = panel.feature
    X[..., _DISPLAY] = panel.display
    X[..., _LAG] = np.log(prices.before) - log_reference
    X[..., _TRAFFIC] = traffic
    X[..., _RIVALS] = rivals.index((np.log(prices.offered) - log_reference).T).T
    log_regular, depth = np.log(prices.regular) - log_reference, np.log(prices.offered / prices.regular)
    exposure = np.maximum(panel.days, 1) / period_days * np.where(panel.in_stock > 0.0, panel.in_stock, 1.0)
    return Design(priced(X, log_regular, depth), np.log(exposure))
