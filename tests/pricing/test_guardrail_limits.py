"""Guardrails at their limits: every set of rules on one price, every order of giving up, every last unit."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.decision import Decision, decide
from pricing.errors import SettingsError
from pricing.guardrails import Admission, Guardrails, GuardrailSettings, Rule, Status
from pricing.menu import Endings, Menu
from pricing.transition import State
from tests.pricing.comparison import labels
from tests.pricing.small_shop import Wants, admit, allowed, catalogue, menu, situation

_LADDER = (80, 90, 100, 110)
_FACTS: dict[Rule, dict[str, Any]] = {
    Rule.FIXED_PRICE: {"fixed_price": 100},
    Rule.MAP_PRICE: {"map_price": 81},
    Rule.PRIOR_PRICE: {"recent": [99, 50, 50, 50, 50]},
    Rule.BELOW_COST: {"unit_cost": 81},
    Rule.OUTSIDE_SUPPORT: {"support_low": 81},
    Rule.NOT_IDENTIFIED: {"identified_by": 4},
    Rule.COOL_DOWN: {"periods_since_change": 1},
    Rule.PRICE_BOUNDS: {"floor_price": 81},
}
_CORRIDOR: dict[Rule, dict[str, Any]] = {
    Rule.KILL_SWITCH: {"kill_switch": True},
    Rule.MAX_CHANGE: {"max_change": 0.1999},
    Rule.COOL_DOWN: {"cool_down": 2},
    Rule.SHARE_MOVED: {"max_share_moved": 0.0},
    Rule.MARGIN_FLOOR: {"margin_floor": 0.1},
    Rule.PRICE_ENDING: {"endings": Endings((0, 10, 90), 100)},
}
_ALL = tuple(rule for rule in Rule if rule is not Rule.MAX_PRICE)  # nothing is above 80 and below 100
_ASKS = frozenset(
    {
        Rule.KILL_SWITCH,
        Rule.FIXED_PRICE,
        Rule.PRIOR_PRICE,
        Rule.NOT_IDENTIFIED,
        Rule.COOL_DOWN,
        Rule.HOLDOUT,
    }
)  # only 100 is left: nobody asks to move, so no share is refused


def _eighty(rules: Iterable[Rule]) -> Decision:
    """Decide a product at 100 that wants 80, where exactly `rules` forbid 80 and nothing forbids 100."""
    facts: dict[str, Any] = {"unit_cost": 73 if Rule.MARGIN_FLOOR in rules else 50}
    corridor: dict[str, Any] = {"margin_floor": -1.0, "max_change": 1.0}
    for rule in rules:
        facts |= _FACTS.get(rule, {})
        corridor |= _CORRIDOR.get(rule, {})
    linked = Rule.VARIANT_EQUALITY in rules
    plain = catalogue((100, 100))
    both = {name: [value, getattr(plain, name)[1]] for name, value in facts.items()}
    if linked:
        both |= {"variant_of": [0, 0], "map_price": [facts.get("map_price", 0), 81]}
    shop = catalogue((100, 100), **both)
    here = situation(shop, menu(2, _LADDER))
    if Rule.PRIOR_PRICE in rules:  # one percent off: it goes on at 100, and 80 would be a new one above 50
        here = replace(here, conditions=replace(here.conditions, depth=np.log([0.99, 1.0])))
    held = np.array([100, 0]) if Rule.HOLDOUT in rules else None
    guardrails = Guardrails(shop, here.menu, GuardrailSettings(**corridor), held=held)
    made = decide(here, guardrails, Wants((80, 80)), seed=1, runs=np.arange(1), fingerprint="f")
    return made.record(0, 0)


@settings(max_examples=250, deadline=None)
@given(st.sets(st.sampled_from(_ALL)))
def test_a_price_is_rejected_by_exactly_the_rules_it_breaks(rules: set[Rule]) -> None:
    """Any set of rules: all of them are recorded, the topmost binds, and the price in force stays open."""
    expected = set(rules)
    if rules & _ASKS:
        expected -= {Rule.SHARE_MOVED}
    record = _eighty(rules)
    assert labels(record.rejections[0]) == {rule.label for rule in expected}
    assert record.allowed[0] == (not expected)
    assert record.rejections[_LADDER.index(100)] == 0
    assert record.binding == min(expected, default=None)
    assert (record.status, record.relaxed) == (Status.OPEN, 0)
    assert record.price is not None
    assert record.allowed[_LADDER.index(record.price)]


@pytest.mark.parametrize(
    "pair", list(itertools.combinations(_ALL, 2)), ids=lambda p: "+".join(r.label for r in p)
)
def test_lifting_one_of_two_rules_is_not_enough(pair: tuple[Rule, Rule]) -> None:
    """Binding by lifting: both must go before the price is open, and the topmost of both is named."""
    upper, lower = pair
    if Rule.SHARE_MOVED in pair and _ASKS & set(pair):
        return
    assert _eighty(pair).binding == upper
    assert _eighty({upper}).binding == upper
    assert _eighty({lower}).binding == lower
    assert _eighty(set()).price == 80


_BREAKS = {900: "", 905: "R", 960: "C", 965: "RC", 850: "S", 855: "RS", 700: "CS", 705: "RCS"}
_NAMES = {"R": "price_ending", "C": "price_bounds", "S": "max_change"}


@pytest.mark.parametrize("count", range(1, 9))
def test_soft_rules_give_way_class_by_class_and_no_further(count: int) -> None:
    """The price in force is illegal. Of every set of eight prices those of the least class are open."""
    for prices in itertools.combinations(sorted(_BREAKS), count):
        ladder = (*prices, 1000)
        shop = catalogue((1000,), max_price=999, floor_price=800, ceiling_price=950)
        found = admit(shop, ladder, max_change=0.1, endings=Endings((0,), 10))
        given_up = next(g for g in ("", "R", "RC", "RCS") if any(set(_BREAKS[p]) <= set(g) for p in prices))
        expected = [p for p in prices if set(_BREAKS[p]) <= set(given_up)]
        assert allowed(found, 0, ladder) == expected
        assert labels(int(found.relaxed[0, 0])) == {_NAMES[c] for p in expected for c in _BREAKS[p]}
        assert found.status[0, 0] == (Status.RELAXED if given_up else Status.OPEN)


@pytest.mark.parametrize(
    ("facts", "corridor", "limit", "inside"),
    [
        ({"max_price": 97}, {}, 97, -1),
        ({"map_price": 103}, {}, 103, 1),
        ({"unit_cost": 103}, {}, 103, 1),
        ({"unit_cost": 0, "fee_unit": 103}, {}, 103, 1),
        (
            {"unit_cost": 93, "fee_share": 0.1, "gross_share": 1.0},
            {},
            104,
            1,
        ),  # 104 x .9 = 93.6, 103 x .9 = 92.7
        ({"support_low": 103}, {}, 103, 1),
        ({"support_high": 97}, {}, 97, -1),
        ({"floor_price": 103}, {}, 103, 1),
        ({"ceiling_price": 97}, {}, 97, -1),
        ({"unit_cost": 80}, {"margin_floor": 0.2}, 100, 1),  # 100 - 80 is a fifth
        ({"unit_cost": 72}, {"margin_floor": 0.28}, 100, 1),  # .28 x 100 is 28.000000000000004
        ({"unit_cost": 85, "net_share": 1 / 1.21}, {}, 103, 1),  # 102.85
        ({"unit_cost": 100, "net_share": 1 / 1.21}, {}, 121, 1),  # 100 x 1.21 exactly
        ({}, {"max_change": 0.07}, 107, -1),
        ({}, {"max_change": 0.07}, 93, 1),
        ({}, {"max_change": 0.0999}, 109, -1),
        ({}, {"max_change": 0.0999}, 91, 1),
    ],
)
def test_the_limit_is_allowed_and_the_next_unit_is_not(
    facts: dict[str, Any], corridor: dict[str, Any], limit: int, inside: int
) -> None:
    ladder = tuple(range(70, 131))
    found = admit(catalogue((100,), **facts), ladder, **{"max_change": 1.0, **corridor})
    broken = {p: bool(bits) for p, bits in zip(ladder, found.rejections[0, 0], strict=True)}
    beyond = limit - inside
    assert not broken[limit]
    assert broken[beyond] or beyond == 100, "keeping the price breaks no rule about moving"
    keeps = {"support_low", "support_high"} & facts.keys() or not facts
    for price in ladder:
        wrong_side = (price - limit) * inside < 0
        one_sided = wrong_side or (not facts and abs(price - 100) > abs(limit - 100))
        assert broken[price] == (one_sided and not (keeps and price == 100)), price


@pytest.mark.parametrize("price", [1, 2, 99, 10**9, 10**13, 10**15 + 7, 2**53 + 1, 2**61 + 3, 2**62 - 1024])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.29, 1 / 3, 0.123457, 0.999999, 1.0])
def test_the_largest_step_is_exact_at_any_size_of_money(price: int, share: float) -> None:
    """Price times numerator passes 2**63 long before the price does; Python's integers do not."""
    step = int(price * Fraction(str(share)).limit_denominator(10**6))
    around = {price - step - 1, price - step, price - 1, price, price + 1, price + step, price + step + 1}
    ladder = tuple(sorted(p for p in around if 0 < p < 2**63))
    shop = catalogue((price,), unit_cost=0, support_high=2**62)
    inside = [p for p in ladder if abs(p - price) <= step]
    assert allowed(admit(shop, ladder, max_change=share, margin_floor=-1.0), 0, ladder) == [
        p for p in inside if p <= 2**62
    ]


