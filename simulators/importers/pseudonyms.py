"""The key of a shop's pseudonyms: who a customer is can be told with it only, so it lies beside the data."""

from __future__ import annotations

import secrets
from pathlib import Path

from pricing.errors import UsageError
from simulators.folders import write_file

__all__ = ["read_key"]

_BYTES = 32


def read_key(path: Path, data: Path) -> bytes:
    """Read the key of a shop's pseudonyms, made at random the first time.

    Parameters
    ----------
    path
        File of the key, readable by its owner only.
    data
        The data folder, in which the key must not lie.

    Raises
    ------
    UsageError
        If the key lies inside the data folder, cannot be read or written, or is too short.
    """
    if path.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"The key {path} lies inside the data folder {data}.",
            why="Whoever has the data would have the key to its customers too.",
            todo="Give a path outside of it.",
        )
    if not path.exists():
        write_file(path, secrets.token_bytes(_BYTES), secret=True)
    try:
        key = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The key {path} cannot be read: {error.strerror}.", todo="Give a file that you may read."
        ) from error
    if len(key) < _BYTES:
        raise UsageError(
            f"The key {path} has {len(key)} bytes; it needs {_BYTES}.",
            todo="Give the file that held the key.",
        )
    return key
