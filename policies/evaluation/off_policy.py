"""What a policy would have earned on a log that another policy wrote.

Horvitz and Thompson (1952) for IPW, Hajek (1971) for its self-normalised form, Dudik, Langford and Li (2011)
for doubly robust; weights are exact where propensities are. On known worlds IPW, SNIPW and DR cover as they
say, and the direct method, clipped and shrunk weights do not (docs/benchmarks.md), so there are none here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.errors import RefusedError, UsageError
from simulators.uplift.scores import Mean, aipw, clustered_mean

__all__ = ["LEAST_EFFECTIVE", "LEAST_ROWS", "Log", "PolicyValue", "chosen", "evaluate_policy", "gain_over"]

LEAST_EFFECTIVE = 0.05
"""Share of the log that must be left in effect, or the log says nothing about the policy: at the 3.4 % of the
field's best known example the estimate rests on a handful of customers."""

LEAST_ROWS = 100.0
"""Effective rows that must be left, however long the log."""


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """N decisions that were made and what came of them.

    Attributes
    ----------
    reward
        float64 [N]; for coupons net profit in window and aftermath, minor units.
    offer
        int64 [N]; which of K was given.
    propensity
        float64 [N]; exact chance with which it was.
    expected
        float64 [N, K]; expected reward of each offer, learned from other customers.
    customer
        int64 [N]; clusters.
    """

    reward: Floats
    offer: Ints
    propensity: Floats
    expected: Floats
    customer: Ints


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """Reward per decision under a policy, three ways; a mean each, with its clustered error.

    Attributes
    ----------
    ipw, snipw, dr
        Weighted by inverse propensity; the same with weights made to add up; doubly robust.
    effective
        Effective sample size of Kish: ``(sum w)^2 / sum w^2``.
    share
        The same as a share of the log.
    """

    ipw: Mean
    snipw: Mean
    dr: Mean
    effective: float
    share: float


def chosen(offer: Ints, offers: int) -> Floats:
    """Return the probabilities, float64 [N, K], of a policy that gives exactly `offer` [N]."""
    out = np.zeros((len(offer), offers))
    out[np.arange(len(offer)), offer] = 1.0
    return out


def evaluate_policy(log: Log, probability: Floats) -> PolicyValue:
    """Evaluate a policy that gives offer k to row n with `probability` [N, K].

    Raises
    ------
    UsageError
        If probabilities are none, or a propensity is missing.
    RefusedError
        If less than :data:`LEAST_EFFECTIVE` of the log, or fewer than :data:`LEAST_ROWS` rows, are left in
        effect: the log holds too little of what the policy would do.
    """
    weight = _weights(log, probability)
    effective = _require(weight)
    value = float(weight @ log.reward) / float(weight.sum())
    tilted = weight * (log.reward - value) / float(weight.mean())
    spread = clustered_mean(tilted, log.customer)
    scores = aipw(log.reward, log.offer, log.propensity, log.expected)
    return PolicyValue(
        ipw=clustered_mean(weight * log.reward, log.customer),
        snipw=replace(spread, value=value),
        dr=clustered_mean((probability * scores).sum(axis=1), log.customer),
        effective=effective,
        share=effective / len(weight),
    )


def gain_over(log: Log, probability: Floats, other: Floats) -> Mean:
    """Return the doubly robust gain of one policy over another, paired row by row; both [N, K].

    The gate for going live is the lower end of its interval: above 0 the policy has earned its place.

    Raises
    ------
    UsageError, RefusedError
        As :func:`evaluate_policy`, for either policy, judged on the rows where the two differ.
    """
    differ = np.abs(probability - other).max(axis=1) > 0.0
    for policy in (probability, other):
        if differ.any():
            part = Log(*(getattr(log, name)[differ] for name in _FIELDS))
            _require(_weights(part, policy[differ]))
    scores = aipw(log.reward, log.offer, log.propensity, log.expected)
    return clustered_mean(((probability - other) * scores).sum(axis=1), log.customer)


_FIELDS = ("reward", "offer", "propensity", "expected", "customer")


def _weights(log: Log, probability: Floats) -> Floats:
    """Return the policy's chance over the log's of what was given, float64 [N]."""
    inside = (probability >= 0.0).all() and np.allclose(probability.sum(axis=1), 1.0, rtol=0.0, atol=1e-9)
    if probability.shape != log.expected.shape or not inside:
        raise UsageError("A policy gives each customer's K offers probabilities that add up to 1.")
    if not ((log.propensity > 0.0) & (log.propensity <= 1.0)).all():
        raise UsageError(
            "Only decisions with a recorded propensity can be evaluated.",
            why="Without it nobody knows for how many customers a decision stands.",
        )
    out: Floats = probability[np.arange(len(log.offer)), log.offer] / log.propensity
    return out


def _require(weight: Floats) -> float:
    """Return the effective number of rows; refuse too few."""
    squares = float(np.square(weight).sum())
    effective = float(weight.sum()) ** 2 / squares if squares > 0.0 else 0.0
    share = effective / max(len(weight), 1)
    if share < LEAST_EFFECTIVE or effective < LEAST_ROWS:
        raise RefusedError(
            f"The log cannot tell what this policy would earn: {effective:.0f} of {len(weight)} decisions "
            f"count, {share:.1%}.",
            why=f"Below {LEAST_EFFECTIVE:.0%}, or {LEAST_ROWS:.0f} decisions, a few customers decide.",
            todo="Evaluate a policy closer to the one that wrote the log, or log one that explores more.",
        )
    return effective
