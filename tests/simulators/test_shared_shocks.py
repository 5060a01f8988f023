"""Shocks that last: by hand, by their moments, in the market and in the replay of a fitted shop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricing.arrays import Floats
from pricing.catalogue import Catalogue
from pricing.model import DemandModel
from simulators.demand.fit import fit
from simulators.demand.shocks import first_shocks, outlook
from simulators.market import Market, Noise, sample_worlds
from simulators.shared_shocks import Lasting, lasting_of
from simulators.worlds import toy_shop
from tests.simulators.demand_truth import make


def test_two_periods_by_hand() -> None:
    fresh, slow = np.array([[1.0], [2.0], [0.5]]), np.array([[3.0], [-1.0], [0.0]])
    found = Lasting(np.array([0.36]), np.array([0.6])).joined(fresh, slow)
    path = np.array([3.0, 0.6 * 3.0 - 0.8, 0.6 * 1.0])
    np.testing.assert_allclose(found[:, 0], 0.8 * fresh[:, 0] + 0.6 * path)


def test_without_a_lasting_part_each_period_has_its_own() -> None:
    rng = np.random.default_rng(1)
    fresh, slow = rng.standard_normal((2, 4, 7, 3))
    np.testing.assert_array_equal(Lasting(np.zeros(3), np.full(3, 0.9)).joined(fresh, slow), fresh)


def test_variance_and_correlation_over_time() -> None:
    rng = np.random.default_rng(2)
    fresh, slow = rng.standard_normal((2, 40_000, 6, 2))
    lasting, survival = np.array([0.5, 0.9]), np.array([0.8, 0.6])
    found = Lasting(lasting, survival).joined(fresh, slow)
    error = 5.0 / np.sqrt(len(fresh))
    np.testing.assert_allclose(found.var(axis=0), 1.0, atol=np.sqrt(2.0) * error)
    for lag in (1, 3):
        together = (found[:, 0] * found[:, lag]).mean(axis=0)
        np.testing.assert_allclose(together, lasting * survival**lag, atol=np.sqrt(2.0) * error)


def _lasting(model: DemandModel, lasting: float) -> DemandModel:
    shops = 1 + len(model.category_shock_sd)
    return replace(model, shock_lasting=np.full(shops, lasting), shock_survival=np.full(shops, 0.9))


@pytest.fixture(scope="module")
def toy() -> tuple[Catalogue, DemandModel]:
    return toy_shop(6, 3)


def _noise(catalogue: Catalogue, model: DemandModel, periods: int) -> Noise:
    worlds = sample_worlds(model, catalogue, 1)
    return Market(catalogue, worlds, np.zeros(300, dtype=np.int64)).noise(1, np.arange(300), periods)


def _lag_one(factor: Floats) -> float:
    logs = np.log(factor).mean(axis=2)
    return float(np.corrcoef(logs[:-1].ravel(), logs[1:].ravel())[0, 1])


def test_in_the_market_what_is_shared_lasts(toy: tuple[Catalogue, DemandModel]) -> None:
    catalogue, model = toy
    noise, before = _noise(catalogue, _lasting(model, 0.8), 10), _noise(catalogue, model, 10)
    assert _lag_one(noise.factor) > _lag_one(before.factor) + 0.2
    longer = _noise(catalogue, _lasting(model, 0.8), 14)
    np.testing.assert_array_equal(longer.factor[:10], noise.factor)
    np.testing.assert_array_equal(longer.score[:10], noise.score)


def test_no_share_is_the_same_as_not_knowing_of_any(toy: tuple[Catalogue, DemandModel]) -> None:
    catalogue, model = toy
    assert lasting_of(model) is None
    assert lasting_of(_lasting(model, 0.0)) is None
    some, none = (_noise(catalogue, each, 3) for each in (_lasting(model, 0.0), model))
    np.testing.assert_array_equal(some.factor, none.factor)


def test_a_fit_says_how_far_its_shocks_last() -> None:
    world = make(40, 4)
    found = fit(world.panel, until="2025-09-01", fingerprint="f", seed=1, calendar_in_advance=True).model
    assert found.shock_lasting is not None
    assert found.shock_survival is not None
    assert found.shock_lasting.shape == found.shock_survival.shape == (1 + len(found.category_shock_sd),)
    assert ((found.shock_lasting >= 0.0) & (found.shock_lasting <= 1.0)).all()
    assert ((found.shock_survival >= 0.0) & (found.shock_survival < 1.0)).all()
    ahead = outlook(first_shocks(3, 20, 7), 7)
    np.testing.assert_allclose(ahead.lasting[1:], ahead.category_variance - 0.01)
