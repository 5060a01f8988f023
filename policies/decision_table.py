"""The decision table: whole batches of decisions as columns, one row a decision, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bits, Bools, Codes, Floats, Ints
from pricing.decision import SCHEMA, Decisions

__all__ = ["DecisionTable", "decision_table"]

_Any = TypeVar("_Any", np.bool_, np.uint32, np.float64)


@dataclass(frozen=True)
class DecisionTable:
    """M decisions in the order (run, series); the columns of :class:`pricing.decision.Decision`.

    Prices are shelf prices in minor units of `currency`. Columns of two axes are lists in a row; rungs
    beyond a series' own ladder repeat its last price and are never allowed.

    Attributes
    ----------
    decision_id, group, zone
        M words each.
    period_start, run
        int64 [M]; days since 1970-01-01; 32-bit number of the run.
    current_price, price
        int64 [M]; price in force and price decided (-1 where blocked).
    low_30_days
        int64 [M]; lowest shelf price of the 30 days before the period.
    menu, valid, allowed, rejections, probabilities
        [M, K]; `valid` is False on the repeats.
    status, relaxed, binding
        int8, uint32 and int64 [M]; see :mod:`pricing.guardrails`; binding is -1 where no rule binds.
    features
        float64 [M, F].
    propensity, draw
        float64 and int64 [M]; NaN where blocked; stored draw used, -1 without.
    currency, policy, policy_version, model_fingerprint, personalised, schema
        The same for all rows.
    """

    decision_id: tuple[str, ...]
    group: tuple[str, ...]
    zone: tuple[str, ...]
    period_start: Ints
    run: Ints
    current_price: Ints
    price: Ints
    low_30_days: Ints
    menu: Ints
    valid: Bools
    allowed: Bools
    rejections: Bits
    probabilities: Floats
    status: Codes
    relaxed: Bits
    binding: Ints
    features: Floats
    propensity: Floats
    draw: Ints
    currency: str
    policy: str
    policy_version: str
    model_fingerprint: str
    personalised: bool
    schema: int = SCHEMA

    def __len__(self) -> int:
        return len(self.decision_id)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, in their order."""
        return tuple(field.name for field in fields(self))


def decision_table(decisions: Decisions) -> DecisionTable:
    """Lay one batch of decisions (B runs over N series) out as B x N rows."""
    s, admission = decisions.situation, decisions.admission
    runs, count = decisions.index.shape
    series = s.catalogue.series
    words = decisions.keys.reshape(-1, 4)
    start: Ints = np.zeros(runs * count, dtype=np.int64) + s.period
    return DecisionTable(
        decision_id=tuple("".join(f"{int(word):08x}" for word in key) for key in words),
        group=series.group * runs,
        zone=series.zone * runs,
        period_start=start,
        run=words[:, 3].astype(np.int64),
        current_price=s.state.price.reshape(-1),
        price=np.where(decisions.index < 0, -1, decisions.price).reshape(-1),
        low_30_days=s.state.low.reshape(-1),
        menu=np.tile(s.menu.price, (runs, 1)),
        valid=np.tile(s.menu.valid, (runs, 1)),
        allowed=_flat(admission.allowed),
        rejections=_flat(admission.rejections),
        probabilities=_flat(decisions.probabilities),
        status=admission.status.reshape(-1),
        relaxed=admission.relaxed.reshape(-1),
        binding=decisions.binding.reshape(-1),
        features=_flat(decisions.features),
        propensity=decisions.propensity.reshape(-1),
        draw=decisions.draw.reshape(-1),
        currency=s.catalogue.currency,
        policy=decisions.policy,
        policy_version=decisions.version,
        model_fingerprint=decisions.fingerprint,
        personalised=decisions.personalised,
    )


def _flat(array: NDArray[_Any]) -> NDArray[_Any]:
    return array.reshape(-1, array.shape[-1])
