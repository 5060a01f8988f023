"""Continue a fitted model with later periods: who is new, what their prices showed, what is now known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.calendar import cycle_waves, middle_days
from pricing.errors import DataError
from pricing.model import COEFFICIENTS, REGULAR, DemandModel
from pricing.panel import Panel
from pricing.rivals import Rivals
from simulators.demand.assembly import ABSENCE_WEIGHT
from simulators.demand.design import design, known_prices, observed, rivals_of
from simulators.demand.dispersion import SizePopulation, log_likelihood_by_size, log_size_sd, shrink_sizes
from simulators.demand.elasticities import with_confounding
from simulators.demand.fit_report import FitReport, identified, negative
from simulators.demand.forecast import forecast
from simulators.demand.forms import share_bends
from simulators.demand.identification import Support, believed, held_inside, identify, informed, support
from simulators.demand.instruments import Control, price_control
from simulators.demand.metrics import bias, wmape
from simulators.demand.newcomers import usable
from simulators.demand.shocks import visits_ahead
from simulators.demand.standing import Standing, mean_log_traffic
from simulators.demand.update import Fresh, Posterior, Prior, ahead, updated
from simulators.demand.weekdays import weekday

__all__ = ["Continued", "UpdateReport", "continued"]

_C = len(COEFFICIENTS)
_TRAFFIC = COEFFICIENTS.index("traffic")


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update found.

    Attributes
    ----------
    periods
        New periods.
    cells
        Series-periods in them that count as evidence.
    new_series, silent_series
        Series that the model did not know; known ones without evidence in the new periods.
    wmape, bias, coverage
        Of what the model before the update said of this evidence: an honest holdout at no cost. `coverage`
        is of 90 % intervals of sales. None where nothing sold.
    moved_regular
        Mean absolute change of the regular-price elasticity of known series.
    rounds
        Rounds until shared shocks and series agreed.
    """

    periods: int
    cells: int
    new_series: int
    silent_series: int
    wmape: float | None
    bias: float | None
    coverage: float | None
    moved_regular: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Continued:
    """A demand model that has seen later periods, its report, where it stands, and what the update found."""

    model: DemandModel
    report: FitReport
    standing: Standing
    told: UpdateReport


@dataclass(frozen=True, slots=True)
class _Roll:
    """Who is in the updated model: N series, in the order of `panel`.

    Attributes
    ----------
    panel
        All periods up to the new end.
    old
        int64 [N]; row of the model before, -1 for a new series.
    category
        int64 [N]; index into `names`.
    names
        The model's own categories, new ones after them.
    """

    panel: Panel
    old: Ints
    category: Ints
    names: tuple[str, ...]

    @property
    def categories(self) -> int:
        """Number of categories."""
        return len(self.names)


@dataclass(frozen=True, slots=True)
class _Laid:
    """Evidence of the new periods, the support of all periods, and the facts that they share."""

    fresh: Fresh
    seen: Support
    reference: Floats
    control: Control | None
    traffic: Floats
    rivals: Rivals


def continued(
    model: DemandModel,
    standing: Standing,
    report: FitReport,
    panel: Panel,
    *,
    until: str,
    fingerprint: str,
    calendar_in_advance: bool,
) -> Continued:
    """Update a model with the periods of `panel` that it has not seen.

    What the fit learned of the shop (population, sizes, the drift's process, the shocks' variances) is kept.
    A series that the model does not know borrows from its category (:meth:`DemandModel.borrowed`), and learns
    its own size; one of a category that the model does not know borrows from the shop. The range of prices
    seen is judged anew from all periods, by the rule for one-off prices that a fit follows, and so is what
    identifies each effect: later prices move in series whose prices never did, and the test is the same, the
    posterior against the prior of the fit.

    Parameters
    ----------
    model, standing, report
        Of the fit, or of the update before.
    panel
        All training periods, those that the model has seen (``standing.periods``) first.
    until, fingerprint
        First day that the update does not see; of the data.
    calendar_in_advance
        As in :func:`simulators.demand.fit.fit`.

    Raises
    ------
    DataError
        If the panel holds impossible numbers, or prices are no longer moved by what the fit used to tell
        their effect from demand's.
    """
    roll = _roll(model, panel)
    laid = _laid(model, standing, roll)
    A = _recentring(standing, panel)
    moved, B = _recentred(standing, A, panel), A[:_C, :_C]
    around = B @ model.prior_covariance @ B.T
    here = replace(model, prior_mean=model.prior_mean @ B.T, prior_covariance=around)
    prior = _prior(here, moved, report, roll)
    found = updated(prior, laid.fresh)
    log_sd = _old_or_new(roll, model.log_size_sd, model.prior_log_size_sd)
    if (roll.old < 0).any():
        size, log_sd[roll.old < 0] = _sizes(prior, laid.fresh, found, model, roll.old < 0)
        prior = replace(prior, size=size)
        found = updated(prior, laid.fresh)
    after = replace(moved, mean=found.mean, covariance=found.covariance, periods=len(panel.periods))
    after = replace(after, prior_covariance=_prior_covariances(here, moved, report, roll.names))
    here = _borrowing(here, roll, found.lift)
    made = _model(here, after, roll, laid, prior, calendar_in_advance=calendar_in_advance)
    made = replace(made, until=until, fingerprint=fingerprint, log_size_sd=log_sd)
    made = with_confounding(made, roll.panel)
    told = _told(model, made, roll, laid, found)
    return Continued(made, _report(report, made, laid, len(panel.series), len(panel.periods)), after, told)


