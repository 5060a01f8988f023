"""Routes of the pages. They are plain functions: reading and recording block, so threads do it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from api.access import COOKIE, Reading, Reviewing, require_own_page, who
from api.desk.assets import KEPT, assets, web_folder
from api.desk.forms import Asked, Form, form, price_of
from api.desk.knows import knows_view
from api.desk.page import LANGUAGE_COOKIE, PageRoute, answer, going, in_place, told
from api.desk.product import own_price, product_view
from api.desk.service import (
    SHOWN,
    Pages,
    Scale,
    counts_view,
    list_view,
    preview_view,
    row_views,
    scale_of,
    waiting,
)
from api.desk.starts import starts_of, starts_told
from api.readiness import Readiness
from api.readiness_page import readiness_told
from api.storage.keys import any_key
from api.storage.reviews import Wanted
from api.texts import LANGUAGES
from pricing.errors import AccessError, StaleError, UnknownProduct
from pricing.money import Currency

__all__ = ["router"]

router = APIRouter(
    prefix="/desk",
    route_class=PageRoute,
    include_in_schema=False,
    dependencies=[Depends(require_own_page)],
)

_MONTH = 30 * 24 * 3600
_LANGUAGE_KEPT = 365 * 24 * 3600

DecisionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
ComeBack = Annotated[str, Query(alias="next", max_length=2000)]
Sent = Annotated[Form, Depends(form)]


def pages(request: Request) -> Pages:
    """Return the services behind the pages; raises where nothing is served yet."""
    readiness: Readiness[Any] = request.app.state.readiness
    found: Pages = request.app.state.pages(readiness.require())
    return found


Standing = Annotated[Pages, Depends(pages)]


def _signed(serving: Pages) -> bool:
    """Return whether keys were made here: then there is something to sign out of."""
    with serving.serving.store.database.reading() as connection:
        return any_key(connection)


@router.get("")
def show_list(request: Request, serving: Standing, actor: Reading) -> Response:
    """Show what is up for review."""
    asked, words = Asked.of(request.url.query), told(request)
    values: dict[str, Any] = {"actor": actor, "signed": _signed(serving), "here": "list"}
    try:
        asked = asked if request.url.query else waiting(serving)
        found = list_view(serving, asked, actor, words)
    except UnknownProduct:
        return answer(request, "empty.html", **values)
    return answer(request, "list.html", view=found, said="", **values)


@router.get("/list")
def show_rows(request: Request, serving: Standing, actor: Reading) -> Response:
    """Show the list anew, within the page."""
    asked = Asked.of(request.url.query)
    return _list(request, serving, actor, asked, "")


def _list(request: Request, serving: Pages, actor: Reading, asked: Asked, said: str) -> Response:
    found = list_view(serving, asked, actor, told(request))
    response = answer(request, "rows.html", view=found, actor=actor, said=said)
    query = asked.query(start=asked.start)
    response.headers["Desk-Address"] = f"/desk?{query}" if query else "/desk"
    return response


@router.post("/rounds")
def offer(request: Request, serving: Standing, actor: Reviewing) -> Response:
    """Put the newest decision up for review."""
    serving.reviewing.offer(None, actor.name)
    return going(request, "/desk")


@router.get("/proposals/{decision_id}/panel")
def show_panel(decision_id: DecisionId, request: Request, serving: Standing, actor: Reading) -> Response:
    """Show what can be done with one proposal, under its row."""
    read, now = serving.reviewing.read(decision_id), serving.reviewing.current()
    found = product_view(serving, read, now, actor, told(request))
    return answer(request, "panel.html", view=found, row=found.row)


@router.get("/proposals/{decision_id}/price")
def judge(
    decision_id: DecisionId, request: Request, serving: Standing, _actor: Reading, price: str = ""
) -> Response:
    """Say what a price of one's own would bring, and which rules it breaks."""
    if not price.strip():
        return answer(request, "own.html", own=None)
    currency = _currency(serving)
    found = serving.reviewing.asked(decision_id, price_of(price[:40], currency))
    return answer(request, "own.html", own=own_price(found, currency.code, told(request)))


@router.post("/proposals/{decision_id}")
def review(
    decision_id: DecisionId, request: Request, serving: Standing, actor: Reviewing, sent: Sent
) -> Response:
    """Do something with one proposal; where it has changed since, say so and show what is there now."""
    asked = sent.review(actor.name, _currency(serving), _starts(serving))
    stale = False
    try:
        read = serving.reviewing.review(decision_id, asked, sent.one("etag") or None)
    except StaleError:
        read, stale = serving.reviewing.read(decision_id), True
    if not in_place(request) and not stale:
        return going(request, f"/desk/products/{decision_id}")
    if sent.one("place") == "product" or not in_place(request):
        return _product(request, serving, actor, decision_id, stale=stale)
    now, words = serving.reviewing.current(), told(request)
    scale = Scale.parse(sent.one("scale")) or scale_of((read.row,))
    row = row_views(serving, (read.row,), now, actor, words, scale)[0]
    tabs, whole = counts_view(serving, Asked.of(sent.one("query")), words)
    values: dict[str, Any] = {"row": row, "tabs": tabs, "whole": whole, "stale": stale}
    values |= {"gone": read.stale, "actor": actor}
    return answer(request, "row_done.html", status=412 if stale else 200, **values)


