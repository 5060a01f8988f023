from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pricing.randomness import decision_keys, label_hash, normals, philox, uniforms

_SERIES = np.array([label_hash(f"p{i}", "z") for i in range(50)], dtype=np.uint64)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter: str, key: str, words: str) -> None:
    first, second = (int(word, 16) for word in key.split())
    found = philox(np.array([int(word, 16) for word in counter.split()], dtype=np.uint64), (first, second))
    assert [f"{int(word):08x}" for word in found] == words.split()


def test_uniforms_are_uniform_and_below_one() -> None:
    u = uniforms(decision_keys(_SERIES, np.asarray(17_000), np.arange(2000)), 9)
    assert u.shape == (2000, 50)
    assert u.min() >= 0.0
    assert u.max() < 1.0
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.001
    assert abs(np.corrcoef(u[:, 0], u[:, 1])[0, 1]) < 0.08
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.08


@given(
    st.integers(0, 2**63),
    st.integers(-5000, 40_000),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5),
)
def test_a_draw_follows_from_its_own_key(seed: int, period: int, runs: list[int]) -> None:
    together = uniforms(decision_keys(_SERIES, np.asarray(period), np.array(runs)), seed)
    some = np.array([17, 3, 41])
    apart = uniforms(decision_keys(_SERIES[some], np.asarray(period), np.array(runs[-1:])), seed)
    assert (together[-1, some] == apart[0]).all()


def test_seed_run_period_and_series_each_change_the_draw() -> None:
    def draw(seed: int, period: int, run: int, series: int) -> float:
        return float(
            uniforms(decision_keys(_SERIES[series : series + 1], np.asarray(period), np.array([run])), seed)[
                0, 0
            ]
        )

    draws = {
        draw(1, 1, 1, 1),
        draw(2, 1, 1, 1),
        draw(1, 2, 1, 1),
        draw(1, 1, 2, 1),
        draw(1, 1, 1, 2),
        draw(2**32 + 1, 1, 1, 1),
    }
    assert len(draws) == 6


def test_each_run_may_have_its_own_period() -> None:
    keys = decision_keys(_SERIES[:2], np.array([5, 6]), np.array([7, 8]))
    assert keys[..., 2:].tolist() == [[[5, 7], [5, 7]], [[6, 8], [6, 8]]]
    assert (keys[0, 0, 0] << np.uint64(32)) + keys[0, 0, 1] == _SERIES[0]


def test_normals_are_standard_normal_and_independent() -> None:
    z = normals(_SERIES, np.arange(400), 5, 3)
    assert z.shape == (400, 50, 5)
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.001
    for first in range(5):
        assert stats.kstest(z[..., first].ravel(), "norm").pvalue > 0.001
        for second in range(first):
            assert abs(np.corrcoef(z[..., first].ravel(), z[..., second].ravel())[0, 1]) < 0.03


def test_normals_are_the_same_whatever_else_is_asked_for() -> None:
    z = normals(_SERIES, np.arange(20), 7, 3)
    some = np.array([40, 2])
    assert (normals(_SERIES[some], np.array([13, 4]), 7, 3) == z[[13, 4]][:, some]).all()
    assert (normals(_SERIES, np.arange(20), 3, 3) == z[..., :3]).all()
    assert (normals(_SERIES, np.arange(20), 7, 4) != z).all()


def test_labels_hash_the_same_everywhere_and_keep_their_borders() -> None:
    assert label_hash("ab", "") != label_hash("a", "b")
    assert label_hash("milk", "zone 1") == 4518722167471611824  # decisions that are stored carry it
