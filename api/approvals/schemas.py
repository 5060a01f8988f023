"""What goes over the wire about approvals. Money is in minor units of the round's currency."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.approvals.service import SHOWN
from api.reviewed import Listed, Preview, Read
from api.storage.reviews import ProposalRow, ReviewRow, Round, Wanted
from api.texts import Texts
from policies.serve.asked import PriceAsked
from pricing.approval import Action, Review, ReviewState
from pricing.errors import UsageError
from pricing.guardrails import Rule

__all__ = [
    "BulkDone",
    "BulkRequest",
    "BulkReview",
    "ChangeInfo",
    "OfferRequest",
    "PreviewInfo",
    "PriceJudged",
    "ProposalDetail",
    "ProposalInfo",
    "ProposalPage",
    "RefusedInfo",
    "ReviewInfo",
    "ReviewRequest",
    "RoundInfo",
    "Selection",
]

_STRICT = ConfigDict(extra="forbid", strict=True)

Name = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=1000)]
Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
State = Literal["unchanged", "blocked", "pending", "awaiting_second", "approved", "rejected"]
Moment = Annotated[
    str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})$", max_length=40)
]


class OfferRequest(BaseModel):
    """What is put up for review."""

    model_config = _STRICT

    policy: Name | None = Field(
        default=None, description="One of `GET /v1/policies`; absent: the one the service decides by."
    )


class RoundInfo(BaseModel):
    """One joint decision put up for review."""

    round: int = Field(description="The one with the highest number counts.")
    run: str
    policy: str
    currency: str | None
    valid_from: str | None
    valid_to: str | None
    driven_by_limits: bool
    four_eyes: bool
    automatic_change: float
    offered_by: str
    offered_at: str

    @staticmethod
    def of(found: Round) -> RoundInfo:
        """Read a round."""
        facts = found.facts
        return RoundInfo(
            round=found.number,
            run=found.run,
            policy=facts["policy"],
            currency=facts["currency"],
            valid_from=facts["valid_from"],
            valid_to=facts["valid_to"],
            driven_by_limits=facts["driven_by_limits"],
            four_eyes=found.settings.four_eyes,
            automatic_change=found.settings.automatic_change,
            offered_by=found.offered_by,
            offered_at=found.offered_at,
        )


class ProposalInfo(BaseModel):
    """One proposal and where it stands."""

    decision_id: str
    etag: str = Field(description="Changes with the decision and with every review; send it as If-Match.")
    price_group: str
    zone: str
    category: str
    name: str = Field(description="What people call the product; empty where nobody said.")
    current_price: int
    recommended_price: int | None = Field(description="Null where no price is allowed.")
    change: float = Field(description="Recommended over current price, less 1.")
    profit_change: int
    profit_change_lower: int
    profit_change_upper: int
    probability_of_loss: float
    identified_by: str
    binding_guardrail: str | None
    state: str
    state_text: str = Field(description="The same in the reader's language.")
    price: int | None = Field(description="What may be published; null where nothing may.")
    starts_at: str | None
    approved_by: str
    overridden: bool

    @staticmethod
    def of(row: ProposalRow, texts: Texts) -> ProposalInfo:
        """Read a proposal."""
        return ProposalInfo(
            decision_id=row.decision_id,
            etag=row.etag,
            price_group=row.price_group,
            zone=row.zone,
            category=row.category,
            name=row.name,
            current_price=row.current_price,
            recommended_price=row.recommended_price,
            change=row.change,
            profit_change=row.profit_change,
            profit_change_lower=row.profit_change_lower,
            profit_change_upper=row.profit_change_upper,
            probability_of_loss=row.probability_of_loss,
            identified_by=row.identified_by,
            binding_guardrail=row.binding_guardrail,
            state=row.state,
            state_text=texts.text("review_state", row.state),
            price=row.price,
            starts_at=row.starts_at,
            approved_by=row.approved_by,
            overridden=row.overridden,
        )


class ProposalPage(BaseModel):
    """Proposals of the round that counts."""

    round: RoundInfo
    items: list[ProposalInfo]
    whole: int = Field(description="How many are wanted in all.")
    states: dict[str, int] = Field(description="How many of the round stand where, whatever is wanted.")

    @staticmethod
    def of(found: Listed, texts: Texts) -> ProposalPage:
        """Read a page."""
        items = [ProposalInfo.of(row, texts) for row in found.rows]
        return ProposalPage(
            round=RoundInfo.of(found.round), items=items, whole=found.whole, states=found.states
        )


class ReviewInfo(BaseModel):
    """One review as it was recorded."""

    seq: int
    action: str
    actor: str
    reason: str
    price: int | None
    starts_at: str | None
    accepted_rules: list[str]
    state: str = Field(description="Where the proposal stood after it.")
    recorded_at: str

    @staticmethod
    def of(row: ReviewRow) -> ReviewInfo:
        """Read a review."""
        review = row.review
        return ReviewInfo(
            seq=row.seq,
            action=review.action.value,
            actor=review.actor,
            reason=review.reason,
            price=review.price,
            starts_at=review.starts_at,
            accepted_rules=[rule.label for rule in review.accepted_rules],
            state=row.state.value,
            recorded_at=row.recorded_at,
        )


class ProposalDetail(BaseModel):
    """One proposal with its reviews."""

    proposal: ProposalInfo
    reviews: list[ReviewInfo] = Field(description="The oldest first.")
    stale: bool = Field(description="Something newer was decided: it can no longer be reviewed.")

    @staticmethod
    def of(found: Read, texts: Texts) -> ProposalDetail:
        """Read a proposal."""
        return ProposalDetail(
            proposal=ProposalInfo.of(found.row, texts),
            reviews=[ReviewInfo.of(row) for row in found.reviews],
            stale=found.stale,
        )


class ReviewRequest(BaseModel):
    """What is done with a proposal."""

    model_config = _STRICT

    action: Literal["approve", "reject", "override", "withdraw"]
    reason: Words = Field(default="", description="A rejection and an override need one.")
    price: int | None = Field(
        default=None, ge=1, le=10**12, description="Regular shelf price of an override, minor units."
    )
    starts_at: Moment | None = Field(
        default=None, description="Not published before; absent: as soon as its period begins."
    )
    accepted_rules: list[Name] = Field(
        default=[], max_length=len(Rule), description="Hard rules that an override breaks knowingly (codes)."
    )

    def review(self, actor: str) -> Review:
        """Return the review; raises :class:`UsageError` for a rule that does not exist."""
        rules = {rule.label: rule for rule in Rule}
        unknown = [name for name in self.accepted_rules if name not in rules]
        if unknown:
            raise UsageError(
                f"accepted_rules: there is no rule {unknown[0]!r}.",
                todo=f"Known are {', '.join(rules)}.",
            )
        named = tuple(rules[name] for name in self.accepted_rules)
        return Review(Action(self.action), actor, self.reason, self.price, self.starts_at, named)


class Selection(BaseModel):
    """Which proposals; an absent condition filters nothing."""

    model_config = _STRICT

    states: list[State] = Field(default=[], max_length=len(ReviewState))
    zone: Name | None = None
    category: Name | None = None
    identified_by: Name | None = None
    binding_guardrail: Name | None = None
    search: Name | None = Field(default=None, description="Part of a price group or of its name.")
    decision_ids: list[Id] | None = Field(default=None, max_length=10_000, description="Exactly these.")

    def wanted(self) -> Wanted:
        """Return what the service is asked for."""
        ids = None if self.decision_ids is None else tuple(dict.fromkeys(self.decision_ids))
        return Wanted(
            tuple(self.states),
            self.zone,
            self.category,
            self.identified_by,
            self.binding_guardrail,
            self.search,
            ids,
        )


class BulkReview(BaseModel):
    """What is done with many proposals."""

    model_config = _STRICT

    selection: Selection
    action: Literal["approve", "reject", "withdraw"]
    reason: Words = ""
    starts_at: Moment | None = None

    def review(self, actor: str) -> Review:
        """Return the review."""
        return Review(Action(self.action), actor, self.reason, None, self.starts_at)


class BulkRequest(BulkReview):
    """The same, as it was previewed."""

    etag: str = Field(min_length=1, max_length=64, description="That of the preview.")


class ChangeInfo(BaseModel):
    """One proposal of a preview, and where it would stand."""

    decision_id: str
    price_group: str
    zone: str
    current_price: int
    price: int | None = Field(description="What could be published then; null: nothing.")
    state: str
    profit_change: int


class RefusedInfo(BaseModel):
    """One proposal that it cannot be done with."""

    decision_id: str
    price_group: str
    zone: str
    why: str


class PreviewInfo(BaseModel):
    """What a review of many proposals would do, the largest moves first."""

    round: int
    etag: str
    count: int = Field(description="Proposals that it can be done with.")
    states: dict[str, int] = Field(description="How many would stand where.")
    profit_change: int = Field(description="Sum over these, as expected.")
    changes: list[ChangeInfo] = Field(description=f"The {SHOWN} largest moves.")
    refused_count: int
    refused: list[RefusedInfo] = Field(description=f"The first {SHOWN}.")

    @staticmethod
    def of(found: Preview) -> PreviewInfo:
        """Read a preview."""
        return PreviewInfo(
            round=found.round.number,
            etag=found.etag,
            count=found.count,
            states=found.states,
            profit_change=found.profit_change,
            changes=[
                ChangeInfo(
                    decision_id=row.decision_id,
                    price_group=row.price_group,
                    zone=row.zone,
                    current_price=row.current_price,
                    price=stands.price,
                    state=stands.state.value,
                    profit_change=row.profit_change,
                )
                for row, stands in found.largest
            ],
            refused_count=sum(found.refused.values()),
            refused=[
                RefusedInfo(decision_id=row.decision_id, price_group=row.price_group, zone=row.zone, why=why)
                for row, why in found.kept
            ],
        )


class BulkDone(BaseModel):
    """What was done."""

    round: int
    count: int
    states: dict[str, int]
    refused_count: int

    @staticmethod
    def of(found: Preview) -> BulkDone:
        """Read what was carried out."""
        return BulkDone(
            round=found.round.number,
            count=found.count,
            states=found.states,
            refused_count=sum(found.refused.values()),
        )


class PriceJudged(BaseModel):
    """What a person's own price would bring; intervals are of 90 %."""

    price: int
    broken_rules: list[str] = Field(description="Rules that it breaks (codes), in falling precedence.")
    hard_rules: list[str] = Field(description="Those of them that an override has to name.")
    expected_units: float
    expected_profit: int
    profit_change: int
    profit_change_lower: int
    profit_change_upper: int
    probability_of_loss: float

    @staticmethod
    def of(found: PriceAsked) -> PriceJudged:
        """Read a judgement."""
        return PriceJudged(
            price=found.price,
            broken_rules=[rule.label for rule in found.broken],
            hard_rules=[rule.label for rule in found.broken if rule.hard],
            expected_units=found.expected_units,
            expected_profit=found.expected_profit,
            profit_change=found.profit_change,
            profit_change_lower=found.profit_change_lower,
            profit_change_upper=found.profit_change_upper,
            probability_of_loss=found.probability_of_loss,
        )
