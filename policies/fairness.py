"""Who is offered what, by audit group: rates and values with intervals, and the four-fifths rule.

Group membership is given for this report alone: nothing that decides may read it. A rate is compared with the
highest one. Below four fifths of it a group is flagged, as in the Uniform Guidelines on Employee Selection
Procedures (29 CFR 1607.4 D, 1978), the rule of thumb in general use; where the whole interval lies below,
chance does not explain it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import scipy.stats

from pricing.arrays import Bools, Floats
from pricing.errors import DataError

__all__ = ["FOUR_FIFTHS", "LEAST", "Flag", "Group", "Interval", "Share", "by_group"]

st: Any = scipy.stats
"""An untyped library, said to be so once."""

FOUR_FIFTHS = 0.8
"""Of the highest rate: below it a group is flagged."""

LEAST = 30
"""Customers of a group, of whom fewer say nothing either way."""

_LEVEL = 0.95


class Flag(Enum):
    """What the comparison says of a group."""

    TOO_FEW = "too_few"
    FINE = "fine"
    BELOW = "below_four_fifths"
    CLEARLY_BELOW = "clearly_below_four_fifths"


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval; ends are NaN where too few were seen to give one."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Share:
    """What was given to the customers of one group.

    Attributes
    ----------
    customers, offered
        How many there are, and how many got an offer.
    rate
        Share of them who did (Wilson's interval).
    value
        Mean expected discount a customer, minor units (Student's interval).
    """

    customers: int
    offered: int
    rate: Interval
    value: Interval


@dataclass(frozen=True, slots=True)
class Group:
    """One audit group beside the one that is offered most.

    Attributes
    ----------
    name
        As given.
    share
        What it got.
    ratio
        Its rate over the highest (Katz's interval, Biometrics 1978); 1, without ends, for that group itself.
    flag
        What it says.
    """

    name: str
    share: Share
    ratio: Interval
    flag: Flag


def by_group(
    customer: Sequence[str], offered: Bools, value: Floats, groups: Mapping[str, str]
) -> tuple[Group, ...]:
    """Compare what audit groups are offered, in the order of their names.

    Parameters
    ----------
    customer
        N pseudonyms.
    offered
        bool [N]; they got an offer.
    value
        float64 [N]; expected discount, minor units; 0 without an offer.
    groups
        Group by pseudonym; customers without one are a group of their own, named "".

    Raises
    ------
    DataError
        If there is nobody, or nobody has a group.
    """
    named = np.array([groups.get(name, "") for name in customer], dtype=str)
    if not len(named) or not (named != "").any():
        raise DataError(
            "No customer of the allocation has an audit group.",
            why="Both files must name customers alike.",
            todo="Give groups by the pseudonyms that the allocation names.",
        )
    shares = {
        name: _share(offered[named == name], value[named == name]) for name in np.unique(named).tolist()
    }
    judged = {name: share for name, share in shares.items() if share.customers >= LEAST}
    most = max(judged, key=lambda name: judged[name].rate.estimate, default="")
    return tuple(_compared(name, share, judged.get(most), own=name == most) for name, share in shares.items())


def _share(offered: Bools, value: Floats) -> Share:
    count, given = len(offered), int(offered.sum())
    found = st.binomtest(given, count).proportion_ci(_LEVEL, method="wilson")
    mean = float(value.mean())
    half = np.nan
    if count > 1:
        half = float(st.t.ppf(0.5 + _LEVEL / 2, count - 1) * value.std(ddof=1) / np.sqrt(count))
    rate = Interval(given / count, float(found.low), float(found.high))
    return Share(count, given, rate, Interval(mean, mean - half, mean + half))


def _compared(name: str, share: Share, most: Share | None, *, own: bool) -> Group:
    if most is None or share.customers < LEAST or most.offered == 0:
        few = share.customers < LEAST
        return Group(name, share, Interval(np.nan, np.nan, np.nan), Flag.TOO_FEW if few else Flag.FINE)
    if own:
        return Group(name, share, Interval(1.0, np.nan, np.nan), Flag.FINE)
    ratio = _ratio(share, most)
    if ratio.estimate >= FOUR_FIFTHS:
        return Group(name, share, ratio, Flag.FINE)
    return Group(name, share, ratio, Flag.CLEARLY_BELOW if ratio.upper < FOUR_FIFTHS else Flag.BELOW)


def _ratio(share: Share, most: Share) -> Interval:
    """Return the ratio of two rates; without any offer only its upper end can be told, cautiously."""
    if share.offered == 0:
        return Interval(0.0, 0.0, share.rate.upper / most.rate.lower)
    found = st.contingency.relative_risk(share.offered, share.customers, most.offered, most.customers)
    ends = found.confidence_interval(_LEVEL)
    return Interval(float(found.relative_risk), float(ends.low), float(ends.high))
