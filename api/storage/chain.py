"""Rows that nobody changes afterwards: each holds the hash of the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pricing.errors import ArtifactError

__all__ = ["GENESIS", "broken", "canonical", "link"]

GENESIS = "0" * 64
"""What the first row follows."""


def canonical(content: Mapping[str, object]) -> str:
    """Return JSON of which there is only one for the same content."""
    return json.dumps(dict(content), sort_keys=True, separators=(",", ":"), allow_nan=False)


def link(previous: str, *parts: str) -> str:
    """Return the hash of a row with these parts, which follows the row whose hash is `previous`."""
    return hashlib.sha256("\n".join((previous, *parts)).encode()).hexdigest()


def broken(what: str) -> ArtifactError:
    """Return what is said of a row that is not what was recorded."""
    return ArtifactError(
        f"{what} is not what was recorded.",
        why="Its hash does not follow from the rows before it: the store was changed from outside.",
        todo="Restore the store from a backup.",
    )
