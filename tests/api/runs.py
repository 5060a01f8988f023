"""A small run for the tests of the edge, built from a toy shop whose truth is known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from api.prices.service import Desk
from api.runs import open_shelf
from api.storage.store import Store
from policies.serve.incumbent import Incumbent
from policies.serve.resolve import Resolve
from policies.serve.shelf import Corridor, Shelf
from pricing.plans import Plans
from pricing.policy import Policy
from simulators.folders import write_folder
from simulators.worlds import toy_scenario

SERIES = 20
NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)


def toy_shelf(series: int = SERIES, seed: int = 0) -> Shelf:
    scenario, model = toy_scenario(series, seed)
    corridor = Corridor(scenario.guardrails.settings, 12, 0.3, 4)
    return Shelf(model, scenario.catalogue, corridor, Plans.none(series), "0" * 64)


def write_run(target: Path, shelf: Shelf) -> Path:
    write_folder(target, "run", {"model.npz": shelf.model.to_bytes(), **shelf.files()})
    return target


def open_desk(run: Path, store: Path) -> Desk:
    shelf = open_shelf(run)
    policies: dict[str, Policy] = {"incumbent": Incumbent(), "resolve": Resolve.of(shelf.scenario)}
    return Desk(shelf, policies, "resolve", Store(f"sqlite:///{store}", lambda: NOON))
