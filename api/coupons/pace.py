"""The pace of campaigns: the shelf's policy at the shadow prices that the ledger says.

They follow from the record alone (:mod:`policies.allocation.served`), so nothing is lost when a service ends,
and several services on one store come to the same ones. They are found in a thread of their own, on a reading
connection; until they are, the ones before decide.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import structlog

from api.storage.offers_seen import CouponLeft, Lately, lately, record_prices
from api.storage.store import Store
from policies.allocation.served import Ended, Remaining, Seen, repriced
from policies.serve.coupon_shelf import CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Floats
from pricing.catalogue import NO_LIMIT
from pricing.coupon_rules import CouponRule
from pricing.customers import CUSTOMER_FEATURES
from pricing.errors import TarifaError

__all__ = ["Pace", "Starts", "in_background", "paced"]

_SECOND = 1_000_000
_REST = 5 * _SECOND
"""Microseconds between two plans at least: a plan takes some tenths of a second of a processor."""

_FEW = 16
"""Decisions before which nothing is paced."""

_PLANNED = sum(1 << rule for rule in (CouponRule.NOT_IN_FORCE, CouponRule.BUDGET, CouponRule.LIMIT_TOTAL))
"""Rules that pacing foresees itself; what they stood against was wanted all the same."""

Starts = Callable[[Callable[[], None]], None]
"""Carries out a plan."""

_NAMES = tuple(feature.name for feature in CUSTOMER_FEATURES)


def in_background(work: Callable[[], None]) -> None:
    """Carry out something in a thread that nobody waits for."""
    threading.Thread(target=work, name="pacing", daemon=True).start()


class Pace:
    """Holds the policy that decides now, and has it found anew after so many decisions or so long.

    At first that is each time that twice as many have come, so that a campaign is paced from its beginning.

    Parameters
    ----------
    shelf
        What is served.
    start
        Carries out a plan: in a thread of its own, or at once.
    """

    def __init__(self, shelf: CouponShelf, start: Starts = in_background) -> None:
        self.shelf, self._start = shelf, start
        self._policy = shelf.policy
        self._guard, self._planning = threading.Lock(), False
        self._count, self._at, self._enough = 0, -1, min(_FEW, shelf.replan_decisions)

    @property
    def policy(self) -> UpliftOffers:
        """What decides now."""
        return self._policy

    def noted(self, store: Store, at: int) -> None:
        """Count a decision made at `at` (UTC microseconds); have prices found anew where it is time."""
        with self._guard:
            self._count += 1
            self._at = at if self._at < 0 else self._at
            rested = at - self._at
            due = self._count >= self._enough or rested >= self.shelf.replan_seconds * _SECOND
            if self._planning or not due or rested < _REST:
                return
            self._planning, self._count, self._at = True, 0, at
        self._start(lambda: self._plan(store))

    def replan(self, store: Store) -> None:
        """Find prices anew; raises :class:`TarifaError` where the store cannot be read or written."""
        with store.database.reading() as connection:
            known = lately(connection)
        if known is None:
            return
        found = paced(self.shelf, known)
        if found.version != self._policy.version and found.shadow.any():
            told, factor = _by_name(found, found.shadow), _by_name(found, found.scale)
            store.commits.submit(lambda work: record_prices(work, found.version, told, factor))
        self._policy = found
        with self._guard:
            self._count, self._at = 0, known.at
            self._enough = min(max(_FEW, known.count), self.shelf.replan_decisions)

    def _plan(self, store: Store) -> None:
        try:
            self.replan(store)
        except TarifaError as error:  # the prices before go on deciding, within every limit
            structlog.get_logger("tarifa.pacing").warning("not paced", code=error.code, why=error.what)
        finally:
            with self._guard:
                self._planning = False


def paced(shelf: CouponShelf, known: Lately) -> UpliftOffers:
    """Return the shelf's policy at the prices that the ledger says.

    What has no end is not paced, and neither is what nothing limits. As long as hardly anybody came, nothing
    tells how many will. A campaign that has not begun has its prices already: those who come before it tell.
    """
    seen = _seen(shelf, known)
    if known.count < _FEW or known.at <= known.since:
        return shelf.policy
    return repriced(shelf.policy, seen, _ended(shelf.policy, known), _limits(shelf, known, len(seen)))


def _limits(shelf: CouponShelf, known: Lately, seen: int) -> list[Remaining]:
    """Return the budgets and caps that are to last until their campaign or coupon ends."""
    a_second = (known.count - 1) / (known.at - known.since) * _SECOND
    now, found = known.at // _SECOND, list[Remaining]()
    for left, (begins, ends), coupons, counts in _lasting(shelf, known):
        offers = np.isin(np.array(shelf.policy.model.offers), [coupon.coupon_id for coupon in coupons])
        if left is not None and now < ends < NO_LIMIT and offers.any():
            held = _held(shelf.policy, coupons, counts=counts)
            coming = a_second * (ends - max(now, begins))
            found.append(Remaining(float(left), offers, held, seen / coming, counts))
    return found


def _lasting(
    shelf: CouponShelf, known: Lately
) -> Iterator[tuple[int | None, tuple[int, int], Sequence[CouponLeft], bool]]:
    """Yield what each campaign and coupon has left, from when to when, by which coupons, in uses or money."""
    terms = {campaign.campaign_id: (campaign.starts, campaign.ends) for campaign in shelf.book.campaigns}
    windows = {coupon.coupon_id: (coupon.valid_from, coupon.valid_to) for coupon in shelf.book.coupons}
    own = [coupon for coupon in known.left if coupon.coupon_id in windows]
    for name in sorted({coupon.campaign_id for coupon in own} & terms.keys()):
        every = [coupon for coupon in known.left if coupon.campaign_id == name]
        budget = every[0].budget
        yield None if budget is None else budget - sum(x.other for x in every), terms[name], every, False
    for coupon in own:
        yield coupon.uses, windows[coupon.coupon_id], [coupon], True


def _held(policy: UpliftOffers, coupons: Sequence[CouponLeft], *, counts: bool) -> Floats:
    out = {coupon.coupon_id: coupon.offered_count if counts else coupon.offered for coupon in coupons}
    return np.array([out.get(name, 0) for name in policy.model.offers], dtype=np.float64)


def _columns(policy: UpliftOffers, rows: Sequence[tuple[float, ...]]) -> Floats:
    """Return what the policy reads of customers, float64 [M, F]."""
    every = np.array(rows, dtype=np.float64).reshape(len(rows), len(_NAMES))
    return every[:, [_NAMES.index(name) for name in policy.reads]]


def _seen(shelf: CouponShelf, known: Lately) -> Seen:
    """Return who came lately, oldest first, as the model's offers see them."""
    policy, at = shelf.policy, known.at // _SECOND
    over = {coupon.coupon_id for coupon in shelf.book.coupons if coupon.valid_to <= at}
    place = {
        coupon.coupon_id: policy.model.offers.index(coupon.coupon_id)
        for coupon in shelf.book.coupons
        if coupon.coupon_id in policy.model.offers
    }
    usable = [one for one in reversed(known.seen) if len(one.features) == len(_NAMES)]
    discount = np.zeros((len(usable), len(policy.model.offers)), dtype=np.int64)
    open_ = np.zeros(discount.shape, dtype=np.bool_)
    open_[:, 0] = True
    for m, one in enumerate(usable):
        for name, off, bits in zip(one.menu, one.discounts, one.rejections, strict=True):
            k = place.get(name, 0)
            if k:
                discount[m, k] = off
                open_[m, k] = not bits & ~_PLANNED and name not in over
    return Seen(_columns(policy, [one.features for one in usable]), discount, open_)


def _ended(policy: UpliftOffers, known: Lately) -> Ended:
    offers = policy.model.offers
    some = [x for x in known.ended if x.coupon_id in offers and len(x.features) == len(_NAMES)]
    return Ended(
        _columns(policy, [one.features for one in some]),
        np.array([offers.index(one.coupon_id) for one in some], dtype=np.int64),
        np.array([one.liability for one in some], dtype=np.int64),
        np.array([one.spent for one in some], dtype=np.int64),
    )


def _by_name(policy: UpliftOffers, values: Floats) -> dict[str, float]:
    return dict(zip(policy.model.offers[1:], values[1:].tolist(), strict=True))
