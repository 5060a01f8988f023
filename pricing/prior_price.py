"""The 30-day prior price: what an announced reduction is counted from (Directive 98/6/EC, Article 6a).

"Any announcement of a price reduction shall indicate the prior price", which is "the lowest price applied by
the trader during a period of time not shorter than 30 days prior to the application of the price reduction"
(Article 6a(1) and (2)), and a reduction that is announced as a percentage or as a bargain is counted from
that price and from no other (Court of Justice, C-330/23, Aldi Süd, 26 September 2024). Where the law leaves a
choice this module takes the reading that favours the customer:

- *Time.* "Not shorter than 30 days" may be counted in calendar days of the shop or in hours. The window
  starts at the earlier of the same wall-clock time 30 calendar days before and 30 times 24 hours before, so
  it is never too short on either side of a change of the clocks. A wall-clock time that occurs twice, or
  never, is the earlier instant.
- *Ends.* The window is half-open, from its start up to but without the announcement. A price that still stood
  at the start counts; one that ended at that very instant does not; the reduced price itself does not.
- *Really offered.* A price counts for as short as it stood. Of changes with one effective instant the last
  recorded wins, and the others stood for no time: they were offered to nobody. So an instant should be given
  as exactly as it is known: in a record that is rounded to the minute a price that stood for less than one is
  lost.
- *Gaps.* While a product is not offered it has no price. The window is not made longer for it; where the
  product was not offered at all within it, no prior price is told.
- *Goods on sale for less than 30 days* and *goods that perish* (Article 6a(3) and (4)) may have a shorter
  period in some countries. Here they have none: a product whose first recorded price lies within the window
  has no prior price that the record can show, and says so. The lowest of what is recorded comes along: the
  prior price is at most that.
- *Progressive reductions* (Article 6a(5)) may in some countries be counted from the price before the first
  step. Here every step is a reduction of its own, and the step before it is in its window.

A control for a law, not advice on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pricing.arrays import Bools, Codes, Ints
from pricing.catalogue import NO_LIMIT
from pricing.errors import DataError

__all__ = [
    "DAYS",
    "NOT_OFFERED",
    "Known",
    "LocalTime",
    "PriceHistory",
    "PriceMark",
    "PriorPrice",
    "prior_price",
    "proven",
    "window_start",
]

DAYS = 30
"""Length of the window, days."""

NOT_OFFERED = 0
"""Stands for a price where a product is not offered."""

_DAY = 86_400_000_000
_LONG = DAYS * _DAY
_EARLIEST, _LATEST = -62_135_596_800_000_000 + 2 * _LONG, 253_402_300_800_000_000 - _LONG


class Known(IntEnum):
    """What a price history tells of a prior price."""

    TOLD = 0
    SHORT = 1
    NOT_OFFERED = 2

    @property
    def label(self) -> str:
        """The code written to outputs."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class PriceMark:
    """From an instant on a product is offered at a price, or not offered.

    Attributes
    ----------
    at
        First instant, UTC microseconds since 1970-01-01.
    regular, offered
        Gross price before any reduction and gross price really asked, minor units, both positive; both
        :data:`NOT_OFFERED` from where the product is not offered.
    """

    at: int
    regular: int
    offered: int

    def __post_init__(self) -> None:
        gap = self.offered == NOT_OFFERED and self.regular == NOT_OFFERED
        if not gap and not (0 < self.offered < NO_LIMIT and 0 < self.regular < NO_LIMIT):
            raise DataError(
                f"A price history cannot hold the prices {self.regular} and {self.offered}.",
                why="Prices are positive minor units; where a product is not offered both are 0.",
            )
        if not _EARLIEST <= self.at < _LATEST:
            raise DataError(
                f"A price history cannot hold the instant {self.at}.",
                why="Instants are UTC microseconds since 1970-01-01, within the years 1 to 9999.",
            )

    @property
    def on_offer(self) -> bool:
        """Whether the product is offered from here on."""
        return self.offered != NOT_OFFERED


