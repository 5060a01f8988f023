"""When an approved price may be published: as a browser sends it, and as the shop's own clocks show it."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.texts import Texts
from pricing.errors import UsageError

__all__ = ["When", "starts_of", "starts_told", "when_view"]

_WALL = "%Y-%m-%dT%H:%M"
"""How a browser sends a time: without its zone (HTML, input of type datetime-local)."""


@dataclass(frozen=True, slots=True)
class When:
    """Between which times a start may lie: the period of the round, in the shop's time zone."""

    zone: str
    first: str
    last: str
    span: str


def when_view(facts: Mapping[str, Any], zone: str, texts: Texts) -> When | None:
    """Return what a start may be; None where the round says no period."""
    if not facts["valid_from"]:
        return None
    first, end = _ends(facts)
    last = end - dt.timedelta(minutes=1)
    span = texts.span(facts["valid_from"], facts["valid_to"])
    return When(zone, first.strftime(_WALL), last.strftime(_WALL), span)


def starts_of(text: str, facts: Mapping[str, Any], zone: str) -> str | None:
    """Return the moment that somebody chose (ISO 8601 with its offset), None where none was.

    A time that clocks show twice, as they are put back, means the first.

    Raises
    ------
    UsageError
        If it is no time, clocks skip it, or it lies outside of the round's period.
    """
    if not text:
        return None
    try:
        wall = dt.datetime.strptime(text, _WALL)  # noqa: DTZ007 - the shop's zone follows
    except ValueError as error:
        raise UsageError(
            f"starts_at: {text[:40]!r} is no date and time.",
            todo="Choose a day and a time, or leave it empty.",
        ) from error
    if not facts["valid_from"]:
        raise UsageError("starts_at: this round has no period.", todo="Leave it empty.")
    first, end = _ends(facts)
    if not first <= wall < end:
        raise UsageError(
            f"starts_at: {text} lies outside of the period of this round.",
            why=f"Its prices are for {facts['valid_from']} up to {facts['valid_to']}.",
            todo="Choose a time within it, or leave it empty.",
        )
    moment = wall.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    if moment.astimezone(dt.UTC).astimezone(moment.tzinfo).replace(tzinfo=None) != wall:
        raise UsageError(
            f"starts_at: there is no {text} in {zone}.",
            why="Clocks are put forward and skip it.",
            todo="Choose an hour later.",
        )
    return moment.isoformat(timespec="minutes")


def starts_told(moment: str, zone: str, texts: Texts) -> str:
    """Return a moment (ISO 8601) as the shop's clocks show it."""
    wall = dt.datetime.fromisoformat(moment).astimezone(zoneinfo.ZoneInfo(zone))
    return f"{texts.day(wall.date().isoformat())}, {wall:%H:%M}"


def _ends(facts: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    """Return the wall-clock times at which the period of a round begins and ends."""
    first, end = (dt.datetime.fromisoformat(str(facts[name])) for name in ("valid_from", "valid_to"))
    return first, end
