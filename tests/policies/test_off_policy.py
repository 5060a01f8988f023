"""Off-policy evaluation: by hand, what must be refused, and coverage in a small known world."""

from __future__ import annotations

import numpy as np
import pytest

from policies.evaluation.off_policy import Log, chosen, evaluate_policy, gain_over
from pricing.errors import RefusedError, UsageError


def _log(rows: int, seed: int = 0) -> Log:
    """Two offers drawn at .75 and .25; reward 2 + offer + noise, the model says nothing."""
    rng = np.random.default_rng(seed)
    offer = (rng.random(rows) < 0.25).astype(np.int64)
    reward = 2.0 + offer + rng.exponential(1.0, rows) - 1.0
    return Log(reward, offer, np.where(offer == 1, 0.25, 0.75), np.zeros((rows, 2)), np.arange(rows))


def test_by_hand() -> None:
    """Give offer 1 to all: weights 0, 4; IPW (0 + 4 * 5) / 2, Hajek 5; DR 1 + (0 + 4 * (5 - 1)) / 2."""
    reward, offer, chance = np.tile([3.0, 5.0], 200), np.tile([0, 1], 200), np.tile([0.75, 0.25], 200)
    log = Log(reward, offer, chance, np.ones((400, 2)), np.arange(400))
    found = evaluate_policy(log, chosen(np.ones(400, dtype=np.int64), 2))
    assert (found.ipw.value, found.snipw.value, found.dr.value) == (10.0, 5.0, 9.0)
    assert (found.effective, found.share) == (200.0, 0.5)


def test_what_was_given_is_worth_what_it_earned() -> None:
    log = _log(1000)
    same = np.tile([0.75, 0.25], (1000, 1))
    found = evaluate_policy(log, same)
    assert [found.ipw.value, found.snipw.value] == pytest.approx([log.reward.mean()] * 2)
    assert found.share == pytest.approx(1.0)


def test_a_policy_of_which_the_log_holds_a_thirtieth_is_refused() -> None:
    rng = np.random.default_rng(4)
    offer = (rng.random(20_000) < 0.034).astype(np.int64)
    log = Log(
        np.ones(20_000), offer, np.where(offer == 1, 0.034, 0.966), np.zeros((20_000, 2)), np.arange(20_000)
    )
    with pytest.raises(RefusedError, match=r"3\.\d%"):
        evaluate_policy(log, chosen(np.ones(20_000, dtype=np.int64), 2))


def test_a_short_log_is_refused() -> None:
    with pytest.raises(RefusedError, match="of 50 decisions"):
        evaluate_policy(_log(50), np.tile([0.75, 0.25], (50, 1)))


def test_probabilities_and_propensities_must_be_such() -> None:
    log = _log(200)
    with pytest.raises(UsageError, match="add up to 1"):
        evaluate_policy(log, np.ones((200, 2)))
    missing = Log(log.reward, log.offer, np.full(200, np.nan), log.expected, log.customer)
    with pytest.raises(UsageError, match="recorded propensity"):
        evaluate_policy(missing, np.tile([0.75, 0.25], (200, 1)))


def test_a_pair_is_sharper_than_two_and_equal_policies_differ_by_nothing() -> None:
    log = _log(4000)
    ones, none = (chosen(np.full(4000, k, dtype=np.int64), 2) for k in (1, 0))
    gain = gain_over(log, ones, none)
    assert gain.interval()[0] < 1.0 < gain.interval()[1]
    assert gain_over(log, ones, ones).value == gain_over(log, ones, ones).error == 0.0


def test_intervals_cover_as_they_say() -> None:
    held = [0, 0, 0]
    for seed in range(400):
        found = evaluate_policy(_log(800, seed), chosen(np.ones(800, dtype=np.int64), 2))
        for place, mean in enumerate((found.ipw, found.snipw, found.dr)):
            low, high = mean.interval()
            held[place] += low <= 3.0 <= high
    assert all(0.92 <= count / 400 <= 0.98 for count in held), held
