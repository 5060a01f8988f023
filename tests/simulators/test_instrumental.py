"""Two-stage least squares with absorbed effects: by hand, against dummies, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pricing.arrays import Bools, Floats
from pricing.errors import DataError, NotIdentified
from simulators.demand.instrumental import logit_elasticities, two_stage_least_squares


def market(seed: int, N: int = 14, T: int = 11) -> tuple[Floats, Floats, Floats, Bools, Floats]:
    """Prices that follow demand (its shock enters both), two costs, one exogenous regressor; alpha is -2."""
    rng = np.random.default_rng(seed)
    Z, X, shock = rng.normal(size=(N, T, 2)), rng.normal(size=(N, T, 1)), rng.normal(size=(N, T))
    level, season = rng.normal(size=(N, 1)), rng.normal(size=T)
    price = Z @ np.array([0.8, 0.5]) + 0.5 * X[..., 0] + 0.7 * shock + level - season
    y = -2.0 * price + 1.5 * X[..., 0] + shock + 3.0 * level + 2.0 * season
    return y, price, Z, rng.random((N, T)) < 0.9, X


def dummy_rows(y: Floats, price: Floats, Z: Floats, observed: Bools, X: Floats) -> tuple[Floats, ...]:
    i, t = np.nonzero(observed)
    effects = [i[:, None] == np.arange(len(y)), t[:, None] == np.arange(1, y.shape[1])]
    beside = np.concatenate([X[i, t], *effects], axis=1).astype(np.float64)
    right = np.concatenate([price[i, t][:, None], beside], axis=1)
    return y[i, t], right, np.concatenate([beside, Z[i, t]], axis=1), i.astype(np.float64)


def test_one_instrument_by_hand() -> None:
    """One series, alpha is the ratio of covariances with the instrument: (-1 - 2 - 3) / (1 + 0 + 2)."""
    z, p = np.array([[-1.0, 0.0, 1.0]]), np.array([[1.0, 7.0, 4.0]])
    y = np.array([[2.0, 5.0, -4.0]])
    found = two_stage_least_squares(y, p, z[..., None], np.ones((1, 3), bool), periods=False)
    assert found.price == pytest.approx((-4.0 - 2.0) / (4.0 - 1.0))
    assert np.isnan(found.price_error), "one cluster has no error"


@pytest.mark.parametrize("seed", [1, 2])
def test_dummies_give_the_same_numbers(seed: int) -> None:
    from statsmodels.sandbox.regression.gmm import IV2SLS

    y, price, Z, observed, X = market(seed)
    found = two_stage_least_squares(y, price, Z, observed, X)
    left, right, outside, name = dummy_rows(y, price, Z, observed, X)
    theirs: Any = IV2SLS(left, right, instrument=outside).fit()
    np.testing.assert_allclose([found.price, *found.coefficient], theirs.params[:2], rtol=1e-8)
    # The clustered sandwich written out, every effect a column.
    fitted = outside @ np.linalg.lstsq(outside, right)[0]
    scores = fitted * (left - right @ theirs.params)[:, None]
    summed = np.stack([scores[name == g].sum(axis=0) for g in np.unique(name)])
    bread = np.linalg.inv(fitted.T @ fitted)
    covariance = 14 / 13 * bread @ summed.T @ summed @ bread
    np.testing.assert_allclose(
        [found.price_error, *found.standard_error], np.sqrt(np.diagonal(covariance)[:2]), rtol=1e-7
    )


def test_the_first_stage_is_a_clustered_wald_test() -> None:
    import statsmodels.api as sm

    y, price, Z, observed, X = market(3)
    found = two_stage_least_squares(y, price, Z, observed, X)
    _, right, outside, name = dummy_rows(y, price, Z, observed, X)
    model: Any = sm.OLS(right[:, 0], outside)
    first = model.fit(cov_type="cluster", cov_kwds={"groups": name.astype(int), "use_correction": False})
    last = np.eye(outside.shape[1])[-2:]
    wald = float(first.wald_test(last, use_f=False, scalar=True).statistic)
    assert found.strength == pytest.approx(wald * 13 / 14 / 2, rel=1e-7)
    assert found.instruments == 2


def test_instruments_undo_what_demand_did_to_prices() -> None:
    y, price, Z, observed, X = market(4, N=300)
    found = two_stage_least_squares(y, price, Z, observed, X)
    assert abs(found.price + 2.0) < 3.0 * found.price_error
    naive = two_stage_least_squares(y, price, price[..., None], observed, X)
    assert naive.price > -1.7, "as if shoppers minded prices less"


def test_what_effects_and_others_explain_is_left_out() -> None:
    y, price, Z, observed, X = market(5)
    by_series = np.broadcast_to(np.arange(len(y))[:, None, None], X.shape)
    by_period = np.broadcast_to(np.cos(np.arange(y.shape[1]))[:, None], X.shape)
    wide = np.concatenate([by_series, X, by_period, X + by_period], axis=2)
    more = np.concatenate([Z, Z[..., :1] - X, by_period], axis=2)
    found = two_stage_least_squares(y, price, more, observed, wide)
    lean = two_stage_least_squares(y, price, Z, observed, X)
    assert found.kept.tolist() == [False, True, False, False]
    assert found.instruments == 2
    assert found.price == pytest.approx(lean.price, rel=1e-9)
    assert found.strength == pytest.approx(lean.strength, rel=1e-7)


def test_an_instrument_that_is_only_an_effect_is_refused() -> None:
    y, price, _, observed, X = market(6)
    by_series = np.broadcast_to(np.arange(float(len(y)))[:, None, None], X.shape)
    with pytest.raises(NotIdentified, match="No instrument moves the price"):
        two_stage_least_squares(y, price, by_series, observed, X)
    with pytest.raises(NotIdentified, match="No instrument moves the price"):
        two_stage_least_squares(y, X[..., 0], price[..., None], observed, X)


def test_unobserved_cells_are_never_read_and_bad_ones_are_refused() -> None:
    y, price, Z, observed, X = market(7)
    found = two_stage_least_squares(y, price, Z, observed, X)
    gone = two_stage_least_squares(np.where(observed, y, np.nan), price, Z, observed, X)
    assert found.price == gone.price
    wrong = np.where(observed, price, price)
    wrong[tuple(np.argwhere(observed)[0])] = np.inf
    with pytest.raises(DataError, match="not a finite number"):
        two_stage_least_squares(y, wrong, Z, observed, X)


def test_too_few_clusters_have_no_strength() -> None:
    y, price, Z, observed, X = market(8, N=2)
    assert np.isnan(two_stage_least_squares(y, price, Z, observed, X).strength)


def test_own_price_elasticities_of_a_logit_by_hand() -> None:
    """-30 * .1 * (1 - .25)."""
    np.testing.assert_allclose(logit_elasticities(-30.0, np.array([0.1]), np.array([0.25])), [-2.25])
