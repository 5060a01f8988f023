"""Shadow prices from what a ledger says: numbers by hand, and limits kept whatever it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.allocation.served import Ended, Remaining, Seen, corrected, repriced
from policies.allocation.uses import learned_use
from policies.serve.realised_use import Correction, LogOdds
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
    often = float(corrected(policy(), used).applied(np.full((1, 3), 0.5))[1][0, 1])
    assert 1.2 < often < 1.5
    more = repriced(policy(), only, used, [budget(500.0 * often)])
    assert more.shadow[1] == pytest.approx(0.4), "more uses draw more, and add as much each"
    assert repriced(policy(), only, used, [budget(500.0 * often - 1.0)]).shadow[1] > 0.5


def test_a_cap_counts_uses() -> None:
    """Three customers use it with .5 each: a cap of one use is for two of them."""
    three = seen(np.array([3.0, 4.0, 5.0]))
    cap = budget(1.0, FIVE, counts=True)
    found = repriced(policy(), Seen(three.features, three.discount, three.open & ~TEN), NOTHING, [cap])
    assert found.shadow.tolist() == pytest.approx([0.0, 0.4, 0.0])


def test_what_binds_nothing_changes_nothing() -> None:
    fitted, three = policy(5), seen(np.array([3.0, 4.0, 5.0]))
    priced = fitted.priced(np.array([0.0, 2.0, 0.0]), Correction.none(3))
    for limits in ([], [budget(1e9)], [budget(1e9), budget(1e9, FIVE)]):
        assert repriced(fitted, three, NOTHING, limits).version == fitted.version != priced.version
    nobody = seen(np.zeros(0))
    assert repriced(priced, nobody, NOTHING, [budget(0.0)]).version == fitted.version
    again = repriced(priced, three, NOTHING, [budget(400.0)])
    assert again.version == repriced(fitted, three, NOTHING, [budget(400.0)]).version
    assert UpliftOffers.from_bytes(again.to_bytes()).version == again.version


def test_the_correction_is_what_was_realised_over_what_was_predicted() -> None:
    """A half was to use five and three quarters did, for 80 of the 100 that it may cost.

    One offer, one prediction: all that can be learned is a shift of the log odds, between 0 and log 3.
    """
    nothing = corrected(policy(), NOTHING)
    assert (nothing.use.level.tolist(), nothing.use.own, nothing.use.others, nothing.money) == (
        [0.0] * 3,
        1,
        0,
        1,
    )
    offer, rank = np.full(400, 1), np.arange(400)
    found = corrected(policy(), ended(offer, np.where(rank < 300, 80, 0)))
    assert 0.9 * np.log(3.0) < found.use.level[1] < np.log(3.0)
    assert 0.0 < found.use.level[2] <= found.use.level[1], "an offer not made follows those that were"
    assert found.money == pytest.approx((300 * 80 + 20 * 100) / (320 * 100))
    few = corrected(policy(), ended(offer[:8], np.where(rank[:8] < 6, 80, 0)))
    assert 0.0 <= few.use.level[1] < 0.9 * found.use.level[1], "eight tell less than four hundred"
    unused = corrected(policy(), ended(offer, 0 * offer))
    chance, more = unused.applied(np.full((1, 3), 0.5))
    assert 0.0 < chance[0, 1] < 0.01
    assert more[0, 1] == 0.125, "what a lottery found is not taken for nothing"


def test_an_offer_that_nobody_uses_is_not_cheap() -> None:
    """Five and ten add 200 and 100 for 250 and 125: of 500 there is one each of two, or four times ten.

    Nobody uses ten. Were only its cost corrected it would be the bargain, and everybody would get it.
    """
    two = seen(np.array([3.0, 3.0]))
    made = np.repeat([1, 2], 100)
    out = ended(made, np.where((made == 1) & (np.arange(200) % 2 == 0), 100, 0))
    found = repriced(policy(), two, out, [budget(200.0)])
    chance, more = found.chance(two.features)
    assert chance[0, 2] < 0.2
    assert chance[0, 1] > 0.4
    worth = found.model.profit(two.features) * more - found.shadow * chance * two.discount
    assert worth[0, 1] == pytest.approx(worth[0, 2], abs=1.0), "a use of either adds as much for its money"


@pytest.mark.parametrize("own", [1.0, 0.4])
def test_whoever_looked_likeliest_is_so_less(own: float) -> None:
    """Log odds spread from -3 to 3 are right, or two and a half times too wide."""
    rng = np.random.default_rng(3)
    logit = rng.uniform(-3.0, 3.0, (6000, 1)) + np.array([0.0, 0.5, -0.5])
    predicted = 1.0 / (1.0 + np.exp(-logit))
    offer = rng.integers(1, 3, 6000)
    mine = logit[np.arange(6000), offer]
    used = (rng.random(6000) < 1.0 / (1.0 + np.exp(-own * mine - 0.3))).astype(np.float64)
    found = learned_use(predicted, offer, used)
    slope = float(found.own + found.others)
    assert abs(slope - own) < 0.07
    chance = found.chance(predicted)[np.arange(6000), offer]
    for k in (1, 2):
        assert chance[offer == k].mean() == pytest.approx(used[offer == k].mean(), abs=0.01)


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
    for shadow in ([0.0, -1.0, 0.0], [0.0, np.inf, 0.0], [1.0]):
        with pytest.raises(UsageError, match="shadow price"):
            policy().priced(np.array(shadow), Correction.none(3))
    for numbers in ([0.0, 0.0, 0.0, 1.0, 0.0, -1.0], [0.0, np.nan, 0.0, 1.0, 0.0, 1.0]):
        with pytest.raises(UsageError, match="correction"):
            Correction.of(np.array(numbers))
    with pytest.raises(UsageError, match="3 offers"):
        policy().priced(np.ones(3), Correction.none(2))


def test_a_correction_is_kept_as_it_is() -> None:
    told = Correction(LogOdds(np.array([0.0, 0.1, -0.2]), 0.7, 0.2), 0.9)
    priced = policy(4).priced(np.array([0.0, 0.3, 0.3]), told)
    again = UpliftOffers.from_bytes(priced.to_bytes())
    assert again.version == priced.version != policy(4).priced(priced.shadow, Correction.none(3)).version
    assert again.realised.numbers().tolist() == told.numbers().tolist()
