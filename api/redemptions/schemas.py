"""What goes over the wire about coupons that are given and used. Money is in minor units of its campaign."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.named_customer import NamedCustomer
from api.redemptions.service import Asked, CampaignRead, Read
from api.storage.ledger import Campaign, CouponLimits, Line
from api.storage.price_marks import instant, moment_of
from pricing.errors import UsageError
from pricing.money import Currency

__all__ = [
    "CampaignInfo",
    "CampaignRequest",
    "CodesInfo",
    "CodesRequest",
    "CouponInfo",
    "CouponRequest",
    "Event",
    "Heard",
    "LineRequest",
    "RedeemRequest",
    "RedemptionInfo",
    "RedemptionLine",
    "ReservationDetail",
    "ReservationInfo",
    "ReserveRequest",
    "ReturnRequest",
    "RollBackRequest",
    "UsedCode",
    "UsedInfo",
    "UsedRequest",
]

_STRICT = ConfigDict(extra="forbid", strict=True)
_MOST = 10**12

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
Order = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Minor = Annotated[int, Field(ge=0, le=_MOST, description="Minor units.")]
Units = Annotated[float, Field(ge=0.001, le=10**6)]
Moment = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})$",
        max_length=40,
        description="ISO 8601.",
    ),
]


def _instant(text: str, name: str) -> int:
    try:
        return instant(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{name}: {text!r} is no moment.", todo="Write 2026-12-24T00:00:00Z.") from error


class CouponRequest(BaseModel):
    """How often a coupon may be used, and when."""

    model_config = _STRICT

    coupon_id: Name
    code: Name | None = Field(default=None, description="That everybody types; absent: it has none.")
    limit_total: Annotated[int, Field(ge=0, le=10**9)] | None = None
    limit_per_customer: Annotated[int, Field(ge=0, le=10**6)] | None = None
    valid_from: Moment
    valid_to: Moment = Field(description="Exclusive.")


class CampaignRequest(BaseModel):
    """What a campaign may cost, and its coupons."""

    model_config = _STRICT

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    budget: Minor | None = Field(default=None, description="Minor units; absent: no limit of its own.")
    coupons: list[CouponRequest] = Field(default=[], max_length=1000)

    def read(self, campaign_id: str) -> tuple[Campaign, list[CouponLimits]]:
        """Return what the ledger keeps; raises :class:`TarifaError` for what cannot be."""
        currency = Currency.of(self.currency).code
        limits = [
            CouponLimits(
                one.coupon_id,
                campaign_id,
                one.code,
                one.limit_total,
                one.limit_per_customer,
                _instant(one.valid_from, "valid_from"),
                _instant(one.valid_to, "valid_to"),
            )
            for one in self.coupons
        ]
        if len({one.coupon_id for one in limits}) < len(limits):
            raise UsageError("coupons: name each coupon once.")
        return Campaign(campaign_id, currency, self.budget), limits


class CouponInfo(BaseModel):
    """A coupon, its limits, and how much of them is taken."""

    coupon_id: str
    code: str | None
    limit_total: int | None
    limit_per_customer: int | None
    valid_from: str
    valid_to: str
    taken: int = Field(description="Reservations that stand, and redemptions.")


class CampaignInfo(BaseModel):
    """A campaign, and what it has cost."""

    campaign_id: str
    currency: str
    budget: int | None
    held: int = Field(description="For reservations, at the most that they may cost.")
    spent: int = Field(description="On redemptions, less what was taken back.")
    coupons: list[CouponInfo]

    @staticmethod
    def of(found: CampaignRead) -> CampaignInfo:
        """Read a campaign."""
        coupons = [
            CouponInfo(
                coupon_id=one.coupon_id,
                code=one.code,
                limit_total=one.limit_total,
                limit_per_customer=one.limit_per_customer,
                valid_from=moment_of(one.valid_from).isoformat(),
                valid_to=moment_of(one.valid_to).isoformat(),
                taken=one.taken,
            )
            for one in found.coupons
        ]
        money = found.campaign
        return CampaignInfo(
            campaign_id=money.campaign_id,
            currency=money.currency,
            budget=money.budget,
            held=money.held,
            spent=money.spent,
            coupons=coupons,
        )


class ReserveRequest(NamedCustomer):
    """What a place is wanted for; a customer or, where none is known, a session or cart."""

    coupon_id: Name
    decision_id: Id | None = None
    liability: Annotated[int, Field(ge=0, le=_MOST)] = Field(
        default=0, description="The most that it may cost; of no account for a code of a pool."
    )
    seconds: Annotated[int, Field(ge=1, le=366 * 86_400)] | None = Field(
        default=None, description="How long it is kept; absent: a code of the coupon's pool is given."
    )

    def read(self) -> Asked:
        """Return what the service is asked for."""
        return Asked(
            self.coupon_id,
            self.customer_id,
            self.anonymous_id,
            self.decision_id,
            self.liability,
            self.seconds,
        )


class ReservationInfo(BaseModel):
    """A place that is kept."""

    reservation_id: str
    coupon_id: str
    campaign_id: str
    decision_id: str | None
    code: str | None = Field(description="Of its own; null where it needs none.")
    liability: int
    currency: str
    expires_at: str
    standing: str = Field(description="`held`, `redeemed`, `expired`, `released` or `undone`.")


class LineRequest(BaseModel):
    """What a coupon takes off one line."""

    model_config = _STRICT

    line_id: Order
    amount: Minor
    quantity: Units = 1

    def read(self) -> Line:
        """Return what the ledger keeps."""
        return Line(self.line_id, self.amount, max(round(self.quantity * 1000), 1))


class RedeemRequest(BaseModel):
    """A reservation, by name or by its code, and the order it is used on."""

    model_config = _STRICT

    reservation_id: Id | None = None
    code: Name | None = None
    order_id: Order
    lines: list[LineRequest] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.reservation_id is None) == (self.code is None):
            raise ValueError("give either reservation_id or code")
        return self


class _AmountOf(BaseModel):
    model_config = _STRICT

    line_id: Order
    amount: Minor


class _UnitsOf(BaseModel):
    model_config = _STRICT

    line_id: Order
    quantity: Units


class RollBackRequest(BaseModel):
    """What of a redemption never happened."""

    model_config = _STRICT

    lines: list[_AmountOf] | None = Field(
        default=None, max_length=1000, description="Absent: all that is left."
    )

    def read(self) -> Mapping[str, int] | None:
        """Return amounts by line."""
        return None if self.lines is None else _each_once((one.line_id, one.amount) for one in self.lines)


class ReturnRequest(BaseModel):
    """What came back."""

    model_config = _STRICT

    lines: list[_UnitsOf] | None = Field(
        default=None, max_length=1000, description="Absent: all that is left."
    )

    def read(self) -> Mapping[str, int] | None:
        """Return thousandths by line."""
        if self.lines is None:
            return None
        return _each_once((one.line_id, max(round(one.quantity * 1000), 1)) for one in self.lines)


def _each_once(pairs: Any) -> Mapping[str, int]:
    listed: Sequence[tuple[str, int]] = list(pairs)
    found = dict(listed)
    if not found or len(found) < len(listed):
        raise UsageError("lines: name each line once, and at least one.")
    return found


class RedemptionLine(BaseModel):
    """What a coupon took off one line, and what was taken back since."""

    line_id: str
    amount: int
    quantity: float
    taken_back: int
    returned: float


class RedemptionInfo(BaseModel):
    """A redemption."""

    reservation_id: str
    coupon_id: str
    campaign_id: str
    order_id: str
    currency: str
    amount: int
    taken_back: int
    within_budget: bool = Field(description="False: a platform granted it after its place was gone.")
    standing: str
    redeemed_at: str
    lines: list[RedemptionLine]


class Event(BaseModel):
    """Something that happened to a reservation, as it was recorded."""

    seq: int
    kind: str
    recorded_at: str
    content: dict[str, Any]


class ReservationDetail(BaseModel):
    """A reservation, what it was used for, and all that happened to it."""

    reservation: ReservationInfo
    redemption: RedemptionInfo | None
    history: list[Event]

    @staticmethod
    def of(found: Read) -> ReservationDetail:
        """Read everything about a reservation."""
        return ReservationDetail(
            reservation=ReservationInfo(**found.reservation),
            redemption=None if found.redemption is None else RedemptionInfo(**found.redemption),
            history=[
                Event(seq=row.seq, kind=row.kind, recorded_at=row.recorded_at, content=dict(row.content))
                for row in found.history
            ],
        )


class CodesRequest(BaseModel):
    """Codes to make ahead."""

    model_config = _STRICT

    count: Annotated[int, Field(ge=1, le=10_000)]
    liability: Annotated[int, Field(ge=1, le=_MOST)] = Field(description="The most that one may cost.")
    expires_at: Moment = Field(description="From then on the platform must take none; allow for late news.")

    def moment(self) -> int:
        """Return when they run out, UTC microseconds."""
        return _instant(self.expires_at, "expires_at")


class CodesInfo(BaseModel):
    """New codes."""

    coupon_id: str
    codes: list[str]


class UsedCode(BaseModel):
    """A code that a platform took, as it says."""

    model_config = _STRICT

    code: Name
    order_id: Order
    amount: Minor


class UsedRequest(BaseModel):
    """Codes that a platform took."""

    model_config = _STRICT

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    codes: list[UsedCode] = Field(min_length=1, max_length=1000)


class UsedInfo(BaseModel):
    """What was recorded."""

    recorded: int
    unknown: list[str] = Field(description="Codes that are none of ours.")


class Heard(BaseModel):
    """What became of a message."""

    redemptions: int = Field(description="How many it concerned; 0: it waits, or is about nothing of ours.")
    heard: Literal[True] = True
