"""What must not change a decision: the company it is made in, the order of things, and names."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pricing.arrays import Bools, Floats, Ints
from pricing.decision import Decisions, decide
from pricing.demand import Conditions
from pricing.draw import draw_rung
from pricing.errors import ArtifactError
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Menu
from pricing.policy import Choice, Policy
from pricing.situation import Situation
from tests.pricing import random_shops
from tests.pricing.small_shop import LADDER, catalogue, menu, situation

_EXACT = ("index", "price", "draw", "wanted", "binding", "keys")
_CLOSE = ("features", "probabilities", "propensity")
_ADMITTED = ("rejections", "allowed", "current", "status", "relaxed")


@dataclass(frozen=True)
class Weighted:
    """Probabilities in proportion to scores [B, N, K] over the allowed rungs; D > 0: as D stored draws."""

    scores: Floats
    stored: int = 0
    name: str = "weighted"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        assert situation.state.price.shape == allowed.shape[:2]
        weight = np.where(allowed, self.scores + 1e-3, 0.0)
        total = np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300)
        chances = weight / total
        if not self.stored:
            return Choice(probabilities=chances)
        below = np.cumsum(chances, axis=-1)[:, :, None, :]
        place = (np.arange(self.stored) + 0.5) / self.stored
        parts = np.minimum((below < place[:, None]).sum(axis=-1), allowed.shape[-1] - 1)
        parts = np.where(
            np.take_along_axis(allowed, parts, axis=-1), parts, np.argmax(chances, axis=-1)[..., None]
        )
        parts[~allowed.any(axis=-1)] = -1
        shares = np.equal(np.arange(allowed.shape[-1]), parts[..., None]).mean(axis=2)
        return Choice(probabilities=shares, components=parts)


def _shop(seed: int, kind: str) -> tuple[Situation, GuardrailSettings, Policy]:
    here, rules, highest = random_shops.shop(seed)
    policy: Policy = highest if kind == "certain" else Weighted(highest.scores, 8 if kind == "stored" else 0)
    return here, rules.settings, policy


def _decide(here: Situation, rules: GuardrailSettings, policy: Policy, runs: Ints) -> Decisions:
    guardrails = Guardrails(here.catalogue, here.menu, rules)
    return decide(here, guardrails, policy, seed=5, runs=runs, fingerprint="f")


def _pick(values: Any, at: Any) -> Any:
    return replace(values, **{f.name: np.asarray(getattr(values, f.name))[at] for f in fields(values)})


def _runs_of(here: Situation, policy: Any, rows: Ints) -> tuple[Situation, Any]:
    conditions = _pick(here.conditions, rows)
    return replace(here, state=_pick(here.state, rows), conditions=conditions), replace(
        policy, scores=policy.scores[rows]
    )


def _series_of(here: Situation, policy: Any, some: Ints) -> tuple[Situation, Any]:
    part = replace(
        here,
        catalogue=here.catalogue.take(some),
        menu=Menu(here.menu.price[some], here.menu.valid[some], here.menu.log_price[some]),
        state=_pick(here.state, np.s_[:, some]),
        conditions=_pick(here.conditions, np.s_[:, some]),
        beliefs=_pick(here.beliefs, some),
        elasticity_sd=here.elasticity_sd[some],
        myopic=here.myopic[some],
    )
    return part, replace(policy, scores=policy.scores[:, some])


def _same(whole: Decisions, part: Decisions, at: Any) -> None:
    for name in _EXACT:
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[at], err_msg=name)
    for name in _CLOSE:
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name)[at], rtol=1e-12, atol=1e-12)
    for name in _ADMITTED:
        ours, theirs = getattr(part.admission, name), getattr(whole.admission, name)[at]
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


_KINDS = st.sampled_from(["certain", "weighted", "stored"])
_SEEDS = st.integers(0, 10**6)


@settings(max_examples=120, deadline=None)
@given(_SEEDS, _KINDS, st.randoms(use_true_random=False))
def test_the_batch_may_be_cut_and_turned(seed: int, kind: str, chance: Any) -> None:
    here, rules, policy = _shop(seed, kind)
    batch = here.state.price.shape[0]
    runs = np.arange(batch) * 7 + 3
    whole = _decide(here, rules, policy, runs)
    rows = np.array(chance.sample(range(batch), chance.randint(1, batch)))
    part = _decide(*_join(_runs_of(here, policy, rows), rules), runs[rows])
    _same(whole, part, rows)
    for place, row in enumerate(rows):
        assert part.record(place, 0) == whole.record(int(row), 0) or np.isnan(whole.propensity[row, 0])


def _join(of: tuple[Situation, Any], rules: GuardrailSettings) -> tuple[Situation, GuardrailSettings, Any]:
    return of[0], rules, of[1]


@settings(max_examples=120, deadline=None)
@given(_SEEDS, _KINDS, st.randoms(use_true_random=False))
def test_the_order_of_products_does_not_matter(seed: int, kind: str, chance: Any) -> None:
    here, rules, policy = _shop(seed, kind)
    runs = np.arange(here.state.price.shape[0])
    order = np.array(chance.sample(range(len(here.catalogue)), len(here.catalogue)))
    whole = _decide(here, rules, policy, runs)
    turned = _decide(*_join(_series_of(here, policy, order), rules), runs)
    _same(whole, turned, np.s_[:, order])
    np.testing.assert_allclose(turned.admission.shadow_price, whole.admission.shadow_price)


@settings(max_examples=50, deadline=None)
@given(_SEEDS, _KINDS)
def test_products_decide_alone_as_in_company_where_no_rule_ties_them(seed: int, kind: str) -> None:
    here, rules, policy = _shop(seed, kind)
    rules = replace(rules, max_share_moved=1.0)
    runs = np.arange(here.state.price.shape[0])
    whole = _decide(here, rules, policy, runs)
    for group in np.unique(here.catalogue.variants.group):
        some = np.flatnonzero(here.catalogue.variants.group == group)
        _same(whole, _decide(*_join(_series_of(here, policy, some), rules), runs), np.s_[:, some])


@settings(max_examples=40, deadline=None)
@given(_SEEDS, st.sampled_from(["group", "zone", "category", "brand"]))
def test_names_change_ids_and_nothing_of_a_certain_choice(seed: int, label: str) -> None:
    here, rules, policy = _shop(seed, "certain")
    runs = np.arange(here.state.price.shape[0])
    series = here.catalogue.series
    other = tuple(f"{name}/renamed" for name in getattr(series, label))
    shop = replace(here.catalogue, series=replace(series, **{label: other}))
    before = _decide(here, rules, policy, runs)
    after = _decide(replace(here, catalogue=shop), rules, policy, runs)
    for name in ("index", "price", "wanted", "binding", "features", "probabilities", "propensity"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    renumbered = (after.keys != before.keys).any(axis=-1)
    assert renumbered.all() == renumbered.any() == (label in {"group", "zone"})


@settings(max_examples=40, deadline=None)
@given(_SEEDS)
def test_the_numbers_of_variants_are_only_labels(seed: int) -> None:
    here, rules, policy = _shop(seed, "weighted")
    runs = np.arange(here.state.price.shape[0])
    shop = replace(here.catalogue, variant_of=10**15 - 7 * here.catalogue.variant_of)
    _same(
        _decide(here, rules, policy, runs),
        _decide(replace(here, catalogue=shop), rules, policy, runs),
        np.s_[:],
    )


def test_a_decision_is_the_same_in_another_process() -> None:
    """Another process, another hash seed, half of the batch: the same ids, draws and contexts."""
    program = "from tests.pricing.test_decision_invariance import digest_of; print(digest_of(1))"
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    )
    assert told.stdout.strip() == digest_of(3)


def digest_of(batch: int) -> str:
    """Digest of the first run's records of a fixed shop, decided in a batch of `batch` runs."""
    shop = catalogue((100, 100, 104), variant_of=[0, 0, 1], stock=[5.0, np.inf, 2.0])
    here = situation(shop, menu(3, (80, 90, 95, 100, 104, 105, 110)), batch=batch)
    scores = np.random.default_rng(0).random((1, 3, 7)).repeat(batch, axis=0)
    made = _decide(here, GuardrailSettings(max_share_moved=0.7), Weighted(scores), np.arange(batch) + 9)
    records = [made.record(0, series) for series in range(3)]
    return hashlib.sha256(repr(records).encode()).hexdigest()


