"""From a cart to a recorded offer: decided, its money kept and written down in one commit, then answered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from api.coupons.pace import Pace, warn
from api.customer_key import CustomerKey
from api.storage import offers, price_marks
from api.storage.ledger import Campaign, CouponLimits, holder_of
from api.storage.ledger_audit import Once, Work, fingerprint, once
from api.storage.ledger_reserve import Hold, Refusal, expire, reserve
from api.storage.offers import Offered
from api.storage.price_marks import moment_of
from api.storage.store import Store
from policies.serve.coupon_shelf import Cart, CouponShelf, Decided, Left
from pricing.arrays import Ints
from pricing.catalogue import NO_LIMIT
from pricing.coupon_decision import CouponDecision
from pricing.errors import ConflictError, TarifaError
from pricing.randomness import label_hash

__all__ = ["Coupons", "OfferAsked"]

_SECOND, _DAY = 1_000_000, 86_400_000_000
_FOREVER = 2**53
_TOGETHER = 8
"""Carts of a batch that one commit holds: at a checkout nobody waits for more of them than that."""

_Effect = Callable[[Work], tuple[Once, int]]
"""What is carried out in the one writer: an answer, and when (UTC microseconds)."""


@dataclass(frozen=True, slots=True)
class OfferAsked:
    """What a shop asks at checkout.

    Attributes
    ----------
    customer_id, anonymous_id
        One of them, as the shop knows them.
    cart
        What is about to be bought.
    opted_out
        The customer refuses personal offers now (a Global Privacy Control signal counts).
    """

    customer_id: str | None
    anonymous_id: str | None
    cart: Cart
    opted_out: bool


@dataclass(frozen=True, slots=True)
class Coupons:
    """What decides offers and records them.

    Attributes
    ----------
    store
        Where they are recorded.
    key
        Of customers' pseudonyms.
    pace
        What decides, at the shadow prices of now.
    """

    store: Store
    key: CustomerKey
    pace: Pace

    @property
    def shelf(self) -> CouponShelf:
        """What decides."""
        return self.pace.shelf

    def put_up(self) -> None:
        """Tell the ledger of the book's campaigns and limits, and take up the pace that it says.

        What was given and spent stays as it is. What every decision needs once, the digests that it names
        among it, is made here: no request waits for it, the one writer in its hands. What keeps the shelf
        from deciding is logged.

        Raises
        ------
        UsageError
            If the ledger counts a coupon, or a campaign of its name, as somebody else's.
        """
        book = self.shelf.book
        budgets = {campaign.campaign_id: campaign.budget for campaign in book.campaigns}
        by_campaign: dict[str, list[CouponLimits]] = {}
        for c in book.coupons:
            name = c.campaign_id or c.coupon_id
            ends = min(c.valid_to, _FOREVER // _SECOND) * _SECOND
            limits = (c.limit_total, c.limit_per_customer, c.valid_from * _SECOND, ends)
            by_campaign.setdefault(name, []).append(CouponLimits(c.coupon_id, name, None, *limits))

        def effect(work: Work) -> None:
            for name, coupons in sorted(by_campaign.items()):
                if name not in budgets:  # a coupon without a campaign
                    offers.require_own(work, name)
                offers.put_up(work, Campaign(name, book.currency, budgets.get(name)), coupons)

        self.store.commits.submit(effect)
        self.pace.replan(self.store)
        try:
            self.shelf.rehearse()
        except TarifaError as error:  # whoever asks is told, and prices are served all the same
            warn("offers not rehearsed", error)
        _ = self.pace.policy.version

    def offer(self, asked: OfferAsked, key: str) -> Once:
        """Decide, keep the money and record; the same key gives the same answer and keeps nothing twice.

        Raises
        ------
        UsageError
            If nobody is named, the shop has no such zone, or the key came with another request before.
        ConflictError
            If a price in the cart is not the one on the shelf.
        """
        return self._noted(*self.store.commits.submit(self._effect(asked, key)))

    def offer_each(self, asked: Sequence[tuple[OfferAsked, str]]) -> Iterator[Once | TarifaError]:
        """Decide for some carts, each under its own key, in their order; what refuses one harms no other.

        They become durable some at a time, so that a whole batch is not a commit a cart, and who asks at a
        checkout meanwhile does not wait for all of it.
        """
        for some in (asked[start : start + _TOGETHER] for start in range(0, len(asked), _TOGETHER)):
            yield from self._together(some)

    def _together(self, asked: Sequence[tuple[OfferAsked, str]]) -> Iterator[Once | TarifaError]:
        wanted, refused = dict[int, _Effect](), dict[int, TarifaError]()
        for place, (one, key) in enumerate(asked):
            try:
                wanted[place] = self._effect(one, key)
            except TarifaError as error:
                refused[place] = error
        try:
            made = dict(zip(wanted, self.store.commits.submit_all(list(wanted.values())), strict=True))
        except TarifaError as error:
            made, refused = {}, dict.fromkeys(wanted, error) | refused
        for place in range(len(asked)):
            try:
                yield refused[place] if place in refused else self._noted(*made[place].result())
            except TarifaError as error:
                yield error

    def _noted(self, answer: Once, at: int) -> Once:
        if not answer.replayed:
            self.pace.noted(self.store, at)
        return answer

    def _effect(self, asked: OfferAsked, key: str) -> _Effect:
        """Return what decides and records in the one writer; raises where nobody is named."""
        customer = self.key.whom(asked.customer_id, asked.anonymous_id)
        cart = asked.cart
        given = {"customer": customer, "opted_out": asked.opted_out, "cart": asdict(cart)}
        asks = fingerprint(given)

        def effect(work: Work) -> Mapping[str, object]:
            checked = _require_prices(work, cart, self._basis(cart.zone))
            return self._decide(work, asked, customer, key, checked=checked)

        return lambda work: (once(work, key, asks, effect), work.now)

    def find(self, decision_id: str) -> Offered:
        """Return a recorded offer; raises :class:`UnknownCoupon` where there is none."""
        with self.store.database.reading() as connection:
            return offers.find(connection, decision_id)

    def _basis(self, zone: str) -> str:
        return "gross" if self.shelf.book.tax(zone)[1] else "net"

    def _decide(
        self, work: Work, asked: OfferAsked, customer: str, key: str, *, checked: bool
    ) -> Mapping[str, object]:
        holder = holder_of(work, customer)
        while expire(work):
            pass
        decided = self.shelf.decide(
            asked.cart,
            self._left(work, holder),
            customer=customer,
            key=label_hash("holder", str(holder)),
            at=work.now // _SECOND,
            run=label_hash("request", key) & 0xFFFFFFFF,
            opted_out=asked.opted_out,
            policy=self.pace.policy,
        )
        record = decided.decisions.record(0, 0)
        hold = self._hold(record, customer, work.now) if record.coupon is not None else None
        if hold is not None:
            kept = reserve(work, hold)
            if isinstance(kept, Refusal):
                raise kept.error()
        made = _offered(record, hold, anonymous=asked.customer_id is None)
        offers.keep(work, made, holder)
        return self._answer(asked.cart, record, decided, hold, checked=checked)

    def _left(self, work: Work, holder: int) -> Left:
        settings, menu = self.shelf.settings, self.shelf.book.menu.ids
        standing = offers.standings(work, holder)

        def column(values: Mapping[str, int | None], none: int) -> Ints:
            told = [values.get(name) for name in menu[1:]]
            limits = [int(NO_LIMIT) if value is None else value for value in told]
            return np.array([none, *limits], dtype=np.int64)

        used = np.array([0, *(standing.used.get(name, 0) for name in menu[1:])], dtype=np.int64)
        since = work.now - settings.frequency_days * _DAY
        return Left(
            column(standing.budget, int(NO_LIMIT)),
            column(standing.uses, int(NO_LIMIT)),
            used,
            offers.recent(work, holder, since),
        )

    def _hold(self, record: CouponDecision, customer: str, now: int) -> Hold:
        name = hashlib.sha256(f"reservation {record.decision_id}".encode()).hexdigest()[:32]
        expires = now + self.shelf.reservation_seconds * _SECOND
        return Hold(name, record.coupon or "", customer, record.decision_id, record.discount, expires)

    def _answer(
        self, cart: Cart, record: CouponDecision, decided: Decided, hold: Hold | None, *, checked: bool
    ) -> dict[str, object]:
        off = decided.by_line().tolist()
        lines = [{"line_id": x.line_id, "discount": int(d)} for x, d in zip(cart.lines, off, strict=True)]
        return {
            "decision_id": record.decision_id,
            "coupon_id": record.coupon,
            "discount": record.discount,
            "currency": self.shelf.book.currency,
            "lines": lines if record.coupon is not None else [],
            "reservation_id": None if hold is None else hold.reservation_id,
            "expires_at": None if hold is None else moment_of(hold.expires_at).isoformat(),
            "reason": _reason(record),
            "personalised": record.personalised,
            "prices_checked": checked,
        }


def _require_prices(work: Work, cart: Cart, basis: str) -> bool:
    """Compare a cart with the prices that the shop is known to ask; return whether all of them are known.

    Raises
    ------
    ConflictError
        If one differs: whoever filled the cart saw a price that is no longer asked.
    """
    every = True
    for place, line in enumerate(cart.lines):
        mark = price_marks.newest(work.connection, line.product_id, cart.zone)
        if mark is None or mark.basis != basis or mark.at > work.now or not mark.offered:
            every = False
        elif mark.offered != line.shelf_price:
            raise ConflictError(
                f"lines/{place}: {line.product_id} is shown at {line.shelf_price} and costs {mark.offered}.",
                why="An offer on a price that is no longer asked would promise something else.",
                todo="Show the customer the price as it is now, and ask again.",
            )
    return every


def _offered(record: CouponDecision, hold: Hold | None, *, anonymous: bool) -> Offered:
    """Return what is recorded: what was known of the customer apart from everything else."""
    content: dict[str, Any] = {field.name: getattr(record, field.name) for field in fields(record)}
    features = content.pop("features")
    content["binding"] = None if record.binding is None else record.binding.label
    name = None if hold is None else hold.reservation_id
    known = {"features": list(features), "anonymous": anonymous}
    return Offered(record.decision_id, record.coupon, name, content, known, "")


def _reason(record: CouponDecision) -> str:
    """Return why it is this offer, as a code: it is worth it, a rule stands against it, or nothing is."""
    if record.coupon is not None:
        return "worth_it"
    return "not_worth_it" if record.binding is None else record.binding.label
