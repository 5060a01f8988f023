"""One writer, many effects a commit: each stands or falls alone, and nobody hears before it is durable."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.storage.commit_queue import CommitQueue
from api.storage.ledger import Campaign, campaign, put_campaign
from api.storage.ledger_audit import Work, history, verify
from api.storage.statements import savepoint
from api.storage.store import Store
from pricing.errors import BusyError, ConflictError
from tests.api.test_ledger import Clock, open_ledger


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_ledger(tmp_path, Clock())
    yield store
    store.close()


def _put(name: str) -> Campaign:
    return Campaign(name, "EUR", 1)


def _write(work: Work, name: str) -> str:
    put_campaign(work, _put(name), ())
    return name


def _at_once(queue: CommitQueue, *effects: object) -> list[object]:
    """Hold the writer until all effects wait, so that one commit carries them."""
    told, held = list[object]([None] * len(effects)), threading.Event()

    def hold() -> None:
        with contextlib.suppress(BusyError):
            queue.submit(lambda _work: held.wait(10))

    first = threading.Thread(target=hold)
    first.start()
    while queue._waiting or queue._thread is None:
        time.sleep(0.001)

    def submit(place: int) -> None:
        effect = effects[place]
        assert callable(effect)
        try:
            told[place] = queue.submit(effect)
        except Exception as error:  # noqa: BLE001 - looked at below
            told[place] = error

    threads = [threading.Thread(target=submit, args=(place,)) for place in range(len(effects))]
    for count, thread in enumerate(threads):
        thread.start()
        while len(queue._waiting) <= count and thread.is_alive():
            time.sleep(0.001)
    held.set()
    for thread in (first, *threads):
        thread.join()
    return told


def test_one_that_is_refused_or_broken_harms_no_other(store: Store) -> None:
    def refused(work: Work) -> None:
        _write(work, "refused")
        raise ConflictError("No.")

    def broken(work: Work) -> None:
        _write(work, "broken")
        raise ZeroDivisionError

    def twice(work: Work) -> None:
        for _ in range(2):  # the second breaks a constraint of the table
            work.connection.exec_driver_sql("INSERT INTO campaigns VALUES ('twice', 'EUR', 1, 0, 0)")

    good = [partial(_write, name=name) for name in ("a", "b")]
    told = _at_once(store.commits, good[0], refused, broken, twice, good[1])
    assert (told[0], told[4]) == ("a", "b")
    assert isinstance(told[1], ConflictError)
    assert isinstance(told[2], ZeroDivisionError)
    assert "UNIQUE" in str(told[3])
    with store.database.reading() as connection:
        assert verify(connection) == 2
        for name, there in (("a", 1), ("b", 1), ("refused", 0), ("broken", 0), ("twice", 0)):
            assert (campaign(connection, name) is not None) == there, name
        assert [row.kind for row in history(connection, "a")] == ["campaign"]


def test_nobody_hears_before_the_commit_and_all_hear_when_it_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.database.require_file

    def fails() -> None:
        raise BusyError("The disk is gone.")

    monkeypatch.setattr(store.database, "require_file", fails)
    told = _at_once(store.commits, *(partial(_write, name=n) for n in ("a", "b")))
    assert [type(one) for one in told] == [BusyError, BusyError]
    monkeypatch.setattr(store.database, "require_file", real)
    assert store.commits.submit(lambda work: _write(work, "c")) == "c"


def test_some_that_are_handed_in_together_are_one_commit_or_none(store: Store) -> None:
    def refused(work: Work) -> str:
        _write(work, "refused")
        raise ConflictError("No.")

    queue = CommitQueue(store.database, most_waiting=4)
    some: list[Callable[[Work], str]] = [partial(_write, name="a"), refused, partial(_write, name="b")]
    made = queue.submit_all(some)
    assert (made[0].result(10), made[2].result(10)) == ("a", "b")
    with pytest.raises(ConflictError):
        made[1].result(10)
    with pytest.raises(BusyError, match="Too many"):
        queue.submit_all([partial(_write, name=f"c{i}") for i in range(5)])
    queue.close()
    with store.database.reading() as connection:
        assert [campaign(connection, name) is not None for name in ("a", "b", "refused", "c0")] == [
            True, True, False, False
        ]  # fmt: skip
        when = {history(connection, name)[0].recorded_at for name in ("a", "b")}
    assert len(when) == 1, "one transaction, one moment"


def test_a_full_disk_is_told_to_all_and_then_over(store: Store) -> None:
    with store.database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    long = "x" * 200_000

    def big(work: Work) -> None:
        work.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        work.add("big", "big", text=long)

    with pytest.raises(BusyError, match="full"):
        store.commits.submit(big)

    def freed(work: Work) -> str:
        work.connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        return _write(work, "a")

    assert store.commits.submit(freed) == "a"
    with store.database.reading() as connection:
        assert verify(connection) == 1


def test_too_many_that_wait_are_turned_away(store: Store) -> None:
    queue = CommitQueue(store.database, most_waiting=2)
    told = _at_once(queue, *(partial(_write, name=n) for n in "abcd"))
    assert told[:2] == ["a", "b"]
    assert [type(one) for one in told[2:]] == [BusyError, BusyError]
    queue.close()


def test_what_waits_is_carried_out_before_it_closes_and_nothing_after(store: Store) -> None:
    told = _at_once(store.commits, lambda work: _write(work, "a"), lambda _work: store.commits._closed)
    assert told == ["a", False]
    store.commits.close()
    with pytest.raises(BusyError):
        store.commits.submit(lambda work: _write(work, "b"))


def test_a_savepoint_undoes_its_own_and_no_more(store: Store) -> None:
    with store.database.writing() as transaction:
        work = Work(transaction)
        _write(work, "a")
        with contextlib.suppress(KeyError), savepoint(transaction.connection):
            _write(work, "b")
            raise KeyError
        with savepoint(transaction.connection):
            _write(work, "c")
    with store.database.reading() as connection:
        found = [campaign(connection, name) is not None for name in "abc"]
    assert found == [True, False, True]


def test_many_threads_share_few_commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commits, real = list[int](), CommitQueue._carry_out

    def counted(self: CommitQueue, transaction: Any, some: Any) -> Any:
        commits.append(len(some))
        time.sleep(0.002)
        return real(self, transaction, some)

    def work(number: int) -> None:
        for i in range(20):
            store.commits.submit(partial(_write, name=f"{number} {i}"))

    monkeypatch.setattr(CommitQueue, "_carry_out", counted)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(commits) == 320
    assert len(commits) < 100
    with store.database.reading() as connection:
        assert verify(connection) == 320


def test_one_who_asks_alone_after_a_crowd_waits_for_nobody_for_long(store: Store) -> None:
    crowd = [partial(_write, name=str(i)) for i in range(20)]
    assert [one.result() for one in store.commits.submit_all(crowd)] == [str(i) for i in range(20)]
    assert not store.commits._full()
    assert store.commits.submit(partial(_write, name="alone")) == "alone"
    assert store.commits._last == 1
