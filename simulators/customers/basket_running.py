"""Let a fitted basket model run on its own purchases, and correct how much it repeats itself.

A model that is fitted on what households really bought before drifts when it runs on what it bought itself
(exposure bias: Bengio and others, NeurIPS 2015): favourites crowd the memory until nothing new is tried. How
much it repeats is one number, seen in the data, and one weight of the model answers for it.

So it is with what lines have in common. Own brands, deals, prices, popularity and promotions go together in a
household and in one basket by as much as two covariances a trait say; tastes and whims answer for them. And a
second product of a category is often another variety of the first, at the same price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from pricing.arrays import Floats
from simulators.customers.basket_lines import Baskets, Shelf
from simulators.customers.basket_products import TASTES, price_level
from simulators.customers.baskets import Appeal, BasketModel, Visits, simulate_baskets

__all__ = ["Shared", "alike_share", "repeat_share", "settled", "shared_traits"]

_HOUSEHOLDS = 300
_ROUNDS = 5
_GAIN, _LARGEST_STEP = 3.0, 1.5
_EDGE = 0.001
_LEAST_RATIO, _LARGEST_RATIO = 0.25, 4.0
"""Bounds of what a round multiplies a variance by."""
_LEAST_COVARIANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Shared:
    """Covariances of the traits of lines of different categories, float64 [TASTES] each.

    Attributes
    ----------
    household
        Of lines in different baskets of a household.
    basket
        What lines of one basket have in common beyond that.
    """

    household: Floats
    basket: Floats


def repeat_share(baskets: Baskets) -> float:
    """Return the share of lines whose product lay in an earlier basket of the household."""
    products = int(baskets.product.max(initial=0)) + 1
    pairs = np.unique(baskets.household[baskets.visit] * products + baskets.product)
    return 1.0 - len(pairs) / max(baskets.lines, 1)


def shared_traits(shelf: Shelf, baskets: Baskets, appeal: Appeal, usual: Floats) -> Shared:
    """Return what traits of lines share in a household and in a basket.

    A category counts once in a basket, with the mean of its lines; pairs are of different baskets, or of
    different categories of one basket.

    Parameters
    ----------
    shelf, baskets, appeal
        Products, what was bought, and the traits of each period.
    usual
        float64 [TASTES, C]; mean of each category, taken off .
    """
    C, V, H = len(shelf.categories), len(baskets.day), len(baskets.customer)
    category = shelf.category[baskets.product]
    cell, row = np.unique(baskets.visit * C + category, return_inverse=True)
    visit, lines = cell // C, np.bincount(row)
    number = np.bincount(visit, minlength=V).astype(np.float64)
    owner = np.bincount(baskets.household, number, H)
    within = float((number * (number - 1.0)).sum())
    between = float((owner**2).sum() - (number**2).sum())
    household, basket = np.zeros(TASTES), np.zeros(TASTES)
    for k, x in enumerate(_line_traits(baskets, appeal)):
        away = np.bincount(row, x - usual[k, category]) / lines
        total, square = (np.bincount(visit, value, V) for value in (away, away**2))
        whole = np.bincount(baskets.household, total, H)
        household[k] = float((whole**2).sum() - (total**2).sum()) / max(between, 1.0)
        basket[k] = float((total**2 - square).sum()) / max(within, 1.0) - household[k]
    return Shared(household, basket)


def alike_share(shelf: Shelf, baskets: Baskets, appeal: Appeal) -> tuple[float, float]:
    """Return the shares of pairs of one category and basket with the same price, and subcategory."""
    cell = baskets.visit * len(shelf.categories) + shelf.category[baskets.product]
    _, row, lines = np.unique(cell, return_inverse=True, return_counts=True)
    pairs = max(float((lines * (lines - 1)).sum()), 1.0)
    level = price_level(_line_traits(baskets, appeal)).astype(np.int64)
    shares: list[float] = []
    for label in (level - level.min(initial=0), shelf.subcategory[baskets.product]):
        _, same = np.unique(row * (int(label.max(initial=0)) + 1) + label, return_counts=True)
        shares.append(float((same * (same - 1)).sum()) / pairs)
    return shares[0], shares[1]


def _usual_traits(shelf: Shelf, baskets: Baskets, appeal: Appeal) -> Floats:
    """Return the mean traits of what is bought of each category, float64 [TASTES, C]."""
    C, category = len(shelf.categories), shelf.category[baskets.product]
    count = np.maximum(np.bincount(category, minlength=C), 1)
    return np.stack([np.bincount(category, x, C) / count for x in _line_traits(baskets, appeal)])


def _line_traits(baskets: Baskets, appeal: Appeal) -> Floats:
    """Return the traits of each line on its day, float64 [TASTES, L]."""
    return appeal.trait[:, baskets.product, appeal.period(baskets.day)[baskets.visit]]


def _logit(share: float) -> float:
    return float(_bounded_logit(np.array(share)))


def _bounded_logit(share: Floats) -> Floats:
    return np.asarray(logit(np.clip(share, _EDGE, 1.0 - _EDGE)))


def _ratio(real: Floats, made: Floats) -> Floats:
    """Return by what variances have to grow, within bounds; 1 where the data show none to match."""
    found = np.maximum(real, _LEAST_COVARIANCE) / np.maximum(made, _LEAST_COVARIANCE)
    out: Floats = np.clip(found, _LEAST_RATIO, _LARGEST_RATIO)
    return out


def settled(model: BasketModel, baskets: Baskets, appeal: Appeal) -> BasketModel:
    """Return the model that repeats as much, and whose lines share as much, as those of real households.

    Parameters
    ----------
    model
        Fitted on `baskets`.
    baskets, appeal
        What it was fitted on; up to 300 households are replayed as if nobody was known.
    """
    every = -(-len(baskets.customer) // _HOUSEHOLDS)
    part = baskets.of(np.arange(len(baskets.customer)) % every == 0)
    visits = Visits(part.customer, part.household, part.day)
    wanted = _logit(repeat_share(part))
    usual = _usual_traits(model.shelf, baskets, appeal)
    alike = alike_share(model.shelf, baskets, appeal)
    real = shared_traits(model.shelf, baskets, appeal, usual)
    for number in range(_ROUNDS):
        made = simulate_baskets(model, visits, appeal, 0, draw=number, acquainted=False)
        gap = wanted - _logit(repeat_share(made))
        step = float(np.clip(_GAIN * gap, -_LARGEST_STEP, _LARGEST_STEP))
        found = alike_share(model.shelf, made, appeal)
        varied, related = (_logit(x) - _logit(y) for x, y in zip(alike, found, strict=True))
        power = 0.5 / (number + 1)  # smaller steps average chance out (Robbins and Monro 1951)
        share, product = shared_traits(model.shelf, made, appeal, usual), model.product
        changed = replace(
            product,
            past=product.past + step,
            taste=product.taste * _ratio(real.household, share.household) ** power,
            whim=product.whim * _ratio(real.basket, share.basket) ** power,
            alike=product.alike + float(np.clip(varied, -_LARGEST_STEP, _LARGEST_STEP)),
            together=np.asarray(expit(_bounded_logit(product.together) + related)),
        )
        model = replace(model, product=changed)
    return model