@settings(max_examples=80, deadline=None)
@given(_SEEDS, _KINDS)
def test_propensities_are_probabilities(seed: int, kind: str) -> None:
    """Sum to one over what is allowed, nothing elsewhere; certain is one; a stored draw counts 1 / D."""
    here, rules, policy = _shop(seed, kind)
    made = _decide(here, rules, policy, np.arange(here.state.price.shape[0]))
    open_ = made.admission.allowed.any(axis=-1)
    np.testing.assert_allclose(made.probabilities.sum(axis=-1), open_, atol=1e-12)
    assert not made.probabilities[~made.admission.allowed].any()
    assert (made.probabilities >= 0.0).all()
    assert (np.isnan(made.propensity) == ~open_).all()
    assert ((made.index >= 0) == open_).all()
    assert (made.propensity[open_] > 0.0).all()
    if kind == "certain":
        assert (made.propensity[open_] == 1.0).all()
    if kind == "stored":
        assert (made.probabilities * 8 == np.rint(made.probabilities * 8)).all()
        assert ((made.draw >= 0) == open_).all()
        assert made.draw.max() < 8
    variants = here.catalogue.variants
    linked = variants.alike(made.admission.allowed)
    for first, second in zip(*np.triu_indices(len(variants.group), 1), strict=True):
        pair = linked[:, first] & (variants.group[first] == variants.group[second])
        assert (made.index[pair, first] == made.index[pair, second]).all()


