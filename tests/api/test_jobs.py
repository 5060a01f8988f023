from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.jobs import ProcessPool
from pricing.errors import BusyError, UsageError
from pricing.executor import Executor


def square(value: int) -> int:
    return value * value


def killed_once(marker: str) -> str:
    """Die by SIGKILL the first time, answer the second time."""
    path = Path(marker)
    if path.suffix == ".kill" and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.stem


def always_killed(_value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def fails(value: int) -> int:
    if value == 2:
        raise UsageError("item 2 is wrong", why="because", todo="give another")
    return value


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(2) as pool:
        yield pool


def test_results_come_in_order_with_progress(pool: ProcessPool) -> None:
    executor: Executor = pool
    seen: list[tuple[int, int]] = []
    told = lambda done, all_: seen.append((done, all_))  # noqa: E731 - one line is enough here
    assert list(executor.submit(square, range(20), progress=told)) == [i * i for i in range(20)]
    assert seen == [(i + 1, 20) for i in range(20)]


def test_what_is_known_is_not_done_again(pool: ProcessPool) -> None:
    assert list(pool.submit(square, [1, 2, 3], done={0: -1, 2: -3})) == [-1, 4, -3]
    assert list(pool.submit(square, [])) == []


def test_a_killed_worker_costs_only_its_item(pool: ProcessPool, tmp_path: Path) -> None:
    items = [str(tmp_path / f"{i}{'.kill' if i == 3 else '.txt'}") for i in range(8)]
    assert list(pool.submit(killed_once, items)) == [str(i) for i in range(8)]


def test_an_item_that_kills_every_worker_is_an_error(pool: ProcessPool) -> None:
    with pytest.raises(BusyError, match="item 0 of 2"):
        list(pool.submit(always_killed, [1, 2]))


def test_an_error_of_the_task_arrives_whole(pool: ProcessPool) -> None:
    results = pool.submit(fails, [1, 2, 3])
    assert next(results) == 1
    with pytest.raises(UsageError, match="item 2 is wrong") as caught:
        next(results)
    assert (caught.value.why, caught.value.todo) == ("because", "give another")


def test_cancelling_keeps_what_is_ready() -> None:
    with ProcessPool(1) as pool:
        results = pool.submit(square, range(200))
        first = [next(results), next(results)]
        pool.cancel()
        with pytest.raises(BusyError, match="Stopped before item"):
            first += list(results)
    assert first[:2] == [0, 1]


def test_no_workers_is_refused() -> None:
    with pytest.raises(UsageError):
        ProcessPool(0)


_PARENT = """
import os, sys
from api.jobs import ProcessPool
if __name__ == "__main__":
    with ProcessPool(2) as pool:
        print(*sorted(set(pool.submit(_who, range(40)))), flush=True)
        sys.stdin.read()
"""


def _runs(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks processes up in /proc")
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT.replace("if __name__", "def _who(_):\n    return os.getpid()\nif __name__"))
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert workers
        assert all(_runs(pid) for pid in workers)
        parent.kill()
    end = time.monotonic() + 20
    while any(_runs(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in workers)
