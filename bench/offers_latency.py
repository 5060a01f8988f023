"""How soon a shop's backend has its coupon: `POST /v1/offers` of a real service, over HTTP, from request to answer.

    python -m bench.offers_latency [--products 10000] [--campaigns 50] [--customers 100000]

`tarifa serve --coupons` runs in a process of its own over a store on disk; every answer is durable before it
is given. Timed: from its start until it says that it is ready, the very first request, then one client and 16.
Beside it, in turn and over the same wire, two bare FastAPI routes: one that answers a constant of the same
size, and one that inserts a row into SQLite, synced to disk, and answers the same.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import uvicorn
from fastapi import FastAPI, Request, Response

from bench.offers_shop import OffersShop, carts, write_shop
from bench.redemptions import Measured, fsync_latency

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


@contextmanager
def served(call: Sequence[str]) -> Generator[tuple[int, float]]:
    """Start a service; yield its port and the seconds until it was ready."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, *call], stderr=subprocess.PIPE) as process:
        said, stream = "", cast("IO[bytes]", process.stderr)
        while (found := re.search(r"http://127\.0\.0\.1:(\d+)", said)) is None:
            line = stream.readline().decode()
            if not line:
                raise SystemExit(said)
            said += line
        log = subprocess.Popen(["cat"], stdin=stream, stdout=subprocess.DEVNULL)
        try:
            port = int(found[1])
            wait_for(port)
            yield port, time.perf_counter() - began
        finally:
            process.terminate()
            process.wait()
            log.wait()


def wait_for(port: int) -> None:
    """Wait until a service is ready."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            wire.request("GET", "/health/ready")
            if wire.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            wire.close()
        time.sleep(0.02)
    raise SystemExit("the service was never ready")


def ours(files: dict[str, Path]) -> list[str]:
    """Return the command that serves the shop."""
    named = {"store": "d.sqlite3", "coupons": "shelf.npz", "customer-key": "customers.key"}
    options = [word for option, name in named.items() for word in (f"--{option}", str(files[name]))]
    return ["-m", "api.cli.main", "serve", str(files["run"]), "--port", "0", "--policy", "static", *options]


def measure(port: int, path: str, bodies: Sequence[bytes], prefix: str, clients: int) -> Measured:
    """Let some clients ask, each in turn after its last answer."""
    took, start = [list[float]() for _ in range(clients)], threading.Barrier(clients + 1)

    def work(client: int) -> None:
        asking = Asking(port)
        start.wait()
        for i, body in enumerate(bodies[client::clients]):
            took[client].append(asking.ask(path, body, f"{prefix}-{client}-{i}")[0])

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    every = [value for some in took for value in some]
    return Measured(len(every) / (time.perf_counter() - began), every)


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

    async def ready(_request: Request) -> Response:
        return Response(b"{}")

    app.post("/constant")(constant)
    app.post("/commit")(commit)
    app.get("/health/ready")(ready)
    return app


def serve_peers(place: Path, content: bytes) -> None:
    """Serve the peers on a free port, which is told on standard error."""
    config = uvicorn.Config(bare(place, content), port=0, log_level="info", access_log=False)
    uvicorn.Server(config).run()


def cold(files: dict[str, Path], bodies: Iterator[bytes]) -> list[tuple[float, float]]:
    """Start the service some times; return seconds until it was ready and milliseconds of the first request."""
    found: list[tuple[float, float]] = []
    for i in range(COLD):
        with served(ours(files)) as (port, seconds):
            found.append((seconds, Asking(port).ask("/v1/offers", next(bodies), f"cold {i}")[0]))
    return found


def warm(files: dict[str, Path], folder: Path, shop: OffersShop, count: int) -> dict[str, list[Measured]]:
    """Measure all three in turn, with one client and with many."""
    found: dict[str, list[Measured]] = {}
    with ExitStack() as stack:
        port, _ = stack.enter_context(served(ours(files)))
        some = [json.dumps(body).encode() for body in carts(shop, WARM, 1)]
        _, answer = Asking(port).ask("/v1/offers", some[0], "sample")
        (folder / "answer").write_bytes(answer)
        call = ["-m", "bench.offers_latency", "--peers", str(folder)]
        other, _ = stack.enter_context(served(call))
        places = (("offers", port, "/v1/offers"), ("commit", other, "/commit"), ("constant", other, "/constant"))
        for name, where, path in places:
            measure(where, path, some, f"warm {name}", 1)
        for turn in range(ROUNDS):
            for clients in (1, CLIENTS):
                for name, where, path in places:
                    bodies = [json.dumps(body).encode() for body in carts(shop, count, 2 + turn * 2 + (clients > 1))]
                    got = measure(where, path, bodies, f"{name} {turn} {clients}", clients)
                    found.setdefault(f"{name} {clients}", []).append(got)
    return found


def main(shop: OffersShop, count: int) -> int:
    """Measure, print, and return 0 where the bound holds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = write_shop(folder, shop)
        sync = fsync_latency(folder)
        starts = cold(files, iter([json.dumps(body).encode() for body in carts(shop, COLD, 0)]))
        found = warm(files, folder, shop, count)
    print(f"{shop.products} products, {shop.campaigns} campaigns, {shop.customers} customers; {ROUNDS} rounds of {count}")
    print(f"fsync of 4 KB: median {sync[0]:.2f} ms, p99 {sync[1]:.1f} ms")
    print("ready after (s): " + ", ".join(f"{seconds:.2f}" for seconds, _ in starts))
    print("first request (ms): " + ", ".join(f"{first:.1f}" for _, first in starts))
    print(f"{'route':12} {'clients':>7} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'a second':>9} {'x commit':>9}")
    for name, rounds in found.items():
        route, clients = name.split()
        marks = [_middle(rounds, lambda one, share=share: one.at(share)) for share in (0.5, 0.95, 0.99)]
        rate = _middle(rounds, lambda one: one.rate)
        times = marks[0] / _middle(found[f"commit {clients}"], lambda one: one.at(0.5))
        print(f"{route:12} {clients:>7} " + " ".join(f"{mark:8.2f}" for mark in marks) + f" {rate:9.0f} {times:9.2f}")
    return 0 if _middle(found["offers 1"], lambda one: one.at(0.99)) <= BOUND else 1


def _middle(rounds: Sequence[Measured], of: Callable[[Measured], float]) -> float:
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
