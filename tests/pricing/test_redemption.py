from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from pricing.archive import pack
from pricing.errors import ArtifactError
from pricing.redemption import OFFER_FEATURES, RedemptionModel

K = len(OFFER_FEATURES)


def model() -> RedemptionModel:
    """Two kinds; only affinity (column 2), history and the kind move the log odds."""
    mean = np.array([-2.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.5, 1.0, -1.0])
    return RedemptionModel(
        kinds=("flyer", "mailer"),
        centre=np.array([0.0, 0.0, 1.0, 0.0, 0.0]),
        scale=np.array([1.0, 1.0, 2.0, 1.0, 1.0]),
        screen=np.delete(mean, 6),
        mean=mean,
        covariance=np.eye(len(mean)),
        campaign_sd=0.2,
        calibration=np.array([0.0, 1.0]),
        calibrated_on=0,
        timing=np.array([0.0, 0.8, 1.0]),
        as_of="2025-03-01",
        fingerprint="f",
    )


def features(affinity: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    row = np.zeros((1, K))
    row[0, 2] = affinity
    return row


def logistic(eta: float) -> float:
    return float(1.0 / (1.0 + np.exp(-eta)))


def test_probability_by_hand() -> None:
    # -2 + .5 (5 - 1) / 2 + 1.5 * .4 + 1 (flyer) = .6
    found = model().probability(features(5.0), np.array([0.4]), ("flyer",))
    assert found == pytest.approx([logistic(0.6)])
    # without history: -2 + 1 + 1 = 0
    assert model().screened(features(5.0), ("flyer",)) == pytest.approx([0.5])


def test_a_new_kind_counts_as_the_average_one_and_an_unknown_feature_as_its_mean() -> None:
    unknown = np.full((1, K), np.nan)
    assert model().probability(unknown, np.zeros(1), ("poster",)) == pytest.approx([logistic(-2.0)])


def test_calibration_maps_log_odds() -> None:
    calibrated = replace(model(), calibration=np.array([-0.1, 2.0]))
    found = calibrated.probability(features(5.0), np.array([0.4]), ("flyer",))
    assert found == pytest.approx([logistic(-0.1 + 2.0 * 0.6)])


def test_the_window_fills_as_the_timing_says() -> None:
    elapsed = np.array([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 3.0])
    assert model().seen_share(elapsed) == pytest.approx([0.0, 0.0, 0.4, 0.8, 0.9, 1.0, 1.0])


def test_bytes_and_back() -> None:
    content = model().to_bytes()
    again = RedemptionModel.from_bytes(content)
    assert again.to_bytes() == content
    for field in fields(RedemptionModel):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(model(), field.name))


def test_an_archive_without_its_fields_is_refused() -> None:
    with pytest.raises(ArtifactError, match="does not hold"):
        RedemptionModel.from_bytes(pack("redemption-model", 1, {"centre": np.zeros(2)}, {"kinds": []}))
    with pytest.raises(ArtifactError, match="found a demand-model"):
        RedemptionModel.from_bytes(pack("demand-model", 1, {}, {}))
