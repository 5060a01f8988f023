from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from pricing.arrays import Floats
from pricing.errors import NotIdentified
from pricing.redemption import OFFER_FEATURES, RedemptionModel
from simulators.customers.history import past_excess
from simulators.customers.offers import NEVER, Offers
from simulators.customers.redemption import day_number, fit_redemption, predict_redemption

START = day_number("2025-01-01")
SPLIT = "2025-09-01"
HOUSEHOLDS, CAMPAIGNS = 400, 20


def world(seed: int) -> tuple[Offers, Floats]:
    """Every household gets every campaign: one begins each 15 days from day 30 and lasts 30; truth beside."""
    rng = np.random.default_rng(seed)
    n = HOUSEHOLDS * CAMPAIGNS
    campaign = np.repeat(np.arange(CAMPAIGNS), HOUSEHOLDS)
    household = np.tile(np.arange(HOUSEHOLDS), CAMPAIGNS)
    features = rng.normal(size=(n, len(OFFER_FEATURES)))
    features[:, 4] = np.nan
    own = rng.normal(0.0, 1.0, HOUSEHOLDS)
    shared = rng.normal(0.0, 0.2, CAMPAIGNS)
    eta = -2.2 + 0.8 * features[:, 2] + 0.7 * (campaign % 2) + own[household] + shared[campaign]
    p = expit(eta)
    day = START + 30 + 15 * campaign
    pace = np.floor(30 * rng.beta(1.0, 2.0, n)).astype(np.int64)
    redeemed = np.where(rng.random(n) < p, day + pace, NEVER)
    names = ("a", "b")
    return Offers(
        customer=tuple(f"h{i:03}" for i in household),
        campaign=tuple(f"c{i:02}" for i in campaign),
        kind=tuple(names[i % 2] for i in campaign),
        day=day,
        ends=day + 30,
        redeemed=redeemed,
        features=features,
        first_day=START,
        last_day=START + 364,
        fingerprint="f",
    ), p


def test_known_truth_is_found_out_of_time() -> None:
    offers, truth = world(1)
    model = fit_redemption(offers, SPLIT)
    affinity = model.mean[1 + OFFER_FEATURES.index("affinity")]
    assert affinity == pytest.approx(0.8, abs=0.12)
    assert model.mean[5] == 0.0  # no campaign records a face value: nothing moved it
    assert model.mean[8] - model.mean[7] == pytest.approx(0.7, abs=0.35)  # 13 campaigns
    later = offers.day >= day_number(SPLIT)
    found = predict_redemption(model, offers).ever[later]
    assert found.sum() / truth[later].sum() == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(found, truth[later])[0, 1] > 0.85
    unaware = replace(model, mean=np.where(np.arange(len(model.mean)) == 6, 0.0, model.mean))
    without = predict_redemption(unaware, offers).ever[later]
    assert np.corrcoef(without, truth[later])[0, 1] < np.corrcoef(found, truth[later])[0, 1] - 0.1


def test_what_happens_from_the_day_on_changes_nothing() -> None:
    offers, _ = world(2)
    split = day_number(SPLIT)
    late = offers.redeemed >= split
    other = replace(
        offers,
        redeemed=np.where(late, NEVER, offers.redeemed),
        features=np.where((offers.day >= split)[:, None], 9.0, offers.features),
    )
    assert fit_redemption(other, SPLIT).to_bytes() == fit_redemption(offers, SPLIT).to_bytes()


def test_the_future_of_a_household_does_not_move_its_prediction() -> None:
    offers, _ = world(3)
    model = fit_redemption(offers, SPLIT)
    today = day_number(SPLIT) + 30
    other = replace(offers, redeemed=np.where(offers.redeemed >= today, NEVER, offers.redeemed))
    until = offers.day <= today
    found, same = predict_redemption(model, offers).ever, predict_redemption(model, other).ever
    np.testing.assert_array_equal(found[until], same[until])
    assert not np.array_equal(found, same)


def test_an_early_horizon_expects_only_what_has_come_in_by_then() -> None:
    offers, _ = world(4)
    model = fit_redemption(offers, SPLIT)
    last = offers.campaign[-1]
    chosen = np.array(offers.campaign) == last
    horizon = "2025-11-27"  # the last campaign began on 12 November: half its window
    found = predict_redemption(model, offers, horizon)
    share = found.by_horizon[chosen] / found.ever[chosen]
    # Beta(1, 2) by the middle: 1 - .5^2 = .75
    assert share == pytest.approx(np.full(HOUSEHOLDS, 0.75), abs=0.06)
    seen = (offers.redeemed[chosen] < day_number(horizon)).sum()
    assert found.by_horizon[chosen].sum() == pytest.approx(seen, rel=0.35)


def test_calibration_is_learned_on_campaigns_not_seen() -> None:
    offers, _ = world(5)
    model = fit_redemption(offers, SPLIT)
    assert model.calibrated_on > 300
    assert model.calibration == pytest.approx([0.0, 1.0], abs=0.25)
    early = fit_redemption(offers, "2025-02-20")
    assert early.calibrated_on == 0
    assert early.calibration.tolist() == [0.0, 1.0]


def test_too_few_redemptions_are_refused() -> None:
    offers, _ = world(6)
    with pytest.raises(NotIdentified, match="0 offers were seen redeemed before 2025-01-31"):
        fit_redemption(offers, "2025-01-31")


def test_history_by_hand() -> None:
    """Two earlier offers of one household, each expected at .5; the other household has none."""
    width = 1 + len(OFFER_FEATURES)
    model = RedemptionModel(
        kinds=(),
        centre=np.zeros(5),
        scale=np.ones(5),
        screen=np.zeros(width),
        mean=np.zeros(width + 1),
        covariance=np.zeros((width + 1, width + 1)),
        campaign_sd=0.0,
        calibration=np.array([0.0, 1.0]),
        calibrated_on=0,
        timing=np.array([0.0, 1.0]),
        as_of="2025-01-01",
        fingerprint="f",
    )
    offers = Offers(
        customer=("x", "x", "y", "x"),
        campaign=("a", "b", "c", "c"),
        kind=("k",) * 4,
        day=np.array([0, 10, 20, 20]),
        ends=np.array([10, 30, 30, 30]),
        redeemed=np.array([5, NEVER, NEVER, 25]),
        features=np.zeros((4, 5)),
        first_day=0,
        last_day=40,
        fingerprint="f",
    )
    # On day 10 x has redeemed a, which is over: (1 - .5) / (1 + .25) = .4.
    # On day 20 also b, half its window past and not redeemed: outcome .25 / .75 = 1/3, information .125.
    expected = [0.0, 0.4, 0.0, (0.5 + 1 / 3 - 0.5) / (1 + 0.25 + 0.125)]
    assert past_excess(model, offers) == pytest.approx(expected)
