"""Plans: what the shop itself has decided about the coming periods before the first of them begins."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from pricing.archive import pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.demand import Conditions
from pricing.errors import ArtifactError, DataError

__all__ = ["Plans"]

_KIND, _VERSION = "plans", 1


@dataclass(frozen=True, slots=True)
class Plans:
    """Promotions, reductions and deliveries planned for N series over H periods; nothing is planned later.

    Attributes
    ----------
    depth
        float64 [H, N]; planned log(shelf / regular price), <= 0. It is a share of the regular price: where
        that moves, the reduced price moves with it.
    feature, display
        float64 [H, N]; planned promotion shares, 0-1.
    receipts
        float64 [H, N]; units that arrive by the end of each period.
    declared
        The shop declares that its promotions are set in advance of demand; without it none of them counts,
        because rows about the time after the decision may then have been written in answer to it.
    left_out
        Number of rows about promotions and reductions to come that do not count for want of that.
    """

    depth: Floats
    feature: Floats
    display: Floats
    receipts: Floats
    declared: bool
    left_out: int

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            values = getattr(self, name)
            if values.ndim != 2 or values.shape != self.depth.shape:
                raise DataError(
                    f"Plans.{name} has shape {values.shape}, not that of depth {self.depth.shape}."
                )
            if not (np.isfinite(values) & (values >= low) & (values <= high)).all():
                raise DataError(f"Plans.{name} holds a number that is not between {low} and {high}.")

    def __len__(self) -> int:
        """Return N, the number of series."""
        return int(self.depth.shape[1])

    @staticmethod
    def none(series: int, *, declared: bool = False, left_out: int = 0) -> Plans:
        """Return that nothing is planned for so many series."""
        nothing = np.zeros((0, series))
        return Plans(nothing, nothing, nothing, nothing, declared, left_out)

    @property
    def periods(self) -> int:
        """H, the number of periods for which something is planned."""
        return int(self.depth.shape[0])

    def conditions(self, horizon: int) -> tuple[Conditions, ...]:
        """Return the conditions of the coming `horizon` periods, arrays [N]; traffic is at its mean."""
        plain = Conditions.plain(len(self))
        known = range(min(horizon, self.periods))
        told = tuple(
            replace(plain, depth=self.depth[t], feature=self.feature[t], display=self.display[t])
            for t in known
        )
        return told + (plain,) * (horizon - len(told))

    def arriving(self, horizon: int) -> Floats:
        """Return units that arrive at the end of each of the coming `horizon` periods, float64 [T, N]."""
        units = np.zeros((horizon, len(self)))
        known = min(horizon, self.periods)
        units[:known] = self.receipts[:known]
        return units

    def promoted(self) -> Bools:
        """Return which series [N] are promoted or reduced in the first of the coming periods."""
        if not self.periods:
            return np.zeros(len(self), dtype=np.bool_)
        any_ = (self.depth[0] < 0.0) | (self.feature[0] > 0.0) | (self.display[0] > 0.0)
        return np.asarray(any_, dtype=np.bool_)

    def take(self, index: Ints) -> Plans:
        """Return the plans of the series at `index`."""
        picked: dict[str, Any] = {name: getattr(self, name)[:, index] for name, _, _ in _RANGES}
        return Plans(**picked, declared=self.declared, left_out=self.left_out)

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same plans give the same bytes."""
        arrays = {name: getattr(self, name) for name, _, _ in _RANGES}
        return pack(_KIND, _VERSION, arrays, {"declared": self.declared, "left_out": self.left_out})

    @staticmethod
    def from_bytes(content: bytes) -> Plans:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        if set(arrays) | set(meta) != {entry.name for entry in fields(Plans)}:
            raise ArtifactError(
                "This plans archive does not hold plans.", todo="Fit again with `tarifa fit`."
            )
        try:
            return Plans(**arrays, declared=bool(meta["declared"]), left_out=int(meta["left_out"]))
        except DataError as error:
            raise ArtifactError(
                "This plans archive is inconsistent.", why=error.what, todo="Fit again with `tarifa fit`."
            ) from error


_RANGES = (
    ("depth", -np.inf, 0.0),
    ("feature", 0.0, 1.0),
    ("display", 0.0, 1.0),
    ("receipts", 0.0, np.inf),
)
