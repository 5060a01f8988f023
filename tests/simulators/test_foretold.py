"""What a fit is expected to leave, against what it leaves and against regressions done by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricing.evidence import Identification
from pricing.panel import Panel
from simulators.demand.elasticities import elasticities
from simulators.demand.fit import fit
from simulators.demand.foretold import Foretold, _persistence, _spread, foretell
from simulators.demand.own_evidence import own_evidence
from tests.simulators.demand_truth import make

Z90 = 1.6448536269514722


def _foretold(panel: Panel, *, declared: bool = True) -> Foretold:
    return foretell(panel, own_evidence(panel), calendar_in_advance=declared)


@pytest.mark.parametrize(("series", "seed"), [(60, 3), (40, 5)])
def test_what_is_foretold_is_within_a_third_of_what_a_fit_leaves(series: int, seed: int) -> None:
    panel = make(series, seed).panel
    found = _foretold(panel)
    run = fit(panel, until="2030-01-01", fingerprint="f", seed=1, calendar_in_advance=True)
    left = elasticities(run.model, panel)
    ratio = (left.upper - left.lower)[:, 0] / 2.0 / found.half_width
    assert 0.75 < np.median(ratio) < 4.0 / 3.0
    assert ((ratio > 0.75) & (ratio < 4.0 / 3.0)).mean() > 0.9
    moved = int((left.identified_by[:, 0] <= Identification.PROMO_CONTROLLED).sum())
    assert moved / 2 <= found.movable.sum() <= 2 * moved  # a count at a threshold: rough


def test_prices_that_never_moved_leave_what_was_known_before() -> None:
    panel = make(30, 3).panel
    still = np.full_like(panel.offered, 500.0)
    found = _foretold(replace(panel, offered=still, regular=still))
    np.testing.assert_allclose(found.half_width, Z90 * np.sqrt(1.5**2 + 0.5**2))
    assert not found.movable.any()
    assert (found.ruled, found.spread) == (False, 0.5)


def test_more_sales_tell_more_and_without_a_declared_calendar_nothing_moves() -> None:
    panel = make(30, 3).panel
    few, many = _foretold(panel), _foretold(replace(panel, units=20.0 * panel.units))
    assert np.median(many.half_width) < np.median(few.half_width)
    assert not _foretold(panel, declared=False).movable.any()


def test_an_empty_shop_is_told_and_not_a_failure() -> None:
    panel = make(30, 3).panel
    found = _foretold(replace(panel, units=np.zeros_like(panel.units)))
    assert np.isfinite(found.half_width).all()
    assert (found.half_width > 2.0).all()


def test_the_spread_between_products_is_found_beneath_their_noise() -> None:
    rng = np.random.default_rng(0)
    told = np.exp(rng.normal(1.0, 1.0, 4000))
    score = told * rng.normal(-2.0, 0.8, 4000) + np.sqrt(told) * rng.normal(0.0, 1.0, 4000)
    assert _spread(told, score) == pytest.approx(0.8, rel=0.05)
    assert _spread(told, np.sqrt(told) * rng.normal(0.0, 1.0, 4000)) == pytest.approx(0.3, abs=0.05)


def test_shocks_that_last_tell_less_of_prices_that_last() -> None:
    rng = np.random.default_rng(0)
    fresh = rng.normal(0.0, 1.0, (1, 4000))
    slow = fresh.copy()
    for t in range(1, 4000):
        slow[:, t] = 0.5 * slow[:, t - 1] + fresh[:, t]
    # 1 + .25 over 1 - .25.
    assert _persistence(slow, slow)[0] == pytest.approx(5.0 / 3.0, rel=0.05)
    assert _persistence(fresh, slow)[0] == pytest.approx(1.0, abs=0.05)
