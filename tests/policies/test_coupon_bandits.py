from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.bandits.belief import Belief, Evidence, fold
from policies.bandits.experience import Experience, Learner, Shop, column
from policies.bandits.foresight import COEFFICIENTS, Foresight, Later, prior_belief
from policies.bandits.linear import DRAWS, LinearThompson, LinUCB, shares
from policies.bandits.logistic import LogisticThompson
from policies.bandits.network import NetworkOffers
from policies.bandits.rollout import OfferRun, Rehearsal, Tally, roll_out_offers
from policies.bandits.rules import ConstantLevel, RandomLevel, RecencyRule
from pricing.archive import pack
from pricing.arrays import Bools, Floats
from pricing.coupon_decision import OfferPolicy, decide_offers
from pricing.coupon_rules import OfferSituation
from pricing.errors import ArtifactError, UsageError
from pricing.policy import Choice
from simulators.coupons.farming import HONEST, Farming
from simulators.coupons.shop_floor import ShopFloor, level_menu
from simulators.coupons.state import CONTEXT
from simulators.coupons.toy import toy_habits
from simulators.coupons.worlds import Prior, crowd_of, customer_keys, draw_truths
from simulators.customers.logistic import fit_logistic
from tests.simulators.coupon_cases import plain_habits, truths

PRIOR = Prior()


def floor(
    customers: int = 60, world: int = 0, weeks: int = 6, farming: Farming = HONEST, **changed: float
) -> ShopFloor:
    habits = toy_habits()
    truth = draw_truths(habits, PRIOR, 1, seed=3, first=world)
    truth = replace(truth, **{name: np.array([value]) for name, value in changed.items()})
    crowd = crowd_of(habits, truth, np.array([world]), customer_keys(customers), farming)
    return ShopFloor.of(crowd, level_menu((0.05, 0.1, 0.2)), weeks)


def learners(made: ShopFloor) -> list[Learner]:
    shop = Shop.of(made)
    return [
        LinUCB.of(shop), LinearThompson.of(shop, 1), LogisticThompson.of(shop, 1),
        Foresight.of(shop, PRIOR, made.horizon, 1),
    ]  # fmt: skip


def experience(made: ShopFloor, offer: int, profit: float) -> Experience:
    features = made.situation(made.market.crowd.open(), 0).features[0]
    n = len(features)
    some = np.arange(n) % 2 == 0
    return Experience(
        features, np.full(n, offer), some, some & (offer > 0), some * 4000.0, np.full(n, profit)
    )


def seen(made: ShopFloor) -> tuple[OfferSituation, Bools]:
    situation = made.situation(made.market.crowd.open(), 0)
    return situation, made.allowed(situation)


def test_evidence_about_a_normal_outcome_is_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    found = fold(Belief.of(np.zeros(3), np.full(3, 2.0)), Evidence(X, y, np.zeros(50), 0.5))
    H = X.T @ X / 0.5 + np.eye(3) / 4.0
    np.testing.assert_allclose(found.mean, np.linalg.solve(H, X.T @ y / 0.5))
    np.testing.assert_allclose(found.precision, H)
    halves = fold(
        fold(Belief.of(np.zeros(3), np.full(3, 2.0)), Evidence(X[:20], y[:20], np.zeros(20), 0.5)),
        Evidence(X[20:], y[20:], np.zeros(30), 0.5),
    )
    np.testing.assert_allclose(halves.mean, found.mean, atol=1e-9)


def test_evidence_about_an_event_is_a_logistic_regression() -> None:
    rng = np.random.default_rng(1)
    X = np.concatenate([np.ones((300, 1)), rng.normal(size=(300, 2))], axis=1)
    y, offset = rng.random(300) < 0.4, rng.normal(size=300)
    found = fold(Belief.of(np.zeros(3), np.ones(3)), Evidence(X, y, offset))
    reference = fit_logistic(X, y, np.ones(300), np.ones(3), offset=offset)
    np.testing.assert_allclose(found.mean, reference.mean, atol=1e-6)
    np.testing.assert_allclose(np.linalg.inv(found.precision), reference.covariance, rtol=1e-3)


def test_draws_have_the_beliefs_moments_and_follow_from_their_number() -> None:
    belief = Belief(np.array([1.0, -2.0]), np.array([[2.0, 0.8], [0.8, 1.0]]))
    drawn = belief.draws(20_000, 3, 0, "x")
    np.testing.assert_allclose(drawn.mean(axis=0), belief.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), np.linalg.inv(belief.precision), atol=0.05)
    np.testing.assert_array_equal(belief.draws(5, 3, 0, "x"), drawn[:5])
    assert not np.array_equal(belief.draws(5, 3, 1, "x"), drawn[:5])


