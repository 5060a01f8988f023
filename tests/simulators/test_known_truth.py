"""Known-truth worlds do what docs/worlds.md says: forms, twins, information, and a truth nobody is handed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pricing.arrays import Floats
from pricing.errors import UsageError
from simulators.contract.panel import build_panel
from simulators.contract.tables import open_source
from simulators.known_truth.draw import draw_world, true_units
from simulators.known_truth.shoppers import Shoppers, log_response
from simulators.known_truth.specification import Form, Information, WorldSpec
from simulators.known_truth.tables import write_world

SMALL = WorldSpec(3, products=40, weeks=40)
LATER = dt.date(2100, 1, 1)


def some_shoppers(form: Form) -> Shoppers:
    rng = np.random.default_rng(1)
    return Shoppers(
        form=form,
        elasticity=np.repeat(rng.uniform(-3.5, -0.8, (12, 1)), 3, axis=1),
        discount=rng.uniform(-3.0, -2.0, 12),
        level=rng.normal(3.0, 0.5, 12),
        share=rng.uniform(0.05, 0.5, 12),
        nest=np.repeat(np.arange(3, dtype=np.int64), 4),
    )


@pytest.mark.parametrize("form", [Form.LOGLINEAR, Form.PROBIT, Form.NESTED_LOGIT, Form.DRIFTING])
def test_every_form_is_zero_at_usual_prices_with_the_elasticity_asked_for(form: Form) -> None:
    shoppers, nothing = some_shoppers(form), np.zeros((12, 3))
    np.testing.assert_allclose(log_response(shoppers, nothing, nothing), 0.0, atol=1e-12)
    step = 1e-5
    up, down = (log_response(shoppers, nothing, nothing, nothing + h) for h in (step, -step))
    np.testing.assert_allclose((up - down) / (2 * step), shoppers.elasticity, rtol=1e-6)
    # A discount has its own elasticity, whatever the form.
    off, back = (log_response(shoppers, nothing, nothing + h) for h in (step, -step))
    if form is not Form.NESTED_LOGIT:  # there all products are discounted at once, and nests lose less
        np.testing.assert_allclose(((off - back) / (2 * step))[:, 0], shoppers.discount, rtol=1e-5)


def test_a_kink_by_hand() -> None:
    shoppers = replace(some_shoppers(Form.KINKED), elasticity=np.full((12, 3), -2.0))
    x = np.tile([0.03, -0.05, 0.10], (12, 1))
    # Inside 5 %: half the slope; from there on one and a half times it.
    expected = -2.0 * np.array([0.015, -0.025, 0.025 + 1.5 * 0.05])
    np.testing.assert_allclose(log_response(shoppers, x, np.zeros((12, 3))), np.tile(expected, (12, 1)))


def test_neighbours_gain_what_a_dearer_product_loses() -> None:
    shoppers, nothing = some_shoppers(Form.NESTED_LOGIT), np.zeros((12, 3))
    dearer = nothing.copy()
    dearer[0] = 0.1
    moved = log_response(shoppers, dearer, nothing)
    assert (moved[0] < -0.05).all()
    assert (moved[1:4] > 0.0).all(), "its own subcategory"
    np.testing.assert_allclose(moved[4:], 0.0, atol=1e-12)
    # Asking for one's own price alone is the same as moving it alone.
    np.testing.assert_allclose(log_response(shoppers, nothing, nothing, dearer)[0], moved[0], atol=1e-12)


def test_twins_share_every_draw_but_the_price() -> None:
    calm, chasing = draw_world(SMALL), draw_world(replace(SMALL, kappa=0.3))
    for name in ("usual", "cost", "feature", "display", "category"):
        np.testing.assert_array_equal(getattr(calm, name), getattr(chasing, name))
    moved = np.log(chasing.regular / calm.regular)
    assert np.abs(moved).max() > 0.05
    # What moved the price is the shock that moved the units: sd .3 * .19, rounding aside.
    assert moved.std() == pytest.approx(0.3 * 0.19, rel=0.1)
    residual = np.log(chasing.daily.sum(axis=2) + 0.5) - np.log(calm.daily.sum(axis=2) + 0.5)
    # Same noise, dearer where demand is high: a rise of the price takes units away all the same.
    assert np.corrcoef(moved.ravel(), residual.ravel())[0, 1] < -0.3


def test_the_same_seed_gives_the_same_world_and_another_another() -> None:
    one, again, other = draw_world(SMALL), draw_world(SMALL), draw_world(replace(SMALL, seed=4))
    np.testing.assert_array_equal(one.daily, again.daily)
    assert (one.daily != other.daily).any()


def test_truth_of_the_models_own_form_by_hand() -> None:
    world = draw_world(SMALL)
    ratio = world.truth.units_up / world.truth.units
    np.testing.assert_allclose(np.log(ratio) / np.log(1.1), world.truth.elasticity, rtol=1e-9)
    np.testing.assert_allclose(world.truth.units_down / world.truth.units, 0.9**world.truth.elasticity)
    sold = world.daily[:, -13:].sum()
    assert sold == pytest.approx(world.truth.units.sum(), rel=0.1)


def test_a_tested_price_is_one_of_five_and_never_promoted() -> None:
    world = draw_world(replace(SMALL, information=Information.EXPERIMENT))
    n, t = np.nonzero(world.tested)
    assert (len(set(n.tolist())), set(t.tolist())) == (12, set(range(26, 38)))
    factor = world.regular[n, t] / world.usual[n]
    nearest: Floats = np.abs(factor[:, None] - [0.9, 0.95, 1.0, 1.05, 1.1])
    assert (nearest.min(axis=1) * world.usual[n] <= 0.5 + 1e-9).all()
    np.testing.assert_array_equal(world.offered[n, t], world.regular[n, t])
    assert world.truth.tested.sum() == 12


def test_about_a_fifth_of_the_weeks_run_out_and_sell_no_more_than_was_there() -> None:
    full = draw_world(replace(SMALL, products=400))
    short = draw_world(replace(SMALL, products=400, information=Information.STOCKOUTS))
    left = short.on_hand[..., 6] - short.daily[..., 6]
    assert (left >= 0).all()
    assert 0.15 < float((left == 0).mean()) < 0.25
    assert (short.daily.sum(axis=2) <= full.daily.sum(axis=2)).all()
    untouched = left > 0
    np.testing.assert_array_equal(short.daily[untouched], full.daily[untouched])


@pytest.mark.parametrize("form", list(Form))
def test_expected_units_at_other_prices_agree_with_the_truth_and_with_sales(form: Form) -> None:
    spec = replace(SMALL, form=form, kappa=0.1, products=80)
    world = draw_world(spec)
    as_it_was = true_units(spec, world.regular, world.offered)
    np.testing.assert_allclose(as_it_was[:, -13:].sum(axis=1), world.truth.units, rtol=1e-12)
    assert world.daily.sum() == pytest.approx(as_it_was.sum(), rel=0.02)
    # One dearer product, in the last week alone: its own units fall; of the others only a nested neighbour's
    # rise, by the hand calculation of the test above.
    dear, shelf = world.regular.copy(), world.offered.copy()
    dear[0, -1], shelf[0, -1] = round(1.1 * dear[0, -1]), round(1.1 * shelf[0, -1])
    moved = true_units(spec, dear, shelf) / as_it_was
    np.testing.assert_array_equal(moved[:, :-1], 1.0)
    assert moved[0, -1] < 0.97
    neighbour = (world.nest == world.nest[0]) & (np.arange(80) > 0)
    np.testing.assert_allclose(moved[~neighbour, -1][1:], 1.0)
    assert neighbour.sum() == 1
    assert (moved[neighbour, -1] > 1.0).all() == (form is Form.NESTED_LOGIT)


def test_last_weeks_price_is_remembered_in_expected_units() -> None:
    world = draw_world(SMALL)
    dear, shelf = world.regular.copy(), world.offered.copy()
    dear[:, -2], shelf[:, -2] = 2 * dear[:, -2], 2 * shelf[:, -2]
    before = true_units(SMALL, world.regular, world.offered)[:, -1]
    lag = np.log(true_units(SMALL, dear, shelf)[:, -1] / before) / np.log(2.0)
    assert (lag.mean(), lag.std()) == (pytest.approx(0.15, abs=0.03), pytest.approx(0.05, abs=0.02))


def test_prices_that_cannot_be_posted_are_refused() -> None:
    world = draw_world(SMALL)
    with pytest.raises(UsageError, match="shapes"):
        true_units(SMALL, world.regular[:, 1:], world.offered)
    with pytest.raises(UsageError, match="at most the regular price"):
        true_units(SMALL, world.offered - 1, world.offered)


@pytest.mark.parametrize("information", list(Information))
def test_the_tables_are_clean_and_hold_what_happened(tmp_path: Path, information: Information) -> None:
    world = draw_world(replace(SMALL, information=information))
    write_world(world, tmp_path / "data")
    with open_source(tmp_path / "data", today=LATER) as source:
        assert source.bad_rows() == ()
        panel = build_panel(source)
        names = {loaded.table.name for loaded in source.tables if loaded.rows}
        assert ("costs" in names) == (information is Information.INSTRUMENT)
        tests = source.engine.count(
            "SELECT count(*) FROM prices WHERE source = 'experiment' AND propensity = 0.2"
        )
    assert tests == world.tested.sum()
    np.testing.assert_array_equal(panel.units, world.daily.sum(axis=2))
    np.testing.assert_allclose(panel.regular, world.regular, rtol=1e-9)
    np.testing.assert_allclose(panel.offered, world.offered, rtol=1e-9)
    np.testing.assert_array_equal(panel.feature, world.feature)
    if information is Information.STOCKOUTS:
        there = world.on_hand > 0
        last = there & (world.daily == world.on_hand)  # the day on which it ran out counts half
        assert panel.short is not None
        assert not panel.short.any()
        np.testing.assert_allclose(panel.in_stock, (there.sum(axis=2) - 0.5 * last.sum(axis=2)) / 7)


@pytest.mark.parametrize(("seed", "products", "weeks"), [(1, 41, 52), (1, 40, 39), (-1, 40, 52)])
def test_what_is_not_specified_is_refused(seed: int, products: int, weeks: int) -> None:
    with pytest.raises(UsageError, match="No world has"):
        WorldSpec(seed, products=products, weeks=weeks)
