"""Who will shop again, and when: probabilities from the visit hazard, with what is not known carried along.

Churn is the probability of no visit within a horizon; nobody is ever seen to have left, so no label is
invented. The hazard is :class:`simulators.customers.visits.VisitModel`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import UsageError
from simulators.customers.visits import ShoppingDays, VisitModel

__all__ = ["Reliability", "Return", "reliability", "shopped_within", "when_back"]

_NODES = 5


@dataclass(frozen=True, slots=True)
class Return:
    """When H customers come back, counted from the model's `as_of`.

    Attributes
    ----------
    customer
        H pseudonyms, ascending.
    back
        float64 [H, D]; probability of a visit within 1 .. D days.
    as_of
        int; first day, counted from 1970-01-01.
    """

    customer: tuple[str, ...]
    back: Floats
    as_of: int

    def within(self, days: int) -> Floats:
        """Return the probability [H] of a visit within that many days."""
        return self.back[:, self._place(days)]

    def churn(self, days: int) -> Floats:
        """Return the probability [H] of no visit within that many days."""
        return 1.0 - self.within(days)

    def median_days(self) -> Ints:
        """Return the first day [H] by which a visit is likelier than not; D + 1 where none of the D is."""
        soon = self.back >= 0.5
        first: Ints = np.argmax(soon, axis=1).astype(np.int64) + 1
        first[~soon.any(axis=1)] = self.back.shape[1] + 1
        return first

    def _place(self, days: int) -> int:
        if not 1 <= days <= self.back.shape[1]:
            raise UsageError(f"{days} days are not among the {self.back.shape[1]} that were computed.")
        return days - 1


def when_back(model: VisitModel, days: int) -> Return:
    """Return when each customer of a model comes back within `days` days.

    The chance to stay away is the product of the daily ones, for each of five values of the customer's own
    effect, averaged over its posterior (Gauss-Hermite): those who are likelier to stay away also stay away
    longer, which a product of average chances would miss.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    away = np.zeros((len(model.customer), days))
    for z, w in zip(nodes, weights / weights.sum(), strict=True):
        effect = model.effect + z * model.effect_sd
        steps = [
            1.0 - model.hazard(model.as_of + d, model.as_of + d - model.last_visit, effect)
            for d in range(days)
        ]
        away += w * np.cumprod(np.stack(steps, axis=1), axis=1)
    return Return(model.customer, 1.0 - away, model.as_of)


def shopped_within(shopping: ShoppingDays, returning: Return, days: int) -> Bools:
    """Return who [H] did come within `days` days of the model's `as_of`.

    Raises
    ------
    UsageError
        If the data end before: who did not come yet may still come.
    """
    first = returning.as_of - shopping.first_day
    if first + days > shopping.visited.shape[1]:
        raise UsageError(f"The data end before {days} days are over.", todo="Ask for fewer days.")
    place = {name: i for i, name in enumerate(shopping.customer)}
    rows = [place[name] for name in returning.customer]
    return np.asarray(shopping.visited[rows, first : first + days].any(axis=1), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far probabilities are right, by tenths of them.

    Attributes
    ----------
    predicted, observed
        float64 [10]; mean probability and share that came true.
    count
        int64 [10].
    auc
        float; probability that one that came true had the higher probability (ties count half).
    brier, log_loss
        float; mean squared error and mean log loss.
    """

    predicted: Floats
    observed: Floats
    count: Ints
    auc: float
    brier: float
    log_loss: float

    @property
    def error(self) -> float:
        """Mean over all of |predicted - observed| of their tenth."""
        return float((self.count * np.abs(self.predicted - self.observed)).sum() / self.count.sum())


def reliability(probability: Floats, came: Bools) -> Reliability:
    """Compare probabilities [n] with what came true [n]; at least ten of both, and both outcomes."""
    if len(came) < 10 or came.all() or not came.any():
        raise UsageError("Reliability takes ten predictions or more, with either outcome among them.")
    order = np.argsort(probability, kind="stable")
    tenths = np.array_split(order, 10)
    p = np.clip(probability, 1e-12, 1.0 - 1e-12)
    return Reliability(
        predicted=np.array([probability[t].mean() for t in tenths]),
        observed=np.array([came[t].mean() for t in tenths]),
        count=np.array([len(t) for t in tenths], dtype=np.int64),
        auc=_auc(probability, came),
        brier=float(((probability - came) ** 2).mean()),
        log_loss=-float(np.where(came, np.log(p), np.log1p(-p)).mean()),
    )


def _auc(score: Floats, came: Bools) -> float:
    ascending = np.sort(score[~came])
    below = np.searchsorted(ascending, score[came], side="left")
    upto = np.searchsorted(ascending, score[came], side="right")
    return float((below + upto).mean() / 2 / len(ascending))
