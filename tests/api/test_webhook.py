"""Signed messages against a real receiver that checks them with the standard's own library."""

from __future__ import annotations

import base64
import datetime as dt
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from api.publishers.changes import LineState, PriceChange, Refusal, undone
from api.publishers.webhook import MESSAGE, WebhookPublisher, WebhookSecret, webhook_publisher
from pricing.errors import SettingsError

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


class Receiver(ThreadingHTTPServer):
    """Sets a price once per message id; `answers` are the statuses of its next answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.prices: dict[str, int] = {}
        self.seen: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.paths: set[str] = set()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gives it
        pass

    def do_POST(self) -> None:
        server = self.server
        server.calls += 1
        server.paths.add(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            told = Webhook(SECRET).verify(body, dict(self.headers.items()))
        except WebhookVerificationError:
            return self._answer(401)
        status = server.answers.pop(0) if server.answers else 204
        if status < 300 and self.headers["webhook-id"] not in server.seen:
            server.seen[self.headers["webhook-id"]] = told
            server.prices[told["data"]["product_id"]] = told["data"]["regular_price"]
        return self._answer(status)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == 301:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def publisher(receiver: Receiver) -> Iterator[WebhookPublisher]:
    address = f"http://127.0.0.1:{receiver.server_address[1]}/prices?shop=1"
    secret = WebhookSecret.of({"TARIFA_WEBHOOK_SECRET": SECRET})
    made = webhook_publisher(
        address, secret, sleep=_at_once, now=lambda: dt.datetime.now(dt.UTC), seconds=2.0
    )
    yield made
    made.calls.client.close()


def _at_once(_: float) -> None:
    pass


def change(product: str, now: int, new: int, **more: Any) -> PriceChange:
    return PriceChange(product, "es", "EUR", "gross", now, new, **more)


ASKED = [change("A", 2904, 3000), change("ñ 🏺", 1000, 1050), change("C", 500, 500), change("D", 500, -1)]
NO_MONEY = PriceChange("A", "es", "XXX", "gross", 1, 2)


def test_messages_are_signed_and_a_second_time_changes_nothing(
    receiver: Receiver, publisher: WebhookPublisher
) -> None:
    assert publisher.preview(ASKED).count(LineState.CHANGE) == 2
    done = publisher.publish(ASKED, key="week-1")
    states = [LineState.PUBLISHED, LineState.PUBLISHED, LineState.UNCHANGED, LineState.FAILED]
    assert [line.state for line in done.lines] == states
    assert receiver.prices == {"A": 3000, "ñ 🏺": 1050}
    told = next(iter(receiver.seen.values()))
    assert told["type"] == MESSAGE
    assert (told["data"]["regular_price_text"], told["data"]["offered_price"]) == ("30.00", None)
    assert receiver.paths == {"/prices?shop=1"}
    receiver.prices.clear()
    assert publisher.publish(ASKED, key="week-1") == done
    assert (receiver.prices, receiver.calls) == ({}, 4)
    publisher.publish(undone(ASKED, done), key="undo")
    assert receiver.prices == {"A": 2904, "ñ 🏺": 1000}
    assert {reading.why for reading in publisher.read_back(ASKED)} == {Refusal.CANNOT_READ}


def test_a_receiver_in_trouble_is_tried_again_with_the_same_id(
    receiver: Receiver, publisher: WebhookPublisher
) -> None:
    receiver.answers = [500, 503, 429, 200]
    assert publisher.publish(ASKED[:1], key="k").count(LineState.PUBLISHED) == 1
    assert (receiver.calls, len(receiver.seen)) == (4, 1)


@pytest.mark.parametrize(("status", "calls"), [(400, 1), (301, 1), (404, 1), (500, 4)])
def test_an_answer_that_is_no_yes_is_a_failed_line(
    receiver: Receiver, publisher: WebhookPublisher, status: int, calls: int
) -> None:
    receiver.answers = [status] * calls
    lines = publisher.publish(ASKED[:2], key="k").lines
    assert [line.state for line in lines] == [LineState.FAILED, LineState.PUBLISHED]
    assert lines[0].detail == f"HTTP {status}"
    assert receiver.calls == calls + 1


def test_a_receiver_that_is_gone_or_dead_gets_no_more(
    receiver: Receiver, publisher: WebhookPublisher
) -> None:
    many = [change(f"p{i}", 100, 200) for i in range(6)]
    receiver.answers = [200, 410]
    lines = publisher.publish(many, key="k").lines
    assert [line.state for line in lines[:2]] == [LineState.PUBLISHED, LineState.FAILED]
    assert {line.detail for line in lines[1:]} == {"HTTP 410"}
    assert receiver.calls == 2
    receiver.answers = [500] * 99
    lines = publisher.publish(many, key="k2").lines
    assert [line.why for line in lines] == [Refusal.UNTOLD] * 2 + [Refusal.UNREACHABLE] * 4
    assert receiver.calls == 2 + 8


def test_secrets_and_addresses_are_held_to_the_standard(tmp_path: Path, publisher: WebhookPublisher) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="Others than its owner"):
        WebhookSecret.of({}, file)
    file.chmod(0o600)
    assert WebhookSecret.of({}, file) == publisher.secret
    assert SECRET not in repr(publisher)
    for text in ("", "whsec_", "whsec_c2hvcnQ=", "no base64!", "ñ"):
        with pytest.raises(SettingsError, match="secret"):
            WebhookSecret.of({"TARIFA_WEBHOOK_SECRET": text})
    with pytest.raises(SettingsError, match="read"):
        WebhookSecret.of({}, tmp_path / "none")
    with pytest.raises(SettingsError, match="address"):
        webhook_publisher("http://shop.example", publisher.secret, sleep=_at_once, now=publisher.calls.now)


def test_a_currency_that_nobody_knows_is_a_failed_line(publisher: WebhookPublisher) -> None:
    assert [line.why for line in publisher.publish([NO_MONEY], key="k").lines] == [Refusal.OTHER_CURRENCY]


def test_an_id_follows_from_the_key_and_what_is_said(receiver: Receiver, publisher: WebhookPublisher) -> None:
    for key, price in (("a", 3000), ("b", 3000), ("a", 3100), ("a", 3000)):
        publisher.publish([change("A", 2904, price)], key=key)
    assert (receiver.calls, len(receiver.seen)) == (4, 3)
