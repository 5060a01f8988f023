"""The guardrails a second time: one product, one price, one rule at a time, in plain Python and fractions.

Written from `docs/guardrails.md`, not from the kernel; it shares no code with it. Slow on purpose.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

PRECEDENCE = (
    ("kill_switch", "legal"),
    ("fixed_price", "legal"),
    ("max_price", "legal"),
    ("map_price", "legal"),
    ("prior_price", "legal"),
    ("below_cost", "never_lose_money"),
    ("outside_support", "never_lose_money"),
    ("not_identified", "never_lose_money"),
    ("variant_equality", "relations"),
    ("max_change", "stability"),
    ("cool_down", "stability"),
    ("share_moved", "stability"),
    ("holdout", "stability"),
    ("price_bounds", "commercial"),
    ("margin_floor", "commercial"),
    ("price_ending", "rounding"),
)
KIND = dict(PRECEDENCE)
RANK = {rule: place for place, (rule, _) in enumerate(PRECEDENCE)}
ABOUT_MOVING = {
    "kill_switch",
    "outside_support",
    "not_identified",
    "max_change",
    "cool_down",
    "share_moved",
    "price_ending",
}
Rules = frozenset[str]
NONE: Rules = frozenset()


@dataclass(frozen=True)
class Corridor:
    margin_floor: Fraction
    max_change: Fraction
    cool_down: int
    max_share_moved: Fraction
    endings: tuple[int, ...]
    modulus: int
    kill_switch: bool
    act_on_prior: bool


@dataclass(frozen=True)
class Item:
    """One product in one run; money in minor units, shares as exact fractions."""

    ladder: tuple[int, ...]
    price: int
    cost: int
    fee_unit: int
    net_share: Fraction
    gross_share: Fraction
    fee_share: Fraction
    support: tuple[int, int]
    bounds: tuple[int, int]
    map_price: int
    max_price: int
    fixed_price: int
    variant_of: int
    since_change: int
    evidence: str
    paid_share: Fraction
    tags: tuple[int, ...]
    """Shelf prices of the last 30 days, the newest first."""
    held: int = 0


@dataclass
class Verdict:
    """What a product may be sold at, by price; `broken` holds every rule that a price breaks."""

    broken: dict[int, Rules]
    allowed: set[int]
    status: str = "open"
    relaxed: Rules = NONE
    price: int | None = None
    binding: str | None = None


def _paid(item: Item, price: int) -> Fraction:
    return price * item.paid_share


def _net(item: Item, price: int) -> Fraction:
    return _paid(item, price) * item.net_share


def _profit(item: Item, price: int) -> Fraction:
    fees = _paid(item, price) * item.gross_share * item.fee_share + item.fee_unit
    return _net(item, price) - item.cost - fees


def _not_identified(item: Item, corridor: Corridor) -> bool:
    if item.evidence == "prior":
        return not corridor.act_on_prior
    return item.evidence == "not_identified"


def _no_reduction(item: Item, price: int) -> bool:
    """A planned reduction that is not below every tag of the last 30 days, unless it simply goes on."""
    if item.paid_share == 1:
        return False
    tag = max(_paid(item, price), Fraction(1))
    goes_on = price == item.price > item.tags[0] and abs(tag - item.tags[0]) <= Fraction(1, 2)
    return tag >= min(item.tags) - Fraction(1, 2) and not goes_on


BREAKS: Mapping[str, Callable[[Item, Corridor, int], bool]] = {
    "kill_switch": lambda _, c, __: c.kill_switch,
    "fixed_price": lambda i, _, p: i.fixed_price not in (0, p),
    "max_price": lambda i, _, p: p > i.max_price,
    "map_price": lambda i, _, p: _paid(i, p) < i.map_price,
    "prior_price": lambda i, _, p: _no_reduction(i, p),
    "below_cost": lambda i, _, p: _profit(i, p) < 0,
    "outside_support": lambda i, _, p: not i.support[0] <= p <= i.support[1],
    "not_identified": lambda i, c, _: _not_identified(i, c),
    "max_change": lambda i, c, p: abs(p - i.price) > c.max_change * i.price,
    "cool_down": lambda i, c, _: i.since_change < c.cool_down,
    "holdout": lambda i, _, p: i.held not in (0, p),
    "price_bounds": lambda i, _, p: not i.bounds[0] <= p <= i.bounds[1],
    "margin_floor": lambda i, c, p: _profit(i, p) < c.margin_floor * _net(i, p),
    "price_ending": lambda _, c, p: bool(c.endings) and p % c.modulus not in c.endings,
}


def own_rules(item: Item, corridor: Corridor, price: int) -> Rules:
    """Rules of one product alone that `price` breaks; keeping the price in force is no move."""
    hit = {rule for rule, breaks in BREAKS.items() if breaks(item, corridor, price)}
    if price == item.held:
        hit -= {"max_change", "cool_down", "price_ending"}
    return frozenset(hit - ABOUT_MOVING if price == item.price else hit)


def hard(rules: Rules) -> bool:
    return any(KIND[rule] in {"legal", "never_lose_money"} for rule in rules)


def admit(items: Sequence[Item], corridor: Corridor) -> list[Verdict]:
    """Allowed sets of one run, before the joint step."""
    own = [{p: own_rules(item, corridor, p) for p in item.ladder} for item in items]
    verdicts = []
    for i, item in enumerate(items):
        others = [j for j in family(items, i) if j != i]
        broken = {
            p: own[i][p] | ({"variant_equality"} if any(own[j][p] for j in others) else NONE)
            for p in item.ladder
        }
        verdicts.append(Verdict(broken, {p for p in item.ladder if not broken[p]}))
    for i in range(len(items)):
        members = family(items, i)
        if i == members[0] and not verdicts[i].allowed:
            _relax(items, own, members, verdicts)
    return verdicts


def family(items: Sequence[Item], i: int) -> list[int]:
    return [j for j, other in enumerate(items) if other.variant_of == items[i].variant_of]


def _relax(
    items: Sequence[Item], own: Sequence[dict[int, Rules]], members: list[int], verdicts: list[Verdict]
) -> None:
    """Keep where all may keep; else give up classes for all of them; else ask each of them alone."""
    may_keep = {j: items[j].price in items[j].ladder and not hard(own[j][items[j].price]) for j in members}
    if all(may_keep.values()):
        for j in members:
            _set(verdicts[j], own[j], {items[j].price}, "no_change")
    else:
        common = _common(items, own, members)
        for j in members:
            if common:
                _set(verdicts[j], own[j], common, "relaxed")
            elif may_keep[j]:
                _set(verdicts[j], own[j], {items[j].price}, "no_change")
            else:
                free = {p for p in items[j].ladder if not hard(own[j][p])}
                _set(verdicts[j], own[j], free, "relaxed" if free else "blocked")
    if any(verdicts[j].allowed != verdicts[members[0]].allowed for j in members):
        for j in members:
            if verdicts[j].allowed:
                verdicts[j].relaxed |= {"variant_equality"}


def _common(items: Sequence[Item], own: Sequence[dict[int, Rules]], members: list[int]) -> set[int]:
    for classes in ({"rounding"}, {"rounding", "commercial"}, {"rounding", "commercial", "stability"}):
        free = {
            p
            for p in items[members[0]].ladder
            if all({KIND[rule] for rule in own[j][p]} <= classes for j in members)
        }
        if free:
            return free
    return set()


def _set(verdict: Verdict, own: dict[int, Rules], allowed: set[int], status: str) -> None:
    verdict.allowed, verdict.status = set(allowed), status
    verdict.relaxed = frozenset().union(*(own[p] for p in allowed))


Scores = Sequence[Mapping[int, float]]


def choose(items: Sequence[Item], allowed: Sequence[set[int]], scores: Scores) -> list[int | None]:
    """The highest score wins; variants that may agree take what most of them chose, the lowest of equals."""
    chosen = [min(a, key=lambda p: (-scores[i][p], p)) if a else None for i, a in enumerate(allowed)]
    agreed = list(chosen)
    for i in range(len(items)):
        members = family(items, i)
        if chosen[i] is not None and all(allowed[j] == allowed[i] for j in members):
            votes = [p for j in members if (p := chosen[j]) is not None]
            agreed[i] = min(votes, key=lambda p: (-votes.count(p), p))
    return agreed


def limit_share(
    items: Sequence[Item],
    verdicts: Sequence[Verdict],
    chosen: list[int | None],
    gain: Sequence[float],
    most: int,
) -> float:
    """Refuse the least profitable moves beyond `most`; returns what the first one refused was worth."""
    movers = [i for i, item in enumerate(items) if chosen[i] is not None and chosen[i] != item.price]
    units = []
    for i in movers:
        members = family(items, i)
        linked = all(verdicts[j].allowed == verdicts[i].allowed for j in members)
        units.append(tuple(members) if linked else (i,))
    free = [unit for unit in dict.fromkeys(units) if _may_all_keep(items, verdicts, unit)]
    room = max(most - sum(not _may_all_keep(items, verdicts, unit) for unit in units), 0)
    worth = {unit: sum(gain[j] for j in unit) / len(unit) for unit in free}
    shadow = 0.0
    for unit in sorted(free, key=lambda u: (-worth[u], u)):
        if len(unit) <= room:
            room -= len(unit)
            continue
        shadow = max(shadow, worth[unit])
        for j in unit:
            _refuse(items[j], verdicts[j], chosen, j)
    return shadow


def _may_all_keep(items: Sequence[Item], verdicts: Sequence[Verdict], unit: tuple[int, ...]) -> bool:
    one_price = len({items[j].price for j in unit}) == 1
    return one_price and not any(hard(verdicts[j].broken[items[j].price]) for j in unit)


def _refuse(item: Item, verdict: Verdict, chosen: list[int | None], place: int) -> None:
    if item.price not in verdict.allowed:
        verdict.status = "no_change"
        verdict.relaxed = verdict.relaxed | verdict.broken[item.price] - {"variant_equality"}
    verdict.allowed, chosen[place] = {item.price}, item.price
    verdict.broken = {
        p: r | ({"share_moved"} if p != item.price else NONE) for p, r in verdict.broken.items()
    }


@cache
def binding_rule(broken: Rules) -> str | None:
    """Search every set of rules, the small ones first, whose removal makes a price allowed."""
    names = [rule for rule, _ in PRECEDENCE]
    for size in range(len(names) + 1):
        restoring = [s for s in itertools.combinations(names, size) if not broken - set(s)]
        if restoring:
            first = [min(s, key=RANK.__getitem__) for s in restoring if s]
            return min(first, key=RANK.__getitem__) if first else None
    raise AssertionError(broken)


def decide(
    items: Sequence[Item], corridor: Corridor, scores: Scores, gains: Sequence[Mapping[int, float]]
) -> tuple[list[Verdict], float]:
    """Decide one run; `gains` is the expected profit of every product and price over keeping its price."""
    verdicts = admit(items, corridor)
    chosen = choose(items, [v.allowed for v in verdicts], scores)
    most = len(items) * corridor.max_share_moved.numerator // corridor.max_share_moved.denominator
    shadow = 0.0
    if most < len(items):
        gain = [0.0 if p is None else gains[i][p] for i, p in enumerate(chosen)]
        shadow = limit_share(items, verdicts, chosen, gain, most)
    wanted = choose(items, [set(item.ladder) for item in items], scores)
    for i, verdict in enumerate(verdicts):
        verdict.price = chosen[i]
        want = wanted[i]
        assert want is not None
        verdict.binding = None if want in verdict.allowed else binding_rule(verdict.broken[want])
    return verdicts, shadow
