from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from api.storage.sqlite import url_of
from api.storage.store import Entry, Filter, Request, Run, Store
from pricing.errors import ArtifactError, BusyError, UsageError
from tests.api.runs import NOON

RUN = Run("0000000a", "0000000a" + "0" * 56, {"policy": "resolve"})


def _store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'd.sqlite3'}", lambda: NOON)


def _entries(*numbers: int) -> list[Entry]:
    return [Entry(f"{i:032x}", f"g{i}", "all" if i % 2 else "north", {"price": i}) for i in numbers]


def test_what_is_recorded_is_read_back_in_the_order_asked(tmp_path: Path) -> None:
    store = _store(tmp_path)
    with store.writing() as transaction:
        transaction.record(RUN, _entries(1, 2, 3))
    again = _store(tmp_path)
    rows = again.read([f"{i:032x}" for i in (3, 1, 9)])
    assert [row.content for row in rows] == [{"price": 3}, {"price": 1}]
    assert rows[0].recorded_at == NOON.isoformat()
    assert again.run(RUN.number) == RUN
    assert again.run("ffffffff") is None


@pytest.mark.parametrize("url", ["nosuch://x", "postgresql+nosuch://localhost/x", "://"])
def test_a_database_that_cannot_be_used_here_is_said_so(url: str) -> None:
    with pytest.raises(UsageError, match="--store"):
        Store(url, lambda: NOON)


def test_nothing_is_recorded_twice_and_the_chain_holds(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for numbers in ((1, 2), (2, 3), (1, 3)):
        with store.writing() as transaction:
            transaction.record(RUN, _entries(*numbers))
    assert store.verify() == 3
    assert [row.seq for row in store.page(Filter(), 0, 10)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE decisions SET content = '{\"price\":7}' WHERE seq = 2", "Row 2"),
        ("UPDATE decisions SET recorded_at = 'earlier' WHERE seq = 1", "Row 1"),
        ("DELETE FROM decisions WHERE seq = 2", "Row 3"),
        ("DELETE FROM decisions WHERE seq = 3", "end of the decision chain"),
    ],
)
def test_tampering_shows(tmp_path: Path, change: str, says: str) -> None:
    store = _store(tmp_path)
    with store.writing() as transaction:
        transaction.record(RUN, _entries(1, 2, 3))
    with sqlite3.connect(tmp_path / "d.sqlite3") as direct:
        direct.execute(change)
    direct.close()
    with pytest.raises(ArtifactError, match=says):
        store.verify()


def test_pages_follow_the_chain_and_filter(tmp_path: Path) -> None:
    store = _store(tmp_path)
    with store.writing() as transaction:
        transaction.record(RUN, _entries(*range(1, 8)))
    assert [row.seq for row in store.page(Filter(), 2, 3)] == [3, 4, 5]
    assert [row.seq for row in store.page(Filter(zone="north"), 2, 9)] == [4, 6]
    assert [row.seq for row in store.page(Filter(price_group="g5"), 0, 9)] == [5]
    assert store.page(Filter(run="ffffffff"), 0, 9) == ()