def test_linucb_by_hand() -> None:
    """Level 2 paid once, level 1 cost once; the others are as unknown as before."""
    made = floor(1)
    policy = LinUCB.of(Shop.of(made), width=0.0)
    unit = policy.shop.unit
    base = float(policy.shop.without(experience(made, 1, 0.0).features)[0])
    policy = policy.learn(experience(made, 1, base - unit)).learn(experience(made, 2, base + unit))
    situation, allowed = seen(made)
    x = policy.shop.standard(situation.features)[0, 0]
    means = np.linalg.solve(policy.A, policy.b[..., None])[..., 0] @ x
    ridge = x @ x / (x @ x + 0.3**-2)
    np.testing.assert_allclose(means, [0.0, -ridge, ridge, 0.0], atol=1e-12)
    assert policy.choose(situation, allowed).mode().item() == 2
    shut = allowed.copy()
    shut[..., 2] = False
    assert policy.choose(situation, shut).mode().item() == 0
    assert replace(policy, width=100.0).choose(situation, allowed).mode().item() in {0, 3}, "least known"


def test_shares_are_exact() -> None:
    worth = np.array([[[[0.0, 1.0, 2.0], [0.0, 3.0, 2.0], [1.0, 0.0, 0.5], [0.0, 0.0, 0.0]]]])
    found = shares(worth, np.array([[[True, True, False]]]))
    np.testing.assert_array_equal(found.probabilities, [[[0.5, 0.5, 0.0]]])
    np.testing.assert_array_equal(found.components, [[[1, 1, 0, 0]]])


@pytest.mark.parametrize("place", range(4), ids=["linucb", "lin-ts", "logistic-ts", "foresight"])
def test_a_learner_is_a_pure_function_whose_propensities_are_shares_of_its_draws(place: int) -> None:
    made = floor()
    policy = learners(made)[place]
    situation, _ = seen(made)
    before = policy.version
    later = policy.learn(experience(made, 1, 900.0))
    assert (policy.version, later.version == before) == (before, False)
    for learned in (policy, later):
        one, two = (
            decide_offers(situation, made.settings, learned, seed=7, runs=np.array([3]), fingerprint="f")
            for _ in range(2)
        )
        np.testing.assert_array_equal(one.index, two.index)
        np.testing.assert_allclose(one.probabilities.sum(axis=-1), 1.0)
        if policy.name == "linucb":
            assert (one.propensity == 1.0).all()
            continue
        assert ((one.draw >= 0) & (one.draw < DRAWS)).all()
        np.testing.assert_allclose(one.probabilities * DRAWS, np.rint(one.probabilities * DRAWS), atol=1e-9)
    assert set(policy.reads) <= set(CONTEXT)


def test_rules_by_hand() -> None:
    made = floor(3)
    situation, allowed = seen(made)
    features = situation.features.copy()
    features[0, :, CONTEXT.index("recency")] = np.log([1, 3, 9])
    told = replace(situation, features=features)
    assert RecencyRule((3, 5, 9)).choose(told, allowed).mode().tolist() == [[0, 1, 3]]
    assert ConstantLevel(2).choose(told, allowed).mode().tolist() == [[2, 2, 2]]
    shut = allowed.copy()
    shut[..., 2] = False
    assert ConstantLevel(2).choose(told, shut).mode().tolist() == [[0, 0, 0]]
    np.testing.assert_allclose(RandomLevel().choose(told, shut).over(4)[0, 0], [1 / 3, 1 / 3, 0, 1 / 3])
    with pytest.raises(UsageError, match="not on a menu"):
        ConstantLevel(4).choose(told, allowed)
    with pytest.raises(UsageError, match="features were given"):
        column(features[..., :3], "odds")


def test_what_a_purchase_leads_to_by_hand() -> None:
    """Even odds whenever: a purchase changes nothing. Odds that fall after one period away: it does."""
    assert not Later.of(plain_habits(), 4).more.any()
    recency = np.log(np.array([1.0, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3]))
    later = Later.of(replace(plain_habits(), recency=recency), 3)
    at = [float(later.at(left, np.array([1]), np.array([0.0]))[0]) for left in range(4)]
    np.testing.assert_allclose(at[:2], [0.0, 0.25])
    # Two periods: bought now: .5 (1 + .5) + .5 (0 + .25); away: .25 (1 + .5) + .75 (0 + .25).
    np.testing.assert_allclose(at[2], (0.5 * 1.5 + 0.5 * 0.25) - (0.25 * 1.5 + 0.75 * 0.25))
    assert at[3] > at[2]


