"""Output folders against what users and systems do to them: links, odd files, names, secrets, full disks."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import ArtifactError, BusyError, TarifaError, UsageError
from pricing.pseudonyms import pseudonym, pseudonyms
from simulators.folders import MARKER, claim, lock, read_folder, write_file, write_folder
from simulators.importers.pseudonyms import read_key

_NAMES = st.sampled_from(["a", "b.bin", "deep/c", "deep/er/d", "ñ", "sp ace", "shop.toml"])
_FILES = st.dictionaries(_NAMES, st.binary(max_size=40), min_size=1, max_size=5)


def _tree(folder: Path) -> dict[str, str]:
    """Return everything that lies in a folder: what it is, and what it holds."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes().hex()
        else:
            found[name] = "folder" if path.is_dir() else "other"
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(_FILES, min_size=1, max_size=4))
def test_a_folder_is_always_the_last_one_written(
    tmp_path_factory: pytest.TempPathFactory, versions: list[dict[str, bytes]]
) -> None:
    target = tmp_path_factory.mktemp("f") / "run"
    for files in versions:
        folder = write_folder(target, "run", files)
        assert [name for name, _ in folder.digests] == sorted(files)
        assert {name: read_folder(target, "run").read(name) for name in files} == files
        assert {p.name for p in target.parent.iterdir()} == {"run"}
    mine = json.loads((target / MARKER).read_text())
    assert sorted(mine["files"]) == sorted(versions[-1])


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


ADDED: dict[str, Callable[[Path], object]] = {
    "file": lambda folder: (folder / "notes").write_text("mine"),
    "hidden file": lambda folder: (folder / ".env").write_text("mine"),
    "file in a folder": lambda folder: write_file(folder / "x" / "y", b"mine"),
    "empty folder": lambda folder: (folder / "photos").mkdir(),
    "empty folder in a folder": lambda folder: (folder / "x" / "photos").mkdir(parents=True),
    "link to a file": lambda folder: (folder / "l").symlink_to(__file__),
    "link to a folder": lambda folder: (folder / "l").symlink_to(folder.parent),
    "dangling link": lambda folder: (folder / "l").symlink_to("nowhere"),
    "pipe": _pipe,
}


@pytest.mark.parametrize("what", ADDED)
@pytest.mark.parametrize("ours", [True, False], ids=["in ours", "in theirs"])
def test_nothing_that_somebody_put_there_is_lost(tmp_path: Path, what: str, ours: bool) -> None:
    target = tmp_path / "run"
    if ours:
        write_folder(target, "run", {"a": b"1", "deep/b": b"2"})
    else:
        target.mkdir()
    ADDED[what](target)
    before = _tree(tmp_path)
    with pytest.raises(UsageError, match=r"did not write|not written by Tarifa"):
        write_folder(target, "run", {"a": b"new"})
    assert _tree(tmp_path) == before


def test_an_empty_folder_is_nobodys_and_a_link_to_one_is_followed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "ahead").symlink_to("later")
    write_folder(tmp_path / "link", "run", {"a": b"1"})
    write_folder(tmp_path / "ahead", "run", {"a": b"2"})
    assert (tmp_path / "link").is_symlink()
    assert read_folder(tmp_path / "empty", "run").read("a") == b"1"
    assert read_folder(tmp_path / "later", "run").read("a") == b"2"
    (tmp_path / "round").symlink_to("round")
    with pytest.raises((UsageError, RuntimeError)):
        write_folder(tmp_path / "round", "run", {"a": b"1"})


