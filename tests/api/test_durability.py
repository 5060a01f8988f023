"""What was answered is on disk, whatever happens to the process or to the disk."""

from __future__ import annotations

import datetime as dt
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from api.storage.store import Store
from tests.api.server import URL, Server, command, served

GROUPS = [f"p{i:02d}" for i in range(12)]


def _store(place: Path) -> Store:
    return Store(f"sqlite:///{place}", lambda: dt.datetime.now(dt.UTC))


def _ids(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [item["decision_id"] for item in reply.json()["items"]]


@pytest.mark.parametrize("size", [1, 12])
def test_no_answered_decision_is_lost_to_kill_9(run_folder: Path, tmp_path: Path, size: int) -> None:
    place = tmp_path / "d.sqlite3"
    answered: list[str] = []
    for attempt in range(2):
        with served(run_folder, place) as server:
            reply = server.ask(*(GROUPS[(attempt + i) % 12] for i in range(size)))
            server.process.send_signal(signal.SIGKILL)
            answered += _ids(reply)
    store = _store(place)
    assert [row.decision_id for row in store.read(answered)] == answered
    assert store.verify() == len(set(answered))


def test_kill_9_while_two_servers_write_one_store(run_folder: Path, tmp_path: Path) -> None:
    place, answered = tmp_path / "d.sqlite3", dict[str, str]()

    def ask(server: Server, groups: list[str]) -> None:
        with server.client() as client:
            for i, group in enumerate(groups):
                key = f"{server.url} {threading.get_ident()} {i}"
                try:
                    reply = client.post(URL, json={"price_groups": [group]}, headers={"Idempotency-Key": key})
                except httpx.TransportError:
                    return
                answered[key] = _ids(reply)[0]

    with served(run_folder, place) as doomed, served(run_folder, place, "--policy", "incumbent") as other:
        calls = [(doomed, GROUPS * 40), (doomed, GROUPS[::-1] * 40), (other, GROUPS * 20)]
        threads = [threading.Thread(target=ask, args=call) for call in calls]
        for thread in threads:
            thread.start()
        while len(answered) < 40:
            assert any(thread.is_alive() for thread in threads)
        doomed.process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
        assert _ids(other.ask(*GROUPS))
    store = _store(place)
    assert store.verify() == 24, "two policies, twelve groups"
    for key, decision in answered.items():
        request = store.request(key)
        assert request is not None
        assert request.answer["ids"] == [decision]


def test_one_key_sent_many_times_at_once_is_answered_once(run_folder: Path, tmp_path: Path) -> None:
    place, replies = tmp_path / "d.sqlite3", list[httpx.Response]()
    with served(run_folder, place) as one, served(run_folder, place) as two:
        start = threading.Barrier(16)

        def ask(server: Server) -> None:
            start.wait()
            replies.append(server.ask(*GROUPS, **{"Idempotency-Key": "once"}))

        threads = [threading.Thread(target=ask, args=((one, two)[i % 2],)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 1
    assert _store(place).verify() == 12


def test_a_disk_that_fills_up_is_a_problem_and_then_over(run_folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "d.sqlite3"
    with served(run_folder, place) as server:
        _ids(server.ask(GROUPS[0]))
        most = max(path.stat().st_size for path in tmp_path.iterdir())
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, limits[1]))
        with server.client() as client:
            refused = [server.ask(GROUPS[1]), client.get("/health/ready")]
            assert client.get(URL).json()["items"], "what is recorded can still be read"
            assert _ids(server.ask(GROUPS[0])), "and is still answered"
        for reply in refused:
            assert (reply.status_code, reply.json()["code"]) == (503, "busy")
            assert reply.headers["content-type"] == "application/problem+json"
            assert "disk" in reply.json()["why"]
        assert _recorded(place) == 1
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        _ids(server.ask(GROUPS[1]))
        assert _recorded(place) == 2


def test_a_store_deleted_while_serving_is_a_problem(run_folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "d.sqlite3"
    with served(run_folder, place) as server:
        _ids(server.ask(GROUPS[0]))
        place.unlink()
        for reply in (server.ask(GROUPS[1]), server.ask(GROUPS[0])):
            assert (reply.status_code, reply.json()["code"]) == (503, "artifact")
            assert str(tmp_path) not in reply.text


def _recorded(place: Path) -> int:
    store = _store(place)
    try:
        return store.verify()
    finally:
        store.close()


def _refused(call: list[str], code: int, *says: str, most: int | None = None) -> None:
    """Run a server that must end before it listens."""

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(call, capture_output=True, check=False, timeout=60, preexec_fn=limit)
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert "http://" not in text
    assert "Traceback" not in text
    for word in (*says, "Why", "What to do"):
        assert word in " ".join(text.split())


def test_a_store_that_cannot_be_written_ends_the_service_first(run_folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "d.sqlite3"
    _store(place).close()
    _refused(command(run_folder, f"sqlite:///file:{place}?mode=ro&uri=true"), 6, "readonly")
    alone = shutil.copytree(run_folder, tmp_path / "alone")
    _refused(command(alone, place), 6, "decision store", most=4096)
    _refused(command(run_folder, "sqlite://"), 2, "memory")


def test_a_port_in_use_ends_the_service_with_a_reason(run_folder: Path, tmp_path: Path) -> None:
    with served(run_folder, tmp_path / "d.sqlite3", ready=False) as server:
        port = server.url.rpartition(":")[2]
        _refused(command(run_folder, tmp_path / "e.sqlite3", "--port", port), 2, port, "in use")


def test_slow_callers_hold_up_nobody(run_folder: Path, tmp_path: Path) -> None:
    head = b"POST /v1/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with served(run_folder, tmp_path / "d.sqlite3") as server:
        port = int(server.url.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        for i, caller in enumerate(slow):
            caller.sendall(head + (b"Content-Length: 900\r\n\r\n{" if i % 2 else b""))
        reply = server.ask(GROUPS[0])
        for caller in slow:
            caller.close()
    assert reply.status_code == 200
    assert reply.elapsed.total_seconds() < 1.0


def test_a_short_answer_is_not_held_back(run_folder: Path, tmp_path: Path) -> None:
    with served(run_folder, tmp_path / "d.sqlite3") as server, server.client() as client:
        took = [client.get("/health/ready").elapsed.total_seconds() for _ in range(60)]
    assert statistics.median(took[20:]) < 0.03, "a delayed acknowledgement takes 0.04 s, every time"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_the_service_and_logs_are_one_json_a_line(
    run_folder: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    with served(run_folder, tmp_path / "d.sqlite3") as server:
        server.process.send_signal(sent)
        assert server.process.wait(timeout=30) == code
        assert not list(tmp_path.glob("*-wal")), "the store was closed: its one file holds everything"
        while b'"route": "/health/ready"' not in server.said:
            pass
    assert b"Traceback" not in server.said
