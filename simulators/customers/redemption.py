"""Fit the redemption model on what was known on a day, and calibrate it on campaigns that it did not see."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import NotIdentified, UsageError
from pricing.redemption import OFFER_FEATURES, RedemptionModel
from simulators.customers.history import past_excess
from simulators.customers.logistic import Logit, fit_logistic
from simulators.customers.offers import Offers

__all__ = ["Forecast", "day_number", "fit_redemption", "predict_redemption"]

_WARM_UP_DAYS = 28
"""Offers of the first days of the tables describe households of whom nothing is known yet: not fitted."""

_LEAST_REDEEMED = 30
_LEAST_FOR_CALIBRATION = 100
"""Redeemed offers seen before a campaign may count as predicted, and that must be predicted to calibrate."""

_SLOPE_PRECISION = 1.0
"""Of standardised features and of history: a prior sd of 1 log odds each."""
_KIND_PRECISION = 1.0
_LEVEL_PRECISION = 1e-6
_CALIBRATION_PRECISION = 4.0
"""Intercept and slope are each believed to be within .5 of 0 and 1."""

_QUANTILES = 101
_UNIFORM_WEIGHT = 10.0
"""Redemptions spread evenly over the window that the observed timing is shrunk towards."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a model says of N offers on the day of exposure.

    Attributes
    ----------
    ever
        float64 [N]; probability of redemption before the campaign ends.
    by_horizon
        float64 [N]; probability of redemption before the horizon; equal where the campaign is over by then.
    """

    ever: Floats
    by_horizon: Floats


def day_number(day: str) -> int:
    """Return an ISO date as days since 1970-01-01; raises :class:`pricing.errors.UsageError` for no date."""
    try:
        return (dt.date.fromisoformat(day) - dt.date(1970, 1, 1)).days
    except ValueError as error:
        raise UsageError(f"{day!r} is no day.", todo="Write it like 2025-09-01.") from error


def fit_redemption(offers: Offers, as_of: str) -> RedemptionModel:
    """Fit on offers made before a day, with what had come of them by then.

    Parameters
    ----------
    offers
        All offers; those from `as_of` on are ignored, and so is any redemption from then on.
    as_of
        ISO date, first day that the fit does not see.

    Raises
    ------
    NotIdentified
        If fewer than 30 offers were seen redeemed.
    """
    day = day_number(as_of)
    model = _fit(offers, day, as_of)
    log_odds, chosen = _rolling(offers, day, as_of)
    seen = offers.redeemed[chosen] < day
    if int(seen.sum()) < _LEAST_FOR_CALIBRATION:
        return model
    X = np.stack([np.ones(len(log_odds)), log_odds], axis=1)
    F = model.seen_share(offers.elapsed(day)[chosen])
    found = fit_logistic(X, seen, F, np.full(2, _CALIBRATION_PRECISION), offset=log_odds)
    return replace(model, calibration=found.mean + np.array([0.0, 1.0]), calibrated_on=int(seen.sum()))


def predict_redemption(model: RedemptionModel, offers: Offers, horizon: str | None = None) -> Forecast:
    """Predict offers from what was known on the day of each.

    Parameters
    ----------
    model
        Fitted on an earlier day.
    offers
        All offers of the households, so that each has its history; every one is predicted.
    horizon
        ISO date, the first day on which nobody looks any more: offers of campaigns that last longer are
        predicted up to it. None: to the end of each campaign.
    """
    ever = model.probability(offers.features, past_excess(model, offers), offers.kind)
    if horizon is None:
        return Forecast(ever, ever)
    return Forecast(ever, ever * model.seen_share(offers.elapsed(day_number(horizon))))


def _fit(offers: Offers, day: int, as_of: str) -> RedemptionModel:
    """Fit both regressions on what was known on `day`; not calibrated."""
    known = offers.take(offers.day < day)
    usable = known.day >= offers.first_day + _WARM_UP_DAYS
    rows = known.take(usable)
    if int((rows.redeemed < day).sum()) < _LEAST_REDEEMED:
        raise NotIdentified(
            f"{int((rows.redeemed < day).sum())} offers were seen redeemed before {as_of}.",
            why=f"A redemption model needs {_LEAST_REDEEMED}, the first {_WARM_UP_DAYS} days not counted.",
            todo="Wait for more campaigns, or hand over more of the past.",
        )
    model = _unfitted(rows, day, as_of)
    screen = _regress(model, rows, model.design(rows.features, rows.kind), day)
    model = replace(model, screen=screen.mean)
    history = past_excess(model, known)[usable]
    found = _regress(model, rows, model.design(rows.features, rows.kind, history), day)
    return replace(model, mean=found.mean, covariance=found.covariance, campaign_sd=found.group_sd)


def _unfitted(rows: Offers, day: int, as_of: str) -> RedemptionModel:
    kinds = tuple(sorted(set(rows.kind)))
    centre, scale = _standard(rows.features)
    width = 1 + len(OFFER_FEATURES) + len(kinds)
    return RedemptionModel(
        kinds=kinds,
        centre=centre,
        scale=scale,
        screen=np.zeros(width),
        mean=np.zeros(width + 1),
        covariance=np.zeros((width + 1, width + 1)),
        campaign_sd=0.0,
        calibration=np.array([0.0, 1.0]),
        calibrated_on=0,
        timing=_timing(rows, day),
        as_of=as_of,
        fingerprint=rows.fingerprint,
    )


def _standard(features: Floats) -> tuple[Floats, Floats]:
    """Return mean and sd of each feature where it is recorded; (0, 1) where it never is."""
    there = ~np.isnan(features)
    count = np.maximum(there.sum(axis=0), 1)
    centre: Floats = np.where(there, features, 0.0).sum(axis=0) / count
    spread = np.where(there, features - centre, 0.0)
    sd: Floats = np.sqrt((spread**2).sum(axis=0) / count)
    return centre, np.where(sd > 1e-9, sd, 1.0)


def _timing(rows: Offers, day: int) -> Floats:
    """Return the cumulative share of first redemptions along the window, of campaigns over by `day`."""
    over = (rows.ends <= day) & (rows.redeemed < day)
    share = np.sort(
        (rows.redeemed[over] + 1 - rows.day[over]) / (rows.ends[over] - rows.day[over]).astype(np.float64)
    )
    grid: Floats = np.linspace(0.0, 1.0, _QUANTILES)
    counted = np.searchsorted(share, grid + 1e-9, side="right")
    smooth: Floats = (counted + _UNIFORM_WEIGHT * grid) / (len(share) + _UNIFORM_WEIGHT)
    return smooth


def _regress(model: RedemptionModel, rows: Offers, X: Floats, day: int) -> Logit:
    """Regress what had come of the offers by `day`, campaigns partially pooled."""
    slopes = X.shape[1] - 1 - len(model.kinds)
    precision = np.concatenate(
        [[_LEVEL_PRECISION], np.full(slopes, _SLOPE_PRECISION), np.full(len(model.kinds), _KIND_PRECISION)]
    )
    _, campaign = np.unique(np.array(rows.campaign), return_inverse=True)
    F = model.seen_share(rows.elapsed(day))
    return fit_logistic(X, rows.redeemed < day, F, precision, group=campaign.astype(np.int64))


def _rolling(offers: Offers, day: int, as_of: str) -> tuple[Floats, Bools]:
    """Return log odds of the offers that a model fitted on the day of exposure could predict, and which.

    The log odds are those of a campaign without an effect of its own, as every new campaign is predicted,
    so calibration also learns what the average over campaign effects does to a probability.
    """
    log_odds = np.full(len(offers), np.nan)
    for origin in _origins(offers, day):
        model = _fit(offers, origin, as_of)
        chosen = offers.day == origin
        known = offers.take(offers.day <= origin)
        now = known.day == origin
        history = past_excess(model, known)[now]
        today = known.take(now)
        log_odds[chosen] = model.log_odds(today.features, history, today.kind)
    predicted = ~np.isnan(log_odds)
    return log_odds[predicted], predicted


def _origins(offers: Offers, day: int) -> Ints:
    """Return days of exposure before `day` with enough redeemed offers before them, ascending."""
    days = np.unique(offers.day[offers.day < day])
    warm = offers.day >= offers.first_day + _WARM_UP_DAYS
    before = np.array([int((warm & (offers.redeemed < d)).sum()) for d in days])
    return days[before >= _LEAST_FOR_CALIBRATION]
