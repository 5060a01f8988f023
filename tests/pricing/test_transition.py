from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats
from pricing.demand import Conditions, DemandParameters
from pricing.transition import Cotangent, State, Step, pullback, reward, step
from tests.pricing.small_shop import catalogue

N, T, MEMORY = 3, 4, 0.7
SHOP = catalogue([100, 120, 90], net_share=0.85, fee_share=0.03, fee_unit=2, return_rate=0.05)


def parameters(rng: np.random.Generator, *, bent: bool = False) -> DemandParameters:
    return DemandParameters(
        level=rng.normal(1.5, 0.5, N),
        regular=rng.uniform(-3.0, -1.0, N),
        depth=rng.uniform(-3.0, -1.0, N),
        lag=rng.uniform(-0.3, 0.3, N),
        feature=rng.uniform(0.0, 0.5, N),
        display=rng.uniform(0.0, 0.5, N),
        traffic=np.ones(N),
        deal=rng.uniform(0.0, 0.3, N),
        featured_depth=rng.uniform(-1.0, 0.0, N),
        rivals=rng.uniform(0.0, 1.0, N),
        curve=rng.uniform(-1.0, 0.5, N) * bent,
        threshold=rng.uniform(-1.0, 0.5, N) * bent,
        absence=np.zeros(N),
        spill=rng.normal(0.0, 50.0, N),
        gain=rng.uniform(-1.0, 0.0, N),
        loss=rng.uniform(-2.0, 0.0, N),
        dispersion=np.full(N, 5.0),
        log_reference=np.log(SHOP.price.astype(np.float64)),
    )


def plan(rng: np.random.Generator) -> list[Conditions]:
    return [
        Conditions(-rng.uniform(0.0, 0.3, N), *rng.random((2, N)), *rng.normal(0.0, 0.1, (3, N)))
        for _ in range(T)
    ]


def forward(x: Floats, d: DemandParameters, conditions: list[Conditions]) -> list[Step]:
    """Steps from log prices x[:T] and the initial stock, reference and lag x[T:], each [N]."""
    stock, reference, lag = x[T:]
    taken = []
    for t in range(T):
        taken.append(step(d, SHOP, x[t], stock, reference, lag, conditions[t], MEMORY))
        stock, reference, lag = taken[-1].stock, taken[-1].reference, taken[-1].lag
    return taken


def gradient(taken: list[Step], d: DemandParameters, weights: Floats) -> Floats:
    nothing = np.zeros(N)
    back = Cotangent(nothing, nothing, nothing, nothing)
    prices = []
    for t in reversed(range(T)):
        back = pullback(taken[t], d, SHOP, MEMORY, weights[t], back)
        prices.append(back.log_price)
    return np.stack([*reversed(prices), back.stock, back.reference, back.lag])


def differences(of: Callable[[Floats], float], x: Floats, width: float) -> Floats:
    out = np.empty_like(x)
    for place in np.ndindex(x.shape):
        nudge = np.zeros_like(x)
        nudge[place] = width
        out[place] = (of(x + nudge) - of(x - nudge)) / (2.0 * width)
    return out


@given(st.integers(0, 2**32), st.floats(0.3, 4.0), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_adjoint_is_the_derivative(seed: int, cover: float, bent: bool) -> None:  # drawn
    rng = np.random.default_rng(seed)
    d, conditions, weights = parameters(rng, bent=bent), plan(rng), rng.uniform(0.5, 1.5, (T, N))
    logs = np.log(SHOP.price.astype(np.float64))
    x = np.concatenate(
        [
            logs + rng.normal(0.0, 0.15, (T, N)),
            (np.exp(d.level) * cover * T * rng.uniform(0.5, 1.5, N))[None],
            (logs + rng.normal(0.0, 0.1, N))[None],
            (logs + rng.normal(0.0, 0.1, N))[None],
        ]
    )
    taken = forward(x, d, conditions)
    before = [x[T], *(s.stock for s in taken[:-1])]
    margin = [
        np.abs(s.units - stock) / np.maximum(s.units, 1.0) for s, stock in zip(taken, before, strict=True)
    ]
    assume(min(np.min(m) for m in margin) > 1e-3)
    assume(min(np.abs(s.gap).min() for s in taken) > 1e-3)

    def total(at: Floats) -> float:
        return float(
            sum((w * s.profit).sum() for w, s in zip(weights, forward(at, d, conditions), strict=True))
        )

    np.testing.assert_allclose(gradient(taken, d, weights), differences(total, x, 1e-5), rtol=2e-5, atol=2e-3)


def test_scarce_stock_is_worth_its_margin_and_plenty_nothing() -> None:
    rng = np.random.default_rng(0)
    d, plain = parameters(rng), Conditions.plain(N)
    logs = np.log(SHOP.price.astype(np.float64))
    stock = np.array([1.0, 1e6, np.inf])
    taken = step(d, SHOP, logs, stock, logs, logs, plain, MEMORY)
    nothing = np.zeros(N)
    back = pullback(taken, d, SHOP, MEMORY, 1.0, Cotangent(nothing, nothing, nothing, nothing))
    np.testing.assert_allclose(back.stock, [taken.margin[0], 0.0, 0.0])
    np.testing.assert_array_equal(taken.short, [True, False, False])
    np.testing.assert_allclose(reward(SHOP, taken.shelf, taken.sold), taken.profit)


def test_memory_of_one_never_forgets_and_of_zero_remembers_the_last_price() -> None:
    d = parameters(np.random.default_rng(1))
    logs = np.log(SHOP.price.astype(np.float64))
    conditions = Conditions(np.full(N, -0.1), *(np.zeros(N) for _ in range(3)))
    kept, lost = (
        step(d, SHOP, logs + 0.2, np.full(N, np.inf), logs, logs, conditions, memory) for memory in (1.0, 0.0)
    )
    np.testing.assert_allclose(kept.reference, logs)
    np.testing.assert_allclose(lost.reference, logs + 0.1)
    np.testing.assert_allclose(lost.lag, logs + 0.1)


def test_the_state_counts_weeks_and_remembers_thirty_days() -> None:
    d = parameters(np.random.default_rng(2))
    state = State.start(SHOP, 2)
    first = np.array([[80, 120, 90], [100, 120, 95]])
    plain = Conditions.plain(N)
    lows = []
    for price in (first, *[np.broadcast_to(SHOP.price, (2, N))] * 5):
        moved = step(d, SHOP, np.log(price), state.stock, state.reference, state.lag, plain, MEMORY)
        state = state.next(moved, price, price, moved.sold, np.zeros((2, N)))
        lows.append(state.low[0, 0])
        if price is first:
            np.testing.assert_array_equal(state.since_change, [[0, 10, 10], [10, 10, 0]])
    assert lows == [80, 80, 80, 80, 80, 100], "a dip counts for five weeks"
    np.testing.assert_array_equal(state.low, state.recent.min(axis=-1))
