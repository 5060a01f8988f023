"""What the history of prices says of reductions that the coming period may announce.

The rule about prior prices (:mod:`pricing.guardrails`) knows from the data what shelves showed, by whole
periods. The history of prices (:mod:`api.storage.price_marks`) is exact, and knows what was published since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from api.storage import price_marks
from api.storage.database import Database
from policies.serve.shelf import Shelf
from pricing.arrays import Ints
from pricing.prior_price import LocalTime, PriceHistory, PriceMark, PriorPrice, prior_price, window_start
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
    catalogue = shelf.catalogue
    day = int(np.datetime64(catalogue.as_of, "D").astype(np.int64)) * _DAY
    with database.reading() as connection:
        zone = price_marks.clock(connection)
        if zone is None:
            return shelf
        clock = local_time(zone)
        begins = clock.earliest(np.array([day], dtype=np.int64))
        since = int(window_start(begins, clock)[0])
        found = price_marks.standing(connection, since, int(begins[0]), catalogue.currency, catalogue.basis)
    told = prior_prices(list(found.values()), int(begins[0]), clock)
    lowest: dict[tuple[str, str], int] = {}
    for (group, _, place), low in zip(found, told.lowest.tolist(), strict=True):
        if low:
            lowest[group, place] = min(low, lowest.get((group, place), low))
    pairs = zip(catalogue.series.group, catalogue.series.zone, strict=True)
    lows: Ints = np.array([lowest.get(pair, 0) for pair in pairs], dtype=np.int64)
    return replace(shelf, lowest=lows) if lows.any() else shelf


def prior_prices(histories: Sequence[Sequence[PriceMark]], at: int, clock: LocalTime) -> PriorPrice:
    """Return the prior prices of P products at one instant (UTC microseconds)."""
    count = len(histories)
    who, when = np.arange(count, dtype=np.int64), np.full(count, at, dtype=np.int64)
    return prior_price(PriceHistory.of(histories), who, when, clock)
