"""Fluid planning: gradient ascent on price paths through the kernel's step and its adjoint.

Prices are relaxed to real numbers and demand to its expectation (the fluid problem of Gallego and van
Ryzin, Management Science 1994); series do not interact, so thousands of small problems climb side by side.
Leading axes are called ``L`` here: the batch, or candidates and the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from policies.serve.outlook import Outlook
from pricing.arrays import Bools, Floats, Ints, Words
from pricing.catalogue import Catalogue
from pricing.demand import Conditions, DemandParameters
from pricing.errors import DataError
from pricing.model import DemandModel
from pricing.scenario import Scenario
from pricing.situation import Situation
from pricing.transition import Cotangent, Step, pullback, step

__all__ = ["Drawn", "Plan", "Problem", "climb", "hold", "parts_of", "value", "walk"]

_TOUCH = 1e-9
_BY_RUN = ("stock", "reference", "lag", "low", "high")
_BETA_1, _BETA_2 = 0.8, 0.95
_FIELDS = tuple(field.name for field in fields(DemandParameters))


@dataclass(frozen=True, slots=True)
class Drawn:
    """Demand curves that stand for the posterior of some series; others are planned at their mean.

    Expected profit over the posterior is more than profit at mean coefficients, and what a shop wants; it
    costs D times as much. A series whose price no evidence lets move needs none.

    Attributes
    ----------
    keys
        uint64 [M]; :attr:`pricing.catalogue.Catalogue.keys` of those series.
    curves
        Equally likely demand, float64 [D, M] each.
    """

    keys: Words
    curves: DemandParameters

    def __post_init__(self) -> None:
        shape = self.curves.level.shape
        if len(shape) != 2 or shape[0] < 1 or shape[1] != len(self.keys):
            raise DataError(f"Plans need demand curves [D, {len(self.keys)}], not {shape}.")

    @staticmethod
    def of(model: DemandModel, scenario: Scenario, index: Ints) -> Drawn:
        """Return the curves that every plan is made on: the posterior's sigma points.

        Twice as many as demand has coefficients: 20. See
        :meth:`pricing.model.DemandModel.sigma_points`. What a price does to rivals is taken at its mean.

        Parameters
        ----------
        model
            Posterior over at least the series of the scenario.
        scenario
            N series.
        index
            int64 [M]; those of them that may move.
        """
        catalogue = scenario.catalogue.take(index)
        own = model.take(model.rows(catalogue.series))
        curves = DemandParameters.of(own.sigma_points(), own, catalogue)
        spill = np.broadcast_to(scenario.beliefs.spill[index], curves.level.shape)
        return Drawn(catalogue.keys, replace(curves, spill=spill))

    def places(self, keys: Words) -> Ints:
        """Return where each of `keys` [N] stands here, -1 where it does not, int64 [N]."""
        if not len(self.keys):
            return np.full(len(keys), -1, dtype=np.int64)
        order = np.argsort(self.keys, kind="stable")
        found = order[np.minimum(np.searchsorted(self.keys[order], keys), len(order) - 1)]
        return np.where(self.keys[found] == keys, found, -1).astype(np.int64)

    def take(self, places: Ints) -> DemandParameters:
        """Return the curves at `places` [n], float64 [D, n] each."""
        return DemandParameters(*(getattr(self.curves, name)[:, places] for name in _FIELDS))


def parts_of(
    drawn: Drawn | None, keys: Words, series: Ints, cells: int
) -> Iterator[tuple[Ints, DemandParameters | None]]:
    """Yield `series` (positions among `keys`) in parts to be planned side by side, with their curves.

    At most `cells` demand curves times series make a part; without curves it is planned at the mean.
    """
    places = np.full(len(keys), -1, dtype=np.int64) if drawn is None else drawn.places(keys)
    for known in (None,) if drawn is None else (None, drawn):
        chosen = series[(places[series] >= 0) == (known is not None)]
        size = max(cells // (1 if known is None else len(known.curves.level)), 1)
        for start in range(0, len(chosen), size):
            part = chosen[start : start + size]
            yield part, None if known is None else known.take(places[part])


@dataclass(frozen=True, slots=True)
class Problem:
    """What is left of the horizon for N series; H periods.

    Attributes
    ----------
    catalogue
        The N series.
    parameters
        Demand, arrays [D, 1, N]: the value of a path is the mean over the D curves.
    conditions
        H planned periods, arrays [N] or [B, N].
    received
        float64 [H, N]; units that arrive at the end of each period.
    stock, reference, lag
        float64 [B, N]; the state, see :class:`pricing.transition.State`.
    first_low, first_high
        float64 [B, N]; log prices between which the first price lies.
    low, high
        float64 [B, N]; log prices between which later prices lie: the corridor of the outlook and what is
        open now, since a price in force may stay where no other price could go.
    down, up
        Most that a log price falls (negative) and rises in one period.
    memory
        Share of the remembered price that survives a period.
    """

    catalogue: Catalogue
    parameters: DemandParameters
    conditions: tuple[Conditions, ...]
    received: Floats
    stock: Floats
    reference: Floats
    lag: Floats
    first_low: Floats
    first_high: Floats
    low: Floats
    high: Floats
    down: float
    up: float
    memory: float

    @staticmethod
    def of(
        situation: Situation, allowed: Bools, outlook: Outlook, beliefs: DemandParameters, part: Ints
    ) -> Problem:
        """Put the problem of some series together.

        Parameters
        ----------
        situation
            B runs over all series.
        allowed
            bool [B, M, K]; rungs open now; a series without any is planned at its price in force.
        outlook
            The H periods left, all series of the situation in their order.
        beliefs
            Demand of all series, arrays [M] or, for draws, [D, M].
        part
            int64 [N]; the series wanted.
        """
        catalogue, own = situation.catalogue.take(part), outlook.take(part)
        shaped = {
            f.name: np.reshape(getattr(beliefs, f.name)[..., part], (-1, 1, len(part)))
            for f in fields(beliefs)
        }
        today = situation.conditions
        now = Conditions(*(_last(getattr(today, f.name), part) for f in fields(today)))
        change = min(own.max_change, 1.0 - 1e-12)
        state = situation.state
        first_low, first_high = _room(situation, allowed, part)
        return Problem(
            catalogue,
            DemandParameters(**shaped),
            (now, *map(own.conditions, range(1, len(own)))),
            own.received,
            state.stock[:, part],
            state.reference[:, part],
            state.lag[:, part],
            first_low,
            first_high,
            np.minimum(own.low, first_low),
            np.maximum(own.high, first_high),
            float(np.log1p(-change)),
            float(np.log1p(change)),
            own.memory,
        )

    def under(self, curves: DemandParameters | None) -> Problem:
        """Return the problem under other demand curves, [D, N] each; itself for None."""
        if curves is None:
            return self
        shape = (-1, 1, len(self.catalogue))
        return replace(
            self, parameters=DemandParameters(*(getattr(curves, name).reshape(shape) for name in _FIELDS))
        )

    def starting(self, first: Floats) -> Problem:
        """Return M copies of the problem, one below the other, with first log prices `first` [M, B, N]."""
        copies, _, series = first.shape
        flat = first.reshape(-1, series)
        state: dict[str, Any] = {n: np.tile(getattr(self, n), (copies, 1)) for n in _BY_RUN}
        today = self.conditions[0]
        spread = {f.name: _tiled(getattr(today, f.name), copies) for f in fields(today)}
        later = (Conditions(**spread), *self.conditions[1:])
        return replace(self, conditions=later, first_low=flat, first_high=flat, **state)


@dataclass(frozen=True, slots=True)
class Plan:
    """Price paths and what they are worth.

    Attributes
    ----------
    log_price
        float64 [H, L, N].
    value
        float64 [L, N]; expected net profit of the H periods, minor units.
    """

    log_price: Floats
    value: Floats

    def better(self, other: Plan) -> Plan:
        """Return, series by series, the better of two plans (this one where equal)."""
        wins = other.value > self.value
        return Plan(np.where(wins, other.log_price, self.log_price), np.where(wins, other.value, self.value))


def walk(problem: Problem, wish: Floats) -> Floats:
    """Return the feasible path [H, L, N] that follows a wished path [H, L, N] as far as the rules allow.

    Each price stays in its corridor and within the largest step from the one before; where the two
    collide (the price in force lies outside the corridor) the step wins.
    """
    path = np.empty(np.broadcast_shapes(wish.shape, (len(wish), *problem.first_low.shape)))
    path[0] = np.clip(wish[0], problem.first_low, problem.first_high)
    for t in range(1, len(wish)):
        inside = np.clip(wish[t], problem.low, problem.high)
        path[t] = np.clip(inside, path[t - 1] + problem.down, path[t - 1] + problem.up)
    return path


def value(problem: Problem, path: Floats) -> Floats:
    """Return the expected net profit float64 [L, N] of a path [H, L, N], minor units."""
    return _total(_forward(problem, path))


def hold(problem: Problem, levels: int) -> Plan:
    """Return the best of `levels` constant wishes, evenly spaced over each series' corridor."""
    periods, shape = len(problem.conditions), problem.first_low.shape
    best: Plan | None = None
    for share in np.linspace(0.0, 1.0, levels):
        wish = np.broadcast_to((1.0 - share) * problem.low + share * problem.high, (periods, *shape))
        path = walk(problem, wish)
        plan = Plan(path, value(problem, path))
        best = plan if best is None else best.better(plan)
    assert best is not None  # noqa: S101 - levels is at least 1
    return best


