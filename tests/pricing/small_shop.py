"""A shop small enough to check by hand: prices around 100 minor units, net, without tax or limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from pricing.arrays import Bools, Ints
from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.demand import Conditions, DemandParameters
from pricing.guardrails import Admission, Guardrails, GuardrailSettings
from pricing.menu import Menu
from pricing.panel import Series
from pricing.policy import Choice
from pricing.situation import Situation, myopic_log_price
from pricing.transition import State

LADDER = (80, 90, 95, 100, 105, 110, 120)


def catalogue(price: Sequence[int] = (100,), **changes: Any) -> Catalogue:
    """Products that cost 50, were seen at 1 to 10,000 and may move; `changes` are values or lists."""
    n = len(price)
    now = np.array(price, dtype=np.int64)

    def ints(value: int) -> Ints:
        return np.full(n, value, dtype=np.int64)

    plain: dict[str, Any] = {
        "price": now,
        "unit_cost": ints(50),
        "cost_assumed": np.zeros(n, dtype=np.bool_),
        "net_share": np.ones(n),
        "gross_share": np.ones(n),
        "fee_share": np.zeros(n),
        "fee_unit": ints(0),
        "return_rate": np.zeros(n),
        "support_low": ints(1),
        "support_high": ints(10_000),
        "floor_price": ints(0),
        "ceiling_price": ints(int(NO_LIMIT)),
        "map_price": ints(0),
        "max_price": ints(int(NO_LIMIT)),
        "fixed_price": ints(0),
        "variant_of": np.arange(n, dtype=np.int64),
        "periods_since_change": ints(9),
        "identified_by": np.full(n, 2, dtype=np.int8),
        "stock": np.full(n, np.inf),
        "recent": np.repeat(now[:, None], 5, axis=1),
    }
    for name, value in changes.items():
        plain[name] = np.broadcast_to(np.asarray(value, dtype=plain[name].dtype), plain[name].shape).copy()
    names = Series(tuple(f"p{i}" for i in range(n)), ("z",) * n, *(("",) * n for _ in range(3)))
    return Catalogue(names, "EUR", 2, "net", "2017-01-01", **plain)


def menu(count: int, ladder: Sequence[int] = LADDER) -> Menu:
    rungs = np.repeat(np.array([ladder], dtype=np.int64), count, axis=0)
    return Menu.of(rungs, np.ones(rungs.shape, dtype=np.bool_))


def guardrails(shop: Catalogue, ladder: Sequence[int] = LADDER, **settings: Any) -> Guardrails:
    return Guardrails(shop, menu(len(shop), ladder), GuardrailSettings(**settings))


def admit(shop: Catalogue, ladder: Sequence[int] = LADDER, **settings: Any) -> Admission:
    return guardrails(shop, ladder, **settings).admit(State.start(shop, 1))


def allowed(admission: Admission, series: int = 0, ladder: Sequence[int] = LADDER) -> list[int]:
    return [price for price, may in zip(ladder, admission.allowed[0, series], strict=True) if may]


def beliefs(shop: Catalogue, elasticity: float = -2.0) -> DemandParameters:
    """10 units a period at the price in force, and no other effect."""
    n = len(shop)
    plain = {field.name: np.zeros(n) for field in fields(DemandParameters)}
    slope = np.full(n, elasticity)
    known = {
        "level": np.full(n, np.log(10.0)),
        "regular": slope,
        "depth": slope,
        "dispersion": np.full(n, 5.0),
    }
    return DemandParameters(**plain | known | {"log_reference": np.log(shop.price.astype(np.float64))})


def situation(shop: Catalogue, ladders: Menu, elasticity: float = -2.0, batch: int = 1) -> Situation:
    known = beliefs(shop, elasticity)
    return Situation(
        catalogue=shop,
        menu=ladders,
        state=State.start(shop, batch),
        conditions=Conditions.plain(len(shop)),
        beliefs=known,
        elasticity_sd=np.full(len(shop), 0.3),
        myopic=myopic_log_price(known, shop),
        period=17_000,
        periods_left=13,
        horizon=26,
    )


@dataclass(frozen=True)
class Wants:
    """Chooses the allowed rung nearest to the price that each series wants (the lower of equals)."""

    prices: tuple[int, ...]
    name: str = "wants"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        far = np.abs(situation.menu.price - np.array(self.prices)[:, None])
        best = np.where(allowed, far, 10**9).argmin(axis=-1)
        return Choice(index=np.where(allowed.any(axis=-1), best, -1))


@dataclass(frozen=True)
class Mixed:
    """Weights every allowed rung by its place: a stochastic policy with known propensities."""

    name: str = "mixed"
    version: str = "1"
    reads: tuple[str, ...] = ("rung",)

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        assert len(situation.catalogue) == allowed.shape[1]
        weight = allowed * np.arange(1.0, allowed.shape[-1] + 1.0)
        total = weight.sum(axis=-1, keepdims=True)
        return Choice(probabilities=weight / np.where(total > 0.0, total, 1.0))


@dataclass(frozen=True)
class Draws:
    """Uniform over four stored draws, each of which wants a price of its own."""

    prices: tuple[int, ...] = (85, 100, 112, 112)
    name: str = "draws"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        far = np.abs(situation.menu.price[:, None, :] - np.array(self.prices)[:, None])
        parts = np.where(allowed[:, :, None, :], far, 10**9).argmin(axis=-1)
        shares = np.equal(np.arange(allowed.shape[-1]), parts[..., None]).mean(axis=2)
        return Choice(probabilities=shares * allowed.any(axis=-1, keepdims=True), components=parts)


def standing_at(here: Situation, prices: Sequence[int]) -> Situation:
    """The same situation with other prices in force."""
    now = np.broadcast_to(np.array(prices, dtype=np.int64), here.state.price.shape).copy()
    return replace(here, state=replace(here.state, price=now))
