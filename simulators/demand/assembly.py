"""What a fit found, put together into a demand model for the time to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Codes, Floats, Ints
from pricing.model import COEFFICIENTS, DemandModel
from pricing.panel import Panel
from pricing.response import ResponseForms
from pricing.rivals import Rivals
from simulators.demand.design import posted
from simulators.demand.dispersion import SizePopulation
from simulators.demand.elasticities import with_confounding
from simulators.demand.forms import share_bends
from simulators.demand.identification import Support, identify, informed
from simulators.demand.instruments import Control
from simulators.demand.posterior import Evidence, Parameters
from simulators.demand.seasons import Seasons
from simulators.demand.shocks import Outlook, freedom, outlook, visits_ahead
from simulators.demand.standing import Standing
from simulators.demand.update import ahead

__all__ = ["ABSENCE_WEIGHT", "Found", "Label", "Settled", "Shop", "assembled"]

ABSENCE_WEIGHT = 50.0
"""Periods of the shop's mean chance of absence that each series' own is shrunk by."""
_C = len(COEFFICIENTS)


@dataclass(frozen=True, slots=True)
class Shop:
    """What is known before anything is learned, of N series in G categories.

    Attributes
    ----------
    panel
        Training panel of the series.
    seen
        Prices that were seen.
    reference
        float64 [N]; reference prices R0, gross minor units.
    categories, category
        G names, and int64 [N] into them.
    control
        What price tests and instruments tell; None where nothing does.
    rivals
        Who stands in for whom.
    period_days
        Days of a period.
    calendar_in_advance
        See :func:`simulators.demand.fit.fit`.
    """

    panel: Panel
    seen: Support
    reference: Floats
    categories: tuple[str, ...]
    category: Ints
    control: Control | None
    rivals: Rivals
    period_days: int
    calendar_in_advance: bool

    @property
    def bent(self) -> bool:
        """Whether the response to the regular price may bend.

        Where regular prices may have followed demand it is taken to be straight: small moves of a price
        follow demand more than large ones do, which looks like a threshold (in worlds with costs as an
        instrument it cost a fifth of the accuracy), and the price control does not tell the two apart. So it
        is where prices are known from sales only: of a small move much is error then, which looks like a
        threshold too (on a year of grocery sales the spread of elasticities grew by half with it, and
        held-out weeks were predicted no better).
        """
        chased = not self.calendar_in_advance or (self.control is not None and self.control.used)
        return not chased and posted(self.panel)


@dataclass(frozen=True, slots=True)
class Settled:
    """Where the search ended.

    Attributes
    ----------
    parameters
        Of all N series, at their modes.
    sizes, log_size_sd
        How sizes differ over series, and float64 [N], posterior sds of their logs.
    """

    parameters: Parameters
    sizes: SizePopulation
    log_size_sd: Floats


@dataclass(frozen=True, slots=True)
class Found:
    """What a fit found out.

    Attributes
    ----------
    settled, stands
        Where the search ended, and the posterior in the last period.
    seasons, forms
        Of weekday, month and year, and of the response to the regular price.
    """

    settled: Settled
    stands: Standing
    seasons: Seasons
    forms: ResponseForms


@dataclass(frozen=True, slots=True)
class Label:
    """What a model says of its making: first day not seen, fingerprint of the data, seed of its draws."""

    until: str
    fingerprint: str
    seed: int


def assembled(shop: Shop, evidence: Evidence, found: Found, label: Label) -> DemandModel:
    """Return the demand model of a shop.

    Parameters
    ----------
    shop, evidence
        What was known and seen.
    found, label
        What was found out, and what the model says of its making.
    """
    seen, rivals, seasons, forms = shop.seen, shop.rivals, found.seasons, found.forms
    parameters = found.settled.parameters
    shared = outlook(parameters.shocks, shop.period_days)
    crowd, crowd_variance = visits_ahead(found.stands.traffic_slope * seasons.measured, shop.period_days)
    mean, covariance = _coming(found, crowd, shop.period_days)
    absent = float(np.average(parameters.absence, weights=evidence.observed.sum(axis=1)))
    borrowed, around = _borrowed(found, shared, absent)
    shop_variance = shared.period_variance + crowd_variance
    model = DemandModel(
        series=shop.panel.series,
        mean=mean,
        factor=np.asarray(np.linalg.cholesky(covariance), dtype=np.float64),
        dispersion=parameters.size,
        absence=parameters.absence,
        reference_price=shop.reference,
        support_low=seen.low,
        support_high=seen.high,
        depth_low=seen.depth_low,
        identified_by=_identified(shop, found, covariance),
        category=shop.category,
        rival_group=rivals.group,
        rival_weight=rivals.weight,
        rival_outside_weight=rivals.outside_weight,
        category_shock_sd=np.sqrt(shared.category_variance),
        period_shock_sd=float(np.sqrt(shop_variance)),
        category_names=shop.categories,
        prior_mean=borrowed,
        prior_covariance=around,
        prior_log_size=found.settled.sizes.mean,
        prior_log_size_sd=found.settled.sizes.sd,
        prior_absence=absent,
        period_days=shop.period_days,
        until=label.until,
        fingerprint=label.fingerprint,
        seed=label.seed,
        weekday=None if seasons.week is None else seasons.week.profile,
        cycle_days=None if seasons.cycle is None else seasons.cycle.lengths,
        cycle=None if seasons.cycle is None else seasons.cycle.profile,
        form_weight=forms.weight,
        form_mean=forms.mean,
        form_covariance=forms.covariance,
        log_size_sd=found.settled.log_size_sd,
        absence_weight=evidence.observed.sum(axis=1) + ABSENCE_WEIGHT,
        shock_freedom=freedom(parameters.shocks, shared.period_variance, crowd_variance),
        shock_lasting=shared.lasting / np.append(shop_variance, shared.category_variance),
        shock_survival=shared.survival,
    )
    return with_confounding(model, shop.panel)


def _coming(found: Found, crowd: float, period_days: int) -> tuple[Floats, Floats]:
    """Return posterior mean [N, C] and covariance [N, C, C] of the coefficients for the time to come.

    A price that is decided here follows no shock: the price control is 0, and drops out.
    """
    stands = found.stands
    mean, covariance = ahead(stands.mean, stands.covariance, stands.drift, period_days)
    mean, covariance = share_bends(mean[:, :_C], covariance[:, :_C, :_C], found.forms)
    mean[:, 0] += crowd
    return mean, covariance


def _borrowed(found: Found, shared: Outlook, absent: float) -> tuple[Floats, Floats]:
    """Return what newcomers of each category, and of none known, start from, [G + 1, C] and [G + 1, C, C]."""
    mean, covariance = found.settled.parameters.population.newcomers
    mean, covariance = share_bends(mean[:, :_C], covariance[:, :_C, :_C], found.forms)
    mean[:, 0] += np.append(shared.lift, shared.lift.mean()) + np.log1p(-absent)
    return mean, covariance


def _identified(shop: Shop, found: Found, covariance: Floats) -> Codes:
    return identify(
        covariance,
        found.settled.parameters.population.prior_covariance[shop.category][:, :_C, :_C],
        shop.seen.levels,
        calendar_in_advance=shop.calendar_in_advance,
        population_informed=informed(shop.seen),
        control=shop.control,
    )
