"""Was it a lottery? Recorded chances against what was given, and customers before against customers before.

If offer k was drawn with the recorded chance e, then 1(offer = k) / e averages 1 over those who could have
got it, whatever it is multiplied with, so long as that was known before the draw. Shares that are not as
declared, and offers aimed at some customers, both break this; what nobody recorded before the draw cannot
be tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.evidence import Identification
from simulators.uplift.balance import Balance, balance, moments_of
from simulators.uplift.exposures import Exposures
from simulators.uplift.lotteries import comparable_rows, open_offers
from simulators.uplift.scores import Mean, clustered_mean

__all__ = [
    "LEAST_GIVEN", "LOTTERY", "MANY", "Arm", "AssignmentCheck", "Doubt", "check_assignment", "compared_rows"
]  # fmt: skip

LOTTERY = 0.005
"""Chance below which what was given is not what the recorded propensities say."""

LEAST_GIVEN = 100
"""Customers for whom an offer, and no coupon, must have been drawn before an effect is told."""

MANY = 250
"""Customers of an offer below which intervals have been measured to be too short (docs/benchmarks.md)."""

_LEAST_CHANCE = 0.01
_TAILS = 0.01
_URNS = 8
"""The largest urns are looked at one by one."""


class Doubt(StrEnum):
    """Why an effect is not identified, or stands on thin ice; the words live at the edge."""

    NO_PROPENSITY = "no_propensity"
    """No exposure says that it was drawn by lot."""
    NO_HOLDOUT = "no_holdout"
    """No campaign drew both a coupon and none: there is nobody to compare with."""
    NOT_AS_DECLARED = "not_as_declared"
    """What was given is not what the recorded chances say."""
    TOO_FEW = "too_few"
    """An offer, or no coupon, was drawn for fewer than 100 customers."""
    SMALL_CHANCE = "small_chance"
    """A chance below 1 %: a few customers weigh for hundreds. A warning only."""
    SMALL_ARM = "small_arm"
    """An offer, or no coupon, was drawn for 100 to 249 customers: its interval is likely too short. A warning
    only."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One of K offers among the exposures that say they were drawn.

    Attributes
    ----------
    offer
        Name, empty for no coupon.
    given, customers
        Exposures and customers.
    share
        Mean of 1(given) / propensity with its error; 1 where the recorded chances are true.
    least
        Smallest propensity; NaN where it was never given.
    difference, feature
        Largest standardised difference of a feature, weighted by propensity, to all who could have got it;
        which one.
    effective
        Effective number of exposures (Kish 1965): what unequal weights leave.
    """

    offer: str
    given: int
    customers: int
    share: Mean
    least: float
    difference: float
    feature: str
    effective: float

    @property
    def small(self) -> bool:
        """Whether its effect is told on so few customers that the interval is likely too short."""
        return LEAST_GIVEN <= self.customers < MANY


@dataclass(frozen=True, slots=True)
class AssignmentCheck:
    """What the exposures can identify.

    Attributes
    ----------
    identified_by
        K; of each offer. The first, no coupon, has no effect by definition.
    arms
        K.
    p, statistic, freedom
        Test that all recorded chances are true, over offers and what was known before
        (:mod:`simulators.uplift.balance`); NaN where there is nothing to test.
    doubts
        Each once.
    drawn
        Exposures that say they were drawn by lot, with no coupon among what could be drawn.
    """

    identified_by: tuple[Identification, ...]
    arms: tuple[Arm, ...]
    p: float
    statistic: float
    freedom: int
    doubts: tuple[Doubt, ...]
    drawn: int

    @property
    def usable(self) -> bool:
        """Whether any offer's effect is identified."""
        return any(kind is Identification.EXPERIMENT for kind in self.identified_by[1:])


def compared_rows(exposures: Exposures) -> Bools:
    """Return which exposures were drawn by lot, no coupon among what could be drawn, bool [N]."""
    drawn = _drawn(exposures)
    drawn[drawn] = comparable_rows(open_offers(exposures.take(drawn)))
    return drawn


def _drawn(exposures: Exposures) -> Bools:
    return np.asarray(exposures.drawn & (exposures.propensity > 0.0) & (exposures.propensity < 1.0))


