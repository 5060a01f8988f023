"""The run folder: a fitted model with the panel it saw, its holdout, its report and where it came from.

Journey 1 in one function, :func:`fit_run`: checked tables -> panel -> training part -> fit -> run. A run
names its data folder and its fingerprint, never a path, so the same data give the same bytes anywhere.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pricing.archive import digest
from pricing.arrays import Bools, Ints
from pricing.errors import ArtifactError, DataError, FingerprintError
from pricing.model import DemandModel
from pricing.money import Currency
from pricing.panel import PANEL_FILE, SILENCE_DAYS, Panel
from simulators.contract.panel import build_panel
from simulators.contract.tables import Source
from simulators.demand.anchor import Anchor
from simulators.demand.fit import Progress, fit
from simulators.demand.fit_report import FitReport, PopulationRow
from simulators.demand.forms import FormRow
from simulators.demand.instruments import FirstStage
from simulators.demand.newcomers import newcomers
from simulators.demand.standing import Standing
from simulators.demand.validate import Validation, validate
from simulators.folders import Content, Folder, read_folder, write_folder
from simulators.lineage import Lineage

__all__ = [
    "Origin",
    "Run",
    "fit_run",
    "held_out_run",
    "load_run",
    "run_files",
    "save_run",
    "split",
    "training_panel",
    "validate_run",
]

_KIND, _VERSION = "run", 1
_STANDING, _LINEAGE = "standing.npz", "lineage.json"
_OWN_HOLDOUT = 0.2
_VERSIONED = ("tarifa", "numpy", "scipy", "statsmodels")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run came from.

    Attributes
    ----------
    data_name
        Name of the data folder, without its path.
    fingerprint
        Of the data.
    until
        ISO date; first day that the fit did not see.
    seed
        Of the model's draws.
    currency, exponent
        ISO 4217 code of all prices, and decimals of its minor unit.
    calendar_in_advance
        A promotions table was given and declared set in advance of demand.
    versions
        (package, version) of what computed it.
    """

    data_name: str
    fingerprint: str
    until: str
    seed: int
    currency: str
    exponent: int
    calendar_in_advance: bool
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A fitted model and all that predictions, validation and simulation need beside it.

    Attributes
    ----------
    model
        Demand of N series.
    panel
        All periods of all series of the data, those after `origin.until` included.
    report
        Of the fit.
    origin
        Where it came from.
    standing
        Where the fit stands, for updates; None in a run written before there were any.
    lineage
        Of a run that was updated; None of one that was fitted.
    """

    model: DemandModel
    panel: Panel
    report: FitReport
    origin: Origin
    standing: Standing | None = None
    lineage: Lineage | None = None

    @property
    def identifier(self) -> str:
        """Twelve hexadecimal digits that follow from the model's bytes; the `run_id` of output tables."""
        return digest(self.model.to_bytes())[:12]

    @property
    def fitted_until(self) -> str:
        """ISO date; first day that the fit itself did not see, whatever updates saw since."""
        return self.lineage.fitted_until if self.lineage else self.origin.until

    @property
    def training(self) -> Panel:
        """The panel that the fit saw, its N series in the model's order."""
        return _lined(
            training_panel(self.panel, self.panel.position(np.datetime64(self.origin.until))), self.model
        )

    @property
    def holdout(self) -> int:
        """Number of periods after `origin.until`."""
        return len(self.panel.periods) - self.panel.position(np.datetime64(self.origin.until))


def fit_run(
    source: Source,
    *,
    seed: int,
    until: str | None = None,
    progress: Progress = lambda _what, _share: None,
) -> Run:
    """Fit a shop's demand: journey 1.

    Parameters
    ----------
    source
        The shop's tables, open; :func:`simulators.contract.tables.open_source`.
    seed
        Posterior draws follow from it.
    until
        ISO date, exclusive; periods that end later are kept as holdout. None: fit on everything.
    progress
        Told what is being done and the share done, 0-1.

    Raises
    ------
    DataError
        If the tables break the contract, or no demand lies before `until`.
    """
    progress("panel", 0.0)
    panel = build_panel(source, None if until is None else str(_day(until)))
    start = split(panel, until)
    origin = Origin(
        data_name=source.folder.resolve().name,
        fingerprint=source.fingerprint,
        until=_first_unseen(panel, start),
        seed=seed,
        currency=panel.currency,
        exponent=Currency.of(panel.currency).exponent,
        calendar_in_advance=source.has("promotions") and source.shop.promotion_calendar_set_in_advance,
        versions=tuple((name, version(name)) for name in _VERSIONED),
    )
    return _fitted(panel, training_panel(panel, start), origin, progress)


