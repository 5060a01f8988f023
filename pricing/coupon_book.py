"""The coupon book: which coupons a shop has, whose budgets they spend, and what its goods cost.

Everything that a decision about a coupon reads of the shop, as bytes, so that serving opens no table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.archive import content_digest, pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.coupons import Coupon, CouponMenu, Scope, line_floors
from pricing.errors import ArtifactError, DataError, UsageError

__all__ = ["CampaignTerms", "CouponBook", "Goods"]

_KIND, _VERSION = "coupon-book", 1


@dataclass(frozen=True, slots=True)
class CampaignTerms:
    """A campaign, as the table `campaigns` describes it.

    Attributes
    ----------
    campaign_id, kind
        Which one; its type.
    starts, ends
        Seconds since 1970-01-01 UTC, half-open.
    budget
        Most it may cost the shop, minor units; None for no limit of its own.
    """

    campaign_id: str
    kind: str
    starts: int
    ends: int
    budget: int | None


@dataclass(frozen=True, eq=False)
class Goods:
    """P products that lines of a cart may name.

    Attributes
    ----------
    product, category
        P names; products ascending, none twice.
    reducible
        bool [P]; False for prices fixed by law, gift cards, services and fees.
    unit_cost
        float64 [P]; net cost of a unit, minor units; NaN where it is not known.
    cost_assumed
        bool [P]; it is an assumption of the shop file, not a record.
    """

    product: tuple[str, ...]
    category: tuple[str, ...]
    reducible: Bools
    unit_cost: Floats
    cost_assumed: Bools

    def __post_init__(self) -> None:
        count = len(self.product)
        if any(len(getattr(self, field.name)) != count for field in fields(self)):
            raise DataError("The goods of a coupon book are not of one length.")
        if list(self.product) != sorted(set(self.product)):
            raise DataError("The goods of a coupon book must be ascending, none twice.")
        if (self.unit_cost < 0.0).any():
            name = self.product[int(np.argmax(self.unit_cost < 0.0))]
            raise DataError(f"{name} has a negative cost.", todo="Correct it in the costs table.")

    def rows(self, product: Sequence[str]) -> Ints:
        """Return the row of each product, int64 [L]; -1 for one that the shop did not tell of."""
        return np.array([self._place.get(name, -1) for name in product], dtype=np.int64)

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {name: row for row, name in enumerate(self.product)}


@dataclass(frozen=True, eq=False)
class CouponBook:
    """A shop's coupons, campaigns and goods.

    Attributes
    ----------
    coupons, campaigns
        In ascending order of their names; a coupon without a campaign spends no budget, and has the name of
        none.
    goods
        What may lie in a cart.
    zones
        Names of the shop's zones, their tax as a share of the net price, and whether shelf prices hold it.
    fee_share, fee_unit
        Fees as a share of the gross price, and a unit in minor units.
    currency
        ISO 4217.
    as_of, fingerprint
        ISO date of the first day that was not read; of the data.
    """

    coupons: tuple[Coupon, ...]
    campaigns: tuple[CampaignTerms, ...]
    goods: Goods
    zones: tuple[tuple[str, float, bool], ...]
    fee_share: float
    fee_unit: int
    currency: str
    as_of: str
    fingerprint: str

    def __post_init__(self) -> None:
        known = {campaign.campaign_id for campaign in self.campaigns} | {""}
        lost = [coupon for coupon in self.coupons if coupon.campaign_id not in known]
        if lost:
            raise DataError(
                f"Coupon {lost[0].coupon_id} belongs to campaign {lost[0].campaign_id}, which is not known.",
                todo="Add it to the campaigns table.",
            )
        shared = [one.coupon_id for one in self.coupons if not one.campaign_id and one.coupon_id in known]
        if shared:
            raise DataError(
                f"Coupon {shared[0]} belongs to no campaign and has the name of one.",
                why="What a coupon without a campaign costs is counted under its own name: it would spend "
                "that campaign's budget.",
                todo="Give the coupon another name, or fill its campaign_id in the coupons table.",
            )

    @cached_property
    def menu(self) -> CouponMenu:
        """The offers: no coupon, then every coupon."""
        return CouponMenu.of(self.coupons)

    @cached_property
    def payers(self) -> tuple[tuple[str, ...], Ints]:
        """The campaigns that pay for coupons, ascending, and which of them pays for each, int64 [K - 1]."""
        names = tuple(sorted({coupon.campaign_id for coupon in self.coupons}))
        place = [names.index(coupon.campaign_id) for coupon in self.coupons]
        return names, np.array(place, dtype=np.int64)

    def tax(self, zone: str) -> tuple[float, bool]:
        """Return the tax of a zone as a share of the net price, and whether its shelf prices hold it.

        Raises
        ------
        UsageError
            If the shop has no such zone.
        """
        for name, rate, included in self.zones:
            if name == zone:
                return rate, included
        names = ", ".join(name for name, _, _ in self.zones)
        raise UsageError(f"The shop has no zone {zone!r}.", todo=f"Name one of its own: {names}.")

    def floors(self, product: Sequence[str], quantity: Floats, zone: str, margin: float) -> Ints:
        """Return the least gross amount of each line, int64 [L]; -1 where its cost is not known.

        Parameters
        ----------
        product, quantity
            L names and float64 [L] units.
        zone
            Where it is bought: whose tax counts.
        margin
            Least net profit as a share of the net price.

        Raises
        ------
        UsageError
            If the shop has no such zone.
        """
        tax, _ = self.tax(zone)
        rows, every = self.goods.rows(product), np.ones(len(product))
        cost = np.where(rows < 0, np.nan, self.goods.unit_cost[rows] if len(self.goods.product) else np.nan)
        return line_floors(
            quantity, cost, every / (1.0 + tax), every * self.fee_share, every * self.fee_unit, margin
        )

    def covered(self, product: Sequence[str]) -> Bools:
        """Return which offers may reduce each of L lines, bool [L, K]; none where it is not known."""
        goods, rows = self.goods, [int(row) for row in self.goods.rows(product)]
        category = ["" if row < 0 else goods.category[row] for row in rows]
        reducible = [row >= 0 and bool(goods.reducible[row]) for row in rows]
        return self.menu.covered(product, category, np.array(reducible, dtype=np.bool_))

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same book gives the same bytes."""
        return pack(_KIND, _VERSION, *self._parts())

    def digest(self) -> str:
        """Return the SHA-256 of everything that it holds."""
        return content_digest(_KIND, _VERSION, *self._parts())

    def _parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
        goods: dict[str, NDArray[Any]] = {
            name: getattr(self.goods, name) for name in ("reducible", "unit_cost", "cost_assumed")
        }
        meta: dict[str, object] = {
            name: getattr(self, name)
            for name in ("fee_share", "fee_unit", "currency", "as_of", "fingerprint")
        }
        meta["coupons"] = [_plain(coupon) for coupon in self.coupons]
        meta["campaigns"] = [asdict(campaign) for campaign in self.campaigns]
        meta["zones"] = [list(zone) for zone in self.zones]
        meta["goods"] = [list(self.goods.product), list(self.goods.category)]
        return goods, meta

    @staticmethod
    def from_bytes(content: bytes) -> CouponBook:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            product, category = (tuple(map(str, names)) for names in meta.pop("goods"))
            named: dict[str, Any] = {
                **meta,
                "coupons": tuple(_coupon(row) for row in meta["coupons"]),
                "campaigns": tuple(CampaignTerms(**row) for row in meta["campaigns"]),
                "zones": tuple((str(name), float(rate), bool(held)) for name, rate, held in meta["zones"]),
            }
            return CouponBook(goods=Goods(product, category, **arrays), **named)
        except (LookupError, TypeError, ValueError, AttributeError, DataError, UsageError) as error:
            raise ArtifactError(
                "This coupon-book archive does not hold what a coupon book is made of.",
                why=f"{type(error).__name__}: {error}.",
                todo="Make it again with `tarifa coupons shelf`.",
            ) from error


def _plain(coupon: Coupon) -> Mapping[str, object]:
    row: dict[str, object] = {field.name: getattr(coupon, field.name) for field in fields(coupon)}
    listed = {name: sorted(getattr(coupon, name)) for name in ("products", "categories")}
    if not coupon.known_only:  # came later: the books of before keep their bytes and digests
        del row["known_only"]
    return {**row, **listed, "scope": coupon.scope.label}


def _coupon(row: dict[str, Any]) -> Coupon:
    listed = {name: frozenset(map(str, row[name])) for name in ("products", "categories")}
    return replace(Coupon("c", amount=1), **{**row, **listed, "scope": Scope[str(row["scope"]).upper()]})
