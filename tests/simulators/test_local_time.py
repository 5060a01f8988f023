from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import DataError
from pricing.prior_price import LocalTime
from simulators.contract.local_time import local_time

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICRO = dt.timedelta(microseconds=1)
_ZONES = (
    "Europe/Madrid",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "UTC",
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(_ZONES), st.integers(0, 80 * 365 * 1440), st.booleans())
def test_clocks_are_those_of_the_database(name: str, minute: int, near: bool) -> None:
    """Both ways: instant to wall-clock time, and wall-clock time to the first instant that it may mean."""
    zone, clock = ZoneInfo(name), local_time(name)
    instant = _EPOCH + minute * dt.timedelta(minutes=1)
    if near and len(clock.since):
        instant = _EPOCH + int(clock.since[minute % len(clock.since)]) * _MICRO
        instant += (minute % 240 - 120) * dt.timedelta(minutes=1)
    micro = np.array([(instant - _EPOCH) // _MICRO])
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    assert int(clock.at(micro)[0]) == offset // _MICRO
    wall = instant.replace(tzinfo=None)
    expected = min((wall.replace(tzinfo=zone, fold=fold) - _EPOCH) // _MICRO for fold in (0, 1))
    assert int(clock.earliest(micro)[0]) == expected


def test_a_clock_that_changes_twice_in_a_day_is_refused() -> None:
    for since, offset in (([0, 1], [0, 1, 0]), ([0], [0])):
        with pytest.raises(DataError, match="clocks"):
            LocalTime(np.array(since), np.array(offset))
