from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Bools
from pricing.catalogue import NO_LIMIT
from pricing.coupon_decision import allowed_action, decide_offers
from pricing.coupon_rules import CouponRule, CouponSettings, OfferSituation, admit, held_out
from pricing.coupons import Coupon, CouponMenu
from pricing.errors import ArtifactError, SettingsError, UsageError
from pricing.policy import Choice

MENU = CouponMenu.of(
    [
        Coupon("five", "spring", amount=500, limit_per_customer=2, valid_from=100, valid_to=200),
        Coupon("ten", "spring", parts=100_000, max_discount=900, min_spend=2000, stacking=True),
    ]
)
AT = 150


def situation(count: int = 1, seed: int = 0, **changed: object) -> OfferSituation:
    rng = np.random.default_rng(seed)
    shape = (2, count, len(MENU))
    discount = np.broadcast_to(np.array([0, 500, 900]), shape)
    plain = OfferSituation(
        menu=MENU,
        keys=np.arange(1, count + 1, dtype=np.uint64) * 7919,
        at=AT,
        discount=discount,
        spend=np.full(shape, 9000),
        below_floor=np.zeros(shape, dtype=np.bool_),
        floor_unknown=np.zeros(shape, dtype=np.bool_),
        applied=np.zeros(shape[:2], dtype=np.bool_),
        held_out=np.zeros(shape, dtype=np.bool_),
        recent=np.zeros(shape[:2], dtype=np.int64),
        used=np.zeros(shape, dtype=np.int64),
        budget_left=np.full((2, 3), NO_LIMIT),
        limit_left=np.full((2, 3), NO_LIMIT),
        identified=np.ones(3, dtype=np.bool_),
        features=rng.normal(size=(*shape[:2], 2)),
        feature_names=("recency", "frequency"),
        personal=frozenset({"recency", "frequency"}),
        consented=np.ones(count, dtype=np.bool_),
    )
    return replace(plain, **changed)  # type: ignore[arg-type]  # names are checked by the dataclass


@dataclass(frozen=True)
class Softmax:
    """A stochastic policy that reads a feature and likes big offers."""

    name: str = "softmax"
    version: str = "1"
    reads: tuple[str, ...] = ("recency",)

    def choose(self, s: OfferSituation, allowed: Bools) -> Choice:
        like = np.where(allowed, np.exp(s.features[..., :1] * np.arange(s.shape[2])), 0.0)
        return Choice(probabilities=like / like.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Biggest(Softmax):
    name: str = "biggest"
    reads: tuple[str, ...] = ()

    def choose(self, s: OfferSituation, allowed: Bools) -> Choice:
        return Choice(index=np.where(allowed, np.arange(s.shape[2]), 0).max(axis=-1))


def _full(value: object) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.full((2, 1, 3), value)


BROKEN = [
    ({"at": 99}, CouponRule.NOT_IN_FORCE, [1]),
    ({"at": 200}, CouponRule.NOT_IN_FORCE, [1]),
    ({"discount": np.zeros((2, 1, 3), dtype=np.int64)}, CouponRule.NOTHING_TO_REDUCE, [1, 2]),
    ({"below_floor": _full(True)}, CouponRule.BELOW_COST, [1, 2]),
    ({"floor_unknown": _full(True)}, CouponRule.COST_UNKNOWN, [1, 2]),
    ({"budget_left": np.full((2, 3), 500)}, CouponRule.BUDGET, [2]),
    ({"limit_left": np.zeros((2, 3), dtype=np.int64)}, CouponRule.LIMIT_TOTAL, [1, 2]),
    ({"used": np.full((2, 1, 3), 2)}, CouponRule.LIMIT_PER_CUSTOMER, [1]),
    ({"identified": np.zeros(3, dtype=np.bool_)}, CouponRule.NOT_IDENTIFIED, [1, 2]),
    ({"held_out": _full(True)}, CouponRule.HOLDOUT, [1, 2]),
    ({"recent": np.full((2, 1), 4)}, CouponRule.FREQUENCY_CAP, [1, 2]),
    ({"applied": np.ones((2, 1), dtype=np.bool_)}, CouponRule.STACKING, [1]),
    ({"spend": np.full((2, 1, 3), 1999)}, CouponRule.MIN_SPEND, [2]),
]


@pytest.mark.parametrize(("changed", "rule", "offers"), BROKEN, ids=lambda v: getattr(v, "label", ""))
def test_each_rule_forbids_what_it_is_about_and_nothing_else(
    changed: dict[str, object], rule: CouponRule, offers: list[int]
) -> None:
    bits = admit(replace(situation(), **changed), CouponSettings())  # type: ignore[arg-type]  # as named
    assert bits[0, 0].tolist() == [rule.bit if k in offers else 0 for k in range(3)]
    assert (bits[0] == bits[1]).all()


def test_every_rule_is_tried_above_and_the_kill_switch_stops_all() -> None:
    by_coupon = {CouponRule.COUPON_KILL_SWITCH, CouponRule.UNKNOWN_VISITOR}
    assert {rule for _, rule, _ in BROKEN} == set(CouponRule) - by_coupon
    bits = admit(situation(), CouponSettings(kill_switch=True))
    assert bits[0, 0].tolist() == [0, 1, 1]
    assert not admit(
        situation(identified=np.zeros(3, dtype=np.bool_)), CouponSettings(act_on_prior=True)
    ).any()
    ranks = [rule.kind for rule in CouponRule]
    assert ranks == sorted(ranks)


def test_a_coupon_may_be_for_known_customers_only() -> None:
    """Whoever did not agree is an unknown visitor; nobody who agreed ever notices the rule."""
    s = situation(3, consented=np.array([True, False, True]))
    assert not admit(s, CouponSettings()).any()
    five, ten = MENU.coupons
    closed = replace(s, menu=CouponMenu.of([five, replace(ten, known_only=True)]))
    bit = int(CouponRule.UNKNOWN_VISITOR.bit)
    found = [[0, 0, 0], [0, 0, bit], [0, 0, 0]]
    assert admit(closed, CouponSettings()).tolist() == [found, found]


def test_a_decision_says_what_was_wanted_and_what_forbade_it() -> None:
    s = situation(budget_left=np.full((2, 3), 500))
    made = decide_offers(s, CouponSettings(), Biggest(), seed=1, runs=np.array([3, 4]), fingerprint="f")
    record = made.record(0, 0)
    assert (record.coupon, record.discount, record.propensity, record.binding) == (
        "five",
        500,
        1.0,
        CouponRule.BUDGET,
    )
    assert record.decision_id == f"{7919:016x}{AT:08x}{3:08x}"
    assert record.menu == ("", "five", "ten")
    assert not record.personalised
    none = decide_offers(
        s, CouponSettings(kill_switch=True), Biggest(), seed=1, runs=np.array([3, 4]), fingerprint="f"
    )
    assert (none.record(1, 0).coupon, none.discount.tolist()) == (None, [[0], [0]])


def test_only_who_agreed_is_told_that_personal_data_were_read() -> None:
    s = situation(2, consented=np.array([True, False]))
    made = decide_offers(s, CouponSettings(), Softmax(), seed=1, runs=np.array([0, 1]), fingerprint="f")
    assert [made.record(0, n).personalised for n in (0, 1)] == [True, False]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.data())
