"""Products with a price and no sale, or hardly any: what they borrow, and that it covers what is true."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from api.shelves import build_shelf
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend
from pricing.arrays import Floats, Ints
from pricing.evidence import Identification
from pricing.model import COEFFICIENTS, REGULAR, DemandModel
from pricing.panel import Panel, Series
from simulators.contract.tables import open_source
from simulators.demand.design import priced
from simulators.demand.fit import fit
from simulators.demand.newcomers import newcomers
from simulators.demand.predict import last_known, predict
from simulators.demand.scenario import Scenario
from simulators.known_truth.draw import World, draw_world
from simulators.known_truth.specification import WorldSpec
from simulators.run import Run, fit_run, training_panel
from simulators.updating import update_run
from tests.simulators.shops import TODAY, orders, write_shop

_REGULAR, _LAG = COEFFICIENTS.index("regular"), COEFFICIENTS.index("lag")
_Z90 = 1.645
FIRST = np.datetime64("2024-09-02")


@dataclass(frozen=True)
class _Learned:
    world: World
    model: DemandModel
    hidden: Ints
    few: Ints


def _panel(world: World) -> Panel:
    count, weeks = world.regular.shape
    names = tuple(f"P{i:05d}" for i in range(count))
    series = Series(
        names, ("shop",) * count, tuple(f"c{g}" for g in world.category), ("",) * count, ("",) * count
    )
    units = world.daily.sum(axis=2).astype(np.float64)
    weekly: Ints = np.arange(weeks, dtype=np.int64)
    return Panel(
        series=series, periods=FIRST + 7 * weekly, days=np.full_like(weekly, 7), units=units,
        on_sale=units >= 0.0, offered=world.offered.astype(np.float64),
        regular=world.regular.astype(np.float64), feature=world.feature.astype(np.float64),
        display=world.display.astype(np.float64), in_stock=np.ones_like(units),
        traffic=units.sum(axis=0), currency="EUR", traffic_is_orders=True,
    )  # fmt: skip


@cache
def _learned(seed: int) -> _Learned:
    """Fit a world of known truth; of a fifth of its products nothing is told, of a fifth three weeks."""
    world = draw_world(WorldSpec(seed))
    panel = _panel(world)
    count, weeks = panel.units.shape
    order = np.random.default_rng(seed).permutation(count)
    hidden, few = order[: count // 5], order[count // 5 : 2 * count // 5]
    on_sale, offered = panel.on_sale.copy(), panel.offered.copy()
    on_sale[hidden], offered[hidden, : weeks - 4] = False, np.nan
    on_sale[few, : weeks - 3], offered[few, : weeks - 3] = False, np.nan
    regular = np.where(np.isfinite(offered), panel.regular, np.nan)
    units = np.where(on_sale, panel.units, 0.0)
    told = replace(panel, on_sale=on_sale, offered=offered, regular=regular, units=units)
    training = training_panel(told, weeks)
    assert newcomers(training).sum() == len(hidden)
    found = fit(training, until="2025-09-01", fingerprint="f", seed=seed, calendar_in_advance=True)
    return _Learned(world, found.model, hidden, few)


def _level(learned: _Learned, mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Return error and sd of the log of coming units at the usual price, float64 [N]."""
    at = np.zeros((len(mean), len(COEFFICIENTS)))
    at[:, 0] = 1.0
    usual = learned.world.usual / learned.model.reference_price
    at[:, _LAG] = np.log(usual)
    at = priced(at, np.log(usual), np.zeros(len(usual)))
    centre = np.einsum("nc,nc->n", at, mean) - np.log(learned.world.truth.units_ahead[:, 0])
    return centre, np.sqrt(np.einsum("nc,ncd,nd->n", at, covariance, at))


@pytest.mark.parametrize("who", ["hidden", "few"])
def test_categories_lend_what_covers_the_truth_and_beats_the_shop(who: str) -> None:
    inside: list[Floats] = []
    errors: list[Floats] = []
    for learned in map(_learned, (1, 2, 3, 4)):
        model, rows = learned.model, learned.hidden if who == "hidden" else learned.few
        covariance = model.factor @ np.swapaxes(model.factor, 1, 2)
        level, level_sd = _level(learned, model.mean, covariance)
        truth = learned.world.truth.elasticity
        own, shop = model.mean @ REGULAR - truth, model.prior_mean[-1] @ REGULAR - truth
        covered = np.abs(own) <= _Z90 * np.sqrt(REGULAR @ covariance @ REGULAR)
        inside.append(np.stack([covered, np.abs(level) <= _Z90 * level_sd])[:, rows].mean(axis=1))
        errors.append(
            np.stack([own, shop, level, model.prior_mean[-1, 0] - model.mean[:, 0] + level])[:, rows]
        )
    elasticity, level_share = np.mean(inside, axis=0)
    assert 0.85 <= elasticity <= 0.95
    assert 0.85 <= level_share <= 0.95
    ours, theirs, level_error, shop_level = np.sqrt((np.concatenate(errors, axis=1) ** 2).mean(axis=1))
    assert ours < theirs
    if who == "few":
        assert level_error < 0.5 * shop_level


