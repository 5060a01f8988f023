"""A scenario of prices, and what it may not ask. Every refusal names its row; the first row is 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.errors import DataError, OutsideSupport, RefusedError, UnknownProduct
from pricing.model import DemandModel
from pricing.money import Currency
from pricing.panel import Series

__all__ = [
    "Scenario",
    "periods_ahead",
    "refuse_impossible",
    "refuse_inverted",
    "refuse_unseen",
    "refuse_when",
    "rows_of",
    "unseen",
]

_HALF_UNIT = 0.5
"""Prices are compared with the support to the nearest minor unit."""


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
        datetime64[D] [R]; first day of a period of the model.
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


def periods_ahead(model: DemandModel, scenario: Scenario) -> Ints:
    """Return how many periods after training each row lies, int64 [R]; 1 is the first that was not seen."""
    return _days_ahead(model, scenario) // model.period_days + 1


def rows_of(series: Series, scenario: Scenario) -> Ints:
    """Return the series that each row is about, int64 [R].

    Raises
    ------
    UnknownProduct
        If a row names a product or zone that is not among them.
    DataError
        If a row names no zone and its product is sold in several.
    """
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
            why="Nothing of it was sold before the end of training, it is priced as part of a price group, "
            "or the identifier is another shop's.",
            todo="Check product_id (for a product in a price group: the group's identifier), or fit again "
            "with data that hold its sales.",
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


def refuse_impossible(scenario: Scenario, money: Currency) -> None:
    """Raise :class:`DataError` for the first price that is none, and the first share outside 0 to 1."""
    for column, price, bad in (
        ("offered_price", scenario.offered, ~np.isfinite(scenario.offered) | (scenario.offered <= 0.0)),
        ("regular_price", scenario.regular, np.isinf(scenario.regular) | (scenario.regular <= 0.0)),
    ):
        if bad.any():
            value = float(price[bad.argmax()])
            shown = money.unit_price(value) if np.isfinite(value) else str(value)
            says = "is empty" if np.isnan(value) else f"is {shown}, no positive price"
            raise _bad_row(bad, f"{column} {says}.", f"Correct {column} in the scenario.")
    for column, share in (("feature", scenario.feature), ("display", scenario.display)):
        bad = np.isinf(share) | (share < 0.0) | (share > 1.0)
        if bad.any():
            says = f"{column} is {share[bad.argmax()]:g}, no share between 0 and 1."
            raise _bad_row(bad, says, f"Correct {column} in the scenario.")


def refuse_when(model: DemandModel, scenario: Scenario, periods: int) -> None:
    """Refuse rows about a time that the model cannot speak of.

    Parameters
    ----------
    model
        Its `until` and `period_days` say which periods there are.
    scenario
        R rows.
    periods
        Number of periods that the fit saw: as far as it looked back one may look ahead.

    Raises
    ------
    DataError
        If a date is empty or begins no period: to predict another period than was asked would be silent.
    RefusedError
        If a period was seen by the fit (its demand is known, and the state that a prediction starts from is
        that of `until`, not of an earlier day), or lies too far ahead.
    """
    days, step = scenario.period_start, np.timedelta64(model.period_days, "D")
    undated = np.isnat(days)
    if undated.any():
        raise _bad_row(undated, "period_start is empty.", "Give the first day of a period.")
    off = _days_ahead(model, scenario) % model.period_days
    if off.any():
        before = days[off.argmax()] - np.timedelta64(int(off[off.argmax()]), "D")
        raise _bad_row(
            off > 0,
            f"period_start {days[off.argmax()]} is not the first day of a period.",
            f"Periods here have {model.period_days} days; the nearest begin on {before} and {before + step}.",
        )
    ahead = periods_ahead(model, scenario)
    past, far = ahead < 1, ahead > periods
    if past.any():
        day = days[past.argmax()]
        raise RefusedError(
            f"Row {int(past.argmax()) + 1}: the period from {day} lies before {model.until}, up to which the "
            "fit has seen sales.",
            why=f"{_so_many(past)}A prediction starts from what was known on {model.until}: "
            "about an earlier day it would know what came later.",
            todo=f"Begin at {model.until}. To test predictions of past periods, fit with --until {day}.",
        )
    if far.any():
        first, last = int(far.argmax()), np.datetime64(model.until, "D") + (periods - 1) * step
        raise RefusedError(
            f"Row {first + 1}: the period from {days[first]} lies {int(ahead[first]):,} periods ahead.",
            why=f"{_so_many(far)}The fit looked back over {periods:,} periods; as far ahead it answers.",
            todo=f"Stay at or before {last}.",
        )


def refuse_inverted(scenario: Scenario, regular: Floats, money: Currency) -> None:
    """Raise :class:`DataError` for the first shelf price above its regular price, float64 [R]."""
    bad = scenario.offered > regular + _HALF_UNIT
    if bad.any():
        first = int(bad.argmax())
        offered, below = (money.unit_price(float(price[first])) for price in (scenario.offered, regular))
        says = f"offered_price is above regular_price ({offered} > {below})."
        raise _bad_row(bad, says, "A shelf price is at most the regular price.")


def unseen(model: DemandModel, rows: Ints, regular: Floats, offered: Floats) -> tuple[Bools, Bools]:
    """Return where regular prices, and where discounts, lie outside all that was observed, bool [R] each.

    Parameters
    ----------
    model
        Holds the support.
    rows, regular, offered
        int64 [R]; float64 [R] twice: series of each row, and its prices in gross minor units.
    """
    low, high = model.support_low[rows], model.support_high[rows]
    beyond = (regular < low - _HALF_UNIT) | (regular > high + _HALF_UNIT)
    return beyond, offered < regular * np.exp(model.depth_low[rows]) - _HALF_UNIT


def refuse_unseen(
    model: DemandModel, rows: Ints, scenario: Scenario, regular: Floats, money: Currency
) -> None:
    """Raise :class:`OutsideSupport` for the first price outside all that was observed.

    Parameters
    ----------
    model
        Holds the support.
    rows, regular
        int64 and float64 [R]; series of each row and its regular price, gross minor units.
    scenario, money
        The rows and the currency of their prices.
    """
    low, high = model.support_low[rows], model.support_high[rows]
    bad, too_deep = unseen(model, rows, regular, scenario.offered)
    if bad.any():
        first = int(bad.argmax())
        raise OutsideSupport(
            f"Row {first + 1}: a regular price of {money.unit_price(float(regular[first]))} for "
            f"{scenario.product[first]!r} lies outside the {money.decimal(int(low[first]))} to "
            f"{money.text(int(high[first]))} ever observed.",
            why=f"{_so_many(bad)}What shoppers do there is unknown.",
            todo="Stay inside, or ask to widen, which extrapolates the fitted curve.",
        )
    bad = too_deep
    if bad.any():
        first = int(bad.argmax())
        cheapest = regular * np.exp(model.depth_low[rows])
        offered, full, least = (
            money.unit_price(float(price[first])) for price in (scenario.offered, regular, np.rint(cheapest))
        )
        raise OutsideSupport(
            f"Row {first + 1}: a shelf price of {offered} against a regular price of {full} for "
            f"{scenario.product[first]!r} is a deeper discount than any observed (cheapest {least}).",
            why=f"{_so_many(bad)}What shoppers do there is unknown.",
            todo="Stay inside, give regular_price if that is what changes, or ask to widen.",
        )


def _days_ahead(model: DemandModel, scenario: Scenario) -> Ints:
    """Return the days from the end of training to the start of each row's period, int64 [R]."""
    return (scenario.period_start - np.datetime64(model.until, "D")).astype(np.int64)


def _bad_row(bad: Bools, says: str, todo: str) -> DataError:
    return DataError(f"Row {int(bad.argmax()) + 1}: {says}", why=_so_many(bad).strip(), todo=todo)


def _so_many(bad: Bools) -> str:
    count = int(bad.sum())
    return f"{count:,} rows are so. " if count > 1 else ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown}, ..."