@pytest.mark.parametrize("stored", [0, 40])
def test_draws_come_as_often_as_their_propensity_says(stored: int) -> None:
    """Chi-square over 30,000 runs for three products at once, and for pairs: draws are independent."""
    batch, rng = 30_000, np.random.default_rng(8)
    here = situation(catalogue((100, 100, 100)), menu(3), batch=batch)
    scores = np.broadcast_to(rng.dirichlet(np.ones(7), (1, 3)), (batch, 3, 7))
    made = _decide(here, GuardrailSettings(max_change=0.1), Weighted(scores, stored), np.arange(batch))
    for series in range(3):
        chances = made.probabilities[0, series]
        counts = np.bincount(made.index[:, series], minlength=7)
        assert counts[chances == 0.0].sum() == 0
        assert stats.chisquare(counts[chances > 0], batch * chances[chances > 0]).pvalue > 1e-4
    for first, second in ((0, 1), (1, 2), (0, 2)):
        table = np.zeros((7, 7))
        np.add.at(table, (made.index[:, first], made.index[:, second]), 1)
        seen = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        assert stats.chi2_contingency(seen).pvalue > 1e-4


def test_a_rare_rung_is_drawn_at_its_rate_and_an_impossible_one_never() -> None:
    batch, rare = 200_000, 1e-4
    here = situation(catalogue((100,)), menu(1), batch=batch)
    chances = np.zeros((batch, 1, 7))
    chances[..., 3], chances[..., 5] = 1.0 - rare, rare
    index = _decide(here, GuardrailSettings(), _Says(Choice(probabilities=chances)), np.arange(batch)).index
    counts = np.bincount(index[:, 0], minlength=7)
    assert set(np.flatnonzero(counts)) == {3, 5}
    assert stats.binomtest(int(counts[5]), batch, rare).pvalue > 1e-3


