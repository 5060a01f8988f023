"""What each product's own weeks tell of its price response, before anything is fitted together.

One quasi-Poisson regression a series: log expected units on level, trend and log shelf price, its variance
scaled by Pearson's chi-square (McCullagh and Nelder, Generalized Linear Models, 1989, section 4.5). A fit
does better, because similar products help each other; what it cannot do is tell a response that no price of
the whole shop has ever shown.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.panel import Panel
from simulators.demand.design import known_prices, observed
from simulators.demand.forecast import Z90

__all__ = ["OwnEvidence", "own_evidence", "periods_of_test"]

_ROUNDS, _SETTLED, _RIDGE = 25, 1e-9, 1e-12
_LEAST_PERIODS = 4
"""Three coefficients and a scale need as many observations, or nothing is left to tell the scale by."""

_STEADY = 1e-6
"""Standard deviation of the log price below which it has not moved."""


@dataclass(frozen=True, slots=True)
class OwnEvidence:
    """What each of N series tells of itself; float64 [N].

    Attributes
    ----------
    half_width
        Half of the 90 % interval of its elasticity from its own periods alone; inf where they cannot tell.
    dispersion
        Pearson's chi-square over its degrees of freedom, at least 1: how much more units vary than chance
        alone would have them.
    units
        Mean units of a period on sale.
    revenue
        Of all periods, gross minor units at shelf prices.
    """

    half_width: Floats
    dispersion: Floats
    units: Floats
    revenue: Floats

    def take(self, which: Bools) -> OwnEvidence:
        """Return that of some series, bool [N]."""
        return OwnEvidence(*(getattr(self, entry.name)[which] for entry in fields(self)))


def own_evidence(panel: Panel) -> OwnEvidence:
    """Return what each series of a panel tells of its response to the shelf price."""
    watched, offered = observed(panel), known_prices(panel).offered
    w = (watched & np.isfinite(offered)).astype(np.float64)
    price = np.where(w > 0.0, np.log(np.where(w > 0.0, offered, 1.0)), 0.0)
    time = np.broadcast_to(np.linspace(-1.0, 1.0, price.shape[1]), price.shape)
    y, count = np.where(w > 0.0, panel.units, 0.0), w.sum(axis=1)
    X = np.stack([np.ones_like(price), _centred(time, w), _centred(price, w)], axis=2)
    moved = np.sqrt((w * X[..., 2] ** 2).sum(axis=1) / np.maximum(count, 1.0)) > _STEADY
    told = moved & (count >= _LEAST_PERIODS) & (y.sum(axis=1) > 0.0)
    half, scale = np.full(len(y), np.inf), np.ones(len(y))
    half[told], scale[told] = _regressed(X[told], y[told], w[told])
    revenue = np.where(np.isfinite(panel.offered), panel.units * panel.offered, 0.0).sum(axis=1)
    return OwnEvidence(half, scale, y.sum(axis=1) / np.maximum(count, 1.0), revenue)


def periods_of_test(found: OwnEvidence, *, step: float, half_width: float) -> float:
    """Return how many periods a price test of all series takes until it tells their mean response that well.

    As many units a period as so far, varying as much; a single product takes N times as long and more.

    Parameters
    ----------
    found
        Of the N series that take part.
    step
        The test draws each period's price from `step` above and below the present one, as a share of it.
    half_width
        Half of the 90 % interval of their mean elasticity that is wanted.

    Returns
    -------
    inf where nothing ever sold.
    """
    told = float((found.units / found.dispersion).sum()) * float(np.log1p(step)) ** 2
    return (Z90 / half_width) ** 2 / told if told > 0.0 else float("inf")


def _centred(values: Floats, w: Floats) -> Floats:
    mean = (w * values).sum(axis=1) / np.maximum(w.sum(axis=1), 1.0)
    out: Floats = w * (values - mean[:, None])
    return out


def _regressed(X: Floats, y: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return half widths and scales [n] of n regressions by iteratively reweighted least squares."""
    beta = np.zeros((len(y), X.shape[2]))
    beta[:, 0] = np.log(y.sum(axis=1) / w.sum(axis=1))
    for _ in range(_ROUNDS):
        mu = w * np.exp(np.clip(np.matmul(X, beta[..., None])[..., 0], -30.0, 30.0))
        score = np.matmul(np.swapaxes(X, 1, 2), (y - mu)[..., None])[..., 0]
        step = np.clip(np.matmul(_inverse(X, mu), score[..., None])[..., 0], -2.0, 2.0)
        beta = beta + step
        if np.abs(step).max(initial=0.0) < _SETTLED:
            break
    mu = w * np.exp(np.clip(np.matmul(X, beta[..., None])[..., 0], -30.0, 30.0))
    variance = _inverse(X, mu)[:, 2, 2]
    pearson = np.where(w > 0.0, (y - mu) ** 2 / np.maximum(mu, 1e-12), 0.0).sum(axis=1)
    scale = np.maximum(pearson / np.maximum(w.sum(axis=1) - X.shape[2], 1.0), 1.0)
    return Z90 * np.sqrt(scale * np.maximum(variance, 0.0)), scale


def _inverse(X: Floats, mu: Floats) -> Floats:
    """Return covariances [n, 3, 3]; the ridge keeps one finite where price and trend are the same thing."""
    information = np.matmul(np.swapaxes(X, 1, 2), mu[..., None] * X)
    ridge = _RIDGE * np.einsum("nkk->n", information)[:, None, None] * np.eye(X.shape[2])
    return np.asarray(np.linalg.inv(information + ridge + 1e-300 * np.eye(X.shape[2])), dtype=np.float64)
