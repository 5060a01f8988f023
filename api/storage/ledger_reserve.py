"""Places kept for uses of coupons: kept if every limit allows it, given back when they run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import BigInteger, Integer, bindparam, insert, or_, select, update

from api.storage.ledger import (
    CouponLimits,
    Reservation,
    Standing,
    coupon_limits,
    holder_of,
    reservation,
    reservation_in,
)
from api.storage.ledger_audit import Work
from api.storage.statements import Statement
from api.storage.tables import CAMPAIGNS, COUPON_LIMITS, COUPON_USES, RESERVATIONS
from pricing.errors import ConflictError, LimitReached, UnknownCoupon, UsageError

__all__ = [
    "Hold",
    "Limit",
    "Refusal",
    "assign",
    "expire",
    "keep",
    "mint",
    "release",
    "reserve",
    "unuse",
    "use",
]

_AT_ONCE = 1000


class Limit(Enum):
    """What keeps a coupon from being given."""

    BUDGET = "budget"
    TOTAL = "limit_total"
    CUSTOMER = "limit_per_customer"
    VALIDITY = "validity"
    CODES = "codes"
    """No code of its pool is left."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What is to be kept.

    Attributes
    ----------
    reservation_id
        New, 32 hexadecimal digits.
    coupon_id
        Of what.
    customer
        Pseudonym of whoever gets it, known or anonymous.
    decision_id
        What offers it; None where a shop chose itself.
    liability
        The most that it may cost, minor units, at least 1.
    expires_at
        UTC microseconds; from then on its place is given back.
    """

    reservation_id: str
    coupon_id: str
    customer: str
    decision_id: str | None
    liability: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a place was not kept: nothing was changed."""

    coupon_id: str
    limit: Limit

    def error(self) -> LimitReached:
        """Return it as an error that says so."""
        return LimitReached(
            f"Coupon {self.coupon_id} cannot be given: {self.limit.value}.",
            why="Its limit is reached, counting places that are kept for others.",
            todo="Offer another coupon or none; a place that runs out is given back.",
        )


_NOW = bindparam("now", type_=BigInteger)
_TABLE, _MONEY, _USES = COUPON_LIMITS.c, CAMPAIGNS.c, COUPON_USES.c
_TAKE = Statement(
    update(COUPON_LIMITS)
    .where(_TABLE.coupon_id == bindparam("coupon"), _TABLE.valid_from <= _NOW, _TABLE.valid_to > _NOW)
    .where(or_(_TABLE.limit_total.is_(None), _TABLE.taken + bindparam("count") <= _TABLE.limit_total))
    .values(taken=_TABLE.taken + bindparam("count"))
    .returning(_TABLE.campaign_id, _TABLE.limit_per_customer)
)
_GIVE_BACK = Statement(
    update(COUPON_LIMITS)
    .where(_TABLE.coupon_id == bindparam("coupon"))
    .values(taken=_TABLE.taken - bindparam("count"))
)
_KEEP = Statement(
    update(CAMPAIGNS)
    .where(_MONEY.campaign_id == bindparam("campaign"))
    .where(or_(_MONEY.budget.is_(None), _MONEY.held + _MONEY.spent + bindparam("money") <= _MONEY.budget))
    .values(held=_MONEY.held + bindparam("money"))
)
_LET_GO = Statement(
    update(CAMPAIGNS)
    .where(_MONEY.campaign_id == bindparam("campaign"))
    .values(held=_MONEY.held - bindparam("money"))
)
_OF_HOLDER = (_USES.coupon_id == bindparam("coupon"), _USES.holder == bindparam("whose"))
_USE = Statement(
    update(COUPON_USES)
    .where(*_OF_HOLDER, or_(bindparam("most", type_=Integer).is_(None), _USES.taken < bindparam("most")))
    .values(taken=_USES.taken + 1)
)
_USED = Statement(select(_USES.taken).where(*_OF_HOLDER))
_UNUSE = Statement(update(COUPON_USES).where(*_OF_HOLDER).values(taken=_USES.taken - bindparam("count")))
_FIRST_USE = Statement(insert(COUPON_USES))
_NEW = Statement(insert(RESERVATIONS))
_DUE = Statement(
    select(*RESERVATIONS.c)
    .where(RESERVATIONS.c.state == "held", RESERVATIONS.c.expires_at <= _NOW)
    .order_by(RESERVATIONS.c.expires_at)
    .limit(_AT_ONCE)
)
_ENDS = Statement(
    update(RESERVATIONS)
    .where(RESERVATIONS.c.reservation_id == bindparam("which"), RESERVATIONS.c.state == "held")
    .values(state=bindparam("ended"))
)
_FREE = Statement(
    select(RESERVATIONS.c.reservation_id)
    .where(RESERVATIONS.c.coupon_id == bindparam("coupon"), RESERVATIONS.c.code.is_not(None))
    .where(RESERVATIONS.c.holder.is_(None), RESERVATIONS.c.state == "held", RESERVATIONS.c.expires_at > _NOW)
    .limit(1)
)
_HAND_OUT = Statement(
    update(RESERVATIONS)
    .where(RESERVATIONS.c.reservation_id == bindparam("which"), RESERVATIONS.c.holder.is_(None))
    .values(holder=bindparam("whose"), decision_id=bindparam("decision"))
)


