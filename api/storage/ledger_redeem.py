"""Reservations that are used, and what is taken back of them: roll backs of orders, returns of goods.

Two ways lead to a redemption. A shop asks (:func:`redeem`), and is refused where its place is gone. Or a
platform tells what it has done (:func:`happened`): a fact, which is recorded even where no place was kept for
it, and then says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import String, bindparam, case, func, insert, or_, select, update

from api.storage.ledger import (
    CouponLimits,
    Line,
    Redemption,
    Reservation,
    Standing,
    campaign,
    coupon_limits,
    holder_of,
    redemption,
    redemptions_of,
    reservation,
    reservation_in,
    reservation_of_code,
)
from api.storage.ledger_audit import Work
from api.storage.ledger_reserve import keep, unuse, use
from api.storage.statements import Statement
from api.storage.tables import CAMPAIGNS, COUPON_LIMITS, REDEMPTION_LINES, REDEMPTIONS, RESERVATIONS
from pricing.errors import ConflictError, UnknownCoupon, UsageError

__all__ = ["Told", "give_back", "happened", "redeem", "roll_back", "shares"]

_MONEY, _TABLE, _LINES = CAMPAIGNS.c, REDEMPTIONS.c, REDEMPTION_LINES.c
_WHICH = bindparam("which", type_=String)
_BECOMES_USED = Statement(
    update(RESERVATIONS)
    .where(RESERVATIONS.c.reservation_id == _WHICH, RESERVATIONS.c.state == "held")
    .where(RESERVATIONS.c.expires_at > bindparam("now"))
    .values(state="redeemed")
    .returning(*RESERVATIONS.c)
)
_USED = Statement(
    update(RESERVATIONS).where(RESERVATIONS.c.reservation_id == _WHICH).values(state="redeemed")
)
_UNDONE = Statement(
    update(RESERVATIONS)
    .where(RESERVATIONS.c.reservation_id == _WHICH, RESERVATIONS.c.state == "redeemed")
    .values(state="undone")
)
_SPEND = Statement(
    update(CAMPAIGNS)
    .where(_MONEY.campaign_id == bindparam("campaign"))
    .values(held=_MONEY.held - bindparam("kept"), spent=_MONEY.spent + bindparam("money"))
)
_ROOM = or_(
    _MONEY.budget.is_(None),
    _MONEY.held + _MONEY.spent + bindparam("money") - bindparam("kept") <= _MONEY.budget,
)
_COUPON = COUPON_LIMITS.c
_COUNT = update(COUPON_LIMITS).where(_COUPON.coupon_id == bindparam("coupon")).values(taken=_COUPON.taken + 1)
_ROOM_FOR_USE = or_(_COUPON.limit_total.is_(None), _COUPON.taken < _COUPON.limit_total)
_HAS_ROOM = select(_MONEY.campaign_id).where(_MONEY.campaign_id == bindparam("campaign"), _ROOM)
_TAKE_BACK = Statement(
    update(REDEMPTIONS)
    .where(_TABLE.reservation_id == _WHICH, _TABLE.taken_back + bindparam("money") <= _TABLE.amount)
    .values(
        taken_back=_TABLE.taken_back + bindparam("money"),
        rolled_back=_TABLE.rolled_back + bindparam("rolled"),
    )
)
_TAKE_LINE = Statement(
    update(REDEMPTION_LINES)
    .where(_LINES.reservation_id == _WHICH, _LINES.line_id == bindparam("line"))
    .where(_LINES.taken_back + bindparam("money") <= _LINES.amount)
    .where(_LINES.returned + bindparam("units") <= _LINES.quantity)
    .values(taken_back=_LINES.taken_back + bindparam("money"), returned=_LINES.returned + bindparam("units"))
)
_NEW, _NEW_LINES = Statement(insert(REDEMPTIONS)), Statement(insert(REDEMPTION_LINES))
_COLUMNS = tuple(column.name for column in REDEMPTIONS.columns)
_OF_LINES = tuple(column.name for column in REDEMPTION_LINES.columns if column.name != "reservation_id")


@dataclass(frozen=True, slots=True)
class Told:
    """What a platform says it has done.

    Attributes
    ----------
    reservation_id
        New, 32 hexadecimal digits: for a use that no place was kept for.
    code
        That was typed.
    customer
        Pseudonym, None where it is not told.
    order_id, currency, lines
        What it took off where, in which money.
    revived
        The order was cancelled before, and is paid again since.
    at
        When the order came to be paid, as the platform says; "" where it does not.
    """

    reservation_id: str
    code: str
    customer: str | None
    order_id: str
    currency: str
    lines: tuple[Line, ...]
    revived: bool = False
    at: str = ""


def redeem(work: Work, reservation_id: str, order_id: str, lines: Sequence[Line]) -> Redemption:
    """Use a reservation on an order; what it costs less than was kept for it is free again.

    Raises
    ------
    UnknownCoupon
        If there is no such reservation.
    ConflictError
        If it ran out, was used already, or would cost more than was kept for it.
    UsageError
        If no line is named, one is named twice, or an amount is negative.
    """
    amount = _amount(lines)
    row = _BECOMES_USED.rows(work.connection, which=reservation_id, now=work.now)
    if not row:
        raise _why_not(work, reservation_id)
    used = reservation_in(row[0])
    if amount > used.liability:
        raise ConflictError(
            f"Reservation {reservation_id} may cost {used.liability} and not {amount}.",
            why="Only that much was kept of the budget.",
            todo="Ask for an offer with this cart, or take off less.",
        )
    return _settle(work, used, order_id, lines, kept=used.liability, within=True)


def happened(work: Work, told: Told) -> Redemption | None:
    """Record a use that a platform granted: once for its order and coupon, within its limits or not.

    Returns
    -------
    Redemption | None
        None where the code is none of ours. Beyond a limit, `within_budget` is False.

    Raises
    ------
    UsageError
        As :func:`redeem`; also where its campaign counts in another currency.
    """
    amount, connection = _amount(told.lines), work.connection
    found = reservation_of_code(connection, told.code)
    limits = _of_shared(work, told.code) if found is None else coupon_limits(connection, found.coupon_id)
    if limits is None:
        return None
    _require_currency(work, limits, told.currency)
    before, undone = _recorded(work, told.order_id, limits.coupon_id)
    if before is not None and not (undone and told.revived):
        return before
    if found is None and told.customer is not None:
        found = _held_by(work, limits.coupon_id, told.customer)
    if found is not None and found.standing is Standing.HELD:
        found = _known_holder(work, found, told.customer)
        kept, fits = found.liability, True
    else:
        found, fits = _unforeseen(work, limits, found, told)
        kept = 0
    money = {"campaign": limits.campaign_id, "money": amount, "kept": kept}
    within = fits and (amount <= kept or connection.execute(_HAS_ROOM, money).first() is not None)
    _USED.count(connection, which=found.reservation_id)
    return _settle(work, found, told.order_id, told.lines, kept=kept, within=within, at=told.at)


def roll_back(work: Work, reservation_id: str, amounts: Mapping[str, int] | None) -> Redemption:
    """Undo a redemption, or part of it: the order was changed or cancelled before anything was sent.

    Where all of it was rolled back, its place is given back too.

    Parameters
    ----------
    work
        The transaction.
    reservation_id
        Which redemption.
    amounts
        Minor units by line; None: all that is left.

    Raises
    ------
    UnknownCoupon
        If it was never redeemed, or has no such line.
    ConflictError
        If more is rolled back than is left.
    """
    before = _redeemed(work, reservation_id)
    left = {line.line_id: line.amount - line.taken_back for line in before.lines}
    wanted = left if amounts is None else amounts
    after = _take(work, before, {name: (money, 0) for name, money in wanted.items()}, kind="rolled_back")
    if after.rolled_back == after.amount:
        _undo(work, reservation_id)
    return after


def give_back(work: Work, reservation_id: str, units: Mapping[str, int] | None) -> Redemption:
    """Count goods that came back: what the coupon took off them is the campaign's again, its use is not.

    Parameters
    ----------
    work
        The transaction.
    reservation_id
        Which redemption.
    units
        Thousandths by line; None: all that is left.

    Raises
    ------
    UnknownCoupon, ConflictError
        As :func:`roll_back`.
    """
    before = _redeemed(work, reservation_id)
    left = {line.line_id: line.quantity - line.returned for line in before.lines}
    return _take(work, before, shares(before, left if units is None else units), kind="returned")


def shares(of: Redemption, units: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return amount and quantity that come back by line: of what is left, in proportion, rounded down.

    The last unit of a line brings all that is left of it, so parts add up to the whole.
    """
    lines = {line.line_id: line for line in of.lines}
    found: dict[str, tuple[int, int]] = {}
    for name, count in units.items():
        line = lines.get(name)
        if line is None:
            raise UnknownCoupon(f"Redemption {of.reservation_id} has no line {name}.")
        left, open_units = line.amount - line.taken_back, line.quantity - line.returned
        found[name] = (left if count >= open_units else left * count // open_units, count)
    return found


def _settle(
    work: Work,
    used: Reservation,
    order_id: str,
    lines: Sequence[Line],
    *,
    kept: int,
    within: bool,
    at: str = "",
) -> Redemption:
    """Book a redemption whose reservation is marked as used."""
    amount, connection = sum(line.amount for line in lines), work.connection
    _SPEND.count(connection, campaign=used.campaign_id, kept=kept, money=amount)
    made = Redemption(used.reservation_id, order_id, amount, 0, 0, within, work.now, tuple(lines))
    row = {name: getattr(made, name) for name in _COLUMNS}
    named = [
        {"reservation_id": used.reservation_id, **{name: getattr(line, name) for name in _OF_LINES}}
        for line in lines
    ]
    _NEW.count(connection, **row)
    _NEW_LINES.many(connection, named)
    work.add(
        "redeemed",
        used.reservation_id,
        coupon=used.coupon_id,
        campaign=used.campaign_id,
        decision=used.decision_id,
        amount=amount,
        kept=kept,
        within_budget=within,
        **({"at": at} if at else {}),
    )
    return made


def _take(work: Work, before: Redemption, parts: Mapping[str, tuple[int, int]], *, kind: str) -> Redemption:
    """Take amounts and quantities back, by line."""
    which, connection = before.reservation_id, work.connection
    total = sum(money for money, _ in parts.values())
    if any(money < 0 or units < 0 for money, units in parts.values()):
        raise UsageError("lines: nothing negative can be taken back.")
    known = {line.line_id for line in before.lines}
    for name, (money, units) in parts.items():
        if name not in known:
            raise UnknownCoupon(f"Redemption {which} has no line {name}.")
        if not _TAKE_LINE.count(connection, which=which, line=name, money=money, units=units):
            raise ConflictError(
                f"Line {name} of redemption {which} has less left than is taken back.",
                todo="Read the redemption: it says what is left of each line.",
            )
    rolled = total if kind == "rolled_back" else 0
    _TAKE_BACK.count(connection, which=which, money=total, rolled=rolled)
    held = reservation(work.connection, which)
    _SPEND.count(connection, campaign=held.campaign_id, kept=0, money=-total)
    work.add(kind, which, coupon=held.coupon_id, campaign=held.campaign_id, amount=total)
    return _redeemed(work, which)


def _undo(work: Work, reservation_id: str) -> None:
    """Give back the place of a redemption of which nothing is left."""
    if _UNDONE.count(work.connection, which=reservation_id):
        held = reservation(work.connection, reservation_id)
        uses = {} if held.holder is None else {(held.coupon_id, held.holder): 1}
        unuse(work, {held.coupon_id: 1}, uses)


def _unforeseen(
    work: Work, limits: CouponLimits, gone: Reservation | None, told: Told
) -> tuple[Reservation, bool]:
    """Return a place for a use that none is kept for any more, and whether the limits had room for it.

    A code whose place ran out takes it up again; one that was used already gets another without a code.
    """
    fits = work.connection.execute(_COUNT.where(_ROOM_FOR_USE), {"coupon": limits.coupon_id}).rowcount > 0
    if not fits:
        work.connection.execute(_COUNT, {"coupon": limits.coupon_id})
    again = gone is not None and gone.standing is Standing.EXPIRED
    holder = gone.holder if gone is not None and again else None
    if holder is None and told.customer is not None:
        holder = holder_of(work, told.customer)
    if holder is not None and not use(work, limits.coupon_id, holder, limits.limit_per_customer):
        fits = False
        use(work, limits.coupon_id, holder, None)
    if gone is not None and again:
        return _given_to(work, gone, holder), fits
    made = Reservation(
        told.reservation_id,
        limits.coupon_id,
        limits.campaign_id,
        holder,
        None,
        None,
        0,
        work.now,
        Standing.HELD,
        work.now,
    )
    keep(work, made)
    return made, fits


def _known_holder(work: Work, found: Reservation, customer: str | None) -> Reservation:
    """Return a reservation that is held, with the customer who used a code that nobody was given."""
    if found.holder is not None or customer is None:
        return found
    holder = holder_of(work, customer)
    use(work, found.coupon_id, holder, None)
    return _given_to(work, found, holder)


def _given_to(work: Work, found: Reservation, holder: int | None) -> Reservation:
    this = RESERVATIONS.c.reservation_id == found.reservation_id
    work.connection.execute(update(RESERVATIONS).where(this).values(holder=holder))
    return replace(found, holder=holder)


def _of_shared(work: Work, code: str) -> CouponLimits | None:
    """Return the coupon of a code that everybody types; capitals tell only two of the same letters apart."""
    like = COUPON_LIMITS.c.code.is_not(None) & (func.lower(COUPON_LIMITS.c.code) == code.lower())
    exact = case((COUPON_LIMITS.c.code == code, 0), else_=1)
    query = select(COUPON_LIMITS).where(like).order_by(exact, COUPON_LIMITS.c.coupon_id).limit(1)
    row = work.connection.execute(query).first()
    return None if row is None else CouponLimits(*row)


def _held_by(work: Work, coupon_id: str, customer: str) -> Reservation | None:
    """Return the oldest place that is kept of a coupon for a customer."""
    table = RESERVATIONS.c
    query = select(table.reservation_id).where(table.coupon_id == coupon_id, table.state == "held")
    query = query.where(table.holder == holder_of(work, customer)).order_by(table.made_at).limit(1)
    name = work.connection.execute(query).scalar()
    return None if name is None else reservation(work.connection, name)


def _require_currency(work: Work, limits: CouponLimits, currency: str) -> None:
    money = campaign(work.connection, limits.campaign_id)
    if money is not None and money.currency != currency:
        raise UsageError(
            f"Campaign {limits.campaign_id} counts in {money.currency}, and this is {currency}.",
            why="Two currencies do not add up to one budget.",
            todo="Tell it in the campaign's currency.",
        )


def _recorded(work: Work, order_id: str, coupon_id: str) -> tuple[Redemption | None, bool]:
    """Return what a coupon was used for on an order, if it was, and whether nothing of that stands."""
    undone: Redemption | None = None
    for one in redemptions_of(work.connection, order_id):
        held = reservation(work.connection, one.reservation_id)
        if held.coupon_id == coupon_id:
            if held.standing is not Standing.UNDONE:
                return one, False
            undone = one
    return undone, undone is not None


def _redeemed(work: Work, reservation_id: str) -> Redemption:
    found = redemption(work.connection, reservation_id)
    if found is None:
        raise UnknownCoupon(f"Reservation {reservation_id} was never redeemed.")
    return found


def _amount(lines: Sequence[Line]) -> int:
    if not lines or len({line.line_id for line in lines}) < len(lines):
        raise UsageError("lines: name each line once, and at least one.")
    if any(line.amount < 0 or line.quantity < 1 or line.taken_back or line.returned for line in lines):
        raise UsageError("lines: amounts are at least 0 and quantities more than 0.")
    return sum(line.amount for line in lines)


def _why_not(work: Work, reservation_id: str) -> ConflictError:
    found = reservation(work.connection, reservation_id)
    over = found.standing is Standing.HELD
    return ConflictError(
        f"Reservation {reservation_id} is {'expired' if over else found.standing.value}.",
        why="Its place is not kept any more." if found.standing is not Standing.REDEEMED else "",
        todo="Ask for a new offer." if found.standing is not Standing.REDEEMED else "Read the redemption.",
    )
