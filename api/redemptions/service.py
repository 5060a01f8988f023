"""From a request to a durable redemption: identities hidden, one effect a key, recorded, then answered."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from api.customer_key import CustomerKey
from api.redemptions.deliveries import Delivery, Paid, Refunded, read_deliveries
from api.redemptions.signatures import InboundSecrets, Source
from api.storage.ledger import (
    Campaign,
    CouponLimits,
    Line,
    Redemption,
    Reservation,
    Standing,
    campaign,
    coupon_limits,
    coupons_of,
    pool,
    put_campaign,
    redemption,
    redemptions_of,
    reservation,
    reservation_of_code,
)
from api.storage.ledger_audit import AuditRow, Once, Work, fingerprint, history, once
from api.storage.ledger_inbox import cancelled, settle, wait, waiting
from api.storage.ledger_redeem import Told, give_back, happened, redeem, roll_back
from api.storage.ledger_reserve import Hold, Refusal, assign, expire, mint, release, reserve
from api.storage.price_marks import moment_of
from api.storage.store import Store
from pricing.errors import UnknownCoupon

__all__ = ["Asked", "CampaignRead", "Read", "Redemptions", "redeemed", "reserved"]

_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Of codes: none that looks like another."""

_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """What a shop wants a place kept for; who gets it is given as the shop knows them.

    Attributes
    ----------
    coupon_id, decision_id, liability
        As :class:`api.storage.ledger_reserve.Hold`.
    customer_id, anonymous_id
        One of them.
    seconds
        How long; None takes a code of the coupon's pool, which keeps its own time.
    """

    coupon_id: str
    customer_id: str | None
    anonymous_id: str | None
    decision_id: str | None
    liability: int
    seconds: int | None