def test_a_hidden_product_has_what_its_category_lends_and_is_not_identified() -> None:
    learned = _learned(1)
    model, i = learned.model, int(learned.hidden[0])
    mean, covariance = model.borrowed([model.series.category[i], "never heard of"])
    np.testing.assert_allclose(model.mean[i, 1:], mean[0, 1:], atol=1e-6)
    own = model.factor[i] @ model.factor[i].T
    np.testing.assert_allclose(own[1:, 1:], covariance[0][1:, 1:], atol=1e-6)
    assert own[0, 0] > covariance[0][0, 0]  # its drift to come is not known either
    np.testing.assert_array_equal(mean[1], model.prior_mean[-1])
    assert covariance[1][_REGULAR, _REGULAR] > covariance[0][_REGULAR, _REGULAR]
    assert model.dispersion[i] == pytest.approx(np.exp(model.prior_log_size), rel=1e-3)
    assert model.absence[i] == pytest.approx(model.prior_absence, abs=2e-3)
    assert (model.identified_by[i] == Identification.NOT_IDENTIFIED).all()


def _line(name: str, week: int, price: float, quantity: int, day: int = 0) -> str:
    paid = f"{price * quantity:.2f}"
    at = FIRST + 7 * week + day
    return f"{name}{week}x{day},1,{at} 10:00,paid,c1,{name},{quantity},{price:.2f},{price:.2f},{paid},gross"


_PRICES = """product_id,valid_from,regular_price,offered_price,price_basis
N,2025-03-17,9.00,9.00,gross
M,2025-03-24,9.00,9.00,gross
O,2024-09-02,9.00,9.00,gross
"""


def _data(folder: Path, weeks: int, *more: str, prices: str = _PRICES) -> Path:
    """Six products that sell, N launched two weeks before the end of week 30, M of no known launch, O old."""
    rng = np.random.default_rng(3)
    lines = [
        _line(
            name,
            w,
            *((9.0, 1 + int(rng.poisson(10))) if (w // 5 + p) % 2 else (10.0, 1 + int(rng.poisson(8)))),
        )
        for w in range(weeks)
        for p, name in enumerate("ABCDEF")
    ]
    kinds = "".join(f"{name},{'shoes' if name in 'ABCN' else 'hats'},merchandise,\n" for name in "ABCDEFMO")
    products = "product_id,category,kind,launch_at\n" + kinds + "N,shoes,merchandise,2025-03-17\n"
    ends = [_line("A", w, 10.0, 1, day=6) for w in (29, 31) if w < weeks]
    return write_shop(folder, orders=orders(*lines, *ends, *more), products=products, prices=prices)


def _fit(folder: Path) -> Run:
    with open_source(folder, today=TODAY) as source:
        return fit_run(source, seed=5)


def test_a_launch_is_known_before_it_sells_and_an_old_listing_is_not(tmp_path: Path) -> None:
    run = _fit(_data(tmp_path / "data", 30))
    assert run.model.series.group == (*"ABCDEF", "M", "N")
    assert run.report.without_sales == 0
    sd = np.linalg.norm(run.model.factor, axis=2)[:, 0]
    assert sd[6] > sd[7] > 2 * sd[:6].max()  # two silent weeks since its launch tell of N
    assert run.model.mean[7, 0] < run.model.mean[:3, 0].min()
    days = np.array([run.origin.until] * 2, dtype="datetime64[D]")
    nothing = np.full(2, np.nan)
    asked = Scenario(("A", "M"), ("", ""), days, np.array([1000.0, 900.0]), nothing, nothing, nothing)
    found = predict(run.model, last_known(run.training), asked)
    assert np.isfinite(found.expected).all()
    wide = (found.units_upper - found.units_lower) / found.expected
    assert wide[1] > 1.2 * wide[0]


def test_a_newcomer_keeps_its_price_in_an_honest_row(tmp_path: Path) -> None:
    with open_source(_data(tmp_path / "data", 30), today=TODAY) as source:
        run = fit_run(source, seed=5)
        shelf = build_shelf(source, run)
    made = recommend(shelf, Incumbent())
    rows = {row.price_group: row for row in made.rows(range(len(made)))}
    for name in "MN":
        row = rows[name]
        assert row.recommended_price == row.current_price == 900
        assert row.identified_by == Identification.NOT_IDENTIFIED
        assert row.expected_units > 0.0
    assert shelf.movable().tolist() == []


def test_an_update_learns_from_its_first_weeks_and_lets_go_of_what_never_sold(tmp_path: Path) -> None:
    run = _fit(_data(tmp_path / "data", 30))
    sold = [_line("N", week, 9.0, 40) for week in (30, 31)]
    with open_source(_data(tmp_path / "later", 32, *sold), today=TODAY) as source:
        made = update_run(run, source)
    assert made.lineage is not None
    assert made.lineage.updates[0].report.new_series == 0
    assert made.model.mean[7, 0] > run.model.mean[7, 0] + 0.5
    before, after = (np.linalg.norm(m.factor, axis=2)[7, 0] for m in (run.model, made.model))
    assert after < before
    late = [_line("A", week, 10.0, 8) for week in range(32, 40)]
    with open_source(
        _data(tmp_path / "last", 32, *sold, *late, _line("A", 39, 10.0, 1, 6)), today=TODAY
    ) as s:
        last = update_run(made, s)
    assert last.model.series.group == (*"ABCDEF", "N")
    assert dt.date.fromisoformat(last.origin.until) == dt.date(2025, 6, 9)
