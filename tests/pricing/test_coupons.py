from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.arrays import Ints
from pricing.coupons import NO_COUPON, PARTS, Carts, Coupon, CouponMenu, Scope, line_floors, reduce
from pricing.errors import DataError
from pricing.money import apportion

TEN_PERCENT = Coupon("ten", parts=100_000)
FIVE_OFF_TEA = Coupon("tea", scope=Scope.LINE, amount=500, categories=frozenset({"tea"}))


def _carts(
    menu: CouponMenu, gross: list[int], floor: list[int] | None = None, covered: object = True
) -> Carts:
    lines = len(gross)
    return Carts(
        cart=np.zeros(lines, dtype=np.int64),
        gross=np.array(gross, dtype=np.int64),
        floor=np.array(floor or [0] * lines, dtype=np.int64),
        covered=np.broadcast_to(np.asarray(covered), (lines, len(menu))).copy(),
        shipping=np.array([490], dtype=np.int64),
        shipping_floor=np.array([300], dtype=np.int64),
    )


def test_a_share_of_the_order_is_rounded_once_and_split_to_the_cent() -> None:
    menu = CouponMenu.of([TEN_PERCENT])
    found = reduce(_carts(menu, [333, 333, 339]), menu)
    assert found.total.tolist() == [[0, 101]]  # 100.5 up
    assert found.by_line[:, 1].tolist() == [34, 33, 34]  # 33.466, 33.466, 34.069: the cent goes to the first
    assert found.spend.tolist() == [[1005, 1005]]


def test_an_amount_goes_no_further_than_what_is_covered() -> None:
    menu = CouponMenu.of([FIVE_OFF_TEA, Coupon("capped", parts=500_000, max_discount=200)])
    covered = menu.covered(["p", "q"], ["tea", "books"], np.array([True, True]))
    assert covered.tolist() == [[False, True, True], [False, False, True]]
    found = reduce(_carts(menu, [300, 700], covered=covered), menu)
    assert found.total.tolist() == [[0, 300, 200]]
    assert found.by_line.tolist() == [[0, 300, 60], [0, 0, 140]]


def test_what_the_law_fixes_is_not_reduced() -> None:
    menu = CouponMenu.of([TEN_PERCENT])
    covered = menu.covered(["book", "tea"], ["books", "tea"], np.array([False, True]))
    found = reduce(_carts(menu, [2000, 1000], covered=covered), menu)
    assert found.by_line[:, 1].tolist() == [0, 100]
    assert found.spend[0, 1] == 1000


def test_shipping_is_reduced_down_to_its_own_floor() -> None:
    menu = CouponMenu.of(
        [Coupon("free", scope=Scope.SHIPPING, parts=PARTS), Coupon("1.90", scope=Scope.SHIPPING, amount=190)]
    )
    found = reduce(_carts(menu, [1000]), menu)
    assert found.total.tolist() == [[0, 490, 190]]
    assert not found.by_line.any()
    assert found.below_floor.tolist() == [[False, True, False]]


def test_floors_are_told_line_by_line() -> None:
    menu = CouponMenu.of([TEN_PERCENT])
    kept = reduce(_carts(menu, [1000, 1000], [900, 900]), menu)
    lost = reduce(_carts(menu, [1000, 1000], [0, 901]), menu)
    dark = reduce(_carts(menu, [1000, 1000], [0, -1]), menu)
    assert (kept.below_floor[0, 1], lost.below_floor[0, 1], dark.floor_unknown[0, 1]) == (False, True, True)
    assert not lost.below_floor[0, 0]


def test_a_floor_holds_cost_fees_tax_and_margin() -> None:
    """21 % tax, net cost 12, fee 2 % of the gross price and .30: 12.30 / (1 / 1.21 - .02) = 15.2516."""
    args = (np.array([1.0, 2.0, 1.0]), np.array([1200.0, 1200.0, np.nan]), np.full(3, 1 / 1.21))
    fees = (np.full(3, 0.02), np.full(3, 30.0))
    assert line_floors(*args, *fees, 0.0).tolist() == [1526, 3051, -1]
    with pytest.raises(DataError, match="leave nothing"):
        line_floors(*args, *fees, 0.99)


@given(
    gross=st.lists(st.integers(0, 10**11), min_size=1, max_size=8),
    parts=st.integers(1, PARTS),
    cap=st.integers(1, 10**12),
)
def test_splits_are_those_of_the_scalar_reference(gross: list[int], parts: int, cap: int) -> None:
    menu = CouponMenu.of([Coupon("any", parts=parts, max_discount=cap)])
    found = reduce(_carts(menu, gross), menu)
    spend = sum(gross)
    total = min((spend * parts * 2 + PARTS) // (2 * PARTS), cap, spend)
    assert found.total[0, 1] == total
    assert found.by_line[:, 1].tolist() == apportion(total, np.array(gross, dtype=np.int64)).tolist()
    assert (found.by_line <= np.array(gross)[:, None]).all()


@given(st.lists(st.lists(st.integers(0, 5000), min_size=0, max_size=4), min_size=1, max_size=5), st.randoms())
def test_a_batch_is_its_carts_one_by_one(carts: list[list[int]], random: object) -> None:
    menu = CouponMenu.of([TEN_PERCENT, Coupon("off", amount=250)])
    place: Ints = np.array([n for n, lines in enumerate(carts) for _ in lines], dtype=np.int64)
    gross: Ints = np.array([g for lines in carts for g in lines], dtype=np.int64)
    order = np.arange(len(gross))
    random.shuffle(order)  # type: ignore[attr-defined]  # Hypothesis types its own Random loosely
    order = order[np.argsort(place[order], kind="stable")] if len(order) else order
    none = np.zeros(len(carts), dtype=np.int64)
    covered = np.ones((len(order), 3), dtype=np.bool_)
    batch = reduce(Carts(place[order], gross[order], np.zeros_like(order), covered, none, none), menu)
    for n in range(len(carts)):
        mine = place[order] == n
        alone = reduce(_carts(menu, gross[order][mine].tolist()), menu)
        assert batch.by_line[mine].tolist() == alone.by_line.tolist()
        assert batch.total[n].tolist() == alone.total[0].tolist()


def test_coupons_that_cannot_be_priced_are_refused() -> None:
    for wrong in (
        {"coupon_id": ""}, {"amount": 5, "parts": 5}, {"amount": 0}, {"amount": -1}, {"parts": PARTS + 1},
        {"amount": 1, "max_discount": 0}, {"amount": 1, "valid_from": 5, "valid_to": 5},
    ):  # fmt: skip
        with pytest.raises(DataError, match="Coupon"):
            Coupon(**{"coupon_id": "c", **wrong})  # type: ignore[arg-type]  # a wrong value is the point
    with pytest.raises(DataError, match="twice"):
        CouponMenu.of([TEN_PERCENT, TEN_PERCENT])
    menu = CouponMenu.of([TEN_PERCENT])
    with pytest.raises(DataError, match="Line 1 of the carts costs"):
        _carts(menu, [5, -1])


def test_the_menu_begins_with_none_and_knows_what_it_may_cost() -> None:
    menu = CouponMenu.of([TEN_PERCENT, FIVE_OFF_TEA])
    assert menu.ids == (NO_COUPON, "ten", "tea")
    assert (TEN_PERCENT.liability, FIVE_OFF_TEA.liability) == (None, 500)
    assert Coupon("c", parts=1, max_discount=70).liability == 70
    assert not reduce(_carts(menu, [100]), menu).total[:, 0].any()
