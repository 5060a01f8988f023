"""The Python client against real servers: one that answers, one that limps, and none at all."""

from __future__ import annotations

import ast
import datetime as dt
import random
import socket
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from api.coupons.routes import batches, router
from api.coupons.service import OfferAsked
from api.storage.ledger import Campaign, CouponLimits, put_campaign
from api.storage.ledger_audit import Once, Work, once
from api.storage.ledger_reserve import Hold, reserve
from api.storage.price_marks import instant, moment_of
from api.storage.store import Store
from tarifa_client import (
    Cart,
    CartLine,
    Client,
    Line,
    Malformed,
    Offer,
    OfferSource,
    Patience,
    Problem,
    Unavailable,
)
from tests.api.ledger_app import KEY, ledger_app

PACKAGE = Path(__file__).parents[2] / "clients" / "python"
CART = Cart("es", (CartLine("1", "MUG", 1250, 2), CartLine("2", "TEA", 400)), customer_id="ana@example.com")
NOW = {"shift": dt.timedelta()}
SHORT = Patience(offer=0.4, change=2.0, first_pause=0.001, longest_pause=0.01)


class TenPercent:
    """What decides offers here: a tenth of every line, its money kept in the real ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked = list[str]()

    def offer(self, asked: OfferAsked, key: str) -> Once:
        self.asked.append(key)
        lines = [
            {"line_id": line.line_id, "discount": int(line.shelf_price * line.quantity) // 10}
            for line in asked.cart.lines
        ]
        total = sum(int(str(line["discount"])) for line in lines)
        name = f"{len(self.asked):032x}"

        def effect(work: Work) -> Mapping[str, object]:
            until = work.now + 600 * 1_000_000
            reserve(work, Hold(name, "ten", KEY.customer(asked.customer_id or ""), name, total, until))
            kept = {"reservation_id": name, "expires_at": moment_of(until).isoformat()}
            told = {"decision_id": name, "coupon_id": "ten", "discount": total, "currency": "EUR", **kept}
            return {
                **told,
                "lines": lines,
                "reason": "worth_it",
                "personalised": True,
                "prices_checked": True,
            }

        return self.store.commits.submit(lambda work: once(work, key, "f", effect))

    def offer_each(self, asked: Sequence[tuple[OfferAsked, str]]) -> Iterator[Once]:
        return (self.offer(one, key) for one, key in asked)


class Limping:
    """A server in front of the real one that does not always answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.fails = list[str]()
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += scope["type"] == "http"
        how = self.fails.pop(0) if self.fails and scope["type"] == "http" else ""
        if how == "":
            await self.app(scope, receive, send)
            return
        if how == "after":  # carried out, and not answered

            async def lost(_message: Any) -> None:
                return

            await self.app(scope, receive, lost)
        status = int(how) if how.isdigit() else 200
        start: dict[str, Any] = {"type": "http.response.start", "status": 503 if how == "after" else status}
        await send({**start, "headers": [(b"retry-after", b"0")]})
        await send({"type": "http.response.body", "body": b"{}" if how != "nonsense" else b"<html>"})


class Served:
    def __init__(self, store: Store) -> None:
        app = ledger_app(store)
        self.store, self.decides = store, TenPercent(store)
        app.state.coupons = self.of
        if not any(getattr(route, "path", "") == "/v1/offers" for route in app.routes):
            app.include_router(router)
            app.include_router(batches)
        self.limping = Limping(app)
        self.server = uvicorn.Server(uvicorn.Config(self.limping, log_level="critical", lifespan="off"))
        self.listening = self.server.config.bind_socket()
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def of(self, _desk: object) -> TenPercent:
        return self.decides


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    store = Store(f"sqlite:///{tmp_path / 'd.sqlite3'}", lambda: dt.datetime.now(dt.UTC))
    ends = instant(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
    coupons = [CouponLimits("ten", "spring", None, None, 3, 0, ends)]
    store.commits.submit(lambda work: put_campaign(work, Campaign("spring", "EUR", 100_000), coupons))
    found = Served(store)
    thread = threading.Thread(target=found.server.run, kwargs={"sockets": [found.listening]}, daemon=True)
    thread.start()
    while not found.server.started:
        time.sleep(0.005)
    yield found
    found.server.should_exit = True
    thread.join()
    store.close()


@pytest.fixture
def tarifa(served: Served) -> Iterator[Client]:
    patient = replace(SHORT, offer=20.0, change=20.0)
    with Client(served.address, patience=patient, now=_now) as client:
        yield client


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC) + NOW["shift"]


