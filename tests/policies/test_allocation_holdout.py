"""Holdouts and frequency caps: who is in, how likely that was, and that chance is a hash."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from policies.allocation.holdout import Holdout, within_frequency
from policies.allocation.instance import Cells, Choices, Schedule
from policies.allocation.oracle import NumpyOracle
from pricing.arrays import Floats
from pricing.coupon_rules import held_out
from pricing.errors import DataError, UsageError
from pricing.randomness import label_hash, label_hashes

NAMES = [f"customer {i}" for i in range(20_000)]


def test_the_draw_follows_from_customer_campaign_and_seed_alone() -> None:
    every = held_out(NAMES, ["spring", "autumn"], 0.2, 3)
    some = held_out(NAMES[5000:4000:-7], ["autumn"], 0.2, 3)
    np.testing.assert_array_equal(every[5000:4000:-7, 1:], some)
    assert (held_out(NAMES, ["spring"], 0.2, 4) != every[:, :1]).any()
    wider = held_out(NAMES, ["spring"], 0.3, 3)
    assert wider[every[:, 0], 0].all(), "a larger holdout keeps those who were in the smaller one"


def test_its_share_is_right_and_campaigns_are_independent() -> None:
    held = held_out(NAMES, ["spring", "autumn"], 0.2, 3)
    error = np.sqrt(0.2 * 0.8 / len(NAMES))
    assert abs(held.mean(axis=0) - 0.2).max() < 4 * error
    assert abs((held[:, 0] & held[:, 1]).mean() - 0.04) < 4 * np.sqrt(0.04 * 0.96 / len(NAMES))
    assert not held_out(NAMES, ["spring"], 0.0, 3).any()


def test_hashes_of_many_labels_are_those_of_each() -> None:
    words = ["", "ñandú", "a\x1fb", "x" * 200]
    assert label_hashes("kind", words).tolist() == [label_hash("kind", word) for word in words]
    assert label_hashes("kind", []).shape == (0,)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="not a share"):
        held_out(["a"], ["b"], share, 0)


def test_propensities_are_those_of_all_draws() -> None:
    """All 8 draws of three campaigns, weighed: the probability of each choice is what it says."""
    rng, share, customers, offers = np.random.default_rng(2), 0.3, 40, 6
    cells = Cells(
        rng.normal(2.0, 4.0, (customers, offers)),
        rng.random((customers, offers)),
        rng.random((customers, offers)) < 0.8,
    )
    cells.value[:, 0] = cells.cost[:, 0] = 0.0
    cells.eligible[:, 0] = True
    schedule = Schedule.of((), offers)
    nothing = np.zeros(0)
    campaign = np.array([-1, 0, 0, 1, 2, 2])
    exact = np.zeros((customers, offers))
    said: list[tuple[Choices, Floats]] = []
    for draw in itertools.product([False, True], repeat=3):
        held = np.tile(draw, (customers, 1))
        holdout = Holdout(share, campaign, held)
        open_ = Cells(cells.value, cells.cost, holdout.left_open(cells.eligible))
        choice = NumpyOracle().best(open_, *schedule.priced(nothing[None]), schedule.roof).choice[0]
        weight = float(np.prod([share if out else 1.0 - share for out in draw]))
        exact[np.arange(customers), choice] += weight
        said.append((choice, holdout.propensity(cells, schedule, nothing, choice)))
    for choice, propensity in said:
        np.testing.assert_allclose(propensity, exact[np.arange(customers), choice])
    assert (exact > 0.0).sum(axis=1).max() > 2


def test_who_had_enough_gets_nothing() -> None:
    eligible = np.ones((3, 3), dtype=np.bool_)
    open_ = within_frequency(eligible, np.array([0, 1, 2]), 2)
    assert open_.tolist() == [[True] * 3, [True] * 3, [True, False, False]]
    each = within_frequency(eligible, np.array([[9, 2, 0], [9, 0, 1], [9, 1, 1]]), 1)
    assert each.tolist() == [[True, False, True], [True, True, False], [True, False, False]]
    with pytest.raises(DataError, match="fewer than no offers"):
        within_frequency(eligible, np.array([0, -1, 0]), 2)
