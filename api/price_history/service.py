"""From recorded prices to the prior price of a reduction that is announced at some moment."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from api.past_prices import prior_prices
from api.storage import price_marks
from api.storage.database import Database
from api.storage.price_marks import Mark
from pricing.errors import RefusedError, UnknownProduct, UsageError
from pricing.prior_price import Known, window_start
from simulators.contract.local_time import local_time

__all__ = ["Prior", "prior_at"]

_FIRST, _LAST = 1970, 2100


@dataclass(frozen=True, slots=True)
class Prior:
    """What is recorded of one product's prices before a moment.

    Attributes
    ----------
    product_id, zone, at
        Asked for.
    since
        Start of the 30 days before it.
    currency, basis, time_zone
        Of the shop, as its newest mark has them.
    price
        The prior price, minor units; None where the record does not tell it.
    lowest
        Lowest recorded price of the 30 days; None where there is none. The prior price is at most this.
    known
        Whether it is told, and why not.
    marks
        Those that stood or began within the 30 days, in the order of time, and whether each counts.
    """

    product_id: str
    zone: str
    at: dt.datetime
    since: dt.datetime
    currency: str
    basis: str
    time_zone: str
    price: int | None
    lowest: int | None
    known: Known
    marks: tuple[tuple[Mark, bool], ...]


def prior_at(database: Database, product_id: str, zone: str | None, at: dt.datetime) -> Prior:
    """Return the prior price of a reduction announced at a moment (with its zone).

    Raises
    ------
    UnknownProduct
        If no price of the product is recorded.
    UsageError
        If it has prices in several zones and none was chosen, or the moment lies in another age.
    RefusedError
        If the shop's time zone is not on record.
    """
    if not _FIRST <= at.year < _LAST:
        raise UsageError(f"at: {at.isoformat()} is not between {_FIRST} and {_LAST}.", todo="Correct it.")
    with database.reading() as connection:
        told = price_marks.history(connection, product_id)
    own, chosen = _of_zone(told, product_id, zone)
    moment = price_marks.instant(at)
    last = max(own, key=lambda mark: mark.at)
    clock_of = next((mark.time_zone for mark in reversed(own) if mark.time_zone), None)
    if clock_of is None:
        raise RefusedError(
            "It is not recorded yet on whose clock days are counted.",
            why="These prices were published before the history of prices was kept.",
            todo="Go round once with `tarifa cycle`.",
        )
    clock = local_time(clock_of)
    since = int(window_start(np.array([moment], dtype=np.int64), clock)[0])
    merged = price_marks.merged(own)
    found = prior_prices([merged], moment, clock)
    price, lowest, known = int(found.price[0]), int(found.lowest[0]), Known(int(found.known[0]))
    return Prior(
        product_id=product_id,
        zone=chosen,
        at=at,
        since=price_marks.moment_of(since),
        currency=last.currency,
        basis=last.basis,
        time_zone=clock_of,
        price=price if known is Known.TOLD else None,
        lowest=lowest or None,
        known=known,
        marks=_within(own, {(m.at, m.regular, m.offered) for m in merged}, since, moment),
    )


def _of_zone(told: tuple[Mark, ...], product_id: str, zone: str | None) -> tuple[list[Mark], str]:
    zones = sorted({mark.zone for mark in told})
    if not zones or (zone is not None and zone not in zones):
        raise UnknownProduct(
            f"No price of {product_id} is recorded here" + (f" in {zone}." if zone and zones else "."),
            todo="Prices are recorded by `tarifa cycle`: those it imports and those it publishes.",
        )
    if zone is None and len(zones) > 1:
        raise UsageError(
            f"zone: {product_id} has prices in several.", todo=f"Choose one of {', '.join(zones)}."
        )
    chosen = zone or zones[0]
    return [mark for mark in told if mark.zone == chosen], chosen


def _within(
    own: list[Mark], kept: set[tuple[int, int, int]], since: int, until: int
) -> tuple[tuple[Mark, bool], ...]:
    ordered = sorted((mark for mark in own if mark.at < until), key=lambda mark: mark.at)
    before = [mark for mark in ordered if mark.at <= since]
    shown = [*before[-1:], *(mark for mark in ordered if mark.at > since)]
    return tuple((mark, (mark.at, mark.regular, mark.offered) in kept) for mark in shown)
