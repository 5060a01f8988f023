"""Routes of recommended prices. They are plain functions: deciding and recording block, so threads do it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import Deciding, Reading
from api.bodies import JsonRoute
from api.idempotency import OptionalKey, say_if_replayed
from api.prices.schemas import (
    Detail,
    Policies,
    PolicyInfo,
    RecommendationPage,
    RecommendationRequest,
    RecommendationResponse,
)
from api.prices.service import Desk
from api.problems import PROBLEMS
from api.readers import Reader
from api.readiness import Readiness
from api.storage.store import Filter

__all__ = ["policies", "router"]

router = APIRouter(prefix="/v1/recommendations", tags=["prices"], responses=PROBLEMS, route_class=JsonRoute)
policies = APIRouter(prefix="/v1/policies", tags=["prices"], responses={503: PROBLEMS[503]})


def desk(request: Request) -> Desk:
    """Return the desk that serves; raises where there is none yet."""
    readiness: Readiness[Desk] = request.app.state.readiness
    return readiness.require()


Serving = Annotated[Desk, Depends(desk)]


@router.post("", summary="Recommend prices")
def recommend_prices(
    asked: RecommendationRequest,
    serving: Serving,
    told: Reader,
    response: Response,
    _actor: Deciding,
    key: OptionalKey = None,
) -> RecommendationResponse:
    """Recommend next period's prices for some price groups, or for all.

    The decision is made over the whole catalogue, because some rules are about all of it; the price groups
    that were asked for are recorded before this answer leaves. Asking again gives the same decisions.
    """
    answer = serving.answer(asked.ask(), key)
    say_if_replayed(response, replayed=answer.replayed)
    return RecommendationResponse.of(answer, told)


@router.get("", summary="List recorded recommendations")
def list_recommendations(
    serving: Serving,
    told: Reader,
    _actor: Reading,
    price_group: Annotated[str | None, Query(max_length=200)] = None,
    zone: Annotated[str | None, Query(max_length=200)] = None,
    run: Annotated[str | None, Query(pattern="^[0-9a-f]{8}$", description="Number of a run.")] = None,
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RecommendationPage:
    """List what was recommended, in the order in which it was recorded."""
    return RecommendationPage.listing(serving.page(Filter(price_group, zone, run), cursor, limit), told)


@router.get("/{decision_id}", summary="Read one recommendation")
def read_recommendation(
    decision_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
    serving: Serving,
    told: Reader,
    _actor: Reading,
) -> Detail:
    """Read one recommendation with its reasons, menu, refused prices and demand curve."""
    stored, run = serving.find(decision_id)
    return Detail.full(stored, run, serving.curve(stored), told)


@policies.get("", summary="List the policies that are served")
def list_policies(serving: Serving, _actor: Reading) -> Policies:
    """List what can be named as `policy`, which of them decides by default, and what each has decided."""
    return Policies(items=[PolicyInfo.of(served) for served in serving.served()])
