"""What the calendar knows of demand: the days of the week and the cycles of month and year, together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pricing.arrays import Floats
from pricing.model import COEFFICIENTS
from pricing.panel import Panel
from simulators.demand.cycles import Cycle, first_cycle, split_cycle
from simulators.demand.population import shifted
from simulators.demand.posterior import Evidence, Parameters
from simulators.demand.shocks import split_traffic
from simulators.demand.weekdays import Week, first_week, split_week

__all__ = ["Seasons", "first_seasons"]

_TRAFFIC = COEFFICIENTS.index("traffic")


@dataclass(frozen=True, slots=True)
class Seasons:
    """What demand follows the calendar in.

    Attributes
    ----------
    week
        Expected traffic by weekday; None where periods are weeks.
    cycle
        By month and year; None where the data are too short for either.
    rest
        float64 [T]; log traffic that the calendar does not expect, 0 where traffic is not known.
    """

    week: Week | None
    cycle: Cycle | None
    rest: Floats

    def written(self, evidence: Evidence) -> Evidence:
        """Return evidence, as :meth:`bare` gave it, with the calendar in its regressors and offset."""
        offset, regressors = evidence.offset, evidence.X
        if self.week is not None:
            regressors = regressors.copy()
            regressors[..., _TRAFFIC] = self.week.columns(evidence.category, self.rest)
        if self.cycle is not None:
            offset = offset + self.cycle.columns[evidence.category]
        return replace(evidence, X=regressors, offset=offset)

    def bare(self, evidence: Evidence) -> Evidence:
        """Return the evidence with traffic measured from what the calendar expects of it."""
        regressors = evidence.X.copy()
        regressors[..., _TRAFFIC] = self.rest
        return replace(evidence, X=regressors)

    def learned(self, evidence: Evidence, now: Parameters) -> tuple[Seasons, Parameters]:
        """Return what the shocks say of the calendar, and the parameters that leaves."""
        week, cycle = self.week, self.cycle
        if week is not None:
            week, now = _with_week(week, self.rest, evidence, now)
        if cycle is not None:
            shocks, cycle = split_cycle(now.shocks, cycle)
            now = replace(now, shocks=shocks)
        return replace(self, week=week, cycle=cycle), now

    @property
    def measured(self) -> Floats:
        """float64 [T]; log traffic beyond the calendar, as it stands in the regressors."""
        return self.rest if self.week is None else self.week.scale * self.rest


def _with_week(week: Week, rest: Floats, evidence: Evidence, now: Parameters) -> tuple[Week, Parameters]:
    """Let the week learn from the shocks. Demand follows its traffic one for one, on average over series."""
    off = 1.0 - float(now.population.mean[_TRAFFIC])
    shocks, slope = split_traffic(now.shocks, week.scale * rest)
    shocks, moved, lift = split_week(shocks, replace(week, scale=week.scale * (1.0 + slope)))
    mode = now.mode.copy()
    mode[:, _TRAFFIC] += off
    mode[:, 0] += mode[:, _TRAFFIC] * lift[evidence.category]
    population = shifted(now.population, _TRAFFIC, off)
    return moved, replace(now, mode=mode, population=population, shocks=shocks)


def first_seasons(panel: Panel, period_days: int, categories: int, traffic: Floats) -> Seasons:
    """Return where the search starts; `traffic` is float64 [T], log traffic over its mean."""
    week, rest = first_week(panel, categories, traffic)
    cycle, rest = first_cycle(panel.periods, period_days, categories, rest)
    return Seasons(week, cycle, rest)
