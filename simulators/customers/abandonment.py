"""When a cart is abandoned: the hazard of checkout since it was last touched, fitted from events.

Discrete time (Allison, Sociological Methodology 1982): in each interval since the last touch a cart that is
still waiting is bought with some probability. Touching it again restarts the clock, and is taken to tell
nothing else of the purchase that might have come first. So the fit never needs to know which touch was the
last.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pricing.archive import pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.customers import CUSTOMER_FEATURES, PERSONAL_OFFERS, place_of
from pricing.errors import ArtifactError, NotIdentified, UsageError
from simulators.contract.engine import literal
from simulators.contract.tables import Source
from simulators.customers.carts import define_cart_spells
from simulators.customers.consent import agreed
from simulators.customers.logistic import fit_logistic
from simulators.customers.redemption import day_number

__all__ = ["EDGES", "AbandonmentModel", "CartSpells", "at_risk", "build_spells", "fit_abandonment"]

EDGES = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 72.0, 168.0, 336.0])
"""Hours since the last touch at which the A intervals begin and, 14 days on, the last one ends."""

_LEAST = 20
_PRECISION, _LEVEL_PRECISION = 1.0, 1e-6
_KIND, _VERSION = "abandonment-model", 1


@dataclass(frozen=True, slots=True)
class CartSpells:
    """n times that a cart was left waiting.

    Attributes
    ----------
    hours
        float64 [n]; until it was bought, touched again, or out of sight.
    bought
        bool [n]; it ended with a purchase.
    known
        bool [n]; of a customer who agreed, else of a session of nobody.
    value
        float64 [n]; what lay in it, minor units, 0 where unknown.
    as_of
        str; ISO date, first day not read.
    fingerprint
        str; of the data.
    """

    hours: Floats
    bought: Bools
    known: Bools
    value: Floats
    as_of: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class AbandonmentModel:
    """Fitted hazards.

    Attributes
    ----------
    level
        float; log odds of purchase in an average interval.
    elapsed
        float64 [A]; what each interval of :data:`EDGES` adds.
    known, value
        float; what a known customer adds, and one sd of log value.
    centre, scale
        float; mean and sd of log(1 + value).
    as_of, fingerprint
        str; as of the spells.
    """

    level: float
    elapsed: Floats
    known: float
    value: float
    centre: float
    scale: float
    as_of: str
    fingerprint: str

    def hazard(self, known: Bools, value: Floats) -> Floats:
        """Return the probability [n, A] of a purchase in each interval, of a cart still waiting as it begins.

        Parameters
        ----------
        known
            bool [n]; the customer is known and agreed.
        value
            float64 [n]; minor units.
        """
        z = self.known * known + self.value * (np.log1p(value) - self.centre) / self.scale
        out: Floats = expit(self.level + self.elapsed + z[:, None])
        return out

    def still_bought(self, hours: Floats, known: Bools, value: Floats) -> Floats:
        """Return the probability [n] that a cart untouched for `hours` [n] is bought before 14 days are over.

        Within an interval the chance is spread evenly over what is left of it.
        """
        length = np.diff(EDGES)
        left = np.clip((EDGES[1:] - hours[:, None]) / length, 0.0, 1.0)
        stay = (left * np.log1p(-self.hazard(known, value))).sum(axis=1)
        out: Floats = -np.expm1(stay)
        return out

    def abandoned(self, hours: Floats, known: Bools, value: Floats) -> Floats:
        """Return the probability [n] that it is not; arguments as in :meth:`still_bought`."""
        return 1.0 - self.still_bought(hours, known, value)

    def call_after(self, known: Bools, value: Floats, certainty: float = 0.9) -> Floats:
        """Return the hours [n] after which a cart may be called abandoned with this probability.

        The first of :data:`EDGES` at which :meth:`abandoned` reaches `certainty`, above 0 and at most 1; the
        last one is certain by definition.
        """
        if not 0.0 < certainty <= 1.0:
            raise UsageError(f"certainty is a probability above 0, not {certainty}.")
        n = len(known)
        sure = [self.abandoned(np.full(n, edge), known, value) >= certainty for edge in EDGES]
        sure[-1] = np.ones(n, dtype=np.bool_)
        out: Floats = EDGES[np.argmax(np.stack(sure), axis=0)]
        return out

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same model gives the same bytes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays: dict[str, NDArray[Any]] = {"elapsed": values.pop("elapsed"), "edges": EDGES}
        return pack(_KIND, _VERSION, arrays, values)

    @staticmethod
    def from_bytes(content: bytes) -> AbandonmentModel:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            if not np.array_equal(arrays.pop("edges"), EDGES):
                raise ArtifactError("This abandonment model has other intervals.", todo="Fit it again.")
            named: dict[str, Any] = {**arrays, **meta}
            return AbandonmentModel(**named)
        except (LookupError, TypeError) as error:
            raise ArtifactError(
                "This abandonment-model archive does not hold what such a model is made of.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit the model again.",
            ) from error


def build_spells(source: Source, as_of: str, purpose: str | None = PERSONAL_OFFERS) -> CartSpells:
    """Read how long carts waited, of customers who agreed and of sessions that belong to nobody.

    Parameters
    ----------
    source
        The shop's tables, open; events, orders and consents are read.
    as_of
        ISO date, first day not read. Nothing older than the register lets `abandonment` read is read.
    purpose
        As in :func:`simulators.customers.features.build_customers`.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    UsageError
        If `as_of` is no date.
    """
    source.require_clean()
    day_number(as_of)
    engine, until = source.engine, f"TIMESTAMP {literal(as_of)}"
    first = f"({until} - INTERVAL {CUSTOMER_FEATURES[place_of('abandonment')].retention} DAY)"
    answer = agreed(purpose, "k.customer_id", f"({until} - INTERVAL 1 MICROSECOND)")
    engine.run(
        "CREATE OR REPLACE TABLE cart_owners AS SELECT customer_id FROM "
        f"(SELECT DISTINCT customer_id FROM events WHERE customer_id IS NOT NULL) AS k WHERE {answer}"
    )
    allowed = "customer_id IS NULL OR customer_id IN (SELECT customer_id FROM cart_owners)"
    define_cart_spells(engine, first, until, allowed)
    found = engine.arrays('SELECT * FROM cart_spells ORDER BY "at", cart, hours, bought, known, value')
    return CartSpells(
        hours=np.asarray(found["hours"], dtype=np.float64),
        bought=np.asarray(found["bought"], dtype=np.bool_),
        known=np.asarray(found["known"], dtype=np.bool_),
        value=np.asarray(found["value"], dtype=np.float64),
        as_of=as_of,
        fingerprint=source.fingerprint,
    )


def at_risk(spells: CartSpells) -> tuple[Ints, Ints, Bools]:
    """Return the intervals in which carts waited: spell [m], interval of :data:`EDGES` [m], bought in it [m].

    An interval that a spell leaves otherwise than by a purchase before it is over is not among them.
    """
    began = EDGES[:-1] < np.minimum(spells.hours, EDGES[-1])[:, None]
    here = (spells.hours[:, None] > EDGES[:-1]) & (spells.hours[:, None] <= EDGES[1:])
    here[:, 0] |= spells.hours == 0.0
    came = here & spells.bought[:, None]
    waited = (began & ~here) | came | (here & (spells.hours[:, None] == EDGES[1:]))
    row, interval = np.nonzero(waited)
    return row.astype(np.int64), interval.astype(np.int64), came[row, interval]


def fit_abandonment(spells: CartSpells) -> AbandonmentModel:
    """Fit the hazard of purchase.

    Raises
    ------
    NotIdentified
        If fewer than 20 carts were bought, or fewer than 20 were left.
    """
    row, interval, y = at_risk(spells)
    if min(int(y.sum()), int((~spells.bought).sum())) < _LEAST:
        raise NotIdentified(
            f"{int(y.sum())} carts were bought and {int((~spells.bought).sum())} left waiting.",
            why=f"When a cart is abandoned is told from at least {_LEAST} of each.",
            todo="Hand over more events: cart_add, checkout, purchase.",
        )
    log_value = np.log1p(spells.value)
    centre, scale = float(log_value.mean()), float(log_value.std()) or 1.0
    X = np.concatenate(
        [
            np.ones((len(row), 1)),
            np.eye(len(EDGES) - 1)[interval],
            spells.known[row, None].astype(np.float64),
            ((log_value[row] - centre) / scale)[:, None],
        ],
        axis=1,
    )
    precision = np.full(X.shape[1], _PRECISION)
    precision[0] = _LEVEL_PRECISION
    b = fit_logistic(X, y, np.ones(len(y)), precision).mean
    return AbandonmentModel(
        level=float(b[0]),
        elapsed=b[1:-2],
        known=float(b[-2]),
        value=float(b[-1]),
        centre=centre,
        scale=scale,
        as_of=spells.as_of,
        fingerprint=spells.fingerprint,
    )
