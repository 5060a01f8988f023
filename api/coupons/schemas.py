"""What goes over the wire about offers. Money is in minor units of the shop's currency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.coupons.service import OfferAsked
from api.named_customer import NamedCustomer
from api.storage.offers import Offered
from api.texts import Texts
from policies.serve.coupon_shelf import Cart, CartLine
from pricing.coupon_rules import CouponRule

__all__ = ["CartLineRequest", "LineDiscount", "MenuEntry", "OfferDetail", "OfferInfo", "OfferRequest"]

_STRICT = ConfigDict(extra="forbid", strict=True)
_MOST = 10**12

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Minor = Annotated[int, Field(ge=0, le=_MOST)]


class CartLineRequest(BaseModel):
    """One line of the cart as the customer sees it."""

    model_config = _STRICT

    line_id: Name
    product_id: Name
    quantity: Annotated[float, Field(gt=0, le=10**6)] = 1.0
    shelf_price: Minor = Field(description="Of one unit, as shown; minor units.")
    discount: Minor = Field(default=0, description="Taken off the line already, in all; minor units.")


class OfferRequest(NamedCustomer):
    """A cart, and whose it is: a customer or, where none is known, a session."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "c-1001",
                    "zone": "es",
                    "lines": [{"line_id": "1", "product_id": "A", "quantity": 2, "shelf_price": 1250}],
                }
            ]
        },
    )

    zone: Name
    lines: list[CartLineRequest] = Field(min_length=1, max_length=500)
    shipping: Minor = Field(default=0, description="What shipping costs the customer.")
    shipping_cost: Minor = Field(
        default=0, description="The least that it may cost, for coupons on shipping."
    )
    coupon_applied: bool = Field(default=False, description="A coupon is applied to the cart already.")
    opted_out: bool = Field(
        default=False, description="The customer wants no personal offers; so does a Sec-GPC header of 1."
    )

    def read(self, *, signalled: bool) -> OfferAsked:
        """Return what the service is asked; `signalled` says that the browser sent an opt-out."""
        lines = tuple(CartLine(**line.model_dump()) for line in self.lines)
        cart = Cart(lines, self.zone, self.shipping, self.shipping_cost, self.coupon_applied)
        return OfferAsked(self.customer_id, self.anonymous_id, cart, self.opted_out or signalled)


class LineDiscount(BaseModel):
    """What the coupon takes off one line."""

    line_id: str
    discount: int = Field(description="Minor units, gross.")


class OfferInfo(BaseModel):
    """The offer for a cart; no coupon is an answer too."""

    decision_id: str = Field(description="Identifier; read it again under it.")
    coupon_id: str | None = Field(description="Null for no coupon.")
    discount: int = Field(description="Minor units, gross.")
    currency: str = Field(description="ISO 4217.")
    lines: list[LineDiscount] = Field(description="What comes off each line; adds up unless it is shipping.")
    reservation_id: str | None = Field(description="What `POST /v1/redemptions` redeems.")
    expires_at: str | None = Field(description="From then on the money is no longer kept.")
    reason: str = Field(description="`worth_it`, `not_worth_it`, or the rule that stood against it (code).")
    personalised: bool = Field(description="Personal data were read: say so where the law asks for it.")
    prices_checked: bool = Field(description="Every price of the cart was compared with the shelf's.")

    @staticmethod
    def of(answer: Mapping[str, Any]) -> OfferInfo:
        """Read the answer that was recorded."""
        return OfferInfo(**answer)


class MenuEntry(BaseModel):
    """One offer that could have been made."""

    coupon_id: str | None = Field(description="Null for no coupon.")
    discount: int
    allowed: bool
    rejected_by: list[str] = Field(description="Rules that it breaks, the strongest first (codes).")
    probability: float


class OfferDetail(BaseModel):
    """Why an offer was made: what could have been, which rules stood against what, and with what chance."""

    decision_id: str
    coupon_id: str | None
    recorded_at: str
    menu: list[MenuEntry]
    binding_rule: str | None
    propensity: float
    policy: str
    policy_version: str
    model_fingerprint: str
    personalised: bool
    reasons: list[str] = Field(
        description="Why, in sentences for the customer, in the language that Accept-Language asks for."
    )
    known: list[float] | None = Field(
        description="What was known of the customer, in the order of docs/coupons.md; null once erased."
    )

    @staticmethod
    def of(found: Offered, texts: Texts) -> OfferDetail:
        """Read a recorded offer, for a reader of these texts."""
        told = found.content
        rows = zip(
            *(told[name] for name in ("menu", "discounts", "allowed", "rejections", "probabilities")),
            strict=True,
        )
        menu = [
            MenuEntry(
                coupon_id=name or None,
                discount=discount,
                allowed=allowed,
                rejected_by=[rule.label for rule in CouponRule if bits >> rule.value & 1],
                probability=probability,
            )
            for name, discount, allowed, bits, probability in rows
        ]
        same = ("propensity", "policy", "policy_version", "model_fingerprint", "personalised")
        return OfferDetail(
            decision_id=found.decision_id,
            coupon_id=found.coupon_id,
            recorded_at=found.recorded_at,
            menu=menu,
            binding_rule=told["binding"],
            reasons=_reasons(found, texts),
            known=None if found.subject is None else found.subject["features"],
            **{name: told[name] for name in same},
        )


def _reasons(found: Offered, texts: Texts) -> list[str]:
    """Return why an offer was made or not, whether chance had a part, and what was read, as sentences."""
    told = found.content
    code = "worth_it" if found.coupon_id is not None else told["binding"] or "not_worth_it"
    said = [texts.text("offer_reason", code)]
    if (chance := float(told["propensity"])) < 1.0:
        said.append(texts.text("offer_reason", "chance", share=texts.percent(chance)))
    said.append(texts.text("offer_reason", "personal" if told["personalised"] else "impersonal"))
    return said