def test_the_first_belief_is_the_simulators_prior() -> None:
    habits = toy_habits()
    belief = prior_belief(habits, PRIOR, 5)
    t = draw_truths(habits, PRIOR, 2048, seed=5)
    mean = dict(zip(COEFFICIENTS, belief.mean, strict=True))
    sd = dict(zip(COEFFICIENTS, np.sqrt(np.diag(np.linalg.inv(belief.precision))), strict=True))
    assert mean["reminder"] == pytest.approx(t.reminder.mean())
    assert sd["visit"] == pytest.approx(t.visit_response.std(ddof=1), rel=1e-3)
    assert (mean["buying"], sd["buying"]) == pytest.approx((0.0, 0.15))


def test_it_learns_what_the_world_is_like() -> None:
    """From 2,000 customers over eight weeks it tells a world of strong reminders from one without."""
    found = []
    for reminder in (0.0, 0.3):
        made = floor(2000, 5, 8, reminder=reminder, wear=0.3)
        start = Foresight.of(Shop.of(made), PRIOR, 8, 1, boldness=1.0)
        run = roll_out_offers(Rehearsal(made, 5, 2), start)
        assert isinstance(run.learned, Foresight)
        found.append(run.learned.belief.mean[COEFFICIENTS.index("reminder")])
    assert found[0] < 0.12
    assert found[1] > 0.2


def profit(run: OfferRun) -> float:
    return float(run.tally.profit.sum())


def test_looking_ahead_pays_more_than_chance_no_coupon_and_the_linear_bandit() -> None:
    """Three worlds of 1,000 customers, added up: the order that the bench finds on a real shop."""
    sums: dict[str, float] = {}
    for world in range(3):
        made = floor(1000, world, 10)
        policies: list[OfferPolicy] = [ConstantLevel(0), RandomLevel(), *learners(made)]
        for policy in policies:
            run = roll_out_offers(Rehearsal(made, world, 2), policy)
            sums[policy.name] = sums.get(policy.name, 0.0) + profit(run)
    assert sums["foresight"] > max(sums[name] for name in ("none", "random", "lin-ts", "linucb"))


def test_feedback_waits_until_the_window_is_over() -> None:
    told: list[float] = []

    class Listener(ConstantLevel):
        def learn(self, experience: Experience) -> Listener:
            told.append(float(experience.profit.sum()))
            return self

    made = floor(20, 1, 5)
    run = roll_out_offers(Rehearsal(made, 1, 4, window=3), Listener(1))
    np.testing.assert_allclose(told, [run.tally.profit[t : t + 3].sum() for t in range(3)])
    told.clear()
    roll_out_offers(Rehearsal(made, 1, 4), Listener(1))
    np.testing.assert_allclose(told, run.tally.profit)
    np.testing.assert_array_equal(run.tally.offers, np.tile([0, 20, 0, 0], (5, 1)))


def test_a_tally_comes_back_from_its_bytes() -> None:
    tally = roll_out_offers(Rehearsal(floor(20, 1, 3), 1, 4), RandomLevel()).tally
    back = Tally.from_bytes(tally.to_bytes())
    assert back.to_bytes() == tally.to_bytes()
    np.testing.assert_array_equal(back.offers.sum(axis=1), 20)
    assert (back.discount >= 0.0).all()
    with pytest.raises(ArtifactError, match="no tally"):
        Tally.from_bytes(pack("offer-tally", 1, {}, {}))


def test_fakes_change_what_is_told_and_nothing_else() -> None:
    made, told = floor(200, 1, 3), dict[float, Experience]()

    class Listener(ConstantLevel):
        def learn(self, experience: Experience) -> Listener:
            told[share] = experience
            return self

    runs = list[OfferRun]()
    for share in (0.0, 0.3):
        runs += [roll_out_offers(Rehearsal(made, 1, 4, faked=share), Listener(2))]
    np.testing.assert_array_equal(runs[0].tally.profit, runs[1].tally.profit)
    changed = told[0.0].value != told[0.3].value
    assert 0.2 < changed.mean() < 0.4
    assert told[0.3].used[changed].all()
    assert np.ptp(told[0.3].value[changed]) == 0.0
    with pytest.raises(UsageError, match="cannot be played"):
        Rehearsal(made, 1, 4, window=0)


