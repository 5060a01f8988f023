from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from pricing.catalogue import Catalogue
from pricing.decision import Decisions, decide
from pricing.demand import DemandParameters
from pricing.guardrails import Guardrails, GuardrailSettings, Rule
from pricing.menu import Endings, candidates
from pricing.policy import Policy
from pricing.recommendation import Reason, assess, curve, reasons
from pricing.situation import Situation
from tests.pricing.small_shop import Wants, beliefs, catalogue, menu, situation

_LADDER = (80, 100, 110, 125)


def _draws(shop: Catalogue, elasticities: list[float]) -> DemandParameters:
    each = [beliefs(shop, e) for e in elasticities]
    return DemandParameters(
        **{f.name: np.stack([getattr(d, f.name) for d in each]) for f in fields(DemandParameters)}
    )


def _made(here: Situation, policy: Policy, **settings: Any) -> Decisions:
    rules = Guardrails(here.catalogue, here.menu, GuardrailSettings(**settings))
    return decide(here, rules, policy, seed=1, runs=np.arange(len(here.state.price)), fingerprint="f")


def test_an_assessment_by_hand() -> None:
    shop = catalogue((100,), support_low=90, support_high=115)
    made = _made(situation(shop, menu(1, _LADDER)), Wants((110,)))
    found = assess(made, _draws(shop, [-1.0, -2.0, -4.0, -0.5]))
    # units at 110: 10 / 1.1**e; profit a unit 60 against 10 * 50 = 500 at 100
    units = [10 / 1.1, 10 / 1.1**2, 10 / 1.1**4, 10 / 1.1**0.5]
    change = [60 * u - 500 for u in units]  # 45.5, -4.1, -90.2, 72.1
    assert found.expected_units[0] == pytest.approx(np.mean(units))
    assert found.expected_profit[0] == pytest.approx(60 * np.mean(units))
    assert found.profit_change[0] == pytest.approx(np.mean(change))
    assert found.profit_change_lower[0] == pytest.approx(np.quantile(change, 0.05))
    assert found.profit_change_upper[0] == pytest.approx(np.quantile(change, 0.95))
    assert found.probability_of_loss[0] == 0.5
    # best rungs: 125, 100 (500, 495.9, 480, 468.75), 80 (30 * 24.4 = 732), 125
    assert found.probability_up[0] == 0.5
    assert found.probability_outside[0] == 0.75


def test_keeping_a_price_changes_nothing_and_loses_nothing() -> None:
    shop = catalogue((100,))
    found = assess(_made(situation(shop, menu(1, _LADDER)), Wants((100,))), _draws(shop, [-1.0, -3.0]))
    for name in ("profit_change", "profit_change_lower", "profit_change_upper", "probability_of_loss"):
        assert getattr(found, name).tolist() == [0.0]


def test_sales_stop_at_the_stock() -> None:
    shop = catalogue((100,), stock=4.0)
    found = assess(_made(situation(shop, menu(1, _LADDER)), Wants((110,))), _draws(shop, [-1.0]))
    assert found.profit_change[0] == pytest.approx(4 * 60 - 4 * 50)


@pytest.mark.parametrize(
    ("wants", "bound"), [(125, True), (110, False), (100, False), (105, False), (80, True)]
)
def test_a_decision_is_at_a_bound_where_a_rule_ends_the_way_to_what_is_wanted(
    wants: int, *, bound: bool
) -> None:
    ladder = (80, 90, 100, 105, 110, 125)
    made = _made(situation(catalogue((100,)), menu(1, ladder)), Wants((wants,)), endings=Endings((0,), 10))
    assert assess(made, _draws(made.situation.catalogue, [-2.0])).at_bound.tolist() == [bound]


def test_a_price_kept_for_want_of_evidence_is_not_at_a_bound() -> None:
    shop = catalogue((100,), identified_by=4)
    made = _made(situation(shop, menu(1, _LADDER)), Wants((110,)))
    assert Rule(int(made.binding[0, 0])) == Rule.NOT_IDENTIFIED
    assert not assess(made, _draws(shop, [-2.0])).at_bound[0]


def test_want_of_evidence_is_told_also_where_a_stronger_rule_forbids_the_same_move() -> None:
    shop = catalogue((100,), identified_by=4, support_high=105)
    made = _made(situation(shop, menu(1, _LADDER)), Wants((110,)))
    found = assess(made, _draws(shop, [-1.0]))
    assert Rule(int(made.binding[0, 0])) == Rule.OUTSIDE_SUPPORT
    assert not found.at_bound[0]
    told = set(reasons(made, found, 0))
    assert {Reason.KEPT_NOT_IDENTIFIED, Reason.PRICE_TEST_PROPOSED} <= told
    assert Reason.LIMITED_BY_RULE not in told


