from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.guardrails import Admission, Rule, Status
from pricing.joint import _unfit, allowance, limit_moves
from pricing.variants import Variants
from tests.pricing.comparison import labels
from tests.pricing.small_shop import LADDER, admit, allowed, catalogue


def _limit(
    found: Admission, gain: Sequence[float], most: int, variant_of: Sequence[int] | None = None
) -> tuple[list[bool], Admission]:
    """Let everything ask to move; return which series still may."""
    groups = np.arange(len(gain)) if variant_of is None else np.array(variant_of)
    wants = (found.allowed & (np.arange(len(LADDER)) != found.current[..., None])).any(axis=-1)
    limited = limit_moves(found, np.array([gain]), wants, most, Variants.of(groups))
    return [
        allowed(limited, i) != [100] and bool(limited.allowed[0, i].any()) for i in range(len(gain))
    ], limited


@given(st.integers(1, 5000), st.integers(0, 100))
def test_the_allowance_is_the_share_rounded_down(series: int, percent: int) -> None:
    assert allowance(series, percent / 100) == series * percent // 100


def test_the_most_profitable_moves_happen() -> None:
    moves, limited = _limit(admit(catalogue((100,) * 4)), [3.0, 9.0, 1.0, 5.0], 2)
    assert moves == [False, True, False, True]
    assert limited.shadow_price.tolist() == [3.0]
    refused = [labels(int(bits)) for bits in limited.rejections[0, 0]]
    assert all("share_moved" in rules for place, rules in enumerate(refused) if LADDER[place] != 100)
    assert refused[LADDER.index(100)] == set()


def test_ties_go_to_the_first_series() -> None:
    assert _limit(admit(catalogue((100,) * 3)), [2.0, 2.0, 2.0], 2)[0] == [True, True, False]


def test_room_for_all_changes_nothing() -> None:
    found = admit(catalogue((100,) * 2))
    assert _limit(found, [1.0, 1.0], 2)[1] is found


def test_none_may_move_and_a_move_that_loses_has_no_shadow_price() -> None:
    moves, limited = _limit(admit(catalogue((100,) * 2)), [-4.0, -1.0], 0)
    assert moves == [False, False]
    assert limited.shadow_price.tolist() == [0.0]


def test_a_price_that_breaks_a_hard_rule_moves_first_and_uses_up_the_share() -> None:
    found = admit(catalogue((100,) * 3, unit_cost=[105, 50, 50]))
    assert _limit(found, [-50.0, 9.0, 8.0], 1)[0] == [True, False, False]
    assert _limit(found, [-50.0, 9.0, 8.0], 2)[0] == [True, True, False]
    assert _limit(found, [-50.0, 9.0, 8.0], 0)[0] == [True, False, False]


def test_the_share_outranks_commercial_rules_and_says_what_was_given_up() -> None:
    moves, limited = _limit(admit(catalogue((100,) * 2, floor_price=[105, 0])), [1.0, 2.0], 1)
    assert moves == [False, True]
    assert Status(limited.status[0, 0]) == Status.NO_CHANGE
    assert labels(int(limited.relaxed[0, 0])) == {"price_bounds"}


def test_blocked_series_ask_for_nothing() -> None:
    found = admit(catalogue((100,) * 2, unit_cost=[500, 50]))
    assert _limit(found, [0.0, 1.0], 1)[0] == [False, True]


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, [False, False, False, True]),  # two variants do not fit: the next that fits goes
        (2, [True, True, False, False]),
        (3, [True, True, False, True]),
    ],
)
def test_variants_move_together_or_not_at_all(most: int, expected: list[bool]) -> None:
    groups = [7, 7, 1, 2]
    found = admit(catalogue((100,) * 4, variant_of=groups))
    assert _limit(found, [9.0, 5.0, 2.0, 6.0], most, groups)[0] == expected


@given(st.integers(0, 2**32 - 1))
def test_walking_from_group_to_group_is_walking_from_series_to_series(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, variants = 8, Variants.of(rng.integers(0, 5, 8))
    if variants.alone:
        return
    linked, asking = (rng.random((6, count)) < 0.7)[:, variants.group], rng.random((6, count)) < 0.6
    gain = np.where(linked, rng.random((6, count))[:, variants.group], rng.random((6, count)))
    room = rng.integers(0, 9, 6)
    order = np.argsort(np.where(asking, -gain, np.inf), axis=1, kind="stable")
    found = _unfit(order, asking, linked, room, variants)
    for run in range(6):
        left, accepted, seen = int(room[run]), set[int](), set[int]()
        for series in order[run].tolist():
            alone = not linked[run, series]
            members = [series] if alone else np.flatnonzero(variants.group == variants.group[series]).tolist()
            if asking[run, series] and series not in seen and len(members) <= left:
                accepted.update(members)
                left -= len(members)
            seen.update(members if asking[run, series] else [])
        expected = [bool(asking[run, s]) and s not in accepted for s in range(count)]
        assert found[run].tolist() == expected


def test_variants_at_two_prices_must_come_together_whatever_the_share() -> None:
    groups = [0, 0, 1]
    found = admit(catalogue((100, 110, 100), variant_of=groups), max_change=0.1)
    moves, limited = _limit(found, [-5.0, -5.0, 9.0], 0, groups)
    assert moves == [True, True, False]
    assert allowed(limited, 0) == allowed(limited, 1) == [100, 105, 110]


def test_variants_may_not_keep_a_price_that_one_of_them_must_leave() -> None:
    groups = [0, 0]
    found = admit(catalogue((100, 100), variant_of=groups, unit_cost=[50, 105]))
    assert _limit(found, [-9.0, -9.0], 0, groups)[0] == [True, True]


def test_rejections_are_only_added() -> None:
    found = admit(catalogue((100,) * 3, max_price=104))
    _, limited = _limit(found, [1.0, 2.0, 3.0], 1)
    assert ((limited.rejections & found.rejections) == found.rejections).all()
    assert ((limited.rejections ^ found.rejections) & ~Rule.SHARE_MOVED.bit == 0).all()
