"""What a shop plans for the coming period enters units, profit, rules, features and reasons, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pricing.arrays import Floats
from pricing.decision import Decisions, decide
from pricing.demand import Conditions, DemandParameters
from pricing.features import FEATURES, observe
from pricing.guardrails import Guardrails, GuardrailSettings, Rule, Status
from pricing.recommendation import Reason, assess, reasons
from pricing.situation import Situation
from pricing.transition import State
from tests.pricing.small_shop import LADDER, Wants, allowed, catalogue, guardrails, menu, situation

_FEATURE = 0.3


def _planned(here: Situation, **plan: Floats | float) -> Situation:
    count = len(here.catalogue)
    known = replace(here.beliefs, feature=np.full(count, _FEATURE))
    spread = {name: np.broadcast_to(np.asarray(value), (count,)).copy() for name, value in plan.items()}
    return replace(here, beliefs=known, conditions=replace(here.conditions, **spread))


def _made(here: Situation, wants: int = 100, **settings: Any) -> Decisions:
    rules = Guardrails(here.catalogue, here.menu, GuardrailSettings(**settings))
    policy = Wants((wants,) * len(here.catalogue))
    return decide(here, rules, policy, seed=1, runs=np.arange(1), fingerprint="f")


def _draws(here: Situation) -> DemandParameters:
    known = here.beliefs
    return DemandParameters(*(getattr(known, name)[None] for name in DemandParameters.__dataclass_fields__))


def _rejected(rules: Guardrails, here: Situation) -> list[list[str]]:
    bits = rules.admit(here.state, here.conditions).rejections[0, 0]
    return [[rule.label for rule in Rule if int(found) & int(rule.bit)] for found in bits]


def test_a_feature_multiplies_units_and_profit_by_the_exponential_of_its_coefficient() -> None:
    plain = _planned(situation(catalogue((100,)), menu(1)))
    advertised = _planned(plain, feature=1.0)
    before, after = (assess(_made(here), _draws(here)) for here in (plain, advertised))
    assert before.expected_units[0] == pytest.approx(10.0)
    assert after.expected_units[0] == pytest.approx(10.0 * np.exp(_FEATURE))
    # 50 remain of a price of 100 that costs 50.
    assert after.expected_profit[0] == pytest.approx(500.0 * np.exp(_FEATURE))
    half = _planned(plain, feature=0.5)
    assert assess(_made(half), _draws(half)).expected_units[0] == pytest.approx(10.0 * np.exp(_FEATURE / 2))


def test_a_planned_reduction_is_what_is_paid_and_the_margin_floor_looks_at_it() -> None:
    here = _planned(situation(catalogue((100,)), menu(1)), depth=np.log(0.6))
    found = assess(_made(here), _draws(here))
    # 10 units * .6 ** -2, at 60 each, of which 50 are cost.
    assert found.expected_units[0] == pytest.approx(10.0 / 0.36)
    assert found.expected_profit[0] == pytest.approx(10.0 / 0.36 * 10.0)
    # A fifth of what is paid has to be left: 100 leaves 10 of 60, 105 leaves 13 of 63.
    rules = guardrails(here.catalogue, margin_floor=0.2, max_change=1.0)
    assert allowed(rules.admit(here.state)) == list(LADDER)
    assert allowed(rules.admit(here.state, here.conditions)) == [105, 110, 120]
    made = _made(here, margin_floor=0.2, max_change=1.0)
    assert (int(made.price[0, 0]), Rule(int(made.binding[0, 0]))) == (105, Rule.MARGIN_FLOOR)


def test_a_price_that_leaves_exactly_the_cost_after_the_reduction_is_not_below_it() -> None:
    here = _planned(situation(catalogue((100,)), menu(1)), depth=np.log(0.5))
    below = [Rule.BELOW_COST.label in broken for broken in _rejected(guardrails(here.catalogue), here)]
    assert below == [True, True, True, False, False, False, False]


def test_a_reduction_below_cost_at_every_price_blocks_and_says_so() -> None:
    here = _planned(situation(catalogue((100,)), menu(1)), depth=np.log(0.3))
    made = _made(here)
    assert Status(int(made.admission.status[0, 0])) == Status.BLOCKED
    assert reasons(made, assess(made, _draws(here)), 0)[0] == Reason.NO_PRICE_ALLOWED
    assert Reason.PROMOTION_PLANNED in reasons(made, assess(made, _draws(here)), 0)


def test_the_minimum_advertised_price_is_the_reduced_one_and_legal_limits_are_not() -> None:
    shop = catalogue((100,), map_price=81, max_price=110, floor_price=90)
    here = _planned(situation(shop, menu(1)), depth=np.log(0.9))
    rules = guardrails(shop, max_change=1.0)
    plain, reduced = _rejected(rules, situation(shop, menu(1))), _rejected(rules, here)
    assert [Rule.MAP_PRICE.label in broken for broken in plain] == [True] + [False] * 6
    # 90 leaves 81, which is the minimum itself.
    assert [Rule.MAP_PRICE.label in broken for broken in reduced] == [True] + [False] * 6
    deeper = _planned(here, depth=np.log(0.89))
    assert [Rule.MAP_PRICE.label in r for r in _rejected(rules, deeper)] == [
        True, True, False, False, False, False, False,
    ]  # fmt: skip
    for name in (Rule.MAX_PRICE.label, Rule.PRICE_BOUNDS.label):
        assert [name in broken for broken in plain] == [name in broken for broken in reduced]


@pytest.mark.parametrize(
    ("recent", "share", "fine"),
    [
        ((100,) * 5, 0.9, [80, 90, 95, 100, 105, 110]),  # 120 leaves 108
        ((100, 100, 85, 100, 100), 0.9, [80, 90]),  # 95 leaves 85.5, on the tag 86
        ((90, 100, 100, 100, 100), 0.9, [80, 90, 95, 100]),  # 100 goes on at 90; 105 leaves 94.5
        ((90, 100, 100, 100, 100), 0.95, [80, 90]),  # less off is a new announcement: 95 leaves 90.25
        ((90, 70, 100, 100, 100), 0.9, [100]),  # only what goes on; 80 leaves 72
        ((100, 70, 100, 100, 100), 0.9, []),
        ((1,) * 5, 0.5, []),
    ],
)
def test_a_planned_reduction_has_to_be_below_the_lowest_price_of_thirty_days(
    recent: tuple[int, ...], share: float, fine: list[int]
) -> None:
    shop = catalogue((100,), recent=[recent], unit_cost=0)
    here = _planned(situation(shop, menu(1)), depth=np.log(share))
    rules = guardrails(shop, max_change=1.0)
    broken = [Rule.PRIOR_PRICE.label in names for names in _rejected(rules, here)]
    assert [price for price, bad in zip(LADDER, broken, strict=True) if not bad] == fine
    plain = _rejected(rules, situation(shop, menu(1)))
    assert not any(Rule.PRIOR_PRICE.label in names for names in plain)
    made = _made(here, wants=120, max_change=1.0)
    if fine:
        assert int(made.price[0, 0]) == fine[-1]
        assert Rule(int(made.binding[0, 0])) == Rule.PRIOR_PRICE
    else:
        assert Status(int(made.admission.status[0, 0])) == Status.BLOCKED


def test_where_the_rule_is_off_a_reduction_may_be_none() -> None:
    shop = catalogue((100,), recent=[(100, 70, 100, 100, 100)], unit_cost=0)
    here = _planned(situation(shop, menu(1)), depth=np.log(0.9))
    rules = guardrails(shop, max_change=1.0, prior_price=False)
    assert allowed(rules.admit(here.state, here.conditions)) == list(LADDER)


def test_what_a_prior_price_costs_and_what_a_lower_price_leaves_behind() -> None:
    shop = catalogue((100,), recent=[(100, 85, 100, 100, 100)], unit_cost=0)
    here = _planned(situation(shop, menu(1), elasticity=-0.5), depth=np.log(0.9))
    made = _made(here, wants=120, max_change=1.0)
    found = assess(made, _draws(here))
    # The plan takes 10 % off. Below 85 only 80 and 90 are; with elasticity -.5 the dearest, 120, is the best:
    # 10 (p / 100) ** -.5 (.9) ** -.5 units at .9 p.
    profit = {p: 10.0 * (0.9 * p / 100) ** -0.5 * 0.9 * p for p in LADDER}
    assert int(made.price[0, 0]) == 90
    assert found.prior_price_cost[0] == pytest.approx(profit[120] - profit[90])
    assert found.prior_price.tolist() == [81]  # 90 less 10 %, below the 85 of before
    assert Reason.BECOMES_PRIOR_PRICE in reasons(made, found, 0)
    plain = _made(situation(shop, menu(1), elasticity=-0.5), wants=110)
    after = assess(plain, _draws(here))
    assert (after.prior_price.tolist(), after.prior_price_cost.tolist()) == ([85], [0.0])
    assert Reason.BECOMES_PRIOR_PRICE not in reasons(plain, after, 0)


@pytest.mark.parametrize("batch", [1, 3, 2 * len(LADDER)])
def test_a_plan_of_each_run_gives_the_rules_of_each_run(batch: int) -> None:
    """However many runs there are, and whether they share a plan, each is judged as if it were alone."""
    shop = catalogue((100, 120), unit_cost=(50, 70))
    rules = guardrails(shop, margin_floor=0.1)
    depth = np.log(np.linspace(0.55, 1.0, 2 * batch)).reshape(batch, 2)
    state, plain = State.start(shop, batch), Conditions.plain(2)
    together = rules.admit(state, replace(plain, depth=depth))
    shared = rules.admit(state, replace(plain, depth=depth[0]))
    for run in range(batch):
        alone = rules.admit(State.start(shop, 1), replace(plain, depth=depth[run]))
        assert (together.rejections[run] == alone.rejections[0]).all()
        assert (together.allowed[run] == alone.allowed[0]).all()
    first = rules.admit(State.start(shop, 1), replace(plain, depth=depth[0]))
    assert (shared.rejections == first.rejections).all()


def test_the_coming_reduction_is_a_feature_and_every_plan_a_reason() -> None:
    here = _planned(situation(catalogue((100, 100, 100, 100)), menu(4)),
                    feature=np.array([0.0, 0.2, 0, 0]), display=np.array([0.0, 0, 0.4, 0]),
                    depth=np.array([0.0, 0, 0, np.log(0.8)]))  # fmt: skip
    place = [feature.name for feature in FEATURES].index("depth")
    seen = observe(here, np.ones((1, 4, len(LADDER)), dtype=np.bool_))[0, :, place]
    np.testing.assert_allclose(seen, [0, 0, 0, np.log(0.8)])
    made = _made(here)
    found = [Reason.PROMOTION_PLANNED in reasons(made, assess(made, _draws(here)), i) for i in range(4)]
    assert found == [False, True, True, True]
