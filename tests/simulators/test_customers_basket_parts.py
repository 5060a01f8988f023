from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import DataError
from pricing.panel import Series
from simulators.contract.tables import open_source
from simulators.customers.basket_categories import (
    CLASSES,
    choose,
    frailty,
    inclusion,
    population_share,
    size_class,
)
from simulators.customers.basket_category_fit import Occasions, fit_categories
from simulators.customers.basket_lines import Baskets, Shelf, build_baskets
from simulators.customers.basket_memory import MOST_LINES, RING, Memory, Purchases
from simulators.customers.basket_product_fit import Lines, fit_products
from simulators.customers.basket_products import (
    PAST_CLASSES,
    TASTES,
    UNIFORMS,
    Loyalty,
    Shown,
    Tastes,
    _first_level,
    _preferred,
    _varied,
    past_class,
    posterior_tastes,
    tastes,
)
from simulators.customers.basket_running import alike_share, repeat_share, shared_traits
from simulators.customers.basket_size import fit_size, size_bounds, size_score
from simulators.customers.basket_units import fit_urn
from simulators.customers.redemption import day_number
from tests.simulators.basket_truth import FIRST_DAY, appeal, shelf
from tests.simulators.shops import TODAY, orders, write_shop

MONDAY = day_number("2025-03-03")
LINES = (
    "o1,1,2025-03-03 10:00,paid,c1,A,1,10.00,8.00,8.00,gross",
    "o2,1,2025-03-03 18:00,paid,c1,A,2,10.00,8.00,16.00,gross",
    "o2,2,2025-03-03 18:00,paid,c1,B,1,5.00,5.00,5.00,gross",
    "o3,1,2025-03-04 09:00,cancelled,c1,B,1,5.00,5.00,5.00,gross",
    "o4,1,2025-03-04 09:00,paid,c2,B,3,5.00,5.00,15.00,gross",
    "o5,1,2025-03-05 09:00,paid,,A,4,10.00,8.00,32.00,gross",
)
CONSENTS = "customer_id,purpose,granted,at,text_version,source\nc1,analysis,true,2025-01-01,1,web\n"


def two_products() -> Shelf:
    return Shelf.of(Series(("A", "B"), ("es", "es"), ("shoes", "hats"), ("", ""), ("", "")))[0]


def test_who_did_not_agree_is_only_part_of_a_sum(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "one", orders=orders(*LINES), consents=CONSENTS)
    with open_source(folder, today=TODAY) as source:
        found, rest = build_baskets(source, two_products(), "analysis")
        everybody, nothing = build_baskets(source, two_products(), None)
        with pytest.raises(DataError, match="No basket") as caught:
            build_baskets(source, two_products(), "mail")
    assert "consented to mail" in caught.value.why
    assert found.customer == ("c1",)
    assert found.day.tolist() == [MONDAY]
    assert found.product.tolist() == [0, 1]  # hats, shoes: the shelf stands by category
    assert found.units.tolist() == [1, 3]
    assert rest.tolist() == [3.0, 4.0]
    assert everybody.customer == ("c1", "c2")
    assert nothing.tolist() == [0.0, 4.0]  # bought by nobody in particular


def test_a_household_without_consent_changes_nothing_individual(tmp_path: Path) -> None:
    other = tuple(line.replace(",c2,B,3,", ",c2,B,9,").replace("15.00", "45.00") for line in LINES)
    found = []
    for name, lines in (("one", LINES), ("two", other)):
        folder = write_shop(tmp_path / name, orders=orders(*lines), consents=CONSENTS)
        with open_source(folder, today=TODAY) as source:
            found.append(build_baskets(source, two_products(), "analysis"))
    for name in ("household", "day", "visit", "product", "units"):
        assert getattr(found[0][0], name).tobytes() == getattr(found[1][0], name).tobytes()
    assert found[1][1].tolist() == [9.0, 4.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.floats(0.0, 3.0))
def test_inclusion_adds_up_to_the_size(seed: int, categories: int, spread: float) -> None:
    draw = np.random.default_rng(seed)
    size = draw.integers(1, categories, 5)
    p = inclusion(draw.normal(0.0, spread, (5, categories)), size, 60)
    assert p.sum(axis=1) == pytest.approx(size.astype(float), rel=1e-3)
    assert p.min() >= 0.0
    assert p.max() <= 1.0


