"""Reading a run folder for serving: bytes and digests, nothing that the batch side needs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from policies.serve.shelf import CATALOGUE_FILE, CORRIDOR_FILE, MODEL_FILE, PLANS_FILE, Shelf
from pricing.errors import ArtifactError
from pricing.marker import MARKER, Marker

__all__ = ["ORIGIN_FILE", "RUN_KIND", "RUN_VERSION", "data_name", "open_shelf", "run_id", "verified"]

ORIGIN_FILE = "run.json"
"""File of a run folder that says where it came from."""

RUN_KIND, RUN_VERSION = "run", 1
"""Kind and newest schema of run folders that can be served."""

_CHUNK = 1 << 20


def verified(path: Path, kind: str, version: int) -> Marker:
    """Return a folder's marker once every file has been checked against it.

    Raises
    ------
    ArtifactError
        If the folder is missing, foreign, of another kind or a newer schema, or a file is gone or changed.
    """
    if not path.is_dir():
        raise ArtifactError(f"There is no folder {path}.", todo="Check the path, or make it first.")
    place = str(path)
    try:
        content = (path / MARKER).read_bytes()
    except FileNotFoundError as error:
        raise Marker.absent(place) from error
    marker = Marker.parse(content, place)
    marker.require(kind, version, place)
    for name, _ in marker.digests:
        marker.judge(name, _digest(path / name), place)
    return marker


def open_shelf(path: Path) -> Shelf:
    """Read what a run knows of the shop, every digest of the folder verified.

    Raises
    ------
    ArtifactError
        As :func:`verified`, or if the run was saved without a catalogue.
    """
    marker = verified(path, RUN_KIND, RUN_VERSION)
    names = (MODEL_FILE, CATALOGUE_FILE, CORRIDOR_FILE, PLANS_FILE)
    missing = [name for name in names if name not in dict(marker.digests)]
    if missing:
        raise ArtifactError(
            f"{path} holds no {' and no '.join(missing)}.",
            why="Without prices, costs, rules and plans nothing can be recommended.",
            todo="Give a costs table or a [cost_assumption] in shop.toml, then fit again.",
        )
    written = "\n".join(f"{name} {value}" for name, value in marker.digests)
    model, catalogue, corridor, plans = ((path / name).read_bytes() for name in names)
    number = hashlib.sha256(written.encode()).hexdigest()
    return Shelf.from_files(model, catalogue, corridor, plans, number)


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, None where there is none."""
    if not path.is_file():
        return None
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def data_name(path: Path) -> str:
    """Return the name of the data folder that a run was fitted on; its marker must have been verified."""
    return _origin(path, "data_name")


def run_id(path: Path) -> str:
    """Return the `run_id` of a run's output tables; its marker must have been verified."""
    return _origin(path, "run_id")


def _origin(path: Path, name: str) -> str:
    try:
        return str(json.loads((path / ORIGIN_FILE).read_bytes())[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path / ORIGIN_FILE} does not say its {name}.",
            why=f"{type(error).__name__}: {error}.",
            todo="Fit again with `tarifa fit`.",
        ) from error
