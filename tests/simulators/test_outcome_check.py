"""What outcomes say of forecasts: counts by hand, intervals that hold what they promise, and silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pytest

from pricing.arrays import Floats
from simulators.outcome_check import LEAST_DECISIONS, LEAST_PERIODS, check_outcomes

pa: Any = pyarrow

_FIRST: Any = np.datetime64("2025-01-06")


def _table(units: Floats, expected: Floats, *, left: tuple[int, ...] = ()) -> Any:
    """Outcomes of P periods by M decisions, expected with an interval of 5 to either side."""
    periods, count = units.shape
    rows = periods * count
    flat, mean = units.reshape(-1), expected.reshape(-1)
    days: Any = np.repeat(_FIRST + 7 * np.arange(periods, dtype=np.int64), count)
    profit = mean.astype(np.int64) * 10
    return pa.table(
        {
            "period_start": days,
            "left_out": ["ran_out" if row in left else None for row in range(rows)],
            "ending": ["kept", *["published"] * (rows - 1)],
            "units": flat, "expected_units": mean, "units_lower": mean - 5, "units_upper": mean + 5,
            "profit": flat.astype(np.int64) * 10, "expected_profit": profit,
            "profit_lower": profit - 50, "profit_upper": profit + 50,
        }
    )  # fmt: skip


def test_counts_shares_and_bias_by_hand() -> None:
    units = np.array([[10.0, 15.0, 16.0], [10.0, 4.0, 99.0]])
    found = check_outcomes(_table(units, np.full((2, 3), 10.0), left=(5,)))
    assert (found.decisions, found.compared, found.periods) == (6, 5, 2)
    assert (found.units_inside, found.profit_inside) == (3, 3)
    assert found.units_share is not None
    assert found.units_bias is not None
    assert (found.units_share.value, found.units_share.lower) == (0.6, None)
    assert found.units_bias.value == pytest.approx(55.0 / 50.0 - 1.0)
    assert found.units_bias.lower is None
    assert (found.endings, found.left_out) == ({"kept": 1, "published": 5}, {"ran_out": 1})


def test_nothing_compared_and_no_profit_expected_are_not_divided_by() -> None:
    found = check_outcomes(_table(np.ones((1, 2)), np.zeros((1, 2)), left=(0, 1)))
    assert (found.compared, found.units_share, found.units_bias) == (0, None, None)
    empty = check_outcomes(_table(np.ones((1, 1)), np.zeros((1, 1))).slice(0, 0))
    assert (empty.decisions, empty.endings, empty.left_out) == (0, {}, {})
    assert check_outcomes(_table(np.ones((1, 2)), np.zeros((1, 2)))).profit_bias is None


@pytest.mark.parametrize(
    ("periods", "count"), [(LEAST_PERIODS - 1, 100), (LEAST_PERIODS, LEAST_DECISIONS // LEAST_PERIODS - 1)]
)
def test_few_periods_or_decisions_give_no_interval(periods: int, count: int) -> None:
    found = check_outcomes(_table(np.full((periods, count), 12.0), np.full((periods, count), 10.0)))
    assert found.units_bias is not None
    assert found.units_bias.lower is None


def test_the_interval_of_a_share_is_never_narrower_than_of_independent_decisions() -> None:
    """All of 60 inside: Wilson's interval is 60 / (60 + z^2) to 1 (Wilson 1927), whatever the periods say."""
    found = check_outcomes(_table(np.full((6, 10), 10.0), np.full((6, 10), 10.0))).units_share
    assert found is not None
    assert (found.value, found.upper) == (1.0, 1.0)
    assert found.lower == pytest.approx(60.0 / (60.0 + 1.6448536269514722**2))


@pytest.mark.parametrize(
    ("periods", "alike", "least"), [(6, 0.0, 0.90), (6, 0.5, 0.79), (13, 0.0, 0.89), (13, 0.5, 0.82)]
)
def test_the_interval_of_the_bias_holds_the_truth(periods: int, alike: float, least: float) -> None:
    """Weeks share 15 % of weather that wanders; the true bias is none. 400 shops: +-3 points."""
    rng = np.random.default_rng(3)
    held, shops = 0, 400
    for _ in range(shops):
        weather = np.zeros(periods)
        weather[0] = rng.normal()
        for week in range(1, periods):
            weather[week] = alike * weather[week - 1] + np.sqrt(1.0 - alike**2) * rng.normal()
        expected = np.round(30.0 * np.exp(rng.normal(0.0, 0.2, (periods, 1)))) * np.ones((1, 30))
        units = rng.poisson(expected * np.exp(0.15 * weather - 0.15**2 / 2)[:, None]).astype(np.float64)
        bias = check_outcomes(_table(units, expected)).units_bias
        assert bias is not None
        assert bias.lower is not None
        assert bias.upper is not None
        held += bias.lower <= 0.0 <= bias.upper
    assert least <= held / shops <= 0.98


def test_a_fault_is_seen() -> None:
    rng = np.random.default_rng(4)
    expected = np.full((13, 100), 30.0)
    bias = check_outcomes(_table(rng.poisson(1.2 * expected).astype(np.float64), expected)).units_bias
    assert bias is not None
    assert bias.lower is not None
    assert bias.lower > 0.15
