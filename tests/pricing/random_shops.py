"""Random shops, rules and situations, with the rare cases made common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.demand import Conditions, DemandParameters
from pricing.evidence import Identification
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings, Menu, candidates
from pricing.panel import Series
from pricing.policy import Choice
from pricing.situation import Situation, myopic_log_price
from pricing.transition import State
from tests.pricing.brute_force import Corridor, Item

_ENDINGS = (
    Endings(),
    Endings(),
    Endings((5, 9), 10),
    Endings((49, 99), 100),
    Endings((0,), 1),
    Endings((7,), 1000),
)
_SCALES = ((1, 6), (8, 60), (100, 3000), (100, 3000), (10**6, 3 * 10**6), (10**8, 2 * 10**8))
_TAX = (Fraction(0), Fraction(1, 20), Fraction(19, 100), Fraction(21, 100))
_FINEST = 10**6


@dataclass(frozen=True)
class Highest:
    """Chooses the allowed rung with the highest score; scores are float64 [B, N, K]."""

    scores: Floats
    name: str = "highest-score"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        assert situation.state.price.shape == allowed.shape[:2]
        best = np.where(allowed, self.scores, -np.inf).argmax(axis=-1)
        return Choice(index=np.where(allowed.any(axis=-1), best, -1))


def settings(rng: np.random.Generator) -> GuardrailSettings:
    return GuardrailSettings(
        margin_floor=float(rng.choice([0.0, 0.1, 0.25, 0.5, -0.1])),
        max_change=float(rng.choice([0.0, 0.05, 0.1, 0.29, 0.5, 1.0])),
        cool_down=int(rng.choice([0, 0, 1, 3])),
        max_share_moved=float(rng.choice([1.0, 1.0, 0.5, 0.3, 0.0])),
        endings=_ENDINGS[rng.integers(len(_ENDINGS))],
        kill_switch=bool(rng.random() < 0.03),
        act_on_prior=bool(rng.random() < 0.5),
    )


def catalogue(rng: np.random.Generator, count: int) -> Catalogue:
    low, high = _SCALES[rng.integers(len(_SCALES))]
    price = rng.integers(low, high, count)
    tax = 1.0 + float(_TAX[rng.integers(len(_TAX))])
    net = np.full(count, 1.0 / tax)

    def sometimes(chance: float, value: np.ndarray, otherwise: int) -> np.ndarray:
        return np.where(rng.random(count) < chance, value, otherwise).astype(np.int64)

    def about(spread: float) -> np.ndarray:
        return np.maximum(np.rint(price * rng.uniform(1 - spread, 1 + spread, count)), 1).astype(np.int64)

    lone = rng.random() < 0.4
    fees = bool(rng.random() < 0.5)
    rare, wide, dear = (0.3, 0.3, 1.2) if rng.random() < 0.4 else (0.03, 0.8, 0.8)
    cost = np.where(rng.random(count) < rare / 2, price * net, price * net * rng.uniform(0.2, dear, count))
    return Catalogue(
        series=Series(
            tuple(f"p{i:03d}" for i in range(count)), ("z",) * count, *(("",) * count for _ in range(3))
        ),
        currency="EUR",
        exponent=2,
        basis="gross",
        as_of="2017-01-01",
        price=price,
        unit_cost=np.floor(cost).astype(np.int64),
        cost_assumed=rng.random(count) < 0.5,
        net_share=net,
        gross_share=np.ones(count),
        fee_share=rng.choice([0.0, 0.029], count) * fees,
        fee_unit=sometimes(0.3 * fees, np.maximum(price // 50, 1), 0),
        return_rate=rng.choice([0.0, 0.1, 0.35], count),
        support_low=np.minimum(about(wide), price),
        support_high=np.maximum(about(wide), price),
        floor_price=sometimes(0.2, about(0.3), 0),
        ceiling_price=sometimes(0.2, about(0.3), int(NO_LIMIT)),
        map_price=sometimes(rare / 2, about(0.3), 0),
        max_price=sometimes(rare / 2, about(0.3), int(NO_LIMIT)),
        fixed_price=sometimes(rare / 3, about(0.1), 0),
        variant_of=np.arange(count) if lone else rng.integers(0, max(count // 2, 1), count),
        periods_since_change=rng.integers(0, 6, count),
        identified_by=np.where(
            rng.random(count) < rare, rng.integers(3, 5, count), rng.integers(0, 3, count)
        ).astype(np.int8),
        stock=np.where(rng.random(count) < 0.5, np.inf, rng.uniform(0, 40, count)),
        recent=np.repeat(price[:, None], 5, axis=1),
    )


def demand(rng: np.random.Generator, shop: Catalogue) -> DemandParameters:
    n = len(shop)
    draw = {f.name: rng.normal(0.0, 0.2, n) for f in fields(DemandParameters)}
    draw |= {"level": rng.normal(2.0, 1.0, n), "regular": rng.uniform(-4.0, -0.5, n)}
    draw |= {"spill": draw["spill"] * shop.price}
    return DemandParameters(**draw | {"dispersion": np.full(n, 5.0), "log_reference": np.log(shop.price)})


def situation(rng: np.random.Generator, shop: Catalogue, menu: Menu, batch: int) -> Situation:
    """A batch whose runs stand at different prices; variants mostly stand at one."""
    n, k = menu.price.shape
    start = State.start(shop, batch)
    rung = rng.integers(0, k, (batch, n))
    if rng.random() < 0.7:
        rung = rung[:, shop.variants.order[shop.variants.starts]][:, shop.variants.group]
    home = rng.random((batch, n)) < 0.5
    price = np.where(home & (rng.random() < 0.7), shop.price, menu.price[np.arange(n), rung])
    recent = np.maximum(start.recent + rng.integers(-2, 3, start.recent.shape), 1)
    reduced = np.maximum(np.rint(price * rng.choice([0.9, 0.5], price.shape)), 1).astype(np.int64)
    recent[..., 0] = np.where(rng.random(price.shape) < 0.2, reduced, recent[..., 0])
    logs = np.log(recent.astype(np.float64))
    beliefs = demand(rng, shop)
    return Situation(
        catalogue=shop,
        menu=menu,
        state=State(
            stock=start.stock,
            price=price,
            lag=logs[..., 0],
            reference=logs.mean(axis=-1),
            recent=recent,
            since_change=rng.integers(0, 6, (batch, n)),
        ),
        conditions=Conditions(
            depth=np.log(np.where(rng.random((batch, n)) < 0.3, rng.choice([0.9, 0.5], (batch, n)), 1.0)),
            feature=rng.random((batch, n)),
            display=rng.random((batch, n)),
            traffic=np.full((batch, n), 0.1),
            rivals=rng.normal(0.0, 0.1, (batch, n)),
            season=rng.normal(0.0, 0.05, (batch, n)),
        ),
        beliefs=beliefs,
        elasticity_sd=rng.uniform(0.1, 0.6, (n,)),
        myopic=myopic_log_price(beliefs, shop),
        period=int(rng.integers(10_000, 20_000)),
        periods_left=int(rng.integers(1, 26)),
        horizon=26,
    )


def batch_size(rng: np.random.Generator, menu: Menu) -> int:
    """Mostly 1-3 runs; sometimes so many that the kernel looks admissions up instead of computing them."""
    few = int(rng.integers(1, 4))
    return 2 * menu.price.shape[1] + few if rng.random() < 0.04 else few


def shop(seed: int, most: int = 8) -> tuple[Situation, Guardrails, Highest]:
    """One random shop with 1 .. `most` series, a batch of runs, rules and a policy, from a seed."""
    rng = np.random.default_rng(seed)
    rules = settings(rng)
    stock = catalogue(rng, int(rng.integers(1, most + 1)))
    forced = 2 * int(stock.variants.size.max())
    sizes = forced + int(rng.integers(2, 9)), float(rng.choice([0.1, 0.3]))
    held = holdout(np.random.default_rng([seed, 1]), stock)
    menu = candidates(stock, rules.endings, *sizes, held)
    here = situation(rng, stock, menu, batch_size(rng, menu))
    scores = rng.random((*here.state.price.shape, menu.price.shape[1]))
    return here, Guardrails(stock, menu, rules, held=held), Highest(scores)


def holdout(rng: np.random.Generator, shop: Catalogue) -> Ints | None:
    """Prices that a trial holds: of most shops none, else today's or one to go back to."""
    if rng.random() < 0.7:
        return None
    back = np.where(rng.random(len(shop)) < 0.3, np.maximum(shop.price * 9 // 10, 1), shop.price)
    return np.where(rng.random(len(shop)) < 0.4, back, 0).astype(np.int64)


def corridor(rules: GuardrailSettings) -> Corridor:
    return Corridor(
        margin_floor=Fraction(str(rules.margin_floor)),
        max_change=Fraction(str(rules.max_change)),
        cool_down=rules.cool_down,
        max_share_moved=Fraction(str(rules.max_share_moved)),
        endings=rules.endings.last,
        modulus=rules.endings.modulus,
        kill_switch=rules.kill_switch,
        act_on_prior=rules.act_on_prior,
    )


def items(here: Situation, run: int, held: Ints | None = None) -> list[Item]:
    """The products of one run as the oracle reads them: whole numbers and exact fractions."""
    c, state = here.catalogue, here.state

    def exact(value: float) -> Fraction:
        return Fraction(value).limit_denominator(_FINEST)

    return [
        Item(
            ladder=tuple(int(p) for p in here.menu.price[i][here.menu.valid[i]]),
            price=int(state.price[run, i]),
            cost=int(c.unit_cost[i]),
            fee_unit=int(c.fee_unit[i]),
            net_share=exact(c.net_share[i]),
            gross_share=exact(c.gross_share[i]),
            fee_share=exact(c.fee_share[i]),
            support=(int(c.support_low[i]), int(c.support_high[i])),
            bounds=(int(c.floor_price[i]), int(c.ceiling_price[i])),
            map_price=int(c.map_price[i]),
            max_price=int(c.max_price[i]),
            fixed_price=int(c.fixed_price[i]),
            variant_of=int(c.variant_of[i]),
            since_change=int(state.since_change[run, i]),
            evidence=Identification(int(c.identified_by[i])).label,
            paid_share=exact(float(np.exp(here.conditions.depth[run, i]))),
            tags=tuple(int(p) for p in state.recent[run, i]),
            held=0 if held is None else int(held[i]),
        )
        for i in range(len(c))
    ]
