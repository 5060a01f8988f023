"""When a household shops: a daily hazard with its own rate, the week's rhythm, recency, and so churn.

The unit is a household's shopping day. Log odds of shopping on a day = level + weekday + days since the last
shopping day + the household's own effect, normal around 0 and partially pooled. The hazard after a long
absence is what the data say it is: where it falls, households that stay away drift off, which is churn
without a state that nobody observes (discrete-time survival analysis: Allison, Sociological Methodology
1982).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from pricing.archive import pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import ArtifactError, DataError, NotIdentified
from pricing.randomness import decision_keys, label_hash, normals, uniforms
from simulators.contract.engine import literal
from simulators.contract.tables import Source
from simulators.customers.consent import agreed
from simulators.customers.logistic import fit_logistic

__all__ = [
    "ABSENCES", "ShoppingDays", "VisitModel", "build_shopping_days", "days_since", "fit_visits",
    "simulate_visits",
]  # fmt: skip

ABSENCES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 22, 29, 57], dtype=np.int64)
"""First days since the last shopping day of each class of absence; the last class never ends."""

_NODES = 5
_PRECISION = 1.0
_LEVEL_PRECISION = 1e-6
_THURSDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""

_KIND, _VERSION = "visit-model", 1


@dataclass(frozen=True, slots=True)
class ShoppingDays:
    """Which households shopped on which days.

    Attributes
    ----------
    customer
        H pseudonyms, ascending; households that may be read one by one.
    visited
        bool [H, D].
    first_day
        int; day of the first column, counted from 1970-01-01.
    anonymous
        int; households that did not agree: counted, and never told apart.
    fingerprint
        str; of the data.
    """

    customer: tuple[str, ...]
    visited: Bools
    first_day: int
    anonymous: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class VisitModel:
    """Fitted hazards.

    Attributes
    ----------
    level
        float; log odds of the average household, before weekday and absence.
    weekday
        float64 [7]; Monday first.
    absence
        float64 [A]; of the classes in :data:`ABSENCES`.
    customer
        H pseudonyms, ascending.
    effect, effect_sd
        float64 [H]; posterior mean and sd of the households' own log odds.
    population_sd
        float; sd of those effects over households: an anonymous one is drawn from it.
    last_visit
        int64 [H]; last shopping day before `as_of`.
    as_of
        int; first day that the fit did not see, counted from 1970-01-01.
    fingerprint
        str; of the data.
    """

    level: float
    weekday: Floats
    absence: Floats
    customer: tuple[str, ...]
    effect: Floats
    effect_sd: Floats
    population_sd: float
    last_visit: Ints
    as_of: int
    fingerprint: str

    def hazard(self, day: int, since: Ints, effect: Floats) -> Floats:
        """Return the probability of shopping on a day.

        Parameters
        ----------
        day
            Counted from 1970-01-01.
        since
            int64 [...]; days since the last shopping day, at least 1.
        effect
            float64, broadcast against `since`; the households' own log odds.
        """
        weekday = self.weekday[(day + _THURSDAY) % 7]
        out: Floats = expit(self.level + weekday + self.absence[_absence_class(since)] + effect)
        return out

    def expected(self, days: int) -> Floats:
        """Return the probability [H, days] that each household shops on each day from `as_of` on.

        Averaged over the posterior of its effect (Gauss-Hermite, five nodes). For each effect it is exact:
        the distribution over days since the last visit is carried forward, so no draw is needed;
        absences longer than the last class begins are one state.
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        out = np.zeros((len(self.customer), days))
        for z, w in zip(nodes, weights / weights.sum(), strict=True):
            out += w * self._forward(self.effect + z * self.effect_sd, days)
        return out

    def _forward(self, effect: Floats, days: int) -> Floats:
        longest = int(ABSENCES[-1])
        since: Ints = np.arange(1, longest + 1, dtype=np.int64)
        state = np.zeros((len(self.customer), longest))
        start = np.clip(self.as_of - self.last_visit, 1, longest)
        state[np.arange(len(start)), start - 1] = 1.0
        out = np.empty((len(start), days))
        for d in range(days):
            going = state * self.hazard(self.as_of + d, since, effect[:, None])
            out[:, d] = going.sum(axis=1)
            staying = state - going
            state = np.concatenate([out[:, d : d + 1], staying[:, :-1]], axis=1)
            state[:, -1] += staying[:, -1]
        return out

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same model gives the same bytes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays: dict[str, NDArray[Any]] = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
        meta = {name: value for name, value in values.items() if name not in arrays}
        return pack(_KIND, _VERSION, arrays, {**meta, "customer": list(self.customer)})

    @staticmethod
    def from_bytes(content: bytes) -> VisitModel:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            named: dict[str, Any] = {**arrays, **meta, "customer": tuple(meta["customer"])}
            return VisitModel(**named)
        except (LookupError, TypeError) as error:
            raise ArtifactError(
                "This visit-model archive does not hold what a visit model is made of.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit the model again.",
            ) from error


