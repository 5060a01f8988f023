"""Validate: what the model says of periods it has not seen, beside what happened.

Prices and promotions of the held-out periods are taken as known (they are decisions), traffic and shocks
as unknown. A held-out price that was not recorded is the last recorded one carried forward, so nothing
tells the model whether anything sold. The passport of the demand issue grows in this room.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.errors import DataError
from pricing.model import COEFFICIENTS, DISCOUNT, REGULAR, DemandModel
from pricing.panel import Panel
from simulators.demand.design import KnownPrices, design, known_prices, observed, priced
from simulators.demand.forecast import Z90, cell_variance, expected_units, forecast
from simulators.demand.identification import held_inside, inside_support
from simulators.demand.metrics import Lift, bias, lift_slope, poisson_deviance, total_by, wmape

__all__ = ["Backtest", "Totals", "Validation", "backtest", "validate"]

_RECENT = 8
_BIG_MOVE = 0.10
_LEAST_NAIVE = 0.02
_PRICE_COLUMNS = [COEFFICIENTS.index("regular"), COEFFICIENTS.index("depth")]


@dataclass(frozen=True, slots=True)
class Totals:
    """Units of all validated series by held-out period; every array is [H].

    Attributes
    ----------
    periods
        datetime64[D]; first days.
    actual, expected, lower, upper
        float64; sold, predicted, and the 90 % band with shared shocks.
    """

    periods: Dates
    actual: Floats
    expected: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class Backtest:
    """Cells of n series in H held-out periods, flattened to R = n * H rows.

    Attributes
    ----------
    rows
        int64 [R]; row of the model.
    period
        int64 [R]; 0 .. H-1.
    units, expected, lower, upper
        float64 [R]; sold, posterior mean, and the 90 % interval of sales.
    base, lift
        float64 [R]; predicted log units at the mean training price, and what the actual price adds.
    move
        float64 [R]; log of the shelf price over its training mean.
    variance
        float64 [R]; posterior variance of the log mean.
    naive
        float64 [R]; mean of the series' last eight training periods.
    inside
        bool [R]; the price lies in the support, so that a prediction would not be refused.
    at
        float64 [R, C]; regressors of the prediction, in the order of :data:`pricing.model.COEFFICIENTS`.
    exposure
        float64 [R]; share of a whole period that the row covers, times the season.
    offered, regular
        float64 [R]; shelf and regular price, gross minor units; the last one carried forward where none was
        recorded.
    step
        float64 [R]; log of the shelf price over that of the period before.
    stayed
        float64 [R]; expected units had both prices stayed as in the period before, all else as it was.
    recorded
        bool [R]; a price was recorded in the period.
    """

    rows: Ints
    period: Ints
    units: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    base: Floats
    lift: Floats
    move: Floats
    variance: Floats
    naive: Floats
    inside: Bools
    at: Floats
    exposure: Floats
    offered: Floats
    regular: Floats
    step: Floats
    stayed: Floats
    recorded: Bools

    def take(self, kept: Bools) -> Backtest:
        """Return the rows where `kept` [R] is true."""
        return Backtest(*(getattr(self, f.name)[kept] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Validation:
    """What a backtest shows.

    Attributes
    ----------
    until
        First day that the validated model had not seen.
    own_holdout
        The run had no later periods, so its last fifth was held out and a model of the rest was validated.
    series, periods
        Series that sold in the last eight training periods, and held-out periods.
    outside_support
        Share of their cells at a price never seen in training: a prediction is refused there, so they
        count in nothing below.
    wmape, deviance, bias
        Of the model; `bias` is expected over actual, less one.
    bias_moved
        The same in cells whose price is over 10 % off its training mean; NaN where there is none.
    naive_wmape, naive_deviance
        Of the mean of the last eight training periods.
    lift
        Calibration of price effects.
    negative_regular, negative_depth
        Share of series with a negative posterior mean response; no constraint is applied before.
    coverage
        Share of cells inside the 90 % interval of sales (whole units: at least .9 if calibrated).
    covered_totals
        Share of held-out periods whose total lies in its band.
    totals
        Those totals.
    """

    until: str
    own_holdout: bool
    series: int
    periods: int
    outside_support: float
    wmape: float
    deviance: float
    bias: float
    bias_moved: float
    naive_wmape: float
    naive_deviance: float
    lift: Lift
    negative_regular: float
    negative_depth: float
    coverage: float
    covered_totals: float
    totals: Totals


def validate(
    model: DemandModel, panel: Panel, *, own_holdout: bool = False, cells: Backtest | None = None
) -> Validation:
    """Validate a model on the periods of `panel` from ``model.until`` on.

    Parameters
    ----------
    model
        Fitted on the earlier periods.
    panel
        All periods, earlier and later; every series of the model must be in it.
    own_holdout
        Told on to the report.
    cells
        Backtest of this model on this panel, where it has been made already.

    Raises
    ------
    DataError
        If no period is held out, or nothing sold in them.
    """
    everything = cells or backtest(model, panel)
    found = everything.take(everything.inside)
    start = panel.position(np.datetime64(model.until))
    later = panel.periods[start:]
    y, mu = found.units, found.expected
    if not y.sum() > 0.0:
        raise DataError("Nothing sold in the held-out periods.", todo="Check the dates of the orders.")
    moved = np.abs(found.move) > np.log1p(_BIG_MOVE)
    totals = _totals(model, found, later)
    inside = (y >= found.lower) & (y <= found.upper)
    regular, depth = (model.mean[np.unique(found.rows)] @ arc for arc in (REGULAR, DISCOUNT))
    return Validation(
        until=model.until,
        own_holdout=own_holdout,
        series=len(np.unique(found.rows)),
        periods=len(later),
        outside_support=float(1.0 - everything.inside.mean()),
        wmape=wmape(y, mu),
        deviance=poisson_deviance(y, mu),
        bias=bias(y, mu),
        bias_moved=bias(y[moved], mu[moved]) if y[moved].sum() > 0.0 else float("nan"),
        naive_wmape=wmape(y, found.naive),
        naive_deviance=poisson_deviance(y, found.naive),
        lift=lift_slope(y, found.base, found.lift, found.rows),
        negative_regular=float((regular < 0.0).mean()),
        negative_depth=float((depth < 0.0).mean()),
        coverage=float(inside.mean()),
        covered_totals=float(((totals.actual >= totals.lower) & (totals.actual <= totals.upper)).mean()),
        totals=totals,
    )


def backtest(model: DemandModel, panel: Panel, *, everything: bool = False) -> Backtest:
    """Predict the held-out cells of every series that sold in the last eight training periods.

    Whether a series is still sold in the holdout is not looked at: nobody knew.

    Parameters
    ----------
    model, panel
        As in :func:`validate`.
    everything
        Predict every series of the model, whenever it last sold.

    Raises
    ------
    DataError
        If no period is held out.
    """
    start = panel.position(np.datetime64(model.until))
    if start >= len(panel.periods):
        raise DataError(
            f"The data hold no period after {model.until}.",
            todo="Validate on a holdout of its own, or fit with an earlier --until.",
        )
    rows, lined = _lined(model, panel, start, everything=everything)
    own = model.take(rows)
    place = np.arange(len(rows), dtype=np.int64)[:, None]
    days = panel.periods.astype("datetime64[D]").astype(np.int64)
    traffic, season = own.traffic_on(place, days), own.season_on(place, days)
    X = design(lined, own.reference_price, np.nan_to_num(traffic), own.period_days, own.rivals)
    # A weekday on which the shop never sold: nothing is foretold of it.
    shut: Bools = np.asarray(np.isnan(traffic).any(axis=0), dtype=np.bool_)
    later = np.flatnonzero((panel.days[start:] > 0) & ~shut[start:]) + start
    n, H = len(rows), len(later)
    limits = (model.support_low[rows], model.support_high[rows], model.depth_low[rows])
    inside = held_inside(X.X, model.reference_price[rows], *limits)
    at = inside[:, later].reshape(n * H, -1)
    exposure = np.exp((X.offset + season)[:, later]).reshape(-1)
    row = np.repeat(rows, H)
    predicted = forecast(model, row, at, exposure)
    prices = known_prices(lined)
    usual, move = _usual_price(lined, prices, start, later, model.reference_price[rows], at)
    log_base = np.log(expected_units(model, row, usual)[0])
    _, _, variance = expected_units(model, row, at)
    stay = inside[:, later - 1][..., _PRICE_COLUMNS].reshape(n * H, -1)
    kept = priced(at, stay[:, 0], stay[:, 1])
    naive = np.maximum(_recent_mean(lined, start), _LEAST_NAIVE)
    return Backtest(
        rows=row,
        period=np.tile(later - start, n),
        units=lined.units[:, later].reshape(-1),
        expected=predicted.expected,
        lower=predicted.units_lower,
        upper=predicted.units_upper,
        base=log_base + np.log(exposure),
        lift=np.log(predicted.expected / exposure) - log_base,
        move=move,
        variance=variance,
        naive=np.repeat(naive, H) * np.exp(X.offset[:, later]).reshape(-1),
        inside=inside_support(prices, *limits)[:, later].reshape(-1),
        at=at,
        exposure=exposure,
        offered=prices.offered[:, later].reshape(-1),
        regular=prices.regular[:, later].reshape(-1),
        step=np.log(prices.offered[:, later] / prices.before[:, later]).reshape(-1),
        stayed=expected_units(model, row, kept)[0] * exposure,
        recorded=np.isfinite(lined.offered[:, later]).reshape(-1),
    )


def _lined(model: DemandModel, panel: Panel, start: int, *, everything: bool) -> tuple[Ints, Panel]:
    """Return rows of the model that count [n], and the panel of those n series in that order."""
    place = {pair: i for i, pair in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    pairs = zip(model.series.group, model.series.zone, strict=True)
    lined = np.array([place[pair] for pair in pairs], dtype=np.int64)
    recent = panel.units[lined, max(start - _RECENT, 0) : start].sum(axis=1) > 0.0
    rows = np.flatnonzero(recent | everything)
    return rows, panel.take(lined[rows])


def _usual_price(
    panel: Panel, prices: KnownPrices, start: int, later: Ints, reference: Floats, at: Floats
) -> tuple[Floats, Floats]:
    """Return regressors at the mean training price [R, C], and the log move of the shelf price [R]."""
    watched = observed(panel)[:, :start]
    watched = np.where(watched.any(axis=1, keepdims=True), watched, np.ones_like(watched))
    count = watched.sum(axis=1)
    regular = np.where(watched, prices.regular[:, :start], 0.0).sum(axis=1) / count
    offered = np.where(watched, prices.offered[:, :start], 0.0).sum(axis=1) / count
    H = len(later)
    usual = priced(at, np.repeat(np.log(regular / reference), H), np.repeat(np.log(offered / regular), H))
    move = np.log(prices.offered[:, later] / offered[:, None]).reshape(-1)
    return usual, move


def _recent_mean(panel: Panel, start: int) -> Floats:
    days = panel.days[max(start - _RECENT, 0) : start]
    whole = float(days.sum()) / float(panel.days.max())
    out: Floats = panel.units[:, max(start - _RECENT, 0) : start].sum(axis=1) / whole
    return out


def _totals(model: DemandModel, found: Backtest, later: Dates) -> Totals:
    H = len(later)
    mu = found.expected
    cell = cell_variance(model, found.rows, mu, found.variance)
    own = total_by(found.period, cell, H)
    expected = total_by(found.period, mu, H)
    G = len(model.category_shock_sd)
    group = model.category[found.rows] * H + found.period
    by_category = total_by(group, mu, G * H).reshape(G, H)
    shared = (by_category**2 * np.expm1(model.category_shock_sd**2)[:, None]).sum(axis=0)
    shared += expected**2 * np.expm1(model.period_shock_sd**2)
    reach = Z90 * np.sqrt(own + shared)
    return Totals(
        later,
        total_by(found.period, found.units, H),
        expected,
        np.maximum(expected - reach, 0.0),
        expected + reach,
    )
