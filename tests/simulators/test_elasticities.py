"""The elasticities table by hand: posterior bands, sensitivity bands, support and prices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricing.arrays import Floats
from pricing.model import COEFFICIENTS, DemandModel, regular_arc
from pricing.panel import Panel
from simulators.demand.elasticities import elasticities
from tests.simulators.demand_truth import make

C = len(COEFFICIENTS)
Z = 1.6448536269514722
REGULAR, DISCOUNT = 0, 1


def _panel(regular: list[list[float]], offered: list[list[float]]) -> Panel:
    """N series of five periods; the first one is no evidence."""
    panel = make(len(regular), 1).panel.between(0, 5)
    shape = panel.units.shape
    return replace(
        panel,
        units=np.ones(shape),
        on_sale=np.ones(shape, dtype=np.bool_),
        offered=np.array(offered),
        regular=np.array(regular),
    )


def _model(panel: Panel, variance: Floats, dispersion: list[float]) -> DemandModel:
    """Posterior variance [N] of every coefficient, prior variance 0.16, elasticities -1.5 and -2.5."""
    n = len(panel.series)
    mean = np.zeros((n, C))
    mean[:, COEFFICIENTS.index("regular")], mean[:, COEFFICIENTS.index("depth")] = -1.5, -2.5
    return DemandModel(
        series=panel.series,
        mean=mean,
        factor=np.sqrt(variance)[:, None, None] * np.eye(C),
        dispersion=np.array(dispersion),
        absence=np.zeros(n),
        reference_price=np.full(n, 100.0),
        support_low=np.full(n, 90, dtype=np.int64),
        support_high=np.full(n, 150, dtype=np.int64),
        depth_low=np.full(n, np.log(0.75)),
        identified_by=np.tile(np.array([[2, 3]], dtype=np.int8), (n, 1)),
        category=np.zeros(n, dtype=np.int64),
        rival_group=np.full(n, -1, dtype=np.int64),
        rival_weight=np.ones(n),
        rival_outside_weight=np.zeros(n),
        category_shock_sd=np.zeros(1),
        period_shock_sd=0.0,
        category_names=("category",),
        prior_mean=np.tile(mean[0], (2, 1)),
        prior_covariance=np.tile(0.16 * np.eye(C), (2, 1, 1)),
        prior_log_size=1.0,
        prior_log_size_sd=0.5,
        prior_absence=0.0,
        period_days=7,
        until="2025-01-06",
        fingerprint="f",
        seed=1,
    )


def certain_model(panel: Panel) -> DemandModel:
    """A model without any doubt of the panel's own series."""
    return _model(panel, np.zeros(len(panel.series)), [1.0] * len(panel.series))


# Regular prices whose logs are an equal number of times 0 and log 1.21 (or log 1.44) have standard
# deviations log 1.1 (or log 1.2) over the four periods that count. The 999 in the first period does not.
MOVES = [[999.0, 100.0, 100.0, 121.0, 121.0], [999.0, 100.0, 144.0, 100.0, 144.0], [999.0, *[100.0] * 4]]
R_FOR_UNIT_SD = 1.0 / np.expm1(1.0)  # log(1 + 1 / r) = 1


def _width(price: float) -> float:
    """Sd of regular + a curve + b threshold, each of sd 1: bends' slopes from 10 % below to 10 % above."""
    bend = [np.log(price * f) ** 2 / (abs(np.log(price * f)) + 0.05) for f in (0.9, 1.1)]
    odd = np.sign(np.log([price * 0.9, price * 1.1])) * bend
    curve, threshold = (np.diff(part)[0] / np.log(1.1 / 0.9) for part in (bend, odd))
    return float(np.sqrt(1.0 + curve**2 + threshold**2))


def test_sensitivity_bands_by_hand() -> None:
    panel = _panel(MOVES, MOVES)
    table = elasticities(_model(panel, np.array([0.0, 0.04, 0.16]), [R_FOR_UNIT_SD] * 3), panel)
    one, two = np.log(1.1), np.log(1.2)
    pooled = np.sqrt((one**2 + two**2) / 2.0)  # the third never moved and is no part of it
    # The data decide all, three quarters and nothing of the three: weights 1, 0.75, 0.
    inverse = [1.0 / one, 0.75 / two + 0.25 / pooled, 1.0 / pooled]
    # 121, 144 and 100 are the last prices: the bends take part in the elasticity there by their own slopes.
    reach = Z * np.sqrt([0.0, 0.04, 0.16]) * [_width(1.21), _width(1.44), _width(1.0)]
    np.testing.assert_allclose(table.elasticity, [[-1.5, -2.5]] * 3)
    np.testing.assert_allclose(table.lower[:, REGULAR], -1.5 - reach)
    np.testing.assert_allclose(table.upper[:, REGULAR], -1.5 + reach)
    np.testing.assert_allclose(table.sensitivity_lower[:, REGULAR], -1.5 - reach - 0.3 * np.array(inverse))
    np.testing.assert_allclose(table.sensitivity_upper[:, REGULAR], -1.5 + reach + 0.3 * np.array(inverse))


