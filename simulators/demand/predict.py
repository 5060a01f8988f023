"""Predict: a scenario of prices becomes expected units with intervals, row for row."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import OutsideSupport, RefusedError
from pricing.model import COEFFICIENTS, DemandModel
from pricing.money import Currency
from pricing.panel import Panel, Series
from simulators.demand.design import known_prices, priced
from simulators.demand.forecast import Forecast, forecast
from simulators.demand.scenario import (
    Scenario,
    refuse_impossible,
    refuse_inverted,
    refuse_unseen,
    refuse_when,
    rows_of,
)

__all__ = ["LastKnown", "last_known", "predict"]


_LEVEL, _FEATURE, _DISPLAY, _LAG, _TRAFFIC, _RIVALS = (
    COEFFICIENTS.index(name) for name in ("level", "feature", "display", "lag", "traffic", "rivals")
)


@dataclass(frozen=True, slots=True)
class LastKnown:
    """Where N series stood in the last period of training.

    Attributes
    ----------
    series
        Who the rows are.
    offered, regular
        float64 [N]; gross minor units, carried forward over periods without a record.
    feature, display
        float64 [N]; promotion shares, 0-1.
    currency
        ISO 4217 code of the prices.
    periods
        Number of periods that training saw.
    """

    series: Series
    offered: Floats
    regular: Floats
    feature: Floats
    display: Floats
    currency: str
    periods: int


def last_known(panel: Panel) -> LastKnown:
    """Return where a training panel ends."""
    prices = known_prices(panel)
    return LastKnown(
        panel.series,
        prices.offered[:, -1],
        prices.regular[:, -1],
        panel.feature[:, -1],
        panel.display[:, -1],
        panel.currency,
        len(panel.periods),
    )


def predict(model: DemandModel, known: LastKnown, scenario: Scenario, *, widen: bool = False) -> Forecast:
    """Forecast the rows of a scenario, in their order.

    A row's lagged price is the shelf price that the scenario itself sets for the period before; failing
    that the last earlier one it sets, failing that the last known. A scenario with several prices for one
    series and period is a menu of alternatives, not a plan: such a period passes no price on. A shelf
    price above the last known regular price, without a stated one, is read as a new regular price. The rival
    prices of a row are those that the scenario plans for the same period, or the last known. Shop traffic is
    taken to be as on average in training (by days, on that weekday), month and year as the calendar knows
    them, and the level of demand as it was last seen: the intervals do not grow with the distance from the
    end of training.

    Parameters
    ----------
    model
        Fitted demand.
    known
        Where the same series stood at the end of training.
    scenario
        R rows.
    widen
        Also answer for prices outside the range ever observed, by the fitted curve; the interval grows
        with the distance but knows nothing of what lies out there.

    Raises
    ------
    UnknownProduct
        If a row names a product or zone that the model does not hold.
    DataError
        If a row holds an impossible number, needs a zone and has none, or begins no period.
    RefusedError
        If a period was seen in training, lies farther ahead than training looked back, or is a weekday on
        which the shop never sold.
    OutsideSupport
        If a price was never observed and `widen` is false, or the curve says nothing finite about it.
    """
    money = Currency.of(known.currency)
    refuse_impossible(scenario, money)
    rows = rows_of(model.series, scenario)
    refuse_when(model, scenario, known.periods)
    _refuse_shut(model, rows, scenario)
    place = {key: i for i, key in enumerate(zip(known.series.group, known.series.zone, strict=True))}
    last = np.array(
        [place[model.series.group[i], model.series.zone[i]] for i in rows.tolist()], dtype=np.int64
    )
    regular = np.where(np.isfinite(scenario.regular), scenario.regular, known.regular[last])
    regular = np.where(np.isfinite(scenario.regular), regular, np.fmax(regular, scenario.offered))
    refuse_inverted(scenario, regular, money)
    if not widen:
        refuse_unseen(model, rows, scenario, regular, money)
    X = _regressors(model, rows, scenario, regular, known, last)
    with np.errstate(over="ignore", invalid="ignore"):
        found = forecast(model, rows, X, np.exp(model.season_on(rows, _days(scenario))))
    _refuse_endless(found, scenario, money)
    return found


def _regressors(
    model: DemandModel, rows: Ints, scenario: Scenario, regular: Floats, known: LastKnown, last: Ints
) -> Floats:
    reference = model.reference_price[rows]
    before = _price_before(rows, scenario, known.offered[last])
    X = np.zeros((len(rows), len(COEFFICIENTS)))
    X[:, _LEVEL] = 1.0
    X[:, _FEATURE] = np.where(np.isfinite(scenario.feature), scenario.feature, known.feature[last])
    X[:, _DISPLAY] = np.where(np.isfinite(scenario.display), scenario.display, known.display[last])
    X[:, _LAG] = np.log(before / reference)
    X[:, _RIVALS] = _rival_prices(model, rows, scenario, known)
    X[:, _TRAFFIC] = model.traffic_on(rows, _days(scenario))
    return priced(X, np.log(regular / reference), np.log(scenario.offered / regular))


def _rival_prices(model: DemandModel, rows: Ints, scenario: Scenario, known: LastKnown) -> Floats:
    """Return the rival price of each row, float64 [R]: of the scenario's own plan, else as last known."""
    place = {key: i for i, key in enumerate(zip(known.series.group, known.series.zone, strict=True))}
    pairs = zip(model.series.group, model.series.zone, strict=True)
    last = known.offered[[place[pair] for pair in pairs]]
    days, when = np.unique(scenario.period_start, return_inverse=True)
    log_price = np.tile(np.log(last / model.reference_price), (len(days), 1))
    which, several, _ = _plan(rows, scenario)
    plan = ~several[which]
    log_price[when[plan], rows[plan]] = np.log(scenario.offered[plan] / model.reference_price[rows[plan]])
    return np.asarray(model.rivals.index(log_price)[when, rows])


