"""How an answer about a world of known truth is scored, as docs/worlds.md says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from simulators.known_truth.draw import Truth

__all__ = [
    "MOVE",
    "Answer",
    "Score",
    "constant_elasticity",
    "coverage",
    "interval_score",
    "no_response",
    "score",
]

MOVE = 0.1
"""How far the own regular price is moved in the questions, up and down."""
_LEVEL = 0.1
"""Share of true elasticities that may lie outside an interval."""


@dataclass(frozen=True)
class Answer:
    """What a method says of N products; every array is float64 [N].

    Attributes
    ----------
    up, down
        Ratio of expected units at a price 10 % up and 10 % down to those at the actual prices.
    elasticity
        Point estimate.
    lower, upper
        90 % interval; NaN where the method gives none.
    """

    up: Floats
    down: Floats
    elasticity: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class Score:
    """One method in one world.

    Attributes
    ----------
    counterfactual
        WMAPE of expected units at prices 10 % up and down.
    coverage, interval
        Share of 90 % intervals that hold the truth; mean interval score. NaN without intervals.
    bias
        Mean of estimated less true elasticity.
    negative
        Share of products said to sell less at a higher price.
    """

    counterfactual: float
    coverage: float
    interval: float
    bias: float
    negative: float


def constant_elasticity(
    elasticity: Floats, error: Floats | None = None, quantile: float = 1.6448536269514722
) -> Answer:
    """Return the answer of a method whose elasticity [N] holds at every price, with its standard errors."""
    reach = np.full_like(elasticity, np.nan) if error is None else quantile * error
    up, down = (np.exp(elasticity * np.log(d)) for d in (1.0 + MOVE, 1.0 - MOVE))
    return Answer(up, down, elasticity, elasticity - reach, elasticity + reach)


def no_response(products: int) -> Answer:
    """Return the answer of who believes that price moves nothing."""
    return constant_elasticity(np.zeros(products))


def score(truth: Truth, answer: Answer, among: Bools | None = None) -> Score:
    """Score an answer, over all N products or those `among` them, bool [N]."""
    rows = np.ones(len(truth.units), dtype=np.bool_) if among is None else among
    wrong = np.abs(truth.units * answer.up - truth.units_up)[rows].sum()
    wrong += np.abs(truth.units * answer.down - truth.units_down)[rows].sum()
    total = (truth.units_up + truth.units_down)[rows].sum()
    lower, upper, at = answer.lower[rows], answer.upper[rows], truth.elasticity[rows]
    return Score(
        counterfactual=float(wrong / total),
        coverage=coverage(lower, upper, at),
        interval=interval_score(lower, upper, at),
        bias=float((answer.elasticity[rows] - at).mean()),
        negative=float((answer.elasticity[rows] < 0.0).mean()),
    )


def coverage(lower: Floats, upper: Floats, truth: Floats) -> float:
    """Return the share of intervals that hold the truth; NaN if there are none."""
    if not np.isfinite(lower).all():
        return float("nan")
    return float(((lower <= truth) & (truth <= upper)).mean())


def interval_score(lower: Floats, upper: Floats, truth: Floats) -> float:
    """Return the mean interval score at level .1, smaller is better (Gneiting and Raftery, JASA 2007)."""
    outside = np.maximum(lower - truth, 0.0) + np.maximum(truth - upper, 0.0)
    return float((upper - lower + 2.0 / _LEVEL * outside).mean())
