"""Sixty servers killed with -9, at random and at named moments: nothing acknowledged is lost or double.

Callers reserve and redeem until the server dies under them. What was not answered is in doubt; it is asked
again with the same key, of the next server, which may die too. The last one lives.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.storage.ledger_audit import require_balance, verify
from api.storage.store import Store
from tests.api.ledger_app import DATES
from tests.api.ledger_forks import Caller, Forks, Told
from tests.api.ledger_server import MOMENTS
from tests.api.test_ledger import Clock

GONE = (OSError, http.client.HTTPException, ValueError)
KILLS = 60


@pytest.fixture
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.kill()
    forks.process.communicate()


@dataclass
class Customer:
    """One caller, through the lives of many servers: one request at a time, each with its own key."""

    name: str
    made: int = 0
    key: str = ""
    url: str = ""
    body: Told = field(default_factory=dict[str, object])
    doubts: int = 0
    reserved: dict[str, Told] = field(default_factory=dict[str, Told])
    redeemed: dict[str, Told] = field(default_factory=dict[str, Told])

    def next(self) -> None:
        """Think of the next request: a redemption of what was reserved last, or another reservation."""
        waiting = [name for name in self.reserved if name not in self.redeemed]
        self.made += 1
        self.key = f"{self.name} {self.made}"
        if waiting:
            line = {"line_id": "1", "amount": 70}
            order = f"order {self.key}"
            self.url = "/v1/redemptions"
            self.body = {"reservation_id": waiting[0], "order_id": order, "lines": [line]}
        else:
            self.url = "/v1/reservations"
            self.body = {"coupon_id": "ten", "customer_id": self.name, "liability": 100, "seconds": 86_400}

    def send(self, caller: Caller) -> None:
        """Send the request that is in doubt, or the next; raises where the server is gone."""
        if not self.key:
            self.next()
        told = caller.done("POST", self.url, self.body, self.key)
        known = self.reserved if self.url == "/v1/reservations" else self.redeemed
        assert told["reservation_id"] not in known, "answered twice, for two keys"
        known[told["reservation_id"]] = told
        self.key = ""

    def until_it_dies(self, port: int) -> None:
        caller = Caller(port)
        try:
            for _ in range(200):
                self.send(caller)
        except GONE:
            self.doubts += 1
        finally:
            caller.connection.close()


def test_sixty_kills_lose_nothing_and_double_nothing(forks: Forks, tmp_path: Path) -> None:
    place, chance = tmp_path / "d.sqlite3", random.Random(11)  # noqa: S311 - a test
    first, child = forks.start(place)
    coupon = {"coupon_id": "ten", **DATES}
    first.done("PUT", "/v1/campaigns/ten", {"currency": "EUR", "budget": None, "coupons": [coupon]})
    os.kill(child, signal.SIGKILL)
    customers = [Customer(f"customer {i}") for i in range(4)]
    for number in range(KILLS):
        moment = (*MOMENTS, "never")[number % 5]
        caller, child = forks.start(place, moment, chance.randint(1, 6))
        running = [threading.Thread(target=one.until_it_dies, args=(caller.port,)) for one in customers]
        for thread in running:
            thread.start()
        if moment == "never":
            threading.Event().wait(chance.uniform(0.05, 0.2))
            os.kill(child, signal.SIGKILL)
        for thread in running:
            thread.join(60)
        assert not any(thread.is_alive() for thread in running), moment
    _settle(forks, place, customers)
    _all_is_there(place, customers)


def _settle(forks: Forks, place: Path, customers: list[Customer]) -> None:
    """Resolve what is in doubt by asking again, and ask for everything acknowledged once more."""
    caller, _ = forks.start(place)
    assert sum(one.doubts for one in customers) >= KILLS, "each kill left somebody in doubt"
    for one in customers:
        if one.key:
            one.send(caller)
        for name, told in one.redeemed.items():
            kept = caller.done("GET", f"/v1/reservations/{name}", None)
            assert kept["redemption"] == told


def _all_is_there(place: Path, customers: list[Customer]) -> None:
    store = Store(f"sqlite:///{place}", Clock())
    with store.database.reading() as connection:
        require_balance(connection)
        rows = verify(connection)
        kept = connection.exec_driver_sql("SELECT reservation_id, order_id FROM redemptions").all()
        held = connection.exec_driver_sql("SELECT reservation_id FROM reservations").scalars().all()
    store.close()
    redeemed = {name: told["order_id"] for one in customers for name, told in one.redeemed.items()}
    assert {name: order for name, order in kept} == redeemed  # noqa: C416 - rows are no pairs to a checker
    assert len(set(redeemed.values())) == len(redeemed), "no order was redeemed twice"
    assert set(held) == {name for one in customers for name in one.reserved}
    assert rows == 1 + len(held) + len(kept), "one row of the record for each effect"
    assert len(redeemed) > 30
