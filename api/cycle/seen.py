"""Prices that an import shows, taken into the history of prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from api.storage import price_marks
from api.storage.database import Database
from api.storage.price_marks import Mark, Source
from simulators.contract.seen_prices import SHOWN_BY, SeenPrice, seen_prices
from simulators.contract.tables import open_source

__all__ = ["take_in"]


def take_in(database: Database, data: Path, now: dt.datetime, reference: str) -> int:
    """Record the prices that a data folder shows and that were not recorded yet; return how many.

    Taking the same data in again records nothing. A price that goes on unchanged is recorded once more where
    something else was recorded of it since: that it was sent out, or read back as another.

    Parameters
    ----------
    database
        With the history of prices.
    data
        The folder.
    now
        A time with its zone; prices posted for later are taken in when they are there.
    reference
        What the data are called in the history.
    """
    with open_source(data, today=now, only=SHOWN_BY) as source:
        shop, found = source.shop, seen_prices(source, now)
    basis = "gross" if shop.zones[0].prices_include_tax else "net"

    def mark(seen: SeenPrice) -> Mark:
        return Mark(
            product_id=seen.product_id,
            zone=seen.zone,
            price_group=seen.price_group,
            at=seen.at,
            regular=seen.regular,
            offered=seen.offered,
            currency=shop.currency,
            basis=basis,
            time_zone=shop.time_zone,
            source=Source.IMPORTED,
            reference=reference,
        )

    with database.writing() as transaction:
        connection = transaction.connection
        last = price_marks.last(connection, sorted({seen.product_id for seen in found}))
        fresh = [mark(seen) for seen in found if not seen.again or _news(seen, last)]
        return price_marks.record(connection, transaction.at, price_marks.unknown(connection, fresh))


def _news(seen: SeenPrice, last: Mapping[tuple[str, str], Mark]) -> bool:
    before = last.get((seen.product_id, seen.zone))
    return before is not None and before.at < seen.at and not before.shows(seen.regular, seen.offered)
