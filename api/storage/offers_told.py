"""What the ledger tells of lots and redemptions: a log that can be learned from, newest knowledge last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from simulators.importers.coupon_log import CouponLog, CouponUsed, LotDrawn

__all__ = ["Received", "coupon_log", "received"]

_AT_ONCE = 1000
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


def coupon_log(connection: Connection) -> tuple[CouponLog, int]:
    """Return the lots and redemptions of a ledger, and how many of its decisions do not tell their lots.

    Those of a program before version 2 of the record. Who was erased is not there, and codes that nobody is
    known to hold are not either.
    """
    campaigns = {
        str(row[0]): str(row[1])
        for row in connection.execute(select(COUPON_LIMITS.c.coupon_id, COUPON_LIMITS.c.campaign_id))
    }
    drawn: dict[tuple[str, str], LotDrawn] = {}
    silent = 0
    for pseudonym, at, content in _rows(connection, _DECIDED):
        told = json.loads(content)
        if "unheld" not in told:
            silent += 1
            continue
        for campaign, held in _lots(told, campaigns).items():
            lot = LotDrawn(pseudonym, campaign, int(at), held, float(told["holdout_share"]))
            drawn.setdefault((pseudonym, campaign), lot)
    used = tuple(
        CouponUsed(who, coupon, campaign, int(at), order, int(amount - back), amount == back)
        for who, coupon, campaign, at, order, amount, back in _rows(connection, _REDEEMED)
    )
    currency = connection.execute(select(CAMPAIGNS.c.currency).limit(1)).scalar_one_or_none()
    return CouponLog(tuple(drawn.values()), used, str(currency or "")), silent


def _lots(told: Mapping[str, Any], campaigns: Mapping[str, str]) -> dict[str, bool]:
    """Return the lot of each campaign of which a coupon had any chance, apart from lots."""
    found: dict[str, bool] = {}
    for coupon, chance, broken in zip(told["menu"], told["unheld"], told["rejections"], strict=True):
        if chance > 0.0 and coupon in campaigns:
            found[campaigns[coupon]] = bool(broken & int(CouponRule.HOLDOUT.bit))
    return found


def _rows(connection: Connection, query: Any) -> Iterator[tuple[Any, ...]]:
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        yield tuple(row)
