from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from pricing.errors import UsageError
from simulators.counts import poisson_quantile


@pytest.mark.parametrize(("low", "high"), [(1e-6, 4.0), (4.0, 40.0), (40.0, 1e4), (1e4, 1e6)])
def test_the_quantile_is_scipys(low: float, high: float) -> None:
    rng = np.random.default_rng(11)
    mean = np.exp(rng.uniform(np.log(low), np.log(high), 40_000))
    score = rng.standard_normal(40_000)
    np.testing.assert_array_equal(
        poisson_quantile(mean, score), stats.poisson.ppf(special.ndtr(score), mean).clip(min=0.0)
    )


def test_the_quantile_is_scipys_in_both_tails() -> None:
    mean = np.repeat(np.array([0.5, 4.0, 7.0, 20.0, 300.0]), 200)
    score = np.tile(np.linspace(-7.5, 5.5, 200), 5)
    expected = stats.poisson.ppf(special.ndtr(score), mean).clip(min=0.0)
    np.testing.assert_array_equal(poisson_quantile(mean, score), expected)


@given(st.floats(0.0, 1e5), st.floats(0.0, 1e5), st.floats(-5.0, 5.0))
def test_a_larger_mean_never_sells_less_at_the_same_score(one: float, two: float, score: float) -> None:
    low, high = poisson_quantile(np.array([min(one, two), max(one, two)]), np.full(2, score))
    assert low <= high


def test_extremes_end() -> None:
    counts = poisson_quantile(np.array([0.0, 3.0, 3.0, 50.0]), np.array([2.0, -40.0, 12.0, 12.0]))
    assert counts[0] == 0.0
    assert counts[1] == 0.0
    assert 20.0 < counts[2] < 60.0
    assert 110.0 < counts[3] < 200.0


@pytest.mark.parametrize("mean", [np.inf, np.nan])
def test_demand_without_a_number_is_refused(mean: float) -> None:
    with pytest.raises(UsageError, match="not finite"):
        poisson_quantile(np.array([1.0, mean]), np.zeros(2))
