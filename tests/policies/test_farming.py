"""What a ledger says about farming, on rows small enough to work out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.farming import DAY, FALSE_ALARMS, HOUR, Asked, Kind, Taken, look_for_farming, luck

NAMED, ANONYMOUS, NOT_RECORDED = range(3)
MINUTE = HOUR // 60


def asked(*rows: tuple[int, int, float, bool], kind: int = NAMED, used: bool = False) -> Asked:
    """Return decisions of (holder, hour, chance, given)."""
    holder, hour, chance, given = zip(*rows, strict=True) if rows else ((), (), (), ())
    n, offered = len(rows), np.array(given, dtype=np.bool_)
    return Asked(
        np.array(holder, dtype=np.int64), np.full(n, kind), np.array(hour, dtype=np.int64) * HOUR, offered,
        offered & used, np.array(chance, dtype=np.float64),
    )  # fmt: skip


def taken(*rows: tuple[int, int, int, int, bool]) -> Taken:
    """Return uses of (holder, order, minute, discount, back), of holders who are old acquaintances."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    back = table[:, 4] > 0
    age = np.full(len(rows), 2 * DAY)
    return Taken(table[:, 0], table[:, 1], table[:, 2] * MINUTE, table[:, 3], back, age)


def test_the_wealth_of_one_who_bets_on_luck_by_hand() -> None:
    """Even chances: an offer is worth 2 / 1.5, 4 / 2.5, 8 / 4.5 or 16 / 8.5, and none 1 over the same."""
    who, wealth = luck(asked((7, 0, 0.5, True), (7, 1, 0.5, False), (3, 0, 0.5, False)))
    assert who.tolist() == [3, 7]
    mean = (2 / 1.5 + 4 / 2.5 + 8 / 4.5 + 16 / 8.5) / 4
    np.testing.assert_allclose(np.exp(wealth), [1.0, mean])
    sure = luck(asked((1, 0, 1.0, True), (1, 1, 0.0, False)))[1]
    np.testing.assert_allclose(sure, 0.0, atol=1e-12, err_msg="what was certain is no luck")


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
def test_wealth_is_rarely_ever_large_whenever_one_stops(chance: float) -> None:
    """All ways that ten draws can go: the chance that it ever reaches 1 / a is a at most, exactly."""
    ways = list(product((False, True), repeat=10))
    rows = [(holder, hour, chance, bool(way[hour])) for holder, way in enumerate(ways) for hour in range(10)]
    weight = np.array([chance ** sum(way) * (1.0 - chance) ** (10 - sum(way)) for way in ways])
    wealth = np.exp(luck(asked(*rows))[1])
    for a in (0.5, 0.1, 0.01):
        assert weight[wealth >= 1.0 / a].sum() <= a
    assert weight.sum() == pytest.approx(1.0)


def test_who_is_offered_far_more_than_the_chances_say_is_worth_a_look() -> None:
    patient = [(1, hour, 0.2, hour % 5 == 4) for hour in range(40)]
    found = look_for_farming(asked(*patient, *((2, hour, 0.2, True) for hour in range(40))), taken())
    (one,) = found.lucky
    assert (one.holder, one.count, one.of) == (2, 40, 40)
    assert one.expected == pytest.approx(8.0)
    assert one.p * 2 <= FALSE_ALARMS


def test_asking_again_is_counted_by_hand() -> None:
    """Again: hour 1 (none an hour before). Not: hour 2 (given before), hour 30 (over a day later)."""
    rows = ((1, 0, 0.25, False), (1, 1, 0.5, True), (1, 2, 0.125, False), (1, 30, 1.0, True))
    asking = look_for_farming(asked(*rows), taken()).asking
    assert asking is not None
    assert (asking.days, asking.median, asking.most) == (2, 2.0, 3)
    assert (asking.again, asking.offers_again, asking.offers) == (1, 1, 2)
    assert asking.once == pytest.approx(0.25 + 0.125 + 1.0)


