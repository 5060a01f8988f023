"""Issue: a run's passport, from the checks in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from simulators.demand.elasticities import elasticities
from simulators.demand.fit import Progress
from simulators.demand.validate import Backtest, Validation, backtest, validate
from simulators.passport.distribution import pit_check
from simulators.passport.events import events_check, price_events, steady_sellers
from simulators.passport.evidence import instrument_check, sensitivity_check, sign_check, support_check
from simulators.passport.lift import lift_check
from simulators.passport.origins import origins_check
from simulators.passport.passport import Passport
from simulators.passport.replay import replay, replay_check
from simulators.passport.thresholds import held
from simulators.passport.totals import totals_check
from simulators.passport.twins import twins_check
from simulators.passport.verdict import Check, check
from simulators.run import Run, held_out_run

__all__ = ["Effort", "Issued", "issue", "level_check"]

_CLASSIFIER = "lightgbm"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a passport takes.

    Attributes
    ----------
    origins
        Refits.
    series
        Series that a refit sees at most, drawn at random: 4,000 take about three seconds.
    worlds
        Simulated worlds of the replay.
    twins
        Series that the classifier looks at, at most.
    quick
        Whether the passport has to say that it was made in a hurry.
    """

    origins: int = 3
    series: int = 4000
    worlds: int = 64
    twins: int = 2000
    quick: bool = False

    @staticmethod
    def hasty() -> Effort:
        """Return the effort of ``--quick``: one refit of 1,000 series, 16 worlds, 500 series looked at."""
        return Effort(1, 1000, 16, 500, quick=True)


@dataclass(frozen=True, slots=True)
class Issued:
    """A passport, and the validation on the same holdout that it was issued with."""

    passport: Passport
    validation: Validation


def issue(
    run: Run,
    *,
    effort: Effort | None = None,
    seed: int = 0,
    progress: Progress = lambda _what, _share: None,
) -> Issued:
    """Check a run and issue its passport.

    Parameters
    ----------
    run
        With a holdout, or without: then a model of its first four fifths is judged, and the passport says so.
    effort
        How much work; None for the full one.
    seed
        Of samples and simulations.
    progress
        Told what is being done and the share done, 0-1.

    Raises
    ------
    DataError
        If nothing sold in the held-out periods.
    """
    work = effort or Effort()
    progress("the model of the earlier part" if not run.holdout else "holdout", 0.0)
    judged = held_out_run(run, lambda what, share: progress(what, 0.3 * share))
    everything = backtest(judged.model, judged.panel)
    shown = validate(judged.model, judged.panel, own_holdout=judged is not run, cells=everything)
    found = everything.take(everything.inside)
    progress("checks", 0.35)
    rolled = origins_check(
        judged, work.origins, work.series, seed, lambda what, share: progress(what, 0.45 + 0.5 * share)
    )
    checks = (
        *_price_checks(judged, found, seed),
        level_check(shown),
        rolled,
        *_sales_checks(judged, found, shown, work, seed),
        *_evidence_checks(judged, found, shown),
    )
    progress("passport", 1.0)
    made = Passport(
        run_id=run.identifier,
        fingerprint=run.origin.fingerprint,
        until=judged.origin.until,
        own_holdout=judged is not run,
        series=shown.series,
        periods=shown.periods,
        quick=work.quick,
        seed=seed,
        versions=(*run.origin.versions, (_CLASSIFIER, version(_CLASSIFIER))),
        checks=checks,
    )
    return Issued(made, shown)


def level_check(found: Validation) -> Check:
    """Judge levels in the holdout: error against the naive mean, and totals that are too high or too low."""
    moved = (held("level", "bias_moved", found.bias_moved),) if np.isfinite(found.bias_moved) else ()
    figures = (
        held("level", "skill", 1.0 - found.wmape / found.naive_wmape),
        held("level", "bias", found.bias),
        *moved,
        held("level", "wmape", found.wmape),
        held("level", "naive_wmape", found.naive_wmape),
        held("level", "deviance", found.deviance),
        held("level", "naive_deviance", found.naive_deviance),
        held("level", "coverage", found.coverage),
    )
    return check("level", figures)


def _price_checks(run: Run, found: Backtest, seed: int) -> tuple[Check, ...]:
    steady = steady_sellers(run.training)
    return lift_check(found, steady), events_check(price_events(run.model, found, steady, seed))


def _sales_checks(run: Run, found: Backtest, shown: Validation, work: Effort, seed: int) -> tuple[Check, ...]:
    return (
        pit_check(run.model, found, seed),
        totals_check(run.model, found, shown.totals.periods),
        replay_check(replay(run.model, found, work.worlds, seed)),
        twins_check(run.model, found, work.twins, seed),
    )


def _evidence_checks(run: Run, found: Backtest, shown: Validation) -> tuple[Check, ...]:
    rows = np.unique(found.rows).astype(np.int64)
    return (
        sign_check(shown),
        support_check(shown),
        instrument_check(run.report.first_stage),
        sensitivity_check(elasticities(run.model, run.training), rows),
    )