def check_assignment(exposures: Exposures) -> AssignmentCheck:
    """Judge exposures: which offers were drawn by lot, with chances as recorded."""
    mine = exposures.take(compared_rows(exposures))
    open_to = open_offers(mine)
    names, known = _known_before(mine)
    arms = tuple(_arm(mine, names, known, k, open_to[:, k]) for k in range(len(mine.offers)))
    test = _joint(mine, known, open_to)
    enough = [arm.customers >= LEAST_GIVEN for arm in arms]
    doubts = _doubts(arms, enough, test.p) if _drawn(exposures).any() else (Doubt.NO_PROPENSITY,)
    sound = enough[0] and not set(doubts) & {Doubt.NOT_AS_DECLARED, Doubt.NO_HOLDOUT, Doubt.NO_PROPENSITY}
    kinds = tuple(
        Identification.EXPERIMENT if k == 0 or (sound and enough[k]) else Identification.NOT_IDENTIFIED
        for k in range(len(arms))
    )
    return AssignmentCheck(kinds, arms, test.p, test.statistic, test.freedom, doubts, len(mine))


def _doubts(arms: tuple[Arm, ...], enough: list[bool], p: float) -> tuple[Doubt, ...]:
    if arms[0].given == 0:
        return (Doubt.NO_HOLDOUT,)
    found: list[Doubt] = []
    if p < LOTTERY:
        found.append(Doubt.NOT_AS_DECLARED)
    if not all(enough):
        found.append(Doubt.TOO_FEW)
    if min(arm.least for arm in arms if arm.given) < _LEAST_CHANCE:
        found.append(Doubt.SMALL_CHANCE)
    if any(arm.small for arm in arms):
        found.append(Doubt.SMALL_ARM)
    return tuple(found)


def _known_before(exposures: Exposures) -> tuple[tuple[str, ...], Floats]:
    """Return names and standardised values of what was known before the draw, [N, 1 + Q]; first a constant.

    Features, whether one is unknown, and what was bought in the window before; tails held, since a test by
    large numbers does not live on one customer.
    """
    missing = np.isnan(exposures.X)
    raw = np.concatenate(
        [np.where(missing, 0.0, exposures.X), missing, exposures.units[:, :1], exposures.profit[:, :1]],
        axis=1,
    )
    unknown = tuple(f"{name}: unknown" for name in exposures.features)
    names = (*exposures.features, *unknown, "units before", "profit before")
    if not len(raw):
        return ("",), np.ones((0, 1))
    held = np.clip(raw, *np.quantile(raw, [_TAILS, 1.0 - _TAILS], axis=0))
    spread = held.std(axis=0)
    told = spread > 1e-9 * (1.0 + np.abs(held).max(axis=0))
    told[-2:] = True
    kept = np.flatnonzero(told)
    z = (held[:, kept] - held[:, kept].mean(axis=0)) / np.where(spread[kept] > 0.0, spread[kept], 1.0)
    return ("", *(names[i] for i in kept)), np.concatenate([np.ones((len(raw), 1)), z], axis=1)


def _arm(exposures: Exposures, names: tuple[str, ...], known: Floats, k: int, open_to: Bools) -> Arm:
    mine = exposures.offer == k
    weight = np.where(mine, 1.0 / exposures.propensity, 0.0)
    total = float(weight.sum())
    gap = weight @ known / total - known[open_to].mean(axis=0) if total > 0.0 else np.zeros(known.shape[1])
    worst = int(np.argmax(np.abs(gap)))
    return Arm(
        exposures.offers[k],
        int(mine.sum()),
        len(np.unique(exposures.customer[mine])),
        clustered_mean(weight[open_to], exposures.customer[open_to]),
        float(exposures.propensity[mine].min()) if mine.any() else float("nan"),
        float(gap[worst]),
        names[worst],
        total**2 / float(np.square(weight).sum()) if total > 0.0 else 0.0,
    )


def _joint(exposures: Exposures, known: Floats, open_to: Bools) -> Balance:
    """Return the test that every moment (1(k) / e - 1) z is 0, over those who could have got offer k."""
    given = [k for k in range(len(exposures.offers)) if int((exposures.offer == k).sum()) >= LEAST_GIVEN]
    if not given or exposures.offer.min() > 0:
        return Balance(float("nan"), float("nan"), 0)
    _, urn, many = np.unique(open_to, axis=0, return_inverse=True, return_counts=True)
    number = np.zeros(len(many), dtype=np.int64)
    large = np.argsort(-many, kind="stable")[:_URNS]
    number[large] = np.arange(len(large))
    moments, first = moments_of(known, exposures.total, exposures.day, number[urn.reshape(-1)])
    chance = np.where(np.equal.outer(exposures.offer, given), 1.0 / exposures.propensity[:, None], 0.0)
    return balance(chance - open_to[:, given], moments, first, open_to[:, given], exposures.customer)