@dataclass(frozen=True, slots=True)
class PriceHistory:
    """Prices of P products, each in one zone: M marks, product by product, in the order they were recorded.

    Attributes
    ----------
    start
        int64 [P + 1]; marks of product p are those from ``start[p]`` up to ``start[p + 1]``.
    at, regular, offered
        int64 [M]; see :class:`PriceMark`. A mark may take effect before one that was recorded earlier (a
        change planned for Friday, then another for Thursday).
    """

    start: Ints
    at: Ints
    regular: Ints
    offered: Ints

    def __post_init__(self) -> None:
        count = len(self.at)
        fits = self.start.ndim == 1 and len(self.start) > 0 and self.start[0] == 0 and self.start[-1] == count
        if not fits or np.any(np.diff(self.start) < 0) or not len(self.regular) == len(self.offered) == count:
            raise DataError("A price history's marks do not belong to its products.")
        gap = np.equal(self.offered, NOT_OFFERED) & np.equal(self.regular, NOT_OFFERED)
        priced = _between(self.offered, 1, NO_LIMIT) & _between(self.regular, 1, NO_LIMIT)
        wrong = np.flatnonzero(~(gap | priced) | ~_between(self.at, _EARLIEST, _LATEST))
        if wrong.size:
            PriceMark(*(int(part[wrong[0]]) for part in (self.at, self.regular, self.offered)))

    def __len__(self) -> int:
        """Return P, the number of products."""
        return len(self.start) - 1

    @staticmethod
    def of(marks: Sequence[Sequence[PriceMark]]) -> PriceHistory:
        """Return the history of P products from the marks of each, in the order they were recorded."""
        flat = [mark for own in marks for mark in own]
        counts = np.array([0, *(len(own) for own in marks)], dtype=np.int64)
        columns = (np.array([getattr(m, name) for m in flat], dtype=np.int64) for name in _COLUMNS)
        return PriceHistory(np.cumsum(counts), *columns)

    def record(self, product: int, mark: PriceMark) -> PriceHistory:
        """Return the history with one more mark of a product; nothing recorded is ever taken away."""
        place = int(self.start[product + 1])
        columns = (np.insert(getattr(self, name), place, getattr(mark, name)) for name in _COLUMNS)
        later: Ints = np.greater(np.arange(len(self.start)), product).astype(np.int64)
        return PriceHistory(self.start + later, *columns)


_COLUMNS = ("at", "regular", "offered")


