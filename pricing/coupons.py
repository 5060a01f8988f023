"""Coupons as nouns: what may be offered, what lies in a cart, and what an offer takes off it, to the cent.

Offer 0 of a menu is always *none*: it costs nothing, breaks no rule and is there for everybody. What a coupon
takes off is one set of pure functions over [lines, offers]; a cart at checkout is a batch of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pricing.arrays import Bools, Codes, Floats, Ints
from pricing.catalogue import NO_LIMIT
from pricing.errors import DataError

__all__ = [
    "NO_COUPON",
    "PARTS",
    "Carts",
    "Coupon",
    "CouponMenu",
    "Reductions",
    "Scope",
    "line_floors",
    "reduce",
]

NO_COUPON = ""
"""Stands for the coupon of offer 0."""

PARTS = 1_000_000
"""A share off is a whole number of millionths: 0.10 is 100,000. Shares of money are never floats."""

_MOST = 10**12
"""Most minor units that a line or a coupon may be worth: a share of it, in millionths, still fits int64."""


class Scope(IntEnum):
    """What a coupon reduces: the lines that it covers, the whole order, or what shipping costs."""

    LINE = 0
    ORDER = 1
    SHIPPING = 2

    @property
    def label(self) -> str:
        """The word of the data contract."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Coupon:
    """One coupon, as the table `coupons` of the data contract describes it. Money is gross, in minor units.

    Attributes
    ----------
    coupon_id, campaign_id
        Its name, and whose budget it spends; "" where no campaign pays.
    scope
        What it reduces.
    amount
        Money off; 0 where `parts` says it.
    parts
        Share off in millionths (:data:`PARTS`); 0 where `amount` says it.
    max_discount
        Most that it takes off; None for no limit beyond what is bought.
    min_spend
        Least that the covered lines must cost, after discounts already applied, from which it holds.
    stacking
        Whether it adds to a coupon that is already applied.
    known_only
        Whether an unknown visitor, which whoever did not agree is too, may not have it.
    limit_total, limit_per_customer
        Redemptions in all, and by one customer; None for no limit.
    valid_from, valid_to
        First second that it holds, and first after; since 1970-01-01 UTC.
    products, categories
        What it covers; both empty covers everything that may be reduced.
    """

    coupon_id: str
    campaign_id: str = ""
    scope: Scope = Scope.ORDER
    amount: int = 0
    parts: int = 0
    max_discount: int | None = None
    min_spend: int = 0
    stacking: bool = False
    limit_total: int | None = None
    limit_per_customer: int | None = None
    valid_from: int = 0
    valid_to: int = int(NO_LIMIT)
    products: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    known_only: bool = False

    def __post_init__(self) -> None:
        fine = (
            (bool(self.coupon_id), "has no coupon_id"),
            ((self.amount > 0) != (self.parts > 0), "takes off neither or both of an amount and a share"),
            (
                0 <= self.amount <= _MOST and 0 <= self.parts <= PARTS,
                "takes off less than 0 or more than all",
            ),
            (self.max_discount is None or self.max_discount > 0, "may take off at most nothing"),
            (0 <= self.min_spend <= _MOST, "has a negative or impossible min_spend"),
            (min(self.limit_total or 1, self.limit_per_customer or 1) > 0, "has a negative limit"),
            (self.valid_from < self.valid_to, "ends before it begins"),
        )
        for holds, wrong in fine:
            if not holds:
                raise DataError(
                    f"Coupon {self.coupon_id or '(without a name)'} {wrong}.",
                    why="What it costs could not be told before it is given.",
                    todo="Correct it in the coupons table.",
                )

    @property
    def liability(self) -> int | None:
        """Most that one redemption can take off, minor units; None where only what is bought limits it."""
        limits = [limit for limit in (self.amount or None, self.max_discount) if limit is not None]
        return min(limits) if limits else None

    def covers(self, product: str, category: str) -> bool:
        """Return whether a line of this product may be reduced by it."""
        named = self.products or self.categories
        return (
            self.scope != Scope.LINE or not named or product in self.products or category in self.categories
        )