def validate_run(run: Run, progress: Progress = lambda _what, _share: None) -> Validation:
    """Validate a run on the periods after its `until`; without any, on a holdout of its own.

    Its own holdout is the last fifth of the periods: a model of the earlier ones is fitted for the
    purpose, and the report says that it was that model which was validated.
    """
    earlier = held_out_run(run, progress)
    return validate(earlier.model, run.panel, own_holdout=earlier is not run)


def held_out_run(run: Run, progress: Progress = lambda _what, _share: None) -> Run:
    """Return a run with a holdout: this one, or without any a run fitted on its first four fifths."""
    if run.holdout:
        return run
    start = round(len(run.panel.periods) * (1.0 - _OWN_HOLDOUT))
    origin = replace(run.origin, until=_first_unseen(run.panel, start))
    return _fitted(run.panel, training_panel(run.panel, start), origin, progress)


def split(panel: Panel, until: str | None) -> int:
    """Return the number of periods that end on or before `until` (all of them for None).

    Raises
    ------
    DataError
        If none does, or `until` is no ISO date.
    """
    if until is None:
        return len(panel.periods)
    day = _day(until)
    step = panel.periods[1] - panel.periods[0] if len(panel.periods) > 1 else np.timedelta64(1, "D")
    start = int(np.searchsorted(panel.periods + step, day, side="right"))
    if start == 0:
        raise DataError(
            f"No period ends before {until}; the data begin on {panel.periods[0]}.",
            todo="Give a later --until.",
        )
    return start


def _day(text: str) -> np.datetime64:
    try:
        return np.datetime64(dt.date.fromisoformat(text), "D")
    except ValueError as error:
        raise DataError(f"{text!r} is no date.", todo="Write it like 2025-11-03.") from error


def training_panel(panel: Panel, start: int) -> Panel:
    """Return the first `start` periods as they were known then.

    Without a known exit a series counts as on sale until its last sale, and at the time nobody knew
    whether a sale was the last. So after its last sale *within training* a series stays on sale for
    eight weeks, or for as long as the longest gap that it had shown before, whatever came later. One that
    never sold is on sale from a known launch on, if it is new (:mod:`simulators.demand.newcomers`).
    """
    early = panel.between(0, start)
    sold = early.units > 0.0
    period = np.arange(start, dtype=np.int64)
    last = np.where(sold.any(axis=1), start - 1 - sold[:, ::-1].argmax(axis=1), -1)
    trailing = period - last[:, None]
    days = int((early.periods[1] - early.periods[0]) / np.timedelta64(1, "D")) if start > 1 else 7
    patience = np.maximum(_longest_gap(sold), SILENCE_DAYS // days)
    known = np.where(trailing > 0, trailing <= patience[:, None], early.on_sale)
    counts = (last >= 0) | newcomers(early)
    return replace(early, on_sale=np.where((last >= 0)[:, None], known, early.on_sale) & counts[:, None])


def save_run(target: Path, run: Run, files: Mapping[str, Content] | None = None) -> Folder:
    """Write a run folder whole or not at all.

    Parameters
    ----------
    target
        Where it shall lie.
    run
        What to write: ``model.npz``, ``panel.npz``, ``report.json``, ``run.json``, ``standing.npz`` and, of
        an updated run, ``lineage.json``.
    files
        More files to keep with it, by name, for example the catalogue.
    """
    return write_folder(target, _KIND, {**run_files(run), **(files or {})}, version=_VERSION)


def run_files(run: Run) -> dict[str, bytes]:
    """Return what a run folder holds, by file name."""
    files = {
        "model.npz": run.model.to_bytes(),
        PANEL_FILE: run.panel.to_bytes(),
        "report.json": _json(asdict(run.report)),
        "run.json": _json({**asdict(run.origin), "run_id": run.identifier}),
    }
    if run.standing is not None:
        files[_STANDING] = run.standing.to_bytes()
    if run.lineage is not None:
        files[_LINEAGE] = run.lineage.to_bytes()
    return files


def load_run(path: Path, *, fingerprint: str | None = None) -> Run:
    """Read a run folder, every digest verified.

    Parameters
    ----------
    path
        The folder.
    fingerprint
        Of the data it is about to be used with; None where no data are at hand.

    Raises
    ------
    ArtifactError
        If the folder is missing, foreign, changed or of a newer schema.
    FingerprintError
        If it was fitted on other data.
    """
    folder = read_folder(path, _KIND, version=_VERSION)
    model = DemandModel.from_bytes(folder.read("model.npz"))
    try:
        origin = _origin(json.loads(folder.read("run.json")))
        report = _report(json.loads(folder.read("report.json")))
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is not a readable run.",
            why=f"{type(error).__name__}: {error}.",
            todo="Fit again with `tarifa fit`.",
        ) from error
    there = dict(folder.digests)
    standing = Standing.from_bytes(folder.read(_STANDING)) if _STANDING in there else None
    lineage = Lineage.from_bytes(folder.read(_LINEAGE)) if _LINEAGE in there else None
    run = Run(model, Panel.from_bytes(folder.read(PANEL_FILE)), report, origin, standing, lineage)
    if origin.fingerprint != model.fingerprint or fingerprint not in (None, origin.fingerprint):
        raise FingerprintError(
            f"{path} was fitted on other data ({origin.data_name}, {origin.fingerprint[:12]}).",
            why=f"These have the fingerprint {(fingerprint or model.fingerprint)[:12]}.",
            todo="Use the data it was fitted on, or fit again.",
        )
    return run


