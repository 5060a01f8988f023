"""How wide a fit will leave each product's elasticity, foretold without fitting.

The fit pools: a product leans on the shop's mean as far as its own periods tell less than the spread between
products does. The same is done here with one look at the data, every series' log-linear regression taken
about its own mean: information on the response, the spread between products by expectation-maximisation
(Laird and Ware, Biometrics 1982), and the mean's own uncertainty. Where a price test or a cost tells price
from demand (:mod:`simulators.demand.instruments`), the part of the price that it does not explain tells how
products differ, and no longer what they have in common: then the mean is known as well as that tells it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.panel import Panel
from simulators.demand.design import known_prices, observed
from simulators.demand.forecast import Z90
from simulators.demand.identification import INFORMED, support
from simulators.demand.instruments import Control, price_control
from simulators.demand.own_evidence import OwnEvidence
from simulators.demand.population import ELASTICITY_SD

__all__ = ["Foretold", "foretell"]

_NUISANCE = np.array([1e-6, 1.0, 0.44, 1.0, 1.0, 4.0])
"""Precision of what is known beforehand of level, trend, discount, feature, display and last price."""

_TYPICAL, _IMAGINARY, _LEAST = 0.5, 8.0, 0.3
"""Spread between products that a fit begins with, how many products that counts for, the least it takes."""

_CONTROL, _CONTROL_SD = 2.0, 0.2
"""Sd of what is known of the control's mean slope, and of its spread between products."""

_ROUNDS = 60
_AT_ONCE = 4096
"""Series of which regressors are held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a fit is expected to leave of N series.

    Attributes
    ----------
    half_width
        float64 [N]; half of the 90 % interval of the elasticity to the regular price.
    movable
        bool [N]; the fit is expected to let its price move on that evidence.
    spread
        Standard deviation between products' elasticities.
    ruled
        A price test, or an instrument strong enough, tells price from demand.
    """

    half_width: Floats
    movable: Bools
    spread: float
    ruled: bool


def foretell(panel: Panel, own: OwnEvidence, *, calendar_in_advance: bool) -> Foretold:
    """Foretell what a fit of a panel leaves.

    Parameters
    ----------
    panel
        N series.
    own
        What each tells of itself: mean units and dispersion.
    calendar_in_advance
        As :func:`simulators.demand.fit.fit` takes it.
    """
    control = price_control(panel)
    ruled = control is not None and control.used
    columns = [np.log(known_prices(panel).regular)]
    if control is not None and ruled:
        columns.append(control.columns[..., 0])
    information, score = _information(panel, own, columns)
    k = len(columns)
    spread = _spread(information[:, 0, 0], score)
    within = np.diag([spread**2, _CONTROL_SD**2][:k])
    vague = np.diag([ELASTICITY_SD**-2, _CONTROL**-2][:k])
    # What a series tells of the mean, its own difference from it accounted for: (information^-1 + within)^-1.
    lent = np.matmul(information, _inverse(np.eye(k) + within @ information)).sum(axis=0)
    before = within + _inverse(vague + lent)
    after: Floats = _inverse(information + _inverse(before))[:, 0, 0]
    return Foretold(
        half_width=Z90 * np.sqrt(after),
        movable=_movable(panel, after / before[0, 0], control, calendar_in_advance=calendar_in_advance),
        spread=spread,
        ruled=ruled,
    )


def _inverse(some: Floats) -> Floats:
    return np.asarray(np.linalg.inv(some), dtype=np.float64)


def _solved(some: Floats, right: Floats) -> Floats:
    return np.asarray(np.linalg.solve(some, right), dtype=np.float64)


