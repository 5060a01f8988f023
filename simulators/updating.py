"""Journey 1, continued: a run and data that reach further become a run that has seen the new periods too.

An update adds evidence to what a run already knows, so the data must hold the run's own past unchanged: a
changed past would be counted as it was, and again as it is. What is compared is the panel that the run keeps,
cell by cell; a fingerprint of files says only that something changed, and longer files always do.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from pricing.archive import digest
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import ArtifactError, DataError, FingerprintError
from pricing.model import DemandModel
from pricing.panel import Panel
from simulators.contract.other_zones import OTHER_ZONES
from simulators.contract.panel import build_panel
from simulators.contract.tables import Source
from simulators.demand.continuation import continued
from simulators.demand.fit import Progress
from simulators.lineage import Lineage, Update
from simulators.run import Run, run_files, split, training_panel

__all__ = ["require_continuation", "run_digest", "run_end", "update_run"]

_SILENCE_DAYS = 7
_ROUNDING = 1e-9
_REINDEXED = 0.01
"""Prices of several shelves are compared by all days of a fit's periods: where its last one had begun only,
its remaining days move them a little."""


def update_run(
    run: Run,
    source: Source,
    *,
    until: str | None = None,
    progress: Progress = lambda _what, _share: None,
) -> Run:
    """Update a run with the periods that its data now hold and it has not seen.

    Parameters
    ----------
    run
        Of a fit, or of an earlier update.
    source
        The shop's tables, open; they hold all that the run has seen, and more.
    until
        ISO date, exclusive; periods that end later are kept as holdout. None: all periods that are whole.
        Of a period that was not whole when the run saw it, the rest is passed over.
    progress
        Told what is being done and the share done, 0-1.

    Raises
    ------
    ArtifactError
        If the run was written before runs could be updated.
    FingerprintError
        If the data or the shop's settings do not continue those of the run.
    DataError
        If there is nothing new, or no order for a week or longer.
    """
    if run.standing is None:
        raise ArtifactError(
            "This run does not say where its fit stood.",
            why="It was written before runs could be updated.",
            todo="Fit again with `tarifa fit`.",
        )
    _require_settings(run, source)
    progress("panel", 0.0)
    panel = build_panel(source, run.fitted_until)
    require_continuation(run, panel)
    stop = _stop(run, panel, until)
    _require_sales(panel, panel.position(np.datetime64(run.origin.until)), stop, run.model.period_days)
    progress("updating", 0.4)
    made = continued(
        run.model,
        run.standing,
        run.report,
        training_panel(panel, stop),
        until=_day_after(panel, stop),
        fingerprint=source.fingerprint,
        calendar_in_advance=run.origin.calendar_in_advance,
    )
    name = source.folder.resolve().name
    origin = replace(
        run.origin,
        data_name=name,
        fingerprint=source.fingerprint,
        until=made.model.until,
        versions=tuple((package, version(package)) for package, _ in run.origin.versions),
    )
    step = Update(
        run.identifier, run_digest(run), run.origin.until, origin.until, name, source.fingerprint, made.told
    )
    before = run.lineage or Lineage(run.identifier, run.origin.until, ())
    progress("updated", 1.0)
    lineage = replace(before, updates=(*before.updates, step))
    return Run(made.model, panel, made.report, origin, made.standing, lineage)


def run_digest(run: Run) -> str:
    """Return the SHA-256, in hexadecimal, over the digests of a run's files."""
    files = run_files(run)
    return digest(json.dumps([[name, digest(files[name])] for name in sorted(files)]).encode())


def _require_settings(run: Run, source: Source) -> None:
    """Refuse a shop file that says something else of what the run rests on."""
    declared = source.has("promotions") and source.shop.promotion_calendar_set_in_advance
    for what, then, now in (
        ("currency", run.origin.currency, source.shop.currency),
        ("days of a period", run.model.period_days, source.shop.period_days),
        ("promotion calendar set in advance", run.origin.calendar_in_advance, declared),
        (
            "declaration that demand shocks are local",
            OTHER_ZONES in run.panel.instrument_names,
            source.shop.demand_shocks_are_local,
        ),
        ("orders stand in for traffic", run.panel.traffic_is_orders, not source.has("traffic")),
    ):
        if then != now:
            raise FingerprintError(
                f"The shop's {what} was {_said(then)} when the run was made and is {_said(now)} now.",
                why="An update goes on with what the run has learned under its own settings.",
                todo="Put the setting back, or fit again with `tarifa fit`.",
            )


