"""The outlook: what a planner knows of the periods to come, beyond the situation of a decision."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from policies.serve.stored import Parts, rows_of
from pricing.arrays import Floats, Ints, Words
from pricing.demand import Conditions
from pricing.errors import ArtifactError, DataError
from pricing.guardrails import Guardrails
from pricing.scenario import Scenario

__all__ = ["Outlook"]

_CONDITIONS = tuple(field.name for field in fields(Conditions))
_BY_PERIOD = (*_CONDITIONS, "received")
_BY_SERIES = ("low", "high")
_SHARES = ("max_change", "memory")


@dataclass(frozen=True, slots=True)
class Outlook:
    """Planned conditions of H periods and the corridor that prices stay in, for N series.

    Attributes
    ----------
    keys
        uint64 [N]; :attr:`pricing.catalogue.Catalogue.keys`, whatever their order.
    depth, feature, display, traffic, rivals, season
        float64 [H, N]; see :class:`pricing.demand.Conditions`; period 0 is the first of the horizon. Rivals
        are at the prices in force when the outlook was made, less what is planned.
    received
        float64 [H, N]; units that arrive at the end of each period.
    low, high
        float64 [N]; log of the lowest and highest shelf price that no standing rule forbids.
    max_change
        Largest relative move of a price in one period.
    memory
        Share of the remembered price that survives a period, 0-1.
    """

    keys: Words
    depth: Floats
    feature: Floats
    display: Floats
    traffic: Floats
    rivals: Floats
    season: Floats
    received: Floats
    low: Floats
    high: Floats
    max_change: float
    memory: float

    def __post_init__(self) -> None:
        for name in _BY_PERIOD:
            if getattr(self, name).shape != (len(self), len(self.keys)):
                raise DataError(f"Outlook.{name} has shape {getattr(self, name).shape}, not (H, N).")
        for name in _BY_SERIES:
            if getattr(self, name).shape != self.keys.shape:
                raise DataError(f"Outlook.{name} has shape {getattr(self, name).shape}, not (N,).")
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise DataError(f"Outlook.{name} = {getattr(self, name)} is outside 0 to 1.")

    def __len__(self) -> int:
        """Return H, the number of periods."""
        return int(self.depth.shape[0])

    @staticmethod
    def of(scenario: Scenario) -> Outlook:
        """Return what a planner may know of a scenario."""
        now, count = scenario.catalogue.log_price, len(scenario.catalogue)
        told = [scenario.planned(period, now) for period in range(scenario.horizon)]
        planned = {
            name: np.stack([np.broadcast_to(getattr(c, name), (count,)) for c in told])
            for name in _CONDITIONS
        }
        low, high = _corridor(scenario.guardrails)
        return Outlook(
            keys=scenario.catalogue.keys,
            **planned,
            received=scenario.receipts,
            low=low,
            high=high,
            max_change=scenario.guardrails.settings.max_change,
            memory=scenario.memory,
        )

    def conditions(self, period: int) -> Conditions:
        """Return what is planned for one period of the horizon, arrays [N]."""
        return Conditions(*(getattr(self, name)[period] for name in _CONDITIONS))

    def last(self, periods: int) -> Outlook:
        """Return the last `periods` of the horizon (at least 1, at most all)."""
        start = len(self) - min(max(periods, 1), len(self))
        parts = {name: getattr(self, name)[start:] for name in _BY_PERIOD}
        return Outlook(self.keys, **parts, low=self.low, high=self.high,
                       max_change=self.max_change, memory=self.memory)  # fmt: skip

    def take(self, rows: Ints) -> Outlook:
        """Return the outlook of the series at `rows`."""
        parts = {name: getattr(self, name)[:, rows] for name in _BY_PERIOD}
        return Outlook(self.keys[rows], **parts, low=self.low[rows], high=self.high[rows],
                       max_change=self.max_change, memory=self.memory)  # fmt: skip

    def for_series(self, keys: Words, policy: str) -> Outlook:
        """Return the outlook in the order of `keys`; raises :class:`pricing.errors.UnknownProduct`."""
        return self if np.array_equal(self.keys, keys) else self.take(rows_of(self.keys, keys, policy))

    def arrays(self) -> dict[str, Floats | Words]:
        """Return the arrays by name, for an archive."""
        return {"keys": self.keys, **{name: getattr(self, name) for name in (*_BY_PERIOD, *_BY_SERIES)}}

    def numbers(self) -> dict[str, float]:
        """Return the numbers by name, for an archive."""
        return {"max_change": self.max_change, "memory": self.memory}

    @staticmethod
    def from_parts(parts: Parts) -> Outlook:
        """Read :meth:`arrays` and :meth:`numbers` back; raises :class:`pricing.errors.ArtifactError`."""
        values: dict[str, Any] = {name: parts.array(name, "f", 2) for name in _BY_PERIOD}
        values |= {name: parts.array(name, "f", 1) for name in _BY_SERIES}
        values |= {name: parts.number(name) for name in _SHARES}
        try:
            return Outlook(keys=parts.array("keys", "u", 1), **values)
        except DataError as error:
            raise ArtifactError(
                f"The {parts.name} policy is inconsistent.", why=error.what, todo="Make it again."
            ) from error


def _corridor(guardrails: Guardrails) -> tuple[Floats, Floats]:
    """Return the log price range [N] that is open in the long run; the price in force where none is.

    It only bounds plans: what may be chosen is always the allowed set that the guardrails give.
    """
    open_, logs = guardrails.standing, guardrails.menu.log_price
    now = np.log(guardrails.catalogue.price.astype(np.float64))
    low = np.where(open_, logs, np.inf).min(axis=1)
    high = np.where(open_, logs, -np.inf).max(axis=1)
    none = ~open_.any(axis=1)
    return np.where(none, now, low), np.where(none, now, high)