_COLUMNS = tuple(column.name for column in RESERVATIONS.columns if column.name != "state")


def reserve(work: Work, hold: Hold) -> Reservation | Refusal:
    """Keep a place for one use of a coupon, if the budget and every limit allow it.

    What has run out by now is given back before anything is refused.

    Raises
    ------
    UnknownCoupon
        If there is no such coupon.
    UsageError
        If it would cost nothing, or run out before it begins.
    """
    if hold.liability < 1:
        raise UsageError("liability: a coupon costs at least one minor unit.")
    if hold.expires_at <= work.now:
        raise UsageError("expires_at: this moment is over.")
    found = _reserve(work, hold)
    while isinstance(found, Refusal) and expire(work):
        found = _reserve(work, hold)
    if isinstance(found, Reservation):
        _say(work, "reserved", found)
    return found


def _reserve(work: Work, hold: Hold) -> Reservation | Refusal:
    connection, coupon = work.connection, hold.coupon_id
    taken = _TAKE.rows(connection, coupon=coupon, count=1, now=work.now)
    if not taken:
        return _why_not(work, coupon)
    campaign, most = taken[0]
    holder = holder_of(work, hold.customer)
    if not use(work, coupon, holder, most):
        _GIVE_BACK.count(connection, coupon=coupon, count=1)
        return Refusal(coupon, Limit.CUSTOMER)
    if not _KEEP.count(connection, campaign=campaign, money=hold.liability):
        unuse(work, {coupon: 1}, {(coupon, holder): 1})
        return Refusal(coupon, Limit.BUDGET)
    made = Reservation(
        hold.reservation_id,
        coupon,
        campaign,
        holder,
        hold.decision_id,
        None,
        hold.liability,
        hold.expires_at,
        Standing.HELD,
        work.now,
    )
    keep(work, made)
    return made


def mint(
    work: Work, coupon_id: str, codes: Mapping[str, str], liability: int, expires_at: int
) -> tuple[Reservation, ...]:
    """Make the codes of a pool ahead, each a place that is kept: a platform honours them without asking.

    Parameters
    ----------
    work
        The transaction.
    coupon_id
        Of what.
    codes
        New codes by the new number of their reservation.
    liability
        The most that one may cost, minor units.
    expires_at
        UTC microseconds; after it the platform must take none of them.

    Raises
    ------
    LimitReached
        If all of them together exceed the budget or the limit on uses.
    UnknownCoupon, UsageError
        As :func:`reserve`; also for a code that exists already.
    """
    if liability < 1 or expires_at <= work.now or not codes:
        raise UsageError("codes, liability, expires_at: at least 1, 1 and later than now.")
    _require_new(work, list(codes.values()))
    while (campaign := _keep_for(work, coupon_id, len(codes), liability)) is None:
        if not expire(work):
            raise _why_no_codes(work, coupon_id)
    made = tuple(
        Reservation(
            name, coupon_id, campaign, None, None, code, liability, expires_at, Standing.HELD, work.now
        )
        for name, code in codes.items()
    )
    _NEW.many(work.connection, [_row(one) for one in made])
    work.add("minted", coupon_id, campaign=campaign, count=len(made), liability=liability * len(made))
    return made


def assign(work: Work, coupon_id: str, customer: str, decision_id: str | None) -> Reservation | Refusal:
    """Give a code of a pool to a customer; its cost was kept when it was minted.

    Raises
    ------
    UnknownCoupon
        If there is no such coupon.
    """
    limits, now = _known(work, coupon_id), work.now
    if not limits.valid_from <= now < limits.valid_to:
        return Refusal(coupon_id, Limit.VALIDITY)
    free = _FREE.rows(work.connection, coupon=coupon_id, now=now)
    if not free:
        return Refusal(coupon_id, Limit.CODES)
    holder = holder_of(work, customer)
    while not use(work, coupon_id, holder, limits.limit_per_customer):
        if not expire(work):
            return Refusal(coupon_id, Limit.CUSTOMER)
    which = str(free[0][0])
    _HAND_OUT.count(work.connection, which=which, whose=holder, decision=decision_id)
    made = reservation(work.connection, which)
    _say(work, "assigned", made)
    return made


def release(work: Work, reservation_id: str) -> Reservation:
    """Give a place back before it runs out.

    Raises
    ------
    UnknownCoupon
        If there is none.
    ConflictError
        If it was used, or ended otherwise; or it is a code, which a platform would still honour.
    """
    found = reservation(work.connection, reservation_id)
    if found.code is not None:
        raise ConflictError(
            f"Reservation {reservation_id} has the code {found.code}.",
            why="The platform would still take it.",
            todo="Delete the code there; its place is given back when it runs out.",
        )
    if not _ENDS.count(work.connection, which=reservation_id, ended=Standing.RELEASED.value):
        raise ConflictError(f"Reservation {reservation_id} is {found.standing.value}.")
    _let_go(work, [found])
    _say(work, "released", found)
    return reservation(work.connection, reservation_id)


