"""What the ledger tells of lots and redemptions: a log that can be learned from, newest knowledge last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, select

from api.storage.tables import (
    CAMPAIGNS,
    COUPON_LIMITS,
    HOLDERS,
    OFFER_SUBJECTS,
    OFFERS,
    REDEMPTIONS,
    RESERVATIONS,
)
from pricing.coupon_rules import CouponRule
from pricing.coupons import NO_COUPON
from simulators.importers.coupon_log import CouponLog, CouponUsed, Drawn

__all__ = ["By", "Received", "coupon_log", "received"]

_AT_ONCE = 1000
_DAY = 86_400_000_000
_FAIR = 0.05
"""Chance below which one customer would stand for more than twenty."""
_ABOUT, _PLACES, _USED = OFFER_SUBJECTS.c, RESERVATIONS.c, REDEMPTIONS.c
_DECIDED = (
    select(HOLDERS.c.pseudonym, _ABOUT.at, OFFERS.c.content)
    .join(OFFERS, OFFERS.c.decision_id == _ABOUT.decision_id)
    .join(HOLDERS, HOLDERS.c.holder == _ABOUT.holder)
    .order_by(_ABOUT.at, _ABOUT.decision_id)
)
_REDEEMED = (
    select(
        HOLDERS.c.pseudonym, _PLACES.coupon_id, _PLACES.campaign_id, _USED.redeemed_at, _USED.order_id,
        _USED.amount, _USED.taken_back,
    )
    .join(RESERVATIONS, _PLACES.reservation_id == _USED.reservation_id)
    .join(HOLDERS, HOLDERS.c.holder == _PLACES.holder)
    .order_by(_USED.redeemed_at, _USED.reservation_id)
)  # fmt: skip
_GIVEN = (
    select(HOLDERS.c.holder, HOLDERS.c.pseudonym, func.max(cast(_ABOUT.given, Integer)))
    .join(OFFER_SUBJECTS, HOLDERS.c.holder == _ABOUT.holder)
    .group_by(HOLDERS.c.holder, HOLDERS.c.pseudonym)
    .order_by(HOLDERS.c.pseudonym)
)
_TAKEN_OFF = (
    select(_PLACES.holder, func.sum(_USED.amount - _USED.taken_back))
    .join(RESERVATIONS, _PLACES.reservation_id == _USED.reservation_id)
    .where(_PLACES.holder.is_not(None))
    .group_by(_PLACES.holder)
)


@dataclass(frozen=True, slots=True)
class Received:
    """What one customer was given since the ledger began.

    Attributes
    ----------
    customer_id
        Keyed pseudonym.
    offered
        Any coupon was offered.
    taken_off
        What coupons took off for good, minor units.
    """

    customer_id: str
    offered: bool
    taken_off: int


def received(connection: Connection) -> tuple[Received, ...]:
    """Return what everybody received for whom something was decided, by pseudonym; without who was erased."""
    used = dict(_rows(connection, _TAKEN_OFF))
    return tuple(
        Received(who, bool(given), int(used.get(holder, 0)))
        for holder, who, given in _rows(connection, _GIVEN)
    )


class By(StrEnum):
    """Of what exposures are made."""

    CAMPAIGN = "campaign"
    """A customer's lot in a campaign, from the first decision in which it mattered."""
    COUPON = "coupon"
    """A decision that the draw of a policy left open, at most one a customer and day."""


def coupon_log(connection: Connection, by: By) -> tuple[CouponLog, int]:
    """Return draws and redemptions of a ledger, and how many of its decisions do not tell their lots.

    Those of a program before version 2 of the record. Who was erased is not there, and codes that nobody is
    known to hold are not either.
    """
    campaigns = {
        str(row[0]): str(row[1])
        for row in connection.execute(select(COUPON_LIMITS.c.coupon_id, COUPON_LIMITS.c.campaign_id))
    }
    read = _lots if by is By.CAMPAIGN else _open
    last: dict[tuple[str, str], int] = {}
    drawn: list[Drawn] = []
    silent = 0
    for pseudonym, at, content in _rows(connection, _DECIDED):
        told = json.loads(content)
        if "unheld" not in told:
            silent += 1
            continue
        for made in read(str(pseudonym), int(at), told, campaigns):
            of = (made.customer_id, made.campaign_id if by is By.CAMPAIGN else "")
            if of not in last or (by is By.COUPON and made.at - last[of] >= _DAY):
                last[of] = made.at
                drawn.append(made)
    used = tuple(
        CouponUsed(who, coupon, campaign, int(at), order, int(amount - back), amount == back)
        for who, coupon, campaign, at, order, amount, back in _rows(connection, _REDEEMED)
    )
    currency = connection.execute(select(CAMPAIGNS.c.currency).limit(1)).scalar_one_or_none()
    return CouponLog(tuple(drawn), used, str(currency or "")), silent


Told = Mapping[str, Any]


def _lots(who: str, at: int, told: Told, campaigns: Mapping[str, str]) -> tuple[Drawn, ...]:
    """Return the lot in each campaign of which a coupon had any chance, apart from lots."""
    held: dict[str, bool] = {}
    for coupon, chance, broken in zip(told["menu"], told["unheld"], told["rejections"], strict=True):
        if chance > 0.0 and coupon in campaigns:
            held[campaigns[coupon]] = bool(broken & int(CouponRule.HOLDOUT.bit))
    share = float(told["holdout_share"])
    return tuple(
        Drawn(who, campaign, None, at, out, share if out else 1.0 - share) for campaign, out in held.items()
    )


def _open(who: str, at: int, told: Told, campaigns: Mapping[str, str]) -> tuple[Drawn, ...]:
    """Return the draw of an open decision: what had less than a fair chance is not in the urn."""
    chance = dict(zip(told["menu"], told["probabilities"], strict=True))
    urn = {coupon: p for coupon, p in chance.items() if p >= _FAIR}
    among = tuple(coupon for coupon in urn if coupon in campaigns)
    got = told["coupon"]
    if not among or NO_COUPON not in urn or (got or NO_COUPON) not in urn:
        return ()
    share = urn[got or NO_COUPON] / sum(urn.values())
    return (Drawn(who, campaigns[got or among[0]], got, at, got is None, share, among),)


def _rows(connection: Connection, query: Any) -> Iterator[tuple[Any, ...]]:
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        yield tuple(row)
