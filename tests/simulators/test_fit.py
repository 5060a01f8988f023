from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pricing.arrays import Floats
from pricing.errors import DataError
from pricing.evidence import Identification, PriceKind
from pricing.model import COEFFICIENTS, DISCOUNT, DemandModel
from pricing.panel import Panel
from simulators.demand.fit import Fit, fit
from tests.simulators.demand_truth import MEAN, SPREAD, Truth, make


def _fit(panel: Panel, *, declared: bool = True) -> Fit:
    return fit(panel, until="2025-02-24", fingerprint="f", seed=3, calendar_in_advance=declared)


@cache
def _world(seed: int = 12) -> tuple[Truth, Fit]:
    truth = make(240, seed, level=2.5)
    return truth, _fit(truth.panel)


def _column(name: str) -> int:
    return COEFFICIENTS.index(name)


def _asked(name: str) -> Floats:
    """Return the combination of coefficients, [C], that is one of them or the elasticity to a discount.

    To one as the shop gives it: seven in ten are featured.
    """
    one = np.eye(len(COEFFICIENTS))
    discount = DISCOUNT + 0.7 * one[_column("featured_depth")]
    return discount if name == "discount" else np.asarray(one[_column(name)])


def _effect_sd(model: DemandModel, name: str) -> Floats:
    return np.asarray(np.sqrt(((np.swapaxes(model.factor, 1, 2) @ _asked(name)) ** 2).sum(axis=1)))


@pytest.mark.parametrize("name", ["regular", "discount", "feature", "display", "lag"])
def test_intervals_cover_the_truth(name: str) -> None:
    inside: list[float] = []
    for truth, found in (_world(11), _world(12)):
        reach = 1.645 * _effect_sd(found.model, name)
        error = (found.model.mean - truth.coefficients) @ _asked(name)
        inside.append(float((np.abs(error) <= reach).mean()))
    # Prices: what the issue asks. Promotion and lag: at least, for their spread is floored.
    assert 0.85 <= np.mean(inside) <= (0.95 if name in {"regular", "discount"} else 0.99)


@pytest.mark.parametrize(("series", "seed", "level"), [(40, 1, 2.0), (24, 3, 3.0), (60, 5, 1.0)])
def test_few_products_settle(series: int, seed: int, level: float) -> None:
    """Full Fisher steps of variances that trade with each other went there and back for ever."""
    report = _fit(make(series, seed, level=level).panel).report
    assert report.settled
    assert report.rounds <= 30


def test_population_is_recovered() -> None:
    _, found = _world()
    for name in ("regular", "depth", "feature", "display"):
        row = found.report.population[_column(name)]
        assert abs(row.mean - MEAN[_column(name)]) < 0.15, name
        assert 0.4 * SPREAD[_column(name)] < row.spread < 2.2 * SPREAD[_column(name)] + 0.05, name
    assert 0.02 < found.report.period_shock_sd < 0.15


def test_shrinkage_beats_both_the_population_and_no_pooling() -> None:
    truth, found = _world()
    ours, theirs = (b @ _asked("depth") for b in (found.model.mean, truth.coefficients))
    assert np.sqrt(((ours - theirs) ** 2).mean()) < SPREAD[_column("depth")]
    assert ours.std() < theirs.std()


def test_a_thin_series_gets_a_wide_interval_near_the_population() -> None:
    truth = make(60, 4)
    units = truth.panel.units.copy()
    units[0] = 0.0
    units[0, [10, 30, 50]] = 1.0
    found = _fit(replace(truth.panel, units=units))
    sd = _effect_sd(found.model, "discount")
    assert sd[0] > sd[1:].max()
    assert abs((found.model.mean[0] - found.model.prior_mean[-1]) @ _asked("discount")) < 0.5
    assert -5.0 < found.model.mean[0, 0] < -1.5  # three sales in sixty weeks


def test_series_without_a_sale_are_set_aside_and_counted() -> None:
    truth = make(40, 5)
    units = truth.panel.units.copy()
    units[7] = 0.0
    found = _fit(replace(truth.panel, units=units))
    assert found.report.without_sales == 1
    assert "p0007" not in found.model.series.group
    assert len(found.model.series) == 39


