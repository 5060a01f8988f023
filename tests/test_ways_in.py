"""Rollout, environment and API are three ways to one decision: the same Decision, field by field."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.prices.service import Ask, Desk, plain
from api.storage.store import Store
from envs.runs import Observation, Runs
from policies.rollout import Plan, blocks_of, run_block
from policies.serve.incumbent import Incumbent
from policies.serve.resolve import Resolve
from policies.serve.shelf import Corridor, Shelf
from policies.serve.static import Static
from policies.serve.thompson import Thompson
from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.decision import Decision, decide, price_at
from pricing.demand import Conditions, DemandParameters
from pricing.features import FEATURES, observe
from pricing.guardrails import Guardrails
from pricing.menu import Endings, Menu, candidates
from pricing.plans import Plans
from pricing.policy import Policy
from pricing.scenario import Scenario
from pricing.situation import Situation
from pricing.transition import State
from simulators.market import sample_worlds
from simulators.worlds import toy_shop
from tests.pricing import random_shops
from tests.pricing.small_shop import Mixed
from tests.test_parity import MostProfit, same

_HORIZON = 3


def shelf(seed: int) -> Shelf:
    """A toy shop with taxes, costs, variants and limits of its own, and random guardrails."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    catalogue, model = toy_shop(count, seed, stock_periods=float(rng.choice([2.0, 50.0])))
    price = catalogue.price

    def some(chance: float, low: float, high: float, otherwise: Ints) -> Ints:
        hit = rng.random(count) < chance
        return np.where(hit, np.rint(price * rng.uniform(low, high, count)), otherwise).astype(np.int64)

    catalogue = replace(
        catalogue,
        unit_cost=np.rint(price * rng.uniform(0.3, 1.05, count)).astype(np.int64),
        net_share=np.full(count, 1 / 1.21),
        floor_price=some(0.2, 0.9, 1.1, catalogue.floor_price),
        max_price=some(0.2, 0.9, 1.1, catalogue.max_price),
        fixed_price=some(0.1, 0.9, 1.1, catalogue.fixed_price),
        variant_of=np.arange(count) // int(rng.choice([1, 2])),
        identified_by=rng.integers(0, 5, count).astype(np.int8),
    )
    corridor = Corridor(random_shops.settings(rng), int(rng.integers(6, 13)), 0.3, _HORIZON)
    return Shelf(model, catalogue, corridor, _plans(rng, count), f"run-{seed}")


def _plans(rng: np.random.Generator, count: int) -> Plans:
    """Two periods of promotions, reductions and deliveries: fewer than the horizon."""
    shape = (2, count)

    def some(chance: float, values: Floats) -> Floats:
        return np.where(rng.random(shape) < chance, values, 0.0)

    return Plans(
        depth=some(0.4, np.log(rng.uniform(0.5, 1.0, shape))),
        feature=some(0.4, rng.random(shape)),
        display=some(0.4, rng.random(shape)),
        receipts=some(0.4, rng.integers(1, 30, shape).astype(np.float64)),
        declared=True,
        left_out=0,
    )


def scenario(known: Shelf) -> Scenario:
    """The direct way, laid by hand from the same facts."""
    rules, corridor = known.corridor.settings, known.corridor
    ladders = candidates(known.catalogue, rules.endings, corridor.ladder_size, corridor.ladder_reach)
    first = int(np.datetime64(known.catalogue.as_of, "D").astype(np.int64))
    plans, nothing = known.plans, np.zeros(len(known.catalogue))
    return Scenario.of(
        known.model,
        Guardrails(known.catalogue, ladders, rules),
        horizon=_HORIZON,
        first_day=first,
        conditions=(
            *(Conditions(plans.depth[t], plans.feature[t], plans.display[t], nothing) for t in range(2)),
            Conditions.plain(len(known.catalogue)),
        ),
        receipts=np.concatenate([plans.receipts, nothing[None]]),
    )


def directly(known: Shelf, policy: Policy, here: Situation, run: int) -> list[Decision]:
    """Decide one run alone."""
    model = known.model
    made = decide(
        here,
        scenario(known).guardrails,
        policy,
        seed=model.seed,
        runs=np.array([run]),
        fingerprint=model.fingerprint,
    )
    return [made.record(0, series) for series in range(len(known.catalogue))]


def policies(known: Shelf) -> tuple[Policy, ...]:
    problem = scenario(known)
    draws = DemandParameters.of(known.model.draws(8), known.model, known.catalogue)
    planned = (Static.of(problem), Resolve.of(problem), Thompson.of(problem, draws))
    return (MostProfit(), Mixed(), Incumbent(), *planned)


@contextmanager
def desk(known: Shelf, policy: Policy) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'decisions.sqlite3'}", lambda: dt.datetime.now(dt.UTC))
        try:
            yield Desk(known, {policy.name: policy}, policy.name, store)
        finally:
            store.close()