def _said(value: object) -> str:
    return {"True": "yes", "False": "no"}.get(str(value), str(value))


def _stop(run: Run, panel: Panel, until: str | None) -> int:
    """Return the number of periods that the updated run sees."""
    seen = np.datetime64(run.origin.until)
    if until is None:
        whole = panel.days[-1] == run.model.period_days
        stop = len(panel.periods) if whole else len(panel.periods) - 1
    else:
        stop = split(panel, until)
    if stop <= panel.position(seen):
        asked = f" before {until}" if until is not None else ""
        last = panel.periods[-1] + (int(panel.days[-1]) - 1)
        raise DataError(
            f"The data hold no whole period from {seen} on{asked}: there is nothing new.",
            why=f"The run has seen all days before {seen}; the last order is of {last}.",
            todo="Export again when the coming period is over, or give a later --until.",
        )
    return stop


def require_continuation(run: Run, panel: Panel) -> None:
    """Refuse a panel that is not the run's own, grown longer.

    Parameters
    ----------
    run
        The run; the panel that it keeps is what it has seen.
    panel
        Of the data now.

    Raises
    ------
    FingerprintError
        If the past differs: its calendar, who was sold, a sale, a price, a promotion, stock or traffic, or
        the category of a product.
    """
    old, start = run.panel, run.panel.position(np.datetime64(run.origin.until))
    _require_calendar(old, panel, start)
    partial = bool(old.days[start - 1] < run.model.period_days)
    rows = _rows(old, panel, start, start - partial)
    _require_same(old, panel, rows, start - partial, _REINDEXED if partial else _ROUNDING)
    _require_labels(run.model, panel)


def _require_calendar(old: Panel, panel: Panel, start: int) -> None:
    if panel.periods[0] != old.periods[0]:
        raise FingerprintError(
            f"The data begin with the period of {panel.periods[0]}, the run's with that of {old.periods[0]}.",
            why="An update must find what the run has seen, unchanged.",
            todo="Export the whole history again, or fit again.",
        )
    if len(panel.periods) < start or (panel.periods[:start] != old.periods[:start]).any():
        raise FingerprintError(
            f"The data do not reach as far as the run, which has seen all days before {run_end(old, start)}.",
            todo="Give the data that continue the run's.",
        )


def run_end(panel: Panel, start: int) -> dt.date:
    """Return the first day after `start` periods of a panel."""
    return dt.date.fromisoformat(_day_after(panel, start))


def _day_after(panel: Panel, count: int) -> str:
    if count < len(panel.periods):
        return str(panel.periods[count])
    step = panel.periods[1] - panel.periods[0]
    return str(panel.periods[-1] + step)


