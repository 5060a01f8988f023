"""How shoppers answer prices: the forms of docs/worlds.md, each zero at the usual price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from pricing.arrays import Floats, Ints
from simulators.known_truth.specification import Form

__all__ = ["Shoppers", "log_response"]

_KINK = 0.05
_INNER, _OUTER = 0.5, 1.5
_NESTING, _OUTSIDE = 0.5, 0.6


@dataclass(frozen=True, slots=True)
class Shoppers:
    """Tastes of N products over T weeks.

    Attributes
    ----------
    form
        Which response.
    elasticity
        float64 [N, T]; to the regular price at its usual value. Constant over weeks but for `DRIFTING`.
    discount
        float64 [N]; elasticity to the discount.
    level
        float64 [N]; log units at usual prices.
    share
        float64 [N]; of shoppers who buy at the usual price (probit).
    nest
        int64 [N]; subcategory (nested logit).
    """

    form: Form
    elasticity: Floats
    discount: Floats
    level: Floats
    share: Floats
    nest: Ints


def log_response(shoppers: Shoppers, x: Floats, y: Floats, own: Floats | None = None) -> Floats:
    """Return log units over those at usual prices, float64 [N, T].

    Parameters
    ----------
    shoppers
        Tastes.
    x, y
        float64 [N, T]; log regular over usual price, log shelf over regular price.
    own
        float64 [N, T]; added to each product's own `x` while all other prices stay: N questions at once.
    """
    beta, gamma = shoppers.elasticity, shoppers.discount[:, None]
    shift = np.zeros_like(x) if own is None else own
    if shoppers.form is Form.NESTED_LOGIT:
        return _nested_logit(shoppers, x + y, shift) + (gamma - beta) * y
    if shoppers.form is Form.PROBIT:
        z = np.asarray(ndtri(shoppers.share), dtype=np.float64)[:, None]
        width = -np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi) / (beta * np.asarray(ndtr(z)))
        out = np.asarray(log_ndtr(z - (x + shift + y) / width)) - np.asarray(log_ndtr(z)) + (gamma - beta) * y
        return np.asarray(out, dtype=np.float64)
    if shoppers.form is Form.KINKED:
        return beta * _kinked(x + shift) + gamma * y
    return beta * (x + shift) + gamma * y


def _kinked(x: Floats) -> Floats:
    inner = np.clip(x, -_KINK, _KINK)
    return _INNER * inner + _OUTER * (x - inner)


def _nested_logit(shoppers: Shoppers, shelf: Floats, shift: Floats) -> Floats:
    """Berry (RAND Journal of Economics 1994), prices in logs; float64 [N, T]."""
    n, nests = len(shoppers.nest), int(shoppers.nest.max()) + 1
    weight = np.exp(shoppers.level)
    total = np.bincount(shoppers.nest, weights=weight, minlength=nests)
    inside = (weight / total[shoppers.nest])[:, None]
    share = inside * (1.0 - _OUTSIDE)
    slope = shoppers.elasticity * (1.0 - _NESTING)
    slope = slope / (1.0 - _NESTING * inside - (1.0 - _NESTING) * share)
    usual = ((1.0 - _OUTSIDE) / _OUTSIDE) ** (1.0 / (1.0 - _NESTING))
    attraction = usual * inside * np.exp(slope * shelf / (1.0 - _NESTING))
    everybody = np.zeros((nests, shelf.shape[1]))
    np.add.at(everybody, shoppers.nest, attraction)
    mine = attraction * np.exp(slope * shift / (1.0 - _NESTING))
    D = everybody[shoppers.nest] - attraction + mine
    bought = mine / D * D ** (1.0 - _NESTING) / (1.0 + D ** (1.0 - _NESTING))
    return np.asarray(np.log(bought / share), dtype=np.float64).reshape(n, -1)
