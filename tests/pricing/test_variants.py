from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pricing.variants import Variants


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_sums_over_variants_are_what_a_loop_finds(variant_of: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    variants = Variants.of(np.array(variant_of) * 10**12)
    count = len(variant_of)
    flags, values = rng.random((2, count, 3)) < 0.6, rng.normal(size=(2, count, 3))
    family = [[j for j in range(count) if variant_of[j] == variant_of[i]] for i in range(count)]
    assert variants.alone == (max(len(members) for members in family) == 1)
    assert variants.size.tolist() == [len(members) for members in family]
    for i, members in enumerate(family):
        assert (variants.count(flags)[:, i] == flags[:, members].sum(axis=1)).all()
        assert (variants.every(flags)[:, i] == flags[:, members].all(axis=1)).all()
        assert np.allclose(variants.mean(values)[:, i], values[:, members].mean(axis=1), rtol=1e-12)
        same = (flags[:, members] == flags[:, i : i + 1]).all(axis=(1, 2))
        assert (variants.alike(flags)[:, i] == same).all()


def test_no_series_are_no_variants() -> None:
    none = Variants.of(np.zeros(0, dtype=np.int64))
    assert none.alone
    assert none.count(np.zeros((3, 0, 2), dtype=np.bool_)).shape == (3, 0, 2)
