"""``tarifa coupons simulate``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.markup import escape

from api.cli.grid import grid
from api.cli.session import (
    AllAgreed,
    AsJson,
    Debug,
    Language,
    Outcome,
    Restart,
    Session,
    carry_out,
    named,
    written,
)
from pricing.errors import UsageError
from pricing.money import Currency

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from api.cli.session import Told
    from api.texts import Texts
    from policies.bandits.rollout import Rehearsal, Tally
    from policies.compare import Interval
    from pricing.arrays import Floats
    from pricing.coupon_decision import OfferPolicy
    from simulators.coupons.farming import Farming
    from simulators.coupons.habits import Habits
    from simulators.coupons.shop_floor import ShopFloor
    from simulators.coupons.worlds import Prior
    from simulators.unfinished import Work

Tallies: TypeAlias = "dict[str, list[Tally]]"
"""By policy, one a world."""

__all__ = ["COUPON_SIMULATION_KIND", "Asked", "Line", "simulate_coupons", "simulate_offers"]

COUPON_SIMULATION_KIND = "coupon-simulation"
"""Kind of the folder that is written."""

_POLICIES = "none,random,incumbent,lin-ts,logistic-ts,foresight"
_WORLDS_SEED, _HELD_OUT = 5, 10_000
"""Of worlds; first number of those that are reported: nothing is tuned or trained on them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; see the options of the command."""

    policies: tuple[str, ...]
    levels: tuple[float, ...]
    customers: int
    seeds: int
    horizon: int
    reference: str
    run: Path | None
    panel: bool
    faked: float
    farming: float
    restart: bool


@dataclass(frozen=True, slots=True)
class Line:
    """How one policy compares; money in minor units a customer over the horizon.

    `lost_to_farming` is the share of its profit that is missing beside the same run without farmers.
    """

    policy: str
    profit: float
    more: Interval
    revenue: float
    discount: float
    offered: float
    lost_to_farming: Interval | None


def simulate_coupons(
    data: Annotated[Path, typer.Argument(help="Data folder.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    policies: Annotated[
        str,
        typer.Option(
            help="none, random, incumbent, level-1 ..., linucb, lin-ts, logistic-ts, foresight, by commas."
        ),
    ] = _POLICIES,
    levels: Annotated[
        str, typer.Option(help="Discounts that may be offered beside none: ascending shares of the basket.")
    ] = "0.05,0.1,0.15,0.2",
    customers: Annotated[int, typer.Option(help="Simulated customers.", min=2)] = 2000,
    seeds: Annotated[int, typer.Option(help="Sampled worlds.", min=2)] = 8,
    horizon: Annotated[int, typer.Option(help="Periods to simulate.", min=1, max=520)] = 20,
    reference: Annotated[str, typer.Option(help="Policy to compare with.")] = "none",
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder: its response to discounts; default: published elasticities."),
    ] = None,
    faked: Annotated[float, typer.Option(help="Share of customers whose feedback is faked.")] = 0.0,
    farming: Annotated[
        float, typer.Option(help="Share of customers who hold purchases back until a coupon comes.")
    ] = 0.0,
    *,
    panel: AllAgreed = False,
    restart: Restart = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Let coupon policies loose on simulated customers fitted to this shop, and compare them in pairs.

    When customers buy, how much, and whether they use coupons is fitted on the shop's own history; what a
    coupon adds is not in it and is drawn anew for every world. A simulation that was stopped goes on where
    it stopped.

    Example: tarifa coupons simulate data --out coupons --levels 0.05,0.1,0.15 --horizon 20
    """

    def work(session: Session) -> Outcome:
        asked = Asked(
            named(policies), _shares(levels), customers, seeds, horizon, reference, run, panel, faked,
            farming, restart,
        )  # fmt: skip
        return simulate_offers(session, data, out, asked)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def simulate_offers(session: Session, data: Path, out: Path, asked: Asked) -> Outcome:
    """Fit the habits of a data folder's customers, simulate, and write the comparison."""
    from policies.bandits.offers_plot import offers_plot
    from simulators.unfinished import resumable

    _check(asked)
    with resumable(out, COUPON_SIMULATION_KIND) as work, session.progress("coupons simulate") as told:
        told("reading tables", 0.0)
        habits, prior = _fitted(data, asked), _prior(asked.run)
        found, honest = _played(habits, prior, asked, work, told)
        lines = _lines(found, honest, asked)
        facts = _facts(habits, prior, asked, lines)
        (work.draft / "coupons.json").write_text(written(facts), encoding="utf-8")
        import numpy as np

        profit = {name: np.stack([t.profit for t in tallies]) for name, tallies in found.items()}
        (work.draft / "coupons.png").write_bytes(offers_plot(profit, asked.reference))
    texts = session.texts
    said = partial(texts.text, "coupons_simulate")
    money = habits.economics
    shown: list[RenderableType] = [
        _grid(lines, habits, asked, texts),
        said(
            "fitted", households=texts.number(len(habits)), left=texts.percent(1.0 - money.cost / money.net)
        ),
        said("assumed" if asked.run is None else "modelled", mean=texts.number(prior.response[0], 2)),
        *(
            [said("cost_assumed", share=texts.percent(money.cost_assumed))]
            if money.cost_assumed > 0.0
            else []
        ),
        *_farmed(lines, asked, texts),
        said("written", place=escape(str(out))),
    ]
    return Outcome({**facts, "out": str(out)}, tuple(shown))


