"""The panel: what a fit sees of a shop, and nothing more.

One series is one price group in one zone. One period is one week (or one day) of the shop's local
calendar, half-open. Orders never pass this point; they are aggregated where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from pricing.archive import pack, unpack
from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.errors import ArtifactError

__all__ = ["PANEL_FILE", "SILENCE_DAYS", "Panel", "Series", "rebuild"]

PANEL_FILE = "panel.npz"
"""The file of a run folder that holds its panel."""


SILENCE_DAYS = 56
"""After eight weeks without a sale a series counts as having left the assortment, unless it was silent for
longer before; what nobody bought in its first eight weeks with a price is a listing, and no newcomer."""

_KIND, _VERSION = "panel", 2

_Noun = TypeVar("_Noun")


@dataclass(frozen=True, slots=True)
class Series:
    """Who the rows of a panel are. All tuples and arrays have length N, in ascending (group, zone) order.

    Attributes
    ----------
    group, zone
        Price group and zone identifiers.
    category, subcategory, brand
        Labels used for pooling; an absent label is the empty string.
    """

    group: tuple[str, ...]
    zone: tuple[str, ...]
    category: tuple[str, ...]
    subcategory: tuple[str, ...]
    brand: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.group)

    def take(self, index: Ints) -> Series:
        """Return the series at `index` (any order, int64 of any length)."""
        picked = [int(i) for i in index]
        return Series(*(tuple(getattr(self, f.name)[i] for i in picked) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Panel:
    """Units and prices by series and period, as observed.

    Attributes
    ----------
    series
        N series.
    periods
        datetime64[D] [T]; first day of each period, ascending without gaps.
    days
        int64 [T]; days of the period that the data cover (a first or last week may be partial).
    units
        float64 [N, T]; units sold of retail merchandise, 0 where nothing sold.
    on_sale
        bool [N, T]; the product was in the assortment (between launch and exit, or first and last
        sale where those are unknown). Where False, units are meaningless and never fitted.
    offered, regular
        float64 [N, T]; gross shelf and regular unit price in minor units (units-weighted mean, so
        possibly a fraction); NaN where no price was recorded. See :func:`simulators.contract.panel.carried`.
    feature, display
        float64 [N, T]; share (0-1) of the zone's sales that the promotion covered, 0 where none.
    in_stock
        float64 [N, T]; share of the group's units in stock; 1 where no inventory table exists.
    traffic
        float64 [T]; shop visits (or orders where no traffic table exists) of the whole shop.
    currency
        ISO 4217 code of the prices.
    traffic_is_orders
        No traffic table exists: `traffic` counts orders, which a price moves along with its own product.
    cost
        float64 [N, T]; net unit cost in force as the period begins, minor units; NaN where none is known.
        None without a costs table.
    instruments, instrument_names
        float64 [N, T, J] and J names; what the shop says moves prices and not demand, NaN before the first
        value. None and no names without such a table.
    tested
        bool [N, T]; the price of most of the period was drawn at random by a price test. None without one.
    short
        bool [N, T]; it ran out in the period, at a time that no count tells: demand was `units` or more. None
        without an inventory table.
    """

    series: Series
    periods: Dates
    days: Ints
    units: Floats
    on_sale: Bools
    offered: Floats
    regular: Floats
    feature: Floats
    display: Floats
    in_stock: Floats
    traffic: Floats
    currency: str
    traffic_is_orders: bool = False
    cost: Floats | None = None
    instruments: Floats | None = None
    instrument_names: tuple[str, ...] = ()
    tested: Bools | None = None
    short: Bools | None = None

    def take(self, index: Ints) -> Panel:
        """Return the panel of the series at `index`."""
        return replace(
            self,
            series=self.series.take(index),
            **{name: array[index] for name, array in self._by_series()},
        )

    def between(self, start: int, stop: int) -> Panel:
        """Return the periods ``start <= t < stop``."""
        return replace(
            self,
            **{name: getattr(self, name)[start:stop] for name in ("periods", "days", "traffic")},
            **{name: array[:, start:stop] for name, array in self._by_series()},
        )

    def _by_series(self) -> list[tuple[str, Any]]:
        arrays = [(name, getattr(self, name)) for name in _BY_SERIES]
        return [(name, array) for name, array in arrays if array is not None]

    def position(self, day: np.datetime64) -> int:
        """Return the number of periods that start before `day` (a half-open boundary)."""
        return int(np.searchsorted(self.periods, day, side="left"))

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same panel gives the same bytes."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*_FACTS, "series")}
        series = {f.name: list(getattr(self.series, f.name)) for f in fields(Series)}
        facts = {
            "currency": self.currency,
            "traffic_is_orders": self.traffic_is_orders,
            "instrument_names": list(self.instrument_names),
        }
        arrays = {name: array for name, array in found.items() if array is not None}
        return pack(_KIND, _VERSION, arrays, {"series": series, **facts})

    @staticmethod
    def from_bytes(content: bytes) -> Panel:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        facts = {
            "series": meta["series"],
            "currency": str(meta["currency"]),
            "traffic_is_orders": bool(meta.get("traffic_is_orders", False)),
            "instrument_names": tuple(meta.get("instrument_names", ())),
        }
        return rebuild(Panel, _KIND, arrays, facts)


_FACTS = ("currency", "traffic_is_orders", "instrument_names")
"""What a panel holds beside its series and arrays."""

_BY_SERIES = (
    "units",
    "on_sale",
    "offered",
    "regular",
    "feature",
    "display",
    "in_stock",
    "cost",
    "instruments",
    "tested",
    "short",
)


def rebuild(
    noun: Callable[..., _Noun], kind: str, arrays: Mapping[str, Any], meta: Mapping[str, Any]
) -> _Noun:
    """Return a noun of N series from the arrays and facts that its archive holds.

    Raises
    ------
    ArtifactError
        If the archive lacks a field, or has one that the noun does not know.
    """
    try:
        named = {name: tuple(values) for name, values in meta["series"].items()}
        return noun(**{**arrays, **meta, "series": Series(**named)})
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"This {kind} archive does not hold what a {kind} is made of.",
            why=f"{type(error).__name__}: {error}.",
            todo="Make it again with the command that wrote it.",
        ) from error
