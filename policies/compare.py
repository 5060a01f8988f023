"""Compare policies in pairs: what one brought more than another in the same worlds with the same noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special

from policies.rollout import Outcome
from pricing.arrays import Floats, Ints
from pricing.errors import UsageError

__all__ = ["Difference", "Interval", "compare", "paired_interval", "ratio_interval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 90 % and 95 % intervals.

    Attributes
    ----------
    estimate
        The mean, or the ratio of means.
    lower_90, upper_90, lower_95, upper_95
        Ends of the intervals.
    """

    estimate: float
    lower_90: float
    upper_90: float
    lower_95: float
    upper_95: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One policy beside a reference.

    Attributes
    ----------
    policy, version, reference
        Which policy; the name of the other.
    money
        Net profit of a run more than the reference's, minor units.
    percent
        Net profit in percent of the reference's.
    profit
        Mean net profit of a run, minor units.
    wins
        Share of worlds in which it brought more.
    worlds, runs
        How many worlds and runs it rests on.
    """

    policy: str
    version: str
    reference: str
    money: Interval
    percent: Interval
    profit: float
    wins: float
    worlds: int
    runs: int


def compare(
    outcomes: Sequence[Outcome], reference: str, series: Ints | None = None
) -> tuple[Difference, ...]:
    """Compare every outcome with that of the policy named `reference`.

    Runs are paired by (world, seed) and averaged within a world; worlds are what was sampled, so the
    intervals are Student's over worlds. They hold for worlds of this posterior, not for a wrong model.

    Parameters
    ----------
    outcomes
        Of one rollout.
    reference
        Name of one of its policies.
    series
        int64; only the profit of these series counts. None counts all.

    Raises
    ------
    UsageError
        If the reference is not among the outcomes, the runs do not pair, there are fewer than two worlds,
        or the reference made no profit that a percentage could refer to.
    """
    base = next((outcome for outcome in outcomes if outcome.policy == reference), None)
    if base is None:
        raise UsageError(f"There is no outcome of {reference}.", todo="Roll it out with the others.")
    theirs = _by_world(base, series)
    if len(theirs) < 2:
        raise UsageError("One world says nothing about others.", todo="Ask for two worlds or more.")
    if theirs.mean() <= 0.0:
        raise UsageError(f"{reference} made no profit, so nothing is a percentage of it.")
    return tuple(_difference(outcome, base, theirs, series) for outcome in outcomes)


def paired_interval(differences: Floats) -> Interval:
    """Return mean and Student intervals of independent paired differences [W], W >= 2."""
    return _interval(float(differences.mean()), float(differences.std(ddof=1)), len(differences))


def ratio_interval(ours: Floats, theirs: Floats) -> Interval:
    """Return the ratio of two paired means [W] with intervals by linearisation (Cochran 1977, 6.3)."""
    ratio, scale = float(ours.mean() / theirs.mean()), float(theirs.mean())
    spread = float((ours - ratio * theirs).std(ddof=1)) / abs(scale)
    return _interval(ratio, spread, len(ours))


def _interval(estimate: float, deviation: float, count: int) -> Interval:
    error = deviation / np.sqrt(count)
    t_90, t_95 = (float(scipy.special.stdtrit(count - 1, level)) for level in (0.95, 0.975))
    return Interval(
        estimate,
        estimate - t_90 * error,
        estimate + t_90 * error,
        estimate - t_95 * error,
        estimate + t_95 * error,
    )


def _difference(outcome: Outcome, base: Outcome, theirs: Floats, series: Ints | None) -> Difference:
    result = outcome.result
    if not (
        np.array_equal(result.world, base.result.world) and np.array_equal(result.seed, base.result.seed)
    ):
        raise UsageError(f"{outcome.policy} and {base.policy} were not rolled out in the same runs.")
    ours = _by_world(outcome, series)
    share = ratio_interval(ours, theirs)
    return Difference(
        policy=outcome.policy,
        version=outcome.version,
        reference=base.policy,
        money=paired_interval(ours - theirs),
        percent=Interval(*(100.0 * getattr(share, name) for name in Interval.__dataclass_fields__)),
        profit=float(ours.mean()),
        wins=float((ours > theirs).mean()),
        worlds=len(ours),
        runs=len(result.world),
    )


def _by_world(outcome: Outcome, series: Ints | None) -> Floats:
    """Return mean profit of a run in each world, float64 [W]."""
    result = outcome.result
    profit = result.by_series.sum(axis=1) if series is None else result.by_series[:, series].sum(axis=1)
    _, place, count = np.unique(result.world, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(place, weights=profit) / count)