def climb(problem: Problem, start: Plan, iterations: int, rate: float) -> Plan:
    """Improve a plan by projected gradient steps; the result is never worse than the start.

    Adam (Kingma and Ba, ICLR 2015) with a rate that falls to a fiftieth: where stock just lasts, profit
    has a kink, and only shrinking steps settle on it.

    Parameters
    ----------
    problem
        N problems with leading axes L.
    start
        A feasible plan.
    iterations
        Gradient steps.
    rate
        First step in log price.
    """
    path, best = start.log_price, start
    m, v = np.zeros_like(path), np.zeros_like(path)
    scale = np.maximum(np.abs(start.value), 1e-12)
    for i in range(iterations):
        steps = _forward(problem, path)
        best = best.better(Plan(path, _total(steps)))
        g = _gradient(problem, path, steps) / scale
        m = _BETA_1 * m + (1.0 - _BETA_1) * g
        v = _BETA_2 * v + (1.0 - _BETA_2) * g * g
        unbiased = np.sqrt(v / (1.0 - _BETA_2 ** (i + 1))) + 1e-12
        pace = rate * 0.02 ** (i / max(iterations - 1, 1)) / (1.0 - _BETA_1 ** (i + 1))
        path = walk(problem, path + pace * m / unbiased)
    return best.better(Plan(path, value(problem, path)))