def test_limits_at_the_ends_of_an_integer_limit_nothing_or_everything() -> None:
    ladder, most = (1, 2**30, 2**61), int(NO_LIMIT)
    free = {"max_change": 1.0, "margin_floor": -1.0}
    shop = catalogue(
        (2**30,), unit_cost=0, support_low=0, support_high=most, ceiling_price=most, max_price=most
    )
    assert allowed(admit(shop, ladder, **free), 0, ladder) == [1, 2**30]
    shut = catalogue((2**30,), unit_cost=most - 1024, support_high=most)
    assert admit(shut, ladder, **free).status.tolist() == [[Status.BLOCKED]]
    never = catalogue((2**30,), max_price=0)
    assert admit(never, ladder, **free).status.tolist() == [[Status.BLOCKED]]
    waiting = catalogue((2**30,), unit_cost=0, periods_since_change=2**62)
    assert allowed(admit(waiting, ladder, cool_down=2**61, **free), 0, ladder) == [1, 2**30]


def test_a_price_of_one_unit_at_no_cost_may_rise_to_two_and_never_fall_to_nothing() -> None:
    shop = catalogue((1,), unit_cost=0)
    assert allowed(admit(shop, (1, 2, 3), max_change=1.0, margin_floor=1.0), 0, (1, 2, 3)) == [1, 2]
    taxed = catalogue((1,), unit_cost=0, fee_unit=1)
    assert admit(taxed, (1, 2), max_change=0.5).status.tolist() == [[Status.OPEN]]
    assert admit(catalogue((1,), unit_cost=2), (1, 2), max_change=0.5).relaxed.tolist() == [
        [int(Rule.MAX_CHANGE.bit)]
    ]


