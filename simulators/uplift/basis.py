"""What the effect may depend on: features kept inside what was seen, and products of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.uplift import Basis

__all__ = ["basis_of", "log_mean", "multiplied", "squared", "telling"]

_TAILS = 0.005
_MOST_MULTIPLIED, _MOST_CUBED = 6, 4
"""Features whose squares and products of two, and of three, enter: 21 and 20 more coefficients, which shrink
to nothing where the data do not tell them."""
_STEPS_AT = (0.2, 0.4, 0.6, 0.8)
"""Quantiles of those six features at which the effect may jump."""
_SAME = 0.999
_STEPS, _HIGHEST, _CLOSE = 25, 8.0, 1e-7


def telling(features: tuple[str, ...], X: Floats) -> tuple[str, ...]:
    """Return the features [N, F] that differ between customers, and from every earlier one, in their order.

    One that never differs, or repeats another, cannot say who is moved by a coupon.
    """
    if not len(X):
        return ()
    kept: list[int] = []
    seen = np.where(np.isfinite(X).any(axis=0), X, 0.0)
    z = np.nan_to_num(seen - np.nanmean(seen, axis=0), nan=0.0)
    length = np.sqrt(np.square(z).sum(axis=0))
    for f in range(len(features)):
        known = length[f] > 1e-9 * np.sqrt(len(X)) * (1.0 + np.nanmax(np.abs(seen[:, f])))
        if known and all(abs(z[:, f] @ z[:, g]) < _SAME * length[f] * length[g] for g in kept):
            kept.append(f)
    return tuple(features[f] for f in kept)


def basis_of(features: tuple[str, ...], X: Floats, spent: Floats) -> Basis:
    """Describe features [N, F] by what was seen of them, without products; see :func:`multiplied`.

    Parameters
    ----------
    features, X
        Names of F features that :func:`telling` kept; float64 [N, F], NaN where nothing is known.
    spent
        float64 [N]; net sales after the exposure, whatever the offer: what effects are a share of.
    """
    if not features:
        none = np.zeros(0)
        return Basis((), none, none, none, none, np.zeros((0, 3), dtype=np.int64), none, np.zeros(1))
    low, high = np.nanquantile(X, [_TAILS, 1.0 - _TAILS], axis=0)
    held = np.clip(X, low, high)
    centre, scale = np.nanmean(held, axis=0), np.nanstd(held, axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    z = np.nan_to_num((held - centre) / scale, nan=0.0)
    level = log_mean(z, np.maximum(spent, 0.0))
    return Basis(features, low, high, centre, scale, np.zeros((0, 3), dtype=np.int64), np.zeros(0), level)


def multiplied(basis: Basis, X: Floats, weight: Floats, *, cubes: bool) -> Basis:
    """Return the basis with squares and products of the features that matter most.

    Parameters
    ----------
    basis, X
        Without products; float64 [N, F].
    weight
        float64 [F]; how much each feature matters.
    cubes
        Whether products of three enter too, and steps.
    """
    first = np.argsort(-weight, kind="stable")
    two = sorted(first[:_MOST_MULTIPLIED].tolist())
    named = [(i, j, -1) for i in two for j in two if i <= j]
    if cubes:
        three = sorted(first[:_MOST_CUBED].tolist())
        named += [(i, j, k) for i in three for j in three for k in three if i <= j <= k]
    products = np.array(named, dtype=np.int64).reshape(-1, 3)
    stepping, edges = _edges(basis, X, two) if cubes else (basis.stepping, basis.edges)
    return _centred(replace(basis, products=products, stepping=stepping, edges=edges), X)


def squared(basis: Basis, X: Floats) -> Basis:
    """Return the basis with the square of every feature [N, F]: what a first look sees."""
    own = np.arange(len(basis.features), dtype=np.int64)
    return _centred(replace(basis, products=np.stack([own, own, np.full_like(own, -1)], axis=1)), X)


def _centred(basis: Basis, X: Floats) -> Basis:
    plain = replace(basis.unguessed, offset=np.zeros(len(basis.products) + len(basis.edges)))
    return replace(plain, offset=plain.design(X)[:, 1 + len(basis.features) :].mean(axis=0))


def _edges(basis: Basis, X: Floats, chosen: list[int]) -> tuple[Ints, Floats]:
    """Return features and their standardised values at which the effect may jump: none at an end."""
    z = basis.standardised(X)
    found = [
        (f, edge)
        for f in chosen
        for edge in np.unique(np.quantile(z[:, f], _STEPS_AT))
        if len(np.unique(z[:, f][:1000])) > 2 and z[:, f].min() < edge < z[:, f].max()
    ]
    return np.array([f for f, _ in found], dtype=np.int64), np.array([edge for _, edge in found])


def log_mean(z: Floats, spent: Floats) -> Floats:
    """Return the log-linear mean of amounts over their average, by Poisson quasi-likelihood, float64 [1 + F].

    Of standardised features z [N, F] and amounts [N], none below 0.
    Whatever the distribution of spending, these moments are right for its mean (Gourieroux, Monfort and
    Trognon 1984); a small penalty keeps features that never differ at 0.
    """
    X = np.concatenate([np.ones((len(z), 1)), z], axis=1)
    out: Floats = np.zeros_like(X[0])
    if not spent.any():
        return out
    y = spent / spent.mean()
    penalty = np.full(len(out), 1e-4 * len(y))
    penalty[0] = 0.0
    for _ in range(_STEPS):
        mean = np.exp(np.minimum(X @ out, _HIGHEST))
        H = (X * mean[:, None]).T @ X + np.diag(penalty + 1e-9)
        step = np.asarray(np.linalg.solve(H, X.T @ (y - mean) - penalty * out), dtype=np.float64)
        longest = float(np.abs(step).max())
        out += step * min(1.0, 1.0 / max(longest, 1e-12))
        if longest < _CLOSE:
            break
    out[0] -= np.log(np.exp(X @ out).mean())
    return out
