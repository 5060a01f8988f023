"""Trials drawn and measured: who shares a fate, who is held, what is found, and what silences the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policies.impact.checks import exposure
from policies.impact.draw import draw_parallel, draw_switchback, gathered
from policies.impact.register import MONTH_DAYS, Wish, plan_trial
from policies.impact.report import Caveat, Impact, Verdict, measure
from pricing.arrays import Floats
from pricing.errors import DataError, FingerprintError, RefusedError, UsageError
from pricing.panel import Series
from pricing.trial import OUTSIDE, Design, Trial
from tests.policies.trials import FIRST, PAST, WEEKS, planned, raised, realised, weeks_of

SWITCH = {"design": Design.SWITCHBACK, "block": 2, "washout": 1}


def _measured(profit: Floats, trial: Trial) -> Impact:
    return measure(trial, realised(profit), 999)


def test_substitutes_and_variants_share_a_fate_in_their_zone() -> None:
    series = Series(
        ("a", "b", "c", "d", "e", "a"), ("x", "x", "x", "x", "x", "y"), ("k",) * 6,
        ("s", "s", "t", "", "", "s"), ("",) * 6,
    )  # fmt: skip
    parent = ("", "P", "P", "", "", "P")
    assert gathered(series, parent, "subcategory").tolist() == [0, 0, 0, 1, 2, 3]
    assert gathered(series, parent, "category").tolist() == [0, 0, 0, 0, 0, 1]
    assert gathered(series, ("",) * 6, "subcategory").tolist() == [0, 0, 1, 2, 3, 4]
    other = replace(series, category=("k", "k", "l", "m", "k", "k"))
    assert gathered(other, parent, "category").tolist() == [0, 0, 0, 1, 0, 2]  # the variant draws l to k


def test_one_of_each_stratum_of_like_size_is_held() -> None:
    before = np.arange(1.0, 41.0)
    drawn = draw_parallel(before, 0.2, np.random.default_rng(0))
    for stratum in range(8):
        here = drawn.stratum[:, 0] == stratum
        assert here.sum() == 5
        assert (~drawn.treated[here, 0]).sum() == 1
        assert before[here].max() - before[here].min() == 4.0


def test_few_clusters_make_larger_strata_and_too_few_are_refused() -> None:
    few = draw_parallel(np.arange(1.0, 13.0), 0.5, np.random.default_rng(0))
    assert (~few.treated).sum() == 6
    assert len(np.unique(few.stratum)) == 1
    with pytest.raises(RefusedError, match="too few for a holdout"):
        draw_parallel(np.arange(1.0, 9.0), 0.2, np.random.default_rng(0))
    with pytest.raises(UsageError, match="not a share"):
        draw_parallel(np.arange(1.0, 40.0), 0.6, np.random.default_rng(0))


def test_every_pair_of_blocks_is_once_on_and_once_off() -> None:
    drawn = draw_switchback(5, 6, np.random.default_rng(0))
    assert (drawn.treated[:, 0::2] != drawn.treated[:, 1::2]).all()
    assert drawn.stratum[1].tolist() == [3, 3, 4, 4, 5, 5]
    with pytest.raises(RefusedError, match="too few"):
        draw_switchback(2, 4, np.random.default_rng(0))
    with pytest.raises(UsageError, match="no pairs"):
        draw_switchback(5, 3, np.random.default_rng(0))


def test_the_same_seed_draws_the_same_plan_and_nothing_later_is_looked_at() -> None:
    profit = weeks_of(1)
    trial = planned(profit)
    assert trial.to_bytes() == planned(profit).to_bytes()
    later = profit.copy()
    later[:, PAST:] *= 7
    assert planned(later, start=str(FIRST + 7 * PAST)).digest == trial.digest
    assert planned(profit, seed=1).treated.tolist() != trial.treated.tolist()
    assert (trial.since, trial.start) == (str(FIRST), str(FIRST + 7 * PAST))


@pytest.mark.parametrize("wish", [{}, SWITCH], ids=["parallel", "switchback"])
@pytest.mark.parametrize(
    ("share", "verdict"), [(0.3, Verdict.PAID), (0.0, Verdict.CANNOT_TELL), (-0.3, Verdict.DID_NOT)]
)
def test_a_known_effect_is_found_and_judged_by_the_rule(
    wish: dict[str, object], share: float, verdict: Verdict
) -> None:
    profit = weeks_of(2)
    trial = planned(profit, **wish)
    found = _measured(raised(profit, trial, share), trial)
    assert found.effect is not None
    assert found.effect.lower <= share <= found.effect.upper
    assert found.verdict is verdict
    # The shop of this test shows one price throughout; its five categories are too few to hold some out.
    divided = (Caveat.DIVIDED,) if trial.design is Design.PARALLEL else ()
    assert found.caveats == (Caveat.TREATED_STILL, *divided)
    assert trial.divided == bool(divided)
    every = sum(u.before for u in trial.units) * MONTH_DAYS / 7
    assert found.everywhere[0] == pytest.approx(found.effect.value * every)
    before = sum(u.before for u in trial.units if trial.clusters[u.cluster].treated[0])
    if trial.design is Design.PARALLEL:
        assert found.treated_before == pytest.approx(before * MONTH_DAYS / 7)
        assert found.total[0] == pytest.approx(found.effect.value * before * WEEKS)
        assert sum(month.effect for month in found.months) == pytest.approx(found.total[0], rel=1e-6)
        assert sum(month.days for month in found.months) == WEEKS * 7
    else:
        assert (found.whole, found.measured) == (WEEKS, WEEKS // 2)


def test_a_small_effect_below_what_is_worth_the_trouble_did_not_pay() -> None:
    profit = weeks_of(2)
    trial = planned(profit, worth=10**9)
    assert _measured(raised(profit, trial, 0.3), trial).verdict is Verdict.DID_NOT


def test_before_the_end_no_rule_is_applied() -> None:
    profit = weeks_of(2)
    trial = planned(profit)
    found = _measured(raised(profit, trial, 0.5)[:, :-1], trial)
    assert found.effect is not None
    assert found.effect.lower > 0.0
    assert (found.verdict, found.caveats[0]) == (Verdict.CANNOT_TELL, Caveat.TOO_EARLY)
    nothing = _measured(profit[:, :PAST], trial)
    assert (nothing.effect, nothing.months, nothing.verdict) == (None, (), Verdict.CANNOT_TELL)
    assert Caveat.NOTHING_MEASURED in nothing.caveats


def test_an_effect_before_the_trial_invalidates_it() -> None:
    profit = weeks_of(2)
    trial = planned(profit)
    on = trial.treated[trial.cluster_of, 0]
    profit[on, PAST - WEEKS : PAST] *= 1.5
    found = _measured(raised(profit, trial, 0.3), trial)
    assert found.placebo is not None
    assert found.placebo.p < 0.01
    assert Caveat.FALSE_BEFORE in found.caveats
    assert Caveat.RESTATED in found.caveats
    assert found.verdict is Verdict.CANNOT_TELL


def test_exposure_by_hand() -> None:
    near, size = np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 3.0, 9.0])
    got = exposure(near, size, np.array([[True, False, True, True]]))
    np.testing.assert_allclose(got, [[3 / 5, 4 / 4, 1 / 3, np.nan]])


def test_effects_that_cross_borders_silence_the_verdict() -> None:
    """Clusters of a category share 40 % of what their neighbours' new prices bring."""
    profit = weeks_of(3, products=240, noise=0.05)
    wish = Wish("2025-05-01", None, WEEKS, 0.5, by="subcategory")
    trial = plan_trial(realised(profit[:, :PAST], categories=40), wish)
    crossed = _touching(profit, trial)
    found = measure(trial, realised(crossed, categories=40), 999)
    assert found.crossing is not None
    assert found.crossing.slope == pytest.approx(0.4, abs=0.1)
    assert (found.verdict, Caveat.SPILLS_OVER in found.caveats) == (Verdict.CANNOT_TELL, True)
    closed = measure(trial, realised(raised(profit, trial, 0.2), categories=40), 999)
    assert closed.verdict is Verdict.PAID


