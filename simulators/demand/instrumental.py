"""Linear demand with one price that may follow demand: two-stage least squares, effects absorbed.

Instruments move the price for reasons other than demand. What they, the exogenous regressors and the effects
predict of the price takes its place in the regression (Theil 1953; Wooldridge, Econometric Analysis of Cross
Section and Panel Data, 2010, chapters 5 and 11). For shares of a market the regressand is ``log(s_j / s_0)``
and the coefficient the alpha of a logit (Berry, RAND Journal of Economics 1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError, NotIdentified
from simulators.demand.absorption import EXPLAINED, planes, total_by_cluster, unexplained, without_periods

__all__ = ["InstrumentalRegression", "logit_elasticities", "two_stage_least_squares"]


@dataclass(frozen=True, slots=True)
class InstrumentalRegression:
    """A regression of N series in T periods on a price and K exogenous regressors.

    Attributes
    ----------
    price, price_error
        Coefficient of the price and its clustered standard error; NaN for fewer than two clusters.
    coefficient, standard_error
        float64 [K]; of the exogenous regressors; NaN for those left out.
    kept
        bool [K]; False where effects and earlier regressors explain a regressor.
    instruments
        Number of instruments that say something of their own.
    strength
        First-stage F statistic of these instruments, clustered; below 10 they are weak (Staiger and Stock,
        Econometrica 1997). NaN for too few clusters, infinite where nothing of the price is left.
    cells
        Observed cells.
    """

    price: float
    price_error: float
    coefficient: Floats
    standard_error: Floats
    kept: Bools
    instruments: int
    strength: float
    cells: int


def two_stage_least_squares(
    y: Floats,
    price: Floats,
    instruments: Floats,
    observed: Bools,
    X: Floats | None = None,
    *,
    periods: bool = True,
    cluster: Ints | None = None,
) -> InstrumentalRegression:
    """Fit ``y = a_i + b_t + alpha * price + x'beta + e`` with instruments for the price.

    Parameters
    ----------
    y, price
        float64 [N, T].
    instruments
        float64 [N, T, L].
    observed
        bool [N, T]; the cells that count.
    X
        float64 [N, T, K]; exogenous regressors, in order of preference. None: no such regressor.
    periods
        Whether there are period effects b_t; series effects there always are.
    cluster
        int64 [N, T]; cells with one number share shocks. None: the cells of a series do.

    Raises
    ------
    DataError
        If an observed cell is not finite.
    NotIdentified
        If no instrument says anything that effects and exogenous regressors do not, or these explain the
        price.
    """
    exogenous: Floats = np.zeros((*y.shape, 0)) if X is None else X
    K = int(np.shape(exogenous)[2])
    stacked = np.concatenate([y[..., None], price[..., None], exogenous, instruments], axis=2)
    if not np.isfinite(stacked[observed]).all():
        raise DataError(
            "An observed cell of the regression is not a finite number.",
            todo="Mark it as not observed, or correct it.",
        )
    columns = planes(stacked, observed)
    least = EXPLAINED * np.einsum("knt,knt->k", columns, columns)
    rows = (without_periods(columns, observed) if periods else columns)[:, observed].T
    keep = unexplained(rows[:, 2:].T @ rows[:, 2:], least[2:])
    names = np.broadcast_to(np.arange(len(y))[:, None], y.shape) if cluster is None else cluster
    kept, moved_by = 2 + np.flatnonzero(keep[:K]), 2 + K + np.flatnonzero(keep[K:])
    last = np.append(kept, 1)
    if not len(moved_by) or not unexplained(rows[:, last].T @ rows[:, last], least[last])[-1]:
        raise NotIdentified(
            "No instrument moves the price apart from effects and other regressors.",
            todo="Give an instrument that varies within series and periods: a cost, a price test.",
        )
    first = _first_stage(rows[:, 1], rows[:, kept], rows[:, moved_by], names[observed])
    found, error = _second_stage(rows[:, 0], rows[:, 1], first.predicted, rows[:, kept], names[observed])
    beta, beta_error = np.full(K, np.nan), np.full(K, np.nan)
    beta[keep[:K]], beta_error[keep[:K]] = found[1:], error[1:]
    return InstrumentalRegression(
        float(found[0]),
        float(error[0]),
        beta,
        beta_error,
        keep[:K],
        len(moved_by),
        first.strength,
        int(observed.sum()),
    )


@dataclass(frozen=True, slots=True)
class _FirstStage:
    predicted: Floats
    strength: float


def _first_stage(price: Floats, X: Floats, Z: Floats, names: Ints) -> _FirstStage:
    """Predict the price [n] from exogenous regressors [n, K] and instruments [n, L]."""
    both, L = np.concatenate([X, Z], axis=1), Z.shape[1]
    slope, *_ = np.linalg.lstsq(both, price)
    predicted: Floats = both @ slope
    rest = price - predicted
    if rest @ rest <= EXPLAINED**2 * (price @ price):
        return _FirstStage(predicted, float("inf"))
    covariance = _sandwich(both, rest, names)[-L:, -L:]
    if np.isnan(covariance).any() or len(np.unique(names)) <= L:
        return _FirstStage(predicted, float("nan"))
    return _FirstStage(predicted, float(slope[-L:] @ np.linalg.solve(covariance, slope[-L:])) / L)


def _second_stage(
    y: Floats, price: Floats, predicted: Floats, X: Floats, names: Ints
) -> tuple[Floats, Floats]:
    fitted = np.concatenate([predicted[:, None], X], axis=1)
    slope: Floats = np.asarray(np.linalg.lstsq(fitted, y)[0], dtype=np.float64)
    rest = y - price * slope[0] - X @ slope[1:]
    return slope, np.sqrt(np.diagonal(_sandwich(fitted, rest, names)))


def _sandwich(X: Floats, rest: Floats, names: Ints) -> Floats:
    """Return the clustered covariance of least squares [K, K], times G / (G - 1); NaN for one cluster."""
    summed = total_by_cluster(X * rest[:, None], names)
    G = len(summed)
    if G < 2:
        return np.full((X.shape[1], X.shape[1]), np.nan)
    bread = np.linalg.inv(X.T @ X)
    out: Floats = G / (G - 1) * bread @ (summed.T @ summed) @ bread
    return out


def logit_elasticities(alpha: float, price: Floats, share: Floats) -> Floats:
    """Return own-price elasticities of a logit, ``alpha * price * (1 - share)``, in the shape of `price`.

    Parameters
    ----------
    alpha
        Change of utility by unit of price.
    price, share
        Prices and market shares, of equal shape.
    """
    out: Floats = alpha * price * (1.0 - share)
    return out
