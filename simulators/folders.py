"""Output folders that are whole or absent: written beside the target, synced, then renamed into place.

A folder carries a marker, ``tarifa.json``, with its kind, its schema version and the SHA-256 of each file.
It decides two things: a reader trusts nothing whose bytes have changed, and a writer replaces nothing
that Tarifa did not write.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pricing.errors import ArtifactError, BusyError, UsageError
from pricing.marker import MARKER, Marker, aside

__all__ = [
    "MARKER",
    "Content",
    "Folder",
    "claim",
    "lock",
    "read_folder",
    "work_beside",
    "write_file",
    "write_folder",
]

Content = bytes | Callable[[Path], None]
"""Bytes to write, or a callable that writes the file at the path it is given."""

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
    errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip
"""What the system says of a place where this user cannot write, whatever the disk."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that Tarifa wrote, its marker read.

    Attributes
    ----------
    path
        Where it lies.
    marker
        What it says of itself: kind, schema version, digests.
    """

    path: Path
    marker: Marker

    @property
    def digests(self) -> tuple[tuple[str, str], ...]:
        """(file name, SHA-256 in hexadecimal) in ascending order of names."""
        return self.marker.digests

    def read(self, name: str) -> bytes:
        """Return the bytes of one file; raises :class:`ArtifactError` where the folder has no such file."""
        return self.file(name).read_bytes()

    def file(self, name: str) -> Path:
        """Return the path of one file; raises :class:`ArtifactError` where the folder has no such file."""
        if name not in dict(self.digests):
            raise ArtifactError(
                f"{self.path} holds no {name}.",
                why="It was written without it.",
                todo="Make the folder again with the command that writes it.",
            )
        return self.path / name


def write_folder(
    target: Path,
    kind: str,
    files: Mapping[str, Content],
    *,
    version: int = 1,
    editable: Collection[str] = (),
) -> Folder:
    """Write a whole folder, or nothing.

    Parameters
    ----------
    target
        Where the folder shall lie. A folder of the same kind that Tarifa wrote is replaced.
    kind, version
        What the folder is and the version of its schema; checked by :func:`read_folder`.
    files
        Content by file name (``/`` separates sub-folders).
    editable
        Names that the user may write or change by hand; such a file survives a replacement.

    Raises
    ------
    UsageError
        If `target` exists and is not such a folder, or cannot be written.
    BusyError
        If another process holds the folder or the disk is full.
    """
    with claim(target, kind, version=version, editable=editable) as draft:
        for name in sorted(files):
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _put(path, files[name])
    return read_folder(target, kind, version=version)


@contextmanager
def claim(
    target: Path, kind: str, *, version: int = 1, editable: Collection[str] = (), resumes: bool = False
) -> Generator[Path, None, None]:
    """Hold `target` and yield a temporary folder beside it; it takes the target's place on a clean exit.

    For work that takes long: a busy or foreign target is noticed before the work, not after it. Whatever
    lies in the temporary folder at the end becomes the folder; after an exception nothing of it remains.
    Arguments and errors are those of :func:`write_folder`; `resumes` says that the caller knows what to do
    with unfinished work (:mod:`simulators.unfinished`), which others refuse to write over.
    """
    final = target.resolve()
    draft, old = _beside(final, "new"), _beside(final, "old")
    with _disk(final):
        final.parent.mkdir(parents=True, exist_ok=True)
    with lock(final):
        with _disk(final):
            _sweep(final)
            _refuse_foreign(final, kind, editable)
            if not resumes:
                _refuse_unfinished(final)
            draft.mkdir()
        try:
            with _disk(final):
                yield draft
                _keep_edited(final, draft, editable)
                _seal(draft, kind, version, editable)
                if final.exists():
                    final.rename(old)
                draft.rename(final)
                _sync(final.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(work_beside(final), ignore_errors=True)


def work_beside(target: Path) -> Path:
    """Return where the pieces of an unfinished `target` lie; see :mod:`simulators.unfinished`."""
    return _beside(target, "work")


def read_folder(path: Path, kind: str, *, version: int = 1) -> Folder:
    """Read a folder's marker and verify every file against it.

    Parameters
    ----------
    path
        The folder.
    kind, version
        What it must be, and the newest schema that the caller reads.

    Raises
    ------
    ArtifactError
        If it is missing, was not written by Tarifa, is of another kind or a newer schema, or if a file is
        missing or its bytes have changed.
    """
    final = path.resolve()
    if not final.exists() and _beside(final, "old").exists():
        with lock(final):
            _sweep(final)
    marker = _marker(final)
    marker.require(kind, version, str(path))
    for name, _ in marker.digests:
        file = final / name
        marker.judge(name, _digest(file) if file.is_file() else None, str(path))
    return Folder(final, marker)


def write_file(target: Path, content: Content, *, secret: bool = False) -> None:
    """Write one output file whole or not at all, replacing a file of that name.

    Parameters
    ----------
    target, content
        Where and what.
    secret
        Only its owner may read it, from its first byte on; and a file that is there stays, with no error:
        of two processes that make a secret at once, both then read the first one's.

    Raises
    ------
    UsageError
        If `target` is a folder or cannot be written.
    BusyError
        If another process is writing it or the disk is full.
    """
    final = target.resolve()
    draft = _beside(final, "new")
    with _disk(final):
        if final.is_dir():
            raise UsageError(f"{target} is a folder; a file is to be written.", todo="Give a file name.")
        final.parent.mkdir(parents=True, exist_ok=True)
    with lock(final), _disk(final):
        try:
            if secret:
                if final.exists():
                    return
                draft.unlink(missing_ok=True)
                draft.touch(mode=0o600)
            _put(draft, content)
            _sync(draft)
            draft.replace(final)
            _sync(final.parent)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def lock(target: Path) -> Generator[None, None, None]:
    """Hold `target` (a file or folder, existing or not) against every other process that asks for it.

    Raises
    ------
    BusyError
        If another process holds it. The lock dies with its process, so none is ever left behind.
    """
    path = _beside(target.resolve(), "lock")
    with _disk(target):
        handle = _acquire(path, target)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path, target: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder removes the file as it lets go: a lock on a removed file guards nothing.
            if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise BusyError(
                f"{target} is in use by another process.", todo="Wait for it to end, or write elsewhere."
            ) from error
        os.close(handle)


def _beside(target: Path, role: str) -> Path:
    if not target.name:
        raise UsageError(f"{target} is no place to write to.", todo="Name a file or folder inside it.")
    return target.with_name(aside(target.name, role))


def _sweep(target: Path) -> None:
    """Undo what a killed process left: a half-written draft goes, a folder moved aside comes back."""
    old = _beside(target, "old")
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(_beside(target, "new"), ignore_errors=True)


def _refuse_foreign(target: Path, kind: str, editable: Collection[str]) -> None:
    if not target.exists() or (target.is_dir() and set(_names(target)) <= set(editable)):
        return
    todo = "Give another place, or move what is there away yourself."
    if not (target / MARKER).is_file():
        raise UsageError(
            f"{target} exists and was not written by Tarifa.", why="It stays as it is.", todo=todo
        )
    folder = _marker(target)
    if folder.kind != kind:
        raise UsageError(f"{target} is a {folder.kind} folder, not a {kind} folder.", todo=todo)
    known = {MARKER, *dict(folder.digests)}
    others = sorted(name for name in _names(target) if name not in known)
    if others:
        raise UsageError(
            f"{target} holds files that Tarifa did not write: {', '.join(others)}.",
            why="Replacing the folder would lose them.",
            todo=todo,
        )


def _refuse_unfinished(target: Path) -> None:
    if work_beside(target).exists():
        raise UsageError(
            f"{target} is unfinished work of another call.",
            why="Writing here would lose it.",
            todo=f"Give that call again to finish it, write elsewhere, or remove {work_beside(target)}.",
        )


def _keep_edited(target: Path, draft: Path, editable: Collection[str]) -> None:
    written = dict(_marker(target).digests) if (target / MARKER).is_file() else {}
    for name in sorted(editable):
        mine = target / name
        if mine.is_file() and _digest(mine) != written.get(name):
            shutil.copyfile(mine, draft / name)


def _seal(draft: Path, kind: str, version: int, editable: Collection[str]) -> None:
    names = _names(draft)
    for name in names:
        _sync(draft / name)
    marker = {
        "kind": kind,
        "version": version,
        "files": {name: _digest(draft / name) for name in names},
        "editable": sorted(set(editable) & set(names)),
    }
    path = draft / MARKER
    path.write_text(json.dumps(marker, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _sync(path)
    for folder in sorted({path.parent, *((draft / name).parent for name in names)}):
        _sync(folder)


def _marker(path: Path) -> Marker:
    if not path.is_dir():
        raise ArtifactError(f"There is no folder {path}.", todo="Check the path, or make it first.")
    try:
        content = (path / MARKER).read_bytes()
    except FileNotFoundError as error:
        raise Marker.absent(str(path)) from error
    return Marker.parse(content, str(path))


def _names(folder: Path) -> list[str]:
    """Return everything that lies in a folder, links and empty folders included, but not the way to it."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not _leads_on(p))


def _leads_on(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and any(path.iterdir())


def _put(path: Path, content: Content) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


def _digest(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk(target: Path) -> Generator[None, None, None]:
    """Turn the two failures of a disk that a user can act on into errors that say how."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise BusyError(
                f"There is no room left to write {target}.",
                why="The disk or quota is full; nothing was changed.",
                todo="Free some space or write elsewhere, and run the command again.",
            ) from error
        if error.errno in _REFUSED and _concerns(error, target):
            raise UsageError(
                f"{target} cannot be written: {error.strerror}.", todo="Give a place that you may write to."
            ) from error
        raise


def _concerns(error: OSError, target: Path) -> bool:
    """Whether it is the way to the target, or what lies beside it, that could not be written."""
    if not isinstance(error.filename, str):
        return False
    failed, beside = Path(error.filename).absolute(), target.absolute().parent
    return failed.is_relative_to(beside) or beside.is_relative_to(failed)
