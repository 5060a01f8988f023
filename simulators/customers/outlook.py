"""What is to be expected of each customer: whether and when they come again, how often, who will come less.

Nobody is ever seen to have left. A customer is said to come less who will more probably than not come
less than half as often as at their own pace; whether that came true is measured on a last stretch of the
shop's own data that the fit does not see (:mod:`simulators.customers.outlook_check`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.randomness import decision_keys, label_hash, normals, uniforms
from simulators.customers.churn import when_back
from simulators.customers.visits import ShoppingDays, VisitModel

__all__ = ["HORIZONS", "LEVEL", "LIKELIER", "Outlook", "choose_horizon", "count_visits", "look_ahead"]

HORIZONS = (28, 56, 84, 182)
"""Days that may be looked ahead, unless somebody says otherwise."""

LEVEL = 0.9
"""Share that an interval is to hold."""

LIKELIER = 0.5
"""Probability above which somebody is said to come less."""

_Z = 1.6448536269514722
"""Quantile of the normal that leaves 5 % above it."""

_DRAWS, _REACH, _BATCH = 200, 182, 2000
_SEEN, _HALF = 4, 0.5


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected of H customers.

    Attributes
    ----------
    customer
        H pseudonyms, ascending.
    as_of, days
        First day that is looked at, counted from 1970-01-01, and how many.
    back, back_lower, back_upper
        float64 [H]; probability of a day with an order among them; with the ends that what is not known of
        the customer's own pace leaves (90 %).
    visits, visits_lower, visits_upper
        float64 [H], int64 [H] twice; expected days with an order, and an interval for how many there will be
        (90 %).
    next_day, next_lower, next_upper
        int64 [H]; days until the next order, 1 is `as_of`: median and the ends of a 90 % interval; 0 where
        that is farther than 182 days, or `days`, away.
    last_visit
        int64 [H]; counted from 1970-01-01.
    usual
        float64 [H]; days with an order in as many days at the customer's own pace from first to last order;
        NaN with fewer than four of them.
    comes_less
        float64 [H]; probability of fewer than half of `usual` days with an order; NaN where that is below one
        or not known.
    """

    customer: tuple[str, ...]
    as_of: int
    days: int
    back: Floats
    back_lower: Floats
    back_upper: Floats
    visits: Floats
    visits_lower: Ints
    visits_upper: Ints
    next_day: Ints
    next_lower: Ints
    next_upper: Ints
    last_visit: Ints
    usual: Floats
    comes_less: Floats

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def likely_less(self) -> Bools:
        """Who will probably come less, bool [H]: `comes_less` is likelier than not."""
        return np.nan_to_num(self.comes_less) > LIKELIER


def choose_horizon(shopping: ShoppingDays) -> int:
    """Return the days to look ahead: the first of :data:`HORIZONS` in which most who return have returned.

    That is at least twice the median of days between two days with an order of the same customer. It stays
    below a third of the days that the data cover, so that a stretch can be hidden; 28 at least.
    """
    row, day = np.nonzero(shopping.visited)
    gaps = np.diff(day)[np.diff(row) == 0]
    wanted = 2.0 * float(np.median(gaps)) if gaps.size else float(HORIZONS[0])
    fits = [days for days in HORIZONS if days <= shopping.visited.shape[1] / 3] or [HORIZONS[0]]
    return next((days for days in fits if days >= wanted), fits[-1])


def look_ahead(model: VisitModel, shopping: ShoppingDays, days: int, seed: int) -> Outlook:
    """Return the outlook of every customer of a model.

    Parameters
    ----------
    model
        Fitted hazards.
    shopping
        The days that they were fitted on; later ones are not looked at.
    days
        How far.
    seed
        Of the simulated days that the interval of their number is read from.
    """
    reach = max(days, _REACH)
    usual = _usual(model, shopping, days)
    parts = [
        _ahead(_some(model, start), (days, reach, seed), usual[start : start + _BATCH])
        for start in range(0, len(model.customer), _BATCH)
    ]
    found = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Outlook(
        customer=model.customer,
        as_of=model.as_of,
        days=days,
        back=found[0],
        back_lower=found[1],
        back_upper=found[2],
        visits=found[3],
        visits_lower=found[4].astype(np.int64),
        visits_upper=found[5].astype(np.int64),
        next_day=found[6].astype(np.int64),
        next_lower=found[7].astype(np.int64),
        next_upper=found[8].astype(np.int64),
        last_visit=model.last_visit,
        usual=usual,
        comes_less=found[9],
    )


def _some(model: VisitModel, start: int) -> VisitModel:
    here = slice(start, start + _BATCH)
    return replace(
        model,
        customer=model.customer[here],
        effect=model.effect[here],
        effect_sd=model.effect_sd[here],
        last_visit=model.last_visit[here],
    )


def _ahead(model: VisitModel, asked: tuple[int, int, int], usual: Floats) -> tuple[Floats, ...]:
    days, reach, seed = asked
    back = when_back(model, reach)
    sure = np.zeros_like(model.effect_sd)
    ends = [
        when_back(replace(model, effect=model.effect + z * model.effect_sd, effect_sd=sure), days)
        for z in (-_Z, _Z)
    ]
    counts = count_visits(model, days, seed, _DRAWS)
    tail = (1.0 - LEVEL) / 2.0
    lower, upper = np.quantile(counts, [tail, 1.0 - tail], axis=0, method="inverted_cdf")
    return (
        back.within(days),
        ends[0].within(days),
        ends[1].within(days),
        model.expected(days).sum(axis=1),
        lower,
        upper,
        *(_first(back.back, share) for share in (0.5, tail, 1.0 - tail)),
        np.where(usual >= 1.0, (counts < _HALF * usual).mean(axis=0), np.nan),
    )


def count_visits(model: VisitModel, days: int, seed: int, draws: int) -> Ints:
    """Return how many days with an order each draw has, int64 [draws, H].

    The same days as :func:`simulators.customers.visits.simulate_visits` draws one after the other.
    """
    keys = np.array([label_hash(name, "visits") for name in model.customer], dtype=np.uint64)
    numbers: Ints = np.arange(draws, dtype=np.int64)
    effect = model.effect + model.effect_sd * normals(keys, numbers, 2, seed)[..., 0]
    last = np.tile(model.last_visit, (draws, 1))
    out: Ints = np.zeros((draws, len(keys)), dtype=np.int64)
    for today in range(model.as_of, model.as_of + days):
        u = uniforms(decision_keys(keys, np.array([today]), numbers), seed)
        came = u < model.hazard(today, today - last, effect)
        last = np.where(came, today, last)
        out += came
    return out


def _first(back: Floats, share: float) -> Floats:
    """Return the first day [H] by which the probability of a return is `share`; 0 where it never is."""
    there = back >= share
    out: Floats = np.where(there.any(axis=1), np.argmax(there, axis=1) + 1.0, 0.0)
    return out


def _usual(model: VisitModel, shopping: ShoppingDays, days: int) -> Floats:
    place = {name: i for i, name in enumerate(shopping.customer)}
    rows = np.array([place[name] for name in model.customer], dtype=np.int64)
    known = shopping.visited[rows, : max(model.as_of - shopping.first_day, 0)]
    count = known.sum(axis=1)
    span = known.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1) - np.argmax(known, axis=1)
    out: Floats = np.where(count >= _SEEN, days * (count - 1.0) / np.maximum(span, 1), np.nan)
    return out