@dataclass(frozen=True, slots=True)
class CampaignRead:
    """A campaign with its coupons."""

    campaign: Campaign
    coupons: tuple[CouponLimits, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A reservation, what it was used for (None: nothing yet), and all that happened to it."""

    reservation: Mapping[str, Any]
    redemption: Mapping[str, Any] | None
    history: tuple[AuditRow, ...]


@dataclass(frozen=True, slots=True)
class Redemptions:
    """What a service does with coupons that are given and used.

    Attributes
    ----------
    store
        Where it is recorded.
    key
        Of customers' pseudonyms.
    secrets
        What platforms sign with.
    """

    store: Store
    key: CustomerKey
    secrets: InboundSecrets

    def put(self, wanted: Campaign, coupons: Sequence[CouponLimits]) -> CampaignRead:
        """Make or change a campaign; raises :class:`UsageError` as :func:`put_campaign`."""
        self.store.commits.submit(lambda work: put_campaign(work, wanted, coupons))
        return self.read_campaign(wanted.campaign_id)

    def read_campaign(self, campaign_id: str) -> CampaignRead:
        """Return a campaign as it stands now; raises :class:`UnknownCoupon` where there is none."""
        self._sweep()
        with self.store.database.reading() as connection:
            found = campaign(connection, campaign_id)
            if found is None:
                raise UnknownCoupon(f"There is no campaign {campaign_id}.", todo="PUT it first.")
            return CampaignRead(found, coupons_of(connection, campaign_id))

    def reserve(self, asked: Asked, key: str) -> Once:
        """Keep a place; raises :class:`LimitReached`, :class:`UnknownCoupon` or :class:`UsageError`."""
        customer, name = self.key.whom(asked.customer_id, asked.anonymous_id), _new()

        def effect(work: Work) -> Mapping[str, object]:
            return reserved(work.connection, _kept(work, asked, customer, name))

        given = (asked.coupon_id, customer, asked.decision_id, asked.liability, asked.seconds)
        return self._once(key, ("reserve", *given), effect)

    def release(self, reservation_id: str, key: str) -> Once:
        """Give a place back; raises as :func:`api.storage.ledger_reserve.release`."""

        def effect(work: Work) -> Mapping[str, object]:
            return reserved(work.connection, release(work, reservation_id))

        return self._once(key, ("release", reservation_id), effect)

    def redeem(
        self, name: str | None, code: str | None, order_id: str, lines: Sequence[Line], key: str
    ) -> Once:
        """Use a reservation, named or by its code; raises as :func:`api.storage.ledger_redeem.redeem`."""

        def effect(work: Work) -> Mapping[str, object]:
            found = name or _of_code(work, code or "")
            return redeemed(work.connection, redeem(work, found, order_id, lines))

        given = [(line.line_id, line.amount, line.quantity) for line in lines]
        return self._once(key, ("redeem", name, code, order_id, given), effect)

    def roll_back(self, name: str, amounts: Mapping[str, int] | None, key: str) -> Once:
        """Undo a redemption or part of it; raises as :func:`api.storage.ledger_redeem.roll_back`."""

        def effect(work: Work) -> Mapping[str, object]:
            return redeemed(work.connection, roll_back(work, name, amounts))

        return self._once(key, ("roll back", name, amounts), effect)

    def give_back(self, name: str, units: Mapping[str, int] | None, key: str) -> Once:
        """Count goods that came back; raises as :func:`api.storage.ledger_redeem.give_back`."""

        def effect(work: Work) -> Mapping[str, object]:
            return redeemed(work.connection, give_back(work, name, units))

        return self._once(key, ("return", name, units), effect)

    def read(self, reservation_id: str) -> Read:
        """Return all about a reservation; raises :class:`UnknownCoupon` where there is none."""
        with self.store.database.reading() as connection:
            found, used = reservation(connection, reservation_id), redemption(connection, reservation_id)
            told = None if used is None else redeemed(connection, used)
            return Read(reserved(connection, found), told, history(connection, reservation_id))

    def mint(self, coupon_id: str, count: int, liability: int, expires_at: int, key: str) -> Once:
        """Make codes ahead; raises as :func:`api.storage.ledger_reserve.mint`."""

        def effect(work: Work) -> Mapping[str, object]:
            made = mint(work, coupon_id, _codes(count), liability, expires_at)
            return {"coupon_id": coupon_id, "codes": [one.code for one in made]}

        return self._once(key, ("mint", coupon_id, count, liability, expires_at), effect)

    def pool(self, coupon_id: str) -> tuple[Reservation, ...]:
        """Return every code of a coupon; raises :class:`UnknownCoupon` where there is no such coupon."""
        self._sweep()
        with self.store.database.reading() as connection:
            if coupon_limits(connection, coupon_id) is None:
                raise UnknownCoupon(f"There is no coupon {coupon_id}.", todo="Put its campaign up first.")
            return pool(connection, coupon_id)

    def mark_used(self, currency: str, used: Sequence[tuple[str, str, int]]) -> tuple[str, ...]:
        """Record that a platform took codes (code, order, amount); return those that are none of ours."""

        def effect(work: Work) -> tuple[str, ...]:
            told = [
                Told(_new(), code, None, order, currency, (Line("order", amount),))
                for code, order, amount in used
            ]
            return tuple(one.code for one in told if happened(work, one) is None)

        return self.store.commits.submit(effect)

    def deliver(self, source: Source, headers: Mapping[str, str], body: bytes) -> int:
        """Record what a platform tells; return how many redemptions it concerned.

        It may tell it twice, late or in the wrong order: a refund that comes before its order waits for it.

        Raises
        ------
        AccessError
            If it is not signed as agreed.
        UsageError
            If it cannot be read.
        """
        message = self.secrets.verified(source, headers, body)
        found = read_deliveries(source, message, self.key)
        return self.store.commits.submit(lambda work: _deliver(work, source, found)) if found else 0

    def _sweep(self) -> None:
        while self.store.commits.submit(expire):
            pass

    def _once(
        self, key: str, asked: Iterable[object], effect: Callable[[Work], Mapping[str, object]]
    ) -> Once:
        asks = fingerprint({"asked": list(asked)})
        return self.store.commits.submit(lambda work: once(work, key, asks, effect))


def reserved(connection: Connection, found: Reservation) -> dict[str, Any]:
    """Return what is answered about a reservation; it names nobody."""
    return {
        "reservation_id": found.reservation_id,
        "coupon_id": found.coupon_id,
        "campaign_id": found.campaign_id,
        "decision_id": found.decision_id,
        "code": found.code,
        "liability": found.liability,
        "currency": _currency(connection, found),
        "expires_at": moment_of(found.expires_at).isoformat(),
        "standing": found.standing.value,
    }


def redeemed(connection: Connection, found: Redemption) -> dict[str, Any]:
    """Return what is answered about a redemption."""
    held = reservation(connection, found.reservation_id)
    return {
        "reservation_id": found.reservation_id,
        "coupon_id": held.coupon_id,
        "campaign_id": held.campaign_id,
        "order_id": found.order_id,
        "currency": _currency(connection, held),
        "amount": found.amount,
        "taken_back": found.taken_back,
        "within_budget": bool(found.within_budget),
        "standing": held.standing.value,
        "redeemed_at": moment_of(found.redeemed_at).isoformat(),
        "lines": [
            {
                "line_id": line.line_id,
                "amount": line.amount,
                "quantity": line.quantity / 1000,
                "taken_back": line.taken_back,
                "returned": line.returned / 1000,
            }
            for line in found.lines
        ],
    }


def _kept(work: Work, asked: Asked, customer: str, name: str) -> Reservation:
    if asked.seconds is None:
        found = assign(work, asked.coupon_id, customer, asked.decision_id)
    else:
        until = work.now + asked.seconds * 1_000_000
        hold = Hold(name, asked.coupon_id, customer, asked.decision_id, asked.liability, until)
        found = reserve(work, hold)
    if isinstance(found, Refusal):
        raise found.error()
    return found


def _deliver(work: Work, source: Source, found: Sequence[Delivery]) -> int:
    """Record orders and what waits for them, and refunds; return how many redemptions it concerns."""
    return sum(
        _paid(work, source, one) if isinstance(one, Paid) else _refunded(work, source, one) for one in found
    )


def _paid(work: Work, source: Source, found: Paid) -> int:
    order = found.order_id
    over = cancelled(work, source.value, order)
    revived = bool(over) and found.at > over
    told = [
        Told(_new(), use.code, found.customer, order, found.currency, use.lines, revived=revived, at=found.at)
        for use in found.uses
    ]
    used = [made for one in told if (made := happened(work, one)) is not None]
    for event_id, document in waiting(work, source.value, order) if used else ():
        refund = Refunded.read(event_id, order, document)
        if not (refund.cancelled and refund.at and found.at > refund.at):
            _refunded(work, source, refund)
    return len(used)


def _refunded(work: Work, source: Source, found: Refunded) -> int:
    """Give back what a refund concerns, once for its identifier; what is gone already is not given twice."""
    event = (source.value, found.event_id, found.order_id, found.document())
    concerned = redemptions_of(work.connection, found.order_id)
    if not concerned:
        wait(work, *event)
    elif settle(work, *event):
        for one in concerned:
            if found.cancelled:
                if _is_over(work, one, found):
                    roll_back(work, one.reservation_id, None)
            else:
                units = _units(one, found)
                _ = give_back(work, one.reservation_id, units) if units else None
    return len(concerned)


def _is_over(work: Work, of: Redemption, found: Refunded) -> bool:
    """Return whether a cancellation ends it: it stands, and was not paid for later than that."""
    held = reservation(work.connection, of.reservation_id)
    rows = history(work.connection, of.reservation_id)
    paid = max((str(row.content.get("at", "")) for row in rows if row.kind == "redeemed"), default="")
    return held.standing is not Standing.UNDONE and not (found.at and paid > found.at)


def _units(of: Redemption, found: Refunded) -> dict[str, int]:
    """Return how much of each line comes back; of a refund without lines, its share of all of them."""
    left = {line.line_id: line.quantity - line.returned for line in of.lines}
    if found.units:
        return {name: min(count, left[name]) for name, count in found.units.items() if name in left}
    part, whole = found.share
    return {line.line_id: min(line.quantity * part // whole, left[line.line_id]) for line in of.lines}


def _of_code(work: Work, code: str) -> str:
    found = reservation_of_code(work.connection, code)
    if found is None:
        raise UnknownCoupon(f"There is no code {code}.", todo="Take it from the pool's export.")
    return found.reservation_id


def _currency(connection: Connection, of: Reservation) -> str:
    found = campaign(connection, of.campaign_id)
    return "" if found is None else found.currency


def _new() -> str:
    return secrets.token_hex(16)


def _codes(count: int) -> dict[str, str]:
    made = dict[str, None]()
    while len(made) < count:
        made["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))] = None
    return {_new(): code for code in made}
