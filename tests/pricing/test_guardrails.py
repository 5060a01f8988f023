from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pricing.guardrails
from pricing.arrays import Bits, Ints
from pricing.demand import Conditions
from pricing.errors import SettingsError
from pricing.guardrails import HARD, GuardrailSettings, Rule, RuleClass, Status, first_rule
from pricing.menu import Endings, Menu
from pricing.transition import State, step
from tests.pricing import brute_force
from tests.pricing.comparison import differences, labels
from tests.pricing.small_shop import admit, allowed, beliefs, catalogue, guardrails

_CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[int], str, set[str]]] = {
    "ten percent either way": ({}, {}, [90, 95, 100, 105, 110], "open", set()),
    "five percent": ({}, {"max_change": 0.05}, [95, 100, 105], "open", set()),
    "no move at all": ({}, {"max_change": 0.0}, [100], "open", set()),
    "at cost is not below cost": ({"unit_cost": 105}, {}, [105, 110], "open", set()),
    "below cost, the step gives way": ({"unit_cost": 115}, {}, [120], "relaxed", {"max_change"}),
    "the whole ladder below cost": ({"unit_cost": 130}, {}, [], "blocked", set()),
    "margin met exactly": ({}, {"margin_floor": 0.5}, [100, 105, 110], "open", set()),
    "margin out of reach": ({}, {"margin_floor": 0.6}, [100], "no_change", {"margin_floor"}),
    "bounds": ({"floor_price": 95, "ceiling_price": 105}, {}, [95, 100, 105], "open", set()),
    "bounds out of reach": ({"floor_price": 120}, {}, [100], "no_change", {"price_bounds"}),
    "bounds that contradict": (
        {"floor_price": 105, "ceiling_price": 95},
        {},
        [100],
        "no_change",
        {"price_bounds"},
    ),
    "MAP above the price in force": ({"map_price": 105}, {}, [105, 110], "open", set()),
    "MAP beyond one step": ({"map_price": 111}, {}, [120], "relaxed", {"max_change"}),
    "MAP beyond the ladder": ({"map_price": 130}, {}, [], "blocked", set()),
    "maximum price": ({"max_price": 95}, {}, [90, 95], "open", set()),
    "law fixes the price in force": ({"fixed_price": 100}, {}, [100], "open", set()),
    "law fixes another price": ({"fixed_price": 120}, {}, [120], "relaxed", {"max_change"}),
    "law fixes a price never seen": ({"fixed_price": 120, "support_high": 110}, {}, [], "blocked", set()),
    "law and no evidence": ({"fixed_price": 105, "identified_by": 4}, {}, [], "blocked", set()),
    "kill switch": ({}, {"kill_switch": True}, [100], "open", set()),
    "kill switch below cost": ({"unit_cost": 101}, {"kill_switch": True}, [], "blocked", set()),
    "still waiting": ({"periods_since_change": 1}, {"cool_down": 2}, [100], "open", set()),
    "waited long enough": (
        {"periods_since_change": 2},
        {"cool_down": 2},
        [90, 95, 100, 105, 110],
        "open",
        set(),
    ),
    "waiting below cost": (
        {"periods_since_change": 0, "unit_cost": 104},
        {"cool_down": 2},
        [105, 110, 120],
        "relaxed",
        {"cool_down", "max_change"},
    ),
    "endings spare the price in force": ({}, {"endings": Endings((5,), 10)}, [95, 100, 105], "open", set()),
    "not identified": ({"identified_by": 4}, {"act_on_prior": True}, [100], "open", set()),
    "a prior is no evidence": ({"identified_by": 3}, {}, [100], "open", set()),
    "acting on a prior": (
        {"identified_by": 3},
        {"act_on_prior": True},
        [90, 95, 100, 105, 110],
        "open",
        set(),
    ),
    "support": ({"support_low": 95, "support_high": 105}, {}, [95, 100, 105], "open", set()),
    "price in force outside support": (
        {"support_low": 105, "support_high": 108},
        {},
        [100, 105],
        "open",
        set(),
    ),
    "commercial gives way before stability": (
        {"unit_cost": 102, "ceiling_price": 103},
        {},
        [105, 110],
        "relaxed",
        {"price_bounds"},
    ),
    "rounding gives way before commercial": (
        {"unit_cost": 101, "ceiling_price": 107},
        {"endings": Endings((9,), 10)},
        [105],
        "relaxed",
        {"price_ending"},
    ),
    "both give way": (
        {"unit_cost": 112, "ceiling_price": 115},
        {},
        [120],
        "relaxed",
        {"price_bounds", "max_change"},
    ),
    "fees count as cost": ({"fee_share": 0.1, "fee_unit": 41}, {}, [105, 110], "open", set()),
    "tax is not kept": ({"net_share": 1 / 1.25, "unit_cost": 84}, {}, [105, 110], "open", set()),
    "returns change the sum, not the sign": (
        {"return_rate": 0.9, "unit_cost": 100},
        {},
        [100, 105, 110],
        "open",
        set(),
    ),
}


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES.keys())
def test_one_product(case: tuple[dict[str, Any], dict[str, Any], list[int], str, set[str]]) -> None:
    facts, corridor, expected, status, relaxed = case
    found = admit(catalogue(**facts), **corridor)
    assert allowed(found) == expected
    assert Status(found.status[0, 0]).label == status
    assert labels(int(found.relaxed[0, 0])) == relaxed


