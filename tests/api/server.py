"""A real server process on a real store, for tests that kill, starve or crowd it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

URL = "/v1/recommendations"


@dataclass
class Server:
    """One that serves; `said` grows with what it says on standard error."""

    process: subprocess.Popen[bytes]
    url: str
    said: bytearray = field(default_factory=bytearray)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, transport=httpx.HTTPTransport(retries=50), timeout=30)

    def ask(self, *groups: str, **headers: str) -> httpx.Response:
        with self.client() as client:
            return client.post(URL, json={"price_groups": list(groups)}, headers=headers)

    def wait(self) -> None:
        with self.client() as client:
            while client.get("/health/ready").status_code != 200:
                pass


def command(run: Path, store: Path | str, *options: str) -> list[str]:
    call = [sys.executable, "-m", "api.cli.main", "serve", str(run), "--port", "0", "--store", str(store)]
    return [*call, "--policy", "static", *options]


@contextmanager
def served(run: Path, store: Path, *options: str, ready: bool = True) -> Iterator[Server]:
    with subprocess.Popen(command(run, store, *options), stderr=subprocess.PIPE) as process:
        said = bytearray()
        listening = threading.Thread(target=_listen, args=(process, said), daemon=True)
        try:
            assert process.stderr is not None
            while (found := re.search(rb"http://127\.0\.0\.1:\d+", said)) is None:
                line = process.stderr.readline()
                assert line, said
                said += line
            server = Server(process, found[0].decode(), said)
            listening.start()
            if ready:
                server.wait()
            yield server
        finally:
            process.kill()
            process.wait()
            if listening.ident is not None:
                listening.join()  # else the log is closed under it


def _listen(process: subprocess.Popen[bytes], said: bytearray) -> None:
    """Read on: a server whose log nobody reads stops when the pipe is full."""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