def _information(panel: Panel, own: OwnEvidence, columns: list[Floats]) -> tuple[Floats, Floats]:
    """Return what series tell of the slopes of k columns.

    Nuisances are absorbed: information [N, k, k], and the score [N] of the first slope about the shop's.
    """
    watched, mean = observed(panel), np.maximum(own.units, 1e-9)[:, None]
    w: Floats = watched * mean / own.dispersion[:, None]
    y: Floats = np.where(watched, panel.units / mean - 1.0, 0.0)
    parts = _parts(panel, columns)
    m, size = len(_NUISANCE), len(parts)
    whole, right, scale = np.empty((len(w), size, size)), np.empty((len(w), size)), np.empty(len(w))
    blocks = [slice(start, start + _AT_ONCE) for start in range(0, len(w), _AT_ONCE)]
    for at in blocks:
        x = _regressors(parts, w, at)
        turned = np.swapaxes(x, 1, 2)
        whole[at] = np.matmul(turned, w[at, :, None] * x)
        right[at] = np.matmul(turned, (w[at] * y[at])[..., None])[..., 0]
    shop = _solved(whole.sum(axis=0) + np.eye(size), right.sum(axis=0))
    for at in blocks:
        x = _regressors(parts, w, at)
        scale[at] = _persistence(np.asarray(np.sqrt(w[at]) * (y[at] - x @ shop)), x[..., m])
    right -= whole @ shop
    across = _solved(whole[:, :m, :m] + np.diag(_NUISANCE), whole[:, :m, m:])
    slopes = whole[:, m:, m:] - np.matmul(np.swapaxes(whole[:, :m, m:], 1, 2), across)
    score = right[:, m] - np.einsum("nm,nm->n", across[:, :, 0], right[:, :m])
    even = np.asarray((slopes + np.swapaxes(slopes, 1, 2)) / 2.0, dtype=np.float64)
    return even / scale[:, None, None], np.asarray(score / scale, dtype=np.float64)


def _parts(panel: Panel, columns: list[Floats]) -> list[Floats]:
    """Return the nuisances of :data:`_NUISANCE` and the columns, [N, T] each."""
    prices, size = known_prices(panel), panel.units.shape
    time = np.broadcast_to(np.linspace(-1.0, 1.0, size[1]), size)
    depth, last = np.log(prices.offered / prices.regular), np.log(prices.before)
    return [np.broadcast_to(np.ones(1), size), time, depth, panel.feature, panel.display, last, *columns]


def _regressors(parts: list[Floats], w: Floats, at: slice) -> Floats:
    """Return the parts of some series less each series' mean, [n, T, 6 + k]."""
    x = np.nan_to_num(np.stack([part[at] for part in parts], axis=2), posinf=0.0, neginf=0.0)
    here = w[at]
    x -= (here[..., None] * x).sum(axis=1, keepdims=True) / np.maximum(here.sum(axis=1), 1e-12)[:, None, None]
    x[..., 0] = 1.0
    return np.asarray(x, dtype=np.float64)


def _persistence(left: Floats, price: Floats) -> Floats:
    """Return by how much shocks that last, under prices that last, tell less than fresh ones: [N], 1 or more.

    The variance of a slope grows by (1 + ab) / (1 - ab), a and b being how the residuals [N, T] and the price
    go with those of the period before (Bartlett, JRSS 1935).
    """
    a, b = (
        np.clip((v[:, 1:] * v[:, :-1]).sum(axis=1) / np.maximum((v**2).sum(axis=1), 1e-12), 0.0, 0.9)
        for v in (left, price)
    )
    return np.asarray((1.0 + a * b) / (1.0 - a * b), dtype=np.float64)


def _spread(a: Floats, score: Floats) -> float:
    """Return the standard deviation between products from information and score [N] of their slopes."""
    told = a > 1e-9
    a, score = a[told], score[told]
    square, mean = 0.7**2, 0.0
    for _ in range(_ROUNDS if told.any() else 0):
        part = 1.0 / (1.0 + square * a)
        mean = float((score * part).sum() / (a * part).sum())
        apart = square * part * (score - a * mean)
        square = float(_IMAGINARY * _TYPICAL**2 + (apart**2 + square * part).sum()) / (_IMAGINARY + len(a))
        square = max(square, _LEAST**2)
    return float(np.sqrt(square)) if told.any() else _TYPICAL


def _movable(panel: Panel, left: Floats, control: Control | None, *, calendar_in_advance: bool) -> Bools:
    """Return whose effect a fit will call identified, bool [N]; see :func:`identify` of the fit."""
    informed = (support(panel).levels[:, 0] >= 2) & (left <= INFORMED**2)
    out = informed & calendar_in_advance
    if control is not None and control.used:
        out |= (informed & control.instrumented) | control.tested
    return np.asarray(out, dtype=np.bool_)