def test_a_batch_is_its_rows_in_the_whole_decision(count: int, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (2, count, 3)
    s = situation(
        count,
        seed,
        budget_left=rng.integers(0, 1000, (2, 3)),
        used=rng.integers(0, 4, shape),
        spend=rng.integers(0, 4000, shape),
        applied=rng.random((2, count)) < 0.5,
        consented=rng.random(count) < 0.5,
    )
    runs = np.array([5, 2**32 - 1])
    whole = decide_offers(s, CouponSettings(), Softmax(), seed=seed, runs=runs, fingerprint="f")
    for run in range(2):
        for n in range(count):
            alone = decide_offers(
                _row(s, run, n), CouponSettings(), Softmax(), seed=seed, runs=runs[[run]], fingerprint="f"
            )
            assert alone.record(0, 0) == whole.record(run, n)


def _row(s: OfferSituation, run: int, n: int) -> OfferSituation:
    per = (
        "discount",
        "spend",
        "below_floor",
        "floor_unknown",
        "applied",
        "held_out",
        "recent",
        "used",
        "features",
    )
    parts: dict[str, object] = {name: getattr(s, name)[run : run + 1, n : n + 1] for name in per}
    parts |= {name: getattr(s, name)[run : run + 1] for name in ("budget_left", "limit_left")}
    return replace(s, **parts, keys=s.keys[[n]], consented=s.consented[[n]])  # type: ignore[arg-type]  # as named


def test_a_policy_that_breaks_a_rule_is_stopped() -> None:
    @dataclass(frozen=True)
    class Deaf(Biggest):
        def choose(self, s: OfferSituation, allowed: Bools) -> Choice:
            return Choice(index=np.full(allowed.shape[:2], s.shape[2] - 1))

    s = situation(limit_left=np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(ArtifactError, match="no valid probabilities"):
        decide_offers(s, CouponSettings(), Deaf(), seed=0, runs=np.array([0, 1]), fingerprint="f")


def test_impossible_situations_are_refused() -> None:
    with pytest.raises(UsageError, match="may only lower"):
        situation(discount=np.full((2, 1, 3), -1))
    with pytest.raises(UsageError, match="used has shape"):
        situation(used=np.zeros((2, 1), dtype=np.int64))
    twins = situation(2, keys=np.array([5, 5], dtype=np.uint64))
    with pytest.raises(UsageError, match="share a key"):
        decide_offers(twins, CouponSettings(), Biggest(), seed=0, runs=np.array([0, 1]), fingerprint="f")
    with pytest.raises(UsageError, match="32 bits"):
        decide_offers(
            situation(at=2**32), CouponSettings(), Biggest(), seed=0, runs=np.array([0, 1]), fingerprint="f"
        )
    with pytest.raises(UsageError, match="Run numbers"):
        decide_offers(situation(), CouponSettings(), Biggest(), seed=0, runs=np.array([0]), fingerprint="f")
    with pytest.raises(SettingsError, match="no limit"):
        CouponSettings(frequency_days=0)


def test_an_action_that_is_not_allowed_is_no_coupon() -> None:
    allowed = np.array([[[True, False, True], [True, True, True]]])
    assert allowed_action(np.array([[1, 1]]), allowed).tolist() == [[0, 1]]


def test_the_holdout_is_a_fixed_share_drawn_anew_for_each_campaign() -> None:
    names = [f"c{i}" for i in range(20_000)]
    both = held_out(names, ["spring", "autumn"], 0.1, 3)
    spring, autumn = both.T
    assert abs(spring.mean() - 0.1) < 4 * np.sqrt(0.09 / len(names))
    assert abs((spring & autumn).mean() - 0.01) < 4 * np.sqrt(0.0099 / len(names))
    assert (held_out(names[:10], ["spring"], 0.1, 3)[:, 0] == spring[:10]).all()
    assert (held_out(names, ["spring"], 0.2, 3)[:, 0] >= spring).all()
    assert not held_out(names, ["spring"], 0.0, 3).any()
    with pytest.raises(UsageError, match="not a share"):
        held_out(names, ["spring"], float("nan"), 3)
