"""Predict: a scenario of prices becomes expected units with intervals, row for row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.errors import DataError, OutsideSupport, UnknownProduct
from pricing.model import COEFFICIENTS, DemandModel
from pricing.panel import Panel, Series
from simulators.demand.design import known_prices
from simulators.demand.forecast import Forecast, forecast

__all__ = ["LastKnown", "Scenario", "last_known", "predict"]

_HALF_UNIT = 0.5
"""Prices are compared with the support to the nearest minor unit."""


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
    """

    series: Series
    offered: Floats
    regular: Floats
    feature: Floats
    display: Floats


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is asked: R rows.

    Attributes
    ----------
    product
        Product (price group) identifiers.
    zone
        Zone identifiers; an empty string where the product has one zone only.
    period_start
        datetime64[D] [R].
    offered, regular
        float64 [R]; gross minor units; `regular` is NaN where it is as last known.
    feature, display
        float64 [R]; 0-1; NaN where as last known.
    """

    product: tuple[str, ...]
    zone: tuple[str, ...]
    period_start: Dates
    offered: Floats
    regular: Floats
    feature: Floats
    display: Floats


def last_known(panel: Panel) -> LastKnown:
    """Return where a training panel ends."""
    prices = known_prices(panel)
    return LastKnown(
        panel.series,
        prices.offered[:, -1],
        prices.regular[:, -1],
        panel.feature[:, -1],
        panel.display[:, -1],
    )


def predict(model: DemandModel, known: LastKnown, scenario: Scenario, *, widen: bool = False) -> Forecast:
    """Forecast the rows of a scenario, in their order.

    A row's lagged price is the shelf price that the scenario itself sets for the period before; failing
    that the last earlier one it sets, failing that the last known. A scenario with several rows for one
    series and period is a menu of alternatives, not a plan: such a period passes no price on. A shelf
    price above the last known regular price, without a stated one, is read as a new regular price.

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
        If a row holds an impossible number, or needs a zone and has none.
    OutsideSupport
        If a price was never observed and `widen` is false.
    """
    _refuse_impossible(scenario)
    rows = _rows(model.series, scenario)
    place = {key: i for i, key in enumerate(zip(known.series.group, known.series.zone, strict=True))}
    last = np.array(
        [place[model.series.group[i], model.series.zone[i]] for i in rows.tolist()], dtype=np.int64
    )
    regular = np.where(np.isfinite(scenario.regular), scenario.regular, known.regular[last])
    regular = np.where(np.isfinite(scenario.regular), regular, np.fmax(regular, scenario.offered))
    _refuse_inverted(scenario, regular)
    if not widen:
        _refuse_unseen(model, rows, scenario, regular)
    X = _regressors(model, rows, scenario, regular, known, last)
    return forecast(model, rows, X, np.ones(len(rows)))


def _regressors(
    model: DemandModel, rows: Ints, scenario: Scenario, regular: Floats, known: LastKnown, last: Ints
) -> Floats:
    reference = model.reference_price[rows]
    before = _price_before(rows, scenario, known.offered[last])
    X = np.zeros((len(rows), len(COEFFICIENTS)))
    X[:, 0] = 1.0
    X[:, 1] = np.log(regular / reference)
    X[:, 2] = np.log(scenario.offered / regular)
    X[:, 3] = np.where(np.isfinite(scenario.feature), scenario.feature, known.feature[last])
    X[:, 4] = np.where(np.isfinite(scenario.display), scenario.display, known.display[last])
    X[:, 5] = np.log(before / reference)
    return X


def _price_before(rows: Ints, scenario: Scenario, otherwise: Floats) -> Floats:
    """Return the shelf price of the period before each row, float64 [R]."""
    day = scenario.period_start.astype("datetime64[D]").astype(np.int64)
    pairs, first, which, count = np.unique(
        np.stack([rows, day], axis=1), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.arange(len(pairs), dtype=np.int64)
    plan = np.maximum.accumulate(np.where(count == 1, number, -1))
    earlier = np.concatenate([[-1], plan[:-1]])
    carries = (earlier >= 0) & (pairs[earlier, 0] == pairs[:, 0])
    price = scenario.offered[first[earlier]]
    at = which.reshape(-1)
    out: Floats = np.where(carries[at], price[at], otherwise)
    return out


def _rows(series: Series, scenario: Scenario) -> Ints:
    zones: dict[str, dict[str, int]] = {}
    for i, (group, zone) in enumerate(zip(series.group, series.zone, strict=True)):
        zones.setdefault(group, {})[zone] = i
    found = [
        _row(zones, product, zone, number)
        for number, (product, zone) in enumerate(zip(scenario.product, scenario.zone, strict=True), start=1)
    ]
    return np.array(found, dtype=np.int64)


def _row(zones: Mapping[str, Mapping[str, int]], product: str, zone: str, number: int) -> int:
    if product not in zones:
        raise UnknownProduct(
            f"Row {number}: product {product!r} is not in this run.",
            why="Nothing of it was sold before the end of training, or the identifier is another shop's.",
            todo="Check product_id, or fit again with data that hold its sales.",
        )
    known = zones[product]
    if not zone and len(known) > 1:
        raise DataError(
            f"Row {number}: product {product!r} is sold in {len(known)} zones and no zone is given.",
            todo=f"Fill in zone: {_listed(sorted(known))}.",
        )
    if zone and zone not in known:
        raise UnknownProduct(
            f"Row {number}: product {product!r} has no sales in zone {zone!r}.",
            todo=f"Its zones are {_listed(sorted(known))}.",
        )
    return known[zone] if zone else next(iter(known.values()))


def _refuse_impossible(scenario: Scenario) -> None:
    undated = np.isnat(scenario.period_start)
    _refuse(undated, "period_start", scenario.period_start, "is no date")
    bad = ~np.isfinite(scenario.offered) | (scenario.offered <= 0.0)
    _refuse(bad, "offered_price", scenario.offered, "is no positive price")
    bad = np.isinf(scenario.regular) | (scenario.regular <= 0.0)
    _refuse(bad, "regular_price", scenario.regular, "is no positive price")
    for name in ("feature", "display"):
        value: Floats = getattr(scenario, name)
        bad = np.isinf(value) | (value < 0.0) | (value > 1.0)
        _refuse(bad, name, value, "is no share between 0 and 1")


def _refuse(bad: Bools, column: str, values: Floats | Dates, says: str) -> None:
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"Row {first + 1}: {column} {values[first]} {says}.",
            why=f"{int(bad.sum())} row(s) are so.",
            todo=f"Correct {column} in the scenario.",
        )


def _refuse_inverted(scenario: Scenario, regular: Floats) -> None:
    bad = scenario.offered > regular + _HALF_UNIT
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"Row {first + 1}: offered_price is above regular_price "
            f"({scenario.offered[first]:.0f} > {regular[first]:.0f} minor units).",
            todo="A shelf price is at most the regular price.",
        )


def _refuse_unseen(model: DemandModel, rows: Ints, scenario: Scenario, regular: Floats) -> None:
    low, high = model.support_low[rows], model.support_high[rows]
    bad = (regular < low - _HALF_UNIT) | (regular > high + _HALF_UNIT)
    if bad.any():
        first = int(bad.argmax())
        raise OutsideSupport(
            f"Row {first + 1}: a regular price of {regular[first]:.0f} for {scenario.product[first]!r} lies "
            f"outside the {low[first]} to {high[first]} minor units ever observed.",
            why=f"{int(bad.sum())} row(s) are so; what shoppers do there is unknown.",
            todo="Stay inside, or ask to widen, which extrapolates the fitted curve.",
        )
    cheapest = regular * np.exp(model.depth_low[rows])
    bad = scenario.offered < cheapest - _HALF_UNIT
    if bad.any():
        first = int(bad.argmax())
        raise OutsideSupport(
            f"Row {first + 1}: {scenario.offered[first]:.0f} off a regular price of {regular[first]:.0f} for "
            f"{scenario.product[first]!r} is a deeper discount than any observed "
            f"(cheapest {cheapest[first]:.0f} minor units).",
            why=f"{int(bad.sum())} row(s) are so; what shoppers do there is unknown.",
            todo="Stay inside, give regular_price if that is what changes, or ask to widen.",
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown}, ..."
