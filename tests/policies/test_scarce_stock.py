"""Limited stock, against references that know more: linear programmes, dynamic programming, every path.

The instance is that of Ferreira, Simchi-Levi and Wang (Operations Research 2018): prices 29.90, 34.90, 39.90
and 44.90, demand .8, .6, .3 and .1 a customer, stock for a quarter of T customers. Its bound mixes the two
upper prices, and their shadow price of stock (37.40) lies above the two lower ones; so a demand of constant
elasticity through the two upper points has the same bound. Customers are Poisson, reviews of the price ten.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linprog

from policies.rollout import Plan, roll_out
from policies.serve.incumbent import Incumbent
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from policies.serve.thompson import Thompson
from pricing.arrays import Floats, Ints
from pricing.demand import Conditions, DemandParameters
from pricing.guardrails import GuardrailSettings
from pricing.policy import Policy
from pricing.scenario import Scenario
from simulators.market import Market
from tests.policies.support import InProcess, a_scenario, certain_world, opening, several

_PRICES = np.array([29.9, 34.9, 39.9, 44.9])
_PAPER = np.array([0.8, 0.6, 0.3, 0.1])
_SLOPE = math.log(0.1 / 0.3) / math.log(44.9 / 39.9)
_OURS = 0.3 * (_PRICES / 39.9) ** _SLOPE
_REVIEWS = 10


def _bound(demand: Floats, stock: float) -> float:
    """Revenue a customer of the best mix of prices (and of turning customers away), by linear programme."""
    found = linprog(
        -_PRICES * demand, A_ub=np.stack([demand, np.ones(4)]), b_ub=[stock, 1.0], bounds=(0.0, 1.0)
    )
    assert found.status == 0
    return -float(found.fun)


def _shop(customers: int) -> Scenario:
    each = customers / _REVIEWS
    ladder = np.rint(_PRICES * 100).astype(np.int64)[None]
    shop = a_scenario([3990], [0], [0.25 * customers], ladder, _REVIEWS, units=0.3 * each, elasticity=_SLOPE)
    return replace(shop, beliefs=replace(shop.beliefs, dispersion=np.array([1e8])))  # Poisson


def _earned(scenario: Scenario, policies: Sequence[Policy], runs: int) -> list[Floats]:
    """Revenue [runs] of each policy, in units of money, in the same runs."""
    plan = Plan(scenario, certain_world(scenario), seeds=runs, seed=1, fingerprint="known")
    return [outcome.total / 100 for outcome in roll_out(plan, policies, InProcess())]


def _dynamic_programme(customers: int) -> float:
    """Best expected revenue of any policy: stock by stock, review by review, exactly."""
    stock, each = customers // 4, customers / _REVIEWS
    worth = np.zeros(stock + 1)
    for _ in range(_REVIEWS):
        best = np.zeros(stock + 1)
        for price, rate in zip(_PRICES, _OURS * each, strict=True):
            for left in range(1, stock + 1):
                chance = stats.poisson.pmf(np.arange(left), rate)
                sold = np.append(np.arange(left), left)
                chance = np.append(chance, max(1.0 - chance.sum(), 0.0))
                best[left] = max(best[left], float(chance @ (price * sold + worth[left - sold])))
        worth = best
    return float(worth[stock])


def test_the_bound_is_that_of_the_paper_whatever_the_two_lower_prices_sell() -> None:
    # .75 of the customers see 39.90, the rest 44.90: .75 x .3 + .25 x .1 = .25; .75 x 11.97 + .25 x 4.49
    assert _bound(_PAPER, 0.25) == pytest.approx(10.1)
    assert _bound(_OURS, 0.25) == pytest.approx(10.1)
    dual = (11.97 - 4.49) / (0.3 - 0.1)
    assert dual == pytest.approx(37.4)
    assert (_PRICES[:2] < dual).all()


@pytest.mark.parametrize(
    ("customers", "runs", "least"), [(100, 200, (0.975, 0.97)), (1000, 60, (0.99, 0.99))]
)
def test_known_demand_comes_as_near_the_bound_as_published(
    customers: int, runs: int, least: tuple[float, float]
) -> None:
    """Published for known demand re-solved customer by customer: 98.7 % at T = 100, 99.8 % at T = 1000."""
    scenario = _shop(customers)
    policies: list[Policy] = [
        Resolve.of(scenario),
        Thompson.of(scenario, several(scenario.beliefs, np.zeros(1))),
        Static.of(scenario),
    ]
    resolve, thompson, static = _earned(scenario, policies, runs)
    bound = 10.1 * customers
    assert least[0] < resolve.mean() / bound <= 1.0
    assert least[1] < thompson.mean() / bound <= 1.0
    for dynamic in (resolve, thompson):
        assert stats.ttest_rel(dynamic, static, alternative="greater").pvalue < 0.01


def test_resolving_is_within_a_percent_of_dynamic_programming() -> None:
    best = _dynamic_programme(100)
    resolve, static = _earned(_shop(100), [Resolve.of(_shop(100)), Static.of(_shop(100))], 300)
    error = float(resolve.std(ddof=1) / math.sqrt(300))
    assert 0.25 * 100 * 39.9 * 0.9 < best < 10.1 * 100
    assert best * 0.99 - 2 * error < resolve.mean() < best + 3 * error
    assert static.mean() < best


def test_a_held_price_earns_what_the_poisson_distribution_says() -> None:
    """30 customers want one at 39.90, 25 are there: E min(N, 25), by SciPy."""
    (kept,) = _earned(_shop(100), [Incumbent()], 4000)
    units = np.arange(26)
    chance = np.append(stats.poisson.pmf(units[:25], 30.0), stats.poisson.sf(24, 30.0))
    mean = 39.9 * float(chance @ units)
    sd = 39.9 * math.sqrt(float(chance @ units**2) - float(chance @ units) ** 2)
    assert kept.mean() == pytest.approx(mean, abs=4 * sd / math.sqrt(4000))
    assert kept.std() == pytest.approx(sd, rel=0.1)
    assert set(np.unique(np.rint(kept / 39.9)).tolist()) <= set(range(26))


def test_less_is_known_less_is_earned_and_never_more_than_the_bound() -> None:
    """Thompson sampling with elasticities known to a sd of 0, 6 and 12: regret grows with ignorance."""
    scenario, rng = _shop(1000), np.random.default_rng(0)
    normal = rng.normal(size=64)
    shops = [Thompson.of(scenario, several(scenario.beliefs, sd * normal)) for sd in (0.0, 6.0, 12.0)]
    known, vague, ignorant = (float(e.mean()) for e in _earned(scenario, shops, 60))
    assert 10.1 * 1000 > known > vague > ignorant > 0.7 * 10.1 * 1000


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 6))
def test_the_share_of_draws_is_counted_in_plain_python(seed: int, curves: int, horizon: int) -> None:
    """Two products, scarce stock, a promotion today: each draw's best rung to hold, one by one."""
    rng = np.random.default_rng(seed)
    ladder = np.array([[150, 180, 200, 230, 260], [310, 350, 400, 450, 500]])
    scenario = a_scenario([200, 400], [110, 150], rng.uniform(5, 60, 2).tolist(), ladder, horizon, lag=0.2)
    today = Conditions(
        *(rng.uniform(ends[0], ends[1], 2) for ends in ((-0.2, 0.0), *[(0.0, 1.0)] * 2, *[(-0.2, 0.2)] * 3))
    )
    scenario = replace(scenario, conditions=(today,) * horizon)
    effects = {
        n: 0.3 * rng.normal(size=(curves, 2))
        for n in ("level", "regular", "lag", "feature", "loss", "gain", "deal", "featured_depth", "rivals")
    }
    effects["spill"] = 600.0 * rng.normal(size=(curves, 2))
    plain = {
        n: np.repeat(getattr(scenario.beliefs, n)[None], curves, 0)
        for n in DemandParameters.__dataclass_fields__
    }
    draws = DemandParameters(**plain | {n: plain[n] + effect for n, effect in effects.items()})
    situation, allowed = opening(scenario)
    may = allowed & (rng.random(allowed.shape) < 0.8)
    found = Thompson.of(scenario, draws).choose(situation, may).over(5)[0]
    for series in range(2):
        votes = np.zeros(5)
        for d in range(curves):
            p = {n: float(getattr(draws, n)[d, series]) for n in DemandParameters.__dataclass_fields__}
            worth = {k: _hold(p, scenario, today, series, k) for k in range(5) if may[0, series, k]}
            if worth:
                votes[max(worth, key=lambda k: worth[k])] += 1 / curves
        np.testing.assert_allclose(found[series], votes, atol=1e-12)


