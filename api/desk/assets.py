"""Files that the pages load: our own, and two libraries that `make setup` fetched beside the interpreter.

Each is served under its digest, so that a browser may keep it for ever and never mixes two versions.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from pricing.errors import ArtifactError

__all__ = ["KEPT", "Asset", "assets", "web_folder"]

KEPT = "public, max-age=31536000, immutable"
"""For how long a browser may keep a file that is named by its digest: for ever."""

_OWN = {"desk.css": "text/css", "desk.js": "text/javascript", "icon.svg": "image/svg+xml"}
_FETCHED = {
    "htmx.js": ("htmx.org/dist/htmx.min.js", "text/javascript"),
    "uplot.js": ("uplot/dist/uPlot.iife.min.js", "text/javascript"),
    "uplot.css": ("uplot/dist/uPlot.min.css", "text/css"),
}
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served."""

    url: str
    media_type: str
    content: bytes


def web_folder() -> Path:
    """Return where `make setup` put what the pages load of others."""
    return Path(sys.prefix) / "web" / "node_modules"


@cache
def assets(folder: Path) -> Mapping[str, Asset]:
    """Return every file of the pages by name.

    Parameters
    ----------
    folder
        See :func:`web_folder`.

    Raises
    ------
    ArtifactError
        If a library is missing: a page without it would look as if it worked.
    """
    own = resources.files("api.desk") / "static"
    found = {name: _asset(name, kind, (own / name).read_bytes()) for name, kind in _OWN.items()}
    for name, (place, kind) in _FETCHED.items():
        try:
            content = (folder / place).read_bytes()
        except OSError as error:
            raise ArtifactError(
                f"The pages cannot be shown: {place} is missing.",
                why="They need two libraries that are not part of this repository.",
                todo="Run `make setup`; it fetches them.",
            ) from error
        found[name] = _asset(name, kind, content)
    return found


def _asset(name: str, media_type: str, content: bytes) -> Asset:
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    return Asset(f"/desk/static/{digest}/{name}", media_type, content)