@pytest.mark.parametrize(
    ("price", "share", "ladder", "expected"),
    [
        (100, 0.29, (70, 71, 100, 129, 130), [71, 100, 129]),  # 0.29 * 100 is 28.999999999999996
        (5, 0.1, (4, 5, 6), [5]),  # half a minor unit is no step
        (5, 0.2, (3, 4, 5, 6), [4, 5, 6]),
        (1, 1.0, (1, 2, 3), [1, 2]),
        (1, 0.99, (1, 2, 3), [1]),
        (10**9, 0.07, (929_999_999, 930_000_000, 10**9), [930_000_000, 10**9]),
    ],
)
def test_the_largest_step_is_exact_in_whole_minor_units(
    price: int, share: float, ladder: tuple[int, ...], expected: list[int]
) -> None:
    shop = catalogue((price,), unit_cost=0, support_high=10**10)
    assert allowed(admit(shop, ladder, max_change=share), 0, ladder) == expected


def test_a_price_exactly_at_cost_is_allowed_with_tax_that_no_float_holds() -> None:
    prices = np.arange(121, 121 * 400, 121)
    shop = catalogue(prices.tolist(), net_share=1 / 1.21, unit_cost=(prices // 121 * 100), support_high=10**6)
    ladder = np.stack([prices - 1, prices], axis=1)
    menu = Menu.of(ladder, np.ones(ladder.shape, dtype=np.bool_))
    found = pricing.guardrails.Guardrails(shop, menu, GuardrailSettings()).admit(State.start(shop, 1))
    below = (found.rejections[0] & Rule.BELOW_COST.bit) != 0
    assert below[:, 0].all()
    assert not below[:, 1].any()


def test_variants_find_one_price_before_either_steps_too_far() -> None:
    found = admit(catalogue((100, 100), unit_cost=[50, 115], variant_of=0))
    assert [allowed(found, i) for i in (0, 1)] == [[120], [120]]
    assert [labels(int(bits)) for bits in found.relaxed[0]] == [{"max_change"}, {"max_change"}]


def test_a_rule_of_one_variant_counts_for_both() -> None:
    found = admit(catalogue((100, 100), ceiling_price=[105, 10**9], variant_of=0))
    assert allowed(found, 0) == allowed(found, 1) == [90, 95, 100, 105]
    assert [labels(int(bits)) for bits in found.rejections[0, :, 5]] == [
        {"price_bounds"},
        {"variant_equality"},
    ]
    assert labels(int(found.rejections[0, 0, 6])) == {"price_bounds", "max_change", "variant_equality"}


def test_equality_is_given_up_last_and_never_drags_a_price_over_a_hard_rule() -> None:
    found = admit(catalogue((100, 100), max_price=[104, 10**9], map_price=[0, 105], variant_of=0))
    assert [allowed(found, i) for i in (0, 1)] == [[100], [105, 110, 120]]
    assert [Status(s).label for s in found.status[0]] == ["no_change", "relaxed"]
    assert labels(int(found.relaxed[0, 0])) == {"variant_equality"}
    assert labels(int(found.relaxed[0, 1])) == {"variant_equality", "max_change"}


def test_variants_at_two_prices_keep_both_under_the_kill_switch() -> None:
    found = admit(catalogue((100, 110), variant_of=0), kill_switch=True)
    assert [allowed(found, i) for i in (0, 1)] == [[100], [110]]
    assert found.status[0].tolist() == [Status.NO_CHANGE, Status.NO_CHANGE]


def test_variants_need_one_ladder() -> None:
    shop = catalogue((100, 100), variant_of=0)
    ladders = Menu.of(np.array([[90, 100], [95, 100]]), np.ones((2, 2), dtype=np.bool_))
    with pytest.raises(SettingsError, match="different ladders"):
        pricing.guardrails.Guardrails(shop, ladders, GuardrailSettings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"margin_floor": 1.5},
        {"max_change": -0.1},
        {"max_change": float("nan")},
        {"max_share_moved": 2.0},
        {"cool_down": -1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        GuardrailSettings(**wrong)


def test_precedence_is_the_order_of_the_rules_and_of_their_classes() -> None:
    assert [rule.label for rule in Rule] == [rule for rule, _ in brute_force.PRECEDENCE]
    assert [rule.kind.name.lower() for rule in Rule] == [kind for _, kind in brute_force.PRECEDENCE]
    assert [rule.kind for rule in Rule] == sorted(rule.kind for rule in Rule)
    assert {rule.label for rule in Rule if rule.hard} == labels(int(HARD))
    assert [kind.name for kind in RuleClass][:2] == ["LEGAL", "NEVER_LOSE_MONEY"]


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_first_rule_is_the_lowest_bit(bits: list[int]) -> None:
    lowest = [next((i for i in range(32) if b >> i & 1), -1) for b in bits]
    assert first_rule(np.array(bits, dtype=np.uint32)).tolist() == lowest


@settings(max_examples=150, deadline=None)
@given(st.integers(10**6, 10**9))
def test_every_decision_equals_brute_force(seed: int) -> None:
    assert [difference for _, difference in differences(seed) if difference] == []


def _last_rule(bits: Bits) -> Ints:
    return np.where(bits == 0, -1, np.floor(np.log2(np.maximum(bits, 1)))).astype(np.int64)


@pytest.mark.parametrize(
    ("place", "mutant", "noticed"),
    [
        ("pricing.guardrails._GIVEN_UP", pricing.guardrails._GIVEN_UP[::-1], "relaxed"),
        ("pricing.guardrails._ROUNDING", 0.05, "rejections"),
        ("pricing.guardrails._ABOUT_MOVING", np.uint32(0), "rejections"),
        ("pricing.guardrails.HARD", np.uint32(0), "status"),
        ("pricing.decision.allowance", lambda series, share: int(np.ceil(series * share)), "share_moved"),
        ("pricing.decision.first_rule", _last_rule, "binding"),
        ("pricing.joint.HARD", np.uint32(0), "price"),
    ],
)
def test_brute_force_notices_a_broken_kernel(
    monkeypatch: pytest.MonkeyPatch, place: str, mutant: object, noticed: str
) -> None:
    monkeypatch.setattr(place, mutant)
    assert any(noticed in difference for seed in range(300) for _, difference in differences(seed))


def test_the_bench_runs_and_finds_no_difference() -> None:
    command = [sys.executable, "-m", "bench.guardrails", "--count", "2000", "--seed", "7000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differences from brute force, hard rules broken: 0" in done.stdout


def test_a_cool_down_of_two_lets_two_whole_periods_pass() -> None:
    shop = catalogue((100,))
    rules, known = guardrails(shop, cool_down=2), beliefs(shop)
    state, may_move = State.start(shop, 1), []
    for price in (105, 105, 105, 105):
        now = np.array([[price]])
        moved = step(
            known, shop, np.log(now), state.stock, state.reference, state.lag, Conditions.plain(1), 0.8
        )
        state = state.next(moved, now, now, moved.sold, np.zeros((1, 1)))
        may_move.append(allowed(rules.admit(state)) != [105])
    assert may_move == [False, False, True, True]
