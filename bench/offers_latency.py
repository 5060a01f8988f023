"""How soon a shop's backend has its coupon: `POST /v1/offers` of a real service, over HTTP.

    python -m bench.offers_latency [--products 10000] [--campaigns 50] [--customers 100000]

`tarifa serve --coupons` runs in a process of its own over a store on disk; every answer is durable before it
is given. Timed: from its start until it says that it is ready, the very first request, then one client and
16. Beside it, in turn and over the same wire, two bare FastAPI routes: one that answers a constant of the
same size, and one that inserts a row into SQLite, synced to disk, and answers the same. Processor time is
that of the service, all threads, over the requests of a round: pacing, which plans beside them, is in it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from bench.offers_shop import OffersShop, carts, write_shop
from bench.redemptions import Measured, fsync_latency
from bench.served_shop import SERVE, STATIC, served

CLIENTS, ROUNDS, COLD, WARM = 16, 3, 3, 100
BOUND = 15.0
"""Milliseconds within which 99 of 100 requests of one client are answered."""


@dataclass
class Asking:
    """One connection, kept open as a backend keeps it."""

    port: int

    def __post_init__(self) -> None:
        self._wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, path: str, body: bytes, key: str) -> tuple[float, bytes]:
        """Send one request; return its milliseconds and its answer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        began = time.perf_counter()
        self._wire.request("POST", path, body, headers)
        answer = self._wire.getresponse()
        content = answer.read()
        took = 1000 * (time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {content.decode()}")
        return took, content


@dataclass(frozen=True)
class Service:
    """A service that is ready: where, the seconds that this took, and its process."""

    port: int
    seconds: float
    process: int

    def processor(self) -> float:
        """Return the milliseconds of a processor that it has taken."""
        told = Path(f"/proc/{self.process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return 1000 * (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Turn:
    """One round: what the clients saw, and milliseconds of the service's processor a request."""

    seen: Measured
    processor: float


Rounds = dict[tuple[str, int], list[Turn]]
"""By route and number of clients."""


@contextmanager
def ready(call: Sequence[str]) -> Generator[Service]:
    """Start a service; yield it once it is ready."""
    began = time.perf_counter()
    with served(call) as at:
        wait_for(at.port)
        yield Service(at.port, time.perf_counter() - began, at.process)


def wait_for(port: int) -> None:
    """Wait until a service is ready."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.suppress(OSError), contextlib.closing(wire):
            wire.request("GET", "/health/ready")
            if wire.getresponse().status == 200:
                return
        time.sleep(0.02)
    raise SystemExit("the service was never ready")


def ours(files: dict[str, Path]) -> list[str]:
    """Return the command that serves the shop."""
    named = {"store": "d.sqlite3", "coupons": "shelf.npz", "customer-key": "customers.key"}
    options = [word for option, name in named.items() for word in (f"--{option}", str(files[name]))]
    return [*SERVE, str(files["run"]), *STATIC, *options]


def measure(at: Service, path: str, bodies: Sequence[bytes], prefix: str, clients: int) -> Turn:
    """Let some clients ask, each in turn after its last answer."""
    took, start = [list[float]() for _ in range(clients)], threading.Barrier(clients + 1)

    def work(client: int) -> None:
        asking = Asking(at.port)
        start.wait()
        for i, body in enumerate(bodies[client::clients]):
            took[client].append(asking.ask(path, body, f"{prefix}-{client}-{i}")[0])

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    start.wait()
    began, before = time.perf_counter(), at.processor()
    for thread in threads:
        thread.join()
    every = [value for some in took for value in some]
    seen = Measured(len(every) / (time.perf_counter() - began), every)
    return Turn(seen, (at.processor() - before) / len(every))


def bare(place: Path, content: bytes) -> FastAPI:
    """Return an application of two routes: a constant, and a constant after a row is on disk."""
    app, pen = FastAPI(), threading.Lock()
    database = sqlite3.connect(place, check_same_thread=False, isolation_level=None)
    for word in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t (a BLOB)"):
        database.execute(word)

    def constant(_asked: dict[str, Any]) -> Response:
        return Response(content, media_type="application/json")

    def commit(asked: dict[str, Any]) -> Response:
        with pen:
            database.execute("INSERT INTO t VALUES (?)", (json.dumps(asked),))
        return Response(content, media_type="application/json")

    async def health(_request: Request) -> Response:
        return Response(b"{}")

    app.post("/constant")(constant)
    app.post("/commit")(commit)
    app.get("/health/ready")(health)
    return app


def serve_peers(place: Path, content: bytes) -> None:
    """Serve the peers on a free port, which is told on standard error."""
    config = uvicorn.Config(bare(place, content), port=0, log_level="info", access_log=False)
    uvicorn.Server(config).run()


def asked_for(shop: OffersShop, count: int, seed: int) -> list[bytes]:
    """Return bodies of requests."""
    return [json.dumps(body).encode() for body in carts(shop, count, seed)]


def cold(files: dict[str, Path], bodies: Sequence[bytes]) -> list[tuple[float, float]]:
    """Start the service anew for each body; return seconds until it was ready and milliseconds it took."""
    found: list[tuple[float, float]] = []
    for body in bodies:
        with ready(ours(files)) as at:
            found.append((at.seconds, Asking(at.port).ask("/v1/offers", body, f"cold {len(found)}")[0]))
    return found


def warm(
    files: dict[str, Path], folder: Path, shop: OffersShop, count: int
) -> dict[tuple[str, int], list[Turn]]:
    """Measure all three routes in turn, with one client and with many."""
    found: dict[tuple[str, int], list[Turn]] = {}
    with ExitStack() as stack:
        at = stack.enter_context(ready(ours(files)))
        (first, *some) = asked_for(shop, WARM, 1)
        (folder / "answer").write_bytes(Asking(at.port).ask("/v1/offers", first, "sample")[1])
        other = stack.enter_context(ready(["-m", "bench.offers_latency", "--peers", str(folder)]))
        places = {"offers": at, "commit": other, "constant": other}
        paths = {"offers": "/v1/offers", "commit": "/commit", "constant": "/constant"}
        for name, where in places.items():
            measure(where, paths[name], some, f"warm {name}", 1)
        for turn in range(ROUNDS):
            for clients in (1, CLIENTS):
                bodies = asked_for(shop, count, 2 + 2 * turn + (clients > 1))
                for name, where in places.items():
                    got = measure(where, paths[name], bodies, f"{name} {turn} {clients}", clients)
                    found.setdefault((name, clients), []).append(got)
    return found


def main(shop: OffersShop, count: int) -> int:
    """Measure, print, and return 0 where the bound holds."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TARIFA_BENCH_DIR")) as place:
        folder = Path(place).resolve()
        files = write_shop(folder, shop)
        sync = fsync_latency(folder)
        starts = cold(files, asked_for(shop, COLD, 0))
        found = warm(files, folder, shop, count)
    print(f"{shop.products} products, {shop.campaigns} campaigns, {shop.customers} customers")
    print(f"median of {ROUNDS} rounds of {count} requests; load average {os.getloadavg()[0]:.1f}")
    print(f"fsync of 4 KB: median {sync[0]:.2f} ms, p99 {sync[1]:.1f} ms")
    print("ready after (s): " + ", ".join(f"{seconds:.2f}" for seconds, _ in starts))
    print("first request (ms): " + ", ".join(f"{first:.1f}" for _, first in starts))
    titles = ("p50 ms", "p95 ms", "p99 ms", "a second", "CPU ms", "x commit")
    print(f"{'route':9} {'clients':>7} " + " ".join(f"{title:>9}" for title in titles))
    for (name, clients), rounds in found.items():
        marks = [_middle(rounds, lambda one, share=share: one.seen.at(share)) for share in (0.5, 0.95, 0.99)]
        rate, used = _middle(rounds, lambda one: one.seen.rate), _middle(rounds, lambda one: one.processor)
        times = marks[0] / _middle(found["commit", clients], lambda one: one.seen.at(0.5))
        values = " ".join(f"{value:9.2f}" for value in (*marks, rate, used, times))
        print(f"{name:9} {clients:>7} {values}")
    return 0 if _middle(found["offers", 1], lambda one: one.seen.at(0.99)) <= BOUND else 1


def _middle(rounds: Sequence[Turn], of: Callable[[Turn], float]) -> float:
    return statistics.median(of(one) for one in rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = OffersShop()
    for name in ("products", "campaigns", "customers", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(sizes, name))
    parser.add_argument("--count", type=int, default=1000, help="requests of a round")
    parser.add_argument("--peers", type=Path, default=None, help="used by itself")
    asked = parser.parse_args()
    if asked.peers is not None:
        serve_peers(asked.peers / "peer.sqlite3", (asked.peers / "answer").read_bytes())
        sys.exit()
    sys.exit(main(OffersShop(asked.products, asked.campaigns, asked.customers, asked.seed), asked.count))
