"""Passports of a run with the verdicts that a test needs, written as `tarifa validate` writes them."""

from __future__ import annotations

import json
from pathlib import Path

from simulators.folders import write_folder
from simulators.passport.passport import Passport
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, check

_FIGURES = {
    "lift": ("slope", 1.0, 0.7),
    "events": ("bias_cuts", 0.01, 0.2),
    "totals": ("inside", 0.95, 0.8),
    "sign": ("regular", 1.0, 0.5),
}
"""By check: a figure, a value that it passes with, and one that it fails with."""


def checks(*failed: str) -> tuple[Check, ...]:
    """Return four checks, of which those named failed."""
    return tuple(
        check(code, (held(code, figure, bad if code in failed else good),))
        for code, (figure, good, bad) in _FIGURES.items()
    )


def passport_of(run: Path, *failed: str, run_id: str | None = None, quick: bool = False) -> Passport:
    """Return a passport of a run folder, or of another `run_id` with the same data."""
    origin = json.loads((run / "run.json").read_bytes())
    return Passport(
        run_id=run_id or origin["run_id"],
        fingerprint=origin["fingerprint"],
        until=origin["until"],
        own_holdout=False,
        series=12,
        periods=5,
        quick=quick,
        seed=0,
        versions=(("tarifa", "0"),),
        checks=checks(*failed),
    )


def write_passport(run: Path, *failed: str, run_id: str | None = None, quick: bool = False) -> str:
    """Write a passport beside a run folder and return its digest."""
    made = passport_of(run, *failed, run_id=run_id, quick=quick)
    place = run.with_name(f"{run.name}.passport")
    write_folder(place, "passport", {"passport.json": made.to_bytes(), "passport.html": b"<html>"})
    return made.digest
