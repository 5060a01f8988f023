"""A slowly drifting level: recent weeks say more about the next ones than old weeks do.

The drift of a series' log level is an Ornstein-Uhlenbeck process with covariance
``tau**2 * exp(-|s - t| / memory)``, written as a few basis functions with independent normal weights
(Karhunen-Loeve; Rasmussen and Williams, Gaussian Processes, 2006, chapter 8). Estimated together with the
price response, it discounts old residuals exactly as such a process asks, and serially correlated
residuals no longer pass for many independent ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats

__all__ = ["Drift", "drift"]

_TERMS = 8
_MEMORY_DAYS = 70.0


@dataclass(frozen=True, slots=True)
class Drift:
    """Basis of the drift.

    Attributes
    ----------
    basis
        float64 [T, k]; its rows at the training periods.
    ahead
        float64 [k]; its mean row over the horizon that follows.
    unexplained
        float; share of the process variance at that horizon that no past observation can tell, 0-1.
    """

    basis: Floats
    ahead: Floats
    unexplained: float


def drift(periods: int, period_days: int, horizon_days: int = 56) -> Drift:
    """Return the basis for `periods` training periods and the mean of the `horizon_days` after them.

    Parameters
    ----------
    periods
        T.
    period_days
        Days of a period.
    horizon_days
        How far ahead the model will be asked; eight weeks unless told. The level that a model keeps is
        the expected mean level over that horizon.
    """
    ahead = max(1, horizon_days // period_days)
    at = np.arange(periods + ahead) * period_days
    kernel = np.exp(-np.abs(at[:, None] - at[None, :]) / _MEMORY_DAYS)
    values, vectors = np.linalg.eigh(kernel[:periods, :periods])
    order = np.argsort(-values, kind="stable")[: min(_TERMS, periods)]
    scale, found = np.sqrt(values[order]), vectors[:, order]
    # An eigenvector's sign is arbitrary; its largest entry is made positive, the same on every machine.
    U = found * np.where(found[np.abs(found).argmax(axis=0), np.arange(len(order))] < 0.0, -1.0, 1.0)
    rows = kernel[periods:, :periods] @ U / scale
    mean_row = rows.mean(axis=0)
    total = float(kernel[periods:, periods:].mean())
    return Drift(U * scale, mean_row, max(total - float(mean_row @ mean_row), 0.0))
