"""The market: sampled worlds and their noise around the kernel's expected demand and transition.

Randomness follows from (seed, stream, period) and from nothing else. A stream is one run of the market:
copies with equal streams meet the same shocks whatever their prices, so policies are compared in pairs,
and the noise of a stream does not depend on the other copies of the batch, on their number or on the
length of the horizon (its first periods are the same in a longer one).

A period's units of a series are negative binomial, drawn as Poisson units around a gamma-distributed
mean: the gamma factor and the shared shocks do not depend on the price, and the Poisson count is the
quantile at a normal score that does not depend on it either. Where a series may be absent without anybody
knowing, the lowest scores are its absences.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from pricing.arrays import Floats, Ints, Words
from pricing.catalogue import Catalogue
from pricing.demand import Conditions, DemandParameters
from pricing.errors import DataError
from pricing.model import DemandModel
from pricing.rivals import Rivals
from pricing.scenario import MEMORY
from pricing.transition import State, reward, step
from simulators.counts import poisson_quantile
from simulators.shared_shocks import Lasting, lasting_of
from simulators.world_draws import Ingredients, absences, elasticity_offsets, shock_sds, sizes

__all__ = ["Differences", "Market", "Noise", "Sale", "Worlds", "sample_worlds"]

_MASK = 0xFFFFFFFFFFFFFFFF
_ZEROS = (0, 0, 0, 0)
_ALL = Ingredients()
_PARAMETERS = tuple(field.name for field in fields(DemandParameters))


@dataclass(frozen=True, slots=True)
class Differences:
    """How far worlds lie apart: standard deviations over worlds, root mean square over series or categories.

    Attributes
    ----------
    elasticity, elasticity_shared
        Of the elasticity to regular price; of its mean over all series, which confounding moves.
    level
        Of log units at the reference price.
    log_size
        Of the log of the negative-binomial size.
    absence
        Of the chance of absence.
    log_shop_shock, log_category_shock
        Of the log of the standard deviation of the shocks that the shop, and a category, shares.
    """

    elasticity: float
    elasticity_shared: float
    level: float
    log_size: float
    absence: float
    log_shop_shock: float
    log_category_shock: float


@dataclass(frozen=True)
class Worlds:
    """W sampled truths over N series and G categories.

    Attributes
    ----------
    parameters
        Demand, float64 [W, N] each.
    period_shock_sd
        float64 [W]; sd of the log shock that the whole shop shares in a period.
    category_shock_sd
        float64 [W, G]; sd of the log shock that a category shares in a period.
    category
        int64 [N]; index into the G axis.
    rivals
        Who stands in for whom among the N series.
    memory
        Share of the remembered price that survives a period, 0-1.
    lasting
        Which part of the 1 + G shocks, the shop's first, outlasts a period; None where each period has its
        own.
    """

    parameters: DemandParameters
    period_shock_sd: Floats
    category_shock_sd: Floats
    category: Ints
    rivals: Rivals
    memory: float = MEMORY
    lasting: Lasting | None = None

    def __post_init__(self) -> None:
        size = self.parameters.dispersion
        if not (np.isfinite(size) & (size > 0.0)).all():
            raise DataError(
                "A sampled world has a dispersion that is not a positive number.",
                why="The negative binomial has no such size r.",
                todo="Fit the demand model again.",
            )

    def __len__(self) -> int:
        return len(self.period_shock_sd)

    @property
    def differences(self) -> Differences:
        """How far they lie apart."""
        d = self.parameters
        return Differences(
            elasticity=_apart(d.elasticity),
            elasticity_shared=float(d.elasticity.mean(axis=1).std()),
            level=_apart(d.level),
            log_size=_apart(np.log(d.dispersion)),
            absence=_apart(d.absence),
            log_shop_shock=_apart(np.log(self.period_shock_sd)[:, None]),
            log_category_shock=_apart(np.log(self.category_shock_sd)),
        )

    def take(self, index: Ints) -> Worlds:
        """Return the worlds at `index`, in its order and as often as it names them."""
        d = self.parameters
        return replace(
            self,
            parameters=DemandParameters(*(getattr(d, name)[index] for name in _PARAMETERS)),
            period_shock_sd=self.period_shock_sd[index],
            category_shock_sd=self.category_shock_sd[index],
        )


def sample_worlds(
    model: DemandModel,
    catalogue: Catalogue,
    count: int,
    *,
    first: int = 0,
    memory: float = MEMORY,
    gain: float = 0.0,
    loss: float = 0.0,
    rivals: Rivals | None = None,
    varied: Ingredients = _ALL,
) -> Worlds:
    """Return `count` worlds drawn from the posterior, for the series of the catalogue.

    Beside coefficients they differ in sizes, shocks, absence and confounding (:mod:`simulators.world_draws`),
    each where the model says how surely it knows them.

    Parameters
    ----------
    model
        Posterior over at least the series of the catalogue.
    catalogue
        N series.
    count, first
        World w follows from the model's seed and the number ``first + w`` alone; held-out worlds are other
        numbers.
    memory
        See :class:`Worlds`.
    gain, loss
        Reference effects assumed for every series; the fit does not say, so 0 unless given.
    rivals
        Of the same series, those of a scenario; None takes what the model says, series outside of the
        catalogue at their reference prices.
    varied
        What they differ in; for a look at one ingredient alone.
    """
    own = model.take(model.rows(catalogue.series))
    if not varied.shocks:
        own = replace(own, shock_freedom=None)
    numbers: Ints = np.arange(first, first + count, dtype=np.int64)
    d = DemandParameters.of(own.draws(count, first=first), own, catalogue)
    if varied.dispersion:
        d = replace(d, dispersion=sizes(own, numbers))
    if varied.absence:
        d = replace(d, absence=absences(own, numbers))
    if varied.confounding:
        d = replace(d, regular=d.regular + elasticity_offsets(own, numbers))
    shop, categories = shock_sds(own, numbers)
    return Worlds(
        parameters=replace(d, gain=np.full_like(d.gain, gain), loss=np.full_like(d.loss, loss)),
        period_shock_sd=shop,
        category_shock_sd=categories,
        category=own.category,
        rivals=rivals or own.rivals.at(catalogue.log_price - d.log_reference[0]),
        memory=memory,
        lasting=lasting_of(own),
    )


@dataclass(frozen=True)
class Noise:
    """What chance does to B copies over T periods, whatever the prices.

    Attributes
    ----------
    factor
        float64 [T, B, N]; mean-one factor on expected units: shop shock, category shock, gamma.
    score
        float64 [T, B, N]; standard normal; its Phi is the probability of the Poisson quantile.
    """

    factor: Floats
    score: Floats

    def at(self, period: int) -> Noise:
        """Return the noise of one period, arrays [B, N]."""
        return Noise(self.factor[period], self.score[period])


@dataclass(frozen=True)
class Sale:
    """What a period brought; arrays [B, N].

    Attributes
    ----------
    demanded, sold
        float64; units wanted and units sold (whole numbers, or expectations without noise).
    profit
        float64; net profit, minor units.
    shelf
        int64; shelf price after the planned discount, minor units, at least one.
    state
        Where the copies stand before the next period.
    """

    demanded: Floats
    sold: Floats
    profit: Floats
    shelf: Ints
    state: State


@dataclass(frozen=True)
class Market:
    """B copies of a shop, each in one of the sampled worlds.

    Attributes
    ----------
    catalogue
        N series.
    worlds
        W worlds over the same series.
    world
        int64 [B]; the world of each copy.
    """

    catalogue: Catalogue
    worlds: Worlds
    world: Ints

    @cached_property
    def parameters(self) -> DemandParameters:
        """Demand of every copy, float64 [B, N] each."""
        return self.worlds.take(self.world).parameters

    def open(self) -> State:
        """Return where every copy stands before the first period: where the catalogue stands."""
        return State.start(self.catalogue, len(self.world))

    def noise(self, seed: int, streams: Words | Ints, periods: int) -> Noise:
        """Draw the noise of each copy's run.

        Parameters
        ----------
        seed
            Any integer; its low 64 bits count.
        streams
            Integers [B]; number of each copy's run, 63 bits.
        periods
            T.
        """
        own, size = self.worlds.take(self.world), self.parameters.dispersion
        copies, count, shops = len(self.world), len(self.catalogue), 1 + own.category_shock_sd.shape[1]
        slow = 0 if own.lasting is None else shops
        z = np.empty((copies, periods, shops + count + slow))
        gamma = np.empty((copies, periods, count))
        sizes = np.ascontiguousarray(np.broadcast_to(size[:, None], gamma.shape))
        philox = np.random.Philox(key=0)
        draw = np.random.Generator(philox)
        for copy, stream in enumerate(np.asarray(streams).tolist()):
            _rewind(philox, seed, 2 * stream)
            draw.standard_normal(out=z[copy])
            _rewind(philox, seed, 2 * stream + 1)
            draw.standard_gamma(sizes[copy], out=gamma[copy])
        sd = np.concatenate([own.period_shock_sd[:, None], own.category_shock_sd], axis=1)[:, None]
        unit = z[..., :shops]
        if own.lasting is not None:
            unit = own.lasting.joined(unit, z[..., shops + count :])
        shock = np.exp(unit * sd - 0.5 * sd**2)
        shared = np.take(shock[..., :1] * shock[..., 1:], own.category, axis=-1)
        factor = np.swapaxes(np.divide(gamma, sizes, out=gamma) * shared, 0, 1)
        score = np.swapaxes(z[..., shops : shops + count], 0, 1)
        absence = self.parameters.absence
        if absence.any():
            factor, score = _absent(factor, score, absence)
        return Noise(np.ascontiguousarray(factor), np.ascontiguousarray(score))

    def sell(
        self,
        state: State,
        price: Ints,
        conditions: Conditions,
        noise: Noise | None = None,
        received: Floats | float = 0.0,
    ) -> Sale:
        """Sell one period.

        Parameters
        ----------
        state
            Where the copies stand, arrays [B, N].
        price
            int64 [B, N]; regular shelf price of the period.
        conditions
            Promotions and traffic of the period; rival prices follow from the prices.
        noise
            Of this period, arrays [B, N] (:meth:`Noise.at`); None sells expected units (the fluid
            approximation, for planners and their tests).
        received
            Units that arrive at the end of the period, [B, N] or [N] or a number.
        """
        logs = np.log(price.astype(np.float64))
        rivals, reference = self.worlds.rivals, self.parameters.log_reference
        if rivals.any:
            found = rivals.index(logs + conditions.depth - reference)
            conditions = replace(conditions, rivals=conditions.rivals + found)
        moved = step(
            self.parameters,
            self.catalogue,
            logs,
            state.stock,
            state.reference,
            state.lag,
            conditions,
            self.worlds.memory,
        )
        demanded, sold, profit = moved.units, moved.sold, moved.profit
        if noise is not None:
            demanded = poisson_quantile(moved.units * noise.factor, noise.score)
            sold = np.minimum(demanded, np.floor(state.stock))
            profit = reward(self.catalogue, moved.shelf, sold)
        shelf = np.maximum(np.rint(moved.shelf), 1.0).astype(np.int64)
        arrived = np.asarray(received, dtype=np.float64)
        return Sale(demanded, sold, profit, shelf, state.next(moved, price, shelf, sold, arrived))


def _apart(values: Floats) -> float:
    """Return the standard deviation over worlds of values [W, M], root mean square over the M."""
    return float(np.sqrt(values.var(axis=0).mean()))


def _absent(factor: Floats, score: Floats, absence: Floats) -> tuple[Floats, Floats]:
    """Let the lowest scores be absences, and stretch the others over the whole distribution again."""
    chance = ndtr(score)
    there = chance >= absence
    left = np.clip((chance - absence) / (1.0 - absence), 1e-300, 1.0 - 1e-16)
    return np.where(there, factor / (1.0 - absence), 0.0), np.where(there, ndtri(left), score)


def _rewind(philox: np.random.Philox, seed: int, stream: int) -> None:
    """Set a generator to the start of a stream; a new one would cost sixteen times as long."""
    start: Any = {
        "bit_generator": "Philox",
        "state": {"counter": _ZEROS, "key": (seed & _MASK, stream & _MASK)},
        "buffer": _ZEROS,
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    philox.state = start
