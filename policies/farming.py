"""What a ledger of coupons says about farming: counts beside what chance alone would give, and few flags.

Nobody is accused. A flag says that chance alone rarely does this, by tests that hold whatever customers do:

- **luck**: more offers than the recorded chances give. Asking again until an offer comes is no luck, so how
  often somebody asks, and when they stop, must not matter: the likelihood ratio of odds so many times the
  recorded ones is a martingale, and a martingale rarely ever gets large (Ville 1939; Ramdas et al.,
  Statistical Science 2023).
- **returns**: more couponed orders taken back than if every order were as likely to be (hypergeometric).
- **bursts**: more pairs of orders with coupons by one holder within an hour than if orders were dealt out
  anew to the same holders (permutation).

Each flags an honest ledger with a chance of :data:`FALSE_ALARMS` at most, all holders together (union bound).
Customers differ honestly, so that a share is above what equal chances give is normal, and no flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import scipy.stats

from policies.fairness import Interval
from pricing.arrays import Bools, Floats, Ints

__all__ = [
    "DAY", "FALSE_ALARMS", "HOUR", "Asked", "Asking", "Beside", "Farming", "Kind", "Kinds", "Notable",
    "Taken", "look_for_farming", "luck",
]  # fmt: skip

st: Any = scipy.stats
"""An untyped library, said to be so once."""

FALSE_ALARMS = 0.01
"""Chance that a test flags anybody in a ledger in which nothing but chance is at work."""
HOUR = 3_600_000_000
"""Microseconds."""
DAY = 24 * HOUR
_TIMES = np.array([2.0, 4.0, 8.0, 16.0])
"""Odds that are tried, in recorded ones."""
_DEALS = 199
"""Times that chance deals anew: the smallest p-value is 1 / 200."""


class Kind(Enum):
    """How the shop named somebody: the ledger itself cannot tell one person with ten cookies from ten."""

    NAMED = "named"
    ANONYMOUS = "anonymous"
    NOT_RECORDED = "not_recorded"


_KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Asked:
    """N decisions about coupons.

    Attributes
    ----------
    holder
        int64 [N]; about whom.
    kind
        int64 [N]; place in :class:`Kind`.
    at
        int64 [N]; UTC microseconds.
    given, used
        bool [N]; something was offered; and it was used.
    chance
        float64 [N]; probability, as recorded, that something would be.
    """

    holder: Ints
    kind: Ints
    at: Ints
    given: Bools
    used: Bools
    chance: Floats


@dataclass(frozen=True, slots=True)
class Taken:
    """R uses of coupons.

    Attributes
    ----------
    holder
        int64 [R]; whose; -1 where nobody was told.
    order
        int64 [R]; number of the order.
    at
        int64 [R]; UTC microseconds.
    discount
        int64 [R]; what was taken off and not taken back, minor units.
    back
        bool [R]; some of the order was taken back: returned or rolled back.
    age
        int64 [R]; microseconds that the holder had been known; -1 where that was erased or nobody was told.
    """

    holder: Ints
    order: Ints
    at: Ints
    discount: Ints
    back: Bools
    age: Ints


@dataclass(frozen=True, slots=True)
class Kinds:
    """What went to one kind of identity.

    Attributes
    ----------
    kind
        Which.
    identities, decisions, offers, used
        How many; `used` of the offers.
    discount
        On uses, minor units; kinds are told by decisions, so uses without one are of a kind not recorded.
    use
        Share of the offers that were used (Wilson's interval).
    fresh
        Share of the uses whose holder had been known for less than a day (Wilson's interval).
    """

    kind: Kind
    identities: int
    decisions: int
    offers: int
    used: int
    discount: int
    use: Interval
    fresh: Interval


@dataclass(frozen=True, slots=True)
class Beside:
    """A figure beside what chance alone gives: mean, 95 % of the deals, and how many were as large (p)."""

    found: float
    expected: float
    lower: float
    upper: float
    p: float


@dataclass(frozen=True, slots=True)
class Asking:
    """How often holders ask.

    Attributes
    ----------
    days
        Days of a holder with a decision.
    median, most
        Decisions on one of them.
    again
        Decisions within a day after one of the same holder that gave nothing.
    offers_again
        Offers made at those, of all `offers`.
    offers
        Offers made.
    once
        Offers that were to be expected had everybody asked only the other times.
    """

    days: int
    median: float
    most: int
    again: int
    offers_again: int
    offers: int
    once: float


@dataclass(frozen=True, slots=True)
class Notable:
    """A holder worth a look.

    Attributes
    ----------
    holder
        Who.
    count, of
        Offers of decisions, or orders taken back of orders.
    expected
        By chance.
    p
        Bound on the chance of this for one holder.
    """

    holder: int
    count: int
    of: int
    expected: float
    p: float


@dataclass(frozen=True, slots=True)
class Farming:
    """What the ledger says.

    Attributes
    ----------
    holders
        Who was decided for, or used a coupon.
    kinds
        By :class:`Kind`, those that there are.
    top
        Share of the discount that went to 1 % and to 10 % of those who were offered or used something; None
        without any discount.
    asking
        None without decisions.
    lucky, returning
        Flagged, the least likely first.
    back
        Share of couponed orders taken back (Wilson's interval).
    bursts
        Pairs of orders of one holder within an hour.
    """

    holders: int
    kinds: tuple[Kinds, ...]
    top: tuple[Beside, Beside] | None
    asking: Asking | None
    lucky: tuple[Notable, ...]
    back: Interval
    returning: tuple[Notable, ...]
    bursts: Beside


def look_for_farming(asked: Asked, taken: Taken, seed: int = 0) -> Farming:
    """Look at a ledger; the same rows and seed give the same answer, in whatever order they come."""
    known = taken.holder >= 0
    orders = _orders(taken)
    everybody = np.union1d(asked.holder, taken.holder[known])
    return Farming(
        holders=len(everybody),
        kinds=_kinds(asked, taken),
        top=_top(np.union1d(asked.holder[asked.given], taken.holder[known]), taken, seed),
        asking=_asking(asked) if len(asked.holder) else None,
        lucky=_lucky(asked),
        back=_share(int(orders.back.sum()), len(orders.back)),
        returning=_returning(orders),
        bursts=_bursts(orders, seed),
    )


def luck(asked: Asked) -> tuple[Ints, Floats]:
    """Return holders int64 [H] and the log of the largest that their martingale ever was, float64 [H].

    A chance of `a` is an upper bound on that of its ever reaching 1 / a, however often they ask.
    """
    order = np.lexsort((asked.given, asked.at, asked.holder))
    holder, c = asked.holder[order], asked.chance[order, None]
    step = np.where(asked.given[order, None], np.log(_TIMES), 0.0) - np.log(1.0 - c + c * _TIMES)
    who, first = np.unique(holder, return_index=True)
    total = np.cumsum(step, axis=0)
    before = np.repeat(total[first] - step[first], np.diff([*first, len(holder)]), axis=0)
    wealth = np.logaddexp.reduce(total - before, axis=1) - np.log(len(_TIMES))
    most = np.maximum.reduceat(wealth, first) if len(first) else np.zeros(0)
    return who, np.maximum(most, 0.0)


def _kinds(asked: Asked, taken: Taken) -> tuple[Kinds, ...]:
    who, place = np.unique(asked.holder, return_inverse=True)
    kind = np.full(len(who) + 1, len(_KINDS) - 1)
    np.minimum.at(kind, place.reshape(-1), asked.kind)
    spot = np.searchsorted(who, taken.holder)
    met = np.append(who, -2)[spot] == taken.holder
    of_ask, of_use = kind[place.reshape(-1)], np.where(met, kind[spot], kind[-1])
    out: list[Kinds] = []
    for number, name in enumerate(_KINDS):
        mine, uses = of_ask == number, of_use == number
        given, used = int(asked.given[mine].sum()), int(asked.used[mine].sum())
        aged = taken.age[uses & (taken.age >= 0)]
        if mine.any() or uses.any():
            counts = (int((kind[:-1] == number).sum()), int(mine.sum()), given, used)
            fresh = _share(int((aged < DAY).sum()), len(aged))
            discount = int(taken.discount[uses].sum())
            out.append(Kinds(name, *counts, discount, _share(used, given), fresh))
    return tuple(out)


def _top(holders: Ints, taken: Taken, seed: int) -> tuple[Beside, Beside] | None:
    """Compare with uses that fall to every holder alike, each as large as it was."""
    mine = taken.holder >= 0
    discount = taken.discount[mine].astype(np.float64)
    if not discount.sum() > 0.0:
        return None
    heads = [max(round(len(holders) * share), 1) for share in (0.01, 0.1)]

    def shares(place: Ints) -> list[float]:
        most = np.partition(np.bincount(place, discount, len(holders)), len(holders) - heads[1])
        ranked = np.sort(most[len(holders) - heads[1] :])[::-1]
        return [float(ranked[:count].sum() / discount.sum()) for count in heads]

    # sorted, so that the deal does not depend on the order of the rows
    discount = discount[order := np.lexsort((discount, taken.holder[mine], taken.at[mine]))]
    rng = np.random.default_rng([seed, 1])
    dealt = np.array([shares(rng.integers(len(holders), size=len(discount))) for _ in range(_DEALS)])
    one, ten = shares(np.searchsorted(holders, taken.holder[mine][order]))
    return _beside(one, dealt[:, 0]), _beside(ten, dealt[:, 1])


def _asking(asked: Asked) -> Asking:
    order = np.lexsort((asked.given, asked.at, asked.holder))
    holder, at, given = asked.holder[order], asked.at[order], asked.given[order]
    _, count = np.unique(np.stack([holder, at // DAY]), axis=1, return_counts=True)
    again = np.zeros(len(holder), dtype=np.bool_)
    again[1:] = (np.diff(holder) == 0) & (np.diff(at) < DAY) & ~given[:-1]
    return Asking(
        days=len(count),
        median=float(np.median(count)),
        most=int(count.max()),
        again=int(again.sum()),
        offers_again=int((again & given).sum()),
        offers=int(given.sum()),
        once=float(asked.chance[order][~again].sum()),
    )


def _lucky(asked: Asked) -> tuple[Notable, ...]:
    who, wealth = luck(asked)
    place = np.searchsorted(who, asked.holder)
    of = np.bincount(place, minlength=len(who))
    given, expected = (_sums(place, column, len(who)) for column in (asked.given, asked.chance))
    return _notable(who, given, of, expected, np.exp(-wealth), len(who))


def _orders(taken: Taken) -> Taken:
    """Return one row an order and holder: an order with two coupons comes back once."""
    mine = np.flatnonzero(taken.holder >= 0)
    if not len(mine):
        return Taken(*(getattr(taken, name)[mine] for name in taken.__slots__))
    pairs = np.stack([taken.holder[mine], taken.order[mine]])
    _, first, place = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    row = mine[first]
    back = np.bincount(place.reshape(-1), taken.back[mine], len(row)) > 0
    return Taken(
        taken.holder[row], taken.order[row], taken.at[row], taken.discount[row], back, taken.age[row]
    )


def _returning(orders: Taken) -> tuple[Notable, ...]:
    who, place, count = np.unique(orders.holder, return_inverse=True, return_counts=True)
    back = _sums(place.reshape(-1), orders.back, len(who))
    total, gone = len(orders.back), int(orders.back.sum())
    several = count >= 2
    p = np.asarray(st.hypergeom.sf(back - 1, total, gone, count), dtype=np.float64)
    expected: Floats = count.astype(np.float64) * (gone / max(total, 1))
    return _notable(
        who[several], back[several], count[several], expected[several], p[several], int(several.sum())
    )


def _notable(
    who: Ints, count: Floats | Ints, of: Ints, expected: Floats, p: Floats, tests: int
) -> tuple[Notable, ...]:
    flagged = np.flatnonzero(p * tests <= FALSE_ALARMS)
    order = flagged[np.lexsort((who[flagged], p[flagged]))]
    return tuple(
        Notable(int(who[i]), int(count[i]), int(of[i]), float(expected[i]), float(p[i])) for i in order
    )


def _bursts(orders: Taken, seed: int) -> Beside:
    order = np.lexsort((orders.holder, orders.at))
    holder, at = orders.holder[order], orders.at[order]

    def pairs(who: Ints) -> int:
        row = np.lexsort((at, who))
        return int(((np.diff(who[row]) == 0) & (np.diff(at[row]) <= HOUR)).sum())

    rng = np.random.default_rng([seed, 2])
    return _beside(pairs(holder), np.array([pairs(rng.permutation(holder)) for _ in range(_DEALS)]))


def _sums(place: Ints, values: Floats | Bools, length: int) -> Floats:
    return np.asarray(np.bincount(place, values, length), dtype=np.float64)


def _beside(found: float, dealt: Floats | Ints) -> Beside:
    low, high = np.quantile(dealt, (0.025, 0.975))
    as_large = int((dealt >= found - 1e-12).sum())
    return Beside(
        float(found), float(dealt.mean()), float(low), float(high), (1 + as_large) / (1 + len(dealt))
    )


def _share(count: int, of: int) -> Interval:
    """Return a share with Wilson's 95 % interval; NaN of nothing."""
    if of == 0:
        return Interval(np.nan, np.nan, np.nan)
    found = st.binomtest(count, of).proportion_ci(0.95, method="wilson")
    return Interval(count / of, float(found.low), float(found.high))
