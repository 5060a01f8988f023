"""Pacing: nothing is ever overspent, chance decides nothing, and outcomes correct what was predicted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.pacing import FACE, Case, K, World, rows, stream, world
from policies.allocation.allocate import allocate
from policies.allocation.arrivals import Arrivals, Calibration, Outcomes, learned
from policies.allocation.instance import Instance, Limit
from policies.allocation.pacing import Pacer, Pacing
from policies.allocation.reservations import Reservations
from pricing.errors import DataError, UsageError

EVERY = np.ones(K, dtype=np.bool_)


def _limits(budget: float) -> tuple[Limit, ...]:
    """Return a budget for all, one for two offers, and a cap."""
    on = np.isin(np.arange(K), [2, 3])
    return Limit("all", budget, EVERY), Limit("two", budget / 5.0, on), Limit("cap", 40.0, on, counts=True)


def _small(seed: int, count: int = 200) -> World:
    return world(count, seed, Case("", 0.3))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(0, 30_000),
    st.floats(0.0, 0.3),
    st.integers(25, 90),
    st.floats(0.0, 1.0),
)
def test_no_limit_is_ever_overspent(seed: int, budget: int, valid: float, call: int, chance: float) -> None:
    """Whatever is redeemed, whenever: spent and reserved stay within every limit, and add up."""
    made, rng = _small(seed), np.random.default_rng(seed)
    pacer = Pacer(_limits(budget), K, Pacing(0.0, 1.0, memory=64))
    most, waiting = pacer.schedule.most, np.zeros(0, dtype=np.int64)
    for start in range(0, 200, call):
        part = rows(made.predicted, slice(start, start + call))
        now = float(made.time[min(start + call, 200) - 1])
        over = pacer.expire(now)
        waiting = np.setdiff1d(waiting, over)
        offered = pacer.decide(part, now, valid)
        assert part.eligible[np.arange(len(part)), offered.choice].all()
        waiting = np.concatenate([waiting, offered.reservation[offered.choice > 0]])
        redeemed = rng.random(len(waiting)) < chance
        worst = pacer.reservations.column("liability")[waiting[redeemed]]
        pacer.settle(waiting[redeemed], (worst * rng.random(len(worst))).astype(np.int64))
        waiting = waiting[~redeemed]
        assert (pacer.free >= 0.0).all()
        assert (pacer.spent <= most).all()
        pacer.replan(now)
        assert np.isfinite(pacer.shadow).all()
    pacer.expire(99.0)
    np.testing.assert_allclose(pacer.free + pacer.spent, most)
    assert not len(pacer.reservations.open)


def test_how_customers_are_cut_into_calls_changes_nothing() -> None:
    made = _small(4)
    given_: list[list[int]] = []
    for call in (1, 7, 200):
        pacer = Pacer(_limits(6000.0), K, Pacing(0.0, 1.0))
        pacer.foresee(made.past)
        pacer.replan(0.0, ahead=200.0)
        taken: list[int] = []
        for start in range(0, 200, call):
            taken += pacer.decide(rows(made.predicted, slice(start, start + call)), 0.5, 1.0).choice.tolist()
        given_.append(taken)
    assert given_[0] == given_[1] == given_[2]
    assert 0 < sum(map(bool, given_[0])) < 200


def test_an_offer_that_does_not_fit_gives_way_to_one_that_does() -> None:
    """600 are left: the coupon of 800 is worth more, that of 500 fits; then nothing of 200 and up does."""
    value = np.tile([0.0, -1.0, 1.0, -1.0, 20.0, 30.0], (2, 1))
    cost, redemption = np.full((2, K), 0.5), np.full((2, K), 0.5)
    cost[:, 0] = 0.0
    liability = np.tile(FACE, (2, 1))
    pacer = Pacer((Limit("all", 600.0, EVERY),), K, Pacing(0.0, 1.0))
    offered = pacer.decide(Arrivals(value, cost, redemption, liability, np.tile(EVERY, (2, 1))), 0.1, 0.1)
    assert offered.choice.tolist() == [4, 0]
    assert offered.reservation.tolist() == [0, -1]
    assert pacer.free.tolist() == [100.0]
    pacer.settle(np.array([0]), np.array([350]))
    assert (pacer.free.tolist(), pacer.spent.tolist()) == ([250.0], [350.0])


@pytest.mark.parametrize(
    ("error", "kind", "valid", "least"),
    [
        (0.0, "customer", 0.0, 0.97),
        (0.6, "customer", 0.0, 0.93),
        (0.6, "offer", 0.0, 0.90),
        (0.6, "all", 0.002, 0.95),
    ],
)
def test_it_spends_the_budget_and_beats_believing_predictions(
    error: float, kind: str, valid: float, least: float
) -> None:
    """Small; bench/pacing.py measures more. Spending is realised, values are true expectations."""
    made = world(8_000, 31, Case("", error, kind=kind))
    limit = Limit("all", made.budget, EVERY)
    best = allocate(Instance(made.value, made.cost, made.predicted.eligible, (limit,))).value
    value, spent = stream(made, "Tarifa", 31, valid)
    assert 0.97 * made.budget <= spent <= made.budget
    assert value >= least * best
    if error:
        assert value > stream(made, "re-solve", 31, valid)[0]
        assert value > stream(made, "plan", 31, valid)[0]


def _outcomes(slope: float, level: float, count: int = 20_000) -> Outcomes:
    """Draw outcomes of lifts that show as exp(level + slope log lift)."""
    rng = np.random.default_rng(8)
    own, base = rng.normal(-0.5, 0.6, count), rng.normal(-1.5, 0.5, count)
    mean = own + rng.normal(0.0, 0.3, count)
    redeemed = rng.random(count) < 1.0 / (1.0 + np.exp(-(base + np.exp(level + slope * own))))
    offer = rng.integers(1, 4, count)
    predicted = np.where(redeemed, 100.0, 0.0)
    return Outcomes(offer, base, np.exp(own), mean, redeemed, predicted, 0.8 * predicted)


@pytest.mark.parametrize(("slope", "level"), [(1.0, 0.0), (0.5, -0.4), (1.0, -0.6)])
def test_the_calibration_finds_how_lifts_show(slope: float, level: float) -> None:
    found = learned(_outcomes(slope, level), 4)
    assert found.slope + found.pooled == pytest.approx(slope, abs=0.12)
    np.testing.assert_allclose(found.level[1:] + (found.slope + found.pooled - slope) * -0.5, level, atol=0.1)
    assert found.spent == pytest.approx(0.8, abs=0.01)


def test_without_outcomes_predictions_stand() -> None:
    made = _small(1)
    nothing = np.zeros(0)
    none = Outcomes(nothing.astype(np.int64), nothing, nothing, nothing, nothing > 0.0, nothing, nothing)
    found = learned(none, K)
    assert (found.slope, found.pooled, found.spent, found.level.tolist()) == (1.0, 0.0, 1.0, [0.0] * K)
    cells = found.corrected(made.predicted)
    np.testing.assert_allclose(cells.value, made.predicted.value, atol=1e-6)
    np.testing.assert_allclose(cells.cost, made.predicted.cost, atol=1e-6)
    half = Calibration(np.full(K, np.log(0.5))).corrected(made.predicted)
    assert (half.cost[:, 1:] < made.predicted.cost[:, 1:]).all(), "half the lift: fewer redemptions"
    assert (half.cost <= made.predicted.liability).all()


def test_outcomes_count_only_when_their_time_is_over() -> None:
    kept = Reservations()
    numbers = kept.add(np.array([1, 2, 1]), liability=100.0, until=np.array([1.0, 1.0, 5.0]), expected=9.0,
                       base=0.0, lift=1.0, mean=0.0, predicted=100.0)  # fmt: skip
    kept.settle(numbers[[0, 2]], np.array([70, 80]))
    assert len(kept.outcomes(0.5, 10).offer) == 0
    assert kept.expire(1.0).tolist() == [1]
    seen = kept.outcomes(1.0, 10)
    assert (seen.redeemed.tolist(), seen.spent.tolist()) == ([True, False], [70.0, 0.0])
    assert kept.outcomes(5.0, 2).redeemed.tolist() == [False, True]


def test_what_must_not_be_told_is_refused() -> None:
    kept = Reservations()
    columns = {"liability": 100.0, "until": 1.0, "expected": 9.0, "base": 0.0, "lift": 1.0, "mean": 0.0}
    one = kept.add(np.array([1]), predicted=100.0, **columns)
    for spent in (-1, 101):
        with pytest.raises(DataError, match="cost more than was reserved"):
            kept.settle(one, np.array([spent]))
    for numbers in ([7], [-1], [0, 0]):
        with pytest.raises(UsageError, match="not there, or not open"):
            kept.settle(np.array(numbers), np.zeros(len(numbers), dtype=np.int64))
    kept.settle(one, np.array([100]))
    with pytest.raises(UsageError, match="not open"):
        kept.settle(one, np.array([100]))


@pytest.mark.parametrize(
    ("part", "cell", "says"),
    [
        ("value", np.nan, "is no number"),
        ("cost", -1.0, "negative cost"),
        ("redemption", 1.5, "no probability"),
        ("redemption", np.nan, "no probability"),
        ("liability", -1, "is no number"),
        ("cost", 1e9, "more than its maximum liability"),
    ],
)
def test_arrivals_that_cannot_be_are_refused(part: str, cell: float, says: str) -> None:
    good = _small(1, 3).predicted
    parts = {
        name: getattr(good, name).copy() for name in ("value", "cost", "redemption", "liability", "eligible")
    }
    parts[part][1, 2] = cell
    with pytest.raises(DataError, match=says):
        Arrivals(**parts)


def test_a_campaign_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"from 1\.0 to 1\.0"):
        Pacing(1.0, 1.0)
    with pytest.raises(UsageError, match="does not rise"):
        Pacing(0.0, 1.0, profile=(0.0, 0.7, 0.5, 1.0))


def test_arrivals_to_come_follow_from_the_clock_and_the_profile() -> None:
    pacer = Pacer(_limits(100.0), K, Pacing(0.0, 10.0))
    pacer.arrived = 300
    assert pacer.ahead(2.5) == pytest.approx(900.0)
    late = Pacer(_limits(100.0), K, Pacing(0.0, 10.0, profile=(0.0, 0.1, 1.0)))
    late.arrived = 100
    assert late.ahead(5.0) == pytest.approx(900.0)
    told = Pacer(_limits(100.0), K, Pacing(0.0, 10.0, expected=1000.0))
    assert told.ahead(0.0) == pytest.approx(1000.0)
