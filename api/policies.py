"""Policies by name or folder: made for a shelf on the spot, or read from what training wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from api.runs import verified
from policies.serve.artifact import NAMES, StoredPolicy, from_bytes
from policies.serve.incumbent import Incumbent
from policies.serve.planner import Drawn
from policies.serve.resolve import Resolve
from policies.serve.shelf import Shelf
from policies.serve.static import Static
from policies.serve.thompson import DRAWS, Thompson
from pricing.demand import DemandParameters, spilled
from pricing.errors import ArtifactError, UsageError
from pricing.standing import UNVALIDATED, Standing

__all__ = [
    "MADE",
    "POLICY_FILE",
    "POLICY_KIND",
    "POLICY_VERSION",
    "TRAINING_FILE",
    "make_policy",
    "open_policy",
    "trained_on",
    "trained_under",
]

POLICY_KIND, POLICY_FILE, POLICY_VERSION = "policy", "policy.npz", 1
"""Kind, file and newest schema of policy folders."""

TRAINING_FILE = "training.json"
"""What a policy was trained on: its products, for showing how it does on others, and the model's standing."""

_DRAWN = 4096
"""Series whose posterior is drawn at once: bounds the memory, not the draws."""


def _drawn(shelf: Shelf) -> Drawn:
    """Return what plans are made on: expected profit over the posterior wherever a price may move."""
    return Drawn.of(shelf.model, shelf.scenario, shelf.movable())


def _thompson(shelf: Shelf) -> StoredPolicy:
    model = shelf.beliefs
    drawn = np.empty((DRAWS, *model.mean.shape))
    for start in range(0, len(model.mean), _DRAWN):  # drawing needs eight times the memory of what is drawn
        part = np.arange(start, min(start + _DRAWN, len(model.mean)), dtype=np.int64)
        drawn[:, part] = model.take(part).draws(DRAWS)
    draws = DemandParameters.of(drawn, model, shelf.catalogue)
    return Thompson.of(shelf.scenario, spilled(draws, shelf.scenario.rivals, shelf.catalogue))


_MAKERS: dict[str, Callable[[Shelf], StoredPolicy]] = {
    Incumbent.NAME: lambda _shelf: Incumbent(),
    Static.NAME: lambda shelf: Static.of(shelf.scenario, _drawn(shelf)),
    Resolve.NAME: lambda shelf: Resolve.of(shelf.scenario, _drawn(shelf)),
    Thompson.NAME: _thompson,
}

MADE = tuple(_MAKERS)
"""Names of the policies that need no training."""


def make_policy(name: str, shelf: Shelf) -> StoredPolicy:
    """Make a policy that needs no training for a shelf.

    Raises
    ------
    UsageError
        If there is none of that name, or it must be trained first.
    """
    if name in _MAKERS:
        return _MAKERS[name](shelf)
    if name in NAMES or name == "ppo":
        raise UsageError(
            f"The policy {name} has to be trained.",
            todo="Run `tarifa train RUN --policy ppo --out POLICY` and give the folder POLICY.",
        )
    raise UsageError(
        f"There is no policy and no policy folder {name!r}.",
        todo=f"Choose one of {', '.join(MADE)}, or give a folder that `tarifa train` wrote.",
    )


def open_policy(name: str, shelf: Shelf) -> StoredPolicy:
    """Return a policy by name, or from a folder that training wrote; folders are verified.

    Raises
    ------
    UsageError
        As :func:`make_policy`.
    ArtifactError
        If the folder is foreign, changed, of a newer schema, or holds no policy.
    """
    path = Path(name)
    if name in _MAKERS or not path.is_dir():
        return make_policy(name, shelf)
    marker = verified(path, POLICY_KIND, POLICY_VERSION)
    if POLICY_FILE not in dict(marker.digests):
        raise ArtifactError(f"{path} holds no {POLICY_FILE}.", todo="Train the policy again.")
    return from_bytes((path / POLICY_FILE).read_bytes())


def trained_on(name: str) -> frozenset[tuple[str, str]]:
    """Return the (price group, zone) that a policy folder was trained on; empty for a policy by name."""
    path = Path(name) / TRAINING_FILE
    if name in _MAKERS or not path.is_file():
        return frozenset()
    return frozenset((str(group), str(zone)) for group, zone in json.loads(path.read_bytes())["trained_on"])


def trained_under(name: str) -> Standing | None:
    """Return the standing of the model that a policy folder, once verified, was trained on.

    A policy by name is made on the very model it decides by: None. A folder that says nothing was written
    before standings were kept, and counts as trained on a model that nobody had validated.

    Raises
    ------
    ArtifactError
        If what the folder says cannot be read.
    """
    path = Path(name)
    if name in _MAKERS or not path.is_dir():
        return None
    if not (path / TRAINING_FILE).is_file():
        return UNVALIDATED
    try:
        found = dict[str, Any](json.loads((path / TRAINING_FILE).read_bytes())).get("standing")
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path / TRAINING_FILE} cannot be read.",
            why=f"{type(error).__name__}: {error}.",
            todo="Train the policy again.",
        ) from error
    return UNVALIDATED if found is None else Standing.of(found, str(path / TRAINING_FILE))
