"""What goes over the wire about past prices. Money is in minor units of `currency`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field

from api.price_history.service import Prior
from api.storage.price_marks import Mark, moment_of
from pricing.prior_price import Known

__all__ = ["PriceMarkInfo", "PriorPriceInfo"]

_Told = Literal["told", "short", "not_offered"]
_KNOWN: Mapping[Known, _Told] = {
    Known.TOLD: "told",
    Known.SHORT: "short",
    Known.NOT_OFFERED: "not_offered",
}


class PriceMarkInfo(BaseModel):
    """From a moment on the product had a price, as one source told."""

    at: dt.datetime
    regular: int | None = Field(description="Before any reduction; null: not offered from here on.")
    offered: int | None = Field(description="Really asked; null: not offered from here on.")
    source: Literal["published", "read_back", "imported"]
    reference: str = Field(description="Batch of the publication, or cycle of the import.")
    counts: bool = Field(
        description="False: a raised price that was sent out and not seen yet, or another money."
    )

    @staticmethod
    def of(mark: Mark, *, counts: bool) -> PriceMarkInfo:
        """Write one mark."""
        return PriceMarkInfo(
            at=moment_of(mark.at),
            regular=mark.regular or None,
            offered=mark.offered or None,
            source=mark.source.value,
            reference=mark.reference,
            counts=counts,
        )


class PriorPriceInfo(BaseModel):
    """What a reduction announced at a moment is counted from (Directive 98/6/EC, Article 6a)."""

    product_id: str
    zone: str
    at: dt.datetime
    since: dt.datetime = Field(description="Start of the 30 days before, never fewer.")
    currency: str
    price_basis: str
    time_zone: str = Field(description="On whose clock the days are counted.")
    prior_price: int | None = Field(description="Null where the record does not tell it.")
    lowest: int | None = Field(
        description="Lowest recorded price of the 30 days: the prior price is at most this."
    )
    known: _Told = Field(
        description="short: the record does not reach 30 days back; not_offered: not on sale within them."
    )
    marks: list[PriceMarkInfo]

    @staticmethod
    def of(prior: Prior) -> PriorPriceInfo:
        """Write an answer."""
        return PriorPriceInfo(
            product_id=prior.product_id,
            zone=prior.zone,
            at=prior.at,
            since=prior.since,
            currency=prior.currency,
            price_basis=prior.basis,
            time_zone=prior.time_zone,
            prior_price=prior.price,
            lowest=prior.lowest,
            known=_KNOWN[prior.known],
            marks=[PriceMarkInfo.of(mark, counts=counts) for mark, counts in prior.marks],
        )