def impatient(client: Client) -> None:
    whole: Any = client
    whole._patience = SHORT


def test_from_an_offer_to_goods_that_come_back(tarifa: Client) -> None:
    offer = tarifa.offer(CART)
    assert (offer.source, offer.coupon_id, offer.discount) == (OfferSource.DECIDED, "ten", 290)
    assert offer.reservation_id is not None
    assert [(line.amount, line.quantity) for line in offer.taken] == [(250, 2), (40, 1)]
    used = tarifa.redeem(offer.reservation_id, "order 1", offer.taken, key="order 1")
    assert (used.amount, used.standing, used.within_budget) == (290, "redeemed", True)
    assert tarifa.roll_back(offer.reservation_id, {"2": 40}, key="a").taken_back == 40
    back = tarifa.give_back(offer.reservation_id, {"1": 1}, key="b")
    assert (back.taken_back, back.lines[0].returned) == (165, 1)
    assert tarifa.give_back(offer.reservation_id, key="c").taken_back == 290
    assert tarifa.reservation(offer.reservation_id).standing == "redeemed"


def test_a_place_of_the_shops_own_choice(tarifa: Client) -> None:
    held = tarifa.reserve("ten", customer_id="bea", liability=500, seconds=60, key="r")
    assert (held.liability, held.currency, held.code) == (500, "EUR", None)
    assert tarifa.release(held.reservation_id, key="s").standing == "released"
    with pytest.raises(Problem) as found:
        tarifa.reserve("eleven", anonymous_id="cart", liability=1, seconds=60, key="t")
    assert (found.value.status, found.value.code) == (404, "unknown_coupon")
    assert found.value.todo


@pytest.mark.parametrize("fails", [["503"], ["after"], ["500", "429", "502"], ["after", "after"]])
def test_a_change_is_sent_again_with_its_key_and_happens_once(
    served: Served, tarifa: Client, fails: list[str]
) -> None:
    served.limping.fails = list(fails)
    held = tarifa.reserve("ten", customer_id="bea", liability=500, seconds=60, key="r")
    assert served.limping.calls == len(fails) + 1
    rows = _count(served.store)
    assert tarifa.reserve("ten", customer_id="bea", liability=500, seconds=60, key="r") == held
    assert _count(served.store) == rows == 1


def _count(store: Store) -> int:
    with store.database.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM reservations").scalar_one())


def test_what_is_refused_is_not_sent_again(served: Served, tarifa: Client) -> None:
    for status in ("400", "401", "404", "409", "422"):
        served.limping.fails, before = [status], served.limping.calls
        with pytest.raises(Problem):
            tarifa.offer(CART)
        assert served.limping.calls == before + 1


def test_a_limit_is_a_problem_that_says_so(tarifa: Client) -> None:
    with pytest.raises(Problem, match="budget") as found:
        tarifa.reserve("ten", customer_id="bea", liability=200_000, seconds=60, key="r")
    assert (found.value.status, found.value.code) == (409, "limit_reached")


