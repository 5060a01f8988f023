"""Routes of coupons given and used. They are plain functions: recording blocks, so threads do it."""

from __future__ import annotations

import csv
import io
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from api.access import Minting, Reading, Redeeming
from api.bodies import Body, JsonRoute
from api.idempotency import Key, say_if_replayed
from api.problems import CONFLICT, PROBLEMS
from api.readiness import Readiness
from api.redemptions.schemas import (
    CampaignInfo,
    CampaignRequest,
    CodesInfo,
    CodesRequest,
    Heard,
    RedeemRequest,
    RedemptionInfo,
    ReservationDetail,
    ReservationInfo,
    ReserveRequest,
    ReturnRequest,
    RollBackRequest,
    UsedInfo,
    UsedRequest,
)
from api.redemptions.service import Redemptions
from api.redemptions.signatures import Source
from api.storage.ledger_audit import Once

__all__ = ["routers"]

_ALL = PROBLEMS | CONFLICT
_PING = re.compile(rb"webhook_id=[0-9]{1,20}")
"""What WooCommerce sends, unsigned, when a webhook is made."""

campaigns = APIRouter(prefix="/v1/campaigns", tags=["coupons"], responses=PROBLEMS, route_class=JsonRoute)
reservations = APIRouter(prefix="/v1/reservations", tags=["coupons"], responses=_ALL, route_class=JsonRoute)
redemptions = APIRouter(prefix="/v1/redemptions", tags=["coupons"], responses=_ALL, route_class=JsonRoute)
codes = APIRouter(prefix="/v1/codes", tags=["coupons"], responses=_ALL, route_class=JsonRoute)
webhooks = APIRouter(prefix="/v1/webhooks", tags=["coupons"], responses=_ALL)
routers = (campaigns, reservations, redemptions, codes, webhooks)

Name = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


async def service(request: Request) -> Redemptions:
    """Return what records; raises where nothing is served yet."""
    readiness: Readiness[Any] = request.app.state.readiness
    found: Redemptions = request.app.state.redemptions(readiness.require())
    return found


Recording = Annotated[Redemptions, Depends(service)]


@campaigns.put("/{campaign_id}", summary="Make or change a campaign and its coupons")
def put_campaign(
    campaign_id: Name, asked: CampaignRequest, recording: Recording, _actor: Minting
) -> CampaignInfo:
    """Set budget and limits; what is held and spent stays, and so do coupons that are not named."""
    return CampaignInfo.of(recording.put(*asked.read(campaign_id)))


@campaigns.get("/{campaign_id}", summary="Read a campaign and what it has cost")
def read_campaign(campaign_id: Name, recording: Recording, _actor: Reading) -> CampaignInfo:
    """Read a campaign; what has run out by now is given back first."""
    return CampaignInfo.of(recording.read_campaign(campaign_id))


@reservations.post("", summary="Keep a place for one use of a coupon")
def reserve(
    asked: ReserveRequest, recording: Recording, response: Response, _actor: Redeeming, key: Key
) -> ReservationInfo:
    """Keep a place, if the budget and every limit allow it; until it runs out nobody else gets it."""
    return ReservationInfo(**_once(recording.reserve(asked.read(), key), response))


@reservations.get("/{reservation_id}", summary="Read a reservation, and what became of it")
def read_reservation(reservation_id: Id, recording: Recording, _actor: Reading) -> ReservationDetail:
    """Read a reservation, its redemption, and all that was recorded of it."""
    return ReservationDetail.of(recording.read(reservation_id))


@reservations.post("/{reservation_id}/release", summary="Give a place back before it runs out")
def release(
    reservation_id: Id, recording: Recording, response: Response, _actor: Redeeming, key: Key
) -> ReservationInfo:
    """Give a place back; a code cannot be, because its platform would still take it."""
    return ReservationInfo(**_once(recording.release(reservation_id, key), response))


@redemptions.post("", summary="Redeem a reservation on an order")
def redeem(
    asked: RedeemRequest, recording: Recording, response: Response, _actor: Redeeming, key: Key
) -> RedemptionInfo:
    """Use a reservation; what it costs less than was kept for it is free again."""
    lines = [line.read() for line in asked.lines]
    done = recording.redeem(asked.reservation_id, asked.code, asked.order_id, lines, key)
    return RedemptionInfo(**_once(done, response))


@redemptions.post("/{reservation_id}/roll-back", summary="Undo a redemption, or part of it")
def roll_back(
    reservation_id: Id,
    asked: RollBackRequest,
    recording: Recording,
    response: Response,
    _actor: Redeeming,
    key: Key,
) -> RedemptionInfo:
    """Undo what never happened; where nothing is left of it, its place is given back too."""
    return RedemptionInfo(**_once(recording.roll_back(reservation_id, asked.read(), key), response))


@redemptions.post("/{reservation_id}/return", summary="Count goods that came back")
def give_back(
    reservation_id: Id,
    asked: ReturnRequest,
    recording: Recording,
    response: Response,
    _actor: Redeeming,
    key: Key,
) -> RedemptionInfo:
    """Give the campaign back what the coupon took off these goods; it stays used."""
    return RedemptionInfo(**_once(recording.give_back(reservation_id, asked.read(), key), response))


@codes.post("/used", summary="Record codes that a platform took")
def mark_used(asked: UsedRequest, recording: Recording, _actor: Redeeming) -> UsedInfo:
    """Record each once for its order and coupon; they are facts, so no limit refuses them."""
    used = [(one.code, one.order_id, one.amount) for one in asked.codes]
    unknown = recording.mark_used(asked.currency, used)
    return UsedInfo(recorded=len(used) - len(unknown), unknown=list(unknown))


@codes.post("/{coupon_id}", summary="Make codes ahead for a platform that cannot ask")
def mint(
    coupon_id: Name,
    asked: CodesRequest,
    recording: Recording,
    response: Response,
    _actor: Minting,
    key: Key,
) -> CodesInfo:
    """Make codes, each for one use; all of them together must fit into the budget and the limit on uses."""
    done = recording.mint(coupon_id, asked.count, asked.liability, asked.moment(), key)
    return CodesInfo(**_once(done, response))


@codes.get(
    "/{coupon_id}",
    summary="Export the codes of a coupon as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "One code a row, with its standing."}},
)
def export(coupon_id: Name, recording: Recording, _actor: Minting) -> Response:
    """Export every code with its standing and whether somebody was given it."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(("code", "standing", "given", "reservation_id"))
    for one in recording.pool(coupon_id):
        given = "yes" if one.holder is not None else "no"
        rows.writerow((one.code, one.standing.value, given, one.reservation_id))
    return Response(out.getvalue().encode(), media_type="text/csv; charset=utf-8")


@webhooks.post("/{source}", summary="Hear what a platform tells of orders")
def hear(source: Source, request: Request, said: Body, recording: Recording) -> Heard:
    """Record paid orders as redemptions and refunds as returns; told twice or late, they count once.

    Nobody is let in by a key here: the platform signs what it sends, and what is not signed is refused.
    """
    if source is Source.WOOCOMMERCE and _PING.fullmatch(said):
        return Heard(redemptions=0)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Heard(redemptions=recording.deliver(source, headers, said))


def _once(done: Once, response: Response) -> dict[str, Any]:
    say_if_replayed(response, replayed=done.replayed)
    return dict(done.answer)