def test_a_curve_by_hand_and_the_assessment_lies_on_it() -> None:
    shop = catalogue((100, 100), support_low=90, support_high=115, stock=[np.inf, 9.0])
    made = _made(situation(shop, menu(2, _LADDER)), Wants((110, 110)))
    draws = _draws(shop, [-1.0, -2.0])
    found = curve(made, draws, 1)
    assert found.price.tolist() == list(_LADDER)
    assert found.supported.tolist() == [False, True, True, False]
    assert found.units == pytest.approx([(10 / x + 10 / x**2) / 2 for x in (0.8, 1.0, 1.1, 1.25)])
    assert found.profit == pytest.approx([30 * 9, 50 * 9, 60 * (9 + 10 / 1.21) / 2, 75 * (8 + 6.4) / 2])
    assert (found.units_lower <= found.units).all()
    assert (found.profit <= found.profit_upper).all()
    assert found.profit[2] == assess(made, draws).expected_profit[1]


def test_promotions_belong_to_the_run_that_has_them() -> None:
    here = situation(catalogue((100,)), menu(1, _LADDER), batch=2)
    deal = replace(here.conditions, depth=np.log([[1.0], [0.9]]))
    made = _made(replace(here, conditions=deal), Wants((100,)))
    draws = _draws(here.catalogue, [-2.0])
    assert assess(made, draws, 0).expected_profit[0] == pytest.approx(500.0)
    assert assess(made, draws, 1).expected_profit[0] == pytest.approx(10 / 0.81 * 40)
    assert curve(made, draws, 0, 1).profit[1] == pytest.approx(10 / 0.81 * 40)


def _reasons(
    wants: int, draws: list[float], settings: dict[str, Any] | None = None, **facts: Any
) -> set[Reason]:
    made = _made(situation(catalogue((100,), **facts), menu(1, _LADDER)), Wants((wants,)), **settings or {})
    return set(reasons(made, assess(made, _draws(made.situation.catalogue, draws)), 0))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (_reasons(100, [-2.0]), {Reason.PRICE_KEPT}),
        (_reasons(110, [-1.0]), {Reason.PRICE_RAISED}),
        (_reasons(110, [-1.0, -4.0]), {Reason.PRICE_RAISED, Reason.CHANGE_UNCERTAIN}),
        (_reasons(125, [-1.0]), {Reason.PRICE_RAISED, Reason.LIMITED_BY_RULE}),
        (_reasons(110, [-1.0], support_high=115), {Reason.PRICE_RAISED, Reason.STEP_TOWARDS_OPTIMUM}),
        (_reasons(110, [-1.0], identified_by=4), {Reason.KEPT_NOT_IDENTIFIED, Reason.PRICE_TEST_PROPOSED}),
        (
            _reasons(110, [-1.0], {"act_on_prior": True}, identified_by=3),
            {Reason.PRICE_RAISED, Reason.ACTED_ON_PRIOR},
        ),
        (_reasons(110, [-1.0], unit_cost=500), {Reason.NO_PRICE_ALLOWED, Reason.LIMITED_BY_RULE}),
        (_reasons(100, [-1.0], cost_assumed=True), {Reason.PRICE_KEPT, Reason.COST_ASSUMED}),
        (
            _reasons(110, [-1.0], {"margin_floor": 0.9}),
            {Reason.PRICE_KEPT, Reason.LIMITED_BY_RULE, Reason.RULES_RELAXED},
        ),
        (
            _reasons(80, [-4.0, -4.0], {"max_change": 0.2}),
            {Reason.PRICE_LOWERED, Reason.BECOMES_PRIOR_PRICE},
        ),
    ],
)
def test_reasons(found: set[Reason], expected: set[Reason]) -> None:
    assert found == expected


def test_the_markup_with_tax_is_2904_gross_and_never_2400() -> None:
    # net cost 12.00, 21 % VAT, elasticity -2: twice the cost in net, 24.00, is 29.04 on the shelf
    shop = catalogue(
        (2500,), unit_cost=1200, net_share=1 / 1.21, support_low=1300, support_high=4000, fixed_price=0
    )
    here = situation(shop, candidates(shop, Endings((4,), 100), 40, 0.3), -2.0)
    assert np.exp(here.myopic[0]) == pytest.approx(2904.0, rel=1e-12)
    assert 2904 in here.menu.price[0]
    assert _best_rung(here) == 2904
    below = Guardrails(shop, here.menu, GuardrailSettings()).admit(here.state).rejections[0, 0]
    below = below & Rule.BELOW_COST.bit
    assert (here.menu.price[0][below > 0] < 1452).all()
    assert (here.menu.price[0][below == 0] >= 1452).all()


def _best_rung(here: Situation) -> int:
    profit = here.expected_profit(here.beliefs)[0, 0]
    return int(here.menu.price[0, int(profit.argmax())])


def test_inelastic_demand_has_no_markup_price() -> None:
    shop = catalogue((100, 100))
    here = situation(shop, menu(2), -1.0)
    assert np.isposinf(here.myopic).all()
    assert np.isfinite(situation(shop, menu(2), -1.0001).myopic).all()