@pytest.mark.parametrize("u", [0.0, 0.25, 0.5, 1.0 - 2.0**-53])
def test_the_ends_of_a_draw_never_land_where_no_chance_is(u: float) -> None:
    """A uniform of exactly nothing, of exactly a border, and the last one below one."""
    chances = np.array([[[0.0, 0.25, 0.0, 0.25, 0.5, 0.0, 0.0]]])
    rung, used = draw_rung(Choice(probabilities=chances), np.array([[u]]), 7)
    assert (rung.tolist(), used.tolist()) == ([[{0.0: 1, 0.25: 3, 0.5: 4}.get(u, 4)]], [[-1]])
    parts = np.array([[[1, 3, 4, 4]]])
    rung, used = draw_rung(Choice(probabilities=chances, components=parts), np.array([[u]]), 7)
    assert used.tolist() == [[{0.0: 0, 0.25: 1, 0.5: 2}.get(u, 3)]]
    assert rung[0, 0] == parts[0, 0, used[0, 0]]


@dataclass(frozen=True)
class _Says:
    choice: Choice
    name: str = "says"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        assert len(situation.catalogue) == allowed.shape[1]
        return self.choice


_KEEP = np.equal(np.arange(7), LADDER.index(100)).astype(np.float64)[None, None]


@pytest.mark.parametrize(
    "choice",
    [
        Choice(probabilities=_KEEP, components=np.full((1, 1, 4), 6)),
        Choice(probabilities=_KEEP, components=np.full((1, 1, 4), 2)),
        Choice(probabilities=_KEEP, components=np.full((1, 1, 4), -1)),
        Choice(probabilities=_KEEP, index=np.array([[6]])),
        Choice(probabilities=_KEEP, index=np.array([[-1]])),
        Choice(index=np.array([[7]])),
        Choice(index=np.array([[-2]])),
    ],
    ids=[
        "draws not allowed",
        "draws without chance",
        "draws nothing",
        "rung not allowed",
        "no rung",
        "7",
        "-2",
    ],
)
def test_a_choice_that_contradicts_its_probabilities_publishes_nothing(choice: Choice) -> None:
    """A price beyond ten percent, with probability zero, would otherwise have left the kernel."""
    with pytest.raises(ArtifactError, match="says gives number 0"):
        _decide(situation(catalogue((100,)), menu(1)), GuardrailSettings(), _Says(choice), np.arange(1))


def test_a_rung_for_a_blocked_product_is_refused() -> None:
    blocked = situation(catalogue((100,), unit_cost=500), menu(1))
    nothing, rung = np.zeros((1, 1, 7)), np.array([[3]])
    for choice in (Choice(index=rung), Choice(probabilities=nothing, index=rung)):
        with pytest.raises(ArtifactError, match="no valid probabilities"):
            _decide(blocked, GuardrailSettings(), _Says(choice), np.arange(1))
    made = _decide(blocked, GuardrailSettings(), _Says(Choice(probabilities=nothing)), np.arange(1))
    assert made.record(0, 0).price is None


def test_a_state_and_conditions_shared_by_all_runs_need_no_batch_axis() -> None:
    """Conditions [N] and [B, N] that say the same decide the same, context included."""
    here = situation(catalogue((100, 100)), menu(2), batch=3)
    plan = Conditions(*(np.array([x, x / 2]) for x in (-0.1, 0.4, 0.2, 0.05, 0.03, 0.01)))
    wide = Conditions(*(np.tile(getattr(plan, f.name), (3, 1)) for f in fields(Conditions)))
    policy = Weighted(np.random.default_rng(1).random((3, 2, 7)))
    narrow, broad = (
        _decide(replace(here, conditions=c), GuardrailSettings(max_share_moved=0.5), policy, np.arange(3))
        for c in (plan, wide)
    )
    _same(narrow, broad, np.s_[:])
    assert narrow.record(2, 1) == broad.record(2, 1)


def test_nothing_that_was_given_is_changed() -> None:
    here, rules, policy = _shop(12, "weighted")
    given_to: tuple[Any, ...] = (here.state, here.beliefs, here.menu, here.conditions)
    before = [[np.array(getattr(part, f.name)) for f in fields(part)] for part in given_to]
    _decide(here, replace(rules, max_share_moved=0.3), policy, np.arange(here.state.price.shape[0]))
    for part, was in zip(given_to, before, strict=True):
        for f, old in zip(fields(part), was, strict=True):
            np.testing.assert_array_equal(getattr(part, f.name), old)
