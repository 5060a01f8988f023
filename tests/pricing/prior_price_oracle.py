"""The prior price a second time: every instant at which anything changes, one after another, in plain Python.

Written from the law and the docstring of `pricing.prior_price`, and sharing no code with it: it uses
datetimes, asks at every breakpoint what the tag said, and takes the least. Slow on purpose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

_UTC = dt.UTC
ZONES = tuple(ZoneInfo(name) for name in ("Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "UTC"))
MINUTE = dt.timedelta(minutes=1)
# Days on which those zones' clocks change, and ordinary ones.
_DAYS = tuple(
    dt.datetime(*day, tzinfo=_UTC)
    for day in (
        (2026, 3, 29),
        (2026, 10, 25),
        (2026, 3, 8),
        (2026, 11, 1),
        (2026, 4, 5),
        (2026, 10, 4),
        (2026, 7, 1),
    )
)


@dataclass(frozen=True)
class Change:
    """From `at` on the tag says `price`; None: the product is not on the shelf."""

    at: dt.datetime
    price: int | None


def on_the_tag(changes: Sequence[Change], instant: dt.datetime) -> int | None:
    """Read the tag at an instant: of all changes by then the latest, of equals the last recorded."""
    now: Change | None = None
    for change in changes:
        if change.at <= instant and (now is None or change.at >= now.at):
            now = change
    return None if now is None else now.price


def start_of_window(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    wall = at.astimezone(zone).replace(tzinfo=None) - dt.timedelta(days=30)
    readings = [wall.replace(tzinfo=zone, fold=fold).astimezone(_UTC) for fold in (0, 1)]
    return min([*readings, at - 30 * dt.timedelta(hours=24)])


def prior(changes: Sequence[Change], at: dt.datetime, zone: ZoneInfo) -> tuple[str, int]:
    """Return what is known and the lowest price of the window (0: none)."""
    start = start_of_window(at, zone)
    moments = {start} | {c.at for c in changes if start <= c.at < at}
    prices = [p for moment in moments if (p := on_the_tag(changes, moment)) is not None]
    ever = [c.at for c in changes if on_the_tag(changes, c.at) is not None]
    lowest = min(prices, default=0)
    if not ever or min(ever) > start:
        return "short", lowest
    return ("told", lowest) if prices else ("not_offered", 0)


def random_history(rng: np.random.Generator) -> tuple[list[Change], dt.datetime, ZoneInfo]:
    """Draw changes around a day on which clocks change, with gaps and changes within one minute."""
    at = _DAYS[rng.integers(len(_DAYS))] + int(rng.integers(-3, 60)) * dt.timedelta(days=1)
    at += int(rng.integers(0, 24 * 60)) * MINUTE
    zone = ZONES[rng.integers(len(ZONES))]
    edges = (at, start_of_window(at, zone), at - dt.timedelta(days=30), at - dt.timedelta(days=30, hours=1))
    changes: list[Change] = []
    for _ in range(int(rng.integers(0, 9))):
        kind = rng.random()
        if kind < 0.3 and changes:
            when = changes[-1].at  # within the same minute, or a few seconds later
            when += dt.timedelta(seconds=int(rng.choice([0, 0, 20])))
        elif kind < 0.6:
            when = edges[rng.integers(4)] + dt.timedelta(minutes=int(rng.integers(-1, 2)))
        else:
            when = at - int(rng.integers(-3 * 1440, 45 * 1440)) * MINUTE
        changes.append(Change(when, None if rng.random() < 0.2 else int(rng.integers(1, 30))))
    return changes, at, zone
