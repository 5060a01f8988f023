"""Bodies of requests: only JSON, not too long and not too slow; else a problem like any other."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import anyio
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MOST_BYTES", "MOST_SECONDS", "Body", "BodyLimit", "JsonRoute"]

MOST_BYTES = 1 << 20
"""Longest body."""

MOST_SECONDS = 30.0
"""Longest time that a body may take to arrive."""

_JSON = "application/json"


async def _sent(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_sent)]
"""A body as it was sent: signatures are over its bytes, and not all of them are one document of JSON."""


class JsonRoute(APIRoute):
    """A route that says what is wrong where a body comes as anything but JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request, its content type checked before its body is read."""
        handle, reads = super().get_route_handler(), self.body_field is not None

        async def checked(request: Request) -> Response:
            if reads:
                _require_json(request)
            return await handle(request)

        return checked


def _require_json(request: Request) -> None:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise HTTPException(415, f"Content-Encoding: {coding} is not read here; send the body as it is.")
    if found == _JSON or (found.startswith("application/") and found.endswith("+json")):
        return
    said = f"{found[:100]} is not read here" if found else "there is none"
    raise HTTPException(
        415, f"Content-Type: {said}; send JSON, and say so with the header Content-Type: {_JSON}."
    )


class BodyLimit:
    """Pure ASGI: refuse a body that is too long, or that takes too long.

    FastAPI's own limit answers outside of the error handlers, in another format. Bodies are awaited, so a
    slow one holds up nobody else; but each holds a connection.

    Parameters
    ----------
    app
        What answers.
    most
        Bytes.
    seconds
        From the first to the last of them.
    """

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES, seconds: float = MOST_SECONDS) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left = self._most if _announced(scope) <= self._most else -1
        more, until = True, anyio.current_time() + self._seconds

        async def limited() -> Message:
            nonlocal left, more
            if left < 0:
                raise self._too_long()
            if not more:
                return await receive()
            try:
                with anyio.fail_after(until - anyio.current_time()):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"The body took longer than {self._seconds:g} s.") from None
            left -= len(message.get("body", b""))
            more = bool(message.get("more_body", False))
            if left < 0:
                raise self._too_long()
            return message

        await self._app(scope, limited, send)

    def _too_long(self) -> HTTPException:
        return HTTPException(413, f"A request body may have {self._most} bytes.")


def _announced(scope: Scope) -> int:
    """Return the length that the headers announce, 0 where they do not."""
    found = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(found) if found.isdigit() else 0