def _between(values: Ints, low: int | np.int64, high: int | np.int64) -> Bools:
    return np.asarray(np.greater_equal(values, low) & np.less(values, high), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class PriorPrice:
    """Prior prices of Q announcements.

    Attributes
    ----------
    price
        int64 [Q]; gross prior price, minor units; 0 where the history does not tell it.
    lowest
        int64 [Q]; lowest price recorded within the window, 0 where none is. Where `price` is not told the
        prior price is at most this.
    known
        int8 [Q]; :class:`Known`: told; the first price ever recorded lies within the window, or there is none
        (short); offered before, but not within the window.
    """

    price: Ints
    lowest: Ints
    known: Codes


def proven(marks: Sequence[PriceMark], seen: Sequence[bool]) -> tuple[PriceMark, ...]:
    """Return the marks of one product that count, in order, where some were seen and others only ordered.

    A price that was sent to a shop stands there at once, later, or never: a file waits to be imported. So it
    is taken as the customer would have it. A price that was lowered counts from when it was sent; one that
    was raised counts from when it was seen (read back, or found in the shop's own data), and until then the
    price before it goes on. A mark that says again what stands changes nothing, so a change that is told
    twice, once when it was sent and once when it was seen, is one change.

    Parameters
    ----------
    marks
        M marks, in the order they were recorded; of one instant the last recorded wins.
    seen
        bool [M]; whether each was seen on the shelf, not only sent there.
    """
    kept: list[PriceMark] = []
    for mark, was_seen in sorted(zip(marks, seen, strict=True), key=lambda pair: pair[0].at):
        before = kept[-1] if kept else None
        raised = before is not None and before.on_offer and mark.offered > before.offered
        if was_seen or not raised:
            kept.append(mark)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class LocalTime:
    """What clocks on the wall show in one place.

    Attributes
    ----------
    since
        int64 [T]; instants at which they are put forward or back, UTC microseconds, ascending, two days or
        more apart.
    offset
        int64 [T + 1]; local time less UTC before the first of these, and from each of them on, microseconds.
    """

    since: Ints
    offset: Ints

    def __post_init__(self) -> None:
        if len(self.offset) != len(self.since) + 1 or np.any(np.diff(self.since) < 2 * _DAY):
            raise DataError("Changes of the clocks do not fit their offsets, or lie too close together.")

    def at(self, instant: Ints) -> Ints:
        """Return local time less UTC at each instant, int64 [Q], microseconds."""
        return self.offset[np.searchsorted(self.since, instant, side="right")]

    def earliest(self, wall: Ints) -> Ints:
        """Return the first instant that each wall-clock time may mean, int64 [Q]; both count as microseconds.

        One that occurs twice means its first occurrence. One that clocks skip is read by the clock before and
        by the clock after, and means the earlier of both.
        """
        before, after = (self.at(wall + shift) for shift in (-_DAY, _DAY))
        by_before, by_after = wall - before, wall - after
        fits_before, fits_after = self.at(by_before) == before, self.at(by_after) == after
        earlier = np.minimum(by_before, by_after)
        return np.where(fits_before == fits_after, earlier, np.where(fits_before, by_before, by_after))


def window_start(at: Ints, local: LocalTime) -> Ints:
    """Return where the 30 days before each instant start, int64 [Q], UTC microseconds.

    Parameters
    ----------
    at
        int64 [Q]; UTC microseconds.
    local
        The shop's time.
    """
    if not _between(at, _EARLIEST, _LATEST).all():
        raise DataError("An instant lies outside the years 1 to 9999.")
    return np.minimum(at - _LONG, local.earliest(at + local.at(at) - _LONG))


def prior_price(history: PriceHistory, product: Ints, at: Ints, local: LocalTime) -> PriorPrice:
    """Return the lowest price of the 30 days before reductions that are announced at given instants.

    Parameters
    ----------
    history
        P products.
    product
        int64 [Q]; whose reduction.
    at
        int64 [Q]; when it is announced, UTC microseconds. Later marks do not count, whenever recorded.
    local
        The shop's time.

    Raises
    ------
    DataError
        If a product is not in the history.
    """
    if np.any((product < 0) | (product >= len(history))):
        raise DataError(f"A prior price is asked for a product that is none of {len(history)}.")
    start, steps = window_start(at, local), _steps(history)
    first = steps.before(product, start, including=True) - 1
    first = np.maximum(first, steps.start[product])
    end = np.maximum(steps.before(product, at, including=False), first)
    lowest = _minimum(steps.price, first, end)
    since = np.append(steps.since, NO_LIMIT)[product]
    known = np.where(since > start, Known.SHORT, np.where(lowest < NO_LIMIT, Known.TOLD, Known.NOT_OFFERED))
    seen = np.where(lowest < NO_LIMIT, lowest, 0)
    return PriorPrice(np.where(known == Known.TOLD, seen, 0), seen, known.astype(np.int8))


@dataclass(frozen=True, slots=True)
class _Steps:
    """Prices that really stood: sorted, one an instant; NO_LIMIT where not offered."""

    start: Ints
    at: Ints
    owner: Ints
    price: Ints
    since: Ints

    def before(self, product: Ints, instant: Ints, *, including: bool) -> Ints:
        """Return the place after the last step of each product before (or at) each instant, int64 [Q].

        Instants of all products are put into one ascending order by rank, so that one search does for all.
        """
        ranks = np.unique(np.concatenate([self.at, instant]))
        width = len(ranks) + 1
        steps = self.owner * width + np.searchsorted(ranks, self.at)
        asked = product * width + np.searchsorted(ranks, instant)
        found = np.searchsorted(steps, asked, side="right" if including else "left")
        return np.asarray(found, dtype=np.int64)


def _steps(history: PriceHistory) -> _Steps:
    owner: Ints = np.repeat(np.arange(len(history), dtype=np.int64), np.diff(history.start))
    order = np.lexsort((np.arange(len(owner)), history.at, owner))
    at, who, price = history.at[order], owner[order], history.offered[order]
    last: Bools = np.ones(len(at), dtype=np.bool_)
    last[:-1] = (at[1:] != at[:-1]) | (who[1:] != who[:-1])
    at, who, price = at[last], who[last], price[last]
    start = np.searchsorted(who, np.arange(len(history) + 1)).astype(np.int64)
    price = np.where(price == NOT_OFFERED, NO_LIMIT, price)
    return _Steps(
        start, at, who, price, _minimum(np.where(price < NO_LIMIT, at, NO_LIMIT), start[:-1], start[1:])
    )


def _minimum(values: Ints, first: Ints, end: Ints) -> Ints:
    """Return the least of values [M] from `first` up to `end`, int64 [Q]; NO_LIMIT of none."""
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    padded = np.append(values, NO_LIMIT)
    pairs = np.stack([first, end], axis=-1).reshape(-1)
    return np.where(end > first, np.minimum.reduceat(padded, pairs)[::2], NO_LIMIT)
