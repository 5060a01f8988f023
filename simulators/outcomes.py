"""Outcomes: what was really sold in the period of a decision, beside what its run foretells at that price.

That is a check of the forecast, at whatever price stood, and says nothing about what another price would
have brought. Nothing here corrects what was sold: where stock ran out, where a period is not whole or where
the run cannot speak of the price, the row says so and is no check.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.outcomes import Ending, LeftOut, Shelf
from pricing.outputs import OUTCOMES
from pricing.panel import Panel
from simulators.contract.carried import carried
from simulators.contract.panel import build_panel
from simulators.contract.realised import Realised, realised_of
from simulators.contract.tables import Source
from simulators.demand.predict import last_known, predict
from simulators.demand.scenario import Scenario, unseen
from simulators.output_schema import declared_table
from simulators.run import Run, training_panel

__all__ = ["Decided", "Decider", "Sold", "outcomes_table", "sold"]

pa: Any = pyarrow

_HALF_UNIT = 0.5


@dataclass(frozen=True, slots=True)
class Decided:
    """M decisions about one period, and what people made of them.

    Attributes
    ----------
    run_id
        Identifier of the run that decided.
    decision_id, group, zone
        Which, and about what; [M] each.
    start, end
        First day of the period, and the first day after it.
    current, recommended, approved, published
        float64 [M]; regular shelf prices in minor units, NaN where there is none.
    published_on
        [M]; local day on which the price went out, None where none did.
    ending
        [M]; what became of each.
    """

    run_id: str
    decision_id: tuple[str, ...]
    group: tuple[str, ...]
    zone: tuple[str, ...]
    start: dt.date
    end: dt.date
    current: Floats
    recommended: Floats
    approved: Floats
    published: Floats
    published_on: tuple[dt.date | None, ...]
    ending: tuple[Ending, ...]

    def __len__(self) -> int:
        return len(self.decision_id)


@dataclass(frozen=True, slots=True)
class Decider:
    """The run that decided, and what it knew of prices and costs."""

    run: Run
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class Sold:
    """What the data say by now, of N series in T periods.

    Attributes
    ----------
    panel, realised
        Units and prices; revenue and profit.
    on_sale
        bool [N, T]; as far as is known now (:func:`simulators.run.training_panel`).
    offered, regular
        float64 [N, T]; gross prices, the last record carried on; NaN where there is none.
    gross_share
        Gross price as a multiple of the shelf price, by zone.
    basis
        "gross" or "net": what shelf prices are.
    period_days
        Days of a period.
    whole_until
        The data are whole up to this day, exclusive.
    until
        The data end before this day.
    """

    panel: Panel
    realised: Realised
    on_sale: Bools
    offered: Floats
    regular: Floats
    gross_share: Mapping[str, float]
    basis: str
    period_days: int
    whole_until: dt.date
    until: dt.date


def sold(source: Source, *, whole_until: dt.date, known: Sequence[tuple[dt.date, Catalogue]]) -> Sold:
    """Read what was sold, at which prices and with which profit.

    Parameters
    ----------
    source
        The shop's tables, open.
    whole_until
        The data are whole up to this day, exclusive; later periods count as covered in part.
    known
        First days of periods, and what was known when their prices were decided: a cost that is assumed is
        the one assumed then, so that what is compared rests on one assumption.

    Raises
    ------
    DataError
        As :func:`simulators.contract.realised.build_realised`.
    """
    panel = build_panel(source)
    found = realised_of(source, panel, whole_until, _assumed(panel, known))
    offered, regular = carried(panel)
    zones = source.shop.zones
    return Sold(
        panel=panel,
        realised=found,
        on_sale=training_panel(panel, len(panel.periods)).on_sale,
        offered=offered,
        regular=regular,
        gross_share={zone.id: 1.0 if zone.prices_include_tax else 1.0 + zone.tax_rate for zone in zones},
        basis="gross" if zones[0].prices_include_tax else "net",
        period_days=source.shop.period_days,
        whole_until=whole_until,
        until=dt.date.fromisoformat(found.until),
    )


def _assumed(panel: Panel, known: Sequence[tuple[dt.date, Catalogue]]) -> Floats:
    """Return assumed unit costs where decisions knew one, float64 [N, T]; NaN elsewhere."""
    place = {pair: i for i, pair in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    column = {day: t for t, day in enumerate(panel.periods.tolist())}
    out = np.full(panel.units.shape, np.nan)
    for start, catalogue in known:
        if start not in column:
            continue
        pairs = zip(catalogue.series.group, catalogue.series.zone, strict=True)
        for row, pair in enumerate(pairs):
            if pair in place:
                out[place[pair], column[start]] = catalogue.unit_cost[row]
    return out


def outcomes_table(decided: Decided, found: Sold, by: Decider | None) -> Any:
    """Return the contract's outcomes of one period, a row a decision in their order, as a pyarrow Table.

    Parameters
    ----------
    decided
        M decisions about one period that has begun.
    found
        What was sold.
    by
        Who decided; None where that run is no longer there.
    """
    cells = _cells(decided, found)
    foretold = _Foretold.nothing(len(decided))
    left = _left_out(decided, found, cells, by)
    if by is not None:
        left = _unforeseen(decided, cells, by, left)
        foretold = _foretell(decided, found, cells, by, np.flatnonzero([why in _SPOKEN for why in left]))
    return declared_table(
        OUTCOMES,
        len(decided),
        {**_said(decided, found, cells), **_came(found, cells), **foretold.columns(), "left_out": left},
    )


_SPOKEN = (None, LeftOut.RAN_OUT.value)
"""What is foretold: also what ran out, for whoever wants to see by how much."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """Where the M decisions stand in what was sold.

    Attributes
    ----------
    n, t
        int64 [M] and int; place in the panel, -1 where there is none.
    offered, regular
        float64 [M]; gross prices that stood: recorded, else published, else the last known; NaN: unknown.
    told
        bool [M]; the period itself tells the price.
    share
        float64 [M]; gross price as a multiple of the shelf price.
    days
        Days of the period that the data cover.
    """

    n: Ints
    t: int
    offered: Floats
    regular: Floats
    told: Bools
    share: Floats
    days: int

    def of(self, values: Any, otherwise: float) -> Any:
        """Return the cells of an array [N, T], `otherwise` where there is none; [M]."""
        return _at(values, self.n, self.t, otherwise)


def _cells(decided: Decided, found: Sold) -> _Cells:
    panel = found.panel
    place = {pair: i for i, pair in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    pairs = zip(decided.group, decided.zone, strict=True)
    n = np.array([place.get(pair, -1) for pair in pairs], dtype=np.int64)
    at = np.flatnonzero(panel.periods == np.datetime64(decided.start))
    t = int(at[0]) if at.size and (decided.end - decided.start).days == found.period_days else -1
    share = np.array([found.gross_share.get(zone, 1.0) for zone in decided.zone])
    covered = min(max((found.until - decided.start).days, 0), (decided.end - decided.start).days)
    told = np.isfinite(_at(panel.offered, n, t, np.nan))
    published = decided.published * share
    offered, regular = (
        np.where(told | np.isnan(published), _at(prices, n, t, np.nan), published)
        for prices in (found.offered, found.regular)
    )
    whole = decided.end <= found.whole_until
    days = (decided.end - decided.start).days if whole else covered
    return _Cells(n, t, offered, np.fmax(regular, offered), told, share, days)


def _at(values: Any, n: Ints, t: int, otherwise: float) -> Any:
    return np.where((n >= 0) & (t >= 0), values[n, t], otherwise)


def _left_out(decided: Decided, found: Sold, cells: _Cells, by: Decider | None) -> list[str | None]:
    """Return why each decision is no check, as far as what was sold tells; None where it may be one."""
    known = set[tuple[str, str]]()
    if by is not None:
        series = by.catalogue.series
        known = set(zip(series.group, series.zone, strict=True))
        series = by.run.model.series
        known &= set(zip(series.group, series.zone, strict=True))
    modelled = [pair in known for pair in zip(decided.group, decided.zone, strict=True)]
    part = cells.days < (decided.end - decided.start).days
    return _first(
        len(decided),
        (LeftOut.NO_RUN, by is None),
        (LeftOut.OTHER_PERIODS, cells.t < 0),
        (LeftOut.NOT_ON_SALE, ~cells.of(found.on_sale, 0.0).astype(np.bool_)),
        (LeftOut.NOT_MODELLED, ~np.array(modelled, dtype=np.bool_)),
        (LeftOut.PART_OF_PERIOD, part),
        (LeftOut.NO_PRICE, ~np.isfinite(cells.regular)),
        (LeftOut.RAN_OUT, _ran_out(found, cells)),
    )


def _first(count: int, *reasons: tuple[LeftOut, Bools | bool]) -> list[str | None]:
    """Return the first reason that holds of each of `count` rows."""
    out: list[str | None] = [None] * count
    for why, holds in reasons:
        for row in np.flatnonzero(np.broadcast_to(holds, count)):
            out[row] = out[row] or why.value
    return out


def _unforeseen(decided: Decided, cells: _Cells, by: Decider, left: list[str | None]) -> list[str | None]:
    """Return the same with what the run that decided cannot speak of."""
    rows = np.flatnonzero([why in _SPOKEN for why in left])
    model = by.run.model
    n = _rows(model.series, decided, rows)
    day = np.full(len(rows), np.datetime64(decided.start, "D")).astype(np.int64)
    shut = np.isnan(model.traffic_on(n, day))
    beyond, deep = unseen(model, n, cells.regular[rows], cells.offered[rows])
    out = list(left)
    for row, closed, outside in zip(rows, shut, beyond | deep, strict=True):
        if closed or outside:
            out[row] = (LeftOut.NOT_MODELLED if closed else LeftOut.OUTSIDE_SUPPORT).value
    return out


def _rows(series: Any, decided: Decided, rows: Ints) -> Ints:
    place = {pair: i for i, pair in enumerate(zip(series.group, series.zone, strict=True))}
    return np.array([place[decided.group[i], decided.zone[i]] for i in rows], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Foretold:
    """Units [M, 3] and net profit [M, 3]: mean, and both ends of the 90 % interval; NaN: nothing."""

    units: Floats
    profit: Floats

    @staticmethod
    def nothing(count: int) -> _Foretold:
        return _Foretold(np.full((count, 3), np.nan), np.full((count, 3), np.nan))

    def columns(self) -> dict[str, Any]:
        names = ("expected_units", "units_lower", "units_upper")
        out: dict[str, Any] = {name: _numbers(self.units[:, i]) for i, name in enumerate(names)}
        names = ("expected_profit", "profit_lower", "profit_upper")
        return out | {name: _minor(self.profit[:, i]) for i, name in enumerate(names)}


def _foretell(decided: Decided, found: Sold, cells: _Cells, by: Decider, rows: Ints) -> _Foretold:
    """Foretell the rows by the run that decided, at the prices and with the promotions that were."""
    out = _Foretold.nothing(len(decided))
    if not rows.size:
        return out
    there = cells.n[rows], cells.t
    scenario = Scenario(
        product=tuple(decided.group[int(i)] for i in rows),
        zone=tuple(decided.zone[int(i)] for i in rows),
        period_start=np.full(len(rows), np.datetime64(decided.start, "D")),
        offered=cells.offered[rows],
        regular=cells.regular[rows],
        feature=found.panel.feature[there],
        display=found.panel.display[there],
    )
    made = predict(by.run.model, last_known(by.run.training), scenario)
    ours = by.catalogue.take(_rows(by.catalogue.series, decided, rows))
    units = np.stack([made.expected, made.units_lower, made.units_upper], axis=1)
    profit = units * ours.unit_profit(cells.offered[rows] / cells.share[rows])[:, None]
    out.units[rows] = units
    # Where a unit loses money the most units are the least profit.
    out.profit[rows] = np.concatenate([profit[:, :1], np.sort(profit[:, 1:], axis=1)], axis=1)
    return out


def _said(decided: Decided, found: Sold, cells: _Cells) -> dict[str, Any]:
    """Return the columns of what was decided, and of the prices that stood."""
    regular, offered = (
        np.where(cells.told, prices / cells.share, np.nan) for prices in (cells.regular, cells.offered)
    )
    return {
        "run_id": decided.run_id,
        "decision_id": list(decided.decision_id),
        "price_group": list(decided.group),
        "zone": list(decided.zone),
        "channel": None,
        "currency": found.panel.currency,
        "period_start": np.full(len(decided), np.datetime64(decided.start, "D")),
        "period_end": np.full(len(decided), np.datetime64(decided.end, "D")),
        "days": np.full(len(decided), cells.days),
        "price_basis": found.basis,
        "current_price": np.rint(decided.current).astype(np.int64),
        "recommended_price": _minor(decided.recommended),
        "approved_price": _minor(decided.approved),
        "published_price": _minor(decided.published),
        "published_on": pa.array(list(decided.published_on), type=pa.date32()),
        "ending": [ending.value for ending in decided.ending],
        "regular_price": _minor(regular),
        "shelf_price": _minor(offered),
        "shelf": _shelf(decided, regular),
    }


def _shelf(decided: Decided, regular: Floats) -> list[str | None]:
    """Return which price stood, None where the period does not tell."""
    due = np.where(np.isnan(decided.published), decided.approved, decided.published)
    due = np.where(np.isnan(due), decided.current, due)
    low, high = np.minimum(due, decided.current), np.maximum(due, decided.current)
    out: list[str | None] = []
    for row, price in enumerate(regular):
        word = Shelf.OTHER
        if abs(price - due[row]) <= _HALF_UNIT:
            word = Shelf.DECIDED
        elif abs(price - decided.current[row]) <= _HALF_UNIT:
            word = Shelf.FORMER
        elif low[row] < price < high[row]:
            word = Shelf.BETWEEN
        out.append(None if np.isnan(price) else word.value)
    return out


def _came(found: Sold, cells: _Cells) -> dict[str, Any]:
    """Return the columns of what was sold."""
    panel, realised = found.panel, found.realised
    units, in_stock = cells.of(panel.units, 0.0), cells.of(panel.in_stock, 1.0)
    unknown = (in_stock <= 0.0) | cells.of(_short(panel), 0.0).astype(np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.where(unknown, np.nan, units / in_stock)
    return {
        "in_stock": in_stock,
        "ran_out": _ran_out(found, cells),
        "units": units,
        "units_if_in_stock": _numbers(whole),
        "revenue": np.rint(cells.of(realised.revenue, 0.0)).astype(np.int64),
        "profit": np.rint(cells.of(realised.profit, 0.0)).astype(np.int64),
        "cost_assumed": (cells.n >= 0) & realised.assumed[cells.n],
        "fingerprint": realised.fingerprint,
    }


def _short(panel: Panel) -> Bools:
    return np.zeros(panel.units.shape, dtype=np.bool_) if panel.short is None else panel.short


def _ran_out(found: Sold, cells: _Cells) -> Bools:
    short: Bools = cells.of(_short(found.panel) | (found.panel.in_stock < 1.0), 0.0).astype(np.bool_)
    return short


def _numbers(values: Floats) -> Any:
    return pa.array(values, mask=np.isnan(values))


def _minor(values: Floats) -> Any:
    """Return minor units, null where there is NaN."""
    none = np.isnan(values)
    return pa.array(np.rint(np.where(none, 0.0, values)).astype(np.int64), mask=none)
