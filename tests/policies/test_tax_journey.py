"""Net cost 12.00, 21 % VAT, elasticity -2: 29.04 on the tag through the real journey, and never 24.00.

Net profit a unit at tag price p is p / 1.21 - 12; with units proportional to p ** -2 it is best at twice the
cost in net money, 24.00, which is 29.04 on the tag. The error this guards against is to forget the tax: 24.00
on the tag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from policies.serve.journey import Recommended, recommend
from policies.serve.resolve import Resolve
from policies.serve.shelf import Corridor, Shelf
from policies.serve.static import Static
from policies.serve.thompson import Thompson
from pricing.demand import DemandParameters
from pricing.guardrails import GuardrailSettings, Rule, Status
from pricing.menu import Endings
from pricing.model import COEFFICIENTS
from pricing.plans import Plans
from pricing.recommendation import Reason
from simulators.worlds import toy_shop

_TAX = 1.21
_ENDINGS = Endings((4,), 100)


def _shelf(price: int, *, net: bool = False, endings: Endings = _ENDINGS, **facts: Any) -> Shelf:
    """One product of cost 12.00 whose demand is certain: elasticity -2 and nothing else."""
    shop, model = toy_shop(1, 0)
    ints = {"price": price, "unit_cost": 1200, "support_low": 1200, "support_high": 4000} | facts
    arrays: dict[str, Any] = {name: np.array([value], dtype=np.int64) for name, value in ints.items()}
    shares = {"net_share": 1.0, "gross_share": _TAX} if net else {"net_share": 1.0 / _TAX, "gross_share": 1.0}
    shop = replace(
        shop,
        basis="net" if net else "gross",
        recent=np.full((1, 5), price),
        net_share=np.array([shares["net_share"]]),
        gross_share=np.array([shares["gross_share"]]),
        **arrays,
    )
    mean = np.zeros((1, len(COEFFICIENTS)))
    mean[0, COEFFICIENTS.index("level")], mean[0, COEFFICIENTS.index("regular")] = np.log(30.0), -2.0
    gross = np.array([price * (_TAX if net else 1.0)])
    model = replace(model, mean=mean, factor=model.factor * 1e-6, reference_price=gross)
    settings = GuardrailSettings(max_change=0.25, endings=endings)
    return Shelf(model, shop, Corridor(settings, 60, 0.4, 4), Plans.none(1), "0" * 64)


def _each(shelf: Shelf) -> list[Recommended]:
    scenario = shelf.scenario
    drawn = DemandParameters.of(shelf.beliefs.draws(16), shelf.beliefs, shelf.catalogue)
    policies = (Static.of(scenario), Resolve.of(scenario), Thompson.of(scenario, drawn))
    return [recommend(shelf, policy, draws=50) for policy in policies]


@pytest.mark.parametrize("price", [2404, 2504, 3404])
def test_the_tag_says_2904_where_support_allows(price: int) -> None:
    shelf = _shelf(price)
    assert 2404 in shelf.guardrails.menu.price[0]
    for made in _each(shelf):
        row = made.row(0)
        assert (row.recommended_price, row.price_basis, row.status) == (2904, "gross", Status.OPEN)
        # 30 units at the price in force; (price / 2904) ** 2 of that at 29.04, each leaving 12.00.
        assert row.expected_profit == pytest.approx(30 * (price / 2904) ** 2 * 1200, rel=1e-3)
        assert row.profit_change > 0


def test_prices_without_tax_come_to_24_and_are_the_same_decision() -> None:
    for made in _each(_shelf(2100, net=True, endings=Endings((0,), 100))):
        assert (made.row(0).recommended_price, made.row(0).price_basis) == (2400, "net")


def test_where_support_ends_before_it_the_price_goes_to_the_edge_and_says_so() -> None:
    rows = [made.row(0) for made in _each(_shelf(2504, support_high=2750))]
    assert [row.recommended_price for row in rows] == [2704, 2704, 2704]
    assert all({Reason.PRICE_RAISED, Reason.STEP_TOWARDS_OPTIMUM} <= set(row.reasons) for row in rows)
    # Asked without any rule: the planners look for their target inside the corridor, Thompson does not.
    assert (rows[2].binding_guardrail, rows[2].at_bound) == (Rule.OUTSIDE_SUPPORT, True)


def test_below_cost_is_judged_on_what_the_shop_keeps() -> None:
    # 14.52 with tax is 12.00 without. 14.00 is no loss for who forgets the tax, and is one.
    shelf = _shelf(1400, endings=Endings((1, 2), 10), support_high=1490)
    ladder = shelf.guardrails.menu.price[0]
    for made in _each(shelf):
        row, bits = made.row(0), made.decisions.admission.rejections[0, 0]
        below = (bits & Rule.BELOW_COST.bit) != 0
        assert (below == (ladder < 1452)).all()
        assert below[ladder == 1400].all()
        assert row.recommended_price is not None
        assert 1452 <= row.recommended_price <= 1490
    blocked = recommend(_shelf(1400, support_high=1440), Static.of(_shelf(1400).scenario), draws=50).row(0)
    assert (blocked.recommended_price, blocked.status) == (None, Status.BLOCKED)
    assert (blocked.prior_price, blocked.prior_price_until, blocked.prior_price_cost) == (None, None, 0)


def test_a_lower_price_says_what_it_leaves_behind_for_thirty_days() -> None:
    made = _each(_shelf(3404))[0]
    row = made.row(0)
    assert Reason.BECOMES_PRIOR_PRICE in row.reasons
    assert (row.prior_price, row.prior_price_cost) == (2904, 0)
    # The week ends on 8 January; an hour more on either side of a change of the clocks is on the safe side.
    assert (row.valid_to, row.prior_price_until) == ("2024-01-08", "2024-02-07")


def test_a_planned_reduction_that_is_none_costs_what_it_forbids() -> None:
    shelf = _shelf(2904)
    shop = replace(shelf.catalogue, recent=np.array([[2904, 2304, 2904, 2904, 2904]]))
    depth = np.full((1, 1), np.log(0.9))
    none = np.zeros((1, 1))
    plans = Plans(depth, none, none, none, declared=True, left_out=0)
    made = recommend(replace(shelf, catalogue=shop, plans=plans), Static.of(shelf.scenario), draws=50)
    row = made.row(0)
    assert row.binding_guardrail == Rule.PRIOR_PRICE
    assert row.recommended_price is not None
    assert row.recommended_price * 0.9 < 2304 - 0.5
    assert row.prior_price_cost > 0