def _hold(p: dict[str, float], scenario: Scenario, today: Conditions, series: int, rung: int) -> float:
    """Profit of a price now, under today's plan, and then at the demand it settles to, until stock ends."""
    price, now = float(scenario.menu.price[series, rung]), float(scenario.catalogue.price[series])
    cost, stock = float(scenario.catalogue.unit_cost[series]), float(scenario.catalogue.stock[series])
    depth, feature, display, traffic, rivals, season = (
        float(getattr(today, n)[series]) for n in today.__slots__
    )
    gap = math.log(price) + depth - math.log(now)
    first = math.exp(
        p["level"] + p["regular"] * math.log(price / now) + p["depth"] * depth + p["feature"] * feature
        + p["display"] * display + p["traffic"] * traffic + (p["loss"] if gap > 0 else p["gain"]) * gap
        + p["deal"] * (1 - math.exp(50 * depth)) + p["featured_depth"] * feature * depth
        + p["rivals"] * rivals + season
    )  # fmt: skip
    sold = min(first, stock)
    later = math.exp(p["level"] + (p["regular"] + p["lag"]) * math.log(price / now) + p["rivals"] * rivals)
    rest = min((scenario.horizon - 1) * later, stock - sold)
    own = sold * (price * math.exp(depth) - cost) + (rest * (price - cost) if scenario.horizon > 1 else 0.0)
    return own + scenario.horizon * p["spill"] * math.log(price / now)


