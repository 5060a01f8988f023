from __future__ import annotations

import numpy as np
import pytest

from pricing.errors import UsageError
from simulators.customers.churn import Return, reliability, shopped_within, when_back
from simulators.customers.visits import ABSENCES, ShoppingDays, VisitModel, fit_visits, simulate_visits

DAY = 20_000


def model(n: int = 1, level: float = 0.0, effect: float = 0.0, sd: float = 0.0) -> VisitModel:
    """Households that came the day before and whose hazard is one number, their own effect apart."""
    return VisitModel(
        level=level, weekday=np.zeros(7), absence=np.zeros(len(ABSENCES)),
        customer=tuple(f"h{i:04d}" for i in range(n)), effect=np.full(n, effect), effect_sd=np.full(n, sd),
        population_sd=sd, last_visit=np.full(n, DAY - 1), as_of=DAY, fingerprint="data",
    )  # fmt: skip


def test_a_constant_hazard_is_a_geometric_wait() -> None:
    found = when_back(model(), 5)  # a half each day
    assert found.back[0] == pytest.approx([0.5, 0.75, 0.875, 0.9375, 0.96875])
    assert found.churn(2) == pytest.approx([0.25])
    assert found.median_days().tolist() == [1]
    rare = when_back(model(level=-np.log(9.0)), 5)  # a tenth each day: .41 within five
    assert rare.within(5) == pytest.approx([1 - 0.9**5])
    assert rare.median_days().tolist() == [6]


def test_probabilities_equal_the_share_of_simulated_returns() -> None:
    """Simulated effects are drawn from the same posterior; 4,000 households give a standard error of .008."""
    shop = model(4000, level=-2.5, sd=1.0)
    came = np.logical_or.accumulate(simulate_visits(shop, 28, seed=3), axis=1).mean(axis=0)
    np.testing.assert_allclose(when_back(shop, 28).back[0], came, atol=0.025)


def test_what_is_not_known_of_a_household_makes_long_absence_likelier() -> None:
    sure, unsure = when_back(model(level=-2.0), 60), when_back(model(level=-2.0, sd=1.0), 60)
    assert unsure.churn(60)[0] > 5 * sure.churn(60)[0]


def test_who_came_is_looked_up_by_name_and_only_where_the_data_last() -> None:
    visited = np.zeros((2, 20), dtype=np.bool_)
    visited[0, 12], visited[1, 3] = True, True
    shopping = ShoppingDays(("h0000", "h0001"), visited, DAY - 10, 0, "data")
    returning = Return(("h0000", "h0001"), np.zeros((2, 9)), DAY)
    assert shopped_within(shopping, returning, 2).tolist() == [False, False]
    assert shopped_within(shopping, returning, 3).tolist() == [True, False]
    with pytest.raises(UsageError, match="end before 11 days"):
        shopped_within(shopping, returning, 11)
    with pytest.raises(UsageError, match="10 days are not among the 9"):
        returning.within(10)


def test_a_fitted_model_is_reliable_on_days_it_did_not_see() -> None:
    truth = model(400, level=-2.0, sd=1.0)
    visited = simulate_visits(truth, 128, seed=5)
    visited[:, 0] = True
    shopping = ShoppingDays(truth.customer, visited, DAY, 0, "data")
    returning = when_back(fit_visits(shopping, DAY + 100), 28)
    found = reliability(returning.within(7), shopped_within(shopping, returning, 7))
    assert found.error < 0.09  # 40 households a tenth: chance alone makes .06
    assert found.auc > 0.7
    assert found.brier < 0.22


def test_scores_by_hand() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9])
    came = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 1], dtype=np.bool_)
    found = reliability(p, came)
    assert found.auc == pytest.approx((5 * 5 - 0.5) / 25)  # one pair of equals
    assert found.brier == pytest.approx(((p - came) ** 2).mean())
    assert found.log_loss == pytest.approx(-np.log(np.where(came, p, 1 - p)).mean())
    assert found.error == pytest.approx(np.abs(p - came).mean())
    assert found.count.tolist() == [1] * 10
    with pytest.raises(UsageError):
        reliability(p, np.ones(10, dtype=np.bool_))
