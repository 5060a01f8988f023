"""Reading a run folder for serving: bytes and digests, nothing that the batch side needs.

Beside a run lies its passport, if `tarifa validate` has judged it. Whoever opens a run to decide by it
(:func:`open_shelf`) opens it under that passport: one that failed is refused until each failed check is
accepted by its name, and a run without one is opened as not validated.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from policies.serve.past import NAMES_FILE, SHOP_FILE, Past
from policies.serve.shelf import CATALOGUE_FILE, CORRIDOR_FILE, MODEL_FILE, PLANS_FILE, Shelf
from pricing.catalogue import Catalogue
from pricing.errors import ArtifactError, BusyError, FingerprintError
from pricing.marker import MARKER, Marker, aside
from pricing.panel import PANEL_FILE
from pricing.standing import UNVALIDATED, Judgement, Standing, refuse_acceptance
from pricing.trial import Trial

__all__ = [
    "ORIGIN_FILE",
    "PASSPORT_FILE",
    "PASSPORT_KIND",
    "PASSPORT_VERSION",
    "RUN_KIND",
    "RUN_VERSION",
    "data_name",
    "judgement_of",
    "open_shelf",
    "open_trial",
    "passport_place",
    "read_past",
    "read_shelf",
    "run_id",
    "standing_of",
    "verified",
]

ORIGIN_FILE = "run.json"
"""File of a run folder that says where it came from."""

RUN_KIND, RUN_VERSION = "run", 1
"""Kind and newest schema of run folders that can be served."""

PASSPORT_KIND, PASSPORT_VERSION = "passport", 1
"""Kind and newest schema of the folder that a passport lies in."""

PASSPORT_FILE = "passport.json"
"""Its canonical JSON, from whose bytes the digest follows."""

_CHUNK = 1 << 20

_Identity = tuple[int, int, int]

_TRIES, _PAUSE = 40, 0.025
"""How often, and after how many seconds, one looks again for a passport that is just being replaced."""


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


def open_trial(path: Path) -> Trial:
    """Read the plan of a trial.

    Raises
    ------
    ArtifactError
        If it is missing, no plan, or was changed after it was written.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ArtifactError(
            f"There is no plan {path}.", todo="Check the path, or make one with `tarifa impact plan`."
        ) from error
    return Trial.from_bytes(content, str(path))


def open_shelf(path: Path, accepted: Sequence[str] = (), plan: Path | None = None) -> Shelf:
    """Open a run to decide by it, under its passport and, if there is one, the plan of a trial.

    Parameters
    ----------
    path
        The run folder.
    accepted
        Codes of the failed checks of its passport that are accepted: each of them, or none where none failed.
    plan
        Plan of a trial, which holds some prices; None for none.

    Raises
    ------
    ArtifactError
        As :func:`read_shelf`, :func:`judgement_of` and :func:`open_trial`.
    FingerprintError
        If the plan is about none of the run's price groups.
    FailedChecks
        If a check failed and is not accepted.
    UsageError
        If what is accepted did not fail.
    BusyError
        If the passport is being replaced all the time.
    """
    shelf = replace(read_shelf(path), standing=standing_of(path, accepted))
    if plan is None:
        return shelf
    trial = open_trial(plan)
    series = shelf.catalogue.series
    if not {(u.group, u.zone) for u in trial.units} & set(zip(series.group, series.zone, strict=True)):
        raise FingerprintError(
            f"{plan} is about none of the price groups of {path}.",
            why="It was made for another shop.",
            todo="Give the plan of this shop.",
        )
    return replace(shelf, trial=trial)


def standing_of(path: Path, accepted: Sequence[str] = ()) -> Standing:
    """Return the standing of a run that was verified; arguments and errors as :func:`open_shelf`."""
    found = judgement_of(path)
    if found is None:
        refuse_acceptance(accepted, str(path))
        return UNVALIDATED
    return found.accept(accepted, str(path))


def judgement_of(path: Path) -> Judgement | None:
    """Return what the passport of a run that was verified says, None where the run was never judged.

    A passport is replaced by two renames. Whoever looks in between sees none, and must not take that for
    "not validated"; whoever reads in between may read half of each. So it is read again if, when it was
    read, another one lay in its place.

    Raises
    ------
    ArtifactError
        If what lies there is no passport of this run, or was changed.
    BusyError
        If it is being replaced, or a validation was stopped as it replaced it.
    """
    place = passport_place(path)
    for _ in range(_TRIES):
        before = _identity(place)
        if before is None and _absent(place):
            return None
        content = _settled(place, before)
        if content is not None:
            found = Judgement.from_bytes(content, str(place / PASSPORT_FILE))
            found.require_of(run_id(path), _origin(path, "fingerprint"), str(path))
            return found
        time.sleep(_PAUSE)
    raise BusyError(
        f"The passport {place} is being replaced, or `tarifa validate` was stopped as it replaced it.",
        todo="Wait for that to end, or give `tarifa validate` again.",
    )


def passport_place(path: Path) -> Path:
    """Return where the passport of a run lies: RUN.passport, beside it."""
    final = path.resolve()
    return final.with_name(f"{final.name}.passport")


def _absent(place: Path) -> bool:
    """Whether no passport lies there, nor is one aside while another takes its place."""
    return _identity(place.with_name(aside(place.name, "old"))) is None and _identity(place) is None


def _settled(place: Path, before: _Identity | None) -> bytes | None:
    """Return the bytes of the passport that lay there `before`; None if another one does by now."""
    if before is None:
        return None
    try:
        content = _passport(place)
    except (ArtifactError, FileNotFoundError):
        if _identity(place) == before:
            raise
        return None
    return content if _identity(place) == before else None


def _passport(place: Path) -> bytes:
    """Return the bytes of a passport, once its folder is verified."""
    marker = verified(place, PASSPORT_KIND, PASSPORT_VERSION)
    if PASSPORT_FILE not in dict(marker.digests):
        raise ArtifactError(
            f"{place} holds no {PASSPORT_FILE}.", todo="Make it again with `tarifa validate`."
        )
    content = (place / PASSPORT_FILE).read_bytes()
    replace(marker, editable=()).judge(PASSPORT_FILE, hashlib.sha256(content).hexdigest(), str(place))
    return content


def _identity(path: Path) -> _Identity | None:
    """Return what tells a folder from another one of its name, None where there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def read_shelf(path: Path) -> Shelf:
    """Read what a run knows of the shop, every digest of the folder verified; for showing, not for deciding.

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


def read_past(path: Path, catalogue: Catalogue) -> Past:
    """Read what a run that was verified remembers for people: names, and what was sold at which price.

    Raises
    ------
    ArtifactError
        If a file is not what it is called.
    """
    panel, names, shop = (_content(path / name) for name in (PANEL_FILE, NAMES_FILE, SHOP_FILE))
    return Past.from_files(catalogue, panel, names, shop)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


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