def _fitted(panel: Panel, training: Panel, origin: Origin, progress: Progress) -> Run:
    found = fit(
        training,
        until=origin.until,
        fingerprint=origin.fingerprint,
        seed=origin.seed,
        calendar_in_advance=origin.calendar_in_advance,
        progress=progress,
    )
    return Run(found.model, panel, found.report, origin, found.standing)


def _lined(panel: Panel, model: DemandModel) -> Panel:
    place = {pair: i for i, pair in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    pairs = zip(model.series.group, model.series.zone, strict=True)
    return panel.take(np.array([place[pair] for pair in pairs], dtype=np.int64))


def _first_unseen(panel: Panel, start: int) -> str:
    if start < len(panel.periods):
        return str(panel.periods[start])
    step = panel.periods[1] - panel.periods[0] if len(panel.periods) > 1 else np.timedelta64(1, "D")
    return str(panel.periods[-1] + step)


def _longest_gap(sold: Bools) -> Ints:
    """Return the most periods in a row without a sale between two sales, int64 [N]."""
    longest = np.zeros(len(sold), dtype=np.int64)
    waiting = np.zeros(len(sold), dtype=np.int64)
    begun = np.zeros(len(sold), dtype=np.bool_)
    for column in sold.T:
        longest = np.where(column & begun, np.maximum(longest, waiting), longest)
        waiting = np.where(column, 0, waiting + 1)
        begun |= column
    return longest


def _json(values: Mapping[str, object]) -> bytes:
    return (json.dumps(values, indent=2, sort_keys=True) + "\n").encode()


def _origin(values: dict[str, Any]) -> Origin:
    versions = tuple((str(name), str(number)) for name, number in values["versions"])
    named = {f.name: values[f.name] for f in fields(Origin) if f.name != "versions"}
    return Origin(versions=versions, **named)


_NESTED = ("anchor", "population", "identified", "first_stage", "forms")


def _report(values: dict[str, Any]) -> FitReport:
    found = values["anchor"]
    made: Anchor | None = None
    if found is not None:
        lists: dict[str, Any] = {name: tuple(found[name]) for name in ("names", "estimate", "standard_error")}
        made = Anchor(**{**found, **lists})
    population = tuple(PopulationRow(**row) for row in values["population"])
    forms = tuple(FormRow(**row) for row in values.get("forms", ()))
    identified = tuple((str(a), str(b), int(c)) for a, b, c in values["identified"])
    stage = values.get("first_stage")
    rest = {k: v for k, v in values.items() if k not in _NESTED}
    return FitReport(
        anchor=made,
        population=population,
        forms=forms,
        identified=identified,
        first_stage=_first_stage(stage) if stage else None,
        **rest,
    )


def _first_stage(values: dict[str, Any]) -> FirstStage:
    lists: dict[str, Any] = {name: tuple(values[name]) for name in ("names", "slopes", "standard_errors")}
    return FirstStage(**{**values, **lists})
