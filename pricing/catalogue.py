"""The catalogue: what is known of every series at the moment of a decision, apart from its demand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.archive import pack, unpack
from pricing.arrays import Bools, Codes, Floats, Ints, Words
from pricing.errors import DataError
from pricing.panel import Series, rebuild
from pricing.randomness import label_hash
from pricing.variants import Variants

__all__ = ["NO_LIMIT", "Catalogue"]

NO_LIMIT = np.int64(2**62)
"""Stands for "no upper limit" where a price is an int64."""

_KIND, _VERSION = "catalogue", 1


@dataclass(frozen=True)
class Catalogue:
    """N series with their prices, costs and limits. Prices are *shelf* prices: as the shop displays them.

    Whether a shelf price holds tax is said by `basis`; `net_share` and `gross_share` turn it into what
    the shop keeps and what the customer pays, so nothing else needs to know the tax.

    Attributes
    ----------
    series
        Who the N rows are.
    currency, exponent
        ISO 4217 code and number of decimals of its minor unit.
    basis
        "gross" or "net": what shelf prices are.
    as_of
        ISO date; nothing known only later is in here.
    price
        int64 [N]; regular shelf price in force, minor units.
    unit_cost
        int64 [N]; net cost of a unit, minor units.
    cost_assumed
        bool [N]; the cost is an assumption of the shop file, not a record.
    net_share, gross_share
        float64 [N]; net price and gross price as a multiple of the shelf price.
    fee_share
        float64 [N]; fees as a share of the gross price.
    fee_unit
        int64 [N]; fees a unit, minor units.
    return_rate
        float64 [N]; expected share of units that come back.
    support_low, support_high
        int64 [N]; range of regular shelf prices that the demand model has seen. The price in force may lie
        outside: keeping it needs no evidence.
    floor_price, ceiling_price
        int64 [N]; the shop's own bounds (0 and :data:`NO_LIMIT` where none).
    map_price, max_price
        int64 [N]; minimum advertised price and legal or maker's maximum (0 and :data:`NO_LIMIT`).
    fixed_price
        int64 [N]; price set by law (books, tobacco), 0 where none.
    variant_of
        int64 [N]; the same number for series that must carry one price; a series alone has its own.
    periods_since_change
        int64 [N]; whole periods since the regular price last moved.
    identified_by
        int8 [N]; :class:`pricing.evidence.Identification` of the regular-price response.
    stock
        float64 [N]; units on hand, inf where stock is not tracked.
    recent
        int64 [N, L]; shelf prices offered in the periods that cover the last 30 days, newest first
        (L = 5 for weeks, 30 for days).
    """

    series: Series
    currency: str
    exponent: int
    basis: str
    as_of: str
    price: Ints
    unit_cost: Ints
    cost_assumed: Bools
    net_share: Floats
    gross_share: Floats
    fee_share: Floats
    fee_unit: Ints
    return_rate: Floats
    support_low: Ints
    support_high: Ints
    floor_price: Ints
    ceiling_price: Ints
    map_price: Ints
    max_price: Ints
    fixed_price: Ints
    variant_of: Ints
    periods_since_change: Ints
    identified_by: Codes
    stock: Floats
    recent: Ints

    def __post_init__(self) -> None:
        count = len(self.series)
        for name in self.arrays():
            rows = len(getattr(self, name))
            if rows != count:
                raise DataError(f"Catalogue.{name} has {rows} rows for {count} series.")
        for name, fine, rule in _ranges(self):
            bad = np.flatnonzero(~fine)
            if bad.size:
                row = int(bad[0])
                raise DataError(
                    f"{self.series.group[row]} has {name} = {getattr(self, name)[row]} in the catalogue.",
                    why=f"It must be {rule}: guardrails cannot compare with anything else.",
                    todo="Correct it in the tables or settings that it comes from.",
                )

    def __len__(self) -> int:
        return len(self.series)

    @cached_property
    def keys(self) -> Words:
        """uint64 [N]; hash of group and zone, the series' part of a decision id."""
        pairs = zip(self.series.group, self.series.zone, strict=True)
        return np.array([label_hash(group, zone) for group, zone in pairs], dtype=np.uint64)

    @cached_property
    def log_price(self) -> Floats:
        """float64 [N]; log regular shelf price in force."""
        return np.log(self.price.astype(np.float64))

    @cached_property
    def variants(self) -> Variants:
        """The groups of series that must carry one price."""
        return Variants.of(self.variant_of)

    def unit_profit(self, price: Floats) -> Floats:
        """Return net profit of one unit sold at shelf price `price` [..., N], in minor units.

        Net price minus net unit cost minus fees, on what does not come back; float64 [..., N].
        """
        kept = self.net_share - self.fee_share * self.gross_share
        margin: Floats = (1.0 - self.return_rate) * (price * kept - (self.unit_cost + self.fee_unit))
        return margin

    def take(self, index: Ints) -> Catalogue:
        """Return the catalogue of the series at `index`."""
        arrays: dict[str, Any] = {name: getattr(self, name)[index] for name in self.arrays()}
        return replace(self, series=self.series.take(index), **arrays)

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same catalogue gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in self.arrays()}
        meta: dict[str, object] = {n: getattr(self, n) for n in ("currency", "exponent", "basis", "as_of")}
        meta["series"] = {f.name: list(getattr(self.series, f.name)) for f in fields(self.series)}
        return pack(_KIND, _VERSION, arrays, meta)

    @staticmethod
    def from_bytes(content: bytes) -> Catalogue:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        return rebuild(Catalogue, _KIND, *unpack(_KIND, _VERSION, content))

    def arrays(self) -> list[str]:
        """Return the names of the attributes that are arrays, in their order."""
        return [f.name for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray)]


def _ranges(c: Catalogue) -> tuple[tuple[str, Bools, str], ...]:
    """Return name, bool [N] and wording of what every number must satisfy; NaN satisfies nothing."""

    def within(values: NDArray[Any], low: float, high: float, *, open_low: bool = False) -> Bools:
        enough = np.greater(values, low) if open_low else np.greater_equal(values, low)
        return np.asarray(enough & np.less(values, high), dtype=np.bool_)

    with np.errstate(invalid="ignore"):
        kept = c.net_share - c.fee_share * c.gross_share
    lowest = np.asarray(c.recent.min(axis=1, initial=NO_LIMIT), dtype=np.int64)
    return (
        ("price", within(c.price, 0, float(NO_LIMIT), open_low=True), "positive"),
        ("net_share", within(c.net_share, 0.0, np.inf, open_low=True), "positive"),
        ("gross_share", within(c.gross_share, 0.0, np.inf, open_low=True), "positive"),
        ("fee_share", within(c.fee_share, 0.0, 1.0) & np.greater(kept, 0.0), "less than the net price"),
        ("return_rate", within(c.return_rate, 0.0, 1.0), "at least 0 and less than 1"),
        ("unit_cost", within(c.unit_cost, 0, float(NO_LIMIT)), "zero or more"),
        ("fee_unit", within(c.fee_unit, 0, float(NO_LIMIT)), "zero or more"),
        ("stock", np.greater_equal(c.stock, 0.0), "zero or more"),
        ("recent", np.greater(lowest, 0), "positive"),
    )
