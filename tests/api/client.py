"""Calls the application in this process, through its ASGI face."""

from __future__ import annotations

from typing import Any

import httpx
from anyio.from_thread import BlockingPortal

from api.app import create_app
from api.prices.service import Desk

URL = "/v1/recommendations"


class Client:
    """One caller; `headers` go with each call."""

    def __init__(self, app: Any, portal: BlockingPortal, headers: dict[str, str] | None = None) -> None:
        self.app = app
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://tarifa", headers=headers)
        self._portal = portal

    def call(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self._portal.call(lambda: self._client.request(method, url, **options))

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.call("GET", url, **options)

    def post(self, body: object, url: str = URL, **headers: str) -> httpx.Response:
        return self.call("POST", url, json=body, headers=headers)

    def keyed(self, key: str) -> Client:
        """Return another caller of the same application, with an access key."""
        return Client(self.app, self._portal, {"Authorization": f"Bearer {key}"})


def serving(desk: Desk, portal: BlockingPortal) -> Client:
    app = create_app(lambda: desk)
    app.state.readiness.start()
    app.state.readiness.wait(30)
    return Client(app, portal)


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:tarifa:problem:{code}")
    assert body["title"]
    assert body["detail"]
    return body