def _plan(rows: Ints, scenario: Scenario) -> tuple[Ints, Bools, Ints]:
    """Return what the scenario names for a series and period, P such pairs in order of series and day.

    Returns
    -------
    The pair of each row [R]; whether it has several prices, a menu, bool [P]; its first row [P].
    """
    _, first, which = np.unique(
        np.stack([rows, _days(scenario)], axis=1), axis=0, return_index=True, return_inverse=True
    )
    which = which.reshape(-1)
    several = np.zeros(len(first), dtype=np.bool_)
    np.logical_or.at(several, which, scenario.offered != scenario.offered[first[which]])
    return which.astype(np.int64), several, first.astype(np.int64)


def _days(scenario: Scenario) -> Ints:
    """Return the first day of each row's period, days since 1970-01-01, int64 [R]."""
    return scenario.period_start.astype("datetime64[D]").astype(np.int64)


def _price_before(rows: Ints, scenario: Scenario, otherwise: Floats) -> Floats:
    """Return the shelf price of the period before each row, float64 [R]."""
    which, several, first = _plan(rows, scenario)
    number = np.arange(len(first), dtype=np.int64)
    plan = np.maximum.accumulate(np.where(several, -1, number))
    earlier = np.concatenate([[-1], plan[:-1]])
    carries = (earlier >= 0) & (rows[first[earlier]] == rows[first])
    price = scenario.offered[first[earlier]]
    out: Floats = np.where(carries[which], price[which], otherwise)
    return out


def _refuse_endless(found: Forecast, scenario: Scenario, money: Currency) -> None:
    numbers = np.stack([getattr(found, field.name) for field in fields(Forecast)])
    bad = ~np.isfinite(numbers).all(axis=0)
    if bad.any():
        first = int(bad.argmax())
        raise OutsideSupport(
            f"Row {first + 1}: at {money.unit_price(float(scenario.offered[first]))} the fitted curve of "
            f"{scenario.product[first]!r} gives no finite number of units.",
            todo="Give a price nearer to those observed.",
        )


def _refuse_shut(model: DemandModel, rows: Ints, scenario: Scenario) -> None:
    shut = np.isnan(model.traffic_on(rows, _days(scenario)))
    if shut.any():
        first = int(shut.argmax())
        raise RefusedError(
            f"Row {first + 1}: the shop has never sold on the weekday of {scenario.period_start[first]}.",
            why="What it would sell if it opened is in no data.",
            todo="Leave these days out.",
        )
