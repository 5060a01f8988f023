"""Intervals and probabilities of a recommendation against distributions that are known in closed form."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pricing.arrays import Floats
from pricing.catalogue import Catalogue
from pricing.decision import Decisions, decide
from pricing.demand import Conditions, DemandParameters
from pricing.features import FEATURES, observe, write
from pricing.guardrails import Guardrails, GuardrailSettings, Rule, Status
from pricing.menu import Endings, Menu, candidates
from pricing.recommendation import Reason, assess, curve, reasons
from pricing.situation import Situation, myopic_log_price
from pricing.transition import State
from tests.pricing import random_shops
from tests.pricing.small_shop import Wants, beliefs, catalogue, menu, situation

_LADDER = (80, 90, 100, 110, 125)
_SIZE = 60_000


_TEN = math.log(10.0)


def _draws(shop: Catalogue, elasticity: Floats, level: Floats | float = _TEN) -> DemandParameters:
    """One series, D draws of its elasticity (and of its level)."""
    plain = beliefs(shop)
    wide = {f.name: np.repeat(getattr(plain, f.name)[None], len(elasticity), axis=0) for f in fields(plain)}
    wide["regular"] = elasticity[:, None]
    wide["level"] = np.broadcast_to(np.asarray(level), elasticity.shape)[:, None]
    return DemandParameters(**wide)


def _made(wants: int, **facts: Any) -> Decisions:
    here = situation(catalogue((100,), **facts), menu(1, _LADDER))
    rules = Guardrails(here.catalogue, here.menu, GuardrailSettings(max_change=0.25))
    return decide(here, rules, Wants((wants,)), seed=1, runs=np.arange(1), fingerprint="f")


@pytest.mark.parametrize(("price", "sd"), [(110, 0.5), (90, 0.5), (125, 1.2), (80, 0.2)])
def test_a_normal_elasticity_makes_log_normal_units_and_known_quantiles(price: int, sd: float) -> None:
    """Units at price p are 10 (p / 100)^e with e ~ N(-2, sd): log-normal, its mean and quantiles by SciPy."""
    rng = np.random.default_rng(price)
    made = _made(price)
    found = assess(made, _draws(made.situation.catalogue, rng.normal(-2.0, sd, _SIZE)))
    x = math.log(price / 100)
    units = stats.lognorm(s=sd * abs(x), scale=10 * math.exp(-2.0 * x))
    margin = price - 50
    error = 4 * units.std() / math.sqrt(_SIZE)
    assert found.expected_units[0] == pytest.approx(units.mean(), abs=error)
    assert found.expected_profit[0] == pytest.approx(margin * units.mean(), abs=margin * error)
    assert found.profit_change[0] == pytest.approx(margin * units.mean() - 500, abs=margin * error)
    for level, bound in ((0.05, found.profit_change_lower[0]), (0.95, found.profit_change_upper[0])):
        spread = math.sqrt(level * (1 - level) / _SIZE) / units.pdf(units.ppf(level))
        assert bound == pytest.approx(margin * units.ppf(level) - 500, abs=4 * margin * spread)
    loss = units.cdf(500 / margin)
    assert found.probability_of_loss[0] == pytest.approx(loss, abs=4 * math.sqrt(0.25 / _SIZE))


def test_a_doubt_shared_by_both_prices_cancels_in_the_change_but_not_in_the_profit() -> None:
    """Level known to a factor of e^N(0, .5), elasticity exactly: the change is a fixed share."""
    rng = np.random.default_rng(3)
    made = _made(110)
    noise = rng.normal(0.0, 0.5, _SIZE)
    found = assess(made, _draws(made.situation.catalogue, np.full(_SIZE, -1.0), math.log(10) + noise))
    share = (60 / 1.1 - 50) / 50
    factor = stats.lognorm(s=0.5)
    assert found.profit_change[0] == pytest.approx(500 * share * factor.mean(), rel=0.02)
    assert found.profit_change_lower[0] == pytest.approx(500 * share * factor.ppf(0.05), rel=0.02)
    assert found.profit_change_upper[0] == pytest.approx(500 * share * factor.ppf(0.95), rel=0.02)
    assert found.probability_of_loss[0] == 0.0


def test_the_probability_that_the_optimum_lies_higher_is_a_normal_tail() -> None:
    """110 beats 100 where 60 x 1.1^e > 50, and so on up the ladder: thresholds of e by hand."""
    made = _made(100, support_low=85, support_high=115)
    rng = np.random.default_rng(5)
    found = assess(made, _draws(made.situation.catalogue, rng.normal(-2.0, 0.6, _SIZE)))
    margin = {p: p - 50 for p in _LADDER}

    def indifferent(low: int, high: int) -> float:
        """The elasticity at which two prices bring the same; above it the higher one is better."""
        return math.log(margin[low] / margin[high]) / math.log(high / low)

    e = stats.norm(-2.0, 0.6)
    cuts = [indifferent(a, b) for a, b in itertools.pairwise(_LADDER)]
    assert cuts == sorted(cuts), "profit has one peak, which moves up as demand gets less elastic"
    error = 4 * math.sqrt(0.25 / _SIZE)
    assert found.probability_up[0] == pytest.approx(e.sf(cuts[2]), abs=error)
    assert found.probability_outside[0] == pytest.approx(e.cdf(cuts[0]) + e.sf(cuts[3]), abs=error)


def test_scarce_stock_caps_the_units_draw_by_draw() -> None:
    """E min(X, s) of a log-normal X has a closed form (Black and Scholes 1973), unlike min(E X, s)."""
    made = _made(80, stock=15.0)
    rng = np.random.default_rng(6)
    found = assess(made, _draws(made.situation.catalogue, rng.normal(-2.0, 1.5, _SIZE)))
    s, scale = 1.5 * abs(math.log(0.8)), 10 * 0.8**-2.0
    d = (math.log(scale / 15.0) + s * s) / s
    capped = scale * math.exp(s * s / 2) * stats.norm.cdf(-d) + 15.0 * stats.norm.cdf(d - s)
    assert found.expected_profit[0] == pytest.approx(30 * capped, rel=0.01)
    assert found.expected_units[0] == pytest.approx(scale * math.exp(s * s / 2), rel=0.01), (
        "demand, not sales"
    )
    assert found.profit_change[0] == pytest.approx(30 * capped - 500, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12))
def test_an_assessment_is_what_each_draw_says_alone(seed: int, size: int) -> None:
    """Random shops: means, quantiles and shares over draws that were each judged by hand, rung by rung."""
    here, rules, policy = random_shops.shop(seed)
    rng = np.random.default_rng(seed)
    batch = here.state.price.shape[0]
    made = decide(here, rules, policy, seed=1, runs=np.arange(batch), fingerprint="f")
    draws = DemandParameters(
        **{f.name: getattr(here.beliefs, f.name) + rng.normal(0, 0.1, (size, len(here.catalogue)))
           for f in fields(DemandParameters)}
    )  # fmt: skip
    run = int(rng.integers(batch))
    found = assess(made, draws, run)
    for series in range(len(here.catalogue)):
        worth = np.array([_by_hand(here, draws, d, run, series) for d in range(size)])
        now = int(made.admission.current[run, series])
        at = int(made.index[run, series])
        at = now if at < 0 else at
        change = worth[:, at] - worth[:, now]
        turnover = float(found.expected_units[series]) * float(here.menu.price[series].max())
        near = 1e-12 * turnover  # margins may be small beside prices, and logs of prices round
        assert found.expected_profit[series] == pytest.approx(worth[:, at].mean(), rel=1e-9, abs=near)
        assert found.profit_change[series] == pytest.approx(change.mean(), rel=1e-9, abs=near)
        lower = np.quantile(change, 0.05)
        assert found.profit_change_lower[series] == pytest.approx(lower, rel=1e-9, abs=near)
        if at == now:
            assert (change == 0.0).all()
            assert found.probability_of_loss[series] == 0.0


def _by_hand(here: Situation, draws: DemandParameters, d: int, run: int, series: int) -> list[float]:
    """Profit of every rung of one series under one draw, in plain Python."""
    p = {f.name: float(getattr(draws, f.name)[d, series]) for f in fields(DemandParameters)}
    c = {f.name: float(getattr(here.conditions, f.name)[run, series]) for f in fields(Conditions)}
    state, shop, out = here.state, here.catalogue, []
    for price in here.menu.price[series][here.menu.valid[series]].tolist():
        gap = math.log(price) + c["depth"] - float(state.reference[run, series])
        away = math.log(price) - p["log_reference"]
        bend = away**2 / (abs(away) + 0.05)
        logs = (
            p["level"] + p["regular"] * (math.log(price) - p["log_reference"]) + p["depth"] * c["depth"]
            + p["lag"] * (float(state.lag[run, series]) - p["log_reference"]) + p["feature"] * c["feature"]
            + p["display"] * c["display"] + p["traffic"] * c["traffic"] + p["rivals"] * c["rivals"]
            + c["season"] + p["curve"] * bend + p["threshold"] * math.copysign(bend, away)
            + p["deal"] * (1 - math.exp(50 * c["depth"])) + p["featured_depth"] * c["feature"] * c["depth"]
            + (p["loss"] if gap > 0 else p["gain"]) * gap
        )  # fmt: skip
        shelf = price * math.exp(c["depth"])
        fees = float(shop.fee_share[series]) * float(shop.gross_share[series]) * shelf + float(
            shop.fee_unit[series]
        )
        margin = float(shop.net_share[series]) * shelf - float(shop.unit_cost[series]) - fees
        units = min(math.exp(logs), float(state.stock[run, series]))
        spill = p["spill"] * math.log(price / int(shop.price[series]))
        out.append(units * margin * (1 - float(shop.return_rate[series])) + spill)
    return out


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_reasons_agree_with_what_happened(seed: int) -> None:
    """Raised, lowered, kept or nothing: exactly one; a bound only where a rule binds."""
    here, rules, policy = random_shops.shop(seed)
    made = decide(here, rules, policy, seed=1, runs=np.arange(here.state.price.shape[0]), fingerprint="f")
    draws = DemandParameters(
        **{f.name: getattr(here.beliefs, f.name)[None] for f in fields(DemandParameters)}
    )
    found = assess(made, draws)
    for series in range(len(here.catalogue)):
        told = set(reasons(made, found, series))
        move = int(np.sign(made.price[0, series] - here.state.price[0, series]))
        assert (Reason.PRICE_RAISED in told) == (move > 0)
        assert (Reason.PRICE_LOWERED in told) == (Reason.BECOMES_PRIOR_PRICE in told) == (move < 0)
        blocked = int(made.admission.status[0, series]) == Status.BLOCKED
        assert (Reason.NO_PRICE_ALLOWED in told) == blocked
        held = {Reason.HELD_OUT} if move == 0 else set()  # a trial may also take a price back
        kept = told & ({Reason.PRICE_KEPT, Reason.KEPT_NOT_IDENTIFIED} | held)
        assert len(kept) == (move == 0 and not blocked), "nothing is kept where no price is recommended"
        assert (Reason.PRICE_TEST_PROPOSED in told) == (Reason.KEPT_NOT_IDENTIFIED in told)
        assert (Reason.COST_ASSUMED in told) == bool(here.catalogue.cost_assumed[series])
        binding = int(made.binding[0, series])
        if found.at_bound[series]:
            assert binding >= 0
            open_ = np.flatnonzero(made.admission.allowed[0, series])
            assert int(made.index[0, series]) in {int(open_[0]), int(open_[-1])}
        if Reason.LIMITED_BY_RULE in told:
            wanted = int(made.wanted[0, series])
            assert made.admission.rejections[0, series, wanted] & Rule(binding).bit


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_a_curve_passes_through_the_assessment(seed: int) -> None:
    here, rules, policy = random_shops.shop(seed)
    rng = np.random.default_rng(seed)
    batch = here.state.price.shape[0]
    made = decide(here, rules, policy, seed=1, runs=np.arange(batch), fingerprint="f")
    draws = DemandParameters(
        **{f.name: getattr(here.beliefs, f.name) + rng.normal(0, 0.05, (9, len(here.catalogue)))
           for f in fields(DemandParameters)}
    )  # fmt: skip
    series, run = int(rng.integers(len(here.catalogue))), int(rng.integers(batch))
    found, judged = curve(made, draws, series, run), assess(made, draws, run)
    valid = here.menu.valid[series]
    np.testing.assert_array_equal(found.price, here.menu.price[series][valid])
    assert (found.units_lower <= found.units_upper).all()
    assert (found.profit_lower <= found.profit_upper).all()
    low, high = here.catalogue.support_low[series], here.catalogue.support_high[series]
    assert found.supported.tolist() == [bool(low <= p <= high) for p in found.price]
    at = int(made.index[run, series])
    if at >= 0:
        assert found.units[at] == pytest.approx(judged.expected_units[series], rel=1e-12)
        assert found.profit[at] == pytest.approx(judged.expected_profit[series], rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_features_are_finite_and_of_moderate_size_in_any_shop(seed: int) -> None:
    """Prices of a cent or of a million, no stock, nothing allowed: a learner never sees NaN or infinity."""
    here, rules, _ = random_shops.shop(seed)
    allowed = rules.admit(here.state, here.conditions).allowed
    some = np.random.default_rng(seed).random(allowed.shape) < 0.3
    place = [feature.name for feature in FEATURES].index
    for open_ in (allowed, allowed & some, np.zeros_like(allowed)):
        seen = observe(here, open_)
        assert np.isfinite(seen).all()
        assert seen[..., place("margin")].max() <= 1.0, "below, a price far under its cost has no bound"
        assert np.abs(np.delete(seen, place("margin"), axis=-1)).max() < 12.0
        narrow = np.empty(seen.shape, dtype=np.float32)
        write(here, open_, narrow)
        np.testing.assert_array_equal(narrow, seen.astype(np.float32))
        assert (seen[..., place("room_down")] <= seen[..., place("room_up")]).all()
        assert ((seen[..., place("rung")] >= -1e-12) & (seen[..., place("rung")] <= 1 + 1e-12)).all()
        for share in ("stock_tracked", "waiting", "time_left", "promoted"):
            assert ((seen[..., place(share)] >= 0.0) & (seen[..., place(share)] <= 1.0)).all()


@pytest.mark.parametrize("scale", [10, 1000, 10**6])
def test_features_do_not_know_the_currency(scale: int) -> None:
    """Yen, cents or fils: price, cost, fee, ladder and history times a number leave every feature alone."""
    facts = {"unit_cost": 60, "fee_unit": 3, "support_low": 70, "support_high": 150}
    shares = {"net_share": 0.8, "fee_share": 0.02, "stock": 40.0}
    seen = []
    for k in (1, scale):
        shop = catalogue((100 * k, 120 * k), **shares, **{name: value * k for name, value in facts.items()})
        logs = _wide(shop, k)
        known = beliefs(shop)
        here = replace(situation(shop, logs), beliefs=known, myopic=myopic_log_price(known, shop))
        dip = State.start(shop, 1).recent.copy()
        dip[0, 1, 2] = 96 * k
        here = replace(here, state=replace(here.state, recent=dip, lag=here.state.lag - 0.03))
        seen.append(observe(here, Guardrails(shop, logs, GuardrailSettings()).admit(here.state).allowed))
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-9)


def _wide(shop: Catalogue, k: int) -> Menu:
    rungs = np.array([[80, 90, 100, 110, 120], [96, 108, 120, 132, 144]]) * k
    assert len(shop) == len(rungs)
    return Menu.of(rungs, np.ones(rungs.shape, dtype=np.bool_))


def test_a_step_for_want_of_support_needs_a_twentieth_of_the_posterior() -> None:
    """The reason appears exactly where at least 5 % of the draws put the optimum outside what was seen."""
    made = _made(110, support_low=75, support_high=115)
    for outside in (4, 5, 6):
        e = np.where(np.arange(100) < outside, -0.2, -2.0)
        found = assess(made, _draws(made.situation.catalogue, e))
        assert found.probability_outside[0] == outside / 100
        assert (Reason.STEP_TOWARDS_OPTIMUM in reasons(made, found, 0)) == (outside >= 5)


@pytest.mark.parametrize("size", [3, 7, 15])
def test_a_ladder_is_even_in_logs_before_it_is_rounded(size: int) -> None:
    """With prices in the millions rounding is nothing: rungs are a geometric row."""
    shop = catalogue((10**7,), support_low=10**7, support_high=10**7)
    ladder = candidates(shop, Endings(), size, 0.2).price[0]
    rest = np.array(sorted(set(ladder.tolist()) - {10**7}), dtype=float)
    expected = 10**7 * np.exp(np.linspace(np.log(0.8), np.log(1.2), size - 1))
    expected = expected[np.abs(expected - 10**7) > 0.5]
    np.testing.assert_allclose(rest, expected, atol=0.5)


def test_an_inner_choice_is_at_no_bound_even_on_the_edge_that_lies_the_other_way() -> None:
    """125 is preferred and forbidden, 100 comes next, 110 last: 100 is the lower edge, 125 lies above it."""
    here = situation(catalogue((100,)), menu(1, (80, 100, 110, 125)))
    rules = Guardrails(here.catalogue, here.menu, GuardrailSettings(max_change=0.1))
    found = []
    for scores in ([0.0, 2.0, 1.0, 3.0], [0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0], [3.0, 1.0, 2.0, 0.0]):
        policy = random_shops.Highest(np.array([[scores]]))
        made = decide(here, rules, policy, seed=1, runs=np.arange(1), fingerprint="f")
        judged = assess(made, _draws(here.catalogue, np.array([-2.0])))
        found.append((int(made.price[0, 0]), bool(judged.at_bound[0])))
    assert found == [(100, False), (110, True), (100, True), (110, False)]


@pytest.mark.parametrize(("cost", "fee", "markup"), [(50, 0, 100), (30, 20, 100), (0, 50, 100), (0, 0, 2)])
def test_fees_count_in_the_markup_and_a_free_product_costs_one_unit(cost: int, fee: int, markup: int) -> None:
    shop = catalogue((100,), unit_cost=cost, fee_unit=fee)
    assert np.exp(myopic_log_price(beliefs(shop), shop)[0]) == pytest.approx(markup)


@pytest.mark.parametrize(
    ("cost", "gap"), [(1, -1.0), (15, -1.0), (20, math.log(0.4)), (130, math.log(2.6)), (200, 1.0)]
)
def test_the_gap_to_the_markup_is_shown_within_one_either_way(cost: int, gap: float) -> None:
    here = situation(catalogue((100,), unit_cost=cost), menu(1, _LADDER))
    place = [feature.name for feature in FEATURES].index("myopic_gap")
    seen = observe(here, np.ones((1, 1, 5), dtype=np.bool_))
    assert seen[0, 0, place] == pytest.approx(gap)