def test_orders_taken_back_by_hand() -> None:
    """Of 60 orders 6 came back, all of them of holder 0, who has 6: one way of choosing 6 of 60."""
    rows = [(order // 6, order, 200 * order, 100, order < 6) for order in range(60)]
    found = look_for_farming(asked(), taken(*rows, (0, 0, 0, 50, True)))  # a second coupon on an order
    (one,) = found.returning
    assert (one.holder, one.count, one.of) == (0, 6, 6)
    assert one.expected == pytest.approx(0.6)
    assert one.p == pytest.approx(1.0 / 50_063_860)
    assert found.back.estimate == pytest.approx(0.1)
    two = [(order // 2, order, 200 * order, 100, order < 2) for order in range(10)]
    assert look_for_farming(asked(), taken(*two)).returning == (), "1 in 45, of five holders"


def test_concentration_beside_equal_chances() -> None:
    offers = asked(*((holder, 0, 0.5, True) for holder in range(100)))
    one = look_for_farming(offers, taken(*((5, order, 90 * order, 100, False) for order in range(50)))).top
    assert one is not None
    assert (one[0].found, one[1].found) == (1.0, 1.0)
    assert one[0].p == pytest.approx(1.0 / 200.0)
    assert one[0].upper < 0.2
    rows = ((holder, holder, 90 * holder, 100, False) for holder in range(100))
    even = look_for_farming(offers, taken(*rows)).top
    assert even is not None
    assert [share.found for share in even] == pytest.approx([0.01, 0.1])
    assert even[0].p == 1.0
    assert look_for_farming(offers, taken((1, 1, 0, 0, True))).top is None, "nothing was given away"


def test_orders_minutes_apart_beside_orders_dealt_anew() -> None:
    """Ten holders with two orders each: ten minutes apart, and ten days."""
    split = [(h, 2 * h + i, 1440 * h + 10 * i, 100, False) for h in range(10) for i in (0, 1)]
    found = look_for_farming(asked(), taken(*split)).bursts
    assert found.found == 10.0
    assert found.expected == pytest.approx(10 / 19, abs=0.2), "who else has the other order of the pair"
    assert found.p <= FALSE_ALARMS
    apart = [(h, 2 * h + i, 1440 * (h + 10 * i), 100, False) for h in range(10) for i in (0, 1)]
    assert look_for_farming(asked(), taken(*apart)).bursts.found == 0.0


def test_kinds_are_told_apart_as_the_shop_named_them() -> None:
    one, two = (
        asked((1, 0, 0.5, True), (1, 1, 0.5, False), used=True),
        asked((2, 0, 0.5, True), kind=ANONYMOUS),
    )
    old = asked((1, 0, 0.5, False), (3, 0, 0.5, False), kind=NOT_RECORDED)
    parts = [np.concatenate([getattr(x, name) for x in (one, two, old)]) for name in Asked.__slots__]
    uses = taken((1, 1, 0, 300, False), (2, 2, 0, 40, False), (9, 3, 0, 5, False), (-1, 4, 0, 7, False))
    uses.age[:] = (DAY, DAY - 1, -1, -1)
    found = look_for_farming(Asked(*parts), uses)
    named, anonymous, rest = found.kinds
    assert (named.kind, named.identities, named.decisions, named.offers, named.used) == (
        Kind.NAMED,
        1,
        3,
        1,
        1,
    )
    assert (named.discount, named.fresh.estimate, named.use.estimate) == (300, 0.0, 1.0)
    assert (anonymous.identities, anonymous.discount, anonymous.fresh.estimate) == (1, 40, 1.0)
    assert (rest.identities, rest.decisions, rest.discount) == (1, 1, 12)
    assert np.isnan(rest.fresh.estimate)
    assert found.holders == 4


def honest(seed: int) -> tuple[Asked, Taken]:
    """Twenty holders ask until they get something, at most six times; some use it; one in five comes back."""
    rng = np.random.default_rng(seed)
    rows = list[tuple[int, int, float, bool]]()
    for holder in range(20):
        for _ in range(4):
            hour = int(rng.integers(2000))
            for again in range(6):
                chance = float(rng.choice([0.1, 0.3, 0.8]))
                rows.append((holder, hour + again, chance, bool(rng.random() < chance)))
                if rows[-1][3]:
                    break
    uses = [(row[0], place, 60 * row[1], int(rng.integers(100, 900)), bool(rng.random() < 0.2))
            for place, row in enumerate(rows) if row[3]]  # fmt: skip
    return asked(*rows), taken(*uses)


def test_honest_ledgers_are_rarely_flagged() -> None:
    """A hundred: more than four flagged by one test has a chance of .003 where its false alarms are 1 %."""
    found = [look_for_farming(*honest(seed)) for seed in range(100)]
    assert sum(bool(one.lucky) for one in found) <= 4
    assert sum(bool(one.returning) for one in found) <= 4
    assert sum(one.bursts.p <= FALSE_ALARMS for one in found) <= 4


def test_where_all_are_alike_the_discount_is_spread_as_chance_says() -> None:
    offers, inside = asked(*((holder, 0, 0.5, True) for holder in range(40))), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = ((int(rng.integers(40)), n, 90 * n, int(rng.integers(100, 900)), False) for n in range(80))
        top = look_for_farming(offers, taken(*rows)).top
        assert top is not None
        inside += top[1].lower <= top[1].found <= top[1].upper
    assert inside >= 51, "95 % of 60 are 57; fewer than 51 have a chance of .003"


@given(st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    one, two = honest(seed)
    rng = np.random.default_rng(seed)
    mixed = [
        type(part)(*(getattr(part, name)[order] for name in part.__slots__))
        for part in (one, two)
        for order in [rng.permutation(len(part.holder))]
    ]
    assert look_for_farming(one, two) == look_for_farming(mixed[0], mixed[1])  # type: ignore[arg-type] # one of each


def test_an_empty_ledger_says_nothing() -> None:
    found = look_for_farming(asked(), taken())
    assert (found.holders, found.kinds, found.top, found.asking) == (0, (), None, None)
    assert (found.lucky, found.returning, found.bursts.found, found.bursts.p) == ((), (), 0.0, 1.0)
    assert np.isnan(found.back.estimate)
