"""Durable redemptions by 16 clients: one writer with group commit against SQLite's own busy handler.

    python -m bench.redemptions [SECONDS]

Both do the same: one redemption a transaction's worth of statements, its idempotency key and its row of the
record, synced to disk before the client is answered. The plain design gives each client a connection of its
own, BEGIN IMMEDIATE, and SQLite's busy handler to wait with, as services usually do. Rounds alternate on one
machine; each has a database of its own, and the reservations to redeem are made before the clock runs.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.storage.ledger import Campaign, CouponLimits, Line, put_campaign
from api.storage.ledger_audit import Work, append, once, require_balance, verify
from api.storage.ledger_redeem import redeem
from api.storage.ledger_reserve import Hold, reserve
from api.storage.store import Store

CLIENTS, ROUNDS = 16, 3
EACH = 1500
"""Reservations a client may use up in a round."""


@dataclass(frozen=True)
class Measured:
    """One round: redemptions a second, and milliseconds of each."""

    rate: float
    took: Sequence[float]

    def at(self, share: float) -> float:
        """Return a quantile of the times."""
        return sorted(self.took)[min(int(len(self.took) * share), len(self.took) - 1)]


def now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.UTC)


def prepared(folder: Path) -> Path:
    """Return a database with a campaign and reservations for everybody."""
    place = folder / "d.sqlite3"
    store = Store(f"sqlite:///{place}", now)
    coupon = CouponLimits("k", "c", None, None, None, 0, 10**18)
    with store.database.writing() as transaction:
        work = Work(transaction)
        put_campaign(work, Campaign("c", "EUR", None), [coupon])
        for client in range(CLIENTS):
            for i in range(EACH):
                hold = Hold(name(client, i), "k", f"customer {client} {i}", None, 100, work.now + 10**12)
                reserve(work, hold)
        append(transaction, work.rows)
    store.close()
    return place


def name(client: int, i: int) -> str:
    """Return the name of a reservation."""
    return f"{client * 10**6 + i:032x}"


def effect(client: int, i: int) -> Callable[[Work], object]:
    """Return one redemption under its own key."""
    which = name(client, i)

    def used(work: Work) -> object:
        lines = [Line("1", 70)]
        done = once(work, which, "f" * 64, lambda w: {"a": redeem(w, which, f"order {which}", lines).amount})
        return done.answer["a"]

    return used


def plainly(store: Store, wanted: Callable[[Work], object]) -> object:
    """Write one effect in a transaction of its own."""
    with store.database.writing() as transaction:
        work = Work(transaction)
        found = wanted(work)
        append(transaction, work.rows)
    return found


def measure(place: Path, seconds: float, *, grouped: bool) -> Measured:
    """Let all clients redeem for some seconds."""
    one = Store(f"sqlite:///{place}", now)
    stores = [one] * CLIENTS if grouped else [Store(f"sqlite:///{place}", now) for _ in range(CLIENTS)]
    took, start = [list[float]() for _ in range(CLIENTS)], threading.Barrier(CLIENTS + 1)
    until = [0.0]

    def work(client: int) -> None:
        store = stores[client]
        start.wait()
        for i in range(EACH):
            began = time.perf_counter()
            if began > until[0]:
                return
            if grouped:
                store.commits.submit(effect(client, i))
            else:
                plainly(store, effect(client, i))
            took[client].append(1000 * (time.perf_counter() - began))

    threads = [threading.Thread(target=work, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    until[0] = began + seconds
    start.wait()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    every = [value for some in took for value in some]
    with one.database.reading() as connection:
        require_balance(connection)
        assert verify(connection) == 1 + CLIENTS * EACH + len(every)  # noqa: S101 - a bench that lies is none
    for store in {*stores, one}:
        store.close()
    return Measured(len(every) / elapsed, every)


def fsync_latency(folder: Path) -> tuple[float, float]:
    """Return median and 99th percentile of a write of 4 KB with fsync, milliseconds."""
    took: list[float] = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(500):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took), sorted(took)[494]


def main(seconds: float) -> None:
    """Measure both designs in turn and print them."""
    found: dict[bool, list[Measured]] = {False: [], True: []}
    syncs: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        for grouped in (False, True):
            with tempfile.TemporaryDirectory(dir=os.environ.get("TARIFA_BENCH_DIR")) as folder:
                syncs.append(fsync_latency(Path(folder)))
                found[grouped].append(measure(prepared(Path(folder)), seconds, grouped=grouped))
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    median, worst = statistics.median(s[0] for s in syncs), max(s[1] for s in syncs)
    print(f"{CLIENTS} clients; fsync of 4 KB: median {median:.2f} ms, p99 at worst {worst:.1f} ms")
    print(f"{'design':28} {'redemptions/s':>14} {'p50 ms':>8} {'p99 ms':>9}   (median of {ROUNDS} rounds)")
    rows: list[tuple[float, float]] = []
    for grouped, title in ((False, "busy handler, a commit each"), (True, "one writer, group commit")):
        rate, p50, p99 = (
            statistics.median(values)
            for values in zip(*((one.rate, one.at(0.5), one.at(0.99)) for one in found[grouped]), strict=True)
        )
        rows.append((rate, p99))
        print(f"{title:28} {rate:14.0f} {p50:8.1f} {p99:9.1f}")
    print(f"throughput x {rows[1][0] / rows[0][0]:.1f}; p99 1/{rows[0][1] / rows[1][1]:.0f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