_BY_NAME = ("none", "random", "incumbent", "linucb", "lin-ts", "logistic-ts", "foresight")
_FIELDS = ("buying", "noise_sd", "visit_spread", "use_level", "use_spread")


def _check(asked: Asked) -> None:
    """Refuse what cannot be played before anything is read."""
    from simulators.coupons.shop_floor import level_menu

    level_menu(asked.levels)
    known = (*_BY_NAME, *(f"level-{level}" for level in range(1, len(asked.levels) + 1)))
    for name in asked.policies:
        if name not in known:
            raise UsageError(f"There is no coupon policy {name}.", todo=f"Choose among {', '.join(known)}.")
    if asked.reference not in asked.policies:
        raise UsageError(f"{asked.reference} is not among the policies.", todo="Name it in --policies too.")
    if not 0.0 <= asked.faked <= 1.0:
        raise UsageError(f"--faked {asked.faked} is no share from 0 to 1.")
    if not 0.0 <= asked.farming <= 1.0:
        raise UsageError(f"--farming {asked.farming} is no share from 0 to 1.")


def _shares(levels: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in named(levels))
    except ValueError as error:
        raise UsageError(
            f"--levels {levels} does not hold shares.", todo="Give for example 0.05,0.1,0.2."
        ) from error


def _fitted(data: Path, asked: Asked) -> Habits:
    import datetime as dt

    from pricing.customers import PERSONAL_OFFERS
    from simulators.contract.tables import open_source
    from simulators.coupons.fit import HABIT_TABLES, habits_of

    with open_source(data, today=dt.datetime.now(dt.UTC), only=HABIT_TABLES) as source:
        return habits_of(source, None if asked.panel else PERSONAL_OFFERS)


def _prior(run: Path | None) -> Prior:
    from dataclasses import replace

    from api.runs import open_shelf
    from simulators.coupons.worlds import Prior, response_of

    return Prior() if run is None else replace(Prior(), response=response_of(open_shelf(run).model))