def test_inclusion_by_hand() -> None:
    """Two equal categories and a basket of one: each is in it with one half."""
    assert inclusion(np.zeros((1, 2)), np.array([1])) == pytest.approx(np.full((1, 2), 0.5))


def test_chosen_as_often_as_they_should_be() -> None:
    p = np.tile([0.9, 0.6, 0.3, 0.15, 0.05], (40_000, 1))
    size = np.full(40_000, 2)
    row, category = choose(p, size, np.random.default_rng(1).random(p.shape))
    assert np.bincount(row).tolist() == [2] * 40_000
    assert np.bincount(category) / 40_000 == pytest.approx(p[0], abs=0.03)


def test_frailty_is_the_shape_of_the_gamma() -> None:
    draw = np.random.default_rng(2)
    exposure = np.full((20_000, 2), 8.0)
    effect = np.stack([draw.gamma(0.5, 2.0, 20_000), draw.gamma(4.0, 0.25, 20_000)], axis=1)
    assert frailty(draw.poisson(exposure * effect).astype(np.float64), exposure) == pytest.approx(
        [0.5, 4.0], rel=0.1
    )


def test_shares_of_baskets_by_hand() -> None:
    """One basket with one category and two with both; ten baskets' worth of the overall share beside."""
    found = population_share(np.array([1, 2, 2]), np.array([0, 1, 1, 2, 2]), np.array([0, 0, 1, 0, 1]), 2)
    assert found[:, 0] == pytest.approx([(1 + 10 * 0.6) / 11, (0 + 10 * 0.4) / 11])
    assert found[:, 1] == pytest.approx([(2 + 10 * 0.6 * 2) / 12, (2 + 10 * 0.4 * 2) / 12])
    assert size_class(np.array([1, 4, 5, 6, 500])).tolist() == [0, 3, 3, 4, 9]


def test_memory_by_hand() -> None:
    memory = Memory.empty(2, 3)
    who = np.array([1])
    anybody = np.full((1, 3), 0.5, np.float32)
    line = Purchases(*(np.array(x) for x in ([0, 0, 0], [0, 0, 2], [4, 5, 9], [1, 30, 2])))
    memory.remember(100, who, np.array([0.3]), anybody, line)
    assert memory.count[1].tolist() == [1.0, 0.0, 1.0]
    assert memory.affinity(who, np.array([1.0, 1.0, 1.0]))[0] == pytest.approx(
        np.log([2 / 1.5, 1 / 1.5, 2 / 1.5])
    )
    assert memory.recency(who, 103)[0].tolist() == [2, 0, 2]  # three days: the second class; 0 is never
    assert memory.last_units(np.array([1, 1]), np.array([0, 0]), np.array([5, 7])).tolist() == [30, 0]
    assert memory.lines[1, 0].tolist() == [0.0, 1.0] + [0.0] * (MOST_LINES - 2)
    assert memory.units[1, 0, [0, 23]].tolist() == [1.0, 1.0]  # 30 counts as 24
    assert memory.ages(who, np.array([0]))[0, :2].tolist() == [1, 0]
    late = memory.late_affinity(who, 135, np.ones(3))[0, 0]
    assert late == pytest.approx(np.log((np.exp(-1.0) + 1.0) / (0.5 * np.exp(-1.0) + 1.0)))
    assert memory.count[0].sum() == 0.0
    moved = memory.like(np.array([1, 1]), np.array([0, 50]))
    assert moved.last[:, 0].tolist() == [100, 150]
    assert moved.last[1, 1] == -1
    moved.count[0, 0] = 7.0
    assert memory.count[1, 0] == 1.0  # a copy


def test_the_ring_forgets_the_oldest() -> None:
    memory = Memory.empty(1, 1)
    for day in range(RING + 2):
        one = Purchases(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([day]), np.ones(1, np.int64))
        memory.remember(day, np.zeros(1, np.int64), np.zeros(1), np.zeros((1, 1), np.float32), one)
    assert sorted(memory.ring[0, 0].tolist()) == list(range(2, RING + 2))


def test_classes_of_past_purchases_by_hand() -> None:
    past = np.full((1, RING), -1)
    past[0, :4] = [7, 8, 7, 7]
    age = (3 - np.arange(RING)[None]) % RING  # the last written is the fourth
    kind = past_class(past, age)
    assert kind[0, 3] == 0 * 4 + 2  # just now, bought three times
    assert kind[0, 1] == 1 * 4 + 0  # two lines ago, once


