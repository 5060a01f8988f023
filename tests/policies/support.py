"""Small shops whose best prices can be found by hand or by trying everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.demand import Conditions, DemandParameters
from pricing.executor import Progress
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Menu
from pricing.panel import Series
from pricing.rivals import Rivals
from pricing.scenario import Scenario
from pricing.situation import Situation
from pricing.transition import State
from simulators.market import Market, Worlds

Item = TypeVar("Item")
Result = TypeVar("Result")

FREE = GuardrailSettings(max_change=1.0)


class InProcess:
    """An executor that does the work itself, in order, and counts what it did."""

    def __init__(self) -> None:
        self.ran = 0

    def submit(
        self,
        task: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        progress: Progress | None = None,
        done: Mapping[int, Result] | None = None,
    ) -> Iterator[Result]:
        known = done or {}
        for place, item in enumerate(items):
            if place in known:
                yield known[place]
                continue
            self.ran += 1
            yield task(item)
            if progress is not None:
                progress(place + 1, len(items))

    def cancel(self) -> None:
        pass


def a_catalogue(price: Sequence[int], cost: Sequence[int], stock: Sequence[float]) -> Catalogue:
    count = len(price)
    now = np.array(price, dtype=np.int64)
    none, one = np.zeros(count, dtype=np.int64), np.ones(count)
    names = tuple(f"p{i:03d}" for i in range(count))
    blank = ("",) * count
    return Catalogue(
        series=Series(names, ("all",) * count, blank, blank, blank),
        currency="EUR", exponent=2, basis="net", as_of="2026-01-05",
        price=now, unit_cost=np.array(cost, dtype=np.int64), cost_assumed=np.zeros(count, dtype=np.bool_),
        net_share=one, gross_share=one, fee_share=np.zeros(count), fee_unit=none, return_rate=np.zeros(count),
        support_low=none + 1, support_high=now * 10, floor_price=none, ceiling_price=none + NO_LIMIT,
        map_price=none, max_price=none + NO_LIMIT, fixed_price=none, variant_of=np.arange(count),
        periods_since_change=none + 9, identified_by=np.zeros(count, dtype=np.int8),
        stock=np.array(stock, dtype=np.float64), recent=np.repeat(now[:, None], 5, axis=1),
    )  # fmt: skip


def a_scenario(
    price: Sequence[int],
    cost: Sequence[int],
    stock: Sequence[float],
    ladder: Ints,
    horizon: int,
    *,
    units: Floats | float = 10.0,
    elasticity: Floats | float = -2.0,
    lag: float = 0.0,
    gain: float = 0.0,
    loss: float = 0.0,
    settings: GuardrailSettings = FREE,
    memory: float = 0.8,
) -> Scenario:
    """A shop whose units are `units` at today's price, with the same ladder shape for every product."""
    catalogue = a_catalogue(price, cost, stock)
    count = len(catalogue)
    zero = np.zeros(count)
    beliefs = DemandParameters(
        level=np.log(units) + zero, regular=elasticity + zero, depth=zero - 2.0, lag=lag + zero, feature=zero,
        display=zero, traffic=zero, deal=zero, featured_depth=zero, rivals=zero, spill=zero,
        curve=zero, threshold=zero,
        gain=gain + zero, loss=loss + zero, dispersion=zero + 5.0, absence=zero,
        log_reference=np.log(catalogue.price.astype(np.float64)),
    )  # fmt: skip
    menu = Menu.of(ladder, np.ones(ladder.shape, dtype=np.bool_))
    return Scenario(
        guardrails=Guardrails(catalogue, menu, settings), beliefs=beliefs, elasticity_sd=zero + 0.2,
        rivals=Rivals.none(count),
        conditions=(Conditions.plain(count),) * horizon, receipts=np.zeros((horizon, count)),
        first_day=20458, memory=memory,
    )  # fmt: skip


def opening(scenario: Scenario, batch: int = 1) -> tuple[Situation, Bools]:
    state = State.start(scenario.catalogue, batch)
    return scenario.situation(state, 0), scenario.guardrails.admit(state).allowed


def certain_world(scenario: Scenario, worlds: int = 1) -> Worlds:
    """Worlds that are exactly what is believed, without shared shocks; rivals sell for themselves there."""
    d = replace(scenario.beliefs, spill=np.zeros(len(scenario.catalogue)))
    spread = {
        n: np.repeat(getattr(d, n)[None], worlds, axis=0) for n in DemandParameters.__dataclass_fields__
    }
    return Worlds(
        DemandParameters(**spread), np.zeros(worlds), np.zeros((worlds, 1)),
        np.zeros(len(scenario.catalogue), dtype=np.int64), scenario.rivals, scenario.memory,
    )  # fmt: skip


def expected_profit(scenario: Scenario, path: Sequence[Ints]) -> Floats:
    """Return the fluid profit of each product [N] for a path of rungs, T arrays [N]."""
    market = Market(scenario.catalogue, certain_world(scenario), np.zeros(1, dtype=np.int64))
    state, total = market.open(), np.zeros(len(scenario.catalogue))
    rows = np.arange(len(scenario.catalogue))
    for t, rung in enumerate(path):
        sale = market.sell(state, scenario.menu.price[rows, rung][None], scenario.conditions[t])
        total += sale.profit[0]
        state = sale.state
    return total


def several(parameters: DemandParameters, offsets: Floats) -> DemandParameters:
    """Return draws [D, N]: the elasticity moved by `offsets` [D], all else equal."""
    count = len(offsets)
    fields = {
        n: np.repeat(getattr(parameters, n)[None], count, axis=0)
        for n in DemandParameters.__dataclass_fields__
    }
    draws = DemandParameters(**fields)
    return replace(draws, regular=draws.regular + offsets[:, None])
