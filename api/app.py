"""The application: feature folders, problems, access log and request identifiers put together."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Collection
from importlib import metadata
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.approvals.routes import rounds
from api.approvals.routes import router as approvals
from api.approvals.service import Approvals
from api.bodies import BodyLimit
from api.coupons.pace import Pace
from api.coupons.routes import routers as offers
from api.coupons.service import Coupons
from api.customer_key import CustomerKey
from api.desk.routes import router as pages
from api.desk.service import Pages
from api.health.routes import router as health
from api.price_history.routes import router as price_history
from api.prices.routes import policies
from api.prices.routes import router as prices
from api.prices.service import Desk
from api.problems import MEDIA_TYPE, answer_error, problem_schemas
from api.readiness import Readiness
from api.redemptions.routes import routers as redemptions
from api.redemptions.service import Redemptions
from api.redemptions.signatures import InboundSecrets
from policies.serve.coupon_shelf import CouponShelf
from pricing.errors import TarifaError

__all__ = ["LOGGED", "AccessLog", "approvals_of", "create_app", "pages_of"]

LOGGED = ("request_id", "method", "route", "status", "milliseconds")
"""Everything that the access log may hold. Paths, queries, headers and bodies are never logged."""

_SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class _Application(FastAPI):
    """FastAPI whose description gives problems the media type that they are sent with."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 description."""
        if self.openapi_schema:
            return self.openapi_schema
        schema = super().openapi()
        for path in schema["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    if status >= "400":
                        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
                        response["content"] = {MEDIA_TYPE: problem}
        named = schema["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            named.pop(name, None)
        schema["components"]["schemas"] = dict(sorted((named | problem_schemas()).items()))
        return schema


def create_app(
    open_desk: Callable[[], Desk],
    hosts: Collection[str] = (),
    key: CustomerKey = CustomerKey(),  # noqa: B008 - it cannot be changed
    secrets: InboundSecrets = InboundSecrets(),  # noqa: B008 - the same
    shelf: CouponShelf | None = None,
) -> FastAPI:
    """Compose the service.

    Parameters
    ----------
    open_desk
        Loads the run and opens the store; called in the background as the service starts.
    hosts
        Names under which it may be called; empty: any. On a loopback address this keeps web pages out that
        point a name of their own at it (DNS rebinding).
    key
        Of customers' pseudonyms; without one no request may name a customer.
    secrets
        What platforms sign their webhooks with; one without a secret is not listened to.
    shelf
        What offers are decided by; None where no coupons are served.
    """

    async def addressed(request: Request) -> None:  # nothing blocks here: no thread need be waited for
        if hosts and request.url.hostname not in hosts:
            raise HTTPException(421, f"This service is not called {request.url.hostname}.")

    pace = None if shelf is None else Pace(shelf)

    def coupons_of(desk: Desk) -> Coupons | None:
        return None if pace is None else Coupons(desk.store, key, pace)

    def opened() -> Desk:
        _lay_out(app)
        desk = open_desk()
        coupons = coupons_of(desk)
        if coupons is not None:
            coupons.put_up()
        return desk

    readiness = Readiness(opened)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        readiness.start()
        yield

    app = _Application(
        title="Tarifa",
        version=metadata.version("tarifa"),
        summary="Guarded price recommendations, recorded before they are answered.",
        lifespan=lifespan,
        redirect_slashes=False,
        dependencies=[Depends(addressed)],
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.readiness = readiness
    app.state.approvals = approvals_of
    app.state.pages = pages_of

    def redemptions_of(desk: Desk) -> Redemptions:
        return Redemptions(desk.store, key, secrets)

    app.state.redemptions = redemptions_of
    app.state.coupons = coupons_of
    for router in (prices, policies, rounds, approvals, price_history, *redemptions, *offers):
        app.include_router(router)
    for router in (health, pages):
        app.include_router(router)
    for kind in (TarifaError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_error)
    app.add_middleware(BodyLimit)
    app.add_middleware(AccessLog)
    return app


def _lay_out(app: FastAPI) -> None:
    """Look for a path that there is not: FastAPI lays routes out as the first request passes them by."""
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "root_path": "", "app": app}
    for route in app.routes:
        route.matches(scope)


def approvals_of(desk: Desk) -> Approvals:
    """Return the approvals of what a desk decides."""
    return Approvals(desk, desk.shelf.corridor.approvals)


def pages_of(desk: Desk) -> Pages:
    """Return what the pages stand on: the same approvals, and the same desk, as the API."""
    return Pages(approvals_of(desk), desk)


class AccessLog:
    """Pure ASGI: give every request an identifier, and log one line of allow-listed fields for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger("tarifa.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, start, status = _request_id(scope), time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "")
            took = round((time.perf_counter() - start) * 1000, 1)
            values = (request_id, scope["method"], route, status, took)
            self._log.info("request", **dict(zip(LOGGED, values, strict=True)))


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SAFE_ID.fullmatch(value):
            return str(value.decode())
    return uuid.uuid4().hex
