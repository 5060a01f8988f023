"""What moved the regular price for reasons other than demand: price tests, and costs as an instrument.

A shop that sees demand rise may raise its price, and then price and demand move together whatever shoppers
answer. The part of the price that a test or the cost does not explain, v, may follow demand; it enters the
demand regression beside the price, and the price coefficient is left with what it does explain (the control
function; Petrin and Train, Journal of Marketing Research 2010; Wooldridge, Journal of Human Resources 2015).
How strongly shocks go with v is pooled over series like any other coefficient, so that the instrument speaks
for the shop's mean and each series' own movements for how it differs. The price of the period before is in
the demand regression too, and its own part that may follow demand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from pricing.arrays import Bools, Floats
from pricing.panel import Panel
from simulators.demand.absorption import planes, without_periods
from simulators.demand.design import known_prices, observed

__all__ = ["CONTROLS", "LEAST_STRENGTH", "Control", "FirstStage", "price_control"]

CONTROLS = ("price_control", "price_control_before")
"""Names of the columns of a control, after :data:`pricing.model.COEFFICIENTS`."""
LEAST_STRENGTH = 10.0
"""Least F statistic of an instrument (Staiger and Stock, Econometrica 1997); a weaker one is refused."""
_REACH = 4
"""Periods around its own whose instruments may tell a price: two of delivery and two of repricing, and as
many ahead. In two zones whose prices chase local demand (tests/simulators/test_other_zones.py, seeds 3 and 4,
truth -2) the mean elasticity came out at -1.68 and -1.88; with the own period alone at -1.38 and -1.50."""
_CHANCE = 0.01
"""Level of the test whether the periods around tell anything."""
_LEAST_SERIES = 8
_LEAST_TESTS = 30
"""Least tested cells from which a test tells how much of the other movements follows demand."""
_LEAST_MOVE = 1e-6
"""Least movement of an instrument within series and periods, over its own size."""


@dataclass(frozen=True, slots=True)
class FirstStage:
    """How J instruments move log regular prices within series and periods.

    Attributes
    ----------
    names
        Instruments that move: ``cost`` (its log), and the shop's own by name. One that is the same for all
        series moves nothing within a period, and is not among them.
    slopes, standard_errors
        J numbers each; log price a unit of the instrument, errors clustered by series.
    strength
        F statistic of all of them together: the Wald statistic over J.
    series
        Series that one of them moves.
    refused
        Weaker than :data:`LEAST_STRENGTH`, or fewer than eight series: not used.
    """

    names: tuple[str, ...]
    slopes: tuple[float, ...]
    standard_errors: tuple[float, ...]
    strength: float
    series: int
    refused: bool


@dataclass(frozen=True, slots=True)
class Control:
    """The part of the log regular price that may follow demand.

    Attributes
    ----------
    columns
        float64 [N, T, 2]; v of the period, 0 in cells whose price a test drew, and v of the period before.
    instrumented, tested
        bool [N]; whose price movements the instrument explains in part; who had a test at two prices or more.
    first_stage
        Of the instruments; None without any that move.
    """

    columns: Floats
    instrumented: Bools
    tested: Bools
    first_stage: FirstStage | None

    @property
    def used(self) -> bool:
        """Whether anything tells v from the rest of the price; else there is a first stage to report only."""
        return bool(self.instrumented.any() or self.tested.any())


def price_control(panel: Panel) -> Control | None:
    """Return the control function of a training panel, or None where nothing tells v from the rest.

    Parameters
    ----------
    panel
        N series, T periods; its costs, instruments and tests are what is used.
    """
    watched = observed(panel, short=True)
    drawn = np.zeros_like(watched) if panel.tested is None else panel.tested & watched
    x = np.log(known_prices(panel).regular)
    tested = _levels_tested(x, drawn)
    free = watched & ~drawn
    names, z = _moving(panel, free)
    stage = _first_stage(names, z, x, free) if names else None
    strong = stage is not None and not stage.refused
    if not strong and drawn[tested].sum() < _LEAST_TESTS:
        return None if stage is None else Control(np.zeros((*x.shape, 2)), *_nobody(len(x)), stage)
    explained = np.zeros_like(x)
    if stage is not None and strong:
        explained = _explained(z, x, free, np.array(stage.slopes))
    # Less series means only: weeks in which all prices are high may follow demand as well.
    v = np.where(drawn, 0.0, _within(x - explained, free, periods=False))
    moved = np.asarray((z != 0.0).any(axis=(1, 2)) & strong, dtype=np.bool_)
    before = np.concatenate([v[:, :1], v[:, :-1]], axis=1)
    return Control(np.stack([v, before], axis=2), moved, tested, stage)


def _nobody(count: int) -> tuple[Bools, Bools]:
    nobody = np.zeros(count, dtype=np.bool_)
    return nobody, nobody


def _levels_tested(x: Floats, drawn: Bools) -> Bools:
    low = np.where(drawn, x, np.inf).min(axis=1)
    high = np.where(drawn, x, -np.inf).max(axis=1)
    return np.asarray(high > low + 1e-9, dtype=np.bool_)


def _moving(panel: Panel, free: Bools) -> tuple[tuple[str, ...], Floats]:
    """Return names and within-values [N, T, J] of the instruments that move within series and periods.

    A series whose instrument is not known in every free cell is not moved by it: its values are 0.
    """
    given: list[tuple[str, Floats]] = []
    if panel.cost is not None:
        positive = np.where(np.isfinite(panel.cost) & (panel.cost > 0.0), panel.cost, np.nan)
        given.append(("cost", np.log(positive)))
    if panel.instruments is not None:
        given += [(name, panel.instruments[..., j]) for j, name in enumerate(panel.instrument_names)]
    names: list[str] = []
    values: list[Floats] = []
    for name, raw in given:
        known_where_free: Bools = np.isfinite(raw) | ~free
        known: Bools = free & known_where_free.all(axis=1, keepdims=True)
        low, high = np.where(known, raw, np.inf).min(axis=1), np.where(known, raw, -np.inf).max(axis=1)
        used: Bools = known & (high > low)[:, None]
        within = _within(np.where(used, raw, 0.0), used)
        size = np.abs(np.where(used, raw, 0.0)).max(initial=0.0)
        if np.abs(within).max(initial=0.0) > _LEAST_MOVE * size:
            names.append(name)
            values.append(within)
    shape = (*free.shape, 0)
    return tuple(names), np.stack(values, axis=2) if values else np.zeros(shape)


def _first_stage(names: tuple[str, ...], z: Floats, x: Floats, free: Bools) -> FirstStage:
    """Regress log prices on the within-values `z` [N, T, J] of the series that they move."""
    rows = np.flatnonzero((z != 0.0).any(axis=(1, 2)))
    slopes, covariance = _regression(np.moveaxis(z[rows], 2, 0), _within(x[rows], free[rows]))
    count, inverse = len(rows), _inverse(covariance)
    wald = float(slopes @ inverse @ slopes)
    strength = wald / len(names)
    return FirstStage(
        names=names,
        slopes=tuple(float(slope) for slope in slopes),
        standard_errors=tuple(float(error) for error in np.sqrt(np.diag(covariance))),
        strength=strength,
        series=count,
        refused=count < _LEAST_SERIES or strength < LEAST_STRENGTH,
    )


def _regression(Z: Floats, price: Floats) -> tuple[Floats, Floats]:
    """Return slopes [J] of prices [n, T] on within-values [J, n, T], and their covariance by series."""
    bread = _inverse(np.einsum("jnt,knt->jk", Z, Z))
    slopes = bread @ np.einsum("jnt,nt->j", Z, price)
    scores = np.einsum("jnt,nt->nj", Z, price - np.einsum("jnt,j->nt", Z, slopes))
    n = len(price)
    return slopes, bread @ (scores.T @ scores) @ bread * (n / max(n - 1, 1))


def _inverse(square: Floats) -> Floats:
    return np.asarray(np.linalg.pinv(square, hermitian=True), dtype=np.float64)


def _explained(z: Floats, x: Floats, free: Bools, now: Floats) -> Floats:
    """Return the part of log prices [N, T] that the instruments tell.

    The demand regression weighs slow and fast movements by its own lights, and what a price says beyond its
    instruments must have nothing to do with them at any speed: where cost lasts longer than what a zone's
    demand adds to its price, or reaches the price late, the instrument of the same period alone leaves some
    (in two zones whose prices chase local demand, half of the bias). So the instruments of the periods around
    are taken in where they tell the price anything; where they do not, each would only add to the bias that
    many instruments bring (Bound, Jaeger and Baker, JASA 1995).

    `now` holds the slopes of the instruments of the same period [J].
    """
    shifts = [_shifted(z, by) for by in range(-_REACH, _REACH + 1) if by]
    around = np.concatenate([z, *shifts], axis=2)
    rows = np.flatnonzero((z != 0.0).any(axis=(1, 2)))
    Z = without_periods(planes(around[rows], free[rows]), free[rows])
    slopes, covariance = _regression(Z, _within(x[rows], free[rows]))
    J = z.shape[2]
    wald = float(slopes[J:] @ _inverse(covariance[J:, J:]) @ slopes[J:])
    if len(rows) <= len(slopes) or chdtrc(len(slopes) - J, wald) > _CHANCE:
        return np.asarray(z @ now)
    return np.asarray(around @ slopes)


def _shifted(z: Floats, by: int) -> Floats:
    """Return z [N, T, J] of `by` periods before; beyond the ends its first or last value."""
    place = np.clip(np.arange(z.shape[1], dtype=np.int64) - by, 0, z.shape[1] - 1)
    return z[:, place]


def _within(values: Floats, watched: Bools, *, periods: bool = True) -> Floats:
    """Return values [N, T] less series and period means over watched cells, 0 elsewhere."""
    columns = planes(values[..., None], watched)
    out: Floats = (without_periods(columns, watched) if periods else columns)[0]
    return out