def test_five_percent_of_fakes_cost_little() -> None:
    """Of 800 customers: what ours loses to them is below 5 %."""
    made = floor(800, 2, 8)
    start = Foresight.of(Shop.of(made), PRIOR, 8, 1)
    honest, cheated = (profit(roll_out_offers(Rehearsal(made, 2, 2, faked=f), start)) for f in (0.0, 0.05))
    assert cheated > 0.95 * honest


def test_farmers_cost_nothing_without_coupons_and_little_with_ours() -> None:
    """Of 800 customers 5 % farm: offering nothing loses nothing; a coupon for all is used more often."""
    honest, farmed = floor(800, 2, 8), floor(800, 2, 8, Farming(0.05))

    def both(policy: OfferPolicy) -> tuple[Tally, Tally]:
        one, two = (roll_out_offers(Rehearsal(made, 2, 2), policy).tally for made in (honest, farmed))
        return one, two

    without = both(ConstantLevel(0))
    np.testing.assert_allclose(without[1].profit, without[0].profit, rtol=1e-12)
    one, two = both(ConstantLevel(3))
    assert two.used.sum() > 1.05 * one.used.sum()
    assert two.profit.sum() < one.profit.sum()
    np.testing.assert_allclose(two.revenue + two.discount, one.revenue + one.discount)
    one, two = both(Foresight.of(Shop.of(honest), PRIOR, 8, 1))
    assert two.profit.sum() > 0.95 * one.profit.sum()


def test_what_farmers_still_hold_back_at_the_end_is_no_loss() -> None:
    """Offered once and never again, one who never drops anything pays all of it at the full price."""

    class Once(ConstantLevel):
        def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
            first = float(situation.features[0, 0, CONTEXT.index("steps_left")]) == 1.0
            return ConstantLevel(3 if first else 0).choose(situation, allowed)

    sure = Farming(1.0, patience=(2, 2), dropped=(0.0, 0.0))
    one, two = (
        roll_out_offers(Rehearsal(floor(200, 1, 3, farming), 1, 4), Once(0)).tally
        for farming in (HONEST, sure)
    )
    np.testing.assert_array_equal(two.bought[1:], 0)
    assert (two.revenue + two.discount).sum() == pytest.approx((one.revenue + one.discount).sum())
    np.testing.assert_array_equal(two.discount[1:], 0.0)


@given(st.integers(0, 5), st.integers(1, 8))
@settings(max_examples=6, deadline=None)
def test_the_same_rehearsal_gives_the_same_run(world: int, customers: int) -> None:
    made = floor(customers, world, 3)
    for policy in learners(made):
        one, two = (roll_out_offers(Rehearsal(made, world, 9), policy) for _ in range(2))
        np.testing.assert_array_equal(one.tally.profit, two.tally.profit)
        assert one.learned.version == two.learned.version


def network(*, greedy: bool) -> NetworkOffers:
    rng = np.random.default_rng(2)
    f = len(CONTEXT)
    weights: tuple[Floats, ...] = (rng.normal(size=(f, 5)), rng.normal(size=(5, 4)))
    return NetworkOffers(
        "net", np.zeros(f), np.ones(f), weights, (np.zeros(5), np.zeros(4)), rectified=False, greedy=greedy
    )


def test_a_network_gives_what_is_refused_to_no_coupon() -> None:
    situation, allowed = seen(floor(8))
    whole = network(greedy=False).choose(situation, allowed).over(4)
    shut = allowed.copy()
    shut[..., 2:] = False
    part = network(greedy=False).choose(situation, shut).over(4)
    np.testing.assert_allclose(part[..., 0], whole[..., 0] + whole[..., 2] + whole[..., 3])
    np.testing.assert_allclose(part[..., 1], whole[..., 1])
    best = network(greedy=True).choose(situation, allowed).mode()
    np.testing.assert_array_equal(best, whole.argmax(axis=-1))
    kept = network(greedy=True).choose(situation, shut).mode()
    np.testing.assert_array_equal(kept, np.where(best >= 2, 0, best))
    with pytest.raises(ArtifactError, match="without biases"):
        NetworkOffers("x", np.zeros(1), np.ones(1), (), (), rectified=True, greedy=True)


def test_a_floor_of_several_worlds_is_refused() -> None:
    habits = toy_habits()
    crowd = crowd_of(habits, truths(2), np.array([0, 1]), customer_keys(3))
    with pytest.raises(UsageError, match="one world"):
        Rehearsal(ShopFloor.of(crowd, level_menu((0.1,)), 3), 0, 0)
