"""Shops whose demand is known, with prices set by a coin: what a fit has to find again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats
from pricing.panel import Panel, Series

MEAN = np.array([1.0, -1.0, -1.8, 0.4, 0.5, 0.1, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0])
SPREAD = np.array([0.8, 0.4, 0.4, 0.15, 0.15, 0.1, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
PERIODS = 60


@dataclass(frozen=True, slots=True)
class Truth:
    """A panel and the coefficients [N, C] and log means [N, T] that made it."""

    panel: Panel
    coefficients: Floats
    log_mean: Floats


def make(
    series: int,
    seed: int,
    *,
    level: float = 1.0,
    record_always: bool = True,
    rivals: float = 0.0,
    shelf: int = 0,
    featured: float = 0.7,
) -> Truth:
    """Draw a shop with this share of its discounts `featured`.

    Where `shelf` is given, every so many neighbours are rivals of that elasticity.
    """
    rng = np.random.default_rng(seed)
    mean = MEAN.copy()
    mean[[0, 9]] = level, rivals
    differ = SPREAD > 0.0
    b = np.tile(mean, (series, 1))
    b[:, differ] += SPREAD[differ] * rng.standard_normal((series, int(differ.sum())))
    reference = rng.integers(200, 900, series).astype(np.float64)
    steps = rng.integers(0, 4, (series, PERIODS // 10))
    regular = np.rint(reference[:, None] * (0.9 + 0.1 * np.repeat(steps, 10, axis=1)))
    deal = rng.random((series, PERIODS)) < 0.25
    off = rng.choice([0.1, 0.2, 0.3], (series, PERIODS))
    offered = np.where(deal, np.rint(regular * (1.0 - off)), regular)
    feature = np.where(deal, rng.choice([0.0, 1.0], deal.shape, p=[1.0 - featured, featured]), 0.0)
    display = np.where(rng.random(deal.shape) < 0.1, 0.5, 0.0)
    traffic = 1000.0 * np.exp(0.1 * rng.standard_normal(PERIODS))
    before = np.concatenate([offered[:, :1], offered[:, :-1]], axis=1)
    # The fit's reference price is the median regular price; the truth is stated at the same place.
    at = np.median(regular, axis=1, keepdims=True)
    V = np.log(traffic) - np.log(traffic).mean()
    eta = (
        b[:, :1]
        + b[:, 1:2] * np.log(regular / at)
        + b[:, 2:3] * np.log(offered / regular)
        + b[:, 3:4] * feature
        + b[:, 4:5] * display
        + b[:, 5:6] * np.log(before / at)
        + b[:, 6:7] * V
        + 0.05 * rng.standard_normal(PERIODS)
    )
    place = np.arange(series) // shelf if shelf else np.full(series, -1)
    for one in np.unique(place[place >= 0]):
        # Leave-one-out means of log prices, weighted by usual sales, the long way.
        for i in np.flatnonzero(place == one):
            others = np.flatnonzero((place == one) & (np.arange(series) != i))
            weight = np.exp(b[others, 0])
            eta[i] += b[i, 9] * (weight @ np.log(offered[others] / at[others])) / weight.sum()
    units = rng.poisson(rng.gamma(4.0, np.exp(eta) / 4.0)).astype(np.float64)
    unknown = (units == 0.0) & (not record_always)
    names = tuple(f"p{i:04d}" for i in range(series))
    panel = Panel(
        series=Series(
            names,
            ("all",) * series,
            tuple(f"c{i % 4}" for i in range(series)),
            tuple(f"s{one}" if shelf else "" for one in place),
            ("",) * series,
        ),
        periods=np.datetime64("2024-01-01") + 7 * np.arange(PERIODS),
        days=np.full(PERIODS, 7, dtype=np.int64),
        units=units,
        on_sale=np.ones(units.shape, dtype=np.bool_),
        offered=np.where(unknown, np.nan, offered),
        regular=np.where(unknown, np.nan, regular),
        feature=feature,
        display=display,
        in_stock=np.ones(units.shape),
        traffic=traffic,
        currency="EUR",
    )
    return Truth(panel, b, eta)
