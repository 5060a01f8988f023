"""Tests and costs tell which price moves followed demand: by statsmodels, by hand, and on known truth."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from pricing.arrays import Floats
from pricing.evidence import Identification, PriceKind
from pricing.model import COEFFICIENTS
from pricing.panel import Panel, Series
from simulators.contract.panel import build_panel
from simulators.contract.tables import open_source
from simulators.demand.identification import identify
from simulators.demand.instruments import Control, price_control
from simulators.known_truth.draw import World, draw_world
from simulators.known_truth.specification import Information, WorldSpec
from simulators.known_truth.tables import write_world
from simulators.run import Run, fit_run, load_run, save_run
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

LATER = dt.date(2100, 1, 1)


def moving_prices(n: int = 12, periods: int = 30, pass_through: float = 0.6, seed: int = 4) -> Panel:
    rng = np.random.default_rng(seed)
    cost = np.cumsum(rng.normal(0.0, 0.03, (n, periods)), axis=1)
    price = np.exp(6.0 + pass_through * cost + rng.normal(0.0, 0.05, (n, periods)))
    names = tuple(f"p{i:02d}" for i in range(n))
    zeros = np.zeros((n, periods))
    return Panel(
        series=Series(names, ("z",) * n, ("c",) * n, ("",) * n, ("",) * n),
        periods=np.datetime64("2024-01-01") + 7 * np.arange(periods),
        days=np.full(periods, 7),
        units=zeros + 3.0,
        on_sale=zeros == 0.0,
        offered=price,
        regular=price,
        feature=zeros,
        display=zeros,
        in_stock=zeros + 1.0,
        traffic=np.ones(periods),
        currency="EUR",
        cost=400.0 * np.exp(cost),
    )


def controlled(panel: Panel) -> Control:
    control = price_control(panel)
    assert control is not None
    return control


def test_the_first_stage_is_that_of_a_regression_with_dummies() -> None:
    panel = moving_prices()
    control = controlled(panel)
    assert control.first_stage is not None
    assert panel.cost is not None
    # The first period of a series without a launch date is no evidence; see `observed`.
    n, periods = 12, 29
    x, z = np.log(panel.regular)[:, 1:].ravel(), np.log(panel.cost)[:, 1:].ravel()
    series, period = np.repeat(np.arange(n), periods), np.tile(np.arange(periods), n)
    dummies = [series[:, None] == np.arange(n), period[:, None] == np.arange(1, periods)]
    X = np.column_stack([z, *dummies]).astype(np.float64)
    found = sm.OLS(x, X).fit(
        cov_type="cluster", cov_kwds={"groups": series, "df_correction": False, "use_correction": False}
    )
    assert control.first_stage.slopes[0] == pytest.approx(found.params[0], rel=1e-8)
    # Ours has the usual factor n / (n - 1) for a finite number of clusters.
    assert control.first_stage.standard_errors[0] == pytest.approx(
        found.bse[0] * np.sqrt(n / (n - 1)), rel=1e-6
    )
    # What is left of the price within series once the instrument's own movements are taken out of it.
    moves = sm.OLS(z, np.column_stack(dummies).astype(np.float64)).fit().resid
    rest = (x - found.params[0] * moves).reshape(n, periods)
    left = rest - rest.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(control.columns[:, 1:, 0], left, atol=1e-8)
    np.testing.assert_array_equal(control.columns[:, 1:, 1], control.columns[:, :-1, 0])
    assert (control.first_stage.strength > 10.0, control.first_stage.refused) == (True, False)
    assert control.instrumented.all()


def test_a_cost_that_reaches_the_price_late_is_read_from_the_weeks_before() -> None:
    rng = np.random.default_rng(8)
    panel = moving_prices(n=40, periods=60)
    assert panel.cost is not None
    cost = np.log(panel.cost)
    late = np.concatenate([np.repeat(cost[:, :1], 2, axis=1), cost[:, :-2]], axis=1)
    price = np.exp(6.0 + 0.3 * cost + 0.5 * late + rng.normal(0.0, 0.03, cost.shape))
    control = controlled(replace(panel, regular=price, offered=price))
    assert control.first_stage is not None

    def within(values: Floats) -> Floats:
        less = values[:, 1:] - values[:, 1:].mean(axis=1, keepdims=True)
        return np.asarray(less - less.mean(axis=0)).ravel()

    # What the cost of the same week leaves goes with that of two weeks before; what the control holds hardly.
    alone = within(np.log(price)) - control.first_stage.slopes[0] * within(cost)
    left, rest = (
        abs(np.corrcoef(within(late), each)[0, 1]) for each in (alone, within(control.columns[..., 0]))
    )
    assert left > 0.2
    assert rest < 0.5 * left


def test_a_weak_instrument_is_reported_and_refused() -> None:
    control = controlled(moving_prices(pass_through=0.0))
    assert control.first_stage is not None
    assert control.first_stage.refused
    assert not control.used
    assert not control.instrumented.any()


def test_few_series_are_no_instrument_however_strong() -> None:
    control = controlled(moving_prices(n=7))
    assert control.first_stage is not None
    assert control.first_stage.strength > 10.0
    assert control.first_stage.refused


def test_without_costs_or_tests_there_is_nothing_to_tell() -> None:
    panel = moving_prices()
    assert price_control(replace(panel, cost=None)) is None
    assert panel.cost is not None
    assert price_control(replace(panel, cost=np.full_like(panel.cost, 300.0))) is None
    assert price_control(replace(panel, cost=np.full_like(panel.cost, np.nan))) is None


def test_a_series_whose_cost_is_not_known_throughout_is_not_instrumented() -> None:
    panel = moving_prices()
    assert panel.cost is not None
    cost = panel.cost.copy()
    cost[0, 10] = np.nan
    cost[1] = 300.0
    control = controlled(replace(panel, cost=cost))
    assert control.first_stage is not None
    assert control.first_stage.series == 10
    assert control.instrumented.tolist() == [False, False] + [True] * 10


def test_the_shops_own_instruments_are_as_good_as_costs_and_joint() -> None:
    panel = moving_prices()
    assert panel.cost is not None
    n, periods = panel.units.shape
    other = np.random.default_rng(9).normal(size=(n, periods))
    alone = replace(panel, cost=None, instruments=np.log(panel.cost)[..., None], instrument_names=("index",))
    by_cost, by_index = controlled(panel).first_stage, controlled(alone).first_stage
    assert by_cost is not None
    assert by_index is not None
    assert by_index.names == ("index",)
    np.testing.assert_allclose(by_index.slopes, by_cost.slopes, rtol=1e-9)
    np.testing.assert_allclose(by_index.strength, by_cost.strength, rtol=1e-9)
    both = controlled(replace(panel, instruments=other[..., None], instrument_names=("noise",))).first_stage
    assert both is not None
    assert both.names == ("cost", "noise")
    assert both.slopes[0] == pytest.approx(by_cost.slopes[0], rel=0.1)
    # The Wald statistic of both over two: noise adds next to nothing and halves the strength.
    assert both.strength == pytest.approx(by_cost.strength / 2, rel=0.2)
    common = np.repeat(np.arange(periods, dtype=np.float64)[None, :, None], n, axis=0)
    assert price_control(replace(alone, instruments=common)) is None, "the same for all moves nothing"


def test_instruments_by_hand(tmp_path: Path) -> None:
    text = orders(
        "o1,1,2025-03-03,paid,,A,1,10,10,10,gross",
        "o2,1,2025-03-12,paid,,B,1,10,10,10,gross",
        "o3,1,2025-03-18,paid,,A,1,10,10,10,gross",
    )
    given = (
        "at,product_id,name,value\n2025-03-04,A,freight,2\n2025-03-05,A,freight,4\n"
        "2025-03-11,,rate,7\n2025-03-18,B,freight,5\n"
    )
    with open_source(write_shop(tmp_path / "d", orders=text, instruments=given), today=TODAY) as source:
        panel = build_panel(source)
    assert panel.instrument_names == ("freight", "rate")
    assert panel.instruments is not None
    # A's first week holds two values; what is missing later is the last one; a rate without product is all's.
    np.testing.assert_allclose(panel.instruments[..., 0], [[3.0, 3.0, 3.0], [np.nan, np.nan, 5.0]])
    np.testing.assert_allclose(panel.instruments[..., 1], [[np.nan, 7.0, 7.0], [np.nan, 7.0, 7.0]])
    assert Panel.from_bytes(panel.to_bytes()).instrument_names == ("freight", "rate")


def test_tested_prices_follow_nothing() -> None:
    panel = moving_prices()
    tested = np.zeros(panel.units.shape, dtype=np.bool_)
    tested[:5, 10:20] = True
    tested[5, 3] = True  # one price is no test
    control = controlled(replace(panel, cost=None, tested=tested))
    assert control.first_stage is None
    assert control.used
    assert control.tested.tolist() == [True] * 5 + [False] * 7
    assert (control.columns[..., 0][tested] == 0.0).all()
    assert np.abs(control.columns[:, 1:, 0][~tested[:, 1:]]).min() > 0.0
    few = np.zeros_like(tested)
    few[0, 10:20] = True
    assert price_control(replace(panel, cost=None, tested=few)) is None, "ten cells tell nothing of the rest"


def test_costs_and_tests_by_hand(tmp_path: Path) -> None:
    text = orders(
        "o1,1,2025-03-03,paid,,A,1,10,10,10,gross",
        "o2,1,2025-03-12,paid,,A,1,10,10,10,gross",
        "o3,1,2025-03-23,paid,,A,1,10,10,10,gross",
        "o4,1,2025-03-30,paid,,B,1,10,10,10,gross",
    )
    products = (
        "product_id,price_group,category,kind\nA,G,x,merchandise\nC,G,x,merchandise\nB,,x,merchandise\n"
    )
    costs = "product_id,valid_from,unit_cost\nA,2025-01-01,4\nC,2025-03-10,6\nA,2025-03-18,5\n"
    prices = (
        "product_id,valid_from,regular_price,offered_price,price_basis,source,propensity\n"
        "A,2025-03-01,10,10,gross,rule,\n"
        "A,2025-03-10,11,11,gross,experiment,0.5\n"  # the whole second week
        "A,2025-03-17,9,9,gross,experiment,1\n"  # certain: not drawn
        "A,2025-03-24,9,9,gross,experiment,0.5\nA,2025-03-27,10,10,gross,manual,\n"  # three days of seven
    )
    folder = write_shop(tmp_path / "d", SHOP, orders=text, products=products, costs=costs, prices=prices)
    with open_source(folder, today=TODAY) as source:
        panel = build_panel(source)
    assert panel.series.group == ("B", "G")
    assert panel.cost is not None
    assert panel.tested is not None
    # G has two products: its cost is their mean once both are known, in force as the week begins.
    np.testing.assert_allclose(panel.cost, [[np.nan] * 4, [np.nan, 500.0, 500.0, 550.0]])
    np.testing.assert_array_equal(panel.tested, [[False] * 4, [False, True, False, False]])


def test_what_identifies_takes_precedence_in_order() -> None:
    count = 4
    prior = np.repeat(np.eye(len(COEFFICIENTS))[None], count, axis=0)
    posterior = prior * np.array([0.5, 0.5, 0.99, 0.5])[:, None, None]
    levels = np.array([[3, 3], [3, 3], [3, 3], [1, 1]])
    flags = np.array([False, True, True, True]), np.array([True, False, False, False])
    control = Control(np.zeros((count, 2, 2)), *flags, None)

    def said(*, calendar: bool, known: Control | None) -> tuple[list[str], list[str]]:
        codes = identify(
            posterior,
            prior,
            levels,
            calendar_in_advance=calendar,
            population_informed=np.array([True, True]),
            control=known,
        )
        first, second = ([Identification(int(code)).label for code in codes[:, kind]] for kind in PriceKind)
        return first, second

    regular, discount = said(calendar=True, known=control)
    assert regular == ["experiment", "instrument", "prior", "not_identified"]
    assert discount == ["promo_controlled", "promo_controlled", "prior", "not_identified"]
    regular, discount = said(calendar=False, known=control)
    assert regular == ["experiment", "instrument", "prior", "not_identified"]
    assert discount == ["not_identified"] * 4
    assert said(calendar=False, known=None) == (["not_identified"] * 4, ["not_identified"] * 4)


@pytest.fixture(scope="module")
def chasing(tmp_path_factory: pytest.TempPathFactory) -> dict[Information, tuple[World, Run]]:
    """A shop that raises prices when it sees demand rise, with nothing, with costs, and with tests."""
    found: dict[Information, tuple[World, Run]] = {}
    for information in (Information.NONE, Information.INSTRUMENT, Information.EXPERIMENT):
        world = draw_world(WorldSpec(1, kappa=0.3, information=information, products=200))
        folder = tmp_path_factory.mktemp("world") / "data"
        write_world(world, folder)
        with open_source(folder, today=LATER) as source:
            found[information] = world, fit_run(source, seed=1)
    return found


def errors(found: tuple[World, Run]) -> Floats:
    world, run = found
    out: Floats = run.model.mean[:, 1] - world.truth.elasticity
    return out


def test_costs_and_tests_take_the_bias_away(
    chasing: dict[Information, tuple[World, Run]],
) -> None:
    assert errors(chasing[Information.NONE]).mean() > 1.0, "demand seems to hardly fall with price"
    for information in (Information.INSTRUMENT, Information.EXPERIMENT):
        assert abs(errors(chasing[information]).mean()) < 0.5
        world, run = chasing[information]
        sd = np.sqrt((run.model.factor @ np.swapaxes(run.model.factor, 1, 2))[:, 1, 1])
        inside = np.abs(errors((world, run))) < 1.645 * sd
        assert 0.75 < float(inside.mean()) <= 1.0


def test_each_says_how_it_is_known(chasing: dict[Information, tuple[World, Run]]) -> None:
    def labels(information: Information) -> set[str]:
        codes = chasing[information][1].model.identified_by[:, PriceKind.REGULAR]
        return {Identification(int(code)).label for code in codes}

    assert labels(Information.NONE) == {"not_identified"}
    assert "instrument" in labels(Information.INSTRUMENT)
    world, run = chasing[Information.EXPERIMENT]
    tested = run.model.identified_by[world.truth.tested, PriceKind.REGULAR]
    assert (tested == Identification.EXPERIMENT).mean() >= 0.95
    stage = chasing[Information.INSTRUMENT][1].report.first_stage
    assert stage is not None
    assert stage.slopes[0] == pytest.approx(0.5, abs=4 * stage.standard_errors[0])


def test_a_run_keeps_costs_tests_and_the_first_stage(
    chasing: dict[Information, tuple[World, Run]], tmp_path: Path
) -> None:
    _, run = chasing[Information.INSTRUMENT]
    save_run(tmp_path / "run", run)
    again = load_run(tmp_path / "run")
    assert again.report.first_stage == run.report.first_stage
    assert run.panel.cost is not None
    assert again.panel.cost is not None
    np.testing.assert_array_equal(again.panel.cost, run.panel.cost)
    bare = Panel.from_bytes(replace(run.panel, cost=None, tested=None).to_bytes())
    assert (bare.cost, bare.tested) == (None, None)
    assert run.panel.between(3, 9).take(np.array([2, 0])).cost is not None
