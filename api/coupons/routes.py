"""Routes of offers. They are plain functions: deciding and recording block, so threads do it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import ValidationError

from api.access import Reading, Redeeming
from api.bodies import Body, JsonRoute
from api.coupons.schemas import OfferDetail, OfferInfo, OfferRequest
from api.coupons.service import Coupons, OfferAsked
from api.idempotency import Key, say_if_replayed
from api.problems import CONFLICT, PROBLEMS
from api.readers import Reader
from api.readiness import Readiness
from api.storage.ledger_audit import Once
from pricing.errors import TarifaError, UsageError

__all__ = ["routers"]

_ALL = PROBLEMS | CONFLICT
_MOST_LINES = 10_000

router = APIRouter(prefix="/v1/offers", tags=["coupons"], responses=_ALL, route_class=JsonRoute)
batches = APIRouter(prefix="/v1/offers", tags=["coupons"], responses=_ALL)
routers = (router, batches)

Signal = Annotated[
    str | None, Header(alias="Sec-GPC", description="1: the browser's Global Privacy Control is on.")
]


async def service(request: Request) -> Coupons:
    """Return what decides; raises where nothing is served yet, or no coupons are."""
    readiness: Readiness[Any] = request.app.state.readiness
    found: Coupons | None = request.app.state.coupons(readiness.require())
    if found is None:
        raise UsageError(
            "No coupons are served here.",
            why="The service was started without a coupon shelf.",
            todo="Make one with `tarifa coupons shelf` and start with --coupons.",
        )
    return found


Deciding = Annotated[Coupons, Depends(service)]


@router.post("", summary="Ask which coupon, if any, a cart gets")
def make_offer(
    asked: OfferRequest,
    deciding: Deciding,
    response: Response,
    _actor: Redeeming,
    key: Key,
    signal: Signal = None,
) -> OfferInfo:
    """Decide on a coupon for a cart, keep its money until it expires, and record why.

    A customer who did not agree to personal offers, or opted out, is decided for as an unknown visitor.
    """
    once = deciding.offer(asked.read(signalled=signal == "1"), key)
    say_if_replayed(response, replayed=once.replayed)
    return OfferInfo.of(once.answer)


@batches.post(
    "/batch",
    summary="Ask for many carts at once",
    openapi_extra={"requestBody": {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
def make_offers(content: Body, deciding: Deciding, _actor: Redeeming, key: Key) -> Response:
    """Decide for carts in JSON Lines, one answer or problem a line, in their order.

    Each line is as the body of a single offer. Line n is asked with the key `KEY/n`, so a batch that was cut
    off can be sent again whole.
    """
    lines = content.splitlines()
    if not 0 < len(lines) <= _MOST_LINES:
        raise UsageError(
            f"The batch has {len(lines)} lines.", todo=f"Send 1 to {_MOST_LINES}, each one request in JSON."
        )
    read = [_read(line) for line in lines]
    asked = [(one, f"{key}/{place}") for place, one in enumerate(read) if isinstance(one, OfferAsked)]
    made = deciding.offer_each(asked)
    told = (_told(next(made)) if isinstance(one, OfferAsked) else one for one in read)
    return Response("".join(f"{answer}\n" for answer in told), media_type="application/x-ndjson")


@router.get("/{decision_id}", summary="Read why an offer was made")
def read_offer(
    decision_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
    deciding: Deciding,
    _actor: Reading,
    told: Reader,
) -> OfferDetail:
    """Read an offer with its menu, the rules that stood against others, and the chance that it had."""
    return OfferDetail.of(deciding.find(decision_id), told)


def _read(line: bytes) -> OfferAsked | str:
    """Return what a line asks, or the problem that it has."""
    try:
        return OfferRequest.model_validate_json(line).read(signalled=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = "/".join(map(str, first["loc"]))
        problem = {"code": "validation", "status": 422, "detail": f"{where}: {first['msg']}".lstrip(": ")}
        return json.dumps({"problem": problem})
    except TarifaError as error:
        return _told(error)


def _told(made: Once | TarifaError) -> str:
    """Return the line that answers one."""
    if isinstance(made, Once):
        return OfferInfo.of(made.answer).model_dump_json()
    problem = {"code": made.code, "status": made.status, "detail": made.what}
    return json.dumps({"problem": {**problem, "why": made.why, "todo": made.todo}})
