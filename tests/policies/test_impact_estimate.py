"""The randomisation interval: by hand, against a search, and its exact properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.impact.cells import Cells, contrasts, growth_removed
from policies.impact.randomised import Estimate, estimate, sandwich, tail
from pricing.arrays import Bools, Floats
from pricing.errors import RefusedError

FOUR = Cells(
    before=np.array([100.0, 100.0, 50.0, 50.0]),
    stratum=np.array([0, 0, 1, 1]),
    kind=np.zeros(4, dtype=np.int64),
    treated=np.array([True, False, False, True]),
)


def _cells(rng: np.random.Generator, strata: int = 6, size: int = 3) -> Cells:
    stratum = np.repeat(np.arange(strata), size)
    treated = np.array([i % size != 0 for i in range(strata * size)])
    plain = Cells(rng.lognormal(5.0, 1.0, strata * size), stratum, stratum % 2, treated)
    return plain.one(rng)


def _every(cells: Cells) -> Bools:
    """All assignments that could have been drawn."""
    places = [np.flatnonzero(cells.stratum == s) for s in np.unique(cells.stratum)]
    choices = [list(itertools.combinations(here, int(cells.treated[here].sum()))) for here in places]
    out = []
    for choice in itertools.product(*choices):
        one = np.zeros(len(cells), dtype=np.bool_)
        one[list(itertools.chain.from_iterable(choice))] = True
        out.append(one)
    return np.array(out)


def test_contrasts_by_hand() -> None:
    np.testing.assert_allclose(contrasts(FOUR.treated[None], FOUR.stratum), [[1, -1, -1, 1]])
    uneven = np.array([[True, True, True, False, True]])
    np.testing.assert_allclose(contrasts(uneven, np.array([7, 7, 7, 7, 9])), [[1, 1, 1, -3, 0]])


def test_growth_is_that_of_all_and_what_a_kind_shares() -> None:
    one = np.zeros(3, dtype=np.int64)
    cells = Cells(np.array([100.0, 100.0, 200.0]), one, np.array([0, 0, 1]), one == 0)
    left = growth_removed(np.array([110.0, 130.0, 160.0]), cells)
    # Growth of all is 1, so (10, 30, -40) is left. The first kind grew .2 more, of which 2 / (2 + 3) is
    # believed: .08 of 100 each. The second grew .2 less, of which a quarter is believed.
    np.testing.assert_allclose(left, [10 - 8, 30 - 8, -40 + 10])


def test_the_drawn_assignments_are_those_that_could_have_been() -> None:
    cells = _cells(np.random.default_rng(1), strata=2)
    drawn = cells.drawn(500, np.random.default_rng(2))
    assert {tuple(row) for row in drawn.tolist()} == {tuple(row) for row in _every(cells).tolist()}
    assert cells.assignments == 9


def _accepted(outcome: Floats, cells: Cells, share: float, others: Bools) -> bool:
    """Whether the hypothesis of one share is refused by neither side, taken literally."""
    untouched = growth_removed(outcome - share * cells.scale * cells.treated, cells)
    mine = float(contrasts(cells.treated[None], cells.stratum)[0] @ untouched)
    theirs = contrasts(others, cells.stratum) @ untouched
    more, less = (1 + (theirs >= mine - 1e-9).sum()), (1 + (theirs <= mine + 1e-9).sum())
    return bool(min(more, less) / (len(others) + 1) > 0.025)


@pytest.mark.parametrize("seed", range(6))
def test_the_interval_is_what_a_search_over_hypotheses_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = _cells(rng)
    outcome = cells.before * rng.lognormal(0.0, 0.2, len(cells))
    found = estimate(outcome, cells, np.random.default_rng(9), 999)
    others = cells.drawn(999, np.random.default_rng(9))
    width = found.upper - found.lower
    for share, inside in (
        (found.lower + 1e-4 * width, True),
        (found.lower - 1e-4 * width, False),
        (found.upper - 1e-4 * width, True),
        (found.upper + 1e-4 * width, False),
        (found.value, True),
    ):
        assert _accepted(outcome, cells, share, others) is inside


def test_the_interval_holds_a_known_effect_in_95_of_100_draws() -> None:
    """Every assignment of one shop with heavy tails: the truth is refused in at most 5 % and hardly fewer."""
    rng = np.random.default_rng(4)
    cells = _cells(rng)
    untouched = cells.before * rng.standard_t(2, len(cells))
    missed = 0
    for treated in _every(cells)[rng.permutation(729)[:400]]:
        here = Cells(cells.before, cells.stratum, cells.kind, treated)
        found = estimate(untouched + 0.1 * here.scale * treated, here, rng, 399)
        missed += not found.lower <= 0.1 <= found.upper
    assert 8 <= missed <= 34  # 400 x .05 = 20; binomial, three standard deviations


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(-0.9, 3.0), factor=st.floats(0.01, 1000.0))
def test_an_effect_added_is_the_effect_found(seed: int, share: float, factor: float) -> None:
    """Adding a share to the treated moves estimate and interval by it; the currency does not matter."""
    rng = np.random.default_rng(seed)
    cells = _cells(rng)
    outcome = cells.before * rng.lognormal(0.0, 0.3, len(cells))
    plain = estimate(outcome, cells, np.random.default_rng(seed), 199)
    more = estimate(outcome + share * cells.scale * cells.treated, cells, np.random.default_rng(seed), 199)
    for name in ("value", "lower", "upper"):
        assert getattr(more, name) == pytest.approx(getattr(plain, name) + share, abs=1e-6)
    dear = Cells(factor * cells.before, cells.stratum, cells.kind, cells.treated)
    same = estimate(factor * outcome, dear, np.random.default_rng(seed), 199)
    assert same.value == pytest.approx(plain.value, rel=1e-6, abs=1e-9)
    assert same.p == plain.p


def test_the_second_method_by_hand() -> None:
    """Pairs with gaps of 30 and 5 on 100 and 50: 35 / 150, and residuals 20 / 3 either way."""
    alike = Cells(FOUR.before, FOUR.stratum, FOUR.kind, FOUR.treated)
    found = sandwich(np.array([130.0, 100.0, 50.0, 55.0]), alike)
    # Growth removed is in proportion to size, equal within each pair: it cancels in the gaps.
    assert found.value == pytest.approx(35 / 150)
    gap, part = 30 - 100 * 35 / 150, np.array([100 / 150, 50 / 150])
    error = np.sqrt((gap**2 / (1 - part)).sum()) / 150
    freedom = (part**2).sum() ** 2 / (part**4).sum()
    from scipy.stats import t

    assert found.upper - found.value == pytest.approx(t.ppf(0.975, freedom) * error)


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(RefusedError, match="Only 4 assignments"):
        estimate(FOUR.before, FOUR, np.random.default_rng(0))
    cells = _cells(np.random.default_rng(0))
    nothing = Cells(np.zeros(len(cells)), cells.stratum, cells.kind, cells.treated)
    with pytest.raises(RefusedError, match="earned anything"):
        estimate(cells.before, nothing, np.random.default_rng(0))


def test_tail_and_times() -> None:
    assert tail(3.0, np.array([-1.0, 0.0, 1.0])) == pytest.approx(0.25)
    assert tail(0.0, np.array([-1.0, 0.0, 1.0])) == 1.0
    assert Estimate(0.1, -0.2, 0.3).times(50.0) == pytest.approx((5.0, -10.0, 15.0))
