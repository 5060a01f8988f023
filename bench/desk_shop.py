"""An invented shop for the desk: products with names, a past at moving prices, and evidence of every kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from api.runs import ORIGIN_FILE
from policies.serve.past import NAMES_FILE, SHOP_FILE, names_to_bytes, shop_to_bytes
from policies.serve.shelf import Corridor, Shelf
from pricing.approval import ApprovalSettings
from pricing.arrays import Dates, Floats
from pricing.guardrails import GuardrailSettings
from pricing.menu import Endings
from pricing.panel import PANEL_FILE, Panel
from pricing.plans import Plans
from simulators.folders import write_folder
from simulators.worlds import toy_scenario

__all__ = ["desk_shelf", "names_of", "past_of", "write_desk_run"]

_THINGS = (
    "Linen shirt",
    "Olive oil",
    "Desk lamp",
    "Running shoe",
    "Tea, 20 bags",
    "Frying pan",
    "Notebook A5",
)
_KINDS = ("classic", "blue", "large", "organic", "travel", "for children", "second edition")
_WEEKS = 78
_SHARES = (0.02, 0.06, 0.62, 0.12, 0.18)
"""Of products by how their response is known, in the order of :class:`pricing.evidence.Identification`."""


def desk_shelf(series: int, seed: int = 0, approvals: ApprovalSettings | None = None) -> Shelf:
    """Return a toy shop whose products differ in evidence; half of what is known moves."""
    settings = GuardrailSettings(
        margin_floor=0.05, max_change=0.1, cool_down=1, max_share_moved=0.5, endings=Endings((5, 9), 10)
    )
    scenario, model = toy_scenario(series, seed, settings=settings)
    rng = np.random.default_rng([seed, 1])
    known = rng.choice(np.arange(len(_SHARES), dtype=np.int8), size=series, p=_SHARES)
    catalogue = replace(scenario.catalogue, identified_by=known)
    beliefs = model.identified_by.copy()
    beliefs[:, 0] = known
    corridor = Corridor(settings, 12, 0.3, 4, approvals or ApprovalSettings())
    return Shelf(replace(model, identified_by=beliefs), catalogue, corridor, Plans.none(series), "0" * 64)


def names_of(shelf: Shelf) -> dict[str, str]:
    """Return an invented name for each product."""
    return {
        group: f"{_THINGS[i % len(_THINGS)]}, {_KINDS[i // len(_THINGS) % len(_KINDS)]} {i:05d}"
        for i, group in enumerate(shelf.catalogue.series.group)
    }


def past_of(shelf: Shelf, seed: int = 0) -> Panel:
    """Return a year and a half of weeks at moving prices, sold as the shop's own beliefs say."""
    catalogue, rng = shelf.catalogue, np.random.default_rng([seed, 2])
    count = len(catalogue)
    finish = np.datetime64(catalogue.as_of, "D")
    periods: Dates = finish - 7 * np.arange(_WEEKS, 0, -1).astype("timedelta64[D]")
    steps = rng.choice([0.9, 1.0, 1.0, 1.1], size=(count, _WEEKS // 13))
    regular = catalogue.price[:, None].astype(np.float64) * np.repeat(steps, 13, axis=1)
    regular[:, -13:] = catalogue.price[:, None]
    deal = rng.random((count, _WEEKS)) < 0.08
    offered: Floats = np.where(deal, 0.8 * regular, regular)
    beliefs = shelf.beliefs
    level, slope = beliefs.mean[:, 0], beliefs.mean[:, 1]
    ratio = np.log(offered / catalogue.price[:, None])
    units: Floats = rng.poisson(np.exp(level[:, None] + slope[:, None] * ratio)).astype(np.float64)
    whole, none = np.ones((count, _WEEKS)), np.zeros((count, _WEEKS))
    return Panel(
        series=catalogue.series,
        periods=periods,
        days=np.full(_WEEKS, 7, dtype=np.int64),
        units=units,
        on_sale=np.ones((count, _WEEKS), dtype=np.bool_),
        offered=offered,
        regular=regular,
        feature=none,
        display=none,
        in_stock=whole,
        traffic=np.ones(_WEEKS),
        currency=catalogue.currency,
    )


def write_desk_run(
    target: Path, shelf: Shelf, *, past: bool = True, check: Mapping[str, Any] | None = None
) -> Path:
    """Write the run folder of a shelf, with its past or without, and what a check of its tables found."""
    origin = {"data_name": "invented", "fingerprint": shelf.model.fingerprint, "run_id": "0" * 12}
    files = {"model.npz": shelf.model.to_bytes(), **shelf.files(), ORIGIN_FILE: json.dumps(origin).encode()}
    if past:
        files |= {PANEL_FILE: past_of(shelf).to_bytes(), NAMES_FILE: names_to_bytes(names_of(shelf))}
        files |= {SHOP_FILE: shop_to_bytes("Europe/Madrid", check)}
    write_folder(target, "run", files)
    return target