def _roll(model: DemandModel, panel: Panel) -> _Roll:
    place = {key: i for i, key in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    # A newcomer that has not sold since is a listing by now, and no longer in the panel.
    found = [place.get(key, -1) for key in zip(model.series.group, model.series.zone, strict=True)]
    rows = np.array(found, dtype=np.int64)
    known = np.flatnonzero(rows >= 0).astype(np.int64)
    old = np.full(len(panel.series), -1, dtype=np.int64)
    old[rows[known]] = known
    kept = np.union1d(rows[known], usable(panel))
    labels = [panel.series.category[int(i)] for i in kept]
    names = (*model.category_names, *sorted(set(labels) - set(model.category_names)))
    numbers = {name: g for g, name in enumerate(names)}
    category = np.array([numbers[label] for label in labels], dtype=np.int64)
    return _Roll(panel.take(kept), old[kept], category, names)


def _laid(model: DemandModel, standing: Standing, roll: _Roll) -> _Laid:
    panel, past = roll.panel, standing.periods
    reference = np.nanmedian(np.fmax(panel.regular, panel.offered), axis=1)
    known = roll.old >= 0
    reference[known] = model.reference_price[roll.old[known]]
    seen = support(panel)
    traffic = _known_traffic(standing, model, panel)
    days = panel.periods.astype("datetime64[D]").astype(np.int64)
    rows, calendar = np.arange(len(roll.old), dtype=np.int64)[:, None], _spread_seasons(model, roll)
    expected, season = np.nan_to_num(calendar.traffic_on(rows, days)), calendar.season_on(rows, days)
    rivals = rivals_of(panel)
    made = design(panel, reference, traffic + expected, model.period_days, rivals)
    watched = observed(panel) & believed(known_prices(panel), seen)
    regressors = held_inside(made.X, reference, seen.low, seen.high, seen.depth_low)
    control = _control(panel) if standing.mean.shape[1] - 1 > _C else None
    if control is not None:
        regressors = np.concatenate([regressors, control.columns], axis=2)
    fresh = Fresh(
        panel.units[:, past:],
        watched[:, past:],
        regressors[:, past:],
        (made.offset + season)[:, past:],
        roll.category,
    )
    return _Laid(fresh, seen, reference, control, traffic, rivals)


def _known_traffic(standing: Standing, model: DemandModel, panel: Panel) -> Floats:
    """Return log traffic [T] over what the calendar expects of it; 0 if unknown."""
    out = np.zeros(len(panel.periods))
    if standing.traffic_mean is not None:
        covered = (panel.days > 0) & (panel.traffic > 0.0)
        out[covered] = np.log(panel.traffic[covered] / panel.days[covered]) - mean_log_traffic(panel)
        if standing.traffic_by_weekday:
            own = np.array(standing.traffic_by_weekday)[weekday(panel.periods)]
            out = np.where(covered, out - own, 0.0)
        if model.cycle_days is not None:
            days = panel.periods.astype("datetime64[D]").astype(np.int64)
            waves = cycle_waves(middle_days(days, model.period_days), model.cycle_days)
            out = np.where(covered, out - waves @ np.array(standing.traffic_by_cycle), 0.0)
    return out * standing.traffic_scale


def _spread_seasons(model: DemandModel, roll: _Roll) -> DemandModel:
    """Return the model with the series of the roll, new categories sharing the others' mean seasons."""

    def spread(profile: Floats | None) -> Floats | None:
        if profile is None:
            return None
        new = roll.categories - len(profile)
        return np.concatenate([profile, np.tile(profile.mean(axis=0), (new, 1))])

    return replace(model, category=roll.category, weekday=spread(model.weekday), cycle=spread(model.cycle))


def _old_or_new(roll: _Roll, old: Floats | None, new: float) -> Floats:
    """Return what known series had, and `new` of new ones, float64 [N]."""
    out = np.full(len(roll.old), new)
    known = roll.old >= 0
    if old is not None:
        out[known] = old[roll.old[known]]
    return out


def _control(panel: Panel) -> Control:
    """Return the price control over all periods, which the fit had and an update must have too."""
    control = price_control(panel)
    if control is None or not control.used:
        raise DataError(
            "Costs and price tests no longer tell which price moves follow demand.",
            why="The run was fitted with them; with the new periods they are missing or too weak.",
            todo="Give the tables that the run was fitted with, or fit again.",
        )
    return control


def _recentring(standing: Standing, panel: Panel) -> Floats:
    """Return the matrix [K + 1, K + 1] that states coefficients at the mean traffic of all periods.

    Traffic is measured from its mean over the periods seen; as that moves, the level moves along with it.
    """
    out = np.eye(standing.mean.shape[1])
    if standing.traffic_mean is not None:
        moved = mean_log_traffic(panel) - standing.traffic_mean
        out[0, _TRAFFIC] = moved * standing.traffic_scale
    return out


def _recentred(standing: Standing, A: Floats, panel: Panel) -> Standing:
    B = A[:-1, :-1]
    return replace(
        standing,
        mean=standing.mean @ A.T,
        covariance=A @ standing.covariance @ A.T,
        prior_covariance=B @ standing.prior_covariance @ B.T,
        traffic_mean=None if standing.traffic_mean is None else mean_log_traffic(panel),
    )


def _newcomers(
    model: DemandModel, standing: Standing, report: FitReport, names: Sequence[str]
) -> tuple[Floats, Floats]:
    """Return mean [R, K + 1] and covariance [R, K + 1, K + 1] of series without history, drift included.

    `names` are the categories of the R series.
    """
    K, R = standing.mean.shape[1] - 1, len(names)
    mean, covariance = np.zeros((R, K + 1)), np.zeros((R, K + 1, K + 1))
    mean[:, :_C], covariance[:, :_C, :_C] = model.borrowed(names)
    for i, row in enumerate(report.population[_C:K], start=_C):
        mean[:, i], covariance[:, i, i] = row.mean, row.spread**2 + row.standard_error**2
    covariance[:, K, K] = standing.drift.variance
    return mean, covariance


def _prior(model: DemandModel, standing: Standing, report: FitReport, roll: _Roll) -> Prior:
    mean, covariance = _newcomers(model, standing, report, roll.panel.series.category)
    known = roll.old >= 0
    mean[known], covariance[known] = standing.mean[roll.old[known]], standing.covariance[roll.old[known]]
    size = np.full(len(roll.old), np.exp(model.prior_log_size))
    size[known] = model.dispersion[roll.old[known]]
    variance = np.full(roll.categories, float((model.category_shock_sd**2).mean()))
    variance[: len(model.category_shock_sd)] = model.category_shock_sd**2
    return Prior(mean, covariance, size, standing.drift, standing.period_variance, variance, standing.periods)


def _sizes(
    prior: Prior, fresh: Fresh, found: Posterior, model: DemandModel, new: Bools
) -> tuple[Floats, Floats]:
    """Return sizes [N]: those of new series shrunk to the shop's own distribution, the others kept.

    With them comes the posterior sd of the new ones' log sizes.
    """
    likelihood = log_likelihood_by_size(
        fresh.units[new], fresh.observed[new], found.eta[new], found.eta_variance[new]
    )
    size = prior.size.copy()
    population = SizePopulation(model.prior_log_size, model.prior_log_size_sd)
    size[new] = shrink_sizes(likelihood, population)
    return size, log_size_sd(likelihood, population)


def _prior_covariances(
    model: DemandModel, standing: Standing, report: FitReport, names: Sequence[str]
) -> Floats:
    """Return the prior covariance [G, K, K] of each category; of a new one, that of a series of it."""
    _, wide = _newcomers(model, standing, report, names[len(standing.prior_covariance) :])
    return np.concatenate([standing.prior_covariance, wide[:, :-1, :-1]])


def _borrowing(model: DemandModel, roll: _Roll, lift: Floats) -> DemandModel:
    """Return the model with what newcomers of each category borrow, at the level where it stands by now."""
    shop = model.prior_mean[-1:], model.prior_covariance[-1:]
    new = roll.categories - len(model.category_names)
    mean, covariance = (
        np.concatenate([old[:-1], np.repeat(last, new + 1, axis=0)])
        for old, last in zip((model.prior_mean, model.prior_covariance), shop, strict=True)
    )
    mean[:, 0] += np.append(lift, lift.mean())
    return replace(model, category_names=roll.names, prior_mean=mean, prior_covariance=covariance)


def _model(
    model: DemandModel,
    standing: Standing,
    roll: _Roll,
    laid: _Laid,
    prior: Prior,
    *,
    calendar_in_advance: bool,
) -> DemandModel:
    mean, covariance = ahead(standing.mean, standing.covariance, standing.drift, model.period_days)
    mean, covariance = mean[:, :_C], covariance[:, :_C, :_C]
    if model.forms is not None:
        mean, covariance = share_bends(mean, covariance, model.forms)
    told_by = identify(
        covariance,
        standing.prior_covariance[roll.category][:, :_C, :_C],
        laid.seen.levels,
        calendar_in_advance=calendar_in_advance,
        population_informed=informed(laid.seen),
        control=laid.control,
    )
    calendar = _spread_seasons(model, roll)
    crowd, crowd_variance = visits_ahead(standing.traffic_slope * laid.traffic, model.period_days)
    mean[:, 0] += crowd
    return replace(
        model,
        series=roll.panel.series,
        mean=mean,
        factor=np.asarray(np.linalg.cholesky(covariance), dtype=np.float64),
        dispersion=prior.size,
        absence=_old_or_new(roll, model.absence, model.prior_absence),
        absence_weight=_old_or_new(roll, model.absence_weight, ABSENCE_WEIGHT),
        reference_price=laid.reference,
        support_low=laid.seen.low,
        support_high=laid.seen.high,
        depth_low=laid.seen.depth_low,
        identified_by=told_by,
        category=roll.category,
        rival_group=laid.rivals.group,
        rival_weight=laid.rivals.weight,
        rival_outside_weight=laid.rivals.outside_weight,
        category_shock_sd=np.sqrt(prior.category_variance),
        period_shock_sd=float(np.sqrt(standing.period_variance + crowd_variance)),
        weekday=calendar.weekday,
        cycle=calendar.cycle,
        # What nobody has seen varies as surely as the least sure of the others.
        shock_freedom=_extended(model.shock_freedom, roll, by=lambda known: float(known.min())),
        shock_lasting=_extended(model.shock_lasting, roll, by=lambda known: float(known.mean())),
        shock_survival=_extended(model.shock_survival, roll, by=lambda known: float(known.mean())),
    )


def _extended(known: Floats | None, roll: _Roll, *, by: Callable[[Floats], float]) -> Floats | None:
    """Return a fact of the shocks [1 + G]; of new categories, `by` of the other categories'."""
    if known is None:
        return None
    new = roll.categories + 1 - len(known)
    return np.concatenate([known, np.full(new, by(known[1:]))])


def _told(
    before: DemandModel, after: DemandModel, roll: _Roll, laid: _Laid, found: Posterior
) -> UpdateReport:
    """Say what the update found, and how well the model before it had foretold it."""
    fresh, known = laid.fresh, roll.old >= 0
    rows, period = np.nonzero(fresh.observed & known[:, None])
    at = fresh.X[rows, period][:, :_C].copy()
    day = roll.panel.periods[-fresh.units.shape[1] :].astype("datetime64[D]").astype(np.int64)
    at[:, _TRAFFIC] = np.nan_to_num(before.traffic_on(roll.old[rows], day[period]))
    old = roll.old[rows]
    y, made = fresh.units[rows, period], forecast(before, old, at, np.exp(fresh.offset[rows, period]))
    sold = bool(y.sum() > 0.0)
    inside = (y >= made.units_lower) & (y <= made.units_upper)
    change = (after.mean[known] - before.mean[roll.old[known]]) @ REGULAR
    return UpdateReport(
        periods=fresh.units.shape[1],
        cells=int(fresh.observed.sum()),
        new_series=int((~known).sum()),
        silent_series=int((known & ~fresh.observed.any(axis=1)).sum()),
        wmape=wmape(y, made.expected) if sold else None,
        bias=bias(y, made.expected) if sold else None,
        coverage=float(inside.mean()) if sold else None,
        moved_regular=float(np.abs(change).mean()),
        rounds=found.rounds,
    )


def _report(report: FitReport, model: DemandModel, laid: _Laid, series: int, periods: int) -> FitReport:
    """Return the fit's report with what the update changed."""
    regular, depth = negative(model)
    return replace(
        report,
        series=len(model.series),
        periods=periods,
        without_sales=series - len(model.series),
        period_shock_sd=model.period_shock_sd,
        negative_regular=regular,
        negative_depth=depth,
        identified=identified(model),
        first_stage=laid.control.first_stage if laid.control else report.first_stage,
    )