@pytest.mark.parametrize("how", ["503", "nonsense", "408", "ok"])
def test_when_tarifa_fails_the_last_offer_holds_until_it_runs_out(
    served: Served, tarifa: Client, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tarifa.offer(CART)
    impatient(tarifa)
    served.limping.fails = [how] * 10_000
    again = tarifa.offer(CART)
    assert again == replace(first, source=OfferSource.REMEMBERED)
    other = tarifa.offer(replace(CART, customer_id="bea"))
    assert other == Offer.none(), "nobody gets what another was promised"
    assert tarifa.offer(replace(CART, lines=CART.lines[:1])) == Offer.none(), "nor for another cart"
    monkeypatch.setitem(NOW, "shift", dt.timedelta(seconds=601))
    assert tarifa.offer(CART) == Offer.none()


def test_an_offer_that_was_used_is_not_promised_again(served: Served, tarifa: Client) -> None:
    offer = tarifa.offer(CART)
    assert offer.reservation_id is not None
    tarifa.redeem(offer.reservation_id, "o", offer.taken, key="o")
    impatient(tarifa)
    served.limping.fails = ["503"] * 10_000
    assert tarifa.offer(CART) == Offer.none()


@contextmanager
def _listening(answer: Callable[[socket.socket], None]) -> Generator[str]:
    """Serve a port on which nobody speaks HTTP as he should."""
    server, ended = socket.create_server(("127.0.0.1", 0)), threading.Event()
    server.settimeout(0.05)

    def accept() -> None:
        while not ended.is_set():
            try:
                caller, _ = server.accept()
            except TimeoutError:
                continue
            with caller:
                try:
                    answer(caller)
                except OSError:
                    continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    ended.set()
    thread.join()
    server.close()


def _silent(caller: socket.socket) -> None:
    caller.settimeout(1.0)
    while caller.recv(4096):
        pass


def _dripping(caller: socket.socket) -> None:
    caller.recv(4096)
    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        caller.sendall(b" ")
        time.sleep(0.02)


@pytest.mark.parametrize("answer", [_silent, _dripping, socket.socket.close])
def test_no_checkout_waits_longer_than_its_patience(answer: Callable[[socket.socket], None]) -> None:
    with _listening(answer) as address, Client(address, patience=SHORT) as client:
        began = time.monotonic()
        assert client.offer(CART) == Offer.none()
        assert time.monotonic() - began < 1.5
    with Client("http://127.0.0.1:1", patience=replace(SHORT, change=0.1)) as nobody:
        assert nobody.offer(CART) == Offer.none()
        with pytest.raises(Unavailable, match="not answered"):
            nobody.redeem("0" * 32, "o", [Line("1", 1)], key="k")


def _said(told: dict[str, Any]) -> Client:
    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=told)

    return Client("http://tarifa", transport=httpx.MockTransport(handle), patience=SHORT)


TOLD: dict[str, Any] = {
    "decision_id": "d", "coupon_id": "ten", "discount": 290, "currency": "EUR", "reservation_id": "r",
    "expires_at": "2100-01-01T00:00:00+00:00", "reason": "worth_it", "personalised": True,
    "prices_checked": True, "lines": [{"line_id": "1", "discount": 250}, {"line_id": "2", "discount": 40}],
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"discount": -1}, {"discount": 100_000}, {"discount": "290"}, {"discount": None},
        {"coupon_id": None}, {"lines": [{"line_id": "1", "discount": -1}]},
        {"lines": [{"line_id": "1", "discount": 2600}]}, {"lines": [{"line_id": "other", "discount": 200}]},
        {"lines": [{"line_id": "1", "discount": 291}]}, {"lines": None}, {"expires_at": "soon"},
        {"lines": [{"line_id": "1", "discount": 250}]}, {"reservation_id": None}, {"expires_at": None},
        {"expires_at": "2100-01-01T00:00:00"}, {"reason": 1}, {"personalised": "yes"},
    ],
)  # fmt: skip
def test_an_answer_that_would_raise_a_price_or_makes_no_sense_is_no_offer(wrong: dict[str, Any]) -> None:
    with _said(TOLD) as client:
        assert client.offer(CART).discount == 290
    with _said({**TOLD, **wrong}) as client:
        assert client.offer(CART) == Offer.none()