def test_a_price_that_never_moved_identifies_nothing() -> None:
    truth = make(60, 6)
    offered, regular = truth.panel.offered.copy(), truth.panel.regular.copy()
    offered[3] = regular[3] = 499.0
    found = _fit(replace(truth.panel, offered=offered, regular=regular))
    assert set(found.model.identified_by[3].tolist()) == {int(Identification.NOT_IDENTIFIED)}
    assert found.model.support_low[3] == found.model.support_high[3] == 499
    assert found.model.depth_low[3] == 0.0
    moving = np.delete(found.model.identified_by[:, PriceKind.DISCOUNT], 3)
    assert (moving == Identification.PROMO_CONTROLLED).mean() > 0.4


def test_without_the_declaration_nothing_is_identified_and_pooling_has_nothing_to_lend() -> None:
    truth = make(40, 6)
    found = _fit(truth.panel, declared=False)
    assert (found.model.identified_by == Identification.NOT_IDENTIFIED).all()
    assert Identification.PRIOR in _fit(truth.panel).model.identified_by


def test_one_series_alone_can_be_fitted() -> None:
    truth = make(1, 8)
    found = _fit(truth.panel)
    assert np.isfinite(found.model.mean).all()
    assert found.report.anchor is None


def test_the_same_input_gives_the_same_bytes() -> None:
    truth = make(30, 9)
    assert _fit(truth.panel).model.to_bytes() == _fit(truth.panel).model.to_bytes()


def test_order_of_unrelated_series_changes_no_answer_beyond_rounding() -> None:
    truth = make(30, 9)
    back = _fit(truth.panel.take(np.arange(29, -1, -1)))
    ahead = _fit(truth.panel)
    np.testing.assert_allclose(back.model.mean[::-1], ahead.model.mean, atol=2e-3)


def test_a_partial_period_is_read_by_the_days_it_covers() -> None:
    truth = make(40, 10)
    days = truth.panel.days.copy()
    units = truth.panel.units.copy()
    days[-1], units[:, -1] = 1, np.rint(units[:, -1] / 7.0)
    traffic = truth.panel.traffic.copy()
    traffic[-1] /= 7.0
    part = _fit(replace(truth.panel, days=days, units=units, traffic=traffic))
    naive = _fit(replace(truth.panel, units=units))
    whole = _fit(truth.panel)
    level = whole.model.mean[:, 0].mean()
    assert abs(part.model.mean[:, 0].mean() - level) < 0.03
    assert naive.model.period_shock_sd > part.model.period_shock_sd


def test_impossible_numbers_name_series_and_period() -> None:
    truth = make(5, 1)
    units = truth.panel.units.copy()
    units[2, 4] = -1.0
    with pytest.raises(DataError, match="p0002 in 2024-01-29"):
        _fit(replace(truth.panel, units=units))


def test_no_sales_at_all_is_an_error() -> None:
    truth = make(5, 1)
    with pytest.raises(DataError, match="No product has a sale"):
        _fit(replace(truth.panel, units=np.zeros_like(truth.panel.units)))
    with pytest.raises(DataError, match="a fit needs two"):
        _fit(truth.panel.between(0, 1))


def test_the_anchor_agrees_with_the_population() -> None:
    _, found = _world()
    anchor = found.report.anchor
    assert anchor is not None
    for name in ("regular", "depth", "feature"):
        ours = found.report.population[_column(name)].mean
        theirs = anchor.estimate[anchor.names.index(name)]
        error = anchor.standard_error[anchor.names.index(name)]
        assert abs(ours - theirs) < 4.0 * error + 0.1, name


@pytest.mark.parametrize("cross", [0.0, 0.8])
def test_cross_price_elasticities_are_found_where_there_are_any(cross: float) -> None:
    """Threes of substitutes whose prices move by a coin: the population's elasticity, and who has none."""
    truth = make(120, 21, level=2.5, rivals=cross, shelf=3)
    found = _fit(truth.panel)
    row = found.report.population[_column("rivals")]
    assert row.mean == pytest.approx(cross, abs=0.1)
    c = _column("rivals")
    reach = 1.645 * _effect_sd(found.model, "rivals")
    assert (np.abs(found.model.mean[:, c] - cross) <= reach).mean() >= 0.85
    assert np.unique(found.model.rival_group, return_counts=True)[1].tolist() == [3] * 40
    own = found.report.population[_column("regular")]
    assert abs(own.mean - MEAN[_column("regular")]) < 0.15


def test_neighbours_of_other_shelves_are_no_rivals() -> None:
    """Without subcategories nobody has a rival, and the prior alone speaks of a cross elasticity."""
    found = _fit(make(30, 9).panel)
    assert (found.model.rival_group == -1).all()
    assert not found.model.rivals.any
    c = _column("rivals")
    np.testing.assert_allclose(found.model.mean[:, c], found.model.mean[0, c], atol=1e-6)
