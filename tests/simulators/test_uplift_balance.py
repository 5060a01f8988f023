"""Honest lotteries pass, small arms too; what was aimed, at whom ever, does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pricing.arrays import Floats, Ints
from simulators.uplift.balance import balance, moments_of

N = 4000


def drawn(chance: Floats, seed: int) -> Ints:
    """Return the offer of each of N customers, drawn with `chance` [N, K]."""
    u = np.random.default_rng((seed, 1)).random(len(chance))
    return np.asarray((u[:, None] > np.cumsum(chance, axis=1)[:, :-1]).sum(axis=1), dtype=np.int64)


def known(seed: int, features: int = 12) -> Floats:
    """Return a constant, features of which a third are skewed, units and profit before, standardised."""
    x = np.random.default_rng((seed, 2)).standard_normal((N, features + 2))
    x[:, ::3] = np.exp(x[:, ::3])
    return np.concatenate([np.ones((N, 1)), (x - x.mean(axis=0)) / x.std(axis=0)], axis=1)


def verdict(chance: Floats, recorded: Floats, z: Floats, seed: int) -> float:
    """Return the p of a log drawn with one chance and recorded with another, both [N, K]."""
    offer, K = drawn(chance, seed), chance.shape[1]
    surplus = np.full((len(offer), K), -1.0)
    surplus[np.arange(len(offer)), offer] += 1.0 / recorded[np.arange(len(offer)), offer]
    outcome = np.maximum(z[:, 1] + z[:, -1], 0.0)
    moments, first = moments_of(z, outcome, np.arange(N), np.zeros(N, dtype=np.int64))
    return balance(surplus, moments, first, np.ones((N, K), dtype=np.bool_), np.arange(N)).p


def tilted(score: Floats, offers: int = 3) -> Floats:
    """Return chances [N, K] of which deep offers rise with a score."""
    weight = np.exp(np.outer(score, np.linspace(0.0, 1.0, offers)))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("kind", ["even", "small arms", "by stratum"])
def test_honest_lotteries_pass(kind: str) -> None:
    low = 0
    for seed in range(12):
        z = known(seed)
        chance = {
            "even": np.full((N, 3), 1 / 3),
            "small arms": np.tile([0.9, 0.025, 0.025, 0.025, 0.025], (N, 1)),
            "by stratum": tilted(np.where(z[:, 2] > 0.0, 1.5, -1.0)),
        }[kind]
        low += verdict(chance, chance, z, seed) < 0.05
    assert low <= 3, "less than one of twelve is expected"


AIMED: dict[str, Callable[[Floats], Floats]] = {
    "at a feature": lambda z: 0.6 * z[:, 2],
    "at who bought before": lambda z: 0.3 * z[:, -1],
    "at both ends of a feature": lambda z: 1.2 * np.abs(z[:, 2]),
    "at two features together": lambda z: 0.7 * np.sign(z[:, 1] * z[:, -3]),
    "in the last third of the time": lambda z: z[:, 0] * np.repeat([0.0, 0.8], [N * 2 // 3, N - N * 2 // 3]),
}


@pytest.mark.parametrize("aim", AIMED)
def test_what_was_aimed_is_found_though_shares_are_right(aim: str) -> None:
    z = known(7, 6)
    chance = tilted(AIMED[aim](z))
    shares = np.tile(chance.mean(axis=0), (N, 1))
    assert verdict(chance, shares, z, 7) < 0.005


def test_chances_that_are_noisy_are_found_though_each_is_right_on_average() -> None:
    z = known(3)
    even = np.full((N, 3), 1 / 3)
    noise = even * np.exp(0.4 * np.random.default_rng(5).standard_normal((N, 3)))
    assert verdict(even, noise / noise.sum(axis=1, keepdims=True), z, 3) < 0.005


def test_too_few_are_not_tested() -> None:
    z = known(1)[:6]
    moments, first = moments_of(z, z[:, 1], np.zeros(6, dtype=np.int64), np.zeros(6, dtype=np.int64))
    surplus = np.array([[1.0], [-1.0], [1.0], [-1.0], [1.0], [-1.0]])
    none = balance(surplus, moments, first, np.ones((6, 1), dtype=np.bool_), np.arange(6))
    assert none.freedom <= 1
