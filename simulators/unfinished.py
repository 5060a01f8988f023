"""Work that takes long, kept piece by piece beside its output folder until the folder is whole.

A command that is stopped, in whatever way, goes on where it stopped when it is given again. What it has
done so far lies in a hidden folder beside the output, never in it: an output folder is whole or absent. The
recipe says what the work is made from; another recipe is another work and is refused, never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pricing.errors import ArtifactError, UsageError
from simulators.folders import claim, work_beside, write_file

__all__ = ["Pieces", "Work", "resumable"]

_RECIPE = "recipe.json"
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Pieces:
    """What is done of a work, by name.

    Attributes
    ----------
    folder
        Where the pieces lie, each behind its SHA-256; made with the first of them.
    recipe
        What the work is made from, as JSON; it lies beside them.
    """

    folder: Path
    recipe: bytes

    def read(self, name: str) -> bytes | None:
        """Return a piece, None where there is none; raises :class:`ArtifactError` where it is damaged."""
        path = self.folder / name
        if not path.is_file():
            return None
        content = path.read_bytes()
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            raise ArtifactError(
                f"The unfinished work in {path} is damaged.", todo="Start anew with --restart."
            )
        return content[_DIGEST:]

    def write(self, name: str, content: bytes) -> None:
        """Keep a piece, whole and on the disk before this returns; it replaces one of that name."""
        if not (self.folder / _RECIPE).is_file():
            write_file(self.folder / _RECIPE, self.recipe)
        write_file(self.folder / name, hashlib.sha256(content).digest() + content)


@dataclass(frozen=True, slots=True)
class Work:
    """An output folder in the making.

    Attributes
    ----------
    target
        Where it shall lie.
    draft
        Temporary folder that takes its place on a clean exit.
    """

    target: Path
    draft: Path

    def resume(self, recipe: Mapping[str, object], *, restart: bool = False) -> Pieces:
        """Return the pieces that an earlier call with the same recipe left, or none.

        Parameters
        ----------
        recipe
            All that the result follows from, JSON-able.
        restart
            Throw away whatever an earlier call left.

        Raises
        ------
        UsageError
            If another recipe's work is unfinished here; it names what differs.
        """
        folder = work_beside(self.target)
        mine = json.dumps(dict(recipe), indent=2, sort_keys=True)
        if restart or not (folder / _RECIPE).is_file():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            self._refuse_other(folder / _RECIPE, json.loads(mine))
        return Pieces(folder, mine.encode())

    def _refuse_other(self, path: Path, mine: Mapping[str, Any]) -> None:
        try:
            theirs = dict[str, Any](json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise ArtifactError(f"{path} is damaged.", todo="Start anew with --restart.") from error
        if theirs != mine:
            raise UsageError(
                f"{self.target} is unfinished work of another call.",
                why=f"It differs in {'; '.join(_differences(theirs, mine))}.",
                todo="Give that call again to finish it, add --restart to throw it away, or write elsewhere.",
            )


@contextmanager
def resumable(target: Path, kind: str, *, version: int = 1) -> Generator[Work]:
    """Hold `target` as :func:`simulators.folders.claim` does, for work whose pieces survive being stopped.

    They are removed when the folder takes its place. Arguments and errors are those of `claim`.
    """
    with claim(target, kind, version=version, resumes=True) as draft:
        yield Work(target.resolve(), draft)


def _differences(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> list[str]:
    """Return what differs between two recipes, nested names joined by dots."""
    found: list[str] = []
    for name in sorted({*theirs, *mine}):
        then: Any = theirs.get(name)
        now: Any = mine.get(name)
        if then.__class__ is now.__class__ is dict:
            found += [f"{name}.{inner}" for inner in _differences(then, now)]
        elif then != now:
            found.append(f"{name}: {_short(then)} then, {_short(now)} now")
    return found


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 20 else text[:12] + "..."
