"""Shadow prices from what a ledger says: numbers by hand, and limits kept whatever it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.allocation.served import Ended, Remaining, Seen, corrected, repriced
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import UsageError
from tests.api.coupon_counter import model

FIVE, TEN, BOTH = (np.array(on, dtype=np.bool_) for on in ([0, 1, 0], [0, 0, 1], [0, 1, 1]))
NONE = np.zeros(3)


def policy(draws: int = 0) -> UpliftOffers:
    """Five adds 200 and 50 a unit of recency below 3, ten half of that; either is used by every second."""
    return UpliftOffers.of(model(np.array([[0.0, 0.0], [200.0, 50.0], [100.0, 25.0]])), draws)


def seen(recency: Floats, off: int = 500) -> Seen:
    discount = np.tile(np.array([0, off, off // 2], dtype=np.int64), (len(recency), 1))
    return Seen(recency[:, None], discount, np.ones(discount.shape, dtype=np.bool_))


def ended(offer: Ints, spent: Ints) -> Ended:
    return Ended(np.full((len(offer), 1), 3.0), offer, np.full(len(offer), 100), spent)


NOTHING = ended(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def budget(left: float, offers: Bools = BOTH, share: float = 1.0, **other: Floats | bool) -> Remaining:
    held, counts = other.get("held", NONE), bool(other.get("counts", False))
    return Remaining(left, offers, np.asarray(held, dtype=np.float64), share, counts)


def test_the_price_is_that_of_whoever_just_does_not_fit() -> None:
    """Worth 200, 150, 100 for an expected draw of 250 each; 500 last for two of them.

    At .4 a unit the third is worth nothing, and where ten is open it is worth as much for half the money.
    """
    three = seen(np.array([3.0, 4.0, 5.0]))
    only = Seen(three.features, three.discount, three.open & ~TEN)
    found = repriced(policy(), only, NOTHING, [budget(500.0)])
    assert found.shadow.tolist() == pytest.approx([0.0, 0.4, 0.4])
    half = repriced(policy(), only, NOTHING, [budget(1000.0, share=0.5)])
    assert half.version == found.version, "twice the money for twice as many to come"
    out = repriced(policy(), only, NOTHING, [budget(600.0, held=np.array([0.0, 200.0, 0.0]))])
    assert out.version == found.version, "of 200 that are out, half will be drawn"
    used = ended(np.full(40, 1), np.where(np.arange(40) < 30, 100, 0))
    more = repriced(policy(), only, used, [budget(687.5)])
    assert more.shadow[1] == pytest.approx(100.0 / 343.75), "1.375 times as much is drawn as predicted"


def test_a_cap_counts_uses() -> None:
    """Three customers use it with .5 each: a cap of one use is for two of them."""
    three = seen(np.array([3.0, 4.0, 5.0]))
    cap = budget(1.0, FIVE, counts=True)
    found = repriced(policy(), Seen(three.features, three.discount, three.open & ~TEN), NOTHING, [cap])
    assert found.shadow.tolist() == pytest.approx([0.0, 0.4, 0.0])


def test_what_binds_nothing_changes_nothing() -> None:
    fitted, three = policy(5), seen(np.array([3.0, 4.0, 5.0]))
    priced = fitted.priced(np.array([0.0, 2.0, 0.0]), np.ones(3))
    for limits in ([], [budget(1e9)], [budget(1e9), budget(1e9, FIVE)]):
        assert repriced(fitted, three, NOTHING, limits).version == fitted.version != priced.version
    nobody = seen(np.zeros(0))
    assert repriced(priced, nobody, NOTHING, [budget(0.0)]).version == fitted.version
    again = repriced(priced, three, NOTHING, [budget(400.0)])
    assert again.version == repriced(fitted, three, NOTHING, [budget(400.0)]).version
    assert UpliftOffers.from_bytes(again.to_bytes()).version == again.version


def test_the_correction_is_what_was_realised_over_what_was_predicted() -> None:
    """40 offers of five at 100, of which half should be used: 2000 predicted, 3000 spent. The prior is worth
    20 uses, 2000: 5000 over 4000 for all, and so for ten, of which nothing came back."""
    assert corrected(policy(), NOTHING).tolist() == [1.0, 1.0, 1.0]
    offer = np.full(40, 1)
    spent = np.where(np.arange(40) < 30, 100, 0)
    found = corrected(policy(), ended(offer, spent))
    assert found.tolist() == pytest.approx([1.0, (3000 + 2000 * 1.25) / 4000, 1.25])
    unused = corrected(policy(), ended(offer, 0 * spent))
    assert 0.0 < unused[1] < unused[2] < 1.0


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 120),
    st.floats(0.0, 30_000.0),
    st.floats(0.0, 40.0),
    st.integers(0, 5),
)
def test_whoever_comes_again_draws_no_more_than_is_left(
    seed: int, count: int, left: float, uses: float, draws: int
) -> None:
    rng = np.random.default_rng(seed)
    came = seen(rng.uniform(0.0, 7.0, count))
    came = Seen(came.features, rng.integers(0, 900, came.discount.shape) * (np.arange(3) > 0), came.open)
    fitted = policy(draws)
    found = repriced(fitted, came, NOTHING, [budget(left)])
    assert np.isfinite(found.shadow).all()
    cost = 0.5 * came.discount * (np.arange(3) > 0)
    worth = fitted.sampled(came.features) - found.shadow * cost
    worth[:, 0] = 0.0
    chosen = worth.argmax(axis=1)
    assert cost[np.arange(count), chosen].sum() <= left + 1e-6
    both = repriced(fitted, came, NOTHING, [budget(left), budget(uses, FIVE, counts=True)])
    assert (np.isfinite(both.shadow) & (both.shadow >= 0.0)).all()


def test_prices_that_are_none_are_refused() -> None:
    for shadow, correction in (([0.0, -1.0, 0.0], [1.0] * 3), ([0.0, np.inf, 0.0], [1.0] * 3),
                               ([0.0, 1.0, 0.0], [np.nan] * 3), ([1.0], [1.0] * 3)):  # fmt: skip
        with pytest.raises(UsageError, match="shadow price"):
            policy().priced(np.array(shadow), np.array(correction))
