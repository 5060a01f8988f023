"""A time zone's clock, as the kernel reads it: from the IANA database, which the kernel may not open."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from functools import cache

import numpy as np

from pricing.prior_price import LocalTime

__all__ = ["local_time"]

_FIRST, _LAST = 1970, 2100
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY, _SECOND, _MICROSECOND = dt.timedelta(days=1), dt.timedelta(seconds=1), dt.timedelta(microseconds=1)


@cache
def local_time(name: str) -> LocalTime:
    """Return the clock of a zone from 1970 to 2100; before and after, it stays as it is at either end.

    Parameters
    ----------
    name
        IANA name.
    """
    zone = zoneinfo.ZoneInfo(name)
    day = dt.datetime(_FIRST, 1, 1, tzinfo=dt.UTC)
    since: list[int] = []
    offset = [_offset(day, zone)]
    while day.year < _LAST:
        if _offset(day + _DAY, zone) != offset[-1]:
            since.append((_change(day, zone) - _EPOCH) // _MICROSECOND)
            offset.append(_offset(day + _DAY, zone))
        day += _DAY
    return LocalTime(np.array(since, dtype=np.int64), np.array(offset, dtype=np.int64))


def _offset(instant: dt.datetime, zone: zoneinfo.ZoneInfo) -> int:
    return (instant.astimezone(zone).utcoffset() or dt.timedelta()) // _MICROSECOND


def _change(day: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """Return the second within a day from which on clocks show what they show at its end."""
    low, high, end = 0, _DAY // _SECOND, _offset(day + _DAY, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(day + middle * _SECOND, zone) == end else (middle, high)
    return day + high * _SECOND
