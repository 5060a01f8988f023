"""A server that behaves like WooCommerce's REST API, as far as prices go, and misbehaves when told to."""

from __future__ import annotations

import base64
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY, SECRET = "ck_test", "cs_secret"
_ROOT = "/wp-json/wc/v3/"


class WooServer(ThreadingHTTPServer):
    """Products by number, and what to do to the next calls.

    `trouble` maps a method and path to the ways in which its next calls go wrong, first to last: a status, or
    "drop" (nothing is done and no answer comes), "cut" (it is done and no answer comes), "html" (done,
    answered as a page), "silent" (done, nothing said of the last line), "other" (done at another price).
    """

    daemon_threads = True

    def __init__(self, *products: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.products = {item["id"]: _plain() | item for item in products}
        self.settings = {"woocommerce_currency": "EUR", "woocommerce_prices_include_tax": "yes"}
        self.trouble: dict[str, list[str | int]] = {}
        self.refuses: set[int] = set()
        self.asked: list[str] = []
        self.writes = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def _plain() -> dict[str, Any]:
    return {
        "parent_id": 0, "type": "simple", "sku": "", "regular_price": "", "sale_price": "",
        "date_on_sale_from": None, "date_on_sale_to": None,
    }  # fmt: skip


@contextmanager
def running(*products: dict[str, Any]) -> Iterator[WooServer]:
    server = WooServer(*products)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: WooServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gives it
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        path, asked = url.path.removeprefix(_ROOT), dict(urllib.parse.parse_qsl(url.query))
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        name = f"{self.command} {path}"
        self.server.asked.append(name)
        trouble = self.server.trouble.get(name, [])
        wrong = trouble.pop(0) if trouble else None
        wanted = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            return self._answer(
                401, {"code": "woocommerce_rest_cannot_view", "message": "Sorry, you cannot."}
            )
        if wrong == "drop":
            return self._hang_up()
        if isinstance(wrong, int):
            return self._answer(wrong, {"message": "not now"}, {"Retry-After": "2"} if wrong == 429 else {})
        answer = self._done(path, asked, body, wrong)
        if wrong == "cut":
            return self._hang_up()
        return self._answer(*answer, {}, page=wrong == "html")

    def _done(self, path: str, asked: dict[str, str], body: Any, wrong: object) -> tuple[int, Any]:
        parts = path.split("/")
        if parts[0] == "settings":
            return 200, {"value": self.server.settings[parts[2]]}
        if parts[-1] == "batch":
            items = [self._set(item["id"], item, wrong) for item in body["update"]]
            return 200, {"update": items[:-1] if wrong == "silent" else items}
        number = int(parts[-1]) if parts[-1].isdigit() else None
        if self.command == "PUT":
            found = self._set(int(parts[-1]), body, wrong)
            return (400, found["error"]) if "error" in found else (200, found)
        if number is not None:
            known = self.server.products.get(number)
            return (200, known) if known else (404, {"message": "Invalid ID."})
        return 200, self._listed(parts, asked)

    def _listed(self, parts: list[str], asked: dict[str, str]) -> list[dict[str, Any]]:
        items = list(self.server.products.values())
        if "sku" in asked:
            skus = [*asked["sku"].split(","), asked["sku"]]
            items = [item for item in items if item["sku"] in skus]
        if "include" in asked:
            items = [item for item in items if str(item["id"]) in asked["include"].split(",")]
        if len(parts) == 3:
            items = [item for item in items if item["parent_id"] == int(parts[1])]
        size, page = int(asked["per_page"]), int(asked.get("page", 1))
        return items[(page - 1) * size : page * size]

    def _set(self, number: int, body: dict[str, str], wrong: object) -> dict[str, Any]:
        if number in self.server.refuses:
            return {"id": number, "error": {"code": "invalid", "message": "Invalid\nprice\x1b[31m."}}
        self.server.writes += 1
        item = self.server.products[number]
        item |= {name: body[name] for name in ("regular_price", "sale_price") if name in body}
        if wrong == "other":
            item["regular_price"] = "1.00"
        return dict(item)

    def _answer(
        self, status: int, body: Any, headers: dict[str, str] | None = None, *, page: bool = False
    ) -> None:
        content = b"<html>Notice: undefined</html>" if page else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
