"""What a trial holds out keeps its price, or goes back to it; hard rules still win."""

from __future__ import annotations

import numpy as np

from pricing.decision import Decision, decide
from pricing.guardrails import Guardrails, GuardrailSettings, Rule, Status
from pricing.menu import Endings, candidates
from tests.pricing.comparison import labels
from tests.pricing.small_shop import LADDER, Wants, catalogue, menu, situation


def _decided(
    price: int, held: int, wants: int, settings: GuardrailSettings | None = None, **facts: int
) -> Decision:
    shop = catalogue((price,), **facts)
    here = situation(shop, menu(1))
    rules = Guardrails(shop, here.menu, settings or GuardrailSettings(), held=np.array([held]))
    return decide(here, rules, Wants((wants,)), seed=1, runs=np.arange(1), fingerprint="f").record(0, 0)


def test_what_is_held_keeps_its_price_and_says_why() -> None:
    record = _decided(100, held=100, wants=110)
    assert (record.price, record.binding, record.status) == (100, Rule.HOLDOUT, Status.OPEN)
    assert [price for price, bits in zip(LADDER, record.rejections, strict=True) if not bits] == [100]


def test_what_is_not_held_moves() -> None:
    assert _decided(100, held=0, wants=110).price == 110


def test_a_return_is_no_step_to_wait_for() -> None:
    """From 120 back to 95: over ten percent, in the cool-down, and no ending of the shop."""
    settings = GuardrailSettings(max_change=0.1, cool_down=99, endings=Endings((0,), 10))
    record = _decided(120, 95, 110, settings)
    assert (record.price, record.status) == (95, Status.OPEN)
    assert labels(record.rejections[LADDER.index(120)]) == {"holdout"}


def test_a_hard_rule_wins_and_the_holdout_is_named_as_given_up() -> None:
    record = _decided(100, held=100, wants=110, unit_cost=104)
    assert record.price in (105, 110)
    assert record.status is Status.RELAXED
    assert "holdout" in labels(record.relaxed)


def test_the_price_to_go_back_to_is_on_the_ladder_whatever_its_ending() -> None:
    shop = catalogue((100, 100), support_low=50, support_high=200)
    ladder = candidates(shop, Endings((9,), 10), 8, 0.3, np.array([0, 93]))
    assert 93 not in ladder.price[0]
    assert 93 in ladder.price[1][ladder.valid[1]]