def test_what_comes_off_shipping_is_redeemed_as_a_line_of_its_own() -> None:
    """An offer is redeemed with ``offer.taken``, and a redemption has a line at least."""
    told = {**TOLD, "discount": 300, "lines": [{"line_id": "1", "discount": 0}]}
    with _said(told) as client:
        cart = replace(CART, shipping=500)
        assert client.offer(cart).taken == (Line("shipping", 300),)
        named = replace(cart, lines=(replace(CART.lines[0], line_id="shipping"),))
    with _said({**told, "lines": []}) as client:
        assert client.offer(named).taken == (Line("shipping-", 300),)


def test_a_price_shown_without_tax_may_be_less_than_what_comes_off() -> None:
    with _said({**TOLD, "discount": 1000, "lines": [{"line_id": "1", "discount": 1000}]}) as client:
        cart = Cart("us", (CartLine("1", "MUG", 930),), customer_id="ana")
        assert client.offer(cart).discount == 1000, "10.00 of 9.30 net, which are 11.25 with tax"
        assert client.offer(Cart("us", (CartLine("1", "MUG", 700),), customer_id="ana")) == Offer.none()


@pytest.mark.parametrize("status", [204, 302, 304, 501, 520, 530])
def test_what_somebody_between_answers_holds_up_no_checkout(status: int) -> None:
    """A proxy that redirects, or has a status of its own for a service that is gone."""

    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"Location": "http://elsewhere/"})

    with Client("http://tarifa", transport=httpx.MockTransport(handle), patience=SHORT) as client:
        assert client.offer(CART) == Offer.none()


def test_an_answer_that_cannot_be_decoded_holds_up_no_checkout() -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"{}"))

    with Client("http://tarifa", transport=httpx.MockTransport(handle), patience=SHORT) as client:
        assert client.offer(CART) == Offer.none()


def test_pauses_are_jittered_doubled_and_bounded() -> None:
    paused, clock = list[float](), [0.0]

    def sleep(seconds: float) -> None:
        paused.append(seconds)
        clock[0] += seconds

    transport = httpx.MockTransport(lambda _request: httpx.Response(503))
    patience = Patience(change=10.0, first_pause=0.1, longest_pause=1.0)
    told: Any = {"transport": transport, "sleep": sleep, "monotonic": lambda: clock[0]}
    told["rng"] = random.Random(3)  # noqa: S311 - a test
    with Client("http://t", patience=patience, **told) as client, pytest.raises(Unavailable, match="503"):
        client.redeem("r", "o", [Line("1", 1)], key="k")
    assert all(0.0 <= pause <= min(0.1 * 2**i, 1.0) for i, pause in enumerate(paused))
    assert len(set(paused)) == len(paused) > 10
    assert 9.0 < sum(paused) < 10.0
    waits = httpx.MockTransport(lambda _request: httpx.Response(429, headers={"Retry-After": "60"}))
    with Client("http://t", transport=waits) as client, pytest.raises(Unavailable, match="429"):
        client.release("r", key="k")


def test_many_carts_at_once_and_each_has_its_own_answer(served: Served, tarifa: Client) -> None:
    carts = [CART, replace(CART, customer_id=None), replace(CART, zone="")]
    first = tarifa.offers(carts, key="batch")
    assert isinstance(first[0], Offer)
    assert first[0].discount == 290
    assert all(isinstance(one, Problem) and one.status == 422 for one in first[1:])
    again = tarifa.offers(carts[:1], key="batch")
    assert again == first[:1], "sent again, it goes on where it was"
    assert served.decides.asked == ["batch/0", "batch/0"]
    with _said({}) as client, pytest.raises(Malformed):
        client.offers([CART, CART], key="k")


def test_it_is_a_distribution_of_its_own_that_needs_httpx_alone() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["httpx>=0.28"]
    assert (PACKAGE / "tarifa_client" / "py.typed").is_file()
    allowed = {"httpx", "tarifa_client"} | sys.stdlib_module_names
    for path in (PACKAGE / "tarifa_client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= allowed, path