def api_equals_decide(known: Shelf, policy: Policy) -> None:
    with desk(known, policy) as service:
        answer = service.answer(Ask(None, None, None, None, 100))
    number = int(answer.run.number, 16)
    start = scenario(known).situation(State.start(known.catalogue, 1), 0)
    expected = {d.decision_id: d for d in directly(known, policy, start, number)}
    assert {row.decision_id for row in answer.page.rows} == expected.keys()
    for row in answer.page.rows:
        decision, found = expected[row.decision_id], row.content["decision"]
        for field in fields(Decision):
            assert found[field.name] == plain(getattr(decision, field.name)), (
                f"{field.name} is {found[field.name]}"
            )
        assert row.content["recommendation"]["recommended_price"] == decision.price


def rollout_equals_decide(known: Shelf, policy: Policy) -> None:
    worlds = sample_worlds(known.model, known.catalogue, 2)
    plan = Plan(scenario(known), worlds, 2, known.model.seed, known.model.fingerprint, 1, keep_decisions=True)
    for block in blocks_of(plan, [policy]):
        for period, made in enumerate(run_block(block).decisions):
            for run in range(len(made.price)):
                words = {f.name: getattr(made.situation.state, f.name)[run : run + 1] for f in fields(State)}
                here = scenario(known).situation(State(**words), period)
                number = int(made.keys[run, 0, 3])
                for series, decision in enumerate(directly(known, policy, here, number)):
                    same(made.record(run, series), decision)


def environment_equals_decide(known: Shelf, policy: Policy) -> None:
    problem = scenario(known)
    runs = Runs(problem, sample_worlds(known.model, known.catalogue, 3), 2, "index")
    runs.begin(np.array([5, 6], dtype=np.uint64), 0)
    for period in range(_HORIZON):
        here = problem.situation(runs.situation.state, period)
        made = decide(here, problem.guardrails, policy, seed=1, runs=np.arange(2), fingerprint="f")
        assert (runs.situation.menu.price == made.situation.menu.price).all(), "menu is another"
        assert (runs.observe() == made.features.astype(np.float32)).all(), "features is another"
        assert (runs.allowed == problem.guardrails.admit(here.state, here.conditions).allowed).all(), (
            "allowed is another"
        )
        found = runs.advance(np.maximum(made.index, 0)).price
        assert (found == made.price).all(), "price is another"


_WAYS = (api_equals_decide, rollout_equals_decide, environment_equals_decide)


@pytest.mark.parametrize("way", _WAYS, ids=lambda way: way.__name__)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_every_way_in_gives_the_same_decision(way: Callable[[Shelf, Policy], None], seed: int) -> None:
    known = shelf(seed)
    for policy in policies(known):
        way(known, policy)


def _skewed(situation: Situation, allowed: Bools) -> Floats:
    """A margin that forgets the tax."""
    margin = np.array([feature.name == "margin" for feature in FEATURES])
    return observe(situation, allowed) * np.where(margin, 1.21, 1.0)


def _skewed_view(runs: Runs) -> Observation:
    """The same forgetfulness in what the environment shows."""
    return _skewed(runs.situation, runs.allowed).astype(np.float32)


def _own_ladder(situation: Situation, index: Ints) -> Floats:
    """An action means a rung of the environment's own ladder, evenly spaced in money."""
    price, rows = situation.menu.price, np.arange(len(situation.catalogue))
    rungs = np.linspace(price[:, 0], price[:, -1], price.shape[1], axis=1)
    return np.log(rungs[rows, index])


def _clipped(situation: Situation, index: Ints) -> Ints:
    """A price that the environment holds within 2 % of the one in force, after the choice."""
    now = situation.state.price
    return np.asarray(
        np.clip(price_at(situation, index), np.ceil(now * 0.98), np.floor(now * 1.02)), dtype=np.int64
    )


def _narrow(catalogue: Catalogue, endings: Endings, size: int, reach: float, held: Ints | None) -> Menu:
    """A second ladder of the same size, a little narrower."""
    return candidates(catalogue, endings, size, reach * 0.7, held)


def _forgotten(plans: Plans, horizon: int) -> tuple[Conditions, ...]:
    """Periods in which nothing is promoted, whatever the shop plans."""
    return (Conditions.plain(len(plans)),) * horizon


@pytest.mark.parametrize(
    ("place", "mutant", "way", "field"),
    [
        ("envs.runs.Runs.observe", _skewed_view, environment_equals_decide, "features"),
        ("envs.runs.index_target", _own_ladder, environment_equals_decide, "price"),
        ("envs.runs.price_at", _clipped, environment_equals_decide, "price"),
        ("pricing.decision.observe", _skewed, environment_equals_decide, "features"),
        ("policies.serve.shelf.candidates", _narrow, api_equals_decide, ""),
        ("pricing.plans.Plans.conditions", _forgotten, api_equals_decide, ""),
    ],
    ids=[
        "skewed feature",
        "copied ladder",
        "clip after the choice",
        "skewed feature, served",
        "copied ladder, served",
        "forgotten plans, served",
    ],
)
def test_a_way_in_of_its_own_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    mutant: Callable[..., object],
    way: Callable[[Shelf, Policy], None],
    field: str,
) -> None:
    _over_shelves(way)
    monkeypatch.setattr(place, mutant)
    with pytest.raises(AssertionError, match=f"{field} is"):
        _over_shelves(way)


def _over_shelves(way: Callable[[Shelf, Policy], None]) -> None:
    for seed in range(6):
        way(shelf(seed), MostProfit())