def _fluid(scenario: Scenario, rungs: Sequence[Ints]) -> float:
    """Profit of a path of rungs [N] without noise, receipts included."""
    market = Market(scenario.catalogue, certain_world(scenario), np.zeros(1, dtype=np.int64))
    state, total, rows = market.open(), 0.0, np.arange(len(scenario.catalogue))
    for t, rung in enumerate(rungs):
        price = scenario.menu.price[rows, rung][None]
        sale = market.sell(state, price, scenario.conditions[t], received=scenario.receipts[t])
        total, state = total + float(sale.profit.sum()), sale.state
    return total


def _followed(scenario: Scenario, policy: Policy) -> tuple[list[Ints], float]:
    """Let a policy steer the fluid shop under its guardrails; return the rungs and the profit."""
    market = Market(scenario.catalogue, certain_world(scenario), np.zeros(1, dtype=np.int64))
    state, path, rows = market.open(), list[Ints](), np.arange(len(scenario.catalogue))
    for t in range(scenario.horizon):
        allowed = scenario.guardrails.admit(state, scenario.conditions[t]).allowed
        rung = policy.choose(scenario.situation(state, t), allowed).mode()[0]
        assert allowed[0, rows, rung].all()
        path.append(rung)
        price = scenario.menu.price[rows, rung][None]
        state = market.sell(state, price, scenario.conditions[t], received=scenario.receipts[t]).state
    return path, _fluid(scenario, path)


def _every_path(scenario: Scenario) -> float:
    """Best fluid profit of one product over all paths whose every step the guardrails open."""
    market = Market(scenario.catalogue, certain_world(scenario), np.zeros(1, dtype=np.int64))
    best = -math.inf
    ahead = [(market.open(), 0.0)]
    for t in range(scenario.horizon):
        following = []
        for state, total in ahead:
            allowed = scenario.guardrails.admit(state, scenario.conditions[t]).allowed[0, 0]
            for rung in np.flatnonzero(allowed):
                price = scenario.menu.price[:, rung][None]
                sale = market.sell(state, price, scenario.conditions[t], received=scenario.receipts[t])
                following.append((sale.state, total + float(sale.profit.sum())))
        ahead = following
    for _, total in ahead:
        best = max(best, total)
    return best