def _played(
    habits: Habits, prior: Prior, asked: Asked, work: Work, told: Told
) -> tuple[Tallies, Tallies | None]:
    """Play every policy in every world, and without farmers too; each is kept as soon as it is there."""
    from policies.bandits.rollout import Tally, roll_out_offers
    from simulators.coupons.farming import Farming

    pieces = work.resume(_recipe(habits, prior, asked), restart=asked.restart)
    ends = {"": asked.farming} if asked.farming == 0.0 else {"": asked.farming, "-honest": 0.0}
    found: dict[str, Tallies] = {end: {name: [] for name in asked.policies} for end in ends}
    share = 1.0 / (asked.seeds * len(ends) * len(asked.policies))
    for number, (place, end) in enumerate((place, end) for place in range(asked.seeds) for end in ends):
        rehearsal = _rehearsal(habits, prior, asked, _HELD_OUT + place, Farming(ends[end]))
        for done, name in enumerate(asked.policies, number * len(asked.policies)):
            told(name, done * share)
            kept = pieces.read(f"{place:04d}-{name}{end}")
            if kept is None:
                kept = roll_out_offers(rehearsal, _policy(name, rehearsal.floor, prior)).tally.to_bytes()
                pieces.write(f"{place:04d}-{name}{end}", kept)
            found[end][name].append(Tally.from_bytes(kept))
    return found[""], found.get("-honest")


def _rehearsal(habits: Habits, prior: Prior, asked: Asked, world: int, farming: Farming) -> Rehearsal:
    import numpy as np

    from policies.bandits.rollout import Rehearsal
    from simulators.coupons.shop_floor import ShopFloor, level_menu
    from simulators.coupons.worlds import crowd_of, customer_keys, draw_truths

    truths = draw_truths(habits, prior, 1, seed=_WORLDS_SEED, first=world)
    crowd = crowd_of(habits, truths, np.array([world]), customer_keys(asked.customers), farming)
    floor = ShopFloor.of(crowd, level_menu(asked.levels), asked.horizon)
    return Rehearsal(floor, world, _WORLDS_SEED, faked=asked.faked)


def _recipe(habits: Habits, prior: Prior, asked: Asked) -> dict[str, object]:
    """Return all that a simulation follows from."""
    import platform
    from importlib.metadata import version

    return {
        "data": habits.fingerprint,
        "households": len(habits),
        "prior": {name: list(value) for name, value in asdict(prior).items()},
        "levels": list(asked.levels),
        "policies": list(asked.policies),
        "customers": asked.customers,
        "seeds": asked.seeds,
        "horizon": asked.horizon,
        "faked": asked.faked,
        "farming": asked.farming,
        "versions": {name: version(name) for name in ("numpy", "scipy", "tarifa")},
        "machine": platform.machine(),
    }


def _policy(name: str, floor: ShopFloor, prior: Prior) -> OfferPolicy:
    from policies.bandits.experience import Shop
    from policies.bandits.foresight import Foresight
    from policies.bandits.linear import LinearThompson, LinUCB
    from policies.bandits.logistic import LogisticThompson
    from policies.bandits.rules import ConstantLevel, RandomLevel, RecencyRule

    shop, offers = Shop.of(floor), len(floor.menu)
    made: dict[str, OfferPolicy] = {
        "none": ConstantLevel(0), "random": RandomLevel(),
        "incumbent": RecencyRule(tuple(range(3, 3 + 2 * (offers - 1), 2))),
        "linucb": LinUCB.of(shop), "lin-ts": LinearThompson.of(shop, _WORLDS_SEED),
        "logistic-ts": LogisticThompson.of(shop, _WORLDS_SEED),
        "foresight": Foresight.of(shop, prior, floor.horizon, _WORLDS_SEED),
        **{f"level-{level}": ConstantLevel(level) for level in range(1, offers)},
    }  # fmt: skip
    return made[name]