def _rows(old: Panel, panel: Panel, start: int, whole: int) -> tuple[Ints, Ints]:
    """Return the rows, in both panels, of the series that were sold before; refuses one that is missing.

    The run has seen `start` periods, and `whole` of them to their end.
    """
    now = {key: i for i, key in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    then = list(zip(old.series.group, old.series.zone, strict=True))
    sold: Bools = np.asarray((old.units[:, :start] > 0.0).any(axis=1), dtype=np.bool_)
    missing = [key for i, key in enumerate(then) if sold[i] and key not in now]
    if missing:
        raise FingerprintError(
            f"{missing[0][0]} in {missing[0][1]} was sold in the run's data and is not in these.",
            why="An update must find what the run has seen, unchanged.",
            todo="Give the data that continue the run's, or fit again.",
        )
    known = {key for i, key in enumerate(then) if sold[i]}
    earlier: Bools = np.asarray((panel.units[:, :whole] > 0.0).any(axis=1), dtype=np.bool_)
    for i, key in enumerate(zip(panel.series.group, panel.series.zone, strict=True)):
        if earlier[i] and key not in known:
            raise FingerprintError(
                f"{key[0]} in {key[1]} was sold before {_day_after(old, whole)}, and the run has not "
                "seen it.",
                why="An update must find what the run has seen, unchanged.",
                todo="Fit again with `tarifa fit`.",
            )
    both = [(i, now[key]) for i, key in enumerate(then) if sold[i]]
    return np.array([a for a, _ in both], dtype=np.int64), np.array([b for _, b in both], dtype=np.int64)


def _require_same(old: Panel, panel: Panel, rows: tuple[Ints, Ints], count: int, tolerance: float) -> None:
    """Compare what the model was taught by, in the first `count` periods."""
    for t in np.flatnonzero(old.days[:count] != panel.days[:count])[:1].tolist():
        raise _changed("days covered", str(old.periods[t]), float(old.days[t]), float(panel.days[t]))
    for name, slack in _COMPARED.items():
        then = getattr(old, name)[rows[0]][:, :count]
        now = getattr(panel, name)[rows[1]][:, :count]
        cell = np.argwhere(_unlike(then, now, tolerance if slack else _ROUNDING))
        if len(cell):
            i, t = (int(v) for v in cell[0])
            where = f"{old.series.group[rows[0][i]]} in {old.periods[t]}"
            raise _changed(name.replace("_", " "), where, float(then[i, t]), float(now[i, t]))
    differ = np.abs(panel.traffic[:count] - old.traffic[:count]) > _ROUNDING * np.abs(old.traffic[:count])
    for t in np.flatnonzero(differ)[:1].tolist():
        raise _changed("traffic", str(old.periods[t]), float(old.traffic[t]), float(panel.traffic[t]))


_COMPARED: Mapping[str, bool] = {
    "units": False,
    "offered": True,
    "regular": True,
    "feature": False,
    "display": False,
    "in_stock": False,
}
"""What is compared by cell, and whether a price index may move it."""


def _unlike(then: Floats, now: Floats, tolerance: float) -> Bools:
    known = np.isfinite(then)
    far = np.abs(np.where(known, now - then, 0.0)) > tolerance * np.maximum(np.abs(then), 1.0)
    out: NDArray[np.bool_] = (known != np.isfinite(now)) | far
    return out


def _changed(what: str, where: str, then: float, now: float) -> FingerprintError:
    return FingerprintError(
        f"{where}: {what} was {then:g} when the run was made and is {now:g} now.",
        why="An update would count what the run has seen as it was, and the rest as it is.",
        todo="Fit again with `tarifa fit`.",
    )


def _require_labels(model: DemandModel, panel: Panel) -> None:
    """Refuse a product that moved to another category: it was pooled with the old one."""
    pairs = zip(panel.series.group, panel.series.zone, strict=True)
    now = dict(zip(pairs, panel.series.category, strict=True))
    for group, zone, category in zip(
        model.series.group, model.series.zone, model.series.category, strict=True
    ):
        if now.get((group, zone), category) != category:
            raise FingerprintError(
                f"{group} was in the category {category!r} when the run was made and is in "
                f"{now[group, zone]!r} now.",
                why="What the run knows of it is pooled with its old category.",
                todo="Fit again with `tarifa fit`.",
            )


def _require_sales(panel: Panel, start: int, stop: int, period_days: int) -> None:
    """Refuse a week or more without a sale: rather an export that failed than demand."""
    silent = 0
    for t in range(start, stop):
        silent = 0 if (panel.units[:, t] > 0.0).any() else silent + period_days
        if silent >= _SILENCE_DAYS:
            raise DataError(
                f"Nothing at all was sold in the {silent} days before {_day_after(panel, t + 1)}.",
                why="That is rather a gap in the export than demand, and an update would learn it.",
                todo="Export again; if the shop was closed, fit again with `tarifa fit`.",
            )
