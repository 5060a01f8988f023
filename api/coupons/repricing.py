"""From the ledger to shadow prices: what it knows as arrays, and the policy that follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from api.storage.offers_seen import CouponLeft, Lately, lately, record_prices, unhurried
from api.storage.price_marks import instant
from api.storage.store import Store
from policies.allocation.served import Ended, Remaining, Seen, repriced
from policies.serve.coupon_shelf import CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Floats
from pricing.catalogue import NO_LIMIT
from pricing.coupon_rules import CouponRule
from pricing.customers import CUSTOMER_FEATURES

__all__ = ["paced", "read", "record"]

_SECOND = 1_000_000
_FEW = 16
"""Decisions before which nothing is paced."""

_PLANNED = int(CouponRule.NOT_IN_FORCE.bit | CouponRule.BUDGET.bit | CouponRule.LIMIT_TOTAL.bit)
"""Rules that pacing foresees itself; what they stood against was wanted all the same."""

_NAMES = tuple(feature.name for feature in CUSTOMER_FEATURES)


def read(store: Store) -> Lately | None:
    """Return what the ledger knows by now, on a reading connection; None where nothing was decided yet."""
    now = instant(store.database.now())
    with store.database.reading() as connection:
        return lately(connection, now)


def record(store: Store, found: UpliftOffers) -> None:
    """Write down the prices that a version stands for, before anything is decided by it."""
    shadow, told = _by_name(found, found.shadow), found.realised
    slopes = {"own": told.use.own, "others": told.use.others, "money": told.money}
    correction = {"level": _by_name(found, told.use.level), **slopes}
    store.commits.submit(lambda work: record_prices(work, found.version, shadow, correction))


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
    return every[:, policy.columns(_NAMES)]


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
    for m, one in enumerate(unhurried(usable)):
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