def keep(work: Work, made: Reservation) -> None:
    """Write a new reservation; whoever calls has counted it."""
    _NEW.count(work.connection, **_row(made))


def expire(work: Work) -> int:
    """Give back what has run out by now, the earliest first and a thousand at most; return how many."""
    due = [reservation_in(row) for row in _DUE.rows(work.connection, now=work.now)]
    if due:
        ended = [{"which": one.reservation_id, "ended": Standing.EXPIRED.value} for one in due]
        _ENDS.many(work.connection, ended)
        _let_go(work, due)
        for one in due:
            _say(work, "expired", one)
    return len(due)


def _let_go(work: Work, ended: Sequence[Reservation]) -> None:
    """Give back money and uses of reservations that were held until now."""
    money = Counter[str]()
    for one in ended:
        money[one.campaign_id] += one.liability
    rows = [{"campaign": name, "money": amount} for name, amount in money.items()]
    _LET_GO.many(work.connection, rows)
    uses = Counter((one.coupon_id, one.holder) for one in ended if one.holder is not None)
    unuse(work, Counter(one.coupon_id for one in ended), uses)


def unuse(work: Work, coupons: Mapping[str, int], uses: Mapping[tuple[str, int], int]) -> None:
    """Give back uses by coupon, and by coupon and customer."""
    counts = [{"coupon": name, "count": count} for name, count in coupons.items()]
    _GIVE_BACK.many(work.connection, counts)
    rows = [{"coupon": name, "whose": holder, "count": count} for (name, holder), count in uses.items()]
    if rows:
        _UNUSE.many(work.connection, rows)


def use(work: Work, coupon_id: str, holder: int, most: int | None) -> bool:
    """Count one more use by a customer; return False where that is more than `most` (None: any number)."""
    if _USE.count(work.connection, coupon=coupon_id, whose=holder, most=most):
        return True
    if most == 0 or _USED.rows(work.connection, coupon=coupon_id, whose=holder):
        return False
    _FIRST_USE.count(work.connection, coupon_id=coupon_id, holder=holder, taken=1)
    return True


def _keep_for(work: Work, coupon_id: str, count: int, liability: int) -> str | None:
    """Keep places and money for many uses; return the campaign, None where they are too many."""
    taken = _TAKE.rows(work.connection, coupon=coupon_id, count=count, now=work.now)
    if not taken:
        return None
    campaign = str(taken[0][0])
    if _KEEP.count(work.connection, campaign=campaign, money=count * liability):
        return campaign
    _GIVE_BACK.count(work.connection, coupon=coupon_id, count=count)
    return None


def _known(work: Work, coupon_id: str) -> CouponLimits:
    limits = coupon_limits(work.connection, coupon_id)
    if limits is None:
        raise UnknownCoupon(f"There is no coupon {coupon_id}.", todo="Put its campaign up first.")
    return limits


def _why_not(work: Work, coupon_id: str) -> Refusal:
    limits = _known(work, coupon_id)
    over = not limits.valid_from <= work.now < limits.valid_to
    return Refusal(coupon_id, Limit.VALIDITY if over else Limit.TOTAL)


def _why_no_codes(work: Work, coupon_id: str) -> LimitReached:
    _known(work, coupon_id)
    return LimitReached(
        f"Coupon {coupon_id} cannot have as many codes: validity, limit_total or budget.",
        why="A code that is out will be honoured, so each counts at the most that it may cost.",
        todo="Mint fewer codes, or raise the limit that is reached.",
    )


def _require_new(work: Work, codes: Sequence[str]) -> None:
    shared = select(COUPON_LIMITS.c.code).where(COUPON_LIMITS.c.code.in_(bindparam("codes", expanding=True)))
    own = select(RESERVATIONS.c.code).where(RESERVATIONS.c.code.in_(bindparam("codes", expanding=True)))
    for query in (shared, own):
        for start in range(0, len(codes), _AT_ONCE):
            some = list(codes[start : start + _AT_ONCE])
            taken = work.connection.execute(query, {"codes": some}).scalar()
            if taken is not None:
                raise UsageError(f"The code {taken} exists already.", todo="Choose other codes.")


def _row(made: Reservation) -> dict[str, Any]:
    values = {name: getattr(made, name) for name in _COLUMNS}
    return {**values, "state": made.standing.value}


def _say(work: Work, kind: str, about: Reservation) -> None:
    work.add(
        kind,
        about.reservation_id,
        coupon=about.coupon_id,
        campaign=about.campaign_id,
        decision=about.decision_id,
        liability=about.liability,
        expires_at=about.expires_at,
    )
