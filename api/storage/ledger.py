"""Coupons on disk: what a campaign may cost, how often a coupon may be used, who holds one.

Every limit is kept by an UPDATE that says its own condition, inside of one write transaction: nothing reads
first and writes later, so no number of callers can overspend. A budget counts reservations at the most that
they may cost and redemptions at what they did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from api.storage.ledger_audit import Work
from api.storage.statements import Statement
from api.storage.tables import (
    CAMPAIGNS,
    COUPON_LIMITS,
    HOLDERS,
    OFFER_SUBJECTS,
    REDEMPTION_LINES,
    REDEMPTIONS,
    RESERVATIONS,
    in_parts,
)
from pricing.errors import UnknownCoupon, UsageError

__all__ = [
    "Campaign",
    "CouponLimits",
    "Line",
    "Redemption",
    "Reservation",
    "Standing",
    "campaign",
    "coupon_limits",
    "coupons_of",
    "erase",
    "holder_of",
    "pool",
    "put_campaign",
    "redemption",
    "redemptions_of",
    "reservation",
    "reservation_in",
    "reservation_of_code",
]


_HOLDER = Statement(select(HOLDERS.c.holder).where(HOLDERS.c.pseudonym == bindparam("whose")))
_NEW_HOLDER = Statement(
    insert(HOLDERS).values(pseudonym=bindparam("pseudonym"), recorded_at=bindparam("recorded_at"))
)


class Standing(Enum):
    """Where a reservation stands.

    Only one that is `HELD` or `REDEEMED` counts against limits on uses.
    """

    HELD = "held"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    RELEASED = "released"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign, and what it may cost.

    Attributes
    ----------
    campaign_id, currency
        Which one, in which money.
    budget
        Minor units; None: no limit of its own.
    held, spent
        Kept for reservations at the most they may cost; spent on redemptions, less what was taken back.
    """

    campaign_id: str
    currency: str
    budget: int | None
    held: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class CouponLimits:
    """How often a coupon may be used, and when.

    Attributes
    ----------
    coupon_id
        Which one.
    campaign_id
        Whose budget pays for it.
    code
        That everybody types; None where each has a code of its own, or needs none.
    limit_total, limit_per_customer
        Most uses; None: any number.
    valid_from, valid_to
        UTC microseconds, half-open.
    taken
        Reservations that stand, and redemptions.
    """

    coupon_id: str
    campaign_id: str
    code: str | None
    limit_total: int | None
    limit_per_customer: int | None
    valid_from: int
    valid_to: int
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place kept for one use of a coupon.

    Attributes
    ----------
    reservation_id
        Which one.
    coupon_id, campaign_id
        Of what.
    holder
        Whose (a number that means nothing outside the ledger); None for a code nobody was given yet.
    decision_id
        What offered it; None where a shop chose itself.
    code
        Of its own, from a pool; None where it needs none.
    liability
        The most that it may cost, minor units.
    expires_at, made_at
        UTC microseconds.
    standing
        What became of it.
    """

    reservation_id: str
    coupon_id: str
    campaign_id: str
    holder: int | None
    decision_id: str | None
    code: str | None
    liability: int
    expires_at: int
    standing: Standing
    made_at: int


@dataclass(frozen=True, slots=True)
class Line:
    """What a coupon took off one line of an order.

    Attributes
    ----------
    line_id
        Which one.
    amount
        Minor units.
    quantity
        Thousandths of the line's unit.
    taken_back
        Of the amount: rolled back or returned since.
    returned
        Of the quantity.
    """

    line_id: str
    amount: int
    quantity: int = 1000
    taken_back: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True)
class Redemption:
    """A reservation that was used on an order.

    Attributes
    ----------
    reservation_id, order_id
        Which, on what.
    amount
        All of it, minor units.
    taken_back, rolled_back
        Of the amount; what was rolled back is a part of what was taken back.
    within_budget
        False where a platform granted it after its place was gone: a fact, and recorded as one.
    redeemed_at
        UTC microseconds.
    lines
        By line.
    """

    reservation_id: str
    order_id: str
    amount: int
    taken_back: int
    rolled_back: int
    within_budget: bool
    redeemed_at: int
    lines: tuple[Line, ...]


def put_campaign(work: Work, wanted: Campaign, coupons: Sequence[CouponLimits]) -> None:
    """Make a campaign with its coupons, or change its limits; what is held and spent stays as it is.

    A limit below what is taken already holds from now on; nothing is taken from anybody.

    Raises
    ------
    UsageError
        If it had another currency before, or a coupon belongs to another campaign, or a code to another
        coupon.
    """
    before = campaign(work.connection, wanted.campaign_id)
    if before is not None and before.currency != wanted.currency:
        raise UsageError(
            f"Campaign {wanted.campaign_id} counts in {before.currency}.", todo="Make another campaign."
        )
    if before is None:
        fresh = {**asdict(wanted), "held": 0, "spent": 0}
        work.connection.execute(insert(CAMPAIGNS).values(**fresh))
    else:
        this = CAMPAIGNS.c.campaign_id == wanted.campaign_id
        work.connection.execute(update(CAMPAIGNS).where(this).values(budget=wanted.budget))
    for coupon in coupons:
        _put_coupon(work, coupon)
    added = {coupon.coupon_id: _limits(coupon) for coupon in coupons}
    work.add("campaign", wanted.campaign_id, currency=wanted.currency, budget=wanted.budget, coupons=added)


def _put_coupon(work: Work, coupon: CouponLimits) -> None:
    if coupon.code is not None:
        _require_free_code(work, coupon)
    before = coupon_limits(work.connection, coupon.coupon_id)
    if before is None:
        work.connection.execute(insert(COUPON_LIMITS).values(**{**asdict(coupon), "taken": 0}))
        return
    if before.campaign_id != coupon.campaign_id:
        raise UsageError(
            f"Coupon {coupon.coupon_id} belongs to campaign {before.campaign_id}.",
            why="What it has cost is counted there.",
            todo="Give the coupon of this campaign another name.",
        )
    this = COUPON_LIMITS.c.coupon_id == coupon.coupon_id
    work.connection.execute(update(COUPON_LIMITS).where(this).values(**_limits(coupon)))


def _require_free_code(work: Work, coupon: CouponLimits) -> None:
    shared = select(COUPON_LIMITS.c.coupon_id).where(
        COUPON_LIMITS.c.code == coupon.code, COUPON_LIMITS.c.coupon_id != coupon.coupon_id
    )
    own = select(RESERVATIONS.c.coupon_id).where(RESERVATIONS.c.code == coupon.code)
    taken = work.connection.execute(shared.union(own)).scalar()
    if taken is not None:
        raise UsageError(f"The code {coupon.code} is one of coupon {taken}.", todo="Choose another code.")


def _limits(coupon: CouponLimits) -> dict[str, object]:
    fixed = ("coupon_id", "campaign_id", "taken")
    return {name: value for name, value in asdict(coupon).items() if name not in fixed}


def campaign(connection: Connection, campaign_id: str) -> Campaign | None:
    """Return a campaign, None where there is none."""
    query = select(CAMPAIGNS).where(CAMPAIGNS.c.campaign_id == campaign_id)
    row = connection.execute(query).first()
    return None if row is None else Campaign(*row)


def coupon_limits(connection: Connection, coupon_id: str) -> CouponLimits | None:
    """Return the limits of a coupon, None where there is none."""
    query = select(COUPON_LIMITS).where(COUPON_LIMITS.c.coupon_id == coupon_id)
    row = connection.execute(query).first()
    return None if row is None else CouponLimits(*row)


def coupons_of(connection: Connection, campaign_id: str) -> tuple[CouponLimits, ...]:
    """Return the coupons of a campaign, by name."""
    query = select(COUPON_LIMITS).where(COUPON_LIMITS.c.campaign_id == campaign_id)
    rows = connection.execute(query.order_by(COUPON_LIMITS.c.coupon_id))
    return tuple(CouponLimits(*row) for row in rows)


def pool(connection: Connection, coupon_id: str) -> tuple[Reservation, ...]:
    """Return every code that was minted for a coupon, by code."""
    own = (RESERVATIONS.c.coupon_id == coupon_id) & RESERVATIONS.c.code.is_not(None)
    rows = connection.execute(select(RESERVATIONS).where(own).order_by(RESERVATIONS.c.code))
    return tuple(reservation_in(row) for row in rows)


def reservation(connection: Connection, reservation_id: str) -> Reservation:
    """Return a reservation; raises :class:`UnknownCoupon` where there is none."""
    query = select(RESERVATIONS).where(RESERVATIONS.c.reservation_id == reservation_id)
    row = connection.execute(query).first()
    if row is None:
        raise UnknownCoupon(f"There is no reservation {reservation_id}.", todo="Take it from the offer.")
    return reservation_in(row)


def reservation_of_code(connection: Connection, code: str) -> Reservation | None:
    """Return the reservation that a code of a pool stands for, None where it stands for none.

    Our own codes have capitals; a platform may tell them small, as WooCommerce does.
    """
    for name in dict.fromkeys((code, code.upper())):
        row = connection.execute(select(RESERVATIONS).where(RESERVATIONS.c.code == name)).first()
        if row is not None:
            return reservation_in(row)
    return None


def redemption(connection: Connection, reservation_id: str) -> Redemption | None:
    """Return what a reservation was used for, None where it was not."""
    query = select(REDEMPTIONS).where(REDEMPTIONS.c.reservation_id == reservation_id)
    row = connection.execute(query).first()
    if row is None:
        return None
    table = REDEMPTION_LINES.c
    lines = select(table.line_id, table.amount, table.quantity, table.taken_back, table.returned)
    lines = lines.where(table.reservation_id == reservation_id).order_by(table.line_id)
    parts = tuple(Line(*line) for line in connection.execute(lines))
    name, order, amount, back, rolled, within, at = row
    return Redemption(name, order, amount, back, rolled, within, at, parts)


def redemptions_of(connection: Connection, order_id: str) -> tuple[Redemption, ...]:
    """Return every redemption on an order."""
    query = select(REDEMPTIONS.c.reservation_id).where(REDEMPTIONS.c.order_id == order_id)
    names = connection.execute(query.order_by(REDEMPTIONS.c.reservation_id)).scalars().all()
    found = (redemption(connection, name) for name in names)
    return tuple(one for one in found if one is not None)


def holder_of(work: Work, pseudonym: str) -> int:
    """Return the number under which a customer holds coupons, a new one where there is none."""
    known = _HOLDER.rows(work.connection, whose=pseudonym)
    if not known:
        _NEW_HOLDER.count(work.connection, pseudonym=pseudonym, recorded_at=work.transaction.at)
        known = _HOLDER.rows(work.connection, whose=pseudonym)
    return int(known[0][0])


def erase(work: Work, pseudonyms: Sequence[str]) -> int:
    """Forget who holds what, and what was known of them at an offer; return how many were known.

    The record stays whole: it names nobody.
    """
    gone = 0
    for some in in_parts(pseudonyms):
        known = select(HOLDERS.c.holder).where(HOLDERS.c.pseudonym.in_(some))
        work.connection.execute(delete(OFFER_SUBJECTS).where(OFFER_SUBJECTS.c.holder.in_(known)))
        gone += work.connection.execute(delete(HOLDERS).where(HOLDERS.c.pseudonym.in_(some))).rowcount
    if gone:
        work.add("erased", "holders", count=gone)
    return gone


def reservation_in(row: Any) -> Reservation:
    """Return the reservation in a row with every column of its table, in their order."""
    reservation_id, coupon, campaign_id, holder, decision, code, liability, expires, state, made = row
    standing = Standing(state)
    return Reservation(
        reservation_id, coupon, campaign_id, holder, decision, code, liability, expires, standing, made
    )