def test_rules_that_contradict_each_other_block_and_name_themselves() -> None:
    found = admit(catalogue((100,), map_price=111, max_price=109))
    assert found.status.tolist() == [[Status.BLOCKED]]
    every = [labels(int(bits)) & {"map_price", "max_price"} for bits in found.rejections[0, 0]]
    assert every == [{"map_price"}] * 5 + [{"map_price", "max_price"}, {"max_price"}]


def test_a_ladder_without_a_single_price_is_blocked_and_says_nothing() -> None:
    shop = catalogue((100, 100))
    rungs, valid = np.full((2, 3), 100), np.array([[False] * 3, [True, False, False]])
    found = Guardrails(shop, Menu.of(rungs, valid), GuardrailSettings()).admit(State.start(shop, 2))
    assert found.status.tolist() == [[Status.BLOCKED, Status.OPEN]] * 2
    assert found.current.tolist() == [[-1, 0]] * 2
    assert not found.allowed[:, 0].any()
    assert not found.rejections.any()


def test_a_price_in_force_that_is_no_rung_cannot_be_kept() -> None:
    """Nobody may be told to keep a price that the record has no place for: it goes to the nearest rungs."""
    shop = catalogue((100,), unit_cost=0)
    found = admit(shop, (90, 99, 101, 120))
    assert found.current.tolist() == [[-1]]
    assert allowed(found, 0, (90, 99, 101, 120)) == [90, 99, 101]
    frozen = admit(shop, (90, 99, 101, 120), kill_switch=True)
    assert frozen.status.tolist() == [[Status.BLOCKED]]
    calm = admit(shop, (90, 99, 101, 120), cool_down=20)
    assert allowed(calm, 0, (90, 99, 101, 120)) == [90, 99, 101, 120]
    assert labels(int(calm.relaxed[0, 0])) == {"cool_down", "max_change"}