def test_traits_by_hand() -> None:
    trait = np.zeros((TASTES, 24))
    trait[1, :4] = [0.0, 1.0, 2.0, 3.0]
    weight = np.ones(24)
    weight[3] = 3.0
    found = tastes(shelf(), trait, weight)
    assert found.mean[1, 0] == pytest.approx(2.0)
    assert found.variance[1, 0] == pytest.approx((4 + 1 + 0 + 3) / 6)
    assert found.mean[:, 1].tolist() == [0.0] * TASTES


def test_tastes_choose_by_their_weight_among_what_is_tried() -> None:
    """Eight products of which the last sells twice as much; own brands (the even ones) are wished for."""
    units = np.array([1.0] * 7 + [2.0])
    trait = np.zeros((TASTES, 8))
    trait[0, ::2] = 1.0
    upto = np.concatenate([[0.0], np.cumsum(units)])
    shown = Shown(np.ones(8), upto, Tastes(trait, np.zeros((TASTES, 1)), np.zeros((TASTES, 1))))
    n = 40_000
    u = np.random.default_rng(4).random((n, UNIFORMS))
    tilt = np.zeros((n, TASTES))
    low, high, none = np.zeros(n), np.full(n, upto[-1]), np.full(n, np.nan)
    plain = np.bincount(_preferred(shown, tilt, low, high, u, 0.0, none), minlength=8) / n
    np.testing.assert_allclose(plain, units / units.sum(), atol=0.01)
    tilt[:, 0] = np.log(3.0)
    wished = units * np.where(np.arange(8) % 2, 1.0, 3.0)
    found = np.bincount(_preferred(shown, tilt, low, high, u, 0.0, none), minlength=8) / n
    np.testing.assert_allclose(found, wished / wished.sum(), atol=0.012)
    part = _preferred(shown, tilt, np.full(n, 1.0), np.full(n, 3.0), u, 0.0, none)
    assert np.bincount(part, minlength=8)[[0, 3]].tolist() == [0, 0], "only what is tried"
    assert (part == 2).mean() == pytest.approx(0.75, abs=0.01)
    trait[2, 5] = 0.5
    near = _preferred(shown, 0.0 * tilt, low, high, u, np.log(9.0), np.full(n, 50.0))
    assert (near == 5).mean() == pytest.approx(9 / 17, abs=0.012), "one at the first one's price"


def test_what_lines_share_by_hand() -> None:
    """One household, two baskets of two categories; +1 for own brands, -1 for others, nothing taken off."""
    goods, shop = shelf(), appeal(1)
    trait = np.zeros_like(shop.trait)
    trait[0, ::2], trait[0, 1::2] = 1.0, -1.0
    days = np.array([FIRST_DAY, FIRST_DAY + 1])
    # (+1, +1) on the first day; on the second (+1 and -1, which count as 0, and -1)
    lines = np.array([0, 0, 1, 1, 1]), np.array([0, 4, 0, 1, 5])
    baskets = Baskets(("h",), np.array([0, 0]), days, *lines, np.ones(5, dtype=np.int64))
    nothing = np.zeros((TASTES, len(goods.categories)))
    found = shared_traits(goods, baskets, replace(shop, trait=trait), nothing)
    between = (1 + 1) * (0 - 1) / 4  # four pairs of lines in different baskets
    assert found.household[0] == pytest.approx(between)
    assert found.basket[0] == pytest.approx((1 * 1 + 0 * -1) / 2 - between)
    assert found.household[1:].tolist() == [0.0] * (TASTES - 1)


def test_pairs_alike_by_hand() -> None:
    """Three of one category: two at one price, two of one subcategory; a fourth alone."""
    goods, shop = shelf(), appeal(1)
    trait = np.zeros_like(shop.trait)
    trait[2, [0, 1, 2], 0] = [0.104, 0.2, 0.1]
    product = np.array([0, 1, 2, 4])
    one = np.zeros(1, dtype=np.int64)
    baskets = Baskets(("h",), one, one + FIRST_DAY, np.zeros(4, dtype=np.int64), product, product)
    assert alike_share(goods, baskets, replace(shop, trait=trait)) == pytest.approx((1 / 3, 1 / 3))
    none = replace(baskets, visit=one, product=one, units=one)
    assert alike_share(goods, none, shop) == (0.0, 0.0)