@dataclass(frozen=True, slots=True)
class CouponMenu:
    """K offers as arrays; the first is none.

    Attributes
    ----------
    coupons
        The K - 1 coupons behind offers 1, ..., K - 1, in their order.
    amount, parts, max_discount, min_spend, valid_from, valid_to, limit_per_customer
        int64 [K]; see :class:`Coupon`; :data:`pricing.catalogue.NO_LIMIT` for no limit.
    scope
        int8 [K]; :class:`Scope`.
    stacking
        bool [K].
    """

    coupons: tuple[Coupon, ...]
    amount: Ints
    parts: Ints
    max_discount: Ints
    min_spend: Ints
    valid_from: Ints
    valid_to: Ints
    limit_per_customer: Ints
    scope: Codes
    stacking: Bools

    @staticmethod
    def of(coupons: Sequence[Coupon]) -> CouponMenu:
        """Lay out a menu; raises :class:`DataError` where two coupons share a name."""
        names = [coupon.coupon_id for coupon in coupons]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"The menu holds coupon {twice[0]} twice.", todo="Offer each coupon once.")

        def column(none: int, values: Sequence[int | None]) -> Ints:
            return np.array([none, *(NO_LIMIT if v is None else v for v in values)], dtype=np.int64)

        return CouponMenu(
            coupons=tuple(coupons),
            amount=column(0, [c.amount for c in coupons]),
            parts=column(0, [c.parts for c in coupons]),
            max_discount=column(0, [c.max_discount for c in coupons]),
            min_spend=column(0, [c.min_spend for c in coupons]),
            valid_from=column(0, [c.valid_from for c in coupons]),
            valid_to=column(int(NO_LIMIT), [c.valid_to for c in coupons]),
            limit_per_customer=column(int(NO_LIMIT), [c.limit_per_customer for c in coupons]),
            scope=column(int(Scope.ORDER), [int(c.scope) for c in coupons]).astype(np.int8),
            stacking=np.array([True, *(c.stacking for c in coupons)], dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.coupons) + 1

    @property
    def known_only(self) -> Bools:
        """Bool [K]; offers that are not for unknown visitors."""
        return np.array([False, *(coupon.known_only for coupon in self.coupons)], dtype=np.bool_)

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the K offers; :data:`NO_COUPON` first."""
        return (NO_COUPON, *(coupon.coupon_id for coupon in self.coupons))

    def covered(self, product: Sequence[str], category: Sequence[str], reducible: Bools) -> Bools:
        """Return which of L lines each offer reduces, bool [L, K].

        Parameters
        ----------
        product, category
            Of the lines.
        reducible
            bool [L]; False for what no coupon may reduce: prices fixed by law, gift cards, fees.
        """
        out = np.zeros((len(product), len(self)), dtype=np.bool_)
        for place, coupon in enumerate(self.coupons, start=1):
            out[:, place] = [coupon.covers(*line) for line in zip(product, category, strict=True)]
        return out & reducible[:, None]


@dataclass(frozen=True, slots=True)
class Carts:
    """L lines in N carts. Money is gross, in minor units, after the discounts that are already applied.

    Attributes
    ----------
    cart
        int64 [L]; which of the N carts a line lies in.
    gross
        int64 [L]; what the line costs now.
    floor
        int64 [L]; least that it may cost without losing money, see :func:`line_floors`; -1 where the cost is
        not known.
    covered
        bool [L, K]; see :meth:`CouponMenu.covered`.
    shipping
        int64 [N]; what shipping costs.
    shipping_floor
        int64 [N]; least that shipping may cost.
    """

    cart: Ints
    gross: Ints
    floor: Ints
    covered: Bools
    shipping: Ints
    shipping_floor: Ints

    def __post_init__(self) -> None:
        fine = (
            (np.greater_equal(self.cart, 0) & np.less(self.cart, len(self.shipping)), "lies in no cart"),
            (
                np.greater_equal(self.gross, 0) & np.less_equal(self.gross, _MOST),
                "costs less than 0, or too much",
            ),
        )
        for holds, wrong in fine:
            if not holds.all():
                raise DataError(
                    f"Line {int(np.argmin(holds))} of the carts {wrong}.",
                    why="What a coupon takes off it could not be told.",
                    todo="Send what lines cost after the discounts already applied, in minor units.",
                )


@dataclass(frozen=True, slots=True)
class Reductions:
    """What each offer would take off each cart.

    Attributes
    ----------
    by_line
        int64 [L, K]; off the lines, adding up to `total` unless it is shipping that is reduced.
    total
        int64 [N, K]; off the cart; 0 in column 0.
    spend
        int64 [N, K]; what the lines that an offer covers cost: what `min_spend` is compared with.
    below_floor
        bool [N, K]; a line, or shipping, that is reduced would end below its floor.
    floor_unknown
        bool [N, K]; a line that is reduced has no known cost.
    """

    by_line: Ints
    total: Ints
    spend: Ints
    below_floor: Bools
    floor_unknown: Bools


def reduce(carts: Carts, menu: CouponMenu) -> Reductions:
    """Work out what every offer would take off every cart, exactly.

    A share is rounded half up on the sum of the lines covered; no offer takes off more than they cost, nor
    more than its `max_discount`. The amount is split pro rata by largest remainder, the earlier
    line first where remainders are equal, as :func:`pricing.money.apportion` does.
    """
    count, shipped = len(carts.shipping), np.equal(menu.scope, int(Scope.SHIPPING))
    weight = np.where(carts.covered, carts.gross[:, None], 0)
    spend = np.zeros((count, len(menu)), dtype=np.int64)
    np.add.at(spend, carts.cart, weight)
    base = np.where(shipped, carts.shipping[:, None], spend)
    asked = menu.amount + (base * menu.parts + PARTS // 2) // PARTS
    total = np.minimum(np.minimum(asked, menu.max_discount), base)
    by_line = _split(carts.cart, weight, np.where(shipped, 0, total), spend)
    left, touched = carts.gross[:, None] - by_line, by_line > 0
    known = carts.floor >= 0
    freight = shipped & (total > 0) & (carts.shipping[:, None] - total < carts.shipping_floor[:, None])
    return Reductions(
        by_line=by_line,
        total=total,
        spend=spend,
        below_floor=_any(carts.cart, touched & known[:, None] & (left < carts.floor[:, None]), count)
        | freight,
        floor_unknown=_any(carts.cart, touched & ~known[:, None], count),
    )


def line_floors(
    quantity: Floats, unit_cost: Floats, net_share: Floats, fee_share: Floats, fee_unit: Floats, margin: float
) -> Ints:
    """Return the least gross amount, int64 [L] minor units, at which a line still earns its margin.

    Net price less fees less net cost must be at least `margin` of the net price; the amount is rounded up.

    Parameters
    ----------
    quantity
        float64 [L]; units.
    unit_cost, fee_unit
        float64 [L]; net cost and fees a unit, minor units. NaN where the cost is not known: the floor is -1.
    net_share
        float64 [L]; net price as a share of the gross price: 1 / 1.21 with 21 % tax.
    fee_share
        float64 [L]; fees as a share of the gross price.
    margin
        Least net profit as a share of the net price; the guardrail `margin_floor`.

    Raises
    ------
    DataError
        If fees and margin leave nothing of a price: no amount would be enough.
    """
    kept = net_share * (1.0 - margin) - fee_share
    if not (kept > 0.0).all():
        raise DataError(
            f"Fees and a margin of {margin} leave nothing of a price.", todo="Lower margin_floor or the fees."
        )
    least = np.ceil(quantity * (unit_cost + fee_unit) / kept - 1e-6)
    return np.where(np.isnan(least), -1, np.nan_to_num(least)).astype(np.int64)


def _split(cart: Ints, weight: Ints, total: Ints, spend: Ints) -> Ints:
    """Split `total` [N, K] over lines by `weight` [L, K] whose sums are `spend` [N, K], int64 [L, K]."""
    share, over = total[cart], np.maximum(spend, 1)[cart]
    if int(total.max(initial=0)) * int(weight.max(initial=0)) >= 2**62:  # beyond int64: as Python's integers
        share, weight, over = (values.astype(object) for values in (share, weight, over))
    whole: Ints = (share * weight // over).astype(np.int64)
    rest: Ints = (share * weight % over).astype(np.int64)
    left = total.copy()
    np.subtract.at(left, cart, whole)
    for offer in np.flatnonzero(left.any(axis=0)).tolist():
        order = np.lexsort((-rest[:, offer], cart))
        sorted_cart = cart[order]
        place = np.arange(len(order)) - np.searchsorted(sorted_cart, sorted_cart)
        whole[order, offer] += place < left[sorted_cart, offer]
    return whole


def _any(cart: Ints, flags: Bools, count: int) -> Bools:
    out = np.zeros((count, flags.shape[1]), dtype=np.bool_)
    np.logical_or.at(out, cart, flags)
    return out