def test_a_failure_inside_leaves_nothing(tmp_path: Path) -> None:
    store = _store(tmp_path)

    def fails() -> None:
        with store.writing() as transaction:
            transaction.record(RUN, _entries(1))
            transaction.remember(Request("key", "print", {}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert store.verify() == 0
    with store.writing() as transaction:
        assert transaction.request("key") is None


def test_two_runs_never_share_a_number(tmp_path: Path) -> None:
    store = _store(tmp_path)
    with store.writing() as transaction:
        transaction.record(RUN, _entries(1))
    with pytest.raises(ArtifactError, match="0000000a"), store.writing() as transaction:
        transaction.record(Run(RUN.number, "1" * 64, {}), _entries(2))
    assert store.verify() == 1


def test_threads_write_one_chain(tmp_path: Path) -> None:
    store = _store(tmp_path)

    def work(start: int) -> None:
        for i in range(start, start + 10):
            with store.writing() as transaction:
                transaction.record(RUN, _entries(i))

    threads = [threading.Thread(target=work, args=(10 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.verify() == 40


def test_two_stores_on_one_file_write_one_chain(tmp_path: Path) -> None:
    one, two = _store(tmp_path), _store(tmp_path)
    for i in range(6):
        with (one, two)[i % 2].writing() as transaction:
            transaction.record(RUN, _entries(i))
    assert one.verify() == two.verify() == 6


def test_commits_are_durable(tmp_path: Path) -> None:
    store = _store(tmp_path)
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_locked_full_or_foreign_file_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store(tmp_path)
    with store.database.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")
    holder = sqlite3.connect(tmp_path / "d.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError, match="locked"):
        store.ping()
    holder.execute("ROLLBACK")
    holder.close()
    with store.database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(BusyError, match="full"), store.writing() as transaction:
        transaction.record(RUN, [Entry("1" * 32, "g", "all", {"long": "x" * 100_000})])
    (tmp_path / "text.sqlite3").write_text("this is no database at all, only some text" * 20)
    with pytest.raises(ArtifactError, match="no decision store"):
        Store(f"sqlite:///{tmp_path / 'text.sqlite3'}", lambda: NOON)


def test_a_place_that_is_no_file_is_refused(tmp_path: Path) -> None:
    memory = ("sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true")
    for url in (*memory, "sqlite:///file:x?mode=memory&cache=shared&uri=true"):
        with pytest.raises(UsageError, match="memory"):
            Store(url, lambda: NOON)
    with pytest.raises(UsageError, match="no folder"):
        Store(f"sqlite:///{tmp_path / 'nowhere' / 'd.sqlite3'}", lambda: NOON)
    with pytest.raises(UsageError, match="is a folder"):
        Store(f"sqlite:///{tmp_path}", lambda: NOON)


def test_a_file_of_any_name_is_a_store(tmp_path: Path) -> None:
    for name in ("a b", "what?", "50%", "#1", "ñ"):
        Store(url_of(str(tmp_path / name)), lambda: NOON).close()
        assert (tmp_path / name).stat().st_size > 0


def test_a_store_that_is_read_only_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    _store(tmp_path).close()
    with pytest.raises(BusyError, match="readonly"):
        Store(f"sqlite:///file:{tmp_path / 'd.sqlite3'}?mode=ro&uri=true", lambda: NOON)


@pytest.mark.parametrize("loss", ["d.sqlite3", "d.sqlite3-wal"])
def test_a_store_that_was_deleted_while_open_records_nothing_more(tmp_path: Path, loss: str) -> None:
    store = _store(tmp_path)
    (tmp_path / loss).unlink()
    with pytest.raises(ArtifactError, match=loss), store.writing() as transaction:
        transaction.record(RUN, _entries(1))


def test_a_store_that_was_replaced_while_open_records_nothing_more(tmp_path: Path) -> None:
    store = _store(tmp_path)
    shutil.copy(tmp_path / "d.sqlite3", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "d.sqlite3")
    with pytest.raises(ArtifactError, match="replaced"):
        store.ping()


def test_a_disk_without_room_is_told_before_it_fails(tmp_path: Path) -> None:
    file = _store(tmp_path).database._file
    assert file is not None
    left = shutil.disk_usage(tmp_path).free
    file.require_room(left // 2)
    with pytest.raises(BusyError, match="full"):
        file.require_room(left * 2)


def test_what_is_recorded_is_known_by_zone_and_group(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.zones() == ()
    with store.writing() as transaction:
        transaction.record(RUN, _entries(1, 2))
    assert store.zones() == ("all", "north")
    assert store.holds(Filter(zone="north"))
    assert store.holds(Filter(price_group="g1", zone="all"))
    assert not store.holds(Filter(price_group="g1", zone="north"))


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    _store(tmp_path).close()
    with sqlite3.connect(tmp_path / "d.sqlite3") as direct:
        direct.execute("UPDATE schema_version SET version = 99")
    direct.close()
    with pytest.raises(ArtifactError, match="schema 99"):
        _store(tmp_path)


def test_subjects_lie_apart_from_decisions(tmp_path: Path) -> None:
    _store(tmp_path)
    with sqlite3.connect(tmp_path / "d.sqlite3") as direct:
        columns = {
            table: {row[1] for row in direct.execute(f"PRAGMA table_info({table})")}
            for table in ("decisions", "subjects")
        }
    direct.close()
    assert columns["subjects"] == {"pseudonym", "content", "recorded_at"}
    assert "pseudonym" not in columns["decisions"]


def test_a_store_of_schema_1_is_read_and_goes_on(tmp_path: Path) -> None:
    """It called the digest of a joint decision its passport; nothing else has changed since."""
    place = tmp_path / "d.sqlite3"
    store = _store(tmp_path)
    with store.writing() as transaction:
        transaction.record(RUN, _entries(1))
    store.close()
    with sqlite3.connect(place) as direct:
        direct.execute("ALTER TABLE runs RENAME COLUMN provenance_digest TO passport")
        direct.execute("UPDATE schema_version SET version = 1")
    direct.close()
    newer = _store(tmp_path)
    assert newer.run(RUN.number) == RUN
    with newer.writing() as transaction:
        transaction.record(RUN, _entries(2))
    newer.close()
    assert _store(tmp_path).verify() == 2