def test_the_signal_of_a_discount_is_part_of_the_elasticity_to_one() -> None:
    """A discount of a fifth: 0.3 log units from its signal, shared out over log 0.8."""
    panel = _panel(MOVES[:1], MOVES[:1])
    model = _model(panel, np.array([0.04]), [R_FOR_UNIT_SD])
    mean = model.mean.copy()
    mean[:, COEFFICIENTS.index("deal")] = 0.3
    table = elasticities(replace(model, mean=mean), panel)
    share = (1.0 - 0.8**50) / np.log(0.8)
    assert table.elasticity[0, DISCOUNT] == pytest.approx(-2.5 + 0.3 * share)
    width = table.upper[0, DISCOUNT] - table.elasticity[0, DISCOUNT]
    assert width == pytest.approx(Z * 0.2 * np.sqrt(1.0 + share**2))
    assert table.elasticity[0, REGULAR] == -1.5


def test_without_any_discount_in_the_shop_one_log_unit_of_movement_is_assumed() -> None:
    panel = _panel(MOVES, MOVES)
    table = elasticities(_model(panel, np.zeros(3), [R_FOR_UNIT_SD] * 3), panel)
    np.testing.assert_allclose(table.sensitivity_upper[:, DISCOUNT], -2.5 + 0.3)


def test_discounts_move_by_the_shelf_price_over_the_regular_one() -> None:
    regular = [[100.0, 100.0, 100.0, 200.0, 200.0]]
    offered = [[100.0, 100.0, 81.0, 200.0, 162.0]]  # log 0.81 in two of four: sd is log(1 / 0.9)
    panel = _panel(regular, offered)
    table = elasticities(_model(panel, np.zeros(1), [R_FOR_UNIT_SD]), panel)
    assert table.sensitivity_lower[0, DISCOUNT] == pytest.approx(-2.5 - 0.3 / np.log(1.0 / 0.9))
    assert table.sensitivity_lower[0, REGULAR] == pytest.approx(-1.5 - 0.3 / np.log(np.sqrt(2.0)))


def test_demand_that_is_hard_to_foretell_may_hide_more() -> None:
    panel = _panel(MOVES[:1], MOVES[:1])
    for r in (0.5, 4.0, 1e9):
        table = elasticities(_model(panel, np.zeros(1), [r]), panel)
        width = table.sensitivity_upper[0, REGULAR] - table.upper[0, REGULAR]
        assert width == pytest.approx(0.3 * np.sqrt(np.log1p(1.0 / r)) / np.log(1.1))


def test_counts_almost_free_of_noise_do_not_make_a_narrow_sensitivity_interval() -> None:
    panel = _panel(MOVES[:2], MOVES[:2])
    # Of two series, the data decide three quarters of one and half of the other.
    table = elasticities(_model(panel, np.array([0.04, 0.08]), [1e9, 1e9]), panel)
    arc = regular_arc(np.log(np.array([regular[-1] for regular in MOVES[:2]]) / 100.0))
    reach = Z * np.sqrt(np.array([0.04, 0.08]) * (arc**2).sum(axis=1))
    np.testing.assert_allclose(table.sensitivity_upper[:, REGULAR], -1.5 + reach + 1.75 * 0.75 * reach)


def test_a_gap_in_prices_and_an_empty_shelf() -> None:
    known = _panel(MOVES[:1], MOVES[:1])
    gap = [[999.0, 100.0, np.nan, 121.0, np.nan]]  # carried: 100, 100, 121, 121
    table = elasticities(_model(known, np.zeros(1), [1.0]), known)
    again = elasticities(_model(known, np.zeros(1), [1.0]), _panel(gap, gap))
    np.testing.assert_array_equal(table.sensitivity_upper, again.sensitivity_upper)
    # Out of stock in the last period: 0, 0, log 1.21 have variance 2/9 of its square.
    empty = replace(known, in_stock=np.array([[1.0, 1.0, 1.0, 1.0, 0.0]]))
    less = elasticities(_model(known, np.zeros(1), [R_FOR_UNIT_SD]), empty)
    sd = np.log(1.21) * np.sqrt(2.0) / 3.0
    assert less.sensitivity_upper[0, REGULAR] == pytest.approx(-1.5 + 0.3 / sd)


def test_prices_and_support_are_whole_minor_units() -> None:
    panel = _panel([[100.0, 100.0, 100.0, 100.0, 119.6]], [[100.0, 100.0, 100.0, 100.0, 99.5]])
    table = elasticities(_model(panel, np.zeros(1), [1.0]), panel)
    np.testing.assert_array_equal(table.at_price, [[120, 100]])  # 99.5 to even
    np.testing.assert_array_equal(table.support_low, [[90, 68]])  # 90 x 0.75 = 67.5, to even
    np.testing.assert_array_equal(table.support_high, [[150, 150]])
    assert table.at_price.dtype == table.support_low.dtype == np.int64
    np.testing.assert_array_equal(table.identified_by, [[2, 3]])
