"""Fit: a panel becomes a demand model, with a posterior for every series that ever sold.

One negative-binomial regression over all series, partially pooled. Hyperparameters (the population of
coefficients, shared shocks, sizes, drift) are learned by empirical Bayes on series with enough evidence;
then every series gets its posterior, thin ones close to the population. Yearly season is not modelled: one
year cannot tell it from anything else that happened once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.errors import DataError
from pricing.model import COEFFICIENTS, DemandModel
from pricing.panel import Panel
from simulators.demand.anchor import Anchor, pooled_anchor
from simulators.demand.assembly import ABSENCE_WEIGHT, Found, Label, Settled, Shop, assembled
from simulators.demand.design import design, known_prices, log_traffic, observed, rivals_of
from simulators.demand.dispersion import SizePopulation, log_size_sd, shrink_sizes, size_population
from simulators.demand.drift import first_drift
from simulators.demand.fit_report import FitReport, identified, negative, population_rows
from simulators.demand.forms import Comparison, compare
from simulators.demand.identification import Support, believed, held_inside, support
from simulators.demand.instruments import price_control
from simulators.demand.newcomers import usable
from simulators.demand.population import (
    Population,
    distance,
    first_population,
    shifted,
    update_level,
    update_population,
)  # fmt: skip
from simulators.demand.posterior import Evidence, Parameters, sized, sweep
from simulators.demand.seasons import Seasons, first_seasons
from simulators.demand.shocks import first_shocks, split_traffic, update_shocks
from simulators.demand.standing import Standing, standing

__all__ = ["Fit", "Progress", "fit"]

Progress = Callable[[str, float], None]
"""Called with what is being done and the share that is done, 0-1."""

_TRAFFIC = COEFFICIENTS.index("traffic")
_RICH_SERIES = 3000
_ENOUGH_SHARE = 0.75
"""A series teaches the population if it sold in this share of the periods. In thinner ones a "price move" is
often another store's price or a slip of the till, which drags price responses to zero: on a year of grocery
data the mean regular-price elasticity was -0.28 when series with ten selling weeks taught it and -0.83 from
those that sold in most weeks, and the held-out slope of price effects (weeks 35-43) rose from .94 to .95."""
_LEAST_RICH = 30
_ROUNDS = 40
_FIRST_ROUNDS = 4
_SIZE_ROUNDS = (4, 10, 20)
_SETTLED = 2e-3
_FIRST_ABSENCE = 0.02


@dataclass(frozen=True, slots=True)
class Fit:
    """A demand model, the report of its making, and where it stands for updates with later periods."""

    model: DemandModel
    report: FitReport
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Learned:
    parameters: Parameters
    sizes: SizePopulation
    rounds: int
    settled: bool
    seasons: Seasons
    compared: Comparison


def fit(
    panel: Panel,
    *,
    until: str,
    fingerprint: str,
    seed: int,
    calendar_in_advance: bool,
    progress: Progress = lambda _what, _share: None,
) -> Fit:
    """Fit demand to a training panel.

    Parameters
    ----------
    panel
        Periods before `until` only; nothing later may be in it, `on_sale` included.
    until
        ISO date, the first day that the fit does not see.
    fingerprint
        Of the data that the panel was made from.
    seed
        Posterior draws of the model follow from it; the fit itself draws nothing.
    calendar_in_advance
        A promotions table was given *and* the shop file declares that the promotion calendar is set in
        advance of demand.
    progress
        Told what is being done.

    Raises
    ------
    DataError
        If no series has a sale with a price, or the panel holds impossible numbers.
    """
    known = usable(panel)
    shop = _shop(panel.take(known), calendar_in_advance=calendar_in_advance)
    calendar = first_seasons(shop.panel, shop.period_days, len(shop.categories), log_traffic(shop.panel))
    evidence = calendar.bare(_evidence(shop))
    rich = _rich(evidence, shop.seen)
    learned = _learn(evidence, rich, shop, calendar, progress)
    evidence = learned.seasons.written(evidence)
    settled = _spread(evidence, rich, learned, progress)
    progress("posterior", 0.9)
    stands = standing(evidence, settled.parameters, shop.panel, learned.seasons)
    found = Found(settled, stands, learned.seasons, learned.compared.forms)
    model = assembled(shop, evidence, found, Label(until, fingerprint, seed))
    progress("anchor", 0.95)
    anchor = pooled_anchor(shop.panel, evidence, settled.parameters.size)
    report = _report(
        model, settled.parameters, learned, len(panel.series) - len(known), len(rich), shop, anchor
    )
    progress("fitted", 1.0)
    return Fit(model, report, stands)


def _shop(panel: Panel, *, calendar_in_advance: bool) -> Shop:
    """Return what is known of a shop before anything is learned; `panel` holds what is fitted."""
    names = sorted(set(panel.series.category))
    return Shop(
        panel=panel,
        seen=support(panel),
        reference=np.nanmedian(np.fmax(panel.regular, panel.offered), axis=1),
        categories=tuple(names),
        category=np.array([names.index(c) for c in panel.series.category], dtype=np.int64),
        control=price_control(panel),
        rivals=rivals_of(panel),
        period_days=_period_days(panel),
        calendar_in_advance=calendar_in_advance,
    )


def _evidence(shop: Shop) -> Evidence:
    """Lay out what the fit sees; periods at a price that nothing vouches for are left out."""
    panel, seen = shop.panel, shop.seen
    made = design(panel, shop.reference, log_traffic(panel), shop.period_days, shop.rivals)
    watched = observed(panel, short=True) & believed(known_prices(panel), seen)
    regressors = held_inside(made.X, shop.reference, seen.low, seen.high, seen.depth_low)
    if shop.control is not None and shop.control.used:
        regressors = np.concatenate([regressors, shop.control.columns], axis=2)
    return Evidence(
        panel.units, watched, regressors, made.offset, shop.category, shop.period_days, panel.short
    )


def _learn(
    evidence: Evidence,
    rich: Ints,
    shop: Shop,
    seasons: Seasons,
    progress: Progress,
) -> _Learned:
    """Empirical Bayes on the rich series."""
    bare = evidence.take(rich)
    some = seasons.written(bare)
    level = _rough_level(some)
    categories = len(shop.categories)
    population = first_population(level, categories, some.X.shape[2], bent=shop.bent)
    mode = np.tile(population.mean, (len(rich), 1))
    mode[:, 0] = level
    sizes = SizePopulation(0.7, 1.0)
    still, shocks = np.zeros_like(some.units), first_shocks(categories, len(seasons.rest), some.period_days)
    process = first_drift(some.period_days)
    absence = np.full(len(rich), _FIRST_ABSENCE)
    now = Parameters(mode, still, np.full(len(rich), 2.0), absence, population, shocks, process)
    done, settled = 0, False
    while done < _ROUNDS and not settled:
        progress("population", 0.05 + 0.6 * done / _ROUNDS)
        if done in _SIZE_ROUNDS:
            likelihood = sized(some, replace(now, population=now.population.taking_means_as_known()))
            sizes = size_population(likelihood)
            now = replace(now, size=shrink_sizes(likelihood, sizes))
        before = now.population
        known = seasons.rest if seasons.week is None else np.zeros_like(seasons.rest)
        now = _round(some, now, known, steps=2 if done < _FIRST_ROUNDS else 1)
        seasons, now = seasons.learned(some, now)
        some = seasons.written(bare)
        done += 1
        settled = done > max(_SIZE_ROUNDS) + 2 and distance(before, now.population) < _SETTLED
    known_means = now.population.taking_means_as_known()
    last = sweep(some, replace(now, population=known_means), steps=1)
    compared = compare(last.mode, last.covariance, some.category, known_means)
    return _Learned(replace(now, population=compared.population), sizes, done, settled, seasons, compared)


def _round(some: Evidence, now: Parameters, traffic: Floats, *, steps: int) -> Parameters:
    learning = replace(now, population=now.population.taking_means_as_known())
    found = sweep(some, learning, steps=steps)
    population, mode = update_population(found.mode, found.covariance, some.category, learning.population)
    shocks = update_shocks(found.score, found.weight, found.told, now.shocks)
    shocks, slope = split_traffic(shocks, traffic)
    mode[:, _TRAFFIC] += slope
    return replace(
        now,
        mode=mode,
        level=found.level,
        population=shifted(population, _TRAFFIC, slope),
        shocks=shocks,
        drift=found.drift,
        absence=_absence(some, found.absent),
    )


def _spread(evidence: Evidence, rich: Ints, learned: _Learned, progress: Progress) -> Settled:
    """Carry what was learned to every series, re-learning only what thin series tell of themselves."""
    old, sizes = learned.parameters, learned.sizes
    n, sold = len(evidence.units), _sold(evidence)
    log_sd = np.full(n, sizes.sd)
    category = evidence.category[sold]
    mode = old.population.category_mean[evidence.category]
    mode[:, 0] = _rough_level(evidence)
    mode[rich] = old.mode
    level = np.zeros_like(evidence.units)
    level[rich] = old.level
    size = np.full(n, np.exp(learned.sizes.mean))
    size[rich] = old.size
    absence = np.full(n, float(old.absence.mean()))
    now = replace(old, mode=mode, level=level, size=size, absence=absence)
    now = replace(now, population=_level_of(evidence, now))
    for done in range(4):
        progress("all series", 0.65 + 0.06 * done)
        found = sweep(evidence, now, steps=5, tolerance=1e-3)
        now = replace(now, mode=found.mode, level=found.level, absence=_absence(evidence, found.absent))
        population = update_level(found.mode[sold, 0], found.covariance[sold, 0, 0], category, now.population)
        if done < 2:
            likelihood = sized(evidence, now)
            sizes = size_population(likelihood[sold])
            now = replace(now, size=shrink_sizes(likelihood, sizes))
            log_sd = log_size_sd(likelihood, sizes)
        now = replace(
            now,
            population=population,
            shocks=update_shocks(found.score, found.weight, found.told, now.shocks),
        )
    found = sweep(evidence, now, steps=25)
    return Settled(replace(now, mode=found.mode, level=found.level), sizes, log_sd)


def _absence(evidence: Evidence, absent: Floats) -> Floats:
    """Return the chance of absence of each series, shrunk to the shop's, from expected absent periods [N]."""
    count = evidence.observed.sum(axis=1)
    shop = float(absent.sum()) / max(float(count.sum()), 1.0)
    return np.asarray((absent + ABSENCE_WEIGHT * shop) / (count + ABSENCE_WEIGHT))


