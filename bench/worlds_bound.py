"""What nobody can beat in expectation: Bayes' rule by someone who knows how the log-linear worlds were drawn.

A product's own prices and sales tell its elasticity with a limited precision; the population tells the rest.
Who knows the population, every shared shock, the autocorrelation of the product's own shocks and the size of
the noise has the posterior computed here (on the log scale, where counts have variance ``1 / mu + 1 / r``).
Two lines: with the category's mean elasticity known, and with it learned from the category's 50 products.
"""

from __future__ import annotations

import numpy as np

from bench.worlds_scores import constant_elasticity, score
from pricing.arrays import Floats
from simulators.known_truth.draw import World, true_units

__all__ = ["attainable"]

_XI_SD, _FADING, _SIZE = 0.19, 0.7, 8.0
_PRIOR_SD = np.array([0.8, 0.5, 0.5, 0.15, 0.1, 0.05])
"""Of level, elasticities to regular price and discount, feature, display, last price; docs/worlds.md."""
_BETWEEN_SD = 0.3
_DRAWS = 50


def attainable(world: World) -> tuple[float, float]:
    """Return expected counterfactual WMAPE with category means known, and with them learned."""
    mean = true_units(world.spec, world.regular, world.offered)
    variance = np.array([_posterior(world, mean, i) for i in range(world.spec.products)])
    prior = _PRIOR_SD[1] ** 2
    # A product's own data say b; around its category's mean b has variance prior**2 / (prior - variance).
    told = np.bincount(world.category, weights=(prior - variance) / prior**2) + 1.0 / _BETWEEN_SD**2
    learned = variance + (variance / prior) ** 2 / told[world.category]
    return _expected(world, variance), _expected(world, learned)


def _posterior(world: World, mean: Floats, i: int) -> float:
    """Return the posterior variance of product i's elasticity, its category's mean known."""
    T = world.spec.weeks
    regular, shelf, usual = np.log(world.regular[i]), np.log(world.offered[i]), np.log(world.usual[i])
    before = np.concatenate([shelf[:1], shelf[:-1]]) - usual
    columns = [np.ones(T), regular - usual, shelf - regular, world.feature[i], world.display[i], before]
    X = np.stack(columns, axis=1).astype(np.float64)
    apart = np.abs(np.arange(T)[:, None] - np.arange(T))
    noise = _XI_SD**2 * _FADING**apart + np.diag(1.0 / mean[i] + 1.0 / _SIZE)
    information = X.T @ np.linalg.solve(noise, X) + np.diag(1.0 / _PRIOR_SD**2)
    return float(np.linalg.inv(information)[1, 1])


def _expected(world: World, variance: Floats) -> float:
    rng = np.random.default_rng(world.spec.seed)
    errors = np.sqrt(variance) * rng.standard_normal((_DRAWS, len(variance)))
    said = [constant_elasticity(world.truth.elasticity + error) for error in errors]
    return float(np.mean([score(world.truth, answer).counterfactual for answer in said]))