def build_shopping_days(
    source: Source, purpose: str | None, since: str = "", until: str = ""
) -> ShoppingDays:  # fmt: skip
    """Read on which days each household had a paid order.

    Parameters
    ----------
    source
        The shop's tables, open; orders, products and consents are read.
    purpose
        See :func:`simulators.customers.consent.agreed`.
    since, until
        ISO dates, first day to read and first one not to; empty for all.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If no order belongs to a household that may be read.
    """
    source.require_clean()
    engine = source.engine
    within = "".join(
        f" AND ordered_at {sign} TIMESTAMP {literal(day)}"
        for sign, day in ((">=", since), ("<", until))
        if day
    )
    engine.run(
        f"""
        CREATE OR REPLACE TABLE shopping_days AS
        WITH known AS (
            SELECT DISTINCT customer_id FROM orders WHERE status = 'paid' AND customer_id IS NOT NULL{within}
        )
        SELECT DISTINCT o.customer_id, o.ordered_at::DATE - DATE '1970-01-01' AS day, k.agreed
        FROM orders AS o
            JOIN (SELECT customer_id, {agreed(purpose, "known.customer_id")} AS agreed FROM known) AS k
            USING (customer_id)
        WHERE o.status = 'paid'{within}
        """
    )
    found = engine.arrays("SELECT customer_id, day FROM shopping_days WHERE agreed ORDER BY customer_id, day")
    anonymous = engine.count("SELECT count(DISTINCT customer_id) FROM shopping_days WHERE NOT agreed")
    if len(found["day"]) == 0:
        raise DataError(
            "No paid order belongs to a household whose visits may be read.",
            why=f"{anonymous} households have not consented to {purpose}." if purpose else "",
            todo="Fill customer_id in orders, and the consents table.",
        )
    customer, row = np.unique(found["customer_id"].astype(str), return_inverse=True)
    day = np.asarray(found["day"], dtype=np.int64)
    first = int(day.min())
    visited = np.zeros((len(customer), int(day.max()) - first + 1), dtype=np.bool_)
    visited[row, day - first] = True
    return ShoppingDays(tuple(map(str, customer)), visited, first, anonymous, source.fingerprint)


def fit_visits(shopping: ShoppingDays, as_of: int) -> VisitModel:
    """Fit on the days before `as_of`; a household counts from the day after its first visit.

    Raises
    ------
    NotIdentified
        If no household was seen to come back.
    """
    days = min(as_of - shopping.first_day, shopping.visited.shape[1])
    known = shopping.visited[:, : max(days, 0)]
    chosen = np.flatnonzero(known.any(axis=1))
    since = days_since(known[chosen])
    household, column = np.nonzero(since > 0)
    came = known[chosen][household, column]
    if not came.any():
        raise NotIdentified("No household came back before the fit ends.", todo="Hand over more of the past.")
    weekday = (shopping.first_day + column + _THURSDAY) % 7
    kind = _absence_class(since[household, column])
    X = np.concatenate(
        [np.ones((len(came), 1)), np.eye(7)[weekday], np.eye(len(ABSENCES))[kind]], axis=1
    )  # each block is shrunk to 0, which settles what the level leaves open
    precision = np.full(X.shape[1], _PRECISION)
    precision[0] = _LEVEL_PRECISION
    found = fit_logistic(X, came, np.ones(len(came)), precision, group=household)
    width = known.shape[1]
    last = width - 1 - np.argmax(known[chosen][:, ::-1], axis=1)
    effect, spread = np.zeros(len(chosen)), np.full(len(chosen), found.group_sd)
    effect[: len(found.groups)] = found.groups
    spread[: len(found.groups)] = np.sqrt(found.group_variance)
    return VisitModel(
        level=float(found.mean[0]),
        weekday=found.mean[1:8],
        absence=found.mean[8:],
        customer=tuple(shopping.customer[int(i)] for i in chosen),
        effect=effect,
        effect_sd=spread,
        population_sd=found.group_sd,
        last_visit=(shopping.first_day + last).astype(np.int64),
        as_of=as_of,
        fingerprint=shopping.fingerprint,
    )


def simulate_visits(model: VisitModel, days: int, seed: int, *, draw: int = 0, anonymous: int = 0) -> Bools:
    """Draw the shopping days of every household from `as_of` on, bool [H + anonymous, days].

    A household's days follow from (seed, household, day, draw), whoever else is simulated. Anonymous ones are
    new draws from the population: their effect is drawn, and so is the household whose last visit they share.

    Parameters
    ----------
    model
        Fitted hazards.
    days
        How many days.
    seed, draw
        The number of the world; each draw has its own effects from their posterior and its own days.
    anonymous
        Households of which nothing is known.
    """
    names = [*model.customer, *(f"anonymous {i}" for i in range(anonymous))]
    keys = np.array([label_hash(name, "visits") for name in names], dtype=np.uint64)
    z = normals(keys, np.array([draw]), 2, seed)[0]
    like = (ndtr(z[len(model.customer) :, 1]) * (len(model.customer) - 1e-9)).astype(np.int64)
    centre = np.concatenate([model.effect, np.zeros(anonymous)])
    spread = np.concatenate([model.effect_sd, np.full(anonymous, model.population_sd)])
    effect = centre + spread * z[:, 0]
    last = np.concatenate([model.last_visit, model.last_visit[like]])
    out = np.zeros((len(names), days), dtype=np.bool_)
    for d in range(days):
        today = model.as_of + d
        u = uniforms(decision_keys(keys, np.array([today]), np.array([draw])), seed)[0]
        out[:, d] = u < model.hazard(today, today - last, effect)
        last = np.where(out[:, d], today, last)
    return out


def _absence_class(since: Ints) -> Ints:
    return np.searchsorted(ABSENCES, since, side="right").astype(np.int64) - 1


def days_since(visited: Bools) -> Ints:
    """Return days since the last earlier visit [H, D]; 0 before the first."""
    column: Ints = np.arange(visited.shape[1], dtype=np.int64)
    upto = np.maximum.accumulate(np.where(visited, column, -1), axis=1)
    before = np.concatenate([np.full((len(visited), 1), -1), upto[:, :-1]], axis=1)
    out: Ints = np.where(before >= 0, column - before, 0).astype(np.int64)
    return out
