"""The route of past prices. It is a plain function: reading blocks, so threads do it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime

from api.access import Reading
from api.bodies import JsonRoute
from api.price_history.schemas import PriorPriceInfo
from api.price_history.service import prior_at
from api.problems import PROBLEMS
from api.readiness import Readiness

__all__ = ["router"]

router = APIRouter(prefix="/v1/prices", tags=["prices"], responses=PROBLEMS, route_class=JsonRoute)


@router.get("/{product_id:path}/prior", summary="Read the prior price of a reduction")
def read_prior_price(
    request: Request,
    product_id: Annotated[str, Path(max_length=200)],
    _actor: Reading,
    at: Annotated[AwareDatetime, Query(description="When the reduction is announced, with its time zone.")],
    zone: Annotated[str | None, Query(max_length=200, description="Needed where there are several.")] = None,
) -> PriorPriceInfo:
    """Read the lowest price of the 30 days before a reduction, from what was published and imported."""
    readiness: Readiness[Any] = request.app.state.readiness
    return PriorPriceInfo.of(prior_at(readiness.require().store.database, product_id, zone, at))