def _lines(found: Tallies, honest: Tallies | None, asked: Asked) -> list[Line]:
    import numpy as np

    from policies.compare import ratio_interval

    def profits(run: Tallies) -> dict[str, Floats]:
        return {name: np.array([float(t.profit.sum()) for t in tallies]) for name, tallies in run.items()}

    totals, without = profits(found), profits(honest or {})
    base = totals[asked.reference]
    if base.mean() <= 0.0:
        raise UsageError(f"{asked.reference} made no profit, so nothing is a percentage of it.")
    revenue = {name: sum(float(t.revenue.sum()) for t in tallies) for name, tallies in found.items()}
    runs = asked.seeds * asked.customers
    return [
        Line(
            policy=name,
            profit=float(totals[name].sum()) / runs,
            more=ratio_interval(totals[name] - base, base),
            revenue=revenue[name] / revenue[asked.reference],
            discount=sum(float(t.discount.sum()) for t in tallies) / runs,
            offered=1.0 - sum(int(t.offers[:, 0].sum()) for t in tallies) / (runs * asked.horizon),
            lost_to_farming=_lost(without[name], totals[name]) if name in without else None,
        )
        for name, tallies in found.items()
    ]


def _lost(honest: Floats, farmed: Floats) -> Interval:
    """Return the share of profits [W] that farming costs; a policy that earns nothing has none to lose."""
    from policies.compare import ratio_interval

    if honest.mean() <= 0.0:
        raise UsageError("A policy made no profit, so nothing is a share of it.", todo="Leave it out.")
    return ratio_interval(honest - farmed, honest)


def _facts(habits: Habits, prior: Prior, asked: Asked, lines: list[Line]) -> dict[str, object]:
    from simulators.coupons.farming import Farming

    fitted = {name: getattr(habits, name) for name in _FIELDS}
    return {
        "households": len(habits),
        "currency": habits.currency,
        "period_days": habits.period_days,
        "fingerprint": habits.fingerprint,
        "customers": asked.customers,
        "worlds": asked.seeds,
        "horizon": asked.horizon,
        "levels": list(asked.levels),
        "reference": asked.reference,
        "faked": asked.faked,
        "farming": asdict(Farming(asked.farming)),
        "economics": asdict(habits.economics),
        "fitted": {**fitted, "carts": bool(habits.cart_opens > 0.0)},
        "assumed": {name: list(value) for name, value in asdict(prior).items()},
        "response_from": "published elasticities" if asked.run is None else str(asked.run),
        "policies": [asdict(line) for line in lines],
    }


def _grid(lines: list[Line], habits: Habits, asked: Asked, texts: Texts) -> Table:
    word, money = partial(texts.text, "coupons_simulate"), Currency.of(habits.currency)
    counts = (asked.customers, asked.horizon, asked.seeds)
    title = word(
        "title", **dict(zip(("customers", "periods", "worlds"), map(texts.number, counts), strict=True))
    )
    header = (
        word("policy"), word("profit"), word("more", reference=asked.reference),
        texts.text("word", "interval"), word("revenue", reference=asked.reference), word("discount"),
        word("offered"),
    )  # fmt: skip
    rows = [
        (
            line.policy,
            texts.amount(round(line.profit), money),
            texts.number(100.0 * line.more.estimate, 2),
            _span(line.more, texts),
            texts.number(100.0 * line.revenue, 2),
            texts.amount(round(line.discount), money),
            texts.percent(line.offered),
        )
        for line in lines
    ]
    return grid(title, header, rows, right=(1, 2, 3, 4, 5, 6))


def _farmed(lines: list[Line], asked: Asked, texts: Texts) -> list[RenderableType]:
    """Return what is shown of farming: nothing where nobody farms."""
    word = partial(texts.text, "coupons_simulate")
    rows = [
        (line.policy, texts.number(100.0 * lost.estimate, 2), _span(lost, texts))
        for line in lines
        if (lost := line.lost_to_farming) is not None
    ]
    header = word("policy"), word("lost"), texts.text("word", "interval")
    title = word("farming", share=texts.percent(asked.farming))
    return [grid(title, header, rows, right=(1, 2)), word("farmed")] if rows else []


def _span(found: Interval, texts: Texts) -> str:
    return f"{texts.number(100.0 * found.lower_90, 2)} .. {texts.number(100.0 * found.upper_90, 2)}"