def test_past_purchases_of_a_line_are_favoured_and_weigh_no_more() -> None:
    first = _first_level(np.array([7.0, 8.0]), np.array([[1, -1], [-1, -1]]))
    np.testing.assert_array_equal(first, [8.0, np.nan])
    assert np.isnan(_first_level(np.array([7.0]), np.zeros((2, 0), dtype=np.int64))).all()
    weight = np.array([[1.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    same = np.array([[True, False, False], [True, False, False]])
    found = _varied(weight, same, np.log(3.0))
    np.testing.assert_allclose(found, [[2.0, 2.0 / 3.0, 4.0 / 3.0], [0.0, 0.0, 0.0]])


def test_what_is_known_of_a_taste_by_hand() -> None:
    memory = Memory.empty(2, 1)
    memory.record[0, 0], memory.information[0, 0] = 5.0, 4.0
    mean, sd = posterior_tastes(memory, np.array([0, 1]))
    assert mean[:, 0].tolist() == [0.5, 0.0]
    np.testing.assert_allclose(sd[:, 0], [1 / np.sqrt(10.0), 1 / np.sqrt(6.0)])


def test_an_urn_by_hand() -> None:
    parent = np.array([0, 0])
    number = np.array([1] * 60 + [2] * 40)
    group = np.array([0] * 50 + [1] * 50)
    none = np.zeros((100, 3), np.float32)
    urn = fit_urn(number, group, parent, none, np.zeros(100, dtype=np.int64))
    above = np.array([60, 40, 0]) + 20 * np.array([60.5, 40.5, 0.5]) / 101.5
    above /= above.sum()
    assert urn.share[0] == pytest.approx((np.array([50, 0, 0]) + 20 * above) / 70)
    own = np.array([[0, 4, 0]], dtype=np.float32)
    w = urn.weight[0]
    p = urn.probability(np.array([0]), own, np.array([0]))
    assert p[0] == pytest.approx((own[0] + w * urn.share[0]) / (4 + w))
    assert urn.drawn(np.array([0]), own, np.array([0]), np.array([p[0, 0] + 1e-6])).tolist() == [2]


def test_who_always_does_the_same_is_believed() -> None:
    """Half of the households always take one, half always three: their own record says all."""
    draw = np.random.default_rng(3)
    kind = np.repeat([1, 3], 500)
    past = draw.integers(1, 6, 1000)
    before = np.zeros((1000, 3), np.float32)
    before[np.arange(1000), kind - 1] = past
    zero = np.zeros(1000, dtype=np.int64)
    assert fit_urn(kind, zero, np.array([0]), before, zero).weight[0] == 0.5
    mixed = draw.permutation(kind)
    assert fit_urn(mixed, zero, np.array([0]), before, zero).weight[0] == 64.0


def test_size_scores_are_normal_quantiles() -> None:
    bounds = size_bounds(np.array([1, 1, 2, 3]))
    assert bounds.tolist() == [0.5, 0.75, 1.0]
    assert size_score(bounds, np.array([1, 2])) == pytest.approx([-0.67449, 0.31864], abs=1e-5)


def test_levels_and_spreads_of_households_are_found_again() -> None:
    draw = np.random.default_rng(4)
    H, n = 300, 60
    level, spread = draw.normal(0.0, 0.6, H), np.where(np.arange(H) % 2, 0.3, 1.0)
    who = np.repeat(np.arange(H), n)
    log = 1.5 + level[who] + spread[who] * draw.standard_normal(H * n)
    size = np.maximum(1, np.rint(np.exp(log))).astype(np.int64)
    found = fit_size(size, np.ones((H * n, 1)), who, H)
    assert np.corrcoef(found.level, level)[0, 1] > 0.95
    assert found.spread[1::2].mean() / found.spread[::2].mean() == pytest.approx(0.3, abs=0.12)
    again = found.drawn(found.level[who] + found.coefficient[0], found.spread[who], draw.random(H * n))
    assert again.mean() == pytest.approx(size.mean(), rel=0.05)
    assert np.quantile(again, [0.25, 0.5, 0.75, 0.95]) == pytest.approx(
        np.quantile(size, [0.25, 0.5, 0.75, 0.95]), rel=0.1
    )


def test_repeats_by_hand() -> None:
    """Household 0 takes product 3 on two days, household 1 takes it once: one line in four is a repeat."""
    found = Baskets(
        ("a", "b"),
        *(np.array(x) for x in ([0, 1, 0], [5, 5, 6], [0, 1, 2, 2], [3, 3, 2, 3], [1, 1, 1, 1])),
    )
    assert repeat_share(found) == 0.25


def test_what_moves_categories_is_found_again() -> None:
    """Drawn from known rates: affinity counts .8, category 0 goes twice as fast in the second period."""
    draw = np.random.default_rng(5)
    V, C = 12_000, 8
    period, size = np.repeat([0, 1], V // 2), draw.integers(1, 4, V)
    affinity = draw.normal(0.0, 1.0, (V, C)).astype(np.float32)
    recency = draw.integers(0, CLASSES, (V, C)).astype(np.uint8)
    rate = np.linspace(-1.0, 1.0, C) + 0.8 * affinity + np.where(recency == 1, -1.0, 0.0)
    rate[period == 1, 0] += np.log(2.0)
    row, category = choose(inclusion(rate, size), size, draw.random((V, C)))
    late = np.zeros((V, C), np.float32)
    share = population_share(size, row, category, C)
    seen = Occasions(size, period, affinity, late, recency, row, category, 0)
    found = fit_categories(seen, np.zeros((C, 2)), share, np.ones(C))
    assert found.slope == pytest.approx(np.full(C, 0.8), abs=0.12)
    assert (found.recency[:, 1] - found.recency[:, 2:].mean(axis=1)).mean() == pytest.approx(-1.0, abs=0.15)
    assert found.week[0, 1] - found.week[0, 0] == pytest.approx(np.log(2.0), abs=0.15)
    assert found.week[4, 1] - found.week[4, 0] == pytest.approx(0.0, abs=0.15)
    assert np.abs(found.mood @ found.mood.T).max() < 0.25  # nothing is shared


def test_moods_that_categories_share_are_found() -> None:
    """Two categories share a mood of sd 1. Loadings are strongly shrunk, but this is the pair they name."""
    draw = np.random.default_rng(6)
    V, C = 12_000, 8
    mood = draw.standard_normal(V)
    rate = np.zeros((V, C))
    rate[:, :2] += mood[:, None]
    size = np.full(V, 2)
    row, category = choose(inclusion(rate, size), size, draw.random((V, C)))
    nothing = np.zeros((V, C), np.float32)
    share = population_share(size, row, category, C)
    seen = Occasions(
        size, np.zeros(V, np.int64), nothing, nothing, nothing.astype(np.uint8), row, category, 0
    )
    found = fit_categories(seen, np.zeros((C, 1)), share, np.ones(C)).mood
    together = found @ found.T
    assert together[0, 1] > 0.03
    assert together[0, 1] > together[:2, 2:].max() + 0.03


def test_who_repeats_is_told_from_who_tries() -> None:
    """Half of the lines come from what was bought before, the others from anything in the category."""
    draw = np.random.default_rng(7)
    goods, L = shelf(), 8000
    past, base = draw.integers(0, 4, L), np.array([4.0, 3.0, 2.0, 1.0])
    fresh = draw.choice(4, L, p=base / base.sum())
    product = np.where(draw.random(L) < 0.5, past, fresh)
    one = np.zeros((L, PAST_CLASSES), np.float32)
    own, like, every = one.copy(), one.copy(), one.copy()
    every[:, 0], own[:, 0], like[:, 0] = 1.0, past == product, past // 2 == product // 2
    found = Loyalty(own, like, every, np.zeros(L, np.float32), np.zeros((L, TASTES), np.float32))
    units = np.ones((len(goods), 1))
    lines = Lines(np.arange(L), product, np.zeros(L, np.int64), found, 0)
    model = fit_products(goods, lines, np.ones(len(goods)), units, np.zeros((TASTES, len(goods), 1)))
    repeats = 1.0 / (1.0 + model.likeness[0] + model.novelty[0])
    assert repeats == pytest.approx(0.5, abs=0.04)
    assert model.base[:4] / model.base[:4].sum() == pytest.approx(base / base.sum(), abs=0.03)
