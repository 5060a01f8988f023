"""The marker of a folder that Tarifa wrote: what it is and what its files must be, read and judged purely.

Whoever reads a folder (the batch commands, the server) reads bytes and takes digests; whether they may be
trusted is decided here, once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pricing.errors import ArtifactError

__all__ = ["MARKER", "Marker", "aside"]

MARKER = "tarifa.json"
"""Name of the marker file inside every folder that Tarifa writes."""

_AGAIN = "Make the folder again with the command that writes it."


def aside(name: str, role: str) -> str:
    """Return the hidden name, beside an output called `name`, of what is kept there while it is written.

    `role` is ``new`` (the draft), ``old`` (what it replaces, from one rename to the next), ``lock`` or
    ``work``.
    """
    return f".{name}.tarifa-{role}"


@dataclass(frozen=True, slots=True)
class Marker:
    """What ``tarifa.json`` says.

    Attributes
    ----------
    kind
        What the folder is: ``data``, ``run``, ``policy``, ...
    version
        Version of that kind's schema.
    digests
        (file name, SHA-256 in hexadecimal) in ascending order of names; names use ``/``.
    editable
        Files that the user may change by hand; their digests are not enforced.
    """

    kind: str
    version: int
    digests: tuple[tuple[str, str], ...]
    editable: tuple[str, ...] = ()

    @staticmethod
    def parse(content: bytes, place: str) -> Marker:
        """Read the bytes of a marker; `place` names its folder in errors.

        Raises
        ------
        ArtifactError
            If they are damaged.
        """
        try:
            marker = json.loads(content)
            digests = {str(name): str(value) for name, value in marker["files"].items()}
            editable = tuple(str(name) for name in marker["editable"])
            return Marker(
                str(marker["kind"]), int(marker["version"]), tuple(sorted(digests.items())), editable
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{place}/{MARKER} is damaged.", why=f"{type(error).__name__}: {error}.", todo=_AGAIN
            ) from error

    @staticmethod
    def absent(place: str) -> ArtifactError:
        """Return the error for a folder without a marker."""
        return ArtifactError(
            f"{place} was not written by Tarifa.", why=f"It has no {MARKER}.", todo="Check the path."
        )

    def require(self, kind: str, version: int, place: str) -> None:
        """Refuse another kind of folder, or a schema newer than `version`."""
        if self.kind != kind:
            raise ArtifactError(
                f"{place} is a {self.kind} folder; a {kind} folder is needed here.",
                todo=f"Give the path of a {kind} folder.",
            )
        if self.version > version:
            raise ArtifactError(
                f"{place} has schema {self.version}; this Tarifa reads {kind} folders up to {version}.",
                todo="Update Tarifa.",
            )

    def judge(self, name: str, found: str | None, place: str) -> None:
        """Refuse a file that is gone, or whose bytes are not those that were written.

        Parameters
        ----------
        name
            File name as in :attr:`digests`.
        found
            SHA-256 of its bytes now; None where there is no such file.
        place
            The folder, for the message.
        """
        if found is None:
            raise ArtifactError(f"{place}/{name} is missing.", why="The folder is incomplete.", todo=_AGAIN)
        if name not in self.editable and dict(self.digests)[name] != found:
            raise ArtifactError(
                f"{place}/{name} has changed since Tarifa wrote it.",
                why="Its SHA-256 differs from the one in the folder's marker, so it cannot be trusted.",
                todo=_AGAIN,
            )
