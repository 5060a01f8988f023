"""What becomes of a proposal: each step by hand, and what holds whatever people do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.approval import (
    Action,
    ApprovalSettings,
    Proposal,
    Review,
    Reviewed,
    ReviewState,
    after,
    opening,
    require_rules,
)
from pricing.errors import RefusedError, SettingsError, UsageError
from pricing.evidence import Identification
from pricing.guardrails import Rule
from pricing.standing import Verdict

FOUNDED = Proposal(1000, 1030, 0.04, Identification.INSTRUMENT, Verdict.PASSED, driven_by_limits=False)
CORRIDOR = ApprovalSettings(automatic_change=0.03)
NOBODY = ApprovalSettings()
FOUR = ApprovalSettings(four_eyes=True)


def _review(action: Action, actor: str = "ana", price: int | None = None) -> Review:
    return Review(action, actor, "a reason", price)


@pytest.mark.parametrize(
    ("proposal", "settings", "state"),
    [
        (FOUNDED, CORRIDOR, ReviewState.APPROVED),
        (replace(FOUNDED, price=970), CORRIDOR, ReviewState.APPROVED),
        (replace(FOUNDED, price=1031), CORRIDOR, ReviewState.PENDING),
        (FOUNDED, NOBODY, ReviewState.PENDING),
        (replace(FOUNDED, probability_of_loss=0.051), CORRIDOR, ReviewState.PENDING),
        (replace(FOUNDED, identified_by=Identification.PRIOR), CORRIDOR, ReviewState.PENDING),
        (replace(FOUNDED, verdict=Verdict.FAILED), CORRIDOR, ReviewState.PENDING),
        (replace(FOUNDED, verdict=None), CORRIDOR, ReviewState.PENDING),
        (replace(FOUNDED, driven_by_limits=True), CORRIDOR, ReviewState.PENDING),
        (replace(FOUNDED, price=1000), CORRIDOR, ReviewState.UNCHANGED),
        (replace(FOUNDED, price=None), CORRIDOR, ReviewState.BLOCKED),
    ],
)
def test_the_corridor_approves_small_and_well_founded_moves_only(
    proposal: Proposal, settings: ApprovalSettings, state: ReviewState
) -> None:
    stands = opening(proposal, settings)
    assert stands.state is state
    assert (stands.price == proposal.price) is (state is ReviewState.APPROVED or proposal.price is None)


def test_four_eyes_are_two_people() -> None:
    pending = opening(FOUNDED, FOUR)
    once = after(pending, _review(Action.APPROVE), FOUNDED, FOUR)
    assert (once.state, once.by) == (ReviewState.AWAITING_SECOND, "ana")
    with pytest.raises(RefusedError, match="second pair"):
        after(once, _review(Action.APPROVE), FOUNDED, FOUR)
    twice = after(once, _review(Action.APPROVE, "ben"), FOUNDED, FOUR)
    assert (twice.state, twice.price) == (ReviewState.APPROVED, 1030)


def test_an_override_is_a_fact_even_where_the_price_was_kept() -> None:
    kept = replace(FOUNDED, price=1000)
    found = after(opening(kept, NOBODY), _review(Action.OVERRIDE, price=1100), kept, NOBODY)
    assert found == Reviewed(ReviewState.APPROVED, 1100, None, "ana", overridden=True)
    again = after(found, _review(Action.WITHDRAW), kept, NOBODY)
    assert again.state is ReviewState.UNCHANGED
    assert again.price is None


def test_a_second_override_starts_the_second_pair_of_eyes_anew() -> None:
    once = after(opening(FOUNDED, FOUR), _review(Action.OVERRIDE, price=1100), FOUNDED, FOUR)
    other = after(once, _review(Action.OVERRIDE, "ben", price=1200), FOUNDED, FOUR)
    assert (other.state, other.price, other.by) == (ReviewState.AWAITING_SECOND, 1200, "ben")


@pytest.mark.parametrize("action", [Action.REJECT, Action.OVERRIDE])
def test_who_rejects_or_overrides_says_why(action: Action) -> None:
    with pytest.raises(UsageError, match="reason"):
        Review(action, "ana", " ", 1000 if action is Action.OVERRIDE else None)


def test_a_price_comes_with_an_override_and_with_nothing_else() -> None:
    for action, price in ((Action.APPROVE, 100), (Action.OVERRIDE, None)):
        with pytest.raises(UsageError, match="price"):
            Review(action, "ana", "why", price)
    with pytest.raises(UsageError, match="no price"):
        Review(Action.OVERRIDE, "ana", "why", -5)
    with pytest.raises(SettingsError, match="automatic_change"):
        ApprovalSettings(automatic_change=float("nan"))


def test_a_hard_rule_is_named_to_be_broken_and_a_soft_one_need_not_be() -> None:
    review = _review(Action.OVERRIDE, price=10)
    require_rules((Rule.MAX_CHANGE, Rule.PRICE_ENDING), review)
    with pytest.raises(RefusedError, match="below_cost"):
        require_rules((Rule.BELOW_COST, Rule.MAX_CHANGE), review)
    require_rules((Rule.BELOW_COST,), replace(review, accepted_rules=(Rule.BELOW_COST,)))


steps = st.lists(
    st.tuples(st.sampled_from(Action), st.sampled_from(["ana", "ben"]), st.integers(1, 3000)), max_size=12
)


@given(
    steps,
    st.booleans(),
    st.sampled_from([0.0, 0.05]),
    st.sampled_from([None, 990, 1000, 1010, 1500]),
)
def test_whatever_people_do_only_what_was_approved_has_a_price_to_publish(
    done: list[tuple[Action, str, int]], four_eyes: bool, share: float, price: int | None
) -> None:
    proposal = replace(FOUNDED, price=price)
    settings = ApprovalSettings(automatic_change=share, four_eyes=four_eyes)
    now, approvers = opening(proposal, settings), set[str]()
    for action, actor, asked in done:
        review = _review(action, actor, asked if action is Action.OVERRIDE else None)
        try:
            now = after(now, review, proposal, settings)
        except RefusedError:
            continue
        if action is Action.APPROVE:
            approvers.add(actor)
        else:
            approvers = {actor} if action is Action.OVERRIDE else set()
        if now.state is ReviewState.APPROVED:
            assert now.price == (now.price if now.overridden else price)
            assert len(approvers) >= (2 if four_eyes else 1)
        elif now.state is not ReviewState.AWAITING_SECOND:
            assert now.price is None
