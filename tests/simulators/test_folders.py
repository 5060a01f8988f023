from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pricing.errors import ArtifactError, BusyError, UsageError
from simulators.folders import MARKER, lock, read_folder, write_file, write_folder


def _write(path: Path) -> None:
    path.write_text("written by a callable")


def _nothing_beside(target: Path) -> bool:
    return sorted(p.name for p in target.parent.iterdir()) == ([target.name] if target.exists() else [])


def test_a_folder_is_written_whole_read_back_and_replaced(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write_folder(target, "run", {"a.bin": b"one", "deep/b.txt": _write})
    folder = read_folder(target, "run")
    assert [name for name, _ in folder.digests] == ["a.bin", "deep/b.txt"]
    assert folder.read("deep/b.txt") == b"written by a callable"
    first = (target / MARKER).read_bytes()
    write_folder(target, "run", {"a.bin": b"two"})
    assert read_folder(target, "run").read("a.bin") == b"two"
    assert not (target / "deep").exists()
    write_folder(target, "run", {"a.bin": b"one", "deep/b.txt": _write})
    assert (target / MARKER).read_bytes() == first
    assert _nothing_beside(target)


@pytest.mark.parametrize("content", [{"mine.txt": "keep"}, {MARKER: '{"kind":"run"'}])
def test_a_foreign_or_damaged_target_is_never_replaced(tmp_path: Path, content: dict[str, str]) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    for name, text in content.items():
        (target / name).write_text(text)
    with pytest.raises((UsageError, ArtifactError)):
        write_folder(target, "run", {"a": b""})
    assert {p.name: p.read_text() for p in target.iterdir()} == content
    assert _nothing_beside(target)


def test_another_kind_and_added_files_are_not_replaced(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", "data", {"a": b""})
    with pytest.raises(UsageError, match="data folder, not a run folder"):
        write_folder(tmp_path / "data", "run", {"a": b""})
    (tmp_path / "data" / "costs.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"costs\.csv"):
        write_folder(tmp_path / "data", "data", {"a": b""})
    assert (tmp_path / "data" / "costs.csv").read_text() == "mine"


def test_a_file_edited_by_hand_survives_a_new_import(tmp_path: Path) -> None:
    target = tmp_path / "data"
    for text in (b"template", b"new template"):
        write_folder(target, "data", {"shop.toml": text}, editable=("shop.toml",))
        assert (target / "shop.toml").read_bytes() == text
    (target / "shop.toml").write_bytes(b"mine")
    write_folder(target, "data", {"shop.toml": b"template"}, editable=("shop.toml",))
    assert read_folder(target, "data").read("shop.toml") == b"mine"


def test_a_file_written_by_hand_beforehand_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "shop.toml").write_bytes(b"mine")
    write_folder(target, "data", {"shop.toml": b"template", "a": b"1"}, editable=("shop.toml",))
    assert read_folder(target, "data").read("shop.toml") == b"mine"


def test_an_exception_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write_folder(target, "run", {"a": b"old"})

    def fails(path: Path) -> None:
        path.write_bytes(b"new")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_folder(target, "run", {"a": fails})
    assert read_folder(target, "run").read("a") == b"old"
    assert _nothing_beside(target)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda p: (p / "a").write_bytes(b"changed"), "has changed"),
        (lambda p: (p / "a").unlink(), "is missing"),
        (lambda p: (p / MARKER).write_bytes(b"{}"), "is damaged"),
        (lambda p: (p / MARKER).write_bytes(b"\xff\x00"), "is damaged"),
        (lambda p: (p / MARKER).write_bytes(b"[]"), "is damaged"),
        (lambda p: (p / MARKER).unlink(), "not written by Tarifa"),
        (lambda p: p.rename(p.with_name("gone")), "no folder"),
    ],
)
def test_reading_refuses_what_is_not_as_it_was_written(tmp_path: Path, harm: object, message: str) -> None:
    target = tmp_path / "run"
    write_folder(target, "run", {"a": b"as written"})
    assert callable(harm)
    harm(target)
    with pytest.raises(ArtifactError, match=message):
        read_folder(target, "run")


def test_reading_refuses_another_kind_and_a_newer_schema(tmp_path: Path) -> None:
    write_folder(tmp_path / "run", "run", {"a": b""}, version=2)
    with pytest.raises(ArtifactError, match="policy folder is needed"):
        read_folder(tmp_path / "run", "policy", version=2)
    with pytest.raises(ArtifactError, match="up to 1"):
        read_folder(tmp_path / "run", "run", version=1)
    with pytest.raises(ArtifactError, match="holds no b"):
        read_folder(tmp_path / "run", "run", version=2).read("b")


def _hold(target: Path, ready: multiprocessing.synchronize.Event) -> None:
    with lock(target):
        ready.set()
        time.sleep(60)


def test_two_processes_on_one_folder_and_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    target = tmp_path / "run"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(target, ready))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(BusyError, match="another process"):
            write_folder(target, "run", {"a": b""})
    finally:
        other.kill()
        other.join()
    write_folder(target, "run", {"a": b""})
    assert _nothing_beside(target)


_KILLED = """
import sys, time
from pathlib import Path
from simulators.folders import claim
with claim(Path(sys.argv[1]), "run") as draft:
    (draft / "a").write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_leftovers_of_a_killed_run_are_cleaned_up(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write_folder(target, "run", {"a": b"old"})
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(target)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert not _nothing_beside(target)
    assert read_folder(target, "run").read("a") == b"old"
    write_folder(target, "run", {"a": b"new"})
    assert _nothing_beside(target)


def test_a_run_killed_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write_folder(target, "run", {"a": b"old"})
    target.rename(tmp_path / ".run.tarifa-old")
    assert read_folder(target, "run").read("a") == b"old"
    assert _nothing_beside(target)


def test_a_full_disk_says_what_to_do_and_changes_nothing(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        path.write_bytes(b"part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_folder(tmp_path / "run", "run", {"a": b"old"})
    with pytest.raises(BusyError, match="Free some space"):
        write_folder(tmp_path / "run", "run", {"a": full})
    assert read_folder(tmp_path / "run", "run").read("a") == b"old"
    with pytest.raises(BusyError, match="Free some space"):
        write_file(tmp_path / "out.parquet", full)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_one_file_is_replaced_whole(tmp_path: Path) -> None:
    write_file(tmp_path / "out" / "a.json", json.dumps([1]).encode())
    write_file(tmp_path / "out" / "a.json", _write)
    assert (tmp_path / "out" / "a.json").read_text() == "written by a callable"
    with pytest.raises(UsageError, match="is a folder"):
        write_file(tmp_path / "out", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        write_file(tmp_path / "file" / "a.json", b"")
