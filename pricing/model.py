"""The demand model as a noun: a posterior over every series, kept as mean and factor, drawn on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.archive import pack, unpack
from pricing.arrays import Codes, Floats, Ints
from pricing.calendar import cycle_waves, middle_days
from pricing.errors import UnknownProduct
from pricing.panel import Series, rebuild
from pricing.randomness import label_hash, normals
from pricing.response import BENDS, ResponseForms, arc_of_bends
from pricing.rivals import Rivals

__all__ = [
    "BEND_COLUMNS", "COEFFICIENTS", "DISCOUNT", "REGULAR", "DemandModel", "deal_signal", "pull_of_bends",
    "regular_arc",
]  # fmt: skip

COEFFICIENTS = (
    "level", "regular", "depth", "feature", "display", "lag", "traffic", "deal", "featured_depth", "rivals",
    "curve", "threshold",
)  # fmt: skip
"""Order of the C axis. Expected units of a period are

    log mu = level + regular * log(R / R0) + depth * log(O / R) + feature * F + display * S
           + lag * log(O_prev / R0) + traffic * V + deal * D + featured_depth * F * log(O / R)
           + rivals * P + curve * B + threshold * H

with R the regular and O the offered (shelf) price, both gross; R0 the series' reference price; F and S
promotion shares; O_prev the shelf price of the period before; V the log of shop traffic over its
training mean; D = 1 - (O / R) ** 50 the signal that there is a discount at all, nearly 1 from 5 % on (Inman,
McAlister and Hoyer, Journal of Consumer Research 1990); P the rival price, mean log(O / R0) of the
substitutes (:class:`pricing.rivals.Rivals`); B and H the bends of the response to the regular price
(:func:`pricing.response.bends`). `regular` is the elasticity at the reference price; over a range of prices
the elasticity is :data:`REGULAR`. A discount works through `depth`, `deal` and `featured_depth` together
(:data:`DISCOUNT`); `rivals` is a cross-price elasticity, positive between substitutes.
"""

DEAL_POWER = 50.0
"""How fast the signal of a discount rises with its depth, D = 1 - exp(50 log(O / R)). With 25 and with 100
the held-out weeks of a year of grocery sales were predicted as well."""

_KIND, _VERSION = "demand-model", 3
_THURSDAY = 3
"""Weekday of 1970-01-01, Monday being 0."""


def deal_signal(depth: Floats) -> Floats:
    """Return D of :data:`COEFFICIENTS`, 0 to 1, for log(O / R) of any shape."""
    return np.asarray(-np.expm1(DEAL_POWER * depth))


def _discount() -> Floats:
    depth = np.log(0.8)
    out = np.zeros(len(COEFFICIENTS))
    out[COEFFICIENTS.index("depth")] = 1.0
    out[COEFFICIENTS.index("deal")] = float(deal_signal(np.array(depth))) / depth
    return out


DISCOUNT = _discount()
"""float64 [C]; combination of coefficients that is the arc elasticity to a discount of 20 % that is not
featured: log units gained over log price, as ``coefficients @ DISCOUNT``."""


def regular_arc(x: Floats) -> Floats:
    """Return the combination of coefficients that is the arc elasticity to the regular price, [..., C].

    Parameters
    ----------
    x
        float64 [...]; log(R / R0). The arc goes from 10 % below to 10 % above that price.
    """
    out = np.zeros((*x.shape, len(COEFFICIENTS)))
    out[..., COEFFICIENTS.index("regular")] = 1.0
    for name, slope in zip(BENDS, arc_of_bends(x), strict=True):
        out[..., COEFFICIENTS.index(name)] = slope
    return out


REGULAR = regular_arc(np.zeros(()))
"""float64 [C]; the same at the reference price: ``coefficients @ REGULAR`` is the arc elasticity."""

BEND_COLUMNS = [COEFFICIENTS.index(name) for name in BENDS]
"""Where the bends of the response to the regular price are in :data:`COEFFICIENTS`."""


def pull_of_bends(covariance: Floats) -> Floats:
    """Return how far each coefficient of a normal posterior follows when its bends are moved by 1.

    Parameters
    ----------
    covariance
        float64 [N, C, C].

    Returns
    -------
    float64 [N, C, 2]; ``cov(b, bends) var(bends)^-1``.
    """
    beside = covariance[:, :, BEND_COLUMNS]
    solved = np.linalg.solve(beside[:, BEND_COLUMNS], np.swapaxes(beside, 1, 2))
    return np.asarray(np.swapaxes(solved, 1, 2), dtype=np.float64)


def _cosines(size: int) -> Floats:
    """Return the orthogonal matrix [size, size] of the discrete cosine transform, a wave in each column."""
    place: Floats = np.arange(size, dtype=np.float64)[:, None]
    wave: Floats = np.arange(size, dtype=np.float64)
    matrix: Floats = np.sqrt(2.0 / size) * np.cos(np.pi * (place + 0.5) * wave / size)
    matrix[:, 0] /= np.sqrt(2.0)
    return matrix


_ROTATION = _cosines(len(COEFFICIENTS))


@dataclass(frozen=True, slots=True)
class DemandModel:
    """Negative-binomial demand for N series with normal (Laplace) posteriors of C coefficients.

    Attributes
    ----------
    series
        Who the N rows are.
    mean
        float64 [N, C]; posterior mean in the order of :data:`COEFFICIENTS`.
    factor
        float64 [N, C, C]; lower Cholesky factor of the posterior covariance.
    dispersion
        float64 [N]; size r of the negative binomial: variance = mu + mu**2 / r.
    absence
        float64 [N]; chance that a period sells nothing for a reason that no table tells, such as an empty
        shelf. The coefficients are of expected units with it in; given presence they are 1 / (1 - absence)
        times as many.
    reference_price
        float64 [N]; R0, gross minor units.
    support_low, support_high
        int64 [N]; lowest and highest *regular* price seen in training, gross minor units.
    depth_low
        float64 [N]; deepest log(offered / regular) seen in training (<= 0).
    identified_by
        int8 [N, 2]; :class:`pricing.evidence.Identification` for each :class:`pricing.evidence.PriceKind`.
    category
        int64 [N]; index into `category_shock_sd`.
    rival_group
        int64 [N]; equal where series are rivals, -1 without any; see :class:`pricing.rivals.Rivals`.
    rival_weight, rival_outside_weight
        float64 [N]; units a period in training, and the sum of those of rivals that are not among the N.
    category_shock_sd
        float64 [G]; sd of the log shock that a category shares in a period.
    period_shock_sd
        float; sd of the log shock that the whole shop shares in a period.
    category_names
        G names, in the order of `category`.
    prior_mean, prior_covariance
        float64 [G + 1, C], [G + 1, C, C]; what a series without history has of each category and, last, of
        the shop: the population around the category's mean, and around the shop's where that is unknown. Of
        expected units at mean traffic, shared shocks and absence to come with them, as `mean` is.
    prior_log_size, prior_log_size_sd
        float; mean and sd over series of the log of `dispersion`.
    prior_absence
        float; chance of absence over the shop.
    period_days
        int; 7 for weeks, 1 for days.
    until
        str; ISO date, first day that the fit did not see.
    fingerprint
        str; of the data that it was fitted on.
    seed
        int; draws follow from it.
    weekday
        float64 [G, 7]; expected log traffic of a category by weekday, Monday first, over that of a mean day;
        NaN on a weekday on which the shop never sold. None where periods are weeks.
    cycle_days, cycle
        float64 [J], [G, 2 J]; days of the calendar's cycles, and coefficients of their waves
        (:func:`pricing.calendar.cycle_waves`) in the log units of a category. None without any.
    form_weight, form_mean, form_covariance
        Of :class:`pricing.response.ResponseForms`, whose mixture the bends of `mean` and `factor` are the
        moments of. None where the bends are each series' own.
    log_size_sd
        float64 [N]; posterior sd of the log of `dispersion`. None where it is taken as known, and so below.
    absence_weight
        float64 [N]; periods of evidence that `absence` rests on: its posterior is a beta distribution of that
        mean whose two parameters add up to as many.
    shock_freedom
        float64 [1 + G]; degrees of freedom from which the variances of the shocks, the shop's first, are
        known: a variance v, estimated as s, has ``n s / v`` chi-square with n of them.
    shock_lasting, shock_survival
        float64 [1 + G], [1 + G]; share of the variance of the shocks, the shop's first, that lasts, and the
        correlation of that part with the next period's. None where each period has its own.
    confounding
        float64 [N]; how far the regular-price elasticity may be off if prices followed unobserved demand, at
        the strongest that sensitivity intervals allow for; 0 where an experiment or instrument excludes it.
    """

    series: Series
    mean: Floats
    factor: Floats
    dispersion: Floats
    absence: Floats
    reference_price: Floats
    support_low: Ints
    support_high: Ints
    depth_low: Floats
    identified_by: Codes
    category: Ints
    rival_group: Ints
    rival_weight: Floats
    rival_outside_weight: Floats
    category_shock_sd: Floats
    period_shock_sd: float
    category_names: tuple[str, ...]
    prior_mean: Floats
    prior_covariance: Floats
    prior_log_size: float
    prior_log_size_sd: float
    prior_absence: float
    period_days: int
    until: str
    fingerprint: str
    seed: int
    weekday: Floats | None = None
    cycle_days: Floats | None = None
    cycle: Floats | None = None
    form_weight: Floats | None = None
    form_mean: Floats | None = None
    form_covariance: Floats | None = None
    log_size_sd: Floats | None = None
    absence_weight: Floats | None = None
    shock_freedom: Floats | None = None
    shock_lasting: Floats | None = None
    shock_survival: Floats | None = None
    confounding: Floats | None = None

    def traffic_on(self, rows: Ints, day: Ints) -> Floats:
        """Return expected log traffic over its training mean, float64, broadcast; 0 where periods are weeks.

        Parameters
        ----------
        rows, day
            int64, broadcast against each other; rows of the model, and days since 1970-01-01. NaN comes of a
            weekday on which the shop never sold.
        """
        if self.weekday is None:
            return np.zeros(np.broadcast_shapes(rows.shape, day.shape))
        out: Floats = self.weekday[self.category[rows], (day + _THURSDAY) % 7]
        return out

    def season_on(self, rows: Ints, day: Ints) -> Floats:
        """Return the effect of month and year on log units; arguments as :meth:`traffic_on`."""
        if self.cycle is None or self.cycle_days is None:
            return np.zeros(np.broadcast_shapes(rows.shape, day.shape))
        waves = cycle_waves(middle_days(day, self.period_days), self.cycle_days)
        return np.asarray(np.einsum("...s,...s->...", self.cycle[self.category[rows]], waves))

    def draws(self, count: int, *, first: int = 0) -> Floats:
        """Return posterior draws ``first .. first + count`` as float64 [D, N, C].

        Draw d of a series is the same whatever else is asked for: other draws, other series, another
        order. Held-out worlds are just other numbers.
        """
        names = zip(self.series.group, self.series.zone, strict=True)
        keys = np.array([label_hash(group, zone) for group, zone in names], dtype=np.uint64)
        numbers = np.arange(first, first + count, dtype=np.int64)
        z = normals(keys, numbers, len(COEFFICIENTS), self.seed)
        drawn: Floats = self.mean + np.einsum("nij,dnj->dni", self.factor, z)
        forms = self.forms
        return drawn if forms is None else self._shared(drawn, forms.draws(numbers, self.seed))

    @property
    def forms(self) -> ResponseForms | None:
        """Which forms the response to the regular price may have; None where bends are each series' own."""
        if self.form_weight is None or self.form_mean is None or self.form_covariance is None:
            return None
        return ResponseForms(self.form_weight, self.form_mean, self.form_covariance)

    def _shared(self, drawn: Floats, bends: Floats) -> Floats:
        """Let all series of a draw have its bends [D, 2], and their other coefficients follow, [D, N, C].

        Conditioning by kriging (Journel and Huijbregts 1978; Matheron's rule): a normal draw b becomes one
        given its bends s by adding ``cov(b, bends) var(bends)^-1 (s - bends of b)``.
        """
        pull = pull_of_bends(self.factor @ np.swapaxes(self.factor, 1, 2))
        missing = bends[:, None, :] - drawn[..., BEND_COLUMNS]
        # Term by term: the bits of a draw follow from it alone, whatever others are made beside it.
        out = drawn
        for k in range(len(BENDS)):
            out = out + pull[:, :, k] * missing[:, :, k, None]
        out[..., BEND_COLUMNS] = bends[:, None, :]
        return out

    def sigma_points(self) -> Floats:
        """Return 2 C equally likely coefficient vectors that stand for the posterior, float64 [2 C, N, C].

        Their mean and covariance are exactly the posterior's, so the mean over them of any polynomial of
        degree 3 is its posterior expectation (cubature: McNamee and Stenger, Numerische Mathematik 1967;
        Julier and Uhlmann, Proceedings of the IEEE 2004). The axes are rotated, so that every coefficient
        takes many values: profit has a kink where stock runs out, and two values would miss it.
        """
        away = np.sqrt(len(COEFFICIENTS)) * np.moveaxis(self.factor @ _ROTATION, -1, 0)
        points = np.concatenate([self.mean + away, self.mean - away])
        forms = self.forms
        if forms is not None:
            held = [k for k, bent in zip(BEND_COLUMNS, forms.bent, strict=True) if not bent]
            points[..., held] = self.mean[:, held]
        return points

    def borrowed(self, categories: Sequence[str]) -> tuple[Floats, Floats]:
        """Return mean [K, C] and covariance [K, C, C] of K series without history.

        One of a category that the model knows borrows from that category; any other from the shop.
        """
        place = {name: g for g, name in enumerate(self.category_names)}
        row = np.array([place.get(name, len(place)) for name in categories], dtype=np.int64)
        return self.prior_mean[row], self.prior_covariance[row]

    def rows(self, series: Series) -> Ints:
        """Return the rows of this model that belong to `series`, int64 [len(series)].

        Raises
        ------
        UnknownProduct
            If one of them was not fitted.
        """
        place = {pair: i for i, pair in enumerate(zip(self.series.group, self.series.zone, strict=True))}
        pairs = list(zip(series.group, series.zone, strict=True))
        missing = [pair for pair in pairs if pair not in place]
        if missing:
            raise UnknownProduct(
                f"{len(missing)} series were not fitted; the first is {missing[0][0]} in {missing[0][1]}.",
                todo="Fit again with data that hold their sales, or leave them out.",
            )
        return np.array([place[pair] for pair in pairs], dtype=np.int64)

    def take(self, index: Ints) -> DemandModel:
        """Return the model of the series at `index`; population facts stay."""
        by_series = (
            "mean factor dispersion absence reference_price support_low support_high depth_low identified_by "
            "category"
        )
        picked: dict[str, Any] = {name: getattr(self, name)[index] for name in by_series.split()}
        for name in ("log_size_sd", "absence_weight", "confounding"):
            told = getattr(self, name)
            picked[name] = None if told is None else told[index]
        rivals = self.rivals.take(index)
        return replace(
            self,
            series=self.series.take(index),
            rival_group=rivals.group,
            rival_weight=rivals.weight,
            rival_outside_weight=rivals.outside_weight,
            **picked,
        )

    @property
    def rivals(self) -> Rivals:
        """Who stands in for whom; series that this model has lost to :meth:`take` are at reference prices."""
        nothing = np.zeros(len(self.series))
        return Rivals(self.rival_group, self.rival_weight, nothing, nothing, self.rival_outside_weight)

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same model gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {}
        meta: dict[str, object] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                arrays[field.name] = value
            elif isinstance(value, Series):
                meta[field.name] = {f.name: list(getattr(value, f.name)) for f in fields(value)}
            elif value is not None:
                meta[field.name] = value
        return pack(_KIND, _VERSION, arrays, meta)

    @staticmethod
    def from_bytes(content: bytes) -> DemandModel:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        found: DemandModel = rebuild(DemandModel, _KIND, arrays, meta)
        return replace(found, category_names=tuple(map(str, found.category_names)))