def _touching(profit: Floats, trial: Trial) -> Floats:
    """New prices bring a fifth, and two fifths more to whom all others of the category have them too."""
    units = np.array([u.before for u in trial.units], dtype=np.float64)
    category = np.unique([u.category for u in trial.units], return_inverse=True)[1].astype(np.int64)
    part = np.arange(len(units)) // 2  # two of a subcategory
    near = category[0::2]
    on = trial.treated[trial.cluster_of, 0][0::2]
    touched = exposure(near, np.bincount(part, units).astype(np.float64), on[None])[0][part]
    out = raised(profit, trial, 0.2)
    out[:, PAST:] += (0.4 * touched * units)[:, None]
    return out


def test_whole_categories_hold_inside_what_crosses_between_their_parts() -> None:
    profit = weeks_of(3, products=240, noise=0.05)
    shop = realised(profit[:, :PAST], categories=40)
    trial = plan_trial(shop, Wish("2025-05-01", None, WEEKS, 0.5))
    assert (len(trial.clusters), trial.divided) == (40, False)
    assert trial == plan_trial(shop, Wish("2025-05-01", None, WEEKS, 0.5, by="category"))
    found = measure(trial, realised(_touching(profit, trial), categories=40), 999)
    assert found.effect is not None
    assert found.effect.lower <= 0.6 <= found.effect.upper
    assert found.effect.lower > 0.4  # what a trial by subcategory would have taken it for
    assert (found.crossing, found.verdict) == (None, Verdict.PAID)
    assert Caveat.DIVIDED not in found.caveats


