"""How a page leaves: its template filled in, its language said, and nothing of elsewhere allowed in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from functools import cache, partial
from typing import Any
from urllib.parse import quote

import jinja2
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.access import Actor, Permission
from api.desk.assets import assets, web_folder
from api.texts import LANGUAGES, Texts, negotiate, texts
from pricing.errors import AccessError, BusyError, ForbiddenError, TarifaError

__all__ = ["LANGUAGE_COOKIE", "POLICY", "PageRoute", "answer", "going", "in_place", "render", "told"]

LANGUAGE_COOKIE = "tarifa_language"
"""Name of the cookie that keeps the language somebody chose."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of every page: nothing inline, nothing from elsewhere, in nobody's frame."""

_CODE = re.compile(r"`([^`]+)`")
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language, HX-Request",
}


def told(request: Request) -> Texts:
    """Return the texts of the language that was chosen, else of the one that the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    asked = negotiate(request.headers.get("accept-language"))
    return texts(chosen if chosen in LANGUAGES else asked)


def in_place(request: Request) -> bool:
    """Return whether the answer goes into the page that is open."""
    return request.headers.get("hx-request") == "true"


def render(name: str, language: Texts, **values: Any) -> str:
    """Return a template filled in, with the texts and files that every page needs."""
    return (
        _environment()
        .get_template(f"desk/{name}")
        .render(
            language=language.language,
            t=partial(language.text, "desk"),
            w=partial(language.text, "word"),
            count=language.number,
            files={key: found.url for key, found in assets(web_folder()).items()},
            **values,
        )
    )


def answer(request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page or a part of one, in the reader's language."""
    language = told(request)
    body = render(name, language, path=_path(request), **values)
    return HTMLResponse(body, status, headers={"Content-Language": language.language})


def going(request: Request, place: str) -> Response:
    """Send the browser on to another of our pages."""
    if in_place(request):
        return Response(status_code=204, headers={"HX-Redirect": place})
    return RedirectResponse(place, 303)


class PageRoute(APIRoute):
    """A route whose failures are pages too, and whose answers carry the headers of a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                response = await handle(request)
            except (TarifaError, RequestValidationError) as error:
                response = _failed(request, error)
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return shown


def _failed(request: Request, error: TarifaError | RequestValidationError) -> Response:
    if isinstance(error, AccessError) and not isinstance(error, ForbiddenError):
        return going(request, f"/desk/sign-in?next={quote(_path(request), safe='')}")
    language = told(request)
    if isinstance(error, TarifaError):
        code, status = error.code, error.status
        said = [language.reworded(line) for line in (error.what, error.why, error.todo) if line]
    else:
        code, status, said = "validation", 422, [str(found["msg"]) for found in error.errors()[:3]]
    title = language.text("problem", code)
    if isinstance(error, TarifaError) and not _dressed():
        plain = "\n".join((title, *said))
        return Response(plain, status, media_type="text/plain; charset=utf-8")
    name = "problem_part.html" if in_place(request) else "problem.html"
    response = answer(request, name, status=status, title=title, said=said, busy=isinstance(error, BusyError))
    if in_place(request):
        response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#said", "innerHTML"
    return response


def _dressed() -> bool:
    """Return whether there is anything to show a page with."""
    try:
        assets(web_folder())
    except TarifaError:
        return False
    return True


def _path(request: Request) -> str:
    """Return the page that is open: where to come back to."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}" if request.method == "GET" and not in_place(request) else "/desk"


def _coded(line: str) -> Markup:
    """Return a line with what stands between backticks set as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(line))))  # noqa: S704 - escaped just before


def _reviewer(value: Any) -> bool:
    """Return whether an actor may review: a test for templates."""
    return isinstance(value, Actor) and Permission.REVIEW in value.role.permissions


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("api"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["coded"] = _coded
    made.tests["reviewer"] = _reviewer
    return made
