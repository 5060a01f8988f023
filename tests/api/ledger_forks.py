"""Servers of a ledger as a test starts, calls and kills them (:mod:`tests.api.ledger_server`)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Told = dict[str, Any]


@dataclass
class Caller:
    """One connection that stays open; `OSError` or `HTTPException` where the server is gone."""

    port: int
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method: str, url: str, body: object, key: str = "") -> tuple[int, Told]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        self.connection.request(method, url, json.dumps(body).encode(), headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def done(self, method: str, url: str, body: object, key: str = "") -> Told:
        status, told = self.call(method, url, body, key)
        assert status == 200, told
        return told


class Forks:
    """The program that forks servers."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.ledger_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.children = list[int]()
        self.callers = list[Caller]()

    def start(self, store: Path, moment: str = "never", count: int = 1) -> tuple[Caller, int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{store}\t{moment}\t{count}\n")
        self.process.stdin.flush()
        port, child = map(int, self.process.stdout.readline().split())
        self.children.append(child)
        self.callers.append(Caller(port))
        return self.callers[-1], child

    def kill(self) -> None:
        for child in self.children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for caller in self.callers:
            caller.connection.close()
        self.children.clear()
        self.callers.clear()