def _room(situation: Situation, allowed: Bools, part: Ints) -> tuple[Floats, Floats]:
    """Return the lowest and highest log price [B, N] open now; the price in force where none is."""
    logs, open_ = situation.menu.log_price[part], allowed[:, part]
    now = np.log(situation.state.price[:, part].astype(np.float64))
    some = open_.any(axis=-1)
    low = np.where(open_, logs, np.inf).min(axis=-1)
    high = np.where(open_, logs, -np.inf).max(axis=-1)
    return np.where(some, low, now), np.where(some, high, now)


def _last(array: Floats, part: Ints) -> Floats:
    """Return the series `part` of an array [N] or [B, N]; what all series share stays as it is."""
    values = np.asarray(array)
    return values[..., part] if values.ndim and values.shape[-1] > 1 else values


def _tiled(array: Floats, copies: int) -> Floats:
    """Repeat a batch [B, N] `copies` times; what all runs share [N] stays as it is."""
    return np.tile(array, (copies, 1)) if np.ndim(array) == 2 else array


def _forward(problem: Problem, path: Floats) -> list[Step]:
    stock, reference, lag = problem.stock, problem.reference, problem.lag
    steps: list[Step] = []
    for t, conditions in enumerate(problem.conditions):
        taken = step(
            problem.parameters, problem.catalogue, path[t], stock, reference, lag, conditions, problem.memory
        )
        stock, reference, lag = taken.stock + problem.received[t], taken.reference, taken.lag
        steps.append(taken)
    return steps


def _total(steps: list[Step]) -> Floats:
    total = steps[0].profit.copy()
    for taken in steps[1:]:
        total += taken.profit
    return np.asarray(total.mean(axis=0))


def _gradient(problem: Problem, path: Floats, steps: list[Step]) -> Floats:
    """Return the gradient [H, L, N] of the value, pointing only where the path can go.

    A price that presses against its largest step hands its wish on to the price before it.
    """
    nothing = np.zeros_like(steps[-1].profit)
    after = Cotangent(nothing, nothing, nothing, nothing)
    weight = 1.0 / problem.parameters.level.shape[0]
    g = np.empty_like(path)
    wish = np.zeros_like(path[0])
    for t in range(len(path) - 1, -1, -1):
        after = pullback(steps[t], problem.parameters, problem.catalogue, problem.memory, weight, after)
        total = after.log_price.sum(axis=0) + wish
        g[t] = total
        if t:
            move = path[t] - path[t - 1]
            pressed = ((move >= problem.up - _TOUCH) & (total > 0.0)) | (
                (move <= problem.down + _TOUCH) & (total < 0.0)
            )
            wish = np.where(pressed, total, 0.0)
    return g