@pytest.mark.parametrize("name", ["margin_floor", "max_change", "max_share_moved", "cool_down"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1.0000001, -1.0000001])
def test_a_setting_that_is_no_number_in_range_never_opens_a_rule(name: str, value: float) -> None:
    if name == "cool_down" and value > 0:
        assert allowed(admit(catalogue((100,), periods_since_change=1), cool_down=value)) == [100]
        return
    with pytest.raises(SettingsError, match=name):
        GuardrailSettings(**{name: value})  # type: ignore[arg-type] # by name


_TIGHTER: dict[str, tuple[str, int]] = {
    "max_price": ("catalogue", -3),
    "map_price": ("catalogue", 3),
    "unit_cost": ("catalogue", 2),
    "support_low": ("catalogue", 2),
    "support_high": ("catalogue", -2),
    "floor_price": ("catalogue", 3),
    "ceiling_price": ("catalogue", -3),
}


@settings(max_examples=120, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "max_price": st.integers(95, 125),
            "map_price": st.integers(75, 100),
            "unit_cost": st.integers(60, 100),
            "support_low": st.integers(75, 100),
            "support_high": st.integers(100, 125),
            "floor_price": st.integers(75, 100),
            "ceiling_price": st.integers(100, 125),
        }
    ),
    st.sampled_from(sorted(_TIGHTER)),
    st.floats(0.0, 0.5),
)
def test_a_tighter_limit_opens_nothing_that_no_rule_had_closed(
    facts: dict[str, Any], name: str, change: float
) -> None:
    """Rejections only grow when one limit tightens; allowed prices only shrink while any passes all rules."""
    ladder = tuple(range(76, 125, 2))
    loose = admit(catalogue((100,), **facts), ladder, max_change=change)
    tight = admit(
        catalogue((100,), **facts | {name: facts[name] + _TIGHTER[name][1]}), ladder, max_change=change
    )
    assert ((loose.rejections & ~tight.rejections) == 0).all()
    if tight.status[0, 0] == Status.OPEN:
        assert set(allowed(tight, 0, ladder)) <= set(allowed(loose, 0, ladder))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 50))
def test_another_unit_of_money_changes_no_verdict(seed: int, scale: int) -> None:
    """Cents or tenths of a cent: every limit times the same number gives the same bits, if steps divide."""
    rng = np.random.default_rng(seed)
    ladder = np.arange(60, 141, 5)
    ranges = {
        "unit_cost": (40, 100), "fee_unit": (0, 5), "map_price": (50, 100), "max_price": (100, 150),
        "floor_price": (50, 100), "ceiling_price": (100, 150), "support_low": (50, 100),
        "support_high": (100, 150), "fixed_price": (0, 2),
    }  # fmt: skip
    facts = {
        name: int(rng.integers(*ends)) * (105 if name == "fixed_price" else 1)
        for name, ends in ranges.items()
    }
    shares = {"net_share": 0.8, "fee_share": 0.02, "return_rate": 0.1}
    corridor = {"max_change": 0.1, "margin_floor": 0.15, "cool_down": int(rng.integers(0, 12))}
    one, many = (
        _admit(catalogue((100 * k,), **shares, **{n: v * k for n, v in facts.items()}), ladder * k, corridor)
        for k in (1, scale)
    )
    for name in ("rejections", "allowed", "current", "status", "relaxed"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


def _admit(shop: Catalogue, ladder: np.ndarray, corridor: dict[str, Any]) -> Admission:
    rungs = Menu.of(ladder[None], np.ones((1, len(ladder)), dtype=np.bool_))
    return Guardrails(shop, rungs, GuardrailSettings(**corridor)).admit(State.start(shop, 1))
