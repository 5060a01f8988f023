"""Which shop platforms Tarifa knows, and what of them lies at a place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pricing.errors import DataError
from simulators.importers.platform import ExportFile, Platform
from simulators.importers.shopify import SHOPIFY
from simulators.importers.woocommerce import WOOCOMMERCE

__all__ = ["PLATFORMS", "platform_named", "recognise"]

PLATFORMS: Final[tuple[Platform, ...]] = (SHOPIFY, WOOCOMMERCE)
"""Every platform, in the order in which a file is shown to them."""

_ENDINGS = (".csv", ".json", ".jsonl", ".ndjson")


def recognise(source: Path) -> tuple[ExportFile, ...]:
    """Return the files of a shop platform at a place, empty if there is none.

    Parameters
    ----------
    source
        One file, or a folder; beside one file the product exports that lie in its folder belong to it.

    Raises
    ------
    DataError
        If files of several platforms lie there, or an empty one.
    """
    folder = source if source.is_dir() else source.parent
    lying = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and path.is_file())
    found = tuple(file for file in map(_recognised, lying) if file is not None)
    if not source.is_dir():
        own = next((file for file in found if file.path == source), None)
        if own is None:
            return ()
        found = (own, *(file for file in found if _belongs(own, file)))
    names = sorted({file.platform for file in found})
    if len(names) > 1:
        raise DataError(
            f"{folder} holds exports of {' and '.join(names)}.",
            why="One data folder is one shop.",
            todo="Keep those of one of them.",
        )
    return found


def platform_named(name: str) -> Platform:
    """Return a platform by its name."""
    return next(platform for platform in PLATFORMS if platform.name == name)


def _recognised(path: Path) -> ExportFile | None:
    if not path.stat().st_size:
        raise DataError(
            f"{path.name} is empty (0 bytes).", why="An export was probably cut off.", todo="Export it again."
        )
    for platform in PLATFORMS:
        found = platform.recognise(path)
        if found is not None:
            return found
    return None


def _belongs(own: ExportFile, file: ExportFile) -> bool:
    """Whether a file beside the one that was named belongs to it: products, refunds; never other orders."""
    return own.platform == file.platform and own.holds == "orders" and file.holds != "orders"