def test_a_washout_that_is_too_short_is_found_out() -> None:
    profit = weeks_of(2, noise=0.02)
    wish = Wish("2025-05-01", None, WEEKS, design=Design.SWITCHBACK, block=4, washout=0)
    trial = plan_trial(realised(profit[:, :PAST], categories=10), wish)
    grown = profit.copy()
    for row, unit in enumerate(trial.units):
        for week in range(WEEKS):
            if trial.clusters[unit.cluster].treated[week // 4]:
                grown[row, PAST + week] += 0.2 * unit.before * (week % 4)
    found = measure(trial, realised(grown, categories=10), 999)
    assert Caveat.CARRIES_OVER in found.caveats
    assert found.verdict is Verdict.CANNOT_TELL


def test_prices_that_did_not_follow_the_plan_are_counted() -> None:
    profit = weeks_of(2)
    trial = planned(profit)
    data = realised(profit)
    on = trial.treated[trial.cluster_of, 0]
    regular = data.regular.copy()
    regular[on, PAST:] = 1100.0
    assert Caveat.TREATED_STILL not in measure(trial, replace(data, regular=regular), 99).caveats
    regular[:, PAST:] = 1100.0
    found = measure(trial, replace(data, regular=regular), 99)
    assert Caveat.HELD_MOVED in found.caveats
    assert (found.prices.held_moved, found.prices.held_share) == (int((~on).sum()), 1.0)
    assert found.prices.treated_still == 0
    assert (Caveat.NO_HOLDOUT in found.caveats, found.verdict) == (True, Verdict.CANNOT_TELL)


def test_weeks_without_any_sale_are_no_weeks_of_loss() -> None:
    """A fortnight that was never imported: the effect is that of the other weeks, and it is told."""
    profit = weeks_of(2)
    trial = planned(profit)
    data = realised(raised(profit, trial, 0.3))
    there = (data.period < PAST + 3) | (data.period >= PAST + 5)
    few = {name: getattr(data, name)[there] for name in ("unit", "period", "month", "amounts")}
    found = measure(trial, replace(data, **few), 999)
    assert found.effect is not None
    assert found.effect.lower <= 0.3 <= found.effect.upper
    assert (found.empty, found.measured, Caveat.EMPTY_PERIODS in found.caveats) == (2, WEEKS - 2, True)
    assert found.total[0] == pytest.approx(found.effect.value * sum(
        u.before for u in trial.units if trial.clusters[u.cluster].treated[0]) * (WEEKS - 2))  # fmt: skip


def test_what_left_the_range_or_came_later_is_counted() -> None:
    profit = weeks_of(2)
    trial = planned(profit[:-2])
    on_sale = np.ones(profit.shape, dtype=np.bool_)
    on_sale[:3, PAST + 2 :] = False
    found = measure(trial, replace(realised(profit), on_sale=on_sale), 99)
    assert (found.prices.gone, found.newcomers, Caveat.RANGE_CHANGED in found.caveats) == (3, 2, True)


def test_zones_without_roll_out_are_never_treated_and_compared() -> None:
    profit = weeks_of(5, products=160)
    shop = realised(profit[:, :PAST], zones=2)
    trial = plan_trial(shop, Wish("2025-05-01", None, WEEKS, zones=("z0",)))
    assert {u.zone for u in trial.units if u.cluster == OUTSIDE} == {"z1"}
    assert set(trial.held(trial.start)) >= {(u.group, u.zone) for u in trial.units if u.zone == "z1"}
    far = np.array([u.zone == "z1" for u in trial.units])
    profit[far, PAST:] *= 2.0
    found = measure(trial, realised(profit, zones=2), 99)
    assert found.outside is not None
    assert found.outside[0] == pytest.approx(2.0, abs=0.1)
    assert found.outside[1] == pytest.approx(1.0, abs=0.1)
    with pytest.raises(UsageError, match="Nothing was sold in the zone z9"):
        plan_trial(shop, Wish("2025-05-01", zones=("z9",)))


def test_only_what_may_move_is_tried_with_all_its_substitutes() -> None:
    profit = weeks_of(1)
    shop = realised(profit[:, :PAST])
    movable = {(f"p{i:03d}", "z0") for i in range(0, 60, 2)}
    trial = plan_trial(shop, Wish("2025-05-01", None, WEEKS), movable)
    assert [u.group for u in trial.units] == [f"p{i:03d}" for i in range(60)]
    with pytest.raises(RefusedError, match="No price may move"):
        plan_trial(shop, Wish("2025-05-01"), ())


@pytest.mark.parametrize(
    ("wish", "error", "what"),
    [
        ({"design": Design.SWITCHBACK, "block": 3}, UsageError, "not an even number of blocks"),
        ({"design": Design.SWITCHBACK, "block": 2, "washout": 2}, UsageError, "leaves nothing"),
        ({**SWITCH, "by": "colour"}, UsageError, "cut by colour"),
        ({"start": "soon"}, UsageError, "is no day"),
        ({"periods": 106}, UsageError, "more than two years"),
        ({"start": "2025-02-01"}, DataError, "whole periods before"),
    ],
)
def test_wishes_that_cannot_be(wish: dict[str, object], error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what):
        planned(weeks_of(1), **wish)


def test_a_shop_that_earns_nothing_cannot_try_anything() -> None:
    with pytest.raises(RefusedError, match="earned anything"):
        planned(np.zeros((80, PAST + WEEKS)))


def test_other_data_are_refused() -> None:
    profit = weeks_of(1)
    trial = planned(profit)
    with pytest.raises(FingerprintError, match="not of the shop"):
        measure(trial, replace(realised(profit), currency="USD"))
    with pytest.raises(DataError, match="do not hold the periods"):
        measure(trial, realised(profit, first=FIRST + 28))


def test_what_can_be_seen_is_seen_in_four_of_five_trials() -> None:
    """An effect of the size that the plan calls detectable, in 60 shops of one kind."""
    seen = 0
    for seed in range(60):
        profit = weeks_of(seed, products=120, weeks=60)[:, -PAST - WEEKS :]
        trial = planned(profit, seed=seed)
        share = trial.precision.detectable / trial.precision.treated
        effect = measure(trial, realised(raised(profit, trial, share)), 299).effect
        seen += effect is not None and effect.lower > 0.0
    assert 38 <= seen <= 58  # 48 expected; three standard deviations