def test_places_where_nothing_can_lie(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for place in (
        Path("/"),
        Path("/proc/x"),
        Path("/proc/self/x/y"),
        Path("/dev/null/x"),
        tmp_path / "mine.txt/x",
    ):
        for write in (write_file, lambda path, content: write_folder(path, "run", {"a": content})):
            with pytest.raises(UsageError) as caught:
                write(place, b"x")
            assert caught.value.todo
    with pytest.raises(UsageError, match="not written by Tarifa"):
        write_folder(tmp_path / "mine.txt", "run", {"a": b""})
    assert _tree(tmp_path) == {"mine.txt": b"mine".hex()}


@pytest.mark.parametrize("name", ["n" * 256, "é" * 128, "n" * 245])
def test_a_name_that_is_too_long_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="File name too long"):
        write_file(tmp_path / name, b"x")
    with pytest.raises(UsageError, match="File name too long"):
        write_folder(tmp_path / name, "run", {"a": b"x"})
    assert list(tmp_path.iterdir()) == []


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _full(path: Path, number: int) -> None:
    path.write_bytes(b"new")
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", FULL)
def test_a_full_disk_in_the_middle_of_a_claim(tmp_path: Path, number: int) -> None:
    write_folder(tmp_path / "run", "run", {"a": b"old"})
    with pytest.raises(BusyError, match="no room left to write"), claim(tmp_path / "run", "run") as draft:
        _full(draft / "a", number)
    assert read_folder(tmp_path / "run", "run").read("a") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_failure_elsewhere_is_not_blamed_on_the_target(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for elsewhere in (tmp_path / "data.csv", Path("/nowhere/data.csv")):
        with pytest.raises(FileNotFoundError), claim(here / "run", "run"):
            elsewhere.read_bytes()
    with pytest.raises(UsageError, match="run cannot be written"), claim(here / "run", "run"):
        (here / ".run.tarifa-new" / "no" / "way").write_bytes(b"")
    with pytest.raises(ZeroDivisionError), claim(here / "run", "run"):
        _ = 1 // 0
    assert _tree(tmp_path) == {"here": "folder"}


def test_whoever_waits_for_nobody_is_told_at_once(tmp_path: Path) -> None:
    with claim(tmp_path / "run", "run") as draft:
        (draft / "a").write_bytes(b"1")
        for other in (tmp_path / "run", tmp_path / "x" / ".." / "run"):
            with pytest.raises(BusyError, match="in use by another process"):
                write_folder(other, "run", {"a": b"2"})
        write_folder(tmp_path / "run2", "run", {"a": b"3"})
    assert read_folder(tmp_path / "run", "run").read("a") == b"1"
    with lock(tmp_path / "file"), pytest.raises(BusyError):
        write_file(tmp_path / "file", b"")
    write_file(tmp_path / "file", b"x")


def test_a_secret_is_its_owners_from_the_first_byte_and_made_once(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(path: Path) -> None:
        seen.append(stat.S_IMODE(path.stat().st_mode))
        path.write_bytes(b"secret")

    (tmp_path / ".key.tarifa-new").write_bytes(b"left by a killed process, open to all")
    old = os.umask(0)
    try:
        write_file(tmp_path / "key", look, secret=True)
    finally:
        os.umask(old)
    assert seen == [0o600]
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    write_file(tmp_path / "key", b"another", secret=True)
    assert (tmp_path / "key").read_bytes() == b"secret"
    write_file(tmp_path / "open", b"1")
    write_file(tmp_path / "open", b"2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key", "open"]


def test_keys_are_random_and_their_place_is_checked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    keys = {read_key(tmp_path / f"key{i}", data) for i in range(5)}
    assert len(keys) == 5
    assert {len(key) for key in keys} == {32}
    (tmp_path / "inside").symlink_to(data / "key")
    for place in (data / "key", data / "x" / "key", data / ".." / "data" / "key", tmp_path / "inside", data):
        with pytest.raises(UsageError, match="lies inside the data folder"):
            read_key(place, data)
    read_key(tmp_path / "data.key", data)
    read_key(tmp_path / "database", data)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_key(tmp_path, data)


def _plain(identity: str) -> str:
    """Return what counts of an identity: neither blanks around it nor capitals of an e-mail address."""
    return identity.strip().lower() if "@" in identity else identity.strip()


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=32, max_size=64), st.lists(st.text(max_size=20), unique_by=_plain, max_size=20))
def test_pseudonyms_tell_customers_apart_and_nothing_else(key: bytes, customers: list[str]) -> None:
    pairs = pseudonyms(key, customers)
    assert [own for own, _ in pairs] == customers
    assert len({alias for _, alias in pairs}) == len(customers)
    for own, alias in pairs:
        assert alias == pseudonym(key, own)
        assert len(alias) == 32
        assert set(alias) <= set("0123456789abcdef")
        assert pseudonym(key[::-1] + b"x", own) != alias


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "../x"]), inner),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["kind", "version", "files", "editable"]), JSON))
def test_no_marker_makes_a_reader_stumble(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, object]
) -> None:
    target = tmp_path_factory.mktemp("m") / "run"
    write_folder(target, "run", {"a": b"as written"})
    marker = json.loads((target / MARKER).read_text())
    (target / MARKER).write_text(json.dumps({**marker, **changes}))
    told: TarifaError | None = None
    try:
        read_folder(target, "run")
    except ArtifactError as error:
        told = error
    if told is None:
        assert str({**marker, **changes}["kind"]) == "run"
    else:
        assert "run" in told.what


def test_what_lies_outside_a_folder_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    write_folder(tmp_path / "run", "run", {"a": b"1"})
    folder = read_folder(tmp_path / "run", "run")
    for name in ("../secret", str(tmp_path / "secret"), "A", "", "."):
        with pytest.raises(ArtifactError, match="holds no"):
            folder.read(name)
