"""Secrets of ways out: from the environment, or from a file that nobody but its owner may read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pricing.errors import SettingsError

__all__ = ["private_text"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_text(file: Path, how: str) -> str:
    """Return the text of a file that holds a secret.

    Parameters
    ----------
    file
        The file.
    how
        What to do where there is none, for its error.

    Raises
    ------
    SettingsError
        If it cannot be read, is no text, or others than its owner may read or change it.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            text = "" if mode & _OTHERS else stream.read()
    except OSError as error:
        raise SettingsError(f"The secret file {file} cannot be read: {error.strerror}.", todo=how) from error
    except ValueError as error:
        raise SettingsError(f"The secret file {file} is no text.", todo=how) from error
    if mode & _OTHERS:
        raise SettingsError(
            f"Others than its owner may read or change {file} (mode {mode:04o}).",
            why="Whoever has what is in it can set the shop's prices.",
            todo=f"Run `chmod 600 {file}`; if others could read it, make a new key.",
        )
    return text
