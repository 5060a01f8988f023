"""Candidates: a sorted ladder of at most K sellable prices for every series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.errors import SettingsError
from pricing.variants import Variants

_Value = TypeVar("_Value", bound=np.generic)

__all__ = [
    "Endings",
    "Menu",
    "at_rung",
    "candidates",
    "first_rung",
    "last_rung",
    "nearest_allowed",
    "rungs_first",
]


@dataclass(frozen=True, slots=True)
class Endings:
    """Price endings that the shop sells at.

    Attributes
    ----------
    last
        Allowed remainders in minor units, ascending; empty allows every price.
    modulus
        What the remainders refer to: 100 with ``(49, 99)`` gives x.49 and x.99; 10 with ``(5, 9)``
        gives every price that ends in 5 or 9.
    """

    last: tuple[int, ...] = ()
    modulus: int = 100

    def __post_init__(self) -> None:
        if self.modulus <= 0 or any(not 0 <= r < self.modulus for r in self.last):
            raise SettingsError(
                f"Price endings {self.last} do not fit modulus {self.modulus}.",
                todo="Give remainders from 0 to modulus - 1.",
            )
        if tuple(sorted(set(self.last))) != self.last:
            raise SettingsError(f"Price endings {self.last} must be ascending and distinct.")

    def sellable(self, price: Ints) -> Bools:
        """Return whether each price [...] has an allowed ending."""
        if not self.last:
            return np.ones(price.shape, dtype=np.bool_)
        return np.isin(price % self.modulus, np.array(self.last, dtype=np.int64))

    def nearest(self, price: Floats) -> Ints:
        """Return the sellable price nearest to each `price` [...] (the lower one of two equally near)."""
        if not self.last:
            return np.maximum(np.ceil(price - 0.5), 1).astype(np.int64)
        base = np.floor(price / self.modulus).astype(np.int64)[..., None] * self.modulus
        ends = np.array(self.last, dtype=np.int64)
        around = np.concatenate(
            [base - self.modulus + ends[-1:], base + ends, base + self.modulus + ends[:1]], -1
        )
        distance = np.where(around > 0, np.abs(around - price[..., None]), np.inf)
        return np.take_along_axis(around, np.argmin(distance, axis=-1)[..., None], axis=-1)[..., 0]


@dataclass(frozen=True, slots=True)
class Menu:
    """Ladders of candidate shelf prices.

    Attributes
    ----------
    price
        int64 [N, K]; ascending in each row; a row shorter than K repeats its last price.
    valid
        bool [N, K]; False on the repeats.
    log_price
        float64 [N, K].
    """

    price: Ints
    valid: Bools
    log_price: Floats

    @staticmethod
    def of(price: Ints, valid: Bools) -> Menu:
        """Build a menu from ladders [N, K]."""
        return Menu(price, valid, np.log(price.astype(np.float64)))

    def index_of(self, price: Ints) -> Ints:
        """Return the rung of each price [..., N] on its ladder, or -1 where it is not a rung."""
        same = np.equal(_beside(self.price, price.ndim), np.ascontiguousarray(price.T))
        return first_rung(same & _beside(self.valid, price.ndim))

    def price_at(self, index: Ints) -> Ints:
        """Return the price of rung `index`, int64 [..., N], each from 0 to K - 1."""
        return self.price.take(index + self._starts())

    def log_price_at(self, index: Ints) -> Floats:
        """Return the log price of rung `index`, float64 [..., N], each from 0 to K - 1."""
        return self.log_price.take(index + self._starts())

    def _starts(self) -> Ints:
        return np.arange(0, self.price.size, self.price.shape[-1], dtype=np.int64)


def candidates(
    catalogue: Catalogue, endings: Endings, size: int, reach: float, held: Ints | None = None
) -> Menu:
    """Lay a ladder for every series: sellable prices, evenly spaced in log price.

    It reaches from `reach` below to `reach` above the price in force and over everything ever seen, on
    purpose further than the guardrails allow: what a rule costs is only visible beyond it. The price in
    force and a price fixed by law are always rungs, whatever their ending, and so is the price that a trial
    holds a series at. Series of one `variant_of` get one ladder.

    Parameters
    ----------
    catalogue
        N series.
    endings
        Sellable endings.
    size
        K, at least 3.
    reach
        Relative half-width, for instance 0.3.
    held
        int64 [N]; prices that a trial holds series at, 0 for none; None for no trial.
    """
    if size < 3:
        raise SettingsError(
            f"A ladder of {size} prices leaves no choice.", todo="Set ladder_size to 3 or more."
        )
    low = np.minimum(catalogue.support_low, catalogue.price * (1.0 - reach))
    high = np.maximum(catalogue.support_high, catalogue.price * (1.0 + reach))
    low, high = _shared(np.maximum(low, 1.0), high, catalogue.variants)
    rungs = np.empty((len(catalogue), size), dtype=np.int64)
    for rows, forced in _forced(catalogue, held):
        free = size - forced.shape[1]
        if free < 2:
            raise SettingsError(
                f"ladder_size = {size} is too small for {catalogue.series.group[int(rows[0])]}: "
                f"{forced.shape[1]} prices in force or set by law must be on its ladder, and two more.",
                todo="Raise ladder_size or bring the variants to one price first.",
            )
        steps = np.linspace(0.0, 1.0, free)
        spread = np.exp(np.log(low[rows, None]) * (1.0 - steps) + np.log(high[rows, None]) * steps)
        rungs[rows] = np.concatenate([endings.nearest(spread), forced], axis=1)
    return _sorted_distinct(rungs)


def nearest_allowed(menu: Menu, allowed: Bools, target: Floats) -> Ints:
    """Return the allowed rung nearest to a log price; the map from a latent action to a ladder price.

    Ladders ascend, so it is the first allowed rung at or above the target or the last one below; the lower
    of two equally near.

    Parameters
    ----------
    menu
        N ladders of K.
    allowed
        bool [..., N, K]; rows without any allowed rung give -1.
    target
        float64 [..., N]; log shelf price wanted; inf asks for the highest allowed rung. NaN gives -1.
    """
    reached = np.minimum(np.maximum(target, menu.log_price[:, 0]), menu.log_price[:, -1])
    ladder, open_ = _beside(menu.log_price, target.ndim), rungs_first(allowed)
    above = np.greater_equal(ladder, np.ascontiguousarray(reached.T)) & open_
    up, down = first_rung(above), last_rung(open_ & ~above)
    rise = np.where(up < 0, np.inf, menu.log_price_at(np.maximum(up, 0)) - reached)
    fall = np.where(down < 0, np.inf, reached - menu.log_price_at(np.maximum(down, 0)))
    return np.where(np.isfinite(np.minimum(rise, fall)), np.where(fall <= rise, down, up), -1)


def rungs_first(values: NDArray[_Value]) -> NDArray[_Value]:
    """Return values [B, N, K] as [K, N, B], written out in that order.

    Ladders are short and batches long: NumPy searches K arrays of N B entries several times faster than B N
    rows of K entries.
    """
    return np.ascontiguousarray(values.T)


def first_rung(flags: Bools) -> Ints:
    """Return the first rung whose flag is set, flags [K, N, B] giving int64 [B, N]; -1 where none is."""
    found = _highest(flags, np.arange(len(flags), 0, -1))
    return np.where(found > 0, len(flags) - found, -1)


def last_rung(flags: Bools) -> Ints:
    """Return the last rung whose flag is set, flags [K, N, B] giving int64 [B, N]; -1 where none is."""
    return _highest(flags, np.arange(1, len(flags) + 1)) - 1


def _highest(flags: Bools, weights: Ints) -> Ints:
    """Return the highest weight [K], all positive, whose flag [K, N, B] is set, [B, N]; 0 where none is."""
    small = weights.astype(np.min_scalar_type(len(flags))).reshape(-1, *(1,) * (flags.ndim - 1))
    return np.ascontiguousarray((flags * small).max(axis=0).T, dtype=np.int64)


def _beside(ladder: NDArray[_Value], dimensions: int) -> NDArray[_Value]:
    """Return ladders [N, K] as [K, N, 1], to be compared with values of so many dimensions, rungs first."""
    return np.ascontiguousarray(ladder.T).reshape(*ladder.T.shape, *(1,) * (dimensions - 1))


def at_rung(values: NDArray[_Value], index: Ints) -> NDArray[_Value]:
    """Return the entry of each row: values [..., K] at rung `index` [...] (0 to K - 1) give [...].

    :func:`numpy.take_along_axis` says the same five times more slowly, and every step of a simulation asks
    it several times.
    """
    starts: Ints = np.arange(0, values.size, values.shape[-1], dtype=np.int64).reshape(index.shape)
    picked: NDArray[_Value] = values.reshape(-1).take(starts + index)
    return picked


def _shared(low: Floats, high: Floats, variants: Variants) -> tuple[Floats, Floats]:
    if variants.alone:
        return low, high
    order, starts, group = variants.order, variants.starts, variants.group
    return np.minimum.reduceat(low[order], starts)[group], np.maximum.reduceat(high[order], starts)[group]


def _forced(catalogue: Catalogue, held: Ints | None) -> list[tuple[Ints, Ints]]:
    """Return rungs that ladders must hold: prices in force, fixed by law or held by a trial, of all variants.

    Each pair is the series with M such prices, int64 [n], and those prices, int64 [n, M]. Nothing but its
    own variants shapes a ladder, so that a series has the same one in every selection of the catalogue.
    """
    kept = catalogue.price if held is None else np.where(held > 0, held, catalogue.price)
    own = np.where(catalogue.fixed_price > 0, catalogue.fixed_price, kept)
    pair = np.sort(np.stack([catalogue.price, own], axis=1), axis=1)
    variants = catalogue.variants
    several = np.flatnonzero((variants.size > 1) | (pair[:, 0] != pair[:, 1]))
    simple = np.flatnonzero((variants.size == 1) & (pair[:, 0] == pair[:, 1]))
    together: dict[int, set[int]] = {}
    for row in several:
        together.setdefault(int(variants.group[row]), set()).update(int(p) for p in pair[row])
    by_count: dict[int, list[int]] = {}
    for row in several:
        by_count.setdefault(len(together[int(variants.group[row])]), []).append(int(row))
    forced = [(simple, pair[simple, :1])] if simple.size else []
    for _, rows in sorted(by_count.items()):
        prices = [sorted(together[int(variants.group[row])]) for row in rows]
        forced.append((np.array(rows, dtype=np.int64), np.array(prices, dtype=np.int64)))
    return forced


def _sorted_distinct(rungs: Ints) -> Menu:
    ordered: Ints = np.sort(rungs, axis=1)
    fresh: Bools = np.ones(ordered.shape, dtype=np.bool_)
    fresh[:, 1:] = np.diff(ordered, axis=1) != 0
    order = np.argsort(~fresh, axis=1, kind="stable")
    compact = np.take_along_axis(ordered, order, axis=1)
    count = np.asarray(fresh.sum(axis=1), dtype=np.int64)
    places: Ints = np.arange(rungs.shape[-1], dtype=np.int64)
    valid: Bools = np.less(places, count[:, None])
    last = np.take_along_axis(compact, (count - 1)[:, None], axis=1)
    price = np.where(valid, compact, last)
    assert price.max(initial=0) < NO_LIMIT  # noqa: S101 - an overflow here would be ours
    return Menu.of(price, valid)
