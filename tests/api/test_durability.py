from __future__ import annotations

import datetime as dt
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.store import Store


@contextmanager
def _served(run: Path, store: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-m", "api.cli.main", "serve", str(run), "--port", "0", "--store", str(store)]
    with subprocess.Popen([*command, "--policy", "static"], stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            said = b""
            while (found := re.search(rb"http://127\.0\.0\.1:\d+", said)) is None:
                line = process.stderr.readline()
                assert line, said
                said += line
            yield process, found[0].decode()
        finally:
            process.kill()
            process.communicate()


def _ready(url: str) -> None:
    transport = httpx.HTTPTransport(retries=50)
    with httpx.Client(transport=transport, base_url=url) as client:
        while client.get("/health/ready").status_code != 200:
            pass


@pytest.mark.parametrize("size", [1, 12])
def test_no_answered_decision_is_lost_to_kill_9(run_folder: Path, tmp_path: Path, size: int) -> None:
    place = tmp_path / "d.sqlite3"
    answered: list[str] = []
    for attempt in range(2):
        with _served(run_folder, place) as (process, url):
            _ready(url)
            groups = [f"p{(attempt + i) % 12:02d}" for i in range(size)]
            reply = httpx.post(f"{url}/v1/recommendations", json={"price_groups": groups})
            process.send_signal(signal.SIGKILL)
            assert reply.status_code == 200
            answered += [item["decision_id"] for item in reply.json()["items"]]
    store = Store(f"sqlite:///{place}", lambda: dt.datetime.now(dt.UTC))
    assert [row.decision_id for row in store.read(answered)] == answered
    assert store.verify() == len(set(answered))


def test_a_short_answer_is_not_held_back(run_folder: Path, tmp_path: Path) -> None:
    with _served(run_folder, tmp_path / "d.sqlite3") as (_, url):
        _ready(url)
        with httpx.Client(base_url=url) as client:
            took = [client.get("/health/ready").elapsed.total_seconds() for _ in range(60)]
    assert statistics.median(took[20:]) < 0.03, "a delayed acknowledgement takes 0.04 s, every time"


def test_a_signal_ends_the_service_and_logs_are_one_json_a_line(run_folder: Path, tmp_path: Path) -> None:
    with _served(run_folder, tmp_path / "d.sqlite3") as (process, url):
        _ready(url)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b'"route": "/health/ready"' in said
    assert b"Traceback" not in said