@router.post("/bulk/preview")
def preview(request: Request, serving: Standing, actor: Reviewing, sent: Sent) -> Response:
    """Say what a review of many proposals would do."""
    asked, words = sent.review(actor.name, starts=_starts(serving)), told(request)
    found = serving.reviewing.preview(_selection(sent), asked, SHOWN)
    values: dict[str, Any] = {
        "view": preview_view(found, asked.action, words),
        "sent": sent,
        "ids": () if sent.one("scope") == "all" else sent.every("id"),
        "reason": asked.reason,
        "starts": sent.one("starts_at"),
        "begins": starts_told(asked.starts_at, serving.zone, words) if asked.starts_at else "",
    }
    if in_place(request):
        return answer(request, "preview.html", **values)
    values |= {"actor": actor, "signed": _signed(serving), "here": "preview"}
    return answer(request, "preview_page.html", **values)


@router.post("/bulk")
def carry_out(request: Request, serving: Standing, actor: Reviewing, sent: Sent) -> Response:
    """Do with many proposals what was previewed."""
    asked, words = sent.review(actor.name, starts=_starts(serving)), told(request)
    found = serving.reviewing.carry_out(_selection(sent), asked, sent.one("etag"))
    said = words.text("desk", f"done_{asked.action.value}", count=words.number(found.count))
    if not in_place(request):
        return going(request, "/desk")
    return _list(request, serving, actor, Asked.of(sent.one("query")), said)


@router.get("/products/{decision_id}")
def show_product(decision_id: DecisionId, request: Request, serving: Standing, actor: Reading) -> Response:
    """Show everything behind one proposal."""
    return _product(request, serving, actor, decision_id, stale=False)


@router.get("/readiness")
def show_readiness(request: Request, serving: Standing, actor: Reading) -> Response:
    """Show what the run knows."""
    words, check = told(request), serving.serving.past.check
    values: dict[str, Any] = {
        "actor": actor,
        "signed": _signed(serving),
        "here": "readiness",
        "view": knows_view(serving, words),
        "ready": None if check is None else readiness_told(check, words),
        "rt": partial(words.text, "readiness"),
        "ct": partial(words.text, "check"),
    }
    return answer(request, "readiness.html", **values)


@router.get("/sign-in")
def show_sign_in(request: Request, serving: Standing, place: ComeBack = "/desk") -> Response:
    """Ask for an access key; where none was ever made there is nothing to ask for."""
    if not _signed(serving):
        return going(request, "/desk")
    return answer(request, "sign_in.html", next=_own(place), failed=False)


@router.post("/sign-in")
def sign_in(request: Request, serving: Standing, sent: Sent) -> Response:
    """Keep an access key in the browser, where no script and no other site can read it."""
    key, place = sent.one("key"), _own(sent.one("next"))
    try:
        who(serving.serving.store.database, key or None)
    except AccessError:
        return answer(request, "sign_in.html", status=401, next=place, failed=True)
    response = going(request, place)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, key, max_age=_MONTH, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return response


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """Forget the access key."""
    response = going(request, "/desk/sign-in")
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


@router.post("/language")
def choose_language(request: Request, sent: Sent) -> Response:
    """Remember the language of the pages."""
    chosen = sent.one("language")
    response = going(request, _own(sent.one("next")))
    if chosen in LANGUAGES:
        secure = request.url.scheme == "https"
        response.set_cookie(
            LANGUAGE_COOKIE, chosen, max_age=_LANGUAGE_KEPT, httponly=True, samesite="lax", secure=secure
        )
    return response


@router.get("/static/{digest}/{name}")
def show_asset(digest: str, name: str) -> Response:
    """Give a file that the pages load."""
    found = assets(web_folder()).get(name)
    if found is None or found.url != f"/desk/static/{digest}/{name}":
        raise UnknownProduct(f"There is no file {name} of that digest.", todo="Load the page again.")
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": KEPT})


def _product(request: Request, serving: Pages, actor: Reading, decision_id: str, *, stale: bool) -> Response:
    read, now = serving.reviewing.read(decision_id), serving.reviewing.current()
    view = product_view(serving, read, now, actor, told(request))
    name = "product_part.html" if in_place(request) else "product.html"
    values: dict[str, Any] = {
        "view": view,
        "row": view.row,
        "stale": stale,
        "actor": actor,
        "here": "product",
    }
    return answer(request, name, status=412 if stale else 200, signed=_signed(serving), **values)


def _selection(sent: Form) -> Wanted:
    """Return the proposals that were ticked, or all that the list shows."""
    if sent.one("scope") == "all":
        return Asked.of(sent.one("query")).wanted
    return Wanted(decision_ids=tuple(dict.fromkeys(sent.every("id"))))


def _starts(serving: Pages) -> Callable[[str], str | None]:
    """Return what reads when a price may be published: a time of the shop's own clocks."""

    def read(text: str) -> str | None:
        return starts_of(text, serving.reviewing.current().facts, serving.zone) if text else None

    return read


def _currency(serving: Pages) -> Currency:
    return Currency.of(serving.serving.shelf.catalogue.currency)


def _own(place: str) -> str:
    """Return a place within the desk: an address must not send anybody elsewhere."""
    inside = place == "/desk" or place.startswith(("/desk?", "/desk/"))
    return place if inside and not any(ord(letter) < 33 or letter == "\\" for letter in place) else "/desk"
