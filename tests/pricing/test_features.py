from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricing.demand import Conditions, DemandParameters, log_units
from pricing.features import FEATURES, observe
from pricing.model import COEFFICIENTS
from pricing.situation import Situation
from tests.pricing.small_shop import LADDER, catalogue, menu, situation, standing_at
from tests.pricing.test_archive import model

_OPEN = np.ones((1, 1, len(LADDER)), dtype=np.bool_)


def _see(here: Situation, allowed: np.ndarray = _OPEN) -> dict[str, float]:
    found = observe(here, allowed)[0, 0]
    return dict(zip((feature.name for feature in FEATURES), found.tolist(), strict=True))


def test_features_by_hand() -> None:
    shop = catalogue((100,), net_share=1 / 1.25, unit_cost=60, stock=65.0)
    here = situation(shop, menu(1))
    state = replace(
        here.state,
        lag=np.log([[90.0]]),
        reference=np.log([[95.0]]),
        recent=np.array([[[100, 85, 100, 100, 100]]]),
        since_change=np.array([[3]]),
    )
    seen = _see(replace(here, state=state, conditions=replace(here.conditions, display=np.array([0.25]))))
    assert seen == pytest.approx(
        {
            "elasticity": -2.0,
            "elasticity_sd": 0.3,
            "margin": 0.2,  # net 80, cost 60
            "rung": np.log(100 / 80) / np.log(120 / 80),
            "room_down": np.log(0.8),
            "room_up": np.log(1.2),
            "myopic_gap": np.log(1.5),  # twice 60 net is 150 on the shelf
            "lag_gap": np.log(0.9),
            "reference_gap": np.log(0.95),
            "low_gap": np.log(0.85),
            "stock_cover": 0.5,  # 65 units for 13 periods of 10
            "stock_tracked": 1.0,
            "waiting": 0.25,
            "time_left": 0.5,
            "promoted": 0.25,
            "depth": 0.0,
        }
    )


def test_the_edges_of_features() -> None:
    seen = _see(situation(catalogue((100,)), menu(1), -0.5), np.zeros_like(_OPEN))
    assert (seen["room_down"], seen["room_up"]) == (0.0, 0.0)
    assert seen["myopic_gap"] == 1.0
    assert (seen["stock_cover"], seen["stock_tracked"]) == (4.0, 0.0)
    assert _see(situation(catalogue((100,), stock=0.0), menu(1)))["stock_cover"] == 0.0


def test_room_follows_the_allowed_set() -> None:
    allowed = (_OPEN & (np.array(LADDER) >= 95)) & (np.array(LADDER) <= 110)
    seen = _see(standing_at(situation(catalogue((100,)), menu(1)), (105,)), allowed)
    assert seen["room_down"] == pytest.approx(np.log(95 / 105))
    assert seen["room_up"] == pytest.approx(np.log(110 / 105))


def test_features_do_not_depend_on_the_scale_of_money() -> None:
    small = situation(catalogue((100,), unit_cost=60), menu(1))
    ladder = tuple(rung * 1000 for rung in LADDER)
    large = situation(catalogue((100_000,), unit_cost=60_000, support_high=10**6), menu(1, ladder))
    assert _see(small) == pytest.approx(_see(large))


def test_no_shelf_price_feature_is_personal_and_names_are_distinct() -> None:
    assert not any(feature.personal for feature in FEATURES)
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)


def test_expected_demand_by_hand() -> None:
    one = np.ones(1)
    known = DemandParameters(
        level=2.0 * one,
        regular=-1.5 * one,
        depth=-3.0 * one,
        lag=0.5 * one,
        feature=0.4 * one,
        display=0.2 * one,
        traffic=1.0 * one,
        deal=0.2 * one,
        featured_depth=-0.6 * one,
        rivals=0.8 * one,
        curve=-0.9 * one,
        threshold=0.3 * one,
        spill=7.0 * one,
        absence=0.1 * one,
        gain=-0.3 * one,
        loss=-0.7 * one,
        dispersion=5.0 * one,
        log_reference=4.6 * one,
    )
    plan = Conditions(depth=-0.1 * one, feature=0.5 * one, display=one, traffic=0.05 * one, rivals=0.02 * one,
                      season=0.01 * one)  # fmt: skip
    plain = 2.0 + 0.5 * (4.55 - 4.6) + 0.3 + 0.2 + 0.2 + 0.05
    plain += 0.2 * (1.0 - 0.006737947) + 0.6 * 0.5 * 0.1 + 0.8 * 0.02 + 0.01  # exp(-5) is 0.006737947
    at = log_units(known, 4.7 * one, 4.55 * one, 4.5 * one, plan)  # shelf 4.6 is 0.1 above the reference
    bend = 0.1**2 / 0.15  # up the curve -.9 and the threshold .3 work together, down against each other
    assert at[0] == pytest.approx(plain - 1.5 * 0.1 - 0.7 * 0.1 + (-0.9 + 0.3) * bend)
    at = log_units(known, 4.5 * one, 4.55 * one, 4.5 * one, plan)  # shelf 4.4 is 0.1 below
    assert at[0] == pytest.approx(plain + 1.5 * 0.1 + 0.3 * 0.1 + (-0.9 - 0.3) * bend)


def test_demand_of_a_model_is_told_in_shelf_prices() -> None:
    fitted = model(2)
    shop = catalogue((100, 100), gross_share=1.21)
    found = DemandParameters.of(fitted.mean, fitted, shop)
    assert found.regular.tolist() == fitted.mean[:, COEFFICIENTS.index("regular")].tolist()
    assert found.log_reference == pytest.approx(np.log(fitted.reference_price / 1.21))
    assert (found.gain == 0.0).all()
    assert (found.loss == 0.0).all()


def test_profit_at_a_rung_is_the_same_asked_either_way() -> None:
    here = situation(catalogue((100, 100), stock=[3.0, np.inf]), menu(2), batch=3)
    every = np.broadcast_to(here.expected_profit(here.beliefs), (3, 2, len(LADDER)))
    for rung, price in enumerate(LADDER):
        one = here.profit_of(np.full((3, 2), rung))
        assert one == pytest.approx(every[..., rung], rel=1e-12)
        units = 10 * (100 / price) ** 2
        assert one[0] == pytest.approx([min(units, 3.0) * (price - 50), units * (price - 50)])
    assert here.profit_of(np.full((3, 2), -1)) == pytest.approx(every[..., LADDER.index(100)])
