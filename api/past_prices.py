"""What the history of prices says of reductions that the coming period may announce.

The rule about prior prices (:mod:`pricing.guardrails`) knows from the data what shelves showed, by whole
periods. The history of prices (:mod:`api.storage.price_marks`) is exact, and knows what was published since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from api.storage import price_marks
from api.storage.database import Database
from api.storage.price_marks import Mark
from policies.serve.shelf import Shelf
from pricing.arrays import Ints
from pricing.prior_price import LocalTime, PriceHistory, PriceMark, PriorPrice, prior_price
from simulators.contract.local_time import local_time

__all__ = ["prior_prices", "with_record"]

_DAY = 86_400_000_000


def with_record(shelf: Shelf, database: Database) -> Shelf:
    """Return a shelf whose reductions are also held to the prices that were published and imported.

    Only what was out before the coming period began counts, so a period's own prices change nothing of what
    was decided for it. Without any record, or where no rule asks for it, the shelf stays as it is. A price
    group is held to the lowest of its products.
    """
    if not shelf.corridor.settings.prior_price:
        return shelf
    day = int(np.datetime64(shelf.catalogue.as_of, "D").astype(np.int64)) * _DAY
    with database.reading() as connection:
        found = price_marks.every(connection, day + _DAY)  # local midnight may be later than in UTC
    clock = _clock(found)
    if clock is None:
        return shelf
    begins = int(clock.earliest(np.array([day], dtype=np.int64))[0])
    own = (shelf.catalogue.currency, shelf.catalogue.basis)
    kept = [
        tuple(mark for mark in marks if mark.at < begins and (mark.currency, mark.basis) == own)
        for marks in found.values()
    ]
    kept = [marks for marks in kept if marks]
    told = prior_prices([price_marks.merged(marks) for marks in kept], begins, clock)
    lowest: dict[tuple[str, str], int] = {}
    for marks, low in zip(kept, told.lowest.tolist(), strict=True):
        series = (marks[-1].price_group, marks[-1].zone)
        lowest[series] = min(low, lowest.get(series) or low) if low else lowest.get(series, 0)
    pairs = zip(shelf.catalogue.series.group, shelf.catalogue.series.zone, strict=True)
    lows: Ints = np.array([lowest.get(pair, 0) for pair in pairs], dtype=np.int64)
    return replace(shelf, lowest=lows) if lows.any() else shelf


def prior_prices(histories: Sequence[Sequence[PriceMark]], at: int, clock: LocalTime) -> PriorPrice:
    """Return the prior prices of P products at one instant (UTC microseconds)."""
    count = len(histories)
    who, when = np.arange(count, dtype=np.int64), np.full(count, at, dtype=np.int64)
    return prior_price(PriceHistory.of(histories), who, when, clock)


def _clock(found: Mapping[tuple[str, str], Sequence[Mark]]) -> LocalTime | None:
    """Return the clock of the shop, as the newest mark that knows it tells; None where none does."""
    known = [mark for marks in found.values() for mark in marks if mark.time_zone]
    return None if not known else local_time(max(known, key=lambda mark: mark.at).time_zone)
