"""The transition in every mode it has, one at a time: derivatives by differences, memories by plain lists."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats
from pricing.demand import Conditions, DemandParameters, log_units
from pricing.transition import Cotangent, State, Step, pullback, reward, step
from tests.pricing.small_shop import beliefs, catalogue

_SHOP = catalogue((100,), net_share=1 / 1.21, fee_share=0.03, fee_unit=2, return_rate=0.1, unit_cost=40)
_NOW = np.log([100.0])
_EVERY = {
    "lag": 0.3, "gain": -0.4, "loss": -0.9, "depth": -3.0, "feature": 0.5, "display": 0.2, "traffic": 1.0,
    "deal": 0.25, "featured_depth": -0.7, "rivals": 0.9, "spill": 40.0, "curve": -0.6, "threshold": 0.4,
}  # fmt: skip
_NOTHING = Cotangent(*(np.zeros(1) for _ in range(4)))


def _demand(**effects: float) -> DemandParameters:
    plain = {name: np.zeros(1) for name in DemandParameters.__dataclass_fields__}
    known = {"level": 2.0, "regular": -2.0, "dispersion": 5.0, "log_reference": math.log(95.0)} | effects
    return DemandParameters(**plain | {name: np.array([value]) for name, value in known.items()})


@dataclass(frozen=True)
class _Mode:
    """One corner of the step: whether stock binds, which side of the remembered price, how much is kept."""

    short: bool
    above: bool
    memory: float
    promoted: bool

    def arguments(self) -> tuple[DemandParameters, dict[str, Floats], Conditions]:
        d = _demand(**_EVERY)
        state = {
            "log_price": _NOW + 0.03,
            "stock": np.array([1.0 if self.short else 1e4]),
            "reference": _NOW + (-0.2 if self.above else 0.2),
            "lag": _NOW - 0.05,
        }
        plan = Conditions(*(np.array([x]) for x in (-0.1, 0.6, 0.3, 0.05, -0.04)))
        return d, state, plan if self.promoted else Conditions.plain(1)


_MODES = [
    _Mode(*each) for each in itertools.product((False, True), (False, True), (0.0, 0.7, 1.0), (False, True))
]
_OUT = ("profit", "stock", "reference", "lag")


def _take(d: DemandParameters, state: dict[str, Floats], plan: Conditions, memory: float) -> Step:
    return step(d, _SHOP, state["log_price"], state["stock"], state["reference"], state["lag"], plan, memory)


@pytest.mark.parametrize("out", _OUT)
@pytest.mark.parametrize("mode", _MODES, ids=str)
def test_each_derivative_in_each_mode(mode: _Mode, out: str) -> None:
    """Sixteen numbers a mode: four results by four arguments, each against a central difference."""
    d, state, plan = mode.arguments()
    taken = _take(d, state, plan, mode.memory)
    assert taken.short.tolist() == [mode.short]
    assert (taken.gap > 0.0).tolist() == [mode.above]
    after = replace(_NOTHING, **{out: np.ones(1)}) if out != "profit" else _NOTHING
    back = pullback(taken, d, _SHOP, mode.memory, float(out == "profit"), after)
    for name in state:
        ends = []
        for sign in (1.0, -1.0):
            nudged = state | {name: state[name] + sign * 1e-6}
            ends.append(float(getattr(_take(d, nudged, plan, mode.memory), out)[0]))
        slope = (ends[0] - ends[1]) / 2e-6
        assert float(getattr(back, name)[0]) == pytest.approx(slope, rel=1e-6, abs=1e-5), name


def test_a_step_in_plain_arithmetic() -> None:
    """Every effect at once, written out with math.exp."""
    d = _demand(**_EVERY)
    plan = Conditions(*(np.array([x]) for x in (math.log(0.8), 0.6, 0.3, 0.05, -0.04)))
    taken = step(d, _SHOP, np.log([110.0]), np.array([3.0]), np.log([100.0]), np.log([105.0]), plan, 0.75)
    units = math.exp(
        2.0
        - 2.0 * math.log(110 / 95)
        + (0.4 - 0.6) * math.log(110 / 95) ** 2 / (math.log(110 / 95) + 0.05)
        - 3.0 * math.log(0.8)
        + 0.3 * math.log(105 / 95)
        + 0.5 * 0.6
        + 0.2 * 0.3
        + 0.05
        + 0.25 * (1.0 - 0.8**50)
        - 0.7 * 0.6 * math.log(0.8)
        - 0.9 * 0.04
        - 0.4 * math.log(88 / 100)
    )
    assert taken.units[0] == pytest.approx(units)
    assert units > 3.0
    assert (taken.sold[0], taken.stock[0]) == (3.0, 0.0)
    assert taken.shelf[0] == pytest.approx(88.0)
    kept = 0.9 * (88 / 1.21 - 40 - 2 - 0.03 * 88)
    assert taken.margin[0] == pytest.approx(kept)
    assert reward(_SHOP, taken.shelf, taken.sold)[0] == pytest.approx(3 * kept)
    assert taken.profit[0] == pytest.approx(3 * kept + 40.0 * math.log(110 / 100))  # rivals gain as well
    assert math.exp(taken.reference[0]) == pytest.approx(100**0.75 * 88**0.25)
    assert math.exp(taken.lag[0]) == pytest.approx(88.0)


@given(st.floats(-1.0, 1.0), st.floats(-1.5, -0.1), st.floats(-0.1, -0.01))
def test_demand_bends_at_the_remembered_price_and_does_not_jump(
    price: float, loss: float, gain: float
) -> None:
    """Losses weigh more than gains: one elasticity above the remembered price, a smaller one below."""
    d, plain = _demand(gain=gain, loss=loss), Conditions.plain(1)
    reference = _NOW + price
    at = [log_units(d, reference + x, _NOW, reference, plain)[0] for x in (-2e-7, -1e-7, 0.0, 1e-7, 2e-7)]
    below, above = (at[1] - at[0]) / 1e-7, (at[4] - at[3]) / 1e-7
    assert below == pytest.approx(-2.0 + gain, abs=1e-5)
    assert above == pytest.approx(-2.0 + loss, abs=1e-5)
    assert abs(at[3] - at[1]) < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 31),
    st.lists(st.tuples(st.integers(60, 140), st.sampled_from([0, 0, 10, 30])), min_size=1, max_size=45),
    st.lists(st.integers(60, 140), min_size=31, max_size=31),
    st.integers(0, 40),
)
def test_the_thirty_day_low_and_the_waiting_are_what_a_list_says(
    window: int, weeks: list[tuple[int, int]], before: list[int], waited: int
) -> None:
    """Prices after planned discounts count for the low, regular prices for the waiting (Omnibus, Art. 6a)."""
    shop = catalogue((100,), periods_since_change=waited)
    shop = replace(shop, recent=np.array([before[:window]]))
    known, state = beliefs(shop), State.start(shop, 1)
    shelf, regular, since = list(before[:window]), 100, waited
    assert state.low.tolist() == [[min(shelf)]]
    for price, off in weeks:
        offered = price - off
        now, paid = np.array([[price]]), np.array([[offered]])
        moved = step(
            known, shop, np.log(now), state.stock, state.reference, state.lag, Conditions.plain(1), 0.8
        )
        state = state.next(moved, now, paid, moved.sold, np.zeros((1, 1)))
        shelf = [offered, *shelf][:window]
        since = since + 1 if price == regular else 0
        regular = price
        assert state.recent.tolist() == [[shelf]]
        assert state.low.tolist() == [[min(shelf)]]
        assert state.since_change.tolist() == [[since]]
        assert state.price.tolist() == [[price]]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(80, 120), st.floats(0.0, 20.0)), min_size=1, max_size=12),
    st.floats(0.0, 60.0),
    st.floats(0.0, 1.0),
)
def test_stock_is_kept_account_of_and_memory_fades(
    weeks: list[tuple[int, float]], stock: float, memory: float
) -> None:
    """Opening stock plus receipts is sold or left; the memory is a weighted mean of logs."""
    shop = catalogue((100,), stock=stock)
    known, state, sold = beliefs(shop), State.start(shop, 1), 0.0
    weights = [math.log(100.0)]
    for price, arrives in weeks:
        now = np.array([[price]])
        moved = step(
            known, shop, np.log(now), state.stock, state.reference, state.lag, Conditions.plain(1), memory
        )
        state = state.next(moved, now, now, moved.sold, np.array([[arrives]]))
        sold += float(moved.sold[0, 0])
        weights.append(math.log(price))
        assert 0.0 <= moved.sold[0, 0] <= moved.units[0, 0]
        assert state.stock[0, 0] >= arrives
    total = stock + sum(arrives for _, arrives in weeks)
    assert float(state.stock[0, 0]) + sold == pytest.approx(total)
    shares = [memory ** len(weeks), *((1 - memory) * memory**k for k in reversed(range(len(weeks))))]
    mean = sum(share * log for share, log in zip(shares, weights, strict=True))
    assert state.reference[0, 0] == pytest.approx(mean)
    assert state.lag[0, 0] == pytest.approx(weights[-1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3))
def test_leading_axes_are_only_copies(seed: int, worlds: int, batch: int) -> None:
    """Demand [D, 1, N] over states [B, N] gives [D, B, N]; each entry is what the step gives alone."""
    rng = np.random.default_rng(seed)
    shop = catalogue((100, 120))
    names = DemandParameters.__dataclass_fields__
    d = DemandParameters(**{n: rng.normal(0.0, 0.3, (worlds, 1, 2)) for n in names})
    logs, stock, reference, lag = (rng.normal(4.6, 0.2, (batch, 2)) for _ in range(4))
    plan = Conditions(*(rng.uniform(-0.2, 0.0, 2) for _ in range(5)))
    whole = step(d, shop, logs, stock, reference, lag, plan, 0.6)
    after = Cotangent(*(rng.normal(size=(worlds, batch, 2)) for _ in range(4)))
    back = pullback(whole, d, shop, 0.6, 0.5, after)
    for w, b in itertools.product(range(worlds), range(batch)):
        one = DemandParameters(**{n: getattr(d, n)[w, 0] for n in names})
        alone = step(one, shop, logs[b], stock[b], reference[b], lag[b], plan, 0.6)
        for name in Step.__dataclass_fields__:
            found: Any = np.broadcast_to(getattr(whole, name), (worlds, batch, 2))[w, b]
            np.testing.assert_allclose(found, getattr(alone, name), rtol=1e-12, err_msg=name)
        mine = Cotangent(*(getattr(after, n)[w, b] for n in Cotangent.__dataclass_fields__))
        pulled = pullback(alone, one, shop, 0.6, 0.5, mine)
        for name in Cotangent.__dataclass_fields__:
            np.testing.assert_allclose(
                getattr(back, name)[w, b], getattr(pulled, name), rtol=1e-10, atol=1e-12
            )


def test_where_stock_just_suffices_the_branch_of_plenty_is_taken() -> None:
    """Demand equal to the stock is not short: the derivative is that of demand, as the docstring says."""
    d = _demand(log_reference=math.log(100.0), level=math.log(7.0))
    units = step(d, _SHOP, _NOW, np.array([np.inf]), _NOW, _NOW, Conditions.plain(1), 0.5).units
    taken = step(d, _SHOP, _NOW, units, _NOW, _NOW, Conditions.plain(1), 0.5)
    assert taken.short.tolist() == [False]
    assert (taken.stock[0], taken.sold[0]) == (0.0, units[0])
    back = pullback(taken, d, _SHOP, 0.5, 1.0, _NOTHING)
    assert back.stock[0] == 0.0
    empty = step(d, _SHOP, _NOW, np.zeros(1), _NOW, _NOW, Conditions.plain(1), 0.5)
    assert (empty.sold[0], empty.profit[0], empty.short[0]) == (0.0, 0.0, True)


@given(
    st.floats(1.2, 6.0), st.integers(1, 2000), st.floats(0.3, 1.0), st.floats(0.0, 0.2), st.floats(0.0, 0.5)
)
def test_the_markup_price_is_where_the_derivative_of_profit_is_zero(
    e: float, cost: int, net: float, fee: float, returns: float
) -> None:
    """Lerner's condition through taxes, fees and returns, asked of the hand-written adjoint."""
    shop = catalogue((100,), unit_cost=cost, net_share=net, fee_share=fee * net, return_rate=returns)
    markup = (cost / (net - fee * net)) * e / (e - 1.0)
    d, logs = _demand(regular=-e), np.log([markup])
    taken = step(d, shop, logs, np.array([np.inf]), logs, logs, Conditions.plain(1), 0.0)
    back = pullback(taken, d, shop, 0.0, 1.0, _NOTHING)
    assert abs(back.log_price[0]) <= 1e-9 * taken.units[0] * markup * e
