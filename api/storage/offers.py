"""Offers as they were decided: a record that names nobody, and beside it whom it was about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, func, insert, select

from api.storage.chain import canonical
from api.storage.ledger import (
    Campaign,
    CouponLimits,
    campaign,
    coupon_limits,
    coupons_of,
    put_campaign,
)
from api.storage.ledger_audit import Work
from api.storage.statements import Statement
from api.storage.tables import CAMPAIGNS, COUPON_LIMITS, COUPON_USES, OFFER_SUBJECTS, OFFERS
from pricing.catalogue import NO_LIMIT
from pricing.errors import UnknownCoupon, UsageError

__all__ = ["Offered", "Standings", "find", "keep", "put_up", "recent", "require_own", "standings"]


@dataclass(frozen=True, slots=True)
class Offered:
    """One decision about a coupon as it was recorded.

    Attributes
    ----------
    decision_id
        Which one.
    coupon_id, reservation_id
        What was offered and where its money is kept; None for no coupon.
    content
        JSON-able; nothing about anybody.
    subject
        What was known of whoever it was about; None once that was erased.
    recorded_at
        ISO 8601.
    """

    decision_id: str
    coupon_id: str | None
    reservation_id: str | None
    content: Mapping[str, Any]
    subject: Mapping[str, Any] | None
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Standings:
    """What is left of coupons, by name; None for no limit.

    Attributes
    ----------
    budget
        Money that reservations and redemptions leave of the coupon's campaign, minor units.
    uses
        Uses that they leave.
    used
        Uses by one customer; where they are as many as the ledger lets one have, no number is too small.
    """

    budget: Mapping[str, int | None]
    uses: Mapping[str, int | None]
    used: Mapping[str, int]


_NOW = bindparam("now", type_=BigInteger)
_LEFT = Statement(
    select(
        COUPON_LIMITS.c.coupon_id,
        CAMPAIGNS.c.budget - CAMPAIGNS.c.held - CAMPAIGNS.c.spent,
        COUPON_LIMITS.c.limit_total - COUPON_LIMITS.c.taken,
        COUPON_LIMITS.c.limit_per_customer,
        (COUPON_LIMITS.c.valid_from <= _NOW) & (COUPON_LIMITS.c.valid_to > _NOW),
    ).join(CAMPAIGNS, CAMPAIGNS.c.campaign_id == COUPON_LIMITS.c.campaign_id)
)
_USED = Statement(
    select(COUPON_USES.c.coupon_id, COUPON_USES.c.taken).where(COUPON_USES.c.holder == bindparam("whose"))
)
_RECENT = Statement(
    select(func.count()).where(
        OFFER_SUBJECTS.c.holder == bindparam("whose"),
        OFFER_SUBJECTS.c.at >= bindparam("since"),
        OFFER_SUBJECTS.c.given.is_(True),
    )
)
_NEW, _ABOUT = Statement(insert(OFFERS)), Statement(insert(OFFER_SUBJECTS))


def standings(work: Work, holder: int) -> Standings:
    """Return what is left of every coupon, and what a customer holds of it.

    A manager may have set narrower limits than the coupon book has; what the ledger would refuse is not
    offered: of a coupon that is not in force by the ledger no use is left.
    """
    rows = _LEFT.rows(work.connection, now=work.now)
    used = {str(row[0]): int(row[1]) for row in _USED.rows(work.connection, whose=holder)}
    full = {str(row[0]) for row in rows if row[3] is not None and used.get(str(row[0]), 0) >= row[3]}
    return Standings(
        budget={str(row[0]): row[1] for row in rows},
        uses={str(row[0]): row[2] if row[4] else 0 for row in rows},
        used={**used, **dict.fromkeys(full, int(NO_LIMIT))},
    )


def recent(work: Work, holder: int, since: int) -> int:
    """Return how many coupons a customer was offered from an instant (UTC microseconds) on."""
    return int(_RECENT.rows(work.connection, whose=holder, since=since)[0][0])


def keep(work: Work, made: Offered, holder: int) -> None:
    """Record a decision in the chain, and whom it was about beside it."""
    named = {"decision_id": made.decision_id, "coupon_id": made.coupon_id}
    reserved = {"reservation_id": made.reservation_id}
    work.add("offered", made.decision_id, **reserved, **made.content)
    content = canonical(made.content)
    _NEW.count(work.connection, **named, **reserved, content=content, recorded_at=work.transaction.at)
    _ABOUT.count(
        work.connection,
        decision_id=made.decision_id,
        holder=holder,
        at=work.now,
        given=made.coupon_id is not None,
        content=canonical(made.subject or {}),
    )


def find(connection: Connection, decision_id: str) -> Offered:
    """Return a decision; raises :class:`UnknownCoupon` where there is none."""
    row = connection.execute(select(OFFERS).where(OFFERS.c.decision_id == decision_id)).first()
    if row is None:
        raise UnknownCoupon(f"There is no offer {decision_id}.", todo="Take its decision_id from the answer.")
    name, coupon, reservation, content, at = row
    about = select(OFFER_SUBJECTS.c.content).where(OFFER_SUBJECTS.c.decision_id == decision_id)
    subject = connection.execute(about).scalar_one_or_none()
    known = None if subject is None else json.loads(subject)
    return Offered(name, coupon, reservation, json.loads(content), known, at)


def put_up(work: Work, wanted: Campaign, coupons: Sequence[CouponLimits]) -> None:
    """Make a campaign and its coupons what a coupon book says; nothing is recorded where they are so.

    A code that everybody types is not in the book: it stays as it was set.
    """
    before = campaign(work.connection, wanted.campaign_id)
    known = [coupon_limits(work.connection, coupon.coupon_id) for coupon in coupons]
    named = [
        coupon if found is None else replace(coupon, code=found.code)
        for coupon, found in zip(coupons, known, strict=True)
    ]
    same = before is not None and before.budget == wanted.budget
    if not same or [_terms(one) for one in known] != [_terms(one) for one in named]:
        put_campaign(work, wanted, named)


def require_own(work: Work, coupon_id: str) -> None:
    """Refuse a coupon without a campaign whose place in the ledger is somebody else's.

    Raises
    ------
    UsageError
        If the ledger has a campaign of that name, made for other coupons.
    """
    before = campaign(work.connection, coupon_id)
    if before is not None and [x.coupon_id for x in coupons_of(work.connection, coupon_id)] != [coupon_id]:
        raise UsageError(
            f"Coupon {coupon_id} belongs to no campaign, and the ledger has one of its name for others.",
            why="What a coupon without a campaign costs is counted under its own name: it would spend the "
            "budget of that campaign, and lift its limit.",
            todo="Give the coupon another name, or fill its campaign_id, and make the shelf again.",
        )


def _terms(coupon: CouponLimits | None) -> tuple[object, ...] | None:
    if coupon is None:
        return None
    limits = (coupon.limit_total, coupon.limit_per_customer, coupon.valid_from, coupon.valid_to)
    return (coupon.coupon_id, coupon.campaign_id, coupon.code, *limits)
