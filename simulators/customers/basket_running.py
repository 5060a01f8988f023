"""Let a fitted basket model run on its own purchases, and correct how much it repeats itself.

A model that is fitted on what households really bought before drifts when it runs on what it bought itself
(exposure bias: Bengio and others, NeurIPS 2015): favourites crowd the memory until nothing new is tried. How
much it repeats is one number, seen in the data, and one weight of the model answers for it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import logit

from simulators.customers.basket_lines import Baskets
from simulators.customers.baskets import Appeal, BasketModel, Visits, simulate_baskets

__all__ = ["repeat_share", "settled"]

_HOUSEHOLDS = 300
_ROUNDS = 4
_GAIN, _LARGEST_STEP = 3.0, 1.5
_EDGE = 0.001


def repeat_share(baskets: Baskets) -> float:
    """Return the share of lines whose product lay in an earlier basket of the household."""
    products = int(baskets.product.max(initial=0)) + 1
    pairs = np.unique(baskets.household[baskets.visit] * products + baskets.product)
    return 1.0 - len(pairs) / max(baskets.lines, 1)


def settled(model: BasketModel, baskets: Baskets, appeal: Appeal) -> BasketModel:
    """Return the model with the weight of past purchases at which it repeats as much as households do.

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
    wanted = logit(np.clip(repeat_share(part), _EDGE, 1.0 - _EDGE))
    for number in range(_ROUNDS):
        made = simulate_baskets(model, visits, appeal, 0, draw=number, acquainted=False)
        gap = wanted - logit(np.clip(repeat_share(made), _EDGE, 1.0 - _EDGE))
        step = float(np.clip(_GAIN * gap, -_LARGEST_STEP, _LARGEST_STEP))
        model = replace(model, product=replace(model.product, past=model.product.past + step))
    return model
