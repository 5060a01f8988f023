from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.fairness import FOUR_FIFTHS, Flag, Group, by_group
from pricing.errors import DataError


def _groups(counts: dict[str, tuple[int, int]], value: float = 300.0) -> dict[str, Group]:
    """`counts` holds customers and offers by group."""
    names = [f"{group}{i}" for group, (count, _) in counts.items() for i in range(count)]
    offered = np.array([i < given for count, given in counts.values() for i in range(count)])
    labels = {f"{g}{i}": g for g, (count, _) in counts.items() for i in range(count) if g}
    return {group.name: group for group in by_group(names, offered, np.where(offered, value, 0.0), labels)}


def test_rates_and_values_against_the_literature() -> None:
    """Wilson's interval of 10 in 100 is .0552 to .1744 (Newcombe 1998 gives the method; prop.test in R)."""
    found = _groups({"a": (100, 10), "b": (100, 20)})
    rate = found["a"].share.rate
    assert (rate.estimate, round(rate.lower, 4), round(rate.upper, 4)) == (0.1, 0.0552, 0.1744)
    assert found["a"].share.value.estimate == 30.0
    sd = 300.0 * np.sqrt(0.09 * 100 / 99)
    assert found["a"].share.value.upper == pytest.approx(30.0 + 1.984217 * sd / 10, rel=1e-6)


def test_four_fifths_and_whether_chance_explains_it() -> None:
    found = _groups({"most": (1000, 500), "near": (1000, 400), "below": (40, 15), "clear": (1000, 200)})
    assert found["most"].ratio.estimate == 1.0
    assert found["near"].ratio.estimate == FOUR_FIFTHS
    flags = {name: group.flag for name, group in found.items()}
    assert flags == {
        "most": Flag.FINE, "near": Flag.FINE, "below": Flag.BELOW, "clear": Flag.CLEARLY_BELOW,
    }  # fmt: skip


def test_a_handful_is_not_judged_and_does_not_judge_others() -> None:
    found = _groups({"few": (29, 29), "many": (100, 30), "": (100, 28)})
    assert found["few"].flag is Flag.TOO_FEW
    assert found["many"].ratio.estimate == 1.0
    assert found[""].flag is Flag.FINE
    assert all(group.flag is Flag.FINE for group in _groups({"a": (50, 0), "b": (50, 0)}).values())


def test_nobody_to_compare_is_refused() -> None:
    with pytest.raises(DataError, match="No customer of the allocation"):
        by_group(["a"], np.array([True]), np.array([1.0]), {"b": "x"})
    with pytest.raises(DataError, match="No customer of the allocation"):
        by_group([], np.zeros(0, dtype=np.bool_), np.zeros(0), {})


@given(
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 80), st.integers(0, 80)), min_size=1)
)
def test_intervals_hold_their_estimates_and_no_ratio_is_above_one(counts: dict[str, tuple[int, int]]) -> None:
    for group in _groups({name: (n, min(k, n)) for name, (n, k) in counts.items()}).values():
        rate, ratio = group.share.rate, group.ratio
        assert rate.lower - 1e-12 <= rate.estimate <= rate.upper + 1e-12
        assert np.isnan(ratio.estimate) or ratio.estimate <= 1.0
        if not np.isnan(ratio.lower):
            assert ratio.lower - 1e-6 <= ratio.estimate <= ratio.upper + 1e-6
