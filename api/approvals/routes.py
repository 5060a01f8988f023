"""Routes of approvals. They are plain functions: reading and recording block, so threads do it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from api.access import Reading, Reviewing
from api.approvals.schemas import (
    BulkDone,
    BulkRequest,
    BulkReview,
    OfferRequest,
    PreviewInfo,
    PriceJudged,
    ProposalDetail,
    ProposalPage,
    ReviewRequest,
    RoundInfo,
    State,
)
from api.approvals.service import Approvals
from api.bodies import JsonRoute
from api.problems import CONDITIONAL, PROBLEMS
from api.readers import Reader
from api.readiness import Readiness
from api.reviewed import Read
from api.storage.reviews import Wanted

__all__ = ["rounds", "router"]

rounds = APIRouter(prefix="/v1/rounds", tags=["approvals"], responses=PROBLEMS, route_class=JsonRoute)
router = APIRouter(prefix="/v1/approvals", tags=["approvals"], responses=PROBLEMS, route_class=JsonRoute)

DecisionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Name = Annotated[str | None, Query(max_length=200)]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=100, description="ETag of the proposal that was looked at."),
]


def approvals(request: Request) -> Approvals:
    """Return the approvals of what is served; raises where nothing is yet."""
    readiness: Readiness[Any] = request.app.state.readiness
    found: Approvals = request.app.state.approvals(readiness.require())
    return found


Reviewer = Annotated[Approvals, Depends(approvals)]


@rounds.post("", summary="Put a joint decision up for review")
def offer_round(asked: OfferRequest, serving: Reviewer, actor: Reviewing) -> RoundInfo:
    """Record the whole joint decision of a policy and put it up; the same decision is put up once.

    What the shop's corridor approves is approved at once. Earlier rounds can no longer be reviewed.
    """
    return RoundInfo.of(serving.offer(asked.policy, actor.name))


@rounds.get("/current", summary="Read the round that counts")
def read_round(serving: Reviewer, _actor: Reading) -> RoundInfo:
    """Read what is up for review."""
    return RoundInfo.of(serving.current())


@router.get("", summary="List proposals and where they stand")
def list_proposals(
    serving: Reviewer,
    told: Reader,
    _actor: Reading,
    state: Annotated[list[State] | None, Query()] = None,
    zone: Name = None,
    category: Name = None,
    identified_by: Name = None,
    binding_guardrail: Name = None,
    search: Annotated[
        str | None, Query(max_length=200, description="Part of a price group or of its name.")
    ] = None,
    sort: Annotated[str, Query(max_length=40, description="What they are sorted by.")] = "profit_change",
    falling: Annotated[bool, Query(description="The largest first.")] = True,  # noqa: FBT002 - a query
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> ProposalPage:
    """List the proposals of the round that counts."""
    wanted = Wanted(tuple(state or ()), zone, category, identified_by, binding_guardrail, search)
    found = serving.listed(wanted, sort=sort, falling=falling, start=start, limit=limit)
    return ProposalPage.of(found, told)


@router.post("/preview", summary="Preview a review of many proposals")
def preview(asked: BulkReview, serving: Reviewer, actor: Reviewing) -> PreviewInfo:
    """Say what it would do, and record nothing."""
    return PreviewInfo.of(serving.preview(asked.selection.wanted(), asked.review(actor.name)))


@router.post("/bulk", summary="Review many proposals as previewed", responses=CONDITIONAL)
def carry_out(asked: BulkRequest, serving: Reviewer, actor: Reviewing) -> BulkDone:
    """Do what was previewed, all of it or nothing; refused if any of the proposals has changed since."""
    return BulkDone.of(serving.carry_out(asked.selection.wanted(), asked.review(actor.name), asked.etag))


@router.get("/{decision_id}", summary="Read one proposal and its reviews")
def read_proposal(
    decision_id: DecisionId, serving: Reviewer, told: Reader, response: Response, _actor: Reading
) -> ProposalDetail:
    """Read one proposal; its ETag is what a review has to send as If-Match."""
    return _detail(serving.read(decision_id), told, response)


@router.get("/{decision_id}/price", summary="Judge a price of your own", responses=CONDITIONAL)
def judge_price(
    decision_id: DecisionId,
    serving: Reviewer,
    _actor: Reading,
    price: Annotated[int, Query(ge=1, le=10**12, description="Regular shelf price, minor units.")],
) -> PriceJudged:
    """Say what a price of your own would bring, and which rules it breaks; nothing is recorded."""
    return PriceJudged.of(serving.asked(decision_id, price))


@router.post("/{decision_id}", summary="Approve, reject, override or withdraw", responses=CONDITIONAL)
def review_proposal(
    decision_id: DecisionId,
    asked: ReviewRequest,
    serving: Reviewer,
    told: Reader,
    response: Response,
    actor: Reviewing,
    seen: IfMatch = None,
) -> ProposalDetail:
    """Review one proposal as it was when its ETag was read; refused if it has changed since."""
    return _detail(serving.review(decision_id, asked.review(actor.name), seen), told, response)


def _detail(found: Read, told: Reader, response: Response) -> ProposalDetail:
    response.headers["ETag"] = f'"{found.row.etag}"'
    return ProposalDetail.of(found, told)
