"""What the effect may depend on: features kept inside what was seen, and products of them."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Floats
from pricing.uplift import Basis

__all__ = ["basis_of"]

_TAILS = 0.005
_MOST_MULTIPLIED = 6
"""Features whose squares and products enter: with 6 of them 21, which 10,000 exposures still tell apart."""
_STEPS, _HIGHEST = 25, 8.0


def basis_of(features: tuple[str, ...], X: Floats, spent: Floats, *, products: bool = True) -> Basis:
    """Describe features [N, F] by what was seen of them.

    Parameters
    ----------
    features, X
        Names; float64 [N, F], NaN where nothing is known.
    spent
        float64 [N]; net sales after the exposure, whatever the offer: what effects are a share of. The
        features that tell it best are multiplied with each other.
    products
        Whether squares and products enter at all.
    """
    seen = np.isfinite(X).any(axis=0) if len(X) else np.zeros(len(features), dtype=np.bool_)
    filled = np.where(seen, X, 0.0)
    low, high = np.nanquantile(filled, [_TAILS, 1.0 - _TAILS], axis=0)
    held = np.clip(filled, low, high)
    centre, scale = np.nanmean(held, axis=0), np.nanstd(held, axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    z = np.nan_to_num((held - centre) / scale, nan=0.0)
    level = _spending(z, np.maximum(spent, 0.0))
    pairs = np.zeros((0, 2), dtype=np.int64)
    if products:
        first = np.sort(np.argsort(-np.abs(level[1:]), kind="stable")[:_MOST_MULTIPLIED])
        pairs = np.array([(i, j) for i in first for j in first if i <= j], dtype=np.int64).reshape(-1, 2)
    offset = (z[:, pairs[:, 0]] * z[:, pairs[:, 1]]).mean(axis=0) if len(pairs) else np.zeros(0)
    return Basis(features, low, high, centre, scale, pairs, offset, level)


def _spending(z: Floats, spent: Floats) -> Floats:
    """Return the log-linear mean of spending over its average, by Poisson quasi-likelihood, float64 [1 + F].

    Whatever the distribution of spending, these moments are right for its mean (Gourieroux, Monfort and
    Trognon 1984); a small penalty keeps features that never differ at 0.
    """
    X = np.concatenate([np.ones((len(z), 1)), z], axis=1)
    out = np.zeros(X.shape[1])
    if not spent.any():
        return out
    y = spent / spent.mean()
    penalty = np.full(len(out), 1e-4 * len(y))
    penalty[0] = 0.0
    for _ in range(_STEPS):
        mean = np.exp(np.minimum(X @ out, _HIGHEST))
        step = np.linalg.solve(
            (X * mean[:, None]).T @ X + np.diag(penalty + 1e-9), X.T @ (y - mean) - penalty * out
        )
        out = out + step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
    return np.asarray(out - np.append(np.log(np.exp(X @ out).mean()), np.zeros(z.shape[1])))
