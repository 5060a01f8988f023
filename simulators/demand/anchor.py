"""The outside anchor: one pooled negative-binomial regression by statsmodels, on a sample of series.

It knows nothing of pooling, drift or random shocks: one slope for all, an effect for each series and each
period, standard errors clustered by series. A population mean far from it wants an explanation.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.model import COEFFICIENTS
from pricing.panel import Panel
from simulators.demand.posterior import Evidence

__all__ = ["Anchor", "pooled_anchor"]

_SERIES = 50
_MOST_DAYS = 84
"""By days the last twelve weeks only: an effect for every day of a year is slow, and adds little."""
_SLOPES = ("regular", "depth", "feature", "display", "lag")
_LEAST_VARIATION = 1e-6


@dataclass(frozen=True, slots=True)
class Anchor:
    """Pooled slopes.

    Attributes
    ----------
    names
        Coefficients that could be estimated (those that vary in the sample).
    estimate, standard_error
        One number each; errors clustered by series.
    series, rows
        Size of the sample: the series that sold in most periods; by days of the last twelve weeks.
    size
        Negative-binomial size that was held fixed (the sample's median).
    """

    names: tuple[str, ...]
    estimate: tuple[float, ...]
    standard_error: tuple[float, ...]
    series: int
    rows: int
    size: float


def pooled_anchor(panel: Panel, evidence: Evidence, size: Floats) -> Anchor | None:
    """Regress units on prices and promotions with series and period effects.

    Parameters
    ----------
    panel
        The training panel, for its length.
    evidence
        Design of its N series.
    size
        float64 [N]; negative-binomial sizes of the model.

    Returns
    -------
    None where fewer than two series or no slope can be estimated.
    """
    selling = (evidence.observed & (evidence.units > 0.0)).sum(axis=1)
    best = np.sort(np.argsort(-selling, kind="stable")[:_SERIES])
    some = evidence.take(best)
    seen = some.observed & ~some.least(slice(None))
    if some.period_days == 1:
        seen[:, :-_MOST_DAYS] = False
    i, t = np.nonzero(seen)
    slopes = [COEFFICIENTS.index(name) for name in _SLOPES]
    X = some.X[i, t][:, slopes]
    varies = _within(X, i, len(best)).std(axis=0) > _LEAST_VARIATION
    if len(best) < 2 or not varies.any() or len(panel.periods) < 3:
        return None
    names = tuple(name for name, keep in zip(_SLOPES, varies, strict=True) if keep)
    r = float(np.median(size[best]))
    full = np.concatenate([X[:, varies], _dummies(i), _dummies(t)[:, 1:]], axis=1)
    found = _glm(some.units[i, t], full, some.offset[i, t], r, i, len(names))
    return None if found is None else Anchor(names, *found, len(best), len(i), r)


def _glm(
    y: Floats, X: Floats, offset: Floats, r: float, cluster: Ints, count: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return estimates and standard errors of the first `count` columns; None where they do not exist."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import ModelWarning

    family: Any = sm.families.NegativeBinomial(alpha=1.0 / r)
    model: Any = sm.GLM(y, X, family=family, offset=offset)
    with warnings.catch_warnings():
        # Perfect prediction, no convergence, overflow: then there is no estimate worth comparing with.
        warnings.simplefilter("error", ModelWarning)
        warnings.simplefilter("error", RuntimeWarning)
        try:
            found = model.fit(cov_type="cluster", cov_kwds={"groups": cluster}, maxiter=50)
            estimate = tuple(float(v) for v in found.params[:count])
            error = tuple(float(v) for v in found.bse[:count])
        except (ModelWarning, RuntimeWarning, np.linalg.LinAlgError):
            return None
    return (estimate, error) if np.isfinite([*estimate, *error]).all() else None


def _within(X: Floats, group: Ints, groups: int) -> Floats:
    count = np.maximum(np.bincount(group, minlength=groups), 1)
    total = np.zeros((groups, X.shape[1]))
    np.add.at(total, group, X)
    out: Floats = X - (total / count[:, None])[group]
    return out


def _dummies(code: Ints) -> Floats:
    values = np.unique(code)
    out: Floats = (code[:, None] == values).astype(np.float64)
    return out
