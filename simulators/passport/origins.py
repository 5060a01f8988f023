"""Rolling origin: refits that end earlier, each held against the periods that followed.

A single holdout may have been a lucky one. Every origin sees what was known on its day and nothing later
(Tashman, International Journal of Forecasting 2000), and all of them end before the run's own holdout.
"""

from __future__ import annotations

import numpy as np

from pricing.arrays import Ints
from pricing.errors import DataError
from pricing.panel import Panel
from simulators.demand.fit import Progress, fit
from simulators.demand.validate import Validation, validate
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Reason, Table, absent, check
from simulators.run import Run, training_panel

__all__ = ["origin_starts", "origins_check", "roll", "sampled"]

_LEAST_TRAINING = 12
_SHARE, _LONGEST = 10, 13
"""An origin forecasts a tenth of the training periods, 13 at most: four of forty-three weeks."""


def origin_starts(periods: int, origins: int) -> tuple[tuple[int, int], ...]:
    """Return (start, stop) of the periods that each origin forecasts, in order of time.

    Blocks follow each other without a gap and end with the training periods. Origins that would learn from
    fewer than twelve periods are left out.

    Parameters
    ----------
    periods
        Training periods of the run.
    origins
        How many are wanted.
    """
    long = min(max(periods // _SHARE, 1), _LONGEST)
    starts = [periods - long * number for number in range(origins, 0, -1)]
    return tuple((start, start + long) for start in starts if start >= _LEAST_TRAINING)


def sampled(run: Run, most: int, before: int, seed: int) -> Ints:
    """Return at most `most` places of the run's panel: best sellers and others.

    Half of them sold most before the first origin, whatever came later; the rest are drawn at random from the
    other series that the run fitted.

    Parameters
    ----------
    run
        The run.
    most
        How many at most.
    before
        Number of periods before the first origin.
    seed
        Of the draw.
    """
    panel = run.panel
    place = {pair: i for i, pair in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    names = zip(run.model.series.group, run.model.series.zone, strict=True)
    fitted = np.sort(np.array([place[pair] for pair in names], dtype=np.int64))
    if len(fitted) <= most:
        return fitted
    sold = np.where(panel.on_sale, panel.units, 0.0)[fitted, :before].sum(axis=1)
    order = fitted[np.argsort(-sold, kind="stable")]
    rng = np.random.default_rng((seed, 4))
    return np.sort(
        np.concatenate([order[: most // 2], rng.choice(order[most // 2 :], most - most // 2, replace=False)])
    )


def roll(run: Run, index: Ints, starts: tuple[tuple[int, int], ...], progress: Progress) -> list[Validation]:
    """Refit at every origin and validate on the block that follows it.

    Parameters
    ----------
    run
        The run whose training periods are rolled over.
    index
        int64 [n]; series of its panel, see :func:`sampled`.
    starts
        See :func:`origin_starts`.
    progress
        Told what is being done and the share done, 0-1.
    """
    panel: Panel = run.panel.take(index)
    found: list[Validation] = []
    for number, (start, stop) in enumerate(starts):
        day = str(panel.periods[start])
        progress(f"origin {day}", number / len(starts))
        made = fit(
            training_panel(panel, start),
            until=day,
            fingerprint=run.origin.fingerprint,
            seed=run.origin.seed,
            calendar_in_advance=run.origin.calendar_in_advance,
        )
        found.append(validate(made.model, panel.between(0, stop)))
    return found


def origins_check(run: Run, origins: int, most: int, seed: int, progress: Progress) -> Check:
    """Judge the worst of the origins: against the mean of the last eight periods, and in total.

    Parameters
    ----------
    run
        The run; its holdout is not looked at.
    origins, most
        Number of origins, and of series that are refitted at most.
    seed
        Of the sample.
    progress
        Told what is being done and the share done, 0-1.
    """
    training = len(run.panel.periods) - run.holdout
    starts = origin_starts(training, origins)
    if not starts:
        return absent("origins", Reason.SHORT_HISTORY)
    index = sampled(run, most, starts[0][0], seed)
    try:
        found = roll(run, index, starts, progress)
    except DataError:
        return absent("origins", Reason.NOTHING_SOLD)
    figures = (
        held("origins", "skill", min(1.0 - v.wmape / v.naive_wmape for v in found)),
        held("origins", "bias", max(abs(v.bias) for v in found)),
        held("origins", "origins", float(len(found))),
        held("origins", "periods", float(starts[0][1] - starts[0][0])),
        held("origins", "series", float(len(index))),
        held("origins", "fitted", float(len(run.model.series))),
    )
    columns = (
        "until",
        "wmape",
        "naive_wmape",
        "deviance",
        "naive_deviance",
        "bias",
        "slope",
        "error",
        "coverage",
    )
    return check("origins", figures, Table(columns, tuple(map(_row, found))))


def _row(v: Validation) -> tuple[str | float, ...]:
    levels = v.wmape, v.naive_wmape, v.deviance, v.naive_deviance, v.bias
    return v.until, *levels, v.lift.slope, v.lift.standard_error, v.coverage
