"""The joint step against exact optimisation: linear programmes by SciPy, and every subset of small shops."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from pricing.arrays import Floats
from pricing.decision import decide
from pricing.guardrails import Admission, Guardrails, GuardrailSettings, Rule
from pricing.joint import allowance, limit_moves
from pricing.variants import Variants
from tests.pricing import random_shops
from tests.pricing.small_shop import LADDER, Mixed, Wants, admit, catalogue, menu, situation

_KEEP = LADDER.index(100)


def _step(
    found: Admission, gain: Sequence[float], most: int, groups: Sequence[int]
) -> tuple[list[bool], float]:
    """Let every open series ask to move; return who may, and the shadow price."""
    variants = Variants.of(np.array(groups))
    wants = np.asarray(found.allowed.any(axis=-1), dtype=np.bool_)
    limited = limit_moves(found, np.array([gain]), wants, most, variants)
    here = np.equal(np.arange(len(LADDER)), _KEEP)
    moves = (limited.allowed[0] & ~here).any(axis=-1)
    return moves.tolist(), float(limited.shadow_price[0])


def _linear(gain: Floats, size: Floats, most: float) -> float:
    """Best expected gain if each group may also move in part: the bound of the linear programme."""
    if most <= 0:
        return 0.0
    found = linprog(-gain, A_ub=size[None], b_ub=[most], bounds=(0.0, 1.0))
    assert found.status == 0
    return -float(found.fun)


_GAINS = st.lists(st.integers(1, 10**6), min_size=1, max_size=9, unique=True)


@settings(max_examples=80, deadline=None)
@given(_GAINS, st.integers(0, 10))
def test_single_products_move_as_the_linear_programme_says(gains: list[int], most: int) -> None:
    """The optimum has no half moves, and its dual price is what the record calls the shadow price."""
    count = len(gains)
    moves, shadow = _step(admit(catalogue((100,) * count)), gains, most, range(count))
    value = sum(g for g, moved in zip(gains, moves, strict=True) if moved)
    one = np.ones(count)
    assert value == pytest.approx(_linear(np.array(gains, dtype=float), one, most))
    one_more = _linear(np.array(gains, dtype=float), one, most + 1)
    assert shadow == pytest.approx(one_more - value, abs=1e-6)
    assert sum(moves) == min(most, count)


@settings(max_examples=80, deadline=None)
@given(_GAINS, st.integers(0, 10), st.data())
def test_what_must_move_takes_its_place_first(gains: list[int], most: int, data: st.DataObject) -> None:
    """The rest is the best subset of what room is left: every subset tried."""
    count = len(gains)
    must = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    found = admit(catalogue((100,) * count, unit_cost=np.where(must, 105, 50)))
    moves, _ = _step(found, gains, most, range(count))
    assert all(moved for moved, has in zip(moves, must, strict=True) if has)
    free = [i for i in range(count) if not must[i]]
    room = max(most - sum(must), 0)
    best = max(
        sum(gains[i] for i in some)
        for size in range(min(room, len(free)) + 1)
        for some in itertools.combinations(free, size)
    )
    assert sum(gains[i] for i in free if moves[i]) == best


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 10**6)), min_size=1, max_size=5, unique_by=lambda t: t[1]
    ),
    st.integers(0, 12),
)
def test_variants_move_whole_and_lose_less_than_one_group(groups: list[tuple[int, int]], most: int) -> None:
    """A knapsack filled by gain a place: never more than the room, never a group in part, nothing left out
    that would still fit, and within the largest single group of the linear bound (Dantzig 1957)."""
    names = [number for number, (size, _) in enumerate(groups) for _ in range(size)]
    each = [gain for size, gain in groups for _ in range(size)]  # a group is worth size times this
    found = admit(catalogue((100,) * len(names), variant_of=names))
    moves, shadow = _step(found, each, most, names)
    moved = {name for name, m in zip(names, moves, strict=True) if m}
    assert moves == [name in moved for name in names]
    used = sum(groups[name][0] for name in moved)
    assert used <= most or used == len(names) <= most
    left = [number for number in range(len(groups)) if number not in moved]
    assert all(groups[number][0] > most - used for number in left), "something would still fit"
    value = sum(size * gain for number, (size, gain) in enumerate(groups) if number in moved)
    sizes = np.array([float(size) for size, _ in groups])
    worth = sizes * np.array([float(gain) for _, gain in groups])
    bound = _linear(worth, sizes, most)
    assert bound - worth.max() <= value <= bound * (1 + 1e-12)
    assert shadow == pytest.approx(max((groups[number][1] for number in left), default=0.0))
    if len({size for size, _ in groups}) == 1:
        size = groups[0][0]
        assert value == pytest.approx(_linear(worth, sizes, most // size * size))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9), st.integers(0, 8), st.integers(-40, 40))
def test_the_same_sum_on_every_gain_changes_no_move(gains: list[int], most: int, more: int) -> None:
    count = len(gains)
    found = admit(catalogue((100,) * count))
    before, _ = _step(found, gains, most, range(count))
    assert _step(found, [g + more for g in gains], most, range(count))[0] == before
    assert _step(found, [3 * g for g in gains], most, range(count))[0] == before
    assert sum(before) == min(most, count)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 1.0))
def test_no_run_moves_more_than_its_share_but_for_what_must_move(seed: int, share: float) -> None:
    here, rules, policy = random_shops.shop(seed)
    rules = Guardrails(here.catalogue, here.menu, replace(rules.settings, max_share_moved=share))
    runs = np.arange(here.state.price.shape[0])
    made = decide(here, rules, policy, seed=1, runs=runs, fingerprint="f")
    moved = made.price != here.state.price
    most = allowance(len(here.catalogue), share)
    refused = (made.admission.rejections & Rule.SHARE_MOVED.bit).any(axis=-1)
    assert not (moved & refused).any()
    opened = rules.admit(here.state, here.conditions)
    all_may = Guardrails(here.catalogue, here.menu, replace(rules.settings, max_share_moved=1.0))
    wide = decide(here, all_may, policy, seed=1, runs=runs, fingerprint="f")
    free = wide.price != here.state.price
    assert (moved <= free).all(), "the share only takes moves away"
    assert (made.price[moved] == wide.price[moved]).all()
    at = np.maximum(opened.current, 0)[..., None]
    illegal = (np.take_along_axis(opened.rejections, at, axis=-1)[..., 0] & np.uint32(0x7F)) != 0
    variants = here.catalogue.variants
    for run in runs:
        must = {
            group
            for group in range(len(variants.starts))
            for mine in [np.flatnonzero(variants.group == group)]
            if illegal[run, mine].any() or len(set(here.state.price[run, mine].tolist())) > 1
        }
        counted = [s for s in np.flatnonzero(moved[run]) if variants.group[s] not in must]
        assert len(counted) <= most


def test_each_run_of_a_batch_has_a_share_of_its_own() -> None:
    count, batch = 4, 6
    found = Guardrails(catalogue((100,) * count), menu(count), GuardrailSettings()).admit(
        situation(catalogue((100,) * count), menu(count), batch=batch).state
    )
    rng = np.random.default_rng(0)
    gain = rng.normal(size=(batch, count))
    wants = rng.random((batch, count)) < 0.8
    limited = limit_moves(found, gain, wants, 2, Variants.of(np.arange(count)))
    for run in range(batch):
        asking = [int(s) for s in np.argsort(-gain[run], kind="stable") if wants[run, s]]
        refused = set(asking[2:])
        may = limited.allowed[run].sum(axis=-1) > 1
        assert {s for s in range(count) if not may[s]} == refused
        dual = max((gain[run, s] for s in refused), default=0.0)
        assert limited.shadow_price[run] == max(dual, 0.0)


def test_a_mixed_policy_counts_its_expected_gain() -> None:
    """Cost 50, 10 units at 100, elasticities -1.5 and -1, weights 2 to 6 over 90 to 110: by hand."""
    shop, slope = catalogue((100, 100)), np.array([-1.5, -1.0])
    here = situation(shop, menu(2))
    here = replace(here, beliefs=replace(here.beliefs, regular=slope))
    weights = {90: 2, 95: 3, 100: 4, 105: 5, 110: 6}
    expected = [sum(w * 10 * (p / 100) ** e * (p - 50) for p, w in weights.items()) / 20 - 500 for e in slope]
    made = decide(here, Guardrails(shop, here.menu, GuardrailSettings(max_share_moved=0.5)), Mixed(),
                  seed=1, runs=np.arange(1), fingerprint="f")  # fmt: skip
    assert expected[1] > expected[0] > 0.0
    assert made.admission.shadow_price[0] == pytest.approx(expected[0])
    assert made.probabilities[0, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    assert made.probabilities[0, 1].max() == pytest.approx(6 / 20)


def test_a_move_to_where_the_price_already_is_is_no_move() -> None:
    shop = catalogue((100, 100, 100))
    here = situation(shop, menu(3))
    made = decide(here, Guardrails(shop, here.menu, GuardrailSettings(max_share_moved=0.34)),
                  Wants((100, 105, 100)), seed=1, runs=np.arange(1), fingerprint="f")  # fmt: skip
    assert made.price.tolist() == [[100, 105, 100]]
    assert made.admission.shadow_price.tolist() == [0.0]
    assert not (made.admission.rejections & Rule.SHARE_MOVED.bit).any()


def test_the_share_is_rounded_down_as_a_decimal_and_not_as_a_float() -> None:
    """0.29 x 100 is 28.999999999999996: twenty-nine products may move. Every percentage of up to 400."""
    for series in range(1, 401):
        found = [allowance(series, percent / 100) for percent in range(101)]
        assert found == [series * percent // 100 for percent in range(101)], series