def test_under_step_limits_resolve_nearly_reaches_the_best_admissible_path() -> None:
    ladder = np.array([[150, 165, 180, 200, 220, 240, 264]])
    shares = list[float]()
    for e, stock, traffic, change in itertools.product((-3.0, -1.7), (14.0, 60.0), (0.0, 0.6), (0.1, 0.25)):
        scenario = a_scenario([200], [100], [stock], ladder, 3, elasticity=e, lag=0.1, gain=-0.3, loss=-0.8,
                              settings=GuardrailSettings(max_change=change))  # fmt: skip
        last = replace(Conditions.plain(1), traffic=np.array([traffic]))
        scenario = replace(
            scenario,
            conditions=(*scenario.conditions[:2], last),
            beliefs=replace(scenario.beliefs, traffic=np.ones(1)),
            receipts=np.array([[0.0], [4.0], [0.0]]),
        )
        shares.append(_followed(scenario, Resolve.of(scenario))[1] / _every_path(scenario))
    assert max(shares) <= 1.0 + 1e-12
    assert min(shares) >= 0.97
    assert np.mean(shares) >= 0.995


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6))
def test_no_path_beats_the_linear_programme_and_resolve_is_near_it(seed: int) -> None:
    """Without memory a path of prices is a corner of a linear programme over (period, rung)."""
    rng = np.random.default_rng(seed)
    ladder = np.rint(200 * np.exp(np.linspace(-0.3, 0.45, 16))).astype(np.int64)[None]
    e, stock, periods = -float(rng.uniform(1.5, 3.5)), float(rng.uniform(10.0, 45.0)), 4
    scenario = a_scenario([200], [100], [stock], ladder, periods, elasticity=e, memory=0.0)
    crowd = rng.uniform(-0.4, 0.4, periods)
    plans = tuple(replace(Conditions.plain(1), traffic=np.array([x])) for x in crowd)
    arrives = rng.uniform(0.0, 8.0, (periods, 1))
    scenario = replace(
        scenario, conditions=plans, receipts=arrives, beliefs=replace(scenario.beliefs, traffic=np.ones(1))
    )
    units = 10 * np.exp(crowd)[:, None] * (ladder / 200.0) ** e
    until = np.tril(np.ones((periods, periods)))
    sold = (until[:, :, None] * units[None]).reshape(periods, -1)
    one = np.repeat(np.eye(periods), ladder.shape[1], axis=1)
    there = stock + np.concatenate([[0.0], np.cumsum(arrives[:-1, 0])])
    found = linprog(-(units * (ladder - 100.0)).ravel(), A_ub=np.concatenate([sold, one]),
                    b_ub=np.concatenate([there, np.ones(periods)]))  # fmt: skip
    assert found.status == 0
    bound = -float(found.fun)
    path, reached = _followed(scenario, Resolve.of(scenario))
    assert reached <= bound * (1 + 1e-9)
    assert reached >= 0.975 * bound
    random_path = [rng.integers(0, 16, 1) for _ in path]
    assert _fluid(scenario, random_path) <= bound * (1 + 1e-9)


def test_products_are_planned_side_by_side_as_alone() -> None:
    """Two shops of one product and one shop of both: the same rungs, period by period."""
    ladder = np.array([[160, 180, 200, 225, 250], [330, 360, 400, 440, 500]])
    both = a_scenario(
        [200, 400], [100, 250], [20.0, 55.0], ladder, 3, elasticity=np.array([-2.1, -2.8]), loss=-0.5
    )
    together, _ = _followed(both, Resolve.of(both))
    for series, (price, cost, stock, e) in enumerate([(200, 100, 20.0, -2.1), (400, 250, 55.0, -2.8)]):
        alone = a_scenario([price], [cost], [stock], ladder[series : series + 1], 3, elasticity=e, loss=-0.5)
        path, _ = _followed(alone, Resolve.of(alone))
        assert [int(rung[0]) for rung in path] == [int(rung[series]) for rung in together]


def test_a_dearer_cost_or_a_smaller_stock_never_lowers_the_first_price() -> None:
    """Comparative statics that hold without memory: cost and scarcity both push prices up."""
    ladder = np.rint(200 * np.exp(np.linspace(-0.3, 0.5, 12))).astype(np.int64)[None]
    firsts = []
    for cost, stock in [(100, 90.0), (100, 45.0), (100, 24.0), (120, 24.0), (140, 24.0), (140, 12.0)]:
        scenario = a_scenario([200], [cost], [stock], ladder, 4, elasticity=-2.2, memory=0.0)
        firsts.append(int(_followed(scenario, Resolve.of(scenario))[0][0][0]))
    assert firsts == sorted(firsts)
    assert firsts[0] < firsts[-1]
