"""What the ledger knows about offers lately: who came, what became of offers, what every limit has left.

Everything is read as of the last decision, so the same record is read in the same way whenever, and by whom.
A decision later than the reader's clock was written by a clock that was ahead, and is passed over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection, bindparam, func, select

from api.storage.ledger_audit import Work, history
from api.storage.statements import Statement
from api.storage.tables import (
    CAMPAIGNS,
    COUPON_LIMITS,
    OFFER_SUBJECTS,
    OFFERS,
    REDEMPTIONS,
    RESERVATIONS,
)

__all__ = ["CouponLeft", "Lately", "MadeBefore", "SeenBefore", "lately", "record_prices", "unhurried"]

Row = TypeVar("Row")

_AT_ONCE, _BREATH = 16, 0.0002
"""Rows between two rests, and their length in seconds. A thread that computes keeps others waiting for the
interpreter for 5 ms a time, and an answer passes it between threads several times."""

_MOST = 4096
"""Decisions, and offers whose time is over, that are looked at."""

_PACE = 7 * 86_400_000_000
"""Microseconds over which decisions are counted: whole weeks have their quiet days in them."""

_ABOUT, _PLACES, _USED = OFFER_SUBJECTS.c, RESERVATIONS.c, REDEMPTIONS.c
_MADE = _ABOUT.at <= bindparam("now", type_=BigInteger)
_LAST = Statement(select(func.max(_ABOUT.at)).where(_MADE))
_COUNTED = Statement(
    select(func.count(), func.min(_ABOUT.at)).where(_ABOUT.at >= bindparam("since", type_=BigInteger), _MADE)
)
_SEEN = Statement(
    select(OFFERS.c.content, _ABOUT.content)
    .join(OFFER_SUBJECTS, _ABOUT.decision_id == OFFERS.c.decision_id)
    .where(_MADE)
    .order_by(_ABOUT.at.desc(), _ABOUT.decision_id.desc())
    .limit(_MOST)
)
_ENDED = Statement(
    select(
        _PLACES.coupon_id,
        _PLACES.liability,
        func.coalesce(_USED.amount - _USED.taken_back, 0),
        _ABOUT.content,
    )
    .join(OFFER_SUBJECTS, _ABOUT.decision_id == _PLACES.decision_id)
    .outerjoin(REDEMPTIONS, _USED.reservation_id == _PLACES.reservation_id)
    .where(_PLACES.decision_id.is_not(None), _PLACES.expires_at <= bindparam("now", type_=BigInteger))
    .order_by(_PLACES.expires_at.desc(), _PLACES.reservation_id.desc())
    .limit(_MOST)
)
_OUT = Statement(
    select(_PLACES.coupon_id, _PLACES.decision_id.is_(None), func.count(), func.sum(_PLACES.liability))
    .where(_PLACES.state == "held")
    .group_by(_PLACES.coupon_id, _PLACES.decision_id.is_(None))
)
_LEFT = Statement(
    select(
        COUPON_LIMITS.c.coupon_id,
        COUPON_LIMITS.c.campaign_id,
        CAMPAIGNS.c.budget - CAMPAIGNS.c.spent,
        COUPON_LIMITS.c.limit_total - COUPON_LIMITS.c.taken,
    )
    .join(CAMPAIGNS, CAMPAIGNS.c.campaign_id == COUPON_LIMITS.c.campaign_id)
    .order_by(COUPON_LIMITS.c.coupon_id)
)


@dataclass(frozen=True, slots=True)
class SeenBefore:
    """One customer who was decided for.

    Attributes
    ----------
    features
        As they were recorded.
    menu, discounts, rejections
        The offers by name, what each took off, and the rules against it, bits of
        :class:`pricing.coupon_rules.CouponRule`.
    """

    features: tuple[float, ...]
    menu: tuple[str, ...]
    discounts: tuple[int, ...]
    rejections: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MadeBefore:
    """One offer whose time is over: of which coupon, to whom, at what most and at what cost, minor units."""

    coupon_id: str
    liability: int
    spent: int
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CouponLeft:
    """What a coupon has left.

    Attributes
    ----------
    coupon_id, campaign_id
        Which one.
    budget
        Of the campaign: not spent, minor units; None for no limit.
    uses
        Neither used nor kept for anything but `offered`; None for no limit.
    offered, offered_count
        The most that offers which are out may cost, and how many there are.
    other
        The most that anything else which is out may cost: codes, places that the shop asked for itself.
    """

    coupon_id: str
    campaign_id: str
    budget: int | None
    uses: int | None
    offered: int
    offered_count: int
    other: int


@dataclass(frozen=True, slots=True)
class Lately:
    """The ledger as of its last decision.

    Attributes
    ----------
    at
        Of that decision, UTC microseconds.
    since, count
        Decisions of the last week, and the moment of the first of them.
    seen, ended
        The latest, newest first; those of customers who were erased are not there.
    left
        By coupon, in the order of their names.
    """

    at: int
    since: int
    count: int
    seen: tuple[SeenBefore, ...]
    ended: tuple[MadeBefore, ...]
    left: tuple[CouponLeft, ...]


def lately(connection: Connection, now: int) -> Lately | None:
    """Return what happened lately; None where nothing was decided yet.

    Parameters
    ----------
    connection
        To read on.
    now
        UTC microseconds; decisions after it, of a clock that was ahead, are passed over.
    """
    at = _LAST.rows(connection, now=now)[0][0]
    if at is None:
        return None
    count, since = _COUNTED.rows(connection, since=at - _PACE, now=at)[0]
    out = {(str(row[0]), bool(row[1])): (int(row[2]), int(row[3])) for row in _OUT.rows(connection)}
    return Lately(
        at=int(at),
        since=int(since),
        count=int(count),
        seen=tuple(
            _seen(json.loads(x[0]), json.loads(x[1])) for x in unhurried(_SEEN.rows(connection, now=at))
        ),
        ended=tuple(_made(row) for row in unhurried(_ENDED.rows(connection, now=at))),
        left=tuple(_left(row, out) for row in _LEFT.rows(connection)),
    )


def unhurried(rows: Iterable[Row]) -> Iterator[Row]:
    """Go through rows and let go of the interpreter often, so that no answer waits for it meanwhile."""
    for place, row in enumerate(rows):
        if place % _AT_ONCE == 0:
            time.sleep(_BREATH)
        yield row


def record_prices(
    work: Work, version: str, shadow: Mapping[str, float], correction: Mapping[str, object]
) -> None:
    """Write down what prices a version of the policy stands for, by coupon, unless it is written already."""
    if not history(work.connection, version):
        work.add("priced", version, shadow=shadow, correction=correction)


def _seen(content: Any, about: Any) -> SeenBefore:
    menu, discounts, rejections = (tuple(content[name]) for name in ("menu", "discounts", "rejections"))
    return SeenBefore(tuple(about["features"]), menu, discounts, rejections)


def _made(row: Sequence[Any]) -> MadeBefore:
    coupon, most, spent, about = row
    return MadeBefore(str(coupon), int(most), int(spent), tuple(json.loads(about)["features"]))


def _left(row: Sequence[Any], out: dict[tuple[str, bool], tuple[int, int]]) -> CouponLeft:
    coupon, campaign, budget, uses = row
    count, offered = out.get((coupon, False), (0, 0))
    free = None if uses is None else int(uses) + count
    return CouponLeft(coupon, campaign, budget, free, offered, count, out.get((coupon, True), (0, 0))[1])
