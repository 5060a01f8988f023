"""Ten thousand attempts over HTTP, three server processes on one database: nothing is oversold."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.storage.ledger_audit import require_balance, verify
from api.storage.store import Store
from tests.api.ledger_app import DATES
from tests.api.ledger_forks import Caller, Forks, Told
from tests.api.test_ledger import Clock


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.kill()
    forks.process.communicate()


@pytest.fixture
def place(tmp_path: Path, forks: Forks) -> Iterator[Path]:
    yield tmp_path / "d.sqlite3"
    forks.kill()


@dataclass(frozen=True)
class Attempt:
    """One request, and what it competes for."""

    about: str
    url: str
    body: Told


def attempt_all(ports: Sequence[int], attempts: Sequence[Attempt], threads: int = 12) -> Counter[str]:
    """Send all of them at once; return how many succeeded of each kind."""
    won, wrong, start = Counter[str](), list[object](), threading.Barrier(threads)

    def send(number: int) -> None:
        caller = Caller(ports[number % len(ports)])
        start.wait()
        for i in range(number, len(attempts), threads):
            one = attempts[i]
            status, told = caller.call("POST", one.url, one.body, f"{one.about} {i}")
            if status == 200:
                won[one.about] += 1
            elif status != 409:
                wrong.append((status, told))
        caller.connection.close()

    running = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert wrong == []
    return won


def put(caller: Caller, name: str, budget: int | None, **limits: Any) -> None:
    coupon = {"coupon_id": name, **DATES, **limits}
    body = {"currency": "EUR", "budget": budget, "coupons": [coupon]}
    caller.done("PUT", f"/v1/campaigns/{name}", body)


def wanted(coupon: str, customer: str) -> Attempt:
    body = {"coupon_id": coupon, "customer_id": customer, "liability": 100, "seconds": 3600}
    return Attempt(coupon, "/v1/reservations", body)


def used(about: str, order: str, **which: str) -> Attempt:
    line = {"line_id": "1", "amount": 100}
    return Attempt(about, "/v1/redemptions", {**which, "order_id": order, "lines": [line]})


def on_one_budget(count: int) -> list[Attempt]:
    return [wanted("budget", f"customer {i}") for i in range(count)]


def test_nothing_is_oversold_in_ten_thousand_attempts(forks: Forks, place: Path) -> None:
    callers = [forks.start(place)[0]]
    put(callers[0], "budget", 5_000)
    callers += [forks.start(place)[0] for _ in range(2)]
    put(callers[1], "each", None, limit_per_customer=2)
    put(callers[2], "code", None)
    put(callers[0], "order", None)
    pool = {"count": 20, "liability": 100, "expires_at": "2035-01-01T00:00:00Z"}
    codes = callers[0].done("POST", "/v1/codes/code", pool, "pool")["codes"]
    orders = [
        callers[0].done("POST", one.url, one.body, f"own {i}")["reservation_id"]
        for i, one in enumerate(wanted("order", f"customer {i}") for i in range(100))
    ]
    attempts = on_one_budget(3_000)
    attempts += [wanted("each", f"customer {i % 10}") for i in range(2_000)]
    attempts += [used("code", f"order {i}", code=codes[i % 20]) for i in range(2_000)]
    attempts += [used("order", f"order {i}", reservation_id=orders[i % 100]) for i in range(3_000)]
    assert len(attempts) == 10_000
    random.Random(7).shuffle(attempts)  # noqa: S311 - a test
    won = attempt_all([caller.port for caller in callers], attempts)
    assert won == {"budget": 50, "each": 20, "code": 20, "order": 100}
    store = Store(f"sqlite:///{place}", Clock())
    with store.database.reading() as connection:
        require_balance(connection)
        assert verify(connection) > 190
        rows = connection.exec_driver_sql("SELECT campaign_id, held + spent FROM campaigns").all()
    store.close()
    assert dict(map(tuple, rows)) == {
        "budget": 5_000,
        "each": 2_000,
        "code": 2_000,
        "order": 10_000,
    }


def test_a_mutant_that_reads_then_writes_oversells(forks: Forks, place: Path) -> None:
    """The same attempts on a server without the guard: this is what the test above would see."""
    callers = [forks.start(place, "careless")[0]]
    put(callers[0], "budget", 5_000)
    callers += [forks.start(place, "careless")[0]]
    won = attempt_all([caller.port for caller in callers], on_one_budget(400))
    assert won["budget"] > 50
    spent = callers[0].done("GET", "/v1/campaigns/budget", None)
    assert spent["held"] == 100 * won["budget"] > 5_000