def _level_of(evidence: Evidence, now: Parameters) -> Population:
    sold = _sold(evidence)
    level, population = now.mode[sold, 0], now.population
    for _ in range(20):
        population = update_level(level, np.full(len(level), 0.1), evidence.category[sold], population)
    return population


def _report(
    model: DemandModel,
    found: Parameters,
    learned: _Learned,
    without_sales: int,
    rich: int,
    shop: Shop,
    anchor: Anchor | None,
) -> FitReport:
    regular, depth = negative(model)
    return FitReport(
        series=len(model.series),
        periods=len(found.shocks.period),
        without_sales=without_sales,
        rich_series=rich,
        rounds=learned.rounds,
        settled=learned.settled,
        population=population_rows(found.population),
        size_mean=learned.sizes.mean,
        size_sd=learned.sizes.sd,
        drift_sd=float(np.sqrt(found.drift.variance)),
        drift_survival=found.drift.survival,
        period_shock_sd=model.period_shock_sd,
        negative_regular=regular,
        negative_depth=depth,
        identified=identified(model),
        anchor=anchor,
        first_stage=shop.control.first_stage if shop.control else None,
        forms=learned.compared.rows,
    )


def _period_days(panel: Panel) -> int:
    if len(panel.periods) < 2:
        raise DataError(
            f"The panel has {len(panel.periods)} period(s) before the end of training; a fit needs two.",
            todo="Give a longer history or a later --until.",
        )
    return int((panel.periods[1] - panel.periods[0]) / np.timedelta64(1, "D"))


