"""Allocation against brute force, HiGHS and itself: always feasible, its certificate always true."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.allocation.allocate import Allocation, allocate
from policies.allocation.compiled import oracle_of
from policies.allocation.instance import Instance, Limit, Schedule
from pricing.arrays import Floats
from pricing.errors import DataError, UsageError

optimize: Any = scipy.optimize


def _instance(seed: int, customers: int, offers: int, limits: int, *, whole: bool = False) -> Instance:
    """Draw an instance; with `whole` numbers and many ties."""
    rng = np.random.default_rng(seed)
    shape = (customers, offers)
    cost = rng.integers(0, 6, shape).astype(np.float64) if whole else 5.0 * rng.random(shape)
    value = rng.integers(-3, 9, shape).astype(np.float64) if whole else rng.normal(1.0, 3.0, shape)
    cost[:, 0] = value[:, 0] = 0.0
    eligible = rng.random(shape) < 0.8
    eligible[:, 0] = True
    made = tuple(
        Limit(
            str(r), float(rng.integers(0, 2 + customers)), rng.random(offers) < 0.7, bool(rng.random() < 0.4)
        )
        for r in range(limits)
    )
    return Instance(value, cost, eligible, made)


def _most(instance: Instance) -> Floats:
    return np.array([limit.most for limit in instance.limits], dtype=np.float64)


def _is_feasible(instance: Instance, found: Allocation) -> None:
    at = np.arange(len(instance))
    assert (instance.used(found.choice) <= _most(instance)).all()
    assert instance.eligible[at, found.choice].all()
    assert found.value == pytest.approx(instance.value[at, found.choice].sum())
    assert found.value <= found.bound + 1e-9 * max(found.bound, 1.0)
    assert (found.shadow >= 0.0).all()
    assert found.value >= 0.0


def _best(instance: Instance) -> float:
    """Go through all assignments."""
    customers, offers = instance.value.shape
    best = 0.0
    at = np.arange(customers)
    for word in itertools.product(range(offers), repeat=customers):
        choice = np.array(word, dtype=np.int16)
        if instance.eligible[at, choice].all() and (instance.used(choice) <= _most(instance)).all():
            best = max(best, float(instance.value[at, choice].sum()))
    return best


def test_against_every_assignment() -> None:
    """The bound is never below the optimum; nearly always the optimum itself is found."""
    missed = 0
    for seed in range(150):
        sizes = np.random.default_rng(seed + 10_000)
        instance = _instance(
            seed, int(sizes.integers(1, 5)), int(sizes.integers(1, 5)), seed % 4, whole=seed % 2 == 0
        )
        found = allocate(instance, "numpy")
        best = _best(instance)
        _is_feasible(instance, found)
        assert found.value <= best + 1e-9 <= found.bound + 1e-8
        missed += found.value < best - 1e-9
    assert missed <= 6


def test_an_example_by_hand() -> None:
    """10 for 4 (2.5 each), 6 for 2 (3 each), 9 for 6 (1.5): with 6 to spend the first two."""
    value = np.array([[0.0, 10.0], [0.0, 6.0], [0.0, 9.0]])
    cost = np.array([[0.0, 4.0], [0.0, 2.0], [0.0, 6.0]])
    both = np.ones(2, dtype=np.bool_)
    open_ = np.ones((3, 2), dtype=np.bool_)
    found = allocate(Instance(value, cost, open_, (Limit("all", 6.0, both),)))
    assert (found.choice.tolist(), found.value, found.used.tolist()) == ([1, 1, 0], 16.0, [6.0])
    assert found.bound == pytest.approx(16.0)
    assert 1.5 <= found.shadow[0] <= 2.5
    one = allocate(
        Instance(value, cost, np.ones((3, 2), dtype=np.bool_), (Limit("one", 1.0, both, counts=True),))
    )
    assert one.choice.tolist() == [1, 0, 0]
    assert one.gap == pytest.approx(0.0)


@pytest.mark.parametrize("limits", [1, 4])
def test_against_highs(limits: int) -> None:
    """The linear relaxation lies between what is found and the certified bound."""
    instance = _instance(7, 400, 6, limits)
    schedule = Schedule.of(instance.limits, 6)
    n, k = np.nonzero(instance.eligible[:, 1:])
    k = k + 1
    one = np.zeros((400, len(n)))
    one[n, np.arange(len(n))] = 1.0
    draws = schedule.budgets[:, k] * instance.cost[n, k] + schedule.caps[:, k]
    relaxed = -optimize.linprog(
        -instance.value[n, k], A_ub=np.vstack([one, draws]),
        b_ub=np.concatenate([np.ones(400), schedule.most]), bounds=(0.0, 1.0),
    ).fun  # fmt: skip
    found = allocate(instance)
    assert found.value <= relaxed * (1 + 1e-9)
    assert found.bound >= relaxed * (1 - 1e-9)
    assert found.bound == pytest.approx(relaxed, rel=1e-5)
    assert found.gap < 0.01


INSTANCES = st.builds(
    _instance,
    st.integers(0, 10**6),
    st.integers(1, 60),
    st.integers(1, 6),
    st.integers(0, 5),
    whole=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(INSTANCES)
def test_always_feasible_and_both_engines_agree_to_the_last_bit(instance: Instance) -> None:
    ours, reference = allocate(instance, "numba"), allocate(instance, "numpy")
    _is_feasible(instance, ours)
    np.testing.assert_array_equal(ours.choice, reference.choice)
    np.testing.assert_array_equal(ours.shadow, reference.shadow)
    assert (ours.value, ours.bound) == (reference.value, reference.bound)
    assert (ours.engine, reference.engine) == ("numba", "numpy")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.floats(0.0, 40.0), st.floats(0.0, 40.0))
def test_more_budget_is_never_worth_less(seed: int, customers: int, first: float, second: float) -> None:
    less, more = sorted((first, second))
    every = np.ones(4, dtype=np.bool_)
    made = _instance(seed, customers, 4, 0)
    small, large = (
        allocate(Instance(made.value, made.cost, made.eligible, (Limit("all", most, every),)), "numpy")
        for most in (less, more)
    )
    assert small.value <= large.bound * (1 + 1e-9) + 1e-9
    assert small.bound <= large.bound * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize(("budgets", "gap"), [(1, 1e-4), (9, 5e-3)])
def test_large_instances_are_sampled_first(budgets: int, gap: float) -> None:
    """Above 16,384 and 32,768 customers the search begins on a sample; the certificate is of the whole."""
    rng, customers, offers = np.random.default_rng(3), 40_000, 10
    cost = np.cumsum(rng.gamma(2.0, 20.0, (customers, offers)), axis=1)
    value = np.sqrt(cost) * rng.lognormal(2.0, 0.5, (customers, 1))
    cost[:, 0] = value[:, 0] = 0.0
    on = [np.ones(offers, dtype=np.bool_), *(np.arange(offers) == r for r in range(1, budgets))]
    limits = tuple(Limit(str(r), (20.0 if r == 0 else 3.0) * customers, which) for r, which in enumerate(on))
    instance = Instance(value, cost, np.ones(value.shape, dtype=np.bool_), limits)
    found = allocate(instance)
    _is_feasible(instance, found)
    assert found.gap <= gap
    np.testing.assert_array_equal(found.choice, allocate(instance, "numpy").choice)


def test_customers_who_are_all_alike_share_what_there_is() -> None:
    """At the shadow price everybody is indifferent: the tie is filled, not lost."""
    value, cost = (np.tile([0.0, amount], (1000, 1)) for amount in (7.0, 3.0))
    limit = Limit("all", 1000.0, np.ones(2, dtype=np.bool_))
    found = allocate(Instance(value, cost, np.ones((1000, 2), dtype=np.bool_), (limit,)))
    assert (int(found.choice.sum()), found.used[0]) == (333, 999.0)
    assert found.gap == pytest.approx(1 - 333 * 7 / (1000 / 3 * 7))


def test_nothing_to_give() -> None:
    instance = _instance(1, 50, 5, 0)
    every = np.ones(5, dtype=np.bool_)
    nobody = np.zeros((50, 5), dtype=np.bool_)
    nobody[:, 0] = True
    for eligible, most, counts in ((nobody, 100.0, False), (instance.eligible, 0.0, True)):
        found = allocate(
            Instance(instance.value, instance.cost, eligible, (Limit("all", most, every, counts),))
        )
        assert (found.value, found.bound, found.gap, int(found.choice.sum())) == (0.0, 0.0, 0.0, 0)
    free = np.where(np.arange(5) == 2, 0.0, instance.cost + 1.0)
    free[:, 0] = 0.0
    found = allocate(Instance(instance.value, free, instance.eligible, (Limit("all", 0.0, every),)))
    assert set(found.choice.tolist()) == {0, 2}, "with nothing to spend only what is free is given"
    empty = np.zeros((0, 3))
    assert allocate(Instance(empty, empty, empty > 0.0, (Limit("all", 1.0, every[:3]),))).value == 0.0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -0.01, 1e16])
def test_a_cell_that_is_no_cost_is_refused(wrong: float) -> None:
    made = _instance(2, 5, 3, 1)
    cost = made.cost.copy()
    cost[3, 2] = wrong
    with pytest.raises(DataError, match="expected cost of customer 3, offer 2"):
        Instance(made.value, cost, made.eligible, made.limits)
    if not -1.0 < wrong < 0.0:
        with pytest.raises(DataError, match="expected incremental profit of customer 3, offer 2"):
            Instance(cost, made.cost, made.eligible, made.limits)


def test_what_is_no_instance_is_refused() -> None:
    made = _instance(2, 5, 3, 1)
    for most in (np.nan, -1.0, np.inf):
        with pytest.raises(UsageError, match=r"The limit b is"):
            Limit("b", most, np.ones(3, dtype=np.bool_))
    with pytest.raises(DataError, match="no table"):
        Instance(made.value, made.cost[:, :2], made.eligible, ())
    with pytest.raises(DataError, match="Eligibility is float64"):
        Instance(made.value, made.cost, made.cost, ())  # type: ignore[arg-type] # what a caller may do
    with pytest.raises(DataError, match="not about the 3 offers"):
        Instance(made.value, made.cost, made.eligible, (Limit("b", 1.0, np.ones(2, dtype=np.bool_)),))
    with pytest.raises(UsageError, match="one name"):
        Instance(made.value, made.cost, made.eligible, made.limits * 2)
    closed = made.eligible.copy()
    closed[1, 0] = False
    with pytest.raises(DataError, match="not 'no coupon'"):
        Instance(made.value, made.cost, closed, ())
    with pytest.raises(DataError, match="held as int64"):
        Instance(made.value.astype(np.int64), made.cost, made.eligible, ())


def _nothing(_: str) -> None:
    """Find no module."""


def test_without_numba_numpy_answers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = _instance(5, 200, 5, 2)
    fast = allocate(instance)
    monkeypatch.setattr("importlib.util.find_spec", _nothing)
    slow = allocate(instance)
    assert (fast.engine, slow.engine) == ("numba", "numpy")
    np.testing.assert_array_equal(fast.choice, slow.choice)
    with pytest.raises(UsageError, match="not installed"):
        oracle_of("numba")
    with pytest.raises(UsageError, match="no engine 'fortran'"):
        oracle_of("fortran")