def _rough_level(evidence: Evidence) -> Floats:
    """Return log units a period at mean conditions, float64 [N], half a sale in one more period added."""
    exposure = np.where(evidence.observed, np.exp(evidence.offset), 0.0).sum(axis=1) + 1.0
    units = np.where(evidence.observed, evidence.units, 0.0).sum(axis=1)
    out: Floats = np.log((units + 0.5) / exposure)
    return out


def _sold(evidence: Evidence) -> Ints:
    """Return the series that are no newcomers: these have levels to learn from, those borrow theirs."""
    return np.flatnonzero((evidence.units > 0.0).any(axis=1)).astype(np.int64)


def _rich(evidence: Evidence, seen: Support) -> Ints:
    """Return series with enough evidence to teach the population, evenly thinned to a bounded number."""
    selling = (evidence.observed & (evidence.units > 0.0)).sum(axis=1)
    open_days = int(evidence.observed.any(axis=0).sum())
    enough = _ENOUGH_SHARE * (open_days if evidence.period_days == 1 else evidence.units.shape[1])
    rich = np.flatnonzero((selling >= enough) & (seen.levels.max(axis=1) >= 2))
    if len(rich) < _LEAST_RICH:
        rich = _sold(evidence)
    picked = np.unique(np.linspace(0, len(rich) - 1, min(len(rich), _RICH_SERIES)).round().astype(np.int64))
    return rich[picked]
